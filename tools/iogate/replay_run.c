/* SPDX-License-Identifier: MIT */
/*
 * A trace at its recorded addresses; see replay.h. One thread, events in file order.
 *
 * Deferred: an unmapped address may not be mapped again before its invalidation has completed. An allocator would see to that; recorded addresses come
 * from one that flushed at other times, so a map that meets an unflushed address flushes first, and the time counts as the map's.
 */
#include "replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <iogate/error.h>

#include "clock.h"
#include "interrupt.h"
#include "message.h"
#include "pace.h"
#include "progress.h"
#include "random.h"
#include "ranges.h"
#include "size.h"

#define STEP 4096
#define PROT (IOG_PROT_READ | IOG_PROT_WRITE)

struct replay {
	const struct replay_config *config;
	const struct trace *trace;
	struct replay_result *result;
	struct engine engine;
	struct engine_lane *lane;
	struct samples map_ns;
	struct samples unmap_ns;
	struct ranges unflushed; /* deferred */
	uint32_t nr_unflushed;   /* unmaps, not ranges */
	uint64_t oldest_ns;      /* of them, by the clock of the trace */
	uint64_t waiting_bytes;  /* of them */
	uint64_t probes[DEFERRED_BATCH];
	struct random random;
	bool limit_reached;
};

/* A call or an access went wrong. Running out of memory ends the run, everything else is counted. */
static void failed(struct replay *replay, const struct trace_event *event, const char *what, int error)
{
	if (error == -IOG_ENOMEM) {
		replay->limit_reached = true;
		return;
	}
	replay_describe(replay->trace, event, replay->result->failures++, what, error);
}

/* The first address of some page of an event. */
static uint64_t some_page(struct replay *replay, const struct trace_event *event)
{
	uint64_t pages = event->size / SIZE_4K;

	return event->iova + SIZE_4K * random_below(&replay->random, pages < UINT32_MAX ? pages : UINT32_MAX);
}

static void access_lands(struct replay *replay, const struct trace_event *event, uint64_t iova)
{
	iog_paddr_t paddr;
	int ret = iog_sim_translate(replay->engine.domain, iova, IOG_PROT_READ, &paddr);

	if (ret || paddr != event->paddr + (iova - event->iova))
		failed(replay, event, "a device read did not land after map of", ret);
}

static void access_faults(struct replay *replay, const struct trace_event *event, uint64_t iova)
{
	int ret = iog_sim_translate(replay->engine.domain, iova, IOG_PROT_READ, NULL);

	if (ret != -IOG_EFAULT)
		failed(replay, event, "a device read still lands after unmap of", ret ? ret : -IOG_EBUSY);
}

/* Invalidate all that has been unmapped. */
static void flush(struct replay *replay, const struct trace_event *event)
{
	int ret = iog_gather_flush(&replay->lane->gather);

	if (ret)
		failed(replay, event, "flush at", ret);
}

/* Devices must not reach any of what a deferred flush has just covered. Not part of what is timed. */
static void check_flushed(struct replay *replay, const struct trace_event *event)
{
	for (uint32_t i = 0; i < replay->nr_unflushed; i++)
		access_faults(replay, event, replay->probes[i]);
	replay->nr_unflushed = 0;
	replay->waiting_bytes = 0;
	ranges_clear(&replay->unflushed);
}

static void replay_map(struct replay *replay, const struct trace_event *event)
{
	struct range waiting;
	bool must_flush = replay->config->mode != IOG_INVAL_STRICT && ranges_find(&replay->unflushed, event->iova, event->iova + (event->size - 1), &waiting);
	uint64_t begin = clock_ns();
	int ret;

	if (must_flush)
		flush(replay, event);
	ret = iog_pgtable_map(replay->engine.pgtable, event->iova, event->paddr, event->size, PROT, &replay->lane->gather);
	samples_add(&replay->map_ns, clock_ns() - begin);

	if (ret) {
		failed(replay, event, "map of", ret);
		if (replay->limit_reached)
			return;
	} else {
		iog_sim_note_map(replay->engine.domain, event->iova, event->paddr, event->size, PROT);
		/* The first page goes into the unit's caches, where an unmap must get it out of again; any other shows that the range is whole. */
		access_lands(replay, event, event->iova);
		if (event->size > SIZE_4K)
			access_lands(replay, event, some_page(replay, event));
	}
	if (must_flush) {
		replay->result->forced_flushes++;
		/* What this map has just mapped may be reached again. */
		for (uint32_t i = 0; i < replay->nr_unflushed; i++) {
			if (replay->probes[i] - event->iova < event->size)
				replay->probes[i--] = replay->probes[--replay->nr_unflushed];
		}
		check_flushed(replay, event);
	}
	replay->result->maps++;
	replay->result->bytes_mapped += event->size;
}

static void unmap_deferred(struct replay *replay, const struct trace_event *event)
{
	if (!replay->nr_unflushed)
		replay->oldest_ns = event->ns;
	replay->waiting_bytes += event->size;
	if (replay->config->mode == IOG_INVAL_HELD && replay->waiting_bytes > replay->result->held_bytes_most)
		replay->result->held_bytes_most = replay->waiting_bytes;
	ranges_fill(&replay->unflushed, event->iova, event->iova + (event->size - 1));
	replay->probes[replay->nr_unflushed++] = event->iova;
}

static void replay_unmap(struct replay *replay, const struct trace_event *event)
{
	bool deferred = replay->config->mode != IOG_INVAL_STRICT, flushes = !deferred || replay->nr_unflushed == DEFERRED_BATCH - 1;
	uint64_t unmapped = 0, begin, ticket;
	int ret;

	ticket = iog_sim_note_unmap(replay->engine.domain, event->iova, event->size);
	begin = clock_ns();
	ret = iog_pgtable_unmap(replay->engine.pgtable, event->iova, event->size, &replay->lane->gather, &unmapped);
	if (flushes)
		flush(replay, event);
	samples_add(&replay->unmap_ns, clock_ns() - begin);
	iog_sim_note_unmapped(replay->engine.sim, ticket);

	if (ret || unmapped != event->size)
		failed(replay, event, "unmap of", ret ? ret : -IOG_ENOENT);
	if (deferred)
		unmap_deferred(replay, event);
	if (deferred && flushes)
		check_flushed(replay, event);
	if (!deferred)
		access_faults(replay, event, event->iova);
	if (!deferred && event->size > SIZE_4K)
		access_faults(replay, event, some_page(replay, event));
	replay->result->unmaps++;
}

/* What waits too long is flushed by a timer. */
static void pass_time(struct replay *replay, const struct trace_event *event)
{
	uint64_t due = replay->oldest_ns + DEFERRED_MS * UINT64_C(1000000);

	if (replay->nr_unflushed && event->ns >= due) {
		pace_reach(due);
		flush(replay, event);
		check_flushed(replay, event);
	}
	pace_reach(event->ns);
}

static void replay_events(struct replay *replay)
{
	const struct trace *trace = replay->trace;
	size_t i;

	for (i = 0; i < trace->count && !replay->limit_reached; i++) {
		if (i % STEP == 0) {
			if (interrupted())
				break;
			progress_update(i, trace->count);
		}
		pass_time(replay, &trace->events[i]);
		if (trace->events[i].kind == TRACE_MAP)
			replay_map(replay, &trace->events[i]);
		else
			replay_unmap(replay, &trace->events[i]);
	}
	if (replay->nr_unflushed) {
		flush(replay, &trace->events[i - 1]);
		check_flushed(replay, &trace->events[i - 1]);
	}
}

static void collect(struct replay *replay)
{
	struct replay_result *result = replay->result;
	int ret = engine_trim(&replay->engine);

	if (ret) {
		message("trim: %s", iog_strerror(ret));
		result->failures++;
	}
	engine_stats(&replay->engine, &result->stats);
	samples_percentiles(&replay->map_ns, &result->ns_per_map);
	samples_percentiles(&replay->unmap_ns, &result->ns_per_unmap);
	result->events = result->maps + result->unmaps;
	replay_conclude(result, replay->limit_reached);
}

int replay_run(const struct trace *trace, const struct replay_config *config, struct replay_result *result, struct problem *problem)
{
	const struct iog_sim_config hardware = { .flags = IOG_SIM_EXPOSURE };
	/* Linux undoes one map by several unmaps; where it was one large leaf, that splits it. */
	struct engine_config engine = {
		.format = config->format,
		.reclaim = config->reclaim,
		.simulate = true,
		.hardware = &hardware,
		.paced = true,
		.flags = IOG_PGTABLE_SPLIT,
		.memory_limit = config->memory_limit,
	};
	struct replay replay = { .config = config, .trace = trace, .result = result, .random = { config->seed } };
	char what[160];
	int ret;

	*result = (struct replay_result){ .config = *config, .trace = trace };
	pace_begin(0);
	ret = engine_create(&engine, &replay.engine, problem);
	if (ret)
		return ret;
	replay.lane = &replay.engine.lanes[0];
	samples_init(&replay.map_ns, trace->maps);
	samples_init(&replay.unmap_ns, trace->unmaps);
	ranges_init(&replay.unflushed);

	snprintf(what, sizeof(what), "replay %s, %s", trace->name, replay_policy(config));
	progress_begin(what);
	replay_events(&replay);
	progress_end();
	collect(&replay);

	ranges_free(&replay.unflushed);
	samples_free(&replay.map_ns);
	samples_free(&replay.unmap_ns);
	engine_destroy(&replay.engine);
	return 0;
}

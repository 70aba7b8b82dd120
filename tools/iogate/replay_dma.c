/* SPDX-License-Identifier: MIT */
/*
 * A trace as calls of the DMA API: threads, order, and what has to be back at the end; see replay.h and replay_dma.h.
 *
 * One thread per lane; an event is the lane's that its CPU falls to. Events of a lane run in the order of the file, and an unmap waits until what it undoes is mapped: as
 * both look back in the file, the first event that is not done can always be done. No thread runs further ahead of the last one than AHEAD events, so that
 * about as much is live as was when the trace was recorded.
 */
#include "replay_dma.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iogate/error.h>

#include "crew.h"
#include "memory.h"
#include "message.h"
#include "pace.h"
#include "progress.h"
#include "size.h"

#define AHEAD 4096
/* Looks at what the allocator holds, over a trace. */
#define LOOKS 64

static uint64_t slowest(const struct replay *replay)
{
	uint64_t least = UINT64_MAX, at;

	for (uint32_t i = 0; i < replay->config->threads; i++) {
		at = atomic_load_explicit(&replay->workers[i].at, memory_order_relaxed);
		least = at < least ? at : least;
	}
	return least;
}

static void keep_together(struct worker *worker, uint64_t event)
{
	while (event > worker->nearest && event - worker->nearest > AHEAD && !dma_stopped(worker->replay)) {
		worker->nearest = slowest(worker->replay);
		if (event > worker->nearest && event - worker->nearest > AHEAD)
			sched_yield();
	}
}

static void look(struct worker *worker)
{
	struct replay *replay = worker->replay;
	struct iog_domain_stats stats;

	iog_domain_stats(replay->bed.domain, &stats);
	if (stats.iova.object_bytes > replay->result->iova_bytes_peak)
		replay->result->iova_bytes_peak = stats.iova.object_bytes;
}

/* Ticks after which nothing of before waits any more. */
#define TICKS_ENOUGH (DEFERRED_MS / TICK_MS)

/* What waits after its unmap also ends by time: that of the trace, by which the lane's timer comes each TICK_MS. */
static void tick(struct worker *worker, uint32_t event)
{
	const struct replay *replay = worker->replay;
	uint64_t ns = replay->trace->events[event].ns, ms = ns / 1000000;
	int ret = 0;

	for (uint32_t i = 0; ms >= worker->ticked_ms + TICK_MS && replay->config->mode != IOG_INVAL_STRICT && !ret; i++) {
		worker->ticked_ms += TICK_MS;
		if (i == TICKS_ENOUGH) {
			worker->ticked_ms = ms - ms % TICK_MS;
			break;
		}
		pace_reach(worker->ticked_ms * 1000000);
		ret = iog_domain_tick(replay->bed.domain, worker->lane, worker->ticked_ms);
	}
	if (ret)
		dma_failed(worker->replay, event, "tick at", ret);
	pace_reach(ns);
}

static void replay_event(struct worker *worker, uint32_t event)
{
	const struct trace_event *at = &worker->replay->trace->events[event];

	tick(worker, event);
	if (at->kind == TRACE_UNMAP) {
		dma_unmap_planned(worker, event);
		worker->unmaps++;
		dma_attack(worker);
		return;
	}
	if (worker->replay->plan.events[event].mapping != PLAN_NONE)
		dma_map_planned(worker, worker->replay->plan.events[event].mapping);
	worker->maps++;
	worker->bytes_mapped += at->size;
	dma_attack(worker);
}

static int work(void *ctx, uint32_t index)
{
	struct replay *replay = ctx;
	struct worker *worker = &replay->workers[index];
	const struct trace *trace = replay->trace;

	for (uint32_t i = 0; i < trace->count && !dma_stopped(replay); i++) {
		if (index == 0 && i % (trace->count / LOOKS + 1) == 0) {
			look(worker);
			progress_update(i, trace->count);
		}
		if (trace->events[i].cpu % replay->config->threads != index)
			continue;
		/* Before the wait: nobody waits for himself. */
		atomic_store_explicit(&worker->at, i, memory_order_relaxed);
		keep_together(worker, i);
		replay_event(worker, i);
	}
	atomic_store_explicit(&worker->at, UINT64_MAX, memory_order_relaxed);
	return 0;
}

static void leak(struct replay_result *result, const char *what, uint64_t count)
{
	if (!count)
		return;
	result->leaks++;
	message("%s, %s: not given back: %" PRIu64 " %s", result->trace->name, replay_policy(&result->config), count, what);
}

/* Everything is unmapped. Whatever is still held, but for the root table, is a leak. */
static void check_leaks(struct replay *replay, uint64_t table_bytes)
{
	struct replay_result *result = replay->result;
	const struct iog_domain_stats *stats = &result->domain;

	leak(result, "bytes mapped", stats->bytes_mapped);
	leak(result, "bytes of addresses", stats->iova.live_bytes);
	leak(result, "bytes of addresses in quarantine", stats->quarantined);
	leak(result, "unmaps not flushed", stats->deferred);
	if (result->config.reclaim != IOG_RECLAIM_NONE)
		leak(result, "bytes of tables beside the root", table_bytes - SIZE_4K);
}

static void collect_stats(struct replay *replay)
{
	struct engine_stats *stats = &replay->result->stats;
	struct iog_tablemem_stats tablemem;
	struct iog_posix_stats posix;

	iog_tablemem_stats(replay->bed.tablemem, &tablemem);
	iog_posix_stats(replay->bed.posix, &posix);
	iog_sim_stats(replay->bed.sim, &stats->sim);
	iog_domain_stats(replay->bed.domain, &replay->result->domain);
	stats->table_bytes = tablemem.bytes;
	stats->table_bytes_peak = tablemem.bytes_peak;
	stats->memory_limit = posix.limit;
	stats->inval_commands = stats->sim.range_commands + stats->sim.domain_commands;
	stats->wait_commands = stats->sim.wait_commands;
	stats->walk_cache_flushes = stats->sim.walk_cache_flushes;
	stats->flushes = replay->result->domain.flushes;
	replay->result->held_bytes_most = replay->result->domain.held_bytes_most;
}

static void collect_samples(struct replay *replay)
{
	struct replay_result *result = replay->result;
	struct samples map_ns, unmap_ns;

	samples_init(&map_ns, replay->trace->maps);
	samples_init(&unmap_ns, replay->trace->unmaps);
	for (uint32_t i = 0; i < replay->config->threads; i++) {
		struct worker *worker = &replay->workers[i];

		samples_append(&map_ns, &worker->map_ns);
		samples_append(&unmap_ns, &worker->unmap_ns);
		result->maps += worker->maps;
		result->unmaps += worker->unmaps;
		result->bytes_mapped += worker->bytes_mapped;
		result->attacks += worker->attacker.accesses;
		result->attacks_landed += worker->attacker.landed;
	}
	samples_percentiles(&map_ns, &result->ns_per_map);
	samples_percentiles(&unmap_ns, &result->ns_per_unmap);
	samples_free(&map_ns);
	samples_free(&unmap_ns);
	result->lists = replay->plan.lists;
	result->runs = replay->plan.runs;
}

static void collect(struct replay *replay)
{
	struct replay_result *result = replay->result;
	int ret;

	look(&replay->workers[0]);
	collect_samples(replay);
	dma_unmap_rest(replay);
	ret = dma_bed_trim(&replay->bed);
	if (ret) {
		message("trim: %s", iog_strerror(ret));
		atomic_fetch_add(&replay->failures, 1);
	}
	collect_stats(replay);
	check_leaks(replay, result->stats.table_bytes);
	result->failures = atomic_load(&replay->failures) + result->leaks;
	result->events = result->maps + result->unmaps;
	replay_conclude(result, atomic_load(&replay->limit_reached));
}

static void create_workers(struct replay *replay)
{
	uint32_t threads = replay->config->threads;
	uint64_t *maps = memory_new(threads, sizeof(*maps)), *unmaps = memory_new(threads, sizeof(*unmaps));

	for (size_t i = 0; i < replay->trace->count; i++) {
		const struct trace_event *event = &replay->trace->events[i];

		if (event->kind == TRACE_MAP)
			maps[event->cpu % threads]++;
		else
			unmaps[event->cpu % threads]++;
	}
	replay->workers = memory_new_aligned(threads, sizeof(*replay->workers));
	for (uint32_t i = 0; i < threads; i++) {
		struct worker *worker = &replay->workers[i];

		worker->replay = replay;
		worker->lane = i;
		worker->random.state = replay->config->seed + i;
		worker->ticked_ms = replay->trace->count ? replay->trace->events[0].ns / 1000000 : 0;
		attacker_init(&worker->attacker, replay->config->seed + i + REPLAY_THREADS_MAX);
		samples_init(&worker->map_ns, maps[i]);
		samples_init(&worker->unmap_ns, unmaps[i]);
	}
	free(maps);
	free(unmaps);
}

static void destroy(struct replay *replay)
{
	struct replay_result *result = replay->result;
	uint64_t left;

	for (uint32_t i = 0; i < replay->config->threads; i++) {
		samples_free(&replay->workers[i].map_ns);
		samples_free(&replay->workers[i].unmap_ns);
		free(replay->workers[i].tickets.list);
		attacker_fini(&replay->workers[i].attacker);
	}
	free(replay->workers);
	free(replay->mapped);
	shares_fini(&replay->shares);
	pthread_rwlock_destroy(&replay->told);
	plan_free(&replay->plan);
	left = dma_bed_destroy(&replay->bed);
	frames_fini(&replay->frames);
	if (left) {
		leak(result, "bytes of the platform's memory", left);
		result->violations++;
	}
}

int replay_dma(const struct trace *trace, const struct replay_config *config, struct replay_result *result, struct problem *problem)
{
	/* 1:1 addresses may be revived; an allocator's may not be used again before their time, whatever they lead to. In deferred mode memory may. */
	const struct iog_sim_config hardware = {
		.flags = (strcmp(config->policy, "identity") ? 0 : IOG_SIM_REVIVAL) | IOG_SIM_EXPOSURE | (config->mode == IOG_INVAL_DEFERRED ? IOG_SIM_REUSE_COUNTED : 0),
	};
	struct replay replay = { .config = config, .trace = trace, .result = result };
	struct dma_bed_config bed = {
		.format = config->format,
		.reclaim = config->reclaim,
		.policy = config->policy,
		.mode = config->mode,
		.simulate = true,
		.judge = true,
		.paced = true,
		.hardware = &hardware,
		.hold = &frames_hold_ops,
		.hold_ctx = &replay.frames,
		.split = true,
		.lanes = config->threads,
		.memory_limit = config->memory_limit,
	};
	char what[160];
	int ret;

	*result = (struct replay_result){ .config = *config, .trace = trace };
	pace_begin(0);
	frames_init(&replay.frames);
	ret = dma_bed_create(&bed, &replay.bed, problem);
	if (ret) {
		frames_fini(&replay.frames);
		return ret;
	}
	replay.frames.sim = replay.bed.sim;
	plan_make(trace, &replay.plan);
	replay.mapped = memory_new(replay.plan.nr_mappings, sizeof(*replay.mapped));
	pthread_rwlock_init(&replay.told, NULL);
	shares_init(&replay.shares, replay.bed.seen, !strcmp(config->policy, "identity"));
	create_workers(&replay);

	snprintf(what, sizeof(what), "replay %s, %s", trace->name, replay_policy(config));
	progress_begin(what);
	ret = crew_run(config->threads, 0, work, &replay, NULL, problem);
	progress_end();
	if (!ret)
		collect(&replay);
	destroy(&replay);
	return ret;
}

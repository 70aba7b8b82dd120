/* SPDX-License-Identifier: MIT */
/*
 * Whether an allocator that caches gets slower with time, or its stock grows: a long run of mixed operations, told in parts; see bench.h.
 *
 * Runs of 1 to 600 pages below 4 GiB, by four lanes in turn, freed by other lanes than allocated them: where addresses are freed after their invalidation, 256 at a time as a
 * queue of deferred unmaps does. What is live swells and shrinks a whole number of times in each part, so that parts are alike.
 */
#include "bench.h"

#include <stdlib.h>

#include <iogate/error.h>
#include <iogate/host/posix.h>
#include <iogate/iova.h>

#include "clock.h"
#include "interrupt.h"
#include "memory.h"
#include "policy.h"
#include "progress.h"
#include "random.h"
#include "size.h"

#define LANES 4
#define LIMIT (UINT64_C(0xffffffff))
#define LIVE_LEAST 1000
#define LIVE_MOST 8000
#define SWELLS 4 /* in a part */
#define QUEUE 256
#define STEP 4096

struct variant {
	const char *scheme;
	uint32_t flags;
};

struct run {
	iog_iova_t address;
	uint64_t size;
};

struct decay_state {
	struct bench_state bench;
	struct iog_posix *posix;
	struct iog_iova *iova;
	struct random random;
	struct run live[LIVE_MOST + 1];
	uint32_t nr_live;
	struct run queue[QUEUE];
	uint32_t nr_queue;
	uint64_t flushes;
};

static struct decay_state *state_of(struct bench_state *bench)
{
	return (struct decay_state *)bench;
}

static const struct variant *variant_of(const struct decay_state *state)
{
	return state->bench.bench_case->variant;
}

static int count_flush(void *ctx)
{
	struct decay_state *state = ctx;

	state->flushes++;
	return 0;
}

static uint64_t some_size(struct random *random)
{
	uint64_t kind = random_below(random, 100);

	if (kind < 55)
		return SIZE_4K;
	if (kind < 95)
		return SIZE_4K << (1 + random_below(random, 6));
	if (kind < 98)
		return SIZE_4K << (7 + random_below(random, 3));
	return SIZE_4K * (1 + random_below(random, 600));
}

/* A queue of deferred unmaps is flushed: one lane frees what all have unmapped. */
static int drain(struct decay_state *state)
{
	iog_lane_t lane = (iog_lane_t)random_below(&state->random, LANES);
	int ret = 0;

	for (; state->nr_queue && !ret; state->nr_queue--)
		ret = iog_iova_free(state->iova, lane, state->queue[state->nr_queue - 1].address, state->queue[state->nr_queue - 1].size);
	return ret;
}

/* The lazy flush of schemes that have their addresses back clean: what is still queued may be freed. */
static int flush_queue(void *ctx)
{
	struct decay_state *state = ctx;

	state->flushes++;
	return drain(state);
}

static int free_one(struct decay_state *state)
{
	uint32_t at = (uint32_t)random_below(&state->random, state->nr_live);
	struct run run = state->live[at];

	state->live[at] = state->live[--state->nr_live];
	if (variant_of(state)->flags & IOG_IOVA_LAZY)
		return iog_iova_free(state->iova, (iog_lane_t)random_below(&state->random, LANES), run.address, run.size);
	state->queue[state->nr_queue++] = run;
	return state->nr_queue == QUEUE ? drain(state) : 0;
}

static int alloc_one(struct decay_state *state)
{
	const struct iog_iova_flush flush = { variant_of(state)->flags & IOG_IOVA_LAZY ? count_flush : flush_queue, state };
	struct run *run = &state->live[state->nr_live];
	int ret;

	run->size = some_size(&state->random);
	ret = iog_iova_alloc(state->iova, (iog_lane_t)random_below(&state->random, LANES), run->size, LIMIT, &flush, &run->address);
	state->nr_live += !ret;
	return ret;
}

/* How many should be live @done operations into a part of @count. */
static uint32_t live_wanted(uint64_t done, uint64_t count)
{
	uint64_t swell = count / SWELLS, at = done % swell, half = swell / 2, up = at < half ? at : swell - at;

	return (uint32_t)(LIVE_LEAST + (LIVE_MOST - LIVE_LEAST) * up / (half ? half : 1));
}

/* @count operations, of which one in two is a free where enough is live already. */
static int run_part(struct decay_state *state, uint64_t count)
{
	uint32_t wanted = LIVE_LEAST;
	int ret = 0;

	for (uint64_t i = 0; i < count && !ret; i++) {
		if (i % STEP == 0) {
			wanted = live_wanted(i, count);
			if (interrupted())
				return -IOG_EAGAIN;
		}
		if (state->nr_live > wanted || (state->nr_live > wanted / 2 && random_next(&state->random) & 1))
			ret = free_one(state);
		else
			ret = alloc_one(state);
	}
	return ret;
}

static void part_since(const struct iog_iova_stats *before, const struct iog_iova_stats *after, struct bench_part *part)
{
	part->allocations = after->allocs - before->allocs;
	part->slow = after->slow_allocs - before->slow_allocs;
	part->reclaims = after->reclaims - before->reclaims;
	part->live_bytes = after->live_bytes;
	part->cached_bytes = after->cached_bytes;
	part->object_bytes = after->object_bytes;
}

static int measure(struct bench_state *bench, struct bench_result *result, struct problem *problem)
{
	struct decay_state *state = state_of(bench);
	uint64_t count = bench->ops / BENCH_PARTS, begin, flushes;
	struct iog_iova_stats before, after;
	int ret = 0;

	/* Once without being counted: the first part must not be the one that fills the stocks. */
	for (uint32_t part = 0; part <= BENCH_PARTS && !ret; part++) {
		progress_update(part, BENCH_PARTS + 1);
		iog_iova_stats(state->iova, &before);
		flushes = state->flushes;
		begin = clock_ns();
		ret = run_part(state, count);
		if (ret || !part)
			continue;
		iog_iova_stats(state->iova, &after);
		part_since(&before, &after, &result->parts[part - 1]);
		result->parts[part - 1].flushes = state->flushes - flushes;
		result->parts[part - 1].ns = (double)(clock_ns() - begin) / (double)count;
		bench_add(result, result->parts[part - 1].ns);
		result->nr_parts = part;
	}
	if (ret)
		problem_set(problem, "%s after %u parts", ret == -IOG_EAGAIN ? "interrupted" : iog_strerror(ret), result->nr_parts);
	return ret;
}

static int prepare(struct bench_state *bench, struct problem *problem)
{
	struct decay_state *state = state_of(bench);
	struct iog_iova_config config = { .ops = scheme_find(variant_of(state)->scheme), .lanes = LANES, .flags = variant_of(state)->flags };
	int ret = iog_posix_create(NULL, &state->posix);

	if (!ret) {
		config.platform = iog_posix_platform(state->posix);
		ret = iog_iova_create(&config, &state->iova);
	}
	if (ret)
		problem_set(problem, "no allocator: %s", iog_strerror(ret));
	state->random.state = bench->seed;
	return ret;
}

static void destroy(struct bench_state *bench)
{
	struct decay_state *state = state_of(bench);

	iog_iova_destroy(state->iova);
	iog_posix_destroy(state->posix);
}

#define CASE .on_request = true, .prepare = prepare, .measure = measure
#define VARIANT(...) .variant = &(const struct variant){ __VA_ARGS__ }

static const struct bench_case cases[] = {
	{ "decay_magazine", "a long mixed run on magazines, in ten parts", "decay_tree", CASE, VARIANT(.scheme = "magazine") },
	{ "decay_window", "the same on windows, freed lazily", "decay_tree", CASE, VARIANT(.scheme = "window", .flags = IOG_IOVA_LAZY) },
	{ "decay_pooled", "the same on bitmap pools, freed lazily", "decay_tree", CASE, VARIANT(.scheme = "pooled", .flags = IOG_IOVA_LAZY) },
	{ "decay_tree", "the same on a tree, which has no stock", CASE, VARIANT(.scheme = "tree") },
};

const struct bench_group bench_decay = {
	.cases = cases,
	.nr_cases = sizeof(cases) / sizeof(cases[0]),
	.state_size = sizeof(struct decay_state),
	.destroy = destroy,
};

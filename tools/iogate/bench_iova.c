/* SPDX-License-Identifier: MIT */
/*
 * Address allocators by themselves; see bench.h. A round is iog_iova_free() of a run and iog_iova_alloc() of another in its place, so that as many are handed out
 * all the while.
 */
#include "bench.h"

#include <stdlib.h>

#include <iogate/error.h>
#include <iogate/host/posix.h>
#include <iogate/iova.h>

#include "arena.h"
#include "clock.h"
#include "crew.h"
#include "memory.h"
#include "policy.h"
#include "random.h"
#include "size.h"

/* Rounds in a batch: of one thread; of each, where starting them has to be paid for. */
#define ROUNDS 4096
#define CREW_ROUNDS 50000

/* The single arena: granules, and allocations that go through it. */
#define ARENA_GRANULES 16384
#define ARENA_ALLOCATIONS 1000000
#define ARENA_LIVE 256
#define ARENA_PAGES_MAX 16

struct variant {
	const char *scheme;
	uint32_t pages; /* of a run */
	uint32_t live;  /* runs handed out, over all threads */
	uint32_t threads; /* 0: by the calling thread, as 1, which is a thread for the sake of comparison */
	bool random;    /* a random run is freed, not the oldest */
};

struct iova_state {
	struct bench_state bench;
	struct iog_posix *posix;
	struct iog_iova *iova;
	iog_iova_t *live;
	uint32_t position;
	struct random random;
};

static struct iova_state *state_of(struct bench_state *bench)
{
	return (struct iova_state *)bench;
}

static const struct variant *variant_of(const struct iova_state *state)
{
	return state->bench.bench_case->variant;
}

static int create(struct iova_state *state, struct iog_iova_config *config, struct problem *problem)
{
	int ret = iog_posix_create(NULL, &state->posix);

	if (!ret) {
		config->platform = iog_posix_platform(state->posix);
		ret = iog_iova_create(config, &state->iova);
	}
	if (ret)
		problem_set(problem, "no allocator: %s", iog_strerror(ret));
	return ret;
}

static int prepare(struct bench_state *bench, struct problem *problem)
{
	struct iova_state *state = state_of(bench);
	const struct variant *variant = variant_of(state);
	struct iog_iova_config config = { .ops = scheme_find(variant->scheme), .lanes = variant->threads > 1 ? variant->threads : 2 };
	uint32_t threads = variant->threads ? variant->threads : 1;
	int ret;

	if (threads > crew_cpus()) {
		problem_set(problem, "it takes a CPU per thread, and this process may use %u", crew_cpus());
		return -IOG_EOPNOTSUPP;
	}
	ret = create(state, &config, problem);
	state->live = memory_new(variant->live, sizeof(*state->live));
	state->random.state = bench->seed;
	for (uint32_t i = 0; i < variant->live && !ret; i++) {
		ret = iog_iova_alloc(state->iova, i % threads, variant->pages * SIZE_4K, UINT64_MAX, NULL, &state->live[i]);
		if (ret)
			problem_set(problem, "no address for a run: %s", iog_strerror(ret));
	}
	return ret;
}

static int run(struct bench_state *bench, uint64_t *ns, uint64_t *calls)
{
	struct iova_state *state = state_of(bench);
	const struct variant *variant = variant_of(state);
	uint64_t size = variant->pages * SIZE_4K, begin = clock_ns();
	uint32_t at = state->position;
	int ret = 0;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		if (variant->random)
			at = (uint32_t)random_below(&state->random, variant->live);
		else
			at = at + 1 < variant->live ? at + 1 : 0;
		ret |= iog_iova_free(state->iova, 0, state->live[at], size);
		ret |= iog_iova_alloc(state->iova, 0, size, UINT64_MAX, NULL, &state->live[at]);
	}
	*ns += clock_ns() - begin;
	*calls += ROUNDS;
	state->position = at;
	return ret ? -IOG_EIO : 0;
}

/* One thread of several: its lane is its number, and every so manieth run is its own. */
static int work(void *ctx, uint32_t index)
{
	const struct iova_state *state = ctx;
	const struct variant *variant = variant_of(state);
	uint64_t size = variant->pages * SIZE_4K;
	uint32_t at = index;
	int ret = 0;

	for (uint32_t i = 0; i < CREW_ROUNDS; i++) {
		ret |= iog_iova_free(state->iova, index, state->live[at], size);
		ret |= iog_iova_alloc(state->iova, index, size, UINT64_MAX, NULL, &state->live[at]);
		at = at + variant->threads < variant->live ? at + variant->threads : index;
	}
	return ret ? -IOG_EIO : 0;
}

/* Time is that of each thread: what a round costs it. */
static int run_crew(struct bench_state *bench, uint64_t *ns, uint64_t *calls)
{
	struct iova_state *state = state_of(bench);
	struct problem problem;
	uint64_t wall = 0;
	int ret = crew_run(variant_of(state)->threads, 0, work, state, &wall, &problem);

	*ns += wall;
	*calls += CREW_ROUNDS;
	return ret;
}

/* The same requests for both arenas: 1 to 16 pages each, the oldest of ARENA_LIVE freed before. */
static uint32_t arena_pages(uint64_t seed, uint32_t i)
{
	struct random random = { seed + i };

	return 1 + (uint32_t)random_below(&random, ARENA_PAGES_MAX);
}

static int count_flush(void *ctx)
{
	++*(uint64_t *)ctx;
	return 0;
}

static int measure_pool(struct bench_state *bench, struct bench_result *result, struct problem *problem)
{
	struct iova_state *state = state_of(bench);
	struct iog_iova_config config = { .ops = &iog_iova_pooled, .flags = IOG_IOVA_LAZY, .pools = 1, .last = ARENA_GRANULES * SIZE_4K - 1 };
	uint64_t flushes = 0;
	const struct iog_iova_flush flush = { count_flush, &flushes };
	int ret = create(state, &config, problem);

	state->live = memory_new(ARENA_LIVE, sizeof(*state->live));
	for (uint32_t i = 0; i < ARENA_ALLOCATIONS && !ret; i++) {
		if (i >= ARENA_LIVE)
			ret = iog_iova_free(state->iova, 0, state->live[i % ARENA_LIVE], arena_pages(bench->seed, i - ARENA_LIVE) * SIZE_4K);
		if (!ret)
			ret = iog_iova_alloc(state->iova, 0, arena_pages(bench->seed, i) * SIZE_4K, UINT64_MAX, &flush, &state->live[i % ARENA_LIVE]);
	}
	if (!ret)
		bench_add(result, (double)flushes * 1000 / ARENA_ALLOCATIONS);
	return ret;
}

static int measure_arena(struct bench_state *bench, struct bench_result *result, struct problem *problem)
{
	struct arena arena;
	uint32_t *live = memory_new(ARENA_LIVE, sizeof(*live)), at;
	int ret = 0;

	arena_init(&arena, ARENA_GRANULES);
	for (uint32_t i = 0; i < ARENA_ALLOCATIONS && !ret; i++) {
		if (i >= ARENA_LIVE)
			arena_free(&arena, live[i % ARENA_LIVE], arena_pages(bench->seed, i - ARENA_LIVE));
		if (arena_alloc(&arena, arena_pages(bench->seed, i), &at))
			live[i % ARENA_LIVE] = at;
		else
			ret = -IOG_ENOSPC;
	}
	if (ret)
		problem_set(problem, "the arena is too small");
	else
		bench_add(result, (double)arena.wraps * 1000 / ARENA_ALLOCATIONS);
	arena_fini(&arena);
	free(live);
	return ret;
}

static void destroy(struct bench_state *bench)
{
	struct iova_state *state = state_of(bench);

	iog_iova_destroy(state->iova);
	iog_posix_destroy(state->posix);
	free(state->live);
}

#define ONE .prepare = prepare, .run = run
#define CREW .prepare = prepare, .run = run_crew
#define VARIANT(...) .variant = &(const struct variant){ __VA_ARGS__ }

static const struct bench_case cases[] = {
	{ "iova_tree_1", "address of a page from a tree, 256 live", ONE, VARIANT(.scheme = "tree", .pages = 1, .live = 256) },
	{ "iova_magazine_1", "the same from magazines", "iova_tree_1", ONE, VARIANT(.scheme = "magazine", .pages = 1, .live = 256) },
	{ "iova_pooled_1", "the same from bitmap pools", "iova_tree_1", ONE, VARIANT(.scheme = "pooled", .pages = 1, .live = 256) },
	{ "iova_window_1", "the same from windows", "iova_tree_1", ONE, VARIANT(.scheme = "window", .pages = 1, .live = 256) },
	{ "iova_tree_64", "64 pages from a tree, 4096 runs live", ONE, VARIANT(.scheme = "tree", .pages = 64, .live = 4096) },
	{ "iova_magazine_64", "the same from magazines", "iova_tree_64", ONE, VARIANT(.scheme = "magazine", .pages = 64, .live = 4096) },
	{ "iova_pooled_64", "the same from bitmap pools", "iova_tree_64", ONE, VARIANT(.scheme = "pooled", .pages = 64, .live = 4096) },
	{ "iova_window_64", "the same from windows", "iova_tree_64", ONE, VARIANT(.scheme = "window", .pages = 64, .live = 4096) },
	{ "iova_tree_random_100k", "a page from a tree, 100,000 live, a random one freed", "iova_tree_1", ONE,
	  VARIANT(.scheme = "tree", .pages = 1, .live = 100000, .random = true) },
	{ "iova_tree_1t", "a page from a tree, 4096 live, one thread", CREW, VARIANT(.scheme = "tree", .pages = 1, .live = 4096, .threads = 1) },
	{ "iova_tree_2t", "the same by two threads at once, time of each", "iova_tree_1t", CREW, VARIANT(.scheme = "tree", .pages = 1, .live = 4096, .threads = 2) },
	{ "pool_flushes", "flushes of one lazy pool, 1 to 16 pages each, 256 runs live", "pool_flushes_classic", .unit = "per 1,000 allocations",
	  .measure = measure_pool },
	{ "pool_flushes_classic", "wraps of a single next-fit arena under the same requests", .unit = "per 1,000 allocations", .measure = measure_arena },
};

const struct bench_group bench_iova = {
	.cases = cases,
	.nr_cases = sizeof(cases) / sizeof(cases[0]),
	.state_size = sizeof(struct iova_state),
	.destroy = destroy,
};

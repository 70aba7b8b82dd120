/* SPDX-License-Identifier: MIT */
/*
 * Page tables by themselves; see bench.h. Every batch leaves its page table as it found it, flushed, and only the calls that the case is about lie between two readings
 * of the clock, which are themselves a fraction of a percent of a batch.
 *
 * "Tables present" means that a neighbour in the same table stays mapped, so that the table is never empty.
 *
 * Cases are named for pages of 4 KiB. A format whose smallest page is larger has as many pages, and so as many entries written; only the sizes are larger.
 */
#include "bench.h"

#include <stdatomic.h>
#include <stdlib.h>

#include <iogate/error.h>

#include "clock.h"
#include "engine.h"
#include "memory.h"
#include "random.h"
#include "size.h"

#define PROT (IOG_PROT_READ | IOG_PROT_WRITE)

/* Pages handled one by one in a batch, and pages in one call for many. */
#define PAGES UINT64_C(256)
/* Runs of 256 pages in a batch, each in a table of its own. They lie at the low and the high end of their tables by turns, to spread over the cache's sets. */
#define RUNS UINT64_C(8)
/* Of the pages of a table, the first 512: what the smallest have. */
#define RUN_SPAN UINT64_C(512)
/* Lookups in a batch at most; divides the pages of every case that has more. */
#define LOOKUPS 4096
#define LEAVES_1G (SIZE_1G / SIZE_4K)
/* Fewer where they are larger: a scheme that leaks them has to find room. */
#define STRESS_TABLES UINT64_C(32768)

/* What a case varies; which of it means something depends on the case. */
struct variant {
	enum iog_reclaim reclaim;
	uint32_t flags; /* enum iog_pgtable_flags */
	bool unmap;     /* it is the unmap that is timed */
	bool alone;     /* one lane altogether, which needs no atomic operation; else two, of which one is idle */
	uint64_t pages; /* lookup: pages mapped */
	enum call {
		BY_PAGES, /* iog_pgtable_map_pages(), all pages at once */
		BY_PAGE,  /* the same, a page at a time */
		BY_RANGE, /* iog_pgtable_map() */
	} call;
};

struct pgtable_state {
	struct bench_state bench;
	struct engine engine;
	struct iog_pgtable *pgtable;
	struct iog_gather *gather;
	uint64_t page;            /* bytes of the smallest leaf */
	uint64_t table;           /* bytes that a leaf table spans */
	uint64_t base, paddr;     /* where mappings begin, and to where they lead: aligned to anything that is mapped in one call */
	uint32_t *order;          /* lookup: page numbers, shuffled */
	uint64_t position;        /* in @order */
	_Atomic uint64_t *stores; /* baselines that only store */
};

static inline struct pgtable_state *state_of(struct bench_state *bench)
{
	return (struct pgtable_state *)bench;
}

static inline const struct variant *variant_of(const struct pgtable_state *state)
{
	return state->bench.bench_case->variant;
}

static int prepare_tables(struct pgtable_state *state, bool pages_only, struct problem *problem)
{
	const struct variant *variant = variant_of(state);
	struct engine_config config = {
		.format = state->bench.format,
		.reclaim = variant->reclaim,
		.flags = variant->flags,
		.cache_clean = variant->flags & IOG_PGTABLE_NONCOHERENT,
		.page_sizes = pages_only ? format_granule(state->bench.format) : 0,
		.lanes = variant->alone ? 1 : 2,
	};
	int ret = engine_create(&config, &state->engine, problem);

	state->page = format_granule(state->bench.format);
	state->table = state->page * (state->page / sizeof(uint64_t));
	state->base = LEAVES_1G * state->page;
	state->paddr = 4 * state->base;
	if (!ret) {
		state->pgtable = state->engine.pgtable;
		state->gather = &state->engine.lanes[0].gather;
	}
	return ret;
}

static int keep_mapped(struct pgtable_state *state, uint64_t iova, struct problem *problem)
{
	int ret = iog_pgtable_map_pages(state->pgtable, iova, state->paddr, state->page, 1, PROT, state->gather, NULL);

	if (ret)
		problem_set(problem, "a page could not be mapped: %s", iog_strerror(ret));
	return ret;
}

/* One page. */

static int prepare_page(struct bench_state *bench, struct problem *problem)
{
	struct pgtable_state *state = state_of(bench);
	int ret = prepare_tables(state, false, problem);

	return ret ? ret : keep_mapped(state, state->base, problem);
}

static int run_page(struct bench_state *bench, uint64_t *ns, uint64_t *calls)
{
	struct pgtable_state *state = state_of(bench);
	struct iog_pgtable *pgtable = state->pgtable;
	struct iog_gather *gather = state->gather;
	uint64_t begin, middle, end, unmapped, total = 0;
	int ret = 0;

	begin = clock_ns();
	for (uint64_t i = 1; i <= PAGES; i++)
		ret |= iog_pgtable_map_pages(pgtable, state->base + i * state->page, state->paddr + i * state->page, state->page, 1, PROT, gather, NULL);
	middle = clock_ns();
	for (uint64_t i = 1; i <= PAGES; i++) {
		ret |= iog_pgtable_unmap_pages(pgtable, state->base + i * state->page, state->page, 1, gather, &unmapped);
		total += unmapped;
	}
	end = clock_ns();
	*ns += variant_of(state)->unmap ? end - middle : middle - begin;
	*calls += PAGES;
	if (ret || total != PAGES * state->page)
		return -IOG_EIO;
	return iog_gather_flush(gather);
}

/* 256 pages. */

static uint64_t run_address(const struct pgtable_state *state, uint64_t run)
{
	return state->base + run * state->table + (run % 2 ? RUN_SPAN - 1 - PAGES : 1) * state->page;
}

static int prepare_run(struct bench_state *bench, struct problem *problem)
{
	struct pgtable_state *state = state_of(bench);
	int ret = prepare_tables(state, false, problem);

	for (uint64_t run = 0; run < RUNS && !ret; run++)
		ret = keep_mapped(state, state->base + run * state->table + (RUN_SPAN - 1) * state->page, problem);
	return ret;
}

static int map_run(struct pgtable_state *state, uint64_t iova)
{
	int ret = 0;

	switch (variant_of(state)->call) {
	case BY_PAGES:
		return iog_pgtable_map_pages(state->pgtable, iova, state->paddr, state->page, PAGES, PROT, state->gather, NULL);
	case BY_RANGE:
		return iog_pgtable_map(state->pgtable, iova, state->paddr, PAGES * state->page, PROT, state->gather);
	case BY_PAGE:
		for (uint64_t i = 0; i < PAGES; i++)
			ret |= iog_pgtable_map_pages(state->pgtable, iova + i * state->page, state->paddr + i * state->page, state->page, 1, PROT, state->gather, NULL);
		break;
	}
	return ret;
}

static int unmap_run(struct pgtable_state *state, uint64_t iova, uint64_t *unmapped)
{
	uint64_t one;
	int ret = 0;

	*unmapped = 0;
	switch (variant_of(state)->call) {
	case BY_PAGES:
		return iog_pgtable_unmap_pages(state->pgtable, iova, state->page, PAGES, state->gather, unmapped);
	case BY_RANGE:
		return iog_pgtable_unmap(state->pgtable, iova, PAGES * state->page, state->gather, unmapped);
	case BY_PAGE:
		for (uint64_t i = 0; i < PAGES; i++) {
			ret |= iog_pgtable_unmap_pages(state->pgtable, iova + i * state->page, state->page, 1, state->gather, &one);
			*unmapped += one;
		}
		break;
	}
	return ret;
}

static int run_run(struct bench_state *bench, uint64_t *ns, uint64_t *calls)
{
	struct pgtable_state *state = state_of(bench);
	uint64_t begin, middle, end, unmapped, total = 0;
	int ret = 0;

	begin = clock_ns();
	for (uint64_t run = 0; run < RUNS; run++)
		ret |= map_run(state, run_address(state, run));
	middle = clock_ns();
	for (uint64_t run = 0; run < RUNS; run++) {
		ret |= unmap_run(state, run_address(state, run), &unmapped);
		total += unmapped;
	}
	end = clock_ns();
	*ns += variant_of(state)->unmap ? end - middle : middle - begin;
	*calls += RUNS;
	if (ret || total != RUNS * PAGES * state->page)
		return -IOG_EIO;
	return iog_gather_flush(state->gather);
}

/* 1 GiB of 4 KiB leaves in one call. */

static int prepare_1g(struct bench_state *bench, struct problem *problem)
{
	struct pgtable_state *state = state_of(bench);
	return prepare_tables(state, true, problem);
}

static int unmap_1g(struct pgtable_state *state)
{
	uint64_t unmapped;
	int ret = iog_pgtable_unmap(state->pgtable, state->base, state->base, state->gather, &unmapped);

	return ret ? ret : unmapped == state->base ? 0 : -IOG_EIO;
}

static int run_1g(struct bench_state *bench, uint64_t *ns, uint64_t *calls)
{
	struct pgtable_state *state = state_of(bench);
	uint64_t begin, middle, end;
	int ret;

	begin = clock_ns();
	ret = iog_pgtable_map(state->pgtable, state->base, state->paddr, state->base, PROT, state->gather);
	middle = clock_ns();
	if (!ret)
		ret = unmap_1g(state);
	end = clock_ns();
	*ns += variant_of(state)->unmap ? end - middle : middle - begin;
	*calls += 1;
	return ret ? ret : iog_gather_flush(state->gather);
}

static int run_cycle(struct bench_state *bench, uint64_t *ns, uint64_t *calls)
{
	struct pgtable_state *state = state_of(bench);
	uint64_t begin = clock_ns();
	int ret;

	ret = iog_pgtable_map(state->pgtable, state->base, state->paddr, state->base, PROT, state->gather);
	if (!ret)
		ret = unmap_1g(state);
	if (!ret)
		ret = iog_gather_flush(state->gather);
	if (!ret)
		ret = iog_pgtable_map(state->pgtable, state->base, state->paddr, state->base, PROT, state->gather);
	*ns += clock_ns() - begin;
	*calls += 1;
	if (!ret)
		ret = unmap_1g(state);
	return ret ? ret : iog_gather_flush(state->gather);
}

/* Lookup. */

static int prepare_lookup(struct bench_state *bench, struct problem *problem)
{
	struct pgtable_state *state = state_of(bench);
	uint64_t pages = variant_of(state)->pages;
	struct random random = { state->bench.seed };
	uint32_t other, page;
	int ret;

	ret = prepare_tables(state, true, problem);
	if (!ret)
		ret = iog_pgtable_map(state->pgtable, state->base, state->paddr, pages * state->page, PROT, state->gather);
	if (ret)
		return ret;
	state->order = memory_new(pages, sizeof(*state->order));
	for (uint32_t i = 0; i < pages; i++) {
		other = (uint32_t)random_below(&random, i + 1);
		page = state->order[other];
		state->order[other] = i;
		if (other != i)
			state->order[i] = page;
	}
	return 0;
}

static int run_lookup(struct bench_state *bench, uint64_t *ns, uint64_t *calls)
{
	struct pgtable_state *state = state_of(bench);
	uint64_t pages = variant_of(state)->pages, count = pages < LOOKUPS ? pages : LOOKUPS, sum = 0, begin, end;
	const uint32_t *order = state->order + state->position;
	struct iog_leaf leaf = { 0 };
	int ret = 0;

	begin = clock_ns();
	for (uint64_t i = 0; i < count; i++) {
		ret |= iog_pgtable_lookup(state->pgtable, 0, state->base + order[i] * state->page, &leaf);
		sum += leaf.paddr - state->paddr;
	}
	end = clock_ns();
	*ns += end - begin;
	*calls += count;
	for (uint64_t i = 0; i < count; i++)
		sum -= order[i] * state->page;
	state->position += count;
	if (state->position == pages)
		state->position = 0;
	return ret || sum ? -IOG_EIO : 0;
}

/* A page each 2 MiB. */

static int sweep(struct pgtable_state *state, uint64_t *ns, uint64_t *calls)
{
	uint64_t pairs = STRESS_TABLES * SIZE_4K / state->page, begin = clock_ns(), unmapped, total = 0;
	int ret = 0;

	for (uint64_t i = 0; i < pairs; i++) {
		ret |= iog_pgtable_map_pages(state->pgtable, i * state->table, state->paddr, state->page, 1, PROT, state->gather, NULL);
		ret |= iog_pgtable_unmap_pages(state->pgtable, i * state->table, state->page, 1, state->gather, &unmapped);
		ret |= iog_gather_flush(state->gather);
		total += unmapped;
	}
	*ns += clock_ns() - begin;
	*calls += pairs;
	return ret || total != pairs * state->page ? -IOG_EIO : 0;
}

/* A first sweep each time, on page tables of its own: the memory that it takes is what this is about. */
static int run_first_sweep(struct bench_state *bench, uint64_t *ns, uint64_t *calls)
{
	struct pgtable_state *state = state_of(bench);
	struct problem problem;
	int ret = prepare_tables(state, false, &problem);

	if (ret)
		return ret;
	ret = sweep(state, ns, calls);
	engine_destroy(&state->engine);
	return ret;
}

static int run_sweep(struct bench_state *bench, uint64_t *ns, uint64_t *calls)
{
	return sweep(state_of(bench), ns, calls);
}

static int prepare_sweep(struct bench_state *bench, struct problem *problem)
{
	struct pgtable_state *state = state_of(bench);
	return prepare_tables(state, false, problem);
}

/* Baselines that are no page tables. */

static int prepare_stores(struct bench_state *bench, struct problem *problem)
{
	struct pgtable_state *state = state_of(bench);
	(void)problem;
	/* Laid out as the tables of run_run() are. */
	state->stores = memory_new_aligned(RUNS, SIZE_4K);
	return 0;
}

static int run_stores(struct bench_state *bench, uint64_t *ns, uint64_t *calls)
{
	struct pgtable_state *state = state_of(bench);
	uint64_t begin = clock_ns();

	for (uint64_t run = 0; run < RUNS; run++) {
		_Atomic uint64_t *at = state->stores + run * 512 + (run % 2 ? 255 : 1);

		for (uint64_t i = 0; i < PAGES; i++)
			atomic_store_explicit(&at[i], (SIZE_1G + i * SIZE_4K) | PROT, memory_order_relaxed);
	}
	*ns += clock_ns() - begin;
	*calls += RUNS;
	return 0;
}

static int prepare_clean(struct bench_state *bench, struct problem *problem)
{
	struct pgtable_state *state = state_of(bench);
	struct iog_posix_config posix = { .flags = IOG_POSIX_CACHE_CLEAN };
	int ret = iog_posix_create(&posix, &state->engine.posix);

	if (ret) {
		problem_set(problem, "cache lines cannot be cleaned: %s", iog_strerror(ret));
		return ret;
	}
	state->stores = memory_new_aligned(1, SIZE_4K);
	return 0;
}

static int run_clean(struct bench_state *bench, uint64_t *ns, uint64_t *calls)
{
	struct pgtable_state *state = state_of(bench);
	const struct iog_platform *platform = iog_posix_platform(state->engine.posix);
	uint64_t begin = clock_ns();

	for (uint64_t i = 1; i <= PAGES; i++) {
		atomic_store_explicit(&state->stores[i], i, memory_order_relaxed);
		platform->cache_clean(platform->ctx, &state->stores[i], sizeof(uint64_t));
	}
	*ns += clock_ns() - begin;
	*calls += PAGES;
	return 0;
}

static void destroy(struct bench_state *bench)
{
	struct pgtable_state *state = state_of(bench);

	engine_destroy(&state->engine);
	free(state->order);
	free((void *)state->stores);
}

#define SINGLE IOG_PGTABLE_SINGLE_WRITER
#define NONCOHERENT IOG_PGTABLE_NONCOHERENT

#define VARIANT(...) &(const struct variant){ __VA_ARGS__ }

static const struct bench_case cases[] = {
	{ "pt_map_1", "map one page, tables present", "pt_map_1_none", .run = run_page, .prepare = prepare_page, .variant = VARIANT(0) },
	{ "pt_unmap_1", "unmap it", "pt_unmap_1_none", .run = run_page, .prepare = prepare_page, .variant = VARIANT(.unmap = true) },
	{ "pt_map_1_alone", "the same with one lane altogether", "pt_map_1_none", .run = run_page, .prepare = prepare_page, .variant = VARIANT(.alone = true) },
	{ "pt_unmap_1_alone", "unmap it", "pt_unmap_1_none", .run = run_page, .prepare = prepare_page, .variant = VARIANT(.alone = true, .unmap = true) },
	{ "pt_map_1_none", "the same without reclaim", .run = run_page, .prepare = prepare_page, .variant = VARIANT(.reclaim = IOG_RECLAIM_NONE) },
	{ "pt_unmap_1_none", "unmap it", .run = run_page, .prepare = prepare_page, .variant = VARIANT(.reclaim = IOG_RECLAIM_NONE, .unmap = true) },
	{ "pt_map_1_rwlock", "the same with the reader-writer lock", "pt_map_1_none", .run = run_page, .prepare = prepare_page,
	  .variant = VARIANT(.reclaim = IOG_RECLAIM_RWLOCK) },
	{ "pt_unmap_1_rwlock", "unmap it", "pt_unmap_1_none", .run = run_page, .prepare = prepare_page,
	  .variant = VARIANT(.reclaim = IOG_RECLAIM_RWLOCK, .unmap = true) },
	{ "pt_map_1_single", "map one page, tables present, single writer", "pt_map_1", .run = run_page, .prepare = prepare_page,
	  .variant = VARIANT(.flags = SINGLE) },
	{ "pt_unmap_1_single", "unmap it", "pt_unmap_1", .run = run_page, .prepare = prepare_page, .variant = VARIANT(.flags = SINGLE, .unmap = true) },

	{ "pt_map_256", "map 256 pages by one map_pages()", "store_256", .run = run_run, .prepare = prepare_run, .variant = VARIANT(0) },
	{ "pt_unmap_256", "unmap them by one unmap_pages()", "store_256", .run = run_run, .prepare = prepare_run, .variant = VARIANT(.unmap = true) },
	{ "pt_map_256_by_page", "map 256 pages by a map_pages() each", "pt_map_256", .run = run_run, .prepare = prepare_run,
	  .variant = VARIANT(.call = BY_PAGE) },
	{ "pt_unmap_256_by_page", "unmap them by an unmap_pages() each", "pt_unmap_256", .run = run_run, .prepare = prepare_run,
	  .variant = VARIANT(.call = BY_PAGE, .unmap = true) },
	{ "pt_map_256_range", "map 256 pages by one map() of the range", "pt_map_256", .run = run_run, .prepare = prepare_run,
	  .variant = VARIANT(.call = BY_RANGE) },
	{ "pt_unmap_256_range", "unmap them by one unmap() of the range", "pt_unmap_256", .run = run_run, .prepare = prepare_run,
	  .variant = VARIANT(.call = BY_RANGE, .unmap = true) },
	{ "store_256", "256 stores of 64 bits in a loop", .run = run_stores, .prepare = prepare_stores, .variant = VARIANT(0) },

	{ "pt_map_1g", "map 1 GiB of 4 KiB leaves in one call", "pt_map_1g_none", LEAVES_1G, .run = run_1g, .prepare = prepare_1g, .variant = VARIANT(0) },
	{ "pt_unmap_1g", "unmap it", "pt_unmap_1g_none", LEAVES_1G, .run = run_1g, .prepare = prepare_1g, .variant = VARIANT(.unmap = true) },
	{ "pt_cycle_1g", "map, unmap, flush and map it again", "pt_cycle_1g_none", LEAVES_1G, .run = run_cycle, .prepare = prepare_1g, .variant = VARIANT(0) },
	{ "pt_map_1g_none", "map 1 GiB of 4 KiB leaves without reclaim", NULL, LEAVES_1G, .run = run_1g, .prepare = prepare_1g,
	  .variant = VARIANT(.reclaim = IOG_RECLAIM_NONE) },
	{ "pt_unmap_1g_none", "unmap it", NULL, LEAVES_1G, .run = run_1g, .prepare = prepare_1g,
	  .variant = VARIANT(.reclaim = IOG_RECLAIM_NONE, .unmap = true) },
	{ "pt_cycle_1g_none", "map, unmap, flush and map it again", NULL, LEAVES_1G, .run = run_cycle, .prepare = prepare_1g,
	  .variant = VARIANT(.reclaim = IOG_RECLAIM_NONE) },

	{ "pt_lookup_1m", "look up random pages, 1 MiB of 4 KiB leaves mapped", "pt_lookup_1m_none", .run = run_lookup, .prepare = prepare_lookup,
	  .variant = VARIANT(.pages = 256) },
	{ "pt_lookup_1g", "look up random pages, 1 GiB of 4 KiB leaves mapped", "pt_lookup_1g_none", .run = run_lookup, .prepare = prepare_lookup,
	  .variant = VARIANT(.pages = LEAVES_1G) },
	{ "pt_lookup_1m_none", "the former without reclaim", .run = run_lookup, .prepare = prepare_lookup,
	  .variant = VARIANT(.reclaim = IOG_RECLAIM_NONE, .pages = 256) },
	{ "pt_lookup_1g_none", "the latter without reclaim", .run = run_lookup, .prepare = prepare_lookup,
	  .variant = VARIANT(.reclaim = IOG_RECLAIM_NONE, .pages = LEAVES_1G) },

	{ "pt_map_1_noncoherent", "map one page, the walker does not snoop", "clean_1", .run = run_page, .prepare = prepare_page,
	  .variant = VARIANT(.flags = NONCOHERENT) },
	{ "pt_unmap_1_noncoherent", "unmap it", "clean_1", .run = run_page, .prepare = prepare_page,
	  .variant = VARIANT(.flags = NONCOHERENT, .unmap = true) },
	{ "clean_1", "store 64 bits and clean their cache line", .run = run_clean, .prepare = prepare_clean, .variant = VARIANT(0) },

	{ "stress_2m", "map, unmap and flush a page each 2 MiB of 64 GiB, one lane as the command has", "stress_2m_none", .run = run_first_sweep,
	  .variant = VARIANT(.alone = true) },
	{ "stress_2m_lanes", "the same with a second lane, idle", "stress_2m_none", .run = run_first_sweep, .variant = VARIANT(0) },
	{ "stress_2m_rwlock", "the same with the reader-writer lock", "stress_2m_none", .run = run_first_sweep,
	  .variant = VARIANT(.reclaim = IOG_RECLAIM_RWLOCK) },
	{ "stress_2m_none", "the same without reclaim: a new table for each page", .run = run_first_sweep,
	  .variant = VARIANT(.reclaim = IOG_RECLAIM_NONE) },
	{ "stress_2m_none_again", "the same once all those tables are there", .run = run_sweep, .prepare = prepare_sweep,
	  .variant = VARIANT(.reclaim = IOG_RECLAIM_NONE) },
};

const struct bench_group bench_pgtable = {
	.cases = cases,
	.nr_cases = sizeof(cases) / sizeof(cases[0]),
	.state_size = sizeof(struct pgtable_state),
	.destroy = destroy,
};

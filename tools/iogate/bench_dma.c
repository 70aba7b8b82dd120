/* SPDX-License-Identifier: MIT */
/*
 * Rounds of a DMA mapping: allocate an address, map, unmap, free; see bench.h. One page at a time, with LIVE mapped all the while, of which the oldest goes; or a list of LIST pages.
 *
 * The "pair" of a policy is what the DMA API calls for it, without the API's own checks and counts. "dma_pair" is the whole of iog_dma_map() and iog_dma_unmap().
 */
#include "bench.h"

#include <iogate/error.h>

/* The policy's own operations: below the public interface. */
#include "../../src/dma/domain.h"

#include "clock.h"
#include "dma_bed.h"
#include "size.h"

#define LIVE 256
/* Rounds in a batch; a multiple of LIVE. */
#define ROUNDS 4096
/* Pages of a list, one to a segment; and rounds of one in a batch. */
#define LIST 64
#define LISTS 256
#define PADDR (UINT64_C(64) << 30)
#define PROT (IOG_PROT_READ | IOG_PROT_WRITE)

struct variant {
	const char *policy;
	enum iog_inval_mode mode;
	bool scattered; /* pages do not follow one another */
	bool simulate; /* by a unit that keeps caches and walks; not judged */
};

struct dma_state {
	struct bench_state bench;
	struct dma_bed bed;
	iog_iova_t live[LIVE];
	struct iog_sg sg[LIST];
};

static struct dma_state *state_of(struct bench_state *bench)
{
	return (struct dma_state *)bench;
}

/* The owner of memory who is told that it may be used again, and does nothing. */
static void nobody_waits(void *ctx, iog_paddr_t paddr, uint64_t size)
{
	(void)ctx;
	(void)paddr;
	(void)size;
}

/* Of the mapping number @i that is live. */
static iog_paddr_t page_of(const struct variant *variant, uint64_t i)
{
	return PADDR + i * (variant->scattered ? 3 : 1) * SIZE_4K;
}

static int prepare(struct bench_state *bench, struct problem *problem)
{
	static const struct iog_hold_ops hold = { .release = nobody_waits };
	const struct variant *variant = bench->bench_case->variant;
	struct dma_state *state = state_of(bench);
	struct dma_bed_config config = {
		.format = bench->format,
		.policy = variant->policy,
		.mode = variant->mode,
		.hold = variant->mode == IOG_INVAL_HELD ? &hold : NULL,
		.simulate = variant->simulate,
		/* The second is idle; but nobody can leave out what lanes owe each other. */
		.lanes = 2,
	};
	int ret = dma_bed_create(&config, &state->bed, problem);

	for (uint64_t i = 0; i < LIVE && !ret; i++) {
		ret = iog_dma_map(state->bed.device, 0, page_of(variant, i), SIZE_4K, IOG_DMA_BIDIRECTIONAL, 0, &state->live[i]);
		if (ret)
			problem_set(problem, "a page could not be mapped: %s", iog_strerror(ret));
	}
	for (uint64_t i = 0; i < LIST; i++)
		state->sg[i] = (struct iog_sg){ .paddr = page_of(variant, LIVE + i), .size = SIZE_4K };
	return ret;
}

static int run_policy(struct bench_state *bench, uint64_t *ns, uint64_t *calls)
{
	struct dma_state *state = state_of(bench);
	struct domain_lane *lane = &state->bed.domain->lanes[0];
	const struct iog_policy *policy = state->bed.domain->policy;
	uint64_t begin = clock_ns();
	int ret = 0;

	for (uint64_t i = 0; i < ROUNDS; i++) {
		iog_iova_t *iova = &state->live[i % LIVE];

		ret |= policy->unmap(lane, *iova, SIZE_4K);
		ret |= policy->map(lane, PADDR + i % LIVE * SIZE_4K, SIZE_4K, PROT, UINT64_MAX, iova);
	}
	*ns += clock_ns() - begin;
	*calls += ROUNDS;
	return ret ? -IOG_EIO : 0;
}

static int run_api(struct bench_state *bench, uint64_t *ns, uint64_t *calls)
{
	const struct variant *variant = bench->bench_case->variant;
	struct dma_state *state = state_of(bench);
	struct iog_device *device = state->bed.device;
	uint64_t begin = clock_ns();
	int ret = 0;

	for (uint64_t i = 0; i < ROUNDS; i++) {
		iog_iova_t *iova = &state->live[i % LIVE];

		ret |= iog_dma_unmap(device, 0, *iova, SIZE_4K, IOG_DMA_BIDIRECTIONAL, 0);
		ret |= iog_dma_map(device, 0, page_of(variant, i % LIVE), SIZE_4K, IOG_DMA_BIDIRECTIONAL, 0, iova);
	}
	*ns += clock_ns() - begin;
	*calls += ROUNDS;
	return ret ? -IOG_EIO : 0;
}

static int run_list(struct bench_state *bench, uint64_t *ns, uint64_t *calls)
{
	struct dma_state *state = state_of(bench);
	struct iog_device *device = state->bed.device;
	uint64_t begin = clock_ns();
	int ret = 0;

	for (uint64_t i = 0; i < LISTS; i++) {
		uint32_t pairs;

		ret |= iog_dma_map_sg(device, 0, state->sg, LIST, IOG_DMA_BIDIRECTIONAL, 0, NULL, &pairs);
		ret |= iog_dma_unmap_sg(device, 0, state->sg, LIST, IOG_DMA_BIDIRECTIONAL, 0);
	}
	*ns += clock_ns() - begin;
	*calls += LISTS;
	return ret ? -IOG_EIO : 0;
}

static void destroy(struct bench_state *bench)
{
	dma_bed_destroy(&state_of(bench)->bed);
}

#define CASE(how) .prepare = prepare, .run = how
#define VARIANT(...) .variant = &(const struct variant){ __VA_ARGS__ }

static const struct bench_case cases[] = {
	{ "window_pair", "address and entry of a page from a window, deferred, 256 live", "tree_pair", CASE(run_policy), VARIANT(.policy = "window", .mode = IOG_INVAL_DEFERRED) },
	{ "tree_pair", "the same from a tree, and a walk", CASE(run_policy), VARIANT(.policy = "tree", .mode = IOG_INVAL_DEFERRED) },
	{ "magazine_pair", "the same from magazines, and a walk", "tree_pair", CASE(run_policy), VARIANT(.policy = "magazine", .mode = IOG_INVAL_DEFERRED) },
	{ "pooled_pair", "the same from bitmap pools, and a walk", "tree_pair", CASE(run_policy), VARIANT(.policy = "pooled", .mode = IOG_INVAL_DEFERRED) },
	{ "identity_pair", "the same 1:1", "tree_pair", CASE(run_policy), VARIANT(.policy = "identity", .mode = IOG_INVAL_DEFERRED) },
	{ "dma_pair_deferred", "iog_dma_map() and iog_dma_unmap(), window, deferred, on a unit without latency", "window_pair", CASE(run_api), VARIANT(.policy = "window", .mode = IOG_INVAL_DEFERRED) },
	{ "dma_pair_held", "the same, held: the memory is let go by the flush", "dma_pair_deferred", CASE(run_api), VARIANT(.policy = "window", .mode = IOG_INVAL_HELD) },
	{ "dma_pair_held_scattered", "the same of pages that do not follow one another", "dma_pair_held", CASE(run_api),
	  VARIANT(.policy = "window", .mode = IOG_INVAL_HELD, .scattered = true) },
	{ "dma_pair_strict", "dma_pair_deferred, invalidated at each unmap", "dma_pair_deferred", CASE(run_api), VARIANT(.policy = "window", .mode = IOG_INVAL_STRICT) },
	{ "dma_pair_strict_tree", "the same from a tree, and a walk", "dma_pair_strict", CASE(run_api), VARIANT(.policy = "tree", .mode = IOG_INVAL_STRICT) },
	{ "dma_pair_strict_sim", "dma_pair_strict on the simulated IOMMU, which searches its caches", "dma_pair_strict", CASE(run_api),
	  VARIANT(.policy = "window", .mode = IOG_INVAL_STRICT, .simulate = true) },
	{ "sg_64_strict", "iog_dma_map_sg() and iog_dma_unmap_sg() of 64 pages that follow one another, strict", "dma_pair_strict", CASE(run_list),
	  VARIANT(.policy = "window", .mode = IOG_INVAL_STRICT) },
	{ "sg_64_strict_scattered", "the same of 64 pages here and there", "sg_64_strict", CASE(run_list), VARIANT(.policy = "window", .mode = IOG_INVAL_STRICT, .scattered = true) },
};

const struct bench_group bench_dma = {
	.cases = cases,
	.nr_cases = sizeof(cases) / sizeof(cases[0]),
	.state_size = sizeof(struct dma_state),
	.destroy = destroy,
};

/* SPDX-License-Identifier: MIT */
/*
 * What several lanes do together, in millions of rounds per second: one lane on one of two CPUs, two lanes on both, and 200 lanes, each a thread, on both; see bench.h.
 *
 * Every lane keeps LIVE mapped, and replaces the oldest, until the time is up. What goes through the DMA API is run once more before it is measured, under the judge, in both modes of invalidation,
 * with a device access for each mapping: a violation ends the benchmark.
 */
#include "bench.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <iogate/error.h>

#include "clock.h"
#include "crew.h"
#include "dma_bed.h"
#include "memory.h"
#include "policy.h"
#include "size.h"

#define CPUS 2
#define LIVE 256
/* Rounds between two looks at the clock, and of the judged run over all lanes. */
#define ROUNDS 256
#define JUDGED_ROUNDS 20000
/* A batch lasts so long; with many threads so that each has had the CPU. */
#define BATCH_NS UINT64_C(60000000)
#define BATCH_MANY_NS UINT64_C(400000000)
#define PADDR (UINT64_C(64) << 30)
#define PROT (IOG_PROT_READ | IOG_PROT_WRITE)

struct variant {
	const char *policy; /* through the DMA API, deferred; */
	const char *scheme; /* or the allocator by itself */
	uint32_t nr_lanes;
};

struct scale_lane {
	_Alignas(64) iog_iova_t live[LIVE];
	uint32_t position;
	uint64_t rounds; /* of the batch */
};

struct scale_state {
	struct bench_state bench;
	struct dma_bed bed;
	struct iog_posix *posix;
	struct iog_iova *iova;
	struct scale_lane *lanes;
	_Atomic uint64_t begin_ns; /* of the batch, when the first thread has come to it; 0: none has */
	_Atomic uint64_t wrong; /* judged: accesses that did not end as they should */
};

static struct scale_state *state_of(struct bench_state *bench)
{
	return (struct scale_state *)bench;
}

static const struct variant *variant_of(const struct scale_state *state)
{
	return state->bench.bench_case->variant;
}

/* A lane's buffers are its own pages. */
static iog_paddr_t buffer(uint32_t lane, uint32_t position)
{
	return PADDR + ((uint64_t)lane * LIVE + position) * SIZE_4K;
}

static int map(struct scale_state *state, uint32_t lane, uint32_t at)
{
	return iog_dma_map(state->bed.device, lane, buffer(lane, at), SIZE_4K, IOG_DMA_BIDIRECTIONAL, 0, &state->lanes[lane].live[at]);
}

static int unmap(struct scale_state *state, uint32_t lane, uint32_t at)
{
	return iog_dma_unmap(state->bed.device, lane, state->lanes[lane].live[at], SIZE_4K, IOG_DMA_BIDIRECTIONAL, 0);
}

static int rounds_dma(struct scale_state *state, uint32_t index)
{
	struct scale_lane *lane = &state->lanes[index];
	int ret = 0;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		ret |= unmap(state, index, lane->position);
		ret |= map(state, index, lane->position);
		lane->position = (lane->position + 1) % LIVE;
	}
	return ret;
}

static int rounds_iova(struct scale_state *state, uint32_t index)
{
	struct scale_lane *lane = &state->lanes[index];
	int ret = 0;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		ret |= iog_iova_free(state->iova, index, lane->live[lane->position], SIZE_4K);
		ret |= iog_iova_alloc(state->iova, index, SIZE_4K, UINT64_MAX, NULL, &lane->live[lane->position]);
		lane->position = (lane->position + 1) % LIVE;
	}
	return ret;
}

static int work(void *ctx, uint32_t index)
{
	struct scale_state *state = ctx;
	const struct variant *variant = variant_of(state);
	uint64_t begin = 0, now = clock_ns(), length = variant->nr_lanes > CPUS ? BATCH_MANY_NS : BATCH_NS, rounds = 0;
	int ret = 0;

	atomic_compare_exchange_strong(&state->begin_ns, &begin, now);
	for (begin = atomic_load(&state->begin_ns); now - begin < length && !ret; now = clock_ns()) {
		ret = variant->policy ? rounds_dma(state, index) : rounds_iova(state, index);
		rounds += ROUNDS;
	}
	state->lanes[index].rounds = rounds;
	return ret ? -IOG_EIO : 0;
}

static int fill_dma(void *ctx, uint32_t index)
{
	int ret = 0;

	for (uint32_t i = 0; i < LIVE && !ret; i++)
		ret = map(ctx, index, i);
	return ret;
}

static int fill_iova(void *ctx, uint32_t index)
{
	struct scale_state *state = ctx;
	int ret = 0;

	for (uint32_t i = 0; i < LIVE && !ret; i++)
		ret = iog_iova_alloc(state->iova, index, SIZE_4K, UINT64_MAX, NULL, &state->lanes[index].live[i]);
	return ret;
}

static bool lands(struct scale_state *state, uint32_t lane, uint32_t at)
{
	iog_paddr_t paddr;

	return !iog_sim_device_translate(state->bed.sim, DMA_BED_DEVICE, state->lanes[lane].live[at], IOG_PROT_READ, &paddr) && paddr == buffer(lane, at);
}

/* Under the judge: everything that was mapped is used, and unmapped at the end. */
static int work_judged(void *ctx, uint32_t index)
{
	struct scale_state *state = ctx;
	uint32_t rounds = JUDGED_ROUNDS / variant_of(state)->nr_lanes + LIVE, at;
	iog_iova_t *live = state->lanes[index].live;
	int ret = 0;

	for (uint32_t i = 0; i < rounds + LIVE && !ret; i++) {
		at = i % LIVE;
		if (i >= LIVE) {
			iog_sim_note_unmap(state->bed.seen, live[at], SIZE_4K);
			ret = unmap(state, index, at);
		}
		if (!ret && i < rounds) {
			ret = map(state, index, at);
			if (ret)
				break;
			iog_sim_note_map(state->bed.seen, live[at], buffer(index, at), SIZE_4K, PROT);
			if (!lands(state, index, at))
				atomic_fetch_add(&state->wrong, 1);
		}
	}
	return ret;
}

static int create_bed(struct scale_state *state, bool judged, enum iog_inval_mode mode, struct problem *problem)
{
	const struct variant *variant = variant_of(state);
	struct dma_bed_config config = {
		.format = state->bench.format,
		.policy = variant->policy,
		.mode = mode,
		.simulate = judged,
		.judge = judged,
		/* One more, idle, where there would be one: nobody can leave out what lanes owe each other. */
		.lanes = variant->nr_lanes > 1 ? variant->nr_lanes : 2,
	};

	return dma_bed_create(&config, &state->bed, problem);
}

/* Returns 0; or a negative iogate error with @problem set, -IOG_EIO for a violation. */
static int judge(struct scale_state *state, enum iog_inval_mode mode, struct problem *problem)
{
	struct iog_domain_stats stats;
	struct iog_sim_stats sim;
	int ret = create_bed(state, true, mode, problem);

	if (ret)
		return ret;
	ret = crew_run(variant_of(state)->nr_lanes, CPUS, work_judged, state, NULL, problem);
	if (!ret)
		ret = dma_bed_trim(&state->bed);
	iog_sim_stats(state->bed.sim, &sim);
	iog_domain_stats(state->bed.domain, &stats);
	dma_bed_destroy(&state->bed);
	if (ret) {
		problem_set(problem, "under the judge, %s: %s", mode_name(mode), iog_strerror(ret));
	} else if (sim.violations_total || sim.unjudged || state->wrong || stats.bytes_mapped || stats.iova.live_bytes) {
		problem_set(problem, "under the judge, %s: %" PRIu64 " violations, %" PRIu64 " accesses that did not land, %" PRIu64 " accesses not judged, %" PRIu64
			    " bytes of addresses not given back", mode_name(mode), sim.violations_total, (uint64_t)state->wrong, sim.unjudged, stats.iova.live_bytes);
		ret = -IOG_EIO;
	}
	return ret;
}

static int create_iova(struct scale_state *state)
{
	struct iog_iova_config config = { .ops = scheme_find(variant_of(state)->scheme), .lanes = variant_of(state)->nr_lanes };
	int ret = iog_posix_create(NULL, &state->posix);

	if (ret)
		return ret;
	config.platform = iog_posix_platform(state->posix);
	config.lanes = config.lanes > 1 ? config.lanes : 2;
	return iog_iova_create(&config, &state->iova);
}

static int prepare(struct bench_state *bench, struct problem *problem)
{
	struct scale_state *state = state_of(bench);
	const struct variant *variant = variant_of(state);
	int ret = 0;

	if (variant->nr_lanes > 1 && crew_cpus() < CPUS) {
		problem_set(problem, "it takes two CPUs, and this process may use one");
		return -IOG_EOPNOTSUPP;
	}
	state->lanes = memory_new_aligned(variant->nr_lanes, sizeof(*state->lanes));
	if (!variant->policy) {
		ret = create_iova(state);
		return ret ? ret : crew_run(variant->nr_lanes, CPUS, fill_iova, state, NULL, problem);
	}
	for (enum iog_inval_mode mode = IOG_INVAL_STRICT; mode <= IOG_INVAL_HELD && !ret; mode++)
		ret = judge(state, mode, problem);
	if (!ret)
		ret = create_bed(state, false, true, problem);
	return ret ? ret : crew_run(variant->nr_lanes, CPUS, fill_dma, state, NULL, problem);
}

static int run(struct bench_state *bench, uint64_t *ns, uint64_t *calls)
{
	struct scale_state *state = state_of(bench);
	uint32_t lanes = variant_of(state)->nr_lanes;
	struct problem problem;
	uint64_t wall = 0;
	int ret;

	state->begin_ns = 0;
	ret = crew_run(lanes, CPUS, work, state, &wall, &problem);
	*ns += wall;
	for (uint32_t i = 0; i < lanes; i++)
		*calls += state->lanes[i].rounds;
	return ret;
}

static void destroy(struct bench_state *bench)
{
	struct scale_state *state = state_of(bench);

	dma_bed_destroy(&state->bed);
	iog_iova_destroy(state->iova);
	iog_posix_destroy(state->posix);
	free(state->lanes);
}

#define CASE .unit = "M rounds/s", .is_rate = true, .prepare = prepare, .run = run
#define VARIANT(...) .variant = &(const struct variant){ __VA_ARGS__ }
#define DMA(name, text) \
	{ "scale_" name "_1", "DMA API, " text ", deferred: one lane", CASE, VARIANT(.policy = (name), .nr_lanes = 1) }, \
	{ "scale_" name "_2", "two lanes on two CPUs", "scale_" name "_1", CASE, VARIANT(.policy = (name), .nr_lanes = 2) }, \
	{ "scale_" name "_200", "200 threads on two CPUs", "scale_" name "_2", CASE, VARIANT(.policy = (name), .nr_lanes = 200) }
#define IOVA(name, text) \
	{ "scale_iova_" name "_1", "addresses alone, " text ": one lane", CASE, VARIANT(.scheme = (name), .nr_lanes = 1) }, \
	{ "scale_iova_" name "_2", "two lanes on two CPUs", "scale_iova_" name "_1", CASE, VARIANT(.scheme = (name), .nr_lanes = 2) }, \
	{ "scale_iova_" name "_200", "200 threads on two CPUs", "scale_iova_" name "_2", CASE, VARIANT(.scheme = (name), .nr_lanes = 200) }

static const struct bench_case cases[] = {
	DMA("window", "windows"), DMA("magazine", "magazines"), DMA("tree", "tree"), DMA("pooled", "bitmap pools"),
	IOVA("window", "windows"), IOVA("magazine", "magazines"), IOVA("tree", "tree"), IOVA("pooled", "bitmap pools"),
};

const struct bench_group bench_scale = {
	.cases = cases,
	.nr_cases = sizeof(cases) / sizeof(cases[0]),
	.state_size = sizeof(struct scale_state),
	.destroy = destroy,
};

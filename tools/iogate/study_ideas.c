/* SPDX-License-Identifier: MIT */
/*
 * The three ideas of Fast & Safe, each on or off; see study.h. Strict invalidation by hand, with the library's parts (addresses, page table, gather) and the unit's own commands, because
 * the DMA API does not let go of any of the ideas.
 *
 * A network device fills 64-page descriptors of 8 rings, each ring in order, and sends single pages. What is left out is the least that does without the idea:
 *   contiguous  each page has an address of its own, from an allocator that was in use for long: pages were freed and taken in random order before
 *   batched     each page is unmapped and invalidated when it was received, while the device goes on to the next
 *   ranged      a batch is a flush of the domain
 *   kept        each invalidation drops the walk caches for its addresses
 */
#include "study.h"

#include <stdlib.h>

#include <iogate/error.h>
#include <iogate/iova.h>

#include "engine.h"
#include "interrupt.h"
#include "memory.h"
#include "pace.h"
#include "size.h"

#define SLOTS 128
#define PAGES STUDY_DESCRIPTOR_PAGES
#define UNITS (STUDY_RINGS * SLOTS)
/* Gathers keep 16 ranges apart; these together a descriptor's. */
#define GATHERS (PAGES / IOG_GATHER_RANGES)
#define PADDR (UINT64_C(64) << 30)
#define PROT (IOG_PROT_READ | IOG_PROT_WRITE)
#define LOOK 1024

const char *const study_idea_names[4] = { "contiguous", "batched", "ranged", "kept" };

struct ring {
	uint32_t at, page;
};

struct run {
	const struct study_config *config;
	struct study_ideas_result *result;
	uint32_t ideas;
	struct engine engine;
	struct iog_iova *iova;
	struct iog_gather *gathers;
	iog_iova_t (*descriptors)[PAGES]; /* by ring, then slot */
	struct ring rings[STUDY_RINGS];
	iog_iova_t sent[STUDY_SEND_LIVE];
	uint64_t nr_sent;
	struct random random;
};

static bool has(const struct run *run, enum study_idea idea)
{
	return run->ideas & idea;
}

/* An iog_flush_fn that queues what the ideas have it queue. Who waits is the caller's affair. */
static int queue_commands(const struct iog_gather *gather, void *ctx)
{
	struct run *run = ctx;
	struct iog_sim_domain *domain = run->engine.domain;
	bool leaf_only = has(run, STUDY_KEPT) && !gather->walk_caches;
	int ret = 0;

	if (!has(run, STUDY_RANGED) || gather->everything)
		return iog_sim_inval_domain(domain);
	for (uint32_t i = 0; i < gather->nr_ranges && !ret; i++)
		ret = iog_sim_inval_range(domain, gather->ranges[i].first, gather->ranges[i].last, leaf_only);
	for (uint32_t i = 0; i < gather->nr_tables && !ret; i++)
		ret = iog_sim_inval_range(domain, gather->tables[i].span.first, gather->tables[i].span.last, false);
	return ret;
}

/* Where a page-table call itself cannot go on without. */
static int flush_now(const struct iog_gather *gather, void *ctx)
{
	struct run *run = ctx;
	int ret = queue_commands(gather, ctx);

	return ret ? ret : iog_sim_inval_wait(run->engine.sim);
}

/* Make the unit forget what @count gathers hold, by one wait. */
static int invalidate(struct run *run, uint32_t count)
{
	bool queued = false;
	int ret = 0;

	for (uint32_t i = 0; i < count && !ret; i++) {
		if (iog_gather_is_empty(&run->gathers[i]) || (queued && !has(run, STUDY_RANGED)))
			continue;
		ret = queue_commands(&run->gathers[i], run);
		queued = true;
	}
	if (!ret)
		ret = iog_sim_inval_wait(run->engine.sim);
	for (uint32_t i = 0; i < count && !ret; i++)
		iog_gather_complete(&run->gathers[i]);
	return ret;
}

static int take(struct run *run, iog_iova_t *iovas, uint32_t pages)
{
	int ret = 0;

	if (has(run, STUDY_CONTIGUOUS) && pages > 1) {
		ret = iog_iova_alloc(run->iova, 0, pages * SIZE_4K, UINT64_MAX, NULL, &iovas[0]);
		for (uint32_t i = 1; i < pages; i++)
			iovas[i] = iovas[0] + i * SIZE_4K;
		return ret;
	}
	for (uint32_t i = 0; i < pages && !ret; i++)
		ret = iog_iova_alloc(run->iova, 0, SIZE_4K, UINT64_MAX, NULL, &iovas[i]);
	return ret;
}

static int give(struct run *run, const iog_iova_t *iovas, uint32_t pages)
{
	int ret = 0;

	if (has(run, STUDY_CONTIGUOUS) && pages > 1)
		return iog_iova_free(run->iova, 0, iovas[0], pages * SIZE_4K);
	for (uint32_t i = 0; i < pages && !ret; i++)
		ret = iog_iova_free(run->iova, 0, iovas[i], SIZE_4K);
	return ret;
}

static int map_pages(struct run *run, const iog_iova_t *iovas, uint64_t paddr, uint32_t pages)
{
	struct engine *engine = &run->engine;
	int ret = 0;

	for (uint32_t i = 0; i < pages && !ret; i++) {
		ret = iog_pgtable_map_pages(engine->pgtable, iovas[i], paddr + i * SIZE_4K, SIZE_4K, 1, PROT, &run->gathers[0], NULL);
		if (!ret)
			iog_sim_note_map(engine->domain, iovas[i], paddr + i * SIZE_4K, SIZE_4K, PROT);
	}
	return ret;
}

/* Strict, by one invalidation. @tickets of the pages are noted before any of them goes. */
static int unmap_pages(struct run *run, const iog_iova_t *iovas, uint32_t pages)
{
	struct engine *engine = &run->engine;
	uint64_t begin = pace_now(NULL), tickets[PAGES];
	int ret = 0;

	for (uint32_t i = 0; i < pages; i++)
		tickets[i] = iog_sim_note_unmap(engine->domain, iovas[i], SIZE_4K);
	if (has(run, STUDY_CONTIGUOUS)) {
		ret = iog_pgtable_unmap_pages(engine->pgtable, iovas[0], SIZE_4K, pages, &run->gathers[0], NULL);
	} else {
		for (uint32_t i = 0; i < pages && !ret; i++)
			ret = iog_pgtable_unmap_pages(engine->pgtable, iovas[i], SIZE_4K, 1, &run->gathers[i / IOG_GATHER_RANGES], NULL);
	}
	if (!ret)
		ret = invalidate(run, GATHERS);
	for (uint32_t i = 0; i < pages; i++)
		iog_sim_note_unmapped(engine->sim, tickets[i]);
	run->result->unmap_ns += pace_now(NULL) - begin;
	return ret;
}

static void access_page(struct run *run, iog_iova_t iova, uint64_t paddr)
{
	iog_paddr_t landed;

	pace_pass(STUDY_PAGE_NS);
	run->result->pages++;
	if (iog_sim_translate(run->engine.domain, iova, IOG_PROT_WRITE, &landed) || landed != paddr)
		run->result->failures++;
}

static uint64_t descriptor_paddr(uint32_t unit)
{
	return PADDR + (uint64_t)unit * PAGES * SIZE_4K;
}

static int receive_page(struct run *run)
{
	uint32_t index = (uint32_t)random_below(&run->random, STUDY_RINGS);
	struct ring *ring = &run->rings[index];
	uint32_t unit = index * SLOTS + ring->at, page = ring->page++;
	iog_iova_t *iovas = run->descriptors[unit];
	int ret = 0;

	access_page(run, iovas[page], descriptor_paddr(unit) + page * SIZE_4K);
	if (!has(run, STUDY_BATCHED))
		ret = unmap_pages(run, &iovas[page], 1);
	if (ring->page < PAGES || ret)
		return ret;
	ring->page = 0;
	ring->at = (ring->at + 1) % SLOTS;
	if (has(run, STUDY_BATCHED))
		ret = unmap_pages(run, iovas, PAGES);
	if (!ret)
		ret = give(run, iovas, PAGES);
	if (!ret)
		ret = take(run, iovas, PAGES);
	return ret ? ret : map_pages(run, iovas, descriptor_paddr(unit), PAGES);
}

static int send_page(struct run *run)
{
	uint32_t index = (uint32_t)(run->nr_sent % STUDY_SEND_LIVE);
	uint64_t paddr = descriptor_paddr(UNITS) + index * SIZE_4K;
	iog_iova_t *iova = &run->sent[index];
	int ret = 0;

	if (run->nr_sent++ >= STUDY_SEND_LIVE) {
		ret = unmap_pages(run, iova, 1);
		if (!ret)
			ret = give(run, iova, 1);
	}
	if (!ret)
		ret = take(run, iova, 1);
	if (!ret)
		ret = map_pages(run, iova, paddr, 1);
	if (!ret)
		access_page(run, *iova, paddr);
	return ret;
}

static int steps(struct run *run, uint64_t pages)
{
	int ret = 0;

	for (uint64_t i = 0; i < pages && !ret; i++) {
		if (i % LOOK == 0 && interrupted())
			return -IOG_EAGAIN;
		ret = receive_page(run);
		if (!ret && i % STUDY_SEND_EVERY == 0)
			ret = send_page(run);
	}
	return ret;
}

/* Two places of the rings exchange their addresses, by way of the allocator: what comes back last goes out first. */
static int exchange(struct run *run, iog_iova_t *one, iog_iova_t *other, uint32_t pages)
{
	int ret = give(run, one, pages);

	if (!ret)
		ret = give(run, other, pages);
	if (!ret)
		ret = take(run, one, pages);
	return ret ? ret : take(run, other, pages);
}

static int fill_rings(struct run *run)
{
	uint32_t pages = has(run, STUDY_CONTIGUOUS) ? PAGES : 1;
	uint64_t places = (uint64_t)UNITS * PAGES / pages;
	iog_iova_t *iovas = run->descriptors[0];
	int ret = 0;

	for (uint32_t unit = 0; unit < UNITS && !ret; unit++)
		ret = take(run, run->descriptors[unit], PAGES);
	for (uint64_t i = 0; i < places * 2 && !ret; i++) {
		uint64_t one = random_below(&run->random, places), other = random_below(&run->random, places);

		if (one != other)
			ret = exchange(run, &iovas[one * pages], &iovas[other * pages], pages);
	}
	for (uint32_t unit = 0; unit < UNITS && !ret; unit++)
		ret = map_pages(run, run->descriptors[unit], descriptor_paddr(unit), PAGES);
	return ret;
}

static int create(struct run *run, struct problem *problem)
{
	struct iog_sim_config hardware = study_hardware(run->config, IOG_SIM_EXPOSURE);
	struct engine_config engine = {
		.format = run->config->format,
		.reclaim = run->config->reclaim,
		.simulate = true,
		.hardware = &hardware,
		.paced = true,
		.page_sizes = SIZE_4K,
		.memory_limit = run->config->memory_limit,
	};
	struct iog_iova_config iova = { .ops = &iog_iova_magazine, .first = SIZE_1G, .last = (UINT64_C(1) << 47) - 1 };
	int ret;

	pace_begin(STUDY_LOOK_NS);
	ret = engine_create(&engine, &run->engine, problem);
	if (ret)
		return ret;
	iova.platform = iog_posix_platform(run->engine.posix);
	ret = iog_iova_create(&iova, &run->iova);
	run->gathers = memory_new(GATHERS, sizeof(*run->gathers));
	run->descriptors = memory_new((size_t)UNITS, sizeof(*run->descriptors));
	for (uint32_t i = 0; i < GATHERS && !ret; i++)
		ret = iog_gather_init(&run->gathers[i], run->engine.pgtable, 0, flush_now, run);
	if (ret)
		problem_set(problem, "no addresses: %s", iog_strerror(ret));
	return ret;
}

static int count(struct run *run)
{
	struct study_ideas_result *result = run->result;
	int ret = fill_rings(run);

	/* What the caches make of the beginning does not count. */
	if (!ret)
		ret = steps(run, run->config->pages / 4);
	iog_sim_stats_take(run->engine.sim, &result->stats);
	result->pages = result->unmap_ns = 0;
	if (!ret)
		ret = steps(run, run->config->pages);
	iog_sim_stats_take(run->engine.sim, &result->stats);
	result->violations = result->stats.violations_total + result->stats.unjudged + result->failures;
	result->done = !ret;
	return ret;
}

int study_ideas_run(const struct study_config *config, uint32_t ideas, struct study_ideas_result *result, struct problem *problem)
{
	struct run run = { .config = config, .result = result, .ideas = ideas, .random = { config->seed } };
	int ret;

	*result = (struct study_ideas_result){ .ideas = ideas };
	ret = create(&run, problem);
	if (!ret) {
		ret = count(&run);
		if (ret)
			problem_set(problem, "%s: %s", study_ideas_name(ideas), iog_strerror(ret));
	}
	iog_iova_destroy(run.iova);
	engine_destroy(&run.engine);
	free(run.gathers);
	free(run.descriptors);
	return ret;
}

/* SPDX-License-Identifier: MIT */
/*
 * See engine.h.
 */
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iogate/error.h>

#include "memory.h"
#include "pace.h"
#include "size.h"

static const struct {
	const char *name;
	enum iog_reclaim reclaim;
} reclaims[] = {
	{ "counted", IOG_RECLAIM_COUNTED },
	{ "rwlock", IOG_RECLAIM_RWLOCK },
	{ "none", IOG_RECLAIM_NONE },
};

int reclaim_parse(const char *name, enum iog_reclaim *reclaim)
{
	for (size_t i = 0; i < sizeof(reclaims) / sizeof(reclaims[0]); i++) {
		if (!strcmp(reclaims[i].name, name)) {
			*reclaim = reclaims[i].reclaim;
			return 0;
		}
	}
	return -1;
}

const char *reclaim_name(enum iog_reclaim reclaim)
{
	for (size_t i = 0; i < sizeof(reclaims) / sizeof(reclaims[0]); i++) {
		if (reclaims[i].reclaim == reclaim)
			return reclaims[i].name;
	}
	return "unknown";
}

bool format_known(const char *name)
{
	const char *known;

	for (uint32_t i = 0; (known = iog_format_name(i)); i++) {
		if (!strcmp(known, name))
			return true;
	}
	return false;
}

uint64_t format_iova_limit(const char *name)
{
	(void)name;
	return UINT64_C(1) << FORMAT_IAS;
}

uint64_t format_paddr_limit(const char *name)
{
	struct iog_format format;

	iog_format_describe(iog_format_find(name, IOG_RECLAIM_COUNTED, 0), &format);
	return UINT64_C(1) << format.oas_max;
}

uint64_t format_granule(const char *name)
{
	struct iog_format format;

	iog_format_describe(iog_format_find(name, IOG_RECLAIM_COUNTED, 0), &format);
	return format.table_size;
}

const char *format_title(const char *name)
{
	if (!strcmp(name, "vtdss"))
		return "vtdss (VT-d second stage, 48 bits)";
	if (!strcmp(name, "x86_64"))
		return "x86_64 (VT-d first stage, AMD v2, 48 bits)";
	return name;
}

const char *format_names(void)
{
	static char names[512];
	const char *name;
	size_t used = 0;

	for (uint32_t i = 0; (name = iog_format_name(i)) && used + strlen(name) + 3 < sizeof(names); i++)
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "", name);
	return names;
}

static int flush_count(const struct iog_gather *gather, void *ctx)
{
	struct engine_lane *lane = ctx;

	lane->flushes++;
	lane->commands += gather->everything || !gather->nr_ranges ? 1 : gather->nr_ranges;
	if (gather->everything || gather->nr_tables || gather->walk_caches)
		lane->walk_cache_flushes++;
	return 0;
}

static int flush_simulated(const struct iog_gather *gather, void *ctx)
{
	struct engine_lane *lane = ctx;

	lane->flushes++;
	return iog_sim_flush(gather, lane->engine->domain);
}

/* Invalidations are the driver's to count; which drop walk caches is ours. */
static int flush_model(const struct iog_gather *gather, void *ctx)
{
	struct engine_lane *lane = ctx;

	lane->flushes++;
	if (gather->everything || gather->nr_tables || gather->walk_caches)
		lane->walk_cache_flushes++;
	return model_flush(&lane->engine->model, gather);
}

static int create_platform(const struct engine_config *config, struct engine *engine, struct problem *problem)
{
	struct iog_posix_config posix = {
		.limit = config->memory_limit,
		.flags = config->cache_clean ? IOG_POSIX_CACHE_CLEAN : 0,
	};
	int ret;

	if (config->model) {
		ret = model_start(config->model, config->lanes, &engine->model, problem);
		if (!ret)
			engine->platform = *iog_qtest_platform(engine->model.qtest);
		return ret;
	}
	ret = iog_posix_create(&posix, &engine->posix);
	if (ret) {
		problem_set(problem, "no platform: %s", iog_strerror(ret));
		return ret;
	}
	engine->platform = *iog_posix_platform(engine->posix);
	if (config->paced)
		engine->platform.now_ns = pace_now;
	if (!config->simulate)
		return 0;
	ret = iog_sim_create(&engine->platform, config->hardware, &engine->sim);
	if (ret)
		problem_set(problem, "no simulated IOMMU: %s", iog_strerror(ret));
	else
		iog_sim_observe(engine->sim, &engine->platform);
	return ret;
}

static int create_tables(const struct engine_config *config, struct engine *engine, struct problem *problem)
{
	struct iog_tablemem_config tablemem = { .lanes = engine->nr_lanes };
	/* Address bits by default: FORMAT_IAS, or the next number that the format has. */
	struct iog_pgtable_config pgtable = { .flags = config->flags, .page_sizes = config->page_sizes };
	struct iog_format format;
	char text[SIZE_TEXT];
	int ret;

	if (config->model) {
		pgtable.flags |= engine->model.unit->pgtable_flags;
		pgtable.page_sizes = config->model->page_sizes(&engine->model);
	}
	pgtable.ops = iog_format_find(config->format, config->reclaim, config->flags);
	if (!pgtable.ops) {
		problem_set(problem, "no variant of %s with reclaim %s for a single writer", config->format, reclaim_name(config->reclaim));
		return -IOG_EOPNOTSUPP;
	}
	iog_format_describe(pgtable.ops, &format);
	if (config->model) {
		pgtable.ias = config->model->ias;
		if (engine->model.unit->oas && engine->model.unit->oas < format.oas_max)
			pgtable.oas = engine->model.unit->oas;
	}
	tablemem.table_size = format.table_size;
	ret = iog_tablemem_create(&engine->platform, &tablemem, &engine->tablemem);
	if (!ret) {
		pgtable.tablemem = engine->tablemem;
		ret = iog_pgtable_create(&pgtable, &engine->pgtable);
	}
	if (ret == -IOG_ENOMEM && config->memory_limit)
		problem_set(problem, "--memory-limit %s is too little for an empty page table", size_exact(text, config->memory_limit));
	else if (ret)
		problem_set(problem, "no page table: %s", iog_strerror(ret));
	return ret;
}

static int create_domain(struct engine *engine, struct problem *problem)
{
	struct iog_pgtable_root root;
	int ret = 0;

	if (engine->sim) {
		iog_pgtable_root(engine->pgtable, &root);
		ret = iog_sim_domain_create(engine->sim, 1, &root, &engine->domain);
		if (ret)
			problem_set(problem, "no domain in the simulated IOMMU: %s", iog_strerror(ret));
	}
	if (engine->model.kind) {
		iog_pgtable_root(engine->pgtable, &root);
		ret = model_attach(&engine->model, &root, problem);
	}
	return ret;
}

static void create_lanes(struct engine *engine)
{
	engine->lanes = memory_new_aligned(engine->nr_lanes, sizeof(*engine->lanes));
	for (uint32_t i = 0; i < engine->nr_lanes; i++) {
		struct engine_lane *lane = &engine->lanes[i];

		lane->engine = engine;
		lane->lane = i;
		iog_gather_init(&lane->gather, engine->pgtable, i, engine->sim ? flush_simulated : engine->model.kind ? flush_model : flush_count, lane);
	}
}

int engine_create(const struct engine_config *config, struct engine *engine, struct problem *problem)
{
	int ret;

	*engine = (struct engine){ .nr_lanes = config->lanes ? config->lanes : 1 };
	ret = create_platform(config, engine, problem);
	if (!ret)
		ret = create_tables(config, engine, problem);
	if (!ret)
		ret = create_domain(engine, problem);
	if (ret) {
		engine_destroy(engine);
		return ret;
	}
	create_lanes(engine);
	return 0;
}

void engine_destroy(struct engine *engine)
{
	iog_sim_domain_destroy(engine->domain);
	if (engine->model.attached)
		model_detach(&engine->model);
	iog_pgtable_destroy(engine->pgtable, 0);
	iog_tablemem_destroy(engine->tablemem);
	iog_sim_destroy(engine->sim);
	model_stop(&engine->model);
	iog_posix_destroy(engine->posix);
	free(engine->lanes);
	*engine = (struct engine){ 0 };
}

int engine_trim(struct engine *engine)
{
	int ret;

	for (uint32_t i = 0; i < engine->nr_lanes; i++) {
		ret = iog_gather_flush(&engine->lanes[i].gather);
		if (ret)
			return ret;
	}
	ret = iog_pgtable_trim(engine->pgtable, &engine->lanes[0].gather, NULL);
	if (!ret)
		ret = iog_gather_flush(&engine->lanes[0].gather);
	for (uint32_t i = 0; !ret && i < engine->nr_lanes; i++)
		ret = iog_tablemem_trim(engine->tablemem, i);
	return ret;
}

void engine_stats(const struct engine *engine, struct engine_stats *stats)
{
	struct iog_tablemem_stats tablemem;
	struct iog_posix_stats posix = { 0 };

	*stats = (struct engine_stats){ 0 };
	iog_tablemem_stats(engine->tablemem, &tablemem);
	if (engine->posix)
		iog_posix_stats(engine->posix, &posix);
	stats->table_bytes = tablemem.bytes;
	stats->table_bytes_peak = tablemem.bytes_peak;
	stats->memory_limit = posix.limit;
	for (uint32_t i = 0; i < engine->nr_lanes; i++) {
		stats->inval_commands += engine->lanes[i].commands;
		stats->walk_cache_flushes += engine->lanes[i].walk_cache_flushes;
		stats->flushes += engine->lanes[i].flushes;
	}
	if (engine->sim) {
		iog_sim_stats(engine->sim, &stats->sim);
		stats->inval_commands = stats->sim.range_commands + stats->sim.domain_commands;
		stats->wait_commands = stats->sim.wait_commands;
		stats->walk_cache_flushes = stats->sim.walk_cache_flushes;
	}
	if (engine->model.kind) {
		model_counts(&engine->model, &stats->model);
		stats->inval_commands = stats->model.commands;
		stats->wait_commands = stats->model.waits;
		stats->model_landed = engine->model.landed;
		stats->model_faulted = engine->model.faulted;
		stats->memory_limit = MODEL_MEMORY;
	}
}

/* The platform itself: the judge tracks what table memory takes, and pages for data are none. */
static const struct iog_platform *page_platform(const struct engine *engine)
{
	return engine->posix ? iog_posix_platform(engine->posix) : &engine->platform;
}

void *engine_page_alloc(struct engine *engine, iog_paddr_t *paddr)
{
	const struct iog_platform *platform = page_platform(engine);
	void *page = platform->pages_alloc(platform->ctx, SIZE_4K);

	if (page) {
		memset(page, 0, SIZE_4K);
		*paddr = (iog_paddr_t)(uintptr_t)page - platform->direct_map_offset;
	}
	return page;
}

void engine_page_free(struct engine *engine, void *page)
{
	const struct iog_platform *platform = page_platform(engine);

	if (page)
		platform->pages_free(platform->ctx, page, SIZE_4K);
}

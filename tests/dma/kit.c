/* SPDX-License-Identifier: MIT */
/*
 * See kit.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dma/domain.h"
#include "kit.h"

#define PATTERN_MAX 8192

const struct kit_way kit_ways[] = {
	{ "tree strict", &iog_policy_tree, IOG_INVAL_STRICT, false },
	{ "tree deferred", &iog_policy_tree, IOG_INVAL_DEFERRED, false },
	{ "magazine strict", &iog_policy_magazine, IOG_INVAL_STRICT, false },
	{ "magazine deferred", &iog_policy_magazine, IOG_INVAL_DEFERRED, false },
	{ "pooled strict", &iog_policy_pooled, IOG_INVAL_STRICT, false },
	{ "pooled deferred", &iog_policy_pooled, IOG_INVAL_DEFERRED, false },
	{ "window strict", &iog_policy_window, IOG_INVAL_STRICT, false },
	{ "window deferred", &iog_policy_window, IOG_INVAL_DEFERRED, false },
	{ "identity strict", &iog_policy_identity, IOG_INVAL_STRICT, true },
	{ "identity deferred", &iog_policy_identity, IOG_INVAL_DEFERRED, true },
};
const uint32_t nr_kit_ways = sizeof(kit_ways) / sizeof(kit_ways[0]);
const uint32_t nr_low_kit_ways = sizeof(kit_ways) / sizeof(kit_ways[0]) - 2;

/* ---- platform ---- */

static const struct iog_platform *host(void *ctx)
{
	return iog_posix_platform(((struct kit *)ctx)->posix);
}

static bool fails(struct kit *kit)
{
	uint64_t in = atomic_load(&kit->fail_in);

	atomic_fetch_add(&kit->allocations, 1);
	if (!in)
		return false;
	atomic_store(&kit->fail_in, in - 1);
	if (in > 1)
		return false;
	atomic_fetch_add(&kit->failed, 1);
	return true;
}

static void *pages_alloc(void *ctx, size_t size)
{
	void *pages = fails(ctx) ? NULL : host(ctx)->pages_alloc(host(ctx)->ctx, size);

	/* Nobody may count on what was there. */
	if (pages)
		memset(pages, 0xd3, size);
	return pages;
}

static void pages_free(void *ctx, void *pages, size_t size)
{
	memset(pages, 0xe5, size);
	host(ctx)->pages_free(host(ctx)->ctx, pages, size);
}

static void *object_alloc(void *ctx, size_t size)
{
	return fails(ctx) ? NULL : host(ctx)->object_alloc(host(ctx)->ctx, size);
}

static void object_free(void *ctx, void *object, size_t size)
{
	host(ctx)->object_free(host(ctx)->ctx, object, size);
}

static void note_clean(struct kit *kit, const void *va, size_t size, bool flush)
{
	/* Of a walker that does not snoop: tables, of which there is no end. */
	if (!(kit->config.flags & IOG_DEVICE_NONCOHERENT))
		return;
	assert_true(kit->nr_cleans < KIT_CLEANS);
	kit->cleans[kit->nr_cleans++] = (struct kit_clean){ (uint64_t)(uintptr_t)va - kit->platform.direct_map_offset, size, flush };
}

static void cache_clean(void *ctx, const void *va, size_t size)
{
	note_clean(ctx, va, size, false);
}

static void cache_flush(void *ctx, const void *va, size_t size)
{
	note_clean(ctx, va, size, true);
}

static void relax(void *ctx)
{
	host(ctx)->relax(host(ctx)->ctx);
}

static void lanes_barrier(void *ctx)
{
	host(ctx)->lanes_barrier(host(ctx)->ctx);
}

static void platform_create(struct kit *kit)
{
	const struct iog_platform *posix;

	assert_int_equal(iog_posix_create(NULL, &kit->posix), 0);
	posix = host(kit);
	kit->platform = (struct iog_platform){
		.ctx = kit,
		.direct_map_offset = posix->direct_map_offset,
		.pages_alloc = pages_alloc,
		.pages_free = pages_free,
		.object_alloc = object_alloc,
		.object_free = object_free,
		.relax = relax,
		.lanes_barrier = posix->lanes_barrier ? lanes_barrier : NULL,
	};
	if (kit->config.flags & IOG_DEVICE_NONCOHERENT || kit->config.pgtable_flags & IOG_PGTABLE_NONCOHERENT) {
		kit->platform.cache_clean = cache_clean;
		kit->platform.cache_flush = cache_flush;
	}
}

/* ---- the unit in front of the simulated one ---- */

static struct kit *kit_of(struct iog_unit *unit)
{
	return (struct kit *)(void *)unit;
}

static int domain_add(struct iog_unit *unit, uint32_t id, const struct iog_pgtable_root *root)
{
	struct iog_unit *behind = kit_of(unit)->behind;

	return behind->ops->domain_add(behind, id, root);
}

static int domain_remove(struct iog_unit *unit, uint32_t id)
{
	struct iog_unit *behind = kit_of(unit)->behind;

	return behind->ops->domain_remove(behind, id);
}

static int device_set(struct iog_unit *unit, uint32_t device, enum iog_domain_type type, uint32_t id)
{
	struct iog_unit *behind = kit_of(unit)->behind;

	return behind->ops->device_set(behind, device, type, id);
}

static int invalidate(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather)
{
	struct kit *kit = kit_of(unit);
	int error = atomic_load(&kit->inval_error);

	atomic_fetch_add(&kit->invalidations, 1);
	if (!gather)
		atomic_fetch_add(&kit->flushes, 1);
	return error ? error : kit->behind->ops->invalidate(kit->behind, id, gather);
}

static const struct iog_unit_ops unit_ops = {
	.domain_add = domain_add,
	.domain_remove = domain_remove,
	.device_set = device_set,
	.invalidate = invalidate,
};

static void violation(void *ctx, const struct iog_sim_violation *seen)
{
	struct kit *kit = ctx;

	atomic_fetch_add(&kit->violations, 1);
	print_message("violation %d of domain %u at 0x%" PRIx64 " (0x%" PRIx64 "): %s\n", (int)seen->kind, seen->domain, seen->iova, seen->paddr, seen->detail);
}

static void unit_create(struct kit *kit)
{
	const struct iog_sim_config config = {
		/* The judge takes an address for one mapping's; here several may share it, and one may come back before its flush. */
		.flags = kit->config.way && kit->config.way->identity ? IOG_SIM_NO_ORACLE : 0,
		.violation = violation,
		.violation_ctx = kit,
	};

	kit->observed = kit->platform;
	assert_int_equal(iog_sim_create(&kit->platform, &config, &kit->sim), 0);
	iog_sim_observe(kit->sim, &kit->observed);
	kit->behind = iog_sim_unit(kit->sim);
	assert_non_null(kit->behind);
	kit->unit.ops = &unit_ops;
	kit->unit.platform = &kit->observed;
	kit->unit.ias = kit->behind->ias;
	kit->unit.oas = kit->behind->oas;
	kit->unit.domain_ids = kit->behind->domain_ids;
	assert_int_equal(iog_unit_init(&kit->unit), 0);
}

/* ---- all of it ---- */

void kit_create(struct kit *kit, const struct kit_config *config)
{
	const struct iog_pgtable_ops *ops = config->format ? config->format : &iog_vtdss_counted;
	struct iog_tablemem_config tables = { .lanes = config->lanes };
	struct iog_format format;
	struct iog_memory memory;
	struct iog_domain_config domain = { 0 };

	memset(kit, 0, sizeof(*kit));
	kit->config = *config;
	platform_create(kit);
	unit_create(kit);
	iog_format_describe(ops, &format);
	if (getenv("IOG_TEST_VERBOSE"))
		print_message("%s, %s\n", config->way ? config->way->name : "no way", format.name);
	kit->page = format.table_size;
	kit->read_implied = strcmp(format.name, "vtdss") && strcmp(format.name, "amdv1") && strncmp(format.name, "arm_s2", 6);
	tables.table_size = format.table_size;
	assert_int_equal(iog_tablemem_create(&kit->observed, &tables, &kit->tables), 0);

	kit->buffer = kit->observed.pages_alloc(kit->observed.ctx, KIT_BUFFER_BYTES);
	assert_non_null(kit->buffer);
	kit->buffer_paddr = (uint64_t)(uintptr_t)kit->buffer - kit->platform.direct_map_offset;
	memory = (struct iog_memory){ kit->buffer_paddr, KIT_BUFFER_BYTES, KIT_R | KIT_W };

	domain.platform = &kit->observed;
	domain.type = config->type;
	domain.lanes = config->lanes;
	domain.pgtable.ops = ops;
	domain.pgtable.oas = format.oas_max < kit->unit.oas ? format.oas_max : kit->unit.oas;
	domain.pgtable.tablemem = kit->tables;
	domain.pgtable.flags = config->pgtable_flags;
	domain.policy = config->way ? config->way->policy : NULL;
	domain.mode = config->way ? config->way->mode : IOG_INVAL_STRICT;
	domain.deferred_entries = config->deferred_entries;
	domain.first = config->first;
	domain.last = config->last;
	if (config->memory_mapped) {
		domain.memory = &memory;
		domain.nr_memory = 1;
	}
	assert_int_equal(iog_domain_create(&domain, &kit->domain), 0);
	kit->device = kit_device(kit, 0, config->flags, config->dma_bits);
}

struct iog_device *kit_device(struct kit *kit, uint32_t id, uint32_t flags, uint32_t dma_bits)
{
	const struct iog_device_config config = {
		.platform = &kit->observed,
		.unit = &kit->unit,
		.id = id,
		.flags = flags,
		.dma_bits = dma_bits,
		.segment_max = kit->config.segment_max,
		.segment_boundary = kit->config.segment_boundary,
	};

	assert_true(id < KIT_DEVICES);
	assert_int_equal(iog_device_create(&config, &kit->devices[id]), 0);
	assert_int_equal(iog_domain_attach(kit->domain, kit->devices[id]), 0);
	return kit->devices[id];
}

static void no_violation(struct kit *kit)
{
	struct iog_sim_stats stats;

	iog_sim_stats(kit->sim, &stats);
	assert_int_equal(stats.unjudged, 0);
	assert_int_equal(atomic_load(&kit->violations), kit->judged);
}

void kit_destroy(struct kit *kit)
{
	struct iog_posix_stats left;

	no_violation(kit);
	for (uint32_t id = 0; id < KIT_DEVICES; id++)
		assert_int_equal(iog_device_destroy(kit->devices[id]), 0);
	assert_int_equal(iog_domain_destroy(kit->domain), 0);
	assert_int_equal(iog_unit_fini(&kit->unit), 0);
	kit->observed.pages_free(kit->observed.ctx, kit->buffer, KIT_BUFFER_BYTES);
	assert_int_equal(iog_tablemem_destroy(kit->tables), 0);
	no_violation(kit);
	iog_sim_destroy(kit->sim);
	iog_posix_stats(kit->posix, &left);
	assert_int_equal(left.page_bytes, 0);
	assert_int_equal(left.object_bytes, 0);
	iog_posix_destroy(kit->posix);
}

uint64_t kit_paddr(const struct kit *kit, uint64_t offset)
{
	return kit->buffer_paddr + offset;
}

/* ---- accesses ---- */

int kit_access(struct kit *kit, uint32_t device, uint64_t iova, void *bytes, uint64_t size, uint32_t prot)
{
	return iog_sim_device_dma(kit->sim, device, iova, bytes, (size_t)size, prot, NULL);
}

void kit_writes(struct kit *kit, uint64_t iova, const unsigned char *va, uint64_t size)
{
	static _Atomic unsigned char stamp;
	unsigned char bytes[PATTERN_MAX];

	while (size) {
		uint64_t part = size < PATTERN_MAX ? size : PATTERN_MAX;
		unsigned char first = (unsigned char)(atomic_fetch_add(&stamp, 37) + 11);

		for (uint64_t i = 0; i < part; i++)
			bytes[i] = (unsigned char)(first + i * 7);
		assert_int_equal(kit_access(kit, 0, iova, bytes, part, KIT_W), 0);
		if (va) {
			assert_memory_equal(va, bytes, part);
			va += part;
		}
		iova += part;
		size -= part;
	}
}

void kit_reads(struct kit *kit, uint64_t iova, const unsigned char *va, uint64_t size)
{
	unsigned char bytes[PATTERN_MAX];

	while (size) {
		uint64_t part = size < PATTERN_MAX ? size : PATTERN_MAX;

		memset(bytes, 0, part);
		assert_int_equal(kit_access(kit, 0, iova, bytes, part, KIT_R), 0);
		assert_memory_equal(va, bytes, part);
		va += part;
		iova += part;
		size -= part;
	}
}

void kit_refused(struct kit *kit, uint64_t iova, uint64_t size, uint32_t prot)
{
	unsigned char byte = 0xff;

	assert_int_equal(kit_access(kit, 0, iova, &byte, 1, prot), -IOG_EFAULT);
	assert_int_equal(kit_access(kit, 0, iova + (size - 1), &byte, 1, prot), -IOG_EFAULT);
}

void kit_check(struct kit *kit, uint64_t iova, const unsigned char *va, uint64_t size, enum iog_dma_dir dir)
{
	bool deferred = kit->config.way && kit->config.way->mode == IOG_INVAL_DEFERRED;
	uint64_t first = iova & ~(kit->page - 1), last = (iova + size - 1) | (kit->page - 1);

	if (dir & IOG_DMA_TO_DEVICE)
		kit_reads(kit, iova, va, size);
	else if (!kit->read_implied)
		kit_refused(kit, iova, size, KIT_R);
	if (dir & IOG_DMA_FROM_DEVICE)
		kit_writes(kit, iova, va, size);
	else
		kit_refused(kit, iova, size, KIT_W);
	/* What was there may be remembered until a flush, which would hide much if it was always made. */
	if (deferred && kit->checks++ % 4)
		return;
	if (deferred)
		assert_int_equal(iog_domain_flush(kit->domain, 0), 0);
	if (first)
		kit_refused(kit, first - 1, 1, dir & IOG_DMA_FROM_DEVICE ? KIT_W : KIT_R);
	kit_refused(kit, last + 1, 1, dir & IOG_DMA_FROM_DEVICE ? KIT_W : KIT_R);
}

/* ---- the judge ---- */

void kit_note_map(struct kit *kit, iog_lane_t lane, uint64_t iova, uint64_t size)
{
	struct iog_sim_domain *domain = iog_sim_device_domain(kit->sim, 0);
	uint64_t last = iova + (size - 1);
	struct iog_leaf leaf;

	for (iova &= ~(kit->page - 1); iova <= last; iova += kit->page) {
		if (!iog_pgtable_lookup(iog_domain_pgtable(kit->domain), lane, iova, &leaf))
			iog_sim_note_map(domain, iova, leaf.paddr, kit->page, leaf.prot);
	}
}

void kit_note_unmap(struct kit *kit, uint64_t iova, uint64_t size)
{
	uint64_t first = iova & ~(kit->page - 1), last = (iova + size - 1) | (kit->page - 1);

	iog_sim_note_unmap(iog_sim_device_domain(kit->sim, 0), first, last - first + 1);
}

uint64_t kit_map(struct kit *kit, iog_lane_t lane, uint64_t offset, uint64_t size, enum iog_dma_dir dir, uint32_t attrs)
{
	uint64_t paddr = kit_paddr(kit, offset), mask = kit->page - 1;
	iog_iova_t iova = 0;

	assert_int_equal(iog_dma_map(kit->device, lane, paddr, size, dir, attrs, &iova), 0);
	assert_int_equal(iova & mask, paddr & mask);
	if (kit->config.flags & IOG_DEVICE_UNTRUSTED)
		kit_note_map(kit, lane, iova, size);
	else
		iog_sim_note_map(iog_sim_device_domain(kit->sim, 0), iova & ~mask, paddr & ~mask, ((paddr & mask) + size + mask) & ~mask,
				 kit->read_implied ? (uint32_t)dir | KIT_R : (uint32_t)dir);
	return iova;
}

void kit_unmap(struct kit *kit, iog_lane_t lane, uint64_t iova, uint64_t size, enum iog_dma_dir dir, uint32_t attrs)
{
	kit_note_unmap(kit, iova, size);
	assert_int_equal(iog_dma_unmap(kit->device, lane, iova, size, dir, attrs), 0);
}

struct iog_domain_stats kit_stats(struct kit *kit)
{
	struct iog_domain_stats stats;

	iog_domain_stats(kit->domain, &stats);
	return stats;
}

void kit_empty(struct kit *kit)
{
	struct iog_domain_stats stats;

	for (uint32_t lane = 0; lane < (kit->config.lanes ? kit->config.lanes : 1); lane++)
		assert_int_equal(iog_domain_trim(kit->domain, lane), 0);
	stats = kit_stats(kit);
	assert_int_equal(stats.bytes_mapped, 0);
	assert_int_equal(stats.deferred, 0);
	assert_int_equal(stats.quarantined, 0);
	assert_int_equal(stats.maps, stats.unmaps);
	assert_int_equal(stats.iova.live_bytes, 0);
	assert_true(iog_pgtable_is_valid(iog_domain_pgtable(kit->domain)));
	assert_true(!kit->domain->iova || iog_iova_is_valid(kit->domain->iova));
}

/* ---- cleaning ---- */

bool kit_cleaned(const struct kit *kit, uint64_t paddr, uint64_t size, bool flush)
{
	for (uint64_t at = paddr; at < paddr + size; at++) {
		bool found = false;

		for (uint32_t i = 0; !found && i < kit->nr_cleans; i++)
			found = kit->cleans[i].flush == flush && at - kit->cleans[i].paddr < kit->cleans[i].size;
		if (!found)
			return false;
	}
	return true;
}

void kit_forget_cleans(struct kit *kit)
{
	kit->nr_cleans = 0;
}

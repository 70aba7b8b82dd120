/* SPDX-License-Identifier: MIT */
/*
 * Arguments that a call refuses, with nothing touched; and what a page table says of itself.
 */
#include <stdlib.h>
#include <string.h>

#include "corners.h"

#define PA (5 * PAGE_1G)

struct call {
	uint64_t iova, paddr, pgsize, pgcount;
	uint32_t prot;
	int expected;
};

static void refused(struct bed *bed, const struct call *call)
{
	uint64_t allocations = bed->host.allocations, mapped = 1;

	assert_int_equal(iog_pgtable_map_pages(bed->pt, call->iova, call->paddr, call->pgsize, call->pgcount, call->prot, first_gather(bed), &mapped),
			 call->expected);
	assert_int_equal(mapped, 0);
	assert_int_equal(bed->host.allocations, allocations);
}

static void refused_map(struct bed *bed, uint64_t iova, uint64_t paddr, uint64_t size, uint32_t prot, int expected)
{
	uint64_t allocations = bed->host.allocations;

	assert_int_equal(iog_pgtable_map(bed->pt, iova, paddr, size, prot, first_gather(bed)), expected);
	assert_int_equal(bed->host.allocations, allocations);
}

static void refused_unmap(struct bed *bed, uint64_t iova, uint64_t size, int expected)
{
	uint64_t unmapped = 1;

	assert_int_equal(iog_pgtable_unmap(bed->pt, iova, size, first_gather(bed), &unmapped), expected);
	assert_int_equal(unmapped, 0);
}

static void malformed_arguments(void **state)
{
	const struct call calls[] = {
		{ 1, PA, PAGE_4K, 1, RW, -IOG_EINVAL },
		{ PAGE_4K, PA + 8, PAGE_4K, 1, RW, -IOG_EINVAL },
		{ PAGE_4K, PA, PAGE_4K, 0, RW, -IOG_EINVAL },
		{ PAGE_4K, PA, 0, 1, RW, -IOG_EINVAL },
		{ PAGE_4K, PA, PAGE_4K + 1, 1, RW, -IOG_EINVAL },
		{ PAGE_4K, PA, 2 * PAGE_4K, 1, RW, -IOG_EINVAL },
		{ PAGE_4K, PA, 512, 8, RW, -IOG_EINVAL },
		{ 0, 0, 512 * PAGE_1G, 1, RW, -IOG_EINVAL },
		{ 0, 0, UINT64_C(1) << 63, 2, RW, -IOG_EINVAL },
		{ PAGE_4K, PA, PAGE_2M, 1, RW, -IOG_EINVAL },
		{ PAGE_2M, PA + PAGE_4K, PAGE_2M, 1, RW, -IOG_EINVAL },
		{ PAGE_2M, PA, PAGE_1G, 1, RW, -IOG_EINVAL },
		{ PAGE_4K, PA, PAGE_4K, 1, 0, -IOG_EINVAL },
		{ PAGE_4K, PA, PAGE_4K, 1, IOG_PROT_EXEC, -IOG_EINVAL },
		{ PAGE_4K, PA, PAGE_4K, 1, IOG_PROT_COHERENT, -IOG_EINVAL },
		{ PAGE_4K, PA, PAGE_4K, 1, RW | 64, -IOG_EINVAL },
		{ PAGE_4K, PA, PAGE_4K, 1, RW | UINT32_C(1) << 31, -IOG_EINVAL },
	};
	struct bed *bed = bed_create(*state, NULL);
	struct before before;
	uint64_t done = 1;

	maps(bed, 8 * PAGE_4K, PA, PAGE_4K);
	maps(bed, PAGE_1G, PA, PAGE_1G);
	before = remember(bed);
	for (uint32_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		refused(bed, &calls[i]);
	refused_map(bed, 0, PA, 0, RW, -IOG_EINVAL);
	refused_map(bed, 0, PA, PAGE_4K + 1, RW, -IOG_EINVAL);
	refused_map(bed, 0, PA + 4, PAGE_4K, RW, -IOG_EINVAL);
	refused_map(bed, 16, PA, PAGE_4K, RW, -IOG_EINVAL);
	refused_map(bed, 0, PA, PAGE_4K, 0, -IOG_EINVAL);
	refused_map(bed, 0, PA, PAGE_4K, 64, -IOG_EINVAL);
	refused_map(bed, 0, PA, PAGE_4K, RW | 0x100, -IOG_EINVAL);
	refused_unmap(bed, 0, 0, -IOG_EINVAL);
	refused_unmap(bed, 0, 100, -IOG_EINVAL);
	refused_unmap(bed, 100, PAGE_4K, -IOG_EINVAL);
	assert_int_equal(iog_pgtable_unmap_pages(bed->pt, 0, PAGE_4K, 0, first_gather(bed), &done), -IOG_EINVAL);
	assert_int_equal(done, 0);
	assert_int_equal(iog_pgtable_unmap_pages(bed->pt, 0, 3 * PAGE_4K, 1, first_gather(bed), &done), -IOG_EINVAL);
	assert_int_equal(iog_pgtable_unmap_pages(bed->pt, 0, 0, 1, first_gather(bed), NULL), -IOG_EINVAL);
	assert_int_equal(iog_pgtable_unmap_pages(bed->pt, PAGE_4K, PAGE_2M, 1, first_gather(bed), &done), -IOG_EINVAL);
	assert_int_equal(iog_pgtable_map(bed->pt, 0, PA, PAGE_4K, RW, NULL), -IOG_EINVAL);
	assert_int_equal(iog_pgtable_unmap(bed->pt, 0, PAGE_4K, NULL, NULL), -IOG_EINVAL);
	assert_int_equal(iog_pgtable_trim(bed->pt, NULL, NULL), -IOG_EINVAL);
	assert_int_equal(iog_pgtable_lookup(bed->pt, BED_LANES, 0, NULL), -IOG_EINVAL);
	nothing_changed(bed, &before);
	unmaps(bed, 0, 4 * PAGE_1G, PAGE_4K + PAGE_1G);
	ends_empty(bed);
}

static void addresses_out_of_range(void **state)
{
	const struct bed_options options = { .oas = 36 };
	const struct shape *shape = *state;
	const uint64_t space = UINT64_C(1) << shape->ias, most = UINT64_C(1) << 36;
	const bool is_signed = shape->flags & IOG_PGTABLE_SIGN_EXTENDED;
	struct bed *bed = bed_create(shape, &options);
	struct before before = remember(bed);
	uint64_t first_beyond = is_signed ? space / 2 : space, done = 1;
	const struct call calls[] = {
		{ first_beyond, 0, PAGE_4K, 1, RW, -IOG_ERANGE },
		{ first_beyond - PAGE_4K, 0, PAGE_4K, 2, RW, -IOG_ERANGE },
		{ 0, 0, PAGE_4K, (first_beyond >> 12) + 1, RW, -IOG_ERANGE },
		{ UINT64_MAX - PAGE_4K + 1, 0, PAGE_4K, 2, RW, -IOG_ERANGE },
		{ 0, 0, PAGE_4K, UINT64_C(1) << 52, RW, -IOG_ERANGE },
		{ PAGE_4K, 0, PAGE_4K, (UINT64_C(1) << 52) - 1, RW, -IOG_ERANGE },
		{ 0, 0, PAGE_4K, UINT64_MAX, RW, -IOG_ERANGE },
		{ 0, 0, PAGE_2M, UINT64_C(1) << 43, RW, -IOG_ERANGE },
		{ 0, most, PAGE_4K, 1, RW, -IOG_ERANGE },
		{ 0, most - PAGE_4K, PAGE_4K, 2, RW, -IOG_ERANGE },
		{ 0, UINT64_MAX - PAGE_4K + 1, PAGE_4K, 1, RW, -IOG_ERANGE },
		{ 0, UINT64_MAX - PAGE_4K + 1, PAGE_4K, 2, RW, -IOG_ERANGE },
	};

	for (uint32_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		uint64_t size = calls[i].pgsize * calls[i].pgcount;

		refused(bed, &calls[i]);
		/* Where that is less than 2^64. */
		if (size / calls[i].pgsize == calls[i].pgcount)
			refused_map(bed, calls[i].iova, calls[i].paddr, size, RW, -IOG_ERANGE);
	}
	refused_unmap(bed, first_beyond, PAGE_4K, -IOG_ERANGE);
	refused_unmap(bed, first_beyond - PAGE_4K, 2 * PAGE_4K, -IOG_ERANGE);
	refused_unmap(bed, PAGE_4K, UINT64_MAX - PAGE_4K + 1, -IOG_ERANGE);
	refused_unmap(bed, UINT64_MAX - PAGE_4K + 1, 2 * PAGE_4K, -IOG_ERANGE);
	assert_int_equal(iog_pgtable_unmap_pages(bed->pt, 0, PAGE_1G, UINT64_C(1) << 34, first_gather(bed), &done), -IOG_ERANGE);
	assert_int_equal(done, 0);
	if (is_signed) {
		/* From one half to the other, the short way and the long way. */
		refused_unmap(bed, space / 2 - PAGE_4K, UINT64_MAX - space + 1 + 2 * PAGE_4K, -IOG_ERANGE);
		refused_map(bed, 0 - space / 2 - PAGE_4K, 0, 2 * PAGE_4K, RW, -IOG_ERANGE);
		refused_unmap(bed, 0 - PAGE_4K, 2 * PAGE_4K, -IOG_ERANGE);
	}
	bed_trim(bed);
	same_leaves(bed, &before);
	/* The last physical page is one. */
	maps(bed, 0, most - PAGE_4K, PAGE_4K);
	leads_to(bed, 0, most - PAGE_4K, PAGE_4K);
	unmaps(bed, 0, PAGE_4K, PAGE_4K);
	ends_empty(bed);
}

static void create_fails(struct bed *bed, const struct iog_pgtable_config *config, int expected)
{
	uint64_t pages = bed->host.page_bytes, objects = bed->host.object_bytes;
	struct iog_pgtable *pt = NULL;

	assert_int_equal(iog_pgtable_create(config, &pt), expected);
	assert_int_equal(bed->host.page_bytes, pages);
	assert_int_equal(bed->host.object_bytes, objects);
}

static void malformed_configurations(void **state)
{
	const struct shape *shape = *state;
	const struct bed_options none = { 0, 0, 0, 0 };
	struct bed *bed = bed_create(shape, NULL);
	const struct iog_pgtable_config good = bed_config(bed, shape, &none);
	struct iog_pgtable_config bad;
	struct iog_tablemem *mem = NULL;
	struct iog_gather gather;

	create_fails(bed, NULL, -IOG_EINVAL);
	assert_int_equal(iog_pgtable_create(&good, NULL), -IOG_EINVAL);
	bad = good;
	bad.ops = NULL;
	create_fails(bed, &bad, -IOG_EINVAL);
	bad = good;
	bad.tablemem = NULL;
	create_fails(bed, &bad, -IOG_EINVAL);
	bad = good;
	bad.flags |= 1 << 15;
	create_fails(bed, &bad, -IOG_EINVAL);
	bad = good;
	bad.flags ^= IOG_PGTABLE_SINGLE_WRITER;
	if (shape->reclaim != IOG_RECLAIM_NONE)
		create_fails(bed, &bad, -IOG_EINVAL);
	bad = good;
	bad.trim_batch = IOG_GATHER_TABLES + 1;
	create_fails(bed, &bad, -IOG_EINVAL);
	if (!shape->geometry->sign_extends) {
		bad = good;
		bad.flags |= IOG_PGTABLE_SIGN_EXTENDED;
		create_fails(bed, &bad, -IOG_EINVAL);
	}
	for (uint32_t ias = 1; ias < 70; ias++) {
		if (ias <= 64 && shape->geometry->ias >> (ias & 63) & 1)
			continue;
		bad = good;
		bad.ias = ias;
		create_fails(bed, &bad, -IOG_ERANGE);
	}
	for (uint32_t oas = 1; oas < 70; oas++) {
		bad = good;
		bad.oas = oas;
		if (oas < 32 || oas > shape->geometry->oas)
			create_fails(bed, &bad, -IOG_ERANGE);
	}
	bad = good;
	bad.page_sizes = PAGE_2M;
	create_fails(bed, &bad, -IOG_ERANGE);
	bad.page_sizes = PAGE_4K | 2 * KIB;
	create_fails(bed, &bad, -IOG_ERANGE);

	assert_int_equal(iog_gather_init(&gather, bed->pt, BED_LANES, bed_flush, bed), -IOG_EINVAL);
	assert_int_equal(iog_gather_init(&gather, bed->pt, 0, NULL, bed), -IOG_EINVAL);

	/* No way to clean caches on this host. */
	bed->host.platform.cache_clean = NULL;
	bad = good;
	bad.flags |= IOG_PGTABLE_NONCOHERENT;
	create_fails(bed, &bad, -IOG_EINVAL);

	/* Tables of another size. */
	assert_int_equal(iog_tablemem_create(&bed->host.platform, &(struct iog_tablemem_config){ .table_size = 16384 }, &mem), 0);
	bad = good;
	bad.tablemem = mem;
	create_fails(bed, &bad, -IOG_EINVAL);
	assert_int_equal(iog_tablemem_destroy(mem), 0);
	bed_destroy(bed);
}

static void malformed_table_memory(void **state)
{
	struct bed *bed = bed_create(*state, NULL);
	struct iog_platform platform = bed->host.platform;
	struct iog_tablemem *mem = NULL;
	struct iog_tablemem_config config = { .lanes = 4097 };

	assert_int_equal(iog_tablemem_create(&platform, &config, &mem), -IOG_EINVAL);
	config = (struct iog_tablemem_config){ .table_size = 2048 };
	assert_int_equal(iog_tablemem_create(&platform, &config, &mem), -IOG_EINVAL);
	config = (struct iog_tablemem_config){ .table_size = 131072 };
	assert_int_equal(iog_tablemem_create(&platform, &config, &mem), -IOG_EINVAL);
	config = (struct iog_tablemem_config){ .table_size = 12288 };
	assert_int_equal(iog_tablemem_create(&platform, &config, &mem), -IOG_EINVAL);
	assert_int_equal(iog_tablemem_create(&platform, NULL, NULL), -IOG_EINVAL);
	assert_int_equal(iog_tablemem_create(NULL, NULL, &mem), -IOG_EINVAL);
	platform.pages_free = NULL;
	assert_int_equal(iog_tablemem_create(&platform, NULL, &mem), -IOG_EINVAL);
	platform = bed->host.platform;
	platform.object_alloc = NULL;
	assert_int_equal(iog_tablemem_create(&platform, NULL, &mem), -IOG_EINVAL);
	assert_null(mem);
	assert_int_equal(iog_tablemem_trim(bed->mem, BED_LANES), -IOG_ERANGE);
	assert_int_equal(iog_tablemem_destroy(NULL), 0);
	assert_int_equal(iog_tablemem_destroy(bed->mem), -IOG_EBUSY);
	ends_empty(bed);
}

static void what_it_says_of_itself(void **state)
{
	const struct shape *shape = *state;
	const struct bed_options options = { .flags = IOG_PGTABLE_SPLIT, .oas = 40 };
	struct bed *bed = bed_create(shape, &options);
	struct iog_pgtable_stats stats;

	assert_string_equal(bed->root.format, shape->format);
	assert_int_equal(bed->root.levels, shape_top(shape) + 1);
	assert_int_equal(bed->root.ias, shape->ias);
	assert_int_equal(bed->root.oas, 40);
	assert_int_equal(bed->root.flags & ~(uint32_t)IOG_PGTABLE_BBM2, shape->flags | IOG_PGTABLE_SPLIT);
	assert_int_equal(bed->root.paddr % shape_root_bytes(shape), 0);
	assert_true(host_covers(&bed->host, bed->root.paddr, shape_root_bytes(shape)));
	iog_pgtable_stats(bed->pt, &stats);
	assert_int_equal(stats.table_bytes, shape_root_bytes(shape));
	assert_int_equal(stats.tables[shape_top(shape)], 1);
	assert_ptr_equal(iog_format_find(shape->format, shape->reclaim, shape->flags), shape->ops);
	assert_ptr_equal(iog_format_find(shape->format, shape->reclaim, shape->flags | IOG_PGTABLE_SPLIT), shape->ops);
	assert_null(iog_format_find("vtdsss", shape->reclaim, shape->flags));
	assert_null(iog_format_find("", shape->reclaim, shape->flags));
	assert_null(iog_format_find(shape->format, IOG_RECLAIM_RWLOCK, IOG_PGTABLE_SINGLE_WRITER));
	assert_non_null(iog_format_name(0));
	assert_non_null(iog_format_find(iog_format_name(0), IOG_RECLAIM_COUNTED, 0));
	for (uint32_t i = 0; i < 15; i++)
		assert_non_null(iog_format_find(iog_format_name(i), shape->reclaim, shape->flags));
	assert_null(iog_format_name(15));
	ends_empty(bed);
}

/* Zero means default. */
static void defaults(void **state)
{
	const struct shape *shape = *state;
	struct bed *bed = bed_create(shape, NULL);
	struct iog_pgtable_config config = { .ops = shape->ops, .tablemem = bed->mem, .flags = shape->flags };
	struct iog_pgtable_root root;
	struct iog_pgtable *pt;

	assert_int_equal(iog_pgtable_create(&config, &pt), 0);
	iog_pgtable_root(pt, &root);
	assert_int_equal(root.ias, shape->geometry->ias >> 48 & 1 ? 48 : 50);
	assert_int_equal(root.levels, 4);
	assert_int_equal(root.oas, shape->geometry->oas);
	iog_pgtable_destroy(pt, 1);
	ends_empty(bed);
}

const struct corner corners_arguments[] = {
	{ "malformed arguments", malformed_arguments, NULL },
	{ "addresses out of range", addresses_out_of_range, NULL },
	{ "malformed configurations", malformed_configurations, NULL },
	{ "malformed table memory", malformed_table_memory, NULL },
	{ "what it says of itself", what_it_says_of_itself, NULL },
	{ "defaults", defaults, NULL },
	{ NULL, NULL, NULL },
};

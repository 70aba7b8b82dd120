/* SPDX-License-Identifier: MIT */
/*
 * Behaviour of maps: over live entries, over empty tables, sizes, permissions, the ends of the space.
 */
#include "corners.h"

#define PA (5 * PAGE_1G)

static int map_result(struct bed *bed, uint64_t at, uint64_t paddr, uint64_t size)
{
	return iog_pgtable_map(bed->pt, shape_iova(bed->shape, at), paddr, size, RW, first_gather(bed));
}

static void map_over_live_undoes_all(void **state)
{
	struct bed *bed = bed_create(*state, NULL);
	struct before before;

	maps(bed, 2 * PAGE_2M + 5 * PAGE_4K, PA, PAGE_4K);
	before = remember(bed);
	/* Over two whole tables, large leaves, and up to the page. */
	assert_int_equal(map_result(bed, 0, 0, 2 * PAGE_2M + 10 * PAGE_4K), -IOG_EEXIST);
	same_leaves(bed, &before);
	before = remember(bed);
	assert_int_equal(map_result(bed, 0, PAGE_4K, 2 * PAGE_2M + 6 * PAGE_4K), -IOG_EEXIST);
	same_leaves(bed, &before);
	before = remember(bed);
	assert_int_equal(map_result(bed, 2 * PAGE_2M + 5 * PAGE_4K, PA, PAGE_4K), -IOG_EEXIST);
	nothing_changed(bed, &before);
	/* What was mapped for a moment can be mapped for good. */
	maps(bed, 0, PAGE_4K, 2 * PAGE_2M + 5 * PAGE_4K);
	leads_to(bed, 3 * PAGE_4K, 4 * PAGE_4K, PAGE_4K);
	unmaps(bed, 0, PAGE_1G, 2 * PAGE_2M + 6 * PAGE_4K);
	ends_empty(bed);
}

static void map_over_large_leaf(void **state)
{
	struct bed *bed = bed_create(*state, NULL);
	struct before before;

	maps(bed, PAGE_1G, PA, PAGE_1G);
	maps(bed, PAGE_2M, PA + PAGE_2M, PAGE_2M);
	before = remember(bed);
	assert_int_equal(map_result(bed, PAGE_1G + 7 * PAGE_4K, 0, PAGE_4K), -IOG_EEXIST);
	assert_int_equal(map_result(bed, PAGE_1G + PAGE_2M, 0, PAGE_2M), -IOG_EEXIST);
	assert_int_equal(map_result(bed, PAGE_1G, 0, PAGE_1G), -IOG_EEXIST);
	assert_int_equal(map_result(bed, PAGE_2M + 7 * PAGE_4K, 0, PAGE_4K), -IOG_EEXIST);
	assert_int_equal(map_result(bed, PAGE_2M, 0, PAGE_2M), -IOG_EEXIST);
	nothing_changed(bed, &before);
	before = remember(bed);
	assert_int_equal(map_result(bed, 0, PA, PAGE_1G), -IOG_EEXIST);
	same_leaves(bed, &before);
	leads_to(bed, PAGE_1G + 7 * PAGE_4K + 5, PA + 7 * PAGE_4K + 5, PAGE_1G);
	unmaps(bed, 0, 2 * PAGE_1G, PAGE_1G + PAGE_2M);
	ends_empty(bed);
}

static void map_pages_reports_prefix(void **state)
{
	struct bed *bed = bed_create(*state, NULL);
	uint64_t iova = shape_iova(bed->shape, 508 * PAGE_4K), mapped = 1;
	struct before before;

	maps(bed, 515 * PAGE_4K, PA, PAGE_4K);
	assert_int_equal(iog_pgtable_map_pages(bed->pt, iova, 0, PAGE_4K, 20, RW, first_gather(bed), &mapped), -IOG_EEXIST);
	assert_int_equal(mapped, 7 * PAGE_4K);
	for (uint64_t i = 0; i < 7; i++)
		leads_to(bed, (508 + i) * PAGE_4K, i * PAGE_4K, PAGE_4K);
	leads_to(bed, 515 * PAGE_4K, PA, PAGE_4K);
	leads_nowhere(bed, 516 * PAGE_4K);
	before = remember(bed);
	mapped = 1;
	assert_int_equal(iog_pgtable_map_pages(bed->pt, iova, PA, PAGE_4K, 3, RW, first_gather(bed), &mapped), -IOG_EEXIST);
	assert_int_equal(mapped, 0);
	assert_int_equal(iog_pgtable_map_pages(bed->pt, iova, PA, PAGE_4K, 1, RW, first_gather(bed), NULL), -IOG_EEXIST);
	nothing_changed(bed, &before);

	/* The same with large pages: the third meets the page. */
	iova = shape_iova(bed->shape, PAGE_1G);
	maps(bed, PAGE_1G + 2 * PAGE_2M + 511 * PAGE_4K, PA, PAGE_4K);
	assert_int_equal(iog_pgtable_map_pages(bed->pt, iova, 0, PAGE_2M, 4, RW, first_gather(bed), &mapped), -IOG_EEXIST);
	assert_int_equal(mapped, 2 * PAGE_2M);
	leads_to(bed, PAGE_1G + PAGE_2M, PAGE_2M, PAGE_2M);
	leads_nowhere(bed, PAGE_1G + 3 * PAGE_2M);
	unmaps(bed, 0, 2 * PAGE_1G, 9 * PAGE_4K + 2 * PAGE_2M);
	ends_empty(bed);
}

/* The table is empty and still linked; or unlinked already and not flushed. */
static void large_over_empty(const struct shape *shape, uint32_t trim_batch, uint32_t flags)
{
	const struct bed_options options = { .trim_batch = trim_batch, .flags = flags };
	struct bed *bed = bed_create(shape, &options);

	maps(bed, PAGE_2M + PAGE_4K, 0, PAGE_4K);
	unmaps(bed, PAGE_2M + PAGE_4K, PAGE_4K, PAGE_4K);
	bed->flushes = 0;
	maps_page(bed, PAGE_2M, PA, PAGE_2M);
	assert_true(bed->flushes >= 1);
	leads_to(bed, PAGE_2M + 3, PA + 3, PAGE_2M);
	has_tables(bed, 0, 0, 0);

	/* 1G over tables of two levels, some of them empty, one unlinked through the other lane's gather. */
	maps(bed, PAGE_1G, PAGE_4K, 3 * PAGE_2M);
	maps(bed, PAGE_1G + 100 * PAGE_2M, PA, PAGE_2M);
	unmaps(bed, PAGE_1G, 200 * PAGE_2M, 4 * PAGE_2M);
	maps_page(bed, PAGE_1G + 300 * PAGE_2M, 0, PAGE_4K);
	assert_int_equal(iog_pgtable_unmap(bed->pt, shape_iova(shape, PAGE_1G), PAGE_1G, &bed->gather[1][0], NULL), 0);
	maps_page(bed, PAGE_1G, 2 * PAGE_1G, PAGE_1G);
	leads_to(bed, PAGE_1G + 200 * PAGE_2M + 9, 2 * PAGE_1G + 200 * PAGE_2M + 9, PAGE_1G);
	has_tables(bed, 0, 0, 0);
	has_tables(bed, 1, 1, 0);
	unmaps(bed, 0, 4 * PAGE_1G, PAGE_1G + PAGE_2M);
	ends_empty(bed);
}

static void large_leaf_over_empty_tables(void **state)
{
	static const uint32_t flags[] = { 0, IOG_PGTABLE_NONCOHERENT, IOG_PGTABLE_FLUSH_ON_MAP };

	for (uint32_t i = 0; i < 3; i++) {
		large_over_empty(*state, 64, flags[i]);
		large_over_empty(*state, 1, flags[i]);
	}
}

/* The flush comes between the tombstone and the leaf: hardware never has both. */
static struct bed *watched;

static int flush_sees_no_leaf(const struct iog_gather *gather, void *ctx)
{
	struct hw_leaf leaf;

	assert_true(gather->nr_tables);
	assert_false(hw_translate(&watched->host, watched->shape, &watched->root, false, shape_iova(watched->shape, 0), &leaf));
	return bed_flush(gather, ctx);
}

static void large_leaf_comes_after_the_flush(void **state)
{
	struct bed *bed = bed_create(*state, NULL);

	watched = bed;
	assert_int_equal(iog_gather_init(first_gather(bed), bed->pt, 0, flush_sees_no_leaf, bed), 0);
	maps(bed, PAGE_4K, 0, PAGE_4K);
	/* Now the gather holds the range; the tables are empty and linked. */
	unmaps(bed, PAGE_4K, PAGE_4K, PAGE_4K);
	maps_page(bed, 0, PA, PAGE_1G);
	assert_true(bed->flushes >= 2);
	leads_to(bed, 1, PA + 1, PAGE_1G);
	assert_int_equal(iog_gather_init(first_gather(bed), bed->pt, 0, bed_flush, bed), 0);
	unmaps(bed, 0, PAGE_1G, PAGE_1G);
	ends_empty(bed);
}

static void large_leaf_over_live_entry(void **state)
{
	static const uint64_t live[] = { 0, 255 * PAGE_4K, 511 * PAGE_4K };

	for (uint32_t i = 0; i < 3; i++) {
		struct bed *bed = bed_create(*state, NULL);
		struct before before;
		uint64_t mapped = 1;

		maps(bed, PAGE_1G + 77 * PAGE_2M + live[i], PA, PAGE_4K);
		/* An empty one beside it, which may go. */
		maps(bed, PAGE_1G + 5 * PAGE_2M, 0, PAGE_4K);
		unmaps(bed, PAGE_1G + 5 * PAGE_2M, PAGE_4K, PAGE_4K);
		before = remember(bed);
		assert_int_equal(iog_pgtable_map_pages(bed->pt, shape_iova(bed->shape, PAGE_1G + 77 * PAGE_2M), 0, PAGE_2M, 1, RW, first_gather(bed), &mapped),
				 -IOG_EEXIST);
		assert_int_equal(mapped, 0);
		assert_int_equal(map_result(bed, PAGE_1G, 0, PAGE_1G), -IOG_EEXIST);
		same_leaves(bed, &before);
		leads_to(bed, PAGE_1G + 77 * PAGE_2M + live[i], PA, PAGE_4K);
		unmaps(bed, 0, 4 * PAGE_1G, PAGE_4K);
		ends_empty(bed);
	}
}

static void large_leaf_when_the_flush_fails(void **state)
{
	struct bed *bed = bed_create(*state, NULL);
	uint64_t mapped = 1;

	maps(bed, PAGE_2M, 0, PAGE_4K);
	unmaps(bed, PAGE_2M, PAGE_4K, PAGE_4K);
	bed->fail_flushes = 100;
	assert_int_equal(map_result(bed, 0, PA, 4 * PAGE_2M), -IOG_ETIMEDOUT);
	leads_nowhere(bed, 0);
	leads_nowhere(bed, PAGE_2M);
	assert_int_equal(iog_pgtable_map_pages(bed->pt, shape_iova(bed->shape, 0), PA, PAGE_2M, 4, RW, first_gather(bed), &mapped), -IOG_ETIMEDOUT);
	assert_int_equal(mapped, PAGE_2M);
	sound(bed);
	leads_to(bed, 0, PA, PAGE_2M);
	leads_nowhere(bed, PAGE_2M);
	bed->fail_flushes = 0;
	maps_page(bed, PAGE_2M, PA + PAGE_2M, PAGE_2M);
	leads_to(bed, PAGE_2M, PA + PAGE_2M, PAGE_2M);
	unmaps(bed, 0, PAGE_1G, 2 * PAGE_2M);
	ends_empty(bed);
}

/* The best page sizes, as far as both addresses allow. */
static void map_takes_the_best_sizes(void **state)
{
	struct bed *bed = bed_create(*state, NULL);
	uint64_t at = PAGE_1G - PAGE_2M - 3 * PAGE_4K;

	maps(bed, at, PA + at, 3 * PAGE_4K + PAGE_2M + PAGE_1G + PAGE_2M + PAGE_4K);
	leads_to(bed, at, PA + at, PAGE_4K);
	leads_to(bed, PAGE_1G - PAGE_2M, PA + PAGE_1G - PAGE_2M, PAGE_2M);
	leads_to(bed, PAGE_1G + 5, PA + PAGE_1G + 5, PAGE_1G);
	leads_to(bed, 2 * PAGE_1G, PA + 2 * PAGE_1G, PAGE_2M);
	leads_to(bed, 2 * PAGE_1G + PAGE_2M, PA + 2 * PAGE_1G + PAGE_2M, PAGE_4K);
	leads_nowhere(bed, 2 * PAGE_1G + PAGE_2M + PAGE_4K);
	sound(bed);
	assert_int_equal(bed->memory.nr_leaves, 3 + 1 + 1 + 1 + 1);
	unmaps(bed, at, 3 * PAGE_4K + PAGE_2M + PAGE_1G + PAGE_2M + PAGE_4K, 4 * PAGE_4K + 2 * PAGE_2M + PAGE_1G);
	ends_empty(bed);
}

static void page_sizes_are_kept_to(void **state)
{
	const struct bed_options small = { .page_sizes = PAGE_4K };
	const struct bed_options no_2m = { .page_sizes = PAGE_4K | PAGE_1G };
	struct bed *bed = bed_create(*state, &small);
	uint64_t mapped = 1;

	maps(bed, 0, 0, PAGE_2M);
	leads_to(bed, PAGE_4K, PAGE_4K, PAGE_4K);
	assert_int_equal(iog_pgtable_map_pages(bed->pt, PAGE_2M, 0, PAGE_2M, 1, RW, first_gather(bed), &mapped), -IOG_EINVAL);
	assert_int_equal(mapped, 0);
	assert_int_equal(iog_pgtable_unmap_pages(bed->pt, 0, PAGE_2M, 1, first_gather(bed), &mapped), -IOG_EINVAL);
	unmaps(bed, 0, PAGE_2M, PAGE_2M);
	ends_empty(bed);

	bed = bed_create(*state, &no_2m);
	maps(bed, PAGE_1G - PAGE_2M, PAGE_1G - PAGE_2M, PAGE_2M + PAGE_1G);
	leads_to(bed, PAGE_1G - PAGE_2M, PAGE_1G - PAGE_2M, PAGE_4K);
	leads_to(bed, PAGE_1G, PAGE_1G, PAGE_1G);
	unmaps(bed, 0, 2 * PAGE_1G, PAGE_2M + PAGE_1G);
	ends_empty(bed);
}

static void permissions(void **state)
{
	static const uint64_t sizes[] = { PAGE_4K, PAGE_2M, PAGE_1G };
	struct bed *bed = bed_create(*state, NULL);

	for (uint32_t prot = 1; prot < 16; prot++) {
		for (uint32_t i = 0; i < 3; i++) {
			uint64_t iova = shape_iova(bed->shape, (1 + i) * PAGE_1G);
			int result = iog_pgtable_map(bed->pt, iova, PA, sizes[i], prot, first_gather(bed));
			struct iog_leaf leaf;
			struct hw_leaf seen;

			if (!(prot & RW)) {
				assert_int_equal(result, -IOG_EINVAL);
				continue;
			}
			assert_int_equal(result, 0);
			assert_int_equal(iog_pgtable_lookup(bed->pt, 0, iova, &leaf), 0);
			assert_int_equal(leaf.prot, shape_prot(bed->shape, prot));
			assert_true(hw_translate(&bed->host, bed->shape, &bed->root, false, iova, &seen));
			assert_int_equal(seen.prot, shape_prot(bed->shape, prot));
			assert_int_equal(seen.size, sizes[i]);
			sound(bed);
			unmaps(bed, (1 + i) * PAGE_1G, sizes[i], sizes[i]);
		}
	}
	ends_empty(bed);
}

/* First and last page, and large leaves at both ends; 2^64 - 1 as last byte where addresses are sign-extended. */
static void ends_of_the_space(void **state)
{
	static const uint64_t sizes[] = { PAGE_4K, PAGE_2M, PAGE_1G, PAGE_1G + PAGE_2M + PAGE_4K };
	const struct shape *shape = *state;
	const uint64_t space = UINT64_C(1) << shape->ias;
	struct bed *bed = bed_create(shape, NULL);

	for (uint32_t i = 0; i < 4; i++) {
		uint64_t size = sizes[i], bottom = shape_iova(shape, 0), top = shape_iova(shape, space - size), unmapped;
		uint64_t last = top + (size - 1);
		struct iog_leaf leaf;

		assert_int_equal(last, shape->flags & IOG_PGTABLE_SIGN_EXTENDED ? UINT64_MAX : space - 1);
		assert_int_equal(iog_pgtable_map(bed->pt, bottom, PA, size, RW, first_gather(bed)), 0);
		assert_int_equal(iog_pgtable_map(bed->pt, top, PA + top % PAGE_1G, size, RW, first_gather(bed)), 0);
		sound(bed);
		assert_int_equal(iog_pgtable_lookup(bed->pt, 0, last, &leaf), 0);
		assert_int_equal(leaf.paddr, PA + top % PAGE_1G + size - 1);
		leads_to(bed, 0, PA, i == 3 ? PAGE_1G : size);
		assert_int_equal(iog_pgtable_unmap(bed->pt, top, size, first_gather(bed), &unmapped), 0);
		assert_int_equal(unmapped, size);
		leads_nowhere(bed, space - 1);
		/* The whole space, or each half of it, in one call. */
		if (shape->flags & IOG_PGTABLE_SIGN_EXTENDED)
			unmaps(bed, space / 2, space / 2, 0);
		unmaps(bed, 0, shape->flags & IOG_PGTABLE_SIGN_EXTENDED ? space / 2 : space, size);
		sound(bed);
	}
	ends_empty(bed);
}

static void flush_on_map(void **state)
{
	const struct bed_options options = { .flags = IOG_PGTABLE_FLUSH_ON_MAP };
	struct bed *bed = bed_create(*state, &options);
	uint64_t iova = shape_iova(bed->shape, PAGE_2M - PAGE_4K), mapped = 0;

	maps(bed, PAGE_2M - PAGE_4K, PA, 3 * PAGE_4K);
	assert_int_equal(bed->flushes, 1);
	assert_true(bed->flushed.walk_caches);
	assert_int_equal(bed->flushed.nr_ranges, 1);
	assert_int_equal(bed->flushed.ranges[0].first, iova);
	assert_int_equal(bed->flushed.ranges[0].last, iova + 3 * PAGE_4K - 1);
	assert_true(iog_gather_is_empty(first_gather(bed)));
	assert_false(first_gather(bed)->walk_caches);

	/* Nothing was mapped: nothing to flush for. */
	assert_int_equal(iog_pgtable_map_pages(bed->pt, iova, PA, PAGE_4K, 1, RW, first_gather(bed), &mapped), -IOG_EEXIST);
	assert_int_equal(bed->flushes, 1);
	/* A part of it was. */
	iova -= 2 * PAGE_4K;
	assert_int_equal(iog_pgtable_map_pages(bed->pt, iova, PA, PAGE_4K, 5, RW, first_gather(bed), &mapped), -IOG_EEXIST);
	assert_int_equal(mapped, 2 * PAGE_4K);
	assert_int_equal(bed->flushes, 2);
	assert_true(bed->flushed.walk_caches);
	assert_int_equal(bed->flushed.ranges[0].first, iova);
	assert_int_equal(bed->flushed.ranges[0].last, iova + 2 * PAGE_4K - 1);

	/* An unmap alone does not flush. */
	unmaps(bed, 0, PAGE_1G, 5 * PAGE_4K);
	assert_int_equal(bed->flushes, 2);
	flushes(bed, first_gather(bed));

	/* The flush fails: nothing is mapped, or as much as is said. */
	bed->fail_flushes = 100;
	assert_int_equal(map_result(bed, 8 * PAGE_4K, PA, 4 * PAGE_4K), -IOG_ETIMEDOUT);
	leads_nowhere(bed, 8 * PAGE_4K);
	leads_nowhere(bed, 11 * PAGE_4K);
	mapped = 99;
	assert_int_equal(iog_pgtable_map_pages(bed->pt, shape_iova(bed->shape, 0), PA, PAGE_4K, 2, RW, first_gather(bed), &mapped), -IOG_ETIMEDOUT);
	assert_true(mapped == 0 || mapped == 2 * PAGE_4K);
	if (mapped)
		leads_to(bed, PAGE_4K, PA + PAGE_4K, PAGE_4K);
	else
		leads_nowhere(bed, 0);
	sound(bed);
	bed->fail_flushes = 0;
	unmaps(bed, 0, PAGE_1G, mapped);
	ends_empty(bed);
}

/* Tables arrive in memory before the entry that leads to them, at every moment that anybody could look. */
static struct bed *cleaning;
static void (*clean)(void *ctx, const void *va, size_t size);

static void clean_and_look(void *ctx, const void *va, size_t size)
{
	clean(ctx, va, size);
	if (cleaning->pt && !hw_scan(&cleaning->host, cleaning->shape, &cleaning->root, true, &cleaning->shadow))
		fail_msg("without snooping, in the middle of a call: %s", cleaning->shadow.error);
}

static void noncoherent_order(void **state)
{
	const struct bed_options options = { .flags = IOG_PGTABLE_NONCOHERENT | IOG_PGTABLE_SPLIT, .trim_batch = 1 };
	struct bed *bed = bed_create(*state, &options);

	cleaning = bed;
	clean = bed->host.platform.cache_clean;
	bed->host.platform.cache_clean = clean_and_look;
	maps(bed, PAGE_1G - PAGE_4K, PA, 2 * PAGE_4K);
	sound(bed);
	maps(bed, 0, PA + PAGE_4K, PAGE_2M);
	sound(bed);
	unmaps(bed, PAGE_1G, PAGE_4K, PAGE_4K);
	sound(bed);
	maps(bed, PAGE_1G, PA, 3 * PAGE_4K);
	sound(bed);
	unmaps(bed, 0, PAGE_2M, PAGE_2M);
	sound(bed);
	maps(bed, 5 * PAGE_4K, PA, PAGE_4K);
	sound(bed);
	unmaps(bed, 0, PAGE_2M, PAGE_4K);
	maps(bed, 0, PA, PAGE_2M);
	sound(bed);
	unmaps(bed, PAGE_4K, PAGE_4K, PAGE_4K);
	sound(bed);
	flushes(bed, first_gather(bed));
	unmaps(bed, 0, 2 * PAGE_1G, PAGE_2M + 3 * PAGE_4K);
	sound(bed);
	flushes(bed, first_gather(bed));
	sound(bed);
	bed->host.platform.cache_clean = clean;
	ends_empty(bed);
}

const struct corner corners_map[] = {
	{ "map over live entries undoes all", map_over_live_undoes_all, NULL },
	{ "map over a large leaf", map_over_large_leaf, NULL },
	{ "map_pages reports what it mapped", map_pages_reports_prefix, NULL },
	{ "large leaf over empty tables", large_leaf_over_empty_tables, NULL },
	{ "large leaf comes after the flush", large_leaf_comes_after_the_flush, NULL },
	{ "large leaf over one live entry", large_leaf_over_live_entry, NULL },
	{ "large leaf when the flush fails", large_leaf_when_the_flush_fails, NULL },
	{ "map takes the best sizes", map_takes_the_best_sizes, NULL },
	{ "page sizes are kept to", page_sizes_are_kept_to, NULL },
	{ "permissions", permissions, NULL },
	{ "ends of the space", ends_of_the_space, NULL },
	{ "flush on map", flush_on_map, NULL },
	{ "no snooping: order of cleaning", noncoherent_order, NULL },
	{ NULL, NULL, NULL },
};

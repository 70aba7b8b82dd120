/* SPDX-License-Identifier: MIT */
/*
 * Behaviour of unmaps, lookups and visits: holes, parts of large leaves, splitting.
 */
#include "corners.h"

#define PA (5 * PAGE_1G)

static void unmap_across_holes(void **state)
{
	struct bed *bed = bed_create(*state, NULL);
	uint64_t unmapped = 1;

	maps(bed, 3 * PAGE_4K, PA, PAGE_4K);
	maps(bed, 700 * PAGE_4K, PA, 2 * PAGE_4K);
	maps(bed, PAGE_1G + PAGE_2M, PA, PAGE_2M);
	maps(bed, 3 * PAGE_1G, PA, PAGE_1G);
	maps(bed, 5 * PAGE_1G + 9 * PAGE_4K, PA, PAGE_4K);
	unmaps(bed, PAGE_4K, 700 * PAGE_4K, 2 * PAGE_4K);
	leads_nowhere(bed, 3 * PAGE_4K);
	leads_nowhere(bed, 700 * PAGE_4K);
	leads_to(bed, 701 * PAGE_4K, PA + PAGE_4K, PAGE_4K);
	assert_int_equal(iog_pgtable_unmap_pages(bed->pt, shape_iova(bed->shape, 0), PAGE_1G, 6, first_gather(bed), &unmapped), 0);
	assert_int_equal(unmapped, 2 * PAGE_4K + PAGE_2M + PAGE_1G);
	unmaps(bed, 0, 6 * PAGE_1G, 0);
	assert_int_equal(iog_pgtable_unmap(bed->pt, shape_iova(bed->shape, 0), PAGE_1G, first_gather(bed), NULL), 0);
	ends_empty(bed);
}

/* A table that the other lane emptied goes with an unmap of a range that covers it. */
static void empty_tables_under_a_hole_go(void **state)
{
	struct bed *bed = bed_create(*state, NULL);
	struct iog_gather *other = &bed->gather[1][0];
	uint64_t unmapped;

	maps(bed, 0, PA, PAGE_4K);
	maps(bed, 2 * PAGE_2M, PA, PAGE_4K);
	assert_int_equal(iog_pgtable_map(bed->pt, shape_iova(bed->shape, PAGE_2M), PA, PAGE_4K, RW, other), 0);
	assert_int_equal(iog_pgtable_unmap(bed->pt, shape_iova(bed->shape, PAGE_2M), PAGE_4K, other, &unmapped), 0);
	flushes(bed, other);
	if (bed->options.trim_batch != 1 && bed->shape->reclaim == IOG_RECLAIM_COUNTED)
		has_tables(bed, 0, 3, 0);
	unmaps(bed, 0, 3 * PAGE_2M, 2 * PAGE_4K);
	has_tables(bed, 0, 0, bed->shape->reclaim == IOG_RECLAIM_RWLOCK ? 2 : 3);
	flushes(bed, first_gather(bed));
	has_tables(bed, 0, 0, 0);
	ends_empty(bed);
}

static void part_of_a_large_leaf_is_refused(void **state)
{
	static const struct {
		uint64_t at, size;
	} parts[] = {
		{ PAGE_2M, PAGE_4K },
		{ PAGE_2M + 8 * PAGE_4K, 3 * PAGE_4K },
		{ 2 * PAGE_2M - PAGE_4K, PAGE_4K },
		{ 2 * PAGE_2M - PAGE_4K, 2 * PAGE_4K },
		{ 0, PAGE_2M + PAGE_4K },
		{ PAGE_2M - PAGE_4K, PAGE_2M },
		{ PAGE_1G, PAGE_2M },
		{ PAGE_1G + 4 * PAGE_2M, PAGE_4K },
		{ 2 * PAGE_1G - PAGE_4K, PAGE_4K },
		{ 0, PAGE_1G + PAGE_2M },
		{ 2 * PAGE_1G - PAGE_2M, PAGE_1G },
		{ PAGE_1G - PAGE_4K, PAGE_1G },
	};
	struct bed *bed = bed_create(*state, NULL);
	struct before before;

	maps(bed, PAGE_4K, 0, PAGE_4K);
	maps(bed, PAGE_2M, PA, PAGE_2M);
	maps(bed, PAGE_1G, PA, PAGE_1G);
	maps(bed, 2 * PAGE_1G, 0, PAGE_4K);
	before = remember(bed);
	for (uint32_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		uint64_t iova = shape_iova(bed->shape, parts[i].at), unmapped = 1;

		assert_int_equal(iog_pgtable_unmap(bed->pt, iova, parts[i].size, first_gather(bed), &unmapped), -IOG_EINVAL);
		assert_int_equal(unmapped, 0);
		unmapped = 1;
		assert_int_equal(iog_pgtable_unmap_pages(bed->pt, iova, PAGE_4K, parts[i].size / PAGE_4K, first_gather(bed), &unmapped), -IOG_EINVAL);
		assert_int_equal(unmapped, 0);
	}
	nothing_changed(bed, &before);
	unmaps(bed, PAGE_2M, PAGE_2M, PAGE_2M);
	unmaps(bed, 0, 3 * PAGE_1G, 2 * PAGE_4K + PAGE_1G);
	ends_empty(bed);
}

static void part_of_a_large_leaf_is_split(const struct shape *shape, uint32_t flags)
{
	const struct bed_options options = { .flags = IOG_PGTABLE_SPLIT | flags };
	struct bed *bed = bed_create(shape, &options);
	uint64_t hole = PAGE_1G + 100 * PAGE_2M + 7 * PAGE_4K;

	/* 2M: from its middle, its head, its end. */
	maps(bed, PAGE_2M, PA, PAGE_2M);
	unmaps(bed, PAGE_2M + 8 * PAGE_4K, 3 * PAGE_4K, 3 * PAGE_4K);
	leads_to(bed, PAGE_2M + 7 * PAGE_4K, PA + 7 * PAGE_4K, PAGE_4K);
	leads_nowhere(bed, PAGE_2M + 8 * PAGE_4K);
	leads_nowhere(bed, PAGE_2M + 10 * PAGE_4K);
	leads_to(bed, PAGE_2M + 11 * PAGE_4K, PA + 11 * PAGE_4K, PAGE_4K);
	sound(bed);
	assert_int_equal(bed->memory.nr_leaves, 509);
	unmaps(bed, 0, 2 * PAGE_2M, 509 * PAGE_4K);
	maps(bed, PAGE_2M, PA, PAGE_2M);
	unmaps(bed, 0, PAGE_2M + PAGE_4K, PAGE_4K);
	unmaps(bed, 2 * PAGE_2M - PAGE_4K, 2 * PAGE_4K, PAGE_4K);
	leads_to(bed, PAGE_2M + PAGE_4K, PA + PAGE_4K, PAGE_4K);
	unmaps(bed, 0, PAGE_1G, 510 * PAGE_4K);

	/* 1G: only as far as needed. */
	maps(bed, PAGE_1G, PA, PAGE_1G);
	unmaps(bed, PAGE_1G + 3 * PAGE_2M, PAGE_2M, PAGE_2M);
	sound(bed);
	assert_int_equal(bed->memory.nr_leaves, 511);
	unmaps(bed, hole, PAGE_4K, PAGE_4K);
	leads_nowhere(bed, hole);
	leads_to(bed, hole + PAGE_4K, PA + 100 * PAGE_2M + 8 * PAGE_4K, PAGE_4K);
	leads_to(bed, PAGE_1G + 99 * PAGE_2M, PA + 99 * PAGE_2M, PAGE_2M);
	leads_to(bed, 2 * PAGE_1G - 1, PA + PAGE_1G - 1, PAGE_2M);
	sound(bed);
	assert_int_equal(bed->memory.nr_leaves, 510 + 511);
	/* Cut at both ends: two leaves are split. */
	unmaps(bed, PAGE_1G + 200 * PAGE_2M + PAGE_4K, 2 * PAGE_2M, 2 * PAGE_2M);
	leads_to(bed, PAGE_1G + 200 * PAGE_2M, PA + 200 * PAGE_2M, PAGE_4K);
	leads_nowhere(bed, PAGE_1G + 201 * PAGE_2M);
	leads_nowhere(bed, PAGE_1G + 202 * PAGE_2M);
	leads_to(bed, PAGE_1G + 202 * PAGE_2M + PAGE_4K, PA + 202 * PAGE_2M + PAGE_4K, PAGE_4K);
	unmaps(bed, 0, 3 * PAGE_1G, PAGE_1G - 3 * PAGE_2M - PAGE_4K);
	ends_empty(bed);
}

static void large_leaves_are_split(void **state)
{
	part_of_a_large_leaf_is_split(*state, 0);
	part_of_a_large_leaf_is_split(*state, IOG_PGTABLE_NONCOHERENT);
	part_of_a_large_leaf_is_split(*state, IOG_PGTABLE_FLUSH_ON_MAP);
}

/* The size below is not one of the page table's. */
static void split_needs_the_smaller_size(void **state)
{
	const struct bed_options options = { .flags = IOG_PGTABLE_SPLIT, .page_sizes = PAGE_4K | PAGE_1G };
	struct bed *bed = bed_create(*state, &options);
	struct before before;
	uint64_t unmapped = 1;

	maps(bed, PAGE_1G, PA, PAGE_1G);
	before = remember(bed);
	assert_int_equal(iog_pgtable_unmap(bed->pt, shape_iova(bed->shape, PAGE_1G), PAGE_4K, first_gather(bed), &unmapped), -IOG_EINVAL);
	assert_int_equal(unmapped, 0);
	nothing_changed(bed, &before);
	unmaps(bed, PAGE_1G, PAGE_1G, PAGE_1G);
	ends_empty(bed);
}

static void lookup_of_nothing(void **state)
{
	const struct shape *shape = *state;
	struct bed *bed = bed_create(shape, NULL);
	struct iog_leaf leaf = { 1, 2, 3 };
	uint64_t space = UINT64_C(1) << shape->ias;

	leads_nowhere(bed, 0);
	leads_nowhere(bed, space - 1);
	/* Physical address 0 is an address. */
	maps(bed, PAGE_4K, 0, PAGE_4K);
	leads_nowhere(bed, 0);
	leads_nowhere(bed, PAGE_4K - 1);
	leads_to(bed, PAGE_4K, 0, PAGE_4K);
	leads_to(bed, 2 * PAGE_4K - 1, PAGE_4K - 1, PAGE_4K);
	leads_nowhere(bed, 2 * PAGE_4K);
	leads_nowhere(bed, PAGE_2M);
	leads_nowhere(bed, PAGE_1G);
	unmaps(bed, PAGE_4K, PAGE_4K, PAGE_4K);
	leads_nowhere(bed, PAGE_4K);
	assert_int_equal(iog_pgtable_lookup(bed->pt, 0, shape_iova(shape, PAGE_4K), &leaf), -IOG_ENOENT);
	/* Beyond the space, and between its halves. */
	assert_int_equal(iog_pgtable_lookup(bed->pt, 0, shape->flags & IOG_PGTABLE_SIGN_EXTENDED ? space / 2 : space, &leaf), -IOG_ERANGE);
	if (shape->flags & IOG_PGTABLE_SIGN_EXTENDED)
		assert_int_equal(iog_pgtable_lookup(bed->pt, 0, UINT64_MAX - space / 2, &leaf), -IOG_ERANGE);
	else
		assert_int_equal(iog_pgtable_lookup(bed->pt, 0, UINT64_MAX, &leaf), -IOG_ERANGE);
	assert_int_equal(leaf.paddr, 1);
	assert_int_equal(leaf.page_size, 2);
	assert_int_equal(leaf.prot, 3);
	ends_empty(bed);
}

struct visits {
	uint64_t iova[8];
	uint64_t size[8];
	uint32_t nr;
	uint32_t stop_at; /* the visit that returns 77; 0: none */
};

static int note_visit(iog_iova_t iova, const struct iog_leaf *leaf, void *ctx)
{
	struct visits *v = ctx;

	assert_true(v->nr < 8);
	v->iova[v->nr] = iova;
	v->size[v->nr++] = leaf->page_size;
	return v->nr == v->stop_at ? 77 : 0;
}

static void visits(void **state)
{
	const struct shape *shape = *state;
	const uint64_t space = UINT64_C(1) << shape->ias;
	struct bed *bed = bed_create(shape, NULL);
	uint64_t top = shape_iova(shape, space - PAGE_4K);
	struct visits v = { .nr = 0 };

	assert_int_equal(iog_pgtable_visit(bed->pt, 0, 0, UINT64_MAX, note_visit, &v), 0);
	assert_int_equal(v.nr, 0);
	maps(bed, 511 * PAGE_4K, PA, PAGE_4K);
	maps(bed, PAGE_2M, PA, PAGE_2M);
	maps(bed, PAGE_1G, PA, PAGE_1G);
	maps(bed, space - PAGE_4K, PA, PAGE_4K);

	/* All that can be expressed, whatever was asked for. */
	assert_int_equal(iog_pgtable_visit(bed->pt, 0, 0, UINT64_MAX, note_visit, &v), 0);
	assert_int_equal(v.nr, 4);
	assert_int_equal(v.iova[0], 511 * PAGE_4K);
	assert_int_equal(v.iova[1], PAGE_2M);
	assert_int_equal(v.size[1], PAGE_2M);
	assert_int_equal(v.iova[2], PAGE_1G);
	assert_int_equal(v.size[2], PAGE_1G);
	assert_int_equal(v.iova[3], top);

	/* One byte of each. */
	v.nr = 0;
	assert_int_equal(iog_pgtable_visit(bed->pt, 0, PAGE_2M - 1, PAGE_2M, note_visit, &v), 0);
	assert_int_equal(v.nr, 2);
	v.nr = 0;
	assert_int_equal(iog_pgtable_visit(bed->pt, 0, PAGE_1G + 12345, PAGE_1G + 12345, note_visit, &v), 0);
	assert_int_equal(v.nr, 1);
	assert_int_equal(v.iova[0], PAGE_1G);
	v.nr = 0;
	assert_int_equal(iog_pgtable_visit(bed->pt, 0, 2 * PAGE_2M, PAGE_1G - 1, note_visit, &v), 0);
	assert_int_equal(v.nr, 0);
	assert_int_equal(iog_pgtable_visit(bed->pt, 0, top + PAGE_4K - 1, top + PAGE_4K - 1, note_visit, &v), 0);
	assert_int_equal(v.nr, 1);
	/* Nothing of it can be expressed. */
	v.nr = 0;
	if (shape->flags & IOG_PGTABLE_SIGN_EXTENDED)
		assert_int_equal(iog_pgtable_visit(bed->pt, 0, space / 2, UINT64_MAX - space / 2, note_visit, &v), 0);
	else
		assert_int_equal(iog_pgtable_visit(bed->pt, 0, space, UINT64_MAX, note_visit, &v), 0);
	assert_int_equal(v.nr, 0);

	v.stop_at = 2;
	assert_int_equal(iog_pgtable_visit(bed->pt, 0, 0, UINT64_MAX, note_visit, &v), 77);
	assert_int_equal(v.nr, 2);
	assert_int_equal(iog_pgtable_visit(bed->pt, 0, 1, 0, note_visit, &v), -IOG_EINVAL);
	unmaps(bed, 0, 2 * PAGE_1G, PAGE_4K + PAGE_2M + PAGE_1G);
	unmaps(bed, space - PAGE_4K, PAGE_4K, PAGE_4K);
	ends_empty(bed);
}

const struct corner corners_unmap[] = {
	{ "unmap across holes", unmap_across_holes, NULL },
	{ "empty tables under a hole go", empty_tables_under_a_hole_go, is_reclaiming },
	{ "part of a large leaf is refused", part_of_a_large_leaf_is_refused, NULL },
	{ "large leaves are split", large_leaves_are_split, NULL },
	{ "split needs the smaller size", split_needs_the_smaller_size, NULL },
	{ "lookup of nothing", lookup_of_nothing, NULL },
	{ "visits", visits, NULL },
	{ NULL, NULL, NULL },
};

/* SPDX-License-Identifier: MIT */
/*
 * Behaviour of gathers: ranges are joined, too many become everything, and walk caches are spared where no table went.
 */
#include "corners.h"

#define PA (5 * PAGE_1G)

static void range_is(const struct bed *bed, uint32_t i, uint64_t at, uint64_t size)
{
	const struct iog_range *range = &bed->gather[0][0].ranges[i];

	assert_int_equal(range->first, shape_iova(bed->shape, at));
	assert_int_equal(range->last, shape_iova(bed->shape, at) + (size - 1));
}

static void ranges_are_joined(void **state)
{
	struct bed *bed = bed_create(*state, NULL);
	struct iog_gather *gather = first_gather(bed);

	maps(bed, 0, PA, 20 * PAGE_4K);
	assert_true(iog_gather_is_empty(gather));
	/* Upwards, downwards, and the gap between. */
	unmaps(bed, 4 * PAGE_4K, PAGE_4K, PAGE_4K);
	unmaps(bed, 5 * PAGE_4K, 2 * PAGE_4K, 2 * PAGE_4K);
	unmaps(bed, 3 * PAGE_4K, PAGE_4K, PAGE_4K);
	assert_int_equal(gather->nr_ranges, 1);
	range_is(bed, 0, 3 * PAGE_4K, 4 * PAGE_4K);
	unmaps(bed, 10 * PAGE_4K, PAGE_4K, PAGE_4K);
	assert_int_equal(gather->nr_ranges, 2);
	assert_int_equal(gather->min_page_size, PAGE_4K);
	assert_false(gather->everything);
	assert_false(gather->walk_caches);
	assert_int_equal(gather->nr_tables, 0);
	/* Of what is not mapped, nothing needs to be invalidated. */
	unmaps(bed, 40 * PAGE_4K, 8 * PAGE_4K, 0);
	assert_int_equal(gather->nr_ranges, 2);

	flushes(bed, gather);
	assert_int_equal(bed->flushes, 1);
	assert_int_equal(bed->flushed.nr_ranges, 2);
	assert_int_equal(gather->nr_ranges, 0);
	assert_int_equal(gather->min_page_size, 0);
	/* An empty gather costs nothing. */
	flushes(bed, gather);
	assert_int_equal(bed->flushes, 1);
	unmaps(bed, 0, PAGE_1G, 15 * PAGE_4K);
	ends_empty(bed);
}

/* A gather of one's own: the same by hand, up to both ends of the address space. */
static void ranges_by_hand(void **state)
{
	struct bed *bed = bed_create(*state, NULL);
	struct iog_gather *gather = first_gather(bed);

	iog_gather_add_range(gather, UINT64_MAX - 0xfff, UINT64_MAX, PAGE_4K);
	iog_gather_add_range(gather, 0, 0xfff, PAGE_2M);
	assert_int_equal(gather->nr_ranges, 2);
	assert_int_equal(gather->min_page_size, PAGE_4K);
	iog_gather_add_range(gather, 0x1000, 0x1fff, PAGE_4K);
	iog_gather_add_range(gather, UINT64_MAX - 0x1fff, UINT64_MAX - 0x1000, PAGE_4K);
	/* Inside, and around. */
	iog_gather_add_range(gather, 0x400, 0x4ff, PAGE_4K);
	iog_gather_add_range(gather, UINT64_MAX - 0x3fff, UINT64_MAX, PAGE_4K);
	assert_int_equal(gather->nr_ranges, 2);
	for (uint32_t i = 0; i < 2; i++) {
		bool low = !gather->ranges[i].first;

		assert_int_equal(gather->ranges[i].first, low ? 0 : UINT64_MAX - 0x3fff);
		assert_int_equal(gather->ranges[i].last, low ? 0x1fff : UINT64_MAX);
	}
	flushes(bed, gather);
	ends_empty(bed);
}

static void many_ranges_are_everything(void **state)
{
	struct bed *bed = bed_create(*state, NULL);
	struct iog_gather *gather = first_gather(bed);

	maps(bed, 0, PA, 100 * PAGE_4K);
	for (uint64_t i = 0; i < IOG_GATHER_RANGES; i++)
		unmaps(bed, 2 * i * PAGE_4K, PAGE_4K, PAGE_4K);
	assert_int_equal(gather->nr_ranges, IOG_GATHER_RANGES);
	assert_false(gather->everything);
	unmaps(bed, 60 * PAGE_4K, PAGE_4K, PAGE_4K);
	assert_true(gather->everything);
	assert_false(iog_gather_is_empty(gather));
	unmaps(bed, 62 * PAGE_4K, PAGE_4K, PAGE_4K);
	assert_true(gather->everything);
	/* Leaves only, all the same. */
	assert_int_equal(gather->nr_tables, 0);
	assert_false(gather->walk_caches);
	flushes(bed, gather);
	assert_true(bed->flushed.everything);
	assert_false(gather->everything);
	unmaps(bed, 0, PAGE_1G, 100 * PAGE_4K - (IOG_GATHER_RANGES + 2) * PAGE_4K);
	ends_empty(bed);
}

/* Every address that was unmapped is in the gather, whatever the leaves were. */
static void gather_covers_what_was_unmapped(void **state)
{
	const struct bed_options options = { .trim_batch = 1 };
	struct bed *bed = bed_create(*state, &options);
	struct iog_gather *gather = first_gather(bed);
	uint64_t tables;

	maps(bed, PAGE_1G, PA, PAGE_2M);
	unmaps(bed, PAGE_1G, PAGE_2M, PAGE_2M);
	assert_int_equal(gather->nr_ranges, 1);
	range_is(bed, 0, PAGE_1G, PAGE_2M);
	assert_int_equal(gather->min_page_size, PAGE_2M);
	flushes(bed, gather);
	maps(bed, 0, PA + PAGE_4K, PAGE_2M);
	maps(bed, PAGE_1G, PA, PAGE_1G);
	maps(bed, 2 * PAGE_1G, PA, PAGE_4K);
	unmaps(bed, 0, 4 * PAGE_1G, PAGE_2M + PAGE_1G + PAGE_4K);
	assert_int_equal(gather->min_page_size, PAGE_4K);
	for (uint64_t at = 0; at < 2 * PAGE_1G + PAGE_4K; at += at < PAGE_2M - PAGE_4K || at >= 2 * PAGE_1G ? PAGE_4K : PAGE_2M) {
		uint64_t iova = shape_iova(bed->shape, at);
		bool covered = false;

		if (at >= PAGE_2M && at < PAGE_1G)
			at = PAGE_1G, iova = shape_iova(bed->shape, at);
		for (uint32_t i = 0; i < gather->nr_ranges; i++)
			covered |= iova >= gather->ranges[i].first && iova <= gather->ranges[i].last;
		assert_true(covered || gather->everything);
	}
	/* Tables that were unlinked say which addresses they served. */
	tables = gather->nr_tables;
	if (shape_reclaims(bed->shape)) {
		assert_true(tables >= 2);
		for (uint32_t i = 0; i < tables; i++) {
			uint64_t span = gather->tables[i].span.last - gather->tables[i].span.first + 1;

			assert_true(span == PAGE_2M || span == PAGE_1G);
			assert_int_equal(gather->tables[i].span.first % span, 0);
		}
	} else {
		assert_int_equal(tables, 0);
	}
	flushes(bed, gather);
	ends_empty(bed);
}

/* Pages that ping-pong cost invalidations of leaves only; only a table that went costs more. */
static void walk_caches_are_spared(void **state)
{
	const struct bed_options options = { .trim_batch = 64 };
	struct bed *bed = bed_create(*state, &options);
	uint64_t drops = 0;

	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t at = i % 40 * PAGE_2M + i % 7 * PAGE_4K;

		maps(bed, at, PA, PAGE_4K);
		unmaps(bed, at, PAGE_4K, PAGE_4K);
		flushes(bed, first_gather(bed));
		drops += bed->flushed.nr_tables || bed->flushed.walk_caches;
	}
	assert_int_equal(drops, 0);
	/* In a sweep, at most one in 64. */
	for (uint64_t i = 0; i < 1000; i++) {
		maps(bed, (i + 100) * PAGE_2M, PA, PAGE_4K);
		unmaps(bed, (i + 100) * PAGE_2M, PAGE_4K, PAGE_4K);
		flushes(bed, first_gather(bed));
		drops += bed->flushed.nr_tables || bed->flushed.walk_caches;
	}
	assert_in_range(drops, 0, (1000 + 40) / 64 + 1);
	if (shape_reclaims(bed->shape))
		assert_true(drops > 10);
	else
		assert_int_equal(drops, 0);
	ends_empty(bed);
}

/* Sign-extended spans and ranges are as devices write them. */
static void spans_are_as_devices_write_them(void **state)
{
	const struct shape *shape = *state;
	const struct bed_options options = { .trim_batch = 1 };
	const uint64_t at = (UINT64_C(1) << shape->ias) - PAGE_2M;
	struct bed *bed = bed_create(shape, &options);

	maps(bed, at + 5 * PAGE_4K, PA, PAGE_4K);
	unmaps(bed, at + 5 * PAGE_4K, PAGE_4K, PAGE_4K);
	assert_int_equal(first_gather(bed)->nr_ranges, 1);
	range_is(bed, 0, at + 5 * PAGE_4K, PAGE_4K);
	if (shape_reclaims(shape)) {
		assert_int_equal(first_gather(bed)->nr_tables, 1);
		assert_int_equal(first_gather(bed)->tables[0].span.first, shape_iova(shape, at));
		assert_int_equal(first_gather(bed)->tables[0].span.last, shape_iova(shape, at) + (PAGE_2M - 1));
	}
	flushes(bed, first_gather(bed));
	ends_empty(bed);
}

const struct corner corners_gather[] = {
	{ "ranges are joined", ranges_are_joined, NULL },
	{ "ranges by hand", ranges_by_hand, NULL },
	{ "many ranges are everything", many_ranges_are_everything, NULL },
	{ "a gather covers what was unmapped", gather_covers_what_was_unmapped, NULL },
	{ "walk caches are spared", walk_caches_are_spared, NULL },
	{ "spans are as devices write them", spans_are_as_devices_write_them, NULL },
	{ NULL, NULL, NULL },
};

/* SPDX-License-Identifier: MIT */
/*
 * Behaviour of reclaim: what unlinks a table, what revives it, who gives it back and when; and what destroy leaves.
 */
#include <stdlib.h>

#include "corners.h"

#define PA (5 * PAGE_1G)

/* Empty tables leave at once: everything about one table is one call away. */
static struct bed *eager_bed(const struct shape *shape)
{
	const struct bed_options options = { .trim_batch = 1 };

	return bed_create(shape, &options);
}

static struct iog_pgtable_stats stats_of(const struct bed *bed)
{
	struct iog_pgtable_stats stats;

	iog_pgtable_stats(bed->pt, &stats);
	return stats;
}

/* A table of the other level keeps its parent, so that only leaf tables come and go in these tests. */
static void keep_parents(struct bed *bed)
{
	maps(bed, 300 * PAGE_2M, PA, PAGE_2M);
}

static void unmaps_with(struct bed *bed, struct iog_gather *gather, uint64_t at, uint64_t size, uint64_t expected)
{
	uint64_t unmapped = 1;

	assert_int_equal(iog_pgtable_unmap(bed->pt, shape_iova(bed->shape, at), size, gather, &unmapped), 0);
	assert_int_equal(unmapped, expected);
}

static void empty_table_stays_within_the_bound(void **state)
{
	const struct bed_options options = { .trim_batch = 4 };
	struct bed *bed = bed_create(*state, &options);
	struct iog_pgtable_stats stats;

	keep_parents(bed);
	/* A page that comes and goes rebuilds nothing. */
	for (uint32_t i = 0; i < 100; i++) {
		maps(bed, PAGE_4K, PA, PAGE_4K);
		unmaps(bed, PAGE_4K, PAGE_4K, PAGE_4K);
		flushes(bed, first_gather(bed));
	}
	stats = stats_of(bed);
	assert_int_equal(stats.unlinked, 0);
	assert_int_equal(stats.tables[0], 1);
	for (uint64_t i = 1; i < 3; i++) {
		maps(bed, i * PAGE_2M, PA, PAGE_4K);
		unmaps(bed, i * PAGE_2M, PAGE_4K, PAGE_4K);
	}
	has_tables(bed, 0, 3, 0);
	assert_int_equal(first_gather(bed)->nr_tables, 0);
	/* The fourth empties the list. */
	maps(bed, 3 * PAGE_2M, PA, PAGE_4K);
	unmaps(bed, 3 * PAGE_2M, PAGE_4K, PAGE_4K);
	has_tables(bed, 0, 0, 4);
	assert_int_equal(first_gather(bed)->nr_tables, 4);
	flushes(bed, first_gather(bed));
	has_tables(bed, 0, 0, 0);
	assert_int_equal(stats_of(bed).released, 4);
	unmaps(bed, 0, PAGE_1G, PAGE_2M);
	ends_empty(bed);
}

/* One that is in use again when its turn comes stays. */
static void table_in_use_again_is_not_unlinked(void **state)
{
	const struct bed_options options = { .trim_batch = 2 };
	struct bed *bed = bed_create(*state, &options);

	keep_parents(bed);
	maps(bed, 0, PA, PAGE_4K);
	unmaps(bed, 0, PAGE_4K, PAGE_4K);
	maps(bed, PAGE_4K, PA, PAGE_4K);
	maps(bed, PAGE_2M, PA, PAGE_4K);
	unmaps(bed, PAGE_2M, PAGE_4K, PAGE_4K);
	has_tables(bed, 0, 1, 1);
	leads_to(bed, PAGE_4K, PA, PAGE_4K);
	flushes(bed, first_gather(bed));
	leads_to(bed, PAGE_4K, PA, PAGE_4K);
	unmaps(bed, 0, PAGE_1G, PAGE_2M + PAGE_4K);
	ends_empty(bed);
}

/* Unlinked, mapped again before the flush: the same table, and the flush does not take it. */
static void revival(void **state)
{
	struct bed *bed = eager_bed(*state);
	struct iog_pgtable_stats stats;
	uint64_t bytes;

	keep_parents(bed);
	maps(bed, PAGE_4K, PA, PAGE_4K);
	unmaps(bed, PAGE_4K, PAGE_4K, PAGE_4K);
	has_tables(bed, 0, 0, 1);
	stats = stats_of(bed);
	assert_int_equal(stats.unlinked, 1);
	assert_int_equal(stats.revived, 0);
	bytes = stats.table_bytes;

	maps(bed, 9 * PAGE_4K, PA + PAGE_4K, PAGE_4K);
	has_tables(bed, 0, 1, 0);
	stats = stats_of(bed);
	assert_int_equal(stats.revived, 1);
	assert_int_equal(stats.released, 0);
	assert_int_equal(stats.table_bytes, bytes);
	leads_to(bed, 9 * PAGE_4K, PA + PAGE_4K, PAGE_4K);
	leads_nowhere(bed, PAGE_4K);

	/* The gather that recorded it completes: it is in use, and stays. */
	assert_int_equal(first_gather(bed)->nr_tables, 1);
	flushes(bed, first_gather(bed));
	has_tables(bed, 0, 1, 0);
	assert_int_equal(stats_of(bed).released, 0);
	leads_to(bed, 9 * PAGE_4K, PA + PAGE_4K, PAGE_4K);

	unmaps(bed, 9 * PAGE_4K, PAGE_4K, PAGE_4K);
	flushes(bed, first_gather(bed));
	has_tables(bed, 0, 0, 0);
	stats = stats_of(bed);
	assert_int_equal(stats.unlinked, 2);
	assert_int_equal(stats.released, 1);
	unmaps(bed, 0, PAGE_1G, PAGE_2M);
	ends_empty(bed);
}

/* A table that was dropped with entries in it comes back without them. */
static void revival_of_a_dropped_table(void **state)
{
	struct bed *bed = eager_bed(*state);

	keep_parents(bed);
	maps(bed, PAGE_2M, PA + PAGE_4K, PAGE_2M);
	unmaps(bed, PAGE_2M, PAGE_2M, PAGE_2M);
	has_tables(bed, 0, 0, 1);
	maps(bed, PAGE_2M + 77 * PAGE_4K, PA, PAGE_4K);
	has_tables(bed, 0, 1, 0);
	assert_int_equal(stats_of(bed).revived, 1);
	assert_int_equal(bed->memory.nr_leaves, 2);
	leads_nowhere(bed, PAGE_2M + 76 * PAGE_4K);
	leads_to(bed, PAGE_2M + 77 * PAGE_4K, PA, PAGE_4K);
	/* And if it is full again at once. */
	unmaps(bed, PAGE_2M, PAGE_2M, PAGE_4K);
	maps(bed, PAGE_2M, PA + PAGE_4K, PAGE_2M);
	leads_to(bed, 2 * PAGE_2M - PAGE_4K, PA + PAGE_2M, PAGE_4K);
	sound(bed);
	assert_int_equal(bed->memory.nr_leaves, 513);
	/* A dropped table that is reused elsewhere does not remember either. */
	unmaps(bed, PAGE_2M, PAGE_2M, PAGE_2M);
	flushes(bed, first_gather(bed));
	maps(bed, 7 * PAGE_2M + PAGE_4K, PA, PAGE_4K);
	sound(bed);
	assert_int_equal(bed->memory.nr_leaves, 2);
	unmaps(bed, 0, PAGE_1G, PAGE_2M + PAGE_4K);
	ends_empty(bed);
}

/* Tables of upper levels are revived as well, on the way down. */
static void revival_of_upper_tables(void **state)
{
	struct bed *bed = eager_bed(*state);
	struct iog_pgtable_stats stats;

	maps(bed, 3 * PAGE_2M, PA, PAGE_4K);
	unmaps(bed, 3 * PAGE_2M, PAGE_4K, PAGE_4K);
	flushes(bed, first_gather(bed));
	/* The leaf table is back; its parent is empty now, and a later unmap unlinks it. */
	has_tables(bed, 0, 0, 0);
	maps(bed, 4 * PAGE_1G, PA, PAGE_4K);
	unmaps(bed, 4 * PAGE_1G, PAGE_4K, PAGE_4K);
	has_tables(bed, 0, 0, 1);
	has_tables(bed, 1, 1, 1);
	maps(bed, 5 * PAGE_2M, PA, PAGE_4K);
	has_tables(bed, 0, 1, 1);
	has_tables(bed, 1, 2, 0);
	stats = stats_of(bed);
	assert_int_equal(stats.revived, 1);
	leads_to(bed, 5 * PAGE_2M, PA, PAGE_4K);
	flushes(bed, first_gather(bed));
	leads_to(bed, 5 * PAGE_2M, PA, PAGE_4K);
	sound(bed);
	unmaps(bed, 5 * PAGE_2M, PAGE_4K, PAGE_4K);
	ends_empty(bed);
}

/*
 * Unlinked, revived, unlinked again, each time by another gather. The completion of the first must not give it back: walk caches filled between may still point to it.
 */
static void table_in_two_gathers(void **state)
{
	struct bed *bed = eager_bed(*state);
	struct iog_gather *first = &bed->gather[0][0], *second = &bed->gather[1][0];

	keep_parents(bed);
	maps(bed, PAGE_2M, PA, PAGE_4K);
	unmaps_with(bed, first, PAGE_2M, PAGE_4K, PAGE_4K);
	maps(bed, PAGE_2M + PAGE_4K, PA, PAGE_4K);
	unmaps_with(bed, second, PAGE_2M + PAGE_4K, PAGE_4K, PAGE_4K);
	assert_int_equal(first->nr_tables, 1);
	assert_int_equal(second->nr_tables, 1);
	assert_ptr_equal(first->tables[0].table, second->tables[0].table);
	assert_true(first->tables[0].generation < second->tables[0].generation);

	iog_gather_complete(first);
	has_tables(bed, 0, 0, 1);
	assert_int_equal(stats_of(bed).released, 0);
	/* Still there to be revived. */
	maps(bed, PAGE_2M + 2 * PAGE_4K, PA, PAGE_4K);
	assert_int_equal(stats_of(bed).revived, 2);
	unmaps_with(bed, first, PAGE_2M + 2 * PAGE_4K, PAGE_4K, PAGE_4K);
	/* In the other order: the latest first, and the old record means nothing, though the table may be in use elsewhere by then. */
	iog_gather_complete(first);
	assert_int_equal(stats_of(bed).released, 1);
	has_tables(bed, 0, 0, 0);
	maps(bed, 9 * PAGE_2M, PA, PAGE_4K);
	iog_gather_complete(second);
	leads_to(bed, 9 * PAGE_2M, PA, PAGE_4K);
	has_tables(bed, 0, 1, 0);
	assert_int_equal(stats_of(bed).released, 1);
	unmaps(bed, 0, PAGE_1G, PAGE_2M + PAGE_4K);
	ends_empty(bed);
}

/* The flush fails: the gather keeps what it had, nothing is reused, and a later success gives all back. */
static void flush_that_fails(void **state)
{
	struct bed *bed = eager_bed(*state);
	struct iog_gather *gather = first_gather(bed), copy;
	struct iog_pgtable_stats stats;
	uint64_t given = 1;

	keep_parents(bed);
	maps(bed, PAGE_2M, PA, 3 * PAGE_4K);
	unmaps(bed, PAGE_2M, 3 * PAGE_4K, 3 * PAGE_4K);
	copy = *gather;
	bed->fail_flushes = 3;
	assert_int_equal(iog_gather_flush(gather), -IOG_ETIMEDOUT);
	assert_int_equal(iog_gather_flush(gather), -IOG_ETIMEDOUT);
	assert_int_equal(gather->nr_tables, 1);
	assert_int_equal(gather->nr_ranges, copy.nr_ranges);
	assert_int_equal(gather->ranges[0].first, copy.ranges[0].first);
	assert_int_equal(gather->ranges[0].last, copy.ranges[0].last);
	assert_ptr_equal(gather->tables[0].table, copy.tables[0].table);
	assert_int_equal(gather->tables[0].generation, copy.tables[0].generation);
	has_tables(bed, 0, 0, 1);
	assert_int_equal(stats_of(bed).released, 0);
	/* The table is not handed out to another address. */
	maps(bed, 7 * PAGE_2M, PA, PAGE_4K);
	has_tables(bed, 0, 1, 1);
	/* Trim has no more luck, says so, and loses nothing. */
	assert_int_equal(iog_pgtable_trim(bed->pt, gather, &given), -IOG_ETIMEDOUT);
	assert_int_equal(given, 0);
	has_tables(bed, 0, 1, 1);
	flushes(bed, gather);
	stats = stats_of(bed);
	assert_int_equal(stats.released, 1);
	has_tables(bed, 0, 1, 0);
	unmaps(bed, 0, PAGE_1G, PAGE_2M + PAGE_4K);
	ends_empty(bed);
}

/* A gather without room asks for a flush in the middle of an unmap; if that fails, the unmap says how far it came. */
static void unmap_when_the_flush_fails(void **state)
{
	struct bed *bed = eager_bed(*state);
	const uint64_t tables = IOG_GATHER_TABLES + 40;
	uint64_t unmapped = 1, left, total;

	for (uint64_t i = 0; i < tables; i++)
		maps(bed, i * PAGE_2M + i * PAGE_4K, PA, PAGE_4K);
	bed->fail_flushes = 100;
	assert_int_equal(iog_pgtable_unmap(bed->pt, shape_iova(bed->shape, 0), PAGE_1G, first_gather(bed), &unmapped), -IOG_ETIMEDOUT);
	sound(bed);
	left = bed->memory.nr_leaves;
	assert_int_equal(unmapped + left * PAGE_4K, tables * PAGE_4K);
	assert_true(unmapped >= IOG_GATHER_TABLES * PAGE_4K);
	assert_int_equal(first_gather(bed)->nr_tables, IOG_GATHER_TABLES);
	/* What is left is the end of the range. */
	leads_to(bed, (tables - 1) * (PAGE_2M + PAGE_4K), PA, PAGE_4K);
	/* Nothing was given back. */
	assert_int_equal(stats_of(bed).released, 0);
	total = bed_tables(bed);
	/* Unmaps that need no table go on. */
	assert_int_equal(iog_pgtable_unmap(bed->pt, shape_iova(bed->shape, PAGE_1G), PAGE_1G, first_gather(bed), &unmapped), 0);
	assert_int_equal(unmapped, 0);
	assert_int_equal(bed_tables(bed), total);
	bed->fail_flushes = 0;
	unmaps(bed, 0, PAGE_1G, left * PAGE_4K);
	ends_empty(bed);
}

/* Whoever emptied a table, trim gives it back; and with it the parents, level by level. */
static void trim_gives_back_what_any_lane_emptied(void **state)
{
	struct bed *bed = bed_create(*state, NULL);
	struct iog_gather *other = &bed->gather[1][0];
	uint64_t given = 1, tables, levels = shape_top(bed->shape);

	assert_int_equal(iog_pgtable_trim(bed->pt, first_gather(bed), &given), 0);
	assert_int_equal(given, 0);
	for (uint64_t i = 0; i < 20; i++) {
		struct iog_gather *gather = &bed->gather[i % 2][0];
		uint64_t iova = shape_iova(bed->shape, i % 5 * PAGE_2M + i % 4 * PAGE_1G + i % 3 * 100 * PAGE_1G);

		assert_int_equal(iog_pgtable_map(bed->pt, iova, PA, PAGE_4K, RW, gather), 0);
		assert_int_equal(iog_pgtable_unmap(bed->pt, iova, PAGE_4K, gather, NULL), 0);
	}
	maps(bed, 0, PA, PAGE_4K);
	tables = bed_tables(bed);
	assert_true(tables > levels + 1);
	/* Some wait in a gather of the other lane meanwhile. */
	assert_int_equal(iog_pgtable_trim(bed->pt, first_gather(bed), &given), 0);
	assert_int_equal(given, tables - (levels + 1));
	assert_int_equal(bed_tables(bed), levels + 1);
	sound(bed);
	assert_int_equal(bed->memory.blank, 0);
	assert_true(iog_gather_is_empty(first_gather(bed)));
	assert_int_equal(iog_pgtable_trim(bed->pt, first_gather(bed), NULL), 0);
	leads_to(bed, 0, PA, PAGE_4K);
	flushes(bed, other);
	assert_int_equal(bed_tables(bed), levels + 1);
	unmaps(bed, 0, PAGE_4K, PAGE_4K);
	ends_empty(bed);
}

static void nothing_is_reclaimed(void **state)
{
	struct bed *bed = bed_create(*state, NULL);
	uint64_t given = 1, tables;

	maps(bed, 0, PA, PAGE_4K);
	maps(bed, PAGE_1G, PA, PAGE_4K);
	tables = bed_tables(bed);
	unmaps(bed, 0, 2 * PAGE_1G, 2 * PAGE_4K);
	assert_int_equal(iog_pgtable_trim(bed->pt, first_gather(bed), &given), 0);
	assert_int_equal(given, 0);
	assert_int_equal(first_gather(bed)->nr_tables, 0);
	assert_int_equal(bed_tables(bed), tables);
	sound(bed);
	bed_destroy(bed);
}

/* A page mapped and unmapped in each of many leaf tables: what is held never grows, and in the end all is back. */
static void stress(const struct shape *shape, uint32_t trim_batch)
{
	const struct bed_options options = { .trim_batch = trim_batch };
	struct bed *bed = bed_create(shape, &options);
	struct iog_tablemem_stats mem;

	for (uint64_t i = 0; i < 3000; i++) {
		/* Across the borders of 1G and of 512G. */
		uint64_t at = (i % 3 ? 512 * PAGE_1G % (UINT64_C(1) << (shape->ias - 1)) : 0) + i * PAGE_2M;

		maps(bed, at, PA, PAGE_4K);
		unmaps(bed, at, PAGE_4K, PAGE_4K);
		if (i % 4 == 0)
			flushes(bed, first_gather(bed));
	}
	iog_tablemem_stats(bed->mem, &mem);
	assert_true(mem.bytes_peak < MIB);
	for (uint64_t i = 0; i < 1000; i++)
		maps(bed, i * PAGE_2M + i % 512 * PAGE_4K, PA, PAGE_4K);
	for (uint64_t i = 0; i < 1000; i++)
		unmaps(bed, (999 - i) * PAGE_2M + (999 - i) % 512 * PAGE_4K, PAGE_4K, PAGE_4K);
	sound(bed);
	assert_true(bed_tables(bed) < 300);
	ends_empty(bed);
}

static void stress_leaves_nothing(void **state)
{
	stress(*state, 1);
	stress(*state, 64);
	stress(*state, IOG_GATHER_TABLES);
}

/* Large leaves and full tables by the hundred in one unmap. */
static void one_unmap_of_everything(void **state)
{
	const struct shape *shape = *state;
	const uint64_t space = UINT64_C(1) << shape->ias, half = shape->flags & IOG_PGTABLE_SIGN_EXTENDED ? space / 2 : space;
	struct bed *bed = bed_create(shape, NULL);

	for (uint64_t i = 0; i < 300; i++)
		maps(bed, i * PAGE_1G + i % 512 * PAGE_2M, PA, PAGE_2M);
	for (uint64_t i = 0; i < 8; i++)
		maps(bed, 100 * PAGE_1G + (i + 200) * PAGE_2M, PA + PAGE_4K, PAGE_2M);
	maps(bed, half - PAGE_4K, PA, PAGE_4K);
	unmaps(bed, 0, half, 308 * PAGE_2M + PAGE_4K);
	ends_empty(bed);
}

/* Destroy takes everything, whatever is mapped, unlinked or listed. */
static void destroy_gives_everything_back(void **state)
{
	struct bed *bed = eager_bed(*state);
	struct iog_pgtable_config config;
	struct iog_pgtable *second;
	struct iog_gather gather;

	maps(bed, 0, PA, PAGE_1G + 5 * PAGE_4K);
	maps(bed, 2 * PAGE_1G, PA + PAGE_4K, PAGE_2M);
	maps(bed, 3 * PAGE_1G, PA, PAGE_2M);
	unmaps(bed, 2 * PAGE_1G, PAGE_2M, PAGE_2M);

	/* A second page table on the same table memory, which outlives the first. */
	config = bed_config(bed, bed->shape, &bed->options);
	assert_int_equal(iog_pgtable_create(&config, &second), 0);
	assert_int_equal(iog_gather_init(&gather, second, 0, bed_flush, bed), 0);
	assert_int_equal(iog_pgtable_map(second, shape_iova(bed->shape, 0), PA, 3 * PAGE_4K, RW, &gather), 0);
	assert_int_equal(iog_tablemem_destroy(bed->mem), -IOG_EBUSY);
	/* A gather of one is not for the other. */
	assert_int_equal(iog_pgtable_map(bed->pt, shape_iova(bed->shape, 4 * PAGE_1G), PA, PAGE_4K, RW, &gather), -IOG_EINVAL);
	assert_int_equal(iog_pgtable_unmap(bed->pt, shape_iova(bed->shape, 0), PAGE_4K, &gather, NULL), -IOG_EINVAL);
	assert_int_equal(iog_pgtable_trim(bed->pt, &gather, NULL), -IOG_EINVAL);

	flushes(bed, first_gather(bed));
	iog_pgtable_destroy(bed->pt, 1);
	bed->pt = second;
	iog_pgtable_root(second, &bed->root);
	sound(bed);
	leads_to(bed, 2 * PAGE_4K, PA + 2 * PAGE_4K, PAGE_4K);
	iog_pgtable_destroy(NULL, 0);
	bed_destroy(bed);
}

const struct corner corners_reclaim[] = {
	{ "empty tables stay within the bound", empty_table_stays_within_the_bound, is_reclaiming },
	{ "a table in use again is not unlinked", table_in_use_again_is_not_unlinked, is_reclaiming },
	{ "revival", revival, is_reclaiming },
	{ "revival of a dropped table", revival_of_a_dropped_table, is_reclaiming },
	{ "revival of upper tables", revival_of_upper_tables, is_reclaiming },
	{ "a table in two gathers", table_in_two_gathers, is_reclaiming },
	{ "a flush that fails", flush_that_fails, is_reclaiming },
	{ "unmap when the flush fails", unmap_when_the_flush_fails, is_reclaiming },
	{ "trim gives back what any lane emptied", trim_gives_back_what_any_lane_emptied, is_reclaiming },
	{ "nothing is reclaimed", nothing_is_reclaimed, is_not_reclaiming },
	{ "stress leaves nothing", stress_leaves_nothing, is_reclaiming },
	{ "one unmap of everything", one_unmap_of_everything, NULL },
	{ "destroy gives everything back", destroy_gives_everything_back, NULL },
	{ NULL, NULL, NULL },
};

/* SPDX-License-Identifier: MIT */
/*
 * The nth allocation fails, for every n, in every public call that may want memory: the call says so, what is mapped is as before, and nothing is lost.
 *
 * A call is made on a fresh page table, brought into a state in which it needs allocations; again and again, with another allocation failing, until none fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bed.h"

#define PA (5 * PAGE_1G)

/* A call under test: @set_up makes the state, @call is it. */
struct sweep {
	const char *name;
	uint32_t flags;
	uint64_t page_sizes;
	void (*set_up)(struct bed *bed);
	int (*call)(struct bed *bed);
	/* Where map_pages() begins, which leaves what it mapped; 0 for calls that leave nothing or all. */
	uint64_t prefix_at;
	uint32_t needs; /* allocations, at least */
};

static uint64_t mapped;

static void must(int error)
{
	assert_int_equal(error, 0);
}

static struct iog_gather *gather_of(struct bed *bed)
{
	return &bed->gather[0][0];
}

static int map(struct bed *bed, uint64_t at, uint64_t paddr, uint64_t size)
{
	return iog_pgtable_map(bed->pt, shape_iova(bed->shape, at), paddr, size, RW, gather_of(bed));
}

static int unmap(struct bed *bed, uint64_t at, uint64_t size)
{
	uint64_t unmapped = 1;
	int error = iog_pgtable_unmap(bed->pt, shape_iova(bed->shape, at), size, gather_of(bed), &unmapped);

	if (error)
		assert_int_equal(unmapped, 0);
	return error;
}

static void nothing(struct bed *bed)
{
	(void)bed;
}

/* ---- states and calls ---- */

static int map_one_page(struct bed *bed)
{
	return map(bed, 3 * PAGE_4K, PA, PAGE_4K);
}

/* From one 1G region into the next: tables of each level, twice. */
static int map_across_regions(struct bed *bed)
{
	return map(bed, PAGE_1G - PAGE_4K, PA, 2 * PAGE_4K);
}

/* More leaf tables than one slab has: stocks and slabs run out on the way. */
static int map_many_tables(struct bed *bed)
{
	return map(bed, PAGE_4K, PA, 150 * PAGE_2M);
}

static void some_pages(struct bed *bed)
{
	must(map(bed, 0, PA, 5 * PAGE_4K));
	must(map(bed, 8 * PAGE_2M, PA, PAGE_2M));
}

static int map_beside_pages(struct bed *bed)
{
	return map(bed, 16 * PAGE_2M, PA + PAGE_4K, 130 * PAGE_2M);
}

static int map_large_leaves(struct bed *bed)
{
	return map(bed, 4 * PAGE_1G + PAGE_2M, PAGE_1G + PAGE_2M, 2 * PAGE_1G);
}

static int map_pages_many(struct bed *bed)
{
	return iog_pgtable_map_pages(bed->pt, shape_iova(bed->shape, PAGE_1G - 3 * PAGE_2M), PA + PAGE_4K, PAGE_4K, 80 * 512, RW, gather_of(bed), &mapped);
}

static int map_pages_large(struct bed *bed)
{
	return iog_pgtable_map_pages(bed->pt, shape_iova(bed->shape, 2 * PAGE_1G - 2 * PAGE_2M), PA, PAGE_2M, 4, RW, gather_of(bed), &mapped);
}

static void empty_tables(struct bed *bed)
{
	must(map(bed, PAGE_1G, PA + PAGE_4K, 5 * PAGE_2M));
	must(unmap(bed, PAGE_1G, 5 * PAGE_2M));
}

/* Over tables that wait for a flush, and on into memory where there are none. */
static int map_over_empty_tables(struct bed *bed)
{
	return map(bed, PAGE_1G + 4 * PAGE_2M, PA, PAGE_1G + PAGE_2M);
}

static void a_large_leaf(struct bed *bed)
{
	must(map(bed, PAGE_1G, PA, PAGE_1G));
}

static int unmap_a_page_of_it(struct bed *bed)
{
	return unmap(bed, PAGE_1G + 7 * PAGE_2M + 9 * PAGE_4K, PAGE_4K);
}

static void two_large_leaves(struct bed *bed)
{
	must(map(bed, PAGE_1G, PA, 2 * PAGE_1G));
}

/* Both ends of the range have to be split. */
static int unmap_from_one_into_the_other(struct bed *bed)
{
	return unmap(bed, PAGE_1G + 5 * PAGE_4K, PAGE_1G);
}

static int unmap_pages_of_it(struct bed *bed)
{
	uint64_t unmapped = 1;
	int error = iog_pgtable_unmap_pages(bed->pt, shape_iova(bed->shape, PAGE_1G + PAGE_2M), PAGE_4K, 3, gather_of(bed), &unmapped);

	if (error)
		assert_int_equal(unmapped, 0);
	return error;
}

static const struct sweep sweeps[] = {
	{ "map of one page", 0, 0, nothing, map_one_page, 0, 2 },
	{ "map of one page, no snooping", IOG_PGTABLE_NONCOHERENT, 0, nothing, map_one_page, 0, 2 },
	{ "map of one page, flushed", IOG_PGTABLE_FLUSH_ON_MAP, 0, nothing, map_one_page, 0, 2 },
	{ "map across regions", 0, 0, nothing, map_across_regions, 0, 2 },
	{ "map of many tables", 0, PAGE_4K, nothing, map_many_tables, 0, 4 },
	{ "map beside pages", 0, 0, some_pages, map_beside_pages, 0, 1 },
	{ "map of large leaves", 0, 0, some_pages, map_large_leaves, 0, 0 },
	{ "map over empty tables", 0, 0, empty_tables, map_over_empty_tables, 0, 0 },
	{ "map over empty tables, flushed", IOG_PGTABLE_FLUSH_ON_MAP, 0, empty_tables, map_over_empty_tables, 0, 0 },
	{ "map_pages", 0, 0, some_pages, map_pages_many, PAGE_1G - 3 * PAGE_2M, 1 },
	{ "map_pages of large leaves", 0, 0, nothing, map_pages_large, 2 * PAGE_1G - 2 * PAGE_2M, 1 },
	{ "unmap that splits", IOG_PGTABLE_SPLIT, 0, a_large_leaf, unmap_a_page_of_it, 0, 2 },
	{ "unmap that splits at both ends", IOG_PGTABLE_SPLIT, 0, two_large_leaves, unmap_from_one_into_the_other, 0, 2 },
	{ "unmap_pages that splits", IOG_PGTABLE_SPLIT | IOG_PGTABLE_NONCOHERENT, 0, a_large_leaf, unmap_pages_of_it, 0, 2 },
};

/* ---- the sweep ---- */

/* What is mapped, page size aside: ranges that go on from each other are one. */
struct translations {
	struct hw_leaf *ranges;
	size_t nr;
};

static struct translations translations_of(struct bed *bed)
{
	struct translations t = { NULL, 0 };
	const char *wrong = bed_check(bed);

	if (wrong)
		fail_msg("%s", wrong);
	t.ranges = calloc(bed->memory.nr_leaves + 1, sizeof(*t.ranges));
	if (!t.ranges)
		abort();
	for (size_t i = 0; i < bed->memory.nr_leaves; i++) {
		const struct hw_leaf *leaf = &bed->memory.leaves[i];
		struct hw_leaf *last = t.nr ? &t.ranges[t.nr - 1] : NULL;

		if (last && last->iova + last->size == leaf->iova && last->paddr + last->size == leaf->paddr && last->prot == leaf->prot)
			last->size += leaf->size;
		else
			t.ranges[t.nr++] = *leaf;
	}
	return t;
}

static void same_translations(struct bed *bed, const struct translations *before)
{
	struct translations now = translations_of(bed);

	assert_int_equal(now.nr, before->nr);
	for (size_t i = 0; i < now.nr; i++)
		assert_true(hw_same_leaf(&now.ranges[i], &before->ranges[i]));
	free(now.ranges);
}

/* Everything that the bed holds in stock goes back, so that a call needs memory, and what is left can be compared. */
static uint64_t bytes_at_rest(struct bed *bed)
{
	bed->host.fail_in = 0;
	bed_trim(bed);
	return bed->host.page_bytes + bed->host.object_bytes;
}

/* Let the nth allocation fail. Returns false if the call needed fewer. */
static bool fail_nth(const struct shape *shape, const struct sweep *sweep, uint64_t n)
{
	const struct bed_options options = { .flags = sweep->flags, .page_sizes = sweep->page_sizes };
	struct bed *bed = bed_create(shape, &options);
	struct translations before;
	uint64_t bytes, leaves;
	int error;

	sweep->set_up(bed);
	before = translations_of(bed);
	/* Without reclaim, or with empty tables that the call shall meet, the state is what it is. */
	bytes = sweep->set_up == empty_tables ? 0 : bytes_at_rest(bed);
	same_translations(bed, &before);
	leaves = bed->memory.nr_leaves;

	mapped = 0;
	bed->host.fail_in = n;
	error = sweep->call(bed);
	bed->host.fail_in = 0;
	if (!bed->host.failed) {
		must(error);
		free(before.ranges);
		bed_destroy(bed);
		return false;
	}

	assert_int_equal(error, -IOG_ENOMEM);
	if (sweep->prefix_at) {
		/* What was mapped is said, is there, and can be unmapped. */
		uint64_t unmapped = 0;

		if (mapped)
			must(iog_pgtable_unmap(bed->pt, shape_iova(shape, sweep->prefix_at), mapped, gather_of(bed), &unmapped));
		assert_int_equal(unmapped, mapped);
	}
	same_translations(bed, &before);
	if (bytes && shape_reclaims(shape)) {
		uint64_t now = bytes_at_rest(bed);

		/* A leaf that was split in vain stays split, and its table with it. */
		if (bed->memory.nr_leaves == leaves)
			assert_int_equal(now, bytes);
		else
			assert_true(sweep->flags & IOG_PGTABLE_SPLIT);
		same_translations(bed, &before);
	}

	/* The same call succeeds once there is memory. */
	must(sweep->call(bed));
	bed_check(bed);
	must(unmap(bed, 0, PAGE_1G * 100));
	bed_trim(bed);
	assert_null(bed_check(bed));
	assert_int_equal(bed->memory.nr_leaves, 0);
	if (shape_reclaims(shape))
		assert_int_equal(bed->host.page_bytes, shape_root_bytes(shape));
	free(before.ranges);
	/* Aborts if anything is lost. */
	bed_destroy(bed);
	return true;
}

static void sweep_calls(void **state)
{
	const struct shape *shape = *state;

	for (size_t i = 0; i < sizeof(sweeps) / sizeof(sweeps[0]); i++) {
		uint64_t n = 1;

		while (fail_nth(shape, &sweeps[i], n))
			n++;
		/* A sweep that never met a failure has tested nothing. */
		if (n <= sweeps[i].needs)
			fail_msg("%s: only %u allocations, %u expected", sweeps[i].name, (uint32_t)n - 1, sweeps[i].needs);
	}
}

/* Creating: table memory, and the page table on it. */
static void sweep_create(void **state)
{
	const struct shape *shape = *state;
	const struct iog_tablemem_config lanes = { .lanes = 3 };
	uint64_t n, failures = 0;
	int error = 1;

	for (n = 1; error; n++) {
		struct bed *bed = bed_create(shape, NULL);
		uint64_t pages = bed->host.page_bytes, objects = bed->host.object_bytes;
		const struct bed_options none = { 0, 0, 0, 0 };
		struct iog_pgtable_config config = bed_config(bed, shape, &none);
		struct iog_tablemem *mem = NULL;
		struct iog_pgtable *pt = NULL;

		bed->host.fail_in = n;
		error = iog_tablemem_create(&bed->host.platform, &lanes, &mem);
		if (!error) {
			config.tablemem = mem;
			error = iog_pgtable_create(&config, &pt);
			if (!error)
				iog_pgtable_destroy(pt, 2);
			must(iog_tablemem_destroy(mem));
		}
		if (error) {
			assert_int_equal(error, -IOG_ENOMEM);
			failures++;
		}
		assert_int_equal(bed->host.page_bytes, pages);
		assert_int_equal(bed->host.object_bytes, objects);
		bed->host.fail_in = 0;
		bed_destroy(bed);
	}
	assert_true(failures >= 3);
}

/* Calls that give, or only look, take nothing: they work when there is no memory at all. */
static void calls_that_need_none(void **state)
{
	const struct shape *shape = *state;
	struct bed *bed = bed_create(shape, NULL);
	struct iog_pgtable_stats stats;
	struct iog_leaf leaf;
	uint64_t allocations, tables;

	must(map(bed, 0, PA, PAGE_1G + PAGE_4K));
	must(map(bed, 3 * PAGE_1G, PA + PAGE_4K, 70 * PAGE_2M));
	allocations = bed->host.allocations;
	must(iog_pgtable_lookup(bed->pt, 0, shape_iova(shape, 3 * PAGE_1G), &leaf));
	must(map(bed, PAGE_1G + 4 * PAGE_4K, PA, PAGE_4K));
	must(unmap(bed, 3 * PAGE_1G, 30 * PAGE_2M));
	must(unmap(bed, 3 * PAGE_1G + 30 * PAGE_2M, 20 * PAGE_4K));
	must(iog_gather_flush(gather_of(bed)));
	must(iog_pgtable_trim(bed->pt, gather_of(bed), &tables));
	must(iog_tablemem_trim(bed->mem, 0));
	iog_pgtable_stats(bed->pt, &stats);
	assert_int_equal(bed->host.allocations, allocations);
	bed_destroy(bed);
}

int main(void)
{
	const char *only = getenv("IOG_SHAPE");
	struct CMUnitTest *tests = calloc(3 * nr_shapes, sizeof(*tests));
	size_t nr = 0;
	int failed;

	if (!tests)
		return 1;
	for (uint32_t i = 0; i < nr_shapes; i++) {
		static const struct {
			const char *name;
			CMUnitTestFunction function;
		} kinds[] = { { "calls", sweep_calls }, { "create", sweep_create }, { "no memory needed", calls_that_need_none } };

		for (uint32_t k = 0; k < 3 && shape_is_classic(&shapes[i]) && (!only || strstr(shapes[i].name, only)); k++) {
			char *name = malloc(64);

			if (!name)
				return 1;
			snprintf(name, 64, "%s: %s", shapes[i].name, kinds[k].name);
			tests[nr++] = (struct CMUnitTest){ .name = name, .test_func = kinds[k].function, .initial_state = (void *)(uintptr_t)&shapes[i] };
		}
	}
	failed = _cmocka_run_group_tests("nth allocation fails", tests, nr, NULL, NULL);
	for (size_t i = 0; i < nr; i++)
		free((void *)(uintptr_t)tests[i].name);
	free(tests);
	return failed;
}

/* SPDX-License-Identifier: MIT */
/*
 * Every behaviour in the corners, for every format with a granule of 4K, and variant. The behaviours are in corners_*.c; here is what they share, and the list.
 *
 * IOG_SHAPE=text runs only shapes whose name contains it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "corners.h"

bool is_reclaiming(const struct shape *shape)
{
	return shape_reclaims(shape);
}

bool is_not_reclaiming(const struct shape *shape)
{
	return !shape_reclaims(shape);
}

void sound(struct bed *bed)
{
	const char *wrong = bed_check(bed);

	if (wrong)
		fail_msg("%s", wrong);
}

struct before remember(struct bed *bed)
{
	struct before before = { .page_bytes = bed->host.page_bytes, .flushes = bed->flushes, .gather = *first_gather(bed) };

	sound(bed);
	hw_scan(&bed->host, bed->shape, &bed->root, false, &before.memory);
	iog_pgtable_stats(bed->pt, &before.stats);
	return before;
}

static void compare_leaves(struct bed *bed, const struct before *before)
{
	sound(bed);
	assert_int_equal(bed->memory.nr_leaves, before->memory.nr_leaves);
	for (size_t i = 0; i < bed->memory.nr_leaves; i++)
		assert_true(hw_same_leaf(&bed->memory.leaves[i], &before->memory.leaves[i]));
}

void same_leaves(struct bed *bed, struct before *before)
{
	compare_leaves(bed, before);
	hw_scan_free(&before->memory);
}

void nothing_changed(struct bed *bed, struct before *before)
{
	const struct iog_gather *gather = first_gather(bed);
	struct iog_pgtable_stats stats;

	compare_leaves(bed, before);
	iog_pgtable_stats(bed->pt, &stats);
	assert_memory_equal(&stats, &before->stats, sizeof(stats));
	assert_int_equal(bed->host.page_bytes, before->page_bytes);
	assert_int_equal(bed->flushes, before->flushes);
	assert_int_equal(gather->nr_ranges, before->gather.nr_ranges);
	assert_int_equal(gather->nr_tables, before->gather.nr_tables);
	assert_int_equal(gather->everything, before->gather.everything);
	assert_int_equal(gather->walk_caches, before->gather.walk_caches);
	hw_scan_free(&before->memory);
}

void maps(struct bed *bed, uint64_t at, uint64_t paddr, uint64_t size)
{
	assert_int_equal(iog_pgtable_map(bed->pt, shape_iova(bed->shape, at), paddr, size, RW, first_gather(bed)), 0);
}

void maps_page(struct bed *bed, uint64_t at, uint64_t paddr, uint64_t pgsize)
{
	uint64_t mapped = 0;

	assert_int_equal(iog_pgtable_map_pages(bed->pt, shape_iova(bed->shape, at), paddr, pgsize, 1, RW, first_gather(bed), &mapped), 0);
	assert_int_equal(mapped, pgsize);
}

void unmaps(struct bed *bed, uint64_t at, uint64_t size, uint64_t expected)
{
	uint64_t unmapped = 1;

	assert_int_equal(iog_pgtable_unmap(bed->pt, shape_iova(bed->shape, at), size, first_gather(bed), &unmapped), 0);
	assert_int_equal(unmapped, expected);
}

void flushes(struct bed *bed, struct iog_gather *gather)
{
	(void)bed;
	assert_int_equal(iog_gather_flush(gather), 0);
	assert_true(iog_gather_is_empty(gather));
}

void leads_to(struct bed *bed, uint64_t at, uint64_t paddr, uint64_t size)
{
	const uint32_t prot = shape_prot(bed->shape, RW);
	uint64_t iova = shape_iova(bed->shape, at);
	struct iog_leaf leaf;
	struct hw_leaf seen;

	assert_int_equal(iog_pgtable_lookup(bed->pt, 1, iova, &leaf), 0);
	assert_int_equal(leaf.paddr, paddr);
	assert_int_equal(leaf.page_size, size);
	assert_int_equal(leaf.prot, prot);
	assert_true(hw_translate(&bed->host, bed->shape, &bed->root, bed->options.flags & IOG_PGTABLE_NONCOHERENT, iova, &seen));
	assert_int_equal(seen.paddr, paddr);
	assert_int_equal(seen.size, size);
	assert_int_equal(seen.prot, prot);
}

void leads_nowhere(struct bed *bed, uint64_t at)
{
	uint64_t iova = shape_iova(bed->shape, at);
	struct iog_leaf leaf;
	struct hw_leaf seen;

	assert_int_equal(iog_pgtable_lookup(bed->pt, 1, iova, &leaf), -IOG_ENOENT);
	assert_false(hw_translate(&bed->host, bed->shape, &bed->root, bed->options.flags & IOG_PGTABLE_NONCOHERENT, iova, &seen));
}

void has_tables(struct bed *bed, uint32_t level, uint64_t linked, uint64_t unlinked)
{
	sound(bed);
	assert_int_equal(bed->memory.tables[level], linked);
	assert_int_equal(bed->memory.tombstones[level], unlinked);
}

void ends_empty(struct bed *bed)
{
	sound(bed);
	assert_int_equal(bed->memory.nr_leaves, 0);
	bed_trim(bed);
	sound(bed);
	if (shape_reclaims(bed->shape)) {
		struct iog_tablemem_stats stats;

		assert_int_equal(bed_tables(bed), 1);
		assert_int_equal(bed->memory.tables[shape_top(bed->shape)], 1);
		iog_tablemem_stats(bed->mem, &stats);
		assert_int_equal(stats.bytes, shape_root_bytes(bed->shape));
		assert_int_equal(stats.slabs, 0);
		assert_int_equal(bed->host.page_bytes, shape_root_bytes(bed->shape));
	}
	bed_destroy(bed);
}

static size_t add(struct CMUnitTest **tests, size_t nr, const struct corner *corners)
{
	const char *only = getenv("IOG_SHAPE");

	for (const struct corner *c = corners; c->name; c++) {
		for (uint32_t i = 0; i < nr_shapes; i++) {
			size_t size = strlen(c->name) + strlen(shapes[i].name) + 3;
			char *name;

			if (!shape_is_classic(&shapes[i]) || (c->applies && !c->applies(&shapes[i])) || (only && !strstr(shapes[i].name, only)))
				continue;
			*tests = realloc(*tests, (nr + 1) * sizeof(**tests));
			name = malloc(size);
			if (!*tests || !name)
				abort();
			snprintf(name, size, "%s: %s", shapes[i].name, c->name);
			(*tests)[nr++] = (struct CMUnitTest){ .name = name, .test_func = c->test, .initial_state = (void *)(uintptr_t)&shapes[i] };
		}
	}
	return nr;
}

int main(void)
{
	struct CMUnitTest *tests = NULL;
	size_t nr = 0;
	int failed;

	nr = add(&tests, nr, corners_map);
	nr = add(&tests, nr, corners_unmap);
	nr = add(&tests, nr, corners_reclaim);
	nr = add(&tests, nr, corners_gather);
	nr = add(&tests, nr, corners_arguments);
	failed = _cmocka_run_group_tests("corners", tests, nr, NULL, NULL);
	for (size_t i = 0; i < nr; i++)
		free((void *)(uintptr_t)tests[i].name);
	free(tests);
	return failed;
}

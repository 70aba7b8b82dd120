/* SPDX-License-Identifier: MIT */
/*
 * Pins, over every format and variant: a table stays linked while a run of it is pinned, is shared with neighbours that map by walks, and goes back afterwards. Entries in a pin are
 * looked at by the library's own readers and by the tests' walker, which sees raw memory and, without snooping, only lines that were cleaned.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bed.h"
#include "pgtable/pin.h"

#define PA (5 * high)
#define RUN ((uint32_t)(block / granule))

/* Of the shape at hand: bytes of a page, of what a leaf table spans, and of what the table above it spans. */
static uint64_t granule, block, high;

static int measure(void **state)
{
	const struct shape *shape = *state;

	granule = shape_page(shape, 0);
	block = shape_page(shape, 1);
	high = shape_page(shape, 2);
	return 0;
}

/* Room for what is pinned, and levels for the tables that it needs. */
static bool shape_wanted(const struct shape *shape)
{
	return shape_last(shape) >> 1 >> (shape_shift(shape, 2) & 63) >= 8 && shape_top(shape) >= 2;
}

static struct iog_gather *gather_of(struct bed *bed)
{
	return &bed->gather[0][0];
}

static void must(int error)
{
	assert_int_equal(error, 0);
}

static void check(struct bed *bed)
{
	const char *wrong = bed_check(bed);

	if (wrong)
		fail_msg("%s", wrong);
}

static void pin(struct bed *bed, uint64_t at, uint32_t n, struct iog_pin *result)
{
	must(iog_pgtable_pin(bed->pt, gather_of(bed), at, n, result));
	assert_non_null(result->entries);
	check(bed);
}

static void unpin(struct bed *bed, const struct iog_pin *pinned, uint32_t n)
{
	must(iog_pgtable_unpin(bed->pt, gather_of(bed), pinned, n));
	check(bed);
}

static void map(struct bed *bed, uint64_t at, uint64_t paddr, uint64_t size)
{
	must(iog_pgtable_map(bed->pt, at, paddr, size, RW, gather_of(bed)));
	check(bed);
}

static void unmap(struct bed *bed, uint64_t at, uint64_t size)
{
	uint64_t unmapped;

	must(iog_pgtable_unmap(bed->pt, at, size, gather_of(bed), &unmapped));
	assert_int_equal(unmapped, size);
	check(bed);
}

static uint64_t leaf_tables(struct bed *bed)
{
	struct iog_pgtable_stats stats;

	iog_pgtable_stats(bed->pt, &stats);
	return stats.tables[0];
}

/* Nothing is there, to any reader. */
static void absent(struct bed *bed, uint64_t at)
{
	struct iog_leaf leaf;
	struct hw_leaf seen;

	assert_int_equal(iog_pgtable_lookup(bed->pt, 1, at, &leaf), -IOG_ENOENT);
	assert_false(hw_translate(&bed->host, bed->shape, &bed->root, false, at, &seen));
	if (bed->options.flags & IOG_PGTABLE_NONCOHERENT)
		assert_false(hw_translate(&bed->host, bed->shape, &bed->root, true, at, &seen));
}

static void present(struct bed *bed, uint64_t at, uint64_t paddr, uint32_t prot)
{
	struct iog_leaf leaf;
	struct hw_leaf seen;

	must(iog_pgtable_lookup(bed->pt, 1, at, &leaf));
	assert_int_equal(leaf.paddr, paddr);
	assert_int_equal(leaf.page_size, granule);
	assert_int_equal(leaf.prot, shape_prot(bed->shape, prot));
	for (int shadow = 0; shadow <= !!(bed->options.flags & IOG_PGTABLE_NONCOHERENT); shadow++) {
		assert_true(hw_translate(&bed->host, bed->shape, &bed->root, shadow, at, &seen));
		assert_int_equal(seen.paddr, paddr);
		assert_int_equal(seen.prot, shape_prot(bed->shape, prot));
	}
}

struct visited {
	uint64_t nr;
	uint64_t next;
	uint64_t paddr;
};

static int visit_one(iog_iova_t iova, const struct iog_leaf *leaf, void *ctx)
{
	struct visited *visited = ctx;

	assert_int_equal(iova, visited->next);
	assert_int_equal(leaf->paddr, visited->paddr);
	visited->next += granule;
	visited->paddr += granule;
	visited->nr++;
	return 0;
}

/* Where in the space: the first table, the last one that may be pinned, and one between. */
static uint64_t place(const struct shape *shape, uint32_t which)
{
	uint64_t last = shape_last(shape) >> (shape->flags & IOG_PGTABLE_SIGN_EXTENDED ? 1 : 0);

	return which == 0 ? 0 : which == 1 ? 3 * high + 7 * block : last - (block - 1);
}

static void entries_of(struct bed *bed, uint64_t at, uint32_t first, uint32_t n)
{
	uint64_t from = at + first * granule;
	struct visited visited = { 0, from + granule, PA + granule };
	struct iog_pin pinned;

	pin(bed, from, n, &pinned);
	absent(bed, from);
	must(pin_map(bed->pt, pinned.entries, PA, n, RW));
	check(bed);
	present(bed, from, PA, RW);
	present(bed, from + (n - 1) * granule, PA + (n - 1) * granule, RW);
	if (n > 1) {
		must(iog_pgtable_visit(bed->pt, 1, from + granule, from + n * granule - 1, visit_one, &visited));
		assert_int_equal(visited.nr, n - 1);
	}

	/* Where something is, nothing is put, and nothing of the run stays. */
	assert_int_equal(pin_map(bed->pt, pinned.entries + n - 1, PA, 1, RW), -IOG_EEXIST);
	assert_int_equal(pin_unmap(bed->pt, pinned.entries + n - 1, 1, false), 1);
	absent(bed, from + (n - 1) * granule);
	if (n > 1) {
		assert_int_equal(pin_unmap(bed->pt, pinned.entries, n, false), 0);
		present(bed, from, PA, RW);
		assert_int_equal(pin_unmap(bed->pt, pinned.entries, 1, false), 1);
		assert_int_equal(pin_map(bed->pt, pinned.entries, PA, n, RW), n > 2 ? -IOG_EEXIST : 0);
		if (n > 2)
			absent(bed, from);
		assert_int_equal(pin_unmap(bed->pt, pinned.entries, n, true), n > 2 ? n - 2 : n);
	}
	assert_int_equal(pin_unmap(bed->pt, pinned.entries, 1, false), 0);
	absent(bed, from);

	/* Arguments: all or nothing, too. */
	assert_int_equal(pin_map(bed->pt, pinned.entries, PA + 1, 1, RW), -IOG_EINVAL);
	assert_int_equal(pin_map(bed->pt, pinned.entries, PA, 1, 0), -IOG_EINVAL);
	assert_int_equal(pin_map(bed->pt, pinned.entries, PA, 1, 1u << 31 | RW), -IOG_EINVAL);
	assert_int_equal(pin_map(bed->pt, pinned.entries, UINT64_MAX - granule + 1, n, RW), -IOG_ERANGE);
	if (n > 1)
		assert_int_equal(pin_map(bed->pt, pinned.entries, bed->pt->paddr_last - granule + 1, n, RW), -IOG_ERANGE);
	must(pin_map(bed->pt, pinned.entries, bed->pt->paddr_last - granule + 1, 1, IOG_PROT_READ));
	present(bed, from, bed->pt->paddr_last - granule + 1, IOG_PROT_READ);
	assert_int_equal(pin_unmap(bed->pt, pinned.entries, 1, true), 1);
	unpin(bed, &pinned, n);
}

static void entries(void **state)
{
	static const uint32_t coherence[] = { 0, IOG_PGTABLE_NONCOHERENT };
	const struct {
		uint32_t first, n;
	} runs[] = { { 0, RUN }, { 0, 1 }, { RUN - 1, 1 }, { 3, 9 }, { 64, 64 }, { RUN - 2, 2 } };
	const struct shape *shape = *state;

	for (uint32_t c = 0; c < 2; c++)
		for (uint32_t which = 0; which < 3; which++) {
			const struct bed_options options = { .flags = coherence[c] };
			struct bed *bed = bed_create(shape, &options);

			for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++)
				entries_of(bed, place(shape, which), runs[i].first, runs[i].n);
			bed_trim(bed);
			check(bed);
			if (shape_reclaims(shape))
				assert_int_equal(bed_tables(bed), 1);
			bed_destroy(bed);
		}
}

/* However often the space is trimmed, and whatever neighbours do. */
static void table_stays(void **state)
{
	const struct shape *shape = *state;
	struct bed *bed = bed_create(shape, NULL);
	uint64_t at = place(shape, 1);
	struct iog_pin left, right;

	pin(bed, at, 256, &left);
	pin(bed, at + 256 * granule, 256, &right);
	assert_ptr_equal(left.table, right.table);
	assert_ptr_equal(left.entries + 256, right.entries);
	for (uint32_t round = 0; round < 3; round++) {
		bed_trim(bed);
		check(bed);
		if (!round || shape_reclaims(shape))
			assert_int_equal(leaf_tables(bed), 1);
		must(pin_map(bed->pt, left.entries + round, PA, 1, RW));
		present(bed, at + round * granule, PA, RW);
		/* Neighbours, in the tables beside it and far away: theirs go, this one stays. */
		map(bed, at - granule, PA, granule);
		map(bed, at + block, PA, 3 * block + granule);
		unmap(bed, at - granule, granule);
		unmap(bed, at + block, 3 * block + granule);
		bed_trim(bed);
		check(bed);
		if (shape_reclaims(shape))
			assert_int_equal(leaf_tables(bed), 1);
		present(bed, at + round * granule, PA, RW);
		assert_int_equal(pin_unmap(bed->pt, left.entries + round, 1, false), 1);
	}
	unpin(bed, &left, 256);
	bed_trim(bed);
	assert_true(leaf_tables(bed) >= 1);
	must(pin_map(bed->pt, right.entries, PA, 256, RW));
	present(bed, at + 511 * granule, PA + 255 * granule, RW);
	assert_int_equal(pin_unmap(bed->pt, right.entries, 256, false), 256);
	unpin(bed, &right, 256);
	bed_trim(bed);
	check(bed);
	if (shape_reclaims(shape)) {
		assert_int_equal(bed_tables(bed), 1);
		assert_int_equal(bed->host.page_bytes, shape_root_bytes(shape));
	}
	bed_destroy(bed);
}

/* Part of a table pinned, the rest mapped by walks: each counts for itself. */
static void table_is_shared(void **state)
{
	const struct shape *shape = *state;
	struct bed *bed = bed_create(shape, NULL);
	uint64_t at = place(shape, 1);
	struct iog_pin pinned;

	map(bed, at + 20 * granule, PA, 3 * granule);
	pin(bed, at, 16, &pinned);
	must(pin_map(bed->pt, pinned.entries + 2, PA, 4, RW));
	check(bed);
	unmap(bed, at + 20 * granule, 3 * granule);
	bed_trim(bed);
	present(bed, at + 5 * granule, PA + 3 * granule, RW);
	map(bed, at + 100 * granule, PA, granule);
	assert_int_equal(pin_unmap(bed->pt, pinned.entries + 2, 4, false), 4);
	unpin(bed, &pinned, 16);
	bed_trim(bed);
	present(bed, at + 100 * granule, PA, RW);
	unmap(bed, at + 100 * granule, granule);
	bed_trim(bed);
	if (shape_reclaims(shape))
		assert_int_equal(bed_tables(bed), 1);
	bed_destroy(bed);
}

/* A table that waits for its flush is taken back for the pin, and one that was forgotten is built anew. */
static void table_comes_back(void **state)
{
	const struct shape *shape = *state;
	const struct bed_options options = { .trim_batch = 1 };

	for (uint32_t flushed = 0; flushed < 2; flushed++) {
		struct bed *bed = bed_create(shape, &options);
		uint64_t at = place(shape, 2);
		struct iog_pgtable_stats stats;
		struct iog_pin pinned;

		for (uint32_t round = 0; round < 3; round++) {
			pin(bed, at, RUN, &pinned);
			must(pin_map(bed->pt, pinned.entries + 77, PA, 1, RW));
			present(bed, at + 77 * granule, PA, RW);
			assert_int_equal(pin_unmap(bed->pt, pinned.entries + 77, 1, false), 1);
			unpin(bed, &pinned, RUN);
			if (flushed)
				bed_trim(bed);
		}
		iog_pgtable_stats(bed->pt, &stats);
		if (shape_reclaims(shape) && !flushed)
			assert_true(stats.revived >= 2);
		bed_trim(bed);
		bed_destroy(bed);
	}
}

static void refused(struct bed *bed, uint64_t at, uint32_t n, int expected)
{
	struct iog_pin pinned;
	uint64_t tables = bed_tables(bed);

	assert_int_equal(iog_pgtable_pin(bed->pt, gather_of(bed), at, n, &pinned), expected);
	check(bed);
	assert_int_equal(bed_tables(bed), tables);
}

static void refusals(void **state)
{
	const struct shape *shape = *state;
	struct bed *bed = bed_create(shape, NULL);
	uint64_t at = place(shape, 1), end = place(shape, 2) + block;
	struct iog_pin pinned;

	refused(bed, at, 0, -IOG_EINVAL);
	refused(bed, at + 1, 1, -IOG_EINVAL);
	refused(bed, at + granule, RUN, -IOG_EINVAL);
	refused(bed, at, RUN + 1, -IOG_EINVAL);
	refused(bed, at, UINT32_MAX, -IOG_EINVAL);
	if (end) {
		refused(bed, end, 1, -IOG_ERANGE);
		refused(bed, UINT64_MAX - granule + 1, 1, -IOG_ERANGE);
		refused(bed, UINT64_C(0) - block, RUN, -IOG_ERANGE);
	}

	/* Something is there. */
	map(bed, at + 5 * granule, PA, granule);
	refused(bed, at, RUN, -IOG_EEXIST);
	refused(bed, at + 5 * granule, 1, -IOG_EEXIST);
	present(bed, at + 5 * granule, PA, RW);
	pin(bed, at + 6 * granule, 2, &pinned);
	unpin(bed, &pinned, 2);
	unmap(bed, at + 5 * granule, granule);

	/* A large leaf, then a pin; a pin, then a large leaf. */
	map(bed, at + block, PA, block);
	refused(bed, at + block, RUN, -IOG_EEXIST);
	refused(bed, at + block + 9 * granule, 1, -IOG_EEXIST);
	pin(bed, at, RUN, &pinned);
	assert_int_equal(iog_pgtable_map(bed->pt, at, PA, block, RW, gather_of(bed)), -IOG_EEXIST);
	check(bed);
	must(pin_map(bed->pt, pinned.entries, PA, 1, RW));
	present(bed, at, PA, RW);
	assert_int_equal(pin_unmap(bed->pt, pinned.entries, 1, false), 1);
	assert_int_equal(iog_pgtable_map(bed->pt, at & ~(high - 1), high, high, RW, gather_of(bed)), -IOG_EEXIST);
	check(bed);
	unpin(bed, &pinned, RUN);
	map(bed, at, PA, block);
	unmap(bed, at, 2 * block);
	bed_trim(bed);
	bed_destroy(bed);
}

/* While a table is pinned it is not folded into a leaf, however uniform it is, and dirty bits are not tracked; and the other way round. */
static void holds_off(void **state)
{
	const struct shape *shape = *state;
	const struct bed_options options = { .flags = shape->geometry->breaks ? IOG_PGTABLE_BBM2 : 0 };
	struct bed *bed = bed_create(shape, &options);
	uint64_t at = place(shape, 1), tables;
	struct iog_pin pinned;

	pin(bed, at, RUN, &pinned);
	must(pin_map(bed->pt, pinned.entries, PA, RUN, RW));
	must(iog_pgtable_merge(bed->pt, at, block, 0, gather_of(bed), &tables));
	assert_int_equal(tables, 0);
	present(bed, at, PA, RW);
	assert_int_equal(iog_pgtable_track_dirty(bed->pt, true, gather_of(bed)), -IOG_EBUSY);
	assert_int_equal(pin_unmap(bed->pt, pinned.entries, RUN, false), RUN);
	unpin(bed, &pinned, RUN);

	must(iog_pgtable_track_dirty(bed->pt, true, gather_of(bed)));
	assert_int_equal(iog_pgtable_pin(bed->pt, gather_of(bed), at, RUN, &pinned), -IOG_EBUSY);
	must(iog_pgtable_track_dirty(bed->pt, false, gather_of(bed)));
	pin(bed, at, RUN, &pinned);
	unpin(bed, &pinned, RUN);

	/* The same table by walks. */
	must(iog_pgtable_map_pages(bed->pt, at, PA, granule, RUN, RW, gather_of(bed), NULL));
	must(iog_pgtable_merge(bed->pt, at, block, 0, gather_of(bed), &tables));
	assert_int_equal(tables, 1);
	unmap(bed, at, block);
	bed_trim(bed);
	bed_destroy(bed);
}

/* The nth allocation fails, for every n: the pin is not had, what is there is as before, and the next try succeeds. */
static void out_of_memory(void **state)
{
	const struct shape *shape = *state;
	uint64_t n = 1;
	bool failed = true;

	for (; failed; n++) {
		struct bed *bed = bed_create(shape, NULL);
		uint64_t at = place(shape, 1);
		struct iog_pin pinned;
		int error;

		bed->host.fail_in = n;
		error = iog_pgtable_pin(bed->pt, gather_of(bed), at, RUN, &pinned);
		bed->host.fail_in = 0;
		failed = bed->host.failed;
		if (failed) {
			assert_int_equal(error, -IOG_ENOMEM);
			check(bed);
			absent(bed, at);
			bed_trim(bed);
			if (shape_reclaims(shape))
				assert_int_equal(bed->host.page_bytes, shape_root_bytes(shape));
			pin(bed, at, RUN, &pinned);
		} else {
			must(error);
		}
		unpin(bed, &pinned, RUN);
		bed_trim(bed);
		check(bed);
		bed_destroy(bed);
	}
	assert_true(n > 3);
}

/* A flush that fails while unpinning: the pin is gone, the tables stay in the gather. */
static void failed_flush(void **state)
{
	enum { NR = 200 };
	const struct shape *shape = *state;
	const struct bed_options options = { .trim_batch = 1 };
	struct bed *bed = bed_create(shape, &options);
	struct iog_pin pinned[NR];
	uint32_t errors = 0;

	for (uint32_t i = 0; i < NR; i++)
		must(iog_pgtable_pin(bed->pt, gather_of(bed), place(shape, 1) + i * block, RUN, &pinned[i]));
	bed->fail_flushes = UINT32_MAX;
	for (uint32_t i = 0; i < NR; i++) {
		int error = iog_pgtable_unpin(bed->pt, gather_of(bed), &pinned[i], RUN);

		assert_true(!error || error == -IOG_ETIMEDOUT);
		errors += error != 0;
	}
	if (shape_reclaims(shape))
		assert_true(errors && bed->failed_flushes);
	check(bed);
	bed_trim(bed);
	check(bed);
	if (shape_reclaims(shape))
		assert_int_equal(bed_tables(bed), 1);
	bed_destroy(bed);
}

/* ---- threads: neighbouring tables are pinned and unpinned, while others trim ---- */

#define THREADS 3

struct worker {
	struct host *host;
	struct iog_pgtable *pt;
	struct iog_gather gather;
	uint32_t number;
	uint64_t random;
	uint64_t pins;
	pthread_t id;
	const char *wrong;
};

static int no_flush(const struct iog_gather *gather, void *ctx)
{
	(void)gather;
	(void)ctx;
	return 0;
}

static void *work(void *ctx)
{
	struct worker *worker = ctx;
	struct iog_pgtable *pt = worker->pt;

	for (uint64_t round = 0; round < kit_scaled(1500) && !worker->wrong; round++) {
		uint64_t choice = kit_random(&worker->random);
		/* A half or a third of a table that the others use, too. */
		uint64_t table = choice % 4, at = 7 * high + table * block + worker->number * 160 * granule;
		uint32_t n = 1 + (uint32_t)(choice >> 8) % 160;
		struct iog_leaf leaf;
		struct iog_pin pinned;

		if (choice >> 60 == 0 && iog_pgtable_trim(pt, &worker->gather, NULL))
			worker->wrong = "trim";
		if (choice >> 56 & 1) {
			/* By a walk. */
			if (iog_pgtable_map(pt, at, PA, n * granule, RW, &worker->gather) ||
			    iog_pgtable_unmap(pt, at, n * granule, &worker->gather, NULL))
				worker->wrong = "map or unmap";
			continue;
		}
		if (iog_pgtable_pin(pt, &worker->gather, at, n, &pinned)) {
			worker->wrong = "pin";
			break;
		}
		worker->pins++;
		if (pin_map(pt, pinned.entries, PA + at, n, RW))
			worker->wrong = "pin_map";
		if (iog_pgtable_lookup(pt, worker->number, at + (n - 1) * granule, &leaf) || leaf.paddr != PA + at + (n - 1) * granule)
			worker->wrong = "lookup of what was mapped";
		if (pin_unmap(pt, pinned.entries, n, false) != n)
			worker->wrong = "pin_unmap";
		if (iog_pgtable_lookup(pt, worker->number, at, &leaf) != -IOG_ENOENT)
			worker->wrong = "lookup of nothing";
		if (iog_pgtable_unpin(pt, &worker->gather, &pinned, n))
			worker->wrong = "unpin";
	}
	return NULL;
}

static void threads(void **state)
{
	const struct shape *shape = *state;
	struct worker workers[THREADS];
	const struct iog_tablemem_config lanes = { .lanes = THREADS, .table_size = (uint32_t)shape_granule(shape) };
	struct iog_pgtable_config config = { .ops = shape->ops, .ias = shape->ias, .flags = shape->flags, .trim_batch = 1 };
	struct host *host = calloc(1, sizeof(*host));
	struct iog_pgtable_stats stats;
	uint64_t pins = 0, seed;

	/* Such a page table has one writer at a time. */
	if (shape->flags & IOG_PGTABLE_SINGLE_WRITER) {
		free(host);
		return;
	}
	assert_non_null(host);
	seed = kit_seed("pins");
	host_create(host);
	must(iog_tablemem_create(&host->platform, &lanes, &config.tablemem));
	for (uint32_t i = 0; i < THREADS; i++)
		workers[i] = (struct worker){ .host = host, .number = i, .random = seed + i * 1234567 };
	must(iog_pgtable_create(&config, &workers[0].pt));
	for (uint32_t i = 0; i < THREADS; i++) {
		workers[i].pt = workers[0].pt;
		must(iog_gather_init(&workers[i].gather, workers[0].pt, i, no_flush, NULL));
	}
	for (uint32_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&workers[i].id, NULL, work, &workers[i]), 0);
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(workers[i].id, NULL);
	for (uint32_t i = 0; i < THREADS; i++) {
		if (workers[i].wrong)
			fail_msg("%s", workers[i].wrong);
		pins += workers[i].pins;
	}
	assert_true(iog_pgtable_is_valid(workers[0].pt));
	for (uint32_t i = 0; i < THREADS; i++)
		must(iog_gather_flush(&workers[i].gather));
	for (uint32_t i = 0; i < THREADS; i++)
		must(iog_pgtable_trim(workers[0].pt, &workers[i].gather, NULL));
	iog_pgtable_stats(workers[0].pt, &stats);
	if (shape_reclaims(shape))
		assert_int_equal(stats.table_bytes, shape_root_bytes(shape));
	assert_true(pins);
	iog_pgtable_destroy(workers[0].pt, 0);
	must(iog_tablemem_destroy(config.tablemem));
	assert_int_equal(host->page_bytes | host->object_bytes, 0);
	host_destroy(host);
	free(host);
}

#define TESTS 9

int main(void)
{
	static const struct {
		const char *name;
		CMUnitTestFunction function;
	} all[TESTS] = {
		{ "entries", entries },		{ "table stays", table_stays },	    { "table is shared", table_is_shared },
		{ "table comes back", table_comes_back }, { "refusals", refusals },	    { "out of memory", out_of_memory },
		{ "holds off", holds_off },	    { "failed flush", failed_flush }, { "threads", threads },
	};
	struct CMUnitTest *tests = calloc((size_t)TESTS * nr_shapes, sizeof(*tests));
	char(*names)[64] = calloc((size_t)TESTS * nr_shapes, sizeof(*names));
	size_t nr = 0;
	int failed;

	if (!tests || !names)
		abort();
	for (uint32_t s = 0; s < nr_shapes; s++)
		for (uint32_t t = 0; t < TESTS && shape_wanted(&shapes[s]); t++) {
			snprintf(names[nr], sizeof(*names), "%s: %s", shapes[s].name, all[t].name);
			tests[nr] = (struct CMUnitTest){ names[nr], all[t].function, measure, NULL, (void *)(uintptr_t)&shapes[s] };
			nr++;
		}
	failed = _cmocka_run_group_tests("pins", tests, nr, NULL, NULL);
	free(tests);
	free(names);
	return failed;
}

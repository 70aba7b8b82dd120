/* SPDX-License-Identifier: MIT */
/*
 * Readers without a lane: they read from within a flush, keep table memory where it is while they are inside, and see what is there while lanes change it.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <iogate/host/posix.h>

#include "pgtable/reader.h"

#include "seed.h"

#define PAGE UINT64_C(4096)
#define TABLE UINT64_C(0x200000)
#define LANES 3u
/* Many more slabs than are kept. */
#define TABLES 2000u
/* What an address is mapped to, always. */
#define PADDR(iova) ((iova) + (UINT64_C(1) << 40))

struct bed {
	struct iog_posix *posix;
	struct iog_tablemem *mem;
	struct iog_pgtable *pt;
	struct iog_pgtable_reader reader;
	struct iog_gather gathers[LANES];
	uint32_t flushes;
	uint64_t seen; /* leaves, in all flushes */
	_Atomic bool stop;
	uint64_t seed;
};

struct count {
	uint64_t leaves;
	bool wrong;
};

static int leaf(iog_iova_t iova, const struct iog_leaf *leaf, void *ctx)
{
	struct count *count = ctx;

	count->leaves++;
	count->wrong |= leaf->paddr != PADDR(iova) || leaf->page_size != PAGE;
	return 0;
}

static int no_flush(const struct iog_gather *gather, void *ctx)
{
	(void)gather;
	(void)ctx;
	return 0;
}

/* What a driver does: look at what has changed. */
static int flush(const struct iog_gather *gather, void *ctx)
{
	struct bed *bed = ctx;
	struct count count = { 0 };

	bed->flushes++;
	iog_pgtable_reader_enter(&bed->reader);
	for (uint32_t n = 0; n < gather->nr_ranges; n++)
		assert_int_equal(iog_pgtable_reader_visit(&bed->reader, gather->ranges[n].first, gather->ranges[n].last, leaf, &count), 0);
	iog_pgtable_reader_exit(&bed->reader);
	assert_false(count.wrong);
	bed->seen += count.leaves;
	return 0;
}

static void bed_create(struct bed *bed, const struct iog_pgtable_ops *ops, uint32_t flags, iog_flush_fn *flushes)
{
	struct iog_pgtable_config config = { .ops = ops, .flags = flags };

	memset(bed, 0, sizeof(*bed));
	assert_int_equal(iog_posix_create(NULL, &bed->posix), 0);
	assert_int_equal(iog_tablemem_create(iog_posix_platform(bed->posix), &(struct iog_tablemem_config){ .lanes = LANES }, &bed->mem), 0);
	config.tablemem = bed->mem;
	assert_int_equal(iog_pgtable_create(&config, &bed->pt), 0);
	iog_pgtable_reader_init(&bed->reader, bed->pt);
	for (uint32_t n = 0; n < LANES; n++)
		assert_int_equal(iog_gather_init(&bed->gathers[n], bed->pt, n, flushes, bed), 0);
}

static void bed_destroy(struct bed *bed)
{
	iog_pgtable_destroy(bed->pt, 0);
	assert_int_equal(iog_tablemem_destroy(bed->mem), 0);
	iog_posix_destroy(bed->posix);
}

/* From within a call of the lane that flushes; the root says which page table it is. */
static void in_a_flush(void **state)
{
	struct iog_pgtable_root root;
	struct bed bed;

	(void)state;
	bed_create(&bed, &iog_vtdss_counted, IOG_PGTABLE_FLUSH_ON_MAP, flush);
	iog_pgtable_root(bed.pt, &root);
	assert_ptr_equal(root.pgtable, bed.pt);
	assert_int_equal(iog_pgtable_map(bed.pt, 0x5000, PADDR(0x5000), 600 * PAGE, IOG_PROT_READ, &bed.gathers[0]), 0);
	assert_true(bed.flushes == 1 && bed.seen == 600);
	assert_int_equal(iog_pgtable_unmap(bed.pt, 0x7000, 2 * PAGE, &bed.gathers[0], NULL), 0);
	iog_gather_add_range(&bed.gathers[0], 0, 0xffffff, PAGE);
	assert_int_equal(iog_gather_flush(&bed.gathers[0]), 0);
	assert_true(bed.flushes == 2 && bed.seen == 600 + 598);
	bed_destroy(&bed);
}

/* Memory that a reader may be looking at stays, and goes when it has left. */
static void keeps_memory(void **state)
{
	struct iog_tablemem_stats full, inside, after;
	struct bed bed;

	(void)state;
	bed_create(&bed, &iog_vtdss_counted, 0, no_flush);
	for (uint64_t n = 0; n < TABLES; n++)
		assert_int_equal(iog_pgtable_map(bed.pt, n * TABLE, PADDR(n * TABLE), PAGE, IOG_PROT_READ, &bed.gathers[0]), 0);
	iog_tablemem_stats(bed.mem, &full);
	iog_pgtable_reader_enter(&bed.reader);
	assert_int_equal(iog_pgtable_unmap(bed.pt, 0, TABLES * TABLE, &bed.gathers[0], NULL), 0);
	assert_int_equal(iog_gather_flush(&bed.gathers[0]), 0);
	assert_int_equal(iog_pgtable_trim(bed.pt, &bed.gathers[0], NULL), 0);
	assert_int_equal(iog_tablemem_trim(bed.mem, 0), 0);
	iog_tablemem_stats(bed.mem, &inside);
	assert_true(inside.bytes >= full.bytes && inside.tables < full.tables / 100);
	iog_pgtable_reader_exit(&bed.reader);
	assert_int_equal(iog_tablemem_trim(bed.mem, 0), 0);
	iog_tablemem_stats(bed.mem, &after);
	assert_true(after.bytes < full.bytes / 4);
	bed_destroy(&bed);
}

struct lane {
	struct bed *bed;
	iog_lane_t number;
};

static void *lane_run(void *arg)
{
	struct lane *self = arg;
	struct iog_gather *gather = &self->bed->gathers[self->number];
	uint64_t rng = self->bed->seed + self->number;

	while (!atomic_load(&self->bed->stop)) {
		uint64_t base = (self->number + LANES * (kit_random(&rng) % 40)) * TABLE / 2, n;

		for (n = 0; n < 60; n++)
			(void)iog_pgtable_map(self->bed->pt, base + n * LANES * TABLE * 20, PADDR(base + n * LANES * TABLE * 20), 3 * PAGE, IOG_PROT_READ, gather);
		for (n = 0; n < 60; n++)
			(void)iog_pgtable_unmap(self->bed->pt, base + n * LANES * TABLE * 20, 3 * PAGE, gather, NULL);
		(void)iog_gather_flush(gather);
		(void)iog_pgtable_trim(self->bed->pt, gather, NULL);
		(void)iog_tablemem_trim(self->bed->mem, self->number);
	}
	return NULL;
}

static void among_lanes(void **state)
{
	static const struct iog_pgtable_ops *const ops[] = { &iog_vtdss_counted, &iog_vtdss_rwlock };
	struct lane lanes[LANES];
	pthread_t threads[LANES];
	static struct bed bed;

	(void)state;
	for (uint32_t way = 0; way < 2; way++) {
		struct count count = { 0 };

		bed_create(&bed, ops[way], 0, no_flush);
		bed.seed = kit_seed("pgtable reader");
		for (uint32_t n = 0; n < LANES; n++) {
			lanes[n] = (struct lane){ &bed, n };
			assert_int_equal(pthread_create(&threads[n], NULL, lane_run, &lanes[n]), 0);
		}
		for (uint64_t n = 0; n < kit_scaled(400) || !count.leaves; n++) {
			iog_pgtable_reader_enter(&bed.reader);
			assert_int_equal(iog_pgtable_reader_visit(&bed.reader, 0, UINT64_MAX, leaf, &count), 0);
			iog_pgtable_reader_exit(&bed.reader);
		}
		atomic_store(&bed.stop, true);
		for (uint32_t n = 0; n < LANES; n++)
			assert_int_equal(pthread_join(threads[n], NULL), 0);
		assert_false(count.wrong);
		bed_destroy(&bed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(in_a_flush), cmocka_unit_test(keeps_memory), cmocka_unit_test(among_lanes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

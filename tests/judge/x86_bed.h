/* SPDX-License-Identifier: MIT */
/*
 * What the judges of VT-d and AMD-Vi share: a machine with one way of using its unit, a page table that the judge fills by hand, and edu, which copies from one address to another; and the points that are the same.
 *
 * Included once, after struct way, which has a name, and BED_OWN, the bed's further members: the driver's.
 */
#ifndef TESTS_JUDGE_X86_BED_H
#define TESTS_JUDGE_X86_BED_H

#include <inttypes.h>
#include <stdlib.h>

#include <iogate/dma.h>
#include <iogate/domain.h>
#include <iogate/gather.h>
#include <iogate/pgtable.h>
#include <iogate/tablemem.h>
#include <iogate/unit.h>

#include "judge.h"

#define ID 5
#define PAGE 4096
#define SIZE_2M 0x200000
#define BYTES 64
#define LOW UINT64_C(0x100000)
#define HIGH UINT64_C(0x7f1234400000)
#define RW (IOG_PROT_READ | IOG_PROT_WRITE)

struct bed {
	const struct way *way;
	struct iog_qtest *qtest;
	const struct iog_platform *platform;
	struct iog_unit *unit;
	struct iog_tablemem *tablemem;
	struct iog_pgtable *pgtable;
	struct iog_gather gather;
	bool forgetful;     /* flushes say that they were done, and are not */
	uint8_t *a, *b, *c; /* 2 MiB each, of guest memory */
	BED_OWN
};

#define CLAIM(point, claim, ...)                                                     \
	do {                                                                         \
		char says_[160];                                                     \
		snprintf(says_, sizeof(says_), __VA_ARGS__);                         \
		JUDGE(claim, "%s, point %d: %s", bed->way->name, (point), says_);    \
	} while (0)

static inline int flush(const struct iog_gather *gather, void *ctx)
{
	struct bed *bed = ctx;

	return bed->forgetful ? 0 : bed->unit->ops->invalidate(bed->unit, ID, gather);
}

static inline iog_paddr_t paddr_of(const struct bed *bed, const void *at)
{
	return (uint64_t)(uintptr_t)at - bed->platform->direct_map_offset;
}

static inline void map(struct bed *bed, uint64_t iova, void *to, uint64_t size, uint32_t prot)
{
	CLAIM(0, !iog_pgtable_map(bed->pgtable, iova, paddr_of(bed, to), size, prot, &bed->gather), "map 0x%" PRIx64, iova);
}

/* What was unmapped waits in the gather. */
static inline void unmap(struct bed *bed, uint64_t iova, uint64_t size)
{
	uint64_t unmapped = 0;

	CLAIM(0, !iog_pgtable_unmap(bed->pgtable, iova, size, &bed->gather, &unmapped) && unmapped == size, "unmap 0x%" PRIx64, iova);
}

static inline void forget(struct bed *bed)
{
	CLAIM(0, !iog_gather_flush(&bed->gather), "invalidate");
}

static inline void paint(void *at, uint8_t with)
{
	for (uint32_t n = 0; n < BYTES; n++)
		((uint8_t *)at)[n] = (uint8_t)(with + n);
}

static inline bool painted(const void *at, uint8_t with)
{
	for (uint32_t n = 0; n < BYTES; n++)
		if (((const uint8_t *)at)[n] != (uint8_t)(with + n))
			return false;
	return true;
}

static inline bool device_reads(struct bed *bed, uint64_t from)
{
	return !iog_qtest_edu_dma(bed->qtest, 0, IOG_QTEST_FROM_MEMORY, from, 0, BYTES);
}

static inline bool device_writes(struct bed *bed, uint64_t to)
{
	return !iog_qtest_edu_dma(bed->qtest, 0, IOG_QTEST_TO_MEMORY, to, 0, BYTES);
}

/* From @from to @to, by the device. */
static inline bool device_copies(struct bed *bed, uint64_t from, uint64_t to)
{
	return device_reads(bed, from) && device_writes(bed, to);
}

/* The machine, and what is copied. False: there is none. */
static inline bool bed_start(struct bed *bed, const struct way *way)
{
	const char *const arguments[] = { "-device", way->device, NULL };
	const struct iog_qtest_config machine = { .arguments = arguments, .edus = 2, .version_min = way->version_min, .version_max = way->version_max };

	memset(bed, 0, sizeof(*bed));
	bed->way = way;
	bed->qtest = judge_start(&machine);
	if (!bed->qtest)
		return false;
	bed->platform = iog_qtest_platform(bed->qtest);
	bed->a = bed->platform->pages_alloc(bed->platform->ctx, SIZE_2M);
	bed->b = bed->platform->pages_alloc(bed->platform->ctx, SIZE_2M);
	bed->c = bed->platform->pages_alloc(bed->platform->ctx, SIZE_2M);
	return true;
}

/* A page table, once there is a unit. */
static inline bool bed_tables(struct bed *bed, struct iog_pgtable_config pgtable)
{
	int error = iog_tablemem_create(bed->platform, NULL, &bed->tablemem);

	pgtable.flags = bed->unit->pgtable_flags;
	pgtable.tablemem = bed->tablemem;
	if (!error)
		error = iog_pgtable_create(&pgtable, &bed->pgtable);
	if (!error)
		error = iog_gather_init(&bed->gather, bed->pgtable, 0, flush, bed);
	CLAIM(0, !error, "page table: %s", iog_strerror(error));
	return !error;
}

static inline void bed_tables_end(struct bed *bed)
{
	if (bed->pgtable)
		iog_pgtable_destroy(bed->pgtable, 0);
	if (bed->tablemem)
		CLAIM(0, !iog_tablemem_destroy(bed->tablemem), "table memory goes");
}

static inline void bed_stop(struct bed *bed)
{
	if (bed->qtest) {
		struct iog_qtest_stats stats;

		bed->platform->pages_free(bed->platform->ctx, bed->a, SIZE_2M);
		bed->platform->pages_free(bed->platform->ctx, bed->b, SIZE_2M);
		bed->platform->pages_free(bed->platform->ctx, bed->c, SIZE_2M);
		iog_qtest_stats(bed->qtest, &stats);
		CLAIM(0, stats.memory_bytes == 0, "all guest memory comes back, %" PRIu64 " bytes are out", stats.memory_bytes);
		CLAIM(0, !iog_qtest_error(bed->qtest), "QEMU is well: %s", iog_qtest_error(bed->qtest));
	}
	iog_qtest_destroy(bed->qtest);
}

/* 1: off, the device reaches memory by its physical addresses. */
static inline void point_off(struct bed *bed, const char *when)
{
	paint(bed->a, 1);
	paint(bed->b, 100);
	CLAIM(1, device_copies(bed, paddr_of(bed, bed->a), paddr_of(bed, bed->b)) && painted(bed->b, 1), "off, %s: the device copies", when);
}

/* 2 */
static inline void point_translated(struct bed *bed, uint64_t base, uint64_t size)
{
	uint64_t x = base, y = base + 2 * SIZE_2M;

	paint(bed->a, 3);
	paint(bed->b, 100);
	map(bed, x, bed->a, size, RW);
	map(bed, y, bed->b, size, RW);
	CLAIM(2, device_copies(bed, x, y) && painted(bed->b, 3), "0x%" PRIx64 " by leaves of 0x%" PRIx64 " is copied", x, size);
	/* The last bytes of what is mapped. */
	paint(bed->a + size - BYTES, 4);
	CLAIM(2, device_copies(bed, x + size - BYTES, y + size - BYTES) && painted(bed->b + size - BYTES, 4), "0x%" PRIx64 ": its last bytes, too", x);
	unmap(bed, x, size);
	unmap(bed, y, size);
	forget(bed);
}

/* 3 */
static inline void point_remapped(struct bed *bed, uint64_t base, uint64_t size)
{
	uint64_t x = base, y = base + 2 * SIZE_2M;

	paint(bed->a, 10);
	paint(bed->c, 20);
	map(bed, x, bed->a, size, RW);
	map(bed, y, bed->b, size, RW);
	CLAIM(3, device_copies(bed, x, y) && painted(bed->b, 10), "A before");
	unmap(bed, x, size);
	/* Without invalidation, also where mapping would make one. */
	bed->forgetful = true;
	map(bed, x, bed->c, size, RW);
	bed->forgetful = false;
	CLAIM(3, device_copies(bed, x, y) && painted(bed->b, 10), "control: without invalidation the device still sees A");
	iog_gather_add_range(&bed->gather, x, x + size - 1, size);
	forget(bed);
	CLAIM(3, device_copies(bed, x, y) && painted(bed->b, 20), "C after");
	unmap(bed, x, size);
	unmap(bed, y, size);
	forget(bed);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What judges of drivers share: a unit on a machine of QEMU, a domain over it whose page table the judge fills by hand, and edu, which copies from one address to another.
 *
 * The page table is the judge's own (iog_pgtable_*), so that an invalidation can be left out: the negative control of each claim about invalidation is the same steps without it.
 */
#ifndef TESTS_JUDGE_BENCH_H
#define TESTS_JUDGE_BENCH_H

#include <stdlib.h>

#include <iogate/fault.h>
#include <iogate/gather.h>
#include <iogate/pgtable.h>
#include <iogate/platform.h>
#include <iogate/tablemem.h>
#include <iogate/unit.h>

#include "judge.h"

#define RW (IOG_PROT_READ | IOG_PROT_WRITE)
#define BENCH_BYTES 256u
#define BENCH_FAULTS 64u

struct bench {
	struct iog_qtest *qtest;
	const struct iog_platform *platform;
	struct iog_unit *unit;
	uint32_t device;
	const char *name;

	struct iog_tablemem *tablemem;
	struct iog_pgtable *pgtable;
	struct iog_gather *gather;
	uint32_t id;
	uint64_t granule;
	uint64_t large; /* the next leaf size */
	bool told_maps; /* the unit has to be told of what is mapped, too */
	bool untold;    /* and is not */

	uint32_t nr_faults;
	struct iog_fault faults[BENCH_FAULTS];
	void (*interrupt)(struct bench *bench);
	void *driver;
};

static inline void bench_fault(void *ctx, struct iog_unit *unit, const struct iog_fault *fault)
{
	struct bench *bench = ctx;

	(void)unit;
	if (bench->nr_faults < BENCH_FAULTS)
		bench->faults[bench->nr_faults] = *fault;
	bench->nr_faults++;
}

static inline iog_paddr_t bench_paddr(const struct bench *bench, const void *va)
{
	return (uint64_t)(uintptr_t)va - bench->platform->direct_map_offset;
}

/* What the page table asks for by itself: never, in a judge that invalidates by hand. */
static inline int bench_no_flush(const struct iog_gather *gather, void *ctx)
{
	(void)gather;
	(void)ctx;
	return -IOG_EIO;
}

/* A page table of a format, as domain @id of the unit. False, with a claim that fails, if it cannot be. */
static inline bool bench_domain(struct bench *bench, uint32_t id, const struct iog_pgtable_ops *ops, uint32_t ias, uint32_t oas)
{
	struct iog_format format;
	struct iog_tablemem_config memory = { .lanes = 1 };
	struct iog_pgtable_config config = { .ops = ops, .ias = ias, .oas = oas, .flags = bench->unit->pgtable_flags & ~(uint32_t)IOG_PGTABLE_FLUSH_ON_MAP };
	struct iog_pgtable_root root;
	int error;

	/* By hand, as all else. */
	bench->told_maps = bench->unit->pgtable_flags & IOG_PGTABLE_FLUSH_ON_MAP;
	iog_format_describe(ops, &format);
	memory.table_size = format.table_size;
	bench->granule = format.page_sizes & -format.page_sizes;
	bench->large = 0;
	/* A leaf one level up; what the contiguous bit joins lies between. */
	bench->large = bench->granule * (bench->granule / 8);
	error = iog_tablemem_create(bench->platform, &memory, &bench->tablemem);
	if (!error) {
		config.tablemem = bench->tablemem;
		error = iog_pgtable_create(&config, &bench->pgtable);
	}
	JUDGE(!error, "%s: a page table (%d)", bench->name, error);
	if (error)
		return false;
	bench->gather = calloc(1, sizeof(*bench->gather));
	(void)iog_gather_init(bench->gather, bench->pgtable, 0, bench_no_flush, NULL);
	iog_pgtable_root(bench->pgtable, &root);
	bench->id = id;
	error = bench->unit->ops->domain_add(bench->unit, id, &root);
	JUDGE(!error, "%s: domain_add (%d)", bench->name, error);
	return !error;
}

static inline void bench_domain_end(struct bench *bench)
{
	if (bench->id)
		JUDGE(!bench->unit->ops->domain_remove(bench->unit, bench->id), "%s: domain_remove", bench->name);
	iog_pgtable_destroy(bench->pgtable, 0);
	(void)iog_tablemem_destroy(bench->tablemem);
	free(bench->gather);
	bench->pgtable = NULL;
	bench->tablemem = NULL;
	bench->gather = NULL;
	bench->id = 0;
}

static inline int bench_map(struct bench *bench, iog_iova_t iova, iog_paddr_t paddr, uint64_t size, uint32_t prot)
{
	int error = iog_pgtable_map(bench->pgtable, iova, paddr, size, prot, bench->gather);

	if (!error && bench->told_maps && !bench->untold)
		error = bench->unit->ops->invalidate(bench->unit, bench->id, NULL);
	return error;
}

static inline int bench_unmap(struct bench *bench, iog_iova_t iova, uint64_t size)
{
	return iog_pgtable_unmap(bench->pgtable, iova, size, bench->gather, NULL);
}

/* Make the unit forget what was unmapped since the last time. */
static inline int bench_invalidate(struct bench *bench)
{
	int error = bench->unit->ops->invalidate(bench->unit, bench->id, bench->gather);

	if (!error)
		iog_gather_complete(bench->gather);
	return error;
}

static inline int bench_set(struct bench *bench, enum iog_domain_type type)
{
	return bench->unit->ops->device_set(bench->unit, bench->device, type, bench->id);
}

static inline void bench_read(struct bench *bench, uint64_t address, uint32_t size)
{
	JUDGE(!iog_qtest_edu_dma(bench->qtest, 0, IOG_QTEST_FROM_MEMORY, address, 0, size), "%s: edu reads", bench->name);
}

static inline void bench_write(struct bench *bench, uint64_t address, uint32_t size)
{
	JUDGE(!iog_qtest_edu_dma(bench->qtest, 0, IOG_QTEST_TO_MEMORY, address, 0, size), "%s: edu writes", bench->name);
}

static inline void bench_fill(void *memory, uint8_t seed, uint32_t size)
{
	for (uint32_t n = 0; n < size; n++)
		((uint8_t *)memory)[n] = (uint8_t)(seed + n * 3);
}

static inline bool bench_filled(const void *memory, uint8_t seed, uint32_t size)
{
	for (uint32_t n = 0; n < size; n++)
		if (((const uint8_t *)memory)[n] != (uint8_t)(seed + n * 3))
			return false;
	return true;
}

/* What the device has in its buffer: written through to a page of its own, which is always mapped at @probe. */
static inline bool bench_has(struct bench *bench, iog_iova_t probe, void *page, uint8_t seed)
{
	memset(page, 0, BENCH_BYTES);
	bench_write(bench, probe, BENCH_BYTES);
	return bench_filled(page, seed, BENCH_BYTES);
}

/* Forget the faults of before. */
static inline void bench_hush(struct bench *bench)
{
	bench->interrupt(bench);
	bench->nr_faults = 0;
}

static inline const struct iog_fault *bench_first_fault(struct bench *bench)
{
	static const struct iog_fault none;

	bench->interrupt(bench);
	return bench->nr_faults ? &bench->faults[0] : &none;
}

#endif

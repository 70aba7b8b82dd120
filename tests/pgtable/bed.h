/* SPDX-License-Identifier: MIT */
/*
 * A page table on a test platform, with gathers whose flushes are recorded and fail on request. One thread.
 */
#ifndef IOG_TESTS_PGTABLE_BED_H
#define IOG_TESTS_PGTABLE_BED_H

#include <iogate/error.h>
#include <iogate/gather.h>
#include <iogate/pgtable.h>
#include <iogate/tablemem.h>

#include "host.h"
#include "hw.h"

#define BED_LANES 2
/* Per lane: a table may stand in two gathers of one lane, too. */
#define BED_GATHERS 2

#define CLASSIC_SIZES (PAGE_4K | PAGE_2M | PAGE_1G)
#define RW (IOG_PROT_READ | IOG_PROT_WRITE)

struct bed_options {
	uint32_t flags; /* NONCOHERENT, FLUSH_ON_MAP, SPLIT */
	uint32_t trim_batch;
	uint64_t page_sizes; /* 0: 4K, 2M and 1G, where the granule is 4K; otherwise all */
	uint32_t oas;
};

struct bed {
	struct host host;
	const struct shape *shape;
	struct bed_options options;
	struct iog_tablemem *mem;
	struct iog_pgtable *pt;
	struct iog_pgtable_root root;
	struct iog_gather gather[BED_LANES][BED_GATHERS];
	struct hw_scan memory;
	struct hw_scan shadow;

	uint64_t flushes;         /* calls of the flush function */
	struct iog_gather flushed; /* what the last one was given */
	uint32_t fail_flushes;    /* that many from now on end in -IOG_ETIMEDOUT */
	uint64_t failed_flushes;
};

/* Aborts on errors; bed_config() is for tests of those. */
struct bed *bed_create(const struct shape *shape, const struct bed_options *options);
/* Destroys everything, gathers with what they hold. Return: NULL, or what was not given back. */
const char *bed_finish(struct bed *bed);
/* The same, and aborts if something was not given back. */
void bed_destroy(struct bed *bed);

/* What a page table of this shape is created with. */
struct iog_pgtable_config bed_config(const struct bed *bed, const struct shape *shape, const struct bed_options *options);

iog_flush_fn bed_flush;

/* Both lanes: flush all gathers, trim. Aborts on errors. */
void bed_trim(struct bed *bed);

/* Tables of all levels, as the page table counts them, and as the walker does. */
uint64_t bed_tables(const struct bed *bed);

/*
 * Compare what the page table says of itself with what a walk over raw memory finds, and with the shadow if the walker does not snoop.
 * Return: NULL, or what is wrong (valid until the next call).
 */
const char *bed_check(struct bed *bed);

#endif

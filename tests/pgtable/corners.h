/* SPDX-License-Identifier: MIT */
/*
 * What the tests of single behaviours share: words for what is expected of a page table on a test bed. Each checks memory as hardware would see it, too.
 */
#ifndef IOG_TESTS_PGTABLE_CORNERS_H
#define IOG_TESTS_PGTABLE_CORNERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bed.h"

/* A behaviour, and the shapes it is tested for. */
struct corner {
	const char *name;
	void (*test)(void **state); /* *state is the shape */
	bool (*applies)(const struct shape *shape); /* NULL: to all */
};

/* By file. */
extern const struct corner corners_map[];
extern const struct corner corners_unmap[];
extern const struct corner corners_reclaim[];
extern const struct corner corners_gather[];
extern const struct corner corners_arguments[];

/* State of everything that "nothing changed" is about. */
struct before {
	struct hw_scan memory;
	struct iog_pgtable_stats stats;
	uint64_t page_bytes;
	uint64_t flushes;
	struct iog_gather gather;
};

struct before remember(struct bed *bed);
/* Everything is as it was, and what was remembered is freed. */
void nothing_changed(struct bed *bed, struct before *before);
/* Leaves are as they were. */
void same_leaves(struct bed *bed, struct before *before);

/* bed_check() finds nothing wrong. */
void sound(struct bed *bed);

/* Lane 0, gather 0 unless the call says otherwise. */
static inline struct iog_gather *first_gather(struct bed *bed)
{
	return &bed->gather[0][0];
}

void maps(struct bed *bed, uint64_t at, uint64_t paddr, uint64_t size);
void maps_page(struct bed *bed, uint64_t at, uint64_t paddr, uint64_t pgsize);
void unmaps(struct bed *bed, uint64_t at, uint64_t size, uint64_t expected);
void flushes(struct bed *bed, struct iog_gather *gather);

/* @at translates to @paddr through a leaf of @size. */
void leads_to(struct bed *bed, uint64_t at, uint64_t paddr, uint64_t size);
void leads_nowhere(struct bed *bed, uint64_t at);

/* Tables of @level: linked ones, and unlinked ones that wait for a flush. */
void has_tables(struct bed *bed, uint32_t level, uint64_t linked, uint64_t unlinked);

/* After everything was unmapped: the root alone is left, of tables and of memory; then the bed is destroyed. */
void ends_empty(struct bed *bed);

bool is_reclaiming(const struct shape *shape);
bool is_not_reclaiming(const struct shape *shape);

#endif

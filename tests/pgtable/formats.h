/* SPDX-License-Identifier: MIT */
/*
 * What the tests of formats share: every leaf size of a shape, and words for what is expected. Unlike corners.h, for any granule and number of levels.
 */
#ifndef IOG_TESTS_PGTABLE_FORMATS_H
#define IOG_TESTS_PGTABLE_FORMATS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bed.h"

/* A bed that uses every size, and its gather. */
struct bed *wide_bed(const struct shape *shape, uint32_t flags);

static inline struct iog_gather *gather_of(struct bed *bed)
{
	return &bed->gather[0][0];
}

/* The next size above @size that the shape has, or 0. Begin with 0. */
uint64_t next_size(const struct shape *shape, uint64_t size);

/* Offset of the last page of @size that a call can name; where addresses are sign-extended, of the upper half. */
uint64_t last_page(const struct shape *shape, uint64_t size);

/* Physical memory, aligned to @size, up to the format's last address. */
uint64_t high_memory(const struct shape *shape, uint64_t size);

void map_one(struct bed *bed, uint64_t at, uint64_t paddr, uint64_t size, uint32_t prot);
void unmap_one(struct bed *bed, uint64_t at, uint64_t size);

/* @at leads to @paddr through a leaf of @size that says @prot, for the library and for hardware. */
void is_mapped(struct bed *bed, uint64_t at, uint64_t paddr, uint64_t size, uint32_t prot);
void is_not_mapped(struct bed *bed, uint64_t at);

/* bed_check(), and the number of leaves. */
void is_sound(struct bed *bed, size_t leaves);

/* Everything is unmapped: only the root is left. */
void ends(struct bed *bed);

/* formats_change.c */
void tracks_dirty(void **state);
void protects(void **state);
void keeps_software_bits(void **state);
void splits_and_merges(void **state);
void refuses_without_bbm2(void **state);

#endif

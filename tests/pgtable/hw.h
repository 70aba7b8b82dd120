/* SPDX-License-Identifier: MIT */
/*
 * What hardware would see: a walker over the raw bytes of page tables, written from the formats' specifications (VT-d 3.7 and 9.7, 9.8; long-mode paging) and
 * not from the library. It reads memory, or the shadow of it that a walker without snooping sees.
 *
 * And the formats and variants that every test of this directory runs over.
 */
#ifndef IOG_TESTS_PGTABLE_HW_H
#define IOG_TESTS_PGTABLE_HW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iogate/pgtable.h>

#include "host.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define PAGE_4K (4 * KIB)
#define PAGE_2M (2 * MIB)
#define PAGE_1G GIB

/* A format, an address width, and a variant. */
struct shape {
	const char *name;
	const struct iog_pgtable_ops *ops;
	const char *format;
	enum iog_reclaim reclaim;
	uint32_t ias;
	uint32_t flags; /* SINGLE_WRITER, SIGN_EXTENDED */
};

extern const struct shape shapes[];
extern const uint32_t nr_shapes;

static inline bool shape_reclaims(const struct shape *shape)
{
	return shape->reclaim != IOG_RECLAIM_NONE;
}

/* Levels of the tree, and the root's level. */
static inline uint32_t shape_top(const struct shape *shape)
{
	return (shape->ias - 12 + 8) / 9 - 1;
}

/* The address at @offset of the space [0, 2^ias), as devices write it. */
uint64_t shape_iova(const struct shape *shape, uint64_t offset);

/* The permissions that a leaf mapped with @prot has. */
uint32_t shape_prot(const struct shape *shape, uint32_t prot);

struct hw_leaf {
	uint64_t iova;
	uint64_t paddr;
	uint64_t size;
	uint32_t prot;
};

static inline bool hw_same_leaf(const struct hw_leaf *a, const struct hw_leaf *b)
{
	return a->iova == b->iova && a->paddr == b->paddr && a->size == b->size && a->prot == b->prot;
}

/* Everything that is there. */
struct hw_scan {
	uint64_t tables[IOG_LEVELS_MAX];     /* linked, by level, the root included */
	uint64_t tombstones[IOG_LEVELS_MAX]; /* unlinked, by the level of the table they name */
	uint64_t blank;                      /* tables among the linked ones, but for the root, in which there is nothing */
	struct hw_leaf *leaves;              /* ascending */
	size_t nr_leaves;
	size_t max_leaves;
	char error[160]; /* what no page table may hold; empty if there is nothing of that kind */
};

/* Return: false if @scan->error says something. The scan's array is kept for reuse; start from zeroes. */
bool hw_scan(const struct host *host, const struct shape *shape, const struct iog_pgtable_root *root, bool shadow, struct hw_scan *scan);
void hw_scan_free(struct hw_scan *scan);

/* One address. Return: whether it translates; @leaf->paddr is then where to, and size and prot those of the leaf. */
bool hw_translate(const struct host *host, const struct shape *shape, const struct iog_pgtable_root *root, bool shadow, uint64_t iova,
		  struct hw_leaf *leaf);

#endif

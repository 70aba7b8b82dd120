/* SPDX-License-Identifier: MIT */
/*
 * What hardware would see: a walker over the raw bytes of page tables, written from the formats' specifications (hw_formats.c) and not from the library. It reads memory, or the shadow of it that a walker without snooping sees.
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

/* How tables of a format are laid out, and what a leaf can be. */
struct geometry {
	const char *format;
	uint32_t granule_shift;
	uint32_t level_bits;
	uint32_t root_bits;  /* index bits that a root may have more than others */
	uint32_t levels_min;
	uint32_t oas;        /* the most */
	uint64_t ias;        /* a bit per number allowed; 64 is bit 0 */
	uint64_t page_sizes; /* all leaf sizes */
	bool groups;         /* some of them take several entries */
	bool sign_extends;
	bool breaks;         /* leaves change their size in place only where the unit says it may */
	uint32_t prot;       /* what a leaf can say of enum iog_prot */
	uint32_t implied;    /* what every leaf allows */
};

/* A format, an address width, and a variant. */
struct shape {
	const char *name;
	const struct iog_pgtable_ops *ops;
	const char *format;
	enum iog_reclaim reclaim;
	uint32_t ias;
	uint32_t flags; /* SINGLE_WRITER, SIGN_EXTENDED */
	const struct geometry *geometry;
};

extern const struct shape shapes[];
extern const uint32_t nr_shapes;

static inline bool shape_reclaims(const struct shape *shape)
{
	return shape->reclaim != IOG_RECLAIM_NONE;
}

/* Bytes that an entry at @level covers; levels whose entries cover 2^64 are not asked for. */
static inline uint32_t shape_shift(const struct shape *shape, uint32_t level)
{
	return shape->geometry->granule_shift + shape->geometry->level_bits * level;
}

static inline uint64_t shape_page(const struct shape *shape, uint32_t level)
{
	return UINT64_C(1) << shape_shift(shape, level);
}

static inline uint64_t shape_granule(const struct shape *shape)
{
	return shape_page(shape, 0);
}

/* The root's level, where @ias bits come in. */
uint32_t shape_top_for(const struct shape *shape, uint32_t ias);

static inline uint32_t shape_top(const struct shape *shape)
{
	return shape_top_for(shape, shape->ias);
}

/* Entries of the root, and its bytes: at least a table. */
uint32_t shape_root_entries(const struct shape *shape, uint32_t ias);
uint64_t shape_root_bytes(const struct shape *shape);

static inline uint64_t shape_last(const struct shape *shape)
{
	return UINT64_MAX >> (64 - shape->ias);
}

/* Leaf sizes for which the shape has a level; @wanted, or all if that is 0. */
uint64_t shape_sizes(const struct shape *shape, uint64_t wanted);

/* Pages of 4K, 2M and 1G, and three levels at least: what tests of single behaviours are written for. */
static inline bool shape_is_classic(const struct shape *shape)
{
	uint32_t bits = shape->flags & IOG_PGTABLE_SIGN_EXTENDED ? shape->ias - 1 : shape->ias;

	return shape->geometry->granule_shift == 12 && bits >= 39 && bits < 60;
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

/* An entry, taken apart. */
struct hw_entry {
	bool present;
	bool leaf;
	uint64_t paddr; /* of the table, or of the leaf that it is or belongs to; set whether present or not */
	uint32_t shift; /* log2 of the leaf's bytes */
	uint32_t allows;
	bool dirty;
	const char *malformed;
};

struct hw_entry hw_decode(const struct shape *shape, uint64_t entry, uint32_t level, uint32_t index);

/* Bits of a leaf that hardware ignores and the library may use, by the specifications. */
uint64_t hw_software_bits(const struct shape *shape);

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

/* An entry after the unit has let a device write through it. */
uint64_t hw_written(const struct shape *shape, uint64_t entry);

/* The leaf entry that serves an address, or NULL. */
_Atomic uint64_t *hw_leaf_slot(const struct host *host, const struct shape *shape, const struct iog_pgtable_root *root, uint64_t iova);

/* One address. Return: whether it translates; @leaf->paddr is then where to, and size and prot those of the leaf. */
bool hw_translate(const struct host *host, const struct shape *shape, const struct iog_pgtable_root *root, bool shadow, uint64_t iova,
		  struct hw_leaf *leaf);

#endif

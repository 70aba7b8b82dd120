/* SPDX-License-Identifier: MIT */
/*
 * A page table as the template and its formats see it.
 *
 * Addresses in here are "internal": sign extension stripped, so that a space is always [0, 2^ias). Public calls convert.
 */
#ifndef IOG_PGTABLE_PGTABLE_H
#define IOG_PGTABLE_PGTABLE_H

#include <iogate/error.h>
#include <iogate/gather.h>
#include <iogate/pgtable.h>

#include "../inval/gather.h"
#include "release.h"
#include "tablemem.h"

struct iog_pin;

/*
 * Places in a lane's list of empty tables. More than trim_batch, because one unmap may empty a table per level at each end of its range, and one
 * release a parent per table. A table that finds no place stays linked and unlisted until it is emptied again or iog_pgtable_trim() finds it.
 */
#define EMPTY_LIST_MAX 256

/* A little above 64, so that a flush which drops walk caches serves 64 tables even when parents that came onto the list have filled again. */
#define TRIM_BATCH_DEFAULT 80

/* Not the first address of any table. */
#define PATH_NONE UINT64_MAX

_Static_assert(EMPTY_LIST_MAX >= 2 * IOG_GATHER_TABLES, "a list holds a batch and the parents that a release empties");

/*
 * What one lane keeps in one page table. The list and the path are the lane's own; counters are written by it and read by anybody.
 *
 * The path is where its last walk ended: tables of level 0 and 1, and the first addresses that they served then. Like all that a walk finds, they are believed only
 * once validated; unlike the rest, they are kept from call to call, which is safe while @epoch is the table memory's (slabs_reap()).
 */
struct pt_lane {
	_Alignas(64) uint64_t path_first[2]; /* PATH_NONE if nothing is kept */
	iog_entry_t *path[2];
	uint64_t epoch;
	struct mem_lane *mem; /* the lane in table memory */

	uint32_t nr_empty;
	_Atomic int64_t tables[IOG_LEVELS_MAX]; /* linked less released by this lane; only the sum over lanes means something */
	_Atomic uint64_t unlinked;
	_Atomic uint64_t revived;
	_Atomic uint64_t released;
	_Atomic int64_t pinned; /* entries pinned less unpinned by this lane; only the sum over lanes means something */
	struct iog_table *empty[EMPTY_LIST_MAX];
};

struct iog_pgtable {
	const struct iog_pgtable_ops *ops;
	struct iog_tablemem *mem;
	const struct iog_platform *platform;
	iog_entry_t *root;
	uint64_t offset; /* VA = PA + offset */
	struct pt_lane *lanes;

	uint32_t top; /* the root's level; of the first root, where the format grows */
	uint32_t ias;
	uint32_t oas;
	uint32_t flags;
	uint32_t trim_batch;
	bool noncoherent;
	bool no_snoop_control;
	bool alone; /* the table memory has one lane */
	bool tracking; /* dirty bits tell; changed while no other call changes anything */
	uint64_t granule;
	uint64_t page_sizes;
	uint64_t paddr_last; /* 2^oas - 1 */
	uint64_t last; /* internal: 2^ias - 1; as created, where the format grows */

	/* The root's descriptor: LIVE for ever, with one count that nobody takes away. */
	struct iog_table root_table;

	/*
	 * Formats that grow: the root's address and in its low bits its level, the last address, and the roots that came after the first, by level. Written by
	 * iog_pgtable_grow() only, the address and level first.
	 */
	_Atomic uintptr_t root_and_top;
	_Atomic uint64_t last_now;
	_Atomic(iog_entry_t *) grown_entries[IOG_LEVELS_MAX];
	struct iog_table grown[IOG_LEVELS_MAX];

	/* Reclaim = rwlock only: readers below, WRITER above. */
	_Alignas(64) _Atomic uint32_t readers;
};

#define PT_WRITER (UINT32_C(1) << 31)

/* Instead of a level: the best for each part of the range. */
#define LEVEL_BEST UINT32_MAX

struct iog_pgtable_ops {
	const char *format;
	enum iog_reclaim reclaim;
	bool single_writer;
	uint32_t granule_shift;
	uint32_t level_bits;
	uint64_t page_sizes;  /* all leaf sizes of the format */
	uint32_t oas_max;
	bool sign_extends;    /* knows IOG_PGTABLE_SIGN_EXTENDED */
	uint64_t ias_allowed; /* bit n: n input address bits; bit 0: 64 */
	uint32_t root_bits;   /* index bits that a root may have more than other tables */
	uint32_t levels_min;

	/* The public calls, with their arguments: see <iogate/pgtable.h>. */
	int (*map_pages)(struct iog_pgtable *pt, iog_iova_t iova, iog_paddr_t paddr, uint64_t pgsize, uint64_t pgcount, uint32_t prot,
			 struct iog_gather *gather, uint64_t *mapped);
	int (*map)(struct iog_pgtable *pt, iog_iova_t iova, iog_paddr_t paddr, uint64_t size, uint32_t prot, struct iog_gather *gather);
	int (*unmap_pages)(struct iog_pgtable *pt, iog_iova_t iova, uint64_t pgsize, uint64_t pgcount, struct iog_gather *gather,
			   uint64_t *unmapped);
	int (*unmap)(struct iog_pgtable *pt, iog_iova_t iova, uint64_t size, struct iog_gather *gather, uint64_t *unmapped);
	int (*lookup)(struct iog_pgtable *pt, iog_lane_t lane, iog_iova_t iova, struct iog_leaf *leaf);

	/* Of pinned entries (pin.h): no lane, no walk. */
	int (*pin_map)(struct iog_pgtable *pt, iog_entry_t *slot, uint64_t paddr, uint32_t n, uint32_t prot);
	uint32_t (*pin_unmap)(struct iog_pgtable *pt, iog_entry_t *slot, uint32_t n, bool holes);

	/* Of dynamic 1:1 entries (identity.h): users that one can count, or 0 and no functions. */
	uint32_t identity_users;
	int (*identity_map)(struct iog_pgtable *pt, uint64_t paddr, uint64_t size, uint32_t prot, uint64_t stamp, struct iog_gather *gather, bool *stale);
	int (*identity_unmap)(struct iog_pgtable *pt, uint64_t iova, uint64_t size, uint64_t stamp, struct iog_gather *gather, bool *stale);
	void (*identity_retire)(struct iog_pgtable *pt, uint64_t iova, uint64_t size, uint64_t stamp, struct iog_gather *gather);

	/* The lane is inside, addresses are internal. */
	int (*pin)(struct iog_pgtable *pt, struct iog_gather *gather, uint64_t iova, uint32_t n, struct iog_pin *pin);
	int (*unpin)(struct iog_pgtable *pt, struct iog_gather *gather, const struct iog_pin *pin, uint32_t n);
	int (*visit)(struct iog_pgtable *pt, struct pt_lane *lane, uint64_t first, uint64_t last, iog_visit_fn *visit, void *ctx);
	int (*trim)(struct iog_pgtable *pt, struct iog_gather *gather, uint64_t *tables);
	void (*release)(struct iog_pgtable *pt, struct iog_gather *gather);
	void (*destroy)(struct iog_pgtable *pt, iog_lane_t lane);
	bool (*is_valid)(struct iog_pgtable *pt);

	int (*protect)(struct iog_pgtable *pt, iog_iova_t iova, uint64_t size, uint32_t prot, uint32_t flags, struct iog_gather *gather, uint64_t *changed);
	int (*read_dirty)(struct iog_pgtable *pt, iog_iova_t iova, uint64_t size, uint64_t page_size, uint64_t *bitmap, uint32_t flags,
			  struct iog_gather *gather);
	int (*split)(struct iog_pgtable *pt, iog_iova_t iova, uint64_t size, uint64_t page_size, uint32_t flags, struct iog_gather *gather);
	int (*merge)(struct iog_pgtable *pt, iog_iova_t iova, uint64_t size, uint32_t flags, struct iog_gather *gather, uint64_t *tables);

	/* Nothing else changes the page table. Enters and leaves the lane itself. */
	void (*track_dirty)(struct iog_pgtable *pt, bool on, struct iog_gather *gather);

	/* Link the present root into a larger one, which is empty. NULL where roots stay what they are. */
	void (*raise)(struct iog_pgtable *pt, struct iog_table *root);
};

/* Position of the highest bit of @value, which is not 0. RISC-V has an instruction for it only with Zbb, and no library is there to make up for it. */
static inline uint32_t highest_bit(uint64_t value)
{
#if defined(__riscv) && !defined(__riscv_zbb)
	uint32_t bit = 0;

	for (uint32_t step = 32; step; step /= 2)
		if (value >> step) {
			value >>= step;
			bit += step;
		}
	return bit;
#else
	return 63 - (uint32_t)__builtin_clzll(value);
#endif
}

static inline uint32_t lowest_bit(uint64_t value)
{
	return highest_bit(value & -value);
}

#define ROOT_TOP_MASK ((uintptr_t)7)

_Static_assert(IOG_LEVELS_MAX <= 8, "a level fits into the low bits of a root's address");

/* The root and its level as of one moment. Acquire: its contents; pairs with the release in iog_pgtable_grow(). */
static inline iog_entry_t *pt_root(const struct iog_pgtable *pt, uint32_t *top)
{
	uintptr_t both = atomic_load_explicit(&pt->root_and_top, memory_order_acquire);

	*top = (uint32_t)(both & ROOT_TOP_MASK);
	return (iog_entry_t *)(both & ~ROOT_TOP_MASK);
}

static inline uint32_t pt_top(const struct iog_pgtable *pt)
{
	uint32_t top;

	(void)pt_root(pt, &top);
	return top;
}

/* Acquire: who is told of an address finds the root that serves it. */
static inline uint64_t pt_last(const struct iog_pgtable *pt)
{
	return atomic_load_explicit(&pt->last_now, memory_order_acquire);
}

/* The descriptor of the table of @level at @entries, if it is or was a root. */
static inline struct iog_table *pt_root_at(struct iog_pgtable *pt, uint32_t level, const iog_entry_t *entries)
{
	if (entries == pt->root)
		return &pt->root_table;
	if (entries == atomic_load_explicit(&pt->grown_entries[level], memory_order_relaxed))
		return &pt->grown[level];
	return NULL;
}

static inline bool pt_is_root(const struct iog_pgtable *pt, const struct iog_table *table)
{
	return table == &pt->root_table || (table >= pt->grown && table < pt->grown + IOG_LEVELS_MAX);
}

/* An internal address as devices and callers write it. */
static inline uint64_t pt_external(const struct iog_pgtable *pt, uint64_t iova)
{
	if (pt->flags & IOG_PGTABLE_SIGN_EXTENDED && iova >> (pt->ias - 1))
		return iova | ~pt->last;
	return iova;
}

/* Whether leaves that are in use may change their size where the architecture wants them broken before they are made anew. */
static inline bool pt_may_resize(const struct iog_pgtable *pt, uint32_t flags)
{
	return pt->flags & IOG_PGTABLE_BBM2 || flags & IOG_RANGE_QUIET;
}

/* What the gather's page table keeps for the gather's lane. */
static inline struct pt_lane *gather_lane(const struct iog_gather *gather)
{
	return (struct pt_lane *)gather->lane_state;
}

static inline void pt_clean(const struct iog_pgtable *pt, const void *va, size_t size)
{
	if (pt->noncoherent)
		pt->platform->cache_clean(pt->platform->ctx, va, size);
}

/* A counter of the calling lane. */
static inline void lane_count(_Atomic uint64_t *counter)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

static inline void lane_count_pinned(struct pt_lane *lane, int64_t by)
{
	atomic_store_explicit(&lane->pinned, atomic_load_explicit(&lane->pinned, memory_order_relaxed) + by, memory_order_relaxed);
}

static inline void lane_count_tables(struct pt_lane *lane, uint32_t level, int by)
{
	_Atomic int64_t *tables = &lane->tables[level];

	atomic_store_explicit(tables, atomic_load_explicit(tables, memory_order_relaxed) + by, memory_order_relaxed);
}

/* The lock of reclaim = rwlock. Spins; the writer has interrupts off. */
static inline void pt_read_lock(struct iog_pgtable *pt)
{
	/* Acquire: pairs with the release in pt_write_unlock(). */
	while (atomic_fetch_add_explicit(&pt->readers, 1, memory_order_acquire) & PT_WRITER) {
		atomic_fetch_sub_explicit(&pt->readers, 1, memory_order_relaxed);
		while (atomic_load_explicit(&pt->readers, memory_order_relaxed) & PT_WRITER)
			platform_relax(pt->platform);
	}
}

static inline void pt_read_unlock(struct iog_pgtable *pt)
{
	/* Release: pairs with the acquire in pt_write_lock(). */
	atomic_fetch_sub_explicit(&pt->readers, 1, memory_order_release);
}

static inline uintptr_t pt_write_lock(struct iog_pgtable *pt)
{
	uintptr_t flags = platform_irq_save(pt->platform);

	while (atomic_fetch_or_explicit(&pt->readers, PT_WRITER, memory_order_acquire) & PT_WRITER)
		platform_relax(pt->platform);
	while (atomic_load_explicit(&pt->readers, memory_order_acquire) != PT_WRITER)
		platform_relax(pt->platform);
	return flags;
}

static inline void pt_write_unlock(struct iog_pgtable *pt, uintptr_t flags)
{
	atomic_fetch_and_explicit(&pt->readers, ~PT_WRITER, memory_order_release);
	platform_irq_restore(pt->platform, flags);
}

#endif

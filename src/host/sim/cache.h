/* SPDX-License-Identifier: MIT */
/*
 * The caches of the simulated unit: an IOTLB and, per level, a cache of pointers to tables. All are set-associative with
 * least-recently-used replacement; a set is chosen by the low bits of the page or region number, as hardware does, exclusive-or'ed with
 * the domain id.
 *
 * The IOTLB holds a leaf as it was walked, in one entry for 4 KiB, 2 MiB or 1 GiB; of leaves of other sizes a part of the next smaller one. Entries carry the permissions of the whole walk that led
 * to them.
 *
 * A translation is filled in only when a lookup has missed it, so none is there twice.
 *
 * Invariants: nr_used[c] = entries of class c in use; pointer_filter[hash(t)] = walk-cache entries in use whose table has that hash.
 * Locking: the unit's lock.
 */
#ifndef IOG_SIM_CACHE_H
#define IOG_SIM_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include <iogate/types.h>

/* Leaf sizes in the IOTLB: 4 KiB, 2 MiB, 1 GiB. Class c covers 12 + 9c bits. */
#define IOTLB_CLASSES 3
#define WALK_CACHE_LEVELS (IOG_LEVELS_MAX - 1)
#define POINTER_FILTER_SIZE 2048

struct cache_entry {
	uint64_t key;   /* 0: not in use; otherwise page or region number, and class + 1 in the low 2 bits */
	uint64_t paddr; /* of the page, or of the table */
	uint64_t used;  /* tick of the last use */
	uint32_t domain;
	uint16_t prot;  /* 0: that nothing is there, see remember_absent() in walk.c */
	uint16_t shift; /* walk caches: log2 of the bytes of a region */
};

struct cache {
	struct cache_entry *entries;
	uint32_t set_mask;
	uint32_t ways;
	uint32_t nr_used[IOTLB_CLASSES]; /* walk caches have class 0 only */
};

struct caches {
	struct cache iotlb;
	struct cache walk[WALK_CACHE_LEVELS]; /* [n]: pointers to tables of level n */
	uint64_t tick;
	uint32_t pointer_filter[POINTER_FILTER_SIZE];
};

static inline uint32_t iotlb_class_shift(uint32_t class)
{
	return 12 + 9 * class;
}

/* The largest class that a page of 2^@shift bytes holds. */
static inline uint32_t iotlb_class_within(uint32_t shift)
{
	uint32_t class = IOTLB_CLASSES - 1;

	while (iotlb_class_shift(class) > shift)
		class--;
	return class;
}

static inline uint32_t iotlb_entry_class(const struct cache_entry *entry)
{
	return (uint32_t)(entry->key & 3) - 1;
}

static inline iog_iova_t iotlb_entry_iova(const struct cache_entry *entry)
{
	return entry->key >> 2 << iotlb_class_shift(iotlb_entry_class(entry));
}

/* How a domain's tables are laid out. */
struct walk_geometry {
	uint32_t granule_shift; /* log2 of the bytes of a table, and of what a level-0 entry covers */
	uint32_t level_bits;    /* log2 of the entries of a table */
};

/* An entry at @level covers 2^this bytes, and so does a table of the level below. */
static inline uint32_t walk_shift(struct walk_geometry geometry, uint32_t level)
{
	return geometry.granule_shift + geometry.level_bits * level;
}

static inline iog_iova_t walk_entry_iova(const struct cache_entry *entry)
{
	return entry->key >> 2 << entry->shift;
}

/* Entries and ways are powers of two, ways at most entries. Returns 0 or -IOG_ENOMEM; fini is called in either case. */
int iog_sim_cache_init(struct cache *cache, uint32_t entries, uint32_t ways);
void iog_sim_cache_fini(struct cache *cache);

/* The translation of @iova, marked as used; or NULL. Of several sizes the smallest wins. */
const struct cache_entry *iog_sim_iotlb_lookup(struct caches *caches, uint32_t domain, iog_iova_t iova);
void iog_sim_iotlb_fill(struct caches *caches, uint32_t domain, iog_iova_t iova, uint32_t class, iog_paddr_t page, uint32_t prot);
void iog_sim_iotlb_drop_range(struct caches *caches, uint32_t domain, iog_iova_t first, iog_iova_t last);

/* Whether a translation of any domain leads into [first, last] of memory; the first one found. */
const struct cache_entry *iog_sim_iotlb_find_paddr(const struct caches *caches, iog_paddr_t first, iog_paddr_t last);

/*
 * The cached pointer that starts the shortest walk of a table with @levels levels; *@level is that of the table pointed to. NULL if none.
 */
const struct cache_entry *iog_sim_walk_lookup(struct caches *caches, uint32_t domain, struct walk_geometry geometry, iog_iova_t iova, uint32_t levels,
					       uint32_t *level);
void iog_sim_walk_fill(struct caches *caches, uint32_t domain, struct walk_geometry geometry, iog_iova_t iova, uint32_t level, iog_paddr_t table,
		       uint32_t prot);
void iog_sim_walk_drop_range(struct caches *caches, uint32_t domain, struct walk_geometry geometry, iog_iova_t first, iog_iova_t last);

/*
 * A pointer to @table in any domain's walk cache, and the level of the cache that holds it; NULL if there is none, which is found out in
 * no time.
 */
const struct cache_entry *iog_sim_walk_find_table(const struct caches *caches, iog_paddr_t table, uint32_t *level);

/* Drop all entries of a domain, of the IOTLB and of the walk caches. */
void iog_sim_cache_drop_domain(struct caches *caches, uint32_t domain);

#endif

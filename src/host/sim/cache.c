/* SPDX-License-Identifier: MIT */
/*
 * IOTLB and walk caches. See cache.h.
 */
#include <stdlib.h>

#include <iogate/error.h>

#include "cache.h"

static uint64_t entry_key(uint64_t number, uint32_t class)
{
	return number << 2 | (class + 1);
}

static uint64_t entry_number(const struct cache_entry *entry)
{
	return entry->key >> 2;
}

static uint32_t cache_size(const struct cache *cache)
{
	return (cache->set_mask + 1) * cache->ways;
}

static struct cache_entry *cache_set(const struct cache *cache, uint32_t domain, uint64_t number)
{
	return cache->entries + (size_t)(((uint32_t)number ^ domain) & cache->set_mask) * cache->ways;
}

static struct cache_entry *set_find(const struct cache *cache, uint32_t domain, uint64_t number, uint32_t class)
{
	struct cache_entry *set = cache_set(cache, domain, number);
	uint64_t key = entry_key(number, class);

	for (uint32_t way = 0; way < cache->ways; way++) {
		if (set[way].key == key && set[way].domain == domain)
			return &set[way];
	}
	return NULL;
}

/* The entry to replace by a translation that is not there, as a lookup has just told: a free way, or the least recently used. */
static struct cache_entry *set_victim(const struct cache *cache, uint32_t domain, uint64_t number)
{
	struct cache_entry *set = cache_set(cache, domain, number);
	struct cache_entry *victim = set;

	for (uint32_t way = 0; way < cache->ways; way++) {
		if (!set[way].key)
			return &set[way];
		if (set[way].used < victim->used)
			victim = &set[way];
	}
	return victim;
}

static uint32_t *pointer_filter(struct caches *caches, iog_paddr_t table)
{
	return &caches->pointer_filter[(table >> 12) % POINTER_FILTER_SIZE];
}

static void iotlb_drop(struct caches *caches, struct cache_entry *entry)
{
	caches->iotlb.nr_used[iotlb_entry_class(entry)]--;
	entry->key = 0;
}

static void walk_drop(struct caches *caches, struct cache *cache, struct cache_entry *entry)
{
	--*pointer_filter(caches, entry->paddr);
	cache->nr_used[0]--;
	entry->key = 0;
}

int iog_sim_cache_init(struct cache *cache, uint32_t entries, uint32_t ways)
{
	cache->entries = calloc(entries, sizeof(*cache->entries));
	cache->set_mask = entries / ways - 1;
	cache->ways = ways;
	return cache->entries ? 0 : -IOG_ENOMEM;
}

void iog_sim_cache_fini(struct cache *cache)
{
	free(cache->entries);
	cache->entries = NULL;
}

const struct cache_entry *iog_sim_iotlb_lookup(struct caches *caches, uint32_t domain, iog_iova_t iova)
{
	for (uint32_t class = 0; class < IOTLB_CLASSES; class ++) {
		struct cache_entry *entry;

		if (!caches->iotlb.nr_used[class])
			continue;
		entry = set_find(&caches->iotlb, domain, iova >> iotlb_class_shift(class), class);
		if (entry) {
			entry->used = ++caches->tick;
			return entry;
		}
	}
	return NULL;
}

void iog_sim_iotlb_fill(struct caches *caches, uint32_t domain, iog_iova_t iova, uint32_t class, iog_paddr_t page, uint32_t prot)
{
	uint64_t number = iova >> iotlb_class_shift(class);
	struct cache_entry *entry = set_victim(&caches->iotlb, domain, number);

	if (entry->key)
		iotlb_drop(caches, entry);
	*entry = (struct cache_entry){ entry_key(number, class), page, ++caches->tick, domain, (uint16_t)prot, 0 };
	caches->iotlb.nr_used[class]++;
}

void iog_sim_iotlb_drop_range(struct caches *caches, uint32_t domain, iog_iova_t first, iog_iova_t last)
{
	struct cache *iotlb = &caches->iotlb;
	bool scan = false;

	/* A few pages are looked up; where they could fill every set, one scan is cheaper, and does all sizes. */
	for (uint32_t class = 0; class < IOTLB_CLASSES; class ++) {
		uint64_t number = first >> iotlb_class_shift(class);
		uint64_t end = last >> iotlb_class_shift(class);

		if (!iotlb->nr_used[class])
			continue;
		if (end - number > iotlb->set_mask) {
			scan = true;
			continue;
		}
		for (; number <= end; number++) {
			struct cache_entry *entry = set_find(iotlb, domain, number, class);

			if (entry)
				iotlb_drop(caches, entry);
		}
	}
	if (!scan)
		return;
	for (uint32_t i = 0; i < cache_size(iotlb); i++) {
		struct cache_entry *entry = &iotlb->entries[i];
		uint32_t shift;

		if (!entry->key || entry->domain != domain)
			continue;
		shift = iotlb_class_shift(iotlb_entry_class(entry));
		if (entry_number(entry) >= first >> shift && entry_number(entry) <= last >> shift)
			iotlb_drop(caches, entry);
	}
}

const struct cache_entry *iog_sim_iotlb_find_paddr(const struct caches *caches, iog_paddr_t first, iog_paddr_t last)
{
	for (uint32_t i = 0; i < cache_size(&caches->iotlb); i++) {
		const struct cache_entry *entry = &caches->iotlb.entries[i];

		if (!entry->key || !entry->prot)
			continue;
		/* One of the two begins inside the other; a difference below zero wraps and is large. */
		if (first - entry->paddr < UINT64_C(1) << iotlb_class_shift(iotlb_entry_class(entry)) ||
		    entry->paddr - first <= last - first)
			return entry;
	}
	return NULL;
}

const struct cache_entry *iog_sim_walk_lookup(struct caches *caches, uint32_t domain, struct walk_geometry geometry, iog_iova_t iova, uint32_t levels,
					       uint32_t *level)
{
	for (uint32_t n = 0; n + 1 < levels; n++) {
		struct cache_entry *entry;

		if (!caches->walk[n].nr_used[0])
			continue;
		entry = set_find(&caches->walk[n], domain, iova >> walk_shift(geometry, n + 1), 0);
		if (entry) {
			entry->used = ++caches->tick;
			*level = n;
			return entry;
		}
	}
	return NULL;
}

void iog_sim_walk_fill(struct caches *caches, uint32_t domain, struct walk_geometry geometry, iog_iova_t iova, uint32_t level, iog_paddr_t table,
		       uint32_t prot)
{
	struct cache *cache = &caches->walk[level];
	uint32_t shift = walk_shift(geometry, level + 1);
	uint64_t number = iova >> shift;
	struct cache_entry *entry = set_victim(cache, domain, number);

	if (entry->key)
		walk_drop(caches, cache, entry);
	*entry = (struct cache_entry){ entry_key(number, 0), table, ++caches->tick, domain, (uint16_t)prot, (uint16_t)shift };
	cache->nr_used[0]++;
	++*pointer_filter(caches, table);
}

void iog_sim_walk_drop_range(struct caches *caches, uint32_t domain, struct walk_geometry geometry, iog_iova_t first, iog_iova_t last)
{
	for (uint32_t n = 0; n < WALK_CACHE_LEVELS; n++) {
		struct cache *cache = &caches->walk[n];
		uint32_t shift = walk_shift(geometry, n + 1);
		uint64_t number = shift < 64 ? first >> shift : 0;
		uint64_t end = shift < 64 ? last >> shift : 0;

		if (!cache->nr_used[0])
			continue;
		if (end - number <= cache->set_mask) {
			for (; number <= end; number++) {
				struct cache_entry *entry = set_find(cache, domain, number, 0);

				if (entry)
					walk_drop(caches, cache, entry);
			}
			continue;
		}
		for (uint32_t i = 0; i < cache_size(cache); i++) {
			struct cache_entry *entry = &cache->entries[i];

			if (entry->key && entry->domain == domain && entry_number(entry) >= number && entry_number(entry) <= end)
				walk_drop(caches, cache, entry);
		}
	}
}

const struct cache_entry *iog_sim_walk_find_table(const struct caches *caches, iog_paddr_t table, uint32_t *level)
{
	if (!caches->pointer_filter[(table >> 12) % POINTER_FILTER_SIZE])
		return NULL;
	for (uint32_t n = 0; n < WALK_CACHE_LEVELS; n++) {
		const struct cache *cache = &caches->walk[n];

		for (uint32_t i = 0; i < cache_size(cache); i++) {
			if (cache->entries[i].key && cache->entries[i].paddr == table) {
				*level = n;
				return &cache->entries[i];
			}
		}
	}
	return NULL;
}

void iog_sim_cache_drop_domain(struct caches *caches, uint32_t domain)
{
	struct cache *iotlb = &caches->iotlb;

	if (iotlb->nr_used[0] || iotlb->nr_used[1] || iotlb->nr_used[2]) {
		for (uint32_t i = 0; i < cache_size(iotlb); i++) {
			if (iotlb->entries[i].key && iotlb->entries[i].domain == domain)
				iotlb_drop(caches, &iotlb->entries[i]);
		}
	}
	/* Whatever the layout: this names all. */
	iog_sim_walk_drop_range(caches, domain, (struct walk_geometry){ 0, 0 }, 0, UINT64_MAX);
}

/* SPDX-License-Identifier: MIT */
/*
 * A map from page numbers to 64-bit values: open addressing, linear probing, at most a quarter full, so that a probe ends soon although neighbours are
 * neighbours: where two groups of eight meet, the second is found after the first.
 *
 * The value 0 means "nothing here"; callers keep a bit set in every value. Eight neighbouring pages share two cache lines, which makes
 * runs of pages cheap.
 * Invariant: every slot between a page's home and its place is in use. Not locked; its owner's lock covers it.
 */
#ifndef IOG_SIM_PAGEMAP_H
#define IOG_SIM_PAGEMAP_H

#include <stddef.h>
#include <stdint.h>

struct pagemap_slot {
	uint64_t page;
	uint64_t value;
};

struct pagemap {
	struct pagemap_slot *slots;
	size_t mask; /* slots less one */
	size_t used;
};

/* Returns 0 or -IOG_ENOMEM. */
int iog_sim_pagemap_init(struct pagemap *map);
void iog_sim_pagemap_fini(struct pagemap *map);

/* Double the slots. Returns 0, or -IOG_ENOMEM with the map as it was. Values move. */
int iog_sim_pagemap_grow(struct pagemap *map);

/* Take out what find() or get() returned. Other values may move. */
void iog_sim_pagemap_remove(struct pagemap *map, uint64_t *value);

static inline size_t pagemap_home(const struct pagemap *map, uint64_t page)
{
	uint64_t hash = (page >> 3) * UINT64_C(0x9e3779b97f4a7c15);

	return ((size_t)(hash >> 32) << 3 | (size_t)(page & 7)) & map->mask;
}

/* The value of a page, or NULL. Valid until the next get() or remove(). */
static inline uint64_t *pagemap_find(const struct pagemap *map, uint64_t page)
{
	for (size_t i = pagemap_home(map, page); map->slots[i].value; i = (i + 1) & map->mask) {
		if (map->slots[i].page == page)
			return &map->slots[i].value;
	}
	return NULL;
}

/* The value of a page, 0 if it is new: the caller then stores another at once. NULL when there is no memory. */
static inline uint64_t *pagemap_get(struct pagemap *map, uint64_t page)
{
	size_t i;

	if (map->used * 4 > map->mask && iog_sim_pagemap_grow(map))
		return NULL;
	for (i = pagemap_home(map, page); map->slots[i].value; i = (i + 1) & map->mask) {
		if (map->slots[i].page == page)
			return &map->slots[i].value;
	}
	map->slots[i].page = page;
	map->used++;
	return &map->slots[i].value;
}

#endif

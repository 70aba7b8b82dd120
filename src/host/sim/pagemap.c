/* SPDX-License-Identifier: MIT */
/*
 * The parts of the page map that are not on the fast path, and removal. See pagemap.h.
 */
#include <stdlib.h>

#include <iogate/error.h>

#include "pagemap.h"

#define PAGEMAP_SLOTS_FIRST ((size_t)256)

int iog_sim_pagemap_init(struct pagemap *map)
{
	map->slots = calloc(PAGEMAP_SLOTS_FIRST, sizeof(*map->slots));
	map->mask = PAGEMAP_SLOTS_FIRST - 1;
	map->used = 0;
	return map->slots ? 0 : -IOG_ENOMEM;
}

void iog_sim_pagemap_fini(struct pagemap *map)
{
	free(map->slots);
	map->slots = NULL;
}

int iog_sim_pagemap_grow(struct pagemap *map)
{
	struct pagemap larger = { .mask = map->mask * 2 + 1, .used = map->used };

	larger.slots = calloc(larger.mask + 1, sizeof(*larger.slots));
	if (!larger.slots)
		return -IOG_ENOMEM;

	for (size_t from = 0; from <= map->mask; from++) {
		size_t to;

		if (!map->slots[from].value)
			continue;
		to = pagemap_home(&larger, map->slots[from].page);
		while (larger.slots[to].value)
			to = (to + 1) & larger.mask;
		larger.slots[to] = map->slots[from];
	}
	free(map->slots);
	*map = larger;
	return 0;
}

void iog_sim_pagemap_remove(struct pagemap *map, uint64_t *value)
{
	struct pagemap_slot *slots = map->slots;
	size_t mask = map->mask;
	size_t hole = (size_t)((struct pagemap_slot *)((char *)value - offsetof(struct pagemap_slot, value)) - slots);

	/* Move back each follower that the hole would cut off from its home: those whose home is not in (hole, i]. */
	for (size_t i = (hole + 1) & mask; slots[i].value; i = (i + 1) & mask) {
		size_t home = pagemap_home(map, slots[i].page);

		if (((i - home) & mask) >= ((i - hole) & mask)) {
			slots[hole] = slots[i];
			hole = i;
		}
	}
	slots[hole].value = 0;
	map->used--;
}

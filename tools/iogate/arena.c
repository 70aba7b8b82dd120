/* SPDX-License-Identifier: MIT */
/*
 * See arena.h.
 */
#include "arena.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

void arena_init(struct arena *arena, uint32_t granules)
{
	*arena = (struct arena){ .taken = memory_new(granules, sizeof(*arena->taken)), .granules = granules };
}

void arena_fini(struct arena *arena)
{
	free(arena->taken);
}

/* The first run at or above @from. */
static bool search(const struct arena *arena, uint32_t from, uint32_t count, uint32_t *at)
{
	uint32_t align = 1, run;

	while (align < count)
		align *= 2;
	for (uint32_t begin = (from + align - 1) / align * align; begin + count <= arena->granules; begin += align) {
		for (run = 0; run < count && !arena->taken[begin + run]; run++)
			;
		if (run == count) {
			*at = begin;
			return true;
		}
	}
	return false;
}

bool arena_alloc(struct arena *arena, uint32_t count, uint32_t *at)
{
	if (!search(arena, arena->hint, count, at)) {
		arena->wraps++;
		if (!search(arena, 0, count, at))
			return false;
	}
	memset(arena->taken + *at, true, count);
	arena->hint = *at + count;
	return true;
}

void arena_free(struct arena *arena, uint32_t at, uint32_t count)
{
	memset(arena->taken + at, false, count);
	if (at >= arena->hint)
		arena->hint = at + count;
}

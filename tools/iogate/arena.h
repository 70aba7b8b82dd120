/* SPDX-License-Identifier: MIT */
/*
 * The classic single arena: a bitmap searched next-fit from where the last search ended, naturally aligned. Freed granules are handed out again only after the search
 * has wrapped, so that one flush per wrap suffices: what is freed ahead of the search moves it beyond. It is what one pool is held against, and serves nothing else.
 */
#ifndef IOGATE_TOOL_ARENA_H
#define IOGATE_TOOL_ARENA_H

#include <stdbool.h>
#include <stdint.h>

struct arena {
	bool *taken; /* per granule */
	uint32_t granules;
	uint32_t hint;
	uint64_t wraps;
};

void arena_init(struct arena *arena, uint32_t granules);
void arena_fini(struct arena *arena);

/* @count granules. Returns false if there is no such run. */
bool arena_alloc(struct arena *arena, uint32_t count, uint32_t *at);

void arena_free(struct arena *arena, uint32_t at, uint32_t count);

#endif

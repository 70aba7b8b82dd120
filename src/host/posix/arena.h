/* SPDX-License-Identifier: MIT */
/*
 * Naturally aligned power-of-two pages from one reserved stretch of address space. Private to host/posix.
 */
#ifndef IOGATE_SRC_HOST_POSIX_ARENA_H
#define IOGATE_SRC_HOST_POSIX_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Smallest piece, and the unit in which memory is taken from the kernel: one huge page. */
#define ARENA_PIECE_SHIFT 12
#define ARENA_CHUNK_SHIFT 21
#define ARENA_CHUNK_SIZE (UINT64_C(1) << ARENA_CHUNK_SHIFT)
/* Sizes a chunk is cut into: 4 KiB, 8 KiB, ... 2 MiB. */
#define ARENA_ORDERS (ARENA_CHUNK_SHIFT - ARENA_PIECE_SHIFT + 1)
/* The stretch is aligned to this, so this is the largest size that can be handed out aligned to itself. */
#define ARENA_SIZE_MAX (UINT64_C(1) << 30)

struct arena_chunk;

/* A list of chunks: indices plus one, 0 is none. */
struct arena_list {
	uint32_t head;
	uint32_t tail;
};

/*
 * Not locked: the owner serialises all calls.
 *
 *   used_bytes = sum of the sizes handed out <= limit
 *   taken_bytes = chunks in state CUT or RUN, times ARENA_CHUNK_SIZE
 */
struct arena {
	uint8_t *base;
	uint64_t reserved; /* bytes from base on */
	uint8_t *mapping;  /* what mmap() returned: base is inside */
	size_t mapping_size;

	struct arena_chunk *chunks; /* one per chunk of the stretch, touched only below nr_ready */
	size_t chunks_size;
	uint32_t nr_chunks;
	uint32_t nr_ready; /* chunks made readable and writable so far, from base on */

	struct arena_list idle;                  /* ready chunks without memory */
	struct arena_list partial[ARENA_ORDERS]; /* cut chunks with a free piece; a wholly free one stands last */
	uint32_t spare[ARENA_ORDERS];            /* that wholly free one, index plus one */

	uint64_t limit;
	uint64_t used_bytes;
	uint64_t used_bytes_peak;
	uint64_t taken_bytes;
};

/* Reserve address space for at least @limit bytes. 0 or -IOG_ENOMEM. */
int iog_arena_init(struct arena *arena, uint64_t limit, bool huge_pages);

void iog_arena_fini(struct arena *arena);

/* @size bytes aligned to @size, contents undefined; NULL for a size that is no power of two or out of bounds, past the limit, or when the kernel gives none. */
void *iog_arena_alloc(struct arena *arena, size_t size);

/* Give back exactly one iog_arena_alloc(). False, with nothing changed, if @pages and @size are not that. */
bool iog_arena_free(struct arena *arena, void *pages, size_t size);

#endif

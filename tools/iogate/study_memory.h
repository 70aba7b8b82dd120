/* SPDX-License-Identifier: MIT */
/*
 * Memory that the studied driver takes buffers from: the last one given back is taken first, which is the worst for whoever was to wait. Nothing is ever read or written there.
 *
 * A buffer is given back piece by piece, as the library lets go of it.
 */
#ifndef IOGATE_TOOL_STUDY_MEMORY_H
#define IOGATE_TOOL_STUDY_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

struct study_memory {
	uint64_t base; /* physical */
	uint64_t size; /* of a buffer */
	uint32_t made; /* buffers so far */
	uint32_t nr_free;
	uint32_t room;
	uint32_t *free;
	uint64_t *back; /* bytes of each that came back */
};

void study_memory_init(struct study_memory *memory, uint64_t base, uint64_t size);
void study_memory_fini(struct study_memory *memory);

/* The physical address of a buffer. *@reused: whether somebody had it before. */
uint64_t study_memory_take(struct study_memory *memory, bool *reused);

/* [paddr, paddr + size) is in this memory, and comes back. */
void study_memory_give(struct study_memory *memory, uint64_t paddr, uint64_t size);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * See study_memory.h.
 */
#include "study_memory.h"

#include <stdlib.h>

#include "memory.h"

void study_memory_init(struct study_memory *memory, uint64_t base, uint64_t size)
{
	*memory = (struct study_memory){ .base = base, .size = size };
}

void study_memory_fini(struct study_memory *memory)
{
	free(memory->free);
	free(memory->back);
}

uint64_t study_memory_take(struct study_memory *memory, bool *reused)
{
	*reused = memory->nr_free;
	if (memory->nr_free)
		return memory->base + memory->size * memory->free[--memory->nr_free];
	if (memory->made == memory->room) {
		memory->room = memory->room ? memory->room * 2 : 256;
		memory->free = memory_resize(memory->free, memory->room, sizeof(*memory->free));
		memory->back = memory_resize(memory->back, memory->room, sizeof(*memory->back));
	}
	memory->back[memory->made] = 0;
	return memory->base + memory->size * memory->made++;
}

void study_memory_give(struct study_memory *memory, uint64_t paddr, uint64_t size)
{
	uint64_t offset = paddr - memory->base, part;
	uint32_t index;

	for (; size; offset += part, size -= part) {
		index = (uint32_t)(offset / memory->size);
		part = memory->size - offset % memory->size;
		part = part < size ? part : size;
		memory->back[index] += part;
		if (memory->back[index] < memory->size)
			continue;
		memory->back[index] = 0;
		memory->free[memory->nr_free++] = index;
	}
}

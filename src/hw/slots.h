/* SPDX-License-Identifier: MIT */
/*
 * Which entries of a table are taken: a power of two of numbers, taken in runs that are powers of two and aligned to their size.
 *
 * What is given back rests until all beyond it have been tried. Whoever uses it locks.
 */
#ifndef IOG_HW_SLOTS_H
#define IOG_HW_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slots {
	uint64_t *taken; /* a bit each */
	uint32_t count;  /* a power of two */
	uint32_t next;   /* behind the run that was taken last */
};

/* Of @taken, which the user allocates, zeroed. */
static inline size_t slots_bytes(uint32_t count)
{
	return (count + 63) / 64 * sizeof(uint64_t);
}

/* Take a run: false if there is none. @run: a power of two, up to the count. */
bool iog_slots_take(struct slots *slots, uint32_t run, uint32_t *index);

/* Whether all of a run are taken. @index: a multiple of @run. */
bool iog_slots_taken(const struct slots *slots, uint32_t index, uint32_t run);

/* Give a run back, or an aligned part of one. */
void iog_slots_give(struct slots *slots, uint32_t index, uint32_t run);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * See slots.h. A run is part of one word, or some whole words.
 */
#include "slots.h"

/* The bits of a run in each word that it has. */
static uint64_t mask_of(uint32_t index, uint32_t run)
{
	return run < 64 ? ((UINT64_C(1) << run) - 1) << index % 64 : UINT64_MAX;
}

static bool is_free(const struct slots *slots, uint32_t index, uint32_t run)
{
	for (uint32_t n = 0; n < run; n += 64)
		if (slots->taken[(index + n) / 64] & mask_of(index, run))
			return false;
	return true;
}

bool iog_slots_taken(const struct slots *slots, uint32_t index, uint32_t run)
{
	for (uint32_t n = 0; n < run; n += 64)
		if (~slots->taken[(index + n) / 64] & mask_of(index, run))
			return false;
	return true;
}

bool iog_slots_take(struct slots *slots, uint32_t run, uint32_t *index)
{
	uint32_t at = slots->next & ~(run - 1);

	for (uint32_t tried = 0; tried < slots->count; tried += run) {
		uint32_t after = (at + run) & (slots->count - 1);

		if (is_free(slots, at, run)) {
			for (uint32_t n = 0; n < run; n += 64)
				slots->taken[(at + n) / 64] |= mask_of(at, run);
			slots->next = after;
			*index = at;
			return true;
		}
		at = after;
	}
	return false;
}

void iog_slots_give(struct slots *slots, uint32_t index, uint32_t run)
{
	for (uint32_t n = 0; n < run; n += 64)
		slots->taken[(index + n) / 64] &= ~mask_of(index, run);
}

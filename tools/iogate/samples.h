/* SPDX-License-Identifier: MIT */
/*
 * Measured times of single calls, all of them kept, and their percentiles: p is the smallest sample that p of all do not exceed (nearest rank).
 */
#ifndef IOGATE_TOOL_SAMPLES_H
#define IOGATE_TOOL_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

struct samples {
	uint32_t *ns;
	size_t count;
	size_t room;
};

struct percentiles {
	uint64_t p50;
	uint64_t p99;
	uint64_t p999;
	uint64_t max;
};

/* Room for @room samples, which is not exceeded. */
void samples_init(struct samples *samples, size_t room);
void samples_free(struct samples *samples);

/* What takes longer than four seconds counts as four. */
static inline void samples_add(struct samples *samples, uint64_t ns)
{
	if (samples->count < samples->room)
		samples->ns[samples->count++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

/* Add what there is room for of others. */
void samples_append(struct samples *samples, const struct samples *others);

/* Sorts the samples. All zero when there are none. */
void samples_percentiles(struct samples *samples, struct percentiles *percentiles);

/* The cost of reading the clock twice, which every sample contains: the median of many, in ns. */
uint64_t samples_clock_cost(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * See samples.h.
 */
#include "samples.h"

#include <stdlib.h>

#include "clock.h"
#include "memory.h"

#define CLOCK_READINGS 4001

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* @permille of 1000, which is at least 1. */
static uint32_t nearest_rank(const struct samples *samples, size_t permille)
{
	return samples->ns[(samples->count * permille + 999) / 1000 - 1];
}

void samples_init(struct samples *samples, size_t room)
{
	*samples = (struct samples){ .ns = memory_new(room, sizeof(*samples->ns)), .room = room };
}

void samples_free(struct samples *samples)
{
	free(samples->ns);
	*samples = (struct samples){ 0 };
}

void samples_append(struct samples *samples, const struct samples *others)
{
	for (size_t i = 0; i < others->count; i++)
		samples_add(samples, others->ns[i]);
}

void samples_percentiles(struct samples *samples, struct percentiles *percentiles)
{
	*percentiles = (struct percentiles){ 0 };
	if (!samples->count)
		return;
	qsort(samples->ns, samples->count, sizeof(*samples->ns), compare);
	percentiles->p50 = nearest_rank(samples, 500);
	percentiles->p99 = nearest_rank(samples, 990);
	percentiles->p999 = nearest_rank(samples, 999);
	percentiles->max = samples->ns[samples->count - 1];
}

uint64_t samples_clock_cost(void)
{
	struct percentiles percentiles;
	struct samples samples;
	uint64_t begin;

	samples_init(&samples, CLOCK_READINGS);
	for (size_t i = 0; i < CLOCK_READINGS; i++) {
		begin = clock_ns();
		samples_add(&samples, clock_ns() - begin);
	}
	samples_percentiles(&samples, &percentiles);
	samples_free(&samples);
	return percentiles.p50;
}

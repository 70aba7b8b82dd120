/* SPDX-License-Identifier: MIT */
/*
 * Random numbers that a seed repeats (splitmix64: a counter through a mixing function). Not for secrets.
 */
#ifndef IOGATE_TOOL_RANDOM_H
#define IOGATE_TOOL_RANDOM_H

#include <stdint.h>

struct random {
	uint64_t state;
};

/* The next 64 bits. */
static inline uint64_t random_next(struct random *random)
{
	uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* A number below @bound, which is not 0. The bias of the multiplication, below bound / 2^32, does not matter here. @bound is at most 2^32. */
static inline uint64_t random_below(struct random *random, uint64_t bound)
{
	return ((random_next(random) >> 32) * bound) >> 32;
}

#endif

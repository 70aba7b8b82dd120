/* SPDX-License-Identifier: MIT */
/*
 * What random tests share: a seed that is printed, so that a run can be repeated; numbers from it; and how much of its usual work a test does.
 */
#ifndef TESTS_SEED_H
#define TESTS_SEED_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* IOG_SEED of the environment, or a new one. It is printed, after @who. */
static inline uint64_t kit_seed(const char *who)
{
	const char *given = getenv("IOG_SEED");
	struct timespec now;
	uint64_t seed;

	if (given) {
		seed = strtoull(given, NULL, 0);
	} else {
		clock_gettime(CLOCK_REALTIME, &now);
		seed = ((uint64_t)now.tv_sec * 1000000007u ^ (uint64_t)now.tv_nsec) & 0xffffffff;
	}
	printf("%s: IOG_SEED=%" PRIu64 "\n", who, seed);
	fflush(stdout);
	return seed;
}

/* splitmix64 */
static inline uint64_t kit_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* @usual operations, scaled by IOG_TEST_SCALE (percent, default 100). At least 1. */
static inline uint64_t kit_scaled(uint64_t usual)
{
	const char *given = getenv("IOG_TEST_SCALE");
	uint64_t scaled = given ? usual * strtoull(given, NULL, 10) / 100 : usual;

	return scaled ? scaled : 1;
}

#endif

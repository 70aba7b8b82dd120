/* SPDX-License-Identifier: MIT */
/*
 * The clock that all measurements use.
 */
#ifndef IOGATE_TOOL_CLOCK_H
#define IOGATE_TOOL_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds since some point in the past; never goes back. */
static inline uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

#endif

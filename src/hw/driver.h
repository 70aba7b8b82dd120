/* SPDX-License-Identifier: MIT */
/*
 * What every driver of a unit needs and none of them owns.
 */
#ifndef IOG_HW_DRIVER_H
#define IOG_HW_DRIVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <iogate/platform.h>

/* Formats are told apart by their names. */
static inline bool iog_names_equal(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

/* A host has what a driver cannot be without: memory of both kinds, and a clock that deadlines go by. */
static inline bool iog_platform_serves(const struct iog_platform *platform)
{
	return platform && platform->pages_alloc && platform->pages_free && platform->object_alloc && platform->object_free && platform->now_ns;
}

/* For statistics: nothing is ordered by it. */
static inline uint64_t iog_count_of(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * An IOMMU that does nothing, at once, and counts what it was told: the cost of the software around it is all that is left.
 *
 * Each lane counts in a cache line of its own, so that the counting is no meeting point of lanes.
 */
#ifndef IOGATE_TOOL_COUNTING_UNIT_H
#define IOGATE_TOOL_COUNTING_UNIT_H

#include <stdatomic.h>
#include <stdint.h>

#include <iogate/platform.h>
#include <iogate/unit.h>

struct counting_lane {
	_Alignas(64) uint64_t commands; /* ranges, and domains named by a gather */
	uint64_t walk_cache_flushes;
};

struct counting_unit {
	struct iog_unit unit;
	struct iog_platform platform; /* without a clock: what is counted does not depend on what it takes */
	struct counting_lane *lanes;
	uint32_t nr_lanes;
	_Alignas(64) _Atomic uint64_t domain_flushes; /* the whole domain at once */
};

/* Returns 0 or a negative iogate error, with nothing left to destroy. */
int counting_unit_create(const struct iog_platform *platform, uint32_t lanes, struct counting_unit **unit);

/* NULL is allowed. */
void counting_unit_destroy(struct counting_unit *unit);

#endif

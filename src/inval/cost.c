/* SPDX-License-Identifier: MIT */
/*
 * Costs, measured: the shortest of a few invalidations of each kind, of a domain in which nothing is remembered.
 *
 *   one range: wait + range      sixteen: wait + 16 range      the domain: wait + domain
 */
#include <iogate/error.h>
#include <iogate/platform.h>

#include "cost.h"

#define ROUNDS 4
#define FAR UINT64_C(512)

static void cost_put(uint32_t *cost, uint64_t ns)
{
	/* What the driver has said, or somebody has measured meanwhile, stays. 0 would be: not known. */
	if (!cost_get(cost))
		__atomic_store_n(cost, ns > UINT32_MAX ? UINT32_MAX : ns ? (uint32_t)ns : 1, __ATOMIC_RELAXED);
}

/* The shortest of some, ns; or the error of the unit. */
static int measure(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather, uint64_t *shortest)
{
	const struct iog_platform *platform = unit->platform;

	*shortest = UINT64_MAX;
	for (uint32_t n = 0; n < ROUNDS; n++) {
		uint64_t began = platform->now_ns(platform->ctx), took;
		int error = unit->ops->invalidate(unit, id, gather);

		if (error)
			return error;
		took = platform->now_ns(platform->ctx) - began;
		*shortest = took < *shortest ? took : *shortest;
	}
	return 0;
}

/* Ranges that do not touch: a page each. */
static void add_ranges(struct iog_gather *gather, uint64_t granule, uint32_t n)
{
	gather->min_page_size = granule;
	for (; gather->nr_ranges < n; gather->nr_ranges++) {
		uint64_t first = gather->nr_ranges * FAR * granule;

		gather->ranges[gather->nr_ranges] = (struct iog_range){ first, first + granule - 1 };
	}
}

void iog_cost_measure(struct iog_unit *unit, uint32_t id, uint64_t granule)
{
	const struct iog_platform *platform = unit->platform;
	uint64_t one = 0, many = 0, whole = 0, range, wait;
	struct iog_gather *gather;
	int error;

	if (!platform->now_ns || (cost_get(&unit->wait_ns) && cost_get(&unit->range_ns) && cost_get(&unit->domain_ns)))
		return;
	gather = platform->object_alloc(platform->ctx, sizeof(*gather));
	if (!gather)
		return;
	add_ranges(gather, granule, 1);
	error = measure(unit, id, gather, &one);
	if (!error) {
		add_ranges(gather, granule, IOG_GATHER_RANGES);
		error = measure(unit, id, gather, &many);
	}
	if (!error)
		error = measure(unit, id, NULL, &whole);
	platform->object_free(platform->ctx, gather, sizeof(*gather));
	if (error)
		return;
	range = many > one ? (many - one) / (IOG_GATHER_RANGES - 1) : 0;
	wait = one > range ? one - range : 0;
	cost_put(&unit->range_ns, range);
	cost_put(&unit->domain_ns, whole > wait ? whole - wait : 0);
	cost_put(&unit->wait_ns, wait);
}

void iog_cost_forget(struct iog_unit *unit)
{
	__atomic_store_n(&unit->wait_ns, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&unit->range_ns, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&unit->domain_ns, 0, __ATOMIC_RELAXED);
}

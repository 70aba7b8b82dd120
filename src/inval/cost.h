/* SPDX-License-Identifier: MIT */
/*
 * Ranges, or the whole domain: what costs less on a unit. Its costs are its own (struct iog_unit); they are read and written by relaxed atomics, because they may be measured
 * while other domains use the unit.
 */
#ifndef IOG_INVAL_COST_H
#define IOG_INVAL_COST_H

#include <iogate/gather.h>
#include <iogate/unit.h>

#define COST_REFILL_DEFAULT 2000

static inline uint32_t cost_get(const uint32_t *cost)
{
	return __atomic_load_n(cost, __ATOMIC_RELAXED);
}

/*
 * Whether a unit had better forget the whole domain instead of what a gather holds:
 *
 *   wait + n * range > wait + domain + refill
 *
 * Where either cost is not known, what the gather says is done.
 */
static inline bool cost_prefers_domain(const struct iog_unit *unit, const struct iog_gather *gather)
{
	uint64_t range = cost_get(&unit->range_ns), domain = cost_get(&unit->domain_ns), refill;

	if (!range || !domain)
		return false;
	refill = cost_get(&unit->refill_ns);
	return (gather->nr_ranges + gather->nr_tables) * range > domain + (refill ? refill : COST_REFILL_DEFAULT);
}

/**
 * iog_cost_measure() - learn what a unit's invalidations cost, as far as its driver does not know.
 * @unit: the unit; on a host without a clock nothing is done.
 * @id: of a domain.
 * @granule: of ranges.
 *
 * Context: waits for hardware; allocates. Where there is no memory, or the unit reports an error, nothing is learnt.
 */
void iog_cost_measure(struct iog_unit *unit, uint32_t id, uint64_t granule);

/* They are not known any more. */
void iog_cost_forget(struct iog_unit *unit);

#endif

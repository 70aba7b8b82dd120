/* SPDX-License-Identifier: MIT */
/*
 * A lane's ring of deferred entries (deferred.c), in a few instructions. All inside the lane's gate, or with it closed.
 */
#ifndef IOG_DMA_RING_H
#define IOG_DMA_RING_H

#include "domain.h"

static inline uint32_t ring_nr(const struct domain_lane *lane)
{
	return atomic_load_explicit(&lane->nr_deferred, memory_order_relaxed);
}

static inline void ring_set_nr(struct domain_lane *lane, uint32_t nr)
{
	atomic_store_explicit(&lane->nr_deferred, nr, memory_order_relaxed);
}

/* As many as may wait: a flush is due. */
static inline bool ring_is_full(const struct domain_lane *lane)
{
	return ring_nr(lane) >= lane->domain->deferred_entries;
}

static inline void ring_count_address(struct domain_lane *lane, uint32_t by)
{
	atomic_store_explicit(&lane->nr_addresses, atomic_load_explicit(&lane->nr_addresses, memory_order_relaxed) + by, memory_order_relaxed);
}

/* There is room. Returns its place. */
static inline struct deferred_entry *ring_put(struct domain_lane *lane, const struct deferred_entry *entry)
{
	uint32_t nr = ring_nr(lane), at = lane->head + nr;
	struct deferred_entry *place = &lane->deferred[at < lane->domain->ring_size ? at : at - lane->domain->ring_size];

	/* One by one: compilers would make all of it somewhere else first, and then wait for that. */
	place->iova = entry->iova;
	place->size = entry->size;
	place->marks = entry->marks;
	place->sequence = entry->sequence;
	ring_set_nr(lane, nr + 1);
	if (!(entry->marks & DEFERRED_HELD))
		ring_count_address(lane, 1);
	lane->held_newest = NULL;
	atomic_store_explicit(&lane->held_pages, 0, memory_order_relaxed);
	return place;
}

/* The @n'th: there are more than that. */
static inline struct deferred_entry *ring_at(const struct domain_lane *lane, uint32_t n)
{
	uint32_t at = lane->head + n;

	return &lane->deferred[at < lane->domain->ring_size ? at : at - lane->domain->ring_size];
}

/* The first: it has to be one. */
static inline struct deferred_entry ring_get(struct domain_lane *lane)
{
	const struct deferred_entry entry = lane->deferred[lane->head];

	if (++lane->head == lane->domain->ring_size)
		lane->head = 0;
	ring_set_nr(lane, ring_nr(lane) - 1);
	if (!(entry.marks & DEFERRED_HELD))
		ring_count_address(lane, UINT32_MAX);
	return entry;
}

/* Whether the first are covered by a flush that has completed. */
static inline bool ring_is_covered(const struct domain_lane *lane)
{
	return lane->nr_waiting && flush_covers(&lane->domain->clock, lane->needed);
}

#endif

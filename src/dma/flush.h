/* SPDX-License-Identifier: MIT */
/*
 * What flush.c and deferred.c share.
 */
#ifndef IOG_DMA_FLUSH_H
#define IOG_DMA_FLUSH_H

#include "domain.h"

/* A counter of the calling lane. */
static inline void domain_lane_count(_Atomic uint64_t *counter)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

/**
 * iog_domain_flush_units() - have all units forget the whole domain, or be served by a flush that somebody else runs. Gives nothing back.
 * @lane: the caller's; its gate entered, or nobody can close it.
 *
 * Return: 0: what the caller had cleared before is forgotten; what a unit returned.
 */
int iog_domain_flush_units(struct domain_lane *lane);

/**
 * iog_domain_flushed() - after a flush that has covered all of this lane, and with its gather empty: free what waited, DRAIN_STEP entries of it at most.
 * @lane: the lane, its gate entered.
 *
 * Return: 0; what a unit returned for what had to be cleared again, see DEFERRED_MAPPED.
 */
int iog_domain_flushed(struct domain_lane *lane);

#endif

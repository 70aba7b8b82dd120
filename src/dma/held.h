/* SPDX-License-Identifier: MIT */
/*
 * Memory that is held: let go when no device reaches it any more, as the mode says (struct iog_hold_ops), and calls that are made then (iog_dma_unmap_release()).
 *
 * The pages of a mapping are read from its entries before these are cleared, contiguous ones joined. What has to wait goes into the lane's ring behind the mapping's address, and is
 * released by whoever drains the ring.
 *
 *   held_bytes of a lane = bytes of its ring's entries that are memory <= held_credit      the sum of these <= held_max
 */
#ifndef IOG_DMA_HELD_H
#define IOG_DMA_HELD_H

#include "ring.h"

/* Pieces of memory that one unmapping leaves in the ring. Those of a window fit; a larger run that has more is taken back piece by piece, with a wait for each lot. */
#define HELD_PIECES 512
/* Places of a ring beyond deferred_entries: those, an address, and a call. */
#define HELD_PLACES (HELD_PIECES + 2)
/* What is left of an unmapping that broke off is taken back in lots of so many pieces. */
#define REST_PIECES 32
_Static_assert(2 * HELD_PLACES + 2 * DRAIN_FEW + 3 * DRAIN_STEP == IOG_DOMAIN_DRAIN_CALL, "what one call gives back");
#define HELD_MAX_DEFAULT (UINT64_C(64) << 20)

/**
 * iog_held_unmap() - the policy's unmap() or free(), and what was held is released as the mode says.
 * @lane: of a paging domain; gate not entered.
 * @iova: first address.
 * @size: bytes.
 * @holes: free() instead of unmap().
 * @release: called once, when no device can reach the memory any more; or NULL.
 * @ctx: handed to @release.
 *
 * Return: of the policy. -IOG_EAGAIN with nothing changed if the unit does not answer, and there is no place left to remember what would have to be released.
 */
int iog_held_unmap(struct domain_lane *lane, iog_iova_t iova, uint64_t size, bool holes, void (*release)(void *ctx), void *ctx);

/**
 * iog_held_later() - a call when the next flush has completed.
 * @lane: gate not entered.
 * @release: the call.
 * @ctx: handed to it.
 */
void iog_held_later(struct domain_lane *lane, void (*release)(void *ctx), void *ctx);

/**
 * iog_held_unmap_lot() - go on with an unmapping that has broken off, the first entry of a ring (DEFERRED_MAPPED): clear, wait, and release what was still mapped.
 * @lane: the caller's, its gate entered.
 * @from: whose ring; @lane, or its gate closed.
 * @more: result, without an error: something is left.
 *
 * Return: the work it was, in entries: a wait is DRAIN_STEP of them; what the unit returned, and then it is gone on with where this stopped.
 */
int iog_held_unmap_lot(struct domain_lane *lane, struct domain_lane *from, bool *more);

/**
 * iog_held_take_back() - clear a run of which nobody was told, and release what of it was mapped: its memory is held.
 * @lane: gate not entered; there is room (iog_domain_room()).
 * @iova: first address.
 * @size: bytes.
 *
 * An error of the unit leaves the rest to later flushes.
 */
void iog_held_take_back(struct domain_lane *lane, iog_iova_t iova, uint64_t size);

/**
 * iog_held_fini() - release what waits: no device is attached any more.
 * @domain: paging.
 */
void iog_held_fini(struct iog_domain *domain);

/**
 * iog_held_drain() - release what is at the head of a ring, as far as it is held: neighbours together.
 * @lane: whose ring; its gate entered, or closed. Its first @most entries wait for a flush that has completed.
 * @most: entries.
 *
 * Return: how many there were.
 */
uint32_t iog_held_drain(struct domain_lane *lane, uint32_t most);

/**
 * iog_held_undo() - memory of a mapping that has failed is given back: now, or if the lane's @unheard says that hardware may have seen it, after the next flush.
 * @lane: gate not entered; @unheard was cleared before anything was mapped.
 * @paddr: first address.
 * @size: bytes; 0: there is none.
 */
void iog_held_undo(struct domain_lane *lane, iog_paddr_t paddr, uint64_t size);

/**
 * iog_held_stats() - add up what a lane holds, and has held.
 * @lane: any lane.
 * @stats: to add it to.
 */
void iog_held_stats(const struct domain_lane *lane, struct iog_domain_stats *stats);

/* Memory is about to be mapped. Whole pages. */
static inline void held_take(struct domain_lane *lane, iog_paddr_t paddr, uint64_t size)
{
	const struct iog_domain *domain = lane->domain;

	lane->unheard = false;
	if (domain->hold->hold)
		domain->hold->hold(domain->hold_ctx, paddr, size);
}

static inline void held_give(const struct iog_domain *domain, iog_paddr_t paddr, uint64_t size)
{
	domain->hold->release(domain->hold_ctx, paddr, size);
}

/* Nothing is held here. Inside the lane's gate, or with it closed. */
static inline void held_credit_return(struct domain_lane *lane)
{
	atomic_fetch_sub_explicit(&lane->domain->held_credit, lane->held_credit, memory_order_relaxed);
	lane->held_credit = 0;
	atomic_store_explicit(&lane->held_pages, 0, memory_order_relaxed);
}

/* May so many bytes more wait here? Inside the lane's gate, as the rest here. */
static inline bool held_has_credit(const struct domain_lane *lane, uint64_t size)
{
	return atomic_load_explicit(&lane->held_bytes, memory_order_relaxed) + size <= lane->held_credit;
}

/* What follows on the newest entry, and waits for the same flush, grows it. For one of @held_pages, which the caller counts. */
static inline void held_put_page(struct domain_lane *lane, iog_paddr_t paddr, uint64_t size)
{
	struct deferred_entry *newest = lane->held_newest;

	if (newest && newest->paddr + newest->size == paddr)
		newest->size += size;
	else
		lane->held_newest = ring_put(lane, &(struct deferred_entry){ .paddr = paddr, .size = size, .marks = DEFERRED_MEMORY });
	atomic_store_explicit(&lane->held_bytes, atomic_load_explicit(&lane->held_bytes, memory_order_relaxed) + size, memory_order_relaxed);
}

/* The same for anything else: what is left of the credit may not do for the pages that were promised. */
static inline void held_put(struct domain_lane *lane, iog_paddr_t paddr, uint64_t size)
{
	held_put_page(lane, paddr, size);
	atomic_store_explicit(&lane->held_pages, 0, memory_order_relaxed);
}

/* Held now: all entries of the lane's ring that are no addresses. Others may look. */
static inline uint32_t held_nr(const struct domain_lane *lane)
{
	uint32_t nr = atomic_load_explicit(&lane->nr_deferred, memory_order_relaxed), addresses = atomic_load_explicit(&lane->nr_addresses, memory_order_relaxed);

	return nr > addresses ? nr - addresses : 0;
}

/* Before something is released: this may be the most that was held. */
static inline void held_note_most(struct domain_lane *lane)
{
	uint64_t bytes = atomic_load_explicit(&lane->held_bytes, memory_order_relaxed);
	uint32_t nr = held_nr(lane);

	if (bytes > atomic_load_explicit(&lane->held_bytes_most, memory_order_relaxed))
		atomic_store_explicit(&lane->held_bytes_most, bytes, memory_order_relaxed);
	if (nr > atomic_load_explicit(&lane->held_entries_most, memory_order_relaxed))
		atomic_store_explicit(&lane->held_entries_most, nr, memory_order_relaxed);
}

#endif

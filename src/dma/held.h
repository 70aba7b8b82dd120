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

#include "domain.h"

/* Pieces of memory that one unmapping leaves in the ring. Those of a window fit; a larger run that has more is taken back piece by piece, with a wait for each lot. */
#define HELD_PIECES 512
/* Places of a ring beyond deferred_entries: those, an address, and a call. */
#define HELD_PLACES (HELD_PIECES + 2)
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
 * iog_held_unmap_rest() - finish an unmapping that has broken off: clear, wait, and release what was still mapped of it.
 * @lane: its gate entered.
 * @iova: first address.
 * @size: bytes.
 *
 * Return: 0; what the unit returned, and then something may still be mapped.
 */
int iog_held_unmap_rest(struct domain_lane *lane, iog_iova_t iova, uint64_t size);

/**
 * iog_held_fini() - release what waits: no device is attached any more.
 * @domain: paging.
 */
void iog_held_fini(struct iog_domain *domain);

/**
 * iog_held_undo() - memory of a mapping that has failed is given back: now, or if the lane's @unheard says that hardware may have seen it, after the next flush.
 * @lane: gate not entered; @unheard was cleared before anything was mapped.
 * @paddr: first address.
 * @size: bytes.
 */
void iog_held_undo(struct domain_lane *lane, iog_paddr_t paddr, uint64_t size);

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
}

/* An entry out of a lane's ring: its bytes no longer count. Inside the lane's gate, or with it closed. */
static inline void held_release(struct domain_lane *lane, const struct deferred_entry *entry)
{
	uint64_t bytes;

	atomic_store_explicit(&lane->held_entries, atomic_load_explicit(&lane->held_entries, memory_order_relaxed) - 1, memory_order_relaxed);
	if (entry->marks & DEFERRED_CALL) {
		entry->release(entry->ctx);
		return;
	}
	bytes = atomic_load_explicit(&lane->held_bytes, memory_order_relaxed) - entry->size;
	atomic_store_explicit(&lane->held_bytes, bytes, memory_order_relaxed);
	if (!bytes)
		held_credit_return(lane);
	held_give(lane->domain, entry->paddr, entry->size);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * One page of a window, where all goes well, in a few instructions: the policy "window" does it when it is called, and the DMA API without calling it. Whatever else there is to do is
 * left to the policy, and to held.h: these change nothing then.
 */
#ifndef IOG_DMA_PAGE_H
#define IOG_DMA_PAGE_H

#include "../iova/window_page.h"
#include "flush.h"
#include "held.h"

/* A run whose entries are gone was freed lazily: flush if that is due. */
static inline int page_count_lazy(struct domain_lane *lane)
{
	return iog_unlikely(lazy_count(lane)) ? iog_domain_flush_step(lane) : 0;
}

/* Held mode, whatever the mode becomes: the page's memory goes into the ring. */
IOG_INLINE bool page_unmap_held(struct iova_window *windows, struct domain_lane *lane, iog_iova_t iova, uint64_t granule)
{
	uint64_t entry;
	uint32_t pages;
	bool done;

	/* Plain entries are only made where gates are plain. */
	if (iog_unlikely(!windows->leaf_address || !gate_try_plain(&lane->gate)))
		return false;
	pages = atomic_load_explicit(&lane->held_pages, memory_order_relaxed);
	done = iog_likely(pages && window_unmap_page(windows, lane->policy_lane, iova, &entry));
	if (done) {
		held_put_page(lane, (entry & windows->leaf_address) << windows->leaf_shift, granule);
		(void)lazy_add(lane);
		/* Cleared by a new entry. */
		atomic_store_explicit(&lane->held_pages, pages - 1, memory_order_relaxed);
	}
	gate_exit_plain(&lane->gate);
	return done;
}

#endif

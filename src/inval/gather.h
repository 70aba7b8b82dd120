/* SPDX-License-Identifier: MIT */
/*
 * Gathers as the page tables see them.
 */
#ifndef IOG_INVAL_GATHER_H
#define IOG_INVAL_GATHER_H

#include <iogate/gather.h>

/* A leaf of @page_size has changed at @first: most often the only one, or the one after the last. */
static inline void gather_add_leaf(struct iog_gather *gather, iog_iova_t first, uint64_t page_size)
{
	struct iog_range *latest = gather->ranges;

	if (!gather->min_page_size) {
		gather->nr_ranges = 1;
		gather->min_page_size = page_size;
		latest->first = first;
		latest->last = first + (page_size - 1);
		return;
	}
	if (gather->nr_ranges && gather->min_page_size == page_size) {
		latest += gather->nr_ranges - 1;
		if (latest->last == first - 1 && first) {
			latest->last += page_size;
			return;
		}
	}
	iog_gather_add_range(gather, first, first + (page_size - 1), page_size);
}

/**
 * iog_gather_invalidate() - have hardware forget what the gather holds; gives nothing back.
 * @gather: the gather; unchanged.
 *
 * Context: the gather's lane; may wait for hardware.
 * Return: 0, or what the gather's flush function returned.
 */
int iog_gather_invalidate(struct iog_gather *gather);

/**
 * iog_gather_reset() - empty the gather, whose tables have been given back.
 * @gather: the gather.
 */
void iog_gather_reset(struct iog_gather *gather);

/**
 * iog_gather_take_over() - give another lane's tables back; all that its gather holds has been forgotten by hardware.
 * @self: of the caller's lane and the same page table; empty unless it is @from itself.
 * @from: the other one, which nobody uses meanwhile; empty afterwards.
 *
 * Context: @self's lane, outside any other call.
 */
void iog_gather_take_over(struct iog_gather *self, struct iog_gather *from);

#endif

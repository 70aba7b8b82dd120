/* SPDX-License-Identifier: MIT */
/*
 * Gathers: ranges are kept apart while there are few, joined where they touch, and given up for the whole domain when there are many. A gather
 * belongs to one lane; nothing here is shared.
 */
#include <iogate/error.h>

#include "gather.h"

#include "../pgtable/memory.h"
#include "../pgtable/release.h"

void iog_gather_reset(struct iog_gather *gather)
{
	gather->nr_tables = 0;
	gather->nr_ranges = 0;
	gather->everything = false;
	gather->walk_caches = false;
	gather->dirty = false;
	gather->min_page_size = 0;
}

int iog_gather_init(struct iog_gather *gather, struct iog_pgtable *pgtable, iog_lane_t lane, iog_flush_fn *flush, void *ctx)
{
	void *state = iog_pgtable_lane(pgtable, lane);

	if (!state || !flush)
		return -IOG_EINVAL;
	gather->pgtable = pgtable;
	gather->lane_state = state;
	gather->lane = lane;
	gather->flush = flush;
	gather->flush_ctx = ctx;
	iog_gather_reset(gather);
	return 0;
}

/* Overlapping, or with nothing in between. Differences cannot wrap: each is taken where the other bound is known to be beyond. */
static bool touches(const struct iog_range *range, iog_iova_t first, iog_iova_t last)
{
	if (first > range->last)
		return first - range->last == 1;
	if (range->first > last)
		return range->first - last == 1;
	return true;
}

void iog_gather_add_range(struct iog_gather *gather, iog_iova_t first, iog_iova_t last, uint64_t page_size)
{
	if (!gather->min_page_size || page_size < gather->min_page_size)
		gather->min_page_size = page_size;
	if (gather->everything)
		return;

	/* From the latest on: neighbours in time are neighbours in address. */
	for (uint32_t i = gather->nr_ranges; i--;) {
		struct iog_range *range = &gather->ranges[i];

		if (!touches(range, first, last))
			continue;
		if (first < range->first)
			range->first = first;
		if (last > range->last)
			range->last = last;
		return;
	}

	if (gather->nr_ranges == IOG_GATHER_RANGES) {
		gather->everything = true;
		gather->nr_ranges = 0;
		return;
	}
	gather->ranges[gather->nr_ranges].first = first;
	gather->ranges[gather->nr_ranges].last = last;
	gather->nr_ranges++;
}

int iog_gather_invalidate(struct iog_gather *gather)
{
	/* Entries before the doorbell. */
	iog_pgtable_publish(gather->pgtable);
	return gather->flush(gather, gather->flush_ctx);
}

int iog_gather_flush(struct iog_gather *gather)
{
	int error;

	if (iog_gather_is_empty(gather))
		return 0;
	error = iog_gather_invalidate(gather);
	if (error)
		return error;
	iog_gather_complete(gather);
	return 0;
}

void iog_gather_complete(struct iog_gather *gather)
{
	if (gather->nr_tables)
		iog_pgtable_release(gather->pgtable, gather);
	iog_gather_reset(gather);
}

void iog_gather_take_over(struct iog_gather *self, struct iog_gather *from)
{
	/* Records are values. */
	if (from != self) {
		self->nr_tables = from->nr_tables;
		memcpy(self->tables, from->tables, from->nr_tables * sizeof(from->tables[0]));
		iog_gather_reset(from);
	}
	iog_gather_complete(self);
}

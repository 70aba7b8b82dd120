/* SPDX-License-Identifier: MIT */
/*
 * See pin.h.
 */
#include "pin.h"

int iog_pgtable_pin(struct iog_pgtable *pt, struct iog_gather *gather, iog_iova_t iova, uint32_t n, struct iog_pin *pin)
{
	uint64_t size = (uint64_t)n * pt->granule, table = pt->granule << pt->ops->level_bits;
	uint64_t last = pt->flags & IOG_PGTABLE_SIGN_EXTENDED ? pt->last >> 1 : pt_last(pt);
	struct pt_lane *lane = gather_lane(gather);
	int error;

	if (!n || iova & (pt->granule - 1) || (iova & (table - 1)) + size > table)
		return -IOG_EINVAL;
	if (iova > last || size - 1 > last - iova)
		return -IOG_ERANGE;
	lane_enter(pt->mem, lane->mem);
	error = pt->ops->pin(pt, gather, iova, n, pin);
	lane_exit(lane->mem);
	return error;
}

int iog_pgtable_unpin(struct iog_pgtable *pt, struct iog_gather *gather, const struct iog_pin *pin, uint32_t n)
{
	struct pt_lane *lane = gather_lane(gather);
	int error;

	lane_enter(pt->mem, lane->mem);
	error = pt->ops->unpin(pt, gather, pin, n);
	lane_exit(lane->mem);
	return error;
}

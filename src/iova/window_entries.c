/* SPDX-License-Identifier: MIT */
/*
 * Windows bound to a page table, for a domain: an address and its entry in one step (window.h).
 */
#include "../inval/gather.h"
#include "windows.h"

/* The entry that the format makes of a page, or 0. */
static uint64_t leaf_of(struct iog_pgtable *pgtable, uint64_t paddr, uint32_t prot)
{
	iog_entry_t entry = 0;

	return pin_map(pgtable, &entry, paddr, 1, prot) ? 0 : atomic_load_explicit(&entry, memory_order_relaxed);
}

/* Learn how entries are made, by asking for some. A format that scatters its address bits, a walker or a CPU that wants more than a store: not plain. */
static void learn_leaf(struct iova_window *windows)
{
	const struct iog_pgtable *pgtable = windows->pgtable;
	uint32_t shift = pgtable->ops->granule_shift;
	uint64_t moved;

	if (pgtable->noncoherent || windows->iova.platform->dma_wmb || !windows->gates.plain)
		return;
	for (uint32_t prot = 0; prot < 16; prot++)
		windows->leaf_bits[prot] = leaf_of(windows->pgtable, 0, prot);
	moved = leaf_of(windows->pgtable, UINT64_C(1) << shift, IOG_PROT_READ | IOG_PROT_WRITE) ^ windows->leaf_bits[IOG_PROT_READ | IOG_PROT_WRITE];
	while (windows->leaf_shift < shift && (UINT64_C(1) << shift) >> windows->leaf_shift != moved)
		windows->leaf_shift++;
	windows->leaf_paddr_last = pgtable->paddr_last;
	for (uint32_t number = 0; number < windows->iova.lanes; number++)
		windows->lanes[number].plain_number = number;
	for (uint32_t prot = 0; prot < 16; prot++)
		for (uint64_t paddr = UINT64_C(1) << shift; paddr <= pgtable->paddr_last; paddr <<= 1)
			if (leaf_of(windows->pgtable, paddr, prot) != (windows->leaf_bits[prot] ? windows->leaf_bits[prot] | paddr >> windows->leaf_shift : 0))
				windows->leaf_bits[prot] = 0;
	windows->leaf_address = (pgtable->paddr_last & ~((UINT64_C(1) << shift) - 1)) >> windows->leaf_shift;
	for (uint32_t prot = 0; prot < 16; prot++)
		if (windows->leaf_bits[prot] & windows->leaf_address)
			windows->leaf_address = 0;
}

int iog_window_bind(struct iog_iova *iova, struct iog_pgtable *pgtable, struct flush_clock *clock, iog_flush_fn *flush, void *ctx, size_t stride)
{
	struct iova_window *windows = windows_of(iova);

	if (pgtable->ops->level_bits < WINDOW_SHIFT || pgtable->ops->granule_shift != iova->granule_shift)
		return -IOG_EINVAL;
	for (uint32_t lane = 0; lane < iova->lanes; lane++) {
		int error = iog_gather_init(&windows->lanes[lane].gather, pgtable, lane, flush, (char *)ctx + lane * stride);

		if (error)
			return error;
	}
	windows->pgtable = pgtable;
	windows->clock = clock;
	learn_leaf(windows);
	return 0;
}

void iog_window_unbind(struct iog_iova *iova)
{
	struct iova_window *windows = windows_of(iova);

	for (uint32_t lane = 0; lane < iova->lanes; lane++)
		iog_gather_take_over(&windows->lanes[0].gather, &windows->lanes[lane].gather);
}

int iog_window_map(struct iog_iova *iova, iog_lane_t number, uint64_t paddr, uint64_t n, uint32_t prot, uint64_t limit, const struct iog_iova_flush *flush,
		   uint64_t *at)
{
	struct iova_window *windows = windows_of(iova);
	struct window_lane *lane = &windows->lanes[number];
	struct request request = { (uint32_t)n, (uint32_t)run_align(n, WINDOW_BITS), limit < iova->last ? limit : iova->last, false };
	struct window *window;
	uintptr_t flags;
	uint32_t bit;
	int error = iog_window_take(windows, number, &request, flush, &flags, &window, &bit);

	if (error)
		return error;
	error = pin_map(windows->pgtable, window->entries + bit, paddr, (uint32_t)n, prot);
	if (error) {
		(void)window_give_own(lane, window, bit, (uint32_t)n, true);
	} else {
		*at = window->first + bit;
		stat_add(&lane->maps, 1);
		stat_add(&lane->more_mapped, n - 1);
	}
	gate_exit(&windows->gates, &lane->gate, flags);
	return error;
}

int iog_window_unmap(struct iog_iova *iova, iog_lane_t number, uint64_t at, uint64_t n)
{
	struct iova_window *windows = windows_of(iova);
	struct window_lane *lane = &windows->lanes[number];
	struct window *window = window_of(windows, at, n);
	uint32_t bit = (uint32_t)(at & (WINDOW_BITS - 1));

	if (!window)
		return WINDOW_NONE;
	if (!pin_unmap(windows->pgtable, window->entries + bit, (uint32_t)n, false))
		return WINDOW_NOT_MAPPED;
	stat_add(&lane->unmaps, 1);
	stat_add(&lane->more_unmapped, n - 1);
	(void)iog_window_give(windows, number, window, bit, (uint32_t)n, false);
	return 0;
}

bool iog_window_holds(struct iog_iova *iova, uint64_t at, uint64_t n)
{
	return window_of(windows_of(iova), at, n);
}

int iog_window_fill(struct iog_iova *iova, uint64_t at, uint64_t paddr, uint64_t n, uint32_t prot)
{
	struct iova_window *windows = windows_of(iova);
	struct window *window = window_of(windows, at, n);

	if (!window)
		return WINDOW_NONE;
	return pin_map(windows->pgtable, window->entries + (at & (WINDOW_BITS - 1)), paddr, (uint32_t)n, prot);
}

int iog_window_clear(struct iog_iova *iova, uint64_t at, uint64_t n, bool holes, uint64_t *cleared)
{
	struct iova_window *windows = windows_of(iova);
	struct window *window = window_of(windows, at, n);

	if (!window)
		return WINDOW_NONE;
	*cleared = pin_unmap(windows->pgtable, window->entries + (at & (WINDOW_BITS - 1)), (uint32_t)n, holes);
	return *cleared || holes ? 0 : WINDOW_NOT_MAPPED;
}

/* Windows that one flush puts right; what is left waits for another one, or for the clock. */
#define FLUSHED_MAX 64

void iog_window_flushed(struct iog_iova *iova, iog_lane_t number)
{
	struct iova_window *windows = windows_of(iova);
	struct window_lane *lane = &windows->lanes[number];
	uintptr_t flags = gate_enter(&windows->gates, &lane->gate);
	struct window *unused = NULL;
	uint32_t nr = 0;

	/*
	 * What this lane found stale before the flush. What others have freed meanwhile is not looked at: it may have come later. So may what others have folded
	 * in while they had the gate closed: there the clock decides.
	 */
	for (struct window *window = lane->dirty, *next; window && lane->folded && nr < FLUSHED_MAX; window = next, nr++) {
		next = window->dirty_next;
		(void)iog_window_fold(lane, window, windows->clock, false);
	}
	for (; lane->dirty && !lane->folded && nr < FLUSHED_MAX; nr++) {
		struct window *window = lane->dirty;

		iog_window_refill_flushed(lane, window, true);
		lane->dirty = window->dirty_next;
		window->dirty = false;
	}
	lane->folded = false;
	if (lane->nr_unused > WINDOWS_SPARE)
		unused = iog_window_remove_unused(lane, WINDOWS_SPARE);
	gate_exit(&windows->gates, &lane->gate, flags);
	/* Tables are in it if an invalidation failed, maybe of those that were given back on account of this very flush: they get one of their own. */
	(void)iog_gather_flush(&lane->gather);
	if (unused)
		iog_window_delete(windows, lane, unused);
}

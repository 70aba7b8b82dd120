/* SPDX-License-Identifier: MIT */
/*
 * One page, where all goes well: the window at hand has a place, or the page lies in a window of the lane's own; an entry takes one store; the gate is open. Everything else is
 * left to window.h. In a header, because these few instructions are what mapping a page costs.
 */
#ifndef IOG_IOVA_WINDOW_PAGE_H
#define IOG_IOVA_WINDOW_PAGE_H

#include "windows.h"

/**
 * window_map_page() - iog_window_map() of one page, where all goes well: from the window at hand, with an entry that takes one store.
 * @windows: bound.
 * @lane: the caller's.
 * @paddr: the page.
 * @prot: enum iog_prot.
 * @limit: the last address that may be used.
 * @address: result, bytes.
 *
 * Return: whether it did; iog_window_map() does it otherwise.
 */
IOG_INLINE bool window_map_page(struct iova_window *windows, struct window_lane *lane, iog_paddr_t paddr, uint32_t prot, iog_iova_t limit, iog_iova_t *address)
{
	struct window *window;
	uint64_t leaf, bits;
	iog_entry_t *slot;
	uint32_t word, bit;

	if (iog_unlikely(prot > 15 || paddr > windows->leaf_paddr_last || limit < windows->last_address))
		return false;
	leaf = windows->leaf_bits[prot];
	if (iog_unlikely(!leaf || !gate_try_plain(&lane->gate)))
		return false;
	window = lane->current[0];
	if (iog_unlikely(!window))
		goto slowly;
	word = window->hint;
	bits = bits_get(&window->available[word]);
	if (iog_unlikely(!bits))
		goto slowly;
	bit = word * 64 + bits_lowest(bits);
	slot = window->entries + bit;
	IOG_CLAIM(1, !atomic_load_explicit(slot, memory_order_relaxed) && !(paddr & (windows->pgtable->granule - 1)));
	bits_put(&window->available[word], bits & (bits - 1));
	note_used(lane, window);
	atomic_store_explicit(slot, leaf | paddr >> windows->leaf_shift, memory_order_relaxed);
	*address = (window->first + bit) << windows->granule_shift;
	stat_add(&lane->maps, 1);
	gate_exit_plain(&lane->gate);
	return true;

slowly:
	gate_exit_plain(&lane->gate);
	return false;
}

/**
 * window_unmap_page() - iog_window_unmap() of one page, where all goes well: of a window of the lane's own.
 * @windows: bound.
 * @lane: the caller's.
 * @address: the page, bytes.
 * @entry: result: its entry as it was.
 *
 * Return: whether it did; iog_window_unmap() does it otherwise.
 */
IOG_INLINE bool window_unmap_page(struct iova_window *windows, struct window_lane *lane, iog_iova_t address, uint64_t *entry)
{
	uint64_t at = address >> windows->granule_shift;
	struct window *window = window_at(windows, at);
	uint32_t bit = (uint32_t)(at & (WINDOW_BITS - 1));
	iog_entry_t *slot;

	/* Looked at twice: a lane that is not plain must not be inside with interrupts on, where who interrupts it would wait for it to leave; and it may be taken over in between. */
	if (iog_unlikely(!window || atomic_load_explicit(&window->owner, memory_order_relaxed) != lane->plain_number || !gate_try_plain(&lane->gate)))
		return false;
	slot = window->entries + bit;
	*entry = atomic_load_explicit(slot, memory_order_relaxed);
	if (iog_unlikely(atomic_load_explicit(&window->owner, memory_order_relaxed) != lane->plain_number || !window->dirty || !*entry)) {
		gate_exit_plain(&lane->gate);
		return false;
	}
	atomic_store_explicit(slot, 0, memory_order_relaxed);
	bits_or(&window->stale[bit / 64], UINT64_C(1) << (bit & 63));
	stat_add(&lane->unmaps, 1);
	gate_exit_plain(&lane->gate);
	return true;
}

/**
 * window_fill_page() - iog_window_fill() of one page, where a store is enough.
 * @windows: bound.
 * @address: the page, bytes; of a run that the caller has.
 * @paddr: where it leads.
 * @prot: enum iog_prot.
 *
 * Return: whether it did; iog_window_fill() does it otherwise, or says why not.
 */
IOG_INLINE bool window_fill_page(struct iova_window *windows, iog_iova_t address, iog_paddr_t paddr, uint32_t prot)
{
	uint64_t at = address >> windows->granule_shift, leaf;
	struct window *window = window_at(windows, at);
	iog_entry_t *slot;

	if (iog_unlikely(!window || prot > 15 || paddr > windows->leaf_paddr_last))
		return false;
	leaf = windows->leaf_bits[prot];
	slot = window->entries + (at & (WINDOW_BITS - 1));
	if (iog_unlikely(!leaf || paddr & (windows->pgtable->granule - 1) || atomic_load_explicit(slot, memory_order_relaxed)))
		return false;
	atomic_store_explicit(slot, leaf | paddr >> windows->leaf_shift, memory_order_relaxed);
	return true;
}

/**
 * window_clear_page() - iog_window_clear() of one page, where a store is enough.
 * @windows: bound.
 * @address: the page, bytes.
 *
 * Return: whether it did; iog_window_clear() does it otherwise, or says why not.
 */
IOG_INLINE bool window_clear_page(struct iova_window *windows, iog_iova_t address)
{
	uint64_t at = address >> windows->granule_shift;
	struct window *window = window_at(windows, at);
	iog_entry_t *slot;

	if (iog_unlikely(!window || !windows->leaf_paddr_last))
		return false;
	slot = window->entries + (at & (WINDOW_BITS - 1));
	if (iog_unlikely(!atomic_load_explicit(slot, memory_order_relaxed)))
		return false;
	atomic_store_explicit(slot, 0, memory_order_relaxed);
	return true;
}

/**
 * window_give_page() - the address of a page that window_clear_page() cleared, and hardware has forgotten.
 * @windows: bound.
 * @lane: the caller's.
 * @address: the page, bytes.
 *
 * Return: 0; -IOG_EINVAL if it is not handed out.
 */
IOG_INLINE int window_give_page(struct iova_window *windows, struct window_lane *lane, iog_iova_t address)
{
	uint64_t at = address >> windows->granule_shift, mask = UINT64_C(1) << (at & 63), bits;
	struct window *window = window_at(windows, at);
	uint32_t bit = (uint32_t)(at & (WINDOW_BITS - 1));
	int error = 0;

	if (iog_likely(windows->gates.plain && gate_try_plain(&lane->gate))) {
		bits = bits_get(&window->available[bit / 64]) | mask;
		if (iog_likely(atomic_load_explicit(&window->owner, memory_order_relaxed) == lane->number && !window->full && bits != UINT64_MAX)) {
			bits_put(&window->available[bit / 64], bits);
			gate_exit_plain(&lane->gate);
			goto given;
		}
		gate_exit_plain(&lane->gate);
	}
	error = iog_window_give(windows, lane->number, window, bit, 1, true);
given:
	if (iog_likely(!error))
		stat_add(&lane->unmaps, 1);
	return error;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * See holding.h.
 */
#include "holding.h"

/* Windows of a list that are looked at before another is taken. */
#define SCAN_MAX 16

/* Places in a word where @n bits are set from a multiple of @align on; both at most 64, @align a power of two. */
static uint64_t runs_in_word(uint64_t word, uint32_t n, uint32_t align)
{
	static const uint64_t aligned[] = { UINT64_MAX,		  UINT64_C(0x5555555555555555), UINT64_C(0x1111111111111111),
					    UINT64_C(0x0101010101010101), UINT64_C(0x0001000100010001), UINT64_C(0x0000000100000001), 1 };

	for (uint32_t left = n; left > 1;) {
		uint32_t half = left / 2;

		word &= word >> half;
		left -= half;
	}
	return word & aligned[bits_lowest(align)];
}

uint32_t iog_window_take_run(struct window *window, uint32_t n, uint32_t align)
{
	uint32_t step = align > 64 ? align / 64 : 1;

	for (uint32_t word = 0; word < WINDOW_WORDS; word += step) {
		uint32_t bit = word * 64, at = bit, left = n;
		uint64_t places;

		if (n <= 64) {
			places = runs_in_word(bits_get(&window->available[word]), n, align);
			if (!places)
				continue;
			bit = at = bit + bits_lowest(places);
		} else {
			bool all = true;

			while (left && all) {
				uint64_t mask = run_mask(&at, &left);

				all = (bits_get(&window->available[(at - 1) / 64]) & mask) == mask;
			}
			if (!all)
				continue;
			at = bit;
			left = n;
		}
		while (left) {
			uint32_t in = at / 64;
			uint64_t mask = run_mask(&at, &left);

			bits_put(&window->available[in], bits_get(&window->available[in]) & ~mask);
		}
		return bit;
	}
	return WINDOW_BITS;
}

static struct window_list *list_of(struct window_lane *lane, const struct window *window)
{
	return window->full ? &lane->full : &lane->partial;
}

static void list_add(struct window_lane *lane, struct window *window, bool full)
{
	struct window_list *list;

	window->full = full;
	list = list_of(lane, window);
	window->prev = list->tail;
	window->next = NULL;
	if (list->tail)
		list->tail->next = window;
	else
		list->head = window;
	list->tail = window;
}

static void list_remove(struct window_lane *lane, struct window *window)
{
	struct window_list *list = list_of(lane, window);

	if (window->prev)
		window->prev->next = window->next;
	else
		list->head = window->next;
	if (window->next)
		window->next->prev = window->prev;
	else
		list->tail = window->prev;
}

static void list_move(struct window_lane *lane, struct window *window, bool full)
{
	list_remove(lane, window);
	list_add(lane, window, full);
}

static void dirty_remove(struct window_lane *lane, struct window *window)
{
	struct window **link = &lane->dirty;

	if (!window->dirty)
		return;
	while (*link != window)
		link = &(*link)->dirty_next;
	*link = window->dirty_next;
	window->dirty = false;
}

void iog_window_leave(struct window_lane *lane, struct window *window)
{
	/* Seen by the lane when it enters its gate again: gate_open() is a release. */
	atomic_store_explicit(&window->owner, WINDOW_NO_OWNER, memory_order_relaxed);
	dirty_remove(lane, window);
	list_remove(lane, window);
	for (uint32_t i = 0; i < 2; i++)
		if (lane->current[i] == window)
			lane->current[i] = NULL;
	lane->nr_windows--;
	lane->nr_unused -= window->unused;
}

void iog_window_join(struct window_lane *lane, struct window *window, iog_lane_t number)
{
	atomic_store_explicit(&window->owner, number, memory_order_relaxed);
	list_add(lane, window, !bits_any(window->available));
	lane->nr_windows++;
	lane->nr_unused += window->unused;
}

void iog_window_refill(struct window_lane *lane, struct window *window, uint32_t word, uint64_t bits)
{
	bits_or(&window->available[word], bits);
	if (window->full)
		list_move(lane, window, false);
	if (bits_get(&window->available[word]) == UINT64_MAX && bits_all(window->available)) {
		window->unused = true;
		lane->nr_unused++;
	}
}

void iog_window_refill_flushed(struct window_lane *lane, struct window *window, bool stale_too)
{
	for (uint32_t word = 0; word < WINDOW_WORDS; word++) {
		uint64_t bits = bits_get(&window->waiting[word]) | (stale_too ? bits_get(&window->stale[word]) : 0);

		if (!bits)
			continue;
		bits_put(&window->waiting[word], 0);
		if (stale_too)
			bits_put(&window->stale[word], 0);
		iog_window_refill(lane, window, word, bits);
	}
}

uint32_t iog_window_fold(struct window_lane *lane, struct window *window, const struct flush_clock *clock, bool clean)
{
	uint32_t left = 0;

	for (uint32_t word = 0; word < WINDOW_WORDS; word++) {
		_Atomic uint64_t *freed = &window->freed[word], *freed_clean = &window->freed_clean[word];
		uint64_t known = bits_get(&window->available[word]) | bits_get(&window->stale[word]) | bits_get(&window->waiting[word]), bits;

		/* Acquire: the entries were cleared before; pairs with the release in window_give_remote(). */
		if (bits_get(freed)) {
			bits = atomic_exchange_explicit(freed, 0, memory_order_acquire) & ~known;
			bits_or(&window->stale[word], bits);
			known |= bits;
		}
		if (bits_get(freed_clean)) {
			bits = atomic_exchange_explicit(freed_clean, 0, memory_order_acquire) & ~known;
			if (bits)
				iog_window_refill(lane, window, word, bits);
		}
	}
	if (clean)
		iog_window_refill_flushed(lane, window, true);
	else if (bits_any(window->waiting) && flush_covers(clock, window->needed))
		iog_window_refill_flushed(lane, window, false);
	if (!bits_any(window->waiting) && bits_any(window->stale)) {
		window->needed = flush_needed(clock);
		for (uint32_t word = 0; word < WINDOW_WORDS; word++) {
			bits_put(&window->waiting[word], bits_get(&window->stale[word]));
			bits_put(&window->stale[word], 0);
		}
	}
	for (uint32_t word = 0; word < WINDOW_WORDS; word++)
		left += bits_count(bits_get(&window->waiting[word]) | bits_get(&window->stale[word]));
	if (left)
		dirty_add(lane, window);
	else
		dirty_remove(lane, window);
	return left;
}

struct window *iog_window_scan(struct window_lane *lane, const struct request *request, const struct flush_clock *clock, bool clean, uint32_t *bit,
			       uint32_t *waiting)
{
	struct window *window, *next, *last;
	uint32_t scan = 0;

	*waiting = 0;
	for (window = lane->dirty; window; window = next) {
		next = window->dirty_next;
		*waiting += iog_window_fold(lane, window, clock, clean);
	}
	/* What does not serve goes to the end of its list, so that the next scan begins elsewhere. */
	last = lane->partial.tail;
	for (window = lane->partial.head; window && (scan < SCAN_MAX || request->thorough); window = next, scan++) {
		next = window == last ? NULL : window->next;
		/* Those on the dirty list were just folded. */
		if (!window->dirty)
			*waiting += iog_window_fold(lane, window, clock, clean);
		if (take_from(lane, window, request, bit))
			return window;
		list_move(lane, window, !bits_any(window->available));
	}
	scan = 0;
	last = lane->full.tail;
	for (window = lane->full.head; window && (scan < SCAN_MAX || request->thorough); window = next, scan++) {
		next = window == last ? NULL : window->next;
		*waiting += iog_window_fold(lane, window, clock, clean);
		if (window->full)
			list_move(lane, window, true);
		else if (take_from(lane, window, request, bit))
			return window;
	}
	return NULL;
}

struct window *iog_window_remove_unused(struct window_lane *lane, uint32_t keep)
{
	struct window *list = NULL;

	for (struct window *window = lane->partial.head, *next; window && lane->nr_unused > keep; window = next) {
		next = window->next;
		if (!window->unused || (keep && (window == lane->current[0] || window == lane->current[1])))
			continue;
		iog_window_leave(lane, window);
		window->next = list;
		list = window;
	}
	return list;
}

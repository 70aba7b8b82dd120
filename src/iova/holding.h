/* SPDX-License-Identifier: MIT */
/*
 * The windows that a lane holds: on two lists, those with something available and the full ones. Everything here is done inside the lane's gate, by the lane or
 * by whoever has closed it. Nothing waits, allocates or flushes.
 */
#ifndef IOG_IOVA_HOLDING_H
#define IOG_IOVA_HOLDING_H

#include "../core/gate.h"
#include "granules.h"

/* Owns nothing, so that what compares owners takes the long way. */
#define LANE_NOT_PLAIN (UINT32_MAX - 1)

struct window_list {
	struct window *head;
	struct window *tail;
};

struct window_lane {
	_Alignas(64) struct gate gate;
	iog_lane_t number;
	iog_lane_t plain_number; /* the same where entries are plain (struct iova_window), else LANE_NOT_PLAIN */
	/* Where to look first: for limits that no window can exceed, and for others. */
	struct window *current[2];
	struct window_list partial;
	struct window_list full;
	struct window *dirty;
	bool folded; /* by others since the lane's last flush: what they found stale may be younger than that flush */
	uint32_t nr_windows;
	uint32_t nr_unused; /* windows of which nothing is used */

	/* Runs mapped and unmapped by this lane together with their addresses, and granules of them beyond the first; only the sums over lanes mean something. */
	_Atomic uint64_t maps;
	_Atomic uint64_t unmaps;
	_Atomic uint64_t more_mapped;
	_Atomic uint64_t more_unmapped;

	/* Outside the gate, the lane's own: tables of windows that went back. */
	struct iog_gather gather;
};

/* What is asked for: granules. */
struct request {
	uint32_t n;
	uint32_t align;
	uint64_t limit;
	bool thorough; /* before it is refused, all windows are looked at, and what others have freed into them */
};

/* Something of it is handed out. */
static inline void note_used(struct window_lane *lane, struct window *window)
{
	if (__builtin_expect(window->unused, 0)) {
		window->unused = false;
		lane->nr_unused--;
	}
}

/* Take it from this window, if there is a place: its first bit. */
static inline bool take_from(struct window_lane *lane, struct window *window, const struct request *request, uint32_t *bit)
{
	if (window->first + (WINDOW_BITS - 1) > request->limit)
		return false;
	*bit = take(window, request->n, request->align);
	if (__builtin_expect(*bit == WINDOW_BITS, 0))
		return false;
	note_used(lane, window);
	return true;
}

/* It has stale or waiting granules. */
static inline void dirty_add(struct window_lane *lane, struct window *window)
{
	if (window->dirty)
		return;
	window->dirty = true;
	window->dirty_next = lane->dirty;
	lane->dirty = window;
}

/**
 * iog_window_leave() - a window is this lane's no more.
 * @lane: its lane.
 * @window: the window.
 */
void iog_window_leave(struct window_lane *lane, struct window *window);

/**
 * iog_window_join() - a window is this lane's from now on.
 * @lane: the lane.
 * @window: the window, no lane's.
 * @number: the lane's number.
 */
void iog_window_join(struct window_lane *lane, struct window *window, iog_lane_t number);

/**
 * iog_window_refill() - granules become available again.
 * @lane: the window's lane.
 * @window: the window.
 * @word: word of the bitmap.
 * @bits: in it; none of them available so far.
 */
void iog_window_refill(struct window_lane *lane, struct window *window, uint32_t word, uint64_t bits);

/**
 * iog_window_refill_flushed() - stale and waiting granules whose flush has come, or is not needed.
 * @lane: the window's lane.
 * @window: the window.
 * @stale_too: not only the waiting ones.
 */
void iog_window_refill_flushed(struct window_lane *lane, struct window *window, bool stale_too);

/**
 * iog_window_fold() - fold in what other lanes have freed and what flushes have covered.
 * @lane: the window's lane.
 * @window: the window.
 * @clock: the domain's flushes.
 * @clean: no flush is needed, whatever was freed lazily.
 *
 * What was freed twice is dropped here: it is available, or on its way, already.
 *
 * Return: granules that wait for a flush.
 */
uint32_t iog_window_fold(struct window_lane *lane, struct window *window, const struct flush_clock *clock, bool clean);

/**
 * iog_window_scan() - take from any of the lane's windows.
 * @lane: the lane.
 * @request: what is asked for.
 * @clock: the domain's flushes.
 * @clean: no flush is needed, whatever was freed lazily.
 * @bit: result: the first granule.
 * @waiting: result: granules that a flush would bring, as far as was looked.
 *
 * Return: the window, or NULL. Unless it is thorough, some windows are looked at, others the next time.
 */
struct window *iog_window_scan(struct window_lane *lane, const struct request *request, const struct flush_clock *clock, bool clean, uint32_t *bit,
			       uint32_t *waiting);

/**
 * iog_window_remove_unused() - take windows out of which nothing is used.
 * @lane: the lane.
 * @keep: how many of them may stay.
 *
 * Return: a list by @next.
 */
struct window *iog_window_remove_unused(struct window_lane *lane, uint32_t keep);

/* Give a run back to its window; refused if it is not handed out. */
static inline int window_give_own(struct window_lane *lane, struct window *window, uint32_t bit, uint32_t n, bool clean)
{
	if (__builtin_expect(!handed_out(window, bit, n) || freed_by_others(window, bit, n), 0))
		return -IOG_EINVAL;
	if (!clean)
		dirty_add(lane, window);
	while (n) {
		uint32_t word = bit / 64;
		uint64_t mask = run_mask(&bit, &n);

		if (clean)
			iog_window_refill(lane, window, word, mask);
		else
			bits_or(&window->stale[word], mask);
	}
	return 0;
}


#endif

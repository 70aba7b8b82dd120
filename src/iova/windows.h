/* SPDX-License-Identifier: MIT */
/*
 * All windows of an allocator, and the directory that leads from an address to its window: two loads, no lock. A window lives as long as one of its granules is handed
 * out, so whoever frees one finds it.
 */
#ifndef IOG_IOVA_WINDOWS_H
#define IOG_IOVA_WINDOWS_H

#include "holding.h"
#include "tree.h"

#define WINDOW_SHIFT 9
/* A chunk of the directory: windows. The directory covers the last (bottom up: the first) chunks of the aperture, and the lowest for devices that reach no further. */
#define CHUNK_SHIFT 9
#define CHUNK_WINDOWS (1u << CHUNK_SHIFT)
#define HIGH_CHUNKS 512
#define LOW_CHUNKS 4

/* Windows that a lane keeps though nothing in them is used. */
#define WINDOWS_SPARE 2

struct chunk {
	_Atomic(struct window *) windows[CHUNK_WINDOWS];
};

struct iova_window {
	struct iog_iova iova;
	struct iog_pgtable *pgtable;
	struct flush_clock *clock;
	struct flush_clock own_clock;
	uint64_t high_chunk; /* the first chunk of the directory's upper part */
	struct gates gates;
	struct iova_tree tree;
	_Atomic uint64_t tree_stale; /* the flush that covers what has been freed lazily into the tree */
	struct window_lane *lanes;

	/*
	 * How an entry is made, where that is plain: leaf_bits[prot] | paddr >> leaf_shift, and nothing has to be cleaned or ordered for it, nor to be done about
	 * interrupts. 0: that permission is not plain, or not to be had.
	 */
	uint64_t leaf_bits[16];
	uint64_t leaf_address; /* the address in an entry, before it is shifted back; 0: there are other bits among its */
	uint64_t leaf_paddr_last;
	uint64_t last_address; /* the aperture's, bytes */
	uint32_t leaf_shift;
	uint32_t granule_shift;

	_Atomic(struct chunk *) directory[HIGH_CHUNKS + LOW_CHUNKS];
};

static inline struct iova_window *windows_of(struct iog_iova *iova)
{
	return (struct iova_window *)iova;
}

static inline _Atomic(struct chunk *) *directory_slot(struct iova_window *windows, uint64_t number)
{
	uint64_t chunk = number >> CHUNK_SHIFT;

	if (__builtin_expect(chunk - windows->high_chunk < HIGH_CHUNKS, 1))
		return &windows->directory[chunk - windows->high_chunk];
	return chunk < LOW_CHUNKS ? &windows->directory[HIGH_CHUNKS + chunk] : NULL;
}

/* The window that @at is in, or NULL. Acquire: its contents, as they were when it was entered. */
static inline struct window *window_at(struct iova_window *windows, uint64_t at)
{
	uint64_t number = at >> WINDOW_SHIFT;
	_Atomic(struct chunk *) *slot = directory_slot(windows, number);
	struct chunk *chunk = slot ? atomic_load_explicit(slot, memory_order_acquire) : NULL;

	return chunk ? atomic_load_explicit(&chunk->windows[number & (CHUNK_WINDOWS - 1)], memory_order_acquire) : NULL;
}

/* The window that holds all of a run, or NULL. */
static inline struct window *window_of(struct iova_window *windows, uint64_t at, uint64_t n)
{
	struct window *window = window_at(windows, at);

	return window && n <= WINDOW_BITS - (at & (WINDOW_BITS - 1)) ? window : NULL;
}

/* Shut the gates of one lane or all, but for @but. What the caller then does with each ends with gate_open(); gates_unlock() gets the result. */
static inline uintptr_t lanes_shut(struct iova_window *windows, iog_lane_t which, iog_lane_t but)
{
	uintptr_t flags = gates_lock(&windows->gates);

	for (uint32_t number = 0; number < windows->iova.lanes; number++)
		if ((which == IOG_LANE_ALL || which == number) && number != but)
			gate_shut(&windows->lanes[number].gate);
	gates_settle(&windows->gates);
	return flags;
}

/**
 * iog_window_flush() - the lazy flush.
 * @windows: all windows.
 * @lane: the caller's lane, outside its gate.
 * @flush: as given to iog_iova_alloc().
 *
 * Return: what it returns.
 */
int iog_window_flush(struct iova_window *windows, iog_lane_t lane, const struct iog_iova_flush *flush);

/**
 * iog_window_tree_take() - a run of the tree.
 * @windows: all windows.
 * @lane: the caller's lane, outside its gate.
 * @n: granules.
 * @align: granules.
 * @lowest: granules.
 * @limit: granules.
 * @flush: the lazy flush, or NULL.
 * @at: result.
 *
 * Lazy frees go back to the tree at once, so that what comes out may have been freed since the last flush: then one is made, and as the run is no longer free, it is
 * covered by that.
 *
 * Return: 0; as iog_iova_tree_alloc(); what the flush returned.
 */
int iog_window_tree_take(struct iova_window *windows, iog_lane_t lane, uint64_t n, uint64_t align, uint64_t lowest, uint64_t limit,
			 const struct iog_iova_flush *flush, uint64_t *at);

/**
 * iog_window_tree_give() - give it back.
 * @windows: all windows.
 * @at: granules.
 * @n: granules.
 * @clean: hardware has forgotten it.
 *
 * Return: as iog_iova_tree_free().
 */
int iog_window_tree_give(struct iova_window *windows, uint64_t at, uint64_t n, bool clean);

/**
 * iog_window_take() - a place for a request, from the lane's own windows or from wherever there is one.
 * @windows: all windows.
 * @number: the caller's lane.
 * @request: what is asked for.
 * @flush: the lazy flush, or NULL.
 * @flags: result: for gate_exit().
 * @window: result.
 * @bit: result: its first granule in the window.
 *
 * Context: outside the lane's gate; inside it on success, and not on error.
 * Return: 0; -IOG_ENOSPC; -IOG_ENOMEM; what the flush returned.
 */
int iog_window_take(struct iova_window *windows, iog_lane_t number, const struct request *request, const struct iog_iova_flush *flush, uintptr_t *flags,
		    struct window **window, uint32_t *bit);

/**
 * iog_window_give() - give a run back to its window, whichever lane has that.
 * @windows: all windows.
 * @number: the caller's lane.
 * @window: the window.
 * @bit: first granule in it.
 * @n: granules, all in it.
 * @clean: hardware has forgotten them.
 *
 * Context: outside the lane's gate. The window may be gone afterwards.
 * Return: 0; -IOG_EINVAL, with nothing changed, if some of it is not handed out.
 */
int iog_window_give(struct iova_window *windows, iog_lane_t number, struct window *window, uint32_t bit, uint32_t n, bool clean);

/**
 * iog_window_delete() - give windows back that no lane has any more.
 * @windows: all windows.
 * @lane: the caller's lane, outside its gate.
 * @list: by @next; NULL is fine.
 */
void iog_window_delete(struct iova_window *windows, struct window_lane *lane, struct window *list);

#endif

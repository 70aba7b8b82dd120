/* SPDX-License-Identifier: MIT */
/*
 * Windows: 512 granules at a time, owned by one lane. Taking an address is finding a bit; giving it back is setting one (granules.h).
 *
 * All that is a lane's (holding.h) is used inside its gate; who wants to take it over closes the gate. Inside a gate nobody waits, allocates or flushes.
 */
#include "windows.h"

#define unlikely(claim) __builtin_expect(!!(claim), 0)

/* A lane with fewer windows takes another before it asks for a flush. */
#define WINDOWS_FEW 4
/* A flush that brings less than this, in granules, does not save taking another window. */
#define FLUSH_WORTH (WINDOW_BITS / 4)

/* The place of a window in the directory, made if need be; NULL if there is no memory. */
static _Atomic(struct window *) *directory_place(struct iova_window *windows, uint64_t number)
{
	_Atomic(struct chunk *) *slot = directory_slot(windows, number);
	struct chunk *chunk = atomic_load_explicit(slot, memory_order_acquire), *made;

	if (!chunk) {
		made = iog_iova_object_alloc(&windows->iova, sizeof(*made));
		if (!made)
			return NULL;
		/* Release: the zeroes; pairs with window_at(). */
		if (atomic_compare_exchange_strong_explicit(slot, &chunk, made, memory_order_acq_rel, memory_order_acquire))
			chunk = made;
		else
			iog_iova_object_free(&windows->iova, made, sizeof(*made));
	}
	return &chunk->windows[number & (CHUNK_WINDOWS - 1)];
}

/* ---- windows come and go; outside gates ---- */

/* Whether the directory knows any place that the limit allows; where it does not, windows are not to be had, and there is no use in a flush or in other lanes'. */
static bool windows_reach(const struct iova_window *windows, uint64_t limit)
{
	uint64_t number = limit >> WINDOW_SHIFT, lowest = windows->high_chunk << CHUNK_SHIFT;

	if (limit < WINDOW_BITS - 1)
		return false;
	return number > lowest || number >> CHUNK_SHIFT < LOW_CHUNKS || (number == lowest && !(~limit & (WINDOW_BITS - 1)));
}

int iog_window_flush(struct iova_window *windows, iog_lane_t lane, const struct iog_iova_flush *flush)
{
	bool own = windows->clock == &windows->own_clock;
	uint64_t number = own ? flush_begin(windows->clock) : 0;
	int error = flush->flush(flush->ctx);

	if (own && !error)
		flush_end(windows->clock, number);
	stat_add(&windows->iova.stats[lane].flushes, 1);
	return error;
}

int iog_window_tree_take(struct iova_window *windows, iog_lane_t lane, uint64_t n, uint64_t align, uint64_t lowest, uint64_t limit, const struct iog_iova_flush *flush,
		     uint64_t *at)
{
	int error = iog_iova_tree_alloc(&windows->tree, n, align, lowest, limit, at);

	if (error || !flush || !(windows->iova.flags & IOG_IOVA_LAZY))
		return error;
	/* Relaxed: the tree's lock has ordered it after the store in tree_give(), if the run was freed there. */
	if (flush_covers(windows->clock, atomic_load_explicit(&windows->tree_stale, memory_order_relaxed)))
		return 0;
	error = iog_window_flush(windows, lane, flush);
	if (error)
		(void)iog_iova_tree_free(&windows->tree, *at, n);
	return error;
}

int iog_window_tree_give(struct iova_window *windows, uint64_t at, uint64_t n, bool clean)
{
	if (!clean) {
		uint64_t needed = flush_needed(windows->clock), stale = atomic_load_explicit(&windows->tree_stale, memory_order_relaxed);

		while (stale < needed &&
		       !atomic_compare_exchange_weak_explicit(&windows->tree_stale, &stale, needed, memory_order_relaxed, memory_order_relaxed))
			;
	}
	return iog_iova_tree_free(&windows->tree, at, n);
}

/* A window of this lane's own, not on a list yet. */
static int window_create(struct iova_window *windows, iog_lane_t number, uint64_t limit, const struct iog_iova_flush *flush, struct window **result)
{
	struct window_lane *lane = &windows->lanes[number];
	struct iog_iova *iova = &windows->iova;
	uint64_t lowest = windows->high_chunk << (CHUNK_SHIFT + WINDOW_SHIFT), at;
	_Atomic(struct window *) *place;
	struct iog_pin pin = { 0 };
	struct window *window;
	int error;

	error = iog_window_tree_take(windows, number, WINDOW_BITS, WINDOW_BITS, 0, limit, flush, &at);
	if (error)
		return error;
	if (!directory_slot(windows, at >> WINDOW_SHIFT)) {
		(void)iog_iova_tree_free(&windows->tree, at, WINDOW_BITS);
		error = iog_window_tree_take(windows, number, WINDOW_BITS, WINDOW_BITS, lowest, limit, flush, &at);
		if (error)
			return error;
		if (!directory_slot(windows, at >> WINDOW_SHIFT)) {
			error = -IOG_ENOSPC;
			goto give_address;
		}
	}
	error = -IOG_ENOMEM;
	place = directory_place(windows, at >> WINDOW_SHIFT);
	if (!place)
		goto give_address;
	window = iog_iova_object_alloc(iova, sizeof(*window));
	if (!window)
		goto give_address;
	if (windows->pgtable) {
		error = iog_pgtable_pin(windows->pgtable, &lane->gather, at << iova->granule_shift, WINDOW_BITS, &pin);
		if (error)
			goto free_window;
	}
	window->entries = pin.entries;
	window->table = pin.table;
	window->first = at;
	for (uint32_t word = 0; word < WINDOW_WORDS; word++)
		bits_put(&window->available[word], UINT64_MAX);
	window->unused = true;
	/* Release: pairs with window_at(). */
	atomic_store_explicit(place, window, memory_order_release);
	*result = window;
	return 0;

free_window:
	iog_iova_object_free(iova, window, sizeof(*window));
give_address:
	(void)iog_iova_tree_free(&windows->tree, at, WINDOW_BITS);
	return error;
}

void iog_window_delete(struct iova_window *windows, struct window_lane *lane, struct window *list)
{
	while (list) {
		struct window *window = list;
		uint64_t number = window->first >> WINDOW_SHIFT;

		list = window->next;
		atomic_store_explicit(directory_place(windows, number), NULL, memory_order_release);
		if (windows->pgtable) {
			const struct iog_pin pin = { window->entries, window->table };

			/* A flush that fails leaves the tables in the gather; they go with a later one. */
			(void)iog_pgtable_unpin(windows->pgtable, &lane->gather, &pin, WINDOW_BITS);
		}
		(void)iog_iova_tree_free(&windows->tree, window->first, WINDOW_BITS);
		iog_iova_object_free(&windows->iova, window, sizeof(*window));
	}
	if (windows->pgtable)
		(void)iog_gather_flush(&lane->gather);
}

/* ---- taking ---- */

/* A window of a closed lane that serves the request, and is no lane's any more; or NULL, and what waits there for a flush. */
static struct window *take_from_lane(struct iova_window *windows, struct window_lane *lane, const struct request *request, bool clean, uint32_t *waiting)
{
	struct window *found;
	uint32_t bit = 0;

	lane->folded = true;
	found = iog_window_scan(lane, request, windows->clock, clean, &bit, waiting);
	if (!found)
		return NULL;
	/* Only looked at: put it back, and let the new owner take it. */
	for (uint32_t left = request->n; left;) {
		uint32_t word = bit / 64;

		iog_window_refill(lane, found, word, run_mask(&bit, &left));
	}
	iog_window_leave(lane, found);
	return found;
}

/*
 * Take one window that serves the request over from another lane. The caller is in no gate. Returns whether there was one; if not, @waiting: granules that a flush from now on
 * would bring.
 */
static bool take_over(struct iova_window *windows, iog_lane_t self, const struct request *request, bool clean, uint32_t *waiting)
{
	struct window_lane *own = &windows->lanes[self];
	struct window *found = NULL;
	uint32_t here;
	uintptr_t flags;

	*waiting = 0;
	flags = lanes_shut(windows, IOG_LANE_ALL, self);
	for (uint32_t number = 0; number < windows->iova.lanes; number++) {
		struct window_lane *lane = &windows->lanes[number];

		if (!gate_is_shut(&lane->gate))
			continue;
		if (!found) {
			gate_wait(&windows->gates, &lane->gate);
			found = take_from_lane(windows, lane, request, clean, &here);
			*waiting += here;
		}
		gate_open(&lane->gate);
	}
	gates_unlock(&windows->gates, flags);
	if (!found)
		return false;
	flags = gate_enter(&windows->gates, &own->gate);
	iog_window_join(own, found, self);
	if (bits_any(found->stale) || bits_any(found->waiting))
		dirty_add(own, found);
	own->current[request->limit < windows->iova.last] = found;
	gate_exit(&windows->gates, &own->gate, flags);
	atomic_fetch_add_explicit(&windows->iova.reclaims, 1, memory_order_relaxed);
	return true;
}

/*
 * In the gate: a place for the request, or an error and out of it. Tries the lane's own windows, then another window, a flush first if that promises enough; then a flush for less, then
 * all of its own windows, then other lanes'; and once more, if only now it has become known that a flush would bring something.
 */
static int take_slowly(struct iova_window *windows, iog_lane_t number, const struct request *request, const struct iog_iova_flush *flush, uintptr_t *flags,
		       struct window **result, uint32_t *bit)
{
	struct window_lane *lane = &windows->lanes[number];
	struct request wanted = *request;
	bool lazy = windows->iova.flags & IOG_IOVA_LAZY, clean = lazy && !flush, flushed = !flush || !lazy, over = false, again = !flush || !lazy;
	int error;

	stat_add(&windows->iova.stats[number].slow_allocs, 1);
	if (!windows_reach(windows, request->limit)) {
		gate_exit(&windows->gates, &lane->gate, *flags);
		return -IOG_ENOSPC;
	}
	for (;;) {
		struct window *window, *unused;
		uint32_t waiting, elsewhere = 0, few;

		window = iog_window_scan(lane, &wanted, windows->clock, clean, bit, &waiting);
		if (window) {
			lane->current[request->limit < windows->iova.last] = window;
			*result = window;
			return 0;
		}
		few = lane->nr_windows < WINDOWS_FEW;
		gate_exit(&windows->gates, &lane->gate, *flags);

		if (!flushed && !few && waiting >= FLUSH_WORTH) {
			error = iog_window_flush(windows, number, flush);
			if (error)
				return error;
			flushed = true;
			goto retry;
		}
		error = window_create(windows, number, request->limit, flush, &unused);
		if (!error) {
			*flags = gate_enter(&windows->gates, &lane->gate);
			iog_window_join(lane, unused, number);
			/* An empty window serves every request whose limit it was made for. */
			(void)take_from(lane, unused, request, bit);
			lane->current[request->limit < windows->iova.last] = unused;
			*result = unused;
			return 0;
		}
		if (!flushed) {
			int flush_error = iog_window_flush(windows, number, flush);

			if (flush_error)
				return flush_error;
			flushed = true;
		} else if (!wanted.thorough) {
			wanted.thorough = true;
		} else if (!over && take_over(windows, number, &wanted, clean, &elsewhere)) {
			over = true;
		} else if (!over && !again && waiting + elsewhere) {
			again = true;
			flushed = false;
		} else {
			return error;
		}
retry:
		*flags = gate_enter(&windows->gates, &lane->gate);
	}
}

int iog_window_take(struct iova_window *windows, iog_lane_t number, const struct request *request, const struct iog_iova_flush *flush,
			      uintptr_t *flags, struct window **result, uint32_t *bit)
{
	struct window_lane *lane = &windows->lanes[number];
	struct window *window;

	*flags = gate_enter(&windows->gates, &lane->gate);
	window = lane->current[request->limit < windows->iova.last];
	if (__builtin_expect(window && take_from(lane, window, request, bit), 1)) {
		*result = window;
		return 0;
	}
	return take_slowly(windows, number, request, flush, flags, result, bit);
}

/* ---- giving ---- */

/* By another lane than the owner: one atomic OR a word. The window may be gone after the last. */
static int window_give_remote(struct window *window, uint32_t bit, uint32_t n, bool clean)
{
	_Atomic uint64_t *freed = clean ? window->freed_clean : window->freed;

	if (IOG_ASSERT_LEVEL >= 1 && !handed_out(window, bit, n))
		return -IOG_EINVAL;
	if (freed_by_others(window, bit, n))
		return -IOG_EINVAL;
	while (n) {
		uint32_t word = bit / 64;

		/* Release: the entries' clearing; pairs with the acquire in window_fold(). */
		atomic_fetch_or_explicit(&freed[word], run_mask(&bit, &n), memory_order_release);
	}
	return 0;
}

int iog_window_give(struct iova_window *windows, iog_lane_t number, struct window *window, uint32_t bit, uint32_t n, bool clean)
{
	struct window_lane *lane = &windows->lanes[number];
	struct window *unused = NULL;
	uintptr_t flags;
	int error;

	if (__builtin_expect(atomic_load_explicit(&window->owner, memory_order_relaxed) != number, 0))
		return window_give_remote(window, bit, n, clean);
	flags = gate_enter(&windows->gates, &lane->gate);
	if (__builtin_expect(atomic_load_explicit(&window->owner, memory_order_relaxed) != number, 0)) {
		/* Taken over between the two looks. */
		gate_exit(&windows->gates, &lane->gate, flags);
		return window_give_remote(window, bit, n, clean);
	}
	error = window_give_own(lane, window, bit, n, clean);
	if (__builtin_expect(lane->nr_unused > WINDOWS_SPARE, 0))
		unused = iog_window_remove_unused(lane, WINDOWS_SPARE);
	gate_exit(&windows->gates, &lane->gate, flags);
	if (__builtin_expect(unused != NULL, 0))
		iog_window_delete(windows, lane, unused);
	return error;
}

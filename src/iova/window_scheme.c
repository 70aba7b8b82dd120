/* SPDX-License-Identifier: MIT */
/*
 * Windows as a scheme of the allocator's interface: what is larger than a window comes from the tree, and when that has no place, lanes give back what they hold.
 */
#include "windows.h"

static int window_scheme_create(struct iog_iova *iova, const struct iog_iova_config *config)
{
	struct iova_window *windows = windows_of(iova);
	uint64_t chunks = (iova->last >> (WINDOW_SHIFT + CHUNK_SHIFT)) + 1;
	int error;

	gates_init(&windows->gates, iova->platform);
	windows->granule_shift = iova->granule_shift;
	windows->last_address = (iova->last << iova->granule_shift) + ((UINT64_C(1) << iova->granule_shift) - 1);
	windows->clock = &windows->own_clock;
	if (iova->flags & IOG_IOVA_BOTTOM_UP)
		windows->high_chunk = iova->first >> (WINDOW_SHIFT + CHUNK_SHIFT);
	else
		windows->high_chunk = chunks > HIGH_CHUNKS ? chunks - HIGH_CHUNKS : 0;
	windows->lanes = iog_iova_object_alloc(iova, iova->lanes * sizeof(*windows->lanes));
	if (!windows->lanes)
		return -IOG_ENOMEM;
	for (uint32_t number = 0; number < iova->lanes; number++) {
		windows->lanes[number].number = number;
		windows->lanes[number].plain_number = LANE_NOT_PLAIN;
	}
	error = iog_iova_tree_init(&windows->tree, iova, config);
	if (error)
		iog_iova_object_free(iova, windows->lanes, iova->lanes * sizeof(*windows->lanes));
	return error;
}

static void window_scheme_destroy(struct iog_iova *iova)
{
	struct iova_window *windows = windows_of(iova);

	for (uint32_t i = 0; i < HIGH_CHUNKS + LOW_CHUNKS; i++) {
		struct chunk *chunk = atomic_load_explicit(&windows->directory[i], memory_order_relaxed);

		for (uint32_t k = 0; chunk && k < CHUNK_WINDOWS; k++)
			iog_iova_object_free(iova, atomic_load_explicit(&chunk->windows[k], memory_order_relaxed), sizeof(struct window));
		iog_iova_object_free(iova, chunk, sizeof(*chunk));
	}
	iog_iova_tree_fini(&windows->tree);
	iog_iova_object_free(iova, windows->lanes, iova->lanes * sizeof(*windows->lanes));
}

/*
 * Give back what windows there are of which nothing is used; returns whether there were any. @clean: no flush is needed, whatever was freed lazily; else @waiting: granules that a
 * flush from now on would bring.
 */
static bool windows_drain(struct iova_window *windows, iog_lane_t lane, iog_lane_t self, bool clean, uint64_t *waiting)
{
	uintptr_t flags = lanes_shut(windows, lane, IOG_LANE_ALL);
	struct window *unused = NULL;

	*waiting = 0;
	for (uint32_t number = 0; number < windows->iova.lanes; number++) {
		struct window_lane *other = &windows->lanes[number];
		struct window *more;

		if (!gate_is_shut(&other->gate))
			continue;
		gate_wait(&windows->gates, &other->gate);
		other->folded = true;
		for (uint32_t full = 0; full < 2; full++)
			for (struct window *window = full ? other->full.head : other->partial.head, *next; window; window = next) {
				next = window->next;
				*waiting += iog_window_fold(other, window, windows->clock, clean);
			}
		more = iog_window_remove_unused(other, 0);
		gate_open(&other->gate);
		while (more) {
			struct window *next = more->next;

			more->next = unused;
			unused = more;
			more = next;
		}
	}
	gates_unlock(&windows->gates, flags);
	iog_window_delete(windows, &windows->lanes[self], unused);
	return unused;
}

/*
 * A run from the tree, where lanes may hold windows that only wait for a flush, and the caller runs that it frees in the flush. The first flush covers what was known to be stale
 * before it, the second what was learnt of after the first.
 */
static int tree_take_lazy(struct iova_window *windows, iog_lane_t lane, uint64_t n, uint64_t align, uint64_t limit, const struct iog_iova_flush *flush, uint64_t *at)
{
	int error = iog_window_tree_take(windows, lane, n, align, 0, limit, flush, at);
	uint64_t waiting;

	if (error != -IOG_ENOSPC)
		return error;
	for (uint32_t flushes = 0;; flushes++) {
		int flush_error;

		if (windows_drain(windows, IOG_LANE_ALL, lane, !flush, &waiting) || flushes)
			error = iog_window_tree_take(windows, lane, n, align, 0, limit, flush, at);
		if (error != -IOG_ENOSPC || !flush || flushes == 2 || (flushes && !waiting))
			return error;
		flush_error = iog_window_flush(windows, lane, flush);
		if (flush_error)
			return flush_error;
	}
}

static int window_scheme_alloc(struct iog_iova *iova, iog_lane_t lane, uint64_t n, uint64_t align, uint64_t limit, const struct iog_iova_flush *flush,
			       uint64_t *at)
{
	struct iova_window *windows = windows_of(iova);
	struct request request = { (uint32_t)n, (uint32_t)align, limit, false };
	struct window *window;
	uintptr_t flags;
	uint32_t bit;
	int error;

	if (n <= WINDOW_BITS) {
		error = iog_window_take(windows, lane, &request, flush, &flags, &window, &bit);
		if (!error) {
			*at = window->first + bit;
			gate_exit(&windows->gates, &windows->lanes[lane].gate, flags);
			return 0;
		}
		if (error != -IOG_ENOSPC)
			return error;
	}
	if (iova->flags & IOG_IOVA_LAZY)
		return tree_take_lazy(windows, lane, n, align, limit, flush, at);
	return iog_window_tree_take(windows, lane, n, align, 0, limit, flush, at);
}

static int window_scheme_free(struct iog_iova *iova, iog_lane_t lane, uint64_t at, uint64_t n, bool clean)
{
	struct iova_window *windows = windows_of(iova);
	struct window *window = window_at(windows, at);

	if (!window)
		return iog_window_tree_give(windows, at, n, clean);
	if (n > WINDOW_BITS - (at & (WINDOW_BITS - 1)))
		return -IOG_EINVAL;
	return iog_window_give(windows, lane, window, (uint32_t)(at & (WINDOW_BITS - 1)), (uint32_t)n, clean);
}

static bool window_scheme_drain(struct iog_iova *iova, iog_lane_t lane, iog_lane_t self)
{
	uint64_t waiting;

	return windows_drain(windows_of(iova), lane, self, false, &waiting);
}

static void window_scheme_stats(struct iog_iova *iova, struct iog_iova_stats *stats)
{
	struct iova_window *windows = windows_of(iova);
	uint64_t unused = 0, stale = 0, live = 0;
	uintptr_t flags;

	for (uint32_t number = 0; number < iova->lanes; number++) {
		struct window_lane *lane = &windows->lanes[number];
		uint64_t maps = atomic_load_explicit(&lane->maps, memory_order_relaxed);

		stats->allocs += maps;
		live += maps + atomic_load_explicit(&lane->more_mapped, memory_order_relaxed) - atomic_load_explicit(&lane->unmaps, memory_order_relaxed) -
			atomic_load_explicit(&lane->more_unmapped, memory_order_relaxed);
	}
	stats->live_bytes += live << iova->granule_shift;

	flags = lanes_shut(windows, IOG_LANE_ALL, IOG_LANE_ALL);
	for (uint32_t number = 0; number < iova->lanes; number++) {
		struct window_lane *lane = &windows->lanes[number];

		gate_wait(&windows->gates, &lane->gate);
		for (uint32_t full = 0; full < 2; full++)
			for (struct window *window = full ? lane->full.head : lane->partial.head; window; window = window->next)
				for (uint32_t word = 0; word < WINDOW_WORDS; word++) {
					unused += bits_count(bits_get(&window->available[word]) | bits_get(&window->freed_clean[word]));
					stale += bits_count(bits_get(&window->stale[word]) | bits_get(&window->waiting[word]) |
										bits_get(&window->freed[word]));
				}
		gate_open(&lane->gate);
	}
	gates_unlock(&windows->gates, flags);
	stats->stale_bytes = stale << iova->granule_shift;
	stats->cached_bytes = (unused + stale) << iova->granule_shift;
}

static bool window_is_valid(struct iova_window *windows, struct window *window, uint32_t owner)
{
	for (uint32_t word = 0; word < WINDOW_WORDS; word++) {
		uint64_t a = bits_get(&window->available[word]), s = bits_get(&window->stale[word]), w = bits_get(&window->waiting[word]);

		if ((a & (s | w)) || (s & w) || (!window->dirty && (s | w)))
			return false;
	}
	return window->unused == bits_all(window->available) && atomic_load_explicit(&window->owner, memory_order_relaxed) == owner &&
	       window_at(windows, window->first) == window && iog_iova_tree_holds(&windows->tree, window->first, WINDOW_BITS);
}

static bool window_scheme_is_valid(struct iog_iova *iova)
{
	struct iova_window *windows = windows_of(iova);

	for (uint32_t number = 0; number < iova->lanes; number++) {
		struct window_lane *lane = &windows->lanes[number];
		uint32_t nr = 0, unused = 0;

		for (uint32_t full = 0; full < 2; full++)
			for (struct window *window = full ? lane->full.head : lane->partial.head; window; window = window->next) {
				if (window->full != full || !window_is_valid(windows, window, number) || (full && bits_any(window->available)))
					return false;
				nr++;
				unused += window->unused;
			}
		if (nr != lane->nr_windows || unused != lane->nr_unused)
			return false;
	}
	return iog_iova_tree_is_valid(&windows->tree);
}

const struct iog_iova_ops iog_iova_window = {
	.name = "window",
	.flags = IOG_IOVA_BOTTOM_UP | IOG_IOVA_LAZY,
	.object_size = sizeof(struct iova_window),
	.create = window_scheme_create,
	.destroy = window_scheme_destroy,
	.alloc = window_scheme_alloc,
	.free = window_scheme_free,
	.drain = window_scheme_drain,
	.stats = window_scheme_stats,
	.is_valid = window_scheme_is_valid,
};

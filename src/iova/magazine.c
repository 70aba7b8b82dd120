/* SPDX-License-Identifier: MIT */
/*
 * The scheme "magazine": freed runs are kept by the lane that freed them (Bonwick and Adams, USENIX ATC 2001). For every power of two of granules up to
 * IOG_IOVA_CACHED_MAX a lane has two magazines, loaded and previous; other sizes up to that are rounded up. Behind the lanes stands a depot of full magazines per size, and behind the
 * depot the tree. In the tree a run is handed out for as long as it is in a magazine.
 *
 *   runs in the tree = runs of callers + runs in magazines
 *
 * A lane hoards at most twice @rounds runs of a size, the depot at most @depot_max magazines; both shrink with the aperture, so that all lanes together cannot hold most of it. What
 * the depot has not needed for a while goes back to the tree, a magazine at a time, whenever EVENTS calls went past the lanes' own stock: the work of any one call is
 * bounded. A cached run above the limit of a call is passed over; the tree is asked, and before the allocation fails everything that is cached goes back there.
 *
 * Memory for magazines is taken by allocations only, into a stock of empty ones that frees draw on: one whenever a lane has had a magazine's worth of runs from the tree, which will
 * come back some day. Where there is none, runs go back to the tree one by one.
 *
 * With assertion level 1 the tree marks the runs that are cached, at the price of a visit: a run that is freed twice, or was never handed out, or not in this size, is noticed before it gets
 * into a magazine. Without, whatever is freed is believed.
 *
 * Locking: a lane's magazines are its own inside its gate, and the closer's while that is closed. Inside a gate the depot's locks and the tree's may be taken; the
 * platform's memory is not asked for.
 */
#include "../core/gate.h"
#include "magazine.h"
#include "tree.h"

#ifndef IOG_ASSERT_LEVEL
#define IOG_ASSERT_LEVEL 0
#endif

/* Calls past the lanes' own stock between two looks at the depot, which go round the sizes. */
#define EVENTS 64
/* Empty magazines: what there always is, and the most that are kept. */
#define EMPTY_FEW 2
#define EMPTY_MANY 64
#define DEPOT_MAX 64

static struct iova_magazine *magazine_of(struct iog_iova *iova)
{
	return (struct iova_magazine *)iova;
}

static uint32_t order_of(uint64_t n)
{
	return n > 1 ? bits_highest(n - 1) + 1 : 0;
}

/* ---- the depot ---- */

static bool depot_push(struct iova_magazine *all, struct depot *depot, struct magazine *magazine, uint32_t most)
{
	uintptr_t flags = spin_lock(&depot->lock, all->iova.platform);
	bool room = depot->nr < most;

	if (room) {
		magazine->next = depot->list;
		depot->list = magazine;
		depot->nr++;
		stat_add(&depot->granules, (uint64_t)magazine->nr << magazine->order);
	}
	spin_unlock(&depot->lock, all->iova.platform, flags);
	return room;
}

static struct magazine *depot_pop(struct iova_magazine *all, struct depot *depot)
{
	uintptr_t flags = spin_lock(&depot->lock, all->iova.platform);
	struct magazine *magazine = depot->list;

	if (magazine) {
		depot->list = magazine->next;
		depot->nr--;
		depot->least = depot->nr < depot->least ? depot->nr : depot->least;
		stat_add(&depot->granules, -((uint64_t)magazine->nr << magazine->order));
	}
	spin_unlock(&depot->lock, all->iova.platform, flags);
	return magazine;
}

/* Runs go back to the tree. No gate is entered. */
static void magazine_unload(struct iova_magazine *all, struct magazine *magazine)
{
	while (magazine->nr)
		/* It fails for runs that were never handed out, which assertion level 1 keeps out of magazines. */
		(void)iog_iova_tree_free(&all->tree, magazine->at[--magazine->nr], UINT64_C(1) << magazine->order);
}

/* An empty magazine into stock, or back to the platform. No gate is entered. */
static void magazine_put(struct iova_magazine *all, struct magazine *magazine)
{
	if (!depot_push(all, &all->empty, magazine, EMPTY_MANY))
		iog_iova_object_free(&all->iova, magazine, sizeof(*magazine));
}

/* The call that comes here does a little for everybody. No gate is entered. */
static void depot_event(struct iova_magazine *all)
{
	uint32_t event = atomic_fetch_add_explicit(&all->events, 1, memory_order_relaxed);
	uint32_t which = event / EVENTS % (ORDERS + 1), enough = which < ORDERS ? 0 : EMPTY_FEW;
	struct depot *depot = which < ORDERS ? &all->depots[which] : &all->empty;
	struct magazine *unused = NULL;
	uintptr_t flags;

	if (event % EVENTS)
		return;
	flags = spin_lock(&depot->lock, all->iova.platform);
	if (depot->least > enough) {
		unused = depot->list;
		depot->list = unused->next;
		depot->nr--;
		stat_add(&depot->granules, -((uint64_t)unused->nr << unused->order));
	}
	depot->least = depot->nr;
	spin_unlock(&depot->lock, all->iova.platform, flags);
	if (!unused)
		return;
	magazine_unload(all, unused);
	iog_iova_object_free(&all->iova, unused, sizeof(*unused));
}

/* Where frees find magazines. There is an allocation to do, whatever comes of this. */
static void provide_empty(struct iova_magazine *all, struct magazine_lane *lane, uint32_t order)
{
	struct magazine *magazine;
	uintptr_t flags;
	uint32_t nr;

	flags = spin_lock(&all->empty.lock, all->iova.platform);
	nr = all->empty.nr;
	spin_unlock(&all->empty.lock, all->iova.platform, flags);
	if (++lane->misses < all->rounds[order] && nr >= EMPTY_FEW)
		return;
	lane->misses = 0;
	if (nr >= EMPTY_MANY)
		return;
	magazine = iog_iova_object_alloc(&all->iova, sizeof(*magazine));
	if (magazine)
		magazine_put(all, magazine);
}

/* ---- a lane's own stock; inside its gate ---- */

static inline void count_cached(struct magazine_lane *lane, uint64_t granules)
{
	stat_add(&lane->cached, granules);
}

/* The last run that was put in and lies below the limit. */
static bool magazine_take(struct magazine *magazine, uint64_t limit, uint64_t *at)
{
	uint64_t size;

	if (!magazine || !magazine->nr)
		return false;
	size = UINT64_C(1) << magazine->order;
	for (uint32_t i = magazine->nr; i-- > 0;) {
		if (magazine->at[i] + size - 1 > limit)
			continue;
		*at = magazine->at[i];
		magazine->at[i] = magazine->at[--magazine->nr];
		return true;
	}
	return false;
}

static void swap(struct cache *cache)
{
	struct magazine *loaded = cache->loaded;

	cache->loaded = cache->previous;
	cache->previous = loaded;
}

/* @empty: an emptied magazine that is to go. */
static bool take_slowly(struct iova_magazine *all, struct magazine_lane *lane, uint32_t order, uint64_t limit, uint64_t *at, bool *own,
			struct magazine **empty)
{
	struct cache *cache = &lane->caches[order];
	struct magazine *full;

	*own = true;
	if (magazine_take(cache->loaded, limit, at))
		return true;
	if (magazine_take(cache->previous, limit, at)) {
		swap(cache);
		return true;
	}
	*own = false;
	/* Full magazines are not searched for what lies below a limit. */
	if (limit < all->iova.last || (cache->loaded && cache->loaded->nr) || (cache->previous && cache->previous->nr))
		return false;
	full = depot_pop(all, &all->depots[order]);
	if (!full)
		return false;
	*empty = cache->previous;
	cache->previous = cache->loaded;
	cache->loaded = full;
	count_cached(lane, (uint64_t)full->nr << order);
	return magazine_take(full, limit, at);
}

/* False: there is no room for the run. @surplus: a full magazine for which the depot has no room. */
static bool give_slowly(struct iova_magazine *all, struct magazine_lane *lane, uint32_t order, uint64_t at, struct magazine **surplus)
{
	struct cache *cache = &lane->caches[order];
	struct magazine *empty;

	if (cache->loaded && cache->loaded->nr < all->rounds[order]) {
		/* As on the fast path, which hosts without plain gates do not have. */
	} else if (cache->previous && cache->previous->nr < all->rounds[order]) {
		swap(cache);
	} else {
		empty = depot_pop(all, &all->empty);
		if (!empty)
			return false;
		empty->order = order;
		if (cache->previous) {
			count_cached(lane, -((uint64_t)cache->previous->nr << order));
			if (!depot_push(all, &all->depots[order], cache->previous, all->depot_max[order]))
				*surplus = cache->previous;
		}
		cache->previous = cache->loaded;
		cache->loaded = empty;
	}
	cache->loaded->at[cache->loaded->nr++] = at;
	return true;
}

/* All of a lane's magazines, in front of @list. Its gate is shut, and open afterwards. */
static struct magazine *lane_detach(struct iova_magazine *all, struct magazine_lane *lane, struct magazine *list)
{
	gate_wait(&all->gates, &lane->gate);
	for (uint32_t order = 0; order < ORDERS; order++) {
		struct cache *cache = &lane->caches[order];

		for (int i = 0; i < 2; i++) {
			if (cache->loaded) {
				cache->loaded->next = list;
				list = cache->loaded;
				cache->loaded = NULL;
			}
			swap(cache);
		}
	}
	atomic_store_explicit(&lane->cached, 0, memory_order_relaxed);
	gate_open(&lane->gate);
	return list;
}

/* ---- the scheme ---- */

static int magazine_create(struct iog_iova *iova, const struct iog_iova_config *config)
{
	struct iova_magazine *all = magazine_of(iova);
	uint64_t granules = iova->last - iova->first + 1;
	int error;

	for (uint32_t order = 0; order < ORDERS; order++) {
		/* All lanes, with two magazines per size, and all depots hold a quarter of the aperture each, or else the least that is of use. */
		uint64_t rounds = granules / ((uint64_t)iova->lanes * 8 * ORDERS) >> order, depot;

		rounds = rounds < ROUNDS_MIN ? ROUNDS_MIN : rounds;
		all->rounds[order] = rounds < ROUNDS_MAX ? (uint32_t)rounds : ROUNDS_MAX;
		depot = granules / ((uint64_t)all->rounds[order] * 4 * ORDERS) >> order;
		all->depot_max[order] = depot < DEPOT_MAX ? (uint32_t)depot : DEPOT_MAX;
		atomic_store_explicit(&all->depots[order].lock.taken, 0, memory_order_relaxed);
	}
	atomic_store_explicit(&all->empty.lock.taken, 0, memory_order_relaxed);
	gates_init(&all->gates, iova->platform);
	all->lanes = iog_iova_object_alloc(iova, iova->lanes * sizeof(*all->lanes));
	if (!all->lanes)
		return -IOG_ENOMEM;
	error = iog_iova_tree_init(&all->tree, iova, config);
	if (error)
		iog_iova_object_free(iova, all->lanes, iova->lanes * sizeof(*all->lanes));
	return error;
}

static void list_free(struct iova_magazine *all, struct magazine *list)
{
	while (list) {
		struct magazine *next = list->next;

		iog_iova_object_free(&all->iova, list, sizeof(*list));
		list = next;
	}
}

static void magazine_destroy(struct iog_iova *iova)
{
	struct iova_magazine *all = magazine_of(iova);

	for (uint32_t i = 0; i < iova->lanes; i++)
		for (uint32_t order = 0; order < ORDERS; order++) {
			iog_iova_object_free(iova, all->lanes[i].caches[order].loaded, sizeof(struct magazine));
			iog_iova_object_free(iova, all->lanes[i].caches[order].previous, sizeof(struct magazine));
		}
	for (uint32_t order = 0; order < ORDERS; order++)
		list_free(all, all->depots[order].list);
	list_free(all, all->empty.list);
	iog_iova_tree_fini(&all->tree);
	iog_iova_object_free(iova, all->lanes, iova->lanes * sizeof(*all->lanes));
}

static __attribute__((noinline)) int alloc_slowly(struct iova_magazine *all, iog_lane_t number, uint32_t order, uint64_t limit, uint64_t *at)
{
	struct magazine_lane *lane = &all->lanes[number];
	struct magazine *empty = NULL;
	uintptr_t flags = gate_enter(&all->gates, &lane->gate);
	bool own, taken = take_slowly(all, lane, order, limit, at, &own, &empty);
	int error;

	if (taken)
		count_cached(lane, -(UINT64_C(1) << order));
	gate_exit(&all->gates, &lane->gate, flags);
	if (empty)
		magazine_put(all, empty);
	if (taken && IOG_ASSERT_LEVEL >= 1)
		(void)iog_iova_tree_mark(&all->tree, *at, UINT64_C(1) << order, false);
	if (own)
		return 0;
	depot_event(all);
	if (!taken) {
		provide_empty(all, lane, order);
		error = iog_iova_tree_alloc(&all->tree, UINT64_C(1) << order, UINT64_C(1) << order, all->iova.first, limit, at);
		if (error)
			return error;
	}
	stat_add(&all->iova.stats[number].slow_allocs, 1);
	return 0;
}

static int magazine_alloc(struct iog_iova *iova, iog_lane_t number, uint64_t n, uint64_t align, uint64_t limit, const struct iog_iova_flush *flush, uint64_t *at)
{
	struct iova_magazine *all = magazine_of(iova);
	struct magazine_lane *lane = &all->lanes[number];
	struct magazine *loaded;
	uint32_t order;
	int error;

	(void)flush;
	if (n > IOG_IOVA_CACHED_MAX) {
		depot_event(all);
		error = iog_iova_tree_alloc(&all->tree, n, align, iova->first, limit, at);
		if (!error)
			stat_add(&iova->stats[number].slow_allocs, 1);
		return error;
	}
	order = order_of(n);
	if (__builtin_expect(!all->gates.plain || !gate_try_plain(&lane->gate), 0))
		return alloc_slowly(all, number, order, limit, at);
	loaded = lane->caches[order].loaded;
	if (__builtin_expect(!loaded || !loaded->nr || loaded->at[loaded->nr - 1] + (UINT64_C(1) << order) - 1 > limit, 0)) {
		gate_exit_plain(&lane->gate);
		return alloc_slowly(all, number, order, limit, at);
	}
	*at = loaded->at[--loaded->nr];
	count_cached(lane, -(UINT64_C(1) << order));
	gate_exit_plain(&lane->gate);
	if (IOG_ASSERT_LEVEL >= 1)
		(void)iog_iova_tree_mark(&all->tree, *at, UINT64_C(1) << order, false);
	return 0;
}

static __attribute__((noinline)) int free_slowly(struct iova_magazine *all, struct magazine_lane *lane, uint32_t order, uint64_t at)
{
	struct magazine *surplus = NULL;
	uintptr_t flags = gate_enter(&all->gates, &lane->gate);
	bool given = give_slowly(all, lane, order, at, &surplus);

	if (given)
		count_cached(lane, UINT64_C(1) << order);
	gate_exit(&all->gates, &lane->gate, flags);
	if (surplus) {
		magazine_unload(all, surplus);
		magazine_put(all, surplus);
	}
	return given ? 0 : iog_iova_tree_free(&all->tree, at, UINT64_C(1) << order);
}

static int magazine_free(struct iog_iova *iova, iog_lane_t number, uint64_t at, uint64_t n, bool clean)
{
	struct iova_magazine *all = magazine_of(iova);
	struct magazine_lane *lane = &all->lanes[number];
	struct magazine *loaded;
	uint32_t order;

	(void)clean;
	if (n > IOG_IOVA_CACHED_MAX)
		return iog_iova_tree_free(&all->tree, at, n);
	order = order_of(n);
	if (IOG_ASSERT_LEVEL >= 1 && iog_iova_tree_mark(&all->tree, at, UINT64_C(1) << order, true))
		return -IOG_EINVAL;
	if (__builtin_expect(!all->gates.plain || !gate_try_plain(&lane->gate), 0))
		return free_slowly(all, lane, order, at);
	loaded = lane->caches[order].loaded;
	if (__builtin_expect(!loaded || loaded->nr >= all->rounds[order], 0)) {
		gate_exit_plain(&lane->gate);
		return free_slowly(all, lane, order, at);
	}
	loaded->at[loaded->nr++] = at;
	count_cached(lane, UINT64_C(1) << order);
	gate_exit_plain(&lane->gate);
	return 0;
}

static bool magazine_drain(struct iog_iova *iova, iog_lane_t lane, iog_lane_t self)
{
	struct iova_magazine *all = magazine_of(iova);
	struct magazine *list = NULL, *magazine;
	bool came = false;
	uintptr_t flags;

	(void)self;
	flags = gates_lock(&all->gates);
	for (uint32_t i = 0; i < iova->lanes; i++)
		if (i == lane || (lane == IOG_LANE_ALL && atomic_load_explicit(&all->lanes[i].cached, memory_order_relaxed)))
			gate_shut(&all->lanes[i].gate);
	gates_settle(&all->gates);
	for (uint32_t i = 0; i < iova->lanes; i++)
		if (gate_is_shut(&all->lanes[i].gate))
			list = lane_detach(all, &all->lanes[i], list);
	gates_unlock(&all->gates, flags);
	for (uint32_t order = 0; order < ORDERS && lane == IOG_LANE_ALL; order++)
		while ((magazine = depot_pop(all, &all->depots[order]))) {
			magazine->next = list;
			list = magazine;
		}
	while ((magazine = list)) {
		list = magazine->next;
		came = came || magazine->nr;
		magazine_unload(all, magazine);
		magazine_put(all, magazine);
	}
	while (lane == IOG_LANE_ALL && (magazine = depot_pop(all, &all->empty)))
		iog_iova_object_free(iova, magazine, sizeof(*magazine));
	return came;
}

static void magazine_stats(struct iog_iova *iova, struct iog_iova_stats *stats)
{
	struct iova_magazine *all = magazine_of(iova);
	uint64_t granules = 0;

	for (uint32_t i = 0; i < iova->lanes; i++)
		granules += atomic_load_explicit(&all->lanes[i].cached, memory_order_relaxed);
	for (uint32_t order = 0; order < ORDERS; order++)
		granules += atomic_load_explicit(&all->depots[order].granules, memory_order_relaxed);
	stats->cached_bytes = granules << iova->granule_shift;
}

static bool is_valid_magazine(struct iova_magazine *all, const struct magazine *magazine, uint32_t order, uint64_t *runs, uint64_t *granules)
{
	if (!magazine)
		return true;
	if (magazine->order != order || magazine->nr > all->rounds[order])
		return false;
	for (uint32_t i = 0; i < magazine->nr; i++) {
		if (!iog_iova_tree_holds(&all->tree, magazine->at[i], UINT64_C(1) << order))
			return false;
		for (uint32_t j = 0; j < i; j++)
			if (magazine->at[i] == magazine->at[j])
				return false;
	}
	*runs += magazine->nr;
	*granules += (uint64_t)magazine->nr << order;
	return true;
}

static bool magazine_is_valid(struct iog_iova *iova)
{
	struct iova_magazine *all = magazine_of(iova);
	uint64_t runs = 0;

	for (uint32_t i = 0; i < iova->lanes; i++) {
		uint64_t granules = 0;

		for (uint32_t order = 0; order < ORDERS; order++) {
			const struct cache *cache = &all->lanes[i].caches[order];

			if (!is_valid_magazine(all, cache->loaded, order, &runs, &granules) || !is_valid_magazine(all, cache->previous, order, &runs, &granules))
				return false;
		}
		if (granules != atomic_load_explicit(&all->lanes[i].cached, memory_order_relaxed))
			return false;
	}
	for (uint32_t order = 0; order < ORDERS; order++) {
		const struct depot *depot = &all->depots[order];
		uint64_t granules = 0;
		uint32_t nr = 0;

		for (const struct magazine *magazine = depot->list; magazine; magazine = magazine->next, nr++)
			if (!is_valid_magazine(all, magazine, order, &runs, &granules))
				return false;
		if (nr != depot->nr || nr > all->depot_max[order] || depot->least > nr ||
		    granules != atomic_load_explicit(&depot->granules, memory_order_relaxed))
			return false;
	}
	return runs <= all->tree.nr_runs && iog_iova_tree_is_valid(&all->tree);
}

const struct iog_iova_ops iog_iova_magazine = {
	.name = "magazine",
	.flags = IOG_IOVA_BOTTOM_UP,
	.object_size = sizeof(struct iova_magazine),
	.create = magazine_create,
	.destroy = magazine_destroy,
	.alloc = magazine_alloc,
	.free = magazine_free,
	.drain = magazine_drain,
	.stats = magazine_stats,
	.is_valid = magazine_is_valid,
};

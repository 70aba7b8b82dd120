/* SPDX-License-Identifier: MIT */
/*
 * The scheme "pooled": bitmaps cut into pools with locks of their own, so that lanes seldom meet (Herrenschmidt, Varadhan and Miller, 2015). A lane has a pool at home; runs of more
 * than LARGE granules have one for themselves, the last quarter, and keep out of the way of small ones. A run does not cross the end of a pool.
 *
 * Within a pool it is next-fit: a search begins behind the last run. Where the pool at home has no place the neighbours are raided, one after the other.
 *
 * Lazy frees. A classic pool (the default) flushes when a search has come to its end and begins again at its beginning, and at no other time; with one pool this is the
 * single arena of old machines. With IOG_IOVA_STALE a search goes round, and only when nothing is available the pool flushes and folds back what was freed. Either does so before it raids a
 * neighbour. In both nothing that was freed is looked at before a flush that began later has completed: see pool.h. Before it fails, an allocation flushes once for all pools.
 *
 * Flushes run without a lock. While one runs for a pool, others that need one for it call their own: it began later, so it covers what the first covers, and
 * whichever completes first folds. Nobody waits for another lane.
 */
#include "../pgtable/memory.h"
#include "pool.h"

#define LARGE 15
#define POOLS_MAX 1024
#define POOLS_DEFAULT_MIN 4
#define POOLS_DEFAULT_MAX 16
/* Granules: what pools are cut by, a cache line of the bitmap. */
#define POOL_UNIT 512
#define ARENA_DEFAULT (UINT64_C(1) << 24)
/* What is freed while a flush runs is not covered by it. */
#define FLUSHES_MAX 2

struct iova_pooled {
	struct iog_iova iova;
	struct pool_bits bits;
	uint64_t nr_words;
	uint64_t nr_bits;  /* to the end of the arena */
	uint64_t pool_bits; /* of each pool but the last */
	uint32_t nr_small;
	uint32_t nr_pools; /* small ones, and the large one if there is more than one */
	struct pool *pools;
	struct iog_range *reserved; /* bits; ascending, apart */
	uint32_t nr_reserved;
	uint32_t nr_reserved_max;
	_Alignas(64) _Atomic uint64_t flush; /* number of the latest */
};

/* A call of alloc, in bits. */
struct want {
	iog_lane_t lane;
	uint64_t n;
	uint64_t align;
	uint64_t end; /* first bit above the limit */
	const struct iog_iova_flush *flush;
};

static struct iova_pooled *pooled_of(struct iog_iova *iova)
{
	return (struct iova_pooled *)iova;
}

static uintptr_t pool_lock(struct iova_pooled *all, struct pool *pool)
{
	return spin_lock(&pool->lock, all->iova.platform);
}

static void pool_unlock(struct iova_pooled *all, struct pool *pool, uintptr_t flags)
{
	spin_unlock(&pool->lock, all->iova.platform, flags);
}

static uint64_t count(_Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* ---- one pool, under its lock ---- */

enum where {
	FROM_HINT,  /* to the end */
	FROM_FIRST, /* to the hint */
	FROM_FIRST_TO_END,
};

static bool pool_take(struct iova_pooled *all, struct pool *pool, const struct want *want, enum where where, uint64_t *at)
{
	bool limited = want->end < pool->end;
	uint64_t end = limited ? want->end : pool->end, *hint = limited ? &pool->limited_hint : &pool->hint;
	uint64_t from = where == FROM_HINT ? *hint : pool->first, to = end;

	if (count(&pool->available) < want->n)
		return false;
	/* A run that begins before the hint may reach beyond it. */
	if (where == FROM_FIRST && *hint < end && end - *hint > want->n)
		to = *hint + want->n - 1;
	*at = bits_find(&all->bits, from, to, want->n, want->align);
	if (*at == to || from >= to)
		return false;
	bits_set(all->bits.used, *at, want->n);
	stat_add(&pool->available, -want->n);
	*hint = *at + want->n;
	return true;
}

static void pool_end(struct iova_pooled *all, struct pool *pool, int error)
{
	if (error)
		pool_unmark(&all->bits, pool);
	else
		pool_fold(&all->bits, pool);
	pool->flushing = 0;
}

/* A flush is about to begin for the pool, if none is running: the number of the one that is waited for. Release: what was freed before; pairs with the acquire in flush_all(). */
static uint64_t pool_begin(struct iova_pooled *all, struct pool *pool)
{
	if (!pool->flushing) {
		pool_mark(&all->bits, pool);
		pool->flushing = atomic_fetch_add_explicit(&all->flush, 1, memory_order_acq_rel) + 1;
	}
	return pool->flushing;
}

/*
 * The lazy flush for one pool, and what it covers folded back. The lock is let go meanwhile.
 */
static int pool_flush(struct iova_pooled *all, struct pool *pool, const struct want *want, uintptr_t *flags)
{
	uint64_t number;
	int error;

	if (!want->flush) {
		/* Hardware has forgotten whatever was freed. */
		pool_mark(&all->bits, pool);
		pool_fold(&all->bits, pool);
		pool->flushing = 0;
		return 0;
	}
	number = pool_begin(all, pool);
	pool_unlock(all, pool, *flags);
	error = iova_flush(&all->iova, want->lane, want->flush);
	*flags = pool_lock(all, pool);
	/* Otherwise somebody else's flush has completed, or failed, before this one: then it was he who saw to it. */
	if (pool->flushing == number)
		pool_end(all, pool, error);
	return error;
}

/* ---- the pool at home, its neighbours, and all of them ---- */

/* 0, -IOG_ENOSPC, or what the flush returned. */
static int home_take(struct iova_pooled *all, struct pool *pool, const struct want *want, bool *slow, uint64_t *at)
{
	bool limited = want->end < pool->end;
	uintptr_t flags;
	int error = 0;

	if (want->end <= pool->first)
		return -IOG_ENOSPC;
	flags = pool_lock(all, pool);
	if (pool_take(all, pool, want, FROM_HINT, at))
		goto out;
	/* A limit that comes before the end of the pool is not the end. */
	if ((limited || !pool->classic || !count(&pool->stale)) && pool_take(all, pool, want, FROM_FIRST, at))
		goto out;
	*slow = true;
	for (int i = 0; i < FLUSHES_MAX && !error && count(&pool->stale); i++) {
		error = pool_flush(all, pool, want, &flags);
		if (pool_take(all, pool, want, FROM_FIRST_TO_END, at)) {
			error = 0;
			goto out;
		}
	}
	error = error ? error : -IOG_ENOSPC;
out:
	pool_unlock(all, pool, flags);
	return error;
}

static bool raid(struct iova_pooled *all, uint32_t home, const struct want *want, uint64_t *at)
{
	for (uint32_t i = 0; i < all->nr_pools; i++) {
		struct pool *pool = &all->pools[(home + i) % all->nr_pools];
		uintptr_t flags;
		bool taken;

		if (want->end <= pool->first || count(&pool->available) < want->n)
			continue;
		flags = pool_lock(all, pool);
		taken = pool_take(all, pool, want, FROM_HINT, at) || pool_take(all, pool, want, FROM_FIRST, at);
		pool_unlock(all, pool, flags);
		if (taken)
			return true;
	}
	return false;
}

/*
 * One flush for all pools, those too for which somebody else's is running: pools are marked, and the mark is numbered, under their locks, so that whatever has a number up to the latest
 * one before this flush is covered by it. -IOG_ENOSPC if there is nothing to flush.
 */
static int flush_all(struct iova_pooled *all, const struct want *want)
{
	uint64_t before = atomic_load_explicit(&all->flush, memory_order_relaxed), latest;
	bool stale = false;
	uintptr_t flags;
	int error = 0;

	for (uint32_t i = 0; i < all->nr_pools; i++) {
		struct pool *pool = &all->pools[i];

		if (want->end <= pool->first || !count(&pool->stale))
			continue;
		flags = pool_lock(all, pool);
		(void)pool_begin(all, pool);
		stale = true;
		pool_unlock(all, pool, flags);
	}
	if (!stale)
		return -IOG_ENOSPC;
	latest = atomic_load_explicit(&all->flush, memory_order_acquire);
	if (want->flush)
		error = iova_flush(&all->iova, want->lane, want->flush);
	for (uint32_t i = 0; i < all->nr_pools; i++) {
		struct pool *pool = &all->pools[i];

		flags = pool_lock(all, pool);
		/* After an error what others have marked before is left to them. */
		if (pool->flushing && pool->flushing <= latest && (!error || pool->flushing > before))
			pool_end(all, pool, error);
		pool_unlock(all, pool, flags);
	}
	return error;
}

static int pooled_alloc(struct iog_iova *iova, iog_lane_t lane, uint64_t n, uint64_t align, uint64_t limit, const struct iog_iova_flush *flush, uint64_t *at)
{
	struct iova_pooled *all = pooled_of(iova);
	struct want want = { .lane = lane, .n = n, .align = align, .end = all->nr_bits, .flush = flush };
	uint32_t home = n > LARGE ? all->nr_pools - 1 : lane & (all->nr_small - 1);
	bool slow = false;
	int error;

	if (limit - all->bits.base < want.end)
		want.end = limit - all->bits.base + 1;
	error = home_take(all, &all->pools[home], &want, &slow, at);
	if (error) {
		slow = true;
		if (raid(all, home, &want, at)) {
			error = 0;
		} else if (error == -IOG_ENOSPC && iova->flags & IOG_IOVA_LAZY) {
			error = flush_all(all, &want);
			if (!error && !raid(all, home, &want, at))
				error = -IOG_ENOSPC;
		}
	}
	if (error)
		return error;
	if (slow)
		stat_add(&iova->stats[lane].slow_allocs, 1);
	*at += all->bits.base;
	return 0;
}

/* Whether any of [at, at + n) is reserved. */
static bool is_reserved(const struct iova_pooled *all, uint64_t at, uint64_t n)
{
	uint32_t low = 0, high = all->nr_reserved;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (all->reserved[middle].last < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low < all->nr_reserved && all->reserved[low].first < at + n;
}

static int pooled_free(struct iog_iova *iova, iog_lane_t lane, uint64_t at, uint64_t n, bool clean)
{
	struct iova_pooled *all = pooled_of(iova);
	struct pool *pool;
	uintptr_t flags;
	uint64_t which;
	bool fine;

	(void)lane;
	at -= all->bits.base;
	if (at >= all->nr_bits || n > all->nr_bits - at || is_reserved(all, at, n))
		return -IOG_EINVAL;
	which = at / all->pool_bits;
	pool = &all->pools[which < all->nr_small ? which : all->nr_pools - 1];
	if (at + n > pool->end)
		return -IOG_EINVAL;
	flags = pool_lock(all, pool);
	fine = bits_handed_out(&all->bits, at, n);
	if (fine && clean) {
		bits_clear(all->bits.used, at, n);
		stat_add(&pool->available, n);
	} else if (fine) {
		bits_set(all->bits.stale, at, n);
		stat_add(&pool->stale, n);
	}
	pool_unlock(all, pool, flags);
	return fine ? 0 : -IOG_EINVAL;
}

/* ---- create, destroy ---- */

/* [first, last] is reserved; the list stays ascending and its members apart. */
static void reserve(struct iova_pooled *all, uint64_t first, uint64_t last)
{
	struct iog_range *list = all->reserved;
	uint32_t at = 0, stop;

	while (at < all->nr_reserved && list[at].last < first)
		at++;
	for (stop = at; stop < all->nr_reserved && list[stop].first <= last; stop++) {
		first = list[stop].first < first ? list[stop].first : first;
		last = list[stop].last > last ? list[stop].last : last;
	}
	memmove(&list[at + 1], &list[stop], (all->nr_reserved - stop) * sizeof(*list));
	all->nr_reserved += 1 - (stop - at);
	list[at] = (struct iog_range){ first, last };
	bits_set(all->bits.used, first, last - first + 1);
}

/* Pools of whole units, and beside them one for large runs; fewer than asked for where they would be smaller than a unit. */
static void cut(struct iova_pooled *all, uint32_t nr)
{
	while (nr > 1 && all->nr_bits / 4 * 3 / nr < POOL_UNIT)
		nr /= 2;
	all->nr_small = nr;
	all->nr_pools = nr > 1 ? nr + 1 : 1;
	all->pool_bits = nr > 1 ? all->nr_bits / 4 * 3 / nr & ~(uint64_t)(POOL_UNIT - 1) : all->nr_bits;
}

static void pools_init(struct iova_pooled *all, uint64_t first)
{
	for (uint32_t i = 0; i < all->nr_pools; i++) {
		struct pool *pool = &all->pools[i];
		uint64_t available = 0;

		atomic_store_explicit(&pool->lock.taken, 0, memory_order_relaxed);
		pool->classic = !(all->iova.flags & IOG_IOVA_STALE);
		pool->first = i ? i * all->pool_bits : first;
		pool->end = i + 1 < all->nr_pools ? (i + 1) * all->pool_bits : all->nr_bits;
		pool->hint = pool->first;
		pool->limited_hint = pool->first;
		for (uint64_t bit = pool->first; bit < pool->end;) {
			uint64_t word = bit / 64;

			available += word_count(word_part(&bit, pool->end) & ~all->bits.used[word]);
		}
		atomic_store_explicit(&pool->available, available, memory_order_relaxed);
	}
}

static void pooled_destroy(struct iog_iova *iova)
{
	struct iova_pooled *all = pooled_of(iova);

	iog_iova_object_free(iova, all->reserved, all->nr_reserved_max * sizeof(*all->reserved));
	iog_iova_object_free(iova, all->pools, all->nr_pools * sizeof(*all->pools));
	iog_iova_object_free(iova, all->bits.stale, all->nr_words * sizeof(uint64_t));
	iog_iova_object_free(iova, all->bits.used, all->nr_words * sizeof(uint64_t));
}

static uint32_t pools_wanted(const struct iog_iova *iova, const struct iog_iova_config *config)
{
	uint32_t nr = POOLS_DEFAULT_MIN;

	if (config->pools)
		return config->pools;
	while (nr < iova->lanes && nr < POOLS_DEFAULT_MAX)
		nr *= 2;
	return nr;
}

static int pooled_create(struct iog_iova *iova, const struct iog_iova_config *config)
{
	struct iova_pooled *all = pooled_of(iova);
	uint64_t granules = iova->last - iova->first + 1, first;

	if (config->pools > POOLS_MAX || config->pools & (config->pools - 1) || config->arena & ((UINT64_C(1) << iova->granule_shift) - 1))
		return -IOG_EINVAL;
	if (config->arena && config->arena >> iova->granule_shift < granules)
		granules = config->arena >> iova->granule_shift;
	else if (!config->arena && granules > ARENA_DEFAULT)
		granules = ARENA_DEFAULT;
	all->bits.base = iova->first & ~UINT64_C(63);
	first = iova->first - all->bits.base;
	all->nr_bits = first + granules;
	all->nr_words = (all->nr_bits + 63) / 64;
	cut(all, pools_wanted(iova, config));

	all->bits.used = iog_iova_object_alloc(iova, all->nr_words * sizeof(uint64_t));
	all->pools = iog_iova_object_alloc(iova, all->nr_pools * sizeof(*all->pools));
	if (iova->flags & IOG_IOVA_LAZY)
		all->bits.stale = iog_iova_object_alloc(iova, all->nr_words * sizeof(uint64_t));
	if (config->nr_reserved) {
		all->nr_reserved_max = config->nr_reserved;
		all->reserved = iog_iova_object_alloc(iova, all->nr_reserved_max * sizeof(*all->reserved));
	}
	if (!all->bits.used || !all->pools || (iova->flags & IOG_IOVA_LAZY && !all->bits.stale) || (config->nr_reserved && !all->reserved)) {
		pooled_destroy(iova);
		return -IOG_ENOMEM;
	}

	for (uint32_t i = 0; i < config->nr_reserved; i++) {
		uint64_t from = config->reserved[i].first >> iova->granule_shift, to = config->reserved[i].last >> iova->granule_shift;

		from = from < iova->first ? iova->first : from;
		to = to < all->bits.base + all->nr_bits ? to : all->bits.base + all->nr_bits - 1;
		if (from <= to)
			reserve(all, from - all->bits.base, to - all->bits.base);
	}
	pools_init(all, first);
	return 0;
}

static void pooled_stats(struct iog_iova *iova, struct iog_iova_stats *stats)
{
	struct iova_pooled *all = pooled_of(iova);
	uint64_t stale = 0;

	for (uint32_t i = 0; i < all->nr_pools; i++)
		stale += count(&all->pools[i].stale);
	stats->stale_bytes = stale << iova->granule_shift;
	stats->cached_bytes = stats->stale_bytes;
}

static bool pooled_is_valid(struct iog_iova *iova)
{
	struct iova_pooled *all = pooled_of(iova);

	for (uint32_t i = 0; i < all->nr_pools; i++)
		if (!pool_is_valid(&all->bits, &all->pools[i]))
			return false;
	for (uint32_t i = 0; i < all->nr_reserved; i++)
		if (!bits_handed_out(&all->bits, all->reserved[i].first, all->reserved[i].last - all->reserved[i].first + 1))
			return false;
	return true;
}

const struct iog_iova_ops iog_iova_pooled = {
	.name = "pooled",
	.flags = IOG_IOVA_BOTTOM_UP | IOG_IOVA_LAZY | IOG_IOVA_STALE,
	.object_size = sizeof(struct iova_pooled),
	.create = pooled_create,
	.destroy = pooled_destroy,
	.alloc = pooled_alloc,
	.free = pooled_free,
	.stats = pooled_stats,
	.is_valid = pooled_is_valid,
};

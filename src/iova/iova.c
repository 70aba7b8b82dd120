/* SPDX-License-Identifier: MIT */
/*
 * What all allocators share: arguments, counters, accounts, and what is tried before an allocation fails.
 *
 * From here down everything is in granules, and within the aperture: a granule number has at most 52 bits, so that sums of two do not overflow.
 *
 *   live_bytes = bytes allocated - bytes freed, by the sizes asked for, whatever a scheme rounds them up to
 */
#include "allocator.h"

#include "../pgtable/memory.h"

#define LANES_MAX 4096
#define GRANULE_MIN 4096
#define GRANULE_MAX 65536
#define LAST_DEFAULT ((UINT64_C(1) << 48) - 1)
#define FLAGS_ALL (IOG_IOVA_BOTTOM_UP | IOG_IOVA_LAZY | IOG_IOVA_STALE)
/* Times that the stock of all lanes is taken in for one allocation: it may be gone again, to others, before the next attempt. */
#define RECLAIMS_MAX 4

static bool is_power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

/* Memory comes before there is an object to account it to. */
static void *object_new(const struct iog_platform *platform, size_t size)
{
	return platform->object_alloc(platform->ctx, size);
}

void *iog_iova_object_alloc(struct iog_iova *iova, size_t size)
{
	void *object = object_new(iova->platform, size);

	if (object)
		atomic_fetch_add_explicit(&iova->object_bytes, size, memory_order_relaxed);
	return object;
}

void iog_iova_object_free(struct iog_iova *iova, void *object, size_t size)
{
	if (!object)
		return;
	iova->platform->object_free(iova->platform->ctx, object, size);
	atomic_fetch_sub_explicit(&iova->object_bytes, size, memory_order_relaxed);
}

static int check_config(const struct iog_iova_config *config, uint64_t granule, uint64_t last)
{
	const struct iog_platform *platform = config->platform;

	if (!config->ops || !platform || !platform->object_alloc || !platform->object_free)
		return -IOG_EINVAL;
	if (config->lanes > LANES_MAX || config->flags & ~(uint32_t)FLAGS_ALL)
		return -IOG_EINVAL;
	if (config->flags & IOG_IOVA_STALE && !(config->flags & IOG_IOVA_LAZY))
		return -IOG_EINVAL;
	if (!is_power_of_two(granule) || granule < GRANULE_MIN || granule > GRANULE_MAX)
		return -IOG_EINVAL;
	if (config->first & (granule - 1) || (last + 1) & (granule - 1) || config->first > last)
		return -IOG_EINVAL;
	if (config->nr_reserved && !config->reserved)
		return -IOG_EINVAL;
	for (uint32_t i = 0; i < config->nr_reserved; i++)
		if (config->reserved[i].first > config->reserved[i].last)
			return -IOG_EINVAL;
	return config->flags & ~config->ops->flags ? -IOG_EOPNOTSUPP : 0;
}

int iog_iova_create(const struct iog_iova_config *config, struct iog_iova **result)
{
	uint64_t granule, last;
	struct iog_iova *iova;
	int error;

	if (!config || !result)
		return -IOG_EINVAL;
	granule = config->granule ? config->granule : GRANULE_MIN;
	last = config->last ? config->last : LAST_DEFAULT;
	error = check_config(config, granule, last);
	if (error)
		return error;

	iova = object_new(config->platform, config->ops->object_size);
	if (!iova)
		return -IOG_ENOMEM;
	iova->ops = config->ops;
	iova->platform = config->platform;
	iova->lanes = config->lanes ? config->lanes : 1;
	iova->flags = config->flags;
	iova->granule_shift = bits_lowest(granule);
	iova->first = config->first >> iova->granule_shift;
	iova->last = last >> iova->granule_shift;
	iova->align_max = IOG_IOVA_ALIGN_MAX >> iova->granule_shift;
	iova->object_size = config->ops->object_size;
	atomic_store_explicit(&iova->object_bytes, iova->object_size, memory_order_relaxed);

	iova->stats = iog_iova_object_alloc(iova, iova->lanes * sizeof(*iova->stats));
	error = iova->stats ? iova->ops->create(iova, config) : -IOG_ENOMEM;
	if (error) {
		iog_iova_object_free(iova, iova->stats, iova->lanes * sizeof(*iova->stats));
		iova->platform->object_free(iova->platform->ctx, iova, iova->object_size);
		return error;
	}
	*result = iova;
	return 0;
}

void iog_iova_destroy(struct iog_iova *iova)
{
	if (!iova)
		return;
	iova->ops->destroy(iova);
	iog_iova_object_free(iova, iova->stats, iova->lanes * sizeof(*iova->stats));
	iova->platform->object_free(iova->platform->ctx, iova, iova->object_size);
}

/* The scheme has found no place. What the caller holds back, then what lanes hold in stock, may make one. */
static __attribute__((noinline)) int alloc_hard(struct iog_iova *iova, iog_lane_t lane, uint64_t n, uint64_t align, uint64_t limit,
						const struct iog_iova_flush *flush, uint64_t *at)
{
	int flush_error = 0, error = -IOG_ENOSPC;

	if (flush && !(iova->flags & IOG_IOVA_LAZY)) {
		flush_error = iova_flush(iova, lane, flush);
		if (!flush_error)
			error = iova->ops->alloc(iova, lane, n, align, limit, flush, at);
	}
	for (int i = 0; error == -IOG_ENOSPC && i < RECLAIMS_MAX; i++) {
		if (!iova->ops->drain || !iova->ops->drain(iova, IOG_LANE_ALL, lane))
			break;
		atomic_fetch_add_explicit(&iova->reclaims, 1, memory_order_relaxed);
		error = iova->ops->alloc(iova, lane, n, align, limit, flush, at);
	}
	return error == -IOG_ENOSPC && flush_error ? flush_error : error;
}

int iog_iova_alloc(struct iog_iova *iova, iog_lane_t lane, uint64_t size, iog_iova_t limit, const struct iog_iova_flush *flush, iog_iova_t *address)
{
	struct iova_lane_stats *stats;
	uint64_t n, align, last, at;
	int error;

	if (!size || lane >= iova->lanes)
		return -IOG_EINVAL;
	n = ((size - 1) >> iova->granule_shift) + 1;
	last = iova->last;
	if (limit >> iova->granule_shift <= last && limit != UINT64_MAX) {
		/* The last granule that lies below the limit with all of its bytes. */
		last = (limit + 1) >> iova->granule_shift;
		if (!last || --last < iova->first)
			return -IOG_ENOSPC;
	}
	if (n > last - iova->first + 1)
		return -IOG_ENOSPC;
	align = run_align(n, iova->align_max);

	error = iova->ops->alloc(iova, lane, n, align, last, flush, &at);
	if (__builtin_expect(error == -IOG_ENOSPC, 0))
		error = alloc_hard(iova, lane, n, align, last, flush, &at);
	if (__builtin_expect(error, 0))
		return error;
	stats = &iova->stats[lane];
	stat_add_signed(&stats->live_granules, (int64_t)n);
	stat_add(&stats->allocs, 1);
	*address = at << iova->granule_shift;
	return 0;
}

static inline int run_free(struct iog_iova *iova, iog_lane_t lane, iog_iova_t address, uint64_t size, bool clean)
{
	uint64_t n, at;
	int error;

	if (!size || lane >= iova->lanes)
		return -IOG_EINVAL;
	n = ((size - 1) >> iova->granule_shift) + 1;
	at = address >> iova->granule_shift;
	if (at << iova->granule_shift != address || at < iova->first || at > iova->last || n > iova->last - at + 1)
		return -IOG_EINVAL;
	if (at & (run_align(n, iova->align_max) - 1))
		return -IOG_EINVAL;

	error = iova->ops->free(iova, lane, at, n, clean);
	if (__builtin_expect(!error, 1))
		stat_add_signed(&iova->stats[lane].live_granules, -(int64_t)n);
	return error;
}

int iog_iova_free(struct iog_iova *iova, iog_lane_t lane, iog_iova_t address, uint64_t size)
{
	return run_free(iova, lane, address, size, !(iova->flags & IOG_IOVA_LAZY));
}

int iog_iova_free_flushed(struct iog_iova *iova, iog_lane_t lane, iog_iova_t address, uint64_t size)
{
	return run_free(iova, lane, address, size, true);
}

int iog_iova_drain(struct iog_iova *iova, iog_lane_t lane, iog_lane_t self)
{
	if (self >= iova->lanes || (lane != IOG_LANE_ALL && lane >= iova->lanes))
		return -IOG_EINVAL;
	if (iova->ops->drain)
		(void)iova->ops->drain(iova, lane, self);
	return 0;
}

void iog_iova_stats(struct iog_iova *iova, struct iog_iova_stats *stats)
{
	int64_t live = 0;

	memset(stats, 0, sizeof(*stats));
	for (uint32_t i = 0; i < iova->lanes; i++) {
		live += atomic_load_explicit(&iova->stats[i].live_granules, memory_order_relaxed);
		stats->allocs += atomic_load_explicit(&iova->stats[i].allocs, memory_order_relaxed);
		stats->slow_allocs += atomic_load_explicit(&iova->stats[i].slow_allocs, memory_order_relaxed);
		stats->flushes += atomic_load_explicit(&iova->stats[i].flushes, memory_order_relaxed);
	}
	stats->live_bytes = (uint64_t)live << iova->granule_shift;
	stats->object_bytes = atomic_load_explicit(&iova->object_bytes, memory_order_relaxed);
	stats->reclaims = atomic_load_explicit(&iova->reclaims, memory_order_relaxed);
	if (iova->ops->stats)
		iova->ops->stats(iova, stats);
}

bool iog_iova_is_valid(struct iog_iova *iova)
{
	struct iog_iova_stats stats;

	iog_iova_stats(iova, &stats);
	/* Of all together: a scheme may count what it maps itself (windows), and what is freed comes here. */
	return stats.live_bytes >> iova->granule_shift <= iova->last - iova->first + 1 && stats.stale_bytes <= stats.cached_bytes && iova->ops->is_valid(iova);
}

/* SPDX-License-Identifier: MIT */
/*
 * What every allocator is made of: the part they share, and the operations that a scheme fills in. iova.c checks arguments, counts, and retries; a scheme allocates.
 */
#ifndef IOG_IOVA_ALLOCATOR_H
#define IOG_IOVA_ALLOCATOR_H

#include <iogate/error.h>
#include <iogate/iova.h>
#include <iogate/platform.h>

#include "../core/bits.h"
#include "../core/lock.h"

/* Counters of one lane; only the sums over lanes mean something. */
struct iova_lane_stats {
	_Alignas(64) _Atomic int64_t live_granules;
	_Atomic uint64_t allocs;
	_Atomic uint64_t slow_allocs;
	_Atomic uint64_t flushes;
};

/* The shared part; a scheme's own struct begins with it. Granules: addresses and sizes in units of the granule. */
struct iog_iova {
	const struct iog_iova_ops *ops;
	const struct iog_platform *platform;
	uint32_t lanes;
	uint32_t flags;
	uint32_t granule_shift;
	uint64_t first;      /* granules */
	uint64_t last;       /* granules, inclusive */
	uint64_t align_max;  /* granules */
	uint64_t object_size; /* bytes of this object */
	_Atomic uint64_t object_bytes; /* all bookkeeping */
	_Atomic uint64_t reclaims;
	struct iova_lane_stats *stats; /* one per lane */
};

struct iog_iova_ops {
	const char *name;
	uint32_t flags;     /* enum iog_iova_flags that the scheme knows */
	size_t object_size; /* of the scheme's struct; iova.c allocates and zeroes it, and fills in the shared part */

	/* The scheme's own part. On error it leaves nothing behind. */
	int (*create)(struct iog_iova *iova, const struct iog_iova_config *config);
	void (*destroy)(struct iog_iova *iova);

	/*
	 * @n granules at a multiple of @align (a power of two) granules, none above @limit (granules, inclusive, within the aperture). -IOG_ENOSPC sends iova.c to
	 * flush and reclaim(), once each, and then here again.
	 */
	int (*alloc)(struct iog_iova *iova, iog_lane_t lane, uint64_t n, uint64_t align, uint64_t limit, const struct iog_iova_flush *flush, uint64_t *at);

	/* @clean: hardware has forgotten it, whatever IOG_IOVA_LAZY says. */
	int (*free)(struct iog_iova *iova, iog_lane_t lane, uint64_t at, uint64_t n, bool clean);

	/* Take in the stock of @lane, or of IOG_LANE_ALL and the shared stock; @self is the caller's. Optional. Returns whether anything came in. */
	bool (*drain)(struct iog_iova *iova, iog_lane_t lane, iog_lane_t self);

	/* The scheme's share of @stats: cached and stale bytes. Optional. */
	void (*stats)(struct iog_iova *iova, struct iog_iova_stats *stats);
	bool (*is_valid)(struct iog_iova *iova);
};

/* The alignment of a run of @n granules: its size rounded up to a power of two, at most @most. */
static inline uint64_t run_align(uint64_t n, uint64_t most)
{
	uint64_t align = n > 1 ? UINT64_C(2) << bits_highest(n - 1) : 1;

	return align < most && align ? align : most;
}

/* A lane's own counter. */
static inline void stat_add(_Atomic uint64_t *counter, uint64_t by)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by, memory_order_relaxed);
}

static inline void stat_add_signed(_Atomic int64_t *counter, int64_t by)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by, memory_order_relaxed);
}

/**
 * iog_iova_free_flushed() - iog_iova_free() of what hardware has forgotten already, whatever IOG_IOVA_LAZY says.
 * @iova: the allocator.
 * @lane: the caller's lane.
 * @address: first address.
 * @size: bytes.
 *
 * Return: as iog_iova_free().
 */
int iog_iova_free_flushed(struct iog_iova *iova, iog_lane_t lane, iog_iova_t address, uint64_t size);

/* The lazy flush, counted. No lock is held. */
static inline int iova_flush(struct iog_iova *iova, iog_lane_t lane, const struct iog_iova_flush *flush)
{
	stat_add(&iova->stats[lane].flushes, 1);
	return flush->flush(flush->ctx);
}

/**
 * iog_iova_object_alloc() - bookkeeping memory, accounted.
 * @iova: whose.
 * @size: bytes.
 *
 * Return: zeroed, or NULL.
 */
void *iog_iova_object_alloc(struct iog_iova *iova, size_t size);

/**
 * iog_iova_object_free() - give it back.
 * @iova: whose.
 * @object: NULL is allowed.
 * @size: the same.
 */
void iog_iova_object_free(struct iog_iova *iova, void *object, size_t size);

#endif

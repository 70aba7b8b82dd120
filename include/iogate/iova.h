/* SPDX-License-Identifier: MIT */
/*
 * IOVA allocators: which addresses a device may be told to use. One interface over several schemes, so that they can be compared and exchanged.
 *
 * A run of @size bytes begins at a multiple of its size rounded up to a power of two (at most IOG_IOVA_ALIGN_MAX), so that one aligned range invalidation covers it.
 * Nothing is handed out twice, nothing outside [first, last] or above the limit of the call, nothing that is reserved.
 *
 * Freed addresses and hardware. An address may be handed out again once no unit remembers it. Either the caller frees it only then; or the allocator was created with
 * IOG_IOVA_LAZY, takes addresses whose invalidation is still to come, and runs the flush that it is given with iog_iova_alloc() before it uses them again.
 */
#ifndef IOGATE_IOVA_H
#define IOGATE_IOVA_H

#include <stdbool.h>

#include <iogate/gather.h>
#include <iogate/types.h>
#include <iogate/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iog_iova;
struct iog_platform;

/*
 * A scheme. Opaque; name the one you want, and a static link holds no other.
 *
 *   tree       ordered by address, searched by gap: O(log n) whatever the history
 *   magazine   per-lane magazines over a shared depot over the tree, for every power of two up to IOG_IOVA_CACHED_MAX (Bonwick and Adams, USENIX ATC 2001; Peleg et al., USENIX ATC 2015)
 *   pooled     bitmap pools with locks of their own, hashed by lane (Herrenschmidt, Varadhan and Miller, 2015)
 *   window     512 granules at a time, owned by one lane; larger requests go to a tree
 */
struct iog_iova_ops;

IOG_API extern const struct iog_iova_ops iog_iova_tree;
IOG_API extern const struct iog_iova_ops iog_iova_magazine;
IOG_API extern const struct iog_iova_ops iog_iova_pooled;
IOG_API extern const struct iog_iova_ops iog_iova_window;

/* Runs are aligned to their size up to this many bytes. */
#define IOG_IOVA_ALIGN_MAX (UINT64_C(1) << 30)
/* The largest run that magazines and windows serve from a lane's own stock: this many granules. */
#define IOG_IOVA_CACHED_MAX 512

enum iog_iova_flags {
	/* Lowest address first. Default: highest first, below the limit. Of no meaning to pooled. */
	IOG_IOVA_BOTTOM_UP = 1 << 0,
	/* Addresses are freed before their invalidation, see above. Pooled and window only; others refuse it with -IOG_EOPNOTSUPP. */
	IOG_IOVA_LAZY = 1 << 1,
	/* Pooled, with LAZY: freed addresses go to a second bitmap, and a pool that is full flushes and folds back its own before it raids a neighbour. */
	IOG_IOVA_STALE = 1 << 2,
};

/**
 * struct iog_iova_flush - the lazy flush: what to call before an allocator gives up on a pool, or uses addresses again that were freed lazily.
 *
 * @flush: makes hardware forget every address freed so far, whoever freed it; may itself call iog_iova_free() with the same lane (a caller that queues what it
 *         frees drains the queue here). Called with no lock of the allocator held. Returns 0, or an error, and then nothing is used again on its account.
 * @ctx: handed to @flush.
 */
struct iog_iova_flush {
	int (*flush)(void *ctx);
	void *ctx;
};

/**
 * struct iog_iova_config - zero means default.
 */
struct iog_iova_config {
	/* Mandatory: the scheme. */
	const struct iog_iova_ops *ops;
	/* Mandatory: the host; kept by reference. */
	const struct iog_platform *platform;
	/* Lanes that may use it: 1 to 4096. Default 1. */
	uint32_t lanes;
	/* enum iog_iova_flags. */
	uint32_t flags;
	/* Bytes, a power of two from 4096 to 65536: the unit of allocation. Default 4096. */
	uint64_t granule;
	/* The aperture, inclusive; first a multiple of the granule, last + 1 too. last = 0 means 2^48 - 1. */
	iog_iova_t first;
	iog_iova_t last;
	/* Ranges never to be handed out (message-signalled interrupts, reserved regions); any order and alignment, they may overlap and reach beyond the aperture. Copied. */
	const struct iog_range *reserved;
	uint32_t nr_reserved;
	/* Pooled: pools, a power of two up to 1024. 1 is the classic single arena, which flushes when it wraps and at no other time. Default: 4 to 16, by lanes. */
	uint32_t pools;
	/* Pooled: bytes of the aperture to serve, a multiple of the granule, from its beginning, as its bitmaps take a bit per granule. Default: all of it, at most 2^24 granules. */
	uint64_t arena;
};

/**
 * struct iog_iova_stats - exact when no call is running.
 */
struct iog_iova_stats {
	uint64_t live_bytes;   /* handed out and not freed */
	uint64_t cached_bytes; /* freed, and in stock of lanes, depots or windows instead of the tree or bitmap */
	uint64_t stale_bytes;  /* of these, freed lazily and not known to be flushed */
	uint64_t object_bytes; /* bookkeeping held from the platform */
	uint64_t allocs;       /* allocations that succeeded, ever */
	uint64_t slow_allocs;  /* of these, those that went beyond the lane's own stock */
	uint64_t flushes;      /* times that the lazy flush was called, ever */
	uint64_t reclaims;     /* times that the stock of all lanes was taken in before an allocation would have failed, ever */
};

/**
 * iog_iova_create() - an allocator.
 * @config: kept by value.
 * @iova: result; unchanged on error.
 *
 * Context: any; allocates.
 * Return: 0; -IOG_EINVAL for a malformed @config (STALE without LAZY, too), or a @platform without object_alloc and object_free; -IOG_EOPNOTSUPP for flags that the scheme has not;
 *         -IOG_ENOMEM.
 */
IOG_API int iog_iova_create(const struct iog_iova_config *config, struct iog_iova **iova);

/**
 * iog_iova_destroy() - free it, whatever is handed out.
 * @iova: NULL is allowed.
 *
 * Context: any; no other call running.
 */
IOG_API void iog_iova_destroy(struct iog_iova *iova);

/**
 * iog_iova_alloc() - a run of addresses.
 * @iova: the allocator.
 * @lane: the caller's lane.
 * @size: bytes, not 0; rounded up to the granule.
 * @limit: the last address that the run may contain (a device's DMA mask). UINT64_MAX for none.
 * @flush: the lazy flush, or NULL. With IOG_IOVA_LAZY, NULL means that whatever was freed is forgotten by hardware already. Schemes without lazy frees call it
 *         once before they give up, as it may free what the caller still holds back.
 * @address: result; unchanged on error.
 *
 * Before it fails for want of space it has emptied the stock of every lane.
 *
 * Context: @lane; may take bookkeeping memory from the platform; may wait where @flush does, and, to empty their stock, for lanes to leave a call (a few instructions).
 * Return: 0; -IOG_EINVAL for a @size of 0 or a bad @lane; -IOG_ENOSPC; -IOG_ENOMEM; what @flush returned.
 */
IOG_API int iog_iova_alloc(struct iog_iova *iova, iog_lane_t lane, uint64_t size, iog_iova_t limit, const struct iog_iova_flush *flush, iog_iova_t *address);

/**
 * iog_iova_free() - give a run back.
 * @iova: the allocator.
 * @lane: the caller's lane; need not be the one that allocated it.
 * @address: from iog_iova_alloc().
 * @size: the size that was asked for, or that rounded up to the granule.
 *
 * A run that is not handed out as such (freed twice, another size, an address of somebody else) is refused where the scheme can see it: the tree always; with assertion
 * level 1 the magazines too, which take a visit to the tree for it; pooled and window see whether every granule of it is handed out. Window has two limits: another lane than the owner looks
 * at the owner's bitmaps with assertion level 1 only, and two lanes that free one run at the same moment are not told apart.
 *
 * Context: @lane; does not allocate, or wait for hardware.
 * Return: 0; -IOG_EINVAL (a @size of 0, a bad @lane, an address outside the aperture or where no run of this size begins, a run that is seen not to be handed out), and nothing is
 *         changed.
 */
IOG_API int iog_iova_free(struct iog_iova *iova, iog_lane_t lane, iog_iova_t address, uint64_t size);

/**
 * iog_iova_drain() - take in the stock of one lane, or of all.
 * @iova: the allocator.
 * @lane: the lane whose stock goes back: one that goes away. IOG_LANE_ALL: every lane's, and the shared stock.
 * @self: the caller's lane; may be @lane.
 *
 * What was freed lazily stays until a flush is known to have covered it. Does nothing with schemes that keep no stock: tree, pooled.
 *
 * Context: @self; does not allocate, or wait for hardware. Other lanes may be inside calls, and are waited for (a few instructions).
 * Return: 0; -IOG_EINVAL for a bad lane.
 */
IOG_API int iog_iova_drain(struct iog_iova *iova, iog_lane_t lane, iog_lane_t self);

/**
 * iog_iova_stats() - counts.
 * @iova: the allocator.
 * @stats: result.
 *
 * Context: any. Of windows it closes every lane's gate for as long as it counts.
 */
IOG_API void iog_iova_stats(struct iog_iova *iova, struct iog_iova_stats *stats);

/**
 * iog_iova_is_valid() - execute the invariants.
 * @iova: the allocator.
 *
 * Context: any; no other call running.
 * Return: true unless the library is wrong, or somebody wrote into its memory.
 */
IOG_API bool iog_iova_is_valid(struct iog_iova *iova);

#ifdef __cplusplus
}
#endif

#endif

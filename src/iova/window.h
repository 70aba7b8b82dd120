/* SPDX-License-Identifier: MIT */
/*
 * Windows, for a domain: addresses and entries in one step.
 *
 * The scheme iog_iova_window hands out addresses. Bound to a page table it pins each window's entries, so that whoever takes an address from a window stores the entry without a
 * walk. Addresses outside windows (runs that are larger, or for which no window could be had) come from the tree below; their entries are the caller's business.
 */
#ifndef IOG_IOVA_WINDOW_H
#define IOG_IOVA_WINDOW_H

#include <iogate/gather.h>

#include "../inval/clock.h"
#include "allocator.h"

/* Granules of a window. */
#define WINDOW_BITS 512

/**
 * iog_window_bind() - have windows pinned, and share the domain's flushes.
 * @iova: of the scheme iog_iova_window, unused so far.
 * @pgtable: the page table; its lanes are at least the allocator's.
 * @clock: counts the flushes of the whole domain. Kept by reference.
 * @flush: makes hardware forget a gather; its ctx is @ctxs[lane] as kept by the caller: @ctx + lane * @stride.
 * @ctx: of lane 0.
 * @stride: bytes from one lane's ctx to the next.
 *
 * Return: 0; -IOG_EINVAL if a table of @pgtable does not hold whole windows.
 */
int iog_window_bind(struct iog_iova *iova, struct iog_pgtable *pgtable, struct flush_clock *clock, iog_flush_fn *flush, void *ctx, size_t stride);

/**
 * iog_window_unbind() - give back the tables that are left in gathers, as lane 0: the page table is about to be destroyed.
 * @iova: bound; no other call on it any more, but iog_iova_destroy(). No unit remembers anything.
 */
void iog_window_unbind(struct iog_iova *iova);

/**
 * iog_window_map() - addresses from a window, and their entries.
 * @iova: bound.
 * @lane: the caller's lane.
 * @paddr: first page.
 * @n: granules, 1 to WINDOW_BITS.
 * @prot: enum iog_prot.
 * @limit: the last granule that may be used.
 * @flush: the lazy flush.
 * @at: result, granules.
 *
 * Return: 0; -IOG_ENOSPC or -IOG_ENOMEM when there is no window to be had: a run from iog_iova_alloc() may still be; as iog_pgtable_map().
 */
int iog_window_map(struct iog_iova *iova, iog_lane_t lane, uint64_t paddr, uint64_t n, uint32_t prot, uint64_t limit, const struct iog_iova_flush *flush,
		   uint64_t *at);

enum window_unmapped {
	WINDOW_NOT_MAPPED = -1, /* not all of it is mapped; nothing is changed */
	WINDOW_NONE = -2,       /* not in a window */
};

/**
 * iog_window_unmap() - clear the entries, and free the addresses lazily: they are used again after a flush.
 * @iova: bound.
 * @lane: the caller's lane.
 * @at: granules.
 * @n: granules.
 *
 * Return: 0 or enum window_unmapped.
 */
int iog_window_unmap(struct iog_iova *iova, iog_lane_t lane, uint64_t at, uint64_t n);

/**
 * iog_window_holds() - whether all of a run lies in one window.
 * @iova: bound.
 * @at: granules.
 * @n: granules.
 */
bool iog_window_holds(struct iog_iova *iova, uint64_t at, uint64_t n);

/**
 * iog_window_fill() - entries for a part of a run from iog_iova_alloc().
 * @iova: bound.
 * @at: granules.
 * @paddr: first page.
 * @n: granules.
 * @prot: enum iog_prot.
 *
 * Return: 0, WINDOW_NONE, or as iog_pgtable_map().
 */
int iog_window_fill(struct iog_iova *iova, uint64_t at, uint64_t paddr, uint64_t n, uint32_t prot);

/**
 * iog_window_clear() - the opposite. The addresses stay handed out.
 * @iova: bound.
 * @at: granules.
 * @n: granules.
 * @holes: whether it is fine that some are not mapped.
 * @cleared: how many were. Result unless WINDOW_NONE is returned.
 *
 * Return: 0 or enum window_unmapped.
 */
int iog_window_clear(struct iog_iova *iova, uint64_t at, uint64_t n, bool holes, uint64_t *cleared);

/**
 * iog_window_flushed() - the domain has been flushed, by this lane, after all that it did so far: windows and tables that waited for that are given back, a bounded number of them.
 * @iova: bound.
 * @lane: the caller's lane.
 */
void iog_window_flushed(struct iog_iova *iova, iog_lane_t lane);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Dynamic 1:1 entries: pages whose address for a device is their physical address, mapped and unmapped by several lanes at once. The entry itself is the arbiter, every
 * change of it a compare-and-swap. Level 0 only. A page table may hold entries of this kind and others, at different addresses.
 *
 *   EMPTY        0
 *   LIVE(p, c)   present with permission p; c > 0 users, counted in bits that hardware ignores. c = 0 is an entry of the other kind
 *   STALE(p, s)  not present, and the last user's invalidation is still to come: hardware may remember p. The stamp s says whose it is
 *
 *            map                unmap, c > 1
 *   EMPTY ---------> LIVE(p, c) <--> LIVE(p, c - 1)
 *     ^                |  ^          map, equal p
 *     |  unmap, c = 1  |  | map, equal p
 *     |                v  |
 *     +-------------- STALE(p, s)
 *        retire, s still the same
 *
 * A mapping that meets anything else, a count that is full, or another permission is refused, and belongs elsewhere: what hardware may remember of a narrower permission would
 * refuse what a wider one allows, and the other way round.
 *
 * A STALE entry counts in its table, so that the table stays linked. Whose stamp it carries has to retire it, and who retires a range under a stamp claims: every unmap under
 * this stamp of a page in the range came before the beginning of an invalidation that has completed. So lanes do not share stamps, since one of them might revive and
 * unmap an entry while the invalidation of another is under way; and a lane that unmaps between an invalidation of its own and what is retired on its account uses another stamp.
 *
 * The model is tests/model/identity.pml.
 */
#ifndef IOG_PGTABLE_IDENTITY_H
#define IOG_PGTABLE_IDENTITY_H

#include <stdbool.h>

#include "pgtable.h"

#define IDENTITY_STAMP_BITS 44

/* A stamp of @lane: its @sequence'th, modulo 2^32. Lanes are below 4096. */
static inline uint64_t identity_stamp(iog_lane_t lane, uint32_t sequence)
{
	return (uint64_t)lane << 32 | sequence;
}

/**
 * iog_pgtable_identity_users() - how many users one page can have.
 * @pt: the page table.
 *
 * Return: 1 or more; 0 if the format has no bits to count with, and the calls below return -IOG_EOPNOTSUPP.
 */
uint32_t iog_pgtable_identity_users(const struct iog_pgtable *pt);

/**
 * iog_pgtable_identity_map() - map pages to themselves, or become one more user of them. All or nothing.
 * @pt: the page table.
 * @paddr: first address, a multiple of the granule.
 * @size: bytes, a multiple of the granule, not 0.
 * @prot: enum iog_prot; at least READ or WRITE.
 * @stamp: for what has to be undone.
 * @gather: of this page table.
 * @stale: set when the call fails and hardware may have seen a part of it meanwhile: invalidate what @gather holds and retire the range, as after an unmap.
 *
 * With IOG_PGTABLE_FLUSH_ON_MAP the gather is flushed even where only a user is added: the first user's flush need not be over.
 *
 * Context: the gather's lane; may take tables from the platform; waits for hardware only with IOG_PGTABLE_FLUSH_ON_MAP.
 * Return: 0; -IOG_EINVAL, -IOG_ERANGE as iog_pgtable_map(); -IOG_EOPNOTSUPP; -IOG_EEXIST if a page of it cannot be had: map it elsewhere; -IOG_ENOMEM; what the flush returned.
 */
int iog_pgtable_identity_map(struct iog_pgtable *pt, iog_paddr_t paddr, uint64_t size, uint32_t prot, uint64_t stamp, struct iog_gather *gather, bool *stale);

/**
 * iog_pgtable_identity_unmap() - one user of each page goes.
 * @pt: the page table.
 * @iova: first address, a multiple of the granule.
 * @size: bytes, a multiple of the granule, not 0.
 * @stamp: for pages of which it was the last.
 * @gather: of this page table; receives those.
 * @stale: whether there were any: invalidate what @gather holds and retire the range.
 *
 * Context: the gather's lane; waits for hardware only where a gather has no room for another table.
 * Return: 0; -IOG_EINVAL, -IOG_ERANGE, -IOG_EOPNOTSUPP; -IOG_ENOENT with nothing changed if not all of it is mapped 1:1; what the flush returned: the pages are unmapped all
 *         the same.
 */
int iog_pgtable_identity_unmap(struct iog_pgtable *pt, iog_iova_t iova, uint64_t size, uint64_t stamp, struct iog_gather *gather, bool *stale);

/**
 * iog_pgtable_identity_retire() - hardware has forgotten what was unmapped under a stamp: entries that still carry it become empty.
 * @pt: the page table.
 * @iova: first address, a multiple of the granule.
 * @size: bytes, a multiple of the granule, not 0. Other entries in the range are left alone.
 * @stamp: as unmapped.
 * @gather: of the caller's lane, which need not be the one that unmapped; nothing is added to it.
 *
 * Context: the gather's lane; does not allocate or wait.
 */
void iog_pgtable_identity_retire(struct iog_pgtable *pt, iog_iova_t iova, uint64_t size, uint64_t stamp, struct iog_gather *gather);

#endif

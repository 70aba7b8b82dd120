/* SPDX-License-Identifier: MIT */
/*
 * The policies "tree", "magazine" and "pooled": an address from the allocator, entries by a walk, and the same backwards.
 *
 * Clearing comes first and freeing last, with the invalidation between: at once (strict), by the lane's next flush of the domain (deferred, the run waits in the lane's
 * queue), or by the allocator's next lazy flush (deferred, pooled: the allocator takes the run now and keeps it until then). Other policies use those of "tree" for what they do not
 * place themselves; these never free lazily, whatever the allocator is.
 *
 * Before anything is cleared there is room in the queue, so that whatever the unit answers, no address is lost: a lane whose queue is full and cannot be flushed maps and
 * unmaps nothing more.
 */
#include "../iova/allocator.h"
#include "../pgtable/pgtable.h"
#include "domain.h"

/* One more run that the allocator has and hardware may still know. Bounded as if it were queued. */
static int count_lazy(struct domain_lane *lane)
{
	return lazy_count(lane) ? iog_domain_flush_lane(lane) : 0;
}

/* The run's entries are gone, in the lane's gather: invalidate now or later, and free. Inside the gate; there is room in the queue. */
static int run_release(struct domain_lane *lane, iog_iova_t iova, uint64_t size, bool lazy)
{
	struct iog_domain *domain = lane->domain;
	int error;

	if (atomic_load_explicit(&domain->mode, memory_order_relaxed) == IOG_INVAL_STRICT) {
		error = iog_gather_flush(&lane->gather);
		if (error) {
			iog_domain_quarantine(lane, iova, size);
			return error;
		}
		return iog_iova_free_flushed(domain->iova, lane->lane, iova, size);
	}
	if (!lazy)
		return iog_domain_defer(lane, iova, size);
	lane->unheard = true;
	error = iog_iova_free(domain->iova, lane->lane, iova, size);
	return error ? error : count_lazy(lane);
}

struct measure {
	iog_iova_t first;
	iog_iova_t last;
	uint64_t bytes;
};

static int measure_leaf(iog_iova_t iova, const struct iog_leaf *leaf, void *ctx)
{
	struct measure *run = ctx;
	iog_iova_t first = iova > run->first ? iova : run->first, last = iova + (leaf->page_size - 1);

	run->bytes += (last < run->last ? last : run->last) - first + 1;
	return 0;
}

/* Whether every page of the run is mapped. Of one page unmapping tells; of more, entries are read that are about to be written anyway. */
static bool is_whole(struct domain_lane *lane, iog_iova_t iova, uint64_t size)
{
	struct measure run = { iova, iova + (size - 1), 0 };

	if (size == lane->domain->granule)
		return true;
	return !iog_pgtable_visit(lane->domain->pgtable, lane->lane, run.first, run.last, measure_leaf, &run) && run.bytes == size;
}

/* @holes: whatever is left of the run. */
static inline int run_unmap(struct domain_lane *lane, iog_iova_t iova, uint64_t size, bool holes, bool lazy)
{
	uintptr_t flags = domain_lane_enter(lane);
	uint64_t unmapped = 0;
	int error;

	error = iog_domain_make_room(lane);
	if (!error && !holes && !is_whole(lane, iova, size))
		error = -IOG_ENOENT;
	if (!error)
		error = iog_pgtable_unmap(lane->domain->pgtable, iova, size, &lane->gather, &unmapped);
	/* One page is cleared before anything is waited for, and larger runs are known to be mapped. */
	if (!unmapped && !holes && (!error || (domain_unit_failed(error) && size == lane->domain->granule)))
		error = -IOG_ENOENT;
	else if (!error)
		error = run_release(lane, iova, size, lazy);
	else if (unmapped || domain_unit_failed(error))
		iog_domain_quarantine_marked(lane, iova, size, DEFERRED_MAPPED);
	domain_lane_exit(lane, flags);
	return error;
}

static int generic_alloc(struct domain_lane *lane, uint64_t size, iog_iova_t limit, iog_iova_t *iova)
{
	return iog_domain_alloc(lane, size, limit, iova);
}

static int generic_map(struct domain_lane *lane, iog_paddr_t paddr, uint64_t size, uint32_t prot, iog_iova_t limit, iog_iova_t *iova)
{
	struct iog_domain *domain = lane->domain;
	iog_iova_t at;
	uintptr_t flags;
	int error;

	error = iog_domain_alloc(lane, size, limit, &at);
	if (error)
		return error;
	flags = domain_lane_enter(lane);
	error = iog_domain_make_room(lane);
	if (error) {
		(void)iog_iova_free_flushed(domain->iova, lane->lane, at, size);
	} else {
		error = iog_pgtable_map(domain->pgtable, at, paddr, size, prot, &lane->gather);
		/* What was mapped of it and undone may be remembered. The error that counts is the first; a second one leaves the run in quarantine. */
		if (error)
			(void)run_release(lane, at, size, false);
		else
			*iova = at;
	}
	domain_lane_exit(lane, flags);
	return error;
}

/* All or nothing. What is smaller than a leaf table's span is made of pages, so that any part of it can be cleared: groups (../pgtable/format.h) cannot be cut everywhere. */
static int fill_leaves(struct domain_lane *lane, iog_iova_t iova, iog_paddr_t paddr, uint64_t size, uint32_t prot)
{
	struct iog_pgtable *pgtable = lane->domain->pgtable;
	uint64_t granule = lane->domain->granule, mapped;
	int error;

	if (size >> pgtable->ops->level_bits >= granule)
		return iog_pgtable_map(pgtable, iova, paddr, size, prot, &lane->gather);
	error = iog_pgtable_map_pages(pgtable, iova, paddr, granule, size / granule, prot, &lane->gather, &mapped);
	/* If a flush fails on the way, so does the one that the caller makes now. */
	if (error && mapped)
		(void)iog_pgtable_unmap(pgtable, iova, mapped, &lane->gather, NULL);
	return error;
}

static int generic_fill(struct domain_lane *lane, iog_iova_t iova, iog_paddr_t paddr, uint64_t size, uint32_t prot)
{
	uintptr_t flags = domain_lane_enter(lane);
	int error = fill_leaves(lane, iova, paddr, size, prot), flush_error = 0;

	/* The place may be filled again at once. */
	if (error)
		flush_error = iog_gather_flush(&lane->gather);
	domain_lane_exit(lane, flags);
	return flush_error ? flush_error : error;
}

static int generic_clear(struct domain_lane *lane, iog_iova_t iova, uint64_t size)
{
	uintptr_t flags = domain_lane_enter(lane);
	int error = iog_pgtable_unmap(lane->domain->pgtable, iova, size, &lane->gather, NULL);

	if (!error)
		error = iog_gather_flush(&lane->gather);
	domain_lane_exit(lane, flags);
	return error;
}

static int generic_unmap(struct domain_lane *lane, iog_iova_t iova, uint64_t size)
{
	return run_unmap(lane, iova, size, false, false);
}

static int generic_free(struct domain_lane *lane, iog_iova_t iova, uint64_t size)
{
	return run_unmap(lane, iova, size, true, false);
}

static bool is_lazy(const struct domain_lane *lane)
{
	return lane->domain->iova->flags & IOG_IOVA_LAZY;
}

static int pooled_unmap(struct domain_lane *lane, iog_iova_t iova, uint64_t size)
{
	return run_unmap(lane, iova, size, false, is_lazy(lane));
}

static int pooled_free(struct domain_lane *lane, iog_iova_t iova, uint64_t size)
{
	return run_unmap(lane, iova, size, true, is_lazy(lane));
}

/* clang-format off */
#define GENERIC_POLICY(_name, _unmap, _free, _flags) \
	const struct iog_policy iog_policy_##_name = { \
		.name = #_name, \
		.iova = &iog_iova_##_name, \
		.iova_flags = (_flags), \
		.map = generic_map, \
		.unmap = (_unmap), \
		.alloc = generic_alloc, \
		.fill = generic_fill, \
		.clear = generic_clear, \
		.free = (_free), \
	}
/* clang-format on */

GENERIC_POLICY(tree, generic_unmap, generic_free, 0);
GENERIC_POLICY(magazine, generic_unmap, generic_free, 0);
GENERIC_POLICY(pooled, pooled_unmap, pooled_free, IOG_IOVA_LAZY);

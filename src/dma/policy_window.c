/* SPDX-License-Identifier: MIT */
/*
 * The policy "window": an address and its entry in one step, from a window of the lane's own. Runs that fit no window come from the tree below and are walked to, as those of
 * the policy "tree" are.
 *
 * Deferred mode queues nothing for a window: the addresses wait in the window itself, and are used again after a flush of the domain.
 */
#include "../inval/gather.h"
#include "../iova/window_page.h"
#include "page.h"

static inline uint32_t shift_of(const struct domain_lane *lane)
{
	return lane->domain->iova->granule_shift;
}

/* A lazy flush, for the allocator. */
static int flush_domain(void *ctx)
{
	struct domain_lane *lane = ctx;

	return iog_domain_flush_step(lane);
}

static int create(struct iog_domain *domain, const struct iog_domain_config *config)
{
	(void)config;
	domain->windows = windows_of(domain->iova);
	for (uint32_t n = 0; n < domain->lanes_count; n++)
		domain->lanes[n].policy_lane = &windows_of(domain->iova)->lanes[n];
	return iog_window_bind(domain->iova, domain->pgtable, &domain->clock, iog_domain_invalidate, domain->lanes, sizeof(*domain->lanes));
}

static void destroy(struct iog_domain *domain)
{
	iog_window_unbind(domain->iova);
}

static void flushed(struct domain_lane *lane)
{
	iog_window_flushed(lane->domain->iova, lane->lane);
}

/* The unit has not answered: the addresses are not used again before it has. */
static void quarantine(struct domain_lane *lane, iog_iova_t iova, uint64_t size)
{
	uintptr_t flags = domain_lane_enter(lane);

	iog_domain_quarantine(lane, iova, size);
	domain_lane_exit(lane, flags);
}

/* A unit that caches not-present entries has to be told of entries that were added: now, or by whoever enters more. */
static int flush_mapped(struct domain_lane *lane, iog_iova_t iova, uint64_t size)
{
	uintptr_t flags = domain_lane_enter(lane);
	int error = 0;

	iog_gather_add_range(&lane->gather, iova, iova + (size - 1), lane->domain->granule);
	lane->gather.walk_caches = true;
	if (!lane->filling)
		error = iog_gather_flush(&lane->gather);
	domain_lane_exit(lane, flags);
	return error;
}

/*
 * Clear what is mapped of a range inside a window, and wait until hardware has forgotten it. Inside the gate. -IOG_ENOENT and nothing changed if there are holes that must not be;
 * what the unit returned.
 */
static int clear_at_once(struct domain_lane *lane, iog_iova_t iova, uint64_t size, bool holes)
{
	uint32_t shift = shift_of(lane);
	uint64_t cleared = 0;

	if (iog_window_clear(lane->domain->iova, iova >> shift, size >> shift, holes, &cleared))
		return -IOG_ENOENT;
	if (cleared)
		iog_gather_add_range(&lane->gather, iova, iova + (size - 1), lane->domain->granule);
	/* Even if nothing is left: fill() may have undone what a unit was told of, and did not answer. */
	return iog_gather_flush(&lane->gather);
}

static int fill(struct domain_lane *lane, iog_iova_t iova, iog_paddr_t paddr, uint64_t size, uint32_t prot)
{
	uint32_t shift = shift_of(lane);
	int error;

	/* Most segments of a list are one page. */
	if (size == lane->domain->granule && !lane->domain->flush_on_map && window_fill_page(windows_of(lane->domain->iova), iova, paddr, prot))
		return 0;
	error = iog_window_fill(lane->domain->iova, iova >> shift, paddr, size >> shift, prot);
	if (error == WINDOW_NONE)
		return iog_policy_tree.fill(lane, iova, paddr, size, prot);
	if (!error && iog_unlikely(lane->domain->flush_on_map)) {
		error = flush_mapped(lane, iova, size);
		if (error) {
			uint64_t cleared;

			(void)iog_window_clear(lane->domain->iova, iova >> shift, size >> shift, true, &cleared);
		}
	}
	return error;
}

static int alloc(struct domain_lane *lane, uint64_t size, iog_iova_t limit, iog_iova_t *iova)
{
	return iog_domain_alloc(lane, size, limit, iova);
}

static __attribute__((noinline)) int map_slowly(struct domain_lane *lane, iog_paddr_t paddr, uint64_t size, uint32_t prot, iog_iova_t limit, iog_iova_t *iova)
{
	/* Before something is mapped there is room to keep the addresses if the unit does not hear of it. */
	int error = iog_domain_room(lane);

	if (!error)
		error = alloc(lane, size, limit, iova);
	if (error)
		return error;
	error = fill(lane, *iova, paddr, size, prot);
	if (domain_unit_failed(error))
		quarantine(lane, *iova, size);
	else if (error)
		(void)iog_iova_free_flushed(lane->domain->iova, lane->lane, *iova, size);
	return error;
}

/* Everything that is not one page from the window at hand. */
static __attribute__((noinline)) int map_run(struct domain_lane *lane, iog_paddr_t paddr, uint64_t size, uint32_t prot, iog_iova_t limit, iog_iova_t *iova)
{
	const struct iog_iova_flush flush = { flush_domain, lane };
	struct iog_domain *domain = lane->domain;
	uint32_t shift = shift_of(lane);
	uint64_t n = size >> shift, at, granules = (limit >> shift) - ((limit + 1) & (domain->granule - 1) ? 1 : 0);
	int error;

	if (n > WINDOW_BITS || domain->flush_on_map || limit < domain->granule - 1)
		return map_slowly(lane, paddr, size, prot, limit, iova);
	error = iog_window_map(domain->iova, lane->lane, paddr, n, prot, granules, &flush, &at);
	if (error == -IOG_ENOSPC || error == -IOG_ENOMEM)
		return map_slowly(lane, paddr, size, prot, limit, iova);
	if (!error)
		*iova = at << shift;
	return error;
}

static int map(struct domain_lane *lane, iog_paddr_t paddr, uint64_t size, uint32_t prot, iog_iova_t limit, iog_iova_t *iova)
{
	struct iog_domain *domain = lane->domain;

	if (iog_likely(size == domain->granule && !domain->flush_on_map && window_map_page(windows_of(domain->iova), lane->policy_lane, paddr, prot, limit, iova)))
		return 0;
	return map_run(lane, paddr, size, prot, limit, iova);
}

static int unmap_at_once(struct domain_lane *lane, iog_iova_t iova, uint64_t size, bool holes)
{
	uintptr_t flags = domain_lane_enter(lane);
	/* Before anything is cleared there is room to keep the range if the unit fails. */
	int error = iog_domain_make_room(lane);

	if (!error) {
		error = clear_at_once(lane, iova, size, holes);
		if (iog_unlikely(error && error != -IOG_ENOENT))
			iog_domain_quarantine(lane, iova, size);
	}
	domain_lane_exit(lane, flags);
	return error ? error : iog_iova_free_flushed(lane->domain->iova, lane->lane, iova, size);
}

static __attribute__((noinline)) int unmap_run(struct domain_lane *lane, iog_iova_t iova, uint64_t size)
{
	uint32_t shift = shift_of(lane);
	struct iog_iova *addresses = lane->domain->iova;
	int outcome;

	if (atomic_load_explicit(&lane->domain->mode, memory_order_relaxed) == IOG_INVAL_STRICT) {
		if (iog_unlikely(!iog_window_holds(addresses, iova >> shift, size >> shift)))
			return iog_policy_tree.unmap(lane, iova, size);
		return unmap_at_once(lane, iova, size, false);
	}
	outcome = iog_window_unmap(addresses, lane->lane, iova >> shift, size >> shift);
	if (iog_unlikely(outcome))
		return outcome == WINDOW_NONE ? iog_policy_tree.unmap(lane, iova, size) : -IOG_ENOENT;
	return page_count_lazy(lane);
}

/* Strict, one page of a window: clear_at_once() and the rest in one line. */
static __attribute__((noinline)) int unmap_page_at_once(struct domain_lane *lane, iog_iova_t iova)
{
	struct iog_domain *domain = lane->domain;
	uintptr_t flags = domain_lane_enter(lane);
	int error = 0;

	if (iog_unlikely(atomic_load_explicit(&lane->nr_deferred, memory_order_relaxed)) || iog_unlikely(!window_clear_page(windows_of(domain->iova), iova))) {
		domain_lane_exit(lane, flags);
		return unmap_run(lane, iova, domain->granule);
	}
	gather_add_leaf(&lane->gather, iova, domain->granule);
	error = iog_gather_flush(&lane->gather);
	if (iog_unlikely(error))
		iog_domain_quarantine(lane, iova, domain->granule);
	domain_lane_exit(lane, flags);
	return iog_likely(!error) ? window_give_page(windows_of(domain->iova), lane->policy_lane, iova) : error;
}

static int unmap(struct domain_lane *lane, iog_iova_t iova, uint64_t size)
{
	struct iog_domain *domain = lane->domain;
	uint64_t entry;

	if (iog_unlikely(size != domain->granule))
		return unmap_run(lane, iova, size);
	if (atomic_load_explicit(&domain->mode, memory_order_relaxed) == IOG_INVAL_STRICT)
		return unmap_page_at_once(lane, iova);
	if (window_unmap_page(windows_of(domain->iova), lane->policy_lane, iova, &entry))
		return page_count_lazy(lane);
	return unmap_run(lane, iova, size);
}

static bool unmap_held(struct domain_lane *lane, iog_iova_t iova)
{
	return page_unmap_held(windows_of(lane->domain->iova), lane, iova, lane->domain->granule);
}

static int clear(struct domain_lane *lane, iog_iova_t iova, uint64_t size)
{
	uint32_t shift = shift_of(lane);
	uintptr_t flags;
	int error;

	if (!iog_window_holds(lane->domain->iova, iova >> shift, size >> shift))
		return iog_policy_tree.clear(lane, iova, size);
	flags = domain_lane_enter(lane);
	error = clear_at_once(lane, iova, size, true);
	domain_lane_exit(lane, flags);
	return error;
}

static int free_run(struct domain_lane *lane, iog_iova_t iova, uint64_t size)
{
	uint32_t shift = shift_of(lane);
	struct iog_iova *addresses = lane->domain->iova;
	uint64_t cleared;
	int error;

	if (!iog_window_holds(addresses, iova >> shift, size >> shift))
		return iog_policy_tree.free(lane, iova, size);
	if (atomic_load_explicit(&lane->domain->mode, memory_order_relaxed) == IOG_INVAL_STRICT)
		return unmap_at_once(lane, iova, size, true);
	(void)iog_window_clear(addresses, iova >> shift, size >> shift, true, &cleared);
	error = iog_iova_free(addresses, lane->lane, iova, size);
	return error ? error : page_count_lazy(lane);
}

const struct iog_policy iog_policy_window = {
	.name = "window",
	.iova = &iog_iova_window,
	.iova_flags = IOG_IOVA_LAZY,
	.create = create,
	.destroy = destroy,
	.map = map,
	.unmap = unmap,
	.unmap_held = unmap_held,
	.alloc = alloc,
	.fill = fill,
	.clear = clear,
	.free = free_run,
	.flushed = flushed,
};

/* SPDX-License-Identifier: MIT */
/*
 * One buffer: map, unmap, and the same for registers of other devices.
 *
 * Three steps. A page of a window that takes no more than a few stores (page.h) is dealt with on the spot. The plain request (translated, trusted, snooping device) is a few compares and one
 * call of the policy. All others go to functions that check everything again, in the order that the errors are documented in.
 */
#include "../iova/allocator.h"
#include "bounce.h"
#include "flush.h"
#include "held.h"
#include "map.h"
#include "page.h"

int iog_dma_route(const struct iog_device *device, iog_lane_t lane, uint32_t attrs, struct iog_domain **result)
{
	struct iog_domain *domain = dma_domain(device);

	if (attrs & ~DMA_ATTRS)
		return -IOG_EINVAL;
	if (attrs & IOG_DMA_BYPASS && !(device->flags & IOG_DEVICE_BYPASS))
		return -IOG_EPERM;
	if (!domain)
		return -IOG_ENOENT;
	if (lane >= domain->lanes_count)
		return -IOG_EINVAL;
	if (domain->type == IOG_DOMAIN_BLOCKED)
		return -IOG_EFAULT;
	*result = domain;
	return attrs & IOG_DMA_BYPASS || domain->type == IOG_DOMAIN_IDENTITY || domain->is_static ? DMA_DIRECT : DMA_TRANSLATED;
}

int iog_dma_put_run(struct domain_lane *lane, iog_iova_t iova, uint64_t size, int cleared)
{
	uintptr_t flags;

	if (!cleared)
		return iog_iova_free_flushed(lane->domain->iova, lane->lane, iova, size);
	flags = domain_lane_enter(lane);
	/* It may have broken off on the way. */
	iog_domain_quarantine_marked(lane, iova, size, DEFERRED_MAPPED);
	domain_lane_exit(lane, flags);
	return cleared;
}

int iog_dma_map_error(const struct iog_domain *domain, iog_paddr_t paddr, uint64_t size, int error)
{
	struct iog_pgtable_root root;

	if (error != -IOG_ENOSPC && error != -IOG_ENOMEM)
		return error;
	iog_pgtable_root(domain->pgtable, &root);
	return root.oas < 64 && (paddr + (size - 1)) >> root.oas ? -IOG_ERANGE : error;
}

/* Translated, and the pages as they are. @holds: they are memory, whose owner may want to know. */
static inline __attribute__((always_inline)) int map_pages(struct domain_lane *lane, const struct iog_device *device, iog_paddr_t paddr, uint64_t size, uint32_t prot, bool holds,
							   iog_iova_t *iova)
{
	const struct iog_domain *domain = lane->domain;
	uint64_t offset = paddr & (domain->granule - 1), pages = dma_pages(paddr, size, domain->granule);
	iog_iova_t at;
	int error;

	holds = holds && dma_unlikely(domain->hold);
	if (holds)
		held_take(lane, paddr - offset, pages);
	error = domain->policy->map(lane, paddr - offset, pages, prot, device->limit, &at);
	if (dma_unlikely(error)) {
		if (holds)
			iog_held_undo(lane, paddr - offset, pages);
		return iog_dma_map_error(domain, paddr, size, error);
	}
	dma_count_map(lane, size);
	*iova = at + offset;
	return 0;
}

static inline __attribute__((always_inline)) int unmap_pages(struct domain_lane *lane, iog_iova_t iova, uint64_t size, bool holds, void (*release)(void *ctx), void *ctx)
{
	const struct iog_domain *domain = lane->domain;
	uint64_t offset = iova & (domain->granule - 1), pages = dma_pages(iova, size, domain->granule);
	int error;

	if ((holds && domain->hold) || release)
		error = iog_held_unmap(lane, iova - offset, pages, false, release, ctx);
	else
		error = domain->policy->unmap(lane, iova - offset, pages);
	if (dma_unlikely(error && dma_refused(error)))
		return error == -IOG_ERANGE ? -IOG_EINVAL : error;
	dma_count_unmap(lane, size);
	return error;
}

/* Every other case of map, and all errors. @resource: not memory. */
static int __attribute__((noinline, cold)) map_special(struct iog_device *device, iog_lane_t lane_number, iog_paddr_t paddr, uint64_t size,
						      enum iog_dma_dir dir, uint32_t attrs, bool resource, iog_iova_t *iova)
{
	struct iog_domain *domain;
	struct domain_lane *lane;
	int error, way;

	if (!size || !dma_dir_known(dir))
		return -IOG_EINVAL;
	way = iog_dma_route(device, lane_number, attrs, &domain);
	if (way < 0)
		return way;
	if (size - 1 > UINT64_MAX - paddr)
		return -IOG_ERANGE;
	lane = &domain->lanes[lane_number];

	if (way == DMA_DIRECT) {
		if (paddr + (size - 1) > device->limit)
			return -IOG_ERANGE;
		dma_count_map(lane, size);
		*iova = paddr;
	} else {
		uint32_t prot = dma_prot(dir, attrs);

		if (size > DMA_SIZE_MAX)
			return -IOG_ERANGE;
		if (resource || device->flags & IOG_DEVICE_NONCOHERENT)
			prot &= ~(uint32_t)IOG_PROT_COHERENT;
		if (device->flags & IOG_DEVICE_UNTRUSTED) {
			struct iog_sg sg = { .paddr = paddr, .size = size };
			const struct sg_layout layout = sg_layout_unbounded(domain->granule);

			error = iog_bounce_map(lane, device, &sg, 1, &layout, prot, attrs, !resource, iova);
			if (!error)
				dma_count_map(lane, size);
		} else {
			error = map_pages(lane, device, paddr, size, prot, !resource, iova);
		}
		if (error)
			return error;
	}
	if (!resource && !(attrs & IOG_DMA_SKIP_SYNC))
		iog_dma_clean(device, paddr, size);
	return 0;
}

static int __attribute__((noinline, cold)) unmap_special(struct iog_device *device, iog_lane_t lane_number, iog_iova_t iova, uint64_t size,
							enum iog_dma_dir dir, uint32_t attrs, bool resource, void (*release)(void *ctx), void *ctx)
{
	bool discard = !resource && !(attrs & IOG_DMA_SKIP_SYNC) && dir & IOG_DMA_FROM_DEVICE;
	struct iog_domain *domain;
	struct domain_lane *lane;
	int error, way;

	if (!size || !dma_dir_known(dir) || size - 1 > UINT64_MAX - iova)
		return -IOG_EINVAL;
	way = iog_dma_route(device, lane_number, attrs, &domain);
	if (way < 0)
		return way == -IOG_ENOENT ? way : -IOG_EINVAL;
	lane = &domain->lanes[lane_number];

	if (way == DMA_DIRECT) {
		if (iova + (size - 1) > device->limit)
			return -IOG_EINVAL;
		if (discard)
			iog_dma_discard(device, iova, size);
		dma_count_unmap(lane, size);
		/* There is nothing to wait for: the device reaches all of memory. */
		if (release)
			release(ctx);
		return 0;
	}
	if (size > DMA_SIZE_MAX)
		return -IOG_EINVAL;
	if (discard) {
		error = iog_dma_clean_mapped(device, lane_number, iova, size, true);
		if (error)
			return error;
	}
	if (!(device->flags & IOG_DEVICE_UNTRUSTED))
		return unmap_pages(lane, iova, size, !resource, release, ctx);
	error = iog_bounce_unmap(lane, device, iova, size, discard);
	if (dma_refused(error))
		return error;
	dma_count_unmap(lane, size);
	if (release && error)
		iog_held_later(lane, release, ctx);
	else if (release)
		release(ctx);
	return error;
}

/* The device's domain if nothing has to be looked at but the pages, or NULL. Sizes of 0 and beyond DMA_SIZE_MAX are one compare. */
static inline struct iog_domain *plain_domain(const struct iog_device *device, iog_lane_t lane, uint64_t address, uint64_t size, enum iog_dma_dir dir,
					      uint32_t attrs)
{
	/* Acquire: as for @domain, see dma_domain(). */
	struct iog_domain *domain = atomic_load_explicit(&device->plain, memory_order_acquire);

	return domain && !(attrs & DMA_ATTRS_SPECIAL) && dma_dir_known(dir) && size - 1 < DMA_SIZE_MAX && address + (size - 1) >= address &&
			       lane < domain->lanes_count ?
		       domain :
		       NULL;
}

/* The domain if the request may be a page of a window. It does not wrap then, and is not empty. */
static inline __attribute__((always_inline)) struct iog_domain *page_domain(const struct iog_device *device, iog_lane_t lane, uint64_t address, uint64_t size, enum iog_dma_dir dir,
									     uint32_t attrs)
{
	/* Acquire: see plain_domain(). */
	struct iog_domain *domain = atomic_load_explicit(&device->plain, memory_order_acquire);

	return dma_likely(domain) && domain->windows && !(attrs & DMA_ATTRS_SPECIAL) && dma_dir_known(dir) && lane < domain->lanes_count &&
			       size - 1 < domain->granule - (address & (domain->granule - 1)) ?
		       domain :
		       NULL;
}

static int __attribute__((noinline)) map_any(struct iog_device *device, iog_lane_t lane, iog_paddr_t paddr, uint64_t size, enum iog_dma_dir dir, uint32_t attrs, iog_iova_t *iova)
{
	struct iog_domain *domain = plain_domain(device, lane, paddr, size, dir, attrs);

	if (dma_unlikely(!domain))
		return map_special(device, lane, paddr, size, dir, attrs, false, iova);
	return map_pages(&domain->lanes[lane], device, paddr, size, dma_prot(dir, attrs), true, iova);
}

int iog_dma_map(struct iog_device *device, iog_lane_t lane_number, iog_paddr_t paddr, uint64_t size, enum iog_dma_dir dir, uint32_t attrs, iog_iova_t *iova)
{
	const struct iog_domain *domain = page_domain(device, lane_number, paddr, size, dir, attrs);

	if (dma_likely(domain && domain->maps_alone)) {
		struct domain_lane *lane = &domain->lanes[lane_number];
		uint64_t offset = paddr & (domain->granule - 1);
		iog_iova_t page;

		if (dma_likely(window_map_page(domain->windows, lane->policy_lane, paddr - offset, dma_prot(dir, attrs), device->limit, &page))) {
			dma_count_map(lane, size);
			*iova = page + offset;
			return 0;
		}
	}
	return map_any(device, lane_number, paddr, size, dir, attrs, iova);
}

static int __attribute__((noinline)) unmap_any(struct iog_device *device, iog_lane_t lane, iog_iova_t iova, uint64_t size, enum iog_dma_dir dir, uint32_t attrs,
					       void (*release)(void *ctx), void *ctx)
{
	struct iog_domain *domain = plain_domain(device, lane, iova, size, dir, attrs);

	if (dma_unlikely(!domain))
		return unmap_special(device, lane, iova, size, dir, attrs, false, release, ctx);
	return unmap_pages(&domain->lanes[lane], iova, size, true, release, ctx);
}

/* As many arguments as there are registers for. */
static int __attribute__((noinline)) unmap_called(struct iog_device *device, iog_lane_t lane, iog_iova_t iova, uint64_t size, enum iog_dma_dir dir, uint32_t attrs)
{
	return unmap_any(device, lane, iova, size, dir, attrs, NULL, NULL);
}

/* A page in a domain that has hold ops. */
static int __attribute__((noinline)) unmap_holding(struct iog_device *device, struct domain_lane *lane, iog_iova_t iova, uint64_t size, enum iog_dma_dir dir, uint32_t attrs)
{
	const struct iog_domain *domain = lane->domain;

	if (dma_unlikely(atomic_load_explicit(&domain->mode, memory_order_relaxed) != IOG_INVAL_HELD ||
			 !page_unmap_held(domain->windows, lane, iova & ~(domain->granule - 1), domain->granule)))
		return unmap_called(device, lane->lane, iova, size, dir, attrs);
	dma_count_unmap(lane, size);
	return 0;
}

int iog_dma_unmap(struct iog_device *device, iog_lane_t lane_number, iog_iova_t iova, uint64_t size, enum iog_dma_dir dir, uint32_t attrs)
{
	const struct iog_domain *domain = page_domain(device, lane_number, iova, size, dir, attrs);

	if (dma_likely(domain)) {
		struct domain_lane *lane = &domain->lanes[lane_number];
		uint64_t entry;

		if (domain->hold)
			return unmap_holding(device, lane, iova, size, dir, attrs);
		if (atomic_load_explicit(&domain->mode, memory_order_relaxed) != IOG_INVAL_STRICT &&
		    dma_likely(window_unmap_page(domain->windows, lane->policy_lane, iova & ~(domain->granule - 1), &entry))) {
			dma_count_unmap(lane, size);
			return page_count_lazy(lane);
		}
	}
	return unmap_called(device, lane_number, iova, size, dir, attrs);
}

int iog_dma_unmap_release(struct iog_device *device, iog_lane_t lane, iog_iova_t iova, uint64_t size, enum iog_dma_dir dir, uint32_t attrs,
			  void (*release)(void *ctx), void *ctx)
{
	return release ? unmap_any(device, lane, iova, size, dir, attrs, release, ctx) : -IOG_EINVAL;
}

int iog_dma_map_resource(struct iog_device *device, iog_lane_t lane, iog_paddr_t paddr, uint64_t size, enum iog_dma_dir dir, uint32_t attrs, iog_iova_t *iova)
{
	return map_special(device, lane, paddr, size, dir, attrs, true, iova);
}

int iog_dma_unmap_resource(struct iog_device *device, iog_lane_t lane, iog_iova_t iova, uint64_t size, enum iog_dma_dir dir, uint32_t attrs)
{
	return unmap_special(device, lane, iova, size, dir, attrs, true, NULL, NULL);
}

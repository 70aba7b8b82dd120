/* SPDX-License-Identifier: MIT */
/*
 * Memory that device and CPU share. Freed memory goes back to the platform and to whoever asks next, so hardware has to have forgotten it: alloc, fill, clear and free
 * of the policy, whatever the mode.
 */
#include "../pgtable/memory.h"
#include "map.h"

#define PAGE_MIN UINT64_C(4096)

/* What the platform is asked for, or 0 if no platform has it. */
static size_t rounded(const struct iog_domain *domain, uint64_t size)
{
	uint64_t bytes = domain->granule > PAGE_MIN ? domain->granule : PAGE_MIN;

	if (size > SIZE_MAX / 2 + 1)
		return 0;
	while (bytes < size)
		bytes <<= 1;
	return (size_t)bytes;
}

static int map_translated(struct domain_lane *lane, const struct iog_device *device, iog_paddr_t paddr, uint64_t size, iog_iova_t *iova, bool *reachable)
{
	const struct iog_policy *policy = lane->domain->policy;
	iog_iova_t at;
	int cleared, error = iog_domain_room(lane);

	if (error)
		return error;
	error = policy->alloc(lane, size, device->limit, &at);
	if (error)
		return iog_dma_map_error(lane->domain, paddr, size, error);
	error = policy->fill(lane, at, paddr, size, dma_prot(IOG_DMA_BIDIRECTIONAL, 0));
	if (!error) {
		*iova = at;
		return 0;
	}
	cleared = policy->clear(lane, at, size);
	*reachable = cleared != 0;
	(void)iog_dma_put_run(lane, at, size, cleared);
	return iog_dma_map_error(lane->domain, paddr, size, error);
}

int iog_dma_alloc(struct iog_device *device, iog_lane_t lane_number, uint64_t size, void **va, iog_iova_t *iova)
{
	const struct iog_platform *platform = device->platform;
	/* A device that may still reach the pages after all has failed: they are not given back. */
	bool reachable = false;
	struct iog_domain *domain;
	struct domain_lane *lane;
	iog_paddr_t paddr;
	size_t bytes;
	void *pages;
	int error = 0, way;

	if (!size)
		return -IOG_EINVAL;
	way = iog_dma_route(device, lane_number, 0, &domain);
	if (way < 0)
		return way;
	if (device->flags & IOG_DEVICE_NONCOHERENT)
		return -IOG_EOPNOTSUPP;
	lane = &domain->lanes[lane_number];
	bytes = rounded(domain, size);
	pages = bytes ? platform->pages_alloc(platform->ctx, bytes) : NULL;
	if (!pages)
		return -IOG_ENOMEM;
	memset(pages, 0, bytes);
	paddr = dma_paddr(platform, pages);

	if (way == DMA_TRANSLATED)
		error = map_translated(lane, device, paddr, bytes, iova, &reachable);
	else if (paddr + (bytes - 1) > device->limit)
		error = -IOG_ERANGE;
	else
		*iova = paddr;
	if (error) {
		if (!reachable)
			platform->pages_free(platform->ctx, pages, bytes);
		return error;
	}
	dma_count_map(lane, bytes);
	*va = pages;
	return 0;
}

int iog_dma_free(struct iog_device *device, iog_lane_t lane_number, uint64_t size, void *va, iog_iova_t iova)
{
	const struct iog_platform *platform = device->platform;
	iog_paddr_t paddr = dma_paddr(platform, va);
	struct iog_domain *domain;
	struct domain_lane *lane;
	size_t bytes;
	int error = 0, way;

	if (!size)
		return -IOG_EINVAL;
	way = iog_dma_route(device, lane_number, 0, &domain);
	if (way < 0)
		return way == -IOG_ENOENT ? way : -IOG_EINVAL;
	lane = &domain->lanes[lane_number];
	bytes = rounded(domain, size);
	if (!bytes || iova & (domain->granule ? domain->granule - 1 : 0))
		return -IOG_EINVAL;

	if (way == DMA_TRANSLATED) {
		struct iog_leaf leaf;

		/* Freed twice, the pages would go back twice. */
		if (iog_pgtable_lookup(domain->pgtable, lane_number, iova, &leaf) || leaf.paddr != paddr)
			return -IOG_ENOENT;
		error = iog_domain_room(lane);
		if (error)
			return error;
		error = iog_dma_put_run(lane, iova, bytes, domain->policy->clear(lane, iova, bytes));
		if (dma_refused(error))
			return error;
	} else if (iova != paddr) {
		return -IOG_ENOENT;
	}
	dma_count_unmap(lane, bytes);
	if (!error)
		platform->pages_free(platform->ctx, va, bytes);
	return error;
}

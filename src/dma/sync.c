/* SPDX-License-Identifier: MIT */
/*
 * What has to move when buffer and device's view of it are not one: caches of devices that do not snoop, bounce pages of untrusted ones.
 *
 * Bounce pages of devices that do not snoop go through both: discarded before they are copied to the buffer, cleaned after they were copied from it.
 */
#include "bounce.h"
#include "map.h"

void iog_dma_clean(const struct iog_device *device, iog_paddr_t paddr, uint64_t size)
{
	const struct iog_platform *platform = device->platform;

	if (device->flags & IOG_DEVICE_NONCOHERENT && platform->cache_clean)
		platform->cache_clean(platform->ctx, dma_va(platform, paddr), (size_t)size);
}

void iog_dma_discard(const struct iog_device *device, iog_paddr_t paddr, uint64_t size)
{
	const struct iog_platform *platform = device->platform;

	if (!(device->flags & IOG_DEVICE_NONCOHERENT))
		return;
	if (platform->cache_flush)
		platform->cache_flush(platform->ctx, dma_va(platform, paddr), (size_t)size);
	else if (platform->cache_clean)
		platform->cache_clean(platform->ctx, dma_va(platform, paddr), (size_t)size);
}

int iog_dma_clean_mapped(const struct iog_device *device, iog_lane_t lane, iog_iova_t iova, uint64_t size, bool discard)
{
	struct iog_pgtable *pgtable = dma_domain(device)->pgtable;
	struct iog_leaf leaf;

	if (!(device->flags & IOG_DEVICE_NONCOHERENT))
		return 0;
	while (size) {
		uint64_t part;

		if (iog_pgtable_lookup(pgtable, lane, iova, &leaf))
			return -IOG_ENOENT;
		part = leaf.page_size - (iova & (leaf.page_size - 1));
		part = part < size ? part : size;
		if (discard)
			iog_dma_discard(device, leaf.paddr, part);
		else
			iog_dma_clean(device, leaf.paddr, part);
		iova += part;
		size -= part;
	}
	return 0;
}

/* Not copied: pages as they are, or a bypass, which is not in the page table. */
static int sync_exposed(const struct iog_device *device, struct iog_domain *domain, iog_lane_t lane, iog_iova_t iova)
{
	struct iog_leaf leaf;

	return device->flags & IOG_DEVICE_BYPASS || !iog_pgtable_lookup(domain->pgtable, lane, iova, &leaf) ? 0 : -IOG_ENOENT;
}

static int sync_lines(const struct iog_device *device, iog_lane_t lane, bool direct, iog_iova_t iova, uint64_t size, bool discard)
{
	int error = direct ? 0 : iog_dma_clean_mapped(device, lane, iova, size, discard);

	/* Of a device that may bypass, what is not mapped is taken for the physical address. */
	if (error && !(device->flags & IOG_DEVICE_BYPASS))
		return error;
	if (direct || error) {
		if (discard)
			iog_dma_discard(device, iova, size);
		else
			iog_dma_clean(device, iova, size);
	}
	return 0;
}

static int sync(struct iog_device *device, iog_lane_t lane, iog_iova_t iova, uint64_t size, enum iog_dma_dir dir, bool for_cpu)
{
	struct iog_domain *domain;
	int error, way;

	if (!size || !dma_dir_known(dir) || size - 1 > UINT64_MAX - iova)
		return -IOG_EINVAL;
	way = iog_dma_route(device, lane, 0, &domain);
	if (way < 0)
		return way == -IOG_ENOENT ? way : -IOG_EINVAL;
	if (!(device->flags & (uint32_t)(IOG_DEVICE_UNTRUSTED | IOG_DEVICE_NONCOHERENT)))
		return 0;
	/* What the device does not write the CPU has. What only the device writes is copied to it all the same: it need not write all of it again. */
	if (for_cpu && !(dir & IOG_DMA_FROM_DEVICE))
		return 0;

	if (for_cpu) {
		error = sync_lines(device, lane, way == DMA_DIRECT, iova, size, true);
		if (error)
			return error;
	}
	if (way == DMA_TRANSLATED && device->flags & IOG_DEVICE_UNTRUSTED) {
		error = iog_bounce_sync(domain, iova, size, for_cpu);
		if (error == -IOG_ENOENT)
			error = sync_exposed(device, domain, lane, iova);
		if (error)
			return error;
	}
	return for_cpu ? 0 : sync_lines(device, lane, way == DMA_DIRECT, iova, size, false);
}

int iog_dma_sync_for_cpu(struct iog_device *device, iog_lane_t lane, iog_iova_t iova, uint64_t size, enum iog_dma_dir dir)
{
	return sync(device, lane, iova, size, dir, true);
}

int iog_dma_sync_for_device(struct iog_device *device, iog_lane_t lane, iog_iova_t iova, uint64_t size, enum iog_dma_dir dir)
{
	return sync(device, lane, iova, size, dir, false);
}

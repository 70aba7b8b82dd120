/* SPDX-License-Identifier: MIT */
/*
 * What the calls of the DMA API share: which way a request goes, its arguments, its pages, its counts.
 *
 * Ways. Translated: the device is in a paging domain, and addresses come from its policy. Direct: the address is the physical one (bypass, identity, static 1:1). Untrusted
 * devices in paging domains go through bounce.h, and only through alloc, fill, clear and free of the policy: what these do waits for hardware in every mode.
 */
#ifndef IOG_DMA_MAP_H
#define IOG_DMA_MAP_H

#include <iogate/dma.h>

#include "domain.h"

#define DMA_ATTRS ((uint32_t)(IOG_DMA_BYPASS | IOG_DMA_SKIP_SYNC | IOG_DMA_NO_SNOOP))

/* What makes a request not plain, beside the device (struct iog_device, @plain). */
#define DMA_ATTRS_SPECIAL (~(uint32_t)(IOG_DMA_SKIP_SYNC | IOG_DMA_NO_SNOOP))

/* More than any page table translates; what is less does not wrap when it is rounded up. */
#define DMA_SIZE_MAX (UINT64_MAX >> 1)

#define dma_likely(condition) __builtin_expect(!!(condition), 1)
#define dma_unlikely(condition) __builtin_expect(!!(condition), 0)

enum dma_way {
	DMA_TRANSLATED = 0,
	DMA_DIRECT = 1,
};

_Static_assert((int)IOG_DMA_TO_DEVICE == (int)IOG_PROT_READ && (int)IOG_DMA_FROM_DEVICE == (int)IOG_PROT_WRITE, "a direction is the permission that it needs");

/* Formats without a snoop override accept and ignore COHERENT. */
static inline uint32_t dma_prot(enum iog_dma_dir dir, uint32_t attrs)
{
	return (uint32_t)dir | (attrs & IOG_DMA_NO_SNOOP ? 0 : (uint32_t)IOG_PROT_COHERENT);
}

/* Acquire: the domain was made before the device was attached; pairs with the release in iog_domain_attach(). */
static inline struct iog_domain *dma_domain(const struct iog_device *device)
{
	return atomic_load_explicit(&device->domain, memory_order_acquire);
}

static inline bool dma_dir_known(enum iog_dma_dir dir)
{
	return (uint32_t)dir - 1 <= 2;
}

/* Of a size up to DMA_SIZE_MAX that does not wrap: the pages it touches, bytes. */
static inline uint64_t dma_pages(uint64_t address, uint64_t size, uint64_t granule)
{
	return ((address & (granule - 1)) + size + granule - 1) & ~(granule - 1);
}

static inline void *dma_va(const struct iog_platform *platform, iog_paddr_t paddr)
{
	return (void *)(uintptr_t)(paddr + platform->direct_map_offset);
}

static inline iog_paddr_t dma_paddr(const struct iog_platform *platform, const void *va)
{
	return (uint64_t)(uintptr_t)va - platform->direct_map_offset;
}

/* An unmapping that changed nothing, as against one that the unit did not complete. */
static inline bool dma_refused(int error)
{
	return error == -IOG_ENOENT || error == -IOG_EINVAL || error == -IOG_ERANGE || error == -IOG_EAGAIN;
}

/* Counters of a lane, which nobody else writes. */
static inline void dma_count_map(struct domain_lane *lane, uint64_t size)
{
	atomic_store_explicit(&lane->maps, atomic_load_explicit(&lane->maps, memory_order_relaxed) + 1, memory_order_relaxed);
	atomic_store_explicit(&lane->bytes_mapped, atomic_load_explicit(&lane->bytes_mapped, memory_order_relaxed) + (int64_t)size, memory_order_relaxed);
}

static inline void dma_count_unmap(struct domain_lane *lane, uint64_t size)
{
	atomic_store_explicit(&lane->unmaps, atomic_load_explicit(&lane->unmaps, memory_order_relaxed) + 1, memory_order_relaxed);
	atomic_store_explicit(&lane->bytes_mapped, atomic_load_explicit(&lane->bytes_mapped, memory_order_relaxed) - (int64_t)size, memory_order_relaxed);
}

/**
 * iog_dma_route() - which way a request goes.
 * @device: the device.
 * @lane: the caller's lane.
 * @attrs: enum iog_dma_attrs.
 * @domain: result, on success.
 *
 * Return: enum dma_way; -IOG_EINVAL (unknown attribute, bad lane); -IOG_EPERM; -IOG_ENOENT; -IOG_EFAULT.
 */
int iog_dma_route(const struct iog_device *device, iog_lane_t lane, uint32_t attrs, struct iog_domain **domain);

/**
 * iog_dma_put_run() - a run back to the allocator, all of it having been cleared.
 * @lane: the lane, its gate not entered.
 * @iova: first address.
 * @size: bytes.
 * @cleared: what the policy's clear() returned: if hardware may remember the run, it is put into quarantine.
 *
 * Return: @cleared, or else what the allocator returned.
 */
int iog_dma_put_run(struct domain_lane *lane, iog_iova_t iova, uint64_t size, int cleared);

/**
 * iog_dma_map_error() - the error of a policy as the API words it: a buffer beyond the domain's output addresses is that before it is anything else.
 * @domain: a paging domain.
 * @paddr: first address.
 * @size: bytes; does not wrap.
 * @error: of the policy.
 */
int iog_dma_map_error(const struct iog_domain *domain, iog_paddr_t paddr, uint64_t size, int error);

/**
 * iog_dma_clean() - memory that the CPU wrote or will not write any more, before a device that does not snoop uses it. Does nothing for others.
 * @device: the device.
 * @paddr: first address.
 * @size: bytes.
 */
void iog_dma_clean(const struct iog_device *device, iog_paddr_t paddr, uint64_t size);

/**
 * iog_dma_discard() - memory that such a device wrote, before the CPU reads it: what the CPU's caches hold of it goes.
 * @device: the device.
 * @paddr: first address.
 * @size: bytes.
 */
void iog_dma_discard(const struct iog_device *device, iog_paddr_t paddr, uint64_t size);

/**
 * iog_dma_clean_mapped() - either of the two for what a range of addresses translates to. Does nothing for devices that snoop.
 * @device: in a paging domain.
 * @lane: the caller's lane.
 * @iova: first address.
 * @size: bytes; does not wrap.
 * @discard: which.
 *
 * Return: 0; -IOG_ENOENT at the first address that is not mapped, what lies before it being done.
 */
int iog_dma_clean_mapped(const struct iog_device *device, iog_lane_t lane, iog_iova_t iova, uint64_t size, bool discard);

#endif

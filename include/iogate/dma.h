/* SPDX-License-Identifier: MIT */
/*
 * The DMA API: what a driver calls to let its device reach a buffer, and to take that back.
 *
 * Sub-page buffers. Translation works by the page: a buffer that shares its first or last page with something else exposes that, too. A device created with
 * IOG_DEVICE_UNTRUSTED gets copies of those partial pages instead, and the pages between them as they are; what it wrote arrives in the buffer at iog_dma_unmap() or
 * iog_dma_sync_for_cpu(), and what the CPU wrote reaches it at iog_dma_sync_for_device(). The CPU reads and writes such buffers, and cleans those of devices that do
 * not snoop, through the platform's direct map (VA = PA + offset): they must lie in it. Unmapping waits for hardware in every mode for these devices. Where
 * nothing is translated (bypass, identity, static 1:1) there is nothing to copy, and no protection.
 *
 * Contract: no two calls for the same mapping at once; a mapping is unmapped whole, with the address, size and direction it was mapped with, by any lane.
 */
#ifndef IOGATE_DMA_H
#define IOGATE_DMA_H

#include <stdbool.h>

#include <iogate/types.h>
#include <iogate/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iog_device;

/* Who writes the buffer. A device gets no more permission than its direction needs. */
enum iog_dma_dir {
	IOG_DMA_TO_DEVICE = 1,   /* the device reads */
	IOG_DMA_FROM_DEVICE = 2, /* the device writes */
	IOG_DMA_BIDIRECTIONAL = 3,
};

enum iog_dma_attrs {
	/* The result is the physical address and nothing is mapped. Granted per device (IOG_DEVICE_BYPASS), refused with -IOG_EPERM otherwise. */
	IOG_DMA_BYPASS = 1 << 0,
	/* Do not copy or clean now: iog_dma_sync_for_device() or iog_dma_sync_for_cpu() follows, or the contents do not matter. */
	IOG_DMA_SKIP_SYNC = 1 << 1,
	/* No snoop override (IOG_PROT_COHERENT) even where the format knows it. */
	IOG_DMA_NO_SNOOP = 1 << 2,
};

/* A segment of a scatter list. */
struct iog_sg {
	iog_paddr_t paddr; /* any alignment */
	uint64_t size;     /* bytes, not 0 */
	/* Results of iog_dma_map_sg(), for the first @mapped_n members: what to tell the device. Unmapping goes by those of the first two. */
	iog_iova_t iova;
	uint64_t iova_size;
};

/**
 * iog_dma_map() - let a device reach a buffer.
 * @device: attached to a domain.
 * @lane: the caller's lane.
 * @paddr: the buffer, any alignment.
 * @size: bytes, not 0.
 * @dir: who writes.
 * @attrs: enum iog_dma_attrs.
 * @iova: result: what to tell the device; keeps the offset within the page. Unchanged on error.
 *
 * Context: @lane; may allocate; waits for hardware where unmapping does, and on units that cache not-present entries.
 * Return: 0; -IOG_EINVAL (size 0, unknown direction or attribute, bad lane); -IOG_ERANGE if the buffer wraps or lies beyond what the domain or, untranslated, the device can address;
 *         -IOG_EPERM for a bypass that was not granted; -IOG_ENOENT when the device is in no domain; -IOG_EFAULT in a blocked one; -IOG_ENOSPC, -IOG_ENOMEM; -IOG_EAGAIN while a
 *         unit does not answer and as much waits for it on this lane as may; what the unit returned. Nothing is mapped after an error. After one of the
 *         unit, which is of units that are told of mappings, a device that tries addresses may have found the buffer: it must not be reused before a flush succeeds.
 */
IOG_API int iog_dma_map(struct iog_device *device, iog_lane_t lane, iog_paddr_t paddr, uint64_t size, enum iog_dma_dir dir, uint32_t attrs, iog_iova_t *iova);

/**
 * iog_dma_unmap() - take it back.
 * @device: as mapped.
 * @lane: the caller's lane; need not be the one that mapped.
 * @iova: from iog_dma_map().
 * @size: as mapped.
 * @dir: as mapped.
 * @attrs: as mapped; IOG_DMA_SKIP_SYNC may differ.
 *
 * Context: @lane; waits for hardware in strict mode.
 * Return: with nothing changed: -IOG_EINVAL for what cannot have been mapped (size 0, unknown direction or attribute, bad lane, a bypass that was not granted, a range that wraps or
 *         that nothing maps to, a blocked domain); -IOG_ENOENT if not all of it is mapped (unmapped twice), or the device is in no domain; -IOG_EAGAIN while a unit does not answer
 *         and as much waits for it on this lane as may (deferred_entries of the domain): it can be unmapped later. Otherwise 0; what the unit returned: the entries are gone, but
 *         hardware may remember them, the addresses are not used again until a flush succeeds, and the memory must not be either.
 */
IOG_API int iog_dma_unmap(struct iog_device *device, iog_lane_t lane, iog_iova_t iova, uint64_t size, enum iog_dma_dir dir, uint32_t attrs);

/**
 * iog_dma_unmap_release() - iog_dma_unmap(), and a call when no device can reach the memory any more, whatever the mode.
 * @device: as mapped.
 * @lane: the caller's lane.
 * @iova: from iog_dma_map().
 * @size: as mapped.
 * @dir: as mapped.
 * @attrs: as mapped; IOG_DMA_SKIP_SYNC may differ.
 * @release: called once: before the return in strict mode, for untrusted devices and for what is not translated; after the next flush otherwise, or when a flush succeeds after an error
 *           of the unit. Not after -IOG_EINVAL, -IOG_ENOENT and -IOG_EAGAIN: nothing was unmapped.
 * @ctx: handed to it.
 *
 * Context: as iog_dma_unmap(); that of @release as for struct iog_hold_ops.
 * Return: as iog_dma_unmap().
 */
IOG_API int iog_dma_unmap_release(struct iog_device *device, iog_lane_t lane, iog_iova_t iova, uint64_t size, enum iog_dma_dir dir, uint32_t attrs,
				  void (*release)(void *ctx), void *ctx);

/**
 * iog_dma_map_sg() - let a device reach a list of buffers.
 * @device: attached to a domain.
 * @lane: the caller's lane.
 * @sg: segments. Only the first may begin, and only the last end, inside a page, or there is a gap in the addresses.
 * @n: segments, not 0.
 * @dir: who writes, for all.
 * @attrs: enum iog_dma_attrs.
 * @iova: result: the first address of the list. May be NULL.
 * @mapped_n: result: how many (iova, iova_size) pairs the device has to be told of: neighbours are merged as far as the device's segment bounds allow.
 *
 * One run of addresses holds the list, in order; a segment that does not begin where the last one ended, on a page boundary, begins a new pair. With IOG_DMA_BYPASS, identity or static 1:1 domains
 * each segment is its own address, and only what is contiguous in memory is merged. No pair is longer than the device's segment_max or crosses its segment_boundary: where a
 * segment would, pages of the run are skipped, counted in its size, and not mapped. Boundaries above IOG_IOVA_ALIGN_MAX are treated as that.
 *
 * Context: as iog_dma_map().
 * Return: as iog_dma_map(); -IOG_EINVAL also for a segment that by itself breaks the device's bounds. All or nothing.
 */
IOG_API int iog_dma_map_sg(struct iog_device *device, iog_lane_t lane, struct iog_sg *sg, uint32_t n, enum iog_dma_dir dir, uint32_t attrs, iog_iova_t *iova,
			   uint32_t *mapped_n);

/**
 * iog_dma_unmap_sg() - take the list back, with one invalidation.
 * @device: as mapped.
 * @lane: the caller's lane.
 * @sg: as iog_dma_map_sg() left it. Its first iova_size is 0 afterwards, by which a second unmapping is noticed.
 * @n: as mapped (not @mapped_n).
 * @dir: as mapped.
 * @attrs: as mapped.
 *
 * Context: as iog_dma_unmap().
 * Return: as iog_dma_unmap(); -IOG_EINVAL also for a list that was not mapped so.
 */
IOG_API int iog_dma_unmap_sg(struct iog_device *device, iog_lane_t lane, struct iog_sg *sg, uint32_t n, enum iog_dma_dir dir, uint32_t attrs);

/**
 * iog_dma_alloc() - memory that device and CPU share, mapped for both directions.
 * @device: attached to a domain.
 * @lane: the caller's lane.
 * @size: bytes, not 0; rounded up to a power of two of at least the granule.
 * @va: result: zeroed memory, aligned to its size.
 * @iova: result: what to tell the device. Both are unchanged on error.
 *
 * Context: as iog_dma_map(); takes pages from the platform.
 * Return: as iog_dma_map(); -IOG_EOPNOTSUPP for a device that does not snoop, which needs memory that is not cached.
 */
IOG_API int iog_dma_alloc(struct iog_device *device, iog_lane_t lane, uint64_t size, void **va, iog_iova_t *iova);

/**
 * iog_dma_free() - the opposite.
 * @device: as allocated.
 * @lane: the caller's lane.
 * @size: as allocated.
 * @va: from iog_dma_alloc().
 * @iova: from iog_dma_alloc().
 *
 * Context: @lane; waits for hardware in every mode: the memory goes back to the platform.
 * Return: as iog_dma_unmap(), -IOG_ENOENT also where @iova does not lead to @va; after an error the memory is kept.
 */
IOG_API int iog_dma_free(struct iog_device *device, iog_lane_t lane, uint64_t size, void *va, iog_iova_t iova);

/**
 * iog_dma_map_resource() - let a device reach another device's registers.
 * @device: attached to a domain.
 * @lane: the caller's lane.
 * @paddr: first address, any alignment. Not memory: nothing is copied or cleaned, and the pages around it are exposed whole.
 * @size: bytes, not 0.
 * @dir: who writes.
 * @attrs: enum iog_dma_attrs.
 * @iova: what to tell the device.
 *
 * Undone by iog_dma_unmap_resource() with the same arguments.
 *
 * Context: as iog_dma_map().
 * Return: as iog_dma_map().
 */
IOG_API int iog_dma_map_resource(struct iog_device *device, iog_lane_t lane, iog_paddr_t paddr, uint64_t size, enum iog_dma_dir dir, uint32_t attrs,
				 iog_iova_t *iova);
IOG_API int iog_dma_unmap_resource(struct iog_device *device, iog_lane_t lane, iog_iova_t iova, uint64_t size, enum iog_dma_dir dir, uint32_t attrs);

/**
 * iog_dma_sync_for_cpu() - before the CPU reads what the device wrote, while the mapping stays.
 * @device: as mapped.
 * @lane: the caller's lane.
 * @iova: an address inside a mapping.
 * @size: bytes, not beyond the mapping's end.
 * @dir: as mapped.
 *
 * Copies back what is copied for untrusted devices, and drops cache lines for those that do not snoop. Does nothing otherwise, and for what the device does not write.
 *
 * Context: @lane; does not wait for hardware.
 * Return: 0; -IOG_EINVAL (size 0, unknown direction, bad lane, a range that wraps or leaves its mapping, a blocked domain); -IOG_ENOENT if nothing is mapped there, or the device is
 *         in no domain. Of devices that are trusted and snoop the address is not looked at.
 */
IOG_API int iog_dma_sync_for_cpu(struct iog_device *device, iog_lane_t lane, iog_iova_t iova, uint64_t size, enum iog_dma_dir dir);

/**
 * iog_dma_sync_for_device() - before the device goes on with what the CPU has touched, while the mapping stays. As iog_dma_sync_for_cpu(), the other way, in every direction: what
 * only the device writes it need not write whole, and the rest must come back as the CPU left it.
 * @device: as mapped.
 * @lane: the caller's lane.
 * @iova: an address inside a mapping.
 * @size: bytes, not beyond the mapping's end.
 * @dir: as mapped.
 *
 * Context: @lane; does not wait for hardware.
 * Return: as iog_dma_sync_for_cpu().
 */
IOG_API int iog_dma_sync_for_device(struct iog_device *device, iog_lane_t lane, iog_iova_t iova, uint64_t size, enum iog_dma_dir dir);

/**
 * struct iog_dma_run - addresses taken once, into which pages are linked and unlinked without touching the allocator. The caller's memory; read freely.
 */
struct iog_dma_run {
	struct iog_device *device;
	iog_iova_t iova;
	uint64_t size; /* bytes, a multiple of the granule */
};

/**
 * iog_dma_reserve() - take a run of addresses; nothing is mapped.
 * @device: attached to a paging domain.
 * @lane: the caller's lane.
 * @size: bytes, not 0; rounded up to the granule.
 * @run: result; unchanged on error.
 *
 * Context: as iog_dma_map().
 * Return: as iog_dma_map(); -IOG_EOPNOTSUPP where addresses are not translated: map each buffer instead.
 */
IOG_API int iog_dma_reserve(struct iog_device *device, iog_lane_t lane, uint64_t size, struct iog_dma_run *run);

/**
 * iog_dma_link() - map pages at a place of the run.
 * @run: from iog_dma_reserve().
 * @lane: the caller's lane.
 * @offset: bytes into the run, a multiple of the granule.
 * @paddr: a multiple of the granule: partial pages are exposed whole, so there are none here.
 * @size: bytes, a multiple of the granule, not 0.
 * @dir: who writes.
 * @attrs: enum iog_dma_attrs; no bypass.
 *
 * Context: as iog_dma_map().
 * Return: as iog_dma_reserve(); -IOG_EINVAL also for what is misaligned, or an attribute that is not for runs; -IOG_ERANGE also beyond the run; -IOG_EEXIST if something is linked there.
 *         After an error nothing of the call is linked; but after -IOG_ETIMEDOUT or -IOG_EIO, when the unit has failed, some of it may be, until the run is released.
 */
IOG_API int iog_dma_link(const struct iog_dma_run *run, iog_lane_t lane, uint64_t offset, iog_paddr_t paddr, uint64_t size, enum iog_dma_dir dir, uint32_t attrs);

/**
 * iog_dma_unlink() - unmap a part of the run, holes included, and wait until hardware has forgotten it, in every mode, as the place may be linked again at once.
 * @run: from iog_dma_reserve().
 * @lane: the caller's lane.
 * @offset: bytes into the run, a multiple of the granule.
 * @size: bytes, a multiple of the granule, not 0.
 *
 * For devices that do not snoop iog_dma_sync_for_cpu() comes before it: there is no direction here. What one call linked of at least as much as a leaf table spans (2 MiB with
 * pages of 4 KiB) may be of large leaves, which can be unlinked whole only.
 *
 * What was linked in pieces that large leaves hold (2 MiB and more, where address and memory are aligned so) is unlinked by whole leaves, unless the page table was created
 * with IOG_PGTABLE_SPLIT. Smaller runs from windows have none.
 *
 * Context: @lane; waits for hardware; allocates only to split.
 * Return: with nothing changed: -IOG_EINVAL (misaligned, size 0, bad lane, a part of a large leaf), -IOG_ERANGE beyond the run, -IOG_ENOMEM, and as iog_dma_reserve() for where
 *         the device is. Otherwise 0; what the unit returned: the place must not be linked again.
 */
IOG_API int iog_dma_unlink(const struct iog_dma_run *run, iog_lane_t lane, uint64_t offset, uint64_t size);

/**
 * iog_dma_release() - unmap what is still linked, and give the addresses back.
 * @run: void afterwards.
 * @lane: the caller's lane.
 *
 * Context: @lane; waits for hardware in strict mode, for untrusted devices, and while an unlinking in this domain has failed and no flush has succeeded since.
 * Return: as iog_dma_unmap(); -IOG_EINVAL also for a run that was released. @run stays as it was only where nothing is changed.
 */
IOG_API int iog_dma_release(struct iog_dma_run *run, iog_lane_t lane);

#ifdef __cplusplus
}
#endif

#endif

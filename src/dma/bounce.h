/* SPDX-License-Identifier: MIT */
/*
 * Mappings of untrusted devices: the partial pages at the ends of a buffer, or of each segment of a list, are pages of their own that hold nothing else (bounce pages); the
 * pages between are mapped as they are.
 */
#ifndef IOG_DMA_BOUNCE_H
#define IOG_DMA_BOUNCE_H

#include <iogate/dma.h>

#include "domain.h"
#include "sg.h"

/**
 * iog_bounce_map() - map a list into a run of addresses.
 * @lane: of a paging domain; gate not entered.
 * @device: an untrusted device.
 * @sg: the list, which @layout accepts.
 * @n: segments.
 * @layout: empty, with the bounds.
 * @prot: enum iog_prot.
 * @attrs: enum iog_dma_attrs: SKIP_SYNC leaves bounce pages zero.
 * @copy: whether partial pages are copied; else whole pages are exposed (what is not memory).
 * @iova: result: the address of the first byte.
 *
 * Context: allocates.
 * Return: 0; -IOG_ENOMEM; of the policy. Nothing is mapped after an error.
 */
int iog_bounce_map(struct domain_lane *lane, const struct iog_device *device, const struct iog_sg *sg, uint32_t n, const struct sg_layout *layout,
		   uint32_t prot, uint32_t attrs, bool copy, iog_iova_t *iova);

/**
 * iog_bounce_unmap() - take a mapping back, wait for hardware, and then copy.
 * @lane: of the same domain.
 * @device: as mapped.
 * @iova: the address of the first byte.
 * @size: from there to the last.
 * @copy: whether what the device wrote goes to the buffer.
 *
 * Return: 0; -IOG_ENOENT if there is no mapping at this address, -IOG_EINVAL if it has another size; of the unit: then nothing was copied, and the bounce pages are kept until
 *         a flush succeeds.
 */
int iog_bounce_unmap(struct domain_lane *lane, const struct iog_device *device, iog_iova_t iova, uint64_t size, bool copy);

/**
 * iog_bounce_sync() - copy a part of a mapping.
 * @domain: a paging domain.
 * @iova: first address.
 * @size: bytes; does not wrap.
 * @for_cpu: from the bounce pages to the buffer; else the other way.
 *
 * Return: 0; -IOG_ENOENT if no mapping holds the first address; -IOG_EINVAL if it does not hold the last.
 */
int iog_bounce_sync(struct iog_domain *domain, iog_iova_t iova, uint64_t size, bool for_cpu);

/**
 * iog_bounce_fini() - free what a domain has of all this.
 * @domain: no device is attached any more, and no unit remembers it.
 */
void iog_bounce_fini(struct iog_domain *domain);

#endif

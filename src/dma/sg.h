/* SPDX-License-Identifier: MIT */
/*
 * Where the segments of a scatter list lie in their run of addresses. A function of the list and the device's bounds alone, so that unmapping finds what mapping laid out.
 *
 * Each segment keeps its offset within the page and has its pages to itself; pages are skipped where a segment would otherwise cross the device's boundary. Runs
 * are aligned to their size rounded up to a power of two, at most IOG_IOVA_ALIGN_MAX: what does not cross a boundary up to that size in the run does not cross it in
 * addresses.
 */
#ifndef IOG_DMA_SG_H
#define IOG_DMA_SG_H

#include <iogate/dma.h>
#include <iogate/error.h>
#include <iogate/iova.h>

#include "domain.h"

struct sg_layout {
	uint64_t granule;
	uint64_t segment_last;  /* longest segment - 1 */
	uint64_t boundary_last; /* boundary - 1 */
	uint64_t end;           /* bytes laid out so far, a multiple of the granule; all of the run in the end */
};

/* Half of the numbers there are; longer runs are in no page table. */
#define SG_RUN_MAX (UINT64_MAX >> 1)

static inline struct sg_layout sg_layout_unbounded(uint64_t granule)
{
	return (struct sg_layout){ .granule = granule, .segment_last = UINT64_MAX, .boundary_last = UINT64_MAX };
}

/* Bounds of 0 are none. */
static inline struct sg_layout sg_layout_of(const struct iog_device *device, uint64_t granule)
{
	uint64_t boundary = device->segment_boundary;

	if (boundary > IOG_IOVA_ALIGN_MAX)
		boundary = IOG_IOVA_ALIGN_MAX;
	return (struct sg_layout){ .granule = granule, .segment_last = device->segment_max - 1, .boundary_last = boundary - 1 };
}

static inline bool sg_crosses(uint64_t first, uint64_t last, uint64_t boundary_last)
{
	return (first ^ last) & ~boundary_last;
}

/*
 * The next segment: @at is the place of its first byte in the run. -IOG_EINVAL for one that is empty, or that the bounds do not let the device be told of; -IOG_ERANGE for one
 * that wraps, or a run that no page table holds.
 */
static inline int sg_place(struct sg_layout *layout, iog_paddr_t paddr, uint64_t size, uint64_t *at)
{
	uint64_t offset = paddr & (layout->granule - 1);
	uint64_t first = layout->end + offset;

	if (__builtin_expect(size - 1 > layout->segment_last || !size, 0))
		return -IOG_EINVAL;
	if (__builtin_expect(size > SG_RUN_MAX || paddr + (size - 1) < paddr || layout->end > SG_RUN_MAX - size, 0))
		return -IOG_ERANGE;
	if (__builtin_expect(sg_crosses(first, first + (size - 1), layout->boundary_last), 0)) {
		first = ((layout->end + layout->boundary_last) & ~layout->boundary_last) + offset;
		if (layout->boundary_last < layout->granule || sg_crosses(first, first + (size - 1), layout->boundary_last))
			return -IOG_EINVAL;
	}
	*at = first;
	layout->end = (first + size + layout->granule - 1) & ~(layout->granule - 1);
	return layout->end > SG_RUN_MAX ? -IOG_ERANGE : 0;
}

#endif

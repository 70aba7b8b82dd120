/* SPDX-License-Identifier: MIT */
/*
 * Scatter lists: one run of addresses for the whole list, one invalidation to take it back.
 *
 * Mapping looks at the list twice: once to lay it out (sg.h), so that a malformed one changes nothing, and once to store entries and tell the pairs. Pairs are
 * written to the list's first members while later ones are still to be read: they are other members of the struct.
 *
 * A list of whole pages that are contiguous in memory is one buffer in parts, as lists of large buffers often are. It is looked at once and mapped as a buffer. Whatever a list was, if
 * one pair came of it then that is its run, and unmapping does not look at the list again.
 */
#include "bounce.h"
#include "held.h"
#include "map.h"

/* The (iova, iova_size) pairs of a list in the making. */
struct pairs {
	struct iog_sg *sg;
	uint32_t nr;
	uint64_t segment_last;
	uint64_t boundary_last;
};

/* A segment for the device: joined with the last pair where that ends at its address and the bounds allow. */
static void pairs_add(struct pairs *pairs, iog_iova_t iova, uint64_t size)
{
	struct iog_sg *pair = &pairs->sg[pairs->nr];

	if (pairs->nr) {
		struct iog_sg *last = pair - 1;

		if (last->iova + last->iova_size == iova && size <= pairs->segment_last && last->iova_size - 1 <= pairs->segment_last - size &&
		    !sg_crosses(last->iova, iova + (size - 1), pairs->boundary_last)) {
			last->iova_size += size;
			return;
		}
	}
	pair->iova = iova;
	pair->iova_size = size;
	pairs->nr++;
}

/* All segments, or the first error. @layout is at the run's end then. */
static int sg_measure(struct sg_layout *layout, const struct iog_sg *sg, uint32_t n)
{
	uint64_t at;

	for (uint32_t i = 0; i < n; i++) {
		int error = sg_place(layout, sg[i].paddr, sg[i].size, &at);

		if (error)
			return error;
	}
	return 0;
}

/* Untranslated: each segment where it is. */
static int map_direct(const struct iog_device *device, struct domain_lane *lane, struct iog_sg *sg, uint32_t n, struct pairs *pairs)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < n; i++) {
		iog_paddr_t last = sg[i].paddr + (sg[i].size - 1);

		if (!sg[i].size || sg[i].size - 1 > pairs->segment_last)
			return -IOG_EINVAL;
		if (last < sg[i].paddr || last > device->limit)
			return -IOG_ERANGE;
		if (sg_crosses(sg[i].paddr, last, pairs->boundary_last))
			return -IOG_EINVAL;
		bytes += sg[i].size;
	}
	for (uint32_t i = 0; i < n; i++)
		pairs_add(pairs, sg[i].paddr, sg[i].size);
	dma_count_map(lane, bytes);
	return 0;
}

/* How far the entries of a list have come: the segment that the next one begins with, and, after an error, what was being entered (nothing, if all was). */
struct filling {
	uint32_t next;
	struct held_piece failed;
};

/* Units that have to be told of mappings are told of all that was entered. */
static int tell_filled(struct domain_lane *lane)
{
	uintptr_t flags = domain_lane_enter(lane);
	int error = iog_gather_flush(&lane->gather);

	domain_lane_exit(lane, flags);
	return error;
}

/* Entries for all segments of a run; what is contiguous in memory as in addresses is one call of the policy. */
static int fill_run(struct domain_lane *lane, struct sg_layout layout, iog_iova_t run, const struct iog_sg *sg, uint32_t n, uint32_t prot, struct filling *filling)
{
	const struct iog_domain *domain = lane->domain;
	uint64_t mask = domain->granule - 1, run_at = 0, size = 0, at = 0;
	iog_paddr_t paddr = 0;
	int error = 0;

	lane->filling = domain->flush_on_map;
	for (filling->next = 0; filling->next < n; filling->next++) {
		const struct iog_sg *segment = &sg[filling->next];

		/* It was laid out before. */
		(void)sg_place(&layout, segment->paddr, segment->size, &at);
		at &= ~mask;
		if (size && (at != run_at + size || (segment->paddr & ~mask) != paddr + size)) {
			error = domain->policy->fill(lane, run + run_at, paddr, size, prot);
			if (error)
				break;
			size = 0;
		}
		if (!size) {
			run_at = at;
			paddr = segment->paddr & ~mask;
		}
		size = layout.end - run_at;
	}
	if (!error)
		error = domain->policy->fill(lane, run + run_at, paddr, size, prot);
	filling->failed = (struct held_piece){ paddr, size };
	if (lane->filling) {
		lane->filling = false;
		if (!error) {
			error = tell_filled(lane);
			filling->failed.size = 0;
		}
	}
	return error ? iog_dma_map_error(domain, paddr, size, error) : 0;
}

static inline struct held_piece pages_of(const struct iog_domain *domain, const struct iog_sg *segment)
{
	return (struct held_piece){ segment->paddr & ~(domain->granule - 1), dma_pages(segment->paddr, segment->size, domain->granule) };
}

/* The memory of a list that is not mapped after all: what had been entered goes as it is cleared, what was being entered may be remembered, and the rest nobody has seen. */
static void undo_held(struct domain_lane *lane, iog_iova_t run, uint64_t size, const struct iog_sg *sg, uint32_t n, const struct filling *filling)
{
	iog_held_take_back(lane, run, size);
	iog_held_undo(lane, filling->failed.paddr, filling->failed.size);
	for (uint32_t i = filling->next; i < n; i++) {
		const struct held_piece pages = pages_of(lane->domain, &sg[i]);

		held_give(lane->domain, pages.paddr, pages.size);
	}
}

static int map_run(struct domain_lane *lane, const struct iog_device *device, const struct sg_layout *layout, uint64_t size, const struct iog_sg *sg, uint32_t n,
		   uint32_t prot, iog_iova_t *run)
{
	const struct iog_domain *domain = lane->domain;
	struct filling filling;
	/* What is undone may have to be remembered. */
	int error = iog_domain_room(lane);

	if (error)
		return error;
	error = domain->policy->alloc(lane, size, device->limit, run);
	for (uint32_t i = 0; error && i < n; i++) {
		int worded = iog_dma_map_error(domain, sg[i].paddr, sg[i].size, error);

		if (worded != error)
			return worded;
	}
	if (error)
		return error;
	for (uint32_t i = 0; domain->hold && i < n; i++) {
		const struct held_piece pages = pages_of(domain, &sg[i]);

		held_take(lane, pages.paddr, pages.size);
	}
	error = fill_run(lane, *layout, *run, sg, n, prot, &filling);
	/* No device was told of them. An error of the unit here keeps the addresses out of use; the caller learns the first one. */
	if (error && domain->hold)
		undo_held(lane, *run, size, sg, n, &filling);
	else if (error)
		(void)iog_dma_put_run(lane, *run, size, domain->policy->clear(lane, *run, size));
	return error;
}

/* The pairs. A segment begins where the last one ended only if that was a page boundary. Returns the bytes of the list. */
static uint64_t tell_pairs(struct pairs *pairs, struct sg_layout layout, iog_iova_t run, const struct iog_sg *sg, uint32_t n)
{
	uint64_t bytes = 0, at = 0;

	for (uint32_t i = 0; i < n; i++) {
		(void)sg_place(&layout, sg[i].paddr, sg[i].size, &at);
		pairs_add(pairs, run + at, sg[i].size);
		bytes += sg[i].size;
	}
	return bytes;
}

/* The domain if nothing has to be looked at but the list, and addresses are those of its policy: of 1:1 addresses a list has none, whatever it looks like. */
static inline struct iog_domain *plain_domain(const struct iog_device *device, iog_lane_t lane, uint32_t n, enum iog_dma_dir dir, uint32_t attrs)
{
	/* Acquire: see dma_domain(). */
	struct iog_domain *domain = atomic_load_explicit(&device->plain, memory_order_acquire);

	return domain && n && !(attrs & DMA_ATTRS_SPECIAL) && dma_dir_known(dir) && lane < domain->lanes_count && !domain->fallback ? domain : NULL;
}

/* The bytes of a list that is one buffer in whole pages, or 0. */
static inline uint64_t one_buffer(const struct iog_sg *sg, uint32_t n, uint64_t granule)
{
	iog_paddr_t next = sg[0].paddr;
	uint64_t sizes = 0;

	for (const struct iog_sg *part = sg, *end = sg + n; part != end; part++) {
		if (part->paddr != next || !part->size)
			return 0;
		sizes |= part->size;
		next += part->size;
	}
	/* Less than 2^32 parts of less than 2^31 each: their sum does not wrap. */
	if ((sizes | sg[0].paddr) & (granule - 1) || (n > 1 && sizes >> 31) || next - 1 < sg[0].paddr || next - sg[0].paddr > DMA_SIZE_MAX)
		return 0;
	return next - sg[0].paddr;
}

static int map_buffer(struct domain_lane *lane, const struct iog_device *device, struct iog_sg *sg, uint64_t size, uint32_t prot)
{
	const struct iog_domain *domain = lane->domain;
	iog_iova_t at;
	int error;

	if (domain->hold)
		held_take(lane, sg[0].paddr, size);
	error = domain->policy->map(lane, sg[0].paddr, size, prot, device->limit, &at);
	if (error) {
		if (domain->hold)
			iog_held_undo(lane, sg[0].paddr, size);
		return iog_dma_map_error(domain, sg[0].paddr, size, error);
	}
	sg[0].iova = at;
	sg[0].iova_size = size;
	dma_count_map(lane, size);
	return 0;
}

/* A list of which the device was told one pair: that says where its pages are. As far as one look tells it is the list that was mapped. */
static inline bool is_one_pair(const struct iog_sg *sg, uint32_t n, uint64_t mask)
{
	uint64_t size = sg[0].iova_size;

	return (n == 1 || !sg[1].iova_size) && size - 1 < DMA_SIZE_MAX && sg[0].iova + (size - 1) >= sg[0].iova && sg[0].size - 1 < size &&
	       !((sg[0].iova ^ sg[0].paddr) & mask);
}

static int unmap_pair(struct domain_lane *lane, struct iog_sg *sg)
{
	const struct iog_domain *domain = lane->domain;
	uint64_t size = sg[0].iova_size, pages = dma_pages(sg[0].iova, size, domain->granule);
	iog_iova_t run = sg[0].iova & ~(domain->granule - 1);
	int error;

	if (domain->hold)
		error = iog_held_unmap(lane, run, pages, false, NULL, NULL);
	else
		error = domain->policy->unmap(lane, run, pages);
	if (error && dma_refused(error))
		return error == -IOG_ERANGE ? -IOG_EINVAL : error;
	dma_count_unmap(lane, size);
	sg[0].iova_size = 0;
	return error;
}

int iog_dma_map_sg(struct iog_device *device, iog_lane_t lane_number, struct iog_sg *sg, uint32_t n, enum iog_dma_dir dir, uint32_t attrs, iog_iova_t *iova,
		   uint32_t *mapped_n)
{
	struct pairs pairs = { .sg = sg, .segment_last = device->segment_max - 1, .boundary_last = device->segment_boundary - 1 };
	struct iog_domain *domain;
	struct domain_lane *lane;
	iog_iova_t run;
	uint64_t size;
	int error, way;

	domain = plain_domain(device, lane_number, n, dir, attrs);
	size = domain && !device->segment_max && !device->segment_boundary ? one_buffer(sg, n, domain->granule) : 0;
	if (size) {
		error = map_buffer(&domain->lanes[lane_number], device, sg, size, dma_prot(dir, attrs));
		if (error)
			return error;
		if (n > 1)
			sg[1].iova_size = 0;
		if (iova)
			*iova = sg[0].iova;
		*mapped_n = 1;
		return 0;
	}
	if (!n || !dma_dir_known(dir))
		return -IOG_EINVAL;
	way = iog_dma_route(device, lane_number, attrs, &domain);
	if (way < 0)
		return way;
	lane = &domain->lanes[lane_number];

	if (way == DMA_DIRECT) {
		error = map_direct(device, lane, sg, n, &pairs);
		if (error)
			return error;
	} else {
		const struct sg_layout start = sg_layout_of(device, domain->granule);
		struct sg_layout end = start;
		uint32_t prot = dma_prot(dir, attrs);

		error = sg_measure(&end, sg, n);
		if (error)
			return error;
		if (device->flags & IOG_DEVICE_NONCOHERENT)
			prot &= ~(uint32_t)IOG_PROT_COHERENT;
		if (device->flags & IOG_DEVICE_UNTRUSTED)
			error = iog_bounce_map(lane, device, sg, n, &start, prot, attrs, true, &run);
		else
			error = map_run(lane, device, &start, end.end, sg, n, prot, &run);
		if (error)
			return error;
		dma_count_map(lane, tell_pairs(&pairs, start, run & ~(domain->granule - 1), sg, n));
	}
	if (!(attrs & IOG_DMA_SKIP_SYNC) && device->flags & IOG_DEVICE_NONCOHERENT) {
		for (uint32_t i = 0; i < n; i++)
			iog_dma_clean(device, sg[i].paddr, sg[i].size);
	}
	if (iova)
		*iova = sg[0].iova;
	*mapped_n = pairs.nr;
	return 0;
}

int iog_dma_unmap_sg(struct iog_device *device, iog_lane_t lane_number, struct iog_sg *sg, uint32_t n, enum iog_dma_dir dir, uint32_t attrs)
{
	bool discard = !(attrs & IOG_DMA_SKIP_SYNC) && dir & IOG_DMA_FROM_DEVICE;
	struct iog_domain *domain;
	struct domain_lane *lane;
	uint64_t bytes = 0;
	int error = 0, way;

	domain = plain_domain(device, lane_number, n, dir, attrs);
	if (domain && is_one_pair(sg, n, domain->granule - 1))
		return unmap_pair(&domain->lanes[lane_number], sg);
	if (!n || !dma_dir_known(dir))
		return -IOG_EINVAL;
	way = iog_dma_route(device, lane_number, attrs, &domain);
	if (way < 0)
		return way == -IOG_ENOENT ? way : -IOG_EINVAL;
	if (!sg[0].iova_size)
		return -IOG_ENOENT;
	lane = &domain->lanes[lane_number];

	for (uint32_t i = 0; i < n; i++)
		bytes += sg[i].size;
	if (discard && device->flags & IOG_DEVICE_NONCOHERENT) {
		for (uint32_t i = 0; i < n; i++)
			iog_dma_discard(device, sg[i].paddr, sg[i].size);
	}
	if (way == DMA_DIRECT) {
		dma_count_unmap(lane, bytes);
	} else {
		struct sg_layout layout = sg_layout_of(device, domain->granule);
		uint64_t mask = domain->granule - 1;
		iog_iova_t run;

		if (sg_measure(&layout, sg, n) || (sg[0].iova & mask) != (sg[0].paddr & mask))
			return -IOG_EINVAL;
		run = sg[0].iova & ~mask;
		if (device->flags & IOG_DEVICE_UNTRUSTED) {
			error = iog_bounce_unmap(lane, device, run, layout.end, discard);
		} else if (domain->hold) {
			error = iog_held_unmap(lane, run, layout.end, true, NULL, NULL);
		} else {
			error = domain->policy->free(lane, run, layout.end);
		}
		if (dma_refused(error))
			return error;
		dma_count_unmap(lane, bytes);
	}
	/* A second unmapping of the list finds that it is not mapped. */
	sg[0].iova_size = 0;
	return error;
}

/* SPDX-License-Identifier: MIT */
/*
 * Runs of addresses that are taken once: linking and unlinking pages changes entries and nothing else. The policy's alloc, fill, clear and free under names of their own, with
 * arguments checked.
 */
#include "map.h"

/* A run's domain and lane. */
static int run_lane(const struct iog_dma_run *run, iog_lane_t number, struct domain_lane **lane)
{
	struct iog_domain *domain;
	int way;

	if (!run->device)
		return -IOG_EINVAL;
	way = iog_dma_route(run->device, number, 0, &domain);
	if (way < 0)
		return way;
	if (way != DMA_TRANSLATED)
		return -IOG_EOPNOTSUPP;
	*lane = &domain->lanes[number];
	return 0;
}

/* A part of the run: whole pages, inside it. */
static int run_part(const struct iog_dma_run *run, uint64_t granule, uint64_t offset, uint64_t size)
{
	if (!size || (offset | size) & (granule - 1))
		return -IOG_EINVAL;
	return offset > run->size || size > run->size - offset ? -IOG_ERANGE : 0;
}

/* What is still linked may go with a later flush: not where memory may be used again at once, and nobody is told when; not for untrusted devices, nor after an unlinking has failed. */
static bool release_waits(const struct domain_lane *lane, const struct iog_device *device)
{
	return device->flags & IOG_DEVICE_UNTRUSTED || atomic_load_explicit(&lane->domain->mode, memory_order_relaxed) == IOG_INVAL_HELD;
}

/*
 * A unit has not answered when it was told of a linking or unlinking. Until a flush that covers it has completed, every run that is released goes into quarantine. Release: pairs
 * with is_suspect().
 */
static void suspect(struct iog_domain *domain)
{
	uint64_t needed = flush_needed(&domain->clock), known = atomic_load_explicit(&domain->suspect, memory_order_relaxed);

	while (known < needed &&
	       !atomic_compare_exchange_weak_explicit(&domain->suspect, &known, needed, memory_order_release, memory_order_relaxed))
		;
}

static bool is_suspect(const struct iog_domain *domain)
{
	return !flush_covers(&domain->clock, atomic_load_explicit(&domain->suspect, memory_order_acquire));
}

int iog_dma_reserve(struct iog_device *device, iog_lane_t lane_number, uint64_t size, struct iog_dma_run *run)
{
	struct iog_dma_run reserved = { .device = device };
	struct domain_lane *lane;
	int error;

	if (!size)
		return -IOG_EINVAL;
	error = run_lane(&reserved, lane_number, &lane);
	if (error)
		return error;
	if (size > DMA_SIZE_MAX)
		return -IOG_ERANGE;
	reserved.size = dma_pages(0, size, lane->domain->granule);
	error = lane->domain->policy->alloc(lane, reserved.size, device->limit, &reserved.iova);
	if (error)
		return error;
	dma_count_map(lane, reserved.size);
	*run = reserved;
	return 0;
}

int iog_dma_link(const struct iog_dma_run *run, iog_lane_t lane_number, uint64_t offset, iog_paddr_t paddr, uint64_t size, enum iog_dma_dir dir, uint32_t attrs)
{
	uint32_t prot = dma_prot(dir, attrs);
	struct domain_lane *lane;
	int error;

	if (!dma_dir_known(dir) || attrs & ~(uint32_t)(IOG_DMA_SKIP_SYNC | IOG_DMA_NO_SNOOP))
		return -IOG_EINVAL;
	error = run_lane(run, lane_number, &lane);
	if (!error)
		error = run_part(run, lane->domain->granule, offset, size);
	if (error)
		return error;
	if (paddr & (lane->domain->granule - 1))
		return -IOG_EINVAL;
	if (size - 1 > UINT64_MAX - paddr)
		return -IOG_ERANGE;
	if (run->device->flags & IOG_DEVICE_NONCOHERENT)
		prot &= ~(uint32_t)IOG_PROT_COHERENT;
	error = lane->domain->policy->fill(lane, run->iova + offset, paddr, size, prot);
	/* What was entered and undone may be remembered, where the unit was told before it was undone. */
	if (domain_unit_failed(error))
		suspect(lane->domain);
	if (error)
		return iog_dma_map_error(lane->domain, paddr, size, error);
	if (!(attrs & IOG_DMA_SKIP_SYNC))
		iog_dma_clean(run->device, paddr, size);
	return 0;
}

int iog_dma_unlink(const struct iog_dma_run *run, iog_lane_t lane_number, uint64_t offset, uint64_t size)
{
	struct domain_lane *lane;
	int error = run_lane(run, lane_number, &lane);

	if (!error)
		error = run_part(run, lane->domain->granule, offset, size);
	if (error)
		return error;
	error = lane->domain->policy->clear(lane, run->iova + offset, size);
	/* Releases look at this: no run goes back that hardware may remember. A part of a large leaf is refused, or there is no memory to split that: then nothing was cleared. */
	if (error && error != -IOG_ENOMEM && !dma_refused(error))
		suspect(lane->domain);
	return error;
}

int iog_dma_release(struct iog_dma_run *run, iog_lane_t lane_number)
{
	struct domain_lane *lane;
	int error = run_lane(run, lane_number, &lane);

	if (error)
		return error == -IOG_ENOENT ? error : -IOG_EINVAL;
	if (release_waits(lane, run->device) || is_suspect(lane->domain)) {
		error = iog_domain_room(lane);
		if (error)
			return error;
		error = lane->domain->policy->clear(lane, run->iova, run->size);
		if (!error && is_suspect(lane->domain))
			(void)iog_dma_put_run(lane, run->iova, run->size, -IOG_EIO);
		else
			error = iog_dma_put_run(lane, run->iova, run->size, error);
	} else {
		error = lane->domain->policy->free(lane, run->iova, run->size);
	}
	if (dma_refused(error))
		return error;
	dma_count_unmap(lane, run->size);
	run->device = NULL;
	return error;
}

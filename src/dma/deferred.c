/* SPDX-License-Identifier: MIT */
/*
 * Addresses that wait for a flush: those of unmaps in deferred mode, and in any mode those of which an invalidation has failed.
 *
 * They stay handed out in the allocator while they wait here. A lane's queue is taken over by others when an allocation would fail, and when the domain is trimmed: with the lane's gate
 * closed its queue and its gather are the closer's. What it has in the page table and in table memory is not, so table records, which are values, go through the closer's own
 * gather.
 *
 *   nr_deferred <= deferred_entries      quarantined = bytes of entries marked so, and of runs that found no place
 */
#include <iogate/tablemem.h>

#include "../inval/gather.h"
#include "../iova/allocator.h"
#include "../pgtable/pgtable.h"
#include "flush.h"

static uint32_t queued(const struct domain_lane *lane)
{
	return atomic_load_explicit(&lane->nr_deferred, memory_order_relaxed);
}

/* There is room. */
static void enqueue(struct domain_lane *lane, iog_iova_t iova, uint64_t size, uint32_t marks)
{
	uint32_t nr = queued(lane);

	lane->deferred[nr].iova = iova;
	lane->deferred[nr].size = size | marks;
	atomic_store_explicit(&lane->nr_deferred, nr + 1, memory_order_relaxed);
}

static bool has_room(const struct domain_lane *lane)
{
	return queued(lane) < lane->domain->deferred_entries;
}

int iog_domain_make_room(struct domain_lane *lane)
{
	if (!has_room(lane))
		(void)iog_domain_flush_lane(lane);
	return has_room(lane) ? 0 : -IOG_EAGAIN;
}

void iog_domain_quarantine_marked(struct domain_lane *lane, iog_iova_t iova, uint64_t size, uint32_t marks)
{
	atomic_fetch_add_explicit(&lane->domain->quarantined, size, memory_order_relaxed);
	if (has_room(lane))
		enqueue(lane, iova, size, DEFERRED_QUARANTINED | marks);
}

void iog_domain_quarantine(struct domain_lane *lane, iog_iova_t iova, uint64_t size)
{
	iog_domain_quarantine_marked(lane, iova, size, 0);
}

int iog_domain_defer(struct domain_lane *lane, iog_iova_t iova, uint64_t size)
{
	enqueue(lane, iova, size, 0);
	return has_room(lane) ? 0 : iog_domain_flush_lane(lane);
}

/*
 * Free an entry of which the flush has covered what was cleared. An unmapping that broke off is finished first, which takes a flush of its own; if it breaks off again the entry
 * stays. @from: whose queue it stood in.
 */
static int entry_free(struct domain_lane *lane, iog_lane_t from, const struct deferred_entry *entry)
{
	struct iog_domain *domain = lane->domain;
	uint64_t size = entry->size & ~(uint64_t)DEFERRED_MARKS;

	if (entry->size & DEFERRED_MAPPED) {
		int error = iog_pgtable_unmap(domain->pgtable, entry->iova, size, &lane->gather, NULL);

		if (!error)
			error = iog_gather_flush(&lane->gather);
		if (error)
			return error;
	}
	if (entry->size & DEFERRED_QUARANTINED)
		atomic_fetch_sub_explicit(&domain->quarantined, size, memory_order_relaxed);
	if (domain->policy->retire && domain->policy->retire(lane, from, entry->iova, size))
		return 0;
	/* Refused where the caller has unmapped a part of a run only: then the run stays handed out. */
	(void)iog_iova_free_flushed(domain->iova, lane->lane, entry->iova, size);
	return 0;
}

/* All of @from's entries, which is @self or has its gate closed. Returns the first error; the entry stays. */
static int entries_free(struct domain_lane *self, struct domain_lane *from)
{
	uint32_t nr = queued(from), kept = 0;
	int error = 0;

	for (uint32_t n = 0; n < nr; n++) {
		const struct deferred_entry entry = from->deferred[n];
		int entry_error = entry_free(self, from->lane, &entry);

		if (entry_error)
			from->deferred[kept++] = entry;
		error = error ? error : entry_error;
	}
	atomic_store_explicit(&from->nr_deferred, kept, memory_order_relaxed);
	from->oldest_ms = 0;
	return error;
}

int iog_domain_flushed(struct domain_lane *lane)
{
	const struct iog_policy *policy = lane->domain->policy;
	int error = entries_free(lane, lane);

	atomic_store_explicit(&lane->nr_lazy, 0, memory_order_relaxed);
	if (policy && policy->flushed)
		policy->flushed(lane);
	return error;
}

/*
 * Flush, and free what waits on this lane, and on others: with @everything on all, gathers included; else where addresses wait. One flush covers them all, as it begins when their
 * gates are closed.
 */
static int flush_lanes(struct domain_lane *self, bool everything)
{
	struct iog_domain *domain = self->domain;
	uintptr_t outer = gates_lock(&domain->gates), flags;
	int error;

	for (uint32_t n = 0; n < domain->lanes_count; n++) {
		struct domain_lane *lane = &domain->lanes[n];

		if (lane != self && (everything || queued(lane)))
			gate_shut(&lane->gate);
	}
	gates_settle(&domain->gates);
	for (uint32_t n = 0; n < domain->lanes_count; n++)
		if (gate_is_shut(&domain->lanes[n].gate))
			gate_wait(&domain->gates, &domain->lanes[n].gate);

	flags = domain_lane_enter(self);
	error = iog_domain_flush_units(self);
	if (!error) {
		iog_gather_complete(&self->gather);
		for (uint32_t n = 0; n < domain->lanes_count; n++)
			if (gate_is_shut(&domain->lanes[n].gate))
				iog_gather_take_over(&self->gather, &domain->lanes[n].gather);
	}
	/* Only now: from here on the gather may fill again. */
	for (uint32_t n = 0; n < domain->lanes_count; n++) {
		struct domain_lane *lane = &domain->lanes[n];

		if (!gate_is_shut(&lane->gate))
			continue;
		if (!error)
			error = entries_free(self, lane);
		gate_open(&lane->gate);
	}
	if (!error)
		error = iog_domain_flushed(self);
	domain_lane_exit(self, flags);
	gates_unlock(&domain->gates, outer);
	return error;
}

/* The lazy flush of an allocator. */
static int flush_for_addresses(void *ctx)
{
	return flush_lanes(ctx, false);
}

int iog_domain_alloc(struct domain_lane *lane, uint64_t size, iog_iova_t limit, iog_iova_t *iova)
{
	const struct iog_iova_flush flush = { flush_for_addresses, lane };

	return iog_iova_alloc(lane->domain->iova, lane->lane, size, limit, &flush, iova);
}

/* With addresses freed lazily the first round makes an allocator learn what it may use again, and the second gives it back. */
static int trim_addresses(struct domain_lane *lane)
{
	struct iog_iova *iova = lane->domain->iova;
	uint32_t rounds = iova && iova->flags & IOG_IOVA_LAZY ? 2 : 1;
	int error = 0;

	while (!error && rounds--) {
		error = flush_lanes(lane, true);
		if (!error && iova)
			error = iog_iova_drain(iova, IOG_LANE_ALL, lane->lane);
	}
	return error;
}

int iog_domain_trim(struct iog_domain *domain, iog_lane_t number)
{
	struct domain_lane *lane;
	uintptr_t flags;
	int error;

	if (number >= domain->lanes_count)
		return -IOG_EINVAL;
	if (domain->type != IOG_DOMAIN_PAGING)
		return 0;
	lane = &domain->lanes[number];
	error = trim_addresses(lane);
	if (error)
		return error;

	flags = domain_lane_enter(lane);
	/* Once more, for tables of what the allocator gave back. */
	error = iog_domain_flush_lane(lane);
	if (!error)
		error = iog_pgtable_trim(domain->pgtable, &lane->gather, NULL);
	domain_lane_exit(lane, flags);
	if (error)
		return error;
	return iog_tablemem_trim(domain->pgtable->mem, number);
}

/* SPDX-License-Identifier: MIT */
/*
 * Addresses that wait for a flush: those of unmaps in deferred mode, and in any mode those of which an invalidation has failed.
 *
 * They stay handed out in the allocator while they wait here, in a ring per lane. Entries do not carry the flush that covers each of them, which would take a full barrier per unmap:
 * as with the granules of a window, some wait for a flush whose number is known, and the others, behind them, are those that came after. No call gives back more than a stated
 * number of them (domain.h), however many a flush has covered: the rest goes with later calls.
 *
 * A lane's ring is taken over by others when an allocation would fail, and when the domain is trimmed: with the lane's gate closed its ring and its gather are the closer's. What it has in
 * the page table and in table memory is not, so table records, which are values, go through the closer's own gather.
 *
 *   nr_waiting <= nr_deferred <= ring_size      quarantined = bytes of entries marked so, and of runs that found no place
 */
#include <iogate/tablemem.h>

#include "../inval/gather.h"
#include "../iova/allocator.h"
#include "../pgtable/pgtable.h"
#include "flush.h"
#include "held.h"
#include "ring.h"

static void enqueue(struct domain_lane *lane, iog_iova_t iova, uint64_t size, uint32_t marks)
{
	lane->unheard = true;
	(void)ring_put(lane, &(struct deferred_entry){ .iova = iova, .size = size, .marks = marks, .sequence = lane->sequence });
}

/* All that is in the ring waits for a flush from now on: the next that anybody begins will do. */
static void wait_begin(struct domain_lane *lane)
{
	lane->nr_waiting = ring_nr(lane);
	lane->needed = flush_needed(&lane->domain->clock);
	lane->sequence++;
	lane->held_look = 0;
	atomic_store_explicit(&lane->held_pages, 0, memory_order_relaxed);
	lane->held_newest = NULL;
}

/* A flush has completed that began after all of this. Gate entered, or closed. */
static void wait_end(struct domain_lane *lane)
{
	lane->nr_waiting = ring_nr(lane);
	lane->needed = 0;
	lane->sequence++;
	lane->held_look = 0;
	atomic_store_explicit(&lane->held_pages, 0, memory_order_relaxed);
	lane->held_newest = NULL;
	lane->is_aging = false;
}

int iog_domain_make_room(struct domain_lane *lane)
{
	uint32_t nr = ring_nr(lane);
	int error = 0;

	if (lane->nr_waiting)
		(void)iog_domain_drain(lane, lane, DRAIN_FEW, &error);
	else if (nr && nr >= lane->domain->deferred_entries / 2)
		wait_begin(lane);
	if (ring_is_full(lane))
		(void)iog_domain_flush_lane(lane);
	/* All that the unmapping before may have added beyond the bound, see held.h. */
	if (ring_is_full(lane))
		(void)iog_domain_drain(lane, lane, ring_nr(lane) - lane->domain->deferred_entries + 1, &error);
	return ring_is_full(lane) ? -IOG_EAGAIN : 0;
}

int iog_domain_room(struct domain_lane *lane)
{
	uintptr_t flags;
	int error;

	/* Others only take away. */
	if (iog_likely(!ring_is_full(lane)))
		return 0;
	flags = domain_lane_enter(lane);
	error = iog_domain_make_room(lane);
	domain_lane_exit(lane, flags);
	return error;
}

void iog_domain_quarantine_marked(struct domain_lane *lane, iog_iova_t iova, uint64_t size, uint32_t marks)
{
	atomic_fetch_add_explicit(&lane->domain->quarantined, size, memory_order_relaxed);
	lane->unheard = true;
	if (ring_is_full(lane))
		return;
	enqueue(lane, iova, size, DEFERRED_QUARANTINED | marks);
	lane->nr_broken += marks & DEFERRED_MAPPED ? 1 : 0;
}

void iog_domain_quarantine(struct domain_lane *lane, iog_iova_t iova, uint64_t size)
{
	iog_domain_quarantine_marked(lane, iova, size, 0);
}

int iog_domain_defer(struct domain_lane *lane, iog_iova_t iova, uint64_t size)
{
	/* Under the sequence that the run was unmapped with: nothing has changed it since there was room. */
	enqueue(lane, iova, size, 0);
	return ring_is_full(lane) ? iog_domain_flush_lane(lane) : 0;
}

/* Free an address of which the flush has covered what was cleared. @from: whose ring it stood in. */
static void address_free(struct domain_lane *lane, struct domain_lane *from, const struct deferred_entry *entry)
{
	struct iog_domain *domain = lane->domain;

	if (entry->marks & DEFERRED_QUARANTINED)
		atomic_fetch_sub_explicit(&domain->quarantined, entry->size, memory_order_relaxed);
	if (domain->policy->retire && domain->policy->retire(lane, from->lane, entry->sequence, entry->iova, entry->size))
		return;
	/* Refused where the caller has unmapped a part of a run only: then the run stays handed out. */
	(void)iog_iova_free_flushed(domain->iova, lane->lane, entry->iova, entry->size);
}

uint32_t iog_domain_drain(struct domain_lane *lane, struct domain_lane *from, uint32_t most, int *error)
{
	uint32_t n = 0;

	if (!ring_is_covered(from))
		return 0;
	while (n < most && from->nr_waiting) {
		struct deferred_entry entry;

		if (ring_at(from, 0)->marks & DEFERRED_HELD) {
			uint32_t held = iog_held_drain(from, most - n < from->nr_waiting ? most - n : from->nr_waiting);

			from->nr_waiting -= held;
			n += held;
			continue;
		}
		/* Its unmapping broke off. It stays the first until it is finished: memory and calls of the same unmapping stand behind it. */
		if (ring_at(from, 0)->marks & DEFERRED_MAPPED) {
			bool more;
			int work = atomic_load_explicit(&from->settling, memory_order_relaxed) ? 0 : iog_held_unmap_lot(lane, from, &more);

			if (work < 0 && !*error)
				*error = work;
			if (work <= 0)
				break;
			n += (uint32_t)work;
			if (more)
				continue;
			from->nr_broken--;
		}
		entry = ring_get(from);
		from->nr_waiting--;
		n++;
		address_free(lane, from, &entry);
	}
	return n < most ? n : most;
}

int iog_domain_flushed(struct domain_lane *lane)
{
	const struct iog_policy *policy = lane->domain->policy;
	int error = 0;

	wait_end(lane);
	(void)iog_domain_drain(lane, lane, DRAIN_STEP, &error);
	lazy_flushed(lane, lazy_look(lane), lane->domain->deferred_entries);
	if (policy && policy->flushed)
		policy->flushed(lane);
	return error;
}

/* What is done with the rings of all lanes. */
enum lanes_how {
	LANES_DRAIN,  /* what flushes have covered already is given back */
	LANES_QUEUED, /* flush, and give back what waited, where addresses wait */
	LANES_ALL,    /* the same everywhere, gathers included */
};

/* Give back of a ring what @budget allows; whether something is left that could be. */
static bool lane_drain(struct domain_lane *self, struct domain_lane *from, uint32_t *budget, int *error)
{
	*budget -= iog_domain_drain(self, from, *budget, error);
	return ring_is_covered(from);
}

/*
 * Close the gates, flush, and give back what waits on this lane and on others, @budget entries at most, from which those that were looked at are subtracted. One flush covers them
 * all, as it begins when their gates are closed. @more: covered entries are left.
 */
static int flush_lanes(struct domain_lane *self, enum lanes_how how, uint32_t *budget, bool *more)
{
	struct iog_domain *domain = self->domain;
	uintptr_t outer = gates_lock(&domain->gates), flags;
	int error = 0;

	*more = false;
	for (uint32_t n = 0; n < domain->lanes_count; n++) {
		struct domain_lane *lane = &domain->lanes[n];

		if (lane != self && (how == LANES_ALL || ring_nr(lane)))
			gate_shut(&lane->gate);
	}
	gates_settle(&domain->gates);
	for (uint32_t n = 0; n < domain->lanes_count; n++)
		if (gate_is_shut(&domain->lanes[n].gate))
			gate_wait(&domain->gates, &domain->lanes[n].gate);
	/* Before the flush begins: lanes count these outside the gate, too. */
	for (uint32_t n = 0; n < domain->lanes_count; n++)
		domain->lanes[n].lazy_seen = lazy_look(&domain->lanes[n]);

	flags = domain_lane_enter(self);
	if (how != LANES_DRAIN)
		error = iog_domain_flush_units(self);
	if (!error && how != LANES_DRAIN) {
		iog_gather_complete(&self->gather);
		for (uint32_t n = 0; n < domain->lanes_count; n++)
			if (gate_is_shut(&domain->lanes[n].gate)) {
				iog_gather_take_over(&self->gather, &domain->lanes[n].gather);
				wait_end(&domain->lanes[n]);
				lazy_flushed(&domain->lanes[n], domain->lanes[n].lazy_seen, domain->deferred_entries);
			}
		/* Only now: from here on the gather may fill again. */
		error = iog_domain_flushed(self);
		*budget = *budget > DRAIN_STEP ? *budget - DRAIN_STEP : 0;
	}
	for (uint32_t n = 0; n < domain->lanes_count; n++) {
		struct domain_lane *lane = &domain->lanes[n];

		if (!gate_is_shut(&lane->gate))
			continue;
		if (!error)
			*more |= lane_drain(self, lane, budget, &error);
		gate_open(&lane->gate);
	}
	if (!error)
		*more |= lane_drain(self, self, budget, &error);
	domain_lane_exit(self, flags);
	gates_unlock(&domain->gates, outer);
	return error;
}

/* The lazy flush of an allocator, on behalf of one allocation. */
struct address_flush {
	struct domain_lane *lane;
	bool more;
};

/*
 * Where addresses are freed after their flush, those that are covered already will do. An allocator of lazy ones wants a flush: what it was given before is what it waits for.
 */
static int flush_for_addresses(void *ctx)
{
	struct address_flush *flush = ctx;
	bool lazy = flush->lane->domain->iova->flags & IOG_IOVA_LAZY;
	uint32_t budget = DRAIN_MOST;

	if (!lazy) {
		int error = flush_lanes(flush->lane, LANES_DRAIN, &budget, &flush->more);

		if (error || budget < DRAIN_MOST)
			return error;
	}
	return flush_lanes(flush->lane, LANES_QUEUED, &budget, &flush->more);
}

int iog_domain_alloc(struct domain_lane *lane, uint64_t size, iog_iova_t limit, iog_iova_t *iova)
{
	struct address_flush waiting = { lane, true };
	const struct iog_iova_flush flush = { flush_for_addresses, &waiting };
	int error = -IOG_ENOSPC;

	/* One that would fail takes all that there is, step by step. */
	while (error == -IOG_ENOSPC && waiting.more) {
		waiting.more = false;
		error = iog_iova_alloc(lane->domain->iova, lane->lane, size, limit, &flush, iova);
	}
	return error;
}

/* With addresses freed lazily the first round makes an allocator learn what it may use again, and the second gives it back. */
static int trim_addresses(struct domain_lane *lane)
{
	struct iog_iova *iova = lane->domain->iova;
	uint32_t rounds = iova && iova->flags & IOG_IOVA_LAZY ? 2 : 1, budget = DRAIN_MOST;
	bool more = false;
	int error = 0;

	while (!error && !more && rounds--) {
		error = flush_lanes(lane, LANES_ALL, &budget, &more);
		if (!error && iova)
			error = iog_iova_drain(iova, IOG_LANE_ALL, lane->lane);
		/* The rest is not enough for another flush. */
		more |= rounds && budget < DRAIN_STEP;
	}
	return !error && more ? -IOG_EAGAIN : error;
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

int iog_domain_set_mode(struct iog_domain *domain, iog_lane_t number, enum iog_inval_mode mode)
{
	uint32_t budget = DRAIN_MOST, changes;
	uintptr_t flags;
	bool more;

	if (number >= domain->lanes_count || (mode != IOG_INVAL_STRICT && mode != IOG_INVAL_DEFERRED && mode != IOG_INVAL_HELD))
		return -IOG_EINVAL;
	if (domain->type != IOG_DOMAIN_PAGING)
		return 0;
	flags = gates_lock(&domain->gates);
	changes = atomic_load_explicit(&domain->mode_changes, memory_order_relaxed);
	atomic_store_explicit(&domain->mode_changes, changes + 1, memory_order_relaxed);
	/* Release: whoever sees the mode sees that it was about to change; pairs with the fence in how_since() in held.c. */
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&domain->mode, mode, memory_order_relaxed);
	/* Release: whoever sees that it has changed sees the new one; pairs with the acquire in how_now() there. */
	atomic_store_explicit(&domain->mode_changes, changes + 2, memory_order_release);
	gates_unlock(&domain->gates, flags);
	return flush_lanes(&domain->lanes[number], LANES_ALL, &budget, &more);
}

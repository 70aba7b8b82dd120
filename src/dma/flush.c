/* SPDX-License-Identifier: MIT */
/*
 * Making units forget: what one gather holds, or the whole domain.
 *
 * A flush of the whole domain serves all who began to wait before its first command (../inval/clock.h): of several callers one runs it, and those who find theirs answered when
 * they get the lock go home with that answer, be it an error. What a flush gives back is the caller's own; others find out at their next call that they are covered.
 *
 * Locking: flush_lock, held over the wait for hardware, so that one flush runs at a time. Its holder is inside its lane's gate or holds the domain's gates closed; nobody who
 * holds it waits for a gate.
 */
#include "../inval/cost.h"
#include "flush.h"

/* Times that commands are submitted again because a wait was aborted. */
#define SUBMIT_AGAIN_MAX 8

/* The barrier of a lane that goes in: after its entries were cleared, before the places are read; pairs with units_settle() in attach.c. */
static inline void asking_enter(struct domain_lane *lane)
{
	atomic_store_explicit(&lane->asking, atomic_load_explicit(&lane->asking, memory_order_relaxed) + 1, memory_order_relaxed);
	if (__builtin_expect(lane->domain->platform->lanes_barrier != NULL, 1))
		atomic_signal_fence(memory_order_seq_cst);
	else
		atomic_thread_fence(memory_order_seq_cst);
}

/* Release: the units were asked; pairs with the acquire in units_settle(). */
static inline void asking_exit(struct domain_lane *lane)
{
	atomic_store_explicit(&lane->asking, atomic_load_explicit(&lane->asking, memory_order_relaxed) + 1, memory_order_release);
}

/*
 * It has not answered: from now on it reaches nothing. Who comes second returns while the first may still be at it; neither gives anything back, and nobody else does as long as
 * the device is lost.
 */
static void device_lose(struct iog_domain *domain, struct iog_device *device)
{
	/* Release: that this lane is asking; pairs with the acquire in iog_device_is_lost(). */
	if (atomic_exchange_explicit(&device->lost, 1, memory_order_release))
		return;
	atomic_fetch_add_explicit(&domain->devices_lost, 1, memory_order_relaxed);
	(void)device->unit->ops->device_block(device->unit, device->id);
}

/*
 * A wait that hardware has aborted took others' commands with it: ours have to be submitted again. Whatever else it is that is no time-out, to callers it is -IOG_EIO: other errors would tell
 * them that nothing was changed. @id: of the domain, or of the device that @call is about.
 */
static int submit(int (*call)(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather), struct iog_unit *unit, uint32_t id, const struct iog_gather *gather)
{
	int error = call(unit, id, gather);

	for (uint32_t again = 0; error == -IOG_EAGAIN && again < SUBMIT_AGAIN_MAX; again++)
		error = call(unit, id, gather);
	return !error || error == -IOG_ETIMEDOUT ? error : -IOG_EIO;
}

/* The device TLBs behind a unit that has forgotten. Each is told, whatever others answer. */
static int invalidate_devices(struct iog_domain *domain, struct iog_unit *unit, const struct iog_gather *gather)
{
	int error = 0;

	/* Acquire: the device; pairs with the release in ats_join(). */
	for (const struct domain_ats *ats = atomic_load_explicit(&domain->ats, memory_order_acquire); ats;
	     ats = atomic_load_explicit(&ats->next, memory_order_acquire)) {
		struct iog_device *device = ats->device;
		int device_error;

		if (device->unit != unit)
			continue;
		if (atomic_load_explicit(&device->lost, memory_order_relaxed)) {
			device_error = -IOG_ETIMEDOUT;
		} else {
			device_error = submit(unit->ops->device_invalidate, unit, device->id, gather);
			if (device_error == -IOG_ETIMEDOUT)
				device_lose(domain, device);
		}
		error = error ? error : device_error;
	}
	return error;
}

int iog_domain_invalidate(const struct iog_gather *gather, void *ctx)
{
	struct domain_lane *lane = ctx;
	struct iog_domain *domain = lane->domain;
	const struct iog_gather *all = gather && !atomic_load_explicit(&domain->reusing, memory_order_relaxed) ? NULL : gather;
	uint32_t used;
	int error = 0;

	asking_enter(lane);
	/* Acquire, both: pair with the releases in unit_join(). */
	used = atomic_load_explicit(&domain->units_used, memory_order_acquire);
	for (uint32_t n = 0; n < used; n++) {
		struct iog_unit *unit = atomic_load_explicit(&domain->units[n].unit, memory_order_acquire);
		const struct iog_gather *what = all;
		int unit_error;

		if (!unit)
			continue;
		if (what && cost_prefers_domain(unit, what))
			what = NULL;
		if (gather && !what)
			domain_lane_count(&lane->widened);
		unit_error = submit(unit->ops->invalidate, unit, atomic_load_explicit(&domain->units[n].id, memory_order_relaxed), what);
		/* A device TLB asks the unit when it misses: only one that has forgotten does not teach it the same again. */
		if (!unit_error && atomic_load_explicit(&domain->ats, memory_order_relaxed))
			unit_error = invalidate_devices(domain, unit, what);
		if (unit_error && !error)
			error = unit_error;
	}
	asking_exit(lane);
	if (gather)
		domain_lane_count(&lane->invalidations);
	return error;
}

int iog_domain_flush_units(struct domain_lane *lane)
{
	struct iog_domain *domain = lane->domain;
	uint64_t needed = flush_needed(&domain->clock);
	int error;

	wait_lock(&domain->flush_lock, domain->platform);
	if (domain->answered >= needed) {
		error = flush_covers(&domain->clock, needed) ? 0 : domain->flush_error;
	} else {
		uint64_t number = flush_begin(&domain->clock);

		error = iog_domain_invalidate(NULL, lane);
		domain->answered = number;
		domain->flush_error = error;
		if (!error)
			flush_end(&domain->clock, number);
	}
	wait_unlock(&domain->flush_lock);
	return error;
}

int iog_domain_flush_lane(struct domain_lane *lane)
{
	int error = iog_domain_flush_units(lane);

	if (error)
		return error;
	iog_gather_complete(&lane->gather);
	return iog_domain_flushed(lane);
}

int iog_domain_flush_step(struct domain_lane *lane)
{
	uintptr_t flags = domain_lane_enter(lane);
	int error = iog_domain_flush_lane(lane);

	domain_lane_exit(lane, flags);
	return error;
}

int iog_domain_flush(struct iog_domain *domain, iog_lane_t number)
{
	struct domain_lane *lane;
	uintptr_t flags;
	int error;

	if (number >= domain->lanes_count)
		return -IOG_EINVAL;
	if (domain->type != IOG_DOMAIN_PAGING)
		return 0;
	lane = &domain->lanes[number];
	flags = domain_lane_enter(lane);
	error = iog_domain_flush_lane(lane);
	if (!error)
		(void)iog_domain_drain(lane, lane, DRAIN_MOST - DRAIN_STEP, &error);
	/* Of others it is enough that they were flushed. */
	if (!error && lane->nr_broken)
		error = -IOG_EAGAIN;
	domain_lane_exit(lane, flags);
	return error;
}

/* Whether something is in the ring that no flush has covered. */
static bool is_waited_for(const struct domain_lane *lane)
{
	uint32_t nr = atomic_load_explicit(&lane->nr_deferred, memory_order_relaxed);

	return nr && (nr > lane->nr_waiting || !flush_covers(&lane->domain->clock, lane->needed));
}

/* What the tick first finds waiting may be as old as the tick before it, and if there was none as old as can be. Whether something has to be flushed now. */
static bool is_due(struct domain_lane *lane, uint64_t now_ms)
{
	uint64_t interval_ms = lane->is_ticked ? now_ms - lane->ticked_ms : UINT64_MAX, bound_ms = lane->domain->deferred_ms, age_ms;

	if (!is_waited_for(lane) && !lazy_waiting(lane, lane->domain->deferred_entries))
		lane->is_aging = false;
	else if (!lane->is_aging) {
		lane->is_aging = true;
		lane->oldest_ms = now_ms - interval_ms;
	}
	/* Another one in the same millisecond says nothing of how often they come. */
	if (interval_ms)
		lane->interval_ms = interval_ms;
	lane->ticked_ms = now_ms;
	lane->is_ticked = true;
	age_ms = now_ms - lane->oldest_ms;
	/* By the next one, which is expected after as long again, it would be too late. */
	return lane->is_aging && (age_ms >= bound_ms || lane->interval_ms >= bound_ms - age_ms);
}

int iog_domain_tick(struct iog_domain *domain, iog_lane_t number, uint64_t now_ms)
{
	struct domain_lane *lane;
	uintptr_t flags;
	int error = 0;

	if (number >= domain->lanes_count)
		return -IOG_EINVAL;
	if (domain->type != IOG_DOMAIN_PAGING)
		return 0;
	lane = &domain->lanes[number];
	flags = domain_lane_enter(lane);
	(void)iog_domain_drain(lane, lane, DRAIN_STEP, &error);
	if (is_due(lane, now_ms) && !error)
		error = iog_domain_flush_lane(lane);
	domain_lane_exit(lane, flags);
	return error;
}

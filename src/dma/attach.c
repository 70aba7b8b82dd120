/* SPDX-License-Identifier: MIT */
/*
 * Devices move between domains, and units come and go behind a domain.
 *
 *   a unit has a place in domain->units[]  <=>  devices behind it are placed there, or about to be
 *   place->devices = devices behind that unit    domain->devices = those of all units
 *
 * A device with a TLB of its own (IOG_DEVICE_ATS) joins and leaves the domain's list of those in the same way. One that was lost is set again wherever it is attached to, also to where it
 * is: then it is as any other.
 *
 * A unit joins (an id, domain_add, the place) before the first of its devices is set to the domain, and leaves (the place, domain_remove, the id) after the last was set to
 * something else. Invalidations of other lanes go on meanwhile and take no lock: see units_settle().
 *
 * Locking, outermost first: the group's lock, over its devices and where they are; a domain's attach_lock, over its places, one domain at a time; the unit's lock. All are
 * held while hardware is waited for: wait_lock().
 */
#include "attach.h"

#include "../inval/cost.h"
#include "../pgtable/pgtable.h"
#include "unit.h"

/*
 * Lanes see the places as they are now. The barrier pairs with the one in iog_domain_invalidate():
 *
 *   the lane                               here
 *   entries cleared                        place changed
 *   asking is odd; barrier                 barrier (lanes_barrier: of all CPUs at once)
 *   places read                            asking read
 *
 * A lane that has not seen a unit which joined has cleared its entries before that unit can walk to them. A lane that may have seen one which leaves, and with it the id, is
 * seen asking: @leaving waits for it to be through. Another number of @asking means that it was.
 */
static void units_settle(struct iog_domain *domain, bool leaving)
{
	const struct iog_platform *platform = domain->platform;

	atomic_thread_fence(memory_order_seq_cst);
	if (platform->lanes_barrier)
		platform->lanes_barrier(platform->ctx);
	for (uint32_t n = 0; leaving && n < domain->lanes_count; n++) {
		_Atomic uint64_t *asking = &domain->lanes[n].asking;
		uint64_t seen = atomic_load_explicit(asking, memory_order_acquire);

		/* Acquire: what the lane asked of the unit is over; pairs with the release in iog_domain_invalidate(). */
		while (seen & 1 && atomic_load_explicit(asking, memory_order_acquire) == seen)
			iog_relax(platform);
	}
}

static struct domain_unit *place_of(struct iog_domain *domain, const struct iog_unit *unit)
{
	for (uint32_t n = 0; n < domain->units_max; n++)
		if (atomic_load_explicit(&domain->units[n].unit, memory_order_relaxed) == unit)
			return &domain->units[n];
	return NULL;
}

static void units_count(struct iog_domain *domain)
{
	uint32_t used = domain->units_max;

	while (used && !atomic_load_explicit(&domain->units[used - 1].unit, memory_order_relaxed))
		used--;
	atomic_store_explicit(&domain->units_used, used, memory_order_release);
}

/* Under attach_lock. */
static int unit_join(struct iog_domain *domain, struct iog_unit *unit)
{
	struct domain_unit *place = place_of(domain, NULL);
	struct iog_pgtable_root root;
	uint32_t id;
	int error;

	if (!place)
		return -IOG_ENOSPC;
	iog_pgtable_root(domain->pgtable, &root);
	error = iog_unit_domain_add(unit, &root, &id);
	if (error)
		return error;
	iog_cost_measure(unit, id, domain->pgtable->granule);
	atomic_store_explicit(&place->id, id, memory_order_relaxed);
	place->devices = 0;
	/* Release: the id; pairs with the acquire in iog_domain_invalidate(). */
	atomic_store_explicit(&place->unit, unit, memory_order_release);
	units_count(domain);
	units_settle(domain, false);
	return 0;
}

static void unit_leave(struct iog_domain *domain, struct domain_unit *place)
{
	struct iog_unit *unit = atomic_load_explicit(&place->unit, memory_order_relaxed);

	atomic_store_explicit(&place->unit, NULL, memory_order_relaxed);
	units_count(domain);
	units_settle(domain, true);
	iog_unit_domain_remove(unit, atomic_load_explicit(&place->id, memory_order_relaxed));
}

/* Under attach_lock: the device is about to be set to the domain. One that goes from one domain to another is in two lists for a while. */
static void ats_join(struct iog_domain *domain, struct iog_device *device)
{
	struct domain_ats *ats = &device->ats[device->ats[0].device ? 1 : 0];

	ats->device = device;
	ats->domain = domain;
	atomic_store_explicit(&ats->next, atomic_load_explicit(&domain->ats, memory_order_relaxed), memory_order_relaxed);
	/* Release: the device; pairs with the acquires in invalidate_devices() in flush.c. */
	atomic_store_explicit(&domain->ats, ats, memory_order_release);
	units_settle(domain, false);
}

/* Under attach_lock: it is set to something else. Lanes that stand at its place find the way on, and are waited for. */
static void ats_leave(struct iog_domain *domain, struct iog_device *device)
{
	struct domain_ats *ats = &device->ats[device->ats[0].device && device->ats[0].domain == domain ? 0 : 1];
	_Atomic(struct domain_ats *) *link = &domain->ats;
	struct domain_ats *at;

	while ((at = atomic_load_explicit(link, memory_order_relaxed)) != ats)
		link = &at->next;
	/* Release: the device behind it, for who has not seen it before; pairs with the same. */
	atomic_store_explicit(link, atomic_load_explicit(&ats->next, memory_order_relaxed), memory_order_release);
	units_settle(domain, true);
	ats->device = NULL;
}

static bool has_ats(const struct iog_domain *domain, const struct iog_device *device)
{
	return domain->type == IOG_DOMAIN_PAGING && device->flags & IOG_DEVICE_ATS;
}

/* Whether a unit can walk the domain's page table. What is not known of a unit is asked of it in domain_add. */
static bool walkable(const struct iog_domain *domain, const struct iog_unit *unit)
{
	struct iog_pgtable_root root;

	iog_pgtable_root(domain->pgtable, &root);
	return !(unit->pgtable_flags & ~root.flags) && (!unit->ias || root.ias <= unit->ias) && (!unit->oas || root.oas <= unit->oas);
}

/* One more device, which is about to be set to the domain. NULL: nothing to do. */
static int domain_enter(struct iog_domain *domain, struct iog_device *device)
{
	struct domain_unit *place;
	int error = 0;

	if (!domain)
		return 0;
	if (domain->type == IOG_DOMAIN_PAGING && !walkable(domain, device->unit))
		return -IOG_EOPNOTSUPP;
	wait_lock(&domain->attach_lock, domain->platform);
	if (domain->type == IOG_DOMAIN_PAGING) {
		if (!place_of(domain, device->unit))
			error = unit_join(domain, device->unit);
		place = place_of(domain, device->unit);
		if (!error)
			place->devices++;
	}
	if (!error && has_ats(domain, device))
		ats_join(domain, device);
	if (!error) {
		domain->devices++;
		if (!(device->flags & IOG_DEVICE_NO_REUSE))
			atomic_fetch_add_explicit(&domain->reusing, 1, memory_order_relaxed);
	}
	wait_unlock(&domain->attach_lock);
	return error;
}

/* One less, which is set to something else. */
static void domain_leave(struct iog_domain *domain, struct iog_device *device)
{
	if (!domain)
		return;
	wait_lock(&domain->attach_lock, domain->platform);
	domain->devices--;
	if (!(device->flags & IOG_DEVICE_NO_REUSE))
		atomic_fetch_sub_explicit(&domain->reusing, 1, memory_order_relaxed);
	if (has_ats(domain, device))
		ats_leave(domain, device);
	if (domain->type == IOG_DOMAIN_PAGING) {
		struct domain_unit *place = place_of(domain, device->unit);

		if (!--place->devices)
			unit_leave(domain, place);
	}
	wait_unlock(&domain->attach_lock);
}

/* Tell the unit. The device counts in the domain, so that the unit's place does not go. */
static int device_set(struct iog_device *device, struct iog_domain *domain)
{
	enum iog_domain_type type = domain ? domain->type : IOG_DOMAIN_BLOCKED;
	uint32_t id = 0;

	if (type == IOG_DOMAIN_PAGING)
		id = atomic_load_explicit(&place_of(domain, device->unit)->id, memory_order_relaxed);
	return iog_unit_device_set(device, type, id);
}

/*
 * Set it where it is not, or is but was lost: what it may have kept from before is gone then. Whoever found that it does not answer may still be about to block it: it is set after that,
 * and again if it was found meanwhile. One that is found later stays lost, and blocked.
 */
static int device_move(struct iog_device *device, struct iog_domain *domain)
{
	bool lost;

	do {
		int error;

		lost = iog_device_is_lost(device);
		/* By a lane of either. */
		if (lost && device->placed)
			units_settle(device->placed, true);
		if (lost && domain && domain != device->placed)
			units_settle(domain, true);
		error = device->placed == domain && !lost ? 0 : device_set(device, domain);
		if (error)
			return error;
		/* Nobody has looked at it as one that answers, but those who were waited for. */
		if (lost)
			atomic_store_explicit(&device->lost, 0, memory_order_relaxed);
	} while (!lost && iog_device_is_lost(device));
	return 0;
}

int iog_device_place(struct iog_device *device, struct iog_domain *domain)
{
	int error = domain_enter(domain, device);

	if (error)
		return error;
	error = device_set(device, domain);
	if (error) {
		domain_leave(domain, device);
		return error;
	}
	domain_leave(device->placed, device);
	device->placed = domain;
	return 0;
}

/* Devices of the list up to @end count in the domain if they are not placed there: no more. */
static void enter_undo(struct iog_device *devices, const struct iog_device *end, struct iog_domain *domain)
{
	for (struct iog_device *device = devices; device != end; device = device->next)
		if (device->placed != domain)
			domain_leave(domain, device);
}

/*
 * Devices up to @end have been set to @domain, and the next would not go: set them back. One that does not go back either stays where it is now, in hardware and in the counts, so that
 * invalidations go on to reach it; a later attach moves it.
 */
static void set_undo(struct iog_device *devices, const struct iog_device *end, struct iog_domain *domain)
{
	for (struct iog_device *device = devices; device != end; device = device->next) {
		struct iog_domain *former = device->placed;

		if (former == domain || !device_set(device, former))
			continue;
		device->placed = domain;
		domain_leave(former, device);
	}
}

/* Under the group's lock. */
static int group_move(struct iog_group *group, struct iog_domain *domain)
{
	struct iog_device *device;
	int error = 0;

	for (device = group->devices; device; device = device->next) {
		error = device->placed == domain ? 0 : domain_enter(domain, device);
		if (error) {
			enter_undo(group->devices, device, domain);
			return error;
		}
	}
	for (device = group->devices; device; device = device->next) {
		error = device_move(device, domain);
		if (error) {
			set_undo(group->devices, device, domain);
			enter_undo(group->devices, NULL, domain);
			return error;
		}
	}
	for (device = group->devices; device; device = device->next) {
		struct iog_domain *former = device->placed;

		device->placed = domain;
		device_point(device, domain);
		if (former != domain)
			domain_leave(former, device);
	}
	group->domain = domain;
	return 0;
}

int iog_domain_attach(struct iog_domain *domain, struct iog_device *device)
{
	struct iog_group *group = device->group;
	int error;

	wait_lock(&group->lock, group->platform);
	error = group_move(group, domain);
	wait_unlock(&group->lock);
	return error;
}

/* SPDX-License-Identifier: MIT */
/*
 * Units: domain ids, devices, and the ops that a driver wants called one at a time.
 *
 *   ids in use = domains + lost_ids
 *
 * Locking: the unit's lock over ids and devices. It is held while hardware is waited for, so it spins with interrupts as they are; who takes it is not called by a context
 * that interrupts another call (attach, detach, create, destroy). Invalidations take no lock here.
 */
#include "../inval/cost.h"
#include "unit.h"

#define IDS_MAX ((UINT32_C(1) << 20) - 1)
#define NO_ID UINT32_C(0)
/* A multiple of what any format has. */
#define MEASURED_GRANULE UINT64_C(65536)

_Static_assert(sizeof(struct spinlock) <= sizeof(((struct iog_unit *)0)->lock), "the lock fits its place");

static struct spinlock *unit_lock(struct iog_unit *unit)
{
	return (struct spinlock *)(uintptr_t)unit->lock;
}

/* Bit 0 stands for no id. */
static size_t ids_bytes(const struct iog_unit *unit)
{
	return (unit->domain_ids / 64 + 1) * sizeof(*unit->ids);
}

static uint32_t id_take(struct iog_unit *unit)
{
	for (uint32_t n = 0, id = unit->next_id; n < unit->domain_ids; n++, id = id < unit->domain_ids ? id + 1 : 1) {
		/* Sixty-four that are taken are passed at once. */
		if (!(id % 64) && !~unit->ids[id / 64] && unit->domain_ids - id >= 64) {
			id += 63;
			n += 63;
			continue;
		}
		if (unit->ids[id / 64] >> id % 64 & 1)
			continue;
		unit->ids[id / 64] |= UINT64_C(1) << id % 64;
		unit->next_id = id < unit->domain_ids ? id + 1 : 1;
		return id;
	}
	return NO_ID;
}

static void id_free(struct iog_unit *unit, uint32_t id)
{
	unit->ids[id / 64] &= ~(UINT64_C(1) << id % 64);
}

int iog_unit_domain_add(struct iog_unit *unit, const struct iog_pgtable_root *root, uint32_t *result)
{
	int error = 0;
	uint32_t id;

	wait_lock(unit_lock(unit), unit->platform);
	id = id_take(unit);
	if (id == NO_ID) {
		error = -IOG_ENOSPC;
	} else {
		error = unit->ops->domain_add(unit, id, root);
		if (error)
			id_free(unit, id);
		else
			unit->domains++;
	}
	wait_unlock(unit_lock(unit));
	if (!error)
		*result = id;
	return error;
}

void iog_unit_domain_remove(struct iog_unit *unit, uint32_t id)
{
	wait_lock(unit_lock(unit), unit->platform);
	unit->domains--;
	if (unit->ops->domain_remove(unit, id))
		unit->lost_ids++;
	else
		id_free(unit, id);
	wait_unlock(unit_lock(unit));
}

int iog_unit_device_set(const struct iog_device *device, enum iog_domain_type type, uint32_t id)
{
	struct iog_unit *unit = device->unit;
	int error;

	wait_lock(unit_lock(unit), unit->platform);
	error = unit->ops->device_set(unit, device->id, type, id);
	wait_unlock(unit_lock(unit));
	return error;
}

int iog_unit_device_add(struct iog_device *device)
{
	struct iog_unit *unit = device->unit;
	int error = 0;

	wait_lock(unit_lock(unit), unit->platform);
	for (const struct iog_device *other = unit->devices; other; other = other->unit_next)
		if (other->id == device->id)
			error = -IOG_EEXIST;
	if (!error) {
		device->unit_next = unit->devices;
		unit->devices = device;
	}
	wait_unlock(unit_lock(unit));
	return error;
}

void iog_unit_device_remove(struct iog_device *device)
{
	struct iog_unit *unit = device->unit;
	struct iog_device **link = &unit->devices;

	wait_lock(unit_lock(unit), unit->platform);
	while (*link != device)
		link = &(*link)->unit_next;
	*link = device->unit_next;
	wait_unlock(unit_lock(unit));
}

int iog_unit_init(struct iog_unit *unit)
{
	const struct iog_unit_ops *ops;

	if (!unit || !unit->ops || !unit->platform || !unit->domain_ids || unit->domain_ids > IDS_MAX)
		return -IOG_EINVAL;
	ops = unit->ops;
	if (!ops->domain_add || !ops->domain_remove || !ops->device_set || !ops->invalidate || (ops->device_invalidate && !ops->device_block))
		return -IOG_EINVAL;
	unit->ids = unit->platform->object_alloc(unit->platform->ctx, ids_bytes(unit));
	if (!unit->ids)
		return -IOG_ENOMEM;
	unit->next_id = 1;
	unit->domains = 0;
	unit->lost_ids = 0;
	unit->devices = NULL;
	wait_unlock(unit_lock(unit));
	return 0;
}

void iog_unit_measure(struct iog_unit *unit, uint32_t id)
{
	iog_cost_forget(unit);
	if (id)
		iog_cost_measure(unit, id, MEASURED_GRANULE);
}

int iog_unit_fini(struct iog_unit *unit)
{
	if (unit->domains || unit->devices)
		return -IOG_EBUSY;
	unit->platform->object_free(unit->platform->ctx, unit->ids, ids_bytes(unit));
	unit->ids = NULL;
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * The simulated IOMMU as domains see it: the ops of <iogate/unit.h>. Domain ids are the tags of the caches.
 *
 * Locking: the unit's lock over the device table and the list of domains.
 */
#include <stdlib.h>
#include <string.h>

#include <iogate/unit.h>

#include "internal.h"

#define IAS_DEFAULT 57
#define OAS_DEFAULT 52
#define DOMAIN_IDS_DEFAULT 65535

struct sim_unit {
	struct iog_unit unit; /* first: the ops get a pointer to it */
	struct iog_platform platform;
	struct iog_sim *sim;
};

static struct iog_sim *sim_of(struct iog_unit *unit)
{
	return ((struct sim_unit *)unit)->sim;
}

/* Under the lock. */
static struct iog_sim_domain *domain_find(const struct iog_sim *sim, uint32_t id)
{
	struct iog_sim_domain *domain = sim->domains;

	while (domain && domain->id != id)
		domain = domain->next;
	return domain;
}

static int unit_domain_add(struct iog_unit *unit, uint32_t id, const struct iog_pgtable_root *root)
{
	struct iog_sim_domain *domain;

	return iog_sim_domain_create(sim_of(unit), id, root, &domain);
}

static int unit_domain_remove(struct iog_unit *unit, uint32_t id)
{
	struct iog_sim *sim = sim_of(unit);
	struct iog_sim_domain *domain;

	sim_lock(sim);
	domain = domain_find(sim, id);
	sim_unlock(sim);
	iog_sim_domain_destroy(domain);
	return domain ? 0 : -IOG_ENOENT;
}

static int unit_device_set(struct iog_unit *unit, uint32_t id, enum iog_domain_type type, uint32_t domain_id)
{
	struct iog_sim *sim = sim_of(unit);
	struct iog_sim_domain *domain = NULL;
	struct sim_device *device;
	int error = 0;

	sim_lock(sim);
	if (type == IOG_DOMAIN_PAGING) {
		domain = domain_find(sim, domain_id);
		error = domain ? 0 : -IOG_ENOENT;
	}
	device = error ? NULL : iog_sim_device_get(sim, id);
	if (device)
		iog_sim_device_move(device, type, domain);
	else if (!error)
		error = -IOG_ENOMEM;
	sim_unlock(sim);
	return error;
}

static int unit_invalidate(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather)
{
	struct iog_sim *sim = sim_of(unit);
	struct iog_sim_domain *domain;
	int error = -IOG_ENOENT;

	sim_lock(sim);
	domain = domain_find(sim, id);
	if (domain)
		error = iog_sim_queue_invalidate(domain, gather);
	sim_unlock(sim);
	return error;
}

static int unit_device_invalidate(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather)
{
	struct iog_sim *sim = sim_of(unit);
	struct sim_device *device;
	int error = -IOG_ENOENT;

	sim_lock(sim);
	device = iog_sim_device_find(sim, id);
	if (device)
		error = iog_sim_queue_invalidate_device(sim, device, gather);
	sim_unlock(sim);
	return error;
}

static int unit_device_block(struct iog_unit *unit, uint32_t id)
{
	return unit_device_set(unit, id, IOG_DOMAIN_BLOCKED, 0);
}

static const struct iog_unit_ops unit_ops = {
	.domain_add = unit_domain_add,
	.domain_remove = unit_domain_remove,
	.device_set = unit_device_set,
	.invalidate = unit_invalidate,
	.device_invalidate = unit_device_invalidate,
	.device_block = unit_device_block,
};

/* The library's bookkeeping for the unit. */
static void *object_alloc(void *ctx, size_t size)
{
	size_t rounded = (size + 63) & ~(size_t)63;
	void *object = aligned_alloc(64, rounded);

	(void)ctx;
	if (object)
		memset(object, 0, rounded);
	return object;
}

static void object_free(void *ctx, void *object, size_t size)
{
	(void)ctx;
	(void)size;
	free(object);
}

static void relax(void *ctx)
{
	(void)ctx;
	sched_yield();
}

static struct sim_unit *unit_create(struct iog_sim *sim)
{
	const struct iog_sim_config *config = &sim->as_unit;
	struct sim_unit *unit = calloc(1, sizeof(*unit));

	if (!unit)
		return NULL;
	unit->sim = sim;
	unit->platform.object_alloc = object_alloc;
	unit->platform.object_free = object_free;
	unit->platform.relax = relax;
	unit->unit.ops = &unit_ops;
	unit->unit.platform = &unit->platform;
	unit->unit.ias = config->ias ? config->ias : IAS_DEFAULT;
	unit->unit.oas = config->oas ? config->oas : OAS_DEFAULT;
	unit->unit.pgtable_flags = config->pgtable_flags;
	unit->unit.domain_ids = config->domain_ids ? config->domain_ids : DOMAIN_IDS_DEFAULT;
	unit->unit.wait_ns = config->wait_ns;
	unit->unit.range_ns = config->range_ns;
	unit->unit.domain_ns = config->domain_ns;
	if (iog_unit_init(&unit->unit)) {
		free(unit);
		return NULL;
	}
	return unit;
}

struct iog_unit *iog_sim_unit(struct iog_sim *sim)
{
	struct sim_unit *unit;

	sim_lock(sim);
	if (!sim->unit)
		sim->unit = unit_create(sim);
	unit = sim->unit;
	sim_unlock(sim);
	return unit ? &unit->unit : NULL;
}

void iog_sim_unit_fini(struct iog_sim *sim)
{
	struct sim_unit *unit = sim->unit;

	if (!unit)
		return;
	/* Ids that domains have for lack of order at the end go all the same. */
	object_free(NULL, unit->unit.ids, 0);
	free(unit);
}

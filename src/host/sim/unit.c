/* SPDX-License-Identifier: MIT */
/*
 * The simulated IOMMU as domains and devices see it: a device table, and the ops of <iogate/unit.h>. Domain ids are the tags of the caches.
 *
 * An access looks its device up and is translated in one critical section, so that device_set() takes effect between accesses: each is subject to the former state or to the
 * new one.
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
/* Buckets of the device table. */
#define DEVICE_BUCKETS 64

struct sim_device {
	struct sim_device *next;
	uint32_t id;
	enum iog_domain_type type;
	struct iog_sim_domain *domain; /* paging only */
	bool bypass;
};

struct sim_unit {
	struct iog_unit unit; /* first: the ops get a pointer to it */
	struct iog_platform platform;
	struct iog_sim *sim;
	struct sim_device *devices[DEVICE_BUCKETS];
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

/* Under the lock. */
static struct sim_device *device_find(const struct iog_sim *sim, uint32_t id)
{
	struct sim_device *device = sim->unit ? sim->unit->devices[id % DEVICE_BUCKETS] : NULL;

	while (device && device->id != id)
		device = device->next;
	return device;
}

/* Under the lock. NULL if there is no memory. */
static struct sim_device *device_get(struct iog_sim *sim, uint32_t id)
{
	struct sim_device *device = device_find(sim, id), **bucket = &sim->unit->devices[id % DEVICE_BUCKETS];

	if (device)
		return device;
	device = calloc(1, sizeof(*device));
	if (!device)
		return NULL;
	device->id = id;
	device->type = IOG_DOMAIN_BLOCKED;
	device->next = *bucket;
	*bucket = device;
	return device;
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
	device = error ? NULL : device_get(sim, id);
	if (device) {
		device->type = type;
		device->domain = domain;
	} else if (!error) {
		error = -IOG_ENOMEM;
	}
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

static const struct iog_unit_ops unit_ops = {
	.domain_add = unit_domain_add,
	.domain_remove = unit_domain_remove,
	.device_set = unit_device_set,
	.invalidate = unit_invalidate,
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
	for (uint32_t n = 0; n < DEVICE_BUCKETS; n++) {
		while (unit->devices[n]) {
			struct sim_device *device = unit->devices[n];

			unit->devices[n] = device->next;
			free(device);
		}
	}
	/* Ids that domains have for lack of order at the end go all the same. */
	object_free(NULL, unit->unit.ids, 0);
	free(unit);
}

/* An access that is not translated, under the lock. */
static void access_direct(struct iog_sim *sim, uint32_t prot)
{
	if (prot & IOG_PROT_WRITE)
		sim->stats.writes++;
	else
		sim->stats.reads++;
}

/* One access of at most a page, under the lock. Returns whether it landed. */
static bool device_access(struct iog_sim *sim, uint32_t id, iog_iova_t iova, uint32_t prot, iog_paddr_t *paddr)
{
	const struct sim_device *device = device_find(sim, id);

	if (device && device->type == IOG_DOMAIN_PAGING)
		return iog_sim_access(device->domain, iova, prot, paddr);
	access_direct(sim, prot);
	if (!device || device->type == IOG_DOMAIN_BLOCKED) {
		sim->stats.faults++;
		return false;
	}
	*paddr = iova;
	return true;
}

static bool bypass_access(struct iog_sim *sim, uint32_t id, uint32_t prot)
{
	const struct sim_device *device = device_find(sim, id);
	bool landed = device && device->bypass && device->type != IOG_DOMAIN_BLOCKED;

	access_direct(sim, prot);
	sim->stats.faults += !landed;
	return landed;
}

int iog_sim_device_translate(struct iog_sim *sim, uint32_t device, iog_iova_t iova, uint32_t prot, iog_paddr_t *paddr)
{
	iog_paddr_t landed_at;
	bool landed;

	if (!prot || prot & ~(uint32_t)(IOG_PROT_READ | IOG_PROT_WRITE))
		return -IOG_EINVAL;
	sim_lock(sim);
	landed = device_access(sim, device, iova, prot, &landed_at);
	sim_unlock(sim);
	if (!landed)
		return -IOG_EFAULT;
	if (paddr)
		*paddr = landed_at;
	return 0;
}

/* Page by page, each access and the bytes it moves in one critical section. */
static int device_dma(struct iog_sim *sim, uint32_t device, iog_iova_t iova, void *buffer, size_t size, uint32_t prot, bool bypass, size_t *done)
{
	size_t moved = 0;
	bool landed = true;

	if ((prot != IOG_PROT_READ && prot != IOG_PROT_WRITE) || (size && iova + (size - 1) < iova))
		return -IOG_EINVAL;
	while (landed && moved < size) {
		size_t part = SIM_PAGE_SIZE - ((iova + moved) & (SIM_PAGE_SIZE - 1));
		iog_paddr_t paddr = iova + moved;

		if (part > size - moved)
			part = size - moved;
		sim_lock(sim);
		landed = bypass ? bypass_access(sim, device, prot) : device_access(sim, device, iova + moved, prot, &paddr);
		if (landed)
			iog_sim_move(sim, paddr, (uint8_t *)buffer + moved, part, prot);
		sim_unlock(sim);
		moved += landed ? part : 0;
	}
	if (done)
		*done = moved;
	return landed ? 0 : -IOG_EFAULT;
}

int iog_sim_device_dma(struct iog_sim *sim, uint32_t device, iog_iova_t iova, void *buffer, size_t size, uint32_t prot, size_t *done)
{
	return device_dma(sim, device, iova, buffer, size, prot, false, done);
}

int iog_sim_device_dma_bypass(struct iog_sim *sim, uint32_t device, iog_paddr_t paddr, void *buffer, size_t size, uint32_t prot)
{
	return device_dma(sim, device, paddr, buffer, size, prot, true, NULL);
}

int iog_sim_device_bypass(struct iog_sim *sim, uint32_t id, bool granted)
{
	struct sim_device *device;

	if (!iog_sim_unit(sim))
		return -IOG_ENOMEM;
	sim_lock(sim);
	device = device_get(sim, id);
	if (device)
		device->bypass = granted;
	sim_unlock(sim);
	return device ? 0 : -IOG_ENOMEM;
}

struct iog_sim_domain *iog_sim_device_domain(struct iog_sim *sim, uint32_t id)
{
	const struct sim_device *device;
	struct iog_sim_domain *domain;

	sim_lock(sim);
	device = device_find(sim, id);
	domain = device && device->type == IOG_DOMAIN_PAGING ? device->domain : NULL;
	sim_unlock(sim);
	return domain;
}

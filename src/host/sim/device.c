/* SPDX-License-Identifier: MIT */
/*
 * Devices and their accesses, as the domain that each is in has them. See device.h; TLBs are in ats.c.
 *
 * An access looks its device up and is translated in one critical section, so that device_set() takes effect between accesses: each is subject to the former state or to the
 * new one.
 *
 * Locking: the unit's lock.
 */
#include <stdlib.h>

#include "internal.h"

struct sim_device *iog_sim_device_find(const struct iog_sim *sim, uint32_t id)
{
	struct sim_device *device = sim->devices.buckets[id % DEVICE_BUCKETS];

	while (device && device->id != id)
		device = device->next;
	return device;
}

struct sim_device *iog_sim_device_get(struct iog_sim *sim, uint32_t id)
{
	struct sim_device *device = iog_sim_device_find(sim, id), **bucket = &sim->devices.buckets[id % DEVICE_BUCKETS];

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

void iog_sim_devices_leave(struct iog_sim_domain *domain)
{
	for (uint32_t n = 0; n < DEVICE_BUCKETS; n++) {
		for (struct sim_device *device = domain->sim->devices.buckets[n]; device; device = device->next) {
			if (device->domain == domain)
				iog_sim_device_move(device, IOG_DOMAIN_BLOCKED, NULL);
		}
	}
}

void iog_sim_devices_fini(struct iog_sim *sim)
{
	for (uint32_t n = 0; n < DEVICE_BUCKETS; n++) {
		while (sim->devices.buckets[n]) {
			struct sim_device *device = sim->devices.buckets[n];

			sim->devices.buckets[n] = device->next;
			if (device->tlb)
				iog_sim_cache_fini(&device->tlb->caches.iotlb);
			free(device->tlb);
			free(device);
		}
	}
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
static bool device_access(struct iog_sim *sim, uint32_t id, iog_iova_t iova, uint32_t size, uint32_t prot, iog_paddr_t *paddr)
{
	struct sim_device *device = iog_sim_device_find(sim, id);

	if (device && device->type == IOG_DOMAIN_PAGING)
		return device->tlb ? iog_sim_ats_access(device, iova, size, prot, paddr) : iog_sim_access(device->domain, iova, size, prot, paddr);
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
	const struct sim_device *device = iog_sim_device_find(sim, id);
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
	landed = device_access(sim, device, iova, 1, prot, &landed_at);
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
		landed = bypass ? bypass_access(sim, device, prot) : device_access(sim, device, iova + moved, (uint32_t)part, prot, &paddr);
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
	device = iog_sim_device_get(sim, id);
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
	device = iog_sim_device_find(sim, id);
	domain = device && device->type == IOG_DOMAIN_PAGING ? device->domain : NULL;
	sim_unlock(sim);
	return domain;
}

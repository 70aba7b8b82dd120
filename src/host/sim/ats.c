/* SPDX-License-Identifier: MIT */
/*
 * Device TLBs. A device looks into its own first; what it does not find it asks the unit for, which answers through its IOTLB and walk caches, and keeps the answer
 * until it is told to forget it. What it finds there it uses without asking anybody.
 *
 * Locking: the unit's lock.
 */
#include <stdlib.h>

#include "internal.h"

static const struct cache_entry *tlb_lookup(struct sim_device *device, iog_iova_t iova, uint32_t prot)
{
	const struct cache_entry *entry = iog_sim_iotlb_lookup(&device->tlb->caches, device->domain->id, iova);

	return entry && !(prot & ~entry->prot) ? entry : NULL;
}

/* A translation request; an answer that allows what is wanted is kept. */
static void request(struct sim_device *device, iog_iova_t iova, uint32_t prot, struct walk *walk)
{
	struct iog_sim_domain *domain = device->domain;
	uint32_t class;

	domain->sim->stats.ats_requests++;
	iog_sim_walk_device(domain, iova, prot, walk);
	if (walk->fault != WALK_OK)
		return;
	/* An entry that allows less may be there. */
	iog_sim_ats_drop(device, iova, iova);
	class = iotlb_class_within(walk->shift);
	iog_sim_iotlb_fill(&device->tlb->caches, domain->id, iova, class, walk->paddr & ~((UINT64_C(1) << iotlb_class_shift(class)) - 1), walk->prot);
}

bool iog_sim_ats_access(struct sim_device *device, iog_iova_t iova, uint32_t size, uint32_t prot, iog_paddr_t *paddr)
{
	struct iog_sim_domain *domain = device->domain;
	const struct cache_entry *cached = tlb_lookup(device, iova, prot);
	struct walk walk = { .fault = WALK_OK };

	if (cached) {
		domain->sim->stats.ats_hits++;
		walk.source = SOURCE_DEVICE_TLB;
		walk.level = iotlb_entry_class(cached);
		walk.paddr = cached->paddr + (iova & ((UINT64_C(1) << iotlb_class_shift(walk.level)) - 1));
		walk.prot = cached->prot;
	} else {
		domain->sim->stats.ats_misses++;
		request(device, iova, prot, &walk);
	}
	return iog_sim_access_end(domain, iova, size, prot, &walk, paddr);
}

void iog_sim_ats_drop(struct sim_device *device, iog_iova_t first, iog_iova_t last)
{
	if (device->tlb && device->domain)
		iog_sim_iotlb_drop_range(&device->tlb->caches, device->domain->id, first, last);
}

void iog_sim_ats_drop_all(struct sim_device *device)
{
	if (device->tlb && device->domain)
		iog_sim_cache_drop_domain(&device->tlb->caches, device->domain->id);
}

/* Out of the domain's account of devices: it can reach nothing there. */
static void domain_leave(struct sim_device *device)
{
	struct iog_sim_domain *domain = device->domain;

	iog_sim_ats_drop_all(device);
	if (!domain || !device->tlb)
		return;
	domain->ats &= ~device->tlb->bit;
	iog_sim_oracle_device_gone(domain, device->tlb->bit);
}

void iog_sim_device_move(struct sim_device *device, enum iog_domain_type type, struct iog_sim_domain *domain)
{
	domain_leave(device);
	device->type = type;
	device->domain = domain;
	if (domain && device->tlb)
		domain->ats |= device->tlb->bit;
}

static void tlb_free(struct device_tlb *tlb)
{
	if (!tlb)
		return;
	iog_sim_cache_fini(&tlb->caches.iotlb);
	free(tlb);
}

static void tlb_off(struct iog_sim *sim, struct sim_device *device)
{
	if (!device->tlb)
		return;
	domain_leave(device);
	sim->devices.ats[bit_number(device->tlb->bit)] = NULL;
	tlb_free(device->tlb);
	device->tlb = NULL;
}

static int tlb_on(struct iog_sim *sim, struct sim_device *device, struct device_tlb *tlb)
{
	uint32_t n = 0;

	while (n < ATS_DEVICES_MAX && sim->devices.ats[n])
		n++;
	if (n == ATS_DEVICES_MAX)
		return -IOG_ENOSPC;
	tlb->bit = UINT64_C(1) << n;
	sim->devices.ats[n] = device;
	device->tlb = tlb;
	if (device->domain)
		device->domain->ats |= tlb->bit;
	return 0;
}

int iog_sim_device_ats(struct iog_sim *sim, uint32_t id, uint32_t entries, uint32_t ways)
{
	struct device_tlb *tlb = NULL;
	struct sim_device *device;
	int error = 0;

	if (!iog_sim_unit(sim))
		return -IOG_ENOMEM;
	if (entries) {
		tlb = calloc(1, sizeof(*tlb));
		error = tlb ? iog_sim_cache_create(&tlb->caches.iotlb, entries, ways) : -IOG_ENOMEM;
	}
	if (!error) {
		sim_lock(sim);
		device = iog_sim_device_get(sim, id);
		if (device) {
			tlb_off(sim, device);
			error = tlb ? tlb_on(sim, device, tlb) : 0;
		} else {
			error = -IOG_ENOMEM;
		}
		sim_unlock(sim);
	}
	if (error)
		tlb_free(tlb);
	return error;
}

int iog_sim_device_mute(struct iog_sim *sim, uint32_t id, bool mute)
{
	struct sim_device *device;

	if (!iog_sim_unit(sim))
		return -IOG_ENOMEM;
	sim_lock(sim);
	device = iog_sim_device_get(sim, id);
	if (device)
		device->mute = mute;
	sim_unlock(sim);
	return device ? 0 : -IOG_ENOMEM;
}

/* One page. Under the lock. */
static int translate_request(struct iog_sim *sim, uint32_t id, iog_iova_t iova, uint32_t prot)
{
	struct sim_device *device = iog_sim_device_find(sim, id);
	uint64_t reads = sim->stats.walk_reads;
	struct walk walk;

	if (!device || !device->tlb)
		return -IOG_EOPNOTSUPP;
	if (device->type != IOG_DOMAIN_PAGING)
		return -IOG_EFAULT;
	if (tlb_lookup(device, iova, prot))
		return 0;
	request(device, iova, prot, &walk);
	sim->stats.prewalk_reads += sim->stats.walk_reads - reads;
	/* Not an access: what it was told is judged when it is used. */
	if ((walk.fault == WALK_FAULT_FREED_TABLE || walk.fault == WALK_FAULT_UNCLEAN) && sim->judging)
		iog_sim_judge_access(device->domain, iova, 1, prot, &walk);
	return walk.fault == WALK_OK ? 0 : -IOG_EFAULT;
}

int iog_sim_device_translate_request(struct iog_sim *sim, uint32_t device, iog_iova_t iova, uint64_t size, uint32_t prot)
{
	iog_iova_t last = iova + (size - 1);
	int error = 0;

	if (!size || last < iova || !prot || prot & ~(uint32_t)(IOG_PROT_READ | IOG_PROT_WRITE))
		return -IOG_EINVAL;
	for (uint64_t page = iova >> SIM_PAGE_SHIFT; page <= last >> SIM_PAGE_SHIFT && !error; page++) {
		sim_lock(sim);
		error = translate_request(sim, device, page << SIM_PAGE_SHIFT, prot);
		sim_unlock(sim);
	}
	return error;
}

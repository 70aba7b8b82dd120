/* SPDX-License-Identifier: MIT */
/*
 * Devices behind the unit: what each is subject to, and its TLB, if it has one.
 *
 * Invariant: a device with a TLB that is in a paging domain has its bit in the domain's @ats.
 * Locking: the unit's lock.
 */
#ifndef IOG_SIM_DEVICE_H
#define IOG_SIM_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include <iogate/domain.h>
#include <iogate/types.h>

#include "cache.h"

/* Devices with a TLB that a unit can have: bits of a word. */
#define ATS_DEVICES_MAX 64
/* Buckets of the device table. */
#define DEVICE_BUCKETS 64

struct iog_sim;
struct iog_sim_domain;

/* Only @caches.iotlb is in use. */
struct device_tlb {
	struct caches caches;
	uint64_t bit; /* of the device, in masks of devices */
};

struct sim_device {
	struct sim_device *next;
	uint32_t id;
	enum iog_domain_type type;
	struct iog_sim_domain *domain; /* paging only */
	bool bypass;
	bool mute;              /* does not answer invalidations */
	struct device_tlb *tlb; /* NULL: no ATS */
};

struct device_table {
	struct sim_device *buckets[DEVICE_BUCKETS];
	struct sim_device *ats[ATS_DEVICES_MAX]; /* those with a TLB, by bit */
};

/* NULL if it was never heard of. */
struct sim_device *iog_sim_device_find(const struct iog_sim *sim, uint32_t id);

/* Blocked, if it was never heard of. NULL if there is no memory. */
struct sim_device *iog_sim_device_get(struct iog_sim *sim, uint32_t id);

/* Free them all. */
void iog_sim_devices_fini(struct iog_sim *sim);

/* What an access is subject to from now on. Its TLB is empty then. */
void iog_sim_device_move(struct sim_device *device, enum iog_domain_type type, struct iog_sim_domain *domain);

/* One access of at most a page. Returns whether it landed. @device has a TLB and is in a paging domain. */
bool iog_sim_ats_access(struct sim_device *device, iog_iova_t iova, uint32_t size, uint32_t prot, iog_paddr_t *paddr);

/* The device forgets [first, last], or all. */
void iog_sim_ats_drop(struct sim_device *device, iog_iova_t first, iog_iova_t last);
void iog_sim_ats_drop_all(struct sim_device *device);

/* No device is in a domain any more, or knows of it. */
void iog_sim_devices_leave(struct iog_sim_domain *domain);

#endif

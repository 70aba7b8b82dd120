/* SPDX-License-Identifier: MIT */
/*
 * What an IOMMU's driver does for domains: the simulated unit implements it, and hardware drivers do.
 *
 * A driver embeds struct iog_unit at the start of its own state, fills in @ops and calls iog_unit_init(). A domain that gets its first device behind a unit is added to
 * it under a number of that unit's (domain ids are the unit's own: 16 bits on VT-d, SMMUv3 and RISC-V), and removed with its last.
 */
#ifndef IOGATE_UNIT_H
#define IOGATE_UNIT_H

#include <stdbool.h>

#include <iogate/gather.h>
#include <iogate/pgtable.h>
#include <iogate/types.h>
#include <iogate/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iog_device;
struct iog_platform;
struct iog_unit;

/* What a device's accesses are subject to. */
enum iog_domain_type {
	IOG_DOMAIN_PAGING = 0, /* translated by a page table */
	IOG_DOMAIN_IDENTITY,   /* not translated: all of memory, unprotected */
	IOG_DOMAIN_BLOCKED,    /* refused */
};

/**
 * struct iog_unit_ops - what a driver implements. Every function may be called from several lanes at once, except where noted, and ends in -IOG_ETIMEDOUT when
 * hardware does not answer before the driver's deadline.
 */
struct iog_unit_ops {
	/*
	 * A paging domain will be used under @id. Nothing may be remembered by hardware under that id from before. @root is of the domain's page table.
	 * Called with the unit's lock held. Returns 0; -IOG_EOPNOTSUPP for a format or width that the unit does not walk; another error.
	 */
	int (*domain_add)(struct iog_unit *unit, uint32_t id, const struct iog_pgtable_root *root);

	/* No device uses @id any more: drop what hardware remembers under it. With the unit's lock held. An error keeps the id out of use for ever. */
	int (*domain_remove)(struct iog_unit *unit, uint32_t id);

	/*
	 * From the return on, accesses of @device are subject to @type, and for paging to domain @id; what hardware remembers of the device's former state is
	 * dropped before. There is no moment at which an access would be subject to neither. With the unit's lock held. On error the device is as before.
	 */
	int (*device_set)(struct iog_unit *unit, uint32_t device, enum iog_domain_type type, uint32_t id);

	/*
	 * Make hardware forget what @gather holds (see iog_flush_fn), or with NULL everything of domain @id, and wait for it. Entries stored before are visible
	 * to the walker: the driver orders them before its doorbell (platform.h, dma_wmb). A unit that walks no tables is told here what has changed, mapped or unmapped. Takes no lock that attaching holds, and is not called for an @id that was removed.
	 * Returns 0; -IOG_ETIMEDOUT or -IOG_EIO: what was to be forgotten goes into quarantine on account of these; -IOG_EAGAIN when hardware has aborted the wait, and with it the
	 * commands: they are submitted again, a few times, before that is -IOG_EIO. No other.
	 */
	int (*invalidate)(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather);

	/*
	 * Make the device TLB of @device (IOG_DEVICE_ATS) forget the ranges of @gather, or with NULL everything, and wait for the device's answer. Called after invalidate() has
	 * returned 0 for the same, because the device may ask for a translation again in between. Returns as invalidate(), -IOG_EAGAIN included; but for -IOG_ETIMEDOUT, when it is
	 * the device that does not answer before the driver's deadline for devices: it is lost, and blocked. Optional: without it devices with ATS are refused by the unit.
	 */
	int (*device_invalidate)(struct iog_unit *unit, uint32_t device, const struct iog_gather *gather);

	/*
	 * From the return on, every access of @device is refused, translated ones too. Called for a device that has not answered, by a lane that is in the middle of an
	 * invalidation, without the unit's lock; ends with the next device_set(). Mandatory with device_invalidate().
	 */
	int (*device_block)(struct iog_unit *unit, uint32_t device);
};

/**
 * struct iog_unit - one IOMMU. Members are the library's once iog_unit_init() has returned.
 */
struct iog_unit {
	const struct iog_unit_ops *ops;
	const struct iog_platform *platform;
	/* Bits of the input and output addresses that it translates, and IOG_PGTABLE_* flags that page tables for it must have (NONCOHERENT, FLUSH_ON_MAP, NO_SNOOP_CONTROL). */
	uint32_t ias;
	uint32_t oas;
	uint32_t pgtable_flags;
	/* Numbers [1, domain_ids] may be given to domains. */
	uint32_t domain_ids;
	/*
	 * What an invalidation costs, ns; 0: not known. By these, one that holds many ranges becomes one of the whole domain, where that is cheaper. Those that the driver does not
	 * know are measured when the first domain joins, or the unit is turned on with domains (iog_unit_measure()), on hosts with a clock (platform.h, now_ns), a range being one page then. Where hardware takes no ranges, or none so long, the
	 * driver sends a command per page, and should itself prefer the domain when that is cheaper.
	 */
	uint32_t wait_ns;   /* an invalidation, apart from its commands */
	uint32_t range_ns;  /* each range in it */
	uint32_t domain_ns; /* the domain, instead of ranges */
	uint32_t refill_ns; /* the misses that forgetting a domain leads to; the driver's estimate, default 2000 */

	uint64_t *ids;              /* a bit per id in use */
	uint32_t next_id;           /* where the search for a free one begins, so that an id rests before it is used again */
	uint32_t domains;           /* ids that domains have */
	uint32_t lost_ids;          /* out of use for ever: domain_remove failed */
	struct iog_device *devices; /* behind it */
	volatile char lock[8];      /* opaque; held over the ops that say so, while others spin: they are not called by a context that interrupts another call on its CPU */
};

/**
 * iog_unit_init() - make a unit known to the library.
 * @unit: @ops, @platform and @domain_ids (1 to 2^20 - 1) are filled in; ias, oas and pgtable_flags as far as known: 0 is not compared, and domain_add decides.
 *
 * Context: any; allocates.
 * Return: 0; -IOG_EINVAL if one of these, or a member of @ops, is missing or out of range; -IOG_ENOMEM.
 */
IOG_API int iog_unit_init(struct iog_unit *unit);

/**
 * iog_unit_measure() - hardware carries out invalidations from now on. What was measured of a unit that was off, and did nothing, is forgotten.
 * @unit: the unit. A driver that knows its costs does not call this.
 * @id: of a domain that is on it, by which they are measured now; 0: there is none, and the next that joins is measured.
 *
 * Context: no other call on the unit running; waits for hardware, by its ops; allocates. Nothing is learnt where there is no clock or no memory, or where the unit reports an error.
 */
IOG_API void iog_unit_measure(struct iog_unit *unit, uint32_t id);

/**
 * iog_unit_fini() - the opposite.
 * @unit: no domain may be on it, and no device behind it.
 *
 * Context: any; no other call on it running.
 * Return: 0; -IOG_EBUSY, with nothing done, while a domain is on it or a device behind it.
 */
IOG_API int iog_unit_fini(struct iog_unit *unit);

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The driver's own state, and what its files do for each other.
 *
 *   registers.h    names of the specification       directory.c    the device directory
 *   commands.c     the command queue's registers    domains.c      what domains contribute to device contexts
 *   invalidate.c   IOTINVAL and ATS.INVAL           faults.c       the fault queue
 *   interrupt.c    MSI page tables
 *   riscv.c        the unit: what it has, on and off
 *
 * Locking: the library calls domain_add, domain_remove and device_set one at a time (the unit's lock). context_lock is held over stores to device
 * contexts, never over a wait, because device_block() comes without the unit's lock. interrupts_lock, inside the unit's, is held over device_set(),
 * too, so that a device's domain stays while its interrupts change. fault_lock is held over taking faults. The ring has its own
 * (../ring.h).
 */
#ifndef IOG_HW_RISCV_RISCV_H
#define IOG_HW_RISCV_RISCV_H

#include <iogate/hw/riscv.h>

#include "../entry.h"
#include "../driver.h"
#include "../fault.h"
#include "../ring.h"
#include "../setting.h"
#include "../slots.h"
#include "registers.h"

#define RV_LIMBO 8u
#define RV_LEVELS_MAX 3u
/* Domains that the driver knows of are kept in pages of so many. */
#define DOMAINS_PER_BLOCK 128u

struct rv_interrupts_block;

/* A paging domain. Written before it is used, and not while it is. */
struct rv_domain {
	uint32_t id;     /* its PSCID (first stage) or GSCID (second stage); 0: none */
	uint32_t stage;
	uint64_t atp;    /* fsc or iohgatp */
};

struct iog_riscv {
	struct iog_unit unit; /* first: the ops get a pointer to it */
	struct iog_riscv_config config;
	const struct iog_platform *platform;
	struct iog_mmio mmio;
	struct iog_riscv_info info;
	bool coherent;

	bool on;            /* it translates; changes while no other call runs */
	bool half_on;       /* it could not be turned on, nor off again: it may go on reading what it was told of */
	uint32_t mode_found; /* Off or Bare, or Off if it translated */

	struct iog_ring ring;
	uint64_t refused_at; /* where the queue last stopped, and how often in a row */
	uint32_t refused;

	uint32_t words;     /* of a device context */
	struct entry_kind kind;
	uint32_t leaf_bits; /* of a device id, in a page of contexts */
	uint32_t levels;    /* of the directory in memory; info.levels is what the unit walks: as many, or one */
	uint64_t *root;
	struct spinlock context_lock;
	struct iog_setting setting;
	void *limbo[RV_LIMBO]; /* pages of the directory that the unit may still read, because it did not answer */
	uint32_t nr_limbo;
	_Atomic uint64_t *ats; /* a bit per device */
	size_t ats_bytes;

	_Atomic(struct rv_domain *) *blocks; /* by id / DOMAINS_PER_BLOCK */
	size_t blocks_bytes;

	struct spinlock interrupts_lock;
	struct rv_interrupts_block **interrupts; /* by device; NULL where messages are not told from other accesses */
	uint64_t *no_interrupts; /* the table of devices that have none of their own */

	uint64_t *faults;
	uint32_t fault_head;
	struct spinlock fault_lock;
	struct iog_fault_log *fault_log;

	_Atomic uint64_t commands;
	_Atomic uint64_t tlb_ranges;
	_Atomic uint64_t tlb_domains;
	_Atomic uint64_t command_errors;
	_Atomic uint64_t interrupt_commands;
};

static inline struct iog_riscv *rv_of(struct iog_unit *unit)
{
	return (struct iog_riscv *)(void *)unit;
}

static inline void rv_count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline uint64_t rv_timeout(const struct iog_riscv *riscv)
{
	return riscv->config.timeout_ms * UINT64_C(1000000);
}

static inline iog_paddr_t rv_paddr(const struct iog_riscv *riscv, const void *va)
{
	return (uint64_t)(uintptr_t)va - riscv->platform->direct_map_offset;
}

/* A page's number where ddtp, directory entries and queue bases have it. */
static inline uint64_t rv_ppn(const struct iog_riscv *riscv, const void *va)
{
	return rv_paddr(riscv, va) >> 2 & PPN_MASK;
}

/* Memory that the unit reads has changed: before the command or register that makes it look. */
static inline void rv_clean(const struct iog_riscv *riscv, const void *va, size_t size)
{
	if (!riscv->coherent)
		riscv->platform->cache_clean(riscv->platform->ctx, va, size);
}

/* Zeroed pages for the unit to read; NULL if there are none. @size: a power of two, at least 4096. */
void *iog_riscv_pages(const struct iog_riscv *riscv, size_t size);

/* commands.c */
extern const struct iog_ring_ops iog_riscv_ring_ops;

/* Commands, and wait for them; nothing at all while the unit is off, which is told everything when it is turned on. As iog_ring_submit(). */
int iog_riscv_submit(struct iog_riscv *riscv, const struct iog_command *commands, uint32_t n);
/* Submissions of the driver's own: what was lost is submitted again. As before, but for -IOG_EAGAIN, which becomes -IOG_EIO in the end. */
int iog_riscv_submit_again(struct iog_riscv *riscv, const struct iog_command *commands, uint32_t n);
/* The same where a device has to answer. */
int iog_riscv_submit_device(struct iog_riscv *riscv, const struct iog_command *commands, uint32_t n);
/* A queue's control and status: turn it on or off (6.15), and wait. */
int iog_riscv_queue_set(struct iog_riscv *riscv, uint32_t csr, uint32_t value);

/* directory.c */
int iog_riscv_directory_create(struct iog_riscv *riscv);
void iog_riscv_directory_destroy(struct iog_riscv *riscv);
/* The unit is off: what it did not let go of is given back. */
void iog_riscv_directory_settle(struct iog_riscv *riscv);
/* Where the contexts of all devices are, for a unit that walks one level only. -IOG_EOPNOTSUPP if a page does not hold them all, -IOG_ENOMEM. */
int iog_riscv_directory_single(struct iog_riscv *riscv, uint64_t *ppn);
int iog_riscv_device_set(struct iog_unit *unit, uint32_t device, enum iog_domain_type type, uint32_t id);
int iog_riscv_device_block(struct iog_unit *unit, uint32_t device);
/* A device's context; false if it never had one. */
bool iog_riscv_context_load(const struct iog_riscv *riscv, uint32_t device, struct entry *context);
/* Where its MSI page table is, from now on, if it has a valid context. Under interrupts_lock. */
int iog_riscv_context_interrupts(struct iog_riscv *riscv, uint32_t device, uint64_t msiptp);

/* interrupt.c. All do nothing for a configuration without. */
int iog_riscv_interrupts_create(struct iog_riscv *riscv);
void iog_riscv_interrupts_destroy(struct iog_riscv *riscv);
void iog_riscv_interrupts_lock(struct iog_riscv *riscv);
void iog_riscv_interrupts_unlock(struct iog_riscv *riscv);
/* What a valid context says of messages. Under interrupts_lock. */
void iog_riscv_interrupts_context(const struct iog_riscv *riscv, uint32_t device, struct entry *context);
/* A context has become another: hardware forgets what it remembers by the former. */
int iog_riscv_interrupts_moved(struct iog_riscv *riscv, const struct entry *from);

/* domains.c */
int iog_riscv_domains_create(struct iog_riscv *riscv);
void iog_riscv_domains_destroy(struct iog_riscv *riscv);
int iog_riscv_domain_add(struct iog_unit *unit, uint32_t id, const struct iog_pgtable_root *root);
int iog_riscv_domain_remove(struct iog_unit *unit, uint32_t id);
/* The number of one of them; 0: there is none. */
uint32_t iog_riscv_domain_any(struct iog_riscv *riscv);
/* NULL: there is none. */
const struct rv_domain *iog_riscv_domain(struct iog_riscv *riscv, uint32_t id);

/* invalidate.c */
int iog_riscv_invalidate(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather);
int iog_riscv_device_invalidate(struct iog_unit *unit, uint32_t device, const struct iog_gather *gather);
int iog_riscv_forget_domain(struct iog_riscv *riscv, const struct rv_domain *domain);
int iog_riscv_forget_device(struct iog_riscv *riscv, uint32_t device);

#endif

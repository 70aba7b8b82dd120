/* SPDX-License-Identifier: MIT */
/*
 * The driver's own state, and what its files do for each other.
 *
 *   registers.h   names of the architecture        streams.c   the stream table
 *   commands.c    the command queue's registers    domains.c   context descriptors, stage 2 fields
 *   events.c      faults and global errors         invalidate.c  TLBI and ATC_INV
 *   smmuv3.c      the unit: what it has, on and off
 *
 * Locking: the library calls domain_add, domain_remove and device_set one at a time (the unit's lock). ste_lock is held over stores to stream table
 * entries, never over a wait, because device_block() comes without the unit's lock. event_lock is held over taking events. The ring has its own
 * (../ring.h).
 */
#ifndef IOG_HW_SMMUV3_SMMUV3_H
#define IOG_HW_SMMUV3_SMMUV3_H

#include <iogate/hw/smmuv3.h>

#include "../driver.h"
#include "../fault.h"
#include "../ring.h"
#include "../setting.h"
#include "registers.h"

/* Domains whose descriptors share a page; the page after it holds what the driver knows of them. */
#define DOMAINS_PER_BLOCK 64u
/* Stream table entries that a level 1 descriptor leads to: a page of them. */
#define SPLIT 6u

#define SMMU_LIMBO 8u

/* A paging domain. Written before it is used, and not while it is. */
struct smmu_domain {
	uint32_t id;      /* its ASID (stage 1) or VMID (stage 2); 0: none */
	uint8_t stage;
	uint8_t tg;       /* as commands have it: 1 to 3 */
	uint8_t granule_shift;
	uint8_t levels;
	uint64_t ste[4];  /* what its stage contributes to stream table entries */
};

struct smmu_block {
	uint64_t cds[DOMAINS_PER_BLOCK][CD_WORDS];
	struct smmu_domain domains[DOMAINS_PER_BLOCK];
};

struct iog_smmuv3 {
	struct iog_unit unit; /* first: the ops get a pointer to it */
	struct iog_smmuv3_config config;
	const struct iog_platform *platform;
	struct iog_mmio page0;
	struct iog_mmio page1;
	struct iog_smmuv3_info info;
	uint32_t stalls_forced;

	bool on;              /* SMMUEN; changes while no other call runs */
	bool half_on;         /* it could not be turned on, nor off again: it may go on reading what it was told of */
	uint32_t gbpa_found;

	struct iog_ring ring;
	uint32_t gerrorn;     /* as last written; under the ring's watch_lock */
	uint64_t refused_at;  /* where the queue last stopped, and how often in a row */
	uint32_t refused;

	/* Linear: entries. Two levels: descriptors. */
	uint64_t *table;
	size_t table_bytes;
	bool linear;
	struct spinlock ste_lock;
	struct iog_setting setting;
	void *limbo[SMMU_LIMBO]; /* second-level tables that the unit may still read, because it did not answer */
	uint32_t nr_limbo;
	_Atomic uint64_t *ats; /* a bit per stream */
	size_t ats_bytes;

	_Atomic(struct smmu_block *) *blocks; /* by id / DOMAINS_PER_BLOCK */
	size_t blocks_bytes;

	uint64_t *events;
	uint32_t event_log2;
	/* event_cons <= event_answered <= event_prod, modulo twice the size: taken, answered where they wait for an answer, seen. */
	uint32_t event_cons;
	uint32_t event_answered;
	uint32_t event_prod;
	_Atomic bool stalls_left; /* some are not answered, because there was no room for commands */
	struct spinlock event_lock;
	struct iog_fault_log *faults;

	_Atomic uint64_t commands;
	_Atomic uint64_t tlb_ranges;
	_Atomic uint64_t tlb_domains;
	_Atomic uint64_t command_errors;
	_Atomic uint64_t stalls_ended;
	_Atomic uint32_t errors;
};

static inline struct iog_smmuv3 *smmu_of(struct iog_unit *unit)
{
	return (struct iog_smmuv3 *)(void *)unit;
}

static inline void smmu_count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline uint64_t smmu_timeout(const struct iog_smmuv3 *smmu)
{
	return smmu->config.timeout_ms * UINT64_C(1000000);
}

static inline iog_paddr_t smmu_paddr(const struct iog_smmuv3 *smmu, const void *va)
{
	return (uint64_t)(uintptr_t)va - smmu->platform->direct_map_offset;
}

static inline void *smmu_va(const struct iog_smmuv3 *smmu, iog_paddr_t paddr)
{
	return (void *)(uintptr_t)(paddr + smmu->platform->direct_map_offset);
}

/* Memory that the unit reads has changed: before the command or register that makes it look. */
static inline void smmu_clean(const struct iog_smmuv3 *smmu, const void *va, size_t size)
{
	if (!smmu->info.coherent)
		smmu->platform->cache_clean(smmu->platform->ctx, va, size);
}

/* Zeroed pages for the unit to read; NULL if there are none. @size: a power of two, at least 4096. */
void *iog_smmuv3_pages(const struct iog_smmuv3 *smmu, size_t size);

/* commands.c */
extern const struct iog_ring_ops iog_smmuv3_ring_ops;

/* Commands, and wait for them; nothing at all while the unit is off, which is told everything when it is turned on. As iog_ring_submit(). */
int iog_smmuv3_submit(struct iog_smmuv3 *smmu, const struct iog_command *commands, uint32_t n);
/* Submissions of the driver's own: what was lost is submitted again. As before, but for -IOG_EAGAIN, which becomes -IOG_EIO in the end. */
int iog_smmuv3_submit_again(struct iog_smmuv3 *smmu, const struct iog_command *commands, uint32_t n);

/* The same where a device has to answer. */
int iog_smmuv3_submit_device(struct iog_smmuv3 *smmu, const struct iog_command *commands, uint32_t n);

/* streams.c */
int iog_smmuv3_streams_create(struct iog_smmuv3 *smmu);
void iog_smmuv3_streams_destroy(struct iog_smmuv3 *smmu);
/* The unit is off: what it did not let go of is given back. */
void iog_smmuv3_streams_settle(struct iog_smmuv3 *smmu);
int iog_smmuv3_device_set(struct iog_unit *unit, uint32_t stream, enum iog_domain_type type, uint32_t id);
int iog_smmuv3_device_block(struct iog_unit *unit, uint32_t stream);
/* Whether the stream has an entry. */
bool iog_smmuv3_stream_known(struct iog_smmuv3 *smmu, uint32_t stream);

/* domains.c */
int iog_smmuv3_domains_create(struct iog_smmuv3 *smmu);
void iog_smmuv3_domains_destroy(struct iog_smmuv3 *smmu);
int iog_smmuv3_domain_add(struct iog_unit *unit, uint32_t id, const struct iog_pgtable_root *root);
int iog_smmuv3_domain_remove(struct iog_unit *unit, uint32_t id);
/* The number of one of them; 0: there is none. */
uint32_t iog_smmuv3_domain_any(struct iog_smmuv3 *smmu);
/* NULL: there is none. */
const struct smmu_domain *iog_smmuv3_domain(struct iog_smmuv3 *smmu, uint32_t id);

/* events.c: answer the stalled transactions that there was no room for before. */
void iog_smmuv3_stalls_end(struct iog_smmuv3 *smmu);

/* invalidate.c */
int iog_smmuv3_invalidate(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather);
int iog_smmuv3_device_invalidate(struct iog_unit *unit, uint32_t stream, const struct iog_gather *gather);
/* Everything of a domain. */
int iog_smmuv3_forget_domain(struct iog_smmuv3 *smmu, const struct smmu_domain *domain);
/* Everything that a device was translated. */
int iog_smmuv3_forget_device(struct iog_smmuv3 *smmu, uint32_t stream);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * One AMD-Vi unit. Private to hw/amdvi.
 *
 * Locking, outermost first:
 *   the unit's lock (src/dma/unit.c)  domains, and that devices are set one at a time; held while hardware is waited for
 *   tables_lock     every change of a device table entry, as a device may be blocked at any time, and of interrupt entries
 *   ring            the command buffer's own (../ring.h)
 *   control_lock    the control register
 *   event_lock      the event log; taken by trying only
 * All but the first with interrupts off.
 */
#ifndef IOG_HW_AMDVI_AMDVI_H
#define IOG_HW_AMDVI_AMDVI_H

#include <stdatomic.h>
#include <stdbool.h>

#include <iogate/hw/amdvi.h>
#include <iogate/unit.h>

#include "../../core/lock.h"
#include "../../pgtable/memory.h"
#include "../driver.h"
#include "../fault.h"
#include "../mmio.h"
#include "../ring.h"
#include "../setting.h"
#include "../slots.h"
#include "command.h"
#include "registers.h"

#define AMDVI_PAGE UINT64_C(4096)
/* Commands of one submission. */
#define AMDVI_BATCH 72
/* Times that what hardware has aborted is submitted again, where the caller is this driver. */
#define AMDVI_AGAIN 4
/* Not a device's commands, but the unit's. */
#define AMDVI_NO_DEVICE UINT32_MAX
/* What blocked devices are remembered under. */
#define AMDVI_BLOCKED_ID 0

/* Device table entry (2.2.2.1), four words. */
#define DTE_WORDS 4
#define DTE_V (UINT64_C(1) << 0)
#define DTE_TV (UINT64_C(1) << 1)
#define DTE_MODE_SHIFT 9
#define DTE_GIOV (UINT64_C(1) << 54)
#define DTE_GV (UINT64_C(1) << 55)
#define DTE_GCR3_14_12(paddr) (((paddr) >> 12 & 7) << 58)
#define DTE_IR (UINT64_C(1) << 61)
#define DTE_IW (UINT64_C(1) << 62)
/* Second word. */
#define DTE_DOMAIN(word) ((uint32_t)((word) & 0xffff))
#define DTE_GCR3_30_15(paddr) (((paddr) >> 15 & 0xffff) << 16)
#define DTE_I (UINT64_C(1) << 32)
#define DTE_SYSMGT (UINT64_C(3) << 40)
#define DTE_SYSMGT_SHIFT 40
#define DTE_GCR3_51_31(paddr) (((paddr) >> 31 & 0x1fffff) << 43)
/* Third word: interrupts (IV and IntCtl say whether they are refused, or remapped by a table), and how many levels guest tables have. */
#define DTE_IV (UINT64_C(1) << 0)
#define DTE_INT_TAB_LEN_SHIFT 1
#define DTE_INT_ROOT UINT64_C(0x000fffffffffffc0)
#define DTE_INT_CTL_REMAP (UINT64_C(2) << 60)
#define DTE_INTERRUPTS (DTE_IV | UINT64_C(0x1e) | DTE_INT_ROOT | UINT64_C(3) << 60)
#define DTE_GUEST_PAGING_5 (UINT64_C(1) << 54)
#define DTE_GUEST_PAGING (UINT64_C(3) << 54)
#define DTE_PASSES_56 (UINT64_C(7) << 56)
#define DTE_PASSES_62 (UINT64_C(3) << 62)

#define GCR3_V UINT64_C(1)

struct amdvi_interrupts;

struct amdvi_domain {
	struct amdvi_domain *next;
	uint32_t id;
	uint32_t levels;
	iog_paddr_t root;
	uint64_t *gcr3; /* guest tables: a page, whose first entry leads to the root; NULL for host tables */
};

/* Commands by kind: struct iog_amdvi_stats. */
struct amdvi_counters {
	_Atomic uint64_t devtab, page, domain, device, interrupt, errors;
};

struct iog_amdvi {
	struct iog_unit unit; /* first: the ops get a pointer to it */
	struct iog_mmio mmio;
	const struct iog_platform *platform;
	struct iog_amdvi_config config;
	uint64_t features;
	uint64_t timeout_ns;
	bool was_enabled;
	uint32_t identity_id; /* domain id of devices that are not translated */
	bool enabled;	      /* all of iog_amdvi_enable() has been done */
	_Atomic bool running; /* hardware may read the tables, and remember: invalidations are submitted */

	struct spinlock tables_lock;
	struct iog_setting setting;
	uint64_t *table; /* of devices */
	size_t table_bytes;

	/* Per device, its table of interrupts, or NULL; NULL where they are not remapped. */
	_Atomic(struct amdvi_interrupts *) *interrupts;

	struct spinlock control_lock;
	uint64_t control; /* as written last */
	struct iog_ring ring;
	struct amdvi_domain *domains;
	/* A bit per domain id: guest tables. Written before the domain's first use, by the holder of the unit's lock. */
	_Atomic uint64_t *guest;
	/* A byte per device: ATS depth, 0 for none. NULL until there is one. Set before the device is attached. */
	_Atomic(_Atomic uint8_t *) ats;

	struct spinlock event_lock;
	uint64_t *events; /* two words each */
	uint32_t event_next;
	uint32_t event_calls; /* that have found it announced and not there */
	struct iog_fault_log *faults;
	/* Devices whose TLB did not answer in time are counted, so that whoever waits for one knows: number of such events, and the last device. */
	_Atomic uint32_t tlb_timeouts;
	_Atomic uint32_t tlb_device;
	_Atomic uint32_t log_losses; /* times that the log was full: who fell silent meanwhile is not known */
	struct amdvi_counters counters;
};

static inline struct iog_amdvi *amdvi_of(struct iog_unit *unit)
{
	return (struct iog_amdvi *)unit;
}

static inline void amdvi_count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline iog_paddr_t amdvi_paddr(const struct iog_amdvi *amdvi, const void *pages)
{
	return (uint64_t)(uintptr_t)pages - amdvi->platform->direct_map_offset;
}

static inline bool amdvi_serves(const struct iog_amdvi *amdvi, uint32_t device)
{
	return device >> 16 == amdvi->config.segment && (device & 0xffff) <= amdvi->config.last_device;
}

static inline uint32_t amdvi_ats_depth(const struct iog_amdvi *amdvi, uint32_t device)
{
	/* Acquire: zeroes; pairs with the release in iog_amdvi_device_ats(). */
	_Atomic uint8_t *depths = atomic_load_explicit(&amdvi->ats, memory_order_acquire);

	return depths ? atomic_load_explicit(&depths[device & 0xffff], memory_order_relaxed) : 0;
}

static inline bool amdvi_is_guest(const struct iog_amdvi *amdvi, uint32_t id)
{
	return atomic_load_explicit(&amdvi->guest[id / 64], memory_order_relaxed) >> id % 64 & 1;
}

#if defined(__x86_64__) && !defined(IOG_AMDVI_STORES_64)
/* If both words are as in @seen; otherwise that is what they are now. */
static inline bool amdvi_exchange_both(uint64_t *at, uint64_t *seen, uint64_t low, uint64_t high)
{
	bool stored;

	__asm__ __volatile__("lock cmpxchg16b %1\n\tsete %0"
			     : "=q"(stored), "+m"(*(__uint128_t *)(void *)at), "+a"(seen[0]), "+d"(seen[1])
			     : "b"(low), "c"(high)
			     : "cc", "memory");
	return stored;
}
#endif

/* Store two words so that hardware and other lanes see both change at once. @at: a multiple of 16. False: this machine has no such store (or a test does without it), and nothing was changed. */
static inline bool amdvi_store_both(uint64_t *at, uint64_t low, uint64_t high)
{
#if defined(__x86_64__) && !defined(IOG_AMDVI_STORES_64)
	uint64_t seen[2] = { at[0], at[1] };

	while (!amdvi_exchange_both(at, seen, low, high)) {
	}
	return true;
#else
	(void)at;
	(void)low;
	(void)high;
	return false;
#endif
}

/* unit.c: change bits of the control register. */
void iog_amdvi_control(struct iog_amdvi *amdvi, uint64_t clear, uint64_t set);

/* queue.c. */
int iog_amdvi_queue_create(struct iog_amdvi *amdvi);
void iog_amdvi_queue_destroy(struct iog_amdvi *amdvi);
/* Empty, as hardware is told by the base register; before it is enabled. */
void iog_amdvi_queue_reset(struct iog_amdvi *amdvi);
/* Submit commands and wait until they have been carried out. From any lane. 0; -IOG_ETIMEDOUT; -IOG_EAGAIN when they were lost. */
int iog_amdvi_queue_submit(struct iog_amdvi *amdvi, const struct amdvi_command *commands, uint32_t count);
/* Set the buffer going again if hardware has stopped. */
void iog_amdvi_queue_errors(struct iog_amdvi *amdvi);

/* invalidate.c: the ops, and submissions of the driver's own, which are made again where hardware has aborted them. */
int iog_amdvi_submit(struct iog_amdvi *amdvi, const struct amdvi_command *commands, uint32_t count);
int iog_amdvi_submit_again(struct iog_amdvi *amdvi, const struct amdvi_command *commands, uint32_t count);
int iog_amdvi_invalidate_all(struct iog_amdvi *amdvi);
struct amdvi_command iog_amdvi_domain_command(const struct iog_amdvi *amdvi, uint32_t id);
int iog_amdvi_invalidate(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather);
int iog_amdvi_device_invalidate(struct iog_unit *unit, uint32_t device, const struct iog_gather *gather);
/* Of the whole of a device's TLB, and whether it has answered: 0, -IOG_ETIMEDOUT, -IOG_EAGAIN. */
int iog_amdvi_device_forget(struct iog_amdvi *amdvi, uint32_t device);

/* device.c: the ops. */
int iog_amdvi_device_set(struct iog_unit *unit, uint32_t device, enum iog_domain_type type, uint32_t id);
int iog_amdvi_device_block(struct iog_unit *unit, uint32_t device);
/* Every entry refuses everything; interrupts only where they are remapped. */
void iog_amdvi_table_reset(struct iog_amdvi *amdvi);
/* Under tables_lock: a device's interrupts are remapped by a table of @count entries. */
void iog_amdvi_device_interrupts(struct iog_amdvi *amdvi, uint32_t device, iog_paddr_t table, uint32_t count);

/* interrupt.c. All do nothing for a configuration without. */
int iog_amdvi_interrupts_create(struct iog_amdvi *amdvi);
void iog_amdvi_interrupts_destroy(struct iog_amdvi *amdvi);
/* Bits of the control register. */
uint64_t iog_amdvi_interrupts_control(const struct iog_amdvi *amdvi);

/* events.c. */
void iog_amdvi_events_reset(struct iog_amdvi *amdvi);
/* What the log says of @device since there were @before such events: 0, -IOG_ETIMEDOUT when it has not answered, -IOG_EAGAIN when that is not to be known. What is in the log stays there. */
int iog_amdvi_tlb_answer(struct iog_amdvi *amdvi, uint32_t device, uint32_t before);
/* Whether the log is full, or has been since there were @before such times. */
bool iog_amdvi_log_lost(struct iog_amdvi *amdvi, uint32_t before);

#endif

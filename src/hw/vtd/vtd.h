/* SPDX-License-Identifier: MIT */
/*
 * One VT-d unit. Private to hw/vtd.
 *
 * Locking, outermost first:
 *   the unit's lock (src/dma/unit.c)  domains, and that devices are set one at a time; held while hardware is waited for
 *   tables_lock     every change of a root, context, PASID directory or interrupt entry: a device may be blocked at any time
 *   ring            the invalidation queue's own (../ring.h); or, without a queue, register_lock over the invalidation registers while they are waited for
 *   command_lock    the global command register
 *   fault_lock      fault records; taken by trying only
 * All but the first with interrupts off.
 */
#ifndef IOG_HW_VTD_VTD_H
#define IOG_HW_VTD_VTD_H

#include <stdatomic.h>
#include <stdbool.h>

#include <iogate/hw/vtd.h>
#include <iogate/unit.h>

#include "../../core/lock.h"
#include "../../pgtable/memory.h"
#include "../driver.h"
#include "../fault.h"
#include "../mmio.h"
#include "../ring.h"
#include "../setting.h"
#include "../slots.h"
#include "descriptor.h"
#include "registers.h"

#define VTD_PAGE UINT64_C(4096)
#define VTD_BUSES 256
#define VTD_DEVFNS 256
/* The PASID that requests without one are translated by. */
#define VTD_RID_PASID 0
/* Commands of one submission. */
#define VTD_BATCH 72
/* Times that what hardware has aborted is submitted again, where the caller is this driver. */
#define VTD_AGAIN 4
/* Pages that are remembered until nothing reads them any more. More are given up. */
#define VTD_LOST 64

#define VTD_PRESENT UINT64_C(1)
#define VTD_ADDRESS UINT64_C(0xfffffffffffff000)

/* A device's commands are told apart from the unit's: the device may be what does not answer. */
#define VTD_NO_SID UINT32_MAX

struct vtd_domain {
	struct vtd_domain *next;
	uint32_t id;
	bool first_stage;
	uint32_t levels;
	iog_paddr_t root;
};

/* Commands by kind: struct iog_vtd_stats. */
struct vtd_counters {
	_Atomic uint64_t context, pasid, page, domain, device, interrupt, errors, timeouts;
};

struct iog_vtd {
	struct iog_unit unit; /* first: the ops get a pointer to it */
	struct iog_mmio mmio;
	const struct iog_platform *platform;
	struct iog_vtd_config config;
	uint64_t cap;
	uint64_t ecap;
	uint64_t timeout_ns;
	bool scalable;
	bool queued;
	bool clean_structures; /* root, context and PASID structures, and the queue, are not snooped */
	bool was_enabled;
	uint32_t identity_did;  /* for devices that are not translated */
	uint64_t drain;         /* VTD_IOTLB_DESC_DR, DW */
	bool enabled;           /* all of iog_vtd_enable() has been done */
	_Atomic bool running;   /* hardware may read the tables, and remember: invalidations are submitted */

	struct spinlock tables_lock;
	struct iog_setting setting;
	uint64_t *root; /* a page: two words per bus */
	void *lost[VTD_LOST]; /* pages that hardware may still read, because an invalidation failed */
	uint32_t nr_lost;

	/* The interrupt remapping table, two words per entry, NULL without; which are taken; a bit per entry of which hardware may remember what it no longer says. Under tables_lock. */
	uint64_t *entries;
	struct slots interrupts;
	uint64_t *untold;

	struct spinlock command_lock;
	struct iog_ring ring;
	struct spinlock register_lock;
	struct vtd_domain *domains;
	/* A bit per domain id: first stage. Written before the domain's first use, by the holder of the unit's lock. NULL in legacy mode. */
	_Atomic uint64_t *first_stage;
	uint32_t first_stage_words;
	/* Per bus, a byte per device: ATS depth, 0 for none. Set before the device is attached. */
	_Atomic(_Atomic uint8_t *) ats[VTD_BUSES];

	struct spinlock fault_lock;
	uint32_t fault_next;
	struct iog_fault_log *faults;
	struct vtd_counters counters;
};

static inline struct iog_vtd *vtd_of(struct iog_unit *unit)
{
	return (struct iog_vtd *)unit;
}

static inline void vtd_count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline iog_paddr_t vtd_paddr(const struct iog_vtd *vtd, const void *pages)
{
	return (uint64_t)(uintptr_t)pages - vtd->platform->direct_map_offset;
}

static inline void *vtd_pages(const struct iog_vtd *vtd, iog_paddr_t paddr)
{
	return (void *)(uintptr_t)(paddr + vtd->platform->direct_map_offset);
}

/* What was stored in a structure is on its way to where hardware reads it; iog_mmio_publish() comes before the doorbell. */
static inline void vtd_clean(const struct iog_vtd *vtd, const void *at, size_t size)
{
	if (vtd->clean_structures && vtd->platform->cache_clean)
		vtd->platform->cache_clean(vtd->platform->ctx, at, size);
}

static inline uint32_t vtd_bus(uint32_t device)
{
	return device >> 8 & 0xff;
}

static inline uint32_t vtd_devfn(uint32_t device)
{
	return device & 0xff;
}

static inline uint32_t vtd_ats_depth(const struct iog_vtd *vtd, uint32_t device)
{
	/* Acquire: the bytes; pairs with the release in iog_vtd_device_ats(). */
	_Atomic uint8_t *depths = atomic_load_explicit(&vtd->ats[vtd_bus(device)], memory_order_acquire);

	return depths ? atomic_load_explicit(&depths[vtd_devfn(device)], memory_order_relaxed) : 0;
}

static inline bool vtd_is_first_stage(const struct iog_vtd *vtd, uint32_t id)
{
	return vtd->first_stage && atomic_load_explicit(&vtd->first_stage[id / 64], memory_order_relaxed) >> id % 64 & 1;
}

/* A page of zeroes, or NULL. */
static inline void *vtd_page_new(const struct iog_vtd *vtd)
{
	void *page = vtd->platform->pages_alloc(vtd->platform->ctx, VTD_PAGE);

	if (page) {
		memset(page, 0, VTD_PAGE);
		vtd_clean(vtd, page, VTD_PAGE);
	}
	return page;
}

static inline void vtd_page_free(const struct iog_vtd *vtd, void *page)
{
	if (page)
		vtd->platform->pages_free(vtd->platform->ctx, page, VTD_PAGE);
}

/* command.c: set or clear a bit of GCMD that GSTS shows, or give a command for once, and wait. 0 or -IOG_ETIMEDOUT. */
int iog_vtd_command(struct iog_vtd *vtd, uint32_t bit, bool on);
int iog_vtd_command_once(struct iog_vtd *vtd, uint32_t bit);
/* Where the unit buffers writes to memory (CAP.RWBF): push them out, before what is to be forgotten is told. */
int iog_vtd_write_buffer_flush(struct iog_vtd *vtd);

/* queue.c. */
int iog_vtd_queue_create(struct iog_vtd *vtd);
void iog_vtd_queue_destroy(struct iog_vtd *vtd);
/* Turn it on, empty; a previous owner's is waited for and turned off. */
int iog_vtd_queue_start(struct iog_vtd *vtd);
int iog_vtd_queue_stop(struct iog_vtd *vtd);
/*
 * Submit commands and wait until they have been carried out. @sid: the device whose TLB they are for, or VTD_NO_SID. From any lane.
 * 0; -IOG_ETIMEDOUT; -IOG_EAGAIN when hardware threw the wait away.
 */
int iog_vtd_queue_submit(struct iog_vtd *vtd, const struct vtd_command *commands, uint32_t count, uint32_t sid);
/* Look for errors, and set the queue going again. */
void iog_vtd_queue_errors(struct iog_vtd *vtd);

/* by_register.c: the same without a queue. 0, -IOG_ETIMEDOUT, -IOG_EIO. */
int iog_vtd_register_submit(struct iog_vtd *vtd, const struct vtd_command *commands, uint32_t count);

/* invalidate.c: the ops, and submissions of the driver's own, which are made again where hardware has aborted them. */
int iog_vtd_submit(struct iog_vtd *vtd, const struct vtd_command *commands, uint32_t count, uint32_t sid);
int iog_vtd_submit_again(struct iog_vtd *vtd, const struct vtd_command *commands, uint32_t count);
int iog_vtd_invalidate_all(struct iog_vtd *vtd);
int iog_vtd_invalidate_domain(struct iog_vtd *vtd, uint32_t id, bool first_stage);
int iog_vtd_invalidate(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather);
int iog_vtd_device_invalidate(struct iog_unit *unit, uint32_t device, const struct iog_gather *gather);

/* device.c: the ops. */
int iog_vtd_device_set(struct iog_unit *unit, uint32_t device, enum iog_domain_type type, uint32_t id);
int iog_vtd_device_block(struct iog_unit *unit, uint32_t device);
/* All pages below the root table, which no hardware uses any more. */
void iog_vtd_tables_free(struct iog_vtd *vtd);

/* What a device is subject to, as its entries say it. */
struct vtd_binding {
	enum iog_domain_type type;
	uint32_t did;      /* what it may be remembered under; 0 when it is blocked */
	bool first_stage;
	uint32_t levels;
	iog_paddr_t root;
	uint32_t ats_depth;
};

/* Pages that a change of tables needs, and after it those that it has put out of use; the first is a table that the root leads to. */
struct vtd_spare {
	void *pages[3];
};

/*
 * legacy.c, scalable.c: entries of one device.
 *
 * get      as they are now; under tables_lock
 * prepare  the pages that set() will want, into @spare; hardware sees nothing of it. Under the unit's lock. 0 or -IOG_ENOMEM, with @spare's pages the caller's in any case
 * set      under tables_lock: from the former binding to the new one, by a single store for whoever walks. Blocking needs no page
 */
struct vtd_tables_ops {
	void (*get)(const struct iog_vtd *vtd, uint32_t device, struct vtd_binding *binding);
	int (*prepare)(struct iog_vtd *vtd, uint32_t device, const struct vtd_binding *binding, struct vtd_spare *spare);
	void (*set)(struct iog_vtd *vtd, uint32_t device, const struct vtd_binding *binding, struct vtd_spare *spare);
	void (*free_all)(struct iog_vtd *vtd);
};

/* The word by which hardware comes to see what was stored before. */
static inline void vtd_entry_store(struct iog_vtd *vtd, uint64_t *entry, uint64_t value)
{
	iog_mmio_publish(&vtd->mmio);
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
	vtd_clean(vtd, entry, sizeof(*entry));
}

static inline uint64_t vtd_entry_load(const uint64_t *entry)
{
	return __atomic_load_n(entry, __ATOMIC_RELAXED);
}

/* The page that an entry points to; NULL if it is not present. */
static inline uint64_t *vtd_entry_page(const struct iog_vtd *vtd, const uint64_t *entry)
{
	uint64_t value = vtd_entry_load(entry);

	return value & VTD_PRESENT ? vtd_pages(vtd, value & VTD_ADDRESS) : NULL;
}

extern const struct vtd_tables_ops iog_vtd_legacy;
extern const struct vtd_tables_ops iog_vtd_scalable;

static inline const struct vtd_tables_ops *vtd_tables(const struct iog_vtd *vtd)
{
	return vtd->scalable ? &iog_vtd_scalable : &iog_vtd_legacy;
}

/* interrupt.c. All do nothing for a configuration without. */
int iog_vtd_interrupts_create(struct iog_vtd *vtd);
void iog_vtd_interrupts_destroy(struct iog_vtd *vtd);
int iog_vtd_interrupts_start(struct iog_vtd *vtd);
int iog_vtd_interrupts_stop(struct iog_vtd *vtd);

/* reasons.c: what a fault reason says. */
enum iog_fault_reason iog_vtd_reason(uint32_t code, const char **text);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A domain, a device and a group as this room sees them.
 *
 * Locking. A domain's lane state belongs to its lane inside the lane's gate; others close the gate to take over what waits there (iog_domain_trim(), an allocation that would
 * fail). @attach_lock orders changes of the unit list; readers take none: see iog_domain_invalidate(). @flush_lock is held by the one flush of the whole domain that runs.
 */
#ifndef IOG_DMA_DOMAIN_H
#define IOG_DMA_DOMAIN_H

#include <iogate/domain.h>
#include <iogate/error.h>
#include <iogate/gather.h>
#include <iogate/platform.h>

#include "../core/gate.h"
#include "../core/lock.h"
#include "../inval/clock.h"
#include "policy.h"

/* What an unmapping leaves behind, and whose invalidation is still to come: an address whose entries are gone; or, see held.h, memory, or a call. */
struct deferred_entry {
	union {
		iog_iova_t iova;
		iog_paddr_t paddr;
		void (*release)(void *ctx);
	};
	union {
		uint64_t size; /* bytes */
		void *ctx;
	};
	uint32_t marks;    /* enum deferred_marks */
	uint32_t sequence; /* the lane's, when it was queued */
};

enum deferred_marks {
	DEFERRED_QUARANTINED = 1 << 0, /* an invalidation has failed: counted in the domain's @quarantined */
	DEFERRED_MAPPED = 1 << 1,      /* a part may still be mapped: cleared, and flushed once more, before it is freed */
	DEFERRED_MEMORY = 1 << 2,      /* not an address but @paddr: held */
	DEFERRED_CALL = 1 << 3,        /* nor that, but @release */
	DEFERRED_HELD = DEFERRED_MEMORY | DEFERRED_CALL,
	DEFERRED_REST_HELD = 1 << 4,   /* with DEFERRED_MAPPED: memory that is still mapped there is held */
};

/*
 * Entries that are given back: by a flush on the way of a call (DRAIN_STEP); by a call that adds an entry or comes by (DRAIN_FEW: more than one, so that a ring does not fill for want
 * of draining); and by one that came for it (DRAIN_MOST: iog_domain_flush(), iog_domain_trim(), iog_domain_set_mode(); in the public header).
 *
 * All others give back no more than IOG_DOMAIN_DRAIN_CALL in all: an unmapping looks at the ring (held.c), makes room (iog_domain_make_room()) by giving back what the one before added beyond the bound,
 * does that once more for bytes, may add the entry by which a flush is due, and those by which another is. DRAIN_PLAIN where nothing is held and none waits for a call, so that one entry is added
 * at most.
 */
#define DRAIN_STEP 64
#define DRAIN_FEW 4
#define DRAIN_MOST IOG_DOMAIN_DRAIN
#define DRAIN_PLAIN (2 * (DRAIN_STEP + DRAIN_FEW))

/* A unit has not done what it was told: hardware may remember. All other errors are refusals, or memory that is short. */
static inline bool domain_unit_failed(int error)
{
	return error == -IOG_ETIMEDOUT || error == -IOG_EIO;
}

/* Memory of a mapping, contiguous. */
struct held_piece {
	iog_paddr_t paddr;
	uint64_t size;
};

struct domain_lane {
	_Alignas(64) struct gate gate;
	struct iog_domain *domain;
	void *policy_lane; /* the policy's own */
	iog_lane_t lane;

	/*
	 * Under the gate. Deferred entries, a ring, in order; when nr reaches the domain's bound, or one is older than deferred_ms, the domain is flushed; what one unmapping adds beyond
	 * its address (held.h) may go beyond the bound, for which the ring has places. Others may look at nr. The
	 * first @nr_waiting are covered by the domain's flush number @needed, be it this lane's or another's; those after them by none that has begun. The former are given back a few
	 * at a time once that flush has completed.
	 */
	_Atomic uint32_t nr_deferred;
	uint32_t nr_waiting;
	uint32_t head;       /* the first */
	uint32_t sequence;   /* of those that come; another one whenever those that are there begin to wait, or their flush has completed */
	uint64_t needed;
	uint64_t oldest_ms;  /* of what waits, if @is_aging: nothing is older */
	struct deferred_entry *deferred;

	/* Under the gate, but the pieces, which are the lane's own: held.h. */
	struct held_piece *pieces; /* HELD_PIECES; NULL if the domain has no hold ops */
	struct held_piece *lot;    /* REST_PIECES: of the ring's first entry, that hardware may still remember */
	uint32_t lot_nr;
	bool lot_failed;           /* of that entry something may have been cleared, in whichever lane's gather, that no unit has forgotten */
	uint32_t nr_broken;        /* entries marked DEFERRED_MAPPED */
	uint64_t held_credit;      /* bytes that may be held here: its part of the domain's @held_credit */
	_Atomic bool settling;     /* an unmapping of the lane looks what has become of its memory: entries marked DEFERRED_MAPPED stay until it knows */
	bool unheard;              /* an address of the lane waits for a flush since this was last cleared: see iog_held_undo() */
	_Atomic uint64_t held_bytes, held_bytes_most; /* the most as of the last release */
	_Atomic uint32_t held_entries_most;
	_Atomic uint32_t nr_addresses; /* entries that are addresses: all others are held */
	uint32_t held_look;            /* entries at which one more, held, looks at the ring first; 0 whenever others may wait than then */
	_Atomic uint32_t held_pages;   /* so many pages may be held, one by one, before it is looked again at the ring, the credit and whether a flush is due. Other lanes only clear it */
	struct deferred_entry *held_newest; /* the newest entry, if it is memory that waits for no flush that has begun; NULL otherwise */

	/*
	 * Runs that this lane has freed lazily (IOG_IOVA_LAZY), ever, modulo 2^32: counted by the policy, the lane's own, also outside the gate. They are bounded as deferred entries
	 * are: a flush is due at @lazy_due, which is @deferred_entries more than have been flushed, by whomever, and is written inside the gate or with it closed.
	 */
	_Atomic uint32_t nr_lazy;
	_Atomic uint32_t lazy_due;
	uint32_t lazy_seen; /* of whoever has closed the gate: @nr_lazy before his flush */

	/* The lane's own: it enters a list, part by part, and units that have to be told of mappings are told at its end. */
	bool filling;

	/* Odd while the lane is inside iog_domain_invalidate(). Written by the lane only. */
	_Atomic uint64_t asking;

	/* This lane's counters. */
	_Atomic uint64_t maps;
	_Atomic uint64_t unmaps;
	_Atomic int64_t bytes_mapped;
	_Atomic uint64_t invalidations;
	_Atomic uint64_t widened;
	_Atomic uint64_t identity_maps;
	_Atomic uint64_t fallback_maps;

	/* Under the gate: the last tick, and from the one before it to that, ms. */
	uint64_t ticked_ms, interval_ms;
	bool is_ticked; /* there was one */
	bool is_aging;  /* it has found something that waits, and still does */

	/* Under the gate. Its flush function is iog_domain_invalidate() for this domain. */
	struct iog_gather gather;
};

/* A unit that devices of the domain are behind. */
struct domain_unit {
	_Atomic(struct iog_unit *) unit; /* NULL: free */
	_Atomic uint32_t id;
	uint32_t devices; /* under attach_lock */
};

/* A device with a TLB of its own, in a domain. On its way from one to another it is in both. */
struct domain_ats {
	_Atomic(struct domain_ats *) next;
	struct iog_device *device; /* NULL: not in use. Under the group's lock, as is which domain's it is */
	struct iog_domain *domain;
};

struct bounce;
struct iova_window;

struct iog_domain {
	const struct iog_platform *platform;
	enum iog_domain_type type;
	const struct iog_policy *policy;
	const struct iog_hold_ops *hold;   /* NULL: nothing is held but by iog_dma_unmap_release() */
	const struct iog_policy *fallback; /* identity policy only */
	struct iog_pgtable *pgtable;       /* NULL unless paging */
	struct iog_iova *iova;             /* NULL unless paging and not static 1:1 */
	struct iova_window *windows;       /* policy "window": page.h. NULL for the others */
	bool holds_pages;                  /* there are hold ops, and the policy has unmap_held() */
	bool maps_alone;                   /* nobody is to be told of a mapping: no unit, no owner of memory */
	bool is_static;                    /* 1:1, mapped once */
	bool flush_on_map;                 /* IOG_PGTABLE_FLUSH_ON_MAP */
	_Atomic uint32_t mode;             /* enum iog_inval_mode */
	_Atomic uint32_t mode_changes;     /* odd while @mode is about to change; under the gates' lock */
	uint32_t lanes_count;
	uint32_t deferred_entries;
	uint32_t deferred_ms;
	uint32_t ring_size; /* deferred_entries, and what one unmapping may add */
	void *hold_ctx;
	uint64_t held_max;
	_Atomic uint64_t held_credit; /* of all lanes; at most @held_max */
	uint64_t granule;
	iog_iova_t first;
	iog_iova_t last;
	iog_paddr_t identity_last;
	struct iog_range identity_low;
	struct domain_lane *lanes;
	struct gates gates;
	void *policy_state;
	_Atomic(struct bounce *) bounce; /* bounce.c; NULL until an untrusted device maps. iog_domain_destroy() calls iog_bounce_fini() */

	/* Flushes of the whole domain. */
	_Alignas(64) struct flush_clock clock;
	struct spinlock flush_lock;
	uint64_t answered; /* under flush_lock: the last flush that ended, and what the units returned */
	int flush_error;
	_Atomic uint64_t quarantined;
	_Atomic uint64_t suspect; /* run.c: the flush that is needed since an unlinking failed */

	struct spinlock attach_lock;
	uint32_t devices; /* under attach_lock */
	/* Read as the units' places are, see iog_domain_invalidate(): one that is not seen cannot have cached anything, and none goes while it may be. Changed under attach_lock. */
	_Atomic(struct domain_ats *) ats;
	_Atomic uint64_t devices_lost;
	_Atomic uint32_t reusing; /* devices without IOG_DEVICE_NO_REUSE: if there are none, all is forgotten at once */
	uint32_t units_max;
	_Atomic uint32_t units_used; /* no unit is in a place from here on */
	struct domain_unit units[];
};

struct iog_group {
	const struct iog_platform *platform;
	struct spinlock lock; /* all below, and attach */
	struct iog_device *devices;
	struct iog_domain *domain;
	bool implicit; /* made for one device, goes with it */
};

struct iog_device {
	/* Read by every call of the DMA API. Written by attach, which excludes them. */
	_Atomic(struct iog_domain *) domain;
	/* The same where a request goes straight to the domain's policy: paging, not static, the device trusted and snooping. NULL otherwise. */
	_Atomic(struct iog_domain *) plain;
	uint32_t flags;
	iog_iova_t limit;      /* the last address it can drive */
	uint64_t segment_max;
	uint64_t segment_boundary;

	const struct iog_platform *platform;
	struct iog_unit *unit;
	uint32_t id;
	struct iog_group *group;
	struct iog_device *next; /* in the group */
	struct iog_device *unit_next; /* behind the unit, under its lock */
	struct domain_ats ats[2];
	_Atomic uint32_t lost; /* it has not answered, and was blocked */
	/* Under the group's lock: where hardware has it. Not @domain only if a failed attach could not be undone. */
	struct iog_domain *placed;
};

/**
 * iog_domain_invalidate() - an iog_flush_fn: make every unit of the domain forget what the gather holds.
 * @gather: the gather; NULL for everything.
 * @ctx: the struct domain_lane.
 *
 * Context: the lane; waits for hardware. The entries were cleared before. A full barrier here, and one in attach between adding a unit and letting a device use it, decide
 * that a unit which is not seen here cannot have cached them; a unit is only let go once no lane is in here that may have seen it (units_settle() in attach.c).
 * Return: 0, or the first error of a unit, all others having been asked too.
 */
int iog_domain_invalidate(const struct iog_gather *gather, void *ctx);

/**
 * iog_domain_flush_lane() - iog_domain_flush() inside the lane's gate, on the way of another call: DRAIN_STEP entries are given back.
 * @lane: the lane.
 *
 * Return: 0; what the unit returned.
 */
int iog_domain_flush_lane(struct domain_lane *lane);

/**
 * iog_domain_flush_step() - the same outside the gate.
 * @lane: the lane.
 *
 * Return: 0; what the unit returned.
 */
int iog_domain_flush_step(struct domain_lane *lane);

/* One more run freed lazily. Release: its entries are gone; pairs with the acquire in lazy_look(). Returns how many that is. */
static inline uint32_t lazy_add(struct domain_lane *lane)
{
	uint32_t nr = atomic_load_explicit(&lane->nr_lazy, memory_order_relaxed) + 1;

	atomic_store_explicit(&lane->nr_lazy, nr, memory_order_release);
	return nr;
}

/* The same, and whether a flush is due. */
static inline bool lazy_count(struct domain_lane *lane)
{
	uint32_t nr = lazy_add(lane);

	atomic_store_explicit(&lane->held_pages, 0, memory_order_relaxed);
	return (int32_t)(nr - atomic_load_explicit(&lane->lazy_due, memory_order_relaxed)) >= 0;
}

/* For the lane: runs before a flush is due. */
static inline uint32_t lazy_left(const struct domain_lane *lane)
{
	uint32_t left = atomic_load_explicit(&lane->lazy_due, memory_order_relaxed) - atomic_load_explicit(&lane->nr_lazy, memory_order_relaxed);

	return (int32_t)left > 0 ? left : 0;
}

/* How many that is so far: a flush that begins now covers these. */
static inline uint32_t lazy_look(const struct domain_lane *lane)
{
	return atomic_load_explicit(&lane->nr_lazy, memory_order_acquire);
}

/* A flush has covered all up to @nr. Inside the gate, or with it closed. */
static inline void lazy_flushed(struct domain_lane *lane, uint32_t nr, uint32_t deferred_entries)
{
	atomic_store_explicit(&lane->lazy_due, nr + deferred_entries, memory_order_relaxed);
}

/* Those that no flush is known to cover. Other lanes' only roughly. */
static inline uint32_t lazy_waiting(const struct domain_lane *lane, uint32_t deferred_entries)
{
	uint32_t due = atomic_load_explicit(&lane->lazy_due, memory_order_relaxed), nr = lazy_look(lane) + deferred_entries - due;

	return (int32_t)nr > 0 ? nr : 0;
}

/**
 * iog_domain_defer() - queue a run that was cleared: it is freed after the next flush. Flushes when the bound is reached.
 * @lane: the lane, its gate entered; there is room, see iog_domain_make_room().
 * @iova: first address.
 * @size: bytes.
 *
 * Return: 0; what the flush returned: the run stays queued.
 */
int iog_domain_defer(struct domain_lane *lane, iog_iova_t iova, uint64_t size);

/**
 * iog_domain_quarantine() - an invalidation has failed: keep the run until a flush succeeds. If even that cannot be recorded, it is never used again, and counted.
 * @lane: the lane, its gate entered.
 * @iova: first address.
 * @size: bytes.
 */
void iog_domain_quarantine(struct domain_lane *lane, iog_iova_t iova, uint64_t size);

/**
 * iog_domain_quarantine_marked() - the same for a run of which a part may still be mapped: an unmapping broke off.
 * @lane: the lane, its gate entered.
 * @iova: first address.
 * @size: bytes.
 * @marks: DEFERRED_MAPPED, or 0.
 */
void iog_domain_quarantine_marked(struct domain_lane *lane, iog_iova_t iova, uint64_t size, uint32_t marks);

/**
 * iog_domain_make_room() - before entries are cleared: see to it that their run can be deferred or quarantined afterwards. Gives a few entries back whose flush has
 * completed; flushes if the queue is full all the same.
 * @lane: the lane, its gate entered.
 *
 * Return: 0: there is room for one run; -IOG_EAGAIN: a unit does not answer, and nothing is to be cleared before it does.
 */
int iog_domain_make_room(struct domain_lane *lane);

/**
 * iog_domain_room() - the same outside the gate, before something is begun whose end, or undoing, may have to be deferred or quarantined.
 * @lane: the lane, its gate not entered.
 *
 * Return: as iog_domain_make_room().
 */
int iog_domain_room(struct domain_lane *lane);

/**
 * iog_domain_drain() - give entries back whose flush has completed.
 * @lane: the caller's, its gate entered.
 * @from: whose; @lane, or its gate closed.
 * @most: how many at most.
 * @error: the first error of a unit is stored here, see DEFERRED_MAPPED; unchanged otherwise. That entry stays the first.
 *
 * Return: how many were looked at.
 */
uint32_t iog_domain_drain(struct domain_lane *lane, struct domain_lane *from, uint32_t most, int *error);

/**
 * iog_domain_alloc() - a run of addresses, with the domain's lazy flush: other lanes' deferred entries are taken over before it fails.
 * @lane: the lane, its gate not entered.
 * @size: bytes.
 * @limit: last address.
 * @iova: result.
 *
 * Return: as iog_iova_alloc().
 */
int iog_domain_alloc(struct domain_lane *lane, uint64_t size, iog_iova_t limit, iog_iova_t *iova);

/* Release: the domain was made before; pairs with the acquires of the DMA API. */
static inline void device_point(struct iog_device *device, struct iog_domain *domain)
{
	bool plain = domain && domain->type == IOG_DOMAIN_PAGING && !domain->is_static &&
		     !(device->flags & (uint32_t)(IOG_DEVICE_UNTRUSTED | IOG_DEVICE_NONCOHERENT));

	atomic_store_explicit(&device->domain, domain, memory_order_release);
	atomic_store_explicit(&device->plain, plain ? domain : NULL, memory_order_release);
}

/* Whether the policy holds single pages by itself now. */
static inline bool domain_holds_pages(const struct iog_domain *domain)
{
	return domain->holds_pages && atomic_load_explicit(&domain->mode, memory_order_relaxed) == IOG_INVAL_HELD;
}

static inline uintptr_t domain_lane_enter(struct domain_lane *lane)
{
	return gate_enter(&lane->domain->gates, &lane->gate);
}

static inline void domain_lane_exit(struct domain_lane *lane, uintptr_t flags)
{
	gate_exit(&lane->domain->gates, &lane->gate, flags);
}

#endif

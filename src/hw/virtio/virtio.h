/* SPDX-License-Identifier: MIT */
/*
 * The driver's own state, and what its files do for each other.
 *
 *   registers.h    names of the specification         domains.c     domains, and what the device was told of them
 *   transport.c    PCI and memory-mapped registers    reconcile.c   making that agree with page tables
 *   pci.c          PCI capabilities                   endpoints.c   devices, and what they are subject to
 *   queue.c        a split ring                       events.c      the event queue
 *   requests.c     the request queue                  probe.c       reserved regions
 *   unit.c         the unit: what it has, on and off
 *
 * Nothing that the device writes is believed beyond what it can be: indices, lengths and statuses are bounded before they are used, and each is read once.
 *
 * Locking, outermost first. The library calls domain_add, domain_remove and device_set one at a time (the unit's lock). control_lock is held over a request about an endpoint and the wait for it;
 * threads only. A domain's lock is held over reconciling it, and waits: with interrupts off, because invalidate() comes from contexts that interrupt threads; never two
 * at once. The queue's lock is held over the ring, never over a wait. event_lock likewise.
 */
#ifndef IOG_HW_VIRTIO_VIRTIO_H
#define IOG_HW_VIRTIO_VIRTIO_H

#include <iogate/hw/virtio.h>

#include "../../pgtable/reader.h"
#include "../fault.h"
#include "../mmio.h"
#include "registers.h"

/* Requests that are waited for together. */
#define BATCH_MAX 64u
/* Domains that the driver knows of are kept in pages of so many. */
#define DOMAINS_PER_BLOCK 512u
#define SLOT_NONE UINT32_MAX

/* Where registers are: structures of PCI, or parts of the one block. */
struct vio_transport {
	struct iog_mmio common;
	struct iog_mmio notify;
	struct iog_mmio isr;
	struct iog_mmio device;
	uint32_t notify_length;
	uint32_t notify_multiplier;
	bool mmio;
};

/* A split ring. @ring is what the device sees; all else is ours. */
struct vio_ring {
	const struct iog_platform *platform;
	void *pages;
	size_t bytes;
	struct ring_desc *desc;
	_Atomic uint16_t *avail; /* flags, idx, ring */
	_Atomic uint16_t *used;  /* flags, idx; then elements */
	uint16_t entries;        /* of the memory; a power of two */
	uint16_t size;           /* in use: the device may have fewer */
	uint16_t avail_idx;
	uint16_t used_idx;
	uint32_t doorbell; /* offset in the transport's notify region */
};

enum vio_state {
	REQUEST_NEW = 0,
	REQUEST_SENT,
	REQUEST_ANSWERED,
};

struct vio_batch;

/* A request in the making, on its way, or answered. */
struct vio_request {
	uint8_t type;   /* REQ_* */
	uint8_t state;  /* enum vio_state; under the queue's lock while it is sent */
	uint8_t status; /* S_*; once it was answered */
	uint32_t flags;
	uint32_t domain;   /* the device's number */
	uint32_t endpoint;
	uint64_t first, last;
	uint64_t paddr;
};

/*
 * Requests that are waited for together. @sent of @n are on the ring or were; @left of these are unanswered, under the queue's lock. One that was not waited for to its end stays as it is, and is
 * settled before its place is used again: a request may be executed as long as it was not answered.
 */
struct vio_batch {
	uint32_t n;
	uint32_t sent;
	uint32_t left;
	struct vio_request requests[BATCH_MAX];
};

/* A place on the request ring: descriptors 2n and 2n + 1, and memory for the device. */
struct vio_slot {
	struct vio_request *request; /* NULL: free, or nobody's any more */
	struct vio_batch *batch;
	uint32_t next; /* free ones */
};

/* What the device reads and writes of one request; of a probe, properties elsewhere. */
struct vio_slot_memory {
	union {
		struct req_attach attach;
		struct req_map map;
		struct req_unmap unmap;
		struct req_probe probe;
	};
	uint8_t tail[8];
	uint8_t pad[128 - 80];
};

_Static_assert(sizeof(struct vio_slot_memory) == 128, "a power of two");

/* A paging domain. What the device was told of it stands in @mirror, leaf by leaf as the mappings were. */
struct vio_domain {
	struct iog_virtio *virtio;
	struct vio_domain *next; /* all of them, under the unit's lock */
	uint32_t id;
	uint32_t number; /* the device's, while it is there */
	bool granules;   /* told by granules, not by leaves */
	uint64_t granule;

	struct spinlock lock; /* all below */
	bool told;            /* it is there: an endpoint is attached, or was until the device did not answer */
	uint32_t attached;    /* endpoints; changed by device_set and while nothing else runs */
	struct iog_pgtable_reader *reader; /* of the page table */
	struct iog_tablemem *mem;
	struct iog_pgtable *mirror;
	struct iog_gather *gather; /* the mirror's */
	struct vio_batch batch;
};

/* A device that is subject to something else than refusal. */
struct vio_endpoint {
	struct vio_endpoint *next;
	uint32_t device;
	enum iog_domain_type type;
	struct vio_domain *domain; /* paging */
	bool attached; /* the device knows */
};

struct iog_virtio {
	struct iog_unit unit; /* first: the ops get a pointer to it */
	struct iog_virtio_config config;
	const struct iog_platform *platform;
	struct vio_transport transport;
	struct iog_virtio_info info;
	uint64_t features;      /* negotiated */
	uint32_t first_number;  /* of domains: ours from here on; the last two are identity and refusal, where others begin to count last */
	uint32_t last_number;
	uint8_t bypass_found;

	bool on;
	bool half_on; /* it could not be reset */
	bool found;   /* bypass_found is known */
	bool inherits; /* the device may know attachments and mappings that are not ours: some keep them over a reset */

	struct spinlock queue_lock;
	struct vio_ring requests;
	struct vio_slot *slots;
	struct vio_slot_memory *slot_memory;
	uint32_t nr_slots;
	uint32_t free_slot;
	_Atomic bool broken; /* until it is reset; changed under queue_lock */

	struct spinlock control_lock;
	struct vio_batch control;
	void *properties; /* of the probe that is under way; the device's until that was answered */
	struct vio_request stray; /* if @strays: an attachment that was given up and made all the same, and has to be undone */
	bool strays;

	struct spinlock event_lock;
	struct vio_ring events;
	struct fault_event *event_memory;
	uint32_t nr_events;
	_Atomic bool events_broken;
	struct iog_fault_log *fault_log;

	struct vio_endpoint *endpoints; /* under the unit's lock */
	struct vio_domain *domains;
	_Atomic(_Atomic(struct vio_domain *) *) *blocks; /* by id / DOMAINS_PER_BLOCK */
	size_t blocks_bytes;

	_Atomic uint64_t count_requests;
	_Atomic uint64_t count_maps;
	_Atomic uint64_t count_unmaps;
	_Atomic uint64_t count_doorbells;
	_Atomic uint64_t count_submissions;
	_Atomic uint64_t count_timeouts;
	_Atomic uint64_t count_refused;
	_Atomic uint64_t count_broken;
};

static inline struct iog_virtio *vio_of(struct iog_unit *unit)
{
	return (struct iog_virtio *)(void *)unit;
}

static inline void vio_count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* Nothing that it says counts any more, but to its lanes' own order: relaxed. */
static inline bool vio_is_broken(const struct iog_virtio *virtio)
{
	return atomic_load_explicit(&virtio->broken, memory_order_relaxed);
}

static inline uint64_t vio_timeout(const struct iog_virtio *virtio)
{
	return virtio->config.timeout_ms * UINT64_C(1000000);
}

static inline iog_paddr_t vio_paddr(const struct iog_virtio *virtio, const void *va)
{
	return (uint64_t)(uintptr_t)va - virtio->platform->direct_map_offset;
}

/* Numbers that the device knows domains by. */
static inline uint32_t vio_number_refused(const struct iog_virtio *virtio)
{
	return virtio->last_number;
}

static inline uint32_t vio_number_identity(const struct iog_virtio *virtio)
{
	return virtio->last_number - 1;
}

static inline uint32_t vio_number(const struct iog_virtio *virtio, uint32_t id)
{
	return virtio->first_number + (id - 1);
}

/* transport.c */
int iog_virtio_transport_init(struct iog_virtio *virtio);
/* It is a virtio-iommu, as far as registers tell. */
int iog_virtio_transport_identify(struct iog_virtio *virtio);
uint32_t iog_virtio_status_get(struct iog_virtio *virtio);
void iog_virtio_status_set(struct iog_virtio *virtio, uint32_t status);
/* 0 or -IOG_ETIMEDOUT. */
int iog_virtio_reset(struct iog_virtio *virtio);
uint64_t iog_virtio_features_offered(struct iog_virtio *virtio);
/* Those that a previous owner had taken; 0 where it cannot be known. */
uint64_t iog_virtio_features_taken(struct iog_virtio *virtio);
void iog_virtio_features_take(struct iog_virtio *virtio, uint64_t features);
/* Entries that a queue has at most; 0: there is no such queue. It becomes the one that is set up next. */
uint32_t iog_virtio_queue_most(struct iog_virtio *virtio, uint32_t queue);
/* The queue that was asked for last. 0; -IOG_EIO for a doorbell where none can be. */
int iog_virtio_queue_start(struct iog_virtio *virtio, struct vio_ring *ring, uint32_t vector);
void iog_virtio_queue_notify(struct iog_virtio *virtio, uint32_t queue, const struct vio_ring *ring);
uint32_t iog_virtio_config32(struct iog_virtio *virtio, uint32_t offset);
uint64_t iog_virtio_config64(struct iog_virtio *virtio, uint32_t offset);
uint8_t iog_virtio_config8(struct iog_virtio *virtio, uint32_t offset);
void iog_virtio_config8_set(struct iog_virtio *virtio, uint32_t offset, uint8_t value);
uint32_t iog_virtio_config_generation(struct iog_virtio *virtio);
/* Why it interrupts; the reasons are acknowledged. */
uint32_t iog_virtio_interrupt_reasons(struct iog_virtio *virtio);

/* queue.c */
int iog_virtio_ring_create(struct vio_ring *ring, const struct iog_platform *platform, uint32_t entries);
void iog_virtio_ring_destroy(struct vio_ring *ring);
/* Empty, with @size entries; @flags: of the available ring. */
void iog_virtio_ring_reset(struct vio_ring *ring, uint32_t size, uint16_t flags);
void iog_virtio_ring_describe(struct vio_ring *ring, uint16_t index, iog_paddr_t paddr, uint32_t bytes, uint16_t flags);
/* A chain, by its first descriptor; the device sees it at the next publish(). */
void iog_virtio_ring_offer(struct vio_ring *ring, uint16_t index);
/* What was offered is the device's. Returns whether it wants a doorbell. */
bool iog_virtio_ring_publish(struct vio_ring *ring);
/* Elements that the device has put into the used ring and were not taken; more than @most is -IOG_EIO. */
int iog_virtio_ring_used(const struct vio_ring *ring, uint32_t most);
struct ring_used_elem iog_virtio_ring_take(struct vio_ring *ring);

/* requests.c */
int iog_virtio_requests_create(struct iog_virtio *virtio);
void iog_virtio_requests_destroy(struct iog_virtio *virtio);
/* After a reset: everything that was on its way is gone. */
void iog_virtio_requests_reset(struct iog_virtio *virtio, uint32_t size);
/* An empty batch, which was settled. */
static inline void vio_batch_clear(struct vio_batch *batch)
{
	batch->n = batch->sent = batch->left = 0;
}
/* Room for one more; the caller looks that there is. */
static inline struct vio_request *vio_batch_add(struct vio_batch *batch, uint8_t type)
{
	struct vio_request *request = &batch->requests[batch->n++];

	*request = (struct vio_request){ .type = type };
	return request;
}
/*
 * Send what was not sent, and wait until all was answered. 0; -IOG_ETIMEDOUT, and what was not sent by then is not sent any more (@n is @sent); -IOG_EIO when the device broke the queue, or wants to be reset.
 */
int iog_virtio_submit(struct iog_virtio *virtio, struct vio_batch *batch);
/* Of one that was not waited for to its end. As iog_virtio_submit(). */
int iog_virtio_settle(struct iog_virtio *virtio, struct vio_batch *batch);
/* A status as an error. */
int iog_virtio_error(uint32_t status);
/* The device has done what it cannot do. With queue_lock or event_lock. */
void iog_virtio_complain(struct iog_virtio *virtio, _Atomic bool *broken);

/* domains.c */
int iog_virtio_domains_create(struct iog_virtio *virtio);
void iog_virtio_domains_destroy(struct iog_virtio *virtio);
int iog_virtio_domain_add(struct iog_unit *unit, uint32_t id, const struct iog_pgtable_root *root);
int iog_virtio_domain_remove(struct iog_unit *unit, uint32_t id);
/* NULL: there is none. */
struct vio_domain *iog_virtio_domain(struct iog_virtio *virtio, uint32_t id);
/* The device knows nothing of it any more. With its lock, or while nothing runs. */
void iog_virtio_domain_forget(struct vio_domain *domain);
/* Entries of the mirror. With the lock. */
int iog_virtio_mirror_map(struct vio_domain *domain, iog_iova_t first, iog_iova_t last, iog_paddr_t paddr, uint32_t prot);
void iog_virtio_mirror_unmap(struct vio_domain *domain, iog_iova_t first, iog_iova_t last);

/* reconcile.c */
int iog_virtio_invalidate(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather);
/* Everything, a batch at a time. 0, or what went wrong. */
int iog_virtio_reconcile_all(struct vio_domain *domain);

/* endpoints.c */
/* With control_lock, and no domain's: find out what became of a request that was given up, and undo it if it is an attachment. Before anything is asked. */
int iog_virtio_catch_up(struct iog_virtio *virtio);
int iog_virtio_device_set(struct iog_unit *unit, uint32_t device, enum iog_domain_type type, uint32_t id);
/* All that are known, after a reset. */
int iog_virtio_endpoints_attach(struct iog_virtio *virtio);
/* All that are attached. An error: not all. */
int iog_virtio_endpoints_detach(struct iog_virtio *virtio);
void iog_virtio_endpoints_forget(struct iog_virtio *virtio);
void iog_virtio_endpoints_destroy(struct iog_virtio *virtio);

/* events.c */
int iog_virtio_events_create(struct iog_virtio *virtio);
void iog_virtio_events_destroy(struct iog_virtio *virtio);
void iog_virtio_events_reset(struct iog_virtio *virtio, uint32_t size);
/* Lend the device all buffers. It is on. */
void iog_virtio_events_post(struct iog_virtio *virtio);

#endif

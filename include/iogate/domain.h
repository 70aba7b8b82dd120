/* SPDX-License-Identifier: MIT */
/*
 * Domains, devices and isolation groups.
 *
 * A domain is one address space as devices see it: a page table, an allocator of addresses, an invalidation mode, and the devices attached to it, which may be behind
 * several units. A group is what hardware cannot tell or keep apart (one requester id, peers behind a bridge without access control): its devices share a domain.
 *
 * Attach and detach exclude the DMA API calls of the devices concerned, which is the caller's part; other devices of the domain are not disturbed.
 */
#ifndef IOGATE_DOMAIN_H
#define IOGATE_DOMAIN_H

#include <stdbool.h>

#include <iogate/iova.h>
#include <iogate/pgtable.h>
#include <iogate/types.h>
#include <iogate/unit.h>
#include <iogate/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iog_device;
struct iog_domain;
struct iog_group;
struct iog_platform;
struct iog_tablemem;

/*
 * How a domain finds addresses. Opaque; name the one you want, and a static link holds no other.
 *
 *   window     windows of 512 granules per lane, bound to their leaf tables: no walk, no tree, no lock on the way. The default, because it wins
 *   tree, magazine, pooled   the allocators of <iogate/iova.h> in front of the page table
 *   identity   dynamic 1:1 (Woodhouse and Serebrin, 2015): the IOVA is the physical address where its entry is free or maps the same page with the same permission; otherwise an
 *              address of @fallback, above @identity_last. With several users of a page access ends with the last unmap: that is what sharing means
 */
struct iog_policy;

IOG_API extern const struct iog_policy iog_policy_window;
IOG_API extern const struct iog_policy iog_policy_tree;
IOG_API extern const struct iog_policy iog_policy_magazine;
IOG_API extern const struct iog_policy iog_policy_pooled;
IOG_API extern const struct iog_policy iog_policy_identity;

enum iog_inval_mode {
	/* Unmap returns when hardware has forgotten: the only mode in which the CPU may trust what it reads in the buffer afterwards. */
	IOG_INVAL_STRICT = 0,
	/* Unmap returns at once; until the next flush the device may still reach the page, whoever owns it by then. Bounded by entries and by time. */
	IOG_INVAL_DEFERRED,
	/*
	 * Unmap returns at once, and the memory is let go by the flush (struct iog_hold_ops, iog_dma_unmap_release()): nobody can reuse a page that the device might reach. The device
	 * may still write into it while the CPU reads: what must be trusted needs strict mode, or a copy.
	 */
	IOG_INVAL_HELD,
};

/**
 * struct iog_hold_ops - for the owner of memory that is mapped: a reference to it, taken at map and given back when the memory may be used again, as the mode says.
 *
 * For each page that iog_dma_map() or iog_dma_map_sg() maps, hold() is called once and release() once, whatever the mode is and becomes; the pages of one call of release() need not be those
 * of one call of hold(): neighbours may come together, large pieces in parts. In strict mode release() comes before unmap returns, in deferred mode at unmap, in held mode after the flush
 * that covers it. After an unmapping whose invalidation has failed it comes when a later flush has succeeded, in every mode; for what waits when the domain is destroyed, then. What was
 * never unmapped is not released.
 *
 * Not for what is not translated; other devices' registers; memory of iog_dma_alloc(), which is the library's; linked pages of reserved runs, whose unlinking waits for hardware, as in held
 * mode does their release; buffers of untrusted devices, where unmapping waits in every mode.
 *
 * Context: hold() of the mapping lane. release() of whichever lane unmaps, flushes, trims, changes the mode, or is in need of addresses; also with interrupts off, where the
 * platform has that. Neither may call into iogate, or wait.
 */
struct iog_hold_ops {
	/* Optional: the owner holds a reference already. Before the device can reach it; undone by release() if mapping fails, after a flush where hardware may have seen it. @size in bytes; both multiples of the granule. */
	void (*hold)(void *ctx, iog_paddr_t paddr, uint64_t size);
	void (*release)(void *ctx, iog_paddr_t paddr, uint64_t size);
};

/* Memory that a static 1:1 domain maps. */
struct iog_memory {
	iog_paddr_t paddr; /* a multiple of the granule */
	uint64_t size;     /* bytes, a multiple of the granule */
	uint32_t prot;     /* enum iog_prot */
};

/**
 * struct iog_domain_config - zero means default.
 */
struct iog_domain_config {
	/* Mandatory: the host; kept by reference. */
	const struct iog_platform *platform;
	/* Default IOG_DOMAIN_PAGING. For the other types only @platform and @lanes are looked at. */
	enum iog_domain_type type;
	/* Lanes that may use it: 1 to 4096. Default: those of @pgtable.tablemem, or 1. */
	uint32_t lanes;
	/* Paging, mandatory: format, table memory and so on. Flags that its units ask for must be in it. Not with IOG_PGTABLE_SINGLE_WRITER unless there is one lane. */
	struct iog_pgtable_config pgtable;
	/* Default &iog_policy_window. */
	const struct iog_policy *policy;
	/* Identity policy: where else to go. Default &iog_policy_window; not identity itself. */
	const struct iog_policy *fallback;
	/* Identity policy: the highest physical address; the fallback's addresses lie above it. Default: half of the address space. */
	iog_paddr_t identity_last;
	/* Identity policy: a range for the fallback of devices that cannot reach above @identity_last; physical addresses in it are not mapped 1:1. last = 0: none. */
	struct iog_range identity_low;
	/* Default strict. See iog_domain_set_mode(). */
	enum iog_inval_mode mode;
	/*
	 * Deferred and held: entries that one lane lets wait, 1 to 65536, default 256; and for how long at most, in ms, default 10, by the calls of iog_domain_tick(), which see. In every
	 * mode the former also bounds what one lane keeps in quarantine.
	 */
	uint32_t deferred_entries;
	uint32_t deferred_ms;
	/* See struct iog_hold_ops; kept by reference. Without it held mode lets go of addresses and tables, and of memory by iog_dma_unmap_release() only. */
	const struct iog_hold_ops *hold;
	void *hold_ctx;
	/* Held mode: bytes that may be held after their unmapping, over all lanes; what would be more waits for a flush. Default 64 MiB. Exceeded only by what a unit has not answered. */
	uint64_t held_max;
	/* Addresses that may be handed out, inclusive. Default: from one granule to the end of the page table's address space, so that 0 is never a DMA address. last = 0: the default. */
	iog_iova_t first;
	iog_iova_t last;
	/* Never handed out, nor mapped 1:1 by the identity policy. Copied. */
	const struct iog_range *reserved;
	uint32_t nr_reserved;
	/* IOG_IOVA_BOTTOM_UP, IOG_IOVA_STALE; and pools as in struct iog_iova_config. */
	uint32_t iova_flags;
	uint32_t pools;
	/*
	 * Static 1:1: map all of this memory once, with the largest leaves that pgtable.page_sizes allows. The DMA API then returns physical addresses and does no
	 * work: no protection between what is mapped and what is not. NULL: none.
	 */
	const struct iog_memory *memory;
	uint32_t nr_memory;
	/* Units that may be behind it, 1 to 64. Default 8. */
	uint32_t units_max;
};

/**
 * struct iog_domain_stats - exact when no call is running.
 */
struct iog_domain_stats {
	uint64_t maps, unmaps;        /* successful, ever */
	uint64_t flushes;             /* of the whole domain, ever */
	uint64_t invalidations;       /* of what one gather held, ever */
	uint64_t widened;             /* of these, how often a unit forgot the whole domain instead, ever */
	uint64_t deferred;            /* entries waiting for a flush now */
	uint64_t held_bytes, held_bytes_most;     /* memory that waits for a flush after its unmapping: now, and each lane's most, added up */
	uint64_t held_entries, held_entries_most; /* pieces of it, and calls */
	uint64_t bytes_mapped;        /* as handed to the DMA API, now; memory of iog_dma_alloc() and reserved runs count whole */
	uint64_t quarantined;         /* bytes of addresses whose invalidation failed; never used again until a flush succeeds */
	uint64_t devices_lost;        /* devices with ATS that did not answer in time, ever */
	uint64_t identity_maps;       /* 1:1, ever */
	uint64_t fallback_maps;       /* ever */
	struct iog_iova_stats iova;
	struct iog_pgtable_stats pgtable;
};

/**
 * struct iog_device_config - zero means default.
 */
struct iog_device_config {
	/* Mandatory: the host, and the unit that the device is behind. */
	const struct iog_platform *platform;
	struct iog_unit *unit;
	/* Requester or stream id, as the unit counts. */
	uint32_t id;
	/* NULL: a group of its own. */
	struct iog_group *group;
	/* Address bits that the device can drive, 12 to 64. Default 64. */
	uint32_t dma_bits;
	/* enum iog_device_flags. */
	uint32_t flags;
	/* Scatter lists: the longest segment and the power-of-two boundary that none may cross, bytes. Default: no bound. */
	uint64_t segment_max;
	uint64_t segment_boundary;
};

enum iog_device_flags {
	/* May be given untranslated addresses (IOG_DMA_BYPASS). Grant it to devices whose unit or firmware is trusted with all of memory. */
	IOG_DEVICE_BYPASS = 1 << 0,
	/* Untrusted: what shares a page with a buffer must not be exposed. Partial pages at its ends are copied; the middle is mapped. */
	IOG_DEVICE_UNTRUSTED = 1 << 1,
	/* The device does not snoop the CPU's caches. iog_dma_sync_*() clean lines. */
	IOG_DEVICE_NONCOHERENT = 1 << 2,
	/*
	 * The device keeps translations of its own (PCIe ATS): it is told to forget after the unit has forgotten. One that does not answer in time is blocked at once, until it is
	 * attached anew (iog_device_is_lost()); what was unmapped and it may still reach is not used again before.
	 */
	IOG_DEVICE_ATS = 1 << 3,
	/* The device hardly ever uses an address again before it is unmapped: nothing is lost by forgetting all that hardware remembers of its domain at once, and it is what is done. */
	IOG_DEVICE_NO_REUSE = 1 << 4,
};

/**
 * iog_domain_create() - an address space without devices.
 * @config: kept by value.
 * @domain: result; unchanged on error.
 *
 * Context: any; allocates. Where @config.memory is given, lane 0 of the table memory is used: nobody else uses it meanwhile, be it for another domain.
 * Return: 0; -IOG_EINVAL for a malformed @config (memory that overlaps, windows on a granule or format that they do not fit, too); -IOG_ERANGE for addresses, address bits or page sizes
 *         that the page table cannot express, or no room above @identity_last; -IOG_EOPNOTSUPP for a policy that the format is not fit for (identity wants spare bits), or @iova_flags that
 *         its allocator has not; -IOG_ENOMEM.
 */
IOG_API int iog_domain_create(const struct iog_domain_config *config, struct iog_domain **domain);

/**
 * iog_domain_destroy() - give everything back, whatever is mapped.
 * @domain: NULL is allowed.
 *
 * Context: any; no other call on it running. Lane 0 of the table memory is used: nobody else uses it meanwhile, be it for another domain.
 * Return: 0; -IOG_EBUSY, with nothing done, while a device is attached.
 */
IOG_API int iog_domain_destroy(struct iog_domain *domain);

/*
 * What one call gives back at most of what flushes have covered, entries: an address, a contiguous piece of held memory, or a call (iog_dma_unmap_release()). No call pays for a whole backlog.
 *
 *   IOG_DOMAIN_DRAIN        iog_domain_flush(), iog_domain_trim(), iog_domain_set_mode(). And a mapping for which no address is left but those that wait, as often as it takes
 *   IOG_DOMAIN_DRAIN_CALL   any other, of which one unmapping may add 514 and another has to make room for as many; 136 in a domain that holds no memory and was given no calls
 */
#define IOG_DOMAIN_DRAIN 4096
#define IOG_DOMAIN_DRAIN_CALL 1228

/**
 * iog_domain_set_mode() - another invalidation mode, from now on.
 * @domain: the domain. Others than paging ones have no mode: nothing is done.
 * @lane: the caller's lane.
 * @mode: the mode.
 *
 * All that waits for a flush is flushed, whichever lane it waits on, and given back as by iog_domain_trim(). Calls of other lanes that have begun before this one returns may still
 * end in the former mode; those that begin afterwards do not.
 *
 * Context: @lane; waits for hardware, and for other lanes to leave what they are in.
 * Return: 0; -IOG_EINVAL for a bad @lane or @mode; what the unit returned: the mode is the new one all the same, and what waited goes with a later flush.
 */
IOG_API int iog_domain_set_mode(struct iog_domain *domain, iog_lane_t lane, enum iog_inval_mode mode);

/**
 * iog_domain_flush() - make hardware forget all that was unmapped before the call, by whatever lane, and give back what waited for it on @lane.
 * @domain: the domain.
 * @lane: the caller's lane.
 *
 * Concurrent callers share a flush where one that begins after all their unmaps serves them, and its error, if it fails. Of what waited on @lane IOG_DOMAIN_DRAIN entries are given back
 * at most; hardware has forgotten the rest, too, and later calls of the lane give it back. An unmapping of the lane that broke off because the unit did not answer is finished, in as many
 * calls as it takes.
 *
 * Context: @lane; waits for hardware.
 * Return: 0, also for domains that are not paging; -IOG_EINVAL for a bad @lane; -IOG_EAGAIN when such an unmapping is not finished yet: call it again; what the unit returned, and then nothing is given back: a later flush may succeed, and gives it back
 *         then.
 */
IOG_API int iog_domain_flush(struct iog_domain *domain, iog_lane_t lane);

/**
 * iog_domain_tick() - deferred and held mode: flush what would otherwise wait on this lane for longer than deferred_ms.
 * @domain: the domain.
 * @lane: the caller's lane.
 * @now_ms: a clock that does not go back, the same for all lanes. It may begin anywhere, and wrap.
 *
 * Call it per lane at equal intervals of deferred_ms at most, from the start: then nothing of the lane waits for longer than deferred_ms. What a tick first finds waiting counts as old as
 * the tick before it, and is flushed as soon as the next one, expected after the same interval as the last, would come when deferred_ms are over or later. So at intervals of half of
 * deferred_ms or more each tick flushes if anything waits; more frequent ones let more share a flush: with ten in deferred_ms what waits does so for nine tenths of it. An
 * interval longer than the one before may add to the wait what it is longer by; one longer than deferred_ms lasts as long as it lasts.
 *
 * Context: @lane; may wait for hardware.
 * Return: 0; -IOG_EINVAL for a bad @lane; what the unit returned: the next tick tries again.
 */
IOG_API int iog_domain_tick(struct iog_domain *domain, iog_lane_t lane, uint64_t now_ms);

/**
 * iog_domain_trim() - flush, and give back what lanes keep for later: addresses, windows, tables.
 * @domain: the domain.
 * @lane: the caller's lane. Its own stock goes back, and that of lanes that are idle meanwhile. A lane that goes away calls this last.
 *
 * Context: @lane; waits for hardware.
 * Return: 0; -IOG_EAGAIN when IOG_DOMAIN_DRAIN entries were given back and more are left: call it again; -IOG_EINVAL for a bad @lane; what the unit returned.
 */
IOG_API int iog_domain_trim(struct iog_domain *domain, iog_lane_t lane);

/**
 * iog_domain_pgtable() - the page table, for lookups and for hardware's eyes.
 * @domain: the domain. Do not map or unmap through it what the DMA API may touch: reserve the range at creation.
 *
 * Context: any.
 * Return: the page table; NULL for domains that are not paging.
 */
IOG_API struct iog_pgtable *iog_domain_pgtable(struct iog_domain *domain);

/**
 * iog_domain_stats() - counts.
 * @domain: the domain.
 * @stats: result.
 *
 * Context: any; as iog_iova_stats().
 */
IOG_API void iog_domain_stats(struct iog_domain *domain, struct iog_domain_stats *stats);

/**
 * iog_group_create() - an empty isolation group.
 * @platform: the host.
 * @group: result; unchanged on error.
 *
 * Context: any; allocates.
 * Return: 0; -IOG_EINVAL for a @platform without object_alloc and object_free; -IOG_ENOMEM.
 */
IOG_API int iog_group_create(const struct iog_platform *platform, struct iog_group **group);

/**
 * iog_group_destroy() - the opposite.
 * @group: NULL is allowed.
 *
 * Context: not one that interrupts another call.
 * Return: 0; -IOG_EBUSY, with nothing done, while a device is in it.
 */
IOG_API int iog_group_destroy(struct iog_group *group);

/**
 * iog_device_create() - make a device known. It starts blocked, or in the domain of its group.
 * @config: kept by value.
 * @device: result; unchanged on error.
 *
 * Context: not one that interrupts another call; allocates; waits for hardware.
 * Return: 0; -IOG_EINVAL for a malformed @config; -IOG_EOPNOTSUPP for IOG_DEVICE_ATS behind a unit that does not know it; -IOG_ENOMEM; -IOG_EEXIST if the unit has a device of this
 *         id already; as iog_domain_attach() if its group is in a domain; what the unit returned.
 */
IOG_API int iog_device_create(const struct iog_device_config *config, struct iog_device **device);

/**
 * iog_device_destroy() - block it and forget it.
 * @device: nothing of it may be mapped; NULL is allowed. If it is the last of its group, its domain loses the group.
 *
 * Context: not one that interrupts another call; waits for hardware.
 * Return: 0; what the unit returned, and then the device stays as it was.
 */
IOG_API int iog_device_destroy(struct iog_device *device);

/**
 * iog_domain_attach() - move a device, and its whole group, into a domain.
 * @domain: the domain, of any type. NULL: back to blocked.
 * @device: one device of the group. What it had mapped in its former domain stays mapped there, and must be unmapped before it is attached elsewhere.
 *
 * A device that was lost (iog_device_is_lost()) is set anew, also where it is attached already: what it may have remembered is gone then, and the next flush of its former domain may succeed.
 *
 * Without a hole: at each moment an access is subject to the former domain or to the new one. A unit that then fails to forget the former domain keeps that domain's number out of
 * use for ever (struct iog_unit, lost_ids); the device has moved, and 0 is returned.
 *
 * Context: not one that interrupts another call, as for all that creates, moves and destroys devices and groups; waits for hardware. Ordered against invalidations: one that begins
 * after a unit has joined reaches that unit, and none uses a number that the domain has lost.
 * Return: 0; -IOG_EOPNOTSUPP if a unit cannot walk the page table, or wants flags that it was not created with; -IOG_ENOSPC if a unit has no domain id left or the domain no place for a
 *         unit; what a unit returned. On error every device of the group is where it was, or, if the unit refuses to set it back, too, in both: its accesses are subject to @domain,
 *         which cannot be destroyed, until a later attach succeeds.
 */
IOG_API int iog_domain_attach(struct iog_domain *domain, struct iog_device *device);

/**
 * iog_device_is_lost() - whether a device with ATS has not answered an invalidation, and is blocked since.
 * @device: the device.
 *
 * Its mappings may be unmapped as always. Invalidations of its domain fail with -IOG_ETIMEDOUT meanwhile, so that nothing it may have remembered is used again, and what waits goes on
 * waiting. Until it is attached anew, or destroyed: see to it that it is reset before.
 *
 * Context: any.
 */
IOG_API bool iog_device_is_lost(const struct iog_device *device);

/**
 * iog_device_domain() - where a device is.
 * @device: the device.
 *
 * Context: any.
 * Return: the domain, or NULL when it is blocked and in none.
 */
IOG_API struct iog_domain *iog_device_domain(const struct iog_device *device);

#ifdef __cplusplus
}
#endif

#endif

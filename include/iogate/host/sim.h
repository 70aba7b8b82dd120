/* SPDX-License-Identifier: MIT */
/*
 * A simulated IOMMU: it walks the very bytes of the page tables through an IOTLB and walk caches, takes invalidation commands, and judges.
 *
 * The judge (oracle) is told what each address should translate to and reports as a violation, with history:
 *   - a device access that lands through a translation whose invalidation had completed: the unit's, and for devices with a TLB theirs;
 *   - a walk that reads a table which has been given back, and a table given back while a walk cache still points to it;
 *   - an address, or memory, reused before its invalidation completed;
 *   - a device access that should have worked and did not, or landed elsewhere.
 *
 * All calls may be made from several threads at once.
 */
#ifndef IOGATE_HOST_SIM_H
#define IOGATE_HOST_SIM_H

#include <stdbool.h>
#include <stdio.h>

#include <iogate/gather.h>
#include <iogate/pgtable.h>
#include <iogate/platform.h>
#include <iogate/types.h>
#include <iogate/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iog_sim;
struct iog_sim_domain;
struct iog_unit;

enum iog_sim_violation_kind {
	IOG_SIM_STALE_ACCESS,   /* landed through an entry that should be gone */
	IOG_SIM_FREED_TABLE,    /* a walk read a table that had been given back, or one was given back while cached */
	IOG_SIM_EARLY_REUSE,    /* an address or memory was used again before its invalidation completed */
	IOG_SIM_LOST_ACCESS,    /* should have landed: faulted, or landed elsewhere */
	IOG_SIM_BAD_PERMISSION, /* allowed what the mapping does not, or refused what it does */
	IOG_SIM_UNCLEAN_TABLE,  /* a walker that does not snoop read a line of a table that was never written back to memory */
	IOG_SIM_VIOLATION_KINDS,
};

/**
 * struct iog_sim_violation - what the judge saw.
 */
struct iog_sim_violation {
	enum iog_sim_violation_kind kind;
	uint32_t domain;
	iog_iova_t iova;
	iog_paddr_t paddr;  /* where the access went, or the table's address; 0 if nowhere */
	const char *detail; /* one sentence; valid during the callback */
};

enum iog_sim_flags {
	/* Do not judge: no bookkeeping per page. Caches and counters work as ever. */
	IOG_SIM_NO_ORACLE = 1 << 0,
	/*
	 * A page that waits for its invalidation may be mapped again as it was: same memory, same permission. Stale entries say the same, so it is safe; the policy identity
	 * does it. Without this flag it is an early reuse, as any other.
	 */
	IOG_SIM_REVIVAL = 1 << 1,
	/* Every caller queues a wait of its own, even where one that others queue would serve it: what sharing them saves. */
	IOG_SIM_OWN_WAITS = 1 << 2,
	/* Measure how long devices reach what was unmapped, and what they do there: struct iog_sim_exposure. Not with NO_ORACLE. Costs a look at the clock per unmap that returns before it is covered, and per command that covers such. */
	IOG_SIM_EXPOSURE = 1 << 3,
	/* With EXPOSURE: that memory is reused while a device may still reach it, its unmap not being covered yet, is counted and no violation, as deferred invalidation has it. */
	IOG_SIM_REUSE_COUNTED = 1 << 4,
};

/*
 * What hardware can be made to do, see iog_sim_misbehave(). An occasion is a wait that begins; for QUEUE_FULL a command; for DEVICE_TIMEOUT an invalidation of a device's TLB.
 */
enum iog_sim_fault_kind {
	IOG_SIM_FAULT_STALL,               /* hardware stops in the middle of the queue: nothing more is executed, the wait does not complete */
	IOG_SIM_FAULT_LOST_COMPLETION,     /* the commands are executed, and nobody is told */
	IOG_SIM_FAULT_QUEUE_FULL,          /* the queue stays full: the command does not go in before its deadline */
	IOG_SIM_FAULT_SPURIOUS_COMPLETION, /* a completion that is nobody's arrives before the wait's own */
	IOG_SIM_FAULT_QUEUE_ERROR,         /* hardware aborts the waits in the queue: each caller has to submit its commands again */
	IOG_SIM_FAULT_DEVICE_TIMEOUT,      /* a device does not answer, and does not forget; the queue goes on. See iog_sim_device_mute() for one that never does */
	IOG_SIM_FAULT_KINDS,
};

/**
 * struct iog_sim_config - zero means default.
 */
struct iog_sim_config {
	/* IOTLB: entries and ways, powers of two. Default 256 entries, 4 ways. */
	uint32_t iotlb_entries;
	uint32_t iotlb_ways;
	/* Walk caches: entries that point to tables of level 0, 1, 2, ...; powers of two. Default 64, 32, 16, 16, 16. Index n caches pointers to tables of level n. */
	uint32_t walk_entries[IOG_LEVELS_MAX - 1];
	uint32_t walk_ways; /* default 4 */
	uint32_t walk_level_ways[IOG_LEVELS_MAX - 1]; /* the same for one of them; default walk_ways */
	/* Invalidation queue slots; default 256. A submission to a full queue processes it first. */
	uint32_t queue_entries;
	uint32_t flags; /* enum iog_sim_flags */
	/* Called for each violation, under the simulator's lock. Default: print to stderr. */
	void (*violation)(void *ctx, const struct iog_sim_violation *violation);
	void *violation_ctx;
	/*
	 * As an IOMMU that domains are attached to, see iog_sim_unit(): input and output address bits, default 57 and 52; IOG_PGTABLE_* flags that page tables for it
	 * must have, default none; domain ids, 1 to 2^20 - 1, default 65535. The unit is what the flags stand for, for all its domains:
	 *   - IOG_PGTABLE_FLUSH_ON_MAP: the IOTLB and the walk caches remember, too, that something is not present, until an invalidation;
	 *   - IOG_PGTABLE_NONCOHERENT: the walker sees of table memory what cache_clean of the observed platform (iog_sim_observe()) was last told of, by lines of 64 bytes. Without
	 *     an observed platform it sees memory.
	 */
	uint32_t ias;
	uint32_t oas;
	uint32_t pgtable_flags;
	uint32_t domain_ids;
	/*
	 * What invalidations take, ns of real time, default 0: each wait, and what is drawn for it evenly from 0 to wait_jitter_ns; each command for a range, for a domain, for a
	 * device's TLB. Commands are executed one after the other. Callers spin on the platform's clock (now_ns; without one, the process's), without a lock. Domains see
	 * wait_ns, range_ns and domain_ns in struct iog_unit.
	 */
	uint32_t wait_ns;
	uint32_t wait_jitter_ns;
	uint32_t range_ns;
	uint32_t domain_ns;
	uint32_t device_ns;
	/* What reading an entry takes, ns: accounted in stats.walk_ns, not waited for. */
	uint32_t walk_read_ns;
	/*
	 * How long hardware, and a device, may take to answer, ns; default 1 s, and deadline_ns. A deadline that comes because of misbehaviour is not waited for: the
	 * simulator's clock jumps there.
	 */
	uint64_t deadline_ns;
	uint64_t device_deadline_ns;
	/* Where random numbers begin. The same calls by one thread on the same seed: the same counters. */
	uint64_t seed;
};

/* Of the histogram of exposure. */
#define IOG_SIM_EXPOSURE_BUCKETS 48

/**
 * struct iog_sim_exposure - from the return of an unmap (iog_sim_note_unmapped()) to the completion that covers it, 0 for what it had waited for itself; with IOG_SIM_EXPOSURE; otherwise 0. Pages are of 4 KiB. An access without data is one byte.
 */
struct iog_sim_exposure {
	uint64_t pages;                             /* whose unmap was covered: by the unit, and by each device with a TLB */
	uint64_t sum_ns, max_ns;
	uint64_t log2_ns[IOG_SIM_EXPOSURE_BUCKETS]; /* [0]: 0 ns; [n]: pages that took 2^(n-1) to 2^n - 1 ns; the last: longer ones, too */
	uint64_t late_accesses, late_bytes;         /* that landed although the unmap had returned */
	uint64_t reuses;                            /* pages that changed hands before they were covered, see iog_sim_note_reuse() */
	uint64_t reused_accesses, reused_bytes;     /* that landed on memory which had changed hands since its unmap */
	uint64_t incomplete;                        /* 1: memory ran out, and nothing was measured from then on */
};

/**
 * struct iog_sim_stats - counted since creation, or since the last iog_sim_stats_take().
 */
struct iog_sim_stats {
	uint64_t reads, writes, faults;          /* device accesses, of one page each, and how many faulted */
	uint64_t iotlb_hits, iotlb_misses;       /* one of them per access, and for devices with a TLB per request */
	uint64_t walk_hits[IOG_LEVELS_MAX - 1];  /* the walk started at a cached pointer to a table of this level */
	uint64_t walk_misses;                    /* walks that started at the root */
	uint64_t walk_level_misses[IOG_LEVELS_MAX - 1]; /* walks that found no pointer to a table of this level; index 0: last-level misses, which lead to the leaf tables */
	uint64_t walk_reads;                     /* entries read from memory */
	uint64_t range_commands, range_leaf_only;/* invalidations of a range; how many of them kept the walk caches */
	uint64_t domain_commands, wait_commands;
	uint64_t shared_waits;                   /* callers that were served by a wait of somebody else's */
	uint64_t walk_cache_flushes;             /* commands that dropped walk-cache entries' validity: ranges not leaf-only, and domains */
	uint64_t device_range_commands, device_all_commands; /* invalidations of devices' TLBs: of a range, of all */
	uint64_t ats_hits, ats_misses;           /* accesses of devices with a TLB: what they found there, and did not */
	uint64_t ats_requests;                   /* translations that they asked the unit for: of misses, and ahead; each looks into the IOTLB */
	uint64_t prewalk_reads, prewalk_ns;      /* the part of walk_reads, and of walk_ns, for those asked for ahead */
	uint64_t walk_ns;                        /* walk_reads as time, by config.walk_read_ns */
	uint64_t faults_injected[IOG_SIM_FAULT_KINDS];
	uint64_t timeouts, device_timeouts;      /* deadlines that came: of the queue, of devices */
	uint64_t queue_aborts;                   /* how often hardware threw everything out of the queue */
	uint64_t spurious_completions;           /* that somebody looked at and did not take for its own */
	struct iog_sim_exposure exposure;
	uint64_t violations[IOG_SIM_VIOLATION_KINDS];
	uint64_t violations_total;
	uint64_t unjudged;                       /* accesses of domains that the judge gave up for want of memory; 0 in a run that proves anything */
};

/**
 * iog_sim_create() - a unit with cold caches.
 * @platform: of the tables it will walk; its direct-map offset turns table addresses into pointers.
 * @config: kept by value; NULL for all defaults.
 * @sim: result.
 *
 * Context: any.
 * Return: 0; -IOG_EINVAL; -IOG_ENOMEM.
 */
IOG_API int iog_sim_create(const struct iog_platform *platform, const struct iog_sim_config *config, struct iog_sim **sim);

/**
 * iog_sim_destroy() - free it.
 * @sim: no domain may be left; NULL is allowed.
 *
 * Context: any.
 */
IOG_API void iog_sim_destroy(struct iog_sim *sim);

/**
 * iog_sim_observe() - have table memory report to the judge.
 * @sim: the unit.
 * @platform: a copy of the host's platform, changed so that tables made with it are tracked, poisoned when given back, and zeroed when
 *            taken again. Use it for iog_tablemem_create() instead of the original.
 *
 * With IOG_PGTABLE_NONCOHERENT, it has a cache_clean, whether the host's has one or not.
 *
 * All members of @platform are replaced; those of the host are called through them, with the host's own ctx. Does nothing with IOG_SIM_NO_ORACLE.
 *
 * Context: before @platform is in use, once per unit. @sim outlives whatever is made with @platform.
 */
IOG_API void iog_sim_observe(struct iog_sim *sim, struct iog_platform *platform);

/**
 * iog_sim_domain_create() - make a page table known to the unit.
 * @sim: the unit.
 * @id: domain id, tags cache entries; not in use.
 * @root: from iog_pgtable_root(). The unit decodes the format by its own code, not by the library's.
 * @domain: result.
 *
 * Context: any.
 * Return: 0; -IOG_EBUSY if @id is in use; -IOG_EOPNOTSUPP for an unknown format; -IOG_ENOMEM.
 */
IOG_API int iog_sim_domain_create(struct iog_sim *sim, uint32_t id, const struct iog_pgtable_root *root, struct iog_sim_domain **domain);

/**
 * iog_sim_domain_destroy() - invalidate and forget it.
 * @domain: from iog_sim_domain_create(); NULL is allowed.
 *
 * Context: any.
 */
IOG_API void iog_sim_domain_destroy(struct iog_sim_domain *domain);

/**
 * iog_sim_translate() - one device access, without data.
 * @domain: the device's domain.
 * @iova: address; the access does not cross a 4 KiB boundary.
 * @prot: IOG_PROT_READ, IOG_PROT_WRITE or both.
 * @paddr: where it went. May be NULL.
 *
 * Context: any.
 * Return: 0; -IOG_EFAULT if translation refused it; -IOG_EINVAL if @prot asks for neither or for something else.
 */
IOG_API int iog_sim_translate(struct iog_sim_domain *domain, iog_iova_t iova, uint32_t prot, iog_paddr_t *paddr);

/**
 * iog_sim_dma() - a device reads or writes memory.
 * @domain: the device's domain.
 * @iova: first address, any alignment.
 * @buffer: what it writes, or where what it reads goes. Memory that iogate's platform does not know (paddr outside its arenas) must not be mapped.
 * @size: bytes.
 * @prot: IOG_PROT_READ (memory to @buffer) or IOG_PROT_WRITE (@buffer to memory).
 * @done: bytes moved before a fault. May be NULL.
 *
 * Context: any.
 * Return: 0; -IOG_EFAULT, pages before the faulting one having been moved; -IOG_EINVAL.
 */
IOG_API int iog_sim_dma(struct iog_sim_domain *domain, iog_iova_t iova, void *buffer, size_t size, uint32_t prot, size_t *done);

/**
 * iog_sim_inval_range() - queue: forget leaf translations of [first, last].
 * @domain: the domain.
 * @first: first address.
 * @last: last address, inclusive.
 * @leaf_only: keep the walk caches.
 *
 * This call, iog_sim_inval_domain() and iog_sim_inval_wait() are for one thread at a time where hardware misbehaves: a wait tells of commands that are lost, whoever queued them.
 *
 * Context: any; waits for room in the queue. Takes effect at the next iog_sim_inval_wait() at the latest.
 * Return: 0; -IOG_ETIMEDOUT when the queue stayed full, and all that was in it is lost.
 */
IOG_API int iog_sim_inval_range(struct iog_sim_domain *domain, iog_iova_t first, iog_iova_t last, bool leaf_only);

/**
 * iog_sim_inval_domain() - queue: forget everything of a domain.
 * @domain: the domain.
 *
 * Context: as iog_sim_inval_range().
 * Return: as iog_sim_inval_range().
 */
IOG_API int iog_sim_inval_domain(struct iog_sim_domain *domain);

/**
 * iog_sim_inval_wait() - wait until all that was queued before has taken effect.
 * @sim: the unit.
 *
 * Callers that wait at the same time share: one wait runs at a time, and the next serves all who came before it began.
 *
 * Context: any; waits for hardware.
 * Return: 0; -IOG_ETIMEDOUT when it did not answer before its deadline, or -IOG_EIO when it threw the queue's contents away: commands that were queued have
 *         not taken effect, the queue is empty and works again, and the commands have to be submitted once more.
 */
IOG_API int iog_sim_inval_wait(struct iog_sim *sim);

/**
 * iog_sim_flush() - an iog_flush_fn: one range command per range and run of tables, or a domain command where that is cheaper, then a wait.
 * @gather: what to forget.
 * @ctx: the struct iog_sim_domain.
 *
 * Commands that hardware throws away are submitted again, three times at most.
 *
 * Context: any; waits for hardware.
 * Return: 0; -IOG_ETIMEDOUT when hardware did not answer before its deadline; -IOG_EIO when it kept throwing the commands away.
 */
IOG_API int iog_sim_flush(const struct iog_gather *gather, void *ctx);

/**
 * iog_sim_misbehave() - have hardware do what it should not.
 * @sim: the unit.
 * @kind: what.
 * @after: occasions that pass before.
 * @count: occasions that then go wrong; 0: none any more; UINT64_MAX: all.
 *
 * Replaces what was asked for this kind before. Calls that run into it return as documented, after which the queue is empty and works; nothing that was waiting counts as invalidated.
 *
 * Context: any.
 * Return: 0; -IOG_EINVAL for an unknown @kind.
 */
IOG_API int iog_sim_misbehave(struct iog_sim *sim, enum iog_sim_fault_kind kind, uint64_t after, uint64_t count);

/**
 * iog_sim_note_map() - tell the judge: a map has returned. Until it is told, no access may be expected to land there: one that does is a violation.
 * @domain: the domain.
 * @iova: first address, 4 KiB aligned.
 * @paddr: what it translates to.
 * @size: bytes, a multiple of 4 KiB.
 * @prot: enum iog_prot.
 *
 * Context: any.
 */
IOG_API void iog_sim_note_map(struct iog_sim_domain *domain, iog_iova_t iova, iog_paddr_t paddr, uint64_t size, uint32_t prot);

/**
 * iog_sim_note_unmap() - tell the judge: an unmap is about to begin. Accesses may go either way until an invalidation of the range completes
 * that was submitted later: one that names the range (iog_sim_inval_range(), a range of a gather), or one that covers it by the way (the domain, the span of a
 * table) once the tables in memory do not map it any more. The latter may be another lane's, and come before the unmap has cleared its entries.
 * @domain: the domain.
 * @iova: first address, 4 KiB aligned.
 * @size: bytes, a multiple of 4 KiB.
 *
 * Context: any.
 * Return: a ticket for iog_sim_note_unmapped(); 0 without IOG_SIM_EXPOSURE.
 */
IOG_API uint64_t iog_sim_note_unmap(struct iog_sim_domain *domain, iog_iova_t iova, uint64_t size);

/**
 * iog_sim_note_unmapped() - tell the judge: the unmap has returned. Accesses that still land on its pages are late from now on, and so is the invalidation that is still to come.
 * @sim: the unit.
 * @ticket: from iog_sim_note_unmap(). The address may be somebody else's by now: what counts is this unmap's pages.
 *
 * Context: any.
 */
IOG_API void iog_sim_note_unmapped(struct iog_sim *sim, uint64_t ticket);

/**
 * iog_sim_note_reuse() - tell the judge: this memory now belongs to somebody else. A violation while a device might still reach it.
 * @sim: the unit.
 * @paddr: first address.
 * @size: bytes.
 *
 * To be called when memory is handed out anew, before its new owner uses it: after the old owner's unmap has returned and the memory was given back, before
 * iog_sim_note_map() of the new owner's mappings. With IOG_SIM_EXPOSURE, accesses that land through an unmap noted before this call are on reused memory, page by page.
 *
 * Context: any. Searches the caches.
 */
IOG_API void iog_sim_note_reuse(struct iog_sim *sim, iog_paddr_t paddr, uint64_t size);

/**
 * iog_sim_unit() - the simulated IOMMU as domains and devices see it (<iogate/domain.h>).
 * @sim: the unit. It outlives what is attached to it. Domains that iog_sim_domain_create() is called for must have ids that the library does not give: above domain_ids.
 *
 * Context: any.
 * Return: the same at each call; NULL if there is no memory.
 */
IOG_API struct iog_unit *iog_sim_unit(struct iog_sim *sim);

/**
 * iog_sim_device_translate() - one device access, without data, as the device's domain has it.
 * @sim: the unit.
 * @device: the device's id there. One that was never heard of is blocked.
 * @iova: address; the access does not cross a 4 KiB boundary.
 * @prot: IOG_PROT_READ, IOG_PROT_WRITE or both.
 * @paddr: where it went: untranslated in an identity domain. May be NULL.
 *
 * Context: any.
 * Return: as iog_sim_translate().
 */
IOG_API int iog_sim_device_translate(struct iog_sim *sim, uint32_t device, iog_iova_t iova, uint32_t prot, iog_paddr_t *paddr);

/**
 * iog_sim_device_dma() - a device reads or writes memory. Each page is subject to the domain that the device is in at that moment.
 * @sim: the unit.
 * @device: the device's id there.
 * @iova: first address, any alignment. Untranslated: memory that the platform has.
 * @buffer: as for iog_sim_dma().
 * @size: bytes.
 * @prot: IOG_PROT_READ (memory to @buffer) or IOG_PROT_WRITE (@buffer to memory).
 * @done: bytes moved before a fault. May be NULL.
 *
 * Context: any.
 * Return: as iog_sim_dma().
 */
IOG_API int iog_sim_device_dma(struct iog_sim *sim, uint32_t device, iog_iova_t iova, void *buffer, size_t size, uint32_t prot, size_t *done);

/**
 * iog_sim_device_dma_bypass() - the same with an address that the device says is translated already (IOG_DMA_BYPASS).
 * @sim: the unit.
 * @device: the device's id there.
 * @paddr: first address, memory that the platform has.
 * @buffer: as for iog_sim_dma().
 * @size: bytes.
 * @prot: as for iog_sim_device_dma().
 *
 * Context: any.
 * Return: 0; -IOG_EFAULT unless it was granted this, and is in a domain that is not blocked; -IOG_EINVAL.
 */
IOG_API int iog_sim_device_dma_bypass(struct iog_sim *sim, uint32_t device, iog_paddr_t paddr, void *buffer, size_t size, uint32_t prot);

/**
 * iog_sim_device_bypass() - grant or withdraw the right to untranslated accesses.
 * @sim: the unit.
 * @device: the device's id there.
 * @granted: whether.
 *
 * Context: any.
 * Return: 0; -IOG_ENOMEM.
 */
IOG_API int iog_sim_device_bypass(struct iog_sim *sim, uint32_t device, bool granted);

/**
 * iog_sim_device_ats() - give a device a TLB of its own, or take it away.
 * @sim: the unit.
 * @device: the device's id there.
 * @entries: a power of two; 0: none, and the device is as any other.
 * @ways: a power of two; 0: default 4.
 *
 * Its accesses look there first. A miss is a translation request, which the unit answers through its IOTLB and walk caches; the device keeps the answer until the unit op
 * device_invalidate() tells it to forget, or the device is blocked or put elsewhere. What it had before is forgotten.
 *
 * Context: any.
 * Return: 0; -IOG_EINVAL; -IOG_ENOSPC with 64 such devices; -IOG_ENOMEM.
 */
IOG_API int iog_sim_device_ats(struct iog_sim *sim, uint32_t device, uint32_t entries, uint32_t ways);

/**
 * iog_sim_device_translate_request() - a device asks for translations before its DMA begins.
 * @sim: the unit.
 * @device: the device's id there.
 * @iova: first address.
 * @size: bytes.
 * @prot: what it will do: IOG_PROT_READ, IOG_PROT_WRITE or both.
 *
 * Pages that it has translations of are passed over.
 *
 * Context: any.
 * Return: 0; -IOG_EFAULT at the first page that is refused; -IOG_EOPNOTSUPP for a device without a TLB; -IOG_EINVAL.
 */
IOG_API int iog_sim_device_translate_request(struct iog_sim *sim, uint32_t device, iog_iova_t iova, uint64_t size, uint32_t prot);

/**
 * iog_sim_device_mute() - a device that does not answer invalidations any more, and keeps what it has.
 * @sim: the unit.
 * @device: the device's id there.
 * @mute: whether.
 *
 * Context: any.
 * Return: 0; -IOG_ENOMEM.
 */
IOG_API int iog_sim_device_mute(struct iog_sim *sim, uint32_t device, bool mute);

/**
 * iog_sim_device_domain() - the domain that a device is in, for iog_sim_note_map(), iog_sim_note_unmap() and iog_sim_history().
 * @sim: the unit.
 * @device: the device's id there.
 *
 * The judge knows nothing of what was mapped before the first device of the unit came into the domain, and forgets it when the last one leaves.
 *
 * Context: any. The result is valid until the unit leaves the domain.
 * Return: NULL unless it is in a paging domain.
 */
IOG_API struct iog_sim_domain *iog_sim_device_domain(struct iog_sim *sim, uint32_t device);

/**
 * iog_sim_stats() - counters.
 * @sim: the unit.
 * @stats: result.
 *
 * Context: any.
 */
IOG_API void iog_sim_stats(struct iog_sim *sim, struct iog_sim_stats *stats);

/**
 * iog_sim_stats_take() - counters since the last call of it, or since creation.
 * @sim: the unit.
 * @stats: result; exposure.max_ns is the longest of that time.
 *
 * iog_sim_stats() goes on counting from creation.
 *
 * Context: any.
 */
IOG_API void iog_sim_stats_take(struct iog_sim *sim, struct iog_sim_stats *stats);

/**
 * iog_sim_history() - print what is known of an address: its last events, newest last.
 * @domain: the domain.
 * @iova: the address.
 * @stream: where to.
 *
 * Context: any; the only call that may be made from a violation callback.
 */
IOG_API void iog_sim_history(struct iog_sim_domain *domain, iog_iova_t iova, FILE *stream);

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Driver of Intel VT-d remapping hardware (Virtualization Technology for Directed I/O, architecture specification 4.x; sections cited as "VT-d n.n").
 *
 * Legacy mode translates by the second stage (iog_vtdss_*). Scalable mode does so, too, or by the first stage (iog_x86_64_*), as the unit and each domain's page table have it; requests without
 * PASID are translated, those with one refused.
 *
 * In the order of a machine's life: create; the host's domains and devices, with iog_vtd_unit() as their unit; enable; run; disable (shutdown, suspend) and perhaps enable again; destroy.
 * From enable on every access of a device that is in no domain is refused, and recorded as a fault. So memory that firmware has reserved for a device (RMRR) must be mapped 1:1 in a domain
 * that the device is in before that: iog_dma_reserve() keeps addresses out of the allocator's way, and iog_pgtable_map() on iog_domain_pgtable() maps them.
 *
 * Interrupts are remapped where the configuration asks for it: each message that a device may send has an entry in a table, is blocked until that is given a route, and let through for that device
 * only; messages that do not name an entry are blocked. Without, where a previous owner of the unit has left remapping of interrupts on, enabling turns it off, because its table lies in memory
 * that is no longer its own.
 */
#ifndef IOGATE_HW_VTD_H
#define IOGATE_HW_VTD_H

#include <stdbool.h>

#include <iogate/fault.h>
#include <iogate/types.h>
#include <iogate/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iog_platform;
struct iog_unit;
struct iog_vtd;

/* Devices are (segment << 16) | bus << 8 | device << 3 | function. */
#define IOG_VTD_DEVICE(segment, bus, device, function) ((uint32_t)(((uint32_t)(segment) << 16) | ((uint32_t)(bus) << 8) | ((uint32_t)(device) << 3) | (uint32_t)(function)))

enum iog_vtd_flags {
	/* Scalable mode. The unit must have it: iog_vtd_create() fails otherwise. */
	IOG_VTD_SCALABLE = 1 << 0,
	/* Invalidate by registers although the unit has a queue: one command at a time, no device TLBs; legacy mode only. Units without a queue are driven so in any case. */
	IOG_VTD_NO_QUEUE = 1 << 1,
	/* Destinations of interrupts have 32 bits. The unit must have it, and the CPUs be in that mode. */
	IOG_VTD_X2APIC = 1 << 2,
};

/**
 * struct iog_vtd_config - zero means default.
 */
struct iog_vtd_config {
	/* Mandatory: the host, with a clock (now_ns), and the unit's registers as its MMIO accessors name them. */
	const struct iog_platform *platform;
	uintptr_t registers;
	/* PCI segment of the unit's devices. */
	uint32_t segment;
	/* enum iog_vtd_flags. */
	uint32_t flags;
	/* Physical address bits of the machine (DMAR table, host address width plus one). Default: not compared. */
	uint32_t oas;
	/* Bytes of the invalidation queue, a power of two, 4096 to 524288. Default 8192: 512 commands in legacy mode, 256 in scalable mode. */
	uint32_t queue_bytes;
	/* How long the unit may take to answer, ms. Default 1000. */
	uint32_t timeout_ms;
	/* Commands for ranges in one invalidation; more become one of the domain. 1 to 64, default 32. */
	uint32_t commands_max;
	/* Entries of the interrupt remapping table, a power of two, 256 to 65536. 0: interrupts are not remapped. Wants a queue. */
	uint32_t interrupts;
	/* Fault event interrupt (VT-d 11.4.7 to 11.4.9): message address and data. Both 0: no interrupt; the host calls iog_vtd_interrupt() now and then. */
	uint64_t msi_address;
	uint32_t msi_data;
	struct iog_fault_config faults;
};

/**
 * struct iog_vtd_info - what the unit is, from its capability registers.
 */
struct iog_vtd_info {
	uint32_t version;      /* major << 4 | minor */
	uint64_t capability;   /* CAP_REG */
	uint64_t extended;     /* ECAP_REG */
	uint32_t mgaw;         /* address bits that it lets through: addresses of a domain end there, however wide its page table is (struct iog_domain_config, last) */
	uint32_t ias_allowed_second; /* input address bits of second-stage page tables: bit 0: 39, bit 1: 48, bit 2: 57. 0: not in this mode */
	uint32_t ias_allowed_first;  /* the same of first-stage ones: bit 1: 48, bit 2: 57 */
	uint64_t page_sizes_second;  /* leaf sizes that page tables may use (struct iog_pgtable_config, page_sizes) */
	uint64_t page_sizes_first;
	bool snoop_control;    /* if not, page tables need IOG_PGTABLE_NO_SNOOP_CONTROL */
	bool caching_mode;     /* page tables need IOG_PGTABLE_FLUSH_ON_MAP */
	bool coherent;         /* if not, page tables need IOG_PGTABLE_NONCOHERENT */
	bool queue;            /* commands go through the invalidation queue */
	bool device_tlbs;      /* it can be asked for translations (ATS) */
	bool interrupts;       /* it can remap them */
	bool x2apic;           /* and to destinations of 32 bits */
	bool was_enabled;      /* a previous owner had left translation on when it was first enabled */
};

/**
 * struct iog_vtd_stats - exact when no call is running.
 */
struct iog_vtd_stats {
	uint64_t mmio_reads, mmio_writes;
	uint64_t context_commands, pasid_commands;  /* by kind; what is done by registers counts, too */
	uint64_t page_commands;                     /* IOTLB, ranges */
	uint64_t domain_commands;                   /* IOTLB, domains and everything */
	uint64_t device_commands;                   /* device TLBs */
	uint64_t interrupt_commands;                /* interrupt entries */
	uint64_t waits;                             /* wait commands */
	uint64_t shared;                            /* callers that a wait of others served */
	uint64_t errors;                            /* times that the queue reported an error and was set going again */
	uint64_t timeouts;                          /* callers that were not answered in time */
	struct iog_fault_counts faults;
};

/**
 * iog_vtd_create() - a driver for one unit. Nothing of the unit is changed.
 * @config: kept by value.
 * @vtd: result; unchanged on error.
 *
 * Context: any; allocates; reads registers.
 * Return: 0; -IOG_EINVAL for a malformed @config, or a @platform without a clock; -IOG_EIO if nothing answers at @config->registers, or its capabilities make no sense; -IOG_EOPNOTSUPP if
 *         the unit has not what @config->flags want, or no format that iogate has, or does not snoop, and @platform has no cache_clean(); -IOG_ENOMEM.
 */
IOG_API int iog_vtd_create(const struct iog_vtd_config *config, struct iog_vtd **vtd);

/**
 * iog_vtd_destroy() - give everything back.
 * @vtd: not enabled, without domains and devices; NULL is allowed.
 *
 * Context: any; no other call on it running.
 * Return: 0; -IOG_EBUSY, with nothing done, while it is enabled or something is behind it.
 */
IOG_API int iog_vtd_destroy(struct iog_vtd *vtd);

/**
 * iog_vtd_unit() - what domains and devices are made with.
 * @vtd: the driver.
 *
 * Context: any.
 */
IOG_API struct iog_unit *iog_vtd_unit(struct iog_vtd *vtd);

/**
 * iog_vtd_info() - what the unit is.
 * @vtd: the driver.
 * @info: result.
 *
 * Context: any.
 */
IOG_API void iog_vtd_info(const struct iog_vtd *vtd, struct iog_vtd_info *info);

/**
 * iog_vtd_enable() - from now on the unit translates by this driver's tables.
 * @vtd: the driver; nothing is done if it is enabled.
 *
 * A unit on which somebody has left translation on is taken over without a moment in which devices are not translated: the new tables replace the old ones while it is on. Only where it was
 * in another mode (legacy, scalable) translation is off for a few register accesses, which the architecture asks for. What hardware remembers of before is dropped, what was left in
 * the invalidation queue is waited for, and old faults are dropped, too. Protected memory regions, which firmware uses to keep devices out before that, are turned off at the end.
 *
 * Context: no other call on it running; waits for hardware.
 * Return: 0; -IOG_ETIMEDOUT or -IOG_EIO if the unit does not do what it is told: how far it came is not known. Call it again, or iog_vtd_disable().
 */
IOG_API int iog_vtd_enable(struct iog_vtd *vtd);

/**
 * iog_vtd_disable() - the unit no longer translates: devices reach all of memory.
 * @vtd: the driver; nothing is done if it is not enabled. Domains and devices stay, and are in force again after iog_vtd_enable().
 *
 * For shutdown, after devices have been told to be quiet and are no bus masters any more, and for suspend; after a resume, iog_vtd_enable() sets everything up again.
 *
 * Context: no other call on it running; waits for hardware.
 * Return: 0; -IOG_ETIMEDOUT or -IOG_EIO if the unit does not answer: what is on and off is then not known, and nothing may be given back. Call it again.
 */
IOG_API int iog_vtd_disable(struct iog_vtd *vtd);

/**
 * iog_vtd_device_ats() - let a device ask for translations, and keep them.
 * @vtd: the driver.
 * @device: as in struct iog_device_config; not attached.
 * @depth: invalidations that it takes at a time: the ATS capability's queue depth, 1 to 32. 0: it may not any more.
 *
 * To be called, with ATS enabled in the device afterwards, before iog_device_create() with IOG_DEVICE_ATS. Without it, requests for translations and translated requests are refused.
 *
 * Context: not one that interrupts another call; may allocate.
 * Return: 0; -IOG_EINVAL; -IOG_ERANGE for a device of another segment; -IOG_EOPNOTSUPP if the unit has no support for device TLBs, or no queue; -IOG_ENOMEM.
 */
IOG_API int iog_vtd_device_ats(struct iog_vtd *vtd, uint32_t device, uint32_t depth);

enum iog_vtd_route_flags {
	IOG_VTD_ROUTE_LOGICAL = 1 << 0,  /* the destination is a logical one */
	IOG_VTD_ROUTE_REDIRECT = 1 << 1, /* to one of several: redirection hint */
	IOG_VTD_ROUTE_LEVEL = 1 << 2,    /* level-triggered */
};

/**
 * struct iog_vtd_route - where an interrupt goes.
 */
struct iog_vtd_route {
	uint32_t vector;      /* 16 to 254 */
	uint32_t destination; /* APIC id: 8 bits, or 32 with IOG_VTD_X2APIC */
	uint32_t delivery;    /* 0 fixed, 1 lowest priority, 2 SMI, 4 NMI, 5 INIT, 7 ExtINT */
	uint32_t flags;       /* enum iog_vtd_route_flags */
};

/**
 * iog_vtd_interrupt_alloc() - entries for messages of a device; blocked.
 * @vtd: the driver, enabled or not.
 * @device: which may send them; for an IO-APIC or HPET, the id that firmware's scope gives it.
 * @count: 1, 2, 4, ... 32, side by side: for a device that numbers its messages by the low bits of their data.
 * @index: result: the first.
 *
 * Context: any.
 * Return: 0; -IOG_EINVAL; -IOG_ERANGE for a device of another segment; -IOG_ENOSPC; -IOG_EOPNOTSUPP if the driver was created without.
 */
IOG_API int iog_vtd_interrupt_alloc(struct iog_vtd *vtd, uint32_t device, uint32_t count, uint32_t *index);

/**
 * iog_vtd_interrupt_route() - let an interrupt through, or send it elsewhere, or block it.
 * @vtd: the driver.
 * @index: the entry.
 * @route: where to; NULL: blocked.
 *
 * When it returns, no interrupt goes the former way any more.
 *
 * Context: any, one call per @index at a time; waits for hardware.
 * Return: 0; -IOG_EINVAL for a malformed @route; -IOG_ERANGE, -IOG_ENOENT for an entry that is not there or not taken; -IOG_EOPNOTSUPP; -IOG_ETIMEDOUT or -IOG_EIO: the entry says the new, and
 *         hardware may remember the old.
 */
IOG_API int iog_vtd_interrupt_route(struct iog_vtd *vtd, uint32_t index, const struct iog_vtd_route *route);

/**
 * iog_vtd_interrupt_free() - give entries back; they block.
 * @vtd: the driver.
 * @index: of iog_vtd_interrupt_alloc().
 * @count: the same as there.
 *
 * Context: as iog_vtd_interrupt_route().
 * Return: as iog_vtd_interrupt_route(). After -IOG_ETIMEDOUT or -IOG_EIO they are blocked as far as the table goes, and still taken.
 */
IOG_API int iog_vtd_interrupt_free(struct iog_vtd *vtd, uint32_t index, uint32_t count);

/* Who may raise an interrupt (VT-d 9.10, SVT and SQ). */
enum iog_vtd_verify {
	IOG_VTD_VERIFY_NOTHING = 0, /* anybody */
	IOG_VTD_VERIFY_ID,          /* requester ids that are @source, but for bits in @ignored */
	IOG_VTD_VERIFY_BUS,         /* those on buses [@source >> 8, @source & 0xff] */
};

/**
 * struct iog_vtd_interrupt - an entry of an interrupt remapping table, of this driver or another's.
 */
struct iog_vtd_interrupt {
	bool present;
	bool silent; /* faults of it are not recorded */
	bool posted; /* not sent, but noted in a descriptor, for a virtual CPU */
	bool urgent; /* posted: the virtual CPU's own CPU is told at once */
	enum iog_vtd_verify verify;
	uint32_t source;
	uint32_t ignored;
	struct iog_vtd_route route; /* posted: of this the vector, any from 0 to 255, in the virtual CPU's numbering */
	uint64_t descriptor; /* posted: physical address of the descriptor */
};

/**
 * iog_vtd_interrupt_decode() - what an entry says (VT-d 9.10, 9.11), remapped or posted.
 * @words: the entry, as it is in memory.
 * @x2apic: the table is read with destinations of 32 bits (IRTA_REG, EIME).
 * @interrupt: result; zeroed but for @present where the entry is not present. Unchanged on error.
 *
 * For tables that somebody else has made, too: a previous kernel's, or one in a dump.
 *
 * Context: any.
 * Return: 0; -IOG_EINVAL for an entry that is present and has bits in reserved fields, or an undefined kind of verification or delivery: hardware blocks its interrupts.
 */
IOG_API int iog_vtd_interrupt_decode(const uint64_t words[2], bool x2apic, struct iog_vtd_interrupt *interrupt);

/**
 * iog_vtd_interrupt_read() - what an entry of the driver's table says.
 * @vtd: the driver.
 * @index: the entry, taken or not.
 * @interrupt: result; unchanged on error.
 *
 * Context: any.
 * Return: 0; -IOG_ERANGE; -IOG_EOPNOTSUPP if the driver was created without.
 */
IOG_API int iog_vtd_interrupt_read(struct iog_vtd *vtd, uint32_t index, struct iog_vtd_interrupt *interrupt);

/**
 * iog_vtd_interrupt_message() - what a device has to be told to send.
 * @index: the entry.
 * @address: result: message address.
 * @data: result: message data; a device with several messages adds to its low bits.
 *
 * Context: any.
 */
IOG_API void iog_vtd_interrupt_message(uint32_t index, uint64_t *address, uint32_t *data);

/**
 * iog_vtd_interrupt() - take fault records from the unit, and look for errors of the queue.
 * @vtd: the driver. From its fault event interrupt, or now and then.
 *
 * Context: any; does not wait. One caller works; others return at once.
 * Return: records taken, at most 64: when it is that many there may be more.
 */
IOG_API uint32_t iog_vtd_interrupt(struct iog_vtd *vtd);

/**
 * iog_vtd_stats() - counts.
 * @vtd: the driver.
 * @stats: result.
 *
 * Context: any.
 */
IOG_API void iog_vtd_stats(const struct iog_vtd *vtd, struct iog_vtd_stats *stats);

/**
 * iog_vtd_device_faults() - faults of one device.
 * @vtd: the driver.
 * @device: the device.
 * @counts: result. Devices that came too late for an account of their own (struct iog_fault_config, devices) share one.
 *
 * Context: any.
 */
IOG_API void iog_vtd_device_faults(const struct iog_vtd *vtd, uint32_t device, struct iog_fault_counts *counts);

#ifdef __cplusplus
}
#endif

#endif

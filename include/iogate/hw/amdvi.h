/* SPDX-License-Identifier: MIT */
/*
 * Driver of AMD-Vi, AMD's I/O virtualization technology (AMD I/O Virtualization Technology Specification 3.08; sections cited as "AMD IOMMU n.n").
 *
 * A domain's page table is a host table (iog_amdv1_*) or, where the unit translates by guest tables for requests without PASID, a guest table (iog_x86_64_*): of the latter it translates canonical addresses only, so
 * that a domain's addresses end at the middle of its page table (struct iog_domain_config, last). Requests with PASID are refused.
 *
 * In the order of a machine's life: create; the host's domains and devices, with iog_amdvi_unit() as their unit; enable; run; disable (shutdown, suspend) and perhaps enable again; destroy.
 * From enable on every access of a device that is in no domain is refused, and recorded as an event. So memory that firmware has reserved for a device (IVMD) must be mapped 1:1 in a domain
 * that the device is in before that: iog_dma_reserve() keeps addresses out of the allocator's way, and iog_pgtable_map() on iog_domain_pgtable() maps them.
 *
 * Interrupts are remapped where the configuration asks for it: each message that a device may send has an entry in that device's table, and is blocked until the entry is given a route; a device without
 * entries raises none. I/O APICs and HPETs are devices, too, by the numbers that the IVRS table gives them (IOG_DEVICES_IOAPIC, IOG_DEVICES_HPET). Without it, interrupts pass as they are.
 */
#ifndef IOGATE_HW_AMDVI_H
#define IOGATE_HW_AMDVI_H

#include <stdbool.h>

#include <iogate/fault.h>
#include <iogate/types.h>
#include <iogate/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iog_amdvi;
struct iog_platform;
struct iog_unit;

/* Devices are (segment << 16) | bus << 8 | device << 3 | function. */
#define IOG_AMDVI_DEVICE(segment, bus, device, function) ((uint32_t)(((uint32_t)(segment) << 16) | ((uint32_t)(bus) << 8) | ((uint32_t)(device) << 3) | (uint32_t)(function)))

enum iog_amdvi_flags {
	/* Let the unit interrupt when it has logged an event. The host has set up its function's MSI. Without it, the host calls iog_amdvi_interrupt() now and then. */
	IOG_AMDVI_INTERRUPT = 1 << 0,
	/* Destinations of interrupts have 32 bits. The unit must have it (XTSup, GASup), and the CPUs be in that mode. */
	IOG_AMDVI_X2APIC = 1 << 1,
};

/**
 * struct iog_amdvi_config - zero means default.
 */
struct iog_amdvi_config {
	/* Mandatory: the host, with a clock (now_ns), and the unit's registers as its MMIO accessors name them. */
	const struct iog_platform *platform;
	uintptr_t registers;
	/* Mandatory: the first word of the unit's capability block in its function's configuration space (struct iog_found_unit, bdf and capability). */
	uint32_t capability;
	/* Flags of the unit's IVHD block (struct iog_found_unit, attributes): what its links want. */
	uint32_t ivhd_flags;
	/* PCI segment of the unit's devices. */
	uint32_t segment;
	/* enum iog_amdvi_flags. */
	uint32_t flags;
	/* The highest device number that may come (IVHD entries), bus << 8 | devfn; the device table ends there, and the unit refuses others. Default 0xffff: a table of 2 MiB. */
	uint32_t last_device;
	/* Domain ids that may be used, up to 65534. Default 65534. */
	uint32_t domain_ids;
	/* Physical address bits of the machine (IVinfo, PASize). Default: not compared. */
	uint32_t oas;
	/* Commands that the buffer holds, and events that the log holds, powers of two, 256 to 32768. Default 512. */
	uint32_t commands;
	uint32_t events;
	/* Entries of each device's interrupt table, a power of two, 32 to 512. 0: interrupts are not remapped. */
	uint32_t interrupts;
	/* How long the unit may take to answer, ms. Default 1000. */
	uint32_t timeout_ms;
	/* Commands for ranges in one invalidation; more become one of the domain. 1 to 64, default 32. */
	uint32_t commands_max;
	struct iog_fault_config faults;
};

/**
 * struct iog_amdvi_info - what the unit is.
 */
struct iog_amdvi_info {
	uint64_t features;	    /* Extended Feature Register; 0 where there is none */
	uint32_t levels_host;	    /* of iog_amdv1_* page tables, at most */
	uint32_t ias_allowed_guest; /* input address bits of iog_x86_64_* page tables: bit 1: 48, bit 2: 57; 0: it does not translate by them */
	bool np_cache;		    /* page tables need IOG_PGTABLE_FLUSH_ON_MAP */
	bool device_tlbs;	    /* it can be asked for translations (ATS) */
	bool x2apic;		    /* it can remap interrupts to destinations of 32 bits */
	bool was_enabled;	    /* a previous owner had left it on when it was first enabled */
};

/**
 * struct iog_amdvi_stats - exact when no call is running.
 */
struct iog_amdvi_stats {
	uint64_t mmio_reads, mmio_writes;
	uint64_t devtab_commands; /* by kind */
	uint64_t page_commands;	  /* of ranges */
	uint64_t domain_commands; /* of domains and everything */
	uint64_t device_commands; /* device TLBs */
	uint64_t interrupt_commands; /* interrupt tables */
	uint64_t waits;		  /* COMPLETION_WAIT */
	uint64_t shared;	  /* callers that a wait of others served */
	uint64_t errors;	  /* times that the command buffer had stopped and was set going again */
	uint64_t timeouts;	  /* callers that were not answered in time */
	struct iog_fault_counts faults;
};

/**
 * iog_amdvi_create() - a driver for one unit. Nothing of the unit is changed.
 * @config: kept by value.
 * @amdvi: result; unchanged on error.
 *
 * Context: any; allocates; reads registers.
 * Return: 0; -IOG_EINVAL for a malformed @config, or a @platform without a clock; -IOG_EIO if nothing answers at @config->registers; -IOG_EOPNOTSUPP if the unit has not what @config->flags want; -IOG_ENOMEM.
 */
IOG_API int iog_amdvi_create(const struct iog_amdvi_config *config, struct iog_amdvi **amdvi);

/**
 * iog_amdvi_destroy() - give everything back.
 * @amdvi: not enabled, without domains and devices; NULL is allowed.
 *
 * Context: any; no other call on it running.
 * Return: 0; -IOG_EBUSY, with nothing done, while it is enabled or something is behind it.
 */
IOG_API int iog_amdvi_destroy(struct iog_amdvi *amdvi);

/**
 * iog_amdvi_unit() - what domains and devices are made with.
 * @amdvi: the driver.
 *
 * Context: any.
 */
IOG_API struct iog_unit *iog_amdvi_unit(struct iog_amdvi *amdvi);

/**
 * iog_amdvi_info() - what the unit is.
 * @amdvi: the driver.
 * @info: result.
 *
 * Context: any.
 */
IOG_API void iog_amdvi_info(const struct iog_amdvi *amdvi, struct iog_amdvi_info *info);

/**
 * iog_amdvi_enable() - from now on the unit translates by this driver's tables.
 * @amdvi: the driver; nothing is done if it is enabled.
 *
 * A unit which somebody has left on is taken over without a moment in which devices are not translated: its command buffer and logs are stopped, and the new device table replaces the old one while it is on. Only where
 * the old one was segmented translation is off for a few register accesses. What hardware remembers of before is dropped; old events are dropped, too, and an exclusion range is turned off.
 *
 * Context: no other call on it running; waits for hardware.
 * Return: 0; -IOG_ETIMEDOUT or -IOG_EIO if the unit does not do what it is told: how far it came is not known. Call it again, or iog_amdvi_disable().
 */
IOG_API int iog_amdvi_enable(struct iog_amdvi *amdvi);

/**
 * iog_amdvi_disable() - the unit no longer translates: devices reach all of memory.
 * @amdvi: the driver; nothing is done if it is not enabled. Domains and devices stay, and are in force again after iog_amdvi_enable().
 *
 * For shutdown, after devices have been told to be quiet and are no bus masters any more, and for suspend; after a resume, iog_amdvi_enable() sets everything up again.
 *
 * Context: no other call on it running; waits for hardware.
 * Return: 0; -IOG_ETIMEDOUT or -IOG_EIO if the unit does not answer: what is on and off is then not known, and nothing may be given back. Call it again.
 */
IOG_API int iog_amdvi_disable(struct iog_amdvi *amdvi);

/**
 * iog_amdvi_device_ats() - let a device ask for translations, and keep them.
 * @amdvi: the driver.
 * @device: as in struct iog_device_config; not attached.
 * @depth: invalidations that it takes at a time: the ATS capability's queue depth, 1 to 32. 0: it may not any more.
 *
 * To be called, with ATS enabled in the device afterwards, before iog_device_create() with IOG_DEVICE_ATS. Without it, requests for translations and translated requests are refused.
 *
 * Context: not one that interrupts another call.
 * Return: 0; -IOG_EINVAL; -IOG_ERANGE for a device that the unit does not serve; -IOG_EOPNOTSUPP if the unit has no support for device TLBs.
 */
IOG_API int iog_amdvi_device_ats(struct iog_amdvi *amdvi, uint32_t device, uint32_t depth);

/**
 * iog_amdvi_device_settings() - what the IVHD says of a device's system messages and interrupts.
 * @amdvi: the driver.
 * @device: as in struct iog_device_config; not attached.
 * @settings: DTE Setting byte (struct iog_location, settings): INITPass, EIntPass, NMIPass, SysMgt, Lint0Pass, Lint1Pass. Default 0: they are refused.
 *
 * Context: not one that interrupts another call.
 * Return: 0; -IOG_EINVAL for reserved bits; -IOG_ERANGE for a device that the unit does not serve.
 */
IOG_API int iog_amdvi_device_settings(struct iog_amdvi *amdvi, uint32_t device, uint8_t settings);

enum iog_amdvi_route_flags {
	IOG_AMDVI_ROUTE_LOGICAL = 1 << 0, /* the destination is a logical one (DM) */
	IOG_AMDVI_ROUTE_EOI = 1 << 1,     /* an end of interrupt is asked for (RqEoi) */
};

/**
 * struct iog_amdvi_route - where an interrupt goes.
 */
struct iog_amdvi_route {
	uint32_t vector;      /* 16 to 254 */
	uint32_t destination; /* APIC id: 8 bits, or 32 with IOG_AMDVI_X2APIC */
	uint32_t delivery;    /* 0 fixed, 1 arbitrated (lowest priority): entries have no others */
	uint32_t flags;	      /* enum iog_amdvi_route_flags */
};

/**
 * iog_amdvi_interrupt_alloc() - entries for messages of a device; blocked.
 * @amdvi: the driver, enabled or not.
 * @device: which may send them: the requester id of its messages; for an I/O APIC or HPET, the number that the IVRS table gives it.
 * @count: 1, 2, 4, ... 32, side by side: for a device that numbers its messages by the low bits of their data.
 * @index: result: the first, in the device's table.
 *
 * A device's first entry brings its table, which stays until the driver goes.
 *
 * Context: any, but for one that interrupts another call of the driver the first time for a @device, which allocates and waits for hardware.
 * Return: 0; -IOG_EINVAL; -IOG_ERANGE for a device that the unit does not serve; -IOG_ENOSPC; -IOG_ENOMEM; -IOG_EOPNOTSUPP if the driver was created without; -IOG_ETIMEDOUT or -IOG_EIO, with
 *         nothing taken, if the unit does not say that it knows of the table.
 */
IOG_API int iog_amdvi_interrupt_alloc(struct iog_amdvi *amdvi, uint32_t device, uint32_t count, uint32_t *index);

/**
 * iog_amdvi_interrupt_route() - let an interrupt through, or send it elsewhere, or block it.
 * @amdvi: the driver.
 * @device: the entry's.
 * @index: the entry.
 * @route: where to; NULL: blocked.
 *
 * When it returns, no interrupt goes the former way any more. With IOG_AMDVI_X2APIC on a machine that cannot store 128 bits at once, the entry blocks for a moment between two routes.
 *
 * Context: any, one call per entry at a time; waits for hardware.
 * Return: 0; -IOG_EINVAL for a malformed @route; -IOG_ERANGE, -IOG_ENOENT for an entry that is not there or not taken; -IOG_EOPNOTSUPP; -IOG_ETIMEDOUT or -IOG_EIO: the entry says the new, or blocks, and
 *         hardware may remember the old. Call it again.
 */
IOG_API int iog_amdvi_interrupt_route(struct iog_amdvi *amdvi, uint32_t device, uint32_t index, const struct iog_amdvi_route *route);

/**
 * iog_amdvi_interrupt_free() - give entries back; they block.
 * @amdvi: the driver.
 * @device: theirs.
 * @index: of iog_amdvi_interrupt_alloc().
 * @count: the same as there.
 *
 * Context: as iog_amdvi_interrupt_route().
 * Return: as iog_amdvi_interrupt_route(). After -IOG_ETIMEDOUT or -IOG_EIO they are blocked as far as the table goes, and still taken.
 */
IOG_API int iog_amdvi_interrupt_free(struct iog_amdvi *amdvi, uint32_t device, uint32_t index, uint32_t count);

/**
 * struct iog_amdvi_interrupt - an entry of an interrupt table, of this driver or another's.
 */
struct iog_amdvi_interrupt {
	bool enabled;
	bool silent; /* faults of it are not recorded (SupIOPF) */
	bool guest;  /* not sent, but noted for a virtual CPU (GuestMode); only entries of 128 bits */
	bool running; /* guest: the virtual CPU is on the CPU @route.destination, which is told (IsRun) */
	bool logged; /* guest: otherwise it is logged (GALogIntr) */
	struct iog_amdvi_route route; /* guest: of this vector, any from 0 to 255, in the virtual CPU's numbering, and destination */
	uint64_t apic; /* guest: physical address of the virtual CPU's APIC page */
	uint32_t tag;  /* guest: of the log */
};

/**
 * iog_amdvi_interrupt_decode() - what an entry says (AMD IOMMU 2.2.5.2, 2.2.5.3), remapped or for a guest.
 * @words: the entry, as it is in memory; one of 32 bits in the low bits of the first.
 * @wide: it has 128 bits (the control register's GAEn).
 * @interrupt: result; zeroed but for @enabled where the entry is not. Unchanged on error.
 *
 * For tables that somebody else has made, too: a previous kernel's, or one in a dump.
 *
 * Context: any.
 * Return: 0; -IOG_EINVAL for an entry that is enabled and has bits in reserved fields, or an undefined kind of interrupt: hardware blocks its interrupts.
 */
IOG_API int iog_amdvi_interrupt_decode(const uint64_t words[2], bool wide, struct iog_amdvi_interrupt *interrupt);

/**
 * iog_amdvi_interrupt_read() - what an entry of the driver's tables says.
 * @amdvi: the driver.
 * @device: the entry's.
 * @index: the entry, taken or not.
 * @interrupt: result; unchanged on error.
 *
 * Context: any.
 * Return: 0, also for a device without a table, whose entries are not enabled; -IOG_ERANGE; -IOG_EOPNOTSUPP if the driver was created without.
 */
IOG_API int iog_amdvi_interrupt_read(struct iog_amdvi *amdvi, uint32_t device, uint32_t index, struct iog_amdvi_interrupt *interrupt);

/**
 * iog_amdvi_interrupt_message() - what a device has to be told to send.
 * @index: the entry.
 * @address: result: message address.
 * @data: result: message data; a device with several messages adds to its low bits. An I/O APIC's redirection entry has the low eight bits as vector, and the next three as delivery mode.
 *
 * Context: any.
 */
IOG_API void iog_amdvi_interrupt_message(uint32_t index, uint64_t *address, uint32_t *data);

/**
 * iog_amdvi_interrupt() - take events from the log, and look for a command buffer that has stopped.
 * @amdvi: the driver. From its interrupt, or now and then.
 *
 * Context: any; does not wait. One caller works; others return at once.
 * Return: events taken, at most 64: when it is that many there may be more.
 */
IOG_API uint32_t iog_amdvi_interrupt(struct iog_amdvi *amdvi);

/**
 * iog_amdvi_stats() - counts.
 * @amdvi: the driver.
 * @stats: result.
 *
 * Context: any.
 */
IOG_API void iog_amdvi_stats(const struct iog_amdvi *amdvi, struct iog_amdvi_stats *stats);

/**
 * iog_amdvi_device_faults() - faults of one device.
 * @amdvi: the driver.
 * @device: the device.
 * @counts: result. Devices that came too late for an account of their own (struct iog_fault_config, devices) share one.
 *
 * Context: any.
 */
IOG_API void iog_amdvi_device_faults(const struct iog_amdvi *amdvi, uint32_t device, struct iog_fault_counts *counts);

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: MIT */
/*
 * RISC-V IOMMU (RISC-V IOMMU Architecture Specification, version 1.0, and its extensions for non-leaf and range invalidation), whether its registers
 * are found by a device tree or are BAR 0 of a PCI function.
 *
 * Devices are named by device_id: for PCI segment << 16 | BDF as far as the directory reaches. Page tables are riscv (first stage, Sv39 to Sv57) or
 * riscv_x4 (second stage); a paging domain is of the stage that its format is of, for requests without process_id. First-stage addresses that are not
 * sign-extended (IOG_PGTABLE_SIGN_EXTENDED) end at half of what the page table has: the upper half is hardware's only with its upper bits set (struct
 * iog_domain_config, last). Page tables should not have 64 KiB leaves unless the unit is known to have Svnapot.
 *
 * Replacing what a device is subject to is without a hole: where the contexts before and after differ in one word of those that hardware looks at, it
 * is stored by itself; otherwise the page of the directory is copied with the new context in it, and the one word that points to it is stored. What
 * remains is a unit that walks directories of one level only: there a device that goes from one domain to another is refused for a moment on the way.
 *
 * Messages of devices (MSIs) are writes to pages that belong to interrupt files. Where the configuration asks for it, a window of addresses stands for such pages, and each device has an MSI page table that says
 * where a write to a page of the window goes: nowhere, until it has been given a route. The window is of addresses behind the first stage, before the second: a first-stage domain maps what its devices send to
 * onto the window, for reading and writing; in others the window is not to be used for anything else (iog_dma_reserve()). What lies outside of it, the pages of the real files included, is subject to page
 * tables as all memory is: devices that are not translated reach those, unless the window lies over them.
 */
#ifndef IOGATE_HW_RISCV_H
#define IOGATE_HW_RISCV_H

#include <stdbool.h>

#include <iogate/fault.h>
#include <iogate/unit.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iog_riscv;

enum iog_riscv_flags {
	/* The unit does not snoop the CPU's caches, which it cannot tell. */
	IOG_RISCV_NONCOHERENT = 1 << 0,
	/* When the unit is disabled, all accesses are refused. Without it they are as they were before it was enabled, if they were not translated then. */
	IOG_RISCV_REFUSE_WHEN_OFF = 1 << 1,
};

/**
 * struct iog_riscv_config - zero means default.
 */
struct iog_riscv_config {
	/* Mandatory: the host, with a clock (now_ns), and the unit's registers as its MMIO accessors name them. */
	const struct iog_platform *platform;
	uintptr_t registers;
	/* enum iog_riscv_flags. */
	uint32_t flags;
	/* Device ids have at most so many bits, 1 to 24: the directory gets the levels that this takes, but two at the least where the unit walks as many. Default 16. */
	uint32_t device_bits;
	/* Queue sizes, log2 of entries, 2 to 15. Default: 8 commands, 7 faults. */
	uint32_t command_log2;
	uint32_t fault_log2;
	/* How long the unit may take for one wait, and a device that is told to forget what it was translated (ATS), ms. Default 1000, and 10000. */
	uint32_t timeout_ms;
	uint32_t device_timeout_ms;
	/* Commands that one invalidation may consist of before the whole domain is forgotten instead, 1 to 64. Default 64. */
	uint32_t commands_max;
	/* Interrupt files that the window stands for, a power of two, up to 4096. 0: there is no window. Wants a unit with MSI page tables. */
	uint32_t interrupts;
	/* Where the window is: the address of its first page; and, where its pages are not side by side, the address bits that number them, none of which the first page's address has. */
	uint64_t interrupt_window;
	uint64_t interrupt_mask;
	struct iog_fault_config faults;
	/* Interrupt by message, where the unit can. Both 0: by wire where it can, else none. */
	uint64_t msi_address;
	uint32_t msi_data;
};

/* What the unit is (capabilities register). */
struct iog_riscv_info {
	uint64_t capabilities;
	uint32_t version;            /* major << 4 | minor */
	uint32_t oas;                /* physical address bits */
	uint64_t ias_allowed_first;  /* input address bits that page tables may have, bit n for n */
	uint64_t ias_allowed_second;
	bool extended;               /* device contexts have 64 bytes, with MSI page tables */
	bool mrif;                   /* these may lead to files in memory */
	bool ats;
	bool non_leaf;               /* walk caches are dropped by address (NL) */
	bool range;                  /* invalidation of ranges (S) */
	bool was_enabled;            /* a previous owner had left translation on when it was first enabled */
	uint32_t levels;             /* of the device directory; one only if the unit, once it was enabled, has walked no more */
};

/* Counts since creation. */
struct iog_riscv_stats {
	uint64_t mmio_reads, mmio_writes;
	uint64_t commands;       /* written, waits included */
	uint64_t waits;          /* IOFENCE.C among them */
	uint64_t submissions;    /* calls that waited for the unit: more than waits, where they shared one */
	uint64_t timeouts;       /* of these */
	uint64_t tlb_ranges;     /* IOTINVAL commands by address */
	uint64_t tlb_domains;    /* and of whole domains */
	uint64_t interrupt_commands; /* about MSI page tables */
	uint64_t command_errors; /* the command queue stopped, each time */
	struct iog_fault_counts faults;
};

/**
 * iog_riscv_create() - look at a unit, and make its tables. It is left as it is until it is enabled.
 * @config: kept by value.
 * @riscv: result; unchanged on error.
 *
 * Context: any; allocates; reads registers.
 * Return: 0; -IOG_EINVAL for a malformed @config, or a platform that lacks what is needed; -IOG_EOPNOTSUPP if nothing answers, for another major version, a unit without a
 *         page-table format of iogate, or without MSI page tables where these are wanted; -IOG_ENOMEM.
 */
IOG_API int iog_riscv_create(const struct iog_riscv_config *config, struct iog_riscv **riscv);

/**
 * iog_riscv_destroy() - give everything back.
 * @riscv: not enabled, without domains and devices; NULL is allowed.
 *
 * Context: any; no other call on it running.
 * Return: 0; -IOG_EBUSY, with nothing done, while it is enabled or something is behind it, or if enabling it has failed with the unit silent: iog_riscv_disable() until that has returned 0.
 */
IOG_API int iog_riscv_destroy(struct iog_riscv *riscv);

/* The unit, for struct iog_device_config. Context: any. */
IOG_API struct iog_unit *iog_riscv_unit(struct iog_riscv *riscv);

/* What it is. Context: any. */
IOG_API void iog_riscv_info(const struct iog_riscv *riscv, struct iog_riscv_info *info);

/**
 * iog_riscv_enable() - translate from now on, by what domains and devices say.
 * @riscv: the unit. One that is found translating, by firmware or a former kernel, is first told to refuse all accesses; its own tables and queues are not looked at.
 *
 * Everything that it remembers is forgotten first.
 *
 * Context: no other call on it running; waits for hardware.
 * Return: 0, also if it is on; -IOG_EOPNOTSUPP for a unit whose directory cannot have the levels that the configuration wants; -IOG_ETIMEDOUT or -IOG_EIO. After an error it is off, and
 *         accesses are refused if they were translated before.
 */
IOG_API int iog_riscv_enable(struct iog_riscv *riscv);

/**
 * iog_riscv_disable() - do not translate any more; see IOG_RISCV_REFUSE_WHEN_OFF for what becomes of accesses.
 * @riscv: the unit. Domains and devices stay as they are, and are in force again after iog_riscv_enable().
 *
 * Context: no other call on it running; waits for hardware.
 * Return: 0; -IOG_ETIMEDOUT.
 */
IOG_API int iog_riscv_disable(struct iog_riscv *riscv);

/* Before its registers are lost: all accesses are refused until iog_riscv_resume(), or until power is gone. As iog_riscv_disable(). */
IOG_API int iog_riscv_suspend(struct iog_riscv *riscv);

/* As iog_riscv_enable(). */
IOG_API int iog_riscv_resume(struct iog_riscv *riscv);

/**
 * iog_riscv_device_ats() - whether a device may ask for translations and keep them.
 * @riscv: the unit.
 * @device: takes effect when it is next attached: allow it before the device is created with IOG_DEVICE_ATS.
 * @allow: one that is not allowed gets no translations, and accesses that it claims to have translated are refused.
 *
 * Context: not together with another call about the same device.
 * Return: 0; -IOG_ERANGE for a device that the directory has no room for; -IOG_EOPNOTSUPP for a unit without ATS.
 */
IOG_API int iog_riscv_device_ats(struct iog_riscv *riscv, uint32_t device, bool allow);

enum iog_riscv_route_flags {
	/* The file is in memory (memory-resident interrupt file, MRIF). */
	IOG_RISCV_ROUTE_MRIF = 1 << 0,
};

/**
 * struct iog_riscv_route - where messages to a page of the window go.
 */
struct iog_riscv_route {
	/* The interrupt file's page; of a file in memory its address, a multiple of 512. */
	iog_paddr_t file;
	/* enum iog_riscv_route_flags. */
	uint32_t flags;
	/* Of a file in memory: the identity, up to 2047, and the page of the interrupt file that are told of messages to it. */
	uint32_t notice_id;
	iog_paddr_t notice;
};

/**
 * iog_riscv_interrupt_alloc() - pages of the window, for messages of a device; blocked.
 * @riscv: the unit, on or off.
 * @device: which may send there. Other devices have tables of their own.
 * @count: 1, 2, 4, ... as many as there are, side by side by their numbers. One page takes messages of any identity that its file has.
 * @index: result: the number of the first.
 *
 * A device's first brings its table, which stays until the unit is destroyed.
 *
 * Context: not one that interrupts another call; allocates, waits for hardware.
 * Return: 0; -IOG_EINVAL; -IOG_ERANGE for a device that the directory has no room for; -IOG_ENOSPC; -IOG_ENOMEM; -IOG_EOPNOTSUPP if the unit was created without; -IOG_ETIMEDOUT or -IOG_EIO, with nothing taken, if
 *         the unit does not say that it knows of the table.
 */
IOG_API int iog_riscv_interrupt_alloc(struct iog_riscv *riscv, uint32_t device, uint32_t count, uint32_t *index);

/**
 * iog_riscv_interrupt_route() - let messages through to an interrupt file, or send them to another, or block them.
 * @riscv: the unit.
 * @device: the page's.
 * @index: the page.
 * @route: where to; NULL: blocked.
 *
 * When it returns, no message goes the former way any more, and those that did have arrived. From one file in memory, and to another kind of file, the page is blocked for a moment.
 *
 * Context: as iog_riscv_interrupt_alloc(), one call per page at a time.
 * Return: 0; -IOG_EINVAL for a malformed @route; -IOG_ERANGE, -IOG_ENOENT for a page that is not there or not taken; -IOG_EOPNOTSUPP, also for files in memory where the unit has none; -IOG_ETIMEDOUT or
 *         -IOG_EIO: the table says the new, or blocks, and hardware may remember the old. Call it again.
 */
IOG_API int iog_riscv_interrupt_route(struct iog_riscv *riscv, uint32_t device, uint32_t index, const struct iog_riscv_route *route);

/**
 * iog_riscv_interrupt_free() - give pages back; they block.
 * @riscv: the unit.
 * @device: theirs.
 * @index: of iog_riscv_interrupt_alloc().
 * @count: the same as there.
 *
 * Context: as iog_riscv_interrupt_route().
 * Return: as iog_riscv_interrupt_route(). After -IOG_ETIMEDOUT or -IOG_EIO they are blocked as far as the table goes, and still taken.
 */
IOG_API int iog_riscv_interrupt_free(struct iog_riscv *riscv, uint32_t device, uint32_t index, uint32_t count);

/**
 * struct iog_riscv_interrupt - an entry of an MSI page table, of this driver or another's.
 */
struct iog_riscv_interrupt {
	bool valid;
	struct iog_riscv_route route;
};

/**
 * iog_riscv_interrupt_decode() - what an entry says (Advanced Interrupt Architecture, MSI PTE).
 * @words: the entry, as it is in memory.
 * @interrupt: result; zeroed but for @valid where the entry is not. Unchanged on error.
 *
 * For tables that somebody else has made, too: a previous kernel's, or one in a dump.
 *
 * Context: any.
 * Return: 0; -IOG_EINVAL for an entry that is valid and has a mode that is not defined, or bits in reserved fields; -IOG_EOPNOTSUPP for one that only the unit's maker can read (C).
 */
IOG_API int iog_riscv_interrupt_decode(const uint64_t words[2], struct iog_riscv_interrupt *interrupt);

/**
 * iog_riscv_interrupt_read() - what an entry of the driver's tables says.
 * @riscv: the unit.
 * @device: the page's.
 * @index: the page, taken or not.
 * @interrupt: result; unchanged on error.
 *
 * Context: as iog_riscv_interrupt_alloc().
 * Return: 0, also for a device without a table, whose entries are not valid; -IOG_ERANGE; -IOG_EOPNOTSUPP if the unit was created without.
 */
IOG_API int iog_riscv_interrupt_read(struct iog_riscv *riscv, uint32_t device, uint32_t index, struct iog_riscv_interrupt *interrupt);

/**
 * iog_riscv_interrupt_message() - where a device has to be told to send messages; what it sends is an identity of the file that the page leads to.
 * @riscv: the unit.
 * @index: the page.
 * @address: result: the page's address, as far as the device is not translated by a first stage.
 *
 * Context: any.
 */
IOG_API void iog_riscv_interrupt_message(const struct iog_riscv *riscv, uint32_t index, uint64_t *address);

/**
 * iog_riscv_interrupt() - take what the unit reports: faults, overflows, errors of the command queue. For the handlers of its interrupts, or called
 * now and then.
 * @riscv: the unit.
 *
 * Takes at most as many faults as the queue has room for: one call is bounded, however many come.
 *
 * Context: any; several at once take turns.
 * Return: faults taken.
 */
IOG_API uint32_t iog_riscv_interrupt(struct iog_riscv *riscv);

/* Counts. Context: any; does not wait. */
IOG_API void iog_riscv_stats(const struct iog_riscv *riscv, struct iog_riscv_stats *stats);

/* Faults of one device. Context: any. */
IOG_API void iog_riscv_device_faults(const struct iog_riscv *riscv, uint32_t device, struct iog_fault_counts *counts);

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Arm SMMUv3 (Arm IHI 0070), the non-secure programming interface.
 *
 * Devices are named by StreamID. Page tables are arm_s1_* (stage 1) or arm_s2_* (stage 2) of a granule that the unit has; a paging domain is of the
 * stage that its format is of. Blocked devices have an entry that aborts silently, as the architecture has it; streams that nobody has set have none,
 * and their accesses are reported (no device).
 *
 * Replacing what a stream is subject to is without a hole: where the entries before and after differ in one word of those that hardware looks at, it
 * is stored last, and by itself. Where they differ in more (stage 2 to stage 2, stage 1 to stage 2 and back), the second-level table is copied with
 * the new entry in it, and the one word that points to it is stored. What remains are these changes in a linear stream table, where no word points to
 * an entry and SMMU_STRTAB_BASE may not change while the unit translates: there accesses of the stream abort for a moment on the way.
 */
#ifndef IOGATE_HW_SMMUV3_H
#define IOGATE_HW_SMMUV3_H

#include <stdbool.h>

#include <iogate/fault.h>
#include <iogate/unit.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iog_smmuv3;

enum iog_smmuv3_flags {
	/* A linear stream table, also where the unit offers two levels. */
	IOG_SMMUV3_LINEAR = 1 << 0,
	/* When the unit is turned off, all accesses abort. Without it they go where they went before it was turned on (SMMU_GBPA as it was found). */
	IOG_SMMUV3_ABORT_WHEN_OFF = 1 << 1,
};

/* A message-signalled interrupt; address 0: by wire. */
struct iog_smmuv3_msi {
	uint64_t address;
	uint32_t data;
};

/**
 * struct iog_smmuv3_config - zero means default.
 */
struct iog_smmuv3_config {
	/* Mandatory: the host, with a clock (now_ns); with cache_clean and cache_flush where the unit does not snoop. Kept by reference. */
	const struct iog_platform *platform;
	/* Mandatory: the registers' first page, as the host names it. */
	uintptr_t registers;
	/* Their second page. Default: registers + 0x10000. */
	uintptr_t page1;
	/* enum iog_smmuv3_flags. */
	uint32_t flags;
	/* StreamIDs have at most so many bits, 1 to 24. Default: as the unit says, but at most 16. */
	uint32_t stream_bits;
	/* Queue sizes, log2 of entries, within what the unit has. Default: 8 commands, 7 events. */
	uint32_t command_log2;
	uint32_t event_log2;
	/* How long the unit may take for one wait, and a device that is told to forget what it was translated (ATS), ms. Default 1000, and 10000. */
	uint32_t timeout_ms;
	uint32_t device_timeout_ms;
	/* Commands that one invalidation may consist of before the whole domain is forgotten instead, 1 to 64. Default 64. */
	uint32_t commands_max;
	struct iog_fault_config faults;
	/* Interrupts by message, where the unit can. */
	struct iog_smmuv3_msi event_msi;
	struct iog_smmuv3_msi error_msi;
};

/* What the unit has (SMMU_IDR0, 1, 3, 5). */
struct iog_smmuv3_info {
	bool stage1, stage2;
	bool two_level;     /* stream tables of two levels */
	bool coherent;      /* it snoops */
	bool ats;
	bool range;         /* range invalidation (RIL) */
	bool msi;
	bool wide;          /* 52 bits at 4 and 16 KiB (DS) */
	uint8_t stall_model;
	uint8_t bbm;        /* level of FEAT_BBM, for IOG_PGTABLE_BBM2 */
	uint8_t asid_bits, vmid_bits;
	uint8_t stream_bits;
	uint8_t oas;        /* output address bits */
	uint8_t ias;        /* input address bits of stage 1 */
	uint64_t granules;  /* a bit per size */
};

/* Counts since creation. */
struct iog_smmuv3_stats {
	uint64_t mmio_reads, mmio_writes;
	uint64_t commands;      /* written, waits included */
	uint64_t waits;         /* CMD_SYNC among them */
	uint64_t submissions;   /* calls that waited for the unit: more than waits, where they shared one */
	uint64_t timeouts;      /* of these */
	uint64_t tlb_ranges;    /* TLBI commands by address */
	uint64_t tlb_domains;   /* and of whole domains */
	uint64_t command_errors; /* SMMU_GERROR.CMDQ_ERR, each time */
	uint64_t stalls_ended;  /* transactions that waited for an answer and were aborted */
	uint32_t errors;        /* other bits of SMMU_GERROR that were ever active */
	struct iog_fault_counts faults;
};

/**
 * iog_smmuv3_create() - look at a unit, and make its tables. It is left as it is until it is enabled.
 * @config: kept by value.
 * @smmu: result; unchanged on error.
 *
 * Context: any; allocates.
 * Return: 0; -IOG_EINVAL for a malformed @config, or a platform that lacks what is needed; -IOG_EOPNOTSUPP for a unit without 64-bit tables, or with tables or queues at fixed addresses;
 *         -IOG_ENOMEM.
 */
IOG_API int iog_smmuv3_create(const struct iog_smmuv3_config *config, struct iog_smmuv3 **smmu);

/**
 * iog_smmuv3_destroy() - give everything back.
 * @smmu: not enabled, without domains and devices; NULL is allowed.
 *
 * Context: any; no other call on it running.
 * Return: 0; -IOG_EBUSY, with nothing done, while it is enabled or something is behind it, or if enabling it has failed with the unit silent: iog_smmuv3_disable() until that has returned 0.
 */
IOG_API int iog_smmuv3_destroy(struct iog_smmuv3 *smmu);

/* The unit, for struct iog_device_config. Context: any. */
IOG_API struct iog_unit *iog_smmuv3_unit(struct iog_smmuv3 *smmu);

/* What it has. Context: any. */
IOG_API void iog_smmuv3_info(const struct iog_smmuv3 *smmu, struct iog_smmuv3_info *info);

/**
 * iog_smmuv3_enable() - translate from now on, by what domains and devices say.
 * @smmu: the unit. One that is found enabled, by firmware or a former kernel, is first told to abort all accesses, and turned off; its own tables and queues are not looked at.
 *
 * Everything that it remembers is forgotten first. Called again after iog_smmuv3_disable() or iog_smmuv3_suspend(): as the domains and devices are then.
 *
 * Context: no other call on it running; waits for hardware.
 * Return: 0, also if it is on; -IOG_ETIMEDOUT or -IOG_EIO: it is off, and accesses abort if they were translated before.
 */
IOG_API int iog_smmuv3_enable(struct iog_smmuv3 *smmu);

/**
 * iog_smmuv3_disable() - do not translate any more; see IOG_SMMUV3_ABORT_WHEN_OFF for what becomes of accesses.
 * @smmu: the unit. Domains and devices stay as they are, and calls about them work on tables only.
 *
 * Context: no other call on it running; waits for hardware.
 * Return: 0; -IOG_ETIMEDOUT.
 */
IOG_API int iog_smmuv3_disable(struct iog_smmuv3 *smmu);

/**
 * iog_smmuv3_suspend() - before its registers are lost. All accesses abort until iog_smmuv3_resume(), or until power is gone.
 * @smmu: the unit.
 *
 * Context and Return: as iog_smmuv3_disable().
 */
IOG_API int iog_smmuv3_suspend(struct iog_smmuv3 *smmu);

/* As iog_smmuv3_enable(). */
IOG_API int iog_smmuv3_resume(struct iog_smmuv3 *smmu);

/**
 * iog_smmuv3_device_ats() - whether a device may ask for translations and keep them.
 * @smmu: the unit.
 * @stream: the device. Takes effect when it is next attached: allow it before the device is created with IOG_DEVICE_ATS.
 * @allow: one that is not allowed gets no translations, and accesses that it claims to have translated are refused.
 *
 * Context: not together with another call about the same device.
 * Return: 0; -IOG_ERANGE for a stream that the tables have no room for; -IOG_EOPNOTSUPP for a unit without ATS.
 */
IOG_API int iog_smmuv3_device_ats(struct iog_smmuv3 *smmu, uint32_t stream, bool allow);

/**
 * iog_smmuv3_interrupt() - take what the unit reports: faults, overflows, errors. For the handlers of its interrupts, or called now and then.
 * @smmu: the unit.
 *
 * Takes at most as many events as the queue has room for: one call is bounded, however many come.
 *
 * Context: any, with a lane's interrupts off if it is an interrupt; several at once take turns.
 * Return: events taken.
 */
IOG_API uint32_t iog_smmuv3_interrupt(struct iog_smmuv3 *smmu);

/**
 * iog_smmuv3_stats() - counts.
 * @smmu: the unit.
 * @stats: result.
 *
 * Context: any; does not wait.
 */
IOG_API void iog_smmuv3_stats(const struct iog_smmuv3 *smmu, struct iog_smmuv3_stats *stats);

/* Faults of one stream. Context: any. */
IOG_API void iog_smmuv3_device_faults(const struct iog_smmuv3 *smmu, uint32_t stream, struct iog_fault_counts *counts);

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: MIT */
/*
 * virtio-iommu (virtio 1.2, 5.13), over PCI or over memory-mapped registers: an IOMMU that a hypervisor offers.
 *
 * It walks no page tables. A domain has one all the same, of any format, as the record of what was asked for; mappings are told to the device by requests, one for each leaf entry, and
 * taken back by requests, one for each run of neighbours. Page tables must be created with IOG_PGTABLE_FLUSH_ON_MAP, as iog_unit.pgtable_flags says: a mapping is in force when the call
 * that made it has returned 0, and -IOG_EIO from it says that the device has refused it.
 *
 * What the protocol cannot do:
 *  - A mapping cannot be changed, nor cut. Where permissions are changed, or a part is unmapped of a leaf that was split, the mapping goes and what is left of it comes again, and in between
 *    accesses are refused that would not have to be. In domains whose page table may split leaves (IOG_PGTABLE_SPLIT), mappings are told by granules, and parts of a leaf go as they are.
 *  - A domain is there from the first device that is attached to it, to the last. For its first device the mappings are told after it was attached, and until then its accesses are refused.
 *
 * Devices are named by endpoint ids: those of VIOT or of the device tree, for PCI most often BDFs. The library needs the narrow accessors of <iogate/platform.h>, and memory that both sides
 * see alike, as any hypervisor's guest has.
 */
#ifndef IOGATE_HW_VIRTIO_H
#define IOGATE_HW_VIRTIO_H

#include <stdbool.h>

#include <iogate/discover.h>
#include <iogate/fault.h>
#include <iogate/unit.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iog_virtio;

/* A part of a PCI function's registers: a BAR, and where in it. */
struct iog_virtio_region {
	uint8_t bar;
	uint32_t offset;
	uint32_t length;
};

/* Where a virtio function of PCI has its registers (4.1.4). */
struct iog_virtio_pci {
	struct iog_virtio_region common;
	struct iog_virtio_region notify;
	struct iog_virtio_region isr;
	struct iog_virtio_region device;
	uint32_t notify_multiplier;
};

/**
 * typedef iog_virtio_config_fn - read configuration space.
 * @ctx: from iog_virtio_pci_find().
 * @offset: a multiple of 4, below 256.
 *
 * Return: 32 bits; all ones where nobody answers.
 */
typedef uint32_t iog_virtio_config_fn(void *ctx, uint32_t offset);

/**
 * iog_virtio_pci_find() - read a PCI function's virtio capabilities.
 * @read: its configuration space.
 * @ctx: handed to @read.
 * @pci: result: of each structure the first that lies in a BAR; unchanged on error.
 *
 * Context: any; does not allocate. Bounded, whatever is read.
 * Return: 0; -IOG_ENOENT if it is no virtio-iommu; -IOG_EINVAL if a structure is missing or too short.
 */
IOG_API int iog_virtio_pci_find(iog_virtio_config_fn *read, void *ctx, struct iog_virtio_pci *pci);

enum iog_virtio_flags {
	/* Memory-mapped registers (4.2, version 2) at @common; @notify, @isr and @device are not looked at. */
	IOG_VIRTIO_MMIO = 1 << 0,
	/* The host has set up MSI-X: @config_vector and @event_vector count. Without it the wire. */
	IOG_VIRTIO_MSIX = 1 << 1,
	/* When the unit is disabled, all accesses are refused, if it can be told so. Without it they are as they were before it was enabled. */
	IOG_VIRTIO_REFUSE_WHEN_OFF = 1 << 2,
};

/**
 * struct iog_virtio_config - zero means default.
 */
struct iog_virtio_config {
	/* Mandatory: the host, with a clock (now_ns). */
	const struct iog_platform *platform;
	/* Mandatory: the structures of iog_virtio_pci_find() as MMIO accessors name them: their BAR's address and the offset. */
	uintptr_t common;
	uintptr_t notify;
	uintptr_t isr;
	uintptr_t device;
	uint32_t notify_length;
	uint32_t notify_multiplier;
	/* enum iog_virtio_flags. */
	uint32_t flags;
	/* Entries of the queues, powers of two from 4 to 1024; the device may have fewer. A request takes two. Default 256, and 64. */
	uint32_t request_entries;
	uint32_t event_entries;
	uint16_t config_vector;
	uint16_t event_vector;
	/* How long the device may take for one wait, ms. Default 1000. */
	uint32_t timeout_ms;
	struct iog_fault_config faults;
};

/* What the device is. */
struct iog_virtio_info {
	uint64_t features;      /* offered */
	uint64_t page_sizes;    /* page_size_mask: the lowest bit is its granule, and the smallest leaf that page tables may have; others are hints */
	uint64_t input_first;   /* addresses that can be mapped: a domain's first and last have to keep to them */
	uint64_t input_last;
	uint32_t domains;       /* that there can be at once */
	uint32_t probe_bytes;   /* of what iog_virtio_reserved() asks for; 0: it cannot tell */
	bool identity;          /* devices can be in an identity domain */
	bool bypass_found;      /* before it was first enabled, devices reached all of memory */
	bool was_enabled;       /* a previous owner had left it on when it was first enabled */
};

/* Counts since creation. */
struct iog_virtio_stats {
	uint64_t mmio_reads, mmio_writes;
	uint64_t requests;    /* sent */
	uint64_t maps;        /* of these, mappings */
	uint64_t unmaps;      /* and runs of mappings taken back */
	uint64_t doorbells;   /* of the request queue */
	uint64_t submissions; /* batches that were waited for */
	uint64_t timeouts;    /* of these */
	uint64_t refused;     /* requests whose status was not OK */
	uint64_t broken;      /* times that the device broke a queue of its, or asked to be reset: nothing works then but iog_virtio_disable() */
	struct iog_fault_counts faults;
};

/**
 * iog_virtio_create() - look at a device, and make its queues. It is left as it is until it is enabled.
 * @config: kept by value.
 * @virtio: result; unchanged on error.
 *
 * Context: any; allocates; reads registers.
 * Return: 0; -IOG_EINVAL for a malformed @config, or a platform that lacks what is needed; -IOG_EOPNOTSUPP for another device, a legacy one, or one that cannot map; -IOG_EIO if its configuration
 *         makes no sense; -IOG_ENOMEM.
 */
IOG_API int iog_virtio_create(const struct iog_virtio_config *config, struct iog_virtio **virtio);

/**
 * iog_virtio_destroy() - give everything back.
 * @virtio: not enabled, without domains and devices; NULL is allowed.
 *
 * Context: any; no other call on it running.
 * Return: 0; -IOG_EBUSY, with nothing done, while it is enabled or something is behind it, or if it could not be reset: iog_virtio_disable() until that has returned 0.
 */
IOG_API int iog_virtio_destroy(struct iog_virtio *virtio);

/* The unit, for struct iog_device_config. Context: any. */
IOG_API struct iog_unit *iog_virtio_unit(struct iog_virtio *virtio);

/* What it is. Context: any. */
IOG_API void iog_virtio_info(const struct iog_virtio *virtio, struct iog_virtio_info *info);

/**
 * iog_virtio_enable() - reset the device and take it over. From then on devices that are in no domain are refused.
 * @virtio: the unit. What a previous owner had told it is forgotten; where it had been able to let devices that are in no domain pass, it is told not to before that.
 *
 * Context: no other call on it running; waits for hardware.
 * Return: 0, also if it is on; -IOG_EOPNOTSUPP if the device does not take the features, or will not refuse devices that are in no domain; -IOG_ETIMEDOUT; -IOG_EIO; what the device said to a device or a
 *         mapping of ours: -IOG_ENOENT, -IOG_ENOMEM, -IOG_ERANGE, -IOG_EINVAL. After an error it is off.
 */
IOG_API int iog_virtio_enable(struct iog_virtio *virtio);

/**
 * iog_virtio_disable() - reset the device; see IOG_VIRTIO_REFUSE_WHEN_OFF for what becomes of accesses. Also what helps when it has broken a queue.
 * @virtio: the unit. Domains and devices stay as they are, and are in force again after iog_virtio_enable().
 *
 * Context: no other call on it running; waits for hardware.
 * Return: 0; -IOG_ETIMEDOUT.
 */
IOG_API int iog_virtio_disable(struct iog_virtio *virtio);

/* Before its registers are lost: all accesses are refused until iog_virtio_resume(), if it can be told so, or until power is gone. As iog_virtio_disable(). */
IOG_API int iog_virtio_suspend(struct iog_virtio *virtio);

/* As iog_virtio_enable(). */
IOG_API int iog_virtio_resume(struct iog_virtio *virtio);

/**
 * iog_virtio_reserved() - addresses that a device may not have mapped (PROBE).
 * @virtio: the unit, enabled.
 * @device: endpoint id.
 * @visit: called for each region, with IOG_FOUND_RESERVED: @who is the device, @flags IOG_RESERVED_UNUSABLE, and IOG_RESERVED_INTERRUPTS where interrupts pass untranslated. A domain's
 *         configuration takes them in @reserved.
 * @ctx: handed to @visit.
 *
 * Context: a thread; no device_set of the unit may be called by @visit; waits for hardware.
 * Return: 0; what @visit returned; -IOG_EOPNOTSUPP if it cannot tell, or is not enabled; -IOG_ENOENT for a device that it does not know; -IOG_EIO for an answer that is malformed; -IOG_ENOMEM;
 *         -IOG_ETIMEDOUT.
 */
IOG_API int iog_virtio_reserved(struct iog_virtio *virtio, uint32_t device, iog_found_fn *visit, void *ctx);

/**
 * iog_virtio_interrupt() - take what the device reports: faults. For the handler of its interrupt, or called now and then.
 * @virtio: the unit.
 *
 * Takes at most as many faults as the queue has room for: one call is bounded, however many come. The device does not say when it had no room for one.
 *
 * Context: any; several at once take turns.
 * Return: faults taken.
 */
IOG_API uint32_t iog_virtio_interrupt(struct iog_virtio *virtio);

/* Counts. Context: any; does not wait. */
IOG_API void iog_virtio_stats(const struct iog_virtio *virtio, struct iog_virtio_stats *stats);

/* Faults of one device. Context: any. */
IOG_API void iog_virtio_device_faults(const struct iog_virtio *virtio, uint32_t device, struct iog_fault_counts *counts);

#ifdef __cplusplus
}
#endif

#endif

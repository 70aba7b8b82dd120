/* SPDX-License-Identifier: MIT */
/*
 * IOMMUs as firmware describes them: the ACPI tables DMAR, IVRS, IORT, RIMT and VIOT, and the flattened device tree.
 *
 * A reader goes through a table once and reports what it finds, each kind of table in the same words: units, the devices behind them, memory that must stay reachable. The bytes are
 * not trusted: no offset is followed that was not checked, nothing recurses, and what the readers need fits a few hundred bytes of stack. They keep nothing, so that a table may be
 * read as often as needed; iog_discover_device() reads it once more for each device that is looked up.
 *
 * A table that is malformed is refused with the offset and the reason. What was reported until then may be used or not; a first pass without a visitor only checks. Entries of
 * types that are not known are passed over, as the specifications want.
 */
#ifndef IOGATE_DISCOVER_H
#define IOGATE_DISCOVER_H

#include <stddef.h>
#include <stdint.h>

#include <iogate/pci.h>
#include <iogate/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where a record names no unit: every one, or none. */
#define IOG_REF_NONE UINT32_MAX

/**
 * struct iog_discover_error - why a table was refused.
 */
struct iog_discover_error {
	const char *table; /* "DMAR", ..., "FDT" */
	uint32_t offset;   /* of the malformed entry, from the start of the table */
	const char *text;
};

enum iog_unit_model {
	IOG_UNIT_VTD = 1,
	IOG_UNIT_AMDVI,
	IOG_UNIT_SMMUV3,
	IOG_UNIT_RISCV,
	IOG_UNIT_VIRTIO,
	IOG_UNIT_SMMUV2, /* reported, but iogate has no driver for it */
};

enum iog_found_unit_flags {
	/* VT-d INCLUDE_PCI_ALL: it serves all devices of its segment that no other unit names. */
	IOG_UNIT_SERVES_REST = 1 << 0,
	/* It is a PCI function itself, at @segment and @bdf. Where @base is 0 its BARs say where the registers are. */
	IOG_UNIT_IS_PCI = 1 << 1,
	/* The table says that its own accesses snoop the caches. */
	IOG_UNIT_COHERENT = 1 << 2,
	/* @proximity is meant. */
	IOG_UNIT_HAS_PROXIMITY = 1 << 3,
};

/**
 * struct iog_found_unit - an IOMMU.
 */
struct iog_found_unit {
	enum iog_unit_model model;
	uint32_t ref;	    /* names it in this table: records about its devices have it */
	uint64_t base;	    /* physical address of its registers; 0: see IOG_UNIT_IS_PCI */
	uint64_t size;	    /* bytes of registers; 0 where the table does not tell */
	uint16_t segment;   /* PCI segment that it serves, or is in */
	uint32_t bdf;	    /* IOG_BDF_NONE where it is no PCI function */
	uint32_t flags;	    /* enum iog_found_unit_flags */
	uint32_t proximity;
	/*
	 * The table's own words. VT-d: none. AMD-Vi: IVHD flags in attributes; the IVHD's Feature Reporting or IOMMU Attributes, and the image of the extended feature registers.
	 * SMMUv3: flags in attributes, model in features[0].
	 */
	uint32_t attributes;
	uint64_t features[3];
	/* SMMUv3: event, PRI, global error, command sync; RISC-V: its wires, as far as there is room; 0 for none. Global system interrupts. Not from a device tree. */
	uint32_t interrupts[4];
	uint32_t capability; /* AMD-Vi: offset of its capability block in configuration space */
};

/* Who a record is about. */
enum iog_devices_kind {
	IOG_DEVICES_NONE = 0,
	IOG_DEVICES_IDS,     /* PCI: segments [segment, segment_last], requester ids [first, last] after & mask */
	IOG_DEVICES_PATH,    /* PCI: the function at the end of @path, which begins on bus @bus */
	IOG_DEVICES_BELOW,   /* PCI: the bridge at the end of @path, and all behind it */
	IOG_DEVICES_IOAPIC,  /* the I/O APIC with the id @number; its requests carry the id of @path, or @first */
	IOG_DEVICES_HPET,    /* the HPET block @number, likewise */
	IOG_DEVICES_NAMED,   /* the device with the ACPI name or hardware id @name; of the device tree, the node with that name and the phandle @first */
	IOG_DEVICES_MMIO,    /* the device whose registers are at @base */
	IOG_DEVICES_STREAMS, /* of the unit: ids [first, last] as it counts */
	IOG_DEVICES_ALL,     /* of the unit or, without one, of the machine; DMAR: of @segment */
};

/**
 * struct iog_devices - which devices; what counts depends on @kind.
 */
struct iog_devices {
	enum iog_devices_kind kind;
	uint16_t segment, segment_last;
	uint32_t first, last;
	uint32_t mask;
	uint8_t bus;
	uint8_t depth;	     /* steps of @path */
	uint8_t number;
	const uint8_t *path; /* in the table: a device and a function number for each step; each but the last is a bridge */
	const char *name;    /* in the table, @name_size bytes, not terminated */
	uint32_t name_size;
	uint64_t base;
};

enum iog_found_devices_flags {
	/* All of them have the id @id at the unit; otherwise the first has it, and the others follow, each further segment's 65536 beyond. */
	IOG_FOUND_ONE_ID = 1 << 0,
	/* Outweighs what was reported before about the same devices. Otherwise the first record stands. */
	IOG_FOUND_OVERRIDES = 1 << 1,
	/* ATS, PRI: the table allows it, or forbids it. */
	IOG_FOUND_ATS = 1 << 2,
	IOG_FOUND_PRI = 1 << 3,
	IOG_FOUND_NO_ATS = 1 << 4,
	/* They are not behind any unit. */
	IOG_FOUND_UNTRANSLATED = 1 << 5,
};

/**
 * struct iog_found_devices - devices behind a unit.
 */
struct iog_found_devices {
	uint32_t unit; /* struct iog_found_unit, ref. The unit may be reported before or after */
	struct iog_devices who;
	uint32_t id;	   /* IDS and the like: see IOG_FOUND_ONE_ID. PATH, BELOW: the requester id is the id */
	uint32_t flags;	   /* enum iog_found_devices_flags */
	uint8_t settings;  /* AMD-Vi: the DTE Setting byte: INITPass, EIntPass, NMIPass, SysMgt, Lint0Pass, Lint1Pass */
};

enum iog_found_reserved_flags {
	/* Firmware or a device uses it all the time: it has to be mapped 1:1 before the device is translated. */
	IOG_RESERVED_IDENTITY = 1 << 0,
	/* The unit does not translate these addresses (AMD exclusion range), or they mean something else: nothing may be mapped there. */
	IOG_RESERVED_UNUSABLE = 1 << 1,
	IOG_RESERVED_READ = 1 << 2,
	IOG_RESERVED_WRITE = 1 << 3,
	/* Needed only until the device's driver takes over. */
	IOG_RESERVED_RELAXABLE = 1 << 4,
	IOG_RESERVED_PRIVILEGED = 1 << 5,
	/* Device registers, not memory. */
	IOG_RESERVED_DEVICE = 1 << 6,
	/* Writes there are interrupts, which pass untranslated: their doorbells need no mapping. With UNUSABLE. */
	IOG_RESERVED_INTERRUPTS = 1 << 7,
};

/**
 * struct iog_found_reserved - memory that is spoken for. One record for each of several devices.
 */
struct iog_found_reserved {
	uint32_t unit; /* whose ids @who counts in, if STREAMS or ALL; IOG_REF_NONE */
	uint64_t first, last;
	uint32_t flags; /* enum iog_found_reserved_flags */
	struct iog_devices who;
};

enum iog_found_platform_flags {
	IOG_PLATFORM_INTERRUPT_REMAPPING = 1 << 0, /* DMAR INTR_REMAP */
	IOG_PLATFORM_NO_X2APIC = 1 << 1,	   /* DMAR X2APIC_OPT_OUT */
	IOG_PLATFORM_PROTECT_EARLY = 1 << 2,	   /* DMAR DMA_CTRL_PLATFORM_OPT_IN_FLAG, IVinfo DmaRemapSup: firmware asks for DMA protection from the start */
};

/**
 * struct iog_found_platform - what the table says of the machine.
 */
struct iog_found_platform {
	uint32_t physical_bits; /* 0: not told */
	uint32_t virtual_bits;
	uint32_t flags; /* enum iog_found_platform_flags */
};

enum iog_found_kind {
	IOG_FOUND_PLATFORM = 1,
	IOG_FOUND_UNIT,
	IOG_FOUND_DEVICES,
	IOG_FOUND_RESERVED,
	/* DMAR ATSR: devices below these root ports may use ATS. SATC: these integrated endpoints do. In @devices; its @unit is IOG_REF_NONE. */
	IOG_FOUND_ATS_BELOW,
	IOG_FOUND_ATS_INTEGRATED,
	/* DMAR RHSA: the unit at @unit.base is near @unit.proximity. */
	IOG_FOUND_AFFINITY,
};

/**
 * struct iog_found - one record. What counts is the member that @kind names; pointers in it are into the table.
 */
struct iog_found {
	enum iog_found_kind kind;
	uint32_t offset; /* of the entry in the table */
	struct iog_found_platform platform;
	struct iog_found_unit unit;
	struct iog_found_devices devices;
	struct iog_found_reserved reserved;
};

/**
 * typedef iog_found_fn - called for each record.
 * @ctx: from the reader's caller.
 * @found: valid until it returns; what its pointers lead to, as long as the table.
 *
 * Return: 0 to go on; anything else ends the reading, and is what the reader returns.
 */
typedef int iog_found_fn(void *ctx, const struct iog_found *found);

/**
 * typedef iog_discover_fn - a reader of one kind of table.
 * @bytes: the table, from its first byte.
 * @size: bytes that may be read; the table may be shorter.
 * @visit: called for each record. NULL: only check.
 * @ctx: handed to @visit.
 * @error: filled in if the table is malformed. May be NULL.
 *
 * Context: any; does not allocate.
 * Return: 0; -IOG_EINVAL for a malformed table, or for no table of this kind; what @visit returned.
 */
typedef int iog_discover_fn(const void *bytes, size_t size, iog_found_fn *visit, void *ctx, struct iog_discover_error *error);

/* Readers, each an iog_discover_fn. ACPI (a table begins with its signature): VT-d 8; AMD IOMMU 5.2; Arm DEN0049; RISC-V IOMMU mapping table 1.0; VIOT of virtio-iommu. */
IOG_API int iog_discover_dmar(const void *bytes, size_t size, iog_found_fn *visit, void *ctx, struct iog_discover_error *error);
IOG_API int iog_discover_ivrs(const void *bytes, size_t size, iog_found_fn *visit, void *ctx, struct iog_discover_error *error);
IOG_API int iog_discover_iort(const void *bytes, size_t size, iog_found_fn *visit, void *ctx, struct iog_discover_error *error);
IOG_API int iog_discover_rimt(const void *bytes, size_t size, iog_found_fn *visit, void *ctx, struct iog_discover_error *error);
IOG_API int iog_discover_viot(const void *bytes, size_t size, iog_found_fn *visit, void *ctx, struct iog_discover_error *error);

/*
 * A flattened device tree (Devicetree specification 0.4, 5): units compatible with "arm,smmu-v3", "riscv,iommu", "riscv,pci-iommu", "virtio,pci-iommu" and "arm,mmu-500"; the properties iommus,
 * iommu-map and iommu-map-mask; children of /reserved-memory with iommu-addresses. Nodes whose status is not "okay" are passed over.
 */
IOG_API int iog_discover_fdt(const void *bytes, size_t size, iog_found_fn *visit, void *ctx, struct iog_discover_error *error);

/* Whichever of them the first bytes name. Links every reader in. */
IOG_API int iog_discover_any(const void *bytes, size_t size, iog_found_fn *visit, void *ctx, struct iog_discover_error *error);

/**
 * struct iog_location - where a device stands.
 */
struct iog_location {
	struct iog_found_unit unit;
	uint32_t id;	/* as the unit counts: struct iog_device_config, id */
	uint32_t flags; /* IOG_FOUND_ATS, _PRI, _NO_ATS */
	uint8_t settings;
};

/**
 * iog_discover_device() - the unit that a PCI function is behind, and its id there.
 * @read: the table's reader.
 * @bytes: the table.
 * @size: bytes of it.
 * @topology: the machine's functions: paths over bridges, devices behind bridges, requester ids and virtual functions are found through it. NULL: the function is on a root bus or
 *            named itself, and its requester id is its own.
 * @segment: PCI segment.
 * @bdf: bus, device, function.
 * @location: result; unchanged on error.
 * @error: see iog_discover_fn.
 *
 * A virtual function is where its physical one is. Behind a bridge to conventional PCI the device has the bridge's id (iog_pci_ids() has all that it may carry).
 *
 * Context: any; does not allocate.
 * Return: 0; -IOG_ENOENT if it is behind no unit; -IOG_EINVAL for a malformed table, or a function that @topology does not have.
 */
IOG_API int iog_discover_device(iog_discover_fn *read, const void *bytes, size_t size, const struct iog_pci_topology *topology, uint16_t segment, uint16_t bdf,
				struct iog_location *location, struct iog_discover_error *error);

/**
 * iog_discover_reserved() - memory that a PCI function needs, or may not use.
 * @read: the table's reader.
 * @bytes: the table.
 * @size: bytes of it.
 * @topology: as for iog_discover_device().
 * @segment: PCI segment.
 * @bdf: bus, device, function.
 * @visit: called with each IOG_FOUND_RESERVED that is about it.
 * @ctx: handed to @visit.
 * @error: see iog_discover_fn.
 *
 * Context: any; does not allocate.
 * Return: 0; -IOG_EINVAL as iog_discover_device(); what @visit returned.
 */
IOG_API int iog_discover_reserved(iog_discover_fn *read, const void *bytes, size_t size, const struct iog_pci_topology *topology, uint16_t segment, uint16_t bdf,
				  iog_found_fn *visit, void *ctx, struct iog_discover_error *error);

/**
 * typedef iog_map_fn - reach physical memory.
 * @ctx: from the caller.
 * @paddr: physical address.
 * @size: bytes.
 *
 * Return: where [paddr, paddr + size) can be read until the search is over; NULL if it cannot.
 */
typedef const void *iog_map_fn(void *ctx, uint64_t paddr, size_t size);

/**
 * iog_acpi_find() - an ACPI table by its signature.
 * @rsdp: physical address of the root pointer (ACPI 6.5, 5.2.5.3), from UEFI, the boot protocol, or a search of the BIOS area.
 * @signature: four characters.
 * @map: see iog_map_fn.
 * @ctx: handed to @map.
 * @paddr: result: its physical address.
 * @size: result: its length, as its header says; its checksum is right.
 * @error: "RSDP" or "XSDT", and why.
 *
 * Context: any; does not allocate.
 * Return: 0; -IOG_ENOENT if there is no such table; -IOG_EINVAL for malformed tables on the way; -IOG_ERANGE if @map could not reach one.
 */
IOG_API int iog_acpi_find(uint64_t rsdp, const char *signature, iog_map_fn *map, void *ctx, uint64_t *paddr, size_t *size, struct iog_discover_error *error);

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Invalidation commands as the queue takes them (VT-d 6.5.2). Where there is no queue, by_register.c reads them.
 *
 * In scalable mode a descriptor takes 256 bits, of which the upper half is zero.
 */
#ifndef IOG_HW_VTD_DESCRIPTOR_H
#define IOG_HW_VTD_DESCRIPTOR_H

#include <stdint.h>

#include "registers.h"

enum vtd_type {
	VTD_CONTEXT = 1,   /* context-cache (6.5.2.1) */
	VTD_IOTLB_TYPE = 2, /* (6.5.2.3) */
	VTD_DEVICE = 3,    /* device TLB (6.5.2.5) */
	VTD_INTERRUPT = 4, /* interrupt entry cache (6.5.2.7) */
	VTD_WAIT = 5,      /* (6.5.2.8) */
	VTD_PIOTLB = 6,    /* PASID-based IOTLB (6.5.2.4) */
	VTD_PASID = 7,     /* PASID-cache (6.5.2.2) */
};

/* Granularities; context-cache and IOTLB. */
#define VTD_GLOBAL 1
#define VTD_DOMAIN 2
#define VTD_SELECTIVE 3 /* device, or pages */
/* PASID-based IOTLB. */
#define VTD_PIOTLB_ALL 2
#define VTD_PIOTLB_PAGES 3
/* PASID-cache. */
#define VTD_PASID_ONE 1
#define VTD_PASID_GLOBAL 3

struct vtd_command {
	uint64_t low;
	uint64_t high;
};

#define VTD_TYPE(command) ((uint32_t)((command)->low & 0xf))
#define VTD_GRANULARITY(command) ((uint32_t)((command)->low >> 4 & 3))
#define VTD_DID(command) ((uint32_t)((command)->low >> 16 & 0xffff))
#define VTD_SID(command) ((uint32_t)((command)->low >> 32 & 0xffff))

#define VTD_IOTLB_DESC_DW VTD_BIT(6)
#define VTD_IOTLB_DESC_DR VTD_BIT(7)
#define VTD_IH VTD_BIT(6)
#define VTD_WAIT_SW VTD_BIT(5)

static inline struct vtd_command vtd_context(uint32_t granularity, uint32_t did, uint32_t sid)
{
	return (struct vtd_command){ VTD_CONTEXT | granularity << 4 | (uint64_t)did << 16 | (uint64_t)sid << 32, 0 };
}

static inline struct vtd_command vtd_pasid(uint32_t granularity, uint32_t did, uint32_t pasid)
{
	return (struct vtd_command){ VTD_PASID | granularity << 4 | (uint64_t)did << 16 | (uint64_t)pasid << 32, 0 };
}

/* @drain: VTD_IOTLB_DESC_DR and DW, as far as the unit has them. */
static inline struct vtd_command vtd_iotlb(uint32_t granularity, uint32_t did, uint64_t drain)
{
	return (struct vtd_command){ VTD_IOTLB_TYPE | granularity << 4 | drain | (uint64_t)did << 16, 0 };
}

/* 2^@am pages from @address on, which is aligned so. @ih: VTD_IH when only leaves have changed. */
static inline struct vtd_command vtd_iotlb_pages(uint32_t did, uint64_t drain, uint64_t address, uint32_t am, uint64_t ih)
{
	return (struct vtd_command){ VTD_IOTLB_TYPE | VTD_SELECTIVE << 4 | drain | (uint64_t)did << 16, address | ih | am };
}

static inline struct vtd_command vtd_piotlb(uint32_t did, uint32_t pasid)
{
	return (struct vtd_command){ VTD_PIOTLB | VTD_PIOTLB_ALL << 4 | (uint64_t)did << 16 | (uint64_t)pasid << 32, 0 };
}

static inline struct vtd_command vtd_piotlb_pages(uint32_t did, uint32_t pasid, uint64_t address, uint32_t am, uint64_t ih)
{
	return (struct vtd_command){ VTD_PIOTLB | VTD_PIOTLB_PAGES << 4 | (uint64_t)did << 16 | (uint64_t)pasid << 32, address | ih | am };
}

/* 2^@am pages; 52 and more: everything. The size is told by the lowest zero from bit 12 on. @depth: invalidations that the device takes, 1 to 32. */
static inline struct vtd_command vtd_device_pages(uint32_t sid, uint32_t depth, uint64_t address, uint32_t am)
{
	uint64_t high = address, size = am < 52 ? VTD_BIT(12 + am) : 0;

	if (am)
		high = (address & -size) | ((size >> 1) - 1) >> 12 << 12 | 1;
	if (am >= 52)
		high = UINT64_C(0x7ffffffffffff000) | 1;
	return (struct vtd_command){ VTD_DEVICE | (uint64_t)((depth - 1) & 0x1f) << 16 | (uint64_t)sid << 32, high };
}

/* 2^@order entries of the interrupt remapping table. */
static inline struct vtd_command vtd_interrupt_entries(uint32_t index, uint32_t order)
{
	return (struct vtd_command){ VTD_INTERRUPT | 1 << 4 | (uint64_t)order << 27 | (uint64_t)index << 32, 0 };
}

static inline struct vtd_command vtd_interrupt_all(void)
{
	return (struct vtd_command){ VTD_INTERRUPT, 0 };
}

/* @number is written to @paddr once everything before it has been done. */
static inline struct vtd_command vtd_wait(uint64_t paddr, uint32_t number)
{
	return (struct vtd_command){ VTD_WAIT | VTD_WAIT_SW | (uint64_t)number << 32, paddr };
}

#endif

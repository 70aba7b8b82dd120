/* SPDX-License-Identifier: MIT */
/*
 * Commands (AMD IOMMU 3.08, 2.4), two words each. The operation stands in 63:60 of the first.
 */
#ifndef IOG_HW_AMDVI_COMMAND_H
#define IOG_HW_AMDVI_COMMAND_H

#include <stdint.h>

struct amdvi_command {
	uint64_t low, high;
};

#define AMDVI_OPCODE(command) ((uint32_t)((command)->low >> 60))
#define AMDVI_COMPLETION_WAIT 1
#define AMDVI_INVALIDATE_DEVTAB_ENTRY 2
#define AMDVI_INVALIDATE_IOMMU_PAGES 3
#define AMDVI_INVALIDATE_IOTLB_PAGES 4
#define AMDVI_INVALIDATE_INTERRUPT_TABLE 5
#define AMDVI_INVALIDATE_IOMMU_ALL 8

#define AMDVI_OP(opcode) ((uint64_t)(opcode) << 60)

/* Second word of page invalidations. */
#define AMDVI_INV_S (UINT64_C(1) << 0)	 /* the address tells the size */
#define AMDVI_INV_PDE (UINT64_C(1) << 1) /* entries above the leaves, too */
#define AMDVI_INV_GN (UINT64_C(1) << 2)	 /* guest tables, by PASID */
/* Everything (2.4.3): ones from 62 to 12. */
#define AMDVI_INV_EVERYTHING UINT64_C(0x7ffffffffffff000)

#define AMDVI_PAGE_SHIFT 12

/* Store @number at @paddr, a multiple of 8, when all before has been carried out. */
static inline struct amdvi_command amdvi_wait(uint64_t paddr, uint64_t number)
{
	return (struct amdvi_command){ AMDVI_OP(AMDVI_COMPLETION_WAIT) | paddr | 1, number };
}

static inline struct amdvi_command amdvi_devtab_entry(uint32_t device)
{
	return (struct amdvi_command){ AMDVI_OP(AMDVI_INVALIDATE_DEVTAB_ENTRY) | (device & 0xffff), 0 };
}

/* What is remembered of a device's interrupt entries (2.4.5). */
static inline struct amdvi_command amdvi_interrupt_table(uint32_t device)
{
	return (struct amdvi_command){ AMDVI_OP(AMDVI_INVALIDATE_INTERRUPT_TABLE) | (device & 0xffff), 0 };
}

static inline struct amdvi_command amdvi_all(void)
{
	return (struct amdvi_command){ AMDVI_OP(AMDVI_INVALIDATE_IOMMU_ALL), 0 };
}

/* Address and S of the naturally aligned block of 2^@shift bytes that @address is in (2.4.3): the lowest zero at or above bit 12 is the upper half's bit. */
static inline uint64_t amdvi_block(uint64_t address, uint32_t shift)
{
	uint64_t half;

	if (shift <= AMDVI_PAGE_SHIFT)
		return address & ~UINT64_C(0xfff);
	if (shift >= 64)
		return AMDVI_INV_EVERYTHING | AMDVI_INV_S;
	half = UINT64_C(1) << (shift - 1);
	return (address & ~(2 * half - 1)) | ((half - 1) & ~UINT64_C(0xfff)) | AMDVI_INV_S;
}

/* Of a domain: @block from amdvi_block(), @flags PDE and GN. The one PASID of guest tables is 0. */
static inline struct amdvi_command amdvi_pages(uint32_t domain, uint64_t block, uint64_t flags)
{
	return (struct amdvi_command){ AMDVI_OP(AMDVI_INVALIDATE_IOMMU_PAGES) | (uint64_t)domain << 32, block | flags };
}

/* Of a device's own TLB, which takes up to @depth at a time (2.4.4). The queue is the device's number, as there is one for each. */
static inline struct amdvi_command amdvi_iotlb_pages(uint32_t device, uint32_t depth, uint64_t block)
{
	return (struct amdvi_command){ AMDVI_OP(AMDVI_INVALIDATE_IOTLB_PAGES) | (uint64_t)(device & 0xffff) << 32 | (uint64_t)(depth & 0xff) << 24 | (device & 0xffff), block };
}

#endif

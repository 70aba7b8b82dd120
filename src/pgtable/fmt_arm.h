/* SPDX-License-Identifier: MIT */
/*
 * Armv8 long-descriptor tables (Arm ARM D8.3; SMMUv3 3.4), for both stages and all granules. Each format defines ARM_STAGE (1, 2), ARM_GRANULE_SHIFT (12, 14, 16) and
 * ARM_LPA2 (descriptors with 52 address bits at 4 KiB and 16 KiB, TCR.DS; at 64 KiB they always have them) and includes this. Level 0 is the specification's
 * level 3, 1 its level 2, and so on; 4 its level -1.
 *
 * What the unit must be told goes with what is written here:
 *   stage 1   MAIR: Attr0 = 0xff (write-back), Attr1 = 0x44 (not cacheable), Attr2 = 0x04 (Device-nGnRE); with ARM_LPA2, TCR.SH0 = inner shareable
 *   stage 2   roots are concatenated wherever that saves a level (D8.2.2): start level and T0SZ follow from iog_pgtable_root()
 *
 * Stage 1: READ is implied, AP[1] (unprivileged) and nG are set. Stage 2: READ and WRITE are independent. AF is set beforehand.
 * NOCACHE and DEVICE choose the memory type; COHERENT is ignored, as cacheable memory is inner shareable. A group is what the contiguous bit joins.
 */
#ifndef IOG_PGTABLE_FMT_ARM_H
#define IOG_PGTABLE_FMT_ARM_H

#include "pgtable.h"

#define ARM_VALID (UINT64_C(1) << 0)
#define ARM_TYPE (UINT64_C(1) << 1) /* a table; at level 0, a page */
#define ARM_ATTR_SHIFT 2            /* AttrIndx, of 3 bits, or MemAttr, of 4 */
#define ARM_AP_UNPRIVILEGED (UINT64_C(1) << 6)
#define ARM_AP_READ_ONLY (UINT64_C(1) << 7)
#define ARM_S2AP_R (UINT64_C(1) << 6)
#define ARM_S2AP_W (UINT64_C(1) << 7)
#define ARM_SH_OUTER (UINT64_C(2) << 8)
#define ARM_SH_INNER (UINT64_C(3) << 8)
#define ARM_AF (UINT64_C(1) << 10)
#define ARM_NG (UINT64_C(1) << 11)
#define ARM_DBM (UINT64_C(1) << 51)
#define ARM_CONTIGUOUS (UINT64_C(1) << 52)
#define ARM_PXN (UINT64_C(1) << 53)
#define ARM_XN (UINT64_C(1) << 54)

/* MemAttr of stage 2. */
#define ARM_S2_WB UINT64_C(0xf)
#define ARM_S2_NC UINT64_C(0x5)
#define ARM_S2_DEVICE UINT64_C(0x1)

#define FMT_GRANULE_SHIFT ARM_GRANULE_SHIFT
#define FMT_LEVEL_BITS (ARM_GRANULE_SHIFT - 3)
#define FMT_SIGN_EXTENDS false
#define FMT_PROT (IOG_PROT_READ | IOG_PROT_WRITE | IOG_PROT_EXEC | IOG_PROT_COHERENT | IOG_PROT_NOCACHE | IOG_PROT_DEVICE)
#define FMT_GROUP_STEPS true
#define FMT_BREAKS true
/* 58:55 are software's (D8.3.2), in both stages. */
#define FMT_USERS_SHIFT 55
#define FMT_USERS_BITS 4
#define FMT_RWX (ARM_XN | ARM_DBM | (ARM_STAGE == 1 ? ARM_PXN | ARM_AP_READ_ONLY : ARM_S2AP_R | ARM_S2AP_W))
#define FMT_DIRTY_PRESET true
#if ARM_STAGE == 2
#define FMT_ROOT_BITS 4
#endif

/* From 32 to 48 or 52 bits. */
#define ARM_IAS_TO(most) (((IAS(most) << 1) - 1) & ~(IAS(32) - 1))
#if ARM_LPA2 || ARM_GRANULE_SHIFT == 16
#define FMT_OAS_MAX 52
#define FMT_IAS_ALLOWED ARM_IAS_TO(52)
#else
#define FMT_OAS_MAX 48
#define FMT_IAS_ALLOWED ARM_IAS_TO(48)
#endif

/* Sizes of blocks (D8.3.1) and of contiguous groups (D8.6.1). The 4 TiB blocks of 52-bit units at 64 KiB are not used. */
#if ARM_GRANULE_SHIFT == 12
#define ARM_CONTIGUOUS_SHIFT(level) 4
#define ARM_SIZES ((UINT64_C(1) << 12) | (UINT64_C(1) << 16) | (UINT64_C(1) << 21) | (UINT64_C(1) << 25) | (UINT64_C(1) << 30) | (UINT64_C(1) << 34))
#define ARM_SIZES_LPA2 (UINT64_C(1) << 39)
#elif ARM_GRANULE_SHIFT == 14
#define ARM_CONTIGUOUS_SHIFT(level) ((level) ? 5 : 7)
#define ARM_SIZES ((UINT64_C(1) << 14) | (UINT64_C(1) << 21) | (UINT64_C(1) << 25) | (UINT64_C(1) << 30))
#define ARM_SIZES_LPA2 (UINT64_C(1) << 36)
#else
#define ARM_CONTIGUOUS_SHIFT(level) 5
#define ARM_SIZES ((UINT64_C(1) << 16) | (UINT64_C(1) << 21) | (UINT64_C(1) << 29) | (UINT64_C(1) << 34))
#define ARM_SIZES_LPA2 UINT64_C(0)
#endif
#define FMT_PAGE_SIZES (ARM_SIZES | (ARM_LPA2 ? ARM_SIZES_LPA2 : 0))
#define FMT_GROUP_MIN (UINT64_C(1) << (ARM_GRANULE_SHIFT + ARM_CONTIGUOUS_SHIFT(0)))

/* Where the upper address bits are. */
#if ARM_GRANULE_SHIFT == 16
#define ARM_ADDRESS UINT64_C(0x0000ffffffff0000)
#define ARM_ADDRESS_HIGH (UINT64_C(0xf) << 12)
#define ARM_ADDRESS_MOVE 36
#define FMT_CARRY_SHIFT 48
#elif ARM_LPA2
#define ARM_ADDRESS ((UINT64_C(1) << 50) - (UINT64_C(1) << ARM_GRANULE_SHIFT))
#define ARM_ADDRESS_HIGH (UINT64_C(3) << 8)
#define ARM_ADDRESS_MOVE 42
#define FMT_CARRY_SHIFT 50
#define FMT_LOW_BITS (UINT64_C(0xfff) & ~ARM_ADDRESS_HIGH)
#else
#define ARM_ADDRESS ((UINT64_C(1) << 48) - (UINT64_C(1) << ARM_GRANULE_SHIFT))
#define ARM_ADDRESS_HIGH UINT64_C(0)
#define ARM_ADDRESS_MOVE 0
#endif

static inline uint64_t arm_address(uint64_t paddr)
{
	return (paddr & ARM_ADDRESS) | (paddr >> ARM_ADDRESS_MOVE & ARM_ADDRESS_HIGH);
}
#define fmt_address arm_address

static inline uint64_t arm_paddr(uint64_t entry)
{
	return (entry & ARM_ADDRESS) | (entry & ARM_ADDRESS_HIGH) << ARM_ADDRESS_MOVE;
}
#define fmt_paddr arm_paddr

static inline bool arm_present(uint64_t entry)
{
	return entry & ARM_VALID;
}
#define fmt_present arm_present

static inline bool arm_is_leaf(uint64_t entry, uint32_t level)
{
	return (entry & (ARM_VALID | ARM_TYPE)) == (level ? ARM_VALID : ARM_VALID | ARM_TYPE);
}
#define fmt_is_leaf arm_is_leaf

static inline bool arm_is_table(uint64_t entry)
{
	return (entry & (ARM_VALID | ARM_TYPE)) == (ARM_VALID | ARM_TYPE);
}
#define fmt_is_table arm_is_table

static inline uint64_t arm_table(uint64_t paddr, uint32_t level)
{
	(void)level;
	return arm_address(paddr) | ARM_VALID | ARM_TYPE;
}
#define fmt_table arm_table

static inline uint64_t arm_leaf_bits(uint32_t prot, uint32_t level)
{
	uint64_t bits = ARM_VALID | ARM_AF | (level ? 0 : ARM_TYPE) | (prot & IOG_PROT_EXEC ? 0 : ARM_XN);
	bool device = prot & IOG_PROT_DEVICE, cached = !(prot & (IOG_PROT_DEVICE | IOG_PROT_NOCACHE));

	if (!ARM_LPA2)
		bits |= cached ? ARM_SH_INNER : ARM_SH_OUTER;
	if (ARM_STAGE == 1)
		return bits | (uint64_t)(device ? 2 : cached ? 0 : 1) << ARM_ATTR_SHIFT | ARM_AP_UNPRIVILEGED | ARM_NG |
		       (prot & IOG_PROT_WRITE ? 0 : ARM_AP_READ_ONLY) | (prot & IOG_PROT_EXEC ? 0 : ARM_PXN);
	return bits | (device ? ARM_S2_DEVICE : cached ? ARM_S2_WB : ARM_S2_NC) << ARM_ATTR_SHIFT | (prot & IOG_PROT_READ ? ARM_S2AP_R : 0) |
	       (prot & IOG_PROT_WRITE ? ARM_S2AP_W : 0);
}
#define fmt_leaf_bits arm_leaf_bits

static inline uint64_t arm_leaf_below(uint64_t entry, uint32_t level)
{
	return level == 1 ? entry | ARM_TYPE : entry;
}
#define fmt_leaf_below arm_leaf_below

/* Dirty is that it may be written without further ado; DBM says that hardware may make it so. */
static inline bool arm_is_dirty(uint64_t entry)
{
	return ARM_STAGE == 1 ? !(entry & ARM_AP_READ_ONLY) : entry & ARM_S2AP_W;
}
#define fmt_is_dirty arm_is_dirty

static inline bool arm_is_writable(uint64_t entry)
{
	return entry & ARM_DBM || arm_is_dirty(entry);
}

static inline uint64_t arm_clean(uint64_t entry)
{
	if (!arm_is_writable(entry))
		return entry;
	return ARM_DBM | (ARM_STAGE == 1 ? entry | ARM_AP_READ_ONLY : entry & ~ARM_S2AP_W);
}
#define fmt_clean arm_clean

static inline uint64_t arm_soil(uint64_t entry)
{
	if (!arm_is_writable(entry))
		return entry;
	return (ARM_STAGE == 1 ? entry & ~ARM_AP_READ_ONLY : entry | ARM_S2AP_W) & ~ARM_DBM;
}
#define fmt_soil arm_soil

static inline uint32_t arm_prot(uint64_t entry)
{
	uint64_t attr = entry >> ARM_ATTR_SHIFT & (ARM_STAGE == 1 ? 7 : 15);
	uint32_t prot = entry & ARM_XN ? 0 : IOG_PROT_EXEC;

	if (ARM_STAGE == 1)
		return prot | IOG_PROT_READ | (arm_is_writable(entry) ? IOG_PROT_WRITE : 0) |
		       (attr == 2 ? IOG_PROT_DEVICE : attr == 1 ? IOG_PROT_NOCACHE : 0);
	return prot | (entry & ARM_S2AP_R ? IOG_PROT_READ : 0) | (arm_is_writable(entry) ? IOG_PROT_WRITE : 0) |
	       (attr == ARM_S2_DEVICE ? IOG_PROT_DEVICE : attr == ARM_S2_NC ? IOG_PROT_NOCACHE : 0);
}
#define fmt_prot arm_prot

static inline uint32_t arm_leaf_shift(uint64_t entry, uint32_t level)
{
	return FMT_GRANULE_SHIFT + FMT_LEVEL_BITS * level + (entry & ARM_CONTIGUOUS ? ARM_CONTIGUOUS_SHIFT(level) : 0);
}
#define fmt_leaf_shift arm_leaf_shift

static inline uint64_t arm_group(uint64_t entry, uint32_t level, uint32_t shift)
{
	(void)level, (void)shift;
	return entry | ARM_CONTIGUOUS;
}
#define fmt_group arm_group

static inline uint64_t arm_ungroup(uint64_t entry, uint32_t level, uint32_t index)
{
	(void)level, (void)index;
	return entry & ~ARM_CONTIGUOUS;
}
#define fmt_ungroup arm_ungroup

_Static_assert(!(IOG_TABLE_POISON_LOW & ARM_VALID), "a poisoned entry is not present");

#endif

/* SPDX-License-Identifier: MIT */
/*
 * AMD v1 host tables (AMD IOMMU 3.08, 2.2.3): 1 to 6 levels, up to 64 address bits. Level 0 is the specification's level 1 table, of page-table entries, and so on up: an entry
 * at our level n that leads to a table has Next Level n.
 *
 * READ (IR) and WRITE (IW) are independent. EXEC is ignored, COHERENT is FC. A and D (bits 5, 6) are left clear: units set them if the device table entry says so.
 * A group is a page of another size than a level's own: Next Level 7 in all its entries, its size written as ones below the first zero of the address.
 * Entries written here lead to the level below and never skip one.
 */
#include "pgtable.h"

#define AMDV1_PR (UINT64_C(1) << 0)
#define AMDV1_D (UINT64_C(1) << 6)
#define AMDV1_NEXT_SHIFT 9
#define AMDV1_NEXT_MASK (UINT64_C(7) << AMDV1_NEXT_SHIFT)
#define AMDV1_NEXT_LEAF UINT64_C(0)
#define AMDV1_NEXT_SIZED AMDV1_NEXT_MASK
#define AMDV1_ADDRESS UINT64_C(0x000ffffffffff000)
#define AMDV1_FC (UINT64_C(1) << 60)
#define AMDV1_IR (UINT64_C(1) << 61)
#define AMDV1_IW (UINT64_C(1) << 62)
#define AMDV1_RW_SHIFT 61

#define FMT_GRANULE_SHIFT 12
#define FMT_LEVEL_BITS 9
#define FMT_PAGE_SIZES (AMDV1_ADDRESS) /* every power of two from 4 KiB to half of what 52 bits express */
#define FMT_OAS_MAX 52
#define FMT_SIGN_EXTENDS false
#define FMT_PROT (IOG_PROT_READ | IOG_PROT_WRITE | IOG_PROT_EXEC | IOG_PROT_COHERENT)
#define FMT_IAS_ALLOWED (~(IAS(21) - 1) | IAS(64))
#define FMT_LEVELS_MIN 1
#define FMT_GROWS true
#define FMT_GROUP_MIN (UINT64_C(1) << 13)
#define FMT_GROUP_STEPS false
/* 4:1 are ignored in leaf entries. */
#define FMT_USERS_SHIFT 1
#define FMT_USERS_BITS 4

_Static_assert(IOG_PROT_READ << 1 == IOG_PROT_WRITE && AMDV1_IR << 1 == AMDV1_IW, "READ and WRITE move together");

static inline bool amdv1_present(uint64_t entry)
{
	return entry & AMDV1_PR;
}
#define fmt_present amdv1_present

static inline bool amdv1_is_leaf(uint64_t entry, uint32_t level)
{
	uint64_t next = entry & AMDV1_NEXT_MASK;

	(void)level;
	return entry & AMDV1_PR && (next == AMDV1_NEXT_LEAF || next == AMDV1_NEXT_SIZED);
}
#define fmt_is_leaf amdv1_is_leaf

static inline bool amdv1_is_table(uint64_t entry)
{
	return entry & AMDV1_PR && !amdv1_is_leaf(entry, 0);
}
#define fmt_is_table amdv1_is_table

static inline uint64_t amdv1_table(uint64_t paddr, uint32_t level)
{
	return paddr | AMDV1_PR | (uint64_t)level << AMDV1_NEXT_SHIFT | AMDV1_IR | AMDV1_IW;
}
#define fmt_table amdv1_table

static inline uint64_t amdv1_leaf_bits(uint32_t prot, uint32_t level)
{
	(void)level;
	return AMDV1_PR | (uint64_t)(prot & (IOG_PROT_READ | IOG_PROT_WRITE)) << AMDV1_RW_SHIFT | (prot & IOG_PROT_COHERENT ? AMDV1_FC : 0);
}
#define fmt_leaf_bits amdv1_leaf_bits

static inline uint64_t amdv1_leaf_below(uint64_t entry, uint32_t level)
{
	(void)level;
	return entry;
}
#define fmt_leaf_below amdv1_leaf_below

static inline uint64_t amdv1_paddr(uint64_t entry)
{
	return entry & AMDV1_ADDRESS;
}
#define fmt_paddr amdv1_paddr

static inline uint32_t amdv1_prot(uint64_t entry)
{
	return ((uint32_t)(entry >> AMDV1_RW_SHIFT) & (IOG_PROT_READ | IOG_PROT_WRITE)) | (entry & AMDV1_FC ? IOG_PROT_COHERENT : 0);
}
#define fmt_prot amdv1_prot

/* The first zero at or above bit 12 is the upper half's bit: 8 KiB if bit 12 is clear, 16 KiB if only bit 12 is set. */
static inline uint32_t amdv1_leaf_shift(uint64_t entry, uint32_t level)
{
	if ((entry & AMDV1_NEXT_MASK) != AMDV1_NEXT_SIZED)
		return FMT_GRANULE_SHIFT + FMT_LEVEL_BITS * level;
	return lowest_bit(~(entry | ~AMDV1_ADDRESS) | UINT64_C(1) << 52) + 1;
}
#define fmt_leaf_shift amdv1_leaf_shift

static inline uint64_t amdv1_group(uint64_t entry, uint32_t level, uint32_t shift)
{
	(void)level;
	return entry | AMDV1_NEXT_SIZED | (((UINT64_C(1) << (shift - 1)) - 1) & AMDV1_ADDRESS);
}
#define fmt_group amdv1_group

static inline uint64_t amdv1_ungroup(uint64_t entry, uint32_t level, uint32_t index)
{
	uint64_t suffix = ((UINT64_C(1) << amdv1_leaf_shift(entry, level)) - 1) & AMDV1_ADDRESS;

	return (entry & ~(AMDV1_NEXT_MASK | suffix)) + ((uint64_t)index << (FMT_GRANULE_SHIFT + FMT_LEVEL_BITS * level));
}
#define fmt_ungroup amdv1_ungroup

#define FMT_RWX (AMDV1_IR | AMDV1_IW)
#define FMT_DIRTY_PRESET false

static inline bool amdv1_is_dirty(uint64_t entry)
{
	return entry & AMDV1_D;
}
#define fmt_is_dirty amdv1_is_dirty

static inline uint64_t amdv1_clean(uint64_t entry)
{
	return entry & ~AMDV1_D;
}
#define fmt_clean amdv1_clean

static inline uint64_t amdv1_soil(uint64_t entry)
{
	return entry | AMDV1_D;
}
#define fmt_soil amdv1_soil

_Static_assert(!(IOG_TABLE_POISON_LOW & AMDV1_PR), "a poisoned entry is not present");

#define PT_FORMAT amdv1
#include "variants.h"

/* SPDX-License-Identifier: MIT */
/*
 * Long-mode tables: VT-d first stage (VT-d 3.7, 9.7) and AMD v2 (AMD IOMMU 3.08, 2.2.6). Level 0 is the PTE, 1 PDE, 2 PDPE, 3 PML4E, 4 PML5E.
 *
 * READ is implied by presence. U/S is set at every level, because a device's request is a user request unless its PASID says otherwise, and the check is made at each.
 * A and D are set beforehand: the unit then has no reason to write to tables that lanes change at the same time. While dirty bits are tracked, D is left clear.
 * COHERENT is ignored: the PASID entry decides on snooping here.
 */
#include "pgtable.h"

#define X86_64_P (UINT64_C(1) << 0)
#define X86_64_RW (UINT64_C(1) << 1)
#define X86_64_US (UINT64_C(1) << 2)
#define X86_64_A (UINT64_C(1) << 5)
#define X86_64_D (UINT64_C(1) << 6)
#define X86_64_PS (UINT64_C(1) << 7)
#define X86_64_NX (UINT64_C(1) << 63)
#define X86_64_ADDRESS UINT64_C(0x000ffffffffff000)

#define FMT_GRANULE_SHIFT 12
#define FMT_LEVEL_BITS 9
#define FMT_PAGE_SIZES ((UINT64_C(1) << 12) | (UINT64_C(1) << 21) | (UINT64_C(1) << 30))
#define FMT_OAS_MAX 52
#define FMT_SIGN_EXTENDS true
#define FMT_PROT (IOG_PROT_READ | IOG_PROT_WRITE | IOG_PROT_EXEC | IOG_PROT_COHERENT)
/* 58:52 are ignored in leaf entries; 62:59 too, unless protection keys are in use. */
#define FMT_USERS_SHIFT 52
#define FMT_USERS_BITS 7
#define FMT_IAS_ALLOWED (IAS(48) | IAS(57))

static inline bool x86_64_present(uint64_t entry)
{
	return entry & X86_64_P;
}
#define fmt_present x86_64_present

static inline bool x86_64_is_leaf(uint64_t entry, uint32_t level)
{
	return entry & X86_64_P && (!level || entry & X86_64_PS);
}
#define fmt_is_leaf x86_64_is_leaf

static inline bool x86_64_is_table(uint64_t entry)
{
	return (entry & (X86_64_P | X86_64_PS)) == X86_64_P;
}
#define fmt_is_table x86_64_is_table

static inline uint64_t x86_64_table(uint64_t paddr, uint32_t level)
{
	(void)level;
	return paddr | X86_64_P | X86_64_RW | X86_64_US | X86_64_A;
}
#define fmt_table x86_64_table

/* Everything of a leaf entry but its address. */
static inline uint64_t x86_64_leaf_bits(uint32_t prot, uint32_t level)
{
	return X86_64_P | X86_64_US | X86_64_A | X86_64_D | (prot & IOG_PROT_WRITE ? X86_64_RW : 0) | (prot & IOG_PROT_EXEC ? 0 : X86_64_NX) |
	       (level ? X86_64_PS : 0);
}
#define fmt_leaf_bits x86_64_leaf_bits

/* The same leaf, one level down: only PS depends on the level. */
static inline uint64_t x86_64_leaf_below(uint64_t entry, uint32_t level)
{
	return level == 1 ? entry & ~X86_64_PS : entry;
}
#define fmt_leaf_below x86_64_leaf_below

static inline uint64_t x86_64_paddr(uint64_t entry)
{
	return entry & X86_64_ADDRESS;
}
#define fmt_paddr x86_64_paddr

static inline uint32_t x86_64_prot(uint64_t entry)
{
	return IOG_PROT_READ | (entry & X86_64_RW ? IOG_PROT_WRITE : 0) | (entry & X86_64_NX ? 0 : IOG_PROT_EXEC);
}
#define fmt_prot x86_64_prot

#define FMT_RWX (X86_64_RW | X86_64_NX)
#define FMT_DIRTY_PRESET true

static inline bool x86_64_is_dirty(uint64_t entry)
{
	return entry & X86_64_D;
}
#define fmt_is_dirty x86_64_is_dirty

static inline uint64_t x86_64_clean(uint64_t entry)
{
	return entry & ~X86_64_D;
}
#define fmt_clean x86_64_clean

static inline uint64_t x86_64_soil(uint64_t entry)
{
	return entry | X86_64_D;
}
#define fmt_soil x86_64_soil

_Static_assert(!(IOG_TABLE_POISON_LOW & X86_64_P), "a poisoned entry is not present");

#define PT_FORMAT x86_64
#include "variants.h"

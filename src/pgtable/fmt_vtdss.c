/* SPDX-License-Identifier: MIT */
/*
 * VT-d second-stage tables (VT-d 3.7, 9.8). Level 0 is the specification's SL-PTE, 1 SL-PDE, 2 SL-PDPE, 3 SL-PML4E, 4 SL-PML5E.
 *
 * READ and WRITE are independent; a leaf with neither is not present. EXEC is ignored: no device issues execute requests without PASID.
 * A and D (bits 8, 9) are left clear: units that set them are told to by the PASID entry only (SLADE).
 */
#include "pgtable.h"

#define VTDSS_R (UINT64_C(1) << 0)
#define VTDSS_W (UINT64_C(1) << 1)
#define VTDSS_PS (UINT64_C(1) << 7)
#define VTDSS_D (UINT64_C(1) << 9)
#define VTDSS_SNP (UINT64_C(1) << 11)
#define VTDSS_ADDRESS UINT64_C(0x000ffffffffff000)

_Static_assert(VTDSS_R == IOG_PROT_READ && VTDSS_W == IOG_PROT_WRITE, "vtdss_leaf_bits() takes one for the other");

#define FMT_GRANULE_SHIFT 12
#define FMT_LEVEL_BITS 9
#define FMT_PAGE_SIZES ((UINT64_C(1) << 12) | (UINT64_C(1) << 21) | (UINT64_C(1) << 30))
#define FMT_OAS_MAX 52
#define FMT_SNOOP_CONTROL true
#define FMT_SIGN_EXTENDS false
#define FMT_PROT (IOG_PROT_READ | IOG_PROT_WRITE | IOG_PROT_EXEC | IOG_PROT_COHERENT)
/* 61:52 are ignored in leaf entries. */
#define FMT_USERS_SHIFT 52
#define FMT_USERS_BITS 10
#define FMT_IAS_ALLOWED (IAS(39) | IAS(48) | IAS(57))

static inline bool vtdss_present(uint64_t entry)
{
	return entry & (VTDSS_R | VTDSS_W);
}
#define fmt_present vtdss_present

static inline bool vtdss_is_leaf(uint64_t entry, uint32_t level)
{
	return vtdss_present(entry) && (!level || entry & VTDSS_PS);
}
#define fmt_is_leaf vtdss_is_leaf

static inline bool vtdss_is_table(uint64_t entry)
{
	return (entry & (VTDSS_R | VTDSS_W | VTDSS_PS)) == (VTDSS_R | VTDSS_W);
}
#define fmt_is_table vtdss_is_table

static inline uint64_t vtdss_table(uint64_t paddr, uint32_t level)
{
	(void)level;
	return paddr | VTDSS_R | VTDSS_W; /* always both: vtdss_is_table() asks for both */
}
#define fmt_table vtdss_table

/* Everything of a leaf entry but its address. */
static inline uint64_t vtdss_leaf_bits(uint32_t prot, uint32_t level)
{
	return (prot & (VTDSS_R | VTDSS_W)) | (prot & IOG_PROT_COHERENT ? VTDSS_SNP : 0) | (level ? VTDSS_PS : 0);
}
#define fmt_leaf_bits vtdss_leaf_bits

/* The same leaf, one level down: only PS depends on the level. */
static inline uint64_t vtdss_leaf_below(uint64_t entry, uint32_t level)
{
	return level == 1 ? entry & ~VTDSS_PS : entry;
}
#define fmt_leaf_below vtdss_leaf_below

static inline uint64_t vtdss_paddr(uint64_t entry)
{
	return entry & VTDSS_ADDRESS;
}
#define fmt_paddr vtdss_paddr

static inline uint32_t vtdss_prot(uint64_t entry)
{
	return (entry & VTDSS_R ? IOG_PROT_READ : 0) | (entry & VTDSS_W ? IOG_PROT_WRITE : 0) | (entry & VTDSS_SNP ? IOG_PROT_COHERENT : 0);
}
#define fmt_prot vtdss_prot

#define FMT_RWX (VTDSS_R | VTDSS_W)
#define FMT_DIRTY_PRESET false

static inline bool vtdss_is_dirty(uint64_t entry)
{
	return entry & VTDSS_D;
}
#define fmt_is_dirty vtdss_is_dirty

static inline uint64_t vtdss_clean(uint64_t entry)
{
	return entry & ~VTDSS_D;
}
#define fmt_clean vtdss_clean

static inline uint64_t vtdss_soil(uint64_t entry)
{
	return entry | VTDSS_D;
}
#define fmt_soil vtdss_soil

_Static_assert(!(IOG_TABLE_POISON_LOW & (VTDSS_R | VTDSS_W)), "a poisoned entry is not present");

#define PT_FORMAT vtdss
#include "variants.h"

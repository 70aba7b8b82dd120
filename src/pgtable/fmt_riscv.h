/* SPDX-License-Identifier: MIT */
/*
 * RISC-V tables (privileged architecture 4.4 to 4.6, 5.4, 5.5; RISC-V IOMMU 1.0, 3.3), for the first stage and the second. Both formats include this.
 *
 * WRITE implies READ (W without R is reserved). U is set in every leaf: requests without a process id are user requests, and the second stage checks as for one. A and D are
 * set beforehand, as a unit that does not update them (no Svadu) faults where they are clear; in table entries they are reserved.
 * NOCACHE and DEVICE become the memory types NC and IO of Svpbmt. COHERENT is ignored. A group is the 64 KiB page of Svnapot.
 * Where a unit has no Svnapot, leave 64 KiB out of the page sizes.
 */
#ifndef IOG_PGTABLE_FMT_RISCV_H
#define IOG_PGTABLE_FMT_RISCV_H

#include "pgtable.h"

#define RISCV_V (UINT64_C(1) << 0)
#define RISCV_R (UINT64_C(1) << 1)
#define RISCV_W (UINT64_C(1) << 2)
#define RISCV_X (UINT64_C(1) << 3)
#define RISCV_U (UINT64_C(1) << 4)
#define RISCV_A (UINT64_C(1) << 6)
#define RISCV_D (UINT64_C(1) << 7)
#define RISCV_PPN UINT64_C(0x003ffffffffffc00)
#define RISCV_PPN_SHIFT 2 /* bits that an address is moved right */
#define RISCV_PBMT_NC (UINT64_C(1) << 61)
#define RISCV_PBMT_IO (UINT64_C(2) << 61)
#define RISCV_N (UINT64_C(1) << 63)
#define RISCV_NAPOT_64K (UINT64_C(8) << 10)      /* the lowest bit set says how large: 2^4 pages */
#define RISCV_NAPOT_INDEX (UINT64_C(0xf) << 10)
#define RISCV_NAPOT_SHIFT 16

#define FMT_GRANULE_SHIFT 12
#define FMT_LEVEL_BITS 9
#define FMT_PAGE_SIZES \
	((UINT64_C(1) << 12) | (UINT64_C(1) << RISCV_NAPOT_SHIFT) | (UINT64_C(1) << 21) | (UINT64_C(1) << 30) | (UINT64_C(1) << 39) | (UINT64_C(1) << 48))
#define FMT_OAS_MAX 56
#define FMT_PROT (IOG_PROT_READ | IOG_PROT_WRITE | IOG_PROT_EXEC | IOG_PROT_COHERENT | IOG_PROT_NOCACHE | IOG_PROT_DEVICE)
#define FMT_LOW_BITS UINT64_C(0x3ff)
#define FMT_GROUP_MIN (UINT64_C(1) << RISCV_NAPOT_SHIFT)
#define FMT_GROUP_STEPS false
/* RSW. */
#define FMT_USERS_SHIFT 8
#define FMT_USERS_BITS 2

static inline uint64_t riscv_address(uint64_t paddr)
{
	return paddr >> RISCV_PPN_SHIFT;
}
#define fmt_address riscv_address

static inline bool riscv_present(uint64_t entry)
{
	return entry & RISCV_V;
}
#define fmt_present riscv_present

static inline bool riscv_is_leaf(uint64_t entry, uint32_t level)
{
	(void)level;
	return entry & RISCV_V && entry & (RISCV_R | RISCV_X);
}
#define fmt_is_leaf riscv_is_leaf

static inline bool riscv_is_table(uint64_t entry)
{
	return (entry & (RISCV_V | RISCV_R | RISCV_W | RISCV_X)) == RISCV_V;
}
#define fmt_is_table riscv_is_table

static inline uint64_t riscv_table(uint64_t paddr, uint32_t level)
{
	(void)level;
	return riscv_address(paddr) | RISCV_V;
}
#define fmt_table riscv_table

static inline uint64_t riscv_leaf_bits(uint32_t prot, uint32_t level)
{
	(void)level;
	return RISCV_V | RISCV_R | RISCV_U | RISCV_A | RISCV_D | (prot & IOG_PROT_WRITE ? RISCV_W : 0) | (prot & IOG_PROT_EXEC ? RISCV_X : 0) |
	       (prot & IOG_PROT_DEVICE    ? RISCV_PBMT_IO
		: prot & IOG_PROT_NOCACHE ? RISCV_PBMT_NC
					  : 0);
}
#define fmt_leaf_bits riscv_leaf_bits

static inline uint64_t riscv_leaf_below(uint64_t entry, uint32_t level)
{
	(void)level;
	return entry;
}
#define fmt_leaf_below riscv_leaf_below

static inline uint64_t riscv_paddr(uint64_t entry)
{
	return (entry & RISCV_PPN) << RISCV_PPN_SHIFT;
}
#define fmt_paddr riscv_paddr

static inline uint32_t riscv_prot(uint64_t entry)
{
	return (entry & RISCV_R ? IOG_PROT_READ : 0) | (entry & RISCV_W ? IOG_PROT_WRITE : 0) | (entry & RISCV_X ? IOG_PROT_EXEC : 0) |
	       (entry & RISCV_PBMT_NC ? IOG_PROT_NOCACHE : 0) | (entry & RISCV_PBMT_IO ? IOG_PROT_DEVICE : 0);
}
#define fmt_prot riscv_prot

static inline uint32_t riscv_leaf_shift(uint64_t entry, uint32_t level)
{
	return entry & RISCV_N ? RISCV_NAPOT_SHIFT : FMT_GRANULE_SHIFT + FMT_LEVEL_BITS * level;
}
#define fmt_leaf_shift riscv_leaf_shift

static inline uint64_t riscv_group(uint64_t entry, uint32_t level, uint32_t shift)
{
	(void)level, (void)shift;
	return entry | RISCV_N | RISCV_NAPOT_64K;
}
#define fmt_group riscv_group

static inline uint64_t riscv_ungroup(uint64_t entry, uint32_t level, uint32_t index)
{
	(void)level;
	return (entry & ~(RISCV_N | RISCV_NAPOT_INDEX)) | (uint64_t)index << 10;
}
#define fmt_ungroup riscv_ungroup

#define FMT_RWX (RISCV_R | RISCV_W | RISCV_X)
#define FMT_DIRTY_PRESET true

static inline bool riscv_is_dirty(uint64_t entry)
{
	return entry & RISCV_D;
}
#define fmt_is_dirty riscv_is_dirty

static inline uint64_t riscv_clean(uint64_t entry)
{
	return entry & ~RISCV_D;
}
#define fmt_clean riscv_clean

static inline uint64_t riscv_soil(uint64_t entry)
{
	return entry | RISCV_D;
}
#define fmt_soil riscv_soil

_Static_assert(!(IOG_TABLE_POISON_LOW & RISCV_V), "a poisoned entry is not present");

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What the simulated unit makes of an entry, format by format. See walk.h.
 *
 * Accessed and dirty bits, snooping and memory types refuse no access; nor does execute permission, as there are no execute requests here.
 */
#include <string.h>

#include "internal.h"

#define READ IOG_PROT_READ
#define WRITE IOG_PROT_WRITE
#define BIT(n) (UINT64_C(1) << (n))
#define BITS(high, low) (((BIT(high) << 1) - 1) & ~(BIT(low) - 1))

static struct walk_entry faulty(enum walk_fault fault)
{
	return (struct walk_entry){ .fault = fault };
}

/* An entry of the level's own size, or that leads to the level below. */
static struct walk_entry entry_of(const struct walk_format *format, uint32_t level, bool leaf, iog_paddr_t paddr, uint32_t prot)
{
	struct walk_geometry geometry = { format->granule_shift, format->level_bits };

	return (struct walk_entry){ WALK_OK, leaf ? ENTRY_LEAF : ENTRY_TABLE, leaf ? 0 : level - 1, walk_shift(geometry, level), paddr, prot };
}

/* A leaf's address has no bits below its size. */
static bool is_aligned(const struct walk_entry *entry)
{
	return entry->kind != ENTRY_LEAF || !(entry->paddr & (BIT(entry->shift) - 1));
}

/*
 * VT-d 9.7 and 9.8: a leaf at level 0, or where PS (bit 7) says so, up to 1 GiB; PS is reserved above. Bit 12 of a large leaf of x86-64 is the PAT bit;
 * no memory type is used here, so it has to be clear like the rest.
 */
static struct walk_entry decode_intel(const struct walk_format *format, uint64_t entry, uint32_t level, uint32_t prot)
{
	struct walk_entry decoded = entry_of(format, level, !level || entry & BIT(7), entry & BITS(51, 12), prot);

	if ((decoded.kind == ENTRY_LEAF && level > 2) || !is_aligned(&decoded))
		decoded.fault = WALK_FAULT_RESERVED;
	return decoded;
}

/* VT-d 9.8. X (bit 2) only matters to units with execute requests. */
static struct walk_entry decode_vtdss(const struct walk_format *format, uint64_t entry, uint32_t level)
{
	uint32_t prot = (entry & BIT(0) ? READ : 0) | (entry & BIT(1) ? WRITE : 0);

	return prot ? decode_intel(format, entry, level, prot) : faulty(WALK_FAULT_NOT_PRESENT);
}

/* VT-d 9.7. Devices' requests are user requests: every level has to allow them. */
static struct walk_entry decode_x86_64(const struct walk_format *format, uint64_t entry, uint32_t level)
{
	struct walk_entry decoded;

	if (!(entry & BIT(0)))
		return faulty(WALK_FAULT_NOT_PRESENT);
	decoded = decode_intel(format, entry, level, READ | (entry & BIT(1) ? WRITE : 0));
	if (decoded.fault == WALK_OK && !(entry & BIT(2)))
		decoded.fault = WALK_FAULT_SUPERVISOR;
	return decoded;
}

/*
 * AMD IOMMU 2.2.3. Next Level 0 is a leaf of the level's size, 7 one whose size the address tells: 4 KiB doubled once, and once more for each one from bit 12 up.
 * Others lead to a table of that level, which may lie several below.
 */
static struct walk_entry decode_amdv1(const struct walk_format *format, uint64_t entry, uint32_t level)
{
	uint32_t next = (uint32_t)(entry >> 9) & 7, prot = (entry & BIT(61) ? READ : 0) | (entry & BIT(62) ? WRITE : 0);
	struct walk_entry decoded;

	if (!(entry & BIT(0)))
		return faulty(WALK_FAULT_NOT_PRESENT);
	decoded = entry_of(format, level, next == 0 || next == 7, entry & BITS(51, 12), prot);
	if (next == 7) {
		uint32_t ones = 0;

		while (ones < 39 && entry & BIT(12 + ones))
			ones++;
		decoded.shift = 13 + ones;
		decoded.paddr &= ~(BIT(decoded.shift) - 1);
	} else if (next) {
		decoded.level = next - 1;
		if (next > level)
			decoded.fault = WALK_FAULT_RESERVED;
	}
	if (!is_aligned(&decoded))
		decoded.fault = WALK_FAULT_RESERVED;
	return decoded;
}

/* RISC-V privileged 4.4, Svnapot, Svpbmt. A and D clear would fault in a unit that does not set them: it is one. */
static struct walk_entry decode_riscv(const struct walk_format *format, uint64_t entry, uint32_t level)
{
	bool leaf = entry & (BIT(1) | BIT(2) | BIT(3));
	struct walk_entry decoded;

	if (!(entry & BIT(0)))
		return faulty(WALK_FAULT_NOT_PRESENT);
	/* W without R; bits above the number, but for those of the two extensions; a table at level 0. */
	if ((entry & (BIT(1) | BIT(2))) == BIT(2) || entry & BITS(60, 54) || (entry & BITS(62, 61)) == BITS(62, 61) || (!leaf && !level))
		return faulty(WALK_FAULT_RESERVED);
	decoded = entry_of(format, level, leaf, (entry & BITS(53, 10)) << 2, (entry & BIT(1) ? READ : 0) | (entry & BIT(2) ? WRITE : 0));
	if (!leaf) {
		decoded.prot = READ | WRITE;
		if (entry & (BIT(4) | BIT(6) | BIT(7) | BITS(63, 61)))
			decoded.fault = WALK_FAULT_RESERVED;
		return decoded;
	}
	if (!(entry & BIT(4)))
		return faulty(WALK_FAULT_SUPERVISOR);
	if (!(entry & BIT(6)))
		return faulty(WALK_FAULT_PERMISSION);
	if (!(entry & BIT(7)))
		decoded.prot &= ~(uint32_t)WRITE;
	if (entry & BIT(63)) {
		if (level || (entry >> 10 & 15) != 8)
			return faulty(WALK_FAULT_RESERVED);
		decoded.shift = 16;
		decoded.paddr &= ~(BIT(16) - 1);
	}
	if (!is_aligned(&decoded))
		decoded.fault = WALK_FAULT_RESERVED;
	return decoded;
}

/* Levels (of ours) on which a granule has blocks, and what the contiguous bit multiplies by. */
static bool arm_has_block(const struct walk_format *format, uint32_t level)
{
	switch (format->granule_shift) {
	case 12:
		return level <= 2 || (level == 3 && format->lpa2);
	case 14:
		return level <= 1 || (level == 2 && format->lpa2);
	default:
		return level <= 1;
	}
}

static uint32_t arm_contiguous(const struct walk_format *format, uint32_t level)
{
	if (format->granule_shift == 12)
		return 4;
	return format->granule_shift == 14 && !level ? 7 : 5;
}

/* Arm ARM D8.3. The contiguous bit is a hint, but a group that is not what it says is an error of whoever wrote it: its address must be its own place. */
static struct walk_entry decode_arm(const struct walk_format *format, uint64_t entry, uint32_t level)
{
	bool leaf = !level || !(entry & BIT(1));
	iog_paddr_t paddr = entry & BITS(format->lpa2 ? 49 : 47, format->granule_shift);
	struct walk_entry decoded;

	if (!(entry & BIT(0)))
		return faulty(WALK_FAULT_NOT_PRESENT);
	if (format->lpa2)
		paddr |= (entry >> 8 & 3) << 50;
	else if (format->granule_shift == 16)
		paddr |= (entry >> 12 & 15) << 48;
	decoded = entry_of(format, level, leaf, paddr, READ | WRITE);
	if (!leaf)
		return decoded;

	/* A block where there is none, or nothing that is defined. */
	if (level ? !arm_has_block(format, level) : !(entry & BIT(1)))
		return faulty(WALK_FAULT_RESERVED);
	/* The access flag: no unit sets it here. */
	if (!(entry & BIT(10)))
		return faulty(WALK_FAULT_PERMISSION);
	if (format->stage2) {
		decoded.prot = (entry & BIT(6) ? READ : 0) | (entry & BIT(7) ? WRITE : 0);
	} else {
		decoded.prot = READ | (entry & BIT(7) ? 0 : WRITE);
		if (!(entry & BIT(6)))
			return faulty(WALK_FAULT_SUPERVISOR);
	}
	if (!is_aligned(&decoded))
		decoded.fault = WALK_FAULT_RESERVED;
	if (entry & BIT(52)) {
		decoded.shift += arm_contiguous(format, level);
		decoded.paddr &= ~(BIT(decoded.shift) - 1);
	}
	return decoded;
}

#define ARM(name, granule, root_bits, levels, oas, implied, stage2, lpa2) \
	{ name, granule, (granule) - 3, root_bits, 2, levels, oas, implied, decode_arm, stage2, lpa2 }

static const struct walk_format formats[] = {
	{ "vtdss", 12, 9, 0, 3, 5, 52, 0, decode_vtdss, false, false },
	{ "x86_64", 12, 9, 0, 4, 5, 52, READ, decode_x86_64, false, false },
	{ "amdv1", 12, 9, 0, 1, 6, 52, 0, decode_amdv1, false, false },
	{ "riscv", 12, 9, 0, 3, 5, 56, READ, decode_riscv, false, false },
	{ "riscv_x4", 12, 9, 2, 3, 5, 56, READ, decode_riscv, false, false },
	ARM("arm_s1_4k", 12, 0, 4, 48, READ, false, false),
	ARM("arm_s1_16k", 14, 0, 4, 48, READ, false, false),
	ARM("arm_s1_64k", 16, 0, 3, 52, READ, false, false),
	ARM("arm_s1_4k_lpa2", 12, 0, 5, 52, READ, false, true),
	ARM("arm_s1_16k_lpa2", 14, 0, 4, 52, READ, false, true),
	ARM("arm_s2_4k", 12, 4, 4, 48, 0, true, false),
	ARM("arm_s2_16k", 14, 4, 4, 48, 0, true, false),
	ARM("arm_s2_64k", 16, 4, 3, 52, 0, true, false),
	ARM("arm_s2_4k_lpa2", 12, 4, 5, 52, 0, true, true),
	ARM("arm_s2_16k_lpa2", 14, 4, 4, 52, 0, true, true),
};

const struct walk_format *iog_sim_walk_format(const char *name)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (!strcmp(formats[i].name, name))
			return &formats[i];
	return NULL;
}

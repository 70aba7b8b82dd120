/* SPDX-License-Identifier: MIT */
/*
 * Armv8 LPAE descriptors, stage 1 and stage 2 (Arm ARM D8.3): granules of 4K, 16K and 64K, 52-bit addresses with 64K granules (LPA) and, with DS, the
 * others (LPA2). Arm numbers levels from the root down, to 3; here 0 is the last: Arm's level is 3 minus ours.
 */
#include "bits.h"
#include "formats.h"

static const struct field table_fields[] = {
	{ "Valid", 0, 1, FIELD_FLAG },	   { "Table", 1, 1, FIELD_FLAG },     { "Address", 12, 36, FIELD_ADDRESS }, { "PXNTable", 59, 1, FIELD_FLAG },
	{ "UXNTable", 60, 1, FIELD_FLAG }, { "APTable", 61, 2, FIELD_NUMBER }, { "NSTable", 63, 1, FIELD_FLAG },	    { 0 },
};

static const struct field s1_fields[] = {
	{ "Valid", 0, 1, FIELD_FLAG }, { "Page", 1, 1, FIELD_FLAG },	       { "AttrIndx", 2, 3, FIELD_NUMBER }, { "NS", 5, 1, FIELD_FLAG },
	{ "AP", 6, 2, FIELD_NUMBER },  { "SH", 8, 2, FIELD_NUMBER },	       { "AF", 10, 1, FIELD_FLAG },	   { "nG", 11, 1, FIELD_FLAG },
	{ "Address", 12, 36, FIELD_ADDRESS }, { "DBM", 51, 1, FIELD_FLAG },   { "Contiguous", 52, 1, FIELD_FLAG }, { "PXN", 53, 1, FIELD_FLAG },
	{ "UXN", 54, 1, FIELD_FLAG },  { 0 },
};

static const struct field s2_fields[] = {
	{ "Valid", 0, 1, FIELD_FLAG },	      { "Page", 1, 1, FIELD_FLAG }, { "MemAttr", 2, 4, FIELD_NUMBER },	  { "S2AP", 6, 2, FIELD_NUMBER },
	{ "SH", 8, 2, FIELD_NUMBER },	      { "AF", 10, 1, FIELD_FLAG },  { "Address", 12, 36, FIELD_ADDRESS }, { "DBM", 51, 1, FIELD_FLAG },
	{ "Contiguous", 52, 1, FIELD_FLAG },  { "XN", 53, 2, FIELD_NUMBER }, { 0 },
};

static void deny(struct pte *pte, enum cause cause, const char *why)
{
	pte->kind = PTE_ABSENT;
	pte->read = pte->write = (struct denial){ cause, why };
}

/* The address in a descriptor, down to the granule. */
static uint64_t descriptor_address(const struct pt *pt, uint64_t entry)
{
	if (pt->granule_bits == 16)
		return bits_in_place(entry, 47, 16) | (pt->oas > 48 ? bits(entry, 15, 12) << 48 : 0);
	if (pt->flags & PT_DS)
		return bits_in_place(entry, 49, pt->granule_bits) | bits(entry, 9, 8) << 50;
	return bits_in_place(entry, 47, pt->granule_bits);
}

/* Whether the granule has blocks at a level above the last: the largest are for 52-bit addresses only. */
static bool has_blocks(const struct pt *pt, uint32_t level)
{
	switch (pt->granule_bits) {
	case 12:
		return level <= 2 || (level == 3 && pt->flags & PT_DS);
	case 14:
		return level == 1 || (level == 2 && pt->flags & PT_DS);
	default:
		return level == 1 || (level == 2 && pt->oas > 48);
	}
}

/* What both stages have in common. Returns whether there is more to say of a leaf. */
static bool arm_decode(const struct pt *pt, uint32_t level, uint64_t entry, struct pte *pte, const struct field *leaf_fields)
{
	bool leaf = !level || !bit(entry, 1);

	pte->fields = leaf ? leaf_fields : table_fields;
	if (!bit(entry, 0)) {
		deny(pte, CAUSE_ABSENT, "bit 0 is 0: not valid");
		return false;
	}
	if (!level && !bit(entry, 1)) {
		deny(pte, CAUSE_ABSENT, "bits 1:0 are 0b01, which is reserved at level 3 and counts as not valid");
		return false;
	}
	if (leaf && level && !has_blocks(pt, level)) {
		deny(pte, CAUSE_ABSENT, "bits 1:0 are 0b01, a block, which this level does not have: it counts as not valid");
		return false;
	}
	pte->kind = leaf ? PTE_LEAF : PTE_TABLE;
	pte->next_level = level ? level - 1 : 0;
	pte->page_bits = pt_span_bits(pt, level);
	pte->address = descriptor_address(pt, entry);
	if (pte->address & ~low_bits(pt->oas)) {
		deny(pte, CAUSE_ADDRESS_SIZE, "its address is beyond the output address size");
		return false;
	}
	if (!leaf)
		return false;
	pte->address &= ~low_bits(pte->page_bits);
	if (bit(entry, 52))
		pte->note = "Contiguous: the unit may cache the whole group of entries as one";
	if (!bit(entry, 10) && !(pt->flags & (PT_HW_ACCESSED | PT_AF_IGNORED))) {
		pte->read = pte->write = (struct denial){ CAUSE_ACCESSED, "AF is 0, and the unit does not set it" };
		return false;
	}
	return true;
}

/* DBM makes a page that is not yet writable so, if the unit may mark it dirty. */
static bool made_writable(const struct pt *pt, uint64_t entry)
{
	return bit(entry, 51) && pt->flags & PT_HW_DIRTY;
}

static void arm_s1_decode(const struct pt *pt, uint32_t level, uint64_t entry, struct pte *pte)
{
	bool user = !(pt->flags & (PT_SUPERVISOR | PT_EL2));

	if (arm_decode(pt, level, entry, pte, s1_fields)) {
		if (user && !bit(entry, 6))
			pte->read = pte->write = (struct denial){ CAUSE_USER, "AP[1] is 0: privileged accesses only" };
		else if (bit(entry, 7) && !made_writable(pt, entry))
			pte->write = (struct denial){ CAUSE_PERMISSION, "AP[2] is 1: no writes" };
	} else if (pte->kind == PTE_TABLE && !(pt->flags & PT_HAD)) {
		if (user && bit(entry, 61))
			pte->read = pte->write = (struct denial){ CAUSE_USER, "APTable[0] is 1: privileged accesses only below" };
		else if (bit(entry, 62))
			pte->write = (struct denial){ CAUSE_PERMISSION, "APTable[1] is 1: no writes below" };
	}
}

static void arm_s2_decode(const struct pt *pt, uint32_t level, uint64_t entry, struct pte *pte)
{
	if (!arm_decode(pt, level, entry, pte, s2_fields))
		return;
	if (!bit(entry, 6))
		pte->read = (struct denial){ CAUSE_PERMISSION, "S2AP[0] is 0: no reads" };
	if (!bit(entry, 7) && !made_writable(pt, entry))
		pte->write = (struct denial){ CAUSE_PERMISSION, "S2AP[1] is 0: no writes" };
}

#define ARM_LEVELS { "Level 3 descriptor", "Level 2 descriptor", "Level 1 descriptor", "Level 0 descriptor", "Level -1 descriptor" }

const struct pt_format pt_arm_s1 = {
	.name = "arm_s1",
	.levels = ARM_LEVELS,
	.decode = arm_s1_decode,
};

const struct pt_format pt_arm_s2 = {
	.name = "arm_s2",
	.levels = ARM_LEVELS,
	.decode = arm_s2_decode,
};

/* SPDX-License-Identifier: MIT */
/*
 * VT-d second stage (VT-d 9.8) and x86-64 long mode, which is VT-d's first stage (VT-d 9.7) and AMD's v2 (AMD IOMMU 2.2.6).
 */
#include "bits.h"
#include "formats.h"

static void deny(struct pte *pte, enum cause cause, const char *why)
{
	pte->kind = PTE_ABSENT;
	pte->read = pte->write = (struct denial){ cause, why };
}

/* Bits of an address that the machine does not have; 51:12 at most. */
static bool address_too_wide(const struct pt *pt, uint64_t entry)
{
	return pt->oas < 52 && bits(entry, 51, pt->oas);
}

/* A leaf above level 0: sizes that the unit has, and low address bits that have to be 0. @low: the lowest such bit. */
static bool large_leaf(const struct pt *pt, uint32_t level, uint64_t entry, uint32_t low, struct pte *pte)
{
	if (level > 2)
		deny(pte, CAUSE_RESERVED, "PS is 1, which is reserved at this level");
	else if (level == 2 && pt->flags & PT_NO_1G)
		deny(pte, CAUSE_RESERVED, "PS is 1, and the unit has no leaves of 1G");
	else if (level == 1 && pt->flags & PT_NO_2M)
		deny(pte, CAUSE_RESERVED, "PS is 1, and the unit has no leaves of 2M");
	else if (bits(entry, pt_span_bits(pt, level) - 1, low))
		deny(pte, CAUSE_RESERVED, "an address bit below the page size is 1, which is reserved");
	else
		return true;
	return false;
}

static void fill(const struct pt *pt, uint32_t level, uint64_t entry, bool leaf, struct pte *pte)
{
	pte->kind = leaf ? PTE_LEAF : PTE_TABLE;
	pte->next_level = level ? level - 1 : 0;
	pte->page_bits = pt_span_bits(pt, level);
	pte->address = bits_in_place(entry, 51, 12);
	if (leaf)
		pte->address &= ~low_bits(pte->page_bits);
}

static const struct field ss_table_fields[] = {
	{ "R", 0, 1, FIELD_FLAG },	    { "W", 1, 1, FIELD_FLAG }, { "X", 2, 1, FIELD_FLAG }, { "PS", 7, 1, FIELD_FLAG }, { "A", 8, 1, FIELD_FLAG },
	{ "ADDR", 12, 40, FIELD_ADDRESS }, { 0 },
};

static const struct field ss_leaf_fields[] = {
	{ "R", 0, 1, FIELD_FLAG },     { "W", 1, 1, FIELD_FLAG },   { "X", 2, 1, FIELD_FLAG },	{ "EMT", 3, 3, FIELD_NUMBER },
	{ "IPAT", 6, 1, FIELD_FLAG },  { "PS", 7, 1, FIELD_FLAG },  { "A", 8, 1, FIELD_FLAG },	{ "D", 9, 1, FIELD_FLAG },
	{ "SNP", 11, 1, FIELD_FLAG },  { "ADDR", 12, 40, FIELD_ADDRESS }, { "TM", 62, 1, FIELD_FLAG }, { 0 },
};

static void vtdss_decode(const struct pt *pt, uint32_t level, uint64_t entry, struct pte *pte)
{
	bool leaf = !level || bit(entry, 7);

	pte->fields = leaf ? ss_leaf_fields : ss_table_fields;
	if (!bits(entry, 1, 0)) {
		deny(pte, CAUSE_ABSENT, "R and W are 0: not present");
		return;
	}
	fill(pt, level, entry, leaf, pte);
	if (address_too_wide(pt, entry)) {
		deny(pte, CAUSE_RESERVED, "an address bit beyond the machine's is 1, which is reserved");
		return;
	}
	if (!leaf && (bit(entry, 11) || bit(entry, 62))) {
		deny(pte, CAUSE_RESERVED, bit(entry, 11) ? "bit 11 is 1, which is reserved" : "bit 62 is 1, which is reserved");
		return;
	}
	if (leaf && level && !large_leaf(pt, level, entry, 12, pte))
		return;
	if (!bit(entry, 0))
		pte->read = (struct denial){ CAUSE_PERMISSION, "R is 0: no reads" };
	if (!bit(entry, 1))
		pte->write = (struct denial){ CAUSE_PERMISSION, "W is 0: no writes" };
}

static const struct field x86_table_fields[] = {
	{ "P", 0, 1, FIELD_FLAG },   { "R/W", 1, 1, FIELD_FLAG }, { "U/S", 2, 1, FIELD_FLAG }, { "PWT", 3, 1, FIELD_FLAG },
	{ "PCD", 4, 1, FIELD_FLAG }, { "A", 5, 1, FIELD_FLAG },	  { "PS", 7, 1, FIELD_FLAG },  { "ADDR", 12, 40, FIELD_ADDRESS },
	{ "XD", 63, 1, FIELD_FLAG }, { 0 },
};

static const struct field x86_leaf_fields[] = {
	{ "P", 0, 1, FIELD_FLAG }, { "R/W", 1, 1, FIELD_FLAG }, { "U/S", 2, 1, FIELD_FLAG },	{ "PWT", 3, 1, FIELD_FLAG }, { "PCD", 4, 1, FIELD_FLAG },
	{ "A", 5, 1, FIELD_FLAG }, { "D", 6, 1, FIELD_FLAG },	{ "PAT", 7, 1, FIELD_FLAG },	{ "G", 8, 1, FIELD_FLAG },   { "ADDR", 12, 40, FIELD_ADDRESS },
	{ "XD", 63, 1, FIELD_FLAG }, { 0 },
};

static const struct field x86_large_fields[] = {
	{ "P", 0, 1, FIELD_FLAG }, { "R/W", 1, 1, FIELD_FLAG }, { "U/S", 2, 1, FIELD_FLAG },  { "PWT", 3, 1, FIELD_FLAG }, { "PCD", 4, 1, FIELD_FLAG },
	{ "A", 5, 1, FIELD_FLAG }, { "D", 6, 1, FIELD_FLAG },	{ "PS", 7, 1, FIELD_FLAG },   { "G", 8, 1, FIELD_FLAG },   { "PAT", 12, 1, FIELD_FLAG },
	{ "ADDR", 13, 39, FIELD_ADDRESS }, { "XD", 63, 1, FIELD_FLAG }, { 0 },
};

static void x86_decode(const struct pt *pt, uint32_t level, uint64_t entry, struct pte *pte)
{
	bool leaf = !level || bit(entry, 7);

	pte->fields = !level ? x86_leaf_fields : leaf ? x86_large_fields : x86_table_fields;
	if (!bit(entry, 0)) {
		deny(pte, CAUSE_ABSENT, "P is 0: not present");
		return;
	}
	fill(pt, level, entry, leaf, pte);
	if (address_too_wide(pt, entry)) {
		deny(pte, CAUSE_RESERVED, "an address bit beyond the machine's is 1, which is reserved");
		return;
	}
	/* Bit 12 of a large leaf is PAT. */
	if (leaf && level && !large_leaf(pt, level, entry, 13, pte))
		return;
	if (!bit(entry, 2) && !(pt->flags & PT_SUPERVISOR))
		pte->read = pte->write = (struct denial){ CAUSE_USER, "U/S is 0: the supervisor's, and the request is a user's" };
	else if (!bit(entry, 1))
		pte->write = (struct denial){ CAUSE_PERMISSION, "R/W is 0: no writes" };
}

const struct pt_format pt_vtdss = {
	.name = "vtdss",
	.levels = { "SS-PTE", "SS-PDE", "SS-PDPE", "SS-PML4E", "SS-PML5E" },
	.denies_early = true,
	.decode = vtdss_decode,
};

const struct pt_format pt_vtdfs = {
	.name = "vtdfs",
	.levels = { "FS-PTE", "FS-PDE", "FS-PDPE", "FS-PML4E", "FS-PML5E" },
	.decode = x86_decode,
};

const struct pt_format pt_x86_64 = {
	.name = "x86_64",
	.levels = { "PTE", "PDE", "PDPE", "PML4E", "PML5E" },
	.decode = x86_decode,
};

/* SPDX-License-Identifier: MIT */
/*
 * AMD's own page tables, v1 (AMD IOMMU 2.2.3): levels that name the next, pages of any power of two.
 */
#include "bits.h"
#include "formats.h"

static const struct field pde_fields[] = {
	{ "PR", 0, 1, FIELD_FLAG },  { "A", 5, 1, FIELD_FLAG },   { "NextLevel", 9, 3, FIELD_NUMBER }, { "ADDR", 12, 40, FIELD_ADDRESS },
	{ "IR", 61, 1, FIELD_FLAG }, { "IW", 62, 1, FIELD_FLAG }, { 0 },
};

static const struct field pte_fields[] = {
	{ "PR", 0, 1, FIELD_FLAG }, { "A", 5, 1, FIELD_FLAG },	 { "D", 6, 1, FIELD_FLAG },   { "NextLevel", 9, 3, FIELD_NUMBER }, { "ADDR", 12, 40, FIELD_ADDRESS },
	{ "U", 59, 1, FIELD_FLAG }, { "FC", 60, 1, FIELD_FLAG }, { "IR", 61, 1, FIELD_FLAG }, { "IW", 62, 1, FIELD_FLAG },	    { 0 },
};

static void reserved(struct pte *pte, const char *why)
{
	pte->kind = PTE_ABSENT;
	pte->read = pte->write = (struct denial){ CAUSE_RESERVED, why };
}

/* NextLevel 7: the address ends in as many ones, from bit 12 on, as the page is doubled once more than once. */
static uint32_t encoded_page_bits(uint64_t entry)
{
	uint32_t page_bits = 13;

	while (page_bits < 52 && bit(entry, page_bits - 1))
		page_bits++;
	return page_bits;
}

static void amdv1_decode(const struct pt *pt, uint32_t level, uint64_t entry, struct pte *pte)
{
	uint32_t next = (uint32_t)bits(entry, 11, 9);
	bool leaf = next == 0 || next == 7;

	pte->fields = leaf ? pte_fields : pde_fields;
	pte->name = leaf ? "PTE" : "PDE";
	if (!bit(entry, 0)) {
		pte->read = pte->write = (struct denial){ CAUSE_ABSENT, "PR is 0: not present" };
		return;
	}
	pte->kind = leaf ? PTE_LEAF : PTE_TABLE;
	pte->address = bits_in_place(entry, 51, 12);
	if (pt->oas < 52 && bits(entry, 51, pt->oas)) {
		reserved(pte, "an address bit beyond the machine's is 1, which is reserved");
		return;
	}
	if (bits(entry, leaf ? 58 : 60, 52)) {
		reserved(pte, leaf ? "one of bits 58:52 is 1, which is reserved" : "one of bits 60:52 is 1, which is reserved");
		return;
	}
	if (!leaf) {
		/* Our levels count from 0, AMD's from 1. */
		pte->next_level = next - 1;
		if (pte->next_level >= level) {
			reserved(pte, "NextLevel is not below this table's level");
			return;
		}
	} else {
		pte->page_bits = next ? encoded_page_bits(entry) : pt_span_bits(pt, level);
		if (next && (pte->page_bits <= pt_span_bits(pt, level) || pte->page_bits >= pt_span_bits(pt, level + 1))) {
			reserved(pte, "the page size in the address does not belong to this level");
			return;
		}
		if (!next && pte->address & low_bits(pte->page_bits)) {
			reserved(pte, "an address bit below the page size is 1, which is reserved");
			return;
		}
		pte->address &= ~low_bits(pte->page_bits);
	}
	if (!bit(entry, 61))
		pte->read = (struct denial){ CAUSE_PERMISSION, "IR is 0: no reads" };
	if (!bit(entry, 62))
		pte->write = (struct denial){ CAUSE_PERMISSION, "IW is 0: no writes" };
}

const struct pt_format pt_amdv1 = {
	.name = "amdv1",
	.levels = { "PTE", "PDE", "PDE", "PDE", "PDE", "PDE" },
	.decode = amdv1_decode,
};

/* SPDX-License-Identifier: MIT */
/*
 * RISC-V page tables: Sv39, Sv48 and Sv57, and the second stage's with a root four times as large (Privileged 12.3 to 12.5, 15.5). With Svnapot's pages
 * of 64K and Svpbmt's memory types.
 */
#include "bits.h"
#include "formats.h"

static const struct field pte_fields[] = {
	{ "V", 0, 1, FIELD_FLAG }, { "R", 1, 1, FIELD_FLAG }, { "W", 2, 1, FIELD_FLAG },    { "X", 3, 1, FIELD_FLAG },	    { "U", 4, 1, FIELD_FLAG },
	{ "G", 5, 1, FIELD_FLAG }, { "A", 6, 1, FIELD_FLAG }, { "D", 7, 1, FIELD_FLAG },    { "RSW", 8, 2, FIELD_NUMBER }, { "PPN", 10, 44, FIELD_PAGE },
	{ "PBMT", 61, 2, FIELD_NUMBER }, { "N", 63, 1, FIELD_FLAG }, { 0 },
};

static void deny(struct pte *pte, enum cause cause, const char *why)
{
	pte->kind = PTE_ABSENT;
	pte->read = pte->write = (struct denial){ cause, why };
}

static void leaf(const struct pt *pt, uint32_t level, uint64_t entry, struct pte *pte)
{
	pte->kind = PTE_LEAF;
	pte->page_bits = pt_span_bits(pt, level);
	if (bit(entry, 63)) {
		if (level || bits(entry, 13, 10) != 8) {
			deny(pte, CAUSE_RESERVED, "N is 1 in an encoding that is reserved: only pages of 64K are defined");
			return;
		}
		pte->page_bits = 16;
		pte->address &= ~low_bits(16);
	}
	if (pte->address & low_bits(pte->page_bits)) {
		deny(pte, CAUSE_RESERVED, "its PPN is not aligned to the page size");
		return;
	}
	if (bits(entry, 62, 61) == 3) {
		deny(pte, CAUSE_RESERVED, "PBMT is 3, which is reserved");
		return;
	}
	if (!bit(entry, 1))
		pte->read = (struct denial){ CAUSE_PERMISSION, "R is 0: no reads" };
	if (!bit(entry, 2))
		pte->write = (struct denial){ CAUSE_PERMISSION, "W is 0: no writes" };
	if (!bit(entry, 4) && !(pt->flags & PT_SUPERVISOR))
		pte->read = pte->write = (struct denial){ CAUSE_USER, "U is 0: the supervisor's, and the request is a user's" };
	if (!bit(entry, 6) && !(pt->flags & PT_HW_ACCESSED)) {
		if (!pte->read.cause)
			pte->read = (struct denial){ CAUSE_ACCESSED, "A is 0, and the unit does not set it" };
		if (!pte->write.cause)
			pte->write = (struct denial){ CAUSE_ACCESSED, "A is 0, and the unit does not set it" };
	} else if (!bit(entry, 7) && !(pt->flags & PT_HW_DIRTY) && !pte->write.cause) {
		pte->write = (struct denial){ CAUSE_ACCESSED, "D is 0, and the unit does not set it" };
	}
}

static void riscv_decode(const struct pt *pt, uint32_t level, uint64_t entry, struct pte *pte)
{
	pte->fields = pte_fields;
	pte->address = bits(entry, 53, 10) << 12;
	if (!bit(entry, 0)) {
		deny(pte, CAUSE_ABSENT, "V is 0: not valid");
	} else if (bits(entry, 60, 54)) {
		deny(pte, CAUSE_RESERVED, "one of bits 60:54 is 1, which is reserved");
	} else if (bit(entry, 2) && !bit(entry, 1)) {
		deny(pte, CAUSE_RESERVED, "W is 1 and R is 0, which is reserved");
	} else if (bit(entry, 1) || bit(entry, 3)) {
		leaf(pt, level, entry, pte);
	} else if (!level) {
		deny(pte, CAUSE_RESERVED, "R, W and X are 0: it points to another table, and there is no further level");
	} else if (bit(entry, 4) || bit(entry, 6) || bit(entry, 7) || bits(entry, 63, 61)) {
		deny(pte, CAUSE_RESERVED, "one of U, A, D, PBMT and N is 1, which is reserved in an entry that points to a table");
	} else {
		pte->kind = PTE_TABLE;
		pte->next_level = level - 1;
	}
}

#define RISCV_LEVELS { "PTE, level 0", "PTE, level 1", "PTE, level 2", "PTE, level 3", "PTE, level 4" }

const struct pt_format pt_riscv = {
	.name = "riscv",
	.levels = RISCV_LEVELS,
	.decode = riscv_decode,
};

const struct pt_format pt_riscvx4 = {
	.name = "riscvx4",
	.levels = RISCV_LEVELS,
	.decode = riscv_decode,
};

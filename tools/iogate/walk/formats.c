/* SPDX-License-Identifier: MIT */
/*
 * Bare tables by the names of their formats; see formats.h.
 */
#include "formats.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "bits.h"

static const struct known {
	const struct pt_format *format;
	uint32_t ias_least;
	uint32_t ias_most;
	uint32_t ias_usual;
	uint32_t ias_step; /* 9: a whole number of levels below ias_most; 1: any */
	uint32_t oas_usual;
	uint32_t root_extra;
	uint32_t flags;
} known_formats[] = {
	{ &pt_vtdss, 39, 57, 48, 9, 52, 0, 0 },
	{ &pt_x86_64, 39, 57, 48, 9, 52, 0, PT_SIGN_EXTENDED },
	{ &pt_amdv1, 21, 64, 48, 1, 52, 0, 0 },
	{ &pt_arm_s1, 16, 52, 48, 1, 48, 0, 0 },
	{ &pt_arm_s2, 16, 52, 48, 1, 48, 0, 0 },
	{ &pt_riscv, 39, 57, 48, 9, 56, 0, PT_SIGN_EXTENDED },
	{ &pt_riscvx4, 41, 59, 50, 9, 56, 2, 0 },
};

const char *format_table_names(void)
{
	return "vtdss, x86_64, amdv1, arm_s1, arm_s2, riscv, riscvx4";
}

static const struct known *known_find(const char *name)
{
	for (size_t i = 0; i < sizeof(known_formats) / sizeof(known_formats[0]); i++) {
		if (!strcmp(name, known_formats[i].format->name))
			return &known_formats[i];
	}
	return NULL;
}

/* 52 bits in or out on Arm: any address with 64K pages; with smaller ones by the descriptors of LPA2. */
static int arm_sizes(const struct known *known, uint32_t ias, struct pt *pt, struct problem *problem)
{
	if (pt->granule_bits < 16 && (ias > 48 || pt->oas > 48))
		pt->flags |= PT_DS;
	if (pt->granule_bits == 16 && pt->oas > 52)
		return problem_set(problem, "%s: at most 52 bits of output addresses", known->format->name);
	return 0;
}

int format_table(const char *name, const struct bare_table *bare, struct pt *pt, struct problem *problem)
{
	const struct known *known = known_find(name);
	uint32_t ias, granule_bits;
	bool arm;

	if (!known)
		return problem_set(problem, "there is no such page-table format in this version; there is %s", format_table_names());
	arm = known->format == &pt_arm_s1 || known->format == &pt_arm_s2;
	ias = bare->ias ? bare->ias : known->ias_usual;
	granule_bits = bare->granule_bits ? bare->granule_bits : 12;
	if (ias < known->ias_least || ias > known->ias_most || (known->ias_most - ias) % known->ias_step)
		return problem_set(problem, "%s: no tables of %u input address bits; there is %u to %u%s", name, ias, known->ias_least, known->ias_most,
				   known->ias_step > 1 ? " in steps of 9" : "");
	if (granule_bits != 12 && !arm)
		return problem_set(problem, "%s: tables and pages have 4K; --granule is for arm_s1 and arm_s2", name);
	if (arm && ias <= granule_bits)
		return problem_set(problem, "%s: %u input address bits are no more than one page of the granule", name, ias);
	*pt = (struct pt){ .format = known->format, .root = bare->root, .oas = bare->oas ? bare->oas : known->oas_usual, .flags = known->flags };
	if (pt->oas < 32 || pt->oas > (known->oas_usual == 56 ? 56 : 52))
		return problem_set(problem, "%s: 32 to %u bits of output addresses", name, known->oas_usual == 56 ? 56U : 52U);
	pt_levels(pt, granule_bits, ias, known->root_extra);
	if (pt->root & low_bits(arm ? 4 : 12))
		return problem_set(problem, "%s: a table is aligned to %s bytes", name, arm ? "16" : "4096");
	return arm ? arm_sizes(known, ias, pt, problem) : 0;
}

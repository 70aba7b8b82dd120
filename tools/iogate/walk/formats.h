/* SPDX-License-Identifier: MIT */
/*
 * The page-table formats that are understood, each in a file of its own, and bare tables of them by name.
 */
#ifndef IOGATE_TOOL_WALK_FORMATS_H
#define IOGATE_TOOL_WALK_FORMATS_H

#include "../message.h"
#include "pagetable.h"

extern const struct pt_format pt_vtdss;  /* VT-d second stage */
extern const struct pt_format pt_vtdfs;  /* VT-d first stage: x86-64's tables under VT-d's names */
extern const struct pt_format pt_x86_64; /* x86-64: AMD v2 */
extern const struct pt_format pt_amdv1;
extern const struct pt_format pt_arm_s1; /* Armv8 LPAE */
extern const struct pt_format pt_arm_s2;
extern const struct pt_format pt_riscv;   /* Sv39, Sv48, Sv57 */
extern const struct pt_format pt_riscvx4; /* the same with roots four times as large */

/* A bare table: what the command line says of it; 0 means the format's usual value. */
struct bare_table {
	uint64_t root;
	uint32_t ias;
	uint32_t oas;
	uint32_t granule_bits;
};

/* Set @pt up for a table of the format @name. Returns 0, or -1 with @problem set: no such format, or not with these sizes. */
int format_table(const char *name, const struct bare_table *bare, struct pt *pt, struct problem *problem);

/* "vtdss, x86_64, ..." */
const char *format_table_names(void);

#endif

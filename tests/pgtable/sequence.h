/* SPDX-License-Identifier: MIT */
/*
 * A sequence of operations on a page table and on the model, side by side; generated from a seed, printable, and free of state: any part of it is a sequence, too.
 */
#ifndef IOG_TESTS_PGTABLE_SEQUENCE_H
#define IOG_TESTS_PGTABLE_SEQUENCE_H

#include "bed.h"

enum op_kind {
	OP_MAP,
	OP_MAP_PAGES,
	OP_UNMAP,
	OP_UNMAP_PAGES,
	OP_LOOKUP,
	OP_VISIT,
	OP_TRIM,
	OP_TRIM_MEMORY,
	OP_FLUSH,
	OP_COMPLETE,
	OP_FAIL_FLUSH, /* the next flush ends in -IOG_ETIMEDOUT */
	OP_FAIL_ALLOC, /* the @count'th allocation from now on finds no memory */
	OP_KINDS,
};

struct op {
	enum op_kind kind;
	uint32_t lane;
	uint32_t gather;
	uint64_t at; /* offset into the space [0, 2^ias) */
	uint64_t paddr;
	uint64_t size;
	uint64_t pgsize;
	uint64_t count;
	uint32_t prot;
};

void sequence_generate(struct op *ops, size_t nr, const struct shape *shape, const struct bed_options *options, uint64_t seed);
void sequence_print(const struct shape *shape, const struct op *op);

/*
 * Run it on a new page table. Return: true if all went as it should; else @why and the index of the operation that showed it (@nr: at the end).
 */
bool sequence_run(const struct shape *shape, const struct bed_options *options, const struct op *ops, size_t nr, char why[256], size_t *at);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The reference: what is mapped, as an ascending array of leaves. Addresses are offsets into the space [0, 2^ias).
 */
#ifndef IOG_TESTS_PGTABLE_MODEL_H
#define IOG_TESTS_PGTABLE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hw.h"

struct model {
	const struct shape *shape;
	uint64_t page_sizes;
	bool splits;
	struct hw_leaf *leaves;
	size_t nr;
	size_t max;
};

void model_init(struct model *model, const struct shape *shape, uint64_t page_sizes, bool splits);
void model_free(struct model *model);

/* Each as the call of the same name is documented: returns its result, and bytes. */
int model_map_pages(struct model *model, uint64_t at, uint64_t paddr, uint64_t pgsize, uint64_t pgcount, uint32_t prot, uint64_t *mapped);
int model_map(struct model *model, uint64_t at, uint64_t paddr, uint64_t size, uint32_t prot);
int model_unmap(struct model *model, uint64_t at, uint64_t size, uint64_t *unmapped);

/* Leaves from @at on go, lowest first, until @bytes are gone. For an unmap that was stopped. Return: whether that comes out even. */
bool model_unmap_bytes(struct model *model, uint64_t at, uint64_t size, uint64_t bytes);

/* The leaf that covers @at, or NULL. */
const struct hw_leaf *model_find(const struct model *model, uint64_t at);

/* Index of the first leaf that ends at or beyond @at. */
size_t model_lower(const struct model *model, uint64_t at);

/* Whether @leaves (addresses as devices write them) say the same, whatever their sizes; if so, they become the model's. */
bool model_adopt(struct model *model, const struct hw_leaf *leaves, size_t nr);

#endif

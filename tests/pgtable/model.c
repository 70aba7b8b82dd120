/* SPDX-License-Identifier: MIT */
/*
 * See model.h.
 */
#include <stdlib.h>
#include <string.h>

#include <iogate/error.h>

#include "model.h"

void model_init(struct model *model, const struct shape *shape, uint64_t page_sizes, bool splits)
{
	memset(model, 0, sizeof(*model));
	model->shape = shape;
	model->page_sizes = page_sizes;
	model->splits = splits;
}

void model_free(struct model *model)
{
	free(model->leaves);
	model->leaves = NULL;
}

static uint64_t leaf_last(const struct hw_leaf *leaf)
{
	return leaf->iova + leaf->size - 1;
}

size_t model_lower(const struct model *model, uint64_t at)
{
	size_t low = 0, high = model->nr;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (leaf_last(&model->leaves[middle]) < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct hw_leaf *model_find(const struct model *model, uint64_t at)
{
	size_t i = model_lower(model, at);

	return i < model->nr && model->leaves[i].iova <= at ? &model->leaves[i] : NULL;
}

/* Make room for @n leaves at index @i. */
static struct hw_leaf *insert(struct model *model, size_t i, size_t n)
{
	if (model->nr + n > model->max) {
		model->max = 2 * (model->nr + n) + 64;
		model->leaves = realloc(model->leaves, model->max * sizeof(*model->leaves));
		if (!model->leaves)
			abort();
	}
	memmove(&model->leaves[i + n], &model->leaves[i], (model->nr - i) * sizeof(*model->leaves));
	model->nr += n;
	return &model->leaves[i];
}

static void erase(struct model *model, size_t i, size_t n)
{
	if (!n)
		return;
	memmove(&model->leaves[i], &model->leaves[i + n], (model->nr - i - n) * sizeof(*model->leaves));
	model->nr -= n;
}

int model_map_pages(struct model *model, uint64_t at, uint64_t paddr, uint64_t pgsize, uint64_t pgcount, uint32_t prot, uint64_t *mapped)
{
	*mapped = 0;
	for (uint64_t i = 0; i < pgcount; i++, at += pgsize, paddr += pgsize) {
		size_t before = model_lower(model, at);

		if (before < model->nr && model->leaves[before].iova <= at + pgsize - 1)
			return -IOG_EEXIST;
		*insert(model, before, 1) = (struct hw_leaf){ at, paddr, pgsize, shape_prot(model->shape, prot) };
		*mapped += pgsize;
	}
	return 0;
}

/* The largest page that may begin here. */
static uint64_t page_at(const struct model *model, uint64_t at, uint64_t paddr, uint64_t size)
{
	uint64_t page = UINT64_C(1) << 63;

	while (!(model->page_sizes & page) || page > size || at % page || paddr % page)
		page >>= 1;
	return page;
}

int model_map(struct model *model, uint64_t at, uint64_t paddr, uint64_t size, uint32_t prot)
{
	size_t before = model_lower(model, at), n = 0;
	struct hw_leaf *leaf;
	uint64_t done = 0;

	if (before < model->nr && model->leaves[before].iova <= at + size - 1)
		return -IOG_EEXIST;
	for (; done < size; done += page_at(model, at + done, paddr + done, size - done))
		n++;
	leaf = insert(model, before, n);
	for (done = 0; done < size; done += leaf->size, leaf++)
		*leaf = (struct hw_leaf){ at + done, paddr + done, page_at(model, at + done, paddr + done, size - done), shape_prot(model->shape, prot) };
	return 0;
}

/* The size into which a leaf is split: the members of a group, or the entries of a table below. */
static uint64_t size_below(const struct model *model, uint64_t size)
{
	const struct geometry *g = model->shape->geometry;
	uint64_t plain = shape_granule(model->shape);

	while (plain << g->level_bits <= size)
		plain <<= g->level_bits;
	return plain < size ? plain : plain >> g->level_bits;
}

/* No leaf reaches across the edge at @at, which begins or ends a range; split as often as needed. */
static int cut(struct model *model, uint64_t edge)
{
	for (;;) {
		size_t i = model_lower(model, edge);
		struct hw_leaf leaf, *parts;
		uint64_t below;

		if (i == model->nr || model->leaves[i].iova >= edge)
			return 0;
		leaf = model->leaves[i];
		below = size_below(model, leaf.size);
		if (!model->splits || !(model->page_sizes & below))
			return -IOG_EINVAL;
		parts = insert(model, i, leaf.size / below - 1);
		for (uint64_t n = 0; n < leaf.size / below; n++)
			parts[n] = (struct hw_leaf){ leaf.iova + n * below, leaf.paddr + n * below, below, leaf.prot };
	}
}

int model_unmap(struct model *model, uint64_t at, uint64_t size, uint64_t *unmapped)
{
	int error = cut(model, at);
	size_t first, n;

	*unmapped = 0;
	if (!error)
		error = cut(model, at + size);
	if (error)
		return error;

	first = model_lower(model, at);
	for (n = 0; first + n < model->nr && model->leaves[first + n].iova <= at + size - 1; n++)
		*unmapped += model->leaves[first + n].size;
	erase(model, first, n);
	return 0;
}

bool model_unmap_bytes(struct model *model, uint64_t at, uint64_t size, uint64_t bytes)
{
	size_t first, n = 0;
	uint64_t gone = 0;

	if (cut(model, at) || cut(model, at + size))
		return false;
	first = model_lower(model, at);
	for (; gone < bytes && first + n < model->nr && model->leaves[first + n].iova <= at + size - 1; n++)
		gone += model->leaves[first + n].size;
	erase(model, first, n);
	return gone == bytes;
}

bool model_adopt(struct model *model, const struct hw_leaf *leaves, size_t nr)
{
	const uint64_t mask = shape_last(model->shape);
	uint64_t a_bytes = 0, b_bytes = 0;

	for (size_t i = 0; i < nr; i++) {
		const struct hw_leaf *mine = model_find(model, leaves[i].iova & mask);

		if (!mine || mine->prot != leaves[i].prot || leaves[i].size > mine->size ||
		    mine->paddr + ((leaves[i].iova & mask) - mine->iova) != leaves[i].paddr)
			return false;
		b_bytes += leaves[i].size;
	}
	for (size_t i = 0; i < model->nr; i++)
		a_bytes += model->leaves[i].size;
	if (a_bytes != b_bytes)
		return false;

	erase(model, 0, model->nr);
	insert(model, 0, nr);
	for (size_t i = 0; i < nr; i++) {
		model->leaves[i] = leaves[i];
		model->leaves[i].iova &= mask;
	}
	return true;
}

/* SPDX-License-Identifier: MIT */
/*
 * Going through a flattened device tree (Devicetree specification 0.4, chapter 5) without memory: nodes one by one, each with the properties that concern IOMMUs, and what its
 * ancestors say about addresses.
 *
 * Properties precede subnodes, so that a node is complete, and handed on, where its first subnode or its end comes.
 */
#ifndef IOG_DISCOVER_FDT_H
#define IOG_DISCOVER_FDT_H

#include "table.h"

#define FDT_MAGIC 0xd00dfeedu

/* Levels of nodes, the root included. Real trees have six to ten. */
#define FDT_DEPTH_MAX 24

/* A property's value: @size bytes at @at, which lie in the tree; or not there. */
struct fdt_value {
	uint32_t at;
	uint32_t size;
	bool there;
};

/* What the nodes below have to know of one. */
struct fdt_level {
	uint32_t name; /* offset of it */
	uint32_t address_cells, size_cells;
	struct fdt_value ranges;
	uint32_t segment; /* linux,pci-domain of it, or of the nearest above; 0 */
	bool coherent;	  /* dma-coherent, likewise */
	bool pci;	  /* device_type = "pci" */
};

struct fdt_node {
	uint32_t at; /* offset of its token */
	struct fdt_value compatible, reg, status, iommus, iommu_map, iommu_addresses;
	uint32_t phandle;     /* 0: none */
	uint32_t iommu_cells; /* UINT32_MAX: no #iommu-cells, it is no IOMMU */
	uint32_t map_mask;
	bool ats;	      /* ats-supported */
	uint32_t depth;		  /* 0 is the root */
	struct fdt_level *levels; /* [depth] is its own */
};

static inline uint32_t fdt_u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* A cell of a value; the value has it. */
static inline uint32_t fdt_cell(const struct table *table, const struct fdt_value *value, uint32_t index)
{
	return fdt_u32(table->bytes + value->at + (size_t)4 * index);
}

static inline uint32_t fdt_cells(const struct fdt_value *value)
{
	return value->size / 4;
}

/* A number of one or two cells. */
static inline uint64_t fdt_number(const struct table *table, const struct fdt_value *value, uint32_t index, uint32_t cells)
{
	uint64_t number = 0;

	for (uint32_t n = 0; n < cells; n++)
		number = number << 32 | fdt_cell(table, value, index + n);
	return number;
}

/* Called for each node. 0 to go on. */
typedef int fdt_node_fn(const struct table *table, const struct fdt_node *node, void *ctx);

/**
 * iog_fdt_open() - check the header.
 * @table: @bytes, @name and @error are filled in; @size becomes that of the tree.
 * @size: bytes that may be read.
 *
 * Return: 0, or -IOG_EINVAL.
 */
int iog_fdt_open(struct table *table, size_t size);

/**
 * iog_fdt_walk() - every node, in the order of the tree.
 * @table: an open tree.
 * @visit: called for each.
 * @ctx: handed to @visit.
 *
 * Return: 0, -IOG_EINVAL for a malformed structure block, or what @visit returned.
 */
int iog_fdt_walk(const struct table *table, fdt_node_fn *visit, void *ctx);

/**
 * iog_fdt_is() - whether a value holds a string, which may be one of several.
 * @table: the tree.
 * @value: the value.
 * @string: the string.
 */
bool iog_fdt_is(const struct table *table, const struct fdt_value *value, const char *string);

/**
 * iog_fdt_address() - an entry of reg, as a physical address.
 * @table: the tree.
 * @node: whose.
 * @index: which entry.
 * @address: result.
 * @size: result: bytes.
 *
 * Return: false if there is no such entry, or no ancestor's ranges lead to it.
 */
bool iog_fdt_address(const struct table *table, const struct fdt_node *node, uint32_t index, uint64_t *address, uint64_t *size);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The walk over a flattened device tree: its header, tokens and properties, and addresses through the ranges of buses.
 */
#include "fdt.h"

/* 5.2. */
#define HEADER_TOTAL 4
#define HEADER_STRUCTURE 8
#define HEADER_STRINGS 12
#define HEADER_VERSION 20
#define HEADER_COMPATIBLE 24
#define HEADER_STRINGS_SIZE 32
#define HEADER_STRUCTURE_SIZE 36
#define HEADER_SIZE 40
#define FDT_VERSION 17

/* 5.4. */
#define TOKEN_BEGIN_NODE 1
#define TOKEN_END_NODE 2
#define TOKEN_PROP 3
#define TOKEN_NOP 4
#define TOKEN_END 9

/* Arm's boot protocol allows 2 MiB. */
#define FDT_SIZE_MAX (UINT32_C(16) << 20)

int iog_fdt_open(struct table *table, size_t size)
{
	const uint8_t *header = table->bytes;
	uint32_t total, structure, structure_size, strings, strings_size;

	if (!header || size < HEADER_SIZE)
		return iog_table_refuse(table, 0, "shorter than the header of a device tree");
	if (fdt_u32(header) != FDT_MAGIC)
		return iog_table_refuse(table, 0, "no device tree: the magic number is missing");
	total = fdt_u32(header + HEADER_TOTAL);
	if (total < HEADER_SIZE || total > size || total > FDT_SIZE_MAX)
		return iog_table_refuse(table, HEADER_TOTAL, "the size is less than that of the header, or goes beyond the bytes that there are, or beyond 16 MiB");
	if (fdt_u32(header + HEADER_VERSION) < FDT_VERSION || fdt_u32(header + HEADER_COMPATIBLE) > FDT_VERSION)
		return iog_table_refuse(table, HEADER_VERSION, "not of version 17, and not compatible with it");
	table->size = total;
	structure = fdt_u32(header + HEADER_STRUCTURE);
	structure_size = fdt_u32(header + HEADER_STRUCTURE_SIZE);
	strings = fdt_u32(header + HEADER_STRINGS);
	strings_size = fdt_u32(header + HEADER_STRINGS_SIZE);
	if (structure % 4 || structure < HEADER_SIZE || !table_has(table, structure, structure_size))
		return iog_table_refuse(table, HEADER_STRUCTURE, "the structure block is misaligned, or goes beyond the tree");
	if (!table_has(table, strings, strings_size))
		return iog_table_refuse(table, HEADER_STRINGS, "the strings go beyond the tree");
	return 0;
}

/* Whether the string at @at, which must end before @end, is @string. */
static bool string_is(const struct table *table, uint32_t at, uint32_t end, const char *string)
{
	for (; at < end && table->bytes[at] == (uint8_t)*string; at++, string++)
		if (!*string)
			return true;
	return false;
}

bool iog_fdt_is(const struct table *table, const struct fdt_value *value, const char *string)
{
	uint32_t end = value->at + value->size;

	for (uint32_t at = value->at; value->there && at < end; at++) {
		if (string_is(table, at, end, string))
			return true;
		while (at < end && table->bytes[at])
			at++;
	}
	return false;
}

/* The blocks. */
struct walk {
	const struct table *table;
	uint32_t at, end; /* of the structure block */
	uint32_t strings, strings_end;
	struct fdt_level levels[FDT_DEPTH_MAX];
	struct fdt_node node;
	bool collecting; /* properties belong to @node, which was not handed on yet */
};

static int number_property(const struct table *table, const struct fdt_value *value, uint32_t *number)
{
	if (value->size != 4)
		return iog_table_refuse(table, value->at, "a property that is one number has another size");
	*number = fdt_cell(table, value, 0);
	return 0;
}

static int cells_property(const struct table *table, const struct fdt_value *value, uint32_t *cells)
{
	int error = number_property(table, value, cells);

	/* Three for addresses of PCI; none has more than four. */
	if (!error && *cells > 4)
		return iog_table_refuse(table, value->at, "an address or a size with more than four cells");
	return error;
}

static int property_take(struct walk *walk, uint32_t name, const struct fdt_value *value)
{
	const struct table *table = walk->table;
	struct fdt_node *node = &walk->node;
	struct fdt_level *level = &walk->levels[node->depth];
	const struct {
		const char *name;
		struct fdt_value *value;
	} values[] = {
		{ "compatible", &node->compatible }, { "reg", &node->reg }, { "ranges", &level->ranges }, { "status", &node->status },
		{ "iommus", &node->iommus }, { "iommu-map", &node->iommu_map }, { "iommu-addresses", &node->iommu_addresses },
	};

	for (uint32_t n = 0; n < sizeof(values) / sizeof(values[0]); n++) {
		if (string_is(table, name, walk->strings_end, values[n].name)) {
			*values[n].value = *value;
			return 0;
		}
	}
	if (string_is(table, name, walk->strings_end, "phandle") || string_is(table, name, walk->strings_end, "linux,phandle"))
		return number_property(table, value, &node->phandle);
	if (string_is(table, name, walk->strings_end, "#iommu-cells"))
		return cells_property(table, value, &node->iommu_cells);
	if (string_is(table, name, walk->strings_end, "#address-cells"))
		return cells_property(table, value, &level->address_cells);
	if (string_is(table, name, walk->strings_end, "#size-cells"))
		return cells_property(table, value, &level->size_cells);
	if (string_is(table, name, walk->strings_end, "iommu-map-mask"))
		return number_property(table, value, &node->map_mask);
	if (string_is(table, name, walk->strings_end, "linux,pci-domain"))
		return number_property(table, value, &level->segment);
	if (string_is(table, name, walk->strings_end, "dma-coherent"))
		level->coherent = true;
	else if (string_is(table, name, walk->strings_end, "dma-noncoherent"))
		level->coherent = false;
	else if (string_is(table, name, walk->strings_end, "ats-supported"))
		node->ats = true;
	else if (string_is(table, name, walk->strings_end, "device_type"))
		level->pci = iog_fdt_is(table, value, "pci");
	return 0;
}

static int property_read(struct walk *walk, uint32_t at, uint32_t *length)
{
	const struct table *table = walk->table;
	struct fdt_value value = { .at = at + 12, .there = true };
	uint32_t name;

	if (walk->end - at < 12)
		return iog_table_refuse(table, at, "a property goes beyond the structure block");
	value.size = fdt_u32(table->bytes + at + 4);
	name = fdt_u32(table->bytes + at + 8);
	if (value.size > walk->end - value.at)
		return iog_table_refuse(table, at + 4, "a property goes beyond the structure block");
	if (name >= walk->strings_end - walk->strings)
		return iog_table_refuse(table, at + 8, "a property's name is not in the strings");
	/* The next token is aligned; the block's size is a multiple of four, so that this does not pass its end. */
	*length = 12 + ((value.size + 3) & ~3u);
	if (!walk->collecting)
		return iog_table_refuse(table, at, "a property after a subnode, or outside any node");
	return property_take(walk, walk->strings + name, &value);
}

static int node_begin(struct walk *walk, uint32_t at, uint32_t *length, uint32_t depth)
{
	const struct table *table = walk->table;
	struct fdt_level *level;
	uint32_t end = at + 4;

	if (depth >= FDT_DEPTH_MAX)
		return iog_table_refuse(table, at, "nodes inside nodes, deeper than any real tree");
	while (end < walk->end && table->bytes[end])
		end++;
	if (end == walk->end)
		return iog_table_refuse(table, at, "a node's name does not end");
	*length = ((end + 1 - at) + 3) & ~3u;
	level = &walk->levels[depth];
	/* 2.3.5: what a node does not say about its children's addresses. */
	*level = (struct fdt_level){ .name = at + 4, .address_cells = 2, .size_cells = 1 };
	if (depth) {
		level->segment = walk->levels[depth - 1].segment;
		level->coherent = walk->levels[depth - 1].coherent;
	}
	walk->node = (struct fdt_node){ .at = at, .iommu_cells = UINT32_MAX, .map_mask = UINT32_MAX, .depth = depth, .levels = walk->levels };
	walk->collecting = true;
	return 0;
}

static int node_finish(struct walk *walk, fdt_node_fn *visit, void *ctx)
{
	if (!walk->collecting)
		return 0;
	walk->collecting = false;
	return visit(walk->table, &walk->node, ctx);
}

int iog_fdt_walk(const struct table *table, fdt_node_fn *visit, void *ctx)
{
	const uint8_t *bytes = table->bytes;
	struct walk walk = { .table = table };
	uint32_t depth = 0, length, token;
	int result = 0;

	walk.at = fdt_u32(bytes + HEADER_STRUCTURE);
	walk.end = walk.at + (fdt_u32(bytes + HEADER_STRUCTURE_SIZE) & ~3u);
	walk.strings = fdt_u32(bytes + HEADER_STRINGS);
	walk.strings_end = walk.strings + fdt_u32(bytes + HEADER_STRINGS_SIZE);
	for (; !result; walk.at += length) {
		if (walk.at >= walk.end || walk.end - walk.at < 4)
			return iog_table_refuse(table, walk.at, "the structure block has no end token");
		token = fdt_u32(bytes + walk.at);
		length = 4;
		switch (token) {
		case TOKEN_BEGIN_NODE:
			result = node_finish(&walk, visit, ctx);
			if (!result)
				result = node_begin(&walk, walk.at, &length, depth++);
			break;
		case TOKEN_END_NODE:
			if (!depth)
				return iog_table_refuse(table, walk.at, "the end of a node that did not begin");
			depth--;
			result = node_finish(&walk, visit, ctx);
			break;
		case TOKEN_PROP:
			result = property_read(&walk, walk.at, &length);
			break;
		case TOKEN_NOP:
			break;
		case TOKEN_END:
			return depth ? iog_table_refuse(table, walk.at, "the tree ends inside a node") : 0;
		default:
			return iog_table_refuse(table, walk.at, "an unknown token");
		}
	}
	return result;
}

/* One step up: an address below @level becomes one beside it. 2.3.8. */
static bool range_translate(const struct table *table, const struct fdt_level *level, const struct fdt_level *above, uint64_t *address)
{
	uint32_t cells = level->address_cells + above->address_cells + level->size_cells, count;
	const struct fdt_value *ranges = &level->ranges;
	uint64_t child, size;

	if (!ranges->there)
		return false;
	if (!ranges->size)
		return true;
	/* Addresses of more than two cells are those of PCI, which its own configuration knows better. */
	if (!cells || level->address_cells > 2 || above->address_cells > 2 || level->size_cells > 2)
		return false;
	count = fdt_cells(ranges) / cells;
	for (uint32_t n = 0; n < count; n++) {
		child = fdt_number(table, ranges, n * cells, level->address_cells);
		size = fdt_number(table, ranges, n * cells + level->address_cells + above->address_cells, level->size_cells);
		if (*address - child >= size)
			continue;
		*address = *address - child + fdt_number(table, ranges, n * cells + level->address_cells, above->address_cells);
		return true;
	}
	return false;
}

bool iog_fdt_address(const struct table *table, const struct fdt_node *node, uint32_t index, uint64_t *address, uint64_t *size)
{
	const struct fdt_level *above;
	uint32_t cells;

	if (!node->depth || !node->reg.there)
		return false;
	above = &node->levels[node->depth - 1];
	cells = above->address_cells + above->size_cells;
	if (above->address_cells > 2 || above->size_cells > 2 || !above->address_cells || index >= fdt_cells(&node->reg) / cells)
		return false;
	*address = fdt_number(table, &node->reg, index * cells, above->address_cells);
	*size = fdt_number(table, &node->reg, index * cells + above->address_cells, above->size_cells);
	for (uint32_t level = node->depth - 1; level; level--)
		if (!range_translate(table, &node->levels[level], &node->levels[level - 1], address))
			return false;
	return true;
}

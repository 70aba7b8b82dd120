/* SPDX-License-Identifier: MIT */
/*
 * RIMT: the RISC-V I/O mapping table (version 1.0).
 */
#include "table.h"

#define RIMT_NODES 36
#define RIMT_NODE_OFFSET 40
#define RIMT_HEADER 48

#define NODE_TYPE 0
#define NODE_LENGTH 2
#define NODE_SIZE 8

#define NODE_IOMMU 0
#define NODE_ROOT 1
#define NODE_PLATFORM 2

#define IOMMU_BASE 16
#define IOMMU_FLAGS 24
#define IOMMU_PCI (1u << 0)
#define IOMMU_PROXIMITY_VALID (1u << 1)
#define IOMMU_PROXIMITY 28
#define IOMMU_SEGMENT 32
#define IOMMU_BDF 34
#define IOMMU_WIRES 36
#define IOMMU_WIRE_OFFSET 38
#define IOMMU_SIZE 40
#define WIRE_SIZE 8

#define ROOT_FLAGS 8
#define ROOT_ATS (1u << 0)
#define ROOT_PRI (1u << 1)
#define ROOT_SEGMENT 14
#define ROOT_MAPPING_OFFSET 16
#define ROOT_MAPPINGS 18
#define ROOT_SIZE 20

#define PLATFORM_MAPPING_OFFSET 8
#define PLATFORM_MAPPINGS 10
#define PLATFORM_NAME 12

#define MAPPING_INPUT 0
#define MAPPING_COUNT 4
#define MAPPING_OUTPUT 8
#define MAPPING_REFERENCE 12
#define MAPPING_FLAGS 16
#define MAPPING_ATS (1u << 0)
#define MAPPING_PRI (1u << 1)
#define MAPPING_SIZE 20

static int iommu_report(const struct table *table, uint32_t at, uint32_t length)
{
	const uint8_t *node = table->bytes + at;
	struct iog_found found = { .kind = IOG_FOUND_UNIT, .offset = at };
	uint32_t flags, wires, offset;

	if (length < IOMMU_SIZE)
		return iog_table_refuse(table, at + NODE_LENGTH, "IOMMU: the node is too short");
	flags = table_u32(node + IOMMU_FLAGS);
	wires = table_u16(node + IOMMU_WIRES);
	offset = table_u16(node + IOMMU_WIRE_OFFSET);
	if (wires && (offset < IOMMU_SIZE || offset > length || wires * WIRE_SIZE > length - offset))
		return iog_table_refuse(table, at + IOMMU_WIRES, "IOMMU: the wires go beyond their node");
	found.unit = (struct iog_found_unit){
		.model = IOG_UNIT_RISCV,
		.ref = at,
		.base = flags & IOMMU_PCI ? 0 : table_u64(node + IOMMU_BASE),
		.size = flags & IOMMU_PCI ? 0 : 4096,
		.segment = flags & IOMMU_PCI ? table_u16(node + IOMMU_SEGMENT) : 0,
		.bdf = flags & IOMMU_PCI ? table_u16(node + IOMMU_BDF) : IOG_BDF_NONE,
		.flags = (flags & IOMMU_PCI ? IOG_UNIT_IS_PCI : 0) | (flags & IOMMU_PROXIMITY_VALID ? IOG_UNIT_HAS_PROXIMITY : 0),
		.proximity = table_u32(node + IOMMU_PROXIMITY),
		.attributes = flags,
	};
	if (!(flags & IOMMU_PCI) && (!found.unit.base || found.unit.base & 0xfff))
		return iog_table_refuse(table, at + IOMMU_BASE, "IOMMU: the register base is 0, or not that of a page");
	for (uint32_t n = 0; n < wires && n < sizeof(found.unit.interrupts) / sizeof(found.unit.interrupts[0]); n++)
		found.unit.interrupts[n] = table_u32(node + offset + (size_t)n * WIRE_SIZE);
	return table_report(table, &found);
}

/* The mappings of a root complex or a platform device; @found says who, but for the ids. */
static int mappings_report(const struct table *table, uint32_t at, uint32_t length, uint32_t offset, uint32_t count, struct iog_found *found)
{
	uint32_t flags = found->devices.flags, ids, reference, mapping_flags;
	const uint8_t *mapping;
	int result = 0;

	if (count && (offset < NODE_SIZE || offset > length || count * MAPPING_SIZE > length - offset))
		return iog_table_refuse(table, at, "the mappings go beyond their node");
	for (uint32_t n = 0; !result && n < count; n++) {
		found->offset = at + offset + n * MAPPING_SIZE;
		mapping = table->bytes + found->offset;
		ids = table_u32(mapping + MAPPING_COUNT);
		reference = table_u32(mapping + MAPPING_REFERENCE);
		mapping_flags = table_u32(mapping + MAPPING_FLAGS);
		found->devices.unit = reference;
		found->devices.id = table_u32(mapping + MAPPING_OUTPUT);
		found->devices.flags = flags | (mapping_flags & MAPPING_ATS ? IOG_FOUND_ATS : 0) | (mapping_flags & MAPPING_PRI ? IOG_FOUND_PRI : 0);
		found->devices.who.first = table_u32(mapping + MAPPING_INPUT);
		/* As with IORT, the number of ids is written less one. */
		found->devices.who.last = found->devices.who.first + ids;
		if (found->devices.who.last < found->devices.who.first || found->devices.id + ids < found->devices.id)
			return iog_table_refuse(table, found->offset, "a mapping goes past the last id");
		if (reference < RIMT_HEADER || !table_has(table, reference, NODE_SIZE) || table->bytes[reference] != NODE_IOMMU)
			return iog_table_refuse(table, found->offset + MAPPING_REFERENCE, "a mapping leads to no IOMMU");
		result = table_report(table, found);
	}
	return result;
}

static int root_read(const struct table *table, uint32_t at, uint32_t length)
{
	const uint8_t *node = table->bytes + at;
	struct iog_found found = { .kind = IOG_FOUND_DEVICES };
	uint16_t segment;
	uint32_t flags;

	if (length < ROOT_SIZE)
		return iog_table_refuse(table, at + NODE_LENGTH, "root complex: the node is too short");
	flags = table_u32(node + ROOT_FLAGS);
	segment = table_u16(node + ROOT_SEGMENT);
	found.devices.who = (struct iog_devices){ .kind = IOG_DEVICES_IDS, .segment = segment, .segment_last = segment, .mask = UINT32_MAX };
	found.devices.flags = (flags & ROOT_ATS ? IOG_FOUND_ATS : 0) | (flags & ROOT_PRI ? IOG_FOUND_PRI : 0);
	return mappings_report(table, at, length, table_u16(node + ROOT_MAPPING_OFFSET), table_u16(node + ROOT_MAPPINGS), &found);
}

static int platform_read(const struct table *table, uint32_t at, uint32_t length)
{
	const uint8_t *node = table->bytes + at;
	struct iog_found found = { .kind = IOG_FOUND_DEVICES };
	struct iog_devices *who = &found.devices.who;

	if (length <= PLATFORM_NAME)
		return iog_table_refuse(table, at + NODE_LENGTH, "platform device: the node is too short");
	who->kind = IOG_DEVICES_NAMED;
	who->name = (const char *)node + PLATFORM_NAME;
	while (who->name_size < length - PLATFORM_NAME && who->name[who->name_size])
		who->name_size++;
	if (who->name_size == length - PLATFORM_NAME)
		return iog_table_refuse(table, at + PLATFORM_NAME, "platform device: the name does not end");
	return mappings_report(table, at, length, table_u16(node + PLATFORM_MAPPING_OFFSET), table_u16(node + PLATFORM_MAPPINGS), &found);
}

int iog_discover_rimt(const void *bytes, size_t size, iog_found_fn *visit, void *ctx, struct iog_discover_error *error)
{
	struct table table = { .name = "RIMT", .visit = visit, .ctx = ctx, .error = error };
	uint32_t nodes, at, length;
	int result = iog_table_open_acpi(&table, bytes, size, RIMT_HEADER);

	if (result)
		return result;
	nodes = table_u32(table.bytes + RIMT_NODES);
	at = table_u32(table.bytes + RIMT_NODE_OFFSET);
	if (nodes && at < RIMT_HEADER)
		return iog_table_refuse(&table, RIMT_NODE_OFFSET, "the nodes begin inside the header");
	for (; !result && nodes; nodes--, at += length) {
		if (!table_has(&table, at, NODE_SIZE))
			return iog_table_refuse(&table, at, "a node goes beyond the table");
		length = table_u16(table.bytes + at + NODE_LENGTH);
		if (length < NODE_SIZE || !table_has(&table, at, length))
			return iog_table_refuse(&table, at + NODE_LENGTH, "a node's length is too small, or goes beyond the table");
		switch (table.bytes[at + NODE_TYPE]) {
		case NODE_IOMMU:
			result = iommu_report(&table, at, length);
			break;
		case NODE_ROOT:
			result = root_read(&table, at, length);
			break;
		case NODE_PLATFORM:
			result = platform_read(&table, at, length);
			break;
		default:
			break;
		}
	}
	return result;
}

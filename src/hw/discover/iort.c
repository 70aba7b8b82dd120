/* SPDX-License-Identifier: MIT */
/*
 * IORT: the I/O remapping table (Arm DEN0049, issue E.f).
 *
 * Nodes refer to one another by offset; a mapping of a root complex or a named component leads to an SMMU or, for what is not translated, straight to an interrupt controller. Mappings
 * of the latter kind are passed over.
 */
#include "table.h"

/* 3, table 2. */
#define IORT_NODES 36
#define IORT_NODE_OFFSET 40
#define IORT_HEADER 48

/* 3.1: every node. */
#define NODE_TYPE 0
#define NODE_LENGTH 1
#define NODE_REVISION 3
#define NODE_MAPPINGS 8
#define NODE_MAPPING_OFFSET 12
#define NODE_SIZE 16

#define NODE_NAMED 1
#define NODE_ROOT 2
#define NODE_SMMUV2 3
#define NODE_SMMUV3 4
#define NODE_RMR 6

/* 3.1.1.1. */
#define MAPPING_INPUT 0
#define MAPPING_COUNT 4 /* less one */
#define MAPPING_OUTPUT 8
#define MAPPING_REFERENCE 12
#define MAPPING_FLAGS 16
#define MAPPING_SINGLE (1u << 0)
#define MAPPING_SIZE 20

/* 3.1.1.2. */
#define SMMUV3_BASE 16
#define SMMUV3_FLAGS 24
#define SMMUV3_COHACC (1u << 0)
#define SMMUV3_PROXIMITY_VALID (1u << 3)
#define SMMUV3_MODEL 40
#define SMMUV3_EVENT 44
#define SMMUV3_PRI 48
#define SMMUV3_GERROR 52
#define SMMUV3_SYNC 56
#define SMMUV3_PROXIMITY 60
#define SMMUV3_SIZE_0 60 /* revision 0 */

/* 3.1.1.3. */
#define SMMUV2_BASE 16
#define SMMUV2_SPAN 24
#define SMMUV2_SIZE 32

/* 3.1.1.4. */
#define ROOT_ATS 24
#define ROOT_ATS_SUPPORTED (1u << 0)
#define ROOT_PRI_SUPPORTED (1u << 1)
#define ROOT_SEGMENT 28
#define ROOT_SIZE 32

/* 3.1.1.5. */
#define NAMED_NAME 29

/* 3.1.1.8. */
#define RMR_FLAGS 16
#define RMR_REMAP_PERMITTED (1u << 0)
#define RMR_PRIVILEGED (1u << 1)
#define RMR_ATTRIBUTES(flags) ((flags) >> 2 & 0xff)
#define RMR_DEVICE_LAST 3 /* attributes 0 to 3 are device memory */
#define RMR_COUNT 20
#define RMR_OFFSET 24
#define RMR_SIZE 28
#define RANGE_BASE 0
#define RANGE_LENGTH 8
#define RANGE_SIZE 20

struct mapping {
	uint32_t first, last;
	uint32_t output;
	uint32_t unit;
	bool single;
};

/* Whether there is an SMMU at @at. */
static bool is_smmu(const struct table *table, uint32_t at)
{
	return table->bytes[at] == NODE_SMMUV3 || table->bytes[at] == NODE_SMMUV2;
}

static int node_length(const struct table *table, uint32_t at, uint32_t *length)
{
	if (!table_has(table, at, NODE_SIZE))
		return iog_table_refuse(table, at, "a node goes beyond the table");
	*length = table_u16(table->bytes + at + NODE_LENGTH);
	if (*length < NODE_SIZE || !table_has(table, at, *length))
		return iog_table_refuse(table, at + NODE_LENGTH, "a node's length is too small, or goes beyond the table");
	return 0;
}

/* 0, 1 where it does not lead to an SMMU, or an error. */
static int mapping_read(const struct table *table, uint32_t node, uint32_t at, struct mapping *mapping)
{
	const uint8_t *entry = table->bytes + at;
	uint32_t count = table_u32(entry + MAPPING_COUNT), reference = table_u32(entry + MAPPING_REFERENCE);

	*mapping = (struct mapping){
		.first = table_u32(entry + MAPPING_INPUT),
		.output = table_u32(entry + MAPPING_OUTPUT),
		.unit = reference,
		.single = table_u32(entry + MAPPING_FLAGS) & MAPPING_SINGLE,
	};
	if (mapping->single)
		count = 0;
	if (mapping->first + count < mapping->first || mapping->output + count < mapping->output)
		return iog_table_refuse(table, at, "a mapping goes past the last id");
	mapping->last = mapping->first + count;
	if (!table_has(table, reference, NODE_SIZE) || reference < IORT_HEADER || reference == node)
		return iog_table_refuse(table, at + MAPPING_REFERENCE, "a mapping leads out of the table, or to its own node");
	return is_smmu(table, reference) ? 0 : 1;
}

/* The mappings of a node are a part of it. */
static int mappings_check(const struct table *table, uint32_t node, uint32_t length, uint32_t *first, uint32_t *count)
{
	uint32_t offset = table_u32(table->bytes + node + NODE_MAPPING_OFFSET);

	*count = table_u32(table->bytes + node + NODE_MAPPINGS);
	*first = node + offset;
	if (*count && (offset < NODE_SIZE || offset > length || (uint64_t)*count * MAPPING_SIZE > length - offset))
		return iog_table_refuse(table, node + NODE_MAPPINGS, "the mappings go beyond their node");
	return 0;
}

static int smmuv3_report(const struct table *table, uint32_t at, uint32_t length)
{
	const uint8_t *node = table->bytes + at;
	struct iog_found found = { .kind = IOG_FOUND_UNIT, .offset = at };
	uint32_t flags;

	if (length < SMMUV3_SIZE_0)
		return iog_table_refuse(table, at + NODE_LENGTH, "SMMUv3: the node is too short");
	flags = table_u32(node + SMMUV3_FLAGS);
	found.unit = (struct iog_found_unit){
		.model = IOG_UNIT_SMMUV3,
		.ref = at,
		.base = table_u64(node + SMMUV3_BASE),
		.size = 0x20000,
		.bdf = IOG_BDF_NONE,
		.flags = flags & SMMUV3_COHACC ? IOG_UNIT_COHERENT : 0,
		.attributes = flags,
		.features = { table_u32(node + SMMUV3_MODEL) },
		.interrupts = { table_u32(node + SMMUV3_EVENT), table_u32(node + SMMUV3_PRI), table_u32(node + SMMUV3_GERROR), table_u32(node + SMMUV3_SYNC) },
	};
	if (!found.unit.base || found.unit.base & 0xfff)
		return iog_table_refuse(table, at + SMMUV3_BASE, "SMMUv3: the register base is 0, or not that of a page");
	if (flags & SMMUV3_PROXIMITY_VALID && length >= SMMUV3_PROXIMITY + 4) {
		found.unit.flags |= IOG_UNIT_HAS_PROXIMITY;
		found.unit.proximity = table_u32(node + SMMUV3_PROXIMITY);
	}
	return table_report(table, &found);
}

static int smmuv2_report(const struct table *table, uint32_t at, uint32_t length)
{
	const uint8_t *node = table->bytes + at;
	struct iog_found found = { .kind = IOG_FOUND_UNIT, .offset = at };

	if (length < SMMUV2_SIZE)
		return iog_table_refuse(table, at + NODE_LENGTH, "SMMU: the node is too short");
	found.unit = (struct iog_found_unit){
		.model = IOG_UNIT_SMMUV2,
		.ref = at,
		.base = table_u64(node + SMMUV2_BASE),
		.size = table_u64(node + SMMUV2_SPAN),
		.bdf = IOG_BDF_NONE,
	};
	return table_report(table, &found);
}

/*
 * Some firmware writes the number of ids as it is, and not less one: a mapping then seems to end on the first id of another. That one is right.
 */
static void mapping_trim(const struct table *table, uint32_t first, uint32_t count, uint32_t which, struct mapping *mapping)
{
	for (uint32_t n = 0; n < count; n++) {
		const uint8_t *other = table->bytes + first + (size_t)n * MAPPING_SIZE;

		if (n == which || mapping->single || mapping->last == mapping->first || table_u32(other + MAPPING_FLAGS) & MAPPING_SINGLE)
			continue;
		if (table_u32(other + MAPPING_INPUT) == mapping->last) {
			mapping->last--;
			return;
		}
	}
}

/* A root complex or a named component: @found says who, but for the ids. */
static int devices_report(const struct table *table, uint32_t at, uint32_t length, struct iog_found *found)
{
	uint32_t first, count, flags = found->devices.flags;
	struct mapping mapping;
	int result = mappings_check(table, at, length, &first, &count);

	for (uint32_t n = 0; !result && n < count; n++) {
		result = mapping_read(table, at, first + n * MAPPING_SIZE, &mapping);
		if (result) {
			result = result > 0 ? 0 : result;
			continue;
		}
		mapping_trim(table, first, count, n, &mapping);
		found->offset = first + n * MAPPING_SIZE;
		found->devices.unit = mapping.unit;
		found->devices.id = mapping.output;
		found->devices.flags = flags | (mapping.single ? IOG_FOUND_ONE_ID : 0);
		found->devices.who.first = mapping.first;
		found->devices.who.last = mapping.last;
		/* One output for whatever comes in. */
		if (mapping.single && found->devices.who.kind == IOG_DEVICES_IDS) {
			found->devices.who.first = 0;
			found->devices.who.last = 0xffff;
		}
		result = table_report(table, found);
	}
	return result;
}

static int root_read(const struct table *table, uint32_t at, uint32_t length)
{
	const uint8_t *node = table->bytes + at;
	struct iog_found found = { .kind = IOG_FOUND_DEVICES };
	uint32_t ats, segment;

	if (length < ROOT_SIZE)
		return iog_table_refuse(table, at + NODE_LENGTH, "root complex: the node is too short");
	ats = table_u32(node + ROOT_ATS);
	segment = table_u32(node + ROOT_SEGMENT);
	if (segment > UINT16_MAX)
		return iog_table_refuse(table, at + ROOT_SEGMENT, "root complex: a segment above 65535");
	found.devices.who = (struct iog_devices){ .kind = IOG_DEVICES_IDS, .segment = (uint16_t)segment, .segment_last = (uint16_t)segment, .mask = UINT32_MAX };
	found.devices.flags = (ats & ROOT_ATS_SUPPORTED ? IOG_FOUND_ATS : 0) | (ats & ROOT_PRI_SUPPORTED ? IOG_FOUND_PRI : 0);
	return devices_report(table, at, length, &found);
}

static int named_read(const struct table *table, uint32_t at, uint32_t length)
{
	struct iog_found found = { .kind = IOG_FOUND_DEVICES };
	struct iog_devices *who = &found.devices.who;

	if (length <= NAMED_NAME)
		return iog_table_refuse(table, at + NODE_LENGTH, "named component: the node is too short");
	who->kind = IOG_DEVICES_NAMED;
	who->name = (const char *)table->bytes + at + NAMED_NAME;
	while (who->name_size < length - NAMED_NAME && who->name[who->name_size])
		who->name_size++;
	if (who->name_size == length - NAMED_NAME)
		return iog_table_refuse(table, at + NAMED_NAME, "named component: the name does not end");
	return devices_report(table, at, length, &found);
}

/* Each range for each of the ids that use it. */
static int rmr_read(const struct table *table, uint32_t at, uint32_t length)
{
	const uint8_t *node = table->bytes + at;
	struct iog_found found = { .kind = IOG_FOUND_RESERVED };
	uint32_t first, count, ranges, offset, flags, entry;
	struct mapping mapping;
	int result;

	if (length < RMR_SIZE)
		return iog_table_refuse(table, at + NODE_LENGTH, "RMR: the node is too short");
	flags = table_u32(node + RMR_FLAGS);
	ranges = table_u32(node + RMR_COUNT);
	offset = table_u32(node + RMR_OFFSET);
	if (offset < RMR_SIZE || offset > length || (uint64_t)ranges * RANGE_SIZE > length - offset)
		return iog_table_refuse(table, at + RMR_COUNT, "RMR: the ranges go beyond their node");
	result = mappings_check(table, at, length, &first, &count);
	for (uint32_t n = 0; !result && n < count * ranges; n++) {
		result = mapping_read(table, at, first + n / ranges * MAPPING_SIZE, &mapping);
		if (result) {
			result = result > 0 ? 0 : result;
			continue;
		}
		entry = at + offset + n % ranges * RANGE_SIZE;
		found.offset = entry;
		found.reserved.unit = mapping.unit;
		found.reserved.flags = IOG_RESERVED_IDENTITY | IOG_RESERVED_READ | IOG_RESERVED_WRITE | (flags & RMR_REMAP_PERMITTED ? IOG_RESERVED_RELAXABLE : 0) |
				       (flags & RMR_PRIVILEGED ? IOG_RESERVED_PRIVILEGED : 0) | (RMR_ATTRIBUTES(flags) <= RMR_DEVICE_LAST ? IOG_RESERVED_DEVICE : 0);
		found.reserved.who = (struct iog_devices){
			.kind = IOG_DEVICES_STREAMS,
			.first = mapping.output,
			.last = mapping.output + (mapping.last - mapping.first),
		};
		if (!iog_table_range(table_u64(table->bytes + entry + RANGE_BASE), table_u64(table->bytes + entry + RANGE_LENGTH), &found.reserved) ||
		    found.reserved.first & 0xfff || (found.reserved.last & 0xfff) != 0xfff)
			return iog_table_refuse(table, entry, "RMR: a range is empty, past the last address, or ends inside a page");
		result = table_report(table, &found);
	}
	return result;
}

static int node_read(const struct table *table, uint32_t at, uint32_t length)
{
	switch (table->bytes[at + NODE_TYPE]) {
	case NODE_NAMED:
		return named_read(table, at, length);
	case NODE_ROOT:
		return root_read(table, at, length);
	case NODE_SMMUV2:
		return smmuv2_report(table, at, length);
	case NODE_SMMUV3:
		return smmuv3_report(table, at, length);
	case NODE_RMR:
		return rmr_read(table, at, length);
	default:
		return 0;
	}
}

int iog_discover_iort(const void *bytes, size_t size, iog_found_fn *visit, void *ctx, struct iog_discover_error *error)
{
	struct table table = { .name = "IORT", .visit = visit, .ctx = ctx, .error = error };
	uint32_t nodes, at, length = 0;
	int result = iog_table_open_acpi(&table, bytes, size, IORT_HEADER);

	if (result)
		return result;
	nodes = table_u32(table.bytes + IORT_NODES);
	at = table_u32(table.bytes + IORT_NODE_OFFSET);
	if (nodes && at < IORT_HEADER)
		return iog_table_refuse(&table, IORT_NODE_OFFSET, "the nodes begin inside the header");
	for (; !result && nodes; nodes--, at += length) {
		result = node_length(&table, at, &length);
		if (!result)
			result = node_read(&table, at, length);
	}
	return result;
}

/* SPDX-License-Identifier: MIT */
/*
 * VIOT: the virtual I/O translation table (ACPI 6.5, 5.2.37).
 */
#include "table.h"

#define VIOT_NODES 36
#define VIOT_NODE_OFFSET 38
#define VIOT_HEADER 48

#define NODE_LENGTH 2
#define NODE_SIZE 4

#define NODE_PCI_RANGE 1
#define NODE_MMIO_ENDPOINT 2
#define NODE_VIRTIO_PCI 3
#define NODE_VIRTIO_MMIO 4

#define RANGE_ENDPOINT 4
#define RANGE_SEGMENT_FIRST 8
#define RANGE_SEGMENT_LAST 10
#define RANGE_BDF_FIRST 12
#define RANGE_BDF_LAST 14
#define RANGE_UNIT 16
#define RANGE_SIZE 24

#define ENDPOINT_ID 4
#define ENDPOINT_BASE 8
#define ENDPOINT_UNIT 16
#define ENDPOINT_SIZE 24

#define PCI_SEGMENT 4
#define PCI_BDF 6
#define PCI_SIZE 16

#define MMIO_BASE 8
#define MMIO_SIZE 16

static int unit_check(const struct table *table, uint32_t at, uint32_t unit)
{
	if (unit < VIOT_HEADER || !table_has(table, unit, NODE_SIZE) || (table->bytes[unit] != NODE_VIRTIO_PCI && table->bytes[unit] != NODE_VIRTIO_MMIO))
		return iog_table_refuse(table, at, "the output node is no virtio-iommu");
	return 0;
}

static int range_read(const struct table *table, uint32_t at)
{
	const uint8_t *node = table->bytes + at;
	struct iog_found found = { .kind = IOG_FOUND_DEVICES, .offset = at };
	struct iog_devices *who = &found.devices.who;
	int error = unit_check(table, at + RANGE_UNIT, table_u16(node + RANGE_UNIT));

	if (error)
		return error;
	found.devices.unit = table_u16(node + RANGE_UNIT);
	found.devices.id = table_u32(node + RANGE_ENDPOINT);
	*who = (struct iog_devices){
		.kind = IOG_DEVICES_IDS,
		.segment = table_u16(node + RANGE_SEGMENT_FIRST),
		.segment_last = table_u16(node + RANGE_SEGMENT_LAST),
		.first = table_u16(node + RANGE_BDF_FIRST),
		.last = table_u16(node + RANGE_BDF_LAST),
		.mask = 0xffff,
	};
	if (who->segment_last < who->segment || who->last < who->first)
		return iog_table_refuse(table, at + RANGE_SEGMENT_FIRST, "PCI range: it ends before it starts");
	return table_report(table, &found);
}

static int endpoint_read(const struct table *table, uint32_t at)
{
	const uint8_t *node = table->bytes + at;
	struct iog_found found = { .kind = IOG_FOUND_DEVICES, .offset = at };
	int error = unit_check(table, at + ENDPOINT_UNIT, table_u16(node + ENDPOINT_UNIT));

	if (error)
		return error;
	found.devices = (struct iog_found_devices){
		.unit = table_u16(node + ENDPOINT_UNIT),
		.who = { .kind = IOG_DEVICES_MMIO, .base = table_u64(node + ENDPOINT_BASE) },
		.id = table_u32(node + ENDPOINT_ID),
		.flags = IOG_FOUND_ONE_ID,
	};
	return table_report(table, &found);
}

static int unit_read(const struct table *table, uint32_t at)
{
	const uint8_t *node = table->bytes + at;
	struct iog_found found = { .kind = IOG_FOUND_UNIT, .offset = at };

	found.unit = (struct iog_found_unit){ .model = IOG_UNIT_VIRTIO, .ref = at, .bdf = IOG_BDF_NONE };
	if (node[0] == NODE_VIRTIO_PCI) {
		found.unit.segment = table_u16(node + PCI_SEGMENT);
		found.unit.bdf = table_u16(node + PCI_BDF);
		found.unit.flags = IOG_UNIT_IS_PCI;
	} else {
		found.unit.base = table_u64(node + MMIO_BASE);
	}
	return table_report(table, &found);
}

int iog_discover_viot(const void *bytes, size_t size, iog_found_fn *visit, void *ctx, struct iog_discover_error *error)
{
	static const uint8_t least[] = { NODE_SIZE, RANGE_SIZE, ENDPOINT_SIZE, PCI_SIZE, MMIO_SIZE };
	struct table table = { .name = "VIOT", .visit = visit, .ctx = ctx, .error = error };
	uint32_t nodes, at, length, type;
	int result = iog_table_open_acpi(&table, bytes, size, VIOT_HEADER);

	if (result)
		return result;
	nodes = table_u16(table.bytes + VIOT_NODES);
	at = table_u16(table.bytes + VIOT_NODE_OFFSET);
	if (nodes && at < VIOT_HEADER)
		return iog_table_refuse(&table, VIOT_NODE_OFFSET, "the nodes begin inside the header");
	for (; !result && nodes; nodes--, at += length) {
		if (!table_has(&table, at, NODE_SIZE))
			return iog_table_refuse(&table, at, "a node goes beyond the table");
		type = table.bytes[at];
		length = table_u16(table.bytes + at + NODE_LENGTH);
		if (length < (type < sizeof(least) ? least[type] : NODE_SIZE) || !table_has(&table, at, length))
			return iog_table_refuse(&table, at + NODE_LENGTH, "a node's length is too small, or goes beyond the table");
		if (type == NODE_PCI_RANGE)
			result = range_read(&table, at);
		else if (type == NODE_MMIO_ENDPOINT)
			result = endpoint_read(&table, at);
		else if (type == NODE_VIRTIO_PCI || type == NODE_VIRTIO_MMIO)
			result = unit_read(&table, at);
	}
	return result;
}

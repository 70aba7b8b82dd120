/* SPDX-License-Identifier: MIT */
/*
 * IOMMUs in a flattened device tree: their nodes, and the properties that lead to them (bindings iommu, pci-iommu, reserved-memory, arm,smmu-v3, riscv,iommu, virtio/pci-iommu).
 *
 * Properties refer to IOMMUs by phandle, and how many cells follow one depends on the node that it names. So the tree is gone through twice: first for the IOMMUs, then
 * for everything. A unit's ref is its phandle, or where it has none the offset of its node, which no phandle of a sane tree reaches.
 */
#include "fdt.h"

/* IOMMUs that one tree may have, of whatever kind. */
#define PROVIDERS_MAX 64
/* Reserved ranges are written as the device's parent writes addresses, and the device has to be looked for. */
#define LOOKUPS_MAX 256

struct provider {
	uint32_t phandle;
	uint32_t cells;
};

struct units {
	struct provider providers[PROVIDERS_MAX];
	uint32_t nr_providers;
	uint32_t lookups;
};

static bool is_enabled(const struct table *table, const struct fdt_node *node)
{
	return !node->status.there || iog_fdt_is(table, &node->status, "okay") || iog_fdt_is(table, &node->status, "ok");
}

/* First pass. */
static int provider_note(const struct table *table, const struct fdt_node *node, void *ctx)
{
	struct units *units = ctx;

	if (node->iommu_cells == UINT32_MAX || !node->phandle)
		return 0;
	if (units->nr_providers == PROVIDERS_MAX)
		return iog_table_refuse(table, node->at, "more IOMMUs than are read here (64)");
	units->providers[units->nr_providers++] = (struct provider){ .phandle = node->phandle, .cells = node->iommu_cells };
	return 0;
}

static const struct provider *provider_find(const struct units *units, uint32_t phandle)
{
	for (uint32_t n = 0; n < units->nr_providers; n++)
		if (units->providers[n].phandle == phandle)
			return &units->providers[n];
	return NULL;
}

static enum iog_unit_model model_of(const struct table *table, const struct fdt_node *node)
{
	static const struct {
		const char *compatible;
		enum iog_unit_model model;
	} models[] = {
		{ "arm,smmu-v3", IOG_UNIT_SMMUV3 },
		{ "riscv,iommu", IOG_UNIT_RISCV },
		{ "riscv,pci-iommu", IOG_UNIT_RISCV },
		{ "pci1efd,edf1", IOG_UNIT_RISCV },
		{ "virtio,pci-iommu", IOG_UNIT_VIRTIO },
		{ "pci1af4,1057", IOG_UNIT_VIRTIO },
		{ "arm,mmu-500", IOG_UNIT_SMMUV2 },
	};

	for (uint32_t n = 0; n < sizeof(models) / sizeof(models[0]); n++)
		if (iog_fdt_is(table, &node->compatible, models[n].compatible))
			return models[n].model;
	return 0;
}

static uint32_t ref_of(const struct fdt_node *node)
{
	return node->phandle ? node->phandle : node->at | UINT32_C(0x80000000);
}

static int unit_report(const struct table *table, const struct fdt_node *node, enum iog_unit_model model)
{
	const struct fdt_level *own = &node->levels[node->depth], *above = own - 1;
	struct iog_found found = { .kind = IOG_FOUND_UNIT, .offset = node->at };

	found.unit = (struct iog_found_unit){
		.model = model,
		.ref = ref_of(node),
		.bdf = IOG_BDF_NONE,
		.flags = own->coherent ? IOG_UNIT_COHERENT : 0,
	};
	if (above->pci) {
		/* The first cell of a PCI address has the bus in 23:16, device and function below. */
		if (fdt_cells(&node->reg) < 3)
			return iog_table_refuse(table, node->at, "an IOMMU on PCI has no reg property");
		if (above->segment > UINT16_MAX)
			return iog_table_refuse(table, node->at, "a PCI segment above 65535");
		found.unit.segment = (uint16_t)above->segment;
		found.unit.bdf = fdt_cell(table, &node->reg, 0) >> 8 & 0xffff;
		found.unit.flags |= IOG_UNIT_IS_PCI;
	} else if (!iog_fdt_address(table, node, 0, &found.unit.base, &found.unit.size) || !found.unit.base || found.unit.base & 0xfff) {
		return iog_table_refuse(table, node->at, "the registers of an IOMMU are nowhere: no reg, or no ranges above it, or not at the start of a page");
	}
	return table_report(table, &found);
}

/* iommu-map of a PCI host bridge: requester id, IOMMU, its id, how many. */
static int map_report(const struct table *table, const struct fdt_node *node, const struct units *units)
{
	const struct fdt_value *map = &node->iommu_map;
	struct iog_found found = { .kind = IOG_FOUND_DEVICES };
	uint32_t segment = node->levels[node->depth].segment, phandle, count;
	int result = 0;

	if (map->size % 16)
		return iog_table_refuse(table, map->at, "iommu-map: not a multiple of four cells");
	if (segment > UINT16_MAX)
		return iog_table_refuse(table, node->at, "a PCI segment above 65535");
	for (uint32_t n = 0; !result && n < map->size / 16; n++) {
		phandle = fdt_cell(table, map, 4 * n + 1);
		count = fdt_cell(table, map, 4 * n + 3);
		/* Real trees have empty ones. */
		if (!count)
			continue;
		found.offset = map->at + 16 * n;
		found.devices = (struct iog_found_devices){
			.unit = phandle,
			.who = {
				.kind = IOG_DEVICES_IDS,
				.segment = (uint16_t)segment,
				.segment_last = (uint16_t)segment,
				.first = fdt_cell(table, map, 4 * n),
				.last = fdt_cell(table, map, 4 * n) + (count - 1),
				.mask = node->map_mask,
			},
			.id = fdt_cell(table, map, 4 * n + 2),
			.flags = node->ats ? IOG_FOUND_ATS : 0,
		};
		if (found.devices.who.last < found.devices.who.first || found.devices.id + (count - 1) < found.devices.id)
			return iog_table_refuse(table, found.offset, "iommu-map: a range past the last id");
		if (!provider_find(units, phandle))
			return iog_table_refuse(table, found.offset + 4, "iommu-map: it leads to no IOMMU");
		result = table_report(table, &found);
	}
	return result;
}

static struct iog_devices node_who(const struct table *table, const struct fdt_node *node)
{
	struct iog_devices who = { .kind = IOG_DEVICES_NAMED, .first = node->phandle, .name = (const char *)table->bytes + node->levels[node->depth].name };

	/* The walk has seen the end of the name. */
	while (who.name[who.name_size])
		who.name_size++;
	return who;
}

/* iommus of any other device: IOMMU and as many cells as it wants, the first of which is the id. */
static int iommus_report(const struct table *table, const struct fdt_node *node, const struct units *units)
{
	const struct fdt_value *iommus = &node->iommus;
	struct iog_found found = { .kind = IOG_FOUND_DEVICES };
	const struct provider *provider;
	uint32_t cells = fdt_cells(iommus);
	int result = 0;

	if (iommus->size % 4)
		return iog_table_refuse(table, iommus->at, "iommus: not a multiple of a cell");
	for (uint32_t n = 0; !result && n < cells; n += 1 + provider->cells) {
		found.offset = iommus->at + 4 * n;
		provider = provider_find(units, fdt_cell(table, iommus, n));
		if (!provider)
			return iog_table_refuse(table, found.offset, "iommus: it leads to no IOMMU");
		if (provider->cells > cells - n - 1)
			return iog_table_refuse(table, found.offset, "iommus: fewer cells than the IOMMU's #iommu-cells");
		found.devices = (struct iog_found_devices){
			.unit = provider->phandle,
			.who = node_who(table, node),
			.id = provider->cells ? fdt_cell(table, iommus, n + 1) : 0,
			.flags = IOG_FOUND_ONE_ID,
		};
		result = table_report(table, &found);
	}
	return result;
}

struct search {
	uint32_t phandle;
	uint32_t address_cells, size_cells;
	struct iog_devices who;
	bool found;
};

static int device_match(const struct table *table, const struct fdt_node *node, void *ctx)
{
	struct search *search = ctx;

	if (node->phandle != search->phandle || !node->depth)
		return 0;
	search->address_cells = node->levels[node->depth - 1].address_cells;
	search->size_cells = node->levels[node->depth - 1].size_cells;
	search->who = node_who(table, node);
	search->found = true;
	return 1;
}

/* iommu-addresses of a node under /reserved-memory: device, address, size; again and again. */
static int reserved_report(const struct table *table, const struct fdt_node *node, struct units *units)
{
	const struct fdt_value *value = &node->iommu_addresses;
	struct iog_found found = { .kind = IOG_FOUND_RESERVED };
	uint32_t cells = fdt_cells(value), want;
	uint64_t address = 0, size = 0;
	struct search search;
	bool placed = iog_fdt_address(table, node, 0, &address, &size);
	int result = 0;

	for (uint32_t n = 0; !result && n < cells; n += want) {
		search = (struct search){ .phandle = fdt_cell(table, value, n) };
		found.offset = value->at + 4 * n;
		if (units->lookups++ == LOOKUPS_MAX)
			return iog_table_refuse(table, found.offset, "iommu-addresses: more of them than are read here (256)");
		result = iog_fdt_walk(table, device_match, &search);
		if (result < 0)
			return result;
		want = 1 + search.address_cells + search.size_cells;
		if (!search.found || search.address_cells > 2 || search.size_cells > 2 || want > cells - n)
			return iog_table_refuse(table, found.offset, "iommu-addresses: no such device, or too few cells for an address of it");
		found.reserved.unit = IOG_REF_NONE;
		found.reserved.who = search.who;
		if (!iog_table_range(fdt_number(table, value, n + 1, search.address_cells),
				     fdt_number(table, value, n + 1 + search.address_cells, search.size_cells), &found.reserved))
			return iog_table_refuse(table, found.offset, "iommu-addresses: an empty range, or one past the last address");
		/* Where the memory itself stands at the same address, the device uses it; elsewhere the address is only not free. */
		if (placed && address == found.reserved.first && size - 1 == found.reserved.last - found.reserved.first)
			found.reserved.flags = IOG_RESERVED_IDENTITY | IOG_RESERVED_RELAXABLE | IOG_RESERVED_READ | IOG_RESERVED_WRITE;
		else
			found.reserved.flags = IOG_RESERVED_UNUSABLE;
		result = table_report(table, &found);
	}
	return result;
}

/* Second pass. */
static int node_read(const struct table *table, const struct fdt_node *node, void *ctx)
{
	enum iog_unit_model model;
	int result = 0;

	if (!node->depth || !is_enabled(table, node))
		return 0;
	model = model_of(table, node);
	if (model)
		result = unit_report(table, node, model);
	if (!result && node->iommu_map.there)
		result = map_report(table, node, ctx);
	if (!result && node->iommus.there)
		result = iommus_report(table, node, ctx);
	if (!result && node->iommu_addresses.there)
		result = reserved_report(table, node, ctx);
	return result;
}

int iog_discover_fdt(const void *bytes, size_t size, iog_found_fn *visit, void *ctx, struct iog_discover_error *error)
{
	struct table table = { .name = "FDT", .bytes = bytes, .visit = visit, .ctx = ctx, .error = error };
	struct units units;
	int result = iog_fdt_open(&table, size);

	units.nr_providers = 0;
	units.lookups = 0;
	if (!result)
		result = iog_fdt_walk(&table, provider_note, &units);
	if (!result)
		result = iog_fdt_walk(&table, node_read, &units);
	return result;
}

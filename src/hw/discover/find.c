/* SPDX-License-Identifier: MIT */
/*
 * Which records of a table are about a given PCI function.
 *
 * A table is read twice: for the record that wins, and then for the unit that it names, which may stand before or after it.
 */
#include "table.h"

/* How well a record fits: what names a function outweighs a unit that serves the rest. */
enum fit {
	FIT_NONE = 0,
	FIT_REST,
	FIT_NAMED,
};

struct search {
	const struct iog_pci_topology *topology;
	uint16_t segment;
	uint16_t bdf;	    /* the function that the table would name: the physical one of a virtual function */
	uint32_t index;	    /* of it in @topology */
	uint32_t requester; /* the id that its DMA has */
	enum fit fit;
	uint32_t unit; /* ref */
	struct iog_location location;
	bool unit_found;
	/* For reserved memory. */
	iog_found_fn *visit;
	void *ctx;
};

static const struct iog_pci_function *function_at(const struct search *search, uint32_t index)
{
	return &search->topology->functions[index];
}

/* The function at the end of a path. False if a bridge on it is not there. */
static bool path_follow(const struct search *search, const struct iog_devices *who, uint16_t *bdf)
{
	uint8_t bus = who->bus;
	uint32_t index;

	for (uint32_t n = 0; n + 1 < who->depth; n++) {
		if (!search->topology)
			return false;
		index = iog_pci_find(search->topology, who->segment, IOG_BDF(bus, who->path[(size_t)2 * n], who->path[(size_t)2 * n + 1]));
		if (index == IOG_BDF_NONE || !(function_at(search, index)->header & 0x7f))
			return false;
		bus = function_at(search, index)->secondary;
	}
	*bdf = IOG_BDF(bus, who->path[(size_t)2 * (who->depth - 1)], who->path[(size_t)2 * (who->depth - 1) + 1]);
	return true;
}

static bool path_is_about(const struct search *search, const struct iog_devices *who)
{
	const struct iog_pci_function *bridge;
	uint32_t index;
	uint16_t bdf;

	if (search->segment != who->segment || !path_follow(search, who, &bdf))
		return false;
	if (bdf == search->bdf)
		return true;
	if (who->kind != IOG_DEVICES_BELOW || !search->topology)
		return false;
	index = iog_pci_find(search->topology, who->segment, bdf);
	if (index == IOG_BDF_NONE)
		return false;
	bridge = function_at(search, index);
	return bridge->header & 0x7f && search->bdf >> 8 >= bridge->secondary && search->bdf >> 8 <= bridge->subordinate;
}

static bool ids_are_about(const struct search *search, const struct iog_devices *who)
{
	uint32_t id = search->requester & who->mask;

	return search->segment >= who->segment && search->segment <= who->segment_last && id >= who->first && id <= who->last;
}

static bool is_about(const struct search *search, const struct iog_devices *who)
{
	switch (who->kind) {
	case IOG_DEVICES_IDS:
		return ids_are_about(search, who);
	case IOG_DEVICES_PATH:
	case IOG_DEVICES_BELOW:
		return path_is_about(search, who);
	default:
		return false;
	}
}

static void device_take(struct search *search, const struct iog_found_devices *devices)
{
	if (search->fit == FIT_NAMED && !(devices->flags & IOG_FOUND_OVERRIDES))
		return;
	search->fit = FIT_NAMED;
	search->unit = devices->unit;
	search->location.flags = devices->flags & (IOG_FOUND_ATS | IOG_FOUND_PRI | IOG_FOUND_NO_ATS);
	search->location.settings = devices->settings;
	if (devices->who.kind != IOG_DEVICES_IDS)
		search->location.id = search->requester;
	else if (devices->flags & IOG_FOUND_ONE_ID)
		search->location.id = devices->id;
	else
		/* Segments follow each other, 65536 ids apart (VIOT; other tables' ranges are of one segment). */
		search->location.id = devices->id + ((uint32_t)(search->segment - devices->who.segment) << 16) + ((search->requester & devices->who.mask) - devices->who.first);
}

static int device_search(void *ctx, const struct iog_found *found)
{
	struct search *search = ctx;

	if (found->kind == IOG_FOUND_UNIT && found->unit.flags & IOG_UNIT_SERVES_REST && found->unit.segment == search->segment && search->fit == FIT_NONE) {
		search->fit = FIT_REST;
		search->unit = found->unit.ref;
		search->location.id = search->requester;
	} else if (found->kind == IOG_FOUND_DEVICES && is_about(search, &found->devices.who)) {
		device_take(search, &found->devices);
	}
	return 0;
}

static int unit_search(void *ctx, const struct iog_found *found)
{
	struct search *search = ctx;

	if (found->kind != IOG_FOUND_UNIT || found->unit.ref != search->unit)
		return 0;
	search->location.unit = found->unit;
	search->unit_found = true;
	return 1;
}

/* The function that tables name, and the id that its DMA has. */
static int search_begin(struct search *search, const struct iog_pci_topology *topology, uint16_t segment, uint16_t bdf)
{
	const struct iog_pci_function *function;
	uint16_t ids[IOG_PCI_IDS_MAX];
	uint32_t count;
	int error;

	*search = (struct search){ .topology = topology, .segment = segment, .bdf = bdf, .requester = bdf };
	if (!topology)
		return 0;
	search->index = iog_pci_find(topology, segment, bdf);
	if (search->index == IOG_BDF_NONE)
		return -IOG_EINVAL;
	error = iog_pci_ids(topology, search->index, ids, &count);
	if (error)
		return -IOG_EINVAL;
	search->requester = ids[count - 1];
	/* VT-d 8.3.1: a virtual function is where its physical one is; its requester id is its own. */
	function = function_at(search, search->index);
	if (function->flags & IOG_PCI_VIRTUAL)
		search->bdf = function->physical;
	return 0;
}

static int location_find(struct search *search, iog_discover_fn *read, const void *bytes, size_t size, struct iog_discover_error *error)
{
	int result = read(bytes, size, device_search, search, error);

	if (result)
		return result;
	if (search->fit == FIT_NONE)
		return -IOG_ENOENT;
	result = read(bytes, size, unit_search, search, error);
	if (result < 0)
		return result;
	return search->unit_found ? 0 : -IOG_ENOENT;
}

int iog_discover_device(iog_discover_fn *read, const void *bytes, size_t size, const struct iog_pci_topology *topology, uint16_t segment, uint16_t bdf,
			struct iog_location *location, struct iog_discover_error *error)
{
	struct search search;
	int result;

	if (!read || !location)
		return -IOG_EINVAL;
	result = search_begin(&search, topology, segment, bdf);
	if (!result)
		result = location_find(&search, read, bytes, size, error);
	if (!result)
		*location = search.location;
	return result;
}

static int reserved_search(void *ctx, const struct iog_found *found)
{
	const struct search *search = ctx;
	const struct iog_devices *who = &found->reserved.who;
	bool about;

	if (found->kind != IOG_FOUND_RESERVED)
		return 0;
	if (who->kind == IOG_DEVICES_ALL)
		about = found->reserved.unit == IOG_REF_NONE || (search->unit_found && found->reserved.unit == search->unit);
	else if (who->kind == IOG_DEVICES_STREAMS)
		about = search->unit_found && found->reserved.unit == search->unit && search->location.id >= who->first && search->location.id <= who->last;
	else
		about = is_about(search, who);
	return about ? search->visit(search->ctx, found) : 0;
}

int iog_discover_reserved(iog_discover_fn *read, const void *bytes, size_t size, const struct iog_pci_topology *topology, uint16_t segment, uint16_t bdf,
			  iog_found_fn *visit, void *ctx, struct iog_discover_error *error)
{
	struct search search;
	int result;

	if (!read || !visit)
		return -IOG_EINVAL;
	result = search_begin(&search, topology, segment, bdf);
	if (!result)
		result = location_find(&search, read, bytes, size, error);
	/* Who is behind no unit may have reserved memory all the same. */
	if (result && result != -IOG_ENOENT)
		return result;
	search.visit = visit;
	search.ctx = ctx;
	return read(bytes, size, reserved_search, &search, error);
}

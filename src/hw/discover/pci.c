/* SPDX-License-Identifier: MIT */
/*
 * Isolation groups of PCI functions: a union-find over the functions, linked through their group members; each set's lowest index is its root.
 *
 * Invariant while it runs: functions[n].group <= n, and following it ends at the set's root.
 */
#include "table.h"

#define BUSES 256
#define ACS_NEEDED (IOG_PCI_ACS_SOURCE_VALIDATION | IOG_PCI_ACS_REQUEST_REDIRECT | IOG_PCI_ACS_COMPLETION_REDIRECT | IOG_PCI_ACS_UPSTREAM_FORWARDING)

static bool is_bridge(const struct iog_pci_function *function)
{
	return function->header & 0x7f;
}

uint32_t iog_pci_find(const struct iog_pci_topology *topology, uint16_t segment, uint16_t bdf)
{
	for (uint32_t n = 0; n < topology->count; n++)
		if (topology->functions[n].segment == segment && topology->functions[n].bdf == bdf)
			return n;
	return IOG_BDF_NONE;
}

uint32_t iog_pci_parent(const struct iog_pci_topology *topology, uint32_t index)
{
	const struct iog_pci_function *function = &topology->functions[index], *bridge;
	uint8_t bus = (uint8_t)(function->bdf >> 8);

	/* Buses of virtual functions beyond the physical one's own are behind the same bridge. */
	if (function->flags & IOG_PCI_VIRTUAL)
		bus = (uint8_t)(function->physical >> 8);
	for (uint32_t n = 0; n < topology->count; n++) {
		bridge = &topology->functions[n];
		if (n != index && is_bridge(bridge) && bridge->segment == function->segment && bridge->secondary == bus)
			return n;
	}
	return IOG_BDF_NONE;
}

/* Whether what is behind it is conventional PCI, whose requests carry the bridge's id, or one that the bridge makes up. */
static bool takes_over(const struct iog_pci_function *bridge, uint16_t *id)
{
	bool express = bridge->flags & IOG_PCI_EXPRESS;

	if ((express && bridge->port == IOG_PCI_TO_CONVENTIONAL) || (!express && bridge->flags & IOG_PCI_HIDDEN_EXPRESS)) {
		/* PCI Express to PCI/PCI-X Bridge 1.0, 2.3: the secondary bus number, device 0, function 0. */
		*id = (uint16_t)(bridge->secondary << 8);
		return true;
	}
	if ((express && bridge->port == IOG_PCI_FROM_CONVENTIONAL) || !express) {
		*id = bridge->bdf;
		return true;
	}
	return false;
}

int iog_pci_ids(const struct iog_pci_topology *topology, uint32_t index, uint16_t *ids, uint32_t *count)
{
	const struct iog_pci_function *function;
	uint16_t id;

	if (!topology || index >= topology->count)
		return -IOG_EINVAL;
	function = &topology->functions[index];
	*count = 0;
	ids[(*count)++] = function->bdf;
	if (function->flags & IOG_PCI_ALIAS && function->alias != function->bdf)
		ids[(*count)++] = function->alias;
	for (uint32_t steps = 0, bridge = iog_pci_parent(topology, index); bridge != IOG_BDF_NONE; bridge = iog_pci_parent(topology, bridge)) {
		if (++steps > BUSES)
			return -IOG_EINVAL;
		if (!takes_over(&topology->functions[bridge], &id))
			continue;
		if (*count == IOG_PCI_IDS_MAX)
			return -IOG_ENOSPC;
		ids[(*count)++] = id;
	}
	return 0;
}

static uint32_t root_of(const struct iog_pci_topology *topology, uint32_t index)
{
	struct iog_pci_function *functions = topology->functions;

	while (functions[index].group != index) {
		/* Halves the way for those who come after. */
		functions[index].group = functions[functions[index].group].group;
		index = functions[index].group;
	}
	return index;
}

static void join(const struct iog_pci_topology *topology, uint32_t a, uint32_t b)
{
	a = root_of(topology, a);
	b = root_of(topology, b);
	if (a < b)
		topology->functions[b].group = a;
	else
		topology->functions[a].group = b;
}

/* PCIe 6.0, 6.12.1: a bit that the capability has not is one that cannot be turned off. */
static bool acs_isolates(const struct iog_pci_function *function)
{
	uint32_t needed = ACS_NEEDED & function->acs_capability;

	if (function->flags & IOG_PCI_ISOLATES)
		return true;
	return function->flags & IOG_PCI_ACS && (function->acs_control & needed) == needed;
}

/* Whether two functions are of one device. Below a port of PCI Express there is only one, whatever its functions' numbers (ARI). */
static bool same_device(const struct iog_pci_function *a, const struct iog_pci_function *b, const struct iog_pci_function *parent)
{
	if (a->segment != b->segment || a->bdf >> 8 != b->bdf >> 8 || (a->flags | b->flags) & IOG_PCI_VIRTUAL)
		return false;
	if (parent && parent->flags & IOG_PCI_EXPRESS && (parent->port == IOG_PCI_ROOT_PORT || parent->port == IOG_PCI_DOWNSTREAM))
		return true;
	return (a->bdf >> 3) == (b->bdf >> 3);
}

/* Whether requests may pass the function, or from it to the others of its device, without going upstream. */
static bool lacks_isolation(const struct iog_pci_function *function)
{
	if (function->flags & IOG_PCI_ISOLATES)
		return false;
	if (function->flags & IOG_PCI_VIRTUAL)
		return function->flags & IOG_PCI_ACS && !acs_isolates(function);
	if (!(function->flags & IOG_PCI_EXPRESS))
		return true;
	switch (function->port) {
	case IOG_PCI_TO_CONVENTIONAL:
	case IOG_PCI_FROM_CONVENTIONAL:
	case IOG_PCI_EVENT_COLLECTOR:
		return true; /* 6.12.1: ACS is not for them */
	default:
		return !acs_isolates(function);
	}
}

static bool is_port(const struct iog_pci_function *function)
{
	return function->flags & IOG_PCI_EXPRESS && (function->port == IOG_PCI_ROOT_PORT || function->port == IOG_PCI_DOWNSTREAM);
}

static const struct iog_pci_function *parent_of(const struct iog_pci_topology *topology, uint32_t index)
{
	uint32_t parent = iog_pci_parent(topology, index);

	return parent == IOG_BDF_NONE ? NULL : &topology->functions[parent];
}

/*
 * Whether what is behind a bridge stays apart from the rest of its group: neither the bridge itself nor another function of its device lets requests through, nor a port beside it on
 * the bus inside a switch.
 */
static bool bridge_isolates(const struct iog_pci_topology *topology, uint32_t index)
{
	const struct iog_pci_function *bridge = &topology->functions[index], *other, *parent = parent_of(topology, index);
	bool single = bridge->flags & IOG_PCI_EXPRESS && bridge->port == IOG_PCI_UPSTREAM;

	if (!single && lacks_isolation(bridge))
		return false;
	for (uint32_t n = 0; n < topology->count; n++) {
		other = &topology->functions[n];
		if (n != index && same_device(bridge, other, parent)) {
			if (lacks_isolation(other) || lacks_isolation(bridge))
				return false;
		}
		/* A downstream port sends requests straight to its neighbours. */
		if (single && is_port(other) && !(other->flags & IOG_PCI_VIRTUAL) && other->segment == bridge->segment && other->bdf >> 8 == bridge->secondary &&
		    lacks_isolation(other))
			return false;
	}
	return true;
}

static int topology_check(const struct iog_pci_topology *topology)
{
	const struct iog_pci_function *function, *other;
	uint32_t physical;

	for (uint32_t n = 0; n < topology->count; n++) {
		function = &topology->functions[n];
		if (is_bridge(function) && (function->secondary <= function->bdf >> 8 || function->subordinate < function->secondary))
			return -IOG_EINVAL;
		if (function->flags & IOG_PCI_VIRTUAL) {
			physical = iog_pci_find(topology, function->segment, function->physical);
			if (physical == IOG_BDF_NONE || topology->functions[physical].flags & IOG_PCI_VIRTUAL || is_bridge(function))
				return -IOG_EINVAL;
		}
		for (uint32_t m = 0; m < n; m++) {
			other = &topology->functions[m];
			if (other->segment == function->segment && (other->bdf == function->bdf || (is_bridge(other) && is_bridge(function) && other->secondary == function->secondary)))
				return -IOG_EINVAL;
		}
	}
	return 0;
}

/* With the functions of its own device that it can reach, or that can reach it. */
static void join_device(const struct iog_pci_topology *topology, uint32_t index)
{
	const struct iog_pci_function *function = &topology->functions[index], *parent = parent_of(topology, index);

	for (uint32_t n = 0; n < index; n++)
		if (same_device(function, &topology->functions[n], parent) && (lacks_isolation(function) || lacks_isolation(&topology->functions[n])))
			join(topology, index, n);
}

/* With every bridge on the way whose requester id it takes, or that does not keep it apart, and with whoever has one of its ids. */
static int join_upwards(const struct iog_pci_topology *topology, uint32_t index)
{
	struct iog_pci_function *function = &topology->functions[index];
	uint16_t ids[IOG_PCI_IDS_MAX], id;
	uint32_t count, other, open = IOG_BDF_NONE;
	int error;

	for (uint32_t bridge = iog_pci_parent(topology, index); bridge != IOG_BDF_NONE; bridge = iog_pci_parent(topology, bridge))
		if (takes_over(&topology->functions[bridge], &id) || !bridge_isolates(topology, bridge))
			open = bridge;
	if (open != IOG_BDF_NONE)
		join(topology, index, open);
	error = iog_pci_ids(topology, index, ids, &count);
	if (error)
		return error;
	function->requester = ids[count - 1];
	for (uint32_t n = 1; n < count; n++) {
		other = iog_pci_find(topology, function->segment, ids[n]);
		if (other != IOG_BDF_NONE)
			join(topology, index, other);
	}
	return 0;
}

/* Two may share an id that is no function's own: another's alias, or one that a bridge makes up. */
static void join_aliases(const struct iog_pci_topology *topology, uint32_t index)
{
	const struct iog_pci_function *function = &topology->functions[index], *other;
	uint16_t id;

	if (!(function->flags & IOG_PCI_ALIAS))
		return;
	for (uint32_t n = 0; n < topology->count; n++) {
		other = &topology->functions[n];
		if (other->segment != function->segment)
			continue;
		if ((other->flags & IOG_PCI_ALIAS && other->alias == function->alias) || (is_bridge(other) && takes_over(other, &id) && id == function->alias))
			join(topology, index, n);
	}
}

int iog_pci_group(const struct iog_pci_topology *topology, uint32_t *groups)
{
	struct iog_pci_function *functions;
	uint32_t count = 0;
	int error;

	if (!topology || (topology->count && !topology->functions) || topology->count == UINT32_MAX)
		return -IOG_EINVAL;
	error = topology_check(topology);
	if (error)
		return error;
	functions = topology->functions;
	for (uint32_t n = 0; n < topology->count; n++)
		functions[n].group = n;
	for (uint32_t n = 0; n < topology->count; n++) {
		join_device(topology, n);
		join_aliases(topology, n);
		error = join_upwards(topology, n);
		if (error)
			return error;
	}
	/* A root is the lowest of its set, so that by the time that another is looked at its root has its number. */
	for (uint32_t n = 0; n < topology->count; n++)
		functions[n].group = root_of(topology, n);
	for (uint32_t n = 0; n < topology->count; n++)
		functions[n].group = functions[n].group == n ? count++ : functions[functions[n].group].group;
	if (groups)
		*groups = count;
	return 0;
}

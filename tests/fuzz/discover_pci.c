/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: PCI topologies. The input is functions of 12 bytes each. Groups must be numbered without gaps, in the order of the array; whoever shares a requester id, and
 * whatever is behind a bridge that takes one over, must be in one group; and the order of the array must not matter.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <iogate/error.h>
#include <iogate/pci.h>

#define FUNCTIONS_MAX 48
#define BYTES 12

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void claim(bool holds)
{
	if (!holds)
		abort();
}

static void function_read(struct iog_pci_function *function, const uint8_t *bytes)
{
	*function = (struct iog_pci_function){
		.segment = bytes[0] & 1,
		.header = bytes[0] >> 1 & 1,
		.bdf = IOG_BDF(bytes[1] & 15, bytes[2] >> 3, bytes[2]),
		.port = bytes[3] & 15,
		.secondary = bytes[4] & 31,
		.subordinate = bytes[5] & 31,
		.acs_capability = bytes[6],
		.acs_control = bytes[7],
		.physical = IOG_BDF(bytes[1] & 15, bytes[8] >> 3, bytes[8]),
		.alias = IOG_BDF(bytes[9] & 15, bytes[10] >> 3, bytes[10]),
		.flags = bytes[11] & 63,
	};
}

static void ids_check(const struct iog_pci_topology *topology, uint32_t index)
{
	const struct iog_pci_function *function = &topology->functions[index];
	uint16_t ids[IOG_PCI_IDS_MAX];
	uint32_t count, other;

	claim(!iog_pci_ids(topology, index, ids, &count) && count && count <= IOG_PCI_IDS_MAX && ids[count - 1] == function->requester);
	for (uint32_t n = 0; n < count; n++) {
		other = iog_pci_find(topology, function->segment, ids[n]);
		claim(other == IOG_BDF_NONE || topology->functions[other].group == function->group);
	}
	for (uint32_t n = 0; n < topology->count; n++)
		if (topology->functions[n].segment == function->segment && topology->functions[n].requester == function->requester)
			claim(topology->functions[n].group == function->group);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct iog_pci_function functions[FUNCTIONS_MAX], reversed[FUNCTIONS_MAX];
	struct iog_pci_topology topology = { functions, 0 }, mirror = { reversed, 0 };
	uint32_t groups = 0, others = 0, next = 0, count;
	int result;

	for (count = 0; count < FUNCTIONS_MAX && (count + 1) * BYTES <= size; count++)
		function_read(&functions[count], bytes + (size_t)count * BYTES);
	for (uint32_t n = 0; n < count; n++)
		reversed[count - 1 - n] = functions[n];
	topology.count = mirror.count = count;
	result = iog_pci_group(&topology, &groups);
	claim(iog_pci_group(&mirror, &others) == result);
	claim(!result || result == -IOG_EINVAL || result == -IOG_ENOSPC);
	if (result)
		return 0;
	claim(groups == others && groups <= count);
	for (uint32_t n = 0; n < count; n++) {
		claim(functions[n].group <= next);
		next += functions[n].group == next;
		ids_check(&topology, n);
		for (uint32_t m = 0; m < n; m++)
			claim((functions[n].group == functions[m].group) == (reversed[count - 1 - n].group == reversed[count - 1 - m].group));
	}
	claim(next == groups);
	return 0;
}

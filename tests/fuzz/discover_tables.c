/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: firmware tables. The first byte of the input says which; its signature, length and checksum are then made right, so that what follows is read.
 * What is reported has to lie in the table, twice the same, and no device may be found behind a unit that is not reported.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <iogate/discover.h>
#include <iogate/error.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct tally {
	const uint8_t *table;
	size_t size;
	uint32_t count;
	uint32_t kinds[8];
	uint64_t sum;
};

static void claim(bool holds)
{
	if (!holds)
		abort();
}

static void who_check(struct tally *tally, const struct iog_devices *who)
{
	claim(who->kind <= IOG_DEVICES_ALL);
	if (who->kind == IOG_DEVICES_PATH || who->kind == IOG_DEVICES_BELOW) {
		claim(who->depth && who->path >= tally->table && who->path + 2 * who->depth <= tally->table + tally->size);
		for (uint32_t n = 0; n < 2u * who->depth; n++)
			tally->sum += who->path[n];
	}
	if (who->name_size)
		claim((const uint8_t *)who->name >= tally->table && (const uint8_t *)who->name + who->name_size <= tally->table + tally->size);
	for (uint32_t n = 0; n < who->name_size; n++)
		tally->sum += (uint8_t)who->name[n];
	if (who->kind == IOG_DEVICES_IDS || who->kind == IOG_DEVICES_STREAMS)
		claim(who->first <= who->last && who->segment <= who->segment_last);
}

static int visit(void *ctx, const struct iog_found *found)
{
	struct tally *tally = ctx;

	claim(found->kind >= IOG_FOUND_PLATFORM && found->kind <= IOG_FOUND_AFFINITY && found->offset < tally->size);
	tally->count++;
	tally->kinds[found->kind]++;
	tally->sum = tally->sum * 31 + found->offset;
	if (found->kind == IOG_FOUND_UNIT)
		claim(found->unit.model && (found->unit.base || found->unit.model == IOG_UNIT_VIRTIO || found->unit.model == IOG_UNIT_SMMUV2 || found->unit.flags & IOG_UNIT_IS_PCI));
	if (found->kind == IOG_FOUND_DEVICES || found->kind == IOG_FOUND_ATS_BELOW || found->kind == IOG_FOUND_ATS_INTEGRATED)
		who_check(tally, &found->devices.who);
	if (found->kind == IOG_FOUND_RESERVED) {
		claim(found->reserved.first <= found->reserved.last);
		who_check(tally, &found->reserved.who);
	}
	return 0;
}

static int ignore(void *ctx, const struct iog_found *found)
{
	(void)found;
	++*(uint32_t *)ctx;
	return 0;
}

static void table_repair(uint8_t *table, size_t size, uint32_t kind)
{
	static const char signatures[5][5] = { "DMAR", "IVRS", "IORT", "RIMT", "VIOT" };
	uint8_t sum = 0;

	if (kind < 5) {
		memcpy(table, signatures[kind], 4);
		for (int n = 0; n < 4; n++)
			table[4 + n] = (uint8_t)(size >> (8 * n));
		table[9] = 0;
		for (size_t n = 0; n < size; n++)
			sum = (uint8_t)(sum + table[n]);
		table[9] = (uint8_t)-sum;
	} else {
		memcpy(table, "\xd0\x0d\xfe\xed", 4);
		for (int n = 0; n < 4; n++)
			table[7 - n] = (uint8_t)(size >> (8 * n));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct iog_pci_function functions[] = {
		{ .bdf = IOG_BDF(0, 1, 0), .header = 1, .secondary = 1, .subordinate = 3, .flags = IOG_PCI_EXPRESS, .port = IOG_PCI_ROOT_PORT },
		{ .bdf = IOG_BDF(1, 0, 0), .header = 1, .secondary = 2, .subordinate = 3, .flags = IOG_PCI_EXPRESS, .port = IOG_PCI_TO_CONVENTIONAL },
		{ .bdf = IOG_BDF(2, 0, 0) },
		{ .bdf = IOG_BDF(0, 2, 0) },
	};
	static const struct iog_pci_topology topology = { functions, 4 };
	struct iog_discover_error error = { 0 };
	struct tally first = { 0 }, second;
	struct iog_location location;
	uint32_t reserved = 0;
	uint8_t *table;
	int result;

	if (size < 44 || size > 1u << 16)
		return 0;
	size--;
	table = malloc(size);
	claim(table);
	memcpy(table, bytes + 1, size);
	table_repair(table, size, bytes[0] % 6u);
	first.table = table;
	first.size = size;
	second = first;
	result = iog_discover_any(table, size, visit, &first, &error);
	claim(!result || (result == -IOG_EINVAL && error.text && error.table));
	claim(iog_discover_any(table, size, visit, &second, NULL) == result && first.count == second.count && first.sum == second.sum);
	claim(iog_discover_any(table, size, NULL, NULL, NULL) == result);
	for (uint32_t n = 0; n < 4; n++) {
		int found = iog_discover_device(iog_discover_any, table, size, n & 1 ? &topology : NULL, 0, functions[n].bdf, &location, NULL);

		claim(!result ? !found || found == -IOG_ENOENT : found == -IOG_EINVAL);
		claim(found || first.kinds[IOG_FOUND_UNIT]);
		found = iog_discover_reserved(iog_discover_any, table, size, &topology, 0, functions[n].bdf, ignore, &reserved, NULL);
		claim(!result == !found);
	}
	claim(!reserved || first.kinds[IOG_FOUND_RESERVED]);
	free(table);
	return 0;
}

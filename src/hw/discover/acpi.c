/* SPDX-License-Identifier: MIT */
/*
 * From the root pointer to a table (ACPI 6.5, 5.2.5 to 5.2.8).
 */
#include "table.h"

#define RSDP_REVISION 15
#define RSDP_RSDT 16
#define RSDP_SIZE_1 20
#define RSDP_LENGTH 20
#define RSDP_XSDT 24
#define RSDP_SIZE_2 36

static const char rsdp_signature[8] = { 'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ' };

static int root_find(const struct table *rsdp, uint64_t *paddr, uint32_t *entry)
{
	uint32_t size = RSDP_SIZE_1;
	uint8_t sum = 0;

	for (uint32_t n = 0; n < sizeof(rsdp_signature); n++)
		if (rsdp->bytes[n] != (uint8_t)rsdp_signature[n])
			return iog_table_refuse(rsdp, 0, "another signature");
	for (uint32_t n = 0; n < size; n++)
		sum = (uint8_t)(sum + rsdp->bytes[n]);
	if (sum)
		return iog_table_refuse(rsdp, 8, "the checksum is wrong");
	if (rsdp->bytes[RSDP_REVISION] >= 2 && rsdp->size >= RSDP_SIZE_2 && table_u64(rsdp->bytes + RSDP_XSDT)) {
		*paddr = table_u64(rsdp->bytes + RSDP_XSDT);
		*entry = 8;
	} else {
		*paddr = table_u32(rsdp->bytes + RSDP_RSDT);
		*entry = 4;
	}
	return 0;
}

/* Map all of the table at @paddr, and check it. */
static int table_map(struct table *table, uint64_t paddr, iog_map_fn *map, void *ctx)
{
	const uint8_t *header = map(ctx, paddr, ACPI_HEADER_SIZE);
	uint32_t length;
	const void *bytes;

	if (!header) {
		(void)iog_table_refuse(table, 0, "its header cannot be reached");
		return -IOG_ERANGE;
	}
	length = table_u32(header + ACPI_LENGTH);
	if (length < ACPI_HEADER_SIZE || length > TABLE_SIZE_MAX)
		return iog_table_refuse(table, ACPI_LENGTH, "the length is less than that of the header, or beyond all reason (1 MiB)");
	bytes = map(ctx, paddr, length);
	if (!bytes) {
		(void)iog_table_refuse(table, 0, "it cannot be reached to its end");
		return -IOG_ERANGE;
	}
	return iog_table_open_acpi(table, bytes, length, ACPI_HEADER_SIZE);
}

int iog_acpi_find(uint64_t rsdp_paddr, const char *signature, iog_map_fn *map, void *ctx, uint64_t *paddr, size_t *size, struct iog_discover_error *error)
{
	struct table rsdp = { .name = "RSDP", .error = error }, root = { .error = error }, found = { .name = signature, .error = error };
	uint32_t entry = 4, count;
	uint64_t at = 0;
	const uint8_t *header;
	int result;

	if (!signature || !map || !paddr || !size)
		return -IOG_EINVAL;
	rsdp.bytes = map(ctx, rsdp_paddr, RSDP_SIZE_1);
	rsdp.size = RSDP_SIZE_1;
	if (rsdp.bytes && rsdp.bytes[RSDP_REVISION] >= 2) {
		rsdp.bytes = map(ctx, rsdp_paddr, RSDP_SIZE_2);
		rsdp.size = RSDP_SIZE_2;
	}
	if (!rsdp.bytes) {
		(void)iog_table_refuse(&rsdp, 0, "it cannot be reached");
		return -IOG_ERANGE;
	}
	result = root_find(&rsdp, &at, &entry);
	if (result)
		return result;
	root.name = entry == 8 ? "XSDT" : "RSDT";
	result = table_map(&root, at, map, ctx);
	if (result)
		return result;
	count = (root.size - ACPI_HEADER_SIZE) / entry;
	for (uint32_t n = 0; n < count; n++) {
		const uint8_t *pointer = root.bytes + ACPI_HEADER_SIZE + (size_t)n * entry;

		at = entry == 8 ? table_u64(pointer) : table_u32(pointer);
		header = map(ctx, at, ACPI_HEADER_SIZE);
		if (!header || header[0] != (uint8_t)signature[0] || header[1] != (uint8_t)signature[1] || header[2] != (uint8_t)signature[2] ||
		    header[3] != (uint8_t)signature[3])
			continue;
		result = table_map(&found, at, map, ctx);
		if (result)
			return result;
		*paddr = at;
		*size = found.size;
		return 0;
	}
	return -IOG_ENOENT;
}

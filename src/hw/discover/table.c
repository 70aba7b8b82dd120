/* SPDX-License-Identifier: MIT */
/*
 * Opening and refusing a table, and the reader that asks the first bytes which table it is.
 */
#include "table.h"

#include "fdt.h"

int iog_table_refuse(const struct table *table, uint32_t offset, const char *text)
{
	if (table->error) {
		table->error->table = table->name;
		table->error->offset = offset;
		table->error->text = text;
	}
	return -IOG_EINVAL;
}

static bool signature_is(const uint8_t *bytes, const char *name)
{
	for (int n = 0; n < 4; n++)
		if (bytes[n] != (uint8_t)name[n])
			return false;
	return true;
}

int iog_table_open_acpi(struct table *table, const void *bytes, size_t size, uint32_t least)
{
	uint8_t sum = 0;
	uint32_t length;

	table->bytes = bytes;
	if (!bytes || size < ACPI_HEADER_SIZE)
		return iog_table_refuse(table, 0, "shorter than the header of an ACPI table");
	if (!signature_is(table->bytes, table->name))
		return iog_table_refuse(table, 0, "another signature");
	length = table_u32(table->bytes + ACPI_LENGTH);
	if (length < least)
		return iog_table_refuse(table, ACPI_LENGTH, "the length is less than that of a table without entries");
	if (length > size)
		return iog_table_refuse(table, ACPI_LENGTH, "the length goes beyond the bytes that there are");
	if (length > TABLE_SIZE_MAX)
		return iog_table_refuse(table, ACPI_LENGTH, "the length is beyond all reason (1 MiB)");
	for (uint32_t n = 0; n < length; n++)
		sum = (uint8_t)(sum + table->bytes[n]);
	if (sum)
		return iog_table_refuse(table, 9, "the checksum is wrong");
	table->size = length;
	return 0;
}

int iog_discover_any(const void *bytes, size_t size, iog_found_fn *visit, void *ctx, struct iog_discover_error *error)
{
	static const struct {
		char name[5];
		iog_discover_fn *read;
	} readers[] = {
		{ "DMAR", iog_discover_dmar }, { "IVRS", iog_discover_ivrs }, { "IORT", iog_discover_iort },
		{ "RIMT", iog_discover_rimt }, { "VIOT", iog_discover_viot },
	};
	const struct table none = { .name = "table", .error = error };

	if (!bytes || size < 4)
		return iog_table_refuse(&none, 0, "too short for any table");
	for (uint32_t n = 0; n < sizeof(readers) / sizeof(readers[0]); n++)
		if (signature_is(bytes, readers[n].name))
			return readers[n].read(bytes, size, visit, ctx, error);
	if (fdt_u32(bytes) == FDT_MAGIC)
		return iog_discover_fdt(bytes, size, visit, ctx, error);
	return iog_table_refuse(&none, 0, "no table that describes IOMMUs");
}

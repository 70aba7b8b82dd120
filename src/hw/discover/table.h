/* SPDX-License-Identifier: MIT */
/*
 * What the readers share: a table whose bytes are not trusted, numbers in it, and refusing it.
 *
 * Invariant: @size bytes may be read from @bytes, and never more; table_has() comes before every access that is not inside a part which was checked whole.
 */
#ifndef IOG_DISCOVER_TABLE_H
#define IOG_DISCOVER_TABLE_H

#include <stdbool.h>

#include <iogate/discover.h>
#include <iogate/error.h>

/* The header that all ACPI tables begin with (ACPI 6.5, 5.2.6). */
#define ACPI_HEADER_SIZE 36
#define ACPI_LENGTH 4
/* Real tables have some kilobytes; what claims to be larger than this is not one, and reading it would take long. */
#define TABLE_SIZE_MAX (UINT32_C(1) << 20)

struct table {
	const char *name;
	const uint8_t *bytes;
	uint32_t size;
	iog_found_fn *visit;
	void *ctx;
	struct iog_discover_error *error;
};

static inline uint16_t table_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t table_u32(const uint8_t *at)
{
	return table_u16(at) | (uint32_t)table_u16(at + 2) << 16;
}

static inline uint64_t table_u64(const uint8_t *at)
{
	return table_u32(at) | (uint64_t)table_u32(at + 4) << 32;
}

/* Whether [offset, offset + size) lies in the table. */
static inline bool table_has(const struct table *table, uint64_t offset, uint64_t size)
{
	return offset <= table->size && size <= table->size - offset;
}

/* Also where there are @count pieces of @size. */
static inline bool table_has_array(const struct table *table, uint64_t offset, uint32_t count, uint32_t size)
{
	return table_has(table, offset, (uint64_t)count * size);
}

static inline int table_report(const struct table *table, const struct iog_found *found)
{
	return table->visit ? table->visit(table->ctx, found) : 0;
}

/**
 * iog_table_refuse() - the table is malformed.
 * @table: the table.
 * @offset: of what is wrong with it.
 * @text: why.
 *
 * Return: -IOG_EINVAL.
 */
int iog_table_refuse(const struct table *table, uint32_t offset, const char *text);

/**
 * iog_table_open_acpi() - check an ACPI table's header: signature, length, checksum.
 * @table: result; @name, @visit, @ctx and @error are filled in. @name is the signature.
 * @bytes: the table.
 * @size: bytes that may be read.
 * @least: bytes that a table of this kind has at least.
 *
 * Return: 0, or -IOG_EINVAL.
 */
int iog_table_open_acpi(struct table *table, const void *bytes, size_t size, uint32_t least);

/**
 * iog_table_range() - a reserved range as tables write it, first address and size.
 * @first: first address.
 * @size: bytes.
 * @reserved: receives the range.
 *
 * Return: false if it is empty, or goes past 2^64.
 */
static inline bool iog_table_range(uint64_t first, uint64_t size, struct iog_found_reserved *reserved)
{
	if (!size || first + (size - 1) < first)
		return false;
	reserved->first = first;
	reserved->last = first + (size - 1);
	return true;
}

#endif

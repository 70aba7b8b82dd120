/* SPDX-License-Identifier: MIT */
/*
 * Firmware tables built by hand, and what a reader reports of them.
 *
 * A table is read from memory of exactly its size, so that the address sanitizer sees any byte that is read beyond it.
 */
#ifndef TESTS_HW_TABLES_H
#define TESTS_HW_TABLES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <iogate/discover.h>
#include <iogate/error.h>

#define TABLE_MAX 8192
#define FOUND_MAX 64

struct image {
	uint8_t bytes[TABLE_MAX];
	uint32_t size;
};

static inline void put_bytes(struct image *image, const void *bytes, uint32_t size)
{
	assert_true(image->size + size <= TABLE_MAX);
	memcpy(image->bytes + image->size, bytes, size);
	image->size += size;
}

/* Little-endian. */
static inline void put(struct image *image, uint64_t value, uint32_t size)
{
	for (uint32_t n = 0; n < size; n++) {
		uint8_t byte = (uint8_t)(value >> (8 * n));

		put_bytes(image, &byte, 1);
	}
}

static inline void set(struct image *image, uint32_t at, uint64_t value, uint32_t size)
{
	for (uint32_t n = 0; n < size; n++)
		image->bytes[at + n] = (uint8_t)(value >> (8 * n));
}

/* Values of one size, one after the other. */
#define PUT(image, size, ...)                                                        \
	do {                                                                         \
		const uint64_t put_values[] = { __VA_ARGS__ };                       \
		for (size_t put_n = 0; put_n < sizeof(put_values) / sizeof(put_values[0]); put_n++) \
			put(image, put_values[put_n], size);                         \
	} while (0)

/* The ACPI header; length and checksum come with table_end(). */
static inline void table_begin(struct image *image, const char *signature)
{
	memset(image, 0, sizeof(*image));
	put_bytes(image, signature, 4);
	put(image, 0, 4);
	put(image, 1, 1);
	put(image, 0, 1);
	put_bytes(image, "IOGATETEST    1 IOG    1 ", 26);
}

static inline void table_sum(struct image *image)
{
	uint8_t sum = 0;

	image->bytes[9] = 0;
	for (uint32_t n = 0; n < image->size; n++)
		sum = (uint8_t)(sum + image->bytes[n]);
	image->bytes[9] = (uint8_t)-sum;
}

static inline void table_end(struct image *image)
{
	set(image, 4, image->size, 4);
	table_sum(image);
}

/* Everything that was reported, in order; pointers lead into @bytes. */
struct report {
	struct iog_found found[FOUND_MAX];
	uint32_t count;
	int result;
	struct iog_discover_error error;
	uint8_t *bytes;
	uint32_t size;
};

static inline int report_note(void *ctx, const struct iog_found *found)
{
	struct report *report = ctx;

	if (report->count < FOUND_MAX)
		report->found[report->count] = *found;
	report->count++;
	return 0;
}

static inline void report_free(struct report *report)
{
	free(report->bytes);
	report->bytes = NULL;
}

static inline void read_bytes(struct report *report, iog_discover_fn *read, const uint8_t *bytes, uint32_t size)
{
	memset(report, 0, sizeof(*report));
	report->bytes = malloc(size ? size : 1);
	report->size = size;
	assert_non_null(report->bytes);
	memcpy(report->bytes, bytes, size);
	report->result = read(report->bytes, size, report_note, report, &report->error);
}

static inline void read_image(struct report *report, iog_discover_fn *read, const struct image *image)
{
	read_bytes(report, read, image->bytes, image->size);
}

/* The nth record of a kind. */
static inline const struct iog_found *report_find(const struct report *report, enum iog_found_kind kind, uint32_t nth)
{
	for (uint32_t n = 0; n < report->count && n < FOUND_MAX; n++)
		if (report->found[n].kind == kind && !nth--)
			return &report->found[n];
	return NULL;
}

static inline uint32_t report_count(const struct report *report, enum iog_found_kind kind)
{
	uint32_t count = 0;

	for (uint32_t n = 0; n < report->count && n < FOUND_MAX; n++)
		count += report->found[n].kind == kind;
	return count;
}

/* The table with @size bytes at @at changed to @value is refused there, with a reason. */
static inline void refused_at(const struct image *image, iog_discover_fn *read, uint32_t at, uint64_t value, uint32_t size, uint32_t where)
{
	struct image changed = *image;
	struct report report;

	set(&changed, at, value, size);
	table_sum(&changed);
	read_image(&report, read, &changed);
	if (report.result != -IOG_EINVAL || report.error.offset != where)
		print_error("change at 0x%x: result %d, offset 0x%x (%s)\n", at, report.result, report.error.offset, report.error.text ? report.error.text : "none");
	assert_int_equal(report.result, -IOG_EINVAL);
	assert_int_equal(report.error.offset, where);
	assert_non_null(report.error.text);
	assert_non_null(report.error.table);
	report_free(&report);
}

/*
 * No damage to a table does more than have it refused: cut off at any byte (with the length made to fit, and not), any byte changed to any of some values. What is asserted is that the readers return, and
 * say why where they refuse; the sanitizers see the rest.
 */
static inline void survives(const struct image *image, iog_discover_fn *read)
{
	static const uint8_t values[] = { 0, 1, 2, 3, 4, 7, 8, 0x10, 0x40, 0x7f, 0x80, 0xf0, 0xff };
	struct report report;

	for (uint32_t size = 0; size < image->size; size++) {
		struct image cut = *image;

		read_bytes(&report, read, cut.bytes, size);
		assert_int_equal(report.result, -IOG_EINVAL);
		assert_non_null(report.error.text);
		report_free(&report);
		if (size < 10)
			continue;
		cut.size = size;
		table_end(&cut);
		read_image(&report, read, &cut);
		assert_true(!report.result || (report.result == -IOG_EINVAL && report.error.text));
		report_free(&report);
	}
	for (uint32_t at = 4; at < image->size; at++) {
		for (uint32_t n = 0; n < sizeof(values); n++) {
			struct image changed = *image;

			changed.bytes[at] = values[n];
			table_sum(&changed);
			read_image(&report, read, &changed);
			assert_true(!report.result || (report.result == -IOG_EINVAL && report.error.text));
			report_free(&report);
		}
	}
}

#endif

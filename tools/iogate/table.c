/* SPDX-License-Identifier: MIT */
/*
 * See table.h.
 */
#include "table.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void table_begin(struct table *table)
{
	memset(table, 0, sizeof(*table));
}

void table_column(struct table *table, const char *title)
{
	if (table->nr_columns < TABLE_COLUMNS_MAX)
		snprintf(table->titles[table->nr_columns++], TABLE_CELL_MAX, "%s", title);
}

static uint32_t row_find(struct table *table, const char *row)
{
	uint32_t i;

	for (i = 0; i < table->nr_rows; i++) {
		if (!strcmp(table->rows[i], row))
			return i;
	}
	if (i < TABLE_ROWS_MAX)
		snprintf(table->rows[table->nr_rows++], TABLE_CELL_MAX, "%s", row);
	return i;
}

void table_cell(struct table *table, const char *row, const char *format, ...)
{
	uint32_t index = row_find(table, row);
	va_list args;

	if (index == TABLE_ROWS_MAX || !table->nr_columns)
		return;
	va_start(args, format);
	vsnprintf(table->cells[index][table->nr_columns - 1], TABLE_CELL_MAX, format, args);
	va_end(args);
}

static int longest_row(const struct table *table)
{
	size_t longest = 0;

	for (uint32_t i = 0; i < table->nr_rows; i++) {
		if (strlen(table->rows[i]) > longest)
			longest = strlen(table->rows[i]);
	}
	return (int)longest;
}

static int widest_cell(const struct table *table, uint32_t column)
{
	size_t widest = strlen(table->titles[column]);

	for (uint32_t i = 0; i < table->nr_rows; i++) {
		if (strlen(table->cells[i][column]) > widest)
			widest = strlen(table->cells[i][column]);
	}
	return (int)widest;
}

void table_print(const struct table *table)
{
	int first = longest_row(table);

	printf("  %-*s", first, "");
	for (uint32_t column = 0; column < table->nr_columns; column++)
		printf("  %*s", widest_cell(table, column), table->titles[column]);
	putchar('\n');
	for (uint32_t row = 0; row < table->nr_rows; row++) {
		printf("  %-*s", first, table->rows[row]);
		for (uint32_t column = 0; column < table->nr_columns; column++)
			printf("  %*s", widest_cell(table, column), table->cells[row][column]);
		putchar('\n');
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * A table for people: a row per figure, a column per thing compared. Cells are put column by column; rows appear in the order of their first cell.
 */
#ifndef IOGATE_TOOL_TABLE_H
#define IOGATE_TOOL_TABLE_H

#include <stdint.h>

#define TABLE_ROWS_MAX 56
#define TABLE_COLUMNS_MAX 16
#define TABLE_CELL_MAX 48

struct table {
	uint32_t nr_rows;
	uint32_t nr_columns;
	char titles[TABLE_COLUMNS_MAX][TABLE_CELL_MAX];
	char rows[TABLE_ROWS_MAX][TABLE_CELL_MAX];
	char cells[TABLE_ROWS_MAX][TABLE_COLUMNS_MAX][TABLE_CELL_MAX];
};

void table_begin(struct table *table);

/* The cells that follow belong to a new column. */
void table_column(struct table *table, const char *title);

/* The cell of a row, in the current column. */
void table_cell(struct table *table, const char *row, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* On stdout, two blanks in. */
void table_print(const struct table *table);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Readers of a page table that have no lane: drivers of units that walk no tables and are told of each mapping instead.
 *
 * What a lane's number is to slabs_reap() (tablemem.c), a reader's count is: while there is one inside, no memory goes back to the host. A lane may be inside a call meanwhile, the caller's
 * own too, which is how a flush function comes to read the page table that it is flushed for.
 */
#ifndef IOG_PGTABLE_READER_H
#define IOG_PGTABLE_READER_H

#include "pgtable.h"

struct iog_pgtable_reader {
	struct iog_pgtable *pt;
	struct pt_lane lane; /* for its path */
};

/**
 * iog_pgtable_reader_init() - a reader.
 * @reader: one caller at a time.
 * @pt: outlives it.
 */
void iog_pgtable_reader_init(struct iog_pgtable_reader *reader, struct iog_pgtable *pt);

/* Around any number of visits, but no wait. */
void iog_pgtable_reader_enter(struct iog_pgtable_reader *reader);
void iog_pgtable_reader_exit(struct iog_pgtable_reader *reader);

/**
 * iog_pgtable_reader_visit() - iog_pgtable_visit(), inside.
 * @reader: entered.
 * @first: first address.
 * @last: last address.
 * @visit: as there. Where another lane changes an entry meanwhile, what it was or what it has become is seen.
 * @ctx: handed to @visit.
 *
 * Return: as iog_pgtable_visit().
 */
int iog_pgtable_reader_visit(struct iog_pgtable_reader *reader, iog_iova_t first, iog_iova_t last, iog_visit_fn *visit, void *ctx);

#endif

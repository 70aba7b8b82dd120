/* SPDX-License-Identifier: MIT */
/*
 * What the walk of one address and the visit of all share.
 */
#ifndef IOGATE_TOOL_WALK_PAGETABLE_WALK_H
#define IOGATE_TOOL_WALK_PAGETABLE_WALK_H

#include "pagetable.h"

/* Which entry of the table at @level. */
uint64_t pt_index(const struct pt *pt, uint32_t level, uint64_t iova);

/* log2 of the entries of a table at @level. */
uint32_t pt_table_bits(const struct pt *pt, uint32_t level);

/* An address with its upper bits as the format wants them. */
uint64_t pt_upper_bits(const struct pt *pt, uint64_t iova);

void pt_decode(const struct pt *pt, uint32_t level, uint64_t entry, struct pte *pte);

/* Take an address through one stage. */
void walk_stage(const struct space *space, uint32_t stage, struct image *image, uint64_t iova, struct steps *steps, struct walk *walk);

#endif

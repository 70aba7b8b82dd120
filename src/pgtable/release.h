/* SPDX-License-Identifier: MIT */
/*
 * What a completed invalidation does to a page table.
 */
#ifndef IOG_PGTABLE_RELEASE_H
#define IOG_PGTABLE_RELEASE_H

#include <iogate/types.h>

struct iog_gather;
struct iog_pgtable;

/**
 * iog_pgtable_release() - the gather's tables are forgotten by hardware: give them back, those that were not revived.
 * @pgtable: the page table.
 * @gather: of it; its table records are used up, but stay in it.
 *
 * Context: the gather's lane, outside any other call.
 */
void iog_pgtable_release(struct iog_pgtable *pgtable, struct iog_gather *gather);

/**
 * iog_pgtable_lane() - what a page table keeps for a lane.
 * @pgtable: the page table.
 * @lane: the lane.
 *
 * Return: opaque; NULL for a lane that it was not made for.
 */
void *iog_pgtable_lane(struct iog_pgtable *pgtable, iog_lane_t lane);

/**
 * iog_pgtable_publish() - entries stored so far are ordered before the device registers written next.
 * @pgtable: the page table.
 */
void iog_pgtable_publish(const struct iog_pgtable *pgtable);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What an unmap took away and hardware may still remember: ranges of leaf entries, and tables that were unlinked.
 *
 * A gather belongs to one page table and one lane. Calls that remove entries add to it; nothing in it may be reused (addresses, pages, tables)
 * until an invalidation that covers it has completed. It is emptied by iog_gather_flush(), or by an owner that runs the invalidation itself and
 * then calls iog_gather_complete().
 *
 * A table is recorded by value, (table, generation): it may be revived while the gather waits, unlinked again and so stand in two
 * gathers at once. Only the one that holds the latest generation releases it.
 */
#ifndef IOGATE_GATHER_H
#define IOGATE_GATHER_H

#include <stdbool.h>

#include <iogate/types.h>
#include <iogate/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iog_pgtable;
struct iog_gather;

/* Ranges kept apart before the gather asks for the whole domain. */
#define IOG_GATHER_RANGES 16
/* Unlinked tables one invalidation may cover. */
#define IOG_GATHER_TABLES 128

/* An inclusive range of addresses. */
struct iog_range {
	iog_iova_t first;
	iog_iova_t last;
};

/* A table that was unlinked: who, in which life, and the addresses it served. */
struct iog_gather_table {
	void *table; /* opaque */
	uint64_t generation;
	struct iog_range span;
};

/**
 * typedef iog_flush_fn - make hardware forget what a gather holds.
 * @gather: the gather. Not changed by the callee. When @gather->nr_tables is not 0, or @gather->walk_caches is set, walk caches must be dropped too: for the span of each
 *          table and for each range; otherwise an invalidation of leaf entries suffices. When @gather->everything is set, the whole domain.
 * @ctx: the gather's @flush_ctx.
 *
 * Context: the gather's lane; may wait for hardware, with a deadline.
 * Return: 0 when the invalidation has completed; -IOG_ETIMEDOUT or -IOG_EIO when it has not, after which nothing in the gather may be reused.
 */
typedef int iog_flush_fn(const struct iog_gather *gather, void *ctx);

/**
 * struct iog_gather - see the top of this file. Read freely; change through the functions below.
 */
struct iog_gather {
	struct iog_pgtable *pgtable;
	void *lane_state; /* opaque: what @pgtable keeps for @lane */
	iog_lane_t lane;

	/* Tables and ranges in use. */
	uint32_t nr_tables;
	uint32_t nr_ranges;

	/* The ranges did not fit: the whole domain has to be invalidated. */
	bool everything;
	/* Walk caches must be dropped for the ranges, too: entries were added where hardware caches not-present ones, or an entry above the leaves changed. */
	bool walk_caches;
	/* A page was dirty whose leaf was unmapped, or lost WRITE, while the page table tracked dirty bits. */
	bool dirty;

	iog_flush_fn *flush;
	void *flush_ctx;

	/* The smallest leaf among the ranges, bytes (a stride for units that want one); 0 when there is none. */
	uint64_t min_page_size;

	struct iog_range ranges[IOG_GATHER_RANGES];
	struct iog_gather_table tables[IOG_GATHER_TABLES];
};

/**
 * iog_gather_init() - an empty gather.
 * @gather: memory of the caller, about 5 KiB: keep one per lane rather than on a stack.
 * @pgtable: the page table whose entries it will collect.
 * @lane: the lane that will use it.
 * @flush: called by iog_gather_flush(), and by calls that must have an invalidation before they can go on: a large leaf over an empty table,
 *         a format that caches not-present entries, a gather that has no room for another table.
 * @ctx: handed to @flush.
 *
 * Context: any; does not allocate or wait.
 * Return: 0; -IOG_EINVAL for a lane that @pgtable was not made for, or a missing @flush.
 */
IOG_API int iog_gather_init(struct iog_gather *gather, struct iog_pgtable *pgtable, iog_lane_t lane, iog_flush_fn *flush, void *ctx);

/**
 * iog_gather_add_range() - a range of leaf entries has changed.
 * @gather: the gather.
 * @first: first address.
 * @last: last address, inclusive; not below @first.
 * @page_size: smallest leaf in it, bytes.
 *
 * Joined with a range that it touches or overlaps. The page-table calls do this themselves.
 *
 * Context: the gather's lane; does not allocate or wait.
 */
IOG_API void iog_gather_add_range(struct iog_gather *gather, iog_iova_t first, iog_iova_t last, uint64_t page_size);

/**
 * iog_gather_flush() - invalidate, wait, and give back the tables.
 * @gather: the gather; empty afterwards. An empty gather costs nothing.
 *
 * Context: the gather's lane, outside any other call on its page table; waits for hardware.
 * Return: 0, or what @flush returned; the gather then still holds everything, and nothing has been given back.
 */
IOG_API int iog_gather_flush(struct iog_gather *gather);

/**
 * iog_gather_complete() - an invalidation that covers all of the gather has completed.
 * @gather: the gather; its tables are given back, and it is empty afterwards.
 *
 * For owners that submit invalidations themselves and learn of their completion later.
 *
 * Context: the gather's lane, outside any other call on its page table; does not wait.
 */
IOG_API void iog_gather_complete(struct iog_gather *gather);

/**
 * iog_gather_is_empty() - whether there is anything to invalidate.
 * @gather: the gather.
 *
 * Context: the gather's lane.
 * Return: true if neither a range nor a table is held.
 */
static inline bool iog_gather_is_empty(const struct iog_gather *gather)
{
	return !gather->nr_tables && !gather->nr_ranges && !gather->everything;
}

#ifdef __cplusplus
}
#endif

#endif

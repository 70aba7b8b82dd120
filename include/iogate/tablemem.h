/* SPDX-License-Identifier: MIT */
/*
 * Table memory: where page tables get their tables from. One object serves any number of page tables of one table size.
 *
 * Tables come from slabs whose first page holds a descriptor per table. A slab serves one level for life and goes back to the host only when
 * every lane has been seen outside a call since it emptied, so that whoever follows a stale pointer still finds a table of the right level.
 */
#ifndef IOGATE_TABLEMEM_H
#define IOGATE_TABLEMEM_H

#include <iogate/types.h>
#include <iogate/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iog_platform;
struct iog_tablemem;

/**
 * struct iog_tablemem_config - zero means default.
 */
struct iog_tablemem_config {
	/* Lanes that may use it: 1 to 4096. Default 1. */
	uint32_t lanes;
	/* Bytes of one table, a power of two from 4096 to 65536. Default 4096. */
	uint32_t table_size;
};

/**
 * struct iog_tablemem_stats - exact when no call is running; each field is exact by itself at all times.
 */
struct iog_tablemem_stats {
	uint64_t bytes;      /* held from the platform now: slabs with everything in them, and roots */
	uint64_t bytes_peak; /* the most that ever was */
	uint64_t slabs;      /* slabs held now */
	uint64_t tables;     /* tables handed out to page tables now, roots included */
};

/**
 * iog_tablemem_create() - make table memory.
 * @platform: the host; kept by reference.
 * @config: kept by value; NULL for all defaults.
 * @tablemem: result.
 *
 * Context: any; allocates.
 * Return: 0; -IOG_EINVAL for a malformed @config or a @platform without its mandatory functions; -IOG_ENOMEM.
 */
IOG_API int iog_tablemem_create(const struct iog_platform *platform, const struct iog_tablemem_config *config,
				struct iog_tablemem **tablemem);

/**
 * iog_tablemem_destroy() - give everything back.
 * @tablemem: no page table may be left that uses it; NULL is allowed.
 *
 * Context: any lane, no other call running.
 * Return: 0; -IOG_EBUSY, with nothing done, while a page table uses it.
 */
IOG_API int iog_tablemem_destroy(struct iog_tablemem *tablemem);

/**
 * iog_tablemem_trim() - give a lane's stock back, and empty slabs to the host.
 * @tablemem: the table memory.
 * @lane: the caller's lane. A lane that goes away calls this last.
 *
 * Context: @lane; does not wait for hardware.
 * Return: 0; -IOG_ERANGE for a lane it was not made for.
 */
IOG_API int iog_tablemem_trim(struct iog_tablemem *tablemem, iog_lane_t lane);

/**
 * iog_tablemem_stats() - how much memory is held.
 * @tablemem: the table memory.
 * @stats: result.
 *
 * Context: any; does not wait.
 */
IOG_API void iog_tablemem_stats(const struct iog_tablemem *tablemem, struct iog_tablemem_stats *stats);

#ifdef __cplusplus
}
#endif

#endif

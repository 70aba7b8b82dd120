/* SPDX-License-Identifier: MIT */
/*
 * What the simulated unit has counted, as every report has it: caches by level, memory reads, commands by kind, exposure.
 *
 * Exposure is late exposure: from the return of an unmap to the completion that covers it. It is nothing where unmapping waits for that itself.
 */
#ifndef IOGATE_TOOL_INSTRUMENT_H
#define IOGATE_TOOL_INSTRUMENT_H

#include <iogate/host/sim.h>

#include "json.h"
#include "table.h"

/* Device accesses, of a page each. */
uint64_t instrument_accesses(const struct iog_sim_stats *stats);

/* The time that a part of all pages is not exposed longer than: the upper end of its bucket in the histogram, and no more than the longest. */
uint64_t instrument_exposure_ns(const struct iog_sim_exposure *exposure, double part);

/* What was measured beside the caches. */
enum instrument_flags {
	INSTRUMENT_EXPOSURE = 1 << 0,
	INSTRUMENT_REUSE = 1 << 1, /* with it: memory that changed hands while devices reached it */
};

/* Rows in the table's current column: commands, and everything else. */
void instrument_table_commands(struct table *table, const struct iog_sim_stats *stats);
void instrument_table(struct table *table, const struct iog_sim_stats *stats, uint32_t flags);

/* Keys "iotlb", "walk_caches", "walk_reads", "commands", "exposure_ns" and what goes with them. */
void instrument_json(json_t *object, const struct iog_sim_stats *stats, uint32_t flags);

#endif

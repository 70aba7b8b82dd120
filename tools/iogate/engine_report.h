/* SPDX-License-Identifier: MIT */
/*
 * The figures of an engine, as every report has them.
 */
#ifndef IOGATE_TOOL_ENGINE_REPORT_H
#define IOGATE_TOOL_ENGINE_REPORT_H

#include "engine.h"
#include "instrument.h"
#include "json.h"
#include "table.h"

/* Table memory and invalidation commands, in the table's current column. */
void engine_report_table(struct table *table, const struct engine_stats *stats);

/* The same in JSON, and what the simulated unit counted where there was one. @flags: enum instrument_flags. */
void engine_report_json(json_t *object, const struct engine_stats *stats, bool simulated, uint32_t flags);

#endif

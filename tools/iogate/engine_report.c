/* SPDX-License-Identifier: MIT */
/*
 * See engine_report.h.
 */
#include "engine_report.h"

#include <inttypes.h>

#include "size.h"

void engine_report_table(struct table *table, const struct engine_stats *stats)
{
	char text[SIZE_TEXT];

	table_cell(table, "table memory, peak", "%s", size_rounded(text, stats->table_bytes_peak));
	table_cell(table, "table memory, end", "%s", size_rounded(text, stats->table_bytes));
	table_cell(table, "invalidation commands", "%" PRIu64, stats->inval_commands);
	table_cell(table, "  that drop walk caches", "%" PRIu64, stats->walk_cache_flushes);
	if (stats->sim.wait_commands)
		instrument_table_commands(table, &stats->sim);
}

void engine_report_json(json_t *object, const struct engine_stats *stats, bool simulated, uint32_t flags)
{
	json_put_number(object, "table_bytes_peak", stats->table_bytes_peak);
	json_put_number(object, "table_bytes_end", stats->table_bytes);
	json_put_number(object, "inval_commands", stats->inval_commands);
	json_put_number(object, "walk_cache_flushes", stats->walk_cache_flushes);
	if (simulated)
		instrument_json(object, &stats->sim, flags);
}

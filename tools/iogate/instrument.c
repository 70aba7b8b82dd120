/* SPDX-License-Identifier: MIT */
/*
 * See instrument.h.
 */
#include "instrument.h"

#include <inttypes.h>

/* Walk caches that are shown: pointers to tables of levels 0 to 3. The fifth is of tables with six levels, which nobody has. */
#define LEVELS_SHOWN 4

uint64_t instrument_accesses(const struct iog_sim_stats *stats)
{
	return stats->reads + stats->writes;
}

static bool level_used(const struct iog_sim_stats *stats, uint32_t level)
{
	return stats->walk_hits[level] || stats->walk_level_misses[level];
}

uint64_t instrument_exposure_ns(const struct iog_sim_exposure *exposure, double part)
{
	double wanted = part * (double)exposure->pages;
	uint64_t seen = 0, end;

	for (uint32_t i = 0; i < IOG_SIM_EXPOSURE_BUCKETS; i++) {
		seen += exposure->log2_ns[i];
		if (!seen || (double)seen < wanted)
			continue;
		end = i ? (UINT64_C(1) << i) - 1 : 0;
		return end < exposure->max_ns ? end : exposure->max_ns;
	}
	return exposure->max_ns;
}

static double per(uint64_t count, uint64_t of)
{
	return of ? (double)count / (double)of : 0;
}

static void exposure_table(struct table *table, const struct iog_sim_exposure *exposure, uint32_t flags)
{
	table_cell(table, "exposure, median", "%.3f us", (double)instrument_exposure_ns(exposure, 0.5) / 1e3);
	table_cell(table, "exposure, p99", "%.3f us", (double)instrument_exposure_ns(exposure, 0.99) / 1e3);
	table_cell(table, "exposure, most", "%.3f us", (double)exposure->max_ns / 1e3);
	table_cell(table, "bytes reached after unmap", "%" PRIu64, exposure->late_bytes);
	if (!(flags & INSTRUMENT_REUSE))
		return;
	table_cell(table, "  of them reused", "%" PRIu64, exposure->reused_bytes);
	table_cell(table, "pages reused while exposed", "%" PRIu64, exposure->reuses);
}

void instrument_table_commands(struct table *table, const struct iog_sim_stats *stats)
{
	table_cell(table, "  of ranges", "%" PRIu64, stats->range_commands);
	table_cell(table, "  of the domain", "%" PRIu64, stats->domain_commands);
	table_cell(table, "  waits, beside them", "%" PRIu64, stats->wait_commands);
}

void instrument_table(struct table *table, const struct iog_sim_stats *stats, uint32_t flags)
{
	uint64_t accesses = instrument_accesses(stats);
	char row[TABLE_CELL_MAX];

	table_cell(table, "device accesses", "%" PRIu64, accesses);
	table_cell(table, "IOTLB hits", "%.1f %%", 100 * per(stats->iotlb_hits, stats->iotlb_hits + stats->iotlb_misses));
	table_cell(table, "IOTLB misses", "%" PRIu64, stats->iotlb_misses);
	for (uint32_t i = 0; i < LEVELS_SHOWN; i++) {
		if (!level_used(stats, i))
			continue;
		snprintf(row, sizeof(row), "walk cache, level %" PRIu32 ": hits", i);
		table_cell(table, row, "%" PRIu64, stats->walk_hits[i]);
		snprintf(row, sizeof(row), "walk cache, level %" PRIu32 ": misses", i);
		table_cell(table, row, "%" PRIu64, stats->walk_level_misses[i]);
	}
	table_cell(table, "walks from the root", "%" PRIu64, stats->walk_misses);
	table_cell(table, "walk reads", "%" PRIu64, stats->walk_reads);
	table_cell(table, "  per access", "%.3f", per(stats->walk_reads, accesses));
	if (flags & INSTRUMENT_EXPOSURE)
		exposure_table(table, &stats->exposure, flags);
}

static json_t *histogram_json(const uint64_t *log2_ns)
{
	json_t *array = json_checked(json_array());

	for (uint32_t i = 0; i < IOG_SIM_EXPOSURE_BUCKETS; i++)
		json_append(array, json_checked(json_integer((json_int_t)log2_ns[i])));
	return array;
}

static void exposure_json(json_t *object, const struct iog_sim_exposure *exposure, uint32_t flags)
{
	json_t *times = json_checked(json_object());

	json_put_number(times, "pages", exposure->pages);
	json_put_number(times, "p50", instrument_exposure_ns(exposure, 0.5));
	json_put_number(times, "p99", instrument_exposure_ns(exposure, 0.99));
	json_put_number(times, "max", exposure->max_ns);
	json_put(times, "log2", histogram_json(exposure->log2_ns));
	json_put(object, "exposure_ns", times);
	json_put_number(object, "late_accesses", exposure->late_accesses);
	json_put_number(object, "late_bytes", exposure->late_bytes);
	json_put_bool(object, "exposure_complete", !exposure->incomplete);
	if (!(flags & INSTRUMENT_REUSE))
		return;
	json_put_number(object, "reuses_exposed", exposure->reuses);
	json_put_number(object, "reused_bytes", exposure->reused_bytes);
}

void instrument_json(json_t *object, const struct iog_sim_stats *stats, uint32_t flags)
{
	json_t *iotlb = json_checked(json_object()), *commands = json_checked(json_object()), *levels = json_checked(json_array()), *level;

	json_put_number(iotlb, "hits", stats->iotlb_hits);
	json_put_number(iotlb, "misses", stats->iotlb_misses);
	json_put(object, "iotlb", iotlb);
	for (uint32_t i = 0; i < LEVELS_SHOWN; i++) {
		level = json_checked(json_object());
		json_put_number(level, "level", i);
		json_put_number(level, "hits", stats->walk_hits[i]);
		json_put_number(level, "misses", stats->walk_level_misses[i]);
		json_append(levels, level);
	}
	json_put(object, "walk_caches", levels);
	json_put_number(object, "device_accesses", instrument_accesses(stats));
	json_put_number(object, "walk_reads", stats->walk_reads);
	json_put_number(object, "walk_reads_ahead", stats->prewalk_reads);
	json_put_number(commands, "ranges", stats->range_commands);
	json_put_number(commands, "ranges_leaf_only", stats->range_leaf_only);
	json_put_number(commands, "domains", stats->domain_commands);
	json_put_number(commands, "waits", stats->wait_commands);
	json_put_number(commands, "device_ranges", stats->device_range_commands);
	json_put_number(commands, "device_all", stats->device_all_commands);
	json_put(object, "commands", commands);
	if (flags & INSTRUMENT_EXPOSURE)
		exposure_json(object, &stats->exposure, flags);
}

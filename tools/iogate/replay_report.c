/* SPDX-License-Identifier: MIT */
/*
 * What a replay prints; see replay.h.
 */
#include "replay.h"

#include <inttypes.h>
#include <stdio.h>

#include <iogate/error.h>

#include "engine_report.h"
#include "json.h"
#include "policy.h"
#include "size.h"
#include "table.h"

/* Failures that are described; more are only counted. */
#define DESCRIBED_MAX 8

void replay_describe(const struct trace *trace, const struct trace_event *event, uint64_t failures, const char *what, int error)
{
	if (failures < DESCRIBED_MAX)
		message("%s:%" PRIu32 ": %s 0x%" PRIx64 ", size %" PRIu64 ": %s", trace->name, event->line, what, event->iova, event->size,
			error ? iog_strerror(error) : "went elsewhere");
}

const char *replay_policy(const struct replay_config *config)
{
	static char name[32];

	snprintf(name, sizeof(name), "%s+%s", config->policy ? config->policy : "recorded", mode_name(config->mode));
	return name;
}

void replay_conclude(struct replay_result *result, bool limit_reached)
{
	uint64_t judged = result->stats.sim.violations_total;
	const struct trace *trace = result->trace;
	char text[SIZE_TEXT];

	result->violations = judged > result->failures ? judged : result->failures;
	result->partial = result->events < trace->count;
	if (limit_reached)
		problem_set(&result->why, "%s: table memory reached its limit of %s after %" PRIu64 " of %zu events; raise --memory-limit", trace->name,
			    size_rounded(text, result->stats.memory_limit), result->events, trace->count);
	else if (result->partial)
		problem_set(&result->why, "%s: interrupted after %" PRIu64 " of %zu events", trace->name, result->events, trace->count);
	result->partial |= limit_reached;
}

static void print_trace_header(const struct trace *trace)
{
	const struct live_figures *live = &trace->live;
	char text[SIZE_TEXT];

	printf("%s: %zu events: %" PRIu64 " maps of %s in all, %" PRIu64 " unmaps; %" PRIu64 " other lines", trace->name, trace->count, trace->maps,
	       size_rounded(text, trace->bytes_mapped), trace->unmaps, trace->skipped_lines);
	if (trace->bad_events)
		printf("; %" PRIu64 " bad events left out", trace->bad_events);
	printf("\n  live at most %" PRIu64 " maps, %" PRIu64 " pages; at the end %" PRIu64 " maps, %" PRIu64 " pages; %" PRIu64
	       " regions of 2 MiB touched\n", live->peak_maps, live->peak_pages, live->maps, live->pages, live->regions_2m);
	if (live->unmaps_of_several)
		printf("  %" PRIu64 " unmaps undo several maps, at most %" PRIu64 "\n", live->unmaps_of_several, live->unmap_most_maps);
}

static void put_percentiles(struct table *table, const char *what, const struct percentiles *percentiles)
{
	const uint64_t values[] = { percentiles->p50, percentiles->p99, percentiles->p999, percentiles->max };
	const char *const names[] = { "median", "p99", "p99.9", "most" };
	char row[TABLE_CELL_MAX];

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		snprintf(row, sizeof(row), "%s, %s", what, names[i]);
		table_cell(table, row, "%" PRIu64, values[i]);
	}
}

/* What only the DMA API has. */
static void put_domain(struct table *table, const struct replay_result *result)
{
	const struct iog_domain_stats *stats = &result->domain;
	char text[SIZE_TEXT];

	table_cell(table, "flushes of the whole domain", "%" PRIu64, stats->flushes);
	table_cell(table, "scatter lists", "%" PRIu64, result->lists);
	table_cell(table, "address allocations", "%" PRIu64, stats->iova.allocs);
	table_cell(table, "  beyond the lane's stock", "%" PRIu64, stats->iova.slow_allocs);
	if (stats->identity_maps)
		table_cell(table, "mapped 1:1", "%" PRIu64, stats->identity_maps);
	table_cell(table, "allocator's memory, peak", "%s", size_rounded(text, result->iova_bytes_peak));
	table_cell(table, "not given back", "%" PRIu64, result->leaks);
}

static void put_result(struct table *table, const struct replay_result *result)
{
	const struct engine_stats *stats = &result->stats;
	const struct iog_sim_stats *sim = &stats->sim;
	uint64_t accesses = sim->iotlb_hits + sim->iotlb_misses;

	table_cell(table, "reclaim", "%s", reclaim_name(result->config.reclaim));
	if (result->config.policy)
		table_cell(table, "threads", "%" PRIu32, result->config.threads);
	put_percentiles(table, "ns per map", &result->ns_per_map);
	put_percentiles(table, "ns per unmap", &result->ns_per_unmap);
	engine_report_table(table, stats);
	if (result->config.policy)
		put_domain(table, result);
	else if (result->config.mode != IOG_INVAL_STRICT)
		table_cell(table, "flushes forced by reuse", "%" PRIu64, result->forced_flushes);
	table_cell(table, "device accesses", "%" PRIu64, accesses);
	table_cell(table, "IOTLB hits", "%.1f %%", accesses ? 100.0 * (double)sim->iotlb_hits / (double)accesses : 0.0);
	table_cell(table, "walk reads", "%" PRIu64, sim->walk_reads);
	table_cell(table, "violations", "%" PRIu64, result->violations);
}

void replay_print_trace(const struct trace *trace, const struct replay_result *results, uint32_t nr_results)
{
	static bool printed;
	struct table table;

	if (printed)
		putchar('\n');
	printed = true;
	print_trace_header(trace);
	if (!nr_results)
		return;
	table_begin(&table);
	for (uint32_t i = 0; i < nr_results; i++) {
		table_column(&table, replay_policy(&results[i].config));
		put_result(&table, &results[i]);
	}
	putchar('\n');
	table_print(&table);
	for (uint32_t i = 0; i < nr_results; i++) {
		if (results[i].partial)
			printf("\nPartial: %s did %" PRIu64 " of %zu events.\n", replay_policy(&results[i].config), results[i].events, trace->count);
	}
	fflush(stdout);
}

static json_t *percentiles_json(const struct percentiles *percentiles)
{
	json_t *object = json_checked(json_object());

	json_put_number(object, "p50", percentiles->p50);
	json_put_number(object, "p99", percentiles->p99);
	json_put_number(object, "p999", percentiles->p999);
	json_put_number(object, "max", percentiles->max);
	return object;
}

static void put_domain_json(json_t *object, const struct replay_result *result)
{
	const struct iog_domain_stats *stats = &result->domain;
	json_t *iova = json_checked(json_object());

	json_put_number(object, "flushes", stats->flushes);
	json_put_number(object, "lists", result->lists);
	json_put_number(object, "runs", result->runs);
	json_put_number(object, "identity_maps", stats->identity_maps);
	json_put_number(object, "fallback_maps", stats->fallback_maps);
	json_put_number(object, "quarantined", stats->quarantined);
	json_put_number(object, "leaks", result->leaks);
	json_put_number(iova, "allocs", stats->iova.allocs);
	json_put_number(iova, "slow_allocs", stats->iova.slow_allocs);
	json_put_number(iova, "flushes", stats->iova.flushes);
	json_put_number(iova, "reclaims", stats->iova.reclaims);
	json_put_number(iova, "live_bytes_end", stats->iova.live_bytes);
	json_put_number(iova, "cached_bytes_end", stats->iova.cached_bytes);
	json_put_number(iova, "object_bytes_peak", result->iova_bytes_peak);
	json_put_number(iova, "object_bytes_end", stats->iova.object_bytes);
	json_put(object, "iova", iova);
}

static json_t *result_json(const struct replay_result *result)
{
	const struct live_figures *live = &result->trace->live;
	json_t *object = json_checked(json_object());

	json_put_string(object, "policy", replay_policy(&result->config));
	json_put_string(object, "trace", result->trace->name);
	json_put_number(object, "threads", result->config.threads);
	json_put_string(object, "format", result->config.format);
	json_put_string(object, "reclaim", reclaim_name(result->config.reclaim));
	json_put_number(object, "events", result->events);
	json_put_number(object, "maps", result->maps);
	json_put_number(object, "unmaps", result->unmaps);
	json_put_number(object, "bytes_mapped", result->bytes_mapped);
	json_put_number(object, "live_peak_maps", live->peak_maps);
	json_put_number(object, "live_peak_pages", live->peak_pages);
	json_put_number(object, "live_end_maps", live->maps);
	json_put_number(object, "live_end_pages", live->pages);
	json_put_number(object, "regions_2m", live->regions_2m);
	json_put(object, "ns_per_map", percentiles_json(&result->ns_per_map));
	json_put(object, "ns_per_unmap", percentiles_json(&result->ns_per_unmap));
	engine_report_json(object, &result->stats, true);
	if (result->config.policy)
		put_domain_json(object, result);
	else if (result->config.mode != IOG_INVAL_STRICT)
		json_put_number(object, "forced_flushes", result->forced_flushes);
	json_put_number(object, "violations", result->violations);
	json_put_bool(object, "partial", result->partial);
	return object;
}

static json_t *trace_json(const struct trace *trace)
{
	json_t *object = json_checked(json_object());

	json_put_string(object, "trace", trace->name);
	json_put_number(object, "lines", trace->lines);
	json_put_number(object, "events", trace->count);
	json_put_number(object, "skipped_lines", trace->skipped_lines);
	json_put_number(object, "bad_events", trace->bad_events);
	json_put_number(object, "lost_lines", trace->lost_lines);
	json_put_number(object, "unmaps_of_several", trace->live.unmaps_of_several);
	json_put_number(object, "unmap_most_maps", trace->live.unmap_most_maps);
	return object;
}

int replay_print_json(const struct trace *traces, uint32_t nr_traces, const struct replay_result *results, uint32_t nr_results, const char *mode,
		      uint64_t seed, const char *error)
{
	json_t *report = json_report("replay"), *policies = json_checked(json_array()), *files = json_checked(json_array());
	bool partial = false;

	for (uint32_t i = 0; i < nr_traces; i++)
		json_append(files, trace_json(&traces[i]));
	for (uint32_t i = 0; i < nr_results; i++) {
		json_append(policies, result_json(&results[i]));
		partial |= results[i].partial;
	}
	json_put_string(report, "mode", mode);
	json_put_number(report, "clock_ns", samples_clock_cost());
	json_put_end(report, seed, partial, error);
	json_put(report, "traces", files);
	json_put(report, "policies", policies);
	return json_print(report);
}

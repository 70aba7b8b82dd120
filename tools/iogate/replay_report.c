/* SPDX-License-Identifier: MIT */
/*
 * What a replay prints; see replay.h.
 */
#include "replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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
	static char name[48];

	snprintf(name, sizeof(name), "%s+%s%s%s", config->policy ? config->policy : "recorded", mode_name(config->mode), config->own_reclaim ? "+" : "",
		 config->own_reclaim ? reclaim_name(config->reclaim) : "");
	return name;
}

uint64_t replay_bound_ns(const struct replay_config *config)
{
	return config->mode == IOG_INVAL_STRICT ? 0 : DEFERRED_MS * UINT64_C(1000000);
}

/* Beside what the judge calls a violation: devices reached memory when they should not have had to try. */
static void check_exposure(struct replay_result *result)
{
	const struct iog_sim_exposure *exposure = &result->stats.sim.exposure;
	const struct replay_config *config = &result->config;
	uint64_t bound = replay_bound_ns(config);
	bool exact = config->threads == 1 || config->mode == IOG_INVAL_STRICT;

	if (exposure->incomplete) {
		message("%s, %s: no memory to measure exposure", result->trace->name, replay_policy(config));
		result->failures++;
	}
	if (exact && exposure->max_ns > bound) {
		message("%s, %s: a page was exposed for %" PRIu64 " ns after its unmap, beyond the bound of %" PRIu64 " ns", result->trace->name, replay_policy(config),
			exposure->max_ns, bound);
		result->failures++;
	}
	if (config->mode == IOG_INVAL_STRICT && exposure->late_bytes) {
		message("%s, %s: %" PRIu64 " bytes were reached after their unmap", result->trace->name, replay_policy(config), exposure->late_bytes);
		result->failures++;
	}
	if (config->mode == IOG_INVAL_HELD && exposure->reused_bytes) {
		message("%s, %s: %" PRIu64 " bytes were reached that belonged to somebody else", result->trace->name, replay_policy(config), exposure->reused_bytes);
		result->failures++;
	}
}

void replay_conclude(struct replay_result *result, bool limit_reached)
{
	uint64_t judged = result->stats.sim.violations_total;
	const struct trace *trace = result->trace;
	char text[SIZE_TEXT];

	check_exposure(result);
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

/* Recorded addresses say nothing of who owns memory. */
static uint32_t instrument_flags(const struct replay_config *config)
{
	return INSTRUMENT_EXPOSURE | (config->policy ? INSTRUMENT_REUSE : 0);
}

static void put_result(struct table *table, const struct replay_result *result)
{
	const struct engine_stats *stats = &result->stats;
	char text[SIZE_TEXT];

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
	instrument_table(table, &stats->sim, instrument_flags(&result->config));
	if (result->config.mode != IOG_INVAL_STRICT && result->config.threads == 1)
		table_cell(table, "exposure, bound", "%.3f us", (double)replay_bound_ns(&result->config) / 1e3);
	if (result->config.mode == IOG_INVAL_HELD)
		table_cell(table, "held after unmap, most", "%s", size_rounded(text, result->held_bytes_most));
	if (result->config.attacks) {
		table_cell(table, "attacker's accesses", "%" PRIu64, result->attacks);
		table_cell(table, "  that landed", "%" PRIu64, result->attacks_landed);
	}
	table_cell(table, "violations", "%" PRIu64, result->violations);
}

/* The same with nothing given back, if that was run, too: what giving tables back costs hardware. */
static const struct replay_result *find_baseline(const struct replay_result *results, uint32_t nr_results, const struct replay_result *result)
{
	const struct replay_config *config = &result->config;

	for (uint32_t i = 0; i < nr_results && config->reclaim != IOG_RECLAIM_NONE; i++) {
		const struct replay_config *other = &results[i].config;
		bool same = config->policy ? other->policy && !strcmp(config->policy, other->policy) : !other->policy;

		if (same && other->mode == config->mode && other->reclaim == IOG_RECLAIM_NONE && results[i].trace == result->trace && !results[i].partial && !result->partial)
			return &results[i];
	}
	return NULL;
}

static void print_reclaim_cost(const struct replay_result *result, const struct replay_result *none)
{
	const struct iog_sim_stats *with = &result->stats.sim, *without = &none->stats.sim;

	printf("\n%s over none:\n  last-level walk-cache misses %" PRIu64 " over %" PRIu64 "; walk reads %" PRIu64 " over %" PRIu64 "; commands that drop walk caches %" PRIu64
	       " over %" PRIu64 "; table memory at most %" PRIu64 " KiB over %" PRIu64 " KiB\n", replay_policy(&result->config), with->walk_level_misses[0],
	       without->walk_level_misses[0], with->walk_reads, without->walk_reads, with->walk_cache_flushes, without->walk_cache_flushes,
	       result->stats.table_bytes_peak >> 10, none->stats.table_bytes_peak >> 10);
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
		const struct replay_result *none = find_baseline(results, nr_results, &results[i]);

		if (none)
			print_reclaim_cost(&results[i], none);
	}
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
	json_put_number(object, "attacks", result->attacks);
	json_put_number(object, "attacks_landed", result->attacks_landed);
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

/* What giving tables back costs hardware, over the same without. */
static void put_reclaim_cost(json_t *object, const struct replay_result *result, const struct replay_result *none)
{
	json_t *cost = json_checked(json_object());

	json_put_real(cost, "last_level_misses", (double)result->stats.sim.walk_level_misses[0] - (double)none->stats.sim.walk_level_misses[0]);
	json_put_real(cost, "walk_reads", (double)result->stats.sim.walk_reads - (double)none->stats.sim.walk_reads);
	json_put_real(cost, "walk_cache_flushes", (double)result->stats.walk_cache_flushes - (double)none->stats.walk_cache_flushes);
	json_put(object, "over_none", cost);
}

static json_t *result_json(const struct replay_result *result, const struct replay_result *none)
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
	engine_report_json(object, &result->stats, true, instrument_flags(&result->config));
	json_put_number(object, "bytes_held_peak", result->held_bytes_most);
	json_put_number(object, "exposure_bound_ns", replay_bound_ns(&result->config));
	if (result->config.policy)
		put_domain_json(object, result);
	else if (result->config.mode != IOG_INVAL_STRICT)
		json_put_number(object, "forced_flushes", result->forced_flushes);
	if (none)
		put_reclaim_cost(object, result, none);
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
		json_append(policies, result_json(&results[i], find_baseline(results, nr_results, &results[i])));
		partial |= results[i].partial;
	}
	json_put_string(report, "mode", mode);
	json_put_number(report, "clock_ns", samples_clock_cost());
	json_put_end(report, seed, partial, error);
	json_put(report, "traces", files);
	json_put(report, "policies", policies);
	return json_print(report);
}

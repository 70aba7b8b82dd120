/* SPDX-License-Identifier: MIT */
/*
 * What a stress run prints; see stress.h.
 */
#include "stress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "engine_report.h"
#include "json.h"
#include "policy.h"
#include "size.h"
#include "table.h"

/* Whole TiB as that tool has it; what is no whole TiB, in its own unit. */
static const char *space_text(char text[SIZE_TEXT], uint64_t space)
{
	if (space % SIZE_1T)
		return size_exact(text, space);
	snprintf(text, SIZE_TEXT, "%" PRIu64 "T", space / SIZE_1T);
	return text;
}

void stress_print_line(const struct stress_result *result)
{
	char space[SIZE_TEXT];
	uint64_t ms = (uint64_t)(result->seconds * 1e3);

	printf("dma_size: %7" PRIu64 "K iova space: %s iommu: ~%7" PRIu64 "M time: %4" PRIu64 ".%03" PRIu64 "s\n", result->config.size >> 10,
	       space_text(space, result->config.space), result->stats.table_bytes >> 20, ms / 1000, ms % 1000);
	fflush(stdout);
}

const char *stress_device(const struct stress_config *config)
{
	static char name[64];

	if (!config->model)
		return config->simulate ? "sim" : "none";
	snprintf(name, sizeof(name), "qemu:%s", config->model->name);
	return name;
}

static void put_mode(struct table *table, const struct stress_result *result)
{
	const struct stress_config *config = &result->config;

	table_cell(table, "format", "%s", config->format);
	table_cell(table, "reclaim", "%s", reclaim_name(config->reclaim));
	table_cell(table, "invalidation", "%s", mode_name(config->mode));
	table_cell(table, "device", "%s", stress_device(config));
	table_cell(table, "threads", "%" PRIu32, config->threads);
}

static void put_figures(struct table *table, const struct stress_result *result)
{
	const struct engine_stats *stats = &result->stats;
	char text[SIZE_TEXT];

	table_cell(table, "map + unmap pairs", "%" PRIu64, result->pairs);
	table_cell(table, "ns per pair", "%.1f", stress_ns_per_pair(result));
	engine_report_table(table, stats);
	if (result->config.simulate)
		instrument_table(table, &stats->sim, INSTRUMENT_EXPOSURE);
	if (result->config.model) {
		table_cell(table, "  waits, beside them", "%" PRIu64, stats->wait_commands);
		table_cell(table, "register reads", "%" PRIu64, stats->model.mmio_reads);
		table_cell(table, "register writes", "%" PRIu64, stats->model.mmio_writes);
		table_cell(table, "accesses that landed", "%" PRIu64, stats->model_landed);
		table_cell(table, "accesses that faulted", "%" PRIu64, stats->model_faulted);
	}
	if (result->config.mode == IOG_INVAL_HELD)
		table_cell(table, "held after unmap, most", "%s", size_rounded(text, result->held_bytes_most));
	table_cell(table, "violations", "%" PRIu64, result->violations);
}

static double over(const struct stress_result *result, const struct stress_result *baseline)
{
	return 100 * (stress_ns_per_pair(result) / stress_ns_per_pair(baseline) - 1);
}

static double per_pair(uint64_t count, const struct stress_result *result)
{
	return result->pairs ? (double)count / (double)result->pairs : 0;
}

/* What giving tables back costs hardware. */
static void print_cost(const struct stress_result *result, const struct stress_result *baseline)
{
	const struct iog_sim_stats *with = &result->stats.sim, *without = &baseline->stats.sim;

	printf("Per pair: last-level walk-cache misses %.4f over %.4f; walk reads %.4f over %.4f; commands that drop walk caches %.4f over %.4f.\n",
	       per_pair(with->walk_level_misses[0], result), per_pair(without->walk_level_misses[0], baseline), per_pair(with->walk_reads, result),
	       per_pair(without->walk_reads, baseline), per_pair(with->walk_cache_flushes, result), per_pair(without->walk_cache_flushes, baseline));
}

void stress_print_table(const struct stress_result *results, uint32_t nr_results, const struct stress_result *baseline)
{
	char text[SIZE_TEXT], size[SIZE_TEXT];
	struct table table;

	table_begin(&table);
	for (uint32_t i = 0; i < nr_results; i++) {
		snprintf(text, sizeof(text), "%s pages%s", size_exact(size, results[i].config.size), results[i].partial ? ", partial" : "");
		table_column(&table, text);
		put_mode(&table, &results[i]);
		put_figures(&table, &results[i]);
	}
	putchar('\n');
	table_print(&table);
	if (baseline && baseline->pairs && results[0].pairs) {
		printf("\nThe same with --reclaim none over %s: %.1f ns per pair, %s left.\n", space_text(text, baseline->config.space),
		       stress_ns_per_pair(baseline), size_rounded(size, baseline->stats.table_bytes));
		printf("Cost of --reclaim %s over none: %+.1f %% (none takes new memory for every table).\n",
		       reclaim_name(results[0].config.reclaim), over(&results[0], baseline));
		if (results[0].config.simulate)
			print_cost(&results[0], baseline);
	}
	for (uint32_t i = 0; i < nr_results; i++) {
		if (results[i].partial)
			printf("\nPartial: %" PRIu64 " of %" PRIu64 " pairs were done.\n", results[i].pairs, results[i].pairs_wanted);
	}
}

static json_t *result_json(const struct stress_result *result)
{
	const struct stress_config *config = &result->config;
	const struct engine_stats *stats = &result->stats;
	json_t *run = json_checked(json_object());

	json_put_number(run, "dma_size", config->size);
	json_put_number(run, "iova_space", config->space);
	json_put_number(run, "pairs", result->pairs);
	json_put_real(run, "seconds", result->seconds);
	json_put_real(run, "ns_per_pair", stress_ns_per_pair(result));
	json_put_number(run, "memory_limit", stats->memory_limit);
	engine_report_json(run, stats, config->simulate, config->simulate ? INSTRUMENT_EXPOSURE : 0);
	if (config->simulate) {
		json_put_number(run, "walk_cache_misses", stats->sim.walk_misses);
		json_put_number(run, "dma_landed", stats->sim.writes + stats->sim.reads - stats->sim.faults);
		json_put_number(run, "dma_faulted", stats->sim.faults);
	}
	if (config->model) {
		json_put_number(run, "wait_commands", stats->wait_commands);
		json_put_number(run, "mmio_reads", stats->model.mmio_reads);
		json_put_number(run, "mmio_writes", stats->model.mmio_writes);
		json_put_number(run, "dma_landed", stats->model_landed);
		json_put_number(run, "dma_faulted", stats->model_faulted);
	}
	json_put_number(run, "bytes_held_peak", result->held_bytes_most);
	json_put_number(run, "violations", result->violations);
	json_put_string(run, "format", config->format);
	json_put_string(run, "reclaim", reclaim_name(config->reclaim));
	json_put_string(run, "inval", mode_name(config->mode));
	json_put_number(run, "threads", config->threads);
	json_put_string(run, "device", stress_device(config));
	json_put_bool(run, "partial", result->partial);
	return run;
}

int stress_print_json(const struct stress_result *results, uint32_t nr_results, const struct stress_result *baseline, uint64_t seed, const char *error)
{
	json_t *report = json_report("stress"), *runs = json_checked(json_array());
	bool partial = false;

	for (uint32_t i = 0; i < nr_results; i++) {
		json_append(runs, result_json(&results[i]));
		partial |= results[i].partial;
	}
	json_put_end(report, seed, partial, error);
	json_put(report, "runs", runs);
	if (baseline && baseline->pairs && nr_results && results[0].pairs) {
		json_put(report, "baseline", result_json(baseline));
		json_put_real(report, "percent_over_baseline", over(&results[0], baseline));
	}
	return json_print(report);
}

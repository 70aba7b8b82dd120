/* SPDX-License-Identifier: MIT */
/*
 * What the benchmarks found, and what they print; see bench.h.
 */
#include "bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "memory.h"
#include "size.h"
#include "table.h"

void bench_add(struct bench_result *result, double value)
{
	if (result->count == result->room) {
		result->room = result->room ? result->room * 2 : 64;
		result->values = memory_resize(result->values, result->room, sizeof(*result->values));
	}
	result->values[result->count++] = value;
	result->sum += value;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void bench_sort(struct bench_result *result)
{
	if (result->count)
		qsort(result->values, result->count, sizeof(*result->values), compare);
}

void bench_result_free(struct bench_result *result)
{
	free(result->values);
	*result = (struct bench_result){ 0 };
}

double bench_median(const struct bench_result *result)
{
	uint32_t count = result->count;

	return count % 2 ? result->values[count / 2] : (result->values[count / 2 - 1] + result->values[count / 2]) / 2;
}

const struct bench_result *bench_baseline(const struct bench_result *results, uint32_t nr_results, const struct bench_result *result)
{
	for (uint32_t i = 0; i < nr_results; i++) {
		if (result->bench_case->baseline && !strcmp(results[i].bench_case->name, result->bench_case->baseline))
			return results[i].count && bench_median(&results[i]) > 0 ? &results[i] : NULL;
	}
	return NULL;
}

void bench_print_list(void)
{
	for (uint32_t i = 0; i < bench_cases_count(); i++)
		printf("%-24s %s%s\n", bench_case_at(i)->name, bench_case_at(i)->summary, bench_case_at(i)->on_request ? " (only when named)" : "");
}

static void print_row(const struct bench_result *results, uint32_t nr_results, const struct bench_result *result)
{
	const struct bench_result *baseline = bench_baseline(results, nr_results, result);
	const struct bench_case *bench_case = result->bench_case;

	if (!result->count) {
		printf("%-24s %s\n", bench_case->name, result->skipped ? result->why.text : "not run");
		return;
	}
	printf("%-24s %10.2f %10.2f %10.2f  %-13s", bench_case->name, bench_min(result), bench_median(result), bench_max(result), bench_unit(bench_case));
	if (baseline)
		printf("  %7.3f of %s", bench_median(result) / bench_median(baseline), bench_case->baseline);
	if (bench_case->leaves)
		printf("%s%.3f ns per leaf", baseline ? "; " : "  ", bench_median(result) / (double)bench_case->leaves);
	if (bench_case->measure && result->count > 1)
		printf("%s%.3f on average", baseline ? "; " : "  ", bench_mean(result));
	putchar('\n');
}

/* The parts of a long run, side by side. */
static void print_parts(const struct bench_result *result)
{
	char text[SIZE_TEXT];
	struct table table;

	table_begin(&table);
	for (uint32_t i = 0; i < result->nr_parts; i++) {
		const struct bench_part *part = &result->parts[i];

		snprintf(text, sizeof(text), "%" PRIu32, i + 1);
		table_column(&table, text);
		table_cell(&table, "ns per operation", "%.1f", part->ns);
		table_cell(&table, "slow allocations, %", "%.3f", part->allocations ? 100 * (double)part->slow / (double)part->allocations : 0);
		table_cell(&table, "flushes", "%" PRIu64, part->flushes);
		table_cell(&table, "stocks taken in", "%" PRIu64, part->reclaims);
		table_cell(&table, "live", "%s", size_rounded(text, part->live_bytes));
		table_cell(&table, "in stock", "%s", size_rounded(text, part->cached_bytes));
		table_cell(&table, "bookkeeping", "%s", size_rounded(text, part->object_bytes));
	}
	printf("\n%s, in %" PRIu32 " parts:\n", result->bench_case->name, result->nr_parts);
	table_print(&table);
}

void bench_print_table(const struct bench_result *results, uint32_t nr_results, bool partial)
{
	uint32_t runs = 0, skipped = 0;

	for (uint32_t i = 0; i < nr_results; i++) {
		runs = results[i].runs > runs ? results[i].runs : runs;
		skipped += results[i].skipped;
	}
	printf("%-24s %10s %10s %10s  %-13s  median against baseline\n", "per call", "min", "median", "max", "unit");
	for (uint32_t i = 0; i < nr_results; i++)
		print_row(results, nr_results, &results[i]);
	for (uint32_t i = 0; i < nr_results; i++) {
		if (results[i].nr_parts)
			print_parts(&results[i]);
	}
	printf("\n%" PRIu32 " run%s of each that is timed", runs, runs == 1 ? "" : "s");
	if (skipped)
		printf("; %" PRIu32 " skipped", skipped);
	printf("%s.\n", partial ? "; partial" : "");
}

static json_t *part_json(const struct bench_part *part)
{
	json_t *object = json_checked(json_object());

	json_put_real(object, "ns_per_op", part->ns);
	json_put_number(object, "allocations", part->allocations);
	json_put_number(object, "slow_allocations", part->slow);
	json_put_number(object, "flushes", part->flushes);
	json_put_number(object, "reclaims", part->reclaims);
	json_put_number(object, "live_bytes", part->live_bytes);
	json_put_number(object, "cached_bytes", part->cached_bytes);
	json_put_number(object, "object_bytes", part->object_bytes);
	return object;
}

static json_t *result_json(const struct bench_result *results, uint32_t nr_results, const struct bench_result *result)
{
	const struct bench_result *baseline = bench_baseline(results, nr_results, result);
	const struct bench_case *bench_case = result->bench_case;
	json_t *object = json_checked(json_object()), *parts;

	json_put_string(object, "name", bench_case->name);
	json_put_string(object, "unit", bench_unit(bench_case));
	if (result->skipped)
		json_put_string(object, "skipped", result->why.text);
	if (result->count) {
		json_put_real(object, "min", bench_min(result));
		json_put_real(object, "median", bench_median(result));
		json_put_real(object, "max", bench_max(result));
		if (bench_case->measure)
			json_put_real(object, "mean", bench_mean(result));
	}
	json_put_number(object, "runs", result->runs);
	json_put_string(object, "baseline", bench_case->baseline);
	if (baseline && result->count)
		json_put_real(object, "ratio", bench_median(result) / bench_median(baseline));
	else
		json_put(object, "ratio", json_null());
	if (bench_case->leaves && result->count)
		json_put_real(object, "ns_per_leaf", bench_median(result) / (double)bench_case->leaves);
	if (result->nr_parts) {
		parts = json_checked(json_array());
		for (uint32_t i = 0; i < result->nr_parts; i++)
			json_append(parts, part_json(&result->parts[i]));
		json_put(object, "parts", parts);
	}
	return object;
}

int bench_print_json(const struct bench_result *results, uint32_t nr_results, const struct bench_state *options, const char *error)
{
	json_t *report = json_report("bench"), *cases = json_checked(json_array());

	for (uint32_t i = 0; i < nr_results; i++)
		json_append(cases, result_json(results, nr_results, &results[i]));
	json_put_string(report, "format", options->format);
	json_put_end(report, options->seed, false, error);
	json_put(report, "cases", cases);
	return json_print(report);
}

/* SPDX-License-Identifier: MIT */
/*
 * What the benchmarks print; see bench.h.
 */
#include "bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

double bench_median(const struct bench_result *result)
{
	uint32_t runs = result->runs;

	if (!runs)
		return 0;
	return runs % 2 ? result->ns[runs / 2] : (result->ns[runs / 2 - 1] + result->ns[runs / 2]) / 2;
}

const struct bench_result *bench_baseline(const struct bench_result *results, uint32_t nr_results, const struct bench_result *result)
{
	for (uint32_t i = 0; i < nr_results; i++) {
		if (result->bench_case->baseline && !strcmp(results[i].bench_case->name, result->bench_case->baseline))
			return results[i].runs ? &results[i] : NULL;
	}
	return NULL;
}

void bench_print_list(void)
{
	for (uint32_t i = 0; i < nr_bench_cases; i++)
		printf("%-24s %s\n", bench_cases[i].name, bench_cases[i].summary);
}

static void print_row(const struct bench_result *results, uint32_t nr_results, const struct bench_result *result)
{
	const struct bench_result *baseline = bench_baseline(results, nr_results, result);
	const struct bench_case *bench_case = result->bench_case;

	if (!result->runs) {
		printf("%-24s %s\n", bench_case->name, result->skipped ? result->why.text : "not run");
		return;
	}
	printf("%-24s %10.2f %10.2f %10.2f", bench_case->name, result->ns[0], bench_median(result), result->ns[result->runs - 1]);
	if (baseline)
		printf("  %7.3f of %s", bench_median(result) / bench_median(baseline), bench_case->baseline);
	if (bench_case->leaves)
		printf("%s%.3f ns per leaf", baseline ? "; " : "  ", bench_median(result) / (double)bench_case->leaves);
	putchar('\n');
}

void bench_print_table(const struct bench_result *results, uint32_t nr_results, bool partial)
{
	uint32_t runs = 0;

	for (uint32_t i = 0; i < nr_results; i++)
		runs = results[i].runs > runs ? results[i].runs : runs;
	printf("%-24s %10s %10s %10s  median against baseline\n", "ns per call", "min", "median", "max");
	for (uint32_t i = 0; i < nr_results; i++)
		print_row(results, nr_results, &results[i]);
	printf("\n%" PRIu32 " runs of each%s.\n", runs, partial ? "; partial" : "");
}

static json_t *result_json(const struct bench_result *results, uint32_t nr_results, const struct bench_result *result)
{
	const struct bench_result *baseline = bench_baseline(results, nr_results, result);
	const struct bench_case *bench_case = result->bench_case;
	json_t *object = json_checked(json_object());

	json_put_string(object, "name", bench_case->name);
	json_put_string(object, "unit", "ns");
	if (result->skipped)
		json_put_string(object, "skipped", result->why.text);
	if (result->runs) {
		json_put_real(object, "min", result->ns[0]);
		json_put_real(object, "median", bench_median(result));
		json_put_real(object, "max", result->ns[result->runs - 1]);
	}
	json_put_number(object, "runs", result->runs);
	json_put_string(object, "baseline", bench_case->baseline);
	if (baseline && result->runs)
		json_put_real(object, "ratio", bench_median(result) / bench_median(baseline));
	else
		json_put(object, "ratio", json_null());
	if (bench_case->leaves && result->runs)
		json_put_real(object, "ns_per_leaf", bench_median(result) / (double)bench_case->leaves);
	return object;
}

int bench_print_json(const struct bench_result *results, uint32_t nr_results, const char *format, uint64_t seed, const char *error)
{
	json_t *report = json_report("bench"), *cases = json_checked(json_array());

	for (uint32_t i = 0; i < nr_results; i++)
		json_append(cases, result_json(results, nr_results, &results[i]));
	json_put_string(report, "format", format);
	json_put_number(report, "seed", seed);
	json_put_bool(report, "partial", error != NULL);
	if (error)
		json_put_string(report, "error", error);
	json_put(report, "cases", cases);
	return json_print(report);
}

/* SPDX-License-Identifier: MIT */
/*
 * "iogate bench": which cases, and the runs of them in turn.
 */
#include "bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iogate/error.h>

#include "command.h"
#include "interrupt.h"
#include "memory.h"
#include "options.h"
#include "plot.h"
#include "progress.h"

/* A run goes on until its calls have taken this long: a hundred times what one timer interrupt costs. */
#define RUN_NS UINT64_C(20000000)

/* Of decay_*: each part has to be long enough to show anything; and a number that could ever end. */
#define OPS_LEAST UINT64_C(100000)
#define OPS_MOST UINT64_C(1000000000000)

static const char help[] =
	"Usage: iogate bench [OPTION...] [CASE...]\n"
	"What single operations cost, in ns per call unless another unit is shown, each held against a\n"
	"baseline of the same call. Without CASE all of them but decay_*; a case brings its baseline with it.\n"
	"\n"
	"      --list          the cases, and what each measures\n"
	"      --runs N        runs of each timed case; median, least and most are reported (11)\n"
	"      --ops N         operations of each decay_* case, over which it looks for decay (20000000)\n"
	"      --format NAME   page-table format, of those named below (vtdss)\n"
	"      --seed N        changes what is random (1)\n"
	"      --json          one JSON object on stdout\n"
	"      --plot DIR      also charts: bench.png and bench.svg in DIR, and their figures in bench.tsv; needs gnuplot\n"
	"  -h, --help\n"
	"\n"
	"Exit: 0 done, 1 ended early, a violation, or no charts written, 2 usage, 3 the machine cannot run a\n"
	"case that was named, or has no gnuplot.\n"
	"\n"
	"Examples: addresses and entries from a window, held against a tree and a walk; what one call for\n"
	"many pages saves over a call for each; whether magazines decay:\n"
	"  iogate bench window_pair\n"
	"  iogate bench pt_map_256 pt_map_256_by_page pt_map_256_range\n"
	"  iogate bench --ops 1000000000 decay_magazine\n";

struct request {
	struct bench_state options;
	const char *directory; /* for charts, or NULL */
	uint32_t runs;
	struct common_options common;
	bool list;
	bool *named; /* per case: on the command line */
};

enum {
	OPTION_LIST = OPTION_OWN,
	OPTION_RUNS,
	OPTION_OPS,
	OPTION_PLOT,
};

static const struct option long_options[] = {
	{ "list", no_argument, NULL, OPTION_LIST },
	{ "runs", required_argument, NULL, OPTION_RUNS },
	{ "ops", required_argument, NULL, OPTION_OPS },
	{ "plot", required_argument, NULL, OPTION_PLOT },
	OPTIONS_COMMON,
};

static int take_option(int option, void *ctx)
{
	struct request *request = ctx;
	uint64_t number;
	int ret;

	switch (option) {
	case OPTION_LIST:
		request->list = true;
		return 0;
	case OPTION_RUNS:
		ret = option_number("--runs", optarg, 1, 100000, &number);
		request->runs = ret ? 0 : (uint32_t)number;
		return ret;
	case OPTION_OPS:
		return option_number("--ops", optarg, OPS_LEAST, OPS_MOST, &request->options.ops);
	default: /* OPTION_PLOT */
		if (!*optarg)
			return usage_error("--plot: the name of a directory is wanted");
		request->directory = optarg;
		return 0;
	}
}

static int parse(int argc, char **argv, struct request *request)
{
	static const struct option_syntax syntax = { .help = help, .letters = ":h", .options = long_options, .take = take_option };
	uint32_t index;
	int ret;

	ret = options_parse(argc, argv, &syntax, &request->common, request);
	if (ret)
		return ret;
	request->options.format = request->common.format;
	request->options.seed = request->common.seed;
	for (int i = optind; i < argc; i++) {
		index = bench_case_find(argv[i]);
		if (index == bench_cases_count())
			return usage_error("%s: no such case in this version; --list names them", argv[i]);
		request->named[index] = true;
	}
	return 0;
}

/* The cases to run: those named, or all that need no request; and their baselines. Returns how many; @indices are their numbers. */
static uint32_t select_cases(const struct request *request, struct bench_result *results, uint32_t *indices)
{
	uint32_t total = bench_cases_count(), count = 0, index;
	bool *wanted = memory_new(total, sizeof(*wanted)), none_named = true;

	for (uint32_t i = 0; i < total; i++)
		none_named &= !request->named[i];
	for (uint32_t i = 0; i < total; i++) {
		if (none_named ? bench_case_at(i)->on_request : !request->named[i])
			continue;
		wanted[i] = true;
		for (index = i; bench_case_at(index)->baseline; wanted[index] = true)
			index = bench_case_find(bench_case_at(index)->baseline);
	}
	for (uint32_t i = 0; i < total; i++) {
		if (!wanted[i])
			continue;
		results[count].bench_case = bench_case_at(i);
		indices[count++] = i;
	}
	free(wanted);
	return count;
}

/* A run's figure is the median of its batches: one that was interrupted, or lost its CPU to somebody else, does not count for more than another. */
static int run_case(struct bench_state *state, struct bench_result *result, struct problem *problem)
{
	const struct bench_case *bench_case = result->bench_case;
	struct bench_result batches = { 0 };
	uint64_t total = 0, ns, calls;
	double median;
	int ret;

	do {
		ns = 0;
		calls = 0;
		ret = bench_case->run(state, &ns, &calls);
		if (ret) {
			problem_set(problem, "%s: %s", bench_case->name, iog_strerror(ret));
			break;
		}
		bench_add(&batches, (double)ns / (double)calls);
		total += ns;
	} while (total < RUN_NS && !interrupted());
	if (!ret && !interrupted()) {
		bench_sort(&batches);
		median = bench_median(&batches);
		bench_add(result, bench_case->is_rate && median > 0 ? 1000 / median : median);
		result->runs++;
	}
	bench_result_free(&batches);
	return ret;
}

static int measure_case(struct bench_state *state, struct bench_result *result, struct problem *problem)
{
	struct problem reason = { .text = "" };
	int ret = result->bench_case->measure(state, result, &reason);

	if (ret)
		problem_set(problem, "%s: %s", result->bench_case->name, *reason.text ? reason.text : iog_strerror(ret));
	else
		result->runs = 1;
	return ret;
}

/* Make a case ready, or note that this machine cannot run it. A timed one is run once for warmth: memory touched, branches seen. */
static int prepare_case(const struct request *request, uint32_t index, struct bench_result *result, struct bench_state **state, struct problem *problem)
{
	struct problem reason = { .text = "" };
	uint64_t ns = 0, calls = 0;
	int ret = bench_state_create(index, &request->options, state, &reason);

	if (ret == -IOG_EOPNOTSUPP) {
		result->skipped = true;
		problem_set(&result->why, "skipped: %s", reason.text);
		return 0;
	}
	if (!ret && result->bench_case->run)
		ret = result->bench_case->run(*state, &ns, &calls);
	if (ret)
		problem_set(problem, "%s: %s", result->bench_case->name, *reason.text ? reason.text : iog_strerror(ret));
	return ret;
}

/* What one run does of a case: nothing where it was done already, or is skipped. */
static int run_turn(struct bench_state *state, struct bench_result *result, struct problem *problem)
{
	if (!state)
		return 0;
	if (result->bench_case->run)
		return run_case(state, result, problem);
	return result->runs ? 0 : measure_case(state, result, problem);
}

static int run_all(const struct request *request, const uint32_t *indices, struct bench_result *results, uint32_t count, struct problem *problem)
{
	struct bench_state **states = memory_new(count, sizeof(struct bench_state *));
	int ret = 0;

	progress_begin("bench");
	for (uint32_t i = 0; i < count && !ret && !interrupted(); i++)
		ret = prepare_case(request, indices[i], &results[i], &states[i], problem);
	for (uint32_t run = 0; run < request->runs && !ret; run++) {
		for (uint32_t i = 0; i < count && !ret && !interrupted(); i++) {
			progress_update((uint64_t)run * count + i, (uint64_t)request->runs * count);
			ret = run_turn(states[i], &results[i], problem);
		}
	}
	progress_end();
	if (!ret && interrupted()) {
		problem_set(problem, "interrupted");
		ret = -IOG_EAGAIN;
	}
	for (uint32_t i = 0; i < count; i++)
		bench_state_destroy(states[i]);
	free(states);
	return ret;
}

/* @plot: where to put charts, or NULL. */
static int bench(const struct request *request, const struct plot *plot)
{
	uint32_t *indices = memory_new(bench_cases_count(), sizeof(*indices)), count;
	struct bench_result *results = memory_new(bench_cases_count(), sizeof(*results));
	struct problem problem;
	int ret, status = EXIT_DONE;

	interrupt_catch();
	count = select_cases(request, results, indices);
	ret = run_all(request, indices, results, count, &problem);
	if (ret) {
		message("%s", problem.text);
		status = EXIT_FOUND;
	}
	for (uint32_t i = 0; i < count; i++) {
		bench_sort(&results[i]);
		if (results[i].skipped && request->named[indices[i]]) {
			message("%s: %s", results[i].bench_case->name, results[i].why.text);
			status = EXIT_LACKING;
		}
	}
	if (!request->common.json)
		bench_print_table(results, count, ret != 0);
	else if (bench_print_json(results, count, &request->options, ret ? problem.text : NULL))
		status = EXIT_FOUND;
	if (plot && bench_plot(plot, results, count, request->options.format, ret != 0))
		status = status == EXIT_DONE ? EXIT_FOUND : status;
	else if (plot && !request->common.json)
		printf("Charts: bench.png and bench.svg in %s.\n", request->directory);
	for (uint32_t i = 0; i < count; i++)
		bench_result_free(&results[i]);
	free(results);
	free(indices);
	return status;
}

static int bench_and_plot(const struct request *request)
{
	struct plot plot;
	int ret;

	if (!request->directory)
		return bench(request, NULL);
	ret = plot_begin(request->directory, &plot);
	if (ret)
		return ret;
	ret = bench(request, &plot);
	plot_end(&plot);
	return ret;
}

int command_bench(int argc, char **argv)
{
	struct request request = { .options = { .ops = 20000000 }, .common = { .format = "vtdss", .seed = 1 }, .runs = 11 };
	int ret;

	request.named = memory_new(bench_cases_count(), sizeof(*request.named));
	ret = parse(argc, argv, &request);
	if (!ret && request.list)
		bench_print_list();
	else if (!ret)
		ret = bench_and_plot(&request);
	free(request.named);
	return ret < 0 ? EXIT_DONE : ret;
}

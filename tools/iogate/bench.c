/* SPDX-License-Identifier: MIT */
/*
 * "iogate bench": which cases, and the runs of them in turn.
 */
#include "bench.h"

#include <getopt.h>
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

static const char help[] =
	"Usage: iogate bench [OPTION...] [CASE...]\n"
	"What single operations cost, in ns per call, each held against a baseline of the same call.\n"
	"Without CASE all of them; a case brings its baseline with it.\n"
	"\n"
	"      --list          the cases, and what each measures\n"
	"      --runs N        runs of each case; median, least and most are reported (11)\n"
	"      --format NAME   page-table format: vtdss, x86_64 (vtdss)\n"
	"      --seed N        changes the order of random accesses (1)\n"
	"      --json          one JSON object on stdout\n"
	"      --plot DIR      also charts: bench.png and bench.svg in DIR, and their figures in bench.tsv; needs gnuplot\n"
	"  -h, --help\n"
	"\n"
	"Exit: 0 done, 1 ended early or no charts written, 2 usage, 3 the machine cannot run a case that was named, or has no gnuplot.\n"
	"\n"
	"Example: what one call for many pages saves over a call for each:\n"
	"  iogate bench pt_map_256 pt_map_256_by_page pt_map_256_range\n";

struct request {
	const char *format;
	const char *directory; /* for charts, or NULL */
	uint64_t seed;
	uint32_t runs;
	bool json;
	bool list;
	bool *named; /* per case: on the command line */
};

enum {
	OPTION_LIST = 256,
	OPTION_RUNS,
	OPTION_FORMAT,
	OPTION_SEED,
	OPTION_JSON,
	OPTION_PLOT,
};

static const struct option long_options[] = {
	{ "list", no_argument, NULL, OPTION_LIST },
	{ "runs", required_argument, NULL, OPTION_RUNS },
	{ "format", required_argument, NULL, OPTION_FORMAT },
	{ "seed", required_argument, NULL, OPTION_SEED },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "plot", required_argument, NULL, OPTION_PLOT },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int parse_option(int option, char **argv, struct request *request)
{
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
	case OPTION_FORMAT:
		return option_format(optarg, &request->format);
	case OPTION_SEED:
		return option_seed(optarg, &request->seed);
	case OPTION_JSON:
		request->json = true;
		return 0;
	case OPTION_PLOT:
		if (!*optarg)
			return usage_error("--plot: the name of a directory is wanted");
		request->directory = optarg;
		return 0;
	default:
		return option_bad(option, argv);
	}
}

static const struct bench_case *find_case(const char *name)
{
	for (uint32_t i = 0; i < nr_bench_cases; i++) {
		if (!strcmp(bench_cases[i].name, name))
			return &bench_cases[i];
	}
	return NULL;
}

static int parse(int argc, char **argv, struct request *request)
{
	const struct bench_case *bench_case;
	int option, ret;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return -1;
		}
		ret = parse_option(option, argv, request);
		if (ret)
			return ret;
	}
	for (int i = optind; i < argc; i++) {
		bench_case = find_case(argv[i]);
		if (!bench_case)
			return usage_error("%s: no such case in this version; --list names them", argv[i]);
		request->named[bench_case - bench_cases] = true;
	}
	return 0;
}

/* The cases to run: those named or all, and their baselines. Returns how many. */
static uint32_t select_cases(const struct request *request, struct bench_result *results)
{
	bool *wanted = memory_new(nr_bench_cases, sizeof(*wanted)), none_named = true;
	const struct bench_case *bench_case;
	uint32_t count = 0;

	for (uint32_t i = 0; i < nr_bench_cases; i++)
		none_named &= !request->named[i];
	for (uint32_t i = 0; i < nr_bench_cases; i++) {
		if (!none_named && !request->named[i])
			continue;
		for (bench_case = &bench_cases[i]; bench_case; bench_case = bench_case->baseline ? find_case(bench_case->baseline) : NULL)
			wanted[bench_case - bench_cases] = true;
	}
	for (uint32_t i = 0; i < nr_bench_cases; i++) {
		if (!wanted[i])
			continue;
		results[count].bench_case = &bench_cases[i];
		results[count++].ns = memory_new(request->runs, sizeof(double));
	}
	free(wanted);
	return count;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Batches of one run: ns per call of each. */
struct batches {
	double *ns;
	size_t count;
	size_t room;
};

static void batches_add(struct batches *batches, double ns)
{
	if (batches->count == batches->room) {
		batches->room = batches->room ? batches->room * 2 : 1024;
		batches->ns = memory_resize(batches->ns, batches->room, sizeof(*batches->ns));
	}
	batches->ns[batches->count++] = ns;
}

/* A run's figure is the median of its batches: one that was interrupted, or lost its CPU to somebody else, does not count for more than another. */
static int run_case(struct bench_state *state, struct bench_result *result, struct problem *problem)
{
	struct batches batches = { 0 };
	uint64_t total = 0, ns, calls;
	int ret;

	do {
		ns = 0;
		calls = 0;
		ret = result->bench_case->run(state, &ns, &calls);
		if (ret) {
			problem_set(problem, "%s: %s", result->bench_case->name, iog_strerror(ret));
			break;
		}
		batches_add(&batches, (double)ns / (double)calls);
		total += ns;
	} while (total < RUN_NS && !interrupted());
	if (!ret && !interrupted()) {
		qsort(batches.ns, batches.count, sizeof(*batches.ns), compare);
		result->ns[result->runs++] = batches.ns[batches.count / 2];
	}
	free(batches.ns);
	return ret;
}

/* Make a case ready, or note that this machine cannot run it. */
static int prepare_case(const struct request *request, struct bench_result *result, struct bench_state **state, struct problem *problem)
{
	int ret = bench_state_create(result->bench_case, request->format, request->seed, state, problem);

	if (ret == -IOG_EOPNOTSUPP) {
		result->skipped = true;
		problem_set(&result->why, "skipped: this machine cannot: %s", problem->text);
		return 0;
	}
	return ret;
}

static int run_all(const struct request *request, struct bench_result *results, uint32_t count, struct problem *problem)
{
	struct bench_state **states = memory_new(count, sizeof(struct bench_state *));
	uint64_t ns = 0, calls = 0;
	int ret = 0;

	progress_begin("bench");
	for (uint32_t i = 0; i < count && !ret; i++) {
		ret = prepare_case(request, &results[i], &states[i], problem);
		/* Once for warmth: memory touched, branches seen. */
		if (!ret && states[i])
			ret = results[i].bench_case->run(states[i], &ns, &calls);
	}
	for (uint32_t run = 0; run < request->runs && !ret; run++) {
		for (uint32_t i = 0; i < count && !ret && !interrupted(); i++) {
			progress_update((uint64_t)run * count + i, (uint64_t)request->runs * count);
			if (states[i])
				ret = run_case(states[i], &results[i], problem);
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
	struct bench_result *results = memory_new(nr_bench_cases, sizeof(*results));
	uint32_t count = select_cases(request, results);
	struct problem problem;
	int ret, status = EXIT_DONE;

	interrupt_catch();
	ret = run_all(request, results, count, &problem);
	if (ret) {
		message("%s", problem.text);
		status = EXIT_FOUND;
	}
	for (uint32_t i = 0; i < count; i++) {
		qsort(results[i].ns, results[i].runs, sizeof(double), compare);
		if (results[i].skipped && request->named[results[i].bench_case - bench_cases]) {
			message("%s: %s", results[i].bench_case->name, results[i].why.text);
			status = EXIT_LACKING;
		}
	}
	if (!request->json)
		bench_print_table(results, count, ret != 0);
	else if (bench_print_json(results, count, request->format, request->seed, ret ? problem.text : NULL))
		status = EXIT_FOUND;
	if (plot && plot_write(plot, results, count, request->format, ret != 0))
		status = status == EXIT_DONE ? EXIT_FOUND : status;
	else if (plot && !request->json)
		printf("Charts: bench.png and bench.svg in %s.\n", request->directory);
	for (uint32_t i = 0; i < count; i++)
		free(results[i].ns);
	free(results);
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
	struct request request = { .format = "vtdss", .seed = 1, .runs = 11 };
	int ret;

	request.named = memory_new(nr_bench_cases, sizeof(*request.named));
	ret = parse(argc, argv, &request);
	if (!ret && request.list)
		bench_print_list();
	else if (!ret)
		ret = bench_and_plot(&request);
	free(request.named);
	return ret < 0 ? EXIT_DONE : ret;
}

/* SPDX-License-Identifier: MIT */
/*
 * "iogate study": its options, and which combinations they ask for.
 */
#include "study.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iogate/error.h>

#include "command.h"
#include "engine.h"
#include "interrupt.h"
#include "memory.h"
#include "message.h"
#include "options.h"
#include "policy.h"
#include "progress.h"
#include "size.h"

#define PAGES_DEFAULT 32768
#define PAGES_MAX (UINT64_C(1) << 32)
#define WAIT_DEFAULT 1000
#define WAIT_MAX 1000000

static const char help[] =
	"Usage: iogate study [OPTION...]\n"
	"What leaf sizes, bypass, ATS, invalidation modes and ways to find addresses cost, under a simulated\n"
	"device and IOMMU of fixed geometry: each combination with its misses, memory reads, commands and\n"
	"exposure per page; and three ideas for strict invalidation, each left out in turn.\n"
	"\n"
	"      --workload NAME      descriptors: 64-page descriptors of a network device; pages: one page at\n"
	"                           a time (both)\n"
	"      --addresses WHAT     window, tree; static: all memory mapped 1:1 once; bypass: untranslated (all)\n"
	"      --leaf SIZE          4K, 2M, 1G: of buffers, and of static mappings (all)\n"
	"      --ats WHAT           off, on: the device has a TLB; ahead: and asks before its DMA (all)\n"
	"      --mode MODE          strict, deferred, held (all)\n"
	"      --ideas              the table of the ideas alone; --no-ideas: without it\n"
	"      --without IDEA       that table with this left out only: contiguous addresses of a descriptor,\n"
	"                           batched invalidation, ranged instead of of the domain, walk caches kept\n"
	"      --pages N            pages that are received in each run (32768)\n"
	"      --wait-ns N          what hardware takes for a wait, ns (1000)\n"
	"      --reclaim SCHEME     empty tables: counted, rwlock, none (counted)\n"
	"      --memory-limit SIZE  most memory for tables (half of what is available)\n"
	"      --format NAME        page-table format, of those named below (vtdss)\n"
	"      --plot DIR           write charts there: study.png, study.svg, and study.tsv with the figures\n"
	"      --seed N             changes the order of the rings (1)\n"
	"      --json               one JSON object on stdout\n"
	"  -h, --help\n"
	"\n"
	"Options that name what to study may be repeated.\n"
	"Exit: 0 done, 1 violations found, or the run ended early, 2 usage, 3 gnuplot is missing.\n"
	"\n"
	"Examples: everything; modes alone, side by side; what strict costs without contiguous addresses:\n"
	"  iogate study --plot charts\n"
	"  iogate study --no-ideas --workload descriptors --addresses window --leaf 4K --ats off\n"
	"  iogate study --without contiguous\n";

struct request {
	struct study_config config;
	struct common_options common;
	/* Bits of what was named; 0: all. */
	uint32_t workloads, addresses, leaves, ats, modes;
	bool only_ideas, no_ideas;
	uint32_t without; /* enum study_idea */
	const char *directory;
};

enum {
	OPTION_WORKLOAD = OPTION_OWN,
	OPTION_ADDRESSES,
	OPTION_LEAF,
	OPTION_ATS,
	OPTION_MODE,
	OPTION_IDEAS,
	OPTION_NO_IDEAS,
	OPTION_WITHOUT,
	OPTION_PAGES,
	OPTION_WAIT,
	OPTION_PLOT,
};

static const struct option long_options[] = {
	{ "workload", required_argument, NULL, OPTION_WORKLOAD },
	{ "addresses", required_argument, NULL, OPTION_ADDRESSES },
	{ "leaf", required_argument, NULL, OPTION_LEAF },
	{ "ats", required_argument, NULL, OPTION_ATS },
	{ "mode", required_argument, NULL, OPTION_MODE },
	{ "ideas", no_argument, NULL, OPTION_IDEAS },
	{ "no-ideas", no_argument, NULL, OPTION_NO_IDEAS },
	{ "without", required_argument, NULL, OPTION_WITHOUT },
	{ "pages", required_argument, NULL, OPTION_PAGES },
	{ "wait-ns", required_argument, NULL, OPTION_WAIT },
	{ "plot", required_argument, NULL, OPTION_PLOT },
	OPTIONS_TABLES,
	OPTIONS_COMMON,
};

/* The tables of the ideas: all, each left out, and none. */
static const uint32_t ideas_table[] = {
	STUDY_ALL_IDEAS,
	STUDY_ALL_IDEAS & ~STUDY_CONTIGUOUS,
	STUDY_ALL_IDEAS & ~STUDY_BATCHED,
	STUDY_ALL_IDEAS & ~STUDY_RANGED,
	STUDY_ALL_IDEAS & ~STUDY_KEPT,
	STUDY_ALL_IDEAS & ~(STUDY_BATCHED | STUDY_KEPT),
	STUDY_ALL_IDEAS & ~(STUDY_CONTIGUOUS | STUDY_KEPT),
	STUDY_ALL_IDEAS & ~(STUDY_CONTIGUOUS | STUDY_BATCHED),
	STUDY_ALL_IDEAS & ~(STUDY_CONTIGUOUS | STUDY_BATCHED | STUDY_KEPT),
};

#define NR_IDEAS (sizeof(ideas_table) / sizeof(ideas_table[0]))

/* One of some names, as a bit. */
static int take_name(const char *option, const char *const *names, uint32_t count, uint32_t *bits)
{
	char list[128] = "";
	size_t used = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (!strcmp(names[i], optarg)) {
			*bits |= 1u << i;
			return 0;
		}
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", !i ? "" : i + 1 == count ? " or " : ", ", names[i]);
	}
	return usage_error("%s %s: %s is wanted", option, optarg, list);
}

static int take_workload(uint32_t *bits)
{
	const char *names[STUDY_WORKLOADS];

	for (uint32_t i = 0; i < STUDY_WORKLOADS; i++)
		names[i] = study_workloads[i].name;
	return take_name("--workload", names, STUDY_WORKLOADS, bits);
}

static int take_mode(uint32_t *bits)
{
	enum iog_inval_mode mode;
	int ret = option_inval("--mode", optarg, &mode);

	if (!ret)
		*bits |= 1u << mode;
	return ret;
}

static int take_option(int option, void *ctx)
{
	struct request *request = ctx;
	uint64_t number;
	int ret;

	switch (option) {
	case OPTION_WORKLOAD:
		return take_workload(&request->workloads);
	case OPTION_ADDRESSES:
		return take_name("--addresses", study_addresses_names, STUDY_ADDRESSES, &request->addresses);
	case OPTION_LEAF:
		return take_name("--leaf", study_leaf_names, 3, &request->leaves);
	case OPTION_ATS:
		return take_name("--ats", study_ats_names, 3, &request->ats);
	case OPTION_MODE:
		return take_mode(&request->modes);
	case OPTION_IDEAS:
		request->only_ideas = true;
		return 0;
	case OPTION_NO_IDEAS:
		request->no_ideas = true;
		return 0;
	case OPTION_WITHOUT:
		return take_name("--without", study_idea_names, 4, &request->without);
	case OPTION_PAGES:
		return option_number("--pages", optarg, 1024, PAGES_MAX, &request->config.pages);
	case OPTION_WAIT:
		ret = option_number("--wait-ns", optarg, 0, WAIT_MAX, &number);
		request->config.wait_ns = ret ? 0 : (uint32_t)number;
		return ret;
	default: /* OPTION_PLOT */
		request->directory = optarg;
		return *optarg ? 0 : usage_error("--plot: the name of a directory is wanted");
	}
}

/* Leaves that the format has. */
static int check_leaves(const struct request *request)
{
	struct iog_format format;

	iog_format_describe(iog_format_find(request->common.format, IOG_RECLAIM_COUNTED, 0), &format);
	for (uint32_t leaf = 0; leaf < 3; leaf++) {
		if (request->leaves & 1u << leaf && !(format.page_sizes & study_leaf_size(leaf)))
			return usage_error("--leaf %s: %s has no such leaves", study_leaf_names[leaf], format_title(request->common.format));
	}
	return 0;
}

static int parse(int argc, char **argv, struct request *request)
{
	static const struct option_syntax syntax = { .help = help, .letters = ":h", .options = long_options, .take = take_option };
	const struct common_options *common = &request->common;
	int ret;

	*request = (struct request){ .common = { .format = "vtdss", .seed = 1 }, .config = { .pages = PAGES_DEFAULT, .wait_ns = WAIT_DEFAULT } };
	ret = options_parse(argc, argv, &syntax, &request->common, request);
	if (!ret)
		ret = options_need_4k(common);
	if (!ret)
		ret = check_leaves(request);
	if (ret)
		return ret;
	request->config.format = common->format;
	request->config.reclaim = common->reclaim;
	request->config.memory_limit = common->memory_limit;
	request->config.seed = common->seed;
	if (optind < argc)
		return usage_error("%s: takes options only", argv[optind]);
	request->only_ideas |= request->without != 0;
	if (request->only_ideas && request->no_ideas)
		return usage_error("--no-ideas: leaves nothing of what else was asked for");
	if (request->only_ideas && (request->workloads | request->addresses | request->leaves | request->ats | request->modes))
		return usage_error("--ideas and --without: the table of the ideas has no combinations to choose from");
	return 0;
}

static bool is_named(uint32_t bits, uint32_t which)
{
	return !bits || bits & 1u << which;
}

static bool format_has(const struct request *request, uint32_t leaf)
{
	struct iog_format format;

	iog_format_describe(iog_format_find(request->common.format, IOG_RECLAIM_COUNTED, 0), &format);
	return format.page_sizes & study_leaf_size(leaf);
}

/* What a combination does not have is named by its first value only: bypass has neither leaf nor ATS nor mode, static no mode. */
static bool is_wanted(const struct request *request, const struct study_case *what)
{
	if (!is_named(request->addresses, what->addresses))
		return false;
	if (!study_is_translated(what))
		return !what->leaf && !what->ats && !what->mode;
	if (!is_named(request->leaves, what->leaf) || !is_named(request->ats, what->ats) || !format_has(request, what->leaf))
		return false;
	return study_is_dynamic(what) ? is_named(request->modes, what->mode) : !what->mode;
}

/* @cases has room for all. */
static uint32_t choose(const struct request *request, struct study_case *cases)
{
	uint32_t count = 0;

	if (request->only_ideas)
		return 0;
	for (uint32_t n = 0; n < STUDY_WORKLOADS * STUDY_ADDRESSES * 27; n++) {
		struct study_case what = {
			.workload = &study_workloads[n / (27 * STUDY_ADDRESSES)],
			.addresses = (enum study_addresses)(n / 27 % STUDY_ADDRESSES),
			.leaf = n / 9 % 3,
			.ats = (enum study_ats)(n / 3 % 3),
			.mode = (enum iog_inval_mode)(n % 3),
		};

		if (is_named(request->workloads, n / (27 * STUDY_ADDRESSES)) && is_wanted(request, &what))
			cases[count++] = what;
	}
	return count;
}

static uint32_t choose_ideas(const struct request *request, uint32_t *ideas)
{
	if (request->no_ideas)
		return 0;
	if (request->without) {
		ideas[0] = STUDY_ALL_IDEAS;
		ideas[1] = STUDY_ALL_IDEAS & ~request->without;
		return 2;
	}
	memcpy(ideas, ideas_table, sizeof(ideas_table));
	return NR_IDEAS;
}

static int run_all(struct study *study, const struct study_case *cases, const uint32_t *ideas, struct problem *problem)
{
	uint32_t total = study->nr_results + study->nr_ideas;
	int ret = 0;

	progress_begin("study");
	for (uint32_t i = 0; i < study->nr_ideas && !ret; i++) {
		progress_update(i, total);
		ret = study_ideas_run(&study->config, ideas[i], &study->ideas[i], problem);
	}
	for (uint32_t i = 0; i < study->nr_results && !ret; i++) {
		progress_update(study->nr_ideas + i, total);
		ret = study_run(&study->config, &cases[i], &study->results[i], problem);
	}
	progress_end();
	if (ret == -IOG_EAGAIN && interrupted())
		problem_set(problem, "interrupted");
	return ret;
}

static bool found_violations(const struct study *study)
{
	bool found = false;

	for (uint32_t i = 0; i < study->nr_results; i++)
		found |= study->results[i].violations != 0;
	for (uint32_t i = 0; i < study->nr_ideas; i++)
		found |= study->ideas[i].violations != 0;
	return found;
}

/* @plot: where to put charts, or NULL. */
static int run_study(const struct request *request, const struct plot *plot)
{
	struct study_case *cases = memory_new((size_t)STUDY_WORKLOADS * STUDY_ADDRESSES * 27, sizeof(*cases));
	uint32_t ideas[NR_IDEAS] = { 0 };
	struct study study = { .config = request->config };
	struct problem problem;
	int ret, status = EXIT_DONE;

	interrupt_catch();
	study.nr_results = choose(request, cases);
	study.nr_ideas = choose_ideas(request, ideas);
	study.results = memory_new(study.nr_results + 1, sizeof(*study.results));
	study.ideas = memory_new(study.nr_ideas + 1, sizeof(*study.ideas));
	for (uint32_t i = 0; i < study.nr_results; i++)
		study.results[i].what = cases[i];
	ret = run_all(&study, cases, ideas, &problem);
	study.partial = ret != 0;
	if (ret)
		message("%s", problem.text);
	if (ret || found_violations(&study))
		status = EXIT_FOUND;
	if (!request->common.json)
		study_print(&study);
	else if (study_print_json(&study, ret ? problem.text : NULL))
		status = EXIT_FOUND;
	if (plot && study_plot(plot, &study))
		status = EXIT_FOUND;
	else if (plot && !request->common.json)
		printf("Charts: study.png and study.svg in %s.\n", request->directory);
	free(study.results);
	free(study.ideas);
	free(cases);
	return status;
}

int command_study(int argc, char **argv)
{
	struct request request;
	struct plot plot;
	int ret;

	ret = parse(argc, argv, &request);
	if (ret)
		return ret < 0 ? EXIT_DONE : ret;
	if (!request.directory)
		return run_study(&request, NULL);
	ret = plot_begin(request.directory, &plot);
	if (ret)
		return ret;
	ret = run_study(&request, &plot);
	plot_end(&plot);
	return ret;
}

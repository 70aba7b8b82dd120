/* SPDX-License-Identifier: MIT */
/*
 * "iogate replay": its options, and each trace under each policy.
 */
#include "replay.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iogate/error.h>

#include "command.h"
#include "interrupt.h"
#include "memory.h"
#include "message.h"
#include "options.h"
#include "progress.h"

#define POLICIES_MAX 8

static const char help[] =
	"Usage: iogate replay [OPTION...] TRACE...\n"
	"Run the iommu:map and iommu:unmap events of a Linux kernel on this library, at the recorded\n"
	"addresses, with a simulated device that uses each mapping and judges it. Each TRACE begins with\n"
	"an empty address space. It is what /sys/kernel/tracing/trace, \"trace-cmd report\" or \"perf script\"\n"
	"print, plain or compressed (gzip, xz, zstd, bzip2, lz4); - is stdin.\n"
	"\n"
	"      --mode recorded      the recorded addresses (recorded)\n"
	"      --policy NAME        recorded, recorded+strict, recorded+deferred; may be repeated, to\n"
	"                           compare (recorded+strict)\n"
	"      --format NAME        page-table format: vtdss, x86_64 (vtdss)\n"
	"      --reclaim SCHEME     empty tables: counted, rwlock, none (counted)\n"
	"      --skip-bad           leave events out that are malformed or contradict the trace, and\n"
	"                           count them\n"
	"      --memory-limit SIZE  most memory for tables (half of what is available)\n"
	"      --seed N             changes which page of a mapping the device touches (1)\n"
	"      --json               one JSON object on stdout\n"
	"  -h, --help\n"
	"\n"
	"Exit: 0 done, 1 violations found, an error in a trace, or the run ended early, 2 usage.\n"
	"\n"
	"Example: record on this machine, as root, then compare two modes of invalidation:\n"
	"  echo 1 > /sys/kernel/tracing/events/iommu/enable; sleep 10\n"
	"  gzip < /sys/kernel/tracing/trace > my.trace.gz\n"
	"  iogate replay --skip-bad --policy recorded+strict --policy recorded+deferred my.trace.gz\n";

struct request {
	struct replay_config config;
	bool deferred[POLICIES_MAX];
	uint32_t nr_policies;
	bool skip_bad;
	bool json;
};

/* What has been read and run so far. */
struct account {
	const struct request *request;
	struct trace *traces;
	uint32_t nr_traces;
	struct replay_result *results;
	uint32_t nr_results;
	struct problem problem; /* the first */
	bool failed;
};

enum {
	OPTION_MODE = 256,
	OPTION_POLICY,
	OPTION_FORMAT,
	OPTION_RECLAIM,
	OPTION_SKIP_BAD,
	OPTION_THREADS,
	OPTION_MEMORY_LIMIT,
	OPTION_SEED,
	OPTION_JSON,
};

static const struct option long_options[] = {
	{ "mode", required_argument, NULL, OPTION_MODE },
	{ "policy", required_argument, NULL, OPTION_POLICY },
	{ "format", required_argument, NULL, OPTION_FORMAT },
	{ "reclaim", required_argument, NULL, OPTION_RECLAIM },
	{ "skip-bad", no_argument, NULL, OPTION_SKIP_BAD },
	{ "threads", required_argument, NULL, OPTION_THREADS },
	{ "memory-limit", required_argument, NULL, OPTION_MEMORY_LIMIT },
	{ "seed", required_argument, NULL, OPTION_SEED },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int parse_policy(const char *text, struct request *request)
{
	if (request->nr_policies == POLICIES_MAX)
		return usage_error("--policy %s: at most %d policies in one call", text, POLICIES_MAX);
	if (strcmp(text, "recorded") && strcmp(text, "recorded+strict") && strcmp(text, "recorded+deferred"))
		return usage_error("--policy %s: not in this version; there is recorded+strict, recorded+deferred, and recorded for the former", text);
	request->deferred[request->nr_policies++] = !strcmp(text, "recorded+deferred");
	return 0;
}

static int parse_option(int option, char **argv, struct request *request)
{
	uint64_t number;

	switch (option) {
	case OPTION_MODE:
		if (strcmp(optarg, "recorded"))
			return usage_error("--mode %s: not in this version; there is recorded", optarg);
		return 0;
	case OPTION_POLICY:
		return parse_policy(optarg, request);
	case OPTION_FORMAT:
		return option_format(optarg, &request->config.format);
	case OPTION_RECLAIM:
		return option_reclaim(optarg, &request->config.reclaim);
	case OPTION_SKIP_BAD:
		request->skip_bad = true;
		return 0;
	case OPTION_THREADS:
		if (option_number("--threads", optarg, 1, UINT32_MAX, &number))
			return EXIT_USAGE;
		return number == 1 ? 0 : usage_error("--threads %s: not in this version; events are replayed by one thread", optarg);
	case OPTION_MEMORY_LIMIT:
		return option_size("--memory-limit", optarg, 1, &request->config.memory_limit);
	case OPTION_SEED:
		return option_seed(optarg, &request->config.seed);
	case OPTION_JSON:
		request->json = true;
		return 0;
	default:
		return option_bad(option, argv);
	}
}

static int parse(int argc, char **argv, struct request *request)
{
	int option, ret;

	*request = (struct request){ .config = { .format = "vtdss", .seed = 1 } };
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
	if (optind == argc)
		return usage_error("no trace named");
	if (!request->nr_policies)
		request->nr_policies = 1;
	return 0;
}

static void account_problem(struct account *account, const struct problem *problem)
{
	message("%s", problem->text);
	if (!account->failed)
		account->problem = *problem;
	account->failed = true;
}

static int load(struct account *account, const char *path, struct trace *trace)
{
	const struct request *request = account->request;
	struct trace_options options = {
		.iova_limit = format_iova_limit(request->config.format),
		.paddr_limit = format_paddr_limit(request->config.format),
		.format = request->config.format,
		.skip_bad = request->skip_bad,
	};
	struct problem problem;

	if (trace_load(path, &options, trace, &problem)) {
		account_problem(account, &problem);
		return -1;
	}
	if (trace->lost_lines)
		message("%s: %" PRIu64 " lines say that the tracer lost events; a larger buffer (buffer_size_kb) avoids that", trace->name, trace->lost_lines);
	return 0;
}

/* One trace under every policy. */
static void replay_trace(struct account *account, const char *path)
{
	struct trace *trace = &account->traces[account->nr_traces];
	struct replay_result *results = &account->results[account->nr_results];
	const struct request *request = account->request;
	struct replay_config config = request->config;
	struct problem problem;
	uint32_t done = 0;

	if (load(account, path, trace))
		return;
	account->nr_traces++;
	for (uint32_t i = 0; i < request->nr_policies && !interrupted(); i++) {
		config.deferred = request->deferred[i];
		if (replay_run(trace, &config, &results[done], &problem)) {
			account_problem(account, &problem);
			break;
		}
		if (results[done].partial)
			account_problem(account, &results[done].why);
		done++;
	}
	if (done < request->nr_policies && !account->failed) {
		problem_set(&problem, "interrupted before %s under policy %" PRIu32, trace->name, done + 1);
		account_problem(account, &problem);
	}
	account->nr_results += done;
	if (!request->json)
		replay_print_trace(trace, results, done);
	/* The figures stay for the report; the events are the bulk. */
	free(trace->events);
	trace->events = NULL;
}

static int account_end(struct account *account)
{
	bool found = account->failed;

	for (uint32_t i = 0; i < account->nr_results; i++)
		found |= account->results[i].partial || account->results[i].violations || account->results[i].stats.sim.unjudged;
	if (account->request->json)
		found |= replay_print_json(account->traces, account->nr_traces, account->results, account->nr_results, account->request->config.seed,
					   account->failed ? account->problem.text : NULL) != 0;
	for (uint32_t i = 0; i < account->nr_traces; i++)
		trace_free(&account->traces[i]);
	free(account->traces);
	free(account->results);
	return found ? EXIT_FOUND : EXIT_DONE;
}

int command_replay(int argc, char **argv)
{
	struct account account = { 0 };
	struct request request;
	struct problem problem;
	uint32_t count;
	int ret;

	ret = parse(argc, argv, &request);
	if (ret)
		return ret < 0 ? EXIT_DONE : ret;
	interrupt_catch();

	count = (uint32_t)(argc - optind);
	account.request = &request;
	account.traces = memory_new(count, sizeof(*account.traces));
	account.results = memory_new((size_t)count * request.nr_policies, sizeof(*account.results));
	for (uint32_t i = 0; i < count; i++) {
		if (interrupted()) {
			problem_set(&problem, "interrupted before %s", argv[(uint32_t)optind + i]);
			account_problem(&account, &problem);
			break;
		}
		replay_trace(&account, argv[(uint32_t)optind + i]);
	}
	return account_end(&account);
}

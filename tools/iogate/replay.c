/* SPDX-License-Identifier: MIT */
/*
 * "iogate replay": its options, and each trace under each policy.
 */
#include "replay.h"

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
#include "policy.h"
#include "progress.h"
#include "table.h"

#define POLICIES_MAX TABLE_COLUMNS_MAX

static const char help[] =
	"Usage: iogate replay [OPTION...] TRACE...\n"
	"Run the iommu:map and iommu:unmap events of a Linux kernel on this library, with a simulated device\n"
	"that uses each mapping and judges it. Each TRACE begins with an empty address space. It is what\n"
	"/sys/kernel/tracing/trace, \"trace-cmd report\" or \"perf script\" print, plain or compressed (gzip,\n"
	"xz, zstd, bzip2, lz4); - is stdin.\n"
	"\n"
	"      --mode MODE          recorded: the recorded addresses, on page tables alone; dma: calls of the\n"
	"                           DMA API, which finds addresses itself (recorded)\n"
	"      --policy NAME        how addresses are found, and when hardware is made to forget; may be\n"
	"                           repeated, to compare. recorded; with --mode dma also tree, magazine,\n"
	"                           pooled, identity, window. Each with +strict, +deferred or +held;\n"
	"                           strict if left out (recorded; with --mode dma window); and +counted,\n"
	"                           +rwlock or +none, instead of what --reclaim says\n"
	"      --threads N          with --mode dma: N lanes, each a thread, which events fall to by their\n"
	"                           CPU (1)\n"
	"      --attacker N         with --mode dma: after each event the device reads or writes N times where it\n"
	"                           was once allowed to, at random; what it reaches is shown and judged\n"
	"      --format NAME        page-table format, of those named below (vtdss)\n"
	"      --reclaim SCHEME     empty tables: counted, rwlock, none (counted)\n"
	"      --skip-bad           leave events out that are malformed or contradict the trace, and\n"
	"                           count them\n"
	"      --memory-limit SIZE  most memory for tables (half of what is available)\n"
	"      --seed N             changes which page of a mapping the device touches (1)\n"
	"      --json               one JSON object on stdout\n"
	"  -h, --help\n"
	"\n"
	"Exit: 0 done, 1 violations found or something not given back, an error in a trace, or the run ended\n"
	"early, 2 usage.\n"
	"\n"
	"Examples: record on this machine, as root; compare two modes of invalidation at the recorded\n"
	"addresses; compare allocators, each with four lanes:\n"
	"  echo 1 > /sys/kernel/tracing/events/iommu/enable; sleep 10\n"
	"  gzip < /sys/kernel/tracing/trace > my.trace.gz\n"
	"  iogate replay --skip-bad --policy recorded+strict --policy recorded+deferred my.trace.gz\n"
	"  iogate replay --skip-bad --mode dma --threads 4 --policy window+deferred --policy tree+deferred my.trace.gz\n";

struct policy {
	const char *name; /* NULL: the recorded addresses */
	enum iog_inval_mode mode;
	bool own_reclaim;
	enum iog_reclaim reclaim;
};

struct request {
	struct replay_config config;
	bool dma;
	struct policy policies[POLICIES_MAX];
	uint32_t nr_policies;
	struct common_options common;
	bool skip_bad;
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
	OPTION_MODE = OPTION_OWN,
	OPTION_POLICY,
	OPTION_SKIP_BAD,
	OPTION_THREADS,
	OPTION_ATTACKER,
};

static const struct option long_options[] = {
	{ "mode", required_argument, NULL, OPTION_MODE },
	{ "policy", required_argument, NULL, OPTION_POLICY },
	{ "skip-bad", no_argument, NULL, OPTION_SKIP_BAD },
	{ "threads", required_argument, NULL, OPTION_THREADS },
	{ "attacker", required_argument, NULL, OPTION_ATTACKER },
	OPTIONS_TABLES,
	OPTIONS_COMMON,
};

/* What follows a policy's name: a mode, a way of reclaim, or both. */
static int parse_parts(const char *text, const char *parts, struct policy *policy)
{
	bool has_mode = false;
	char part[16];
	size_t length;

	for (; *parts; parts += length) {
		length = strcspn(++parts, "+");
		snprintf(part, sizeof(part), "%.*s", length < sizeof(part) ? (int)length : 0, parts);
		if (!has_mode && !mode_parse(part, &policy->mode))
			has_mode = true;
		else if (!policy->own_reclaim && !reclaim_parse(part, &policy->reclaim))
			policy->own_reclaim = true;
		else
			return usage_error("--policy %s: after the name +strict, +deferred or +held is wanted, and +counted, +rwlock or +none", text);
	}
	return 0;
}

/* NAME[+MODE][+RECLAIM]. */
static int parse_policy(const char *text, struct request *request)
{
	static const char *const names[] = { "recorded", "tree", "magazine", "pooled", "identity", "window" };
	struct policy *policy = &request->policies[request->nr_policies];
	size_t length = strcspn(text, "+");

	if (request->nr_policies == POLICIES_MAX)
		return usage_error("--policy %s: at most %d policies in one call", text, POLICIES_MAX);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strlen(names[i]) != length || strncmp(names[i], text, length))
			continue;
		policy->name = i ? names[i] : NULL;
		request->nr_policies++;
		return parse_parts(text, text + length, policy);
	}
	return usage_error("--policy %s: not in this version; there is recorded, %s, each with +strict, +deferred or +held", text, policy_names());
}

static int parse_mode(const char *text, struct request *request)
{
	if (strcmp(text, "recorded") && strcmp(text, "dma"))
		return usage_error("--mode %s: recorded or dma is wanted", text);
	request->dma = !strcmp(text, "dma");
	return 0;
}

static int parse_threads(const char *text, struct request *request)
{
	uint64_t number;
	int ret = option_number("--threads", text, 1, REPLAY_THREADS_MAX, &number);

	request->config.threads = ret ? 1 : (uint32_t)number;
	return ret;
}

static int parse_attacker(const char *text, struct request *request)
{
	uint64_t number;
	int ret = option_number("--attacker", text, 1, REPLAY_ATTACKS_MAX, &number);

	request->config.attacks = ret ? 0 : (uint32_t)number;
	return ret;
}

static int take_option(int option, void *ctx)
{
	struct request *request = ctx;

	switch (option) {
	case OPTION_MODE:
		return parse_mode(optarg, request);
	case OPTION_POLICY:
		return parse_policy(optarg, request);
	case OPTION_THREADS:
		return parse_threads(optarg, request);
	case OPTION_ATTACKER:
		return parse_attacker(optarg, request);
	default: /* OPTION_SKIP_BAD */
		request->skip_bad = true;
		return 0;
	}
}

/* What must hold between the options. */
static int check_policies(const struct request *request)
{
	for (uint32_t i = 0; i < request->nr_policies; i++) {
		const struct policy *policy = &request->policies[i];

		if (policy->name && !request->dma)
			return usage_error("--policy %s: finds addresses itself, which wants --mode dma", policy->name);
	}
	if (request->config.attacks && !request->dma)
		return usage_error("--attacker %" PRIu32 ": wants --mode dma", request->config.attacks);
	if (request->config.threads > 1 && !request->dma)
		return usage_error("--threads %" PRIu32 ": wants --mode dma; at recorded addresses one thread replays", request->config.threads);
	return 0;
}

static int parse(int argc, char **argv, struct request *request)
{
	static const struct option_syntax syntax = { .help = help, .letters = ":h", .options = long_options, .take = take_option };
	const struct common_options *common = &request->common;
	int ret;

	*request = (struct request){ .common = { .format = "vtdss", .seed = 1 }, .config = { .threads = 1 } };
	ret = options_parse(argc, argv, &syntax, &request->common, request);
	if (!ret)
		ret = options_need_4k(common);
	if (ret)
		return ret;
	request->config.format = common->format;
	request->config.reclaim = common->reclaim;
	request->config.memory_limit = common->memory_limit;
	request->config.seed = common->seed;
	if (optind == argc)
		return usage_error("no trace named");
	if (!request->nr_policies)
		request->policies[request->nr_policies++].name = request->dma ? "window" : NULL;
	return check_policies(request);
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
		config.policy = request->policies[i].name;
		config.mode = request->policies[i].mode;
		config.own_reclaim = request->policies[i].own_reclaim;
		config.reclaim = config.own_reclaim ? request->policies[i].reclaim : request->config.reclaim;
		config.threads = config.policy ? request->config.threads : 1;
		if ((config.policy ? replay_dma : replay_run)(trace, &config, &results[done], &problem)) {
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
	if (!request->common.json)
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
	if (account->request->common.json)
		found |= replay_print_json(account->traces, account->nr_traces, account->results, account->nr_results,
					   account->request->dma ? "dma" : "recorded", account->request->config.seed, account->failed ? account->problem.text : NULL) != 0;
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

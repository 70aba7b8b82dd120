/* SPDX-License-Identifier: MIT */
/*
 * "iogate stress": its options, and which runs they ask for.
 */
#include "stress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <iogate/error.h>

#include "command.h"
#include "interrupt.h"
#include "message.h"
#include "options.h"
#include "progress.h"
#include "size.h"

/* Space that the comparison with reclaim = none sweeps at most: 512 MiB of tables. */
#define BASELINE_SPACE_MAX (UINT64_C(256) << 30)

#define MODEL_PREFIX "qemu:"

/* With the judge, which keeps an account per 4 KiB. */
#define SIMULATED_SIZE_MAX SIZE_1G

/* Told apart from what was asked for by its address. */
static const char default_format[] = "vtdss";

static const char help[] =
	"Usage: iogate stress [OPTION...]\n"
	"Map one page and unmap it again, each 2 MiB through a whole I/O address space.\n"
	"\n"
	"  -s, --space SIZE         address space to go through; a bare number is TiB (16T)\n"
	"  -d, --dma-size SIZE      bytes mapped at a time (4K)\n"
	"  -S, --second-size SIZE   a second run with this size; a bare number is MiB\n"
	"      --format NAME        page-table format, of those named below (vtdss)\n"
	"      --reclaim SCHEME     empty tables: counted, rwlock, none (counted);\n"
	"                           rwlock is held against none in the same call\n"
	"      --baseline           run it with none, too, and show what the scheme costs over that\n"
	"      --inval MODE         strict: invalidate at each unmap; deferred: each 256;\n"
	"                           held: the same, memory is let go by the invalidation (strict)\n"
	"      --threads N          divide the space among N threads (1)\n"
	"      --device WHAT        sim: each mapping is used by a simulated device, before its\n"
	"                           unmap and after, and judged; none: page tables alone (sim);\n"
	"                           qemu:vtd, qemu:amdvi, qemu:smmuv3, qemu:riscv, qemu:virtio: a driver against\n"
	"                           QEMU's model of the unit, tables in its memory, every 256th mapping used by\n"
	"                           its edu device; 1T unless -s says\n"
	"      --memory-limit SIZE  most memory for tables (half of what is available)\n"
	"      --seed N             changes the data that the device writes (1)\n"
	"  -v, --verbose            a line on stderr per TiB\n"
	"      --json               one JSON object on stdout\n"
	"  -h, --help\n"
	"\n"
	"Exit: 0 done, 1 violations found, or the run ended early (memory limit, Ctrl-C), 2 usage,\n"
	"3 no QEMU (apt-get install qemu-system-x86, or -arm).\n"
	"\n"
	"Example: the whole 16 TiB on page tables alone, then what that costs without reclaim:\n"
	"  iogate stress --device none\n"
	"  iogate stress --device none -s 2T --reclaim none\n";

struct request {
	struct stress_config config;
	struct common_options common;
	uint64_t second_size;
	const char *model; /* behind "qemu:", or NULL */
	bool space_given;
	bool baseline; /* run the same with reclaim none, too */
};

enum {
	OPTION_INVAL = OPTION_OWN,
	OPTION_THREADS,
	OPTION_DEVICE,
	OPTION_BASELINE,
};

static const struct option long_options[] = {
	{ "space", required_argument, NULL, 's' },
	{ "dma-size", required_argument, NULL, 'd' },
	{ "second-size", required_argument, NULL, 'S' },
	{ "inval", required_argument, NULL, OPTION_INVAL },
	{ "threads", required_argument, NULL, OPTION_THREADS },
	{ "device", required_argument, NULL, OPTION_DEVICE },
	{ "baseline", no_argument, NULL, OPTION_BASELINE },
	{ "verbose", no_argument, NULL, 'v' },
	OPTIONS_TABLES,
	OPTIONS_COMMON,
};

static int parse_device(const char *text, struct request *request)
{
	bool model = !strncmp(text, MODEL_PREFIX, sizeof(MODEL_PREFIX) - 1);

	request->model = model ? text + sizeof(MODEL_PREFIX) - 1 : NULL;
	if (model ? !model_find(request->model, NULL) : strcmp(text, "sim") && strcmp(text, "none"))
		return usage_error("--device %s: not in this version; there is sim, none and %s", text, model_names());
	request->config.simulate = !strcmp(text, "sim");
	return 0;
}

static int take_option(int option, void *ctx)
{
	struct request *request = ctx;
	struct stress_config *config = &request->config;
	uint64_t number;
	int ret;

	switch (option) {
	case 's':
		request->space_given = true;
		return option_size("-s", optarg, SIZE_1T, &config->space);
	case 'd':
		return option_size("-d", optarg, 1, &config->size);
	case 'S':
		return option_size("-S", optarg, UINT64_C(1) << 20, &request->second_size);
	case OPTION_INVAL:
		return option_inval("--inval", optarg, &config->mode);
	case OPTION_THREADS:
		ret = option_number("--threads", optarg, 1, STRESS_THREADS_MAX, &number);
		config->threads = ret ? 0 : (uint32_t)number;
		return ret;
	case OPTION_DEVICE:
		return parse_device(optarg, request);
	case OPTION_BASELINE:
		request->baseline = true;
		return 0;
	default: /* 'v' */
		config->verbose = true;
		return 0;
	}
}

/* A model walks one format, or some; its default space is what takes seconds. */
static int check_model(struct request *request)
{
	struct stress_config *config = &request->config;
	const char *format = config->format != default_format ? config->format : NULL;
	char space[SIZE_TEXT], limit[SIZE_TEXT];

	if (!request->model)
		return 0;
	config->model = model_find(request->model, format);
	if (!config->model)
		return usage_error("--format %s: qemu:%s does not walk it; %s is its default", format, request->model, model_find(request->model, NULL)->format);
	config->format = config->model->format;
	if (!request->space_given)
		config->space = config->model->iova_limit < SIZE_1T ? config->model->iova_limit : SIZE_1T;
	if (config->space > config->model->iova_limit)
		return usage_error("-s %s: devices behind qemu:%s reach %s with %s", size_exact(space, config->space), request->model,
				   size_exact(limit, config->model->iova_limit), config->format);
	if (request->common.memory_limit)
		return usage_error("--memory-limit: with qemu:%s tables lie in the guest's memory, which has %s", request->model, size_exact(limit, MODEL_MEMORY));
	return 0;
}

/* What must hold between the options. */
static int check_space(const struct stress_config *config)
{
	char space[SIZE_TEXT], limit[SIZE_TEXT];

	size_exact(space, config->space);
	if (config->space % format_granule(config->format))
		return usage_error("-s %s: not a multiple of %s", space, size_exact(limit, format_granule(config->format)));
	if (config->space > format_iova_limit(config->format))
		return usage_error("-s %s: %s has an address space of %s", space, format_title(config->format),
				   size_exact(limit, format_iova_limit(config->format)));
	return 0;
}

static int check_size(const struct stress_config *config, const char *option, uint64_t size)
{
	char text[SIZE_TEXT], space[SIZE_TEXT];

	size_exact(text, size);
	if (size % format_granule(config->format))
		return usage_error("%s %s: not a multiple of %s", option, text, size_exact(space, format_granule(config->format)));
	if (size > config->space)
		return usage_error("%s %s: does not fit a space of %s", option, text, size_exact(space, config->space));
	if (config->simulate && size > SIMULATED_SIZE_MAX)
		return usage_error("%s %s: with --device sim at most 1G, because every 4 KiB are judged; --device none takes more", option, text);
	if (stress_pairs(config->space, size) < config->threads)
		return usage_error("--threads %" PRIu32 ": a space of %s holds only %" PRIu64 " mappings of %s", config->threads,
				   size_exact(space, config->space), stress_pairs(config->space, size), text);
	return 0;
}

static int parse(int argc, char **argv, struct request *request)
{
	static const struct option_syntax syntax = { .help = help, .letters = ":s:d:S:vh", .options = long_options, .take = take_option };
	const struct common_options *common = &request->common;
	int ret;

	*request = (struct request){
		.common = { .format = default_format, .seed = 1 },
		.config = { .simulate = true, .threads = 1, .space = 16 * SIZE_1T, .size = SIZE_4K },
	};
	ret = options_parse(argc, argv, &syntax, &request->common, request);
	if (ret)
		return ret;
	request->config.format = common->format;
	request->config.reclaim = common->reclaim;
	request->config.memory_limit = common->memory_limit;
	request->config.seed = common->seed;
	if (optind < argc)
		return usage_error("%s: takes options only", argv[optind]);
	if (request->baseline && request->config.reclaim == IOG_RECLAIM_NONE)
		return usage_error("--baseline: --reclaim none is the baseline");
	ret = check_model(request);
	if (!ret)
		ret = check_space(&request->config);
	if (!ret)
		ret = check_size(&request->config, "-d", request->config.size);
	if (!ret && request->second_size)
		ret = check_size(&request->config, "-S", request->second_size);
	return ret;
}

static int run_one(const struct request *request, const struct stress_config *config, struct stress_result *result, struct problem *problem)
{
	char what[128], space[SIZE_TEXT];
	int ret;

	snprintf(what, sizeof(what), "stress, %s, %s", size_exact(space, config->space), reclaim_name(config->reclaim));
	progress_begin(what);
	ret = stress_run(config, result, problem);
	progress_end();
	if (ret) {
		message("%s", problem->text);
		if (ret == -IOG_ENOENT && config->model)
			message("on Debian: apt-get install --no-install-recommends %s", config->model->package);
		return ret;
	}
	if (!request->common.json && config->reclaim == request->config.reclaim)
		stress_print_line(result);
	if (result->partial)
		message("%s", result->why.text);
	return 0;
}

/* The same with nothing given back, over what a moderate amount of memory holds. Its failure is no failure of the run. */
static bool run_baseline(const struct request *request, const struct stress_result *result, struct stress_result *baseline)
{
	struct stress_config config = result->config;
	struct problem problem;

	if ((config.reclaim != IOG_RECLAIM_RWLOCK && !request->baseline) || result->partial)
		return false;
	config.reclaim = IOG_RECLAIM_NONE;
	config.verbose = false;
	if (config.space > BASELINE_SPACE_MAX && config.size <= BASELINE_SPACE_MAX && stress_pairs(BASELINE_SPACE_MAX, config.size) >= config.threads)
		config.space = BASELINE_SPACE_MAX;
	return !run_one(request, &config, baseline, &problem) && !baseline->partial;
}

int command_stress(int argc, char **argv)
{
	struct stress_result results[2], baseline;
	struct problem problem;
	struct request request;
	uint32_t nr_results = 0;
	bool compared = false, found = false;
	int ret;

	ret = parse(argc, argv, &request);
	if (ret)
		return ret < 0 ? EXIT_DONE : ret;
	interrupt_catch();

	ret = run_one(&request, &request.config, &results[0], &problem);
	nr_results += !ret;
	if (!ret && request.second_size && !results[0].partial) {
		request.config.size = request.second_size;
		ret = run_one(&request, &request.config, &results[1], &problem);
		nr_results += !ret;
	}
	if (!ret)
		compared = run_baseline(&request, &results[0], &baseline);

	for (uint32_t i = 0; i < nr_results; i++)
		found |= results[i].partial || results[i].violations || results[i].stats.sim.unjudged;
	if (request.common.json)
		found |= stress_print_json(results, nr_results, compared ? &baseline : NULL, request.config.seed, ret ? problem.text : NULL) != 0;
	else if (nr_results)
		stress_print_table(results, nr_results, compared ? &baseline : NULL);
	if (ret == -IOG_ENOENT && request.model)
		return EXIT_LACKING;
	return ret || found ? EXIT_FOUND : EXIT_DONE;
}

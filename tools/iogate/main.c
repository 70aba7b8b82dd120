/* SPDX-License-Identifier: MIT */
/*
 * The iogate command: a table of subcommands.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <iogate/version.h>

#include "command.h"
#include "message.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} commands[] = {
	{ "stress", command_stress, "map and unmap through a whole address space, checked by a simulated device" },
	{ "replay", command_replay, "run the iommu:map and iommu:unmap events of a real Linux kernel, under any policy" },
	{ "bench", command_bench, "what single operations cost, each against a baseline" },
	{ "study", command_study, "what leaf sizes, ATS, modes and addresses cost an IOMMU, each combination" },
	{ "explain", command_explain, "walk the tables in a memory dump: why a DMA works or faults" },
};

static void print_help(FILE *stream)
{
	fputs("Usage: iogate COMMAND [OPTION...]\n"
	      "I/O memory management: page tables, address allocators, the DMA API; run, judged and measured.\n\n", stream);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(stream, "  %-8s %s\n", commands[i].name, commands[i].summary);
	fputs("\niogate COMMAND --help says more; iogate --version which one this is.\n"
	      "Exit: 0 done, 1 something was found or the run ended early, 2 usage, 3 the machine lacks something.\n\n"
	      "Example:\n  iogate stress -s 1T\n", stream);
}

/* A report that nobody received is no success. */
static int finish(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	if (status == EXIT_DONE)
		message("standard output takes no more: %s", strerror(errno));
	return status == EXIT_DONE ? EXIT_FOUND : status;
}

int main(int argc, char **argv)
{
	unsigned int version = iog_version();

	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_help(stdout);
		return EXIT_DONE;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("iogate %u.%u.%u\n", version >> 16, version >> 8 & 0xff, version & 0xff);
		return EXIT_DONE;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, argv[1]))
			continue;
		message_begin(commands[i].name);
		return finish(commands[i].run(argc - 1, argv + 1));
	}
	if (argv[1][0] == '-')
		return usage_error("unknown option %s", argv[1]);
	return usage_error("%s: not a command in this version", argv[1]);
}

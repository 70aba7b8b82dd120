/* SPDX-License-Identifier: MIT */
/*
 * Options: those that several subcommands have, a loop that reads a command line, and readers of values. Each reader stores a value and returns 0, or says on stderr what is
 * wrong and returns EXIT_USAGE. @option is how the user wrote it ("--threads").
 */
#ifndef IOGATE_TOOL_OPTIONS_H
#define IOGATE_TOOL_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include <iogate/domain.h>
#include <iogate/pgtable.h>

/* What several subcommands can be told. */
struct common_options {
	const char *format;
	enum iog_reclaim reclaim;
	uint64_t memory_limit; /* bytes; 0: the platform's default */
	uint64_t seed;
	bool json;
};

enum {
	OPTION_FORMAT = 256,
	OPTION_RECLAIM,
	OPTION_MEMORY_LIMIT,
	OPTION_SEED,
	OPTION_JSON,
	OPTION_OWN, /* the first of a subcommand's own */
};

/* What every subcommand's list ends with, and what those add that make page tables of the user's choice. */
#define OPTIONS_COMMON \
	{ "format", required_argument, NULL, OPTION_FORMAT }, { "seed", required_argument, NULL, OPTION_SEED }, { "json", no_argument, NULL, OPTION_JSON }, \
	{ "help", no_argument, NULL, 'h' }, { 0 }
#define OPTIONS_TABLES \
	{ "reclaim", required_argument, NULL, OPTION_RECLAIM }, { "memory-limit", required_argument, NULL, OPTION_MEMORY_LIMIT }

struct option_syntax {
	const char *help;
	const char *letters; /* as for getopt_long(), beginning with ':' */
	const struct option *options;
	bool own_formats; /* --format names something that the subcommand knows, not the library */
	/* One of the subcommand's own, its value in optarg. Returns as a reader does. */
	int (*take)(int option, void *request);
};

/*
 * Read a command line; operands begin at optind. @common: values of common options, with defaults in it. Returns 0; EXIT_USAGE with a message; or -1 when help was asked for and
 * has been printed.
 */
int options_parse(int argc, char **argv, const struct option_syntax *syntax, struct common_options *common, void *request);

/* Whether the format that was asked for has pages of 4 KiB. Returns as a reader does. */
int options_need_4k(const struct common_options *common);

/* A size that is not 0; without a suffix in units of @bare bytes. */
int option_size(const char *option, const char *text, uint64_t bare, uint64_t *size);

/* A whole number from @least to @most. */
int option_number(const char *option, const char *text, uint64_t least, uint64_t most, uint64_t *number);

/* strict, deferred or held. */
int option_inval(const char *option, const char *text, enum iog_inval_mode *mode);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Values of options that several subcommands share. Each reader stores a value and returns 0, or says on stderr what is wrong and returns EXIT_USAGE.
 * @option is how the user wrote it ("--threads").
 */
#ifndef IOGATE_TOOL_OPTIONS_H
#define IOGATE_TOOL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <iogate/pgtable.h>

/* What getopt_long() found wrong, its @option being '?' or ':'. Returns EXIT_USAGE. */
int option_bad(int option, char **argv);

/* A size that is not 0; without a suffix in units of @bare bytes. */
int option_size(const char *option, const char *text, uint64_t bare, uint64_t *size);

/* A whole number from @least to @most. */
int option_number(const char *option, const char *text, uint64_t least, uint64_t most, uint64_t *number);

/* --seed: any 64-bit number, decimal or 0x. */
int option_seed(const char *text, uint64_t *seed);

/* --format: a page-table format. */
int option_format(const char *text, const char **format);

/* --reclaim */
int option_reclaim(const char *text, enum iog_reclaim *reclaim);

/* strict or deferred. */
int option_inval(const char *option, const char *text, bool *deferred);

#endif

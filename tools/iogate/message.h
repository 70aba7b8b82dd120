/* SPDX-License-Identifier: MIT */
/*
 * Messages on stderr, each led by the subcommand's name; and a problem, the text of what went wrong, for callers that report it later.
 */
#ifndef IOGATE_TOOL_MESSAGE_H
#define IOGATE_TOOL_MESSAGE_H

#include <stdarg.h>

struct problem {
	char text[768];
};

/* Name the subcommand whose messages follow. @command must outlive them. */
void message_begin(const char *command);

/* One line on stderr. */
void message(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One line on stderr, and where to read on. Returns EXIT_USAGE, for "return usage_error(...)". */
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Keep the text of what went wrong. Returns -1, for "return problem_set(...)". */
int problem_set(struct problem *problem, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

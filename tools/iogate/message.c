/* SPDX-License-Identifier: MIT */
/*
 * See message.h. A message is written by one call, so that those of several threads do not mix.
 */
#include "message.h"

#include <stdio.h>
#include <string.h>

#include "command.h"
#include "progress.h"

static const char *command_name;

static void message_write(const char *format, va_list args, const char *tail)
{
	char text[1024];

	vsnprintf(text, sizeof(text), format, args);
	progress_clear();
	if (command_name)
		fprintf(stderr, "iogate %s: %s%s\n", command_name, text, tail);
	else
		fprintf(stderr, "iogate: %s%s\n", text, tail);
}

void message_begin(const char *command)
{
	command_name = command;
}

void message(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	message_write(format, args, "");
	va_end(args);
}

int usage_error(const char *format, ...)
{
	char tail[96];
	va_list args;

	snprintf(tail, sizeof(tail), "\nTry 'iogate %s%s--help'.", command_name ? command_name : "", command_name ? " " : "");
	va_start(args, format);
	message_write(format, args, tail);
	va_end(args);
	return EXIT_USAGE;
}

int problem_set(struct problem *problem, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	/* The text is written here, not read. */
	/* cppcheck-suppress ctuuninitvar */
	vsnprintf(problem->text, sizeof(problem->text), format, args);
	va_end(args);
	return -1;
}

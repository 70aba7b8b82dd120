/* SPDX-License-Identifier: MIT */
/*
 * What the instrumented core has written, one entry per cache line and write, while the log is open.
 */
#ifndef IOGATE_TOOL_LINES_LOG_H
#define IOGATE_TOOL_LINES_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lines_entry {
	uintptr_t line;     /* address / 64 */
	uint32_t operation; /* that it belongs to; LINES_UNCOUNTED for none */
	uint16_t lane;
	bool rmw;           /* an atomic read-modify-write */
};

#define LINES_UNCOUNTED UINT32_MAX

struct lines_log {
	struct lines_entry *entries;
	size_t count;
	size_t room;
	bool full; /* something could not be kept */
	bool open;
	/* Of what is written next. */
	uint32_t operation;
	uint16_t lane;
	/* Addresses from the caller's frame to here are the stack. */
	uintptr_t stack_end;
};

/* One thread only. */
extern struct lines_log lines_log;

#endif

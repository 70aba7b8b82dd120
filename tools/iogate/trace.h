/* SPDX-License-Identifier: MIT */
/*
 * A whole trace in memory: its events in order, and the figures of what it maps.
 */
#ifndef IOGATE_TOOL_TRACE_H
#define IOGATE_TOOL_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "live.h"
#include "message.h"
#include "tracepoint.h"

struct trace_options {
	uint64_t iova_limit;  /* no event may reach this address: what the page-table format can express; 0 for 2^64 */
	uint64_t paddr_limit; /* the same for memory */
	const char *format;   /* named in the error for those two */
	bool skip_bad;        /* leave bad events out, and count them */
};

struct trace {
	char *name; /* as given; "-" becomes "(stdin)" */
	struct trace_event *events;
	size_t count;
	size_t room;
	uint64_t maps;
	uint64_t unmaps;
	uint64_t bytes_mapped;
	uint64_t lines;
	uint64_t skipped_lines; /* held no such event */
	uint64_t bad_events;    /* left out by skip_bad */
	uint64_t lost_lines;    /* said that events were lost; among skipped_lines */
	struct live_figures live;
};

/* Read @path, "-" being stdin. Returns 0; or -1 with @problem set, which names the file, and the line if it is one's fault. */
int trace_load(const char *path, const struct trace_options *options, struct trace *trace, struct problem *problem);

void trace_free(struct trace *trace);

#endif

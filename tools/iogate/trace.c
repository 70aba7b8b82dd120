/* SPDX-License-Identifier: MIT */
/*
 * See trace.h.
 */
#include "trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "interrupt.h"
#include "memory.h"
#include "progress.h"

/* Where to read on when a trace contradicts itself: both are ordinary ways to record one. */
#define SEVERAL_DEVICES "; events do not say which device they are of: record one device at a time, from before its driver loads"

/* Lines between two looks at the progress and at Ctrl-C. */
#define STEP 4096

struct loading {
	const struct trace_options *options;
	struct trace *trace;
	struct live live;
};

static void append(struct trace *trace, const struct trace_event *event)
{
	if (trace->count == trace->room) {
		trace->room = trace->room ? trace->room * 2 : 4096;
		trace->events = memory_resize(trace->events, trace->room, sizeof(*trace->events));
	}
	trace->events[trace->count++] = *event;
}

static int check_limits(const struct trace_options *options, const struct trace_event *event, struct problem *problem)
{
	if (options->iova_limit && event->iova + (event->size - 1) >= options->iova_limit)
		return problem_set(problem, "iova 0x%" PRIx64 ", size %" PRIu64 " goes beyond what %s can translate (0x%" PRIx64 ")", event->iova,
				   event->size, options->format, options->iova_limit - 1);
	if (options->paddr_limit && event->paddr + (event->size - 1) >= options->paddr_limit)
		return problem_set(problem, "paddr 0x%" PRIx64 ", size %" PRIu64 " goes beyond what %s can point to (0x%" PRIx64 ")", event->paddr,
				   event->size, options->format, options->paddr_limit - 1);
	return 0;
}

static int check_live(struct live *live, const struct trace_event *event, struct problem *problem)
{
	uint64_t last = event->iova + (event->size - 1);
	struct live_conflict conflict;

	if (event->kind == TRACE_MAP && live_map(live, event->iova, last, event->line, &conflict))
		return problem_set(problem, "map of 0x%" PRIx64 " - 0x%" PRIx64 " overlaps 0x%" PRIx64 " - 0x%" PRIx64
				   ", which line %" PRIu32 " mapped and nothing has unmapped" SEVERAL_DEVICES, event->iova, last + 1,
				   conflict.piece.first, conflict.piece.last + 1, conflict.line);
	if (event->kind == TRACE_UNMAP && live_unmap(live, event->iova, last, &conflict))
		return problem_set(problem, "unmap of 0x%" PRIx64 " - 0x%" PRIx64 ", but nothing is mapped at 0x%" PRIx64 SEVERAL_DEVICES, event->iova,
				   last + 1, conflict.hole);
	return 0;
}

static void accept(struct trace *trace, const struct trace_event *event)
{
	append(trace, event);
	if (event->kind == TRACE_MAP) {
		trace->maps++;
		trace->bytes_mapped += event->size;
	} else {
		trace->unmaps++;
	}
}

/* Take one line in. Returns 0, or -1 with @problem set to what is wrong with it. */
static int load_line(struct loading *loading, const char *line, size_t size, struct problem *problem)
{
	struct trace *trace = loading->trace;
	struct trace_event event;

	switch (tracepoint_parse(line, size, &event, problem)) {
	case TRACEPOINT_LOST:
		trace->lost_lines++;
		trace->skipped_lines++;
		return 0;
	case TRACEPOINT_OTHER:
		trace->skipped_lines++;
		return 0;
	case TRACEPOINT_MALFORMED:
		return -1;
	case TRACEPOINT_EVENT:
		break;
	}
	event.line = (uint32_t)trace->lines;
	if (check_limits(loading->options, &event, problem) || check_live(&loading->live, &event, problem))
		return -1;
	accept(trace, &event);
	return 0;
}

/* Read all lines. Returns 0, or -1 with @problem set. */
static int load_lines(struct loading *loading, struct input *input, struct problem *problem)
{
	struct trace *trace = loading->trace;
	enum input_result result;
	struct problem reason;
	uint64_t done, total;
	size_t size;
	char *line;
	int ret;

	while ((result = input_next(input, &line, &size, &reason)) != INPUT_END) {
		if (result == INPUT_ERROR)
			return problem_set(problem, "%s: %s, after line %" PRIu64, trace->name, reason.text, trace->lines);
		if (trace->lines % STEP == 0) {
			if (interrupted())
				return problem_set(problem, "%s: interrupted while reading, after line %" PRIu64, trace->name, trace->lines);
			input_position(input, &done, &total);
			progress_update(done, total);
		}
		trace->lines++;
		if (result == INPUT_LONG)
			ret = problem_set(&reason, "the line is longer than %d bytes", INPUT_LINE_MAX);
		else
			ret = load_line(loading, line, size, &reason);
		if (!ret)
			continue;
		if (!loading->options->skip_bad)
			return problem_set(problem, "%s:%" PRIu64 ": %s", trace->name, trace->lines, reason.text);
		trace->bad_events++;
	}
	return 0;
}

int trace_load(const char *path, const struct trace_options *options, struct trace *trace, struct problem *problem)
{
	struct loading loading = { .options = options, .trace = trace };
	struct problem reason;
	struct input *input;
	char what[160];
	int ret;

	*trace = (struct trace){ .name = memory_string(strcmp(path, "-") ? path : "(stdin)") };
	live_init(&loading.live);
	snprintf(what, sizeof(what), "reading %s", trace->name);
	progress_begin(what);
	input = input_open(path, &reason);
	if (input)
		ret = load_lines(&loading, input, problem);
	else
		ret = problem_set(problem, "%s: %s", trace->name, reason.text);
	input_close(input);
	progress_end();
	trace->live = loading.live.figures;
	live_free(&loading.live);

	if (!ret && !trace->count && trace->bad_events)
		ret = problem_set(problem, "%s: every one of its %" PRIu64 " events is bad", trace->name, trace->bad_events);
	else if (!ret && !trace->count)
		ret = problem_set(problem, "%s: no iommu:map or iommu:unmap event in %" PRIu64 " lines; record them with "
				  "\"echo 1 > /sys/kernel/tracing/events/iommu/enable\", then copy /sys/kernel/tracing/trace", trace->name, trace->lines);
	if (ret)
		trace_free(trace);
	return ret;
}

void trace_free(struct trace *trace)
{
	free(trace->name);
	free(trace->events);
	*trace = (struct trace){ 0 };
}

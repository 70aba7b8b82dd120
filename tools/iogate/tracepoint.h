/* SPDX-License-Identifier: MIT */
/*
 * One line of Linux's tracing text, and the iommu:map or iommu:unmap event that may be in it.
 *
 * Three programs print these events, with the same tail: the tracing ring itself ("map: IOMMU: iova=..."), trace-cmd ("map:   IOMMU: ...") and perf
 * ("iommu:map: IOMMU: ..."). What comes before, task names above all, may hold anything: a line is read from that mark on, the last one in it.
 */
#ifndef IOGATE_TOOL_TRACEPOINT_H
#define IOGATE_TOOL_TRACEPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "message.h"

enum trace_kind {
	TRACE_MAP,
	TRACE_UNMAP,
};

struct trace_event {
	uint64_t iova;
	uint64_t paddr; /* 0 for an unmap */
	uint64_t size;  /* bytes, not 0; iova + size is at most 2^64 */
	uint64_t ns;    /* when, by the tracer's clock; 0 where the line does not say */
	uint32_t line;  /* of the file, from 1 */
	uint32_t cpu;   /* 0 where the line does not say */
	enum trace_kind kind;
};

enum tracepoint {
	TRACEPOINT_OTHER,     /* no such event in this line */
	TRACEPOINT_EVENT,     /* @event is set, but for its line */
	TRACEPOINT_MALFORMED, /* there is the mark of one, and @problem says what is wrong after it */
	TRACEPOINT_LOST,      /* the tracer says that events were lost here */
};

/* Read a line. @line is followed by a zero byte, at @line[@size]. */
enum tracepoint tracepoint_parse(const char *line, size_t size, struct trace_event *event, struct problem *problem);

#endif

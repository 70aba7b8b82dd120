/* SPDX-License-Identifier: MIT */
/*
 * A trace as calls of the DMA API: which of its map events are one mapping, and what each of its unmap events undoes.
 *
 * A trace has one event per segment of a scatter list, and one unmap for all; and it may undo one map by several unmaps. The DMA API takes a mapping back whole. So:
 *   - map events that follow each other on a CPU, in memory of the address space that one unmap takes back together, are a scatter list: mapped at the last of them;
 *   - a map event that several unmaps undo is a reserved run, into which pages are linked and from which they are unlinked;
 *   - every other map event is a mapping of its own.
 */
#ifndef IOGATE_TOOL_PLAN_H
#define IOGATE_TOOL_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "trace.h"

enum plan_kind {
	PLAN_SINGLE, /* iog_dma_map() */
	PLAN_LIST,   /* iog_dma_map_sg() */
	PLAN_RUN,    /* iog_dma_reserve() and link */
};

#define PLAN_NONE UINT32_MAX

struct plan_segment {
	uint64_t paddr;
	uint64_t size;
};

struct plan_mapping {
	enum plan_kind kind;
	uint32_t event;       /* that maps it: the last of a list */
	uint32_t first;       /* of plan.segments */
	uint32_t nr_segments; /* one unless PLAN_LIST */
	uint64_t size;        /* in all */
	uint32_t undone_by;   /* pieces of unmaps that it takes until nothing is left; 0 for what is still there at the end */
};

/* What an unmap event does to one mapping. */
struct plan_piece {
	uint32_t mapping;
	uint64_t offset; /* into the mapping; all of it unless PLAN_RUN */
	uint64_t size;
};

struct plan_event {
	uint32_t mapping; /* that it makes; PLAN_NONE for an unmap, and for a segment of a list that is not the last */
	uint32_t first;   /* an unmap: of plan.pieces */
	uint32_t nr_pieces;
};

struct plan {
	struct plan_event *events; /* one per event of the trace */
	struct plan_mapping *mappings;
	uint32_t nr_mappings;
	struct plan_segment *segments;
	struct plan_piece *pieces;
	uint64_t lists;
	uint64_t runs;
};

void plan_make(const struct trace *trace, struct plan *plan);
void plan_free(struct plan *plan);

#endif

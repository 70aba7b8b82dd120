/* SPDX-License-Identifier: MIT */
/*
 * What a trace has mapped: the reference that its events are checked against, and the figures of its working set.
 *
 * Matching is by range. One unmap may undo many maps, and one map may be undone by several unmaps; a map counts as live until its last page has gone.
 */
#ifndef IOGATE_TOOL_LIVE_H
#define IOGATE_TOOL_LIVE_H

#include <stdint.h>

#include "ranges.h"

struct live_map;

struct live_figures {
	uint64_t maps; /* live now */
	uint64_t pages;
	uint64_t peak_maps; /* the most that ever were, each by itself */
	uint64_t peak_pages;
	uint64_t regions_2m;       /* distinct 2 MiB regions that any map ever touched */
	uint64_t unmaps_of_several; /* unmaps that undid (parts of) more than one map */
	uint64_t unmap_most_maps;  /* the most maps that one of those undid */
};

struct live {
	struct ranges pieces; /* tagged with an index of @maps */
	struct ranges regions;
	struct live_map *maps;
	uint32_t used;
	uint32_t room;
	uint32_t spare;
	uint64_t unmaps; /* so far */
	struct live_figures figures;
};

/* Why an event does not fit what is live. */
struct live_conflict {
	struct range piece; /* map: what is there already */
	uint32_t line;      /* map: the line that mapped it */
	uint64_t hole;      /* unmap: the lowest address with nothing */
};

void live_init(struct live *live);
void live_free(struct live *live);

/*
 * A map of [first, last], pages of 4 KiB, from @line of the trace. Returns 0, or -IOG_EEXIST with @conflict set and nothing changed.
 */
int live_map(struct live *live, uint64_t first, uint64_t last, uint32_t line, struct live_conflict *conflict);

/* An unmap. Returns 0, or -IOG_ENOENT with @conflict set and nothing changed when anything in the range is not live. */
int live_unmap(struct live *live, uint64_t first, uint64_t last, struct live_conflict *conflict);

#endif

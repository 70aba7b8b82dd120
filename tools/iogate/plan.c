/* SPDX-License-Identifier: MIT */
/*
 * See plan.h. Three passes: which parts of which maps each unmap takes; which maps belong together; mappings and pieces.
 */
#include "plan.h"

#include <stdbool.h>
#include <stdlib.h>

#include "memory.h"
#include "ranges.h"

/* Part of a map event that an unmap event takes. */
struct part {
	uint32_t map;
	uint64_t offset;
	uint64_t size;
};

struct making {
	const struct trace *trace;
	struct plan *plan;
	struct part *parts;
	uint32_t nr_parts;
	uint32_t room;
	uint32_t *first_part; /* per event, and one more: of what it unmaps */
	uint32_t *times;      /* per map event: unmaps that take something of it, one that does not take all of it counting for two */
	uint32_t *previous;   /* per map event: the map event before it on its CPU */
	uint32_t *lead;       /* per map event: the last of the list that it is in, or itself */
};

static void part_found(const struct range *range, void *ctx)
{
	struct making *making = ctx;
	const struct trace_event *map = &making->trace->events[range->tag];

	if (making->nr_parts == making->room) {
		making->room = making->room ? making->room * 2 : 4096;
		making->parts = memory_resize(making->parts, making->room, sizeof(*making->parts));
	}
	making->parts[making->nr_parts++] = (struct part){ range->tag, range->first - map->iova, range->last - range->first + 1 };
	making->times[range->tag] += making->parts[making->nr_parts - 1].size == map->size ? 1 : 2;
}

static void find_parts(struct making *making)
{
	const struct trace *trace = making->trace;
	struct ranges live;

	ranges_init(&live);
	for (uint32_t i = 0; i < trace->count; i++) {
		const struct trace_event *event = &trace->events[i];
		uint64_t last = event->iova + (event->size - 1);

		making->first_part[i] = making->nr_parts;
		if (event->kind == TRACE_MAP)
			ranges_insert(&live, event->iova, last, i);
		else
			ranges_remove(&live, event->iova, last, part_found, making);
	}
	making->first_part[trace->count] = making->nr_parts;
	ranges_free(&live);
}

/* The map event before each on its CPU. CPUs beyond the table share places in it, which costs a list and no more. */
static void find_previous(struct making *making)
{
	enum { CPUS = 4096 };
	uint32_t *latest = memory_new(CPUS, sizeof(*latest));

	for (uint32_t i = 0; i < CPUS; i++)
		latest[i] = PLAN_NONE;
	for (uint32_t i = 0; i < making->trace->count; i++) {
		const struct trace_event *event = &making->trace->events[i];

		if (event->kind != TRACE_MAP)
			continue;
		making->previous[i] = latest[event->cpu % CPUS];
		latest[event->cpu % CPUS] = i;
	}
	free(latest);
}

/* Whether the parts of one unmap are whole maps, and each was the next map of its CPU after the one below it. */
static bool is_list(const struct making *making, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		const struct part *part = &making->parts[i];

		if (making->times[part->map] != 1)
			return false;
		if (i > first && making->previous[part->map] != part[-1].map)
			return false;
	}
	return count > 1;
}

static void find_lists(struct making *making)
{
	uint32_t first, count;

	for (uint32_t i = 0; i < making->trace->count; i++) {
		first = making->first_part[i];
		count = making->first_part[i + 1] - first;
		if (!is_list(making, first, count))
			continue;
		for (uint32_t part = first; part < first + count; part++)
			making->lead[making->parts[part].map] = making->parts[first + count - 1].map;
		making->plan->lists++;
	}
}

/* The mapping that @event makes, being the last of its segments. */
static void make_mapping(struct making *making, uint32_t event, uint32_t *nr_segments)
{
	const struct trace_event *events = making->trace->events;
	struct plan *plan = making->plan;
	struct plan_mapping *mapping = &plan->mappings[plan->nr_mappings];
	uint32_t count = 0, at;

	*mapping = (struct plan_mapping){ .event = event, .first = *nr_segments };
	for (at = event; at != PLAN_NONE && making->lead[at] == event; at = making->previous[at])
		count++;
	mapping->nr_segments = count;
	*nr_segments += count;
	for (at = event; count--; at = making->previous[at]) {
		plan->segments[mapping->first + count] = (struct plan_segment){ events[at].paddr, events[at].size };
		mapping->size += events[at].size;
	}
	if (mapping->nr_segments > 1)
		mapping->kind = PLAN_LIST;
	else if (making->times[event] > 1)
		mapping->kind = PLAN_RUN;
	plan->runs += mapping->kind == PLAN_RUN;
	plan->events[event].mapping = plan->nr_mappings++;
}

/* A list is one piece, however many parts it has. */
static void make_pieces(struct making *making, uint32_t event, uint32_t *nr_pieces)
{
	struct plan *plan = making->plan;
	struct plan_event *undo = &plan->events[event];
	uint32_t index;

	undo->mapping = PLAN_NONE;
	undo->first = *nr_pieces;
	for (uint32_t i = making->first_part[event]; i < making->first_part[event + 1]; i++) {
		const struct part *part = &making->parts[i];

		if (making->lead[part->map] != part->map)
			continue;
		index = plan->events[part->map].mapping;
		plan->pieces[(*nr_pieces)++] = (struct plan_piece){ index, part->offset, part->size };
		if (plan->mappings[index].kind != PLAN_RUN)
			plan->pieces[*nr_pieces - 1] = (struct plan_piece){ index, 0, plan->mappings[index].size };
		plan->mappings[index].undone_by++;
		undo->nr_pieces++;
	}
}

/* What is left of a run is nothing's, unless its pieces were all of it. */
static void keep_what_stays(struct making *making)
{
	struct plan *plan = making->plan;
	uint64_t *undone = memory_new(plan->nr_mappings, sizeof(*undone));

	for (uint32_t i = 0; i < making->trace->count; i++) {
		for (uint32_t piece = 0; piece < plan->events[i].nr_pieces; piece++)
			undone[plan->pieces[plan->events[i].first + piece].mapping] += plan->pieces[plan->events[i].first + piece].size;
	}
	for (uint32_t i = 0; i < plan->nr_mappings; i++) {
		if (undone[i] != plan->mappings[i].size)
			plan->mappings[i].undone_by = 0;
	}
	free(undone);
}

void plan_make(const struct trace *trace, struct plan *plan)
{
	struct making making = {
		.trace = trace,
		.plan = plan,
		.first_part = memory_new(trace->count + 1, sizeof(uint32_t)),
		.times = memory_new(trace->count, sizeof(uint32_t)),
		.previous = memory_new(trace->count, sizeof(uint32_t)),
		.lead = memory_new(trace->count, sizeof(uint32_t)),
	};
	uint32_t nr_segments = 0, nr_pieces = 0;

	*plan = (struct plan){ .events = memory_new(trace->count, sizeof(*plan->events)) };
	plan->mappings = memory_new(trace->maps, sizeof(*plan->mappings));
	plan->segments = memory_new(trace->maps, sizeof(*plan->segments));
	find_parts(&making);
	plan->pieces = memory_new(making.nr_parts, sizeof(*plan->pieces));
	find_previous(&making);
	for (uint32_t i = 0; i < trace->count; i++)
		making.lead[i] = i;
	find_lists(&making);

	for (uint32_t i = 0; i < trace->count; i++) {
		plan->events[i].mapping = PLAN_NONE;
		if (trace->events[i].kind == TRACE_UNMAP)
			make_pieces(&making, i, &nr_pieces);
		else if (making.lead[i] == i)
			make_mapping(&making, i, &nr_segments);
	}
	keep_what_stays(&making);
	free(making.parts);
	free(making.first_part);
	free(making.times);
	free(making.previous);
	free(making.lead);
}

void plan_free(struct plan *plan)
{
	free(plan->events);
	free(plan->mappings);
	free(plan->segments);
	free(plan->pieces);
	*plan = (struct plan){ 0 };
}

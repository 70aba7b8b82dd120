/* SPDX-License-Identifier: MIT */
/*
 * See lines.h. Both lanes are played by one thread, by turns, so that counts are the same each time; a lane is a number, and the core cannot tell.
 *
 * Two steps: log all writes of all operations; then find the lines that both lanes wrote.
 */
#include "lines.h"

#include <stdlib.h>

#include <iogate/error.h>

#include "dma_bed.h"
#include "lines_log.h"
#include "memory.h"
#include "size.h"

#define LANES 2
#define LIVE 256
#define PADDR (UINT64_C(64) << 30)
/* Operations before the first that counts: windows, magazines and tables are there then. */
#define WARM 4096
/* Writes of an operation that there is room for, on average. */
#define WRITES_ROOM 512
#define ROOM_LEAST 65536

struct lane {
	_Alignas(64) iog_iova_t live[LIVE];
	uint32_t at;
};

struct lines {
	const struct lines_config *config;
	struct dma_bed bed;
	struct lane *lanes;
};

static void as_lane(iog_lane_t lane, uint32_t operation)
{
	lines_log.lane = (uint16_t)lane;
	lines_log.operation = operation;
}

static int map(struct lines *lines, iog_lane_t lane)
{
	struct lane *own = &lines->lanes[lane];

	return iog_dma_map(lines->bed.device, lane, PADDR + ((uint64_t)lane * LIVE + own->at) * SIZE_4K, SIZE_4K, IOG_DMA_BIDIRECTIONAL, 0, &own->live[own->at]);
}

/* The oldest mapping of @lane goes, and another comes in its place. */
static int operate(struct lines *lines, iog_lane_t lane, uint32_t operation)
{
	enum lines_operation kind = lines->config->operation;
	iog_lane_t by = kind == LINES_ROUND ? lane : 1 - lane;
	struct lane *own = &lines->lanes[lane];
	int ret;

	as_lane(by, operation);
	ret = iog_dma_unmap(lines->bed.device, by, own->live[own->at], SIZE_4K, IOG_DMA_BIDIRECTIONAL, 0);
	as_lane(lane, kind == LINES_REMOTE ? LINES_UNCOUNTED : operation);
	if (!ret)
		ret = map(lines, lane);
	own->at = (own->at + 1) % LIVE;
	return ret;
}

static int compare_line(const void *a, const void *b)
{
	const struct lines_entry *x = a, *y = b;

	return (x->line > y->line) - (x->line < y->line);
}

/* Entries of one line. */
static void count_line(const struct lines_entry *entries, size_t count, uint32_t *writes)
{
	uint32_t lanes = 0;

	for (size_t i = 0; i < count; i++)
		lanes |= 1u << entries[i].lane;
	for (size_t i = 0; i < count; i++) {
		if (entries[i].operation != LINES_UNCOUNTED && (entries[i].rmw || lanes & (lanes - 1)))
			writes[entries[i].operation]++;
	}
}

static void count_writes(uint32_t *writes)
{
	struct lines_entry *entries = lines_log.entries;
	size_t end;

	qsort(entries, lines_log.count, sizeof(*entries), compare_line);
	for (size_t begin = 0; begin < lines_log.count; begin = end) {
		for (end = begin; end < lines_log.count && entries[end].line == entries[begin].line; end++)
			;
		count_line(entries + begin, end - begin, writes);
	}
}

static int record(struct lines *lines)
{
	uint32_t count = lines->config->count;
	int ret = 0;

	for (uint32_t i = 0; i < LANES * LIVE && !ret; i++) {
		ret = map(lines, i % LANES);
		lines->lanes[i % LANES].at = (lines->lanes[i % LANES].at + 1) % LIVE;
	}
	for (uint32_t i = 0; i < WARM && !ret; i++)
		ret = operate(lines, i % LANES, LINES_UNCOUNTED);
	lines_log.stack_end = (uintptr_t)__builtin_frame_address(0);
	lines_log.open = true;
	for (uint32_t i = 0; i < count && !ret; i++)
		ret = operate(lines, i % LANES, i);
	lines_log.open = false;
	return ret;
}

int lines_measure(const struct lines_config *config, uint32_t *writes, struct problem *problem)
{
	struct dma_bed_config bed = { .format = config->format, .policy = config->policy, .mode = IOG_INVAL_DEFERRED, .lanes = LANES };
	struct lines lines = { .config = config };
	int ret = dma_bed_create(&bed, &lines.bed, problem);

	if (ret)
		return ret;
	lines.lanes = memory_new_aligned(LANES, sizeof(*lines.lanes));
	lines_log = (struct lines_log){ .room = ROOM_LEAST + (size_t)config->count * WRITES_ROOM };
	lines_log.entries = memory_new(lines_log.room, sizeof(*lines_log.entries));
	ret = record(&lines);
	if (!ret && lines_log.full)
		ret = -IOG_ENOMEM;
	/* A core that was not instrumented after all would count nothing. */
	if (!ret && !lines_log.count)
		ret = -IOG_EOPNOTSUPP;
	if (ret)
		problem_set(problem, "writes could not be counted: %s", iog_strerror(ret));
	else
		count_writes(writes);
	free(lines_log.entries);
	lines_log = (struct lines_log){ 0 };
	free(lines.lanes);
	dma_bed_destroy(&lines.bed);
	return ret;
}

/* SPDX-License-Identifier: MIT */
/*
 * Shared cache lines that an operation of the DMA API writes, counted and not timed; see lines.h. This is what decides how lanes scale.
 */
#include "bench.h"

#include <stdlib.h>

#include <iogate/error.h>

#include "lines.h"
#include "memory.h"

/* A multiple of what a deferred flush waits for, so that flushes weigh as much as they do for ever. */
#define OPERATIONS 8192

struct variant {
	const char *policy;
	enum lines_operation operation;
};

static int count(const struct bench_state *bench, uint32_t operations, uint32_t *writes, struct problem *problem)
{
	const struct variant *variant = bench->bench_case->variant;
	struct lines_config config = { .format = bench->format, .policy = variant->policy, .operation = variant->operation, .count = operations };

	return lines_measure(&config, writes, problem);
}

/* Whether it can be counted at all. */
static int prepare(struct bench_state *bench, struct problem *problem)
{
	uint32_t writes[2] = { 0 };

	return count(bench, 2, writes, problem);
}

static int measure(struct bench_state *bench, struct bench_result *result, struct problem *problem)
{
	uint32_t *writes = memory_new(OPERATIONS, sizeof(*writes));
	int ret = count(bench, OPERATIONS, writes, problem);

	for (uint32_t i = 0; i < OPERATIONS && !ret; i++)
		bench_add(result, writes[i]);
	free(writes);
	return ret;
}

static void destroy(struct bench_state *bench)
{
	(void)bench;
}

#define CASE .unit = "lines/op", .prepare = prepare, .measure = measure
#define VARIANT(...) .variant = &(const struct variant){ __VA_ARGS__ }
#define POLICY(name, suffix, text) \
	{ "lines_" name, "shared cache lines written by an unmap and a map, " text, suffix, CASE, VARIANT(name, LINES_ROUND) }, \
	{ "lines_" name "_remote", "by an unmap alone, on another lane than mapped it", suffix, CASE, VARIANT(name, LINES_REMOTE) }, \
	{ "lines_" name "_handoff", "by an unmap on another lane, and a map", suffix, CASE, VARIANT(name, LINES_HANDOFF) }

static const struct bench_case cases[] = {
	POLICY("window", "lines_tree", "windows"),
	POLICY("magazine", "lines_tree", "magazines"),
	POLICY("pooled", "lines_tree", "bitmap pools"),
	POLICY("tree", NULL, "tree"),
};

const struct bench_group bench_lines = {
	.cases = cases,
	.nr_cases = sizeof(cases) / sizeof(cases[0]),
	.state_size = sizeof(struct bench_state),
	.destroy = destroy,
};

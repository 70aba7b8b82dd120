/* SPDX-License-Identifier: MIT */
/*
 * Replaying a trace: its maps and unmaps, at the recorded addresses, on this library's page tables, with a simulated device that uses each mapping.
 */
#ifndef IOGATE_TOOL_REPLAY_H
#define IOGATE_TOOL_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include <iogate/pgtable.h>

#include "engine.h"
#include "samples.h"
#include "trace.h"

struct replay_config {
	const char *format;
	enum iog_reclaim reclaim;
	bool deferred;
	uint64_t memory_limit;
	uint64_t seed;
};

struct replay_result {
	struct replay_config config;
	const struct trace *trace;
	uint64_t events; /* replayed */
	uint64_t maps;
	uint64_t unmaps;
	uint64_t bytes_mapped;
	struct percentiles ns_per_map;
	struct percentiles ns_per_unmap;
	struct engine_stats stats;
	uint64_t forced_flushes; /* deferred: flushes that a map had to wait for, because its address was not yet free of the mapping before */
	uint64_t failures;       /* as in struct stress_result */
	uint64_t violations;
	bool partial;
	struct problem why;
};

/* Replay @trace, on an address space of its own. Returns 0; or a negative iogate error with @problem set when it could not even begin. */
int replay_run(const struct trace *trace, const struct replay_config *config, struct replay_result *result, struct problem *problem);

/* "recorded+strict" */
const char *replay_policy(const struct replay_config *config);

/* Results of one trace, side by side. */
void replay_print_trace(const struct trace *trace, const struct replay_result *results, uint32_t nr_results);

/* Everything as JSON. @error: what kept it from being complete, or NULL. Returns 0, or -1 with a message. */
int replay_print_json(const struct trace *traces, uint32_t nr_traces, const struct replay_result *results, uint32_t nr_results, uint64_t seed,
		      const char *error);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Replaying a trace, with a simulated device that uses each mapping: its maps and unmaps at the recorded addresses, on this library's page tables alone; or as calls of
 * the DMA API, which finds addresses of its own.
 */
#ifndef IOGATE_TOOL_REPLAY_H
#define IOGATE_TOOL_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include <iogate/domain.h>
#include <iogate/pgtable.h>

#include "engine.h"
#include "samples.h"
#include "trace.h"

#define REPLAY_THREADS_MAX 256
#define REPLAY_ATTACKS_MAX 1000

struct replay_config {
	const char *format;
	enum iog_reclaim reclaim;
	bool own_reclaim; /* the policy names it */
	const char *policy; /* by name, through the DMA API; NULL: the recorded addresses */
	enum iog_inval_mode mode;
	uint32_t threads; /* recorded addresses: one */
	uint64_t memory_limit;
	uint64_t seed;
	uint32_t attacks; /* DMA API: accesses after each event to addresses that the device has seen, at random */
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
	uint64_t forced_flushes; /* recorded addresses, deferred: flushes that a map had to wait for, because its address was not yet free of the mapping before */
	uint64_t held_bytes_most; /* that waited for an invalidation after their unmap, in held mode */
	uint64_t failures;       /* as in struct stress_result */
	uint64_t violations;
	bool partial;
	struct problem why;

	/* Through the DMA API. */
	struct iog_domain_stats domain; /* at the end, when all is unmapped and given back */
	uint64_t lists;                 /* scatter lists that map events were put together to */
	uint64_t runs;                  /* reserved runs, because several unmaps undo one map */
	uint64_t iova_bytes_peak;       /* bookkeeping of the allocator, as seen now and then */
	uint64_t leaks;                 /* kinds of things that did not come back */
	uint64_t attacks, attacks_landed;
};

/* Replay @trace, in an address space of its own. Returns 0; or a negative iogate error with @problem set when it could not even begin. */
int replay_run(const struct trace *trace, const struct replay_config *config, struct replay_result *result, struct problem *problem);
int replay_dma(const struct trace *trace, const struct replay_config *config, struct replay_result *result, struct problem *problem);

/* "recorded+strict", "window+held+none"; valid until the next call. */
const char *replay_policy(const struct replay_config *config);

/* Say what went wrong at an event, unless enough has been said: @failures of them came before. @error: 0 for an access that landed elsewhere. */
void replay_describe(const struct trace *trace, const struct trace_event *event, uint64_t failures, const char *what, int error);

/* The longest that a page may be exposed by the clock of the trace, ns: exact with one lane; of several the slower ones tick late. */
uint64_t replay_bound_ns(const struct replay_config *config);

/* What follows from the figures: violations, and whether it is partial and why. @limit_reached: memory ran out. */
void replay_conclude(struct replay_result *result, bool limit_reached);

/* Results of one trace, side by side. */
void replay_print_trace(const struct trace *trace, const struct replay_result *results, uint32_t nr_results);

/* Everything as JSON. @mode: "recorded" or "dma". @error: what kept it from being complete, or NULL. Returns 0, or -1 with a message. */
int replay_print_json(const struct trace *traces, uint32_t nr_traces, const struct replay_result *results, uint32_t nr_results, const char *mode,
		      uint64_t seed, const char *error);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Benchmarks of single operations. A case is measured several times, in turn with all others of the same call, so that a machine that becomes slower
 * does so for a case and its baseline alike.
 */
#ifndef IOGATE_TOOL_BENCH_H
#define IOGATE_TOOL_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include <iogate/pgtable.h>

#include "message.h"

struct bench_state;

/* What a case varies; which of it means something depends on the case. */
struct bench_variant {
	enum iog_reclaim reclaim;
	uint32_t flags; /* enum iog_pgtable_flags */
	bool unmap;     /* it is the unmap that is timed */
	bool alone;     /* one lane altogether, which needs no atomic operation; else two, of which one is idle */
	uint64_t pages; /* lookup: pages mapped */
	enum bench_call {
		BENCH_PAGES,   /* iog_pgtable_map_pages(), all pages at once */
		BENCH_BY_PAGE, /* the same, a page at a time */
		BENCH_RANGE,   /* iog_pgtable_map() */
	} call;
};

struct bench_case {
	const char *name;
	const char *summary;
	const char *baseline; /* the case it is held against, or NULL */
	uint64_t leaves;      /* that one call handles, where that is worth a figure of its own; else 0 */
	struct bench_variant variant;
	/* Do a batch of calls; add what they took and how many they were. Returns 0 or a negative iogate error. */
	int (*run)(struct bench_state *state, uint64_t *ns, uint64_t *calls);
	/* Returns 0; or a negative iogate error with @problem set. NULL where run() makes its own page tables. */
	int (*prepare)(struct bench_state *state, struct problem *problem);
};

extern const struct bench_case bench_cases[];
extern const uint32_t nr_bench_cases;

/* A case ready to run. */
int bench_state_create(const struct bench_case *bench_case, const char *format, uint64_t seed, struct bench_state **state, struct problem *problem);
void bench_state_destroy(struct bench_state *state);

struct bench_result {
	const struct bench_case *bench_case;
	double *ns; /* per call, one per run; sorted by bench_sort() */
	uint32_t runs;
	bool skipped; /* the machine cannot run it: @why */
	struct problem why;
};

double bench_median(const struct bench_result *result);

/* The result of a case's baseline, or NULL. */
const struct bench_result *bench_baseline(const struct bench_result *results, uint32_t nr_results, const struct bench_result *result);

void bench_print_list(void);
void bench_print_table(const struct bench_result *results, uint32_t nr_results, bool partial);
int bench_print_json(const struct bench_result *results, uint32_t nr_results, const char *format, uint64_t seed, const char *error);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Benchmarks of single operations. A case is measured several times, in turn with all others of the same call, so that a machine that becomes slower
 * does so for a case and its baseline alike. A case that counts instead of timing is done once: it would count the same again.
 */
#ifndef IOGATE_TOOL_BENCH_H
#define IOGATE_TOOL_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "message.h"

struct bench_case;
struct bench_result;

/* What all groups' states begin with. */
struct bench_state {
	const struct bench_case *bench_case;
	const char *format;
	uint64_t seed;
	uint64_t ops; /* of cases that go on for as long as is asked for */
};

struct bench_case {
	const char *name;
	const char *summary;
	const char *baseline; /* the case it is held against, or NULL */
	uint64_t leaves;      /* that one call handles, where that is worth a figure of its own; else 0 */
	const void *variant;  /* what the cases of a group differ in */
	const char *unit;     /* of the figures; NULL: ns */
	bool is_rate;         /* millions of calls per second instead of ns per call; @unit says of what */
	bool on_request;      /* only when it is named */

	/* Make it ready. Returns 0; or a negative iogate error with @problem set. Optional. */
	int (*prepare)(struct bench_state *state, struct problem *problem);
	/* Timed cases: do a batch of calls; add what they took and how many they were. Returns 0 or a negative iogate error. */
	int (*run)(struct bench_state *state, uint64_t *ns, uint64_t *calls);
	/* The others: everything in one go, by bench_add(). Returns 0; or a negative iogate error with @problem set. */
	int (*measure)(struct bench_state *state, struct bench_result *result, struct problem *problem);
};

/* Cases that share their code and what they keep between runs. */
struct bench_group {
	const struct bench_case *cases;
	uint32_t nr_cases;
	uint32_t state_size; /* bytes; struct bench_state comes first */
	void (*destroy)(struct bench_state *state);
};

extern const struct bench_group bench_pgtable;
extern const struct bench_group bench_iova;
extern const struct bench_group bench_dma;
extern const struct bench_group bench_scale;
extern const struct bench_group bench_lines;
extern const struct bench_group bench_decay;

/* All cases, by number, in the order in which they are shown. */
uint32_t bench_cases_count(void);
const struct bench_case *bench_case_at(uint32_t index);
/* Returns bench_cases_count() for an unknown name. */
uint32_t bench_case_find(const char *name);

/* A case ready to run. Returns as its prepare(). */
int bench_state_create(uint32_t index, const struct bench_state *options, struct bench_state **state, struct problem *problem);
void bench_state_destroy(struct bench_state *state);

/* A long run in parts, of equal numbers of operations: whether it gets slower, or its stock grows. Figures are of the part, bytes at its end. */
#define BENCH_PARTS 10

struct bench_part {
	uint64_t allocations;
	uint64_t slow;     /* allocations that went beyond the lane's own stock */
	uint64_t flushes;
	uint64_t reclaims;
	uint64_t live_bytes;
	uint64_t cached_bytes;
	uint64_t object_bytes;
	double ns;         /* per operation */
};

struct bench_result {
	const struct bench_case *bench_case;
	double *values; /* one per run of a timed case, one per operation counted; sorted by bench_sort() */
	uint32_t count;
	uint32_t room;
	uint32_t runs;
	double sum;
	bool skipped; /* this machine, or this build, cannot run it: @why */
	struct problem why;
	struct bench_part parts[BENCH_PARTS];
	uint32_t nr_parts;
};

void bench_add(struct bench_result *result, double value);
void bench_sort(struct bench_result *result);
void bench_result_free(struct bench_result *result);

/* Of sorted values, of which there are some. */
double bench_median(const struct bench_result *result);
static inline double bench_min(const struct bench_result *result)
{
	return result->values[0];
}
static inline double bench_max(const struct bench_result *result)
{
	return result->values[result->count - 1];
}
static inline double bench_mean(const struct bench_result *result)
{
	return result->sum / result->count;
}

/* Whether it is ns per call, as most are. */
static inline bool bench_is_time(const struct bench_case *bench_case)
{
	return !bench_case->unit;
}

static inline const char *bench_unit(const struct bench_case *bench_case)
{
	return bench_case->unit ? bench_case->unit : "ns";
}

/* The result of a case's baseline if it has a median other than 0, or NULL. */
const struct bench_result *bench_baseline(const struct bench_result *results, uint32_t nr_results, const struct bench_result *result);

void bench_print_list(void);
void bench_print_table(const struct bench_result *results, uint32_t nr_results, bool partial);
int bench_print_json(const struct bench_result *results, uint32_t nr_results, const struct bench_state *options, const char *error);

struct plot;

/* Charts of @results, which are sorted; those without a run are no bars. Returns as plot_write(). */
int bench_plot(const struct plot *plot, const struct bench_result *results, uint32_t nr_results, const char *format, bool partial);

#endif

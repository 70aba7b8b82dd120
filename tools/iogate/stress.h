/* SPDX-License-Identifier: MIT */
/*
 * The stress run: map one page and unmap it again, each 2 MiB through a whole address space. It wants a new table for nearly every page, and leaves one
 * behind each time where empty tables are not given back.
 */
#ifndef IOGATE_TOOL_STRESS_H
#define IOGATE_TOOL_STRESS_H

#include <stdbool.h>
#include <stdint.h>

#include <iogate/domain.h>
#include <iogate/pgtable.h>

#include "engine.h"

#define STRESS_THREADS_MAX 256

struct stress_config {
	const char *format;
	enum iog_reclaim reclaim;
	enum iog_inval_mode mode;
	bool simulate;
	const struct model_kind *model; /* or NULL; not with @simulate */
	bool verbose; /* a line per TiB */
	uint32_t threads;
	uint64_t space;
	uint64_t size; /* bytes mapped at a time */
	uint64_t memory_limit;
	uint64_t seed;
};

struct stress_result {
	struct stress_config config;
	uint64_t pairs; /* done */
	uint64_t pairs_wanted;
	double seconds;
	struct engine_stats stats;
	uint64_t held_bytes_most; /* that waited for an invalidation, in held mode: of all threads at once */
	uint64_t failures;   /* calls that failed and accesses that went wrong, as the run itself saw them */
	uint64_t violations; /* as the judge saw them, or those failures if there are more: both look at the same accesses */
	bool partial;
	struct problem why; /* it is partial */
};

/* Distance between two pages: 2 MiB, or as many of them as @size takes. */
uint64_t stress_stride(uint64_t size);

/* Pages that fit a space. */
uint64_t stress_pairs(uint64_t space, uint64_t size);

/* Run. Returns 0; or a negative iogate error with @problem set when it could not even begin. */
int stress_run(const struct stress_config *config, struct stress_result *result, struct problem *problem);

/* Nanoseconds of wall time per pair, whatever the number of threads; 0 when nothing was done. */
double stress_ns_per_pair(const struct stress_result *result);

/* As --device has it. */
const char *stress_device(const struct stress_config *config);

/* The one line that the public iova_stress tool prints, in its very form. */
void stress_print_line(const struct stress_result *result);

/* A table, a column per run. @baseline: the same with reclaim = none, or NULL. */
void stress_print_table(const struct stress_result *results, uint32_t nr_results, const struct stress_result *baseline);

/* The same as JSON. Returns 0, or -1 with a message. */
int stress_print_json(const struct stress_result *results, uint32_t nr_results, const struct stress_result *baseline, uint64_t seed, const char *error);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Random sequences of operations against the model, over every format, variant and option. A sequence that fails (or crashes, or does not end: each runs in a process of its
 * own) is shrunk by leaving out what it does not need, and printed.
 *
 * IOG_SEED=n replays; IOG_SHAPE=text runs only shapes whose name contains it.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sequence.h"

#define OPS 60
/* Seconds until a run counts as one that does not end. */
#define PATIENCE 60

static uint64_t seed;

struct result {
	bool fine;
	size_t at;
	char why[256];
};

/* Shared with the process that runs a sequence. */
static struct result *shared;

static bool run_apart(const struct shape *shape, const struct bed_options *options, const struct op *ops, size_t nr, struct result *result)
{
	int status = 0;
	pid_t child;

	memset(shared, 0, sizeof(*shared));
	fflush(stdout);
	child = fork();
	if (child < 0)
		abort();
	if (!child) {
		alarm(PATIENCE);
		shared->fine = sequence_run(shape, options, ops, nr, shared->why, &shared->at);
		fflush(stderr);
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child)
		abort();
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		shared->fine = false;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
			snprintf(shared->why, sizeof(shared->why), "does not end");
		else
			snprintf(shared->why, sizeof(shared->why), "crashed (%s %d)", WIFSIGNALED(status) ? "signal" : "exit",
				 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	}
	*result = *shared;
	return result->fine;
}

/* Delta debugging: leave out ever smaller pieces for as long as what is left still fails. */
static size_t shrink(const struct shape *shape, const struct bed_options *options, struct op *ops, size_t nr, struct result *result)
{
	struct op *fewer = calloc(nr, sizeof(*fewer));
	size_t piece = nr;

	if (!fewer)
		abort();
	if (result->at + 1 < nr && run_apart(shape, options, ops, result->at + 1, result) == false)
		nr = result->at + 1 < nr ? result->at + 1 : nr;
	while (piece) {
		bool removed = false;

		for (size_t at = 0; at < nr;) {
			size_t n = piece < nr - at ? piece : nr - at;
			struct result next;

			memcpy(fewer, ops, at * sizeof(*ops));
			memcpy(fewer + at, ops + at + n, (nr - at - n) * sizeof(*ops));
			if (nr > n && !run_apart(shape, options, fewer, nr - n, &next)) {
				*result = next;
				nr -= n;
				memcpy(ops, fewer, nr * sizeof(*ops));
				removed = true;
			} else {
				at += n;
			}
		}
		if (!removed || piece > 1)
			piece /= 2;
	}
	run_apart(shape, options, ops, nr, result);
	free(fewer);
	return nr;
}

static void run_options(const struct shape *shape, const struct bed_options *options, uint64_t number)
{
	struct op *ops;
	size_t nr = kit_scaled(shape->geometry->granule_shift > 12 ? OPS / 4 : OPS);
	struct result result;

	ops = calloc(nr, sizeof(*ops));
	if (!ops)
		abort();
	sequence_generate(ops, nr, shape, options, seed ^ number * UINT64_C(0x5851f42d4c957f2d));
	if (!run_apart(shape, options, ops, nr, &result)) {
		printf("%s, flags 0x%x, trim_batch %u, page sizes 0x%" PRIx64 ", IOG_SEED=%" PRIu64 ": operation %zu: %s\n", shape->name, options->flags,
		       options->trim_batch, options->page_sizes, seed, result.at, result.why);
		fflush(stdout);
		nr = shrink(shape, options, ops, nr, &result);
		printf("%zu operations suffice: %s\n", nr, result.why);
		for (size_t i = 0; i < nr; i++)
			sequence_print(shape, &ops[i]);
		fflush(stdout);
		free(ops);
		fail_msg("%s: %s", shape->name, result.why);
	}
	free(ops);
}

static void sequences(void **state)
{
	static const struct bed_options options[] = {
		{ 0, 0, 0, 0 },
		{ 0, 1, 0, 0 },
		{ IOG_PGTABLE_NONCOHERENT, 64, 0, 0 },
		{ IOG_PGTABLE_NONCOHERENT | IOG_PGTABLE_SPLIT, 1, 0, 0 },
		{ IOG_PGTABLE_SPLIT, 64, 0, 0 },
		{ IOG_PGTABLE_SPLIT, 1, PAGE_4K | PAGE_2M, 0 },
		{ IOG_PGTABLE_FLUSH_ON_MAP, 64, 0, 0 },
		{ IOG_PGTABLE_FLUSH_ON_MAP, 1, 0, 0 },
		{ IOG_PGTABLE_NONCOHERENT | IOG_PGTABLE_SPLIT | IOG_PGTABLE_FLUSH_ON_MAP, 3, 0, 0 },
		{ IOG_PGTABLE_SPLIT, 2, PAGE_4K | PAGE_1G, 0 },
		{ 0, 128, PAGE_4K, 0 },
	};
	/* Every size of the format, groups among them. */
	static const struct bed_options every_size[] = {
		{ 0, 64, 0, 0 },
		{ IOG_PGTABLE_NONCOHERENT, 1, 0, 0 },
		{ IOG_PGTABLE_SPLIT, 64, 0, 0 },
		{ IOG_PGTABLE_SPLIT | IOG_PGTABLE_NONCOHERENT, 1, 0, 0 },
		{ IOG_PGTABLE_FLUSH_ON_MAP, 3, 0, 0 },
	};
	const struct shape *shape = *state;

	for (size_t i = 0; shape->geometry->groups && i < sizeof(every_size) / sizeof(every_size[0]); i++) {
		struct bed_options all = every_size[i];

		all.page_sizes = shape_sizes(shape, 0);
		run_options(shape, &all, (uint64_t)(shape - shapes) * 64 + 32 + i);
	}
	/* The others say little that is new where groups are what is special; and other granules are slow to look through. */
	for (size_t i = 0; i < (shape->geometry->granule_shift > 12 ? 0 : shape->geometry->groups ? 3 : sizeof(options) / sizeof(options[0])); i++)
		run_options(shape, &options[i], (uint64_t)(shape - shapes) * 64 + i + 1);
}

int main(void)
{
	const char *only = getenv("IOG_SHAPE");
	struct CMUnitTest *tests = calloc(nr_shapes, sizeof(*tests));
	size_t nr = 0;
	int failed;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!tests || shared == MAP_FAILED)
		return 1;
	seed = kit_seed("random");
	for (uint32_t i = 0; i < nr_shapes; i++)
		if (!only || strstr(shapes[i].name, only))
			tests[nr++] = (struct CMUnitTest){ .name = shapes[i].name, .test_func = sequences, .initial_state = (void *)(uintptr_t)&shapes[i] };
	failed = _cmocka_run_group_tests("random", tests, nr, NULL, NULL);
	free(tests);
	return failed;
}

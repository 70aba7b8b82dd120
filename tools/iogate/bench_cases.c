/* SPDX-License-Identifier: MIT */
/*
 * The groups of cases, taken together; see bench.h.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

static const struct bench_group *const groups[] = { &bench_dma, &bench_iova, &bench_lines, &bench_scale, &bench_decay, &bench_pgtable };

#define NR_GROUPS (sizeof(groups) / sizeof(groups[0]))

/* The group that a case is in; @index becomes its number there. */
static const struct bench_group *group_of(uint32_t *index)
{
	size_t i;

	for (i = 0; *index >= groups[i]->nr_cases; i++)
		*index -= groups[i]->nr_cases;
	return groups[i];
}

uint32_t bench_cases_count(void)
{
	uint32_t count = 0;

	for (size_t i = 0; i < NR_GROUPS; i++)
		count += groups[i]->nr_cases;
	return count;
}

const struct bench_case *bench_case_at(uint32_t index)
{
	const struct bench_group *group = group_of(&index);

	return &group->cases[index];
}

uint32_t bench_case_find(const char *name)
{
	uint32_t index, count = bench_cases_count();

	for (index = 0; index < count && strcmp(bench_case_at(index)->name, name); index++)
		;
	return index;
}

int bench_state_create(uint32_t index, const struct bench_state *options, struct bench_state **state, struct problem *problem)
{
	const struct bench_group *group = group_of(&index);
	const struct bench_case *bench_case = &group->cases[index];
	int ret = 0;

	/* In lines of their own, whatever a group has two lanes write. */
	*state = memory_new_aligned(1, ((size_t)group->state_size + 63) / 64 * 64);
	**state = *options;
	(*state)->bench_case = bench_case;
	if (bench_case->prepare)
		ret = bench_case->prepare(*state, problem);
	if (ret) {
		bench_state_destroy(*state);
		*state = NULL;
	}
	return ret;
}

void bench_state_destroy(struct bench_state *state)
{
	uint32_t index;

	if (!state)
		return;
	index = bench_case_find(state->bench_case->name);
	group_of(&index)->destroy(state);
	free(state);
}

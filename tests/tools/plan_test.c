/* SPDX-License-Identifier: MIT */
/*
 * How a trace becomes calls of the DMA API: lists, runs, what is undone when, against the trace itself, page by page.
 *
 * The random test prints its seed; IOG_SEED=... repeats it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../seed.h"
#include "plan.h"
#include "random.h"
#include "size.h"

#define EVENTS_MAX 4000
#define PAGES 64

static struct trace_event events[EVENTS_MAX];
static struct trace trace = { .events = events };

static void begin(void)
{
	trace.count = 0;
	trace.maps = 0;
	trace.unmaps = 0;
}

static void add(enum trace_kind kind, uint32_t cpu, uint64_t page, uint64_t paddr, uint64_t pages)
{
	events[trace.count++] = (struct trace_event){
		.iova = page * SIZE_4K,
		.paddr = paddr * SIZE_4K,
		.size = pages * SIZE_4K,
		.cpu = cpu,
		.kind = kind,
	};
	if (kind == TRACE_MAP)
		trace.maps++;
	else
		trace.unmaps++;
}

/* A map leads to memory that no other map does, so that pages of memory tell mappings apart. */
static void map(uint32_t cpu, uint64_t page, uint64_t pages)
{
	add(TRACE_MAP, cpu, page, 1 + trace.count * PAGES, pages);
}

static void unmap(uint32_t cpu, uint64_t page, uint64_t pages)
{
	add(TRACE_UNMAP, cpu, page, 0, pages);
}

/* What a plan has mapped: per page of memory, how often. */
static uint8_t planned[(EVENTS_MAX + 1) * PAGES + 1];

/* Add @by to the pages [offset, offset + size) of a mapping. */
static void plan_change(const struct plan *plan, const struct plan_mapping *mapping, uint64_t offset, uint64_t size, int by)
{
	uint64_t at = 0;

	for (uint32_t i = 0; i < mapping->nr_segments; i++) {
		const struct plan_segment *segment = &plan->segments[mapping->first + i];

		for (uint64_t in = 0; in < segment->size; in += SIZE_4K, at += SIZE_4K) {
			if (at >= offset && at < offset + size)
				planned[(segment->paddr + in) / SIZE_4K] = (uint8_t)(planned[(segment->paddr + in) / SIZE_4K] + by);
		}
	}
	assert_int_equal(at, mapping->size);
}

/* Run the plan beside the trace: each unmap takes away just the memory that was mapped there, and all that stays in both is the same. */
static void check_plan(const struct plan *plan)
{
	static uint64_t live[PAGES]; /* memory that a page leads to, 0: none */
	uint32_t *left = calloc(plan->nr_mappings + 1, sizeof(*left));
	uint64_t pages, lists = 0, runs = 0;

	assert_non_null(left);
	memset(live, 0, sizeof(live));
	memset(planned, 0, sizeof(planned));
	for (uint32_t i = 0; i < trace.count; i++) {
		const struct trace_event *event = &events[i];
		const struct plan_event *step = &plan->events[i];

		pages = event->size / SIZE_4K;
		if (event->kind == TRACE_MAP) {
			assert_int_equal(step->nr_pieces, 0);
			for (uint64_t page = 0; page < pages; page++)
				live[event->iova / SIZE_4K + page] = event->paddr / SIZE_4K + page;
			if (step->mapping == PLAN_NONE)
				continue;
			assert_true(step->mapping < plan->nr_mappings);
			assert_int_equal(plan->mappings[step->mapping].event, i);
			plan_change(plan, &plan->mappings[step->mapping], 0, UINT64_MAX, 1);
			left[step->mapping] = plan->mappings[step->mapping].undone_by;
			lists += plan->mappings[step->mapping].kind == PLAN_LIST;
			runs += plan->mappings[step->mapping].kind == PLAN_RUN;
			assert_true((plan->mappings[step->mapping].kind == PLAN_LIST) == (plan->mappings[step->mapping].nr_segments > 1));
			continue;
		}
		assert_int_equal(step->mapping, PLAN_NONE);
		for (uint32_t piece = step->first; piece < step->first + step->nr_pieces; piece++) {
			const struct plan_mapping *mapping = &plan->mappings[plan->pieces[piece].mapping];

			assert_true(mapping->event < i);
			assert_true(mapping->kind == PLAN_RUN || (!plan->pieces[piece].offset && plan->pieces[piece].size == mapping->size));
			plan_change(plan, mapping, plan->pieces[piece].offset, plan->pieces[piece].size, -1);
			if (mapping->undone_by)
				assert_true(left[plan->pieces[piece].mapping]-- > 0);
		}
		for (uint64_t page = event->iova / SIZE_4K; pages--; page++) {
			assert_int_not_equal(live[page], 0);
			assert_int_equal(planned[live[page]], 0);
			live[page] = 0;
		}
	}
	for (uint32_t page = 0; page < PAGES; page++)
		planned[live[page]] = (uint8_t)(planned[live[page]] - (live[page] != 0));
	for (size_t page = 1; page < sizeof(planned); page++)
		assert_int_equal(planned[page], 0);
	for (uint32_t i = 0; i < plan->nr_mappings; i++)
		assert_int_equal(left[i], 0);
	assert_int_equal(lists, plan->lists);
	assert_int_equal(runs, plan->runs);
	free(left);
}

/* @kinds: of the mappings, in order. */
static void expect_plan(const char *kinds)
{
	static const char letters[] = { [PLAN_SINGLE] = 's', [PLAN_LIST] = 'l', [PLAN_RUN] = 'r' };
	struct plan plan;

	plan_make(&trace, &plan);
	check_plan(&plan);
	assert_int_equal(plan.nr_mappings, strlen(kinds));
	for (uint32_t i = 0; i < plan.nr_mappings; i++)
		assert_int_equal(letters[plan.mappings[i].kind], kinds[i]);
	plan_free(&plan);
}

static void test_single(void **state)
{
	(void)state;
	begin();
	map(0, 1, 1);
	map(0, 2, 4);
	unmap(1, 1, 1);
	unmap(0, 2, 4);
	map(0, 2, 4);
	expect_plan("sss");
}

static void test_list(void **state)
{
	(void)state;
	/* Three segments, other CPUs' maps and an unmap of the same CPU between them. */
	begin();
	map(0, 40, 1);
	map(0, 1, 2);
	map(1, 50, 1);
	map(0, 3, 1);
	unmap(0, 40, 1);
	map(0, 4, 4);
	unmap(2, 1, 7);
	expect_plan("ssl");
	/* Two lists that one unmap each takes. */
	begin();
	map(0, 1, 1);
	map(0, 2, 1);
	map(0, 3, 1);
	map(0, 4, 1);
	unmap(0, 1, 2);
	unmap(0, 3, 2);
	expect_plan("ll");
}

/* Taken together, but never mapped together. */
static void test_no_list(void **state)
{
	(void)state;
	/* By two CPUs; with another map between; downwards. */
	begin();
	map(0, 1, 1);
	map(1, 2, 1);
	unmap(0, 1, 2);
	expect_plan("ss");
	begin();
	map(0, 1, 1);
	map(0, 9, 1);
	map(0, 2, 1);
	unmap(0, 1, 2);
	expect_plan("sss");
	begin();
	map(0, 2, 1);
	map(0, 1, 1);
	unmap(0, 1, 2);
	expect_plan("ss");
	/* One of them only in part. */
	begin();
	map(0, 1, 1);
	map(0, 2, 2);
	unmap(0, 1, 2);
	unmap(0, 3, 1);
	expect_plan("sr");
}

static void test_run(void **state)
{
	struct plan plan;

	(void)state;
	begin();
	map(0, 0, 2);
	unmap(0, 0, 1);
	unmap(0, 1, 1);
	expect_plan("r");
	/* In part for good: nothing releases it. */
	begin();
	map(0, 0, 3);
	unmap(0, 1, 1);
	expect_plan("r");
	plan_make(&trace, &plan);
	assert_int_equal(plan.mappings[0].undone_by, 0);
	plan_free(&plan);
	/* The middle of two. */
	begin();
	map(0, 0, 2);
	map(0, 2, 2);
	unmap(0, 1, 2);
	unmap(0, 0, 1);
	unmap(0, 3, 1);
	expect_plan("rr");
}

static void random_trace(struct random *random)
{
	bool live[PAGES] = { false };
	uint32_t count = 1 + (uint32_t)random_below(random, 400), cpu = 0;
	uint64_t page, pages, most;
	bool wanted;

	begin();
	while (trace.count < count) {
		/* Mostly one after the other, as scatter lists are. */
		page = random_below(random, 3) || !trace.count ? random_below(random, PAGES) : events[trace.count - 1].iova / SIZE_4K + events[trace.count - 1].size / SIZE_4K;
		if (page >= PAGES)
			continue;
		wanted = live[page];
		most = 1 + random_below(random, 12);
		for (pages = 0; pages < most && page + pages < PAGES && live[page + pages] == wanted; pages++)
			live[page + pages] = !wanted;
		if (!random_below(random, 4))
			cpu = (uint32_t)random_below(random, 3);
		if (wanted)
			unmap(cpu, page, pages);
		else
			map(cpu, page, pages);
	}
}

static void test_random(void **state)
{
	struct random random = { kit_seed("plan") };
	uint64_t rounds = kit_scaled(3000), lists = 0, runs = 0;
	struct plan plan;

	(void)state;
	for (uint64_t i = 0; i < rounds; i++) {
		random_trace(&random);
		plan_make(&trace, &plan);
		check_plan(&plan);
		lists += plan.lists;
		runs += plan.runs;
		plan_free(&plan);
	}
	/* It did meet what it is about. */
	assert_true(lists > 0 && runs > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_single),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_no_list),
		cmocka_unit_test(test_run),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

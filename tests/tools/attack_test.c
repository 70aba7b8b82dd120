/* SPDX-License-Identifier: MIT */
/*
 * A device that goes on using every address that it has ever seen, while a trace is replayed. Strict: it reaches nothing after its unmap. Held: nothing that belongs to
 * somebody else. Deferred: it does, but not for longer than the bound. And in each mode, with the safeguard taken out, it must win, and the run must say so: an invalidation
 * that is reported as done and is not (strict, held), a timer that does not come, or goes by a clock that is slow (deferred; and held, where time is bounded, too).
 *
 * The linker puts __wrap_iog_sim_unit() and __wrap_iog_domain_tick() in the place of those.
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
#include <unistd.h>

#include <iogate/unit.h>

#include "replay.h"
#include "trace.h"

/* A page each, a millisecond apart, live for a while; their memory comes round again. */
#define MAPPINGS 300
#define LIVE 4
#define FRAMES 64
#define ATTACKS 8

static bool forgets_nothing, never_ticks, slow_clock;

static struct iog_unit_ops broken_ops;

struct iog_unit *__real_iog_sim_unit(struct iog_sim *sim);
struct iog_unit *__wrap_iog_sim_unit(struct iog_sim *sim);
int __real_iog_domain_tick(struct iog_domain *domain, iog_lane_t lane, uint64_t now_ms);
int __wrap_iog_domain_tick(struct iog_domain *domain, iog_lane_t lane, uint64_t now_ms);

static int invalidate_nothing(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather)
{
	(void)unit;
	(void)id;
	(void)gather;
	return 0;
}

struct iog_unit *__wrap_iog_sim_unit(struct iog_sim *sim)
{
	struct iog_unit *unit = __real_iog_sim_unit(sim);

	if (forgets_nothing && unit) {
		broken_ops = *unit->ops;
		broken_ops.invalidate = invalidate_nothing;
		unit->ops = &broken_ops;
	}
	return unit;
}

int __wrap_iog_domain_tick(struct iog_domain *domain, iog_lane_t lane, uint64_t now_ms)
{
	return never_ticks ? 0 : __real_iog_domain_tick(domain, lane, slow_clock ? now_ms / 2 : now_ms);
}

static void print_event(FILE *stream, const char *kind, uint32_t index, uint64_t us)
{
	uint64_t iova = UINT64_C(0x10000000) + index * UINT64_C(0x1000), paddr = UINT64_C(0x500000000) + index % FRAMES * UINT64_C(0x1000);

	fprintf(stream, " task-1 [%03" PRIu32 "] ..... %" PRIu64 ".%06" PRIu64 ": %s: IOMMU: iova=0x%016" PRIx64 " - 0x%016" PRIx64, (index + (kind[0] == 'u')) % 4, us / 1000000, us % 1000000, kind, iova, iova + 0x1000);
	if (kind[0] == 'm')
		fprintf(stream, " paddr=0x%016" PRIx64 " size=4096\n", paddr);
	else
		fputs(" size=4096 unmapped_size=4096\n", stream);
}

static void write_trace(char *path)
{
	int fd = mkstemp(path);
	FILE *stream;

	assert_true(fd >= 0);
	stream = fdopen(fd, "w");
	assert_non_null(stream);
	for (uint32_t i = 0; i < MAPPINGS + LIVE; i++) {
		uint64_t us = 5000000 + i * UINT64_C(1000);

		if (i < MAPPINGS)
			print_event(stream, "map", i, us);
		if (i >= LIVE)
			print_event(stream, "unmap", i - LIVE, us + 100);
	}
	assert_int_equal(fclose(stream), 0);
}

static void attack(const char *policy, enum iog_inval_mode mode, uint32_t threads, struct replay_result *result)
{
	struct replay_config config = { .format = "vtdss", .policy = policy, .mode = mode, .threads = threads, .seed = 1, .attacks = ATTACKS };
	struct trace_options options = { .iova_limit = UINT64_C(1) << 48, .paddr_limit = UINT64_C(1) << 52, .format = "vtdss" };
	char path[] = "/tmp/iogate-attack-XXXXXX";
	struct problem problem;
	struct trace trace;

	write_trace(path);
	if (trace_load(path, &options, &trace, &problem) || replay_dma(&trace, &config, result, &problem))
		fail_msg("%s", problem.text);
	unlink(path);
	assert_int_equal(result->events, 2 * MAPPINGS);
	assert_int_equal(result->attacks, 2 * MAPPINGS * ATTACKS);
	assert_int_equal(result->stats.sim.exposure.incomplete, 0);
	trace_free(&trace);
}

static const char *const policies[] = { "tree", "magazine", "pooled", "identity", "window" };

#define NR_POLICIES (sizeof(policies) / sizeof(policies[0]))

/* In all modes what is mapped can be reached. */
static void test_withstood(void **state)
{
	struct replay_result result;

	(void)state;
	forgets_nothing = never_ticks = slow_clock = false;
	for (size_t i = 0; i < NR_POLICIES * 3; i++) {
		const struct iog_sim_exposure *exposure = &result.stats.sim.exposure;
		enum iog_inval_mode mode = (enum iog_inval_mode)(i % 3);

		attack(policies[i / 3], mode, 1, &result);
		assert_int_equal(result.violations, 0);
		assert_int_equal(result.failures, 0);
		assert_true(result.attacks_landed > 0 && result.attacks_landed < result.attacks);
		/* 1:1 addresses are mapped anew before they are flushed: fewer pages wait, but all are seen. */
		assert_true(exposure->pages > 0);
		if (mode == IOG_INVAL_STRICT) {
			assert_int_equal(exposure->late_bytes, 0);
			assert_int_equal(exposure->max_ns, 0);
			assert_int_equal(exposure->reused_bytes, 0);
			assert_int_equal(exposure->reuses, 0);
			continue;
		}
		/* It does reach what was unmapped: the bound and the holding are not for nothing. */
		assert_true(exposure->late_bytes > 0);
		assert_int_equal(replay_bound_ns(&result.config), DEFERRED_MS * UINT64_C(1000000));
		assert_true(exposure->max_ns > 5000000 && exposure->max_ns < replay_bound_ns(&result.config));
		if (mode == IOG_INVAL_DEFERRED) {
			assert_true(exposure->reused_bytes > 0);
		} else {
			assert_int_equal(exposure->reused_bytes, 0);
			assert_int_equal(exposure->reuses, 0);
			assert_true(result.held_bytes_most > 0);
		}
	}
}

/* Mapped by one lane, unmapped by another. */
static void test_withstood_by_lanes(void **state)
{
	struct replay_result result;

	(void)state;
	for (size_t i = 0; i < NR_POLICIES; i++) {
		attack(policies[i], IOG_INVAL_STRICT, 3, &result);
		assert_int_equal(result.violations, 0);
		assert_int_equal(result.stats.sim.exposure.late_bytes, 0);
		attack(policies[i], IOG_INVAL_HELD, 3, &result);
		assert_int_equal(result.violations, 0);
		assert_int_equal(result.stats.sim.exposure.reused_bytes, 0);
	}
}

static void test_strict_broken(void **state)
{
	struct replay_result result;

	(void)state;
	forgets_nothing = true;
	for (size_t i = 0; i < NR_POLICIES; i++) {
		attack(policies[i], IOG_INVAL_STRICT, 1, &result);
		assert_true(result.stats.sim.exposure.late_bytes > 0);
		assert_true(result.violations > 0);
	}
	forgets_nothing = false;
}

static void test_held_broken(void **state)
{
	struct replay_result result;

	(void)state;
	forgets_nothing = true;
	for (size_t i = 0; i < NR_POLICIES; i++) {
		attack(policies[i], IOG_INVAL_HELD, 1, &result);
		assert_true(result.stats.sim.exposure.reused_bytes > 0);
		assert_true(result.violations > 0);
	}
	forgets_nothing = false;
}

static void beyond_the_bound(enum iog_inval_mode mode)
{
	struct replay_result result;

	for (size_t i = 0; i < NR_POLICIES; i++) {
		attack(policies[i], mode, 1, &result);
		assert_true(result.stats.sim.exposure.max_ns > replay_bound_ns(&result.config));
		assert_true(result.violations > 0);
	}
}

static void test_bound_broken(void **state)
{
	(void)state;
	never_ticks = true;
	beyond_the_bound(IOG_INVAL_DEFERRED);
	beyond_the_bound(IOG_INVAL_HELD);
	never_ticks = false;
	slow_clock = true;
	beyond_the_bound(IOG_INVAL_DEFERRED);
	beyond_the_bound(IOG_INVAL_HELD);
	slow_clock = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_withstood),
		cmocka_unit_test(test_withstood_by_lanes),
		cmocka_unit_test(test_strict_broken),
		cmocka_unit_test(test_held_broken),
		cmocka_unit_test(test_bound_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The command's runs notice what goes wrong: with an invalidation that is reported as done and is not, every kind of run must end with violations; with
 * the real one it must not. The linker puts __wrap_iog_sim_flush() in the place of iog_sim_flush(), and __wrap_iog_sim_unit() in that of iog_sim_unit().
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <iogate/unit.h>

#include "replay.h"
#include "size.h"
#include "stress.h"
#include "trace.h"

static bool broken;

static struct iog_unit_ops broken_ops;

int __real_iog_sim_flush(const struct iog_gather *gather, void *ctx);
int __wrap_iog_sim_flush(const struct iog_gather *gather, void *ctx);

int __wrap_iog_sim_flush(const struct iog_gather *gather, void *ctx)
{
	return broken ? 0 : __real_iog_sim_flush(gather, ctx);
}

struct iog_unit *__real_iog_sim_unit(struct iog_sim *sim);
struct iog_unit *__wrap_iog_sim_unit(struct iog_sim *sim);

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

	if (broken && unit) {
		broken_ops = *unit->ops;
		broken_ops.invalidate = invalidate_nothing;
		unit->ops = &broken_ops;
	}
	return unit;
}

static void run_stress(bool deferred, enum iog_reclaim reclaim, uint32_t threads, struct stress_result *result)
{
	struct stress_config config = {
		.format = "vtdss",
		.reclaim = reclaim,
		.mode = deferred ? IOG_INVAL_DEFERRED : IOG_INVAL_STRICT,
		.simulate = true,
		.threads = threads,
		.space = 4 * SIZE_1G,
		.size = SIZE_4K,
		.seed = 1,
	};
	struct problem problem;

	if (stress_run(&config, result, &problem))
		fail_msg("%s", problem.text);
	assert_int_equal(result->pairs, 2048);
	assert_false(result->partial);
}

static void test_stress_sound(void **state)
{
	struct stress_result result;

	(void)state;
	broken = false;
	for (int deferred = 0; deferred < 2; deferred++) {
		for (enum iog_reclaim reclaim = IOG_RECLAIM_COUNTED; reclaim <= IOG_RECLAIM_NONE; reclaim++) {
			run_stress(deferred, reclaim, 1 + (uint32_t)deferred * 2, &result);
			assert_int_equal(result.violations, 0);
			assert_int_equal(result.failures, 0);
			assert_int_equal(result.stats.sim.writes, 2 * 2048);
			assert_int_equal(result.stats.sim.faults, 2048);
			if (reclaim == IOG_RECLAIM_NONE)
				assert_true(result.stats.table_bytes >= 2048 * SIZE_4K);
			else
				assert_int_equal(result.stats.table_bytes, SIZE_4K);
		}
	}
}

static void test_stress_broken(void **state)
{
	struct stress_result result;

	(void)state;
	broken = true;
	for (int deferred = 0; deferred < 2; deferred++) {
		run_stress(deferred, IOG_RECLAIM_COUNTED, 1, &result);
		assert_true(result.failures > 0);
		assert_true(result.violations > 0);
	}
}

/* @policy: NULL for the recorded addresses. */
static void run_replay(const char *policy, bool deferred, uint32_t threads, struct replay_result *result)
{
	struct replay_config config = { .format = "vtdss", .policy = policy, .mode = deferred ? IOG_INVAL_DEFERRED : IOG_INVAL_STRICT, .threads = threads, .seed = 1 };
	struct trace_options options = { .iova_limit = UINT64_C(1) << 48, .paddr_limit = UINT64_C(1) << 52, .format = "vtdss" };
	const char *directory = getenv("IOG_TEST_DATA");
	struct problem problem;
	struct trace trace;
	char path[4096];

	snprintf(path, sizeof(path), "%s/nvme-seqwrite.trace", directory ? directory : "tests/data");
	if (trace_load(path, &options, &trace, &problem) || (policy ? replay_dma : replay_run)(&trace, &config, result, &problem))
		fail_msg("%s", problem.text);
	assert_int_equal(result->events, 374);
	trace_free(&trace);
}

static void test_replay_sound(void **state)
{
	struct replay_result result;

	(void)state;
	broken = false;
	for (int deferred = 0; deferred < 2; deferred++) {
		run_replay(NULL, deferred, 1, &result);
		assert_int_equal(result.violations, 0);
		assert_int_equal(result.failures, 0);
		assert_false(result.partial);
		/* Each mapping was used: at least once when it was made, at least once when it was gone. */
		assert_true(result.stats.sim.reads - result.stats.sim.faults >= 343);
		assert_true(result.stats.sim.faults >= (deferred ? 1 : 31));
		/* Nothing is live at the end of this trace, so nothing but the root is. */
		assert_int_equal(result.stats.table_bytes, SIZE_4K);
	}
}

static void test_replay_broken(void **state)
{
	struct replay_result result;

	(void)state;
	broken = true;
	for (int deferred = 0; deferred < 2; deferred++) {
		run_replay(NULL, deferred, 1, &result);
		assert_true(result.violations > 0);
	}
}

static const char *const policies[] = { "tree", "magazine", "pooled", "identity", "window" };

#define NR_POLICIES (sizeof(policies) / sizeof(policies[0]))

static void test_dma_sound(void **state)
{
	struct replay_result result;

	(void)state;
	broken = false;
	for (size_t i = 0; i < NR_POLICIES * 4; i++) {
		run_replay(policies[i / 4], i & 1, i & 2 ? 3 : 1, &result);
		assert_int_equal(result.violations, 0);
		assert_int_equal(result.failures, 0);
		assert_int_equal(result.leaks, 0);
		assert_false(result.partial);
		assert_int_equal(result.maps, 343);
		assert_int_equal(result.unmaps, 31);
		/* Each segment was used, and the first page of each tried again when it was gone. */
		assert_true(result.stats.sim.reads >= 2 * 343);
		/* Fourteen lists, and what is no part of one. */
		assert_int_equal(result.lists, 14);
		assert_int_equal(result.domain.maps, 31);
		assert_int_equal(result.domain.unmaps, 31);
		assert_int_equal(result.domain.bytes_mapped, 0);
		assert_int_equal(result.domain.iova.live_bytes, 0);
		assert_int_equal(result.stats.table_bytes, SIZE_4K);
		assert_true(i / 4 == 3 ? result.domain.identity_maps > 0 : result.domain.identity_maps == 0);
	}
}

/* With one lane what is unmapped strictly must fault; with several it takes the judge to see that it does not. */
static void test_dma_broken(void **state)
{
	struct replay_result result;

	(void)state;
	broken = true;
	for (size_t i = 0; i < NR_POLICIES * 2; i++) {
		run_replay(policies[i / 2], false, i & 1 ? 3 : 1, &result);
		assert_true(result.violations > 0);
		if (!(i & 1))
			assert_true(result.failures > 0);
	}
	broken = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stress_sound),
		cmocka_unit_test(test_stress_broken),
		cmocka_unit_test(test_replay_sound),
		cmocka_unit_test(test_replay_broken),
		cmocka_unit_test(test_dma_sound),
		cmocka_unit_test(test_dma_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

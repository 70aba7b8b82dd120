/* SPDX-License-Identifier: MIT */
/*
 * SMMUv3: the command queue, when it is small or stops, and when several lanes are at it.
 */
#include "smmuv3_bed.h"
#include "unit_lanes.h"

/* Indexes go round many times, whatever the size. */
static void test_wrap(void **state)
{
	(void)state;
	for (uint32_t log2 = 1; log2 <= 4; log2++) {
		struct bed bed;

		bed_init(&bed, NULL, (struct iog_smmuv3_config){ .command_log2 = log2 });
		bed_on(&bed);
		domain(&bed, ID, "arm_s1_4k", 4, 48);
		for (uint32_t n = 0; n < 200; n++) {
			gather(&bed, PAGE);
			for (uint32_t i = 0; i <= n % 5; i++)
				range(&bed, (UINT64_C(1) << 30) * i + n * PAGE, PAGE);
			bed.model->lazy = n % 3;
			assert_int_equal(invalidate(&bed, ID), 0);
			assert_int_equal(model_count(bed.model, CMD_TLBI_NH_VA), n % 5 + 1);
			assert_int_equal(bed.model->log[bed.model->nr_log - 2][1], (UINT64_C(1) << 30) * (n % 5) + n * PAGE + 1);
			assert_int_equal(bed.model->log[bed.model->nr_log - 1][0], CMD_SYNC);
		}
		bed.model->lazy = 0;
		no_domain(&bed, ID);
		bed_fini(&bed);
	}
}

static void test_deaf(void **state)
{
	struct iog_smmuv3_stats stats;
	struct bed bed;
	uint64_t began;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ .timeout_ms = 5, .command_log2 = 3 });
	bed_on(&bed);
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	bed.model->deaf = true;
	for (uint32_t n = 0; n < 10; n++) {
		gather(&bed, PAGE);
		range(&bed, 0x1000, PAGE);
		began = bed.model->now;
		/* The first ones wait for an answer, the later ones for room; all but the first for less long, as that one has found out. */
		assert_int_equal(invalidate(&bed, ID), -IOG_ETIMEDOUT);
		assert_in_range(bed.model->now - began, n ? 5000000 / 16 : 5000000, n ? 1000000 : 6000000);
	}
	iog_smmuv3_stats(bed.driver, &stats);
	assert_int_equal(stats.timeouts, 10);
	/* It comes back: what was in the queue is taken, and new commands are served. */
	bed.model->deaf = false;
	assert_int_equal(invalidate(&bed, ID), 0);
	no_domain(&bed, ID);
	/* A unit that is gone, wherever its queue was: ones are as good a place as any. */
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	for (uint32_t n = 0; n < 16; n++) {
		bed.model->dead = true;
		bed.model->deaf = true;
		gather(&bed, PAGE);
		for (uint32_t i = 0; i < 1 + n % 2; i++)
			range(&bed, 0x10000 * i, PAGE);
		assert_int_equal(invalidate(&bed, ID), -IOG_ETIMEDOUT);
		assert_int_equal(iog_smmuv3_interrupt(bed.driver), 0);
		bed.model->dead = false;
		bed.model->deaf = false;
		assert_int_equal(invalidate(&bed, ID), 0);
	}
	no_domain(&bed, ID);
	bed_fini(&bed);
}

static void test_refused(void **state)
{
	struct iog_smmuv3_stats stats;
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ .timeout_ms = 50 });
	bed_on(&bed);
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	gather(&bed, PAGE);
	for (uint32_t n = 0; n < 3; n++)
		range(&bed, n * MiB, PAGE);
	/* The second of three is illegal: it becomes a CMD_SYNC, the third is carried out, and the caller is told. */
	refuse(&bed, CMD_TLBI_NH_VA, CERROR_ILL, 1);
	assert_int_equal(invalidate(&bed, ID), -IOG_EIO);
	assert_int_equal(model_count(bed.model, CMD_TLBI_NH_VA), 2);
	assert_int_equal(model_count(bed.model, CMD_SYNC), 2);
	assert_int_equal(bed.model->log[0][0], CMD_SYNC);
	/* Not the next one. */
	assert_int_equal(invalidate(&bed, ID), 0);
	/* An abort of the fetch: it is fetched again. */
	bed.model->refuse_error = CERROR_ABT;
	bed.model->refuse_times = 2;
	assert_int_equal(invalidate(&bed, ID), 0);
	assert_int_equal(model_count(bed.model, CMD_TLBI_NH_VA), 3);
	/* Again and again: the queue is emptied, and the caller submits anew. */
	bed.model->refuse_times = 4;
	assert_int_equal(invalidate(&bed, ID), -IOG_EAGAIN);
	assert_int_equal(invalidate(&bed, ID), 0);
	assert_int_equal(*model_register(bed.model, CR0), CR0_SMMUEN | CR0_EVENTQEN | CR0_CMDQEN | CR0_ATSCHK);
	iog_smmuv3_stats(bed.driver, &stats);
	assert_int_equal(stats.command_errors, 1 + 2 + 4);
	no_domain(&bed, ID);
	bed_fini(&bed);
}

static void test_lanes(void **state)
{
	struct iog_smmuv3_stats stats;
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ .command_log2 = 3 });
	bed_on(&bed);
	domain(&bed, ID, FIRST);
	bed.model->lazy = 1;
	lanes_run(&bed);
	iog_smmuv3_stats(bed.driver, &stats);
	assert_int_equal(stats.waits, bed.model->fences + 1);
	assert_true(stats.waits <= stats.submissions + LANES);
	print_message("%u invalidations of %u lanes shared %u waits\n", LANES * ROUNDS, LANES, bed.model->fences);
	bed.model->lazy = 0;
	no_domain(&bed, ID);
	bed_fini(&bed);
}

/* Two lanes come while the wait of a third is in flight: one wait behind both serves them. */
static void *submit_once(void *arg)
{
	struct lane *lane = arg;

	lane->errors += lane->bed->unit->ops->invalidate(lane->bed->unit, ID, NULL) != 0;
	return NULL;
}

static void test_shared_wait(void **state)
{
	struct lane lanes[3];
	uint32_t written = 0;
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ 0 });
	bed_on(&bed);
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	/* A clock that does not run, and a unit that takes nothing until all have written. */
	bed.model->step = 0;
	bed.model->deaf = true;
	for (uint32_t n = 0; n < 3; n++) {
		lanes[n] = (struct lane){ .bed = &bed };
		assert_int_equal(pthread_create(&lanes[n].thread, NULL, submit_once, &lanes[n]), 0);
	}
	while (written < 3) {
		pthread_mutex_lock(&bed.model->lock);
		written = bed.model->doorbells;
		bed.model->deaf = written < 3;
		pthread_mutex_unlock(&bed.model->lock);
		sched_yield();
	}
	for (uint32_t n = 0; n < 3; n++) {
		pthread_join(lanes[n].thread, NULL);
		assert_int_equal(lanes[n].errors, 0);
	}
	assert_int_equal(model_count(bed.model, CMD_TLBI_NH_ASID), 3);
	assert_int_equal(bed.model->log[bed.model->nr_log - 1][0], CMD_SYNC);
	assert_int_equal(bed.model->fences, 2);
	assert_int_equal(bed.model->doorbells, 4);
	bed.model->step = 1000;
	no_domain(&bed, ID);
	bed_fini(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_deaf),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_lanes),
		cmocka_unit_test(test_shared_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

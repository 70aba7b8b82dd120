/* SPDX-License-Identifier: MIT */
/*
 * Waits that take time: what they cost, who shares one, and what happens when hardware misbehaves.
 *
 * Time is the test's own clock, which moves when somebody looks at it, so that nothing here depends on how busy the machine is.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <iogate/unit.h>

#include "kit.h"

#define MiB (UINT64_C(1) << 20)
#define IOVA (4 * MiB)
#define DEADLINE UINT64_C(1000000)
#define LOOK_NS 10

static _Atomic uint64_t clock_ns;

static uint64_t test_now(void *ctx)
{
	(void)ctx;
	return atomic_fetch_add(&clock_ns, LOOK_NS);
}

static void clocked(struct kit *kit, const struct iog_sim_config *config)
{
	kit_now_ns = test_now;
	kit_create(kit, &kit_vtdss_48, config);
	kit_now_ns = NULL;
}

/* What a call of @ranges one-page ranges takes by the clock, within what looking at it costs. */
static void flush_takes(struct kit *kit, uint32_t ranges, uint64_t at_least, uint64_t slack)
{
	static struct iog_gather gather;
	uint64_t before = atomic_load(&clock_ns), took;

	memset(&gather, 0, sizeof(gather));
	gather.nr_ranges = ranges;
	for (uint64_t n = 0; n < ranges; n++)
		gather.ranges[n] = (struct iog_range){ IOVA + n * 8192, IOVA + n * 8192 + 4095 };
	assert_int_equal(iog_sim_flush(&gather, kit->domain), 0);
	took = atomic_load(&clock_ns) - before;
	assert_in_range(took, at_least, at_least + slack);
}

static void costs(void **state)
{
	static const struct iog_sim_config config = { .flags = IOG_SIM_NO_ORACLE, .wait_ns = 5000, .range_ns = 700, .domain_ns = 20000 };
	struct kit kit;

	(void)state;
	clocked(&kit, &config);
	flush_takes(&kit, 0, 5000, 100);
	flush_takes(&kit, 1, 5700, 100);
	flush_takes(&kit, 10, 5000 + 7000, 300);
	assert_int_equal(iog_sim_inval_domain(kit.domain), 0);
	flush_takes(&kit, 0, 24900, 200);
	assert_int_equal(kit_stats(&kit).wait_commands, 4);
	/* The library sees them. */
	assert_int_equal(iog_sim_unit(kit.sim)->wait_ns, 5000);
	assert_int_equal(iog_sim_unit(kit.sim)->range_ns, 700);
	assert_int_equal(iog_sim_unit(kit.sim)->domain_ns, 20000);
	kit_destroy(&kit);
}

/* Hardware works while commands are being queued: time that has passed is not paid again. */
static void hardware_runs_on(void **state)
{
	static const struct iog_sim_config config = { .flags = IOG_SIM_NO_ORACLE, .wait_ns = 1000, .range_ns = 50000 };
	struct kit kit;

	(void)state;
	clocked(&kit, &config);
	assert_int_equal(iog_sim_inval_range(kit.domain, IOVA, IOVA + 4095, true), 0);
	atomic_fetch_add(&clock_ns, 60000);
	flush_takes(&kit, 0, 1000, 100);
	kit_destroy(&kit);
}

static void full_ring(void **state)
{
	static const struct iog_sim_config config = { .flags = IOG_SIM_NO_ORACLE, .range_ns = 1000, .queue_entries = 2 };
	struct kit kit;

	(void)state;
	clocked(&kit, &config);
	flush_takes(&kit, 16, 16000, 1000);
	assert_int_equal(kit_stats(&kit).wait_commands, 1);
	kit_destroy(&kit);
}

static uint64_t jittered(uint64_t seed)
{
	const struct iog_sim_config config = { .flags = IOG_SIM_NO_ORACLE, .wait_ns = 1000, .wait_jitter_ns = 9000, .seed = seed };
	uint64_t before = atomic_load(&clock_ns), least = UINT64_MAX, most = 0, took;
	struct kit kit;

	clocked(&kit, &config);
	for (uint32_t n = 0; n < 100; n++) {
		uint64_t began = atomic_load(&clock_ns);

		assert_int_equal(iog_sim_inval_wait(kit.sim), 0);
		took = atomic_load(&clock_ns) - began;
		assert_in_range(took, 1000, 10100);
		least = took < least ? took : least;
		most = took > most ? took : most;
	}
	assert_true(least < 2500 && most > 8500);
	kit_destroy(&kit);
	return atomic_load(&clock_ns) - before;
}

static void jitter(void **state)
{
	(void)state;
	assert_true(jittered(1) == jittered(1));
	assert_true(jittered(1) != jittered(2));
}

/* ---- sharing ---- */

#define SHARERS 4

static struct kit *shared_kit;
static atomic_int looked, finished, errors;
static _Thread_local bool has_looked;

/* Stands still. Who looks at it is in the queue. */
static uint64_t held_now(void *ctx)
{
	(void)ctx;
	if (!has_looked)
		atomic_fetch_add(&looked, 1);
	has_looked = true;
	return atomic_load(&clock_ns);
}

static void *sharer(void *arg)
{
	(void)arg;
	has_looked = false;
	if (iog_sim_inval_wait(shared_kit->sim))
		atomic_fetch_add(&errors, 1);
	atomic_fetch_add(&finished, 1);
	return NULL;
}

/* The first takes a wait; all who come while it runs take one together, or with OWN_WAITS one each. */
static struct iog_sim_stats share(uint32_t flags)
{
	const struct iog_sim_config config = { .flags = IOG_SIM_NO_ORACLE | flags, .wait_ns = 1000 };
	pthread_t threads[SHARERS];
	struct iog_sim_stats stats;
	struct kit kit;

	atomic_store(&looked, 0);
	atomic_store(&finished, 0);
	shared_kit = &kit;
	kit_now_ns = held_now;
	kit_create(&kit, &kit_vtdss_48, &config);
	kit_now_ns = NULL;
	for (int n = 0; n < SHARERS; n++) {
		assert_int_equal(pthread_create(&threads[n], NULL, sharer, NULL), 0);
		while (atomic_load(&looked) <= n)
			sched_yield();
	}
	while (atomic_load(&finished) < SHARERS) {
		atomic_fetch_add(&clock_ns, 2000);
		sched_yield();
	}
	for (uint32_t n = 0; n < SHARERS; n++)
		assert_int_equal(pthread_join(threads[n], NULL), 0);
	assert_int_equal(atomic_load(&errors), 0);
	stats = kit_stats(&kit);
	assert_int_equal(stats.wait_commands + stats.shared_waits, SHARERS);
	kit_destroy(&kit);
	return stats;
}

static void sharers(void **state)
{
	(void)state;
	assert_int_equal(share(0).wait_commands, 2);
	assert_int_equal(share(IOG_SIM_OWN_WAITS).wait_commands, SHARERS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(costs), cmocka_unit_test(hardware_runs_on), cmocka_unit_test(full_ring),
		cmocka_unit_test(jitter), cmocka_unit_test(sharers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

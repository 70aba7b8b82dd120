/* SPDX-License-Identifier: MIT */
/*
 * Lanes for threads: one each, never the same for two at once, and back when the thread ends.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <iogate/error.h>
#include <iogate/host/lanes.h>

#include "seed.h"

#define LANES 5
#define THREADS 12

struct owners {
	struct iog_lanes *lanes;
	_Atomic uint32_t inside[4096]; /* threads that believe a lane to be theirs */
	_Atomic uint32_t leaves;
	_Atomic uint32_t refused;
	_Atomic uint32_t wrong;
	uint64_t rounds;
};

static void own(struct owners *owners, iog_lane_t lane)
{
	if (lane >= LANES || atomic_fetch_add(&owners->inside[lane], 1))
		atomic_fetch_add(&owners->wrong, 1);
}

/* The lane is still this thread's: it has entered it as its own, and nobody else may until this returns. */
static void leave(iog_lane_t lane, void *ctx)
{
	struct owners *owners = ctx;
	iog_lane_t same = UINT32_MAX;

	if (iog_lanes_get(owners->lanes, &same) || same != lane)
		atomic_fetch_add(&owners->wrong, 1);
	sched_yield();
	if (atomic_fetch_sub(&owners->inside[lane], 1) != 1)
		atomic_fetch_add(&owners->wrong, 1);
	atomic_fetch_add(&owners->leaves, 1);
}

static void *one_turn(void *arg)
{
	struct owners *owners = arg;
	iog_lane_t lane, again;

	if (iog_lanes_get(owners->lanes, &lane)) {
		atomic_fetch_add(&owners->refused, 1);
		return NULL;
	}
	own(owners, lane);
	for (int n = 0; n < 10; n++) {
		sched_yield();
		if (iog_lanes_get(owners->lanes, &again) || again != lane)
			atomic_fetch_add(&owners->wrong, 1);
	}
	return NULL;
}

/* More threads than lanes come and go, some of them by iog_lanes_put() and back. */
static void *many_turns(void *arg)
{
	struct owners *owners = arg;
	iog_lane_t lane;

	for (uint64_t n = 0; n < owners->rounds; n++) {
		if (iog_lanes_get(owners->lanes, &lane)) {
			atomic_fetch_add(&owners->refused, 1);
			sched_yield();
			continue;
		}
		own(owners, lane);
		sched_yield();
		if (n + 1 < owners->rounds)
			iog_lanes_put(owners->lanes);
	}
	return NULL;
}

static void malformed(void **state)
{
	struct iog_lanes *lanes;

	(void)state;
	assert_int_equal(iog_lanes_create(0, NULL, NULL, &lanes), -IOG_EINVAL);
	assert_int_equal(iog_lanes_create(4097, NULL, NULL, &lanes), -IOG_EINVAL);
	assert_int_equal(iog_lanes_create(1, NULL, NULL, NULL), -IOG_EINVAL);
	assert_int_equal(iog_lanes_create(4096, NULL, NULL, &lanes), 0);
	iog_lanes_put(lanes);
	iog_lanes_destroy(lanes);
	iog_lanes_destroy(NULL);
}

/* Two sets do not know of each other; the last lane goes with its set. */
static void alone(void **state)
{
	struct owners owners = { .rounds = 0 };
	struct iog_lanes *other;
	iog_lane_t lane, second;

	(void)state;
	assert_int_equal(iog_lanes_create(LANES, leave, &owners, &owners.lanes), 0);
	assert_int_equal(iog_lanes_create(1, NULL, NULL, &other), 0);
	assert_int_equal(iog_lanes_get(owners.lanes, &lane), 0);
	assert_int_equal(lane, 0);
	own(&owners, lane);
	assert_int_equal(iog_lanes_get(other, &second), 0);
	assert_int_equal(second, 0);
	iog_lanes_put(owners.lanes);
	assert_int_equal(atomic_load(&owners.leaves), 1);
	iog_lanes_put(owners.lanes);
	assert_int_equal(atomic_load(&owners.leaves), 1);
	assert_int_equal(iog_lanes_get(owners.lanes, &lane), 0);
	own(&owners, lane);
	iog_lanes_destroy(owners.lanes);
	assert_int_equal(atomic_load(&owners.leaves), 2);
	assert_int_equal(atomic_load(&owners.wrong), 0);
	iog_lanes_destroy(other);
}

/* Every lane is taken: the next thread gets none, until one of the others ends. */
static pthread_barrier_t all_here, may_end;

static void *hold(void *arg)
{
	struct owners *owners = arg;
	iog_lane_t lane;

	if (iog_lanes_get(owners->lanes, &lane))
		atomic_fetch_add(&owners->wrong, 1);
	else
		own(owners, lane);
	pthread_barrier_wait(&all_here);
	pthread_barrier_wait(&may_end);
	return NULL;
}

static void exhausted(void **state)
{
	struct owners owners = { .rounds = 0 };
	pthread_t threads[LANES], late;
	iog_lane_t lane;

	(void)state;
	assert_int_equal(iog_lanes_create(LANES, leave, &owners, &owners.lanes), 0);
	pthread_barrier_init(&all_here, NULL, LANES + 1);
	pthread_barrier_init(&may_end, NULL, LANES + 1);
	for (uint32_t n = 0; n < LANES; n++)
		assert_int_equal(pthread_create(&threads[n], NULL, hold, &owners), 0);
	pthread_barrier_wait(&all_here);
	assert_int_equal(pthread_create(&late, NULL, one_turn, &owners), 0);
	assert_int_equal(pthread_join(late, NULL), 0);
	assert_int_equal(atomic_load(&owners.refused), 1);
	assert_int_equal(iog_lanes_get(owners.lanes, &lane), -IOG_EAGAIN);
	assert_int_equal(atomic_load(&owners.leaves), 0);
	pthread_barrier_wait(&may_end);
	for (uint32_t n = 0; n < LANES; n++)
		assert_int_equal(pthread_join(threads[n], NULL), 0);
	/* Thread ends have given all of them back, and said so. */
	assert_int_equal(atomic_load(&owners.leaves), LANES);
	for (uint32_t n = 0; n < 3 * LANES; n++) {
		assert_int_equal(pthread_create(&late, NULL, one_turn, &owners), 0);
		assert_int_equal(pthread_join(late, NULL), 0);
	}
	assert_int_equal(atomic_load(&owners.refused), 1);
	assert_int_equal(atomic_load(&owners.leaves), 4 * LANES);
	assert_int_equal(atomic_load(&owners.wrong), 0);
	pthread_barrier_destroy(&all_here);
	pthread_barrier_destroy(&may_end);
	iog_lanes_destroy(owners.lanes);
}

static void hammer(void **state)
{
	struct owners owners = { .rounds = kit_scaled(300) + 1 };
	pthread_t threads[THREADS];

	(void)state;
	assert_int_equal(iog_lanes_create(LANES, leave, &owners, &owners.lanes), 0);
	for (uint32_t n = 0; n < THREADS; n++)
		assert_int_equal(pthread_create(&threads[n], NULL, many_turns, &owners), 0);
	for (uint32_t n = 0; n < THREADS; n++)
		assert_int_equal(pthread_join(threads[n], NULL), 0);
	assert_int_equal(atomic_load(&owners.wrong), 0);
	assert_int_equal(atomic_load(&owners.leaves) + atomic_load(&owners.refused), THREADS * owners.rounds);
	for (uint32_t n = 0; n < LANES; n++)
		assert_int_equal(atomic_load(&owners.inside[n]), 0);
	iog_lanes_destroy(owners.lanes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed),
		cmocka_unit_test(alone),
		cmocka_unit_test(exhausted),
		cmocka_unit_test(hammer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Gates: the lane and who closes its gate are never in at once. By steps, in one thread, and with threads that change plain variables inside, which a race detector sees.
 *
 * tests/mutants/windows builds this file with the barrier, and with the look at @closed, left out of the header: it has to fail then.
 */
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/gate.h"
#include "seed.h"

#define ROUNDS 2000000
#define LANES 2
#define CLOSERS 2

static void lanes_barrier(void *ctx)
{
	(void)ctx;
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0))
		abort();
}

/* ---- step by step: what happens while somebody waits is done by relax() ---- */

struct steps {
	struct gates gates;
	struct iog_platform platform;
	struct gate gate;
	int waited;
	int barriers;
	int interrupts_off;
	int off_while_waiting;
};

static void open_it(void *ctx)
{
	struct steps *steps = ctx;

	/* The lane that waits is out. */
	assert_int_equal(steps->gate.inside, 0);
	steps->off_while_waiting |= steps->interrupts_off;
	if (++steps->waited == 3)
		gate_open(&steps->gate);
}

static void leave_it(void *ctx)
{
	struct steps *steps = ctx;

	assert_int_equal(steps->gate.closed, 1);
	steps->off_while_waiting |= steps->interrupts_off;
	if (++steps->waited == 3)
		gate_exit_plain(&steps->gate);
}

static void free_lock(void *ctx)
{
	struct steps *steps = ctx;

	if (++steps->waited == 3)
		spin_unlock(&steps->gates.lock, &(struct iog_platform){ 0 }, 0);
}

/* Sees what a lane would see from here on. */
static void barrier_is_late_enough(void *ctx)
{
	struct steps *steps = ctx;

	assert_int_equal(steps->gate.closed, 1);
	steps->barriers++;
}

static uintptr_t irq_save(void *ctx)
{
	struct steps *steps = ctx;

	return (uintptr_t)steps->interrupts_off++;
}

static void irq_restore(void *ctx, uintptr_t flags)
{
	struct steps *steps = ctx;

	assert_int_equal(flags, --steps->interrupts_off);
}

static void steps_init(struct steps *steps, bool barrier, bool interrupts)
{
	*steps = (struct steps){ .platform = { .ctx = steps } };
	if (barrier)
		steps->platform.lanes_barrier = barrier_is_late_enough;
	if (interrupts) {
		steps->platform.irq_save = irq_save;
		steps->platform.irq_restore = irq_restore;
	}
	gates_init(&steps->gates, &steps->platform);
	assert_int_equal(steps->gates.plain, barrier && !interrupts);
}

/* As one who closes a single gate. */
static void gate_close(struct gates *gates, struct gate *gate)
{
	gate_shut(gate);
	gates_settle(gates);
	gate_wait(gates, gate);
}

static void a_lane_waits(void **state)
{
	(void)state;
	for (int host = 0; host < 4; host++) {
		struct steps steps;
		uintptr_t outer, flags;

		steps_init(&steps, host & 1, host & 2);
		outer = gates_lock(&steps.gates);
		assert_int_equal(steps.interrupts_off, host & 2 ? 1 : 0);
		gate_close(&steps.gates, &steps.gate);
		assert_true(gate_is_shut(&steps.gate));
		assert_int_equal(steps.barriers, host == 1);
		/* The lane is another CPU's. */
		steps.interrupts_off = 0;
		assert_false(gate_try_plain(&steps.gate));
		assert_int_equal(steps.gate.inside, 0);

		steps.platform.relax = open_it;
		flags = gate_enter(&steps.gates, &steps.gate);
		assert_int_equal(steps.waited, 3);
		assert_int_equal(steps.gate.inside, 1);
		assert_int_equal(steps.interrupts_off, host & 2 ? 1 : 0);
		assert_int_equal(steps.off_while_waiting, 0);
		gate_exit(&steps.gates, &steps.gate, flags);
		assert_int_equal(steps.gate.inside, 0);
		assert_int_equal(steps.interrupts_off, 0);
		steps.interrupts_off = host & 2 ? 1 : 0;
		gates_unlock(&steps.gates, outer);
		assert_int_equal(steps.interrupts_off, 0);
	}
}

static void a_closer_waits(void **state)
{
	(void)state;
	for (int host = 0; host < 2; host++) {
		struct steps steps;
		uintptr_t outer;

		steps_init(&steps, host & 1, false);
		steps.platform.relax = leave_it;
		assert_true(gate_try_plain(&steps.gate));
		outer = gates_lock(&steps.gates);
		gate_close(&steps.gates, &steps.gate);
		assert_int_equal(steps.waited, 3);
		assert_int_equal(steps.gate.inside, 0);
		gate_open(&steps.gate);
		gates_unlock(&steps.gates, outer);
		assert_true(gate_try_plain(&steps.gate));
	}
}

static void closers_exclude_each_other(void **state)
{
	struct steps steps;

	(void)state;
	steps_init(&steps, true, false);
	(void)gates_lock(&steps.gates);
	steps.platform.relax = free_lock;
	(void)gates_lock(&steps.gates);
	assert_int_equal(steps.waited, 3);
}

/* ---- threads ---- */

struct room {
	_Alignas(64) struct gate gate;
	/* Plain: whoever is in has them to himself. */
	uint64_t entries;
	int who;
	uint64_t met;
	uint64_t lane_entries;
	uint64_t closer_entries;
};

struct house {
	struct gates gates;
	struct iog_platform platform;
	bool plain;
	pthread_barrier_t begin;
	_Atomic int lanes_left;
	struct room rooms[LANES];
};

struct thread {
	struct house *house;
	int number;
	pthread_t id;
};

static void relax(void *ctx)
{
	(void)ctx;
	sched_yield();
}

/* Inside. Volatile: each access is made, and no other. */
static void live_in(struct room *room, int who)
{
	volatile int *there = &room->who;
	volatile uint64_t *entries = &room->entries;
	uint64_t before = *entries;

	room->met += *there != 0;
	*there = who;
	room->met += *there != who;
	*entries = before + 1;
	*there = 0;
}

static void *be_lane(void *ctx)
{
	struct thread *thread = ctx;
	struct house *house = thread->house;
	struct room *room = &house->rooms[thread->number];

	pthread_barrier_wait(&house->begin);
	for (uint64_t i = 0; i < kit_scaled(ROUNDS); i++) {
		uintptr_t flags = 0;
		bool straight = house->plain && i & 7 && gate_try_plain(&room->gate);

		if (!straight)
			flags = gate_enter(&house->gates, &room->gate);
		live_in(room, thread->number + 1);
		room->lane_entries++;
		if (straight)
			gate_exit_plain(&room->gate);
		else
			gate_exit(&house->gates, &room->gate, flags);
	}
	atomic_fetch_sub(&house->lanes_left, 1);
	return NULL;
}

static void *be_closer(void *ctx)
{
	struct thread *thread = ctx;
	struct house *house = thread->house;

	pthread_barrier_wait(&house->begin);
	while (atomic_load(&house->lanes_left)) {
		uintptr_t outer = gates_lock(&house->gates);

		/* Alone or both at once. */
		for (int i = 0; i < LANES; i++)
			gate_shut(&house->rooms[i].gate);
		gates_settle(&house->gates);
		for (int i = 0; i < LANES; i++)
			gate_wait(&house->gates, &house->rooms[i].gate);
		for (int i = 0; i < LANES; i++) {
			live_in(&house->rooms[i], 100 + thread->number);
			house->rooms[i].closer_entries++;
		}
		for (int i = 0; i < LANES; i++)
			gate_open(&house->rooms[i].gate);
		for (int i = 0; i < LANES; i++) {
			gate_close(&house->gates, &house->rooms[i].gate);
			live_in(&house->rooms[i], 100 + thread->number);
			house->rooms[i].closer_entries++;
			gate_open(&house->rooms[i].gate);
		}
		gates_unlock(&house->gates, outer);
	}
	return NULL;
}

static void threads_exclude(bool barrier)
{
	struct thread lanes[LANES], closers[CLOSERS];
	struct house house = { .platform = { .relax = relax } };

	if (barrier) {
		if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0)) {
			puts("skipped: no membarrier");
			return;
		}
		house.platform.lanes_barrier = lanes_barrier;
	}
	house.lanes_left = LANES;
	gates_init(&house.gates, &house.platform);
	house.plain = house.gates.plain;
	assert_int_equal(house.plain, barrier);
	pthread_barrier_init(&house.begin, NULL, LANES + CLOSERS);
	for (int i = 0; i < CLOSERS; i++) {
		closers[i] = (struct thread){ .house = &house, .number = i };
		assert_int_equal(pthread_create(&closers[i].id, NULL, be_closer, &closers[i]), 0);
	}
	for (int i = 0; i < LANES; i++) {
		lanes[i] = (struct thread){ .house = &house, .number = i };
		assert_int_equal(pthread_create(&lanes[i].id, NULL, be_lane, &lanes[i]), 0);
	}
	for (int i = 0; i < LANES; i++)
		pthread_join(lanes[i].id, NULL);
	for (int i = 0; i < CLOSERS; i++)
		pthread_join(closers[i].id, NULL);
	pthread_barrier_destroy(&house.begin);
	for (int i = 0; i < LANES; i++) {
		const struct room *room = &house.rooms[i];

		printf("    room %d: %llu entries by its lane, %llu by closers\n", i, (unsigned long long)room->lane_entries,
		       (unsigned long long)room->closer_entries);
		assert_int_equal(room->met, 0);
		assert_int_equal(room->lane_entries, kit_scaled(ROUNDS));
		assert_int_equal(room->entries, room->lane_entries + room->closer_entries);
		assert_int_equal(room->gate.inside | room->gate.closed, 0);
	}
}

static void threads_with_barrier(void **state)
{
	(void)state;
	threads_exclude(true);
}

static void threads_without_barrier(void **state)
{
	(void)state;
	threads_exclude(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lane_waits),
		cmocka_unit_test(a_closer_waits),
		cmocka_unit_test(closers_exclude_each_other),
		cmocka_unit_test(threads_with_barrier),
		cmocka_unit_test(threads_without_barrier),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Lanes at once: allocated by one and freed by another, drained at any time, limits now and then. A word per granule says who has it, so that a second owner shows; what is freed
 * lazily belongs to nobody until a flush that began later has ended.
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kit.h"

#define PAGE UINT64_C(4096)
#define GRANULES 8192
#define SLOTS 64
#define HELD 24

static uint64_t seed;

/* Of a granule: nobody's, somebody's, or stale since the flushes numbered OWNER_STALE + n had begun. */
enum owner {
	OWNER_NONE,
	OWNER_SOME,
	OWNER_STALE,
};

struct crowd {
	struct kit kit;
	const struct scheme *scheme;
	struct iog_iova *iova;
	uint32_t lanes;
	uint64_t rounds;
	pthread_barrier_t start;
	_Atomic uint32_t owners[GRANULES];
	_Atomic uint32_t flushes; /* begun */
	_Atomic uint64_t refused; /* -IOG_ENOSPC */
	/* Runs on their way to another lane: address + granules - 1, or 0. */
	_Atomic uint64_t slots[SLOTS];
};

struct member {
	struct crowd *crowd;
	pthread_t thread;
	iog_lane_t lane;
	uint64_t random;
	uint64_t held[HELD]; /* as in slots */
};

static _Noreturn void wrong(const char *what, uint64_t granule)
{
	fprintf(stderr, "granule %" PRIu64 ": %s\n", granule, what);
	abort();
}

static int flush(void *ctx)
{
	struct crowd *crowd = ctx;
	uint32_t number = atomic_fetch_add(&crowd->flushes, 1);

	for (uint32_t i = 0; i < GRANULES; i++) {
		uint32_t owner = atomic_load(&crowd->owners[i]);

		if (owner >= OWNER_STALE && owner - OWNER_STALE <= number)
			atomic_compare_exchange_strong(&crowd->owners[i], &owner, OWNER_NONE);
	}
	return 0;
}

static void own(struct crowd *crowd, uint64_t at, uint64_t n)
{
	for (uint64_t i = at; i < at + n; i++) {
		uint32_t before = atomic_exchange(&crowd->owners[i], OWNER_SOME);

		if (before != OWNER_NONE)
			wrong(before == OWNER_SOME ? "has two owners" : "handed out before it was flushed", i);
	}
}

static void disown(struct crowd *crowd, uint64_t at, uint64_t n)
{
	bool lazy = crowd->scheme->flags & IOG_IOVA_LAZY;

	for (uint64_t i = at; i < at + n; i++) {
		uint32_t number = atomic_load(&crowd->flushes);

		if (atomic_exchange(&crowd->owners[i], lazy ? OWNER_STALE + number : OWNER_NONE) != OWNER_SOME)
			wrong("freed, and nobody had it", i);
		/* A flush that has begun meanwhile need not cover it. */
		while (lazy && number != atomic_load(&crowd->flushes)) {
			uint32_t owner = OWNER_STALE + number;

			number = atomic_load(&crowd->flushes);
			if (!atomic_compare_exchange_strong(&crowd->owners[i], &owner, OWNER_STALE + number))
				break;
		}
	}
}

static void give(struct member *member, uint64_t run)
{
	uint64_t at = run / PAGE, n = run % PAGE + 1;

	disown(member->crowd, at, n);
	if (iog_iova_free(member->crowd->iova, member->lane, at * PAGE, n * PAGE))
		wrong("a free was refused", at);
}

static uint64_t random_size(struct member *member)
{
	switch (kit_random(&member->random) % 16) {
	case 0:
		return kit_random(&member->random) % 40 + 1;
	case 1:
		return 64;
	case 2:
		return kit_random(&member->random) % 4 ? 16 : 600;
	case 3:
	case 4:
		return 3;
	default:
		return 1;
	}
}

/* A run, or 0: granule 0 is outside of the aperture. */
static uint64_t take(struct member *member)
{
	struct crowd *crowd = member->crowd;
	struct iog_iova_flush lazy = { flush, crowd };
	uint64_t n = random_size(member), address = 0, limit = kit_random(&member->random) % 8 ? UINT64_MAX : GRANULES / 2 * PAGE - 1;
	int error = iog_iova_alloc(crowd->iova, member->lane, n * PAGE, limit, &lazy, &address);

	if (error == -IOG_ENOSPC) {
		atomic_fetch_add(&crowd->refused, 1);
		return 0;
	}
	if (error || address < PAGE || address >= GRANULES * PAGE || address + n * PAGE - 1 > limit)
		wrong("not what was asked for", address / PAGE);
	own(crowd, address / PAGE, n);
	return address + n - 1;
}

static void *run(void *arg)
{
	struct member *member = arg;
	struct crowd *crowd = member->crowd;

	pthread_barrier_wait(&crowd->start);
	for (uint64_t i = 0; i < crowd->rounds; i++) {
		uint64_t *held = &member->held[kit_random(&member->random) % HELD], what = kit_random(&member->random) % 256;

		if (!*held) {
			*held = take(member);
		} else if (what < 128) {
			give(member, *held);
			*held = 0;
		} else {
			/* Pass it on, and go on with what somebody else has passed on. */
			*held = atomic_exchange(&crowd->slots[what % SLOTS], *held);
		}
		if (what == 255 && !(kit_random(&member->random) % 4)) {
			iog_lane_t other = (iog_lane_t)(kit_random(&member->random) % crowd->lanes);

			if (iog_iova_drain(crowd->iova, kit_random(&member->random) % 4 ? other : IOG_LANE_ALL, member->lane))
				wrong("a drain failed", 0);
		}
		if (what == 254) {
			struct iog_iova_stats stats;

			iog_iova_stats(crowd->iova, &stats);
		}
	}
	for (uint32_t i = 0; i < HELD; i++)
		if (member->held[i])
			give(member, member->held[i]);
	return NULL;
}

static void crowd_run(const struct scheme *scheme, uint32_t lanes, uint64_t rounds, uint32_t flags)
{
	struct crowd *crowd = calloc(1, sizeof(*crowd));
	struct member *members = calloc(lanes, sizeof(*members));
	struct iog_iova_stats stats;

	assert_non_null(crowd);
	assert_non_null(members);
	kit_create(&crowd->kit, flags);
	crowd->scheme = scheme;
	crowd->lanes = lanes;
	crowd->rounds = rounds;
	crowd->iova = kit_iova(&crowd->kit, scheme, (struct iog_iova_config){ .lanes = lanes, .first = PAGE, .last = GRANULES * PAGE - 1 });
	assert_int_equal(pthread_barrier_init(&crowd->start, NULL, lanes), 0);
	for (uint32_t i = 0; i < lanes; i++) {
		members[i].crowd = crowd;
		members[i].lane = i;
		members[i].random = seed + i * UINT64_C(0x9e3779b97f4a7c15);
		assert_int_equal(pthread_create(&members[i].thread, NULL, run, &members[i]), 0);
	}
	for (uint32_t i = 0; i < lanes; i++)
		assert_int_equal(pthread_join(members[i].thread, NULL), 0);
	for (uint32_t i = 0; i < SLOTS; i++)
		if (crowd->slots[i])
			give(&members[0], crowd->slots[i]);

	assert_true(iog_iova_is_valid(crowd->iova));
	assert_int_equal(iog_iova_drain(crowd->iova, IOG_LANE_ALL, 0), 0);
	iog_iova_stats(crowd->iova, &stats);
	assert_int_equal(stats.live_bytes, 0);
	if (!(scheme->flags & IOG_IOVA_LAZY))
		assert_int_equal(stats.cached_bytes, 0);
	assert_int_equal(stats.object_bytes, crowd->kit.bytes);
	assert_int_equal(stats.flushes, crowd->flushes);
	assert_true(iog_iova_is_valid(crowd->iova));
	/* All of it is there: what is not large may be had granule by granule. */
	for (uint32_t i = 1; i < GRANULES; i++) {
		struct iog_iova_flush lazy = { flush, crowd };
		uint64_t address = 0;

		assert_int_equal(iog_iova_alloc(crowd->iova, i % lanes, PAGE, UINT64_MAX, &lazy, &address), 0);
		own(crowd, address / PAGE, 1);
	}
	pthread_barrier_destroy(&crowd->start);
	iog_iova_destroy(crowd->iova);
	kit_destroy(&crowd->kit);
	free(members);
	free(crowd);
}

static void few(void **state)
{
	crowd_run(*state, 4, kit_scaled(20000), 0);
	crowd_run(*state, 8, kit_scaled(8000), 0);
	crowd_run(*state, 3, kit_scaled(8000), KIT_NO_BARRIER);
}

static void many(void **state)
{
	crowd_run(*state, 200, kit_scaled(300), 0);
}

int main(void)
{
	struct CMUnitTest *tests = calloc(nr_schemes, 2 * sizeof(*tests));
	char (*names)[64] = calloc(2 * nr_schemes, sizeof(*names));
	size_t nr = 0;
	int failed;

	if (!tests || !names)
		return 1;
	seed = kit_seed("threads");
	for (uint32_t i = 0; i < nr_schemes; i++)
		for (uint32_t j = 0; j < 2 && scheme_is_wanted(&schemes[i]); j++, nr++) {
			snprintf(names[nr], sizeof(names[nr]), "%s: %s", schemes[i].name, j ? "many" : "few");
			tests[nr] = (struct CMUnitTest){ .name = names[nr], .test_func = j ? many : few, .initial_state = (void *)(uintptr_t)&schemes[i] };
		}
	failed = _cmocka_run_group_tests("threads", tests, nr, NULL, NULL);
	free(tests);
	free(names);
	return failed;
}

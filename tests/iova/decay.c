/* SPDX-License-Identifier: MIT */
/*
 * Time must not make it worse: over a long mixed history, what an allocation costs in visits to the shared parts, in flushes and in memory is the same in the last tenth as
 * in the first after all caches have filled. Nothing is timed.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <iova/magazine.h>

#include "kit.h"

#define PAGE UINT64_C(4096)
#define OPERATIONS 1500000
#define LANES 4
#define LIVE 3000
/* Steps in which what is live grows, or shrinks. */
#define SWING 20000

static uint64_t seed;

/* Of one tenth. */
struct tenth {
	uint64_t allocs;
	uint64_t slow_allocs;
	uint64_t flushes;
	uint64_t visits; /* to the tree under magazines */
	uint64_t live_bytes;
	uint64_t cached_bytes;
	uint64_t object_bytes;
};

struct history {
	struct kit kit;
	const struct scheme *scheme;
	struct iog_iova *iova;
	uint64_t random;
	uint64_t flushes;
	uint64_t nr;
	struct {
		uint64_t address;
		uint64_t size;
	} live[LIVE];
};

static int flush(void *ctx)
{
	((struct history *)ctx)->flushes++;
	return 0;
}

static uint64_t random_size(struct history *history)
{
	uint64_t random = kit_random(&history->random) % 64;

	if (random < 40)
		return 1;
	if (random < 50)
		return random % 2 ? 16 : 2;
	if (random < 60)
		return kit_random(&history->random) % 64 + 1;
	if (random < 62)
		return 256;
	return random == 62 ? kit_random(&history->random) % 512 + 1 : 700;
}

/* Lanes 0 and 1 do as much of either, 2 allocates more, 3 frees more. The number that is live goes up and down. */
static void step(struct history *history, uint64_t i)
{
	struct iog_iova_flush lazy = { flush, history };
	uint64_t aim = i / SWING % 2 ? LIVE / 10 : LIVE - 100, what = kit_random(&history->random) % 16;
	bool takes = history->nr < LIVE && what < (history->nr < aim ? 10 : 6);

	if (takes || !history->nr) {
		iog_lane_t lane = (iog_lane_t)(kit_random(&history->random) % 3);
		uint64_t at = history->nr++;

		history->live[at].size = random_size(history) * PAGE;
		assert_int_equal(iog_iova_alloc(history->iova, lane, history->live[at].size, kit_random(&history->random) % 16 ? UINT64_MAX : UINT32_MAX, &lazy,
						&history->live[at].address), 0);
	} else {
		iog_lane_t lane = (iog_lane_t)(kit_random(&history->random) % 4);
		uint64_t at = kit_random(&history->random) % history->nr;

		assert_int_equal(iog_iova_free(history->iova, lane == 2 ? 3 : lane, history->live[at].address, history->live[at].size), 0);
		history->live[at] = history->live[--history->nr];
	}
}

static struct tenth look(struct history *history)
{
	struct iog_iova_stats stats;
	struct tenth tenth = { 0 };

	iog_iova_stats(history->iova, &stats);
	tenth.allocs = stats.allocs;
	tenth.slow_allocs = stats.slow_allocs;
	tenth.flushes = stats.flushes;
	if (history->scheme->ops == &iog_iova_magazine)
		tenth.visits = ((struct iova_magazine *)history->iova)->tree.visits;
	tenth.live_bytes = stats.live_bytes;
	tenth.cached_bytes = stats.cached_bytes;
	tenth.object_bytes = stats.object_bytes;
	return tenth;
}

/* Per 1000 allocations. */
static void no_more(const char *what, double slack, uint64_t first, uint64_t first_allocs, uint64_t last, uint64_t last_allocs)
{
	double before = 1000.0 * (double)first / (double)first_allocs, after = 1000.0 * (double)last / (double)last_allocs;

	printf("  %s per 1000 allocations: %.2f, then %.2f\n", what, before, after);
	if (after > before * 1.1 + slack)
		fail_msg("%s per 1000 allocations: %.2f, then %.2f", what, before, after);
}

static void decay(void **state)
{
	struct history *history = calloc(1, sizeof(*history));
	uint64_t part_size = kit_scaled(OPERATIONS) / 11;
	uint64_t cached[11] = { 0 }, bookkeeping[11] = { 0 }, live = 0;
	struct tenth at[12];

	assert_non_null(history);
	history->scheme = *state;
	history->random = seed;
	kit_create(&history->kit, 0);
	history->iova = kit_iova(&history->kit, history->scheme, (struct iog_iova_config){ .lanes = LANES, .first = PAGE, .last = UINT64_C(0x3ffffffff) });
	/* Eleven parts: in the first, caches fill. Whole waves, or parts would differ by what is live in them. */
	if (part_size > 2 * SWING)
		part_size -= part_size % (2 * SWING);
	for (uint32_t part = 0; part < 12; part++) {
		at[part] = look(history);
		/* What is held goes up and down with what is live: its peak counts. */
		for (uint64_t i = 0; i < part_size && part < 11; i++) {
			step(history, part * part_size + i);
			if (!(i % 1024)) {
				struct tenth now = look(history);

				cached[part] = now.cached_bytes > cached[part] ? now.cached_bytes : cached[part];
				live = now.live_bytes > live ? now.live_bytes : live;
				bookkeeping[part] = now.object_bytes > bookkeeping[part] ? now.object_bytes : bookkeeping[part];
			}
		}
	}
	if (part_size >= 2 * SWING) {
		uint64_t first = at[2].allocs - at[1].allocs, last = at[11].allocs - at[10].allocs;

		no_more("slow allocations", 2, at[2].slow_allocs - at[1].slow_allocs, first, at[11].slow_allocs - at[10].slow_allocs, last);
		no_more("flushes", 0.1, at[2].flushes - at[1].flushes, first, at[11].flushes - at[10].flushes, last);
		no_more("visits to the tree", 2, at[2].visits - at[1].visits, first, at[11].visits - at[10].visits, last);
		printf("  live %" PRIu64 " KiB at most, cached %" PRIu64 ", then %" PRIu64 "; bookkeeping %" PRIu64 " KiB, then %" PRIu64 "\n", live >> 10, cached[1] >> 10,
		       cached[10] >> 10, bookkeeping[1] >> 10, bookkeeping[10] >> 10);
		/* As runs come and go so does this; it must not grow with time, or far beyond what was ever live. What is stale grows until the next flush. */
		assert_true(history->scheme->flags & IOG_IOVA_LAZY || cached[10] <= 2 * cached[1] + (UINT64_C(64) << 20));
		assert_true(history->scheme->ops != &iog_iova_window || cached[10] <= 4 * live);
		assert_true(bookkeeping[10] <= 2 * bookkeeping[1] + 65536);
	}
	while (history->nr) {
		history->nr--;
		assert_int_equal(iog_iova_free(history->iova, 0, history->live[history->nr].address, history->live[history->nr].size), 0);
	}
	assert_int_equal(iog_iova_drain(history->iova, IOG_LANE_ALL, 0), 0);
	assert_true(iog_iova_is_valid(history->iova));
	iog_iova_destroy(history->iova);
	kit_destroy(&history->kit);
	free(history);
}

int main(void)
{
	struct CMUnitTest *tests = calloc(nr_schemes, sizeof(*tests));
	size_t nr = 0;
	int failed;

	if (!tests)
		return 1;
	seed = kit_seed("decay");
	for (uint32_t i = 0; i < nr_schemes; i++)
		if (scheme_is_wanted(&schemes[i]))
			tests[nr++] = (struct CMUnitTest){ .name = schemes[i].name, .test_func = decay, .initial_state = (void *)(uintptr_t)&schemes[i] };
	failed = _cmocka_run_group_tests("decay", tests, nr, NULL, NULL);
	free(tests);
	return failed;
}

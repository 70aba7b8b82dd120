/* SPDX-License-Identifier: MIT */
/*
 * What each scheme promises beyond the common: where the tree puts a run, what magazines keep and what they do not hand out, when pools flush and whom they raid.
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
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define NEVER UINT64_C(0xdeadbeefdeadbeef)

struct world {
	struct kit kit;
	struct iog_iova *iova;
	uint64_t flushes;
	int flush_error;
	/* Freed by the flush. */
	uint64_t held;
	uint64_t held_size;
	/* In the next flush. */
	void (*meanwhile)(struct world *world);
	int64_t taken_meanwhile;
};

static const struct scheme tree = { "tree", &iog_iova_tree, 0, 0, 0 };
static const struct scheme magazine = { "magazine", &iog_iova_magazine, 0, 0, 0 };

static void open_world(struct world *world, const struct scheme *scheme, struct iog_iova_config config)
{
	memset(world, 0, sizeof(*world));
	kit_create(&world->kit, KIT_INTERRUPTS);
	world->iova = kit_iova(&world->kit, scheme, config);
}

static void close_world(struct world *world)
{
	assert_true(iog_iova_is_valid(world->iova));
	iog_iova_destroy(world->iova);
	kit_destroy(&world->kit);
}

static int flush(void *ctx)
{
	struct world *world = ctx;

	void (*meanwhile)(struct world *world) = world->meanwhile;

	world->flushes++;
	world->meanwhile = NULL;
	if (meanwhile)
		meanwhile(world);
	if (world->held_size) {
		assert_int_equal(iog_iova_free(world->iova, 0, world->held, world->held_size), 0);
		world->held_size = 0;
	}
	return world->flush_error;
}

/* The address in pages, or an error. */
static int64_t take(struct world *world, iog_lane_t lane, uint64_t pages, uint64_t limit)
{
	struct iog_iova_flush lazy = { flush, world };
	uint64_t address = NEVER;
	int error = iog_iova_alloc(world->iova, lane, pages * PAGE, limit, &lazy, &address);

	return error ? error : (int64_t)(address / PAGE);
}

static int give(struct world *world, iog_lane_t lane, int64_t page, uint64_t pages)
{
	return iog_iova_free(world->iova, lane, (uint64_t)page * PAGE, pages * PAGE);
}

static struct iog_iova_stats stats(struct world *world)
{
	struct iog_iova_stats result;

	iog_iova_stats(world->iova, &result);
	return result;
}

/* ---- tree ---- */

/* The longest run that a gap takes is found in gaps of every shape: what can be placed by hand is placed. */
static void tree_gaps(void **state)
{
	const struct scheme bottom_up = { "tree bottom-up", &iog_iova_tree, IOG_IOVA_BOTTOM_UP, 0, 0 };

	(void)state;
	for (uint64_t from = 0; from < 40; from++)
		for (uint64_t to = from; to < 72; to++) {
			struct iog_range sides[] = { { 0, from * PAGE - 1 }, { (to + 1) * PAGE, 4096 * PAGE - 1 } };

			for (uint64_t n = 1; n <= 72; n++) {
				uint64_t align = n > 1 ? UINT64_C(1) << (64 - __builtin_clzll(n - 1)) : 1, low = (from + align - 1) / align * align;
				int64_t expected = low + n <= to + 1 ? (int64_t)low : -IOG_ENOSPC;
				struct world world;

				open_world(&world, n & 1 ? &bottom_up : &tree, (struct iog_iova_config){ .last = 4096 * PAGE - 1, .reserved = &sides[!from],
												      .nr_reserved = from ? 2 : 1 });
				if (expected >= 0 && !(n & 1))
					expected = (int64_t)((to + 1 - n) / align * align);
				assert_int_equal(take(&world, 0, n, UINT64_MAX), expected);
				close_world(&world);
				if (expected < 0)
					break;
			}
		}
}

/* Bookkeeping comes with the runs and goes with them, in whatever order. */
static void tree_gives_back(void **state)
{
	enum { RUNS = 20000 };
	int64_t *at = calloc(RUNS, sizeof(*at));
	uint64_t random = 1, before;
	struct world world;

	(void)state;
	assert_non_null(at);
	open_world(&world, &tree, (struct iog_iova_config){ .lanes = 1 });
	before = stats(&world).object_bytes;
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < RUNS; i++)
			at[i] = take(&world, 0, i % 5 + 1, UINT64_MAX);
		assert_true(stats(&world).object_bytes > before + RUNS * 24);
		/* Three times what full nodes would take. */
		assert_true(stats(&world).object_bytes < before + RUNS * 3 * 32);
		for (uint32_t i = RUNS; i > 0; i--) {
			uint32_t which = round ? (uint32_t)(kit_random(&random) % i) : i - 1;

			/* The last takes its place, so it must be of the same size. */
			if (which % 5 != (i - 1) % 5)
				which = i - 1;
			assert_int_equal(give(&world, 0, at[which], which % 5 + 1), 0);
			at[which] = at[i - 1];
		}
		assert_int_equal(stats(&world).live_bytes, 0);
		assert_true(stats(&world).object_bytes <= before + 4096);
	}
	free(at);
	close_world(&world);
}

/* ---- magazine ---- */

static void magazine_keeps(void **state)
{
	static const uint64_t pages[] = { 1, 2, 3, 5, 64, 100, 512 };
	struct world world;

	(void)state;
	open_world(&world, &magazine, (struct iog_iova_config){ .lanes = 2 });
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		uint64_t rounded = pages[i] > 1 ? UINT64_C(1) << (64 - __builtin_clzll(pages[i] - 1)) : 1, slow;
		int64_t at = take(&world, 0, pages[i], UINT64_MAX);

		assert_true(at >= 0);
		assert_int_equal(give(&world, 0, at, pages[i]), 0);
		assert_int_equal(stats(&world).cached_bytes, rounded * PAGE);
		slow = stats(&world).slow_allocs;
		/* The lane's own, as long as it lasts; the other lane has none. */
		for (int j = 0; j < 10; j++) {
			assert_int_equal(take(&world, 0, rounded, UINT64_MAX), at);
			assert_int_equal(stats(&world).cached_bytes, 0);
			assert_int_equal(give(&world, 0, at, rounded), 0);
		}
		assert_int_equal(stats(&world).slow_allocs, slow);
		assert_int_not_equal(take(&world, 1, pages[i], UINT64_MAX), at);
		assert_int_equal(stats(&world).slow_allocs, slow + 1);
		assert_int_equal(iog_iova_drain(world.iova, 1, 0), 0);
		assert_int_equal(stats(&world).cached_bytes, rounded * PAGE);
		assert_int_equal(iog_iova_drain(world.iova, 0, 1), 0);
		assert_int_equal(stats(&world).cached_bytes, 0);
	}
	/* Larger ones are not kept. */
	assert_int_equal(give(&world, 0, take(&world, 0, 513, UINT64_MAX), 513), 0);
	assert_int_equal(stats(&world).cached_bytes, 0);
	close_world(&world);
}

/* What lies above the limit stays in stock; what lies below it is found wherever it is in the magazine. */
static void magazine_limit(void **state)
{
	int64_t high[200], low;
	struct world world;

	(void)state;
	open_world(&world, &magazine, (struct iog_iova_config){ .lanes = 1 });
	low = take(&world, 0, 1, GIB - 1);
	for (int i = 0; i < 200; i++)
		high[i] = take(&world, 0, 1, UINT64_MAX);
	for (int i = 0; i < 200; i++) {
		if (i == 10)
			assert_int_equal(give(&world, 0, low, 1), 0);
		assert_int_equal(give(&world, 0, high[i], 1), 0);
	}
	assert_int_equal(stats(&world).cached_bytes, 201 * PAGE);
	assert_int_equal(take(&world, 0, 1, (uint64_t)low * PAGE + PAGE - 1), low);
	assert_int_equal(stats(&world).cached_bytes, 200 * PAGE);
	/* Not in stock: from the tree. The limit is inclusive, and of the whole run. */
	assert_int_equal(take(&world, 0, 1, (uint64_t)low * PAGE + PAGE - 2), low - 1);
	assert_int_equal(stats(&world).cached_bytes, 200 * PAGE);
	for (int i = 0; i < 200; i++)
		assert_true(take(&world, 0, 1, UINT64_MAX) > low);
	assert_int_equal(stats(&world).cached_bytes, 0);
	close_world(&world);
}

/* One lane allocates and another frees: runs come back through the depot. The tree is left alone, and the depot does not grow. */
static void magazine_depot(void **state)
{
	uint64_t slow = 0, cached = 0, nr = kit_scaled(200000);
	struct iova_magazine *all;
	uint64_t visits = 0;
	struct world world;
	int64_t at[64];

	(void)state;
	open_world(&world, &magazine, (struct iog_iova_config){ .lanes = 2 });
	all = (struct iova_magazine *)world.iova;
	for (uint64_t i = 0; i < nr; i++) {
		at[i % 64] = take(&world, 0, 1, UINT64_MAX);
		assert_true(at[i % 64] >= 0);
		for (uint64_t j = 0; i % 64 == 63 && j < 64; j++)
			assert_int_equal(give(&world, 1, at[j], 1), 0);
		if (i == nr / 2) {
			slow = stats(&world).slow_allocs;
			cached = stats(&world).cached_bytes;
			visits = all->tree.visits;
		}
	}
	if (nr >= 100000) {
		/* A slow one in a magazine's worth. */
		assert_true(stats(&world).slow_allocs - slow < nr / 2 / (ROUNDS_MAX / 2));
		assert_true(stats(&world).cached_bytes <= cached + 2 * ROUNDS_MAX * PAGE);
		assert_true(all->tree.visits - visits <= 4 * ROUNDS_MAX);
	}
	close_world(&world);
}

/* What the depot was filled with in a hurry goes back in time. */
static void magazine_idles(void **state)
{
	struct iova_magazine *all;
	struct world world;
	int64_t *at = calloc(8192, sizeof(*at));
	uint32_t full;

	(void)state;
	assert_non_null(at);
	open_world(&world, &magazine, (struct iog_iova_config){ .lanes = 2 });
	all = (struct iova_magazine *)world.iova;
	for (uint32_t i = 0; i < 8192; i++)
		at[i] = take(&world, 0, 1, UINT64_MAX);
	for (uint32_t i = 0; i < 8192; i++)
		assert_int_equal(give(&world, 0, at[i], 1), 0);
	full = all->depots[0].nr;
	assert_true(full >= 40 && full <= all->depot_max[0]);
	for (uint32_t i = 0; i < 100000 && all->depots[0].nr; i++)
		assert_int_equal(give(&world, 0, take(&world, 0, 1024, UINT64_MAX), 1024), 0);
	assert_int_equal(all->depots[0].nr, 0);
	assert_true(stats(&world).cached_bytes <= 2 * ROUNDS_MAX * PAGE);
	free(at);
	close_world(&world);
}

/* A lane that only frees finds magazines, and one that finds none frees to the tree. */
static void magazine_without(void **state)
{
	struct world world;
	int64_t at[100];

	(void)state;
	open_world(&world, &magazine, (struct iog_iova_config){ .lanes = 50 });
	for (int i = 0; i < 100; i++)
		at[i] = take(&world, 0, 1, UINT64_MAX);
	/* Two are provided, and all that frees may do is use them. */
	for (int i = 0; i < 50; i++)
		assert_int_equal(give(&world, (iog_lane_t)i, at[i], 1), 0);
	assert_int_equal(stats(&world).cached_bytes, 2 * PAGE);
	for (int i = 50; i < 100; i++)
		assert_int_equal(give(&world, 0, at[i], 1), 0);
	assert_int_equal(stats(&world).cached_bytes, 52 * PAGE);
	assert_int_equal(stats(&world).live_bytes, 0);
	close_world(&world);
}

/* ---- pooled ---- */

static const struct scheme classic = { "classic", &iog_iova_pooled, IOG_IOVA_LAZY, 1, 0 };
static const struct scheme stale = { "stale", &iog_iova_pooled, IOG_IOVA_LAZY | IOG_IOVA_STALE, 1, 0 };
static const struct scheme eager = { "eager", &iog_iova_pooled, 0, 1, 0 };

/* Addresses go up to the end, then there is one flush, and they begin again: once per wrap and at no other time. */
static void classic_wraps(void **state)
{
	struct world world;

	(void)state;
	open_world(&world, &classic, (struct iog_iova_config){ .last = 64 * PAGE - 1 });
	for (uint64_t i = 0; i < 1000; i++) {
		assert_int_equal(take(&world, 0, 1, UINT64_MAX), i % 64);
		assert_int_equal(give(&world, 0, (int64_t)(i % 64), 1), 0);
		assert_int_equal(world.flushes, i / 64);
		assert_int_equal(stats(&world).flushes, i / 64);
		assert_int_equal(stats(&world).stale_bytes, (i % 64 + 1) * PAGE);
	}
	/* Nothing freed ahead of the hint is found before the wrap either. */
	close_world(&world);

	open_world(&world, &classic, (struct iog_iova_config){ .last = 64 * PAGE - 1 });
	for (int64_t i = 0; i < 64; i++)
		assert_int_equal(take(&world, 0, 1, UINT64_MAX), i);
	for (int64_t i = 0; i < 64; i += 2)
		assert_int_equal(give(&world, 0, i, 1), 0);
	assert_int_equal(take(&world, 0, 1, UINT64_MAX), 0);
	assert_int_equal(world.flushes, 1);
	assert_int_equal(give(&world, 0, 41, 1), 0);
	assert_int_equal(give(&world, 0, 63, 1), 0);
	for (int64_t i = 2; i < 64; i += 2)
		assert_int_equal(take(&world, 0, 1, UINT64_MAX), i);
	assert_int_equal(world.flushes, 1);
	assert_int_equal(take(&world, 0, 1, UINT64_MAX), 41);
	assert_int_equal(world.flushes, 2);
	close_world(&world);

	/* Frees that are not lazy need no flush. */
	open_world(&world, &eager, (struct iog_iova_config){ .last = 64 * PAGE - 1 });
	for (uint64_t i = 0; i < 1000; i++) {
		assert_int_equal(take(&world, 0, 1, UINT64_MAX), i % 64);
		assert_int_equal(give(&world, 0, (int64_t)(i % 64), 1), 0);
	}
	assert_int_equal(world.flushes, 0);
	close_world(&world);
}

/* A classic pool flushes at its end though there is room behind; with stale bits it goes round first. */
static void stale_goes_round(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct world world;

		open_world(&world, i ? &stale : &classic, (struct iog_iova_config){ .last = 64 * PAGE - 1 });
		assert_int_equal(take(&world, 0, 1, UINT64_MAX), 0);
		/* 1 to 31 are passed over. */
		assert_int_equal(take(&world, 0, 32, UINT64_MAX), 32);
		assert_int_equal(give(&world, 0, 0, 1), 0);
		assert_int_equal(take(&world, 0, 1, UINT64_MAX), i ? 1 : 0);
		assert_int_equal(world.flushes, i ? 0 : 1);
		for (int64_t j = i ? 2 : 1; j < 32; j++)
			assert_int_equal(take(&world, 0, 1, UINT64_MAX), j);
		assert_int_equal(world.flushes, i ? 0 : 1);
		if (i)
			assert_int_equal(take(&world, 0, 1, UINT64_MAX), 0);
		assert_int_equal(world.flushes, 1);
		assert_int_equal(take(&world, 0, 1, UINT64_MAX), -IOG_ENOSPC);
		/* With nothing stale a flush is of no use. */
		assert_int_equal(world.flushes, 1);
		close_world(&world);
	}
}

static void lazy_flush(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct world world;
		uint64_t address = NEVER;

		open_world(&world, i ? &stale : &classic, (struct iog_iova_config){ .last = 64 * PAGE - 1 });
		for (int64_t j = 0; j < 64; j++)
			assert_int_equal(take(&world, 0, 1, UINT64_MAX), j);
		assert_int_equal(give(&world, 0, 7, 1), 0);
		assert_int_equal(give(&world, 0, 7, 1), -IOG_EINVAL);
		/* It fails: nothing is used on its account, and the next may succeed. */
		world.flush_error = -IOG_ETIMEDOUT;
		assert_int_equal(take(&world, 0, 1, UINT64_MAX), -IOG_ETIMEDOUT);
		assert_int_equal(take(&world, 0, 1, UINT64_MAX), -IOG_ETIMEDOUT);
		assert_int_equal(world.flushes, 2);
		assert_int_equal(stats(&world).stale_bytes, PAGE);
		assert_int_equal(give(&world, 0, 7, 1), -IOG_EINVAL);
		world.flush_error = 0;
		/* What is freed while it runs is not covered by it. */
		world.held = 9 * PAGE;
		world.held_size = PAGE;
		assert_int_equal(take(&world, 0, 1, UINT64_MAX), 7);
		assert_int_equal(world.flushes, 3);
		assert_int_equal(stats(&world).stale_bytes, PAGE);
		assert_int_equal(take(&world, 0, 1, UINT64_MAX), 9);
		assert_int_equal(world.flushes, 4);
		/* No flush: hardware has forgotten. */
		assert_int_equal(give(&world, 0, 3, 1), 0);
		assert_int_equal(iog_iova_alloc(world.iova, 0, PAGE, UINT64_MAX, NULL, &address), 0);
		assert_int_equal(address, 3 * PAGE);
		assert_int_equal(world.flushes, 4);
		assert_int_equal(stats(&world).flushes, 4);
		close_world(&world);
	}
}

/* Lanes stay in pools of their own; a full one is flushed before a neighbour is raided; large runs keep to themselves. */
static void pools_raid(void **state)
{
	static const struct scheme four = { "four", &iog_iova_pooled, IOG_IOVA_LAZY | IOG_IOVA_STALE, 4, 0 };
	uint64_t pool = 1536, slow;
	struct world world;
	int64_t at;

	(void)state;
	/* 8192 granules: a quarter for large runs. */
	open_world(&world, &four, (struct iog_iova_config){ .lanes = 8, .last = 32 * MIB - 1 });
	for (iog_lane_t lane = 0; lane < 8; lane++)
		assert_int_equal(take(&world, lane, 1, UINT64_MAX), lane % 4 * pool + lane / 4);
	assert_int_equal(take(&world, 1, 16, UINT64_MAX), 6144);
	assert_int_equal(take(&world, 1, 15, UINT64_MAX), pool + 16);
	slow = stats(&world).slow_allocs;
	assert_int_equal(slow, 0);
	for (uint64_t i = 2; i < pool; i++)
		assert_int_equal(take(&world, 2, 1, UINT64_MAX), 2 * pool + i);
	/* Its own was freed: that, after a flush. */
	assert_int_equal(give(&world, 5, (int64_t)(2 * pool + 77), 1), 0);
	assert_int_equal(take(&world, 2, 1, UINT64_MAX), 2 * pool + 77);
	assert_int_equal(world.flushes, 1);
	assert_int_equal(stats(&world).slow_allocs, slow + 1);
	/* Nothing was freed: the neighbour's, without one. */
	assert_int_equal(take(&world, 2, 1, UINT64_MAX), 3 * pool + 2);
	assert_int_equal(world.flushes, 1);
	assert_int_equal(stats(&world).slow_allocs, slow + 2);
	/* Everybody's. */
	while ((at = take(&world, 2, 1, UINT64_MAX)) >= 0)
		;
	assert_int_equal(at, -IOG_ENOSPC);
	assert_int_equal(stats(&world).live_bytes, 32 * MIB);
	assert_int_equal(world.flushes, 1);
	assert_int_equal(give(&world, 2, 6144, 8), 0);
	assert_int_equal(give(&world, 2, 8, 8), 0);
	assert_int_equal(take(&world, 1, 8, UINT64_MAX), 6144);
	assert_int_equal(world.flushes, 2);
	assert_int_equal(take(&world, 1, 8, 16 * PAGE - 1), 8);
	assert_int_equal(world.flushes, 2);
	close_world(&world);
}

static void take_one(struct world *world)
{
	world->taken_meanwhile = take(world, 3, 1, UINT64_MAX);
}

static void fail_meanwhile(struct world *world)
{
	world->flush_error = -IOG_ETIMEDOUT;
	take_one(world);
	world->flush_error = 0;
}

/* While a flush for all pools runs another lane wants one, too: there is room, and nobody waits for somebody else's flush. */
static void pools_flushed_twice(void **state)
{
	static const struct scheme four = { "four", &iog_iova_pooled, IOG_IOVA_LAZY, 4, 0 };

	(void)state;
	for (uint32_t fails = 0; fails < 2; fails++) {
		struct world world;
		int64_t at;

		open_world(&world, &four, (struct iog_iova_config){ .lanes = 8, .last = 32 * MIB - 1 });
		for (uint64_t i = 0; i < 32 * MIB / PAGE; i++)
			assert_true(take(&world, 2, 1, UINT64_MAX) >= 0);
		for (int64_t page = 0; page < 4; page++)
			assert_int_equal(give(&world, 2, page, 1), 0);
		world.meanwhile = fails ? fail_meanwhile : take_one;
		at = take(&world, 2, 1, UINT64_MAX);
		if (fails)
			assert_int_equal(world.taken_meanwhile, -IOG_ETIMEDOUT);
		else
			assert_true(world.taken_meanwhile >= 0 && world.taken_meanwhile < 4);
		assert_true(at >= 0 && at < 4 && at != world.taken_meanwhile);
		while (take(&world, 2, 1, UINT64_MAX) >= 0)
			;
		assert_int_equal(stats(&world).live_bytes, 32 * MIB);
		close_world(&world);
	}
}

/* Calls with a limit leave the others' hint alone, and cause no flush while there is room below. */
static void pool_limits(void **state)
{
	struct world world;

	(void)state;
	open_world(&world, &classic, (struct iog_iova_config){ .last = 256 * PAGE - 1 });
	for (int64_t i = 0; i < 100; i++)
		assert_int_equal(take(&world, 0, 1, UINT64_MAX), i);
	for (int64_t i = 0; i < 50; i++)
		assert_int_equal(give(&world, 0, i, 1), 0);
	for (int64_t i = 100; i < 150; i++)
		assert_int_equal(take(&world, 0, 1, 150 * PAGE - 1), i);
	assert_int_equal(world.flushes, 0);
	assert_int_equal(take(&world, 0, 1, 150 * PAGE - 1), 0);
	assert_int_equal(world.flushes, 1);
	for (int64_t i = 150; i < 256; i++)
		assert_int_equal(take(&world, 0, 1, UINT64_MAX), i);
	assert_int_equal(world.flushes, 1);
	close_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tree_gaps),	    cmocka_unit_test(tree_gives_back),	cmocka_unit_test(magazine_keeps),	cmocka_unit_test(magazine_limit),
		cmocka_unit_test(magazine_depot),   cmocka_unit_test(magazine_idles),	cmocka_unit_test(magazine_without),
		cmocka_unit_test(classic_wraps),    cmocka_unit_test(stale_goes_round), cmocka_unit_test(lazy_flush),
		cmocka_unit_test(pools_raid),	    cmocka_unit_test(pools_flushed_twice), cmocka_unit_test(pool_limits),
	};

	return cmocka_run_group_tests_name("schemes", tests, NULL, NULL);
}

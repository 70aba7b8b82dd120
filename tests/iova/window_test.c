/* SPDX-License-Identifier: MIT */
/*
 * What is special to windows: take-over, flushes by number, frees by other lanes, the directory's edges, and bits. What all allocators have to do is in random.c, and windows
 * bound to a page table are in window_bound_test.c.
 *
 * Where another lane has to come between two steps, it does so in a function of the platform: one thread, every time the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "iova/windows.h"
#include "kit.h"

#define PAGE UINT64_C(4096)
#define WINDOW (WINDOW_BITS * PAGE)
#define GIB (UINT64_C(1) << 30)
#define NONE UINT64_MAX
#define LANES 4

struct bed {
	struct kit kit;
	struct iog_platform platform;
	struct iog_iova *iova;
	/* What the next calls of irq_save do, once. */
	void (*intrude)(struct bed *bed);
	uint32_t intrude_in;
	iog_iova_t address;

	uint64_t flushes;
	int flush_error;
	uint64_t objects, fail_from; /* allocations so far; from which on there is no memory */
	void (*during_flush)(struct bed *bed);
};

/* For the platform's functions, whose ctx is the kit's. */
static struct bed *the_bed;

static uintptr_t intruding_irq_save(void *ctx)
{
	struct bed *bed = the_bed;
	void (*intrude)(struct bed * bed) = bed->intrude;

	(void)ctx;
	if (intrude && !--bed->intrude_in) {
		bed->intrude = NULL;
		intrude(bed);
	}
	return 0;
}

static void no_irq_restore(void *ctx, uintptr_t flags)
{
	(void)ctx;
	(void)flags;
}

static void *failing_object_alloc(void *ctx, size_t size)
{
	struct bed *bed = the_bed;

	if (bed->fail_from && ++bed->objects >= bed->fail_from)
		return NULL;
	return bed->kit.platform.object_alloc(ctx, size);
}

static void bed_create(struct bed *bed, const struct iog_iova_config *config)
{
	struct iog_iova_config all = *config;

	memset(bed, 0, sizeof(*bed));
	the_bed = bed;
	kit_create(&bed->kit, 0);
	bed->platform = bed->kit.platform;
	bed->platform.irq_save = intruding_irq_save;
	bed->platform.irq_restore = no_irq_restore;
	bed->platform.object_alloc = failing_object_alloc;
	all.ops = &iog_iova_window;
	all.platform = &bed->platform;
	if (!all.lanes)
		all.lanes = LANES;
	assert_int_equal(iog_iova_create(&all, &bed->iova), 0);
}

static void bed_destroy(struct bed *bed)
{
	assert_true(iog_iova_is_valid(bed->iova));
	iog_iova_destroy(bed->iova);
	kit_destroy(&bed->kit);
}

static int flush(void *ctx)
{
	struct bed *bed = ctx;
	void (*during)(struct bed * bed) = bed->during_flush;

	bed->flushes++;
	bed->during_flush = NULL;
	if (during)
		during(bed);
	return bed->flush_error;
}

static iog_iova_t alloc_limited(struct bed *bed, iog_lane_t lane, uint64_t n, iog_iova_t limit)
{
	const struct iog_iova_flush lazy = { flush, bed };
	iog_iova_t address = NONE;
	int error = iog_iova_alloc(bed->iova, lane, n * PAGE, limit, &lazy, &address);

	if (error)
		assert_int_equal(error, bed->flush_error ? bed->flush_error : -IOG_ENOSPC);
	assert_true(iog_iova_is_valid(bed->iova));
	return address;
}

static iog_iova_t alloc(struct bed *bed, iog_lane_t lane, uint64_t n)
{
	return alloc_limited(bed, lane, n, UINT64_MAX);
}

static void give(struct bed *bed, iog_lane_t lane, iog_iova_t address, uint64_t n)
{
	assert_int_equal(iog_iova_free(bed->iova, lane, address, n * PAGE), 0);
	assert_true(iog_iova_is_valid(bed->iova));
}

static void refused(struct bed *bed, iog_lane_t lane, iog_iova_t address, uint64_t n)
{
	struct iog_iova_stats before, after;

	iog_iova_stats(bed->iova, &before);
	assert_int_equal(iog_iova_free(bed->iova, lane, address, n * PAGE), -IOG_EINVAL);
	iog_iova_stats(bed->iova, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_true(iog_iova_is_valid(bed->iova));
}

static struct window *window_with(struct bed *bed, iog_iova_t address)
{
	return window_at(windows_of(bed->iova), address / PAGE);
}

static uint32_t owner_of(struct bed *bed, iog_iova_t address)
{
	return atomic_load(&window_with(bed, address)->owner);
}

/* All that a lane can get, a granule at a time. */
static uint32_t take_all(struct bed *bed, iog_lane_t lane, iog_iova_t *got, uint32_t room)
{
	uint32_t nr = 0;

	while (nr < room && (got[nr] = alloc(bed, lane, 1)) != NONE)
		nr++;
	return nr;
}

/* ---- take-over ---- */

#define ALL_24 (8 * WINDOW_BITS)

/* Eight windows in all, each held by lane 0 for one granule: another lane gets the rest, and what lane 0 frees then. */
static void take_over_24_bits(uint32_t flags)
{
	static iog_iova_t first[ALL_24], second[ALL_24];
	const uint64_t limit = (UINT64_C(1) << 24) - 1;
	struct iog_iova_stats stats;
	struct bed bed;
	uint32_t nr = 0;

	/* The aperture is larger: it is the limit that says so. Everything else is taken. */
	bed_create(&bed, &(struct iog_iova_config){ .last = (UINT64_C(1) << 32) - 1, .flags = flags });
	for (uint32_t i = 0; i < ALL_24; i++) {
		first[i] = alloc_limited(&bed, 0, 1, limit);
		assert_true(first[i] <= limit - (PAGE - 1));
	}
	for (uint32_t i = 0; i < ALL_24; i++)
		if (first[i] / PAGE % WINDOW_BITS != 77)
			give(&bed, 0, first[i], 1);
	while ((second[nr] = alloc_limited(&bed, 1 + nr % 2, 1, limit)) != NONE) {
		assert_true(second[nr] <= limit - (PAGE - 1) && second[nr] / PAGE % WINDOW_BITS != 77);
		nr++;
	}
	assert_int_equal(nr, ALL_24 - 8);
	iog_iova_stats(bed.iova, &stats);
	assert_int_equal(stats.live_bytes, ALL_24 * PAGE);
	assert_true(stats.reclaims >= 8);

	/* Lane 0's last ones lie in windows of others now. */
	for (uint32_t i = 0; i < ALL_24; i++)
		if (first[i] / PAGE % WINDOW_BITS == 77) {
			assert_int_not_equal(owner_of(&bed, first[i]), 0);
			give(&bed, 0, first[i], 1);
		}
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(alloc_limited(&bed, 3, 1, limit) / PAGE % WINDOW_BITS, 77);
	assert_int_equal(alloc_limited(&bed, 3, 1, limit), NONE);
	/* What has no such limit is served all the while, by a lane whose window at hand is another one then. */
	assert_true(alloc(&bed, 3, 1) > limit);
	bed_destroy(&bed);
}

static void take_over(void **state)
{
	(void)state;
	take_over_24_bits(0);
	take_over_24_bits(IOG_IOVA_BOTTOM_UP);
	take_over_24_bits(IOG_IOVA_LAZY);
}

/* Runs that do not fit anywhere are not a reason to take a window away. */
static void take_over_needs_a_place(void **state)
{
	static iog_iova_t got[WINDOW_BITS];
	struct bed bed;

	(void)state;
	bed_create(&bed, &(struct iog_iova_config){ .first = WINDOW, .last = 2 * WINDOW - 1 });
	assert_int_equal(take_all(&bed, 0, got, WINDOW_BITS), WINDOW_BITS);
	for (uint32_t i = 0; i < WINDOW_BITS; i += 2)
		give(&bed, 0, got[i], 1);
	assert_int_equal(alloc(&bed, 1, 2), NONE);
	assert_int_equal(owner_of(&bed, WINDOW), 0);
	assert_int_not_equal(alloc(&bed, 1, 1), NONE);
	assert_int_equal(owner_of(&bed, WINDOW), 1);
	bed_destroy(&bed);
}

/* What is freed lazily goes back to the tree at once, and is forgotten before it is used again, be it as a run or as a window. */
static void freed_into_the_tree(void **state)
{
	(void)state;
	for (uint32_t small = 0; small < 2; small++) {
		struct bed bed;
		iog_iova_t run;
		int flushes;

		bed_create(&bed, &(struct iog_iova_config){ .first = 2 * WINDOW, .last = 4 * WINDOW - 1, .flags = IOG_IOVA_LAZY });
		run = alloc(&bed, 0, WINDOW_BITS + 1);
		assert_int_not_equal(run, NONE);
		assert_int_equal(bed.flushes, 0);
		give(&bed, 1, run, WINDOW_BITS + 1);
		bed.flush_error = -IOG_ETIMEDOUT;
		assert_int_equal(alloc(&bed, 0, small ? 1 : WINDOW_BITS + 1), NONE);
		bed.flush_error = 0;
		flushes = (int)bed.flushes;
		run = alloc(&bed, 0, small ? 1 : WINDOW_BITS + 1);
		assert_int_not_equal(run, NONE);
		assert_int_equal(bed.flushes, flushes + 1);
		give(&bed, 0, run, small ? 1 : WINDOW_BITS + 1);
		bed_destroy(&bed);
	}
}

/* Between the old lane's gate and the new one's the window is nobody's: a free of the old lane has to see that. */
static void free_by_old_lane(struct bed *bed)
{
	assert_int_equal(iog_iova_free(bed->iova, 0, bed->address, PAGE), 0);
}

static void free_while_it_moves(void **state)
{
	(void)state;
	for (uint32_t lazy = 0; lazy < 2; lazy++) {
		static iog_iova_t got[WINDOW_BITS];
		struct bed bed;

		bed_create(&bed, &(struct iog_iova_config){ .first = WINDOW, .last = 2 * WINDOW - 1, .flags = lazy ? IOG_IOVA_LAZY : 0 });
		assert_int_equal(take_all(&bed, 0, got, WINDOW_BITS), WINDOW_BITS);
		for (uint32_t i = 1; i < WINDOW_BITS; i++)
			give(&bed, 0, got[i], 1);
		if (lazy) {
			/* Its own flush, so that lane 1 finds places. */
			bed.address = alloc(&bed, 0, 1);
			give(&bed, 0, got[0], 1);
		} else {
			bed.address = got[0];
		}
		/* Some irq_save after the first is that of lane 1's gate after the take-over: try them all. */
		for (uint32_t n = 1; n < 16; n++) {
			iog_iova_t address, back = bed.address;

			bed.intrude = free_by_old_lane;
			bed.intrude_in = n;
			address = alloc(&bed, 1, 1);
			assert_int_not_equal(address, NONE);
			if (bed.intrude) {
				/* Fewer than that. */
				bed.intrude = NULL;
				give(&bed, 0, back, 1);
			}
			assert_int_equal(owner_of(&bed, address), 1);
			give(&bed, 1, address, 1);
			/* The window goes back to lane 0 for the next round, by way of its own allocation. */
			bed.address = alloc(&bed, 0, 1);
			assert_int_not_equal(bed.address, NONE);
			assert_int_equal(owner_of(&bed, bed.address), 0);
		}
		bed_destroy(&bed);
	}
}

/* Between the two looks at the owner: the lane takes the window for its own, and then it is not. */
static void take_over_now(struct bed *bed)
{
	assert_int_not_equal(alloc(bed, 1, 1), NONE);
	assert_int_equal(owner_of(bed, bed->address), 1);
}

static void taken_over_on_the_way_in(void **state)
{
	static iog_iova_t got[WINDOW_BITS];
	struct bed bed;

	(void)state;
	bed_create(&bed, &(struct iog_iova_config){ .first = WINDOW, .last = 2 * WINDOW - 1 });
	assert_int_equal(take_all(&bed, 0, got, WINDOW_BITS), WINDOW_BITS);
	give(&bed, 0, got[0], 1);
	bed.address = got[1];
	bed.intrude = take_over_now;
	bed.intrude_in = 1;
	/* Not in the intruder's way: its own calls are not intruded upon. */
	assert_int_equal(iog_iova_free(bed.iova, 0, got[1], PAGE), 0);
	assert_true(iog_iova_is_valid(bed.iova));
	assert_true(bits_any(window_with(&bed, got[1])->freed_clean));
	/* Lane 1 finds it, and only it. */
	assert_int_equal(alloc(&bed, 1, 1), got[1]);
	assert_int_equal(alloc(&bed, 1, 1), NONE);
	bed_destroy(&bed);
}

/* ---- flushes by number ---- */

/* All of one window, and nothing else is there. */
static void bed_of_one(struct bed *bed, iog_iova_t got[WINDOW_BITS])
{
	bed_create(bed, &(struct iog_iova_config){ .first = WINDOW, .last = 2 * WINDOW - 1, .flags = IOG_IOVA_LAZY });
	assert_int_equal(take_all(bed, 0, got, WINDOW_BITS), WINDOW_BITS);
	assert_int_equal(alloc(bed, 0, 1), NONE);
	bed->flushes = 0;
}

static void a_free_waits_for_a_flush(void **state)
{
	static iog_iova_t got[WINDOW_BITS];

	(void)state;
	for (iog_lane_t lane = 0; lane < 2; lane++) {
		const struct iog_iova_flush lazy = { flush, NULL };
		iog_iova_t address = NONE;
		struct bed bed;

		bed_of_one(&bed, got);
		give(&bed, lane, got[5], 1);
		bed.flush_error = -IOG_ETIMEDOUT;
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(alloc(&bed, 0, 1), NONE);
		assert_int_equal(bed.flushes, 3);
		bed.flush_error = 0;
		assert_int_equal(alloc(&bed, 0, 1), got[5]);
		assert_int_equal(bed.flushes, 4);
		/* Hardware has forgotten everything, says who passes no flush. */
		give(&bed, lane, got[7], 1);
		assert_int_equal(iog_iova_alloc(bed.iova, 0, PAGE, UINT64_MAX, NULL, &address), 0);
		assert_int_equal(address, got[7]);
		(void)lazy;
		bed_destroy(&bed);
	}
}

/* What is freed while a flush runs is not covered by it. */
static iog_lane_t freeing_lane;

static void free_one_more(struct bed *bed)
{
	give(bed, freeing_lane, bed->address, 1);
}

static void free_and_fold(struct bed *bed)
{
	give(bed, freeing_lane, bed->address, 1);
	assert_int_equal(iog_iova_drain(bed->iova, IOG_LANE_ALL, 2), 0);
}

static void a_flush_covers_what_came_before_it(void **state)
{
	static iog_iova_t got[WINDOW_BITS];

	(void)state;
	for (freeing_lane = 0; freeing_lane < 2; freeing_lane++) {
		struct bed bed;

		bed_of_one(&bed, got);
		give(&bed, 0, got[5], 1);
		bed.address = got[9];
		bed.during_flush = free_one_more;
		assert_int_equal(alloc(&bed, 0, 1), got[5]);
		assert_int_equal(bed.flushes, 1);
		assert_int_equal(alloc(&bed, 0, 1), got[9]);
		assert_int_equal(bed.flushes, 2);

		/* A flush that was begun before, and ends after. */
		give(&bed, 0, got[5], 1);
		bed.address = got[9];
		bed.during_flush = free_one_more;
		bed.flush_error = -IOG_EIO;
		assert_int_equal(alloc(&bed, 0, 1), NONE);
		bed.flush_error = 0;
		bed.flushes = 0;
		assert_true(alloc(&bed, 0, 1) != NONE && alloc(&bed, 0, 1) != NONE);
		assert_int_equal(alloc(&bed, 0, 1), NONE);
		bed_destroy(&bed);

		/* And found stale while others wait already: it has a later number than they. */
		bed_of_one(&bed, got);
		give(&bed, 0, got[5], 1);
		bed.flush_error = -IOG_EIO;
		assert_int_equal(alloc(&bed, 0, 1), NONE);
		bed.flush_error = 0;
		bed.flushes = 0;
		bed.address = got[9];
		bed.during_flush = free_and_fold;
		assert_int_equal(alloc(&bed, 0, 1), got[5]);
		assert_int_equal(bed.flushes, 1);
		assert_int_equal(alloc(&bed, 0, 1), got[9]);
		assert_int_equal(bed.flushes, 2);
		bed_destroy(&bed);
	}
}

static void one_flush_serves_all(void **state)
{
	static iog_iova_t got[LANES * WINDOW_BITS];
	const uint32_t all = LANES * WINDOW_BITS;
	struct bed bed;

	(void)state;
	bed_create(&bed, &(struct iog_iova_config){ .first = WINDOW, .last = (LANES + 1) * WINDOW - 1, .flags = IOG_IOVA_LAZY });
	for (uint32_t i = 0; i < all; i++)
		got[i] = alloc(&bed, i / WINDOW_BITS, 1);
	for (uint32_t i = 0; i < all; i++)
		assert_int_equal(owner_of(&bed, got[i]), i / WINDOW_BITS);
	/* A third of each lane's by itself, a third by another one. */
	for (uint32_t i = 0; i < all; i++)
		if (i % 3)
			give(&bed, (i / WINDOW_BITS + (i % 3 == 2)) % LANES, got[i], 1);
	/* Each lane learns what it has to wait for. */
	bed.flush_error = -IOG_EIO;
	for (iog_lane_t lane = 0; lane < LANES; lane++)
		assert_int_equal(alloc(&bed, lane, 1), NONE);
	bed.flush_error = 0;
	bed.flushes = 0;
	assert_int_not_equal(alloc(&bed, 2, 1), NONE);
	assert_int_equal(bed.flushes, 1);
	for (iog_lane_t lane = 0; lane < LANES; lane++)
		for (uint32_t i = 0; i < WINDOW_BITS / 2; i++)
			assert_int_equal(owner_of(&bed, alloc(&bed, lane, 1)), lane);
	assert_int_equal(bed.flushes, 1);
	bed_destroy(&bed);
}

/* ---- frees that are wrong ---- */

static void wrong_frees(void **state)
{
	(void)state;
	for (uint32_t lazy = 0; lazy < 2; lazy++) {
		iog_iova_t address, run, large;
		struct bed bed;

		bed_create(&bed, &(struct iog_iova_config){ .flags = lazy ? IOG_IOVA_LAZY : 0 });
		address = alloc(&bed, 0, 1);
		run = alloc(&bed, 0, 64);
		large = alloc(&bed, 0, 1000);
		/* Twice, by every pair of lanes. */
		for (iog_lane_t first = 0; first < 2; first++)
			for (iog_lane_t second = 0; second < 2; second++) {
				iog_iova_t one = alloc(&bed, 0, 1);

				give(&bed, first, one, 1);
				refused(&bed, second, one, 1);
				refused(&bed, 1 - second, one, 1);
			}
		/* A part of a run is granules that are handed out; more than that is not. */
		for (iog_lane_t lane = 0; lane < 2; lane++) {
			refused(&bed, lane, run, 128);
			refused(&bed, lane, run - 4 * WINDOW, 1);
			refused(&bed, lane, address / WINDOW * WINDOW, 1000);
			refused(&bed, lane, large, 512);
		}
		give(&bed, 1, run, 64);
		for (iog_lane_t lane = 0; lane < 2; lane++)
			for (uint64_t n = 1; n <= 64; n *= 2)
				refused(&bed, lane, run + (64 - n) * PAGE, n);
		give(&bed, 1, address, 1);
		give(&bed, 0, large, 1000);
		bed_destroy(&bed);
	}
}

/* ---- windows come and go ---- */

static void windows_go_back(void **state)
{
	enum { NR = 20 * WINDOW_BITS };
	static iog_iova_t got[NR];

	(void)state;
	for (iog_lane_t lane = 0; lane < 2; lane++) {
		struct iog_iova_stats empty, full, after;
		struct bed bed;

		bed_create(&bed, &(struct iog_iova_config){ 0 });
		iog_iova_stats(bed.iova, &empty);
		for (uint32_t i = 0; i < NR; i++)
			got[i] = alloc(&bed, 0, 1);
		iog_iova_stats(bed.iova, &full);
		assert_int_equal(full.live_bytes, NR * PAGE);
		for (uint32_t i = 0; i < NR; i++)
			give(&bed, lane, got[(uint64_t)i * 7919 % NR], 1);
		iog_iova_stats(bed.iova, &after);
		assert_int_equal(after.live_bytes, 0);
		/* Its own lane gives back as it goes; what others free is found when somebody looks. */
		if (!lane)
			assert_int_equal(after.cached_bytes, WINDOWS_SPARE * WINDOW);
		assert_int_equal(iog_iova_drain(bed.iova, 0, 3), 0);
		iog_iova_stats(bed.iova, &after);
		assert_int_equal(after.cached_bytes, 0);
		assert_true(after.object_bytes < empty.object_bytes + 2 * sizeof(struct chunk) + 4096);
		assert_true(after.object_bytes < full.object_bytes);
		/* All of the space is there again, in one piece. */
		assert_int_not_equal(alloc(&bed, 2, (UINT64_C(1) << 18)), NONE);
		bed_destroy(&bed);
	}
}

/* A window that serves is found, however many there are that do not. */
static void a_needle(void **state)
{
	enum { WINDOWS = 60, NR = WINDOWS * WINDOW_BITS };
	static iog_iova_t got[NR];

	(void)state;
	for (uint32_t lane = 0; lane < 2; lane++)
		for (uint32_t at = 3; at < WINDOWS; at += 14) {
			iog_iova_t pair = WINDOW + at * WINDOW + 130 * PAGE;
			struct bed bed;

			bed_create(&bed, &(struct iog_iova_config){ .first = WINDOW, .last = (WINDOWS + 1) * WINDOW - 1 });
			for (uint32_t i = 0; i < NR; i++) {
				assert_int_equal(iog_iova_alloc(bed.iova, 0, PAGE, UINT64_MAX, NULL, &got[i]), 0);
			}
			for (uint32_t i = 0; i < NR; i++)
				if (got[i] / PAGE % 32 == 1)
					assert_int_equal(iog_iova_free(bed.iova, 0, got[i], PAGE), 0);
			give(&bed, 0, pair, 2);
			assert_int_equal(alloc(&bed, lane, 2), pair);
			assert_int_equal(alloc(&bed, lane, 2), NONE);
			bed_destroy(&bed);
		}
}

/* From the nth allocation on there is no memory: the call says so, nothing is lost, and the next one succeeds. */
static void out_of_memory(void **state)
{
	uint32_t failures = 0;
	int error = -IOG_ENOMEM;

	(void)state;
	for (uint32_t n = 1; error; n++) {
		struct iog_iova_stats stats;
		iog_iova_t address = NONE;
		struct bed bed;

		bed_create(&bed, &(struct iog_iova_config){ 0 });
		bed.fail_from = n;
		error = iog_iova_alloc(bed.iova, 0, PAGE, UINT64_MAX, NULL, &address);
		bed.fail_from = 0;
		if (error) {
			failures++;
			assert_int_equal(error, -IOG_ENOMEM);
			assert_int_equal(address, NONE);
			assert_true(iog_iova_is_valid(bed.iova));
			iog_iova_stats(bed.iova, &stats);
			assert_int_equal(stats.live_bytes | stats.cached_bytes, 0);
			address = alloc(&bed, 0, 1);
		}
		/* The highest there is: no address was lost. */
		assert_int_equal(address / WINDOW, ((UINT64_C(1) << 48) - 1) / WINDOW);
		bed_destroy(&bed);
	}
	assert_true(failures >= 2);
}

/* ---- the directory ---- */

static void edge(uint64_t first, uint64_t last, uint32_t flags, uint64_t limit, bool in_window, uint64_t at)
{
	struct iog_iova_stats stats;
	iog_iova_t address;
	struct bed bed;

	bed_create(&bed, &(struct iog_iova_config){ .first = first, .last = last, .flags = flags | IOG_IOVA_LAZY });
	address = alloc_limited(&bed, 0, 1, limit);
	assert_int_not_equal(address, NONE);
	assert_true(address >= first && address + (PAGE - 1) <= (limit < last ? limit : last));
	assert_int_equal(window_with(&bed, address) != NULL, in_window);
	if (at != NONE)
		assert_int_equal(in_window ? address / WINDOW : address / PAGE, in_window ? at / WINDOW : at / PAGE);
	/* To find that there is no window there takes no flush, and nobody else's gate. */
	assert_int_equal(bed.flushes, 0);
	iog_iova_stats(bed.iova, &stats);
	assert_int_equal(stats.reclaims, 0);
	give(&bed, 1, address, 1);
	bed_destroy(&bed);
}

static void edges(void **state)
{
	const uint64_t covered = (uint64_t)HIGH_CHUNKS * CHUNK_WINDOWS * WINDOW, low = (uint64_t)LOW_CHUNKS * CHUNK_WINDOWS * WINDOW;

	(void)state;
	for (uint32_t bits = 40; bits <= 64; bits += bits == 40 ? 8 : bits == 48 ? 9 : 7) {
		uint64_t last = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1, begins = last - covered + 1;

		/* The top; the last window that the directory's upper part has; one below that; and the lower part. */
		edge(0, last, 0, UINT64_MAX, true, last);
		edge(0, last, 0, begins + WINDOW - 1, true, begins);
		edge(0, last, 0, begins + WINDOW - 2, false, begins + WINDOW - 2 * PAGE);
		edge(0, last, 0, begins - 1, false, begins - 1);
		edge(0, last, 0, low + PAGE - 1, false, low);
		edge(0, last, 0, low - 1, true, low - 1);
		edge(0, last, 0, WINDOW - 1, true, 0);
		edge(0, last, 0, 2 * PAGE - 1, false, PAGE);
		edge(0, last, 0, PAGE - 1, false, 0);
		/* From below. */
		edge(0, last, IOG_IOVA_BOTTOM_UP, UINT64_MAX, true, 0);
		edge(begins, last, IOG_IOVA_BOTTOM_UP, UINT64_MAX, true, begins);
		edge(begins + PAGE, last, IOG_IOVA_BOTTOM_UP, UINT64_MAX, true, begins + WINDOW);
		edge(begins - 3 * WINDOW, last, IOG_IOVA_BOTTOM_UP, UINT64_MAX, true, begins - 3 * WINDOW);
		edge(last - WINDOW + 1, last, IOG_IOVA_BOTTOM_UP, UINT64_MAX, true, last);
		edge(last - WINDOW + 1, last, 0, UINT64_MAX, true, last);
	}
}

/* No room for a whole window, but for runs: they come from the tree. */
static void apertures_without_windows(void **state)
{
	struct bed bed;

	(void)state;
	bed_create(&bed, &(struct iog_iova_config){ .first = 4 * WINDOW + PAGE, .last = 6 * WINDOW - PAGE - 1 });
	for (uint32_t i = 0; i < 2 * WINDOW_BITS - 2; i++) {
		iog_iova_t address = alloc(&bed, i % LANES, 1);

		assert_int_not_equal(address, NONE);
		assert_null(window_with(&bed, address));
	}
	assert_int_equal(alloc(&bed, 0, 1), NONE);
	bed_destroy(&bed);
}

/* ---- bits ---- */

static void runs_are_aligned(void **state)
{
	uint64_t random = kit_seed("runs");

	(void)state;
	for (uint32_t round = 0; round < kit_scaled(4000); round++) {
		struct window window, before;
		uint32_t n = 1 + (uint32_t)(kit_random(&random) % (round & 1 ? 512 : 64)), align = (uint32_t)run_align(n, WINDOW_BITS), bit, expected;
		uint32_t holes = (uint32_t)(kit_random(&random) % 12);

		memset(&window, 0, sizeof(window));
		for (uint32_t word = 0; word < WINDOW_WORDS; word++)
			bits_put(&window.available[word], UINT64_MAX);
		for (uint32_t i = 0; i < holes * holes; i++) {
			uint32_t at = (uint32_t)(kit_random(&random) % WINDOW_BITS);

			bits_put(&window.available[at / 64], bits_get(&window.available[at / 64]) & ~(UINT64_C(1) << (at & 63)));
		}
		window.hint = (uint32_t)(kit_random(&random) % WINDOW_WORDS);
		memcpy(&before, &window, sizeof(window));
		for (expected = 0; expected < WINDOW_BITS; expected += align) {
			uint32_t k = 0;

			while (k < n && bits_get(&before.available[(expected + k) / 64]) >> ((expected + k) & 63) & 1)
				k++;
			if (k == n)
				break;
		}
		bit = take(&window, n, align);
		if (n > 1)
			assert_int_equal(bit, expected);
		else
			assert_int_equal(bit == WINDOW_BITS, expected == WINDOW_BITS);
		assert_true(bit == WINDOW_BITS || (!(bit & (align - 1)) && handed_out(&window, bit, n)));
		for (uint32_t k = 0; k < WINDOW_BITS; k++) {
			bool was = bits_get(&before.available[k / 64]) >> (k & 63) & 1, is = bits_get(&window.available[k / 64]) >> (k & 63) & 1;

			assert_true(bit != WINDOW_BITS && k >= bit && k < bit + n ? was && !is : was == is);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(take_over),
		cmocka_unit_test(take_over_needs_a_place),
		cmocka_unit_test(freed_into_the_tree),
		cmocka_unit_test(free_while_it_moves),
		cmocka_unit_test(taken_over_on_the_way_in),
		cmocka_unit_test(a_free_waits_for_a_flush),
		cmocka_unit_test(a_flush_covers_what_came_before_it),
		cmocka_unit_test(one_flush_serves_all),
		cmocka_unit_test(wrong_frees),
		cmocka_unit_test(windows_go_back),
		cmocka_unit_test(a_needle),
		cmocka_unit_test(out_of_memory),
		cmocka_unit_test(edges),
		cmocka_unit_test(apertures_without_windows),
		cmocka_unit_test(runs_are_aligned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Corners of every scheme: arguments, ends of the number range, exhaustion, histories made to hurt, frees that are wrong, and memory that is not there.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kit.h"

#define PAGE UINT64_C(4096)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define NEVER UINT64_C(0xdeadbeefdeadbeef)
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* What every test has: a platform, an allocator, and what is handed out in @addresses. */
struct world {
	struct kit kit;
	const struct scheme *scheme;
	struct iog_iova *iova;
	uint64_t flushes;
	uint64_t *addresses;
	uint64_t nr;
};

static void open_world(struct world *world, const struct scheme *scheme, struct iog_iova_config config)
{
	memset(world, 0, sizeof(*world));
	kit_create(&world->kit, KIT_INTERRUPTS);
	world->scheme = scheme;
	world->iova = kit_iova(&world->kit, scheme, config);
}

static void close_world(struct world *world)
{
	assert_true(iog_iova_is_valid(world->iova));
	iog_iova_destroy(world->iova);
	kit_destroy(&world->kit);
	free(world->addresses);
}

static int count_flush(void *ctx)
{
	((struct world *)ctx)->flushes++;
	return 0;
}

static int alloc(struct world *world, iog_lane_t lane, uint64_t size, uint64_t limit, uint64_t *address)
{
	struct iog_iova_flush flush = { count_flush, world };
	uint64_t before = *address;
	int error = iog_iova_alloc(world->iova, lane, size, limit, &flush, address);

	if (error)
		assert_int_equal(*address, before);
	return error;
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

/* Hand out runs of @size until there is no space, @lanes by turns; nothing overlaps, nothing lies above the limit. */
static uint64_t fill(struct world *world, uint32_t lanes, uint64_t size, uint64_t limit, uint64_t most)
{
	uint64_t room = 0, address;
	int error = 0;

	world->nr = 0;
	while (world->nr < most) {
		address = NEVER;
		error = alloc(world, (iog_lane_t)(world->nr % lanes), size, limit, &address);
		if (error)
			break;
		if (world->nr == room) {
			room = room ? 2 * room : 1024;
			world->addresses = realloc(world->addresses, room * sizeof(uint64_t));
			assert_non_null(world->addresses);
		}
		if (address > limit || limit - address < size - 1)
			fail_msg("0x%" PRIx64 " is beyond 0x%" PRIx64, address, limit);
		world->addresses[world->nr++] = address;
	}
	if (world->nr < most)
		assert_int_equal(error, -IOG_ENOSPC);
	qsort(world->addresses, world->nr, sizeof(uint64_t), compare);
	for (uint64_t i = 1; i < world->nr; i++)
		if (world->addresses[i] - world->addresses[i - 1] < size)
			fail_msg("0x%" PRIx64 " was handed out twice", world->addresses[i]);
	return world->nr;
}

static void give(struct world *world, uint32_t lanes, uint64_t size, uint64_t from, uint64_t step)
{
	for (uint64_t i = from; i < world->nr; i += step)
		assert_int_equal(iog_iova_free(world->iova, (iog_lane_t)(i % lanes), world->addresses[i], size), 0);
}

static uint64_t live(struct world *world)
{
	struct iog_iova_stats stats;

	iog_iova_stats(world->iova, &stats);
	return stats.live_bytes;
}

/* ---- arguments ---- */

static void create_arguments(void **state)
{
	const struct scheme *scheme = *state;
	struct iog_range range = { 1, 0 };
	struct kit kit;
	struct iog_iova_config good, bad;
	struct iog_iova *iova = NULL;
	struct iog_platform lacking;

	kit_create(&kit, KIT_INTERRUPTS);
	good = (struct iog_iova_config){ .ops = scheme->ops, .platform = &kit.platform, .flags = scheme->flags };
#define REFUSED(error, ...)                                                         \
	do {                                                                        \
		bad = good;                                                         \
		__VA_ARGS__;                                                        \
		assert_int_equal(iog_iova_create(&bad, &iova), -(error));           \
		assert_null(iova);                                                  \
	} while (0)
	REFUSED(IOG_EINVAL, bad.ops = NULL);
	REFUSED(IOG_EINVAL, bad.platform = NULL);
	REFUSED(IOG_EINVAL, lacking = kit.platform; lacking.object_alloc = NULL; bad.platform = &lacking);
	REFUSED(IOG_EINVAL, lacking = kit.platform; lacking.object_free = NULL; bad.platform = &lacking);
	REFUSED(IOG_EINVAL, bad.lanes = 4097);
	REFUSED(IOG_EINVAL, bad.flags |= 1 << 3);
	REFUSED(IOG_EINVAL, bad.flags = IOG_IOVA_STALE);
	REFUSED(IOG_EINVAL, bad.granule = 2048);
	REFUSED(IOG_EINVAL, bad.granule = 12288);
	REFUSED(IOG_EINVAL, bad.granule = 131072);
	REFUSED(IOG_EINVAL, bad.first = 2048);
	REFUSED(IOG_EINVAL, bad.last = 4 * GIB);
	REFUSED(IOG_EINVAL, bad.first = 2 * GIB; bad.last = GIB - 1);
	REFUSED(IOG_EINVAL, bad.first = UINT64_C(1) << 48);
	REFUSED(IOG_EINVAL, bad.granule = 65536; bad.first = PAGE);
	REFUSED(IOG_EINVAL, bad.granule = 65536; bad.last = PAGE - 1);
	REFUSED(IOG_EINVAL, bad.nr_reserved = 1);
	REFUSED(IOG_EINVAL, bad.reserved = &range; bad.nr_reserved = 1);
	if (scheme->ops == &iog_iova_pooled) {
		REFUSED(IOG_EINVAL, bad.pools = 3);
		REFUSED(IOG_EINVAL, bad.pools = 2048);
		REFUSED(IOG_EINVAL, bad.arena = MIB + 1);
	}
	if (scheme->ops == &iog_iova_tree || scheme->ops == &iog_iova_magazine) {
		REFUSED(IOG_EOPNOTSUPP, bad.flags = IOG_IOVA_LAZY);
		REFUSED(IOG_EOPNOTSUPP, bad.flags = IOG_IOVA_LAZY | IOG_IOVA_STALE);
	}
	if (scheme->ops == &iog_iova_window)
		REFUSED(IOG_EOPNOTSUPP, bad.flags = IOG_IOVA_LAZY | IOG_IOVA_STALE);
#undef REFUSED
	assert_int_equal(iog_iova_create(NULL, &iova), -IOG_EINVAL);
	assert_int_equal(iog_iova_create(&good, NULL), -IOG_EINVAL);
	iog_iova_destroy(NULL);
	kit_destroy(&kit);
}

static void sizes_and_limits(void **state)
{
	struct world world;
	uint64_t address = NEVER;

	open_world(&world, *state, (struct iog_iova_config){ .lanes = 2, .first = 16 * PAGE, .last = 4112 * PAGE - 1 });
	assert_int_equal(alloc(&world, 0, 0, UINT64_MAX, &address), -IOG_EINVAL);
	assert_int_equal(alloc(&world, 2, PAGE, UINT64_MAX, &address), -IOG_EINVAL);
	assert_int_equal(alloc(&world, IOG_LANE_ALL, PAGE, UINT64_MAX, &address), -IOG_EINVAL);
	assert_int_equal(alloc(&world, 0, UINT64_MAX, UINT64_MAX, &address), -IOG_ENOSPC);
	assert_int_equal(alloc(&world, 0, UINT64_MAX - PAGE, UINT64_MAX, &address), -IOG_ENOSPC);
	assert_int_equal(alloc(&world, 0, 4096 * PAGE + 1, UINT64_MAX, &address), -IOG_ENOSPC);
	assert_int_equal(alloc(&world, 0, UINT64_C(1) << 63, UINT64_MAX, &address), -IOG_ENOSPC);
	/* No address at all below these. */
	assert_int_equal(alloc(&world, 0, 1, 0, &address), -IOG_ENOSPC);
	assert_int_equal(alloc(&world, 0, 1, PAGE - 2, &address), -IOG_ENOSPC);
	assert_int_equal(alloc(&world, 0, 1, 16 * PAGE - 1, &address), -IOG_ENOSPC);
	assert_int_equal(alloc(&world, 0, 1, 17 * PAGE - 2, &address), -IOG_ENOSPC);
	assert_int_equal(live(&world), 0);
	/* The first granule, and nothing else, below this; windows are too large for it. */
	assert_int_equal(alloc(&world, 0, 1, 17 * PAGE - 1, &address), 0);
	assert_int_equal(address, 16 * PAGE);
	assert_int_equal(live(&world), PAGE);
	assert_int_equal(iog_iova_free(world.iova, 1, address, PAGE), 0);
	close_world(&world);
}

static void the_very_top(void **state)
{
	const struct scheme *scheme = *state;
	struct world world;
	uint64_t address = NEVER;

	open_world(&world, scheme, (struct iog_iova_config){ .first = -(1024 * PAGE), .last = UINT64_MAX });
	assert_int_equal(fill(&world, 1, PAGE, UINT64_MAX, UINT64_MAX), 1024);
	assert_int_equal(world.addresses[1023], -PAGE);
	assert_int_equal(iog_iova_free(world.iova, 0, -PAGE, 2 * PAGE), -IOG_EINVAL);
	assert_int_equal(iog_iova_free(world.iova, 0, -PAGE, PAGE + 1), -IOG_EINVAL);
	assert_int_equal(iog_iova_free(world.iova, 0, -PAGE, UINT64_MAX), -IOG_EINVAL);
	assert_int_equal(iog_iova_free(world.iova, 0, 0, PAGE), -IOG_EINVAL);
	assert_int_equal(iog_iova_free(world.iova, 0, -PAGE, PAGE), 0);
	world.nr--;
	/* All but the last byte are below this limit, so the last granule is not. */
	assert_int_equal(alloc(&world, 0, PAGE, UINT64_MAX - 1, &address), -IOG_ENOSPC);
	assert_int_equal(alloc(&world, 0, PAGE, UINT64_MAX, &address), 0);
	assert_int_equal(address, -PAGE);
	assert_int_equal(iog_iova_free(world.iova, 0, address, PAGE), 0);
	give(&world, 1, PAGE, 0, 1);
	assert_int_equal(live(&world), 0);
	close_world(&world);

	/* All of 2^64. */
	open_world(&world, scheme, (struct iog_iova_config){ .last = UINT64_MAX });
	for (int i = 0; i < 2; i++) {
		uint64_t size = i ? GIB + 1 : PAGE;

		assert_int_equal(alloc(&world, 0, size, UINT64_MAX, &address), 0);
		if (scheme->is & SCHEME_ORDERED)
			assert_int_equal(address, scheme->flags & IOG_IOVA_BOTTOM_UP ? 0 : i ? -(2 * GIB) : -PAGE);
		assert_int_equal(iog_iova_free(world.iova, 0, address, size), 0);
	}
	close_world(&world);
}

/* ---- sizes ---- */

static void powers_of_two(void **state)
{
	const struct scheme *scheme = *state;
	struct world world;

	open_world(&world, scheme, (struct iog_iova_config){ .lanes = 2, .last = 64 * GIB - 1 });
	for (uint32_t order = 0; order < (scheme->is & SCHEME_CUT ? 19 : 22); order++) {
		for (uint64_t n = (UINT64_C(1) << order) - (order > 1); n <= (UINT64_C(1) << order) + 1; n++) {
			uint64_t granules = n > 1 ? UINT64_C(1) << (64 - __builtin_clzll(n - 1)) : 1, align = granules * PAGE < GIB ? granules * PAGE : GIB;
			uint64_t first[3];

			for (int i = 0; i < 3; i++) {
				first[i] = NEVER;
				assert_int_equal(alloc(&world, 0, n * PAGE, UINT64_MAX, &first[i]), 0);
				assert_int_equal(first[i] & (align - 1), 0);
				for (int j = 0; j < i; j++)
					assert_true(first[i] - first[j] >= n * PAGE && first[j] - first[i] >= n * PAGE);
			}
			for (int i = 0; i < 3; i++)
				assert_int_equal(iog_iova_free(world.iova, (iog_lane_t)(i & 1), first[i], n * PAGE), 0);
		}
	}
	assert_int_equal(live(&world), 0);
	close_world(&world);
}

/* ---- histories ---- */

/* Every other run freed leaves half of the space, and no place for twice the size. */
static void every_other(void **state)
{
	static const uint64_t sizes[] = { 1, 2, 8, 64, 512, 1024 };
	const struct scheme *scheme = *state;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint64_t size = sizes[i] * PAGE, address = NEVER, all;
		struct world world;

		open_world(&world, scheme, (struct iog_iova_config){ .lanes = 4, .last = 64 * MIB - 1 });
		/* Those that cut the aperture leave out what is less than a run before each cut. */
		all = fill(&world, 4, size, UINT64_MAX, UINT64_MAX);
		if (!(scheme->is & SCHEME_CUT))
			assert_int_equal(all, 64 * MIB / size);
		assert_int_equal(live(&world), all * size);
		give(&world, 4, size, 0, 2);
		if (scheme->is & SCHEME_EXACT)
			assert_int_equal(alloc(&world, 1, 2 * size, UINT64_MAX, &address), -IOG_ENOSPC);
		for (uint64_t j = 0; j < all / 2; j++) {
			address = NEVER;
			assert_int_equal(alloc(&world, (iog_lane_t)(j % 4), size, UINT64_MAX, &address), 0);
			assert_int_equal(iog_iova_free(world.iova, (iog_lane_t)(j % 3), address, size), 0);
		}
		assert_int_equal(live(&world), all / 2 * size);
		give(&world, 4, size, 1, 2);
		assert_int_equal(live(&world), 0);
		/* In stock as single runs, whatever they are: they come together again. */
		fill(&world, 4, 2 * size, UINT64_MAX, all / 2);
		assert_true(world.nr >= (scheme->is & SCHEME_CUT ? all / 8 : all / 2));
		give(&world, 4, 2 * size, 0, 1);
		close_world(&world);
	}
}

/* A device that reaches 4 GiB, and all of that in stock of other lanes. */
static void stock_of_others(void **state)
{
	static const uint64_t sizes[] = { 16, 64, 512 };
	const struct scheme *scheme = *state;

	for (size_t i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		uint64_t size = sizes[i / 2] * PAGE, limit = 4 * GIB - 1, all;
		struct world world;

		/* Either everybody reaches no further, or this device does not. */
		open_world(&world, scheme, (struct iog_iova_config){ .lanes = 8, .last = i & 1 ? 0 : limit });
		all = fill(&world, 8, size, limit, UINT64_MAX);
		assert_true(all >= (scheme->is & SCHEME_CUT ? 3 : 4) * (GIB / size) - 1);
		give(&world, 8, size, 0, 1);
		assert_int_equal(fill(&world, 1, size, limit, UINT64_MAX), all);
		give(&world, 1, size, 0, 1);
		/* And from one to another. */
		assert_int_equal(iog_iova_drain(world.iova, 3, 5), 0);
		assert_int_equal(iog_iova_drain(world.iova, IOG_LANE_ALL, 0), 0);
		assert_int_equal(fill(&world, 8, size, limit, UINT64_MAX), all);
		give(&world, 8, size, 0, 1);
		close_world(&world);
	}
}

static void device_masks(void **state)
{
	static const uint32_t bits[] = { 24, 32, 39, 48, 64 };
	const struct scheme *scheme = *state;
	struct world world;

	open_world(&world, scheme, (struct iog_iova_config){ .lanes = 3, .first = PAGE, .last = UINT64_MAX });
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
		uint64_t limit = bits[i] == 64 ? UINT64_MAX : (UINT64_C(1) << bits[i]) - 1;

		assert_true(fill(&world, 3, PAGE, limit, 6000) >= 4000);
		if (bits[i] == 24 && !(scheme->is & SCHEME_CUT))
			assert_int_equal(world.nr, 4095);
		give(&world, 2, PAGE, 0, 1);
		assert_true(fill(&world, 3, 3 * PAGE, limit, 1200) >= 1000);
		give(&world, 2, 3 * PAGE, 0, 1);
	}
	assert_int_equal(live(&world), 0);
	close_world(&world);
}

/* ---- exhaustion ---- */

static int free_one(void *ctx)
{
	struct world *world = ctx;

	world->flushes++;
	if (world->nr)
		return iog_iova_free(world->iova, 0, world->addresses[--world->nr], PAGE);
	return 0;
}

static void exhaustion(void **state)
{
	const struct scheme *scheme = *state;
	struct iog_iova_stats before, after;
	struct iog_iova_flush flush;
	struct world world;
	uint64_t address = NEVER;

	open_world(&world, scheme, (struct iog_iova_config){ .lanes = 3, .first = 16 * MIB, .last = 24 * MIB - 1 });
	flush = (struct iog_iova_flush){ free_one, &world };
	assert_int_equal(fill(&world, 3, PAGE, UINT64_MAX, UINT64_MAX), 2048);
	world.flushes = 0;
	iog_iova_stats(world.iova, &before);
	for (uint64_t n = 1; n <= 4096; n *= 4)
		assert_int_equal(iog_iova_alloc(world.iova, 1, n * PAGE, UINT64_MAX, NULL, &address), -IOG_ENOSPC);
	iog_iova_stats(world.iova, &after);
	assert_int_equal(address, NEVER);
	assert_int_equal(after.live_bytes, before.live_bytes);
	assert_int_equal(after.allocs, before.allocs);
	assert_int_equal(after.flushes, before.flushes);
	assert_int_equal(after.object_bytes, before.object_bytes);
	assert_true(iog_iova_is_valid(world.iova));

	/* What the caller holds back is asked for once. */
	if (!(scheme->flags & IOG_IOVA_LAZY)) {
		uint64_t last = world.addresses[world.nr - 1];

		assert_int_equal(iog_iova_alloc(world.iova, 2, PAGE, UINT64_MAX, &flush, &address), 0);
		assert_int_equal(world.flushes, 1);
		assert_int_equal(address, last);
		world.nr = 0;
		assert_int_equal(iog_iova_alloc(world.iova, 2, PAGE, UINT64_MAX, &flush, &address), -IOG_ENOSPC);
		assert_int_equal(world.flushes, 2);
		world.nr = 2047;
		world.addresses[world.nr++] = last;
	}
	iog_iova_stats(world.iova, &after);
	assert_int_equal(after.live_bytes, before.live_bytes);
	assert_int_equal(after.flushes, before.flushes + world.flushes);
	give(&world, 3, PAGE, 0, 1);
	assert_int_equal(live(&world), 0);
	assert_int_equal(fill(&world, 3, PAGE, UINT64_MAX, UINT64_MAX), 2048);
	give(&world, 3, PAGE, 0, 1);
	close_world(&world);
}

/* ---- frees that are wrong ---- */

static void wrong_frees(void **state)
{
	static const uint64_t sizes[] = { 1, 3, 4, 64, 512, 513, 1024 };
	const struct scheme *scheme = *state;
	struct world world;

	open_world(&world, scheme, (struct iog_iova_config){ .lanes = 2, .last = 4 * GIB - 1,
							     .reserved = &(struct iog_range){ 16 * MIB, 32 * MIB - 1 }, .nr_reserved = 1 });
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint64_t size = sizes[i] * PAGE, address = NEVER;

		for (iog_lane_t lane = 0; lane < 2; lane++) {
			assert_int_equal(alloc(&world, 0, size, UINT64_MAX, &address), 0);
			assert_int_equal(iog_iova_free(world.iova, lane, address + 1, size), -IOG_EINVAL);
			assert_int_equal(iog_iova_free(world.iova, lane, address + PAGE, size), -IOG_EINVAL);
			assert_int_equal(iog_iova_free(world.iova, lane, address, 4 * size), -IOG_EINVAL);
			assert_int_equal(iog_iova_free(world.iova, lane, address, 0), -IOG_EINVAL);
			if (scheme->is & SCHEME_KNOWS_RUNS && sizes[i] > 2)
				assert_int_equal(iog_iova_free(world.iova, lane, address, size / 2), -IOG_EINVAL);
			assert_int_equal(live(&world), size);
			assert_int_equal(iog_iova_free(world.iova, lane, address, size), 0);
			assert_int_equal(iog_iova_free(world.iova, lane, address, size), -IOG_EINVAL);
			assert_int_equal(iog_iova_free(world.iova, 1 - lane, address, size), -IOG_EINVAL);
			assert_int_equal(live(&world), 0);
		}
	}
	/* What was never handed out, and what never will be. */
	assert_int_equal(iog_iova_free(world.iova, 0, GIB, PAGE), -IOG_EINVAL);
	assert_int_equal(iog_iova_free(world.iova, 0, 16 * MIB, PAGE), -IOG_EINVAL);
	assert_int_equal(iog_iova_free(world.iova, 0, 16 * MIB, 16 * MIB), -IOG_EINVAL);
	assert_int_equal(iog_iova_free(world.iova, 0, 4 * GIB, PAGE), -IOG_EINVAL);
	assert_int_equal(iog_iova_free(world.iova, 0, 4 * GIB - PAGE, 2 * PAGE), -IOG_EINVAL);
	assert_int_equal(live(&world), 0);
	close_world(&world);
}

/* ---- memory ---- */

#define STEPS 40

/* A little of everything, of which the nth object is not to be had: the call says so, and nothing else is different. */
static bool steps(struct world *world, const struct iog_iova_config *config, uint64_t fail_in)
{
	uint64_t addresses[STEPS * 12], sizes[STEPS * 12], nr = 0, random = 1;
	int error;

	kit_create(&world->kit, KIT_INTERRUPTS);
	world->kit.fail_in = fail_in;
	world->flushes = 0;
	error = iog_iova_create(config, &world->iova);
	if (error) {
		assert_int_equal(error, -IOG_ENOMEM);
		assert_int_equal(world->kit.failed, 1);
		kit_destroy(&world->kit);
		return true;
	}
	for (uint32_t i = 0; i < STEPS; i++) {
		for (uint32_t j = 0; j < 12; j++) {
			static const uint64_t granules[] = { 1, 1, 1, 2, 3, 64, 512, 600 };
			uint64_t before = live(world), failed = world->kit.failed;

			sizes[nr] = granules[kit_random(&random) % ARRAY_SIZE(granules)] * PAGE;
			addresses[nr] = NEVER;
			error = alloc(world, j & 1, sizes[nr], i & 1 ? UINT64_MAX : 4 * GIB - 1, &addresses[nr]);
			if (error) {
				assert_int_equal(error, -IOG_ENOMEM);
				assert_int_equal(world->kit.failed, failed + 1);
				assert_int_equal(live(world), before);
				assert_true(iog_iova_is_valid(world->iova));
				/* Again, and it works. */
				assert_int_equal(alloc(world, j & 1, sizes[nr], UINT64_MAX, &addresses[nr]), 0);
			}
			nr++;
		}
		for (uint32_t j = 0; j < 7 && i & 1; j++) {
			uint64_t which = kit_random(&random) % nr;

			assert_int_equal(iog_iova_free(world->iova, j & 1, addresses[which], sizes[which]), 0);
			addresses[which] = addresses[--nr];
			sizes[which] = sizes[nr];
		}
		if (i % 16 == 15)
			assert_int_equal(iog_iova_drain(world->iova, IOG_LANE_ALL, 0), 0);
	}
	assert_true(iog_iova_is_valid(world->iova));
	while (nr--)
		assert_int_equal(iog_iova_free(world->iova, nr & 1, addresses[nr], sizes[nr]), 0);
	assert_int_equal(live(world), 0);
	assert_true(iog_iova_is_valid(world->iova));
	iog_iova_destroy(world->iova);
	kit_destroy(&world->kit);
	return world->kit.failed;
}

static void no_memory(void **state)
{
	const struct scheme *scheme = *state;
	struct iog_range reserved[40];
	struct world world = { .scheme = scheme };
	struct iog_iova_config config = { .ops = scheme->ops, .platform = &world.kit.platform, .lanes = 2, .flags = scheme->flags, .pools = scheme->pools,
					  .last = 16 * GIB - 1, .reserved = reserved, .nr_reserved = ARRAY_SIZE(reserved) };
	uint64_t n = 1;

	/* So many that they do not go into the first memory taken. */
	for (uint32_t i = 0; i < ARRAY_SIZE(reserved); i++)
		reserved[i] = (struct iog_range){ 8 * GIB + i * 3 * PAGE, 8 * GIB + i * 3 * PAGE + 1 };
	while (steps(&world, &config, n))
		n++;
	assert_true(n > 3);
}

/* ---- ---- */

#define ALL(name) { #name, name }

int main(void)
{
	static const struct {
		const char *name;
		CMUnitTestFunction run;
	} corners[] = {
		ALL(create_arguments), ALL(sizes_and_limits), ALL(the_very_top), ALL(powers_of_two), ALL(every_other),
		ALL(stock_of_others),  ALL(device_masks),     ALL(exhaustion),	 ALL(wrong_frees),   ALL(no_memory),
	};
	struct CMUnitTest *tests = calloc(nr_schemes * ARRAY_SIZE(corners), sizeof(*tests));
	char (*names)[64] = calloc(nr_schemes * ARRAY_SIZE(corners), sizeof(*names));
	size_t nr = 0;
	int failed;

	if (!tests || !names)
		return 1;
	for (uint32_t i = 0; i < nr_schemes; i++)
		for (size_t j = 0; j < ARRAY_SIZE(corners) && scheme_is_wanted(&schemes[i]); j++, nr++) {
			snprintf(names[nr], sizeof(names[nr]), "%s: %s", schemes[i].name, corners[j].name);
			tests[nr] = (struct CMUnitTest){ .name = names[nr], .test_func = corners[j].run, .initial_state = (void *)(uintptr_t)&schemes[i] };
		}
	failed = _cmocka_run_group_tests("corners", tests, nr, NULL, NULL);
	free(tests);
	free(names);
	return failed;
}

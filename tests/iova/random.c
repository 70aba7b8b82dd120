/* SPDX-License-Identifier: MIT */
/*
 * Random calls on every scheme, beside a model: no overlap, alignment, limit, reservations; what was freed lazily is not handed out before it was flushed; nothing fails that need not;
 * wrong frees are refused and change nothing; everything comes back.
 *
 * IOG_SEED=n replays; IOG_SCHEME=text runs only schemes whose name contains it.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kit.h"

#define OPS 1500
#define RESERVED_MAX 6
/* Bookkeeping that may stay behind, beyond what there was at the beginning. */
#define BYTES_LEFT 16384
#define DIRECTORY_LEFT (3 << 20)
#define NEVER UINT64_C(0xdeadbeefdeadbeef)

static uint64_t seed;

struct aperture {
	const char *name;
	uint64_t granule;
	uint64_t first;
	uint64_t last;
};

#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)
#define GIB (KIB * MIB)

static const struct aperture apertures[] = {
	{ "24 bits", 0, 0, 16 * MIB - 1 },
	{ "32 bits", 0, 4 * KIB, 4 * GIB - 1 },
	{ "39 bits", 0, GIB, 512 * GIB - 1 },
	{ "the default", 0, 0, 0 },
	{ "64 bits", 0, 0, UINT64_MAX },
	{ "the very top", 0, -(32 * MIB), UINT64_MAX },
	{ "nearly the very top", 0, -(32 * MIB) - 4 * KIB, UINT64_MAX - 12 * KIB },
	{ "odd ends", 0, 20 * KIB, 20 * KIB + 4996 * KIB - 1 },
	{ "one granule", 0, 4 * KIB, 8 * KIB - 1 },
	{ "three granules", 0, 4 * KIB, 16 * KIB - 1 },
	{ "16 KiB granule", 16 * KIB, 0, 256 * MIB - 1 },
	{ "64 KiB granule", 64 * KIB, 64 * KIB, UINT64_MAX },
};

struct bed {
	struct kit kit;
	const struct scheme *scheme;
	struct iog_iova_config config;
	struct iog_range reserved[RESERVED_MAX];
	struct iog_iova *iova;
	struct model model;
	uint32_t shift;
	uint64_t random;
	uint64_t flushes;
	bool flush_fails;
	uint64_t allocs;
	int64_t live; /* granules */
	uint64_t bytes_before;
};

static uint64_t below(struct bed *bed, uint64_t bound)
{
	return kit_random(&bed->random) % bound;
}

static bool is_lazy(const struct bed *bed)
{
	return bed->scheme->flags & IOG_IOVA_LAZY;
}

/* A size in bytes that takes @n granules. All of 2^64 cannot be said, all but a byte can. */
static uint64_t bytes_of(struct bed *bed, uint64_t n)
{
	uint64_t granule = UINT64_C(1) << bed->shift, size = n << bed->shift;

	return size && below(bed, 2) ? size : size - 1 - below(bed, granule - 1);
}

static int flush(void *ctx)
{
	struct bed *bed = ctx;

	kit_must_be_open("flush with a lock held");
	bed->flushes++;
	if (bed->flush_fails)
		return -IOG_ETIMEDOUT;
	if (is_lazy(bed)) {
		model_flushed(&bed->model);
		return 0;
	}
	for (uint32_t i = 0; i < bed->model.nr;) {
		struct run run = bed->model.runs[i];

		if (run.state != RUN_HELD) {
			i++;
			continue;
		}
		assert_int_equal(iog_iova_free(bed->iova, 0, run.at << bed->shift, bytes_of(bed, run.n)), 0);
		model_remove(&bed->model, i);
		bed->live -= (int64_t)run.n;
	}
	return 0;
}

/* Sizes of every kind, in granules. */
static uint64_t random_size(struct bed *bed)
{
	uint64_t all = bed->model.last - bed->model.first + 1, n = 0;

	switch (below(bed, 16)) {
	case 0:
		n = UINT64_C(1) << below(bed, 21);
		break;
	case 1:
		n = (UINT64_C(1) << below(bed, 21)) + 1;
		break;
	case 2:
		n = (UINT64_C(2) << below(bed, 20)) - 1;
		break;
	case 3:
		n = below(bed, all) + 1;
		break;
	case 4:
		n = all - below(bed, all < 4 ? all : 4) + below(bed, 2);
		break;
	case 5:
	case 6:
		n = below(bed, 600) + 1;
		break;
	case 7:
	case 8:
	case 9:
		n = below(bed, 20) + 1;
		break;
	default:
		n = 1;
	}
	all = (UINT64_MAX >> bed->shift) + 1;
	return n < all ? n : all;
}

static uint64_t random_limit(struct bed *bed)
{
	static const uint32_t masks[] = { 24, 32, 39, 48 };
	uint64_t first = bed->model.first << bed->shift, last = (((bed->model.last + 1) << bed->shift) - 1);

	switch (below(bed, 8)) {
	case 0:
		return (UINT64_C(1) << masks[below(bed, 4)]) - 1;
	case 1:
		return first + below(bed, last - first);
	case 2:
		return below(bed, 2) ? first - 1 : last;
	case 3:
		return bed->model.nr ? (bed->model.runs[below(bed, bed->model.nr)].at << bed->shift) + below(bed, UINT64_C(2) << bed->shift) : last;
	default:
		return UINT64_MAX;
	}
}

/* A request must have failed for a reason. */
static void check_no_space(struct bed *bed, uint64_t n, uint64_t limit)
{
	uint64_t at, occupies = scheme_occupies(bed->scheme, n);
	struct model forgotten = bed->model;

	if (!(bed->scheme->is & SCHEME_EXACT) && !(bed->scheme->is & SCHEME_EXACT_ONE && n == 1))
		return;
	/* What could have been flushed does not count. */
	forgotten.runs = calloc(bed->model.nr + 1, sizeof(*forgotten.runs));
	assert_non_null(forgotten.runs);
	for (uint32_t i = 0; i < bed->model.nr; i++)
		forgotten.runs[i] = bed->model.runs[i];
	model_flushed(&forgotten);
	if (model_place(&forgotten, occupies, limit, false, &at))
		fail_msg("%" PRIu64 " granules below 0x%" PRIx64 ": no space, but for 0x%" PRIx64, n, limit, at);
	free(forgotten.runs);
}

static void op_alloc(struct bed *bed)
{
	uint64_t n = random_size(bed), limit_bytes = random_limit(bed), granule = UINT64_C(1) << bed->shift;
	uint64_t size = bytes_of(bed, n), address = NEVER, limit, at, expected, flushes = bed->flushes;
	struct iog_iova_flush lazy = { flush, bed }, *with = below(bed, 3) ? &lazy : NULL;
	uint64_t occupies = scheme_occupies(bed->scheme, n);
	bool place, bottom_up = bed->scheme->flags & IOG_IOVA_BOTTOM_UP;
	int error;

	if (!with && is_lazy(bed))
		model_flushed(&bed->model);
	bed->flush_fails = with && !below(bed, 8);
	limit = limit_bytes == UINT64_MAX ? UINT64_MAX >> bed->shift : (limit_bytes + 1) >> bed->shift;
	place = limit_bytes == UINT64_MAX || limit;
	if (limit_bytes != UINT64_MAX)
		limit--;
	if (place)
		place = model_place(&bed->model, occupies, limit, bottom_up, &expected);

	error = iog_iova_alloc(bed->iova, (iog_lane_t)below(bed, bed->config.lanes), size, limit_bytes, with, &address);
	if (error) {
		assert_int_equal(address, NEVER);
		if (error == -IOG_ETIMEDOUT) {
			assert_true(bed->flush_fails && bed->flushes > flushes);
			/* Lazily freed, and forgotten by an earlier call's word, is more than the allocator has taken note of. */
			if (bed->scheme->is & SCHEME_EXACT && !is_lazy(bed))
				assert_false(place);
		} else {
			assert_int_equal(error, -IOG_ENOSPC);
			assert_false(bed->flush_fails && bed->flushes > flushes);
			if (limit != UINT64_MAX)
				check_no_space(bed, n, limit);
		}
		return;
	}
	at = address >> bed->shift;
	if (address & (granule - 1) || at & (model_align(&bed->model, n) - 1))
		fail_msg("0x%" PRIx64 " is not aligned for %" PRIu64 " granules", address, n);
	if (limit_bytes != UINT64_MAX && (address > limit_bytes || limit_bytes - address < (n << bed->shift) - 1))
		fail_msg("0x%" PRIx64 ", %" PRIu64 " granules: beyond 0x%" PRIx64, address, n, limit_bytes);
	if (!model_is_free(&bed->model, at, occupies))
		fail_msg("0x%" PRIx64 ", %" PRIu64 " granules: not free", address, n);
	if (bed->scheme->is & SCHEME_ORDERED && bed->flushes == flushes)
		assert_true(place && expected == at);
	model_add(&bed->model, at, n, occupies);
	bed->allocs++;
	bed->live += (int64_t)n;
}

static void op_free(struct bed *bed)
{
	uint32_t i;
	struct run *run;

	if (!bed->model.nr)
		return;
	i = (uint32_t)below(bed, bed->model.nr);
	run = &bed->model.runs[i];
	if (run->state != RUN_LIVE)
		return;
	if (!is_lazy(bed) && !below(bed, 6)) {
		run->state = RUN_HELD;
		return;
	}
	assert_int_equal(iog_iova_free(bed->iova, (iog_lane_t)below(bed, bed->config.lanes), run->at << bed->shift, bytes_of(bed, run->n)), 0);
	bed->live -= (int64_t)run->n;
	if (is_lazy(bed))
		run->state = RUN_STALE;
	else
		model_remove(&bed->model, i);
}

/* Whether the scheme may take it for a run that is handed out. */
static bool may_free(const struct bed *bed, uint64_t at, uint64_t n)
{
	uint32_t i = model_find(&bed->model, at);

	if (at & (model_align(&bed->model, n) - 1))
		return false;
	if (!(bed->scheme->is & SCHEME_KNOWS_RUNS))
		return model_is_live(&bed->model, at, n);
	return i < bed->model.nr && bed->model.runs[i].at == at && bed->model.runs[i].state != RUN_STALE &&
	       bed->model.runs[i].occupies == scheme_occupies(bed->scheme, n);
}

static void op_wrong_free(struct bed *bed)
{
	uint64_t span = bed->model.last - bed->model.first + 1, at = bed->model.first + below(bed, span), n = below(bed, 4) ? below(bed, 70) + 1 : random_size(bed);
	const struct run *run = bed->model.nr ? &bed->model.runs[below(bed, bed->model.nr)] : NULL;
	uint64_t address, granule = UINT64_C(1) << bed->shift;
	iog_lane_t lane = (iog_lane_t)below(bed, bed->config.lanes);

	switch (below(bed, 8)) {
	case 0:
		assert_int_equal(iog_iova_free(bed->iova, lane, at << bed->shift, 0), -IOG_EINVAL);
		assert_int_equal(iog_iova_free(bed->iova, bed->config.lanes, at << bed->shift, granule), -IOG_EINVAL);
		assert_int_equal(iog_iova_free(bed->iova, IOG_LANE_ALL, at << bed->shift, granule), -IOG_EINVAL);
		return;
	case 1:
		address = (at << bed->shift) + 1 + below(bed, granule - 1);
		assert_int_equal(iog_iova_free(bed->iova, lane, address, granule), -IOG_EINVAL);
		return;
	case 2:
		if (bed->config.first)
			assert_int_equal(iog_iova_free(bed->iova, lane, bed->config.first - granule, granule), -IOG_EINVAL);
		if (bed->config.last && bed->config.last != UINT64_MAX)
			assert_int_equal(iog_iova_free(bed->iova, lane, bed->config.last + 1, granule), -IOG_EINVAL);
		assert_int_equal(iog_iova_free(bed->iova, lane, at << bed->shift, UINT64_MAX), -IOG_EINVAL);
		return;
	case 3:
		if (bed->model.nr_reserved) {
			at = bed->model.reserved[below(bed, bed->model.nr_reserved)].first;
			n = below(bed, 2) ? n : 1;
		}
		break;
	case 4:
	case 5:
		if (run)
			at = run->at;
		break;
	case 6:
		if (run) {
			at = run->at;
			n = run->n;
		}
		break;
	default:
		break;
	}
	if (!may_free(bed, at, n) && at <= UINT64_MAX >> bed->shift &&
	    iog_iova_free(bed->iova, lane, at << bed->shift, bytes_of(bed, n)) != -IOG_EINVAL)
		fail_msg("0x%" PRIx64 ", %" PRIu64 " granules: a wrong free was believed", at << bed->shift, n);
}

static void op_drain(struct bed *bed)
{
	iog_lane_t self = (iog_lane_t)below(bed, bed->config.lanes), lane = (iog_lane_t)below(bed, bed->config.lanes);

	assert_int_equal(iog_iova_drain(bed->iova, below(bed, 3) ? lane : IOG_LANE_ALL, self), 0);
	assert_int_equal(iog_iova_drain(bed->iova, bed->config.lanes, self), -IOG_EINVAL);
	assert_int_equal(iog_iova_drain(bed->iova, lane, bed->config.lanes), -IOG_EINVAL);
	assert_int_equal(iog_iova_drain(bed->iova, lane, IOG_LANE_ALL), -IOG_EINVAL);
}

static void check(struct bed *bed)
{
	struct iog_iova_stats stats;

	iog_iova_stats(bed->iova, &stats);
	assert_int_equal(stats.live_bytes, (uint64_t)bed->live << bed->shift);
	assert_int_equal(stats.allocs, bed->allocs);
	assert_int_equal(stats.flushes, bed->flushes);
	assert_int_equal(stats.object_bytes, bed->kit.bytes);
	assert_true(stats.stale_bytes <= stats.cached_bytes);
	if (!is_lazy(bed))
		assert_int_equal(stats.stale_bytes, 0);
	assert_true(iog_iova_is_valid(bed->iova));
}

/* The longest run that has a place in what the model has free. */
static uint64_t longest(const struct bed *bed)
{
	uint64_t low = 0, high = bed->model.last - bed->model.first + 1, at;

	while (low < high) {
		uint64_t middle = high - (high - low) / 2;

		if (model_place(&bed->model, scheme_occupies(bed->scheme, middle), UINT64_MAX >> bed->shift, false, &at))
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* Nothing is handed out: all of it can be. */
static void check_all_there(struct bed *bed)
{
	uint64_t n = longest(bed), address;

	if (n && bed->scheme->is & SCHEME_CUT)
		n = 1;
	if (!n)
		return;
	assert_int_equal(iog_iova_alloc(bed->iova, 0, bytes_of(bed, n), UINT64_MAX, NULL, &address), 0);
	assert_int_equal(iog_iova_free(bed->iova, 0, address, bytes_of(bed, n)), 0);
	bed->allocs++;
	if (n < bed->model.last - bed->model.first + 1 && !(bed->scheme->is & SCHEME_CUT))
		assert_int_equal(iog_iova_alloc(bed->iova, 0, bytes_of(bed, n + 1), UINT64_MAX, NULL, &address), -IOG_ENOSPC);
}

static void setup(struct bed *bed, const struct scheme *scheme, const struct aperture *aperture, uint64_t number)
{
	memset(bed, 0, sizeof(*bed));
	bed->random = seed ^ number * UINT64_C(0x5851f42d4c957f2d);
	kit_create(&bed->kit, below(bed, 4) ? KIT_INTERRUPTS | (below(bed, 2) ? KIT_NO_BARRIER : 0) : 0);
	bed->scheme = scheme;
	bed->config = (struct iog_iova_config){
		.ops = scheme->ops,
		.platform = &bed->kit.platform,
		.lanes = (uint32_t[]){ 1, 3, 8 }[below(bed, 3)],
		.flags = scheme->flags,
		.pools = scheme->pools,
		.granule = aperture->granule,
		.first = aperture->first,
		.last = aperture->last,
		.reserved = bed->reserved,
		.nr_reserved = (uint32_t)below(bed, RESERVED_MAX + 1),
	};
	bed->shift = (uint32_t)__builtin_ctzll(aperture->granule ? aperture->granule : 4096);
	model_create(&bed->model, &bed->config);
	for (uint32_t i = 0; i < bed->config.nr_reserved; i++) {
		uint64_t first = bed->config.first + below(bed, ((bed->model.last - bed->model.first + 1) << bed->shift) - 1), size = below(bed, 4 * MIB);

		switch (below(bed, 5)) {
		case 0:
			first = bed->config.first >= MIB ? bed->config.first - MIB + below(bed, 2 * MIB) : below(bed, MIB);
			break;
		case 1:
			first = ((bed->model.last << bed->shift) | 0xfff) - below(bed, (bed->model.last << bed->shift) - bed->config.first + 1 < MIB ? 4096 : MIB);
			break;
		case 2:
			size = below(bed, 3 * 4096);
			break;
		default:
			break;
		}
		bed->reserved[i].first = first;
		bed->reserved[i].last = first + size < first ? UINT64_MAX : first + size;
	}
	model_destroy(&bed->model);
	model_create(&bed->model, &bed->config);
	/* Pools serve the beginning of an aperture. */
	if (scheme->ops == &iog_iova_pooled && bed->model.last - bed->model.first >= 1 << 24)
		bed->model.last = bed->model.first + (1 << 24) - 1;
	assert_int_equal(iog_iova_create(&bed->config, &bed->iova), 0);
	bed->bytes_before = (uint64_t)bed->kit.bytes;
	check(bed);
}

static void finish(struct bed *bed)
{
	struct iog_iova_stats stats;

	bed->flush_fails = false;
	for (uint32_t i = 0; i < bed->model.nr; i++) {
		struct run *run = &bed->model.runs[i];

		if (run->state == RUN_STALE)
			continue;
		assert_int_equal(iog_iova_free(bed->iova, (iog_lane_t)below(bed, bed->config.lanes), run->at << bed->shift, bytes_of(bed, run->n)), 0);
		bed->live -= (int64_t)run->n;
	}
	bed->model.nr = 0;
	check(bed);
	check_all_there(bed);
	assert_int_equal(iog_iova_drain(bed->iova, IOG_LANE_ALL, 0), 0);
	check(bed);
	iog_iova_stats(bed->iova, &stats);
	assert_int_equal(stats.live_bytes, 0);
	/* What lies beside stale granules in a window stays with them. */
	if (!(bed->scheme->is & SCHEME_DIRECTORY) || !stats.stale_bytes)
		assert_int_equal(stats.cached_bytes, stats.stale_bytes);
	if (stats.object_bytes > bed->bytes_before + (bed->scheme->is & SCHEME_DIRECTORY ? DIRECTORY_LEFT : BYTES_LEFT))
		fail_msg("%" PRIu64 " bytes before, %" PRIu64 " after", bed->bytes_before, stats.object_bytes);
	iog_iova_destroy(bed->iova);
	model_destroy(&bed->model);
	kit_destroy(&bed->kit);
}

static void sequence(const struct scheme *scheme, const struct aperture *aperture, uint64_t number)
{
	uint64_t nr = kit_scaled(OPS), filling = 0;
	struct bed bed;

	setup(&bed, scheme, aperture, number);
	for (uint64_t i = 0; i < nr; i++) {
		uint64_t what = below(&bed, 100);

		/* Times when it fills, and times when it empties. */
		if (i % 100 == 0)
			filling = 30 + 15 * below(&bed, 3);
		if (what < filling)
			op_alloc(&bed);
		else if (what < 90)
			op_free(&bed);
		else if (what < 97)
			op_wrong_free(&bed);
		else if (what < 99)
			check(&bed);
		else
			op_drain(&bed);
	}
	finish(&bed);
}

static void sequences(void **state)
{
	const struct scheme *scheme = *state;

	for (uint32_t i = 0; i < sizeof(apertures) / sizeof(apertures[0]); i++)
		for (uint32_t j = 0; j < 3; j++)
			sequence(scheme, &apertures[i], (uint64_t)(scheme - schemes) * 1000 + i * 10 + j + 1);
}

int main(void)
{
	struct CMUnitTest *tests = calloc(nr_schemes, sizeof(*tests));
	size_t nr = 0;
	int failed;

	if (!tests)
		return 1;
	seed = kit_seed("random");
	for (uint32_t i = 0; i < nr_schemes; i++)
		if (scheme_is_wanted(&schemes[i]))
			tests[nr++] = (struct CMUnitTest){ .name = schemes[i].name, .test_func = sequences, .initial_state = (void *)(uintptr_t)&schemes[i] };
	failed = _cmocka_run_group_tests("random", tests, nr, NULL, NULL);
	free(tests);
	return failed;
}

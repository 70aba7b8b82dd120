/* SPDX-License-Identifier: MIT */
/*
 * A backlog: a unit does not answer while lanes unmap, and then it does. What waited is given back, all of it, and by no call more than is stated. Counted, not timed.
 */
#include "bed.h"

#define LIMIT UINT64_MAX
#define LANES 16
#define PAGE UINT64_C(4096)

/* What one call may give back (domain.h): one that makes room; any that holds nothing. */
#define CALL_MOST (DRAIN_STEP + DRAIN_FEW)
#define TICK_MOST (2 * DRAIN_STEP)
_Static_assert(DRAIN_PLAIN == 136, "as the public header says");

struct place {
	struct bed bed;
	struct iog_domain *domain;
	struct iog_device *device;
	uint64_t waiting; /* entries, before the call at hand */
	uint64_t given;
};

static void place_create(struct place *place, struct iog_domain_config *config)
{
	place->domain = bed_domain(config);
	place->device = bed_device(&place->bed, 0, 1, NULL);
	assert_int_equal(iog_domain_attach(place->domain, place->device), 0);
	place->waiting = 0;
	place->given = 0;
}

static void place_destroy(struct place *place)
{
	assert_int_equal(iog_device_destroy(place->device), 0);
	assert_int_equal(iog_domain_destroy(place->domain), 0);
	bed_destroy(&place->bed);
}

static uint64_t waiting(const struct place *place)
{
	uint64_t nr = 0;

	for (uint32_t lane = 0; lane < place->domain->lanes_count; lane++)
		nr += place->domain->lanes[lane].nr_deferred;
	return nr;
}

/* After a call that has added @added entries: it gave back @most at most. */
static void gave(struct place *place, uint64_t added, uint64_t most)
{
	uint64_t now = waiting(place), given = place->waiting + added - now;

	assert_true(now <= place->waiting + added);
	assert_true(given <= most);
	place->given += given;
	place->waiting = now;
}

/* Fills the rings of all lanes; the first flush that is asked for is not answered. */
static void pile_up(struct place *place, uint32_t entries)
{
	iog_iova_t *iova = test_malloc(entries * sizeof(*iova));

	atomic_store(&place->bed.probes[0].fail_invalidate, -IOG_ETIMEDOUT);
	for (uint32_t lane = 0; lane < place->domain->lanes_count; lane++) {
		for (uint32_t n = 0; n < entries; n++)
			assert_int_equal(bed_map(&place->bed, place->domain, lane, PAGE, LIMIT, &iova[n]), 0);
		for (uint32_t n = 0; n < entries; n++)
			assert_int_equal(bed_unmap(place->domain, lane, iova[n], PAGE), n + 1 < entries ? 0 : -IOG_ETIMEDOUT);
		assert_int_equal(bed_map(&place->bed, place->domain, lane, PAGE, LIMIT, &iova[0]), -IOG_EAGAIN);
	}
	test_free(iova);
	place->waiting = waiting(place);
	assert_int_equal(place->waiting, (uint64_t)entries * place->domain->lanes_count);
	assert_int_equal(bed_stats(place->domain).iova.live_bytes, place->waiting * PAGE);
	assert_int_equal(iog_domain_trim(place->domain, 0), -IOG_ETIMEDOUT);
	gave(place, 0, 0);
	atomic_store(&place->bed.probes[0].fail_invalidate, 0);
}

/* A million, by calls of every kind at random. */
static void any_call(void **state)
{
	const uint32_t entries = (uint32_t)kit_scaled(65536);
	uint64_t random = kit_seed("backlog"), total;
	struct place place;
	struct iog_domain_config config;
	bool more = true;

	(void)state;
	bed_create(&place.bed, LANES);
	config = bed_config(&place.bed);
	config.mode = IOG_INVAL_DEFERRED;
	config.deferred_entries = entries;
	place_create(&place, &config);
	pile_up(&place, entries);
	total = place.waiting;
	for (uint64_t round = 1; more; round++) {
		iog_lane_t lane = (iog_lane_t)(kit_random(&random) % LANES);
		iog_iova_t iova;
		int error;

		switch (kit_random(&random) % 8) {
		case 0:
			assert_int_equal(iog_domain_flush(place.domain, lane), 0);
			gave(&place, 0, IOG_DOMAIN_DRAIN);
			break;
		case 1:
			error = iog_domain_trim(place.domain, lane);
			more = error;
			assert_true(!error || error == -IOG_EAGAIN);
			gave(&place, 0, IOG_DOMAIN_DRAIN);
			break;
		case 2:
			assert_int_equal(iog_domain_tick(place.domain, lane, round * 100), 0);
			gave(&place, 0, TICK_MOST);
			break;
		default:
			assert_int_equal(bed_map(&place.bed, place.domain, lane, PAGE, LIMIT, &iova), 0);
			gave(&place, 0, CALL_MOST);
			assert_int_equal(bed_unmap(place.domain, lane, iova, PAGE), 0);
			gave(&place, 1, DRAIN_PLAIN);
			total++;
			break;
		}
	}
	assert_int_equal(place.waiting, 0);
	assert_int_equal(place.given, total);
	assert_int_equal(bed_stats(place.domain).iova.live_bytes, 0);
	assert_int_equal(bed_stats(place.domain).quarantined, 0);
	assert_true(iog_iova_is_valid(place.domain->iova));
	place_destroy(&place);
}

/* By the lane's own mapping and unmapping alone: its ring does not fill again before all that was covered has gone, so that no further flush is asked for. */
static void own_calls(void **state)
{
	const uint32_t entries = 4000;
	struct place place;
	struct iog_domain_config config;
	uint64_t flushes;

	(void)state;
	bed_create(&place.bed, 1);
	config = bed_config(&place.bed);
	config.mode = IOG_INVAL_DEFERRED;
	config.deferred_entries = entries;
	place_create(&place, &config);
	pile_up(&place, entries);
	flushes = bed_stats(place.domain).flushes;
	for (uint32_t n = 0; n < entries; n++) {
		iog_iova_t iova;

		assert_int_equal(bed_map(&place.bed, place.domain, 0, PAGE, LIMIT, &iova), 0);
		gave(&place, 0, CALL_MOST);
		/* An entry at least goes for each that comes, and more as long as there are some. */
		if (n && place.given < entries)
			assert_true(place.given >= 64 + n);
		assert_int_equal(bed_unmap(place.domain, 0, iova, PAGE), 0);
		gave(&place, 1, CALL_MOST);
	}
	assert_true(place.given >= entries);
	assert_true(bed_stats(place.domain).flushes - flushes <= 2);
	assert_int_equal(iog_domain_trim(place.domain, 0), 0);
	assert_int_equal(bed_stats(place.domain).iova.live_bytes, 0);
	place_destroy(&place);
}

/* Another lane's flush serves those who wait for one, and they give back what it has covered without asking for one of their own. */
static void served(void **state)
{
	struct place place;
	struct iog_domain_config config;
	iog_iova_t iova[40];

	(void)state;
	bed_create(&place.bed, 2);
	config = bed_config(&place.bed);
	config.mode = IOG_INVAL_DEFERRED;
	config.deferred_entries = 64;
	place_create(&place, &config);
	for (uint32_t n = 0; n < 40; n++)
		assert_int_equal(bed_map(&place.bed, place.domain, 0, PAGE, LIMIT, &iova[n]), 0);
	for (uint32_t n = 0; n < 40; n++)
		assert_int_equal(bed_unmap(place.domain, 0, iova[n], PAGE), 0);
	assert_int_equal(waiting(&place), 40);
	assert_int_equal(iog_domain_flush(place.domain, 1), 0);
	assert_int_equal(waiting(&place), 40);
	for (uint32_t n = 0; n < 12; n++) {
		assert_int_equal(bed_map(&place.bed, place.domain, 0, PAGE, LIMIT, &iova[n]), 0);
	}
	/* Those that came before half of the ring was full, when it began to wait: four a call. */
	assert_int_equal(waiting(&place), 8);
	assert_int_equal(bed_stats(place.domain).flushes, 1);
	for (uint32_t n = 0; n < 12; n++)
		assert_int_equal(bed_unmap(place.domain, 0, iova[n], PAGE), 0);
	place_destroy(&place);
}

/* All addresses wait, more than one flush gives back, and a run is wanted that needs them all: it is had, by one flush. */
static void wanted(void **state)
{
	static const struct iog_policy *const policies[] = { &iog_policy_tree, &iog_policy_magazine };
	const uint32_t entries = 4 * IOG_DOMAIN_DRAIN;

	(void)state;
	for (uint32_t p = 0; p < 2; p++) {
		struct place place;
		struct iog_domain_config config;
		iog_iova_t iova;

		bed_create(&place.bed, 2);
		config = bed_config(&place.bed);
		config.policy = policies[p];
		config.mode = IOG_INVAL_DEFERRED;
		config.deferred_entries = entries;
		config.first = entries * PAGE;
		config.last = 3 * entries * PAGE - 1;
		place_create(&place, &config);
		for (uint32_t n = 0; n < 2 * entries - 2; n++)
			assert_int_equal(bed_map(&place.bed, place.domain, n & 1, PAGE, LIMIT, &iova), 0);
		for (iog_iova_t at = config.first; at < config.last; at += PAGE) {
			int error = bed_unmap(place.domain, at / PAGE & 1, at, PAGE);

			assert_true(!error || error == -IOG_ENOENT);
		}
		assert_int_equal(waiting(&place), 2 * entries - 2);
		assert_int_equal(place.domain->policy->alloc(&place.domain->lanes[0], entries * PAGE, LIMIT, &iova), 0);
		assert_int_equal(bed_stats(place.domain).flushes, 1);
		assert_int_equal(place.domain->policy->free(&place.domain->lanes[0], iova, entries * PAGE), 0);
		place_destroy(&place);
	}
}

/* A flush that is due for windows' sake finds the lane's ring full of what another has covered. */
static void by_the_way(void **state)
{
	const uint32_t entries = 500;
	iog_iova_t *large = test_malloc(entries * sizeof(*large)), *small = test_malloc(entries * sizeof(*small));
	struct domain_lane *lane;
	struct place place;
	struct iog_domain_config config;
	uint64_t flushes;

	(void)state;
	bed_create(&place.bed, 1);
	config = bed_config(&place.bed);
	config.mode = IOG_INVAL_DEFERRED;
	config.policy = &iog_policy_window;
	config.deferred_entries = entries;
	place_create(&place, &config);
	lane = &place.domain->lanes[0];
	for (uint32_t n = 0; n < entries; n++) {
		assert_int_equal(place.domain->policy->map(lane, 0, 4 * MiB, BED_RW, LIMIT, &large[n]), 0);
		assert_int_equal(bed_map(&place.bed, place.domain, 0, PAGE, LIMIT, &small[n]), 0);
	}
	for (uint32_t n = 0; n < entries - 1; n++)
		assert_int_equal(bed_unmap(place.domain, 0, large[n], 4 * MiB), 0);
	place.waiting = waiting(&place);
	assert_int_equal(place.waiting, entries - 1);
	assert_int_equal(iog_domain_flush_step(lane), 0);
	gave(&place, 0, DRAIN_STEP);
	flushes = bed_stats(place.domain).flushes;
	for (uint32_t n = 0; n < entries; n++) {
		assert_int_equal(bed_unmap(place.domain, 0, small[n], PAGE), 0);
		gave(&place, 0, DRAIN_STEP);
	}
	assert_int_equal(bed_stats(place.domain).flushes, flushes + 1);
	assert_true(place.waiting > 0);
	place_destroy(&place);
	test_free(large);
	test_free(small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_call),
		cmocka_unit_test(own_calls),
		cmocka_unit_test(served),
		cmocka_unit_test(wanted),
		cmocka_unit_test(by_the_way),
	};

	return cmocka_run_group_tests_name("dma backlog", tests, NULL, NULL);
}

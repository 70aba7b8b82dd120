/* SPDX-License-Identifier: MIT */
/*
 * A backlog of a million: memory that is held on sixteen lanes, each page with the address that it had, while a unit does not answer. When it does all of it comes back, and no call gives back
 * more than is stated. Counted, not timed.
 */
#include "../dma/idle_unit.h"
#include "dma/domain.h"
#include "dma/held.h"
#include "rig.h"

#define LANES 16
#define PADDR UINT64_C(0x4000000000)
#define TICK_MOST (2 * DRAIN_STEP)
/* Pages of a mapping whose memory is in as many pieces as one unmapping may let wait: with its address that is all but one of HELD_PLACES. */
#define PIECES HELD_PIECES

static struct {
	struct iog_unit unit; /* first */
	bool silent;
} silent_unit;

/* Pages; entries. */
static uint64_t released, given;

static int invalidate(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather)
{
	(void)unit;
	(void)id;
	(void)gather;
	return silent_unit.silent ? -IOG_ETIMEDOUT : 0;
}

static const struct iog_unit_ops ops = { .domain_add = idle_unit_add, .domain_remove = idle_unit_remove, .device_set = idle_unit_set, .invalidate = invalidate };

static void release(void *ctx, iog_paddr_t paddr, uint64_t size)
{
	(void)ctx;
	(void)paddr;
	released += size / RIG_PAGE;
}

static const struct iog_hold_ops hold_ops = { .release = release };

static struct {
	struct iog_posix *posix;
	struct iog_platform platform;
	struct iog_tablemem *mem;
	struct iog_domain *domain;
	struct iog_device *device;
	uint64_t waiting; /* entries, when gave() last looked */
} place;

static void place_create(struct iog_domain_config *config)
{
	const struct iog_tablemem_config mem_config = { .lanes = LANES };
	struct iog_device_config device_config = { .id = 1, .unit = &silent_unit.unit };

	assert_int_equal(iog_posix_create(NULL, &place.posix), 0);
	place.platform = *iog_posix_platform(place.posix);
	place.platform.now_ns = NULL;
	assert_int_equal(iog_tablemem_create(&place.platform, &mem_config, &place.mem), 0);
	silent_unit.unit.ops = &ops;
	silent_unit.unit.platform = &place.platform;
	silent_unit.unit.domain_ids = 1;
	silent_unit.silent = false;
	assert_int_equal(iog_unit_init(&silent_unit.unit), 0);
	config->platform = &place.platform;
	config->lanes = LANES;
	config->mode = IOG_INVAL_HELD;
	config->pgtable.ops = &iog_vtdss_counted;
	config->pgtable.tablemem = place.mem;
	config->hold = &hold_ops;
	assert_int_equal(iog_domain_create(config, &place.domain), 0);
	device_config.platform = &place.platform;
	assert_int_equal(iog_device_create(&device_config, &place.device), 0);
	assert_int_equal(iog_domain_attach(place.domain, place.device), 0);
	released = given = 0;
	place.waiting = 0;
}

static void place_destroy(void)
{
	assert_int_equal(iog_device_destroy(place.device), 0);
	assert_int_equal(iog_domain_destroy(place.domain), 0);
	assert_int_equal(iog_unit_fini(&silent_unit.unit), 0);
	assert_int_equal(iog_tablemem_destroy(place.mem), 0);
	iog_posix_destroy(place.posix);
}

static uint64_t waiting(void)
{
	uint64_t nr = 0;

	for (uint32_t lane = 0; lane < LANES; lane++)
		nr += place.domain->lanes[lane].nr_deferred;
	return nr;
}

/* After a call that has added @added entries: it gave back no more than @most. Returns how many. */
static uint64_t gave(uint64_t added, uint64_t most)
{
	uint64_t now = waiting(), back = place.waiting + added - now;

	assert_true(now <= place.waiting + added);
	assert_true(back <= most);
	place.waiting = now;
	given += back;
	return back;
}

static void held(void **state)
{
	/* Of each lane: a page and its address are two entries. */
	const uint32_t pages = (uint32_t)kit_scaled(32768);
	struct iog_domain_config config = { .policy = &iog_policy_magazine, .deferred_entries = 2 * pages, .held_max = UINT64_MAX };
	iog_iova_t *iova = test_malloc(pages * sizeof(*iova));
	struct iog_domain_stats stats;
	struct iog_domain *domain;
	struct iog_device *device;
	uint64_t random = 1, total = 0, calls = 0;
	bool more = true;

	(void)state;
	place_create(&config);
	domain = place.domain;
	device = place.device;
	silent_unit.silent = true;
	for (iog_lane_t lane = 0; lane < LANES; lane++) {
		for (uint32_t n = 0; n < pages; n++)
			assert_int_equal(iog_dma_map(device, lane, PADDR + (lane * pages + n) * RIG_PAGE, RIG_PAGE, IOG_DMA_BIDIRECTIONAL, 0, &iova[n]), 0);
		for (uint32_t n = 0; n < pages; n++) {
			int error = iog_dma_unmap(device, lane, iova[n], RIG_PAGE, IOG_DMA_BIDIRECTIONAL, 0);

			assert_int_equal(error, n + 1 < pages ? 0 : -IOG_ETIMEDOUT);
		}
		total += pages;
	}
	iog_domain_stats(domain, &stats);
	assert_int_equal(stats.deferred, 2 * total);
	assert_int_equal(stats.held_bytes, total * RIG_PAGE);
	assert_int_equal(released, 0);
	place.waiting = waiting();
	assert_int_equal(place.waiting, 2 * total);
	silent_unit.silent = false;
	while (more) {
		iog_lane_t lane = (iog_lane_t)(kit_random(&random) % LANES);
		int error;

		calls++;
		switch (kit_random(&random) % 8) {
		case 0:
			assert_int_equal(iog_domain_flush(domain, lane), 0);
			(void)gave(0, IOG_DOMAIN_DRAIN);
			break;
		case 1:
			error = iog_domain_trim(domain, lane);
			assert_true(!error || error == -IOG_EAGAIN);
			more = error;
			(void)gave(0, IOG_DOMAIN_DRAIN);
			break;
		case 2:
			assert_int_equal(iog_domain_tick(domain, lane, calls * 100), 0);
			(void)gave(0, TICK_MOST);
			break;
		default:
			assert_int_equal(iog_dma_map(device, lane, PADDR, RIG_PAGE, IOG_DMA_BIDIRECTIONAL, 0, &iova[0]), 0);
			(void)gave(0, DRAIN_PLAIN);
			assert_int_equal(iog_dma_unmap(device, lane, iova[0], RIG_PAGE, IOG_DMA_BIDIRECTIONAL, 0), 0);
			(void)gave(2, DRAIN_PLAIN);
			total++;
			break;
		}
	}
	assert_int_equal(released, total);
	assert_int_equal(given, 2 * total);
	iog_domain_stats(domain, &stats);
	assert_int_equal(stats.deferred + stats.held_bytes + stats.held_entries + stats.iova.live_bytes + stats.quarantined, 0);
	/* As many calls as that takes, at least. */
	assert_true(calls * (IOG_DOMAIN_DRAIN / 2) >= (uint64_t)pages * LANES / 2);
	place_destroy();
	test_free(iova);
}

static void release_call(void *ctx)
{
	(*(uint32_t *)ctx)++;
}

static void map_list(iog_lane_t lane, struct iog_sg *list)
{
	uint32_t mapped_n;

	for (uint32_t n = 0; n < PIECES; n++)
		list[n] = (struct iog_sg){ .paddr = PADDR + 2 * n * RIG_PAGE, .size = RIG_PAGE };
	assert_int_equal(iog_dma_map_sg(place.device, lane, list, PIECES, IOG_DMA_BIDIRECTIONAL, 0, NULL, &mapped_n), 0);
}

/* One unmapping adds what goes far beyond the bound of the ring, as no flush succeeds: the next takes all of that away, and makes room for as much. */
static void one_adds_many(void **state)
{
	static const struct iog_policy *const policies[] = { &iog_policy_magazine, &iog_policy_window };

	(void)state;
	for (uint32_t p = 0; p < 4; p++) {
		struct iog_domain_config config = { .policy = policies[p / 2], .deferred_entries = p % 2 ? 8 : 3000, .held_max = p % 2 ? (PIECES + 4) * RIG_PAGE : UINT64_MAX };
		/* Windows keep addresses themselves. */
		uint64_t added = PIECES + (policies[p / 2] == &iog_policy_magazine);
		struct iog_sg *lists[3];
		uint32_t called = 0;
		iog_iova_t *iova = test_malloc(config.deferred_entries * sizeof(*iova));
		int error;

		place_create(&config);
		for (uint32_t n = 0; n < 3; n++) {
			lists[n] = test_malloc(PIECES * sizeof(*lists[n]));
			map_list(0, lists[n]);
		}
		for (uint32_t n = 0; n < config.deferred_entries; n++)
			assert_int_equal(iog_dma_map(place.device, 0, PADDR, RIG_PAGE, IOG_DMA_BIDIRECTIONAL, 0, &iova[n]), 0);
		silent_unit.silent = true;
		/* As full as it may be without a flush: calls. */
		for (uint32_t n = 0; waiting() + 3 < config.deferred_entries; n++)
			assert_int_equal(iog_dma_unmap_release(place.device, 0, iova[n], RIG_PAGE, IOG_DMA_BIDIRECTIONAL, 0, release_call, &called), 0);
		place.waiting = waiting();
		/* The ring, with as many as one unmapping adds at most, and the unit is silent: it is an error. */
		error = iog_dma_unmap_sg(place.device, 0, lists[0], PIECES, IOG_DMA_BIDIRECTIONAL, 0);
		assert_int_equal(error, -IOG_ETIMEDOUT);
		assert_true(waiting() >= config.deferred_entries + PIECES - 3);
		place.waiting = waiting();
		assert_int_equal(iog_dma_unmap_sg(place.device, 0, lists[1], PIECES, IOG_DMA_BIDIRECTIONAL, 0), -IOG_EAGAIN);
		assert_int_equal(gave(0, 0), 0);
		/* What makes room takes away what is beyond the bound, and little else. */
		silent_unit.silent = false;
		assert_int_equal(iog_dma_unmap_sg(place.device, 0, lists[1], PIECES, IOG_DMA_BIDIRECTIONAL, 0), 0);
		assert_true(gave(added, IOG_DOMAIN_DRAIN_CALL) > PIECES - 8);
		assert_int_equal(iog_dma_unmap_sg(place.device, 0, lists[2], PIECES, IOG_DMA_BIDIRECTIONAL, 0), 0);
		(void)gave(added, IOG_DOMAIN_DRAIN_CALL);
		assert_int_equal(iog_domain_flush(place.domain, 0), 0);
		(void)gave(0, IOG_DOMAIN_DRAIN);
		assert_int_equal(waiting(), 0);
		for (uint32_t n = 0; n < 3; n++)
			test_free(lists[n]);
		test_free(iova);
		place_destroy();
	}
}

/* Bytes that are held are not made room for by giving back all that there is, either: the unmapping waits for hardware instead. */
static void one_needs_much(void **state)
{
	const uint32_t pages = 4000;
	struct iog_domain_config config = { .policy = &iog_policy_magazine, .deferred_entries = 2 * pages + 2, .held_max = pages * RIG_PAGE };
	iog_iova_t *iova = test_malloc(pages * sizeof(*iova)), large;
	uint64_t was;

	(void)state;
	place_create(&config);
	assert_int_equal(iog_dma_map(place.device, 0, PADDR, pages * RIG_PAGE, IOG_DMA_BIDIRECTIONAL, 0, &large), 0);
	for (uint32_t n = 0; n < pages; n++)
		assert_int_equal(iog_dma_map(place.device, 0, PADDR + 2 * n * RIG_PAGE, RIG_PAGE, IOG_DMA_BIDIRECTIONAL, 0, &iova[n]), 0);
	for (uint32_t n = 0; n < pages; n++)
		assert_int_equal(iog_dma_unmap(place.device, 0, iova[n], RIG_PAGE, IOG_DMA_BIDIRECTIONAL, 0), 0);
	place.waiting = waiting();
	assert_int_equal(place.waiting, 2 * pages);
	was = released;
	assert_int_equal(iog_dma_unmap(place.device, 0, large, pages * RIG_PAGE, IOG_DMA_BIDIRECTIONAL, 0), 0);
	/* It has not been held. */
	assert_true(released >= was + pages);
	assert_true(gave(1, IOG_DOMAIN_DRAIN_CALL) > DRAIN_STEP);
	test_free(iova);
	place_destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(held),
		cmocka_unit_test(one_adds_many),
		cmocka_unit_test(one_needs_much),
	};

	return cmocka_run_group_tests_name("inval backlog", tests, NULL, NULL);
}

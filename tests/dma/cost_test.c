/* SPDX-License-Identifier: MIT */
/*
 * Ranges or the whole domain, by what they cost on each unit: as told, as measured by a clock that the unit moves, or not known. And commands that are submitted again.
 */
#include <string.h>

#include <iogate/dma.h>

#include "bed.h"
#include "idle_unit.h"
#include "inval/cost.h"

#define PAGE UINT64_C(4096)

/* A unit whose invalidations take what they are told to, by the platform's clock. */
struct script {
	struct iog_unit unit;
	uint64_t wait, range, domain; /* ns */
	uint64_t ranges, domains;     /* commands */
	uint32_t aborts;              /* of the next waits */
	int error;
};

static _Atomic uint64_t now;

static uint64_t now_ns(void *ctx)
{
	(void)ctx;
	return atomic_load(&now);
}

static int invalidate(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather)
{
	struct script *script = (struct script *)unit;

	(void)id;
	if (gather)
		script->ranges += gather->nr_ranges + gather->nr_tables;
	else
		script->domains++;
	atomic_fetch_add(&now, script->wait + (gather ? (gather->nr_ranges + gather->nr_tables) * script->range : script->domain));
	if (script->aborts) {
		script->aborts--;
		return -IOG_EAGAIN;
	}
	return script->error;
}

static const struct iog_unit_ops ops = { .domain_add = idle_unit_add, .domain_remove = idle_unit_remove, .device_set = idle_unit_set, .invalidate = invalidate };

struct place {
	struct bed bed;
	struct iog_platform platform;
	struct script script;
	struct iog_domain *domain;
	struct iog_device *device;
};

/* The script's costs are set; the unit's as far as the driver is to know them. */
static void place_create(struct place *place, bool clock, uint32_t flags)
{
	struct iog_domain_config config;
	struct iog_device_config device = { .unit = &place->script.unit, .id = 1, .flags = flags };

	bed_create(&place->bed, 1);
	place->platform = place->bed.base;
	place->platform.now_ns = clock ? now_ns : NULL;
	place->script.unit.ops = &ops;
	place->script.unit.platform = &place->platform;
	place->script.unit.domain_ids = 8;
	assert_int_equal(iog_unit_init(&place->script.unit), 0);
	config = bed_config(&place->bed);
	place->domain = bed_domain(&config);
	device.platform = &place->platform;
	assert_int_equal(iog_device_create(&device, &place->device), 0);
	assert_int_equal(iog_domain_attach(place->domain, place->device), 0);
	place->script.ranges = 0;
	place->script.domains = 0;
}

static void place_destroy(struct place *place)
{
	place->script.error = 0;
	assert_int_equal(iog_domain_trim(place->domain, 0), 0);
	assert_int_equal(bed_stats(place->domain).iova.live_bytes, 0);
	assert_int_equal(iog_device_destroy(place->device), 0);
	assert_int_equal(iog_domain_destroy(place->domain), 0);
	assert_int_equal(iog_unit_fini(&place->script.unit), 0);
	bed_destroy(&place->bed);
}

/* A list with gaps: @n ranges in one gather. */
static void unmap_ranges(struct place *place, uint32_t n)
{
	struct domain_lane *lane = &place->domain->lanes[0];
	uintptr_t flags = domain_lane_enter(lane);

	for (uint32_t i = 0; i < n; i++)
		iog_gather_add_range(&lane->gather, (4 * i + 1) * PAGE, (4 * i + 2) * PAGE - 1, PAGE);
	assert_int_equal(iog_gather_flush(&lane->gather), 0);
	domain_lane_exit(lane, flags);
}

/* As the driver says: from how many ranges on is it the domain? */
static void told(void **state)
{
	static const struct {
		uint32_t range, domain, refill, from;
	} costs[] = { { 100, 300, 500, 9 }, { 100, 100, 1, 2 }, { 1000, 500, 0, 3 }, { 10, 1000, 1000, 17 }, { 0, 100, 100, 17 }, { 100, 0, 100, 17 }, { 4000, 100, 100, 1 } };

	(void)state;
	for (uint32_t c = 0; c < sizeof(costs) / sizeof(costs[0]); c++) {
		struct place place = { .script.unit = { .range_ns = costs[c].range, .domain_ns = costs[c].domain, .refill_ns = costs[c].refill } };
		uint64_t widened = 0;

		place_create(&place, false, 0);
		for (uint32_t n = 1; n <= IOG_GATHER_RANGES; n++) {
			place.script.ranges = place.script.domains = 0;
			unmap_ranges(&place, n);
			assert_int_equal(place.script.ranges, n < costs[c].from ? n : 0);
			assert_int_equal(place.script.domains, n >= costs[c].from);
			widened += n >= costs[c].from;
		}
		assert_int_equal(bed_stats(place.domain).widened, widened);
		place_destroy(&place);
	}
}

/* Again, when the unit has been turned on: by a domain that is on it, or else when the next joins. */
static void measured_again(void **state)
{
	struct place place = { .script = { .wait = 0, .range = 0, .domain = 0 } };

	(void)state;
	place_create(&place, true, 0);
	assert_int_equal(place.script.unit.wait_ns, 1);
	place.script.wait = 700;
	place.script.range = 150;
	place.script.domain = 90;
	iog_unit_measure(&place.script.unit, 1);
	assert_int_equal(place.script.unit.wait_ns, 700);
	assert_int_equal(place.script.unit.range_ns, 150);
	assert_int_equal(place.script.unit.domain_ns, 90);
	iog_unit_measure(&place.script.unit, 0);
	assert_int_equal(place.script.unit.wait_ns + place.script.unit.range_ns + place.script.unit.domain_ns, 0);
	place_destroy(&place);
}

/* By a clock: what the driver has not told. */
static void measured(void **state)
{
	(void)state;
	for (uint32_t knows = 0; knows < 3; knows++) {
		struct place place = { .script = { .wait = 700, .range = 150, .domain = 90 } };

		if (knows == 1)
			place.script.unit.range_ns = 77;
		if (knows == 2)
			place.script.error = -IOG_EIO;
		place_create(&place, true, 0);
		assert_int_equal(place.script.unit.range_ns, knows == 0 ? 150 : knows == 1 ? 77 : 0);
		assert_int_equal(place.script.unit.wait_ns, knows == 2 ? 0 : 700);
		assert_int_equal(place.script.unit.domain_ns, knows == 2 ? 0 : 90);
		assert_int_equal(place.script.unit.refill_ns, 0);
		place_destroy(&place);
	}
	{
		struct place place = { .script = { .wait = 700, .range = 150, .domain = 90 } };

		place_create(&place, false, 0);
		assert_int_equal(place.script.unit.range_ns, 0);
		unmap_ranges(&place, 16);
		assert_int_equal(place.script.ranges, 16);
		place_destroy(&place);
	}
}

/* A device that does not come back to an address loses nothing; one that does would. */
static void no_reuse(void **state)
{
	struct place place = { .script.wait = 1 };
	struct iog_device_config config = { .id = 2 };
	struct iog_device *other;

	(void)state;
	place_create(&place, false, IOG_DEVICE_NO_REUSE);
	unmap_ranges(&place, 1);
	assert_int_equal(place.script.domains, 1);
	config.platform = &place.platform;
	config.unit = &place.script.unit;
	assert_int_equal(iog_device_create(&config, &other), 0);
	assert_int_equal(iog_domain_attach(place.domain, other), 0);
	unmap_ranges(&place, 1);
	assert_int_equal(place.script.domains, 1);
	assert_int_equal(place.script.ranges, 1);
	assert_int_equal(iog_device_destroy(other), 0);
	unmap_ranges(&place, 1);
	assert_int_equal(place.script.domains, 2);
	place_destroy(&place);
}

/* Aborted waits: again, and not for ever. */
static void aborted(void **state)
{
	struct place place = { .script.wait = 1 };
	iog_iova_t iova;

	(void)state;
	place_create(&place, false, 0);
	for (uint32_t aborts = 1; aborts <= 20; aborts++) {
		int error;

		assert_int_equal(bed_map(&place.bed, place.domain, 0, PAGE, UINT64_MAX, &iova), 0);
		place.script.aborts = aborts;
		place.script.ranges = 0;
		error = bed_unmap(place.domain, 0, iova, PAGE);
		assert_int_equal(error, aborts <= 8 ? 0 : -IOG_EIO);
		assert_int_equal(place.script.ranges, aborts <= 8 ? aborts + 1 : 9);
		place.script.aborts = 0;
	}
	assert_int_equal(bed_stats(place.domain).quarantined, 12 * PAGE);
	assert_int_equal(iog_domain_flush(place.domain, 0), 0);
	assert_int_equal(bed_stats(place.domain).quarantined, 0);
	place_destroy(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(told),
		cmocka_unit_test(measured),
		cmocka_unit_test(measured_again),
		cmocka_unit_test(no_reuse),
		cmocka_unit_test(aborted),
	};

	return cmocka_run_group_tests_name("dma cost", tests, NULL, NULL);
}

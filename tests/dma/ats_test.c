/* SPDX-License-Identifier: MIT */
/*
 * Devices that keep translations of their own: they are told after their unit, each by itself; one that does not answer is blocked, and nothing it may remember is used again before it
 * has been set anew. The unit is a script: it answers what it is told to, and writes down what it was asked.
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include <iogate/dma.h>

#include "bed.h"
#include "idle_unit.h"

#define PAGE UINT64_C(4096)
#define DEVICES 4

struct script {
	struct iog_unit unit;
	_Atomic uint64_t clock;
	_Atomic uint64_t unit_at, device_at[DEVICES]; /* when it was last asked */
	_Atomic uint64_t asked[DEVICES], blocked[DEVICES], sets[DEVICES];
	_Atomic int unit_error, device_error[DEVICES];
	_Atomic uint32_t device_aborts[DEVICES]; /* as often it has to be asked again */
	_Atomic uint32_t placed[DEVICES]; /* the id it is set to, 0: none */
	_Atomic uint32_t inside[DEVICES];
	_Atomic uint32_t wrong;
	bool whole; /* the last had no gather */
	struct iog_range range;
	uint32_t nr_ranges;
	bool slow;
};

/* Device 0 is lost step by step: each goes on when another thread has come as far. */
static struct {
	atomic_bool is_blocked_late; /* after somebody waits for it, or has set it */
	atomic_bool is_set_late;     /* when it is about to be blocked, and it does not answer until it is about to be set */
	atomic_bool setting, blocking, goes_on;
} slowly;

static void wait_for(const atomic_bool *step)
{
	while (!atomic_load(step))
		sched_yield();
}

static struct script *script_of(struct iog_unit *unit)
{
	return (struct script *)unit;
}

static int set(struct iog_unit *unit, uint32_t device, enum iog_domain_type type, uint32_t id)
{
	struct script *script = script_of(unit);

	if (!device && atomic_load(&slowly.is_set_late)) {
		atomic_store(&slowly.setting, true);
		wait_for(&slowly.blocking);
	}
	atomic_fetch_add(&script->sets[device], 1);
	atomic_store(&script->placed[device], type == IOG_DOMAIN_PAGING ? id : 0);
	if (!device && !atomic_load(&slowly.is_set_late))
		atomic_store(&slowly.goes_on, true);
	return 0;
}

static int invalidate(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather)
{
	struct script *script = script_of(unit);

	(void)id;
	(void)gather;
	atomic_store(&script->unit_at, atomic_fetch_add(&script->clock, 1) + 1);
	return atomic_load(&script->unit_error);
}

static int device_invalidate(struct iog_unit *unit, uint32_t device, const struct iog_gather *gather)
{
	struct script *script = script_of(unit);

	atomic_fetch_add(&script->inside[device], 1);
	atomic_store(&script->device_at[device], atomic_fetch_add(&script->clock, 1) + 1);
	atomic_fetch_add(&script->asked[device], 1);
	if (script->slow)
		sched_yield();
	else if (gather) {
		script->whole = false;
		script->nr_ranges = gather->nr_ranges;
		script->range = gather->ranges[0];
	} else {
		script->whole = true;
	}
	if (!device && atomic_load(&slowly.is_set_late))
		wait_for(&slowly.setting);
	atomic_fetch_sub(&script->inside[device], 1);
	if (atomic_load(&script->device_aborts[device])) {
		atomic_fetch_sub(&script->device_aborts[device], 1);
		return -IOG_EAGAIN;
	}
	return atomic_load(&script->device_error[device]);
}

static int device_block(struct iog_unit *unit, uint32_t device)
{
	if (atomic_load(&slowly.is_blocked_late)) {
		atomic_store(&slowly.blocking, true);
		wait_for(&slowly.goes_on);
	}
	atomic_store(&script_of(unit)->placed[device], 0);
	atomic_fetch_add(&script_of(unit)->blocked[device], 1);
	return 0;
}

static const struct iog_unit_ops ops = { idle_unit_add, idle_unit_remove, set, invalidate, device_invalidate, device_block };
static const struct iog_unit_ops ops_without = { idle_unit_add, idle_unit_remove, set, invalidate, NULL, NULL };

struct place {
	struct bed bed;
	struct script units[2];
	struct iog_domain *domain;
	struct iog_device *devices[DEVICES]; /* 0, 1: with ATS behind unit 0; 2: without, there; 3: with, behind unit 1 */
};

static const uint32_t unit_of[DEVICES] = { 0, 0, 0, 1 };

static void unit_init(struct place *place, struct script *script)
{
	memset(script, 0, sizeof(*script));
	script->unit.ops = &ops;
	script->unit.platform = &place->bed.base;
	script->unit.domain_ids = 8;
	assert_int_equal(iog_unit_init(&script->unit), 0);
}

static void place_create(struct place *place, const struct iog_policy *policy, enum iog_inval_mode mode)
{
	struct iog_domain_config config;

	bed_create(&place->bed, 4);
	config = bed_config(&place->bed);
	config.policy = policy;
	config.mode = mode;
	config.deferred_entries = 16;
	place->domain = bed_domain(&config);
	for (uint32_t n = 0; n < 2; n++)
		unit_init(place, &place->units[n]);
	for (uint32_t n = 0; n < DEVICES; n++) {
		const struct iog_device_config device = {
			.platform = &place->bed.base, .unit = &place->units[unit_of[n]].unit, .id = n, .flags = n == 2 ? 0 : IOG_DEVICE_ATS,
		};

		assert_int_equal(iog_device_create(&device, &place->devices[n]), 0);
		assert_int_equal(iog_domain_attach(place->domain, place->devices[n]), 0);
	}
}

static void place_destroy(struct place *place)
{
	for (uint32_t n = 0; n < DEVICES; n++)
		assert_int_equal(iog_device_destroy(place->devices[n]), 0);
	assert_int_equal(iog_domain_destroy(place->domain), 0);
	for (uint32_t n = 0; n < 2; n++) {
		assert_int_equal(atomic_load(&place->units[n].wrong), 0);
		assert_int_equal(iog_unit_fini(&place->units[n].unit), 0);
	}
	bed_destroy(&place->bed);
}

static iog_iova_t mapped(struct place *place, uint64_t size)
{
	iog_iova_t iova = 0;

	assert_int_equal(iog_dma_map(place->devices[0], 0, place->bed.paddr, size, IOG_DMA_BIDIRECTIONAL, 0, &iova), 0);
	return iova;
}

static int unmapped(struct place *place, iog_iova_t iova, uint64_t size)
{
	return iog_dma_unmap(place->devices[0], 0, iova, size, IOG_DMA_BIDIRECTIONAL, 0);
}

static uint64_t asked(struct place *place, uint32_t device)
{
	return atomic_load(&place->units[unit_of[device]].asked[device]);
}

/* Once each, after the unit, for what the unit was told. */
static void after_the_unit(void **state)
{
	static struct place place;
	iog_iova_t iova;

	(void)state;
	place_create(&place, &iog_policy_window, IOG_INVAL_STRICT);
	iova = mapped(&place, 8 * PAGE);
	assert_int_equal(unmapped(&place, iova, 8 * PAGE), 0);
	for (uint32_t n = 0; n < DEVICES; n++)
		assert_int_equal(asked(&place, n), n != 2);
	assert_true(atomic_load(&place.units[0].device_at[0]) > atomic_load(&place.units[0].unit_at));
	assert_true(atomic_load(&place.units[0].device_at[1]) > atomic_load(&place.units[0].unit_at));
	assert_false(place.units[0].whole);
	assert_int_equal(place.units[0].nr_ranges, 1);
	assert_true(place.units[0].range.first == iova && place.units[0].range.last == iova + 8 * PAGE - 1);
	assert_int_equal(iog_domain_flush(place.domain, 0), 0);
	assert_true(place.units[0].whole);
	/* A unit that has not forgotten teaches the device again: it is not asked, and those behind others are. */
	atomic_store(&place.units[0].unit_error, -IOG_EIO);
	assert_int_equal(iog_domain_flush(place.domain, 0), -IOG_EIO);
	assert_int_equal(asked(&place, 0), 2);
	assert_int_equal(asked(&place, 3), 3);
	atomic_store(&place.units[0].unit_error, 0);
	place_destroy(&place);
}

/* Elsewhere they are not asked. */
static void attached(void **state)
{
	static struct place place;

	(void)state;
	place_create(&place, &iog_policy_tree, IOG_INVAL_DEFERRED);
	assert_int_equal(iog_domain_attach(NULL, place.devices[1]), 0);
	assert_int_equal(iog_domain_flush(place.domain, 0), 0);
	assert_int_equal(asked(&place, 0), 1);
	assert_int_equal(asked(&place, 1), 0);
	assert_int_equal(iog_domain_attach(place.domain, place.devices[1]), 0);
	assert_int_equal(iog_domain_attach(NULL, place.devices[0]), 0);
	assert_int_equal(iog_domain_flush(place.domain, 0), 0);
	assert_int_equal(asked(&place, 0), 1);
	assert_int_equal(asked(&place, 1), 1);
	place_destroy(&place);
}

static void refused(void **state)
{
	static struct place place;
	struct iog_device_config config;
	struct iog_device *device;

	(void)state;
	place_create(&place, &iog_policy_tree, IOG_INVAL_STRICT);
	config = (struct iog_device_config){ .platform = &place.bed.base, .unit = &place.bed.probes[0].unit, .id = 1, .flags = IOG_DEVICE_ATS };
	place.units[1].unit.ops = &ops_without;
	config.unit = &place.units[1].unit;
	assert_int_equal(iog_device_create(&config, &device), -IOG_EOPNOTSUPP);
	config.flags = IOG_DEVICE_NO_REUSE;
	assert_int_equal(iog_device_create(&config, &device), 0);
	assert_int_equal(iog_device_destroy(device), 0);
	place.units[1].unit.ops = &ops;
	place_destroy(&place);
}

/* One does not answer: it is blocked, once; the other is asked all the same; nothing comes back before it was set anew. */
static void lost(void **state)
{
	static const struct iog_policy *const policies[] = { &iog_policy_tree, &iog_policy_window, &iog_policy_pooled };

	(void)state;
	for (uint32_t p = 0; p < 6; p++) {
		static struct place place;
		struct script *unit = &place.units[0];
		bool strict = p & 1;
		iog_iova_t iova, again;
		uint64_t before;

		place_create(&place, policies[p / 2], strict ? IOG_INVAL_STRICT : IOG_INVAL_DEFERRED);
		atomic_store(&unit->device_error[0], -IOG_ETIMEDOUT);
		iova = mapped(&place, 3 * PAGE);
		assert_int_equal(unmapped(&place, iova, 3 * PAGE), strict ? -IOG_ETIMEDOUT : 0);
		if (!strict)
			assert_int_equal(iog_domain_flush(place.domain, 0), -IOG_ETIMEDOUT);
		assert_int_equal(atomic_load(&unit->blocked[0]), 1);
		assert_true(iog_device_is_lost(place.devices[0]));
		assert_false(iog_device_is_lost(place.devices[1]));
		assert_int_equal(bed_stats(place.domain).devices_lost, 1);
		assert_int_equal(asked(&place, 1), 1);
		assert_int_equal(asked(&place, 3), 1);

		/* It is not asked again, and does not come back by itself. */
		atomic_store(&unit->device_error[0], 0);
		assert_int_equal(iog_domain_flush(place.domain, 0), -IOG_ETIMEDOUT);
		assert_int_equal(iog_domain_trim(place.domain, 1), -IOG_ETIMEDOUT);
		assert_int_equal(asked(&place, 0), 1);
		assert_int_equal(atomic_load(&unit->blocked[0]), 1);
		for (uint32_t n = 0; n < 5; n++) {
			again = mapped(&place, 3 * PAGE);
			assert_true(again + 3 * PAGE <= iova || again >= iova + 3 * PAGE);
		}
		before = asked(&place, 1);
		assert_int_equal(iog_domain_flush(place.domain, 0), -IOG_ETIMEDOUT);
		assert_int_equal(asked(&place, 1), before + 1);

		/* Where it is, or away. */
		before = atomic_load(&unit->sets[0]);
		assert_int_equal(iog_domain_attach(p % 3 ? place.domain : NULL, place.devices[0]), 0);
		assert_int_equal(atomic_load(&unit->sets[0]), before + 1);
		assert_false(iog_device_is_lost(place.devices[0]));
		assert_int_equal(iog_domain_flush(place.domain, 0), 0);
		assert_int_equal(bed_stats(place.domain).quarantined, 0);
		assert_int_equal(bed_stats(place.domain).devices_lost, 1);
		place_destroy(&place);
	}
}

/* Another error is an error, and no more; none of those that say that nothing was done. */
static void failed(void **state)
{
	static const int errors[] = { -IOG_EIO, -IOG_EAGAIN, -IOG_ENOENT, -IOG_ENOMEM };
	static struct place place;
	iog_iova_t iova;

	(void)state;
	place_create(&place, &iog_policy_tree, IOG_INVAL_STRICT);
	for (uint32_t n = 0; n < 4; n++) {
		atomic_store(&place.units[1].device_error[3], errors[n]);
		iova = mapped(&place, PAGE);
		assert_int_equal(unmapped(&place, iova, PAGE), -IOG_EIO);
		assert_int_equal(bed_stats(place.domain).unmaps, n + 1);
		assert_int_equal(bed_stats(place.domain).quarantined, PAGE);
		assert_false(iog_device_is_lost(place.devices[3]));
		atomic_store(&place.units[1].device_error[3], 0);
		assert_int_equal(iog_domain_flush(place.domain, 0), 0);
		assert_int_equal(bed_stats(place.domain).quarantined, 0);
	}
	place_destroy(&place);
}

/* A wait that was aborted is nobody's fault: the device is asked again, and no other; a few times, and then it is an error, but the device is not lost. */
static void aborted(void **state)
{
	static struct place place;
	iog_iova_t iova;

	(void)state;
	place_create(&place, &iog_policy_tree, IOG_INVAL_STRICT);
	iova = mapped(&place, PAGE);
	atomic_store(&place.units[0].device_aborts[1], 3);
	assert_int_equal(unmapped(&place, iova, PAGE), 0);
	assert_int_equal(asked(&place, 0), 1);
	assert_int_equal(asked(&place, 1), 4);
	assert_int_equal(asked(&place, 3), 1);
	assert_int_equal(bed_stats(place.domain).quarantined, 0);

	iova = mapped(&place, PAGE);
	atomic_store(&place.units[0].device_aborts[1], 1000000);
	assert_int_equal(unmapped(&place, iova, PAGE), -IOG_EIO);
	assert_true(asked(&place, 1) > 5 && asked(&place, 1) < 100);
	assert_int_equal(asked(&place, 3), 2);
	assert_int_equal(bed_stats(place.domain).quarantined, PAGE);
	assert_false(iog_device_is_lost(place.devices[1]));
	atomic_store(&place.units[0].device_aborts[1], 0);
	assert_int_equal(iog_domain_flush(place.domain, 0), 0);
	assert_int_equal(bed_stats(place.domain).quarantined, 0);

	/* The last of them may be one that it does not answer. */
	iova = mapped(&place, PAGE);
	atomic_store(&place.units[0].device_aborts[1], 2);
	atomic_store(&place.units[0].device_error[1], -IOG_ETIMEDOUT);
	assert_int_equal(unmapped(&place, iova, PAGE), -IOG_ETIMEDOUT);
	assert_true(iog_device_is_lost(place.devices[1]));
	assert_int_equal(iog_domain_attach(NULL, place.devices[1]), 0);
	assert_int_equal(iog_domain_flush(place.domain, 0), 0);
	place_destroy(&place);
}

/* ---- devices come and go while lanes invalidate ---- */

struct worker {
	struct place *place;
	iog_lane_t lane;
};

static atomic_bool stop;

static void *worker_main(void *arg)
{
	struct worker *worker = arg;

	while (!atomic_load(&stop)) {
		if (iog_domain_flush(worker->place->domain, worker->lane))
			atomic_fetch_add(&worker->place->units[0].wrong, 1);
		/* Locks are not fair: devices want their turn, too. */
		nanosleep(&(struct timespec){ .tv_nsec = 50000 }, NULL);
	}
	return NULL;
}

/* Once a device has left nobody is asking it any more. */
static void come_and_go(void **state)
{
	static struct place place;
	struct worker workers[2];
	pthread_t threads[2];

	(void)state;
	place_create(&place, &iog_policy_tree, IOG_INVAL_DEFERRED);
	place.units[0].slow = place.units[1].slow = true;
	atomic_store(&stop, false);
	for (uint32_t n = 0; n < 2; n++) {
		workers[n] = (struct worker){ &place, n + 1 };
		assert_int_equal(pthread_create(&threads[n], NULL, worker_main, &workers[n]), 0);
	}
	for (uint64_t round = kit_scaled(40); round; round--) {
		uint32_t n = (uint32_t)(round % 2);
		uint64_t before;

		assert_int_equal(iog_domain_attach(NULL, place.devices[n]), 0);
		assert_int_equal(atomic_load(&place.units[0].inside[n]), 0);
		before = asked(&place, n);
		assert_int_equal(iog_domain_flush(place.domain, 0), 0);
		assert_int_equal(asked(&place, n), before);
		assert_int_equal(iog_domain_attach(place.domain, place.devices[n]), 0);
		assert_int_equal(iog_domain_flush(place.domain, 0), 0);
		assert_true(asked(&place, n) > before);
	}
	atomic_store(&stop, true);
	for (uint32_t n = 0; n < 2; n++)
		assert_int_equal(pthread_join(threads[n], NULL), 0);
	place_destroy(&place);
}

/* ---- a device is lost while it is attached ---- */

static void *finder_main(void *arg)
{
	struct place *place = arg;

	if (iog_domain_flush(place->domain, 1) != -IOG_ETIMEDOUT)
		atomic_fetch_add(&place->units[0].wrong, 1);
	return NULL;
}

static void somebody_waits(struct bed *bed)
{
	(void)bed;
	atomic_store(&slowly.goes_on, true);
}

static void slowly_begin(struct place *place, bool is_set_late, pthread_t *finder)
{
	place_create(place, &iog_policy_tree, IOG_INVAL_DEFERRED);
	atomic_store(&slowly.setting, false);
	atomic_store(&slowly.blocking, false);
	atomic_store(&slowly.goes_on, false);
	atomic_store(&slowly.is_blocked_late, true);
	atomic_store(&slowly.is_set_late, is_set_late);
	atomic_store(&place->bed.on_relax, somebody_waits);
	atomic_store(&place->units[0].device_error[0], -IOG_ETIMEDOUT);
	assert_int_equal(pthread_create(finder, NULL, finder_main, place), 0);
}

static void slowly_end(struct place *place, pthread_t finder)
{
	assert_int_equal(pthread_join(finder, NULL), 0);
	atomic_store(&slowly.is_blocked_late, false);
	atomic_store(&slowly.is_set_late, false);
	atomic_store(&place->bed.on_relax, NULL);
	atomic_store(&place->units[0].device_error[0], 0);
	assert_int_equal(atomic_load(&place->units[0].blocked[0]), 1);
}

/* One that is known to be lost is set again after whoever found out has blocked it. */
static void blocked_then_set(void **state)
{
	static struct place place;
	pthread_t finder;

	(void)state;
	slowly_begin(&place, false, &finder);
	wait_for(&slowly.blocking);
	assert_true(iog_device_is_lost(place.devices[0]));
	assert_int_equal(iog_domain_attach(place.domain, place.devices[0]), 0);
	slowly_end(&place, finder);
	assert_false(iog_device_is_lost(place.devices[0]));
	assert_int_not_equal(atomic_load(&place.units[0].placed[0]), 0);
	assert_int_equal(iog_domain_flush(place.domain, 0), 0);
	place_destroy(&place);
}

/* One that is lost when it is half on its way elsewhere works there in the end. */
static void lost_on_the_way(void **state)
{
	static struct place place;
	struct iog_domain_config config;
	struct iog_domain *other;
	pthread_t finder;

	(void)state;
	slowly_begin(&place, true, &finder);
	config = bed_config(&place.bed);
	other = bed_domain(&config);
	assert_int_equal(iog_domain_attach(other, place.devices[0]), 0);
	slowly_end(&place, finder);
	assert_false(iog_device_is_lost(place.devices[0]));
	assert_int_not_equal(atomic_load(&place.units[0].placed[0]), 0);
	assert_int_equal(iog_domain_flush(other, 0), 0);
	assert_int_equal(iog_domain_flush(place.domain, 0), 0);
	assert_int_equal(iog_domain_attach(NULL, place.devices[0]), 0);
	assert_int_equal(iog_domain_destroy(other), 0);
	place_destroy(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(after_the_unit),
		cmocka_unit_test(attached),
		cmocka_unit_test(refused),
		cmocka_unit_test(lost),
		cmocka_unit_test(failed),
		cmocka_unit_test(aborted),
		cmocka_unit_test(come_and_go),
		cmocka_unit_test(blocked_then_set),
		cmocka_unit_test(lost_on_the_way),
	};

	return cmocka_run_group_tests_name("dma ats", tests, NULL, NULL);
}

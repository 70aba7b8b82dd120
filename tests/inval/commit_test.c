/* SPDX-License-Identifier: MIT */
/*
 * What modes cost where hardware takes a microsecond to answer: counted in waits and in simulated time. Strict mode for one page a call and for batches, on one lane and on several that
 * share waits; held mode against deferred.
 *
 * The clock is the test's: it moves when every lane that has something to do waits for hardware, so that all else takes no time, and nothing depends on how busy the machine is.
 */
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "rig.h"

#define LANES_MAX 8
#define WAIT_NS 1000
#define RANGE_NS 50
#define TICK_NS 50
/* A lane that has looked at the clock so often since it moved waits for it; after so many more, asleep. */
#define LOOKS 3
#define LOOKS_AWAKE 32
#define PADDR UINT64_C(0x40000000)
/* Deferred and held: unmaps that wait for each other. */
#define ENTRIES 64

static struct {
	pthread_mutex_t lock;
	pthread_cond_t moved, looked;
	uint64_t now;
	uint32_t looks[LANES_MAX]; /* since it moved */
	bool done[LANES_MAX];
} simulated = { .lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER, .looked = PTHREAD_COND_INITIALIZER };
static _Thread_local int self = -1;

static uint64_t now_ns(void *ctx)
{
	uint64_t ns;

	(void)ctx;
	pthread_mutex_lock(&simulated.lock);
	if (self >= 0) {
		if (++simulated.looks[self] == LOOKS)
			pthread_cond_signal(&simulated.looked);
		while (simulated.looks[self] > LOOKS_AWAKE)
			pthread_cond_wait(&simulated.moved, &simulated.lock);
	}
	ns = simulated.now;
	pthread_mutex_unlock(&simulated.lock);
	return ns;
}

struct setup {
	uint32_t lanes;
	uint64_t pages; /* a call */
	bool own_waits;
	enum iog_inval_mode mode;
};

struct result {
	uint64_t pages, waits, shared, ranges, domains, ns, released;
};

static const char *const mode_names[] = { [IOG_INVAL_STRICT] = "strict", [IOG_INVAL_DEFERRED] = "deferred", [IOG_INVAL_HELD] = "held" };

static void release(void *ctx, iog_paddr_t paddr, uint64_t size)
{
	(void)paddr;
	*(uint64_t *)ctx += size / RIG_PAGE;
}

static const struct iog_hold_ops hold_ops = { .release = release };

struct place {
	struct iog_posix *posix;
	struct iog_platform platform;
	struct iog_sim *sim;
	struct iog_tablemem *mem;
	struct iog_domain *domain;
	struct iog_device *device;
	struct setup setup;
	uint64_t calls; /* of each lane */
	_Atomic uint32_t errors;
};

struct lane {
	struct place *place;
	uint32_t number;
};

static void *lane_main(void *arg)
{
	struct lane *lane = arg;
	struct place *place = lane->place;
	uint64_t size = place->setup.pages * RIG_PAGE;

	self = (int)lane->number;
	for (uint64_t n = 0; n < place->calls; n++) {
		iog_iova_t iova;

		if (iog_dma_map(place->device, lane->number, PADDR + lane->number * RIG_MIB, size, IOG_DMA_BIDIRECTIONAL, 0, &iova) ||
		    iog_dma_unmap(place->device, lane->number, iova, size, IOG_DMA_BIDIRECTIONAL, 0))
			atomic_fetch_add(&place->errors, 1);
	}
	pthread_mutex_lock(&simulated.lock);
	simulated.done[lane->number] = true;
	pthread_cond_signal(&simulated.looked);
	pthread_mutex_unlock(&simulated.lock);
	return NULL;
}

/* How many lanes of @lanes are not done, and of them, how many do not wait for the clock. */
static uint32_t busy(uint32_t lanes, uint32_t *awake)
{
	uint32_t nr = 0;

	*awake = 0;
	for (uint32_t n = 0; n < lanes; n++) {
		nr += !simulated.done[n];
		*awake += !simulated.done[n] && simulated.looks[n] < LOOKS;
	}
	return nr;
}

/* Until all lanes are done. */
static void conduct(uint32_t lanes)
{
	uint32_t awake;

	pthread_mutex_lock(&simulated.lock);
	while (busy(lanes, &awake)) {
		if (awake) {
			pthread_cond_wait(&simulated.looked, &simulated.lock);
			continue;
		}
		simulated.now += TICK_NS;
		memset(simulated.looks, 0, sizeof(simulated.looks));
		pthread_cond_broadcast(&simulated.moved);
	}
	pthread_mutex_unlock(&simulated.lock);
}

static struct result run(struct setup setup, uint64_t pages)
{
	const struct iog_sim_config config = { .wait_ns = WAIT_NS, .range_ns = RANGE_NS, .domain_ns = 4000, .flags = setup.own_waits ? IOG_SIM_OWN_WAITS : 0 };
	struct iog_tablemem_config mem = { .lanes = LANES_MAX };
	struct iog_domain_config domain = { .lanes = LANES_MAX, .mode = setup.mode, .deferred_entries = ENTRIES };
	struct iog_device_config device = { .id = 1 };
	struct lane lanes[LANES_MAX];
	pthread_t threads[LANES_MAX];
	struct iog_sim_stats stats;
	struct place place = { .setup = setup, .calls = pages / setup.pages / setup.lanes };
	struct result result = { .released = 0 };
	uint64_t began;

	assert_int_equal(iog_posix_create(NULL, &place.posix), 0);
	place.platform = *iog_posix_platform(place.posix);
	place.platform.now_ns = now_ns;
	assert_int_equal(iog_sim_create(&place.platform, &config, &place.sim), 0);
	iog_sim_observe(place.sim, &place.platform);
	assert_int_equal(iog_tablemem_create(&place.platform, &mem, &place.mem), 0);
	domain.platform = &place.platform;
	domain.pgtable.ops = &iog_vtdss_counted;
	domain.pgtable.tablemem = place.mem;
	/* Of one lane: released where it unmaps. */
	domain.hold = setup.mode == IOG_INVAL_HELD ? &hold_ops : NULL;
	domain.hold_ctx = &result.released;
	assert_int_equal(iog_domain_create(&domain, &place.domain), 0);
	device.platform = &place.platform;
	device.unit = iog_sim_unit(place.sim);
	assert_int_equal(iog_device_create(&device, &place.device), 0);
	assert_int_equal(iog_domain_attach(place.domain, place.device), 0);
	/* The tables, so that what is counted is leaves. */
	for (uint32_t n = 0; n < setup.lanes; n++) {
		iog_iova_t iova;

		assert_int_equal(iog_dma_map(place.device, n, PADDR, RIG_PAGE, IOG_DMA_BIDIRECTIONAL, 0, &iova), 0);
		simulated.looks[n] = 0;
		simulated.done[n] = false;
	}
	iog_sim_stats_take(place.sim, &stats);
	began = simulated.now;
	for (uint32_t n = 0; n < setup.lanes; n++) {
		lanes[n] = (struct lane){ &place, n };
		assert_int_equal(pthread_create(&threads[n], NULL, lane_main, &lanes[n]), 0);
	}
	conduct(setup.lanes);
	for (uint32_t n = 0; n < setup.lanes; n++)
		assert_int_equal(pthread_join(threads[n], NULL), 0);
	result.ns = simulated.now - began;
	iog_sim_stats_take(place.sim, &stats);
	result.pages = place.calls * setup.lanes * setup.pages;
	result.waits = stats.wait_commands;
	result.shared = stats.shared_waits;
	result.ranges = stats.range_commands;
	assert_int_equal(place.errors, 0);
	result.domains = stats.domain_commands;
	assert_int_equal(stats.violations_total, 0);
	assert_int_equal(stats.range_leaf_only, stats.range_commands);
	/* Strict: each call is one range. And every command is served by one wait. */
	assert_int_equal(result.ranges, setup.mode == IOG_INVAL_STRICT ? place.calls * setup.lanes : 0);
	assert_int_equal(result.waits + result.shared, result.ranges + result.domains);
	print_message("%" PRIu32 " lane(s), %2" PRIu64 " page(s) a call, %s%s: %5" PRIu64 " waits, %5" PRIu64 " shared, %6.3f us a page\n", setup.lanes, setup.pages,
		      mode_names[setup.mode], setup.own_waits ? ", own waits" : "", result.waits, result.shared, (double)result.ns / 1000 / (double)result.pages);

	assert_int_equal(iog_device_destroy(place.device), 0);
	assert_int_equal(iog_domain_destroy(place.domain), 0);
	assert_int_equal(iog_tablemem_destroy(place.mem), 0);
	iog_sim_destroy(place.sim);
	iog_posix_destroy(place.posix);
	return result;
}

static void costs(void **state)
{
	const uint64_t pages = (kit_scaled(512) + 511) & ~UINT64_C(511);
	struct result page, batch, two, two_batches, eight, eight_own;

	(void)state;
	page = run((struct setup){ .lanes = 1, .pages = 1 }, pages);
	batch = run((struct setup){ .lanes = 1, .pages = 64 }, pages);
	two = run((struct setup){ .lanes = 2, .pages = 1 }, pages);
	two_batches = run((struct setup){ .lanes = 2, .pages = 64 }, pages);
	eight = run((struct setup){ .lanes = 8, .pages = 1 }, pages);
	eight_own = run((struct setup){ .lanes = 8, .pages = 1, .own_waits = true }, pages);

	/* One page a call: a wait each, and nothing in it but hardware's time. */
	assert_int_equal(page.waits, pages);
	assert_in_range(page.ns, pages * (WAIT_NS + RANGE_NS), pages * (WAIT_NS + RANGE_NS + 3 * TICK_NS));
	/* Batches: a 64th of it. */
	assert_int_equal(batch.waits, pages / 64);
	assert_in_range(batch.ns, pages / 64 * (WAIT_NS + RANGE_NS), pages / 64 * (WAIT_NS + RANGE_NS + 3 * TICK_NS));
	/* Two lanes are never slower than one; a batch is one wait on both. */
	assert_true(two.ns <= page.ns + pages * TICK_NS && two.waits <= pages);
	assert_true(two_batches.ns * 32 <= page.ns && two_batches.waits <= pages / 64);
	/* Eight lanes share: while one wait runs the others queue behind it, and the next serves them all. */
	assert_int_equal(eight_own.waits, pages);
	assert_true(eight.waits * 3 <= eight_own.waits);
	assert_true(eight.ns * 3 <= eight_own.ns);
}

/* Memory that waits costs no more of hardware's time than addresses that do. */
static void held(void **state)
{
	const uint64_t pages = (kit_scaled(2048) + ENTRIES - 1) / ENTRIES * ENTRIES;
	struct result deferred, held;

	(void)state;
	deferred = run((struct setup){ .lanes = 1, .pages = 1, .mode = IOG_INVAL_DEFERRED }, pages);
	held = run((struct setup){ .lanes = 1, .pages = 1, .mode = IOG_INVAL_HELD }, pages);
	assert_in_range(deferred.domains, pages / ENTRIES - 1, pages / ENTRIES + 1);
	assert_in_range(held.domains, pages / ENTRIES - 1, pages / ENTRIES + 1);
	assert_true(held.ns * 10 <= deferred.ns * 11);
	assert_int_equal(held.released, pages);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(costs), cmocka_unit_test(held) };

	return cmocka_run_group_tests_name("inval commit", tests, NULL, NULL);
}

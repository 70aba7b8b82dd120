/* SPDX-License-Identifier: MIT */
/*
 * The AMD-Vi command buffer and event log when things go wrong, and when several lanes are at it.
 */
#include "hw/amdvi_fake.h"

#include <sched.h>

#include "relax.h"
#include "seed.h"

static int invalidate(struct iog_amdvi *amdvi, uint32_t id)
{
	struct iog_unit *unit = iog_amdvi_unit(amdvi);

	return unit->ops->invalidate(unit, id, NULL);
}

static struct iog_amdvi_stats stats_of(struct iog_amdvi *amdvi)
{
	struct iog_amdvi_stats stats;

	iog_amdvi_stats(amdvi, &stats);
	return stats;
}

/* Round and round; every command comes once, in order, and the head is hardly ever asked for. */
static void wraps(void **state)
{
	struct iog_amdvi *amdvi;
	struct fake fake;
	uint64_t reads;

	(void)state;
	fake_init(&fake);
	amdvi = fake_ready(&fake);
	reads = stats_of(amdvi).mmio_reads;
	for (uint32_t n = 0; n < 1000; n++) {
		assert_int_equal(invalidate(amdvi, 1 + n % 2), 0);
		assert_int_equal(fake.logged, 2 * (n + 1));
	}
	for (uint32_t n = 0; n < 1000; n++) {
		assert_int_equal(fake.log[2 * n].low >> 32 & 0xffff, 1 + n % 2);
		assert_int_equal(AMDVI_OPCODE(&fake.log[2 * n + 1]), AMDVI_COMPLETION_WAIT);
		/* Places in the buffer. */
		if (n)
			assert_true(fake.log[2 * n + 1].high == fake.log[2 * n - 1].high + 2);
	}
	/* 2000 slots are 8 rounds of 256. */
	assert_true(stats_of(amdvi).mmio_reads - reads <= 10);
	fake_done(amdvi);
	fake_fini(&fake);
}

/* A wait that is lost: an error in time. What comes late is to nobody, and the next is answered by its own. */
static void lost(void **state)
{
	struct iog_amdvi *amdvi;
	struct fake fake;
	uint64_t before;

	(void)state;
	fake_init(&fake);
	amdvi = fake_ready(&fake);
	fake.lose_waits = 1;
	before = fake.now;
	assert_int_equal(invalidate(amdvi, 1), -IOG_ETIMEDOUT);
	assert_in_range(fake.now - before, 20000000, 40000000);
	assert_int_equal(stats_of(amdvi).timeouts, 1);
	/* Who comes after waits for less long, until there is an answer again. */
	fake.lose_waits = 1;
	before = fake.now;
	assert_int_equal(invalidate(amdvi, 1), -IOG_ETIMEDOUT);
	assert_true(fake.now - before < 5000000);
	/* The answer to the last but one, now that another is in flight. */
	fake.held = true;
	*fake.late_at = fake.late_answer;
	assert_int_equal(invalidate(amdvi, 1), -IOG_ETIMEDOUT);
	fake.held = false;
	assert_int_equal(invalidate(amdvi, 1), 0);
	assert_int_equal(invalidate(amdvi, 1), 0);
	fake_done(amdvi);
	fake_fini(&fake);
}

/* Hardware that takes nothing: the buffer fills up, and then it is full in time, and nothing is overwritten. */
static void full(void **state)
{
	struct iog_amdvi *amdvi;
	struct fake fake;
	uint32_t submitted = 0;

	(void)state;
	fake_init(&fake);
	amdvi = fake_ready(&fake);
	fake.held = true;
	for (uint32_t n = 0; n < 140; n++)
		assert_int_equal(invalidate(amdvi, 1), -IOG_ETIMEDOUT);
	submitted = ((uint32_t)fake.registers[AMDVI_CMD_TAIL / 8] - (uint32_t)fake.registers[AMDVI_CMD_HEAD / 8]) / 16 & 255;
	assert_in_range(submitted, 250, 255);
	fake.held = false;
	fake_run(&fake);
	assert_int_equal(fake.logged, submitted);
	assert_int_equal(invalidate(amdvi, 2), 0);
	assert_true(AMDVI_OPCODE(&fake.log[fake.logged - 1]) == AMDVI_COMPLETION_WAIT && (fake.log[fake.logged - 2].low >> 32 & 0xffff) == 2);
	fake_done(amdvi);
	fake_fini(&fake);
}

/* A command that stops hardware: who waited is told to submit again, by its own calls the driver does so itself, and the buffer goes on. */
static void stopped(void **state)
{
	struct iog_amdvi *amdvi;
	struct iog_unit *unit;
	struct fake fake;

	(void)state;
	fake_init(&fake);
	amdvi = fake_ready(&fake);
	unit = iog_amdvi_unit(amdvi);
	for (uint32_t n = 0; n < 3; n++) {
		fake.stop_at = AMDVI_INVALIDATE_IOMMU_PAGES;
		assert_int_equal(invalidate(amdvi, 1), -IOG_EAGAIN);
		assert_int_equal(stats_of(amdvi).errors, n + 1);
		assert_int_equal(invalidate(amdvi, 1), 0);
	}
	fake.stop_at = AMDVI_INVALIDATE_DEVTAB_ENTRY;
	fake.logged = 0;
	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_PAGING, 1), 0);
	assert_true(fake.logged == 2 && AMDVI_OPCODE(&fake.log[0]) == AMDVI_INVALIDATE_DEVTAB_ENTRY);
	/* It was in the log, too. */
	assert_int_equal(iog_amdvi_interrupt(amdvi), 4);
	/* One that stopped while nobody waited is seen by the interrupt. */
	fake.registers[AMDVI_STATUS / 8] &= ~(uint64_t)AMDVI_CMD_BUF_RUN;
	(void)iog_amdvi_interrupt(amdvi);
	assert_int_equal(stats_of(amdvi).errors, 5);
	assert_true(fake.registers[AMDVI_STATUS / 8] & AMDVI_CMD_BUF_RUN);
	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_BLOCKED, 0), 0);
	fake_done(amdvi);
	fake_fini(&fake);
}

/* An interrupt while the unit is being turned on or off finds a buffer that stands still, and does not set it going. */
static void interrupted(struct fake *fake)
{
	fake->status_seen = NULL;
	(void)iog_amdvi_interrupt(fake->ctx);
}

static void switched(void **state)
{
	struct iog_amdvi *amdvi;
	struct fake fake;

	(void)state;
	fake_init(&fake);
	amdvi = fake_ready(&fake);
	fake.ctx = amdvi;
	fake.status_seen = interrupted;
	assert_int_equal(iog_amdvi_disable(amdvi), 0);
	assert_null(fake.status_seen);
	assert_int_equal(fake.registers[AMDVI_CONTROL / 8] & (AMDVI_CMD_BUF_EN | AMDVI_IOMMU_EN), 0);
	fake.status_seen = interrupted;
	/* What was measured of a unit that does nothing is not what it costs once it is on. */
	iog_unit_measure(iog_amdvi_unit(amdvi), 1);
	assert_int_equal(iog_amdvi_unit(amdvi)->wait_ns, 1000);
	assert_int_equal(iog_amdvi_enable(amdvi), 0);
	assert_null(fake.status_seen);
	assert_int_equal(stats_of(amdvi).errors, 0);
	assert_true(iog_amdvi_unit(amdvi)->wait_ns > 1000);
	fake_done(amdvi);
	fake_fini(&fake);
}

/* The same where it could not be turned on, and is once more. */
static void switched_again(void **state)
{
	struct iog_amdvi *amdvi;
	struct fake fake;

	(void)state;
	fake_init(&fake);
	amdvi = fake_ready(&fake);
	assert_int_equal(iog_amdvi_disable(amdvi), 0);
	fake.held = true;
	assert_int_equal(iog_amdvi_enable(amdvi), -IOG_ETIMEDOUT);
	fake.held = false;
	fake.ctx = amdvi;
	fake.status_seen = interrupted;
	assert_int_equal(iog_amdvi_enable(amdvi), 0);
	assert_null(fake.status_seen);
	assert_int_equal(stats_of(amdvi).errors, 0);
	fake_done(amdvi);
	fake_fini(&fake);
}

/* A unit that is gone: every call ends in time. */
static void gone(void **state)
{
	struct iog_amdvi *amdvi;
	struct fake fake;

	(void)state;
	fake_init(&fake);
	amdvi = fake_ready(&fake);
	fake.gone = true;
	assert_int_equal(invalidate(amdvi, 1), -IOG_ETIMEDOUT);
	assert_int_equal(iog_amdvi_interrupt(amdvi), 0);
	assert_int_equal(iog_amdvi_disable(amdvi), -IOG_ETIMEDOUT);
	assert_int_equal(iog_amdvi_destroy(amdvi), -IOG_EBUSY);
	fake.gone = false;
	assert_int_equal(invalidate(amdvi, 1), 0);
	fake_done(amdvi);
	fake_fini(&fake);
}

/* Lanes that submit at once, while hardware takes commands when it likes and stops now and then: a call that has returned 0 has seen its command carried out. */
#define LANES 4

struct crew {
	struct fake fake;
	struct iog_amdvi *amdvi;
	_Atomic bool over;
	pthread_t looker;
	_Atomic uint32_t carried[LANES];
	uint64_t seed;
};

struct member {
	struct crew *crew;
	uint32_t lane;
	uint32_t again;
	bool wrong;
};

static void *hardware(void *argument)
{
	struct crew *crew = argument;
	struct fake *fake = &crew->fake;
	uint32_t seen = 0;

	while (!atomic_load(&crew->over)) {
		pthread_mutex_lock(&fake->lock);
		fake->held = false;
		if (!(kit_random(&crew->seed) % 512))
			fake->stop_at = AMDVI_INVALIDATE_IOMMU_PAGES;
		fake_run(fake);
		fake->held = true;
		for (; seen < fake->logged; seen++) {
			const struct amdvi_command *command = &fake->log[seen];

			if (AMDVI_OPCODE(command) == AMDVI_INVALIDATE_IOMMU_PAGES && (command->high >> 12) < LANES)
				atomic_fetch_add(&crew->carried[command->high >> 12], 1);
		}
		if (fake->logged > FAKE_LOG / 2) {
			fake->logged = 0;
			seen = 0;
		}
		pthread_mutex_unlock(&fake->lock);
		sched_yield();
	}
	return NULL;
}

static void *lane(void *argument)
{
	struct member *member = argument;
	struct crew *crew = member->crew;
	struct iog_unit *unit = iog_amdvi_unit(crew->amdvi);
	struct iog_gather *gather = calloc(1, sizeof(*gather));
	uint32_t before;
	int error;

	gather->ranges[0] = (struct iog_range){ (uint64_t)member->lane << 12, ((uint64_t)member->lane << 12) + 0xfff };
	gather->nr_ranges = 1;
	for (uint64_t n = 0; n < kit_scaled(200) && !member->wrong; n++) {
		before = atomic_load(&crew->carried[member->lane]);
		while ((error = unit->ops->invalidate(unit, 1, gather)) == -IOG_EAGAIN)
			member->again++;
		/* The hardware thread has answered before it counts: it holds the lock until it has. */
		pthread_mutex_lock(&crew->fake.lock);
		pthread_mutex_unlock(&crew->fake.lock);
		if (error || atomic_load(&crew->carried[member->lane]) == before)
			member->wrong = true;
	}
	free(gather);
	return NULL;
}

static void together(void **state)
{
	struct crew *crew = calloc(1, sizeof(*crew));
	struct iog_amdvi_config config;
	struct member members[LANES];
	struct iog_amdvi_stats stats;
	pthread_t threads[LANES + 1];

	(void)state;
	fake_init(&crew->fake);
	crew->fake.platform.relax = kit_relax;
	crew->seed = kit_seed("amdvi queue");
	config = fake_config(&crew->fake);
	/* Of the fake's clock, which runs by looks. */
	config.timeout_ms = 1000000;
	assert_int_equal(iog_amdvi_create(&config, &crew->amdvi), 0);
	assert_int_equal(iog_amdvi_enable(crew->amdvi), 0);
	crew->fake.logged = 0;
	crew->fake.held = true;
	assert_int_equal(pthread_create(&threads[LANES], NULL, hardware, crew), 0);
	for (uint32_t n = 0; n < LANES; n++) {
		members[n] = (struct member){ .crew = crew, .lane = n };
		assert_int_equal(pthread_create(&threads[n], NULL, lane, &members[n]), 0);
	}
	for (uint32_t n = 0; n < LANES; n++) {
		pthread_join(threads[n], NULL);
		assert_false(members[n].wrong);
	}
	atomic_store(&crew->over, true);
	pthread_join(threads[LANES], NULL);
	crew->fake.held = false;
	crew->fake.stop_at = 0;
	stats = stats_of(crew->amdvi);
	print_message("%u commands, %u waits, %u shared, %u stops\n", (unsigned int)stats.page_commands, (unsigned int)stats.waits, (unsigned int)stats.shared,
		      (unsigned int)stats.errors);
	assert_int_equal(stats.timeouts, 0);
	assert_int_equal(iog_amdvi_disable(crew->amdvi), 0);
	assert_int_equal(iog_amdvi_destroy(crew->amdvi), 0);
	fake_fini(&crew->fake);
	free(crew);
}

/* Rounds that the listener is to take events, and has: relaxed, so that the thread sanitizer sees what the driver itself orders. */
static _Atomic uint32_t rounds_asked, rounds_done;

static void *listener(void *argument)
{
	struct crew *crew = argument;

	while (!atomic_load_explicit(&crew->over, memory_order_relaxed)) {
		uint32_t asked = atomic_load_explicit(&rounds_asked, memory_order_relaxed);

		if (asked == atomic_load_explicit(&rounds_done, memory_order_relaxed)) {
			sched_yield();
			continue;
		}
		(void)iog_amdvi_interrupt(crew->amdvi);
		atomic_store_explicit(&rounds_done, asked, memory_order_relaxed);
	}
	return NULL;
}

static void let_listen(struct fake *fake)
{
	struct crew *crew = fake->ctx;
	uint32_t asked;

	if (!pthread_equal(pthread_self(), crew->looker))
		return;
	asked = atomic_fetch_add_explicit(&rounds_asked, 1, memory_order_relaxed) + 1;
	while (atomic_load_explicit(&rounds_done, memory_order_relaxed) != asked)
		sched_yield();
}

/* Somebody drains the log while a device's silence is looked for in it: it is noted by the time that it is wiped. */
static void silence_shared(void **state)
{
	static struct crew crew;
	struct iog_unit *unit;
	pthread_t thread;

	(void)state;
	memset(&crew, 0, sizeof(crew));
	fake_init(&crew.fake);
	crew.amdvi = fake_ready(&crew.fake);
	unit = iog_amdvi_unit(crew.amdvi);
	assert_int_equal(iog_amdvi_device_ats(crew.amdvi, 0x18, 16), 0);
	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_PAGING, 1), 0);
	crew.looker = pthread_self();
	crew.fake.ctx = &crew;
	assert_int_equal(pthread_create(&thread, NULL, listener, &crew), 0);
	crew.fake.tlb_silent = 0x18;
	crew.fake.tail_seen = let_listen;
	for (uint32_t n = 0; n < 300; n++)
		assert_int_equal(unit->ops->device_invalidate(unit, 0x18, NULL), -IOG_ETIMEDOUT);
	atomic_store(&crew.over, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	crew.fake.tail_seen = NULL;
	crew.fake.tlb_silent = 0;
	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_BLOCKED, 0), 0);
	fake_done(crew.amdvi);
	fake_fini(&crew.fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wraps), cmocka_unit_test(lost), cmocka_unit_test(full), cmocka_unit_test(stopped), cmocka_unit_test(switched), cmocka_unit_test(switched_again), cmocka_unit_test(gone),
		cmocka_unit_test(together), cmocka_unit_test(silence_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

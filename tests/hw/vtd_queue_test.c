/* SPDX-License-Identifier: MIT */
/*
 * The VT-d driver when things go wrong or many come at once: a unit that never answers, a full queue, errors that stop it, lanes that share waits, fault records, a unit that was left on,
 * memory that runs out.
 */
#include <sched.h>
#include <stdio.h>

#include "seed.h"
#include "vtd_fake.h"

#define ID 7

static struct fake fake;

static int invalidate(struct iog_vtd *vtd, uint32_t id)
{
	struct iog_unit *unit = iog_vtd_unit(vtd);

	return unit->ops->invalidate(unit, id, NULL);
}

static int device_set(struct iog_vtd *vtd, enum iog_domain_type type, uint32_t id)
{
	struct iog_unit *unit = iog_vtd_unit(vtd);

	return unit->ops->device_set(unit, FAKE_DEVICE, type, id);
}

static void domain_add(struct iog_vtd *vtd, uint32_t id)
{
	struct iog_pgtable_root root = { .paddr = 0x20000 + 0x1000 * id, .format = "vtdss", .levels = 4, .ias = 48, .oas = 48 };
	struct iog_unit *unit = iog_vtd_unit(vtd);

	assert_int_equal(unit->ops->domain_add(unit, id, &root), 0);
}

static void domain_remove(struct iog_vtd *vtd, uint32_t id)
{
	struct iog_unit *unit = iog_vtd_unit(vtd);

	assert_int_equal(unit->ops->domain_remove(unit, id), 0);
}

static struct iog_vtd_stats stats_of(struct iog_vtd *vtd)
{
	struct iog_vtd_stats stats;

	iog_vtd_stats(vtd, &stats);
	return stats;
}

/* Nothing hangs, nothing is believed, and what comes late is nobody's. */
static void silence(void **state)
{
	struct iog_vtd_config config = { .timeout_ms = 50, .queue_bytes = 4096 };
	struct iog_vtd *vtd;
	uint64_t began, took;
	uint32_t n;

	(void)state;
	fake_init(&fake, FAKE_CAP, FAKE_ECAP);
	vtd = fake_driver(&fake, 0, &config);
	fake.stalled = true;
	began = atomic_load(&fake.now);
	assert_int_equal(invalidate(vtd, ID), -IOG_ETIMEDOUT);
	took = atomic_load(&fake.now) - began;
	assert_in_range(took, 50000000, 60000000);
	/* Others find that out sooner. */
	began = atomic_load(&fake.now);
	assert_int_equal(invalidate(vtd, ID), -IOG_ETIMEDOUT);
	assert_in_range(atomic_load(&fake.now) - began, 1000000, 10000000);
	/* What is in the queue stays there, until it is full. */
	for (n = 2; n < 200; n++)
		assert_int_equal(invalidate(vtd, ID), -IOG_ETIMEDOUT);
	assert_int_equal(fake.logged, 0);
	assert_int_equal(stats_of(vtd).timeouts, 200);
	/* It answers again: all that was submitted is carried out in order, and the next is believed. */
	fake.stalled = false;
	fake_run(&fake);
	assert_int_equal(invalidate(vtd, ID + 1), 0);
	assert_true(fake.logged > 100 && fake.logged < 256);
	assert_int_equal(fake.log[fake.logged - 1].words[0] >> 16 & 0xffff, ID + 1);
	began = atomic_load(&fake.now);
	fake.stalled = true;
	assert_int_equal(invalidate(vtd, ID), -IOG_ETIMEDOUT);
	assert_in_range(atomic_load(&fake.now) - began, 50000000, 60000000);
	fake.stalled = false;

	/* A wait that was carried out and not answered: the next caller does not wait for it. */
	assert_int_equal(invalidate(vtd, ID), 0);
	fake.lose = 1;
	assert_int_equal(invalidate(vtd, ID), -IOG_ETIMEDOUT);
	assert_int_equal(invalidate(vtd, ID), 0);

	/* A device stays where it was, in the tables too, and nothing is lost in the end. */
	domain_add(vtd, ID);
	domain_add(vtd, ID + 1);
	assert_int_equal(device_set(vtd, IOG_DOMAIN_PAGING, ID), 0);
	fake.stalled = true;
	for (n = 0; n < 3; n++)
		assert_int_equal(device_set(vtd, IOG_DOMAIN_PAGING, ID + 1), -IOG_ETIMEDOUT);
	uint64_t *root = fake_at(&fake, fake.root), *table = fake_at(&fake, root[4] & ~UINT64_C(0xfff));
	assert_int_equal(table[2 * 0x19], (0x20000 + 0x1000 * ID) | 1);
	assert_int_equal(iog_vtd_unit(vtd)->ops->device_block(iog_vtd_unit(vtd), FAKE_DEVICE), -IOG_ETIMEDOUT);
	assert_int_equal(table[2 * 0x19] & 1, 0);
	assert_int_equal(iog_vtd_disable(vtd), -IOG_ETIMEDOUT);
	assert_int_equal(iog_vtd_destroy(vtd), -IOG_EBUSY);
	fake.stalled = false;
	assert_int_equal(device_set(vtd, IOG_DOMAIN_BLOCKED, 0), 0);
	domain_remove(vtd, ID);
	domain_remove(vtd, ID + 1);
	fake_driver_end(vtd);
	fake_fini(&fake);
}

/* Ten thousand times around. */
static void wraps(void **state)
{
	struct iog_vtd_config config = { .queue_bytes = 4096 };
	struct iog_vtd *vtd;

	(void)state;
	for (uint32_t scalable = 0; scalable < 2; scalable++) {
		fake_init(&fake, FAKE_CAP, FAKE_ECAP_SCALABLE);
		vtd = fake_driver(&fake, scalable ? IOG_VTD_SCALABLE : 0, &config);
		for (uint32_t n = 0; n < 10000; n++) {
			assert_int_equal(invalidate(vtd, n % 100 + 1), 0);
			assert_int_equal(atomic_load(&fake.by_id[n % 100 + 1]), n / 100 + 1);
		}
		assert_int_equal(stats_of(vtd).waits, stats_of(vtd).domain_commands);
		fake_driver_end(vtd);
		fake_fini(&fake);
	}
}

static void errors(void **state)
{
	struct iog_unit *unit;
	struct iog_vtd *vtd;

	(void)state;
	fake_init(&fake, FAKE_CAP, FAKE_ECAP | VTD_ECAP_DT);
	vtd = fake_driver(&fake, 0, &(struct iog_vtd_config){ .timeout_ms = 20 });
	unit = iog_vtd_unit(vtd);
	domain_add(vtd, ID);
	/* What was measured of a unit that does nothing is not what it costs once it is on. */
	assert_int_equal(iog_vtd_disable(vtd), 0);
	iog_unit_measure(unit, ID);
	assert_int_equal(unit->wait_ns, fake.tick);
	assert_int_equal(iog_vtd_enable(vtd), 0);
	assert_true(unit->wait_ns > fake.tick);
	/* A descriptor that hardware does not understand, and the queue stops: the caller is to submit it again, and that works. */
	for (uint32_t n = 1; n < 3; n++) {
		fake.choke = n;
		assert_int_equal(invalidate(vtd, ID), -IOG_EAGAIN);
		assert_int_equal(stats_of(vtd).errors, n);
		assert_int_equal(fake_get32(&fake, VTD_FSTS), 0);
		assert_int_equal(invalidate(vtd, ID), 0);
	}
	/* Where the caller is the driver, it does that. */
	assert_int_equal(device_set(vtd, IOG_DOMAIN_PAGING, ID), 0);
	fake.choke = 2;
	assert_int_equal(device_set(vtd, IOG_DOMAIN_BLOCKED, 0), 0);
	assert_int_equal(stats_of(vtd).errors, 3);
	/* Found by the interrupt. */
	fake.choke = 1;
	fake.stalled = true;
	assert_int_equal(invalidate(vtd, ID), -IOG_ETIMEDOUT);
	fake.stalled = false;
	fake_run(&fake);
	assert_int_equal(fake_get32(&fake, VTD_FSTS), VTD_FSTS_IQE);
	assert_int_equal(iog_vtd_interrupt(vtd), 0);
	assert_int_equal(fake_get32(&fake, VTD_FSTS), 0);
	assert_int_equal(invalidate(vtd, ID), 0);
	assert_int_equal(stats_of(vtd).errors, 4);

	/* A device that does not answer: its caller is told so. Another device, and the unit, go on. */
	assert_int_equal(iog_vtd_device_ats(vtd, FAKE_DEVICE, 8), 0);
	assert_int_equal(iog_vtd_device_ats(vtd, FAKE_DEVICE + 1, 8), 0);
	fake.choke = 1;
	assert_int_equal(unit->ops->device_invalidate(unit, FAKE_DEVICE, NULL), -IOG_EAGAIN);
	assert_int_equal(unit->ops->device_invalidate(unit, FAKE_DEVICE, NULL), 0);
	fake.mute_sid = FAKE_SID;
	assert_int_equal(unit->ops->device_invalidate(unit, FAKE_DEVICE, NULL), -IOG_ETIMEDOUT);
	assert_int_equal(unit->ops->device_invalidate(unit, FAKE_DEVICE + 1, NULL), 0);
	assert_int_equal(invalidate(vtd, ID), 0);
	/* It was not let in either: its translations could not be made to go. */
	assert_int_equal(device_set(vtd, IOG_DOMAIN_PAGING, ID), -IOG_ETIMEDOUT);
	fake.mute_sid = 0;
	domain_remove(vtd, ID);
	fake_driver_end(vtd);
	fake_fini(&fake);
}

/* A device is blocked while it is being set: it stays so until it is set again. */
static pthread_t blocker;
static bool blocker_ran;

static uint64_t *context_of(uint32_t scalable)
{
	uint64_t *root = fake_at(&fake, fake.root & ~UINT64_C(0xfff)), *table = fake_at(&fake, root[4] & ~UINT64_C(0xfff));

	return table + 0x19 * (scalable ? 4 : 2);
}

static void *block(void *unit)
{
	assert_int_equal(((struct iog_unit *)unit)->ops->device_block(unit, FAKE_DEVICE), 0);
	return NULL;
}

static struct iog_unit *blocked_unit;
static uint32_t blocked_scalable;

static void block_now(struct fake *this)
{
	this->seen = NULL;
	blocker_ran = true;
	assert_int_equal(pthread_create(&blocker, NULL, block, blocked_unit), 0);
	/* Until it says so; that hardware forgets waits for this command. */
	while (__atomic_load_n(context_of(blocked_scalable), __ATOMIC_RELAXED) & 1)
		sched_yield();
}

static void blocked_meanwhile(void **state)
{
	(void)state;
	for (uint32_t scalable = 0; scalable < 2; scalable++) {
		/* Of a clock that runs by looks. */
		struct iog_vtd_config config = { .timeout_ms = 3600000 };
		struct iog_vtd *vtd;

		fake_init(&fake, FAKE_CAP, FAKE_ECAP_SCALABLE | VTD_ECAP_DT);
		vtd = fake_driver(&fake, scalable ? IOG_VTD_SCALABLE : 0, &config);
		domain_add(vtd, ID);
		assert_int_equal(device_set(vtd, IOG_DOMAIN_IDENTITY, 0), 0);
		assert_int_equal(iog_vtd_device_ats(vtd, FAKE_DEVICE, 8), 0);
		blocked_unit = iog_vtd_unit(vtd);
		blocked_scalable = scalable;
		/* What its TLB had from others goes first; that is when it comes. */
		fake.seen = block_now;
		blocker_ran = false;
		assert_int_equal(device_set(vtd, IOG_DOMAIN_PAGING, ID), 0);
		assert_true(blocker_ran);
		pthread_join(blocker, NULL);
		assert_int_equal(context_of(scalable)[0] & 1, 0);
		assert_int_equal(device_set(vtd, IOG_DOMAIN_PAGING, ID), 0);
		assert_int_equal(context_of(scalable)[0] & 1, 1);
		assert_int_equal(device_set(vtd, IOG_DOMAIN_BLOCKED, 0), 0);
		domain_remove(vtd, ID);
		fake_driver_end(vtd);
		fake_fini(&fake);
	}
}

struct crowd {
	struct iog_vtd *vtd;
	uint32_t lane;
	uint32_t rounds;
	uint64_t seed;
	bool trouble;
	bool wrong;
};

/* Of all lanes: calls whose commands were lost with others', and that were made again. */
static _Atomic uint32_t crowd_again;

/* A lane that has been told 0 finds its commands carried out. */
static void *crowd_lane(void *ctx)
{
	struct crowd *crowd = ctx;
	uint32_t id = crowd->lane + 1, mine = 0;

	/* Trouble finds commands of others in the queue sooner or later. */
	for (uint32_t n = 0; n < crowd->rounds || (crowd->trouble && !atomic_load(&crowd_again)); n++) {
		int error = -IOG_EAGAIN;

		mine++;
		while (error == -IOG_EAGAIN) {
			error = invalidate(crowd->vtd, id);
			if (error == -IOG_EAGAIN)
				atomic_fetch_add(&crowd_again, 1);
		}
		crowd->wrong |= error || atomic_load(&fake.by_id[id]) < mine;
		/* Those that were submitted again may have been carried out more often. */
		mine = atomic_load(&fake.by_id[id]);
		if (kit_random(&crowd->seed) % 8 == 0)
			sched_yield();
		if (crowd->trouble && kit_random(&crowd->seed) % 64 == 0) {
			pthread_mutex_lock(&fake.lock);
			fake.choke = 1 + (uint32_t)(kit_random(&crowd->seed) % 3);
			pthread_mutex_unlock(&fake.lock);
		}
	}
	return NULL;
}

/* Hardware that reads its queue when it comes to it. */
static _Atomic bool crowd_over;

static void *crowd_hardware(void *ctx)
{
	(void)ctx;
	while (!atomic_load(&crowd_over)) {
		pthread_mutex_lock(&fake.lock);
		fake.stalled = false;
		pthread_mutex_unlock(&fake.lock);
		fake_run(&fake);
		pthread_mutex_lock(&fake.lock);
		fake.stalled = true;
		pthread_mutex_unlock(&fake.lock);
		sched_yield();
	}
	pthread_mutex_lock(&fake.lock);
	fake.stalled = false;
	pthread_mutex_unlock(&fake.lock);
	fake_run(&fake);
	return NULL;
}

#define LANES 4

static void crowds(void **state)
{
	uint64_t seed = kit_seed("crowds");
	struct crowd lanes[LANES];
	pthread_t threads[LANES], hardware;

	(void)state;
	for (uint32_t trouble = 0; trouble < 2; trouble++) {
		struct iog_vtd_config config = { .queue_bytes = 4096, .timeout_ms = 3600000 };
		struct iog_vtd *vtd;

		fake_init(&fake, FAKE_CAP, FAKE_ECAP);
		vtd = fake_driver(&fake, 0, &config);
		atomic_store(&crowd_over, false);
		atomic_store(&crowd_again, 0);
		fake.stalled = true;
		for (uint32_t n = 0; n < LANES; n++) {
			lanes[n] = (struct crowd){ .vtd = vtd, .lane = n, .rounds = (uint32_t)kit_scaled(200), .seed = kit_random(&seed), .trouble = trouble };
			assert_int_equal(pthread_create(&threads[n], NULL, crowd_lane, &lanes[n]), 0);
		}
		assert_int_equal(pthread_create(&hardware, NULL, crowd_hardware, NULL), 0);
		for (uint32_t n = 0; n < LANES; n++) {
			pthread_join(threads[n], NULL);
			assert_false(lanes[n].wrong);
		}
		atomic_store(&crowd_over, true);
		pthread_join(hardware, NULL);
		printf("%u waits for %u calls, %u by others', %u again\n", (uint32_t)stats_of(vtd).waits, LANES * lanes[0].rounds, (uint32_t)stats_of(vtd).shared, atomic_load(&crowd_again));
		assert_true(stats_of(vtd).shared > 0);
		assert_int_equal(!atomic_load(&crowd_again), !trouble);
		fake.choke = 0;
		fake_driver_end(vtd);
		fake_fini(&fake);
	}
}

struct heard {
	struct iog_fault last;
	uint32_t told;
};

static void hear(void *ctx, struct iog_unit *unit, const struct iog_fault *fault)
{
	struct heard *heard = ctx;

	assert_non_null(unit);
	heard->last = *fault;
	heard->told++;
}

#define RECORD(sid, reason, bits) ((uint64_t)(sid) | (uint64_t)(reason) << 32 | (bits))
#define T1 (UINT64_C(1) << 62)

static void faults(void **state)
{
	static const struct {
		uint64_t low, high;
		struct iog_fault fault;
	} records[] = {
		{ 0x7f1234567000, RECORD(FAKE_SID, 6, T1), { .iova = 0x7f1234567000, .pasid = IOG_PASID_NONE, .access = IOG_PROT_READ | IOG_FAULT_PAGE, .reason = IOG_FAULT_REASON_PERMISSION } },
		{ 0x1000, RECORD(FAKE_SID, 5, 0), { .iova = 0x1000, .pasid = IOG_PASID_NONE, .access = IOG_PROT_WRITE | IOG_FAULT_PAGE, .reason = IOG_FAULT_REASON_PERMISSION } },
		{ 0x1000, RECORD(FAKE_SID, 2, 0), { .iova = 0x1000, .pasid = IOG_PASID_NONE, .access = IOG_PROT_WRITE | IOG_FAULT_PAGE, .reason = IOG_FAULT_REASON_NO_DEVICE } },
		{ 0x2000, RECORD(FAKE_SID, 0x71, T1 | UINT64_C(1) << 31 | UINT64_C(0x12345) << 40 | UINT64_C(1) << 30 | UINT64_C(1) << 29),
		  { .iova = 0x2000, .pasid = 0x12345, .access = IOG_PROT_READ | IOG_PROT_EXEC | IOG_FAULT_PRIVILEGED | IOG_FAULT_PAGE, .reason = IOG_FAULT_REASON_NOT_PRESENT } },
		{ UINT64_C(0x1234) << 48, RECORD(FAKE_SID, 0x22, 0), { .iova = 0x1234, .pasid = IOG_PASID_NONE, .reason = IOG_FAULT_REASON_INTERRUPT } },
		{ 0x1000, RECORD(FAKE_SID, 0xd, T1 | UINT64_C(2) << 60), { .iova = 0x1000, .pasid = IOG_PASID_NONE, .access = IOG_PROT_READ | IOG_FAULT_TRANSLATED | IOG_FAULT_PAGE,
									   .reason = IOG_FAULT_REASON_PERMISSION } },
		/* A page request in legacy mode; accessed and dirty bits that cannot be set, of the second stage and of the first. */
		{ 0x1000, RECORD(FAKE_SID, 0x32, 0), { .iova = 0x1000, .pasid = IOG_PASID_NONE, .access = IOG_PROT_WRITE | IOG_FAULT_PAGE, .reason = IOG_FAULT_REASON_PERMISSION } },
		{ 0x1000, RECORD(FAKE_SID, 0x7c, 0), { .iova = 0x1000, .pasid = IOG_PASID_NONE, .access = IOG_PROT_WRITE | IOG_FAULT_PAGE, .reason = IOG_FAULT_REASON_WALK } },
		{ 0x1000, RECORD(FAKE_SID, 0x90, 0), { .iova = 0x1000, .pasid = IOG_PASID_NONE, .access = IOG_PROT_WRITE | IOG_FAULT_PAGE, .reason = IOG_FAULT_REASON_WALK } },
		{ 0x1000, RECORD(FAKE_SID, 0x91, 0), { .iova = 0x1000, .pasid = IOG_PASID_NONE, .access = IOG_PROT_WRITE | IOG_FAULT_PAGE, .reason = IOG_FAULT_REASON_WALK } },
		{ 0x1000, RECORD(FAKE_SID, 0xff, 0), { .iova = 0x1000, .pasid = IOG_PASID_NONE, .access = IOG_PROT_WRITE | IOG_FAULT_PAGE, .reason = IOG_FAULT_REASON_OTHER } },
	};
	struct heard heard = { .told = 0 };
	struct iog_vtd_config config = { .faults = { .fn = hear, .ctx = &heard, .per_device = 5 } };
	struct iog_fault_counts counts;
	struct iog_vtd *vtd;

	(void)state;
	fake_init(&fake, FAKE_CAP, FAKE_ECAP);
	/* What was recorded before it came is nobody's. */
	fake_fault(&fake, 2, 0x1000, RECORD(1, 2, 0));
	fake.tick = 400000000;
	vtd = fake_driver(&fake, 0, &config);
	assert_int_equal(iog_vtd_interrupt(vtd), 0);
	for (uint32_t n = 0; n < sizeof(records) / sizeof(records[0]); n++) {
		fake_fault(&fake, n % FAKE_RECORDS, records[n].low, records[n].high);
		assert_int_equal(iog_vtd_interrupt(vtd), 1);
		assert_int_equal(heard.told, n + 1);
		assert_int_equal(heard.last.device, FAKE_DEVICE);
		assert_int_equal(heard.last.pasid, records[n].fault.pasid);
		assert_int_equal(heard.last.iova, records[n].fault.iova);
		assert_int_equal(heard.last.access, records[n].fault.access);
		assert_int_equal(heard.last.reason, records[n].fault.reason);
		assert_int_equal(heard.last.code, records[n].high >> 32 & 0xff);
		assert_true(heard.last.text && *heard.last.text);
		assert_int_equal(iog_vtd_interrupt(vtd), 0);
	}
	/* Around the ring from where the unit says that it began, and an overflow, after which it records again. */
	heard.told = 0;
	fake.tick = 1;
	for (uint32_t n = 0; n < FAKE_RECORDS; n++)
		fake_fault(&fake, (3 + n) % FAKE_RECORDS, UINT64_C(4096) * n, RECORD(0x100 + n, 2, 0));
	fake_set32(&fake, VTD_FSTS, fake_get32(&fake, VTD_FSTS) | VTD_FSTS_PFO);
	assert_int_equal(iog_vtd_interrupt(vtd), FAKE_RECORDS);
	assert_int_equal(heard.told, FAKE_RECORDS);
	assert_int_equal(heard.last.device, 0x103);
	assert_int_equal(fake_get32(&fake, VTD_FSTS) & (VTD_FSTS_PFO | VTD_FSTS_PPF), 0);
	/* The register that the unit began with was freed by an earlier call that stopped before the others. */
	fake_fault(&fake, 2, 0x7000, RECORD(0x104, 2, 0));
	fake_set32(&fake, VTD_FSTS, 0 << 8 | VTD_FSTS_PPF);
	assert_int_equal(iog_vtd_interrupt(vtd), 1);
	assert_int_equal(heard.last.device, 0x104);
	/* A flood: few are told, all are counted, and another device is heard. */
	heard.told = 0;
	for (uint32_t n = 0; n < 1000; n++) {
		fake_fault(&fake, n % FAKE_RECORDS, 0x5000, RECORD(0x666, 5, 0));
		assert_int_equal(iog_vtd_interrupt(vtd), 1);
	}
	assert_int_equal(heard.told, 5);
	fake_fault(&fake, 0, 0x6000, RECORD(0x667, 5, 0));
	assert_int_equal(iog_vtd_interrupt(vtd), 1);
	assert_int_equal(heard.told, 6);
	assert_int_equal(heard.last.device, 0x667);
	iog_vtd_device_faults(vtd, 0x666, &counts);
	assert_int_equal(counts.seen, 1000);
	assert_int_equal(counts.untold, 995);
	assert_int_equal(stats_of(vtd).faults.overflows, 1);
	/* A unit that has gone away says nothing. */
	fake.gone = true;
	assert_int_equal(iog_vtd_interrupt(vtd), 0);
	fake.gone = false;
	fake_driver_end(vtd);
	fake_fini(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silence),
		cmocka_unit_test(wraps),
		cmocka_unit_test(errors),
		cmocka_unit_test(blocked_meanwhile),
		cmocka_unit_test(crowds),
		cmocka_unit_test(faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

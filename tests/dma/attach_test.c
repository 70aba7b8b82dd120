/* SPDX-License-Identifier: MIT */
/*
 * Devices move: several units, groups, failing units, and other lanes that unmap meanwhile.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "bed.h"

#define LIMIT UINT64_MAX

/* One domain, devices behind all units: each is told of every invalidation, none after its last device has left. */
static void fan_out(void **state)
{
	struct iog_domain_config config;
	struct iog_device *devices[BED_UNITS], *second;
	struct iog_domain *domain;
	iog_iova_t iova;
	struct bed bed;

	(void)state;
	bed_create(&bed, 1);
	config = bed_config(&bed);
	domain = bed_domain(&config);
	for (uint32_t n = 0; n < BED_UNITS; n++)
		devices[n] = bed_device(&bed, n, 5, NULL);
	second = bed_device(&bed, 1, 6, NULL);

	for (uint32_t joined = 0; joined <= BED_UNITS; joined++) {
		if (joined)
			assert_int_equal(iog_domain_attach(domain, devices[joined - 1]), 0);
		for (uint32_t n = 0; n < BED_UNITS; n++) {
			atomic_store(&bed.probes[n].ranges, 0);
			atomic_store(&bed.probes[n].domains, 0);
		}
		assert_int_equal(bed_map(&bed, domain, 0, 8192, LIMIT, &iova), 0);
		for (uint32_t n = 0; n < joined; n++) {
			bed_note_map(&bed, n, 5, iova, 8192);
			assert_true(bed_lands(&bed, n, 5, iova));
			bed_note_unmap(&bed, n, 5, iova, 8192);
		}
		assert_int_equal(bed_unmap(domain, 0, iova, 8192), 0);
		assert_int_equal(iog_domain_flush(domain, 0), 0);
		for (uint32_t n = 0; n < BED_UNITS; n++) {
			assert_int_equal(bed.probes[n].ranges, n < joined);
			assert_int_equal(bed.probes[n].domains, n < joined);
			assert_false(bed_lands(&bed, n, 5, iova));
		}
	}

	/* The unit stays for its second device, and is joined once only. */
	assert_int_equal(iog_domain_attach(domain, second), 0);
	assert_int_equal(bed.probes[1].adds, 1);
	assert_int_equal(iog_domain_attach(NULL, devices[1]), 0);
	assert_int_equal(bed.probes[1].removes, 0);
	assert_int_equal(iog_domain_attach(NULL, second), 0);
	assert_int_equal(bed.probes[1].removes, 1);
	atomic_store(&bed.probes[1].domains, 0);
	assert_int_equal(iog_domain_flush(domain, 0), 0);
	assert_int_equal(bed.probes[1].domains, 0);
	assert_int_equal(bed.probes[0].unit.domains, 1);
	assert_int_equal(iog_unit_fini(&bed.probes[0].unit), -IOG_EBUSY);

	for (uint32_t n = 0; n < BED_UNITS; n++)
		assert_int_equal(iog_device_destroy(devices[n]), 0);
	assert_int_equal(iog_device_destroy(second), 0);
	assert_int_equal(iog_domain_destroy(domain), 0);
	bed_destroy(&bed);
}

static void devices_malformed(void **state)
{
	struct iog_device_config config;
	struct iog_device *device = NULL, *other = NULL;
	struct iog_group *group;
	struct bed bed;

	(void)state;
	bed_create(&bed, 1);
#define EXPECT(error, ...)                                                                                                         \
	do {                                                                                                                       \
		config = (struct iog_device_config){ .platform = &bed.base, .unit = &bed.probes[0].unit, .id = 1 };                \
		__VA_ARGS__;                                                                                                       \
		assert_int_equal(iog_device_create(&config, &device), (error));                                                    \
		if (!(error)) {                                                                                                    \
			assert_int_equal(iog_device_destroy(device), 0);                                                           \
			device = NULL;                                                                                             \
		}                                                                                                                  \
	} while (0)
	EXPECT(-IOG_EINVAL, config.platform = NULL);
	EXPECT(-IOG_EINVAL, config.unit = NULL);
	EXPECT(-IOG_EINVAL, config.dma_bits = 11);
	EXPECT(-IOG_EINVAL, config.dma_bits = 65);
	EXPECT(-IOG_EINVAL, config.flags = 32);
	EXPECT(-IOG_EINVAL, config.segment_boundary = 0x3000);
	EXPECT(0, config.dma_bits = 12; config.flags = 7; config.segment_boundary = 0x4000);
#undef EXPECT
	assert_int_equal(iog_device_create(&config, &device), 0);
	assert_int_equal(device->limit, 0xfff);
	config.dma_bits = 64;
	assert_int_equal(iog_device_create(&config, &other), -IOG_EEXIST);
	config.id = 2;
	assert_int_equal(iog_device_create(&config, &other), 0);
	assert_int_equal(other->limit, UINT64_MAX);
	assert_int_equal(iog_device_destroy(other), 0);

	assert_int_equal(iog_group_create(NULL, &group), -IOG_EINVAL);
	assert_int_equal(iog_group_create(&bed.base, &group), 0);
	config.group = group;
	assert_int_equal(iog_device_create(&config, &other), 0);
	assert_int_equal(iog_group_destroy(group), -IOG_EBUSY);
	assert_int_equal(iog_device_destroy(other), 0);
	/* A unit that fails leaves neither device nor id behind. */
	atomic_store(&bed.probes[0].fail_set, -IOG_ETIMEDOUT);
	config.id = 3;
	other = NULL;
	assert_int_equal(iog_device_create(&config, &other), -IOG_ETIMEDOUT);
	config.group = NULL;
	assert_int_equal(iog_device_create(&config, &other), -IOG_ETIMEDOUT);
	assert_null(other);
	assert_int_equal(iog_device_destroy(device), -IOG_ETIMEDOUT);
	atomic_store(&bed.probes[0].fail_set, 0);
	assert_int_equal(iog_device_create(&config, &other), 0);
	assert_int_equal(iog_device_destroy(other), 0);
	assert_int_equal(iog_device_destroy(device), 0);
	assert_int_equal(iog_device_destroy(NULL), 0);
	assert_int_equal(iog_group_destroy(group), 0);
	assert_int_equal(iog_group_destroy(NULL), 0);
	bed_destroy(&bed);
}

/* What a unit cannot walk is refused before anything is done. */
static void not_walkable(void **state)
{
	struct iog_domain_config config;
	struct iog_domain *domain;
	struct iog_device *device;
	struct bed bed;

	(void)state;
	bed_create(&bed, 1);
	config = bed_config(&bed);
	domain = bed_domain(&config);
	device = bed_device(&bed, 0, 1, NULL);
	bed.probes[0].unit.ias = 39;
	assert_int_equal(iog_domain_attach(domain, device), -IOG_EOPNOTSUPP);
	bed.probes[0].unit.ias = 48;
	bed.probes[0].unit.oas = 46;
	assert_int_equal(iog_domain_attach(domain, device), -IOG_EOPNOTSUPP);
	bed.probes[0].unit.oas = 52;
	bed.probes[0].unit.pgtable_flags = IOG_PGTABLE_FLUSH_ON_MAP;
	assert_int_equal(iog_domain_attach(domain, device), -IOG_EOPNOTSUPP);
	bed.probes[0].unit.pgtable_flags = 0;
	assert_int_equal(bed.probes[0].adds, 0);
	assert_null(iog_device_domain(device));
	assert_int_equal(iog_domain_attach(domain, device), 0);
	assert_int_equal(iog_device_destroy(device), 0);
	assert_int_equal(iog_domain_destroy(domain), 0);
	bed_destroy(&bed);
}

/* More domains than ids, more units than places; an id rests, and comes back. */
static void exhausted(void **state)
{
	struct iog_domain *domains[BED_IDS + 1];
	struct iog_device *devices[BED_IDS + 1];
	struct iog_domain_config config;
	struct iog_device *other;
	struct bed bed;

	(void)state;
	bed_create(&bed, 1);
	config = bed_config(&bed);
	config.units_max = 1;
	for (uint32_t n = 0; n <= BED_IDS; n++) {
		domains[n] = bed_domain(&config);
		devices[n] = bed_device(&bed, 0, n, NULL);
		assert_int_equal(iog_domain_attach(domains[n], devices[n]), n < BED_IDS ? 0 : -IOG_ENOSPC);
	}
	assert_null(iog_device_domain(devices[BED_IDS]));
	assert_int_equal(iog_domain_attach(NULL, devices[7]), 0);
	assert_int_equal(iog_domain_attach(domains[BED_IDS], devices[BED_IDS]), 0);

	other = bed_device(&bed, 1, 0, NULL);
	assert_int_equal(iog_domain_attach(domains[0], other), -IOG_ENOSPC);
	assert_int_equal(iog_domain_attach(domains[7], other), 0);

	/* A unit that does not forget a domain: its id is never used again. */
	atomic_store(&bed.probes[0].fail_remove, -IOG_ETIMEDOUT);
	assert_int_equal(iog_domain_attach(NULL, devices[3]), 0);
	atomic_store(&bed.probes[0].fail_remove, 0);
	assert_int_equal(bed.probes[0].unit.lost_ids, 1);
	assert_int_equal(iog_domain_attach(domains[3], devices[3]), -IOG_ENOSPC);

	for (uint32_t n = 0; n <= BED_IDS; n++)
		assert_int_equal(iog_device_destroy(devices[n]), 0);
	assert_int_equal(iog_device_destroy(other), 0);
	for (uint32_t round = 0; round < 3 * BED_IDS; round++) {
		other = bed_device(&bed, 0, 0, NULL);
		assert_int_equal(iog_domain_attach(domains[0], other), 0);
		assert_int_equal(iog_device_destroy(other), 0);
	}
	for (uint32_t n = 0; n <= BED_IDS; n++)
		assert_int_equal(iog_domain_destroy(domains[n]), 0);
	bed_destroy(&bed);
}

/* A group of three behind two units moves whole or not at all, whatever fails. */
static void group_rollback(void **state)
{
	struct iog_device *devices[3], *late;
	struct iog_domain *domains[2];
	struct iog_domain_config config;
	struct iog_group *group;
	iog_iova_t iova[2];
	struct bed bed;

	(void)state;
	bed_create(&bed, 1);
	config = bed_config(&bed);
	assert_int_equal(iog_group_create(&bed.base, &group), 0);
	for (uint32_t n = 0; n < 2; n++) {
		domains[n] = bed_domain(&config);
		/* Addresses of one domain are not the other's. */
		for (uint32_t pages = 0; pages <= n; pages++)
			assert_int_equal(bed_map(&bed, domains[n], 0, 4096, LIMIT, &iova[n]), 0);
	}
	assert_int_not_equal(iova[0], iova[1]);
	for (uint32_t n = 0; n < 3; n++)
		devices[n] = bed_device(&bed, n > 0, n, group);

	for (uint32_t from = 0; from < 2; from++) {
		struct iog_domain *former = from ? domains[0] : NULL, *wanted = domains[from];

		for (uint32_t failure = 0; failure < 6; failure++) {
			struct probe *probe = &bed.probes[failure & 1];
			int expected = -IOG_ETIMEDOUT;

			switch (failure / 2) {
			case 0:
				atomic_store(&probe->fail_add, expected);
				break;
			case 1:
				atomic_store(&probe->fail_set, expected);
				atomic_store(&probe->fail_set_in, 1);
				break;
			default:
				/* The second device of the second unit, the only one of the first. */
				atomic_store(&probe->fail_set, expected);
				atomic_store(&probe->fail_set_in, failure & 1 ? 2 : 1);
				break;
			}
			assert_int_equal(iog_domain_attach(wanted, devices[failure % 3]), expected);
			atomic_store(&probe->fail_add, 0);
			atomic_store(&probe->fail_set, 0);
			for (uint32_t n = 0; n < 3; n++) {
				assert_ptr_equal(iog_device_domain(devices[n]), former);
				assert_ptr_equal(devices[n]->placed, former);
				assert_false(bed_lands(&bed, n > 0, n, iova[from]));
			}
			assert_int_equal(wanted->devices, 0);
			assert_int_equal(bed.probes[0].unit.domains, from);
			assert_int_equal(bed.probes[1].unit.domains, from);
		}
		assert_int_equal(iog_domain_attach(wanted, devices[0]), 0);
		bed_note_map(&bed, 0, 0, iova[from], 4096);
		bed_note_map(&bed, 1, 1, iova[from], 4096);
		for (uint32_t n = 0; n < 3; n++) {
			assert_ptr_equal(iog_device_domain(devices[n]), wanted);
			assert_true(bed_lands(&bed, n > 0, n, iova[from]));
		}
		assert_int_equal(wanted->devices, 3);
	}
	/* Who comes late is where the group is; again to the same place is nothing. */
	late = bed_device(&bed, 2, 9, group);
	assert_ptr_equal(iog_device_domain(late), domains[1]);
	bed_note_map(&bed, 2, 9, iova[1], 4096);
	assert_true(bed_lands(&bed, 2, 9, iova[1]));
	assert_int_equal(iog_domain_attach(domains[1], late), 0);
	assert_int_equal(domains[1]->devices, 4);
	assert_int_equal(iog_device_destroy(late), 0);
	assert_int_equal(iog_domain_destroy(domains[1]), -IOG_EBUSY);
	for (uint32_t n = 0; n < 3; n++)
		assert_int_equal(iog_device_destroy(devices[n]), 0);
	/* Empty, a group is nowhere. */
	late = bed_device(&bed, 2, 9, group);
	assert_null(iog_device_domain(late));
	assert_int_equal(iog_device_destroy(late), 0);
	for (uint32_t n = 0; n < 2; n++)
		assert_int_equal(iog_domain_destroy(domains[n]), 0);
	assert_int_equal(iog_group_destroy(group), 0);
	bed_destroy(&bed);
}

/* The way back fails, too: the device that went stays known to the domain it went to, until it can be moved. */
static void rollback_fails(void **state)
{
	struct iog_device *devices[2];
	struct iog_domain *domains[2];
	struct iog_domain_config config;
	struct iog_group *group;
	iog_iova_t iova;
	struct bed bed;

	(void)state;
	bed_create(&bed, 1);
	config = bed_config(&bed);
	assert_int_equal(iog_group_create(&bed.base, &group), 0);
	for (uint32_t n = 0; n < 2; n++) {
		domains[n] = bed_domain(&config);
		devices[n] = bed_device(&bed, n, n, group);
	}
	assert_int_equal(iog_domain_attach(domains[0], devices[0]), 0);
	/* devices[1] is first in the list: it goes, devices[0] does not, and then devices[1] does not come back. */
	atomic_store(&bed.probes[0].fail_set, -IOG_EIO);
	atomic_store(&bed.probes[1].fail_set, -IOG_ETIMEDOUT);
	atomic_store(&bed.probes[1].fail_set_in, 2);
	assert_int_equal(iog_domain_attach(domains[1], devices[0]), -IOG_EIO);
	atomic_store(&bed.probes[0].fail_set, 0);
	atomic_store(&bed.probes[1].fail_set, 0);
	assert_ptr_equal(iog_device_domain(devices[0]), domains[0]);
	assert_ptr_equal(iog_device_domain(devices[1]), domains[0]);
	assert_ptr_equal(devices[1]->placed, domains[1]);
	assert_int_equal(domains[0]->devices, 1);
	assert_int_equal(domains[1]->devices, 1);
	assert_int_equal(iog_domain_destroy(domains[1]), -IOG_EBUSY);

	/* It reads what is mapped there, and is told when that goes. */
	assert_int_equal(bed_map(&bed, domains[1], 0, 4096, LIMIT, &iova), 0);
	bed_note_map(&bed, 1, 1, iova, 4096);
	assert_true(bed_lands(&bed, 1, 1, iova));
	bed_note_unmap(&bed, 1, 1, iova, 4096);
	assert_int_equal(bed_unmap(domains[1], 0, iova, 4096), 0);
	assert_false(bed_lands(&bed, 1, 1, iova));

	assert_int_equal(iog_domain_attach(domains[0], devices[0]), 0);
	assert_ptr_equal(devices[1]->placed, domains[0]);
	assert_int_equal(domains[0]->devices, 2);
	assert_int_equal(iog_domain_destroy(domains[1]), 0);
	for (uint32_t n = 0; n < 2; n++)
		assert_int_equal(iog_device_destroy(devices[n]), 0);
	assert_int_equal(iog_domain_destroy(domains[0]), 0);
	assert_int_equal(iog_group_destroy(group), 0);
	bed_destroy(&bed);
}

/* ---- a unit leaves while another lane asks it ---- */

static _Thread_local bool is_leaver;
static atomic_bool asked, leaver_waits;

/* The leaver waits, as it spins; or it does not, and goes on to domain_remove. */
static void relax_seen(struct bed *bed)
{
	(void)bed;
	if (is_leaver)
		atomic_store(&leaver_waits, true);
}

static void ask_slowly(struct probe *probe, const struct iog_gather *gather)
{
	uint64_t removes = atomic_load(&probe->removes);

	(void)gather;
	atomic_store(&asked, true);
	while (!atomic_load(&leaver_waits) && atomic_load(&probe->removes) == removes)
		sched_yield();
}

struct asker {
	struct iog_domain *domain;
	int error;
};

static void *asker_main(void *arg)
{
	struct asker *asker = arg;

	asker->error = iog_domain_flush(asker->domain, 1);
	return NULL;
}

static void leave_waits(void **state)
{
	struct iog_domain_config config;
	struct iog_device *device;
	struct asker asker;
	pthread_t thread;
	struct bed bed;

	(void)state;
	bed_create(&bed, 2);
	config = bed_config(&bed);
	asker.domain = bed_domain(&config);
	device = bed_device(&bed, 0, 1, NULL);
	assert_int_equal(iog_domain_attach(asker.domain, device), 0);
	atomic_store(&asked, false);
	atomic_store(&leaver_waits, false);
	atomic_store(&bed.on_relax, relax_seen);
	atomic_store(&bed.probes[0].on_invalidate, ask_slowly);
	assert_int_equal(pthread_create(&thread, NULL, asker_main, &asker), 0);
	while (!atomic_load(&asked))
		sched_yield();
	is_leaver = true;
	assert_int_equal(iog_domain_attach(NULL, device), 0);
	is_leaver = false;
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(asker.error, 0);
	assert_true(atomic_load(&leaver_waits));
	assert_int_equal(iog_device_destroy(device), 0);
	assert_int_equal(iog_domain_destroy(asker.domain), 0);
	/* Looks at what the probe has noticed. */
	bed_destroy(&bed);
}

/* ---- two devices of a unit come at once: one of them brings the unit ---- */

static atomic_bool joining, second_waits;
static _Thread_local bool is_second;

static void second_seen(struct bed *bed)
{
	(void)bed;
	if (is_second)
		atomic_store(&second_waits, true);
}

static void join_slowly(struct probe *probe)
{
	(void)probe;
	atomic_store(&joining, true);
	while (!atomic_load(&second_waits))
		sched_yield();
}

struct joiner {
	struct iog_domain *domain;
	struct iog_device *device;
	bool second;
	int error;
};

static void *joiner_main(void *arg)
{
	struct joiner *joiner = arg;

	is_second = joiner->second;
	while (is_second && !atomic_load(&joining))
		sched_yield();
	joiner->error = iog_domain_attach(joiner->domain, joiner->device);
	return NULL;
}

static void one_joins(void **state)
{
	struct iog_domain_config config;
	struct joiner joiners[2];
	pthread_t threads[2];
	struct bed bed;

	(void)state;
	bed_create(&bed, 1);
	config = bed_config(&bed);
	joiners[0].domain = joiners[1].domain = bed_domain(&config);
	atomic_store(&joining, false);
	atomic_store(&second_waits, false);
	atomic_store(&bed.on_relax, second_seen);
	atomic_store(&bed.probes[0].on_add, join_slowly);
	for (uint32_t n = 0; n < 2; n++) {
		joiners[n].device = bed_device(&bed, 0, n, NULL);
		joiners[n].second = n;
		joiners[n].error = 1;
	}
	for (uint32_t n = 0; n < 2; n++)
		assert_int_equal(pthread_create(&threads[n], NULL, joiner_main, &joiners[n]), 0);
	for (uint32_t n = 0; n < 2; n++) {
		assert_int_equal(pthread_join(threads[n], NULL), 0);
		assert_int_equal(joiners[n].error, 0);
	}
	assert_int_equal(bed.probes[0].adds, 1);
	assert_int_equal(bed.probes[0].unit.domains, 1);
	for (uint32_t n = 0; n < 2; n++)
		assert_int_equal(iog_device_destroy(joiners[n].device), 0);
	assert_int_equal(iog_domain_destroy(joiners[0].domain), 0);
	bed_destroy(&bed);
}

/* ---- threads ---- */

#define MAPPERS 2
#define MAPPER_LIMIT(n) ((UINT64_C(1) << 48) - 1 - (n) * UINT64_C(65536))
#define MOVERS 2

struct mapper {
	struct bed *bed;
	struct iog_domain *domain;
	iog_lane_t lane;
	uint64_t random;
	uint64_t rounds;
	const char *failed;
};

/* Movers that are not through. */
static atomic_uint running;

#define CHECK(mapper, claim)                                    \
	do {                                                    \
		if (!(claim) && !(mapper)->failed)              \
			(mapper)->failed = "not so: " #claim;   \
	} while (0)

/*
 * The keeper of unit 0 is in the domain throughout: what is mapped lands, and does not after. That holds until an address is mapped again, so the lanes' limits are apart
 * by more than a strict lane ever has mapped: neither gets what the other gave back.
 */
static void *mapper_main(void *arg)
{
	struct mapper *mapper = arg;
	struct bed *bed = mapper->bed;

	for (; atomic_load(&running); mapper->rounds++) {
		uint64_t size = 4096 << (kit_random(&mapper->random) & 3);
		iog_iova_t iova;

		CHECK(mapper, bed_map(bed, mapper->domain, mapper->lane, size, MAPPER_LIMIT(mapper->lane), &iova) == 0);
		bed_note_map(bed, 0, 0, iova, size);
		CHECK(mapper, bed_lands(bed, 0, 0, iova + size - 1));
		bed_note_unmap(bed, 0, 0, iova, size);
		CHECK(mapper, bed_unmap(mapper->domain, mapper->lane, iova, size) == 0);
		if (mapper->domain->mode == IOG_INVAL_STRICT)
			CHECK(mapper, !bed_lands(bed, 0, 0, iova));
		if (!(kit_random(&mapper->random) & 63))
			CHECK(mapper, iog_domain_trim(mapper->domain, mapper->lane) == 0);
	}
	CHECK(mapper, iog_domain_flush(mapper->domain, mapper->lane) == 0);
	return NULL;
}

/* A device of its own, and two that both movers move: one behind the same unit, one behind another. */
struct mover {
	struct iog_domain *places[3];
	struct iog_device *devices[3];
	uint64_t random;
	uint64_t moves;
	uint64_t failed;
};

static void *mover_main(void *arg)
{
	struct mover *mover = arg;

	for (uint64_t n = 0; n < mover->moves; n++) {
		struct iog_device *device = mover->devices[kit_random(&mover->random) % 3];

		if (iog_domain_attach(mover->places[kit_random(&mover->random) % 3], device))
			mover->failed++;
	}
	atomic_fetch_sub(&running, 1);
	return NULL;
}

/*
 * Lanes map and unmap in one domain while devices of other units, and so the units, go to it, to a second domain, to none, and the ids, of which there are three, change hands all
 * the time. What the probes are promised is the test.
 */
static void attach_hammer(void **state)
{
	uint64_t seed = kit_seed("attachments"), rounds = 0;

	(void)state;
	for (uint32_t deferred = 0; deferred < 2; deferred++) {
		struct mapper mappers[MAPPERS];
		struct mover movers[MOVERS];
		pthread_t threads[MAPPERS + MOVERS];
		struct iog_domain_config config;
		struct iog_domain *domain, *second;
		struct iog_device *keeper, *shared[2];
		struct iog_group *group;
		struct bed bed;

		bed_create(&bed, MAPPERS);
		assert_int_equal(iog_unit_fini(&bed.probes[1].unit), 0);
		bed.probes[1].unit.domain_ids = 3;
		assert_int_equal(iog_unit_init(&bed.probes[1].unit), 0);
		for (uint32_t n = 1; n < BED_UNITS; n++)
			atomic_store(&bed.probes[n].slow, true);
		config = bed_config(&bed);
		config.mode = deferred ? IOG_INVAL_DEFERRED : IOG_INVAL_STRICT;
		config.deferred_entries = 16;
		config.pgtable.trim_batch = 1;
		domain = bed_domain(&config);
		second = bed_domain(&config);
		keeper = bed_device(&bed, 0, 0, NULL);
		assert_int_equal(iog_domain_attach(domain, keeper), 0);
		assert_int_equal(iog_group_create(&bed.base, &group), 0);
		shared[0] = bed_device(&bed, 1, 10, group);
		shared[1] = bed_device(&bed, 2, 10, group);
		atomic_store(&running, MOVERS);
		for (uint32_t n = 0; n < MAPPERS; n++) {
			mappers[n] = (struct mapper){ &bed, domain, n, kit_random(&seed), 0, NULL };
			assert_int_equal(pthread_create(&threads[n], NULL, mapper_main, &mappers[n]), 0);
		}
		for (uint32_t n = 0; n < MOVERS; n++) {
			movers[n] = (struct mover){ { domain, second, NULL }, { bed_device(&bed, 1, n, NULL), shared[0], shared[1] }, kit_random(&seed), kit_scaled(400), 0 };
			assert_int_equal(pthread_create(&threads[MAPPERS + n], NULL, mover_main, &movers[n]), 0);
		}
		for (uint32_t n = 0; n < MAPPERS; n++) {
			assert_int_equal(pthread_join(threads[n], NULL), 0);
			if (mappers[n].failed)
				print_error("%s\n", mappers[n].failed);
			assert_null(mappers[n].failed);
			rounds += mappers[n].rounds;
		}
		for (uint32_t n = 0; n < MOVERS; n++) {
			assert_int_equal(pthread_join(threads[MAPPERS + n], NULL), 0);
			assert_int_equal(movers[n].failed, 0);
			assert_int_equal(iog_device_destroy(movers[n].devices[0]), 0);
		}
		assert_ptr_equal(iog_device_domain(shared[0]), iog_device_domain(shared[1]));
		assert_int_equal(iog_domain_trim(domain, 0), 0);
		assert_int_equal(bed_stats(domain).iova.live_bytes, 0);
		assert_int_equal(bed_stats(domain).pgtable.tables[0], 0);
		for (uint32_t n = 0; n < 2; n++)
			assert_int_equal(iog_device_destroy(shared[n]), 0);
		assert_int_equal(iog_group_destroy(group), 0);
		assert_int_equal(iog_device_destroy(keeper), 0);
		assert_int_equal(iog_domain_destroy(domain), 0);
		assert_int_equal(iog_domain_destroy(second), 0);
		bed_destroy(&bed);
	}
	print_message("%llu maps meanwhile\n", (unsigned long long)rounds);
}

/* A device whose address is mapped in both domains, to different pages, never faults while it is moved to and fro. */
struct reader {
	struct bed *bed;
	iog_iova_t iova;
	uint64_t reads;
	uint64_t faults;
	uint64_t elsewhere;
};

static atomic_bool reading;

static void *reader_main(void *arg)
{
	struct reader *reader = arg;

	while (atomic_load(&reading)) {
		iog_paddr_t paddr = 0;

		if (iog_sim_device_translate(reader->bed->probes[0].sim, 5, reader->iova, IOG_PROT_READ, &paddr))
			reader->faults++;
		else if (paddr != reader->bed->paddr && paddr != reader->bed->paddr + 4096)
			reader->elsewhere++;
		reader->reads++;
	}
	return NULL;
}

static void no_hole(void **state)
{
	struct reader reader = { .reads = 0 };
	struct iog_domain_config config;
	struct iog_domain *domains[2];
	struct iog_device *device, *keepers[2];
	pthread_t thread;
	struct bed bed;

	(void)state;
	bed_create(&bed, 1);
	config = bed_config(&bed);
	device = bed_device(&bed, 0, 5, NULL);
	for (uint32_t n = 0; n < 2; n++) {
		iog_iova_t iova;

		domains[n] = bed_domain(&config);
		keepers[n] = bed_device(&bed, 0, n, NULL);
		assert_int_equal(iog_domain_attach(domains[n], keepers[n]), 0);
		assert_int_equal(domains[n]->policy->map(&domains[n]->lanes[0], bed.paddr + n * 4096, 4096, BED_RW, LIMIT, &iova), 0);
		iog_sim_note_map(iog_sim_device_domain(bed.probes[0].sim, n), iova, bed.paddr + n * 4096, 4096, BED_RW);
		assert_true(!n || iova == reader.iova);
		reader.iova = iova;
	}
	reader.bed = &bed;
	assert_int_equal(iog_domain_attach(domains[0], device), 0);
	atomic_store(&reading, true);
	assert_int_equal(pthread_create(&thread, NULL, reader_main, &reader), 0);
	for (uint64_t n = kit_scaled(3000); n; n--)
		assert_int_equal(iog_domain_attach(domains[n & 1], device), 0);
	atomic_store(&reading, false);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(reader.faults, 0);
	assert_int_equal(reader.elsewhere, 0);
	assert_int_equal(iog_device_destroy(device), 0);
	for (uint32_t n = 0; n < 2; n++) {
		assert_int_equal(iog_device_destroy(keepers[n]), 0);
		assert_int_equal(iog_domain_destroy(domains[n]), 0);
	}
	bed_destroy(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fan_out),
		cmocka_unit_test(devices_malformed),
		cmocka_unit_test(not_walkable),
		cmocka_unit_test(exhausted),
		cmocka_unit_test(group_rollback),
		cmocka_unit_test(rollback_fails),
		cmocka_unit_test(leave_waits),
		cmocka_unit_test(one_joins),
		cmocka_unit_test(attach_hammer),
		cmocka_unit_test(no_hole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

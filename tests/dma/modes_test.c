/* SPDX-License-Identifier: MIT */
/*
 * Modes that change while the domain is used: what each promises holds from the return of the switch on, what waited is flushed by it, and nothing is lost by a unit that does not
 * answer.
 */
#include <pthread.h>
#include <string.h>

#include <iogate/dma.h>

#include "bed.h"

#define LIMIT UINT64_MAX
#define PAGE UINT64_C(4096)
#define LANES 3

static const struct iog_policy *const policies[] = { &iog_policy_tree, &iog_policy_magazine, &iog_policy_pooled, &iog_policy_window };
#define NR_POLICIES (sizeof(policies) / sizeof(policies[0]))

struct place {
	struct bed bed;
	struct iog_domain *domain;
	struct iog_device *device;
};

static void place_create(struct place *place, const struct iog_policy *policy, enum iog_inval_mode mode)
{
	struct iog_domain_config config;

	bed_create(&place->bed, LANES);
	config = bed_config(&place->bed);
	config.policy = policy;
	config.mode = mode;
	config.deferred_entries = 64;
	place->domain = bed_domain(&config);
	place->device = bed_device(&place->bed, 0, 1, NULL);
	assert_int_equal(iog_domain_attach(place->domain, place->device), 0);
}

static void place_destroy(struct place *place)
{
	assert_int_equal(iog_domain_trim(place->domain, 0), 0);
	assert_int_equal(bed_stats(place->domain).iova.live_bytes, 0);
	assert_int_equal(bed_stats(place->domain).quarantined, 0);
	assert_true(iog_iova_is_valid(place->domain->iova));
	assert_int_equal(iog_device_destroy(place->device), 0);
	assert_int_equal(iog_domain_destroy(place->domain), 0);
	bed_destroy(&place->bed);
}

/* Map, let the device in, unmap: whether the device still gets in then. */
static bool lands_after(struct place *place, iog_lane_t lane, uint64_t size, int expected)
{
	iog_iova_t iova;

	assert_int_equal(bed_map(&place->bed, place->domain, lane, size, LIMIT, &iova), 0);
	bed_note_map(&place->bed, 0, 1, iova, size);
	assert_true(bed_lands(&place->bed, 0, 1, iova));
	bed_note_unmap(&place->bed, 0, 1, iova, size);
	assert_int_equal(bed_unmap(place->domain, lane, iova, size), expected);
	return bed_lands(&place->bed, 0, 1, iova);
}

static void switched(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < NR_POLICIES; p++) {
		struct place place;

		place_create(&place, policies[p], IOG_INVAL_STRICT);
		for (uint32_t round = 0; round < 3; round++) {
			uint64_t commands;

			assert_false(lands_after(&place, 0, PAGE, 0));
			assert_false(lands_after(&place, 1, 8 * PAGE, 0));
			assert_int_equal(iog_domain_set_mode(place.domain, 0, IOG_INVAL_DEFERRED), 0);
			commands = atomic_load(&place.bed.probes[0].domains);
			assert_true(lands_after(&place, 0, PAGE, 0));
			assert_true(lands_after(&place, 1, 8 * PAGE, 0));
			assert_int_equal(atomic_load(&place.bed.probes[0].domains), commands);
			commands = atomic_load(&place.bed.probes[0].domains);
			assert_int_equal(iog_domain_set_mode(place.domain, 0, IOG_INVAL_STRICT), 0);
			assert_int_equal(atomic_load(&place.bed.probes[0].domains), commands + 1);
		}
		assert_int_equal(iog_domain_set_mode(place.domain, LANES, IOG_INVAL_STRICT), -IOG_EINVAL);
		assert_int_equal(iog_domain_set_mode(place.domain, 0, (enum iog_inval_mode)17), -IOG_EINVAL);
		place_destroy(&place);
	}
}

/* What lanes had let wait, which then do nothing more, is forgotten when the switch returns. */
static void drained(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < NR_POLICIES; p++) {
		struct place place;
		iog_iova_t iova[LANES];

		place_create(&place, policies[p], IOG_INVAL_DEFERRED);
		for (uint32_t lane = 0; lane < LANES; lane++) {
			assert_int_equal(bed_map(&place.bed, place.domain, lane, PAGE, LIMIT, &iova[lane]), 0);
			bed_note_map(&place.bed, 0, 1, iova[lane], PAGE);
			assert_true(bed_lands(&place.bed, 0, 1, iova[lane]));
			bed_note_unmap(&place.bed, 0, 1, iova[lane], PAGE);
			assert_int_equal(bed_unmap(place.domain, lane, iova[lane], PAGE), 0);
		}
		assert_int_equal(iog_domain_set_mode(place.domain, 1, IOG_INVAL_STRICT), 0);
		for (uint32_t lane = 0; lane < LANES; lane++)
			assert_false(bed_lands(&place.bed, 0, 1, iova[lane]));
		place_destroy(&place);
	}
}

/* The unit does not answer the switch: the mode is the new one, and what waited goes on waiting. */
static void no_answer(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < NR_POLICIES; p++) {
		struct place place;

		place_create(&place, policies[p], IOG_INVAL_DEFERRED);
		assert_true(lands_after(&place, 1, PAGE, 0));
		atomic_store(&place.bed.probes[0].fail_invalidate, -IOG_EIO);
		assert_int_equal(iog_domain_set_mode(place.domain, 0, IOG_INVAL_STRICT), -IOG_EIO);
		assert_true(lands_after(&place, 0, PAGE, -IOG_EIO));
		assert_int_equal(bed_stats(place.domain).quarantined, PAGE);
		atomic_store(&place.bed.probes[0].fail_invalidate, 0);
		assert_false(lands_after(&place, 0, PAGE, 0));
		assert_int_equal(iog_domain_set_mode(place.domain, 0, IOG_INVAL_STRICT), 0);
		assert_int_equal(bed_stats(place.domain).quarantined, 0);
		place_destroy(&place);
	}
}

/* ---- what strict mode asks of a unit ---- */

static struct {
	uint32_t calls, ranges, tables, walks;
	uint64_t bytes;
} seen;

static void look(struct probe *probe, const struct iog_gather *gather)
{
	(void)probe;
	seen.calls++;
	if (!gather)
		return;
	seen.ranges += gather->nr_ranges;
	seen.tables += gather->nr_tables;
	seen.walks += gather->walk_caches;
	for (uint32_t n = 0; n < gather->nr_ranges; n++)
		seen.bytes += gather->ranges[n].last - gather->ranges[n].first + 1;
}

/* Contiguous pages are one range, in a buffer, in a list of its parts, and in a list of pages from everywhere, which are neighbours in address; leaves only. */
static void one_range(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < NR_POLICIES; p++) {
		for (uint32_t kind = 0; kind < 3; kind++) {
			struct iog_sg sg[64];
			struct place place;
			uint32_t mapped_n = 0;
			iog_iova_t iova;

			place_create(&place, policies[p], IOG_INVAL_STRICT);
			for (uint32_t n = 0; n < 64; n++)
				sg[n] = (struct iog_sg){ .paddr = place.bed.paddr + (kind == 2 ? n * 7 % 64 * 3 : n) * PAGE, .size = PAGE };
			memset(&seen, 0, sizeof(seen));
			if (kind) {
				assert_int_equal(iog_dma_map_sg(place.device, 0, sg, 64, IOG_DMA_BIDIRECTIONAL, 0, &iova, &mapped_n), 0);
				assert_int_equal(mapped_n, 1);
				assert_true(sg[0].iova == iova && sg[0].iova_size == 64 * PAGE);
				for (uint32_t n = 0; n < 64; n++) {
					struct iog_leaf leaf;

					assert_int_equal(iog_pgtable_lookup(place.domain->pgtable, 0, iova + n * PAGE, &leaf), 0);
					assert_true(leaf.paddr == sg[n].paddr);
				}
			} else {
				assert_int_equal(iog_dma_map(place.device, 0, place.bed.paddr, 64 * PAGE, IOG_DMA_BIDIRECTIONAL, 0, &iova), 0);
			}
			atomic_store(&place.bed.probes[0].on_invalidate, look);
			if (kind)
				assert_int_equal(iog_dma_unmap_sg(place.device, 0, sg, 64, IOG_DMA_BIDIRECTIONAL, 0), 0);
			else
				assert_int_equal(iog_dma_unmap(place.device, 0, iova, 64 * PAGE, IOG_DMA_BIDIRECTIONAL, 0), 0);
			atomic_store(&place.bed.probes[0].on_invalidate, NULL);
			assert_int_equal(seen.calls, 1);
			assert_int_equal(seen.ranges, 1);
			assert_int_equal(seen.bytes, 64 * PAGE);
			assert_int_equal(seen.tables + seen.walks, 0);
			if (kind)
				assert_int_equal(iog_dma_unmap_sg(place.device, 0, sg, 64, IOG_DMA_BIDIRECTIONAL, 0), -IOG_ENOENT);
			assert_int_equal(bed_stats(place.domain).maps, 1);
			assert_int_equal(bed_stats(place.domain).unmaps, 1);
			assert_int_equal(bed_stats(place.domain).bytes_mapped, 0);
			place_destroy(&place);
		}
	}
}

/* ---- two lanes map and unmap while a third switches ---- */

static atomic_bool stop;
/*
 * An address that one lane has unmapped is soon another's. Lanes hold this shared from the mapping until the judge has heard of it; who tries an address that is no longer
 * its own holds it alone, so that it meets no mapping that the judge does not know.
 */
static pthread_rwlock_t told = PTHREAD_RWLOCK_INITIALIZER;

struct worker {
	struct place *place;
	iog_lane_t lane;
	uint64_t random;
	const char *failed;
};

#define CHECK(worker, claim)                                  \
	do {                                                  \
		if (!(claim) && !(worker)->failed)            \
			(worker)->failed = "not so: " #claim; \
	} while (0)

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	struct bed *bed = &worker->place->bed;
	struct iog_domain *domain = worker->place->domain;
	iog_iova_t held[8] = { 0 };

	while (!atomic_load(&stop)) {
		uint32_t n = (uint32_t)(kit_random(&worker->random) & 7);
		uint64_t size = n < 4 ? PAGE : n < 7 ? 4 * PAGE : 600 * PAGE;

		if (held[n]) {
			CHECK(worker, bed_lands(bed, 0, 1, held[n]));
			bed_note_unmap(bed, 0, 1, held[n], size);
			CHECK(worker, bed_unmap(domain, worker->lane, held[n], size) == 0);
			held[n] = 0;
		} else {
			pthread_rwlock_rdlock(&told);
			CHECK(worker, bed_map(bed, domain, worker->lane, size, LIMIT, &held[n]) == 0);
			bed_note_map(bed, 0, 1, held[n], size);
			pthread_rwlock_unlock(&told);
		}
	}
	for (uint32_t n = 0; n < 8; n++) {
		uint64_t size = n < 4 ? PAGE : n < 7 ? 4 * PAGE : 600 * PAGE;

		if (!held[n])
			continue;
		bed_note_unmap(bed, 0, 1, held[n], size);
		CHECK(worker, bed_unmap(domain, worker->lane, held[n], size) == 0);
	}
	return NULL;
}

/* lands_after() among others, who may have the address by then, but not lane 0's memory, where nothing is read or written. */
static bool lands_after_shared(struct place *place, uint64_t size)
{
	iog_paddr_t paddr = place->bed.paddr + GiB, landed = 0;
	iog_iova_t iova;
	int error;

	pthread_rwlock_rdlock(&told);
	assert_int_equal(place->domain->policy->map(&place->domain->lanes[0], paddr, size, BED_RW, LIMIT, &iova), 0);
	iog_sim_note_map(iog_sim_device_domain(place->bed.probes[0].sim, 1), iova, paddr, size, BED_RW);
	pthread_rwlock_unlock(&told);
	assert_true(bed_lands(&place->bed, 0, 1, iova));
	bed_note_unmap(&place->bed, 0, 1, iova, size);
	assert_int_equal(bed_unmap(place->domain, 0, iova, size), 0);
	pthread_rwlock_wrlock(&told);
	error = iog_sim_device_translate(place->bed.probes[0].sim, 1, iova, IOG_PROT_READ, &landed);
	pthread_rwlock_unlock(&told);
	return !error && landed == paddr;
}

static void traffic(void **state)
{
	static const enum iog_inval_mode modes[] = { IOG_INVAL_STRICT, IOG_INVAL_DEFERRED, IOG_INVAL_HELD };
	uint64_t seed = kit_seed("modes");

	(void)state;
	for (uint32_t p = 0; p < NR_POLICIES; p++) {
		struct worker workers[2];
		pthread_t threads[2];
		struct place place;

		place_create(&place, policies[p], IOG_INVAL_DEFERRED);
		atomic_store(&stop, false);
		for (uint32_t n = 0; n < 2; n++) {
			workers[n] = (struct worker){ &place, n + 1, kit_random(&seed), NULL };
			assert_int_equal(pthread_create(&threads[n], NULL, worker_main, &workers[n]), 0);
		}
		for (uint64_t round = kit_scaled(300); round; round--) {
			enum iog_inval_mode mode = modes[kit_random(&seed) % 3];

			assert_int_equal(iog_domain_set_mode(place.domain, 0, mode), 0);
			/* In the other modes somebody's flush may have come between. */
			assert_false(lands_after_shared(&place, PAGE) && mode == IOG_INVAL_STRICT);
			assert_false(lands_after_shared(&place, 3 * PAGE) && mode == IOG_INVAL_STRICT);
		}
		atomic_store(&stop, true);
		for (uint32_t n = 0; n < 2; n++) {
			assert_int_equal(pthread_join(threads[n], NULL), 0);
			if (workers[n].failed)
				print_error("lane %u, %s: %s\n", workers[n].lane, policies[p]->name, workers[n].failed);
			assert_null(workers[n].failed);
		}
		place_destroy(&place);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(switched),
		cmocka_unit_test(drained),
		cmocka_unit_test(no_answer),
		cmocka_unit_test(one_range),
		cmocka_unit_test(traffic),
	};

	return cmocka_run_group_tests_name("dma modes", tests, NULL, NULL);
}

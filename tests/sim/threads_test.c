/* SPDX-License-Identifier: MIT */
/*
 * Lanes that map, use and unmap pages of shared leaf tables, while others unlink and replace tables and flush the whole domain: none of
 * it may be a race or a violation. Entries are stored by hand, each lane its own.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <iogate/domain.h>
#include <iogate/unit.h>

#include "kit.h"

#define MiB (UINT64_C(1) << 20)
#define LANES 3
#define ROUNDS 20000

struct lane {
	struct kit *kit;
	uint64_t number;
	uint64_t random;
	uint64_t *memory;   /* a page of its own */
	uint64_t *slots[4]; /* entries of its own, in tables that it shares */
	uint64_t iovas[4];
	uint64_t *region; /* the entry of a table of its own */
	uint64_t *tables[2];
	const char *failed; /* cmocka's assertions are not for other threads */
};

static atomic_int lanes_running;

#define LANE_CHECK(lane, claim)                             \
	do {                                                \
		if (!(claim) && !(lane)->failed)            \
			(lane)->failed = "not so: " #claim; \
	} while (0)

/* One page, strict: must work between, must not after. */
static void strict_round(struct lane *lane, uint64_t which, uint64_t value)
{
	struct kit *kit = lane->kit;
	uint64_t iova = lane->iovas[which], paddr = kit_paddr(kit, lane->memory), got = 0;

	kit_store(lane->slots[which], kit_entry_leaf(kit, paddr, 0, KIT_RW));
	iog_sim_note_map(kit->domain, iova, paddr, 4096, KIT_RW);
	LANE_CHECK(lane, iog_sim_dma(kit->domain, iova + 8, &value, 8, IOG_PROT_WRITE, NULL) == 0);
	LANE_CHECK(lane, iog_sim_dma(kit->domain, iova + 8, &got, 8, IOG_PROT_READ, NULL) == 0);
	LANE_CHECK(lane, got == value);
	iog_sim_note_unmap(kit->domain, iova, 4096);
	kit_store(lane->slots[which], 0);
	iog_sim_inval_range(kit->domain, iova, iova + 4095, true);
	iog_sim_inval_wait(kit->sim);
	iog_sim_note_reuse(kit->sim, paddr, 4096);
	LANE_CHECK(lane, iog_sim_translate(kit->domain, iova, IOG_PROT_READ, NULL) == -IOG_EFAULT);
	LANE_CHECK(lane, __atomic_load_n(&lane->memory[1], __ATOMIC_RELAXED) == value);
}

/* A table of its own: map through it, unlink it, flush by the way, give it back, link another. */
static void table_round(struct lane *lane, uint64_t round)
{
	struct kit *kit = lane->kit;
	uint64_t iova = (64 + lane->number) * 2 * MiB, paddr = kit_paddr(kit, lane->memory);
	uint64_t *table = lane->tables[round & 1];
	struct iog_gather *gather = calloc(1, sizeof(*gather));

	LANE_CHECK(lane, gather);
	if (!gather)
		return;
	kit->observed.table_taken(kit->observed.ctx, table, 4096, 1);
	kit_store(&table[0], kit_entry_leaf(kit, paddr, 0, KIT_RW));
	kit_store(lane->region, kit_entry_table(kit, table));
	iog_sim_note_map(kit->domain, iova, paddr, 4096, KIT_RW);
	LANE_CHECK(lane, iog_sim_translate(kit->domain, iova, KIT_RW, NULL) == 0);
	iog_sim_note_unmap(kit->domain, iova, 4096);
	kit_store(&table[0], 0);
	kit_store(lane->region, kit_paddr(kit, table));
	gather->nr_tables = 1;
	gather->tables[0].span = (struct iog_range){ iova, iova + 2 * MiB - 1 };
	gather->nr_ranges = 1;
	gather->ranges[0] = (struct iog_range){ iova, iova + 4095 };
	iog_sim_flush(gather, kit->domain);
	kit->observed.table_freed(kit->observed.ctx, table, 4096);
	LANE_CHECK(lane, iog_sim_translate(kit->domain, iova, IOG_PROT_READ, NULL) == -IOG_EFAULT);
	free(gather);
}

static void *lane_main(void *arg)
{
	struct lane *lane = arg;

	for (uint64_t round = 0; round < ROUNDS; round++) {
		strict_round(lane, kit_random(&lane->random) & 3, kit_random(&lane->random));
		if (!(round & 7))
			table_round(lane, round >> 3);
	}
	atomic_fetch_sub(&lanes_running, 1);
	return NULL;
}

/* Somebody else's flushes, and somebody who reads. */
static void *bystander_main(void *arg)
{
	struct kit *kit = arg;
	struct iog_sim_stats stats;

	while (atomic_load(&lanes_running)) {
		iog_sim_inval_domain(kit->domain);
		iog_sim_inval_wait(kit->sim);
		iog_sim_stats(kit->sim, &stats);
	}
	return NULL;
}

static void hammer(void **state)
{
	static struct lane lanes[LANES];
	pthread_t threads[LANES], bystander;
	uint64_t seed = kit_seed("threads");
	struct iog_sim_stats stats;
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, NULL);
	for (uint64_t n = 0; n < LANES; n++) {
		struct lane *lane = &lanes[n];

		*lane = (struct lane){ .kit = &kit, .number = n, .random = kit_random(&seed), .memory = kit_page(&kit) };
		for (uint64_t i = 0; i < 4; i++) {
			/* Neighbours in two tables. */
			lane->iovas[i] = (i & 1) * 2 * MiB + (n * 2 + i / 2) * 4096;
			lane->slots[i] = kit_slot(&kit, lane->iovas[i], 0);
		}
		lane->region = kit_slot(&kit, (64 + n) * 2 * MiB, 1);
		for (int i = 0; i < 2; i++)
			lane->tables[i] = kit_page(&kit);
	}
	atomic_store(&lanes_running, LANES);
	assert_int_equal(pthread_create(&bystander, NULL, bystander_main, &kit), 0);
	for (int n = 0; n < LANES; n++)
		assert_int_equal(pthread_create(&threads[n], NULL, lane_main, &lanes[n]), 0);
	for (int n = 0; n < LANES; n++)
		assert_int_equal(pthread_join(threads[n], NULL), 0);
	assert_int_equal(pthread_join(bystander, NULL), 0);

	for (int n = 0; n < LANES; n++) {
		if (lanes[n].failed)
			print_error("lane %d: %s\n", n, lanes[n].failed);
	}
	kit_no_violation(&kit);
	for (int n = 0; n < LANES; n++)
		assert_null(lanes[n].failed);
	stats = kit_stats(&kit);
	assert_int_equal(stats.reads + stats.writes, LANES * (ROUNDS * 3 + ROUNDS / 8 * 2));
	assert_int_equal(stats.faults, LANES * (ROUNDS + ROUNDS / 8));
	kit_destroy(&kit);
}

/* ---- slow hardware that misbehaves, and devices with TLBs ---- */

#define SLOW_LANES 3
#define SLOW_ROUNDS 1500

struct slow_lane {
	struct kit *kit;
	struct iog_unit *unit;
	uint32_t device;
	uint64_t iova, paddr;
	uint64_t *slot;
	uint64_t errors;
	const char *failed;
};

static bool slow_flushed(struct slow_lane *lane, const struct iog_gather *gather)
{
	int error = lane->unit->ops->invalidate(lane->unit, 1, gather);

	/* All devices of the domain, as the library has to. */
	for (uint32_t device = 1; device <= SLOW_LANES && !error; device++)
		error = lane->unit->ops->device_invalidate(lane->unit, device, gather);
	LANE_CHECK(lane, !error || error == -IOG_ETIMEDOUT || error == -IOG_EIO);
	lane->errors += error != 0;
	return !error;
}

/* Whatever hardware does: once a flush has returned 0 the page is gone for every device, and its memory is free; until then it is asked again. */
static void *slow_main(void *arg)
{
	struct slow_lane *lane = arg;
	struct kit *kit = lane->kit;
	struct iog_gather gather = { .nr_ranges = 1 };

	gather.ranges[0] = (struct iog_range){ lane->iova, lane->iova + 4095 };
	for (uint32_t round = 0; round < SLOW_ROUNDS; round++) {
		uint64_t ticket;

		kit_store(lane->slot, kit_entry_leaf(kit, lane->paddr, 0, KIT_RW));
		iog_sim_note_map(kit->domain, lane->iova, lane->paddr, 4096, KIT_RW);
		for (uint32_t device = 1; device <= SLOW_LANES; device++)
			LANE_CHECK(lane, iog_sim_device_translate(kit->sim, device, lane->iova, KIT_RW, NULL) == 0);
		ticket = iog_sim_note_unmap(kit->domain, lane->iova, 4096);
		kit_store(lane->slot, 0);
		while (!slow_flushed(lane, &gather))
			iog_sim_device_translate(kit->sim, lane->device, lane->iova, KIT_RW, NULL);
		iog_sim_note_unmapped(kit->sim, ticket);
		iog_sim_note_reuse(kit->sim, lane->paddr, 4096);
		for (uint32_t device = 1; device <= SLOW_LANES; device++)
			LANE_CHECK(lane, iog_sim_device_translate(kit->sim, device, lane->iova, KIT_RW, NULL) == -IOG_EFAULT);
		if (!(round & 7))
			iog_sim_misbehave(kit->sim, (enum iog_sim_fault_kind)(round >> 3) % IOG_SIM_FAULT_KINDS, round >> 3 & 15, 1);
	}
	return NULL;
}

static void slow_hammer(void **state)
{
	static const struct iog_sim_config config = {
		.flags = IOG_SIM_EXPOSURE, .wait_ns = 500, .wait_jitter_ns = 500, .range_ns = 50, .device_ns = 100, .queue_entries = 4, .seed = 1,
	};
	static struct slow_lane lanes[SLOW_LANES];
	pthread_t threads[SLOW_LANES];
	struct iog_sim_stats stats;
	uint64_t failures = 0;
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, &config);
	for (uint32_t n = 0; n < SLOW_LANES; n++) {
		lanes[n] = (struct slow_lane){
			.kit = &kit, .unit = iog_sim_unit(kit.sim), .device = n + 1, .iova = n * 4096, .paddr = (100 + n) * 4096, .slot = kit_slot(&kit, n * 4096, 0),
		};
		assert_int_equal(iog_sim_device_ats(kit.sim, n + 1, 16, 0), 0);
		assert_int_equal(lanes[n].unit->ops->device_set(lanes[n].unit, n + 1, IOG_DOMAIN_PAGING, 1), 0);
	}
	for (uint32_t n = 0; n < SLOW_LANES; n++)
		assert_int_equal(pthread_create(&threads[n], NULL, slow_main, &lanes[n]), 0);
	for (uint32_t n = 0; n < SLOW_LANES; n++) {
		assert_int_equal(pthread_join(threads[n], NULL), 0);
		failures += lanes[n].errors;
		if (lanes[n].failed)
			print_error("lane %u: %s\n", n, lanes[n].failed);
	}
	kit_no_violation(&kit);
	for (uint32_t n = 0; n < SLOW_LANES; n++)
		assert_null(lanes[n].failed);
	stats = kit_stats(&kit);
	assert_int_equal(stats.exposure.pages, SLOW_LANES * SLOW_ROUNDS);
	assert_int_equal(stats.exposure.late_accesses + stats.exposure.reuses, 0);
	assert_true(failures && stats.timeouts && stats.device_timeouts && stats.queue_aborts && stats.spurious_completions);
	kit_destroy(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(hammer), cmocka_unit_test(slow_hammer) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Lanes that map, use and unmap pages of shared leaf tables, while others unlink and replace tables and flush the whole domain: none of
 * it may be a race or a violation. Entries are stored by hand, each lane its own.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(hammer) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

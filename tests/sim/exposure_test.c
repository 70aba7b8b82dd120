/* SPDX-License-Identifier: MIT */
/*
 * What is measured: exposure by a clock that the test sets, late accesses, reused memory, misses by level; and that the same seed counts the same.
 */
#include <string.h>

#include <iogate/unit.h>

#include "kit.h"

#define MiB (UINT64_C(1) << 20)
#define GiB (UINT64_C(1) << 30)
#define IOVA (4 * MiB)
#define PADDR UINT64_C(0x5000)

static uint64_t clock_ns;

static uint64_t test_now(void *ctx)
{
	(void)ctx;
	return clock_ns;
}

static void begin(struct kit *kit, uint32_t flags)
{
	clock_ns = 1000000;
	kit_now_ns = test_now;
	kit_create(kit, &kit_vtdss_48, &(struct iog_sim_config){ .flags = flags });
	kit_now_ns = NULL;
}

static void map_used(struct kit *kit, uint64_t iova, uint64_t paddr)
{
	kit_map(kit, iova, paddr, KIT_RW);
	iog_sim_note_map(kit->domain, iova, paddr, 4096, KIT_RW);
	kit_lands(kit, iova, KIT_RW, paddr);
}

static uint64_t unmap_begun(struct kit *kit, uint64_t iova)
{
	uint64_t ticket = iog_sim_note_unmap(kit->domain, iova, 4096);

	kit_unmap(kit, iova);
	return ticket;
}

/* One that waits for nothing. */
static void unmap_returned(struct kit *kit, uint64_t iova)
{
	iog_sim_note_unmapped(kit->sim, unmap_begun(kit, iova));
}

static void histogram(void **state)
{
	struct iog_sim_exposure seen;
	struct kit kit;

	(void)state;
	begin(&kit, IOG_SIM_EXPOSURE);
	for (uint64_t n = 0; n < 4; n++)
		map_used(&kit, IOVA + n * 4096, PADDR + n * 4096);
	unmap_returned(&kit, IOVA);
	kit_invalidate(&kit, IOVA, 4096, true);
	clock_ns++;
	unmap_returned(&kit, IOVA + 4096);
	clock_ns += 100;
	unmap_returned(&kit, IOVA + 2 * 4096);
	clock_ns += 900;
	assert_int_equal(kit_stats(&kit).exposure.pages, 1);
	kit_invalidate(&kit, IOVA, 4 * 4096, true);
	/* One that does not cover it does not count. */
	unmap_returned(&kit, IOVA + 3 * 4096);
	clock_ns += 5;
	kit_invalidate(&kit, IOVA, 3 * 4096, true);
	assert_int_equal(kit_stats(&kit).exposure.pages, 3);
	clock_ns += 5;
	kit_invalidate(&kit, IOVA + 3 * 4096, 4096, true);
	seen = kit_stats(&kit).exposure;
	assert_int_equal(seen.pages, 4);
	assert_int_equal(seen.max_ns, 1000);
	assert_int_equal(seen.sum_ns, 1000 + 900 + 10);
	assert_int_equal(seen.log2_ns[0], 1);
	assert_int_equal(seen.log2_ns[10], 2);
	assert_int_equal(seen.log2_ns[4], 1);
	assert_int_equal(seen.late_accesses + seen.reuses + seen.incomplete, 0);
	kit_destroy(&kit);
}

/* What an unmap has waited for itself is not late; what comes afterwards is, from its return on. */
static void late_time(void **state)
{
	struct iog_sim_exposure seen;
	uint64_t first, second;
	struct kit kit;

	(void)state;
	begin(&kit, IOG_SIM_EXPOSURE);
	for (uint64_t n = 0; n < 3; n++)
		map_used(&kit, IOVA + n * 4096, PADDR + n * 4096);
	first = unmap_begun(&kit, IOVA);
	clock_ns += 50;
	kit_invalidate(&kit, IOVA, 4096, true);
	iog_sim_note_unmapped(kit.sim, first);
	clock_ns += 50;
	seen = kit_stats(&kit).exposure;
	assert_int_equal(seen.sum_ns, 0);
	assert_int_equal(seen.log2_ns[0], 1);
	first = unmap_begun(&kit, IOVA + 4096);
	second = unmap_begun(&kit, IOVA + 2 * 4096);
	clock_ns += 7;
	iog_sim_note_unmapped(kit.sim, first);
	clock_ns += 20;
	iog_sim_note_unmapped(kit.sim, second);
	clock_ns += 3;
	kit_invalidate(&kit, IOVA, 3 * 4096, true);
	seen = kit_stats(&kit).exposure;
	assert_int_equal(seen.sum_ns, 23 + 3);
	assert_int_equal(seen.max_ns, 23);
	assert_int_equal(seen.log2_ns[5], 1);
	assert_int_equal(seen.log2_ns[2], 1);
	kit_destroy(&kit);
}

static void not_asked_for(void **state)
{
	struct kit kit;

	(void)state;
	begin(&kit, 0);
	map_used(&kit, IOVA, PADDR);
	assert_int_equal(unmap_begun(&kit, IOVA), 0);
	iog_sim_note_unmapped(kit.sim, 0);
	kit_lands(&kit, IOVA, KIT_RW, PADDR);
	kit_invalidate(&kit, IOVA, 4096, true);
	assert_int_equal(kit_stats(&kit).exposure.pages, 0);
	assert_int_equal(kit_stats(&kit).exposure.late_accesses, 0);
	kit_destroy(&kit);
}

static void late(void **state)
{
	uint64_t ticket, paddr;
	unsigned char data[100] = { 1 };
	uint64_t *memory;
	struct kit kit;

	(void)state;
	begin(&kit, IOG_SIM_EXPOSURE);
	memory = kit_page(&kit);
	paddr = kit_paddr(&kit, memory);
	map_used(&kit, IOVA, paddr);
	ticket = unmap_begun(&kit, IOVA);
	/* Before the unmap has returned it is not late. */
	kit_lands(&kit, IOVA, KIT_RW, paddr);
	assert_int_equal(kit_stats(&kit).exposure.late_accesses, 0);
	iog_sim_note_unmapped(kit.sim, ticket);
	kit_lands(&kit, IOVA, KIT_RW, paddr);
	assert_int_equal(iog_sim_dma(kit.domain, IOVA + 8, data, sizeof(data), IOG_PROT_WRITE, NULL), 0);
	assert_int_equal(kit_stats(&kit).exposure.late_accesses, 2);
	assert_int_equal(kit_stats(&kit).exposure.late_bytes, 101);
	assert_int_equal(kit_stats(&kit).exposure.reused_bytes, 0);
	kit_invalidate(&kit, IOVA, 4096, true);
	kit_faults(&kit, IOVA, KIT_RW);
	assert_int_equal(kit_stats(&kit).exposure.late_bytes, 101);

	/* Strict: covered before it returns; the ticket of an unmap that is over is nobody's, whoever has the address by then. */
	map_used(&kit, IOVA, paddr);
	ticket = unmap_begun(&kit, IOVA);
	kit_invalidate(&kit, IOVA, 4096, true);
	map_used(&kit, IOVA, paddr);
	unmap_begun(&kit, IOVA);
	iog_sim_note_unmapped(kit.sim, ticket);
	kit_lands(&kit, IOVA, KIT_RW, paddr);
	assert_int_equal(kit_stats(&kit).exposure.late_accesses, 2);
	kit_destroy(&kit);
}

static void reused(void **state)
{
	uint64_t paddr;
	unsigned char data[64] = { 1 };
	struct kit kit;

	(void)state;
	begin(&kit, IOG_SIM_EXPOSURE | IOG_SIM_REUSE_COUNTED);
	paddr = kit_paddr(&kit, kit_page(&kit));
	map_used(&kit, IOVA, paddr);
	iog_sim_note_unmapped(kit.sim, unmap_begun(&kit, IOVA));
	iog_sim_note_reuse(kit.sim, paddr, 4096);
	kit_no_violation(&kit);
	assert_int_equal(kit_stats(&kit).exposure.reuses, 1);
	/* The new owner's mapping is its own business; the old one is not. */
	map_used(&kit, IOVA + 8192, paddr);
	assert_int_equal(kit_stats(&kit).exposure.reused_accesses, 0);
	assert_int_equal(iog_sim_dma(kit.domain, IOVA, data, sizeof(data), IOG_PROT_WRITE, NULL), 0);
	assert_int_equal(kit_stats(&kit).exposure.reused_bytes, 64);
	assert_int_equal(kit_stats(&kit).exposure.late_bytes, 64);
	/* Nor does the new owner's own unmap make it somebody else's. */
	iog_sim_note_unmapped(kit.sim, unmap_begun(&kit, IOVA + 8192));
	kit_lands(&kit, IOVA + 8192, KIT_RW, paddr);
	assert_int_equal(kit_stats(&kit).exposure.late_bytes, 65);
	assert_int_equal(kit_stats(&kit).exposure.reused_bytes, 64);
	/* Covered: reused memory that nobody reaches is not counted. */
	kit_invalidate(&kit, IOVA, 3 * 4096, true);
	iog_sim_note_reuse(kit.sim, paddr, 4096);
	assert_int_equal(kit_stats(&kit).exposure.reuses, 1);
	/* What is mapped is not free for anybody. */
	map_used(&kit, IOVA, paddr);
	iog_sim_note_reuse(kit.sim, paddr, 4096);
	kit_violation(&kit, IOG_SIM_EARLY_REUSE, "a device may access it");
	kit_destroy(&kit);

	/* Where it is not to be counted it is a violation, and counted all the same. */
	begin(&kit, IOG_SIM_EXPOSURE);
	map_used(&kit, IOVA, PADDR);
	unmap_begun(&kit, IOVA);
	iog_sim_note_reuse(kit.sim, PADDR, 4096);
	kit_violation(&kit, IOG_SIM_EARLY_REUSE, "has not completed");
	assert_int_equal(kit_stats(&kit).exposure.reuses, 1);
	kit_destroy(&kit);
}

/* Memory goes on being reached by devices until the last of them has forgotten it. */
static void by_devices(void **state)
{
	struct iog_gather gather = { .nr_ranges = 1 };
	struct iog_unit *unit;
	struct kit kit;

	(void)state;
	gather.ranges[0] = (struct iog_range){ IOVA, IOVA + 4095 };
	begin(&kit, IOG_SIM_EXPOSURE);
	unit = iog_sim_unit(kit.sim);
	assert_int_equal(iog_sim_device_ats(kit.sim, 1, 16, 0), 0);
	assert_int_equal(unit->ops->device_set(unit, 1, IOG_DOMAIN_PAGING, 1), 0);
	map_used(&kit, IOVA, PADDR);
	unmap_returned(&kit, IOVA);
	clock_ns += 50;
	assert_int_equal(unit->ops->invalidate(unit, 1, &gather), 0);
	assert_int_equal(kit_stats(&kit).exposure.pages, 0);
	clock_ns += 50;
	assert_int_equal(unit->ops->device_invalidate(unit, 1, &gather), 0);
	assert_int_equal(kit_stats(&kit).exposure.pages, 1);
	assert_int_equal(kit_stats(&kit).exposure.max_ns, 100);
	kit_destroy(&kit);
}

static void levels(void **state)
{
	struct iog_sim_stats stats;
	struct kit kit;

	(void)state;
	begin(&kit, IOG_SIM_NO_ORACLE);
	kit_map(&kit, 0, PADDR, KIT_RW);
	kit_map(&kit, 4096, PADDR, KIT_RW);
	kit_map(&kit, 2 * MiB, PADDR, KIT_RW);
	kit_map(&kit, GiB, PADDR, KIT_RW);
	kit_lands(&kit, 0, KIT_RW, PADDR);        /* from the root: misses at 0, 1, 2 */
	kit_lands(&kit, 4096, KIT_RW, PADDR);     /* hits at 0 */
	kit_lands(&kit, 2 * MiB, KIT_RW, PADDR);  /* hits at 1, misses at 0 */
	kit_lands(&kit, GiB, KIT_RW, PADDR);      /* hits at 2, misses at 0, 1 */
	kit_lands(&kit, GiB, KIT_RW, PADDR);      /* in the IOTLB */
	stats = kit_stats(&kit);
	assert_int_equal(stats.walk_misses, 1);
	for (uint32_t n = 0; n < 3; n++)
		assert_int_equal(stats.walk_hits[n], 1);
	assert_int_equal(stats.walk_level_misses[0], 3);
	assert_int_equal(stats.walk_level_misses[1], 2);
	assert_int_equal(stats.walk_level_misses[2], 1);
	assert_int_equal(stats.walk_level_misses[3], 0);
	assert_int_equal(stats.walk_reads, 4 + 1 + 2 + 3);

	/* Taken: from here on. */
	iog_sim_stats_take(kit.sim, &stats);
	assert_int_equal(stats.walk_reads, 10);
	assert_int_equal(stats.reads + stats.writes, 5);
	kit_lands(&kit, 0, KIT_RW, PADDR);
	iog_sim_stats_take(kit.sim, &stats);
	assert_int_equal(stats.walk_reads, 0);
	assert_int_equal(stats.iotlb_hits, 1);
	assert_int_equal(stats.walk_level_misses[0], 0);
	assert_int_equal(kit_stats(&kit).walk_reads, 10);
	kit_destroy(&kit);
}

static void taken_maximum(void **state)
{
	struct iog_sim_stats stats;
	struct kit kit;

	(void)state;
	begin(&kit, IOG_SIM_EXPOSURE);
	for (uint64_t ns = 1000; ns >= 10; ns /= 10) {
		map_used(&kit, IOVA, PADDR);
		unmap_returned(&kit, IOVA);
		clock_ns += ns;
		kit_invalidate(&kit, IOVA, 4096, true);
		iog_sim_stats_take(kit.sim, &stats);
		assert_int_equal(stats.exposure.pages, 1);
		assert_int_equal(stats.exposure.max_ns, ns);
	}
	assert_int_equal(kit_stats(&kit).exposure.max_ns, 1000);
	kit_destroy(&kit);
}

/* ---- the same seed, the same run ---- */

/* What one thread does, by random numbers of its own: pages come and go, hardware is slow and misbehaves, memory is handed on. */
static struct iog_sim_stats run(uint64_t seed, uint64_t sim_seed)
{
	const struct iog_sim_config config = {
		.flags = IOG_SIM_EXPOSURE | IOG_SIM_REUSE_COUNTED, .wait_ns = 5, .wait_jitter_ns = 50, .range_ns = 1, .seed = sim_seed, .queue_entries = 4,
	};
	bool mapped[32] = { false }, waiting[32] = { false };
	struct iog_sim_stats stats;
	uint64_t random = seed;
	struct kit kit;

	clock_ns = 1;
	kit_now_ns = NULL;
	kit_create(&kit, &kit_vtdss_48, &config);
	for (uint32_t step = 0; step < 4000; step++) {
		uint64_t number = kit_random(&random), page = number % 32, iova = IOVA + page * 4096, paddr = PADDR + page * 4096;

		switch (number >> 32 & 7) {
		case 0:
			iog_sim_misbehave(kit.sim, (enum iog_sim_fault_kind)(number >> 40 & 7) % IOG_SIM_FAULT_KINDS, number >> 48 & 3, 1);
			break;
		case 1:
			iog_sim_inval_range(kit.domain, iova, iova + 4095, true);
			if (!iog_sim_inval_wait(kit.sim))
				waiting[page] = false;
			break;
		case 2:
			iog_sim_note_reuse(kit.sim, paddr, mapped[page] ? 0 : 4096);
			break;
		default:
			if (mapped[page]) {
				iog_sim_note_unmapped(kit.sim, unmap_begun(&kit, iova));
				waiting[page] = true;
				mapped[page] = false;
			} else if (!waiting[page]) {
				map_used(&kit, iova, paddr);
				mapped[page] = true;
			}
			iog_sim_translate(kit.domain, iova, IOG_PROT_READ, NULL);
		}
	}
	kit_no_violation(&kit);
	stats = kit_stats(&kit);
	/* Times are the machine's. */
	stats.exposure.sum_ns = stats.exposure.max_ns = 0;
	memset(stats.exposure.log2_ns, 0, sizeof(stats.exposure.log2_ns));
	kit_destroy(&kit);
	return stats;
}

static void deterministic(void **state)
{
	uint64_t seed = kit_seed("exposure");
	struct iog_sim_stats first = run(seed, 1), second = run(seed, 1), other = run(seed + 1, 1);

	(void)state;
	assert_memory_equal(&first, &second, sizeof(first));
	assert_memory_not_equal(&first, &other, sizeof(first));
	assert_true(first.timeouts && first.queue_aborts && first.spurious_completions && first.exposure.late_bytes && first.exposure.reused_bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(histogram),     cmocka_unit_test(late_time),  cmocka_unit_test(not_asked_for), cmocka_unit_test(late),          cmocka_unit_test(reused),
		cmocka_unit_test(by_devices), cmocka_unit_test(levels),        cmocka_unit_test(taken_maximum), cmocka_unit_test(deterministic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The invalidation queue, what a gather becomes in it, and device accesses with data.
 */
#include <string.h>

#include "kit.h"

#define MiB (UINT64_C(1) << 20)
#define IOVA (4 * MiB)

static const struct iog_sim_config no_oracle = { .flags = IOG_SIM_NO_ORACLE };

/* 200 pages, each in the IOTLB. */
static void fill(struct kit *kit)
{
	for (uint64_t page = 0; page < 200; page++)
		kit_map(kit, IOVA + page * 4096, page << 12, KIT_RW);
	for (uint64_t page = 0; page < 200; page++)
		kit_lands(kit, IOVA + page * 4096, KIT_RW, page << 12);
	for (uint64_t page = 0; page < 200; page++)
		kit_map(kit, IOVA + page * 4096, (0x1000 + page) << 12, KIT_RW);
}

static bool cached(struct kit *kit, uint64_t page)
{
	uint64_t paddr;

	assert_int_equal(iog_sim_translate(kit->domain, IOVA + page * 4096, IOG_PROT_READ, &paddr), 0);
	if (paddr == page << 12)
		return true;
	assert_int_equal(paddr, (0x1000 + page) << 12);
	return false;
}

static void takes_effect_in_order(void **state)
{
	static const struct iog_sim_config config = { .flags = IOG_SIM_NO_ORACLE, .queue_entries = 4 };
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, &config);
	fill(&kit);
	for (uint64_t page = 0; page < 4; page++)
		iog_sim_inval_range(kit.domain, IOVA + page * 4096, IOVA + page * 4096 + 4095, true);
	for (uint64_t page = 0; page < 4; page++)
		assert_true(cached(&kit, page));
	/* The queue is full: the fifth processes the four before it, and itself waits. */
	iog_sim_inval_range(kit.domain, IOVA + 4 * 4096, IOVA + 5 * 4096 - 1, true);
	for (uint64_t page = 0; page < 4; page++)
		assert_false(cached(&kit, page));
	assert_true(cached(&kit, 4));
	assert_int_equal(iog_sim_inval_wait(kit.sim), 0);
	assert_false(cached(&kit, 4));
	assert_true(cached(&kit, 5));
	/* Around the ring several times. */
	for (uint64_t page = 5; page < 200; page++)
		iog_sim_inval_range(kit.domain, IOVA + page * 4096, IOVA + page * 4096 + 4095, true);
	assert_int_equal(iog_sim_inval_wait(kit.sim), 0);
	for (uint64_t page = 5; page < 200; page++)
		assert_false(cached(&kit, page));
	assert_int_equal(kit_stats(&kit).range_commands, 200);
	assert_int_equal(kit_stats(&kit).wait_commands, 2);
	kit_destroy(&kit);
}

static struct iog_range range(uint64_t first_page, uint64_t pages)
{
	return (struct iog_range){ IOVA + first_page * 4096, IOVA + (first_page + pages) * 4096 - 1 };
}

struct expected {
	uint64_t ranges, leaf_only, domains;
};

static void flush_costs(struct kit *kit, const struct iog_gather *gather, struct expected expected)
{
	struct iog_sim_stats before = kit_stats(kit), after;

	assert_int_equal(iog_sim_flush(gather, kit->domain), 0);
	after = kit_stats(kit);
	assert_int_equal(after.range_commands - before.range_commands, expected.ranges);
	assert_int_equal(after.range_leaf_only - before.range_leaf_only, expected.leaf_only);
	assert_int_equal(after.domain_commands - before.domain_commands, expected.domains);
	assert_int_equal(after.wait_commands - before.wait_commands, 1);
	assert_int_equal(after.walk_cache_flushes - before.walk_cache_flushes, expected.ranges - expected.leaf_only + expected.domains);
}

static void gathers(void **state)
{
	static struct iog_gather gather;
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, &no_oracle);
	fill(&kit);

	/* Nothing: a wait. */
	flush_costs(&kit, &gather, (struct expected){ 0, 0, 0 });
	assert_true(cached(&kit, 0));

	/* Ranges of leaves: one each. */
	gather.nr_ranges = 3;
	gather.ranges[0] = range(0, 1);
	gather.ranges[1] = range(4, 3);
	gather.ranges[2] = range(2, 1);
	flush_costs(&kit, &gather, (struct expected){ 3, 3, 0 });
	assert_false(cached(&kit, 0) || cached(&kit, 2) || cached(&kit, 4) || cached(&kit, 5) || cached(&kit, 6));
	assert_true(cached(&kit, 1) && cached(&kit, 3) && cached(&kit, 7));

	/* The same with the walk caches. */
	gather.walk_caches = true;
	flush_costs(&kit, &gather, (struct expected){ 3, 0, 0 });
	gather.walk_caches = false;

	/* Sixteen are still ranges. */
	gather.nr_ranges = 16;
	for (uint64_t n = 0; n < 16; n++)
		gather.ranges[n] = range(10 + 2 * n, 1);
	flush_costs(&kit, &gather, (struct expected){ 16, 16, 0 });
	assert_false(cached(&kit, 10) || cached(&kit, 40));
	assert_true(cached(&kit, 11) && cached(&kit, 41));

	/* Tables' spans that touch or overlap, in any order, and ranges inside: one command. */
	gather.nr_ranges = 1;
	gather.ranges[0] = range(50, 10);
	gather.nr_tables = 4;
	gather.tables[0].span = (struct iog_range){ 6 * MiB, 8 * MiB - 1 };
	gather.tables[1].span = (struct iog_range){ 2 * MiB, 4 * MiB - 1 };
	gather.tables[2].span = (struct iog_range){ 4 * MiB, 6 * MiB - 1 };
	gather.tables[3].span = (struct iog_range){ 4 * MiB, 6 * MiB - 1 };
	flush_costs(&kit, &gather, (struct expected){ 1, 0, 0 });
	for (uint64_t page = 0; page < 200; page++)
		assert_false(cached(&kit, page));

	/* A gap makes two; a span that ends with the last address of all is no end of the world. */
	gather.tables[1].span = (struct iog_range){ UINT64_MAX - 2 * MiB + 1, UINT64_MAX };
	flush_costs(&kit, &gather, (struct expected){ 2, 0, 0 });
	gather.tables[0].span = (struct iog_range){ UINT64_MAX - MiB + 1, UINT64_MAX };
	flush_costs(&kit, &gather, (struct expected){ 2, 0, 0 });

	/* Seventeen apart: the domain. */
	gather.nr_ranges = 0;
	gather.nr_tables = 17;
	for (uint64_t n = 0; n < 17; n++)
		gather.tables[n].span = (struct iog_range){ n * 4 * MiB, n * 4 * MiB + 2 * MiB - 1 };
	flush_costs(&kit, &gather, (struct expected){ 0, 0, 1 });
	/* As many in a row: one. */
	for (uint64_t n = 0; n < 17; n++)
		gather.tables[16 - n].span = (struct iog_range){ n * 2 * MiB, n * 2 * MiB + 2 * MiB - 1 };
	flush_costs(&kit, &gather, (struct expected){ 1, 0, 0 });
	/* A full gather. */
	gather.nr_tables = IOG_GATHER_TABLES;
	gather.nr_ranges = IOG_GATHER_RANGES;
	for (uint64_t n = 0; n < IOG_GATHER_TABLES; n++)
		gather.tables[n].span = (struct iog_range){ n * 2 * MiB, n * 2 * MiB + 2 * MiB - 1 };
	for (uint64_t n = 0; n < IOG_GATHER_RANGES; n++)
		gather.ranges[n] = range(10 + 2 * n, 1);
	flush_costs(&kit, &gather, (struct expected){ 1, 0, 0 });

	fill(&kit);
	gather.nr_tables = 0;
	gather.nr_ranges = 1;
	gather.everything = true;
	flush_costs(&kit, &gather, (struct expected){ 0, 0, 1 });
	for (uint64_t page = 0; page < 200; page++)
		assert_false(cached(&kit, page));
	kit_destroy(&kit);
}

/* Three pages of memory, not in order, the last one read-only. */
static void dma(void **state)
{
	static unsigned char out[3 * 4096], in[3 * 4096];
	unsigned char *memory[3];
	uint64_t seed = kit_seed("queue");
	struct kit kit;
	size_t done;

	(void)state;
	kit_create(&kit, &kit_x86_64_48, NULL);
	memory[2] = (unsigned char *)kit_page(&kit);
	memory[0] = (unsigned char *)kit_page(&kit);
	memory[1] = (unsigned char *)kit_page(&kit);
	for (uint64_t n = 0; n < 3; n++) {
		uint32_t prot = n == 2 ? IOG_PROT_READ : KIT_RW;

		kit_map(&kit, IOVA + n * 4096, kit_paddr(&kit, memory[n]), prot);
		iog_sim_note_map(kit.domain, IOVA + n * 4096, kit_paddr(&kit, memory[n]), 4096, prot);
	}
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (unsigned char)kit_random(&seed);

	/* Every alignment at both ends. */
	for (size_t skip = 0; skip < 16; skip++) {
		for (size_t size = 0; size < 40; size += 3) {
			size_t at = 4096 - 20 + skip;

			memset(memory[0], 0xee, 4096);
			memset(memory[1], 0xee, 4096);
			done = 99;
			assert_int_equal(iog_sim_dma(kit.domain, IOVA + at, out + skip, size, IOG_PROT_WRITE, &done), 0);
			assert_int_equal(done, size);
			for (size_t i = 0; i < 8192; i++) {
				unsigned char byte = i < 4096 ? memory[0][i] : memory[1][i - 4096];

				assert_int_equal(byte, i >= at && i < at + size ? out[skip + i - at] : 0xee);
			}
			memset(in, 0, sizeof(in));
			assert_int_equal(iog_sim_dma(kit.domain, IOVA + at, in + skip, size, IOG_PROT_READ, NULL), 0);
			assert_memory_equal(in + skip, out + skip, size);
			assert_int_equal(in[skip + size], 0);
		}
	}

	/* Ends at the page it may not write; what came before has arrived. */
	assert_int_equal(iog_sim_dma(kit.domain, IOVA + 1, out, sizeof(out) - 1, IOG_PROT_WRITE, &done), -IOG_EFAULT);
	assert_int_equal(done, 8191);
	assert_memory_equal(memory[0] + 1, out, 4095);
	assert_memory_equal(memory[1], out + 4095, 4096);
	memcpy(memory[2], out, 4096);
	assert_int_equal(iog_sim_dma(kit.domain, IOVA, in, 3 * 4096, IOG_PROT_READ, &done), 0);
	assert_memory_equal(in + 8192, out, 4096);
	assert_int_equal(iog_sim_dma(kit.domain, IOVA, in, 3 * 4096 + 1, IOG_PROT_READ, &done), -IOG_EFAULT);
	assert_int_equal(done, 3 * 4096);

	assert_int_equal(iog_sim_dma(kit.domain, IOVA, in, 4, KIT_RW, &done), -IOG_EINVAL);
	assert_int_equal(iog_sim_dma(kit.domain, IOVA, in, 4, 0, &done), -IOG_EINVAL);
	assert_int_equal(iog_sim_dma(kit.domain, UINT64_MAX - 2, in, 4, IOG_PROT_READ, &done), -IOG_EINVAL);
	assert_int_equal(iog_sim_dma(kit.domain, UINT64_MAX - 2, in, 3, IOG_PROT_READ, &done), -IOG_EFAULT);
	assert_int_equal(done, 0);
	kit_destroy(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_effect_in_order),
		cmocka_unit_test(gathers),
		cmocka_unit_test(dma),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Scatter lists: what the device is told, what it can reach with it, and one invalidation to take it back.
 */
#include <stdlib.h>
#include <string.h>

#include "kit.h"

#define SEGMENTS_MAX 4096

/* The pairs cover the segments' bytes, in order, and obey the bounds; every byte goes where it should, and none beside a segment's pages. */
static void check_list(struct kit *kit, const struct iog_sg *sg, uint32_t n, uint32_t mapped, enum iog_dma_dir dir)
{
	uint64_t max = kit->config.segment_max, boundary = kit->config.segment_boundary, used = 0;
	uint32_t pair = 0;

	for (uint32_t i = 0; i < mapped; i++) {
		uint64_t last = sg[i].iova + (sg[i].iova_size - 1);

		assert_true(sg[i].iova_size > 0);
		assert_true(!max || sg[i].iova_size <= max);
		assert_true(!boundary || sg[i].iova / boundary == last / boundary);
		assert_true(!i || sg[i].iova > sg[i - 1].iova + (sg[i - 1].iova_size - 1));
	}
	for (uint32_t i = 0; i < n; i++) {
		const unsigned char *va = kit->buffer + (sg[i].paddr - kit->buffer_paddr);
		uint64_t iova = sg[pair].iova + used;

		assert_true(pair < mapped);
		assert_true(sg[i].size <= sg[pair].iova_size - used);
		assert_int_equal(iova % KIT_PAGE, sg[i].paddr % KIT_PAGE);
		if (dir & IOG_DMA_TO_DEVICE)
			kit_reads(kit, iova, va, sg[i].size);
		if (dir & IOG_DMA_FROM_DEVICE)
			kit_writes(kit, iova, va, sg[i].size);
		used += sg[i].size;
		if (used == sg[pair].iova_size) {
			used = 0;
			pair++;
		}
	}
	assert_int_equal(pair, mapped);
}

static uint64_t span(const struct iog_sg *sg, uint32_t mapped)
{
	return sg[mapped - 1].iova + sg[mapped - 1].iova_size - sg[0].iova;
}

/* Map it, look at it, unmap it: with one invalidation, or none yet. */
static void round_trip(struct kit *kit, struct iog_sg *sg, uint32_t n, uint32_t pairs, enum iog_dma_dir dir)
{
	bool strict = kit->config.way->mode == IOG_INVAL_STRICT;
	uint64_t before, size, bytes = 0;
	uint32_t mapped = 0;
	iog_iova_t iova = 0, last;

	for (uint32_t i = 0; i < n; i++)
		bytes += sg[i].size;
	assert_int_equal(iog_dma_map_sg(kit->device, 0, sg, n, dir, 0, &iova, &mapped), 0);
	assert_true(iova == sg[0].iova);
	assert_true(kit_stats(kit).bytes_mapped == bytes);
	if (pairs)
		assert_int_equal(mapped, pairs);
	size = span(sg, mapped);
	last = iova + (size - 1);
	kit_note_map(kit, 0, iova, size);
	check_list(kit, sg, n, mapped, dir);
	if (!strict)
		assert_int_equal(iog_domain_flush(kit->domain, 0), 0);
	kit_refused(kit, (iova & ~(KIT_PAGE - 1)) - 1, 1, dir & IOG_DMA_TO_DEVICE ? KIT_R : KIT_W);
	kit_refused(kit, (last | (KIT_PAGE - 1)) + 1, 1, dir & IOG_DMA_TO_DEVICE ? KIT_R : KIT_W);
	kit_note_unmap(kit, iova, size);
	before = kit->invalidations;
	assert_int_equal(iog_dma_unmap_sg(kit->device, 0, sg, n, dir, 0), 0);
	if (strict) {
		assert_int_equal(kit->invalidations, before + 1);
		kit_refused(kit, iova, size, KIT_R);
		kit_refused(kit, iova, size, KIT_W);
	}
	assert_int_equal(iog_dma_unmap_sg(kit->device, 0, sg, n, dir, 0), -IOG_ENOENT);
	assert_true(kit_stats(kit).bytes_mapped == 0);
}

static void set(struct kit *kit, struct iog_sg *sg, uint64_t offset, uint64_t size)
{
	*sg = (struct iog_sg){ .paddr = kit_paddr(kit, offset), .size = size };
}

static void test_lists(void **state)
{
	static struct iog_sg sg[SEGMENTS_MAX];

	(void)state;
	for (uint32_t w = 0; w < nr_kit_ways; w++) {
		const struct kit_config config = { .way = &kit_ways[w] };
		struct kit kit;

		kit_create(&kit, &config);
		/* One byte; one page; scattered pages are one pair. */
		set(&kit, &sg[0], 4095, 1);
		round_trip(&kit, sg, 1, 1, IOG_DMA_BIDIRECTIONAL);
		set(&kit, &sg[0], 4096, 4096);
		round_trip(&kit, sg, 1, 1, IOG_DMA_FROM_DEVICE);
		for (uint32_t i = 0; i < 64; i++)
			set(&kit, &sg[i], (1000 - 3 * i) * KIT_PAGE, KIT_PAGE);
		round_trip(&kit, sg, 64, 1, IOG_DMA_BIDIRECTIONAL);
		/* The first begins, and the last ends, inside a page: one pair still. */
		set(&kit, &sg[0], 5 * KIT_PAGE + 0xf00, 0x100);
		set(&kit, &sg[1], 90 * KIT_PAGE, 2 * KIT_PAGE);
		set(&kit, &sg[2], 33 * KIT_PAGE, 1);
		round_trip(&kit, sg, 3, 1, IOG_DMA_TO_DEVICE);
		/* Every segment inside a page: a gap before each. */
		for (uint32_t i = 0; i < 100; i++)
			set(&kit, &sg[i], i * KIT_PAGE + i, 1);
		round_trip(&kit, sg, 100, 100, IOG_DMA_BIDIRECTIONAL);
		/* The picture of the guide. */
		set(&kit, &sg[0], 1 * KIT_PAGE + 0xf00, 0x100);
		set(&kit, &sg[1], 7 * KIT_PAGE, 0x2000);
		set(&kit, &sg[2], 3 * KIT_PAGE + 0x10, 0x20);
		round_trip(&kit, sg, 3, 2, IOG_DMA_BIDIRECTIONAL);
		/* Neighbours within a page are apart. The same page twice is two. */
		set(&kit, &sg[0], 0, 100);
		set(&kit, &sg[1], 100, 100);
		set(&kit, &sg[2], 100, 50);
		round_trip(&kit, sg, 3, 3, IOG_DMA_TO_DEVICE);
		/* More than 2 MiB, contiguous and not. */
		set(&kit, &sg[0], 2 * KIT_MIB, 2 * KIT_MIB);
		set(&kit, &sg[1], 4 * KIT_MIB, 2 * KIT_MIB + 4096);
		set(&kit, &sg[2], KIT_PAGE, 777);
		round_trip(&kit, sg, 3, 1, IOG_DMA_BIDIRECTIONAL);
		/* Thousands. */
		for (uint32_t i = 0; i < 2000; i++)
			set(&kit, &sg[i], (i * 7 % 2000) * KIT_PAGE + (i % 3 ? 0 : i), i % 3 ? KIT_PAGE : 1 + i % 50);
		round_trip(&kit, sg, 2000, 0, IOG_DMA_BIDIRECTIONAL);
		kit_empty(&kit);
		kit_destroy(&kit);
	}
}

/* No pair is longer than the device takes, none crosses its boundary; what cannot be told is refused. */
static void test_bounds(void **state)
{
	static const uint64_t maxima[] = { 0, 4096, 6000, 65536, 65535 };
	static const uint64_t boundaries[] = { 0, 4096, 8192, 65536, KIT_MIB, UINT64_C(1) << 32 };
	static struct iog_sg sg[SEGMENTS_MAX];
	uint64_t random = kit_seed("bounds");

	(void)state;
	for (uint32_t n = 0; n < nr_kit_ways * 15; n++) {
		const struct kit_config config = { .way = &kit_ways[n / 15], .segment_max = maxima[n % 5], .segment_boundary = boundaries[n % 6] };
		uint64_t longest = 3 * KIT_PAGE;
		struct kit kit;

		if (config.segment_max && config.segment_max < longest)
			longest = config.segment_max;
		if (config.segment_boundary && config.segment_boundary < longest)
			longest = config.segment_boundary;
		kit_create(&kit, &config);
		for (uint32_t round = 0; round < 4; round++) {
			uint32_t count = 1 + (uint32_t)(kit_random(&random) % 200);

			for (uint32_t i = 0; i < count; i++) {
				uint64_t size = 1 + kit_random(&random) % longest, at = kit_random(&random) % 1000 * KIT_PAGE;

				if (kit_random(&random) % 2)
					size = longest & ~(KIT_PAGE - 1);
				else if (kit_random(&random) % 2)
					at += kit_random(&random) % KIT_PAGE;
				/* Of a segment that no place suits, only the beginning. */
				if (config.segment_boundary && at % KIT_PAGE + size > config.segment_boundary)
					size = config.segment_boundary - at % KIT_PAGE;
				set(&kit, &sg[i], at, size);
			}
			round_trip(&kit, sg, count, 0, IOG_DMA_BIDIRECTIONAL);
		}
		kit_empty(&kit);
		kit_destroy(&kit);
	}
}

static void test_bounds_refused(void **state)
{
	const struct kit_config config = { .way = &kit_ways[0], .segment_max = 8192, .segment_boundary = 8192, .flags = IOG_DEVICE_BYPASS };
	const struct kit_config small = { .way = &kit_ways[0], .segment_boundary = 512 };
	struct iog_sg sg[2];
	uint32_t mapped = 9;
	struct kit kit;

	(void)state;
	kit_create(&kit, &config);
	set(&kit, &sg[0], 0, 100);
	set(&kit, &sg[1], 0, 8193);
	assert_int_equal(iog_dma_map_sg(kit.device, 0, sg, 2, IOG_DMA_TO_DEVICE, 0, NULL, &mapped), -IOG_EINVAL);
	set(&kit, &sg[1], 1, 8192);
	assert_int_equal(iog_dma_map_sg(kit.device, 0, sg, 2, IOG_DMA_TO_DEVICE, 0, NULL, &mapped), -IOG_EINVAL);
	assert_int_equal(mapped, 9);
	assert_true(sg[0].iova_size == 0);
	set(&kit, &sg[1], 4096, 8192);
	round_trip(&kit, sg, 2, 2, IOG_DMA_TO_DEVICE);
	/* Untranslated, where it lies is where it is. */
	assert_int_equal(iog_dma_map_sg(kit.device, 0, sg, 2, IOG_DMA_TO_DEVICE, IOG_DMA_BYPASS, NULL, &mapped), -IOG_EINVAL);
	set(&kit, &sg[0], 4096, 4096);
	set(&kit, &sg[1], 8192, 4096);
	assert_int_equal(iog_dma_map_sg(kit.device, 0, sg, 2, IOG_DMA_TO_DEVICE, IOG_DMA_BYPASS, NULL, &mapped), 0);
	assert_int_equal(mapped, 2);
	assert_int_equal(iog_dma_unmap_sg(kit.device, 0, sg, 2, IOG_DMA_TO_DEVICE, IOG_DMA_BYPASS), 0);
	kit_destroy(&kit);

	/* A boundary within the page. */
	kit_create(&kit, &small);
	set(&kit, &sg[0], 512, 512);
	set(&kit, &sg[1], 100, 412);
	round_trip(&kit, sg, 2, 2, IOG_DMA_TO_DEVICE);
	set(&kit, &sg[1], 100, 413);
	assert_int_equal(iog_dma_map_sg(kit.device, 0, sg, 2, IOG_DMA_TO_DEVICE, 0, NULL, &mapped), -IOG_EINVAL);
	kit_empty(&kit);
	kit_destroy(&kit);
}

static void test_malformed(void **state)
{
	const struct kit_config config = { .way = &kit_ways[0] };
	struct iog_sg sg[3];
	uint32_t mapped;
	iog_iova_t iova;
	struct kit kit;

	(void)state;
	kit_create(&kit, &config);
	set(&kit, &sg[0], 0, 100);
	set(&kit, &sg[1], 0, 0);
	set(&kit, &sg[2], 0, 1);
	assert_int_equal(iog_dma_map_sg(kit.device, 0, sg, 0, IOG_DMA_TO_DEVICE, 0, &iova, &mapped), -IOG_EINVAL);
	assert_int_equal(iog_dma_map_sg(kit.device, 0, sg, 3, IOG_DMA_TO_DEVICE, 0, &iova, &mapped), -IOG_EINVAL);
	assert_int_equal(iog_dma_map_sg(kit.device, 0, sg, 1, (enum iog_dma_dir)0, 0, &iova, &mapped), -IOG_EINVAL);
	assert_int_equal(iog_dma_map_sg(kit.device, 0, sg, 1, IOG_DMA_TO_DEVICE, 1 << 9, &iova, &mapped), -IOG_EINVAL);
	assert_int_equal(iog_dma_map_sg(kit.device, 1, sg, 1, IOG_DMA_TO_DEVICE, 0, &iova, &mapped), -IOG_EINVAL);
	sg[1] = (struct iog_sg){ .paddr = UINT64_MAX, .size = 2 };
	assert_int_equal(iog_dma_map_sg(kit.device, 0, sg, 3, IOG_DMA_TO_DEVICE, 0, &iova, &mapped), -IOG_ERANGE);
	sg[1] = (struct iog_sg){ .paddr = UINT64_C(1) << 53, .size = 2 };
	assert_int_equal(iog_dma_map_sg(kit.device, 0, sg, 3, IOG_DMA_TO_DEVICE, 0, &iova, &mapped), -IOG_ERANGE);
	/* Sums beyond 2^64 and beyond all addresses. */
	sg[0].size = sg[1].size = sg[2].size = UINT64_C(1) << 63;
	sg[0].paddr = sg[1].paddr = sg[2].paddr = 0;
	assert_int_equal(iog_dma_map_sg(kit.device, 0, sg, 3, IOG_DMA_TO_DEVICE, 0, &iova, &mapped), -IOG_ERANGE);
	sg[0].size = sg[1].size = sg[2].size = UINT64_C(1) << 62;
	assert_int_equal(iog_dma_map_sg(kit.device, 0, sg, 3, IOG_DMA_TO_DEVICE, 0, &iova, &mapped), -IOG_ERANGE);
	assert_int_equal(iog_dma_map_sg(kit.device, 0, sg, 1, IOG_DMA_TO_DEVICE, 0, &iova, &mapped), -IOG_ERANGE);
	sg[0].size = (UINT64_C(1) << 63) - 4096;
	sg[1] = (struct iog_sg){ .paddr = 4095, .size = (UINT64_C(1) << 63) - 1 };
	assert_int_equal(iog_dma_map_sg(kit.device, 0, sg, 2, IOG_DMA_TO_DEVICE, 0, &iova, &mapped), -IOG_ERANGE);
	sg[1].paddr = 0;
	sg[0].size = sg[1].size = sg[2].size = UINT64_C(1) << 50;
	assert_int_equal(iog_dma_map_sg(kit.device, 0, sg, 3, IOG_DMA_TO_DEVICE, 0, &iova, &mapped), -IOG_ENOSPC);

	/* What was never mapped, or is another list. */
	set(&kit, &sg[0], 0, 100);
	assert_int_equal(iog_dma_unmap_sg(kit.device, 0, sg, 1, IOG_DMA_TO_DEVICE, 0), -IOG_ENOENT);
	assert_int_equal(iog_dma_map_sg(kit.device, 0, sg, 1, IOG_DMA_TO_DEVICE, 0, &iova, &mapped), 0);
	sg[0].paddr++;
	assert_int_equal(iog_dma_unmap_sg(kit.device, 0, sg, 1, IOG_DMA_TO_DEVICE, 0), -IOG_EINVAL);
	sg[0].paddr--;
	sg[0].size = 0;
	assert_int_equal(iog_dma_unmap_sg(kit.device, 0, sg, 1, IOG_DMA_TO_DEVICE, 0), -IOG_EINVAL);
	sg[0].size = 100;
	assert_int_equal(iog_dma_unmap_sg(kit.device, 0, sg, 0, IOG_DMA_TO_DEVICE, 0), -IOG_EINVAL);
	assert_int_equal(iog_dma_unmap_sg(kit.device, 0, sg, 1, IOG_DMA_TO_DEVICE, 0), 0);
	kit_empty(&kit);
	kit_destroy(&kit);
}

/* Below the device's limit; no room is no change. */
static void test_limit(void **state)
{
	static struct iog_sg sg[SEGMENTS_MAX];

	(void)state;
	for (uint32_t w = 0; w < nr_low_kit_ways; w++) {
		const struct kit_config config = { .way = &kit_ways[w], .dma_bits = 24 };
		struct kit kit;
		uint32_t mapped;

		kit_create(&kit, &config);
		for (uint32_t i = 0; i < 500; i++)
			set(&kit, &sg[i], i * 2 * KIT_PAGE, KIT_PAGE);
		for (uint32_t round = 0; round < 20; round++)
			round_trip(&kit, sg, 500, 1, IOG_DMA_TO_DEVICE);
		assert_int_equal(iog_dma_map_sg(kit.device, 0, sg, 500, IOG_DMA_TO_DEVICE, 0, NULL, &mapped), 0);
		assert_true((sg[0].iova + sg[0].iova_size - 1) >> 24 == 0);
		assert_int_equal(iog_dma_unmap_sg(kit.device, 0, sg, 500, IOG_DMA_TO_DEVICE, 0), 0);
		for (uint32_t i = 0; i < SEGMENTS_MAX; i++)
			set(&kit, &sg[i], 1, 1);
		assert_int_equal(iog_dma_map_sg(kit.device, 0, sg, SEGMENTS_MAX, IOG_DMA_TO_DEVICE, 0, NULL, &mapped), -IOG_ENOSPC);
		kit_empty(&kit);
		kit_destroy(&kit);
	}
}

/* The unit does not answer: the list is gone, its addresses are not used, and a flush brings them back. */
static void test_timeout(void **state)
{
	(void)state;
	for (uint32_t w = 0; w < nr_kit_ways; w++) {
		const struct kit_config config = { .way = &kit_ways[w], .deferred_entries = 1 };
		struct iog_sg sg[8], next[8];
		iog_iova_t iova, second;
		uint32_t mapped;
		struct kit kit;

		kit_create(&kit, &config);
		for (uint32_t i = 0; i < 8; i++) {
			set(&kit, &sg[i], 20 * i * KIT_PAGE, KIT_PAGE);
			next[i] = sg[i];
		}
		assert_int_equal(iog_dma_map_sg(kit.device, 0, sg, 8, IOG_DMA_FROM_DEVICE, 0, &iova, &mapped), 0);
		kit_note_map(&kit, 0, iova, 8 * KIT_PAGE);
		kit_writes(&kit, iova, NULL, 8 * KIT_PAGE);
		kit.inval_error = -IOG_ETIMEDOUT;
		kit_note_unmap(&kit, iova, 8 * KIT_PAGE);
		assert_int_equal(iog_dma_unmap_sg(kit.device, 0, sg, 8, IOG_DMA_FROM_DEVICE, 0), -IOG_ETIMEDOUT);
		assert_int_equal(iog_dma_unmap_sg(kit.device, 0, sg, 8, IOG_DMA_FROM_DEVICE, 0), -IOG_ENOENT);
		if (!iog_dma_map_sg(kit.device, 0, next, 8, IOG_DMA_FROM_DEVICE, 0, &second, &mapped)) {
			kit_note_map(&kit, 0, second, 8 * KIT_PAGE);
			assert_true(second + 8 * KIT_PAGE <= iova || iova + 8 * KIT_PAGE <= second);
			kit.inval_error = 0;
			kit_note_unmap(&kit, second, 8 * KIT_PAGE);
			assert_int_equal(iog_dma_unmap_sg(kit.device, 0, next, 8, IOG_DMA_FROM_DEVICE, 0), 0);
		}
		kit.inval_error = 0;
		assert_int_equal(iog_domain_flush(kit.domain, 0), 0);
		kit_refused(&kit, iova, 8 * KIT_PAGE, KIT_W);
		kit_empty(&kit);
		kit_destroy(&kit);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_bounds_refused),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_timeout),
	};

	return cmocka_run_group_tests_name("dma sg", tests, NULL, NULL);
}

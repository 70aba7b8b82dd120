/* SPDX-License-Identifier: MIT */
/*
 * iog_dma_map(), unmap(), map_resource(), alloc(), sync: what a device can reach then, what it cannot, and what each refusal leaves behind.
 */
#include <string.h>

#include "kit.h"

#define OFFSET (KIT_PAGE * 16)

static const enum iog_dma_dir dirs[] = { IOG_DMA_TO_DEVICE, IOG_DMA_FROM_DEVICE, IOG_DMA_BIDIRECTIONAL };

/* Every way, every direction, places and lengths around page edges: inside it lands, outside and afterwards it does not. */
static void edges(const struct iog_pgtable_ops *format)
{
	static const uint64_t offsets[] = { 0, 1, 63, 2048, 4095 };
	static const uint64_t sizes[] = { 1, 2, 4095, 4096, 4097, 8191, 8192, 12345, 65536, 2 * KIT_MIB, 2 * KIT_MIB + 4096 };

	for (uint32_t w = 0; w < nr_kit_ways; w++) {
		const struct kit_config config = { .way = &kit_ways[w], .format = format };
		uint64_t maps = 0;
		struct kit kit;

		kit_create(&kit, &config);
		for (uint32_t n = 0; n < 5 * 11 * 3; n++) {
			uint64_t at = OFFSET + offsets[n % 5], size = sizes[n / 5 % 11];
			enum iog_dma_dir dir = dirs[n / 55];
			uint64_t iova;

			/* Large ones take their time. */
			if (size > KIT_MIB && offsets[n % 5] && offsets[n % 5] != 4095)
				continue;
			iova = kit_map(&kit, 0, at, size, dir, 0);
			maps++;
			assert_true(kit_stats(&kit).bytes_mapped == size);
			kit_check(&kit, iova, kit.buffer + at, size, dir);
			kit_unmap(&kit, 0, iova, size, dir, 0);
			if (kit_ways[w].mode == IOG_INVAL_STRICT) {
				kit_refused(&kit, iova, size, KIT_R);
				kit_refused(&kit, iova, size, KIT_W);
			}
			if (n % 7 == 6) {
				assert_int_equal(iog_domain_flush(kit.domain, 0), 0);
				kit_refused(&kit, iova, size, KIT_R);
			}
			assert_int_equal(iog_dma_unmap(kit.device, 0, iova, size, dir, 0), -IOG_ENOENT);
		}
		assert_true(kit_stats(&kit).maps == maps);
		kit_empty(&kit);
		kit_destroy(&kit);
	}
}

static void test_edges(void **state)
{
	(void)state;
	edges(&iog_vtdss_counted);
}

static void test_edges_read_implied(void **state)
{
	(void)state;
	edges(&iog_x86_64_counted);
}

/* Many at once: no two share an address, and each goes to its own buffer. */
static void test_many(void **state)
{
	(void)state;
	for (uint32_t w = 0; w < nr_kit_ways; w++) {
		const struct kit_config config = { .way = &kit_ways[w], .lanes = 2 };
		uint64_t iova[700];
		struct kit kit;

		kit_create(&kit, &config);
		for (uint32_t round = 0; round < 2; round++) {
			for (uint32_t i = 0; i < 700; i++)
				iova[i] = kit_map(&kit, i % 2, i * KIT_PAGE + i, 1 + i % 300, IOG_DMA_BIDIRECTIONAL, 0);
			for (uint32_t i = 0; i < 700; i++) {
				kit_writes(&kit, iova[i], kit.buffer + i * KIT_PAGE + i, 1 + i % 300);
				for (uint32_t k = 0; k < i; k += 97)
					assert_true((iova[i] ^ iova[k]) >= KIT_PAGE);
			}
			/* By the other lane than mapped it. */
			for (uint32_t i = 0; i < 700; i++)
				kit_unmap(&kit, (i + 1) % 2, iova[i], 1 + i % 300, IOG_DMA_BIDIRECTIONAL, 0);
		}
		kit_empty(&kit);
		kit_destroy(&kit);
	}
}

static void test_malformed(void **state)
{
	const struct kit_config config = { .way = &kit_ways[0], .lanes = 2 };
	struct iog_device_config lone = { .id = 3 };
	struct iog_device *device;
	iog_iova_t iova = 77, above, between;
	uint64_t paddr;
	struct kit kit;

	(void)state;
	kit_create(&kit, &config);
	paddr = kit_paddr(&kit, 0);

	assert_int_equal(iog_dma_map(kit.device, 0, paddr, 0, IOG_DMA_TO_DEVICE, 0, &iova), -IOG_EINVAL);
	assert_int_equal(iog_dma_map(kit.device, 0, 0, 0, IOG_DMA_TO_DEVICE, 0, &iova), -IOG_EINVAL);
	assert_int_equal(iog_dma_map(kit.device, 0, paddr, 1, (enum iog_dma_dir)0, 0, &iova), -IOG_EINVAL);
	assert_int_equal(iog_dma_map(kit.device, 0, paddr, 1, (enum iog_dma_dir)4, 0, &iova), -IOG_EINVAL);
	assert_int_equal(iog_dma_map(kit.device, 0, paddr, 1, IOG_DMA_TO_DEVICE, 1 << 3, &iova), -IOG_EINVAL);
	assert_int_equal(iog_dma_map(kit.device, 2, paddr, 1, IOG_DMA_TO_DEVICE, 0, &iova), -IOG_EINVAL);
	assert_int_equal(iog_dma_map(kit.device, IOG_LANE_ALL, paddr, 1, IOG_DMA_TO_DEVICE, 0, &iova), -IOG_EINVAL);
	assert_int_equal(iog_dma_map(kit.device, 0, paddr, 1, IOG_DMA_TO_DEVICE, IOG_DMA_BYPASS, &iova), -IOG_EPERM);
	/* Beyond 2^64, beyond what entries hold, and up to 2^64. */
	assert_int_equal(iog_dma_map(kit.device, 0, UINT64_MAX, 2, IOG_DMA_TO_DEVICE, 0, &iova), -IOG_ERANGE);
	assert_int_equal(iog_dma_map(kit.device, 0, paddr, UINT64_MAX, IOG_DMA_TO_DEVICE, 0, &iova), -IOG_ERANGE);
	assert_int_equal(iog_dma_map(kit.device, 0, 0, UINT64_MAX, IOG_DMA_TO_DEVICE, 0, &iova), -IOG_ERANGE);
	assert_int_equal(iog_dma_map(kit.device, 0, 1, UINT64_MAX, IOG_DMA_TO_DEVICE, 0, &iova), -IOG_ERANGE);
	assert_int_equal(iog_dma_map(kit.device, 0, UINT64_MAX, 1, IOG_DMA_TO_DEVICE, 0, &iova), -IOG_ERANGE);
	assert_int_equal(iog_dma_map(kit.device, 0, UINT64_MAX - 4095, 4096, IOG_DMA_TO_DEVICE, 0, &iova), -IOG_ERANGE);
	assert_int_equal(iog_dma_map(kit.device, 0, UINT64_C(1) << 52, 1, IOG_DMA_TO_DEVICE, 0, &iova), -IOG_ERANGE);
	assert_int_equal(iog_dma_map(kit.device, 0, (UINT64_C(1) << 52) - 1, 2, IOG_DMA_TO_DEVICE, 0, &iova), -IOG_ERANGE);
	assert_int_equal(iog_dma_map(kit.device, 0, 0, UINT64_C(1) << 60, IOG_DMA_TO_DEVICE, 0, &iova), -IOG_ERANGE);
	assert_int_equal(iog_dma_map(kit.device, 0, 0, UINT64_C(1) << 63, IOG_DMA_TO_DEVICE, 0, &iova), -IOG_ERANGE);
	/* More than there are addresses, of memory that there could be. */
	assert_int_equal(iog_dma_map(kit.device, 0, 0, UINT64_C(1) << 49, IOG_DMA_TO_DEVICE, 0, &iova), -IOG_ENOSPC);
	assert_true(iova == 77);

	/* Not at the very end of all addresses, and with a hole behind it. */
	above = kit_map(&kit, 0, 0, KIT_MIB, IOG_DMA_TO_DEVICE, 0);
	between = kit_map(&kit, 0, 0, 1, IOG_DMA_TO_DEVICE, 0);
	iova = kit_map(&kit, 0, 100, 5000, IOG_DMA_TO_DEVICE, 0);
	assert_int_equal(iog_dma_unmap(kit.device, 0, above + KIT_MIB, 1, IOG_DMA_TO_DEVICE, 0), -IOG_EINVAL);
	assert_int_equal(iog_dma_unmap(kit.device, 0, iova, 0, IOG_DMA_TO_DEVICE, 0), -IOG_EINVAL);
	assert_int_equal(iog_dma_unmap(kit.device, 0, iova, 5000, (enum iog_dma_dir)0, 0), -IOG_EINVAL);
	assert_int_equal(iog_dma_unmap(kit.device, 0, iova, 5000, IOG_DMA_TO_DEVICE, 1 << 5), -IOG_EINVAL);
	assert_int_equal(iog_dma_unmap(kit.device, 0, iova, 5000, IOG_DMA_TO_DEVICE, IOG_DMA_BYPASS), -IOG_EINVAL);
	assert_int_equal(iog_dma_unmap(kit.device, 7, iova, 5000, IOG_DMA_TO_DEVICE, 0), -IOG_EINVAL);
	assert_int_equal(iog_dma_unmap(kit.device, 0, UINT64_MAX, 2, IOG_DMA_TO_DEVICE, 0), -IOG_EINVAL);
	assert_int_equal(iog_dma_unmap(kit.device, 0, iova, UINT64_MAX, IOG_DMA_TO_DEVICE, 0), -IOG_EINVAL);
	/* What is beside it is not mapped. */
	assert_int_equal(iog_dma_unmap(kit.device, 0, iova + 2 * KIT_PAGE, 1, IOG_DMA_TO_DEVICE, 0), -IOG_ENOENT);
	assert_int_equal(iog_dma_unmap(kit.device, 0, iova, 3 * KIT_PAGE, IOG_DMA_TO_DEVICE, 0), -IOG_ENOENT);
	kit_check(&kit, iova, kit.buffer + 100, 5000, IOG_DMA_TO_DEVICE);

	assert_int_equal(iog_dma_sync_for_cpu(kit.device, 0, iova, 0, IOG_DMA_TO_DEVICE), -IOG_EINVAL);
	assert_int_equal(iog_dma_sync_for_cpu(kit.device, 0, iova, 1, (enum iog_dma_dir)5), -IOG_EINVAL);
	assert_int_equal(iog_dma_sync_for_device(kit.device, 2, iova, 1, IOG_DMA_TO_DEVICE), -IOG_EINVAL);
	assert_int_equal(iog_dma_sync_for_device(kit.device, 0, UINT64_MAX, 2, IOG_DMA_TO_DEVICE), -IOG_EINVAL);
	assert_int_equal(iog_dma_sync_for_cpu(kit.device, 0, iova, 5000, IOG_DMA_TO_DEVICE), 0);
	assert_int_equal(iog_dma_sync_for_device(kit.device, 0, iova, 5000, IOG_DMA_TO_DEVICE), 0);
	kit_unmap(&kit, 0, iova, 5000, IOG_DMA_TO_DEVICE, 0);
	kit_unmap(&kit, 0, between, 1, IOG_DMA_TO_DEVICE, 0);
	kit_unmap(&kit, 0, above, KIT_MIB, IOG_DMA_TO_DEVICE, 0);

	/* A device that is in no domain. */
	lone.platform = &kit.observed;
	lone.unit = &kit.unit;
	assert_int_equal(iog_device_create(&lone, &device), 0);
	assert_int_equal(iog_dma_map(device, 0, paddr, 1, IOG_DMA_TO_DEVICE, 0, &iova), -IOG_ENOENT);
	assert_int_equal(iog_dma_unmap(device, 0, paddr, 1, IOG_DMA_TO_DEVICE, 0), -IOG_ENOENT);
	assert_int_equal(iog_dma_sync_for_cpu(device, 0, paddr, 1, IOG_DMA_TO_DEVICE), -IOG_ENOENT);
	assert_int_equal(iog_device_destroy(device), 0);

	kit_empty(&kit);
	kit_destroy(&kit);
}

/* A device gets no address that it cannot drive, and is told when there is none left. */
static void test_limit(void **state)
{
	(void)state;
	for (uint32_t w = 0; w < nr_low_kit_ways; w++) {
		static const uint32_t bits[] = { 24, 32, 39 };

		for (uint32_t b = 0; b < 3; b++) {
			const struct kit_config config = { .way = &kit_ways[w], .dma_bits = bits[b] };
			struct kit kit;

			kit_create(&kit, &config);
			for (uint32_t i = 0; i < 64; i++) {
				uint64_t iova = kit_map(&kit, 0, OFFSET + i, 40000, IOG_DMA_FROM_DEVICE, 0);

				assert_true((iova + 39999) >> bits[b] == 0);
				kit_writes(&kit, iova, kit.buffer + OFFSET + i, 40000);
				kit_unmap(&kit, 0, iova, 40000, IOG_DMA_FROM_DEVICE, 0);
			}
			kit_empty(&kit);
			kit_destroy(&kit);
		}
	}
}

/* An aperture of 2 MiB + 64 pages, filled, emptied, filled again. What is refused leaves it as it was. */
static void test_exhaustion(void **state)
{
	(void)state;
	for (uint32_t w = 0; w < nr_low_kit_ways; w++) {
		const struct kit_config config = { .way = &kit_ways[w], .first = 2 * KIT_MIB, .last = 6 * KIT_MIB - 1, .deferred_entries = 16 };
		static iog_iova_t iova[2048];
		uint32_t first = 0;
		struct kit kit;

		kit_create(&kit, &config);
		for (uint32_t round = 0; round < 3; round++) {
			uint32_t n = 0;
			int error = 0;

			while (!error && n < 2048) {
				error = iog_dma_map(kit.device, 0, kit_paddr(&kit, n * KIT_PAGE), 100, IOG_DMA_TO_DEVICE, 0, &iova[n]);
				if (!error) {
					kit_note_map(&kit, 0, iova[n], 100);
					n++;
				}
			}
			assert_int_equal(error, -IOG_ENOSPC);
			assert_true(n > 512 && n <= 1024);
			if (!round)
				first = n;
			/* All come back, deferred or not. */
			assert_int_equal(n, first);
			for (uint32_t i = 0; i < n; i++)
				kit_reads(&kit, iova[i], kit.buffer + i * KIT_PAGE, 100);
			for (uint32_t i = 0; i < n; i++)
				kit_unmap(&kit, 0, iova[i], 100, IOG_DMA_TO_DEVICE, 0);
		}
		kit_empty(&kit);
		kit_destroy(&kit);
	}
}

static void test_bypass(void **state)
{
	const struct kit_config config = { .way = &kit_ways[0], .flags = IOG_DEVICE_BYPASS, .dma_bits = 40 };
	struct iog_sg sg[2];
	struct iog_device *other;
	iog_iova_t iova = 5;
	uint32_t mapped;
	struct kit kit;

	(void)state;
	kit_create(&kit, &config);
	other = kit_device(&kit, 1, 0, 0);
	assert_int_equal(iog_dma_map(kit.device, 0, kit_paddr(&kit, 7), 100, IOG_DMA_TO_DEVICE, IOG_DMA_BYPASS, &iova), 0);
	assert_true(iova == kit_paddr(&kit, 7));
	/* Nothing is mapped: as an address to be translated it is refused. */
	kit_refused(&kit, iova, 100, KIT_R);
	assert_int_equal(iog_dma_sync_for_cpu(kit.device, 0, iova, 100, IOG_DMA_TO_DEVICE), 0);
	assert_int_equal(iog_dma_unmap(kit.device, 0, iova, 100, IOG_DMA_TO_DEVICE, IOG_DMA_BYPASS), 0);
	assert_int_equal(kit.invalidations, 0);

	/* The right is the device's, and its limit holds. */
	assert_int_equal(iog_dma_map(other, 0, kit_paddr(&kit, 7), 100, IOG_DMA_TO_DEVICE, IOG_DMA_BYPASS, &iova), -IOG_EPERM);
	assert_int_equal(iog_dma_map_resource(other, 0, kit_paddr(&kit, 7), 100, IOG_DMA_TO_DEVICE, IOG_DMA_BYPASS, &iova), -IOG_EPERM);
	sg[0] = (struct iog_sg){ .paddr = kit_paddr(&kit, 0), .size = 10 };
	assert_int_equal(iog_dma_map_sg(other, 0, sg, 1, IOG_DMA_TO_DEVICE, IOG_DMA_BYPASS, NULL, &mapped), -IOG_EPERM);
	assert_int_equal(iog_dma_map(kit.device, 0, (UINT64_C(1) << 40) - 1, 2, IOG_DMA_TO_DEVICE, IOG_DMA_BYPASS, &iova), -IOG_ERANGE);
	assert_int_equal(iog_dma_map(kit.device, 0, UINT64_MAX, 2, IOG_DMA_TO_DEVICE, IOG_DMA_BYPASS, &iova), -IOG_ERANGE);
	assert_int_equal(iog_dma_map(kit.device, 0, (UINT64_C(1) << 40) - 1, 1, IOG_DMA_TO_DEVICE, IOG_DMA_BYPASS, &iova), 0);
	assert_int_equal(iog_dma_unmap(kit.device, 0, iova, 1, IOG_DMA_TO_DEVICE, IOG_DMA_BYPASS), 0);

	/* Lists: contiguous memory is one pair, the rest is not. */
	sg[1] = (struct iog_sg){ .paddr = kit_paddr(&kit, 10), .size = 20 };
	assert_int_equal(iog_dma_map_sg(kit.device, 0, sg, 2, IOG_DMA_TO_DEVICE, IOG_DMA_BYPASS, &iova, &mapped), 0);
	assert_int_equal(mapped, 1);
	assert_true(iova == kit_paddr(&kit, 0) && sg[0].iova == iova && sg[0].iova_size == 30);
	assert_int_equal(iog_dma_unmap_sg(kit.device, 0, sg, 2, IOG_DMA_TO_DEVICE, IOG_DMA_BYPASS), 0);
	sg[1].paddr++;
	assert_int_equal(iog_dma_map_sg(kit.device, 0, sg, 2, IOG_DMA_TO_DEVICE, IOG_DMA_BYPASS, NULL, &mapped), 0);
	assert_int_equal(mapped, 2);
	assert_int_equal(iog_dma_unmap_sg(kit.device, 0, sg, 2, IOG_DMA_TO_DEVICE, IOG_DMA_BYPASS), 0);

	/* And mapped like anybody else without the attribute. */
	iova = kit_map(&kit, 0, 7, 100, IOG_DMA_TO_DEVICE, 0);
	kit_check(&kit, iova, kit.buffer + 7, 100, IOG_DMA_TO_DEVICE);
	kit_unmap(&kit, 0, iova, 100, IOG_DMA_TO_DEVICE, 0);
	kit_empty(&kit);
	kit_destroy(&kit);
}

/* Where nothing is translated, or everything 1:1: physical addresses, no runs. */
static void direct(const struct kit_config *config)
{
	struct iog_dma_run run;
	struct iog_sg sg = { 0 };
	iog_iova_t iova;
	uint32_t mapped;
	struct kit kit;
	void *va;

	kit_create(&kit, config);
	assert_int_equal(iog_dma_map(kit.device, 0, kit_paddr(&kit, 4000), 200, IOG_DMA_BIDIRECTIONAL, 0, &iova), 0);
	assert_true(iova == kit_paddr(&kit, 4000));
	if (config->memory_mapped)
		kit_note_map(&kit, 0, iova, 200);
	kit_writes(&kit, iova, kit.buffer + 4000, 200);
	assert_int_equal(iog_dma_sync_for_cpu(kit.device, 0, iova, 200, IOG_DMA_BIDIRECTIONAL), 0);
	assert_int_equal(iog_dma_unmap(kit.device, 0, iova, 200, IOG_DMA_BIDIRECTIONAL, 0), 0);
	assert_int_equal(iog_dma_map(kit.device, 0, UINT64_C(1) << 48, 1, IOG_DMA_TO_DEVICE, 0, &iova), -IOG_ERANGE);
	assert_int_equal(iog_dma_unmap(kit.device, 0, UINT64_C(1) << 48, 1, IOG_DMA_TO_DEVICE, 0), -IOG_EINVAL);
	sg.paddr = kit_paddr(&kit, 3);
	sg.size = 6;
	assert_int_equal(iog_dma_map_sg(kit.device, 0, &sg, 1, IOG_DMA_TO_DEVICE, 0, &iova, &mapped), 0);
	assert_true(mapped == 1 && iova == sg.paddr && sg.iova == iova && sg.iova_size == 6);
	assert_int_equal(iog_dma_unmap_sg(kit.device, 0, &sg, 1, IOG_DMA_TO_DEVICE, 0), 0);
	sg.paddr = UINT64_C(1) << 48;
	assert_int_equal(iog_dma_map_sg(kit.device, 0, &sg, 1, IOG_DMA_TO_DEVICE, 0, &iova, &mapped), -IOG_ERANGE);
	assert_int_equal(iog_dma_reserve(kit.device, 0, 4096, &run), -IOG_EOPNOTSUPP);
	assert_int_equal(iog_dma_map_resource(kit.device, 0, 0x1234, 8, IOG_DMA_BIDIRECTIONAL, 0, &iova), 0);
	assert_true(iova == 0x1234);
	assert_int_equal(iog_dma_unmap_resource(kit.device, 0, iova, 8, IOG_DMA_BIDIRECTIONAL, 0), 0);
	assert_int_equal(iog_dma_alloc(kit.device, 0, 5000, &va, &iova), 0);
	assert_true(iova == (uint64_t)(uintptr_t)va - kit.platform.direct_map_offset);
	assert_int_equal(iog_dma_free(kit.device, 0, 5000, va, iova + 4096), -IOG_ENOENT);
	assert_int_equal(iog_dma_free(kit.device, 0, 5000, va, iova), 0);
	assert_true(kit_stats(&kit).bytes_mapped == 0 && kit_stats(&kit).maps == 4 && kit_stats(&kit).unmaps == 4);
	assert_int_equal(kit.invalidations, 0);
	kit_destroy(&kit);
}

static void test_identity(void **state)
{
	const struct kit_config identity = { .type = IOG_DOMAIN_IDENTITY, .dma_bits = 48 };
	const struct kit_config mapped = { .way = &kit_ways[0], .memory_mapped = true, .dma_bits = 48 };
	const struct kit_config untrusted = { .type = IOG_DOMAIN_IDENTITY, .dma_bits = 48, .flags = IOG_DEVICE_UNTRUSTED };

	(void)state;
	direct(&identity);
	direct(&mapped);
	direct(&untrusted);
}

static void test_blocked(void **state)
{
	const struct kit_config config = { .type = IOG_DOMAIN_BLOCKED, .flags = IOG_DEVICE_BYPASS };
	struct iog_dma_run run;
	struct iog_sg sg = { .size = 1 };
	iog_iova_t iova;
	uint32_t mapped;
	struct kit kit;
	void *va;

	(void)state;
	kit_create(&kit, &config);
	assert_int_equal(iog_dma_map(kit.device, 0, kit_paddr(&kit, 0), 1, IOG_DMA_TO_DEVICE, 0, &iova), -IOG_EFAULT);
	assert_int_equal(iog_dma_map(kit.device, 0, kit_paddr(&kit, 0), 1, IOG_DMA_TO_DEVICE, IOG_DMA_BYPASS, &iova), -IOG_EFAULT);
	assert_int_equal(iog_dma_map_resource(kit.device, 0, 0, 1, IOG_DMA_TO_DEVICE, 0, &iova), -IOG_EFAULT);
	assert_int_equal(iog_dma_map_sg(kit.device, 0, &sg, 1, IOG_DMA_TO_DEVICE, 0, &iova, &mapped), -IOG_EFAULT);
	assert_int_equal(iog_dma_alloc(kit.device, 0, 1, &va, &iova), -IOG_EFAULT);
	assert_int_equal(iog_dma_reserve(kit.device, 0, 1, &run), -IOG_EFAULT);
	assert_int_equal(iog_dma_unmap(kit.device, 0, 0, 1, IOG_DMA_TO_DEVICE, 0), -IOG_EINVAL);
	kit_destroy(&kit);
}

/* Registers: mapped as they are, whatever the device, and neither copied nor cleaned. */
static void test_resource(void **state)
{
	(void)state;
	for (uint32_t w = 0; w < nr_kit_ways; w++) {
		static const uint32_t flags[] = { 0, IOG_DEVICE_UNTRUSTED, IOG_DEVICE_NONCOHERENT };

		for (uint32_t f = 0; f < 3; f++) {
			const struct kit_config config = { .way = &kit_ways[w], .flags = flags[f] };
			struct kit kit;
			iog_iova_t iova;

			kit_create(&kit, &config);
			assert_int_equal(iog_dma_map_resource(kit.device, 0, kit_paddr(&kit, OFFSET + 16), 64, IOG_DMA_BIDIRECTIONAL, 0, &iova), 0);
			kit_note_map(&kit, 0, iova, 64);
			kit_writes(&kit, iova, kit.buffer + OFFSET + 16, 64);
			kit_writes(&kit, iova - 16, kit.buffer + OFFSET, 16);
			kit_note_unmap(&kit, iova, 64);
			assert_int_equal(iog_dma_unmap_resource(kit.device, 0, iova, 64, IOG_DMA_BIDIRECTIONAL, 0), 0);
			assert_int_equal(iog_dma_unmap_resource(kit.device, 0, iova, 64, IOG_DMA_BIDIRECTIONAL, 0), -IOG_ENOENT);
			assert_int_equal(kit.nr_cleans, 0);
			assert_int_equal(iog_dma_map_resource(kit.device, 0, 0, 0, IOG_DMA_BIDIRECTIONAL, 0, &iova), -IOG_EINVAL);
			kit_empty(&kit);
			kit_destroy(&kit);
		}
	}
}

static void test_alloc(void **state)
{
	static const uint64_t sizes[] = { 1, 4096, 4097, 10000, 65536, 2 * KIT_MIB };

	(void)state;
	for (uint32_t w = 0; w < nr_kit_ways; w++) {
		for (uint32_t f = 0; f < 2; f++) {
			const struct kit_config config = { .way = &kit_ways[w], .flags = f ? IOG_DEVICE_UNTRUSTED : 0 };
			struct kit kit;

			kit_create(&kit, &config);
			for (uint32_t s = 0; s < 6; s++) {
				uint64_t rounded = KIT_PAGE, before;
				iog_iova_t iova;
				void *va;

				while (rounded < sizes[s])
					rounded *= 2;
				assert_int_equal(iog_dma_alloc(kit.device, 0, sizes[s], &va, &iova), 0);
				assert_int_equal((uintptr_t)va & (rounded - 1), 0);
				for (uint64_t i = 0; i < rounded; i++)
					assert_int_equal(((unsigned char *)va)[i], 0);
				kit_note_map(&kit, 0, iova, rounded);
				kit_check(&kit, iova, va, rounded, IOG_DMA_BIDIRECTIONAL);
				assert_int_equal(iog_dma_sync_for_cpu(kit.device, 0, iova, rounded, IOG_DMA_BIDIRECTIONAL), 0);
				assert_int_equal(iog_dma_free(kit.device, 0, 0, va, iova), -IOG_EINVAL);
				assert_int_equal(iog_dma_free(kit.device, 0, sizes[s], va, iova + 1), -IOG_EINVAL);
				assert_int_equal(iog_dma_free(kit.device, 0, sizes[s], kit.buffer, iova), -IOG_ENOENT);
				kit_note_unmap(&kit, iova, rounded);
				before = kit.invalidations;
				assert_int_equal(iog_dma_free(kit.device, 0, sizes[s], va, iova), 0);
				/* In every mode the device is out before the memory goes. */
				assert_true(kit.invalidations > before);
				kit_refused(&kit, iova, rounded, KIT_R);
				assert_int_equal(iog_dma_free(kit.device, 0, sizes[s], va, iova), -IOG_ENOENT);
			}
			kit_empty(&kit);
			kit_destroy(&kit);
		}
	}
}

/* Memory of a whole table's addresses, or of two, is freed while the unit does not answer: once it does, the addresses serve others as before. */
static void test_alloc_timeout(void **state)
{
	(void)state;
	for (uint32_t w = 0; w < nr_kit_ways; w++) {
		for (uint64_t size = 2 * KIT_MIB; size <= 4 * KIT_MIB; size *= 2) {
			const struct kit_config config = { .way = &kit_ways[w] };
			iog_iova_t iova, pages[4];
			struct kit kit;
			void *va;

			kit_create(&kit, &config);
			assert_int_equal(iog_dma_alloc(kit.device, 0, size, &va, &iova), 0);
			kit_note_map(&kit, 0, iova, size);
			kit_note_unmap(&kit, iova, size);
			kit.inval_error = -IOG_EIO;
			assert_int_equal(iog_dma_free(kit.device, 0, size, va, iova), -IOG_EIO);
			kit.inval_error = 0;
			assert_int_equal(iog_domain_flush(kit.domain, 0), 0);
			assert_int_equal(kit_stats(&kit).quarantined, 0);
			kit.observed.pages_free(kit.observed.ctx, va, size);
			for (uint32_t i = 0; i < 4; i++) {
				pages[i] = kit_map(&kit, 0, i * KIT_PAGE, KIT_PAGE, IOG_DMA_BIDIRECTIONAL, 0);
				kit_writes(&kit, pages[i], kit.buffer + i * KIT_PAGE, KIT_PAGE);
			}
			for (uint32_t i = 0; i < 4; i++)
				kit_unmap(&kit, 0, pages[i], KIT_PAGE, IOG_DMA_BIDIRECTIONAL, 0);
			kit_empty(&kit);
			kit_destroy(&kit);
		}
	}
}

static void test_alloc_refused(void **state)
{
	const struct kit_config config = { .way = &kit_ways[0] }, noncoherent = { .way = &kit_ways[0], .flags = IOG_DEVICE_NONCOHERENT };
	iog_iova_t iova = 1;
	void *va = &iova;
	struct kit kit;

	(void)state;
	kit_create(&kit, &config);
	assert_int_equal(iog_dma_alloc(kit.device, 0, 0, &va, &iova), -IOG_EINVAL);
	assert_int_equal(iog_dma_alloc(kit.device, 1, 1, &va, &iova), -IOG_EINVAL);
	assert_int_equal(iog_dma_alloc(kit.device, 0, UINT64_MAX, &va, &iova), -IOG_ENOMEM);
	assert_int_equal(iog_dma_alloc(kit.device, 0, (UINT64_C(1) << 63) + 1, &va, &iova), -IOG_ENOMEM);
	assert_true(va == &iova && iova == 1);
	kit_empty(&kit);
	kit_destroy(&kit);
	kit_create(&kit, &noncoherent);
	assert_int_equal(iog_dma_alloc(kit.device, 0, 1, &va, &iova), -IOG_EOPNOTSUPP);
	kit_destroy(&kit);
}

/* The unit does not answer: the driver is told, and nothing of it is used again before a flush. */
static void test_timeout(void **state)
{
	(void)state;
	for (uint32_t w = 0; w < nr_low_kit_ways; w++) {
		const struct kit_config config = { .way = &kit_ways[w], .first = 2 * KIT_MIB, .last = 4 * KIT_MIB - 1, .deferred_entries = 4 };
		iog_iova_t iova[8], again[8] = { 0 };
		int error = 0;
		void *va;
		struct kit kit;

		kit_create(&kit, &config);
		for (uint32_t i = 0; i < 8; i++)
			iova[i] = kit_map(&kit, 0, i * KIT_PAGE, 100, IOG_DMA_FROM_DEVICE, 0);
		for (uint32_t i = 0; i < 8; i++)
			kit_writes(&kit, iova[i], kit.buffer + i * KIT_PAGE, 100);
		kit.inval_error = -IOG_ETIMEDOUT;
		/* Strict: each unmap says so. Deferred: the one that reaches the bound. */
		for (uint32_t i = 0; i < 4; i++) {
			kit_note_unmap(&kit, iova[i], 100);
			error = iog_dma_unmap(kit.device, 0, iova[i], 100, IOG_DMA_FROM_DEVICE, 0);
			if (kit_ways[w].mode == IOG_INVAL_STRICT)
				assert_int_equal(error, -IOG_ETIMEDOUT);
		}
		assert_int_equal(error, -IOG_ETIMEDOUT);
		/* The old addresses are not given out. */
		for (uint32_t i = 0; i < 4; i++) {
			if (iog_dma_map(kit.device, 0, kit_paddr(&kit, i * KIT_PAGE), 100, IOG_DMA_FROM_DEVICE, 0, &again[i]))
				continue;
			kit_note_map(&kit, 0, again[i], 100);
			for (uint32_t k = 0; k < 4; k++)
				assert_true((again[i] ^ iova[k]) >= KIT_PAGE);
			kit_writes(&kit, again[i], kit.buffer + i * KIT_PAGE, 100);
		}
		assert_int_equal(iog_domain_flush(kit.domain, 0), -IOG_ETIMEDOUT);
		kit.inval_error = 0;
		assert_int_equal(iog_domain_flush(kit.domain, 0), 0);
		assert_true(kit_stats(&kit).quarantined == 0);
		for (uint32_t i = 0; i < 4; i++) {
			kit_refused(&kit, iova[i], 100, KIT_W);
			if (again[i])
				kit_unmap(&kit, 0, again[i], 100, IOG_DMA_FROM_DEVICE, 0);
			kit_unmap(&kit, 0, iova[i + 4], 100, IOG_DMA_FROM_DEVICE, 0);
		}

		/* Shared memory is kept by nobody else than the caller. */
		assert_int_equal(iog_dma_alloc(kit.device, 0, 4096, &va, &iova[0]), 0);
		kit_note_map(&kit, 0, iova[0], 4096);
		kit_writes(&kit, iova[0], va, 4096);
		kit.inval_error = -IOG_EIO;
		kit_note_unmap(&kit, iova[0], 4096);
		assert_int_equal(iog_dma_free(kit.device, 0, 4096, va, iova[0]), -IOG_EIO);
		assert_true(kit_stats(&kit).quarantined == 4096);
		assert_int_equal(iog_dma_free(kit.device, 0, 4096, va, iova[0]), -IOG_ENOENT);
		kit_writes(&kit, iova[0], va, 4096);
		kit.inval_error = 0;
		assert_int_equal(iog_domain_flush(kit.domain, 0), 0);
		kit_refused(&kit, iova[0], 4096, KIT_W);
		kit.observed.pages_free(kit.observed.ctx, va, 4096);
		kit_empty(&kit);
		kit_destroy(&kit);
	}
}

/*
 * The unit does not answer for so long that a lane has no place left for what waits for it: either an unmap has taken place, and its addresses rest, or the driver is told to come
 * again, and nothing has changed.
 */
static void test_queue_full(void **state)
{
	(void)state;
	for (uint32_t w = 0; w < nr_kit_ways; w++) {
		const struct kit_config config = { .way = &kit_ways[w], .deferred_entries = 4 };
		uint32_t again = 0;
		iog_iova_t iova[12];
		struct kit kit;

		kit_create(&kit, &config);
		for (uint32_t i = 0; i < 12; i++)
			iova[i] = kit_map(&kit, 0, i * 2 * KIT_PAGE, (1 + i % 2) * KIT_PAGE, IOG_DMA_FROM_DEVICE, 0);
		kit.inval_error = -IOG_ETIMEDOUT;
		for (uint32_t i = 0; i < 12; i++) {
			uint64_t size = (1 + i % 2) * KIT_PAGE, before = kit_stats(&kit).bytes_mapped;
			int error = iog_dma_unmap(kit.device, 0, iova[i], size, IOG_DMA_FROM_DEVICE, 0);

			assert_true(!error || error == -IOG_ETIMEDOUT || error == -IOG_EAGAIN);
			assert_true(kit_stats(&kit).bytes_mapped == before - (error == -IOG_EAGAIN ? 0 : size));
			if (error != -IOG_EAGAIN) {
				kit_note_unmap(&kit, iova[i], size);
				iova[i] = 0;
			} else {
				kit_writes(&kit, iova[i], kit.buffer + i * 2 * KIT_PAGE, size);
				again++;
			}
		}
		assert_true(again == 8 || (!again && kit_ways[w].mode == IOG_INVAL_DEFERRED));
		kit.inval_error = 0;
		for (uint32_t i = 0; i < 12; i++)
			if (iova[i])
				kit_unmap(&kit, 0, iova[i], (1 + i % 2) * KIT_PAGE, IOG_DMA_FROM_DEVICE, 0);
		kit_empty(&kit);
		kit_destroy(&kit);
	}
}

/* Caches of the CPU: cleaned before the device looks, dropped before the CPU does, by the direction. */
static void test_noncoherent(void **state)
{
	const struct kit_config config = { .way = &kit_ways[0], .flags = IOG_DEVICE_NONCOHERENT };
	uint64_t at = OFFSET + 100, iova, paddr;
	struct iog_leaf leaf;
	struct kit kit;

	(void)state;
	kit_create(&kit, &config);
	paddr = kit_paddr(&kit, at);
	iova = kit_map(&kit, 0, at, 9000, IOG_DMA_FROM_DEVICE, 0);
	assert_true(kit_cleaned(&kit, paddr, 9000, false));
	kit_forget_cleans(&kit);
	kit_check(&kit, iova, kit.buffer + at, 9000, IOG_DMA_FROM_DEVICE);
	assert_int_equal(iog_pgtable_lookup(iog_domain_pgtable(kit.domain), 0, iova, &leaf), 0);
	assert_int_equal(leaf.prot & IOG_PROT_COHERENT, 0);

	assert_int_equal(iog_dma_sync_for_cpu(kit.device, 0, iova + 5, 6000, IOG_DMA_FROM_DEVICE), 0);
	assert_true(kit_cleaned(&kit, paddr + 5, 6000, true));
	assert_false(kit_cleaned(&kit, paddr, 6, true) || kit_cleaned(&kit, paddr + 6004, 2, true));
	kit_forget_cleans(&kit);
	assert_int_equal(iog_dma_sync_for_device(kit.device, 0, iova + 5, 6000, IOG_DMA_FROM_DEVICE), 0);
	assert_true(kit_cleaned(&kit, paddr + 5, 6000, false));
	kit_forget_cleans(&kit);
	assert_int_equal(iog_dma_sync_for_cpu(kit.device, 0, iova + 3 * KIT_PAGE, 1, IOG_DMA_FROM_DEVICE), -IOG_ENOENT);
	kit_unmap(&kit, 0, iova, 9000, IOG_DMA_FROM_DEVICE, 0);
	assert_true(kit_cleaned(&kit, paddr, 9000, true));
	kit_forget_cleans(&kit);
	assert_int_equal(iog_dma_unmap(kit.device, 0, iova, 9000, IOG_DMA_FROM_DEVICE, 0), -IOG_ENOENT);

	/* What the device only reads is not dropped, and SKIP_SYNC leaves both out. */
	iova = kit_map(&kit, 0, at, 9000, IOG_DMA_TO_DEVICE, 0);
	kit_forget_cleans(&kit);
	assert_int_equal(iog_dma_sync_for_cpu(kit.device, 0, iova, 9000, IOG_DMA_TO_DEVICE), 0);
	kit_unmap(&kit, 0, iova, 9000, IOG_DMA_TO_DEVICE, 0);
	assert_int_equal(kit.nr_cleans, 0);
	iova = kit_map(&kit, 0, at, 9000, IOG_DMA_BIDIRECTIONAL, IOG_DMA_SKIP_SYNC);
	kit_unmap(&kit, 0, iova, 9000, IOG_DMA_BIDIRECTIONAL, IOG_DMA_SKIP_SYNC);
	assert_int_equal(kit.nr_cleans, 0);
	kit_empty(&kit);
	kit_destroy(&kit);
}

/* The snoop override is there, unless the driver does not want it. */
static void test_snoop(void **state)
{
	const struct kit_config config = { .way = &kit_ways[0] };
	struct iog_leaf leaf;
	uint64_t iova;
	struct kit kit;

	(void)state;
	kit_create(&kit, &config);
	for (uint32_t n = 0; n < 2; n++) {
		iova = kit_map(&kit, 0, 0, 10, IOG_DMA_FROM_DEVICE, n ? IOG_DMA_NO_SNOOP : 0);
		assert_int_equal(iog_pgtable_lookup(iog_domain_pgtable(kit.domain), 0, iova, &leaf), 0);
		assert_int_equal(leaf.prot, n ? IOG_PROT_WRITE : IOG_PROT_WRITE | IOG_PROT_COHERENT);
		kit_unmap(&kit, 0, iova, 10, IOG_DMA_FROM_DEVICE, n ? IOG_DMA_NO_SNOOP : 0);
	}
	kit_destroy(&kit);
}

/* A unit that remembers what is not there: mapping flushes, and what was refused before works. */
static void test_flush_on_map(void **state)
{
	(void)state;
	for (uint32_t w = 0; w < nr_kit_ways; w++) {
		const struct kit_config config = { .way = &kit_ways[w], .pgtable_flags = IOG_PGTABLE_FLUSH_ON_MAP };
		uint64_t before, iova;
		struct kit kit;

		kit_create(&kit, &config);
		before = kit.invalidations;
		iova = kit_map(&kit, 0, 50, 5000, IOG_DMA_BIDIRECTIONAL, 0);
		assert_true(kit.invalidations > before);
		kit_check(&kit, iova, kit.buffer + 50, 5000, IOG_DMA_BIDIRECTIONAL);
		kit_unmap(&kit, 0, iova, 5000, IOG_DMA_BIDIRECTIONAL, 0);
		kit.inval_error = -IOG_ETIMEDOUT;
		assert_int_equal(iog_dma_map(kit.device, 0, kit_paddr(&kit, 0), 1, IOG_DMA_TO_DEVICE, 0, &iova), -IOG_ETIMEDOUT);
		kit.inval_error = 0;
		kit_empty(&kit);
		kit_destroy(&kit);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_edges_read_implied),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_exhaustion),
		cmocka_unit_test(test_bypass),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_blocked),
		cmocka_unit_test(test_resource),
		cmocka_unit_test(test_alloc),
		cmocka_unit_test(test_alloc_refused),
		cmocka_unit_test(test_alloc_timeout),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_queue_full),
		cmocka_unit_test(test_noncoherent),
		cmocka_unit_test(test_snoop),
		cmocka_unit_test(test_flush_on_map),
	};

	return cmocka_run_group_tests_name("dma map", tests, NULL, NULL);
}

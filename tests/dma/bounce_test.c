/* SPDX-License-Identifier: MIT */
/*
 * Untrusted devices: what lies beside a buffer is neither seen nor changed, and what is in the buffer arrives, both ways.
 */
#include <string.h>

#include "kit.h"

#define AT (KIT_PAGE * 32)
#define SECRET 0x5a

static const enum iog_dma_dir dirs[] = { IOG_DMA_TO_DEVICE, IOG_DMA_FROM_DEVICE, IOG_DMA_BIDIRECTIONAL };

/* Everything around and in the buffer is known: secrets, and at [offset, offset + size) a pattern. */
static void prepare(struct kit *kit, uint64_t offset, uint64_t size)
{
	memset(kit->buffer, SECRET, KIT_BUFFER_BYTES);
	for (uint64_t i = 0; i < size; i++)
		kit->buffer[offset + i] = (unsigned char)(i * 13 + 1);
}

static void pattern(unsigned char *bytes, uint64_t size, unsigned char first)
{
	for (uint64_t i = 0; i < size; i++)
		bytes[i] = (unsigned char)(first + i * 3);
}

/* The secrets are as they were. */
static void secrets_safe(struct kit *kit, uint64_t offset, uint64_t size)
{
	for (uint64_t i = 0; i < KIT_PAGE; i++) {
		assert_int_equal(kit->buffer[offset - 1 - i], SECRET);
		assert_int_equal(kit->buffer[offset + size + i], SECRET);
	}
}

/* A device that looks at whole pages: nothing but the buffer in them, if it may read at all. And scribbles over them, if it may write. */
static void attack(struct kit *kit, uint64_t iova, uint64_t size, enum iog_dma_dir dir)
{
	uint64_t first = iova & ~(KIT_PAGE - 1), last = (iova + size - 1) | (KIT_PAGE - 1);
	unsigned char bytes[KIT_PAGE];

	for (uint64_t page = first; page - 1 != last; page += KIT_PAGE) {
		if (dir & IOG_DMA_TO_DEVICE) {
			assert_int_equal(kit_access(kit, 0, page, bytes, KIT_PAGE, KIT_R), 0);
			for (uint64_t i = 0; i < KIT_PAGE; i++)
				if (page + i < iova || page + i > iova + (size - 1))
					assert_int_equal(bytes[i], 0);
		} else {
			assert_int_equal(kit_access(kit, 0, page, bytes, 1, KIT_R), -IOG_EFAULT);
		}
		if (!(dir & IOG_DMA_FROM_DEVICE)) {
			assert_int_equal(kit_access(kit, 0, page, bytes, 1, KIT_W), -IOG_EFAULT);
			continue;
		}
		memset(bytes, 0xee, KIT_PAGE);
		if (page < iova)
			assert_int_equal(kit_access(kit, 0, page, bytes, iova - page, KIT_W), 0);
		if (page + (KIT_PAGE - 1) > iova + (size - 1))
			assert_int_equal(kit_access(kit, 0, iova + size, bytes, page + KIT_PAGE - iova - size, KIT_W), 0);
	}
}

static void test_edges(void **state)
{
	static const uint64_t offsets[] = { 0, 1, 100, 2048, 4095 };
	static const uint64_t sizes[] = { 1, 96, 3996, 4095, 4096, 4097, 8192, 8292, 20000 };

	(void)state;
	for (uint32_t w = 0; w < nr_kit_ways; w++) {
		const struct kit_config config = { .way = &kit_ways[w], .flags = IOG_DEVICE_UNTRUSTED };
		struct kit kit;

		kit_create(&kit, &config);
		for (uint32_t n = 0; n < 5 * 9 * 3; n++) {
			uint64_t at = AT + offsets[n % 5], size = sizes[n / 5 % 9], iova;
			enum iog_dma_dir dir = dirs[n / 45];
			unsigned char wanted[20000], seen[20000];

			prepare(&kit, at, size);
			iova = kit_map(&kit, 0, at, size, dir, 0);
			if (dir & IOG_DMA_TO_DEVICE) {
				assert_int_equal(kit_access(&kit, 0, iova, seen, size, KIT_R), 0);
				assert_memory_equal(seen, kit.buffer + at, size);
			}
			memcpy(wanted, kit.buffer + at, size);
			attack(&kit, iova, size, dir);
			if (dir & IOG_DMA_FROM_DEVICE) {
				pattern(wanted, size, (unsigned char)n);
				assert_int_equal(kit_access(&kit, 0, iova, wanted, size, KIT_W), 0);
			}
			secrets_safe(&kit, at, size);
			kit_unmap(&kit, 0, iova, size, dir, 0);
			assert_memory_equal(kit.buffer + at, wanted, size);
			secrets_safe(&kit, at, size);
			/* Hardware has forgotten, whatever the mode. */
			kit_refused(&kit, iova, size, KIT_W);
			kit_refused(&kit, iova, size, KIT_R);
			assert_int_equal(iog_dma_unmap(kit.device, 0, iova, size, dir, 0), -IOG_ENOENT);
		}
		kit_empty(&kit);
		kit_destroy(&kit);
	}
}

/* What the device leaves alone comes back as it was, and SKIP_SYNC does what it says. */
static void test_part_written(void **state)
{
	const struct kit_config config = { .way = &kit_ways[0], .flags = IOG_DEVICE_UNTRUSTED };
	unsigned char byte = 0x99;
	uint64_t iova;
	struct kit kit;

	(void)state;
	kit_create(&kit, &config);
	prepare(&kit, AT + 10, 100);
	iova = kit_map(&kit, 0, AT + 10, 100, IOG_DMA_FROM_DEVICE, 0);
	assert_int_equal(kit_access(&kit, 0, iova + 50, &byte, 1, KIT_W), 0);
	kit_unmap(&kit, 0, iova, 100, IOG_DMA_FROM_DEVICE, 0);
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(kit.buffer[AT + 10 + i], i == 50 ? 0x99 : (unsigned char)(i * 13 + 1));

	/* Not copied at map: the device sees zeroes. Not copied at unmap: the buffer is as it was. */
	iova = kit_map(&kit, 0, AT + 10, 100, IOG_DMA_BIDIRECTIONAL, IOG_DMA_SKIP_SYNC);
	assert_int_equal(kit_access(&kit, 0, iova, &byte, 1, KIT_R), 0);
	assert_int_equal(byte, 0);
	byte = 0x77;
	assert_int_equal(kit_access(&kit, 0, iova, &byte, 1, KIT_W), 0);
	kit_unmap(&kit, 0, iova, 100, IOG_DMA_BIDIRECTIONAL, IOG_DMA_SKIP_SYNC);
	assert_int_equal(kit.buffer[AT + 10], 1);
	kit_empty(&kit);
	kit_destroy(&kit);
}

/* Turns: any part of the mapping, both ways, and nothing beside it. */
static void test_sync(void **state)
{
	const struct kit_config config = { .way = &kit_ways[0], .flags = IOG_DEVICE_UNTRUSTED };
	uint64_t random = kit_seed("sync");
	struct kit kit;

	(void)state;
	kit_create(&kit, &config);
	for (uint64_t n = kit_scaled(300); n--;) {
		uint64_t at = AT + kit_random(&random) % KIT_PAGE, size = 1 + kit_random(&random) % 20000, iova;
		unsigned char memory[24000], seen[24000];
		struct { unsigned char bytes[24000]; } device;

		prepare(&kit, at, size);
		iova = kit_map(&kit, 0, at, size, IOG_DMA_BIDIRECTIONAL, 0);
		memcpy(device.bytes, kit.buffer + at, size);
		memcpy(memory, device.bytes, size);
		for (uint32_t turn = 0; turn < 8; turn++) {
			uint64_t from = kit_random(&random) % size, part = 1 + kit_random(&random) % (size - from);
			uint64_t head = (KIT_PAGE - at % KIT_PAGE) % KIT_PAGE, tail = (at + size) % KIT_PAGE;
			bool for_cpu = kit_random(&random) % 2;

			if (head > size || at / KIT_PAGE == (at + size - 1) / KIT_PAGE) {
				head = size % KIT_PAGE || at % KIT_PAGE ? size : 0;
				tail = 0;
			}
			/* Both change all of it; in the middle they change the same memory. */
			if (for_cpu) {
				pattern(device.bytes, size, (unsigned char)kit_random(&random));
				assert_int_equal(kit_access(&kit, 0, iova, device.bytes, size, KIT_W), 0);
				assert_int_equal(iog_dma_sync_for_cpu(kit.device, 0, iova + from, part, IOG_DMA_BIDIRECTIONAL), 0);
				for (uint64_t i = 0; i < size; i++)
					if ((i >= head && i < size - tail) || (i >= from && i < from + part))
						memory[i] = device.bytes[i];
			} else {
				pattern(memory, size, (unsigned char)kit_random(&random));
				memcpy(kit.buffer + at, memory, size);
				assert_int_equal(iog_dma_sync_for_device(kit.device, 0, iova + from, part, IOG_DMA_BIDIRECTIONAL), 0);
				for (uint64_t i = 0; i < size; i++)
					if ((i >= head && i < size - tail) || (i >= from && i < from + part))
						device.bytes[i] = memory[i];
			}
			assert_memory_equal(kit.buffer + at, memory, size);
			assert_int_equal(kit_access(&kit, 0, iova, seen, size, KIT_R), 0);
			assert_memory_equal(seen, device.bytes, size);
			secrets_safe(&kit, at, size);
		}
		assert_int_equal(iog_dma_sync_for_cpu(kit.device, 0, iova, size, IOG_DMA_TO_DEVICE), 0);
		assert_memory_equal(kit.buffer + at, memory, size);
		assert_int_equal(iog_dma_sync_for_cpu(kit.device, 0, iova, size + 2 * KIT_PAGE, IOG_DMA_BIDIRECTIONAL), -IOG_EINVAL);
		kit_unmap(&kit, 0, iova, size, IOG_DMA_BIDIRECTIONAL, 0);
		assert_memory_equal(kit.buffer + at, device.bytes, size);
		assert_int_equal(iog_dma_sync_for_cpu(kit.device, 0, iova, size, IOG_DMA_BIDIRECTIONAL), -IOG_ENOENT);
	}
	kit_empty(&kit);
	kit_destroy(&kit);
}

/* Lists: every segment is a buffer of its own. */
static void test_lists(void **state)
{
	uint64_t random = kit_seed("lists");

	(void)state;
	for (uint32_t w = 0; w < nr_kit_ways; w++) {
		const struct kit_config config = { .way = &kit_ways[w], .flags = IOG_DEVICE_UNTRUSTED, .segment_boundary = w % 2 ? 65536 : 0 };
		struct kit kit;

		kit_create(&kit, &config);
		for (uint64_t round = kit_scaled(20); round--;) {
			uint32_t n = 1 + (uint32_t)(kit_random(&random) % 60), mapped, pair = 0;
			static struct iog_sg sg[60];
			unsigned char bytes[KIT_PAGE * 4];
			uint64_t used = 0, before, size;
			iog_iova_t iova;

			memset(kit.buffer, SECRET, KIT_BUFFER_BYTES);
			for (uint32_t i = 0; i < n; i++) {
				uint64_t offset = kit_random(&random) % 2 ? 0 : kit_random(&random) % KIT_PAGE;
				uint64_t length = kit_random(&random) % 2 ? KIT_PAGE : 1 + kit_random(&random) % (3 * KIT_PAGE);

				sg[i] = (struct iog_sg){ .paddr = kit_paddr(&kit, AT + i * 5 * KIT_PAGE + offset), .size = length };
				pattern(kit.buffer + (sg[i].paddr - kit.buffer_paddr), length, (unsigned char)i);
			}
			assert_int_equal(iog_dma_map_sg(kit.device, 0, sg, n, IOG_DMA_BIDIRECTIONAL, 0, &iova, &mapped), 0);
			size = sg[mapped - 1].iova + sg[mapped - 1].iova_size - iova;
			kit_note_map(&kit, 0, iova, size);
			for (uint32_t i = 0; i < n; i++) {
				uint64_t at = sg[pair].iova + used;

				assert_int_equal(kit_access(&kit, 0, at, bytes, sg[i].size, KIT_R), 0);
				assert_memory_equal(bytes, kit.buffer + (sg[i].paddr - kit.buffer_paddr), sg[i].size);
				attack(&kit, at, sg[i].size, IOG_DMA_BIDIRECTIONAL);
				pattern(bytes, sg[i].size, (unsigned char)(i + 100));
				assert_int_equal(kit_access(&kit, 0, at, bytes, sg[i].size, KIT_W), 0);
				used += sg[i].size;
				if (used == sg[pair].iova_size) {
					pair++;
					used = 0;
				}
			}
			/* Half of them are wanted early. */
			if (round % 2)
				assert_int_equal(iog_dma_sync_for_cpu(kit.device, 0, iova, size, IOG_DMA_BIDIRECTIONAL), 0);
			kit_note_unmap(&kit, iova, size);
			before = kit.invalidations;
			assert_int_equal(iog_dma_unmap_sg(kit.device, 0, sg, n, IOG_DMA_BIDIRECTIONAL, round % 2 ? IOG_DMA_SKIP_SYNC : 0), 0);
			assert_true(kit.invalidations > before);
			assert_int_equal(iog_dma_unmap_sg(kit.device, 0, sg, n, IOG_DMA_BIDIRECTIONAL, 0), -IOG_ENOENT);
			for (uint32_t i = 0; i < n; i++) {
				pattern(bytes, sg[i].size, (unsigned char)(i + 100));
				assert_memory_equal(bytes, kit.buffer + (sg[i].paddr - kit.buffer_paddr), sg[i].size);
				secrets_safe(&kit, sg[i].paddr - kit.buffer_paddr, sg[i].size);
			}
		}
		kit_empty(&kit);
		kit_destroy(&kit);
	}
}

/* Only what was mapped so is unmapped so. */
static void test_mismatch(void **state)
{
	const struct kit_config config = { .way = &kit_ways[0], .flags = IOG_DEVICE_UNTRUSTED };
	uint64_t iova, other;
	struct kit kit;

	(void)state;
	kit_create(&kit, &config);
	other = kit_map(&kit, 0, AT, 8192, IOG_DMA_TO_DEVICE, 0);
	iova = kit_map(&kit, 0, AT + 100, 8192, IOG_DMA_TO_DEVICE, 0);
	assert_int_equal(iog_dma_unmap(kit.device, 0, iova, 4000, IOG_DMA_TO_DEVICE, 0), -IOG_EINVAL);
	assert_int_equal(iog_dma_unmap(kit.device, 0, iova + KIT_PAGE, 4000, IOG_DMA_TO_DEVICE, 0), -IOG_EINVAL);
	assert_int_equal(iog_dma_unmap(kit.device, 0, iova, 5 * KIT_PAGE, IOG_DMA_TO_DEVICE, 0), -IOG_EINVAL);
	assert_int_equal(iog_dma_unmap(kit.device, 0, iova - KIT_MIB, 1, IOG_DMA_TO_DEVICE, 0), -IOG_ENOENT);
	kit_reads(&kit, iova, kit.buffer + AT + 100, 8192);
	kit_unmap(&kit, 0, iova, 8192, IOG_DMA_TO_DEVICE, 0);
	kit_reads(&kit, other, kit.buffer + AT, 8192);
	kit_unmap(&kit, 0, other, 8192, IOG_DMA_TO_DEVICE, 0);
	kit_empty(&kit);
	kit_destroy(&kit);
}

/* Hundreds at once, taken back in another order: each copy finds its buffer. */
static void test_many(void **state)
{
	const struct kit_config config = { .way = &kit_ways[0], .flags = IOG_DEVICE_UNTRUSTED, .lanes = 2 };
	uint64_t random = kit_seed("many");
	uint64_t iova[500];
	uint32_t order[500];
	struct kit kit;

	(void)state;
	kit_create(&kit, &config);
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 500; i++) {
			iova[i] = kit_map(&kit, i % 2, AT + i * 100, 100, IOG_DMA_FROM_DEVICE, 0);
			order[i] = i;
		}
		for (uint32_t i = 0; i < 500; i++) {
			unsigned char bytes[100];
			uint32_t k = (uint32_t)(kit_random(&random) % 500), was = order[i];

			memset(bytes, (int)(i % 251), 100);
			assert_int_equal(kit_access(&kit, 0, iova[i], bytes, 100, KIT_W), 0);
			order[i] = order[k];
			order[k] = was;
		}
		for (uint32_t i = 0; i < 500; i++)
			kit_unmap(&kit, i % 2, iova[order[i]], 100, IOG_DMA_FROM_DEVICE, 0);
		for (uint32_t i = 0; i < 500 * 100; i++)
			assert_int_equal(kit.buffer[AT + i], i / 100 % 251);
	}
	kit_empty(&kit);
	kit_destroy(&kit);
}

/* The unit does not answer: nothing is copied, the pages are kept from everybody, and come back after a flush, or with the domain. */
static void test_timeout(void **state)
{
	(void)state;
	for (uint32_t w = 0; w < nr_kit_ways; w++) {
		const struct kit_config config = { .way = &kit_ways[w], .flags = IOG_DEVICE_UNTRUSTED };
		struct iog_posix_stats before, held, after;
		unsigned char bytes[100];
		uint64_t iova, second;
		struct kit kit;

		kit_create(&kit, &config);
		prepare(&kit, AT + 50, 100);
		/* Whatever is set up once is. */
		iova = kit_map(&kit, 0, AT + 50, 100, IOG_DMA_FROM_DEVICE, 0);
		kit_unmap(&kit, 0, iova, 100, IOG_DMA_FROM_DEVICE, 0);
		for (uint32_t round = 0; round < 3; round++) {
			iog_posix_stats(kit.posix, &before);
			iova = kit_map(&kit, 0, AT + 50, 100, IOG_DMA_FROM_DEVICE, 0);
			memset(bytes, 0x33, 100);
			assert_int_equal(kit_access(&kit, 0, iova, bytes, 100, KIT_W), 0);
			kit.inval_error = -IOG_ETIMEDOUT;
			kit_note_unmap(&kit, iova, 100);
			assert_int_equal(iog_dma_unmap(kit.device, 0, iova, 100, IOG_DMA_FROM_DEVICE, 0), -IOG_ETIMEDOUT);
			assert_int_equal(kit.buffer[AT + 50], 1);
			assert_true(kit_stats(&kit).quarantined == KIT_PAGE);
			iog_posix_stats(kit.posix, &held);
			assert_true(held.page_bytes >= before.page_bytes + KIT_PAGE);
			/* The device is still in, and hits nobody. */
			assert_int_equal(kit_access(&kit, 0, iova, bytes, 100, KIT_W), 0);
			secrets_safe(&kit, AT + 50, 100);
			kit.inval_error = 0;
			if (round == 2)
				break;
			assert_int_equal(iog_domain_flush(kit.domain, 0), 0);
			kit_refused(&kit, iova, 100, KIT_W);
			second = kit_map(&kit, 0, AT + 50, 100, IOG_DMA_FROM_DEVICE, 0);
			iog_posix_stats(kit.posix, &after);
			assert_true(after.object_bytes <= held.object_bytes);
			kit_unmap(&kit, 0, second, 100, IOG_DMA_FROM_DEVICE, 0);
			kit_empty(&kit);
		}
		kit_destroy(&kit);
	}
}

/* However often it does not answer. */
static void test_timeouts_bounded(void **state)
{
	const struct kit_config config = { .way = &kit_ways[0], .flags = IOG_DEVICE_UNTRUSTED, .deferred_entries = 1000 };
	iog_iova_t iova;
	uint32_t n = 0;
	int error = 0;
	struct kit kit;

	(void)state;
	kit_create(&kit, &config);
	kit.inval_error = -IOG_ETIMEDOUT;
	for (; n < 2000; n++) {
		error = iog_dma_map(kit.device, 0, kit_paddr(&kit, AT + 1), 1, IOG_DMA_TO_DEVICE, 0, &iova);
		if (error)
			break;
		assert_int_equal(iog_dma_unmap(kit.device, 0, iova, 1, IOG_DMA_TO_DEVICE, 0), -IOG_ETIMEDOUT);
	}
	assert_int_equal(error, -IOG_ETIMEDOUT);
	assert_true(n >= 100);
	kit.inval_error = 0;
	assert_int_equal(iog_dma_map(kit.device, 0, kit_paddr(&kit, AT + 1), 1, IOG_DMA_TO_DEVICE, 0, &iova), 0);
	assert_int_equal(iog_dma_unmap(kit.device, 0, iova, 1, IOG_DMA_TO_DEVICE, 0), 0);
	kit_empty(&kit);
	kit_destroy(&kit);
}

/* Copies of a device that does not snoop: cleaned after they were filled, dropped before they are read. */
static void test_noncoherent(void **state)
{
	const struct kit_config config = { .way = &kit_ways[0], .flags = IOG_DEVICE_UNTRUSTED | IOG_DEVICE_NONCOHERENT };
	struct iog_leaf leaf;
	uint64_t iova;
	struct kit kit;

	(void)state;
	kit_create(&kit, &config);
	prepare(&kit, AT + 50, 9000);
	iova = kit_map(&kit, 0, AT + 50, 9000, IOG_DMA_BIDIRECTIONAL, 0);
	assert_int_equal(iog_pgtable_lookup(iog_domain_pgtable(kit.domain), 0, iova, &leaf), 0);
	assert_true(leaf.paddr - kit.buffer_paddr >= KIT_BUFFER_BYTES);
	assert_true(kit_cleaned(&kit, leaf.paddr, 100, false));
	assert_true(kit_cleaned(&kit, kit_paddr(&kit, AT + KIT_PAGE), KIT_PAGE, false));
	kit_forget_cleans(&kit);
	assert_int_equal(iog_dma_sync_for_device(kit.device, 0, iova, 9000, IOG_DMA_BIDIRECTIONAL), 0);
	assert_true(kit_cleaned(&kit, leaf.paddr, 100, false));
	kit_forget_cleans(&kit);
	assert_int_equal(iog_dma_sync_for_cpu(kit.device, 0, iova, 9000, IOG_DMA_BIDIRECTIONAL), 0);
	assert_true(kit_cleaned(&kit, leaf.paddr, 100, true));
	kit_forget_cleans(&kit);
	kit_unmap(&kit, 0, iova, 9000, IOG_DMA_BIDIRECTIONAL, 0);
	assert_true(kit_cleaned(&kit, leaf.paddr, 100, true));
	assert_true(kit_cleaned(&kit, kit_paddr(&kit, AT + KIT_PAGE), KIT_PAGE, true));
	kit_empty(&kit);
	kit_destroy(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_part_written),
		cmocka_unit_test(test_sync),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_mismatch),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_timeouts_bounded),
		cmocka_unit_test(test_noncoherent),
	};

	return cmocka_run_group_tests_name("dma bounce", tests, NULL, NULL);
}

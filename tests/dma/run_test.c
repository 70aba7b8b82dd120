/* SPDX-License-Identifier: MIT */
/*
 * Reserved runs: linking and unlinking parts, against a record of what is where.
 */
#include <string.h>

#include "kit.h"

#define PAGES 1200

static void link_pages(struct kit *kit, const struct iog_dma_run *run, uint64_t page, uint64_t n, uint64_t from, enum iog_dma_dir dir)
{
	assert_int_equal(iog_dma_link(run, 0, page * KIT_PAGE, kit_paddr(kit, from * KIT_PAGE), n * KIT_PAGE, dir, 0), 0);
	kit_note_map(kit, 0, run->iova + page * KIT_PAGE, n * KIT_PAGE);
}

static void unlink_pages(struct kit *kit, const struct iog_dma_run *run, uint64_t page, uint64_t n)
{
	kit_note_unmap(kit, run->iova + page * KIT_PAGE, n * KIT_PAGE);
	assert_int_equal(iog_dma_unlink(run, 0, page * KIT_PAGE, n * KIT_PAGE), 0);
	/* In every mode. */
	kit_refused(kit, run->iova + page * KIT_PAGE, n * KIT_PAGE, KIT_R);
	kit_refused(kit, run->iova + page * KIT_PAGE, n * KIT_PAGE, KIT_W);
}

static void test_sequences(void **state)
{
	static const uint64_t sizes[] = { 1, 8, 64, 512, PAGES };
	uint64_t random = kit_seed("runs");

	(void)state;
	for (uint32_t w = 0; w < nr_kit_ways; w++) {
		for (uint32_t f = 0; f < 2; f++) {
			const struct kit_config config = { .way = &kit_ways[w], .flags = f ? IOG_DEVICE_UNTRUSTED : 0 };
			struct kit kit;

			kit_create(&kit, &config);
			for (uint32_t s = 0; s < 5; s++) {
				uint64_t pages = sizes[s];
				uint32_t linked[PAGES] = { 0 }; /* page of the buffer + 1 */
				struct iog_dma_run run;

				assert_int_equal(iog_dma_reserve(kit.device, 0, pages * KIT_PAGE - (s ? 100 : 0), &run), 0);
				assert_true(run.size == pages * KIT_PAGE && run.device == kit.device);
				kit_refused(&kit, run.iova, run.size, KIT_R);
				for (uint64_t n = kit_scaled(60); n--;) {
					uint64_t page = kit_random(&random) % pages, count = 1 + kit_random(&random) % (pages - page), from, busy = 0;

					if (count > 1 && kit_random(&random) % 4)
						count = 1 + kit_random(&random) % (count < 8 ? count : 8);
					from = kit_random(&random) % (KIT_BUFFER_BYTES / KIT_PAGE - count);
					for (uint64_t i = page; i < page + count; i++)
						busy += linked[i] != 0;
					if (kit_random(&random) % 2) {
						if (busy) {
							assert_int_equal(iog_dma_link(&run, 0, page * KIT_PAGE, kit_paddr(&kit, from * KIT_PAGE), count * KIT_PAGE,
										      IOG_DMA_BIDIRECTIONAL, 0),
									 -IOG_EEXIST);
						} else {
							link_pages(&kit, &run, page, count, from, IOG_DMA_BIDIRECTIONAL);
							for (uint64_t i = 0; i < count; i++)
								linked[page + i] = (uint32_t)(from + i) + 1;
						}
					} else {
						unlink_pages(&kit, &run, page, count);
						memset(&linked[page], 0, count * sizeof(linked[0]));
					}
					for (uint64_t i = 0; i < pages; i += 1 + kit_random(&random) % 16) {
						uint64_t at = run.iova + i * KIT_PAGE;

						if (linked[i])
							kit_writes(&kit, at + i % KIT_PAGE, kit.buffer + (linked[i] - 1) * KIT_PAGE + i % KIT_PAGE, 1);
						else
							kit_refused(&kit, at, KIT_PAGE, KIT_W);
					}
				}
				kit_note_unmap(&kit, run.iova, run.size);
				assert_int_equal(iog_dma_release(&run, 0), 0);
				assert_int_equal(iog_dma_release(&run, 0), -IOG_EINVAL);
			}
			kit_empty(&kit);
			kit_destroy(&kit);
		}
	}
}

static void test_directions(void **state)
{
	const struct kit_config config = { .way = &kit_ways[0] };
	struct iog_dma_run run;
	struct kit kit;

	(void)state;
	kit_create(&kit, &config);
	assert_int_equal(iog_dma_reserve(kit.device, 0, 4 * KIT_PAGE, &run), 0);
	link_pages(&kit, &run, 1, 1, 7, IOG_DMA_TO_DEVICE);
	kit_check(&kit, run.iova + KIT_PAGE, kit.buffer + 7 * KIT_PAGE, KIT_PAGE, IOG_DMA_TO_DEVICE);
	/* The place may be linked again at once, otherwise. */
	unlink_pages(&kit, &run, 1, 1);
	link_pages(&kit, &run, 1, 1, 8, IOG_DMA_FROM_DEVICE);
	kit_check(&kit, run.iova + KIT_PAGE, kit.buffer + 8 * KIT_PAGE, KIT_PAGE, IOG_DMA_FROM_DEVICE);
	assert_true(kit_stats(&kit).bytes_mapped == run.size);
	kit_note_unmap(&kit, run.iova, run.size);
	assert_int_equal(iog_dma_release(&run, 0), 0);
	kit_empty(&kit);
	kit_destroy(&kit);
}

static void test_malformed(void **state)
{
	const struct kit_config config = { .way = &kit_ways[0], .dma_bits = 32 };
	uint64_t paddr;
	struct iog_dma_run run;
	struct kit kit;

	(void)state;
	kit_create(&kit, &config);
	paddr = kit_paddr(&kit, 0);
	assert_int_equal(iog_dma_reserve(kit.device, 0, 0, &run), -IOG_EINVAL);
	assert_int_equal(iog_dma_reserve(kit.device, 9, 4096, &run), -IOG_EINVAL);
	assert_int_equal(iog_dma_reserve(kit.device, 0, UINT64_MAX, &run), -IOG_ERANGE);
	assert_int_equal(iog_dma_reserve(kit.device, 0, UINT64_C(1) << 50, &run), -IOG_ENOSPC);
	assert_int_equal(iog_dma_reserve(kit.device, 0, 4 * KIT_PAGE, &run), 0);
	assert_true((run.iova + run.size - 1) >> 32 == 0);

	assert_int_equal(iog_dma_link(&run, 0, 0, paddr, 0, IOG_DMA_TO_DEVICE, 0), -IOG_EINVAL);
	assert_int_equal(iog_dma_link(&run, 0, 1, paddr, KIT_PAGE, IOG_DMA_TO_DEVICE, 0), -IOG_EINVAL);
	assert_int_equal(iog_dma_link(&run, 0, 0, paddr, 1, IOG_DMA_TO_DEVICE, 0), -IOG_EINVAL);
	assert_int_equal(iog_dma_link(&run, 0, 0, paddr + 1, KIT_PAGE, IOG_DMA_TO_DEVICE, 0), -IOG_EINVAL);
	assert_int_equal(iog_dma_link(&run, 0, 0, paddr, KIT_PAGE, (enum iog_dma_dir)7, 0), -IOG_EINVAL);
	assert_int_equal(iog_dma_link(&run, 0, 0, paddr, KIT_PAGE, IOG_DMA_TO_DEVICE, IOG_DMA_BYPASS), -IOG_EINVAL);
	assert_int_equal(iog_dma_link(&run, 3, 0, paddr, KIT_PAGE, IOG_DMA_TO_DEVICE, 0), -IOG_EINVAL);
	assert_int_equal(iog_dma_link(&run, 0, 4 * KIT_PAGE, paddr, KIT_PAGE, IOG_DMA_TO_DEVICE, 0), -IOG_ERANGE);
	assert_int_equal(iog_dma_link(&run, 0, 3 * KIT_PAGE, paddr, 2 * KIT_PAGE, IOG_DMA_TO_DEVICE, 0), -IOG_ERANGE);
	assert_int_equal(iog_dma_link(&run, 0, -KIT_PAGE, paddr, 2 * KIT_PAGE, IOG_DMA_TO_DEVICE, 0), -IOG_ERANGE);
	assert_int_equal(iog_dma_link(&run, 0, KIT_PAGE, paddr, -KIT_PAGE, IOG_DMA_TO_DEVICE, 0), -IOG_ERANGE);
	assert_int_equal(iog_dma_link(&run, 0, 0, -KIT_PAGE, 2 * KIT_PAGE, IOG_DMA_TO_DEVICE, 0), -IOG_ERANGE);
	assert_int_equal(iog_dma_link(&run, 0, 0, UINT64_C(1) << 52, KIT_PAGE, IOG_DMA_TO_DEVICE, 0), -IOG_ERANGE);
	assert_int_equal(iog_dma_unlink(&run, 0, 0, 0), -IOG_EINVAL);
	assert_int_equal(iog_dma_unlink(&run, 0, 5, KIT_PAGE), -IOG_EINVAL);
	assert_int_equal(iog_dma_unlink(&run, 0, 4 * KIT_PAGE, KIT_PAGE), -IOG_ERANGE);
	assert_int_equal(iog_dma_unlink(&run, 0, 0, 5 * KIT_PAGE), -IOG_ERANGE);
	assert_int_equal(iog_dma_unlink(&run, 4, 0, KIT_PAGE), -IOG_EINVAL);
	assert_int_equal(iog_dma_release(&run, 4), -IOG_EINVAL);
	kit_refused(&kit, run.iova, run.size, KIT_R);
	assert_int_equal(iog_dma_release(&run, 0), 0);
	kit_empty(&kit);
	kit_destroy(&kit);
}

/* What was linked by a large leaf is unlinked whole, or split where the page table may; that it is refused concerns no other run. */
static void test_large_leaf(void **state)
{
	(void)state;
	for (uint32_t w = 0; w < 2 * nr_kit_ways; w++) {
		bool split = w >= nr_kit_ways;
		const struct kit_config config = { .way = &kit_ways[w % nr_kit_ways], .pgtable_flags = split ? IOG_PGTABLE_SPLIT : 0 };
		uint64_t from;
		struct iog_dma_run run;
		struct kit kit;

		kit_create(&kit, &config);
		from = -kit_paddr(&kit, 0) & (2 * KIT_MIB - 1);
		assert_int_equal(iog_dma_reserve(kit.device, 0, 4 * KIT_MIB, &run), 0);
		link_pages(&kit, &run, 0, 512, from / KIT_PAGE, IOG_DMA_FROM_DEVICE);
		if (split) {
			unlink_pages(&kit, &run, 3, 1);
			kit_writes(&kit, run.iova, kit.buffer + from, 3 * KIT_PAGE);
		} else {
			assert_int_equal(iog_dma_unlink(&run, 0, 3 * KIT_PAGE, KIT_PAGE), -IOG_EINVAL);
			kit_writes(&kit, run.iova, kit.buffer + from, 2 * KIT_MIB);
		}
		kit_note_unmap(&kit, run.iova, 2 * KIT_MIB);
		assert_int_equal(iog_dma_unlink(&run, 0, 0, 2 * KIT_MIB), 0);
		assert_int_equal(iog_dma_release(&run, 0), 0);
		assert_true(kit_stats(&kit).quarantined == 0);
		kit_empty(&kit);
		kit_destroy(&kit);
	}
}

/* An unlinking that failed: the run's addresses are nobody else's until a flush has covered it. */
static void test_timeout(void **state)
{
	(void)state;
	for (uint32_t w = 0; w < nr_low_kit_ways; w++) {
		const struct kit_config config = { .way = &kit_ways[w], .first = 2 * KIT_MIB, .last = 4 * KIT_MIB - 1 };
		struct iog_dma_run run, next;
		iog_iova_t was;
		struct kit kit;

		kit_create(&kit, &config);
		assert_int_equal(iog_dma_reserve(kit.device, 0, KIT_PAGE, &run), 0);
		link_pages(&kit, &run, 0, 1, 7, IOG_DMA_FROM_DEVICE);
		kit_writes(&kit, run.iova, kit.buffer + 7 * KIT_PAGE, KIT_PAGE);
		was = run.iova;
		kit.inval_error = -IOG_ETIMEDOUT;
		kit_note_unmap(&kit, run.iova, run.size);
		assert_int_equal(iog_dma_unlink(&run, 0, 0, KIT_PAGE), -IOG_ETIMEDOUT);
		/* It is the caller's still: no flush gives it to somebody else. */
		assert_true(kit_stats(&kit).bytes_mapped == KIT_PAGE);
		assert_true(kit_stats(&kit).quarantined == 0);
		kit.inval_error = 0;
		(void)iog_dma_release(&run, 0);
		for (uint32_t i = 0; i < 100; i++) {
			assert_int_equal(iog_dma_reserve(kit.device, 0, KIT_PAGE, &next), 0);
			assert_true(next.iova != was);
			assert_int_equal(iog_dma_release(&next, 0), 0);
		}
		assert_int_equal(iog_domain_flush(kit.domain, 0), 0);
		kit_refused(&kit, was, KIT_PAGE, KIT_W);
		kit_empty(&kit);
		kit_destroy(&kit);

		/* And one that is kept through a flush stays its own. */
		kit_create(&kit, &config);
		assert_int_equal(iog_dma_reserve(kit.device, 0, KIT_PAGE, &run), 0);
		link_pages(&kit, &run, 0, 1, 7, IOG_DMA_FROM_DEVICE);
		kit.inval_error = -IOG_ETIMEDOUT;
		kit_note_unmap(&kit, run.iova, run.size);
		assert_int_equal(iog_dma_unlink(&run, 0, 0, KIT_PAGE), -IOG_ETIMEDOUT);
		kit.inval_error = 0;
		assert_int_equal(iog_domain_flush(kit.domain, 0), 0);
		for (uint32_t i = 0; i < 500; i++) {
			assert_int_equal(iog_dma_reserve(kit.device, 0, KIT_PAGE, &next), 0);
			assert_true(next.iova != run.iova);
			assert_int_equal(iog_dma_release(&next, 0), 0);
		}
		assert_int_equal(iog_dma_release(&run, 0), 0);
		kit_empty(&kit);
		kit_destroy(&kit);
	}
}

/*
 * A unit that remembers what is not there, and does not answer when it is told of a link: what is unlinked, freed or released after that is forgotten first, whichever lane
 * sees to it.
 */
static void test_link_timeout(void **state)
{
	(void)state;
	for (uint32_t w = 0; w < nr_low_kit_ways; w++) {
		const struct kit_config config = { .way = &kit_ways[w], .lanes = 2, .pgtable_flags = IOG_PGTABLE_FLUSH_ON_MAP };
		struct iog_dma_run run;
		uint64_t before;
		struct kit kit;

		kit_create(&kit, &config);
		assert_int_equal(iog_dma_reserve(kit.device, 0, KIT_PAGE, &run), 0);
		kit.inval_error = -IOG_ETIMEDOUT;
		assert_int_equal(iog_dma_link(&run, 0, 0, kit_paddr(&kit, 0), KIT_PAGE, IOG_DMA_FROM_DEVICE, 0), -IOG_ETIMEDOUT);
		kit.inval_error = 0;
		before = kit.invalidations;
		assert_int_equal(iog_dma_unlink(&run, 0, 0, KIT_PAGE), 0);
		assert_true(kit.invalidations > before);
		assert_int_equal(iog_domain_flush(kit.domain, 0), 0);
		assert_int_equal(iog_dma_release(&run, 0), 0);

		for (uint32_t lane = 0; lane < 2; lane++) {
			iog_iova_t was;

			assert_int_equal(iog_dma_reserve(kit.device, 0, KIT_PAGE, &run), 0);
			was = run.iova;
			kit.inval_error = -IOG_ETIMEDOUT;
			assert_int_equal(iog_dma_link(&run, 0, 0, kit_paddr(&kit, 0), KIT_PAGE, IOG_DMA_FROM_DEVICE, 0), -IOG_ETIMEDOUT);
			kit.inval_error = 0;
			before = kit.invalidations;
			assert_int_equal(iog_dma_release(&run, lane), 0);
			for (uint32_t n = 0; n < 100 && kit.invalidations == before; n++) {
				assert_int_equal(iog_dma_reserve(kit.device, lane, KIT_PAGE, &run), 0);
				assert_true(run.iova != was || kit.invalidations > before);
				assert_int_equal(iog_dma_release(&run, lane), 0);
			}
			assert_int_equal(iog_domain_flush(kit.domain, lane), 0);
		}
		kit_empty(&kit);
		kit_destroy(&kit);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sequences),
		cmocka_unit_test(test_directions),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_large_leaf),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_link_timeout),
	};

	return cmocka_run_group_tests_name("dma run", tests, NULL, NULL);
}

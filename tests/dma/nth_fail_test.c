/* SPDX-License-Identifier: MIT */
/*
 * The nth allocation of a call fails, for every n and every call: an error, and everything as before.
 */
#include <string.h>

#include "kit.h"

#define SEGMENTS 40

struct request {
	struct iog_sg sg[SEGMENTS];
	uint32_t mapped;
	iog_iova_t iova;
	void *va;
	struct iog_dma_run run;
	bool reserved;
};

/* A call, and its opposite. */
struct call {
	const char *name;
	int (*make)(struct kit *kit, struct request *request);
	int (*undo)(struct kit *kit, struct request *request);
};

static int map(struct kit *kit, struct request *request)
{
	return iog_dma_map(kit->device, 0, kit_paddr(kit, 77), 3 * KIT_MIB, IOG_DMA_BIDIRECTIONAL, 0, &request->iova);
}

static int unmap(struct kit *kit, struct request *request)
{
	return iog_dma_unmap(kit->device, 0, request->iova, 3 * KIT_MIB, IOG_DMA_BIDIRECTIONAL, 0);
}

static int map_small(struct kit *kit, struct request *request)
{
	return iog_dma_map(kit->device, 0, kit_paddr(kit, 77), 77, IOG_DMA_BIDIRECTIONAL, 0, &request->iova);
}

static int unmap_small(struct kit *kit, struct request *request)
{
	return iog_dma_unmap(kit->device, 0, request->iova, 77, IOG_DMA_BIDIRECTIONAL, 0);
}

static int map_list(struct kit *kit, struct request *request)
{
	for (uint64_t i = 0; i < SEGMENTS; i++)
		request->sg[i] = (struct iog_sg){ .paddr = kit_paddr(kit, i * 50 * KIT_PAGE + 100), .size = i == 20 ? 2 * KIT_MIB : 100 };
	return iog_dma_map_sg(kit->device, 0, request->sg, SEGMENTS, IOG_DMA_TO_DEVICE, 0, &request->iova, &request->mapped);
}

static int unmap_list(struct kit *kit, struct request *request)
{
	return iog_dma_unmap_sg(kit->device, 0, request->sg, SEGMENTS, IOG_DMA_TO_DEVICE, 0);
}

static int map_resource(struct kit *kit, struct request *request)
{
	return iog_dma_map_resource(kit->device, 0, 0xfee00004, 4, IOG_DMA_FROM_DEVICE, 0, &request->iova);
}

static int unmap_resource(struct kit *kit, struct request *request)
{
	return iog_dma_unmap_resource(kit->device, 0, request->iova, 4, IOG_DMA_FROM_DEVICE, 0);
}

static int alloc(struct kit *kit, struct request *request)
{
	return iog_dma_alloc(kit->device, 0, 100000, &request->va, &request->iova);
}

static int free_shared(struct kit *kit, struct request *request)
{
	return iog_dma_free(kit->device, 0, 100000, request->va, request->iova);
}

static int reserve(struct kit *kit, struct request *request)
{
	return iog_dma_reserve(kit->device, 0, 5 * KIT_MIB, &request->run);
}

static int release(struct kit *kit, struct request *request)
{
	(void)kit;
	return iog_dma_release(&request->run, 0);
}

static int reserve_and_link(struct kit *kit, struct request *request)
{
	if (!request->reserved) {
		uint64_t fail_in = kit->fail_in;

		kit->fail_in = 0;
		assert_int_equal(iog_dma_reserve(kit->device, 0, 8 * KIT_MIB, &request->run), 0);
		request->reserved = true;
		kit->fail_in = fail_in;
	}
	return iog_dma_link(&request->run, 0, KIT_MIB, kit_paddr(kit, 0), 5 * KIT_MIB, IOG_DMA_BIDIRECTIONAL, 0);
}

static int unlink_part(struct kit *kit, struct request *request)
{
	(void)kit;
	return iog_dma_unlink(&request->run, 0, 0, 8 * KIT_MIB);
}

static const struct call calls[] = {
	{ "map", map, unmap },
	{ "map a little", map_small, unmap_small },
	{ "map_sg", map_list, unmap_list },
	{ "map_resource", map_resource, unmap_resource },
	{ "alloc", alloc, free_shared },
	{ "reserve", reserve, release },
	{ "link", reserve_and_link, unlink_part },
};
#define NR_CALLS (sizeof(calls) / sizeof(calls[0]))

/* Return: how many allocations were seen to fail. What lanes keep in stock may leave none. */
static uint64_t sweep(const struct kit_config *config, const struct call *call)
{
	struct request request = { .iova = 0 };
	uint64_t refusals = 0;
	struct kit kit;

	kit_create(&kit, config);
	for (uint64_t n = 1;; n++) {
		struct iog_domain_stats before, after;
		uint64_t failed;
		int error;

		if (call->make == reserve_and_link && !request.reserved) {
			assert_int_equal(reserve_and_link(&kit, &request), 0);
			assert_int_equal(unlink_part(&kit, &request), 0);
		}
		/* As cold as can be. */
		assert_int_equal(iog_domain_trim(kit.domain, 0), 0);
		assert_int_equal(iog_tablemem_trim(kit.tables, 0), 0);
		before = kit_stats(&kit);
		failed = kit.failed;
		kit.fail_in = n;
		error = call->make(&kit, &request);
		kit.fail_in = 0;
		after = kit_stats(&kit);
		if (!error) {
			/* Taking it back never needs memory. */
			kit.fail_in = 1;
			assert_int_equal(call->undo(&kit, &request), 0);
			kit.fail_in = 0;
			if (kit.failed == failed)
				break;
			continue;
		}
		refusals++;
		assert_int_equal(error, -IOG_ENOMEM);
		assert_true(kit.failed > failed);
		assert_true(after.maps == before.maps && after.unmaps == before.unmaps && after.bytes_mapped == before.bytes_mapped);
		assert_int_equal(iog_domain_trim(kit.domain, 0), 0);
		after = kit_stats(&kit);
		assert_true(after.iova.live_bytes == before.iova.live_bytes && after.quarantined == 0);
		assert_true(iog_pgtable_is_valid(iog_domain_pgtable(kit.domain)));
		if (request.reserved)
			kit_refused(&kit, request.run.iova, request.run.size, KIT_R);
		assert_true(n < 1000);
	}
	if (request.reserved)
		assert_int_equal(iog_dma_release(&request.run, 0), 0);
	kit_empty(&kit);
	kit_destroy(&kit);
	return refusals;
}

static void test_every_call(void **state)
{
	(void)state;
	for (uint32_t w = 0; w < nr_kit_ways; w++) {
		uint64_t trusted_refusals = 0;

		for (uint32_t c = 0; c < NR_CALLS; c++) {
			const struct kit_config trusted = { .way = &kit_ways[w] };
			const struct kit_config untrusted = { .way = &kit_ways[w], .flags = IOG_DEVICE_UNTRUSTED };

			trusted_refusals += sweep(&trusted, &calls[c]);
			/* A record, and the bounce pages. */
			assert_true(sweep(&untrusted, &calls[c]) >= (calls[c].make == map_list ? SEGMENTS : 0));
		}
		assert_true(trusted_refusals >= 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_call),
	};

	return cmocka_run_group_tests_name("dma nth fail", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Several lanes in one domain: each maps, lets a device in, and unmaps, its own mappings and those that others hand over. The judge watches.
 */
#include <pthread.h>
#include <string.h>

#include "kit.h"

#define LANES 4
#define HELD 24
#define REGION (KIT_BUFFER_BYTES / LANES)
#define PLACE (REGION / HELD / KIT_PAGE * KIT_PAGE)

/* A mapping on its way to whoever unmaps it. */
struct parcel {
	bool full;
	uint64_t iova;
	uint64_t size;
};

struct shared {
	struct kit kit;
	pthread_mutex_t lock;
	struct parcel parcels[8];
	uint64_t steps;
	uint64_t seed;
	_Atomic uint32_t failed;
};

struct worker {
	struct shared *shared;
	iog_lane_t lane;
	uint64_t random;
	struct iog_dma_run run;
	uint32_t linked;
	struct {
		uint64_t iova;
		uint64_t size;
		struct iog_sg sg[4];
		uint32_t n;
	} held[HELD];
};

/* cmocka's assertions are for its own thread. */
#define must(worker, claim)                                                                                     \
	do {                                                                                                    \
		if (!(claim)) {                                                                                 \
			print_message("lane %u: " #claim " (line %d)\n", (unsigned int)(worker)->lane, __LINE__); \
			atomic_fetch_add(&(worker)->shared->failed, 1);                                         \
			return;                                                                                 \
		}                                                                                               \
	} while (0)

static bool write_read(struct kit *kit, uint64_t iova, uint64_t size, unsigned char stamp)
{
	unsigned char bytes[64], seen[64];
	uint64_t n = size < 64 ? size : 64;

	memset(bytes, stamp, n);
	return !kit_access(kit, 0, iova, bytes, n, KIT_W) && !kit_access(kit, 0, iova, seen, n, KIT_R) && !memcmp(bytes, seen, n) &&
	       !kit_access(kit, 0, iova + (size - 1), bytes, 1, KIT_W);
}

static void hand_over(struct worker *worker, uint64_t offset)
{
	struct shared *shared = worker->shared;
	struct kit *kit = &shared->kit;
	struct parcel *parcel = &shared->parcels[kit_random(&worker->random) % 8], mine = { 0 };

	pthread_mutex_lock(&shared->lock);
	if (parcel->full) {
		mine = *parcel;
		parcel->full = false;
	}
	pthread_mutex_unlock(&shared->lock);
	if (mine.full) {
		must(worker, write_read(kit, mine.iova, mine.size, 1));
		kit_note_unmap(kit, mine.iova, mine.size);
		must(worker, !iog_dma_unmap(kit->device, worker->lane, mine.iova, mine.size, IOG_DMA_BIDIRECTIONAL, IOG_DMA_SKIP_SYNC));
		return;
	}
	mine.full = true;
	mine.size = 1 + kit_random(&worker->random) % 6000;
	/* Memory that nobody looks at: its lifetime is not the point. */
	must(worker, !iog_dma_map(kit->device, worker->lane, kit_paddr(kit, offset), mine.size, IOG_DMA_BIDIRECTIONAL, IOG_DMA_SKIP_SYNC, &mine.iova));
	kit_note_map(kit, worker->lane, mine.iova, mine.size);
	pthread_mutex_lock(&shared->lock);
	if (!parcel->full) {
		*parcel = mine;
		mine.full = false;
	}
	pthread_mutex_unlock(&shared->lock);
	if (mine.full) {
		kit_note_unmap(kit, mine.iova, mine.size);
		must(worker, !iog_dma_unmap(kit->device, worker->lane, mine.iova, mine.size, IOG_DMA_BIDIRECTIONAL, IOG_DMA_SKIP_SYNC));
	}
}

static void own(struct worker *worker)
{
	struct kit *kit = &worker->shared->kit;
	uint32_t i = (uint32_t)(kit_random(&worker->random) % HELD), mapped;
	uint64_t offset = worker->lane * REGION + i * PLACE, span;
	iog_lane_t lane = worker->lane;

	if (worker->held[i].size) {
		must(worker, write_read(kit, worker->held[i].iova, worker->held[i].n ? worker->held[i].sg[0].iova_size : worker->held[i].size, (unsigned char)i));
		kit_note_unmap(kit, worker->held[i].iova, worker->held[i].size);
		if (worker->held[i].n)
			must(worker, !iog_dma_unmap_sg(kit->device, lane, worker->held[i].sg, worker->held[i].n, IOG_DMA_BIDIRECTIONAL, 0));
		else
			must(worker, !iog_dma_unmap(kit->device, lane, worker->held[i].iova, worker->held[i].size, IOG_DMA_BIDIRECTIONAL, 0));
		must(worker, kit->buffer[offset + 9] == (unsigned char)i);
		worker->held[i].size = 0;
		return;
	}
	worker->held[i].n = 0;
	if (kit_random(&worker->random) % 4) {
		worker->held[i].size = 64 + kit_random(&worker->random) % 9000;
		must(worker, !iog_dma_map(kit->device, lane, kit_paddr(kit, offset + 9), worker->held[i].size, IOG_DMA_BIDIRECTIONAL, 0, &worker->held[i].iova));
	} else {
		worker->held[i].n = 4;
		for (uint32_t k = 0; k < 4; k++)
			worker->held[i].sg[k] = (struct iog_sg){ .paddr = kit_paddr(kit, offset + 9 + 2 * k * KIT_PAGE), .size = 500 };
		must(worker, !iog_dma_map_sg(kit->device, lane, worker->held[i].sg, 4, IOG_DMA_BIDIRECTIONAL, 0, &worker->held[i].iova, &mapped));
		span = worker->held[i].sg[mapped - 1].iova + 500 - worker->held[i].iova;
		worker->held[i].size = span;
	}
	kit_note_map(kit, lane, worker->held[i].iova, worker->held[i].size);
}

static void relink(struct worker *worker)
{
	struct kit *kit = &worker->shared->kit;
	uint32_t page = (uint32_t)(kit_random(&worker->random) % 16);
	uint64_t at = worker->run.iova + page * KIT_PAGE;
	unsigned char byte = 3;

	if (worker->linked >> page & 1) {
		must(worker, !kit_access(kit, 0, at, &byte, 1, KIT_W));
		kit_note_unmap(kit, at, KIT_PAGE);
		must(worker, !iog_dma_unlink(&worker->run, worker->lane, page * KIT_PAGE, KIT_PAGE));
		must(worker, kit_access(kit, 0, at, &byte, 1, KIT_W) == -IOG_EFAULT);
	} else {
		must(worker, !iog_dma_link(&worker->run, worker->lane, page * KIT_PAGE, kit_paddr(kit, worker->lane * REGION + page * KIT_PAGE), KIT_PAGE,
					   IOG_DMA_BIDIRECTIONAL, 0));
		kit_note_map(kit, worker->lane, at, KIT_PAGE);
	}
	worker->linked ^= UINT32_C(1) << page;
}

static void shared_memory(struct worker *worker)
{
	struct kit *kit = &worker->shared->kit;
	iog_iova_t iova;
	void *va;

	must(worker, !iog_dma_alloc(kit->device, worker->lane, 8192, &va, &iova));
	kit_note_map(kit, worker->lane, iova, 8192);
	must(worker, write_read(kit, iova, 8192, 0x42));
	must(worker, ((unsigned char *)va)[0] == 0x42);
	kit_note_unmap(kit, iova, 8192);
	must(worker, !iog_dma_free(kit->device, worker->lane, 8192, va, iova));
}

static void *work(void *ctx)
{
	struct worker *worker = ctx;
	struct kit *kit = &worker->shared->kit;

	for (uint64_t n = worker->shared->steps; n-- && !atomic_load(&worker->shared->failed);) {
		uint64_t what = kit_random(&worker->random) % 100;

		if (what < 40)
			own(worker);
		else if (what < 80)
			hand_over(worker, worker->lane * REGION + HELD * PLACE);
		else if (what < 90)
			relink(worker);
		else if (what < 95)
			shared_memory(worker);
		else if (what < 98)
			(void)iog_domain_tick(kit->domain, worker->lane, n);
		else
			(void)iog_domain_flush(kit->domain, worker->lane);
	}
	return NULL;
}

static void run(const struct kit_config *config, uint64_t *random)
{
	static struct worker workers[LANES];
	static struct shared shared;
	pthread_t threads[LANES];

	memset(&shared, 0, sizeof(shared));
	memset(workers, 0, sizeof(workers));
	pthread_mutex_init(&shared.lock, NULL);
	shared.steps = kit_scaled(3000);
	kit_create(&shared.kit, config);
	for (uint32_t i = 0; i < LANES; i++) {
		workers[i].shared = &shared;
		workers[i].lane = i;
		workers[i].random = kit_random(random);
		assert_int_equal(iog_dma_reserve(shared.kit.device, i, 16 * KIT_PAGE, &workers[i].run), 0);
	}
	for (uint32_t i = 0; i < LANES; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	for (uint32_t i = 0; i < LANES; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(shared.failed, 0);

	for (uint32_t i = 0; i < LANES; i++) {
		kit_note_unmap(&shared.kit, workers[i].run.iova, workers[i].run.size);
		assert_int_equal(iog_dma_release(&workers[i].run, i), 0);
		for (uint32_t k = 0; k < HELD; k++) {
			if (!workers[i].held[k].size)
				continue;
			kit_note_unmap(&shared.kit, workers[i].held[k].iova, workers[i].held[k].size);
			if (workers[i].held[k].n)
				assert_int_equal(iog_dma_unmap_sg(shared.kit.device, i, workers[i].held[k].sg, 4, IOG_DMA_BIDIRECTIONAL, 0), 0);
			else
				assert_int_equal(iog_dma_unmap(shared.kit.device, i, workers[i].held[k].iova, workers[i].held[k].size, IOG_DMA_BIDIRECTIONAL, 0), 0);
		}
	}
	for (uint32_t i = 0; i < 8; i++)
		if (shared.parcels[i].full)
			kit_unmap(&shared.kit, 0, shared.parcels[i].iova, shared.parcels[i].size, IOG_DMA_BIDIRECTIONAL, 0);
	kit_empty(&shared.kit);
	kit_destroy(&shared.kit);
	pthread_mutex_destroy(&shared.lock);
}

static void test_threads(void **state)
{
	uint64_t random = kit_seed("threads");

	(void)state;
	for (uint32_t w = 0; w < nr_kit_ways; w++) {
		const struct kit_config trusted = { .way = &kit_ways[w], .lanes = LANES, .deferred_entries = 32 };
		const struct kit_config untrusted = { .way = &kit_ways[w], .lanes = LANES, .flags = IOG_DEVICE_UNTRUSTED };

		run(&trusted, &random);
		run(&untrusted, &random);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("dma threads", tests, NULL, NULL);
}

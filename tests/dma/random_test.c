/* SPDX-License-Identifier: MIT */
/*
 * Random sequences of all calls, against a record of what is mapped: by every way, for trusted and untrusted devices, with much and with little room, with allocations that fail and a unit
 * that times out. Accesses in what is mapped land where they should, no two mappings share an address, and the judge sees the rest.
 *
 * Each place of the record owns a part of the buffer memory.
 */
#include <string.h>

#include "kit.h"

#define PLACES 100
#define SG_MAX 12

enum kind { NOTHING, SINGLE, LIST, SHARED, RUN, LOST };

struct place {
	enum kind kind;
	uint64_t iova;  /* of the first byte */
	uint64_t size;  /* from there to the last byte */
	uint64_t at;    /* SINGLE: in the buffer */
	enum iog_dma_dir dir;
	struct iog_sg sg[SG_MAX];
	uint32_t n, mapped;
	void *va;
	struct iog_dma_run run;
	uint32_t linked;    /* RUN: a bit per page, which is that page of the place */
	uint64_t unforgotten; /* flushes when it was given up, if hardware may remember it */
};

struct world {
	struct kit kit;
	uint64_t random;
	struct place places[PLACES];
	uint32_t live;
	uint32_t cold; /* mappings still to be made with tables gone and memory short */
	uint64_t successes, refusals;
};

static uint64_t dice(struct world *world, uint64_t sides)
{
	return kit_random(&world->random) % sides;
}

static uint64_t page_bytes(const struct world *world)
{
	return world->kit.page;
}

static uint64_t place_bytes(const struct world *world)
{
	return 16 * page_bytes(world);
}

/* As many as the buffer has room for. */
static uint32_t nr_places(const struct world *world)
{
	return place_bytes(world) * PLACES > KIT_BUFFER_BYTES ? (uint32_t)(KIT_BUFFER_BYTES / place_bytes(world)) : PLACES;
}

static bool untrusted(const struct world *world)
{
	return world->kit.config.flags & IOG_DEVICE_UNTRUSTED;
}

static unsigned char *place_va(struct world *world, const struct place *place)
{
	return world->kit.buffer + (uint64_t)(place - world->places) * place_bytes(world);
}

static uint64_t place_offset(struct world *world, const struct place *place)
{
	return (uint64_t)(place - world->places) * place_bytes(world);
}

/* A new mapping's pages are nobody else's. */
static void alone(struct world *world, const struct place *place)
{
	uint64_t first = place->iova & ~(page_bytes(world) - 1), last = (place->iova + place->size - 1) | (page_bytes(world) - 1);

	for (const struct place *other = world->places; other < world->places + PLACES; other++) {
		if (other == place || other->kind == NOTHING)
			continue;
		assert_true(last < (other->iova & ~(page_bytes(world) - 1)) || first > ((other->iova + other->size - 1) | (page_bytes(world) - 1)));
	}
}

static void succeeded(struct world *world, struct place *place, enum kind kind)
{
	place->kind = kind;
	world->live++;
	world->successes++;
	alone(world, place);
	kit_note_map(&world->kit, 0, place->iova, place->size);
}

/* Errors that may be: when memory or the unit fails, or there is no room. */
static void refused(struct world *world, int error)
{
	assert_true(error == -IOG_ENOMEM || error == -IOG_ENOSPC || error == -IOG_ETIMEDOUT);
	world->refusals++;
}

static void map_single(struct world *world, struct place *place)
{
	struct kit *kit = &world->kit;
	uint64_t offset = dice(world, 2) ? 0 : dice(world, page_bytes(world));
	int error;

	place->at = place_offset(world, place) + offset;
	place->size = dice(world, 2) ? 1 + dice(world, page_bytes(world)) : 1 + dice(world, place_bytes(world) - offset);
	if (place->size > place_bytes(world) - offset)
		place->size = place_bytes(world) - offset;
	error = iog_dma_map(kit->device, 0, kit_paddr(kit, place->at), place->size, place->dir, 0, &place->iova);
	if (error) {
		refused(world, error);
		return;
	}
	succeeded(world, place, SINGLE);
}

static void map_list(struct world *world, struct place *place)
{
	struct kit *kit = &world->kit;
	uint64_t at = 0;
	int error;

	place->n = 1 + (uint32_t)dice(world, SG_MAX);
	for (uint32_t i = 0; i < place->n; i++) {
		uint64_t offset = dice(world, 2) ? 0 : dice(world, 100), size = dice(world, 2) ? page_bytes(world) : 1 + dice(world, page_bytes(world));

		if (at % page_bytes(world) && dice(world, 2))
			at = (at | (page_bytes(world) - 1)) + 1;
		if (at + offset + size > place_bytes(world)) {
			place->n = i;
			break;
		}
		place->sg[i] = (struct iog_sg){ .paddr = kit_paddr(kit, place_offset(world, place) + at + offset), .size = size };
		at += offset + size;
	}
	error = iog_dma_map_sg(kit->device, 0, place->sg, place->n, place->dir, 0, &place->iova, &place->mapped);
	if (error) {
		refused(world, error);
		return;
	}
	place->size = place->sg[place->mapped - 1].iova + place->sg[place->mapped - 1].iova_size - place->iova;
	succeeded(world, place, LIST);
}

static void map_shared(struct world *world, struct place *place)
{
	int error;

	place->size = page_bytes(world) << dice(world, 4);
	error = iog_dma_alloc(world->kit.device, 0, place->size, &place->va, &place->iova);
	if (error) {
		refused(world, error);
		return;
	}
	succeeded(world, place, SHARED);
}

static void reserve(struct world *world, struct place *place)
{
	int error = iog_dma_reserve(world->kit.device, 0, place_bytes(world), &place->run);

	if (error) {
		refused(world, error);
		return;
	}
	place->iova = place->run.iova;
	place->size = place->run.size;
	place->linked = 0;
	succeeded(world, place, RUN);
}

static void link_or_unlink(struct world *world, struct place *place)
{
	uint32_t page = (uint32_t)dice(world, 16), n = 1 + (uint32_t)dice(world, 16 - page);
	uint32_t bits = (uint32_t)((UINT64_C(1) << n) - 1) << page;
	struct kit *kit = &world->kit;
	int error;

	if (dice(world, 2)) {
		error = iog_dma_link(&place->run, 0, page * page_bytes(world), kit_paddr(kit, place_offset(world, place) + page * page_bytes(world)), n * page_bytes(world),
				     IOG_DMA_BIDIRECTIONAL, 0);
		if (place->linked & bits) {
			assert_true(error == -IOG_EEXIST || error == -IOG_ENOMEM);
		} else if (error) {
			refused(world, error);
		} else {
			place->linked |= bits;
			kit_note_map(kit, 0, place->iova + page * page_bytes(world), n * page_bytes(world));
		}
		return;
	}
	kit_note_unmap(kit, place->iova + page * page_bytes(world), n * page_bytes(world));
	error = iog_dma_unlink(&place->run, 0, page * page_bytes(world), n * page_bytes(world));
	place->linked &= ~bits;
	if (error) {
		/* Not to be linked again. */
		refused(world, error);
		kit_note_unmap(kit, place->iova, place->size);
		(void)iog_dma_release(&place->run, 0);
		place->kind = LOST;
		place->unforgotten = kit->flushes;
	} else {
		kit_refused(kit, place->iova + page * page_bytes(world), n * page_bytes(world), KIT_R);
	}
}

/* Somewhere in the mapping: bytes go where they should. */
static void touch(struct world *world, struct place *place)
{
	unsigned char *va = place_va(world, place);
	struct kit *kit = &world->kit;
	unsigned char byte;

	if (place->kind == RUN) {
		uint32_t page = (uint32_t)dice(world, 16);
		uint64_t at = page * page_bytes(world) + dice(world, page_bytes(world));

		if (place->linked >> page & 1)
			kit_writes(kit, place->iova + at, va + at, 1);
		else
			kit_refused(kit, place->iova + at, 1, KIT_W);
	} else if (place->kind == SHARED) {
		uint64_t at = dice(world, place->size);

		kit_writes(kit, place->iova + at, (unsigned char *)place->va + at, 1);
	} else if (place->kind == SINGLE) {
		uint64_t from = dice(world, place->size), n = 1 + dice(world, place->size - from);

		n = n > 8000 ? 8000 : n;
		if (place->dir & IOG_DMA_FROM_DEVICE) {
			kit_writes(kit, place->iova + from, untrusted(world) ? NULL : kit->buffer + place->at + from, n);
			assert_int_equal(iog_dma_sync_for_cpu(kit->device, 0, place->iova + from, n, place->dir), 0);
		}
		if (place->dir & IOG_DMA_TO_DEVICE)
			kit_reads(kit, place->iova + from, kit->buffer + place->at + from, n);
		else if (!kit->read_implied)
			assert_int_equal(kit_access(kit, 0, place->iova + from, &byte, 1, KIT_R), -IOG_EFAULT);
	} else if (place->kind == LIST) {
		uint64_t used = 0;
		uint32_t pair = 0;

		for (uint32_t i = 0; i < place->n; i++) {
			uint64_t at = place->sg[pair].iova + used;

			va = kit->buffer + (place->sg[i].paddr - kit->buffer_paddr);
			if (place->dir & IOG_DMA_FROM_DEVICE) {
				kit_writes(kit, at, untrusted(world) ? NULL : va, place->sg[i].size);
				assert_int_equal(iog_dma_sync_for_cpu(kit->device, 0, at, place->sg[i].size, place->dir), 0);
			}
			if (place->dir & IOG_DMA_TO_DEVICE)
				kit_reads(kit, at, va, place->sg[i].size);
			used += place->sg[i].size;
			if (used == place->sg[pair].iova_size) {
				pair++;
				used = 0;
			}
		}
		assert_int_equal(pair, place->mapped);
	}
}

static void take_back(struct world *world, struct place *place)
{
	struct kit *kit = &world->kit;
	uint64_t flushes = kit->flushes;
	int error = 0;

	kit_note_unmap(kit, place->iova, place->size);
	switch (place->kind) {
	case SINGLE:
		error = iog_dma_unmap(kit->device, 0, place->iova, place->size, place->dir, 0);
		break;
	case LIST:
		error = iog_dma_unmap_sg(kit->device, 0, place->sg, place->n, place->dir, 0);
		break;
	case SHARED:
		error = iog_dma_free(kit->device, 0, place->size, place->va, place->iova);
		break;
	case RUN:
		error = iog_dma_release(&place->run, 0);
		break;
	default:
		break;
	}
	place->kind = NOTHING;
	world->live--;
	if (error) {
		refused(world, error);
		assert_int_equal(error, -IOG_ETIMEDOUT);
		/* In the record until a flush: nobody may get these addresses. A queue that could not be flushed lets nothing go. */
		place->kind = LOST;
		place->unforgotten = flushes;
		world->live++;
	} else if (kit->config.way->mode == IOG_INVAL_STRICT) {
		kit_refused(kit, place->iova, place->size, KIT_W);
	}
}

/* A flush that works makes everything forgotten that was given up, and hands the memory of the lost back to this test. */
static void flush(struct world *world)
{
	struct kit *kit = &world->kit;

	kit->inval_error = 0;
	assert_int_equal(iog_domain_flush(kit->domain, 0), 0);
	assert_true(kit_stats(kit).quarantined == 0);
	for (struct place *place = world->places; place < world->places + PLACES; place++) {
		if (place->kind != LOST)
			continue;
		kit_refused(kit, place->iova, place->size, KIT_W);
		if (place->va)
			kit->observed.pages_free(kit->observed.ctx, place->va, place->size);
		place->va = NULL;
		place->kind = NOTHING;
		world->live--;
	}
}

/* Nothing is left, not in stock either, so that the next calls need much memory. */
static void clear_out(struct world *world)
{
	flush(world);
	for (struct place *place = world->places; place < world->places + PLACES; place++)
		if (place->kind != NOTHING)
			take_back(world, place);
	assert_int_equal(iog_domain_trim(world->kit.domain, 0), 0);
	assert_int_equal(iog_tablemem_trim(world->kit.tables, 0), 0);
	assert_true(kit_stats(&world->kit).iova.live_bytes == 0);
	world->cold = 6;
}

static void step(struct world *world)
{
	static const enum iog_dma_dir dirs[] = { IOG_DMA_TO_DEVICE, IOG_DMA_FROM_DEVICE, IOG_DMA_BIDIRECTIONAL };
	struct place *place = &world->places[dice(world, nr_places(world))];
	struct kit *kit = &world->kit;
	uint64_t what = dice(world, 1000);

	if (!what) {
		clear_out(world);
	} else if (what < 3) {
		flush(world);
	} else if (what < 5) {
		assert_int_equal(iog_domain_trim(kit->domain, 0), kit->inval_error);
	} else if (what < 20) {
		assert_true(iog_domain_tick(kit->domain, 0, world->successes) == 0 || kit->inval_error);
	} else if (place->kind == NOTHING) {
		if (what < 100 || world->cold)
			kit->fail_in = 1 + dice(world, 8);
		world->cold -= world->cold > 0;
		place->dir = dirs[dice(world, 3)];
		place->va = NULL;
		switch (dice(world, 6)) {
		case 0:
			map_list(world, place);
			break;
		case 1:
			map_shared(world, place);
			break;
		case 2:
			reserve(world, place);
			break;
		default:
			map_single(world, place);
		}
		kit->fail_in = 0;
	} else if (place->kind == LOST) {
		/* Wait. */
	} else if (place->kind == RUN && what < 700) {
		if (what < 300)
			link_or_unlink(world, place);
		if (place->kind == RUN)
			touch(world, place);
	} else if (what < 500) {
		touch(world, place);
	} else {
		if (what < 504)
			kit->inval_error = -IOG_ETIMEDOUT;
		take_back(world, place);
		if (kit->inval_error)
			flush(world);
	}
}

static void run(const struct kit_config *config, uint64_t *random, uint64_t steps)
{
	static struct world world;

	memset(&world, 0, sizeof(world));
	world.random = kit_random(random);
	kit_create(&world.kit, config);
	while (steps--)
		step(&world);
	clear_out(&world);
	assert_int_equal(world.live, 0);
	kit_empty(&world.kit);
	kit_destroy(&world.kit);
}

static void test_random(void **state)
{
	uint64_t random = kit_seed("random");

	(void)state;
	for (uint32_t w = 0; w < nr_kit_ways; w++) {
		const struct kit_config configs[] = {
			{ .way = &kit_ways[w] },
			{ .way = &kit_ways[w], .flags = IOG_DEVICE_UNTRUSTED },
			{ .way = &kit_ways[w], .first = 2 * KIT_MIB, .last = 6 * KIT_MIB - 1, .deferred_entries = 8 },
			{ .way = &kit_ways[w], .flags = IOG_DEVICE_UNTRUSTED, .dma_bits = 24, .deferred_entries = 3, .segment_max = 8192, .segment_boundary = 16384 },
			{ .way = &kit_ways[w], .pgtable_flags = IOG_PGTABLE_FLUSH_ON_MAP, .dma_bits = 32, .deferred_entries = 1 },
		};

		for (uint32_t c = 0; c < (w < nr_low_kit_ways ? sizeof(configs) / sizeof(configs[0]) : 2); c++)
			run(&configs[c], &random, kit_scaled(6000));
	}
}

/* Whatever entries look like: each format by windows, which write entries themselves, by 1:1 addresses, which count users in them, and by walks. */
static void test_formats(void **state)
{
	uint64_t random = kit_seed("random formats");
	const char *name;

	(void)state;
	for (uint32_t f = 0; (name = iog_format_name(f)); f++)
		for (uint32_t w = 0; w < nr_kit_ways; w++) {
			const struct kit_config configs[] = {
				{ .way = &kit_ways[w], .format = iog_format_find(name, IOG_RECLAIM_COUNTED, 0) },
				{ .way = &kit_ways[w], .format = iog_format_find(name, IOG_RECLAIM_RWLOCK, 0), .flags = IOG_DEVICE_UNTRUSTED },
				{ .way = &kit_ways[w], .format = iog_format_find(name, IOG_RECLAIM_NONE, 0), .pgtable_flags = IOG_PGTABLE_NONCOHERENT },
			};

			for (uint32_t c = 0; c < sizeof(configs) / sizeof(configs[0]); c++)
				run(&configs[c], &random, kit_scaled(500));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_formats),
	};

	return cmocka_run_group_tests_name("dma random", tests, NULL, NULL);
}

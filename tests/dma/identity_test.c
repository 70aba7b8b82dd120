/* SPDX-License-Identifier: MIT */
/*
 * The policy "identity": which addresses are 1:1 and which are the fallback's, what may be revived, what a failing unit leaves behind, queues that others take over; and threads
 * that share pages, seen by a device with an IOTLB.
 *
 * The judge of the simulated unit knows one user per page, and is off. Instead whoever maps says so before, and takes it back when hardware has forgotten: accesses that nobody has
 * a right to must fault, those of a mapping must land.
 *
 * IOG_SEED=n, IOG_TEST_SCALE=percent.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <iogate/dma.h>
#include <iogate/error.h>
#include <iogate/host/posix.h>
#include <iogate/host/sim.h>
#include <iogate/tablemem.h>

#include "../seed.h"
#include "dma/domain.h"
#include "pgtable/pgtable.h"

#define PAGE UINT64_C(4096)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define R IOG_PROT_READ
#define W IOG_PROT_WRITE
#define RW (R | W)
#define LANES 4
#define DEVICE 7
#define NO_LIMIT UINT64_MAX
/* Memory is below. */
#define LAST (16 * GIB - 1)

static const struct iog_policy *const fallbacks[] = { &iog_policy_tree, &iog_policy_magazine, &iog_policy_pooled, &iog_policy_window };
#define FALLBACKS (sizeof(fallbacks) / sizeof(fallbacks[0]))

static uint64_t seed;

struct world {
	struct iog_unit unit; /* first: stands before the simulated one */
	struct iog_unit *inner;
	_Atomic int fail;
	_Atomic uint64_t invalidations;

	struct iog_posix *posix;
	struct iog_platform platform;
	_Atomic uint64_t fail_in; /* the nth allocation from now on finds no memory; 0: none */
	struct iog_sim *sim;
	struct iog_tablemem *mem;
	struct iog_domain_config config;
	struct iog_domain *domain;
	struct iog_device *device;
};

static const struct iog_platform *host_of(const struct world *world)
{
	return iog_posix_platform(world->posix);
}

static bool no_memory(struct world *world)
{
	uint64_t left = atomic_load(&world->fail_in);

	while (left && !atomic_compare_exchange_weak(&world->fail_in, &left, left - 1))
		;
	return left == 1;
}

static void *pages_alloc(void *ctx, size_t size)
{
	return no_memory(ctx) ? NULL : host_of(ctx)->pages_alloc(host_of(ctx)->ctx, size);
}

static void pages_free(void *ctx, void *pages, size_t size)
{
	host_of(ctx)->pages_free(host_of(ctx)->ctx, pages, size);
}

static void *object_alloc(void *ctx, size_t size)
{
	return no_memory(ctx) ? NULL : host_of(ctx)->object_alloc(host_of(ctx)->ctx, size);
}

static void object_free(void *ctx, void *object, size_t size)
{
	host_of(ctx)->object_free(host_of(ctx)->ctx, object, size);
}

static int unit_add(struct iog_unit *unit, uint32_t id, const struct iog_pgtable_root *root)
{
	struct iog_unit *inner = ((struct world *)unit)->inner;

	return inner->ops->domain_add(inner, id, root);
}

static int unit_remove(struct iog_unit *unit, uint32_t id)
{
	struct iog_unit *inner = ((struct world *)unit)->inner;

	return inner->ops->domain_remove(inner, id);
}

static int unit_set(struct iog_unit *unit, uint32_t device, enum iog_domain_type type, uint32_t id)
{
	struct iog_unit *inner = ((struct world *)unit)->inner;

	return inner->ops->device_set(inner, device, type, id);
}

static int unit_invalidate(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather)
{
	struct world *world = (struct world *)unit;
	int error = atomic_load(&world->fail);

	atomic_fetch_add(&world->invalidations, 1);
	return error ? error : world->inner->ops->invalidate(world->inner, id, gather);
}

static const struct iog_unit_ops unit_ops = {
	.domain_add = unit_add,
	.domain_remove = unit_remove,
	.device_set = unit_set,
	.invalidate = unit_invalidate,
};

static void world_begin(struct world *world, enum iog_inval_mode mode, const struct iog_policy *fallback)
{
	const struct iog_posix_config posix = { .limit = GIB };
	const struct iog_sim_config sim = { .flags = IOG_SIM_NO_ORACLE };
	const struct iog_tablemem_config mem = { .lanes = LANES };

	memset(world, 0, sizeof(*world));
	assert_int_equal(iog_posix_create(&posix, &world->posix), 0);
	world->platform = *host_of(world);
	world->platform.ctx = world;
	world->platform.pages_alloc = pages_alloc;
	world->platform.pages_free = pages_free;
	world->platform.object_alloc = object_alloc;
	world->platform.object_free = object_free;
	/* These look at no ctx of ours. */
	world->platform.lanes_barrier = NULL;
	world->platform.relax = NULL;
	/* Invalidations are counted: none to measure. */
	world->platform.now_ns = NULL;
	world->platform.cache_clean = NULL;
	assert_int_equal(iog_sim_create(&world->platform, &sim, &world->sim), 0);
	world->inner = iog_sim_unit(world->sim);
	world->unit.ops = &unit_ops;
	world->unit.platform = &world->platform;
	world->unit.domain_ids = 8;
	assert_int_equal(iog_unit_init(&world->unit), 0);
	assert_int_equal(iog_tablemem_create(&world->platform, &mem, &world->mem), 0);
	world->config = (struct iog_domain_config){
		.platform = &world->platform,
		.pgtable = { .ops = &iog_vtdss_counted, .tablemem = world->mem, .trim_batch = 1 },
		.policy = &iog_policy_identity,
		.fallback = fallback,
		.identity_last = LAST,
		.mode = mode,
		.deferred_entries = 16,
	};
}

static void world_attach(struct world *world)
{
	const struct iog_device_config device = { .platform = &world->platform, .unit = &world->unit, .id = DEVICE };

	assert_int_equal(iog_domain_create(&world->config, &world->domain), 0);
	assert_int_equal(iog_device_create(&device, &world->device), 0);
	assert_int_equal(iog_domain_attach(world->domain, world->device), 0);
}

static void world_end(struct world *world)
{
	struct iog_posix_stats stats;

	if (world->domain) {
		assert_true(iog_pgtable_is_valid(iog_domain_pgtable(world->domain)));
		assert_int_equal(iog_device_destroy(world->device), 0);
		assert_int_equal(iog_domain_destroy(world->domain), 0);
	}
	assert_int_equal(iog_tablemem_destroy(world->mem), 0);
	assert_int_equal(iog_unit_fini(&world->unit), 0);
	iog_sim_destroy(world->sim);
	iog_posix_stats(world->posix, &stats);
	assert_int_equal(stats.object_bytes, 0);
	assert_int_equal(stats.page_bytes, 0);
	iog_posix_destroy(world->posix);
}

static struct iog_domain_stats stats_of(struct world *world)
{
	struct iog_domain_stats stats;

	iog_domain_stats(world->domain, &stats);
	return stats;
}

static int try_map(struct world *world, iog_lane_t lane, uint64_t paddr, uint64_t size, uint32_t prot, uint64_t limit, uint64_t *iova)
{
	return world->domain->policy->map(&world->domain->lanes[lane], paddr, size, prot, limit, iova);
}

static uint64_t map(struct world *world, iog_lane_t lane, uint64_t paddr, uint64_t size, uint32_t prot)
{
	uint64_t iova = 1;

	assert_int_equal(try_map(world, lane, paddr, size, prot, NO_LIMIT, &iova), 0);
	assert_true(iova == paddr || iova > LAST);
	return iova;
}

static int unmap(struct world *world, iog_lane_t lane, uint64_t iova, uint64_t size)
{
	return world->domain->policy->unmap(&world->domain->lanes[lane], iova, size);
}

static bool lands(struct world *world, uint64_t iova, uint32_t prot, uint64_t paddr)
{
	iog_paddr_t at;

	if (iog_sim_device_translate(world->sim, DEVICE, iova + 5, prot, &at))
		return false;
	assert_true(at == paddr + 5);
	return true;
}

/* Nothing is mapped, or waits, and every table has gone. */
static void settled(struct world *world)
{
	struct iog_domain_stats stats;

	assert_int_equal(iog_domain_trim(world->domain, 0), 0);
	for (uint32_t lane = 1; lane < LANES; lane++)
		assert_int_equal(iog_domain_trim(world->domain, lane), 0);
	stats = stats_of(world);
	assert_int_equal(stats.deferred, 0);
	assert_int_equal(stats.quarantined, 0);
	assert_int_equal(stats.iova.live_bytes, 0);
	for (uint32_t level = 0; level < 3; level++)
		assert_int_equal(stats.pgtable.tables[level], 0);
}

/* ---- one thread ---- */

static void strict(void **state)
{
	(void)state;
	for (size_t f = 0; f < FALLBACKS; f++) {
		uint64_t at = 3 * GIB - 2 * PAGE, other, invalidations;
		struct world world;

		world_begin(&world, IOG_INVAL_STRICT, fallbacks[f]);
		world_attach(&world);
		assert_true(map(&world, 0, at, 4 * PAGE, RW) == at);
		assert_true(lands(&world, at + 3 * PAGE, RW, at + 3 * PAGE));
		/* A second user, of a part, by another lane; another permission lives elsewhere. */
		assert_true(map(&world, 1, at + PAGE, PAGE, RW) == at + PAGE);
		other = map(&world, 1, at + PAGE, PAGE, R);
		assert_true(other > LAST && lands(&world, other, R, at + PAGE) && !lands(&world, other, W, 0));
		assert_int_equal(stats_of(&world).identity_maps, 2);
		assert_int_equal(stats_of(&world).fallback_maps, 1);
		assert_int_equal(unmap(&world, 2, at, 4 * PAGE), 0);
		assert_true(!lands(&world, at, R, 0) && !lands(&world, at + 2 * PAGE, R, 0) && lands(&world, at + PAGE, RW, at + PAGE));
		invalidations = atomic_load(&world.invalidations);
		assert_true(map(&world, 0, at + PAGE, PAGE, RW) == at + PAGE);
		assert_int_equal(unmap(&world, 1, at + PAGE, PAGE), 0);
		/* Not the last: nothing to invalidate. */
		assert_int_equal(atomic_load(&world.invalidations), invalidations);
		assert_int_equal(unmap(&world, 0, at + PAGE, PAGE), 0);
		assert_int_equal(atomic_load(&world.invalidations), invalidations + 1);
		assert_false(lands(&world, at + PAGE, R, 0));
		assert_int_equal(unmap(&world, 0, at + PAGE, PAGE), -IOG_ENOENT);
		/* Forgotten: any permission is to be had. */
		assert_true(map(&world, 0, at + PAGE, PAGE, R) == at + PAGE);
		assert_true(lands(&world, at + PAGE, R, at + PAGE) && !lands(&world, at + PAGE, W, 0));
		assert_int_equal(unmap(&world, 0, at, 2 * PAGE), -IOG_ENOENT);
		assert_int_equal(unmap(&world, 0, at + PAGE, PAGE), 0);
		assert_int_equal(unmap(&world, 0, other, PAGE), 0);
		settled(&world);
		world_end(&world);
	}
}

static void deferred(void **state)
{
	(void)state;
	for (size_t f = 0; f < FALLBACKS; f++) {
		uint64_t at = 5 * GIB, other;
		struct world world;

		world_begin(&world, IOG_INVAL_DEFERRED, fallbacks[f]);
		world_attach(&world);
		assert_true(map(&world, 0, at, 2 * PAGE, RW) == at);
		assert_true(lands(&world, at, RW, at));
		assert_int_equal(unmap(&world, 0, at, 2 * PAGE), 0);
		assert_int_equal(stats_of(&world).deferred, 1);
		assert_int_equal(atomic_load(&world.invalidations), 0);
		/* Stale: only the same permission may have it back; the unit remembers that one. */
		other = map(&world, 1, at, PAGE, R);
		assert_true(other > LAST);
		assert_true(map(&world, 1, at, 2 * PAGE, RW) == at && lands(&world, at, RW, at));
		assert_int_equal(unmap(&world, 1, at + PAGE, PAGE), 0);
		/* The flush of lane 0 is not that of lane 1, whose page it is now. */
		assert_int_equal(iog_domain_flush(world.domain, 0), 0);
		assert_int_equal(unmap(&world, 3, map(&world, 3, at + PAGE, PAGE, W), PAGE), 0);
		assert_int_equal(stats_of(&world).fallback_maps, 2);
		assert_true(lands(&world, at, RW, at));
		assert_int_equal(iog_domain_flush(world.domain, 1), 0);
		assert_true(map(&world, 2, at + PAGE, PAGE, W) == at + PAGE);
		assert_true(!lands(&world, at + PAGE, R, 0) && lands(&world, at + PAGE, W, at + PAGE));
		assert_int_equal(unmap(&world, 2, at, PAGE), 0);
		assert_int_equal(unmap(&world, 2, at + PAGE, PAGE), 0);
		assert_int_equal(unmap(&world, 3, other, PAGE), 0);
		/* Lane 3 takes over what waits on the others. */
		assert_int_equal(iog_domain_trim(world.domain, 3), 0);
		assert_int_equal(stats_of(&world).deferred, 0);
		assert_true(map(&world, 3, at, 2 * PAGE, R) == at);
		assert_int_equal(unmap(&world, 3, at, 2 * PAGE), 0);
		/* As many as may wait, and a flush. */
		for (uint32_t i = 1; i <= 40; i++) {
			assert_true(map(&world, 0, at + 8 * PAGE * i, PAGE, RW) == at + 8 * PAGE * i);
			assert_int_equal(unmap(&world, 0, at + 8 * PAGE * i, PAGE), 0);
			assert_true(stats_of(&world).deferred <= 17);
		}
		assert_true(stats_of(&world).flushes >= 4);
		settled(&world);
		world_end(&world);
	}
}

/*
 * More waits than one flush gives back. A page of those that are left is revived and unmapped again: what is then given back of its former life does not make it free, because hardware
 * remembers the later one.
 */
static void given_back_late(void **state)
{
	const uint32_t nr = 200;

	(void)state;
	for (size_t f = 0; f < FALLBACKS; f++) {
		uint64_t at = 5 * GIB, last = at + 8 * PAGE * nr, flushes;
		struct world world;

		world_begin(&world, IOG_INVAL_DEFERRED, fallbacks[f]);
		world.config.deferred_entries = 1000;
		world_attach(&world);
		for (uint32_t i = 1; i <= nr; i++)
			assert_true(map(&world, 0, at + 8 * PAGE * i, PAGE, RW) == at + 8 * PAGE * i);
		for (uint32_t i = 1; i <= nr; i++)
			assert_int_equal(unmap(&world, 0, at + 8 * PAGE * i, PAGE), 0);
		assert_int_equal(iog_domain_tick(world.domain, 0, 1000), 0);
		flushes = stats_of(&world).flushes;
		assert_int_equal(flushes, 1);
		assert_int_equal(stats_of(&world).deferred, nr - 64);
		assert_true(map(&world, 0, last, PAGE, RW) == last && lands(&world, last, RW, last));
		assert_int_equal(unmap(&world, 0, last, PAGE), 0);
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(iog_domain_tick(world.domain, 0, 1001), 0);
		assert_int_equal(stats_of(&world).deferred, 1);
		assert_int_equal(stats_of(&world).flushes, flushes);
		assert_true(map(&world, 1, last, PAGE, R) != last);
		assert_int_equal(iog_domain_flush(world.domain, 0), 0);
		assert_true(map(&world, 1, last, PAGE, R) == last);
		world_end(&world);
	}
}

/* ---- held: a reference for each user of a page ---- */

static _Atomic int64_t references; /* pages */

static void reference_taken(void *ctx, iog_paddr_t paddr, uint64_t size)
{
	(void)ctx;
	(void)paddr;
	atomic_fetch_add(&references, (int64_t)(size / PAGE));
}

static void reference_given(void *ctx, iog_paddr_t paddr, uint64_t size)
{
	(void)ctx;
	(void)paddr;
	atomic_fetch_sub(&references, (int64_t)(size / PAGE));
}

static const struct iog_hold_ops references_ops = { reference_taken, reference_given };

static uint64_t dma_map(struct world *world, iog_lane_t lane, uint64_t paddr, uint64_t size, enum iog_dma_dir dir)
{
	iog_iova_t iova = 1;

	assert_int_equal(iog_dma_map(world->device, lane, paddr, size, dir, 0, &iova), 0);
	assert_true(iova == paddr || iova > LAST);
	return iova;
}

static int dma_unmap(struct world *world, iog_lane_t lane, uint64_t iova, uint64_t size, enum iog_dma_dir dir)
{
	return iog_dma_unmap(world->device, lane, iova, size, dir, 0);
}

/* Users come and go; what one has unmapped is let go by the flush, whoever else has the page. */
static void held(void **state)
{
	(void)state;
	for (size_t f = 0; f < FALLBACKS; f++) {
		uint64_t at = 3 * GIB - PAGE, other;
		struct world world;

		atomic_store(&references, 0);
		world_begin(&world, IOG_INVAL_HELD, fallbacks[f]);
		world.config.hold = &references_ops;
		world_attach(&world);
		assert_true(dma_map(&world, 0, at, 3 * PAGE, IOG_DMA_BIDIRECTIONAL) == at);
		assert_true(dma_map(&world, 1, at + PAGE, PAGE, IOG_DMA_BIDIRECTIONAL) == at + PAGE);
		assert_int_equal(references, 4);
		assert_true(lands(&world, at, RW, at) && lands(&world, at + PAGE, RW, at + PAGE));
		assert_int_equal(dma_unmap(&world, 0, at, 3 * PAGE, IOG_DMA_BIDIRECTIONAL), 0);
		/* Hardware remembers the first, and may reach the second. */
		assert_true(lands(&world, at, RW, at) && lands(&world, at + PAGE, RW, at + PAGE));
		assert_int_equal(references, 4);
		assert_int_equal(stats_of(&world).held_bytes, 3 * PAGE);
		/* The first is revived before it is forgotten: that is another reference. Another permission is the fallback's. */
		assert_true(dma_map(&world, 2, at, PAGE, IOG_DMA_BIDIRECTIONAL) == at);
		other = dma_map(&world, 2, at + 2 * PAGE, PAGE, IOG_DMA_TO_DEVICE);
		assert_true(other > LAST);
		assert_int_equal(references, 6);
		assert_int_equal(iog_domain_flush(world.domain, 0), 0);
		assert_int_equal(references, 3);
		assert_true(lands(&world, at, RW, at) && lands(&world, at + PAGE, RW, at + PAGE) && !lands(&world, at + 2 * PAGE, R, 0));
		assert_int_equal(dma_unmap(&world, 2, other, PAGE, IOG_DMA_TO_DEVICE), 0);
		assert_int_equal(dma_unmap(&world, 3, at, PAGE, IOG_DMA_BIDIRECTIONAL), 0);
		assert_int_equal(dma_unmap(&world, 3, at + PAGE, PAGE, IOG_DMA_BIDIRECTIONAL), 0);
		assert_int_equal(dma_unmap(&world, 3, at + PAGE, PAGE, IOG_DMA_BIDIRECTIONAL), -IOG_ENOENT);
		assert_true(lands(&world, at, RW, at));
		assert_int_equal(references, 3);
		assert_int_equal(iog_domain_flush(world.domain, 3), 0);
		assert_false(lands(&world, at, R, 0) || lands(&world, at + PAGE, R, 0));
		assert_int_equal(references, 1);
		settled(&world);
		assert_int_equal(references, 0);
		world_end(&world);
	}
}

/* A unit does not answer while one of two users unmaps: his reference comes back when it does, and the other's is his own. */
static void held_unit_fails(void **state)
{
	static const enum iog_inval_mode modes[] = { IOG_INVAL_STRICT, IOG_INVAL_DEFERRED, IOG_INVAL_HELD };

	(void)state;
	for (uint32_t m = 0; m < 3; m++) {
		uint64_t at = 3 * GIB;
		struct world world;
		bool waits = modes[m] != IOG_INVAL_DEFERRED;

		atomic_store(&references, 0);
		world_begin(&world, modes[m], &iog_policy_tree);
		world.config.hold = &references_ops;
		world_attach(&world);
		assert_true(dma_map(&world, 0, at, 3 * PAGE, IOG_DMA_BIDIRECTIONAL) == at);
		assert_true(dma_map(&world, 1, at + PAGE, PAGE, IOG_DMA_BIDIRECTIONAL) == at + PAGE);
		atomic_store(&world.fail, -IOG_ETIMEDOUT);
		assert_int_equal(dma_unmap(&world, 0, at, 3 * PAGE, IOG_DMA_BIDIRECTIONAL), modes[m] == IOG_INVAL_STRICT ? -IOG_ETIMEDOUT : 0);
		assert_int_equal(references, waits ? 4 : 1);
		assert_int_equal(iog_domain_flush(world.domain, 0), -IOG_ETIMEDOUT);
		assert_int_equal(references, waits ? 4 : 1);
		atomic_store(&world.fail, 0);
		assert_int_equal(iog_domain_flush(world.domain, 0), 0);
		assert_int_equal(references, 1);
		assert_true(lands(&world, at + PAGE, RW, at + PAGE));
		assert_int_equal(dma_unmap(&world, 1, at + PAGE, PAGE, IOG_DMA_BIDIRECTIONAL), 0);
		settled(&world);
		assert_int_equal(references, 0);
		world_end(&world);
	}
}

/* What is not 1:1 whatever its entry. */
static void elsewhere(void **state)
{
	static const struct iog_range reserved[] = { { 0xfee00000, 0xfeefffff }, { 40 * GIB, 41 * GIB - 1 } };

	(void)state;
	for (size_t f = 0; f < FALLBACKS; f++) {
		struct world world;
		uint64_t iova;

		world_begin(&world, IOG_INVAL_STRICT, fallbacks[f]);
		world.config.reserved = reserved;
		world.config.nr_reserved = 2;
		world.config.identity_low = (struct iog_range){ 16 * MIB, 32 * MIB - 1 };
		world_attach(&world);
		/* Pools serve the beginning of their aperture, which is not what this is about. */
		if (fallbacks[f] == &iog_policy_pooled) {
			world_end(&world);
			continue;
		}
		assert_true(map(&world, 0, 0xfee00000 - PAGE, PAGE, RW) == 0xfee00000 - PAGE);
		iova = 0;
		assert_int_equal(try_map(&world, 0, 0xfee00000 - PAGE, 2 * PAGE, RW, NO_LIMIT, &iova), 0);
		assert_true(iova > LAST);
		assert_int_equal(unmap(&world, 0, iova, 2 * PAGE), 0);
		assert_int_equal(unmap(&world, 0, 0xfee00000 - PAGE, PAGE), 0);
		/* The page at 0 is no address. */
		assert_int_equal(try_map(&world, 0, 0, PAGE, RW, NO_LIMIT, &iova), 0);
		assert_true(iova > LAST && lands(&world, iova, RW, 0));
		assert_int_equal(unmap(&world, 0, iova, PAGE), 0);
		/* Memory behind the low range, and a device that reaches no further than it. */
		assert_int_equal(try_map(&world, 0, 20 * MIB, PAGE, RW, NO_LIMIT, &iova), 0);
		assert_true(iova != 20 * MIB && lands(&world, iova, RW, 20 * MIB));
		assert_int_equal(unmap(&world, 0, iova, PAGE), 0);
		assert_int_equal(try_map(&world, 0, 8 * GIB, PAGE, RW, 32 * MIB - 1, &iova), 0);
		assert_true(iova >= 16 * MIB && iova < 32 * MIB && lands(&world, iova, RW, 8 * GIB));
		assert_int_equal(unmap(&world, 0, iova, PAGE), 0);
		assert_int_equal(try_map(&world, 0, 32 * MIB - PAGE, 2 * PAGE, RW, NO_LIMIT, &iova), 0);
		assert_true(iova != 32 * MIB - PAGE);
		assert_int_equal(unmap(&world, 0, iova, 2 * PAGE), 0);
		assert_int_equal(try_map(&world, 0, 32 * MIB, PAGE, RW, NO_LIMIT, &iova), 0);
		assert_true(iova == 32 * MIB);
		assert_int_equal(unmap(&world, 0, iova, PAGE), 0);
		/* Beyond memory. */
		assert_int_equal(try_map(&world, 0, LAST + 1, PAGE, RW, NO_LIMIT, &iova), 0);
		assert_true(iova > LAST || (iova >= 16 * MIB && iova < 32 * MIB));
		assert_int_equal(unmap(&world, 0, iova, PAGE), 0);
		/* Runs are the fallback's. */
		assert_int_equal(world.domain->policy->alloc(&world.domain->lanes[0], 8 * PAGE, NO_LIMIT, &iova), 0);
		assert_true(iova > LAST || (iova >= 16 * MIB && iova < 32 * MIB));
		assert_int_equal(world.domain->policy->fill(&world.domain->lanes[0], iova + PAGE, GIB, 2 * PAGE, R), 0);
		assert_true(lands(&world, iova + 2 * PAGE, R, GIB + PAGE));
		assert_int_equal(world.domain->policy->clear(&world.domain->lanes[0], iova + PAGE, PAGE), 0);
		assert_false(lands(&world, iova + PAGE, R, 0));
		assert_int_equal(world.domain->policy->free(&world.domain->lanes[0], iova, 8 * PAGE), 0);
		settled(&world);
		world_end(&world);
	}
}

/* A unit that does not answer: what was unmapped stays stale until it has. */
static void unit_fails(void **state)
{
	static const enum iog_inval_mode modes[] = { IOG_INVAL_STRICT, IOG_INVAL_DEFERRED };

	(void)state;
	for (uint32_t m = 0; m < 2; m++) {
		uint64_t at = 3 * GIB - PAGE;
		struct world world;
		int error;

		world_begin(&world, modes[m], &iog_policy_tree);
		world_attach(&world);
		assert_true(map(&world, 0, at, 2 * PAGE, RW) == at);
		assert_true(lands(&world, at, RW, at));
		atomic_store(&world.fail, -IOG_ETIMEDOUT);
		error = unmap(&world, 0, at, 2 * PAGE);
		assert_int_equal(error, modes[m] ? 0 : -IOG_ETIMEDOUT);
		assert_int_equal(stats_of(&world).quarantined, modes[m] ? 0 : 2 * PAGE);
		assert_int_equal(iog_domain_flush(world.domain, 0), -IOG_ETIMEDOUT);
		assert_int_equal(stats_of(&world).deferred, 1);
		assert_true(map(&world, 1, at, PAGE, R) > LAST);
		/* The same permission is what the unit remembers; it is used and unmapped again. */
		assert_true(map(&world, 0, at, PAGE, RW) == at);
		error = unmap(&world, 0, at, PAGE);
		assert_int_equal(error, modes[m] ? 0 : -IOG_ETIMEDOUT);
		/* A mapping that is taken back across two tables fails as it would have anyway. */
		atomic_store(&world.fail, 0);
		assert_true(map(&world, 1, at + 2 * PAGE, PAGE, RW) == at + 2 * PAGE);
		assert_true(map(&world, 1, at - PAGE, 4 * PAGE, R) > LAST);
		assert_int_equal(iog_domain_flush(world.domain, 0), 0);
		assert_int_equal(stats_of(&world).quarantined, 0);
		assert_true(map(&world, 1, at, 2 * PAGE, R) == at);
		assert_true(lands(&world, at, R, at) && !lands(&world, at, W, 0));
		world_end(&world);
	}
}

/* The queue is full of what could not be flushed: nothing more is unmapped, and nothing lost. */
static void queue_full(void **state)
{
	struct world world;
	uint64_t at = GIB;

	(void)state;
	world_begin(&world, IOG_INVAL_STRICT, &iog_policy_tree);
	world_attach(&world);
	for (uint32_t i = 0; i < 20; i++)
		assert_true(map(&world, 0, at + i * PAGE, PAGE, RW) == at + i * PAGE);
	atomic_store(&world.fail, -IOG_EIO);
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(unmap(&world, 0, at + i * PAGE, PAGE), i < 16 ? -IOG_EIO : -IOG_EAGAIN);
	assert_int_equal(stats_of(&world).quarantined, 16 * PAGE);
	atomic_store(&world.fail, 0);
	for (uint32_t i = 16; i < 20; i++)
		assert_int_equal(unmap(&world, 0, at + i * PAGE, PAGE), 0);
	settled(&world);
	world_end(&world);
}

static void refused(void **state)
{
	struct iog_pgtable_ops ops = iog_vtdss_counted;
	struct iog_domain *domain;
	struct world world;

	(void)state;
	world_begin(&world, IOG_INVAL_STRICT, &iog_policy_tree);
	ops.identity_users = 0;
	world.config.pgtable.ops = &ops;
	assert_int_equal(iog_domain_create(&world.config, &domain), -IOG_EOPNOTSUPP);
	world.config.pgtable.ops = &iog_vtdss_counted;
	world.config.fallback = &iog_policy_identity;
	assert_int_equal(iog_domain_create(&world.config, &domain), -IOG_EINVAL);
	world.config.fallback = &iog_policy_tree;
	world.config.identity_low = (struct iog_range){ 16 * GIB, 17 * GIB - 1 };
	assert_int_equal(iog_domain_create(&world.config, &domain), -IOG_EINVAL);
	world_end(&world);
}

static void nth_failure(void **state)
{
	(void)state;
	for (size_t f = 0; f < FALLBACKS; f++) {
		for (uint64_t n = 1, done = 0; !done; n++) {
			struct world world;

			world_begin(&world, IOG_INVAL_DEFERRED, fallbacks[f]);
			atomic_store(&world.fail_in, n);
			if (iog_domain_create(&world.config, &world.domain)) {
				world.domain = NULL;
			} else {
				atomic_store(&world.fail_in, 0);
				done = 1;
				assert_int_equal(iog_domain_destroy(world.domain), 0);
				world.domain = NULL;
			}
			world_end(&world);
		}
		for (uint64_t n = 1, done = 0; !done; n++) {
			struct world world;
			uint64_t iova;
			int error;

			world_begin(&world, IOG_INVAL_DEFERRED, fallbacks[f]);
			world_attach(&world);
			atomic_store(&world.fail_in, n);
			/* Where tables cannot be had the fallback may have its own. */
			error = try_map(&world, 0, GIB - PAGE, 2 * PAGE, RW, NO_LIMIT, &iova);
			done = !error && iova == GIB - PAGE && atomic_load(&world.fail_in) != 0;
			atomic_store(&world.fail_in, 0);
			assert_true(!error || error == -IOG_ENOMEM);
			if (!error)
				assert_int_equal(unmap(&world, 0, iova, 2 * PAGE), 0);
			settled(&world);
			world_end(&world);
		}
	}
}

/* ---- threads ---- */

#define PAGES 8
#define HELD 4

struct hold {
	_Atomic uint32_t readers, writers;
	_Atomic uint64_t begun;
};

struct shared {
	struct world world;
	struct hold hold[PAGES];
	bool deferred;
	_Atomic bool wrong;
	_Atomic uint64_t identity, fallback;
	uint64_t ops;
};

struct worker {
	struct shared *shared;
	uint32_t lane;
	uint64_t seed;
	struct {
		uint64_t iova;
		uint32_t page, n, prot;
	} held[HELD];
	uint32_t nr_held;
	pthread_t thread;
};

static uint64_t below(struct worker *w, uint64_t n)
{
	return kit_random(&w->seed) % n;
}

static uint64_t paddr_of(uint32_t page)
{
	return GIB - 3 * PAGE + page * PAGE;
}

static void hold(struct shared *s, uint32_t page, uint32_t n, uint32_t prot, bool begins)
{
	for (; n; n--, page++) {
		struct hold *h = &s->hold[page];
		uint32_t by = begins ? 1 : UINT32_MAX;

		if (prot & R)
			atomic_fetch_add(&h->readers, by);
		if (prot & W)
			atomic_fetch_add(&h->writers, by);
		if (begins)
			atomic_fetch_add(&h->begun, 1);
	}
}

/* Strict only: in deferred mode what has been let go may still be reached. */
static void trespass(struct worker *w)
{
	struct shared *s = w->shared;
	uint32_t page = (uint32_t)below(w, PAGES), prot = below(w, 2) ? R : W;
	struct hold *h = &s->hold[page];
	uint64_t begun = atomic_load(&h->begun);
	uint32_t holders = prot == R ? atomic_load(&h->readers) : atomic_load(&h->writers);

	if (!iog_sim_device_translate(s->world.sim, DEVICE, paddr_of(page), prot, NULL) && !holders && atomic_load(&h->begun) == begun && !s->deferred)
		atomic_store(&s->wrong, true);
}

static void must_land(struct worker *w, uint32_t held)
{
	uint32_t k = (uint32_t)below(w, w->held[held].n);
	iog_paddr_t at;

	if (iog_sim_device_translate(w->shared->world.sim, DEVICE, w->held[held].iova + k * PAGE, w->held[held].prot, &at) ||
	    at != paddr_of(w->held[held].page + k))
		atomic_store(&w->shared->wrong, true);
}

static void *work(void *arg)
{
	static const uint32_t prots[] = { R, W, RW, RW };
	struct worker *w = arg;
	struct shared *s = w->shared;
	const struct iog_policy *policy = s->world.domain->policy;
	struct domain_lane *lane = &s->world.domain->lanes[w->lane];

	for (uint64_t n = 0; (n < s->ops || w->nr_held) && !atomic_load(&s->wrong); n++) {
		uint32_t i = w->nr_held;

		if (n < s->ops && i < HELD && below(w, 2)) {
			w->held[i].page = (uint32_t)below(w, PAGES - 2);
			w->held[i].n = below(w, 3) ? 1 : 3;
			w->held[i].prot = prots[below(w, 4)];
			hold(s, w->held[i].page, w->held[i].n, w->held[i].prot, true);
			if (policy->map(lane, paddr_of(w->held[i].page), w->held[i].n * PAGE, w->held[i].prot, NO_LIMIT, &w->held[i].iova)) {
				atomic_store(&s->wrong, true);
				break;
			}
			/* What went to the fallback does not hold the page's own address; what was taken back of it has been invalidated. */
			if (w->held[i].iova > LAST) {
				hold(s, w->held[i].page, w->held[i].n, w->held[i].prot, false);
				atomic_fetch_add(&s->fallback, 1);
			} else {
				atomic_fetch_add(&s->identity, 1);
			}
			w->nr_held++;
			must_land(w, i);
		} else if (i) {
			uint32_t pick = (uint32_t)below(w, i);

			must_land(w, pick);
			if (policy->unmap(lane, w->held[pick].iova, w->held[pick].n * PAGE))
				atomic_store(&s->wrong, true);
			if (w->held[pick].iova <= LAST)
				hold(s, w->held[pick].page, w->held[pick].n, w->held[pick].prot, false);
			w->held[pick] = w->held[--w->nr_held];
		}
		trespass(w);
		if (s->deferred && !below(w, 64) && iog_domain_flush(s->world.domain, w->lane))
			atomic_store(&s->wrong, true);
		if (s->deferred && !below(w, 512) && iog_domain_trim(s->world.domain, w->lane))
			atomic_store(&s->wrong, true);
	}
	return NULL;
}

static void threads(void **state)
{
	uint64_t ops = kit_scaled(40000);

	(void)state;
	for (size_t f = 0; f < FALLBACKS; f++) {
		for (uint32_t mode = 0; mode < 2; mode++) {
			static struct shared s;
			struct worker worker[LANES];

			memset(&s, 0, sizeof(s));
			world_begin(&s.world, mode ? IOG_INVAL_DEFERRED : IOG_INVAL_STRICT, fallbacks[f]);
			world_attach(&s.world);
			s.deferred = mode;
			s.ops = ops / LANES;
			memset(worker, 0, sizeof(worker));
			for (uint32_t i = 0; i < LANES; i++) {
				worker[i].shared = &s;
				worker[i].lane = i;
				worker[i].seed = seed + i * UINT64_C(0x1234567);
				assert_int_equal(pthread_create(&worker[i].thread, NULL, work, &worker[i]), 0);
			}
			for (uint32_t i = 0; i < LANES; i++)
				pthread_join(worker[i].thread, NULL);
			assert_false(atomic_load(&s.wrong));
			assert_int_equal(stats_of(&s.world).identity_maps, atomic_load(&s.identity));
			assert_int_equal(stats_of(&s.world).fallback_maps, atomic_load(&s.fallback));
			settled(&s.world);
			for (uint32_t page = 0; page < PAGES; page++)
				assert_true(map(&s.world, 0, paddr_of(page), PAGE, page % 2 ? R : W) == paddr_of(page));
			world_end(&s.world);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strict),
		cmocka_unit_test(deferred),
		cmocka_unit_test(given_back_late),
		cmocka_unit_test(held),
		cmocka_unit_test(held_unit_fails),
		cmocka_unit_test(elsewhere),
		cmocka_unit_test(unit_fails),
		cmocka_unit_test(queue_full),
		cmocka_unit_test(refused),
		cmocka_unit_test(nth_failure),
		cmocka_unit_test(threads),
	};

	seed = kit_seed("identity policy");
	return cmocka_run_group_tests_name("identity policy", tests, NULL, NULL);
}

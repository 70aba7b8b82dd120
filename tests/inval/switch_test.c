/* SPDX-License-Identifier: MIT */
/*
 * Modes are switched while lanes map and unmap, one another's mappings too, on slow hardware, with a device that has a TLB of its own: the judge watches every access, and every page that is
 * let go. With hardware that misbehaves meanwhile, and without. For the thread sanitizer as much as for itself.
 *
 * A page is somebody's while its count is 1. It may be mapped again once that is 0, which in strict and held mode is when no device reaches it any more: the judge is asked at that moment.
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "dma/domain.h"
#include "relax.h"
#include "rig.h"

#define LANES 3
#define PAGES 96 /* of each lane */
#define LIVE 12
#define PARCELS 4

struct world {
	struct iog_posix *posix;
	struct iog_platform platform;
	struct iog_sim *sim;
	struct iog_sim_domain *judged;
	struct iog_tablemem *mem;
	struct iog_domain *domain;
	struct iog_device *devices[2];
	unsigned char *memory;
	iog_paddr_t paddr;
	_Atomic int count[LANES * PAGES];
	_Atomic uint64_t holds, releases, calls, called, errors;
	_Atomic uint32_t violations, wrong;
	bool reusable; /* what is let go is somebody else's at once: not in deferred mode */
	bool faulty;
	_Atomic uint32_t ready, running;
	pthread_mutex_t lock;
	struct live {
		iog_iova_t iova;
		uint64_t size; /* 0: none */
		iog_paddr_t paddr;
	} parcels[PARCELS];
};

struct worker {
	struct world *world;
	iog_lane_t lane;
	uint64_t random, rounds;
	struct live live[LIVE];
};

static void wrong(struct world *world, const char *what, int line)
{
	if (!atomic_fetch_add(&world->wrong, 1))
		print_error("not so: %s (line %d)\n", what, line);
}

#define must(world, claim)                               \
	do {                                             \
		if (!(claim))                            \
			wrong(world, #claim, __LINE__);  \
	} while (0)

static void violation(void *ctx, const struct iog_sim_violation *seen)
{
	struct world *world = ctx;

	if (!atomic_fetch_add(&world->violations, 1))
		print_error("violation %d at 0x%" PRIx64 " (0x%" PRIx64 "): %s\n", (int)seen->kind, seen->iova, seen->paddr, seen->detail);
}

static void hold(void *ctx, iog_paddr_t paddr, uint64_t size)
{
	struct world *world = ctx;

	for (uint64_t page = (paddr - world->paddr) / RIG_PAGE, n = size / RIG_PAGE; n; n--, page++)
		must(world, page < LANES * PAGES && !atomic_exchange(&world->count[page], 1));
	atomic_fetch_add(&world->holds, size / RIG_PAGE);
}

static void release(void *ctx, iog_paddr_t paddr, uint64_t size)
{
	struct world *world = ctx;

	if (world->reusable)
		iog_sim_note_reuse(world->sim, paddr, size);
	for (uint64_t page = (paddr - world->paddr) / RIG_PAGE, n = size / RIG_PAGE; n; n--, page++)
		must(world, page < LANES * PAGES && atomic_exchange(&world->count[page], 0) == 1);
	atomic_fetch_add(&world->releases, size / RIG_PAGE);
}

static const struct iog_hold_ops hold_ops = { hold, release };

static void call_release(void *ctx)
{
	atomic_fetch_add(&((struct world *)ctx)->called, 1);
}

static uint64_t (*host_now_ns)(void *ctx);

/* Who waits for hardware lets others run, also on few processors. */
static uint64_t now_ns(void *ctx)
{
	kit_relax(ctx);
	return host_now_ns(ctx);
}

static void world_create(struct world *world, const struct iog_policy *policy, uint64_t seed)
{
	const struct iog_sim_config config = {
		.wait_ns = 300, .wait_jitter_ns = 700, .range_ns = 50, .domain_ns = 100, .device_ns = 100, .queue_entries = 16, .seed = seed, .violation = violation, .violation_ctx = world,
	};
	const struct iog_tablemem_config mem = { .lanes = LANES + 1 };
	struct iog_domain_config domain = { .lanes = LANES + 1, .policy = policy, .deferred_entries = 24, .held_max = 64 * RIG_PAGE };

	assert_int_equal(iog_posix_create(NULL, &world->posix), 0);
	world->platform = *iog_posix_platform(world->posix);
	host_now_ns = world->platform.now_ns;
	world->platform.now_ns = now_ns;
	assert_int_equal(iog_sim_create(&world->platform, &config, &world->sim), 0);
	iog_sim_observe(world->sim, &world->platform);
	assert_int_equal(iog_tablemem_create(&world->platform, &mem, &world->mem), 0);
	world->memory = world->platform.pages_alloc(world->platform.ctx, 2 * RIG_MIB);
	assert_non_null(world->memory);
	world->paddr = (uint64_t)(uintptr_t)world->memory - world->platform.direct_map_offset;
	domain.platform = &world->platform;
	domain.pgtable.ops = &iog_vtdss_counted;
	domain.pgtable.tablemem = world->mem;
	domain.hold = &hold_ops;
	domain.hold_ctx = world;
	assert_int_equal(iog_domain_create(&domain, &world->domain), 0);
	for (uint32_t n = 0; n < 2; n++) {
		const struct iog_device_config device = { .platform = &world->platform, .unit = iog_sim_unit(world->sim), .id = n, .flags = n ? IOG_DEVICE_ATS : 0 };

		assert_int_equal(iog_device_create(&device, &world->devices[n]), 0);
		if (n)
			assert_int_equal(iog_sim_device_ats(world->sim, n, 64, 0), 0);
		assert_int_equal(iog_domain_attach(world->domain, world->devices[n]), 0);
	}
	world->judged = iog_sim_device_domain(world->sim, 0);
	pthread_mutex_init(&world->lock, NULL);
}

/* Hardware works, lanes have ended: all comes back. */
static void world_destroy(struct world *world)
{
	struct iog_domain_stats stats;
	struct iog_posix_stats left;
	struct iog_sim_stats seen;

	for (uint32_t kind = 0; kind < IOG_SIM_FAULT_KINDS; kind++)
		assert_int_equal(iog_sim_misbehave(world->sim, (enum iog_sim_fault_kind)kind, 0, 0), 0);
	if (iog_device_is_lost(world->devices[1]))
		assert_int_equal(iog_domain_attach(world->domain, world->devices[1]), 0);
	for (iog_lane_t lane = 0; lane <= LANES; lane++)
		assert_int_equal(iog_domain_trim(world->domain, lane), 0);
	for (uint32_t page = 0; page < LANES * PAGES; page++)
		assert_int_equal(world->count[page], 0);
	assert_int_equal(world->holds, world->releases);
	assert_int_equal(world->calls, world->called);
	iog_domain_stats(world->domain, &stats);
	assert_int_equal(stats.bytes_mapped, 0);
	assert_int_equal(stats.quarantined, 0);
	assert_int_equal(stats.held_bytes, 0);
	assert_int_equal(stats.held_entries, 0);
	assert_int_equal(stats.iova.live_bytes, 0);
	assert_int_equal(stats.deferred, 0);
	assert_int_equal(stats.maps, stats.unmaps);
	assert_true(iog_pgtable_is_valid(iog_domain_pgtable(world->domain)));
	iog_sim_stats(world->sim, &seen);
	assert_int_equal(seen.unjudged, 0);
	assert_int_equal(world->violations, 0);
	assert_int_equal(world->wrong, 0);
	print_message("%" PRIu32 " switches, %" PRIu64 " maps, %" PRIu64 " accesses, %" PRIu64 " waits, %" PRIu64 " shared, %" PRIu64 " errors\n", world->domain->mode_changes / 2, stats.maps, seen.reads + seen.writes, seen.wait_commands, seen.shared_waits,
		      world->errors);
	for (uint32_t n = 0; n < 2; n++)
		assert_int_equal(iog_device_destroy(world->devices[n]), 0);
	assert_int_equal(iog_domain_destroy(world->domain), 0);
	assert_int_equal(iog_tablemem_destroy(world->mem), 0);
	world->platform.pages_free(world->platform.ctx, world->memory, 2 * RIG_MIB);
	iog_sim_destroy(world->sim);
	iog_posix_stats(world->posix, &left);
	assert_int_equal(left.page_bytes + left.object_bytes, 0);
	iog_posix_destroy(world->posix);
	pthread_mutex_destroy(&world->lock);
}

static bool is_error(struct world *world, int error)
{
	if (error)
		atomic_fetch_add(&world->errors, 1);
	must(world, !error || (world->faulty && (error == -IOG_ETIMEDOUT || error == -IOG_EIO || error == -IOG_EAGAIN)));
	return error;
}

/* Whether it is gone; if not, it stays as it was. */
static bool unmap(struct worker *worker, struct live *live)
{
	struct world *world = worker->world;
	int error;

	iog_sim_note_unmap(world->judged, live->iova, live->size);
	if (kit_random(&worker->random) % 4) {
		error = iog_dma_unmap(world->devices[0], worker->lane, live->iova, live->size, IOG_DMA_BIDIRECTIONAL, 0);
	} else {
		error = iog_dma_unmap_release(world->devices[0], worker->lane, live->iova, live->size, IOG_DMA_BIDIRECTIONAL, 0, call_release, world);
		if (error != -IOG_EAGAIN)
			atomic_fetch_add(&world->calls, 1);
	}
	(void)is_error(world, error);
	if (error == -IOG_EAGAIN)
		return false;
	live->size = 0;
	return true;
}

static bool is_free(const struct world *world, uint64_t page, uint64_t n)
{
	for (; n; n--, page++)
		if (atomic_load(&world->count[page]))
			return false;
	return true;
}

static void map(struct worker *worker, struct live *live)
{
	struct world *world = worker->world;
	uint64_t n = kit_random(&worker->random) % 3 ? 1 : 1 + kit_random(&worker->random) % 12;
	uint64_t page = worker->lane * PAGES + kit_random(&worker->random) % (PAGES - n);

	if (!is_free(world, page, n))
		return;
	if (is_error(world, iog_dma_map(world->devices[0], worker->lane, world->paddr + page * RIG_PAGE, n * RIG_PAGE, IOG_DMA_BIDIRECTIONAL, 0, &live->iova)))
		return;
	live->paddr = world->paddr + page * RIG_PAGE;
	live->size = n * RIG_PAGE;
	iog_sim_note_map(world->judged, live->iova, live->paddr, live->size, IOG_PROT_READ | IOG_PROT_WRITE);
}

/* Through all that caches translations. One of a mapping that is still whole lands. */
static void use(struct worker *worker, const struct live *live)
{
	struct world *world = worker->world;

	for (uint32_t device = 0; device < 2; device++) {
		iog_paddr_t landed = 0;
		uint64_t at = kit_random(&worker->random) % live->size;
		int error = iog_sim_device_translate(world->sim, device, live->iova + at, IOG_PROT_WRITE, &landed);

		must(world, (!error && landed == live->paddr + at) || (world->faulty && device));
	}
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct world *world = worker->world;

	atomic_fetch_add(&world->ready, 1);
	while (atomic_load(&world->ready) < LANES)
		sched_yield();
	for (uint64_t round = 0; round < worker->rounds && !atomic_load(&world->wrong); round++) {
		struct live *live = &worker->live[kit_random(&worker->random) % LIVE];

		if (!live->size) {
			map(worker, live);
		} else if (kit_random(&worker->random) % 2) {
			use(worker, live);
		} else {
			(void)unmap(worker, live);
		}
		if (!(kit_random(&worker->random) % 8)) {
			struct live *parcel = &world->parcels[kit_random(&worker->random) % PARCELS], mine = *live;

			pthread_mutex_lock(&world->lock);
			*live = *parcel;
			*parcel = mine;
			pthread_mutex_unlock(&world->lock);
		}
		if (!(kit_random(&worker->random) % 64))
			(void)is_error(world, iog_domain_flush(world->domain, worker->lane));
		if (!(kit_random(&worker->random) % 32))
			(void)is_error(world, iog_domain_tick(world->domain, worker->lane, round));
	}
	atomic_fetch_sub(&world->running, 1);
	return NULL;
}

/* Hardware that works again takes what it has refused. */
static void finish(struct worker *worker, struct live *live)
{
	for (uint32_t n = 0; live->size && n < 1000; n++)
		(void)unmap(worker, live);
	assert_int_equal(live->size, 0);
}

static void run(const struct iog_policy *policy, const enum iog_inval_mode *modes, uint32_t nr_modes, bool faulty, uint64_t *random)
{
	static struct world world;
	static struct worker workers[LANES];
	pthread_t threads[LANES];
	bool is_deferred = false;

	memset(&world, 0, sizeof(world));
	memset(workers, 0, sizeof(workers));
	world_create(&world, policy, kit_random(random));
	for (uint32_t n = 0; n < nr_modes; n++)
		is_deferred |= modes[n] == IOG_INVAL_DEFERRED;
	world.reusable = !is_deferred;
	world.faulty = faulty;
	atomic_store(&world.running, LANES);
	for (uint32_t n = 0; n < LANES; n++) {
		workers[n] = (struct worker){ .world = &world, .lane = n, .random = kit_random(random), .rounds = kit_scaled(2500) };
		assert_int_equal(pthread_create(&threads[n], NULL, work, &workers[n]), 0);
	}
	for (uint64_t round = 0; atomic_load(&world.running); round++) {
		(void)is_error(&world, iog_domain_set_mode(world.domain, LANES, modes[kit_random(random) % nr_modes]));
		if (faulty && !(round % 4))
			(void)iog_sim_misbehave(world.sim, (enum iog_sim_fault_kind)(kit_random(random) % IOG_SIM_FAULT_KINDS), kit_random(random) % 16, 1 + kit_random(random) % 3);
		if (iog_device_is_lost(world.devices[1]))
			(void)iog_domain_attach(world.domain, world.devices[1]);
		sched_yield();
	}
	for (uint32_t n = 0; n < LANES; n++)
		assert_int_equal(pthread_join(threads[n], NULL), 0);
	for (uint32_t kind = 0; kind < IOG_SIM_FAULT_KINDS; kind++)
		assert_int_equal(iog_sim_misbehave(world.sim, (enum iog_sim_fault_kind)kind, 0, 0), 0);
	if (iog_device_is_lost(world.devices[1]))
		assert_int_equal(iog_domain_attach(world.domain, world.devices[1]), 0);
	for (uint32_t n = 0; n < LANES; n++)
		for (uint32_t i = 0; i < LIVE; i++)
			finish(&workers[n], &workers[n].live[i]);
	for (uint32_t i = 0; i < PARCELS; i++)
		finish(&workers[0], &world.parcels[i]);
	world_destroy(&world);
}

static const struct iog_policy *const policies[] = { &iog_policy_window, &iog_policy_tree, &iog_policy_magazine, &iog_policy_pooled };
static const enum iog_inval_mode modes[] = { IOG_INVAL_STRICT, IOG_INVAL_HELD, IOG_INVAL_DEFERRED };

/* Nobody ever gets a page that a device still reaches, whichever of the two modes it was unmapped in. */
static void strict_and_held(void **state)
{
	uint64_t random = kit_seed("inval switch");

	(void)state;
	for (uint32_t p = 0; p < 4; p++)
		run(policies[p], modes, 2, false, &random);
}

static void all_modes(void **state)
{
	uint64_t random = kit_seed("inval switch");

	(void)state;
	for (uint32_t p = 0; p < 4; p++)
		run(policies[p], modes, 3, false, &random);
}

static void on_bad_hardware(void **state)
{
	uint64_t random = kit_seed("inval switch");

	(void)state;
	for (uint32_t p = 0; p < 4; p++) {
		run(policies[p], modes, 2, true, &random);
		run(policies[p], modes, 3, true, &random);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(strict_and_held), cmocka_unit_test(all_modes), cmocka_unit_test(on_bad_hardware) };

	return cmocka_run_group_tests_name("inval switch", tests, NULL, NULL);
}

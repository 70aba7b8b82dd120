/* SPDX-License-Identifier: MIT */
/*
 * The DMA API over a virtio-iommu: every policy and mode, on several lanes at once, while devices come and go. What was mapped is reached until it is unmapped, what was unmapped is not (in strict mode
 * at once, in the others after a flush), and at the end the device agrees with the page table.
 */
#include <time.h>

#include <iogate/dma.h>
#include <iogate/domain.h>

#include "hw/virtio_bed.h"

#include "relax.h"
#include "seed.h"

#define LANES 2u
#define LIVE 24u

struct stand {
	struct bed bed;
	struct iog_domain *domain;
	struct iog_device *device, *other;
	enum iog_inval_mode mode;
	bool identity;
	uint64_t seed;
	uint32_t steps;
	_Atomic uint32_t running;
	_Atomic uint32_t wrong;
	_Atomic uint32_t maps;
};

/* So that others come to something, on however few CPUs. */
static void pause_shortly(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
}

/* Bytes of memory that are mapped, or waited for. */
static _Atomic int64_t bytes_held;

static void taken(void *ctx, iog_paddr_t paddr, uint64_t size)
{
	(void)ctx;
	(void)paddr;
	atomic_fetch_add(&bytes_held, (int64_t)size);
}

static void released(void *ctx, iog_paddr_t paddr, uint64_t size)
{
	(void)ctx;
	(void)paddr;
	atomic_fetch_sub(&bytes_held, (int64_t)size);
}

static const struct iog_hold_ops hold_ops = { .hold = taken, .release = released };

static void stand_create(struct stand *stand, const struct iog_policy *policy, enum iog_inval_mode mode, uint32_t entries)
{
	struct bed *bed = &stand->bed;
	struct iog_virtio_config config;
	struct iog_domain_config domain = { .policy = policy, .mode = mode, .hold = mode == IOG_INVAL_HELD ? &hold_ops : NULL, .deferred_entries = 32 };

	fake_init(&bed->fake);
	bed->fake.platform.relax = kit_relax;
	config = fake_config(&bed->fake);
	config.timeout_ms = 60000;
	config.request_entries = entries;
	assert_int_equal(iog_virtio_create(&config, &bed->virtio), 0);
	assert_int_equal(iog_virtio_enable(bed->virtio), 0);
	bed->unit = iog_virtio_unit(bed->virtio);
	assert_int_equal(iog_tablemem_create(&bed->fake.platform, &(struct iog_tablemem_config){ .lanes = LANES }, &bed->mem), 0);
	domain.platform = &bed->fake.platform;
	domain.pgtable = (struct iog_pgtable_config){ .ops = &iog_vtdss_counted, .tablemem = bed->mem, .flags = bed->unit->pgtable_flags };
	domain.identity_last = (UINT64_C(1) << 40) - 1;
	assert_int_equal(iog_domain_create(&domain, &stand->domain), 0);
	assert_int_equal(iog_device_create(&(struct iog_device_config){ .platform = &bed->fake.platform, .unit = bed->unit, .id = FAKE_DEVICE_0 }, &stand->device), 0);
	assert_int_equal(iog_device_create(&(struct iog_device_config){ .platform = &bed->fake.platform, .unit = bed->unit, .id = FAKE_DEVICE_0 + 1 }, &stand->other), 0);
	assert_int_equal(iog_domain_attach(stand->domain, stand->device), 0);
	bed->pt = iog_domain_pgtable(stand->domain);
	bed->id = 1;
	stand->mode = mode;
}

static void stand_destroy(struct stand *stand)
{
	assert_int_equal(iog_device_destroy(stand->other), 0);
	assert_int_equal(iog_device_destroy(stand->device), 0);
	assert_int_equal(iog_domain_destroy(stand->domain), 0);
	assert_int_equal(iog_tablemem_destroy(stand->bed.mem), 0);
	fake_done(stand->bed.virtio);
	fake_fini(&stand->bed.fake);
}

static uint64_t reached_now(struct stand *stand, uint64_t iova)
{
	uint64_t paddr;

	pthread_mutex_lock(&stand->bed.fake.lock);
	paddr = reached(&stand->bed, 0, iova, true);
	pthread_mutex_unlock(&stand->bed.fake.lock);
	return paddr;
}

struct buffer {
	iog_iova_t iova;
	uint64_t paddr, size;
};

static bool buffer_map(struct stand *stand, iog_lane_t lane, uint64_t *rng, struct buffer *buffer)
{
	uint64_t pages = kit_random(rng) % 8 ? 1 : 1 + kit_random(rng) % 100;
	int error;

	/* Memory of the lane's own; for 1:1 addresses also what others have mapped. */
	buffer->paddr = (((stand->identity && kit_random(rng) % 2 ? LANES : lane) + 1) << 28) + (kit_random(rng) % (stand->identity ? 64 : 4096)) * PAGE;
	buffer->size = pages * PAGE;
	error = iog_dma_map(stand->device, lane, buffer->paddr, buffer->size, IOG_DMA_BIDIRECTIONAL, 0, &buffer->iova);
	if (error)
		atomic_fetch_add(&stand->wrong, 1);
	else if (reached_now(stand, buffer->iova) != buffer->paddr || reached_now(stand, buffer->iova + buffer->size - 1) != buffer->paddr + buffer->size - 1)
		atomic_fetch_add(&stand->wrong, 1);
	atomic_fetch_add(&stand->maps, 1);
	return !error;
}

static void buffer_unmap(struct stand *stand, iog_lane_t lane, const struct buffer *buffer)
{
	/* Until now it was. */
	if (reached_now(stand, buffer->iova) != buffer->paddr)
		atomic_fetch_add(&stand->wrong, 1);
	if (iog_dma_unmap(stand->device, lane, buffer->iova, buffer->size, IOG_DMA_BIDIRECTIONAL, 0))
		atomic_fetch_add(&stand->wrong, 1);
}

struct lane {
	struct stand *stand;
	iog_lane_t number;
};

static void *lane_run(void *arg)
{
	struct lane *self = arg;
	struct stand *stand = self->stand;
	struct buffer live[LIVE] = { 0 };
	uint64_t rng = stand->seed + self->number;

	for (uint32_t n = 0; n < stand->steps; n++) {
		struct buffer *buffer = &live[kit_random(&rng) % LIVE];
		uint64_t iova = buffer->iova;

		if (buffer->size) {
			buffer_unmap(stand, self->number, buffer);
			/* An address is used again by others, so that only what is the lane's own is looked at. */
			if (stand->mode == IOG_INVAL_STRICT && !stand->identity && reached_now(stand, iova) == buffer->paddr)
				atomic_fetch_add(&stand->wrong, 1);
			buffer->size = 0;
		} else if (!buffer_map(stand, self->number, &rng, buffer)) {
			buffer->size = 0;
		}
	}
	for (uint32_t n = 0; n < LIVE; n++)
		if (live[n].size)
			buffer_unmap(stand, self->number, &live[n]);
	atomic_fetch_sub(&stand->running, 1);
	return NULL;
}

static void run(const struct iog_policy *policy, enum iog_inval_mode mode, uint32_t entries)
{
	static struct stand stand;
	struct lane lanes[LANES];
	pthread_t threads[LANES];
	uint32_t turns = 0;

	memset(&stand, 0, sizeof(stand));
	stand.seed = kit_seed("hw virtio dma");
	stand.steps = (uint32_t)kit_scaled(200);
	stand.identity = policy == &iog_policy_identity;
	stand_create(&stand, policy, mode, entries);
	atomic_store(&stand.running, LANES);
	for (uint32_t n = 0; n < LANES; n++) {
		lanes[n] = (struct lane){ &stand, n };
		assert_int_equal(pthread_create(&threads[n], NULL, lane_run, &lanes[n]), 0);
	}
	/* Another device comes and goes meanwhile; so do faults. */
	while (atomic_load(&stand.running)) {
		assert_int_equal(iog_domain_attach(++turns & 1 ? stand.domain : NULL, stand.other), 0);
		(void)fake_event(&stand.bed.fake, FAULT_R_MAPPING, FAULT_F_ADDRESS, 3, 0x1000);
		(void)iog_virtio_interrupt(stand.bed.virtio);
		pause_shortly();
	}
	for (uint32_t n = 0; n < LANES; n++)
		assert_int_equal(pthread_join(threads[n], NULL), 0);
	assert_int_equal(atomic_load(&stand.wrong), 0);
	assert_true(atomic_load(&stand.maps) >= stand.steps);
	for (uint32_t n = 0; n < LANES; n++)
		assert_int_equal(iog_domain_flush(stand.domain, n), 0);
	assert_true(bed_agrees(&stand.bed));
	stand_destroy(&stand);
	assert_int_equal(atomic_load(&bytes_held), 0);
}

static void strict(void **state)
{
	(void)state;
	run(&iog_policy_window, IOG_INVAL_STRICT, 0);
	run(&iog_policy_magazine, IOG_INVAL_STRICT, 4);
}

static void deferred(void **state)
{
	(void)state;
	run(&iog_policy_window, IOG_INVAL_DEFERRED, 0);
	run(&iog_policy_pooled, IOG_INVAL_DEFERRED, 0);
}

static void held(void **state)
{
	(void)state;
	run(&iog_policy_window, IOG_INVAL_HELD, 0);
	run(&iog_policy_tree, IOG_INVAL_HELD, 16);
}

static void identity(void **state)
{
	(void)state;
	run(&iog_policy_identity, IOG_INVAL_STRICT, 0);
	run(&iog_policy_identity, IOG_INVAL_DEFERRED, 0);
}

struct mapper {
	struct bed bed;
	_Atomic bool stop;
	_Atomic uint32_t wrong;
	uint64_t rng;
};

static void *mapper_run(void *arg)
{
	struct mapper *mapper = arg;

	while (!atomic_load(&mapper->stop)) {
		uint64_t iova = (kit_random(&mapper->rng) % 256) * PAGE, pages = 1 + kit_random(&mapper->rng) % 80;
		int error = kit_random(&mapper->rng) % 2 ? bed_map(&mapper->bed, iova, 0x1000000 + iova, pages * PAGE, RW) : bed_unmap(&mapper->bed, iova, pages * PAGE);

		if (error && error != -IOG_EEXIST)
			atomic_fetch_add(&mapper->wrong, 1);
	}
	return NULL;
}

/* The last device leaves, and the first comes, while a lane goes on: the domain ceases to be under requests about it, and comes to be while it changes. */
static void last_device(void **state)
{
	static struct mapper mapper;
	pthread_t thread;

	(void)state;
	memset(&mapper, 0, sizeof(mapper));
	mapper.rng = kit_seed("hw virtio dma, last device");
	bed_create(&mapper.bed, &iog_vtdss_counted, 48, 0);
	mapper.bed.fake.platform.relax = kit_relax;
	assert_int_equal(pthread_create(&thread, NULL, mapper_run, &mapper), 0);
	for (uint32_t round = 0; round < kit_scaled(100); round++) {
		assert_int_equal(bed_set(&mapper.bed, 0, IOG_DOMAIN_BLOCKED), 0);
		pause_shortly();
		assert_int_equal(bed_set(&mapper.bed, 0, IOG_DOMAIN_PAGING), 0);
		pause_shortly();
	}
	atomic_store(&mapper.stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(atomic_load(&mapper.wrong), 0);
	assert_true(bed_agrees(&mapper.bed));
	bed_destroy(&mapper.bed);
}

/* Requests and doorbells, by operation. */
static void figures(void **state)
{
	static struct stand stand;
	struct iog_sg sg[64];
	struct fake *fake = &stand.bed.fake;
	iog_iova_t iova;
	uint32_t n;

	(void)state;
	memset(&stand, 0, sizeof(stand));
	stand_create(&stand, &iog_policy_window, IOG_INVAL_STRICT, 0);
	fake_log_clear(fake);
	assert_int_equal(iog_dma_map(stand.device, 0, 0x10000, PAGE, IOG_DMA_TO_DEVICE, 0, &iova), 0);
	assert_true(fake->logged == 1 && fake->doorbells == 1);
	fake_log_clear(fake);
	assert_int_equal(iog_dma_unmap(stand.device, 0, iova, PAGE, IOG_DMA_TO_DEVICE, 0), 0);
	assert_true(fake->logged == 1 && fake->doorbells == 1);
	fake_log_clear(fake);
	assert_int_equal(iog_dma_map(stand.device, 0, 0x10000, 64 * PAGE, IOG_DMA_TO_DEVICE, 0, &iova), 0);
	assert_true(fake->logged == 64 && fake->doorbells == 1);
	fake_log_clear(fake);
	assert_int_equal(iog_dma_unmap(stand.device, 0, iova, 64 * PAGE, IOG_DMA_TO_DEVICE, 0), 0);
	assert_true(fake->logged == 1 && fake->doorbells == 1);
	for (n = 0; n < 64; n++)
		sg[n] = (struct iog_sg){ .paddr = 0x100000 + 3 * n * PAGE, .size = PAGE };
	fake_log_clear(fake);
	assert_int_equal(iog_dma_map_sg(stand.device, 0, sg, 64, IOG_DMA_TO_DEVICE, 0, &iova, &n), 0);
	assert_true(fake->logged == 64 && fake->doorbells == 1);
	fake_log_clear(fake);
	assert_int_equal(iog_dma_unmap_sg(stand.device, 0, sg, 64, IOG_DMA_TO_DEVICE, 0), 0);
	assert_true(fake->logged == 1 && fake->doorbells == 1);
	stand_destroy(&stand);
}

/* A mapping that the device refuses is refused by the DMA API, and leaves nothing; the address is used again later. */
static void refused(void **state)
{
	static const struct iog_policy *const policies[] = { &iog_policy_window, &iog_policy_tree, &iog_policy_identity };
	static struct stand stand;
	struct iog_domain_stats stats;
	iog_iova_t iova;

	(void)state;
	for (size_t n = 0; n < 3; n++) {
		memset(&stand, 0, sizeof(stand));
		stand_create(&stand, policies[n], IOG_INVAL_STRICT, 0);
		for (uint32_t pages = 1; pages <= 64; pages *= 4) {
			stand.bed.fake.refuse_type = REQ_MAP;
			stand.bed.fake.refuse_skip = pages / 2;
			stand.bed.fake.refuse_status = S_NOMEM;
			assert_int_equal(iog_dma_map(stand.device, 0, 0x10000, pages * PAGE, IOG_DMA_TO_DEVICE, 0, &iova), -IOG_EIO);
			stand.bed.fake.refuse_type = 0;
			assert_true(!fake_domain(&stand.bed.fake, NUMBER(1))->n && bed_agrees(&stand.bed));
		}
		assert_int_equal(iog_domain_flush(stand.domain, 0), 0);
		iog_domain_stats(stand.domain, &stats);
		assert_int_equal(stats.quarantined, 0);
		assert_int_equal(iog_dma_map(stand.device, 0, 0x10000, 64 * PAGE, IOG_DMA_TO_DEVICE, 0, &iova), 0);
		assert_true(bed_agrees(&stand.bed));
		assert_int_equal(iog_dma_unmap(stand.device, 0, iova, 64 * PAGE, IOG_DMA_TO_DEVICE, 0), 0);
		stand_destroy(&stand);
	}
}

/* The same for a list, of which the device is told at its end; and of memory that has an owner nothing is lost, nor given back twice. */
static void refused_list(void **state)
{
	static const struct iog_policy *const policies[] = { &iog_policy_window, &iog_policy_tree };
	static struct stand stand;
	struct iog_sg sg[64];
	iog_iova_t iova;
	uint32_t nr;

	(void)state;
	for (uint32_t n = 0; n < 12; n++) {
		memset(&stand, 0, sizeof(stand));
		stand_create(&stand, policies[n & 1], n & 2 ? IOG_INVAL_HELD : IOG_INVAL_STRICT, 0);
		for (uint32_t i = 0; i < 64; i++)
			sg[i] = (struct iog_sg){ .paddr = 0x100000 + 3 * i * PAGE, .size = PAGE };
		stand.bed.fake.refuse_type = REQ_MAP;
		stand.bed.fake.refuse_skip = n / 4 * 30;
		stand.bed.fake.refuse_status = S_NOMEM;
		assert_int_equal(iog_dma_map_sg(stand.device, 0, sg, 64, IOG_DMA_TO_DEVICE, 0, &iova, &nr), -IOG_EIO);
		stand.bed.fake.refuse_type = 0;
		assert_int_equal(iog_domain_flush(stand.domain, 0), 0);
		assert_true(!fake_domain(&stand.bed.fake, NUMBER(1))->n && bed_agrees(&stand.bed));
		assert_int_equal(atomic_load(&bytes_held), 0);
		assert_int_equal(iog_dma_map_sg(stand.device, 0, sg, 64, IOG_DMA_TO_DEVICE, 0, &iova, &nr), 0);
		assert_true(bed_agrees(&stand.bed) && atomic_load(&bytes_held) == (n & 2 ? 64 * (int64_t)PAGE : 0));
		assert_int_equal(iog_dma_unmap_sg(stand.device, 0, sg, 64, IOG_DMA_TO_DEVICE, 0), 0);
		assert_int_equal(iog_domain_flush(stand.domain, 0), 0);
		assert_int_equal(atomic_load(&bytes_held), 0);
		stand_destroy(&stand);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strict), cmocka_unit_test(deferred), cmocka_unit_test(held), cmocka_unit_test(identity), cmocka_unit_test(last_device),
		cmocka_unit_test(figures), cmocka_unit_test(refused), cmocka_unit_test(refused_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

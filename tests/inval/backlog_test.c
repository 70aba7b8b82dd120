/* SPDX-License-Identifier: MIT */
/*
 * A backlog of a million: memory that is held on sixteen lanes, each page with the address that it had, while a unit does not answer. When it does all of it comes back, and no call gives back
 * more than is stated. Counted, not timed.
 */
#include "dma/domain.h"
#include "rig.h"

#define LANES 16
#define PADDR UINT64_C(0x4000000000)
/* What one call may give back (domain.h): each of two, where it flushes on its way. */
#define CALL_MOST (2 * (DRAIN_STEP + DRAIN_FEW))

static struct {
	struct iog_unit unit; /* first */
	bool silent;
} silent_unit;

static uint64_t released, given;

static int add(struct iog_unit *unit, uint32_t id, const struct iog_pgtable_root *root)
{
	(void)unit;
	(void)id;
	(void)root;
	return 0;
}

static int drop(struct iog_unit *unit, uint32_t id)
{
	(void)unit;
	(void)id;
	return 0;
}

static int set(struct iog_unit *unit, uint32_t device, enum iog_domain_type type, uint32_t id)
{
	(void)unit;
	(void)device;
	(void)type;
	(void)id;
	return 0;
}

static int invalidate(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather)
{
	(void)unit;
	(void)id;
	(void)gather;
	return silent_unit.silent ? -IOG_ETIMEDOUT : 0;
}

static const struct iog_unit_ops ops = { .domain_add = add, .domain_remove = drop, .device_set = set, .invalidate = invalidate };

static void release(void *ctx, iog_paddr_t paddr, uint64_t size)
{
	(void)ctx;
	(void)paddr;
	released += size / RIG_PAGE;
}

static const struct iog_hold_ops hold_ops = { .release = release };

/* No more than this since the last look. */
static void gave(uint64_t most)
{
	assert_true(released - given <= most);
	given = released;
}

static void held(void **state)
{
	/* Of each lane: a page and its address are two entries. */
	const uint32_t pages = (uint32_t)kit_scaled(32768);
	const struct iog_tablemem_config mem_config = { .lanes = LANES };
	struct iog_domain_config config = { .lanes = LANES, .policy = &iog_policy_magazine, .mode = IOG_INVAL_HELD, .deferred_entries = 2 * pages, .held_max = UINT64_MAX };
	struct iog_device_config device_config = { .id = 1, .unit = &silent_unit.unit };
	iog_iova_t *iova = test_malloc(pages * sizeof(*iova));
	struct iog_platform platform;
	struct iog_domain_stats stats;
	struct iog_tablemem *mem;
	struct iog_domain *domain;
	struct iog_device *device;
	struct iog_posix *posix;
	uint64_t random = 1, total = 0, calls = 0;
	bool more = true;

	(void)state;
	assert_int_equal(iog_posix_create(NULL, &posix), 0);
	platform = *iog_posix_platform(posix);
	platform.now_ns = NULL;
	assert_int_equal(iog_tablemem_create(&platform, &mem_config, &mem), 0);
	silent_unit.unit.ops = &ops;
	silent_unit.unit.platform = &platform;
	silent_unit.unit.domain_ids = 1;
	assert_int_equal(iog_unit_init(&silent_unit.unit), 0);
	config.platform = &platform;
	config.pgtable.ops = &iog_vtdss_counted;
	config.pgtable.tablemem = mem;
	config.hold = &hold_ops;
	assert_int_equal(iog_domain_create(&config, &domain), 0);
	device_config.platform = &platform;
	assert_int_equal(iog_device_create(&device_config, &device), 0);
	assert_int_equal(iog_domain_attach(domain, device), 0);

	silent_unit.silent = true;
	for (iog_lane_t lane = 0; lane < LANES; lane++) {
		for (uint32_t n = 0; n < pages; n++)
			assert_int_equal(iog_dma_map(device, lane, PADDR + (lane * pages + n) * RIG_PAGE, RIG_PAGE, IOG_DMA_BIDIRECTIONAL, 0, &iova[n]), 0);
		for (uint32_t n = 0; n < pages; n++) {
			int error = iog_dma_unmap(device, lane, iova[n], RIG_PAGE, IOG_DMA_BIDIRECTIONAL, 0);

			assert_int_equal(error, n + 1 < pages ? 0 : -IOG_ETIMEDOUT);
		}
		total += pages;
	}
	iog_domain_stats(domain, &stats);
	assert_int_equal(stats.deferred, 2 * total);
	assert_int_equal(stats.held_bytes, total * RIG_PAGE);
	gave(0);
	silent_unit.silent = false;
	while (more) {
		iog_lane_t lane = (iog_lane_t)(kit_random(&random) % LANES);
		int error;

		calls++;
		switch (kit_random(&random) % 8) {
		case 0:
			assert_int_equal(iog_domain_flush(domain, lane), 0);
			gave(IOG_DOMAIN_DRAIN);
			break;
		case 1:
			error = iog_domain_trim(domain, lane);
			assert_true(!error || error == -IOG_EAGAIN);
			more = error;
			gave(IOG_DOMAIN_DRAIN);
			break;
		case 2:
			assert_int_equal(iog_domain_tick(domain, lane, calls * 100), 0);
			gave(CALL_MOST);
			break;
		default:
			assert_int_equal(iog_dma_map(device, lane, PADDR, RIG_PAGE, IOG_DMA_BIDIRECTIONAL, 0, &iova[0]), 0);
			gave(CALL_MOST);
			assert_int_equal(iog_dma_unmap(device, lane, iova[0], RIG_PAGE, IOG_DMA_BIDIRECTIONAL, 0), 0);
			gave(CALL_MOST);
			total++;
			break;
		}
	}
	assert_int_equal(released, total);
	iog_domain_stats(domain, &stats);
	assert_int_equal(stats.deferred + stats.held_bytes + stats.held_entries + stats.iova.live_bytes + stats.quarantined, 0);
	/* As many calls as that takes, at least. */
	assert_true(calls * (IOG_DOMAIN_DRAIN / 2) >= (uint64_t)pages * LANES / 2);
	assert_int_equal(iog_device_destroy(device), 0);
	assert_int_equal(iog_domain_destroy(domain), 0);
	assert_int_equal(iog_unit_fini(&silent_unit.unit), 0);
	assert_int_equal(iog_tablemem_destroy(mem), 0);
	iog_posix_destroy(posix);
	test_free(iova);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(held) };

	return cmocka_run_group_tests_name("inval backlog", tests, NULL, NULL);
}

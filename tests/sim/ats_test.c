/* SPDX-License-Identifier: MIT */
/*
 * Devices with a TLB of their own: what they keep, who has to tell them to forget it, and that the judge knows.
 */
#include <string.h>

#include <iogate/domain.h>
#include <iogate/unit.h>

#include "kit.h"

#define MiB (UINT64_C(1) << 20)
#define IOVA (4 * MiB)
#define PADDR UINT64_C(0x5000)
#define DEVICE 7
#define OTHER 8

static struct iog_unit *unit;
static struct iog_gather page_gather;

static void attach(struct kit *kit, uint32_t device, uint32_t entries)
{
	assert_int_equal(iog_sim_device_ats(kit->sim, device, entries, 0), 0);
	assert_int_equal(unit->ops->device_set(unit, device, IOG_DOMAIN_PAGING, 1), 0);
}

static void begin(struct kit *kit, const struct iog_sim_config *config)
{
	kit_create(kit, &kit_vtdss_48, config);
	unit = iog_sim_unit(kit->sim);
	memset(&page_gather, 0, sizeof(page_gather));
	page_gather.nr_ranges = 1;
	page_gather.ranges[0] = (struct iog_range){ IOVA, IOVA + 4095 };
	attach(kit, DEVICE, 32);
}

static int use(struct kit *kit, uint32_t device, uint64_t iova, uint32_t prot)
{
	iog_paddr_t paddr = 0;
	int error = iog_sim_device_translate(kit->sim, device, iova, prot, &paddr);

	if (!error)
		assert_int_equal(paddr, PADDR + (iova - IOVA));
	return error;
}

static void map_noted(struct kit *kit)
{
	kit_map(kit, IOVA, PADDR, KIT_RW);
	iog_sim_note_map(kit->domain, IOVA, PADDR, 4096, KIT_RW);
}

static void unmap_noted(struct kit *kit)
{
	iog_sim_note_unmap(kit->domain, IOVA, 4096);
	kit_unmap(kit, IOVA);
}

static void reuse_is_early(struct kit *kit)
{
	iog_sim_note_reuse(kit->sim, PADDR, 4096);
	kit_violation(kit, IOG_SIM_EARLY_REUSE, "reused while");
}

static void reuse_is_fine(struct kit *kit)
{
	iog_sim_note_reuse(kit->sim, PADDR, 4096);
	kit_no_violation(kit);
}

static void keeps(void **state)
{
	struct iog_sim_stats stats;
	struct kit kit;

	(void)state;
	begin(&kit, NULL);
	map_noted(&kit);
	for (uint32_t n = 0; n < 10; n++)
		assert_int_equal(use(&kit, DEVICE, IOVA + n, KIT_RW), 0);
	stats = kit_stats(&kit);
	assert_int_equal(stats.ats_misses, 1);
	assert_int_equal(stats.ats_hits, 9);
	assert_int_equal(stats.ats_requests, 1);
	assert_int_equal(stats.iotlb_hits + stats.iotlb_misses, 1);
	assert_int_equal(stats.writes, 10);
	/* Without one, each access is the unit's. */
	assert_int_equal(iog_sim_device_ats(kit.sim, DEVICE, 0, 0), 0);
	assert_int_equal(use(&kit, DEVICE, IOVA, KIT_RW), 0);
	assert_int_equal(kit_stats(&kit).ats_hits, 9);
	assert_int_equal(kit_stats(&kit).iotlb_hits, 1);
	kit_destroy(&kit);
}

static void unit_alone_is_not_enough(void **state)
{
	struct kit kit;

	(void)state;
	begin(&kit, NULL);
	map_noted(&kit);
	assert_int_equal(use(&kit, DEVICE, IOVA, KIT_RW), 0);
	unmap_noted(&kit);
	assert_int_equal(unit->ops->invalidate(unit, 1, &page_gather), 0);
	/* It still gets there, which is as it should be; the memory is not anybody's yet. */
	assert_int_equal(use(&kit, DEVICE, IOVA, KIT_RW), 0);
	kit_no_violation(&kit);
	reuse_is_early(&kit);
	/* The whole domain does not help either. */
	assert_int_equal(unit->ops->invalidate(unit, 1, NULL), 0);
	assert_int_equal(use(&kit, DEVICE, IOVA, KIT_RW), 0);
	reuse_is_early(&kit);
	assert_int_equal(unit->ops->device_invalidate(unit, DEVICE, &page_gather), 0);
	assert_int_equal(kit_stats(&kit).device_range_commands, 1);
	assert_int_equal(use(&kit, DEVICE, IOVA, KIT_RW), -IOG_EFAULT);
	reuse_is_fine(&kit);
	kit_destroy(&kit);
}

/* First the device, then the unit: in between the device may ask the IOTLB again. */
static void wrong_order(void **state)
{
	struct kit kit;

	(void)state;
	begin(&kit, NULL);
	map_noted(&kit);
	assert_int_equal(use(&kit, DEVICE, IOVA, KIT_RW), 0);
	unmap_noted(&kit);
	assert_int_equal(unit->ops->device_invalidate(unit, DEVICE, NULL), 0);
	assert_int_equal(kit_stats(&kit).device_all_commands, 1);
	assert_int_equal(use(&kit, DEVICE, IOVA, KIT_RW), 0);
	assert_int_equal(unit->ops->invalidate(unit, 1, &page_gather), 0);
	assert_int_equal(use(&kit, DEVICE, IOVA, KIT_RW), 0);
	kit_no_violation(&kit);
	reuse_is_early(&kit);
	assert_int_equal(unit->ops->device_invalidate(unit, DEVICE, NULL), 0);
	reuse_is_fine(&kit);
	kit_destroy(&kit);
}

/* Everybody was told, and the tables still lead there: what the device finds in its TLB is stale. */
static void stale(void **state)
{
	struct kit kit;

	(void)state;
	begin(&kit, NULL);
	map_noted(&kit);
	iog_sim_note_unmap(kit.domain, IOVA, 4096);
	assert_int_equal(unit->ops->invalidate(unit, 1, &page_gather), 0);
	assert_int_equal(unit->ops->device_invalidate(unit, DEVICE, &page_gather), 0);
	assert_int_equal(use(&kit, DEVICE, IOVA, KIT_RW), 0);
	kit_violation(&kit, IOG_SIM_STALE_ACCESS, "live tables");
	kit_unmap(&kit, IOVA);
	assert_int_equal(unit->ops->invalidate(unit, 1, &page_gather), 0);
	assert_int_equal(use(&kit, DEVICE, IOVA, KIT_RW), 0);
	kit_violation(&kit, IOG_SIM_STALE_ACCESS, "device's TLB");
	iog_sim_note_reuse(kit.sim, PADDR, 4096);
	kit_violation(&kit, IOG_SIM_EARLY_REUSE, "TLB of device 7");
	kit_destroy(&kit);
}

static void each_device(void **state)
{
	struct kit kit;

	(void)state;
	begin(&kit, NULL);
	attach(&kit, OTHER, 16);
	map_noted(&kit);
	assert_int_equal(use(&kit, DEVICE, IOVA, KIT_RW), 0);
	unmap_noted(&kit);
	assert_int_equal(unit->ops->invalidate(unit, 1, &page_gather), 0);
	assert_int_equal(unit->ops->device_invalidate(unit, DEVICE, &page_gather), 0);
	/* The other one has never used it, and might have. */
	reuse_is_early(&kit);
	assert_int_equal(unit->ops->device_invalidate(unit, OTHER, &page_gather), 0);
	reuse_is_fine(&kit);
	kit_destroy(&kit);
}

/* Blocked, or put elsewhere: it reaches nothing, whatever it remembers. */
static void goes_away(void **state)
{
	struct kit kit;

	(void)state;
	begin(&kit, NULL);
	for (uint32_t way = 0; way < 3; way++) {
		map_noted(&kit);
		assert_int_equal(use(&kit, DEVICE, IOVA, KIT_RW), 0);
		unmap_noted(&kit);
		assert_int_equal(unit->ops->invalidate(unit, 1, &page_gather), 0);
		reuse_is_early(&kit);
		if (way == 0)
			assert_int_equal(unit->ops->device_block(unit, DEVICE), 0);
		else if (way == 1)
			assert_int_equal(unit->ops->device_set(unit, DEVICE, IOG_DOMAIN_IDENTITY, 0), 0);
		else
			assert_int_equal(iog_sim_device_ats(kit.sim, DEVICE, 0, 0), 0);
		if (way != 1)
			assert_int_equal(use(&kit, DEVICE, IOVA, KIT_RW), -IOG_EFAULT);
		reuse_is_fine(&kit);
		assert_int_equal(unit->ops->device_set(unit, DEVICE, IOG_DOMAIN_PAGING, 1), 0);
		assert_int_equal(use(&kit, DEVICE, IOVA, KIT_RW), -IOG_EFAULT);
	}
	kit_destroy(&kit);
}

static void no_answer(void **state)
{
	struct kit kit;

	(void)state;
	begin(&kit, NULL);
	map_noted(&kit);
	assert_int_equal(use(&kit, DEVICE, IOVA, KIT_RW), 0);
	unmap_noted(&kit);
	assert_int_equal(unit->ops->invalidate(unit, 1, &page_gather), 0);
	assert_int_equal(iog_sim_misbehave(kit.sim, IOG_SIM_FAULT_DEVICE_TIMEOUT, 0, 1), 0);
	assert_int_equal(unit->ops->device_invalidate(unit, DEVICE, &page_gather), -IOG_ETIMEDOUT);
	assert_int_equal(kit_stats(&kit).device_timeouts, 1);
	assert_int_equal(use(&kit, DEVICE, IOVA, KIT_RW), 0);
	reuse_is_early(&kit);
	/* The unit's queue is in order. */
	assert_int_equal(unit->ops->invalidate(unit, 1, NULL), 0);
	assert_int_equal(kit_stats(&kit).timeouts, 0);
	/* This one never will. */
	assert_int_equal(iog_sim_device_mute(kit.sim, DEVICE, true), 0);
	for (uint32_t n = 0; n < 3; n++)
		assert_int_equal(unit->ops->device_invalidate(unit, DEVICE, NULL), -IOG_ETIMEDOUT);
	assert_int_equal(use(&kit, DEVICE, IOVA, KIT_RW), 0);
	reuse_is_early(&kit);
	assert_int_equal(unit->ops->device_block(unit, DEVICE), 0);
	assert_int_equal(use(&kit, DEVICE, IOVA, KIT_RW), -IOG_EFAULT);
	reuse_is_fine(&kit);
	/* Well again. */
	assert_int_equal(iog_sim_device_mute(kit.sim, DEVICE, false), 0);
	assert_int_equal(unit->ops->device_set(unit, DEVICE, IOG_DOMAIN_PAGING, 1), 0);
	assert_int_equal(unit->ops->device_invalidate(unit, DEVICE, NULL), 0);
	kit_destroy(&kit);
}

static void asks_ahead(void **state)
{
	struct iog_sim_stats stats;
	struct kit kit;

	(void)state;
	begin(&kit, &(struct iog_sim_config){ .walk_read_ns = 100 });
	for (uint64_t n = 0; n < 16; n++)
		kit_map(&kit, IOVA + n * 4096, PADDR + n * 4096, KIT_RW);
	iog_sim_note_map(kit.domain, IOVA, PADDR, 16 * 4096, KIT_RW);
	assert_int_equal(iog_sim_device_translate_request(kit.sim, DEVICE, IOVA + 100, 16 * 4096 - 100, KIT_RW), 0);
	for (uint64_t n = 0; n < 16; n++)
		assert_int_equal(use(&kit, DEVICE, IOVA + n * 4096, KIT_RW), 0);
	stats = kit_stats(&kit);
	assert_int_equal(stats.ats_requests, 16);
	assert_int_equal(stats.ats_hits, 16);
	assert_int_equal(stats.ats_misses, 0);
	assert_int_equal(stats.prewalk_reads, 4 + 15);
	assert_int_equal(stats.walk_reads, stats.prewalk_reads);
	assert_int_equal(stats.walk_ns, 1900);
	assert_int_equal(stats.prewalk_ns, 1900);
	/* Once is enough; what is not mapped is refused, and is not an access. */
	assert_int_equal(iog_sim_device_translate_request(kit.sim, DEVICE, IOVA, 16 * 4096, KIT_RW), 0);
	assert_int_equal(kit_stats(&kit).ats_requests, 16);
	assert_int_equal(iog_sim_device_translate_request(kit.sim, DEVICE, IOVA, 16 * 4096 + 1, KIT_RW), -IOG_EFAULT);
	assert_int_equal(kit_stats(&kit).faults, 0);
	assert_int_equal(iog_sim_device_translate_request(kit.sim, OTHER, IOVA, 1, KIT_RW), -IOG_EOPNOTSUPP);
	assert_int_equal(iog_sim_device_translate_request(kit.sim, DEVICE, IOVA, 0, KIT_RW), -IOG_EINVAL);
	assert_int_equal(iog_sim_device_translate_request(kit.sim, DEVICE, UINT64_MAX, 2, KIT_RW), -IOG_EINVAL);
	kit_destroy(&kit);
}

/* Who may only read asks again when it wants to write; and what is large is one entry. */
static void entries(void **state)
{
	struct kit kit;

	(void)state;
	begin(&kit, NULL);
	kit_map(&kit, IOVA, PADDR, IOG_PROT_READ);
	iog_sim_note_map(kit.domain, IOVA, PADDR, 4096, KIT_RW);
	assert_int_equal(use(&kit, DEVICE, IOVA, IOG_PROT_READ), 0);
	kit_map(&kit, IOVA, PADDR, KIT_RW);
	assert_int_equal(unit->ops->invalidate(unit, 1, &page_gather), 0);
	assert_int_equal(use(&kit, DEVICE, IOVA, IOG_PROT_WRITE), 0);
	assert_int_equal(use(&kit, DEVICE, IOVA, KIT_RW), 0);
	assert_int_equal(kit_stats(&kit).ats_requests, 2);

	kit_store(kit_slot(&kit, 8 * MiB, 1), kit_entry_leaf(&kit, 2 * MiB, 1, KIT_RW));
	iog_sim_note_map(kit.domain, 8 * MiB, 2 * MiB, 2 * MiB, KIT_RW);
	for (uint64_t n = 0; n < 512; n++)
		assert_int_equal(iog_sim_device_translate(kit.sim, DEVICE, 8 * MiB + n * 4096, KIT_RW, NULL), 0);
	assert_int_equal(kit_stats(&kit).ats_requests, 3);
	assert_int_equal(iog_sim_device_ats(kit.sim, DEVICE, 3, 0), -IOG_EINVAL);
	assert_int_equal(iog_sim_device_ats(kit.sim, DEVICE, 4, 8), -IOG_EINVAL);
	for (uint32_t n = 1; n < 64; n++)
		assert_int_equal(iog_sim_device_ats(kit.sim, 100 + n, 4, 0), 0);
	assert_int_equal(iog_sim_device_ats(kit.sim, 200, 4, 0), -IOG_ENOSPC);
	kit_destroy(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps),       cmocka_unit_test(unit_alone_is_not_enough), cmocka_unit_test(wrong_order),
		cmocka_unit_test(stale),       cmocka_unit_test(each_device),              cmocka_unit_test(goes_away),
		cmocka_unit_test(no_answer),   cmocka_unit_test(asks_ahead),               cmocka_unit_test(entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

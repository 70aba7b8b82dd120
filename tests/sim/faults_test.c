/* SPDX-License-Identifier: MIT */
/*
 * Hardware that misbehaves, one kind at a time: calls end in an error or succeed by trying again, nothing that was waiting counts as invalidated, and the queue works afterwards.
 */
#include <string.h>

#include <iogate/unit.h>

#include "kit.h"

#define MiB (UINT64_C(1) << 20)
#define IOVA (4 * MiB)
#define PADDR UINT64_C(0x5000)

static struct iog_gather gather;

/* A page that was used and is being unmapped; the gather has it. */
static void page_going(struct kit *kit)
{
	memset(&gather, 0, sizeof(gather));
	gather.nr_ranges = 1;
	gather.ranges[0] = (struct iog_range){ IOVA, IOVA + 4095 };
	kit_map(kit, IOVA, PADDR, KIT_RW);
	iog_sim_note_map(kit->domain, IOVA, PADDR, 4096, KIT_RW);
	kit_lands(kit, IOVA, KIT_RW, PADDR);
	iog_sim_note_unmap(kit->domain, IOVA, 4096);
	kit_unmap(kit, IOVA);
}

static void reuse_is_early(struct kit *kit)
{
	iog_sim_note_reuse(kit->sim, PADDR, 4096);
	kit_violation(kit, IOG_SIM_EARLY_REUSE, "has not completed");
}

static void reuse_is_fine(struct kit *kit)
{
	iog_sim_note_reuse(kit->sim, PADDR, 4096);
	kit_no_violation(kit);
	kit_faults(kit, IOVA, IOG_PROT_READ);
	kit_no_violation(kit);
}

static void does_not_answer(enum iog_sim_fault_kind kind, bool executed)
{
	struct kit kit;

	kit_create(&kit, &kit_vtdss_48, NULL);
	page_going(&kit);
	assert_int_equal(iog_sim_misbehave(kit.sim, kind, 0, 1), 0);
	assert_int_equal(iog_sim_flush(&gather, kit.domain), -IOG_ETIMEDOUT);
	assert_int_equal(kit_stats(&kit).faults_injected[kind], 1);
	assert_int_equal(kit_stats(&kit).timeouts, 1);
	/* The device may have been cut off or not; nobody may count on it. */
	assert_int_equal(iog_sim_translate(kit.domain, IOVA, IOG_PROT_READ, NULL), executed ? -IOG_EFAULT : 0);
	reuse_is_early(&kit);
	/* Commands that were lost do not come back with the next wait. */
	assert_int_equal(iog_sim_inval_wait(kit.sim), 0);
	reuse_is_early(&kit);
	assert_int_equal(iog_sim_flush(&gather, kit.domain), 0);
	reuse_is_fine(&kit);
	kit_destroy(&kit);
}

static void stall(void **state)
{
	(void)state;
	does_not_answer(IOG_SIM_FAULT_STALL, false);
}

static void lost_completion(void **state)
{
	(void)state;
	does_not_answer(IOG_SIM_FAULT_LOST_COMPLETION, true);
}

static void queue_full(void **state)
{
	(void)state;
	does_not_answer(IOG_SIM_FAULT_QUEUE_FULL, false);
}

/* A wait longer than the deadline is one that does not come. */
static void too_slow(void **state)
{
	static const struct iog_sim_config config = { .wait_ns = 2000000, .deadline_ns = 1000000 };
	static const struct iog_sim_config in_time = { .wait_ns = 1000, .deadline_ns = 1000000000 };
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, &config);
	page_going(&kit);
	assert_int_equal(iog_sim_flush(&gather, kit.domain), -IOG_ETIMEDOUT);
	reuse_is_early(&kit);
	kit_destroy(&kit);
	kit_create(&kit, &kit_vtdss_48, &in_time);
	page_going(&kit);
	assert_int_equal(iog_sim_flush(&gather, kit.domain), 0);
	reuse_is_fine(&kit);
	kit_destroy(&kit);
}

/* Somebody else's completion is not one's own: the commands have been executed when the call returns, and one wait was enough. */
static void spurious(void **state)
{
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, NULL);
	page_going(&kit);
	assert_int_equal(iog_sim_misbehave(kit.sim, IOG_SIM_FAULT_SPURIOUS_COMPLETION, 0, UINT64_MAX), 0);
	assert_int_equal(iog_sim_flush(&gather, kit.domain), 0);
	assert_int_equal(kit_stats(&kit).spurious_completions, 1);
	assert_int_equal(kit_stats(&kit).wait_commands, 1);
	reuse_is_fine(&kit);
	/* Nor does it help a wait that stalls. */
	page_going(&kit);
	assert_int_equal(iog_sim_misbehave(kit.sim, IOG_SIM_FAULT_STALL, 0, 1), 0);
	assert_int_equal(iog_sim_flush(&gather, kit.domain), -IOG_ETIMEDOUT);
	reuse_is_early(&kit);
	kit_destroy(&kit);
}

static void queue_error(void **state)
{
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, NULL);
	page_going(&kit);
	/* Submitted again, and again. */
	assert_int_equal(iog_sim_misbehave(kit.sim, IOG_SIM_FAULT_QUEUE_ERROR, 0, 2), 0);
	assert_int_equal(iog_sim_flush(&gather, kit.domain), 0);
	assert_int_equal(kit_stats(&kit).range_commands, 3);
	assert_int_equal(kit_stats(&kit).queue_aborts, 2);
	reuse_is_fine(&kit);
	/* Not for ever. */
	page_going(&kit);
	assert_int_equal(iog_sim_misbehave(kit.sim, IOG_SIM_FAULT_QUEUE_ERROR, 0, UINT64_MAX), 0);
	assert_int_equal(iog_sim_flush(&gather, kit.domain), -IOG_EIO);
	reuse_is_early(&kit);
	assert_int_equal(iog_sim_misbehave(kit.sim, IOG_SIM_FAULT_QUEUE_ERROR, 0, 0), 0);
	assert_int_equal(iog_sim_flush(&gather, kit.domain), 0);
	reuse_is_fine(&kit);
	kit_destroy(&kit);
}

/* Commands queued one by one: the wait tells of those that were lost before it. */
static void one_by_one(void **state)
{
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, NULL);
	page_going(&kit);
	assert_int_equal(iog_sim_misbehave(kit.sim, IOG_SIM_FAULT_QUEUE_ERROR, 0, 1), 0);
	assert_int_equal(iog_sim_inval_range(kit.domain, IOVA, IOVA + 4095, true), 0);
	assert_int_equal(iog_sim_inval_wait(kit.sim), -IOG_EIO);
	reuse_is_early(&kit);
	assert_int_equal(iog_sim_misbehave(kit.sim, IOG_SIM_FAULT_QUEUE_FULL, 1, 1), 0);
	assert_int_equal(iog_sim_inval_range(kit.domain, IOVA, IOVA + 4095, true), 0);
	assert_int_equal(iog_sim_inval_range(kit.domain, IOVA + 4096, IOVA + 8191, true), -IOG_ETIMEDOUT);
	assert_int_equal(iog_sim_inval_wait(kit.sim), -IOG_ETIMEDOUT);
	reuse_is_early(&kit);
	assert_int_equal(iog_sim_inval_range(kit.domain, IOVA, IOVA + 4095, true), 0);
	assert_int_equal(iog_sim_inval_wait(kit.sim), 0);
	reuse_is_fine(&kit);
	kit_destroy(&kit);
}

static void occasions(void **state)
{
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, NULL);
	assert_int_equal(iog_sim_misbehave(kit.sim, IOG_SIM_FAULT_STALL, 2, 3), 0);
	for (uint32_t n = 0; n < 10; n++)
		assert_int_equal(iog_sim_inval_wait(kit.sim), n >= 2 && n < 5 ? -IOG_ETIMEDOUT : 0);
	assert_int_equal(iog_sim_misbehave(kit.sim, IOG_SIM_FAULT_KINDS, 0, 1), -IOG_EINVAL);
	assert_int_equal(iog_sim_misbehave(kit.sim, (enum iog_sim_fault_kind)-1, 0, 1), -IOG_EINVAL);
	kit_destroy(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stall),    cmocka_unit_test(lost_completion), cmocka_unit_test(queue_full), cmocka_unit_test(too_slow),
		cmocka_unit_test(spurious), cmocka_unit_test(queue_error),     cmocka_unit_test(one_by_one), cmocka_unit_test(occasions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * SMMUv3: events decoded, overflows, and transactions that wait for an answer.
 */
#include "smmuv3_bed.h"

static void event(struct bed *bed, uint32_t code, uint64_t word1, uint64_t address)
{
	const uint64_t record[4] = { code | (uint64_t)DEVICE << 32, word1, address, 0 };

	assert_true(model_event(bed->model, record));
}

static void test_events(void **state)
{
	static const struct {
		uint32_t code;
		enum iog_fault_reason reason;
		bool address;
	} events[] = {
		{ 0x01, IOG_FAULT_REASON_OTHER, true }, { 0x02, IOG_FAULT_REASON_NO_DEVICE, false }, { 0x03, IOG_FAULT_REASON_WALK, false },
		{ 0x04, IOG_FAULT_REASON_MALFORMED, false }, { 0x05, IOG_FAULT_REASON_PERMISSION, true }, { 0x06, IOG_FAULT_REASON_PERMISSION, false },
		{ 0x07, IOG_FAULT_REASON_PERMISSION, true }, { 0x08, IOG_FAULT_REASON_NO_DEVICE, false }, { 0x09, IOG_FAULT_REASON_WALK, false },
		{ 0x0a, IOG_FAULT_REASON_MALFORMED, false }, { 0x0b, IOG_FAULT_REASON_WALK, true }, { 0x10, IOG_FAULT_REASON_NOT_PRESENT, true },
		{ 0x11, IOG_FAULT_REASON_ADDRESS_SIZE, true }, { 0x12, IOG_FAULT_REASON_MALFORMED, true }, { 0x13, IOG_FAULT_REASON_PERMISSION, true },
		{ 0x20, IOG_FAULT_REASON_OTHER, true }, { 0x21, IOG_FAULT_REASON_OTHER, false }, { 0xe5, IOG_FAULT_REASON_OTHER, false },
	};
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ 0 });
	bed_on(&bed);
	/* An entry that is not valid, of a stream that has one, is malformed. */
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_BLOCKED, 0), 0);
	for (size_t n = 0; n < sizeof(events) / sizeof(events[0]); n++) {
		const struct iog_fault *fault = &bed.faults[0];

		bed.nr_faults = 0;
		event(&bed, events[n].code, UINT64_C(1) << 35, 0xffff800012345678);
		assert_int_equal(iog_smmuv3_interrupt(bed.driver), 1);
		assert_int_equal(bed.nr_faults, 1);
		assert_int_equal(fault->device, DEVICE);
		assert_int_equal(fault->pasid, IOG_PASID_NONE);
		assert_int_equal(fault->code, events[n].code);
		assert_int_equal(fault->reason, events[n].reason);
		assert_int_equal(fault->iova, events[n].address ? 0xffff800012345678 : 0);
		assert_int_equal(!!(fault->access & IOG_FAULT_NO_ADDRESS), !events[n].address);
		assert_int_equal(fault->access & RW, events[n].address ? IOG_PROT_READ : 0);
		assert_non_null(fault->text);
	}
	/* Bits of the access. */
	bed.nr_faults = 0;
	{
		const uint64_t record[4] = { 0x13 | 1 << 11 | UINT64_C(0xabcde) << 12 | (uint64_t)DEVICE << 32, UINT64_C(1) << 33 | UINT64_C(1) << 34 | UINT64_C(1) << 39, 0x1000, 0 };

		assert_true(model_event(bed.model, record));
	}
	assert_int_equal(iog_smmuv3_interrupt(bed.driver), 1);
	assert_int_equal(bed.faults[0].pasid, 0xabcde);
	assert_int_equal(bed.faults[0].access, IOG_PROT_WRITE | IOG_PROT_EXEC | IOG_FAULT_PRIVILEGED | IOG_FAULT_SECOND_STAGE);
	assert_int_equal(iog_smmuv3_interrupt(bed.driver), 0);
	bed_fini(&bed);
}

static void test_overflow(void **state)
{
	const uint64_t record[4] = { 0x10 | (uint64_t)DEVICE << 32, 0, 0x1000, 0 };
	struct iog_smmuv3_stats stats;
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ .event_log2 = 3 });
	bed_on(&bed);
	for (uint32_t round = 1; round <= 5; round++) {
		for (uint32_t n = 0; n < 8; n++)
			assert_true(model_event(bed.model, record));
		for (uint32_t n = 0; n < 5; n++)
			assert_false(model_event(bed.model, record));
		assert_int_equal(iog_smmuv3_interrupt(bed.driver), 8);
		/* Acknowledged: the flags are equal again. */
		assert_int_equal((bed.model->page1[EVENTQ_PROD / 4] ^ bed.model->page1[EVENTQ_CONS / 4]) & EVENTQ_OVERFLOW, 0);
		iog_smmuv3_stats(bed.driver, &stats);
		assert_int_equal(stats.faults.overflows, round);
		assert_int_equal(stats.faults.seen, 8 * round);
	}
	/* Other global errors are acknowledged and kept. */
	*model_register(bed.model, GERROR) ^= 0x104;
	assert_int_equal(iog_smmuv3_interrupt(bed.driver), 0);
	iog_smmuv3_stats(bed.driver, &stats);
	assert_int_equal(stats.errors, 0x104);
	assert_int_equal(stats.faults.overflows, 6);
	assert_int_equal(*model_register(bed.model, GERRORN), *model_register(bed.model, GERROR));
	/* A unit that is gone: ones are a place in the queue, but not an event. */
	bed.model->dead = true;
	assert_int_equal(iog_smmuv3_interrupt(bed.driver), 0);
	bed.model->dead = false;
	/* Registers that cannot be. */
	bed.model->page1[EVENTQ_PROD / 4] ^= 0xc;
	bed.model->page1[EVENTQ_PROD / 4] = (bed.model->page1[EVENTQ_CONS / 4] + 9) & 0xf;
	assert_int_equal(iog_smmuv3_interrupt(bed.driver), 0);
	bed.model->page1[EVENTQ_PROD / 4] = bed.model->page1[EVENTQ_CONS / 4];
	bed_fini(&bed);
}

static void forced_stalls(struct model *model)
{
	*model_register(model, IDR0) = (*model_register(model, IDR0) & ~(3u << 24)) | 2u << 24;
}

static void test_stalls(void **state)
{
	struct iog_smmuv3_stats stats;
	const uint64_t *cd;
	struct bed bed;

	(void)state;
	bed_init(&bed, forced_stalls, (struct iog_smmuv3_config){ 0 });
	bed_on(&bed);
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, ID), 0);
	cd = (const uint64_t *)(uintptr_t)((model_entry(bed.model, DEVICE)[0] & BITS(51, 6)) + bed.model->platform.direct_map_offset);
	assert_true(cd[0] & CD0_S);
	model_forget(bed.model);
	event(&bed, 0x10, 0x1234 | UINT64_C(1) << 31, 0x5000);
	assert_int_equal(iog_smmuv3_interrupt(bed.driver), 1);
	/* Aborted, without waiting for it. */
	assert_int_equal(bed.model->nr_log, 1);
	EXPECT(0, 0x44 | 2 << 12 | (uint64_t)DEVICE << 32, 0x1234);
	iog_smmuv3_stats(bed.driver, &stats);
	assert_int_equal(stats.stalls_ended, 1);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_BLOCKED, 0), 0);
	no_domain(&bed, ID);
	bed_fini(&bed);
}

/* The queue is emptied: whoever waits submits again, and the answer to a transaction, which nobody waits for, is still given. */
static void test_stalls_kept(void **state)
{
	struct bed bed;

	(void)state;
	for (uint32_t n = 0; n < 40; n++) {
		bed_init(&bed, forced_stalls, (struct iog_smmuv3_config){ .timeout_ms = 2, .command_log2 = 4 });
		bed_on(&bed);
		domain(&bed, ID, "arm_s1_4k", 4, 48);
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), 0);
		bed.model->deaf = true;
		assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), -IOG_ETIMEDOUT);
		for (uint32_t i = 0; i < 3; i++) {
			event(&bed, 0x10, i | UINT64_C(1) << 31, 0x5000);
			assert_int_equal(iog_smmuv3_interrupt(bed.driver), 1);
			assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), -IOG_ETIMEDOUT);
		}
		bed.model->deaf = false;
		refuse(&bed, CMD_TLBI_NH_ASID, CERROR_ABT, 4);
		model_forget(bed.model);
		gather(&bed, PAGE);
		range(&bed, 0x1000, PAGE);
		/* It has met with the end of the queue, or was in it and lost. */
		while (bed.unit->ops->invalidate(bed.unit, ID, &bed.gather))
			;
		assert_int_equal(bed.model->refuse_times, 0);
		assert_int_equal(model_count(bed.model, CMD_RESUME), 3);
		for (uint32_t i = 0, at = 0; i < 3; at++)
			if ((bed.model->log[at][0] & 0xff) == CMD_RESUME)
				assert_int_equal(bed.model->log[at][1], i++);
		no_domain(&bed, ID);
		bed_fini(&bed);
	}
}

/* There is no room for the answer: nobody waits for some, and it is given when there is. */
static void test_stalls_full(void **state)
{
	struct iog_smmuv3_stats stats;
	struct bed bed;
	uint64_t began;

	(void)state;
	bed_init(&bed, forced_stalls, (struct iog_smmuv3_config){ .timeout_ms = 2, .command_log2 = 1 });
	bed_on(&bed);
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	bed.model->deaf = true;
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), -IOG_ETIMEDOUT);
	for (uint32_t i = 0; i < 2; i++)
		event(&bed, 0x10, i | UINT64_C(1) << 31, 0x5000);
	began = bed.model->now;
	assert_int_equal(iog_smmuv3_interrupt(bed.driver), 0);
	assert_in_range(bed.model->now - began, 0, 20000);
	assert_int_equal(bed.nr_faults, 0);
	bed.model->deaf = false;
	model_forget(bed.model);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), 0);
	assert_int_equal(model_count(bed.model, CMD_RESUME), 2);
	assert_int_equal(iog_smmuv3_interrupt(bed.driver), 2);
	assert_int_equal(bed.nr_faults, 2);
	iog_smmuv3_stats(bed.driver, &stats);
	assert_int_equal(stats.stalls_ended, 2);
	assert_int_equal(model_count(bed.model, CMD_RESUME), 2);
	no_domain(&bed, ID);
	bed_fini(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_stalls),
		cmocka_unit_test(test_stalls_kept),
		cmocka_unit_test(test_stalls_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

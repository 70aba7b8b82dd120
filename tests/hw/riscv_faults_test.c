/* SPDX-License-Identifier: MIT */
/*
 * RISC-V: fault records decoded, and overflows.
 */
#include "riscv_bed.h"

static void test_faults(void **state)
{
	static const struct {
		uint32_t cause, ttyp;
		enum iog_fault_reason reason;
		uint32_t access;
	} records[] = {
		{ 1, 1, IOG_FAULT_REASON_WALK, IOG_PROT_READ | IOG_PROT_EXEC },
		{ 5, 2, IOG_FAULT_REASON_WALK, IOG_PROT_READ },
		{ 7, 3, IOG_FAULT_REASON_WALK, IOG_PROT_WRITE },
		{ 12, 1, IOG_FAULT_REASON_OTHER, IOG_PROT_READ | IOG_PROT_EXEC },
		/* The cause is believed before the type. */
		{ 13, 3, IOG_FAULT_REASON_NOT_PRESENT, IOG_PROT_READ },
		{ 15, 3, IOG_FAULT_REASON_OTHER, IOG_PROT_WRITE },
		{ 21, 2, IOG_FAULT_REASON_NOT_PRESENT, IOG_PROT_READ | IOG_FAULT_SECOND_STAGE },
		{ 23, 3, IOG_FAULT_REASON_OTHER, IOG_PROT_WRITE | IOG_FAULT_SECOND_STAGE },
		{ 256, 2, IOG_FAULT_REASON_NO_DEVICE, IOG_PROT_READ },
		{ 258, 3, IOG_FAULT_REASON_NO_DEVICE, IOG_PROT_WRITE },
		{ 259, 8, IOG_FAULT_REASON_MALFORMED, IOG_FAULT_TRANSLATION },
		{ 260, 7, IOG_FAULT_REASON_PERMISSION, IOG_PROT_WRITE | IOG_FAULT_TRANSLATED },
		{ 262, 3, IOG_FAULT_REASON_INTERRUPT, IOG_PROT_WRITE },
		{ 266, 0, IOG_FAULT_REASON_NO_DEVICE, IOG_FAULT_NO_ADDRESS },
		{ 274, 2, IOG_FAULT_REASON_WALK, IOG_PROT_READ },
		{ 2048, 9, IOG_FAULT_REASON_OTHER, IOG_FAULT_NO_ADDRESS },
	};
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_riscv_config){ 0 });
	bed_on(&bed);
	for (size_t n = 0; n < sizeof(records) / sizeof(records[0]); n++) {
		const uint64_t record[4] = { records[n].cause | (uint64_t)records[n].ttyp << 34 | UINT64_C(0xabcdef) << 40, 0, 0xffff800012345678, 0x99 };
		const struct iog_fault *fault = &bed.faults[0];

		bed.nr_faults = 0;
		assert_true(model_event(bed.model, record));
		assert_int_equal(iog_riscv_interrupt(bed.driver), 1);
		assert_int_equal(*model_register(bed.model, IPSR), 0);
		assert_int_equal(bed.nr_faults, 1);
		assert_int_equal(fault->device, 0xabcdef);
		assert_int_equal(fault->pasid, IOG_PASID_NONE);
		assert_int_equal(fault->code, records[n].cause);
		assert_int_equal(fault->reason, records[n].reason);
		assert_int_equal(fault->access, records[n].access);
		assert_int_equal(fault->iova, records[n].access & IOG_FAULT_NO_ADDRESS ? 0 : 0xffff800012345678);
		assert_non_null(fault->text);
	}
	bed.nr_faults = 0;
	{
		const uint64_t record[4] = { 13 | UINT64_C(2) << 34 | UINT64_C(0x12345) << 12 | UINT64_C(3) << 32, 0, 0x1000, 0 };

		assert_true(model_event(bed.model, record));
	}
	assert_int_equal(iog_riscv_interrupt(bed.driver), 1);
	assert_int_equal(bed.faults[0].pasid, 0x12345);
	assert_int_equal(bed.faults[0].access, IOG_PROT_READ | IOG_FAULT_PRIVILEGED);
	bed_fini(&bed);
}

static void test_overflow(void **state)
{
	const uint64_t record[4] = { 13 | UINT64_C(2) << 34, 0, 0x1000, 0 };
	struct iog_riscv_stats stats;
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_riscv_config){ .fault_log2 = 3 });
	bed_on(&bed);
	for (uint32_t round = 1; round <= 5; round++) {
		for (uint32_t n = 0; n < 7; n++)
			assert_true(model_event(bed.model, record));
		for (uint32_t n = 0; n < 5; n++)
			assert_false(model_event(bed.model, record));
		assert_int_equal(iog_riscv_interrupt(bed.driver), 7);
		assert_int_equal(*model_register(bed.model, FQCSR) & FQCSR_FQOF, 0);
		iog_riscv_stats(bed.driver, &stats);
		assert_int_equal(stats.faults.overflows, round);
		assert_int_equal(stats.faults.seen, 7 * round);
	}
	bed_fini(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

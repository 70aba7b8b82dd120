/* SPDX-License-Identifier: MIT */
/*
 * SMMUv3: what is forgotten, as commands.
 */
#include "smmuv3_bed.h"

static void without_range(struct model *model)
{
	*model_register(model, IDR3) = 0;
}

static void test_invalidate_range(void **state)
{
	const uint64_t asid = (uint64_t)ID << 48, vmid = (uint64_t)6 << 32;
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ .commands_max = 8 });
	bed_on(&bed);
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	domain(&bed, 6, "arm_s2_4k", 4, 44);
	domain(&bed, 7, "arm_s1_64k", 3, 48);

	/* A page: leaf only, without a range. */
	gather(&bed, PAGE);
	range(&bed, 0x7fff12345000, PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x12 | asid, UINT64_C(0x7fff12345000) | 1);
	EXPECT_END(1);

	/* Sixty-four: one command; their level is known. */
	gather(&bed, PAGE);
	range(&bed, 0x40000, 64 * PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x12 | asid | UINT64_C(6) << 20 | UINT64_C(0) << 12, 0x40000 | 1 << 10 | 3 << 8 | 1);
	EXPECT_END(1);

	/* 0x2 + 0x1f * 8 pages. */
	gather(&bed, PAGE);
	range(&bed, 0x40000, (0x1f * 8 + 2) * PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x12 | asid | UINT64_C(1) << 20 | UINT64_C(28) << 12, 0x40000 | 1 << 10 | 3 << 8 | 1);
	EXPECT(1, 0x12 | asid | UINT64_C(6) << 20 | UINT64_C(2) << 12, (0x40000 + 58 * PAGE) | 1 << 10 | 3 << 8 | 1);
	EXPECT_END(2);

	/* A range that a larger leaf fits in: any level. */
	gather(&bed, PAGE);
	range(&bed, 4 * MiB, 4 * MiB);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x12 | asid | UINT64_C(10) << 20, 4 * MiB | 1 << 10 | 1);
	EXPECT_END(1);
	gather(&bed, 2 * MiB);
	range(&bed, 4 * MiB, 4 * MiB);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x12 | asid | UINT64_C(10) << 20, 4 * MiB | 1 << 10 | 2 << 8 | 1);

	/* A table went: not leaf only, and of any level, for the span and for the range. */
	gather(&bed, PAGE);
	range(&bed, 0x40000, PAGE);
	table(&bed, 0, 2 * MiB);
	table(&bed, 2 * MiB, 2 * MiB);
	table(&bed, 16 * MiB, 2 * MiB);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x12 | asid, 0x40000);
	EXPECT(1, 0x12 | asid | UINT64_C(10) << 20, 0 | 1 << 10);
	EXPECT(2, 0x12 | asid | UINT64_C(9) << 20, 16 * MiB | 1 << 10);
	EXPECT_END(3);
	gather(&bed, PAGE);
	range(&bed, 0x40000, PAGE);
	bed.gather.walk_caches = true;
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x12 | asid, 0x40000);

	/* Stage 2, and another granule. */
	gather(&bed, PAGE);
	range(&bed, 0x40000, 2 * PAGE);
	assert_int_equal(invalidate(&bed, 6), 0);
	EXPECT(0, 0x2a | vmid | UINT64_C(1) << 20, 0x40000 | 1 << 10 | 3 << 8 | 1);
	EXPECT_END(1);
	gather(&bed, 65536);
	range(&bed, 0x40000, 2 * 65536);
	assert_int_equal(invalidate(&bed, 7), 0);
	EXPECT(0, 0x12 | UINT64_C(7) << 48 | UINT64_C(1) << 20, 0x40000 | 3 << 10 | 3 << 8 | 1);

	/* The whole domain: asked for, or cheaper. */
	model_forget(bed.model);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), 0);
	EXPECT(0, 0x11 | asid, 0);
	EXPECT_END(1);
	model_forget(bed.model);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, 6, NULL), 0);
	EXPECT(0, 0x28 | vmid, 0);
	EXPECT_END(1);
	gather(&bed, PAGE);
	bed.gather.everything = true;
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x11 | asid, 0);
	gather(&bed, PAGE);
	for (uint32_t n = 0; n < 9; n++)
		range(&bed, n * MiB, PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x11 | asid, 0);
	EXPECT_END(1);
	/* Everything that can be: 2^36 pages. */
	gather(&bed, PAGE);
	range(&bed, 0, UINT64_C(1) << 48);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x12 | asid | UINT64_C(31) << 20 | UINT64_C(31) << 12, 0 | 1 << 10 | 1);
	EXPECT_END(1);

	for (uint32_t id = ID; id <= 7; id++)
		no_domain(&bed, id);
	assert_int_equal(invalidate(&bed, ID), -IOG_EIO);
	bed_fini(&bed);
}

static void test_invalidate_by_address(void **state)
{
	const uint64_t asid = (uint64_t)ID << 48;
	struct bed bed;

	(void)state;
	bed_init(&bed, without_range, (struct iog_smmuv3_config){ .commands_max = 8 });
	bed_on(&bed);
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	gather(&bed, PAGE);
	range(&bed, 0x40000, 3 * PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x12 | asid, 0x40000 | 1);
	EXPECT(1, 0x12 | asid, 0x41000 | 1);
	EXPECT(2, 0x12 | asid, 0x42000 | 1);
	EXPECT_END(3);
	/* Large leaves: one command each. */
	gather(&bed, 2 * MiB);
	range(&bed, 4 * MiB, 4 * MiB);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x12 | asid, 4 * MiB | 1);
	EXPECT(1, 0x12 | asid, 6 * MiB | 1);
	EXPECT_END(2);
	/* A table of leaves: one address of its span. A higher one: the domain. */
	gather(&bed, PAGE);
	table(&bed, 2 * MiB, 2 * MiB);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x12 | asid, 2 * MiB);
	EXPECT_END(1);
	gather(&bed, PAGE);
	table(&bed, 0, 1024 * MiB);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x11 | asid, 0);
	EXPECT_END(1);
	gather(&bed, PAGE);
	range(&bed, 0, 9 * PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x11 | asid, 0);
	no_domain(&bed, ID);
	bed_fini(&bed);
}

static void test_removal(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ .timeout_ms = 2 });
	bed_on(&bed);
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	model_forget(bed.model);
	bed.model->deaf = true;
	assert_int_equal(bed.unit->ops->domain_remove(bed.unit, ID), -IOG_ETIMEDOUT);
	bed.model->deaf = false;
	model_forget(bed.model);
	no_domain(&bed, ID);
	assert_int_equal(model_count(bed.model, CMD_TLBI_NH_ASID), 2);
	bed_fini(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_invalidate_range),
		cmocka_unit_test(test_invalidate_by_address),
		cmocka_unit_test(test_removal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * SMMUv3: stream table entries, how one becomes another, and devices with TLBs of their own.
 */
#include "smmuv3_bed.h"
#include "unit_moves.h"

static void test_entries(void **state)
{
	const uint64_t *entry, *cd;
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ 0 });
	bed_on(&bed);
	assert_null(model_entry(bed.model, DEVICE));
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_BLOCKED, 0), 0);
	entry = model_entry(bed.model, DEVICE);
	assert_non_null(entry);
	assert_int_equal(entry[0], 1);
	assert_int_equal(model_entry(bed.model, DEVICE + 1)[0], 0);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_IDENTITY, 0), 0);
	assert_int_equal(entry[0], 1 | 4 << 1);
	assert_int_equal(entry[1], UINT64_C(1) << 44 | 3 << 6 | 1 << 4 | 1 << 2);

	domain(&bed, ID, "arm_s1_4k", 4, 48);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, ID), 0);
	assert_int_equal(entry[0] & 0x3f, 1 | 5 << 1);
	assert_int_equal(entry[2] & 0xffff, 0);
	cd = (const uint64_t *)(uintptr_t)((entry[0] & BITS(51, 6)) + bed.model->platform.direct_map_offset);
	/* T0SZ 16, TG0 4K, IR0 OR0 write-back, inner shareable, EPD1, V, IPS 48 bits, AA64, R, A, ASET, ASID. */
	assert_int_equal(cd[0], 16 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 30 | UINT64_C(1) << 31 | UINT64_C(5) << 32 | UINT64_C(1) << 41 | UINT64_C(7) << 45 | (uint64_t)ID << 48);
	assert_int_equal(cd[1], 0x123450000);
	assert_int_equal(cd[3], 0x0444ff);

	/* Stage 2: start levels by granule, VMID, sizes. */
	domain(&bed, 6, "arm_s2_4k", 4, 44);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, 6), 0);
	entry = model_entry(bed.model, DEVICE);
	assert_int_equal(entry[0], 1 | 6 << 1);
	assert_int_equal(entry[2], 6 | UINT64_C(20) << 32 | UINT64_C(2) << 38 | UINT64_C(1) << 40 | UINT64_C(1) << 42 | UINT64_C(3) << 44 | UINT64_C(5) << 48 | UINT64_C(1) << 51 |
					   UINT64_C(1) << 58);
	assert_int_equal(entry[3], 0x123450000);
	domain(&bed, 7, "arm_s2_64k", 2, 44);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, 7), 0);
	entry = model_entry(bed.model, DEVICE);
	assert_int_equal(entry[2] >> 38 & 3, 1);
	assert_int_equal(entry[2] >> 46 & 3, 1);
	domain(&bed, 8, "arm_s2_16k", 3, 40);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, 8), 0);
	entry = model_entry(bed.model, DEVICE);
	assert_int_equal(entry[2] >> 38 & 3, 2);
	assert_int_equal(entry[2] >> 46 & 3, 2);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, 99), -IOG_ENOENT);
	assert_int_equal(set(&bed, 1 << 16, IOG_DOMAIN_BLOCKED, 0), -IOG_ERANGE);

	/* What the unit cannot walk. */
	{
		struct iog_pgtable_root root = root_of("vtdss", 4, 48);

		assert_int_equal(bed.unit->ops->domain_add(bed.unit, 20, &root), -IOG_EOPNOTSUPP);
		root = root_of("arm_s1_4k_lpa2", 5, 52);
		assert_int_equal(bed.unit->ops->domain_add(bed.unit, 20, &root), -IOG_EOPNOTSUPP);
		root = root_of("arm_s1_64k", 3, 52);
		assert_int_equal(bed.unit->ops->domain_add(bed.unit, 20, &root), -IOG_EOPNOTSUPP);
		root = root_of("arm_s1_4k", 4, 48);
		root.oas = 52;
		assert_int_equal(bed.unit->ops->domain_add(bed.unit, 20, &root), -IOG_EOPNOTSUPP);
	}
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_BLOCKED, 0), 0);
	for (uint32_t id = ID; id <= 8; id++)
		no_domain(&bed, id);
	assert_int_equal(bed.unit->ops->domain_remove(bed.unit, ID), -IOG_ENOENT);
	bed_fini(&bed);
}

static void without_stage1(struct model *model)
{
	*model_register(model, IDR0) &= ~(uint32_t)IDR0_S1P;
}

/* A unit with stage 2 only has no context descriptors, and refuses commands about them. */
static void test_stage2_only(void **state)
{
	struct bed bed;

	(void)state;
	for (uint32_t linear = 0; linear < 2; linear++) {
		bed_init(&bed, without_stage1, (struct iog_smmuv3_config){ .flags = linear ? IOG_SMMUV3_LINEAR : 0 });
		bed_on(&bed);
		domain(&bed, ID, "arm_s2_4k", 4, 44);
		domain(&bed, ID + 1, "arm_s2_16k", 3, 40);
		assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, ID), 0);
		assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, ID + 1), 0);
		assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_IDENTITY, 0), 0);
		assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_BLOCKED, 0), 0);
		assert_int_equal(model_count(bed.model, CMD_CFGI_CD_ALL), 0);
		no_domain(&bed, ID);
		no_domain(&bed, ID + 1);
		bed_fini(&bed);
	}
}

static void test_ats(void **state)
{
	const uint64_t *entry;
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ .device_timeout_ms = 5 });
	bed_on(&bed);
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	assert_int_equal(iog_smmuv3_device_ats(bed.driver, 1 << 16, true), -IOG_ERANGE);
	assert_int_equal(iog_smmuv3_device_ats(bed.driver, DEVICE, true), 0);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, ID), 0);
	entry = model_entry(bed.model, DEVICE);
	assert_int_equal(entry[1] >> 28 & 3, 1);
	/* Others may not. */
	assert_int_equal(set(&bed, DEVICE + 1, IOG_DOMAIN_PAGING, ID), 0);
	assert_int_equal(model_entry(bed.model, DEVICE + 1)[1] >> 28 & 3, 0);

	/* Ranges in the form that devices know: an aligned power of two. */
	gather(&bed, PAGE);
	range(&bed, 0x5000, PAGE);
	range(&bed, 0x7000, 3 * PAGE);
	model_forget(bed.model);
	assert_int_equal(bed.unit->ops->device_invalidate(bed.unit, DEVICE, &bed.gather), 0);
	EXPECT(0, 0x40 | (uint64_t)DEVICE << 32, 0x5000);
	EXPECT(1, 0x40 | (uint64_t)DEVICE << 32, 0x0000 | 4);
	EXPECT_END(2);
	model_forget(bed.model);
	assert_int_equal(bed.unit->ops->device_invalidate(bed.unit, DEVICE, NULL), 0);
	EXPECT(0, 0x40 | (uint64_t)DEVICE << 32, 52);

	/* The device does not answer: its caller is told, and nobody else. */
	refuse(&bed, CMD_SYNC, CERROR_ATC_INV_SYNC, 1);
	assert_int_equal(bed.unit->ops->device_invalidate(bed.unit, DEVICE, NULL), -IOG_ETIMEDOUT);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), 0);
	/* Blocked, without another word of the entry touched. */
	assert_int_equal(bed.unit->ops->device_block(bed.unit, DEVICE), 0);
	assert_int_equal(entry[0], 1);
	assert_int_equal(bed.unit->ops->device_block(bed.unit, 0x4000), 0);
	/* Set again: what it was told before is forgotten. */
	model_forget(bed.model);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, ID), 0);
	assert_int_equal(model_count(bed.model, CMD_ATC_INV), 1);
	/* It is silent while it is being moved: an error, and it is as before. */
	bed.model->refuse_times = 0;
	model_forget(bed.model);
	domain(&bed, 9, "arm_s1_4k", 4, 48);
	{
		uint64_t before[8];

		memcpy(before, model_entry(bed.model, DEVICE), sizeof(before));
		refuse(&bed, CMD_ATC_INV, CERROR_ILL, 1);
		assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, 9), -IOG_EIO);
		assert_memory_equal(model_entry(bed.model, DEVICE), before, sizeof(before));
	}
	assert_int_equal(iog_smmuv3_device_ats(bed.driver, DEVICE, false), 0);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_BLOCKED, 0), 0);
	assert_int_equal(set(&bed, DEVICE + 1, IOG_DOMAIN_BLOCKED, 0), 0);
	no_domain(&bed, ID);
	no_domain(&bed, 9);
	bed_fini(&bed);
}

static bool same_view(const uint64_t *a, const uint64_t *b)
{
	uint32_t config = a[0] >> 1 & 7;

	if (a[0] != b[0])
		return false;
	switch (config) {
	case 4:
		return a[1] == b[1];
	case 5:
		return a[1] == b[1] && (a[2] & 0xffff) == (b[2] & 0xffff);
	case 6:
		return a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
	default:
		return true;
	}
}

/* In a linear table: where two words are one domain's or the other's, at stage 2 before or after. */
static bool hole_allowed(uint32_t from, uint32_t to)
{
	return from < KIND_IDENTITY && to < KIND_IDENTITY && (from >= KIND_SECOND || to >= KIND_SECOND);
}

/* What is remembered of the entry, and of its context descriptor. */
static bool forgotten(const struct model *model)
{
	return model_count(model, CMD_CFGI_STE) + model_count(model, CMD_CFGI_STE_RANGE) && model_count(model, CMD_CFGI_CD_ALL);
}

static void test_replace(void **state)
{
	(void)state;
	assert_false(replacements((struct iog_smmuv3_config){ 0 }, 0));
	assert_true(replacements((struct iog_smmuv3_config){ .flags = IOG_SMMUV3_LINEAR }, 0));
}

static void test_replace_deaf(void **state)
{
	(void)state;
	replace_deaf(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_stage2_only),
		cmocka_unit_test(test_ats),
		cmocka_unit_test(test_ats_no_memory),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_replace_deaf),
		cmocka_unit_test(test_block_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

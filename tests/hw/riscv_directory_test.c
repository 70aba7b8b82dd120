/* SPDX-License-Identifier: MIT */
/*
 * RISC-V: device contexts, how one becomes another, and devices with TLBs of their own.
 */
#include "riscv_bed.h"
#include "unit_moves.h"

static void base_format(struct model *model)
{
	*model_register64(model, CAPABILITIES) &= ~CAP_MSI_FLAT;
}

static void test_contexts(void **state)
{
	static const struct {
		uint32_t bits, levels;
	} directories[][4] = { { { 6, 2 }, { 6, 1 }, { 15, 2 }, { 24, 3 } }, { { 7, 2 }, { 7, 1 }, { 16, 2 }, { 24, 3 } } };

	(void)state;
	for (uint32_t base = 0; base < 2; base++)
		for (uint32_t n = 0; n < 4; n++) {
			uint32_t last = (1u << directories[base][n].bits) - 1;
			struct iog_riscv_info info;
			const uint64_t *context;
			struct bed bed;

			bed_init(&bed, base ? base_format : NULL, (struct iog_riscv_config){ .device_bits = directories[base][n].bits });
			bed.model->most_levels = directories[base][n].levels;
			bed_on(&bed);
			iog_riscv_info(bed.driver, &info);
			assert_int_equal(info.levels, directories[base][n].levels);
			assert_int_equal(info.extended, !base);
			domain(&bed, ID, "riscv", 4, 48);
			domain(&bed, 6, "riscv_x4", 5, 59);
			assert_int_equal(set(&bed, last + 1, IOG_DOMAIN_BLOCKED, 0), -IOG_ERANGE);
			assert_int_equal(set(&bed, last, IOG_DOMAIN_PAGING, 99), -IOG_ENOENT);
			assert_int_equal(set(&bed, last, IOG_DOMAIN_PAGING, ID), 0);
			context = model_entry(bed.model, last);
			assert_non_null(context);
			assert_int_equal(context[0], 1);
			assert_int_equal(context[1], 0);
			assert_int_equal(context[2], ID << 12);
			assert_int_equal(context[3], UINT64_C(9) << 60 | 0x123454);
			assert_int_equal(set(&bed, last, IOG_DOMAIN_PAGING, 6), 0);
			context = model_entry(bed.model, last);
			assert_int_equal(context[1], UINT64_C(10) << 60 | UINT64_C(6) << 44 | 0x123454);
			assert_int_equal(context[2] | context[3], 0);
			assert_int_equal(set(&bed, last, IOG_DOMAIN_IDENTITY, 0), 0);
			assert_int_equal(context[0], 1);
			assert_int_equal(context[1] | context[2] | context[3], 0);
			assert_int_equal(set(&bed, 0, IOG_DOMAIN_IDENTITY, 0), 0);
			assert_int_equal(model_entry(bed.model, 0)[0], 1);
			assert_int_equal(set(&bed, last, IOG_DOMAIN_BLOCKED, 0), 0);
			assert_int_equal(context[0], 0);
			no_domain(&bed, ID);
			no_domain(&bed, 6);
			bed_fini(&bed);
		}
}

static void test_ats(void **state)
{
	const uint32_t device = 0x021234;
	const uint64_t ats = 4 | UINT64_C(0x1234) << 40 | UINT64_C(1) << 33 | UINT64_C(2) << 56;
	const uint64_t *context;
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_riscv_config){ .device_bits = 24, .device_timeout_ms = 5 });
	bed_on(&bed);
	domain(&bed, ID, "riscv", 4, 48);
	assert_int_equal(iog_riscv_device_ats(bed.driver, 1 << 24, true), -IOG_ERANGE);
	assert_int_equal(iog_riscv_device_ats(bed.driver, device, true), 0);
	assert_int_equal(set(&bed, device, IOG_DOMAIN_PAGING, ID), 0);
	context = model_entry(bed.model, device);
	assert_int_equal(context[0], 3);
	assert_int_equal(set(&bed, device + 1, IOG_DOMAIN_PAGING, ID), 0);
	assert_int_equal(model_entry(bed.model, device + 1)[0], 1);
	gather(&bed, PAGE);
	range(&bed, 0x5000, PAGE);
	range(&bed, 0x7000, 3 * PAGE);
	model_forget(bed.model);
	assert_int_equal(bed.unit->ops->device_invalidate(bed.unit, device, &bed.gather), 0);
	EXPECT(0, ats, 0x5000);
	/* 64 KiB from 0. */
	EXPECT(1, ats, 0x7000 | 1 << 11);
	EXPECT_END(2);
	model_forget(bed.model);
	assert_int_equal(bed.unit->ops->device_invalidate(bed.unit, device, NULL), 0);
	EXPECT(0, ats, UINT64_C(0x7ffffffffffff000) | 1 << 11);
	/* It does not answer: its caller is told, and nobody else. */
	refuse(&bed, CMD_IOFENCE_C, CQCSR_CMD_TO, 1);
	assert_int_equal(bed.unit->ops->device_invalidate(bed.unit, device, NULL), -IOG_ETIMEDOUT);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), 0);
	assert_int_equal(bed.unit->ops->device_block(bed.unit, device), 0);
	assert_int_equal(context[0], 0);
	assert_int_equal(bed.unit->ops->device_block(bed.unit, 0x40000), 0);
	model_forget(bed.model);
	assert_int_equal(set(&bed, device, IOG_DOMAIN_PAGING, ID), 0);
	assert_int_equal(model_count(bed.model, CMD_ATS_INVAL), 1);
	/* Silent while it is being moved: an error, and it is as before. */
	domain(&bed, 9, "riscv_x4", 4, 50);
	{
		uint64_t before[8];

		memcpy(before, model_entry(bed.model, device), sizeof(before));
		refuse(&bed, CMD_ATS_INVAL, CQCSR_CMD_ILL, 1);
		assert_int_equal(set(&bed, device, IOG_DOMAIN_PAGING, 9), -IOG_EIO);
		assert_memory_equal(model_entry(bed.model, device), before, sizeof(before));
	}
	assert_int_equal(iog_riscv_device_ats(bed.driver, device, false), 0);
	assert_int_equal(set(&bed, device, IOG_DOMAIN_BLOCKED, 0), 0);
	assert_int_equal(set(&bed, device + 1, IOG_DOMAIN_BLOCKED, 0), 0);
	no_domain(&bed, ID);
	no_domain(&bed, 9);
	bed_fini(&bed);
}

static bool same_view(const uint64_t *a, const uint64_t *b)
{
	return a[0] == b[0] && (!(a[0] & 1) || (a[1] == b[1] && a[3] == b[3] && (!(a[3] >> 60) || a[2] == b[2])));
}

/* In a directory of one level: where two words are one domain's or the other's. */
static bool hole_allowed(uint32_t from, uint32_t to)
{
	return from < KIND_IDENTITY && to < KIND_IDENTITY && (from < KIND_SECOND || to < KIND_SECOND);
}

static bool forgotten(const struct model *model)
{
	return model_count(model, CMD_IODIR_INVAL_DDT);
}

static void test_replace(void **state)
{
	(void)state;
	assert_false(replacements((struct iog_riscv_config){ .device_bits = 16 }, 3));
	assert_false(replacements((struct iog_riscv_config){ .device_bits = 15 }, 3));
	assert_false(replacements((struct iog_riscv_config){ .device_bits = 6 }, 3));
	/* A unit that walks one level only. */
	assert_true(replacements((struct iog_riscv_config){ .device_bits = 6 }, 1));
}

/* As after a reset: the queue is off. */
static void queue_off(struct model *model)
{
	*model_register(model, CQCSR) = 0;
}

static void test_replace_deaf(void **state)
{
	(void)state;
	replace_deaf(queue_off);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contexts),
		cmocka_unit_test(test_ats),
		cmocka_unit_test(test_ats_no_memory),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_replace_deaf),
		cmocka_unit_test(test_block_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

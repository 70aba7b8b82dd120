/* SPDX-License-Identifier: MIT */
/*
 * RISC-V: what is forgotten, as commands; the command queue, when it is small or stops, and when several lanes are at it.
 */
#include "riscv_bed.h"
#include "unit_lanes.h"

#define VMA (1 | UINT64_C(1) << 32 | ID << 12)
#define GVMA(id) (1 | 1 << 7 | UINT64_C(1) << 33 | (uint64_t)(id) << 44)
#define AV (1 << 10)
#define NL (UINT64_C(1) << 34)
#define S (1 << 9)
/* An address that stands for 2^n pages. */
#define NAPOT(address, n) (((address) >> 12 | ((UINT64_C(1) << ((n) - 1)) - 1)) << 10 | S)

static void test_invalidate_range(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_riscv_config){ .commands_max = 8 });
	bed_on(&bed);
	domain(&bed, ID, "riscv", 4, 48);
	domain(&bed, 6, "riscv_x4", 4, 50);

	gather(&bed, PAGE);
	range(&bed, 0x7fff12345000, PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA | AV, UINT64_C(0x7fff12345000) >> 2);
	EXPECT_END(1);
	/* Aligned powers of two. */
	gather(&bed, PAGE);
	range(&bed, 0x40000, 64 * PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA | AV, NAPOT(UINT64_C(0x40000), 6));
	EXPECT_END(1);
	gather(&bed, PAGE);
	range(&bed, 0x41000, 6 * PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA | AV, UINT64_C(0x41000) >> 2);
	EXPECT(1, VMA | AV, NAPOT(UINT64_C(0x42000), 1));
	EXPECT(2, VMA | AV, NAPOT(UINT64_C(0x44000), 1));
	EXPECT(3, VMA | AV, UINT64_C(0x46000) >> 2);
	EXPECT_END(4);
	/* From 0, and to the end of what is sign-extended. */
	gather(&bed, PAGE);
	range(&bed, 0, 2 * PAGE);
	range(&bed, -(2 * PAGE), 2 * PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA | AV, NAPOT(UINT64_C(0), 1));
	EXPECT(1, VMA | AV, NAPOT(-(2 * PAGE), 1));
	EXPECT_END(2);

	/* A table went: what is not a leaf, too. */
	gather(&bed, PAGE);
	range(&bed, 0x40000, PAGE);
	table(&bed, 2 * MiB, 2 * MiB);
	table(&bed, 1024 * MiB, 1024 * MiB);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA | AV | NL, UINT64_C(0x40000) >> 2);
	EXPECT(1, VMA | AV | NL, NAPOT(2 * MiB, 9));
	EXPECT(2, VMA | AV | NL, NAPOT(1024 * MiB, 18));
	EXPECT_END(3);
	gather(&bed, PAGE);
	range(&bed, 0x40000, PAGE);
	bed.gather.walk_caches = true;
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA | AV | NL, UINT64_C(0x40000) >> 2);

	/* Second stage. */
	gather(&bed, PAGE);
	range(&bed, 0x40000, PAGE);
	assert_int_equal(invalidate(&bed, 6), 0);
	EXPECT(0, GVMA(6) | AV, UINT64_C(0x40000) >> 2);
	EXPECT_END(1);

	/* The whole domain: asked for, or cheaper. */
	model_forget(bed.model);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), 0);
	EXPECT(0, VMA, 0);
	EXPECT_END(1);
	model_forget(bed.model);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, 6, NULL), 0);
	EXPECT(0, GVMA(6), 0);
	EXPECT_END(1);
	gather(&bed, PAGE);
	bed.gather.everything = true;
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA, 0);
	gather(&bed, PAGE);
	for (uint32_t n = 0; n < 9; n++)
		range(&bed, n * MiB, PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA, 0);
	EXPECT_END(1);
	no_domain(&bed, ID);
	no_domain(&bed, 6);
	assert_int_equal(invalidate(&bed, ID), -IOG_EIO);
	bed_fini(&bed);
}

static void plain(struct model *model)
{
	*model_register64(model, CAPABILITIES) &= ~(CAP_NL | CAP_S);
}

static void test_invalidate_by_address(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, plain, (struct iog_riscv_config){ .commands_max = 8 });
	bed_on(&bed);
	domain(&bed, ID, "riscv", 4, 48);
	gather(&bed, PAGE);
	range(&bed, 0x40000, 3 * PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA | AV, UINT64_C(0x40000) >> 2);
	EXPECT(1, VMA | AV, UINT64_C(0x41000) >> 2);
	EXPECT(2, VMA | AV, UINT64_C(0x42000) >> 2);
	EXPECT_END(3);
	gather(&bed, 2 * MiB);
	range(&bed, 4 * MiB, 4 * MiB);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA | AV, 4 * MiB >> 2);
	EXPECT(1, VMA | AV, 6 * MiB >> 2);
	EXPECT_END(2);
	gather(&bed, PAGE);
	range(&bed, 0, 9 * PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA, 0);
	/* Without NL, by address is leaves only. */
	gather(&bed, PAGE);
	range(&bed, 0x40000, PAGE);
	table(&bed, 0, 2 * MiB);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA, 0);
	EXPECT_END(1);
	gather(&bed, PAGE);
	range(&bed, 0x40000, PAGE);
	bed.gather.walk_caches = true;
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA, 0);
	EXPECT_END(1);
	no_domain(&bed, ID);
	bed_fini(&bed);
}

static void test_wrap(void **state)
{
	(void)state;
	for (uint32_t log2 = 2; log2 <= 4; log2++) {
		struct bed bed;

		bed_init(&bed, plain, (struct iog_riscv_config){ .command_log2 = log2 });
		bed_on(&bed);
		domain(&bed, ID, "riscv", 4, 48);
		for (uint32_t n = 0; n < 200; n++) {
			gather(&bed, PAGE);
			for (uint32_t i = 0; i <= n % 9; i++)
				range(&bed, (UINT64_C(1) << 30) * i + n * PAGE, PAGE);
			assert_int_equal(invalidate(&bed, ID), 0);
			assert_int_equal(model_count(bed.model, CMD_IOTINVAL_VMA), n % 9 + 1);
			assert_int_equal(bed.model->log[bed.model->nr_log - 2][1], ((UINT64_C(1) << 30) * (n % 9) + n * PAGE) >> 2);
			assert_int_equal(bed.model->log[bed.model->nr_log - 1][0] & CMD_MASK, CMD_IOFENCE_C);
		}
		no_domain(&bed, ID);
		bed_fini(&bed);
	}
}

static void test_deaf(void **state)
{
	struct iog_riscv_stats stats;
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_riscv_config){ .timeout_ms = 5, .command_log2 = 3 });
	bed_on(&bed);
	domain(&bed, ID, "riscv", 4, 48);
	bed.model->deaf = true;
	for (uint32_t n = 0; n < 10; n++) {
		uint64_t began = bed.model->now;

		assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), -IOG_ETIMEDOUT);
		/* All but the first for less long, as that one has found out. */
		assert_in_range(bed.model->now - began, n ? 5000000 / 16 : 5000000, n ? 1000000 : 6000000);
	}
	iog_riscv_stats(bed.driver, &stats);
	assert_int_equal(stats.timeouts, 10);
	assert_int_equal(bed.unit->ops->domain_remove(bed.unit, ID), -IOG_ETIMEDOUT);
	bed.model->dead = true;
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), -IOG_ETIMEDOUT);
	assert_int_equal(iog_riscv_interrupt(bed.driver), 0);
	bed.model->dead = false;
	/* It comes back. */
	bed.model->deaf = false;
	bed.model->platform.mmio_write32(bed.model, MODEL_BASE + CQCSR, CQCSR_CQEN | CQCSR_CIE);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), 0);
	no_domain(&bed, ID);
	bed_fini(&bed);
}

static void test_refused(void **state)
{
	struct iog_riscv_stats stats;
	struct bed bed;

	(void)state;
	bed_init(&bed, plain, (struct iog_riscv_config){ .timeout_ms = 50 });
	bed_on(&bed);
	domain(&bed, ID, "riscv", 4, 48);
	gather(&bed, PAGE);
	for (uint32_t n = 0; n < 3; n++)
		range(&bed, n * MiB, PAGE);
	/* The first of three is illegal: it becomes a fence that says nothing, the others are carried out, and the caller is told. */
	refuse(&bed, CMD_IOTINVAL_VMA, CQCSR_CMD_ILL, 1);
	assert_int_equal(invalidate(&bed, ID), -IOG_EIO);
	assert_int_equal(model_count(bed.model, CMD_IOTINVAL_VMA), 2);
	EXPECT(0, CMD_IOFENCE_C, 0);
	assert_int_equal(invalidate(&bed, ID), 0);
	/* It could not be read: it is read again. */
	bed.model->refuse_error = CQCSR_CQMF;
	bed.model->refuse_times = 2;
	assert_int_equal(invalidate(&bed, ID), 0);
	assert_int_equal(model_count(bed.model, CMD_IOTINVAL_VMA), 3);
	/* Again and again: the queue is emptied, and the caller submits anew. */
	bed.model->refuse_times = 4;
	assert_int_equal(invalidate(&bed, ID), -IOG_EAGAIN);
	for (uint32_t n = 0; n < 5; n++)
		assert_int_equal(invalidate(&bed, ID), 0);
	iog_riscv_stats(bed.driver, &stats);
	assert_int_equal(stats.command_errors, 1 + 2 + 4);
	no_domain(&bed, ID);
	bed_fini(&bed);
}

/* Somebody who waits for another's fence, in the middle of that one's call. */
static struct {
	struct bed *bed;
	int error;
} inside;

static void relax_once(void *ctx)
{
	struct bed *bed = inside.bed;

	(void)ctx;
	if (!bed)
		return;
	inside.bed = NULL;
	gather(bed, PAGE);
	for (uint32_t n = 0; n < 12; n++)
		range(bed, n * MiB, PAGE);
	inside.error = invalidate(bed, ID);
}

/* What was given up stands behind the last fence, and nobody waits for it: the queue is no less than it was. */
static void test_given_up(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_riscv_config){ .timeout_ms = 5, .command_log2 = 4 });
	bed_on(&bed);
	domain(&bed, ID, "riscv", 4, 48);
	bed.model->deaf = true;
	bed.model->platform.relax = relax_once;
	inside.bed = &bed;
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), -IOG_ETIMEDOUT);
	assert_int_equal(inside.error, -IOG_ETIMEDOUT);
	/* It goes on. */
	bed.model->deaf = false;
	bed.model->platform.mmio_write32(bed.model, MODEL_BASE + CQT, *model_register(bed.model, CQT));
	assert_int_equal(*model_register(bed.model, CQH), *model_register(bed.model, CQT));
	gather(&bed, PAGE);
	for (uint32_t n = 0; n < 4; n++)
		range(&bed, n * MiB, PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	no_domain(&bed, ID);
	bed_fini(&bed);
}

static void test_lanes(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_riscv_config){ .command_log2 = 2 });
	bed_on(&bed);
	domain(&bed, ID, FIRST);
	lanes_run(&bed);
	no_domain(&bed, ID);
	bed_fini(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_invalidate_range),
		cmocka_unit_test(test_invalidate_by_address),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_deaf),
		cmocka_unit_test(test_given_up),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_lanes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

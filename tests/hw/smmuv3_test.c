/* SPDX-License-Identifier: MIT */
/*
 * The SMMUv3 driver: creation, turning the unit on and off, a unit that is lost, and one that does not snoop.
 */
#include "smmuv3_bed.h"

static void test_create(void **state)
{
	struct model *model = calloc(1, sizeof(*model));
	struct iog_smmuv3_config config = { .registers = MODEL_BASE };
	struct iog_smmuv3 *smmu = NULL;
	struct iog_platform clockless;
	uint32_t idr;

	(void)state;
	model_init(model);
	config.platform = &model->platform;
	model->dead = true;
	assert_int_equal(iog_smmuv3_create(&config, &smmu), -IOG_EOPNOTSUPP);
	model->dead = false;
	clockless = model->platform;
	clockless.now_ns = NULL;
	config.platform = &clockless;
	assert_int_equal(iog_smmuv3_create(&config, &smmu), -IOG_EINVAL);
	config.platform = &model->platform;
	config.flags = 1 << 20;
	assert_int_equal(iog_smmuv3_create(&config, &smmu), -IOG_EINVAL);
	config.flags = 0;
	config.stream_bits = 17;
	assert_int_equal(iog_smmuv3_create(&config, &smmu), -IOG_EINVAL);
	config.stream_bits = 25;
	assert_int_equal(iog_smmuv3_create(&config, &smmu), -IOG_EINVAL);
	config.stream_bits = 0;
	config.commands_max = 65;
	assert_int_equal(iog_smmuv3_create(&config, &smmu), -IOG_EINVAL);
	config.commands_max = 0;
	/* No 64-bit tables; queues at fixed addresses. */
	idr = *model_register(model, IDR0);
	*model_register(model, IDR0) = idr & ~(uint32_t)(3 << 2);
	assert_int_equal(iog_smmuv3_create(&config, &smmu), -IOG_EOPNOTSUPP);
	*model_register(model, IDR0) = idr;
	*model_register(model, IDR1) |= (uint32_t)IDR1_QUEUES_PRESET;
	assert_int_equal(iog_smmuv3_create(&config, &smmu), -IOG_EOPNOTSUPP);
	*model_register(model, IDR1) &= ~(uint32_t)IDR1_QUEUES_PRESET;
	/* A unit that does not snoop wants caches cleaned, and page tables that do. */
	*model_register(model, IDR0) = idr & ~(uint32_t)IDR0_COHACC;
	model->platform.cache_flush = NULL;
	assert_int_equal(iog_smmuv3_create(&config, &smmu), -IOG_EINVAL);
	assert_null(smmu);
	model_fini(model);
	free(model);
}

static void test_no_memory(void **state)
{
	struct model *model = calloc(1, sizeof(*model));
	struct iog_pgtable_root root = root_of("arm_s1_4k", 4, 48);
	struct iog_smmuv3 *smmu = NULL;
	struct iog_unit *unit;

	(void)state;
	model_init(model);
	failing_begin(model);
	assert_true(failing_create(model, &smmu) > 6);
	/* A domain, and a stream's first entry. */
	unit = iog_smmuv3_unit(smmu);
	failing.left = 0;
	assert_int_equal(unit->ops->domain_add(unit, 1, &root), -IOG_ENOMEM);
	failing.left = 0;
	assert_int_equal(unit->ops->device_set(unit, 1, IOG_DOMAIN_IDENTITY, 0), -IOG_ENOMEM);
	failing.left = UINT32_MAX;
	assert_int_equal(iog_smmuv3_destroy(smmu), 0);
	model_fini(model);
	free(model);
}

static void with_hypervisor(struct model *model)
{
	*model_register(model, IDR0) |= (uint32_t)IDR0_HYP;
}

static void test_enable(void **state)
{
	struct iog_smmuv3_info info;
	struct bed bed;

	(void)state;
	bed_init(&bed, with_hypervisor, (struct iog_smmuv3_config){ .stream_bits = 16 });
	iog_smmuv3_info(bed.driver, &info);
	assert_true(info.stage1 && info.stage2 && info.two_level && info.coherent && info.ats && info.range && !info.msi);
	assert_int_equal(info.oas, 48);
	assert_int_equal(info.granules, 0x15000);
	assert_int_equal(bed.unit->domain_ids, 65535);
	assert_int_equal(iog_smmuv3_enable(bed.driver), 0);
	/* Everything is forgotten before anything is translated. */
	EXPECT(0, 0x04, 31);
	EXPECT(1, 0x30, 0);
	EXPECT(2, 0x20, 0);
	EXPECT(3, 0x46, 0);
	assert_int_equal(bed.model->nr_log, 4);
	assert_int_equal(*model_register(bed.model, CR0), CR0_SMMUEN | CR0_EVENTQEN | CR0_CMDQEN | CR0_ATSCHK);
	assert_int_equal(*model_register(bed.model, CR2), CR2_PTM | CR2_RECINVSID);
	assert_int_equal(*model_register(bed.model, STRTAB_BASE_CFG), 16 | 6 << 6 | 1 << 16);
	assert_int_equal(*model_register(bed.model, IRQ_CTRL), IRQ_CTRL_GERROR | IRQ_CTRL_EVENTQ);
	assert_int_equal(iog_smmuv3_enable(bed.driver), 0);
	assert_int_equal(iog_smmuv3_destroy(bed.driver), -IOG_EBUSY);
	assert_int_equal(iog_smmuv3_disable(bed.driver), 0);
	assert_int_equal(*model_register(bed.model, CR0), 0);
	assert_int_equal(*model_register(bed.model, GBPA) & GBPA_ABORT, 0);
	assert_int_equal(iog_smmuv3_enable(bed.driver), 0);
	assert_int_equal(iog_smmuv3_suspend(bed.driver), 0);
	assert_int_equal(*model_register(bed.model, GBPA) & GBPA_ABORT, GBPA_ABORT);
	assert_int_equal(iog_smmuv3_resume(bed.driver), 0);
	bed_fini(&bed);
}

static void left_on(struct model *model)
{
	*model_register(model, CR0) = *model_register(model, CR0ACK) = (uint32_t)(CR0_SMMUEN | CR0_CMDQEN);
	/* Errors of then. */
	*model_register(model, GERROR) = 0x5;
}

static void test_hand_over(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, left_on, (struct iog_smmuv3_config){ .flags = IOG_SMMUV3_ABORT_WHEN_OFF });
	assert_int_equal(iog_smmuv3_enable(bed.driver), 0);
	assert_int_equal(*model_register(bed.model, GBPA) & GBPA_ABORT, GBPA_ABORT);
	assert_int_equal(*model_register(bed.model, GERRORN), 0x5);
	assert_int_equal(model_count(bed.model, CMD_CFGI_STE_RANGE), 1);
	assert_int_equal(iog_smmuv3_disable(bed.driver), 0);
	assert_int_equal(*model_register(bed.model, GBPA) & GBPA_ABORT, GBPA_ABORT);
	bed_fini(&bed);
}

/* From here on nothing is acknowledged. */
static void fall_mute(struct model *model)
{
	model->mute = true;
}

/* What the unit may have taken for its tables stays until it has said that it is off. */
static void test_enable_lost(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ .timeout_ms = 2 });
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	bed.model->at_fence = fall_mute;
	assert_int_equal(iog_smmuv3_enable(bed.driver), -IOG_ETIMEDOUT);
	assert_int_equal(iog_smmuv3_destroy(bed.driver), -IOG_EBUSY);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), -IOG_ETIMEDOUT);
	assert_int_equal(iog_smmuv3_disable(bed.driver), -IOG_ETIMEDOUT);
	assert_int_equal(iog_smmuv3_destroy(bed.driver), -IOG_EBUSY);
	bed.model->at_fence = NULL;
	bed.model->mute = false;
	assert_int_equal(iog_smmuv3_disable(bed.driver), 0);
	no_domain(&bed, ID);
	assert_int_equal(iog_smmuv3_destroy(bed.driver), 0);
	model_fini(bed.model);
	free(bed.model);
}

static void test_control_mute(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ .timeout_ms = 2 });
	bed.model->mute = true;
	assert_int_equal(iog_smmuv3_enable(bed.driver), -IOG_ETIMEDOUT);
	bed.model->mute = false;
	assert_int_equal(iog_smmuv3_enable(bed.driver), 0);
	bed.model->mute = true;
	assert_int_equal(iog_smmuv3_disable(bed.driver), -IOG_ETIMEDOUT);
	bed.model->mute = false;
	/* It takes no command when it is turned on. */
	assert_int_equal(iog_smmuv3_disable(bed.driver), 0);
	bed.model->deaf = true;
	assert_int_equal(iog_smmuv3_enable(bed.driver), -IOG_ETIMEDOUT);
	assert_int_equal(*model_register(bed.model, CR0), 0);
	bed.model->deaf = false;
	bed_on(&bed);
	bed_fini(&bed);
}

static void not_snooping(struct model *model)
{
	*model_register(model, IDR0) &= ~(uint32_t)IDR0_COHACC;
}

static void test_noncoherent(void **state)
{
	struct iog_pgtable_root root = root_of("arm_s1_4k", 4, 48);
	struct bed bed;
	uint32_t cleans;

	(void)state;
	bed_init(&bed, not_snooping, (struct iog_smmuv3_config){ 0 });
	assert_int_equal(bed.unit->pgtable_flags, IOG_PGTABLE_NONCOHERENT);
	bed_on(&bed);
	assert_int_equal(*model_register(bed.model, CR1), 0);
	assert_int_equal(bed.unit->ops->domain_add(bed.unit, ID, &root), -IOG_EOPNOTSUPP);
	root.flags = IOG_PGTABLE_NONCOHERENT;
	assert_int_equal(bed.unit->ops->domain_add(bed.unit, ID, &root), 0);
	cleans = bed.model->cleans;
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), 0);
	/* The command, and the CMD_SYNC. */
	assert_int_equal(bed.model->cleans - cleans, 2);
	no_domain(&bed, ID);
	bed_fini(&bed);
}

/* Before it is enabled, tables are made and nothing is waited for. */
static void test_off(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ 0 });
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, ID), 0);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), 0);
	assert_int_equal(iog_smmuv3_interrupt(bed.driver), 0);
	assert_int_equal(bed.model->nr_log, 0);
	/* What was measured of a unit that does nothing is not what it costs once it is on. */
	iog_unit_measure(bed.unit, ID);
	assert_int_equal(bed.unit->domain_ns, 1);
	bed_on(&bed);
	assert_true(bed.unit->wait_ns > 1000);
	assert_int_equal(model_entry(bed.model, DEVICE)[0] & 0xf, 1 | 5 << 1);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_BLOCKED, 0), 0);
	no_domain(&bed, ID);
	bed_fini(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_enable),
		cmocka_unit_test(test_hand_over),
		cmocka_unit_test(test_enable_lost),
		cmocka_unit_test(test_control_mute),
		cmocka_unit_test(test_noncoherent),
		cmocka_unit_test(test_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

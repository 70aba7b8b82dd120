/* SPDX-License-Identifier: MIT */
/*
 * The RISC-V IOMMU driver: creation, turning the unit on and off, a unit that is lost, and one that does not snoop.
 */
#include "riscv_bed.h"

static void test_create(void **state)
{
	struct model *model = calloc(1, sizeof(*model));
	struct iog_riscv_config config = { .registers = MODEL_BASE };
	struct iog_riscv *riscv = NULL;
	struct iog_platform clockless;

	(void)state;
	model_init(model);
	config.platform = &model->platform;
	model->dead = true;
	assert_int_equal(iog_riscv_create(&config, &riscv), -IOG_EOPNOTSUPP);
	model->dead = false;
	*model_register64(model, CAPABILITIES) ^= 0x30;
	assert_int_equal(iog_riscv_create(&config, &riscv), -IOG_EOPNOTSUPP);
	*model_register64(model, CAPABILITIES) = 0x10 | UINT64_C(56) << 32;
	assert_int_equal(iog_riscv_create(&config, &riscv), -IOG_EOPNOTSUPP);
	*model_register64(model, CAPABILITIES) |= CAP_SV39;
	config.device_bits = 25;
	assert_int_equal(iog_riscv_create(&config, &riscv), -IOG_EINVAL);
	config.device_bits = 0;
	config.command_log2 = 1;
	assert_int_equal(iog_riscv_create(&config, &riscv), -IOG_EINVAL);
	config.command_log2 = 0;
	config.flags = 1 << 9;
	assert_int_equal(iog_riscv_create(&config, &riscv), -IOG_EINVAL);
	config.flags = IOG_RISCV_NONCOHERENT;
	model->platform.cache_clean = NULL;
	assert_int_equal(iog_riscv_create(&config, &riscv), -IOG_EINVAL);
	config.flags = 0;
	clockless = model->platform;
	clockless.now_ns = NULL;
	config.platform = &clockless;
	assert_int_equal(iog_riscv_create(&config, &riscv), -IOG_EINVAL);
	assert_null(riscv);
	model_fini(model);
	free(model);
}

static void test_no_memory(void **state)
{
	struct model *model = calloc(1, sizeof(*model));
	struct iog_pgtable_root root = root_of("riscv", 4, 48);
	struct iog_riscv *riscv = NULL;
	struct iog_unit *unit;

	(void)state;
	model_init(model);
	failing_begin(model);
	assert_true(failing_create(model, &riscv) > 7);
	unit = iog_riscv_unit(riscv);
	failing.left = 0;
	assert_int_equal(unit->ops->domain_add(unit, 1, &root), -IOG_ENOMEM);
	/* Pages on the way down: the first is there when the second is not. */
	for (uint32_t n = 0; n < 2; n++) {
		failing.left = n;
		assert_int_equal(unit->ops->device_set(unit, DEVICE, IOG_DOMAIN_IDENTITY, 0), -IOG_ENOMEM);
	}
	failing.left = UINT32_MAX;
	assert_int_equal(unit->ops->device_set(unit, DEVICE, IOG_DOMAIN_IDENTITY, 0), 0);
	assert_int_equal(iog_riscv_destroy(riscv), 0);
	model_fini(model);
	free(model);
}

static void test_enable(void **state)
{
	struct iog_riscv_info info;
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_riscv_config){ 0 });
	iog_riscv_info(bed.driver, &info);
	assert_int_equal(info.levels, 3);
	assert_true(info.extended && info.ats && info.non_leaf && info.range && !info.was_enabled);
	assert_int_equal(bed.unit->domain_ids, 65535);
	assert_int_equal(iog_riscv_enable(bed.driver), 0);
	/* Everything is forgotten, before it is on and after. */
	for (uint32_t at = 0; at <= 4; at += 4) {
		EXPECT(at, 3, 0);
		EXPECT(at + 1, 1, 0);
		EXPECT(at + 2, 1 | 1 << 7, 0);
	}
	assert_int_equal(bed.model->nr_log, 8);
	assert_int_equal(DDTP_MODE(*model_register64(bed.model, DDTP)), 4);
	/* By wire, where there is no address to write to. */
	assert_int_equal(*model_register(bed.model, FCTL), FCTL_WSI);
	assert_int_equal(iog_riscv_destroy(bed.driver), -IOG_EBUSY);
	assert_int_equal(iog_riscv_disable(bed.driver), 0);
	assert_int_equal(DDTP_MODE(*model_register64(bed.model, DDTP)), DDTP_BARE);
	assert_int_equal(*model_register(bed.model, CQCSR) & CSR_ON, 0);
	bed_on(&bed);
	assert_int_equal(iog_riscv_suspend(bed.driver), 0);
	assert_int_equal(DDTP_MODE(*model_register64(bed.model, DDTP)), DDTP_OFF);
	assert_int_equal(iog_riscv_resume(bed.driver), 0);
	bed_fini(&bed);

	/* A message. */
	bed_init(&bed, NULL, (struct iog_riscv_config){ .msi_address = 0x28000000, .msi_data = 77, .flags = IOG_RISCV_REFUSE_WHEN_OFF });
	bed_on(&bed);
	assert_int_equal(*model_register(bed.model, FCTL), 0);
	assert_int_equal(*model_register64(bed.model, MSI_ADDRESS), 0x28000000);
	assert_int_equal(*model_register(bed.model, MSI_DATA), 77);
	assert_int_equal(*model_register(bed.model, MSI_CONTROL), 0);
	assert_int_equal(iog_riscv_disable(bed.driver), 0);
	assert_int_equal(DDTP_MODE(*model_register64(bed.model, DDTP)), DDTP_OFF);
	bed_fini(&bed);
}

static void left_on(struct model *model)
{
	*model_register64(model, DDTP) = 0x400 | 3;
	*model_register(model, CQCSR) = CSR_ON | CQCSR_CQEN | CQCSR_CMD_ILL;
	*model_register(model, FQCSR) = CSR_ON | FQCSR_FQEN | FQCSR_FQOF;
}

static void test_hand_over(void **state)
{
	struct iog_riscv_info info;
	struct bed bed;

	(void)state;
	bed_init(&bed, left_on, (struct iog_riscv_config){ 0 });
	iog_riscv_info(bed.driver, &info);
	assert_true(info.was_enabled);
	bed_on(&bed);
	assert_int_equal(*model_register(bed.model, CQCSR) & CQCSR_ERRORS, 0);
	assert_int_equal(*model_register(bed.model, FQCSR) & FQCSR_FQOF, 0);
	/* Not as it was found: those tables are no longer anybody's. */
	assert_int_equal(iog_riscv_disable(bed.driver), 0);
	assert_int_equal(DDTP_MODE(*model_register64(bed.model, DDTP)), DDTP_OFF);
	bed_fini(&bed);
}

/* From here on its registers do not change. */
static void fall_mute(struct model *model)
{
	model->mute = true;
}

/* What the unit may have taken for its queues and its directory stays until it has said that it is off. */
static void test_enable_lost(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_riscv_config){ .timeout_ms = 2 });
	domain(&bed, ID, "riscv", 4, 48);
	bed.model->at_fence = fall_mute;
	assert_true(iog_riscv_enable(bed.driver) < 0);
	assert_int_equal(iog_riscv_destroy(bed.driver), -IOG_EBUSY);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), -IOG_ETIMEDOUT);
	assert_true(iog_riscv_disable(bed.driver) < 0);
	assert_int_equal(iog_riscv_destroy(bed.driver), -IOG_EBUSY);
	bed.model->at_fence = NULL;
	bed.model->mute = false;
	assert_int_equal(iog_riscv_disable(bed.driver), 0);
	no_domain(&bed, ID);
	assert_int_equal(iog_riscv_destroy(bed.driver), 0);
	model_fini(bed.model);
	free(bed.model);
}

static void test_control(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_riscv_config){ .timeout_ms = 2 });
	/* A directory of three levels is more than it can walk. */
	bed.model->most_levels = 2;
	assert_int_equal(iog_riscv_enable(bed.driver), -IOG_EOPNOTSUPP);
	assert_int_equal(*model_register(bed.model, CQCSR) & CSR_ON, 0);
	bed.model->most_levels = 3;
	bed.model->deaf = true;
	assert_int_equal(iog_riscv_enable(bed.driver), -IOG_ETIMEDOUT);
	bed.model->deaf = false;
	bed_on(&bed);
	bed.model->mute = true;
	assert_true(iog_riscv_disable(bed.driver) < 0);
	bed.model->mute = false;
	bed_fini(&bed);
}

static void only_sv39(struct model *model)
{
	*model_register64(model, CAPABILITIES) &= ~(CAP_SV48 | CAP_SV57 | CAP_SV48X4 | CAP_SV57X4);
}

static void test_formats(void **state)
{
	struct iog_pgtable_root root;
	struct bed bed;

	(void)state;
	bed_init(&bed, only_sv39, (struct iog_riscv_config){ 0 });
	root = root_of("vtdss", 4, 48);
	assert_int_equal(bed.unit->ops->domain_add(bed.unit, 1, &root), -IOG_EOPNOTSUPP);
	root = root_of("riscv", 4, 48);
	assert_int_equal(bed.unit->ops->domain_add(bed.unit, 1, &root), -IOG_EOPNOTSUPP);
	root = root_of("riscv_x4", 4, 50);
	assert_int_equal(bed.unit->ops->domain_add(bed.unit, 1, &root), -IOG_EOPNOTSUPP);
	root = root_of("riscv_x4", 3, 41);
	assert_int_equal(bed.unit->ops->domain_add(bed.unit, 1, &root), 0);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, 1), 0);
	/* What was measured of a unit that does nothing is not what it costs once it is on. */
	iog_unit_measure(bed.unit, 1);
	assert_int_equal(bed.unit->wait_ns, 1000);
	bed_on(&bed);
	assert_true(bed.unit->wait_ns > 1000);
	assert_int_equal(model_entry(bed.model, DEVICE)[1] >> 60, 8);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_BLOCKED, 0), 0);
	no_domain(&bed, 1);
	bed_fini(&bed);
}

static void test_noncoherent(void **state)
{
	struct iog_pgtable_root root = root_of("riscv", 4, 48);
	struct bed bed;
	uint32_t cleans;

	(void)state;
	bed_init(&bed, NULL, (struct iog_riscv_config){ .flags = IOG_RISCV_NONCOHERENT });
	assert_int_equal(bed.unit->pgtable_flags, IOG_PGTABLE_NONCOHERENT);
	bed_on(&bed);
	assert_int_equal(bed.unit->ops->domain_add(bed.unit, ID, &root), -IOG_EOPNOTSUPP);
	root.flags = IOG_PGTABLE_NONCOHERENT;
	assert_int_equal(bed.unit->ops->domain_add(bed.unit, ID, &root), 0);
	cleans = bed.model->cleans;
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), 0);
	/* The command, the fence, and the answer once. */
	assert_int_equal(bed.model->cleans - cleans, 3);
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
		cmocka_unit_test(test_control),
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_noncoherent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

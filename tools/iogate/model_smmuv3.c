/* SPDX-License-Identifier: MIT */
/*
 * QEMU's SMMUv3: stage 1, and stage 2.
 */
#include <stddef.h>

#include <iogate/hw/smmuv3.h>

#define MODEL_DRIVER smmuv3
#define MODEL_COMMANDS(stats) ((stats).tlb_ranges + (stats).tlb_domains)
#include "model_driver.h"

#define REGISTERS 0x09050000

/* The oldest QEMU whose model has a stage 2, and the bits of address that it takes there. */
#define STAGE2_VERSION 10
#define STAGE2_IAS 44

static int start(struct model *model)
{
	return model_driver_start(model, (struct iog_smmuv3_config){ .registers = REGISTERS });
}

/* All that the format has. */
static uint64_t page_sizes(const struct model *model)
{
	(void)model;
	return 0;
}

static const char *const nested[] = { "-global", "arm-smmuv3.stage=nested", NULL };

const struct model_kind model_smmuv3 = {
	.name = "smmuv3", .format = "arm_s1_4k", .iova_limit = UINT64_C(1) << 48,
	.machine = { .machine = IOG_QTEST_ARM, .machine_options = "iommu=smmuv3" }, .package = "qemu-system-arm", .device = IOG_QTEST_EDU(0),
	MODEL_CALLS,
};

const struct model_kind model_smmuv3_stage2 = {
	.name = "smmuv3", .format = "arm_s2_4k", .ias = STAGE2_IAS, .iova_limit = UINT64_C(1) << STAGE2_IAS,
	.machine = { .machine = IOG_QTEST_ARM, .machine_options = "iommu=smmuv3", .arguments = nested, .version_min = STAGE2_VERSION },
	.package = "-t bookworm-backports qemu-system-arm", .device = IOG_QTEST_EDU(0),
	MODEL_CALLS,
};

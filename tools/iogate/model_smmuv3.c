/* SPDX-License-Identifier: MIT */
/*
 * QEMU's SMMUv3: stage 1, and stage 2.
 */
#include <stddef.h>

#include <iogate/hw/smmuv3.h>

#include "model.h"

#define REGISTERS 0x09050000

/* The oldest QEMU whose model has a stage 2, and the bits of address that it takes there. */
#define STAGE2_VERSION 10
#define STAGE2_IAS 44

static int start(struct model *model)
{
	struct iog_smmuv3_config config = { .platform = iog_qtest_platform(model->qtest), .registers = REGISTERS };
	struct iog_smmuv3 *smmu;
	int ret = iog_smmuv3_create(&config, &smmu);

	if (ret)
		return ret;
	model->driver = smmu;
	model->unit = iog_smmuv3_unit(smmu);
	return iog_smmuv3_enable(smmu);
}

static void stop(struct model *model)
{
	iog_smmuv3_disable(model->driver);
	iog_smmuv3_destroy(model->driver);
}

static void counts(const struct model *model, struct model_counts *counts)
{
	struct iog_smmuv3_stats stats;

	iog_smmuv3_stats(model->driver, &stats);
	counts->mmio_reads = stats.mmio_reads;
	counts->mmio_writes = stats.mmio_writes;
	counts->commands = stats.tlb_ranges + stats.tlb_domains;
	counts->waits = stats.waits;
	counts->faults = stats.faults.seen;
}

static void interrupt(struct model *model)
{
	iog_smmuv3_interrupt(model->driver);
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
	.start = start, .stop = stop, .counts = counts, .interrupt = interrupt, .page_sizes = page_sizes,
};

const struct model_kind model_smmuv3_stage2 = {
	.name = "smmuv3", .format = "arm_s2_4k", .ias = STAGE2_IAS, .iova_limit = UINT64_C(1) << STAGE2_IAS,
	.machine = { .machine = IOG_QTEST_ARM, .machine_options = "iommu=smmuv3", .arguments = nested, .version_min = STAGE2_VERSION },
	.package = "-t bookworm-backports qemu-system-arm", .device = IOG_QTEST_EDU(0),
	.start = start, .stop = stop, .counts = counts, .interrupt = interrupt, .page_sizes = page_sizes,
};

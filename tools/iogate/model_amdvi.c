/* SPDX-License-Identifier: MIT */
/*
 * QEMU's amd-iommu. It logs nothing when a page table refuses an access, takes bit 8 of a domain id for a reserved one, and from version 10 on translates only when told not to pass through.
 */
#include <stddef.h>

#include <iogate/error.h>
#include <iogate/hw/amdvi.h>

#include "model.h"

#define REGISTERS 0xfed80000
/* The unit's own function and its capability block, as in QEMU's IVRS table. */
#define FUNCTION IOG_QTEST_BDF(0, 1, 0)
#define CAPABILITY 0x40
#define CAPABILITY_ID 0x0f
#define DOMAIN_IDS 200

static int start(struct model *model)
{
	struct iog_amdvi_config config = { .platform = iog_qtest_platform(model->qtest), .registers = REGISTERS, .last_device = 0xff, .domain_ids = DOMAIN_IDS };
	struct iog_amdvi *amdvi;
	int ret;

	config.capability = iog_qtest_config_read(model->qtest, FUNCTION, CAPABILITY);
	if ((config.capability & 0xff) != CAPABILITY_ID)
		return -IOG_EIO;
	ret = iog_amdvi_create(&config, &amdvi);
	if (ret)
		return ret;
	model->driver = amdvi;
	model->unit = iog_amdvi_unit(amdvi);
	return iog_amdvi_enable(amdvi);
}

static void stop(struct model *model)
{
	iog_amdvi_disable(model->driver);
	iog_amdvi_destroy(model->driver);
}

static void counts(const struct model *model, struct model_counts *counts)
{
	struct iog_amdvi_stats stats;

	iog_amdvi_stats(model->driver, &stats);
	counts->mmio_reads = stats.mmio_reads;
	counts->mmio_writes = stats.mmio_writes;
	counts->commands = stats.page_commands + stats.domain_commands;
	counts->waits = stats.waits;
	counts->faults = stats.faults.seen;
}

static void interrupt(struct model *model)
{
	iog_amdvi_interrupt(model->driver);
}

/* All that AMD v1 has. */
static uint64_t page_sizes(const struct model *model)
{
	(void)model;
	return 0;
}

static const char *const arguments[] = { "-device", "amd-iommu,pt=off", NULL };

const struct model_kind model_amdvi = {
	.name = "amdvi", .format = "amdv1", .iova_limit = UINT64_C(1) << 48, .silent = true,
	.machine = { .arguments = arguments }, .package = "qemu-system-x86", .device = IOG_QTEST_EDU(0),
	.start = start, .stop = stop, .counts = counts, .interrupt = interrupt, .page_sizes = page_sizes,
};

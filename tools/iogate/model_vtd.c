/* SPDX-License-Identifier: MIT */
/*
 * QEMU's intel-iommu: legacy mode with the second stage, and scalable mode with the first.
 */
#include <stddef.h>

#include <iogate/hw/vtd.h>

#include "model.h"

#define REGISTERS 0xfed90000

/* The oldest QEMU whose model has a first stage. */
#define FIRST_STAGE_VERSION 10

static int start(struct model *model)
{
	struct iog_vtd_config config = { .platform = iog_qtest_platform(model->qtest), .registers = REGISTERS };
	struct iog_vtd *vtd;
	int ret;

	config.flags = model->kind == &model_vtd_first ? IOG_VTD_SCALABLE : 0;
	ret = iog_vtd_create(&config, &vtd);
	if (ret)
		return ret;
	model->driver = vtd;
	model->unit = iog_vtd_unit(vtd);
	return iog_vtd_enable(vtd);
}

static void stop(struct model *model)
{
	iog_vtd_disable(model->driver);
	iog_vtd_destroy(model->driver);
}

static void counts(const struct model *model, struct model_counts *counts)
{
	struct iog_vtd_stats stats;

	iog_vtd_stats(model->driver, &stats);
	counts->mmio_reads = stats.mmio_reads;
	counts->mmio_writes = stats.mmio_writes;
	counts->commands = stats.page_commands + stats.domain_commands;
	counts->waits = stats.waits;
	counts->faults = stats.faults.seen;
}

static void interrupt(struct model *model)
{
	iog_vtd_interrupt(model->driver);
}

static uint64_t page_sizes(const struct model *model)
{
	struct iog_vtd_info info;

	iog_vtd_info(model->driver, &info);
	return info.page_sizes_first ? info.page_sizes_first : info.page_sizes_second;
}

static const char *const legacy[] = { "-device", "intel-iommu,aw-bits=48", NULL };
static const char *const first_stage[] = { "-device", "intel-iommu,aw-bits=48,x-scalable-mode=on,x-flts=on", NULL };

const struct model_kind model_vtd = {
	.name = "vtd", .format = "vtdss", .iova_limit = UINT64_C(1) << 48,
	.machine = { .arguments = legacy }, .package = "qemu-system-x86", .device = IOG_QTEST_EDU(0),
	.start = start, .stop = stop, .counts = counts, .interrupt = interrupt, .page_sizes = page_sizes,
};

/* Addresses whose highest bit is set would have to be sign-extended. */
const struct model_kind model_vtd_first = {
	.name = "vtd", .format = "x86_64", .iova_limit = UINT64_C(1) << 47,
	.machine = { .arguments = first_stage, .version_min = FIRST_STAGE_VERSION },
	.package = "-t bookworm-backports qemu-system-x86", .device = IOG_QTEST_EDU(0),
	.start = start, .stop = stop, .counts = counts, .interrupt = interrupt, .page_sizes = page_sizes,
};

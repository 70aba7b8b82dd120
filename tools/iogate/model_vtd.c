/* SPDX-License-Identifier: MIT */
/*
 * QEMU's intel-iommu: legacy mode with the second stage, and scalable mode with the first.
 */
#include <stddef.h>

#include <iogate/hw/vtd.h>

#define MODEL_DRIVER vtd
#define MODEL_COMMANDS(stats) ((stats).page_commands + (stats).domain_commands)
#include "model_driver.h"

#define REGISTERS 0xfed90000

/* The oldest QEMU whose model has a first stage. */
#define FIRST_STAGE_VERSION 10

static int start(struct model *model)
{
	return model_driver_start(model, (struct iog_vtd_config){ .registers = REGISTERS, .flags = model->kind == &model_vtd_first ? IOG_VTD_SCALABLE : 0 });
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
	MODEL_CALLS,
};

/* Addresses whose highest bit is set would have to be sign-extended. */
const struct model_kind model_vtd_first = {
	.name = "vtd", .format = "x86_64", .iova_limit = UINT64_C(1) << 47,
	.machine = { .arguments = first_stage, .version_min = FIRST_STAGE_VERSION },
	.package = "-t bookworm-backports qemu-system-x86", .device = IOG_QTEST_EDU(0),
	MODEL_CALLS,
};

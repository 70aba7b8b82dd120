/* SPDX-License-Identifier: MIT */
/*
 * QEMU's amd-iommu. It logs nothing when a page table refuses an access, takes bit 8 of a domain id for a reserved one, and from version 10 on translates only when told not to pass through.
 */
#include <stddef.h>

#include <iogate/error.h>
#include <iogate/hw/amdvi.h>

#define MODEL_DRIVER amdvi
#define MODEL_COMMANDS(stats) ((stats).page_commands + (stats).domain_commands)
#include "model_driver.h"

#define REGISTERS 0xfed80000
/* The unit's own function and its capability block, as in QEMU's IVRS table. */
#define FUNCTION IOG_QTEST_BDF(0, 1, 0)
#define CAPABILITY 0x40
#define CAPABILITY_ID 0x0f
#define DOMAIN_IDS 200

static int start(struct model *model)
{
	uint32_t capability = iog_qtest_config_read(model->qtest, FUNCTION, CAPABILITY);

	if ((capability & 0xff) != CAPABILITY_ID)
		return -IOG_EIO;
	return model_driver_start(model, (struct iog_amdvi_config){ .registers = REGISTERS, .capability = capability, .last_device = 0xff, .domain_ids = DOMAIN_IDS });
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
	MODEL_CALLS,
};

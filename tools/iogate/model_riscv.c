/* SPDX-License-Identifier: MIT */
/*
 * QEMU's RISC-V IOMMU: first stage, and second stage.
 */
#include <stddef.h>

#include <iogate/hw/riscv.h>

#define MODEL_DRIVER riscv
#define MODEL_COMMANDS(stats) ((stats).tlb_ranges + (stats).tlb_domains)
#include "model_driver.h"

#define REGISTERS 0x03010000
/* The oldest QEMU that has it. */
#define VERSION 10

static int start(struct model *model)
{
	return model_driver_start(model, (struct iog_riscv_config){ .registers = REGISTERS });
}

/* The model has no Svnapot. */
static uint64_t page_sizes(const struct model *model)
{
	(void)model;
	return UINT64_C(0x1000) | UINT64_C(0x200000) | UINT64_C(0x40000000);
}

/* Addresses whose highest bit is set would have to be sign-extended. */
const struct model_kind model_riscv = {
	.name = "riscv", .format = "riscv", .iova_limit = UINT64_C(1) << 47,
	.machine = { .machine = IOG_QTEST_RISCV, .machine_options = "iommu-sys=on", .version_min = VERSION },
	.package = "-t bookworm-backports qemu-system-riscv", .device = IOG_QTEST_EDU(0),
	MODEL_CALLS,
};

const struct model_kind model_riscv_second = {
	.name = "riscv", .format = "riscv_x4", .iova_limit = UINT64_C(1) << 48,
	.machine = { .machine = IOG_QTEST_RISCV, .machine_options = "iommu-sys=on", .version_min = VERSION },
	.package = "-t bookworm-backports qemu-system-riscv", .device = IOG_QTEST_EDU(0),
	MODEL_CALLS,
};

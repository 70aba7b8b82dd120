/* SPDX-License-Identifier: MIT */
/*
 * QEMU's RISC-V IOMMU: first stage, and second stage.
 */
#include <stddef.h>

#include <iogate/hw/riscv.h>

#include "model.h"

#define REGISTERS 0x03010000
/* The oldest QEMU that has it. */
#define VERSION 10

static int start(struct model *model)
{
	struct iog_riscv_config config = { .platform = iog_qtest_platform(model->qtest), .registers = REGISTERS };
	struct iog_riscv *riscv;
	int ret = iog_riscv_create(&config, &riscv);

	if (ret)
		return ret;
	model->driver = riscv;
	model->unit = iog_riscv_unit(riscv);
	return iog_riscv_enable(riscv);
}

static void stop(struct model *model)
{
	iog_riscv_disable(model->driver);
	iog_riscv_destroy(model->driver);
}

static void counts(const struct model *model, struct model_counts *counts)
{
	struct iog_riscv_stats stats;

	iog_riscv_stats(model->driver, &stats);
	counts->mmio_reads = stats.mmio_reads;
	counts->mmio_writes = stats.mmio_writes;
	counts->commands = stats.tlb_ranges + stats.tlb_domains;
	counts->waits = stats.waits;
	counts->faults = stats.faults.seen;
}

static void interrupt(struct model *model)
{
	iog_riscv_interrupt(model->driver);
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
	.start = start, .stop = stop, .counts = counts, .interrupt = interrupt, .page_sizes = page_sizes,
};

const struct model_kind model_riscv_second = {
	.name = "riscv", .format = "riscv_x4", .iova_limit = UINT64_C(1) << 48,
	.machine = { .machine = IOG_QTEST_RISCV, .machine_options = "iommu-sys=on", .version_min = VERSION },
	.package = "-t bookworm-backports qemu-system-riscv", .device = IOG_QTEST_EDU(0),
	.start = start, .stop = stop, .counts = counts, .interrupt = interrupt, .page_sizes = page_sizes,
};

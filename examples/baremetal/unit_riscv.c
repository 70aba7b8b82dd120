/* SPDX-License-Identifier: MIT */
/*
 * RISC-V IOMMU: first stage.
 */
#include <iogate/hw/riscv.h>

#include "example.h"

int unit_create(const struct iog_found_unit *found, const struct iog_fault_config *faults, struct unit *unit)
{
	struct iog_riscv_config config = { .platform = &platform, .registers = found->base, .flags = IOG_RISCV_REFUSE_WHEN_OFF, .faults = *faults };
	struct iog_riscv_info info;
	struct iog_riscv *riscv;
	int error;

	/* One that is a PCI function (IOG_UNIT_IS_PCI) has its registers in BAR 0. */
	if (found->model != IOG_UNIT_RISCV || !found->base)
		return -IOG_EOPNOTSUPP;
	error = iog_riscv_create(&config, &riscv);
	if (error)
		return error;
	iog_riscv_info(riscv, &info);
	if (!(info.ias_allowed_first & UINT64_C(1) << 39)) {
		(void)iog_riscv_destroy(riscv);
		return -IOG_EOPNOTSUPP;
	}
	*unit = (struct unit){ .unit = iog_riscv_unit(riscv), .driver = riscv };
	return 0;
}

void unit_domain(const struct unit *unit, struct iog_domain_config *config)
{
	struct iog_riscv_info info;

	iog_riscv_info(unit->driver, &info);
	config->pgtable.ops = &iog_riscv_counted;
	config->pgtable.ias = info.ias_allowed_first & UINT64_C(1) << 48 ? 48 : 39;
	/* Not 64 KiB: the unit need not have Svnapot. */
	config->pgtable.page_sizes = 0x1000 | 0x200000 | 0x40000000;
	config->pgtable.flags = unit->unit->pgtable_flags;
	/* Above that, addresses would have to be sign-extended. */
	config->last = (UINT64_C(1) << (config->pgtable.ias - 1)) - 1;
}

int unit_enable(struct unit *unit)
{
	return iog_riscv_enable(unit->driver);
}

uint32_t unit_interrupt(struct unit *unit)
{
	return iog_riscv_interrupt(unit->driver);
}

int unit_destroy(struct unit *unit)
{
	int error = iog_riscv_disable(unit->driver);

	return error ? error : iog_riscv_destroy(unit->driver);
}

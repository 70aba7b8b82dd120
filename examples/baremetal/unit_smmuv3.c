/* SPDX-License-Identifier: MIT */
/*
 * Arm SMMUv3: stage 1, granule of 4 KiB.
 */
#include <iogate/hw/smmuv3.h>

#include "example.h"

int unit_create(const struct iog_found_unit *found, const struct iog_fault_config *faults, struct unit *unit)
{
	struct iog_smmuv3_config config = { .platform = &platform, .registers = found->base, .flags = IOG_SMMUV3_ABORT_WHEN_OFF, .faults = *faults };
	struct iog_smmuv3_info info;
	struct iog_smmuv3 *smmu;
	int error;

	if (found->model != IOG_UNIT_SMMUV3)
		return -IOG_EOPNOTSUPP;
	error = iog_smmuv3_create(&config, &smmu);
	if (error)
		return error;
	iog_smmuv3_info(smmu, &info);
	if (!info.stage1 || !(info.granules & 4096)) {
		(void)iog_smmuv3_destroy(smmu);
		return -IOG_EOPNOTSUPP;
	}
	*unit = (struct unit){ .unit = iog_smmuv3_unit(smmu), .driver = smmu };
	return 0;
}

void unit_domain(const struct unit *unit, struct iog_domain_config *config)
{
	struct iog_smmuv3_info info;

	iog_smmuv3_info(unit->driver, &info);
	config->pgtable.ops = &iog_arm_s1_4k_counted;
	config->pgtable.oas = info.oas;
	config->pgtable.flags = unit->unit->pgtable_flags | (info.bbm >= 2 ? IOG_PGTABLE_BBM2 : 0);
}

int unit_enable(struct unit *unit)
{
	return iog_smmuv3_enable(unit->driver);
}

uint32_t unit_interrupt(struct unit *unit)
{
	return iog_smmuv3_interrupt(unit->driver);
}

int unit_destroy(struct unit *unit)
{
	int error = iog_smmuv3_disable(unit->driver);

	return error ? error : iog_smmuv3_destroy(unit->driver);
}

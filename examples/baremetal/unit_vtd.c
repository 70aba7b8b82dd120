/* SPDX-License-Identifier: MIT */
/*
 * Intel VT-d: legacy mode, second stage, which every unit has.
 */
#include <iogate/hw/vtd.h>

#include "example.h"

int unit_create(const struct iog_found_unit *found, const struct iog_fault_config *faults, struct unit *unit)
{
	struct iog_vtd_config config = { .platform = &platform, .registers = found->base, .segment = found->segment, .faults = *faults };
	struct iog_vtd *vtd;
	int error;

	if (found->model != IOG_UNIT_VTD)
		return -IOG_EOPNOTSUPP;
	error = iog_vtd_create(&config, &vtd);
	if (error)
		return error;
	*unit = (struct unit){ .unit = iog_vtd_unit(vtd), .driver = vtd };
	return 0;
}

void unit_domain(const struct unit *unit, struct iog_domain_config *config)
{
	/* Writes there are interrupts, and never translated. */
	static const struct iog_range interrupts = { .first = 0xfee00000, .last = 0xfeefffff };
	struct iog_vtd_info info;

	iog_vtd_info(unit->driver, &info);
	config->pgtable.ops = &iog_vtdss_counted;
	config->pgtable.ias = info.ias_allowed_second & 2 ? 48 : 39;
	config->pgtable.page_sizes = info.page_sizes_second;
	config->pgtable.flags = unit->unit->pgtable_flags;
	config->last = (UINT64_C(1) << (info.mgaw < config->pgtable.ias ? info.mgaw : config->pgtable.ias)) - 1;
	config->reserved = &interrupts;
	config->nr_reserved = 1;
}

int unit_enable(struct unit *unit)
{
	return iog_vtd_enable(unit->driver);
}

uint32_t unit_interrupt(struct unit *unit)
{
	return iog_vtd_interrupt(unit->driver);
}

int unit_destroy(struct unit *unit)
{
	int error = iog_vtd_disable(unit->driver);

	return error ? error : iog_vtd_destroy(unit->driver);
}

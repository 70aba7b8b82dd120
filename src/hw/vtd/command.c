/* SPDX-License-Identifier: MIT */
/*
 * The global command register (VT-d 11.4.4): one command at a time, and its answer in the status register.
 */
#include "vtd.h"

/* Under command_lock. */
static int command(struct iog_vtd *vtd, uint32_t value, uint32_t mask, uint32_t wanted)
{
	iog_mmio_publish(&vtd->mmio);
	iog_mmio_write32(&vtd->mmio, VTD_GCMD, value);
	return iog_mmio_poll32(&vtd->mmio, VTD_GSTS, mask, wanted, vtd->timeout_ns, NULL);
}

int iog_vtd_command(struct iog_vtd *vtd, uint32_t bit, bool on)
{
	uintptr_t flags = spin_lock(&vtd->command_lock, vtd->platform);
	uint32_t status = iog_mmio_read32(&vtd->mmio, VTD_GSTS) & VTD_GCMD_KEEP;
	int error = command(vtd, on ? status | bit : status & ~bit, bit, on ? bit : 0);

	spin_unlock(&vtd->command_lock, vtd->platform, flags);
	return error;
}

/* SRTP and SIRTP set their status bit when they are done, and hardware clears that first; WBF clears its own. */
int iog_vtd_command_once(struct iog_vtd *vtd, uint32_t bit)
{
	uintptr_t flags = spin_lock(&vtd->command_lock, vtd->platform);
	uint32_t status = iog_mmio_read32(&vtd->mmio, VTD_GSTS) & VTD_GCMD_KEEP;
	int error = command(vtd, status | bit, bit, bit == VTD_WBF ? 0 : bit);

	spin_unlock(&vtd->command_lock, vtd->platform, flags);
	return error;
}

int iog_vtd_write_buffer_flush(struct iog_vtd *vtd)
{
	return vtd->cap & VTD_CAP_RWBF ? iog_vtd_command_once(vtd, VTD_WBF) : 0;
}

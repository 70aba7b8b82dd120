/* SPDX-License-Identifier: MIT */
/*
 * Invalidation by registers (VT-d 6.5.1), for units without a queue: each command is waited for before the next. Legacy mode only. The lock is held meanwhile.
 */
#include "vtd.h"

static int context(struct iog_vtd *vtd, const struct vtd_command *command)
{
	uint64_t value = VTD_CCMD_ICC | VTD_CCMD_CIRG(VTD_GRANULARITY(command)) | (uint64_t)VTD_SID(command) << 16 | VTD_DID(command);
	uint64_t last;
	int error;

	iog_mmio_write64(&vtd->mmio, VTD_CCMD, value);
	error = iog_mmio_poll64(&vtd->mmio, VTD_CCMD, VTD_CCMD_ICC, 0, vtd->timeout_ns, &last);
	if (error)
		return error;
	/* What was done may be more than was asked for; nothing is an error. */
	return VTD_CCMD_CAIG(last) ? 0 : -IOG_EIO;
}

static int iotlb(struct iog_vtd *vtd, const struct vtd_command *command)
{
	uint32_t registers = VTD_ECAP_IRO(vtd->ecap);
	uint64_t value = VTD_IOTLB_IVT | VTD_IOTLB_IIRG(VTD_GRANULARITY(command)) | (uint64_t)VTD_DID(command) << 32, last;
	int error;

	value |= (command->low & VTD_IOTLB_DESC_DR ? VTD_IOTLB_DR : 0) | (command->low & VTD_IOTLB_DESC_DW ? VTD_IOTLB_DW : 0);
	if (VTD_GRANULARITY(command) == VTD_SELECTIVE)
		iog_mmio_write64(&vtd->mmio, registers + VTD_IVA, command->high);
	iog_mmio_write64(&vtd->mmio, registers + VTD_IOTLB, value);
	error = iog_mmio_poll64(&vtd->mmio, registers + VTD_IOTLB, VTD_IOTLB_IVT, 0, vtd->timeout_ns, &last);
	if (error)
		return error;
	return VTD_IOTLB_IAIG(last) ? 0 : -IOG_EIO;
}

int iog_vtd_register_submit(struct iog_vtd *vtd, const struct vtd_command *commands, uint32_t count)
{
	uintptr_t flags = spin_lock(&vtd->register_lock, vtd->platform);
	int error = 0;

	iog_mmio_publish(&vtd->mmio);
	for (uint32_t n = 0; n < count && !error; n++)
		error = VTD_TYPE(&commands[n]) == VTD_CONTEXT ? context(vtd, &commands[n]) : iotlb(vtd, &commands[n]);
	spin_unlock(&vtd->register_lock, vtd->platform, flags);
	if (error == -IOG_ETIMEDOUT)
		vtd_count(&vtd->counters.timeouts, 1);
	return error;
}

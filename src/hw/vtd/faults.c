/* SPDX-License-Identifier: MIT */
/*
 * Primary fault logging (VT-d 7.2, 11.4.14): a ring of registers, each free again when its F is cleared. A unit that finds none free sets PFO, and records nothing until that is
 * cleared; so it is cleared last.
 */
#include "vtd.h"

#define TAKEN_MAX 64

#define FRCD_READ (UINT64_C(1) << 62)     /* T1 */
#define FRCD_PASID(high) ((uint32_t)((high) >> 40 & 0xfffff))
#define FRCD_REASON(high) ((uint32_t)((high) >> 32 & 0xff))
#define FRCD_PASID_PRESENT (UINT64_C(1) << 31)
#define FRCD_EXECUTE (UINT64_C(1) << 30)
#define FRCD_PRIVILEGED (UINT64_C(1) << 29)
#define FRCD_ATOMIC (UINT64_C(1) << 28) /* T2 */
#define FRCD_SOURCE(high) ((uint32_t)((high) & 0xffff))
#define FRCD_AT(high) ((uint32_t)((high) >> 60 & 3))
#define AT_TRANSLATION 1
#define AT_TRANSLATED 2

/* Reasons of requests for interrupts. */
#define REASON_INTERRUPT 0x20
#define REASON_INTERRUPT_LAST 0x28

static void decode(const struct iog_vtd *vtd, uint64_t low, uint64_t high, struct iog_fault *fault)
{
	bool interrupt;

	memset(fault, 0, sizeof(*fault));
	fault->code = FRCD_REASON(high);
	fault->reason = iog_vtd_reason(fault->code, &fault->text);
	fault->device = vtd->config.segment << 16 | FRCD_SOURCE(high);
	fault->pasid = high & FRCD_PASID_PRESENT ? FRCD_PASID(high) : IOG_PASID_NONE;
	interrupt = fault->code >= REASON_INTERRUPT && fault->code <= REASON_INTERRUPT_LAST;
	if (interrupt) {
		fault->iova = low >> 48;
		return;
	}
	fault->iova = low & VTD_ADDRESS;
	fault->access = IOG_FAULT_PAGE | (high & FRCD_READ ? IOG_PROT_READ : IOG_PROT_WRITE);
	if (high & FRCD_ATOMIC)
		fault->access |= IOG_PROT_READ | IOG_PROT_WRITE;
	if (high & FRCD_PASID_PRESENT)
		fault->access |= (high & FRCD_EXECUTE ? IOG_PROT_EXEC : 0) | (high & FRCD_PRIVILEGED ? IOG_FAULT_PRIVILEGED : 0);
	if (FRCD_AT(high) == AT_TRANSLATED)
		fault->access |= IOG_FAULT_TRANSLATED;
	else if (FRCD_AT(high) == AT_TRANSLATION)
		fault->access |= IOG_FAULT_TRANSLATION;
}

/* The record at @index, if there is one; its register is free then. */
static bool take(struct iog_vtd *vtd, uint32_t index)
{
	uint32_t at = VTD_CAP_FRO(vtd->cap) + index * VTD_FRCD_SIZE;
	uint32_t last = iog_mmio_read32(&vtd->mmio, at + VTD_FRCD_LAST);
	struct iog_fault fault;
	uint64_t low, high;

	/* All ones: the unit is gone. */
	if (!(last & VTD_FRCD_F) || last == UINT32_MAX)
		return false;
	low = iog_mmio_read64(&vtd->mmio, at);
	high = iog_mmio_read64(&vtd->mmio, at + 8);
	iog_mmio_write32(&vtd->mmio, at + VTD_FRCD_LAST, VTD_FRCD_F);
	decode(vtd, low, high, &fault);
	iog_fault_log_add(vtd->faults, &vtd->unit, &fault);
	return true;
}

/*
 * From where the last call stopped, or from where the unit says that it began; that register may have been freed since. A look at all of them finds what neither leads to.
 */
static uint32_t take_all(struct iog_vtd *vtd, uint32_t first)
{
	uint32_t records = VTD_CAP_NFR(vtd->cap), taken = 0;
	uint32_t at = vtd->fault_next < records ? vtd->fault_next : 0;

	for (uint32_t looked = 0; looked <= records && taken < TAKEN_MAX; looked++) {
		if (take(vtd, at)) {
			taken++;
		} else if (taken) {
			break;
		} else if (!looked && first < records) {
			at = first;
			continue;
		}
		at = at + 1 < records ? at + 1 : 0;
	}
	vtd->fault_next = at;
	return taken;
}

uint32_t iog_vtd_interrupt(struct iog_vtd *vtd)
{
	uint32_t status, taken = 0;
	uintptr_t flags = vtd->platform->irq_save ? vtd->platform->irq_save(vtd->platform->ctx) : 0;

	/* Acquire: the records that others have taken; pairs with the release in lock_give(). */
	if (!atomic_exchange_explicit(&vtd->fault_lock.taken, 1, memory_order_acquire)) {
		status = iog_mmio_read32(&vtd->mmio, VTD_FSTS);
		if (status != UINT32_MAX) {
			if (status & VTD_FSTS_PPF)
				taken = take_all(vtd, VTD_FSTS_FRI(status));
			if (status & VTD_FSTS_PFO) {
				iog_fault_log_overflow(vtd->faults);
				iog_mmio_write32(&vtd->mmio, VTD_FSTS, VTD_FSTS_PFO);
			}
		}
		lock_give(&vtd->fault_lock);
		if (status & VTD_FSTS_QUEUE && status != UINT32_MAX)
			iog_vtd_queue_errors(vtd);
	}
	if (vtd->platform->irq_restore)
		vtd->platform->irq_restore(vtd->platform->ctx, flags);
	return taken;
}

void iog_vtd_device_faults(const struct iog_vtd *vtd, uint32_t device, struct iog_fault_counts *counts)
{
	iog_fault_log_device(vtd->faults, device, counts);
}

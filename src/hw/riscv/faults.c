/* SPDX-License-Identifier: MIT */
/*
 * The fault queue (4.2): refused accesses, decoded.
 *
 * A page fault of a write says that the page is not mapped or not writable, and not which of them.
 *
 * Whoever takes faults holds fault_lock, and tells them one at a time.
 */
#include "riscv.h"

struct meaning {
	uint16_t cause;
	uint8_t reason;
	uint8_t access; /* enum iog_prot; 0: as TTYP says */
	bool second_stage;
	const char *text;
};

static const struct meaning meanings[] = {
	{ 1, IOG_FAULT_REASON_WALK, IOG_PROT_READ | IOG_PROT_EXEC, false, "a fetch of instructions from where there is no memory, or a table that could not be read" },
	{ 4, IOG_FAULT_REASON_OTHER, IOG_PROT_READ, false, "a read that is not aligned" },
	{ 5, IOG_FAULT_REASON_WALK, IOG_PROT_READ, false, "a read from where there is no memory, or a table that could not be read" },
	{ 6, IOG_FAULT_REASON_OTHER, IOG_PROT_WRITE, false, "a write that is not aligned" },
	{ 7, IOG_FAULT_REASON_WALK, IOG_PROT_WRITE, false, "a write to where there is no memory, or a table that could not be read" },
	{ 12, IOG_FAULT_REASON_OTHER, IOG_PROT_READ | IOG_PROT_EXEC, false, "a fetch of instructions from what is not mapped, or not for that" },
	{ 13, IOG_FAULT_REASON_NOT_PRESENT, IOG_PROT_READ, false, "a read from what is not mapped" },
	{ 15, IOG_FAULT_REASON_OTHER, IOG_PROT_WRITE, false, "a write to what is not mapped, or not for writing" },
	{ 20, IOG_FAULT_REASON_OTHER, IOG_PROT_READ | IOG_PROT_EXEC, true, "a fetch of instructions from what the second stage does not map, or not for that" },
	{ 21, IOG_FAULT_REASON_NOT_PRESENT, IOG_PROT_READ, true, "a read from what the second stage does not map" },
	{ 23, IOG_FAULT_REASON_OTHER, IOG_PROT_WRITE, true, "a write to what the second stage does not map, or not for writing" },
	{ 256, IOG_FAULT_REASON_NO_DEVICE, 0, false, "the unit is off: every access is refused" },
	{ 257, IOG_FAULT_REASON_WALK, 0, false, "the device directory could not be read" },
	{ 258, IOG_FAULT_REASON_NO_DEVICE, 0, false, "the device has no valid context" },
	{ 259, IOG_FAULT_REASON_MALFORMED, 0, false, "the device's context, or what leads to it, is malformed" },
	{ 260, IOG_FAULT_REASON_PERMISSION, 0, false, "a kind of transaction that the device may not use, or a device_id beyond the directory" },
	{ 261, IOG_FAULT_REASON_WALK, 0, false, "the MSI page table could not be read" },
	{ 262, IOG_FAULT_REASON_INTERRUPT, 0, false, "the MSI page table has no valid entry" },
	{ 263, IOG_FAULT_REASON_INTERRUPT, 0, false, "the entry of the MSI page table is malformed" },
	{ 264, IOG_FAULT_REASON_WALK, 0, false, "a memory-resident interrupt file could not be read or written" },
	{ 265, IOG_FAULT_REASON_WALK, 0, false, "the process directory could not be read" },
	{ 266, IOG_FAULT_REASON_NO_DEVICE, 0, false, "the process has no valid context" },
	{ 267, IOG_FAULT_REASON_MALFORMED, 0, false, "the process's context, or what leads to it, is malformed" },
	{ 268, IOG_FAULT_REASON_WALK, 0, false, "the device directory is corrupted" },
	{ 269, IOG_FAULT_REASON_WALK, 0, false, "the process directory is corrupted" },
	{ 270, IOG_FAULT_REASON_WALK, 0, false, "the MSI page table is corrupted" },
	{ 271, IOG_FAULT_REASON_WALK, 0, false, "a memory-resident interrupt file is corrupted" },
	{ 272, IOG_FAULT_REASON_OTHER, 0, false, "an error inside the unit" },
	{ 273, IOG_FAULT_REASON_OTHER, 0, false, "the unit's own interrupt could not be written" },
	{ 274, IOG_FAULT_REASON_WALK, 0, false, "a page table is corrupted" },
};

static const struct meaning unknown = { 0, IOG_FAULT_REASON_OTHER, 0, false, "a cause that the specification leaves to the unit's maker, or a newer one" };

static const struct meaning *meaning_of(uint32_t cause)
{
	for (size_t n = 0; n < sizeof(meanings) / sizeof(meanings[0]); n++)
		if (meanings[n].cause == cause)
			return &meanings[n];
	return &unknown;
}

/* What kind of access it was (TTYP): untranslated, translated, a request for a translation. */
static uint32_t access_of(uint32_t ttyp, uint32_t known)
{
	static const uint32_t accesses[] = { 0, IOG_PROT_READ | IOG_PROT_EXEC, IOG_PROT_READ, IOG_PROT_WRITE };
	uint32_t access = IOG_FAULT_NO_ADDRESS;

	if (ttyp >= 1 && ttyp <= 3)
		access = accesses[ttyp];
	else if (ttyp >= 5 && ttyp <= 7)
		access = accesses[ttyp - 4] | IOG_FAULT_TRANSLATED;
	else if (ttyp == 8)
		access = IOG_FAULT_TRANSLATION;
	/* The cause says it more exactly. */
	return known ? (access & ~(uint32_t)(IOG_PROT_READ | IOG_PROT_WRITE | IOG_PROT_EXEC | IOG_FAULT_NO_ADDRESS)) | known : access;
}

static void tell(struct iog_riscv *riscv, const uint64_t record[FAULT_WORDS])
{
	const struct meaning *meaning = meaning_of(FAULT_CAUSE(record[0]));
	struct iog_fault fault = {
		.device = FAULT_DID(record[0]),
		.pasid = record[0] & FAULT_PV ? FAULT_PID(record[0]) : IOG_PASID_NONE,
		.access = access_of(FAULT_TTYP(record[0]), meaning->access) | (record[0] & FAULT_PRIV ? IOG_FAULT_PRIVILEGED : 0) |
			  (meaning->second_stage ? IOG_FAULT_SECOND_STAGE : 0),
		.reason = (enum iog_fault_reason)meaning->reason,
		.code = FAULT_CAUSE(record[0]),
		.text = meaning->text,
	};

	if (!(fault.access & IOG_FAULT_NO_ADDRESS))
		fault.iova = record[2];
	iog_fault_log_add(riscv->fault_log, &riscv->unit, &fault);
}

static void fault_take(struct iog_riscv *riscv)
{
	uint64_t *at = riscv->faults + FAULT_WORDS * (size_t)riscv->fault_head, record[FAULT_WORDS];

	if (!riscv->coherent)
		riscv->platform->cache_flush(riscv->platform->ctx, at, sizeof(record));
	for (uint32_t n = 0; n < FAULT_WORDS; n++)
		record[n] = __atomic_load_n(&at[n], __ATOMIC_RELAXED);
	tell(riscv, record);
}

/* The queue stopped because it was full, or could not be written: what came meanwhile is lost. */
static void errors_take(struct iog_riscv *riscv)
{
	uint32_t csr = iog_mmio_read32(&riscv->mmio, FQCSR), errors = csr & (FQCSR_FQOF | FQCSR_FQMF);

	if (!errors || csr == UINT32_MAX)
		return;
	iog_fault_log_overflow(riscv->fault_log);
	iog_mmio_write32(&riscv->mmio, FQCSR, FQCSR_FQEN | FQCSR_FIE | errors);
}

uint32_t iog_riscv_interrupt(struct iog_riscv *riscv)
{
	uint32_t mask = (1u << riscv->config.fault_log2) - 1, taken = 0;
	uintptr_t flags;

	if (!riscv->on)
		return 0;
	flags = spin_lock(&riscv->fault_lock, riscv->platform);
	/* Before the queue is looked at: what comes later interrupts again. */
	iog_mmio_write32(&riscv->mmio, IPSR, IPSR_CIP | IPSR_FIP);
	iog_ring_watch(&riscv->ring, true);
	while (taken < mask) {
		uint32_t tail = iog_mmio_read32(&riscv->mmio, FQT), there = (tail - riscv->fault_head) & mask;

		/* All ones: nobody is there. */
		if (!there || tail == UINT32_MAX)
			break;
		if (there > mask - taken)
			there = mask - taken;
		for (uint32_t n = 0; n < there; n++) {
			fault_take(riscv);
			riscv->fault_head = (riscv->fault_head + 1) & mask;
		}
		taken += there;
		/* What was read has been read before the unit may write there again. */
		atomic_thread_fence(memory_order_seq_cst);
		iog_mmio_publish(&riscv->mmio);
		iog_mmio_write32(&riscv->mmio, FQH, riscv->fault_head);
	}
	/* There is room now. */
	errors_take(riscv);
	spin_unlock(&riscv->fault_lock, riscv->platform, flags);
	return taken;
}

void iog_riscv_device_faults(const struct iog_riscv *riscv, uint32_t device, struct iog_fault_counts *counts)
{
	iog_fault_log_device(riscv->fault_log, device, counts);
}

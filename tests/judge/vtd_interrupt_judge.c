/* SPDX-License-Identifier: MIT */
/*
 * Interrupt remapping by the VT-d driver, against QEMU's intel-iommu: edu's interrupt arrives through its entry, a forged one does not.
 *
 * The machine's CPU is halted with interrupts off, so the entry makes the interrupt an NMI: a handler in guest memory counts them. A message that a device makes up is a DMA of four bytes to where
 * messages go.
 */
#include <iogate/hw/vtd.h>
#include <iogate/unit.h>

#include "message.h"

#define REGISTERS 0xfed90000
#define DEVICE IOG_VTD_DEVICE(0, 0, 3, 0)
#define OTHER IOG_VTD_DEVICE(0, 0, 4, 0)
#define NMI 4

/* Real mode: the vector of NMIs, a handler, what it counts in. */
#define VECTOR 0x8
#define HANDLER 0x7000
#define COUNTER 0x7100

struct bed {
	const char *name;
	struct iog_qtest *qtest;
	const struct iog_platform *platform;
	struct iog_vtd *vtd;
	struct iog_fault fault;
	uint16_t *counter;
	iog_paddr_t edu;
};

static void faulted(void *ctx, struct iog_unit *unit, const struct iog_fault *fault)
{
	(void)unit;
	((struct bed *)ctx)->fault = *fault;
}

#define CLAIM(claim, what) JUDGE(claim, "%s: %s", bed->name, (what))

static uint64_t faults_now(struct bed *bed)
{
	struct iog_vtd_stats stats;

	iog_vtd_interrupt(bed->vtd);
	iog_vtd_stats(bed->vtd, &stats);
	return stats.faults.seen;
}

/* inc word [cs:COUNTER]; iret */
static void handler_install(struct bed *bed)
{
	static const uint8_t code[] = { 0x2e, 0xff, 0x06, COUNTER & 0xff, COUNTER >> 8, 0xcf };
	uint16_t *vector = iog_qtest_memory(bed->qtest, VECTOR, 4);

	memcpy(iog_qtest_memory(bed->qtest, HANDLER, sizeof(code)), code, sizeof(code));
	vector[0] = HANDLER;
	vector[1] = 0;
	bed->counter = iog_qtest_memory(bed->qtest, COUNTER, 2);
	*bed->counter = 0;
}

static uint16_t raised(struct bed *bed)
{
	return message_raise(bed->platform, bed->edu, bed->counter);
}

/* QEMU 7 blocks, and records nothing. */
static void expect_blocked(struct bed *bed, uint64_t before, uint32_t device, uint32_t code, uint32_t index)
{
	if (iog_qtest_version(bed->qtest) < 1000)
		return;
	CLAIM(faults_now(bed) > before, "a fault is recorded");
	CLAIM(bed->fault.device == device && bed->fault.reason == IOG_FAULT_REASON_INTERRUPT && bed->fault.code == code, bed->fault.text ? bed->fault.text : "no reason");
	CLAIM(index == UINT32_MAX || bed->fault.iova == index, "of the entry");
}

static void judge_version(const char *name, uint32_t version_min, uint32_t version_max)
{
	static const char *const arguments[] = { "-device", "intel-iommu,aw-bits=48,intremap=on", NULL };
	struct iog_qtest_config machine = { .arguments = arguments, .machine_options = "kernel-irqchip=split", .edus = 2, .version_min = version_min, .version_max = version_max };
	struct bed bed_storage = { .name = name }, *bed = &bed_storage;
	struct iog_vtd_config config = { .registers = REGISTERS, .interrupts = 256, .faults = { .fn = faulted, .ctx = bed, .per_device = 1000, .total = 1000 } };
	const struct iog_vtd_route nmi = { .delivery = NMI };
	struct iog_vtd_info info;
	uint32_t index = 0, theirs = 0, data;
	uint64_t address, before;

	bed->qtest = judge_start(&machine);
	if (!bed->qtest)
		return;
	bed->platform = iog_qtest_platform(bed->qtest);
	config.platform = bed->platform;
	handler_install(bed);
	CLAIM(!iog_qtest_bar(bed->qtest, IOG_QTEST_EDU(0), 0, &bed->edu), "edu");
	CLAIM(!iog_vtd_create(&config, &bed->vtd), "driver");
	if (!bed->vtd) {
		iog_qtest_destroy(bed->qtest);
		return;
	}
	iog_vtd_info(bed->vtd, &info);
	CLAIM(info.interrupts, "the unit remaps interrupts");
	/* Off: a message as it always was, NMI to APIC 0. */
	CLAIM(message_set(bed->qtest, 0xfee00000, NMI << 8) && raised(bed) == 1, "off: the interrupt arrives (control)");
	CLAIM(!iog_vtd_enable(bed->vtd), "enable");
	/* The model lets messages in compatibility format pass whatever the unit says, and this unit says that they are blocked. */
	CLAIM(!(bed->platform->mmio_read32(bed->platform->ctx, REGISTERS + 0x1c) & 1 << 23), "messages in compatibility format are told to be blocked");

	CLAIM(!iog_vtd_interrupt_alloc(bed->vtd, OTHER, 1, &theirs) && !iog_vtd_interrupt_alloc(bed->vtd, DEVICE, 1, &index), "entries");
	iog_vtd_interrupt_message(index, &address, &data);
	CLAIM(message_set(bed->qtest, address, data), "message");
	before = faults_now(bed);
	CLAIM(raised(bed) == 0, "blocked by default");
	expect_blocked(bed, before, DEVICE, 0x22, index);
	CLAIM(!iog_vtd_interrupt_route(bed->vtd, index, &nmi), "route");
	before = faults_now(bed);
	CLAIM(raised(bed) == 1 && faults_now(bed) == before, "it arrives through its entry");

	/* Another device's entry, and one beyond the table. */
	CLAIM(!iog_vtd_interrupt_route(bed->vtd, theirs, &nmi), "route of another");
	iog_vtd_interrupt_message(theirs, &address, &data);
	before = faults_now(bed);
	CLAIM(message_set(bed->qtest, address, data) && raised(bed) == 0, "by another device's entry: blocked");
	expect_blocked(bed, before, DEVICE, 0x26, theirs);
	iog_vtd_interrupt_message(9999, &address, &data);
	before = faults_now(bed);
	CLAIM(message_set(bed->qtest, address, data) && raised(bed) == 0, "beyond the table: blocked");
	expect_blocked(bed, before, DEVICE, 0x21, 9999);

	/* Freed. */
	iog_vtd_interrupt_message(index, &address, &data);
	CLAIM(message_set(bed->qtest, address, data) && raised(bed) == 1, "it arrives again");
	CLAIM(!iog_vtd_interrupt_free(bed->vtd, index, 1), "free");
	before = faults_now(bed);
	CLAIM(raised(bed) == 0, "freed: blocked");
	expect_blocked(bed, before, DEVICE, 0x22, index);

	CLAIM(!iog_vtd_disable(bed->vtd) && !iog_vtd_destroy(bed->vtd), "driver goes");
	CLAIM(message_set(bed->qtest, 0xfee00000, NMI << 8) && raised(bed) == 1, "off again: the interrupt arrives");
	CLAIM(!iog_qtest_error(bed->qtest), "QEMU is well");
	iog_qtest_destroy(bed->qtest);
}

int main(void)
{
	judge_version("QEMU 7", 7, 7);
	judge_version("QEMU 10", 10, 0);
	return judge_end();
}

/* SPDX-License-Identifier: MIT */
/*
 * Interrupt remapping by the AMD-Vi driver, against QEMU's amd-iommu: edu's interrupts arrive where their entries say, forged ones do not.
 *
 * Entries of this kind of unit carry fixed interrupts only, so that the machine's CPU has to take such: an NMI, before anything is remapped, turns its APIC and interrupts on. Handlers in guest memory count.
 *
 * The model reads tables when a message comes, and remembers nothing of them: that a change is told to hardware is claimed by the command, and asserted with its place in amdvi_interrupt_test.c. It does not
 * look at the length of a table, logs no event, and goes on remapping when it is turned off.
 */
#include <iogate/hw/amdvi.h>
#include <iogate/unit.h>

#include "message.h"

#define REGISTERS 0xfed80000
/* Where QEMU puts the unit's own function, and in it the capability block. */
#define FUNCTION IOG_QTEST_BDF(0, 1, 0)
#define CAPABILITY 0x40
#define DEVICE IOG_AMDVI_DEVICE(0, 0, 3, 0)
#define OTHER IOG_AMDVI_DEVICE(0, 0, 4, 0)
/* As its IVRS table says. */
#define IOAPIC IOG_AMDVI_DEVICE(0, 0, 0x14, 0)
#define MESSAGES 0xfee00000
#define NMI (4u << 8)
#define NMI_PASS 0x04 /* in a device's settings */
#define ENTRIES 64

/* Real mode: vectors, handlers, what they count in. */
#define NMI_VECTOR 2
#define FIRST 0x41
#define SECOND 0x42
#define HANDLER_NMI 0x7000
#define HANDLER_FIRST 0x7080
#define HANDLER_SECOND 0x70c0
#define GDT 0x7100
#define GDTR 0x7110
#define COUNTERS 0x7120
#define LOW(address) ((address) & 0xff)
#define HIGH(address) ((address) >> 8)

/* Data segments get a limit of 4 GiB; the APIC is turned on; whom it interrupted goes on with interrupts on. */
static const uint8_t nmi_code[] = {
	0x2e, 0xff, 0x06, LOW(COUNTERS), HIGH(COUNTERS),       /* inc word [cs:COUNTERS] */
	0x2e, 0x66, 0x0f, 0x01, 0x16, LOW(GDTR), HIGH(GDTR),   /* lgdt [cs:GDTR] */
	0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0,        /* mov eax, cr0; or al, 1; mov cr0, eax */
	0xbb, 0x08, 0x00, 0x8e, 0xdb,                          /* mov bx, 8; mov ds, bx */
	0x24, 0xfe, 0x0f, 0x22, 0xc0,                          /* and al, ~1; mov cr0, eax */
	0x66, 0xb8, 0xf0, 0x00, 0xe0, 0xfe,                    /* mov eax, 0xfee000f0 */
	0x67, 0x66, 0xc7, 0x00, 0xff, 0x01, 0x00, 0x00,        /* mov dword [eax], 0x1ff */
	0x89, 0xe5, 0x81, 0x4e, 0x04, 0x00, 0x02,              /* mov bp, sp; or word [bp + 4], 0x200 */
	0xcf,                                                  /* iret */
};

#define FIXED_CODE(counter)                                                                          \
	{                                                                                            \
		0x2e, 0xff, 0x06, LOW(counter), HIGH(counter),  /* inc word [cs:counter] */          \
		0x66, 0xb8, 0xb0, 0x00, 0xe0, 0xfe,             /* mov eax, 0xfee000b0 */            \
		0x67, 0x66, 0xc7, 0x00, 0x00, 0x00, 0x00, 0x00, /* mov dword [eax], 0: the end */    \
		0xcf,                                           /* iret */                           \
	}

static const uint8_t first_code[] = FIXED_CODE(COUNTERS + 2), second_code[] = FIXED_CODE(COUNTERS + 4);
static const uint8_t gdt[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0x92, 0xcf, 0 };
static const uint8_t gdtr[] = { sizeof(gdt) - 1, 0, LOW(GDT), HIGH(GDT), 0, 0 };

struct way {
	const char *name;
	const char *device; /* argument of QEMU */
	uint32_t version_min, version_max;
	uint32_t flags;
};

static const struct way ways[] = {
	{ "QEMU 7", "amd-iommu,intremap=on", 7, 7, 0 },
	{ "QEMU 10", "amd-iommu,pt=off,intremap=on", 10, 0, 0 },
	{ "QEMU 10, entries of 128 bits", "amd-iommu,pt=off,intremap=on,xtsup=on", 10, 0, IOG_AMDVI_X2APIC },
};

struct bed {
	const char *name;
	struct iog_qtest *qtest;
	const struct iog_platform *platform;
	struct iog_amdvi *amdvi;
	struct iog_unit *unit;
	volatile uint16_t *counters; /* of NMIs, and the two vectors */
	iog_paddr_t edu;
	uint32_t *word; /* for a message that edu makes up */
};

#define CLAIM(claim, what) JUDGE(claim, "%s: %s", bed->name, (what))

static void place(struct bed *bed, iog_paddr_t at, const void *bytes, uint32_t size)
{
	memcpy(iog_qtest_memory(bed->qtest, at, size), bytes, size);
}

static void handlers_install(struct bed *bed)
{
	const uint16_t vectors[][3] = { { NMI_VECTOR, HANDLER_NMI, 0 }, { FIRST, HANDLER_FIRST, 0 }, { SECOND, HANDLER_SECOND, 0 } };

	for (uint32_t n = 0; n < 3; n++)
		place(bed, 4u * vectors[n][0], &vectors[n][1], 4);
	place(bed, HANDLER_NMI, nmi_code, sizeof(nmi_code));
	place(bed, HANDLER_FIRST, first_code, sizeof(first_code));
	place(bed, HANDLER_SECOND, second_code, sizeof(second_code));
	place(bed, GDT, gdt, sizeof(gdt));
	place(bed, GDTR, gdtr, sizeof(gdtr));
	bed->counters = iog_qtest_memory(bed->qtest, COUNTERS, 6);
	for (uint32_t n = 0; n < 3; n++)
		bed->counters[n] = 0;
}

/* What edu raises arrives at @wanted only: 0 NMIs, 1 and 2 the vectors, -1: nowhere. */
static bool raised_at(struct bed *bed, int wanted)
{
	uint16_t before[3], counted;

	for (uint32_t n = 0; n < 3; n++)
		before[n] = bed->counters[n];
	counted = message_raise(bed->platform, bed->edu, &bed->counters[wanted < 0 ? 0 : wanted]);
	for (uint32_t n = 0; n < 3; n++)
		if ((int)n != wanted && bed->counters[n] != before[n])
			return false;
	return counted == (wanted >= 0);
}

/* The same of what edu is told to say. */
static bool forged_at(struct bed *bed, uint32_t data, int wanted)
{
	return message_set(bed->qtest, MESSAGES, data) && raised_at(bed, wanted);
}

/* The same of a DMA to where messages go. The model takes that for the I/O APIC's, which has a device number of its own. */
static bool written_at(struct bed *bed, uint32_t data, int wanted)
{
	uint16_t before[3], counted;

	for (uint32_t n = 0; n < 3; n++)
		before[n] = bed->counters[n];
	*bed->word = data;
	CLAIM(!iog_qtest_edu_dma(bed->qtest, 0, IOG_QTEST_FROM_MEMORY, (uint64_t)(uintptr_t)bed->word - bed->platform->direct_map_offset, 0, 4) &&
		      !iog_qtest_edu_dma(bed->qtest, 0, IOG_QTEST_TO_MEMORY, MESSAGES, 0, 4),
	      "edu's DMA");
	counted = message_counted(bed->platform, bed->edu, &bed->counters[wanted < 0 ? 0 : wanted], before[wanted < 0 ? 0 : wanted]);
	for (uint32_t n = 0; n < 3; n++)
		if ((int)n != wanted && bed->counters[n] != before[n])
			return false;
	return counted == (wanted >= 0);
}

static uint64_t commands(const struct bed *bed)
{
	struct iog_amdvi_stats stats;

	iog_amdvi_stats(bed->amdvi, &stats);
	return stats.interrupt_commands;
}

/* Set up edu's message by an entry. */
static bool entry_message(struct bed *bed, uint32_t index)
{
	uint64_t address;
	uint32_t data;

	iog_amdvi_interrupt_message(index, &address, &data);
	return message_set(bed->qtest, address, data);
}

static void judge_routes(struct bed *bed, uint32_t *index)
{
	const struct iog_amdvi_route first = { .vector = FIRST }, second = { .vector = SECOND };
	uint32_t theirs;
	uint64_t told;

	/* No table. */
	CLAIM(message_set(bed->qtest, MESSAGES, FIRST) && raised_at(bed, -1), "a device without a table is blocked");
	CLAIM(!iog_amdvi_interrupt_alloc(bed->amdvi, DEVICE, 1, index) && entry_message(bed, *index), "an entry");
	CLAIM(raised_at(bed, -1), "blocked by default");
	told = commands(bed);
	CLAIM(!iog_amdvi_interrupt_route(bed->amdvi, DEVICE, *index, &first) && commands(bed) == told + 1, "a route, and hardware is told");
	CLAIM(raised_at(bed, 1), "it arrives through its entry");
	CLAIM(!iog_amdvi_interrupt_route(bed->amdvi, DEVICE, *index, &second) && raised_at(bed, 2), "sent elsewhere, it arrives there");
	CLAIM(!iog_amdvi_interrupt_route(bed->amdvi, DEVICE, *index, NULL) && raised_at(bed, -1), "without a route it does not");
	CLAIM(!iog_amdvi_interrupt_route(bed->amdvi, DEVICE, *index, &first) && raised_at(bed, 1), "and again");

	/* Forged: what the device says itself of vector and destination is the number of an entry. */
	CLAIM(forged_at(bed, FIRST, -1), "beyond the table: blocked");
	CLAIM(forged_at(bed, *index + 1, -1), "an entry that is not taken: blocked");
	CLAIM(forged_at(bed, NMI, -1), "an NMI: blocked");
	/* An I/O APIC is a device as any other. */
	CLAIM(written_at(bed, FIRST, -1), "the I/O APIC has no table: blocked");
	CLAIM(!iog_amdvi_interrupt_alloc(bed->amdvi, IOAPIC, 2, &theirs) && !iog_amdvi_interrupt_route(bed->amdvi, IOAPIC, theirs + 1, &second), "an entry of the I/O APIC's");
	CLAIM(written_at(bed, theirs + 1, 2) && written_at(bed, theirs, -1), "the I/O APIC's arrives through its entry");
	/* Another device's table has the number, this one's has it blocked. */
	CLAIM(!iog_amdvi_interrupt_alloc(bed->amdvi, OTHER, 32, &theirs) && !iog_amdvi_interrupt_route(bed->amdvi, OTHER, theirs + 9, &first), "another device's entry");
	CLAIM(forged_at(bed, theirs + 9, -1), "by another device's entry: blocked");
}

static void judge_way(const struct way *way)
{
	const char *const arguments[] = { "-device", way->device, NULL };
	struct iog_qtest_config machine = { .arguments = arguments, .edus = 2, .version_min = way->version_min, .version_max = way->version_max };
	struct bed bed_storage = { .name = way->name }, *bed = &bed_storage;
	struct iog_amdvi_config config = { .registers = REGISTERS, .interrupts = ENTRIES, .flags = way->flags, .last_device = 0xff, .domain_ids = 200 };
	struct iog_qtest_stats stats;
	uint32_t index = 0;
	uint64_t told;

	bed->qtest = judge_start(&machine);
	if (!bed->qtest)
		return;
	bed->platform = iog_qtest_platform(bed->qtest);
	bed->word = bed->platform->pages_alloc(bed->platform->ctx, 4096);
	config.platform = bed->platform;
	config.capability = iog_qtest_config_read(bed->qtest, FUNCTION, CAPABILITY);
	handlers_install(bed);
	bed->edu = iog_qtest_config_read(bed->qtest, IOG_QTEST_EDU(0), 0x10) & ~0xfu;
	CLAIM(!iog_amdvi_create(&config, &bed->amdvi), "driver");
	if (!bed->amdvi) {
		iog_qtest_destroy(bed->qtest);
		return;
	}
	bed->unit = iog_amdvi_unit(bed->amdvi);
	/* Off: messages as they always were. */
	CLAIM(message_set(bed->qtest, MESSAGES, NMI) && raised_at(bed, 0), "off: an NMI arrives (control)");
	CLAIM(message_set(bed->qtest, MESSAGES, FIRST) && raised_at(bed, 1), "off: an interrupt arrives (control)");
	CLAIM(!iog_amdvi_enable(bed->amdvi) && !bed->unit->ops->device_set(bed->unit, DEVICE, IOG_DOMAIN_IDENTITY, 0), "enable");
	judge_routes(bed, &index);
	CLAIM(!iog_amdvi_device_settings(bed->amdvi, DEVICE, NMI_PASS) && forged_at(bed, NMI, 0), "an NMI passes where the device's settings say so");

	told = commands(bed);
	CLAIM(!iog_amdvi_interrupt_free(bed->amdvi, DEVICE, index, 1) && commands(bed) == told + 1, "free, and hardware is told");
	CLAIM(entry_message(bed, index) && raised_at(bed, -1), "freed: blocked");
	CLAIM(!iog_amdvi_disable(bed->amdvi), "disable");
	CLAIM(!iog_amdvi_destroy(bed->amdvi), "driver goes");
	bed->platform->pages_free(bed->platform->ctx, bed->word, 4096);
	iog_qtest_stats(bed->qtest, &stats);
	CLAIM(!stats.memory_bytes, "all guest memory comes back");
	CLAIM(!iog_qtest_error(bed->qtest), "QEMU is well");
	iog_qtest_destroy(bed->qtest);
}

int main(void)
{
	for (uint32_t n = 0; n < sizeof(ways) / sizeof(ways[0]); n++)
		judge_way(&ways[n]);
	return judge_end();
}

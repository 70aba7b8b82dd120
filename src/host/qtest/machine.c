/* SPDX-License-Identifier: MIT */
/*
 * The machines: where memory, BARs and configuration space are, and how to keep the CPU from doing anything.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#define MIB (UINT64_C(1) << 20)
#define PAGE UINT64_C(4096)

/* x86: the image ends at the end of the first 4 GiB, 16 bytes after the reset vector. */
#define FIRMWARE_SIZE 65536
#define FIRMWARE_RESET 0xfff0

static const struct qtest_machine machines[] = {
	[IOG_QTEST_X86] = {
		.name = "q35", .program = "qemu-system-x86_64", .environment = "IOG_QEMU_X86",
		.memory_low = 2 * MIB, .window = 0xd0000000, .window_size = 0x10000000,
	},
	/* The device tree is at the beginning of memory; the last page has the loop that the CPU is in. */
	[IOG_QTEST_ARM] = {
		.name = "virt", .program = "qemu-system-aarch64", .environment = "IOG_QEMU_ARM",
		.memory_base = 0x40000000, .memory_low = 4 * MIB, .memory_high = PAGE, .window = 0x10000000, .window_size = 0x2e000000, .ecam = 0x4010000000,
	},
	/* The device tree is in the last 18 MiB: below the end, rounded down to 16. */
	[IOG_QTEST_RISCV] = {
		.name = "virt", .program = "qemu-system-riscv64", .environment = "IOG_QEMU_RISCV",
		.memory_base = 0x80000000, .memory_low = 2 * MIB, .memory_high = 18 * MIB, .window = 0x40000000, .window_size = 0x40000000, .ecam = 0x30000000,
	},
};

const struct qtest_machine *iog_qtest_machine(enum iog_qtest_machine machine)
{
	return (uint32_t)machine < sizeof(machines) / sizeof(machines[0]) ? &machines[machine] : NULL;
}

int iog_qtest_firmware(enum iog_qtest_machine machine)
{
	static const uint8_t stop[] = { 0xfa, 0xf4, 0xeb, 0xfd }; /* cli; hlt; jmp to hlt */
	uint8_t halt[PAGE];
	int file;

	if (machine != IOG_QTEST_X86)
		return -2;
	file = memfd_create("iogate-firmware", MFD_CLOEXEC);
	if (file < 0)
		return -1;
	memset(halt, stop[1], sizeof(halt));
	for (uint32_t n = 0; n < FIRMWARE_SIZE / sizeof(halt); n++) {
		if (write(file, halt, sizeof(halt)) != (ssize_t)sizeof(halt)) {
			close(file);
			return -1;
		}
	}
	if (pwrite(file, stop, sizeof(stop), FIRMWARE_RESET) != (ssize_t)sizeof(stop)) {
		close(file);
		return -1;
	}
	return file;
}

uint32_t iog_qtest_halt(enum iog_qtest_machine machine, const struct iog_qtest *qtest, int firmware, char text[4][128], const char **arguments)
{
	uint64_t last = qtest->memory.paddr + qtest->memory.size - PAGE;
	uint32_t n = 0;

	switch (machine) {
	case IOG_QTEST_X86:
		snprintf(text[0], sizeof(text[0]), "/proc/self/fd/%d", firmware);
		arguments[n++] = "-bios";
		arguments[n++] = text[0];
		break;
	case IOG_QTEST_ARM:
		/* wfi; b to it */
		snprintf(text[0], sizeof(text[0]), "loader,addr=0x%" PRIx64 ",data=0x17ffffffd503207f,data-len=8", last);
		snprintf(text[1], sizeof(text[1]), "loader,addr=0x%" PRIx64 ",cpu-num=0", last);
		arguments[n++] = "-device";
		arguments[n++] = text[0];
		arguments[n++] = "-device";
		arguments[n++] = text[1];
		break;
	case IOG_QTEST_RISCV:
		/* wfi; j to it, where the reset vector jumps to */
		snprintf(text[0], sizeof(text[0]), "loader,addr=0x%" PRIx64 ",data=0xffdff06f10500073,data-len=8", qtest->memory.paddr);
		arguments[n++] = "-bios";
		arguments[n++] = "none";
		arguments[n++] = "-device";
		arguments[n++] = text[0];
		break;
	}
	return n;
}

/* SPDX-License-Identifier: MIT */
/*
 * A PC, booted by PVH: ACPI tables by the start information, configuration space by ports, BARs assigned by firmware.
 */
#include "example.h"

#define SERIAL 0x3f8
#define SERIAL_STATUS (SERIAL + 5)
#define PCI_ADDRESS 0xcf8
#define PCI_DATA 0xcfc
#define DEBUG_EXIT 0xf4
#define MAPPED (UINT64_C(1) << 32)

/* Of the start information (Xen, arch-x86/hvm/start_info.h). */
#define START_MAGIC 0x336ec578u
#define START_RSDP 32

const char machine_name[] = "x86-64";
const uint32_t machine_bar_window = 0;

static inline void out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint32_t in32(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

void machine_put(char c)
{
	uint8_t status;

	do
		__asm__ volatile("inb %1, %0" : "=a"(status) : "Nd"((uint16_t)SERIAL_STATUS));
	while (!(status & 0x20));
	__asm__ volatile("outb %0, %1" : : "a"(c), "Nd"((uint16_t)SERIAL));
}

/* QEMU ends with twice the value, and one. */
_Noreturn void machine_exit(int status)
{
	out32(DEBUG_EXIT, status ? 1 : 0x10);
	for (;;)
		__asm__ volatile("cli; hlt");
}

uint32_t machine_config_read(uint16_t bdf, uint32_t offset)
{
	out32(PCI_ADDRESS, 0x80000000u | (uint32_t)bdf << 8 | offset);
	return in32(PCI_DATA);
}

void machine_config_write(uint16_t bdf, uint32_t offset, uint32_t value)
{
	out32(PCI_ADDRESS, 0x80000000u | (uint32_t)bdf << 8 | offset);
	out32(PCI_DATA, value);
}

static const void *map_firmware(void *ctx, uint64_t paddr, size_t size)
{
	(void)ctx;
	return paddr && paddr < MAPPED && size <= MAPPED - paddr ? (const void *)paddr : NULL;
}

int machine_firmware(uintptr_t boot, struct firmware *firmware)
{
	uint64_t paddr;
	int error;

	if (*(const uint32_t *)boot != START_MAGIC)
		return -IOG_EINVAL;
	error = iog_acpi_find(*(const uint64_t *)(boot + START_RSDP), "DMAR", map_firmware, NULL, &paddr, &firmware->size, NULL);
	if (error)
		return error;
	firmware->read = iog_discover_dmar;
	firmware->table = (const void *)paddr;
	return 0;
}

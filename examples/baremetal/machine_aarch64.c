/* SPDX-License-Identifier: MIT */
/*
 * QEMU's virt: the device tree in x0 or at the beginning of memory.
 */
#include "example.h"

#define MEMORY UINT64_C(0x40000000)
#define ECAM UINT64_C(0x4010000000)
#define UART UINT64_C(0x09000000) /* PL011 */
#define UART_FLAGS 0x18
#define UART_FULL 0x20u

#define SEMIHOSTING_EXIT 0x18
#define SEMIHOSTING_APPLICATION_EXIT 0x20026

const char machine_name[] = "aarch64";
const uint32_t machine_bar_window = 0x10000000;

void machine_put(char c)
{
	while (platform.mmio_read32(platform.ctx, UART + UART_FLAGS) & UART_FULL)
		;
	platform.mmio_write32(platform.ctx, UART, (uint8_t)c);
}

_Noreturn void machine_exit(int status)
{
	uint64_t block[2] = { SEMIHOSTING_APPLICATION_EXIT, (uint64_t)status };
	register uint64_t operation __asm__("x0") = SEMIHOSTING_EXIT;
	register uint64_t *argument __asm__("x1") = block;

	__asm__ volatile("hlt #0xf000" : : "r"(operation), "r"(argument) : "memory");
	for (;;)
		__asm__ volatile("wfi");
}

uint32_t machine_config_read(uint16_t bdf, uint32_t offset)
{
	return platform.mmio_read32(platform.ctx, ECAM + ((uint64_t)bdf << 12) + offset);
}

void machine_config_write(uint16_t bdf, uint32_t offset, uint32_t value)
{
	platform.mmio_write32(platform.ctx, ECAM + ((uint64_t)bdf << 12) + offset, value);
}

int machine_firmware(uintptr_t boot, struct firmware *firmware)
{
	firmware->read = iog_discover_fdt;
	firmware->table = (const void *)(boot ? boot : MEMORY);
	firmware->size = fdt_size(firmware->table);
	return firmware->size ? 0 : -IOG_ENOENT;
}

/* SPDX-License-Identifier: MIT */
/*
 * QEMU's virt, in machine mode: the device tree in a1.
 */
#include "example.h"

#define ECAM UINT64_C(0x30000000)
#define UART UINT64_C(0x10000000) /* 16550 */
#define UART_STATUS (UART + 5)
#define TEST UINT64_C(0x100000) /* sifive,test */
#define TEST_PASS 0x5555u
#define TEST_FAIL 0x3333u

const char machine_name[] = "riscv64";
const uint32_t machine_bar_window = 0x40000000;

void machine_put(char c)
{
	while (!(*(volatile uint8_t *)UART_STATUS & 0x20))
		;
	*(volatile char *)UART = c;
}

_Noreturn void machine_exit(int status)
{
	platform.mmio_write32(platform.ctx, TEST, status ? (uint32_t)status << 16 | TEST_FAIL : TEST_PASS);
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
	firmware->table = (const void *)boot;
	firmware->size = boot ? fdt_size(firmware->table) : 0;
	return firmware->size ? 0 : -IOG_ENOENT;
}

/* SPDX-License-Identifier: MIT */
/*
 * The device: QEMU's edu, on the root bus.
 */
#include "example.h"

#define PCI_COMMAND 0x04
#define PCI_COMMAND_MEMORY 0x2u
#define PCI_COMMAND_MASTER 0x4u
#define PCI_BAR0 0x10

#define EDU_ID UINT32_C(0x11e81234) /* device, vendor */
#define EDU_SOURCE 0x80
#define EDU_DESTINATION 0x88
#define EDU_COUNT 0x90
#define EDU_COMMAND 0x98
#define EDU_START 0x1u
#define EDU_TO_MEMORY 0x2u
#define EDU_BUFFER 0x40000u
/* The engine takes a tenth of this. */
#define EDU_DEADLINE_NS UINT64_C(1000000000)

bool edu_find(struct edu *edu)
{
	for (uint32_t device = 0; device < 32; device++) {
		edu->bdf = IOG_BDF(0, device, 0);
		if (machine_config_read(edu->bdf, 0) != EDU_ID)
			continue;
		if (machine_bar_window)
			machine_config_write(edu->bdf, PCI_BAR0, machine_bar_window);
		edu->registers = machine_config_read(edu->bdf, PCI_BAR0) & ~0xfu;
		machine_config_write(edu->bdf, PCI_COMMAND, PCI_COMMAND_MEMORY);
		return true;
	}
	return false;
}

void edu_bus_master(const struct edu *edu)
{
	machine_config_write(edu->bdf, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static bool edu_copy(const struct edu *edu, uint64_t source, uint64_t destination, uint32_t size, uint32_t direction)
{
	uint64_t deadline = platform.now_ns(platform.ctx) + EDU_DEADLINE_NS;

	platform.mmio_write64(platform.ctx, edu->registers + EDU_SOURCE, source);
	platform.mmio_write64(platform.ctx, edu->registers + EDU_DESTINATION, destination);
	platform.mmio_write64(platform.ctx, edu->registers + EDU_COUNT, size);
	platform.mmio_write64(platform.ctx, edu->registers + EDU_COMMAND, EDU_START | direction);
	while (platform.mmio_read64(platform.ctx, edu->registers + EDU_COMMAND) & EDU_START)
		if (platform.now_ns(platform.ctx) > deadline)
			return false;
	return true;
}

bool edu_read(const struct edu *edu, uint64_t address, uint32_t size)
{
	return edu_copy(edu, address, EDU_BUFFER, size, 0);
}

bool edu_write(const struct edu *edu, uint64_t address, uint32_t size)
{
	return edu_copy(edu, EDU_BUFFER, address, size, EDU_TO_MEMORY);
}

/* SPDX-License-Identifier: MIT */
/*
 * A kernel of a few hundred lines that protects one device: what its files have from one another.
 *
 *   platform.c   what iogate needs of a kernel (platform.h): memory, clock, caches, barriers, registers   } what one
 *   unit_*.c     a driver, and the page tables that its unit walks                                        } copies
 *   main.c       from firmware's tables to a blocked DMA                                                  } from
 *   edu.c        the device
 *   machine_*    one machine each: boot, console, PCI configuration space, firmware's tables
 *   library.c    the four functions that compilers call, and print()
 */
#ifndef BAREMETAL_EXAMPLE_H
#define BAREMETAL_EXAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iogate/discover.h>
#include <iogate/fault.h>
#include <iogate/iogate.h>

/* platform.c. One address space, virtual is physical. */
extern const struct iog_platform platform;
void platform_init(void);
/* Bytes that are allocated. */
size_t platform_used(void);

/* unit_*.c. */
struct unit {
	struct iog_unit *unit;
	void *driver;
};

int unit_create(const struct iog_found_unit *found, const struct iog_fault_config *faults, struct unit *unit);
/* The format and the addresses that page tables of this unit have. */
void unit_domain(const struct unit *unit, struct iog_domain_config *config);
int unit_enable(struct unit *unit);
/* Take faults from the unit; returns how many. */
uint32_t unit_interrupt(struct unit *unit);
/* Off, and everything given back. */
int unit_destroy(struct unit *unit);

/* machine_*. */
struct firmware {
	iog_discover_fn *read;
	const void *table;
	size_t size;
};

/* @boot: what the boot protocol hands over. */
int machine_firmware(uintptr_t boot, struct firmware *firmware);
uint32_t machine_config_read(uint16_t bdf, uint32_t offset);
void machine_config_write(uint16_t bdf, uint32_t offset, uint32_t value);
/* Where BARs may be put; 0: firmware has done it. */
extern const uint32_t machine_bar_window;
extern const char machine_name[];
void machine_put(char c);
_Noreturn void machine_exit(int status);

/* edu.c: QEMU's educational device, a buffer and an engine that copies between it and memory. */
struct edu {
	uint16_t bdf;
	uintptr_t registers;
};

bool edu_find(struct edu *edu);
void edu_bus_master(const struct edu *edu);
/* At most 4095 bytes. False if the engine does not come to an end. */
bool edu_read(const struct edu *edu, uint64_t address, uint32_t size);
bool edu_write(const struct edu *edu, uint64_t address, uint32_t size);

/* library.c. print() knows %s, %u and %x; numbers are uint64_t. */
void print(const char *format, ...);
size_t fdt_size(const void *fdt);

_Noreturn void kernel_main(uintptr_t boot);

#endif

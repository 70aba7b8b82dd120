/* SPDX-License-Identifier: MIT */
/*
 * The words that every room shares: addresses, permissions, lanes.
 */
#ifndef IOGATE_TYPES_H
#define IOGATE_TYPES_H

#include <stddef.h>
#include <stdint.h>

/* An address as a device issues it. All 64 bits are expressible; a range is [first, last] where its end may be 2^64 - 1. */
typedef uint64_t iog_iova_t;

/* An address as memory sees it. */
typedef uint64_t iog_paddr_t;

/*
 * A lane is a number below the lane count of the table memory in use, of which the caller guarantees that nobody else uses it
 * at the same time: a CPU with preemption off, a pinned thread, an interrupt context of its own. Per-CPU caches work through it without
 * thread-local storage.
 */
typedef uint32_t iog_lane_t;

/* Where a call says so: every lane. */
#define IOG_LANE_ALL UINT32_MAX

/* Levels of a page table are numbered from the leaves: level 0 holds only leaf entries. Six suffice for every format. */
#define IOG_LEVELS_MAX 6

/* What a device may do with a mapping. Formats that cannot express a combination say so in their header. */
enum iog_prot {
	IOG_PROT_READ = 1 << 0,
	IOG_PROT_WRITE = 1 << 1,
	IOG_PROT_EXEC = 1 << 2,     /* instruction fetch; ignored on formats without the notion */
	IOG_PROT_COHERENT = 1 << 3, /* snoop the CPU's caches whatever the device's request says (VT-d SNP, AMD FC) */
	IOG_PROT_NOCACHE = 1 << 4,  /* normal memory, not cached (Arm, RISC-V) */
	IOG_PROT_DEVICE = 1 << 5,   /* device registers: Device-nGnRE (Arm), IO (RISC-V). Outweighs NOCACHE */
};

#endif

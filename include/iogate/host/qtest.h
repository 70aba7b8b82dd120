/* SPDX-License-Identifier: MIT */
/*
 * IOMMUs modelled by QEMU, driven from this process: a driver's register accesses go to the model through QEMU's qtest server, and its tables lie in the guest's memory, which is mapped here.
 * No guest runs. A device that moves data ("edu") shows what the model lets through.
 *
 * QEMU is a child of the thread that calls iog_qtest_create(): it ends when that thread does, however it ends. It leaves no file behind.
 *
 * When QEMU ends early, or does not answer in time, registers read as all ones, writes are dropped, and iog_qtest_error() says what happened.
 */
#ifndef IOGATE_HOST_QTEST_H
#define IOGATE_HOST_QTEST_H

#include <stdbool.h>

#include <iogate/platform.h>
#include <iogate/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iog_qtest;

enum iog_qtest_machine {
	IOG_QTEST_X86 = 0, /* q35, memory from 0 */
	IOG_QTEST_ARM,     /* virt, memory from 0x40000000 */
	IOG_QTEST_RISCV,   /* virt, memory from 0x80000000 */
};

/* A device's place: bus, device, function, as in requester ids. */
#define IOG_QTEST_BDF(bus, device, function) ((uint32_t)(((bus) << 8) | ((device) << 3) | (function)))
/* The edu devices: 00:03.0, 00:04.0, ... */
#define IOG_QTEST_EDU(n) IOG_QTEST_BDF(0, 3 + (n), 0)
#define IOG_QTEST_EDUS_MAX 8

/* Bytes that one DMA of edu moves at most: one less than its buffer holds, because QEMU 7.2 ends on a transfer of all of it. */
#define IOG_QTEST_DMA_MAX 4095

/**
 * struct iog_qtest_config - zero means default.
 */
struct iog_qtest_config {
	enum iog_qtest_machine machine;
	/* Joined to -machine's argument: "iommu=smmuv3". */
	const char *machine_options;
	/* Further arguments of QEMU, ending with NULL: "-device", "intel-iommu,aw-bits=48". They stand before the edu devices. */
	const char *const *arguments;
	/* Guest memory, 64 MiB to 1 GiB, a multiple of 2 MiB. Default 64 MiB. */
	uint64_t memory;
	/* edu devices, up to IOG_QTEST_EDUS_MAX. Default 1. */
	uint32_t edus;
	/* QEMU's major version, from and to; 0: any. */
	uint32_t version_min;
	uint32_t version_max;
	/* For each answer of QEMU, ms. Default 20000. */
	uint32_t timeout_ms;
};

/**
 * iog_qtest_create() - start QEMU.
 * @config: kept by value, strings included.
 * @qtest: result; unchanged on error.
 * @why: on error, what is wrong, in one line; may be NULL.
 * @why_size: bytes of it.
 *
 * The program is the first, of a version that is wanted, of: what the environment's IOG_QEMU_X86, IOG_QEMU_ARM or IOG_QEMU_RISCV names; qemu-system-x86_64, -aarch64 or -riscv64 in the
 * directories of IOG_QEMU_DIRS, which are separated by colons; the same in those of PATH.
 *
 * Context: any; allocates, starts a process.
 * Return: 0; -IOG_ENOENT without such a program; -IOG_EINVAL for a malformed @config; -IOG_ENOMEM; -IOG_EIO if QEMU ended or refused an argument; -IOG_ETIMEDOUT.
 */
IOG_API int iog_qtest_create(const struct iog_qtest_config *config, struct iog_qtest **qtest, char *why, size_t why_size);

/**
 * iog_qtest_destroy() - end QEMU and give everything back.
 * @qtest: nothing may be left that was made with its platform; NULL is allowed.
 *
 * Context: any.
 */
IOG_API void iog_qtest_destroy(struct iog_qtest *qtest);

/**
 * iog_qtest_platform() - a platform whose table memory is the guest's, and whose registers are QEMU's.
 * @qtest: the machine.
 *
 * Registers are named by their guest-physical address.
 *
 * Context: any.
 * Return: valid as long as @qtest. Copy it to change a member.
 */
IOG_API const struct iog_platform *iog_qtest_platform(const struct iog_qtest *qtest);

/**
 * iog_qtest_error() - what went wrong with QEMU since it was started.
 * @qtest: the machine.
 *
 * Context: any.
 * Return: NULL if nothing did; else one line, valid as long as @qtest.
 */
IOG_API const char *iog_qtest_error(struct iog_qtest *qtest);

/**
 * iog_qtest_version() - QEMU's version.
 * @qtest: the machine.
 *
 * Context: any.
 * Return: major * 100 + minor: 702, 1000.
 */
IOG_API uint32_t iog_qtest_version(const struct iog_qtest *qtest);

/**
 * struct iog_qtest_stats - exact when no call is running.
 */
struct iog_qtest_stats {
	uint64_t reads;  /* of registers, configuration space included */
	uint64_t writes;
	uint64_t memory_bytes; /* of guest memory, handed out by pages_alloc() now */
};

IOG_API void iog_qtest_stats(struct iog_qtest *qtest, struct iog_qtest_stats *stats);

/**
 * iog_qtest_memory() - guest memory as this process sees it.
 * @qtest: the machine.
 * @paddr: guest-physical address.
 * @size: bytes.
 *
 * Context: any.
 * Return: NULL if [paddr, paddr + size) is not all guest memory.
 */
IOG_API void *iog_qtest_memory(const struct iog_qtest *qtest, iog_paddr_t paddr, uint64_t size);

/**
 * iog_qtest_config_read() - a device's configuration space.
 * @qtest: the machine.
 * @bdf: IOG_QTEST_BDF().
 * @offset: a multiple of 4, below 256 (x86) or 4096.
 *
 * Context: any.
 * Return: 32 bits; all ones where there is no device.
 */
IOG_API uint32_t iog_qtest_config_read(struct iog_qtest *qtest, uint32_t bdf, uint32_t offset);
IOG_API void iog_qtest_config_write(struct iog_qtest *qtest, uint32_t bdf, uint32_t offset, uint32_t value);

/**
 * iog_qtest_bar() - give a memory BAR an address, and let the device decode it and be a bus master.
 * @qtest: the machine.
 * @bdf: the device.
 * @bar: 0 to 5.
 * @paddr: result: the BAR's address, for mmio_read32() and the like.
 *
 * No firmware has run: nobody else does this.
 *
 * Context: any.
 * Return: 0; -IOG_ENOENT if there is no device or no memory BAR; -IOG_ENOSPC.
 */
IOG_API int iog_qtest_bar(struct iog_qtest *qtest, uint32_t bdf, uint32_t bar, iog_paddr_t *paddr);

enum iog_qtest_direction {
	IOG_QTEST_FROM_MEMORY = 0, /* into the device's buffer */
	IOG_QTEST_TO_MEMORY,
};

/**
 * iog_qtest_edu_dma() - one DMA of an edu device.
 * @qtest: the machine.
 * @edu: 0 to edus - 1.
 * @direction: from or to memory.
 * @address: as the device issues it: an IOVA where the IOMMU translates.
 * @offset: in the device's buffer; what is read stays there.
 * @size: bytes; @offset + @size is at most IOG_QTEST_DMA_MAX.
 *
 * The device does not tell whether an access was refused: see what came, and what the IOMMU's driver says.
 *
 * Context: any.
 * Return: 0 when the device says that it is done; -IOG_EINVAL; -IOG_ENOENT for an @edu that is not there; -IOG_EIO, -IOG_ETIMEDOUT if QEMU or the device does not answer.
 */
IOG_API int iog_qtest_edu_dma(struct iog_qtest *qtest, uint32_t edu, enum iog_qtest_direction direction, uint64_t address, uint32_t offset, uint32_t size);

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The platform of a Linux process: table memory from arenas that ask for huge pages, a limit, exact accounting.
 *
 * "Physical" addresses are offsets into one reserved stretch of address space plus IOG_POSIX_PADDR_BASE, so that they look like those of a machine and
 * never equal a pointer.
 */
#ifndef IOGATE_HOST_POSIX_H
#define IOGATE_HOST_POSIX_H

#include <iogate/platform.h>
#include <iogate/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iog_posix;

/* Physical address of the first byte of the arena. Above 4 GiB, so that a truncation to 32 bits shows. */
#define IOG_POSIX_PADDR_BASE UINT64_C(0x100000000)

enum iog_posix_flags {
	/* Supply cache_clean() and cache_flush() with real cache-line write-backs, as for walkers and devices that do not snoop. -IOG_EOPNOTSUPP where the CPU has none. */
	IOG_POSIX_CACHE_CLEAN = 1 << 0,
	/* Do not ask for huge pages. */
	IOG_POSIX_SMALL_PAGES = 1 << 1,
};

/**
 * struct iog_posix_config - zero means default.
 */
struct iog_posix_config {
	/* Most bytes that pages_alloc() hands out at a time; beyond it, it returns NULL. Default: half of the memory that the machine has available. */
	uint64_t limit;
	/* enum iog_posix_flags. */
	uint32_t flags;
};

/**
 * struct iog_posix_stats - exact.
 */
struct iog_posix_stats {
	uint64_t page_bytes;      /* handed out by pages_alloc() now */
	uint64_t page_bytes_peak; /* the most that ever was */
	uint64_t object_bytes;    /* handed out by object_alloc() now */
	uint64_t arena_bytes;     /* taken from the kernel for pages now, in units of 2 MiB */
	uint64_t limit;           /* in force */
};

/**
 * iog_posix_create() - a platform.
 * @config: kept by value; NULL for all defaults.
 * @posix: result.
 *
 * Context: any.
 * Return: 0; -IOG_ENOMEM; -IOG_EINVAL for unknown flags; -IOG_EOPNOTSUPP.
 */
IOG_API int iog_posix_create(const struct iog_posix_config *config, struct iog_posix **posix);

/**
 * iog_posix_destroy() - give everything back.
 * @posix: no object may be left that was made with its platform; NULL is allowed.
 *
 * Context: any.
 */
IOG_API void iog_posix_destroy(struct iog_posix *posix);

/**
 * iog_posix_platform() - the table to hand to iogate.
 * @posix: the platform.
 *
 * Context: any.
 * Return: valid as long as @posix. Copy it to change a member (an observer, say).
 */
IOG_API const struct iog_platform *iog_posix_platform(const struct iog_posix *posix);

/**
 * iog_posix_stats() - accounting.
 * @posix: the platform.
 * @stats: result.
 *
 * Context: any.
 */
IOG_API void iog_posix_stats(struct iog_posix *posix, struct iog_posix_stats *stats);

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What only the CPU can do: write cache lines back, order stores against a device, wait politely. Private to host/posix.
 */
#ifndef IOGATE_SRC_HOST_POSIX_CPU_H
#define IOGATE_SRC_HOST_POSIX_CPU_H

#include <stddef.h>

/* A member of struct iog_platform of the same name. */
typedef void cpu_cache_clean_fn(void *ctx, const void *va, size_t size);
typedef void cpu_void_fn(void *ctx);

/* The best write-back this CPU has; NULL if it has none that a process may use. */
cpu_cache_clean_fn *iog_cpu_cache_clean(void);

/* As that, and the lines are dropped. */
cpu_cache_clean_fn *iog_cpu_cache_flush(void);

/* NULL where stores reach devices in order by themselves. */
cpu_void_fn *iog_cpu_dma_wmb(void);

cpu_void_fn *iog_cpu_relax(void);

/* A full barrier on every CPU that runs a thread of this process. NULL if the kernel has no such call. */
cpu_void_fn *iog_cpu_lanes_barrier(void);

#endif

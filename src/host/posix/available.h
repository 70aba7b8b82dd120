/* SPDX-License-Identifier: MIT */
/*
 * How much memory a process may still take. Private to host/posix.
 */
#ifndef IOGATE_SRC_HOST_POSIX_AVAILABLE_H
#define IOGATE_SRC_HOST_POSIX_AVAILABLE_H

#include <stdint.h>

/* Bytes that can be had without swapping or being killed, as far as the kernel tells: of the machine, and of the control groups around this process. */
uint64_t iog_available_memory(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The four functions that a freestanding C compiler itself may call, and that the core asks of its host.
 */
#ifndef IOG_PGTABLE_MEMORY_H
#define IOG_PGTABLE_MEMORY_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);

#endif

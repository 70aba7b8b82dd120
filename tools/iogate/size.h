/* SPDX-License-Identifier: MIT */
/*
 * Sizes as people write them: 4K, 2M, 64G, 16T. Always binary.
 */
#ifndef IOGATE_TOOL_SIZE_H
#define IOGATE_TOOL_SIZE_H

#include <stdint.h>

#define SIZE_4K (UINT64_C(1) << 12)
#define SIZE_2M (UINT64_C(1) << 21)
#define SIZE_1G (UINT64_C(1) << 30)
#define SIZE_1T (UINT64_C(1) << 40)

/* Room for any text from here. */
#define SIZE_TEXT 32

/*
 * Read a size: decimal digits and one of K M G T P E, upper or lower case, with or without "iB"; without a suffix in units of @bare bytes.
 * Returns 0, or -1 with nothing stored when it is no size or does not fit 64 bits.
 */
int size_parse(const char *text, uint64_t bare, uint64_t *size);

/* Exactly, in the largest unit that divides it: "4K", "1536M", "4097". Returns @text. */
const char *size_exact(char text[SIZE_TEXT], uint64_t size);

/* For reading: "152 KiB", "2.0 GiB". Returns @text. */
const char *size_rounded(char text[SIZE_TEXT], uint64_t size);

#endif

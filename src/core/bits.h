/* SPDX-License-Identifier: MIT */
/*
 * Counting bits without a compiler's run-time library: where the instruction set that is compiled for has no instruction, compilers call into one, and the core has none.
 */
#ifndef IOG_CORE_BITS_H
#define IOG_CORE_BITS_H

#include <stdint.h>

#if defined(__riscv) && !defined(__riscv_zbb)
#define IOG_BITS_PORTABLE 1
#endif

/* Bits that are set. */
static inline uint32_t bits_count(uint64_t word)
{
	word -= (word >> 1) & UINT64_C(0x5555555555555555);
	word = (word & UINT64_C(0x3333333333333333)) + ((word >> 2) & UINT64_C(0x3333333333333333));
	word = (word + (word >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	return (uint32_t)((word * UINT64_C(0x0101010101010101)) >> 56);
}

/* The number of the lowest bit that is set; @word is not 0. */
static inline uint32_t bits_lowest(uint64_t word)
{
#ifdef IOG_BITS_PORTABLE
	return bits_count((word & -word) - 1);
#else
	return (uint32_t)__builtin_ctzll(word);
#endif
}

/* The number of the highest bit that is set; @word is not 0. */
static inline uint32_t bits_highest(uint64_t word)
{
#ifdef IOG_BITS_PORTABLE
	for (uint32_t shift = 1; shift < 64; shift *= 2)
		word |= word >> shift;
	return bits_count(word) - 1;
#else
	return 63 - (uint32_t)__builtin_clzll(word);
#endif
}

#endif

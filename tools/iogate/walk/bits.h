/* SPDX-License-Identifier: MIT */
/*
 * Bits of registers and entries, numbered as specifications do: bits(value, high, low).
 */
#ifndef IOGATE_TOOL_WALK_BITS_H
#define IOGATE_TOOL_WALK_BITS_H

#include <stdbool.h>
#include <stdint.h>

/* The lowest @count bits; @count up to 64. */
static inline uint64_t low_bits(uint32_t count)
{
	return count >= 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
}

/* Bits @high to @low, moved down. */
static inline uint64_t bits(uint64_t value, uint32_t high, uint32_t low)
{
	return value >> low & low_bits(high - low + 1);
}

/* Bits @high to @low, where they are. */
static inline uint64_t bits_in_place(uint64_t value, uint32_t high, uint32_t low)
{
	return value & (low_bits(high - low + 1) << low);
}

static inline bool bit(uint64_t value, uint32_t position)
{
	return value >> position & 1;
}

/* Little-endian bytes, wherever they lie. */
static inline uint64_t little_endian(const unsigned char *bytes, uint32_t size)
{
	uint64_t value = 0;

	while (size--)
		value = value << 8 | bytes[size];
	return value;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What there is of a C library.
 */
#include <stdarg.h>

#include "example.h"

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *one, const void *other, size_t size);

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
	for (size_t n = 0; n < size; n++)
		((uint8_t *)to)[n] = ((const uint8_t *)from)[n];
	return to;
}

void *memmove(void *to, const void *from, size_t size)
{
	if ((uintptr_t)to <= (uintptr_t)from)
		return memcpy(to, from, size);
	while (size--)
		((uint8_t *)to)[size] = ((const uint8_t *)from)[size];
	return to;
}

void *memset(void *to, int value, size_t size)
{
	for (size_t n = 0; n < size; n++)
		((uint8_t *)to)[n] = (uint8_t)value;
	return to;
}

int memcmp(const void *one, const void *other, size_t size)
{
	for (size_t n = 0; n < size; n++)
		if (((const uint8_t *)one)[n] != ((const uint8_t *)other)[n])
			return ((const uint8_t *)one)[n] - ((const uint8_t *)other)[n];
	return 0;
}

static void print_number(uint64_t value, uint32_t base)
{
	char digits[20];
	uint32_t n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (n)
		machine_put(digits[--n]);
}

void print(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	for (; *format; format++) {
		if (*format != '%') {
			machine_put(*format);
			continue;
		}
		format++;
		if (*format == 's') {
			for (const char *text = va_arg(arguments, const char *); *text; text++)
				machine_put(*text);
		} else {
			print_number(va_arg(arguments, uint64_t), *format == 'x' ? 16 : 10);
		}
	}
	va_end(arguments);
}

/* The header's second word, big-endian; 0 if this is no device tree. */
size_t fdt_size(const void *fdt)
{
	const uint8_t *byte = fdt;

	if (byte[0] != 0xd0 || byte[1] != 0x0d || byte[2] != 0xfe || byte[3] != 0xed)
		return 0;
	return (size_t)byte[4] << 24 | (size_t)byte[5] << 16 | (size_t)byte[6] << 8 | byte[7];
}

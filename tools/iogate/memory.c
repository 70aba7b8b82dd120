/* SPDX-License-Identifier: MIT */
/*
 * See memory.h.
 */
#include "memory.h"

#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "message.h"

static void *memory_checked(void *memory)
{
	if (!memory) {
		message("the system gave no more memory");
		exit(EXIT_FOUND);
	}
	return memory;
}

void *memory_new(size_t count, size_t size)
{
	return memory_checked(calloc(count ? count : 1, size));
}

void *memory_new_aligned(size_t count, size_t size)
{
	size_t bytes;
	void *memory;

	if (__builtin_mul_overflow(count ? count : 1, size, &bytes))
		return memory_checked(NULL);
	memory = memory_checked(aligned_alloc(64, bytes));
	return memset(memory, 0, bytes);
}

void *memory_resize(void *memory, size_t count, size_t size)
{
	return memory_checked(reallocarray(memory, count ? count : 1, size));
}

char *memory_string(const char *text)
{
	return memory_checked(strdup(text));
}

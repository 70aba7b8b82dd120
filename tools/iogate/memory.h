/* SPDX-License-Identifier: MIT */
/*
 * Memory of the command itself. Running out of it ends the process with a message: nothing here can go on without.
 */
#ifndef IOGATE_TOOL_MEMORY_H
#define IOGATE_TOOL_MEMORY_H

#include <stddef.h>

/* @count zeroed elements of @size bytes. */
void *memory_new(size_t count, size_t size);

/* The same, aligned to 64 bytes. @size is a multiple of 64. */
void *memory_new_aligned(size_t count, size_t size);

/* Resize to @count elements of @size bytes; the new ones are not set. */
void *memory_resize(void *memory, size_t count, size_t size);

/* A copy of a string. */
char *memory_string(const char *text);

#endif

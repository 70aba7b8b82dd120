/* SPDX-License-Identifier: MIT */
/*
 * Compressed files: what they begin with, and a libarchive reader that takes any of them, or none. Filters that would run a program are left out.
 */
#ifndef IOGATE_COMPRESSION_H
#define IOGATE_COMPRESSION_H

#include <stddef.h>

struct archive;

/* How a file with these first bytes is compressed, or NULL. */
const char *compression_name(const void *head, size_t size);

/* A reader of one file's contents, not yet opened; NULL without memory. */
struct archive *compression_reader(void);

#endif

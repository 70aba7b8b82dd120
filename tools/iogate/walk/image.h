/* SPDX-License-Identifier: MIT */
/*
 * Physical memory of a machine, out of a file: an ELF core (QEMU's dump-guest-memory, kdump's vmcore) or a raw image. Nothing in the file is
 * believed: sizes are checked against the file, and what it does not hold cannot be read. Not changed by reading but for the error it keeps; one thread.
 */
#ifndef IOGATE_TOOL_WALK_IMAGE_H
#define IOGATE_TOOL_WALK_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../message.h"

struct image;

/*
 * Open @path, plain or compressed (gzip, xz, zstd, bzip2, lz4; unpacked into a temporary file). With @raw its bytes are memory from @base on;
 * otherwise it has to be an ELF core. Returns NULL with @problem set, which does not name the file.
 */
struct image *image_open(const char *path, bool raw, uint64_t base, struct problem *problem);

/* The same for @size bytes at @bytes, which have to outlive the image. */
struct image *image_open_bytes(const void *bytes, size_t size, bool raw, uint64_t base, struct problem *problem);

/* Copy memory. Returns 0, or -1 when the file does not hold all of it; @buffer is then undefined. */
int image_read(struct image *image, uint64_t paddr, void *buffer, size_t size);

/* Bytes from @paddr to the next address that the file holds: 0 if it holds @paddr, UINT64_MAX if there is none. */
uint64_t image_gap(const struct image *image, uint64_t paddr);

/* Bytes of memory in the file. */
uint64_t image_size(const struct image *image);

/* What it holds, for people: "256 MiB in 2 segments from 0x0 to 0xffffffff". Returns @text. */
#define IMAGE_TEXT 128
const char *image_describe(const struct image *image, char text[IMAGE_TEXT]);

/* errno of a read that failed although the file should hold the bytes; 0 if none did. */
int image_error(const struct image *image);

void image_close(struct image *image);

#endif

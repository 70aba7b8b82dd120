/* SPDX-License-Identifier: MIT */
/*
 * What image.c and its helpers share: the file behind an image, and the segments found in it.
 */
#ifndef IOGATE_TOOL_WALK_IMAGE_FILE_H
#define IOGATE_TOOL_WALK_IMAGE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "../message.h"

/* A file, or bytes in memory (fd -1). */
struct image_file {
	int fd;
	const unsigned char *bytes;
	uint64_t size;
};

/* @size bytes of memory from @paddr on are at @offset of the file. */
struct image_segment {
	uint64_t paddr;
	uint64_t size; /* not 0; paddr + size - 1 does not overflow */
	uint64_t offset;
};

struct image_segments {
	struct image_segment *list;
	size_t count;
};

/* Read from the file. Returns 0, or an errno; EINVAL if the file is not that long. */
int image_file_read(const struct image_file *file, uint64_t offset, void *buffer, size_t size);

/* The segments of an ELF core, in any order, possibly overlapping, all within the file. Returns 0 with @segments->list allocated, or -1 with @problem set. */
int image_elf_segments(const struct image_file *file, struct image_segments *segments, struct problem *problem);

/*
 * If the file at @fd is compressed, unpack it into a temporary file. Returns its descriptor; @fd itself where it is not compressed; or -1 with
 * @problem set.
 */
int image_unpack(int fd, struct problem *problem);

#endif

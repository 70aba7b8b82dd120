/* SPDX-License-Identifier: MIT */
/*
 * See image.h.
 */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image_file.h"
#include "../memory.h"
#include "../size.h"

struct image {
	struct image_file file;
	struct image_segments segments; /* by address, apart from each other */
	uint64_t size;
	int error;
};

int image_file_read(const struct image_file *file, uint64_t offset, void *buffer, size_t size)
{
	unsigned char *at = buffer;
	ssize_t got;

	if (offset > file->size || size > file->size - offset)
		return EINVAL;
	if (file->fd < 0) {
		memcpy(buffer, file->bytes + offset, size);
		return 0;
	}
	while (size) {
		got = pread(file->fd, at, size, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno;
		/* The file was cut while it was read. */
		if (!got)
			return EINVAL;
		at += got;
		offset += (uint64_t)got;
		size -= (size_t)got;
	}
	return 0;
}

static int by_address(const void *a, const void *b)
{
	const struct image_segment *first = a, *second = b;

	return (first->paddr > second->paddr) - (first->paddr < second->paddr);
}

/* Sort, and cut what lies under an earlier segment: kernels' own dumps show the kernel's text twice. */
static void segments_order(struct image *image)
{
	struct image_segment *list = image->segments.list;
	uint64_t last, cut;
	size_t kept = 0;

	qsort(list, image->segments.count, sizeof(*list), by_address);
	for (size_t i = 0; i < image->segments.count; i++) {
		struct image_segment segment = list[i];

		if (kept) {
			last = list[kept - 1].paddr + (list[kept - 1].size - 1);
			if (segment.paddr + (segment.size - 1) <= last)
				continue;
			cut = segment.paddr <= last ? last - segment.paddr + 1 : 0;
			segment.paddr += cut;
			segment.offset += cut;
			segment.size -= cut;
		}
		image->size += segment.size;
		list[kept++] = segment;
	}
	image->segments.count = kept;
}

static int segments_find(struct image *image, bool raw, uint64_t base, struct problem *problem)
{
	uint64_t end;

	if (!image->file.size)
		return problem_set(problem, "is empty");
	if (!raw)
		return image_elf_segments(&image->file, &image->segments, problem);
	if (__builtin_add_overflow(base, image->file.size - 1, &end))
		return problem_set(problem, "does not fit below 2^64 from 0x%" PRIx64 " on: it has 0x%" PRIx64 " bytes", base, image->file.size);
	image->segments.list = memory_new(1, sizeof(*image->segments.list));
	image->segments.list[0] = (struct image_segment){ .paddr = base, .size = image->file.size };
	image->segments.count = 1;
	return 0;
}

static int file_open(const char *path, struct image_file *file, struct problem *problem)
{
	struct stat status;
	int unpacked;

	file->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (file->fd < 0)
		return problem_set(problem, "%s", strerror(errno));
	if (fstat(file->fd, &status))
		return problem_set(problem, "%s", strerror(errno));
	if (S_ISDIR(status.st_mode))
		return problem_set(problem, "is a directory; name the dump in it");
	if (!S_ISREG(status.st_mode))
		return problem_set(problem, "is no regular file; tables are read at random, so copy it to one first");
	unpacked = image_unpack(file->fd, problem);
	if (unpacked < 0)
		return -1;
	if (unpacked != file->fd) {
		close(file->fd);
		file->fd = unpacked;
		if (fstat(file->fd, &status))
			return problem_set(problem, "%s", strerror(errno));
	}
	file->size = (uint64_t)status.st_size;
	return 0;
}

static struct image *image_finish(struct image *image, bool raw, uint64_t base, struct problem *problem)
{
	if (segments_find(image, raw, base, problem)) {
		image_close(image);
		return NULL;
	}
	segments_order(image);
	return image;
}

struct image *image_open(const char *path, bool raw, uint64_t base, struct problem *problem)
{
	struct image *image = memory_new(1, sizeof(*image));

	if (file_open(path, &image->file, problem)) {
		image_close(image);
		return NULL;
	}
	return image_finish(image, raw, base, problem);
}

struct image *image_open_bytes(const void *bytes, size_t size, bool raw, uint64_t base, struct problem *problem)
{
	struct image *image = memory_new(1, sizeof(*image));

	image->file = (struct image_file){ .fd = -1, .bytes = bytes, .size = size };
	return image_finish(image, raw, base, problem);
}

/* The first segment that ends at or after @paddr, or NULL. */
static const struct image_segment *segment_from(const struct image *image, uint64_t paddr)
{
	const struct image_segment *list = image->segments.list;
	size_t low = 0, high = image->segments.count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (list[middle].paddr + (list[middle].size - 1) < paddr)
			low = middle + 1;
		else
			high = middle;
	}
	return low < image->segments.count ? &list[low] : NULL;
}

int image_read(struct image *image, uint64_t paddr, void *buffer, size_t size)
{
	const struct image_segment *segment;
	unsigned char *at = buffer;
	uint64_t skip;
	size_t part;
	int ret;

	while (size) {
		segment = segment_from(image, paddr);
		if (!segment || segment->paddr > paddr)
			return -1;
		skip = paddr - segment->paddr;
		part = size < segment->size - skip ? size : (size_t)(segment->size - skip);
		ret = image_file_read(&image->file, segment->offset + skip, at, part);
		if (ret) {
			image->error = ret;
			return -1;
		}
		at += part;
		size -= part;
		/* Memory does not wrap: what follows the last address is nothing. */
		if (size && __builtin_add_overflow(paddr, (uint64_t)part, &paddr))
			return -1;
	}
	return 0;
}

uint64_t image_gap(const struct image *image, uint64_t paddr)
{
	const struct image_segment *segment = segment_from(image, paddr);

	if (!segment)
		return UINT64_MAX;
	return segment->paddr > paddr ? segment->paddr - paddr : 0;
}

uint64_t image_size(const struct image *image)
{
	return image->size;
}

const char *image_describe(const struct image *image, char text[IMAGE_TEXT])
{
	const struct image_segment *last = &image->segments.list[image->segments.count - 1];
	char size[SIZE_TEXT];

	snprintf(text, IMAGE_TEXT, "%s in %zu segment%s from 0x%" PRIx64 " to 0x%" PRIx64, size_rounded(size, image->size), image->segments.count,
		 image->segments.count == 1 ? "" : "s", image->segments.list[0].paddr, last->paddr + (last->size - 1));
	return text;
}

int image_error(const struct image *image)
{
	return image->error;
}

void image_close(struct image *image)
{
	if (!image)
		return;
	if (image->file.fd > STDERR_FILENO)
		close(image->file.fd);
	free(image->segments.list);
	free(image);
}

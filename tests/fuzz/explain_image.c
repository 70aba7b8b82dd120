/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: the bytes are a dump. Whatever they say, it is opened or refused; what it holds can be read, and what it does not cannot.
 */
#include <stdint.h>
#include <stdlib.h>

#include "message.h"
#include "walk/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void claim(int holds)
{
	if (!holds)
		abort();
}

static void read_around(struct image *image, uint64_t paddr)
{
	unsigned char buffer[64];
	uint64_t gap = image_gap(image, paddr);

	claim((gap == 0) == !image_read(image, paddr, buffer, 1));
	image_read(image, paddr, buffer, sizeof(buffer));
	image_read(image, paddr - 32, buffer, sizeof(buffer));
	if (gap && gap != UINT64_MAX) {
		claim(!image_gap(image, paddr + gap) && image_gap(image, paddr + gap - 1) == 1);
		claim(!image_read(image, paddr + gap, buffer, 1));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct problem problem = { 0 };
	struct image *image = image_open_bytes(bytes, size, false, 0, &problem);
	char text[IMAGE_TEXT];
	uint64_t paddr;

	if (!image) {
		claim(problem.text[0]);
		return 0;
	}
	image_describe(image, text);
	claim(image_size(image) > 0);
	for (size_t i = 0; i + 8 <= size && i < 1024; i += 8) {
		__builtin_memcpy(&paddr, bytes + i, 8);
		read_around(image, paddr);
	}
	read_around(image, 0);
	read_around(image, UINT64_MAX);
	claim(!image_error(image));
	image_close(image);
	return 0;
}

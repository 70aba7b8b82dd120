/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: operation sequences on page tables of one format, against the model and the tests' own walker. tests/fuzz/run-pgtable builds and runs it.
 *
 * Of the input, the first byte chooses the shape (among those of the format whose name is IOG_FORMAT in the environment; all, if it is not set), the second flags and page
 * sizes, the third how many empty tables may wait; then each four bytes are the seed of one operation.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../pgtable/sequence.h"

#define OPS_MAX 48

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static const struct shape *choose(uint8_t byte)
{
	const char *format = getenv("IOG_FORMAT");
	uint32_t nr = 0, pick;

	for (uint32_t i = 0; i < nr_shapes; i++)
		nr += !format || !strcmp(shapes[i].format, format);
	if (!nr) {
		fprintf(stderr, "IOG_FORMAT=%s: no such format\n", format);
		exit(2);
	}
	pick = byte % nr;
	for (uint32_t i = 0;; i++)
		if (!format || !strcmp(shapes[i].format, format))
			if (!pick--)
				return &shapes[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static const uint32_t flags[] = { 0, IOG_PGTABLE_SPLIT, IOG_PGTABLE_NONCOHERENT, IOG_PGTABLE_FLUSH_ON_MAP };
	struct bed_options options = { 0 };
	struct op ops[OPS_MAX];
	const struct shape *shape;
	char why[256];
	size_t nr = 0, at;

	if (size < 7)
		return 0;
	shape = choose(input[0]);
	options.flags = flags[input[1] & 3] | flags[input[1] >> 2 & 3] | flags[input[1] >> 4 & 3];
	if (input[1] & 64 || shape->geometry->granule_shift > 12)
		options.page_sizes = shape_sizes(shape, 0);
	options.trim_batch = input[2] % 65;

	for (size_t i = 3; i + 4 <= size && nr < OPS_MAX; i += 4, nr++) {
		uint32_t op_seed;

		memcpy(&op_seed, input + i, sizeof(op_seed));
		sequence_generate(&ops[nr], 1, shape, &options, op_seed);
	}
	if (!sequence_run(shape, &options, ops, nr, why, &at)) {
		printf("%s, flags 0x%x, trim_batch %u, page sizes 0x%" PRIx64 ": operation %zu: %s\n", shape->name, options.flags, options.trim_batch,
		       options.page_sizes, at, why);
		for (size_t i = 0; i < nr; i++)
			sequence_print(shape, &ops[i]);
		fflush(stdout);
		abort();
	}
	return 0;
}

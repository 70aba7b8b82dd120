/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: tables of any unit or format. The input is a header, and then words to be stored in a small memory, so that a few bytes make whole tables.
 * The walk of an address and the list of all mappings have to agree about it.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "walk/bits.h"
#include "walk/formats.h"
#include "walk/image.h"
#include "walk/unit.h"

#define PAGES 24
#define BUDGET 64

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct header {
	uint8_t kind; /* 0 to 3 a unit, 4 on a format */
	uint8_t flags;
	uint8_t bits;
	uint8_t granule;
	uint32_t id;
	uint32_t pasid;
	uint32_t reserved;
	uint64_t iova;
	uint64_t root;
	uint64_t cfg;
	uint64_t capability;
};


static const char *const formats[] = { "vtdss", "x86_64", "amdv1", "arm_s1", "arm_s2", "riscv", "riscvx4" };
static const struct unit *const units[] = { &unit_vtd, &unit_amdvi, &unit_smmuv3, &unit_riscv };

/* What the list says of one address. */
struct listed {
	uint64_t iova;
	bool found;
	uint64_t paddr;
	bool read;
	bool write;
	uint64_t problems;
};

static void claim(bool holds)
{
	if (!holds)
		abort();
}

static void mapped(void *ctx, uint64_t iova, uint64_t paddr, uint64_t size, bool read, bool write)
{
	struct listed *listed = ctx;

	claim(size && (read || write) && iova + (size - 1) >= iova);
	if (listed->iova - iova >= size)
		return;
	claim(!listed->found);
	listed->found = true;
	listed->paddr = paddr + (listed->iova - iova);
	listed->read = read;
	listed->write = write;
}

static void problem(void *ctx, uint64_t iova, const char *why)
{
	struct listed *listed = ctx;

	(void)iova;
	claim(why[0]);
	listed->problems++;
}

static void check_outcome(const struct context *context, const struct unit *unit, const struct outcome *outcome, bool write)
{
	struct fault fault = { 0 };

	if (!outcome->cause)
		return;
	claim(outcome->why[0]);
	if (!unit)
		return;
	unit->fault(context, outcome, write, &fault);
	claim(fault.text[0] && fault.code && !strstr(fault.text, "unknown"));
}

static void try_space(const struct space *space, const struct context *context, const struct unit *unit, struct image *image, uint64_t iova)
{
	struct listed listed = { .iova = iova };
	struct visitor visitor = { .mapped = mapped, .problem = problem, .ctx = &listed, .budget = BUDGET };
	struct steps steps = { 0 };
	struct walk walk, silent;
	bool readable, writable;

	space_walk(space, image, iova, &steps, &walk);
	steps_free(&steps);
	space_walk(space, image, iova, NULL, &silent);
	claim(silent.found == walk.found && silent.paddr == walk.paddr && silent.read.cause == walk.read.cause && silent.write.cause == walk.write.cause);
	claim(walk.found || (walk.read.cause && walk.write.cause));
	check_outcome(context, unit, &walk.read, false);
	check_outcome(context, unit, &walk.write, true);
	space_visit(space, image, &visitor);
	/* What hardware walks through and the list leaves out: loops, and what has no end. The top byte, and interrupt files, are the walk's alone. */
	if (listed.problems || visitor.exhausted || space->divert || (space->first.flags & (PT_IGNORE_TOP | PT_DISABLED)))
		return;
	if (!space->first.format && !space->second.format)
		return;
	readable = walk.found && !walk.read.cause;
	writable = walk.found && !walk.write.cause;
	claim(listed.found == (readable || writable));
	claim(!listed.found || (listed.paddr == walk.paddr && listed.read == readable && listed.write == writable));
}

static void try_unit(const struct header *header, struct image *image)
{
	const struct unit *unit = units[header->kind];
	struct unit_config config = {
		.root = header->root,
		.has_capability = header->flags & 1,
		.capability = header->capability,
		.has_strtab_cfg = header->flags & 2,
		.strtab_cfg = header->cfg,
		.oas = header->flags & 4 ? 32 + header->bits % 21 : 0,
	};
	uint32_t pasid = header->flags & 8 ? header->pasid & 0xfffff : NO_PASID;
	struct context context, silent;
	struct steps steps = { 0 };
	uint64_t id = header->id;

	claim(unit->nr_ids(&config) > 0);
	unit->resolve(&config, image, (uint32_t)id, pasid, &steps, &context);
	unit->resolve(&config, image, (uint32_t)id, pasid, NULL, &silent);
	steps_free(&steps);
	claim(context.kind == silent.kind && context.ids == silent.ids && context.ids && context.pasids && context.nr_spaces);
	switch (context.kind) {
	case CONTEXT_TRANSLATE:
		for (uint32_t i = 0; i < context.nr_spaces; i++)
			try_space(&context.spaces[i], &context, unit, image, header->iova);
		break;
	case CONTEXT_BYPASS:
		claim(context.why[0]);
		break;
	default:
		claim(context.why[0] && context.fault.text[0] && !strstr(context.fault.text, "unknown"));
		break;
	}
	/* The next device that may differ. */
	if (context.ids <= UINT32_MAX - id)
		unit->resolve(&config, image, (uint32_t)(id + context.ids), pasid, NULL, &context);
}

static void try_format(const struct header *header, struct image *image)
{
	const struct bare_table bare = {
		.root = header->root & ~UINT64_C(4095),
		.ias = header->bits,
		.oas = header->flags & 4 ? 32 + (uint32_t)header->cfg % 25 : 0,
		.granule_bits = 12 + header->granule % 3 * 2,
	};
	struct context context = { .nr_spaces = 1 };
	struct problem why;

	if (format_table(formats[header->kind - 4], &bare, &context.spaces[0].first, &why))
		return;
	try_space(&context.spaces[0], &context, NULL, image, header->iova);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static unsigned char memory[PAGES * 4096];
	struct header header;
	struct problem why;
	struct image *image;
	size_t words;

	if (size < sizeof(header))
		return 0;
	memcpy(&header, bytes, sizeof(header));
	header.kind %= sizeof(formats) / sizeof(formats[0]) + 4;
	bytes += sizeof(header);
	words = (size - sizeof(header)) / 10;
	memset(memory, 0, sizeof(memory));
	for (size_t i = 0; i < words; i++)
		memcpy(memory + little_endian(bytes + i * 10, 2) % (sizeof(memory) / 8) * 8, bytes + i * 10 + 2, 8);
	image = image_open_bytes(memory, sizeof(memory), true, 0, &why);
	claim(image != NULL);
	if (header.kind < 4)
		try_unit(&header, image);
	else
		try_format(&header, image);
	image_close(image);
	return 0;
}

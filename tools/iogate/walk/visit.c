/* SPDX-License-Identifier: MIT */
/*
 * Every mapping of a space; see pagetable.h. Depth first, by an array with a place per level. A table that is its own ancestor is not entered again, and
 * the budget ends what tables that share their subtables would blow up.
 */
#include "pagetable.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bits.h"
#include "../interrupt.h"
#include "pagetable_walk.h"

#define CHUNK 512
/* Walks of the second stage that cost as much as a table. */
#define WALKS_PER_TABLE 512

struct place {
	uint64_t table;
	uint64_t iova; /* of entry 0 */
	uint64_t index;
	uint64_t count;
	uint32_t level;
	bool read; /* permitted so far */
	bool write;
	unsigned char bytes[CHUNK * 8]; /* the entries from index / CHUNK * CHUNK on */
};

struct visit {
	const struct space *space;
	const struct pt *pt;
	uint32_t stage;
	struct image *image;
	struct visitor *visitor;
	uint32_t walks;
	uint32_t depth; /* places in use */
	struct place places[PT_LEVELS_MAX];
};

static bool spend(struct visitor *visitor)
{
	if (!visitor->budget) {
		visitor->exhausted = true;
		return false;
	}
	visitor->budget--;
	return true;
}

__attribute__((format(printf, 3, 4))) static void problem(const struct visit *visit, uint64_t iova, const char *format, ...)
{
	char why[WHY_TEXT];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	visit->visitor->problem(visit->visitor->ctx, iova, why);
}

static void enter(struct visit *visit, uint64_t table, uint32_t level, uint64_t iova, bool read, bool write)
{
	struct place *place;

	for (uint32_t i = 0; i < visit->depth; i++) {
		if (visit->places[i].table == table) {
			problem(visit, iova, "the table at 0x%" PRIx64 ", level %" PRIu32 ", is also its own table of level %" PRIu32 ": a loop, not followed", table,
				level, visit->places[i].level);
			return;
		}
	}
	if (!spend(visit->visitor))
		return;
	place = &visit->places[visit->depth++];
	place->table = table;
	place->iova = iova;
	place->index = 0;
	place->count = UINT64_C(1) << pt_table_bits(visit->pt, level);
	place->level = level;
	place->read = read;
	place->write = write;
}

/* What is mapped by the first stage, through the second. */
static void emit_nested(struct visit *visit, uint64_t iova, uint64_t gpa, uint64_t size, bool read, bool write)
{
	const struct pt *second = &visit->space->second;
	struct visitor *visitor = visit->visitor;
	uint64_t part, span_bits;
	struct walk walk;

	while (size && !visitor->exhausted && !interrupted()) {
		if (++visit->walks % WALKS_PER_TABLE == 0 && !spend(visitor))
			return;
		walk_stage(visit->space, 2, visit->image, gpa, NULL, &walk);
		if (!walk.found && (walk.read.cause == CAUSE_RANGE || walk.read.cause == CAUSE_DISABLED)) {
			problem(visit, iova, "%s", walk.read.why);
			return;
		}
		if (!walk.found && walk.read.cause != CAUSE_ABSENT)
			problem(visit, iova, "%s", walk.read.why);
		span_bits = walk.found ? walk.page_bits : pt_span_bits(second, walk.read.level);
		part = span_bits >= 64 ? size : (UINT64_C(1) << span_bits) - (gpa & low_bits((uint32_t)span_bits));
		if (part > size)
			part = size;
		if (walk.found && ((read && !walk.read.cause) || (write && !walk.write.cause)))
			visitor->mapped(visitor->ctx, iova, walk.paddr, part, read && !walk.read.cause, write && !walk.write.cause);
		iova += part;
		gpa += part;
		size -= part;
	}
}

static void leaf(struct visit *visit, const struct place *place, const struct pte *pte, uint64_t index, uint64_t iova)
{
	bool read = place->read && !pte->read.cause, write = place->write && !pte->write.cause;
	uint64_t paddr = pte->address | (iova & low_bits(pte->page_bits));
	uint64_t size = UINT64_C(1) << pt_span_bits(visit->pt, place->level);

	/* Sizes between those of levels fill several entries, each of which tells its own share. */
	if (pt_span_bits(visit->pt, place->level) > pte->page_bits)
		size = UINT64_C(1) << pte->page_bits;
	iova = pt_upper_bits(visit->pt, iova);
	if (!read && !write)
		problem(visit, iova, "%s 0x%" PRIx64 ": mapped but out of reach: %s", pte->name, index,
			pte->read.why ? pte->read.why : "an entry above permits neither reads nor writes");
	else if (visit->stage == 1 && visit->space->second.format)
		emit_nested(visit, iova, paddr, size, read, write);
	else
		visit->visitor->mapped(visit->visitor->ctx, iova, paddr, size, read, write);
}

static void entry_visit(struct visit *visit, struct place *place, uint64_t entry)
{
	uint64_t index = place->index - 1;
	uint64_t iova = place->iova + (index << pt_span_bits(visit->pt, place->level));
	struct pte pte;

	pt_decode(visit->pt, place->level, entry, &pte);
	if (pte.kind == PTE_LEAF)
		leaf(visit, place, &pte, index, iova);
	else if (pte.kind == PTE_TABLE)
		enter(visit, pte.address, pte.next_level, iova, place->read && !pte.read.cause, place->write && !pte.write.cause);
	else if (pte.read.cause != CAUSE_ABSENT)
		problem(visit, pt_upper_bits(visit->pt, iova), "%s 0x%" PRIx64 ": %s", pte.name, index, pte.read.why);
}

/* Have the entries around @place->index at hand. Returns -1 after passing over them when the dump does not hold them. */
static int chunk_read(struct visit *visit, struct place *place)
{
	uint64_t left = place->count - place->index, count = left < CHUNK ? left : CHUNK;
	uint64_t address = place->table + place->index * 8;
	uint32_t size = (uint32_t)count * 8;
	struct outcome outcome = { 0 };

	if (!(visit->stage == 1 ? space_read(visit->space, visit->image, address, place->bytes, size, NULL, &outcome) :
				  image_read(visit->image, address, place->bytes, size)))
		return 0;
	if (outcome.for_table)
		problem(visit, pt_upper_bits(visit->pt, place->iova), "the table at 0x%" PRIx64 ", level %" PRIu32 ": %s", address, place->level, outcome.why);
	else
		problem(visit, pt_upper_bits(visit->pt, place->iova), "the table at 0x%" PRIx64 ", level %" PRIu32 ", is not in the dump", address, place->level);
	place->index += count;
	return -1;
}

static void stage_visit(struct visit *visit)
{
	static const unsigned char empty[8];
	struct place *place;
	unsigned char *at;

	enter(visit, visit->pt->root, visit->pt->root_level, 0, !visit->pt->read.cause, !visit->pt->write.cause);
	while (visit->depth && !visit->visitor->exhausted && !interrupted()) {
		place = &visit->places[visit->depth - 1];
		if (place->index == place->count) {
			visit->depth--;
			continue;
		}
		if (place->index % CHUNK == 0 && chunk_read(visit, place))
			continue;
		at = &place->bytes[place->index % CHUNK * 8];
		place->index++;
		if (memcmp(at, empty, sizeof(empty)))
			entry_visit(visit, place, little_endian(at, 8));
	}
}

void space_visit(const struct space *space, struct image *image, struct visitor *visitor)
{
	struct visit visit = { .space = space, .image = image, .visitor = visitor };

	visit.stage = space->first.format ? 1 : 2;
	visit.pt = visit.stage == 1 ? &space->first : &space->second;
	if (visit.pt->format && !(visit.pt->flags & PT_DISABLED))
		stage_visit(&visit);
}

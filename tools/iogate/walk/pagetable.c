/* SPDX-License-Identifier: MIT */
/*
 * The walk of one address; see pagetable.h. walk_stage() calls itself at most once: the first stage's tables are read through the second, whose tables
 * are read as they are.
 */
#include "pagetable.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bits.h"
#include "pagetable_walk.h"

void pt_levels(struct pt *pt, uint32_t granule_bits, uint32_t ias, uint32_t root_extra)
{
	uint32_t per_level = granule_bits - 3, level = 0;

	while (granule_bits + per_level * (level + 1) + root_extra < ias)
		level++;
	pt->granule_bits = granule_bits;
	pt->ias = ias;
	pt->root_level = level;
	pt->root_bits = ias - (granule_bits + per_level * level);
}

uint32_t pt_span_bits(const struct pt *pt, uint32_t level)
{
	return pt->granule_bits + (pt->granule_bits - 3) * level;
}

uint64_t pt_index(const struct pt *pt, uint32_t level, uint64_t iova)
{
	return (iova & low_bits(pt->ias)) >> pt_span_bits(pt, level) & low_bits(pt_table_bits(pt, level));
}

uint32_t pt_table_bits(const struct pt *pt, uint32_t level)
{
	return level == pt->root_level ? pt->root_bits : pt->granule_bits - 3;
}

uint64_t pt_upper_bits(const struct pt *pt, uint64_t iova)
{
	if (pt->flags & PT_UPPER || (pt->flags & PT_SIGN_EXTENDED && bit(iova, pt->ias - 1)))
		return iova | ~low_bits(pt->ias);
	return iova;
}

void pt_decode(const struct pt *pt, uint32_t level, uint64_t entry, struct pte *pte)
{
	*pte = (struct pte){ .name = pt->format->levels[level] };
	pt->format->decode(pt, level, entry, pte);
}

/* What went wrong before in this walk, and may yet be outdone by what lies below. */
static bool is_right(const struct outcome *outcome)
{
	return outcome->cause == CAUSE_PERMISSION || outcome->cause == CAUSE_USER || outcome->cause == CAUSE_ACCESSED;
}

struct place {
	const struct pt *pt;
	uint32_t stage;
	uint32_t level;
};

__attribute__((format(printf, 4, 5))) static void outcome_set(struct outcome *outcome, const struct place *place, enum cause cause, const char *why, ...)
{
	va_list args;

	if (outcome->cause && (place->pt->format->denies_early || !is_right(outcome)))
		return;
	*outcome = (struct outcome){ .cause = cause, .stage = place->stage, .level = place->level, .at_root = place->level == place->pt->root_level };
	va_start(args, why);
	vsnprintf(outcome->why, sizeof(outcome->why), why, args);
	va_end(args);
}

/* What an entry denies; of rights, the first denial of each kind is kept. */
static void deny(struct outcome *outcome, const struct place *place, const struct denial *denial, const struct pte *pte, uint64_t index)
{
	if (!denial->cause || (outcome->cause && pte->kind != PTE_ABSENT))
		return;
	outcome_set(outcome, place, denial->cause, "%s 0x%" PRIx64 ": %s", pte->name, index, denial->why);
}

static bool in_range(const struct place *place, uint64_t iova, struct walk *walk)
{
	const struct pt *pt = place->pt;
	uint64_t above = ~low_bits(pt->ias);

	if (pt->flags & PT_DISABLED) {
		outcome_set(&walk->read, place, CAUSE_DISABLED, "%s", pt->disabled);
		walk->write = walk->read;
	} else if (pt->flags & PT_SIGN_EXTENDED) {
		if ((iova & above) != (bit(iova, pt->ias - 1) ? above : 0)) {
			outcome_set(&walk->read, place, CAUSE_CANONICAL, "the address is not canonical: bits above bit %" PRIu32 " do not repeat it", pt->ias - 1);
			walk->write = walk->read;
		}
	} else if ((iova & above) != (pt->flags & PT_UPPER ? above : 0)) {
		outcome_set(&walk->read, place, CAUSE_RANGE, "0x%" PRIx64 " is beyond the %" PRIu32 " bits of address that %s translates", iova, pt->ias,
			    place->stage == 2 ? "this second stage" : "this table");
		walk->write = walk->read;
	}
	return !walk->read.cause;
}

/* Bits of levels that a table entry skips have to be 0. */
static bool skipped_bits(const struct pt *pt, uint32_t level, uint32_t next, uint64_t iova)
{
	uint32_t high = pt_span_bits(pt, level), low = pt_span_bits(pt, next + 1);

	return high > low && bits(iova, high - 1, low);
}

static struct step *record(struct steps *steps, const struct pte *pte, const struct place *place, uint64_t table, uint64_t index, uint64_t entry)
{
	struct step *step = steps_add(steps, "%s", pte->name);

	if (!step)
		return NULL;
	step->level = (int32_t)place->level;
	step->has_table = true;
	step->held = true;
	step->table = table;
	step->index = index;
	step->address = table + index * 8;
	step->nr_qwords = 1;
	step->entry[0] = entry;
	step->fields = pte->fields;
	if (pte->note)
		step_note(step, "%s", pte->note);
	return step;
}

/* The entry cannot be had: because the dump lacks it, or because the second stage does not let the unit read it. */
static void unreadable(const struct place *place, uint64_t table, uint64_t index, const struct outcome *outcome, struct steps *steps, struct walk *walk)
{
	struct pte pte = { .name = place->pt->format->levels[place->level] };
	struct step *step = record(steps, &pte, place, table, index, 0);

	if (step)
		step->held = false;
	if (outcome->for_table) {
		if (!walk->read.cause || is_right(&walk->read))
			walk->read = *outcome;
		if (!walk->write.cause || is_right(&walk->write))
			walk->write = *outcome;
		walk->read.at_root = walk->write.at_root = place->level == place->pt->root_level;
		return;
	}
	outcome_set(&walk->read, place, CAUSE_FETCH, "%s 0x%" PRIx64 " at 0x%" PRIx64 " is not in the dump", pte.name, index, table + index * 8);
	outcome_set(&walk->write, place, CAUSE_FETCH, "%s 0x%" PRIx64 " at 0x%" PRIx64 " is not in the dump", pte.name, index, table + index * 8);
}

/* Whether the walk met this table before. Hardware does not notice, and walks on. */
static void note_loop(const uint64_t *tables, const struct pt *pt, uint32_t level, uint64_t next, struct step *step)
{
	for (uint32_t above = level; above <= pt->root_level; above++) {
		if (tables[above] == next)
			step_note(step, "a loop: this is the table that the walk used at level %" PRIu32 "; the unit does not notice and walks on", above);
	}
}

void walk_stage(const struct space *space, uint32_t stage, struct image *image, uint64_t iova, struct steps *steps, struct walk *walk)
{
	const struct pt *pt = stage == 1 ? &space->first : &space->second;
	struct place place = { .pt = pt, .stage = stage, .level = pt->root_level };
	uint64_t tables[PT_LEVELS_MAX] = { 0 }, table = pt->root, index, entry;
	unsigned char bytes[8];
	struct outcome outcome;
	struct step *step;
	struct pte pte;

	*walk = (struct walk){ 0 };
	if (pt->flags & PT_IGNORE_TOP)
		iova = bit(iova, 55) ? iova | ~low_bits(56) : iova & low_bits(56);
	if (!in_range(&place, iova, walk))
		return;
	if (pt->read.cause)
		outcome_set(&walk->read, &place, pt->read.cause, "%s", pt->read.why);
	if (pt->write.cause)
		outcome_set(&walk->write, &place, pt->write.cause, "%s", pt->write.why);
	for (;;) {
		tables[place.level] = table;
		index = pt_index(pt, place.level, iova);
		if (stage == 1 ? space_read(space, image, table + index * 8, bytes, 8, steps, &outcome) : image_read(image, table + index * 8, bytes, 8)) {
			if (stage == 2)
				outcome = (struct outcome){ .cause = CAUSE_FETCH };
			unreadable(&place, table, index, &outcome, steps, walk);
			return;
		}
		entry = little_endian(bytes, 8);
		pt_decode(pt, place.level, entry, &pte);
		step = record(steps, &pte, &place, table, index, entry);
		if (pte.kind == PTE_TABLE && skipped_bits(pt, place.level, pte.next_level, iova)) {
			pte.kind = PTE_ABSENT;
			pte.read = pte.write = (struct denial){ CAUSE_ABSENT, "NextLevel skips levels whose bits of the address are not 0" };
		}
		deny(&walk->read, &place, &pte.read, &pte, index);
		deny(&walk->write, &place, &pte.write, &pte, index);
		if (pte.kind == PTE_ABSENT || (pt->format->denies_early && walk->read.cause && walk->write.cause))
			return;
		if (pte.kind == PTE_LEAF)
			break;
		note_loop(tables, pt, place.level, pte.address, step);
		table = pte.address;
		place.level = pte.next_level;
	}
	walk->found = true;
	walk->page_bits = pte.page_bits;
	walk->paddr = pte.address | (iova & low_bits(pte.page_bits));
}

int space_read(const struct space *space, struct image *image, uint64_t gpa, void *buffer, uint32_t size, struct steps *steps, struct outcome *outcome)
{
	struct walk walk = { .paddr = gpa };

	if (space->second.format) {
		if (steps)
			steps->depth++;
		walk_stage(space, 2, image, gpa, steps, &walk);
		if (steps)
			steps->depth--;
		if (walk.read.cause) {
			*outcome = walk.read;
			outcome->for_table = true;
			return -1;
		}
	}
	if (!image_read(image, walk.paddr, buffer, size))
		return 0;
	*outcome = (struct outcome){ .cause = CAUSE_FETCH, .stage = 1 };
	return -1;
}

void space_walk(const struct space *space, struct image *image, uint64_t iova, struct steps *steps, struct walk *walk)
{
	struct walk second;

	*walk = (struct walk){ .found = true, .paddr = iova, .page_bits = 64 };
	if (space->first.format)
		walk_stage(space, 1, image, iova, steps, walk);
	if (!walk->found || (walk->read.cause && walk->write.cause))
		return;
	if (space->divert && space->divert(space, image, walk->paddr, steps, walk))
		return;
	if (!space->second.format)
		return;
	walk_stage(space, 2, image, walk->paddr, steps, &second);
	if (!walk->read.cause)
		walk->read = second.read;
	if (!walk->write.cause)
		walk->write = second.write;
	walk->found = second.found;
	walk->paddr = second.paddr;
	if (second.page_bits < walk->page_bits)
		walk->page_bits = second.page_bits;
}

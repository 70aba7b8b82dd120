/* SPDX-License-Identifier: MIT */
/*
 * The steps of a walk: each structure that the unit reads, with its fields by the specification's names. Walks that nobody reads pass NULL for the
 * list and record nothing.
 */
#ifndef IOGATE_TOOL_WALK_STEP_H
#define IOGATE_TOOL_WALK_STEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STEP_QWORDS_MAX 8
#define STEP_NAME 40
#define STEP_NOTE 160
/* A nested walk reads at most 7 x 7 entries; a list never holds more than this. */
#define STEPS_MAX 1024

enum field_kind {
	FIELD_FLAG,    /* one bit */
	FIELD_NUMBER,  /* moved down to bit 0 */
	FIELD_ADDRESS, /* bits that stay where they are */
	FIELD_PAGE,    /* a page number: moved to bit 12 */
};

/* One field of an entry. A list of them ends with a name of NULL. */
struct field {
	const char *name;
	uint16_t low;  /* lowest bit, counted through all 64-bit words of the entry */
	uint8_t width; /* 1 to 64, within one word */
	uint8_t kind;
};

uint64_t field_value(const struct field *field, const uint64_t *entry);

/* One read of the unit. */
struct step {
	char name[STEP_NAME]; /* of the structure: "Context entry" */
	int32_t level;        /* of a page table, 0 holding only leaves; -1 for what is no page table */
	uint32_t depth;       /* 1 for the second stage's walk for an address of the first */
	bool has_table;       /* false for a register */
	bool held;            /* whether the dump holds it */
	uint64_t table;       /* address of entry 0 */
	uint64_t index;
	uint64_t address; /* of this entry, as the unit sees it */
	uint32_t nr_qwords;
	uint64_t entry[STEP_QWORDS_MAX];
	const struct field *fields;
	char note[STEP_NOTE]; /* what else there is to say, or empty */
};

struct steps {
	struct step *list;
	size_t count;
	uint32_t depth;
};

/* Append an empty step; NULL if @steps is or if the list is full. */
struct step *steps_add(struct steps *steps, const char *name, ...) __attribute__((format(printf, 2, 3)));

/* Say something about a step, which may be NULL; the first note stays. */
void step_note(struct step *step, const char *format, ...) __attribute__((format(printf, 2, 3)));

void steps_free(struct steps *steps);

#endif

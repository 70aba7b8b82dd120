/* SPDX-License-Identifier: MIT */
/*
 * Page tables as a unit walks them: one walker, and a description per format.
 *
 * The tables are bytes of an image and may hold anything. A walk goes down one level at each entry, so it ends; a visit of all entries keeps its place
 * in an array with an element per level, and has a budget of tables, because tables that point to each other can describe more than there is.
 */
#ifndef IOGATE_TOOL_WALK_PAGETABLE_H
#define IOGATE_TOOL_WALK_PAGETABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "image.h"
#include "step.h"

#define PT_LEVELS_MAX 7
#define WHY_TEXT 224

enum pt_flags {
	PT_SIGN_EXTENDED = 1 << 0, /* addresses repeat bit ias - 1 upwards */
	PT_UPPER = 1 << 1,         /* addresses have ones from bit ias on (Arm, TTB1) */
	PT_IGNORE_TOP = 1 << 2,    /* bits 63:56 repeat bit 55 before the address is looked at (Arm, TBI) */
	PT_SUPERVISOR = 1 << 3,    /* the access is privileged */
	PT_HW_ACCESSED = 1 << 4,   /* the unit sets accessed bits (Arm HA, RISC-V SADE, GADE) */
	PT_HW_DIRTY = 1 << 5,      /* the unit sets dirty bits (Arm HD, RISC-V SADE, GADE) */
	PT_AF_IGNORED = 1 << 6,    /* Arm AFFD: an access flag of 0 is no fault */
	PT_HAD = 1 << 7,           /* Arm HAD: permissions of table descriptors do not count */
	PT_DS = 1 << 8,            /* Arm DS: 52-bit descriptors for 4K and 16K granules */
	PT_EL2 = 1 << 9,           /* Arm: AP[1] means nothing */
	PT_NO_2M = 1 << 10,        /* the unit has no leaves of 2 MiB */
	PT_NO_1G = 1 << 11,        /* or of 1 GiB */
	PT_DISABLED = 1 << 12,     /* walks from this root are switched off (Arm EPD); @disabled says by what */
};

/* Why an access fails. What number a unit gives it depends on the unit. */
enum cause {
	CAUSE_NONE = 0,
	CAUSE_RANGE,        /* the address is beyond what the tables translate */
	CAUSE_CANONICAL,    /* the address is not sign-extended */
	CAUSE_ABSENT,       /* an entry is not present */
	CAUSE_RESERVED,     /* a reserved bit or encoding */
	CAUSE_ADDRESS_SIZE, /* an entry holds an address beyond the output size */
	CAUSE_PERMISSION,   /* read or write is not permitted */
	CAUSE_USER,         /* a page of the supervisor's */
	CAUSE_ACCESSED,     /* an accessed or dirty bit that the unit may not set */
	CAUSE_FETCH,        /* the dump does not hold the entry */
	CAUSE_DISABLED,     /* walks are switched off */
	CAUSE_MSI,          /* the page table of message-signalled interrupts says no; @code tells */
};

/* What keeps one kind of access away. */
struct denial {
	enum cause cause; /* CAUSE_NONE: nothing */
	const char *why;
};

enum pte_kind {
	PTE_ABSENT = 0,
	PTE_TABLE,
	PTE_LEAF,
};

/* What an entry says. Absent and reserved entries deny both accesses. */
struct pte {
	enum pte_kind kind;
	uint64_t address;    /* the next table or the page, aligned */
	uint32_t next_level; /* PTE_TABLE: lower than this one's */
	uint32_t page_bits;  /* PTE_LEAF: the page has 2^page_bits bytes */
	struct denial read;
	struct denial write;
	const char *name; /* of such an entry, or NULL for the level's */
	const struct field *fields;
	const char *note; /* or NULL */
};

struct pt;

struct pt_format {
	const char *name;
	/* Names of entries by level, 0 holding only leaves. */
	const char *levels[PT_LEVELS_MAX];
	/* A denial by a table entry ends the walk at once; otherwise what is found below goes before it. */
	bool denies_early;
	void (*decode)(const struct pt *pt, uint32_t level, uint64_t entry, struct pte *pte);
};

/* A page table, and how the unit has been told to walk it. */
struct pt {
	const struct pt_format *format; /* NULL: no such stage */
	uint64_t root;
	uint32_t root_level;
	uint32_t root_bits;    /* log2 of the root's entries */
	uint32_t granule_bits; /* log2 of a table's bytes below the root */
	uint32_t ias;          /* bits of input addresses, up to 64 */
	uint32_t oas;          /* bits of output addresses */
	uint32_t flags;
	const char *disabled;
	struct denial read; /* before the first entry (AMD: IR and IW of the device table entry) */
	struct denial write;
};

/* How one kind of access ends. */
struct outcome {
	enum cause cause;
	uint32_t stage;      /* 1 or 2 */
	uint32_t level;
	bool at_root;        /* in the root table */
	bool for_table;      /* second stage: the address was that of a structure, not the access's own */
	uint32_t code;       /* CAUSE_MSI: the unit's number */
	char why[WHY_TEXT];
};

struct walk {
	bool found;         /* a leaf was reached: paddr and page_bits hold */
	bool msi;           /* it is an interrupt file, reached by the table of MSIs */
	uint64_t paddr;     /* of the very byte */
	uint32_t page_bits; /* the smaller of both stages' pages */
	struct outcome read;
	struct outcome write;
};

struct space;

/* Looks at addresses between the stages. Returns true if @walk is finished with that. */
typedef bool (*space_divert)(const struct space *space, struct image *image, uint64_t gpa, struct steps *steps, struct walk *walk);

/* What translates for a device: one stage or two. */
struct space {
	struct pt first;
	struct pt second;
	space_divert divert; /* or NULL */
	uint64_t msi[3];     /* for @divert: msiptp, msi_addr_mask, msi_addr_pattern */
};

/* Take a table of @index_bits-wide levels, @ias bits in all: sets root_level, root_bits, granule_bits. The root takes up to @root_extra bits more. */
void pt_levels(struct pt *pt, uint32_t granule_bits, uint32_t ias, uint32_t root_extra);

/* Bytes that one entry of @level stands for, as a power of 2. */
uint32_t pt_span_bits(const struct pt *pt, uint32_t level);

/* Take one address through both stages. */
void space_walk(const struct space *space, struct image *image, uint64_t iova, struct steps *steps, struct walk *walk);

/*
 * Read @size bytes at an address of the first stage's output, which the second translates if there is one: @steps tell how. Returns 0, or -1 with @outcome
 * set: CAUSE_FETCH, stage 1, if the dump does not hold it.
 */
int space_read(const struct space *space, struct image *image, uint64_t gpa, void *buffer, uint32_t size, struct steps *steps, struct outcome *outcome);

struct visitor {
	/* A range of @size bytes that is mapped: @read, @write. */
	void (*mapped)(void *ctx, uint64_t iova, uint64_t paddr, uint64_t size, bool read, bool write);
	/* Something that keeps entries from being listed: what @why says. */
	void (*problem)(void *ctx, uint64_t iova, const char *why);
	void *ctx;
	uint64_t budget;   /* tables left */
	bool exhausted;    /* the budget was not enough */
};

/* Every mapping of both stages, by ascending address. Ends early when interrupted or when the budget is used up. */
void space_visit(const struct space *space, struct image *image, struct visitor *visitor);

#endif

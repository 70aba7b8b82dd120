/* SPDX-License-Identifier: MIT */
/*
 * The units: how each finds, from its root register and a device's number, the page tables that translate for the device; and how it names faults.
 */
#ifndef IOGATE_TOOL_WALK_UNIT_H
#define IOGATE_TOOL_WALK_UNIT_H

#include <stdbool.h>
#include <stdint.h>

#include "image.h"
#include "pagetable.h"
#include "step.h"

#define FAULT_TEXT 160
#define NO_PASID UINT32_MAX

/* What the unit's registers say; not in memory, so told by the user. */
struct unit_config {
	uint64_t root;       /* the register with the root table's address, as it reads */
	bool has_capability; /* CAP_REG of VT-d, capabilities of RISC-V */
	uint64_t capability;
	bool has_strtab_cfg; /* SMMU_STRTAB_BASE_CFG */
	uint64_t strtab_cfg;
	uint32_t oas; /* bits of the machine's physical addresses; 0: the most that the unit's formats have */
};

enum context_kind {
	CONTEXT_TRANSLATE = 0, /* @spaces do */
	CONTEXT_BYPASS,        /* addresses are used as they are */
	CONTEXT_FAULT,         /* every access ends in @fault; @why */
	CONTEXT_UNKNOWN,       /* a structure is not in the dump; @fault is what the unit reports if it is nowhere else either */
};

/* As the unit reports it. */
struct fault {
	uint32_t code;
	char text[FAULT_TEXT]; /* "5h (...)" */
};

struct context {
	enum context_kind kind;
	struct fault fault;
	char why[WHY_TEXT];
	struct denial read; /* CONTEXT_BYPASS: what is denied nevertheless */
	struct denial write;
	uint32_t nr_spaces; /* 2: the second for addresses whose bit 55 is 1 */
	struct space spaces[2];
	char domain[64]; /* "domain 5": how the unit tags what it caches */
	bool scalable;   /* VT-d: which fault numbers */
	uint64_t ids;    /* as many device numbers from this one on, at least 1, end like this one, for want of a structure that they share */
	uint64_t pasids; /* the same for PASIDs */
	uint32_t nr_pasids; /* PASIDs that the device's structures have room for; 0: none */
};

struct unit {
	const char *name;
	const char *root_register;
	const char *capability_register; /* or NULL: not asked for */
	const char *pasid_name;          /* "PASID", "SubstreamID", "process_id" */
	/* Where writes are interrupts, and take no part in this: first and last address; 0, 0: nowhere. */
	uint64_t interrupts_first;
	uint64_t interrupts_last;
	/* Device numbers, from 0. */
	uint64_t (*nr_ids)(const struct unit_config *config);
	/* Find what translates for @id. @pasid may be NO_PASID. */
	void (*resolve)(const struct unit_config *config, struct image *image, uint32_t id, uint32_t pasid, struct steps *steps, struct context *context);
	/* How a failed access is reported. */
	void (*fault)(const struct context *context, const struct outcome *outcome, bool write, struct fault *fault);
};

extern const struct unit unit_vtd;
extern const struct unit unit_amdvi;
extern const struct unit unit_smmuv3;
extern const struct unit unit_riscv;

/* NULL if there is no such unit. */
const struct unit *unit_find(const char *name);

/* Of a context's spaces, the one for an address. */
const struct space *context_space(const struct context *context, uint64_t iova);

/* For resolve(): say how it ends. */
void context_end(struct context *context, enum context_kind kind, uint32_t code, const char *fault, const char *why, ...) __attribute__((format(printf, 5, 6)));

void fault_set(struct fault *fault, uint32_t code, const char *text, ...) __attribute__((format(printf, 3, 4)));

/*
 * For resolve(): read a structure of @nr_qwords words, entry @index of the table at @table, and record the step. With @space its address is translated by the
 * space's second stage. Returns the step's note-taker through @step (NULL if nothing is recorded); 0, or -1 with @outcome set.
 */
struct structure {
	const char *name;
	uint64_t table;
	uint64_t index;
	uint32_t nr_qwords;
	const struct field *fields;
};

int structure_read(const struct structure *structure, const struct space *space, struct image *image, struct steps *steps, uint64_t *entry,
		   struct outcome *outcome);

/* How many entries of @size bytes the dump lacks from @address on: at least 1. */
uint64_t structure_gap(const struct image *image, uint64_t address, uint32_t size);

/* Record a register. */
void register_step(struct steps *steps, const char *name, uint64_t value, const struct field *fields);

#endif

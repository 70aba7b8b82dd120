/* SPDX-License-Identifier: MIT */
/*
 * What the units have in common; see unit.h.
 */
#include "unit.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bits.h"

const struct unit *unit_find(const char *name)
{
	static const struct unit *const units[] = { &unit_vtd, &unit_amdvi, &unit_smmuv3, &unit_riscv };

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (!strcmp(name, units[i]->name))
			return units[i];
	}
	return NULL;
}

const struct space *context_space(const struct context *context, uint64_t iova)
{
	return &context->spaces[context->nr_spaces > 1 && bit(iova, 55)];
}

void fault_set(struct fault *fault, uint32_t code, const char *text, ...)
{
	va_list args;

	fault->code = code;
	va_start(args, text);
	vsnprintf(fault->text, sizeof(fault->text), text, args);
	va_end(args);
}

void context_end(struct context *context, enum context_kind kind, uint32_t code, const char *fault, const char *why, ...)
{
	va_list args;

	context->kind = kind;
	fault_set(&context->fault, code, "%s", fault);
	va_start(args, why);
	vsnprintf(context->why, sizeof(context->why), why, args);
	va_end(args);
}

int structure_read(const struct structure *structure, const struct space *space, struct image *image, struct steps *steps, uint64_t *entry,
		   struct outcome *outcome)
{
	static const struct space none;
	unsigned char bytes[STEP_QWORDS_MAX * 8];
	uint32_t size = structure->nr_qwords * 8;
	uint64_t address = structure->table + structure->index * size;
	int ret = space_read(space ? space : &none, image, address, bytes, size, steps, outcome);
	struct step *step = steps_add(steps, "%s", structure->name);

	for (uint32_t i = 0; i < structure->nr_qwords; i++)
		entry[i] = ret ? 0 : little_endian(bytes + (size_t)i * 8, 8);
	if (!step)
		return ret;
	step->has_table = true;
	step->held = !ret;
	step->table = structure->table;
	step->index = structure->index;
	step->address = address;
	step->nr_qwords = structure->nr_qwords;
	memcpy(step->entry, entry, size);
	step->fields = structure->fields;
	return ret;
}

uint64_t structure_gap(const struct image *image, uint64_t address, uint32_t size)
{
	uint64_t gap = image_gap(image, address);

	/* An entry that the dump holds a part of is one, and the entry before a gap's end may be another. */
	return gap < size ? 1 : gap / size;
}

void register_step(struct steps *steps, const char *name, uint64_t value, const struct field *fields)
{
	struct step *step = steps_add(steps, "%s", name);

	if (!step)
		return;
	step->held = true;
	step->nr_qwords = 1;
	step->entry[0] = value;
	step->fields = fields;
}

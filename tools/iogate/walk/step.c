/* SPDX-License-Identifier: MIT */
/*
 * See step.h.
 */
#include "step.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "bits.h"
#include "../memory.h"

uint64_t field_value(const struct field *field, const uint64_t *entry)
{
	uint64_t word = entry[field->low / 64];
	uint32_t low = field->low % 64;

	switch (field->kind) {
	case FIELD_ADDRESS:
		return bits_in_place(word, low + field->width - 1, low);
	case FIELD_PAGE:
		return bits(word, low + field->width - 1, low) << 12;
	default:
		return bits(word, low + field->width - 1, low);
	}
}

struct step *steps_add(struct steps *steps, const char *name, ...)
{
	struct step *step;
	va_list args;

	if (!steps || steps->count == STEPS_MAX)
		return NULL;
	if ((steps->count & (steps->count - 1)) == 0)
		steps->list = memory_resize(steps->list, steps->count ? 2 * steps->count : 1, sizeof(*steps->list));
	step = &steps->list[steps->count++];
	*step = (struct step){ .level = -1, .depth = steps->depth };
	va_start(args, name);
	vsnprintf(step->name, sizeof(step->name), name, args);
	va_end(args);
	return step;
}

void step_note(struct step *step, const char *format, ...)
{
	va_list args;

	if (!step || step->note[0])
		return;
	va_start(args, format);
	vsnprintf(step->note, sizeof(step->note), format, args);
	va_end(args);
}

void steps_free(struct steps *steps)
{
	free(steps->list);
	*steps = (struct steps){ 0 };
}

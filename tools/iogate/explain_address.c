/* SPDX-License-Identifier: MIT */
/*
 * One address explained: its steps, and the sentence; see explain.h.
 */
#include "explain.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "json.h"
#include "size.h"

#define SENTENCE 1024

struct explanation {
	const struct explain_request *request;
	const struct image *image;
	struct context context;
	struct walk walk;
	struct steps steps;
	struct fault read; /* how each access is reported if it fails */
	struct fault write;
	bool unknown; /* the dump does not hold what the answer needs */
	char sentence[SENTENCE];
};

/* How a page table by itself fails: there is no unit to give it a number. */
static const char *plain_cause(enum cause cause)
{
	static const char *const names[] = {
		[CAUSE_NONE] = "",
		[CAUSE_RANGE] = "an address that is not translated",
		[CAUSE_CANONICAL] = "a non-canonical address",
		[CAUSE_ABSENT] = "not present",
		[CAUSE_RESERVED] = "a reserved bit",
		[CAUSE_ADDRESS_SIZE] = "an address size fault",
		[CAUSE_PERMISSION] = "no permission",
		[CAUSE_USER] = "no permission",
		[CAUSE_ACCESSED] = "an access flag fault",
		[CAUSE_FETCH] = "an entry that cannot be read",
		[CAUSE_DISABLED] = "walks switched off",
		[CAUSE_MSI] = "",
	};

	return names[cause];
}

static void name_fault(struct explanation *this, const struct outcome *outcome, bool write, struct fault *fault)
{
	*fault = (struct fault){ 0 };
	if (!outcome->cause)
		return;
	if (this->request->unit)
		this->request->unit->fault(&this->context, outcome, write, fault);
	else
		fault_set(fault, (uint32_t)outcome->cause, "%s", plain_cause(outcome->cause));
	this->unknown |= outcome->cause == CAUSE_FETCH;
}

/* An untranslated access, which a device table entry may still deny. */
static void bypass(struct explanation *this)
{
	const struct denial *denials[] = { &this->context.read, &this->context.write };
	struct outcome *outcomes[] = { &this->walk.read, &this->walk.write };

	this->walk = (struct walk){ .found = true, .paddr = this->request->iova, .page_bits = 64 };
	for (int i = 0; i < 2; i++) {
		outcomes[i]->cause = denials[i]->cause;
		snprintf(outcomes[i]->why, sizeof(outcomes[i]->why), "%s", denials[i]->why ? denials[i]->why : "");
	}
}

static void explain(struct explanation *this, struct image *image)
{
	const struct explain_request *request = this->request;

	if (request->unit)
		request->unit->resolve(&request->config, image, request->device, request->pasid, &this->steps, &this->context);
	else
		explain_table_context(request, &this->context);
	switch (this->context.kind) {
	case CONTEXT_TRANSLATE:
		space_walk(context_space(&this->context, request->iova), image, request->iova, &this->steps, &this->walk);
		break;
	case CONTEXT_BYPASS:
		bypass(this);
		break;
	default:
		this->unknown = this->context.kind == CONTEXT_UNKNOWN;
		return;
	}
	name_fault(this, &this->walk.read, false, &this->read);
	name_fault(this, &this->walk.write, true, &this->write);
}

static const char *prot(const struct explanation *this)
{
	if (this->context.kind == CONTEXT_FAULT || this->context.kind == CONTEXT_UNKNOWN || !this->walk.found)
		return "";
	if (this->walk.read.cause)
		return this->walk.write.cause ? "" : "w";
	return this->walk.write.cause ? "r" : "rw";
}

static const char *destination(const struct explanation *this, char *text, size_t size)
{
	char page[SIZE_TEXT];

	if (this->context.kind == CONTEXT_BYPASS)
		snprintf(text, size, "reaches 0x%" PRIx64 " untranslated (%s)", this->walk.paddr, this->context.why);
	else if (this->walk.msi)
		snprintf(text, size, "goes through the MSI page table to the interrupt file at 0x%" PRIx64, this->walk.paddr);
	else if (this->walk.page_bits < 64)
		snprintf(text, size, "reaches 0x%" PRIx64 ", in a page of %s", this->walk.paddr, size_exact(page, UINT64_C(1) << this->walk.page_bits));
	else
		snprintf(text, size, "reaches 0x%" PRIx64 " untranslated", this->walk.paddr);
	return text;
}

/* "00:01.0 at 0x1000" */
static const char *subject(const struct explain_request *request, char *text, size_t size)
{
	char name[DEVICE_TEXT], pasid[48] = "";

	if (!request->unit) {
		snprintf(text, size, "at 0x%" PRIx64, request->iova);
		return text;
	}
	if (request->pasid != NO_PASID)
		snprintf(pasid, sizeof(pasid), " with %s 0x%" PRIx32, request->unit->pasid_name, request->pasid);
	snprintf(text, size, "by %s%s at 0x%" PRIx64, device_name(name, request->device), pasid, request->iova);
	return text;
}

static void compose(struct explanation *this)
{
	const struct walk *walk = &this->walk;
	char who[128], where[WHY_TEXT + 96];

	subject(this->request, who, sizeof(who));
	if (this->context.kind == CONTEXT_UNKNOWN)
		snprintf(this->sentence, SENTENCE, "What a DMA %s does is not known from this dump, because %s; a unit that cannot read or use that reports %s.", who,
			 this->context.why, this->context.fault.text);
	else if (this->context.kind == CONTEXT_FAULT)
		snprintf(this->sentence, SENTENCE, "A DMA read or write %s faults with %s, because %s.", who, this->context.fault.text, this->context.why);
	else if (walk->read.cause == CAUSE_FETCH || walk->write.cause == CAUSE_FETCH)
		snprintf(this->sentence, SENTENCE, "What a DMA %s does is not known from this dump, because %s; a unit that cannot read that reports %s.", who,
			 walk->read.cause == CAUSE_FETCH ? walk->read.why : walk->write.why, walk->read.cause == CAUSE_FETCH ? this->read.text : this->write.text);
	else if (!walk->read.cause && !walk->write.cause)
		snprintf(this->sentence, SENTENCE, "A DMA read or write %s works: it %s.", who, destination(this, where, sizeof(where)));
	else if (!walk->read.cause)
		snprintf(this->sentence, SENTENCE, "A DMA read %s works: it %s; a write faults with %s, because %s.", who, destination(this, where, sizeof(where)),
			 this->write.text, walk->write.why);
	else if (!walk->write.cause)
		snprintf(this->sentence, SENTENCE, "A DMA write %s works: it %s; a read faults with %s, because %s.", who, destination(this, where, sizeof(where)),
			 this->read.text, walk->read.why);
	else if (strcmp(walk->read.why, walk->write.why))
		snprintf(this->sentence, SENTENCE, "A DMA %s faults: a read with %s, because %s; a write with %s, because %s.", who, this->read.text, walk->read.why,
			 this->write.text, walk->write.why);
	else if (strcmp(this->read.text, this->write.text))
		snprintf(this->sentence, SENTENCE, "A DMA %s faults, a read with %s and a write with %s, because %s.", who, this->read.text, this->write.text,
			 walk->read.why);
	else
		snprintf(this->sentence, SENTENCE, "A DMA read or write %s faults with %s, because %s.", who, this->read.text, walk->read.why);
}

static bool is_interrupt(const struct explain_request *request)
{
	const struct unit *unit = request->unit;

	return unit && unit->interrupts_last && request->iova >= unit->interrupts_first && request->iova <= unit->interrupts_last;
}

static void print_field(const struct field *field, uint64_t value)
{
	if (field->kind == FIELD_FLAG)
		printf(" %s", field->name);
	else if (field->kind == FIELD_NUMBER && value < 10)
		printf(" %s=%" PRIu64, field->name, value);
	else
		printf(" %s=0x%" PRIx64, field->name, value);
}

static void print_step(const struct step *step)
{
	int indent = step->depth ? 6 : 2;
	bool any = false;

	printf("%*s%s", indent, "", step->name);
	if (step->has_table)
		printf(" 0x%" PRIx64 " at 0x%" PRIx64, step->index, step->address);
	if (!step->held) {
		puts(": not in the dump");
		return;
	}
	putchar(':');
	/* The highest word first, as one number; words of zero at the top are left out. */
	for (uint32_t i = step->nr_qwords; i--;) {
		any |= step->entry[i] || !i;
		if (any)
			printf(" %016" PRIx64, step->entry[i]);
	}
	printf("\n%*s   ", indent, "");
	any = false;
	for (const struct field *field = step->fields; field && field->name; field++) {
		if (!field_value(field, step->entry))
			continue;
		print_field(field, field_value(field, step->entry));
		any = true;
	}
	puts(any ? "" : " all fields are 0");
	if (step->note[0])
		printf("%*s    (%s)\n", indent, "", step->note);
}

static void print_text(const struct explanation *this)
{
	char text[IMAGE_TEXT];

	printf("%s: %s\n", this->request->path, image_describe(this->image, text));
	for (size_t i = 0; i < this->steps.count; i++)
		print_step(&this->steps.list[i]);
	if (this->context.kind == CONTEXT_TRANSLATE && this->context.domain[0])
		printf("  cached under %s\n", this->context.domain);
	printf("%s\n", this->sentence);
	if (is_interrupt(this->request))
		printf("But a write to 0x%" PRIx64 "-0x%" PRIx64 " is an interrupt to this unit, and goes by none of these tables.\n",
		       this->request->unit->interrupts_first, this->request->unit->interrupts_last);
}

static void put_hex(json_t *object, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	json_put_string(object, key, text);
}

/* The words of an entry as one number. */
static void put_entry(json_t *object, const struct step *step)
{
	char text[3 + 16 * STEP_QWORDS_MAX];
	int at = snprintf(text, sizeof(text), "0x");

	for (uint32_t i = step->nr_qwords; i--;)
		at += snprintf(text + at, sizeof(text) - (size_t)at, "%016" PRIx64, step->entry[i]);
	json_put_string(object, "entry", step->held ? text : NULL);
}

static json_t *step_json(const struct step *step)
{
	json_t *object = json_checked(json_object()), *fields = json_checked(json_object());

	if (step->level >= 0)
		json_put_number(object, "level", (uint64_t)step->level);
	else
		json_put(object, "level", json_null());
	json_put_string(object, "name", step->name);
	json_put_bool(object, "nested", step->depth > 0);
	if (step->has_table) {
		put_hex(object, "table", step->table);
		json_put_number(object, "index", step->index);
		put_hex(object, "address", step->address);
	} else {
		json_put(object, "table", json_null());
		json_put(object, "index", json_null());
	}
	put_entry(object, step);
	for (const struct field *field = step->fields; step->held && field && field->name; field++) {
		if (field->kind == FIELD_ADDRESS || field->kind == FIELD_PAGE || field->width > 32)
			put_hex(fields, field->name, field_value(field, step->entry));
		else
			json_put_number(fields, field->name, field_value(field, step->entry));
	}
	json_put(object, "fields", fields);
	if (step->note[0])
		json_put_string(object, "note", step->note);
	return object;
}

static json_t *access_json(const struct explanation *this, const struct outcome *outcome, const struct fault *fault)
{
	bool decided = this->context.kind == CONTEXT_FAULT || this->context.kind == CONTEXT_UNKNOWN;
	json_t *object = json_checked(json_object());

	if (decided)
		fault = &this->context.fault;
	json_put_bool(object, "ok", !decided && !outcome->cause);
	if (decided || outcome->cause) {
		json_put_number(object, "code", fault->code);
		json_put_string(object, "fault", fault->text);
		json_put_string(object, "why", decided ? this->context.why : outcome->why);
	}
	return object;
}

static int print_json(const struct explanation *this)
{
	const struct explain_request *request = this->request;
	json_t *report = json_report("explain"), *steps = json_checked(json_array()), *result = json_checked(json_object());
	const char *allowed = prot(this);
	char name[DEVICE_TEXT];

	json_put_bool(report, "partial", this->unknown);
	json_put_string(report, "memory", request->path);
	json_put_string(report, "unit", request->unit ? request->unit->name : NULL);
	json_put_string(report, "format", request->unit ? NULL : request->table.format->name);
	json_put_string(report, "device", request->unit ? device_name(name, request->device) : NULL);
	if (request->pasid != NO_PASID)
		json_put_number(report, "pasid", request->pasid);
	put_hex(report, "iova", request->iova);
	for (size_t i = 0; i < this->steps.count; i++)
		json_append(steps, step_json(&this->steps.list[i]));
	json_put(report, "steps", steps);
	json_put_bool(result, "ok", allowed[0]);
	if (allowed[0]) {
		put_hex(result, "paddr", this->walk.paddr);
	} else {
		json_put(result, "paddr", json_null());
	}
	if (allowed[0] && this->walk.page_bits < 63)
		json_put_number(result, "page_size", UINT64_C(1) << this->walk.page_bits);
	else
		json_put(result, "page_size", json_null());
	json_put_string(result, "prot", allowed);
	json_put_string(result, "reason", this->sentence);
	json_put(result, "read", access_json(this, &this->walk.read, &this->read));
	json_put(result, "write", access_json(this, &this->walk.write, &this->write));
	json_put_bool(result, "interrupt", is_interrupt(request));
	json_put(report, "result", result);
	return json_print(report);
}

int explain_address(const struct explain_request *request, struct image *image)
{
	struct explanation this = { .request = request, .image = image };
	int ret = 0;

	explain(&this, image);
	compose(&this);
	if (request->json)
		ret = print_json(&this);
	else
		print_text(&this);
	steps_free(&this.steps);
	return ret || this.unknown ? EXIT_FOUND : EXIT_DONE;
}

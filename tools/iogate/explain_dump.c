/* SPDX-License-Identifier: MIT */
/*
 * Every mapping of a device, or of all; see explain.h. Devices that share their tables are listed once. Neighbours that continue each other are one line.
 *
 * Work is bounded by the size of the dump: there cannot be more tables in it than pages, so a walk that meets more is going round in circles.
 */
#include "explain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "interrupt.h"
#include "json.h"
#include "memory.h"
#include "progress.h"

/* Problems beyond these are counted, not told. */
#define PROBLEMS_MAX 100
/* Devices that are not translated, likewise. */
#define BYPASSES_MAX 32
/* Structures of devices and PASIDs that cost as much as a table: a page holds at least as many. */
#define CONTEXTS_PER_TABLE 64

/* What makes two devices share their mappings. */
struct space_key {
	uint64_t words[20];
};

struct known_space {
	struct space_key key;
	uint32_t device;
	uint32_t pasid;
	bool used;
};

struct range {
	uint64_t iova;
	uint64_t paddr;
	uint64_t size;
	bool read;
	bool write;
};

struct dump {
	const struct explain_request *request;
	struct image *image;
	struct visitor visitor;
	uint64_t budget; /* at the start */
	char device[DEVICE_TEXT];
	uint32_t pasid;
	struct range pending;
	uint64_t mappings; /* of this device */
	uint64_t bytes;
	uint64_t contexts;
	uint64_t bypasses;
	uint64_t problems;
	struct known_space *known; /* a hash table, at most half full */
	size_t known_count;
	size_t known_size;
	json_t *report; /* NULL for text */
	json_t *list_mappings;
	json_t *list_devices;
	json_t *list_problems;
};

static const char *prot(const struct range *range)
{
	return range->read ? range->write ? "rw" : "r" : "w";
}

static void put_hex(json_t *object, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	json_put_string(object, key, text);
}

/* "device" and, where there is one, "pasid". */
static void put_device(const struct dump *dump, json_t *object)
{
	json_put_string(object, "device", dump->request->unit ? dump->device : NULL);
	if (dump->pasid != NO_PASID)
		json_put_number(object, "pasid", dump->pasid);
}

/* "00:01.0", or "00:01.0/5" with a PASID. */
static void print_device(const struct dump *dump)
{
	fputs(dump->request->unit ? dump->device : "-", stdout);
	if (dump->pasid != NO_PASID)
		printf("/%" PRIu32, dump->pasid);
}

static void flush(struct dump *dump)
{
	struct range *range = &dump->pending;
	json_t *object;

	if (!range->size)
		return;
	dump->mappings++;
	dump->bytes += range->size;
	if (dump->report) {
		object = json_checked(json_object());
		put_device(dump, object);
		put_hex(object, "iova", range->iova);
		put_hex(object, "paddr", range->paddr);
		json_put_number(object, "size", range->size);
		json_put_string(object, "prot", prot(range));
		json_append(dump->list_mappings, object);
	} else {
		print_device(dump);
		printf(" 0x%" PRIx64 " 0x%" PRIx64 " %" PRIu64 " %s\n", range->iova, range->paddr, range->size, prot(range));
	}
	range->size = 0;
}

static void mapped(void *ctx, uint64_t iova, uint64_t paddr, uint64_t size, bool read, bool write)
{
	struct dump *dump = ctx;
	struct range *pending = &dump->pending;

	if (pending->size && iova == pending->iova + pending->size && paddr == pending->paddr + pending->size && read == pending->read && write == pending->write) {
		pending->size += size;
		return;
	}
	flush(dump);
	*pending = (struct range){ .iova = iova, .paddr = paddr, .size = size, .read = read, .write = write };
	progress_update(dump->budget - dump->visitor.budget, dump->budget);
}

static void problem(void *ctx, uint64_t iova, const char *why)
{
	struct dump *dump = ctx;
	json_t *object;

	if (++dump->problems > PROBLEMS_MAX)
		return;
	if (dump->report) {
		object = json_checked(json_object());
		put_device(dump, object);
		put_hex(object, "iova", iova);
		json_put_string(object, "why", why);
		json_append(dump->list_problems, object);
	} else {
		flush(dump);
		fputs("# ", stdout);
		print_device(dump);
		printf(" 0x%" PRIx64 ": %s\n", iova, why);
	}
}

static void key_add(struct space_key *key, size_t at, const struct pt *pt)
{
	if (!pt->format)
		return;
	key->words[at] = pt->root;
	key->words[at + 1] = (uint64_t)(uintptr_t)pt->format;
	key->words[at + 2] = (uint64_t)pt->root_level << 32 | pt->root_bits;
	key->words[at + 3] = (uint64_t)pt->granule_bits << 48 | (uint64_t)pt->ias << 40 | (uint64_t)pt->oas << 32 | pt->flags;
	key->words[at + 4] = (uint64_t)pt->read.cause << 32 | (uint64_t)pt->write.cause;
}

static struct space_key key_of(const struct context *context)
{
	struct space_key key = { 0 };

	for (uint32_t i = 0; i < context->nr_spaces; i++) {
		key_add(&key, (size_t)i * 10, &context->spaces[i].first);
		key_add(&key, (size_t)i * 10 + 5, &context->spaces[i].second);
	}
	return key;
}

static uint64_t key_hash(const struct space_key *key)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < sizeof(key->words) / sizeof(key->words[0]); i++)
		hash = (hash ^ key->words[i]) * UINT64_C(0x9e3779b97f4a7c15) + (hash >> 29);
	return hash ^ hash >> 32;
}

static struct known_space *slot_find(struct known_space *known, size_t size, const struct space_key *key)
{
	size_t at = (size_t)key_hash(key) & (size - 1);

	while (known[at].used && memcmp(&known[at].key, key, sizeof(*key)))
		at = (at + 1) & (size - 1);
	return &known[at];
}

/* Who has the same tables and came first; NULL, and remember this one, if nobody. */
static const struct known_space *shared_with(struct dump *dump, const struct context *context, uint32_t device, uint32_t pasid)
{
	struct space_key key = key_of(context);
	struct known_space *grown, *slot;
	size_t size;

	if (2 * (dump->known_count + 1) > dump->known_size) {
		size = dump->known_size ? 2 * dump->known_size : 64;
		grown = memory_new(size, sizeof(*grown));
		for (size_t i = 0; i < dump->known_size; i++) {
			if (dump->known[i].used)
				*slot_find(grown, size, &dump->known[i].key) = dump->known[i];
		}
		free(dump->known);
		dump->known = grown;
		dump->known_size = size;
	}
	slot = slot_find(dump->known, dump->known_size, &key);
	if (slot->used)
		return slot;
	*slot = (struct known_space){ .key = key, .device = device, .pasid = pasid, .used = true };
	dump->known_count++;
	return NULL;
}

/* What becomes of a device that has mappings listed elsewhere, or none. */
static void tell_device(struct dump *dump, const struct context *context, const char *state, const char *text)
{
	json_t *object;

	if (dump->report) {
		object = json_checked(json_object());
		put_device(dump, object);
		json_put_string(object, "state", state);
		if (context->domain[0])
			json_put_string(object, "domain", context->domain);
		if (text)
			json_put_string(object, strcmp(state, "shared") ? "why" : "shared_with", text);
		json_put_number(object, "mappings", dump->mappings);
		json_put_number(object, "bytes", dump->bytes);
		json_append(dump->list_devices, object);
	} else if (text) {
		fputs("# ", stdout);
		print_device(dump);
		printf(": %s%s\n", strcmp(state, "shared") ? "" : "the tables of ", text);
	}
}

static void list_space(struct dump *dump, const struct context *context)
{
	for (uint32_t i = 0; i < context->nr_spaces; i++)
		space_visit(&context->spaces[i], dump->image, &dump->visitor);
	flush(dump);
	tell_device(dump, context, "translated", !dump->mappings && !dump->visitor.exhausted && !interrupted() ? "nothing is mapped" : NULL);
}

/* @asked: the user named the device, so that whatever it is has to be said. */
static void list_context(struct dump *dump, const struct context *context, uint32_t device, uint32_t pasid, bool asked)
{
	const struct known_space *first;
	char name[DEVICE_TEXT], text[WHY_TEXT + FAULT_TEXT + 64];

	device_name(dump->device, device);
	dump->pasid = pasid;
	dump->mappings = 0;
	dump->bytes = 0;
	switch (context->kind) {
	case CONTEXT_TRANSLATE:
		first = shared_with(dump, context, device, pasid);
		if (!first) {
			list_space(dump, context);
			break;
		}
		device_name(name, first->device);
		if (first->pasid == NO_PASID)
			snprintf(text, sizeof(text), "%s", name);
		else
			snprintf(text, sizeof(text), "%s/%" PRIu32, name, first->pasid);
		tell_device(dump, context, "shared", text);
		break;
	case CONTEXT_BYPASS:
		if (++dump->bypasses <= BYPASSES_MAX || asked)
			tell_device(dump, context, "bypass", context->why);
		break;
	case CONTEXT_UNKNOWN:
		problem(dump, 0, context->why);
		break;
	default:
		snprintf(text, sizeof(text), "every DMA faults with %s, because %s", context->fault.text, context->why);
		if (asked)
			tell_device(dump, context, "faults", text);
		break;
	}
}

static void resolve(struct dump *dump, uint32_t device, uint32_t pasid, struct context *context)
{
	const struct explain_request *request = dump->request;

	if (++dump->contexts % CONTEXTS_PER_TABLE == 0) {
		if (dump->visitor.budget)
			dump->visitor.budget--;
		else
			dump->visitor.exhausted = true;
	}
	request->unit->resolve(&request->config, dump->image, device, pasid, NULL, context);
}

/* One device: without PASID, and with each that is set up. */
static uint64_t list_device(struct dump *dump, uint32_t device, bool asked)
{
	const struct explain_request *request = dump->request;
	struct context context;
	uint64_t ids;
	uint32_t nr_pasids;

	resolve(dump, device, request->pasid, &context);
	ids = context.ids;
	nr_pasids = request->pasid == NO_PASID ? context.nr_pasids : 0;
	list_context(dump, &context, device, request->pasid, asked);
	for (uint64_t pasid = 0; pasid < nr_pasids && !interrupted() && !dump->visitor.exhausted; pasid += context.pasids ? context.pasids : 1) {
		resolve(dump, device, (uint32_t)pasid, &context);
		list_context(dump, &context, device, (uint32_t)pasid, false);
	}
	return ids ? ids : 1;
}

static void list_all(struct dump *dump)
{
	const struct explain_request *request = dump->request;
	uint64_t nr_ids;
	struct context context;

	if (!request->unit) {
		explain_table_context(request, &context);
		list_context(dump, &context, 0, NO_PASID, true);
		return;
	}
	if (request->has_device) {
		list_device(dump, request->device, true);
		return;
	}
	nr_ids = request->unit->nr_ids(&request->config);
	for (uint64_t id = 0; id < nr_ids && !interrupted() && !dump->visitor.exhausted;)
		id += list_device(dump, (uint32_t)id, false);
}

/* What did not go as it should, for people. Returns whether there is any. */
static bool tell_limits(const struct dump *dump, struct problem *why)
{
	if (interrupted()) {
		problem_set(why, "interrupted: the list is not complete");
	} else if (dump->visitor.exhausted) {
		problem_set(why, "there are more tables than the dump has room for: they point to each other, or are shared many times; the list is not complete");
	} else if (dump->problems) {
		problem_set(why, "%" PRIu64 " entries or tables could not be listed", dump->problems);
	} else {
		return false;
	}
	message("%s: %s", dump->request->path, why->text);
	return true;
}

static int finish_json(struct dump *dump, bool partial, const struct problem *why)
{
	json_put_bool(dump->report, "partial", partial);
	if (partial)
		json_put_string(dump->report, "error", why->text);
	json_put_string(dump->report, "memory", dump->request->path);
	json_put_string(dump->report, "unit", dump->request->unit ? dump->request->unit->name : NULL);
	json_put_string(dump->report, "format", dump->request->unit ? NULL : dump->request->table.format->name);
	json_put(dump->report, "devices", dump->list_devices);
	json_put_number(dump->report, "bypasses", dump->bypasses);
	json_put(dump->report, "mappings", dump->list_mappings);
	json_put(dump->report, "problems", dump->list_problems);
	json_put_number(dump->report, "nr_problems", dump->problems);
	return json_print(dump->report);
}

int explain_dump(const struct explain_request *request, struct image *image)
{
	struct dump dump = {
		.request = request,
		.image = image,
		/* Twice, for tables that domains share with each other; and some, for images of no more than a table. */
		.budget = image_size(image) / 4096 * 2 + 4096,
		.visitor = { .mapped = mapped, .problem = problem },
		.pasid = NO_PASID,
	};
	struct problem why;
	bool partial;
	int ret = 0;

	dump.visitor.ctx = &dump;
	dump.visitor.budget = dump.budget;
	if (request->json) {
		dump.report = json_report("explain");
		dump.list_mappings = json_checked(json_array());
		dump.list_devices = json_checked(json_array());
		dump.list_problems = json_checked(json_array());
	} else {
		puts("# device iova paddr size prot");
	}
	progress_begin("tables");
	list_all(&dump);
	progress_end();
	if (!request->json && dump.bypasses > BYPASSES_MAX)
		printf("# %" PRIu64 " more devices are not translated\n", dump.bypasses - BYPASSES_MAX);
	partial = tell_limits(&dump, &why);
	if (request->json)
		ret = finish_json(&dump, partial, &why);
	free(dump.known);
	return ret || partial ? EXIT_FOUND : EXIT_DONE;
}

/* SPDX-License-Identifier: MIT */
/*
 * "iogate explain": a walk through the tables of a dump, and why a DMA works or faults.
 */
#ifndef IOGATE_TOOL_EXPLAIN_H
#define IOGATE_TOOL_EXPLAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "message.h"
#include "walk/image.h"
#include "walk/unit.h"

#define DEVICE_TEXT 32

struct explain_request {
	const char *path;
	bool raw;
	uint64_t base;
	const struct unit *unit; /* NULL: @table is walked as it is */
	struct unit_config config;
	struct pt table;
	bool has_device;
	uint32_t device;
	uint32_t pasid; /* NO_PASID */
	bool has_iova;
	uint64_t iova;
	bool dump;
	bool json;
};

/* What tells one device of a unit from others: "00:01.0", or a number beyond a PCI segment's. */
const char *device_name(char text[DEVICE_TEXT], uint32_t device);

/* Such a name, "0000:00:01.0", or a number. Returns 0, or -1 if it is none. */
int device_parse(const char *text, uint32_t *device);

/* The context of a bare table. */
void explain_table_context(const struct explain_request *request, struct context *context);

/* Explain one address on stdout. Returns an exit code. */
int explain_address(const struct explain_request *request, struct image *image);

/* List every mapping on stdout. Returns an exit code. */
int explain_dump(const struct explain_request *request, struct image *image);

#endif

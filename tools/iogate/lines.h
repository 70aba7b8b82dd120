/* SPDX-License-Identifier: MIT */
/*
 * Shared cache lines written by one operation of the DMA API, counted in a build of the core of which every store and every atomic operation reports itself.
 *
 * An operation's count is its atomic read-modify-writes, and its stores to lines of 64 bytes that another lane writes, too. The stack does not count.
 */
#ifndef IOGATE_TOOL_LINES_H
#define IOGATE_TOOL_LINES_H

#include <stdbool.h>
#include <stdint.h>

#include "message.h"

enum lines_operation {
	LINES_ROUND,   /* unmap and map, by the lane that owns the mapping */
	LINES_REMOTE,  /* unmap by the other lane; the owner maps another meanwhile, which is not counted */
	LINES_HANDOFF, /* unmap by the other lane and map by the owner */
};

struct lines_config {
	const char *format;
	const char *policy;
	enum lines_operation operation;
	uint32_t count; /* operations, half by each of two lanes */
};

/*
 * Count. Deferred, 256 live per lane, one page each; the flushes that come with it are part of the operations in which they happen. @writes: result, one per operation.
 * Returns 0; or a negative iogate error with @problem set, -IOG_EOPNOTSUPP where the build has no such core.
 */
__attribute__((visibility("hidden"))) int lines_measure(const struct lines_config *config, uint32_t *writes, struct problem *problem);

#endif

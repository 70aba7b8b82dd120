/* SPDX-License-Identifier: MIT */
/*
 * A set of disjoint address ranges, each with a tag, in order of address: a treap.
 *
 * Invariant: pieces do not overlap; nodes are ordered by their first address, and a node's priority is not below its children's, which keeps
 * the depth logarithmic whatever order the ranges come in. Not locked: one thread.
 */
#ifndef IOGATE_TOOL_RANGES_H
#define IOGATE_TOOL_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "random.h"

struct range {
	uint64_t first;
	uint64_t last; /* inclusive */
	uint32_t tag;
};

struct ranges_node;

struct ranges {
	struct ranges_node *nodes; /* [0] stands for "none" */
	uint32_t used;             /* nodes taken from the array, [0] included */
	uint32_t room;
	uint32_t spare; /* list of nodes given back */
	uint32_t root;
	struct random random;
};

/* Called for each part of a piece that leaves the set, in ascending order. */
typedef void ranges_removed_fn(const struct range *part, void *ctx);

void ranges_init(struct ranges *ranges);
void ranges_free(struct ranges *ranges);

/* The lowest piece that touches [first, last]. Returns false if there is none. */
bool ranges_find(const struct ranges *ranges, uint64_t first, uint64_t last, struct range *piece);

/* Whether every address of [first, last] is in the set; if not, @hole is the lowest that is not. */
bool ranges_cover(const struct ranges *ranges, uint64_t first, uint64_t last, uint64_t *hole);

/* Add a piece. Nothing of it may be in the set. */
void ranges_insert(struct ranges *ranges, uint64_t first, uint64_t last, uint32_t tag);

/* Take out whatever of [first, last] is in the set, cutting pieces where needed. @removed may be NULL. */
void ranges_remove(struct ranges *ranges, uint64_t first, uint64_t last, ranges_removed_fn *removed, void *ctx);

/* Add [first, last] to a set in which tags mean nothing, joining pieces. Returns how many addresses are new. */
uint64_t ranges_fill(struct ranges *ranges, uint64_t first, uint64_t last);

/* Take out everything. */
void ranges_clear(struct ranges *ranges);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Nodes of the tree (tree.c), and the chunks of memory that they come in. All nodes look alike:
 *
 *   leaf    ref[i] first granule of run i and its marks; end[i] the granule behind it;    fit[i] fit of the gap below it
 *   others  ref[i] child i;                              end[i] end of its last run;      fit[i] the most of its fits
 *
 *   FILL <= nr <= FANOUT, but for the root
 *
 * Chunks form a circle; those with free nodes come first, from tree->chunks on. Of the chunks without a node in use at most one is kept.
 *
 * Locking: everything is under tree->lock.
 */
#ifndef IOG_IOVA_TREE_NODE_H
#define IOG_IOVA_TREE_NODE_H

#include "../pgtable/memory.h"
#include "tree.h"

#define FANOUT 12
#define FILL 4
#define CHUNK_NODES 12

/* In a leaf's ref, above the granule number (at most 52 bits). */
#define RESERVED (UINT64_C(1) << 63)
#define CACHED (UINT64_C(1) << 62)
#define MARKS (RESERVED | CACHED)

struct tree_node {
	uint64_t end[FANOUT];
	uint64_t fit[FANOUT];
	uint64_t ref[FANOUT];
	struct tree_chunk *chunk;
	struct tree_node *next; /* while free: in the chunk */
	uint32_t nr;
};

/* Chunks with free nodes come before those without. */
struct tree_chunk {
	struct tree_chunk *next;
	struct tree_chunk *previous;
	struct tree_node *free;
	uint32_t nr_free;
	_Alignas(64) struct tree_node nodes[CHUNK_NODES];
};

_Static_assert(FILL >= 2 && 2 * FILL - 1 <= FANOUT, "a node and a sibling of the least fill go into one; a leaf never loses its last run");
_Static_assert(sizeof(struct tree_chunk) <= 4096, "what a platform rounds up to");

static inline struct tree_node *child_at(const struct tree_node *node, uint32_t i)
{
	return (struct tree_node *)(uintptr_t)node->ref[i];
}

/* ---- chunks ---- */

/* Before the first of the circle, that is, behind the last. */
static inline void chunk_link(struct iova_tree *tree, struct tree_chunk *chunk)
{
	struct tree_chunk *first = tree->chunks;

	if (!first) {
		chunk->next = chunk;
		chunk->previous = chunk;
	} else {
		chunk->next = first;
		chunk->previous = first->previous;
		first->previous->next = chunk;
		first->previous = chunk;
	}
	tree->chunks = chunk;
}

static inline void chunk_unlink(struct iova_tree *tree, struct tree_chunk *chunk)
{
	chunk->previous->next = chunk->next;
	chunk->next->previous = chunk->previous;
	if (tree->chunks == chunk)
		tree->chunks = chunk->next == chunk ? NULL : chunk->next;
}

static inline void chunk_add(struct iova_tree *tree, struct tree_chunk *chunk)
{
	for (uint32_t i = CHUNK_NODES; i-- > 0;) {
		chunk->nodes[i].chunk = chunk;
		chunk->nodes[i].next = chunk->free;
		chunk->free = &chunk->nodes[i];
	}
	chunk->nr_free = CHUNK_NODES;
	chunk_link(tree, chunk);
	tree->nr_free += CHUNK_NODES;
}

/* The caller has seen that one is free. */
static inline struct tree_node *node_take(struct iova_tree *tree)
{
	struct tree_chunk *chunk = tree->chunks;
	struct tree_node *node = chunk->free;

	chunk->free = node->next;
	tree->nr_free--;
	if (!--chunk->nr_free)
		tree->chunks = chunk->next;
	node->nr = 0;
	return node;
}

/* Returns its chunk, taken off the tree, if that has no node in use and there are others free: at most one such chunk is kept. */
static inline struct tree_chunk *node_put(struct iova_tree *tree, struct tree_node *node)
{
	struct tree_chunk *chunk = node->chunk;

	node->next = chunk->free;
	chunk->free = node;
	tree->nr_free++;
	if (!chunk->nr_free++) {
		chunk_unlink(tree, chunk);
		chunk_link(tree, chunk);
	}
	if (chunk->nr_free < CHUNK_NODES || tree->nr_free < UINT64_C(2) * CHUNK_NODES)
		return NULL;
	chunk_unlink(tree, chunk);
	tree->nr_free -= CHUNK_NODES;
	return chunk;
}

/* ---- entries ---- */

static inline uint64_t node_fit(const struct tree_node *node)
{
	uint64_t most = 0;

	for (uint32_t i = 0; i < node->nr; i++)
		most = node->fit[i] > most ? node->fit[i] : most;
	return most;
}

/* Entries [from, from + n) of one node to another; what is there already has made room. */
static inline void move_entries(struct tree_node *to, uint32_t at, const struct tree_node *node, uint32_t from, uint32_t n)
{
	memmove(&to->end[at], &node->end[from], n * sizeof(to->end[0]));
	memmove(&to->fit[at], &node->fit[from], n * sizeof(to->fit[0]));
	memmove(&to->ref[at], &node->ref[from], n * sizeof(to->ref[0]));
}

static inline void open_slot(struct tree_node *node, uint32_t at)
{
	move_entries(node, at + 1, node, at, node->nr - at);
	node->nr++;
}

static inline void close_slot(struct tree_node *node, uint32_t at)
{
	move_entries(node, at, node, at + 1, node->nr - at - 1);
	node->nr--;
}

/* What node[i] says of its child. */
static inline void summarize(struct tree_node *node, uint32_t i)
{
	const struct tree_node *child = child_at(node, i);

	node->end[i] = child->end[child->nr - 1];
	node->fit[i] = node_fit(child);
	node->ref[i] = (uintptr_t)child;
}

/* Children i and i + 1, one of which holds too little: one of them, or two that hold enough. */
static inline struct tree_node *join(struct tree_node *node, uint32_t i)
{
	struct tree_node *left = child_at(node, i), *right = child_at(node, i + 1);
	uint32_t all = left->nr + right->nr, keep = all / 2;

	if (all <= FANOUT) {
		move_entries(left, left->nr, right, 0, right->nr);
		left->nr = all;
		close_slot(node, i + 1);
		node->ref[i] = (uintptr_t)left;
		summarize(node, i);
		return right;
	}
	if (left->nr < keep) {
		uint32_t n = keep - left->nr;

		move_entries(left, left->nr, right, 0, n);
		move_entries(right, 0, right, n, right->nr - n);
	} else {
		uint32_t n = left->nr - keep;

		move_entries(right, n, right, 0, right->nr);
		move_entries(right, 0, left, keep, n);
	}
	left->nr = keep;
	right->nr = all - keep;
	summarize(node, i);
	summarize(node, i + 1);
	return NULL;
}

#endif

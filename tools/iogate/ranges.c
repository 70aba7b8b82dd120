/* SPDX-License-Identifier: MIT */
/*
 * See ranges.h. Nodes live in one array and name each other by index, so that the set is two allocations at most and half the size.
 */
#include "ranges.h"

#include <stdlib.h>

#include "memory.h"

#define NONE 0u

struct ranges_node {
	struct range range;
	uint32_t priority;
	uint32_t left;
	uint32_t right;
};

static uint32_t node_new(struct ranges *ranges, uint64_t first, uint64_t last, uint32_t tag)
{
	struct ranges_node *node;
	uint32_t index = ranges->spare;

	if (index != NONE) {
		ranges->spare = ranges->nodes[index].left;
	} else {
		if (ranges->used == ranges->room) {
			ranges->room = ranges->room ? ranges->room * 2 : 64;
			ranges->nodes = memory_resize(ranges->nodes, ranges->room, sizeof(*ranges->nodes));
			if (!ranges->used) {
				ranges->nodes[NONE] = (struct ranges_node){ 0 };
				ranges->used = 1;
			}
		}
		index = ranges->used++;
	}
	node = &ranges->nodes[index];
	node->range = (struct range){ .first = first, .last = last, .tag = tag };
	node->priority = (uint32_t)random_next(&ranges->random);
	node->left = NONE;
	node->right = NONE;
	return index;
}

static void node_give_back(struct ranges *ranges, uint32_t index)
{
	ranges->nodes[index].left = ranges->spare;
	ranges->spare = index;
}

/* All nodes of @low lie below all of @high. */
static uint32_t tree_join(struct ranges *ranges, uint32_t low, uint32_t high)
{
	struct ranges_node *nodes = ranges->nodes;

	if (low == NONE)
		return high;
	if (high == NONE)
		return low;
	if (nodes[low].priority > nodes[high].priority) {
		nodes[low].right = tree_join(ranges, nodes[low].right, high);
		return low;
	}
	nodes[high].left = tree_join(ranges, low, nodes[high].left);
	return high;
}

/* Part a tree: @low gets the nodes that begin below @at, @high the others. */
static void tree_part(struct ranges *ranges, uint32_t tree, uint64_t at, uint32_t *low, uint32_t *high)
{
	struct ranges_node *nodes = ranges->nodes;

	if (tree == NONE) {
		*low = NONE;
		*high = NONE;
	} else if (nodes[tree].range.first < at) {
		tree_part(ranges, nodes[tree].right, at, &nodes[tree].right, high);
		*low = tree;
	} else {
		tree_part(ranges, nodes[tree].left, at, low, &nodes[tree].left);
		*high = tree;
	}
}

/* The last node of a tree; NONE for an empty one. */
static uint32_t tree_last(const struct ranges *ranges, uint32_t tree)
{
	while (tree != NONE && ranges->nodes[tree].right != NONE)
		tree = ranges->nodes[tree].right;
	return tree;
}

static void tree_drop(struct ranges *ranges, uint32_t tree, ranges_removed_fn *removed, void *ctx)
{
	uint32_t right;

	if (tree == NONE)
		return;
	tree_drop(ranges, ranges->nodes[tree].left, removed, ctx);
	right = ranges->nodes[tree].right;
	if (removed)
		removed(&ranges->nodes[tree].range, ctx);
	node_give_back(ranges, tree);
	tree_drop(ranges, right, removed, ctx);
}

/* Cut the piece that holds both @at - 1 and @at, if there is one, into two; so that tree_part() at @at parts addresses, not only pieces. */
static void cut(struct ranges *ranges, uint64_t at)
{
	uint32_t low, high, straddler, rest;

	tree_part(ranges, ranges->root, at, &low, &high);
	straddler = tree_last(ranges, low);
	if (straddler != NONE && ranges->nodes[straddler].range.last >= at) {
		rest = node_new(ranges, at, ranges->nodes[straddler].range.last, ranges->nodes[straddler].range.tag);
		ranges->nodes[straddler].range.last = at - 1;
		high = tree_join(ranges, rest, high);
	}
	ranges->root = tree_join(ranges, low, high);
}

void ranges_init(struct ranges *ranges)
{
	*ranges = (struct ranges){ 0 };
}

void ranges_free(struct ranges *ranges)
{
	free(ranges->nodes);
	ranges_init(ranges);
}

bool ranges_find(const struct ranges *ranges, uint64_t first, uint64_t last, struct range *piece)
{
	const struct ranges_node *nodes = ranges->nodes;
	uint32_t at = ranges->root, best = NONE;

	/* Pieces are disjoint, so their ends ascend as their beginnings do: the lowest piece that ends at or after @first is the one to look at. */
	while (at != NONE) {
		if (nodes[at].range.last >= first) {
			best = at;
			at = nodes[at].left;
		} else {
			at = nodes[at].right;
		}
	}
	if (best == NONE || nodes[best].range.first > last)
		return false;
	*piece = nodes[best].range;
	return true;
}

bool ranges_cover(const struct ranges *ranges, uint64_t first, uint64_t last, uint64_t *hole)
{
	struct range piece;

	for (;;) {
		*hole = first;
		if (!ranges_find(ranges, first, first, &piece))
			return false;
		if (piece.last >= last)
			return true;
		first = piece.last + 1;
	}
}

void ranges_insert(struct ranges *ranges, uint64_t first, uint64_t last, uint32_t tag)
{
	uint32_t low, high, node;

	node = node_new(ranges, first, last, tag);
	tree_part(ranges, ranges->root, first, &low, &high);
	ranges->root = tree_join(ranges, tree_join(ranges, low, node), high);
}

void ranges_remove(struct ranges *ranges, uint64_t first, uint64_t last, ranges_removed_fn *removed, void *ctx)
{
	uint32_t low, middle, high = NONE;

	if (first)
		cut(ranges, first);
	if (last != UINT64_MAX)
		cut(ranges, last + 1);
	tree_part(ranges, ranges->root, first, &low, &middle);
	if (last != UINT64_MAX)
		tree_part(ranges, middle, last + 1, &middle, &high);
	tree_drop(ranges, middle, removed, ctx);
	ranges->root = tree_join(ranges, low, high);
}

static void add_length(const struct range *part, void *ctx)
{
	*(uint64_t *)ctx += part->last - part->first + 1;
}

uint64_t ranges_fill(struct ranges *ranges, uint64_t first, uint64_t last)
{
	uint64_t covered = 0, size = last - first + 1;
	struct range neighbour;

	if (ranges_find(ranges, first, first, &neighbour) && neighbour.last >= last)
		return 0;
	ranges_remove(ranges, first, last, add_length, &covered);
	if (first && ranges_find(ranges, first - 1, first - 1, &neighbour)) {
		ranges_remove(ranges, neighbour.first, neighbour.last, NULL, NULL);
		first = neighbour.first;
	}
	if (last != UINT64_MAX && ranges_find(ranges, last + 1, last + 1, &neighbour)) {
		ranges_remove(ranges, neighbour.first, neighbour.last, NULL, NULL);
		last = neighbour.last;
	}
	ranges_insert(ranges, first, last, 0);
	return size - covered;
}

void ranges_clear(struct ranges *ranges)
{
	ranges->root = NONE;
	ranges->spare = NONE;
	ranges->used = ranges->room ? 1 : 0;
}

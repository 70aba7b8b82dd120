/* SPDX-License-Identifier: MIT */
/*
 * The tree of what is handed out, for the allocators that stand on it: magazine, window, and the scheme "tree" itself, which is nothing else.
 *
 * All calls may be made from several lanes at once. Granules throughout.
 */
#ifndef IOG_IOVA_TREE_H
#define IOG_IOVA_TREE_H

#include "allocator.h"

struct tree_node;
struct tree_chunk;

struct iova_tree {
	struct iog_iova *owner; /* platform and accounting */
	uint64_t first;
	uint64_t last;
	bool bottom_up;
	_Alignas(64) struct spinlock lock; /* all below */
	uint32_t height;
	struct tree_node *root;
	struct tree_chunk *chunks;
	uint64_t nr_free; /* nodes out of use */
	uint64_t nr_runs; /* handed out */
	uint64_t visits;  /* allocations and frees, ever */
};

/**
 * iog_iova_tree_init() - everything free but the reserved ranges.
 * @tree: zeroed.
 * @owner: its platform, aperture, flags and accounting.
 * @config: the reserved ranges.
 *
 * Return: 0; -IOG_ENOMEM with nothing left behind.
 */
int iog_iova_tree_init(struct iova_tree *tree, struct iog_iova *owner, const struct iog_iova_config *config);

/**
 * iog_iova_tree_fini() - free the nodes.
 * @tree: the tree.
 */
void iog_iova_tree_fini(struct iova_tree *tree);

/**
 * iog_iova_tree_alloc() - a run.
 * @tree: the tree.
 * @n: granules, not 0.
 * @align: a power of two, at most the allocator's align_max. The run is aligned to its size rounded up to a power of two at least.
 * @lowest: the first granule that it may contain.
 * @limit: the last granule that it may contain.
 * @at: result.
 *
 * Context: any lane; may take memory from the platform, with no lock held.
 * Return: 0; -IOG_ENOSPC; -IOG_ENOMEM.
 */
int iog_iova_tree_alloc(struct iova_tree *tree, uint64_t n, uint64_t align, uint64_t lowest, uint64_t limit, uint64_t *at);

/**
 * iog_iova_tree_free() - give a run back.
 * @tree: the tree.
 * @at: its first granule.
 * @n: its granules.
 *
 * Return: 0; -IOG_EINVAL if no such run is handed out, with nothing changed.
 */
int iog_iova_tree_free(struct iova_tree *tree, uint64_t at, uint64_t n);

/**
 * iog_iova_tree_holds() - whether exactly this run is handed out.
 * @tree: the tree.
 * @at: its first granule.
 * @n: its granules.
 */
bool iog_iova_tree_holds(struct iova_tree *tree, uint64_t at, uint64_t n);

/**
 * iog_iova_tree_mark() - note that a run which is handed out lies in a cache, or that it does not any more.
 * @tree: the tree.
 * @at: its first granule.
 * @n: its granules.
 * @cached: what is to be noted.
 *
 * Return: 0; -IOG_EINVAL if no such run is handed out, or that was noted before.
 */
int iog_iova_tree_mark(struct iova_tree *tree, uint64_t at, uint64_t n, bool cached);

/**
 * iog_iova_tree_is_valid() - order, balance, gaps.
 * @tree: the tree; no other call running.
 */
bool iog_iova_tree_is_valid(struct iova_tree *tree);

#endif

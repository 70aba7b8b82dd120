/* SPDX-License-Identifier: MIT */
/*
 * The scheme "tree": nothing else than the tree. Every allocation and every free takes its lock; nothing is kept in stock.
 */
#include "tree.h"

struct iova_tree_scheme {
	struct iog_iova iova;
	struct iova_tree tree;
};

static struct iova_tree *tree_of(struct iog_iova *iova)
{
	return &((struct iova_tree_scheme *)iova)->tree;
}

static int tree_create(struct iog_iova *iova, const struct iog_iova_config *config)
{
	return iog_iova_tree_init(tree_of(iova), iova, config);
}

static void tree_destroy(struct iog_iova *iova)
{
	iog_iova_tree_fini(tree_of(iova));
}

static int tree_alloc(struct iog_iova *iova, iog_lane_t lane, uint64_t n, uint64_t align, uint64_t limit, const struct iog_iova_flush *flush, uint64_t *at)
{
	int error = iog_iova_tree_alloc(tree_of(iova), n, align, iova->first, limit, at);

	(void)flush;
	if (!error)
		stat_add(&iova->stats[lane].slow_allocs, 1);
	return error;
}

static int tree_free(struct iog_iova *iova, iog_lane_t lane, uint64_t at, uint64_t n, bool clean)
{
	(void)lane;
	(void)clean;
	return iog_iova_tree_free(tree_of(iova), at, n);
}

static bool tree_is_valid(struct iog_iova *iova)
{
	return iog_iova_tree_is_valid(tree_of(iova));
}

const struct iog_iova_ops iog_iova_tree = {
	.name = "tree",
	.flags = IOG_IOVA_BOTTOM_UP,
	.object_size = sizeof(struct iova_tree_scheme),
	.create = tree_create,
	.destroy = tree_destroy,
	.alloc = tree_alloc,
	.free = tree_free,
	.is_valid = tree_is_valid,
};

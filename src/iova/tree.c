/* SPDX-License-Identifier: MIT */
/*
 * The tree of what is handed out: a B+ tree of runs, ordered by address. A run is kept together with the gap below it; an entry of zero granules behind the end of the aperture, never
 * freed, owns the topmost gap. The layout of nodes is in tree_node.h.
 *
 * The *fit* of a gap is the length of the longest run that it can take. It decides, for every run, whether the gap has a place for it: runs begin at multiples of
 * their size rounded up to a power of two (at most align_max), and where such a run has a place, each shorter one has the same place. So one number answers what neither the
 * size of the gap (it may hold no aligned place) nor its largest aligned block does (a run of 3 wants an alignment of 4 and only 3 granules).
 *
 * Cost: with F = FANOUT and n runs the tree is no higher than log(n) to the base FILL, whatever the history, as every node but the root is filled to FILL at least. An allocation walks
 * down once to the bound that it starts from (limit or lowest), looks at the gap that straddles it, and else goes up and down once more to the next gap whose fit suffices: no gap is looked
 * at in vain, but for the one at the other bound, which ends the search. A free walks down once, and once more to the next leaf when the run was the last of its leaf. Both change at most
 * two paths. Worst case: O(F log n). The exception is an alignment beyond that of the size: it is had by looking for a place for a longer run, so that a place may be missed where less
 * than half of an aligned block is free; the time is the same.
 *
 * Locking: everything is under tree->lock. Chunks of nodes are taken from the platform, and given back, without it.
 */
#include "tree.h"
#include "tree_node.h"

/* 2 * FILL^26 runs are more than there are granules. */
#define HEIGHT_MAX 27

/* A way down: at[d] is the index taken in node[d]; the last node is a leaf. */
struct cursor {
	struct tree_node *node[HEIGHT_MAX];
	uint32_t at[HEIGHT_MAX];
};

/* ---- gaps ---- */

/* The fit of the gap [from, to), see above. */
static uint64_t gap_fit(const struct iova_tree *tree, uint64_t from, uint64_t to)
{
	uint64_t most = tree->owner->align_max, middle = (from + most - 1) & ~(most - 1), order, below, above;

	if (from >= to)
		return 0;
	if (middle < to && to - middle >= most)
		return to - middle;
	/*
	 * The multiple of the highest power of two in the gap. Runs begin there, or in whole blocks below: a place further up has less room than this one, and a
	 * block that is not whole ends at it.
	 */
	order = bits_highest((from - 1) ^ (to - 1));
	middle = (to - 1) >> order << order;
	above = to - middle;
	below = middle - from;
	if (below > above)
		below = UINT64_C(1) << (bits_highest(below));
	return below > above ? below : above;
}

/* Where in [from, to) a run goes. */
static bool gap_place(const struct iova_tree *tree, uint64_t from, uint64_t to, uint64_t n, uint64_t align, uint64_t *at)
{
	if (to < from || to - from < n)
		return false;
	*at = tree->bottom_up ? (from + align - 1) & ~(align - 1) : (to - n) & ~(align - 1);
	return *at >= from && *at + n <= to;
}

/* ---- ways ---- */

/* The entry that holds granule @key in its run or in the gap below. */
static void seek(const struct iova_tree *tree, struct cursor *way, uint64_t key)
{
	struct tree_node *node = tree->root;

	for (uint32_t d = 0;; d++) {
		uint32_t i = 0;

		for (uint32_t j = 0; j + 1 < node->nr; j++)
			i += node->end[j] <= key;
		way->node[d] = node;
		way->at[d] = i;
		if (d + 1 == tree->height)
			return;
		node = child_at(node, i);
	}
}

/* The nearest entry below, or above, whose gap has a fit of @fit. */
static bool seek_below(const struct iova_tree *tree, struct cursor *way, uint64_t fit)
{
	for (uint32_t d = tree->height; d-- > 0;) {
		const struct tree_node *node = way->node[d];
		uint32_t i = way->at[d];

		while (i > 0 && node->fit[i - 1] < fit)
			i--;
		if (!i)
			continue;
		way->at[d] = --i;
		while (++d < tree->height) {
			way->node[d] = child_at(way->node[d - 1], i);
			i = way->node[d]->nr - 1;
			while (way->node[d]->fit[i] < fit)
				i--;
			way->at[d] = i;
		}
		return true;
	}
	return false;
}

static bool seek_above(const struct iova_tree *tree, struct cursor *way, uint64_t fit)
{
	for (uint32_t d = tree->height; d-- > 0;) {
		const struct tree_node *node = way->node[d];
		uint32_t i = way->at[d] + 1;

		while (i < node->nr && node->fit[i] < fit)
			i++;
		if (i == node->nr)
			continue;
		way->at[d] = i;
		while (++d < tree->height) {
			way->node[d] = child_at(way->node[d - 1], i);
			i = 0;
			while (way->node[d]->fit[i] < fit)
				i++;
			way->at[d] = i;
		}
		return true;
	}
	return false;
}

static struct tree_node *way_leaf(const struct iova_tree *tree, const struct cursor *way, uint32_t *i)
{
	*i = way->at[tree->height - 1];
	return way->node[tree->height - 1];
}

/* Where the gap of the entry begins: at the end of the entry before it. */
static uint64_t way_floor(const struct iova_tree *tree, const struct cursor *way)
{
	for (uint32_t d = tree->height; d-- > 0;)
		if (way->at[d])
			return way->node[d]->end[way->at[d] - 1];
	return tree->first;
}

static uint64_t way_start(const struct iova_tree *tree, const struct cursor *way)
{
	uint32_t i;
	const struct tree_node *leaf = way_leaf(tree, way, &i);

	return leaf->ref[i] & ~MARKS;
}

/* ---- changes ---- */

/* In the leaf, fits up to @gone have made place for fits up to @come. Nodes are only read through where the largest may have gone. */
static void refresh(struct iova_tree *tree, struct cursor *way, uint64_t gone, uint64_t come)
{
	for (uint32_t d = tree->height - 1; d > 0; d--) {
		uint64_t *above = &way->node[d - 1]->fit[way->at[d - 1]], before = *above;

		if (come < before) {
			if (gone < before)
				return;
			come = node_fit(way->node[d]);
		}
		if (come == before)
			return;
		*above = come;
		gone = before;
	}
}

static uint64_t greater(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Nodes that make_room() would take. */
static uint32_t room_wanted(const struct iova_tree *tree, const struct cursor *way)
{
	uint32_t full = 0;

	while (full < tree->height && way->node[tree->height - 1 - full]->nr == FANOUT)
		full++;
	return full == tree->height ? full + 1 : full;
}

/* Split what is full from the leaf upwards, so that the leaf has room for one more. */
static void make_room(struct iova_tree *tree, struct cursor *way)
{
	uint32_t d = tree->height;

	while (d > 0 && way->node[d - 1]->nr == FANOUT)
		d--;
	if (!d) {
		struct tree_node *root = node_take(tree);

		root->nr = 1;
		root->ref[0] = (uintptr_t)tree->root;
		summarize(root, 0);
		for (uint32_t height = tree->height; height; height--) {
			way->node[height] = way->node[height - 1];
			way->at[height] = way->at[height - 1];
		}
		way->node[0] = root;
		way->at[0] = 0;
		tree->root = root;
		tree->height++;
		d = 1;
	}
	for (; d < tree->height; d++) {
		struct tree_node *above = way->node[d - 1], *left = way->node[d], *right = node_take(tree);
		uint32_t at = way->at[d - 1], keep = FANOUT / 2;

		/* Runs that come in order leave full nodes behind. */
		if (way->at[d] < FANOUT / 4)
			keep = FILL;
		else if (way->at[d] >= FANOUT - FANOUT / 4)
			keep = FANOUT - FILL;
		right->nr = FANOUT - keep;
		move_entries(right, 0, left, keep, right->nr);
		left->nr = keep;
		open_slot(above, at);
		above->ref[at + 1] = (uintptr_t)right;
		summarize(above, at + 1);
		above->ref[at] = (uintptr_t)left;
		summarize(above, at);
		if (way->at[d] >= keep) {
			way->at[d] -= keep;
			way->node[d] = right;
			way->at[d - 1]++;
		}
	}
}

/* A run into the gap of the entry; the nodes for it are there. */
static void insert(struct iova_tree *tree, struct cursor *way, uint64_t at, uint64_t n, uint64_t marks)
{
	uint64_t floor = way_floor(tree, way), gone;
	struct tree_node *leaf;
	uint32_t i;

	make_room(tree, way);
	leaf = way_leaf(tree, way, &i);
	gone = leaf->fit[i];
	open_slot(leaf, i);
	leaf->ref[i] = at | marks;
	leaf->end[i] = at + n;
	leaf->fit[i] = gap_fit(tree, floor, at);
	leaf->fit[i + 1] = gap_fit(tree, at + n, leaf->ref[i + 1] & ~MARKS);
	refresh(tree, way, gone, greater(leaf->fit[i], leaf->fit[i + 1]));
	tree->nr_runs++;
}

/* A chunk that can go, if any, onto the list of those. */
static void put(struct iova_tree *tree, struct tree_node *node, struct tree_chunk **unused)
{
	struct tree_chunk *chunk = node_put(tree, node);

	if (!chunk)
		return;
	chunk->next = *unused;
	*unused = chunk;
}

static void rebalance(struct iova_tree *tree, struct cursor *way, struct tree_chunk **unused)
{
	for (uint32_t d = tree->height - 1; d > 0 && way->node[d]->nr < FILL; d--) {
		struct tree_node *spare = join(way->node[d - 1], way->at[d - 1] ? way->at[d - 1] - 1 : 0);

		if (!spare)
			break;
		put(tree, spare, unused);
	}
	while (tree->height > 1 && tree->root->nr == 1) {
		struct tree_node *root = tree->root;

		tree->root = child_at(root, 0);
		tree->height--;
		put(tree, root, unused);
	}
}

/* Take out the run of the entry; what is free on both sides of it becomes one gap, that of the next entry. */
static void take_out(struct iova_tree *tree, struct cursor *way, struct tree_chunk **unused)
{
	uint64_t floor = way_floor(tree, way), gone, come = 0;
	struct tree_node *leaf;
	uint32_t i;

	leaf = way_leaf(tree, way, &i);
	gone = leaf->fit[i];
	close_slot(leaf, i);
	if (i < leaf->nr) {
		/* Not less than both of what it comes from. */
		come = gap_fit(tree, floor, leaf->ref[i] & ~MARKS);
		leaf->fit[i] = come;
	} else {
		/* The next entry is the first of another leaf. There is one: the last of all entries is never taken out. */
		struct cursor next = *way;
		uint32_t d = tree->height - 1, up = d;

		/* This one's end is lower now, wherever it is said. */
		do {
			d--;
			way->node[d]->end[way->at[d]] = leaf->end[leaf->nr - 1];
		} while (way->at[d] + 1 == way->node[d]->nr);
		next.at[d]++;
		for (; d < up; d++) {
			next.node[d + 1] = child_at(next.node[d], next.at[d]);
			next.at[d + 1] = 0;
		}
		next.node[up]->fit[0] = gap_fit(tree, floor, next.node[up]->ref[0] & ~MARKS);
		refresh(tree, &next, 0, next.node[up]->fit[0]);
	}
	refresh(tree, way, gone, come);
	rebalance(tree, way, unused);
	tree->nr_runs--;
}

static void chunks_free(struct iova_tree *tree, struct tree_chunk *chunk)
{
	while (chunk) {
		struct tree_chunk *next = chunk->next;

		iog_iova_object_free(tree->owner, chunk, sizeof(*chunk));
		chunk = next;
	}
}

/* ---- calls ---- */

/* Without the lock. */
static int grow(struct iova_tree *tree)
{
	struct tree_chunk *chunk = iog_iova_object_alloc(tree->owner, sizeof(*chunk));
	uintptr_t flags;

	if (!chunk)
		return -IOG_ENOMEM;
	flags = spin_lock(&tree->lock, tree->owner->platform);
	chunk_add(tree, chunk);
	spin_unlock(&tree->lock, tree->owner->platform, flags);
	return 0;
}

/* Whatever of [first, last] is free is handed out for ever. Nobody else knows the tree yet. */
static int reserve(struct iova_tree *tree, uint64_t first, uint64_t last)
{
	while (first <= last) {
		uint64_t start, stop = last + 1;
		struct cursor way;
		uint32_t i;

		seek(tree, &way, first);
		start = way_start(tree, &way);
		if (start <= first) {
			first = way_leaf(tree, &way, &i)->end[way.at[tree->height - 1]];
			continue;
		}
		while (tree->nr_free < room_wanted(tree, &way)) {
			int error = grow(tree);

			if (error)
				return error;
		}
		stop = stop < start ? stop : start;
		insert(tree, &way, first, stop - first, RESERVED);
		first = stop;
	}
	return 0;
}

int iog_iova_tree_init(struct iova_tree *tree, struct iog_iova *owner, const struct iog_iova_config *config)
{
	struct tree_node *root;
	int error;

	tree->owner = owner;
	tree->first = owner->first;
	tree->last = owner->last;
	tree->bottom_up = owner->flags & IOG_IOVA_BOTTOM_UP;
	atomic_store_explicit(&tree->lock.taken, 0, memory_order_relaxed);
	error = grow(tree);
	if (error)
		return error;
	root = node_take(tree);
	root->nr = 1;
	root->ref[0] = (tree->last + 1) | RESERVED;
	root->end[0] = tree->last + 1;
	root->fit[0] = gap_fit(tree, tree->first, tree->last + 1);
	tree->root = root;
	tree->height = 1;

	for (uint32_t i = 0; i < config->nr_reserved && !error; i++) {
		uint64_t first = config->reserved[i].first >> owner->granule_shift, last = config->reserved[i].last >> owner->granule_shift;

		if (first < tree->first)
			first = tree->first;
		if (last > tree->last)
			last = tree->last;
		error = reserve(tree, first, last);
	}
	tree->nr_runs = 0;
	if (error)
		iog_iova_tree_fini(tree);
	return error;
}

void iog_iova_tree_fini(struct iova_tree *tree)
{
	if (!tree->chunks)
		return;
	tree->chunks->previous->next = NULL;
	chunks_free(tree, tree->chunks);
	tree->chunks = NULL;
	tree->root = NULL;
}

/* The entry into whose gap a run goes, and where. Top-down the search begins at @limit, bottom-up at @lowest. */
static bool find_place(const struct iova_tree *tree, struct cursor *way, uint64_t n, uint64_t align, uint64_t lowest, uint64_t limit, uint64_t *at)
{
	uint64_t fit = n > align / 2 ? n : align / 2 + 1;

	seek(tree, way, tree->bottom_up ? lowest : limit);
	for (int attempt = 0; attempt < 2; attempt++) {
		uint64_t from = way_floor(tree, way), to = way_start(tree, way);

		if (from < lowest)
			from = lowest;
		if (to > limit + 1)
			to = limit + 1;
		if (gap_place(tree, from, to, n, align, at))
			return true;
		if (attempt || !(tree->bottom_up ? seek_above(tree, way, fit) : seek_below(tree, way, fit)))
			return false;
	}
	return false;
}

int iog_iova_tree_alloc(struct iova_tree *tree, uint64_t n, uint64_t align, uint64_t lowest, uint64_t limit, uint64_t *at)
{
	const struct iog_platform *platform = tree->owner->platform;
	uint64_t natural = run_align(n, tree->owner->align_max);

	if (align < natural)
		align = natural;
	if (lowest < tree->first)
		lowest = tree->first;
	if (limit > tree->last)
		limit = tree->last;
	if (lowest > limit || n > limit - lowest + 1)
		return -IOG_ENOSPC;
	for (;;) {
		uintptr_t flags = spin_lock(&tree->lock, platform);
		struct cursor way;
		bool found, room;
		int error;

		tree->visits++;
		found = find_place(tree, &way, n, align, lowest, limit, at);
		room = found && tree->nr_free >= room_wanted(tree, &way);
		if (room)
			insert(tree, &way, *at, n, 0);
		spin_unlock(&tree->lock, platform, flags);
		if (room)
			return 0;
		error = found ? grow(tree) : -IOG_ENOSPC;
		if (error)
			return error;
	}
}

/* The entry of exactly this run. */
static bool find_run(const struct iova_tree *tree, struct cursor *way, uint64_t at, uint64_t n)
{
	const struct tree_node *leaf;
	uint32_t i;

	if (at < tree->first || at > tree->last || !n || n > tree->last - at + 1)
		return false;
	seek(tree, way, at);
	leaf = way_leaf(tree, way, &i);
	return (leaf->ref[i] & ~CACHED) == at && leaf->end[i] == at + n;
}

int iog_iova_tree_free(struct iova_tree *tree, uint64_t at, uint64_t n)
{
	const struct iog_platform *platform = tree->owner->platform;
	struct tree_chunk *unused = NULL;
	struct cursor way;
	uintptr_t flags;
	bool found;

	flags = spin_lock(&tree->lock, platform);
	tree->visits++;
	found = find_run(tree, &way, at, n);
	if (found)
		take_out(tree, &way, &unused);
	spin_unlock(&tree->lock, platform, flags);
	chunks_free(tree, unused);
	return found ? 0 : -IOG_EINVAL;
}

bool iog_iova_tree_holds(struct iova_tree *tree, uint64_t at, uint64_t n)
{
	const struct iog_platform *platform = tree->owner->platform;
	uintptr_t flags = spin_lock(&tree->lock, platform);
	struct cursor way;
	bool found = find_run(tree, &way, at, n);

	spin_unlock(&tree->lock, platform, flags);
	return found;
}

int iog_iova_tree_mark(struct iova_tree *tree, uint64_t at, uint64_t n, bool cached)
{
	const struct iog_platform *platform = tree->owner->platform;
	uintptr_t flags = spin_lock(&tree->lock, platform);
	bool changed = false;
	struct cursor way;

	if (find_run(tree, &way, at, n)) {
		uint32_t i;
		uint64_t *ref = &way_leaf(tree, &way, &i)->ref[way.at[tree->height - 1]];

		changed = !(*ref & CACHED) == cached;
		if (changed)
			*ref ^= CACHED;
	}
	spin_unlock(&tree->lock, platform, flags);
	return changed ? 0 : -IOG_EINVAL;
}

/* What a walk over the whole tree has seen so far. */
struct survey {
	const struct iova_tree *tree;
	uint64_t floor;
	uint64_t nr_nodes;
	uint64_t nr_runs;
};

/* As deep as the tree is high. */
static bool node_is_valid(struct survey *survey, const struct tree_node *node, uint32_t depth)
{
	const struct iova_tree *tree = survey->tree;

	survey->nr_nodes++;
	if (node->nr > FANOUT || node->nr < (depth ? FILL : tree->height > 1 ? 2 : 1))
		return false;
	for (uint32_t i = 0; i < node->nr; i++) {
		uint64_t start = node->ref[i] & ~MARKS;

		if (depth + 1 < tree->height) {
			const struct tree_node *child = child_at(node, i);

			if (!node_is_valid(survey, child, depth + 1) || node->end[i] != child->end[child->nr - 1] || node->fit[i] != node_fit(child))
				return false;
			continue;
		}
		if (start < survey->floor || node->end[i] < start || node->fit[i] != gap_fit(tree, survey->floor, start))
			return false;
		if (node->end[i] == start && start != tree->last + 1)
			return false;
		survey->floor = node->end[i];
		survey->nr_runs += !(node->ref[i] & RESERVED);
	}
	return true;
}

bool iog_iova_tree_is_valid(struct iova_tree *tree)
{
	struct survey survey = { .tree = tree, .floor = tree->first };
	const struct tree_chunk *chunk = tree->chunks;
	uint64_t nr_free = 0, nr_nodes = 0;
	bool full = false;

	if (!node_is_valid(&survey, tree->root, 0) || survey.floor != tree->last + 1 || survey.nr_runs != tree->nr_runs)
		return false;
	do {
		if (chunk->nr_free > CHUNK_NODES || (full && chunk->nr_free))
			return false;
		full = !chunk->nr_free;
		nr_free += chunk->nr_free;
		nr_nodes += CHUNK_NODES;
		chunk = chunk->next;
	} while (chunk != tree->chunks);
	return nr_free == tree->nr_free && nr_nodes - nr_free == survey.nr_nodes;
}

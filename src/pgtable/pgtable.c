/* SPDX-License-Identifier: MIT */
/*
 * Page tables, the public calls. Those that have to be fast go straight to the template (template/calls.h), which checks their arguments with the format's constants.
 */
#include "pgtable.h"

#include "memory.h"
#include "reader.h"

int iog_pgtable_map_pages(struct iog_pgtable *pt, iog_iova_t iova, iog_paddr_t paddr, uint64_t pgsize, uint64_t pgcount, uint32_t prot,
			  struct iog_gather *gather, uint64_t *mapped)
{
	return pt->ops->map_pages(pt, iova, paddr, pgsize, pgcount, prot, gather, mapped);
}

int iog_pgtable_unmap_pages(struct iog_pgtable *pt, iog_iova_t iova, uint64_t pgsize, uint64_t pgcount, struct iog_gather *gather,
			    uint64_t *unmapped)
{
	return pt->ops->unmap_pages(pt, iova, pgsize, pgcount, gather, unmapped);
}

int iog_pgtable_map(struct iog_pgtable *pt, iog_iova_t iova, iog_paddr_t paddr, uint64_t size, uint32_t prot, struct iog_gather *gather)
{
	return pt->ops->map(pt, iova, paddr, size, prot, gather);
}

int iog_pgtable_unmap(struct iog_pgtable *pt, iog_iova_t iova, uint64_t size, struct iog_gather *gather, uint64_t *unmapped)
{
	return pt->ops->unmap(pt, iova, size, gather, unmapped);
}

int iog_pgtable_protect(struct iog_pgtable *pt, iog_iova_t iova, uint64_t size, uint32_t prot, uint32_t flags, struct iog_gather *gather,
			uint64_t *changed)
{
	return pt->ops->protect(pt, iova, size, prot, flags, gather, changed);
}

int iog_pgtable_split(struct iog_pgtable *pt, iog_iova_t iova, uint64_t size, uint64_t page_size, uint32_t flags, struct iog_gather *gather)
{
	return pt->ops->split(pt, iova, size, page_size, flags, gather);
}

int iog_pgtable_merge(struct iog_pgtable *pt, iog_iova_t iova, uint64_t size, uint32_t flags, struct iog_gather *gather, uint64_t *tables)
{
	return pt->ops->merge(pt, iova, size, flags, gather, tables);
}

int iog_pgtable_read_dirty(struct iog_pgtable *pt, iog_iova_t iova, uint64_t size, uint64_t page_size, uint64_t *bitmap, uint32_t flags,
			   struct iog_gather *gather)
{
	return pt->ops->read_dirty(pt, iova, size, page_size, bitmap, flags, gather);
}

int iog_pgtable_track_dirty(struct iog_pgtable *pt, bool on, struct iog_gather *gather)
{
	int64_t pinned = 0;

	if (!gather || gather->pgtable != pt)
		return -IOG_EINVAL;
	for (uint32_t l = 0; l < pt->mem->lanes; l++)
		pinned += atomic_load_explicit(&pt->lanes[l].pinned, memory_order_relaxed);
	if (on && pinned)
		return -IOG_EBUSY;
	if (on != pt->tracking)
		pt->ops->track_dirty(pt, on, gather);
	return 0;
}

int iog_pgtable_lookup(struct iog_pgtable *pt, iog_lane_t lane, iog_iova_t iova, struct iog_leaf *leaf)
{
	return pt->ops->lookup(pt, lane, iova, leaf);
}

/* The part of @range in [low, high], if any. */
static int visit_part(struct iog_pgtable *pt, struct pt_lane *lane, struct iog_range range, uint64_t low, uint64_t high, iog_visit_fn *visit, void *ctx)
{
	if (range.first > high || range.last < low)
		return 0;
	if (range.first < low)
		range.first = low;
	if (range.last > high)
		range.last = high;
	return pt->ops->visit(pt, lane, range.first & pt_last(pt), range.last & pt_last(pt), visit, ctx);
}

static int visit_range(struct iog_pgtable *pt, struct pt_lane *lane, iog_iova_t first, iog_iova_t last, iog_visit_fn *visit, void *ctx)
{
	struct iog_range range = { first, last };
	int result;

	if (pt->flags & IOG_PGTABLE_SIGN_EXTENDED) {
		uint64_t high = ~(pt->last >> 1);

		result = visit_part(pt, lane, range, 0, ~high, visit, ctx);
		if (!result)
			result = visit_part(pt, lane, range, high, UINT64_MAX, visit, ctx);
	} else {
		result = visit_part(pt, lane, range, 0, pt_last(pt), visit, ctx);
	}
	return result;
}

int iog_pgtable_visit(struct iog_pgtable *pt, iog_lane_t lane, iog_iova_t first, iog_iova_t last, iog_visit_fn *visit, void *ctx)
{
	int result;

	if (lane >= pt->mem->lanes || last < first || !visit)
		return -IOG_EINVAL;

	lane_enter(pt->mem, pt->lanes[lane].mem);
	result = visit_range(pt, &pt->lanes[lane], first, last, visit, ctx);
	lane_exit(pt->lanes[lane].mem);
	return result;
}

void iog_pgtable_reader_init(struct iog_pgtable_reader *reader, struct iog_pgtable *pt)
{
	memset(reader, 0, sizeof(*reader));
	reader->pt = pt;
}

void iog_pgtable_reader_enter(struct iog_pgtable_reader *reader)
{
	/* What was found before may have gone. */
	reader->lane.path_first[0] = reader->lane.path_first[1] = PATH_NONE;
	/* Counted before anything is read; pairs with the fence in lanes_passed() in tablemem.c. */
	atomic_fetch_add_explicit(&reader->pt->mem->readers, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
}

void iog_pgtable_reader_exit(struct iog_pgtable_reader *reader)
{
	/* Release: all that was read; pairs with the acquire in lanes_passed(). */
	atomic_fetch_sub_explicit(&reader->pt->mem->readers, 1, memory_order_release);
}

int iog_pgtable_reader_visit(struct iog_pgtable_reader *reader, iog_iova_t first, iog_iova_t last, iog_visit_fn *visit, void *ctx)
{
	return visit_range(reader->pt, &reader->lane, first, last, visit, ctx);
}

int iog_pgtable_trim(struct iog_pgtable *pt, struct iog_gather *gather, uint64_t *tables)
{
	uint64_t done = 0;
	int error;

	if (tables)
		*tables = 0;
	if (!gather || gather->pgtable != pt)
		return -IOG_EINVAL;

	lane_enter(pt->mem, pt->lanes[gather->lane].mem);
	error = pt->ops->trim(pt, gather, &done);
	lane_exit(pt->lanes[gather->lane].mem);
	if (tables)
		*tables = done;
	return error;
}

void iog_pgtable_release(struct iog_pgtable *pt, struct iog_gather *gather)
{
	lane_enter(pt->mem, pt->lanes[gather->lane].mem);
	pt->ops->release(pt, gather);
	lane_exit(pt->lanes[gather->lane].mem);
}

void *iog_pgtable_lane(struct iog_pgtable *pt, iog_lane_t lane)
{
	return lane < pt->mem->lanes ? &pt->lanes[lane] : NULL;
}

void iog_pgtable_publish(const struct iog_pgtable *pt)
{
	if (pt->platform->dma_wmb)
		pt->platform->dma_wmb(pt->platform->ctx);
}

void iog_pgtable_root(const struct iog_pgtable *pt, struct iog_pgtable_root *root)
{
	uint64_t last = pt_last(pt);
	uint32_t top;

	root->paddr = (uint64_t)(uintptr_t)pt_root(pt, &top) - pt->offset;
	root->format = pt->ops->format;
	root->levels = top + 1;
	root->ias = highest_bit(last) + 1;
	root->oas = pt->oas;
	root->flags = pt->flags;
	root->pgtable = (struct iog_pgtable *)(uintptr_t)pt;
}

static size_t root_bytes(const struct iog_pgtable *pt)
{
	uint32_t bits = pt->ias - pt->ops->granule_shift - pt->ops->level_bits * pt->top;

	return (size_t)1 << pt->mem->table_shift << (bits > pt->ops->level_bits ? bits - pt->ops->level_bits : 0);
}

void iog_pgtable_stats(const struct iog_pgtable *pt, struct iog_pgtable_stats *stats)
{
	int64_t tables[IOG_LEVELS_MAX] = { 0 };

	memset(stats, 0, sizeof(*stats));
	for (uint32_t level = pt->top; level <= pt_top(pt); level++)
		tables[level] = 1;
	for (uint32_t l = 0; l < pt->mem->lanes; l++) {
		const struct pt_lane *lane = &pt->lanes[l];

		for (uint32_t level = 0; level < IOG_LEVELS_MAX; level++)
			tables[level] += atomic_load_explicit(&lane->tables[level], memory_order_relaxed);
		stats->unlinked += atomic_load_explicit(&lane->unlinked, memory_order_relaxed);
		stats->revived += atomic_load_explicit(&lane->revived, memory_order_relaxed);
		stats->released += atomic_load_explicit(&lane->released, memory_order_relaxed);
	}
	for (uint32_t level = 0; level < IOG_LEVELS_MAX; level++) {
		stats->tables[level] = (uint64_t)tables[level];
		stats->table_bytes += (uint64_t)tables[level] << pt->mem->table_shift;
	}
	/* A wide root. */
	stats->table_bytes += root_bytes(pt) - ((size_t)1 << pt->mem->table_shift);
}

void iog_format_describe(const struct iog_pgtable_ops *ops, struct iog_format *format)
{
	format->name = ops->format;
	format->page_sizes = ops->page_sizes;
	format->ias_allowed = ops->ias_allowed;
	format->oas_max = ops->oas_max;
	format->table_size = 1u << ops->granule_shift;
}

static bool ias_allowed(const struct iog_pgtable_ops *ops, uint32_t ias)
{
	return ias && ias <= 64 && ops->ias_allowed >> (ias & 63) & 1;
}

/* With a root as wide as it may be, if that saves a level. */
static uint32_t root_level(const struct iog_pgtable_ops *ops, uint32_t ias)
{
	uint32_t bits = ias - ops->granule_shift;
	uint32_t levels = bits <= ops->root_bits ? 1 : (bits - ops->root_bits + ops->level_bits - 1) / ops->level_bits;

	return (levels < ops->levels_min ? ops->levels_min : levels) - 1;
}

int iog_pgtable_grow(struct iog_pgtable *pt, uint32_t ias)
{
	uint32_t top = pt_top(pt), wanted;

	if (!pt->ops->raise)
		return -IOG_EOPNOTSUPP;
	if (!ias_allowed(pt->ops, ias) || UINT64_MAX >> (64 - ias) < pt_last(pt))
		return -IOG_ERANGE;

	wanted = root_level(pt->ops, ias);
	for (uint32_t level = top + 1; level <= wanted; level++) {
		if (!pt->grown[level].entries)
			pt->grown[level].entries = iog_root_alloc(pt->mem, (size_t)1 << pt->mem->table_shift);
		if (!pt->grown[level].entries)
			return -IOG_ENOMEM;
	}
	while (top < wanted) {
		struct iog_table *root = &pt->grown[++top];

		root->level = top;
		atomic_store_explicit(&root->owner, pt, memory_order_relaxed);
		/* The former root, and one that nobody takes away. */
		atomic_store_explicit(&root->word, WORD_LIVE | 2, memory_order_relaxed);
		atomic_store_explicit(&pt->grown_entries[top], root->entries, memory_order_relaxed);
		pt->ops->raise(pt, root);
		pt_clean(pt, (const void *)root->entries, (size_t)1 << pt->mem->table_shift);
		/* Release: pairs with pt_root(). */
		atomic_store_explicit(&pt->root_and_top, (uintptr_t)root->entries | top, memory_order_release);
	}
	/* Release: pairs with pt_last(). */
	atomic_store_explicit(&pt->last_now, UINT64_MAX >> (64 - ias), memory_order_release);
	return 0;
}

bool iog_pgtable_is_valid(struct iog_pgtable *pt)
{
	return pt->ops->is_valid(pt);
}

/* ---- create and destroy ---- */

/* Fill in what the configuration says, or its defaults. */
static int configure(struct iog_pgtable *pt, const struct iog_pgtable_config *config)
{
	const struct iog_pgtable_ops *ops = config->ops;
	const uint32_t known = IOG_PGTABLE_SINGLE_WRITER | IOG_PGTABLE_SIGN_EXTENDED | IOG_PGTABLE_NONCOHERENT | IOG_PGTABLE_FLUSH_ON_MAP |
			       IOG_PGTABLE_SPLIT | IOG_PGTABLE_BBM2 | IOG_PGTABLE_NO_SNOOP_CONTROL;
	uint32_t top_bits, batch = ops->reclaim == IOG_RECLAIM_RWLOCK ? 1 : TRIM_BATCH_DEFAULT;

	pt->ops = ops;
	pt->mem = config->tablemem;
	pt->platform = pt->mem->platform;
	pt->offset = pt->platform->direct_map_offset;
	pt->flags = config->flags;
	for (pt->ias = config->ias ? config->ias : 48; !config->ias && !ias_allowed(ops, pt->ias); pt->ias++)
		;
	pt->oas = config->oas ? config->oas : ops->oas_max;
	pt->page_sizes = config->page_sizes ? config->page_sizes : ops->page_sizes;
	pt->trim_batch = config->trim_batch ? config->trim_batch : batch;
	pt->noncoherent = config->flags & IOG_PGTABLE_NONCOHERENT;
	pt->no_snoop_control = config->flags & IOG_PGTABLE_NO_SNOOP_CONTROL;
	pt->alone = pt->mem->lanes == 1;

	if (config->flags & ~known || pt->trim_batch > IOG_GATHER_TABLES || pt->mem->table_shift != ops->granule_shift)
		return -IOG_EINVAL;
	if (ops->reclaim != IOG_RECLAIM_NONE && !(config->flags & IOG_PGTABLE_SINGLE_WRITER) != !ops->single_writer)
		return -IOG_EINVAL;
	if (config->flags & IOG_PGTABLE_SIGN_EXTENDED && !ops->sign_extends)
		return -IOG_EINVAL;
	if (pt->noncoherent && !pt->platform->cache_clean)
		return -IOG_EINVAL;
	if (!ias_allowed(ops, pt->ias) || pt->oas < 32 || pt->oas > ops->oas_max)
		return -IOG_ERANGE;
	if (pt->page_sizes & ~ops->page_sizes || !(pt->page_sizes & UINT64_C(1) << ops->granule_shift))
		return -IOG_ERANGE;

	pt->granule = UINT64_C(1) << ops->granule_shift;
	pt->paddr_last = (UINT64_C(1) << pt->oas) - 1;
	pt->last = UINT64_MAX >> (64 - pt->ias);
	pt->top = root_level(ops, pt->ias);
	/* Leaves of levels that are not there. A format that grows looks each time. */
	top_bits = ops->granule_shift + ops->level_bits * (pt->top + 1);
	if (!ops->raise && top_bits < 64)
		pt->page_sizes &= (UINT64_C(1) << top_bits) - 1;
	atomic_init(&pt->last_now, pt->last);
	return 0;
}

int iog_pgtable_create(const struct iog_pgtable_config *config, struct iog_pgtable **pgtable)
{
	const struct iog_platform *platform;
	struct iog_pgtable *pt;
	size_t lanes_bytes;
	int error;

	if (!config || !config->ops || !config->tablemem || !pgtable)
		return -IOG_EINVAL;

	platform = config->tablemem->platform;
	pt = platform->object_alloc(platform->ctx, sizeof(*pt));
	if (!pt)
		return -IOG_ENOMEM;
	error = configure(pt, config);
	if (error)
		goto free_object;

	error = -IOG_ENOMEM;
	lanes_bytes = pt->mem->lanes * sizeof(*pt->lanes);
	pt->lanes = platform->object_alloc(platform->ctx, lanes_bytes);
	if (!pt->lanes)
		goto free_object;
	for (uint32_t lane = 0; lane < pt->mem->lanes; lane++) {
		pt->lanes[lane].path_first[0] = pt->lanes[lane].path_first[1] = PATH_NONE;
		pt->lanes[lane].mem = &pt->mem->lane[lane];
	}
	pt->root = iog_root_alloc(pt->mem, root_bytes(pt));
	if (!pt->root)
		goto free_lanes;
	pt_clean(pt, (const void *)pt->root, root_bytes(pt));

	atomic_init(&pt->root_and_top, (uintptr_t)pt->root | pt->top);
	pt->root_table.entries = pt->root;
	pt->root_table.level = pt->top;
	atomic_init(&pt->root_table.owner, pt);
	atomic_init(&pt->root_table.word, WORD_LIVE | 1);
	atomic_fetch_add_explicit(&pt->mem->users, 1, memory_order_relaxed);
	*pgtable = pt;
	return 0;

free_lanes:
	platform->object_free(platform->ctx, pt->lanes, lanes_bytes);
free_object:
	platform->object_free(platform->ctx, pt, sizeof(*pt));
	return error;
}

void iog_pgtable_destroy(struct iog_pgtable *pt, iog_lane_t lane)
{
	const struct iog_platform *platform;
	struct iog_tablemem *mem;

	if (!pt)
		return;

	platform = pt->platform;
	mem = pt->mem;
	lane_enter(mem, pt->lanes[lane].mem);
	pt->ops->destroy(pt, lane);
	lane_exit(pt->lanes[lane].mem);
	iog_root_free(mem, pt->root, root_bytes(pt));
	for (uint32_t level = 0; level < IOG_LEVELS_MAX; level++)
		if (pt->grown[level].entries)
			iog_root_free(mem, pt->grown[level].entries, (size_t)1 << mem->table_shift);
	platform->object_free(platform->ctx, pt->lanes, mem->lanes * sizeof(*pt->lanes));
	platform->object_free(platform->ctx, pt, sizeof(*pt));
	/* Release: nothing of this page table is touched after; pairs with the acquire in iog_tablemem_destroy(). */
	atomic_fetch_sub_explicit(&mem->users, 1, memory_order_release);
}

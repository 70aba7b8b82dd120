/* SPDX-License-Identifier: MIT */
/*
 * Bounce pages.
 *
 * A mapping of an untrusted device has a record: its run of addresses, and an edge for each partial page. A bounce page holds the buffer's bytes at the offset that
 * they have in their own page, and zeroes around them; the device sees that page where it expects the buffer's. Records are in a treap ordered by address, so that a part of a
 * mapping is found, too.
 *
 * What the device may still reach is neither copied nor reused: unmapping goes through the policy's clear(), which waits for hardware in every mode, and copies after
 * that. If the wait fails the record is *held*, pages and all, until a flush of the whole domain that began later has completed, or the domain goes.
 *
 * Locking: the lock covers treap and held list. A record in the treap is its mapping's: no two calls for one mapping run at once, so copying takes no lock.
 */
#include "../pgtable/memory.h"
#include "bounce.h"
#include "map.h"

/* Held records before a mapping of an untrusted device wants a flush first: a unit that does not answer takes no more than these with it. */
#define HELD_MAX 256

/* A bounce page, and the part of the buffer that it stands for. */
struct bounce_edge {
	iog_iova_t iova;   /* of the page */
	unsigned char *page;
	iog_paddr_t paddr; /* of the buffer's first byte in it */
	uint64_t offset;   /* of that byte in the page */
	uint64_t size;     /* bytes */
};

struct bounce_record {
	struct bounce_record *left;
	struct bounce_record *right; /* the next one in the held list */
	iog_iova_t iova;             /* of the first page */
	uint64_t size;               /* of all pages, those skipped by the layout included */
	uint64_t flush;              /* held: the flush that is needed */
	uint64_t max_edges;
	uint64_t nr_edges;
	struct bounce_edge edges[];  /* ascending */
};

struct bounce {
	struct spinlock lock;
	struct bounce_record *root;
	struct bounce_record *held;
	_Atomic uint32_t nr_held; /* changed under the lock */
};

/* ---- records by address: a treap, its priorities a hash of the address ---- */

static uint64_t priority(const struct bounce_record *record)
{
	uint64_t x = record->iova >> 12;

	x = (x ^ (x >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
	return x ^ (x >> 29);
}

static void treap_insert(struct bounce_record **link, struct bounce_record *record)
{
	struct bounce_record *tree, **below = &record->left, **above = &record->right;

	while (*link && priority(*link) > priority(record))
		link = record->iova < (*link)->iova ? &(*link)->left : &(*link)->right;
	/* What was here is split into what lies below and what lies above the new root. */
	tree = *link;
	*link = record;
	while (tree) {
		if (tree->iova < record->iova) {
			*below = tree;
			below = &tree->right;
			tree = tree->right;
		} else {
			*above = tree;
			above = &tree->left;
			tree = tree->left;
		}
	}
	*below = NULL;
	*above = NULL;
}

/* The record whose run holds @iova, or NULL. */
static struct bounce_record *treap_find(struct bounce_record *tree, iog_iova_t iova)
{
	while (tree && iova - tree->iova >= tree->size)
		tree = iova < tree->iova ? tree->left : tree->right;
	return tree;
}

static void treap_remove(struct bounce_record **link, struct bounce_record *record)
{
	struct bounce_record *left = record->left, *right = record->right;

	while (*link != record)
		link = record->iova < (*link)->iova ? &(*link)->left : &(*link)->right;
	while (left && right) {
		if (priority(left) > priority(right)) {
			*link = left;
			link = &left->right;
			left = left->right;
		} else {
			*link = right;
			link = &right->left;
			right = right->left;
		}
	}
	*link = left ? left : right;
}

/* ---- records ---- */

static size_t record_size(uint64_t edges)
{
	return sizeof(struct bounce_record) + (size_t)edges * sizeof(struct bounce_edge);
}

static void record_free(const struct iog_domain *domain, struct bounce_record *record)
{
	const struct iog_platform *platform = domain->platform;

	for (uint64_t i = 0; i < record->nr_edges; i++)
		platform->pages_free(platform->ctx, record->edges[i].page, (size_t)domain->granule);
	platform->object_free(platform->ctx, record, record_size(record->max_edges));
}

/* Partial pages of a segment: the first, the last, or the one that is both. */
static uint64_t partial_pages(uint64_t paddr, uint64_t size, uint64_t granule)
{
	uint64_t offset = paddr & (granule - 1), end = offset + size;

	if (end < granule)
		return 1;
	return (offset ? 1u : 0u) + (end & (granule - 1) ? 1u : 0u);
}

/* Where an edge's bytes are in the caller's memory. */
static unsigned char *edge_buffer(const struct iog_platform *platform, const struct bounce_edge *edge)
{
	return dma_va(platform, edge->paddr);
}

/* One more bounce page, filled. Its zeroes and bytes are written before the entry that leads to it: see record_fill(). */
static int record_add(const struct iog_domain *domain, const struct iog_device *device, struct bounce_record *record, uint64_t at, iog_paddr_t paddr,
		      uint64_t size, bool fill)
{
	const struct iog_platform *platform = domain->platform;
	struct bounce_edge *edge = &record->edges[record->nr_edges];

	edge->page = platform->pages_alloc(platform->ctx, (size_t)domain->granule);
	if (!edge->page)
		return -IOG_ENOMEM;
	record->nr_edges++;
	edge->iova = at & ~(domain->granule - 1);
	edge->paddr = paddr;
	edge->offset = at & (domain->granule - 1);
	edge->size = size;
	memset(edge->page, 0, (size_t)domain->granule);
	/* Whatever the direction: the device need not write all of it, and what it leaves must come back as it was. */
	if (fill)
		memcpy(edge->page + edge->offset, edge_buffer(platform, edge), (size_t)size);
	iog_dma_clean(device, dma_paddr(platform, edge->page), domain->granule);
	return 0;
}

/* Bounce pages for a list; their addresses are places in the run until it has one. */
static int record_create(const struct iog_domain *domain, const struct iog_device *device, const struct iog_sg *sg, uint32_t n, struct sg_layout layout,
			 bool copy, bool fill, struct bounce_record **result)
{
	const struct iog_platform *platform = domain->platform;
	uint64_t granule = domain->granule, edges = 0, at = 0;
	struct bounce_record *record;
	int error = 0;

	for (uint32_t i = 0; copy && i < n; i++)
		edges += partial_pages(sg[i].paddr, sg[i].size, granule);
	if (edges > (SIZE_MAX - sizeof(*record)) / sizeof(struct bounce_edge))
		return -IOG_ENOMEM;
	record = platform->object_alloc(platform->ctx, record_size(edges));
	if (!record)
		return -IOG_ENOMEM;
	record->max_edges = edges;

	for (uint32_t i = 0; !error && i < n; i++) {
		uint64_t head, tail;

		(void)sg_place(&layout, sg[i].paddr, sg[i].size, &at);
		if (!copy)
			continue;
		head = -at & (granule - 1);
		head = head < sg[i].size ? head : sg[i].size;
		tail = (sg[i].size - head) & (granule - 1);
		if (head)
			error = record_add(domain, device, record, at, sg[i].paddr, head, fill);
		if (!error && tail)
			error = record_add(domain, device, record, at + sg[i].size - tail, sg[i].paddr + sg[i].size - tail, tail, fill);
	}
	record->size = layout.end;
	if (error)
		record_free(domain, record);
	else
		*result = record;
	return error;
}

/* Entries for all of a run that has its address: bounce pages where there are edges, the buffer's own pages elsewhere. */
static int record_fill(struct domain_lane *lane, const struct bounce_record *record, const struct iog_sg *sg, uint32_t n, struct sg_layout layout, uint32_t prot)
{
	const struct iog_domain *domain = lane->domain;
	const struct iog_platform *platform = domain->platform;
	const struct bounce_edge *edge = record->edges, *end = record->edges + record->nr_edges;
	uint64_t mask = domain->granule - 1, at = 0;

	/* No device may see a bounce page as it was before, and this one may look at once. */
	atomic_thread_fence(memory_order_release);
	if (platform->dma_wmb)
		platform->dma_wmb(platform->ctx);

	for (uint32_t i = 0; i < n; i++) {
		iog_iova_t iova, last;
		iog_paddr_t paddr = sg[i].paddr & ~mask;
		int error = 0;

		(void)sg_place(&layout, sg[i].paddr, sg[i].size, &at);
		iova = record->iova + (at & ~mask);
		last = record->iova + (layout.end - 1);
		while (!error && iova - 1 != last) {
			uint64_t size = last - iova + 1;

			if (edge != end && edge->iova == iova) {
				size = mask + 1;
				error = domain->policy->fill(lane, iova, dma_paddr(platform, edge->page), size, prot);
				edge++;
			} else {
				if (edge != end && edge->iova <= last)
					size = edge->iova - iova;
				error = domain->policy->fill(lane, iova, paddr, size, prot);
				if (error)
					error = iog_dma_map_error(domain, paddr, size, error);
			}
			iova += size;
			paddr += size;
		}
		if (error)
			return error;
	}
	return 0;
}

/* ---- held records ---- */

static int is_mapped(iog_iova_t iova, const struct iog_leaf *leaf, void *ctx)
{
	(void)iova;
	(void)leaf;
	(void)ctx;
	return 1;
}

/* The device may still reach its pages: keep them. If clearing broke off on the way, no flush tells when that ends: as long as the domain lives. */
static void record_hold(struct domain_lane *lane, struct bounce *bounce, struct bounce_record *record)
{
	struct iog_domain *domain = lane->domain;
	uintptr_t flags;

	record->flush = flush_needed(&domain->clock);
	if (iog_pgtable_visit(domain->pgtable, lane->lane, record->iova, record->iova + (record->size - 1), is_mapped, NULL))
		record->flush = UINT64_MAX;
	flags = spin_lock(&bounce->lock, domain->platform);
	record->right = bounce->held;
	bounce->held = record;
	atomic_fetch_add_explicit(&bounce->nr_held, 1, memory_order_relaxed);
	spin_unlock(&bounce->lock, domain->platform, flags);
}

/* Free what a later flush has covered. */
static void held_release(struct iog_domain *domain, struct bounce *bounce)
{
	struct bounce_record *record, **link = &bounce->held, *freed = NULL;
	uintptr_t flags = spin_lock(&bounce->lock, domain->platform);

	while ((record = *link)) {
		if (flush_covers(&domain->clock, record->flush)) {
			*link = record->right;
			record->right = freed;
			freed = record;
			atomic_fetch_sub_explicit(&bounce->nr_held, 1, memory_order_relaxed);
		} else {
			link = &record->right;
		}
	}
	spin_unlock(&bounce->lock, domain->platform, flags);
	while ((record = freed)) {
		freed = record->right;
		record_free(domain, record);
	}
}

/* Before more is taken: give back what can be, with a flush for it when there is much. */
static int held_bound(struct domain_lane *lane, struct bounce *bounce)
{
	struct iog_domain *domain = lane->domain;
	uintptr_t flags;
	int error;

	if (!atomic_load_explicit(&bounce->nr_held, memory_order_relaxed))
		return 0;
	held_release(domain, bounce);
	if (atomic_load_explicit(&bounce->nr_held, memory_order_relaxed) < HELD_MAX)
		return 0;
	flags = domain_lane_enter(lane);
	error = iog_domain_flush_lane(lane);
	domain_lane_exit(lane, flags);
	held_release(domain, bounce);
	return error;
}

/* The domain's, made when it is first needed. */
static struct bounce *bounce_get(struct iog_domain *domain)
{
	const struct iog_platform *platform = domain->platform;
	struct bounce *fresh, *bounce = atomic_load_explicit(&domain->bounce, memory_order_acquire);

	if (bounce)
		return bounce;
	fresh = platform->object_alloc(platform->ctx, sizeof(*fresh));
	if (!fresh)
		return NULL;
	atomic_store_explicit(&fresh->lock.taken, 0, memory_order_relaxed);
	/* Release: what it holds is seen by whoever finds it; pairs with the acquires here and in find(). */
	if (atomic_compare_exchange_strong_explicit(&domain->bounce, &bounce, fresh, memory_order_acq_rel, memory_order_acquire))
		return fresh;
	platform->object_free(platform->ctx, fresh, sizeof(*fresh));
	return bounce;
}

/* The record whose run holds @iova; out of the treap with @remove if it is exactly [iova, iova + size). */
static int find(struct iog_domain *domain, iog_iova_t iova, uint64_t size, bool remove, struct bounce_record **result)
{
	struct bounce *bounce = atomic_load_explicit(&domain->bounce, memory_order_acquire);
	struct bounce_record *record;
	uintptr_t flags;
	int error = 0;

	if (!bounce)
		return -IOG_ENOENT;
	flags = spin_lock(&bounce->lock, domain->platform);
	record = treap_find(bounce->root, iova);
	if (!record)
		error = -IOG_ENOENT;
	else if (remove && (record->iova != iova || record->size != size))
		error = -IOG_EINVAL;
	else if (remove)
		treap_remove(&bounce->root, record);
	spin_unlock(&bounce->lock, domain->platform, flags);
	*result = record;
	return error;
}

int iog_bounce_map(struct domain_lane *lane, const struct iog_device *device, const struct iog_sg *sg, uint32_t n, const struct sg_layout *layout,
		   uint32_t prot, uint32_t attrs, bool copy, iog_iova_t *iova)
{
	struct iog_domain *domain = lane->domain;
	struct bounce *bounce = bounce_get(domain);
	struct bounce_record *record;
	uintptr_t flags;
	int error;

	if (!bounce)
		return -IOG_ENOMEM;
	error = held_bound(lane, bounce);
	/* What is undone may have to be remembered. */
	if (!error)
		error = iog_domain_room(lane);
	if (error)
		return error;
	error = record_create(domain, device, sg, n, *layout, copy, copy && !(attrs & IOG_DMA_SKIP_SYNC), &record);
	if (error)
		return error;
	error = domain->policy->alloc(lane, record->size, device->limit, &record->iova);
	if (error) {
		record_free(domain, record);
		return error;
	}
	for (uint64_t i = 0; i < record->nr_edges; i++)
		record->edges[i].iova += record->iova;

	error = record_fill(lane, record, sg, n, *layout, prot);
	if (error) {
		/* The device may have looked already. */
		iog_iova_t first = record->iova;
		uint64_t size = record->size;
		int cleared = domain->policy->clear(lane, first, size);

		if (cleared)
			record_hold(lane, bounce, record);
		else
			record_free(domain, record);
		(void)iog_dma_put_run(lane, first, size, cleared);
		return error;
	}
	flags = spin_lock(&bounce->lock, domain->platform);
	treap_insert(&bounce->root, record);
	spin_unlock(&bounce->lock, domain->platform, flags);
	*iova = record->iova + (sg[0].paddr & (domain->granule - 1));
	return 0;
}

int iog_bounce_unmap(struct domain_lane *lane, const struct iog_device *device, iog_iova_t iova, uint64_t size, bool copy)
{
	struct iog_domain *domain = lane->domain;
	const struct iog_platform *platform = domain->platform;
	struct bounce_record *record;
	iog_iova_t first = iova & ~(domain->granule - 1);
	int error, freed;

	size = dma_pages(iova, size, domain->granule);
	error = iog_domain_room(lane);
	if (error)
		return error;
	error = find(domain, first, size, true, &record);
	if (error)
		return error;
	error = domain->policy->clear(lane, first, size);
	/* Before the addresses are in quarantine, from where somebody's flush takes them. */
	if (error)
		record_hold(lane, atomic_load_explicit(&domain->bounce, memory_order_relaxed), record);
	freed = iog_dma_put_run(lane, first, size, error);
	if (error)
		return error;
	for (uint64_t i = 0; copy && i < record->nr_edges; i++) {
		const struct bounce_edge *edge = &record->edges[i];

		iog_dma_discard(device, dma_paddr(platform, edge->page), domain->granule);
		memcpy(edge_buffer(platform, edge), edge->page + edge->offset, (size_t)edge->size);
	}
	record_free(domain, record);
	return freed;
}

int iog_bounce_sync(struct iog_domain *domain, iog_iova_t iova, uint64_t size, bool for_cpu)
{
	const struct iog_platform *platform = domain->platform;
	struct bounce_record *record;
	iog_iova_t last = iova + (size - 1);
	uint64_t low = 0, high;
	int error = find(domain, iova, size, false, &record);

	if (error)
		return error;
	if (last - record->iova >= record->size)
		return -IOG_EINVAL;
	/* The first edge whose page does not end before the range. */
	high = record->nr_edges;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (record->edges[middle].iova + (domain->granule - 1) < iova)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < record->nr_edges && record->edges[low].iova <= last; low++) {
		const struct bounce_edge *edge = &record->edges[low];
		iog_iova_t edge_first = edge->iova + edge->offset, edge_last = edge_first + (edge->size - 1);
		uint64_t from = iova > edge_first ? iova - edge_first : 0;
		uint64_t to = (last < edge_last ? last : edge_last) - edge_first + 1;
		unsigned char *page = edge->page + edge->offset, *buffer = edge_buffer(platform, edge);

		if (last < edge_first || iova > edge_last)
			continue;
		if (for_cpu)
			memcpy(buffer + from, page + from, (size_t)(to - from));
		else
			memcpy(page + from, buffer + from, (size_t)(to - from));
	}
	return 0;
}

void iog_bounce_fini(struct iog_domain *domain)
{
	const struct iog_platform *platform = domain->platform;
	struct bounce *bounce = atomic_load_explicit(&domain->bounce, memory_order_relaxed);
	struct bounce_record *record;

	if (!bounce)
		return;
	while ((record = bounce->root)) {
		treap_remove(&bounce->root, record);
		record_free(domain, record);
	}
	while ((record = bounce->held)) {
		bounce->held = record->right;
		record_free(domain, record);
	}
	platform->object_free(platform->ctx, bounce, sizeof(*bounce));
	atomic_store_explicit(&domain->bounce, NULL, memory_order_relaxed);
}

/* SPDX-License-Identifier: MIT */
/*
 * Domains, and an account of what the device was told of each: a page table of the same format, which only the driver reads, with a leaf for each mapping.
 *
 *   mirror = mappings that the device has, but for those of requests on their way        not told: the device knows of no such domain, and the mirror is empty
 *
 * A mapping stands in the mirror before the device is told of it, and until the device has said that it is gone.
 */
#include "../../core/bits.h"
#include "../../pgtable/memory.h"
#include "virtio.h"

/* Nobody else walks it, and forgetting is free. */
#define MIRROR_TRIM_BATCH 8u

static int nothing_to_forget(const struct iog_gather *gather, void *ctx)
{
	(void)gather;
	(void)ctx;
	return 0;
}

int iog_virtio_mirror_map(struct vio_domain *domain, iog_iova_t first, iog_iova_t last, iog_paddr_t paddr, uint32_t prot)
{
	uint64_t size = last - first + 1;
	int error = iog_pgtable_map(domain->mirror, first, paddr, size, prot, domain->gather);
	struct iog_pgtable_root root;

	if (error == -IOG_ERANGE) {
		/* The page table has grown since. */
		iog_pgtable_root(domain->reader->pt, &root);
		if (!iog_pgtable_grow(domain->mirror, root.ias))
			error = iog_pgtable_map(domain->mirror, first, paddr, size, prot, domain->gather);
	}
	(void)iog_gather_flush(domain->gather);
	return error;
}

void iog_virtio_mirror_unmap(struct vio_domain *domain, iog_iova_t first, iog_iova_t last)
{
	/* Leaves go whole: no memory is needed, and nothing is refused. */
	(void)iog_pgtable_unmap(domain->mirror, first, last - first + 1, domain->gather, NULL);
	(void)iog_gather_flush(domain->gather);
}

void iog_virtio_domain_forget(struct vio_domain *domain)
{
	struct iog_pgtable_root root;

	domain->told = false;
	iog_pgtable_root(domain->mirror, &root);
	if (root.flags & IOG_PGTABLE_SIGN_EXTENDED || root.ias == 64) {
		uint64_t half = root.ias == 64 ? UINT64_C(1) << 63 : UINT64_C(1) << (root.ias - 1);

		iog_virtio_mirror_unmap(domain, 0, half - 1);
		iog_virtio_mirror_unmap(domain, -half, UINT64_MAX);
	} else {
		iog_virtio_mirror_unmap(domain, 0, (UINT64_C(1) << root.ias) - 1);
	}
	(void)iog_pgtable_trim(domain->mirror, domain->gather, NULL);
	(void)iog_tablemem_trim(domain->mem, 0);
}

static void domain_free(struct vio_domain *domain)
{
	const struct iog_platform *platform = domain->virtio->platform;

	iog_pgtable_destroy(domain->mirror, 0);
	(void)iog_tablemem_destroy(domain->mem);
	if (domain->gather)
		platform->object_free(platform->ctx, domain->gather, sizeof(*domain->gather));
	if (domain->reader)
		platform->object_free(platform->ctx, domain->reader, sizeof(*domain->reader));
	platform->object_free(platform->ctx, domain, sizeof(*domain));
}

static int mirror_create(struct vio_domain *domain, const struct iog_pgtable_root *root)
{
	const struct iog_pgtable *pt = root->pgtable;
	const struct iog_tablemem_config memory = { .lanes = 1, .table_size = (uint32_t)pt->granule };
	struct iog_pgtable_config config = {
		.ops = pt->ops,
		.ias = root->ias,
		.oas = root->oas,
		.page_sizes = pt->page_sizes,
		.flags = root->flags & (IOG_PGTABLE_SINGLE_WRITER | IOG_PGTABLE_SIGN_EXTENDED),
		.trim_batch = MIRROR_TRIM_BATCH,
	};
	int error = iog_tablemem_create(domain->virtio->platform, &memory, &domain->mem);

	if (error)
		return error;
	config.tablemem = domain->mem;
	error = iog_pgtable_create(&config, &domain->mirror);
	return error ? error : iog_gather_init(domain->gather, domain->mirror, 0, nothing_to_forget, NULL);
}

static int domain_create(struct iog_virtio *virtio, uint32_t id, const struct iog_pgtable_root *root, struct vio_domain **result)
{
	const struct iog_platform *platform = virtio->platform;
	struct vio_domain *domain = platform->object_alloc(platform->ctx, sizeof(*domain));
	int error = -IOG_ENOMEM;

	if (!domain)
		return error;
	domain->virtio = virtio;
	domain->id = id;
	domain->number = vio_number(virtio, id);
	domain->granules = root->flags & IOG_PGTABLE_SPLIT;
	domain->granule = root->pgtable->granule;
	domain->reader = platform->object_alloc(platform->ctx, sizeof(*domain->reader));
	domain->gather = platform->object_alloc(platform->ctx, sizeof(*domain->gather));
	if (domain->reader && domain->gather) {
		iog_pgtable_reader_init(domain->reader, root->pgtable);
		error = mirror_create(domain, root);
	}
	if (error)
		domain_free(domain);
	else
		*result = domain;
	return error;
}

static _Atomic(struct vio_domain *) *place_find(struct iog_virtio *virtio, uint32_t id)
{
	_Atomic(struct vio_domain *) *block;

	if (id > virtio->unit.domain_ids)
		return NULL;
	/* Acquire: pairs with the release in place_get(). */
	block = atomic_load_explicit(&virtio->blocks[id / DOMAINS_PER_BLOCK], memory_order_acquire);
	return block ? &block[id % DOMAINS_PER_BLOCK] : NULL;
}

static _Atomic(struct vio_domain *) *place_get(struct iog_virtio *virtio, uint32_t id)
{
	_Atomic(struct vio_domain *) *place = place_find(virtio, id), *block;

	if (place)
		return place;
	block = virtio->platform->object_alloc(virtio->platform->ctx, DOMAINS_PER_BLOCK * sizeof(*block));
	if (block)
		atomic_store_explicit(&virtio->blocks[id / DOMAINS_PER_BLOCK], block, memory_order_release);
	return block ? &block[id % DOMAINS_PER_BLOCK] : NULL;
}

struct vio_domain *iog_virtio_domain(struct iog_virtio *virtio, uint32_t id)
{
	_Atomic(struct vio_domain *) *place = place_find(virtio, id);

	/* Acquire: the domain; pairs with the release in iog_virtio_domain_add(). */
	return place ? atomic_load_explicit(place, memory_order_acquire) : NULL;
}

int iog_virtio_domain_add(struct iog_unit *unit, uint32_t id, const struct iog_pgtable_root *root)
{
	struct iog_virtio *virtio = vio_of(unit);
	_Atomic(struct vio_domain *) *place;
	struct vio_domain *domain;
	int error;

	/* The device has no smaller mappings than its granule, nor addresses beyond its range. */
	if (!root->pgtable || root->pgtable->granule & ((virtio->info.page_sizes & -virtio->info.page_sizes) - 1) || root->ias > unit->ias)
		return -IOG_EOPNOTSUPP;
	place = place_get(virtio, id);
	if (!place)
		return -IOG_ENOMEM;
	error = domain_create(virtio, id, root, &domain);
	if (error)
		return error;
	domain->next = virtio->domains;
	virtio->domains = domain;
	atomic_store_explicit(place, domain, memory_order_release);
	return 0;
}

int iog_virtio_domain_remove(struct iog_unit *unit, uint32_t id)
{
	struct iog_virtio *virtio = vio_of(unit);
	struct vio_domain *domain = iog_virtio_domain(virtio, id), **link = &virtio->domains;

	if (!domain)
		return -IOG_ENOENT;
	for (const struct vio_endpoint *endpoint = virtio->endpoints; endpoint; endpoint = endpoint->next)
		if (endpoint->domain == domain)
			return -IOG_EBUSY;
	/* With its last device it has ceased to exist. What is still on its way will find nothing, but it writes to the batch: that and the number stay out of use until the device is reset. */
	if (domain->batch.n && iog_virtio_settle(virtio, &domain->batch))
		return -IOG_ETIMEDOUT;
	while (*link != domain)
		link = &(*link)->next;
	*link = domain->next;
	atomic_store_explicit(place_find(virtio, id), NULL, memory_order_relaxed);
	domain_free(domain);
	return 0;
}

int iog_virtio_domains_create(struct iog_virtio *virtio)
{
	virtio->blocks_bytes = (virtio->unit.domain_ids / DOMAINS_PER_BLOCK + 1) * sizeof(*virtio->blocks);
	virtio->blocks = virtio->platform->object_alloc(virtio->platform->ctx, virtio->blocks_bytes);
	return virtio->blocks ? 0 : -IOG_ENOMEM;
}

void iog_virtio_domains_destroy(struct iog_virtio *virtio)
{
	const struct iog_platform *platform = virtio->platform;

	/* Those that could not be removed. */
	while (virtio->domains) {
		struct vio_domain *domain = virtio->domains;

		virtio->domains = domain->next;
		domain_free(domain);
	}
	if (!virtio->blocks)
		return;
	for (size_t n = 0; n < virtio->blocks_bytes / sizeof(*virtio->blocks); n++) {
		_Atomic(struct vio_domain *) *block = atomic_load_explicit(&virtio->blocks[n], memory_order_relaxed);

		if (block)
			platform->object_free(platform->ctx, (void *)(uintptr_t)block, DOMAINS_PER_BLOCK * sizeof(*block));
	}
	platform->object_free(platform->ctx, (void *)(uintptr_t)virtio->blocks, virtio->blocks_bytes);
}

/* SPDX-License-Identifier: MIT */
/*
 * A page table that is told to a virtio-iommu of virtio_fake.h by its driver, and the claim that the two agree.
 */
#ifndef TESTS_HW_VIRTIO_BED_H
#define TESTS_HW_VIRTIO_BED_H

#include "hw/virtio_fake.h"

#define BED_ID 7u
/* The device's numbers: see fake_init(). */
#define NUMBER_REFUSED 1000u
#define NUMBER_IDENTITY 999u
#define NUMBER(id) (4u + (id))

struct bed {
	struct fake fake;
	struct iog_virtio *virtio;
	struct iog_unit *unit;
	struct iog_tablemem *mem;
	struct iog_pgtable *pt;
	struct iog_gather *gather;
	uint32_t id;
	bool forgetful; /* flushes say that they were done, and are not */
};

static inline int bed_flush(const struct iog_gather *gather, void *ctx)
{
	struct bed *bed = ctx;

	return bed->forgetful ? 0 : bed->unit->ops->invalidate(bed->unit, bed->id, gather);
}

/* A page table, as domain @id. */
static inline void bed_domain(struct bed *bed, uint32_t id, const struct iog_pgtable_ops *ops, uint32_t ias, uint32_t flags)
{
	const struct iog_tablemem_config memory = { .lanes = 2 };
	struct iog_pgtable_config config = { .ops = ops, .ias = ias, .flags = flags | IOG_PGTABLE_FLUSH_ON_MAP };
	struct iog_pgtable_root root;

	bed->id = id;
	bed->forgetful = false;
	assert_int_equal(iog_tablemem_create(&bed->fake.platform, &memory, &bed->mem), 0);
	config.tablemem = bed->mem;
	assert_int_equal(iog_pgtable_create(&config, &bed->pt), 0);
	bed->gather = calloc(1, sizeof(*bed->gather));
	assert_int_equal(iog_gather_init(bed->gather, bed->pt, 0, bed_flush, bed), 0);
	iog_pgtable_root(bed->pt, &root);
	assert_int_equal(bed->unit->ops->domain_add(bed->unit, id, &root), 0);
}

static inline void bed_domain_end(struct bed *bed)
{
	assert_int_equal(bed->unit->ops->domain_remove(bed->unit, bed->id), 0);
	iog_pgtable_destroy(bed->pt, 0);
	assert_int_equal(iog_tablemem_destroy(bed->mem), 0);
	free(bed->gather);
}

/* What the nth device is subject to. */
static inline int bed_set(struct bed *bed, uint32_t n, enum iog_domain_type type)
{
	return bed->unit->ops->device_set(bed->unit, FAKE_DEVICE_0 + n, type, bed->id);
}

/* On, with one domain and one device in it. */
static inline void bed_create(struct bed *bed, const struct iog_pgtable_ops *ops, uint32_t ias, uint32_t flags)
{
	fake_init(&bed->fake);
	bed->virtio = fake_ready(&bed->fake);
	bed->unit = iog_virtio_unit(bed->virtio);
	bed_domain(bed, BED_ID, ops, ias, flags);
	assert_int_equal(bed_set(bed, 0, IOG_DOMAIN_PAGING), 0);
	fake_log_clear(&bed->fake);
}

static inline void bed_destroy(struct bed *bed)
{
	assert_int_equal(bed_set(bed, 0, IOG_DOMAIN_BLOCKED), 0);
	bed_domain_end(bed);
	fake_done(bed->virtio);
	fake_fini(&bed->fake);
}

static inline int bed_map(struct bed *bed, uint64_t iova, uint64_t paddr, uint64_t size, uint32_t prot)
{
	int error = iog_pgtable_map(bed->pt, iova, paddr, size, prot, bed->gather);

	/* What was undone. */
	if (error)
		(void)iog_gather_flush(bed->gather);
	return error;
}

static inline int bed_unmap(struct bed *bed, uint64_t iova, uint64_t size)
{
	int error = iog_pgtable_unmap(bed->pt, iova, size, bed->gather, NULL);

	return error ? error : iog_gather_flush(bed->gather);
}

struct bed_sum {
	struct bed *bed;
	const struct fake_domain *domain;
	uint64_t bytes;
	bool differs;
};

static inline int bed_leaf(iog_iova_t iova, const struct iog_leaf *leaf, void *ctx)
{
	struct bed_sum *sum = ctx;
	uint64_t at = iova, last = iova + (leaf->page_size - 1);

	sum->bytes += leaf->page_size;
	for (uint32_t n = 0; n < sum->domain->n && !sum->differs; n++) {
		const struct fake_mapping *mapping = &sum->domain->mappings[n];

		if (mapping->last < at || mapping->first > last)
			continue;
		if (mapping->first > at || mapping->paddr + (at - mapping->first) != leaf->paddr + (at - iova) ||
		    mapping->flags != ((leaf->prot & IOG_PROT_READ ? 1u : 0) | (leaf->prot & IOG_PROT_WRITE ? 2u : 0) | (leaf->prot & IOG_PROT_DEVICE ? 4u : 0)))
			sum->differs = true;
		at = mapping->last + 1;
	}
	sum->differs |= at - 1 < last;
	return 0;
}

/* Whether the device translates what the page table does, as that does, and nothing else. */
static inline bool bed_agrees(struct bed *bed)
{
	struct bed_sum sum = { .bed = bed, .domain = fake_domain(&bed->fake, NUMBER(bed->id)) };
	uint64_t bytes = 0;

	if (!sum.domain)
		return false;
	for (uint32_t n = 0; n < sum.domain->n; n++)
		bytes += sum.domain->mappings[n].last - sum.domain->mappings[n].first + 1;
	assert_int_equal(iog_pgtable_visit(bed->pt, 1, 0, UINT64_MAX, bed_leaf, &sum), 0);
	return !sum.differs && sum.bytes == bytes;
}

#define REFUSED UINT64_MAX

/* Where an access of the nth device ends up. */
static inline uint64_t reached(struct bed *bed, uint32_t n, uint64_t iova, bool writes)
{
	uint64_t paddr;

	return fake_access(&bed->fake, n, iova, writes, &paddr) ? paddr : REFUSED;
}

#endif

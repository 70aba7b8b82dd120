/* SPDX-License-Identifier: MIT */
/*
 * See kit.h.
 */
#include "kit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct kit_shape kit_vtdss_48 = { "vtdss", 4, 48, 0 };
const struct kit_shape kit_x86_64_48 = { "x86_64", 4, 48, 0 };

uint64_t (*kit_now_ns)(void *ctx);

static void *kit_pages_alloc(void *ctx, size_t size)
{
	struct kit *kit = ctx;
	void *pages = kit->arena + kit->used * UINT64_C(4096);

	if (size > (KIT_PAGES - kit->used) * UINT64_C(4096))
		return NULL;
	kit->used += (uint32_t)(size / 4096);
	return pages;
}

static void kit_pages_free(void *ctx, void *pages, size_t size)
{
	(void)ctx;
	memset(pages, 0xff, size);
}

static void *kit_object_alloc(void *ctx, size_t size)
{
	(void)ctx;
	return calloc(1, size);
}

static void kit_object_free(void *ctx, void *object, size_t size)
{
	(void)ctx;
	(void)size;
	free(object);
}

static void kit_record(void *ctx, const struct iog_sim_violation *violation)
{
	struct kit *kit = ctx;

	if (kit->nr_violations < KIT_VIOLATIONS) {
		kit->violations[kit->nr_violations] = *violation;
		snprintf(kit->details[kit->nr_violations], sizeof(kit->details[0]), "%s", violation->detail);
	}
	kit->nr_violations++;
	if (kit->on_violation)
		kit->on_violation(kit);
}

void kit_create(struct kit *kit, const struct kit_shape *shape, const struct iog_sim_config *given)
{
	struct iog_sim_config config = { 0 };

	memset(kit, 0, sizeof(*kit));
	kit->arena = aligned_alloc(4096, KIT_PAGES * UINT64_C(4096));
	assert_non_null(kit->arena);
	kit->plain = (struct iog_platform){
		.ctx = kit,
		.direct_map_offset = (uintptr_t)kit->arena - KIT_PADDR_BASE,
		.pages_alloc = kit_pages_alloc,
		.pages_free = kit_pages_free,
		.object_alloc = kit_object_alloc,
		.object_free = kit_object_free,
		.now_ns = kit_now_ns,
	};
	kit->observed = kit->plain;
	kit->shape = *shape;

	if (given)
		config = *given;
	config.violation = kit_record;
	config.violation_ctx = kit;
	assert_int_equal(iog_sim_create(&kit->plain, &config, &kit->sim), 0);
	iog_sim_observe(kit->sim, &kit->observed);

	kit->root = kit_page(kit);
	kit->description =
		(struct iog_pgtable_root){ kit_paddr(kit, kit->root), shape->format, shape->levels, shape->ias, 52, shape->flags, NULL };
	kit->domain = kit_domain(kit, 1, kit->root);
}

void kit_destroy(struct kit *kit)
{
	kit_no_violation(kit);
	iog_sim_domain_destroy(kit->domain);
	iog_sim_destroy(kit->sim);
	free(kit->arena);
}

struct iog_sim_domain *kit_domain(struct kit *kit, uint32_t id, uint64_t *root)
{
	struct iog_pgtable_root description = kit->description;
	struct iog_sim_domain *domain;

	description.paddr = kit_paddr(kit, root);
	assert_int_equal(iog_sim_domain_create(kit->sim, id, &description, &domain), 0);
	return domain;
}

uint64_t *kit_page(struct kit *kit)
{
	void *page = kit->observed.pages_alloc(kit->observed.ctx, 4096);

	assert_non_null(page);
	return memset(page, 0, 4096);
}

uint64_t kit_paddr(const struct kit *kit, const void *page)
{
	return (uintptr_t)page - kit->plain.direct_map_offset;
}

uint64_t *kit_table_take(struct kit *kit)
{
	uint64_t *table = kit_page(kit);

	if (kit->observed.table_taken)
		kit->observed.table_taken(kit->observed.ctx, table, 4096, 1);
	return table;
}

void kit_table_free(struct kit *kit, uint64_t *table)
{
	if (kit->observed.table_freed)
		kit->observed.table_freed(kit->observed.ctx, table, 4096);
}

static bool kit_is_vtdss(const struct kit *kit)
{
	return !strcmp(kit->shape.format, "vtdss");
}

uint64_t kit_entry_table(const struct kit *kit, const uint64_t *table)
{
	return kit_paddr(kit, table) | (kit_is_vtdss(kit) ? 0x3 : 0x7);
}

uint64_t kit_entry_leaf(const struct kit *kit, uint64_t paddr, uint32_t level, uint32_t prot)
{
	uint64_t entry = paddr | (level ? 0x80 : 0);

	if (kit_is_vtdss(kit))
		return entry | (prot & IOG_PROT_READ ? 1 : 0) | (prot & IOG_PROT_WRITE ? 2 : 0);
	return entry | 0x5 | (prot & IOG_PROT_WRITE ? 2 : 0);
}

void kit_store(uint64_t *slot, uint64_t entry)
{
	__atomic_store_n(slot, entry, __ATOMIC_RELEASE);
}

uint64_t *kit_slot_from(struct kit *kit, uint64_t *root, uint64_t iova, uint32_t level)
{
	uint64_t *table = root;

	for (uint32_t at = kit->shape.levels - 1;; at--) {
		uint64_t *slot = &table[iova >> (12 + 9 * at) & 511];

		if (at == level)
			return slot;
		if (!(*slot & 1))
			kit_store(slot, kit_entry_table(kit, kit_table_take(kit)));
		table = (uint64_t *)(uintptr_t)((*slot & UINT64_C(0xffffffffff000)) + kit->plain.direct_map_offset);
	}
}

uint64_t *kit_slot(struct kit *kit, uint64_t iova, uint32_t level)
{
	return kit_slot_from(kit, kit->root, iova, level);
}

void kit_map(struct kit *kit, uint64_t iova, uint64_t paddr, uint32_t prot)
{
	kit_store(kit_slot(kit, iova, 0), kit_entry_leaf(kit, paddr, 0, prot));
}

void kit_unmap(struct kit *kit, uint64_t iova)
{
	kit_store(kit_slot(kit, iova, 0), 0);
}

void kit_lands(struct kit *kit, uint64_t iova, uint32_t prot, uint64_t paddr)
{
	uint64_t landed = 0;

	assert_int_equal(iog_sim_translate(kit->domain, iova, prot, &landed), 0);
	assert_int_equal(landed, paddr);
}

void kit_faults(struct kit *kit, uint64_t iova, uint32_t prot)
{
	uint64_t landed = 0x5a5a;

	assert_int_equal(iog_sim_translate(kit->domain, iova, prot, &landed), -IOG_EFAULT);
	assert_int_equal(landed, 0x5a5a);
}

void kit_invalidate(struct kit *kit, uint64_t iova, uint64_t size, bool leaf_only)
{
	iog_sim_inval_range(kit->domain, iova, iova + (size - 1), leaf_only);
	assert_int_equal(iog_sim_inval_wait(kit->sim), 0);
}

struct iog_sim_stats kit_stats(struct kit *kit)
{
	struct iog_sim_stats stats;

	iog_sim_stats(kit->sim, &stats);
	return stats;
}

void kit_no_violation(struct kit *kit)
{
	for (uint32_t i = 0; i < kit->nr_violations && i < KIT_VIOLATIONS; i++)
		print_error("violation %d at 0x%" PRIx64 ": %s\n", (int)kit->violations[i].kind, kit->violations[i].iova, kit->details[i]);
	assert_int_equal(kit->nr_violations, 0);
}

void kit_violation(struct kit *kit, enum iog_sim_violation_kind kind, const char *words)
{
	if (kit->nr_violations != 1)
		print_error("%u violations, 1 expected\n", kit->nr_violations);
	for (uint32_t i = 0; i < kit->nr_violations && i < KIT_VIOLATIONS; i++) {
		if (kit->nr_violations != 1 || kit->violations[i].kind != kind || !strstr(kit->details[i], words))
			print_error("violation %d at 0x%" PRIx64 ": %s\n", (int)kit->violations[i].kind, kit->violations[i].iova,
				    kit->details[i]);
	}
	assert_int_equal(kit->nr_violations, 1);
	assert_int_equal(kit->violations[0].kind, kind);
	assert_non_null(strstr(kit->details[0], words));
	kit->nr_violations = 0;
}

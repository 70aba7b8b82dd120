/* SPDX-License-Identifier: MIT */
/*
 * Legacy mode: root table, and a context table per bus (VT-d 9.1, 9.3).
 *
 * A context entry has 128 bits, more than one store can change. One that is not present is filled in with the word that has P last; one that goes, goes by that word. To change one
 * that is present, the bus gets a copy of its table with the new entry, by the one word of the root entry that counts.
 */
#include "vtd.h"

#define ENTRY_WORDS ((size_t)2)

/* Low word (9.3) */
#define CONTEXT_TT(type) ((uint64_t)(type) << 2)
#define CONTEXT_TT_OF(low) ((uint32_t)((low) >> 2 & 3))
#define TT_TRANSLATE 0
#define TT_DEVICE_TLB 1
#define TT_PASS 2
/* High word */
#define CONTEXT_DID(did) ((uint64_t)(did) << 8)
#define CONTEXT_DID_OF(high) ((uint32_t)((high) >> 8 & 0xffff))

static uint64_t *context_table(const struct iog_vtd *vtd, uint32_t device)
{
	return vtd_entry_page(vtd, &vtd->root[vtd_bus(device) * ENTRY_WORDS]);
}

static uint64_t *entry_in(uint64_t *table, uint32_t device)
{
	return table + vtd_devfn(device) * ENTRY_WORDS;
}

static void legacy_get(const struct iog_vtd *vtd, uint32_t device, struct vtd_binding *binding)
{
	uint64_t *table = context_table(vtd, device);
	uint64_t low = table ? vtd_entry_load(entry_in(table, device)) : 0, high;

	memset(binding, 0, sizeof(*binding));
	binding->type = IOG_DOMAIN_BLOCKED;
	if (!(low & VTD_PRESENT))
		return;
	high = vtd_entry_load(entry_in(table, device) + 1);
	binding->type = CONTEXT_TT_OF(low) == TT_PASS ? IOG_DOMAIN_IDENTITY : IOG_DOMAIN_PAGING;
	binding->did = CONTEXT_DID_OF(high);
	binding->levels = (uint32_t)(high & 7) + 2;
	binding->root = low & VTD_ADDRESS;
	binding->ats_depth = CONTEXT_TT_OF(low) == TT_DEVICE_TLB ? vtd_ats_depth(vtd, device) : 0;
}

static int legacy_prepare(struct iog_vtd *vtd, uint32_t device, const struct vtd_binding *binding, struct vtd_spare *spare)
{
	if (binding->type == IOG_DOMAIN_BLOCKED)
		return 0;
	if (context_table(vtd, device) && !(vtd_entry_load(entry_in(context_table(vtd, device), device)) & VTD_PRESENT))
		return 0;
	spare->pages[0] = vtd_page_new(vtd);
	return spare->pages[0] ? 0 : -IOG_ENOMEM;
}

/* In a table that hardware does not see, or for an entry that is not present. */
static void entry_fill(struct iog_vtd *vtd, uint64_t *entry, const struct vtd_binding *binding)
{
	uint32_t type = binding->type == IOG_DOMAIN_IDENTITY ? TT_PASS : binding->ats_depth ? TT_DEVICE_TLB : TT_TRANSLATE;

	__atomic_store_n(&entry[1], CONTEXT_DID(binding->did) | (binding->levels - 2), __ATOMIC_RELAXED);
	vtd_clean(vtd, &entry[1], sizeof(entry[1]));
	vtd_entry_store(vtd, &entry[0], VTD_PRESENT | CONTEXT_TT(type) | binding->root);
}

static void legacy_set(struct iog_vtd *vtd, uint32_t device, const struct vtd_binding *binding, struct vtd_spare *spare)
{
	uint64_t *table = context_table(vtd, device), *copy = spare->pages[0];

	if (binding->type == IOG_DOMAIN_BLOCKED) {
		if (table)
			vtd_entry_store(vtd, entry_in(table, device), 0);
		return;
	}
	if (table && !(vtd_entry_load(entry_in(table, device)) & VTD_PRESENT)) {
		entry_fill(vtd, entry_in(table, device), binding);
		return;
	}
	/*
	 * It may be the page that was in use before, when a change is taken back, and hardware may still read it: then what is stored for other devices is what it says already, unless they were
	 * blocked, and for this one it is what it said.
	 */
	for (uint32_t n = 0; table && n < VTD_PAGE / sizeof(*table); n++)
		__atomic_store_n(&copy[n], vtd_entry_load(&table[n]), __ATOMIC_RELAXED);
	__atomic_store_n(entry_in(copy, device), 0, __ATOMIC_RELAXED);
	entry_fill(vtd, entry_in(copy, device), binding);
	vtd_clean(vtd, copy, VTD_PAGE);
	vtd_entry_store(vtd, &vtd->root[vtd_bus(device) * ENTRY_WORDS], vtd_paddr(vtd, copy) | VTD_PRESENT);
	spare->pages[0] = table;
}

static void legacy_free(struct iog_vtd *vtd)
{
	for (uint32_t bus = 0; bus < VTD_BUSES; bus++)
		vtd_page_free(vtd, vtd_entry_page(vtd, &vtd->root[bus * ENTRY_WORDS]));
}

const struct vtd_tables_ops iog_vtd_legacy = { .get = legacy_get, .prepare = legacy_prepare, .set = legacy_set, .free_all = legacy_free };

/* SPDX-License-Identifier: MIT */
/*
 * Scalable mode: root table, context tables for half a bus, and for each device a PASID directory and a PASID table (VT-d 9.2, 9.4 to 9.6), of which one entry is used: requests without PASID
 * are translated by it.
 *
 * A device that is blocked has a context entry that is not present. To change what a device is subject to, it gets a new PASID table, by the one word of its directory.
 */
#include "vtd.h"

#define HALF 128
#define CONTEXT_WORDS ((size_t)4)
#define PASID_WORDS 8

/* Context entry, first word (9.4). PDTS = 0: 128 directory entries */
#define CONTEXT_DTE VTD_BIT(2)
/* second word */
#define CONTEXT_RID_PASID ((uint64_t)VTD_RID_PASID)

/* PASID table entry (9.6), words 0 to 2 */
#define PASID_AW(levels) ((uint64_t)((levels) - 2) << 2)
#define PASID_AW_OF(word) ((uint32_t)((word) >> 2 & 7) + 2)
#define PASID_PGTT(type) ((uint64_t)(type) << 6)
#define PASID_PGTT_OF(word) ((uint32_t)((word) >> 6 & 7))
#define PGTT_FIRST 1
#define PGTT_SECOND 2
#define PGTT_PASS 4
#define PASID_DID_OF(word) ((uint32_t)((word) & 0xffff))
#define PASID_PWSNP VTD_BIT(23)
#define PASID_FSPM(levels) ((uint64_t)((levels) - 4) << 2)
#define PASID_NXE VTD_BIT(5)

static uint64_t *context_entry(const struct iog_vtd *vtd, uint32_t device)
{
	uint64_t *table = vtd_entry_page(vtd, &vtd->root[vtd_bus(device) * 2 + vtd_devfn(device) / HALF]);

	return table ? table + vtd_devfn(device) % HALF * CONTEXT_WORDS : NULL;
}

/* Its directory, if its context entry is present. */
static uint64_t *directory(const struct iog_vtd *vtd, uint32_t device)
{
	const uint64_t *entry = context_entry(vtd, device);

	return entry ? vtd_entry_page(vtd, entry) : NULL;
}

static void scalable_get(const struct iog_vtd *vtd, uint32_t device, struct vtd_binding *binding)
{
	const uint64_t *pasids = directory(vtd, device), *entry;

	memset(binding, 0, sizeof(*binding));
	binding->type = IOG_DOMAIN_BLOCKED;
	if (!pasids)
		return;
	entry = vtd_entry_page(vtd, pasids);
	binding->type = PASID_PGTT_OF(entry[0]) == PGTT_PASS ? IOG_DOMAIN_IDENTITY : IOG_DOMAIN_PAGING;
	binding->did = PASID_DID_OF(entry[1]);
	binding->first_stage = PASID_PGTT_OF(entry[0]) == PGTT_FIRST;
	binding->levels = binding->first_stage ? (uint32_t)(entry[2] >> 2 & 3) + 4 : PASID_AW_OF(entry[0]);
	binding->root = entry[binding->first_stage ? 2 : 0] & VTD_ADDRESS;
	binding->ats_depth = vtd_entry_load(context_entry(vtd, device)) & CONTEXT_DTE ? vtd_ats_depth(vtd, device) : 0;
}

static int scalable_prepare(struct iog_vtd *vtd, uint32_t device, const struct vtd_binding *binding, struct vtd_spare *spare)
{
	bool wanted[3];

	if (binding->type == IOG_DOMAIN_BLOCKED)
		return 0;
	wanted[0] = !context_entry(vtd, device);
	/* A directory also where there is one: it may go with the device being blocked meanwhile. */
	wanted[1] = true;
	wanted[2] = true;
	for (uint32_t n = 0; n < 3; n++) {
		spare->pages[n] = wanted[n] ? vtd_page_new(vtd) : NULL;
		if (wanted[n] && !spare->pages[n])
			return -IOG_ENOMEM;
	}
	return 0;
}

/* A whole PASID table, which hardware does not see, or which says this already. */
static void pasid_fill(struct iog_vtd *vtd, uint64_t *entry, const struct vtd_binding *binding)
{
	/* AW is the second stage's; models of hardware take the width of the first from it, too. */
	uint64_t words[PASID_WORDS] = { VTD_PRESENT | PASID_AW(binding->levels), binding->did };

	if (vtd->ecap & VTD_ECAP_SMPWCS)
		words[1] |= PASID_PWSNP;
	if (binding->type == IOG_DOMAIN_IDENTITY) {
		words[0] |= PASID_PGTT(PGTT_PASS);
	} else if (binding->first_stage) {
		words[0] |= PASID_PGTT(PGTT_FIRST);
		words[2] = binding->root | PASID_FSPM(binding->levels) | (vtd->ecap & VTD_ECAP_ERS ? PASID_NXE : 0);
	} else {
		words[0] |= PASID_PGTT(PGTT_SECOND) | binding->root;
	}
	for (uint32_t n = 0; n < PASID_WORDS; n++)
		__atomic_store_n(&entry[n], words[n], __ATOMIC_RELAXED);
	vtd_clean(vtd, entry, PASID_WORDS * sizeof(*entry));
}

static void block(struct iog_vtd *vtd, uint32_t device, struct vtd_spare *spare)
{
	uint64_t *pasids = directory(vtd, device);

	if (!pasids)
		return;
	vtd_entry_store(vtd, context_entry(vtd, device), 0);
	spare->pages[1] = pasids;
	spare->pages[2] = vtd_entry_page(vtd, pasids);
}

static void scalable_set(struct iog_vtd *vtd, uint32_t device, const struct vtd_binding *binding, struct vtd_spare *spare)
{
	uint64_t *root = &vtd->root[vtd_bus(device) * 2 + vtd_devfn(device) / HALF], *pasids = directory(vtd, device), *entry, *table = spare->pages[2];
	uint64_t dte = binding->ats_depth ? CONTEXT_DTE : 0, word;

	if (binding->type == IOG_DOMAIN_BLOCKED) {
		block(vtd, device, spare);
		return;
	}
	pasid_fill(vtd, table, binding);
	if (pasids) {
		spare->pages[2] = vtd_entry_page(vtd, pasids);
		entry = context_entry(vtd, device);
		word = vtd_entry_load(entry);
		/* Requests for translations are refused while the tables change, if they are not allowed before and after. */
		if (!dte && word & CONTEXT_DTE)
			vtd_entry_store(vtd, entry, word & ~CONTEXT_DTE);
		vtd_entry_store(vtd, pasids, vtd_paddr(vtd, table) | VTD_PRESENT);
		if (dte && !(word & CONTEXT_DTE))
			vtd_entry_store(vtd, entry, word | CONTEXT_DTE);
		return;
	}
	pasids = spare->pages[1];
	vtd_entry_store(vtd, pasids, vtd_paddr(vtd, table) | VTD_PRESENT);
	spare->pages[1] = NULL;
	spare->pages[2] = NULL;
	if (!vtd_entry_page(vtd, root)) {
		vtd_entry_store(vtd, root, vtd_paddr(vtd, spare->pages[0]) | VTD_PRESENT);
		spare->pages[0] = NULL;
	}
	entry = context_entry(vtd, device);
	__atomic_store_n(&entry[1], CONTEXT_RID_PASID, __ATOMIC_RELAXED);
	vtd_clean(vtd, entry, CONTEXT_WORDS * sizeof(*entry));
	vtd_entry_store(vtd, entry, vtd_paddr(vtd, pasids) | dte | VTD_PRESENT);
}

static void scalable_free(struct iog_vtd *vtd)
{
	struct vtd_spare spare = { { NULL } };

	for (uint32_t half = 0; half < 2 * VTD_BUSES; half++) {
		if (!vtd_entry_page(vtd, &vtd->root[half]))
			continue;
		for (uint32_t n = 0; n < HALF; n++) {
			block(vtd, half * HALF + n, &spare);
			vtd_page_free(vtd, spare.pages[1]);
			vtd_page_free(vtd, spare.pages[2]);
			spare = (struct vtd_spare){ { NULL } };
		}
		vtd_page_free(vtd, vtd_entry_page(vtd, &vtd->root[half]));
	}
}

const struct vtd_tables_ops iog_vtd_scalable = { .get = scalable_get, .prepare = scalable_prepare, .set = scalable_set, .free_all = scalable_free };

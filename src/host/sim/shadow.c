/* SPDX-License-Identifier: MIT */
/*
 * Memory as a walker that does not snoop sees it. See shadow.h.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "internal.h"

#define SHADOW_LINE 64
#define SHADOW_LINE_ENTRIES (SHADOW_LINE / sizeof(uint64_t))

struct shadow_page {
	uint64_t cleaned; /* a bit per line */
	uint64_t entries[SIM_PAGE_SIZE / sizeof(uint64_t)];
};

static struct shadow_page *shadow_page(uint64_t value)
{
	return (struct shadow_page *)(uintptr_t)value;
}

int iog_sim_shadow_init(struct shadow *shadow)
{
	return iog_sim_pagemap_init(&shadow->pages);
}

void iog_sim_shadow_fini(struct shadow *shadow)
{
	for (size_t i = 0; shadow->pages.slots && i <= shadow->pages.mask; i++)
		free(shadow_page(shadow->pages.slots[i].value));
	iog_sim_pagemap_fini(&shadow->pages);
}

static struct shadow_page *page_get(struct iog_sim *sim, uint64_t number)
{
	uint64_t *value = pagemap_get(&sim->shadow.pages, number);
	struct shadow_page *page;

	if (!value)
		return NULL;
	if (*value)
		return shadow_page(*value);
	page = calloc(1, sizeof(*page));
	/* Storing something takes the slot that get() has counted, so that remove() may give it back. */
	*value = page ? (uintptr_t)page : 1;
	if (!page)
		iog_sim_pagemap_remove(&sim->shadow.pages, value);
	return page;
}

void iog_sim_shadow_clean(struct iog_sim *sim, const void *va, size_t size)
{
	iog_paddr_t first = ((uintptr_t)va - sim->direct_map_offset) & ~(iog_paddr_t)(SHADOW_LINE - 1);
	iog_paddr_t end = (uintptr_t)va - sim->direct_map_offset + size;

	if (!sim->shadow.on)
		return;
	for (iog_paddr_t line = first; line < end; line += SHADOW_LINE) {
		const _Atomic uint64_t *from = (const _Atomic uint64_t *)(uintptr_t)(line + sim->direct_map_offset);
		uint32_t at = (uint32_t)(line & (SIM_PAGE_SIZE - 1)) / SHADOW_LINE;
		struct shadow_page *page = page_get(sim, line >> SIM_PAGE_SHIFT);

		if (!page) {
			/* A walker that snoops from now on accuses nobody who is innocent. */
			sim->shadow.on = false;
			sim->stats.unjudged++;
			return;
		}
		/* Acquire: pairs with the release by which a table is linked, as read_entry() in walk.c does for walkers that snoop. */
		for (uint32_t n = 0; n < SHADOW_LINE_ENTRIES; n++)
			page->entries[at * SHADOW_LINE_ENTRIES + n] = atomic_load_explicit(&from[n], memory_order_acquire);
		page->cleaned |= UINT64_C(1) << at;
	}
}

void iog_sim_shadow_drop(struct iog_sim *sim, iog_paddr_t first, size_t size)
{
	if (!sim->shadow.pages.slots)
		return;
	for (iog_paddr_t paddr = first; paddr - first < size; paddr += SIM_PAGE_SIZE) {
		uint64_t *value = pagemap_find(&sim->shadow.pages, paddr >> SIM_PAGE_SHIFT);

		if (!value)
			continue;
		free(shadow_page(*value));
		iog_sim_pagemap_remove(&sim->shadow.pages, value);
	}
}

bool iog_sim_shadow_read(const struct iog_sim *sim, iog_paddr_t table, uint32_t index, uint64_t *entry)
{
	/* A table may be larger than a page. */
	iog_paddr_t at = table + (uint64_t)index * sizeof(*entry);
	const uint64_t *value = pagemap_find(&sim->shadow.pages, at >> SIM_PAGE_SHIFT);
	const struct shadow_page *page = value ? shadow_page(*value) : NULL;

	index = (uint32_t)(at & (SIM_PAGE_SIZE - 1)) / sizeof(*entry);
	if (!page || !(page->cleaned >> index / SHADOW_LINE_ENTRIES & 1))
		return false;
	*entry = page->entries[index];
	return true;
}

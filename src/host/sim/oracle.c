/* SPDX-License-Identifier: MIT */
/*
 * What each page should translate to. See oracle.h; verdicts are in judge.c.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "internal.h"

static uint32_t *frame_count(struct iog_sim *sim, uint64_t frame)
{
	return &sim->frames.nr[frame % FRAME_FILTER_SIZE];
}

int iog_sim_oracle_init(struct iog_sim_domain *domain)
{
	int error = iog_sim_pagemap_init(&domain->expected.pages);

	if (!error && domain->sim->exposure.measuring)
		error = iog_sim_pagemap_init(&domain->tickets);
	return error;
}

/* A page stops being what it was. */
static void page_left(struct iog_sim_domain *domain, uint64_t number, uint64_t value, bool completed)
{
	--*frame_count(domain->sim, page_paddr(value) >> SIM_PAGE_SHIFT);
	if (domain->sim->exposure.measuring)
		iog_sim_exposure_left(domain, number, value, completed);
}

static void page_forget(struct iog_sim_domain *domain, uint64_t number, uint64_t *page)
{
	page_left(domain, number, *page, true);
	iog_sim_pagemap_remove(&domain->expected.pages, page);
}

void iog_sim_oracle_fini(struct iog_sim_domain *domain)
{
	struct oracle_pages *expected = &domain->expected;

	if (expected->pages.slots) {
		for (size_t i = 0; i <= expected->pages.mask; i++) {
			if (expected->pages.slots[i].value)
				page_left(domain, expected->pages.slots[i].page, expected->pages.slots[i].value, false);
		}
	}
	iog_sim_pagemap_fini(&expected->pages);
	iog_sim_pagemap_fini(&domain->tickets);
	free(expected->pending);
}

/* Judging on with a part of the pages would accuse the innocent: the domain is given up, and its accesses are counted as not judged. */
static void go_blind(struct iog_sim_domain *domain)
{
	domain->expected.blind = true;
}

/* Note pages as pending, joined to the newest range where possible. Returns false if there was no memory. */
static bool pending_add(struct oracle_pages *expected, struct pending_range range)
{
	if (expected->nr_pending) {
		struct pending_range *newest = &expected->pending[expected->nr_pending - 1];

		if (newest->submitted == range.submitted && newest->devices == range.devices && newest->last + 1 == range.first) {
			newest->last = range.last;
			return true;
		}
	}
	if (expected->nr_pending == expected->max_pending) {
		size_t max = expected->max_pending ? expected->max_pending * 2 : 16;
		struct pending_range *larger = realloc(expected->pending, max * sizeof(*larger));

		if (!larger)
			return false;
		expected->pending = larger;
		expected->max_pending = max;
	}
	expected->pending[expected->nr_pending++] = range;
	return true;
}

/* The pages of a range that are not from @first to @last stay. */
static bool pending_add_rest(struct oracle_pages *expected, struct pending_range range, uint64_t first, uint64_t last)
{
	struct pending_range before = range, after = range;

	before.last = first - 1;
	after.first = last + 1;
	return (first <= range.first || pending_add(expected, before)) && (last >= range.last || pending_add(expected, after));
}

/* A page leaves UNMAPPING out of turn: split the range that holds it. */
static bool pending_punch(struct oracle_pages *expected, uint64_t page)
{
	for (size_t i = 0; i < expected->nr_pending; i++) {
		struct pending_range range = expected->pending[i];

		if (page < range.first || page > range.last)
			continue;
		expected->pending[i] = expected->pending[--expected->nr_pending];
		return pending_add_rest(expected, range, page, page);
	}
	return true;
}

void iog_sim_oracle_map(struct iog_sim_domain *domain, iog_iova_t iova, iog_paddr_t paddr, uint64_t size, uint32_t prot)
{
	struct oracle_pages *expected = &domain->expected;
	struct iog_sim *sim = domain->sim;
	uint64_t first = iova >> SIM_PAGE_SHIFT;
	uint64_t pages = size >> SIM_PAGE_SHIFT;
	uint64_t reused = 0, reused_state = 0, reused_page = 0;

	if (expected->blind)
		return;
	prot &= IOG_PROT_READ | IOG_PROT_WRITE;
	/* Entries of some formats cannot forbid reading. */
	prot |= domain->format->implied;

	for (uint64_t i = 0; i < pages; i++, paddr += SIM_PAGE_SIZE) {
		uint64_t *page = pagemap_get(&expected->pages, first + i);

		if (!page) {
			go_blind(domain);
			return;
		}
		if (*page) {
			bool revived = sim->revival && *page == (paddr | (uint64_t)prot << PAGE_PROT_SHIFT | PAGE_UNMAPPING);

			if (!revived && !reused++) {
				reused_state = *page;
				reused_page = first + i;
			}
			page_left(domain, first + i, *page, false);
			if (page_state(*page) == PAGE_UNMAPPING && !pending_punch(expected, first + i)) {
				go_blind(domain);
				return;
			}
		}
		*page = paddr | (uint64_t)prot << PAGE_PROT_SHIFT | PAGE_MAPPED;
		++*frame_count(sim, paddr >> SIM_PAGE_SHIFT);
		if (sim->exposure.measuring)
			iog_sim_exposure_mapped(sim, paddr >> SIM_PAGE_SHIFT);
	}
	if (reused)
		iog_sim_violation(sim, IOG_SIM_EARLY_REUSE, domain->id, reused_page << SIM_PAGE_SHIFT, page_paddr(reused_state),
				  "mapped again while %s; it led to 0x%" PRIx64 " (%" PRIu64 " page(s) of this map)",
				  page_state(reused_state) == PAGE_MAPPED ? "still mapped"
									  : "the invalidation of its mapping has not completed",
				  page_paddr(reused_state), reused);
}

static void page_unmapping(struct iog_sim_domain *domain, uint64_t number, uint64_t *page)
{
	*page ^= PAGE_MAPPED ^ PAGE_UNMAPPING;
	if (domain->sim->exposure.measuring)
		iog_sim_exposure_unmapping(domain, number, page_paddr(*page) >> SIM_PAGE_SHIFT);
}

/* More pages than the map has slots: look at the slots instead. */
static bool unmap_scan(struct iog_sim_domain *domain, uint64_t first, uint64_t last, uint64_t submitted)
{
	struct oracle_pages *expected = &domain->expected;

	for (size_t i = 0; i <= expected->pages.mask; i++) {
		struct pagemap_slot *slot = &expected->pages.slots[i];

		if (page_state(slot->value) != PAGE_MAPPED || slot->page < first || slot->page > last)
			continue;
		page_unmapping(domain, slot->page, &slot->value);
		if (!pending_add(expected, (struct pending_range){ slot->page, slot->page, submitted, 0 }))
			return false;
	}
	return true;
}

static bool unmap_pages(struct iog_sim_domain *domain, uint64_t first, uint64_t last, uint64_t submitted)
{
	struct oracle_pages *expected = &domain->expected;
	uint64_t run = 0; /* pages up to here that have just become UNMAPPING */
	uint64_t at = first;

	for (; at <= last; at++) {
		uint64_t *page = pagemap_find(&expected->pages, at);

		if (page && page_state(*page) == PAGE_MAPPED) {
			page_unmapping(domain, at, page);
			run++;
		} else if (run) {
			if (!pending_add(expected, (struct pending_range){ at - run, at - 1, submitted, 0 }))
				return false;
			run = 0;
		}
	}
	return !run || pending_add(expected, (struct pending_range){ at - run, last, submitted, 0 });
}

void iog_sim_oracle_unmap(struct iog_sim_domain *domain, iog_iova_t iova, uint64_t size)
{
	struct oracle_pages *expected = &domain->expected;
	uint64_t first = iova >> SIM_PAGE_SHIFT;
	uint64_t last = first + (size >> SIM_PAGE_SHIFT) - 1;
	uint64_t submitted = domain->sim->queue.submitted;
	bool noted;

	if (expected->blind || !(size >> SIM_PAGE_SHIFT))
		return;
	if (last - first > expected->pages.mask)
		noted = unmap_scan(domain, first, last, submitted);
	else
		noted = unmap_pages(domain, first, last, submitted);
	if (!noted)
		go_blind(domain);
}

/*
 * Pages of one pending range are covered by the unit's command @number. Returns false if there was no memory for what is left of it.
 */
static bool pages_invalidated(struct iog_sim_domain *domain, struct pending_range range, uint64_t number, bool named)
{
	struct oracle_pages *expected = &domain->expected;

	for (uint64_t at = range.first; at <= range.last; at++) {
		uint64_t *page = pagemap_find(&expected->pages, at);
		struct pending_range rest = { at, at, range.submitted, 0 };
		struct walk walk;

		if (!page || page_state(*page) != PAGE_UNMAPPING)
			continue;
		if (!named) {
			iog_sim_walk_memory(domain, at << SIM_PAGE_SHIFT, &walk);
			if (walk.fault == WALK_OK) {
				if (!pending_add(expected, rest))
					return false;
				continue;
			}
		}
		if (domain->ats) {
			rest.submitted = number;
			rest.devices = domain->ats;
			if (!pending_add(expected, rest))
				return false;
		} else {
			page_forget(domain, at, page);
		}
	}
	return true;
}

/* @device has forgotten the pages of a range. */
static bool pages_device_invalidated(struct iog_sim_domain *domain, struct pending_range range, uint64_t device)
{
	range.devices &= ~device;
	if (range.devices)
		return pending_add(&domain->expected, range);
	for (uint64_t at = range.first; at <= range.last; at++) {
		uint64_t *page = pagemap_find(&domain->expected.pages, at);

		if (page && page_state(*page) == PAGE_UNMAPPING)
			page_forget(domain, at, page);
	}
	return true;
}

/* @device: 0 for the unit. */
static void invalidated(struct iog_sim_domain *domain, uint64_t device, uint64_t first, uint64_t last, uint64_t number, bool named)
{
	struct oracle_pages *expected = &domain->expected;

	domain->sim->exposure.covered_at = 0;
	/* Downwards: what is left of a range goes to the end, where this loop has been. */
	for (size_t i = expected->nr_pending; i-- > 0;) {
		struct pending_range range = expected->pending[i], covered = range;

		covered.first = range.first > first ? range.first : first;
		covered.last = range.last < last ? range.last : last;
		/* Commands up to number @submitted came before. */
		if (range.submitted >= number || covered.first > covered.last || (device ? !(range.devices & device) : range.devices != 0))
			continue;
		expected->pending[i] = expected->pending[--expected->nr_pending];
		if (!pending_add_rest(expected, range, covered.first, covered.last) ||
		    !(device ? pages_device_invalidated(domain, covered, device) : pages_invalidated(domain, covered, number, named))) {
			go_blind(domain);
			return;
		}
	}
}

void iog_sim_oracle_invalidated(struct iog_sim_domain *domain, iog_iova_t first, iog_iova_t last, uint64_t number, bool named)
{
	invalidated(domain, 0, first >> SIM_PAGE_SHIFT, last >> SIM_PAGE_SHIFT, number, named);
}

void iog_sim_oracle_device_invalidated(struct iog_sim_domain *domain, uint64_t device, iog_iova_t first, iog_iova_t last, uint64_t number)
{
	invalidated(domain, device, first >> SIM_PAGE_SHIFT, last >> SIM_PAGE_SHIFT, number, true);
}

void iog_sim_oracle_device_gone(struct iog_sim_domain *domain, uint64_t device)
{
	invalidated(domain, device, 0, UINT64_MAX, UINT64_MAX, true);
}

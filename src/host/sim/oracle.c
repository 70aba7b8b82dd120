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

int iog_sim_oracle_init(struct oracle_pages *expected)
{
	return iog_sim_pagemap_init(&expected->pages);
}

static void page_forget(struct iog_sim_domain *domain, uint64_t *page)
{
	--*frame_count(domain->sim, page_paddr(*page) >> SIM_PAGE_SHIFT);
	iog_sim_pagemap_remove(&domain->expected.pages, page);
}

void iog_sim_oracle_fini(struct iog_sim_domain *domain)
{
	struct oracle_pages *expected = &domain->expected;

	if (expected->pages.slots) {
		for (size_t i = 0; i <= expected->pages.mask; i++) {
			if (expected->pages.slots[i].value)
				--*frame_count(domain->sim, page_paddr(expected->pages.slots[i].value) >> SIM_PAGE_SHIFT);
		}
	}
	iog_sim_pagemap_fini(&expected->pages);
	free(expected->pending);
}

/* Judging on with a part of the pages would accuse the innocent: the domain is given up, and its accesses are counted as not judged. */
static void go_blind(struct iog_sim_domain *domain)
{
	domain->expected.blind = true;
}

/* Note pages as pending, joined to the newest range where possible. Returns false if there was no memory. */
static bool pending_add(struct oracle_pages *expected, uint64_t first, uint64_t last, uint64_t submitted)
{
	if (expected->nr_pending) {
		struct pending_range *newest = &expected->pending[expected->nr_pending - 1];

		if (newest->submitted == submitted && newest->last + 1 == first) {
			newest->last = last;
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
	expected->pending[expected->nr_pending++] = (struct pending_range){ first, last, submitted };
	return true;
}

/* A page leaves UNMAPPING out of turn: split the range that holds it. */
static bool pending_punch(struct oracle_pages *expected, uint64_t page)
{
	for (size_t i = 0; i < expected->nr_pending; i++) {
		struct pending_range range = expected->pending[i];

		if (page < range.first || page > range.last)
			continue;
		expected->pending[i] = expected->pending[--expected->nr_pending];
		return (page == range.first || pending_add(expected, range.first, page - 1, range.submitted)) &&
		       (page == range.last || pending_add(expected, page + 1, range.last, range.submitted));
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
			--*frame_count(sim, page_paddr(*page) >> SIM_PAGE_SHIFT);
			if (page_state(*page) == PAGE_UNMAPPING && !pending_punch(expected, first + i)) {
				go_blind(domain);
				return;
			}
		}
		*page = paddr | (uint64_t)prot << PAGE_PROT_SHIFT | PAGE_MAPPED;
		++*frame_count(sim, paddr >> SIM_PAGE_SHIFT);
	}
	if (reused)
		iog_sim_violation(sim, IOG_SIM_EARLY_REUSE, domain->id, reused_page << SIM_PAGE_SHIFT, page_paddr(reused_state),
				  "mapped again while %s; it led to 0x%" PRIx64 " (%" PRIu64 " page(s) of this map)",
				  page_state(reused_state) == PAGE_MAPPED ? "still mapped"
									  : "the invalidation of its mapping has not completed",
				  page_paddr(reused_state), reused);
}

/* More pages than the map has slots: look at the slots instead. */
static bool unmap_scan(struct oracle_pages *expected, uint64_t first, uint64_t last, uint64_t submitted)
{
	for (size_t i = 0; i <= expected->pages.mask; i++) {
		struct pagemap_slot *slot = &expected->pages.slots[i];

		if (page_state(slot->value) != PAGE_MAPPED || slot->page < first || slot->page > last)
			continue;
		slot->value ^= PAGE_MAPPED ^ PAGE_UNMAPPING;
		if (!pending_add(expected, slot->page, slot->page, submitted))
			return false;
	}
	return true;
}

static bool unmap_pages(struct oracle_pages *expected, uint64_t first, uint64_t last, uint64_t submitted)
{
	uint64_t run = 0; /* pages up to here that have just become UNMAPPING */
	uint64_t at = first;

	for (; at <= last; at++) {
		uint64_t *page = pagemap_find(&expected->pages, at);

		if (page && page_state(*page) == PAGE_MAPPED) {
			*page ^= PAGE_MAPPED ^ PAGE_UNMAPPING;
			run++;
		} else if (run) {
			if (!pending_add(expected, at - run, at - 1, submitted))
				return false;
			run = 0;
		}
	}
	return !run || pending_add(expected, at - run, last, submitted);
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
		noted = unmap_scan(expected, first, last, submitted);
	else
		noted = unmap_pages(expected, first, last, submitted);
	if (!noted)
		go_blind(domain);
}

/*
 * Pages [first, last] of one pending range are covered. Returns false if there was no memory for what is left of it.
 */
static bool pages_invalidated(struct iog_sim_domain *domain, uint64_t first, uint64_t last, uint64_t submitted, bool named)
{
	struct oracle_pages *expected = &domain->expected;

	for (uint64_t at = first; at <= last; at++) {
		uint64_t *page = pagemap_find(&expected->pages, at);

		if (!page || page_state(*page) != PAGE_UNMAPPING)
			continue;
		if (!named) {
			struct walk walk;

			iog_sim_walk_memory(domain, at << SIM_PAGE_SHIFT, &walk);
			if (walk.fault == WALK_OK) {
				if (!pending_add(expected, at, at, submitted))
					return false;
				continue;
			}
		}
		page_forget(domain, page);
	}
	return true;
}

void iog_sim_oracle_invalidated(struct iog_sim_domain *domain, iog_iova_t first, iog_iova_t last, uint64_t number, bool named)
{
	struct oracle_pages *expected = &domain->expected;

	first >>= SIM_PAGE_SHIFT;
	last >>= SIM_PAGE_SHIFT;
	/* Downwards: what is left of a range goes to the end, where this loop has been. */
	for (size_t i = expected->nr_pending; i-- > 0;) {
		struct pending_range range = expected->pending[i];
		uint64_t from = range.first > first ? range.first : first;
		uint64_t to = range.last < last ? range.last : last;

		/* Commands up to number @submitted were in the queue when the range was noted. */
		if (range.submitted >= number || from > to)
			continue;
		expected->pending[i] = expected->pending[--expected->nr_pending];
		if ((from > range.first && !pending_add(expected, range.first, from - 1, range.submitted)) ||
		    !pages_invalidated(domain, from, to, range.submitted, named) ||
		    (to < range.last && !pending_add(expected, to + 1, range.last, range.submitted))) {
			go_blind(domain);
			return;
		}
	}
}

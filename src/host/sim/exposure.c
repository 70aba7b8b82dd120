/* SPDX-License-Identifier: MIT */
/*
 * Exposure, measured. See exposure.h.
 */
#include "internal.h"

/* A ticket's value: the low bit is always set, so that it is never 0. */
#define TICKET_LIVE UINT64_C(1)
#define TICKET_RETURNED UINT64_C(2)
#define TICKET_PAGE UINT64_C(4)

#define FRAME_MAPPED UINT64_C(1)
#define FRAME_WAITING (UINT64_C(1) << 32)

int iog_sim_exposure_init(struct exposure *exposure)
{
	if (iog_sim_pagemap_init(&exposure->unmaps) || iog_sim_pagemap_init(&exposure->returns) || iog_sim_pagemap_init(&exposure->frames) || iog_sim_pagemap_init(&exposure->reused))
		return -IOG_ENOMEM;
	return 0;
}

void iog_sim_exposure_fini(struct exposure *exposure)
{
	iog_sim_pagemap_fini(&exposure->unmaps);
	iog_sim_pagemap_fini(&exposure->returns);
	iog_sim_pagemap_fini(&exposure->frames);
	iog_sim_pagemap_fini(&exposure->reused);
}

static bool measures(const struct iog_sim *sim)
{
	return sim->exposure.measuring && !sim->exposure.incomplete;
}

/* A part of the counts would tell untruths: none are kept any more. */
static void give_up(struct iog_sim *sim)
{
	sim->exposure.incomplete = true;
	sim->stats.exposure.incomplete = 1;
}

uint64_t iog_sim_exposure_ticket(struct iog_sim *sim)
{
	return measures(sim) ? ++sim->exposure.ticket : 0;
}

/* Relaxed, in two steps: the writers hold the lock; who looks without it has taken it since, in the invalidation that it waited for. */
static void waiting_add(struct exposure *exposure, uint64_t change)
{
	atomic_store_explicit(&exposure->waiting, atomic_load_explicit(&exposure->waiting, memory_order_relaxed) + change, memory_order_relaxed);
}

static void frame_add(struct iog_sim *sim, uint64_t frame, uint64_t change)
{
	uint64_t *count;

	if (!sim->exposure.by_frame)
		return;
	count = pagemap_get(&sim->exposure.frames, frame);
	if (!count) {
		give_up(sim);
		return;
	}
	*count += change;
	if (!*count)
		iog_sim_pagemap_remove(&sim->exposure.frames, count);
}

void iog_sim_exposure_mapped(struct iog_sim *sim, uint64_t frame)
{
	if (measures(sim))
		frame_add(sim, frame, FRAME_MAPPED);
}

void iog_sim_exposure_unmapping(struct iog_sim_domain *domain, uint64_t page, uint64_t frame)
{
	struct iog_sim *sim = domain->sim;
	uint64_t *carried, *pages;

	if (!measures(sim))
		return;
	frame_add(sim, frame, FRAME_WAITING - FRAME_MAPPED);
	carried = pagemap_get(&domain->tickets, page);
	if (carried)
		*carried = sim->exposure.ticket;
	pages = pagemap_get(&sim->exposure.unmaps, sim->exposure.ticket);
	if (pages)
		*pages = (*pages | TICKET_LIVE) + TICKET_PAGE;
	if (!carried || !pages) {
		give_up(sim);
		return;
	}
	waiting_add(&sim->exposure, 1);
}

/* One look at the clock for all that a command covers; none for what was waited for. */
static uint64_t covered_at(struct iog_sim *sim)
{
	if (!sim->exposure.covered_at)
		sim->exposure.covered_at = iog_sim_now(sim) + 1;
	return sim->exposure.covered_at;
}

/* A page's unmap is covered. @returned: when it returned, plus 1; 0 if it has not. */
static void covered(struct iog_sim *sim, uint64_t returned)
{
	struct iog_sim_exposure *stats = &sim->stats.exposure;
	uint64_t at = returned ? covered_at(sim) : 0;
	uint64_t ns = at > returned ? at - returned : 0;
	uint32_t bits = 0;

	while (bits < IOG_SIM_EXPOSURE_BUCKETS - 1 && ns >> bits)
		bits++;
	stats->pages++;
	stats->log2_ns[bits]++;
	stats->sum_ns += ns;
	if (ns > stats->max_ns)
		stats->max_ns = ns;
	if (ns > sim->exposure.period_max)
		sim->exposure.period_max = ns;
}

void iog_sim_exposure_left(struct iog_sim_domain *domain, uint64_t page, uint64_t value, bool completed)
{
	struct iog_sim *sim = domain->sim;
	struct exposure *exposure = &sim->exposure;
	uint64_t *carried, *pages, *returned, ticket;

	if (!measures(sim))
		return;
	if (page_state(value) == PAGE_MAPPED) {
		frame_add(sim, page_paddr(value) >> SIM_PAGE_SHIFT, -FRAME_MAPPED);
		return;
	}
	frame_add(sim, page_paddr(value) >> SIM_PAGE_SHIFT, -FRAME_WAITING);
	carried = pagemap_find(&domain->tickets, page);
	if (!carried)
		return;
	ticket = *carried;
	iog_sim_pagemap_remove(&domain->tickets, carried);
	waiting_add(exposure, (uint64_t)-1);
	returned = pagemap_find(&exposure->returns, ticket);
	if (completed)
		covered(sim, returned ? *returned : 0);
	pages = pagemap_find(&exposure->unmaps, ticket);
	if (!pages)
		return;
	*pages -= TICKET_PAGE;
	if (*pages >= TICKET_PAGE)
		return;
	iog_sim_pagemap_remove(&exposure->unmaps, pages);
	if (returned)
		iog_sim_pagemap_remove(&exposure->returns, returned);
}

void iog_sim_exposure_access(struct iog_sim_domain *domain, uint64_t page, uint64_t frame, uint64_t size)
{
	struct iog_sim *sim = domain->sim;
	struct iog_sim_exposure *stats = &sim->stats.exposure;
	const uint64_t *carried, *pages, *changed;

	if (!measures(sim))
		return;
	carried = pagemap_find(&domain->tickets, page);
	if (!carried)
		return;
	pages = pagemap_find(&sim->exposure.unmaps, *carried);
	if (pages && *pages & TICKET_RETURNED) {
		stats->late_accesses++;
		stats->late_bytes += size;
	}
	changed = pagemap_find(&sim->exposure.reused, frame);
	if (changed && *changed > *carried) {
		stats->reused_accesses++;
		stats->reused_bytes += size;
	}
}

/* Runs that tell of no reuse do without these counts: they begin here, with what is there. */
static void frames_begin(struct iog_sim *sim)
{
	sim->exposure.by_frame = true;
	for (const struct iog_sim_domain *domain = sim->domains; domain; domain = domain->next) {
		const struct pagemap *pages = &domain->expected.pages;

		for (size_t i = 0; i <= pages->mask && measures(sim); i++) {
			uint64_t value = pages->slots[i].value;

			if (value)
				frame_add(sim, page_paddr(value) >> SIM_PAGE_SHIFT, page_state(value) == PAGE_MAPPED ? FRAME_MAPPED : FRAME_WAITING);
		}
	}
}

struct exposed iog_sim_exposure_reused(struct iog_sim *sim, uint64_t frame)
{
	struct exposed exposed = { 0, 0 };
	const uint64_t *count;
	uint64_t *changed;

	if (!sim->exposure.by_frame)
		frames_begin(sim);
	count = pagemap_find(&sim->exposure.frames, frame);
	if (!count)
		return exposed;
	exposed.mapped = (uint32_t)*count;
	exposed.waiting = (uint32_t)(*count >> 32);
	/* Who is unmapped later than this waits for something else. */
	if (exposed.waiting && measures(sim)) {
		sim->stats.exposure.reuses++;
		changed = pagemap_get(&sim->exposure.reused, frame);
		if (changed)
			*changed = iog_sim_exposure_ticket(sim);
		else
			give_up(sim);
	}
	return exposed;
}

void iog_sim_note_unmapped(struct iog_sim *sim, uint64_t ticket)
{
	uint64_t *pages, *returned;

	/* Nothing waits: what this unmap took away is covered. */
	if (!ticket || !atomic_load_explicit(&sim->exposure.waiting, memory_order_relaxed))
		return;
	sim_lock(sim);
	pages = measures(sim) ? pagemap_find(&sim->exposure.unmaps, ticket) : NULL;
	if (pages) {
		*pages |= TICKET_RETURNED;
		returned = pagemap_get(&sim->exposure.returns, ticket);
		if (returned)
			*returned = iog_sim_now(sim) + 1;
		else
			give_up(sim);
	}
	sim_unlock(sim);
}

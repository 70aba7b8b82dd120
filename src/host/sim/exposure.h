/* SPDX-License-Identifier: MIT */
/*
 * How long devices reach what was unmapped, and what they do there meanwhile. Kept only with IOG_SIM_EXPOSURE.
 *
 * Each noted unmap has a ticket, in their order. Each page that is UNMAPPING carries the ticket of its unmap until it is forgotten; a ticket lives while pages carry
 * it. When memory changes hands a ticket is kept by the page of memory: an access is on reused memory if that came after the unmap.
 *
 * Invariants: unmaps[t] counts the pages, of all domains, that carry t; returns[t] is there if unmaps[t] is, and has returned; frames[p], with by_frame, counts the pages that lead to p.
 * Locking: the unit's lock.
 */
#ifndef IOG_SIM_EXPOSURE_H
#define IOG_SIM_EXPOSURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <iogate/types.h>

#include "pagemap.h"

struct iog_sim;
struct iog_sim_domain;

struct exposure {
	bool measuring;        /* constant: IOG_SIM_EXPOSURE */
	bool reuse_counted;    /* constant: IOG_SIM_REUSE_COUNTED */
	bool by_frame;         /* memory has been reused: frames is kept */
	bool incomplete;       /* memory ran out: nothing is measured any more */
	uint64_t ticket;       /* the newest */
	uint64_t covered_at;   /* when what is being executed has completed, plus 1; 0: nobody has asked yet */
	uint64_t period_max;   /* the longest since the last iog_sim_stats_take() */
	_Atomic uint64_t waiting; /* pages that carry a ticket, of all domains; written under the lock */
	struct pagemap unmaps; /* ticket -> pages that carry it, and whether the unmap has returned */
	struct pagemap returns; /* ticket -> when it has, plus 1. Goes with its pages */
	struct pagemap frames; /* page of memory -> pages that lead to it: mapped ones, and above, waiting ones */
	struct pagemap reused; /* page of memory -> the ticket of when it last changed hands while somebody waited */
};

/* Pages that lead to a page of memory. */
struct exposed {
	uint32_t mapped;
	uint32_t waiting;
};

/* Returns 0 or -IOG_ENOMEM; fini is called in either case. */
int iog_sim_exposure_init(struct exposure *exposure);
void iog_sim_exposure_fini(struct exposure *exposure);

/* A new ticket, for pages that will be unmapped from now on. */
uint64_t iog_sim_exposure_ticket(struct iog_sim *sim);

/* A page is MAPPED to @frame now; turns from that to UNMAPPING; is neither any more, and was @value (@completed: by an invalidation). */
void iog_sim_exposure_mapped(struct iog_sim *sim, uint64_t frame);
void iog_sim_exposure_unmapping(struct iog_sim_domain *domain, uint64_t page, uint64_t frame);
void iog_sim_exposure_left(struct iog_sim_domain *domain, uint64_t page, uint64_t value, bool completed);

/* An access of @size bytes has landed on a page that is UNMAPPING. */
void iog_sim_exposure_access(struct iog_sim_domain *domain, uint64_t page, uint64_t frame, uint64_t size);

/* A page of memory changes hands. Returns who can reach it. */
struct exposed iog_sim_exposure_reused(struct iog_sim *sim, uint64_t frame);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The judge: what each page should translate to, and whether what happened was right.
 *
 * A page of a domain is
 *   absent     no access may land
 *   MAPPED     accesses that it permits must land, at its address; others must not
 *   UNMAPPING  noted as about to be unmapped: accesses may fault, or land where it was, until an invalidation that was submitted later
 *              has completed
 *
 * Which invalidation ends UNMAPPING? One that names the page: a range command of the caller's own, or a range of a gather, both of which
 * come after the unmap. A command that covers the page by the way (the whole domain, the span of a table) may belong to somebody else and
 * overtake an unmap that has been noted but has not cleared its entry yet: then the page is only taken for absent when the tables in
 * memory have no translation of it any more.
 *
 * Devices with a TLB of their own reach the page until they have forgotten it, too: the unit's invalidation ends the first half of UNMAPPING only, and what each of them
 * is told after that the second.
 *
 * Invariants: every UNMAPPING page is in exactly one range of @pending, and the ranges hold no other pages. frames.nr[hash(p)] = MAPPED
 * and UNMAPPING pages, of all domains, whose memory has that hash.
 * Locking: the unit's lock.
 */
#ifndef IOG_SIM_ORACLE_H
#define IOG_SIM_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iogate/host/sim.h>

#include "pagemap.h"
#include "walk.h"

#define FRAME_FILTER_SIZE 4096

/*
 * Pages from @first to @last, which an invalidation beyond number @submitted ends: of the unit, or where @devices is not 0, of the TLBs of these, the unit having
 * forgotten the pages.
 */
struct pending_range {
	uint64_t first;
	uint64_t last;
	uint64_t submitted;
	uint64_t devices;
};

struct oracle_pages {
	struct pagemap pages;
	struct pending_range *pending;
	size_t nr_pending;
	size_t max_pending;
	bool blind; /* memory ran out: this domain is not judged any more */
};

/* A page's value: its address in memory, permissions, state. */
enum page_state {
	PAGE_ABSENT = 0, /* never stored */
	PAGE_MAPPED = 1,
	PAGE_UNMAPPING = 2,
};
#define PAGE_STATE_MASK UINT64_C(3)
#define PAGE_PROT_SHIFT 2

static inline enum page_state page_state(uint64_t page)
{
	return (enum page_state)(page & PAGE_STATE_MASK);
}

static inline uint32_t page_prot(uint64_t page)
{
	return (uint32_t)(page >> PAGE_PROT_SHIFT) & (IOG_PROT_READ | IOG_PROT_WRITE);
}

static inline iog_paddr_t page_paddr(uint64_t page)
{
	return page & ~UINT64_C(0xfff);
}

/* Tells in no time that no page of any domain leads to a page of memory. */
struct frame_filter {
	uint32_t nr[FRAME_FILTER_SIZE];
};

/* Returns 0 or -IOG_ENOMEM; fini is called in either case. */
int iog_sim_oracle_init(struct iog_sim_domain *domain);
void iog_sim_oracle_fini(struct iog_sim_domain *domain);

void iog_sim_oracle_map(struct iog_sim_domain *domain, iog_iova_t iova, iog_paddr_t paddr, uint64_t size, uint32_t prot);
void iog_sim_oracle_unmap(struct iog_sim_domain *domain, iog_iova_t iova, uint64_t size);

/* An invalidation of [first, last] has taken effect, submitted as command number @number. @named: it names its pages, see above. */
void iog_sim_oracle_invalidated(struct iog_sim_domain *domain, iog_iova_t first, iog_iova_t last, uint64_t number, bool named);

/* The same in the TLB of @device, a bit. */
void iog_sim_oracle_device_invalidated(struct iog_sim_domain *domain, uint64_t device, iog_iova_t first, iog_iova_t last, uint64_t number);

/* A device cannot reach anything of the domain any more. */
void iog_sim_oracle_device_gone(struct iog_sim_domain *domain, uint64_t device);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * How many mappings use each page of an address space where several may use one: identity addresses. What the judge is told follows from it: a page is mapped by its first
 * user, and unmapped by its last.
 *
 * Users of a page who unmap it at the same time come to the library in any order, and the page is gone when the last of those calls has returned, whoever came here last.
 *
 * Any number of threads. The judge is told under the lock, so that it hears of users in their order.
 */
#ifndef IOGATE_TOOL_SHARES_H
#define IOGATE_TOOL_SHARES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <iogate/host/sim.h>

#include "users.h"

/* Pages that are being unmapped. */
struct leaving {
	uint64_t iova, size;
	uint64_t ticket; /* for iog_sim_note_unmapped(); 0: the judge was not told, as the pages have other users */
};

/* The list is the owner's to free. */
struct tickets {
	struct leaving *list;
	uint32_t count, room;
};

struct shares {
	struct iog_sim_domain *seen;
	bool counted; /* else every page has one user, and nothing is kept */
	pthread_mutex_t mutex;
	struct users users;
	struct users leavers;  /* of each page: unmaps that have not returned */
	struct tickets others; /* returned, and others are unmapping the same pages */
};

void shares_init(struct shares *shares, struct iog_sim_domain *seen, bool counted);
void shares_fini(struct shares *shares);

/* A map has returned: tell the judge. Pages of 4 KiB. */
void shares_map(struct shares *shares, uint64_t iova, uint64_t paddr, uint64_t size, uint32_t prot);

/* An unmap is about to begin: tell the judge, and add to @tickets. Returns whether the first page has no user left. */
bool shares_unmap(struct shares *shares, uint64_t iova, uint64_t size, struct tickets *tickets);

/* The unmaps have returned: tell the judge of pages that nobody is unmapping any more. No @tickets are left. */
void shares_returned(struct shares *shares, struct tickets *tickets, struct iog_sim *sim);

#endif

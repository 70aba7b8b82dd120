/* SPDX-License-Identifier: MIT */
/*
 * How many mappings use each page of an address space where several may use one: identity addresses. What the judge is told follows from it: a page is mapped by its first
 * user, and unmapped by its last.
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

/* Unmaps that the judge was told of and that have not returned (iog_sim_note_unmapped()). The list is the owner's to free. */
struct tickets {
	uint64_t *list;
	uint32_t count, room;
};

struct shares {
	struct iog_sim_domain *seen;
	bool counted; /* else every page has one user, and nothing is kept */
	pthread_mutex_t mutex;
	struct users users;
};

void shares_init(struct shares *shares, struct iog_sim_domain *seen, bool counted);
void shares_fini(struct shares *shares);

/* A map has returned: tell the judge. Pages of 4 KiB. */
void shares_map(struct shares *shares, uint64_t iova, uint64_t paddr, uint64_t size, uint32_t prot);

/* An unmap is about to begin: tell the judge, and add to @tickets. Returns whether the first page has no user left. */
bool shares_unmap(struct shares *shares, uint64_t iova, uint64_t size, struct tickets *tickets);

/* The unmaps have returned: tell the judge. None are left. */
void tickets_returned(struct tickets *tickets, struct iog_sim *sim);

#endif

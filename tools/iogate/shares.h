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

struct share {
	uint64_t page; /* number + 1; 0: no page */
	uint32_t users;
};

struct shares {
	struct iog_sim_domain *seen;
	bool counted; /* else every page has one user, and nothing is kept */
	pthread_mutex_t mutex;
	struct share *table;
	uint64_t room; /* a power of two */
	uint64_t used;
};

void shares_init(struct shares *shares, struct iog_sim_domain *seen, bool counted);
void shares_fini(struct shares *shares);

/* A map has returned: tell the judge. Pages of 4 KiB. */
void shares_map(struct shares *shares, uint64_t iova, uint64_t paddr, uint64_t size, uint32_t prot);

/* An unmap is about to begin: tell the judge. Returns whether the first page has no user left. */
bool shares_unmap(struct shares *shares, uint64_t iova, uint64_t size);

#endif

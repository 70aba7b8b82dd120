/* SPDX-License-Identifier: MIT */
/*
 * The invalidation queue: commands wait in a ring and are executed in order, by a wait, or when the ring is full.
 *
 * Invariant: submitted - executed = commands in the ring <= size. Command n is the n-th ever submitted, from 1.
 * Locking: the unit's lock.
 */
#ifndef IOG_SIM_QUEUE_H
#define IOG_SIM_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include <iogate/types.h>

struct iog_gather;
struct iog_sim;
struct iog_sim_domain;

enum command_flags {
	COMMAND_LEAF_ONLY = 1 << 0, /* keep the walk caches */
	COMMAND_DOMAIN = 1 << 1,    /* the whole domain */
	COMMAND_NAMED = 1 << 2,     /* the submitter's own unmapped pages and no others, see oracle.h */
};

struct command {
	struct iog_sim_domain *domain;
	iog_iova_t first;
	iog_iova_t last;
	uint32_t flags; /* enum command_flags */
};

struct queue {
	struct command *ring;
	uint32_t size;
	uint64_t submitted;
	uint64_t executed;
};

/* Returns 0 or -IOG_ENOMEM; fini is called in either case. */
int iog_sim_queue_init(struct queue *queue, uint32_t size);
void iog_sim_queue_fini(struct queue *queue);

void iog_sim_queue_submit(struct iog_sim_domain *domain, iog_iova_t first, iog_iova_t last, uint32_t flags);

/* Execute all that was submitted. */
void iog_sim_queue_drain(struct iog_sim *sim);

/* The commands that a gather asks for. Does not drain. */
void iog_sim_queue_submit_gather(struct iog_sim_domain *domain, const struct iog_gather *gather);

#endif

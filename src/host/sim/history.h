/* SPDX-License-Identifier: MIT */
/*
 * The last few thousand events of a unit, in a ring. Written at every turn, read only when somebody asks about an address.
 *
 * Locking: the unit's lock.
 */
#ifndef IOG_SIM_HISTORY_H
#define IOG_SIM_HISTORY_H

#include <stdint.h>
#include <stdio.h>

#include <iogate/types.h>

#define HISTORY_EVENTS 4096

struct iog_sim_domain;
struct iog_sim;

enum event_kind {
	EVENT_NONE,
	EVENT_MAP,         /* first..last -> paddr, prot */
	EVENT_UNMAP,       /* first..last */
	EVENT_ACCESS,      /* first -> paddr, prot; @fault and @source say how; @table the last table read */
	EVENT_QUEUED,      /* an invalidation of first..last was submitted */
	EVENT_INVALIDATED, /* it has taken effect */
	EVENT_LOST,        /* it has not, or nobody was told */
	EVENT_TABLE_TAKEN, /* @table, for all domains */
	EVENT_TABLE_FREED,
	EVENT_TABLE_GONE, /* its memory went back to the host */
	EVENT_VIOLATION,  /* at first; @detail is the kind */
};

enum event_flags {
	EVENT_LEAF_ONLY = 1 << 0, /* an invalidation that kept the walk caches */
	EVENT_DOMAIN = 1 << 1,    /* an invalidation of the whole domain */
	EVENT_DEVICE = 1 << 2,    /* an invalidation of a device's TLB */
};

struct event {
	uint64_t first;
	uint64_t last;
	uint64_t paddr;
	uint64_t table;
	uint32_t domain;
	uint8_t kind;
	uint8_t prot;
	uint8_t source; /* enum walk_source */
	uint8_t detail; /* enum walk_fault, event_flags, or a violation's kind */
};

struct history {
	uint64_t nr; /* events ever */
	struct event events[HISTORY_EVENTS];
};

/* Where the next event goes. The caller fills in all of it. */
static inline struct event *history_next(struct history *history)
{
	return &history->events[history->nr++ % HISTORY_EVENTS];
}

/* Print what happened to an address, and to the tables its walks have read, newest last. */
void iog_sim_history_print(const struct iog_sim *sim, uint32_t domain, iog_iova_t iova, FILE *stream);

#endif

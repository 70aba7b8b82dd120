/* SPDX-License-Identifier: MIT */
/*
 * Which tables are in use, as table memory reports it through the observers of its platform. With that the unit never reads memory that
 * was given back: a stale pointer becomes a violation, not a crash.
 *
 * A table is known from the first time it leaves the stock until its memory goes back to the host, and is live or freed. Roots are not
 * reported; domains name theirs.
 * Locking: the unit's lock.
 */
#ifndef IOG_SIM_TABLES_H
#define IOG_SIM_TABLES_H

#include <stdbool.h>

#include <iogate/platform.h>

#include "pagemap.h"

struct iog_sim;
struct iog_sim_domain;

enum table_state {
	TABLE_LIVE = 1,
	TABLE_FREED = 2, /* and above it, which lines are poisoned */
};
#define TABLE_STATE_MASK UINT64_C(3)
#define TABLE_PHASE_SHIFT 2

struct tables {
	bool observing;           /* constant once tables are in use */
	bool incomplete;          /* memory ran out: no table is judged any more */
	struct iog_platform host; /* constant once observing */
	uint64_t freed;           /* tables given back, ever */
	struct pagemap known;     /* page of a table -> enum table_state and phase */
};

/* Have @platform report to @sim. */
void iog_sim_tables_observe(struct iog_sim *sim, struct iog_platform *platform);

/* Whether a table may be read. @domain tells its root. */
bool iog_sim_table_readable(const struct iog_sim_domain *domain, iog_paddr_t table);

/* Whether a table has ever been handed out in the memory that is there now. */
bool iog_sim_table_known(const struct iog_sim *sim, iog_paddr_t table);

#endif

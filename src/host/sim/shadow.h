/* SPDX-License-Identifier: MIT */
/*
 * Memory as a walker that does not snoop sees it: table memory of the observed platform, line by line as it was when it was last cleaned.
 *
 * A line that was never cleaned since its page came from the host holds nobody knows what: reading it is a fault of its own.
 * Locking: the unit's lock.
 */
#ifndef IOG_SIM_SHADOW_H
#define IOG_SIM_SHADOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iogate/types.h>

#include "pagemap.h"

struct iog_sim;

struct shadow {
	bool on;              /* constant once tables are in use; off again when memory runs out */
	struct pagemap pages; /* page of memory -> its struct shadow_page */
};

/* Returns 0 or -IOG_ENOMEM; fini is called in either case. */
int iog_sim_shadow_init(struct shadow *shadow);
void iog_sim_shadow_fini(struct shadow *shadow);

/* The lines of [va, va + size) are written back. */
void iog_sim_shadow_clean(struct iog_sim *sim, const void *va, size_t size);

/* Memory goes back to the host. */
void iog_sim_shadow_drop(struct iog_sim *sim, iog_paddr_t first, size_t size);

/* What the walker reads. Returns false for a line that was never cleaned. */
bool iog_sim_shadow_read(const struct iog_sim *sim, iog_paddr_t table, uint32_t index, uint64_t *entry);

#endif

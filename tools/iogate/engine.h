/* SPDX-License-Identifier: MIT */
/*
 * One page table with all it needs to run: a platform, table memory, a gather per lane, and a simulated IOMMU that walks and judges it, one that QEMU models, or none.
 *
 * Lanes are the caller's threads; each uses its own struct engine_lane and nobody else's.
 */
#ifndef IOGATE_TOOL_ENGINE_H
#define IOGATE_TOOL_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include <iogate/gather.h>
#include <iogate/host/posix.h>
#include <iogate/host/sim.h>
#include <iogate/pgtable.h>
#include <iogate/tablemem.h>

#include "message.h"
#include "model.h"

/* Address bits: what iogate takes when none are asked for; a few formats have more then. */
#define FORMAT_IAS 48

/* Unmaps that a deferred flush waits for. */
#define DEFERRED_BATCH 256
/* And how long at most. */
#define DEFERRED_MS 10
/* How often the timer of a lane comes, by which that holds. */
#define TICK_MS 1

struct engine_config {
	const char *format;
	enum iog_reclaim reclaim;
	uint32_t lanes;        /* 0 is 1 */
	bool simulate;         /* with a simulated IOMMU and its judge */
	const struct model_kind *model; /* with one that QEMU models, in whose memory the tables are; not with @simulate */
	const struct iog_sim_config *hardware; /* its configuration; NULL: by default */
	bool paced;            /* by the clock of pace.h */
	bool cache_clean;      /* clean cache lines as for a walker that does not snoop */
	uint32_t flags;        /* enum iog_pgtable_flags */
	uint64_t page_sizes;   /* leaf sizes; 0: all of the format's */
	uint64_t memory_limit; /* bytes of table memory; 0: half of what the machine has available */
};

struct engine;

struct engine_lane {
	_Alignas(64) struct engine *engine;
	iog_lane_t lane;
	/* Counted where there is no simulated IOMMU to do it. */
	uint64_t commands;
	uint64_t walk_cache_flushes;
	uint64_t flushes; /* always */
	struct iog_gather gather;
};

struct engine {
	struct iog_posix *posix;
	struct iog_platform platform; /* what table memory uses */
	struct iog_sim *sim;          /* NULL without */
	struct iog_sim_domain *domain;
	struct model model;           /* without a kind where there is none */
	struct iog_tablemem *tablemem;
	struct iog_pgtable *pgtable;
	struct engine_lane *lanes;
	uint32_t nr_lanes;
};

/* Figures of all lanes. */
struct engine_stats {
	uint64_t table_bytes;
	uint64_t table_bytes_peak;
	uint64_t inval_commands; /* ranges and domains; waits apart */
	uint64_t wait_commands;
	uint64_t walk_cache_flushes;
	uint64_t flushes;
	uint64_t memory_limit;
	struct iog_sim_stats sim; /* zero without */
	/* Zero without a model. */
	struct model_counts model;
	uint64_t model_landed, model_faulted;
};

/* The names that --reclaim knows, and the other way round. Returns 0, or -1 for an unknown name. */
int reclaim_parse(const char *name, enum iog_reclaim *reclaim);
const char *reclaim_name(enum iog_reclaim reclaim);

/* Whether a --format is known; if so, where its address space ends (2 to the power of the default address bits) and how it is called in messages. */
bool format_known(const char *name);
uint64_t format_iova_limit(const char *name);
uint64_t format_paddr_limit(const char *name);
/* Bytes of the smallest page. */
uint64_t format_granule(const char *name);
const char *format_title(const char *name);
/* All names, for messages: "vtdss, x86_64". */
const char *format_names(void);

/* Returns 0; or a negative iogate error with @problem set and nothing left to destroy. */
int engine_create(const struct engine_config *config, struct engine *engine, struct problem *problem);

void engine_destroy(struct engine *engine);

/* Give back all table memory but the root's: every lane's empty tables and stock. Lanes must be at rest. Returns 0 or a negative iogate error. */
int engine_trim(struct engine *engine);

void engine_stats(const struct engine *engine, struct engine_stats *stats);

/* A page of 4 KiB that devices may reach: its address, and where it is mapped. NULL when there is no memory. */
void *engine_page_alloc(struct engine *engine, iog_paddr_t *paddr);
void engine_page_free(struct engine *engine, void *page);

#endif

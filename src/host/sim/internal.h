/* SPDX-License-Identifier: MIT */
/*
 * The unit and its domains, as the files of the simulator share them.
 *
 * Locking: one lock over everything in struct iog_sim and its domains that is not marked constant. An access, its judgement and the bytes
 * it moves are one critical section; so is the execution of invalidation commands. Hence a completed invalidation also means that no
 * access is in flight.
 */
#ifndef IOG_SIM_INTERNAL_H
#define IOG_SIM_INTERNAL_H

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <iogate/error.h>
#include <iogate/host/sim.h>

#include "cache.h"
#include "device.h"
#include "exposure.h"
#include "faults.h"
#include "history.h"
#include "judge.h"
#include "oracle.h"
#include "pagemap.h"
#include "queue.h"
#include "shadow.h"
#include "tables.h"
#include "walk.h"

#define SIM_PAGE_SHIFT 12
#define SIM_PAGE_SIZE (UINT64_C(1) << SIM_PAGE_SHIFT)

struct iog_sim_domain {
	struct iog_sim *sim; /* constant, as all down to @sign_extended */
	uint32_t id;
	const struct walk_format *format;
	struct walk_geometry geometry; /* the format's */
	iog_paddr_t root;
	uint32_t levels;
	uint32_t ias;
	iog_paddr_t paddr_last; /* the most that fits into the output address width */
	bool sign_extended;

	uint64_t ats;   /* the devices in it that have a TLB, see device.h */
	bool root_gone; /* the root's memory went back to the host */
	struct oracle_pages expected;
	struct pagemap tickets; /* page that is UNMAPPING -> the ticket of its unmap, see exposure.h */
	struct iog_sim_domain *next;
};

/* As domains and devices see it. */
struct sim_unit;

/* Costs and deadlines as configured, defaults filled in. */
struct sim_costs {
	uint32_t wait_ns;
	uint32_t wait_jitter_ns;
	uint32_t range_ns;
	uint32_t domain_ns;
	uint32_t device_ns;
	uint64_t deadline_ns;
	uint64_t device_deadline_ns;
};

struct iog_sim {
	/* Alone in its line with what every call touches next. */
	_Alignas(64) _Atomic uint32_t lock;
	/* The thread that is inside the violation callback, as the address of its thread_mark; 0 if none. */
	_Atomic uintptr_t reporter;
	uint64_t direct_map_offset; /* constant */
	bool judging;               /* constant */
	bool revival;               /* constant: IOG_SIM_REVIVAL */
	bool caches_absent;         /* constant: IOG_PGTABLE_FLUSH_ON_MAP */

	struct iog_sim_stats stats;
	struct caches caches;
	struct queue queue;
	struct tables tables;
	struct shadow shadow;
	struct frame_filter frames;
	struct history history;
	struct iog_sim_domain *domains;
	struct device_table devices;
	struct exposure exposure;
	uint64_t root_walks[IOG_LEVELS_MAX + 1]; /* that started at the root of a table of so many levels */
	struct iog_sim_stats taken;              /* at the last iog_sim_stats_take() */
	struct sim_unit *unit; /* NULL until it is asked for */
	struct iog_sim_config as_unit; /* constant */
	uint64_t (*now_ns)(void *ctx); /* constant; NULL: the process's own clock */
	void *clock_ctx;
	struct sim_costs costs; /* constant */
	struct faults faults;

	void (*violation)(void *ctx, const struct iog_sim_violation *violation);
	void *violation_ctx;
	uint64_t printed; /* violations the default callback has printed */
};

/* Of the only bit set. */
static inline uint32_t bit_number(uint64_t bit)
{
	uint32_t number = 0;

	while (bit >>= 1)
		number++;
	return number;
}

/*
 * Uncontended, one exchange. A holder never waits for anything but the page cache of its own memory; on a busy machine it may be
 * preempted, hence the yield.
 */
static inline void sim_lock(struct iog_sim *sim)
{
	/* Acquire: pairs with the release in sim_unlock(). */
	while (atomic_exchange_explicit(&sim->lock, 1, memory_order_acquire)) {
		for (uint32_t looks = 0; atomic_load_explicit(&sim->lock, memory_order_relaxed); looks++) {
			if (looks >= 128)
				sched_yield();
#if defined(__x86_64__) || defined(__i386__)
			else
				__builtin_ia32_pause();
#endif
		}
	}
}

static inline void sim_unlock(struct iog_sim *sim)
{
	atomic_store_explicit(&sim->lock, 0, memory_order_release);
}

/* One access of at most a page, under the lock. Returns whether it landed. */
bool iog_sim_access(struct iog_sim_domain *domain, iog_iova_t iova, uint32_t size, uint32_t prot, iog_paddr_t *paddr);

/* What follows from a translation: counted, remembered, judged. Returns whether the access landed. */
bool iog_sim_access_end(struct iog_sim_domain *domain, iog_iova_t iova, uint32_t size, uint32_t prot, const struct walk *walk, iog_paddr_t *paddr);

/* Between memory at @paddr and @buffer, within a page. Under the lock. */
void iog_sim_move(struct iog_sim *sim, iog_paddr_t paddr, void *buffer, size_t size, uint32_t prot);

/* A cache as configured. Returns 0, -IOG_EINVAL or -IOG_ENOMEM; fini is called in any case. @ways: 0 for the default. */
int iog_sim_cache_create(struct cache *cache, uint32_t entries, uint32_t ways);

/* Free what unit.c has made. */
void iog_sim_unit_fini(struct iog_sim *sim);

#endif

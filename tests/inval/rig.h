/* SPDX-License-Identifier: MIT */
/*
 * What the tests of invalidation share: a domain on one or two simulated IOMMUs whose time is the test's own, devices with and without TLBs of their own, an owner of memory that counts
 * references, and mappings.
 *
 * A front stands before each simulated IOMMU: it lets devices try addresses in the middle of calls, sees to it that no call of the unit lasts longer than its deadline, and counts the errors
 * that the library was given.
 *
 * One thread. The same seed: the same run.
 */
#ifndef IOG_TESTS_INVAL_RIG_H
#define IOG_TESTS_INVAL_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <iogate/dma.h>
#include <iogate/domain.h>
#include <iogate/error.h>
#include <iogate/host/posix.h>
#include <iogate/host/sim.h>
#include <iogate/tablemem.h>

#include "seed.h"

#define RIG_PAGE UINT64_C(4096)
#define RIG_MIB (UINT64_C(1) << 20)
/* Memory that is mapped; all pages of it are the owner's. */
#define RIG_PAGES 512
#define RIG_LANES 2
#define RIG_UNITS 2
#define RIG_DEVICES 4
#define RIG_MAPPINGS 48
#define RIG_SEGMENTS 6
#define RIG_TRIED 32
#define RIG_RUNS 3
#define RIG_PLACES 6
#define RIG_SHARED 4
#define RIG_BOUNCED 4
#define RIG_BOUNCED_PAGES 4
/* What looking at the clock moves it by, ns. */
#define RIG_LOOK 100
/* The range of addresses, from here on. */
#define RIG_FIRST (4 * RIG_MIB)
#define RIG_SPAN (32 * RIG_MIB)

/* Something that went wrong: printed with the case, and the test fails. */
#define rig_must(rig, claim)                                                \
	do {                                                                \
		if (!(claim))                                               \
			rig_fail(rig, "not so: " #claim, __FILE__, __LINE__); \
	} while (0)

/* Zero means default. */
struct rig_config {
	const struct iog_policy *policy;
	const struct iog_pgtable_ops *format; /* default VT-d second stage */
	enum iog_inval_mode mode;
	uint32_t units;         /* default 1 */
	uint32_t devices;       /* default 1; the nth is behind unit n % units */
	uint32_t ats, no_reuse; /* bits: devices that have a TLB, that never come back */
	uint32_t pgtable_flags;
	bool others;            /* what others.c has, too */
	bool holds;             /* hold ops; otherwise memory is the caller's again as the mode says */
	uint32_t deferred_entries;
	uint64_t held_max;
	struct iog_sim_config sim; /* costs, deadlines, queue */
};

struct rig;

struct front {
	struct iog_unit unit; /* first */
	struct iog_unit *behind;
	struct iog_sim *sim;
	struct iog_sim_domain *judged; /* the domain; NULL while the unit is not in it */
	struct rig *rig;
	uint64_t calls, device_calls; /* of invalidate and device_invalidate */
	uint32_t lies;                /* of the next invalidations: not done, and said to be */
};

enum mapping_state {
	MAPPING_NONE = 0,
	MAPPING_LIVE,
	MAPPING_REFUSED, /* its unmapping was, and changed nothing */
	MAPPING_VOID,    /* it failed, or its unmapping did: nobody's until a flush succeeds */
};

struct mapping {
	enum mapping_state state;
	iog_iova_t iova;
	uint64_t size;
	enum iog_dma_dir dir;
	uint32_t n; /* segments; those of a list if there is more than one */
	struct iog_sg sg[RIG_SEGMENTS];
	uint32_t page[RIG_SEGMENTS], pages[RIG_SEGMENTS]; /* of the owner */
};

/* A reserved run, with places for pages that are linked and unlinked. */
struct rig_run {
	struct iog_dma_run run;
	uint32_t stride; /* pages */
	struct mapping places[RIG_PLACES];
};

/* Memory of iog_dma_alloc(). */
struct rig_shared {
	struct mapping at; /* @iova, whole size */
	uint64_t asked;
	void *va;
};

/* A buffer of the device that is not trusted. */
struct rig_bounced {
	struct mapping at; /* whole pages */
	iog_iova_t iova;
	uint64_t offset, size; /* in its memory */
	unsigned char value;   /* of its bytes */
	uint32_t called, by_call;
};

/* What the library has kept after an error. */
struct kept {
	void *va;
	uint64_t size;
	struct kept *next;
};

/* Memory on its way back to its owner, where a call says so. */
struct parcel {
	struct rig *rig;
	struct mapping mapping;
	uint32_t called;
	struct parcel *next;
};

struct rig {
	struct rig_config config;
	const char *what; /* the case, for messages */
	uint64_t seed, random;

	uint64_t page_bytes, object_bytes; /* of the process's platform, before */
	struct iog_platform platform;      /* with the test's clock */
	struct iog_platform observed;      /* and the judges' eyes */
	struct front fronts[RIG_UNITS];
	struct iog_tablemem *mem;
	struct iog_domain *domain;
	struct iog_device *devices[RIG_DEVICES];
	enum iog_inval_mode mode;

	unsigned char *memory;
	iog_paddr_t paddr;
	int count[RIG_PAGES];    /* references: 0 or 1, as nobody maps a page twice */
	bool stuck[RIG_PAGES];   /* not the owner's before the end: an unmapping without hold ops has failed */
	bool early[RIG_PAGES];   /* came back in deferred mode, and no flush has been seen to succeed since */
	bool unmapping;          /* in deferred mode: what comes back may be reached still */
	struct parcel *parcels;

	struct mapping mappings[RIG_MAPPINGS];
	struct mapping tried[RIG_TRIED]; /* that were live once */
	uint32_t nr_tried;
	bool mapping_now; /* addresses that are nobody's may become somebody's at any moment */

	/* others.c */
	struct rig_run runs[RIG_RUNS];
	struct rig_shared shared[RIG_SHARED];
	struct rig_bounced bounced[RIG_BOUNCED];
	unsigned char *bounce_memory;
	struct iog_device *untrusted; /* behind the first unit, RIG_DEVICES */
	bool allocating;              /* the first memory that is taken now is @allocated, until it is given back */
	void *allocated;
	uint64_t allocated_size;
	struct kept *kept;

	uint64_t errors; /* that units returned */
	uint64_t violations, failures;
	uint64_t early_reuses; /* of the violations */
	bool expects_violations;
	void (*on_invalidate)(struct rig *rig); /* before the unit is asked; or NULL */
};

/* Where random numbers and messages begin. A rig that has failed once is left as it is: the test ends by it. */
void rig_create(struct rig *rig, const struct rig_config *config, uint64_t seed, const char *what);
/* All is unmapped and hardware works: nothing is left of anything. */
void rig_destroy(struct rig *rig);
void rig_fail(struct rig *rig, const char *how, const char *file, int line);

/* Whether a device of the domain has been lost. */
bool rig_has_lost(const struct rig *rig);
/* Lost devices are attached anew, put elsewhere and back, or made again. */
void rig_reset_lost(struct rig *rig);
void rig_misbehave(struct rig *rig, enum iog_sim_fault_kind kind, uint64_t after, uint64_t count);
uint64_t rig_struck(const struct rig *rig, enum iog_sim_fault_kind kind);
uint64_t rig_timeouts(const struct rig *rig);

/* By any device of the domain; results are checked as far as they can be, and the judges told. Each returns what the library did. */
int rig_map(struct rig *rig, iog_lane_t lane, uint32_t segments, uint32_t pages_most, struct mapping **mapping);
int rig_unmap(struct rig *rig, iog_lane_t lane, struct mapping *mapping, bool by_call);
int rig_flush(struct rig *rig, iog_lane_t lane);
int rig_set_mode(struct rig *rig, iog_lane_t lane, enum iog_inval_mode mode);
struct mapping *rig_any(struct rig *rig);
/* The same with what others.c has: of any, if there is one. */
int rig_link(struct rig *rig, iog_lane_t lane);
int rig_unlink(struct rig *rig, iog_lane_t lane);
int rig_release(struct rig *rig, iog_lane_t lane);
int rig_alloc(struct rig *rig, iog_lane_t lane);
int rig_free(struct rig *rig, iog_lane_t lane);
int rig_bounce_map(struct rig *rig, iog_lane_t lane);
int rig_bounce_unmap(struct rig *rig, iog_lane_t lane);
/* Accesses of any device at any address that was mapped once. */
void rig_attack(struct rig *rig, uint32_t times);

/* Hardware works again, and all is unmapped, flushed, given back: every page, address and table. */
void rig_recover(struct rig *rig);

struct iog_domain_stats rig_stats(const struct rig *rig);

/* IOG_SEED of the environment: the one case that is to be run; or UINT64_MAX. */
uint64_t rig_seed(void);

/* The clock of all rigs, ns. */
extern _Atomic uint64_t rig_clock;

#endif

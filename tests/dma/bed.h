/* SPDX-License-Identifier: MIT */
/*
 * What the tests of domains share: a platform that counts and fails on request, simulated IOMMUs behind probes that count and fail on request, and memory for devices.
 *
 * A probe is a unit whose ops stand before those of a simulated IOMMU. It keeps what the library has promised a driver: one call at a time where the header says so, no
 * invalidation under an id that no domain has. What breaks a promise is counted in @broken.
 */
#ifndef IOG_TESTS_DMA_BED_H
#define IOG_TESTS_DMA_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <iogate/domain.h>
#include <iogate/error.h>
#include <iogate/host/posix.h>
#include <iogate/host/sim.h>
#include <iogate/tablemem.h>

#include "../seed.h"
#include "dma/domain.h"
#include "iova/allocator.h"

#define BED_UNITS 3
#define BED_IDS 64
#define BED_LANES 4
#define BED_MEMORY (UINT64_C(2) << 20)
#define BED_RW (IOG_PROT_READ | IOG_PROT_WRITE)
#define KiB UINT64_C(1024)
#define MiB (1024 * KiB)
#define GiB (1024 * MiB)

struct bed;

struct probe {
	struct iog_unit unit;
	struct iog_unit *inner;
	struct iog_sim *sim;
	struct bed *bed;

	_Atomic uint64_t adds, removes, sets, ranges, domains; /* calls that came; invalidations with and without a gather */
	/* What to return instead of doing it; and of calls of device_set, the nth from now on, once (0: each). */
	_Atomic int fail_add, fail_remove, fail_set, fail_invalidate;
	_Atomic uint32_t fail_set_in;
	/* Called in an invalidation, or in domain_add, before it is done. */
	void (*_Atomic on_invalidate)(struct probe *probe, const struct iog_gather *gather);
	void (*_Atomic on_add)(struct probe *probe);

	atomic_bool slow;                       /* calls that come one at a time take their time: whoever is not kept out comes in */
	_Atomic uint32_t locked;                /* calls inside that come one at a time */
	_Atomic uint64_t holder[BED_IDS + 1];   /* the root that has an id, or 0 */
	_Atomic uint32_t inside[BED_IDS + 1];   /* invalidations under an id that are running */
	_Atomic uint64_t barriers_at_add;
	_Atomic uint32_t broken;
	const char *_Atomic broken_how;
};

struct bed {
	struct iog_posix *posix;
	struct iog_platform base;     /* counts, fails; ctx is the bed */
	struct iog_platform platform; /* the same, observed by every simulated IOMMU */
	struct iog_tablemem *mem;
	struct probe probes[BED_UNITS];
	unsigned char *memory;
	iog_paddr_t paddr; /* of @memory */

	_Atomic uint64_t allocations; /* calls of either kind */
	_Atomic uint64_t fail_in;     /* the nth from now on finds no memory; 0: none */
	_Atomic uint64_t barriers;
	void (*_Atomic on_relax)(struct bed *bed);
	_Atomic uint32_t violations;
};

/* Page tables of @lanes lanes. What a test cannot do without is asserted. */
void bed_create(struct bed *bed, uint32_t lanes);
/* All objects are gone: asserts that nothing is left of them, that no promise was broken, and that the judges are content. */
void bed_destroy(struct bed *bed);

/* A paging domain on vtdss with the policy "tree", as a start. */
struct iog_domain_config bed_config(const struct bed *bed);
struct iog_domain *bed_domain(const struct iog_domain_config *config);
struct iog_device *bed_device(struct bed *bed, uint32_t unit, uint32_t id, struct iog_group *group);

/* Through the domain's policy, at the start of the bed's memory; simulated IOMMUs @units (bits) are told for the device of the same id. */
int bed_map(struct bed *bed, struct iog_domain *domain, iog_lane_t lane, uint64_t size, iog_iova_t limit, iog_iova_t *iova);
int bed_unmap(struct iog_domain *domain, iog_lane_t lane, iog_iova_t iova, uint64_t size);

/* The same, and judged: @device of @unit is in the domain. */
void bed_note_map(struct bed *bed, uint32_t unit, uint32_t device, iog_iova_t iova, uint64_t size);
void bed_note_unmap(struct bed *bed, uint32_t unit, uint32_t device, iog_iova_t iova, uint64_t size);

/* Whether a device reaches an address. */
bool bed_lands(struct bed *bed, uint32_t unit, uint32_t device, iog_iova_t iova);

struct iog_domain_stats bed_stats(struct iog_domain *domain);

#endif

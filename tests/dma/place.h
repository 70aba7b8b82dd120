/* SPDX-License-Identifier: MIT */
/*
 * A place where memory is held: a bed, a domain with hold ops and a device in it, and a count per page of the bed's memory, which hold() raises and release() lowers.
 *
 *   holds - releases = the sum of count[]      0 <= count[n], or else @wrong counts it
 *
 * Counts change from any thread. The rest is the test's.
 */
#ifndef IOG_TESTS_DMA_PLACE_H
#define IOG_TESTS_DMA_PLACE_H

#include "bed.h"

#include <iogate/dma.h>

#define PAGE UINT64_C(4096)
#define PLACE_PAGES (BED_MEMORY / PAGE)
#define PLACE_LANES 3
#define PLACE_POLICIES 4
#define PLACE_MODES 3

extern const struct iog_policy *const place_policies[PLACE_POLICIES];
extern const enum iog_inval_mode place_modes[PLACE_MODES];

struct place {
	struct bed bed;
	struct iog_domain_config config;
	struct iog_domain *domain;
	struct iog_device *device;
	_Atomic int count[PLACE_PAGES];   /* references to each page of the bed's memory */
	_Atomic uint64_t holds, releases; /* pages */
	_Atomic uint64_t largest;         /* release, bytes */
	_Atomic uint32_t calls, wrong;
};

/* The configuration, to be changed; and then the domain, with device 1 behind the bed's first unit in it. */
void place_begin(struct place *place, const struct iog_policy *policy, enum iog_inval_mode mode);
void place_attach(struct place *place);

/* Everything is unmapped: all references are back at the latest after the next flush of everything. */
void place_settle(struct place *place);
void place_destroy(struct place *place);

/* References are counted as the domain's hold ops are told; one that the test takes for itself; and the call of iog_dma_unmap_release(), with the place. */
void place_hold(struct place *place, iog_paddr_t paddr, uint64_t size);
void place_called(void *ctx);

iog_iova_t place_map(struct place *place, iog_lane_t lane, uint64_t offset, uint64_t size);
int place_unmap(struct place *place, iog_lane_t lane, iog_iova_t iova, uint64_t size);

/* A run of pieces of up to a MiB that are no neighbours in memory, the first at its beginning and each PLACE_GAP behind the one before: the memory is used over and over. */
#define PLACE_GAP (16 * PAGE)
iog_iova_t place_run(struct place *place, iog_lane_t lane, uint64_t size, uint64_t piece);

/* The judge is told where accesses are made. */
void place_note_map(struct place *place, iog_iova_t iova, uint64_t offset, uint64_t size);

bool place_is_mapped(struct place *place, iog_iova_t iova);

#endif

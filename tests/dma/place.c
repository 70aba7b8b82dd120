/* SPDX-License-Identifier: MIT */
/*
 * See place.h.
 */
#include <string.h>

#include "place.h"

const struct iog_policy *const place_policies[PLACE_POLICIES] = { &iog_policy_window, &iog_policy_tree, &iog_policy_magazine, &iog_policy_pooled };
const enum iog_inval_mode place_modes[PLACE_MODES] = { IOG_INVAL_STRICT, IOG_INVAL_DEFERRED, IOG_INVAL_HELD };

static void note(struct place *place, iog_paddr_t paddr, uint64_t size, int by)
{
	for (uint64_t at = paddr; at < paddr + size; at += PAGE) {
		int before;

		if (at % PAGE || at < place->bed.paddr || at >= place->bed.paddr + BED_MEMORY) {
			atomic_fetch_add(&place->wrong, 1);
			continue;
		}
		before = atomic_fetch_add(&place->count[(at - place->bed.paddr) / PAGE], by);
		if (before + by < 0)
			atomic_fetch_add(&place->wrong, 1);
	}
	if (by < 0 && size > atomic_load(&place->largest))
		atomic_store(&place->largest, size);
	atomic_fetch_add(by > 0 ? &place->holds : &place->releases, size / PAGE);
}

static void hold(void *ctx, iog_paddr_t paddr, uint64_t size)
{
	note(ctx, paddr, size, 1);
}

static void release(void *ctx, iog_paddr_t paddr, uint64_t size)
{
	note(ctx, paddr, size, -1);
}

static const struct iog_hold_ops hold_ops = { hold, release };

void place_hold(struct place *place, iog_paddr_t paddr, uint64_t size)
{
	note(place, paddr, size, 1);
}

void place_called(void *ctx)
{
	atomic_fetch_add(&((struct place *)ctx)->calls, 1);
}

void place_begin(struct place *place, const struct iog_policy *policy, enum iog_inval_mode mode)
{
	memset(place, 0, sizeof(*place));
	bed_create(&place->bed, PLACE_LANES);
	place->config = bed_config(&place->bed);
	place->config.policy = policy;
	place->config.mode = mode;
	place->config.deferred_entries = 16;
	place->config.hold = &hold_ops;
	place->config.hold_ctx = place;
}

void place_attach(struct place *place)
{
	place->domain = bed_domain(&place->config);
	place->device = bed_device(&place->bed, 0, 1, NULL);
	assert_int_equal(iog_domain_attach(place->domain, place->device), 0);
}

void place_settle(struct place *place)
{
	int error;

	do
		error = iog_domain_trim(place->domain, 0);
	while (error == -IOG_EAGAIN);
	assert_int_equal(error, 0);
	for (uint32_t page = 0; page < PLACE_PAGES; page++)
		assert_int_equal(place->count[page], 0);
	assert_int_equal(atomic_load(&place->holds), atomic_load(&place->releases));
	assert_int_equal(atomic_load(&place->wrong), 0);
	assert_int_equal(bed_stats(place->domain).held_bytes, 0);
	assert_int_equal(bed_stats(place->domain).held_entries, 0);
	for (uint32_t lane = 0; lane < PLACE_LANES; lane++)
		assert_int_equal(place->domain->lanes[lane].nr_deferred, 0);
	assert_int_equal(place->domain->held_credit, 0);
	assert_int_equal(bed_stats(place->domain).quarantined, 0);
	assert_int_equal(bed_stats(place->domain).iova.live_bytes, 0);
}

void place_destroy(struct place *place)
{
	assert_int_equal(iog_device_destroy(place->device), 0);
	assert_int_equal(iog_domain_destroy(place->domain), 0);
	bed_destroy(&place->bed);
}

iog_iova_t place_map(struct place *place, iog_lane_t lane, uint64_t offset, uint64_t size)
{
	iog_iova_t iova = 0;

	assert_int_equal(iog_dma_map(place->device, lane, place->bed.paddr + offset, size, IOG_DMA_BIDIRECTIONAL, 0, &iova), 0);
	return iova;
}

int place_unmap(struct place *place, iog_lane_t lane, iog_iova_t iova, uint64_t size)
{
	return iog_dma_unmap(place->device, lane, iova, size, IOG_DMA_BIDIRECTIONAL, 0);
}

iog_iova_t place_run(struct place *place, iog_lane_t number, uint64_t size, uint64_t piece)
{
	struct domain_lane *lane = &place->domain->lanes[number];
	uint64_t offset = 0;
	iog_iova_t run = 0;

	assert_int_equal(place->domain->policy->alloc(lane, size, UINT64_MAX, &run), 0);
	for (uint64_t at = 0; at < size; at += piece) {
		iog_paddr_t paddr = place->bed.paddr + offset;

		place_hold(place, paddr, piece);
		assert_int_equal(place->domain->policy->fill(lane, run + at, paddr, piece, BED_RW), 0);
		offset = (offset + piece + PLACE_GAP) % (BED_MEMORY - piece + PAGE);
	}
	return run;
}

void place_note_map(struct place *place, iog_iova_t iova, uint64_t offset, uint64_t size)
{
	iog_sim_note_map(iog_sim_device_domain(place->bed.probes[0].sim, 1), iova, place->bed.paddr + offset, (size + PAGE - 1) / PAGE * PAGE, BED_RW);
}

bool place_is_mapped(struct place *place, iog_iova_t iova)
{
	struct iog_leaf leaf;

	return !iog_pgtable_lookup(iog_domain_pgtable(place->domain), 0, iova, &leaf);
}

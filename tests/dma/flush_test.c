/* SPDX-License-Identifier: MIT */
/*
 * What waits for a flush: bounds, ticks, flushes that are shared, queues that are taken over, and units that do not answer.
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include <iogate/dma.h>

#include "bed.h"

#define LIMIT UINT64_MAX

static const struct iog_policy *const policies[] = { &iog_policy_tree, &iog_policy_magazine, &iog_policy_pooled };
#define NR_POLICIES (sizeof(policies) / sizeof(policies[0]))

/* A domain with a device (1 of unit 0). */
struct place {
	struct bed bed;
	struct iog_domain_config config;
	struct iog_domain *domain;
	struct iog_device *device;
};

static void place_create(struct place *place, uint32_t lanes, enum iog_inval_mode mode, const struct iog_policy *policy)
{
	bed_create(&place->bed, lanes);
	place->config = bed_config(&place->bed);
	place->config.mode = mode;
	place->config.policy = policy;
	place->config.deferred_entries = 8;
}

static void place_attach(struct place *place)
{
	place->domain = bed_domain(&place->config);
	place->device = bed_device(&place->bed, 0, 1, NULL);
	assert_int_equal(iog_domain_attach(place->domain, place->device), 0);
}

static void place_destroy(struct place *place)
{
	assert_int_equal(iog_device_destroy(place->device), 0);
	assert_int_equal(iog_domain_destroy(place->domain), 0);
	bed_destroy(&place->bed);
}

static iog_iova_t mapped(struct place *place, iog_lane_t lane, uint64_t size)
{
	iog_iova_t iova = 0;

	assert_int_equal(bed_map(&place->bed, place->domain, lane, size, LIMIT, &iova), 0);
	bed_note_map(&place->bed, 0, 1, iova, size);
	return iova;
}

static int unmapped(struct place *place, iog_lane_t lane, iog_iova_t iova, uint64_t size)
{
	bed_note_unmap(&place->bed, 0, 1, iova, size);
	return bed_unmap(place->domain, lane, iova, size);
}

/* Strict: the device has lost it at return, by a command for the range. */
static void strict(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < NR_POLICIES; p++) {
		struct place place;
		iog_iova_t iova;

		place_create(&place, 1, IOG_INVAL_STRICT, policies[p]);
		place_attach(&place);
		iova = mapped(&place, 0, 16384);
		assert_true(bed_lands(&place.bed, 0, 1, iova + 5000));
		assert_int_equal(unmapped(&place, 0, iova, 16384), 0);
		assert_false(bed_lands(&place.bed, 0, 1, iova + 5000));
		assert_int_equal(place.bed.probes[0].ranges, 1);
		assert_int_equal(place.bed.probes[0].domains, 0);
		assert_int_equal(bed_stats(place.domain).invalidations, 1);
		assert_int_equal(bed_stats(place.domain).flushes, 0);
		assert_int_equal(bed_stats(place.domain).iova.live_bytes, 0);
		place_destroy(&place);
	}
}

/* Deferred: nothing is asked of the unit before the eighth, and then everything is forgotten at once. */
static void bound(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < NR_POLICIES; p++) {
		iog_iova_t iova[16], again;
		struct place place;

		place_create(&place, 1, IOG_INVAL_DEFERRED, policies[p]);
		place_attach(&place);
		for (uint32_t n = 0; n < 16; n++)
			iova[n] = mapped(&place, 0, 4096);
		for (uint32_t n = 0; n < 16; n++) {
			assert_true(bed_lands(&place.bed, 0, 1, iova[n]));
			assert_int_equal(unmapped(&place, 0, iova[n], 4096), 0);
			assert_int_equal(place.bed.probes[0].ranges, 0);
			assert_int_equal(place.bed.probes[0].domains, (n + 1) / 8);
			assert_int_equal(bed_stats(place.domain).deferred, (n + 1) % 8);
			assert_int_equal(bed_lands(&place.bed, 0, 1, iova[n]), n % 8 != 7);
			for (uint32_t before = 0; before < n / 8 * 8; before++)
				assert_false(bed_lands(&place.bed, 0, 1, iova[before]));
			/* An address that waits is nobody else's. */
			if (n < 7) {
				again = mapped(&place, 0, 4096);
				for (uint32_t k = 0; k < 16; k++)
					assert_int_not_equal(again, iova[k]);
			}
		}
		assert_int_equal(bed_stats(place.domain).flushes, 2);
		place_destroy(&place);
	}
}

/* ---- ticks ---- */

#define TICK_BOUND 20
#define TICK_LONG_AGO UINT64_MAX

static uint32_t released;

static void release_page(void *ctx, iog_paddr_t paddr, uint64_t size)
{
	(void)ctx;
	(void)paddr;
	released += (uint32_t)(size / 4096);
}

static const struct iog_hold_ops count_ops = { .release = release_page };

/* Lane 0 of a domain, the clock, and what is known of both: @last_ms and @since_ms are times as the clock tells them. */
struct timed {
	struct place place;
	uint64_t now_ms, last_ms, interval_ms;
	uint64_t since_ms; /* the tick before the oldest that waits */
	bool ticked;
	uint32_t waiting;
	uint64_t flushes;
};

static void timed_create(struct timed *timed, const struct iog_policy *policy, enum iog_inval_mode mode, uint64_t now_ms)
{
	memset(timed, 0, sizeof(*timed));
	place_create(&timed->place, 2, mode, policy);
	timed->place.config.deferred_ms = TICK_BOUND;
	timed->place.config.deferred_entries = 256;
	timed->place.config.hold = mode == IOG_INVAL_HELD ? &count_ops : NULL;
	place_attach(&timed->place);
	timed->now_ms = now_ms;
	released = 0;
}

static void timed_destroy(struct timed *timed)
{
	place_destroy(&timed->place);
}

/* A page that the device remembers is unmapped. */
static iog_iova_t timed_unmaps(struct timed *timed)
{
	struct place *place = &timed->place;
	iog_iova_t iova;

	assert_int_equal(iog_dma_map(place->device, 0, place->bed.paddr, 4096, IOG_DMA_BIDIRECTIONAL, 0, &iova), 0);
	bed_note_map(&place->bed, 0, 1, iova, 4096);
	assert_true(bed_lands(&place->bed, 0, 1, iova));
	bed_note_unmap(&place->bed, 0, 1, iova, 4096);
	assert_int_equal(iog_dma_unmap(place->device, 0, iova, 4096, IOG_DMA_BIDIRECTIONAL, 0), 0);
	if (!timed->waiting++)
		timed->since_ms = timed->ticked ? timed->last_ms : TICK_LONG_AGO;
	return iova;
}

/* It is @ms later, and there is a tick. Returns whether it has flushed. */
static bool timed_ticks(struct timed *timed, uint64_t ms)
{
	struct place *place = &timed->place;
	uint32_t before = released;
	bool flushed;

	timed->now_ms += ms;
	assert_int_equal(iog_domain_tick(place->domain, 0, timed->now_ms), 0);
	flushed = bed_stats(place->domain).flushes != timed->flushes;
	timed->flushes += flushed;
	assert_int_equal(bed_stats(place->domain).flushes, timed->flushes);
	if (flushed && place->config.hold)
		assert_int_equal(released - before, timed->waiting);
	else
		assert_int_equal(released, before);
	if (timed->ticked && ms)
		timed->interval_ms = ms;
	timed->last_ms = timed->now_ms;
	timed->ticked = true;
	if (flushed)
		timed->waiting = 0;
	return flushed;
}

static const struct {
	const struct iog_policy *policy;
	enum iog_inval_mode mode;
} ticked[] = {
	{ &iog_policy_tree, IOG_INVAL_DEFERRED },   { &iog_policy_magazine, IOG_INVAL_DEFERRED }, { &iog_policy_pooled, IOG_INVAL_DEFERRED },
	{ &iog_policy_window, IOG_INVAL_DEFERRED }, { &iog_policy_tree, IOG_INVAL_HELD },	  { &iog_policy_window, IOG_INVAL_HELD },
};
#define NR_TICKED (sizeof(ticked) / sizeof(ticked[0]))

/* Ticks four times in deferred_ms: what they find is flushed by the last that is not too late, counted from the tick before it came. */
static void tick(void **state)
{
	(void)state;
	for (uint32_t w = 0; w < NR_TICKED; w++) {
		/* The clock begins anywhere, and wraps. */
		for (uint64_t start = 0; start < 3; start++) {
			struct timed timed;
			iog_iova_t iova;

			timed_create(&timed, ticked[w].policy, ticked[w].mode, start == 2 ? UINT64_MAX - 31 : start * 77777);
			assert_false(timed_ticks(&timed, 0));
			for (uint32_t round = 0; round < 3; round++) {
				for (uint32_t n = 0; n < 5; n++)
					assert_false(timed_ticks(&timed, 5));
				iova = timed_unmaps(&timed);
				assert_false(timed_ticks(&timed, 5));
				assert_false(timed_ticks(&timed, 5));
				/* Other lanes' are not this one's. */
				assert_int_equal(iog_domain_tick(timed.place.domain, 1, timed.now_ms + 900), 0);
				(void)timed_unmaps(&timed);
				assert_true(bed_lands(&timed.place.bed, 0, 1, iova));
				assert_true(timed_ticks(&timed, 5));
				assert_false(bed_lands(&timed.place.bed, 0, 1, iova));
				assert_int_equal(bed_stats(timed.place.domain).deferred, 0);
			}
			assert_int_equal(iog_domain_tick(timed.place.domain, 2, 0), -IOG_EINVAL);
			timed_destroy(&timed);
		}
	}
}

/* What may be as old as can be is flushed at once: by the first tick of all, and by one that comes after deferred_ms, or would come then. */
static void tick_late(void **state)
{
	(void)state;
	for (uint32_t w = 0; w < NR_TICKED; w++) {
		struct timed timed;

		timed_create(&timed, ticked[w].policy, ticked[w].mode, 1000);
		(void)timed_unmaps(&timed);
		assert_true(timed_ticks(&timed, 0));
		/* Twice in a millisecond: that is not how often they come. */
		(void)timed_unmaps(&timed);
		assert_true(timed_ticks(&timed, 0));
		for (uint64_t ms = TICK_BOUND / 2; ms < 4000; ms += ms / 2) {
			(void)timed_unmaps(&timed);
			assert_true(timed_ticks(&timed, ms));
			assert_false(timed_ticks(&timed, ms));
		}
		/* More often again. What comes between two in a millisecond is as old as the first of them at most. */
		assert_false(timed_ticks(&timed, 2));
		(void)timed_unmaps(&timed);
		assert_false(timed_ticks(&timed, 0));
		for (uint32_t n = 0; n < 8; n++)
			assert_false(timed_ticks(&timed, 2));
		assert_true(timed_ticks(&timed, 2));
		/* One that is longer than the last is late by that. */
		(void)timed_unmaps(&timed);
		for (uint32_t n = 0; n < 8; n++)
			assert_false(timed_ticks(&timed, 2));
		assert_true(timed_ticks(&timed, 9));
		timed_destroy(&timed);
	}
}

/* At whatever interval, if it is always the same: nothing waits longer than deferred_ms, and no flush comes sooner than it must. */
static void tick_bound(void **state)
{
	uint64_t random = kit_seed("tick");

	(void)state;
	for (uint32_t w = 0; w < NR_TICKED; w++) {
		for (uint64_t interval = 1; interval <= TICK_BOUND; interval++) {
			uint64_t oldest = 0, longest = 0;
			struct timed timed;

			timed_create(&timed, ticked[w].policy, ticked[w].mode, kit_random(&random));
			for (uint32_t n = 0; n < 100; n++) {
				uint64_t before = timed.now_ms, due;
				bool flushed;

				/* Right after the tick: it cannot be older when the next one comes. */
				if (!(kit_random(&random) % 4)) {
					oldest = timed.waiting ? oldest : before;
					(void)timed_unmaps(&timed);
				}
				due = timed.waiting && (timed.since_ms == TICK_LONG_AGO || before + interval - timed.since_ms + interval >= TICK_BOUND);
				if (timed.waiting && before + interval - oldest > longest)
					longest = before + interval - oldest;
				flushed = timed_ticks(&timed, interval);
				assert_int_equal(flushed, due);
			}
			assert_true(longest > 0 && longest <= TICK_BOUND);
			timed_destroy(&timed);
		}
	}
}

/*
 * A device of 16 MiB, all of it handed out by four lanes, and three quarters unmapped by lanes that then do nothing: lane 0 gets the addresses all the same, with one flush, and
 * tables that the idle lanes had unlinked come back, too.
 */
static void taken_over(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < NR_POLICIES; p++) {
		const uint64_t size = 64 * KiB, limit = 16 * MiB - 1;
		iog_iova_t iova[256];
		struct place place;
		uint32_t nr = 0, got = 0;

		place_create(&place, 4, IOG_INVAL_DEFERRED, policies[p]);
		place.config.deferred_entries = 1024;
		place.config.pgtable.trim_batch = 1;
		place.config.pools = 1;
		place_attach(&place);
		while (!bed_map(&place.bed, place.domain, nr % 4, size, limit, &iova[nr]))
			bed_note_map(&place.bed, 0, 1, iova[nr++], size);
		assert_true(nr >= 250);
		for (uint32_t n = 0; n < nr; n++) {
			if (n % 4)
				assert_int_equal(unmapped(&place, n % 4, iova[n], size), 0);
		}
		atomic_store(&place.bed.probes[0].domains, 0);
		for (uint32_t n = 0; n < nr; n++) {
			iog_iova_t again;

			if (n % 4 && !bed_map(&place.bed, place.domain, 0, size, limit, &again)) {
				bed_note_map(&place.bed, 0, 1, again, size);
				assert_true(bed_lands(&place.bed, 0, 1, again));
				got++;
			}
		}
		assert_int_equal(got, nr - (nr + 3) / 4);
		assert_true(place.bed.probes[0].domains >= 1 && place.bed.probes[0].domains <= 3);
		if (!(place.domain->iova->flags & IOG_IOVA_LAZY))
			assert_int_equal(bed_stats(place.domain).deferred, 0);
		assert_int_equal(bed_map(&place.bed, place.domain, 0, size, limit, &iova[0]), -IOG_ENOSPC);
		place_destroy(&place);
	}
}

/* Of windows, too, what is larger than one waits in lanes' queues: it comes back before an allocation fails, be it for a large run or for windows. */
static void taken_over_large(void **state)
{
	(void)state;
	for (uint32_t small = 0; small < 2; small++) {
		const uint64_t size = small ? 2 * MiB : 4 * MiB;
		iog_iova_t iova[4], again;
		struct place place;

		place_create(&place, 2, IOG_INVAL_DEFERRED, &iog_policy_window);
		place.config.first = 16 * MiB;
		place.config.last = 32 * MiB - 1;
		place_attach(&place);
		for (uint32_t n = 0; n < 4; n++)
			assert_int_equal(place.domain->policy->map(&place.domain->lanes[n % 2], 0, 4 * MiB, BED_RW, LIMIT, &iova[n]), 0);
		for (uint32_t n = 1; n < 4; n += 2)
			assert_int_equal(bed_unmap(place.domain, 1, iova[n], 4 * MiB), 0);
		assert_int_equal(place.bed.probes[0].domains, 0);
		for (uint32_t n = 0; n < 8 * MiB / size; n++)
			assert_int_equal(place.domain->policy->map(&place.domain->lanes[0], 0, size, BED_RW, LIMIT, &again), 0);
		assert_int_equal(place.domain->policy->map(&place.domain->lanes[0], 0, size, BED_RW, LIMIT, &again), -IOG_ENOSPC);
		place_destroy(&place);
	}
}

/* What a lane freed lazily has been forgotten when another trims or changes the mode: nothing waits on its account, and nothing more is flushed. */
static void others_served(void **state)
{
	static const struct iog_policy *const lazy[] = { &iog_policy_pooled, &iog_policy_window };

	(void)state;
	for (uint32_t p = 0; p < 4; p++) {
		iog_iova_t iova[15];
		struct place place;
		uint64_t flushes;

		place_create(&place, 2, IOG_INVAL_DEFERRED, lazy[p / 2]);
		place_attach(&place);
		for (uint32_t n = 0; n < 15; n++)
			iova[n] = mapped(&place, 1, 4096);
		for (uint32_t n = 0; n < 5; n++)
			assert_int_equal(unmapped(&place, 1, iova[n], 4096), 0);
		assert_int_equal(bed_stats(place.domain).deferred, 5);
		if (p % 2)
			assert_int_equal(iog_domain_trim(place.domain, 0), 0);
		else
			assert_int_equal(iog_domain_set_mode(place.domain, 0, IOG_INVAL_DEFERRED), 0);
		assert_int_equal(bed_stats(place.domain).deferred, 0);
		flushes = bed_stats(place.domain).flushes;
		assert_int_equal(iog_domain_tick(place.domain, 1, 1000), 0);
		assert_int_equal(bed_stats(place.domain).flushes, flushes);
		/* The bound counts from there. */
		for (uint32_t n = 5; n < 12; n++)
			assert_int_equal(unmapped(&place, 1, iova[n], 4096), 0);
		assert_int_equal(bed_stats(place.domain).deferred, 7);
		assert_int_equal(bed_stats(place.domain).flushes, flushes);
		assert_int_equal(unmapped(&place, 1, iova[12], 4096), 0);
		assert_int_equal(bed_stats(place.domain).deferred, 0);
		assert_int_equal(bed_stats(place.domain).flushes, flushes + 1);
		place_destroy(&place);
	}
}

/* Idle lanes' queues and tables come back by one lane's trim. */
static void trim(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < NR_POLICIES; p++) {
		struct iog_domain_stats stats;
		iog_iova_t iova[32];
		struct place place;

		place_create(&place, 4, IOG_INVAL_DEFERRED, policies[p]);
		place.config.deferred_entries = 1024;
		place.config.pgtable.trim_batch = 1;
		place_attach(&place);
		for (uint32_t n = 0; n < 32; n++)
			iova[n] = mapped(&place, n % 4, MiB);
		for (uint32_t n = 0; n < 32; n++)
			assert_int_equal(unmapped(&place, n % 4, iova[n], MiB), 0);
		stats = bed_stats(place.domain);
		assert_int_equal(stats.deferred, 32);
		assert_true(stats.pgtable.unlinked > 0 && stats.pgtable.released == 0);
		assert_int_equal(iog_domain_trim(place.domain, 2), 0);
		stats = bed_stats(place.domain);
		assert_int_equal(stats.pgtable.tables[0], 0);
		assert_int_equal(stats.pgtable.tables[1], 0);
		assert_int_equal(stats.iova.live_bytes, 0);
		for (uint32_t n = 0; n < 4; n++) {
			assert_int_equal(place.domain->lanes[n].nr_deferred, 0);
			assert_true(iog_gather_is_empty(&place.domain->lanes[n].gather));
		}
		place_destroy(&place);
	}
}

/* A lane's flush gives its own tables back. */
static void tables_back(void **state)
{
	struct iog_domain_stats stats;
	struct place place;
	iog_iova_t iova;

	(void)state;
	place_create(&place, 1, IOG_INVAL_DEFERRED, &iog_policy_tree);
	place.config.pgtable.trim_batch = 1;
	place_attach(&place);
	iova = mapped(&place, 0, 4096);
	assert_int_equal(unmapped(&place, 0, iova, 4096), 0);
	stats = bed_stats(place.domain);
	assert_int_equal(stats.pgtable.unlinked, 1);
	assert_int_equal(stats.pgtable.released, 0);
	assert_int_equal(iog_domain_flush(place.domain, 0), 0);
	assert_int_equal(bed_stats(place.domain).pgtable.released, 1);
	assert_true(iog_gather_is_empty(&place.domain->lanes[0].gather));
	place_destroy(&place);
}

/*
 * A table that lane 0 unlinked, lane 1 took back, unlinked again and released is free, but for the record in lane 0's gather. It comes back all the same when the domain
 * goes.
 */
static void record_left(void **state)
{
	struct iog_tablemem_stats stats;
	struct place place;
	iog_iova_t iova;

	(void)state;
	place_create(&place, 2, IOG_INVAL_DEFERRED, &iog_policy_tree);
	place.config.pgtable.trim_batch = 1;
	place_attach(&place);
	for (uint32_t lane = 0; lane < 2; lane++) {
		iova = mapped(&place, lane, 4096);
		assert_int_equal(unmapped(&place, lane, iova, 4096), 0);
	}
	assert_int_equal(bed_stats(place.domain).pgtable.revived, 1);
	assert_int_equal(iog_domain_flush(place.domain, 1), 0);
	assert_int_equal(bed_stats(place.domain).pgtable.released, 1);
	assert_int_equal(place.domain->lanes[0].gather.nr_tables, 1);
	assert_int_equal(iog_device_destroy(place.device), 0);
	assert_int_equal(iog_domain_destroy(place.domain), 0);
	for (uint32_t lane = 0; lane < 2; lane++)
		assert_int_equal(iog_tablemem_trim(place.bed.mem, lane), 0);
	iog_tablemem_stats(place.bed.mem, &stats);
	assert_int_equal(stats.slabs, 0);
	bed_destroy(&place.bed);
}

/* The same with windows, whose tables go through gathers of their own: lane 0's window goes back while the unit does not answer, lane 1 has the same addresses after it. */
static void record_left_window(void **state)
{
	struct iog_tablemem_stats stats;
	struct place place;

	(void)state;
	place_create(&place, 2, IOG_INVAL_STRICT, &iog_policy_window);
	place.config.pgtable.trim_batch = 1;
	place_attach(&place);
	for (uint32_t lane = 0; lane < 2; lane++) {
		assert_int_equal(unmapped(&place, lane, mapped(&place, lane, 4096), 4096), 0);
		atomic_store(&place.bed.probes[0].fail_invalidate, lane ? 0 : -IOG_ETIMEDOUT);
		assert_int_equal(iog_iova_drain(place.domain->iova, IOG_LANE_ALL, lane), 0);
		atomic_store(&place.bed.probes[0].fail_invalidate, 0);
		assert_int_equal(bed_stats(place.domain).pgtable.released, lane);
	}
	assert_int_equal(bed_stats(place.domain).pgtable.revived, 1);
	assert_int_equal(iog_device_destroy(place.device), 0);
	assert_int_equal(iog_domain_destroy(place.domain), 0);
	for (uint32_t lane = 0; lane < 2; lane++)
		assert_int_equal(iog_tablemem_trim(place.bed.mem, lane), 0);
	iog_tablemem_stats(place.bed.mem, &stats);
	assert_int_equal(stats.slabs, 0);
	bed_destroy(&place.bed);
}

/* What is cleared out of a run is forgotten at return, in either mode, and so is what could not be filled in whole. */
static void cleared(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < 2 * NR_POLICIES; p++) {
		const struct iog_policy *policy = policies[p / 2];
		struct domain_lane *lane;
		struct place place;
		iog_iova_t run;

		place_create(&place, 1, p & 1 ? IOG_INVAL_DEFERRED : IOG_INVAL_STRICT, policy);
		place_attach(&place);
		lane = &place.domain->lanes[0];
		assert_int_equal(policy->alloc(lane, 16384, LIMIT, &run), 0);
		assert_int_equal(policy->fill(lane, run + 4096, place.bed.paddr, 8192, BED_RW), 0);
		bed_note_map(&place.bed, 0, 1, run + 4096, 8192);
		assert_true(bed_lands(&place.bed, 0, 1, run + 8192));
		assert_false(bed_lands(&place.bed, 0, 1, run));
		assert_int_equal(policy->fill(lane, run, place.bed.paddr + 16384, 16384, BED_RW), -IOG_EEXIST);
		assert_false(bed_lands(&place.bed, 0, 1, run));
		assert_true(iog_gather_is_empty(&lane->gather));
		bed_note_unmap(&place.bed, 0, 1, run + 4096, 8192);
		assert_int_equal(policy->clear(lane, run, 16384), 0);
		assert_false(bed_lands(&place.bed, 0, 1, run + 8192));
		assert_int_equal(policy->free(lane, run, 16384), 0);
		assert_int_equal(iog_domain_flush(place.domain, 0), 0);
		assert_int_equal(bed_stats(place.domain).iova.live_bytes, 0);
		place_destroy(&place);
	}
}

/* ---- a lane that is busy with its queue is waited for ---- */

static _Thread_local bool is_closer;
static atomic_bool is_inside, closer_waits;

static void closer_seen(struct bed *bed)
{
	(void)bed;
	if (is_closer)
		atomic_store(&closer_waits, true);
}

struct insider {
	struct place *place;
	bool disturbed;
};

/* Inside lane 1's gate until somebody waits for it, or comes in all the same: the flush for what he takes is his first visible act. */
static void *insider_main(void *arg)
{
	struct insider *insider = arg;
	struct domain_lane *lane = &insider->place->domain->lanes[1];
	struct probe *probe = &insider->place->bed.probes[0];
	uint64_t domains = atomic_load(&probe->domains);
	uintptr_t flags = domain_lane_enter(lane);

	atomic_store(&is_inside, true);
	while (!atomic_load(&closer_waits) && atomic_load(&probe->domains) == domains)
		sched_yield();
	insider->disturbed = atomic_load(&probe->domains) != domains;
	domain_lane_exit(lane, flags);
	return NULL;
}

static void gate_waits(void **state)
{
	struct place place;
	struct insider insider = { &place, false };
	pthread_t thread;
	iog_iova_t iova;

	(void)state;
	place_create(&place, 2, IOG_INVAL_DEFERRED, &iog_policy_tree);
	place_attach(&place);
	iova = mapped(&place, 1, 4096);
	assert_int_equal(unmapped(&place, 1, iova, 4096), 0);
	atomic_store(&is_inside, false);
	atomic_store(&closer_waits, false);
	atomic_store(&place.bed.on_relax, closer_seen);
	assert_int_equal(pthread_create(&thread, NULL, insider_main, &insider), 0);
	while (!atomic_load(&is_inside))
		sched_yield();
	is_closer = true;
	assert_int_equal(iog_domain_trim(place.domain, 0), 0);
	is_closer = false;
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_false(insider.disturbed);
	assert_int_equal(bed_stats(place.domain).deferred, 0);
	assert_int_equal(bed_stats(place.domain).iova.live_bytes, 0);
	place_destroy(&place);
}

/* ---- one flush for many ---- */

#define WAITERS 6

static _Atomic uint32_t waiting;
static _Thread_local bool counted;
static atomic_bool first_runs;

/* Those who wait for the lock relax, and by then know which flush they need. */
static void count_waiters(struct bed *bed)
{
	(void)bed;
	if (!counted && atomic_load(&first_runs)) {
		counted = true;
		atomic_fetch_add(&waiting, 1);
	}
}

/* The first flush ends when all others wait for it. */
static void hold_first(struct probe *probe, const struct iog_gather *gather)
{
	(void)gather;
	if (atomic_load(&probe->domains) != 1)
		return;
	atomic_store(&first_runs, true);
	while (atomic_load(&waiting) < WAITERS)
		sched_yield();
}

struct flusher {
	struct place *place;
	iog_lane_t lane;
	int error;
};

static void *flusher_main(void *arg)
{
	struct flusher *flusher = arg;

	/* The first one has begun without this lane's unmaps. */
	while (flusher->lane && !atomic_load(&first_runs))
		sched_yield();
	flusher->error = iog_domain_flush(flusher->place->domain, flusher->lane);
	/* Whoever has not waited for anything has been served too early; the test will say so. */
	if (!flusher->lane)
		atomic_store(&first_runs, true);
	else if (!counted)
		atomic_fetch_add(&waiting, 1);
	return NULL;
}

/* Lane 0 flushes. Six others begin to while it waits for the unit: it does not serve them, but one more does, all of them. If that one fails, it fails for all. */
static void group_commit(void **state)
{
	(void)state;
	for (uint32_t fails = 0; fails < 2; fails++) {
		struct flusher flushers[WAITERS + 1];
		pthread_t threads[WAITERS + 1];
		struct place place;
		iog_iova_t iova[WAITERS + 1];

		place_create(&place, WAITERS + 1, IOG_INVAL_DEFERRED, &iog_policy_tree);
		place_attach(&place);
		atomic_store(&waiting, 0);
		atomic_store(&first_runs, false);
		for (uint32_t n = 0; n <= WAITERS; n++) {
			iova[n] = mapped(&place, n, 4096);
			assert_true(bed_lands(&place.bed, 0, 1, iova[n]));
			assert_int_equal(unmapped(&place, n, iova[n], 4096), 0);
		}
		if (fails)
			atomic_store(&place.bed.probes[0].fail_invalidate, -IOG_ETIMEDOUT);
		atomic_store(&place.bed.probes[0].on_invalidate, hold_first);
		atomic_store(&place.bed.on_relax, count_waiters);
		for (uint32_t n = 0; n <= WAITERS; n++) {
			flushers[n] = (struct flusher){ &place, n, 1 };
			assert_int_equal(pthread_create(&threads[n], NULL, flusher_main, &flushers[n]), 0);
		}
		for (uint32_t n = 0; n <= WAITERS; n++)
			assert_int_equal(pthread_join(threads[n], NULL), 0);
		assert_int_equal(place.bed.probes[0].domains, 2);
		assert_int_equal(bed_stats(place.domain).flushes, 2);
		for (uint32_t n = 0; n <= WAITERS; n++) {
			assert_int_equal(flushers[n].error, fails ? -IOG_ETIMEDOUT : 0);
			assert_int_equal(bed_lands(&place.bed, 0, 1, iova[n]), fails);
		}
		assert_int_equal(bed_stats(place.domain).deferred, fails ? WAITERS + 1 : 0);
		atomic_store(&place.bed.probes[0].fail_invalidate, 0);
		place_destroy(&place);
	}
}

/* ---- units that do not answer ---- */

/* Nothing is used again on account of a flush that failed, nothing is lost, and all comes back when one succeeds. */
static void no_answer(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < 2 * NR_POLICIES; p++) {
		enum iog_inval_mode mode = p & 1 ? IOG_INVAL_DEFERRED : IOG_INVAL_STRICT;
		iog_iova_t iova[20], again;
		struct iog_device *second;
		struct place place;
		uint32_t gone = 0;
		bool lazy;

		place_create(&place, 1, mode, policies[p / 2]);
		place.config.pools = 1;
		place_attach(&place);
		lazy = mode == IOG_INVAL_DEFERRED && place.domain->iova->flags & IOG_IOVA_LAZY;
		/* One of two units fails, and the other one is asked all the same. */
		second = bed_device(&place.bed, 1, 1, NULL);
		assert_int_equal(iog_domain_attach(place.domain, second), 0);
		for (uint32_t n = 0; n < 20; n++) {
			iova[n] = mapped(&place, 0, 8192);
			bed_note_map(&place.bed, 1, 1, iova[n], 8192);
			assert_true(bed_lands(&place.bed, 0, 1, iova[n]));
		}
		atomic_store(&place.bed.probes[0].fail_invalidate, -IOG_ETIMEDOUT);
		for (uint32_t n = 0; n < 20; n++) {
			struct iog_leaf leaf;
			int error;

			bed_note_unmap(&place.bed, 1, 1, iova[n], 8192);
			error = unmapped(&place, 0, iova[n], 8192);
			/* Its entries are gone, or, where the queue is full, untouched. */
			if (iog_pgtable_lookup(place.domain->pgtable, 0, iova[n], &leaf) == -IOG_ENOENT) {
				assert_int_equal(error, mode == IOG_INVAL_STRICT || n >= 7 ? -IOG_ETIMEDOUT : 0);
				gone++;
			} else {
				assert_int_equal(error, -IOG_EAGAIN);
				assert_int_equal(iog_pgtable_lookup(place.domain->pgtable, 0, iova[n] + 4096, &leaf), 0);
			}
			assert_true(bed_lands(&place.bed, 0, 1, iova[n]));
		}
		assert_int_equal(gone, lazy ? 20 : 8);
		assert_true(atomic_load(&place.bed.probes[1].ranges) + atomic_load(&place.bed.probes[1].domains) >= 8);
		if (mode == IOG_INVAL_STRICT)
			assert_int_equal(bed_stats(place.domain).quarantined, 8 * 8192);
		assert_int_equal(iog_domain_flush(place.domain, 0), -IOG_ETIMEDOUT);
		assert_int_equal(iog_domain_trim(place.domain, 0), -IOG_ETIMEDOUT);
		/* What was unmapped is not handed out. */
		for (uint32_t n = 0; n < 4 && !bed_map(&place.bed, place.domain, 0, 8192, LIMIT, &again); n++) {
			for (uint32_t k = 0; k < 20; k++)
				assert_int_not_equal(again, iova[k]);
		}

		atomic_store(&place.bed.probes[0].fail_invalidate, 0);
		assert_int_equal(iog_domain_flush(place.domain, 0), 0);
		for (uint32_t n = 0; n < 20; n++) {
			int error = bed_unmap(place.domain, 0, iova[n], 8192);

			assert_int_equal(error, n < gone ? -IOG_ENOENT : 0);
		}
		assert_int_equal(iog_domain_trim(place.domain, 0), 0);
		assert_int_equal(bed_stats(place.domain).quarantined, 0);
		assert_int_equal(bed_stats(place.domain).deferred, 0);
		for (uint32_t n = 0; n < 20; n++)
			assert_false(bed_lands(&place.bed, 0, 1, iova[n]) || bed_lands(&place.bed, 1, 1, iova[n]));
		assert_true(iog_pgtable_is_valid(place.domain->pgtable));
		assert_true(iog_iova_is_valid(place.domain->iova));
		assert_int_equal(iog_device_destroy(second), 0);
		place_destroy(&place);
	}
}

/* An unmapping of more tables than a gather holds breaks off when the unit does not answer; the rest is unmapped when it does. */
static void broken_off(void **state)
{
	(void)state;
	for (uint32_t deferred = 0; deferred < 2; deferred++) {
		const uint64_t size = 512 * MiB;
		struct iog_domain_stats stats;
		struct place place;
		iog_iova_t iova;

		place_create(&place, 1, deferred ? IOG_INVAL_DEFERRED : IOG_INVAL_STRICT, &iog_policy_tree);
		place.config.pgtable.page_sizes = 4096;
		place_attach(&place);
		assert_int_equal(place.domain->policy->map(&place.domain->lanes[0], 0, size, BED_RW, LIMIT, &iova), 0);
		assert_int_equal(bed_stats(place.domain).pgtable.tables[0], 256);
		atomic_store(&place.bed.probes[0].fail_invalidate, -IOG_ETIMEDOUT);
		assert_int_equal(bed_unmap(place.domain, 0, iova, size), -IOG_ETIMEDOUT);
		stats = bed_stats(place.domain);
		assert_int_equal(stats.pgtable.released, 0);
		assert_int_equal(stats.iova.live_bytes, size);
		assert_int_equal(stats.quarantined, size);
		assert_int_equal(iog_domain_flush(place.domain, 0), -IOG_ETIMEDOUT);
		assert_int_equal(bed_stats(place.domain).iova.live_bytes, size);
		atomic_store(&place.bed.probes[0].fail_invalidate, 0);
		assert_int_equal(iog_domain_flush(place.domain, 0), 0);
		assert_int_equal(iog_domain_trim(place.domain, 0), 0);
		stats = bed_stats(place.domain);
		assert_int_equal(stats.pgtable.tables[0], 0);
		assert_int_equal(stats.iova.live_bytes, 0);
		assert_int_equal(stats.quarantined, 0);
		place_destroy(&place);
	}
}

/* A unit that caches not-present entries is told of every map, and if it does not answer nothing is mapped and the address rests. */
static void flush_on_map(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < NR_POLICIES; p++) {
		struct place place;
		iog_iova_t iova;

		place_create(&place, 1, IOG_INVAL_STRICT, policies[p]);
		place.config.pgtable.flags = IOG_PGTABLE_FLUSH_ON_MAP;
		place.bed.probes[0].unit.pgtable_flags = IOG_PGTABLE_FLUSH_ON_MAP;
		place_attach(&place);
		assert_false(bed_lands(&place.bed, 0, 1, UINT64_C(1) << 30));
		iova = mapped(&place, 0, 4096);
		assert_int_equal(place.bed.probes[0].ranges, 1);
		assert_true(bed_lands(&place.bed, 0, 1, iova));
		assert_int_equal(unmapped(&place, 0, iova, 4096), 0);
		assert_int_equal(place.bed.probes[0].ranges, 2);

		atomic_store(&place.bed.probes[0].fail_invalidate, -IOG_EIO);
		assert_int_equal(bed_map(&place.bed, place.domain, 0, 4096, LIMIT, &iova), -IOG_EIO);
		assert_int_equal(bed_stats(place.domain).quarantined, 4096);
		assert_int_equal(bed_stats(place.domain).iova.live_bytes, 4096);
		atomic_store(&place.bed.probes[0].fail_invalidate, 0);
		assert_int_equal(iog_domain_flush(place.domain, 0), 0);
		assert_int_equal(bed_stats(place.domain).quarantined, 0);
		assert_int_equal(bed_stats(place.domain).iova.live_bytes, 0);
		place_destroy(&place);
	}
}

/* ---- interrupts ---- */

static struct {
	struct bed *bed;
	uint32_t off;         /* calls of irq_save that were not undone */
	uint32_t saved;
	uint32_t barriers;
	uint32_t barriers_off;
} interrupts;

static uintptr_t counting_irq_save(void *ctx)
{
	(void)ctx;
	interrupts.saved++;
	return interrupts.off++;
}

static void counting_irq_restore(void *ctx, uintptr_t flags)
{
	(void)ctx;
	assert_int_equal(flags, --interrupts.off);
}

static void watching_lanes_barrier(void *ctx)
{
	(void)ctx;
	interrupts.barriers++;
	interrupts.barriers_off += interrupts.off != 0;
	interrupts.bed->base.lanes_barrier(interrupts.bed);
}

/*
 * On a host with interrupts lanes_barrier may be an interrupt to all CPUs: called with interrupts off it would wait for ever for another caller. Many tables come and go, so that
 * memory goes back to the host, in flushes and in a trim.
 */
static void barrier_with_interrupts_on(void **state)
{
	const struct iog_tablemem_config lanes = { .lanes = 1 };
	static iog_iova_t iova[2000];
	struct place place;

	(void)state;
	place_create(&place, 1, IOG_INVAL_DEFERRED, &iog_policy_tree);
	memset(&interrupts, 0, sizeof(interrupts));
	interrupts.bed = &place.bed;
	if (!place.bed.base.lanes_barrier) {
		bed_destroy(&place.bed);
		skip();
	}
	assert_int_equal(iog_tablemem_destroy(place.bed.mem), 0);
	place.bed.platform.irq_save = counting_irq_save;
	place.bed.platform.irq_restore = counting_irq_restore;
	place.bed.platform.lanes_barrier = watching_lanes_barrier;
	assert_int_equal(iog_tablemem_create(&place.bed.platform, &lanes, &place.bed.mem), 0);
	place.config.pgtable.tablemem = place.bed.mem;
	place.config.pgtable.page_sizes = 4096;
	place_attach(&place);
	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t n = 0; n < 2000; n++)
			assert_int_equal(place.domain->policy->map(&place.domain->lanes[0], 0, 2 * MiB, BED_RW, LIMIT, &iova[n]), 0);
		for (uint32_t n = 0; n < 2000; n++)
			assert_int_equal(bed_unmap(place.domain, 0, iova[n], 2 * MiB), 0);
	}
	assert_int_equal(iog_domain_trim(place.domain, 0), 0);
	place_destroy(&place);
	assert_true(interrupts.saved && !interrupts.off && interrupts.barriers);
	assert_int_equal(interrupts.barriers_off, 0);
}

/* ---- threads ---- */

#define THREADS 3

static pthread_barrier_t start;

struct worker {
	struct place *place;
	iog_lane_t lane;
	uint64_t random;
	uint64_t rounds;
	const char *failed;
};

#define CHECK(worker, claim)                                  \
	do {                                                  \
		if (!(claim) && !(worker)->failed)            \
			(worker)->failed = "not so: " #claim; \
	} while (0)

/*
 * Lanes share an aperture that is too small for them, so that they live on each other's queues, and flush, tick and trim at random. What was mapped lands until its
 * unmapping, and the judge says whether anything was used again too early.
 */
static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	struct place *place = worker->place;
	struct bed *bed = &place->bed;
	iog_iova_t held[8] = { 0 };

	pthread_barrier_wait(&start);
	for (uint64_t round = 0; round < worker->rounds; round++) {
		iog_iova_t *iova = &held[kit_random(&worker->random) & 7];

		if (*iova) {
			CHECK(worker, bed_lands(bed, 0, 1, *iova + 4096));
			bed_note_unmap(bed, 0, 1, *iova, 8192);
			CHECK(worker, bed_unmap(place->domain, worker->lane, *iova, 8192) == 0);
			*iova = 0;
		} else {
			int error = bed_map(bed, place->domain, worker->lane, 8192, LIMIT, iova);

			CHECK(worker, !error || error == -IOG_ENOSPC);
			if (error)
				*iova = 0;
			else
				bed_note_map(bed, 0, 1, *iova, 8192);
		}
		switch (kit_random(&worker->random) & 63) {
		case 0:
			CHECK(worker, iog_domain_flush(place->domain, worker->lane) == 0);
			break;
		case 1:
			CHECK(worker, iog_domain_trim(place->domain, worker->lane) == 0);
			break;
		case 2:
			CHECK(worker, iog_domain_tick(place->domain, worker->lane, round) == 0);
			break;
		}
	}
	for (uint32_t n = 0; n < 8; n++) {
		if (!held[n])
			continue;
		bed_note_unmap(bed, 0, 1, held[n], 8192);
		CHECK(worker, bed_unmap(place->domain, worker->lane, held[n], 8192) == 0);
	}
	return NULL;
}

static void hammer(void **state)
{
	uint64_t seed = kit_seed("flushes");

	(void)state;
	for (uint32_t p = 0; p < NR_POLICIES; p++) {
		struct worker workers[THREADS];
		pthread_t threads[THREADS];
		struct place place;

		pthread_barrier_init(&start, NULL, THREADS);
		place_create(&place, THREADS, IOG_INVAL_DEFERRED, policies[p]);
		place.config.first = 2 * MiB;
		/* Sixteen runs and a half per thread, spread over two tables. */
		place.config.last = 2 * MiB + 33 * THREADS * 4 * KiB - 1;
		place.config.deferred_entries = 64;
		place.config.pgtable.trim_batch = 1;
		place.config.pools = 1;
		place_attach(&place);
		for (uint32_t n = 0; n < THREADS; n++) {
			workers[n] = (struct worker){ &place, n, kit_random(&seed), kit_scaled(40000), NULL };
			assert_int_equal(pthread_create(&threads[n], NULL, worker_main, &workers[n]), 0);
		}
		for (uint32_t n = 0; n < THREADS; n++) {
			assert_int_equal(pthread_join(threads[n], NULL), 0);
			if (workers[n].failed)
				print_error("lane %u, %s: %s\n", n, policies[p]->name, workers[n].failed);
			assert_null(workers[n].failed);
		}
		assert_int_equal(iog_domain_trim(place.domain, 0), 0);
		assert_int_equal(bed_stats(place.domain).iova.live_bytes, 0);
		assert_int_equal(bed_stats(place.domain).pgtable.tables[0], 0);
		assert_true(iog_iova_is_valid(place.domain->iova));
		place_destroy(&place);
		pthread_barrier_destroy(&start);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strict),
		cmocka_unit_test(bound),
		cmocka_unit_test(tick),
		cmocka_unit_test(tick_late),
		cmocka_unit_test(tick_bound),
		cmocka_unit_test(taken_over),
		cmocka_unit_test(taken_over_large),
		cmocka_unit_test(others_served),
		cmocka_unit_test(trim),
		cmocka_unit_test(tables_back),
		cmocka_unit_test(record_left),
		cmocka_unit_test(record_left_window),
		cmocka_unit_test(cleared),
		cmocka_unit_test(gate_waits),
		cmocka_unit_test(group_commit),
		cmocka_unit_test(no_answer),
		cmocka_unit_test(broken_off),
		cmocka_unit_test(flush_on_map),
		cmocka_unit_test(barrier_with_interrupts_on),
		cmocka_unit_test(hammer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

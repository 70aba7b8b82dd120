/* SPDX-License-Identifier: MIT */
/*
 * Unmappings that break off because a unit does not answer: whatever it answers later, and however often finishing them fails, nothing is released that is mapped or remembered,
 * everything is released once, and no call pays for all of it.
 */
#include "place.h"

#define LARGE (512 * MiB) /* more tables than a gather holds */
#define RUN_PAGES 512     /* those of one table */
#define RUN_SIZE (RUN_PAGES * PAGE)
#define STEP 64           /* entries that a call gives back on the way, of which one wait is worth so many */

static struct place place;

static void begin(const struct iog_policy *policy, enum iog_inval_mode mode)
{
	place_begin(&place, policy, mode);
	place.config.pgtable.page_sizes = PAGE;
	place.config.held_max = GiB;
	place.config.deferred_entries = 4096;
}

static void unit_says(int error)
{
	atomic_store(&place.bed.probes[0].fail_invalidate, error);
}

/* The nth invalidation from now on fails, and no other. What it returns is read before the hook is called: that is for the next one. */
static uint32_t until_failure;

static void fail_next(struct probe *probe, const struct iog_gather *gather)
{
	(void)gather;
	atomic_store(&probe->fail_invalidate, until_failure && --until_failure == 1 ? -IOG_ETIMEDOUT : 0);
}

static void fail_nth(uint32_t n)
{
	until_failure = n;
	unit_says(n == 1 ? -IOG_ETIMEDOUT : 0);
	atomic_store(&place.bed.probes[0].on_invalidate, n ? fail_next : NULL);
}

static uint64_t waits(void)
{
	return atomic_load(&place.bed.probes[0].ranges) + atomic_load(&place.bed.probes[0].domains);
}

static uint64_t mapped_pages(iog_iova_t run, uint64_t size, uint64_t piece)
{
	uint64_t nr = 0;

	for (uint64_t at = 0; at < size; at += piece)
		if (place_is_mapped(&place, run + at))
			nr += piece / PAGE;
	return nr;
}

/* The lane's gather is full of tables, of a run whose memory is not held, and the unit is silent: nothing else is cleared that would need one more. */
static void fill_gather(iog_lane_t lane, struct iog_dma_run *run)
{
	assert_int_equal(iog_dma_reserve(place.device, lane, LARGE, run), 0);
	for (uint64_t at = 0; at < LARGE; at += 2 * MiB)
		assert_int_equal(iog_dma_link(run, lane, at, place.bed.paddr, PAGE, IOG_DMA_BIDIRECTIONAL, 0), 0);
}

static void break_off(iog_lane_t lane)
{
	struct iog_dma_run run;

	fill_gather(lane, &run);
	unit_says(-IOG_ETIMEDOUT);
	assert_int_equal(iog_dma_release(&run, lane), -IOG_ETIMEDOUT);
}

/* Nothing is released before a flush has succeeded, everything once after it; neither stays mapped, not even that which was not begun with. */
static void gets_nowhere(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < PLACE_POLICIES; p++) {
		for (uint32_t m = 0; m < PLACE_MODES; m++) {
			bool whole = place_policies[p] != &iog_policy_window;
			iog_iova_t run, other;

			begin(place_policies[p], place_modes[m]);
			place_attach(&place);
			run = place_run(&place, 0, LARGE, MiB);
			other = place_map(&place, 0, 0, RUN_SIZE);
			unit_says(-IOG_ETIMEDOUT);
			assert_int_equal(place_unmap(&place, 0, run, LARGE), -IOG_ETIMEDOUT);
			/* A table that would go as a whole: a window keeps its own. */
			if (whole)
				assert_int_equal(place_unmap(&place, 0, other, RUN_SIZE), -IOG_ETIMEDOUT);
			assert_true(place_is_mapped(&place, other));
			assert_int_equal(bed_stats(place.domain).quarantined, LARGE + (whole ? RUN_SIZE : 0));
			assert_int_equal(iog_domain_flush(place.domain, 0), -IOG_ETIMEDOUT);
			assert_int_equal(atomic_load(&place.releases), 0);
			unit_says(0);
			if (!whole)
				assert_int_equal(place_unmap(&place, 0, other, RUN_SIZE), 0);
			assert_int_equal(iog_domain_flush(place.domain, 0), 0);
			assert_int_equal(bed_stats(place.domain).quarantined, 0);
			assert_false(place_is_mapped(&place, other));
			assert_int_equal(mapped_pages(run, LARGE, MiB), 0);
			assert_int_equal(atomic_load(&place.releases), atomic_load(&place.holds));
			place_settle(&place);
			place_destroy(&place);
		}
	}
}

/* The same where nobody holds anything. */
static void nobody_holds(void **state)
{
	(void)state;
	for (uint32_t m = 0; m < PLACE_MODES; m++) {
		iog_iova_t other;

		begin(&iog_policy_tree, place_modes[m]);
		place.config.hold = NULL;
		place_attach(&place);
		other = place_map(&place, 0, 0, RUN_SIZE);
		break_off(0);
		assert_int_equal(place_unmap(&place, 0, other, RUN_SIZE), -IOG_ETIMEDOUT);
		assert_int_equal(bed_stats(place.domain).quarantined, LARGE + RUN_SIZE);
		unit_says(0);
		assert_int_equal(iog_domain_flush(place.domain, 0), 0);
		assert_false(place_is_mapped(&place, other));
		place_settle(&place);
		place_destroy(&place);
	}
}

/* The call of an unmapping is made when nothing of it is mapped any more, however often finishing it fails. */
static void call_is_last(void **state)
{
	(void)state;
	for (uint32_t m = 0; m < PLACE_MODES; m++) {
		uint32_t failures = 0;
		iog_iova_t run;

		begin(&iog_policy_tree, place_modes[m]);
		place_attach(&place);
		/* More pieces than may wait at once. */
		run = place_run(&place, 0, LARGE, MiB / 2);
		unit_says(-IOG_ETIMEDOUT);
		assert_int_equal(iog_dma_unmap_release(place.device, 0, run, LARGE, IOG_DMA_BIDIRECTIONAL, 0, place_called, &place), -IOG_ETIMEDOUT);
		for (uint32_t round = 0; round < 4; round++) {
			fail_nth(2);
			assert_int_equal(iog_domain_flush(place.domain, 0), -IOG_ETIMEDOUT);
			for (uint32_t tick = 0; tick < 2; tick++) {
				unit_says(tick ? -IOG_ETIMEDOUT : 0);
				failures += iog_domain_tick(place.domain, 0, 1) == -IOG_ETIMEDOUT;
				assert_true(place_is_mapped(&place, run + LARGE - PAGE));
				assert_int_equal(place.calls, 0);
				assert_true(atomic_load(&place.releases) + mapped_pages(run, LARGE, MiB / 2) <= LARGE / PAGE);
			}
		}
		assert_true(failures >= 4);
		fail_nth(0);
		assert_int_equal(iog_domain_flush(place.domain, 0), 0);
		assert_int_equal(mapped_pages(run, LARGE, MiB / 2), 0);
		assert_int_equal(place.calls, 1);
		place_settle(&place);
		place_destroy(&place);
	}
}

/* What was linked to a reserved run was never held: nothing is released. */
static void not_held(void **state)
{
	(void)state;
	for (uint32_t m = 0; m < PLACE_MODES; m++) {
		begin(&iog_policy_tree, place_modes[m]);
		place_attach(&place);
		break_off(0);
		unit_says(0);
		assert_int_equal(iog_domain_flush(place.domain, 0), 0);
		assert_int_equal(atomic_load(&place.releases), 0);
		place_settle(&place);
		place_destroy(&place);
	}
}

/* A list of which the last piece is out of reach, where the unit answers and where not: of whole tables, and of more pages than may wait. */
static void list_is_refused(void **state)
{
	static const struct {
		uint32_t n;
		uint64_t size;
	} lists[] = { { 300, MiB }, { 900, PAGE } };

	(void)state;
	for (uint32_t m = 0; m < 4 * PLACE_MODES; m++) {
		uint32_t n = lists[m & 1].n, mapped_n;
		uint64_t size = lists[m & 1].size;
		static struct iog_sg sg[901];
		bool silent = m & 2;

		begin(&iog_policy_tree, place_modes[m / 4]);
		place_attach(&place);
		for (uint32_t i = 0; i < n; i++)
			sg[i] = (struct iog_sg){ .paddr = place.bed.paddr + i * 3 % (BED_MEMORY / size) * (size == PAGE ? PAGE : MiB / 2), .size = size };
		sg[n] = (struct iog_sg){ .paddr = UINT64_C(1) << 60, .size = PAGE };
		unit_says(silent ? -IOG_ETIMEDOUT : 0);
		assert_int_equal(iog_dma_map_sg(place.device, 0, sg, n + 1, IOG_DMA_BIDIRECTIONAL, 0, NULL, &mapped_n), -IOG_ERANGE);
		assert_int_equal(atomic_load(&place.holds), n * size / PAGE + 1);
		if (silent)
			assert_int_equal(atomic_load(&place.releases), 0);
		unit_says(0);
		assert_int_equal(iog_domain_flush(place.domain, 0), 0);
		/* The last, which is not the bed's memory, was held and released. */
		assert_int_equal(atomic_exchange(&place.wrong, 0), 2);
		place_settle(&place);
		place_destroy(&place);
	}
}

/* On a unit that is told of mappings one by one, the list's nth invalidation fails, or all. */
static void list_is_not_answered(void **state)
{
	static const uint32_t nth[] = { 1, 2, 30, 899, 900 };

	(void)state;
	for (uint32_t m = 0; m < PLACE_MODES; m++) {
		for (uint32_t k = 0; k < 6; k++) {
			static struct iog_sg sg[900];
			uint32_t mapped_n;

			begin(&iog_policy_tree, place_modes[m]);
			place.config.pgtable.flags |= IOG_PGTABLE_FLUSH_ON_MAP;
			place_attach(&place);
			for (uint32_t i = 0; i < 900; i++)
				sg[i] = (struct iog_sg){ .paddr = place.bed.paddr + i * 3 % PLACE_PAGES * PAGE, .size = PAGE };
			if (k < 5)
				fail_nth(nth[k]);
			else
				unit_says(-IOG_ETIMEDOUT);
			assert_int_equal(iog_dma_map_sg(place.device, 0, sg, 900, IOG_DMA_BIDIRECTIONAL, 0, NULL, &mapped_n), -IOG_ETIMEDOUT);
			fail_nth(0);
			assert_int_equal(iog_domain_flush(place.domain, 0), 0);
			place_settle(&place);
			place_destroy(&place);
		}
	}
}

/* What is still mapped when the domain goes is released then; what is not, too. */
static void destroyed(void **state)
{
	(void)state;
	for (uint32_t lots = 0; lots < 4; lots++) {
		iog_iova_t run;

		begin(&iog_policy_tree, IOG_INVAL_HELD);
		place_attach(&place);
		run = place_run(&place, 1, LARGE, MiB);
		unit_says(-IOG_ETIMEDOUT);
		assert_int_equal(iog_dma_unmap_release(place.device, 1, run, LARGE, IOG_DMA_BIDIRECTIONAL, 0, place_called, &place), -IOG_ETIMEDOUT);
		if (lots) {
			/* One that was not answered waits, too. */
			fail_nth(1 + lots);
			assert_int_equal(iog_domain_flush(place.domain, 1), -IOG_ETIMEDOUT);
		}
		fail_nth(0);
		assert_true(mapped_pages(run, LARGE, MiB));
		assert_int_equal(iog_device_destroy(place.device), 0);
		assert_int_equal(iog_domain_destroy(place.domain), 0);
		assert_int_equal(place.calls, 1);
		assert_int_equal(atomic_load(&place.wrong), 0);
		for (uint32_t page = 0; page < PLACE_PAGES; page++)
			assert_int_equal(place.count[page], 0);
		bed_destroy(&place.bed);
	}
}

/* More lots than one call waits for. */
static void waits_are_bounded(void **state)
{
	const uint64_t size = 16 * MiB;

	(void)state;
	for (uint32_t m = 0; m < PLACE_MODES; m++) {
		uint64_t before, flushes = 0;
		iog_iova_t run;
		int error;

		begin(&iog_policy_tree, place_modes[m]);
		place_attach(&place);
		run = place_run(&place, 0, size, PAGE);
		unit_says(-IOG_ETIMEDOUT);
		assert_int_equal(place_unmap(&place, 0, run, size), -IOG_ETIMEDOUT);
		unit_says(0);
		do {
			before = waits();
			error = iog_domain_flush(place.domain, 0);
			assert_true(waits() - before <= IOG_DOMAIN_DRAIN / STEP + 1);
			flushes++;
		} while (error == -IOG_EAGAIN);
		/* 0 means that nothing of it is mapped any more. */
		assert_int_equal(error, 0);
		assert_int_equal(mapped_pages(run, size, PAGE), 0);
		assert_true(flushes > 1);
		place_settle(&place);
		place_destroy(&place);
	}
}

/* Which page of memory the run's nth is, see place_run(). */
static uint64_t page_of(uint64_t n)
{
	return n * (1 + PLACE_GAP / PAGE) % PLACE_PAGES;
}

/* Before each invalidation a device reads what is still mapped: so it remembers what is cleared next. */
static iog_iova_t watched;

static void read_and_fail(struct probe *probe, const struct iog_gather *gather)
{
	for (uint64_t n = 0; n < RUN_PAGES; n++)
		if (place_is_mapped(&place, watched + n * PAGE))
			assert_true(bed_lands(&place.bed, 0, 1, watched + n * PAGE));
	fail_next(probe, gather);
}

/* A page that a device remembers and that is not mapped has not been released. How many there are. */
static uint32_t remembered(void)
{
	uint32_t nr = 0;

	for (uint64_t n = 0; n < RUN_PAGES; n++) {
		if (!place_is_mapped(&place, watched + n * PAGE) && bed_lands(&place.bed, 0, 1, watched + n * PAGE)) {
			assert_int_equal(place.count[page_of(n)], 1);
			nr++;
		}
	}
	return nr;
}

/* The nth wait of those that finish it fails, for each n, once, in one lane or another: pages that were cleared wait until somebody has been answered. */
static int finish(iog_lane_t lane, uint32_t nth, uint32_t *nr)
{
	int error;

	begin(&iog_policy_tree, IOG_INVAL_HELD);
	place_attach(&place);
	watched = place_run(&place, 0, RUN_SIZE, PAGE);
	for (uint64_t page = 0; page < RUN_PAGES; page++)
		place_note_map(&place, watched + page * PAGE, page_of(page) * PAGE, PAGE);
	break_off(0);
	assert_int_equal(place_unmap(&place, 0, watched, RUN_SIZE), -IOG_ETIMEDOUT);
	assert_int_equal(mapped_pages(watched, RUN_SIZE, PAGE), RUN_PAGES);

	fail_nth(nth);
	atomic_store(&place.bed.probes[0].on_invalidate, read_and_fail);
	error = lane ? iog_domain_trim(place.domain, lane) : iog_domain_flush(place.domain, 0);
	fail_nth(0);
	bed_note_unmap(&place.bed, 0, 1, watched, RUN_SIZE);
	assert_true(atomic_load(&place.releases) + mapped_pages(watched, RUN_SIZE, PAGE) <= RUN_PAGES);
	*nr += remembered();
	assert_int_equal(iog_domain_tick(place.domain, 0, 1), 0);
	(void)remembered();
	place_settle(&place);
	place_destroy(&place);
	return error;
}

static void lot_is_not_answered(void **state)
{
	(void)state;
	for (iog_lane_t lane = 0; lane < 2; lane++) {
		uint32_t nth = 1, nr = 0;
		int error;

		while ((error = finish(lane, nth, &nr)) == -IOG_ETIMEDOUT)
			nth++;
		assert_int_equal(error, 0);
		/* The flush, the first run, and 16 lots: no fewer. */
		assert_true(nth > 18);
		/* Not all: its TLB is smaller. */
		assert_true(nr);
	}
}

/* Two runs that nobody holds: the second is read once more while the first is finished, and then it is not answered. */
static iog_iova_t finished_first, finished_then;

static void read_then(struct probe *probe, const struct iog_gather *gather)
{
	bool fails = !place_is_mapped(&place, finished_first) && place_is_mapped(&place, finished_then);

	(void)gather;
	if (fails)
		assert_true(bed_lands(&place.bed, 0, 1, finished_then));
	atomic_store(&probe->fail_invalidate, fails ? -IOG_ETIMEDOUT : 0);
}

/* Another lane clears the second and is not answered: the run is not handed out again while a device remembers it. */
static void others_finish(void **state)
{
	(void)state;
	for (uint32_t m = 0; m < PLACE_MODES; m++) {
		struct iog_dma_run large;

		begin(&iog_policy_tree, place_modes[m]);
		place.config.hold = NULL;
		place_attach(&place);
		finished_first = place_map(&place, 0, 0, RUN_SIZE);
		finished_then = place_map(&place, 0, 0, RUN_SIZE);
		place_note_map(&place, finished_then, 0, PAGE);
		fill_gather(0, &large);
		unit_says(-IOG_ETIMEDOUT);
		assert_int_equal(iog_dma_unlink(&large, 0, 0, LARGE), -IOG_ETIMEDOUT);
		assert_int_equal(place_unmap(&place, 0, finished_first, RUN_SIZE), -IOG_ETIMEDOUT);
		assert_int_equal(place_unmap(&place, 0, finished_then, RUN_SIZE), -IOG_ETIMEDOUT);
		unit_says(0);
		atomic_store(&place.bed.probes[0].on_invalidate, read_then);
		assert_int_equal(iog_domain_trim(place.domain, 1), -IOG_ETIMEDOUT);
		assert_false(place_is_mapped(&place, finished_then));
		fail_nth(0);
		bed_note_unmap(&place.bed, 0, 1, finished_then, PAGE);
		assert_int_equal(iog_domain_tick(place.domain, 0, 1), 0);
		assert_true(bed_stats(place.domain).quarantined || !bed_lands(&place.bed, 0, 1, finished_then));
		assert_int_equal(iog_dma_release(&large, 0), 0);
		place_settle(&place);
		place_destroy(&place);
	}
}

/* An address that is not mapped stays one, though unmapping it has something to wait for: tables of others. */
static void not_mapped(void **state)
{
	(void)state;
	for (uint32_t m = 0; m < 2 * PLACE_MODES; m++) {
		iog_iova_t iova;

		begin(&iog_policy_tree, place_modes[m / 2]);
		place.config.pgtable.trim_batch = 1;
		if (m & 1)
			place.config.hold = NULL;
		place_attach(&place);
		iova = place_map(&place, 0, 0, PAGE);
		break_off(0);
		assert_int_equal(place_unmap(&place, 0, iova, PAGE), -IOG_ETIMEDOUT);
		assert_int_equal(bed_stats(place.domain).quarantined, LARGE + PAGE);
		assert_int_equal(place_unmap(&place, 0, iova, PAGE), -IOG_ENOENT);
		assert_int_equal(bed_stats(place.domain).quarantined, LARGE + PAGE);
		unit_says(0);
		place_settle(&place);
		place_destroy(&place);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gets_nowhere),
		cmocka_unit_test(nobody_holds),
		cmocka_unit_test(call_is_last),
		cmocka_unit_test(not_held),
		cmocka_unit_test(list_is_refused),
		cmocka_unit_test(list_is_not_answered),
		cmocka_unit_test(destroyed),
		cmocka_unit_test(waits_are_bounded),
		cmocka_unit_test(lot_is_not_answered),
		cmocka_unit_test(others_finish),
		cmocka_unit_test(not_mapped),
	};

	return cmocka_run_group_tests_name("dma broken", tests, NULL, NULL);
}

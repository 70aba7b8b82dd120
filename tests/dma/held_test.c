/* SPDX-License-Identifier: MIT */
/*
 * Memory that is held: a count per page, which hold() raises and release() lowers. Each page comes back exactly once per mapping, in every mode, after every error; not before the mode allows it;
 * and no more bytes wait than may.
 */
#include <pthread.h>

#include "place.h"

/* When each mode lets go: strict and deferred at unmap, one with hardware having forgotten and one without; held by the flush. */
static void promises(void **state)
{
	static const uint64_t sizes[] = { 100, PAGE, 5 * PAGE, 300 * PAGE };

	(void)state;
	for (uint32_t p = 0; p < PLACE_POLICIES; p++) {
		for (uint32_t m = 0; m < 3; m++) {
			static struct place place;

			place_begin(&place, place_policies[p], place_modes[m]);
			place_attach(&place);
			for (uint32_t s = 0; s < 4; s++) {
				uint64_t pages = (sizes[s] + PAGE - 1) / PAGE;
				/* A window of the lane's own has to be there for the short way. */
				iog_iova_t other = place_map(&place, 0, 0, PAGE), iova = place_map(&place, 0, 2 * PAGE, sizes[s]);

				assert_int_equal(place.count[2], 1);
				assert_int_equal(place.count[1 + pages], 1);
				assert_int_equal(place.count[2 + pages], 0);
				place_note_map(&place, iova, 2 * PAGE, sizes[s]);
				assert_true(bed_lands(&place.bed, 0, 1, iova));
				assert_int_equal(place_unmap(&place, 0, other, PAGE), 0);
				bed_note_unmap(&place.bed, 0, 1, iova, pages * PAGE);
				assert_int_equal(place_unmap(&place, 0, iova, sizes[s]), 0);
				assert_int_equal(bed_lands(&place.bed, 0, 1, iova), place_modes[m] != IOG_INVAL_STRICT);
				assert_int_equal(place.count[2], place_modes[m] == IOG_INVAL_HELD);
				assert_int_equal(place.count[1 + pages], place_modes[m] == IOG_INVAL_HELD);
				assert_int_equal(bed_stats(place.domain).held_bytes, place_modes[m] == IOG_INVAL_HELD ? (pages + 1) * PAGE : 0);
				assert_int_equal(bed_stats(place.domain).held_entries, place_modes[m] == IOG_INVAL_HELD ? 2 : 0);
				assert_int_equal(place_unmap(&place, 0, iova, sizes[s]), -IOG_ENOENT);
				assert_int_equal(iog_domain_flush(place.domain, 0), 0);
				assert_int_equal(place.count[2], 0);
				/* Contiguous pages in one piece. */
				assert_int_equal(atomic_load(&place.largest), pages * PAGE);
			}
			place_settle(&place);
			place_destroy(&place);
		}
	}
}

/* A call instead of hold ops, or beside them. */
static void call(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < 2 * PLACE_POLICIES; p++) {
		for (uint32_t m = 0; m < 3; m++) {
			static struct place place;
			iog_iova_t iova;

			place_begin(&place, place_policies[p / 2], place_modes[m]);
			if (p & 1)
				place.config.hold = NULL;
			place_attach(&place);
			for (uint32_t n = 0; n < 3; n++) {
				uint64_t size = n == 0 ? PAGE : n == 1 ? 7 * PAGE : 500 * PAGE;

				iova = place_map(&place, 0, 0, size);
				assert_int_equal(iog_dma_unmap_release(place.device, 0, iova, size, IOG_DMA_BIDIRECTIONAL, 0, NULL, NULL), -IOG_EINVAL);
				assert_int_equal(iog_dma_unmap_release(place.device, 0, iova, size, IOG_DMA_BIDIRECTIONAL, 0, place_called, &place), 0);
				assert_int_equal(place.calls, n + (place_modes[m] == IOG_INVAL_STRICT));
				assert_int_equal(iog_dma_unmap_release(place.device, 0, iova, size, IOG_DMA_BIDIRECTIONAL, 0, place_called, &place), -IOG_ENOENT);
				assert_int_equal(iog_domain_flush(place.domain, 0), 0);
				assert_int_equal(place.calls, n + 1);
			}
			/* What the unit does not answer is told when it does; and when as much waits as may, nothing is changed. */
			iova = place_map(&place, 0, 0, PAGE);
			atomic_store(&place.bed.probes[0].fail_invalidate, -IOG_ETIMEDOUT);
			assert_int_equal(iog_dma_unmap_release(place.device, 0, iova, PAGE, IOG_DMA_BIDIRECTIONAL, 0, place_called, &place),
					 place_modes[m] == IOG_INVAL_STRICT ? -IOG_ETIMEDOUT : 0);
			assert_int_equal(place.calls, 3);
			assert_int_equal(iog_domain_flush(place.domain, 0), -IOG_ETIMEDOUT);
			assert_int_equal(place.calls, 3);
			atomic_store(&place.bed.probes[0].fail_invalidate, 0);
			assert_int_equal(iog_domain_flush(place.domain, 0), 0);
			assert_int_equal(place.calls, 4);
			place_settle(&place);
			place_destroy(&place);
		}
	}
}

/* Many pieces: a list of scattered pages, and with the generic policies one that has more of them than the ring takes. */
static void pieces(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < PLACE_POLICIES; p++) {
		for (uint32_t m = 0; m < 3; m++) {
			for (uint32_t n = 64; n <= 1200; n = n == 64 ? 500 : n + 700) {
				static struct iog_sg sg[1200];
				static struct place place;
				uint32_t mapped_n;
				int before;

				place_begin(&place, place_policies[p], place_modes[m]);
				place.config.deferred_entries = 2000;
				place_attach(&place);
				for (uint32_t i = 0; i < n; i++)
					sg[i] = (struct iog_sg){ .paddr = place.bed.paddr + (i * 3 % PLACE_PAGES) * PAGE, .size = PAGE };
				assert_int_equal(iog_dma_map_sg(place.device, 0, sg, n, IOG_DMA_BIDIRECTIONAL, 0, NULL, &mapped_n), 0);
				assert_int_equal(atomic_load(&place.holds), n);
				before = place.count[3];
				place_note_map(&place, sg[0].iova, 0, PAGE);
				assert_true(bed_lands(&place.bed, 0, 1, sg[0].iova));
				bed_note_unmap(&place.bed, 0, 1, sg[0].iova, PAGE);
				assert_int_equal(iog_dma_unmap_sg(place.device, 0, sg, n, IOG_DMA_BIDIRECTIONAL, 0), 0);
				/* Too many to wait: hardware has forgotten them. */
				if (n > 512)
					assert_false(bed_lands(&place.bed, 0, 1, sg[0].iova));
				assert_int_equal(place.count[3], place_modes[m] == IOG_INVAL_HELD && n <= 512 ? before : 0);
				place_settle(&place);
				place_destroy(&place);
			}
		}
	}
}

/* Lists of many pieces, one after the other, where hardly anything may wait: each finds its places in the ring, whatever the one before has left there. */
static void crowded(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < PLACE_POLICIES; p++) {
		static struct iog_sg sg[6][400];
		static struct place place;
		uint32_t mapped_n;

		place_begin(&place, place_policies[p], IOG_INVAL_HELD);
		place.config.deferred_entries = 2;
		place_attach(&place);
		for (uint32_t list = 0; list < 6; list++) {
			for (uint32_t i = 0; i < 400; i++)
				sg[list][i] = (struct iog_sg){ .paddr = place.bed.paddr + (i * 3 + list) % PLACE_PAGES * PAGE, .size = PAGE };
			assert_int_equal(iog_dma_map_sg(place.device, 0, sg[list], 400, IOG_DMA_BIDIRECTIONAL, 0, NULL, &mapped_n), 0);
		}
		for (uint32_t list = 0; list < 6; list++) {
			assert_int_equal(iog_dma_unmap_sg(place.device, 0, sg[list], 400, IOG_DMA_BIDIRECTIONAL, 0), 0);
			assert_true(place.domain->lanes[0].nr_deferred <= place.domain->ring_size);
		}
		place_settle(&place);
		place_destroy(&place);
	}
}

/* No more than may wait: what would be more waits for hardware. */
static void bounded(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < PLACE_POLICIES; p++) {
		static struct place place;
		iog_iova_t iova[64];

		place_begin(&place, place_policies[p], IOG_INVAL_HELD);
		place.config.deferred_entries = 1000;
		place.config.held_max = 10 * PAGE;
		place_attach(&place);
		for (uint32_t n = 0; n < 64; n++)
			iova[n] = place_map(&place, n % 2, n * PAGE, PAGE);
		for (uint32_t n = 0; n < 64; n++) {
			assert_int_equal(place_unmap(&place, n % 2, iova[n], PAGE), 0);
			assert_true(bed_stats(place.domain).held_bytes <= 10 * PAGE);
			assert_int_equal(bed_stats(place.domain).held_bytes, (n + 1 - atomic_load(&place.releases)) * PAGE);
		}
		assert_true(bed_stats(place.domain).held_bytes_most <= 20 * PAGE);
		assert_true(bed_stats(place.domain).flushes >= 3);
		/* More in one piece than may wait at all. */
		iova[0] = place_map(&place, 0, 0, 11 * PAGE);
		place_note_map(&place, iova[0], 0, 11 * PAGE);
		assert_true(bed_lands(&place.bed, 0, 1, iova[0]));
		bed_note_unmap(&place.bed, 0, 1, iova[0], 11 * PAGE);
		assert_int_equal(place_unmap(&place, 0, iova[0], 11 * PAGE), 0);
		assert_false(bed_lands(&place.bed, 0, 1, iova[0]));
		assert_true(bed_stats(place.domain).held_bytes <= 10 * PAGE);
		place_settle(&place);
		place_destroy(&place);
	}
}

/* Pages that follow one another wait as one piece, and are released as one; but no more of them than may wait apart. */
static void neighbours(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < PLACE_POLICIES; p++) {
		static struct place place;
		iog_iova_t iova[64];

		place_begin(&place, place_policies[p], IOG_INVAL_HELD);
		place.config.deferred_entries = 8;
		place_attach(&place);
		for (uint32_t n = 0; n < 64; n++)
			iova[n] = place_map(&place, 0, n * PAGE, PAGE);
		for (uint32_t n = 0; n < 64; n++) {
			assert_int_equal(place_unmap(&place, 0, iova[n], PAGE), 0);
			assert_true(bed_stats(place.domain).held_bytes <= 8 * PAGE);
			assert_int_equal(bed_stats(place.domain).held_bytes, (n + 1 - atomic_load(&place.releases)) * PAGE);
		}
		if (place_policies[p] == &iog_policy_window) {
			assert_int_equal(atomic_load(&place.largest), 8 * PAGE);
			assert_int_equal(bed_stats(place.domain).held_entries_most, 1);
		}
		assert_true(bed_stats(place.domain).flushes >= 7);
		place_settle(&place);
		place_destroy(&place);
	}
}

/* What follows on memory that a flush has covered, and that is still to be released, waits for a flush of its own. */
static void late_neighbour(void **state)
{
	static struct place place;
	iog_iova_t iova[250], last;
	uint64_t flushes;

	(void)state;
	place_begin(&place, &iog_policy_window, IOG_INVAL_HELD);
	place.config.deferred_entries = 200;
	place_attach(&place);
	for (uint32_t n = 0; n < 250; n++)
		iova[n] = place_map(&place, 0, n * 2 * PAGE, PAGE);
	last = place_map(&place, 0, 399 * PAGE, PAGE);
	place_note_map(&place, last, 399 * PAGE, PAGE);
	assert_true(bed_lands(&place.bed, 0, 1, last));
	for (uint32_t n = 0; n < 200; n++)
		assert_int_equal(place_unmap(&place, 0, iova[n], PAGE), 0);
	bed_note_unmap(&place.bed, 0, 1, last, PAGE);
	assert_int_equal(place_unmap(&place, 0, last, PAGE), 0);
	flushes = bed_stats(place.domain).flushes;
	assert_int_equal(flushes, 1);
	assert_true(atomic_load(&place.releases) < 200);
	for (uint32_t n = 200; n < 250; n++)
		assert_int_equal(place_unmap(&place, 0, iova[n], PAGE), 0);
	assert_int_equal(bed_stats(place.domain).flushes, flushes);
	assert_int_equal(atomic_load(&place.releases), 200);
	assert_int_equal(place.count[399], 1);
	place_settle(&place);
	place_destroy(&place);
}

/* Nothing of a unit that does not answer is released before it does, in any mode, and everything then. */
static void no_answer(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < PLACE_POLICIES; p++) {
		for (uint32_t m = 0; m < 3; m++) {
			static struct place place;
			iog_iova_t iova[40];
			uint32_t busy = 0, gone = 0;

			place_begin(&place, place_policies[p], place_modes[m]);
			place_attach(&place);
			for (uint32_t n = 0; n < 40; n++)
				iova[n] = place_map(&place, 0, 2 * n * PAGE, 2 * PAGE);
			atomic_store(&place.bed.probes[0].fail_invalidate, -IOG_ETIMEDOUT);
			for (uint32_t n = 0; n < 40; n++) {
				int error = place_unmap(&place, 0, iova[n], 2 * PAGE);

				if (error == -IOG_EAGAIN) {
					busy++;
					assert_int_equal(place.count[2 * n], 1);
					continue;
				}
				gone++;
				if (error || place_modes[m] == IOG_INVAL_HELD)
					assert_int_equal(place.count[2 * n], 1);
			}
			assert_int_equal(busy + gone, 40);
			if (place_policies[p] == &iog_policy_tree)
				assert_int_equal(gone, place_modes[m] == IOG_INVAL_DEFERRED ? 16 : 8);
			assert_int_equal(iog_domain_flush(place.domain, 0), -IOG_ETIMEDOUT);
			atomic_store(&place.bed.probes[0].fail_invalidate, 0);
			for (uint32_t n = 0; n < 40; n++) {
				int error = place_unmap(&place, 0, iova[n], 2 * PAGE);

				assert_true(error == 0 || error == -IOG_ENOENT);
			}
			place_settle(&place);
			place_destroy(&place);
		}
	}
}

/* An unmapping of more tables than a gather holds breaks off: what it had not come to is released when that has been finished, and the rest when it is forgotten. */
static void broken_off(void **state)
{
	(void)state;
	for (uint32_t m = 0; m < 3; m++) {
		static struct place place;
		iog_iova_t run;
		uint64_t size = 512 * MiB;

		place_begin(&place, &iog_policy_tree, place_modes[m]);
		place.config.pgtable.page_sizes = 4096;
		place.config.held_max = GiB;
		place_attach(&place);
		run = place_run(&place, 0, size, MiB);
		atomic_store(&place.bed.probes[0].fail_invalidate, -IOG_ETIMEDOUT);
		assert_int_equal(place_unmap(&place, 0, run, size), -IOG_ETIMEDOUT);
		assert_int_equal(atomic_load(&place.releases), 0);
		assert_int_equal(iog_domain_flush(place.domain, 0), -IOG_ETIMEDOUT);
		assert_int_equal(atomic_load(&place.releases), 0);
		atomic_store(&place.bed.probes[0].fail_invalidate, 0);
		assert_int_equal(iog_domain_flush(place.domain, 0), 0);
		place_settle(&place);
		place_destroy(&place);
	}
}

/* The nth invalidation fails, for each n, once: nothing is lost or released twice. */
static _Atomic uint32_t fail_in;

static void fail_once(struct probe *probe, const struct iog_gather *gather)
{
	(void)gather;
	/* Read before the hook is called: for the next one. */
	atomic_store(&probe->fail_invalidate, atomic_fetch_sub(&fail_in, 1) == 2 ? -IOG_EIO : 0);
}

static void each_step(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < PLACE_POLICIES; p++) {
		for (uint32_t m = 0; m < 3; m++) {
			for (uint32_t step = 2; step < 14; step++) {
				static struct place place;
				iog_iova_t iova[30];

				place_begin(&place, place_policies[p], place_modes[m]);
				place.config.deferred_entries = 4;
				place_attach(&place);
				for (uint32_t n = 0; n < 30; n++)
					iova[n] = place_map(&place, 0, n * PAGE, n % 3 ? PAGE : 9 * PAGE);
				atomic_store(&fail_in, step);
				atomic_store(&place.bed.probes[0].on_invalidate, fail_once);
				for (uint32_t n = 0; n < 30; n++) {
					int error = place_unmap(&place, 0, iova[n], n % 3 ? PAGE : 9 * PAGE);

					assert_true(!error || error == -IOG_EIO || error == -IOG_EAGAIN);
					if (error == -IOG_EAGAIN)
						assert_int_equal(place_unmap(&place, 0, iova[n], n % 3 ? PAGE : 9 * PAGE), 0);
				}
				atomic_store(&place.bed.probes[0].on_invalidate, NULL);
				atomic_store(&place.bed.probes[0].fail_invalidate, 0);
				place_settle(&place);
				place_destroy(&place);
			}
		}
	}
}

/* What waits when the domain goes is released then. */
static void destroyed(void **state)
{
	static struct place place;
	iog_iova_t iova;

	(void)state;
	place_begin(&place, &iog_policy_window, IOG_INVAL_HELD);
	place_attach(&place);
	iova = place_map(&place, 1, 0, PAGE);
	assert_int_equal(iog_dma_unmap_release(place.device, 1, iova, PAGE, IOG_DMA_BIDIRECTIONAL, 0, place_called, &place), 0);
	assert_int_equal(atomic_load(&place.releases) + place.calls, 0);
	place_destroy(&place);
	assert_int_equal(atomic_load(&place.releases), 1);
	assert_int_equal(place.calls, 1);
}

/* ---- lanes map and unmap, one another's too, while one switches modes ---- */

struct worker {
	struct place *place;
	iog_lane_t lane;
	uint64_t random, rounds;
	_Atomic uint32_t calls;
	const char *failed;
};

static struct {
	pthread_mutex_t lock;
	iog_iova_t iova;
} parcel = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	struct place *place = worker->place;
	iog_iova_t held[16] = { 0 };

	for (uint64_t round = 0; round < worker->rounds + 16; round++) {
		uint32_t n = (uint32_t)(round < worker->rounds ? kit_random(&worker->random) % 16 : round - worker->rounds);
		uint64_t size = n < 12 ? PAGE : 6 * PAGE;
		iog_iova_t mine;
		int error = 0;

		if (held[n]) {
			if (kit_random(&worker->random) % 4)
				error = place_unmap(place, worker->lane, held[n], size);
			else
				error = iog_dma_unmap_release(place->device, worker->lane, held[n], size, IOG_DMA_BIDIRECTIONAL, 0, place_called, place);
			held[n] = 0;
		} else if (round < worker->rounds) {
			error = iog_dma_map(place->device, worker->lane, place->bed.paddr + (worker->lane * 100 + n) * PAGE, size, IOG_DMA_BIDIRECTIONAL, 0, &held[n]);
		}
		if (error)
			worker->failed = iog_strerror(error);
		if (n < 12 && held[n] && !(kit_random(&worker->random) % 4)) {
			pthread_mutex_lock(&parcel.lock);
			mine = parcel.iova;
			parcel.iova = held[n];
			held[n] = mine;
			pthread_mutex_unlock(&parcel.lock);
		}
		if (!worker->lane && !(round % 32)) {
			if (iog_domain_set_mode(place->domain, 0, place_modes[kit_random(&worker->random) % 3]))
				worker->failed = "the mode";
		} else if (!(kit_random(&worker->random) % 200)) {
			(void)iog_domain_flush(place->domain, worker->lane);
		}
	}
	return NULL;
}

static void threads(void **state)
{
	uint64_t seed = kit_seed("held");

	(void)state;
	for (uint32_t p = 0; p < PLACE_POLICIES; p++) {
		struct worker workers[PLACE_LANES];
		pthread_t ids[PLACE_LANES];
		static struct place place;

		place_begin(&place, place_policies[p], IOG_INVAL_HELD);
		place_attach(&place);
		parcel.iova = 0;
		for (uint32_t n = 0; n < PLACE_LANES; n++) {
			workers[n] = (struct worker){ .place = &place, .lane = n, .random = kit_random(&seed), .rounds = kit_scaled(10000) };
			assert_int_equal(pthread_create(&ids[n], NULL, worker_main, &workers[n]), 0);
		}
		for (uint32_t n = 0; n < PLACE_LANES; n++) {
			assert_int_equal(pthread_join(ids[n], NULL), 0);
			if (workers[n].failed)
				print_error("lane %u, %s: %s\n", n, place_policies[p]->name, workers[n].failed);
			assert_null(workers[n].failed);
		}
		if (parcel.iova)
			assert_int_equal(place_unmap(&place, 0, parcel.iova, PAGE), 0);
		place_settle(&place);
		place_destroy(&place);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(promises),
		cmocka_unit_test(call),
		cmocka_unit_test(pieces),
		cmocka_unit_test(crowded),
		cmocka_unit_test(bounded),
		cmocka_unit_test(neighbours),
		cmocka_unit_test(late_neighbour),
		cmocka_unit_test(no_answer),
		cmocka_unit_test(broken_off),
		cmocka_unit_test(each_step),
		cmocka_unit_test(destroyed),
		cmocka_unit_test(threads),
	};

	return cmocka_run_group_tests_name("dma held", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Windows bound to a page table: what a device may still reach when an address is handed out again, and tables that come and go with their windows.
 *
 * The device is an IOTLB of one place per page and no end: at any moment it may look a page up in the page table and keep what it found until the next flush. Every
 * mapping has a physical page of its own, so that what is kept of an older one is told apart.
 *
 * IOG_SEED=n replays the random choices, though not the order of threads.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <iogate/host/posix.h>
#include <iogate/tablemem.h>

#include "iova/window_page.h"
#include "kit.h"

#define PAGE UINT64_C(4096)
#define WINDOW (WINDOW_BITS * PAGE)
#define WINDOWS 8
#define PAGES (WINDOWS * WINDOW_BITS)
#define LANES 4
#define DEVICE_LANE LANES
#define RW (IOG_PROT_READ | IOG_PROT_WRITE)

struct bed;

struct lane {
	struct bed *bed;
	iog_lane_t number;
	uint64_t random;
	uint64_t mapped;
	uint64_t refused;
	uint64_t remote;
	pthread_t id;
};

struct bed {
	struct iog_posix *posix;
	struct iog_tablemem *mem;
	struct iog_pgtable *pt;
	struct iog_iova *iova;
	struct flush_clock clock;
	struct lane lanes[LANES + 1];
	struct iog_gather gather;

	pthread_mutex_t flushing;
	uint64_t answered;
	pthread_mutex_t device;
	_Atomic uint64_t tlb[PAGES];  /* what the device keeps for a page: a physical address, or 0 */
	_Atomic uint64_t user[PAGES]; /* the physical address that it was handed out for, or 0 */
	_Atomic uint64_t slots[PAGES];
	_Atomic uint64_t wrong;
	_Atomic uint64_t physical;
	_Atomic int lanes_left;
	_Atomic uint64_t domain_flushes;
	_Atomic uint64_t gather_flushes;
	int flush_error;
	void (*during_flush)(struct bed *bed);
	iog_iova_t address;
};

static int flush_gather(const struct iog_gather *gather, void *ctx)
{
	struct bed *bed = ((struct lane *)ctx)->bed;

	(void)gather;
	atomic_fetch_add_explicit(&bed->gather_flushes, 1, memory_order_relaxed);
	return bed->flush_error;
}

/* As the domain does it: one flush serves all who began to wait before. */
static int flush_domain(void *ctx)
{
	struct lane *lane = ctx;
	struct bed *bed = lane->bed;
	uint64_t needed = flush_needed(&bed->clock);

	if (bed->flush_error)
		return bed->flush_error;
	pthread_mutex_lock(&bed->flushing);
	if (bed->answered < needed) {
		uint64_t number = flush_begin(&bed->clock);

		pthread_mutex_lock(&bed->device);
		for (uint32_t i = 0; i < PAGES; i++)
			atomic_store_explicit(&bed->tlb[i], 0, memory_order_relaxed);
		pthread_mutex_unlock(&bed->device);
		atomic_fetch_add_explicit(&bed->domain_flushes, 1, memory_order_relaxed);
		if (bed->during_flush) {
			void (*during)(struct bed * bed) = bed->during_flush;

			bed->during_flush = NULL;
			during(bed);
		}
		flush_end(&bed->clock, number);
		bed->answered = number;
	}
	pthread_mutex_unlock(&bed->flushing);
	iog_window_flushed(bed->iova, lane->number);
	return 0;
}

static void bed_create(struct bed *bed, uint32_t flags, uint32_t windows, uint64_t first)
{
	const struct iog_tablemem_config lanes = { .lanes = LANES + 1 };
	struct iog_iova_config config = { .ops = &iog_iova_window, .lanes = LANES, .flags = flags, .first = first, .last = first + windows * WINDOW - 1 };

	memset(bed, 0, sizeof(*bed));
	assert_int_equal(iog_posix_create(NULL, &bed->posix), 0);
	config.platform = iog_posix_platform(bed->posix);
	assert_int_equal(iog_tablemem_create(config.platform, &lanes, &bed->mem), 0);
	assert_int_equal(iog_pgtable_create(&(struct iog_pgtable_config){ .ops = &iog_vtdss_counted, .tablemem = bed->mem, .trim_batch = 1 }, &bed->pt), 0);
	assert_int_equal(iog_iova_create(&config, &bed->iova), 0);
	for (uint32_t i = 0; i <= LANES; i++)
		bed->lanes[i] = (struct lane){ .bed = bed, .number = i };
	assert_int_equal(iog_window_bind(bed->iova, bed->pt, &bed->clock, flush_gather, bed->lanes, sizeof(bed->lanes[0])), 0);
	assert_int_equal(iog_gather_init(&bed->gather, bed->pt, 0, flush_gather, &bed->lanes[0]), 0);
	pthread_mutex_init(&bed->flushing, NULL);
	pthread_mutex_init(&bed->device, NULL);
}

/* Nothing is mapped: every table and address is back after a trim. */
static void bed_destroy(struct bed *bed)
{
	struct iog_pgtable_stats tables;
	struct iog_iova_stats stats;

	bed->flush_error = 0;
	for (uint32_t round = 0; round < 2; round++) {
		assert_int_equal(flush_domain(&bed->lanes[0]), 0);
		assert_int_equal(iog_iova_drain(bed->iova, IOG_LANE_ALL, 0), 0);
	}
	iog_iova_stats(bed->iova, &stats);
	assert_int_equal(stats.live_bytes | stats.cached_bytes | stats.stale_bytes, 0);
	assert_true(iog_iova_is_valid(bed->iova));
	assert_int_equal(iog_pgtable_trim(bed->pt, &bed->gather, NULL), 0);
	assert_true(iog_pgtable_is_valid(bed->pt));
	iog_pgtable_stats(bed->pt, &tables);
	assert_int_equal(tables.table_bytes, PAGE);
	iog_iova_destroy(bed->iova);
	iog_pgtable_destroy(bed->pt, 0);
	assert_int_equal(iog_tablemem_destroy(bed->mem), 0);
	iog_posix_destroy(bed->posix);
	pthread_mutex_destroy(&bed->flushing);
	pthread_mutex_destroy(&bed->device);
}

/* ---- what callers do ---- */

static void note(struct bed *bed, const char *what, uint64_t page, uint64_t found, uint64_t expected)
{
	if (!atomic_fetch_add(&bed->wrong, 1))
		printf("    wrong: %s: page %llu: %llx instead of %llx\n", what, (unsigned long long)page, (unsigned long long)found,
		       (unsigned long long)expected);
}

static uint64_t place_of(iog_iova_t address)
{
	return address / PAGE % PAGES;
}

static void look(struct bed *bed, const char *when, iog_iova_t address, uint64_t paddr)
{
	uint64_t kept = atomic_load_explicit(&bed->tlb[place_of(address)], memory_order_relaxed);

	if (kept && kept != paddr)
		note(bed, when, place_of(address), kept, paddr);
}

/* Returns 0 or the address of @n pages. */
static iog_iova_t map(struct lane *lane, uint64_t n)
{
	const struct iog_iova_flush lazy = { flush_domain, lane };
	struct bed *bed = lane->bed;
	uint64_t paddr = (1 + atomic_fetch_add_explicit(&bed->physical, n, memory_order_relaxed)) * PAGE, at;
	iog_iova_t address;
	int error;

	if (n > 1 || !window_map_page(windows_of(bed->iova), &windows_of(bed->iova)->lanes[lane->number], paddr, RW, UINT64_MAX, &address)) {
		error = iog_window_map(bed->iova, lane->number, paddr, n, RW, UINT64_MAX, &lazy, &at);
		if (error) {
			if (error != -IOG_ENOSPC && error != bed->flush_error)
				note(bed, "map fails", 0, (uint64_t)(int64_t)-error, 0);
			lane->refused++;
			return 0;
		}
		address = at * PAGE;
	}
	lane->mapped++;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t before = atomic_exchange_explicit(&bed->user[place_of(address + i * PAGE)], paddr + i * PAGE, memory_order_relaxed);

		if (before)
			note(bed, "handed out twice", place_of(address + i * PAGE), before, 0);
		look(bed, "the device keeps an older mapping", address + i * PAGE, paddr + i * PAGE);
	}
	return address;
}

static void unmap(struct lane *lane, iog_iova_t address, uint64_t n)
{
	struct bed *bed = lane->bed;
	uint64_t entry;

	for (uint64_t i = 0; i < n; i++)
		look(bed, "the device keeps another mapping", address + i * PAGE,
		     atomic_exchange_explicit(&bed->user[place_of(address + i * PAGE)], 0, memory_order_relaxed));
	if (n == 1 && window_unmap_page(windows_of(bed->iova), &windows_of(bed->iova)->lanes[lane->number], address, &entry))
		return;
	if (iog_window_unmap(bed->iova, lane->number, address / PAGE, n))
		note(bed, "unmap fails", place_of(address), n, 0);
}

/* At once: cleared, forgotten by the device, and given back. */
static void unmap_strictly(struct lane *lane, iog_iova_t address)
{
	struct bed *bed = lane->bed;
	uint64_t cleared;

	atomic_store_explicit(&bed->user[place_of(address)], 0, memory_order_relaxed);
	if (!window_clear_page(windows_of(bed->iova), address) && iog_window_clear(bed->iova, address / PAGE, 1, false, &cleared))
		note(bed, "clear fails", place_of(address), 1, 0);
	pthread_mutex_lock(&bed->device);
	atomic_store_explicit(&bed->tlb[place_of(address)], 0, memory_order_relaxed);
	pthread_mutex_unlock(&bed->device);
	if (window_give_page(windows_of(bed->iova), &windows_of(bed->iova)->lanes[lane->number], address))
		note(bed, "give fails", place_of(address), 1, 0);
}

static void device_looks(struct bed *bed, iog_iova_t address)
{
	struct iog_leaf leaf;

	pthread_mutex_lock(&bed->device);
	if (!iog_pgtable_lookup(bed->pt, DEVICE_LANE, address, &leaf))
		atomic_store_explicit(&bed->tlb[place_of(address)], leaf.paddr, memory_order_relaxed);
	pthread_mutex_unlock(&bed->device);
}

static void content(struct bed *bed)
{
	assert_int_equal(bed->wrong, 0);
	assert_true(iog_iova_is_valid(bed->iova));
	assert_true(iog_pgtable_is_valid(bed->pt));
}

/* ---- step by step ---- */

static void freed_by_another_meanwhile(struct bed *bed)
{
	device_looks(bed, bed->address);
	unmap(&bed->lanes[1], bed->address, 1);
}

/* Another lane frees it while the owner's flush runs, after the device has been asked: the owner may not take it for flushed. */
static void freed_during_the_flush(void **state)
{
	static struct bed bed;
	iog_iova_t address[WINDOW_BITS];

	(void)state;
	bed_create(&bed, IOG_IOVA_LAZY, 1, WINDOW);
	for (uint32_t i = 0; i < WINDOW_BITS; i++)
		address[i] = map(&bed.lanes[0], 1);
	unmap(&bed.lanes[0], address[3], 1);
	bed.address = address[9];
	bed.during_flush = freed_by_another_meanwhile;
	address[3] = map(&bed.lanes[0], 1);
	address[9] = map(&bed.lanes[0], 1);
	assert_true(address[3] && address[9]);
	assert_int_equal(bed.domain_flushes, 2);
	content(&bed);
	for (uint32_t i = 0; i < WINDOW_BITS; i++)
		unmap(&bed.lanes[0], address[i], 1);
	bed_destroy(&bed);
}

/* The same, and a third lane folds it in meanwhile: it looks for a window to take over, or drains. */
static void folded_by_a_third(struct bed *bed)
{
	freed_by_another_meanwhile(bed);
	assert_int_equal(iog_iova_drain(bed->iova, IOG_LANE_ALL, 2), 0);
}

/* A flush that does not run a second time while one is running. */
static int flush_is_busy(void *ctx)
{
	(void)ctx;
	return 0;
}

static void searched_by_a_third(struct bed *bed)
{
	const struct iog_iova_flush lazy = { flush_is_busy, NULL };
	uint64_t at;

	freed_by_another_meanwhile(bed);
	/* So many pages are not to be had; but all windows are looked through. */
	assert_int_equal(iog_window_map(bed->iova, 2, PAGE, 64, RW, UINT64_MAX, &lazy, &at), -IOG_ENOSPC);
}

static void folded_during_the_flush(void **state)
{
	static void (*const meanwhile[])(struct bed * bed) = { folded_by_a_third, searched_by_a_third };

	(void)state;
	for (uint32_t n = 0; n < 2; n++) {
		static struct bed bed;
		iog_iova_t address[WINDOW_BITS];

		bed_create(&bed, IOG_IOVA_LAZY, 1, WINDOW);
		for (uint32_t i = 0; i < WINDOW_BITS; i++)
			address[i] = map(&bed.lanes[0], 1);
		unmap(&bed.lanes[0], address[3], 1);
		bed.address = address[9];
		bed.during_flush = meanwhile[n];
		address[3] = map(&bed.lanes[0], 1);
		address[9] = map(&bed.lanes[0], 1);
		assert_true(address[3] && address[9]);
		content(&bed);
		for (uint32_t i = 0; i < WINDOW_BITS; i++)
			unmap(&bed.lanes[0], address[i], 1);
		bed_destroy(&bed);
	}
}

/* Tables go back with their windows; a flush that fails keeps them, and none of them is given back without a flush of its own. */
static void tables_go_back(void **state)
{
	enum { NR = 6 * WINDOW_BITS };
	static iog_iova_t address[NR];
	struct iog_pgtable_stats stats;
	static struct bed bed;
	uint64_t flushes;

	(void)state;
	bed_create(&bed, IOG_IOVA_LAZY, WINDOWS, WINDOW);
	for (uint32_t i = 0; i < NR; i++)
		address[i] = map(&bed.lanes[0], 1);
	iog_pgtable_stats(bed.pt, &stats);
	assert_int_equal(stats.tables[0], 6);
	content(&bed);

	/* Of what strict callers give back, all but the spare ones. */
	bed.flush_error = -IOG_ETIMEDOUT;
	for (uint32_t i = 0; i < NR; i++)
		unmap_strictly(&bed.lanes[0], address[i]);
	iog_pgtable_stats(bed.pt, &stats);
	assert_int_equal(stats.tables[0], 6);
	assert_true(stats.unlinked && !stats.released);
	assert_int_equal(windows_of(bed.iova)->lanes[0].nr_windows, WINDOWS_SPARE);

	/* The domain's flush says nothing of tables that were unlinked on its account. */
	bed.flush_error = 0;
	flushes = bed.gather_flushes;
	assert_int_equal(flush_domain(&bed.lanes[0]), 0);
	assert_true(bed.gather_flushes > flushes);
	iog_pgtable_stats(bed.pt, &stats);
	assert_int_equal(stats.tables[0], WINDOWS_SPARE);
	content(&bed);
	bed_destroy(&bed);
}

/* Runs of every length have entries that begin at a multiple of their size. */
static void runs(void **state)
{
	static struct bed bed;

	(void)state;
	bed_create(&bed, IOG_IOVA_LAZY, WINDOWS, WINDOW);
	for (uint64_t n = 1; n <= WINDOW_BITS; n++) {
		iog_iova_t address = map(&bed.lanes[n % LANES], n);
		struct iog_leaf leaf;
		uint64_t first;

		assert_int_not_equal(address, 0);
		assert_int_equal(address / PAGE & (run_align(n, WINDOW_BITS) - 1), 0);
		assert_int_equal(iog_pgtable_lookup(bed.pt, 0, address, &leaf), 0);
		first = leaf.paddr;
		assert_int_equal(iog_pgtable_lookup(bed.pt, 0, address + (n - 1) * PAGE, &leaf), 0);
		assert_int_equal(leaf.paddr, first + (n - 1) * PAGE);
		/* What is not there as a whole is not touched. */
		if (n > 1) {
			uint64_t cleared;

			assert_int_equal(iog_window_clear(bed.iova, address / PAGE + n / 2, 1, false, &cleared), 0);
			assert_int_equal(iog_window_unmap(bed.iova, 1, address / PAGE, n), WINDOW_NOT_MAPPED);
			assert_int_equal(iog_window_fill(bed.iova, address / PAGE + n / 2, PAGE, 1, RW), 0);
			assert_int_equal(iog_window_fill(bed.iova, address / PAGE, PAGE, n, RW), -IOG_EEXIST);
			assert_int_equal(iog_pgtable_lookup(bed.pt, 0, address, &leaf), 0);
			assert_int_equal(leaf.paddr, first);
		}
		unmap(&bed.lanes[(n + n / 7) % LANES], address, n);
	}
	content(&bed);
	bed_destroy(&bed);
}

/* ---- threads ---- */

/* A slot holds an address and, below the page, how many pages. */
static void *be_lane(void *ctx)
{
	struct lane *lane = ctx;
	struct bed *bed = lane->bed;

	for (uint64_t op = 0; op < kit_scaled(250000); op++) {
		uint64_t choice = kit_random(&lane->random);
		/* Mostly its own part. */
		uint32_t part = choice >> 62 ? lane->number : (uint32_t)(choice >> 40) % LANES;
		_Atomic uint64_t *slot = &bed->slots[part * (PAGES / LANES) + (choice & 0xffff) % (PAGES / LANES * 15 / 16)];
		uint64_t held = atomic_exchange_explicit(slot, 0, memory_order_acq_rel);
		iog_iova_t address = held & ~(PAGE - 1);

		if (held && choice >> 30 & 7) {
			/* Left there, unless somebody was faster: so windows are nearly full. */
			if (!atomic_compare_exchange_strong_explicit(slot, &(uint64_t){ 0 }, held, memory_order_acq_rel, memory_order_relaxed))
				unmap(lane, address, held % PAGE);
		} else if (held) {
			lane->remote += atomic_load_explicit(&window_at(windows_of(bed->iova), address / PAGE)->owner, memory_order_relaxed) != lane->number;
			if (held % PAGE == 1 && !(choice >> 16 & 15))
				unmap_strictly(lane, address);
			else
				unmap(lane, address, held % PAGE);
		} else {
			uint64_t n = choice >> 20 & 31 ? 1 : 1 + (choice >> 25 & 7);

			address = map(lane, n);
			held = address ? address | n : 0;
			/* Somebody was faster: both go. */
			if (held && !atomic_compare_exchange_strong_explicit(slot, &(uint64_t){ 0 }, held, memory_order_acq_rel, memory_order_relaxed))
				unmap(lane, address, n);
		}
		if (!(choice >> 8 & 0x3ff))
			(void)iog_iova_drain(bed->iova, IOG_LANE_ALL, lane->number);
	}
	atomic_fetch_sub(&bed->lanes_left, 1);
	return NULL;
}

static void *be_device(void *ctx)
{
	struct bed *bed = ctx;
	uint64_t random = bed->lanes[DEVICE_LANE].random;

	while (atomic_load_explicit(&bed->lanes_left, memory_order_relaxed))
		device_looks(bed, WINDOW + kit_random(&random) % PAGES * PAGE);
	return NULL;
}

static void threads_with(uint32_t flags)
{
	static struct bed bed;
	uint64_t seed = kit_seed("threads"), mapped = 0, refused = 0, remote = 0;
	struct iog_iova_stats stats;
	pthread_t device;

	bed_create(&bed, flags, WINDOWS, WINDOW);
	bed.lanes_left = LANES;
	for (uint32_t i = 0; i <= LANES; i++)
		bed.lanes[i].random = seed + i * 7777777;
	assert_int_equal(pthread_create(&device, NULL, be_device, &bed), 0);
	for (uint32_t i = 0; i < LANES; i++)
		assert_int_equal(pthread_create(&bed.lanes[i].id, NULL, be_lane, &bed.lanes[i]), 0);
	for (uint32_t i = 0; i < LANES; i++)
		pthread_join(bed.lanes[i].id, NULL);
	pthread_join(device, NULL);
	content(&bed);
	iog_iova_stats(bed.iova, &stats);
	for (uint32_t i = 0; i < LANES; i++) {
		mapped += bed.lanes[i].mapped;
		refused += bed.lanes[i].refused;
		remote += bed.lanes[i].remote;
	}
	printf("    %llu mapped, %llu refused, %llu freed by another lane, %llu take-overs, %llu flushes\n", (unsigned long long)mapped,
	       (unsigned long long)refused, (unsigned long long)remote, (unsigned long long)stats.reclaims, (unsigned long long)bed.domain_flushes);
	for (uint32_t i = 0; i < PAGES; i++)
		if (bed.slots[i])
			unmap(&bed.lanes[i % LANES], bed.slots[i] & ~(PAGE - 1), bed.slots[i] % PAGE);
	assert_true(remote && stats.reclaims && bed.domain_flushes);
	content(&bed);
	bed_destroy(&bed);
}

static void threads(void **state)
{
	(void)state;
	threads_with(IOG_IOVA_LAZY);
	threads_with(IOG_IOVA_LAZY | IOG_IOVA_BOTTOM_UP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(freed_during_the_flush),
		cmocka_unit_test(folded_during_the_flush),
		cmocka_unit_test(tables_go_back),
		cmocka_unit_test(runs),
		cmocka_unit_test(threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

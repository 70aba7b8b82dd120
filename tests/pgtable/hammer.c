/* SPDX-License-Identifier: MIT */
/*
 * Threads that map and unmap neighbouring addresses as fast as they can, with reclaim at its most eager, under the eyes of the simulated IOMMU.
 *
 * Each thread owns stripes of pages that share leaf tables with the others' stripes, and in several areas, so that tables of every level come and go and are
 * born again elsewhere. Some stripes reach across a whole leaf table: unmapping them drops tables, and passes over holes. After each map the device's access must
 * land, and once an unmap is flushed it must fault; a walk through a table that was given back is a violation.
 *
 * Strict runs flush after each unmap. Delayed runs keep two gathers per lane, some of them between the end of the invalidation and the release of their tables.
 *
 * IOG_SEED=n, IOG_TEST_SCALE=percent, IOG_TEST_THREADS=n (2 to 8).
 */
#include <inttypes.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <iogate/error.h>
#include <iogate/gather.h>
#include <iogate/host/sim.h>
#include <iogate/pgtable.h>
#include <iogate/tablemem.h>

#include "host.h"
#include "hw.h"

#define THREADS_MAX 8
#define GATHERS 2
#define STRIPES_MAX 96
#define OPS 1000000
/* Seconds until a run counts as one that does not end. */
#define PATIENCE 300
#define PATIENCE_WHEN_WRONG 5

/* ---- holding threads up ---- */

void hammer_stall(void);
void iog_protocol_step(void);

/* Loads and stores until the next stall; a step between two protocol states counts as several. */
_Thread_local int32_t hammer_countdown = INT32_MAX;
static _Thread_local uint64_t stall_seed;

#define STALL_MEAN 300
#define STALL_MEAN_NARROW 60
/* A lock's windows are few and its waiters many. */
#define STALL_MEAN_LOCKED 3000
#define STEP_WEIGHT 24

static int32_t stall_mean = STALL_MEAN;

static uint32_t nr_threads = 2;
static struct {
	_Alignas(64) _Atomic uint64_t calls;
} progress[THREADS_MAX];

static uint64_t total_calls(void)
{
	uint64_t calls = 0;

	for (uint32_t i = 0; i < nr_threads; i++)
		calls += atomic_load_explicit(&progress[i].calls, memory_order_relaxed);
	return calls;
}

static void pause_cpu(uint64_t n)
{
	while (n--)
		__asm__ volatile("" ::: "memory");
}

/*
 * At most one thread waits for the others, which hurry meanwhile, or all would wait for each other. It sleeps: on a busy machine they may need its CPU. Nothing here
 * orders memory between the threads, so that ThreadSanitizer does not take it for synchronisation.
 */
static struct {
	_Atomic bool taken;
	_Atomic uint32_t asleep; /* futex */
	_Atomic uint64_t until;  /* calls of all: the sleeper makes none */
} waiter;

static void wake(void)
{
	atomic_store_explicit(&waiter.asleep, 0, memory_order_relaxed);
	syscall(SYS_futex, &waiter.asleep, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Until the others have made @calls calls, or wait for this thread. */
static void wait_for_others(uint64_t calls)
{
	const struct timespec patience = { 0, 400000 };
	/* Where the others do not come to run, waiting for them only takes time. */
	static _Thread_local uint32_t skip, failed;

	if (skip) {
		skip--;
		return;
	}
	if (atomic_exchange_explicit(&waiter.taken, true, memory_order_relaxed))
		return;
	atomic_store_explicit(&waiter.until, total_calls() + calls, memory_order_relaxed);
	atomic_store_explicit(&waiter.asleep, 1, memory_order_relaxed);
	syscall(SYS_futex, &waiter.asleep, FUTEX_WAIT_PRIVATE, 1, &patience, NULL, 0);
	atomic_store_explicit(&waiter.asleep, 0, memory_order_relaxed);
	if (total_calls() >= atomic_load_explicit(&waiter.until, memory_order_relaxed))
		failed = 0;
	else if (failed < 6)
		failed++;
	skip = (1u << failed) - 1;
	atomic_store_explicit(&waiter.taken, false, memory_order_relaxed);
}

/* Of the platform. Who is waited for may want this CPU, or may be the one that is held up. */
static void relax(void *ctx)
{
	static _Thread_local uint32_t calls;

	(void)ctx;
	if (++calls % 16)
		return;
	if (atomic_load_explicit(&waiter.asleep, memory_order_relaxed))
		wake();
	sched_yield();
}

void hammer_stall(void)
{
	uint64_t pick = kit_random(&stall_seed);

	hammer_countdown = (int32_t)(pick >> 40) % (2 * stall_mean);
	if (atomic_load_explicit(&waiter.taken, memory_order_relaxed))
		return;
	switch (pick % 16) {
	case 0:
	case 1:
	case 2:
		wait_for_others(1 + (pick >> 8) % 32);
		break;
	case 3:
	case 5:
	case 6:
		wait_for_others(1 + (pick >> 8) % 3);
		break;
	case 4:
		sched_yield();
		break;
	default:
		pause_cpu((pick >> 8) % 400);
		break;
	}
}

void iog_protocol_step(void)
{
	hammer_countdown -= STEP_WEIGHT;
	if (hammer_countdown < 0)
		hammer_stall();
}

/* ---- a run ---- */

enum page_state {
	PAGE_FREE,
	PAGE_LIVE,
	PAGE_LARGE,   /* part of a 2 MiB leaf */
	PAGE_PENDING, /* + gather: unmapped, not invalidated */
};

/* Pages of one thread, without a gap. */
struct stripe {
	uint64_t iova;
	uint32_t pages;
	uint8_t *state;
	uint64_t *paddr;
};

enum {
	DELAYED = 1, /* flushes come later */
	LOCKED = 2,  /* the library waits for locks */
	NARROW = 4,  /* few addresses: the same tables are born again and again in a few places */
	COLD = 8,    /* hardware's walk caches have room for next to nothing, and do not hide what is in memory */
};

struct variant {
	const char *name;
	const struct iog_pgtable_ops *ops;
	uint32_t how;
	uint32_t trim_batch;
	uint32_t trim_every; /* operations, about: a whole trim, of table memory too */
	uint32_t flags;
	uint32_t percent; /* of all operations */
};

struct run;

struct worker {
	struct run *run;
	uint32_t lane;
	uint64_t seed;
	_Atomic uint64_t ops; /* done; of which: */
	uint64_t maps, unmaps, lookups, rejected;
	uint32_t nr_stripes;
	struct stripe stripe[STRIPES_MAX];
	struct iog_gather gather[GATHERS];
	bool submitted[GATHERS]; /* invalidated, not completed */
	uint64_t next_paddr;
	uint32_t idle; /* operations for which it only looks */
	pthread_t thread;
};

struct run {
	const struct variant *variant;
	struct host host;
	struct iog_platform platform;
	struct iog_sim *sim;
	struct iog_tablemem *mem;
	struct iog_pgtable *pt;
	struct iog_pgtable_root root;
	struct iog_sim_domain *domain;
	struct worker worker[THREADS_MAX];
	uint32_t nr_areas;
	_Atomic bool stop;
	_Atomic uint32_t violations;
	pthread_mutex_t lock; /* of @why */
	char why[512];
};

/* About, while threads are running. */
static uint64_t operations(const struct run *run)
{
	uint64_t ops = 0;

	for (uint32_t i = 0; i < nr_threads; i++)
		ops += atomic_load_explicit(&run->worker[i].ops, memory_order_relaxed);
	return ops;
}

static void wrong(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void wrong(struct run *run, const char *format, ...)
{
	va_list args;

	pthread_mutex_lock(&run->lock);
	if (!run->why[0]) {
		va_start(args, format);
		vsnprintf(run->why, sizeof(run->why), format, args);
		va_end(args);
		/* At once: what is broken may keep the threads from coming to an end. */
		printf("  wrong: after %" PRIu64 " operations: %s\n", operations(run), run->why);
		alarm(PATIENCE_WHEN_WRONG);
	}
	pthread_mutex_unlock(&run->lock);
	atomic_store(&run->stop, true);
}

static void on_violation(void *ctx, const struct iog_sim_violation *violation)
{
	struct run *run = ctx;

	if (!atomic_fetch_add(&run->violations, 1) && run->domain) {
		wrong(run, "violation %d at iova 0x%" PRIx64 " paddr 0x%" PRIx64 ": %s", (int)violation->kind, violation->iova, violation->paddr,
		      violation->detail);
		iog_sim_history(run->domain, violation->iova, stdout);
	}
}

/* The invalidation is over, the tables are not released yet: a window of its own. */
static int flush(const struct iog_gather *gather, void *ctx)
{
	struct worker *w = ctx;
	int error = iog_sim_flush(gather, w->run->domain);

	iog_protocol_step();
	return error;
}

static void called(struct worker *w)
{
	atomic_fetch_add_explicit(&progress[w->lane].calls, 1, memory_order_relaxed);
	/* Only one thread can be asleep, and it is not this one. */
	if (atomic_load_explicit(&waiter.asleep, memory_order_relaxed) && total_calls() >= atomic_load_explicit(&waiter.until, memory_order_relaxed))
		wake();
}

/* ---- what a thread knows of its pages ---- */

static uint64_t random_below(struct worker *w, uint64_t n)
{
	return kit_random(&w->seed) % n;
}

static struct stripe *pick_stripe(struct worker *w)
{
	/* All threads dwell in one area, and go on to the next at about the same time. */
	bool narrow = w->run->variant->how & NARROW;
	uint32_t areas = w->run->nr_areas, per_area = w->nr_stripes / areas, area = (uint32_t)(w->ops / (narrow ? 4 : 32) % areas);

	if (!random_below(w, narrow ? 2 : 8))
		area = (uint32_t)random_below(w, areas);
	return &w->stripe[area * per_area + random_below(w, per_area)];
}

static void settled(struct worker *w, uint32_t gather)
{
	for (uint32_t i = 0; i < w->nr_stripes; i++) {
		struct stripe *s = &w->stripe[i];
		uint8_t *at = s->state, *end = s->state + s->pages;

		while ((at = memchr(at, (int)(PAGE_PENDING + gather), (size_t)(end - at))))
			*at = PAGE_FREE;
	}
}

/* A call may have flushed the gather it was given. */
static void maybe_settled(struct worker *w, uint32_t gather)
{
	if (!w->submitted[gather] && iog_gather_is_empty(&w->gather[gather]))
		settled(w, gather);
}

static void complete(struct worker *w, uint32_t gather)
{
	iog_gather_complete(&w->gather[gather]);
	w->submitted[gather] = false;
	settled(w, gather);
	called(w);
}

/* A gather that takes more. */
static uint32_t pick_gather(struct worker *w)
{
	uint32_t gather = w->run->variant->how & DELAYED ? (uint32_t)random_below(w, GATHERS) : 0;

	if (w->submitted[gather]) {
		gather ^= 1;
		if (w->submitted[gather])
			complete(w, gather);
	}
	return gather;
}

static void flush_now(struct worker *w, uint32_t gather)
{
	int error = iog_gather_flush(&w->gather[gather]);

	if (error)
		wrong(w->run, "flush returned %d", error);
	settled(w, gather);
	called(w);
}

/* In delayed runs, now and then: all of it, or the first half of it. */
static void maybe_flush(struct worker *w)
{
	uint32_t gather = (uint32_t)random_below(w, GATHERS);

	if (random_below(w, 6))
		return;
	if (w->submitted[gather]) {
		complete(w, gather);
	} else if (random_below(w, 2)) {
		flush_now(w, gather);
	} else if (!iog_gather_is_empty(&w->gather[gather])) {
		flush(&w->gather[gather], w);
		w->submitted[gather] = true;
	}
}

static bool is_live(const struct stripe *s, uint32_t page)
{
	return s->state[page] == PAGE_LIVE || s->state[page] == PAGE_LARGE;
}

static bool is_free(const struct stripe *s, uint32_t page, uint32_t n)
{
	for (uint32_t i = page; i < page + n; i++)
		if (s->state[i] != PAGE_FREE)
			return false;
	return true;
}

static uint64_t iova_of(const struct stripe *s, uint32_t page)
{
	return s->iova + page * PAGE_4K;
}

/* ---- operations ---- */

static void must_land(struct worker *w, const struct stripe *s, uint32_t page)
{
	uint64_t paddr = 0;
	int error = iog_sim_translate(w->run->domain, iova_of(s, page), IOG_PROT_WRITE, &paddr);

	if (error || paddr != s->paddr[page])
		wrong(w->run, "the device's access to 0x%" PRIx64 " after its map: error %d, landed at 0x%" PRIx64, iova_of(s, page), error, paddr);
}

static void must_fault(struct worker *w, const struct stripe *s, uint32_t page)
{
	uint64_t paddr = 0;

	if (s->state[page] == PAGE_FREE && iog_sim_translate(w->run->domain, iova_of(s, page), IOG_PROT_READ, &paddr) != -IOG_EFAULT)
		wrong(w->run, "the device's access to 0x%" PRIx64 " lands at 0x%" PRIx64 ", where nothing is mapped any more", iova_of(s, page), paddr);
}

static void check_lookup(struct worker *w, const struct stripe *s, uint32_t page)
{
	struct iog_leaf leaf = { 0 };
	int error = iog_pgtable_lookup(w->run->pt, w->lane, iova_of(s, page), &leaf);

	called(w);
	w->lookups++;
	if (is_live(s, page) ? error || leaf.paddr != s->paddr[page] : error != -IOG_ENOENT)
		wrong(w->run, "lookup of 0x%" PRIx64 " (%s): error %d, paddr 0x%" PRIx64, iova_of(s, page), is_live(s, page) ? "mapped" : "not mapped", error,
		      leaf.paddr);
}

struct visited {
	const struct stripe *stripe;
	uint64_t pages;
};

static int visit_leaf(iog_iova_t iova, const struct iog_leaf *leaf, void *ctx)
{
	struct visited *v = ctx;
	uint64_t page = (iova - v->stripe->iova) / PAGE_4K;

	if (page >= v->stripe->pages || !is_live(v->stripe, (uint32_t)page) || leaf->paddr != v->stripe->paddr[page])
		return -1;
	v->pages += leaf->page_size / PAGE_4K;
	return 0;
}

static void check_visit(struct worker *w, const struct stripe *s)
{
	struct visited v = { .stripe = s };
	int result = iog_pgtable_visit(w->run->pt, w->lane, s->iova, iova_of(s, s->pages) - 1, visit_leaf, &v);
	uint64_t expected = 0;

	called(w);
	w->lookups++;
	for (uint32_t i = 0; i < s->pages; i++)
		expected += is_live(s, i);
	if (result || v.pages != expected)
		wrong(w->run, "visit of 0x%" PRIx64 ", %u pages: %d, %" PRIu64 " pages seen, %" PRIu64 " expected", s->iova, s->pages, result, v.pages,
		      expected);
}

static void map(struct worker *w, struct stripe *s)
{
	uint32_t n = 1, page, gather = pick_gather(w), step = (uint32_t)random_below(w, 16);
	bool large = false;
	uint64_t paddr;
	int error;

	if (step < 4)
		n = 1 + (uint32_t)random_below(w, 6);
	else if (step < 5)
		n = 1 + (uint32_t)random_below(w, s->pages);
	if (n > s->pages)
		n = s->pages;
	page = (uint32_t)random_below(w, s->pages - n + 1);
	if (s->pages >= 512 && step >= 14) {
		/* The leaf table that lies in the stripe whole: as a leaf, or full. */
		page = (uint32_t)((PAGE_2M - s->iova % PAGE_2M) % PAGE_2M / PAGE_4K);
		n = 512;
		large = step == 15;
	}
	if (!is_free(s, page, n))
		return;

	w->next_paddr += large ? PAGE_2M : n * PAGE_4K;
	paddr = w->next_paddr & (UINT64_C(0xffffffffff) & ~(large ? PAGE_2M - 1 : PAGE_4K - 1));
	paddr |= UINT64_C(1) << (41 + w->lane);
	/* No large leaf by chance. */
	if (!large && !((paddr ^ iova_of(s, page)) % PAGE_2M))
		paddr += PAGE_4K;
	error = iog_pgtable_map(w->run->pt, iova_of(s, page), paddr, n * PAGE_4K, (IOG_PROT_READ | IOG_PROT_WRITE), &w->gather[gather]);
	called(w);
	maybe_settled(w, gather);
	w->maps++;
	if (error) {
		wrong(w->run, "map of 0x%" PRIx64 ", %u pages: %d", iova_of(s, page), n, error);
		return;
	}
	iog_sim_note_map(w->run->domain, iova_of(s, page), paddr, n * PAGE_4K, (IOG_PROT_READ | IOG_PROT_WRITE));
	for (uint32_t i = 0; i < n; i++) {
		s->state[page + i] = large ? PAGE_LARGE : PAGE_LIVE;
		s->paddr[page + i] = paddr + i * PAGE_4K;
	}
	must_land(w, s, page);
	if (n > 1)
		must_land(w, s, page + n - 1);
	if (!random_below(w, 4))
		check_lookup(w, s, page + (uint32_t)random_below(w, n));
}

/* Over something that is mapped: refused, and nothing of it stays. */
static void map_over(struct worker *w, struct stripe *s)
{
	uint32_t page = (uint32_t)random_below(w, s->pages), first = page, gather;
	int error;

	if (!is_live(s, page))
		return;
	while (first && page - first < 6 && s->state[first - 1] == PAGE_FREE)
		first--;
	gather = pick_gather(w);
	error = iog_pgtable_map(w->run->pt, iova_of(s, first), UINT64_C(1) << 44, (page - first + 1) * PAGE_4K, (IOG_PROT_READ | IOG_PROT_WRITE), &w->gather[gather]);
	called(w);
	w->rejected++;
	if (error != -IOG_EEXIST)
		wrong(w->run, "map over 0x%" PRIx64 ": %d", iova_of(s, page), error);
	if (w->run->variant->how & DELAYED)
		maybe_settled(w, gather);
	else
		flush_now(w, gather);
	check_lookup(w, s, first);
	must_land(w, s, page);
}

static void unmap(struct worker *w, struct stripe *s, uint32_t first, uint32_t past)
{
	uint32_t gather = pick_gather(w), faults[2] = { first, past - 1 };
	uint64_t expected = 0, unmapped = 0;
	bool splits = w->run->variant->flags & IOG_PGTABLE_SPLIT;
	int error;

	/* Large leaves go whole, or are split. */
	while (!splits && s->state[first] == PAGE_LARGE && first && iova_of(s, first) % PAGE_2M)
		first--;
	while (!splits && past < s->pages && s->state[past] == PAGE_LARGE && iova_of(s, past) % PAGE_2M)
		past++;
	for (uint32_t i = first; i < past; i++) {
		if (!is_live(s, i))
			continue;
		expected += PAGE_4K;
		faults[random_below(w, 2)] = i;
	}

	iog_sim_note_unmap(w->run->domain, iova_of(s, first), (past - first) * PAGE_4K);
	error = iog_pgtable_unmap(w->run->pt, iova_of(s, first), (past - first) * PAGE_4K, &w->gather[gather], &unmapped);
	called(w);
	w->unmaps++;
	if (error || unmapped != expected)
		wrong(w->run, "unmap of 0x%" PRIx64 ", %u pages: %d, 0x%" PRIx64 " bytes, 0x%" PRIx64 " expected", iova_of(s, first), past - first, error,
		      unmapped, expected);
	maybe_settled(w, gather);
	for (uint32_t i = first; i < past; i++) {
		if (!is_live(s, i))
			continue;
		if (s->state[i] == PAGE_LARGE && splits) {
			/* What is left of it are small leaves. */
			uint32_t from = i - (uint32_t)(iova_of(s, i) % PAGE_2M / PAGE_4K);

			for (uint32_t j = from; j < from + 512; j++)
				if (s->state[j] == PAGE_LARGE)
					s->state[j] = PAGE_LIVE;
		}
		s->state[i] = (uint8_t)(PAGE_PENDING + gather);
	}
	if (w->run->variant->how & DELAYED) {
		maybe_flush(w);
	} else {
		flush_now(w, gather);
	}
	must_fault(w, s, faults[0]);
	must_fault(w, s, faults[1]);
	if (!random_below(w, 8))
		check_lookup(w, s, faults[0]);
}

static void unmap_some(struct worker *w, struct stripe *s)
{
	uint32_t first = (uint32_t)random_below(w, s->pages), past;

	switch (random_below(w, 4)) {
	case 0:
		unmap(w, s, 0, s->pages);
		return;
	case 1:
		past = first + 1 + (uint32_t)random_below(w, s->pages - first);
		break;
	default:
		/* What was mapped in one go, or about that. */
		for (uint32_t i = 0; i < s->pages && !is_live(s, first); i++)
			first = (first + 1) % s->pages;
		for (past = first; past < s->pages && is_live(s, past) && past - first < 600;)
			past++;
		if (past == first)
			past++;
	}
	unmap(w, s, first, past);
}

/* Nothing of this thread stays mapped, or waits. */
static void unmap_all(struct worker *w)
{
	for (uint32_t i = 0; i < w->nr_stripes; i++) {
		struct stripe *s = &w->stripe[i];

		if (memchr(s->state, PAGE_LIVE, s->pages) || memchr(s->state, PAGE_LARGE, s->pages))
			unmap(w, s, 0, s->pages);
	}
	for (uint32_t i = 0; i < GATHERS; i++) {
		if (w->submitted[i])
			complete(w, i);
		flush_now(w, i);
	}
}

/*
 * What any lane emptied, while the others go on; the marks of their lists may be on it. Or only what this lane has in stock, so that slabs go back to the host; for a while
 * then the lane takes no tables, but looks at those of the others.
 */
static void trim(struct worker *w)
{
	uint32_t gather;

	if (random_below(w, 2)) {
		int error;

		gather = pick_gather(w);
		error = iog_pgtable_trim(w->run->pt, &w->gather[gather], NULL);
		if (error)
			wrong(w->run, "trim returned %d", error);
		maybe_settled(w, gather);
	} else if (w->run->variant->how & NARROW) {
		unmap_all(w);
		w->idle = (uint32_t)random_below(w, 24);
	}
	iog_tablemem_trim(w->run->mem, w->lane);
	called(w);
}

/*
 * Carry tables away and back: all of this thread's go, one of another place is built from them and goes, and what is built last may be a table that was there before, below
 * another parent. Whoever was held up on its way to it meanwhile must not take it for what it was.
 */
static void migrate(struct worker *w)
{
	struct stripe *there = pick_stripe(w), *back = pick_stripe(w);
	uint32_t gather;

	unmap_all(w);
	gather = pick_gather(w);
	if (iog_pgtable_trim(w->run->pt, &w->gather[gather], NULL))
		wrong(w->run, "trim failed");
	called(w);
	map(w, there);
	unmap_all(w);
	map(w, back);
	unmap(w, back, 0, back->pages);
}

/* A table goes with all its entries, memory and all, and the address where it was is unmapped once more. Where a lane still believes it to be there, somebody else's goes. */
static void unmap_again(struct worker *w)
{
	struct stripe *s = pick_stripe(w);
	uint32_t first = (uint32_t)((PAGE_2M - s->iova % PAGE_2M) % PAGE_2M / PAGE_4K);

	if (s->pages < 512)
		return;
	unmap_all(w);
	map(w, s);
	unmap(w, s, first, first + 512);
	for (uint32_t i = 0; i < GATHERS; i++) {
		if (w->submitted[i])
			complete(w, i);
		flush_now(w, i);
	}
	iog_tablemem_trim(w->run->mem, w->lane);
	called(w);
	wait_for_others(4 + random_below(w, 16));
	unmap(w, s, first, first + 512);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct run *run = w->run;
	uint64_t ops = kit_scaled(OPS) * run->variant->percent / 100 / nr_threads;

	const bool narrow = run->variant->how & NARROW;

	stall_seed = w->seed ^ UINT64_C(0xabcdef);
	hammer_countdown = stall_mean;
	while (w->ops < ops && !atomic_load_explicit(&run->stop, memory_order_relaxed)) {
		struct stripe *s = pick_stripe(w);
		uint64_t pick = random_below(w, 1024);
		bool any = memchr(s->state, PAGE_LIVE, s->pages) || memchr(s->state, PAGE_LARGE, s->pages);

		w->idle -= w->idle > 0;
		iog_protocol_step();
		if (!random_below(w, run->variant->trim_every)) {
			trim(w);
		} else if (narrow && run->variant->how & DELAYED && !random_below(w, 24)) {
			migrate(w);
		} else if (narrow && !random_below(w, 64)) {
			unmap_again(w);
		} else if (pick < (narrow ? 64 : 32)) {
			check_visit(w, s);
		} else if (pick < (narrow ? 256 : 64)) {
			check_lookup(w, s, (uint32_t)random_below(w, s->pages));
		} else if (any && pick >= 992) {
			map_over(w, s);
		} else if ((any ? pick < 416 : pick < 860) && !w->idle) {
			map(w, s);
		} else {
			unmap_some(w, s);
		}
		atomic_store_explicit(&w->ops, w->maps + w->unmaps + w->lookups + w->rejected, memory_order_relaxed);
	}

	unmap_all(w);
	hammer_countdown = INT32_MAX;
	if (atomic_load_explicit(&waiter.asleep, memory_order_relaxed))
		wake();
	return NULL;
}

/* ---- setting up and looking back ---- */

static void add_stripe(struct worker *w, uint64_t iova, uint64_t bytes)
{
	struct stripe *s = &w->stripe[w->nr_stripes++];

	if (w->nr_stripes > STRIPES_MAX)
		abort();
	s->iova = iova;
	s->pages = (uint32_t)(bytes / PAGE_4K);
	s->state = calloc(s->pages, 1);
	s->paddr = calloc(s->pages, sizeof(*s->paddr));
	if (!s->state || !s->paddr)
		abort();
}

/*
 * Stripes of two and four pages at both ends of leaf tables; between those, one that covers a leaf table and reaches into its neighbours, for each thread. In the next
 * area they change hands: where a table is born again, its entries are somebody else's.
 */
static void add_area(struct run *run, uint64_t base)
{
	const uint64_t reach = 4 * PAGE_4K;
	const bool narrow = run->variant->how & NARROW;
	uint32_t turn = run->nr_areas++;

	for (uint32_t t = 0; t < (narrow ? 1 : nr_threads); t++) {
		uint64_t at = base + 2 * t * PAGE_2M;

		for (uint32_t o = 0; o < nr_threads; o++)
			add_stripe(&run->worker[(o + turn) % nr_threads], at + (1 + o) * reach, o % 2 ? reach : reach / 2);
		if (!narrow)
			for (uint32_t o = 0; o < nr_threads; o++)
				add_stripe(&run->worker[(o + turn) % nr_threads], at + PAGE_2M - (2 + o) * reach, reach);
	}
	/* From the end of a table across the next into the head of the one after it. Each thread has as many stripes in each area. */
	for (uint32_t t = 0; t < nr_threads; t++)
		add_stripe(&run->worker[(t + turn) % nr_threads], base + (2 * t + 1) * PAGE_2M - reach, reach + PAGE_2M + reach);
}

static void set_up(struct run *run, const struct variant *variant, uint64_t seed)
{
	const struct iog_tablemem_config lanes = { .lanes = nr_threads };
	const bool cold = variant->how & COLD;
	const struct iog_sim_config sim = {
		.iotlb_entries = cold ? 1 : 0,
		.iotlb_ways = cold ? 1 : 0,
		.walk_entries = { cold, cold, cold, cold, cold },
		.walk_ways = cold,
		.violation = on_violation,
		.violation_ctx = run,
	};
	struct iog_pgtable_config config = { .ops = variant->ops, .trim_batch = variant->trim_batch, .flags = variant->flags };

	run->variant = variant;
	pthread_mutex_init(&run->lock, NULL);
	host_create(&run->host);
	run->platform = run->host.platform;
	run->platform.relax = relax;
	stall_mean = variant->how & LOCKED ? STALL_MEAN_LOCKED : variant->how & NARROW ? STALL_MEAN_NARROW : STALL_MEAN;
	if (iog_sim_create(&run->platform, &sim, &run->sim))
		abort();
	iog_sim_observe(run->sim, &run->platform);
	if (iog_tablemem_create(&run->platform, &lanes, &run->mem))
		abort();
	config.tablemem = run->mem;
	if (iog_pgtable_create(&config, &run->pt))
		abort();
	iog_pgtable_root(run->pt, &run->root);
	if (iog_sim_domain_create(run->sim, 1, &run->root, &run->domain))
		abort();

	for (uint32_t i = 0; i < nr_threads; i++) {
		struct worker *w = &run->worker[i];

		w->run = run;
		w->lane = i;
		w->seed = seed + i * UINT64_C(0x1234567);
		w->next_paddr = PAGE_1G;
		atomic_store(&progress[i].calls, 0);
		for (uint32_t g = 0; g < GATHERS; g++)
			if (iog_gather_init(&w->gather[g], run->pt, i, flush, w))
				abort();
	}
	add_area(run, 0);
	add_area(run, 512 * PAGE_1G);
	add_area(run, 3 * PAGE_1G);
	if (!(variant->how & NARROW))
		add_area(run, 513 * PAGE_1G);
}

static void look_back(struct run *run)
{
	const struct shape *shape = shapes;
	struct hw_scan scan = { 0 };
	struct iog_sim_stats sim;
	struct iog_pgtable_stats stats;
	uint64_t tables = 0;

	for (uint32_t i = 0; i < nr_threads; i++)
		if (iog_pgtable_trim(run->pt, &run->worker[i].gather[0], NULL))
			wrong(run, "trim failed");
	for (uint32_t i = 0; i < nr_threads; i++)
		iog_tablemem_trim(run->mem, i);
	iog_sim_stats(run->sim, &sim);
	iog_pgtable_stats(run->pt, &stats);
	for (uint32_t level = 0; level < IOG_LEVELS_MAX; level++)
		tables += stats.tables[level];
	printf("  %" PRIu64 " tables unlinked, %" PRIu64 " revived, %" PRIu64 " released; %" PRIu64 " device accesses, %" PRIu64 " faults, %" PRIu64
	       " walk cache flushes\n", stats.unlinked, stats.revived, stats.released, sim.reads + sim.writes, sim.faults, sim.walk_cache_flushes);
	if (!iog_pgtable_is_valid(run->pt))
		wrong(run, "the page table's own check finds something wrong");
	while (strcmp(shape->format, run->root.format) || shape->ias != run->root.ias || shape->flags & IOG_PGTABLE_SIGN_EXTENDED)
		shape++;
	if (!hw_scan(&run->host, shape, &run->root, false, &scan))
		wrong(run, "%s", scan.error);
	if (tables != 1 || scan.nr_leaves || scan.blank || run->host.page_bytes != HOST_PAGE)
		wrong(run, "%" PRIu64 " tables, %zu leaves and %" PRIu64 " bytes of table memory are left", tables, scan.nr_leaves, run->host.page_bytes);
	if (sim.violations_total || sim.unjudged)
		wrong(run, "%" PRIu64 " violations, %" PRIu64 " accesses not judged", sim.violations_total, sim.unjudged);
	hw_scan_free(&scan);
}

static void tear_down(struct run *run)
{
	/* The root goes with the page table; the unit must not see it then. */
	iog_sim_domain_destroy(run->domain);
	iog_pgtable_destroy(run->pt, 0);
	if (iog_tablemem_destroy(run->mem) || run->host.page_bytes || run->host.object_bytes)
		wrong(run, "memory is left after all was destroyed");
	iog_sim_destroy(run->sim);
	host_destroy(&run->host);
	for (uint32_t i = 0; i < nr_threads; i++) {
		for (uint32_t s = 0; s < run->worker[i].nr_stripes; s++) {
			free(run->worker[i].stripe[s].state);
			free(run->worker[i].stripe[s].paddr);
		}
	}
	pthread_mutex_destroy(&run->lock);
}

static uint64_t seed;
/* What one run has found is not looked for again. */
static bool found;

static void hammer(void **state)
{
	struct run *run = aligned_alloc(64, (sizeof(*run) + 63) & ~(size_t)63);
	struct timespec start, end;
	char why[sizeof(run->why)];

	if (found)
		skip();
	if (!run)
		abort();
	memset(run, 0, sizeof(*run));
	set_up(run, *state, seed);
	alarm(PATIENCE);
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (uint32_t i = 0; i < nr_threads; i++)
		if (pthread_create(&run->worker[i].thread, NULL, work, &run->worker[i]))
			abort();
	for (uint32_t i = 0; i < nr_threads; i++)
		pthread_join(run->worker[i].thread, NULL);
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("  %" PRIu64 " operations of %u threads in %.2f s\n", operations(run), nr_threads,
	       (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9);
	if (!run->why[0])
		look_back(run);
	memcpy(why, run->why, sizeof(why));
	if (!why[0]) {
		tear_down(run);
		memcpy(why, run->why, sizeof(why));
		free(run);
	}
	alarm(0);
	if (why[0]) {
		found = true;
		fail_msg("%s", why);
	}
}

static void does_not_end(int number)
{
	static const char text[] = "hammer: does not end\n";

	(void)number;
	(void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
	_exit(3);
}

int main(void)
{
	static const struct variant variants[] = {
		{ "strict, counted, vtdss", &iog_vtdss_counted, 0, 1, 1000, 0, 20 },
		{ "delayed, counted, vtdss", &iog_vtdss_counted, DELAYED, 1, 1000, IOG_PGTABLE_SPLIT, 18 },
		{ "delayed in batches, counted, x86_64", &iog_x86_64_counted, DELAYED, 3, 100, 0, 10 },
		{ "strict, narrow, counted, x86_64", &iog_x86_64_counted, NARROW, 1, 50, IOG_PGTABLE_SPLIT, 14 },
		{ "delayed, narrow, counted, vtdss", &iog_vtdss_counted, DELAYED | NARROW, 1, 100, 0, 10 },
		{ "delayed in batches, narrow and cold, counted, vtdss", &iog_vtdss_counted, DELAYED | NARROW | COLD, 2, 20, 0, 14 },
		{ "strict, rwlock, x86_64", &iog_x86_64_rwlock, LOCKED, 1, 1000, IOG_PGTABLE_SPLIT, 6 },
		{ "delayed, narrow, rwlock, vtdss", &iog_vtdss_rwlock, DELAYED | LOCKED | NARROW, 1, 100, 0, 8 },
	};
	struct CMUnitTest tests[sizeof(variants) / sizeof(variants[0])];
	const char *threads = getenv("IOG_TEST_THREADS");

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (threads)
		nr_threads = (uint32_t)strtoul(threads, NULL, 10);
	if (nr_threads < 2 || nr_threads > THREADS_MAX)
		return 2;
	signal(SIGALRM, does_not_end);
	seed = kit_seed("hammer");
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
		tests[i] = (struct CMUnitTest){ .name = variants[i].name, .test_func = hammer, .initial_state = (void *)(uintptr_t)&variants[i] };
	return cmocka_run_group_tests_name("hammer", tests, NULL, NULL);
}

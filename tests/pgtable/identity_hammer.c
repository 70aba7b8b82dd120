/* SPDX-License-Identifier: MIT */
/*
 * Threads that map and unmap the same few pages 1:1, with different permissions, with reclaim at its most eager, on the simulated unit with its IOTLB.
 *
 * Each thread says for which permission it holds a page: from before its map begins until the invalidation of its unmap has completed (or until its unmap has returned, where others
 * were users still). While it holds a page, its own accesses have to land. An access of a permission that nobody holds has to fault, if nobody began to hold it meanwhile. The
 * judge's own record of what should translate knows one user per page and is not told; what it says of tables that were given back counts.
 *
 * Beside that each thread maps pages of its own in the same tables the ordinary way, so that tables come and go when the 1:1 pages do not hold them, and in one kind of run
 * another page table on the same memory does the same, with stamps of the same numbers.
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
#include <unistd.h>

#include <cmocka.h>

#include <iogate/error.h>
#include <iogate/gather.h>
#include <iogate/host/sim.h>
#include <iogate/tablemem.h>

#include "pgtable/identity.h"

#include "host.h"
#include "hw.h"

#define THREADS_MAX 8
#define SPACES 2
#define PAGES 6
#define HELD_MAX 4
#define RW (IOG_PROT_READ | IOG_PROT_WRITE)
#define RECORDS 16
#define OPS 300000
/* Seconds until a run counts as one that does not end. */
#define PATIENCE 120

/* ---- holding threads up (steps.h) ---- */

void hammer_stall(void);
void iog_protocol_step(void);

_Thread_local int32_t hammer_countdown = INT32_MAX;
static _Thread_local uint64_t stall_seed = 1;

void hammer_stall(void)
{
	uint64_t pick = kit_random(&stall_seed);

	hammer_countdown = (int32_t)(pick >> 40) % 500;
	if (pick % 4)
		sched_yield();
	else
		for (uint64_t n = (pick >> 8) % 600; n; n--)
			__asm__ volatile("" ::: "memory");
}

void iog_protocol_step(void)
{
	hammer_countdown -= 32;
	if (hammer_countdown < 0)
		hammer_stall();
}

/* ---- a run ---- */

struct variant {
	const char *name;
	const struct iog_pgtable_ops *ops;
	uint32_t flags;
	uint32_t spaces;
	bool deferred; /* what was unmapped waits for a later flush */
};

/* Who holds a page, by what is held: reading, writing. */
struct hold {
	_Atomic uint32_t readers;
	_Atomic uint32_t writers;
	_Atomic uint64_t begun;
};

struct space {
	struct iog_pgtable *pt;
	struct iog_sim_domain *domain;
	struct hold hold[PAGES];
};

struct mapping {
	uint32_t first, n, prot;
};

struct run;

struct worker {
	struct run *run;
	uint32_t lane;
	uint64_t seed;
	uint64_t maps, shared, refused, retired;
	struct {
		struct mapping held[HELD_MAX];
		uint32_t nr_held;
		struct mapping record[RECORDS];
		uint32_t nr_records;
		uint32_t sequence;
		bool plain[PAGES];
		struct iog_gather gather;
	} in[SPACES];
	pthread_t thread;
};

struct run {
	const struct variant *variant;
	struct host host;
	struct iog_platform platform;
	struct iog_sim *sim;
	struct iog_tablemem *mem;
	struct space space[SPACES];
	struct worker worker[THREADS_MAX];
	_Atomic bool stop;
	_Atomic uint32_t freed_tables;
	pthread_mutex_t lock;
	char why[256];
};

static uint32_t nr_threads = 3;
static uint64_t seed;

static void wrong(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void wrong(struct run *run, const char *format, ...)
{
	va_list args;

	pthread_mutex_lock(&run->lock);
	if (!run->why[0]) {
		uint64_t maps = 0;

		va_start(args, format);
		vsnprintf(run->why, sizeof(run->why), format, args);
		va_end(args);
		for (uint32_t i = 0; i < nr_threads; i++)
			maps += run->worker[i].maps;
		printf("  wrong: after %" PRIu64 " operations: %s\n", maps, run->why);
		alarm(5);
	}
	pthread_mutex_unlock(&run->lock);
	atomic_store(&run->stop, true);
}

static void on_violation(void *ctx, const struct iog_sim_violation *violation)
{
	struct run *run = ctx;

	if (violation->kind == IOG_SIM_FREED_TABLE)
		atomic_fetch_add(&run->freed_tables, 1);
}

static void relax(void *ctx)
{
	(void)ctx;
	sched_yield();
}

static uint64_t below(struct worker *w, uint64_t n)
{
	return kit_random(&w->seed) % n;
}

/* Two leaf tables of one parent, and one of another; pages 2 and 3 are neighbours in different tables. */
static uint64_t paddr_of(uint32_t page)
{
	return page < 4 ? 6 * PAGE_2M + PAGE_1G - 3 * PAGE_4K + page * PAGE_4K : 5 * PAGE_1G + page * PAGE_4K;
}

static uint64_t plain_iova(const struct worker *w, uint32_t page)
{
	return (paddr_of(page) & ~(PAGE_2M - 1)) + (32 + w->lane) * PAGE_4K;
}

/* ---- what is held ---- */

static void hold(struct space *s, const struct mapping *m)
{
	for (uint32_t page = m->first; page < m->first + m->n; page++) {
		struct hold *h = &s->hold[page];

		if (m->prot & IOG_PROT_READ)
			atomic_fetch_add(&h->readers, 1);
		if (m->prot & IOG_PROT_WRITE)
			atomic_fetch_add(&h->writers, 1);
		atomic_fetch_add(&h->begun, 1);
	}
}

static void let_go(struct space *s, const struct mapping *m)
{
	for (uint32_t page = m->first; page < m->first + m->n; page++) {
		struct hold *h = &s->hold[page];

		if (m->prot & IOG_PROT_READ)
			atomic_fetch_sub(&h->readers, 1);
		if (m->prot & IOG_PROT_WRITE)
			atomic_fetch_sub(&h->writers, 1);
	}
}

/* A device tries what it may have no right to. */
static void trespass(struct worker *w, struct space *s)
{
	uint32_t page = (uint32_t)below(w, PAGES), prot = below(w, 2) ? IOG_PROT_READ : IOG_PROT_WRITE;
	struct hold *h = &s->hold[page];
	uint64_t begun = atomic_load(&h->begun);
	uint32_t readers = atomic_load(&h->readers), writers = atomic_load(&h->writers);
	iog_paddr_t at;
	int error;

	/* Entries of x86-64 cannot forbid reading. */
	if (w->run->variant->ops->format[0] == 'x')
		readers += writers;
	error = iog_sim_translate(s->domain, paddr_of(page) + 8, prot, &at);
	if (!error && at != paddr_of(page) + 8)
		wrong(w->run, "page %u leads to 0x%" PRIx64, page, at);
	if (!error && !(prot == IOG_PROT_READ ? readers : writers) && atomic_load(&h->begun) == begun)
		wrong(w->run, "a device %s page %u, for which nobody has mapped it", prot == IOG_PROT_READ ? "reads" : "writes", page);
}

static void must_land(struct worker *w, struct space *s, const struct mapping *m, const char *when)
{
	uint32_t page = m->first + (uint32_t)below(w, m->n);
	iog_paddr_t at = 0;
	int error = iog_sim_translate(s->domain, paddr_of(page) + 16, m->prot, &at);

	if (error || at != paddr_of(page) + 16)
		wrong(w->run, "page %u, mapped with %u: an access %s returns %d, at 0x%" PRIx64, page, m->prot, when, error, at);
}

/* ---- operations ---- */

static uint64_t stamp(const struct worker *w, uint32_t in)
{
	return identity_stamp(w->lane, w->in[in].sequence);
}

/* Flush, let go, retire; between these anything can happen. */
static void settle(struct worker *w, uint32_t in)
{
	struct space *s = &w->run->space[in];

	if (!w->in[in].nr_records && iog_gather_is_empty(&w->in[in].gather))
		return;
	if (iog_gather_flush(&w->in[in].gather))
		wrong(w->run, "flush failed");
	for (uint32_t i = 0; i < w->in[in].nr_records; i++)
		let_go(s, &w->in[in].record[i]);
	iog_protocol_step();
	trespass(w, s);
	for (uint32_t i = 0; i < w->in[in].nr_records; i++) {
		const struct mapping *m = &w->in[in].record[i];

		iog_pgtable_identity_retire(s->pt, paddr_of(m->first), m->n * PAGE_4K, stamp(w, in), &w->in[in].gather);
		w->retired += m->n;
	}
	w->in[in].nr_records = 0;
	/* Few numbers, used again soon. */
	w->in[in].sequence = (w->in[in].sequence + 1) % 3;
}

static void unmapped(struct worker *w, uint32_t in, const struct mapping *m, bool stale)
{
	if (!stale) {
		let_go(&w->run->space[in], m);
		w->shared++;
		return;
	}
	w->in[in].record[w->in[in].nr_records++] = *m;
	if (!w->run->variant->deferred || w->in[in].nr_records == RECORDS || !below(w, 6))
		settle(w, in);
}

static void map(struct worker *w, uint32_t in)
{
	static const uint32_t prots[] = { IOG_PROT_READ, RW, RW, IOG_PROT_WRITE };
	struct space *s = &w->run->space[in];
	struct mapping m = { .first = (uint32_t)below(w, PAGES), .n = 1, .prot = prots[below(w, 4)] };
	bool stale;
	int error;

	if (m.first < 3 && !below(w, 3))
		m.n = 2;
	hold(s, &m);
	error = iog_pgtable_identity_map(s->pt, paddr_of(m.first), m.n * PAGE_4K, m.prot, stamp(w, in), &w->in[in].gather, &stale);
	w->maps++;
	if (error) {
		if (error != -IOG_EEXIST)
			wrong(w->run, "map returned %d", error);
		w->refused++;
		unmapped(w, in, &m, stale);
		return;
	}
	must_land(w, s, &m, "after its map");
	w->in[in].held[w->in[in].nr_held++] = m;
}

static void unmap(struct worker *w, uint32_t in)
{
	struct space *s = &w->run->space[in];
	uint32_t pick = (uint32_t)below(w, w->in[in].nr_held);
	struct mapping m = w->in[in].held[pick];
	bool stale;
	int error;

	must_land(w, s, &m, "before its unmap");
	w->in[in].held[pick] = w->in[in].held[--w->in[in].nr_held];
	error = iog_pgtable_identity_unmap(s->pt, paddr_of(m.first), m.n * PAGE_4K, stamp(w, in), &w->in[in].gather, &stale);
	if (error)
		wrong(w->run, "unmap returned %d", error);
	unmapped(w, in, &m, stale);
}

/* A page of this thread's own in a table that others use. */
static void plain(struct worker *w, uint32_t in)
{
	uint32_t page = (uint32_t)below(w, PAGES / 2) * 2;
	uint64_t iova = plain_iova(w, page);
	struct iog_gather *gather = &w->in[in].gather;
	bool *is = &w->in[in].plain[page];
	uint64_t size = 0;
	int error;

	/* Pages that share a table share this one. */
	for (uint32_t other = 0; other < PAGES; other += 2)
		if (plain_iova(w, other) == iova && other < page)
			is = &w->in[in].plain[other];
	if (*is)
		error = iog_pgtable_unmap(w->run->space[in].pt, iova, PAGE_4K, gather, &size);
	else
		error = iog_pgtable_map(w->run->space[in].pt, iova, PAGE_1G, PAGE_4K, RW, gather);
	if (error || (*is && size != PAGE_4K))
		wrong(w->run, "an ordinary %s returned %d", *is ? "unmap" : "map", error);
	if (*is && !w->in[in].nr_records && iog_gather_flush(gather))
		wrong(w->run, "flush failed");
	*is = !*is;
}

static void lookup(struct worker *w, uint32_t in)
{
	uint32_t page = (uint32_t)below(w, PAGES);
	struct iog_leaf leaf;
	int error = iog_pgtable_lookup(w->run->space[in].pt, w->lane, paddr_of(page), &leaf);

	if (error ? error != -IOG_ENOENT : leaf.paddr != paddr_of(page) || leaf.page_size != PAGE_4K)
		wrong(w->run, "lookup of page %u returned %d, 0x%" PRIx64, page, error, leaf.paddr);
	for (uint32_t i = 0; i < w->in[in].nr_held; i++)
		if (error && page - w->in[in].held[i].first < w->in[in].held[i].n)
			wrong(w->run, "lookup does not find page %u", page);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct run *run = w->run;
	uint64_t ops = kit_scaled(OPS) / nr_threads / 2;

	stall_seed = w->seed ^ UINT64_C(0xabcdef);
	hammer_countdown = 100;
	for (uint64_t n = 0; n < ops && !atomic_load_explicit(&run->stop, memory_order_relaxed); n++) {
		uint32_t in = (uint32_t)below(w, run->variant->spaces);
		uint64_t pick = below(w, 64);

		if (pick < 4)
			plain(w, in);
		else if (pick < 8)
			lookup(w, in);
		else if (pick < 16)
			trespass(w, &run->space[in]);
		else if (pick < 18)
			settle(w, in);
		else if (pick < 42 ? w->in[in].nr_held < HELD_MAX : !w->in[in].nr_held)
			map(w, in);
		else
			unmap(w, in);
		if (w->in[in].nr_held && !below(w, 8))
			must_land(w, &run->space[in], &w->in[in].held[0], "meanwhile");
	}
	for (uint32_t in = 0; in < run->variant->spaces && !atomic_load(&run->stop); in++) {
		while (w->in[in].nr_held)
			unmap(w, in);
		for (uint32_t page = 0; page < PAGES; page += 2)
			if (w->in[in].plain[page] && iog_pgtable_unmap(run->space[in].pt, plain_iova(w, page), PAGE_4K, &w->in[in].gather, NULL))
				wrong(run, "an ordinary unmap failed");
		settle(w, in);
	}
	hammer_countdown = INT32_MAX;
	return NULL;
}

static void set_up(struct run *run, const struct variant *variant)
{
	const struct iog_tablemem_config lanes = { .lanes = nr_threads };
	const struct iog_sim_config sim = { .violation = on_violation, .violation_ctx = run };
	struct iog_pgtable_config config = { .ops = variant->ops, .trim_batch = 1, .flags = variant->flags };

	run->variant = variant;
	pthread_mutex_init(&run->lock, NULL);
	host_create(&run->host);
	run->platform = run->host.platform;
	run->platform.relax = relax;
	if (iog_sim_create(&run->platform, &sim, &run->sim))
		abort();
	iog_sim_observe(run->sim, &run->platform);
	if (iog_tablemem_create(&run->platform, &lanes, &run->mem))
		abort();
	config.tablemem = run->mem;
	for (uint32_t in = 0; in < variant->spaces; in++) {
		struct iog_pgtable_root root;

		if (iog_pgtable_create(&config, &run->space[in].pt))
			abort();
		iog_pgtable_root(run->space[in].pt, &root);
		if (iog_sim_domain_create(run->sim, 1 + in, &root, &run->space[in].domain))
			abort();
	}
	for (uint32_t i = 0; i < nr_threads; i++) {
		struct worker *w = &run->worker[i];

		w->run = run;
		w->lane = i;
		w->seed = seed + i * UINT64_C(0x1234567);
		for (uint32_t in = 0; in < variant->spaces; in++)
			if (iog_gather_init(&w->in[in].gather, run->space[in].pt, i, iog_sim_flush, run->space[in].domain))
				abort();
	}
}

static void look_back(struct run *run)
{
	uint64_t maps = 0, shared = 0, refused = 0, retired = 0, unlinked = 0;

	for (uint32_t in = 0; in < run->variant->spaces; in++) {
		struct space *s = &run->space[in];
		struct iog_pgtable_stats stats;
		uint64_t tables = 0;

		for (uint32_t i = 0; i < nr_threads; i++)
			if (iog_pgtable_trim(s->pt, &run->worker[i].in[in].gather, NULL))
				wrong(run, "trim failed");
		iog_pgtable_stats(s->pt, &stats);
		unlinked += stats.unlinked;
		for (uint32_t level = 0; level < IOG_LEVELS_MAX; level++)
			tables += stats.tables[level];
		if (!iog_pgtable_is_valid(s->pt))
			wrong(run, "the page table's own check finds something wrong");
		if (run->variant->ops->reclaim != IOG_RECLAIM_NONE && tables != 1)
			wrong(run, "%" PRIu64 " tables are left", tables);
		for (uint32_t page = 0; page < PAGES; page++) {
			struct iog_gather *gather = &run->worker[0].in[in].gather;
			bool stale;

			/* Any permission is to be had again: nothing stale was lost. */
			if (iog_pgtable_identity_map(s->pt, paddr_of(page), PAGE_4K, page % 2 ? RW : IOG_PROT_READ, 99, gather, &stale) ||
			    iog_pgtable_identity_unmap(s->pt, paddr_of(page), PAGE_4K, 99, gather, &stale) || iog_gather_flush(gather))
				wrong(run, "page %u cannot be had in the end", page);
			iog_pgtable_identity_retire(s->pt, paddr_of(page), PAGE_4K, 99, gather);
		}
	}
	if (atomic_load(&run->freed_tables))
		wrong(run, "%u walks through tables that were given back", atomic_load(&run->freed_tables));
	for (uint32_t i = 0; i < nr_threads; i++) {
		maps += run->worker[i].maps;
		shared += run->worker[i].shared;
		refused += run->worker[i].refused;
		retired += run->worker[i].retired;
	}
	printf("  %" PRIu64 " operations of %u threads: %" PRIu64 " refused, %" PRIu64 " unmaps that were not the last, %" PRIu64 " pages retired, %" PRIu64 " tables unlinked\n",
	       maps, nr_threads, refused, shared, retired, unlinked);
	if (!shared || !refused || !retired)
		wrong(run, "the threads did not meet");
}

static void tear_down(struct run *run)
{
	for (uint32_t in = 0; in < run->variant->spaces; in++) {
		iog_sim_domain_destroy(run->space[in].domain);
		iog_pgtable_destroy(run->space[in].pt, 0);
	}
	if (iog_tablemem_destroy(run->mem) || run->host.page_bytes || run->host.object_bytes)
		wrong(run, "memory is left after all was destroyed");
	iog_sim_destroy(run->sim);
	host_destroy(&run->host);
	pthread_mutex_destroy(&run->lock);
}

static void hammer(void **state)
{
	struct run *run = aligned_alloc(64, (sizeof(*run) + 63) & ~(size_t)63);
	char why[sizeof(run->why)];

	if (!run)
		abort();
	memset(run, 0, sizeof(*run));
	set_up(run, *state);
	alarm(PATIENCE);
	for (uint32_t i = 0; i < nr_threads; i++)
		if (pthread_create(&run->worker[i].thread, NULL, work, &run->worker[i]))
			abort();
	for (uint32_t i = 0; i < nr_threads; i++)
		pthread_join(run->worker[i].thread, NULL);
	if (!run->why[0])
		look_back(run);
	memcpy(why, run->why, sizeof(why));
	if (!why[0]) {
		tear_down(run);
		memcpy(why, run->why, sizeof(why));
		free(run);
	}
	alarm(0);
	if (why[0])
		fail_msg("%s", why);
}

static void does_not_end(int number)
{
	static const char text[] = "identity hammer: does not end\n";

	(void)number;
	(void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
	_exit(3);
}

int main(void)
{
	static const struct variant variants[] = {
		{ "strict, counted, vtdss", &iog_vtdss_counted, 0, 1, false },
		{ "deferred, counted, vtdss", &iog_vtdss_counted, 0, 1, true },
		{ "deferred, counted, x86_64", &iog_x86_64_counted, 0, 1, true },
		{ "strict, counted, vtdss, two page tables", &iog_vtdss_counted, 0, 2, false },
		{ "deferred, counted, vtdss, flush on map", &iog_vtdss_counted, IOG_PGTABLE_FLUSH_ON_MAP, 1, true },
		{ "deferred, rwlock, vtdss", &iog_vtdss_rwlock, 0, 1, true },
		{ "deferred, none, vtdss", &iog_vtdss_none, 0, 1, true },
	};
	struct CMUnitTest tests[sizeof(variants) / sizeof(variants[0])];
	const char *threads = getenv("IOG_TEST_THREADS");

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (threads)
		nr_threads = (uint32_t)strtoul(threads, NULL, 10);
	if (nr_threads < 2 || nr_threads > THREADS_MAX)
		return 2;
	signal(SIGALRM, does_not_end);
	seed = kit_seed("identity hammer");
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
		tests[i] = (struct CMUnitTest){ .name = variants[i].name, .test_func = hammer, .initial_state = (void *)(uintptr_t)&variants[i] };
	return cmocka_run_group_tests_name("identity hammer", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The steps; see replay_dma.h.
 */
#include "replay_dma.h"

#include <sched.h>
#include <stdlib.h>

#include <iogate/error.h>

#include "clock.h"
#include "interrupt.h"
#include "memory.h"
#include "size.h"

#define PROT (IOG_PROT_READ | IOG_PROT_WRITE)
#define DIR IOG_DMA_BIDIRECTIONAL

void dma_failed(struct replay *replay, uint32_t event, const char *what, int error)
{
	if (error == -IOG_ENOMEM) {
		atomic_store(&replay->limit_reached, true);
		atomic_store(&replay->stop, true);
		return;
	}
	replay_describe(replay->trace, &replay->trace->events[event], atomic_fetch_add(&replay->failures, 1), what, error);
}

bool dma_stopped(const struct replay *replay)
{
	return atomic_load_explicit(&replay->stop, memory_order_relaxed) || interrupted();
}

static int access_page(struct replay *replay, uint64_t iova, iog_paddr_t *paddr)
{
	return iog_sim_device_translate(replay->bed.sim, DMA_BED_DEVICE, iova, IOG_PROT_READ, paddr);
}

/* Reads of the first page of a piece of memory, and of some other. */
static void access_lands(struct worker *worker, uint32_t event, uint64_t iova, uint64_t paddr, uint64_t size)
{
	struct replay *replay = worker->replay;
	uint64_t offset = 0, pages = size / SIZE_4K;
	iog_paddr_t landed;
	int ret;

	for (int i = 0; i < (pages > 1 ? 2 : 1); i++) {
		ret = access_page(replay, iova + offset, &landed);
		if (ret || landed != paddr + offset)
			dma_failed(replay, event, "a device read did not land after map of", ret);
		offset = SIZE_4K * random_below(&worker->random, pages < UINT32_MAX ? pages : UINT32_MAX);
	}
}

/* The same after an unmap. @gone: nobody can have come there since. */
static void access_gone(struct worker *worker, uint32_t event, uint64_t iova, bool gone)
{
	struct replay *replay = worker->replay;
	int ret;

	pthread_rwlock_wrlock(&replay->told);
	ret = access_page(replay, iova, NULL);
	pthread_rwlock_unlock(&replay->told);
	if (gone && ret != -IOG_EFAULT)
		dma_failed(replay, event, "a device read still lands after unmap of", ret ? ret : -IOG_EBUSY);
}

/* Under the same lock as reads of what is gone: nobody reaches what the judge has not heard of. */
void dma_attack(struct worker *worker)
{
	struct replay *replay = worker->replay;

	if (!replay->config->attacks)
		return;
	pthread_rwlock_wrlock(&replay->told);
	attacker_strikes(&worker->attacker, replay->bed.sim, DMA_BED_DEVICE, replay->config->attacks);
	pthread_rwlock_unlock(&replay->told);
}

/* Whether an address that was unmapped must fault. */
static bool must_fault(const struct replay *replay)
{
	return replay->config->mode == IOG_INVAL_STRICT && replay->config->threads == 1;
}

/*
 * Segments of a list and where they went: neighbours that were merged share a pair (iova, iova_size), in order.
 */
struct walk {
	const struct iog_sg *sg;
	uint64_t used; /* of the pair */
};

static uint64_t walk_next(struct walk *walk, uint64_t size)
{
	uint64_t iova;

	if (walk->used == walk->sg->iova_size) {
		walk->sg++;
		walk->used = 0;
	}
	iova = walk->sg->iova + walk->used;
	walk->used += size;
	return iova;
}

/* Map. */

static int map_list(struct worker *worker, const struct plan_mapping *mapping, struct mapped *mapped)
{
	const struct plan_segment *segments = &worker->replay->plan.segments[mapping->first];
	uint32_t pairs;
	uint64_t begin;
	int ret;

	mapped->sg = memory_new(mapping->nr_segments, sizeof(*mapped->sg));
	for (uint32_t i = 0; i < mapping->nr_segments; i++)
		mapped->sg[i] = (struct iog_sg){ .paddr = segments[i].paddr, .size = segments[i].size };
	begin = clock_ns();
	ret = iog_dma_map_sg(worker->replay->bed.device, worker->lane, mapped->sg, mapping->nr_segments, DIR, 0, NULL, &pairs);
	samples_add(&worker->map_ns, clock_ns() - begin);
	if (ret)
		free(mapped->sg);
	return ret;
}

static int map_run(struct worker *worker, const struct plan_mapping *mapping, struct mapped *mapped)
{
	uint64_t begin = clock_ns();
	int ret = iog_dma_reserve(worker->replay->bed.device, worker->lane, mapping->size, &mapped->run);

	if (!ret) {
		ret = iog_dma_link(&mapped->run, worker->lane, 0, worker->replay->plan.segments[mapping->first].paddr, mapping->size, DIR, 0);
		if (ret)
			iog_dma_release(&mapped->run, worker->lane);
		else
			frames_hold(&worker->replay->frames, worker->replay->plan.segments[mapping->first].paddr, mapping->size);
	}
	samples_add(&worker->map_ns, clock_ns() - begin);
	return ret;
}

static int map_single(struct worker *worker, const struct plan_mapping *mapping, struct mapped *mapped)
{
	uint64_t begin = clock_ns();
	int ret = iog_dma_map(worker->replay->bed.device, worker->lane, worker->replay->plan.segments[mapping->first].paddr, mapping->size, DIR, 0,
			      &mapped->iova);

	samples_add(&worker->map_ns, clock_ns() - begin);
	return ret;
}

/* What was mapped is told to the judge, and used. */
static void use(struct worker *worker, const struct plan_mapping *mapping, const struct mapped *mapped)
{
	struct replay *replay = worker->replay;
	const struct plan_segment *segments = &replay->plan.segments[mapping->first];
	struct walk walk = { .sg = mapping->kind == PLAN_LIST ? mapped->sg : NULL };
	uint64_t iova = mapping->kind == PLAN_RUN ? mapped->run.iova : mapping->kind == PLAN_SINGLE ? mapped->iova : 0;

	for (uint32_t i = 0; i < mapping->nr_segments; i++) {
		if (walk.sg)
			iova = walk_next(&walk, segments[i].size);
		shares_map(&replay->shares, iova, segments[i].paddr, segments[i].size, PROT);
		if (replay->config->attacks)
			attacker_sees(&worker->attacker, iova, segments[i].size);
		access_lands(worker, mapping->event, iova, segments[i].paddr, segments[i].size);
	}
}

void dma_map_planned(struct worker *worker, uint32_t index)
{
	struct replay *replay = worker->replay;
	const struct plan_mapping *mapping = &replay->plan.mappings[index];
	struct mapped *mapped = &replay->mapped[index];
	int ret;

	pthread_rwlock_rdlock(&replay->told);
	if (mapping->kind == PLAN_LIST)
		ret = map_list(worker, mapping, mapped);
	else if (mapping->kind == PLAN_RUN)
		ret = map_run(worker, mapping, mapped);
	else
		ret = map_single(worker, mapping, mapped);
	atomic_store_explicit(&mapped->left, mapping->undone_by, memory_order_relaxed);
	if (!ret)
		use(worker, mapping, mapped);
	pthread_rwlock_unlock(&replay->told);
	if (ret)
		dma_failed(replay, mapping->event, "map of", ret);
	atomic_store_explicit(&mapped->state, ret ? STATE_FAILED : STATE_MAPPED, memory_order_release);
}

/* Unmap. */

/* Tell the judge of a whole list, and keep the addresses that nobody else uses in @gone. Returns how many. */
static uint32_t list_leaves(struct worker *worker, const struct plan_mapping *mapping, const struct mapped *mapped, uint64_t *gone)
{
	struct replay *replay = worker->replay;
	const struct plan_segment *segments = &replay->plan.segments[mapping->first];
	struct walk walk = { .sg = mapped->sg };
	uint32_t count = 0;
	uint64_t iova;

	for (uint32_t i = 0; i < mapping->nr_segments; i++) {
		iova = walk_next(&walk, segments[i].size);
		if (shares_unmap(&replay->shares, iova, segments[i].size, &worker->tickets))
			gone[count++] = iova;
	}
	return count;
}

static void unmap_list(struct worker *worker, uint32_t event, const struct plan_mapping *mapping, struct mapped *mapped, uint64_t *ns)
{
	struct replay *replay = worker->replay;
	uint64_t *gone = memory_new(mapping->nr_segments, sizeof(*gone)), begin;
	uint32_t count = list_leaves(worker, mapping, mapped, gone);
	int ret;

	begin = clock_ns();
	ret = iog_dma_unmap_sg(replay->bed.device, worker->lane, mapped->sg, mapping->nr_segments, DIR, 0);
	*ns += clock_ns() - begin;
	shares_returned(&replay->shares, &worker->tickets, replay->bed.sim);
	if (ret)
		dma_failed(replay, event, "unmap of", ret);
	for (uint32_t i = 0; i < count; i++)
		access_gone(worker, event, gone[i], must_fault(replay));
	free(gone);
	free(mapped->sg);
}

static void unmap_single(struct worker *worker, uint32_t event, const struct plan_mapping *mapping, struct mapped *mapped, uint64_t *ns)
{
	struct replay *replay = worker->replay;
	bool last = shares_unmap(&replay->shares, mapped->iova, mapping->size, &worker->tickets);
	uint64_t begin = clock_ns();
	int ret = iog_dma_unmap(replay->bed.device, worker->lane, mapped->iova, mapping->size, DIR, 0);

	*ns += clock_ns() - begin;
	shares_returned(&replay->shares, &worker->tickets, replay->bed.sim);
	if (ret)
		dma_failed(replay, event, "unmap of", ret);
	if (last)
		access_gone(worker, event, mapped->iova, must_fault(replay));
}

/* A piece of a run; the last one gives the addresses back. */
static void unmap_piece(struct worker *worker, uint32_t event, const struct plan_piece *piece, struct mapped *mapped, uint64_t *ns)
{
	struct replay *replay = worker->replay;
	uint64_t iova = mapped->run.iova + piece->offset, begin;
	int ret;

	shares_unmap(&replay->shares, iova, piece->size, &worker->tickets);
	begin = clock_ns();
	ret = iog_dma_unlink(&mapped->run, worker->lane, piece->offset, piece->size);
	*ns += clock_ns() - begin;
	shares_returned(&replay->shares, &worker->tickets, replay->bed.sim);
	if (ret)
		dma_failed(replay, event, "unmap of", ret);
	else
		frames_release(&replay->frames, replay->plan.segments[replay->plan.mappings[piece->mapping].first].paddr + piece->offset, piece->size);
	/* In every mode it is forgotten now, and still reserved. */
	access_gone(worker, event, iova, true);
	/* Acquire and release: who releases the run comes after all who unlinked from it. */
	if (!replay->plan.mappings[piece->mapping].undone_by || atomic_fetch_sub_explicit(&mapped->left, 1, memory_order_acq_rel) != 1)
		return;
	begin = clock_ns();
	ret = iog_dma_release(&mapped->run, worker->lane);
	*ns += clock_ns() - begin;
	if (ret)
		dma_failed(replay, event, "release of the run of", ret);
	atomic_store_explicit(&mapped->state, STATE_UNDONE, memory_order_release);
}

/* Wait until a mapping is there. Returns false if it never will be. */
static bool wait_mapped(const struct replay *replay, const struct mapped *mapped)
{
	uint32_t state;

	while ((state = atomic_load_explicit(&mapped->state, memory_order_acquire)) == STATE_NONE) {
		if (dma_stopped(replay))
			return false;
		sched_yield();
	}
	return state == STATE_MAPPED;
}

void dma_unmap_planned(struct worker *worker, uint32_t event)
{
	struct replay *replay = worker->replay;
	const struct plan_event *undo = &replay->plan.events[event];
	uint64_t ns = 0;

	for (uint32_t i = 0; i < undo->nr_pieces; i++) {
		const struct plan_piece *piece = &replay->plan.pieces[undo->first + i];
		const struct plan_mapping *mapping = &replay->plan.mappings[piece->mapping];
		struct mapped *mapped = &replay->mapped[piece->mapping];

		if (!wait_mapped(replay, mapped))
			continue;
		if (mapping->kind == PLAN_RUN) {
			unmap_piece(worker, event, piece, mapped, &ns);
			continue;
		}
		if (mapping->kind == PLAN_LIST)
			unmap_list(worker, event, mapping, mapped, &ns);
		else
			unmap_single(worker, event, mapping, mapped, &ns);
		atomic_store_explicit(&mapped->state, STATE_UNDONE, memory_order_release);
	}
	samples_add(&worker->unmap_ns, ns);
}

void dma_unmap_rest(struct replay *replay)
{
	struct worker *worker = &replay->workers[0];
	uint64_t ns = 0;
	int ret;

	for (uint32_t i = 0; i < replay->plan.nr_mappings; i++) {
		const struct plan_mapping *mapping = &replay->plan.mappings[i];
		struct mapped *mapped = &replay->mapped[i];

		if (atomic_load(&mapped->state) != STATE_MAPPED)
			continue;
		if (mapping->kind == PLAN_LIST) {
			unmap_list(worker, mapping->event, mapping, mapped, &ns);
		} else if (mapping->kind == PLAN_SINGLE) {
			unmap_single(worker, mapping->event, mapping, mapped, &ns);
		} else {
			iog_sim_note_unmap(replay->bed.seen, mapped->run.iova, mapping->size);
			ret = iog_dma_release(&mapped->run, 0);
			if (ret)
				dma_failed(replay, mapping->event, "release of the run of", ret);
		}
	}
}

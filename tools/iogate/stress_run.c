/* SPDX-License-Identifier: MIT */
/*
 * The run itself; see stress.h. A thread has a contiguous part of the space, a lane, a gather, and a page of memory that the device writes to.
 *
 * The calling thread only watches: progress, Ctrl-C. Threads look at @stop every STEP pairs.
 */
#include "stress.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <iogate/error.h>

#include "clock.h"
#include "interrupt.h"
#include "memory.h"
#include "message.h"
#include "progress.h"
#include "random.h"
#include "size.h"

#define STEP DEFERRED_BATCH
#define WATCH_NS 100000000
/* Failed calls that are described; more are only counted. */
#define DESCRIBED_MAX 8

#define PROT (IOG_PROT_READ | IOG_PROT_WRITE)

struct stress {
	const struct stress_config *config;
	struct engine engine;
	pthread_mutex_t mutex; /* of what follows */
	pthread_cond_t changed;
	bool go;
	uint32_t running;
	uint64_t end_ns;
	atomic_bool stop;
	atomic_uint described;
};

struct worker {
	_Alignas(64) struct stress *stress;
	struct engine_lane *lane;
	pthread_t thread;
	uint64_t first_pair;
	uint64_t last_pair; /* exclusive */

	/* The page that all mappings lead to: where the CPU sees it, where devices do, and the first byte mapped, so that it lies @offset into every mapping. */
	volatile uint64_t *page;
	iog_paddr_t paddr;
	iog_paddr_t base;
	uint64_t offset;
	uint64_t value; /* last written by the device */

	_Atomic uint64_t done; /* pairs; written by the worker alone */
	uint64_t most_waiting; /* pairs */
	uint64_t failures;
	int limit_reached; /* the error that stopped this worker, 0 if none */
};

uint64_t stress_stride(uint64_t size)
{
	return (size + SIZE_2M - 1) / SIZE_2M * SIZE_2M;
}

uint64_t stress_pairs(uint64_t space, uint64_t size)
{
	return space < size ? 0 : (space - size) / stress_stride(size) + 1;
}

double stress_ns_per_pair(const struct stress_result *result)
{
	return result->pairs ? result->seconds * 1e9 / (double)result->pairs : 0;
}

/* A call or an access went wrong. Running out of memory ends the worker, everything else is counted. */
static __attribute__((cold, noinline)) void failed(struct worker *worker, const char *what, uint64_t iova, int error)
{
	if (error == -IOG_ENOMEM) {
		worker->limit_reached = error;
		return;
	}
	worker->failures++;
	if (atomic_fetch_add(&worker->stress->described, 1) < DESCRIBED_MAX)
		message("%s at iova 0x%" PRIx64 ": %s", what, iova, error ? iog_strerror(error) : "not the data that were written");
}

/* Inlined, because a call would be a twentieth of what is measured. */
static inline __attribute__((always_inline)) int map_one(const struct worker *worker, struct iog_pgtable *pgtable, struct iog_gather *gather,
							  uint64_t iova, uint64_t size)
{
	if (size == SIZE_4K)
		return iog_pgtable_map_pages(pgtable, iova, worker->base, SIZE_4K, 1, PROT, gather, NULL);
	return iog_pgtable_map(pgtable, iova, worker->base, size, PROT, gather);
}

static inline __attribute__((always_inline)) int unmap_one(struct iog_pgtable *pgtable, struct iog_gather *gather, uint64_t iova, uint64_t size,
							    uint64_t *unmapped)
{
	if (size == SIZE_4K)
		return iog_pgtable_unmap_pages(pgtable, iova, SIZE_4K, 1, gather, unmapped);
	return iog_pgtable_unmap(pgtable, iova, size, gather, unmapped);
}

/* One write by the device, which must land, seen by the CPU. */
static void access_lands(struct worker *worker, uint64_t iova)
{
	uint64_t value = (iova + worker->offset) ^ worker->stress->config->seed * UINT64_C(0x9e3779b97f4a7c15) ^ UINT64_C(0x5bd1e995a5a5a5a5);
	int ret = iog_sim_dma(worker->stress->engine.domain, iova + worker->offset, &value, sizeof(value), IOG_PROT_WRITE, NULL);

	if (ret || *worker->page != value)
		failed(worker, "a device write did not land", iova, ret);
	worker->value = *worker->page;
}

/* One write by the device after the invalidation, which must fault and change nothing. */
static void access_faults(struct worker *worker, uint64_t iova)
{
	uint64_t value = ~worker->value;
	int ret = iog_sim_dma(worker->stress->engine.domain, iova + worker->offset, &value, sizeof(value), IOG_PROT_WRITE, NULL);

	if (ret != -IOG_EFAULT || *worker->page != worker->value)
		failed(worker, "a device write after unmap did not fault", iova, ret ? ret : -IOG_EBUSY);
}

static void flush(struct worker *worker, uint64_t iova)
{
	int ret = iog_gather_flush(&worker->lane->gather);

	if (ret)
		failed(worker, "flush", iova, ret);
}

/* Pairs [pair, end), at most STEP of them. Returns how many were done: fewer where memory ran out. */
static uint64_t step_bare(struct worker *worker, uint64_t pair, uint64_t end)
{
	const struct stress_config *config = worker->stress->config;
	struct iog_pgtable *pgtable = worker->stress->engine.pgtable;
	struct iog_gather *gather = &worker->lane->gather;
	const uint64_t size = config->size, stride = stress_stride(size);
	const bool deferred = config->mode != IOG_INVAL_STRICT;
	uint64_t iova = pair * stride, unmapped;
	uint64_t done = 0;
	int ret;

	for (; pair < end; pair++, iova += stride, done++) {
		ret = map_one(worker, pgtable, gather, iova, size);
		if (ret) {
			failed(worker, "map", iova, ret);
			if (worker->limit_reached)
				break;
		}
		ret = unmap_one(pgtable, gather, iova, size, &unmapped);
		if (ret || unmapped != size)
			failed(worker, "unmap", iova, ret ? ret : -IOG_ENOENT);
		if (!deferred)
			flush(worker, iova);
	}
	if (deferred)
		flush(worker, iova);
	if (done > worker->most_waiting)
		worker->most_waiting = done;
	return done;
}

static uint64_t step_simulated(struct worker *worker, uint64_t pair, uint64_t end)
{
	const struct stress_config *config = worker->stress->config;
	struct iog_sim_domain *domain = worker->stress->engine.domain;
	struct iog_sim *sim = worker->stress->engine.sim;
	struct iog_pgtable *pgtable = worker->stress->engine.pgtable;
	struct iog_gather *gather = &worker->lane->gather;
	const uint64_t size = config->size, stride = stress_stride(size), begin = pair * stride;
	uint64_t iova = begin, unmapped, ticket = 0;
	uint64_t done = 0;
	int ret;

	for (; pair < end; pair++, iova += stride, done++) {
		ret = map_one(worker, pgtable, gather, iova, size);
		if (ret) {
			failed(worker, "map", iova, ret);
			if (worker->limit_reached)
				break;
		} else {
			iog_sim_note_map(domain, iova, worker->base, size, PROT);
			access_lands(worker, iova);
			ticket = iog_sim_note_unmap(domain, iova, size);
		}
		ret = unmap_one(pgtable, gather, iova, size, &unmapped);
		if (ret || unmapped != size)
			failed(worker, "unmap", iova, ret ? ret : -IOG_ENOENT);
		/* What strict invalidation waits for is a part of unmapping. */
		if (config->mode == IOG_INVAL_STRICT)
			flush(worker, iova);
		iog_sim_note_unmapped(sim, ticket);
		if (config->mode == IOG_INVAL_STRICT)
			access_faults(worker, iova);
	}
	if (done > worker->most_waiting)
		worker->most_waiting = done;
	if (config->mode != IOG_INVAL_STRICT) {
		flush(worker, iova);
		for (uint64_t after = begin; after < iova; after += stride)
			access_faults(worker, after);
	}
	return done;
}

/* As step_bare(); the first pair of the step is used by the device while it is mapped, and once more after its invalidation. */
static uint64_t step_modelled(struct worker *worker, uint64_t pair, uint64_t end)
{
	const struct stress_config *config = worker->stress->config;
	struct model *model = &worker->stress->engine.model;
	struct iog_pgtable *pgtable = worker->stress->engine.pgtable;
	struct iog_gather *gather = &worker->lane->gather;
	const uint64_t size = config->size, iova = pair * stress_stride(size);
	uint64_t value = iova ^ config->seed * UINT64_C(0x9e3779b97f4a7c15), unmapped, done;
	int ret = map_one(worker, pgtable, gather, iova, size);

	if (ret) {
		failed(worker, "map", iova, ret);
		return 0;
	}
	if (!model_access_lands(model, iova + worker->offset, worker->page, value))
		failed(worker, "an access of the device did not land", iova, 0);
	ret = unmap_one(pgtable, gather, iova, size, &unmapped);
	if (ret || unmapped != size)
		failed(worker, "unmap", iova, ret ? ret : -IOG_ENOENT);
	if (config->mode == IOG_INVAL_STRICT) {
		flush(worker, iova);
		if (!model_access_faults(model, iova + worker->offset, worker->page))
			failed(worker, "an access of the device after unmap did not fault", iova, 0);
	}
	done = 1 + step_bare(worker, pair + 1, end);
	if (config->mode != IOG_INVAL_STRICT && !model_access_faults(model, iova + worker->offset, worker->page))
		failed(worker, "an access of the device after its invalidation did not fault", iova, 0);
	return done;
}

static void print_progress_line(struct worker *worker, uint64_t iova)
{
	struct iog_tablemem_stats stats;
	char text[SIZE_TEXT];

	iog_tablemem_stats(worker->stress->engine.tablemem, &stats);
	message("iova space: %5" PRIu64 "T\ttable memory: %s", iova / SIZE_1T, size_rounded(text, stats.bytes));
}

static void run_pairs(struct worker *worker)
{
	struct stress *stress = worker->stress;
	const struct stress_config *config = stress->config;
	uint64_t stride = stress_stride(config->size), pair = worker->first_pair, end, next_line, done;

	next_line = (pair * stride + SIZE_1T - 1) / SIZE_1T * SIZE_1T;
	while (pair < worker->last_pair && !worker->limit_reached && !atomic_load_explicit(&stress->stop, memory_order_relaxed)) {
		if (config->verbose && pair * stride >= next_line) {
			print_progress_line(worker, next_line);
			next_line += SIZE_1T;
		}
		end = worker->last_pair - pair > STEP ? pair + STEP : worker->last_pair;
		done = config->simulate ? step_simulated(worker, pair, end) : config->model ? step_modelled(worker, pair, end) : step_bare(worker, pair, end);
		pair += done;
		atomic_store_explicit(&worker->done, pair - worker->first_pair, memory_order_relaxed);
	}
	if (worker->limit_reached)
		atomic_store_explicit(&stress->stop, true, memory_order_relaxed);
}

static void give_back(struct worker *worker)
{
	struct engine *engine = &worker->stress->engine;
	int ret = iog_pgtable_trim(engine->pgtable, &worker->lane->gather, NULL);

	if (!ret)
		ret = iog_gather_flush(&worker->lane->gather);
	if (!ret)
		ret = iog_tablemem_trim(engine->tablemem, worker->lane->lane);
	if (ret)
		failed(worker, "trim", 0, ret);
}

static void *work(void *ctx)
{
	struct worker *worker = ctx;
	struct stress *stress = worker->stress;
	uint64_t now;

	pthread_mutex_lock(&stress->mutex);
	while (!stress->go)
		pthread_cond_wait(&stress->changed, &stress->mutex);
	pthread_mutex_unlock(&stress->mutex);

	run_pairs(worker);
	give_back(worker);

	now = clock_ns();
	pthread_mutex_lock(&stress->mutex);
	stress->running--;
	if (now > stress->end_ns)
		stress->end_ns = now;
	pthread_cond_broadcast(&stress->changed);
	pthread_mutex_unlock(&stress->mutex);
	return NULL;
}

static uint64_t pairs_done(struct worker *workers, uint32_t count)
{
	uint64_t done = 0;

	for (uint32_t i = 0; i < count; i++)
		done += atomic_load_explicit(&workers[i].done, memory_order_relaxed);
	return done;
}

/* Let the workers go, and watch until the last has come back. Returns the time it took, in seconds. */
static double watch(struct stress *stress, struct worker *workers, uint32_t count, uint64_t total)
{
	struct timespec until;
	uint64_t begin_ns;

	pthread_mutex_lock(&stress->mutex);
	stress->go = true;
	begin_ns = clock_ns();
	pthread_cond_broadcast(&stress->changed);
	while (stress->running) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += WATCH_NS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		if (pthread_cond_timedwait(&stress->changed, &stress->mutex, &until) != ETIMEDOUT)
			continue;
		if (interrupted())
			atomic_store_explicit(&stress->stop, true, memory_order_relaxed);
		progress_update(pairs_done(workers, count), total);
	}
	pthread_mutex_unlock(&stress->mutex);
	return (double)(stress->end_ns - begin_ns) / 1e9;
}

static int prepare_worker(struct stress *stress, struct worker *worker, uint32_t index, uint64_t pairs)
{
	const struct stress_config *config = stress->config;
	uint64_t alignment = config->size & -config->size;

	worker->stress = stress;
	worker->lane = &stress->engine.lanes[index];
	worker->first_pair = pairs / config->threads * index + (index < pairs % config->threads ? index : pairs % config->threads);
	worker->last_pair = worker->first_pair + pairs / config->threads + (index < pairs % config->threads);
	worker->page = engine_page_alloc(&stress->engine, &worker->paddr);
	worker->base = worker->paddr & -alignment;
	worker->offset = worker->paddr - worker->base;
	return worker->page ? 0 : -IOG_ENOMEM;
}

static int start_workers(struct stress *stress, struct worker *workers, uint64_t pairs, struct problem *problem)
{
	uint32_t count = stress->config->threads;
	int ret;

	for (uint32_t i = 0; i < count; i++) {
		ret = prepare_worker(stress, &workers[i], i, pairs);
		if (ret) {
			problem_set(problem, "no memory within the limit for a page per thread");
			return ret;
		}
	}
	for (uint32_t i = 0; i < count; i++) {
		ret = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
		if (!ret) {
			stress->running++;
			continue;
		}
		problem_set(problem, "thread %" PRIu32 " of %" PRIu32 " could not be started: %s", i + 1, count, strerror(ret));
		atomic_store(&stress->stop, true);
		watch(stress, workers, i, pairs);
		while (i--)
			pthread_join(workers[i].thread, NULL);
		return -IOG_EAGAIN;
	}
	return 0;
}

static void explain_limit(const struct stress_result *result, struct problem *why)
{
	const struct stress_config *config = &result->config;
	char limit[SIZE_TEXT], reached[SIZE_TEXT], space[SIZE_TEXT], most[SIZE_TEXT];
	uint64_t reach = result->pairs * stress_stride(config->size);

	size_rounded(limit, result->stats.memory_limit);
	size_rounded(reached, reach);
	size_exact(space, config->space);
	if (config->reclaim == IOG_RECLAIM_NONE)
		problem_set(why, "table memory reached its limit of %s after %s of %s: with --reclaim none every 2 MiB touched keep a table of 4 KiB, "
			    "%s in all. Use --reclaim counted, a smaller -s, or a higher --memory-limit", limit, reached, space,
			    size_rounded(most, result->pairs_wanted * SIZE_4K));
	else
		problem_set(why, "table memory reached its limit of %s after %s of %s; %s", limit, reached, space,
			    config->memory_limit ? "raise --memory-limit" : "that is half of what the machine has available: --memory-limit sets another");
}

static void collect(struct stress *stress, struct worker *workers, struct stress_result *result)
{
	bool limit_reached = false;
	int ret;

	for (uint32_t i = 0; i < stress->config->threads; i++) {
		result->failures += workers[i].failures;
		if (stress->config->mode == IOG_INVAL_HELD)
			result->held_bytes_most += workers[i].most_waiting * stress->config->size;
		limit_reached |= workers[i].limit_reached != 0;
	}
	result->pairs = pairs_done(workers, stress->config->threads);
	ret = engine_trim(&stress->engine);
	if (ret) {
		message("trim: %s", iog_strerror(ret));
		result->failures++;
	}
	engine_stats(&stress->engine, &result->stats);
	result->violations = result->stats.sim.violations_total > result->failures ? result->stats.sim.violations_total : result->failures;
	result->partial = limit_reached || result->pairs < result->pairs_wanted;
	if (limit_reached)
		explain_limit(result, &result->why);
	else if (result->partial)
		problem_set(&result->why, "interrupted");
}

int stress_run(const struct stress_config *config, struct stress_result *result, struct problem *problem)
{
	const struct iog_sim_config hardware = { .flags = IOG_SIM_EXPOSURE };
	struct engine_config engine = {
		.format = config->format,
		.reclaim = config->reclaim,
		.lanes = config->threads,
		.simulate = config->simulate,
		.model = config->model,
		.hardware = &hardware,
		.memory_limit = config->memory_limit,
	};
	struct stress stress = { .config = config };
	struct worker *workers;
	pthread_condattr_t attributes;
	int ret;

	*result = (struct stress_result){ .config = *config, .pairs_wanted = stress_pairs(config->space, config->size) };
	ret = engine_create(&engine, &stress.engine, problem);
	if (ret)
		return ret;
	pthread_mutex_init(&stress.mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&stress.changed, &attributes);
	pthread_condattr_destroy(&attributes);

	workers = memory_new_aligned(config->threads, sizeof(*workers));
	ret = start_workers(&stress, workers, result->pairs_wanted, problem);
	if (!ret) {
		result->seconds = watch(&stress, workers, config->threads, result->pairs_wanted);
		for (uint32_t i = 0; i < config->threads; i++)
			pthread_join(workers[i].thread, NULL);
		collect(&stress, workers, result);
	}
	for (uint32_t i = 0; i < config->threads; i++)
		engine_page_free(&stress.engine, (void *)(uintptr_t)workers[i].page);
	free(workers);
	pthread_cond_destroy(&stress.changed);
	pthread_mutex_destroy(&stress.mutex);
	engine_destroy(&stress.engine);
	return ret;
}

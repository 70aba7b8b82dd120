/* SPDX-License-Identifier: MIT */
/*
 * struct iog_platform for a Linux process.
 *
 * Locking: one mutex over the arena and the accounts. Tables come in slabs, so it is taken rarely.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <iogate/error.h>
#include <iogate/host/posix.h>

#include "arena.h"
#include "available.h"
#include "cpu.h"

#ifndef IOG_ASSERT_LEVEL
#define IOG_ASSERT_LEVEL 0
#endif

#define OBJECT_ALIGN ((size_t)64)

/* A caller that breaks the platform's contract: stop at the place where assertions are on, else change nothing, and the stats show it. */
#if IOG_ASSERT_LEVEL >= 1
#define CALLER_MUST(condition) ((condition) ? (void)0 : __builtin_trap())
#else
#define CALLER_MUST(condition) ((void)(condition))
#endif

struct iog_posix {
	struct iog_platform platform;
	pthread_mutex_t lock;
	/* Under lock. */
	struct arena arena;
	uint64_t object_bytes;
};

static void *posix_pages_alloc(void *ctx, size_t size)
{
	struct iog_posix *posix = ctx;
	void *pages;

	pthread_mutex_lock(&posix->lock);
	pages = iog_arena_alloc(&posix->arena, size);
	pthread_mutex_unlock(&posix->lock);
	return pages;
}

static void posix_pages_free(void *ctx, void *pages, size_t size)
{
	struct iog_posix *posix = ctx;
	bool freed;

	pthread_mutex_lock(&posix->lock);
	freed = iog_arena_free(&posix->arena, pages, size);
	pthread_mutex_unlock(&posix->lock);
	CALLER_MUST(freed);
}

static void *posix_object_alloc(void *ctx, size_t size)
{
	struct iog_posix *posix = ctx;
	size_t rounded = (size + OBJECT_ALIGN - 1) & ~(OBJECT_ALIGN - 1);
	void *object;

	if (!rounded)
		return NULL;
	object = aligned_alloc(OBJECT_ALIGN, rounded);
	if (!object)
		return NULL;
	memset(object, 0, rounded);
	pthread_mutex_lock(&posix->lock);
	posix->object_bytes += size;
	pthread_mutex_unlock(&posix->lock);
	return object;
}

static void posix_object_free(void *ctx, void *object, size_t size)
{
	struct iog_posix *posix = ctx;

	if (!object)
		return;
	free(object);
	pthread_mutex_lock(&posix->lock);
	posix->object_bytes -= size;
	pthread_mutex_unlock(&posix->lock);
}

static uint64_t posix_now_ns(void *ctx)
{
	struct timespec now;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int iog_posix_create(const struct iog_posix_config *config, struct iog_posix **result)
{
	static const struct iog_posix_config defaults;
	struct iog_platform *platform;
	struct iog_posix *posix;
	uint64_t limit;
	int error;

	if (!config)
		config = &defaults;
	if (config->flags & ~(uint32_t)(IOG_POSIX_CACHE_CLEAN | IOG_POSIX_SMALL_PAGES))
		return -IOG_EINVAL;
	limit = config->limit ? config->limit : iog_available_memory() / 2;

	posix = calloc(1, sizeof(*posix));
	if (!posix)
		return -IOG_ENOMEM;
	platform = &posix->platform;
	if (config->flags & IOG_POSIX_CACHE_CLEAN) {
		platform->cache_clean = iog_cpu_cache_clean();
		platform->cache_flush = iog_cpu_cache_flush();
		if (!platform->cache_clean) {
			error = -IOG_EOPNOTSUPP;
			goto err_free;
		}
	}
	if (pthread_mutex_init(&posix->lock, NULL)) {
		error = -IOG_ENOMEM;
		goto err_free;
	}
	error = iog_arena_init(&posix->arena, limit, !(config->flags & IOG_POSIX_SMALL_PAGES));
	if (error)
		goto err_mutex;

	platform->ctx = posix;
	platform->direct_map_offset = (uint64_t)(uintptr_t)posix->arena.base - IOG_POSIX_PADDR_BASE;
	platform->pages_alloc = posix_pages_alloc;
	platform->pages_free = posix_pages_free;
	platform->object_alloc = posix_object_alloc;
	platform->object_free = posix_object_free;
	platform->dma_wmb = iog_cpu_dma_wmb();
	platform->now_ns = posix_now_ns;
	platform->relax = iog_cpu_relax();
	platform->lanes_barrier = iog_cpu_lanes_barrier();
	*result = posix;
	return 0;

err_mutex:
	pthread_mutex_destroy(&posix->lock);
err_free:
	free(posix);
	return error;
}

void iog_posix_destroy(struct iog_posix *posix)
{
	if (!posix)
		return;
	iog_arena_fini(&posix->arena);
	pthread_mutex_destroy(&posix->lock);
	free(posix);
}

const struct iog_platform *iog_posix_platform(const struct iog_posix *posix)
{
	return &posix->platform;
}

void iog_posix_stats(struct iog_posix *posix, struct iog_posix_stats *stats)
{
	pthread_mutex_lock(&posix->lock);
	stats->page_bytes = posix->arena.used_bytes;
	stats->page_bytes_peak = posix->arena.used_bytes_peak;
	stats->object_bytes = posix->object_bytes;
	stats->arena_bytes = posix->arena.taken_bytes;
	stats->limit = posix->arena.limit;
	pthread_mutex_unlock(&posix->lock);
}

/* SPDX-License-Identifier: MIT */
/*
 * See host.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "host.h"

#define CACHE_LINE 64u
/* Of pages just handed out, in memory and in the shadow: present to every format. */
#define JUNK_NEW 0xd3
#define JUNK_SHADOW 0xc7

static _Noreturn void broken(const char *what)
{
	fprintf(stderr, "test platform: %s\n", what);
	abort();
}

/* Under the lock. */
static bool fails(struct host *host)
{
	host->allocations++;
	if (!host->fail_in || --host->fail_in)
		return false;
	host->failed++;
	return true;
}

static uint64_t find_pages(const struct host *host, uint64_t pages)
{
	for (uint64_t at = 0; at + pages <= HOST_PAGES; at += pages) {
		uint64_t n = 0;

		while (n < pages && !host->taken[at + n])
			n++;
		if (n == pages)
			return at;
	}
	broken("the arena is too small for this test");
}

static void protect(void *at, size_t size, int protection)
{
	if (mprotect(at, size, protection))
		broken("mprotect failed");
}

static void *pages_alloc(void *ctx, size_t size)
{
	struct host *host = ctx;
	uint64_t pages = size / HOST_PAGE, at;

	if (size < HOST_PAGE || size & (size - 1))
		broken("pages_alloc: size is not a power of two of at least 4096");
	pthread_mutex_lock(&host->lock);
	if (fails(host)) {
		pthread_mutex_unlock(&host->lock);
		return NULL;
	}
	at = find_pages(host, pages);
	host->block[at] = (uint32_t)pages;
	for (uint64_t i = 0; i < pages; i++)
		host->taken[at + i] = true;
	host->page_bytes += size;
	pthread_mutex_unlock(&host->lock);

	protect(host->arena + at * HOST_PAGE, size, PROT_READ | PROT_WRITE);
	memset(host->arena + at * HOST_PAGE, JUNK_NEW, size);
	memset(host->shadow + at * HOST_PAGE, JUNK_SHADOW, size);
	return host->arena + at * HOST_PAGE;
}

static void pages_free(void *ctx, void *pages, size_t size)
{
	struct host *host = ctx;
	uint64_t offset = (uint64_t)((unsigned char *)pages - host->arena), at = offset / HOST_PAGE;

	if (offset >= HOST_BYTES || offset % HOST_PAGE)
		broken("pages_free: not from this arena");
	pthread_mutex_lock(&host->lock);
	if (!host->block[at] || host->block[at] != size / HOST_PAGE)
		broken("pages_free: not what pages_alloc returned");
	protect(pages, size, PROT_NONE);
	host->block[at] = 0;
	for (uint64_t i = 0; i < size / HOST_PAGE; i++)
		host->taken[at + i] = false;
	host->page_bytes -= size;
	pthread_mutex_unlock(&host->lock);
}

static void *object_alloc(void *ctx, size_t size)
{
	struct host *host = ctx;
	size_t rounded = (size + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1);
	void *object = NULL;

	pthread_mutex_lock(&host->lock);
	if (!fails(host)) {
		uint32_t i = 0;

		while (i < HOST_OBJECTS && host->objects[i].at)
			i++;
		object = i < HOST_OBJECTS ? aligned_alloc(CACHE_LINE, rounded) : NULL;
		if (!object)
			broken("object_alloc: too many objects, or out of memory");
		memset(object, 0, rounded);
		host->objects[i].at = object;
		host->objects[i].size = size;
		host->object_bytes += size;
	}
	pthread_mutex_unlock(&host->lock);
	return object;
}

static void object_free(void *ctx, void *object, size_t size)
{
	struct host *host = ctx;
	uint32_t i = 0;

	pthread_mutex_lock(&host->lock);
	while (i < HOST_OBJECTS && host->objects[i].at != object)
		i++;
	if (i == HOST_OBJECTS || !object || host->objects[i].size != size)
		broken("object_free: not what object_alloc returned");
	host->objects[i].at = NULL;
	host->object_bytes -= size;
	pthread_mutex_unlock(&host->lock);
	free(object);
}

static void cache_clean(void *ctx, const void *va, size_t size)
{
	struct host *host = ctx;
	uint64_t first = (uint64_t)((const unsigned char *)va - host->arena), last = first + size - 1;

	if (!size)
		return;
	if (!host_covers(host, HOST_PADDR + first, size))
		broken("cache_clean: outside of what was handed out");
	for (uint64_t at = first & ~(uint64_t)(CACHE_LINE - 1); at <= (last | (CACHE_LINE - 1)); at += sizeof(uint64_t))
		atomic_store_explicit((_Atomic uint64_t *)(void *)(host->shadow + at),
				      atomic_load_explicit((_Atomic uint64_t *)(void *)(host->arena + at), memory_order_relaxed),
				      memory_order_relaxed);
	atomic_fetch_add_explicit(&host->cleaned, 1, memory_order_relaxed);
}

static unsigned char *reserve(int protection)
{
	/* Aligned to its size: so are all power-of-two pieces of it. */
	unsigned char *at = mmap(NULL, 2 * HOST_BYTES, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t before;

	if (at == MAP_FAILED)
		broken("no memory for the arena");
	before = (HOST_BYTES - (uintptr_t)at % HOST_BYTES) % HOST_BYTES;
	if (before)
		munmap(at, before);
	munmap(at + before + HOST_BYTES, HOST_BYTES - before);
	return at + before;
}

void host_create(struct host *host)
{
	memset(host, 0, sizeof(*host));
	pthread_mutex_init(&host->lock, NULL);
	host->arena = reserve(PROT_NONE);
	host->shadow = reserve(PROT_READ | PROT_WRITE);
	host->platform = (struct iog_platform){
		.ctx = host,
		.direct_map_offset = (uintptr_t)host->arena - HOST_PADDR,
		.pages_alloc = pages_alloc,
		.pages_free = pages_free,
		.object_alloc = object_alloc,
		.object_free = object_free,
		.cache_clean = cache_clean,
	};
}

void host_destroy(struct host *host)
{
	for (uint32_t i = 0; i < HOST_OBJECTS; i++)
		free(host->objects[i].at);
	munmap(host->arena, HOST_BYTES);
	munmap(host->shadow, HOST_BYTES);
	pthread_mutex_destroy(&host->lock);
}

bool host_covers(const struct host *host, uint64_t paddr, uint64_t size)
{
	uint64_t offset = paddr - HOST_PADDR;

	if (offset >= HOST_BYTES || size > HOST_BYTES - offset)
		return false;
	for (uint64_t page = offset / HOST_PAGE; page <= (offset + size - 1) / HOST_PAGE; page++)
		if (!host->taken[page])
			return false;
	return true;
}

_Atomic uint64_t *host_memory(const struct host *host, uint64_t paddr, bool shadow)
{
	if (paddr % HOST_PAGE || !host_covers(host, paddr, HOST_PAGE))
		broken("a walk left table memory");
	return (_Atomic uint64_t *)(void *)((shadow ? host->shadow : host->arena) + (paddr - HOST_PADDR));
}

/* SPDX-License-Identifier: MIT */
/*
 * The platform that the page-table tests run on: an arena of table memory with exact accounts, allocations that fail on request, and a shadow.
 *
 * The shadow is memory as a walker that does not snoop sees it: only cache_clean() brings lines there, and new pages hold junk that looks present. Pages that are
 * free can be neither read nor written: whoever still looks at memory that was given back crashes. All calls may be made from several threads at once.
 */
#ifndef IOG_TESTS_PGTABLE_HOST_H
#define IOG_TESTS_PGTABLE_HOST_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <iogate/platform.h>

#include "../seed.h"

/* Physical address of the arena's first byte: above 4 GiB, so that a truncation shows. */
#define HOST_PADDR UINT64_C(0x240000000)
#define HOST_BYTES (UINT64_C(64) << 20)
#define HOST_PAGE UINT64_C(4096)
#define HOST_PAGES (HOST_BYTES / HOST_PAGE)
#define HOST_OBJECTS 32

struct host {
	struct iog_platform platform;
	unsigned char *arena;
	unsigned char *shadow;

	pthread_mutex_t lock;
	uint32_t block[HOST_PAGES];    /* pages of the allocation that begins here, or 0 */
	bool taken[HOST_PAGES];
	struct {
		void *at;
		size_t size;
	} objects[HOST_OBJECTS];

	uint64_t page_bytes;
	uint64_t object_bytes;
	uint64_t allocations; /* calls of either kind that were made */
	uint64_t fail_in;     /* the nth call from now on finds no memory; 0: none */
	uint64_t failed;      /* calls that found none */
	_Atomic uint64_t cleaned; /* calls of cache_clean() */
};

/* Never returns on failure: what a test cannot do without is checked by abort(). */
void host_create(struct host *host);

/* Frees what was not given back, too: look at the accounts before. */
void host_destroy(struct host *host);

/* The page at @paddr, in memory or in its shadow. Aborts if no allocation covers it. */
_Atomic uint64_t *host_memory(const struct host *host, uint64_t paddr, bool shadow);

/* Whether [paddr, paddr + size) lies in pages that are handed out. */
bool host_covers(const struct host *host, uint64_t paddr, uint64_t size);

#endif

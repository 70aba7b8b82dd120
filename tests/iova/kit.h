/* SPDX-License-Identifier: MIT */
/*
 * What the tests of address allocators share: the list of schemes, a platform that counts and fails on request, a model of what is handed out, and random numbers.
 */
#ifndef IOG_TESTS_IOVA_KIT_H
#define IOG_TESTS_IOVA_KIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <iogate/error.h>
#include <iogate/iova.h>
#include <iogate/platform.h>

#include "../seed.h"

/* ---- schemes ---- */

enum scheme_is {
	/* It fails only where no place is left, counted in what runs occupy. */
	SCHEME_EXACT = 1 << 0,
	/* Exact for single granules, once nothing is in stock of lanes. */
	SCHEME_EXACT_ONE = 1 << 1,
	/* Runs up to IOG_IOVA_CACHED_MAX granules occupy their size rounded up to a power of two. */
	SCHEME_ROUNDS = 1 << 2,
	/* Always the highest place, or with IOG_IOVA_BOTTOM_UP the lowest. */
	SCHEME_ORDERED = 1 << 3,
	/* A free is refused unless it is of exactly one run; otherwise unless every granule of it is handed out. */
	SCHEME_KNOWS_RUNS = 1 << 4,
	/* Runs do not cross certain addresses: what fits into the aperture may not fit. */
	SCHEME_CUT = 1 << 5,
	/* A directory of what has ever been handed out stays, bounded. */
	SCHEME_DIRECTORY = 1 << 6,
};

struct scheme {
	const char *name;
	const struct iog_iova_ops *ops;
	uint32_t flags;
	uint32_t pools;
	uint32_t is;
};

extern const struct scheme schemes[];
extern const uint32_t nr_schemes;

/* IOG_SCHEME of the environment is in its name, or not set. */
bool scheme_is_wanted(const struct scheme *scheme);
/* Granules that a run of @n occupies. */
uint64_t scheme_occupies(const struct scheme *scheme, uint64_t n);

/* ---- platform ---- */

struct kit {
	struct iog_platform platform;
	_Atomic int64_t objects;
	_Atomic int64_t bytes;
	_Atomic uint64_t allocations;
	_Atomic uint64_t fail_in; /* the nth allocation from now on finds no memory; 0: none */
	_Atomic uint64_t failed;
};

enum kit_flags {
	/* Interrupts can be turned off, and whatever may not be done with a lock held is done with them on, or the test aborts. For one thread. */
	KIT_INTERRUPTS = 1 << 0,
	/* No lanes_barrier. */
	KIT_NO_BARRIER = 1 << 1,
};

void kit_create(struct kit *kit, uint32_t flags);
/* Aborts if something was not given back. */
void kit_destroy(struct kit *kit);
/* An allocator of the scheme; @config says the rest, its ops, platform, flags and (unless given) pools are filled in. Aborts on error. */
struct iog_iova *kit_iova(struct kit *kit, const struct scheme *scheme, struct iog_iova_config config);
/* Aborts if the calling thread has interrupts off. */
void kit_must_be_open(const char *where);

/* ---- model: runs in order of address ---- */

enum run_state {
	RUN_LIVE,
	RUN_HELD,  /* live, and its owner frees it when it is asked to flush */
	RUN_STALE, /* freed lazily, not flushed */
};

struct run {
	uint64_t at; /* granules */
	uint64_t n;
	uint64_t occupies;
	enum run_state state;
};

struct model {
	uint64_t first; /* granules */
	uint64_t last;
	uint64_t align_max;
	struct run *runs;
	uint32_t nr;
	uint32_t room;
	/* Never handed out: granules, ascending, apart. */
	struct iog_range *reserved;
	uint32_t nr_reserved;
};

void model_create(struct model *model, const struct iog_iova_config *config);
void model_destroy(struct model *model);
/* Index of the first run that ends at or behind @at. */
uint32_t model_find(const struct model *model, uint64_t at);
/* Whether [at, at + n) is free of runs and of what is reserved, and in the aperture. */
bool model_is_free(const struct model *model, uint64_t at, uint64_t n);
/* Whether every granule of it is in live runs. */
bool model_is_live(const struct model *model, uint64_t at, uint64_t n);
void model_add(struct model *model, uint64_t at, uint64_t n, uint64_t occupies);
void model_remove(struct model *model, uint32_t index);
/* The highest or lowest place for @n granules, none above @limit. */
bool model_place(const struct model *model, uint64_t n, uint64_t limit, bool lowest, uint64_t *at);
uint64_t model_align(const struct model *model, uint64_t n);
/* Forget what is stale. */
void model_flushed(struct model *model);

#endif

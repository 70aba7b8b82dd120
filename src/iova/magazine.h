/* SPDX-License-Identifier: MIT */
/*
 * Magazines, lanes and depots of the scheme "magazine": see magazine.c for their rules.
 */
#ifndef IOG_IOVA_MAGAZINE_H
#define IOG_IOVA_MAGAZINE_H

#include "../core/gate.h"
#include "tree.h"

/* Sizes that are cached: 2^0 to 2^9 granules. */
#define ORDERS 10
#define ROUNDS_MAX 126
#define ROUNDS_MIN 4

/* Runs of 2^order granules. */
struct magazine {
	struct magazine *next; /* in a depot */
	uint32_t nr;
	uint32_t order;
	uint64_t at[ROUNDS_MAX];
};

struct cache {
	struct magazine *loaded;
	struct magazine *previous;
};

/* Its line with the gate is written by the lane; by others only when they take its stock. */
struct magazine_lane {
	_Alignas(64) struct gate gate;
	_Atomic uint64_t cached; /* granules in its magazines */
	uint32_t misses;         /* runs from the tree since it provided an empty magazine; outside the gate, the lane's own */
	struct cache caches[ORDERS];
};

/* A stock of magazines that all lanes share: full ones of a size, or empty ones. */
struct depot {
	_Alignas(64) struct spinlock lock; /* all below */
	uint32_t least; /* fewest that there were since it was last looked at */
	uint32_t nr;
	_Atomic uint64_t granules;
	struct magazine *list;
};

struct iova_magazine {
	struct iog_iova iova;
	struct iova_tree tree;
	struct gates gates;
	struct magazine_lane *lanes;
	uint32_t rounds[ORDERS];    /* runs that a magazine takes */
	uint32_t depot_max[ORDERS]; /* magazines that a depot takes */
	_Alignas(64) _Atomic uint32_t events; /* calls that went past the lanes' own stock */
	struct depot empty;
	struct depot depots[ORDERS];
};

_Static_assert(sizeof(struct magazine) == 1024, "fills what a platform rounds up to");
_Static_assert(1 << (ORDERS - 1) == IOG_IOVA_CACHED_MAX, "sizes that are cached");

#endif

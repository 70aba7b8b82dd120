/* SPDX-License-Identifier: MIT */
/*
 * One window: 512 granules, and where each of them is. In exactly one place, or handed out:
 *
 *   available   the owner's: may be handed out
 *   stale       the owner's: freed lazily, no flush is known that covers it
 *   waiting     the owner's: freed lazily, covered by the domain's flush number @needed
 *   freed, freed_clean   shared: set by other lanes with one atomic OR, lazily or not; folded in by the owner
 *
 * The owner's bitmaps are atomic only to be looked at from outside; they are loaded and stored.
 */
#ifndef IOG_IOVA_GRANULES_H
#define IOG_IOVA_GRANULES_H

#include "../pgtable/pin.h"
#include "window.h"

#define WINDOW_WORDS (WINDOW_BITS / 64)

/* The owner of a window that is no lane's: on its way from one to another, or away. All who free into it are others then. */
#define WINDOW_NO_OWNER UINT32_MAX

typedef _Atomic uint64_t window_bits_t[WINDOW_WORDS];

struct window {
	/* Read by whoever frees; changes when another lane takes it over. */
	_Alignas(64) iog_entry_t *entries; /* NULL if not bound to a page table */
	struct iog_table *table;
	uint64_t first; /* granules */
	_Atomic uint32_t owner;

	/* The owner's. */
	_Alignas(64) struct window *prev;
	struct window *next;
	struct window *dirty_next;
	uint64_t needed;
	uint32_t hint; /* word to look at first */
	bool unused;   /* all are available */
	bool full;     /* on which list */
	bool dirty;    /* on the list of those with stale or waiting granules */
	window_bits_t available;
	window_bits_t stale;
	window_bits_t waiting;

	/* Everybody's. */
	_Alignas(64) window_bits_t freed;
	window_bits_t freed_clean;
};

static inline uint64_t bits_get(_Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void bits_put(_Atomic uint64_t *word, uint64_t bits)
{
	atomic_store_explicit(word, bits, memory_order_relaxed);
}

static inline void bits_or(_Atomic uint64_t *word, uint64_t bits)
{
	bits_put(word, bits_get(word) | bits);
}

/* The part of [*bit, *bit + *n) in the first of its words; moves past it. */
static inline uint64_t run_mask(uint32_t *bit, uint32_t *n)
{
	uint32_t from = *bit & 63, in_word = 64 - from < *n ? 64 - from : *n;

	*bit += in_word;
	*n -= in_word;
	return UINT64_MAX >> (-in_word & 63) << from;
}

/**
 * iog_window_take_run() - take granules side by side.
 * @window: the window, of the caller's lane.
 * @n: granules, 1 to WINDOW_BITS.
 * @align: a power of two.
 *
 * Return: the first bit, a multiple of @align; WINDOW_BITS if there is no place.
 */
uint32_t iog_window_take_run(struct window *window, uint32_t n, uint32_t align);

static inline uint32_t take_one(struct window *window)
{
	for (uint32_t i = 0; i < WINDOW_WORDS; i++) {
		uint32_t word = (window->hint + i) & (WINDOW_WORDS - 1);
		uint64_t bits = bits_get(&window->available[word]);

		if (__builtin_expect(bits != 0, 1)) {
			bits_put(&window->available[word], bits & (bits - 1));
			window->hint = word;
			return word * 64 + bits_lowest(bits);
		}
	}
	return WINDOW_BITS;
}

static inline uint32_t take(struct window *window, uint32_t n, uint32_t align)
{
	return n == 1 ? take_one(window) : iog_window_take_run(window, n, align);
}

/* Whether some of the run was freed by other lanes, and not yet folded in. */
static inline bool freed_by_others(struct window *window, uint32_t bit, uint32_t n)
{
	while (n) {
		uint32_t word = bit / 64;

		if ((bits_get(&window->freed[word]) | bits_get(&window->freed_clean[word])) & run_mask(&bit, &n))
			return true;
	}
	return false;
}

/* Whether none of the run is in one of the owner's bitmaps. */
static inline bool handed_out(struct window *window, uint32_t bit, uint32_t n)
{
	while (n) {
		uint32_t word = bit / 64;
		uint64_t mask = run_mask(&bit, &n);

		if ((bits_get(&window->available[word]) | bits_get(&window->stale[word]) | bits_get(&window->waiting[word])) & mask)
			return false;
	}
	return true;
}

static inline bool bits_all(const window_bits_t bits)
{
	for (uint32_t word = 0; word < WINDOW_WORDS; word++)
		if (atomic_load_explicit(&bits[word], memory_order_relaxed) != UINT64_MAX)
			return false;
	return true;
}

static inline bool bits_any(const window_bits_t bits)
{
	for (uint32_t word = 0; word < WINDOW_WORDS; word++)
		if (atomic_load_explicit(&bits[word], memory_order_relaxed))
			return true;
	return false;
}

#endif

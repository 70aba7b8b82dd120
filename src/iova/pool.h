/* SPDX-License-Identifier: MIT */
/*
 * One pool of the scheme "pooled": a part of the bitmaps, its lock, and where the next search begins. Two bitmaps say of each granule
 *
 *   used  stale
 *   0     0      available
 *   1     0      handed out, or never to be (reserved, or beyond the aperture)
 *   1     1      freed lazily; no flush is known that covers it
 *   0     1      freed lazily, and the flush that pool->flushing numbers covers it
 *
 * so that what is freed while a flush runs is told from what was freed before it. Without lazy frees there is no second bitmap.
 *
 *   available = granules that are 0 0        stale = granules that are 1 1 or 0 1
 *
 * Locking: everything is under pool->lock; words of the bitmaps are not shared between pools. The counts may be looked at without it.
 */
#ifndef IOG_IOVA_POOL_H
#define IOG_IOVA_POOL_H

#include "allocator.h"

struct pool {
	_Alignas(64) struct spinlock lock;
	bool classic; /* flushes when a search comes to its end, instead of when nothing is available */
	uint64_t first; /* bits */
	uint64_t end;
	uint64_t hint;  /* where the next search begins; for calls whose limit lies in the pool, the other one */
	uint64_t limited_hint;
	uint64_t flushing; /* number of the flush that covers what is 0 1; 0: there is nothing such */
	_Atomic uint64_t available;
	_Atomic uint64_t stale;
};

/* Both bitmaps, and the granule of their first bit: a multiple of 64, so that what is aligned as an address up to that is aligned as a bit. */
struct pool_bits {
	uint64_t base;
	uint64_t *used;
	uint64_t *stale; /* NULL without lazy frees */
};

/* The part of [*bit, end) in the word of its first bit; *bit moves past it. */
static inline uint64_t word_part(uint64_t *bit, uint64_t end)
{
	uint64_t from = *bit, next = (from | 63) + 1;

	*bit = next < end ? next : end;
	return (*bit - from == 64 ? UINT64_MAX : (UINT64_C(1) << (*bit - from)) - 1) << (from & 63);
}

static inline uint64_t word_count(uint64_t word)
{
	word -= word >> 1 & UINT64_C(0x5555555555555555);
	word = (word & UINT64_C(0x3333333333333333)) + (word >> 2 & UINT64_C(0x3333333333333333));
	word = (word + (word >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	return word * UINT64_C(0x0101010101010101) >> 56;
}

static inline uint64_t word_available(const struct pool_bits *bits, uint64_t word)
{
	return ~(bits->used[word] | (bits->stale ? bits->stale[word] : 0));
}

/* Places in @word where @n bits are set from a multiple of @align on; both at most 64. */
static inline uint64_t word_places(uint64_t word, uint64_t n, uint64_t align)
{
	uint64_t aligned = 1;

	for (uint64_t have = 1, more; have < n; have += more) {
		more = have < n - have ? have : n - have;
		word &= word >> more;
	}
	for (uint64_t step = align; step < 64; step *= 2)
		aligned |= aligned << step;
	return word & aligned;
}

/* The first place for a run in [from, to): its bit, or @to. */
static inline uint64_t bits_find(const struct pool_bits *bits, uint64_t from, uint64_t to, uint64_t n, uint64_t align)
{
	uint64_t at, bad;

	if (from >= to || to - from < n)
		return to;
	if (n <= 64 && align <= 64) {
		for (uint64_t word = from / 64; from < to; word++) {
			uint64_t part = word_part(&from, to), places = word_places(word_available(bits, word) & part, n, align);

			if (places)
				return word * 64 + bits_lowest(places);
		}
		return to;
	}
	/* Aligned to whole words: a word that is not all available rules out every place up to the next. */
	for (bad = from; bad < to; bad++) {
		at = ((bits->base + bad + align - 1) & ~(align - 1)) - bits->base;
		if (at >= to || to - at < n)
			return to;
		for (bad = at; bad < at + n;) {
			uint64_t word = bad / 64, before = bad, part = word_part(&bad, at + n), gone = ~word_available(bits, word) & part;

			if (gone) {
				bad = before - (before & 63) + bits_highest(gone);
				break;
			}
			if (bad == at + n)
				return at;
		}
	}
	return to;
}

/* Whether all of [at, at + n) is handed out. */
static inline bool bits_handed_out(const struct pool_bits *bits, uint64_t at, uint64_t n)
{
	for (uint64_t bit = at; bit < at + n;) {
		uint64_t word = bit / 64, part = word_part(&bit, at + n);

		if ((bits->used[word] & part) != part || (bits->stale && bits->stale[word] & part))
			return false;
	}
	return true;
}

static inline void bits_set(uint64_t *words, uint64_t at, uint64_t n)
{
	for (uint64_t bit = at; bit < at + n;) {
		uint64_t word = bit / 64;

		words[word] |= word_part(&bit, at + n);
	}
}

static inline void bits_clear(uint64_t *words, uint64_t at, uint64_t n)
{
	for (uint64_t bit = at; bit < at + n;) {
		uint64_t word = bit / 64;

		words[word] &= ~word_part(&bit, at + n);
	}
}

/* A flush begins: all that is stale so far is 0 1. */
static inline void pool_mark(const struct pool_bits *bits, const struct pool *pool)
{
	for (uint64_t word = pool->first / 64; word < (pool->end + 63) / 64; word++)
		bits->used[word] &= ~bits->stale[word];
}

/* It has failed. */
static inline void pool_unmark(const struct pool_bits *bits, const struct pool *pool)
{
	for (uint64_t word = pool->first / 64; word < (pool->end + 63) / 64; word++)
		bits->used[word] |= bits->stale[word];
}

/* It has completed: what is 0 1 is available. */
static inline void pool_fold(const struct pool_bits *bits, struct pool *pool)
{
	uint64_t folded = 0;

	for (uint64_t word = pool->first / 64; word < (pool->end + 63) / 64; word++) {
		uint64_t covered = bits->stale[word] & ~bits->used[word];

		bits->stale[word] &= ~covered;
		folded += word_count(covered);
	}
	stat_add(&pool->available, folded);
	stat_add(&pool->stale, -folded);
}

static inline bool pool_is_valid(const struct pool_bits *bits, const struct pool *pool)
{
	uint64_t available = 0, stale = 0, marked = 0;

	for (uint64_t bit = pool->first; bit < pool->end;) {
		uint64_t word = bit / 64, part = word_part(&bit, pool->end), freed = bits->stale ? bits->stale[word] & part : 0;

		available += word_count(word_available(bits, word) & part);
		stale += word_count(freed);
		marked += word_count(freed & ~bits->used[word]);
	}
	return available == atomic_load_explicit(&pool->available, memory_order_relaxed) && stale == atomic_load_explicit(&pool->stale, memory_order_relaxed) &&
	       (pool->flushing || !marked) && pool->hint >= pool->first && pool->hint <= pool->end;
}

#endif

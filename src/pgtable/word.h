/* SPDX-License-Identifier: MIT */
/*
 * The descriptor of a table, and its word: one 64-bit number that says in which state the table is and how many live entries it has.
 *
 * FREE    in stock
 * BUSY    somebody is changing the parent's entry: a few instructions, never across a flush. Only the holder writes the word; all others retry
 * LIVE    linked, @count live entries; entries of unlinked children count until their slot is emptied
 * DEAD    unlinked (the parent's entry is a tombstone) and not yet flushed; may be revived. The generation tells one unlinking from the next
 *
 *        take            link                unlink (count = 0, or the span is covered)
 *   FREE ----> BUSY ----------------> LIVE ----> BUSY ----> DEAD ----> BUSY ----> FREE
 *                                       ^                    |   release, after the flush
 *                                       +------- BUSY <------+
 *                                              revive
 *
 * Beside the state, and kept through every transition:
 * LISTED  the table stands in some lane's list of empty tables. Set by the unmap that empties it; cleared by the list's owner only
 * records gathers that hold a record of the table
 * UNCLEAN it was unlinked with entries in it (or has never been cleared); whoever reuses or revives it clears it. Level 0 only, once linked
 *
 * LISTED and records are marks: somebody still knows the table by its former life. A FREE table with a mark is in no stock; who takes off the last mark puts it
 * there. So a table begins a new life unmarked, and its word is then changed by nobody but those who found it through that life.
 *
 * Identity (owner, iova, slot) is written while BUSY and belongs to one generation: a word that is LIVE with the same generation before and
 * after looking at identity or entries proves that both were of one life. The level never changes: a slab serves one level.
 *
 * The model of all this is tests/model.
 */
#ifndef IOG_PGTABLE_WORD_H
#define IOG_PGTABLE_WORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct iog_pgtable;

/* The common path is laid out straight, unless small code is asked for; what a call meets rarely is kept out of its line. */
#define iog_likely(claim) __builtin_expect(!!(claim), 1)
#define iog_unlikely(claim) __builtin_expect(!!(claim), 0)
#ifdef __OPTIMIZE_SIZE__
#define IOG_INLINE static inline
#else
#define IOG_INLINE static inline __attribute__((always_inline))
#endif
#define IOG_NOINLINE __attribute__((noinline))

/* An entry as hardware and all lanes see it. */
typedef _Atomic uint64_t iog_entry_t;

struct iog_table {
	_Atomic uint64_t word;
	_Atomic uint64_t iova;                  /* first address of its span, less sign extension */
	_Atomic(struct iog_pgtable *) owner;
	_Atomic(iog_entry_t *) slot;            /* the parent's entry */
	iog_entry_t *entries;                   /* constant as long as the slab is; the same for @level */
	struct iog_table *next;                 /* in a stock, under the stock's rule */
	uint32_t level;
	_Atomic uint32_t pinned;                /* entries counted whether they are empty or not (pin.h) */
	uint32_t reserved[2];
};

_Static_assert(sizeof(struct iog_table) == 64, "a descriptor is a cache line: neighbours' counts must not share one");

#define WORD_COUNT_MASK UINT64_C(0xffff)
#define WORD_STATE_MASK (UINT64_C(3) << 16)
#define WORD_FREE (UINT64_C(0) << 16)
#define WORD_BUSY (UINT64_C(1) << 16)
#define WORD_LIVE (UINT64_C(2) << 16)
#define WORD_DEAD (UINT64_C(3) << 16)
#define WORD_LISTED (UINT64_C(1) << 18)
#define WORD_UNCLEAN (UINT64_C(1) << 19)
#define WORD_RECORD_ONE (UINT64_C(1) << 20)
#define WORD_RECORDS_MASK (UINT64_C(0xff) << 20)
#define WORD_MARKS (WORD_LISTED | WORD_RECORDS_MASK)
#define WORD_GENERATION_SHIFT 28
#define WORD_GENERATION_ONE (UINT64_C(1) << WORD_GENERATION_SHIFT)
#define WORD_GENERATION_MASK (~(WORD_GENERATION_ONE - 1))

/*
 * Claims that hold unless the library is wrong. Level 0: none is looked at; 1: cheap ones; 2: whole structures, when a page table is destroyed. There is nobody to report to
 * in a core without output: a claim that fails stops the program.
 */
#ifndef IOG_ASSERT_LEVEL
#define IOG_ASSERT_LEVEL 0
#endif
#define IOG_CLAIM(level, claim) ((void)(IOG_ASSERT_LEVEL >= (level) && !(claim) ? (__builtin_trap(), 0) : 0))

/*
 * Tests widen the windows between the protocol's steps here; empty in the product.
 */
#ifdef IOG_PROTOCOL_STEP
void iog_protocol_step(void);
#define protocol_step() iog_protocol_step()
#else
#define protocol_step() ((void)0)
#endif

IOG_INLINE uint64_t word_state(uint64_t word)
{
	return word & WORD_STATE_MASK;
}

IOG_INLINE uint32_t word_count(uint64_t word)
{
	return (uint32_t)(word & WORD_COUNT_MASK);
}

IOG_INLINE uint64_t word_generation(uint64_t word)
{
	return word >> WORD_GENERATION_SHIFT;
}

static inline bool word_records_full(uint64_t word)
{
	return (word & WORD_RECORDS_MASK) == WORD_RECORDS_MASK;
}

/* Same life: still LIVE, and not unlinked since. Counts and marks may differ. */
IOG_INLINE bool word_same_life(uint64_t before, uint64_t now)
{
	return !((before ^ now) & (WORD_GENERATION_MASK | WORD_STATE_MASK));
}

/* Another state and count, all marks and the generation kept. */
IOG_INLINE uint64_t word_with(uint64_t word, uint64_t state, uint32_t count)
{
	return (word & ~(WORD_STATE_MASK | WORD_COUNT_MASK)) | state | count;
}

/*
 * Replace a word that is still as it was read. Acquire: what the table's former users wrote is seen (pairs with the release of the last
 * subtraction, and of whoever left BUSY). Release: what this lane wrote before is seen by whoever takes the word next.
 */
IOG_INLINE bool word_swap(struct iog_table *table, uint64_t *word, uint64_t to)
{
	protocol_step();
	return atomic_compare_exchange_strong_explicit(&table->word, word, to, memory_order_acq_rel, memory_order_acquire);
}

/* Pairs with the release in word_swap() and word_leave_busy(). */
IOG_INLINE uint64_t word_load(struct iog_table *table)
{
	return atomic_load_explicit(&table->word, memory_order_acquire);
}

/* End of BUSY: identity, entries and the parent's entry are seen by whoever reads the new word with acquire. */
static inline void word_leave_busy(struct iog_table *table, uint64_t to)
{
	protocol_step();
	atomic_store_explicit(&table->word, to, memory_order_release);
}

#endif

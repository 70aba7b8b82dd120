/* SPDX-License-Identifier: MIT */
/*
 * Table memory as the page tables see it: take and give tables, descriptor of a table, lanes in and out.
 *
 * A slab is one naturally aligned piece of platform memory, of a size that depends on the level: LEAF_SLAB_TABLES or UPPER_SLAB_TABLES times the table size. Its
 * first table's place holds the descriptors; the descriptor at place 0 is the slab's own header.
 *
 *   descriptor = slab + sizeof(struct iog_table) * place        table = slab + table size * place
 *
 * Each lane has a stock per level; stocks draw on and drain to the slabs in batches, under a lock per level.
 */
#ifndef IOG_PGTABLE_TABLEMEM_H
#define IOG_PGTABLE_TABLEMEM_H

#include <stdbool.h>

#include <iogate/platform.h>
#include <iogate/tablemem.h>

#include "word.h"

/* Leaf tables come and go by the hundred, the others one by one: small slabs keep a small page table small. */
#define LEAF_SLAB_TABLES 64
#define UPPER_SLAB_TABLES 16

struct slab;

/* Free tables of one level that a lane keeps. Singly linked through the descriptors, which belong to the lane while here. */
struct stock {
	struct iog_table *clean;
	struct iog_table *unclean;
	uint32_t nr;
};

struct mem_lane {
	/*
	 * Odd while the lane is inside a call. Written by the lane only. See lane_enter().
	 */
	_Alignas(64) _Atomic uint64_t sequence;
	/* Tables taken less tables given by this lane; only the sum over lanes means something. */
	_Atomic int64_t tables;
	struct stock stock[IOG_LEVELS_MAX];
};

/* The slabs of one level that have free tables. Everything here is under @lock. */
struct slab_level {
	_Alignas(64) atomic_flag lock;
	struct slab *partial; /* some tables free */
	struct slab *empty;   /* all tables free */
	struct slab *all;     /* but for retired ones */
	uint32_t nr_empty;
};

struct iog_tablemem {
	const struct iog_platform *platform;
	uint32_t lanes;
	uint32_t table_shift;
	bool barrier_from_outside; /* platform->lanes_barrier is there, and no interrupt hooks: a caller may have interrupts off */
	_Atomic uint64_t bytes;
	_Atomic uint64_t bytes_peak;
	_Atomic uint64_t slabs;
	_Atomic uint32_t users; /* page tables that draw on this memory */
	_Atomic uint32_t readers; /* without a lane, inside: reader.h */

	/*
	 * Raised before slabs go back to the host: pointers into tables that a lane kept from an earlier call are void then. Read on the way in, after
	 * lane_enter(): a lane that slabs_reap() saw outside reads the new number.
	 */
	_Atomic uint64_t epoch;

	struct slab_level level[IOG_LEVELS_MAX];

	/*
	 * Slabs that left the lists and wait for every lane to be seen outside a call: @retired, then @waiting since the sequences in @seen[] were taken.
	 * @waiting and @seen belong to whoever holds @reaping; @waiting_hint tells others that there is something.
	 */
	_Alignas(64) atomic_flag reaping;
	_Atomic bool waiting_hint;
	_Atomic(struct slab *) retired;
	struct slab *waiting;
	uint64_t *seen;

	struct mem_lane lane[];
};

static inline uint32_t slab_shift(uint32_t table_shift, uint32_t level)
{
	return table_shift + (level ? 4 : 6);
}

_Static_assert(1 << 4 == UPPER_SLAB_TABLES && 1 << 6 == LEAF_SLAB_TABLES, "slab_shift() knows the logarithms");

/* The descriptor of the table of 2^@table_shift bytes at @entries, which is of @level and from a slab (not a root). */
IOG_INLINE struct iog_table *table_at(uint32_t table_shift, uint32_t level, const void *entries)
{
	uintptr_t address = (uintptr_t)entries;
	uintptr_t mask = ((uintptr_t)1 << slab_shift(table_shift, level)) - 1;

	return (struct iog_table *)(address & ~mask) + ((address & mask) >> table_shift);
}

/*
 * A lane is inside a call: memory that it might look at through a stale pointer stays. Either the store below is ordered before all later loads by a
 * full barrier of this lane, or slabs_reap() supplies the barrier from outside (lanes_barrier) and here only the compiler has to keep the order.
 */
IOG_INLINE void lane_enter(const struct iog_tablemem *mem, struct mem_lane *lane)
{
	_Atomic uint64_t *sequence = &lane->sequence;
	uint64_t next = atomic_load_explicit(sequence, memory_order_relaxed) + 1;

	if (iog_likely(mem->barrier_from_outside)) {
		atomic_store_explicit(sequence, next, memory_order_relaxed);
		atomic_signal_fence(memory_order_seq_cst);
	} else {
		atomic_exchange_explicit(sequence, next, memory_order_seq_cst);
	}
}

/* Release: all this lane's accesses are over; pairs with the acquire in slabs_reap(). */
IOG_INLINE void lane_exit(struct mem_lane *lane)
{
	_Atomic uint64_t *sequence = &lane->sequence;

	atomic_store_explicit(sequence, atomic_load_explicit(sequence, memory_order_relaxed) + 1, memory_order_release);
}

static inline void platform_relax(const struct iog_platform *platform)
{
	if (platform->relax)
		platform->relax(platform->ctx);
}

/* Around BUSY: see "Interrupts" in <iogate/platform.h>. */
static inline uintptr_t platform_irq_save(const struct iog_platform *platform)
{
	return platform->irq_save ? platform->irq_save(platform->ctx) : 0;
}

static inline void platform_irq_restore(const struct iog_platform *platform, uintptr_t flags)
{
	if (platform->irq_restore)
		platform->irq_restore(platform->ctx, flags);
}

/* What a table is wanted for: to be filled from end to end, or to be all zero. */
enum table_want {
	TABLE_ZEROED,
	TABLE_TO_BE_FILLED,
};

/**
 * iog_table_take_slowly() - table_take() when the stock has none ready.
 * @mem: table memory.
 * @lane: the caller's lane.
 * @level: level it will serve.
 * @want: as for table_take().
 *
 * Return: as table_take().
 */
struct iog_table *iog_table_take_slowly(struct iog_tablemem *mem, struct mem_lane *lane, uint32_t level, enum table_want want);

static inline void count_tables(struct mem_lane *lane, int by)
{
	atomic_store_explicit(&lane->tables, atomic_load_explicit(&lane->tables, memory_order_relaxed) + by, memory_order_relaxed);
}

/* A table out of stock: BUSY and this lane's, count 0, UNCLEAN clear; NULL if there is no memory. TABLE_TO_BE_FILLED leaves its contents undefined. */
IOG_INLINE struct iog_table *table_take(struct iog_tablemem *mem, struct mem_lane *lane, uint32_t level, enum table_want want)
{
	struct stock *stock = &lane->stock[level];
	struct iog_table **list = want == TABLE_ZEROED ? &stock->clean : &stock->unclean;
	struct iog_table *table = *list;
	uint64_t word;

	if (iog_unlikely(!table || mem->platform->table_taken))
		return iog_table_take_slowly(mem, lane, level, want);
	*list = table->next;
	stock->nr--;
	word = atomic_load_explicit(&table->word, memory_order_relaxed);
	IOG_CLAIM(1, word_state(word) == WORD_FREE && !(word & WORD_MARKS));
	atomic_store_explicit(&table->word, word_with(word, WORD_BUSY, 0) & ~WORD_UNCLEAN, memory_order_relaxed);
	count_tables(lane, 1);
	return table;
}

/* A FREE table without marks into the lane's stock. The stock may grow beyond its bound: iog_stock_settle() follows. */
IOG_INLINE void stock_push(struct mem_lane *lane, struct iog_table *table, uint64_t word)
{
	struct stock *stock = &lane->stock[table->level];
	struct iog_table **list = word & WORD_UNCLEAN ? &stock->unclean : &stock->clean;

	table->next = *list;
	*list = table;
	stock->nr++;
}

/*
 * A BUSY table of this lane, unlinked and forgotten by hardware, becomes FREE; UNCLEAN in @word says that it is not all zero. With marks it
 * is left to whoever takes off the last.
 */
IOG_INLINE void table_give(struct iog_tablemem *mem, struct mem_lane *lane, struct iog_table *table, uint64_t word)
{
	IOG_CLAIM(1, word_state(word_load(table)) == WORD_BUSY);
	if (iog_unlikely(mem->platform->table_freed))
		mem->platform->table_freed(mem->platform->ctx, (void *)table->entries, (size_t)1 << mem->table_shift);
	count_tables(lane, -1);
	word_leave_busy(table, word_with(word, WORD_FREE, 0));
	if (iog_likely(!(word & WORD_MARKS)))
		stock_push(lane, table, word);
}

/* This lane took a mark off, and left @word: if that was the last of a FREE table, the table is this lane's. */
IOG_INLINE void table_unmarked(struct mem_lane *lane, struct iog_table *table, uint64_t word)
{
	if (iog_unlikely(word_state(word) == WORD_FREE && !(word & WORD_MARKS)))
		stock_push(lane, table, word);
}

/**
 * iog_stock_settle() - bring a lane's stock down to its bound.
 * @mem: table memory.
 * @lane: the caller's lane.
 *
 * May return slabs to the host: the caller holds no pointer into tables or descriptors that it found by walking.
 */
void iog_stock_settle(struct iog_tablemem *mem, struct mem_lane *lane);

/**
 * iog_table_unlist() - clear LISTED; for the owner of the list.
 * @mem: table memory.
 * @lane: the caller's lane, to whose stock the table goes if nobody else knows it.
 * @table: a table on the list, whatever has become of it.
 */
void iog_table_unlist(struct iog_tablemem *mem, struct mem_lane *lane, struct iog_table *table);

/**
 * iog_table_clear() - zero a table, such that stale readers see whole entries.
 * @mem: table memory.
 * @entries: the table.
 */
void iog_table_clear(const struct iog_tablemem *mem, iog_entry_t *entries);

/**
 * iog_root_alloc() - a zeroed root table, straight from the platform.
 * @mem: table memory, for which it is accounted.
 * @size: bytes.
 *
 * Return: the table or NULL.
 */
iog_entry_t *iog_root_alloc(struct iog_tablemem *mem, size_t size);

/**
 * iog_root_free() - give it back.
 * @mem: table memory.
 * @root: from iog_root_alloc().
 * @size: the same size.
 */
void iog_root_free(struct iog_tablemem *mem, iog_entry_t *root, size_t size);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Table memory: slabs, stocks of lanes, and the way back to the host.
 *
 * A free table is either in a lane's stock (the lane's own) or on its slab's list (under the level's lock). A slab with a free table is on
 * exactly one list of its level: @partial, or @empty when all its tables are free:
 *
 *   slab->nr_free = 0            on no list
 *   0 < nr_free < nr_tables      on partial
 *   nr_free = nr_tables          on empty, counted in nr_empty; or retired
 *
 * Free tables have no marks (word.h), so that no list and no gather knows the tables of an empty slab. A walk may, and the path that a lane keeps: the slab leaves for
 * the host when every lane was seen outside a call since, and paths from before are void.
 */
#include <iogate/error.h>

#include "memory.h"
#include "tablemem.h"

/* Empty slabs kept per level, so that a working set that comes and goes does not go through the host: 2 MiB of 4 KiB leaf tables. */
#define LEAF_SLABS_KEPT 8
#define UPPER_SLABS_KEPT 2

/* Tables that a stock may hold, and how many move at once. */
#define LEAF_STOCK 128
#define LEAF_STOCK_BATCH 32
#define UPPER_STOCK 8
#define UPPER_STOCK_BATCH 4

#define LANES_MAX 4096

struct slab {
	struct slab *next;
	struct slab *previous;
	struct slab *next_of_all;
	struct slab *previous_of_all;
	struct iog_table *free; /* through the descriptors */
	uint32_t nr_free;
	uint32_t nr_tables;
	uint32_t level;
};

_Static_assert(sizeof(struct slab) <= sizeof(struct iog_table), "a slab's header stands in the place of its first descriptor");

static uint32_t stock_most(uint32_t level)
{
	return level ? UPPER_STOCK : LEAF_STOCK;
}

static uint32_t stock_batch(uint32_t level)
{
	return level ? UPPER_STOCK_BATCH : LEAF_STOCK_BATCH;
}

static uint32_t slabs_kept(uint32_t level)
{
	return level ? UPPER_SLABS_KEPT : LEAF_SLABS_KEPT;
}

static size_t slab_bytes(const struct iog_tablemem *mem, uint32_t level)
{
	return (size_t)1 << slab_shift(mem->table_shift, level);
}

static size_t table_bytes(const struct iog_tablemem *mem)
{
	return (size_t)1 << mem->table_shift;
}

static uintptr_t level_lock(struct iog_tablemem *mem, uint32_t level)
{
	uintptr_t flags = platform_irq_save(mem->platform);

	while (atomic_flag_test_and_set_explicit(&mem->level[level].lock, memory_order_acquire))
		platform_relax(mem->platform);
	return flags;
}

static void level_unlock(struct iog_tablemem *mem, uint32_t level, uintptr_t flags)
{
	atomic_flag_clear_explicit(&mem->level[level].lock, memory_order_release);
	platform_irq_restore(mem->platform, flags);
}

static void account(struct iog_tablemem *mem, size_t bytes)
{
	uint64_t now = atomic_fetch_add_explicit(&mem->bytes, bytes, memory_order_relaxed) + bytes;
	uint64_t peak = atomic_load_explicit(&mem->bytes_peak, memory_order_relaxed);

	while (now > peak && !atomic_compare_exchange_weak_explicit(&mem->bytes_peak, &peak, now, memory_order_relaxed, memory_order_relaxed))
		;
}

static void *account_alloc(struct iog_tablemem *mem, size_t bytes)
{
	void *pages = mem->platform->pages_alloc(mem->platform->ctx, bytes);

	if (pages)
		account(mem, bytes);
	return pages;
}

static void account_free(struct iog_tablemem *mem, void *pages, size_t bytes)
{
	mem->platform->pages_free(mem->platform->ctx, pages, bytes);
	atomic_fetch_sub_explicit(&mem->bytes, bytes, memory_order_relaxed);
}

/* ---- lists of slabs, under the level's lock ---- */

static void list_add(struct slab **list, struct slab *slab)
{
	slab->previous = NULL;
	slab->next = *list;
	if (slab->next)
		slab->next->previous = slab;
	*list = slab;
}

static void list_remove(struct slab **list, struct slab *slab)
{
	if (slab->previous)
		slab->previous->next = slab->next;
	else
		*list = slab->next;
	if (slab->next)
		slab->next->previous = slab->previous;
}

/* The slab's count of free tables has changed from @before: keep it on the right list. */
static void slab_refile(struct slab_level *level, struct slab *slab, uint32_t before)
{
	struct slab **from = !before ? NULL : before == slab->nr_tables ? &level->empty : &level->partial;
	struct slab **to = !slab->nr_free ? NULL : slab->nr_free == slab->nr_tables ? &level->empty : &level->partial;

	if (from == to)
		return;
	if (from)
		list_remove(from, slab);
	if (to)
		list_add(to, slab);
	if (from == &level->empty)
		level->nr_empty--;
	if (to == &level->empty)
		level->nr_empty++;
}

/* Every slab, for the day on which all go. */
static void all_add(struct slab_level *level, struct slab *slab)
{
	slab->previous_of_all = NULL;
	slab->next_of_all = level->all;
	if (slab->next_of_all)
		slab->next_of_all->previous_of_all = slab;
	level->all = slab;
}

static void all_remove(struct slab_level *level, struct slab *slab)
{
	if (slab->previous_of_all)
		slab->previous_of_all->next_of_all = slab->next_of_all;
	else
		level->all = slab->next_of_all;
	if (slab->next_of_all)
		slab->next_of_all->previous_of_all = slab->previous_of_all;
}

static struct slab *slab_of(const struct iog_tablemem *mem, const struct iog_table *table)
{
	return (struct slab *)((uintptr_t)table & ~((uintptr_t)slab_bytes(mem, table->level) - 1));
}

/* A slab that nobody knows of yet. */
static struct slab *slab_create(struct iog_tablemem *mem, uint32_t level)
{
	uint32_t places = level ? UPPER_SLAB_TABLES : LEAF_SLAB_TABLES;
	struct slab *slab = account_alloc(mem, slab_bytes(mem, level));
	struct iog_table *table = (struct iog_table *)slab;

	if (!slab)
		return NULL;

	slab->next = slab->previous = NULL;
	slab->free = NULL;
	slab->level = level;
	slab->nr_free = slab->nr_tables = places - 1;

	for (uint32_t place = places - 1; place; place--) {
		struct iog_table *t = &table[place];

		memset(t, 0, sizeof(*t));
		atomic_init(&t->word, WORD_FREE | WORD_UNCLEAN);
		t->level = level;
		t->entries = (iog_entry_t *)((uintptr_t)slab + ((uintptr_t)place << mem->table_shift));
		t->next = slab->free;
		slab->free = t;
	}

	atomic_fetch_add_explicit(&mem->slabs, 1, memory_order_relaxed);
	return slab;
}

/* Take empty slabs beyond @keep off the list, to wait for the lanes; under the level's lock. */
static void slabs_retire(struct iog_tablemem *mem, uint32_t level, uint32_t keep)
{
	struct slab_level *l = &mem->level[level];

	for (struct slab *slab = l->empty, *next; slab && l->nr_empty > keep; slab = next) {
		struct slab *head;

		next = slab->next;
		list_remove(&l->empty, slab);
		all_remove(l, slab);
		l->nr_empty--;

		/* Release: pairs with the acquire in slabs_reap(). */
		head = atomic_load_explicit(&mem->retired, memory_order_relaxed);
		do
			slab->next = head;
		while (!atomic_compare_exchange_weak_explicit(&mem->retired, &head, slab, memory_order_release, memory_order_relaxed));
	}
}

/* Every lane but the caller's own has been outside a call since @mem->seen was taken, and no reader is inside. Acquire: pairs with the release in lane_exit(). */
static bool lanes_passed(const struct iog_tablemem *mem, const struct mem_lane *self)
{
	/* A reader that is not seen here sees the slabs unlinked; pairs with the fence in iog_pgtable_reader_enter(). Acquire: with the release in iog_pgtable_reader_exit(). */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&mem->readers, memory_order_acquire))
		return false;
	for (uint32_t lane = 0; lane < mem->lanes; lane++)
		if (&mem->lane[lane] != self && mem->seen[lane] & 1 &&
		    atomic_load_explicit(&mem->lane[lane].sequence, memory_order_acquire) == mem->seen[lane])
			return false;
	return true;
}

static void lanes_look(struct iog_tablemem *mem)
{
	/* All lanes see the slabs unlinked and the epoch raised from here on, or show an odd sequence below. Pairs with lane_enter(). */
	atomic_fetch_add_explicit(&mem->epoch, 1, memory_order_seq_cst);
	if (mem->barrier_from_outside)
		mem->platform->lanes_barrier(mem->platform->ctx);

	for (uint32_t lane = 0; lane < mem->lanes; lane++)
		mem->seen[lane] = atomic_fetch_add_explicit(&mem->lane[lane].sequence, 0, memory_order_seq_cst);
}

static void slabs_free(struct iog_tablemem *mem, struct slab *slab)
{
	while (slab) {
		struct slab *next = slab->next;

		atomic_fetch_sub_explicit(&mem->slabs, 1, memory_order_relaxed);
		account_free(mem, slab, slab_bytes(mem, slab->level));
		slab = next;
	}
}

/*
 * Give retired slabs to the host as far as lanes allow; never waits for one. Whoever finds another lane at it leaves it to that lane, which
 * may have looked too early: what stays is taken up by the next call.
 */
static void slabs_reap(struct iog_tablemem *mem, const struct mem_lane *self)
{
	if (!atomic_load_explicit(&mem->waiting_hint, memory_order_relaxed) && !atomic_load_explicit(&mem->retired, memory_order_relaxed))
		return;
	if (atomic_flag_test_and_set_explicit(&mem->reaping, memory_order_acquire))
		return;

	for (;;) {
		if (mem->waiting) {
			if (!lanes_passed(mem, self))
				break;
			slabs_free(mem, mem->waiting);
			mem->waiting = NULL;
		}
		mem->waiting = atomic_exchange_explicit(&mem->retired, NULL, memory_order_acquire);
		if (!mem->waiting)
			break;
		lanes_look(mem);
	}

	atomic_store_explicit(&mem->waiting_hint, mem->waiting != NULL, memory_order_relaxed);
	atomic_flag_clear_explicit(&mem->reaping, memory_order_release);
}

/* ---- stocks ---- */

static struct iog_table *stock_pop(struct iog_table **list)
{
	struct iog_table *table = *list;

	if (table)
		*list = table->next;
	return table;
}

/* Move up to a batch of tables from the slabs to an empty stock; only when there is none at all, ask the host for a slab. */
static void stock_refill(struct iog_tablemem *mem, uint32_t level, struct mem_lane *lane)
{
	struct stock *stock = &lane->stock[level];
	struct slab_level *l = &mem->level[level];
	struct slab *slab, *fresh = NULL;
	uintptr_t flags = level_lock(mem, level);

	if (!l->partial && !l->empty) {
		level_unlock(mem, level, flags);
		fresh = slab_create(mem, level);
		flags = level_lock(mem, level);
		if (fresh) {
			all_add(l, fresh);
			slab_refile(l, fresh, 0);
		}
	}

	while (stock->nr < stock_batch(level) && (slab = l->partial ? l->partial : stock->nr ? NULL : l->empty)) {
		uint32_t before = slab->nr_free;

		while (slab->nr_free && stock->nr < stock_batch(level)) {
			struct iog_table *table = stock_pop(&slab->free);

			slab->nr_free--;
			stock_push(lane, table, atomic_load_explicit(&table->word, memory_order_relaxed));
		}
		slab_refile(l, slab, before);
	}
	level_unlock(mem, level, flags);
}

/* Give back tables until @keep are left, and empty slabs beyond @slabs to the host. */
static void stock_drain(struct iog_tablemem *mem, struct mem_lane *lane, uint32_t level, uint32_t keep, uint32_t slabs)
{
	struct stock *stock = &lane->stock[level];
	uintptr_t flags = level_lock(mem, level);

	while (stock->nr > keep) {
		struct iog_table *table = stock_pop(stock->unclean ? &stock->unclean : &stock->clean);
		struct slab *slab = slab_of(mem, table);

		stock->nr--;
		table->next = slab->free;
		slab->free = table;
		slab->nr_free++;
		slab_refile(&mem->level[level], slab, slab->nr_free - 1);
	}
	slabs_retire(mem, level, slabs);
	level_unlock(mem, level, flags);

	slabs_reap(mem, lane);
}

/* ---- for the page tables ---- */

void iog_table_clear(const struct iog_tablemem *mem, iog_entry_t *entries)
{
	for (size_t i = 0; i < table_bytes(mem) / sizeof(*entries); i++)
		atomic_store_explicit(&entries[i], 0, memory_order_relaxed);
}

struct iog_table *iog_table_take_slowly(struct iog_tablemem *mem, struct mem_lane *lane, uint32_t level, enum table_want want)
{
	struct stock *stock = &lane->stock[level];
	struct iog_table **first = want == TABLE_ZEROED ? &stock->clean : &stock->unclean;
	struct iog_table **second = want == TABLE_ZEROED ? &stock->unclean : &stock->clean;
	struct iog_table *table;
	uint64_t word;

	if (!stock->nr)
		stock_refill(mem, level, lane);
	table = stock_pop(first);
	if (!table)
		table = stock_pop(second);
	if (!table)
		return NULL;
	stock->nr--;

	word = atomic_load_explicit(&table->word, memory_order_relaxed);
	atomic_store_explicit(&table->word, word_with(word, WORD_BUSY, 0) & ~WORD_UNCLEAN, memory_order_relaxed);
	if (want == TABLE_ZEROED && word & WORD_UNCLEAN)
		iog_table_clear(mem, table->entries);
	if (mem->platform->table_taken)
		mem->platform->table_taken(mem->platform->ctx, (void *)table->entries, table_bytes(mem), want == TABLE_ZEROED);
	count_tables(lane, 1);
	return table;
}

void iog_stock_settle(struct iog_tablemem *mem, struct mem_lane *lane)
{
	for (uint32_t level = 0; level < IOG_LEVELS_MAX; level++)
		if (iog_unlikely(lane->stock[level].nr > stock_most(level)))
			stock_drain(mem, lane, level, stock_most(level) / 2, slabs_kept(level));
}

void iog_table_unlist(struct iog_tablemem *mem, struct mem_lane *lane, struct iog_table *table)
{
	uint64_t word = word_load(table);

	for (;;) {
		if (word_state(word) == WORD_BUSY) {
			platform_relax(mem->platform);
			word = word_load(table);
		} else if (word_swap(table, &word, word & ~WORD_LISTED)) {
			table_unmarked(lane, table, word & ~WORD_LISTED);
			return;
		}
	}
}

iog_entry_t *iog_root_alloc(struct iog_tablemem *mem, size_t size)
{
	iog_entry_t *root = account_alloc(mem, size);

	if (!root)
		return NULL;
	memset((void *)root, 0, size);
	return root;
}

void iog_root_free(struct iog_tablemem *mem, iog_entry_t *root, size_t size)
{
	account_free(mem, (void *)root, size);
}

/* ---- public ---- */

static bool platform_is_valid(const struct iog_platform *platform)
{
	return platform && platform->pages_alloc && platform->pages_free && platform->object_alloc && platform->object_free &&
	       !platform->irq_save == !platform->irq_restore;
}

static size_t tablemem_size(uint32_t lanes)
{
	return sizeof(struct iog_tablemem) + lanes * sizeof(struct mem_lane);
}

int iog_tablemem_create(const struct iog_platform *platform, const struct iog_tablemem_config *config, struct iog_tablemem **tablemem)
{
	static const struct iog_tablemem_config defaults;
	struct iog_tablemem *mem;
	uint32_t lanes, size, shift;

	if (!tablemem || !platform_is_valid(platform))
		return -IOG_EINVAL;
	if (!config)
		config = &defaults;
	lanes = config->lanes ? config->lanes : 1;
	size = config->table_size ? config->table_size : 4096;
	if (lanes > LANES_MAX || size < 4096 || size > 65536 || size & (size - 1))
		return -IOG_EINVAL;
	for (shift = 12; size >> shift != 1; shift++)
		;

	mem = platform->object_alloc(platform->ctx, tablemem_size(lanes));
	if (!mem)
		return -IOG_ENOMEM;
	mem->seen = platform->object_alloc(platform->ctx, lanes * sizeof(*mem->seen));
	if (!mem->seen) {
		platform->object_free(platform->ctx, mem, tablemem_size(lanes));
		return -IOG_ENOMEM;
	}
	mem->platform = platform;
	mem->lanes = lanes;
	mem->table_shift = shift;
	mem->barrier_from_outside = platform->lanes_barrier && !platform->irq_save;
	*tablemem = mem;
	return 0;
}

static void lane_drain(struct iog_tablemem *mem, struct mem_lane *lane)
{
	for (uint32_t level = 0; level < IOG_LEVELS_MAX; level++)
		stock_drain(mem, lane, level, 0, 0);
}

int iog_tablemem_destroy(struct iog_tablemem *mem)
{
	const struct iog_platform *platform;

	if (!mem)
		return 0;
	if (atomic_load_explicit(&mem->users, memory_order_acquire))
		return -IOG_EBUSY;

	platform = mem->platform;
	/* Whoever still marks a table is void with the page table that it belonged to, and nobody is inside. */
	slabs_reap(mem, NULL);
	for (uint32_t level = 0; level < IOG_LEVELS_MAX; level++) {
		while (mem->level[level].all) {
			struct slab *slab = mem->level[level].all;

			all_remove(&mem->level[level], slab);
			slab->next = NULL;
			slabs_free(mem, slab);
		}
	}
	platform->object_free(platform->ctx, mem->seen, mem->lanes * sizeof(*mem->seen));
	platform->object_free(platform->ctx, mem, tablemem_size(mem->lanes));
	return 0;
}

int iog_tablemem_trim(struct iog_tablemem *mem, iog_lane_t lane)
{
	if (lane >= mem->lanes)
		return -IOG_ERANGE;
	lane_drain(mem, &mem->lane[lane]);
	return 0;
}

void iog_tablemem_stats(const struct iog_tablemem *mem, struct iog_tablemem_stats *stats)
{
	int64_t tables = atomic_load_explicit(&mem->users, memory_order_relaxed);

	for (uint32_t lane = 0; lane < mem->lanes; lane++)
		tables += atomic_load_explicit(&mem->lane[lane].tables, memory_order_relaxed);
	stats->bytes = atomic_load_explicit(&mem->bytes, memory_order_relaxed);
	stats->bytes_peak = atomic_load_explicit(&mem->bytes_peak, memory_order_relaxed);
	stats->slabs = atomic_load_explicit(&mem->slabs, memory_order_relaxed);
	stats->tables = (uint64_t)tables;
}

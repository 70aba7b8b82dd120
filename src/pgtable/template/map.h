/* SPDX-License-Identifier: MIT */
/*
 * Template: map. A run is what one table takes of a request; its entries are counted first, all at once, and then stored.
 */

/*
 * What a request wants its leaves to be: LEVEL_BEST, or a level for plain leaves; for groups, which have PLACES_SHIFT(x) > 0, 2^x entries of the level.
 */
#define PT_PLACES_SHIFT 8

IOG_INLINE uint32_t PT(kind_level)(uint32_t kind)
{
	return FMT_GROUPS ? kind & ((1u << PT_PLACES_SHIFT) - 1) : kind;
}

IOG_INLINE uint32_t PT(kind_places)(uint32_t kind)
{
	return FMT_GROUPS ? kind >> PT_PLACES_SHIFT : 0;
}

/* A run to be mapped: @n entries of @level from @iova on, the first of which is @entry. Whole groups, if that is of a group. */
struct PT(run) {
	uint64_t iova;
	uint64_t entry;
	uint32_t level;
	uint32_t n;
};

/* Physical addresses of one run agree above this: see FMT_CARRY_SHIFT. */
#define PT_CARRY_MASK (FMT_CARRY_SHIFT < 64 ? (UINT64_C(1) << (FMT_CARRY_SHIFT & 63)) - 1 : UINT64_MAX)

/* Outcome of a step, beside errors. */
enum {
	PT(AGAIN) = 0, /* something moved, or was made to move: walk again */
	PT(DONE) = 1,
};

static inline void PT(store8)(iog_entry_t *slot, uint64_t entry, uint64_t step)
{
	PT(entry_store)(slot + 0, entry);
	PT(entry_store)(slot + 1, entry + step);
	PT(entry_store)(slot + 2, entry + 2 * step);
	PT(entry_store)(slot + 3, entry + 3 * step);
	PT(entry_store)(slot + 4, entry + 4 * step);
	PT(entry_store)(slot + 5, entry + 5 * step);
	PT(entry_store)(slot + 6, entry + 6 * step);
	PT(entry_store)(slot + 7, entry + 7 * step);
}

static inline uint64_t PT(or8)(iog_entry_t *slot)
{
	uint64_t bits = 0;

	bits |= atomic_load_explicit(slot + 0, memory_order_relaxed) | atomic_load_explicit(slot + 1, memory_order_relaxed);
	bits |= atomic_load_explicit(slot + 2, memory_order_relaxed) | atomic_load_explicit(slot + 3, memory_order_relaxed);
	bits |= atomic_load_explicit(slot + 4, memory_order_relaxed) | atomic_load_explicit(slot + 5, memory_order_relaxed);
	bits |= atomic_load_explicit(slot + 6, memory_order_relaxed) | atomic_load_explicit(slot + 7, memory_order_relaxed);
	return bits;
}

/* Fill entries of a table that nobody else can see or that are known to be empty. */
IOG_NOINLINE static void PT(fill_many)(iog_entry_t *slot, uint64_t entry, uint64_t step, uint32_t n)
{
	uint32_t i = 0;

	for (; i + 8 <= n; i += 8)
		PT(store8)(slot + i, entry + i * step, step);
	for (; i < n; i++)
		PT(entry_store)(slot + i, entry + i * step);
}

IOG_INLINE void PT(fill)(iog_entry_t *slot, uint64_t entry, uint64_t step, uint32_t n)
{
	if (n == 1)
		PT(entry_store)(slot, entry);
	else
		PT(fill_many)(slot, entry, step, n);
}

/* The same, where the entries may be of groups. */
IOG_INLINE void PT(fill_leaves)(iog_entry_t *slot, uint64_t entry, uint32_t level, uint32_t n)
{
	uint32_t places = PT(group_of)(entry, level);

	if (FMT_GROUP_STEPS || places == 1) {
		PT(fill)(slot, entry, PT(step)(level), n);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		PT(entry_store)(slot + i, entry + (i & ~(places - 1)) * PT(step)(level));
}

/* Fill groups as far as they are empty; returns how many entries. A group that is not all empty is not begun. */
IOG_NOINLINE static uint32_t PT(fill_empty_groups)(iog_entry_t *slot, uint64_t entry, uint32_t level, uint32_t n)
{
	uint32_t places = PT(group_of)(entry, level), i;

	for (i = 0; i < n; i += places) {
		for (uint32_t k = 0; k < places; k++)
			if (atomic_load_explicit(slot + i + k, memory_order_relaxed))
				return i;
		PT(fill_leaves)(slot + i, entry + i * PT(step)(level), level, places);
	}
	return i;
}

/* Fill entries as far as they are empty; returns how many. */
IOG_NOINLINE static uint32_t PT(fill_empty)(iog_entry_t *slot, uint64_t entry, uint64_t step, uint32_t n)
{
	uint32_t i = 0;

	for (; i + 8 <= n && !PT(or8)(slot + i); i += 8)
		PT(store8)(slot + i, entry + i * step, step);
	for (; i < n && !atomic_load_explicit(slot + i, memory_order_relaxed); i++)
		PT(entry_store)(slot + i, entry + i * step);
	return i;
}

/* A table that was made ready, and not linked in the end. */
static void PT(give_back)(struct iog_pgtable *pt, struct pt_lane *lane, struct iog_table *table, uint64_t unclean)
{
	uint64_t word = word_with(atomic_load_explicit(&table->word, memory_order_relaxed), WORD_BUSY, 0);

	atomic_store_explicit(&table->word, word, memory_order_relaxed);
	table_give(pt->mem, lane->mem, table, word | unclean);
	iog_stock_settle(pt->mem, lane->mem);
}

/* Give a chain back that was not linked: no pointer stays in a free table. */
IOG_NOINLINE static void PT(chain_drop)(struct iog_pgtable *pt, struct pt_lane *lane, uint64_t iova, uint32_t leaf_level, struct iog_table *chain)
{
	while (chain) {
		struct iog_table *below = chain->next;

		if (chain->level > leaf_level)
			PT(entry_store)(&chain->entries[PT(index)(iova, chain->level)], 0);
		PT(give_back)(pt, lane, chain, chain->level == leaf_level ? WORD_UNCLEAN : 0);
		chain = below;
	}
}

/*
 * Tables for levels [leaf_level, top): the run is entered in the lowest, each in the one above it. All are BUSY and this lane's until they are linked, and
 * held together by @next from the top down. NULL if there is no memory.
 */
IOG_INLINE struct iog_table *PT(chain_build)(struct iog_pgtable *pt, struct pt_lane *lane, uint64_t iova, uint64_t leaf, uint32_t leaf_level, uint32_t n,
					     uint32_t top)
{
	struct iog_table *chain = table_take(pt->mem, lane->mem, leaf_level, n == PT_ENTRIES ? TABLE_TO_BE_FILLED : TABLE_ZEROED);

	if (iog_unlikely(!chain))
		return NULL;
	chain->next = NULL;
	PT(set_identity)(pt, chain, PT(table_first)(iova, leaf_level), NULL);
	PT(fill_leaves)(&chain->entries[PT(index)(iova, leaf_level)], leaf, leaf_level, n);

	for (uint32_t level = leaf_level + 1; iog_unlikely(level < top); level++) {
		struct iog_table *table = table_take(pt->mem, lane->mem, level, TABLE_ZEROED);
		iog_entry_t *slot;

		if (!table) {
			PT(chain_drop)(pt, lane, iova, leaf_level, chain);
			return NULL;
		}
		slot = &table->entries[PT(index)(iova, level)];
		table->next = chain;
		PT(set_identity)(pt, table, PT(table_first)(iova, level), NULL);
		/* Release, though it is not linked yet: a walk with a stale pointer to this table may follow. Pairs with entry_load(). */
		atomic_store_explicit(slot, fmt_table(PT(pa)(pt, chain), level), memory_order_release);
		atomic_store_explicit(&chain->slot, slot, memory_order_relaxed);
		chain = table;
	}

	/* All of each, the zeroes too, before hardware can find it. */
	for (struct iog_table *table = chain; iog_unlikely(pt->noncoherent) && table; table = table->next)
		pt_clean(pt, (const void *)table->entries, PT_ENTRIES * sizeof(*table->entries));
	return chain;
}

/* Of BUSY tables: count what was entered. Then others may use them. Relaxed loads: BUSY is this lane's own. */
IOG_INLINE void PT(chain_live)(struct iog_table *chain, uint32_t leaf_level, uint32_t n, uint32_t level)
{
	while (--level > leaf_level) {
		struct iog_table *below = chain->next;

		word_leave_busy(chain, word_with(atomic_load_explicit(&chain->word, memory_order_relaxed), WORD_LIVE, V_COUNTED));
		chain = below;
	}
	word_leave_busy(chain, word_with(atomic_load_explicit(&chain->word, memory_order_relaxed), WORD_LIVE, V_COUNTED ? n : 0));
}

/*
 * Make an empty slot of a table at @level lead to a chain. The table is BUSY for it, so that one swap both counts the entry and keeps other linkers out: what is
 * stored then needs none. Fails if the table is not the one for @iova, or somebody was faster.
 *
 * Without validation tables do not go while they are looked at, and only other linkers matter: the entry itself is swapped, and counted before.
 */
IOG_INLINE bool PT(link_chain)(struct iog_pgtable *pt, struct pt_lane *lane, uint64_t iova, uint32_t leaf_level, uint32_t n, struct iog_table *parent,
			       iog_entry_t *slot, uint32_t level, struct iog_table *chain)
{
	uint64_t entry = fmt_table(PT(pa)(pt, chain), level), word, empty = 0;

	if (!V_VALIDATED) {
		/* Who finds a table linked expects it LIVE. */
		PT(chain_live)(chain, leaf_level, n, level);
		if (!PT(get)(pt, parent, level, iova, 1))
			return false;
		/* Release: the tables' contents; pairs with entry_load(). */
		if (!atomic_compare_exchange_strong_explicit(slot, &empty, entry, memory_order_release, memory_order_relaxed)) {
			PT(put)(pt, parent, lane, level, 1);
			return false;
		}
		pt_clean(pt, (const void *)slot, sizeof(*slot));
		return true;
	}

	word = word_load(parent);
	do {
		if (iog_unlikely(word_state(word) != WORD_LIVE || !PT(identity)(pt, parent, level, iova)))
			return false;
	} while (!PT(word_replace)(pt, parent, &word, word_with(word, WORD_BUSY, 0)));

	/* The count waits in @word. */
	if (iog_unlikely(atomic_load_explicit(slot, memory_order_relaxed))) {
		word_leave_busy(parent, word);
		return false;
	}
	/* Release: the tables' contents; pairs with entry_load(). */
	atomic_store_explicit(slot, entry, memory_order_release);
	pt_clean(pt, (const void *)slot, sizeof(*slot));
	PT(chain_live)(chain, leaf_level, n, level);
	word_leave_busy(parent, word + 1);
	return true;
}

/* Map a run below an empty slot of a table at @level: build the missing tables, with the run in them, and link them. */
IOG_INLINE int PT(link)(struct iog_pgtable *pt, struct pt_lane *lane, uint64_t iova, uint64_t leaf, uint32_t leaf_level, uint32_t n,
			iog_entry_t *entries, uint32_t level)
{
	struct iog_table *parent = PT(descriptor)(pt, level, entries), *chain;
	iog_entry_t *slot = &entries[PT(index_in)(pt, iova, level)];
	uintptr_t flags;
	bool linked;

	chain = PT(chain_build)(pt, lane, iova, leaf, leaf_level, n, level);
	if (iog_unlikely(!chain))
		return -IOG_ENOMEM;
	atomic_store_explicit(&chain->slot, slot, memory_order_relaxed);
	if (V_PATH && level == 1)
		PT(keep)(lane, 0, iova, chain->entries);

	flags = platform_irq_save(pt->platform);
	linked = PT(link_chain)(pt, lane, iova, leaf_level, n, parent, slot, level, chain);
	platform_irq_restore(pt->platform, flags);
	if (iog_unlikely(!linked)) {
		PT(chain_drop)(pt, lane, iova, leaf_level, chain);
		return PT(AGAIN);
	}
	for (uint32_t l = leaf_level; l < level; l++)
		lane_count_tables(lane, l, 1);
	return PT(DONE);
}

/* Most often a leaf table is missing below its parent: laid out for that. */
IOG_NOINLINE static int PT(link_leaf_table)(struct iog_pgtable *pt, struct pt_lane *lane, uint64_t iova, uint64_t leaf, uint32_t n,
					    iog_entry_t *entries)
{
	return PT(link)(pt, lane, iova, leaf, 0, n, entries, 1);
}

IOG_NOINLINE static int PT(link_tables)(struct iog_pgtable *pt, struct pt_lane *lane, const struct PT(run) *run, iog_entry_t *entries,
					uint32_t level)
{
	return PT(link)(pt, lane, run->iova, run->entry, run->level, run->n, entries, level);
}

/*
 * A tombstone is in the way: take the table back that it names, as it is. Linking another would not do: until the flush, hardware may still walk through its cached
 * pointer to the old one, and would not see what is mapped through the new one.
 */
IOG_NOINLINE static int PT(revive)(struct iog_pgtable *pt, struct iog_gather *gather, const struct PT(run) *run, uint64_t tombstone, uint32_t level)
{
	struct pt_lane *lane = gather_lane(gather);
	struct iog_table *table = PT(descriptor)(pt, level - 1, PT(va)(pt, tombstone));
	bool lowest = level - 1 == run->level;
	uint64_t word = word_load(table), live;
	uintptr_t flags;
	iog_entry_t *slot;

	if (word_state(word) != WORD_DEAD || !PT(identity)(pt, table, level - 1, run->iova))
		return PT(AGAIN);

	flags = platform_irq_save(pt->platform);
	if (!PT(word_replace)(pt, table, &word, word_with(word, WORD_BUSY, 0))) {
		platform_irq_restore(pt->platform, flags);
		return PT(AGAIN);
	}
	if (word & WORD_UNCLEAN) {
		iog_table_clear(pt->mem, table->entries);
		pt_clean(pt, (const void *)table->entries, PT_ENTRIES * sizeof(*slot));
	}
	slot = atomic_load_explicit(&table->slot, memory_order_relaxed);
	IOG_CLAIM(1, PT(entry_load)(slot) == PT(tombstone)(pt, table));
	live = word_with(word, WORD_LIVE, !V_COUNTED ? 0 : lowest ? run->n : 1) & ~WORD_UNCLEAN;
	/*
	 * Linked before LIVE: a neighbour with a pointer from before would count itself in and return while hardware still finds the tombstone. Behind
	 * the lock there is no such pointer, and who finds the table linked expects it LIVE.
	 */
	if (V_LOCKED)
		word_leave_busy(table, live);
	/* Release: the table's contents, which another lane may have written; pairs with entry_load(). */
	atomic_store_explicit(slot, fmt_table(PT(pa)(pt, table), level), memory_order_release);
	pt_clean(pt, (const void *)slot, sizeof(*slot));
	if (!V_LOCKED)
		word_leave_busy(table, live);
	platform_irq_restore(pt->platform, flags);
	lane_count(&lane->revived);

	if (!lowest) {
		/* Held by one count over the revival only; the way down goes on from there. */
		PT(put)(pt, table, lane, level - 1, 1);
		return PT(AGAIN);
	}
	slot = &table->entries[PT(index)(run->iova, run->level)];
	PT(fill_leaves)(slot, run->entry, run->level, run->n);
	pt_clean(pt, (const void *)slot, run->n * sizeof(*slot));
	return PT(DONE);
}

/* A leaf where tables are or were: it may go there once everything below is found empty, given back, and forgotten by hardware. */
IOG_NOINLINE static int PT(evict)(struct iog_pgtable *pt, struct iog_gather *gather, uint64_t iova, uint32_t level)
{
	uint64_t first = iova & ~(PT(page_size)(level) - 1);
	struct PT(end) end;
	int error;

	if (V_LOCKED)
		pt_read_unlock(pt);
	error = PT(prune)(pt, gather, first, first + PT(page_size)(level) - 1, level);
	if (V_LOCKED)
		pt_read_lock(pt);
	if (error)
		return error;

	PT(find)(pt, gather_lane(gather), first, &end);
	if (end.level < level)
		return -IOG_EEXIST;
	/* Recorded in as many gathers as a word can count: they have to be flushed first. */
	return end.level == level && PT(is_tombstone)(end.entry) ? -IOG_EAGAIN : 0;
}

/* The way down to the run's table ends at @level, above it. */
IOG_NOINLINE static int PT(grow)(struct iog_pgtable *pt, struct iog_gather *gather, const struct PT(run) *run, iog_entry_t *entries, uint32_t level)
{
	struct iog_table *table = PT(descriptor)(pt, level, entries);
	iog_entry_t *slot = &entries[PT(index_in)(pt, run->iova, level)];
	uint64_t entry = PT(entry_load)(slot), word = 0;

	if (!entry)
		return PT(link_tables)(pt, gather_lane(gather), run, entries, level);
	if (PT(is_tombstone)(entry))
		return PT(revive)(pt, gather, run, entry, level);
	if (!PT(begin_look)(pt, table, level, run->iova, &word))
		return PT(AGAIN);
	entry = PT(entry_load)(slot);
	if (!PT(still_valid)(table, word) || !fmt_is_leaf(entry, level))
		return PT(AGAIN);
	return -IOG_EEXIST;
}

/* Map a run, or as much of it as can be: @done entries. */
IOG_INLINE int PT(map_run)(struct iog_pgtable *pt, struct iog_gather *gather, uint64_t iova, uint64_t leaf, uint32_t leaf_level, uint32_t n,
			   uint32_t *done)
{
	struct pt_lane *lane = gather_lane(gather);

	for (;; PT(forget)(lane), platform_relax(pt->platform)) {
		iog_entry_t *entries, *slot;
		uint32_t level = PT(descend)(pt, lane, iova, leaf_level, &entries), filled, blocked;
		struct iog_table *table;
		uint64_t entry;

		if (iog_unlikely(level > leaf_level)) {
			int outcome;

			if (iog_likely(level == 1 && !leaf_level && !PT(entry_load)(&entries[PT(index_in)(pt, iova, 1)]))) {
				outcome = PT(link_leaf_table)(pt, lane, iova, leaf, n, entries);
			} else {
				const struct PT(run) run = { iova, leaf, leaf_level, n };

				outcome = PT(grow)(pt, gather, &run, entries, level);
			}
			if (outcome == PT(AGAIN))
				continue;
			*done = outcome == PT(DONE) ? n : 0;
			return outcome == PT(DONE) ? 0 : outcome;
		}

		table = PT(descriptor)(pt, leaf_level, entries);
		slot = &entries[PT(index_in)(pt, iova, leaf_level)];
		/* Where lines are cleaned this one may have left the cache, and the swap would keep its return from overlapping with the end of the last clean. */
		__builtin_prefetch((const void *)slot, 1);
		if (iog_unlikely(!PT(get)(pt, table, leaf_level, iova, n)))
			continue;
		if (iog_likely(n == 1)) {
			filled = !atomic_load_explicit(slot, memory_order_relaxed);
			if (iog_likely(filled))
				PT(entry_store)(slot, leaf);
		} else if (PT(in_group)(leaf, leaf_level)) {
			filled = PT(fill_empty_groups)(slot, leaf, leaf_level, n);
		} else {
			filled = PT(fill_empty)(slot, leaf, PT(step)(leaf_level), n);
		}
		if (pt->noncoherent)
			pt_clean(pt, (const void *)slot, filled * sizeof(*slot));
		*done = filled;
		if (iog_likely(filled == n))
			return 0;

		blocked = filled;
		entry = PT(entry_load)(slot + blocked);
		/* Of a group, any entry may be in the way; it may be gone by now. */
		while (PT(in_group)(leaf, leaf_level) && !entry && blocked + 1 < filled + PT(group_of)(leaf, leaf_level))
			entry = PT(entry_load)(slot + ++blocked);
		PT(put)(pt, table, lane, leaf_level, n - filled);
		if (PT(in_group)(leaf, leaf_level) && !entry)
			return 0;
		if (!leaf_level || fmt_is_leaf(entry, leaf_level))
			return -IOG_EEXIST;
		return PT(evict)(pt, gather, iova + ((uint64_t)blocked << PT(shift)(leaf_level)), leaf_level);
	}
}

/* The largest leaf that both addresses allow and @size has room for. */
static inline uint32_t PT(best_level)(const struct iog_pgtable *pt, uint64_t iova, uint64_t paddr, uint64_t size)
{
	if (size < PT(page_size)(1))
		return 0;
	for (uint32_t level = PT(top)(pt); level; level--) {
		uint64_t page = PT(page_size)(level);

		if (page <= size && pt->page_sizes & page && !((iova | paddr) & (page - 1)))
			return level;
	}
	return 0;
}

/* The same with groups: log2 of the leaf's bytes. The granule is always among the sizes. */
static inline uint32_t PT(best_shift)(const struct iog_pgtable *pt, uint64_t iova, uint64_t paddr, uint64_t size)
{
	uint64_t bits = iova | paddr;
	uint64_t aligned = bits ^ (bits - 1); /* up to the lowest bit that is set; all, if none is */
	uint64_t fits = pt->page_sizes & aligned & (UINT64_MAX >> (63 - highest_bit(size)));

	if (FMT_GROWS)
		fits &= PT(last)(pt);
	return highest_bit(fits);
}

/* A leaf of 2^@shift bytes as a kind. */
static inline uint32_t PT(kind)(uint32_t shift)
{
	uint32_t level = (shift - FMT_GRANULE_SHIFT) / FMT_LEVEL_BITS;

	return level | (shift - PT(shift)(level)) << PT_PLACES_SHIFT;
}

/* Bytes from @iova up to where a larger leaf may begin than one of 2^@shift bytes, as far as alignment goes; UINT64_MAX if nowhere. */
static inline uint64_t PT(until_larger)(const struct iog_pgtable *pt, uint64_t iova, uint64_t paddr, uint32_t shift)
{
	uint64_t larger = pt->page_sizes & ~((UINT64_C(2) << shift) - 1);
	uint64_t next = larger & -larger;

	if (!next || (iova ^ paddr) & (next - 1))
		return UINT64_MAX;
	return next - (iova & (next - 1));
}

/* Take back what a failed request has mapped. Entry by entry: hardware never had a right to it, and no table is dropped for it. */
static void PT(clear_range)(struct iog_pgtable *pt, struct iog_gather *gather, uint64_t first, uint64_t last);

/* A request that failed, @done bytes mapped: undo it if it is to be all or nothing. */
IOG_NOINLINE static void PT(map_failed)(struct iog_pgtable *pt, uint64_t iova, uint32_t level, struct iog_gather *gather, uint64_t *done)
{
	if (level == LEVEL_BEST && *done) {
		if (V_LOCKED)
			pt_read_lock(pt);
		PT(clear_range)(pt, gather, iova, iova + *done - 1);
		if (V_LOCKED)
			pt_read_unlock(pt);
		*done = 0;
	}
	/* Tables that a failed call leaves empty go back with the next flush. If it has to be now and fails, they stay in the gather. */
	if (V_COUNTED)
		(void)PT(trim_list)(pt, gather);
}

IOG_NOINLINE static int PT(flush_map)(struct iog_pgtable *pt, uint64_t iova, uint64_t size, struct iog_gather *gather)
{
	iog_gather_add_range(gather, PT(external)(pt, iova), PT(external)(pt, iova + size - 1), PT(page_size)(0));
	gather->walk_caches = true;
	return PT(sync)(pt, gather);
}

/* Any request, run by run. */
IOG_NOINLINE static int PT(map_range)(struct iog_pgtable *pt, uint64_t iova, uint64_t paddr, uint64_t size, uint32_t prot, uint32_t level,
				      struct iog_gather *gather, uint64_t *done)
{
	int error = 0;

	while (*done < size && !error) {
		uint64_t left = size - *done, at = iova + *done;
		uint64_t to = paddr + *done, leaf;
		uint32_t kind = level, leaf_level, places, n, filled = 0;

		if (level == LEVEL_BEST && FMT_GROUPS) {
			uint32_t shift = PT(best_shift)(pt, at, to, left);
			uint64_t until = PT(until_larger)(pt, at, to, shift);

			kind = PT(kind)(shift);
			left = until < left ? until : left;
		} else if (level == LEVEL_BEST) {
			kind = PT(best_level)(pt, at, to, left);
		}
		leaf_level = PT(kind_level)(kind);
		places = PT(kind_places)(kind);
		if (FMT_CARRY_SHIFT < 64 && PT_CARRY_MASK - (to & PT_CARRY_MASK) < left - 1)
			left = PT_CARRY_MASK - (to & PT_CARRY_MASK) + 1;

		n = PT(entries_in)(pt, leaf_level) - PT(index_in)(pt, at, leaf_level);
		if (left >> PT(shift)(leaf_level) < n)
			n = (uint32_t)(left >> PT(shift)(leaf_level));
		n &= ~((1u << places) - 1);
		leaf = PT(leaf)(pt, to, prot, leaf_level);
		if (places)
			leaf = fmt_group(leaf, leaf_level, PT(shift)(leaf_level) + places);
		error = PT(map_run)(pt, gather, at, leaf, leaf_level, n, &filled);
		*done += (uint64_t)filled << PT(shift)(leaf_level);
	}
	return error;
}

/* Flags of the page table, and failure, after the entries. */
IOG_NOINLINE static int PT(map_after)(struct iog_pgtable *pt, uint64_t iova, uint32_t level, struct iog_gather *gather, int error, uint64_t *done)
{
	if (pt->flags & IOG_PGTABLE_FLUSH_ON_MAP && *done && (!error || level != LEVEL_BEST)) {
		int flush_error = PT(flush_map)(pt, iova, *done, gather);

		error = error ? error : flush_error;
	}
	if (error)
		PT(map_failed)(pt, iova, level, gather, done);
	return error;
}

IOG_INLINE int PT(map_inside)(struct iog_pgtable *pt, uint64_t iova, uint64_t paddr, uint64_t size, uint32_t prot, uint32_t level,
			      struct iog_gather *gather, uint64_t *done)
{
	struct pt_lane *lane = gather_lane(gather);
	int error;

	*done = 0;
	lane_enter(pt->mem, lane->mem);
	if (V_LOCKED)
		pt_read_lock(pt);
	if (iog_likely((!level || (level == LEVEL_BEST && size < (FMT_GROUPS ? FMT_GROUP_MIN : PT(page_size)(1)))) &&
		       PT(table_first)(iova, 0) == PT(table_first)(iova + size - 1, 0) &&
		       (FMT_CARRY_SHIFT == 64 || !((paddr ^ (paddr + size - 1)) & ~PT_CARRY_MASK)))) {
		/* The common case: a part of one level-0 table. */
		uint32_t n = (uint32_t)(size >> PT(shift)(0)), filled = 0;

		error = PT(map_run)(pt, gather, iova, PT(leaf)(pt, paddr, prot, 0), 0, n, &filled);
		*done = (uint64_t)filled << PT(shift)(0);
	} else {
		error = PT(map_range)(pt, iova, paddr, size, prot, level, gather, done);
	}
	if (V_LOCKED)
		pt_read_unlock(pt);

	if (iog_unlikely(error || pt->flags & IOG_PGTABLE_FLUSH_ON_MAP))
		error = PT(map_after)(pt, iova, level, gather, error, done);
	lane_exit(lane->mem);
	if (iog_unlikely(pt->platform->dma_wmb))
		iog_pgtable_publish(pt);
	return error;
}

/* SPDX-License-Identifier: MIT */
/*
 * Template: unlinking empty tables, and giving them back after the flush. word.h has the states, tests/model the proof.
 *
 * The parent's entry is found through the descriptor (table->slot), never through the path that was walked: the table may have gone and come back elsewhere.
 */

/*
 * BUSY (held by the caller) to DEAD: the parent's entry becomes a tombstone (or @entry, if that is not 0), and the gather records the new generation. The caller has made sure of room for it.
 *
 * The parent's entry reaches a walker that does not snoop before the word leaves BUSY: who revives the table afterwards must not be overtaken by this store.
 */
static inline void PT(unlink_for)(struct iog_pgtable *pt, struct iog_gather *gather, struct iog_table *table, uint64_t word, uint64_t unclean,
				  uint64_t entry)
{
	iog_entry_t *slot = atomic_load_explicit(&table->slot, memory_order_relaxed);
	uint64_t iova = atomic_load_explicit(&table->iova, memory_order_relaxed);
	struct iog_gather_table *record = &gather->tables[gather->nr_tables++];
	uint64_t dead = word_with(word, WORD_DEAD, 0) + WORD_GENERATION_ONE + WORD_RECORD_ONE;

	IOG_CLAIM(1, fmt_is_table(PT(entry_load)(slot)) && PT(va)(pt, PT(entry_load)(slot)) == table->entries);
	/* Release: the descriptor, to whoever finds the table by its tombstone; pairs with entry_load(). */
	atomic_store_explicit(slot, entry ? entry : PT(tombstone)(pt, table), memory_order_release);
	/* A leaf has taken its place, and the count in the parent with it: the parent's entry is none of the table's business any more. */
	if (entry)
		atomic_store_explicit(&table->slot, NULL, memory_order_relaxed);
	pt_clean(pt, (const void *)slot, sizeof(*slot));

	record->table = table;
	record->generation = word_generation(dead);
	record->span.first = PT(external)(pt, iova);
	record->span.last = PT(external)(pt, PT(table_last)(iova, table->level));
	lane_count(&gather_lane(gather)->unlinked);

	word_leave_busy(table, dead | unclean);
}

static inline void PT(unlink)(struct iog_pgtable *pt, struct iog_gather *gather, struct iog_table *table, uint64_t word, uint64_t unclean)
{
	PT(unlink_for)(pt, gather, table, word, unclean, 0);
}

/* Without counts: no entry in it, and none pinned. Asked only for tables whose whole span is the caller's. */
static inline bool PT(is_blank)(const struct iog_table *table)
{
	if (atomic_load_explicit(&table->pinned, memory_order_relaxed))
		return false;
	for (uint32_t i = 0; i < PT_ENTRIES; i++)
		if (atomic_load_explicit(&table->entries[i], memory_order_relaxed))
			return false;
	return true;
}

/*
 * Unlink a table if it is empty and of this page table, whichever lane lists it; or record it once more if it is unlinked already and waits in another gather.
 * The gather has room. Returns whether it recorded anything.
 */
static inline bool PT(unlink_if_empty)(struct iog_pgtable *pt, struct iog_gather *gather, struct iog_table *table)
{
	uint64_t word = word_load(table);

	if (FMT_GROWS && PT(is_root)(pt, table, table->level))
		return false;
	for (;;) {
		uintptr_t flags;

		if (word_records_full(word) || atomic_load_explicit(&table->owner, memory_order_acquire) != pt)
			return false;
		if (word_state(word) == WORD_DEAD) {
			struct iog_gather_table *record = &gather->tables[gather->nr_tables];
			uint64_t iova = atomic_load_explicit(&table->iova, memory_order_acquire);

			/* Folded: only the gather that did it gives it back. */
			if (!atomic_load_explicit(&table->slot, memory_order_acquire))
				return false;
			if (!PT(word_replace)(pt, table, &word, word + WORD_RECORD_ONE))
				continue;
			record->table = table;
			record->generation = word_generation(word);
			record->span.first = PT(external)(pt, iova);
			record->span.last = PT(external)(pt, PT(table_last)(iova, table->level));
			gather->nr_tables++;
			return true;
		}
		if (word_state(word) == WORD_BUSY) {
			platform_relax(pt->platform);
			word = word_load(table);
			continue;
		}
		if (word_state(word) != WORD_LIVE || word_count(word) || (!V_COUNTED && !PT(is_blank)(table)))
			return false;

		flags = platform_irq_save(pt->platform);
		if (PT(word_replace)(pt, table, &word, word_with(word, WORD_BUSY, 0))) {
			PT(unlink)(pt, gather, table, word, 0);
			platform_irq_restore(pt->platform, flags);
			return true;
		}
		platform_irq_restore(pt->platform, flags);
	}
}

/* The table of @level that an entry stands in. */
static inline iog_entry_t *PT(entries_around)(struct iog_pgtable *pt, iog_entry_t *slot, uint32_t level)
{
	if (FMT_ROOT_BITS && level == pt->top)
		return pt->root;
	return (iog_entry_t *)((uintptr_t)slot & ~(uintptr_t)(PT_ENTRIES * sizeof(*slot) - 1));
}

/*
 * The gather's tables, whose invalidation has completed: those still in the recorded generation go to stock, and their parents' entries become empty.
 * One that was revived meanwhile, and maybe unlinked again, belongs to a later gather; only the record is given up.
 *
 * A parent counts down once for a run of children, and goes to the list when it is empty: a later batch unlinks it. Callers hold no pointer from a walk.
 */
static void PT(release)(struct iog_pgtable *pt, struct iog_gather *gather)
{
	struct pt_lane *lane = gather_lane(gather);
	struct iog_table *parent = NULL;
	uint32_t children = 0;
	uintptr_t lock_flags = V_LOCKED ? pt_write_lock(pt) : 0;

	for (uint32_t i = 0; i < gather->nr_tables; i++) {
		const struct iog_gather_table *record = &gather->tables[i];
		struct iog_table *table = record->table;
		uint64_t word = word_load(table), to;
		struct iog_table *up;
		iog_entry_t *slot;
		uintptr_t flags = platform_irq_save(pt->platform);
		bool latest;

		for (;;) {
			if (word_state(word) == WORD_BUSY) {
				platform_relax(pt->platform);
				word = word_load(table);
				continue;
			}
			latest = word_state(word) == WORD_DEAD && word_generation(word) == record->generation;
			to = (latest ? word_with(word, WORD_BUSY, 0) : word) - WORD_RECORD_ONE;
			if (PT(word_replace)(pt, table, &word, to))
				break;
		}
		if (!latest) {
			platform_irq_restore(pt->platform, flags);
			table_unmarked(lane->mem, table, to);
			continue;
		}

		slot = atomic_load_explicit(&table->slot, memory_order_relaxed);
		if (iog_unlikely(!slot)) {
			lane_count_tables(lane, table->level, -1);
			lane_count(&lane->released);
			table_give(pt->mem, lane->mem, table, to);
			platform_irq_restore(pt->platform, flags);
			continue;
		}
		IOG_CLAIM(1, PT(entry_load)(slot) == PT(tombstone)(pt, table));
		PT(entry_store)(slot, 0);
		pt_clean(pt, (const void *)slot, sizeof(*slot));
		lane_count_tables(lane, table->level, -1);
		lane_count(&lane->released);
		up = PT(descriptor)(pt, table->level + 1, PT(entries_around)(pt, slot, table->level + 1));
		table_give(pt->mem, lane->mem, table, to);
		platform_irq_restore(pt->platform, flags);

		if (up != parent) {
			if (parent)
				PT(put)(pt, parent, lane, parent->level, children);
			parent = up;
			children = 0;
		}
		children++;
	}
	if (parent)
		PT(put)(pt, parent, lane, parent->level, children);

	if (V_LOCKED)
		pt_write_unlock(pt, lock_flags);
	iog_stock_settle(pt->mem, lane->mem);
}

/* Flush the gather inside a call, with no lock held. On success pointers from a walk are void. */
static int PT(sync)(struct iog_pgtable *pt, struct iog_gather *gather)
{
	int error = iog_gather_invalidate(gather);

	if (error)
		return error;
	PT(release)(pt, gather);
	iog_gather_reset(gather);
	return 0;
}

/*
 * Unlink all tables on the lane's list that are still empty; those in use again only leave the list.
 */
static int PT(trim_list)(struct iog_pgtable *pt, struct iog_gather *gather)
{
	struct pt_lane *lane = gather_lane(gather);

	while (lane->nr_empty) {
		uintptr_t lock_flags = V_LOCKED ? pt_write_lock(pt) : 0;
		int error;

		while (lane->nr_empty && gather->nr_tables < IOG_GATHER_TABLES) {
			struct iog_table *table = lane->empty[--lane->nr_empty];
			uint64_t word = word_load(table), to;
			uintptr_t flags = platform_irq_save(pt->platform);
			bool empty;

			for (;;) {
				if (word_state(word) == WORD_BUSY) {
					platform_relax(pt->platform);
					word = word_load(table);
					continue;
				}
				empty = word_state(word) == WORD_LIVE && !word_count(word) && !word_records_full(word);
				to = (empty ? word_with(word, WORD_BUSY, 0) : word) & ~WORD_LISTED;
				if (PT(word_replace)(pt, table, &word, to))
					break;
			}
			if (empty)
				PT(unlink)(pt, gather, table, to, 0);
			platform_irq_restore(pt->platform, flags);
			table_unmarked(lane->mem, table, to);
		}

		if (V_LOCKED)
			pt_write_unlock(pt, lock_flags);
		if (lane->nr_empty) {
			error = PT(sync)(pt, gather);
			if (error)
				return error;
		}
	}
	return 0;
}

/*
 * Unlink the empty tables below level @below that serve [first, last], from @entries of @level at address @base on; stops when the gather is full.
 * Nothing is held here either: a table that moves away meanwhile leads to tables that are none the worse for being looked at. Recursion ends with the levels.
 */
static bool PT(unlink_under)(struct iog_pgtable *pt, struct iog_gather *gather, iog_entry_t *entries, uint32_t level, uint64_t base, uint64_t first,
			     uint64_t last, uint32_t below)
{
	uint64_t start = first > base ? first : base;
	uint64_t end = PT(last_in)(pt, base, level) < last ? PT(last_in)(pt, base, level) : last;
	uint32_t last_index = PT(index_in)(pt, end, level);
	bool any = false;

	if (FMT_LEVELS_MIN == 1 && !level)
		return false;
	for (uint32_t i = PT(index_in)(pt, start, level); i <= last_index; i++) {
		uint64_t entry = PT(entry_load)(&entries[i]);
		iog_entry_t *child;

		if (!fmt_is_table(entry) && !PT(is_tombstone)(entry))
			continue;
		child = PT(va)(pt, entry);
		if (level > 1 && fmt_is_table(entry))
			any |= PT(unlink_under)(pt, gather, child, level - 1, base + ((uint64_t)i << PT(shift)(level)), first, last, below);
		if (gather->nr_tables == IOG_GATHER_TABLES)
			return any;
		if (level <= below)
			any |= PT(unlink_if_empty)(pt, gather, PT(descriptor)(pt, level - 1, child));
	}
	return any;
}

static bool PT(unlink_from_root)(struct iog_pgtable *pt, struct iog_gather *gather, uint64_t first, uint64_t last, uint32_t below)
{
	uint32_t top = pt->top;
	iog_entry_t *root = FMT_GROWS ? pt_root(pt, &top) : pt->root;

	return PT(unlink_under)(pt, gather, root, top, 0, first, last, below);
}

/* Give back every empty table below level @below that serves [first, last], level by level, with a flush for each. No lock held. */
static int PT(prune)(struct iog_pgtable *pt, struct iog_gather *gather, uint64_t first, uint64_t last, uint32_t below)
{
	for (;;) {
		uintptr_t lock_flags;
		bool any;
		int error;

		if (gather->nr_tables == IOG_GATHER_TABLES) {
			error = PT(sync)(pt, gather);
			if (error)
				return error;
		}
		lock_flags = V_LOCKED ? pt_write_lock(pt) : 0;
		any = PT(unlink_from_root)(pt, gather, first, last, below);
		if (V_LOCKED)
			pt_write_unlock(pt, lock_flags);
		if (!any)
			return 0;
		error = PT(sync)(pt, gather);
		if (error)
			return error;
	}
}

static int PT(trim)(struct iog_pgtable *pt, struct iog_gather *gather, uint64_t *tables)
{
	_Atomic uint64_t *released = &gather_lane(gather)->released;
	uint64_t before = atomic_load_explicit(released, memory_order_relaxed);
	int error = 0;

	/* Again for as long as parents that were emptied on the way stand on the list, so that none is left LISTED. */
	do {
		if (!V_COUNTED)
			break;
		error = PT(trim_list)(pt, gather);
		if (!error && !iog_gather_is_empty(gather))
			error = PT(sync)(pt, gather);
		if (!error)
			error = PT(prune)(pt, gather, 0, PT(last)(pt), PT(top)(pt));
	} while (!error && pt->lanes[gather->lane].nr_empty);
	*tables = atomic_load_explicit(released, memory_order_relaxed) - before;
	return error;
}

/*
 * Free all tables below @entries. They are given back without pointers in them, as a lane of another page table may still look, and without marks, as gathers are void.
 */
static void PT(free_under)(struct iog_pgtable *pt, iog_lane_t lane, iog_entry_t *entries, uint32_t level)
{
	for (uint32_t i = 0; level && i < PT(entries_in)(pt, level); i++) {
		uint64_t entry = PT(entry_load)(&entries[i]);
		struct iog_table *table;
		uint64_t word, to;

		if (!fmt_is_table(entry) && !PT(is_tombstone)(entry))
			continue;
		table = PT(descriptor)(pt, level - 1, PT(va)(pt, entry));
		if (level > 1)
			PT(free_under)(pt, lane, table->entries, level - 1);
		/* Former roots go with the page table. */
		if (FMT_GROWS && PT(is_root)(pt, table, level - 1))
			continue;
		word = word_load(table);
		do
			to = (word_with(word, WORD_BUSY, 0) & ~WORD_MARKS) + WORD_GENERATION_ONE;
		while (!word_swap(table, &word, to));
		atomic_store_explicit(&table->pinned, 0, memory_order_relaxed);
		if (level > 1)
			iog_table_clear(pt->mem, table->entries);
		else if (!V_COUNTED || word_count(word))
			to |= WORD_UNCLEAN;
		table_give(pt->mem, &pt->mem->lane[lane], table, to);
	}
	iog_stock_settle(pt->mem, &pt->mem->lane[lane]);
}

/* Which of the entries are pinned is not known here: at most all of those that are there, at least none. */
static inline bool PT(counts)(struct iog_table *table, uint64_t word, uint32_t live)
{
	uint32_t pinned = atomic_load_explicit(&table->pinned, memory_order_relaxed), count = word_count(word);

	return pinned ? count >= pinned && count >= live && count - pinned <= live : count == live;
}

/*
 * Every table that @entries lead to is what its parent takes it for, and counts what is in it. Nobody else is inside.
 *
 *   count = entries that are not empty      DEAD: reached through a tombstone, count 0
 */
static bool PT(is_valid_under)(struct iog_pgtable *pt, iog_entry_t *entries, uint32_t level, uint64_t base)
{
	for (uint32_t i = 0; i < PT(entries_in)(pt, level); i++) {
		uint64_t entry = PT(entry_load)(&entries[i]), iova = base + ((uint64_t)i << PT(shift)(level)), word;
		bool dead = PT(is_tombstone)(entry);
		struct iog_table *table;
		uint32_t live = 0;

		if (!level || (!fmt_is_table(entry) && !dead))
			continue;
		table = PT(descriptor)(pt, level - 1, PT(va)(pt, entry));
		word = word_load(table);
		for (uint32_t k = 0; k < PT_ENTRIES; k++)
			live += PT(entry_load)(&table->entries[k]) != 0;
		if (word_state(word) != (dead ? WORD_DEAD : WORD_LIVE) || !PT(identity)(pt, table, level - 1, iova) ||
		    atomic_load_explicit(&table->slot, memory_order_relaxed) != &entries[i] || table->level != level - 1)
			return false;
		if (FMT_GROWS && PT(is_root)(pt, table, level - 1))
			live++;
		if (V_COUNTED && (dead ? word_count(word) || (live && !(word & WORD_UNCLEAN)) : !PT(counts)(table, word, live)))
			return false;
		if (!dead && !PT(is_valid_under)(pt, table->entries, level - 1, iova))
			return false;
	}
	return true;
}

static bool PT(is_valid)(struct iog_pgtable *pt)
{
	uint32_t top = pt->top;
	iog_entry_t *root = FMT_GROWS ? pt_root(pt, &top) : pt->root;

	return PT(is_valid_under)(pt, root, top, 0);
}

static void PT(destroy)(struct iog_pgtable *pt, iog_lane_t lane)
{
	uint32_t top = pt->top;
	iog_entry_t *root = FMT_GROWS ? pt_root(pt, &top) : pt->root;

	IOG_CLAIM(2, PT(is_valid)(pt));
	for (uint32_t l = 0; l < pt->mem->lanes; l++) {
		struct pt_lane *list = &pt->lanes[l];

		while (list->nr_empty)
			iog_table_unlist(pt->mem, &pt->mem->lane[lane], list->empty[--list->nr_empty]);
	}
	PT(free_under)(pt, lane, root, top);
}

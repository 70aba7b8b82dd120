/* SPDX-License-Identifier: MIT */
/*
 * Template: unmap, and the splitting of large leaves.
 *
 * The range is taken table by table. Of a table that lies in it whole, the count says what it holds: it is unlinked as it is and not read. Of others, the entries are cleared.
 */

/* Eight entries of a validated level-0 table, if all are live. */
static inline bool PT(clear8)(iog_entry_t *slot)
{
	bool all = atomic_load_explicit(slot + 0, memory_order_relaxed) && atomic_load_explicit(slot + 1, memory_order_relaxed) &&
		   atomic_load_explicit(slot + 2, memory_order_relaxed) && atomic_load_explicit(slot + 3, memory_order_relaxed) &&
		   atomic_load_explicit(slot + 4, memory_order_relaxed) && atomic_load_explicit(slot + 5, memory_order_relaxed) &&
		   atomic_load_explicit(slot + 6, memory_order_relaxed) && atomic_load_explicit(slot + 7, memory_order_relaxed);

	if (all)
		PT(store8)(slot, 0, 0);
	return all;
}

/* The member of a group at @inside, where a range begins or ends, has others beyond that edge. */
IOG_INLINE bool PT(cuts_group)(uint64_t entry, uint32_t level, uint64_t inside, bool is_first)
{
	uint64_t mask;

	if (!PT(in_group)(entry, level))
		return false;
	mask = PT(leaf_size)(entry, level) - 1;
	return ((is_first ? inside : ~inside) & mask & ~(PT(page_size)(level) - 1)) != 0;
}

/*
 * Clear the leaf entries of one table from @iova to @last or the table's end; above level 0, up to an entry that leads to a table.
 * Returns the number of entries passed, 0 to walk again, or if an edge cuts a group; @cleared of them were live.
 *
 * Nothing is believed, and nothing cleared, before the table is known to be the right one. A live entry in the right table is this call's own and keeps the table, so
 * that one look after the first suffices.
 */
IOG_INLINE uint32_t PT(clear_run)(struct iog_pgtable *pt, struct iog_gather *gather, iog_entry_t *entries, uint32_t level, uint64_t iova, uint64_t last,
			      uint32_t *cleared)
{
	struct iog_table *table = PT(descriptor)(pt, level, entries);
	iog_entry_t *slot = &entries[PT(index_in)(pt, iova, level)];
	uint64_t end = PT(last_in)(pt, iova, level) < last ? PT(last_in)(pt, iova, level) : last;
	uint32_t n = PT(index_in)(pt, end, level) - PT(index_in)(pt, iova, level) + 1, i, first = n, past = 0, live = 0;
	bool valid = !V_VALIDATED;
	uint64_t word = 0;

	if (iog_unlikely(!PT(begin_look)(pt, table, level, iova, &word)))
		return 0;
	if (FMT_GROUPS && iog_unlikely(PT(cuts_group)(PT(entry_load)(slot), level, iova, true) || PT(cuts_group)(PT(entry_load)(slot + n - 1), level, end, false)))
		return 0;

	if (iog_likely(n == 1 && !level)) {
		/* One page, which is there: the loop below, straightened. */
		if (iog_likely(fmt_present(PT(entry_load)(slot)) && PT(still_valid)(table, word))) {
			PT(entry_store)(slot, 0);
			gather_add_leaf(gather, PT(external)(pt, iova), PT(page_size)(0));
			PT(put)(pt, table, gather_lane(gather), 0, 1);
			/* Last, because a swap would wait for it. Before the flush is soon enough, and who links this table anew cleans all of it. */
			pt_clean(pt, (const void *)slot, sizeof(*slot));
			*cleared = 1;
			return 1;
		}
	}
	for (i = 0; i < n; i++) {
		uint64_t entry = PT(entry_load)(slot + i);

		if (level && fmt_is_table(entry))
			break;
		if (!fmt_present(entry))
			continue;
		if (!valid && !PT(still_valid)(table, word))
			return 0;
		valid = true;
		if (first == n)
			first = i;
		PT(entry_store)(slot + i, 0);
		past = i + 1;
		live++;
		while (!level && past + 8 <= n && PT(clear8)(slot + past)) {
			past += 8;
			live += 8;
		}
		i = past - 1;
	}
	if (!valid && !PT(still_valid)(table, word))
		return 0;

	if (live) {
		uint64_t page = PT(page_size)(level);
		uint64_t base = iova & ~(page - 1);

		pt_clean(pt, (const void *)(slot + first), (past - first) * sizeof(*slot));
		iog_gather_add_range(gather, PT(external)(pt, base + first * page), PT(external)(pt, base + past * page - 1), page);
		PT(put)(pt, table, gather_lane(gather), level, live);
	}
	*cleared = live;
	return i;
}

/* One that is pinned stays, whatever is in it. Only the caller can have pins in the range, so that the look holds. */
static inline bool PT(may_drop)(struct iog_table *table)
{
	return !word_records_full(word_load(table)) && !atomic_load_explicit(&table->pinned, memory_order_relaxed);
}

/*
 * Unlink a level-0 table of which every address is in the range, with what is in it. No other call touches its addresses meanwhile, so that the
 * count is exact and stands still; what may happen is that another lane unlinks it, if it is empty. Returns false to walk again.
 */
IOG_NOINLINE static bool PT(drop)(struct iog_pgtable *pt, struct iog_gather *gather, iog_entry_t *entries, uint64_t iova, uint32_t *cleared)
{
	struct iog_table *table = PT(descriptor)(pt, 0, entries);
	uint64_t word = word_load(table);
	uintptr_t flags;
	bool taken;

	if (word_state(word) != WORD_LIVE || !PT(identity)(pt, table, 0, iova))
		return false;

	flags = platform_irq_save(pt->platform);
	taken = PT(word_replace)(pt, table, &word, word_with(word, WORD_BUSY, 0));
	if (taken)
		PT(unlink)(pt, gather, table, word, word_count(word) ? WORD_UNCLEAN : 0);
	platform_irq_restore(pt->platform, flags);
	if (!taken)
		return false;

	*cleared = word_count(word);
	if (*cleared)
		iog_gather_add_range(gather, PT(external)(pt, iova), PT(external)(pt, PT(table_last)(iova, 0)), PT(page_size)(0));
	return true;
}

/* Replace a leaf at @end by a table of the next smaller leaves. One swap: hardware sees the same translations before and after. */
IOG_NOINLINE static int PT(split_leaf)(struct iog_pgtable *pt, struct pt_lane *lane, uint64_t iova, const struct PT(end) *end)
{
	uint32_t below = end->level - 1;
	uint64_t expected = end->entry;
	struct iog_table *table;
	uintptr_t flags;
	bool linked;

	if (!(pt->page_sizes & PT(page_size)(below)))
		return -IOG_EINVAL;
	table = table_take(pt->mem, lane->mem, below, TABLE_TO_BE_FILLED);
	if (!table)
		return -IOG_ENOMEM;
	PT(set_identity)(pt, table, PT(table_first)(iova, below), end->slot);
	PT(fill)(table->entries, fmt_leaf_below(end->entry, end->level), PT(step)(below), PT_ENTRIES);
	pt_clean(pt, (const void *)table->entries, PT_ENTRIES * sizeof(*end->slot));

	flags = platform_irq_save(pt->platform);
	if (V_LOCKED)
		word_leave_busy(table, word_with(word_load(table), WORD_LIVE, PT_ENTRIES));
	/* Release: the table's contents; pairs with entry_load(). The leaf's count becomes the table's. */
	linked = atomic_compare_exchange_strong_explicit(end->slot, &expected, fmt_table(PT(pa)(pt, table), end->level), memory_order_release,
							 memory_order_relaxed);
	if (linked)
		pt_clean(pt, (const void *)end->slot, sizeof(*end->slot));
	if (linked && !V_LOCKED)
		word_leave_busy(table, word_with(word_load(table), WORD_LIVE, V_COUNTED ? PT_ENTRIES : 0));
	platform_irq_restore(pt->platform, flags);

	if (linked) {
		lane_count_tables(lane, below, 1);
		return 0;
	}
	/* Above level 0 no pointers may stay in a free table. */
	if (below)
		iog_table_clear(pt->mem, table->entries);
	PT(give_back)(pt, lane, table, below ? 0 : WORD_UNCLEAN);
	return 0;
}

/*
 * The members of a group, which this call owns, become plain leaves. One by one: whichever of them hardware reads, it finds the same translation.
 */
IOG_NOINLINE static int PT(split_group)(struct iog_pgtable *pt, uint64_t iova, const struct PT(end) *end)
{
	uint32_t places = PT(group_of)(end->entry, end->level);
	iog_entry_t *first = end->slot - (PT(index_in)(pt, iova, end->level) & (places - 1));
	bool dirty = false;

	if (!(pt->page_sizes & PT(page_size)(end->level)))
		return -IOG_EINVAL;
	for (uint32_t i = 0; i < places; i++)
		dirty |= fmt_is_dirty(PT(entry_load)(first + i));
	for (uint32_t i = 0; i < places; i++) {
		uint64_t entry = PT(entry_load)(first + i), to;

		/* Hardware may mark it accessed or dirty meanwhile. */
		do
			to = fmt_ungroup(dirty ? fmt_soil(entry) : entry, end->level, i);
		while (!atomic_compare_exchange_weak_explicit(first + i, &entry, to, memory_order_relaxed, memory_order_relaxed));
		/* A dirty member speaks for all: those before it were thought clean. */
		if (!dirty && pt->tracking && fmt_is_dirty(entry)) {
			dirty = true;
			for (uint32_t k = 0; k < i; k++) {
				uint64_t plain = PT(entry_load)(first + k);

				while (!atomic_compare_exchange_weak_explicit(first + k, &plain, fmt_soil(plain), memory_order_relaxed, memory_order_relaxed))
					;
			}
		}
	}
	pt_clean(pt, (const void *)first, places * sizeof(*first));
	return 0;
}

/* See to it that no leaf reaches from one side of the range's edge to the other: the leaf at @inside, of the range, ends there or begins there. */
IOG_NOINLINE static int PT(cut)(struct iog_pgtable *pt, struct pt_lane *lane, uint64_t inside, bool is_first)
{
	for (;;) {
		struct PT(end) end;
		uint64_t mask;
		int error;

		PT(find)(pt, lane, inside, &end);
		if (!fmt_is_leaf(end.entry, end.level))
			return 0;
		mask = PT(leaf_size)(end.entry, end.level) - 1;
		if ((inside & mask) == (is_first ? 0 : mask))
			return 0;
		if (!(pt->flags & IOG_PGTABLE_SPLIT) || (FMT_BREAKS && !pt_may_resize(pt, 0)))
			return -IOG_EINVAL;
		if (PT(in_group)(end.entry, end.level))
			error = PT(split_group)(pt, inside, &end);
		else
			error = PT(split_leaf)(pt, lane, inside, &end);
		if (error)
			return error;
	}
}

/* Last address of the @passed entries from the one for @iova on, which may begin before it. */
static inline uint64_t PT(run_last)(uint64_t iova, uint32_t level, uint32_t passed)
{
	return (iova & ~(PT(page_size)(level) - 1)) + ((uint64_t)passed << PT(shift)(level)) - 1;
}

static void PT(clear_range)(struct iog_pgtable *pt, struct iog_gather *gather, uint64_t first, uint64_t last)
{
	struct pt_lane *lane = gather_lane(gather);

	for (uint64_t iova = first;;) {
		iog_entry_t *entries;
		uint32_t level = PT(descend)(pt, lane, iova, 0, &entries), cleared;
		uint32_t passed = PT(clear_run)(pt, gather, entries, level, iova, last, &cleared);
		uint64_t end = PT(run_last)(iova, level, passed);

		if (!passed) {
			PT(forget)(lane);
			platform_relax(pt->platform);
		} else if (end >= last)
			return;
		else
			iova = end + 1;
	}
}

IOG_NOINLINE static int PT(unmap_range)(struct iog_pgtable *pt, uint64_t first, uint64_t last, struct iog_gather *gather, uint64_t *unmapped)
{
	struct pt_lane *lane = gather_lane(gather);
	bool checked = false;

	for (uint64_t iova = first;;) {
		iog_entry_t *entries;
		uint32_t level = PT(descend)(pt, lane, iova, 0, &entries), passed = 0, cleared = 0;
		uint64_t end;
		int error;

		/* A range within one level-0 table has no large leaf at its edges, but for a group. */
		if (!checked && (FMT_GROUPS || level || PT(table_last)(iova, 0) < last)) {
			error = PT(cut)(pt, lane, first, true);
			if (!error)
				error = PT(cut)(pt, lane, last, false);
			if (error)
				return error;
			checked = true;
			continue;
		}

		if (V_COUNTED && !level && iova == PT(table_first)(iova, 0) && PT(table_last)(iova, 0) <= last &&
		    !(FMT_LEVELS_MIN == 1 && PT(is_root)(pt, PT(descriptor)(pt, 0, entries), 0)) && PT(may_drop)(PT(descriptor)(pt, 0, entries))) {
			if (gather->nr_tables == IOG_GATHER_TABLES) {
				if (V_LOCKED)
					pt_read_unlock(pt);
				error = PT(sync)(pt, gather);
				if (V_LOCKED)
					pt_read_lock(pt);
				if (error)
					return error;
				continue;
			}
			if (PT(drop)(pt, gather, entries, iova, &cleared))
				passed = PT_ENTRIES;
		} else {
			passed = PT(clear_run)(pt, gather, entries, level, iova, last, &cleared);
		}
		if (!passed) {
			PT(forget)(lane);
			platform_relax(pt->platform);
			continue;
		}
		*unmapped += (uint64_t)cleared << PT(shift)(level);
		end = PT(run_last)(iova, level, passed);
		if (end >= last)
			return 0;
		iova = end + 1;
	}
}

IOG_INLINE int PT(unmap_inside)(struct iog_pgtable *pt, uint64_t first, uint64_t last, struct iog_gather *gather, uint64_t *done)
{
	struct pt_lane *lane = gather_lane(gather);
	uint32_t passed = 0, cleared = 0;
	iog_entry_t *entries;
	int error = 0;

	lane_enter(pt->mem, lane->mem);
	if (V_LOCKED)
		pt_read_lock(pt);
	/* The common case: a part of one level-0 table. */
	if (iog_likely(last - first < PT(page_size)(1) - 1 && PT(table_first)(first, 0) == PT(table_first)(last, 0) &&
		       !PT(descend)(pt, lane, first, 0, &entries)))
		passed = PT(clear_run)(pt, gather, entries, 0, first, last, &cleared);
	*done = (uint64_t)cleared << PT(shift)(0);
	if (iog_unlikely(!passed))
		error = PT(unmap_range)(pt, first, last, gather, done);
	if (V_LOCKED)
		pt_read_unlock(pt);

	if (V_COUNTED && iog_unlikely(lane->nr_empty >= pt->trim_batch)) {
		int trim_error = PT(trim_list)(pt, gather);

		error = error ? error : trim_error;
	}
	lane_exit(lane->mem);
	return error;
}

/* SPDX-License-Identifier: MIT */
/*
 * Template: leaves changed where they are: permissions, dirty bits, their size.
 *
 * The range is the caller's own, so that a live entry in a validated table stays what it is but for what hardware does to it: accessed and dirty bits. Whoever replaces an entry
 * therefore swaps it.
 */

enum PT(what) {
	PT(CHANGE_CHECK),      /* nothing: is there a group that may not be changed in place? */
	PT(CHANGE_PROT),       /* permissions */
	PT(CHANGE_UNMAP),      /* as an unmap does; what was dirty is reported */
	PT(CHANGE_READ),       /* read dirty bits */
	PT(CHANGE_READ_CLEAR), /* and clear them */
	PT(CHANGE_CLEAN),      /* dirty bits from now on tell */
	PT(CHANGE_SOIL),       /* hardware need not write to entries any more */
};

struct PT(change) {
	enum PT(what) what;
	uint32_t prot;
	uint64_t bytes;   /* that were concerned */
	bool found_group; /* CHANGE_CHECK */

	/* Of dirty bits: bit n stands for the page of 2^@shift bytes at @first + n pages; pages beyond @last have none. */
	uint64_t *bitmap;
	uint64_t first;
	uint64_t last;
	uint32_t shift;
};

/* Replace an entry by what @change makes of it; returns what it was at that moment. */
static uint64_t PT(swap_entry)(const struct iog_pgtable *pt, iog_entry_t *slot, uint32_t level, const struct PT(change) *change)
{
	uint64_t entry = PT(entry_load)(slot), to;

	do {
		switch (change->what) {
		case PT(CHANGE_PROT):
			to = (entry & ~FMT_RWX) | (fmt_leaf_bits(change->prot, level) & FMT_RWX);
			if (pt->tracking && !fmt_is_dirty(entry))
				to = fmt_clean(to);
			break;
		case PT(CHANGE_UNMAP):
			to = 0;
			break;
		case PT(CHANGE_SOIL):
			to = fmt_soil(entry);
			break;
		default:
			to = fmt_clean(entry);
			break;
		}
	} while (to != entry && !atomic_compare_exchange_weak_explicit(slot, &entry, to, memory_order_relaxed, memory_order_relaxed));
	return entry;
}

/* Set the bits of [first, last]. */
static void PT(mark_dirty)(const struct PT(change) *change, uint64_t first, uint64_t last)
{
	uint64_t page, end;

	first = first < change->first ? change->first : first;
	last = last > change->last ? change->last : last;
	end = (last - change->first) >> change->shift;
	for (page = (first - change->first) >> change->shift; page <= end; page++)
		change->bitmap[page / 64] |= UINT64_C(1) << page % 64;
}

/*
 * Change the leaves of one table from @iova to @last or the table's end, up to an entry that leads to a table. Returns the number of entries passed, 0 to walk again.
 */
static uint32_t PT(change_run)(struct iog_pgtable *pt, struct iog_gather *gather, iog_entry_t *entries, uint32_t level, uint64_t iova, uint64_t last,
			       struct PT(change) *change)
{
	struct iog_table *table = PT(descriptor)(pt, level, entries);
	uint64_t page = PT(page_size)(level), word = 0;
	uint64_t end = PT(last_in)(pt, iova, level) < last ? PT(last_in)(pt, iova, level) : last;
	uint32_t from = PT(index_in)(pt, iova, level), n = PT(index_in)(pt, end, level) - from + 1, i, places, cleared = 0;
	bool valid = !V_VALIDATED, reads = change->what == PT(CHANGE_READ) || change->what == PT(CHANGE_READ_CLEAR);

	if (!PT(begin_look)(pt, table, level, iova, &word))
		return 0;
	for (i = 0; i < n; i += places) {
		uint64_t entry = PT(entry_load)(&entries[from + i]), base;
		uint32_t first;
		bool dirty = false;

		places = 1;
		if (level && fmt_is_table(entry))
			break;
		if (!fmt_present(entry))
			continue;
		if (!valid && !PT(still_valid)(table, word))
			return 0;
		valid = true;

		/* All of a group, of which the range may begin somewhere inside, if only dirty bits are read. */
		places = PT(group_of)(entry, level);
		first = (from + i) & ~(places - 1);
		base = (iova & ~(page - 1)) + ((uint64_t)first - from) * page;
		for (uint32_t k = first; k < first + places; k++) {
			uint64_t before = PT(entry_load)(&entries[k]);

			if (change->what != PT(CHANGE_CHECK) && change->what != PT(CHANGE_READ))
				before = PT(swap_entry)(pt, &entries[k], level, change);
			dirty |= fmt_is_dirty(before);
		}
		change->found_group |= places > 1;
		change->bytes += places * page;
		if (reads && dirty)
			PT(mark_dirty)(change, base, base + places * page - 1);
		if (change->what == PT(CHANGE_UNMAP))
			cleared += places;
		if (change->what == PT(CHANGE_UNMAP) || (change->what == PT(CHANGE_PROT) && !(change->prot & IOG_PROT_WRITE)))
			gather->dirty |= dirty && pt->tracking;
		if (change->what != PT(CHANGE_CHECK) && change->what != PT(CHANGE_READ) && (change->what != PT(CHANGE_READ_CLEAR) || dirty)) {
			pt_clean(pt, (const void *)&entries[first], places * sizeof(*entries));
			iog_gather_add_range(gather, PT(external)(pt, base), PT(external)(pt, base + places * page - 1), page);
		}
		places = first + places - (from + i);
	}
	if (!valid && !PT(still_valid)(table, word))
		return 0;
	if (cleared)
		PT(put)(pt, table, gather_lane(gather), level, cleared);
	return i;
}

static void PT(change_range)(struct iog_pgtable *pt, struct iog_gather *gather, uint64_t first, uint64_t last, struct PT(change) *change)
{
	struct pt_lane *lane = gather_lane(gather);

	for (uint64_t iova = first;;) {
		iog_entry_t *entries;
		uint32_t level = PT(descend)(pt, lane, iova, 0, &entries);
		uint32_t passed = PT(change_run)(pt, gather, entries, level, iova, last, change);
		uint64_t end = PT(run_last)(iova, level, passed);

		if (!passed) {
			PT(forget)(lane);
			platform_relax(pt->platform);
		} else if (end >= last || end == UINT64_MAX) {
			return;
		} else {
			iova = end + 1;
		}
	}
}

/* A leaf reaches across an edge of the range. */
static bool PT(edge_cuts)(struct iog_pgtable *pt, struct pt_lane *lane, uint64_t inside, bool is_first)
{
	struct PT(end) end;
	uint64_t mask;

	PT(find)(pt, lane, inside, &end);
	if (!fmt_is_leaf(end.entry, end.level))
		return false;
	mask = PT(leaf_size)(end.entry, end.level) - 1;
	return (inside & mask) != (is_first ? 0 : mask);
}

/* The lane enters, and what holds tables still where nothing validates. */
static struct pt_lane *PT(change_enter)(struct iog_pgtable *pt, const struct iog_gather *gather)
{
	struct pt_lane *lane = gather_lane(gather);

	lane_enter(pt->mem, lane->mem);
	if (V_LOCKED)
		pt_read_lock(pt);
	return lane;
}

static void PT(change_exit)(struct iog_pgtable *pt, struct pt_lane *lane)
{
	if (V_LOCKED)
		pt_read_unlock(pt);
	lane_exit(lane->mem);
	iog_pgtable_publish(pt);
}

/* Instead of the plain unmap while dirty bits matter. */
static int PT(unmap_tracked)(struct iog_pgtable *pt, uint64_t first, uint64_t last, struct iog_gather *gather, uint64_t *done)
{
	struct pt_lane *lane = PT(change_enter)(pt, gather);
	struct PT(change) change = { .what = PT(CHANGE_UNMAP) };
	int error = PT(cut)(pt, lane, first, true);

	if (!error)
		error = PT(cut)(pt, lane, last, false);
	if (!error)
		PT(change_range)(pt, gather, first, last, &change);
	*done = change.bytes;
	if (V_LOCKED)
		pt_read_unlock(pt);
	if (V_COUNTED && lane->nr_empty >= pt->trim_batch) {
		int trim_error = PT(trim_list)(pt, gather);

		error = error ? error : trim_error;
	}
	lane_exit(lane->mem);
	return error;
}

static int PT(protect)(struct iog_pgtable *pt, uint64_t first, uint64_t last, uint32_t prot, uint32_t flags, struct iog_gather *gather, uint64_t *done)
{
	struct pt_lane *lane = PT(change_enter)(pt, gather);
	struct PT(change) check = { .what = PT(CHANGE_CHECK) }, change = { .what = PT(CHANGE_PROT), .prot = prot };
	int error = 0;

	/* Members of a group that differ for a moment are what break-before-make forbids. */
	if (FMT_GROUPS && FMT_BREAKS && !pt_may_resize(pt, flags)) {
		PT(change_range)(pt, gather, first, last, &check);
		error = check.found_group ? -IOG_EINVAL : 0;
	}
	if (!error)
		error = PT(cut)(pt, lane, first, true);
	if (!error)
		error = PT(cut)(pt, lane, last, false);
	if (!error)
		PT(change_range)(pt, gather, first, last, &change);
	*done = change.bytes;
	PT(change_exit)(pt, lane);
	return error;
}

static int PT(read_dirty)(struct iog_pgtable *pt, uint64_t first, uint64_t last, uint32_t shift, uint64_t *bitmap, uint32_t flags, struct iog_gather *gather)
{
	struct pt_lane *lane = PT(change_enter)(pt, gather);
	struct PT(change) change = {
		.what = flags & IOG_DIRTY_NO_CLEAR ? PT(CHANGE_READ) : PT(CHANGE_READ_CLEAR),
		.bitmap = bitmap,
		.first = first,
		.last = last,
		.shift = shift,
	};
	int error = 0;

	/* The rest of a leaf that is cleared would be forgotten. */
	if (change.what == PT(CHANGE_READ_CLEAR) && (PT(edge_cuts)(pt, lane, first, true) || PT(edge_cuts)(pt, lane, last, false)))
		error = -IOG_EINVAL;
	else
		PT(change_range)(pt, gather, first, last, &change);
	PT(change_exit)(pt, lane);
	return error;
}

static const struct iog_pgtable_ops PT(tracked_ops);

/* No other call that changes the page table runs. */
static void PT(track_dirty)(struct iog_pgtable *pt, bool on, struct iog_gather *gather)
{
	struct PT(change) change = { .what = on ? PT(CHANGE_CLEAN) : PT(CHANGE_SOIL) };
	struct pt_lane *lane = PT(change_enter)(pt, gather);

	pt->tracking = on;
	pt->ops = on ? &PT(tracked_ops) : &PT_OPS;
	if (on || FMT_DIRTY_PRESET)
		PT(change_range)(pt, gather, 0, PT(last)(pt), &change);
	PT(change_exit)(pt, lane);
}

/* Leaves that touch the range become such of at most @page_size. */
static int PT(split)(struct iog_pgtable *pt, uint64_t first, uint64_t last, uint64_t page_size, uint32_t flags, struct iog_gather *gather)
{
	struct pt_lane *lane = PT(change_enter)(pt, gather);
	int error = 0;

	for (uint64_t iova = first; !error;) {
		struct PT(end) end;
		uint64_t size, base;

		PT(find)(pt, lane, iova, &end);
		size = fmt_is_leaf(end.entry, end.level) ? PT(leaf_size)(end.entry, end.level) : PT(page_size)(end.level);
		base = iova & ~(size - 1);
		if (!fmt_is_leaf(end.entry, end.level) || size <= page_size) {
			if (base + (size - 1) >= last)
				break;
			iova = base + size;
		} else if (FMT_BREAKS && !pt_may_resize(pt, flags)) {
			error = -IOG_EINVAL;
		} else {
			error = PT(in_group)(end.entry, end.level) ? PT(split_group)(pt, iova, &end) : PT(split_leaf)(pt, lane, iova, &end);
			if (!error)
				iog_gather_add_range(gather, PT(external)(pt, base), PT(external)(pt, base + (size - 1)), PT(page_size)(0));
			gather->walk_caches = true;
		}
	}
	PT(change_exit)(pt, lane);
	return error;
}

/*
 * Whether all entries of a table, of which every address is the caller's, are leaves that one leaf of the level above says as well: that leaf, or 0.
 */
static uint64_t PT(uniform)(const struct iog_pgtable *pt, const struct iog_table *table)
{
	uint32_t level = table->level;
	uint64_t entry = PT(entry_load)(&table->entries[0]), mask = PT(page_size)(level + 1) - 1, paddr;
	uint32_t prot;

	/* Somebody holds it, whatever is in it. */
	if (atomic_load_explicit(&table->pinned, memory_order_relaxed))
		return 0;
	if (!fmt_is_leaf(entry, level))
		return 0;
	prot = fmt_prot(entry);
	paddr = fmt_paddr(entry) & ~(PT(leaf_size)(entry, level) - 1);
	if (paddr & mask)
		return 0;
	for (uint32_t i = 0; i < PT_ENTRIES; i++) {
		uint64_t size, own;

		entry = PT(entry_load)(&table->entries[i]);
		if (!fmt_is_leaf(entry, level) || fmt_prot(entry) != prot)
			return 0;
#ifdef FMT_USERS_BITS
		/* A leaf above level 0 counts no users. */
		if (!level && entry & (((UINT64_C(1) << FMT_USERS_BITS) - 1) << FMT_USERS_SHIFT))
			return 0;
#endif
		size = PT(leaf_size)(entry, level);
		own = paddr + ((uint64_t)i << PT(shift)(level));
		if ((fmt_paddr(entry) & ~(size - 1)) != (own & ~(size - 1)))
			return 0;
	}
	return PT(leaf)(pt, paddr, prot, level + 1);
}

/*
 * A uniform table makes way for a leaf. The parent's entry is present before and after; the table is unlinked without a tombstone, so that nobody revives it, and goes
 * back after the flush, until which hardware may walk through it and finds the same. One that too many gathers know stays.
 */
static int PT(fold)(struct iog_pgtable *pt, struct iog_gather *gather, struct iog_table *table, uint64_t leaf, uint64_t *tables)
{
	uint64_t word = word_load(table);
	bool taken = false;
	uintptr_t flags;
	int error = 0;

	if (word_state(word) == WORD_LIVE && word_records_full(word))
		return PT(DONE);
	if (gather->nr_tables < IOG_GATHER_TABLES) {
		flags = platform_irq_save(pt->platform);
		taken = word_state(word) == WORD_LIVE && PT(word_replace)(pt, table, &word, word_with(word, WORD_BUSY, 0));
		if (taken)
			PT(unlink_for)(pt, gather, table, word, WORD_UNCLEAN, leaf);
		platform_irq_restore(pt->platform, flags);
	}
	if (taken || gather->nr_tables == IOG_GATHER_TABLES) {
		if (V_LOCKED)
			pt_read_unlock(pt);
		error = PT(sync)(pt, gather);
		if (V_LOCKED)
			pt_read_lock(pt);
	}
	*tables += taken;
	return error ? error : taken ? PT(DONE) : PT(AGAIN);
}

/* Fold what can be folded of the tables that lie in the range, those of lower levels first. */
static int PT(merge)(struct iog_pgtable *pt, uint64_t first, uint64_t last, uint32_t flags, struct iog_gather *gather, uint64_t *tables)
{
	struct pt_lane *lane = PT(change_enter)(pt, gather);
	int error = FMT_BREAKS && !pt_may_resize(pt, flags) ? -IOG_EINVAL : 0;

	for (uint32_t level = 1; !error && level <= PT(top)(pt); level++) {
		uint64_t mask = PT(page_size)(level) - 1;

		if (!(pt->page_sizes & (mask + 1)))
			continue;
		for (uint64_t iova = (first + mask) & ~mask; !error && iova >= first && iova <= last && last - iova >= mask;) {
			struct PT(end) end;
			uint64_t leaf = 0;

			PT(find)(pt, lane, iova, &end);
			if (end.level == level - 1 && !PT(is_root)(pt, end.table, end.level) && fmt_is_leaf(end.entry, end.level))
				leaf = PT(uniform)(pt, end.table);
			if (leaf) {
				int outcome = PT(fold)(pt, gather, end.table, leaf, tables);

				PT(forget)(lane);
				error = outcome < 0 ? outcome : 0;
				if (outcome == PT(AGAIN))
					continue;
			}
			iova += mask + 1;
			if (!iova)
				break;
		}
	}
	PT(change_exit)(pt, lane);
	return error;
}

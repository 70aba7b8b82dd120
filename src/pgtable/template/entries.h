/* SPDX-License-Identifier: MIT */
/*
 * Template: entries, the way down, identity, and the count of live entries.
 *
 * An entry above level 0 is one of
 *   EMPTY      0
 *   present    points to a table, or is a leaf
 *   tombstone  not present to hardware; keeps the address of a table that was unlinked and not yet released
 * Whatever else is read there was read in a table that has gone meanwhile.
 */

#define PT_ENTRIES (1u << FMT_LEVEL_BITS)
#define PT_TOMBSTONE UINT64_C(0x8)
#define PT_LOW_BITS FMT_LOW_BITS

/* Bits of an address below the index into a table of @level. */
IOG_INLINE uint32_t PT(shift)(uint32_t level)
{
	return FMT_GRANULE_SHIFT + FMT_LEVEL_BITS * level;
}

/* Bytes that an entry at @level covers. */
IOG_INLINE uint64_t PT(page_size)(uint32_t level)
{
	return UINT64_C(1) << PT(shift)(level);
}

IOG_INLINE uint32_t PT(index)(uint64_t iova, uint32_t level)
{
	return (uint32_t)(iova >> PT(shift)(level)) & (PT_ENTRIES - 1);
}

/* What the addresses differ in that a table of @level, no wide root, covers. */
IOG_INLINE uint64_t PT(table_mask)(uint32_t level)
{
	return FMT_IAS_ALLOWED & IAS(64) && PT(shift)(level + 1) >= 64 ? UINT64_MAX : PT(page_size)(level + 1) - 1;
}

/* Last address that a table of @level covers, given one of its addresses. */
IOG_INLINE uint64_t PT(table_last)(uint64_t iova, uint32_t level)
{
	return iova | PT(table_mask)(level);
}

/* First address that a table of @level covers, given one of its addresses. */
IOG_INLINE uint64_t PT(table_first)(uint64_t iova, uint32_t level)
{
	return iova & ~PT(table_mask)(level);
}

/*
 * The root, its level, and the last address. Those of a format that grows are read as one (acquire: the new root's contents; pairs with the release in
 * iog_pgtable_grow()); of two readings the later one may be larger.
 */
IOG_INLINE uint32_t PT(top)(const struct iog_pgtable *pt)
{
	return FMT_GROWS ? pt_top(pt) : pt->top;
}

IOG_INLINE uint64_t PT(last)(const struct iog_pgtable *pt)
{
	return FMT_GROWS ? pt_last(pt) : pt->last;
}

/* As index(), table_last() and the number of entries, of a table that may be the root, which may be wider. */
IOG_INLINE uint32_t PT(index_in)(const struct iog_pgtable *pt, uint64_t iova, uint32_t level)
{
	return FMT_ROOT_BITS && level == pt->top ? (uint32_t)(iova >> PT(shift)(level)) : PT(index)(iova, level);
}

IOG_INLINE uint64_t PT(last_in)(const struct iog_pgtable *pt, uint64_t iova, uint32_t level)
{
	return FMT_ROOT_BITS && level == pt->top ? pt->last : PT(table_last)(iova, level);
}

IOG_INLINE uint32_t PT(entries_in)(const struct iog_pgtable *pt, uint32_t level)
{
	return FMT_ROOT_BITS && level == pt->top ? (uint32_t)(pt->last >> PT(shift)(level)) + 1 : PT_ENTRIES;
}

/* What is added to an entry for the same leaf one further on. */
IOG_INLINE uint64_t PT(step)(uint32_t level)
{
	return fmt_address(PT(page_size)(level));
}

/* A plain leaf. Dirty, so that hardware need not write to it, unless somebody wants to know. */
IOG_INLINE uint64_t PT(leaf)(const struct iog_pgtable *pt, uint64_t paddr, uint32_t prot, uint32_t level)
{
	uint64_t entry;

	if (FMT_SNOOP_CONTROL && iog_unlikely(pt->no_snoop_control))
		prot &= ~(uint32_t)IOG_PROT_COHERENT;
	entry = fmt_address(paddr) | fmt_leaf_bits(prot, level);

	return FMT_DIRTY_PRESET && iog_unlikely(pt->tracking) ? fmt_clean(entry) : entry;
}

/* Bytes of the leaf that an entry is, or is a member of. */
IOG_INLINE uint64_t PT(leaf_size)(uint64_t entry, uint32_t level)
{
	return FMT_GROUPS ? UINT64_C(1) << fmt_leaf_shift(entry, level) : PT(page_size)(level);
}

/* Entries of the group that an entry, which is a leaf, is a member of; 1 for a plain one. */
IOG_INLINE uint32_t PT(group_of)(uint64_t entry, uint32_t level)
{
	return FMT_GROUPS ? UINT32_C(1) << (fmt_leaf_shift(entry, level) - PT(shift)(level)) : 1;
}

IOG_INLINE bool PT(in_group)(uint64_t entry, uint32_t level)
{
	return FMT_GROUPS && fmt_is_leaf(entry, level) && PT(group_of)(entry, level) > 1;
}

IOG_INLINE uint64_t PT(external)(const struct iog_pgtable *pt, uint64_t iova)
{
	return FMT_SIGN_EXTENDS ? pt_external(pt, iova) : iova;
}

/*
 * Acquire: the contents of the table that an entry points to, and its descriptor, are seen as they were when it was linked (the swap in
 * grow(), the word that left BUSY). For validation it also keeps the later look at the word later.
 */
IOG_INLINE uint64_t PT(entry_load)(iog_entry_t *slot)
{
	return atomic_load_explicit(slot, memory_order_acquire);
}

/* A store that hardware sees whole. What it publishes to other lanes, the table's word publishes. */
IOG_INLINE void PT(entry_store)(iog_entry_t *slot, uint64_t entry)
{
	atomic_store_explicit(slot, entry, memory_order_relaxed);
}

IOG_INLINE bool PT(is_tombstone)(uint64_t entry)
{
	return (entry & PT_LOW_BITS) == PT_TOMBSTONE;
}

IOG_INLINE iog_entry_t *PT(va)(const struct iog_pgtable *pt, uint64_t entry)
{
	return (iog_entry_t *)(uintptr_t)(fmt_paddr(entry) + pt->offset);
}

IOG_INLINE uint64_t PT(pa)(const struct iog_pgtable *pt, const struct iog_table *table)
{
	return (uint64_t)(uintptr_t)table->entries - pt->offset;
}

/* What an unlinked table leaves in its parent's entry. */
IOG_INLINE uint64_t PT(tombstone)(const struct iog_pgtable *pt, const struct iog_table *table)
{
	return fmt_address(PT(pa)(pt, table)) | PT_TOMBSTONE;
}

/* Without growth only the top level has a root. */
IOG_INLINE struct iog_table *PT(descriptor)(struct iog_pgtable *pt, uint32_t level, const iog_entry_t *entries)
{
	if (FMT_GROWS) {
		struct iog_table *root = pt_root_at(pt, level, entries);

		return root ? root : table_at(FMT_GRANULE_SHIFT, level, (const void *)entries);
	}
	return level && level == pt->top ? &pt->root_table : table_at(FMT_GRANULE_SHIFT, level, (const void *)entries);
}

/* A root, present or former: not from a slab, and never given back while the page table lives. */
IOG_INLINE bool PT(is_root)(const struct iog_pgtable *pt, const struct iog_table *table, uint32_t level)
{
	return FMT_GROWS ? pt_is_root(pt, table) : level && level == pt->top;
}

/* The path led astray, or is not to be used. */
IOG_INLINE void PT(forget)(struct pt_lane *lane)
{
	lane->path_first[0] = lane->path_first[1] = PATH_NONE;
}

IOG_INLINE void PT(keep)(struct pt_lane *lane, uint32_t level, uint64_t iova, iog_entry_t *entries)
{
	lane->path_first[level] = PT(table_first)(iova, level);
	lane->path[level] = entries;
}

/*
 * Go down towards the entry for @iova at level @to, as far as tables are linked. Nothing is held on the way: the result is a table of the returned
 * level, but whose it is now must be validated; who finds that it is not the one must forget() the path before walking again.
 */
IOG_INLINE uint32_t PT(descend)(struct iog_pgtable *pt, struct pt_lane *lane, uint64_t iova, uint32_t to, iog_entry_t **entries)
{
	iog_entry_t *at = pt->root;
	uint32_t level = pt->top;

	if (FMT_GROWS)
		at = pt_root(pt, &level);
	if (V_PATH) {
		/* Sequentially consistent: pairs with lanes_look(), see lane_enter(). */
		uint64_t epoch = atomic_load_explicit(&pt->mem->epoch, memory_order_seq_cst);

		if (iog_unlikely(lane->epoch != epoch)) {
			PT(forget)(lane);
			lane->epoch = epoch;
		}
		if (!to && lane->path_first[0] == PT(table_first)(iova, 0)) {
			*entries = lane->path[0];
			return 0;
		}
		if (to <= 1 && lane->path_first[1] == PT(table_first)(iova, 1)) {
			at = lane->path[1];
			level = 1;
		}
	}
	while (level > to) {
		uint64_t entry = PT(entry_load)(&at[PT(index_in)(pt, iova, level)]);

		if (iog_unlikely(!fmt_is_table(entry)))
			break;
		at = PT(va)(pt, entry);
		level--;
		if (V_PATH && level <= 1)
			PT(keep)(lane, level, iova, at);
	}
	*entries = at;
	return level;
}

/* Written while BUSY, and part of the life that begins when BUSY ends. */
IOG_INLINE void PT(set_identity)(struct iog_pgtable *pt, struct iog_table *table, uint64_t iova, iog_entry_t *slot)
{
	atomic_store_explicit(&table->owner, pt, memory_order_relaxed);
	atomic_store_explicit(&table->iova, iova, memory_order_relaxed);
	atomic_store_explicit(&table->slot, slot, memory_order_relaxed);
}

/*
 * Is it this page table's table for @iova, as far as one can see without holding it? Acquire: a look at the word after this one is a later look.
 */
IOG_INLINE bool PT(identity)(struct iog_pgtable *pt, struct iog_table *table, uint32_t level, uint64_t iova)
{
	if (PT(is_root)(pt, table, level))
		return true;
	return atomic_load_explicit(&table->owner, memory_order_acquire) == pt &&
	       atomic_load_explicit(&table->iova, memory_order_acquire) == PT(table_first)(iova, level);
}

/* Begin to look into a table: true if it is LIVE and the one for @iova now. What is read then counts if still_valid() says so afterwards. */
IOG_INLINE bool PT(begin_look)(struct iog_pgtable *pt, struct iog_table *table, uint32_t level, uint64_t iova, uint64_t *word)
{
	if (!V_VALIDATED)
		return true;
	*word = word_load(table);
	return word_state(*word) == WORD_LIVE && PT(identity)(pt, table, level, iova);
}

/* The same life as when begin_look() read @word. The reads between were acquires, so that this one comes after them. */
IOG_INLINE bool PT(still_valid)(struct iog_table *table, uint64_t word)
{
	return !V_VALIDATED || word_same_life(word, word_load(table));
}

/* Swap a word, or store it where nobody else writes: one writer at a time by the caller's word, or one lane altogether. */
IOG_INLINE bool PT(word_replace)(const struct iog_pgtable *pt, struct iog_table *table, uint64_t *word, uint64_t to)
{
	if (V_SINGLE || pt->alone) {
		protocol_step();
		/* Release: for readers; pairs with word_load(). */
		atomic_store_explicit(&table->word, to, memory_order_release);
		return true;
	}
	return word_swap(table, word, to);
}

/*
 * Count @n more live entries in the table for @iova, unless it is not that or not LIVE. Success proves word and identity to be of one life, and
 * keeps the table linked until the entries are uncounted.
 */
IOG_INLINE bool PT(get)(struct iog_pgtable *pt, struct iog_table *table, uint32_t level, uint64_t iova, uint32_t n)
{
	uint64_t word;

	if (!V_COUNTED)
		return true;

	word = word_load(table);
	do {
		if (iog_unlikely(word_state(word) != WORD_LIVE))
			return false;
		if (V_VALIDATED && !PT(identity)(pt, table, level, iova))
			return false;
	} while (!PT(word_replace)(pt, table, &word, word + n));
	return true;
}

/*
 * Uncount @n entries of a table of @level. The one that takes the last puts the table on the lane's list of empty tables, unless it stands on a list already. Release (in
 * the swap): the entries' clearing is seen by whoever finds the count 0 and goes on to BUSY.
 *
 * The entries keep the table linked so far; but above level 0 it is BUSY while somebody links a child to it.
 */
IOG_INLINE void PT(put)(struct iog_pgtable *pt, struct iog_table *table, struct pt_lane *lane, uint32_t level, uint32_t n)
{
	uint64_t word, to;

	if (!V_COUNTED)
		return;

	word = word_load(table);
	do {
		while (level && iog_unlikely(word_state(word) == WORD_BUSY)) {
			platform_relax(pt->platform);
			word = word_load(table);
		}
		IOG_CLAIM(1, word_state(word) == WORD_LIVE && word_count(word) >= n);
		to = word - n;
		if (!word_count(to) && lane->nr_empty < EMPTY_LIST_MAX)
			to |= WORD_LISTED;
	} while (!PT(word_replace)(pt, table, &word, to));

	if ((to & ~word) & WORD_LISTED)
		lane->empty[lane->nr_empty++] = table;
}

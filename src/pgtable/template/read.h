/* SPDX-License-Identifier: MIT */
/*
 * Template: lookup and visit. Neither writes anything that is shared, except the lock of reclaim = rwlock.
 */

static inline void PT(leaf_at)(uint64_t entry, uint32_t level, uint64_t iova, struct iog_leaf *leaf)
{
	uint64_t offset_mask = PT(leaf_size)(entry, level) - 1;

	leaf->page_size = offset_mask + 1;
	leaf->paddr = (fmt_paddr(entry) & ~offset_mask) | (iova & offset_mask);
	leaf->prot = fmt_prot(entry);
}

/* What a validated walk for one address ends with: an entry that is no table, in a table that is LIVE and the right one. */
struct PT(end) {
	struct iog_table *table;
	iog_entry_t *slot;
	uint64_t entry;
	uint32_t level;
};

IOG_INLINE void PT(find)(struct iog_pgtable *pt, struct pt_lane *lane, uint64_t iova, struct PT(end) *end)
{
	for (;; PT(forget)(lane), platform_relax(pt->platform)) {
		iog_entry_t *entries;
		uint64_t word = 0;

		end->level = PT(descend)(pt, lane, iova, 0, &entries);
		end->table = PT(descriptor)(pt, end->level, entries);
		if (!PT(begin_look)(pt, end->table, end->level, iova, &word))
			continue;
		end->slot = &entries[PT(index_in)(pt, iova, end->level)];
		end->entry = PT(entry_load)(end->slot);
		if (!PT(still_valid)(end->table, word))
			continue;
		if (!end->level || !fmt_is_table(end->entry))
			return;
	}
}

/*
 * Visit the leaves of one table from @iova on, up to @last or an entry that leads to a table. @iova moves past what was visited or found empty;
 * it stays where validation failed, or where a table has come between. Returns true at the end of the range, or when @visit said so.
 */
static bool PT(visit_table)(struct iog_pgtable *pt, struct pt_lane *lane, uint64_t *iova, uint64_t last, iog_visit_fn *visit, void *ctx, int *result)
{
	iog_entry_t *entries;
	uint64_t word = 0, at = *iova;
	uint32_t level = PT(descend)(pt, lane, at, 0, &entries);
	struct iog_table *table = PT(descriptor)(pt, level, entries);
	uint64_t end = PT(last_in)(pt, at, level) < last ? PT(last_in)(pt, at, level) : last;

	if (!PT(begin_look)(pt, table, level, at, &word)) {
		PT(forget)(lane);
		return false;
	}

	for (;;) {
		uint64_t entry = PT(entry_load)(&entries[PT(index_in)(pt, at, level)]);
		bool is_leaf = fmt_is_leaf(entry, level);
		uint64_t page = is_leaf ? PT(leaf_size)(entry, level) : PT(page_size)(level);
		uint64_t first = at & ~(page - 1);
		uint64_t entry_last = first + page - 1;

		if (level && fmt_is_table(entry)) {
			if (PT(still_valid)(table, word))
				*iova = at;
			PT(forget)(lane);
			return false;
		}
		if (is_leaf) {
			struct iog_leaf leaf;

			if (!PT(still_valid)(table, word)) {
				PT(forget)(lane);
				return false;
			}
			PT(leaf_at)(entry, level, first, &leaf);
			*result = visit(PT(external)(pt, first), &leaf, ctx);
			if (*result || entry_last >= last)
				return true;
			*iova = entry_last + 1;
		}
		if (entry_last >= end)
			break;
		at = entry_last + 1;
	}

	/* The rest of the table was empty, if it still is the table. */
	if (!PT(still_valid)(table, word)) {
		PT(forget)(lane);
		return false;
	}
	if (end == last)
		return true;
	*iova = end + 1;
	return false;
}

static int PT(visit)(struct iog_pgtable *pt, struct pt_lane *lane, uint64_t first, uint64_t last, iog_visit_fn *visit, void *ctx)
{
	uint64_t iova = first;
	int result = 0;

	if (V_LOCKED)
		pt_read_lock(pt);
	while (iova <= last && !PT(visit_table)(pt, lane, &iova, last, visit, ctx, &result))
		;
	if (V_LOCKED)
		pt_read_unlock(pt);
	return result;
}

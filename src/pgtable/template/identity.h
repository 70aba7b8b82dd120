/* SPDX-License-Identifier: MIT */
/*
 * Template: dynamic 1:1 entries (../identity.h), for formats that define
 *
 *   FMT_USERS_SHIFT, FMT_USERS_BITS   bits of a present leaf entry that hardware ignores, at least two: the count of users
 *
 * A stale entry is not present, so that hardware ignores all of it. It needs no address, which is its own:
 *
 *   63            20 19    12 11     0
 *   [    stamp     ] [ prot ] [ 0x010 ]
 *
 * Orderings. A swap of an entry is acquire-release. Release: what its user did before, an invalidation that has completed (retire), accesses that are over (unmap); acquire: whoever
 * swaps it next comes after that. Which table an entry is in is settled before: by get(), or by being a user, as an entry that is not empty keeps its table linked.
 *
 * Walkers that do not snoop. Whoever enters or shares an entry cleans its line: the one who entered it first may not have come to that yet. An entry that becomes empty need not be
 * cleaned: hardware cares for stale as little as for empty, and whoever fills it cleans it then.
 */

#ifdef FMT_USERS_BITS

#define PT_STALE UINT64_C(0x10)
#define PT_STALE_PROT_SHIFT 12
#define PT_STALE_STAMP_SHIFT (64 - IDENTITY_STAMP_BITS)
#define PT_USERS_ONE (UINT64_C(1) << FMT_USERS_SHIFT)
#define PT_USERS_MAX ((UINT32_C(1) << FMT_USERS_BITS) - 1)
#define PT_USERS_MASK ((uint64_t)PT_USERS_MAX << FMT_USERS_SHIFT)

_Static_assert(PT_STALE != PT_TOMBSTONE && PT_STALE != IOG_TABLE_POISON_LOW, "an entry is one thing");
_Static_assert(FMT_PROT < 1 << (PT_STALE_STAMP_SHIFT - PT_STALE_PROT_SHIFT), "a stale entry keeps its permission");

static inline uint64_t PT(stale)(uint64_t entry, uint64_t stamp)
{
	return PT_STALE | (uint64_t)fmt_prot(entry) << PT_STALE_PROT_SHIFT | stamp << PT_STALE_STAMP_SHIFT;
}

static inline bool PT(is_stale)(uint64_t entry)
{
	return (entry & PT_LOW_BITS) == PT_STALE;
}

/* Users of the 1:1 entry for @paddr; 0 if it is something else. */
static inline uint32_t PT(users)(uint64_t entry, uint64_t paddr)
{
	if (!fmt_present(entry) || fmt_paddr(entry) != paddr)
		return 0;
	return (uint32_t)(entry >> FMT_USERS_SHIFT) & PT_USERS_MAX;
}

/* The entry with one user more, where the one user's would be @leaf; 0 if it cannot be had. */
static inline uint64_t PT(with_user)(uint64_t entry, uint64_t leaf)
{
	uint32_t users;

	if (!entry)
		return leaf;
	if (PT(is_stale)(entry))
		return (uint32_t)(entry >> PT_STALE_PROT_SHIFT & ((1u << (PT_STALE_STAMP_SHIFT - PT_STALE_PROT_SHIFT)) - 1)) == fmt_prot(leaf) ? leaf : 0;
	users = PT(users)(entry, fmt_paddr(leaf));
	return users && users < PT_USERS_MAX && fmt_prot(entry) == fmt_prot(leaf) ? entry + PT_USERS_ONE : 0;
}

static inline bool PT(swap)(iog_entry_t *slot, uint64_t *entry, uint64_t to)
{
	protocol_step();
	return atomic_compare_exchange_strong_explicit(slot, entry, to, memory_order_acq_rel, memory_order_acquire);
}

/*
 * The way down ends above level 0. A missing table is built with the run in it, which nobody can see before it is linked. One that was unlinked is taken back as it is, with nothing
 * in it: others may find it before this lane has come to fill it.
 */
static int PT(identity_grow)(struct iog_pgtable *pt, struct iog_gather *gather, const struct PT(run) *run, iog_entry_t *entries, uint32_t level)
{
	const struct PT(run) nothing = { run->iova, 0, 0, 0 };
	int outcome;

	if (!PT(entry_load)(&entries[PT(index)(run->iova, level)]))
		return PT(link_tables)(pt, gather_lane(gather), run, entries, level);
	outcome = PT(grow)(pt, gather, &nothing, entries, level);
	return outcome == PT(DONE) ? PT(AGAIN) : outcome;
}

/* Enter a run, or as much of it as can be had: @done pages. All are counted in the table first, and those that were there already given back. */
static int PT(identity_run)(struct iog_pgtable *pt, struct iog_gather *gather, const struct PT(run) *run, uint32_t *done)
{
	const uint64_t step = PT(step)(0);
	struct pt_lane *lane = gather_lane(gather);
	uint32_t i, counted = 0;
	iog_entry_t *entries, *slot;
	struct iog_table *table;

	for (;; PT(forget)(lane), platform_relax(pt->platform)) {
		uint32_t level = PT(descend)(pt, lane, run->iova, 0, &entries);

		if (level) {
			int outcome = PT(identity_grow)(pt, gather, run, entries, level);

			if (outcome == PT(AGAIN))
				continue;
			*done = outcome == PT(DONE) ? run->n : 0;
			return outcome == PT(DONE) ? 0 : outcome;
		}
		table = PT(descriptor)(pt, 0, entries);
		if (PT(get)(pt, table, 0, run->iova, run->n))
			break;
	}

	slot = &entries[PT(index)(run->iova, 0)];
	/* A look at all of them saves most of the runs that would have to be undone. */
	for (i = 0; i < run->n && PT(with_user)(PT(entry_load)(slot + i), run->entry + i * step); i++)
		;
	if (i == run->n) {
		for (i = 0; i < run->n; i++) {
			uint64_t entry = PT(entry_load)(slot + i), to;

			do
				to = PT(with_user)(entry, run->entry + i * step);
			while (to && !PT(swap)(slot + i, &entry, to));
			if (!to)
				break;
			counted += !entry;
		}
		pt_clean(pt, (const void *)slot, i * sizeof(*slot));
		*done = i;
	} else {
		*done = 0;
	}
	if (counted < run->n)
		PT(put)(pt, table, lane, 0, run->n - counted);
	return *done == run->n ? 0 : -IOG_EEXIST;
}

/*
 * One user of each page of [first, last] goes, or with @looks it is only seen whether there is one. The caller is a user of each, which holds the tables: one validated look per table
 * is enough.
 */
static int PT(identity_leave)(struct iog_pgtable *pt, struct iog_gather *gather, uint64_t first, uint64_t last, uint64_t stamp, bool looks, bool *stale)
{
	struct pt_lane *lane = gather_lane(gather);

	for (uint64_t iova = first; iova <= last;) {
		uint64_t end = PT(table_last)(iova, 0) < last ? PT(table_last)(iova, 0) : last;
		struct PT(end) found;
		iog_entry_t *slot;

		PT(find)(pt, lane, iova, &found);
		if (found.level)
			return -IOG_ENOENT;
		for (slot = found.slot; iova <= end; slot++, iova += PT(page_size)(0)) {
			uint64_t entry = PT(entry_load)(slot), to;
			uint32_t users;

			do {
				users = PT(users)(entry, iova);
				if (!users)
					return -IOG_ENOENT;
				to = users > 1 ? entry - PT_USERS_ONE : PT(stale)(entry, stamp);
			} while (!looks && !PT(swap)(slot, &entry, to));
			if (looks || users > 1)
				continue;
			gather->dirty |= pt->tracking && fmt_is_dirty(entry);
			pt_clean(pt, (const void *)slot, sizeof(*slot));
			gather_add_leaf(gather, PT(external)(pt, iova), PT(page_size)(0));
			*stale = true;
		}
	}
	return 0;
}

static int PT(identity_map)(struct iog_pgtable *pt, uint64_t paddr, uint64_t size, uint32_t prot, uint64_t stamp, struct iog_gather *gather, bool *stale)
{
	uint64_t first, done = 0;
	int error = PT(map_check)(pt, paddr, paddr, size, PT(page_size)(0), prot, gather, &first);
	struct pt_lane *lane;

	if (error)
		return error;
	lane = gather_lane(gather);
	lane_enter(pt->mem, lane->mem);
	if (V_LOCKED)
		pt_read_lock(pt);
	while (done < size && !error) {
		uint64_t at = first + done, left = (size - done) >> PT(shift)(0);
		uint32_t room = PT_ENTRIES - PT(index)(at, 0), entered;
		const struct PT(run) run = { at, PT(leaf)(pt, at, prot, 0) | PT_USERS_ONE, 0, left < room ? (uint32_t)left : room };

		error = PT(identity_run)(pt, gather, &run, &entered);
		done += (uint64_t)entered << PT(shift)(0);
	}
	if (V_LOCKED)
		pt_read_unlock(pt);

	if (pt->flags & IOG_PGTABLE_FLUSH_ON_MAP && !error)
		error = PT(flush_map)(pt, first, size, gather);
	if (error && done) {
		if (V_LOCKED)
			pt_read_lock(pt);
		(void)PT(identity_leave)(pt, gather, first, first + done - 1, stamp, false, stale);
		if (V_LOCKED)
			pt_read_unlock(pt);
	}
	lane_exit(lane->mem);
	if (pt->platform->dma_wmb)
		iog_pgtable_publish(pt);
	return error;
}

static int PT(identity_unmap)(struct iog_pgtable *pt, uint64_t iova, uint64_t size, uint64_t stamp, struct iog_gather *gather, bool *stale)
{
	uint64_t first, last;
	struct pt_lane *lane;
	int error = 0;

	if (!gather || gather->pgtable != pt || !size || (iova | size) & (PT(page_size)(0) - 1))
		return -IOG_EINVAL;
	if (!PT(range_internal)(pt, iova, size, &first, &last))
		return -IOG_ERANGE;
	lane = gather_lane(gather);
	lane_enter(pt->mem, lane->mem);
	if (V_LOCKED)
		pt_read_lock(pt);
	if (size > PT(page_size)(0))
		error = PT(identity_leave)(pt, gather, first, last, stamp, true, stale);
	if (!error)
		error = PT(identity_leave)(pt, gather, first, last, stamp, false, stale);
	if (V_LOCKED)
		pt_read_unlock(pt);
	/* Tables that earlier batches have left empty go with this invalidation. */
	if (V_COUNTED && !error && lane->nr_empty >= pt->trim_batch)
		error = PT(trim_list)(pt, gather);
	lane_exit(lane->mem);
	return error;
}

/* The entries of [iova, last] in one table; they are counted in it while they are stale, but this lane's may be none of them. Returns false to walk again. */
static bool PT(retire_run)(struct iog_pgtable *pt, struct pt_lane *lane, uint64_t iova, uint64_t last, uint64_t stamp, iog_entry_t *entries)
{
	struct iog_table *table = PT(descriptor)(pt, 0, entries);
	uint32_t n = PT(index)(last, 0) - PT(index)(iova, 0) + 1, cleared = 0;
	iog_entry_t *slot = &entries[PT(index)(iova, 0)];

	/* Held, because an entry alone does not tell in which page table it is: another may have one of the same stamp in the same memory later. */
	if (!PT(get)(pt, table, 0, iova, 1))
		return false;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t entry = PT(entry_load)(slot + i);

		/* One that is revived meanwhile is somebody's; the stamp cannot come back before this batch is retired. */
		if (PT(is_stale)(entry) && entry >> PT_STALE_STAMP_SHIFT == stamp)
			cleared += PT(swap)(slot + i, &entry, 0);
	}
	PT(put)(pt, table, lane, 0, cleared + 1);
	return true;
}

static void PT(identity_retire)(struct iog_pgtable *pt, uint64_t iova, uint64_t size, uint64_t stamp, struct iog_gather *gather)
{
	struct pt_lane *lane = gather_lane(gather);
	uint64_t first, last;

	if (!PT(range_internal)(pt, iova, size, &first, &last))
		return;
	lane_enter(pt->mem, lane->mem);
	if (V_LOCKED)
		pt_read_lock(pt);
	while (first <= last) {
		uint64_t end;
		struct PT(end) found;

		/* Where no table is linked there is no stale entry. */
		PT(find)(pt, lane, first, &found);
		end = found.level ? first | (PT(page_size)(found.level) - 1) : PT(table_last)(first, 0);
		if (end > last)
			end = last;
		if (found.level || PT(retire_run)(pt, lane, first, end, stamp, found.slot - PT(index)(first, 0)))
			first = end + 1;
		else
			PT(forget)(lane);
	}
	if (V_LOCKED)
		pt_read_unlock(pt);
	lane_exit(lane->mem);
}

#endif

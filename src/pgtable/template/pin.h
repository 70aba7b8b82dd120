/* SPDX-License-Identifier: MIT */
/*
 * Template: pins (../pin.h). The table is counted once for the whole run; entries are then plain stores.
 */

/* Inside the lane. A table that has to be linked is linked empty, and counted like one that was found. */
static int PT(pin)(struct iog_pgtable *pt, struct iog_gather *gather, uint64_t iova, uint32_t n, struct iog_pin *pin)
{
	struct pt_lane *lane = gather_lane(gather);
	int outcome = PT(AGAIN);

	/* Whoever fills pinned entries tells nobody what was dirty. */
	if (pt->tracking)
		return -IOG_EBUSY;
	if (V_LOCKED)
		pt_read_lock(pt);
	for (;; PT(forget)(lane), platform_relax(pt->platform)) {
		const struct PT(run) run = { iova, 0, 0, 0 };
		iog_entry_t *entries;
		uint32_t level = PT(descend)(pt, lane, iova, 0, &entries);

		if (level) {
			outcome = PT(grow)(pt, gather, &run, entries, level);
			if (outcome < 0)
				break;
			continue;
		}
		pin->table = PT(descriptor)(pt, 0, entries);
		pin->entries = &entries[PT(index)(iova, 0)];
		if (!PT(get)(pt, pin->table, 0, iova, n))
			continue;
		outcome = 0;
		for (uint32_t i = 0; i < n; i++)
			if (PT(entry_load)(pin->entries + i))
				outcome = -IOG_EEXIST;
		if (outcome)
			PT(put)(pt, pin->table, lane, 0, n);
		else {
			atomic_fetch_add_explicit(&pin->table->pinned, n, memory_order_relaxed);
			lane_count_pinned(lane, n);
		}
		break;
	}
	if (V_LOCKED)
		pt_read_unlock(pt);
	return outcome;
}

/* Inside the lane. */
static int PT(unpin)(struct iog_pgtable *pt, struct iog_gather *gather, const struct iog_pin *pin, uint32_t n)
{
	struct pt_lane *lane = gather_lane(gather);
	int error = 0;

	if (V_LOCKED)
		pt_read_lock(pt);
	atomic_fetch_sub_explicit(&pin->table->pinned, n, memory_order_relaxed);
	lane_count_pinned(lane, -(int64_t)n);
	PT(put)(pt, pin->table, lane, 0, n);
	if (V_LOCKED)
		pt_read_unlock(pt);
	if (V_COUNTED && lane->nr_empty >= pt->trim_batch)
		error = PT(trim_list)(pt, gather);
	return error;
}

/* Fill entries as far as they are empty; returns how many. Where physical addresses carry into bits that an entry holds elsewhere, a new run begins. */
static uint32_t PT(fill_pages)(const struct iog_pgtable *pt, iog_entry_t *slot, uint64_t paddr, uint32_t prot, uint32_t n)
{
	uint32_t done = 0;

	while (done < n) {
		uint64_t at = paddr + ((uint64_t)done << PT(shift)(0)), room = (PT_CARRY_MASK - (at & PT_CARRY_MASK)) >> PT(shift)(0);
		uint32_t run = room < n - done ? (uint32_t)room + 1 : n - done;
		uint32_t filled = PT(fill_empty)(slot + done, PT(leaf)(pt, at, prot, 0), PT(step)(0), run);

		done += filled;
		if (filled < run)
			break;
	}
	return done;
}

static int PT(pin_map)(struct iog_pgtable *pt, iog_entry_t *slot, uint64_t paddr, uint32_t n, uint32_t prot)
{
	uint64_t paddr_last = paddr + (((uint64_t)n << PT(shift)(0)) - 1), entry;

	if (iog_unlikely(prot & ~(uint32_t)FMT_PROT || !(prot & (IOG_PROT_READ | IOG_PROT_WRITE)) || paddr & (PT(page_size)(0) - 1)))
		return -IOG_EINVAL;
	if (iog_unlikely(paddr_last < paddr || paddr_last > pt->paddr_last))
		return -IOG_ERANGE;
	entry = PT(leaf)(pt, paddr, prot, 0);
	if (iog_likely(n == 1)) {
		if (iog_unlikely(atomic_load_explicit(slot, memory_order_relaxed)))
			return -IOG_EEXIST;
		PT(entry_store)(slot, entry);
	} else {
		uint32_t filled = PT(fill_pages)(pt, slot, paddr, prot, n);

		if (iog_unlikely(filled < n)) {
			/* No device was told of them: they need no invalidation on units that do not prefetch, and get one with the run on those that do. */
			while (filled)
				PT(entry_store)(slot + --filled, 0);
			return -IOG_EEXIST;
		}
	}
	pt_clean(pt, (const void *)slot, n * sizeof(*slot));
	if (iog_unlikely(pt->platform->dma_wmb))
		iog_pgtable_publish(pt);
	return 0;
}

static uint32_t PT(pin_unmap)(struct iog_pgtable *pt, iog_entry_t *slot, uint32_t n, bool holes)
{
	uint32_t present = 0;

	if (iog_likely(n == 1)) {
		if (iog_unlikely(!fmt_present(PT(entry_load)(slot))))
			return 0;
		PT(entry_store)(slot, 0);
		pt_clean(pt, (const void *)slot, sizeof(*slot));
		return 1;
	}
	for (uint32_t i = 0; i < n; i++)
		present += fmt_present(PT(entry_load)(slot + i));
	if (present < n && !holes)
		return 0;
	PT(fill_many)(slot, 0, 0, n);
	pt_clean(pt, (const void *)slot, n * sizeof(*slot));
	return present;
}

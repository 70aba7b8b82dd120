/* SPDX-License-Identifier: MIT */
/*
 * Template: the public calls. Arguments are checked here, once, before anything is touched; then the lane is inside, and addresses are internal.
 */

/* The level of a page size that the page table uses; its kind, where the format has groups. */
IOG_NOINLINE static bool PT(level_of)(const struct iog_pgtable *pt, uint64_t page_size, uint32_t *level)
{
	if (!page_size || page_size & (page_size - 1) || !(pt->page_sizes & page_size))
		return false;
	if (FMT_GROWS && !(PT(last)(pt) & page_size))
		return false;
	if (FMT_GROUPS) {
		*level = PT(kind)(lowest_bit(page_size));
		return true;
	}
	for (*level = 0; PT(page_size)(*level) != page_size; ++*level)
		;
	return true;
}

/* [iova, iova + size - 1] as internal addresses, if every one of them can be expressed. @size is not 0. */
IOG_INLINE bool PT(range_internal)(const struct iog_pgtable *pt, uint64_t iova, uint64_t size, uint64_t *first, uint64_t *last)
{
	uint64_t end;

	if (iog_unlikely(__builtin_add_overflow(iova, size - 1, &end)))
		return false;
	if (FMT_SIGN_EXTENDS && iog_unlikely(pt->flags & IOG_PGTABLE_SIGN_EXTENDED)) {
		uint64_t high = ~(pt->last >> 1);

		/* Both ends in the same half: there is nothing between the halves. */
		if (!(iova <= ~high && end <= ~high) && !(iova >= high && end >= high))
			return false;
		*first = iova & pt->last;
		*last = end & pt->last;
		return true;
	}
	*first = iova;
	*last = end;
	return end <= PT(last)(pt);
}

/* What map and map_pages check alike; @align is the alignment that addresses and size must have. */
IOG_INLINE int PT(map_check)(const struct iog_pgtable *pt, iog_iova_t iova, iog_paddr_t paddr, uint64_t size, uint64_t align, uint32_t prot,
			     const struct iog_gather *gather, uint64_t *first)
{
	uint64_t last, paddr_last;

	if (iog_unlikely(!gather || gather->pgtable != pt || !size || (iova | paddr | size) & (align - 1)))
		return -IOG_EINVAL;
	if (iog_unlikely(prot & ~(uint32_t)FMT_PROT || !(prot & (IOG_PROT_READ | IOG_PROT_WRITE))))
		return -IOG_EINVAL;
	if (iog_unlikely(!PT(range_internal)(pt, iova, size, first, &last)))
		return -IOG_ERANGE;
	if (iog_unlikely(__builtin_add_overflow(paddr, size - 1, &paddr_last) || paddr_last > pt->paddr_last))
		return -IOG_ERANGE;
	return 0;
}

static int PT(map_pages)(struct iog_pgtable *pt, iog_iova_t iova, iog_paddr_t paddr, uint64_t pgsize, uint64_t pgcount, uint32_t prot,
			 struct iog_gather *gather, uint64_t *mapped)
{
	uint64_t first, size, done = 0;
	uint32_t level = 0;
	int error = 0;

	if (iog_unlikely(pgsize != PT(page_size)(0)) && !PT(level_of)(pt, pgsize, &level))
		error = -IOG_EINVAL;
	else if (iog_unlikely(__builtin_mul_overflow(pgsize, pgcount, &size)))
		error = -IOG_ERANGE;
	else
		error = PT(map_check)(pt, iova, paddr, size, pgsize, prot, gather, &first);
	if (iog_likely(!error))
		error = PT(map_inside)(pt, first, paddr, size, prot, level, gather, &done);
	if (mapped)
		*mapped = done;
	return error;
}

static int PT(map)(struct iog_pgtable *pt, iog_iova_t iova, iog_paddr_t paddr, uint64_t size, uint32_t prot, struct iog_gather *gather)
{
	uint64_t first, done;
	int error = PT(map_check)(pt, iova, paddr, size, PT(page_size)(0), prot, gather, &first);

	if (iog_unlikely(error))
		return error;
	return PT(map_inside)(pt, first, paddr, size, prot, LEVEL_BEST, gather, &done);
}

IOG_INLINE int PT(unmap_checked)(struct iog_pgtable *pt, iog_iova_t iova, uint64_t size, uint64_t align, bool tracked, struct iog_gather *gather,
				 uint64_t *unmapped)
{
	uint64_t first, last, done = 0;
	int error = 0;

	if (iog_unlikely(!gather || gather->pgtable != pt || !size || (iova | size) & (align - 1)))
		error = -IOG_EINVAL;
	else if (iog_unlikely(!PT(range_internal)(pt, iova, size, &first, &last)))
		error = -IOG_ERANGE;
	else if (tracked)
		error = PT(unmap_tracked)(pt, first, last, gather, &done);
	else
		error = PT(unmap_inside)(pt, first, last, gather, &done);
	if (unmapped)
		*unmapped = done;
	return error;
}

IOG_INLINE int PT(unmap_pages_checked)(struct iog_pgtable *pt, iog_iova_t iova, uint64_t pgsize, uint64_t pgcount, bool tracked, struct iog_gather *gather,
				       uint64_t *unmapped)
{
	uint32_t level;
	uint64_t size;
	int error = 0;

	if (iog_unlikely(pgsize != PT(page_size)(0)) && !PT(level_of)(pt, pgsize, &level))
		error = -IOG_EINVAL;
	else if (iog_unlikely(__builtin_mul_overflow(pgsize, pgcount, &size)))
		error = -IOG_ERANGE;
	if (iog_likely(!error))
		return PT(unmap_checked)(pt, iova, size, pgsize, tracked, gather, unmapped);
	if (unmapped)
		*unmapped = 0;
	return error;
}

static int PT(unmap)(struct iog_pgtable *pt, iog_iova_t iova, uint64_t size, struct iog_gather *gather, uint64_t *unmapped)
{
	return PT(unmap_checked)(pt, iova, size, PT(page_size)(0), false, gather, unmapped);
}

static int PT(unmap_pages)(struct iog_pgtable *pt, iog_iova_t iova, uint64_t pgsize, uint64_t pgcount, struct iog_gather *gather, uint64_t *unmapped)
{
	return PT(unmap_pages_checked)(pt, iova, pgsize, pgcount, false, gather, unmapped);
}

static int PT(unmap_pages_tracked)(struct iog_pgtable *pt, iog_iova_t iova, uint64_t pgsize, uint64_t pgcount, struct iog_gather *gather,
				   uint64_t *unmapped)
{
	return PT(unmap_pages_checked)(pt, iova, pgsize, pgcount, true, gather, unmapped);
}

static int PT(unmap_whole_tracked)(struct iog_pgtable *pt, iog_iova_t iova, uint64_t size, struct iog_gather *gather, uint64_t *unmapped)
{
	return PT(unmap_checked)(pt, iova, size, PT(page_size)(0), true, gather, unmapped);
}

/* A range of mapped leaves that is to be changed. */
static int PT(range_check)(const struct iog_pgtable *pt, iog_iova_t iova, uint64_t size, const struct iog_gather *gather, uint64_t *first, uint64_t *last)
{
	if (!gather || gather->pgtable != pt || !size || (iova | size) & (PT(page_size)(0) - 1))
		return -IOG_EINVAL;
	return PT(range_internal)(pt, iova, size, first, last) ? 0 : -IOG_ERANGE;
}

static int PT(call_protect)(struct iog_pgtable *pt, iog_iova_t iova, uint64_t size, uint32_t prot, uint32_t flags, struct iog_gather *gather,
			    uint64_t *changed)
{
	uint64_t first, last, done = 0;
	int error = PT(range_check)(pt, iova, size, gather, &first, &last);

	if (!error && (prot & ~(uint32_t)(IOG_PROT_READ | IOG_PROT_WRITE | IOG_PROT_EXEC) || !(prot & (IOG_PROT_READ | IOG_PROT_WRITE)) ||
		       flags & ~(uint32_t)IOG_RANGE_QUIET))
		error = -IOG_EINVAL;
	if (!error)
		error = PT(protect)(pt, first, last, prot, flags, gather, &done);
	if (changed)
		*changed = done;
	return error;
}

static int PT(call_read_dirty)(struct iog_pgtable *pt, iog_iova_t iova, uint64_t size, uint64_t page_size, uint64_t *bitmap, uint32_t flags,
			       struct iog_gather *gather)
{
	uint64_t first, last;
	int error = PT(range_check)(pt, iova, size, gather, &first, &last);

	if (!error && (!bitmap || !page_size || page_size & (page_size - 1) || flags & ~(uint32_t)IOG_DIRTY_NO_CLEAR || !pt->tracking))
		error = -IOG_EINVAL;
	return error ? error : PT(read_dirty)(pt, first, last, lowest_bit(page_size), bitmap, flags, gather);
}

static int PT(call_split)(struct iog_pgtable *pt, iog_iova_t iova, uint64_t size, uint64_t page_size, uint32_t flags, struct iog_gather *gather)
{
	uint64_t first, last;
	int error = PT(range_check)(pt, iova, size, gather, &first, &last);

	if (!error && (!page_size || page_size & (page_size - 1) || !(pt->page_sizes & page_size) || flags & ~(uint32_t)IOG_RANGE_QUIET))
		error = -IOG_EINVAL;
	return error ? error : PT(split)(pt, first, last, page_size, flags, gather);
}

static int PT(call_merge)(struct iog_pgtable *pt, iog_iova_t iova, uint64_t size, uint32_t flags, struct iog_gather *gather, uint64_t *tables)
{
	uint64_t first, last, done = 0;
	int error = PT(range_check)(pt, iova, size, gather, &first, &last);

	if (!error && flags & ~(uint32_t)IOG_RANGE_QUIET)
		error = -IOG_EINVAL;
	if (!error && pt->tracking)
		error = -IOG_EBUSY;
	if (!error)
		error = PT(merge)(pt, first, last, flags, gather, &done);
	if (tables)
		*tables = done;
	return error;
}

/* The present root becomes the first entry's table of a larger one, which hardware and other lanes do not know yet. */
static void PT(raise)(struct iog_pgtable *pt, struct iog_table *root)
{
	uint32_t top;
	iog_entry_t *entries = pt_root(pt, &top);

	atomic_store_explicit(&PT(descriptor)(pt, top, entries)->slot, &root->entries[0], memory_order_relaxed);
	PT(entry_store)(&root->entries[0], fmt_table((uint64_t)(uintptr_t)entries - pt->offset, root->level));
}

static int PT(lookup)(struct iog_pgtable *pt, iog_lane_t lane, iog_iova_t iova, struct iog_leaf *leaf)
{
	uint64_t first, last;
	struct PT(end) end;

	if (iog_unlikely(lane >= pt->mem->lanes))
		return -IOG_EINVAL;
	if (iog_unlikely(!PT(range_internal)(pt, iova, 1, &first, &last)))
		return -IOG_ERANGE;

	lane_enter(pt->mem, pt->lanes[lane].mem);
	if (V_LOCKED)
		pt_read_lock(pt);
	PT(find)(pt, &pt->lanes[lane], first, &end);
	if (V_LOCKED)
		pt_read_unlock(pt);
	lane_exit(pt->lanes[lane].mem);

	if (!fmt_is_leaf(end.entry, end.level))
		return -IOG_ENOENT;
	PT(leaf_at)(end.entry, end.level, first, leaf);
	return 0;
}

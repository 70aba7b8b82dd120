/* SPDX-License-Identifier: MIT */
/*
 * Leaves that change where they are: dirty bits, permissions, sizes. See formats.h.
 */
#include <string.h>

#include <iogate/host/sim.h>

#include "formats.h"

/* The unit lets a device write through the entry that serves @at. */
static void device_writes(struct bed *bed, uint64_t at)
{
	_Atomic uint64_t *slot = hw_leaf_slot(&bed->host, bed->shape, &bed->root, shape_iova(bed->shape, at));

	assert_non_null(slot);
	*slot = hw_written(bed->shape, *slot);
}

/* Bits of the pages of @page in [at, at + size), at most 64. */
static uint64_t dirty_pages(struct bed *bed, uint64_t at, uint64_t size, uint64_t page, uint32_t flags)
{
	uint64_t bitmap[2] = { 0, UINT64_C(0x5555) };

	assert_int_equal(iog_pgtable_read_dirty(bed->pt, shape_iova(bed->shape, at), size, page, bitmap, flags, gather_of(bed)), 0);
	assert_int_equal(bitmap[1], 0x5555);
	return bitmap[0];
}

static void leaf_tracks_dirty(struct bed *bed, uint64_t size)
{
	const struct shape *shape = bed->shape;
	uint64_t member = shape_granule(shape), at = 2 * size;

	while (member * (1u << shape->geometry->level_bits) <= size)
		member <<= shape->geometry->level_bits;
	if (at > shape_last(shape) / 4)
		return;

	/* Mapped before tracking, with a write that nobody asks about. */
	map_one(bed, at, 0, size, RW);
	device_writes(bed, at);
	assert_int_equal(iog_pgtable_track_dirty(bed->pt, true, gather_of(bed)), 0);
	assert_true(gather_of(bed)->nr_ranges || gather_of(bed)->everything);
	assert_int_equal(iog_gather_flush(gather_of(bed)), 0);
	is_mapped(bed, at, 0, size, RW);
	assert_int_equal(dirty_pages(bed, at, size, size, 0), 0);
	assert_true(iog_gather_is_empty(gather_of(bed)));

	/* Any entry of the leaf speaks for all of it. */
	for (uint64_t in = 0; in < size; in += size / member > 16 ? size / 16 : member) {
		device_writes(bed, at + in);
		assert_int_equal(dirty_pages(bed, at, size, size, IOG_DIRTY_NO_CLEAR), 1);
		assert_true(iog_gather_is_empty(gather_of(bed)));
		/* A part of a leaf can be looked at, and not be cleared. */
		if (size > shape_granule(shape)) {
			uint64_t bitmap = 0;

			assert_int_equal(dirty_pages(bed, at + size / 2, size / 2, size / 2, IOG_DIRTY_NO_CLEAR), 1);
			assert_int_equal(iog_pgtable_read_dirty(bed->pt, shape_iova(shape, at + size / 2), size / 2, size / 2, &bitmap, 0, gather_of(bed)),
					 -IOG_EINVAL);
			assert_int_equal(bitmap, 0);
		}
		assert_int_equal(dirty_pages(bed, at - size, 2 * size, size, 0), 2);
		assert_int_equal(gather_of(bed)->nr_ranges, 1);
		assert_int_equal(gather_of(bed)->ranges[0].last - gather_of(bed)->ranges[0].first, size - 1);
		assert_int_equal(iog_gather_flush(gather_of(bed)), 0);
		assert_int_equal(dirty_pages(bed, at, size, size, 0), 0);
	}
	is_mapped(bed, at, 0, size, RW);

	/* A new mapping is clean; one that may not be written to stays so. */
	map_one(bed, 0, 0, size, IOG_PROT_READ);
	map_one(bed, size, 0, size, RW);
	is_mapped(bed, size, 0, size, RW);
	is_mapped(bed, 0, 0, size, IOG_PROT_READ);
	assert_int_equal(dirty_pages(bed, 0, 3 * size, size, 0), 0);
	device_writes(bed, size + size / 2);
	assert_int_equal(dirty_pages(bed, 0, 3 * size, size, IOG_DIRTY_NO_CLEAR), 2);

	/* What an unmap forgets it reports. */
	unmap_one(bed, 0, size);
	assert_false(gather_of(bed)->dirty);
	unmap_one(bed, size, size);
	assert_true(gather_of(bed)->dirty);
	assert_int_equal(iog_gather_flush(gather_of(bed)), 0);
	assert_false(gather_of(bed)->dirty);

	assert_int_equal(iog_pgtable_merge(bed->pt, shape_iova(shape, 0), size, IOG_RANGE_QUIET, gather_of(bed), NULL), -IOG_EBUSY);
	assert_int_equal(iog_pgtable_track_dirty(bed->pt, false, gather_of(bed)), 0);
	assert_int_equal(iog_gather_flush(gather_of(bed)), 0);
	is_mapped(bed, at, 0, size, RW);
	unmap_one(bed, at, size);
	assert_false(gather_of(bed)->dirty);
	assert_int_equal(iog_gather_flush(gather_of(bed)), 0);
}

void tracks_dirty(void **state)
{
	const struct shape *shape = *state;
	struct bed *bed = wide_bed(shape, IOG_PGTABLE_NONCOHERENT);
	uint64_t bitmap = 0;

	assert_int_equal(iog_pgtable_read_dirty(bed->pt, 0, shape_granule(shape), shape_granule(shape), &bitmap, 0, gather_of(bed)), -IOG_EINVAL);
	for (uint64_t size = 0; (size = next_size(shape, size));)
		leaf_tracks_dirty(bed, size);
	/* What hardware wrote was not cleaned: only the shadow is behind. */
	bed->options.flags = 0;
	ends(bed);
}

void protects(void **state)
{
	static const uint32_t prots[] = { IOG_PROT_READ, RW, RW | IOG_PROT_EXEC, IOG_PROT_WRITE, IOG_PROT_READ | IOG_PROT_EXEC, RW };
	const struct shape *shape = *state;
	const uint64_t page = shape_granule(shape);
	struct bed *bed = wide_bed(shape, IOG_PGTABLE_SPLIT | IOG_PGTABLE_NONCOHERENT);
	uint32_t keeps = shape->geometry->prot & (IOG_PROT_COHERENT | IOG_PROT_NOCACHE);
	uint64_t changed;

	for (uint64_t size = 0; (size = next_size(shape, size));) {
		uint64_t at = 2 * size, below;

		if (at > shape_last(shape) / 4)
			continue;
		map_one(bed, at, 0, size, RW | keeps);
		for (uint32_t i = 0; i < 6; i++) {
			assert_int_equal(iog_pgtable_protect(bed->pt, shape_iova(shape, at - size), 3 * size, prots[i], 0, gather_of(bed), &changed), 0);
			assert_int_equal(changed, size);
			is_mapped(bed, at, 0, size, prots[i] | keeps);
			is_mapped(bed, at + size - 1, size - 1, size, prots[i] | keeps);
			assert_true(gather_of(bed)->nr_ranges == 1 && gather_of(bed)->ranges[0].first == shape_iova(shape, at));
			assert_int_equal(iog_gather_flush(gather_of(bed)), 0);
		}
		is_sound(bed, 1);
		/* A part: the leaf is split, the rest keeps what it had. */
		below = page;
		while (below << shape->geometry->level_bits < size)
			below <<= shape->geometry->level_bits;
		if (size > page && size / below <= 512) {
			assert_int_equal(iog_pgtable_protect(bed->pt, shape_iova(shape, at + below), below, IOG_PROT_READ, 0, gather_of(bed), &changed), 0);
			assert_int_equal(changed, below);
			is_mapped(bed, at, 0, below, RW | keeps);
			is_mapped(bed, at + below, below, below, IOG_PROT_READ | keeps);
			if (size / below > 2)
				is_mapped(bed, at + size - 1, size - 1, below, RW | keeps);
			is_sound(bed, size / below);
		}
		unmap_one(bed, at, size);
		assert_int_equal(iog_gather_flush(gather_of(bed)), 0);
	}
	assert_int_equal(iog_pgtable_protect(bed->pt, 0, page, 0, 0, gather_of(bed), NULL), -IOG_EINVAL);
	assert_int_equal(iog_pgtable_protect(bed->pt, 0, page, RW | IOG_PROT_COHERENT, 0, gather_of(bed), NULL), -IOG_EINVAL);
	assert_int_equal(iog_pgtable_protect(bed->pt, 0, page / 2, RW, 0, gather_of(bed), NULL), -IOG_EINVAL);
	assert_int_equal(iog_pgtable_protect(bed->pt, 0, page, RW, 2, gather_of(bed), NULL), -IOG_EINVAL);
	ends(bed);
}

/* The first entry of each step of a leaf, at most sixteen of them, has all software bits. */
static bool all_set(struct bed *bed, uint64_t at, uint64_t size, uint64_t step, bool set)
{
	uint64_t bits = hw_software_bits(bed->shape);

	for (uint64_t in = 0; in < size; in += step) {
		_Atomic uint64_t *slot = hw_leaf_slot(&bed->host, bed->shape, &bed->root, shape_iova(bed->shape, at + in));

		assert_non_null(slot);
		if (set)
			*slot |= bits;
		if ((*slot & bits) != bits)
			return false;
	}
	return true;
}

/* What software keeps in an entry: no reader minds it, no change of the leaf in place forgets it, and it goes with the leaf. */
void keeps_software_bits(void **state)
{
	static const struct iog_sim_config no_oracle = { .flags = IOG_SIM_NO_ORACLE };
	const struct shape *shape = *state;
	struct bed *bed = wide_bed(shape, shape->geometry->breaks ? IOG_PGTABLE_BBM2 : 0);
	const uint32_t prots[] = { RW, IOG_PROT_READ };
	struct iog_sim_domain *domain;
	struct iog_sim *sim;

	assert_int_equal(iog_sim_create(&bed->host.platform, &no_oracle, &sim), 0);
	assert_int_equal(iog_sim_domain_create(sim, 1, &bed->root, &domain), 0);
	for (uint64_t size = 0; (size = next_size(shape, size));) {
		uint64_t at = 2 * size, member = shape_granule(shape), step, seen;
		struct iog_leaf leaf;

		if (at > shape_last(shape) / 4)
			break;
		while (member << shape->geometry->level_bits <= size)
			member <<= shape->geometry->level_bits;
		step = size / member > 16 ? size / 16 : member;

		map_one(bed, at, 0, size, RW);
		assert_true(all_set(bed, at, size, step, true));
		assert_int_equal(iog_pgtable_track_dirty(bed->pt, true, gather_of(bed)), 0);
		assert_int_equal(iog_pgtable_track_dirty(bed->pt, false, gather_of(bed)), 0);
		for (uint32_t i = 0; i < 2; i++) {
			assert_int_equal(iog_pgtable_protect(bed->pt, shape_iova(shape, at), size, prots[i], 0, gather_of(bed), NULL), 0);
			assert_true(all_set(bed, at, size, step, false));
			assert_int_equal(iog_pgtable_lookup(bed->pt, 1, shape_iova(shape, at + size - 1), &leaf), 0);
			assert_int_equal(leaf.paddr, size - 1);
			assert_int_equal(leaf.page_size, size);
			assert_int_equal(leaf.prot, shape_prot(shape, prots[i]));
			iog_sim_inval_domain(domain);
			assert_int_equal(iog_sim_inval_wait(sim), 0);
			assert_int_equal(iog_sim_translate(domain, shape_iova(shape, at + size - 1), IOG_PROT_READ, &seen), 0);
			assert_int_equal(seen, size - 1);
			assert_int_equal(iog_sim_translate(domain, shape_iova(shape, at), IOG_PROT_WRITE, &seen), i ? -IOG_EFAULT : 0);
		}
		if (size > member) {
			/* Members of a group keep theirs when it is no longer one. */
			assert_int_equal(iog_pgtable_split(bed->pt, shape_iova(shape, at), size, member, 0, gather_of(bed)), 0);
			assert_true(all_set(bed, at, size, step, false));
		}
		unmap_one(bed, at, size);
		map_one(bed, at, 0, size, RW);
		is_mapped(bed, at, 0, size, RW);
		unmap_one(bed, at, size);
		assert_int_equal(iog_gather_flush(gather_of(bed)), 0);
	}
	iog_sim_domain_destroy(domain);
	iog_sim_destroy(sim);
	ends(bed);
}

void splits_and_merges(void **state)
{
	const struct shape *shape = *state;
	const uint64_t page = shape_granule(shape), large = shape_page(shape, 1), n = large / page;
	const uint32_t quiet = shape->geometry->breaks ? IOG_RANGE_QUIET : 0;
	struct bed *bed = wide_bed(shape, 0);
	uint64_t at = large, tables, before;

	if (!(shape_sizes(shape, 0) & large) || shape_top(shape) < 1 || 4 * large > shape_last(shape))
		at = 0;
	if (at) {
		map_one(bed, at, 0, large, RW);
		before = bed_tables(bed);
		assert_int_equal(iog_pgtable_split(bed->pt, shape_iova(shape, at + page), page, page, quiet, gather_of(bed)), 0);
		is_sound(bed, n);
		for (uint64_t i = 0; i < n; i += 37)
			is_mapped(bed, at + i * page, i * page, page, RW);
		assert_int_equal(bed_tables(bed), before + 1);

		/* One page of another kind keeps it from being folded; and so does a hole. */
		assert_int_equal(iog_pgtable_protect(bed->pt, shape_iova(shape, at + 7 * page), page, IOG_PROT_READ, 0, gather_of(bed), NULL), 0);
		assert_int_equal(iog_pgtable_merge(bed->pt, shape_iova(shape, 0), 3 * large, quiet, gather_of(bed), &tables), 0);
		assert_int_equal(tables, 0);
		unmap_one(bed, at + 7 * page, page);
		assert_int_equal(iog_pgtable_merge(bed->pt, shape_iova(shape, 0), 3 * large, quiet, gather_of(bed), &tables), 0);
		assert_int_equal(tables, 0);
		map_one(bed, at + 7 * page, 8 * page, page, RW);
		assert_int_equal(iog_pgtable_merge(bed->pt, shape_iova(shape, 0), 3 * large, quiet, gather_of(bed), &tables), 0);
		assert_int_equal(tables, 0);
		unmap_one(bed, at + 7 * page, page);
		map_one(bed, at + 7 * page, 7 * page, page, RW);
		/* A part of it is not enough. */
		assert_int_equal(iog_pgtable_merge(bed->pt, shape_iova(shape, at), large - page, quiet, gather_of(bed), &tables), 0);
		assert_int_equal(tables, 0);
		assert_int_equal(iog_gather_flush(gather_of(bed)), 0);

		bed->flushes = 0;
		assert_int_equal(iog_pgtable_merge(bed->pt, shape_iova(shape, 0), 3 * large, quiet, gather_of(bed), &tables), 0);
		assert_int_equal(tables, 1);
		assert_int_equal(bed->flushes, 1);
		assert_int_equal(bed->flushed.nr_tables, 1);
		is_mapped(bed, at + 5 * page, 5 * page, large, RW);
		is_sound(bed, 1);
		assert_int_equal(bed_tables(bed), before);

		/* Groups fold as well, and a failed flush leaves the leaf in place and the table for the gather's next. */
		unmap_one(bed, at, large);
		for (uint64_t size = page; size < large; size = next_size(shape, size))
			if (size > page && next_size(shape, size) >= large) {
				assert_int_equal(iog_pgtable_map_pages(bed->pt, shape_iova(shape, at), 0, size, large / size, RW, gather_of(bed), NULL), 0);
				bed->fail_flushes = 1;
				assert_int_equal(iog_pgtable_merge(bed->pt, shape_iova(shape, at), large, quiet, gather_of(bed), &tables), -IOG_ETIMEDOUT);
				is_mapped(bed, at + 5 * page, 5 * page, large, RW);
				unmap_one(bed, at, large);
				assert_int_equal(iog_gather_flush(gather_of(bed)), 0);
			}
	}
	assert_int_equal(iog_pgtable_split(bed->pt, 0, page, 3, 0, gather_of(bed)), -IOG_EINVAL);
	assert_int_equal(iog_pgtable_split(bed->pt, 0, 0, page, 0, gather_of(bed)), -IOG_EINVAL);
	assert_int_equal(iog_pgtable_merge(bed->pt, 0, page, 2, gather_of(bed), NULL), -IOG_EINVAL);
	ends(bed);
}

/* Armv8: what is in use may not change its size, unless the unit can take it. */
void refuses_without_bbm2(void **state)
{
	const struct shape *shape = *state;
	const uint64_t page = shape_granule(shape), group = next_size(shape, page), large = shape_page(shape, 1);
	const struct bed_options options = { .page_sizes = shape_sizes(shape, 0) };
	struct iog_pgtable_config config;
	struct bed *bed = bed_create(shape, &options);
	struct iog_pgtable *pt;
	struct iog_gather gather;

	config = bed_config(bed, shape, &options);
	config.flags |= IOG_PGTABLE_SPLIT;
	assert_int_equal(iog_pgtable_create(&config, &pt), 0);
	assert_int_equal(iog_gather_init(&gather, pt, 0, bed_flush, bed), 0);
	assert_int_equal(iog_pgtable_map_pages(pt, group, 0, group, 1, RW, &gather, NULL), 0);
	assert_int_equal(iog_pgtable_map_pages(pt, 2 * large, 0, large, 1, RW, &gather, NULL), 0);
	assert_int_equal(iog_pgtable_unmap(pt, group, page, &gather, NULL), -IOG_EINVAL);
	assert_int_equal(iog_pgtable_unmap(pt, 2 * large, page, &gather, NULL), -IOG_EINVAL);
	assert_int_equal(iog_pgtable_split(pt, group, page, page, 0, &gather), -IOG_EINVAL);
	assert_int_equal(iog_pgtable_split(pt, 2 * large, page, page, 0, &gather), -IOG_EINVAL);
	assert_int_equal(iog_pgtable_protect(pt, group, group, IOG_PROT_READ, 0, &gather, NULL), -IOG_EINVAL);
	assert_int_equal(iog_pgtable_merge(pt, 2 * large, large, 0, &gather, NULL), -IOG_EINVAL);
	/* A plain leaf's permissions may change; and what is quiet may do anything. */
	assert_int_equal(iog_pgtable_protect(pt, 2 * large, large, IOG_PROT_READ, 0, &gather, NULL), 0);
	assert_int_equal(iog_pgtable_protect(pt, group, group, IOG_PROT_READ, IOG_RANGE_QUIET, &gather, NULL), 0);
	assert_int_equal(iog_pgtable_split(pt, group, page, page, IOG_RANGE_QUIET, &gather), 0);
	assert_int_equal(iog_pgtable_split(pt, 2 * large, page, page, IOG_RANGE_QUIET, &gather), 0);
	assert_int_equal(iog_pgtable_unmap(pt, group, page, &gather, NULL), 0);
	assert_int_equal(iog_pgtable_unmap(pt, 2 * large, page, &gather, NULL), 0);
	assert_int_equal(iog_gather_flush(&gather), 0);
	iog_pgtable_destroy(pt, 0);
	ends(bed);
}

/* SPDX-License-Identifier: MIT */
/*
 * See hw.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw.h"

static void fail(struct hw_scan *scan, const char *what, uint64_t iova, uint32_t level, uint64_t entry)
{
	if (!scan->error[0])
		snprintf(scan->error, sizeof(scan->error), "%s: entry 0x%" PRIx64 " at level %u for 0x%" PRIx64, what, entry, level, iova);
}

static void add_leaf(struct hw_scan *scan, const struct hw_leaf *leaf)
{
	if (scan->nr_leaves == scan->max_leaves) {
		scan->max_leaves = scan->max_leaves ? 2 * scan->max_leaves : 1024;
		scan->leaves = realloc(scan->leaves, scan->max_leaves * sizeof(*scan->leaves));
		if (!scan->leaves)
			abort();
	}
	scan->leaves[scan->nr_leaves++] = *leaf;
}

struct scanner {
	const struct host *host;
	const struct shape *shape;
	struct hw_scan *scan;
	uint32_t top;
	bool shadow;
};

/* The members of a group from entry @i on are what the first says: whole, aligned, and of one mind. Returns how many they are, 0 if not. */
static uint32_t group_entries(const struct scanner *s, _Atomic uint64_t *entries, const struct hw_entry *first, uint32_t level, uint32_t i, uint32_t nr)
{
	uint32_t n = 1u << (first->shift - shape_shift(s->shape, level));

	if (i % n || i + n > nr)
		return 0;
	for (uint32_t k = 1; k < n; k++) {
		struct hw_entry d = hw_decode(s->shape, atomic_load_explicit(&entries[i + k], memory_order_relaxed), level, i + k);

		if (!d.present || d.malformed || !d.leaf || d.shift != first->shift || d.paddr != first->paddr || d.allows != first->allows)
			return 0;
	}
	return n;
}

static void scan_table(const struct scanner *s, uint64_t table, uint32_t level, uint64_t offset, uint32_t nr)
{
	const uint64_t page = shape_page(s->shape, level), table_bytes = shape_granule(s->shape);
	_Atomic uint64_t *entries = host_memory(s->host, table, s->shadow);
	bool blank = true;

	s->scan->tables[level]++;
	for (uint32_t i = 0, n; i < nr && !s->scan->error[0]; i += n, offset += n * page) {
		uint64_t entry = atomic_load_explicit(&entries[i], memory_order_relaxed), iova;
		struct hw_entry d;

		n = 1;
		if (!entry)
			continue;
		iova = shape_iova(s->shape, offset);
		blank = false;
		d = hw_decode(s->shape, entry, level, i);
		if (!d.present) {
			/* Hardware does not care what it is; a tombstone keeps the address of a table. */
			if (!level || !host_covers(s->host, d.paddr, table_bytes))
				fail(s->scan, "neither empty nor present", iova, level, entry);
			else
				s->scan->tombstones[level - 1]++;
		} else if (d.malformed) {
			fail(s->scan, d.malformed, iova, level, entry);
		} else if (d.leaf) {
			struct hw_leaf leaf = { iova, d.paddr, UINT64_C(1) << d.shift, d.allows };

			n = group_entries(s, entries, &d, level, i, nr);
			if (!n) {
				fail(s->scan, "a group that is not whole", iova, level, entry);
				n = 1;
			}
			add_leaf(s->scan, &leaf);
		} else if (!host_covers(s->host, d.paddr, table_bytes)) {
			fail(s->scan, "points to memory that was given back", iova, level, entry);
		} else {
			scan_table(s, d.paddr, level - 1, offset, 1u << s->shape->geometry->level_bits);
		}
	}
	if (blank && level < s->top)
		s->scan->blank++;
}

bool hw_scan(const struct host *host, const struct shape *shape, const struct iog_pgtable_root *root, bool shadow, struct hw_scan *scan)
{
	const struct scanner s = { host, shape, scan, root->levels - 1, shadow };

	memset(scan->tables, 0, sizeof(scan->tables));
	memset(scan->tombstones, 0, sizeof(scan->tombstones));
	scan->blank = 0;
	scan->nr_leaves = 0;
	scan->error[0] = 0;
	scan_table(&s, root->paddr, root->levels - 1, 0, shape_root_entries(shape, root->ias));
	return !scan->error[0];
}

void hw_scan_free(struct hw_scan *scan)
{
	free(scan->leaves);
	memset(scan, 0, sizeof(*scan));
}

/* @ignored: bits of a leaf that may be there. */
static _Atomic uint64_t *walk(const struct host *host, const struct shape *shape, const struct iog_pgtable_root *root, bool shadow, uint64_t iova,
			      uint64_t ignored, struct hw_entry *d)
{
	uint64_t table = root->paddr, offset = iova & (UINT64_MAX >> (64 - root->ias));

	for (uint32_t level = root->levels - 1;; level--) {
		uint32_t mask = level == root->levels - 1 ? UINT32_MAX : (1u << shape->geometry->level_bits) - 1;
		uint32_t index = (uint32_t)(offset >> shape_shift(shape, level)) & mask;
		_Atomic uint64_t *entries = host_memory(host, table, shadow);
		uint64_t entry = atomic_load_explicit(&entries[index], memory_order_relaxed);

		*d = hw_decode(shape, entry, level, index);
		if (d->leaf && ignored)
			*d = hw_decode(shape, entry & ~ignored, level, index);
		if (!d->present || d->malformed)
			return NULL;
		if (d->leaf)
			return &entries[index];
		table = d->paddr;
	}
}

_Atomic uint64_t *hw_leaf_slot(const struct host *host, const struct shape *shape, const struct iog_pgtable_root *root, uint64_t iova)
{
	struct hw_entry d;

	return walk(host, shape, root, false, iova, hw_software_bits(shape), &d);
}

bool hw_translate(const struct host *host, const struct shape *shape, const struct iog_pgtable_root *root, bool shadow, uint64_t iova,
		  struct hw_leaf *leaf)
{
	uint64_t size;
	struct hw_entry d;

	if (!walk(host, shape, root, shadow, iova, 0, &d))
		return false;
	size = UINT64_C(1) << d.shift;
	*leaf = (struct hw_leaf){ iova, d.paddr + iova % size, size, d.allows };
	return true;
}

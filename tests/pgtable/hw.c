/* SPDX-License-Identifier: MIT */
/*
 * See hw.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw.h"

#define SINGLE IOG_PGTABLE_SINGLE_WRITER
#define SIGNED IOG_PGTABLE_SIGN_EXTENDED

#define SHAPES(label, fmt, bits, more) \
	{ label " counted", &iog_##fmt##_counted, #fmt, IOG_RECLAIM_COUNTED, bits, more }, \
	{ label " counted_single", &iog_##fmt##_counted_single, #fmt, IOG_RECLAIM_COUNTED, bits, more | SINGLE }, \
	{ label " rwlock", &iog_##fmt##_rwlock, #fmt, IOG_RECLAIM_RWLOCK, bits, more }, \
	{ label " none", &iog_##fmt##_none, #fmt, IOG_RECLAIM_NONE, bits, more }, \
	{ label " none_single", &iog_##fmt##_none_single, #fmt, IOG_RECLAIM_NONE, bits, more | SINGLE }

const struct shape shapes[] = {
	SHAPES("vtdss 39", vtdss, 39, 0),
	SHAPES("vtdss 48", vtdss, 48, 0),
	SHAPES("vtdss 57", vtdss, 57, 0),
	SHAPES("x86_64 48", x86_64, 48, 0),
	SHAPES("x86_64 48 signed", x86_64, 48, SIGNED),
	SHAPES("x86_64 57", x86_64, 57, 0),
	SHAPES("x86_64 57 signed", x86_64, 57, SIGNED),
};
const uint32_t nr_shapes = sizeof(shapes) / sizeof(shapes[0]);

/* Bits of entries, by specification name. */
#define ADDRESS UINT64_C(0x000ffffffffff000)
#define VTD_R (UINT64_C(1) << 0)
#define VTD_W (UINT64_C(1) << 1)
#define VTD_PS (UINT64_C(1) << 7)
#define VTD_SNP (UINT64_C(1) << 11)
#define X86_P (UINT64_C(1) << 0)
#define X86_RW (UINT64_C(1) << 1)
#define X86_US (UINT64_C(1) << 2)
#define X86_A (UINT64_C(1) << 5)
#define X86_D (UINT64_C(1) << 6)
#define X86_PS (UINT64_C(1) << 7)
#define X86_XD (UINT64_C(1) << 63)

uint64_t shape_iova(const struct shape *shape, uint64_t offset)
{
	if (shape->flags & SIGNED && offset >> (shape->ias - 1))
		return offset | ~((UINT64_C(1) << shape->ias) - 1);
	return offset;
}

uint32_t shape_prot(const struct shape *shape, uint32_t prot)
{
	if (shape->format[0] == 'v')
		return prot & (IOG_PROT_READ | IOG_PROT_WRITE | IOG_PROT_COHERENT);
	return IOG_PROT_READ | (prot & (IOG_PROT_WRITE | IOG_PROT_EXEC));
}

/* An entry, taken apart. */
struct decoded {
	bool present;
	bool leaf;
	uint32_t allows;
	const char *malformed;
};

static struct decoded decode_vtdss(uint64_t entry, uint32_t level)
{
	struct decoded d = { .present = entry & (VTD_R | VTD_W) };
	uint64_t known = ADDRESS | VTD_R | VTD_W;

	d.leaf = !level || entry & VTD_PS;
	d.allows = (entry & VTD_R ? IOG_PROT_READ : 0) | (entry & VTD_W ? IOG_PROT_WRITE : 0) | (entry & VTD_SNP ? IOG_PROT_COHERENT : 0);
	if (d.leaf)
		known |= VTD_SNP | (level ? VTD_PS : 0);
	else
		d.allows |= IOG_PROT_COHERENT;
	if (entry & ~known)
		d.malformed = "reserved or unexpected bits";
	return d;
}

static struct decoded decode_x86_64(uint64_t entry, uint32_t level)
{
	struct decoded d = { .present = entry & X86_P };
	uint64_t known = ADDRESS | X86_P | X86_RW | X86_US | X86_A;

	d.leaf = !level || entry & X86_PS;
	d.allows = IOG_PROT_READ | (entry & X86_RW ? IOG_PROT_WRITE : 0) | (entry & X86_XD ? 0 : IOG_PROT_EXEC);
	if (d.leaf)
		known |= X86_XD | X86_D | (level ? X86_PS : 0);
	if (entry & ~known)
		d.malformed = "reserved or unexpected bits";
	else if (!(entry & X86_US))
		d.malformed = "supervisor only";
	else if (!(entry & X86_A) || (d.leaf && !(entry & X86_D)))
		d.malformed = "accessed or dirty clear, which the unit would have to set";
	return d;
}

static struct decoded decode(const struct shape *shape, uint64_t entry, uint32_t level)
{
	struct decoded d = shape->format[0] == 'v' ? decode_vtdss(entry, level) : decode_x86_64(entry, level);
	uint64_t page = PAGE_4K << 9 * level;

	if (d.malformed)
		return d;
	if (d.leaf && level > 2)
		d.malformed = "a leaf above 1G";
	else if (d.leaf && (entry & ADDRESS) & (page - 1))
		d.malformed = "a large leaf with low address bits";
	else if (!d.leaf && d.allows != (shape->format[0] == 'v' ? IOG_PROT_READ | IOG_PROT_WRITE | IOG_PROT_COHERENT
								   : IOG_PROT_READ | IOG_PROT_WRITE | IOG_PROT_EXEC))
		d.malformed = "a table entry that takes permissions away";
	return d;
}

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
	bool shadow;
};

static void scan_table(const struct scanner *s, uint64_t table, uint32_t level, uint64_t offset)
{
	uint64_t page = PAGE_4K << 9 * level;

	_Atomic uint64_t *entries = host_memory(s->host, table, s->shadow);
	bool blank = true;

	s->scan->tables[level]++;
	for (uint32_t i = 0; i < 512 && !s->scan->error[0]; i++, offset += page) {
		uint64_t entry = atomic_load_explicit(&entries[i], memory_order_relaxed), iova;
		struct decoded d;

		if (!entry)
			continue;
		iova = shape_iova(s->shape, offset);
		blank = false;
		d = decode(s->shape, entry, level);
		if (!d.present) {
			/* Hardware does not care what it is; a tombstone keeps the address of a table. */
			if (!level || !host_covers(s->host, entry & ADDRESS, PAGE_4K))
				fail(s->scan, "neither empty nor present", iova, level, entry);
			else
				s->scan->tombstones[level - 1]++;
		} else if (d.malformed) {
			fail(s->scan, d.malformed, iova, level, entry);
		} else if (d.leaf) {
			struct hw_leaf leaf = { iova, entry & ADDRESS, page, d.allows };

			add_leaf(s->scan, &leaf);
		} else if (!host_covers(s->host, entry & ADDRESS, PAGE_4K)) {
			fail(s->scan, "points to memory that was given back", iova, level, entry);
		} else {
			scan_table(s, entry & ADDRESS, level - 1, offset);
		}
	}
	if (blank && level < shape_top(s->shape))
		s->scan->blank++;
}

bool hw_scan(const struct host *host, const struct shape *shape, const struct iog_pgtable_root *root, bool shadow, struct hw_scan *scan)
{
	const struct scanner s = { host, shape, scan, shadow };

	memset(scan->tables, 0, sizeof(scan->tables));
	memset(scan->tombstones, 0, sizeof(scan->tombstones));
	scan->blank = 0;
	scan->nr_leaves = 0;
	scan->error[0] = 0;
	scan_table(&s, root->paddr, root->levels - 1, 0);
	return !scan->error[0];
}

void hw_scan_free(struct hw_scan *scan)
{
	free(scan->leaves);
	memset(scan, 0, sizeof(*scan));
}

bool hw_translate(const struct host *host, const struct shape *shape, const struct iog_pgtable_root *root, bool shadow, uint64_t iova,
		  struct hw_leaf *leaf)
{
	uint64_t table = root->paddr;

	for (uint32_t level = root->levels - 1;; level--) {
		uint64_t page = PAGE_4K << 9 * level;
		_Atomic uint64_t *entries = host_memory(host, table, shadow);
		uint64_t entry = atomic_load_explicit(&entries[iova / page % 512], memory_order_relaxed);
		struct decoded d = decode(shape, entry, level);

		if (!d.present || d.malformed)
			return false;
		if (d.leaf) {
			*leaf = (struct hw_leaf){ iova, (entry & ADDRESS) + iova % page, page, d.allows };
			return true;
		}
		table = entry & ADDRESS;
	}
}

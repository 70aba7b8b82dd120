/* SPDX-License-Identifier: MIT */
/*
 * The formats, as their specifications have them: layouts, decoders, and the list of what is tested. See hw.h.
 */
#include <string.h>

#include "hw.h"

#define SINGLE IOG_PGTABLE_SINGLE_WRITER
#define SIGNED IOG_PGTABLE_SIGN_EXTENDED
#define BIT(n) (UINT64_C(1) << (n))
#define BITS(high, low) (((BIT(high) << 1) - 1) & ~(BIT(low) - 1))

#define R IOG_PROT_READ
#define W IOG_PROT_WRITE
#define X IOG_PROT_EXEC
#define C IOG_PROT_COHERENT
#define N IOG_PROT_NOCACHE
#define D IOG_PROT_DEVICE

#define CLASSIC (PAGE_4K | PAGE_2M | PAGE_1G)
#define SIZES_4K (CLASSIC | BIT(16) | BIT(25) | BIT(34))
#define SIZES_16K (BIT(14) | BIT(21) | BIT(25) | BIT(30))
#define SIZES_64K (BIT(16) | BIT(21) | BIT(29) | BIT(34))
#define TO_48 BITS(48, 32)
#define TO_52 BITS(52, 32)

static const struct geometry geometries[] = {
	/* format            granule, bits, root, min, oas, ias, sizes, groups, signed, breaks, prot, implied */
	{ "vtdss",           12, 9,  0, 2, 52, BIT(39) | BIT(48) | BIT(57), CLASSIC, false, false, false, R | W | C, 0 },
	{ "x86_64",          12, 9,  0, 2, 52, BIT(48) | BIT(57), CLASSIC, false, true, false, W | X, R },
	{ "amdv1",           12, 9,  0, 1, 52, BITS(63, 21) | 1, BITS(51, 12), true, false, false, R | W | C, 0 },
	{ "arm_s1_4k",       12, 9,  0, 2, 48, TO_48, SIZES_4K, true, false, true, W | X | N | D, R },
	{ "arm_s1_16k",      14, 11, 0, 2, 48, TO_48, SIZES_16K, true, false, true, W | X | N | D, R },
	{ "arm_s1_64k",      16, 13, 0, 2, 52, TO_52, SIZES_64K, true, false, true, W | X | N | D, R },
	{ "arm_s1_4k_lpa2",  12, 9,  0, 2, 52, TO_52, SIZES_4K | BIT(39), true, false, true, W | X | N | D, R },
	{ "arm_s1_16k_lpa2", 14, 11, 0, 2, 52, TO_52, SIZES_16K | BIT(36), true, false, true, W | X | N | D, R },
	{ "arm_s2_4k",       12, 9,  4, 2, 48, TO_48, SIZES_4K, true, false, true, R | W | X | N | D, 0 },
	{ "arm_s2_16k",      14, 11, 4, 2, 48, TO_48, SIZES_16K, true, false, true, R | W | X | N | D, 0 },
	{ "arm_s2_64k",      16, 13, 4, 2, 52, TO_52, SIZES_64K, true, false, true, R | W | X | N | D, 0 },
	{ "arm_s2_4k_lpa2",  12, 9,  4, 2, 52, TO_52, SIZES_4K | BIT(39), true, false, true, R | W | X | N | D, 0 },
	{ "arm_s2_16k_lpa2", 14, 11, 4, 2, 52, TO_52, SIZES_16K | BIT(36), true, false, true, R | W | X | N | D, 0 },
	{ "riscv",           12, 9,  0, 2, 56, BIT(39) | BIT(48) | BIT(57), CLASSIC | BIT(16) | BIT(39) | BIT(48), true, true, false, W | X | N | D, R },
	{ "riscv_x4",        12, 9,  2, 2, 56, BIT(41) | BIT(50) | BIT(59), CLASSIC | BIT(16) | BIT(39) | BIT(48), true, false, false, W | X | N | D, R },
};

enum {
	vtdss, x86_64, amdv1, arm_s1_4k, arm_s1_16k, arm_s1_64k, arm_s1_4k_lpa2, arm_s1_16k_lpa2, arm_s2_4k, arm_s2_16k, arm_s2_64k, arm_s2_4k_lpa2,
	arm_s2_16k_lpa2, riscv, riscv_x4
};

#define ONE(fmt, bits, variant, how, text, more) { #fmt " " #bits text " " #variant, &iog_##fmt##_##variant, #fmt, how, bits, more, &geometries[fmt] }
#define COUNTED(fmt, bits, text, more) ONE(fmt, bits, counted, IOG_RECLAIM_COUNTED, text, more)
#define ALL(fmt, bits, text, more) \
	COUNTED(fmt, bits, text, more), \
	ONE(fmt, bits, counted_single, IOG_RECLAIM_COUNTED, text, (more) | SINGLE), \
	ONE(fmt, bits, rwlock, IOG_RECLAIM_RWLOCK, text, more), \
	ONE(fmt, bits, none, IOG_RECLAIM_NONE, text, more), \
	ONE(fmt, bits, none, IOG_RECLAIM_NONE, text " single", (more) | SINGLE)

/* Every kind of format in all variants; every format, number of levels, and every kind of root, in one at least. */
const struct shape shapes[] = {
	ALL(vtdss, 39, "", 0),
	ALL(vtdss, 48, "", 0),
	ALL(vtdss, 57, "", 0),
	ALL(x86_64, 48, "", 0),
	ALL(x86_64, 48, " signed", SIGNED),
	ALL(x86_64, 57, "", 0),
	ALL(x86_64, 57, " signed", SIGNED),
	ALL(riscv, 48, " signed", SIGNED),
	COUNTED(riscv, 39, "", 0),
	COUNTED(riscv, 39, " signed", SIGNED),
	COUNTED(riscv, 57, "", 0),
	ALL(riscv_x4, 50, "", 0),
	COUNTED(riscv_x4, 41, "", 0),
	COUNTED(riscv_x4, 59, "", 0),
	ALL(amdv1, 48, "", 0),
	ALL(amdv1, 21, "", 0),
	COUNTED(amdv1, 30, "", 0),
	COUNTED(amdv1, 32, "", 0),
	COUNTED(amdv1, 39, "", 0),
	COUNTED(amdv1, 57, "", 0),
	COUNTED(amdv1, 64, "", 0),
	ALL(arm_s1_4k, 48, "", 0),
	COUNTED(arm_s1_4k, 32, "", 0),
	COUNTED(arm_s1_4k, 39, "", 0),
	COUNTED(arm_s1_4k_lpa2, 52, "", 0),
	ALL(arm_s1_16k, 47, "", 0),
	COUNTED(arm_s1_16k, 32, "", 0),
	COUNTED(arm_s1_16k, 48, "", 0),
	COUNTED(arm_s1_16k_lpa2, 52, "", 0),
	ALL(arm_s1_64k, 48, "", 0),
	COUNTED(arm_s1_64k, 42, "", 0),
	COUNTED(arm_s1_64k, 52, "", 0),
	ALL(arm_s2_4k, 40, "", 0),
	COUNTED(arm_s2_4k, 32, "", 0),
	COUNTED(arm_s2_4k, 43, "", 0),
	COUNTED(arm_s2_4k, 48, "", 0),
	COUNTED(arm_s2_4k_lpa2, 52, "", 0),
	COUNTED(arm_s2_16k, 40, "", 0),
	COUNTED(arm_s2_16k, 48, "", 0),
	COUNTED(arm_s2_16k_lpa2, 52, "", 0),
	COUNTED(arm_s2_64k, 42, "", 0),
	COUNTED(arm_s2_64k, 46, "", 0),
	COUNTED(arm_s2_64k, 52, "", 0),
};
const uint32_t nr_shapes = sizeof(shapes) / sizeof(shapes[0]);

/* ---- layout ---- */

uint32_t shape_top_for(const struct shape *shape, uint32_t ias)
{
	const struct geometry *g = shape->geometry;
	uint32_t top = g->levels_min - 1;

	while (ias > shape_shift(shape, top + 1) + g->root_bits)
		top++;
	return top;
}

uint32_t shape_root_entries(const struct shape *shape, uint32_t ias)
{
	return 1u << (ias - shape_shift(shape, shape_top_for(shape, ias)));
}

uint64_t shape_root_bytes(const struct shape *shape)
{
	uint64_t bytes = shape_root_entries(shape, shape->ias) * sizeof(uint64_t);

	return bytes < shape_granule(shape) ? shape_granule(shape) : bytes;
}

uint64_t shape_sizes(const struct shape *shape, uint64_t wanted)
{
	uint64_t sizes = wanted ? wanted & shape->geometry->page_sizes : shape->geometry->page_sizes;
	uint32_t top = shape_shift(shape, shape_top(shape) + 1);

	if (top < 64)
		sizes &= BIT(top) - 1;
	return sizes & shape_last(shape);
}

uint64_t shape_iova(const struct shape *shape, uint64_t offset)
{
	if (shape->flags & SIGNED && offset >> (shape->ias - 1))
		return offset | ~((UINT64_C(1) << shape->ias) - 1);
	return offset;
}

uint32_t shape_prot(const struct shape *shape, uint32_t prot)
{
	if (prot & IOG_PROT_DEVICE)
		prot &= ~(uint32_t)IOG_PROT_NOCACHE;
	return (prot & shape->geometry->prot) | shape->geometry->implied;
}

/* ---- decoders: a plain leaf's address and size are set already ---- */

/* VT-d 9.8: R, W, PS, address, SNP. */
static void decode_vtdss(uint64_t entry, uint32_t level, struct hw_entry *d)
{
	uint64_t known = BITS(51, 12) | BIT(0) | BIT(1);

	d->paddr = entry & BITS(51, 12);
	d->present = entry & (BIT(0) | BIT(1));
	d->leaf = !level || entry & BIT(7);
	d->allows = (entry & BIT(0) ? R : 0) | (entry & BIT(1) ? W : 0) | (entry & BIT(11) ? C : 0);
	if (d->leaf)
		known |= BIT(11) | BIT(9) | (level ? BIT(7) : 0);
	else if (d->allows != (R | W))
		d->malformed = "a table entry that takes permissions away";
	d->dirty = entry & BIT(9);
	if (entry & ~known)
		d->malformed = "reserved or unexpected bits";
}

/* Long mode: P, R/W, U/S, A, D, PS, address, XD. */
static void decode_x86_64(uint64_t entry, uint32_t level, struct hw_entry *d)
{
	uint64_t known = BITS(51, 12) | BIT(0) | BIT(1) | BIT(2) | BIT(5);

	d->paddr = entry & BITS(51, 12);
	d->present = entry & BIT(0);
	d->leaf = !level || entry & BIT(7);
	d->allows = R | (entry & BIT(1) ? W : 0) | (entry & BIT(63) ? 0 : X);
	d->dirty = entry & BIT(6);
	if (d->leaf)
		known |= BIT(63) | BIT(6) | (level ? BIT(7) : 0);
	else if (d->allows != (R | W | X))
		d->malformed = "a table entry that takes permissions away";
	if (entry & ~known)
		d->malformed = "reserved or unexpected bits";
	else if (!(entry & BIT(2)))
		d->malformed = "supervisor only";
	else if (!(entry & BIT(5)))
		d->malformed = "accessed clear, which the unit would have to set";
}

/* AMD IOMMU 2.2.3: PR, A, D, Next Level, address, FC, IR, IW. */
static void decode_amdv1(uint64_t entry, uint32_t level, struct hw_entry *d)
{
	uint32_t next = (uint32_t)(entry >> 9) & 7;

	d->paddr = entry & BITS(51, 12);
	d->present = entry & BIT(0);
	d->leaf = next == 0 || next == 7;
	d->allows = (entry & BIT(61) ? R : 0) | (entry & BIT(62) ? W : 0) | (entry & BIT(60) ? C : 0);
	d->dirty = entry & BIT(6);
	if (!d->leaf && (next != level || d->allows != (R | W)))
		d->malformed = "a table entry of another level, or that takes permissions away";
	if (d->leaf && !(d->allows & (R | W)))
		d->malformed = "a leaf that allows nothing";
	if (entry & ~(BITS(51, 12) | BIT(0) | (d->leaf ? BIT(6) | BIT(60) : 0) | BITS(11, 9) | BIT(61) | BIT(62)))
		d->malformed = "reserved or unexpected bits";
	if (next == 7) {
		/* As many ones from bit 12 up as doublings beyond 8K. */
		d->shift = 13;
		while (d->shift < 52 && entry & BIT(d->shift - 1))
			d->shift++;
		d->paddr &= ~(BIT(d->shift) - 1);
		if (d->shift <= 12 + 9 * level || d->shift >= 12 + 9 * (level + 1))
			d->malformed = "a page size that is not this level's";
	}
}

/* Privileged architecture 4.4, 5.5; Svnapot; Svpbmt. */
static void decode_riscv(uint64_t entry, uint32_t level, struct hw_entry *d)
{
	d->paddr = (entry & BITS(53, 10)) << 2;
	d->present = entry & BIT(0);
	d->leaf = entry & (BIT(1) | BIT(2) | BIT(3));
	d->dirty = entry & BIT(7);
	d->allows = (entry & BIT(1) ? R : 0) | (entry & BIT(2) ? W : 0) | (entry & BIT(3) ? X : 0) | (entry >> 61 & 1 ? N : 0) | (entry >> 62 & 1 ? D : 0);
	if (entry & (BITS(60, 54) | BIT(5) | BITS(9, 8)) || (entry >> 61 & 3) == 3)
		d->malformed = "reserved or unexpected bits";
	else if (d->leaf && (entry & (BIT(1) | BIT(4) | BIT(6))) != (BIT(1) | BIT(4) | BIT(6)))
		d->malformed = "a leaf without R, U or A";
	else if (!d->leaf && (!level || entry & (BITS(63, 61) | BIT(4) | BIT(6) | BIT(7))))
		d->malformed = "a table entry at level 0, or with bits of a leaf";
	if (entry & BIT(63)) {
		if (level || (entry >> 10 & 15) != 8)
			d->malformed = "a NAPOT page of another size than 64K";
		d->shift = 16;
		d->paddr &= ~(BIT(16) - 1);
	}
}

/* Arm ARM D8.3: by stage, granule, and whether FEAT_LPA2's descriptors are in use. */
static void decode_arm(const struct shape *shape, uint64_t entry, uint32_t level, uint32_t index, struct hw_entry *d)
{
	const uint32_t granule = shape->geometry->granule_shift;
	const bool stage2 = shape->format[5] == '2', lpa2 = strstr(shape->format, "lpa2");
	const uint64_t address = lpa2 ? BITS(49, granule) : BITS(47, granule);
	uint64_t known = address | BIT(0) | BIT(1);
	uint32_t attr = (uint32_t)(entry >> 2) & 15, type;

	d->paddr = entry & address;
	if (lpa2) {
		d->paddr |= (entry >> 8 & 3) << 50;
		known |= BITS(9, 8);
	} else if (granule == 16) {
		d->paddr |= (entry >> 12 & 15) << 48;
		known |= BITS(15, 12);
	}
	d->present = entry & BIT(0);
	d->leaf = !level || !(entry & BIT(1));
	if (!level && d->present && !(entry & BIT(1)))
		d->malformed = "a block at the last level";
	if (!d->leaf) {
		d->allows = R | W | X;
		if (entry & ~known)
			d->malformed = "a table entry with reserved or unexpected bits";
		return;
	}

	known |= BITS(11, 2) | BITS(54, 51);
	if (entry & ~known)
		d->malformed = "reserved or unexpected bits";
	if (!(entry & BIT(10)))
		d->malformed = "AF clear, which the unit would have to set";
	d->allows = entry & BIT(54) ? 0 : X;
	if (stage2) {
		type = attr == 15 ? 0 : attr == 5 ? N : attr == 1 ? D : 8 * D;
		d->allows |= (entry & BIT(6) ? R : 0) | (entry & (BIT(7) | BIT(51)) ? W : 0);
		d->dirty = entry & BIT(7);
		if (entry & (BIT(11) | BIT(53)))
			d->malformed = "bits of stage 1";
	} else {
		type = attr == 0 ? 0 : attr == 1 ? N : attr == 2 ? D : 8 * D;
		d->allows |= R | (!(entry & BIT(7)) || entry & BIT(51) ? W : 0);
		d->dirty = !(entry & BIT(7));
		if (!(entry & BIT(6)) || !(entry & BIT(11)) || entry & BIT(5) || !(entry & BIT(53)) != !(entry & BIT(54)))
			d->malformed = "privileged, global, or of unlike XN bits";
	}
	d->allows |= type;
	if (type > D)
		d->malformed = "an unknown memory type";
	if (!lpa2 && (entry >> 8 & 3) != (type ? 2 : 3))
		d->malformed = "another shareability than goes with the memory type";
	if (entry & BIT(52)) {
		uint32_t more = granule == 12 ? 4 : granule == 14 && !level ? 7 : 5;

		/* The address is the member's own. */
		if ((d->paddr >> d->shift & (BIT(more) - 1)) != (index & (BIT(more) - 1)))
			d->malformed = "a member of a group with the address of another";
		d->shift += more;
		d->paddr &= ~(BIT(d->shift) - 1);
	}
}

struct hw_entry hw_decode(const struct shape *shape, uint64_t entry, uint32_t level, uint32_t index)
{
	struct hw_entry d = { .shift = shape_shift(shape, level) };

	if (!strcmp(shape->format, "vtdss"))
		decode_vtdss(entry, level, &d);
	else if (!strcmp(shape->format, "x86_64"))
		decode_x86_64(entry, level, &d);
	else if (!strcmp(shape->format, "amdv1"))
		decode_amdv1(entry, level, &d);
	else if (!strncmp(shape->format, "riscv", 5))
		decode_riscv(entry, level, &d);
	else
		decode_arm(shape, entry, level, index, &d);
	if (d.present && d.leaf && !d.malformed && (d.shift > 63 || !(shape->geometry->page_sizes & BIT(d.shift))))
		d.malformed = "a leaf size that the format has not";
	else if (d.present && d.leaf && !d.malformed && d.paddr & (BIT(d.shift) - 1))
		d.malformed = "a large leaf with low address bits";
	return d;
}

uint64_t hw_software_bits(const struct shape *shape)
{
	if (!strcmp(shape->format, "vtdss"))
		return BITS(61, 52); /* VT-d 9.8 */
	if (!strcmp(shape->format, "x86_64"))
		return BITS(58, 52); /* VT-d 9.7 */
	if (!strcmp(shape->format, "amdv1"))
		return BITS(4, 1); /* AMD IOMMU 2.2.3 */
	if (!strncmp(shape->format, "riscv", 5))
		return BITS(9, 8); /* RSW */
	return BITS(58, 55); /* Arm ARM D8.3.2 */
}

uint64_t hw_written(const struct shape *shape, uint64_t entry)
{
	if (!strcmp(shape->format, "vtdss"))
		return entry | BIT(9);
	if (!strncmp(shape->format, "riscv", 5))
		return entry | BIT(7);
	if (!strncmp(shape->format, "arm_s1", 6))
		return entry & BIT(51) ? entry & ~BIT(7) : entry;
	if (!strncmp(shape->format, "arm_s2", 6))
		return entry & BIT(51) ? entry | BIT(7) : entry;
	return entry | BIT(6);
}

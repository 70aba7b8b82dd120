/* SPDX-License-Identifier: MIT */
/*
 * See sequence.h.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "sequence.h"

/* ---- generation ---- */

/* Addresses around which tables of some level meet, or the space ends. */
static uint32_t edges(const struct shape *shape, uint64_t edge[16])
{
	uint32_t nr = 0;

	edge[nr++] = 0;
	edge[nr++] = shape_last(shape) + 1;
	for (uint32_t level = 2; shape_shift(shape, level) < shape->ias; level++)
		edge[nr++] = shape_page(shape, level);
	if (shape->flags & IOG_PGTABLE_SIGN_EXTENDED) {
		/* The last of the lower half, and the first of the upper. */
		edge[nr++] = UINT64_C(1) << (shape->ias - 1);
		edge[nr++] = UINT64_C(1) << (shape->ias - 1);
	}
	return nr;
}

/* The part of [at, at + size) that a call may name: in the space, and on one side of the middle where the two sides are apart. */
static void fit(const struct shape *shape, uint64_t *at, uint64_t *size)
{
	const uint64_t last = shape_last(shape), middle = last / 2 + 1, granule = shape_granule(shape);

	if (*at > last)
		*at = last & ~(granule - 1);
	if (*size - 1 > last - *at)
		*size = last - *at + 1;
	/* All of 64 bits is more than a size can say. */
	if (!*size || *size == UINT64_MAX)
		*size = -granule;
	if (shape->flags & IOG_PGTABLE_SIGN_EXTENDED && *at < middle && *size > middle - *at)
		*size = middle - *at;
}

/* Memory ends, too: the largest pages are as large as half of it. */
static void fit_memory(const struct shape *shape, uint64_t *paddr, uint64_t *size)
{
	const uint64_t end = UINT64_C(1) << shape->geometry->oas;

	if (*size > end)
		*size = end;
	if (*paddr > end - *size)
		*paddr = 0;
}

/* Mostly small pages within a few tables of an edge: collisions are wanted. */
static uint64_t pick_address(const struct shape *shape, uint64_t align, uint64_t *seed)
{
	const uint64_t large = shape_page(shape, 1);
	uint64_t edge[16], at, reach = align > large ? 2 * shape_page(shape, 2) : 2 * large;
	uint32_t nr = edges(shape, edge);

	/* Most calls share one edge, or tables would seldom meet. */
	at = edge[kit_random(seed) % 3 && nr > 2 ? (kit_random(seed) >> 32) % 2 + 1 : kit_random(seed) % nr];
	at = at - reach + kit_random(seed) % (2 * reach);
	if (kit_random(seed) % 3 == 0)
		at &= ~(large - 1);
	return at & ~(align - 1) & shape_last(shape);
}

/* Leaf sizes that the page table uses. */
static uint64_t sizes_of(const struct shape *shape, const struct bed_options *options)
{
	return shape_sizes(shape, options->page_sizes ? options->page_sizes : shape->geometry->granule_shift == 12 ? CLASSIC_SIZES : 0);
}

static uint64_t pick_size(const struct shape *shape, uint64_t *seed)
{
	const uint64_t page = shape_granule(shape), large = shape_page(shape, 1);

	switch (kit_random(seed) % 16) {
	case 0:
		return large;
	case 1:
		return (1 + kit_random(seed) % 4) * large;
	case 2:
		return (1 + kit_random(seed) % 1500) * page;
	case 3:
		return shape_page(shape, 2);
	case 4:
		return large + (1 + kit_random(seed) % 600) * page;
	case 5:
	case 6:
		return (1 + kit_random(seed) % 512) * page;
	case 7:
		/* About a group. */
		return (UINT64_C(1) << kit_random(seed) % 8) * page;
	default:
		return (1 + kit_random(seed) % 12) * page;
	}
}

/* One of the sizes; half of the larger ones are of level 1 or 2. */
static uint64_t pick_page(const struct shape *shape, uint64_t sizes, uint64_t *seed)
{
	uint64_t wanted = shape_page(shape, kit_random(seed) % 4 ? 1 : 2);

	if (kit_random(seed) % (shape->geometry->groups ? 3 : 8))
		return shape_granule(shape);
	if (sizes & wanted && (!shape->geometry->groups || kit_random(seed) % 2))
		return wanted;
	/* Any, but few of those that hold more than a table of level 1 would. */
	if (kit_random(seed) % 8)
		sizes &= shape_page(shape, 2) - 1;
	for (;;) {
		wanted = UINT64_C(1) << kit_random(seed) % 64;
		if (sizes & wanted)
			return wanted;
	}
}

static void pick_pages(struct op *op, const struct shape *shape, const struct bed_options *options, uint64_t *seed)
{
	op->pgsize = pick_page(shape, sizes_of(shape, options), seed);
	if (op->pgsize == shape_granule(shape))
		op->count = kit_random(seed) % 6 ? 1 + kit_random(seed) % 20 : 1 + kit_random(seed) % 1200;
	else
		op->count = 1 + kit_random(seed) % 3;
}

/* Whether a map takes less than about a thousand leaves: those of its largest size do not number more. */
static bool large_enough(const struct op *op, const struct shape *shape, const struct bed_options *options)
{
	uint64_t sizes = sizes_of(shape, options), differ = op->at ^ op->paddr, page = shape_granule(shape);

	for (uint32_t bit = 0; bit < 63; bit++)
		if (sizes >> bit & 1 && !(differ % (UINT64_C(1) << bit)) && UINT64_C(1) << bit <= op->size)
			page = UINT64_C(1) << bit;
	return op->size / page < 2000;
}

static void generate_op(struct op *op, const struct shape *shape, const struct bed_options *options, uint64_t *seed)
{
	static const uint8_t weights[OP_KINDS] = {
		[OP_MAP] = 24,	[OP_MAP_PAGES] = 22, [OP_UNMAP] = 24,	 [OP_UNMAP_PAGES] = 14, [OP_LOOKUP] = 5,     [OP_VISIT] = 3,
		[OP_TRIM] = 3, [OP_TRIM_MEMORY] = 1, [OP_FLUSH] = 12, [OP_COMPLETE] = 3,	[OP_FAIL_FLUSH] = 2, [OP_FAIL_ALLOC] = 2,
	};
	static const uint32_t prots[] = {
		IOG_PROT_READ,
		RW,
		RW,
		RW | IOG_PROT_EXEC,
		RW | IOG_PROT_COHERENT,
		IOG_PROT_READ | IOG_PROT_COHERENT,
		IOG_PROT_WRITE,
		IOG_PROT_WRITE | IOG_PROT_EXEC | IOG_PROT_COHERENT,
	};
	const uint64_t granule = shape_granule(shape), largest = shape_page(shape, 2);
	uint32_t total = 0, pick;

	memset(op, 0, sizeof(*op));
	for (uint32_t i = 0; i < OP_KINDS; i++)
		total += weights[i];
	pick = (uint32_t)(kit_random(seed) % total);
	for (uint32_t i = 0; pick >= weights[i]; i++) {
		pick -= weights[i];
		op->kind = i + 1;
	}
	op->lane = (uint32_t)(kit_random(seed) >> 20) % BED_LANES;
	op->gather = (uint32_t)(kit_random(seed) >> 20) % BED_GATHERS;
	op->prot = prots[kit_random(seed) % 8];
	if (shape->geometry->prot & IOG_PROT_DEVICE && !(kit_random(seed) % 4))
		op->prot |= kit_random(seed) % 2 ? IOG_PROT_NOCACHE : IOG_PROT_DEVICE;
	op->paddr = (kit_random(seed) & UINT64_C(0xffffffff)) << 12 & ~(granule - 1);
	/* Where address bits move to another place. */
	if (shape->geometry->oas > 48 && !(kit_random(seed) % 4))
		op->paddr |= kit_random(seed) % 2 ? UINT64_C(5) << 48 : UINT64_C(0x0000ffffc0000000) & ~(granule - 1);
	op->count = 1 + kit_random(seed) % 3;
	op->size = pick_size(shape, seed);
	if (op->kind == OP_MAP_PAGES || op->kind == OP_UNMAP_PAGES) {
		pick_pages(op, shape, options, seed);
		op->size = op->pgsize * op->count;
	} else {
		op->pgsize = granule;
	}
	op->at = pick_address(shape, op->kind != OP_MAP_PAGES && op->kind != OP_UNMAP_PAGES && op->size >= largest ? largest : op->pgsize, seed);
	if (op->kind == OP_UNMAP && kit_random(seed) % 40 == 0) {
		/* From somewhere to the end of the half or of the space. */
		op->at &= kit_random(seed) % 2 ? 0 : UINT64_MAX;
		op->size = UINT64_MAX;
	}
	/* So that large leaves come about. */
	if (kit_random(seed) % 2)
		op->paddr = (op->paddr & ~(largest - 1)) | (op->at & (largest - 1));
	op->paddr &= ~(op->pgsize - 1);
	if (op->kind == OP_MAP && !large_enough(op, shape, options))
		op->size = 600 * granule;
	fit(shape, &op->at, &op->size);
	if (op->kind == OP_MAP || op->kind == OP_MAP_PAGES)
		fit_memory(shape, &op->paddr, &op->size);
	op->count = op->kind == OP_MAP_PAGES || op->kind == OP_UNMAP_PAGES ? op->size / op->pgsize : op->count;
	if (!op->count) {
		/* A large page before the middle, cut off. */
		op->at &= ~(op->pgsize - 1);
		op->count = 1;
		op->size = op->pgsize;
	}
}

void sequence_generate(struct op *ops, size_t nr, const struct shape *shape, const struct bed_options *options, uint64_t seed)
{
	for (size_t i = 0; i < nr; i++)
		generate_op(&ops[i], shape, options, &seed);
}

void sequence_print(const struct shape *shape, const struct op *op)
{
	uint64_t iova = shape_iova(shape, op->at);

	switch (op->kind) {
	case OP_MAP:
		printf("\tmap(0x%" PRIx64 " -> 0x%" PRIx64 ", 0x%" PRIx64 " bytes, prot %u), lane %u gather %u\n", iova, op->paddr, op->size, op->prot, op->lane,
		       op->gather);
		break;
	case OP_MAP_PAGES:
		printf("\tmap_pages(0x%" PRIx64 " -> 0x%" PRIx64 ", %" PRIu64 " * 0x%" PRIx64 ", prot %u), lane %u gather %u\n", iova, op->paddr, op->count,
		       op->pgsize, op->prot, op->lane, op->gather);
		break;
	case OP_UNMAP:
		printf("\tunmap(0x%" PRIx64 ", 0x%" PRIx64 " bytes), lane %u gather %u\n", iova, op->size, op->lane, op->gather);
		break;
	case OP_UNMAP_PAGES:
		printf("\tunmap_pages(0x%" PRIx64 ", %" PRIu64 " * 0x%" PRIx64 "), lane %u gather %u\n", iova, op->count, op->pgsize, op->lane, op->gather);
		break;
	case OP_LOOKUP:
		printf("\tlookup(0x%" PRIx64 "), lane %u\n", iova, op->lane);
		break;
	case OP_VISIT:
		printf("\tvisit(0x%" PRIx64 ", 0x%" PRIx64 " bytes), lane %u\n", iova, op->size, op->lane);
		break;
	case OP_TRIM:
		printf("\ttrim(), lane %u gather %u\n", op->lane, op->gather);
		break;
	case OP_TRIM_MEMORY:
		printf("\ttablemem_trim(), lane %u\n", op->lane);
		break;
	case OP_FLUSH:
		printf("\tgather_flush(), lane %u gather %u\n", op->lane, op->gather);
		break;
	case OP_COMPLETE:
		printf("\tgather_complete(), lane %u gather %u\n", op->lane, op->gather);
		break;
	case OP_FAIL_FLUSH:
		printf("\tthe next flush fails\n");
		break;
	case OP_FAIL_ALLOC:
		printf("\tallocation %" PRIu64 " from here on fails\n", op->count);
		break;
	case OP_KINDS:
		break;
	}
}

/* ---- running ---- */

struct run {
	struct bed *bed;
	struct model model;
	char *why;
};

__attribute__((format(printf, 2, 3))) static bool wrong(struct run *run, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(run->why, 256, format, args);
	va_end(args);
	return false;
}

/* Leaves that a visit reports. */
struct visited {
	const struct run *run;
	size_t next;    /* of the model */
	uint64_t nr;
	const char *wrong;
};

static int visit_leaf(iog_iova_t iova, const struct iog_leaf *leaf, void *ctx)
{
	struct visited *v = ctx;
	const struct model *model = &v->run->model;
	const struct hw_leaf *expected = &model->leaves[v->next];

	if (v->next == model->nr)
		v->wrong = "visit reports a leaf that should not be there";
	else if (iova != shape_iova(model->shape, expected->iova) || leaf->paddr != expected->paddr || leaf->page_size != expected->size ||
		 leaf->prot != expected->prot)
		v->wrong = "visit reports another leaf than it should";
	v->next++;
	v->nr++;
	return v->wrong != NULL;
}

/* From @at to @last, inclusive. */
static bool check_visit(struct run *run, uint32_t lane, uint64_t at, uint64_t last)
{
	struct visited v = { .run = run, .next = model_lower(&run->model, at) };
	size_t end = model_lower(&run->model, last);
	uint64_t iova = shape_iova(run->bed->shape, at);
	int result = iog_pgtable_visit(run->bed->pt, lane, iova, iova + (last - at), visit_leaf, &v);

	/* One that begins in the range and ends beyond it. */
	if (end < run->model.nr && run->model.leaves[end].iova <= last)
		end++;
	if (v.wrong)
		return wrong(run, "%s (number %" PRIu64 " of this visit)", v.wrong, v.nr);
	if (result)
		return wrong(run, "visit returned %d", result);
	if (v.next != end)
		return wrong(run, "visit reports %" PRIu64 " leaves and misses %zu", v.nr, end - v.next);
	return true;
}

static bool check_leaves(struct run *run)
{
	const struct hw_scan *scan = &run->bed->memory;

	if (scan->nr_leaves != run->model.nr)
		return wrong(run, "%zu leaves in memory, %zu expected", scan->nr_leaves, run->model.nr);
	for (size_t i = 0; i < scan->nr_leaves; i++) {
		struct hw_leaf expected = run->model.leaves[i];

		expected.iova = shape_iova(run->bed->shape, expected.iova);
		if (!hw_same_leaf(&scan->leaves[i], &expected))
			return wrong(run, "memory: 0x%" PRIx64 " -> 0x%" PRIx64 " size 0x%" PRIx64 " prot %u; expected: 0x%" PRIx64 " -> 0x%" PRIx64
				     " size 0x%" PRIx64 " prot %u", scan->leaves[i].iova, scan->leaves[i].paddr, scan->leaves[i].size, scan->leaves[i].prot,
				     expected.iova, expected.paddr, expected.size, expected.prot);
	}
	return true;
}

static bool check_all(struct run *run, uint32_t lane)
{
	const uint64_t last = shape_last(run->bed->shape);
	const char *text = bed_check(run->bed);

	if (text)
		return wrong(run, "%s", text);
	if (!check_leaves(run))
		return false;
	if (run->bed->shape->flags & IOG_PGTABLE_SIGN_EXTENDED)
		return check_visit(run, lane, 0, last / 2) && check_visit(run, lane, last / 2 + 1, last);
	return check_visit(run, lane, 0, last);
}

static bool check_lookup(struct run *run, const struct op *op, uint64_t at)
{
	const struct hw_leaf *expected = model_find(&run->model, at);
	uint64_t iova = shape_iova(run->bed->shape, at);
	struct iog_leaf leaf = { 1, 2, 3 };
	struct hw_leaf seen;
	int result = iog_pgtable_lookup(run->bed->pt, op->lane, iova, &leaf);
	bool lands = hw_translate(&run->bed->host, run->bed->shape, &run->bed->root, run->bed->options.flags & IOG_PGTABLE_NONCOHERENT, iova, &seen);

	if (!expected) {
		if (result != -IOG_ENOENT || leaf.paddr != 1 || leaf.page_size != 2 || leaf.prot != 3)
			return wrong(run, "lookup of nothing: %d, paddr 0x%" PRIx64, result, leaf.paddr);
		return lands ? wrong(run, "hardware would land where nothing is mapped") : true;
	}
	if (result || leaf.paddr != expected->paddr + (at - expected->iova) || leaf.page_size != expected->size || leaf.prot != expected->prot)
		return wrong(run, "lookup: %d, paddr 0x%" PRIx64 " size 0x%" PRIx64 " prot %u", result, leaf.paddr, leaf.page_size, leaf.prot);
	if (!lands || seen.paddr != leaf.paddr || seen.prot != leaf.prot)
		return wrong(run, "hardware would not do what lookup says");
	return true;
}

/* Which of the injected failures may have ended a call with @error. */
struct injected {
	uint64_t flushes;
	uint64_t allocations;
};

static bool may_have_failed(const struct run *run, const struct injected *before, int error)
{
	return (error == -IOG_ETIMEDOUT && run->bed->failed_flushes > before->flushes) ||
	       (error == -IOG_ENOMEM && run->bed->host.failed > before->allocations);
}

static bool run_map(struct run *run, const struct op *op, struct iog_gather *gather, const struct injected *before)
{
	uint64_t iova = shape_iova(run->bed->shape, op->at), mapped = 0, expected_mapped = 0;
	struct model *model = &run->model;
	int result, expected;

	if (op->kind == OP_MAP) {
		result = iog_pgtable_map(run->bed->pt, iova, op->paddr, op->size, op->prot, gather);
		if (may_have_failed(run, before, result))
			return true;
		expected = model_map(model, op->at, op->paddr, op->size, op->prot);
	} else {
		result = iog_pgtable_map_pages(run->bed->pt, iova, op->paddr, op->pgsize, op->count, op->prot, gather, &mapped);
		if (may_have_failed(run, before, result)) {
			expected = model_map_pages(model, op->at, op->paddr, op->pgsize, mapped / op->pgsize, op->prot, &expected_mapped);
			return expected || mapped > op->size || mapped % op->pgsize ? wrong(run, "map_pages stopped at 0x%" PRIx64, mapped) : true;
		}
		expected = model_map_pages(model, op->at, op->paddr, op->pgsize, op->count, op->prot, &expected_mapped);
	}
	if (result != expected || mapped != expected_mapped)
		return wrong(run, "returned %d with 0x%" PRIx64 " bytes mapped; expected %d with 0x%" PRIx64, result, mapped, expected, expected_mapped);
	return true;
}

static bool run_unmap(struct run *run, const struct op *op, struct iog_gather *gather, const struct injected *before)
{
	uint64_t iova = shape_iova(run->bed->shape, op->at), unmapped = 1, expected_unmapped;
	struct bed *bed = run->bed;
	int result, expected;

	if (op->kind == OP_UNMAP)
		result = iog_pgtable_unmap(bed->pt, iova, op->size, gather, &unmapped);
	else
		result = iog_pgtable_unmap_pages(bed->pt, iova, op->pgsize, op->count, gather, &unmapped);
	if (may_have_failed(run, before, result)) {
		if (result == -IOG_ETIMEDOUT)
			return model_unmap_bytes(&run->model, op->at, op->size, unmapped) ? true
				       : wrong(run, "0x%" PRIx64 " bytes unmapped before a flush failed", unmapped);
		/* Nothing was unmapped, but leaves may have been split. */
		if (unmapped || !hw_scan(&bed->host, bed->shape, &bed->root, false, &bed->memory) ||
		    !model_adopt(&run->model, bed->memory.leaves, bed->memory.nr_leaves))
			return wrong(run, "unmap found no memory and has changed translations, 0x%" PRIx64 " bytes unmapped", unmapped);
		return true;
	}
	expected = model_unmap(&run->model, op->at, op->size, &expected_unmapped);
	if (result != expected || unmapped != expected_unmapped)
		return wrong(run, "returned %d with 0x%" PRIx64 " bytes unmapped; expected %d with 0x%" PRIx64, result, unmapped, expected,
			     expected_unmapped);
	return true;
}

static bool run_trim(struct run *run, struct iog_gather *gather, const struct injected *before)
{
	struct bed *bed = run->bed;
	uint64_t tables_before = bed_tables(bed), given = 0;
	int result = iog_pgtable_trim(bed->pt, gather, &given);

	if (bed_tables(bed) + given != tables_before)
		return wrong(run, "trim says %" PRIu64 " tables, but there were %" PRIu64 " and are %" PRIu64, given, tables_before, bed_tables(bed));
	if (may_have_failed(run, before, result))
		return true;
	if (result)
		return wrong(run, "trim returned %d", result);
	if (!shape_reclaims(bed->shape))
		return given ? wrong(run, "trim gave tables back") : true;
	hw_scan(&bed->host, bed->shape, &bed->root, false, &bed->memory);
	for (uint32_t level = 0; level < IOG_LEVELS_MAX; level++)
		if (bed->memory.tombstones[level])
			return wrong(run, "a table is unlinked and not given back after trim");
	return bed->memory.blank ? wrong(run, "%" PRIu64 " empty tables are left after trim", bed->memory.blank) : true;
}

static bool run_flush(struct run *run, struct iog_gather *gather, const struct injected *before)
{
	const uint32_t tables = gather->nr_tables, ranges = gather->nr_ranges;
	int result = iog_gather_flush(gather);

	if (may_have_failed(run, before, result))
		return gather->nr_tables == tables && gather->nr_ranges == ranges ? true : wrong(run, "a flush failed and the gather changed");
	if (result || !iog_gather_is_empty(gather))
		return wrong(run, "flush returned %d, %u tables left", result, gather->nr_tables);
	return true;
}

static bool run_op(struct run *run, const struct op *op)
{
	struct bed *bed = run->bed;
	struct iog_gather *gather = &bed->gather[op->lane][op->gather];
	const struct injected before = { bed->failed_flushes, bed->host.failed };
	uint32_t fails_left = bed->fail_flushes;

	switch (op->kind) {
	case OP_MAP:
	case OP_MAP_PAGES:
		return run_map(run, op, gather, &before);
	case OP_UNMAP:
	case OP_UNMAP_PAGES:
		return run_unmap(run, op, gather, &before);
	case OP_LOOKUP:
		return check_lookup(run, op, op->at) && check_lookup(run, op, op->at + op->size - 1);
	case OP_VISIT:
		return check_visit(run, op->lane, op->at, op->at + op->size - 1);
	case OP_TRIM:
		return run_trim(run, gather, &before);
	case OP_TRIM_MEMORY:
		return !iog_tablemem_trim(bed->mem, op->lane) || wrong(run, "tablemem_trim failed");
	case OP_FLUSH:
		return run_flush(run, gather, &before);
	case OP_COMPLETE:
		iog_gather_complete(gather);
		return iog_gather_is_empty(gather) || wrong(run, "the gather is not empty after its completion");
	case OP_FAIL_FLUSH:
		bed->fail_flushes = fails_left + 1;
		return true;
	case OP_FAIL_ALLOC:
		bed->host.fail_in = op->count;
		return true;
	case OP_KINDS:
		break;
	}
	return wrong(run, "no such operation");
}

/* Everything unmapped and trimmed: only the root is left, of tables and of memory. */
static bool run_end(struct run *run)
{
	const uint64_t half = shape_last(run->bed->shape) / 2 + 1;
	struct bed *bed = run->bed;
	struct op op = { .kind = OP_UNMAP, .pgsize = shape_granule(bed->shape), .size = 2 * half };
	const struct injected none = { UINT64_MAX, UINT64_MAX };

	bed->host.fail_in = 0;
	bed->fail_flushes = 0;
	if (bed->shape->flags & IOG_PGTABLE_SIGN_EXTENDED || !op.size) {
		/* A leaf of half the space does not reach across. */
		op.size = half;
		if (!run_unmap(run, &op, &bed->gather[0][0], &none))
			return false;
		op.at = half;
	}
	if (!run_unmap(run, &op, &bed->gather[0][0], &none) || !check_all(run, 0))
		return false;
	bed_trim(bed);
	if (!check_all(run, 0))
		return false;
	if (shape_reclaims(bed->shape) && (bed_tables(bed) != 1 || bed->host.page_bytes != shape_root_bytes(bed->shape)))
		return wrong(run, "%" PRIu64 " tables and %" PRIu64 " bytes are left at the end", bed_tables(bed), bed->host.page_bytes);
	return true;
}

bool sequence_run(const struct shape *shape, const struct bed_options *options, const struct op *ops, size_t nr, char why[256], size_t *at)
{
	struct run run = { .bed = bed_create(shape, options), .why = why };
	const char *text;
	bool fine = true;

	model_init(&run.model, shape, sizes_of(shape, options), options->flags & IOG_PGTABLE_SPLIT);
	for (*at = 0; fine && *at < nr; ++*at) {
		fine = run_op(&run, &ops[*at]) && check_all(&run, ops[*at].lane);
		if (!fine)
			break;
	}
	fine = fine && run_end(&run);
	model_free(&run.model);
	text = bed_finish(run.bed);
	if (fine && text) {
		snprintf(why, 256, "%s", text);
		fine = false;
	}
	return fine;
}

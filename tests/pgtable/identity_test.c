/* SPDX-License-Identifier: MIT */
/*
 * Dynamic 1:1 entries, one thread: random calls of two lanes against a reference, over every format and variant that has them, with failing flushes and a device whose IOTLB may
 * have cached whatever it could have read; users up to the bound; allocations that fail; calls that must be refused.
 *
 * IOG_SEED=n replays; IOG_SHAPE=text runs only shapes whose name contains it; IOG_TEST_SCALE=percent.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pgtable/identity.h"

#include "bed.h"

#define REGIONS 3
#define REGION_PAGES 12
#define PAGES (REGIONS * REGION_PAGES)
#define MAPPINGS 40
#define RECORDS 64
#define OPS 1000

/* Permissions, as indices of a set. */
static const uint32_t prots[] = { IOG_PROT_READ, IOG_PROT_WRITE, RW, RW | IOG_PROT_COHERENT };
#define PROTS 4
#define ABSENT (1u << 15)

/* Of the shape at hand: bytes of a page, of what a leaf table spans, and of what the table above it spans. */
static uint64_t granule, block, high;
/* Regions: across two leaf tables, across two tables above them, and one table on its own. */
static uint64_t region[REGIONS];

static void measure(const struct shape *shape)
{
	granule = shape_page(shape, 0);
	block = shape_page(shape, 1);
	high = shape_page(shape, 2);
	region[0] = 4 * block - 5 * granule;
	region[1] = 3 * high - 7 * granule;
	region[2] = 9 * block;
}

static uint64_t seed;

struct page {
	uint32_t users;
	uint32_t prot;
	bool stale;
	bool plain; /* mapped by iog_pgtable_map() */
	uint64_t stamp;
	uint32_t cached; /* the device may have: a bit per permission (as the format has it), ABSENT */
};

struct mapping {
	uint32_t first, n, prot;
};

struct record {
	uint32_t first, n;
	uint64_t stamp;
	uint32_t lane, gather;
};

struct trial {
	struct bed *bed;
	const struct shape *shape;
	uint64_t random;
	uint32_t users_max;
	bool caches_absent;
	struct page page[PAGES];
	struct mapping mapping[MAPPINGS];
	uint32_t nr_mappings;
	struct record record[RECORDS];
	uint32_t nr_records;
	struct iog_gather gather[BED_LANES][BED_GATHERS];
	bool submitted[BED_LANES][BED_GATHERS];
	uint32_t sequence[BED_LANES][BED_GATHERS];
	uint32_t fail_flushes;
};

static uint64_t below(struct trial *t, uint64_t n)
{
	return kit_random(&t->random) % n;
}

static uint64_t paddr_of(uint32_t page)
{
	return region[page / REGION_PAGES] + page % REGION_PAGES * granule;
}

static uint32_t lowest(uint64_t bits)
{
	uint32_t n = 0;

	while (!(bits >> n & 1))
		n++;
	return n;
}

/* The entry in memory, or as a walker that does not snoop sees it; NULL where no table is linked. */
static _Atomic uint64_t *raw_slot_in(const struct trial *t, uint64_t iova, bool shadow)
{
	uint64_t table = t->bed->root.paddr;

	for (uint32_t level = t->bed->root.levels - 1;; level--) {
		uint64_t index = iova >> shape_shift(t->shape, level);
		struct hw_entry decoded;
		_Atomic uint64_t *slot;

		if (level < t->bed->root.levels - 1)
			index &= (UINT64_C(1) << t->shape->geometry->level_bits) - 1;
		slot = &host_memory(&t->bed->host, table, shadow)[index];
		if (!level)
			return slot;
		decoded = hw_decode(t->shape, *slot, level, (uint32_t)index);
		if (!decoded.present)
			return NULL;
		table = decoded.paddr;
	}
}

static _Atomic uint64_t *raw_slot(const struct trial *t, uint64_t iova)
{
	return raw_slot_in(t, iova, false);
}

/* What is in it; 0 where there is none. */
static uint64_t raw_entry(const struct trial *t, uint64_t iova, bool shadow)
{
	_Atomic uint64_t *slot = raw_slot_in(t, iova, shadow);

	return slot ? *slot : 0;
}

/* What hardware makes of an entry: a permission, or 0. */
static uint32_t hardware(const struct trial *t, uint64_t entry, uint64_t paddr)
{
	uint32_t index = (uint32_t)(paddr >> shape_shift(t->shape, 0)) & ((1u << t->shape->geometry->level_bits) - 1);
	struct hw_entry decoded = hw_decode(t->shape, entry & ~hw_software_bits(t->shape), 0, index);

	if (!decoded.present)
		return 0;
	assert_null(decoded.malformed);
	assert_int_equal(decoded.paddr, paddr);
	return decoded.allows;
}

/* The device may read any entry at any time. */
static void device_looks(struct trial *t, uint32_t page)
{
	uint64_t paddr = paddr_of(page);
	uint32_t prot = hardware(t, raw_entry(t, paddr, t->bed->options.flags & IOG_PGTABLE_NONCOHERENT), paddr);

	if (prot)
		t->page[page].cached |= 1u << prot;
	else if (t->caches_absent)
		t->page[page].cached |= ABSENT;
}

static int flush(const struct iog_gather *gather, void *ctx)
{
	struct trial *t = ctx;

	if (t->fail_flushes) {
		t->fail_flushes--;
		return -IOG_ETIMEDOUT;
	}
	for (uint32_t page = 0; page < PAGES; page++) {
		bool covered = gather->everything;

		for (uint32_t i = 0; i < gather->nr_ranges; i++)
			covered |= gather->ranges[i].first <= paddr_of(page) && paddr_of(page) <= gather->ranges[i].last;
		if (!covered)
			continue;
		t->page[page].cached = 0;
		device_looks(t, page);
	}
	return 0;
}

/* What a page looks like from outside, and what the device may have of it. */
static void check_page(struct trial *t, uint32_t number)
{
	struct page *page = &t->page[number];
	uint64_t paddr = paddr_of(number), entry = raw_entry(t, paddr, false);
	uint32_t seen = hardware(t, entry, paddr), pending = 0;
	struct iog_leaf leaf;
	int error = iog_pgtable_lookup(t->bed->pt, 0, paddr + 7, &leaf);

	assert_int_equal(error, page->users || page->plain ? 0 : -IOG_ENOENT);
	assert_int_equal(seen, page->users || page->plain ? page->prot : 0);
	if (t->bed->options.flags & IOG_PGTABLE_NONCOHERENT)
		assert_int_equal(hardware(t, raw_entry(t, paddr, true), paddr), seen);
	if (!error) {
		assert_int_equal(leaf.paddr, paddr + 7);
		assert_int_equal(leaf.prot, page->prot);
		assert_int_equal(leaf.page_size, granule);
	}
	if (!page->users && !page->plain)
		assert_int_equal(entry != 0, page->stale);
	device_looks(t, number);
	/* No more than is or was granted, and nothing that refuses what is. */
	for (uint32_t i = 0; i < t->nr_records; i++)
		if (number - t->record[i].first < t->record[i].n && !t->submitted[t->record[i].lane][t->record[i].gather])
			pending = page->prot;
	if (page->users || page->plain)
		assert_false(page->cached & ~(1u << page->prot));
	else
		assert_false(page->cached & ~(ABSENT | (pending ? 1u << pending : 0)));
}

static void check_all(struct trial *t)
{
	for (uint32_t page = 0; page < PAGES; page++)
		check_page(t, page);
	assert_true(iog_pgtable_is_valid(t->bed->pt));
}

static uint64_t stamp(const struct trial *t, uint32_t lane, uint32_t gather)
{
	return identity_stamp(lane, t->sequence[lane][gather] * BED_GATHERS + gather);
}

static void record(struct trial *t, uint32_t lane, uint32_t gather, uint32_t first, uint32_t n)
{
	assert_true(t->nr_records < RECORDS);
	t->record[t->nr_records++] = (struct record){ first, n, stamp(t, lane, gather), lane, gather };
}

/* One user less; returns whether it was the last. */
static bool leave(struct page *page, uint64_t by)
{
	if (--page->users)
		return false;
	page->stale = true;
	page->stamp = by;
	return true;
}

static uint32_t pick_gather(struct trial *t, uint32_t lane)
{
	uint32_t gather = (uint32_t)below(t, BED_GATHERS);

	return t->submitted[lane][gather] ? BED_GATHERS - 1 - gather : gather;
}

static void retire(struct trial *t, uint32_t lane, uint32_t gather)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < t->nr_records; i++) {
		struct record r = t->record[i];

		if (r.lane != lane || r.gather != gather) {
			t->record[kept++] = r;
			continue;
		}
		/* By any lane. */
		iog_pgtable_identity_retire(t->bed->pt, paddr_of(r.first), r.n * granule, r.stamp, &t->gather[below(t, BED_LANES)][0]);
		for (uint32_t page = r.first; page < r.first + r.n; page++)
			if (t->page[page].stale && t->page[page].stamp == r.stamp)
				t->page[page].stale = false;
	}
	t->nr_records = kept;
	t->submitted[lane][gather] = false;
	t->sequence[lane][gather]++;
}

/* Submit and, later or at once, retire. Returns whether the flush went well. */
static bool settle(struct trial *t, uint32_t lane, uint32_t gather, bool at_once)
{
	if (!t->submitted[lane][gather]) {
		if (iog_gather_flush(&t->gather[lane][gather]))
			return false;
		t->submitted[lane][gather] = true;
	}
	if (at_once)
		retire(t, lane, gather);
	return true;
}

/* The other gather is free, or this lane can do nothing. */
static bool ready(struct trial *t, uint32_t lane)
{
	if (!t->submitted[lane][0] || !t->submitted[lane][1])
		return true;
	retire(t, lane, (uint32_t)below(t, BED_GATHERS));
	return true;
}

static bool fits(const struct trial *t, const struct page *page, uint32_t prot)
{
	if (page->plain)
		return false;
	return page->users ? page->prot == prot && page->users < t->users_max : !page->stale || page->prot == prot;
}

static void op_map(struct trial *t)
{
	uint32_t lane = (uint32_t)below(t, BED_LANES), gather, first = (uint32_t)below(t, PAGES), n = 1, asked = prots[below(t, PROTS)];
	uint32_t prot = shape_prot(t->shape, asked), fail = t->fail_flushes, entered, bad;
	bool flushes = t->bed->options.flags & IOG_PGTABLE_FLUSH_ON_MAP, stale, expect_stale = false;
	int error, expect = 0;

	if (t->nr_mappings == MAPPINGS || t->nr_records + 2 > RECORDS || !ready(t, lane))
		return;
	gather = pick_gather(t, lane);
	if (below(t, 2))
		n += (uint32_t)below(t, REGION_PAGES - first % REGION_PAGES);
	for (bad = first; bad < first + n && fits(t, &t->page[bad], prot); bad++)
		;
	/* What cannot be had is seen before anything of its table is touched; other tables have been entered. */
	entered = bad;
	if (bad < first + n) {
		expect = -IOG_EEXIST;
		while (entered > first && paddr_of(entered - 1) / block == paddr_of(bad) / block)
			entered--;
	}
	if (!expect && flushes && fail)
		expect = -IOG_ETIMEDOUT;
	for (uint32_t page = first; page < entered; page++) {
		t->page[page].prot = prot;
		t->page[page].stale = false;
		t->page[page].users++;
	}

	error = iog_pgtable_identity_map(t->bed->pt, paddr_of(first), n * granule, asked, stamp(t, lane, gather), &t->gather[lane][gather], &stale);
	assert_int_equal(error, expect);
	if (!error) {
		t->mapping[t->nr_mappings++] = (struct mapping){ first, n, prot };
		assert_false(stale);
		return;
	}
	for (uint32_t page = first; page < entered; page++) {
		/* It was visible. */
		t->page[page].cached |= 1u << prot;
		expect_stale |= leave(&t->page[page], stamp(t, lane, gather));
	}
	assert_int_equal(stale, expect_stale);
	if (stale)
		record(t, lane, gather, first, entered - first);
}

static void op_unmap(struct trial *t, bool all)
{
	uint32_t lane = (uint32_t)below(t, BED_LANES), gather, pick;
	struct mapping m;
	bool stale, expect = false;

	if (!t->nr_mappings || !ready(t, lane))
		return;
	gather = pick_gather(t, lane);
	if (t->nr_records == RECORDS) {
		for (uint32_t l = 0; l < BED_LANES; l++)
			for (uint32_t g = 0; g < BED_GATHERS; g++)
				settle(t, l, g, true);
		if (t->nr_records == RECORDS)
			return;
		gather = pick_gather(t, lane);
	}
	pick = (uint32_t)below(t, t->nr_mappings);
	m = t->mapping[pick];
	t->mapping[pick] = t->mapping[--t->nr_mappings];
	for (uint32_t page = m.first; page < m.first + m.n; page++)
		expect |= leave(&t->page[page], stamp(t, lane, gather));
	/* A flush inside would be for tables; it fails no more than the call then says. */
	if (all)
		t->fail_flushes = 0;
	assert_int_equal(iog_pgtable_identity_unmap(t->bed->pt, paddr_of(m.first), m.n * granule, stamp(t, lane, gather), &t->gather[lane][gather], &stale), 0);
	assert_int_equal(stale, expect);
	if (stale)
		record(t, lane, gather, m.first, m.n);
}

/* Not mapped, or not all of it: refused, and nothing changes. */
static void op_unmap_wrong(struct trial *t)
{
	uint32_t first = (uint32_t)below(t, PAGES), n = 1 + (uint32_t)below(t, REGION_PAGES - first % REGION_PAGES), users = 0;
	bool stale = true;

	for (uint32_t page = first; page < first + n; page++)
		users += t->page[page].users != 0;
	if (users == n || !ready(t, 0))
		return;
	assert_int_equal(iog_pgtable_identity_unmap(t->bed->pt, paddr_of(first), n * granule, stamp(t, 0, pick_gather(t, 0)), &t->gather[0][pick_gather(t, 0)], &stale),
			 -IOG_ENOENT);
	assert_false(stale);
}

/* An entry of the other kind at its own address. */
static void op_plain(struct trial *t)
{
	uint32_t number = (uint32_t)below(t, PAGES), prot = RW;
	struct page *page = &t->page[number];
	struct iog_gather *gather;
	uint64_t unmapped;
	int error;

	if (!ready(t, 0))
		return;
	gather = &t->gather[0][pick_gather(t, 0)];
	if (page->plain) {
		t->fail_flushes = 0;
		assert_int_equal(iog_pgtable_unmap(t->bed->pt, paddr_of(number), granule, gather, &unmapped), 0);
		assert_int_equal(unmapped, granule);
		assert_int_equal(iog_gather_flush(gather), 0);
		page->plain = false;
		return;
	}
	t->fail_flushes = 0;
	error = iog_pgtable_map(t->bed->pt, paddr_of(number), paddr_of(number), granule, prot, gather);
	assert_int_equal(error, page->users || page->stale ? -IOG_EEXIST : 0);
	if (error)
		return;
	page->plain = true;
	page->prot = shape_prot(t->shape, prot);
}

static void step(struct trial *t)
{
	uint64_t pick = below(t, 100);

	if (pick < 40)
		op_map(t);
	else if (pick < 70)
		op_unmap(t, false);
	else if (pick < 85)
		settle(t, (uint32_t)below(t, BED_LANES), (uint32_t)below(t, BED_GATHERS), below(t, 2));
	else if (pick < 90)
		op_unmap_wrong(t);
	else if (pick < 93)
		op_plain(t);
	else if (pick < 96)
		t->fail_flushes = t->bed->options.trim_batch == 1 ? 0 : 1;
	else if (pick < 98 && ready(t, 1) && !t->fail_flushes)
		assert_int_equal(iog_pgtable_trim(t->bed->pt, &t->gather[1][pick_gather(t, 1)], NULL), 0);
}

static void trial_begin(struct trial *t, const struct shape *shape, const struct bed_options *options, uint64_t with)
{
	memset(t, 0, sizeof(*t));
	t->shape = shape;
	measure(shape);
	t->bed = bed_create(shape, options);
	t->random = with;
	t->users_max = iog_pgtable_identity_users(t->bed->pt);
	t->caches_absent = options->flags & IOG_PGTABLE_FLUSH_ON_MAP;
	for (uint32_t lane = 0; lane < BED_LANES; lane++)
		for (uint32_t i = 0; i < BED_GATHERS; i++)
			assert_int_equal(iog_gather_init(&t->gather[lane][i], t->bed->pt, lane, flush, t), 0);
}

/* Everything unmapped, flushed and retired: nothing is left. */
static void trial_end(struct trial *t)
{
	const char *wrong;

	t->fail_flushes = 0;
	for (uint32_t page = 0; page < PAGES; page++) {
		uint64_t unmapped;

		if (t->page[page].plain && ready(t, 0))
			assert_int_equal(iog_pgtable_unmap(t->bed->pt, paddr_of(page), granule, &t->gather[0][pick_gather(t, 0)], &unmapped), 0);
		t->page[page].plain = false;
	}
	while (t->nr_mappings)
		op_unmap(t, true);
	for (uint32_t lane = 0; lane < BED_LANES; lane++)
		for (uint32_t i = 0; i < BED_GATHERS; i++)
			assert_true(settle(t, lane, i, true));
	assert_int_equal(t->nr_records, 0);
	check_all(t);
	bed_trim(t->bed);
	/* What became empty from stale was not cleaned: a walker does not care. */
	t->bed->options.flags &= ~IOG_PGTABLE_NONCOHERENT;
	wrong = bed_check(t->bed);
	if (wrong)
		fail_msg("%s", wrong);
	assert_int_equal(t->bed->memory.nr_leaves, 0);
	if (shape_reclaims(t->shape))
		assert_int_equal(bed_tables(t->bed), 1);
	bed_destroy(t->bed);
}

static bool shape_wanted(const struct shape *shape)
{
	const char *want = getenv("IOG_SHAPE");

	/* Room for the regions, and levels for the tables that they need. */
	return (!want || strstr(shape->name, want)) && shape_last(shape) >> 1 >> (shape_shift(shape, 2) & 63) >= 3 && shape_top(shape) >= 2;
}

static void against_reference(void **state)
{
	static const struct bed_options options[] = {
		{ 0 },
		{ .trim_batch = 1 },
		{ .flags = IOG_PGTABLE_NONCOHERENT, .trim_batch = 2 },
		{ .flags = IOG_PGTABLE_FLUSH_ON_MAP },
		{ .flags = IOG_PGTABLE_FLUSH_ON_MAP | IOG_PGTABLE_NONCOHERENT, .trim_batch = 1 },
	};
	static struct trial t;

	(void)state;
	for (uint32_t s = 0; s < nr_shapes; s++) {
		if (!shape_wanted(&shapes[s]))
			continue;
		for (size_t o = 0; o < sizeof(options) / sizeof(options[0]); o++) {
			uint64_t ops = kit_scaled(OPS) / 5 + 1;

			trial_begin(&t, &shapes[s], &options[o], seed + s * 16 + o);
			for (uint64_t i = 0; i < ops; i++) {
				step(&t);
				check_all(&t);
			}
			trial_end(&t);
		}
	}
}

/* As many users as fit, then no more; and back. */
static void saturation(void **state)
{
	static const struct bed_options options;
	static struct trial t;

	(void)state;
	for (uint32_t s = 0; s < nr_shapes; s++) {
		struct iog_pgtable *pt;
		bool stale;

		if (!shape_wanted(&shapes[s]))
			continue;
		trial_begin(&t, &shapes[s], &options, seed);
		pt = t.bed->pt;
		assert_int_equal(t.users_max, hw_software_bits(&shapes[s]) >> lowest(hw_software_bits(&shapes[s])));
		for (uint32_t i = 0; i < t.users_max; i++)
			assert_int_equal(iog_pgtable_identity_map(pt, high, granule, RW, 1, &t.gather[i % 2][0], &stale), 0);
		assert_int_equal(iog_pgtable_identity_map(pt, high, granule, RW, 1, &t.gather[0][0], &stale), -IOG_EEXIST);
		assert_false(stale);
		/* With a neighbour that could be had, before and behind. */
		assert_int_equal(iog_pgtable_identity_map(pt, high - granule, 2 * granule, RW, 1, &t.gather[0][0], &stale), -IOG_EEXIST);
		assert_true(stale);
		assert_int_equal(iog_pgtable_identity_map(pt, high, 2 * granule, RW, 1, &t.gather[0][0], &stale), -IOG_EEXIST);
		assert_false(stale);
		assert_int_equal(hardware(&t, raw_entry(&t, high, false), high), shape_prot(&shapes[s], RW));
		for (uint32_t i = 0; i < t.users_max; i++) {
			assert_true(hardware(&t, raw_entry(&t, high, false), high));
			assert_int_equal(iog_pgtable_identity_unmap(pt, high, granule, 1, &t.gather[i % 2][0], &stale), 0);
			assert_int_equal(stale, i == t.users_max - 1);
		}
		assert_int_equal(iog_pgtable_identity_unmap(pt, high, granule, 1, &t.gather[0][0], &stale), -IOG_ENOENT);
		assert_int_equal(iog_gather_flush(&t.gather[0][0]), 0);
		assert_int_equal(iog_gather_flush(&t.gather[1][0]), 0);
		/* Another stamp retires nothing. */
		iog_pgtable_identity_retire(pt, high - granule, 2 * granule, 2, &t.gather[0][0]);
		assert_true(raw_entry(&t, high, false));
		iog_pgtable_identity_retire(pt, high - granule, 2 * granule, 1, &t.gather[0][0]);
		assert_false(raw_entry(&t, high, false));
		trial_end(&t);
	}
}

/* The nth allocation fails, for each n: nothing is left of the call but what it says. */
static void nth_failure(void **state)
{
	static const struct bed_options options = { .trim_batch = 1 };
	static struct trial t;

	(void)state;
	for (uint32_t s = 0; s < nr_shapes; s++) {
		uint32_t failed = 0;

		if (!shape_wanted(&shapes[s]))
			continue;
		measure(&shapes[s]);
		for (uint64_t n = 1;; n++) {
			const uint64_t at = high - block - granule, size = 2 * block;
			bool stale;
			int error;

			trial_begin(&t, &shapes[s], &options, seed);
			t.bed->host.fail_in = n;
			error = iog_pgtable_identity_map(t.bed->pt, at, size, RW, 5, &t.gather[0][0], &stale);
			t.bed->host.fail_in = 0;
			if (error) {
				assert_int_equal(error, -IOG_ENOMEM);
				failed++;
				for (uint64_t page = at; page < at + size; page += granule)
					assert_false(hardware(&t, raw_entry(&t, page, false), page));
				assert_int_equal(stale, raw_entry(&t, at, false) != 0);
			} else {
				assert_int_equal(iog_pgtable_identity_unmap(t.bed->pt, at, size, 5, &t.gather[0][0], &stale), 0);
				assert_true(stale);
			}
			assert_true(iog_pgtable_is_valid(t.bed->pt));
			assert_int_equal(iog_gather_flush(&t.gather[0][0]), 0);
			iog_pgtable_identity_retire(t.bed->pt, at, size, 5, &t.gather[1][0]);
			trial_end(&t);
			if (!error)
				break;
		}
		/* At least two slabs and what is above them. */
		assert_true(failed >= 2);
	}
}

static void refused(void **state)
{
	static const struct bed_options options;
	static struct trial t;
	struct iog_pgtable_ops ops;
	struct iog_pgtable *pt;
	const struct iog_pgtable_ops *was;
	struct iog_gather *gather;
	bool stale;

	(void)state;
	for (uint32_t s = 0; s < nr_shapes; s++) {
		uint64_t beyond;

		if (!shape_wanted(&shapes[s]))
			continue;
		trial_begin(&t, &shapes[s], &options, seed);
		pt = t.bed->pt;
		gather = &t.gather[0][0];
		beyond = (shape_last(&shapes[s]) >> (shapes[s].flags & IOG_PGTABLE_SIGN_EXTENDED ? 1 : 0)) + 1;
		assert_int_equal(iog_pgtable_identity_map(pt, 0x1800, granule, RW, 1, gather, &stale), -IOG_EINVAL);
		assert_int_equal(iog_pgtable_identity_map(pt, granule, 0, RW, 1, gather, &stale), -IOG_EINVAL);
		assert_int_equal(iog_pgtable_identity_map(pt, granule, granule, IOG_PROT_COHERENT, 1, gather, &stale), -IOG_EINVAL);
		if (beyond && beyond <= UINT64_C(1) << 52)
			assert_int_equal(iog_pgtable_identity_map(pt, beyond - granule, 2 * granule, RW, 1, gather, &stale), -IOG_ERANGE);
		assert_int_equal(iog_pgtable_identity_unmap(pt, 0x1800, granule, 1, gather, &stale), -IOG_EINVAL);
		assert_int_equal(iog_pgtable_identity_unmap(pt, granule, granule, 1, gather, &stale), -IOG_ENOENT);
		/* A large leaf is somebody else's. */
		assert_int_equal(iog_pgtable_map(pt, block, block, block, RW, gather), 0);
		assert_int_equal(iog_pgtable_identity_map(pt, block, granule, RW, 1, gather, &stale), -IOG_EEXIST);
		assert_int_equal(iog_pgtable_identity_unmap(pt, block, granule, 1, gather, &stale), -IOG_ENOENT);
		iog_pgtable_identity_retire(pt, block, granule, 1, gather);
		assert_int_equal(iog_pgtable_unmap(pt, block, block, gather, NULL), 0);
		/* A large leaf does not push stale entries away. */
		assert_int_equal(iog_pgtable_identity_map(pt, block, granule, RW, 1, gather, &stale), 0);
		assert_int_equal(iog_pgtable_identity_unmap(pt, block, granule, 1, gather, &stale), 0);
		assert_int_equal(iog_pgtable_map(pt, block, block, block, RW, gather), -IOG_EEXIST);
		assert_int_equal(iog_gather_flush(gather), 0);
		iog_pgtable_identity_retire(pt, block, granule, 1, gather);
		if (shape_reclaims(&shapes[s])) {
			assert_int_equal(iog_pgtable_map(pt, block, block, block, RW, gather), 0);
			assert_int_equal(iog_pgtable_unmap(pt, block, block, gather, NULL), 0);
		}
		/* A format without bits to spare. */
		was = pt->ops;
		ops = *was;
		ops.identity_users = 0;
		pt->ops = &ops;
		assert_int_equal(iog_pgtable_identity_users(pt), 0);
		assert_int_equal(iog_pgtable_identity_map(pt, granule, granule, RW, 1, gather, &stale), -IOG_EOPNOTSUPP);
		assert_int_equal(iog_pgtable_identity_unmap(pt, granule, granule, 1, gather, &stale), -IOG_EOPNOTSUPP);
		iog_pgtable_identity_retire(pt, granule, granule, 1, gather);
		pt->ops = was;
		assert_int_equal(iog_gather_flush(gather), 0);
		trial_end(&t);
	}
}

/* A table full of 1:1 entries says what a large leaf would, and counts users besides: it stays. What was dirty is told when the last user goes. */
static void dirty_and_whole(void **state)
{
	static const uint32_t flags[] = { 0, IOG_PGTABLE_BBM2 };
	static struct trial t;

	(void)state;
	for (uint32_t s = 0; s < nr_shapes; s++) {
		const struct bed_options options = { .flags = flags[shapes[s].geometry->breaks] };
		uint64_t tables, bitmap = 0;
		struct iog_gather *gather;
		struct iog_pgtable *pt;
		struct iog_leaf leaf;
		_Atomic uint64_t *entry;
		bool stale;

		if (!shape_wanted(&shapes[s]))
			continue;
		trial_begin(&t, &shapes[s], &options, seed);
		pt = t.bed->pt;
		gather = &t.gather[0][0];
		assert_int_equal(iog_pgtable_identity_map(pt, block, block, RW, 1, gather, &stale), 0);
		assert_int_equal(iog_pgtable_merge(pt, block, block, 0, gather, &tables), 0);
		assert_int_equal(tables, 0);
		assert_int_equal(iog_pgtable_lookup(pt, 0, block, &leaf), 0);
		assert_int_equal(leaf.page_size, granule);

		assert_int_equal(iog_pgtable_track_dirty(pt, true, gather), 0);
		assert_int_equal(iog_pgtable_identity_map(pt, 2 * block, granule, RW, 1, gather, &stale), 0);
		entry = raw_slot(&t, block + 3 * granule);
		*entry = hw_written(&shapes[s], *entry);
		assert_int_equal(iog_pgtable_read_dirty(pt, block, 8 * granule, granule, &bitmap, IOG_DIRTY_NO_CLEAR, gather), 0);
		assert_int_equal(bitmap, 1 << 3);
		assert_int_equal(iog_gather_flush(gather), 0);
		assert_int_equal(iog_pgtable_identity_unmap(pt, 2 * block, granule, 1, gather, &stale), 0);
		assert_int_equal(iog_pgtable_identity_unmap(pt, block, 3 * granule, 1, gather, &stale), 0);
		assert_false(gather->dirty);
		assert_int_equal(iog_pgtable_identity_unmap(pt, block + 3 * granule, block - 3 * granule, 1, gather, &stale), 0);
		assert_true(gather->dirty);
		assert_int_equal(iog_gather_flush(gather), 0);
		assert_int_equal(iog_pgtable_track_dirty(pt, false, gather), 0);
		iog_pgtable_identity_retire(pt, block, 2 * block, 1, gather);
		assert_int_equal(iog_gather_flush(gather), 0);
		trial_end(&t);
	}
}

/* Stale entries at the end of a page table's life. */
static void destroyed_stale(void **state)
{
	static const struct bed_options options;
	static struct trial t;
	bool stale;

	(void)state;
	for (uint32_t s = 0; s < nr_shapes; s++) {
		if (!shape_wanted(&shapes[s]))
			continue;
		trial_begin(&t, &shapes[s], &options, seed);
		assert_int_equal(iog_pgtable_identity_map(t.bed->pt, block, 3 * granule, RW, 1, &t.gather[0][0], &stale), 0);
		assert_int_equal(iog_pgtable_identity_unmap(t.bed->pt, block, 2 * granule, 1, &t.gather[0][0], &stale), 0);
		bed_destroy(t.bed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(against_reference),
		cmocka_unit_test(saturation),
		cmocka_unit_test(nth_failure),
		cmocka_unit_test(refused),
		cmocka_unit_test(dirty_and_whole),
		cmocka_unit_test(destroyed_stale),
	};

	seed = kit_seed("identity");
	return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}

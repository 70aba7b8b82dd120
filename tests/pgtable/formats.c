/* SPDX-License-Identifier: MIT */
/*
 * One suite over every format, variant and leaf size: what an entry says is what was asked for, in every place where an address can be special. The library, the tests' own walker and
 * the simulated unit, each with decoders of its own, have to agree.
 *
 * IOG_SHAPE=text runs only shapes whose name contains it.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iogate/host/sim.h>

#include "formats.h"

struct bed *wide_bed(const struct shape *shape, uint32_t flags)
{
	const struct bed_options options = { .flags = flags, .page_sizes = shape_sizes(shape, 0) };

	return bed_create(shape, &options);
}

uint64_t next_size(const struct shape *shape, uint64_t size)
{
	uint64_t sizes = shape_sizes(shape, 0) & ~(size ? 2 * size - 1 : 0);

	/* A half of a space that is in two halves. */
	sizes &= shape_last(shape) >> (shape->flags & IOG_PGTABLE_SIGN_EXTENDED ? 1 : 0);
	return sizes & -sizes;
}

uint64_t last_page(const struct shape *shape, uint64_t size)
{
	return shape_last(shape) - (size - 1);
}

uint64_t high_memory(const struct shape *shape, uint64_t size)
{
	return (UINT64_C(1) << shape->geometry->oas) - size;
}

void map_one(struct bed *bed, uint64_t at, uint64_t paddr, uint64_t size, uint32_t prot)
{
	uint64_t mapped = 0;

	assert_int_equal(iog_pgtable_map_pages(bed->pt, shape_iova(bed->shape, at), paddr, size, 1, prot, gather_of(bed), &mapped), 0);
	assert_int_equal(mapped, size);
}

void unmap_one(struct bed *bed, uint64_t at, uint64_t size)
{
	uint64_t unmapped = 0;

	assert_int_equal(iog_pgtable_unmap(bed->pt, shape_iova(bed->shape, at), size, gather_of(bed), &unmapped), 0);
	assert_int_equal(unmapped, size);
}

void is_mapped(struct bed *bed, uint64_t at, uint64_t paddr, uint64_t size, uint32_t prot)
{
	uint64_t iova = shape_iova(bed->shape, at);
	struct iog_leaf leaf;
	struct hw_leaf seen;

	assert_int_equal(iog_pgtable_lookup(bed->pt, 0, iova, &leaf), 0);
	assert_int_equal(leaf.paddr, paddr);
	assert_int_equal(leaf.page_size, size);
	assert_int_equal(leaf.prot, shape_prot(bed->shape, prot));
	assert_true(hw_translate(&bed->host, bed->shape, &bed->root, bed->options.flags & IOG_PGTABLE_NONCOHERENT, iova, &seen));
	assert_int_equal(seen.paddr, paddr);
	assert_int_equal(seen.size, size);
	assert_int_equal(seen.prot, shape_prot(bed->shape, prot));
}

void is_not_mapped(struct bed *bed, uint64_t at)
{
	uint64_t iova = shape_iova(bed->shape, at);
	struct iog_leaf leaf;
	struct hw_leaf seen;

	assert_int_equal(iog_pgtable_lookup(bed->pt, 0, iova, &leaf), -IOG_ENOENT);
	assert_false(hw_translate(&bed->host, bed->shape, &bed->root, bed->options.flags & IOG_PGTABLE_NONCOHERENT, iova, &seen));
}

void is_sound(struct bed *bed, size_t leaves)
{
	const char *wrong = bed_check(bed);

	if (wrong)
		fail_msg("%s", wrong);
	assert_int_equal(bed->memory.nr_leaves, leaves);
}

void ends(struct bed *bed)
{
	is_sound(bed, 0);
	bed_trim(bed);
	is_sound(bed, 0);
	if (shape_reclaims(bed->shape))
		assert_int_equal(bed->host.page_bytes, shape_root_bytes(bed->shape));
	bed_destroy(bed);
}

/* ---- entries ---- */

/* The unit, too, lands there, at both ends of the leaf, and does not do what the leaf forbids. */
static void unit_agrees(struct iog_sim_domain *domain, const struct bed *bed, uint64_t at, uint64_t paddr, uint64_t size, uint32_t prot)
{
	uint64_t iova = shape_iova(bed->shape, at), seen;

	prot = shape_prot(bed->shape, prot);
	for (uint32_t access = IOG_PROT_READ; access <= IOG_PROT_WRITE; access <<= 1) {
		bool allowed = prot & access;

		assert_int_equal(iog_sim_translate(domain, iova, access, &seen), allowed ? 0 : -IOG_EFAULT);
		assert_true(!allowed || seen == paddr);
		assert_int_equal(iog_sim_translate(domain, iova + (size - 1), access, &seen), allowed ? 0 : -IOG_EFAULT);
		assert_true(!allowed || seen == paddr + (size - 1));
	}
}

/* Every size, at the ends of the space and beside them, onto low and onto the highest memory, with every permission. */
static void entries_say_what_was_asked(void **state)
{
	static const struct iog_sim_config no_oracle = { .flags = IOG_SIM_NO_ORACLE };
	const struct shape *shape = *state;
	struct bed *bed = wide_bed(shape, 0);
	struct iog_sim_domain *domain;
	struct iog_sim *sim;

	assert_int_equal(iog_sim_create(&bed->host.platform, &no_oracle, &sim), 0);
	assert_int_equal(iog_sim_domain_create(sim, 1, &bed->root, &domain), 0);
	for (uint64_t size = 0; (size = next_size(shape, size));) {
		uint64_t places[] = { 0, last_page(shape, size), size, (shape_last(shape) / 2 + 1) & ~(size - 1) };
		uint64_t memory[] = { 0, high_memory(shape, size), (UINT64_C(0x5aa5a5a5a5a5a5a5) & (high_memory(shape, size))) };

		for (uint32_t prot = 1; prot < 64; prot++) {
			uint64_t at = places[prot % 4] & shape_last(shape) & ~(size - 1), paddr = memory[prot / 4 % 3] & ~(size - 1);

			if (!(prot & RW) || prot & (IOG_PROT_DEVICE | IOG_PROT_NOCACHE) & ~shape->geometry->prot)
				continue;
			map_one(bed, at, paddr, size, prot);
			is_mapped(bed, at, paddr, size, prot);
			is_mapped(bed, at + size - 1, paddr + size - 1, size, prot);
			unit_agrees(domain, bed, at, paddr, size, prot);
			if (prot % 16 == 3)
				is_sound(bed, 1);
			unmap_one(bed, at, size);
			is_not_mapped(bed, at);
			iog_sim_inval_domain(domain);
			assert_int_equal(iog_sim_inval_wait(sim), 0);
		}
		/* One more byte of memory than there is. */
		assert_int_equal(iog_pgtable_map_pages(bed->pt, 0, high_memory(shape, size) + size, size, 1, RW, gather_of(bed), NULL), -IOG_ERANGE);
	}
	iog_sim_domain_destroy(domain);
	iog_sim_destroy(sim);
	ends(bed);
}

/* A run of small pages from one table into the next, for tables of every level; and memory that crosses where entries hold its address in two places. */
static void runs_cross_every_border(void **state)
{
	const struct shape *shape = *state;
	const uint64_t page = shape_granule(shape), borders[] = { UINT64_C(1) << 48, UINT64_C(1) << 50, UINT64_C(1) << 33 };
	struct bed *bed = wide_bed(shape, 0);

	for (uint32_t level = 1; level <= shape_top(shape); level++) {
		uint64_t at = shape_page(shape, level) - 3 * page;

		assert_int_equal(iog_pgtable_map_pages(bed->pt, shape_iova(shape, at), page, page, 6, RW, gather_of(bed), NULL), 0);
		for (uint64_t i = 0; i < 6; i++)
			is_mapped(bed, at + i * page, (i + 1) * page, page, RW);
		unmap_one(bed, at, 6 * page);
	}
	for (uint32_t i = 0; i < 3; i++) {
		uint64_t paddr = borders[i] - 5 * page;

		if (shape->geometry->oas < 51 && i < 2)
			continue;
		for (uint64_t at = page; at < 130 * page; at += 64 * page) {
			assert_int_equal(iog_pgtable_map_pages(bed->pt, shape_iova(shape, at), paddr, page, 9, RW, gather_of(bed), NULL), 0);
			for (uint64_t k = 0; k < 9; k++)
				is_mapped(bed, at + k * page, paddr + k * page, page, RW);
		}
		is_sound(bed, 27);
		for (uint64_t at = page; at < 130 * page; at += 64 * page)
			unmap_one(bed, at, 9 * page);
	}
	ends(bed);
}

/* Each leaf is the largest that could begin where it does. */
struct greedy {
	const struct shape *shape;
	uint64_t at;
	uint64_t paddr;
	uint64_t left;
};

static int is_best(iog_iova_t iova, const struct iog_leaf *leaf, void *ctx)
{
	struct greedy *greedy = ctx;
	uint64_t best = 0, sizes = shape_sizes(greedy->shape, 0);

	for (uint32_t bit = 0; bit < 63; bit++) {
		uint64_t size = UINT64_C(1) << bit;

		if (sizes & size && size <= greedy->left && !(greedy->at % size) && !(greedy->paddr % size))
			best = size;
	}
	assert_int_equal(iova, shape_iova(greedy->shape, greedy->at));
	assert_int_equal(leaf->page_size, best);
	assert_int_equal(leaf->paddr, greedy->paddr);
	greedy->at += best;
	greedy->paddr += best;
	greedy->left -= best;
	return 0;
}

static uint64_t seed;

static void map_takes_the_best_sizes(void **state)
{
	const struct shape *shape = *state;
	const uint64_t page = shape_granule(shape), half = shape_last(shape) / 2;
	struct bed *bed = wide_bed(shape, 0);
	uint64_t random = seed;

	for (uint64_t round = kit_scaled(60); round; round--) {
		uint64_t size = (1 + kit_random(&random) % (UINT64_C(1) << kit_random(&random) % 13)) * page;
		uint64_t align = page << kit_random(&random) % 14;
		uint64_t at = kit_random(&random) & half & ~(align - 1);
		uint64_t paddr = kit_random(&random) & (high_memory(shape, page) >> 1) & ~(align - 1);
		struct greedy greedy = { shape, at, paddr, size };

		if (kit_random(&random) % 3 == 0)
			greedy.paddr = paddr = (paddr & ~(4096 * page - 1)) | (at & (4096 * page - 1));
		if (size > half || at > half - size)
			continue;
		assert_int_equal(iog_pgtable_map(bed->pt, shape_iova(shape, at), paddr, size, RW, gather_of(bed)), 0);
		assert_int_equal(iog_pgtable_visit(bed->pt, 0, shape_iova(shape, at), shape_iova(shape, at + size - 1), is_best, &greedy), 0);
		assert_int_equal(greedy.left, 0);
		unmap_one(bed, at, size);
	}
	ends(bed);
}

/* ---- groups ---- */

/* Without leave to split, a group goes as a whole or not at all; with it, what is outside the range stays. */
static void groups_are_cut_at_each_place(void **state)
{
	const struct shape *shape = *state;
	struct bed *whole = wide_bed(shape, 0), *bed = wide_bed(shape, IOG_PGTABLE_SPLIT);

	for (uint64_t size = 0; (size = next_size(shape, size));) {
		uint32_t level = 0;
		uint64_t member, n;

		while (shape_page(shape, level + 1) <= size)
			level++;
		member = shape_page(shape, level);
		n = size / member;
		if (n == 1 || level > 1 || size > shape_last(shape) / 4)
			continue;
		map_one(whole, size, 0, size, RW);
		/* At each place where there are few, at all kinds of places where there are many. */
		for (uint64_t cut = 1; cut < n; cut += n > 32 && cut % 8 == 1 && cut + 8 < n ? 7 : 1) {
			uint64_t unmapped = 1;

			assert_int_equal(iog_pgtable_unmap(whole->pt, shape_iova(shape, size), cut * member, gather_of(whole), &unmapped), -IOG_EINVAL);
			assert_int_equal(unmapped, 0);
			assert_int_equal(iog_pgtable_unmap(whole->pt, shape_iova(shape, size + cut * member), size - cut * member, gather_of(whole), NULL),
					 -IOG_EINVAL);
			is_mapped(whole, size + cut * member, cut * member, size, RW);

			map_one(bed, size, 0, size, RW);
			unmap_one(bed, size + cut * member, member);
			is_not_mapped(bed, size + cut * member);
			is_mapped(bed, size + (cut - 1) * member, (cut - 1) * member, member, RW);
			if (cut % 8 == 1)
				is_sound(bed, n - 1);
			assert_int_equal(iog_pgtable_unmap(bed->pt, shape_iova(shape, size), size, gather_of(bed), &unmapped), 0);
			assert_int_equal(unmapped, size - member);
		}
		is_sound(whole, 1);
		/* Nothing goes where one of its entries is taken, wherever that is. */
		assert_int_equal(iog_pgtable_map_pages(whole->pt, shape_iova(shape, size), 0, size, 1, RW, gather_of(whole), NULL), -IOG_EEXIST);
		unmap_one(whole, size, size);
		map_one(whole, size + (n - 1) * member, 0, member, RW);
		assert_int_equal(iog_pgtable_map_pages(whole->pt, shape_iova(shape, size), 0, size, 1, RW, gather_of(whole), NULL), -IOG_EEXIST);
		is_sound(whole, 1);
		unmap_one(whole, size + (n - 1) * member, member);
		if (level) {
			/* An empty table in the place of a member makes way. */
			map_one(whole, size + (n - 1) * member, 0, shape_granule(shape), RW);
			unmap_one(whole, size + (n - 1) * member, shape_granule(shape));
			map_one(whole, size, 0, size, RW);
			is_mapped(whole, size + size - 1, size - 1, size, RW);
			unmap_one(whole, size, size);
		}
	}
	ends(whole);
	ends(bed);
}

/* ---- growth ---- */

struct reader {
	struct bed *bed;
	_Atomic bool stop;
	_Atomic bool wrong;
};

static void *read_on(void *ctx)
{
	struct reader *reader = ctx;

	while (!atomic_load(&reader->stop)) {
		struct iog_leaf leaf;

		if (iog_pgtable_lookup(reader->bed->pt, 1, 5 * PAGE_4K + 7, &leaf) || leaf.paddr != 9 * PAGE_4K + 7)
			atomic_store(&reader->wrong, true);
	}
	return NULL;
}

static void roots_grow(void **state)
{
	static const uint32_t steps[] = { 22, 30, 31, 48, 57, 63, 64 };
	struct shape shape = *(const struct shape *)*state;
	const struct bed_options options = { .page_sizes = shape.geometry->page_sizes };
	struct reader reader = { NULL, false, false };
	struct iog_pgtable_root first;
	struct bed *bed;
	pthread_t thread;

	shape.ias = 21;
	reader.bed = bed = bed_create(&shape, &options);
	first = bed->root;
	map_one(bed, 5 * PAGE_4K, 9 * PAGE_4K, PAGE_4K, RW);
	assert_int_equal(pthread_create(&thread, NULL, read_on, &reader), 0);
	for (uint32_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		uint64_t last = UINT64_MAX >> (64 - steps[i]);

		assert_int_equal(iog_pgtable_map_pages(bed->pt, last & ~(PAGE_4K - 1), 0, PAGE_4K, 1, RW, gather_of(bed), NULL), -IOG_ERANGE);
		assert_int_equal(iog_pgtable_grow(bed->pt, steps[i]), 0);
		shape.ias = steps[i];
		iog_pgtable_root(bed->pt, &bed->root);
		assert_int_equal(bed->root.ias, steps[i]);
		assert_int_equal(bed->root.levels, (steps[i] - 12 + 8) / 9);
		map_one(bed, last_page(&shape, PAGE_4K), 3 * PAGE_4K, PAGE_4K, RW);
		is_mapped(bed, last, 4 * PAGE_4K - 1, PAGE_4K, RW);
		is_mapped(bed, 5 * PAGE_4K, 9 * PAGE_4K, PAGE_4K, RW);
		assert_true(iog_pgtable_is_valid(bed->pt));
	}
	atomic_store(&reader.stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_false(reader.wrong);
	assert_int_equal(iog_pgtable_grow(bed->pt, 48), -IOG_ERANGE);
	assert_int_equal(iog_pgtable_grow(bed->pt, 65), -IOG_ERANGE);
	/* Who still walks from the first root finds what is below it. */
	assert_non_null(hw_leaf_slot(&bed->host, &shape, &first, 5 * PAGE_4K));
	map_one(bed, UINT64_C(1) << 50, 0, UINT64_C(1) << 50, RW);
	assert_int_equal(iog_pgtable_unmap(bed->pt, 0, UINT64_C(1) << 63, gather_of(bed), NULL), 0);
	assert_int_equal(iog_pgtable_unmap(bed->pt, UINT64_C(1) << 63, UINT64_C(1) << 63, gather_of(bed), NULL), 0);
	bed_trim(bed);
	assert_true(iog_pgtable_is_valid(bed->pt));
	bed->shape = *state;
	if (shape_reclaims(&shape))
		assert_int_equal(bed_tables(bed), 6);
	bed_destroy(bed);
}

static void roots_stay(void **state)
{
	struct bed *bed = wide_bed(*state, 0);

	assert_int_equal(iog_pgtable_grow(bed->pt, bed->shape->ias), -IOG_EOPNOTSUPP);
	ends(bed);
}

static bool grows(const struct shape *shape)
{
	return !strcmp(shape->format, "amdv1");
}

static bool stays(const struct shape *shape)
{
	return !grows(shape);
}

static bool has_groups(const struct shape *shape)
{
	return shape->geometry->groups;
}

static bool breaks(const struct shape *shape)
{
	return shape->geometry->breaks;
}

int main(void)
{
	static const struct {
		const char *name;
		void (*test)(void **state);
		bool (*applies)(const struct shape *shape);
	} kinds[] = {
		{ "entries say what was asked", entries_say_what_was_asked, NULL },
		{ "runs cross every border", runs_cross_every_border, NULL },
		{ "map takes the best sizes", map_takes_the_best_sizes, NULL },
		{ "groups are cut at each place", groups_are_cut_at_each_place, has_groups },
		{ "roots grow", roots_grow, grows },
		{ "roots stay", roots_stay, stays },
		{ "tracks dirty", tracks_dirty, NULL },
		{ "protects", protects, NULL },
		{ "keeps software bits", keeps_software_bits, NULL },
		{ "splits and merges", splits_and_merges, NULL },
		{ "refuses without BBM level 2", refuses_without_bbm2, breaks },
	};
	const uint32_t nr_kinds = sizeof(kinds) / sizeof(kinds[0]);
	const char *only = getenv("IOG_SHAPE");
	struct CMUnitTest *tests = calloc(nr_shapes * nr_kinds, sizeof(*tests));
	size_t nr = 0;
	int failed;

	if (!tests)
		return 1;
	seed = kit_seed("formats");
	for (uint32_t k = 0; k < nr_kinds; k++) {
		for (uint32_t i = 0; i < nr_shapes; i++) {
			char *name;

			if ((kinds[k].applies && !kinds[k].applies(&shapes[i])) || (only && !strstr(shapes[i].name, only)))
				continue;
			name = malloc(96);
			if (!name)
				return 1;
			snprintf(name, 96, "%s: %s", shapes[i].name, kinds[k].name);
			tests[nr++] = (struct CMUnitTest){ .name = name, .test_func = kinds[k].test, .initial_state = (void *)(uintptr_t)&shapes[i] };
		}
	}
	failed = _cmocka_run_group_tests("formats", tests, nr, NULL, NULL);
	for (size_t i = 0; i < nr; i++)
		free((void *)(uintptr_t)tests[i].name);
	free(tests);
	return failed;
}

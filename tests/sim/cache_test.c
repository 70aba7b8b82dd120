/* SPDX-License-Identifier: MIT */
/*
 * IOTLB and walk caches: what hits, what misses, what is read from memory and what each invalidation drops, counted exactly; and all of
 * it against a plain model.
 */
#include <string.h>

#include "kit.h"

#define MiB (UINT64_C(1) << 20)
#define GiB (UINT64_C(1) << 30)

static const struct iog_sim_config no_oracle = { .flags = IOG_SIM_NO_ORACLE };

/* What one access of [@iova] did. */
static struct iog_sim_stats access_cost(struct kit *kit, uint64_t iova, uint64_t paddr)
{
	struct iog_sim_stats before = kit_stats(kit), after;

	kit_lands(kit, iova, IOG_PROT_READ, paddr);
	after = kit_stats(kit);
	after.iotlb_hits -= before.iotlb_hits;
	after.iotlb_misses -= before.iotlb_misses;
	after.walk_misses -= before.walk_misses;
	after.walk_reads -= before.walk_reads;
	for (int n = 0; n < IOG_LEVELS_MAX - 1; n++)
		after.walk_hits[n] -= before.walk_hits[n];
	return after;
}

static void costs_hit(struct kit *kit, uint64_t iova, uint64_t paddr)
{
	struct iog_sim_stats cost = access_cost(kit, iova, paddr);

	assert_int_equal(cost.iotlb_hits, 1);
	assert_int_equal(cost.iotlb_misses + cost.walk_misses + cost.walk_reads, 0);
}

/* A miss that started at a cached pointer to a table of @level, or at the root with -1. */
static void costs_walk(struct kit *kit, uint64_t iova, uint64_t paddr, int level, uint64_t reads)
{
	struct iog_sim_stats cost = access_cost(kit, iova, paddr);

	assert_int_equal(cost.iotlb_hits, 0);
	assert_int_equal(cost.iotlb_misses, 1);
	assert_int_equal(cost.walk_misses, level < 0);
	for (int n = 0; n < IOG_LEVELS_MAX - 1; n++)
		assert_int_equal(cost.walk_hits[n], n == level);
	assert_int_equal(cost.walk_reads, reads);
}

static void counts(void **state)
{
	static const struct kit_shape shape = { "vtdss", 5, 57, 0 };
	const uint64_t far[] = { 4096, 2 * MiB, GiB, 512 * GiB, UINT64_C(1) << 48 };
	struct kit kit;

	(void)state;
	kit_create(&kit, &shape, &no_oracle);
	kit_map(&kit, 0, 0x5000, KIT_RW);
	for (size_t n = 0; n < 5; n++)
		kit_map(&kit, far[n], 0x6000 + (n << 12), KIT_RW);

	costs_walk(&kit, 0, 0x5000, -1, 5);
	costs_hit(&kit, 0xfff, 0x5fff);
	/* The farther away, the higher the nearest cached pointer. */
	costs_walk(&kit, far[0], 0x6000, 0, 1);
	costs_walk(&kit, far[1], 0x7000, 1, 2);
	costs_walk(&kit, far[2], 0x8000, 2, 3);
	costs_walk(&kit, far[3], 0x9000, 3, 4);
	costs_walk(&kit, far[4], 0xa000, -1, 5);
	for (size_t n = 0; n < 5; n++)
		costs_hit(&kit, far[n], 0x6000 + (n << 12));
	kit_destroy(&kit);
}

static void leaf_only_keeps_walk_caches(void **state)
{
	struct iog_sim_stats stats;
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_x86_64_48, &no_oracle);
	kit_map(&kit, 0x1000, 0x5000, KIT_RW);
	kit_map(&kit, 0x2000, 0x6000, KIT_RW);
	kit_map(&kit, 2 * MiB, 0x7000, KIT_RW);
	costs_walk(&kit, 0x1000, 0x5000, -1, 4);
	costs_walk(&kit, 0x2000, 0x6000, 0, 1);
	costs_walk(&kit, 2 * MiB, 0x7000, 1, 2);

	kit_invalidate(&kit, 0x1000, 0x1000, true);
	costs_hit(&kit, 0x2000, 0x6000);
	costs_walk(&kit, 0x1000, 0x5000, 0, 1);

	/* One page, but every pointer on the way to it; and no other page. */
	kit_invalidate(&kit, 0x1000, 0x1000, false);
	costs_hit(&kit, 0x2000, 0x6000);
	costs_hit(&kit, 2 * MiB, 0x7000);
	costs_walk(&kit, 0x1000, 0x5000, -1, 4);

	/* A span from the middle of one table's addresses to the next table's first page drops both pointers. */
	kit_invalidate(&kit, MiB, MiB + 1, false);
	costs_hit(&kit, 0x1000, 0x5000);
	costs_walk(&kit, 2 * MiB, 0x7000, -1, 4);
	kit_invalidate(&kit, 0x2000, 0x1000, true);
	costs_walk(&kit, 0x2000, 0x6000, 1, 2);

	iog_sim_inval_domain(kit.domain);
	costs_hit(&kit, 0x2000, 0x6000); /* queued only */
	assert_int_equal(iog_sim_inval_wait(kit.sim), 0);
	costs_walk(&kit, 0x2000, 0x6000, -1, 4);
	costs_walk(&kit, 0x1000, 0x5000, 0, 1);

	stats = kit_stats(&kit);
	assert_int_equal(stats.range_commands, 4);
	assert_int_equal(stats.range_leaf_only, 2);
	assert_int_equal(stats.domain_commands, 1);
	assert_int_equal(stats.walk_cache_flushes, 3);
	assert_int_equal(stats.wait_commands, 5);
	assert_int_equal(stats.faults, 0);
	assert_int_equal(stats.writes, 0);
	kit_destroy(&kit);
}

/* A cached translation stays what it was until it is invalidated; absence is not cached. */
static void stale_until_invalidated(void **state)
{
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, &no_oracle);
	kit_map(&kit, 0x1000, 0x5000, KIT_RW);
	kit_lands(&kit, 0x1000, KIT_RW, 0x5000);
	kit_map(&kit, 0x1000, 0x6000, IOG_PROT_READ);
	kit_lands(&kit, 0x1000, KIT_RW, 0x5000);
	kit_unmap(&kit, 0x1000);
	kit_lands(&kit, 0x1000, KIT_RW, 0x5000);
	kit_invalidate(&kit, 0x1000, 0x1000, true);
	kit_faults(&kit, 0x1000, IOG_PROT_READ);
	kit_map(&kit, 0x1000, 0x6000, IOG_PROT_READ);
	kit_faults(&kit, 0x1000, IOG_PROT_WRITE);
	kit_lands(&kit, 0x1000, IOG_PROT_READ, 0x6000);

	/* The same one level up: a pointer to a leaf table that memory does not lead to any more. */
	kit_store(kit_slot(&kit, 0x1000, 1), 0);
	kit_map(&kit, 0x2000, 0x7000, KIT_RW);
	kit_faults(&kit, 0x2000, IOG_PROT_READ);
	kit_invalidate(&kit, 0x2000, 0x1000, true);
	kit_faults(&kit, 0x2000, IOG_PROT_READ);
	kit_invalidate(&kit, 0x2000, 0x1000, false);
	kit_lands(&kit, 0x2000, IOG_PROT_READ, 0x7000);
	kit_destroy(&kit);
}

static void large_leaves(void **state)
{
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, &no_oracle);
	kit_store(kit_slot(&kit, 2 * MiB, 1), kit_entry_leaf(&kit, 6 * MiB, 1, KIT_RW));
	kit_store(kit_slot(&kit, 5 * GiB, 2), kit_entry_leaf(&kit, 7 * GiB, 2, KIT_RW));
	kit_map(&kit, 0x1000, 0x9000, KIT_RW);

	costs_walk(&kit, 2 * MiB + 77, 6 * MiB + 77, -1, 3);
	costs_walk(&kit, 5 * GiB + MiB, 7 * GiB + MiB, 2, 1);
	costs_walk(&kit, 0x1000, 0x9000, 1, 2);
	costs_hit(&kit, 4 * MiB - 1, 8 * MiB - 1);
	costs_hit(&kit, 6 * GiB - 1, 8 * GiB - 1);

	/* Any page of it drops the whole entry; a neighbour's does not. */
	kit_invalidate(&kit, 4 * MiB, 0x1000, true);
	kit_invalidate(&kit, 2 * MiB - 0x1000, 0x1000, true);
	costs_hit(&kit, 2 * MiB, 6 * MiB);
	kit_invalidate(&kit, 4 * MiB - 0x1000, 0x1000, true);
	costs_walk(&kit, 2 * MiB, 6 * MiB, 1, 1);
	kit_invalidate(&kit, 5 * GiB + 512 * MiB, 0x1000, true);
	costs_walk(&kit, 5 * GiB, 7 * GiB, 2, 1);
	costs_hit(&kit, 0x1000, 0x9000);
	kit_destroy(&kit);
}

static void domains_do_not_mix(void **state)
{
	struct iog_sim_domain *other;
	uint64_t *root, landed;
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, &no_oracle);
	root = kit_page(&kit);
	/* An id that chooses the same sets. */
	other = kit_domain(&kit, 1 + 64, root);
	kit_map(&kit, 0x1000, 0x5000, KIT_RW);
	kit_store(kit_slot_from(&kit, root, 0x1000, 0), kit_entry_leaf(&kit, 0x6000, 0, KIT_RW));

	costs_walk(&kit, 0x1000, 0x5000, -1, 4);
	assert_int_equal(iog_sim_translate(other, 0x1000, IOG_PROT_READ, &landed), 0);
	assert_int_equal(landed, 0x6000);
	costs_hit(&kit, 0x1000, 0x5000);
	iog_sim_inval_domain(other);
	iog_sim_inval_range(other, 0, UINT64_MAX, false);
	iog_sim_inval_range(other, 0x1000, 0x1fff, false);
	assert_int_equal(iog_sim_inval_wait(kit.sim), 0);
	costs_hit(&kit, 0x1000, 0x5000);
	kit_invalidate(&kit, 0x1000, 0x1000, true);
	costs_walk(&kit, 0x1000, 0x5000, 0, 1);
	iog_sim_domain_destroy(other);
	costs_hit(&kit, 0x1000, 0x5000);
	kit_destroy(&kit);
}

/* Sets of two: the third page of a set displaces the one that was used longest ago, and pages of other sets displace nothing. */
static void ways_and_replacement(void **state)
{
	static const struct iog_sim_config small = {
		.flags = IOG_SIM_NO_ORACLE,
		.iotlb_entries = 8,
		.iotlb_ways = 2,
		.walk_entries = { 2, 2, 2, 2, 2 },
		.walk_ways = 2,
	};
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, &small);
	for (uint64_t page = 0; page < 16; page++)
		kit_map(&kit, page << 12, (0x100 + page) << 12, KIT_RW);

	/* Pages 0, 4, 8, ... share a set of four. */
	costs_walk(&kit, 0x0000, 0x100000, -1, 4);
	costs_walk(&kit, 0x4000, 0x104000, 0, 1);
	costs_walk(&kit, 0x1000, 0x101000, 0, 1);
	costs_walk(&kit, 0x2000, 0x102000, 0, 1);
	costs_walk(&kit, 0x3000, 0x103000, 0, 1);
	costs_hit(&kit, 0x0000, 0x100000);
	costs_walk(&kit, 0x8000, 0x108000, 0, 1); /* displaces 4 */
	costs_hit(&kit, 0x0000, 0x100000);
	costs_hit(&kit, 0x8000, 0x108000);
	costs_walk(&kit, 0x4000, 0x104000, 0, 1); /* displaces 0 */
	costs_hit(&kit, 0x8000, 0x108000);
	costs_hit(&kit, 0x1000, 0x101000);
	costs_hit(&kit, 0x2000, 0x102000);
	costs_hit(&kit, 0x3000, 0x103000);
	costs_walk(&kit, 0x0000, 0x100000, 0, 1);

	/* A way that an invalidation has freed is filled before anything is displaced. */
	kit_invalidate(&kit, 0x8000, 0x1000, true);
	costs_walk(&kit, 0xc000, 0x10c000, 0, 1);
	costs_hit(&kit, 0x0000, 0x100000);
	kit_destroy(&kit);

	/* The same for pointers: two leaf tables are remembered, and the third displaces the older one. */
	kit_create(&kit, &kit_vtdss_48, &small);
	for (uint64_t n = 0; n < 3; n++) {
		kit_map(&kit, n * 2 * MiB, 0x5000, KIT_RW);
		kit_map(&kit, n * 2 * MiB + 0x1000, 0x6000, KIT_RW);
	}
	costs_walk(&kit, 0, 0x5000, -1, 4);
	costs_walk(&kit, 2 * MiB, 0x5000, 1, 2);
	costs_walk(&kit, 0x1000, 0x6000, 0, 1);
	costs_walk(&kit, 4 * MiB, 0x5000, 1, 2);
	costs_walk(&kit, 2 * MiB + 0x1000, 0x6000, 1, 2);
	costs_walk(&kit, 4 * MiB + 0x1000, 0x6000, 0, 1);
	kit_destroy(&kit);
}

static void configurations(void **state)
{
	static const struct iog_sim_config wrong[] = {
		{ .iotlb_entries = 48 },      { .iotlb_ways = 3 },           { .iotlb_entries = 4, .iotlb_ways = 8 },
		{ .walk_entries = { 0, 3 } }, { .walk_ways = 32 },           { .walk_entries = { 2 }, .walk_ways = 4 },
		{ .flags = 1u << 31 },        { .iotlb_entries = 1u << 31 }, { .queue_entries = UINT32_MAX },
	};
	static const struct iog_sim_config right[] = {
		{ .iotlb_entries = 1 },
		{ .iotlb_entries = 1, .iotlb_ways = 1 },
		{ .walk_entries = { 1, 1, 1, 1, 1 } },
		{ .queue_entries = 1 },
		{ .iotlb_ways = 256 },
	};
	struct iog_platform platform = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct iog_sim *sim = NULL;

		assert_int_equal(iog_sim_create(&platform, &wrong[i], &sim), -IOG_EINVAL);
		assert_null(sim);
	}
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		struct iog_sim *sim = NULL;

		assert_int_equal(iog_sim_create(&platform, &right[i], &sim), 0);
		assert_non_null(sim);
		iog_sim_destroy(sim);
	}
}

/*
 * The caches as a list of what was put in, for the comparison below: an entry is in if fewer than @ways of its set were used after it.
 */
struct model_entry {
	uint32_t domain;
	int cache;      /* 0: IOTLB; n + 1: pointers to tables of level n */
	uint32_t class; /* of an IOTLB entry */
	uint64_t number;
	uint64_t used;
	bool live;
};

#define MODEL_ENTRIES 256
#define MODEL_IOTLB_SETS 4
#define MODEL_IOTLB_WAYS 4
#define MODEL_WALK_SETS 2
#define MODEL_WALK_WAYS 2

struct model {
	struct model_entry entries[MODEL_ENTRIES];
	uint64_t tick;
};

static uint32_t model_shift(int cache, uint32_t class)
{
	return cache ? 21 + 9 * (uint32_t)(cache - 1) : 12 + 9 * class;
}

static uint64_t model_set(int cache, uint32_t domain, uint64_t number)
{
	return (number ^ domain) % (cache ? MODEL_WALK_SETS : MODEL_IOTLB_SETS);
}

static struct model_entry *model_find(struct model *model, int cache, uint32_t class, uint32_t domain, uint64_t iova)
{
	for (size_t i = 0; i < MODEL_ENTRIES; i++) {
		struct model_entry *entry = &model->entries[i];

		if (entry->live && entry->cache == cache && entry->class == class && entry->domain == domain &&
		    entry->number == iova >> model_shift(cache, class))
			return entry;
	}
	return NULL;
}

static void model_fill(struct model *model, int cache, uint32_t class, uint32_t domain, uint64_t iova)
{
	struct model_entry new = { domain, cache, class, iova >> model_shift(cache, class), ++model->tick, true };
	struct model_entry *oldest = NULL, *to = model_find(model, cache, class, domain, iova);
	size_t in_set = 0;

	for (size_t i = 0; i < MODEL_ENTRIES; i++) {
		struct model_entry *entry = &model->entries[i];

		if (!entry->live || entry->cache != cache ||
		    model_set(cache, entry->domain, entry->number) != model_set(cache, domain, new.number))
			continue;
		in_set++;
		if (!oldest || entry->used < oldest->used)
			oldest = entry;
	}
	if (!to && in_set == (cache ? MODEL_WALK_WAYS : MODEL_IOTLB_WAYS))
		to = oldest;
	for (size_t i = 0; !to; i++) {
		assert_true(i < MODEL_ENTRIES);
		if (!model->entries[i].live)
			to = &model->entries[i];
	}
	*to = new;
}

static void model_drop(struct model *model, uint32_t domain, uint64_t first, uint64_t last, bool walk_caches)
{
	for (size_t i = 0; i < MODEL_ENTRIES; i++) {
		struct model_entry *entry = &model->entries[i];
		uint32_t shift = model_shift(entry->cache, entry->class);

		if (entry->live && entry->domain == domain && (walk_caches || !entry->cache) && entry->number >= first >> shift &&
		    entry->number <= last >> shift)
			entry->live = false;
	}
}

/* Addresses 0 to 64 MiB: 4 KiB leaves; from 1 GiB: 2 MiB leaves; from 4 GiB: 1 GiB leaves. */
static uint64_t model_address(uint64_t draw, uint32_t *class)
{
	*class = (draw & 7) < 6 ? 0 : (uint32_t)(draw & 7) - 5;
	if (*class == 0)
		return (draw >> 8 & 7) * 8 * MiB + (draw >> 16 & 7) * 4096;
	if (*class == 1)
		return GiB + (draw >> 8 & 7) * 2 * MiB + (draw >> 16 & 511) * 4096;
	return (4 + (draw >> 8 & 7)) * GiB + (draw >> 16 & 0x3ffff) * 4096;
}

/* Random accesses and invalidations of two domains whose tables do not change. */
static void against_model(void **state)
{
	static const struct iog_sim_config config = {
		.flags = IOG_SIM_NO_ORACLE,
		.iotlb_entries = MODEL_IOTLB_SETS * MODEL_IOTLB_WAYS,
		.iotlb_ways = MODEL_IOTLB_WAYS,
		.walk_entries = { 4, 4, 4, 4, 4 },
		.walk_ways = MODEL_WALK_WAYS,
	};
	static struct model model;
	struct iog_sim_domain *domains[2];
	uint64_t *roots[2], random = kit_seed("cache");
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, &config);
	domains[0] = kit.domain;
	roots[0] = kit.root;
	roots[1] = kit_page(&kit);
	domains[1] = kit_domain(&kit, 2, roots[1]);
	for (int d = 0; d < 2; d++) {
		for (uint64_t page = 0; page < 64; page++)
			kit_store(kit_slot_from(&kit, roots[d], (page / 8 * 8 * MiB) + page % 8 * 4096, 0),
				  kit_entry_leaf(&kit, (0x1000 + page) << 12, 0, KIT_RW));
		for (uint64_t n = 0; n < 8; n++) {
			kit_store(kit_slot_from(&kit, roots[d], GiB + n * 2 * MiB, 1), kit_entry_leaf(&kit, n * 2 * MiB, 1, KIT_RW));
			kit_store(kit_slot_from(&kit, roots[d], (4 + n) * GiB, 2), kit_entry_leaf(&kit, n * GiB, 2, KIT_RW));
		}
	}

	memset(&model, 0, sizeof(model));
	for (int step = 0; step < 200000; step++) {
		uint64_t draw = kit_random(&random);
		uint32_t d = draw & 1;
		uint32_t class;
		uint64_t iova = model_address(draw >> 1, &class);

		if (draw >> 40 & 15) {
			struct iog_sim_stats before = kit_stats(&kit), after;
			struct model_entry *hit = NULL;
			uint32_t at = 3;

			assert_int_equal(iog_sim_translate(domains[d], iova, KIT_RW, NULL), 0);
			after = kit_stats(&kit);
			hit = model_find(&model, 0, class, d + 1, iova);
			assert_int_equal(after.iotlb_hits - before.iotlb_hits, hit != NULL);
			if (hit) {
				hit->used = ++model.tick;
				assert_int_equal(after.walk_reads, before.walk_reads);
				continue;
			}
			for (uint32_t n = 0; n < 3 && !hit; n++) {
				hit = model_find(&model, (int)n + 1, 0, d + 1, iova);
				if (hit) {
					hit->used = ++model.tick;
					at = n;
				}
			}
			if (hit)
				assert_int_equal(after.walk_hits[at] - before.walk_hits[at], 1);
			assert_int_equal(after.walk_misses - before.walk_misses, hit == NULL);
			assert_int_equal(after.walk_reads - before.walk_reads, at + 1 - class);
			while (at > class)
				model_fill(&model, (int)at--, 0, d + 1, iova);
			model_fill(&model, 0, class, d + 1, iova);
		} else if (draw >> 44 & 15) {
			/* A few pages, or up to some page that may be cached. */
			uint64_t size = UINT64_C(4096) << (draw >> 48 & 7);
			uint32_t unused;
			uint64_t to = model_address(kit_random(&random), &unused);

			if (draw >> 52 & 1 && to > iova)
				size = (to - iova + 4096) & ~UINT64_C(0xfff);
			iog_sim_inval_range(domains[d], iova, iova + size - 1, draw >> 63);
			assert_int_equal(iog_sim_inval_wait(kit.sim), 0);
			model_drop(&model, d + 1, iova, iova + size - 1, !(draw >> 63));
		} else {
			iog_sim_inval_domain(domains[d]);
			assert_int_equal(iog_sim_inval_wait(kit.sim), 0);
			model_drop(&model, d + 1, 0, UINT64_MAX, true);
		}
	}
	iog_sim_domain_destroy(domains[1]);
	kit_destroy(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts),
		cmocka_unit_test(leaf_only_keeps_walk_caches),
		cmocka_unit_test(stale_until_invalidated),
		cmocka_unit_test(large_leaves),
		cmocka_unit_test(domains_do_not_mix),
		cmocka_unit_test(ways_and_replacement),
		cmocka_unit_test(configurations),
		cmocka_unit_test(against_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

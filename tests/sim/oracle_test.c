/* SPDX-License-Identifier: MIT */
/*
 * The judge's bookkeeping against a plain model: random maps, unmaps, invalidations and accesses, right and wrong ones, on one page per
 * array element. After every step the judge has reported exactly what the model says. And the page map beneath it, against an array.
 *
 * A failing sequence is replayed with IOG_SEED, and shortened with IOG_STEPS.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/sim/pagemap.h"
#include "kit.h"

#define PAGES 512
#define BASE (UINT64_C(1) << 21)

static uint64_t steps(uint64_t all)
{
	const char *given = getenv("IOG_STEPS");

	return given ? strtoull(given, NULL, 0) : all;
}

static void pagemap(void **state)
{
	static uint64_t model[1 << 14];
	uint64_t random = kit_seed("oracle");
	struct pagemap map;

	(void)state;
	memset(model, 0, sizeof(model));
	assert_int_equal(iog_sim_pagemap_init(&map), 0);
	for (uint64_t step = 0, end = steps(400000); step < end; step++) {
		uint64_t draw = kit_random(&random);
		/* Dense, and now and then few: runs of pages, from three places far apart. */
		uint64_t index = draw & (draw >> 62 ? 0xff : 0x3fff);
		uint64_t page = index + (index % 3 << 50);
		uint64_t *value = pagemap_find(&map, page);
		size_t used = 0;

		assert_int_equal(value ? *value : 0, model[index]);
		if (draw >> 20 & (step >> 16 & 1 ? 1 : 3)) {
			value = pagemap_get(&map, page);
			assert_non_null(value);
			assert_int_equal(*value, model[index]);
			*value = model[index] = step + 1;
		} else if (value) {
			iog_sim_pagemap_remove(&map, value);
			model[index] = 0;
		}
		if (step % 10000)
			continue;
		for (uint64_t i = 0; i < 1 << 14; i++) {
			value = pagemap_find(&map, i + (i % 3 << 50));
			assert_int_equal(value ? *value : 0, model[i]);
			used += model[i] != 0;
		}
		assert_int_equal(map.used, used);
	}
	iog_sim_pagemap_fini(&map);
}

enum model_state {
	ABSENT,
	MAPPED,
	UNMAPPING,
};

struct model_page {
	enum model_state state;
	uint64_t paddr;
	uint32_t prot;
	uint64_t noted;  /* commands submitted when the unmap was noted */
	uint64_t entry;  /* what the table holds: paddr | prot, 0 if nothing */
	uint64_t cached; /* the same of the IOTLB, which is large enough never to displace anything */
};

struct model_command {
	uint64_t first, last; /* pages */
	bool named;
};

struct model {
	struct model_page pages[PAGES];
	struct model_command commands[64];
	uint64_t submitted, executed;
	uint64_t expected[IOG_SIM_VIOLATION_KINDS];
};

static void model_wait(struct model *model)
{
	for (; model->executed < model->submitted; model->executed++) {
		const struct model_command *command = &model->commands[model->executed % 64];

		for (uint64_t n = command->first; n <= command->last && n < PAGES; n++) {
			struct model_page *page = &model->pages[n];

			page->cached = 0;
			if (page->state == UNMAPPING && page->noted <= model->executed && (command->named || !page->entry))
				page->state = ABSENT;
		}
	}
}

static void model_submit(struct model *model, uint64_t first, uint64_t last, bool named)
{
	if (model->submitted - model->executed == 64)
		model_wait(model);
	model->commands[model->submitted++ % 64] = (struct model_command){ first, last, named };
}

static void model_access(struct model *model, uint64_t n, uint32_t prot)
{
	struct model_page *page = &model->pages[n];
	uint64_t leads = page->cached ? page->cached : page->entry;
	bool lands = leads && !(prot & ~leads & 3);
	uint64_t paddr = leads & ~UINT64_C(3);

	if (lands)
		page->cached = leads;
	if (page->state == ABSENT && lands)
		model->expected[IOG_SIM_STALE_ACCESS]++;
	else if (page->state == UNMAPPING && lands && paddr != page->paddr)
		model->expected[IOG_SIM_STALE_ACCESS]++;
	else if (page->state == MAPPED && lands && paddr != page->paddr)
		model->expected[IOG_SIM_LOST_ACCESS]++;
	else if (page->state != ABSENT && lands && prot & ~page->prot)
		model->expected[IOG_SIM_BAD_PERMISSION]++;
	else if (page->state == MAPPED && !lands && !(prot & ~page->prot))
		model->expected[leads ? IOG_SIM_BAD_PERMISSION : IOG_SIM_LOST_ACCESS]++;
}

static void store(struct kit *kit, struct model *model, uint64_t n, uint64_t paddr, uint32_t prot)
{
	if (prot)
		kit_map(kit, BASE + n * 4096, paddr, prot);
	else
		kit_unmap(kit, BASE + n * 4096);
	model->pages[n].entry = prot ? paddr | prot : 0;
}

static void against_model(void **state)
{
	static const struct iog_sim_config config = { .iotlb_entries = 1024, .iotlb_ways = 4, .queue_entries = 64 };
	static struct iog_gather gather;
	static struct model model;
	uint64_t random = kit_seed("oracle");
	struct kit kit;

	(void)state;
	memset(&model, 0, sizeof(model));
	kit_create(&kit, &kit_vtdss_48, &config);
	for (uint64_t step = 0, end = steps(300000); step < end; step++) {
		uint64_t draw = kit_random(&random);
		uint64_t first = draw % PAGES;
		uint64_t count = 1 + (draw >> 16) % (draw >> 24 & 7 ? 4 : PAGES);
		uint64_t paddr = (1 + (draw >> 32 & 0xff)) << 32;
		uint32_t prot = 1 + (uint32_t)(draw >> 40) % 3;
		bool slip = !(draw >> 44 & 15); /* a step left out */
		struct iog_sim_stats stats;
		bool reused = false;

		if (count > PAGES - first)
			count = PAGES - first;
		switch (draw >> 48 & 15) {
		case 0:
		case 1:
		case 2:
			/* Mostly where nothing is mapped. */
			for (uint64_t n = first; n < first + count && !slip; n++) {
				if (model.pages[n].state != ABSENT)
					count = n - first;
			}
			if (!count)
				break;
			for (uint64_t n = first; n < first + count; n++) {
				struct model_page *page = &model.pages[n];

				reused |= page->state != ABSENT;
				page->state = MAPPED;
				page->paddr = paddr + n * 4096;
				page->prot = prot;
				if (!slip || draw & 1 << 8)
					store(&kit, &model, n, page->paddr, prot);
			}
			model.expected[IOG_SIM_EARLY_REUSE] += reused;
			iog_sim_note_map(kit.domain, BASE + first * 4096, paddr + first * 4096, count * 4096, prot);
			break;
		case 3:
		case 4:
		case 5:
			for (uint64_t n = first; n < first + count; n++) {
				if (model.pages[n].state == MAPPED) {
					model.pages[n].state = UNMAPPING;
					model.pages[n].noted = model.submitted;
				}
			}
			/* More than the page map holds, at times. */
			iog_sim_note_unmap(kit.domain, BASE + first * 4096,
					   (first + count == PAGES ? count + (draw >> 52) * 4096 : count) * 4096);
			for (uint64_t n = first; n < first + count && !slip; n++)
				store(&kit, &model, n, 0, 0);
			break;
		case 6:
		case 7:
			model_submit(&model, first, first + count - 1, true);
			iog_sim_inval_range(kit.domain, BASE + first * 4096, BASE + (first + count) * 4096 - 1, draw >> 60 & 1);
			break;
		case 8:
			model_submit(&model, 0, PAGES - 1, false);
			iog_sim_inval_domain(kit.domain);
			break;
		case 9:
			gather.nr_tables = 1;
			gather.tables[0].span.first = BASE + first * 4096;
			gather.tables[0].span.last = BASE + (first + count) * 4096 - 1;
			model_submit(&model, first, first + count - 1, false);
			model_wait(&model);
			assert_int_equal(iog_sim_flush(&gather, kit.domain), 0);
			break;
		case 10:
		case 11:
			model_wait(&model);
			assert_int_equal(iog_sim_inval_wait(kit.sim), 0);
			break;
		default:
			model_access(&model, first, prot);
			(void)iog_sim_translate(kit.domain, BASE + first * 4096 + (draw >> 52), prot, NULL);
			break;
		}

		stats = kit_stats(&kit);
		if (memcmp(stats.violations, model.expected, sizeof(model.expected))) {
			print_error("step %llu, case %llu, page %llu, %llu pages\n", (unsigned long long)step,
				    (unsigned long long)(draw >> 48 & 15), (unsigned long long)first, (unsigned long long)count);
			for (int kind = 0; kind < IOG_SIM_VIOLATION_KINDS; kind++)
				assert_int_equal(stats.violations[kind], model.expected[kind]);
		}
		assert_int_equal(stats.unjudged, 0);
	}
	/* All kinds that this can bring about were. */
	if (!getenv("IOG_STEPS")) {
		for (int kind = 0; kind < IOG_SIM_VIOLATION_KINDS; kind++)
			assert_true(kind == IOG_SIM_FREED_TABLE || kind == IOG_SIM_UNCLEAN_TABLE || model.expected[kind] > 0);
	}
	kit.nr_violations = 0;
	kit_destroy(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pagemap),
		cmocka_unit_test(against_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

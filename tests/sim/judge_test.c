/* SPDX-License-Identifier: MIT */
/*
 * The judge. Correct sequences must pass without a word, and every kind of violation, made to happen by leaving out one step, must be
 * reported as what it is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

#define MiB (UINT64_C(1) << 20)
#define GiB (UINT64_C(1) << 30)

#define IOVA (6 * MiB + 0x5000)
#define PADDR UINT64_C(0x180000000)
#define OTHER UINT64_C(0x190000000)

static void map(struct kit *kit, uint64_t iova, uint64_t paddr, uint32_t prot)
{
	kit_map(kit, iova, paddr, prot);
	iog_sim_note_map(kit->domain, iova, paddr, 4096, prot);
}

/* The first half of an unmap: what is left is the invalidation. */
static void unmap(struct kit *kit, uint64_t iova)
{
	iog_sim_note_unmap(kit->domain, iova, 4096);
	kit_unmap(kit, iova);
}

/* Link another table at @level where one is linked, and return the old one. */
static uint64_t *replace_table(struct kit *kit, uint64_t iova, uint32_t level)
{
	uint64_t *slot = kit_slot(kit, iova, level + 1);
	uint64_t *old = (uint64_t *)(uintptr_t)((*slot & UINT64_C(0xffffffffff000)) + kit->plain.direct_map_offset);

	kit_store(slot, kit_entry_table(kit, kit_table_take(kit)));
	return old;
}

static const char *history(struct kit *kit, uint64_t iova)
{
	static char text[16384];
	FILE *stream = fmemopen(text, sizeof(text), "w");

	assert_non_null(stream);
	iog_sim_history(kit->domain, iova, stream);
	fclose(stream);
	return text;
}

/* The words stand in this order in the history. */
static void history_has(struct kit *kit, uint64_t iova, const char *const words[])
{
	const char *text = history(kit, iova);
	const char *at = text;

	for (size_t i = 0; words[i]; i++) {
		at = strstr(at, words[i]);
		if (!at)
			print_error("not there or not in order: '%s' in\n%s", words[i], text);
		assert_non_null(at);
		at += strlen(words[i]);
	}
}

static const struct kit_shape *const both[] = { &kit_vtdss_48, &kit_x86_64_48 };

/* What a driver does when all goes well. */
static void correct(void **state)
{
	(void)state;
	for (size_t format = 0; format < 2; format++) {
		struct kit kit;

		kit_create(&kit, both[format], NULL);
		for (int round = 0; round < 3; round++) {
			uint64_t *slot, *table;

			kit_faults(&kit, IOVA, IOG_PROT_READ);
			map(&kit, IOVA, PADDR + (uint64_t)round * 4096, KIT_RW);
			kit_lands(&kit, IOVA + 9, KIT_RW, PADDR + (uint64_t)round * 4096 + 9);
			map(&kit, IOVA + 4096, OTHER, IOG_PROT_READ);
			kit_lands(&kit, IOVA + 4096, IOG_PROT_READ, OTHER);
			kit_faults(&kit, IOVA + 4096, IOG_PROT_WRITE);
			kit_faults(&kit, IOVA + 8192, IOG_PROT_READ);

			/* Between the unmap and its invalidation the device may still get through. */
			unmap(&kit, IOVA);
			kit_lands(&kit, IOVA, IOG_PROT_READ, PADDR + (uint64_t)round * 4096);
			unmap(&kit, IOVA + 4096);
			kit_invalidate(&kit, IOVA, 8192, true);
			kit_faults(&kit, IOVA, IOG_PROT_READ);
			kit_faults(&kit, IOVA + 4096, IOG_PROT_READ);
			iog_sim_note_reuse(kit.sim, PADDR, 3 * 4096);
			iog_sim_note_reuse(kit.sim, OTHER, 4096);

			/* The empty table goes: unlink, invalidate its span with the walk caches, give back. */
			slot = kit_slot(&kit, IOVA, 1);
			table = (uint64_t *)(uintptr_t)((*slot & UINT64_C(0xffffffffff000)) + kit.plain.direct_map_offset);
			kit_store(slot, *slot & ~UINT64_C(0xfff));
			kit_invalidate(&kit, 6 * MiB, 2 * MiB, false);
			kit_table_free(&kit, table);
			kit_faults(&kit, IOVA, IOG_PROT_READ);
			kit_store(slot, 0);
		}
		assert_int_equal(kit_stats(&kit).violations_total, 0);
		assert_int_equal(kit_stats(&kit).unjudged, 0);
		kit_destroy(&kit);
	}
}

/*
 * Poison: in part each time, everywhere in eight times. It goes when the table is taken zeroed, and only it: what the library has left
 * behind stays to be found.
 */
static void taken_tables(void **state)
{
	bool poisoned[512] = { false };
	uint64_t *table;
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, NULL);
	table = kit_table_take(&kit);
	for (int round = 0; round < 8; round++) {
		size_t count = 0;

		kit_table_free(&kit, table);
		for (size_t i = 0; i < 512; i++) {
			if (!table[i])
				continue;
			assert_int_equal(table[i] & 0xfff, IOG_TABLE_POISON_LOW);
			poisoned[i] = true;
			count++;
		}
		assert_int_equal(count, 64);
		kit.observed.table_taken(kit.observed.ctx, table, 4096, 1);
		for (size_t i = 0; i < 512; i++)
			assert_int_equal(table[i], 0);
	}
	for (size_t i = 0; i < 512; i++)
		assert_true(poisoned[i]);

	/* The caller fills it: left as it is. */
	kit_table_free(&kit, table);
	kit.observed.table_taken(kit.observed.ctx, table, 4096, 0);
	assert_int_equal(table[0] & 0xfff, IOG_TABLE_POISON_LOW);
	memset(table, 0, 4096);

	/* An entry that was forgotten, in a line that is not poisoned this time. */
	table[511] = 77;
	kit_table_free(&kit, table);
	kit.observed.table_taken(kit.observed.ctx, table, 4096, 1);
	assert_int_equal(table[511], 77);
	kit_table_free(&kit, table);

	/* Memory that is new to the judge is zeroed entirely. */
	kit.observed.pages_free(kit.observed.ctx, table, 4096);
	kit.observed.table_taken(kit.observed.ctx, table, 4096, 1);
	for (size_t i = 0; i < 512; i++)
		assert_int_equal(table[i], 0);
	kit_no_violation(&kit);

	/* Out of step: taken twice, given twice, never taken, memory freed under it. */
	kit.observed.table_taken(kit.observed.ctx, table, 4096, 1);
	kit_violation(&kit, IOG_SIM_FREED_TABLE, "handed out while in use");
	kit_table_free(&kit, table);
	kit_table_free(&kit, table);
	kit_violation(&kit, IOG_SIM_FREED_TABLE, "not in use");
	kit_table_free(&kit, kit_page(&kit));
	kit_violation(&kit, IOG_SIM_FREED_TABLE, "not in use");
	kit.observed.pages_free(kit.observed.ctx, table, 4096);
	kit_no_violation(&kit);
	table = kit_table_take(&kit);
	kit.observed.pages_free(kit.observed.ctx, table, 4096);
	kit_violation(&kit, IOG_SIM_FREED_TABLE, "memory went back");
	kit_destroy(&kit);
}

/* The invalidation is left out, or submitted and not waited for, or comes too early. */
static void stale_iotlb(void **state)
{
	(void)state;
	for (size_t format = 0; format < 2; format++) {
		struct kit kit;

		kit_create(&kit, both[format], NULL);
		map(&kit, IOVA, PADDR, KIT_RW);
		kit_lands(&kit, IOVA, KIT_RW, PADDR);

		/* It covers the next page only. */
		unmap(&kit, IOVA);
		kit_invalidate(&kit, IOVA + 4096, 4096, true);
		kit_lands(&kit, IOVA, IOG_PROT_READ, PADDR);
		kit_no_violation(&kit);
		/* Now it is complete; the entry that is filled again belongs to nothing. */
		kit_invalidate(&kit, IOVA, 4096, true);
		kit_map(&kit, IOVA, PADDR, KIT_RW);
		kit_lands(&kit, IOVA, IOG_PROT_READ, PADDR);
		kit_violation(&kit, IOG_SIM_STALE_ACCESS, "through a cached pointer to a table of level 0");
		kit_unmap(&kit, IOVA);
		kit_lands(&kit, IOVA + 7, IOG_PROT_READ, PADDR + 7);
		assert_int_equal(kit.violations[0].paddr, PADDR + 7);
		assert_int_equal(kit.violations[0].iova, IOVA + 7);
		assert_int_equal(kit.violations[0].domain, 1);
		kit_violation(&kit, IOG_SIM_STALE_ACCESS, "through an IOTLB entry, where nothing is mapped; the live tables do not");
		history_has(&kit, IOVA,
			    (const char *const[]){ "map [0x605000, 0x605fff] to 0x180000000, read+write", "landed at 0x180000000", "unmap",
						   "invalidation", "queued", "completed", "landed at 0x180000007",
						   "violation: stale access", NULL });
		assert_null(strstr(history(&kit, IOVA + 64 * 4096), "landed"));
		assert_int_equal(kit_stats(&kit).violations[IOG_SIM_STALE_ACCESS], 2);
		assert_int_equal(kit_stats(&kit).violations_total, 2);
		kit_destroy(&kit);
	}
}

/* The entry was never cleared; or the tables lead where nothing was ever mapped. */
static void stale_live(void **state)
{
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, NULL);
	map(&kit, IOVA, PADDR, KIT_RW);
	iog_sim_note_unmap(kit.domain, IOVA, 4096);
	kit_invalidate(&kit, IOVA, 4096, false);
	kit_lands(&kit, IOVA, KIT_RW, PADDR);
	kit_violation(&kit, IOG_SIM_STALE_ACCESS, "through the live tables");

	kit_map(&kit, 3 * GiB, OTHER, KIT_RW);
	kit_lands(&kit, 3 * GiB, KIT_RW, OTHER);
	kit_violation(&kit, IOG_SIM_STALE_ACCESS, "nothing is mapped");
	kit_destroy(&kit);
}

/* An unlinked table is still reached through a walk cache, and lets an access through. */
static void stale_pointer(void **state)
{
	struct kit kit;
	uint64_t *old;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, NULL);
	map(&kit, IOVA, PADDR, KIT_RW);
	kit_lands(&kit, IOVA, KIT_RW, PADDR);
	iog_sim_note_unmap(kit.domain, IOVA, 4096);
	old = replace_table(&kit, IOVA, 0);
	/* Leaves only, although a table was unlinked. */
	kit_invalidate(&kit, IOVA, 4096, true);
	kit_lands(&kit, IOVA, KIT_RW, PADDR);
	kit_violation(&kit, IOG_SIM_STALE_ACCESS, "through a cached pointer to a table of level 0");
	kit_invalidate(&kit, IOVA, 4096, false);
	kit_faults(&kit, IOVA, IOG_PROT_READ);
	kit_table_free(&kit, old);
	kit_destroy(&kit);
}

/* While a mapping is being removed, anywhere but its old place is wrong. */
static void stale_elsewhere(void **state)
{
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, NULL);
	map(&kit, IOVA, PADDR, IOG_PROT_READ);
	iog_sim_note_unmap(kit.domain, IOVA, 4096);
	kit_map(&kit, IOVA, OTHER, KIT_RW);
	kit_lands(&kit, IOVA, IOG_PROT_READ, OTHER);
	kit_violation(&kit, IOG_SIM_STALE_ACCESS, "being removed led to 0x180000000");
	/* Nor with more rights. */
	kit_invalidate(&kit, 0, 4096, false);
	kit_map(&kit, IOVA, PADDR, KIT_RW);
	iog_sim_inval_domain(kit.domain);
	iog_sim_inval_wait(kit.sim);
	kit_lands(&kit, IOVA, IOG_PROT_WRITE, PADDR);
	kit_violation(&kit, IOG_SIM_BAD_PERMISSION, "does not allow");
	kit_destroy(&kit);
}

/* Given back without a flush of the walk caches: seen when it happens, and when a device walks there. */
static void freed_table(void **state)
{
	(void)state;
	for (size_t format = 0; format < 2; format++) {
		for (uint32_t level = 0; level < 3; level++) {
			struct iog_sim_stats before, after;
			struct kit kit;
			uint64_t *old;

			kit_create(&kit, both[format], NULL);
			map(&kit, IOVA, PADDR, KIT_RW);
			kit_lands(&kit, IOVA, KIT_RW, PADDR);
			unmap(&kit, IOVA);
			kit_invalidate(&kit, IOVA, 4096, true);
			old = replace_table(&kit, IOVA, level);
			kit_table_free(&kit, old);
			assert_int_equal(kit.violations[0].paddr, kit_paddr(&kit, old));
			assert_int_equal(kit.violations[0].iova, level ? 0 : 6 * MiB);
			kit_violation(&kit, IOG_SIM_FREED_TABLE, "while a walk cache pointed to it");

			/* The lowest pointer is tried first: drop those below by hand. */
			if (level) {
				iog_sim_inval_domain(kit.domain);
				iog_sim_inval_wait(kit.sim);
				kit_store(kit_slot(&kit, 0, level + 1), kit_entry_table(&kit, old));
			}
			before = kit_stats(&kit);
			kit_faults(&kit, IOVA, IOG_PROT_READ);
			after = kit_stats(&kit);
			assert_int_equal(kit.violations[0].paddr, kit_paddr(&kit, old));
			kit_violation(&kit, IOG_SIM_FREED_TABLE, "has been given back");
			/* Not read: its memory may be gone. */
			assert_int_equal(after.walk_reads - before.walk_reads, level ? 3 - level : 0);
			history_has(&kit, IOVA,
				    (const char *const[]){ "taken from stock", "given back", "table given back", "violation: freed table",
							   NULL });
			kit_destroy(&kit);
		}
	}
}

static uint64_t register_value;

static uint32_t read32(void *ctx, uintptr_t reg)
{
	return *(uint32_t *)ctx + (uint32_t)reg;
}

static uint64_t read64(void *ctx, uintptr_t reg)
{
	return *(uint32_t *)ctx + (uint64_t)reg + (UINT64_C(1) << 32);
}

static void write32(void *ctx, uintptr_t reg, uint32_t value)
{
	register_value = *(uint32_t *)ctx + reg + value;
}

static void write64(void *ctx, uintptr_t reg, uint64_t value)
{
	register_value = *(uint32_t *)ctx + reg + value;
}

static uint8_t read8(void *ctx, uintptr_t reg)
{
	return (uint8_t)(*(uint32_t *)ctx + reg);
}

static uint16_t read16(void *ctx, uintptr_t reg)
{
	return (uint16_t)(*(uint32_t *)ctx + reg);
}

static void write8(void *ctx, uintptr_t reg, uint8_t value)
{
	register_value = *(uint32_t *)ctx + reg + value;
}

static void write16(void *ctx, uintptr_t reg, uint16_t value)
{
	register_value = *(uint32_t *)ctx + reg + value;
}

/* A host that is observed goes on supplying its registers. */
static void registers(void **state)
{
	struct iog_platform observed;
	uint32_t base = 1000;
	struct iog_sim *sim;
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, NULL);
	observed = (struct iog_platform){ .ctx = &base, .mmio_read32 = read32, .mmio_read64 = read64, .mmio_write32 = write32, .mmio_write64 = write64,
					  .mmio_read8 = read8, .mmio_read16 = read16, .mmio_write8 = write8, .mmio_write16 = write16 };
	assert_int_equal(iog_sim_create(&observed, NULL, &sim), 0);
	iog_sim_observe(sim, &observed);
	assert_int_equal(observed.mmio_read32(observed.ctx, 4), 1004);
	assert_int_equal(observed.mmio_read64(observed.ctx, 8), 1008 + (UINT64_C(1) << 32));
	observed.mmio_write32(observed.ctx, 4, 100);
	assert_int_equal(register_value, 1104);
	observed.mmio_write64(observed.ctx, 8, UINT64_C(1) << 40);
	assert_int_equal(register_value, 1008 + (UINT64_C(1) << 40));
	assert_int_equal(observed.mmio_read8(observed.ctx, 4), (uint8_t)1004);
	assert_int_equal(observed.mmio_read16(observed.ctx, 6), 1006);
	observed.mmio_write8(observed.ctx, 4, 2);
	assert_int_equal(register_value, 1006);
	observed.mmio_write16(observed.ctx, 6, 300);
	assert_int_equal(register_value, 1306);
	iog_sim_destroy(sim);
	assert_null(kit.observed.mmio_read32);
	kit_destroy(&kit);
}

/* An entry leads to memory that never was a table, or no longer exists: a violation and a fault, not a crash. */
static void wild_table(void **state)
{
	uint64_t *table, *root;
	struct iog_sim_domain *domain;
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, NULL);
	kit_store(kit_slot(&kit, IOVA, 2), UINT64_C(0xdead000003));
	kit_faults(&kit, IOVA, IOG_PROT_READ);
	assert_int_equal(kit.violations[0].paddr, UINT64_C(0xdead000000));
	kit_violation(&kit, IOG_SIM_FREED_TABLE, "never handed out");

	table = kit_table_take(&kit);
	kit_table_free(&kit, table);
	kit.observed.pages_free(kit.observed.ctx, table, 4096);
	kit_store(kit_slot(&kit, IOVA, 2), kit_entry_table(&kit, table));
	iog_sim_inval_domain(kit.domain);
	iog_sim_inval_wait(kit.sim);
	kit_faults(&kit, IOVA, IOG_PROT_READ);
	kit_violation(&kit, IOG_SIM_FREED_TABLE, "never handed out");

	/* A root that went before its domain. */
	root = kit_page(&kit);
	domain = kit_domain(&kit, 2, root);
	kit.observed.pages_free(kit.observed.ctx, root, 4096);
	assert_int_equal(iog_sim_translate(domain, IOVA, IOG_PROT_READ, NULL), -IOG_EFAULT);
	kit_violation(&kit, IOG_SIM_FREED_TABLE, "table of level 3");
	iog_sim_domain_destroy(domain);
	kit_destroy(&kit);
}

static void early_reuse_of_address(void **state)
{
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, NULL);
	map(&kit, IOVA, PADDR, KIT_RW);
	map(&kit, IOVA, OTHER, KIT_RW);
	assert_int_equal(kit.violations[0].iova, IOVA);
	kit_violation(&kit, IOG_SIM_EARLY_REUSE, "still mapped; it led to 0x180000000");

	unmap(&kit, IOVA);
	map(&kit, IOVA, PADDR, KIT_RW);
	kit_violation(&kit, IOG_SIM_EARLY_REUSE, "has not completed");

	/* Submitted is not completed; submitted before the unmap does not count. */
	iog_sim_inval_range(kit.domain, IOVA, IOVA + 4095, true);
	unmap(&kit, IOVA);
	iog_sim_inval_wait(kit.sim);
	map(&kit, IOVA, PADDR, KIT_RW);
	kit_violation(&kit, IOG_SIM_EARLY_REUSE, "has not completed");
	unmap(&kit, IOVA);
	iog_sim_inval_range(kit.domain, IOVA, IOVA + 4095, true);
	map(&kit, IOVA, PADDR, KIT_RW);
	kit_violation(&kit, IOG_SIM_EARLY_REUSE, "has not completed");
	iog_sim_inval_wait(kit.sim);
	history_has(
		&kit, IOVA,
		(const char *const[]){ "map", "violation: early reuse", "unmap", "queued", "violation: early reuse", "completed", NULL });

	/* One page in the middle of a large map, which is one violation. */
	unmap(&kit, IOVA);
	kit_invalidate(&kit, IOVA, 4096, true);
	map(&kit, IOVA, PADDR, KIT_RW);
	unmap(&kit, IOVA);
	iog_sim_note_map(kit.domain, IOVA - 16 * 4096, PADDR, 64 * 4096, KIT_RW);
	assert_int_equal(kit.violations[0].iova, IOVA);
	kit_violation(&kit, IOG_SIM_EARLY_REUSE, "(1 page(s) of this map");
	kit_destroy(&kit);
}

/* A page that waits for its invalidation comes back as it was: no violation with IOG_SIM_REVIVAL. With another address or permission, or while it is still mapped, it is. */
static void revival(void **state)
{
	const struct iog_sim_config config = { .flags = IOG_SIM_REVIVAL };
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, &config);
	map(&kit, IOVA, PADDR, KIT_RW);
	unmap(&kit, IOVA);
	map(&kit, IOVA, PADDR, KIT_RW);
	kit_lands(&kit, IOVA, KIT_RW, PADDR);
	/* It waits no more: this invalidation has nothing to end. */
	kit_invalidate(&kit, IOVA, 4096, true);
	kit_lands(&kit, IOVA, KIT_RW, PADDR);
	kit_no_violation(&kit);

	map(&kit, IOVA, PADDR, KIT_RW);
	kit_violation(&kit, IOG_SIM_EARLY_REUSE, "still mapped");
	unmap(&kit, IOVA);
	map(&kit, IOVA, PADDR, IOG_PROT_READ);
	kit_violation(&kit, IOG_SIM_EARLY_REUSE, "has not completed");
	unmap(&kit, IOVA);
	map(&kit, IOVA, OTHER, IOG_PROT_READ);
	kit_violation(&kit, IOG_SIM_EARLY_REUSE, "has not completed");

	/* What was revived is unmapped as anything else. */
	unmap(&kit, IOVA);
	kit_invalidate(&kit, IOVA, 4096, true);
	kit_faults(&kit, IOVA, IOG_PROT_READ);
	kit_no_violation(&kit);
	kit_destroy(&kit);
}

static void early_reuse_of_memory(void **state)
{
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, NULL);
	map(&kit, IOVA, PADDR, KIT_RW);
	iog_sim_note_reuse(kit.sim, PADDR - 4096, 4096);
	iog_sim_note_reuse(kit.sim, PADDR + 4096, 4096);
	kit_no_violation(&kit);
	iog_sim_note_reuse(kit.sim, PADDR + 100, 1);
	assert_int_equal(kit.violations[0].iova, IOVA);
	assert_int_equal(kit.violations[0].paddr, PADDR);
	kit_violation(&kit, IOG_SIM_EARLY_REUSE, "a device may access it");
	iog_sim_note_reuse(kit.sim, PADDR - 64 * MiB, 128 * MiB);
	kit_violation(&kit, IOG_SIM_EARLY_REUSE, "a device may access it");

	unmap(&kit, IOVA);
	iog_sim_note_reuse(kit.sim, PADDR, 4096);
	kit_violation(&kit, IOG_SIM_EARLY_REUSE, "has not completed");
	kit_invalidate(&kit, IOVA, 4096, true);
	iog_sim_note_reuse(kit.sim, PADDR, 4096);
	iog_sim_note_reuse(kit.sim, 0, UINT64_C(1) << 50);
	kit_no_violation(&kit);

	/* An entry that the judge believes to be gone is still in the IOTLB. */
	kit_store(kit_slot(&kit, 8 * MiB, 1), kit_entry_leaf(&kit, PADDR, 1, KIT_RW));
	kit_lands(&kit, 8 * MiB + 0x7000, KIT_RW, PADDR + 0x7000);
	kit_violation(&kit, IOG_SIM_STALE_ACCESS, "nothing is mapped");
	iog_sim_note_reuse(kit.sim, PADDR + 2 * MiB - 1, 1);
	assert_int_equal(kit.violations[0].iova, 8 * MiB);
	kit_violation(&kit, IOG_SIM_EARLY_REUSE, "an IOTLB entry");
	iog_sim_note_reuse(kit.sim, PADDR - 4096, 4097);
	kit_violation(&kit, IOG_SIM_EARLY_REUSE, "an IOTLB entry");
	iog_sim_note_reuse(kit.sim, PADDR + 2 * MiB, 4096);
	iog_sim_note_reuse(kit.sim, PADDR - 4096, 4096);
	kit_destroy(&kit);
}

/* A map that returned and does not work: never stored, stored elsewhere, or hidden by a stale entry. */
static void lost_access(void **state)
{
	(void)state;
	for (size_t format = 0; format < 2; format++) {
		struct kit kit;

		kit_create(&kit, both[format], NULL);
		iog_sim_note_map(kit.domain, IOVA, PADDR, 4096, KIT_RW);
		kit_faults(&kit, IOVA, IOG_PROT_READ);
		kit_violation(&kit, IOG_SIM_LOST_ACCESS, "the live tables do not map it (not present, level 3)");
		kit_map(&kit, IOVA, OTHER, KIT_RW);
		kit_lands(&kit, IOVA, IOG_PROT_READ, OTHER);
		assert_int_equal(kit.violations[0].paddr, OTHER);
		kit_violation(&kit, IOG_SIM_LOST_ACCESS, "the live tables lead to 0x190000000");
		kit_map(&kit, IOVA, PADDR, KIT_RW);
		kit_lands(&kit, IOVA, IOG_PROT_READ, OTHER);
		kit_violation(&kit, IOG_SIM_LOST_ACCESS, "the IOTLB held a replaced mapping");
		kit_destroy(&kit);
	}
}

/* A mapper links a fresh table where an unlinked one has not been flushed: the device still walks through the old one. */
static void replaced_table(void **state)
{
	(void)state;
	for (size_t format = 0; format < 2; format++) {
		for (uint32_t level = 0; level < 3; level++) {
			struct kit kit;
			uint64_t *old;

			kit_create(&kit, both[format], NULL);
			map(&kit, IOVA, PADDR, KIT_RW);
			kit_lands(&kit, IOVA, KIT_RW, PADDR);
			unmap(&kit, IOVA);
			kit_invalidate(&kit, IOVA, 4096, true);
			old = replace_table(&kit, IOVA, level);
			map(&kit, IOVA, PADDR, KIT_RW);
			/* The lowest cached pointer leads into the old leaf table, whichever level was replaced. */
			kit_faults(&kit, IOVA, IOG_PROT_READ);
			kit_violation(&kit, IOG_SIM_LOST_ACCESS, "walk cache held a replaced table");
			kit_invalidate(&kit, IOVA, 4096, false);
			kit_lands(&kit, IOVA, IOG_PROT_READ, PADDR);
			kit_table_free(&kit, old);
			kit_destroy(&kit);
		}
	}
}

static void bad_permission(void **state)
{
	(void)state;
	for (size_t format = 0; format < 2; format++) {
		struct kit kit;
		uint64_t *slot;

		kit_create(&kit, both[format], NULL);
		/* More than asked for. */
		kit_map(&kit, IOVA, PADDR, KIT_RW);
		iog_sim_note_map(kit.domain, IOVA, PADDR, 4096, IOG_PROT_READ | IOG_PROT_EXEC);
		kit_lands(&kit, IOVA, IOG_PROT_READ, PADDR);
		kit_no_violation(&kit);
		kit_lands(&kit, IOVA, IOG_PROT_WRITE, PADDR);
		kit_violation(&kit, IOG_SIM_BAD_PERMISSION, "does not allow");

		/* Less. */
		kit_map(&kit, IOVA + 4096, OTHER, IOG_PROT_READ);
		iog_sim_note_map(kit.domain, IOVA + 4096, OTHER, 4096, KIT_RW);
		kit_lands(&kit, IOVA + 4096, IOG_PROT_READ, OTHER);
		kit_faults(&kit, IOVA + 4096, IOG_PROT_WRITE);
		kit_violation(&kit, IOG_SIM_BAD_PERMISSION, "which the mapping allows");

		/* A user bit lost on the way; and reading, which x86-64 grants with writing. */
		map(&kit, IOVA + 8192, OTHER, IOG_PROT_WRITE);
		if (format) {
			kit_lands(&kit, IOVA + 8192, IOG_PROT_READ, OTHER);
			kit_no_violation(&kit);
			slot = kit_slot(&kit, IOVA, 2);
			kit_store(slot, *slot & ~UINT64_C(4));
			iog_sim_inval_domain(kit.domain);
			iog_sim_inval_wait(kit.sim);
			kit_faults(&kit, IOVA + 8192, IOG_PROT_READ);
			kit_violation(&kit, IOG_SIM_BAD_PERMISSION, "user bit clear");
		} else {
			kit_faults(&kit, IOVA + 8192, IOG_PROT_READ);
			kit_lands(&kit, IOVA + 8192, IOG_PROT_WRITE, OTHER);
		}
		kit_destroy(&kit);
	}
}

/*
 * An invalidation that covers a page by the way, before the entry has been cleared, ends nothing: it is somebody else's. One that names
 * the page does.
 */
static void whose_invalidation(void **state)
{
	static struct iog_gather gather;
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, NULL);
	map(&kit, IOVA, PADDR, KIT_RW);
	map(&kit, IOVA + 4096, OTHER, KIT_RW);

	/* Noted, not yet cleared; meanwhile a neighbour flushes the domain, and the span of a table. */
	iog_sim_note_unmap(kit.domain, IOVA, 8192);
	iog_sim_inval_domain(kit.domain);
	iog_sim_inval_wait(kit.sim);
	kit_lands(&kit, IOVA, KIT_RW, PADDR);
	gather.nr_tables = 1;
	gather.tables[0].span.first = 6 * MiB;
	gather.tables[0].span.last = 8 * MiB - 1;
	assert_int_equal(iog_sim_flush(&gather, kit.domain), 0);
	kit_lands(&kit, IOVA, KIT_RW, PADDR);
	kit_no_violation(&kit);

	/* Once it is cleared, such a flush is as good as any; for the page that is not cleared still not. */
	kit_unmap(&kit, IOVA);
	assert_int_equal(iog_sim_flush(&gather, kit.domain), 0);
	kit_lands(&kit, IOVA + 4096, KIT_RW, OTHER);
	kit_no_violation(&kit);
	map(&kit, IOVA, OTHER, KIT_RW);
	kit_lands(&kit, IOVA, KIT_RW, OTHER);
	kit_no_violation(&kit);
	map(&kit, IOVA + 4096, PADDR, KIT_RW);
	kit_violation(&kit, IOG_SIM_EARLY_REUSE, "has not completed");
	unmap(&kit, IOVA + 4096);

	/* Not even beside a range that is named, in one command with it. */
	iog_sim_note_unmap(kit.domain, IOVA, 4096);
	gather.nr_ranges = 1;
	gather.ranges[0].first = 4 * MiB;
	gather.ranges[0].last = 6 * MiB - 1;
	assert_int_equal(iog_sim_flush(&gather, kit.domain), 0);
	kit_lands(&kit, IOVA, KIT_RW, OTHER);
	gather.ranges[0].first = 8 * MiB;
	gather.ranges[0].last = 8 * MiB + 4095;
	assert_int_equal(iog_sim_flush(&gather, kit.domain), 0);
	kit_lands(&kit, IOVA, KIT_RW, OTHER);
	kit_no_violation(&kit);

	/* A range of a gather names its pages. */
	gather.nr_tables = 0;
	gather.nr_ranges = 1;
	gather.ranges[0].first = IOVA;
	gather.ranges[0].last = IOVA + 8191;
	assert_int_equal(iog_sim_flush(&gather, kit.domain), 0);
	kit_lands(&kit, IOVA, KIT_RW, OTHER);
	kit_violation(&kit, IOG_SIM_STALE_ACCESS, "live tables lead there");
	kit_destroy(&kit);
}

/* A whole address space is unmapped in one call, whatever is in it. */
static void unmap_everything(void **state)
{
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, NULL);
	for (uint64_t n = 0; n < 3; n++)
		map(&kit, n * 3 * GiB + IOVA, PADDR + n * 4096, KIT_RW);
	iog_sim_note_unmap(kit.domain, 0, UINT64_C(1) << 48);
	for (uint64_t n = 0; n < 3; n++)
		kit_unmap(&kit, n * 3 * GiB + IOVA);
	iog_sim_note_reuse(kit.sim, PADDR, 3 * 4096);
	kit_violation(&kit, IOG_SIM_EARLY_REUSE, "has not completed");
	iog_sim_inval_domain(kit.domain);
	iog_sim_inval_wait(kit.sim);
	iog_sim_note_reuse(kit.sim, PADDR, 3 * 4096);
	for (uint64_t n = 0; n < 3; n++)
		kit_faults(&kit, n * 3 * GiB + IOVA, KIT_RW);
	kit_destroy(&kit);
}

static void count_violation(struct kit *kit)
{
	char text[64];
	FILE *stream = fmemopen(text, sizeof(text), "w");

	assert_non_null(stream);
	/* Under the unit's lock, which this thread has. */
	iog_sim_history(kit->domain, IOVA, stream);
	fclose(stream);
	text[sizeof(text) - 1] = '\0';
	assert_non_null(strstr(text, "history of domain 1"));
}

static void history_from_callback(void **state)
{
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, NULL);
	kit.on_violation = count_violation;
	iog_sim_note_map(kit.domain, IOVA, PADDR, 4096, KIT_RW);
	kit_faults(&kit, IOVA, IOG_PROT_READ);
	kit_violation(&kit, IOG_SIM_LOST_ACCESS, "faulted");
	/* The lock is let go. */
	kit_faults(&kit, IOVA + 4096, IOG_PROT_READ);
	kit_destroy(&kit);
}

/* No judge: whatever happens is fine, and nothing is tracked. */
static void no_oracle(void **state)
{
	static const struct iog_sim_config config = { .flags = IOG_SIM_NO_ORACLE };
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, &config);
	assert_memory_equal(&kit.plain, &kit.observed, sizeof(kit.plain));
	kit_map(&kit, IOVA, PADDR, KIT_RW);
	kit_lands(&kit, IOVA, KIT_RW, PADDR);
	iog_sim_note_map(kit.domain, IOVA, OTHER, 4096, KIT_RW);
	iog_sim_note_map(kit.domain, IOVA, PADDR, 4096, KIT_RW);
	iog_sim_note_unmap(kit.domain, IOVA, 4096);
	iog_sim_note_reuse(kit.sim, PADDR, 4096);
	kit_lands(&kit, IOVA, KIT_RW, PADDR);
	kit_destroy(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(correct),
		cmocka_unit_test(taken_tables),
		cmocka_unit_test(stale_iotlb),
		cmocka_unit_test(stale_live),
		cmocka_unit_test(stale_pointer),
		cmocka_unit_test(stale_elsewhere),
		cmocka_unit_test(freed_table),
		cmocka_unit_test(wild_table),
		cmocka_unit_test(early_reuse_of_address),
		cmocka_unit_test(revival),
		cmocka_unit_test(early_reuse_of_memory),
		cmocka_unit_test(lost_access),
		cmocka_unit_test(replaced_table),
		cmocka_unit_test(bad_permission),
		cmocka_unit_test(whose_invalidation),
		cmocka_unit_test(unmap_everything),
		cmocka_unit_test(history_from_callback),
		cmocka_unit_test(no_oracle),
		cmocka_unit_test(registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

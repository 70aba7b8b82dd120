/* SPDX-License-Identifier: MIT */
/*
 * Units that remember what is not present, and walkers that do not snoop: by hand, and by the library's page tables, which have to get along with both. Each with what happens
 * when the flush, or the cleaning, is left out.
 */
#include <stdlib.h>
#include <string.h>

#include <iogate/host/posix.h>
#include <iogate/pgtable.h>
#include <iogate/tablemem.h>

#include "kit.h"

#define MiB (UINT64_C(1) << 20)
#define GiB (UINT64_C(1) << 30)
#define IOVA (4 * MiB)
#define PADDR UINT64_C(0x5000)

static const struct iog_sim_config caching = { .pgtable_flags = IOG_PGTABLE_FLUSH_ON_MAP };
static const struct iog_sim_config noncoherent = { .pgtable_flags = IOG_PGTABLE_NONCOHERENT };

static void lost(struct kit *kit, uint64_t iova)
{
	kit_faults(kit, iova, KIT_RW);
	kit_violation(kit, IOG_SIM_LOST_ACCESS, "not present");
}

static void mapped(struct kit *kit, uint64_t iova)
{
	kit_map(kit, iova, PADDR, KIT_RW);
	iog_sim_note_map(kit->domain, iova, PADDR, 4096, KIT_RW);
}

static void absence_is_remembered(void **state)
{
	struct kit kit;

	(void)state;
	/* Where it is not, a map is seen at once. */
	kit_create(&kit, &kit_vtdss_48, NULL);
	kit_faults(&kit, IOVA, KIT_RW);
	mapped(&kit, IOVA);
	kit_lands(&kit, IOVA, KIT_RW, PADDR);
	kit_destroy(&kit);

	kit_create(&kit, &kit_vtdss_48, &caching);
	kit_faults(&kit, IOVA, KIT_RW);
	mapped(&kit, IOVA);
	lost(&kit, IOVA);
	/* There was no table, either, and the walk cache knows: leaves alone are not enough. */
	kit_invalidate(&kit, IOVA, 4096, true);
	lost(&kit, IOVA);
	kit_invalidate(&kit, IOVA, 4096, false);
	kit_lands(&kit, IOVA, KIT_RW, PADDR);

	/* The table is there: leaves are enough. */
	kit_faults(&kit, IOVA + 4096, KIT_RW);
	mapped(&kit, IOVA + 4096);
	lost(&kit, IOVA + 4096);
	kit_invalidate(&kit, IOVA + 4096, 4096, true);
	kit_lands(&kit, IOVA + 4096, KIT_RW, PADDR);
	/* What nobody has looked at is not remembered. */
	mapped(&kit, IOVA + 8192);
	kit_lands(&kit, IOVA + 8192, KIT_RW, PADDR);

	/* A whole gigabyte is known to be empty by one look at it. */
	kit_faults(&kit, 5 * GiB, KIT_RW);
	mapped(&kit, 5 * GiB + 8 * MiB);
	lost(&kit, 5 * GiB + 8 * MiB);
	iog_sim_inval_domain(kit.domain);
	assert_int_equal(iog_sim_inval_wait(kit.sim), 0);
	kit_lands(&kit, 5 * GiB + 8 * MiB, KIT_RW, PADDR);

	/* It leads nowhere: no memory is in use because of it. */
	kit_faults(&kit, 9 * GiB, KIT_RW);
	iog_sim_note_reuse(kit.sim, 0, 4096);
	kit_no_violation(&kit);
	kit_destroy(&kit);
}

static void clean(struct kit *kit, const void *va, size_t size)
{
	kit->observed.cache_clean(kit->observed.ctx, va, size);
}

/* All tables on the way, and the leaf's line. */
static void clean_way(struct kit *kit, uint64_t iova)
{
	for (uint32_t level = 0; level < 4; level++)
		clean(kit, (void *)((uintptr_t)kit_slot(kit, iova, level) & ~(uintptr_t)4095), 4096);
}

static void memory_is_what_was_cleaned(void **state)
{
	uint64_t *slot;
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, &noncoherent);
	/* Not even the root is there. */
	kit_faults(&kit, IOVA, KIT_RW);
	kit_violation(&kit, IOG_SIM_UNCLEAN_TABLE, "level 3");
	slot = kit_slot(&kit, IOVA, 0);
	clean_way(&kit, IOVA);
	mapped(&kit, IOVA);
	lost(&kit, IOVA);
	clean(&kit, slot, 8);
	kit_lands(&kit, IOVA, KIT_RW, PADDR);

	/* A line: eight entries, from any byte of it. */
	mapped(&kit, IOVA + 7 * 4096);
	mapped(&kit, IOVA + 8 * 4096);
	clean(&kit, (unsigned char *)slot + 33, 1);
	kit_lands(&kit, IOVA + 7 * 4096, KIT_RW, PADDR);
	lost(&kit, IOVA + 8 * 4096);
	clean(&kit, (unsigned char *)slot + 63, 2);
	kit_lands(&kit, IOVA + 8 * 4096, KIT_RW, PADDR);

	/* An unmap that was not written back has not happened. */
	iog_sim_note_unmap(kit.domain, IOVA, 4096);
	kit_store(slot, 0);
	kit_invalidate(&kit, IOVA, 4096, true);
	assert_int_equal(iog_sim_translate(kit.domain, IOVA, KIT_RW, NULL), 0);
	kit_violation(&kit, IOG_SIM_STALE_ACCESS, "live tables");
	clean(&kit, slot, 8);
	kit_invalidate(&kit, IOVA, 4096, true);
	kit_faults(&kit, IOVA, KIT_RW);

	/* What goes back to the host is forgotten, though it comes again as the same. */
	kit_faults(&kit, 3 * GiB, KIT_RW);
	slot = kit_table_take(&kit);
	clean(&kit, slot, 4096);
	kit_store(kit_slot(&kit, 3 * GiB, 2), kit_entry_table(&kit, slot));
	clean(&kit, kit_slot(&kit, 3 * GiB, 2), 8);
	kit_invalidate(&kit, 3 * GiB, GiB, false);
	kit_faults(&kit, 3 * GiB, KIT_RW);
	kit_no_violation(&kit);
	kit_invalidate(&kit, 3 * GiB, GiB, false);
	kit_table_free(&kit, slot);
	kit.observed.pages_free(kit.observed.ctx, slot, 4096);
	kit.observed.table_taken(kit.observed.ctx, slot, 4096, 1);
	kit_faults(&kit, 3 * GiB, KIT_RW);
	kit_violation(&kit, IOG_SIM_UNCLEAN_TABLE, "level 1");
	kit_destroy(&kit);
}

/* ---- the library's page tables ---- */

struct rig {
	struct iog_posix *posix;
	struct iog_platform host; /* of the process, but for the cleaning */
	struct iog_platform platform;
	struct iog_sim *sim;
	struct iog_sim_domain *domain;
	struct iog_tablemem *mem;
	struct iog_pgtable *pgtable;
	struct iog_gather gather;
	void (*clean)(void *ctx, const void *va, size_t size);
	uint64_t cleans, forget_every; /* of so many cleanings one is left out; 0: none is */
	uint64_t violations;
};

static struct rig rig;

static void count_violation(void *ctx, const struct iog_sim_violation *violation)
{
	(void)ctx;
	(void)violation;
	rig.violations++;
}

static void forgetful_clean(void *ctx, const void *va, size_t size)
{
	if (!rig.forget_every || ++rig.cleans % rig.forget_every)
		rig.clean(ctx, va, size);
}

static void rig_create(uint32_t sim_flags, uint32_t table_flags, uint64_t forget_every)
{
	const struct iog_sim_config config = { .pgtable_flags = sim_flags, .violation = count_violation };
	struct iog_pgtable_config table = { .ops = &iog_vtdss_counted, .flags = table_flags };
	struct iog_pgtable_root root;

	memset(&rig, 0, sizeof(rig));
	rig.forget_every = forget_every;
	assert_int_equal(iog_posix_create(NULL, &rig.posix), 0);
	rig.platform = *iog_posix_platform(rig.posix);
	assert_int_equal(iog_sim_create(&rig.platform, &config, &rig.sim), 0);
	iog_sim_observe(rig.sim, &rig.platform);
	rig.clean = rig.platform.cache_clean;
	if (rig.clean)
		rig.platform.cache_clean = forgetful_clean;
	assert_int_equal(iog_tablemem_create(&rig.platform, NULL, &rig.mem), 0);
	table.tablemem = rig.mem;
	assert_int_equal(iog_pgtable_create(&table, &rig.pgtable), 0);
	iog_pgtable_root(rig.pgtable, &root);
	assert_int_equal(iog_sim_domain_create(rig.sim, 1, &root, &rig.domain), 0);
	assert_int_equal(iog_gather_init(&rig.gather, rig.pgtable, 0, iog_sim_flush, rig.domain), 0);
}

static void rig_destroy(void)
{
	iog_pgtable_destroy(rig.pgtable, 0);
	iog_sim_domain_destroy(rig.domain);
	assert_int_equal(iog_tablemem_destroy(rig.mem), 0);
	iog_sim_destroy(rig.sim);
	iog_posix_destroy(rig.posix);
}

/* Pages come and go in a few regions; each is looked at before, while and after it is there. */
static void traffic(uint64_t seed)
{
	static uint64_t size_of[4][64];

	memset(size_of, 0, sizeof(size_of));
	for (uint32_t step = 0; step < 3000; step++) {
		uint64_t number = kit_random(&seed), region = number & 3, slot = number >> 2 & 63;
		uint64_t iova = region * GiB + slot * 256 * 1024, size = ((number >> 8 & 7) + 1) * 4096;

		if (size_of[region][slot]) {
			size = size_of[region][slot];
			iog_sim_note_unmap(rig.domain, iova, size);
			assert_int_equal(iog_pgtable_unmap(rig.pgtable, iova, size, &rig.gather, NULL), 0);
			if (!(number >> 16 & 31))
				assert_int_equal(iog_pgtable_trim(rig.pgtable, &rig.gather, NULL), 0);
			assert_int_equal(iog_gather_flush(&rig.gather), 0);
			size_of[region][slot] = 0;
		} else {
			iog_sim_translate(rig.domain, iova, KIT_RW, NULL);
			assert_int_equal(iog_pgtable_map(rig.pgtable, iova, GiB + iova, size, KIT_RW, &rig.gather), 0);
			iog_sim_note_map(rig.domain, iova, GiB + iova, size, KIT_RW);
			size_of[region][slot] = size;
		}
		for (uint64_t at = 0; at < size; at += 4096)
			iog_sim_translate(rig.domain, iova + at, KIT_RW, NULL);
	}
}

static void library(void **state)
{
	static const struct {
		uint32_t sim, table;
		uint64_t forget_every;
		bool wrong;
	} cases[] = {
		{ 0, 0, 0, false },
		{ IOG_PGTABLE_FLUSH_ON_MAP, IOG_PGTABLE_FLUSH_ON_MAP, 0, false },
		{ IOG_PGTABLE_FLUSH_ON_MAP, 0, 0, true },
		{ IOG_PGTABLE_NONCOHERENT, IOG_PGTABLE_NONCOHERENT, 0, false },
		{ IOG_PGTABLE_NONCOHERENT, 0, 0, true },
		{ IOG_PGTABLE_NONCOHERENT, IOG_PGTABLE_NONCOHERENT, 50, true },
		{ IOG_PGTABLE_NONCOHERENT | IOG_PGTABLE_FLUSH_ON_MAP, IOG_PGTABLE_NONCOHERENT | IOG_PGTABLE_FLUSH_ON_MAP, 0, false },
	};
	uint64_t seed = kit_seed("modes");

	(void)state;
	for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		rig_create(cases[n].sim, cases[n].table, cases[n].forget_every);
		traffic(seed);
		if (!rig.violations == cases[n].wrong)
			print_error("case %zu: %u violations\n", n, (unsigned int)rig.violations);
		assert_int_equal(rig.violations != 0, cases[n].wrong);
		rig_destroy();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(absence_is_remembered),
		cmocka_unit_test(memory_is_what_was_cleaned),
		cmocka_unit_test(library),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

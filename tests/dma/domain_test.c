/* SPDX-License-Identifier: MIT */
/*
 * Domains alone and with one device: configurations, the generic policies, static 1:1, failing allocations, and that nothing is left.
 */
#include <inttypes.h>
#include <string.h>

#include "bed.h"

#define LIMIT UINT64_MAX

static const struct iog_policy *const policies[] = { &iog_policy_tree, &iog_policy_magazine, &iog_policy_pooled };
#define NR_POLICIES (sizeof(policies) / sizeof(policies[0]))

static int create(const struct iog_domain_config *config)
{
	struct iog_domain *domain = NULL;
	int error = iog_domain_create(config, &domain);

	if (error)
		assert_null(domain);
	assert_int_equal(iog_domain_destroy(domain), 0);
	return error;
}

static void malformed(void **state)
{
	const struct iog_range reversed = { 0x2000, 0x1000 };
	const struct iog_memory twice[] = { { .paddr = 0, .size = MiB, .prot = BED_RW }, { .paddr = 0, .size = 4096, .prot = BED_RW } };
	const struct iog_memory beyond = { .paddr = UINT64_C(1) << 48, .size = 4096, .prot = BED_RW };
	struct iog_domain_config config;
	struct bed bed;

	(void)state;
	bed_create(&bed, BED_LANES);
#define EXPECT(error, ...)                                  \
	do {                                                \
		config = bed_config(&bed);                  \
		__VA_ARGS__;                                \
		assert_int_equal(create(&config), (error)); \
	} while (0)

	EXPECT(0, (void)0);
	EXPECT(-IOG_EINVAL, config.platform = NULL);
	EXPECT(-IOG_EINVAL, config.type = (enum iog_domain_type)3);
	EXPECT(-IOG_EINVAL, config.lanes = BED_LANES + 1);
	EXPECT(-IOG_EINVAL, config.lanes = 5000);
	EXPECT(-IOG_EINVAL, config.pgtable.tablemem = NULL);
	EXPECT(-IOG_EINVAL, config.pgtable.ops = NULL);
	EXPECT(-IOG_ERANGE, config.pgtable.ias = 40);
	EXPECT(-IOG_EINVAL, config.pgtable.ops = &iog_vtdss_counted_single; config.pgtable.flags = IOG_PGTABLE_SINGLE_WRITER);
	EXPECT(0, config.pgtable.ops = &iog_vtdss_counted_single; config.pgtable.flags = IOG_PGTABLE_SINGLE_WRITER; config.lanes = 1);
	EXPECT(-IOG_EINVAL, config.mode = (enum iog_inval_mode)3);
	EXPECT(-IOG_EINVAL, config.deferred_entries = 65537);
	EXPECT(0, config.deferred_entries = 65536);
	EXPECT(-IOG_EINVAL, config.units_max = 65);
	EXPECT(0, config.units_max = 64);
	EXPECT(-IOG_EINVAL, config.first = 0x800; config.last = MiB - 1);
	EXPECT(-IOG_EINVAL, config.first = 0x1000; config.last = MiB);
	EXPECT(-IOG_EINVAL, config.first = MiB; config.last = MiB / 2 - 1);
	EXPECT(-IOG_ERANGE, config.last = UINT64_MAX);
	EXPECT(-IOG_ERANGE, config.pgtable.ias = 39; config.last = (UINT64_C(1) << 40) - 1);
	EXPECT(-IOG_EINVAL, config.nr_reserved = 1);
	EXPECT(-IOG_EINVAL, config.nr_reserved = 1; config.reserved = &reversed);
	EXPECT(-IOG_EINVAL, config.iova_flags = IOG_IOVA_LAZY);
	EXPECT(-IOG_EOPNOTSUPP, config.iova_flags = IOG_IOVA_STALE | IOG_IOVA_BOTTOM_UP; config.policy = &iog_policy_pooled; config.mode = IOG_INVAL_DEFERRED;
	       config.policy = &iog_policy_window);
	EXPECT(0, config.iova_flags = IOG_IOVA_STALE; config.policy = &iog_policy_pooled; config.mode = IOG_INVAL_DEFERRED);
	EXPECT(0, config.iova_flags = IOG_IOVA_STALE; config.policy = &iog_policy_pooled);
	EXPECT(-IOG_EINVAL, config.memory = twice);
	EXPECT(-IOG_EINVAL, config.memory = twice; config.nr_memory = 2);
	EXPECT(0, config.memory = twice; config.nr_memory = 1);
	EXPECT(-IOG_ERANGE, config.memory = &beyond; config.nr_memory = 1);
	EXPECT(0, config.type = IOG_DOMAIN_IDENTITY; config.pgtable.tablemem = NULL);
	EXPECT(0, config.type = IOG_DOMAIN_BLOCKED; config.pgtable.tablemem = NULL; config.lanes = 7);
#undef EXPECT
	assert_int_equal(iog_domain_create(NULL, NULL), -IOG_EINVAL);
	assert_int_equal(iog_domain_destroy(NULL), 0);
	bed_destroy(&bed);
}

/* Where a run may lie, whatever the policy: in the aperture, out of what is reserved, below the limit, and aligned. */
static void aperture(void **state)
{
	const struct iog_range reserved = { 0x18000, 0x1ffff };

	(void)state;
	for (uint32_t p = 0; p < NR_POLICIES; p++) {
		struct iog_domain_config config;
		struct iog_domain *domain;
		iog_iova_t iova;
		uint64_t granules = 0;
		struct bed bed;

		bed_create(&bed, 1);
		config = bed_config(&bed);
		config.policy = policies[p];
		config.first = 0x10000;
		config.last = 0x3ffff;
		config.reserved = &reserved;
		config.nr_reserved = 1;
		domain = bed_domain(&config);
		assert_int_equal(bed_map(&bed, domain, 0, 4096, 0xffff, &iova), -IOG_ENOSPC);
		while (!bed_map(&bed, domain, 0, 4096, 0x2ffff, &iova)) {
			assert_true(iova >= 0x10000 && iova <= 0x2f000 && (iova < 0x18000 || iova > 0x1f000));
			granules++;
		}
		assert_int_equal(granules, 0x20 - 8);
		assert_int_equal(bed_map(&bed, domain, 0, 0x8000, LIMIT, &iova), 0);
		assert_true(iova >= 0x30000 && !(iova & 0x7fff));
		assert_int_equal(iog_domain_destroy(domain), 0);
		bed_destroy(&bed);
	}
}

/* The unmapping of what is not wholly mapped changes nothing, in any way to see it. */
static void not_mapped(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < 2 * NR_POLICIES; p++) {
		struct iog_domain_config config;
		struct domain_lane *lane;
		struct iog_domain *domain;
		struct iog_leaf leaf;
		iog_iova_t one, four, run;
		struct bed bed;

		bed_create(&bed, 1);
		config = bed_config(&bed);
		config.policy = policies[p / 2];
		config.mode = p & 1 ? IOG_INVAL_DEFERRED : IOG_INVAL_STRICT;
		domain = bed_domain(&config);
		lane = &domain->lanes[0];
		assert_int_equal(bed_map(&bed, domain, 0, 4096, LIMIT, &one), 0);
		assert_int_equal(bed_map(&bed, domain, 0, 16384, LIMIT, &four), 0);
		assert_int_equal(domain->policy->alloc(lane, 16384, LIMIT, &run), 0);
		assert_int_equal(bed_stats(domain).iova.live_bytes, 36864);

		assert_int_equal(bed_unmap(domain, 0, run, 4096), -IOG_ENOENT);
		assert_int_equal(bed_unmap(domain, 0, run, 16384), -IOG_ENOENT);
		/* A hole at the end, at the beginning, and in the middle. */
		for (uint32_t hole = 0; hole < 4; hole++) {
			for (uint32_t page = 0; page < 4; page++) {
				if (page != hole)
					assert_int_equal(domain->policy->fill(lane, run + page * 4096, bed.paddr + page * 4096, 4096, BED_RW), 0);
			}
			assert_int_equal(bed_unmap(domain, 0, run, 16384), -IOG_ENOENT);
			for (uint32_t page = 0; page < 4; page++) {
				int found = iog_pgtable_lookup(domain->pgtable, 0, run + page * 4096, &leaf);

				assert_int_equal(found, page == hole ? -IOG_ENOENT : 0);
				if (!found)
					assert_int_equal(leaf.paddr, bed.paddr + page * 4096);
			}
			assert_int_equal(domain->policy->clear(lane, run, 16384), 0);
		}
		assert_int_equal(bed_stats(domain).iova.live_bytes, 36864);
		assert_int_equal(bed_unmap(domain, 0, UINT64_C(1) << 48, 4096), -IOG_ERANGE);
		assert_int_equal(bed_unmap(domain, 0, one + 8, 4096), -IOG_EINVAL);

		assert_int_equal(domain->policy->free(lane, run, 16384), 0);
		assert_int_equal(bed_unmap(domain, 0, four, 16384), 0);
		assert_int_equal(bed_unmap(domain, 0, four, 16384), -IOG_ENOENT);
		assert_int_equal(bed_unmap(domain, 0, one, 4096), 0);
		assert_int_equal(bed_unmap(domain, 0, one, 4096), -IOG_ENOENT);
		assert_int_equal(iog_domain_trim(domain, 0), 0);
		assert_int_equal(bed_stats(domain).iova.live_bytes, 0);
		/* The bitmap of pools keeps what was freed lazily until its own next flush. */
		assert_int_equal(bed_stats(domain).iova.cached_bytes, p & 1 && domain->iova->flags & IOG_IOVA_LAZY ? 36864 : 0);
		assert_int_equal(bed_stats(domain).pgtable.tables[0], 0);
		assert_int_equal(bed_stats(domain).deferred, 0);
		assert_true(iog_iova_is_valid(domain->iova));
		assert_true(iog_pgtable_is_valid(domain->pgtable));
		assert_int_equal(iog_domain_destroy(domain), 0);
		bed_destroy(&bed);
	}
}

/* A map that cannot have tables, or may not go there, leaves the address free and nothing mapped. */
static void map_fails(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < 2 * NR_POLICIES; p++) {
		struct iog_domain_config config;
		struct iog_domain *domain;
		iog_iova_t iova;
		int error = 0;
		struct bed bed;

		bed_create(&bed, 1);
		config = bed_config(&bed);
		config.policy = policies[p / 2];
		config.mode = p & 1 ? IOG_INVAL_DEFERRED : IOG_INVAL_STRICT;
		domain = bed_domain(&config);
		assert_int_equal(domain->policy->map(&domain->lanes[0], 0, 4096, 0, LIMIT, &iova), -IOG_EINVAL);
		assert_int_equal(domain->policy->map(&domain->lanes[0], UINT64_C(1) << 52, 4096, BED_RW, LIMIT, &iova), -IOG_ERANGE);
		for (uint64_t n = 1;; n++) {
			atomic_store(&bed.fail_in, n);
			error = bed_map(&bed, domain, 0, 16384, LIMIT, &iova);
			if (!error)
				break;
			assert_int_equal(error, -IOG_ENOMEM);
			assert_int_equal(iog_domain_flush(domain, 0), 0);
			assert_int_equal(bed_stats(domain).iova.live_bytes, 0);
		}
		atomic_store(&bed.fail_in, 0);
		assert_int_equal(bed_unmap(domain, 0, iova, 16384), 0);
		assert_int_equal(iog_domain_destroy(domain), 0);
		bed_destroy(&bed);
	}
}

/* Every create call, with its nth allocation failing, for every n: an error, and nothing left. */
static void nth_allocation(void **state)
{
	struct iog_domain_config config, identity = { .type = IOG_DOMAIN_IDENTITY };
	const struct iog_memory memory = { .paddr = 0, .size = 3 * GiB + 5 * MiB + 4096, .prot = BED_RW };
	const struct iog_range reserved = { 0x18000, 0x1ffff };
	struct iog_posix_stats before, after;
	struct iog_device *device = NULL;
	struct iog_domain *domain = NULL;
	struct iog_device_config device_config;
	struct iog_group *group = NULL;
	struct bed bed;
	uint32_t swept = 0;

	(void)state;
	bed_create(&bed, BED_LANES);
	config = bed_config(&bed);
	config.reserved = &reserved;
	config.nr_reserved = 1;
	identity.platform = &bed.platform;
	device_config = (struct iog_device_config){ .platform = &bed.base, .unit = &bed.probes[0].unit, .id = 3 };
	/* Slabs that a page table leaves in stock are not a leak, but look like one: let them be there before. */
	config.memory = &memory;
	config.nr_memory = 1;
	assert_int_equal(create(&config), 0);

	for (uint32_t what = 0; what < NR_POLICIES + 5; what++) {
		int error = -IOG_ENOMEM;

		config.memory = what == NR_POLICIES ? &memory : NULL;
		config.nr_memory = what == NR_POLICIES;
		config.policy = what < NR_POLICIES ? policies[what] : &iog_policy_window;
		assert_int_equal(iog_tablemem_trim(bed.mem, 0), 0);
		iog_posix_stats(bed.posix, &before);
		for (uint64_t n = 1; error; n++) {
			atomic_store(&bed.fail_in, n);
			if (what <= NR_POLICIES + 1)
				error = iog_domain_create(&config, &domain);
			else if (what == NR_POLICIES + 2)
				error = iog_domain_create(&identity, &domain);
			else if (what == NR_POLICIES + 3)
				error = iog_device_create(&device_config, &device);
			else
				error = iog_group_create(&bed.platform, &group);
			swept++;
			if (!error)
				break;
			assert_int_equal(error, -IOG_ENOMEM);
			assert_null(domain);
			assert_null(device);
			assert_null(group);
			assert_int_equal(iog_tablemem_trim(bed.mem, 0), 0);
			iog_posix_stats(bed.posix, &after);
			assert_int_equal(after.object_bytes, before.object_bytes);
			assert_int_equal(after.page_bytes, before.page_bytes);
		}
		atomic_store(&bed.fail_in, 0);
		assert_int_equal(iog_domain_destroy(domain), 0);
		assert_int_equal(iog_device_destroy(device), 0);
		assert_int_equal(iog_group_destroy(group), 0);
		domain = NULL;
		device = NULL;
		group = NULL;
		assert_int_equal(iog_tablemem_trim(bed.mem, 0), 0);
		iog_posix_stats(bed.posix, &after);
		assert_int_equal(after.object_bytes, before.object_bytes);
	}
	print_message("%" PRIu32 " creations\n", swept);
	assert_true(swept > 40);
	bed_destroy(&bed);
}

/* Units: arguments, and the allocation that they make. */
static void units(void **state)
{
	struct iog_unit unit = { .ops = NULL };
	struct bed bed;

	(void)state;
	bed_create(&bed, 1);
	assert_int_equal(iog_unit_init(NULL), -IOG_EINVAL);
	assert_int_equal(iog_unit_init(&unit), -IOG_EINVAL);
	unit.ops = bed.probes[0].unit.ops;
	unit.platform = &bed.base;
	assert_int_equal(iog_unit_init(&unit), -IOG_EINVAL);
	unit.domain_ids = 1u << 20;
	assert_int_equal(iog_unit_init(&unit), -IOG_EINVAL);
	unit.domain_ids = (1u << 20) - 1;
	atomic_store(&bed.fail_in, 1);
	assert_int_equal(iog_unit_init(&unit), -IOG_ENOMEM);
	assert_int_equal(iog_unit_init(&unit), 0);
	assert_int_equal(iog_unit_fini(&unit), 0);
	bed_destroy(&bed);
}

static uint64_t leaf_at(struct iog_domain *domain, iog_iova_t iova)
{
	struct iog_leaf leaf;

	assert_int_equal(iog_pgtable_lookup(domain->pgtable, 0, iova, &leaf), 0);
	assert_int_equal(leaf.paddr, iova);
	assert_int_equal(leaf.prot & BED_RW, BED_RW);
	return leaf.page_size;
}

/* Memory that begins 4 KiB below a GiB: leaves as large as allowed, smaller ones at the edges. */
static void static_memory(void **state)
{
	static const uint64_t sizes[] = { 0x1000, 0x201000, 0x40201000 };
	const struct iog_memory memory = { .paddr = GiB - 4096, .size = GiB + 4 * MiB + 8192, .prot = BED_RW };
	iog_paddr_t paddr;

	(void)state;
	for (uint32_t s = 0; s < 3; s++) {
		struct iog_domain_config config;
		struct iog_domain_stats stats;
		struct iog_domain *domain;
		struct iog_device *device;
		struct bed bed;

		bed_create(&bed, 1);
		config = bed_config(&bed);
		config.pgtable.page_sizes = sizes[s];
		config.memory = &memory;
		config.nr_memory = 1;
		domain = bed_domain(&config);
		assert_true(domain->is_static);
		assert_int_equal(leaf_at(domain, GiB - 4096), 4096);
		assert_int_equal(leaf_at(domain, GiB), s == 0 ? 4096 : s == 1 ? 2 * MiB : GiB);
		assert_int_equal(leaf_at(domain, 2 * GiB + MiB), s == 0 ? 4096 : 2 * MiB);
		assert_int_equal(leaf_at(domain, 2 * GiB + 4 * MiB), 4096);
		/* A root, a table for its one entry, and: for GiBs 0, 1 and 2 one of level 1 each unless GiB 1 is a leaf; and one of level 0 where 4 KiB leaves are. */
		stats = bed_stats(domain);
		assert_int_equal(stats.pgtable.tables[2], 1);
		assert_int_equal(stats.pgtable.tables[1], s == 2 ? 2 : 3);
		assert_int_equal(stats.pgtable.tables[0], s == 0 ? 1 + 512 + 3 : 2);

		device = bed_device(&bed, 0, 7, NULL);
		assert_int_equal(iog_domain_attach(domain, device), 0);
		iog_sim_note_map(iog_sim_device_domain(bed.probes[0].sim, 7), GiB, GiB, 4096, BED_RW);
		assert_int_equal(iog_sim_device_translate(bed.probes[0].sim, 7, GiB + 40, BED_RW, &paddr), 0);
		assert_int_equal(paddr, GiB + 40);
		assert_false(bed_lands(&bed, 0, 7, GiB - 8192));
		assert_int_equal(iog_domain_flush(domain, 0), 0);
		assert_int_equal(iog_domain_trim(domain, 0), 0);
		assert_int_equal(iog_device_destroy(device), 0);
		assert_int_equal(iog_domain_destroy(domain), 0);
		bed_destroy(&bed);
	}
}

/* Untranslated and blocked domains, and the right to bypass. */
static void untranslated(void **state)
{
	struct iog_domain_config config = { .type = IOG_DOMAIN_IDENTITY };
	struct iog_domain *identity, *blocked;
	struct iog_device *device;
	uint64_t word = 0;
	struct bed bed;
	struct iog_sim *sim;

	(void)state;
	bed_create(&bed, 1);
	sim = bed.probes[0].sim;
	config.platform = &bed.platform;
	identity = bed_domain(&config);
	config.type = IOG_DOMAIN_BLOCKED;
	blocked = bed_domain(&config);
	assert_null(iog_domain_pgtable(identity));
	memset(bed.memory, 0x5a, 8);

	assert_int_equal(iog_sim_device_dma(sim, 9, bed.paddr, &word, 8, IOG_PROT_READ, NULL), -IOG_EFAULT);
	device = bed_device(&bed, 0, 9, NULL);
	assert_null(iog_device_domain(device));
	assert_int_equal(iog_sim_device_dma(sim, 9, bed.paddr, &word, 8, IOG_PROT_READ, NULL), -IOG_EFAULT);
	assert_int_equal(iog_domain_attach(identity, device), 0);
	assert_ptr_equal(iog_device_domain(device), identity);
	assert_int_equal(iog_sim_device_dma(sim, 9, bed.paddr, &word, 8, IOG_PROT_READ, NULL), 0);
	assert_int_equal(word, UINT64_C(0x5a5a5a5a5a5a5a5a));
	assert_int_equal(iog_domain_flush(identity, 0), 0);
	assert_int_equal(iog_domain_tick(identity, 0, 5), 0);
	assert_int_equal(iog_domain_trim(identity, 0), 0);
	assert_int_equal(iog_domain_flush(identity, 1), -IOG_EINVAL);
	assert_int_equal(iog_domain_destroy(identity), -IOG_EBUSY);

	assert_int_equal(iog_sim_device_dma_bypass(sim, 9, bed.paddr, &word, 8, IOG_PROT_READ), -IOG_EFAULT);
	assert_int_equal(iog_sim_device_bypass(sim, 9, true), 0);
	assert_int_equal(iog_sim_device_dma_bypass(sim, 9, bed.paddr, &word, 8, IOG_PROT_READ), 0);
	assert_int_equal(iog_domain_attach(blocked, device), 0);
	assert_int_equal(iog_sim_device_dma_bypass(sim, 9, bed.paddr, &word, 8, IOG_PROT_READ), -IOG_EFAULT);
	assert_int_equal(iog_sim_device_dma(sim, 9, bed.paddr, &word, 8, IOG_PROT_READ, NULL), -IOG_EFAULT);
	assert_int_equal(iog_domain_destroy(identity), 0);
	assert_int_equal(iog_domain_destroy(blocked), -IOG_EBUSY);
	assert_int_equal(iog_domain_attach(NULL, device), 0);
	assert_null(iog_device_domain(device));
	assert_int_equal(iog_domain_destroy(blocked), 0);
	assert_int_equal(iog_device_destroy(device), 0);
	bed_destroy(&bed);
}

/* Whatever is mapped, deferred and cached when a domain goes: everything comes back. */
static void destroyed_in_use(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < NR_POLICIES; p++) {
		struct iog_domain_config config;
		struct iog_tablemem_stats stats;
		struct iog_domain *domain;
		iog_iova_t iova[64];
		struct bed bed;

		bed_create(&bed, BED_LANES);
		config = bed_config(&bed);
		config.policy = policies[p];
		config.mode = IOG_INVAL_DEFERRED;
		config.pgtable.trim_batch = 1;
		domain = bed_domain(&config);
		for (uint32_t n = 0; n < 64; n++)
			assert_int_equal(bed_map(&bed, domain, n % BED_LANES, 2 * MiB - 4096, LIMIT, &iova[n]), 0);
		for (uint32_t n = 0; n < 64; n += 2)
			assert_int_equal(bed_unmap(domain, (n + 1) % BED_LANES, iova[n], 2 * MiB - 4096), 0);
		assert_true(bed_stats(domain).deferred > 0);
		assert_int_equal(iog_domain_destroy(domain), 0);
		for (uint32_t n = 0; n < BED_LANES; n++)
			assert_int_equal(iog_tablemem_trim(bed.mem, n), 0);
		iog_tablemem_stats(bed.mem, &stats);
		assert_int_equal(stats.tables, 0);
		assert_int_equal(stats.slabs, 0);
		bed_destroy(&bed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed),
		cmocka_unit_test(aperture),
		cmocka_unit_test(not_mapped),
		cmocka_unit_test(map_fails),
		cmocka_unit_test(nth_allocation),
		cmocka_unit_test(units),
		cmocka_unit_test(static_memory),
		cmocka_unit_test(untranslated),
		cmocka_unit_test(destroyed_in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

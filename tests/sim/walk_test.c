/* SPDX-License-Identifier: MIT */
/*
 * The unit's own decoders: every level and leaf size of both formats, and everything that has to fault. The judge is off: tables are
 * built by hand, and only what the walk makes of them counts.
 */
#include "kit.h"

static const struct iog_sim_config no_oracle = { .flags = IOG_SIM_NO_ORACLE };

static const struct kit_shape shapes[] = {
	{ "vtdss", 3, 39, 0 },
	{ "vtdss", 4, 48, 0 },
	{ "vtdss", 5, 57, 0 },
	{ "x86_64", 4, 48, 0 },
	{ "x86_64", 5, 57, 0 },
	{ "x86_64", 4, 48, IOG_PGTABLE_SIGN_EXTENDED },
	{ "x86_64", 5, 57, IOG_PGTABLE_SIGN_EXTENDED },
};

#define NR_SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static uint64_t level_size(uint32_t level)
{
	return UINT64_C(1) << (12 + 9 * level);
}

/* The last address a shape can express, and one in the middle. */
static uint64_t last_address(const struct kit_shape *shape)
{
	return shape->flags & IOG_PGTABLE_SIGN_EXTENDED ? UINT64_MAX : (UINT64_C(1) << shape->ias) - 1;
}

static void forget(struct kit *kit)
{
	iog_sim_inval_domain(kit->domain);
	assert_int_equal(iog_sim_inval_wait(kit->sim), 0);
}

static void every_leaf_size(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SHAPES; i++) {
		const struct kit_shape *shape = &shapes[i];

		for (uint32_t level = 0; level < 3; level++) {
			uint64_t size = level_size(level);
			uint64_t iovas[] = { 0, UINT64_C(0x12340000000) & (last_address(shape) >> 1) & ~(size - 1),
					     last_address(shape) - (size - 1) };
			struct kit kit;

			kit_create(&kit, shape, &no_oracle);
			for (size_t n = 0; n < 3; n++) {
				uint64_t paddr = UINT64_C(0xabc0000000) + n * (UINT64_C(1) << 30);
				struct iog_sim_stats before, after;

				kit_store(kit_slot(&kit, iovas[n], level), kit_entry_leaf(&kit, paddr, level, KIT_RW));
				forget(&kit);
				before = kit_stats(&kit);
				kit_lands(&kit, iovas[n], IOG_PROT_READ, paddr);
				after = kit_stats(&kit);
				/* One entry per level, from the root to the leaf. */
				assert_int_equal(after.walk_reads - before.walk_reads, shape->levels - level);
				assert_int_equal(after.walk_misses - before.walk_misses, 1);
				assert_int_equal(after.iotlb_misses - before.iotlb_misses, 1);

				/* From the IOTLB: all of the leaf, by no further read. */
				kit_lands(&kit, iovas[n] + size - 1, KIT_RW, paddr + size - 1);
				kit_lands(&kit, iovas[n] + size / 2 + 5, IOG_PROT_WRITE, paddr + size / 2 + 5);
				assert_int_equal(kit_stats(&kit).walk_reads, after.walk_reads);
				assert_int_equal(kit_stats(&kit).iotlb_hits - after.iotlb_hits, 2);

				/* From memory again, at another offset. */
				forget(&kit);
				kit_lands(&kit, iovas[n] + size / 4 + 3, IOG_PROT_WRITE, paddr + size / 4 + 3);
			}
			kit_destroy(&kit);
		}
	}
}

static void addresses_beyond(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SHAPES; i++) {
		const struct kit_shape *shape = &shapes[i];
		struct iog_sim_stats stats;
		struct kit kit;

		kit_create(&kit, shape, &no_oracle);
		/* Every entry of the root maps something, so that only the address can be at fault. */
		kit_map(&kit, 0, 0x5000, KIT_RW);
		for (uint32_t n = 0; n < 512; n++)
			kit.root[n] = kit.root[0];
		if (shape->flags & IOG_PGTABLE_SIGN_EXTENDED) {
			uint64_t half = UINT64_C(1) << (shape->ias - 1);

			kit_faults(&kit, half, IOG_PROT_READ);
			kit_faults(&kit, half << 1, IOG_PROT_READ);
			kit_faults(&kit, ~half & ~UINT64_C(0xfff), IOG_PROT_READ);
			kit_faults(&kit, UINT64_C(1) << 63, IOG_PROT_READ);
			/* The lowest of the upper half, whose index in the root is 256. */
			kit_lands(&kit, -half, IOG_PROT_READ, 0x5000);
		} else {
			kit_faults(&kit, UINT64_C(1) << shape->ias, IOG_PROT_READ);
			kit_faults(&kit, UINT64_C(1) << 63, IOG_PROT_READ);
			kit_faults(&kit, UINT64_MAX, IOG_PROT_READ);
			kit_lands(&kit, UINT64_C(1) << (shape->ias - 1), IOG_PROT_READ, 0x5000);
		}
		stats = kit_stats(&kit);
		assert_int_equal(stats.walk_misses, 1);
		assert_int_equal(stats.iotlb_hits + stats.iotlb_misses, stats.reads);
		kit_destroy(&kit);
	}
}

/* What is not present faults whatever else it holds: empty, a tombstone's address, poison, garbage. */
static void not_present(void **state)
{
	static const uint64_t rubbish[] = { 0, UINT64_C(0x123456000), IOG_TABLE_POISON_LOW,
					    UINT64_C(0xfffffffffffff000) | IOG_TABLE_POISON_LOW };

	(void)state;
	for (size_t i = 0; i < NR_SHAPES; i++) {
		for (uint32_t level = 0; level < shapes[i].levels; level++) {
			struct iog_sim_stats stats;
			struct kit kit;

			kit_create(&kit, &shapes[i], &no_oracle);
			for (size_t n = 0; n < sizeof(rubbish) / sizeof(rubbish[0]); n++) {
				kit_store(kit_slot(&kit, 0x7000, level), rubbish[n]);
				kit_faults(&kit, 0x7000, IOG_PROT_READ);
			}
			/* All bits but those that mean present. */
			kit_store(kit_slot(&kit, 0x7000, level), kit_entry_table(&kit, kit.root) & 0x4 ? ~UINT64_C(1) : ~UINT64_C(3));
			kit_faults(&kit, 0x7000, IOG_PROT_WRITE);
			stats = kit_stats(&kit);
			assert_int_equal(stats.faults, 5);

			/* No fault is remembered. */
			kit_store(kit_slot(&kit, 0x7000, level), 0);
			kit_map(&kit, 0x7000, 0x9000, KIT_RW);
			kit_lands(&kit, 0x7000, KIT_RW, 0x9000);
			kit_destroy(&kit);
		}
	}
}

static void reserved_bits(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SHAPES; i++) {
		for (uint32_t level = 0; level < shapes[i].levels; level++) {
			uint64_t good, *slot;
			struct kit kit;

			kit_create(&kit, &shapes[i], &no_oracle);
			kit_map(&kit, 0, 0x9000, KIT_RW);
			slot = kit_slot(&kit, 0, level);
			good = *slot;
			if (level > 2) {
				/* No leaf is that large. */
				kit_store(slot, good | 0x80);
				kit_faults(&kit, 0, IOG_PROT_READ);
				kit_store(slot, kit_entry_leaf(&kit, 0, level, KIT_RW));
				kit_faults(&kit, 0, IOG_PROT_READ);
			} else if (level) {
				/* The lowest and the highest address bit below the page size. */
				kit_store(slot, kit_entry_leaf(&kit, UINT64_C(1) << 12, level, KIT_RW));
				kit_faults(&kit, 0, IOG_PROT_READ);
				kit_store(slot, kit_entry_leaf(&kit, UINT64_C(1) << (11 + 9 * level), level, KIT_RW));
				kit_faults(&kit, 0, IOG_PROT_READ);
				kit_store(slot, kit_entry_leaf(&kit, UINT64_C(1) << (12 + 9 * level), level, KIT_RW));
				kit_lands(&kit, 0, IOG_PROT_READ, UINT64_C(1) << (12 + 9 * level));
				forget(&kit);
			} else {
				/* Bit 7 of a 4 KiB leaf is no size. */
				kit_store(slot, good | 0x80);
				kit_lands(&kit, 0, IOG_PROT_READ, 0x9000);
				forget(&kit);
			}
			/* Software's bits and the execute bits are ignored, at every level. */
			kit_store(slot, good | UINT64_C(0xfff0000000000000) | 0x800);
			kit_lands(&kit, 0, KIT_RW, 0x9000);
			kit_destroy(&kit);
		}
	}
}

/* Address bits beyond the output width. */
static void output_width(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SHAPES; i++) {
		struct iog_pgtable_root description;
		struct iog_sim_domain *narrow;
		uint64_t landed;
		struct kit kit;

		kit_create(&kit, &shapes[i], &no_oracle);
		description = kit.description;
		description.oas = 40;
		assert_int_equal(iog_sim_domain_create(kit.sim, 9, &description, &narrow), 0);
		kit_map(&kit, 0x1000, UINT64_C(0xfffffff000), KIT_RW);
		kit_map(&kit, 0x2000, UINT64_C(0x10000000000), KIT_RW);
		assert_int_equal(iog_sim_translate(narrow, 0x1000, IOG_PROT_READ, &landed), 0);
		assert_int_equal(landed, UINT64_C(0xfffffff000));
		assert_int_equal(iog_sim_translate(narrow, 0x2000, IOG_PROT_READ, NULL), -IOG_EFAULT);
		kit_lands(&kit, 0x2000, IOG_PROT_READ, UINT64_C(0x10000000000));
		iog_sim_domain_destroy(narrow);
		kit_destroy(&kit);
	}
}

/* Permissions are those that every level allows. */
static void permissions(void **state)
{
	static const uint32_t rights[] = { IOG_PROT_READ, IOG_PROT_WRITE, KIT_RW };

	(void)state;
	for (size_t i = 0; i < NR_SHAPES; i++) {
		for (uint32_t level = 0; level < shapes[i].levels; level++) {
			struct kit kit;

			kit_create(&kit, &shapes[i], &no_oracle);
			kit_map(&kit, 0x3000, 0x9000, KIT_RW);
			for (size_t has = 0; has < 3; has++) {
				uint32_t allowed = rights[has];
				uint64_t *slot = kit_slot(&kit, 0x3000, level);
				uint64_t address = *slot & UINT64_C(0xffffffffff000);

				kit_store(slot, kit_entry_leaf(&kit, address, 0, allowed));
				/* x86-64 cannot forbid reading. */
				if (kit_entry_leaf(&kit, 0, 0, 0))
					allowed |= IOG_PROT_READ;
				for (size_t wants = 0; wants < 3; wants++) {
					forget(&kit);
					/* Twice: the second from whatever the first has left in the caches. */
					for (int again = 0; again < 2; again++) {
						if (rights[wants] & ~allowed)
							kit_faults(&kit, 0x3000, rights[wants]);
						else
							kit_lands(&kit, 0x3000, rights[wants], 0x9000);
					}
				}
			}
			kit_destroy(&kit);
		}
	}
}

/* Different levels may each forbid something; and a cached entry keeps what was forbidden above it. */
static void permissions_combine(void **state)
{
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, &no_oracle);
	kit_map(&kit, 0x3000, 0x9000, IOG_PROT_WRITE);
	kit_map(&kit, 0x4000, 0xa000, KIT_RW);
	kit_store(kit_slot(&kit, 0, 2), (*kit_slot(&kit, 0, 2) & ~UINT64_C(3)) | 1);
	kit_faults(&kit, 0x3000, IOG_PROT_WRITE);
	kit_faults(&kit, 0x3000, IOG_PROT_READ);
	/* By the cached pointer to the leaf table. */
	kit_lands(&kit, 0x4000, IOG_PROT_READ, 0xa000);
	assert_int_equal(kit_stats(&kit).walk_hits[0], 2);
	/* By the IOTLB. */
	kit_faults(&kit, 0x4000, IOG_PROT_WRITE);
	assert_int_equal(kit_stats(&kit).iotlb_hits, 1);
	kit_destroy(&kit);
}

static void user_bit(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SHAPES; i++) {
		if (shapes[i].format[0] == 'v')
			continue;
		for (uint32_t level = 0; level < shapes[i].levels; level++) {
			uint64_t *slot;
			struct kit kit;

			kit_create(&kit, &shapes[i], &no_oracle);
			kit_map(&kit, 0x3000, 0x9000, KIT_RW);
			slot = kit_slot(&kit, 0x3000, level);
			kit_store(slot, *slot & ~UINT64_C(4));
			kit_faults(&kit, 0x3000, IOG_PROT_READ);
			kit_faults(&kit, 0x3000, IOG_PROT_READ);
			kit_store(slot, *slot | 4);
			kit_lands(&kit, 0x3000, IOG_PROT_READ, 0x9000);
			kit_destroy(&kit);
		}
	}
}

static void domains(void **state)
{
	struct iog_sim_domain *domain = NULL;
	struct iog_pgtable_root root;
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, &no_oracle);
	root = kit.description;
	assert_int_equal(iog_sim_domain_create(kit.sim, 1, &root, &domain), -IOG_EBUSY);
	root.format = "armv9";
	assert_int_equal(iog_sim_domain_create(kit.sim, 2, &root, &domain), -IOG_EOPNOTSUPP);
	root.format = "x86_64";
	root.levels = 3;
	root.ias = 39;
	assert_int_equal(iog_sim_domain_create(kit.sim, 2, &root, &domain), -IOG_EOPNOTSUPP);
	root.format = "vtdss";
	root.levels = 4;
	assert_int_equal(iog_sim_domain_create(kit.sim, 2, &root, &domain), -IOG_EOPNOTSUPP);
	root.levels = 6;
	root.ias = 60;
	assert_int_equal(iog_sim_domain_create(kit.sim, 2, &root, &domain), -IOG_EOPNOTSUPP);
	assert_null(domain);

	/* An id is free again once its domain is gone, and its entries with it. */
	kit_map(&kit, 0x1000, 0x9000, KIT_RW);
	kit_lands(&kit, 0x1000, KIT_RW, 0x9000);
	iog_sim_inval_range(kit.domain, 0, 0xfff, true);
	iog_sim_domain_destroy(kit.domain);
	iog_sim_inval_wait(kit.sim);
	kit.domain = kit_domain(&kit, 1, kit_page(&kit));
	kit_faults(&kit, 0x1000, IOG_PROT_READ);

	assert_int_equal(iog_sim_translate(kit.domain, 0x1000, 0, NULL), -IOG_EINVAL);
	assert_int_equal(iog_sim_translate(kit.domain, 0x1000, IOG_PROT_EXEC | IOG_PROT_READ, NULL), -IOG_EINVAL);
	kit_destroy(&kit);
	iog_sim_domain_destroy(NULL);
	iog_sim_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_leaf_size),     cmocka_unit_test(addresses_beyond), cmocka_unit_test(not_present),
		cmocka_unit_test(reserved_bits),       cmocka_unit_test(output_width),     cmocka_unit_test(permissions),
		cmocka_unit_test(permissions_combine), cmocka_unit_test(user_bit),         cmocka_unit_test(domains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

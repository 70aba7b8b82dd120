/* SPDX-License-Identifier: MIT */
/*
 * The VT-d driver against recorded registers: which commands it gives for what, how entries look and change, what it refuses.
 */
#include "vtd_fake.h"

#define ID 7
#define DRAIN (VTD_IOTLB_DESC_DR | VTD_IOTLB_DESC_DW)
#define PAGES(n) (UINT64_C(4096) * (n))

static struct fake fake;

static const struct iog_unit_ops *ops_of(struct iog_vtd *vtd)
{
	return iog_vtd_unit(vtd)->ops;
}

static int domain_add(struct iog_vtd *vtd, uint32_t id, const char *format, uint32_t levels, iog_paddr_t paddr)
{
	struct iog_pgtable_root root = { .paddr = paddr, .format = format, .levels = levels, .ias = 12 + 9 * levels, .oas = 48 };

	return ops_of(vtd)->domain_add(iog_vtd_unit(vtd), id, &root);
}

static void domain_remove(struct iog_vtd *vtd, uint32_t id)
{
	assert_int_equal(ops_of(vtd)->domain_remove(iog_vtd_unit(vtd), id), 0);
}

static int device_set(struct iog_vtd *vtd, enum iog_domain_type type, uint32_t id)
{
	return ops_of(vtd)->device_set(iog_vtd_unit(vtd), FAKE_DEVICE, type, id);
}

/* The nth command since the log was emptied. */
static void expect(uint32_t n, uint64_t low, uint64_t high)
{
	assert_true(n < fake.logged);
	if (fake.log[n].words[0] != low || fake.log[n].words[1] != high)
		fail_msg("command %u is %#llx %#llx and not %#llx %#llx", n, (unsigned long long)fake.log[n].words[0], (unsigned long long)fake.log[n].words[1],
			 (unsigned long long)low, (unsigned long long)high);
	assert_int_equal(fake.log[n].words[2] | fake.log[n].words[3], 0);
}

static void expect_end(uint32_t n)
{
	assert_int_equal(fake.logged, n);
	fake.logged = 0;
}

static struct iog_gather *ranges(struct iog_gather *gather, uint64_t first, uint64_t size)
{
	memset(gather, 0, sizeof(*gather));
	iog_gather_add_range(gather, first, first + size - 1, 4096);
	return gather;
}

static void invalidate(struct iog_vtd *vtd, uint32_t id, const struct iog_gather *gather)
{
	assert_int_equal(ops_of(vtd)->invalidate(iog_vtd_unit(vtd), id, gather), 0);
}

#define PAGES_OF(id) (VTD_IOTLB_TYPE | 3 << 4 | DRAIN | (uint64_t)(id) << 16)
#define DOMAIN_OF(id) (VTD_IOTLB_TYPE | 2 << 4 | DRAIN | (uint64_t)(id) << 16)

static void ranges_by_mask(void **state)
{
	struct iog_gather gather;
	struct iog_vtd *vtd;

	(void)state;
	fake_init(&fake, FAKE_CAP, FAKE_ECAP);
	vtd = fake_driver(&fake, 0, NULL);
	/* Leaves only: IH. One page, an aligned run, one that is rounded up, one across a boundary. */
	invalidate(vtd, ID, ranges(&gather, 0x123000, 4096));
	expect(0, PAGES_OF(ID), 0x123000 | VTD_IH | 0);
	expect_end(1);
	invalidate(vtd, ID, ranges(&gather, PAGES(64), PAGES(64)));
	expect(0, PAGES_OF(ID), PAGES(64) | VTD_IH | 6);
	expect_end(1);
	assert_int_equal(fake.waits, 2);
	invalidate(vtd, ID, ranges(&gather, PAGES(64), PAGES(33)));
	expect(0, PAGES_OF(ID), PAGES(64) | VTD_IH | 6);
	expect_end(1);
	invalidate(vtd, ID, ranges(&gather, PAGES(63), PAGES(2)));
	expect(0, PAGES_OF(ID), PAGES(62) | VTD_IH | 1);
	expect(1, PAGES_OF(ID), PAGES(64) | VTD_IH | 1);
	expect_end(2);
	/* More than MAMV says: several, and then the domain. */
	invalidate(vtd, ID, ranges(&gather, PAGES(512), PAGES(1024)));
	expect(0, PAGES_OF(ID), PAGES(512) | VTD_IH | 9);
	expect(1, PAGES_OF(ID), PAGES(1024) | VTD_IH | 9);
	expect_end(2);
	invalidate(vtd, ID, ranges(&gather, 0, PAGES(512 * 8)));
	expect_end(8);
	invalidate(vtd, ID, ranges(&gather, 0, PAGES(512 * 9)));
	expect(0, DOMAIN_OF(ID), 0);
	expect_end(1);
	/* The last page there is. */
	invalidate(vtd, ID, ranges(&gather, UINT64_MAX - 4095, 4096));
	expect(0, PAGES_OF(ID), (UINT64_MAX - 4095) | VTD_IH);
	expect_end(1);
	/* All ranges of a gather share a wait; too many commands are one of the domain. */
	memset(&gather, 0, sizeof(gather));
	for (uint32_t n = 0; n < IOG_GATHER_RANGES; n++)
		iog_gather_add_range(&gather, PAGES(1000 * n + 3), PAGES(1000 * n + 3) + 4095, 4096);
	fake.waits = 0;
	invalidate(vtd, ID, &gather);
	expect_end(IOG_GATHER_RANGES);
	assert_int_equal(fake.waits, 1);
	iog_gather_add_range(&gather, PAGES(100000), PAGES(100000) + 4095, 4096);
	assert_true(gather.everything);
	invalidate(vtd, ID, &gather);
	expect(0, DOMAIN_OF(ID), 0);
	expect_end(1);
	invalidate(vtd, ID, NULL);
	expect(0, DOMAIN_OF(ID), 0);
	expect_end(1);
	memset(&gather, 0, sizeof(gather));
	invalidate(vtd, ID, &gather);
	expect_end(0);
	fake_driver_end(vtd);
	fake_fini(&fake);
}

/* Tables that were unlinked, and not-present entries that are remembered: paging-structure caches, too. */
static void walk_caches(void **state)
{
	struct iog_vtd_config config = { .commands_max = 3 };
	struct iog_gather gather;
	struct iog_vtd *vtd;

	(void)state;
	fake_init(&fake, FAKE_CAP, FAKE_ECAP);
	vtd = fake_driver(&fake, 0, &config);
	ranges(&gather, PAGES(5), 4096);
	gather.walk_caches = true;
	invalidate(vtd, ID, &gather);
	expect(0, PAGES_OF(ID), PAGES(5));
	expect_end(1);
	ranges(&gather, PAGES(5), 4096);
	gather.nr_tables = 2;
	gather.tables[0].span = (struct iog_range){ PAGES(512), PAGES(1024) - 1 };
	gather.tables[1].span = (struct iog_range){ PAGES(2048), PAGES(2560) - 1 };
	invalidate(vtd, ID, &gather);
	expect(0, PAGES_OF(ID), PAGES(5));
	expect(1, PAGES_OF(ID), PAGES(512) | 9);
	expect(2, PAGES_OF(ID), PAGES(2048) | 9);
	expect_end(3);
	/* A table without a range, and one that spans more than commands can. */
	memset(&gather, 0, sizeof(gather));
	gather.nr_tables = 1;
	gather.tables[0].span = (struct iog_range){ 0, PAGES(512) - 1 };
	invalidate(vtd, ID, &gather);
	expect(0, PAGES_OF(ID), 9);
	expect_end(1);
	gather.tables[0].span = (struct iog_range){ 0, PAGES(512 * 512) - 1 };
	invalidate(vtd, ID, &gather);
	expect(0, DOMAIN_OF(ID), 0);
	expect_end(1);
	gather.nr_tables = 4;
	for (uint32_t n = 0; n < 4; n++)
		gather.tables[n].span = (struct iog_range){ PAGES(512 * n), PAGES(512 * (n + 1)) - 1 };
	invalidate(vtd, ID, &gather);
	expect(0, DOMAIN_OF(ID), 0);
	expect_end(1);
	fake_driver_end(vtd);
	fake_fini(&fake);

	/* A unit that says it takes as much as its field can say: everything is the domain's. */
	fake_init(&fake, FAKE_CAP | UINT64_C(63) << 48, FAKE_ECAP);
	vtd = fake_driver(&fake, 0, NULL);
	memset(&gather, 0, sizeof(gather));
	gather.nr_ranges = 1;
	gather.ranges[0] = (struct iog_range){ 0, UINT64_MAX };
	invalidate(vtd, ID, &gather);
	expect(0, DOMAIN_OF(ID), 0);
	expect_end(1);
	gather.ranges[0] = (struct iog_range){ UINT64_C(1) << 63, UINT64_MAX };
	invalidate(vtd, ID, &gather);
	expect(0, PAGES_OF(ID), UINT64_C(1) << 63 | VTD_IH | 51);
	expect_end(1);
	fake_driver_end(vtd);
	fake_fini(&fake);

	/* No draining, no pages. */
	fake_init(&fake, FAKE_CAP & ~(VTD_CAP_PSI | VTD_CAP_DRD), FAKE_ECAP);
	vtd = fake_driver(&fake, 0, NULL);
	invalidate(vtd, ID, ranges(&gather, PAGES(5), 4096));
	expect(0, VTD_IOTLB_TYPE | 2 << 4 | VTD_IOTLB_DESC_DW | ID << 16, 0);
	expect_end(1);
	assert_int_equal(iog_vtd_unit(vtd)->pgtable_flags, 0);
	fake_driver_end(vtd);
	fake_fini(&fake);
}

/* First stage: PASID-based. Descriptors of 256 bits. */
static void first_stage(void **state)
{
	struct iog_gather gather;
	struct iog_vtd *vtd;

	(void)state;
	fake_init(&fake, FAKE_CAP, FAKE_ECAP_SCALABLE);
	vtd = fake_driver(&fake, IOG_VTD_SCALABLE, NULL);
	assert_int_equal(fake.root & 0xfff, VTD_RTADDR_SCALABLE);
	assert_int_equal(domain_add(vtd, ID, "x86_64", 4, 0x10000), 0);
	assert_int_equal(domain_add(vtd, ID + 1, "vtdss", 4, 0x20000), 0);
	assert_int_equal(domain_add(vtd, ID + 2, "x86_64", 5, 0x10000), -IOG_EOPNOTSUPP);
	assert_int_equal(domain_add(vtd, ID + 2, "vtdss", 5, 0x10000), -IOG_EOPNOTSUPP);
	assert_int_equal(domain_add(vtd, ID + 2, "amdv1", 4, 0x10000), -IOG_EOPNOTSUPP);
	invalidate(vtd, ID, ranges(&gather, PAGES(64), PAGES(64)));
	expect(0, VTD_PIOTLB | 3 << 4 | ID << 16, PAGES(64) | VTD_IH | 6);
	expect_end(1);
	gather.walk_caches = true;
	invalidate(vtd, ID, &gather);
	expect(0, VTD_PIOTLB | 3 << 4 | ID << 16, PAGES(64) | 6);
	expect_end(1);
	invalidate(vtd, ID, NULL);
	expect(0, VTD_PIOTLB | 2 << 4 | ID << 16, 0);
	expect_end(1);
	invalidate(vtd, ID + 1, NULL);
	expect(0, DOMAIN_OF(ID + 1), 0);
	expect_end(1);
	domain_remove(vtd, ID);
	expect(0, VTD_PIOTLB | 2 << 4 | ID << 16, 0);
	expect_end(1);
	/* The same number, another stage. */
	assert_int_equal(domain_add(vtd, ID, "vtdss", 3, 0x20000), 0);
	invalidate(vtd, ID, NULL);
	expect(0, DOMAIN_OF(ID), 0);
	domain_remove(vtd, ID);
	domain_remove(vtd, ID + 1);
	fake_driver_end(vtd);
	fake_fini(&fake);
}

static void device_tlbs(void **state)
{
	struct iog_gather gather;
	struct iog_unit *unit;
	struct iog_vtd *vtd;

	(void)state;
	fake_init(&fake, FAKE_CAP, FAKE_ECAP);
	vtd = fake_driver(&fake, 0, NULL);
	assert_int_equal(iog_vtd_device_ats(vtd, FAKE_DEVICE, 4), -IOG_EOPNOTSUPP);
	fake_driver_end(vtd);
	fake_fini(&fake);

	fake_init(&fake, FAKE_CAP, FAKE_ECAP | VTD_ECAP_DT);
	vtd = fake_driver(&fake, 0, NULL);
	unit = iog_vtd_unit(vtd);
	assert_int_equal(iog_vtd_device_ats(vtd, FAKE_DEVICE, 33), -IOG_EINVAL);
	assert_int_equal(iog_vtd_device_ats(vtd, FAKE_DEVICE | 0x10000, 1), -IOG_ERANGE);
	assert_int_equal(iog_vtd_device_ats(vtd, FAKE_DEVICE, 32), 0);
#define DEVICE_COMMAND (VTD_DEVICE | UINT64_C(31) << 16 | (uint64_t)FAKE_SID << 32)
	assert_int_equal(unit->ops->device_invalidate(unit, FAKE_DEVICE, ranges(&gather, 0x123000, 4096)), 0);
	expect(0, DEVICE_COMMAND, 0x123000);
	expect_end(1);
	/* The lowest zero of the address says how many: 2, 4, 64 pages. */
	assert_int_equal(unit->ops->device_invalidate(unit, FAKE_DEVICE, ranges(&gather, PAGES(64), PAGES(2))), 0);
	expect(0, DEVICE_COMMAND, PAGES(64) | 1);
	expect_end(1);
	assert_int_equal(unit->ops->device_invalidate(unit, FAKE_DEVICE, ranges(&gather, PAGES(64), PAGES(4))), 0);
	expect(0, DEVICE_COMMAND, PAGES(65) | 1);
	expect_end(1);
	assert_int_equal(unit->ops->device_invalidate(unit, FAKE_DEVICE, ranges(&gather, PAGES(64), PAGES(64))), 0);
	expect(0, DEVICE_COMMAND, PAGES(64 + 31) | 1);
	expect_end(1);
	assert_int_equal(unit->ops->device_invalidate(unit, FAKE_DEVICE, NULL), 0);
	expect(0, DEVICE_COMMAND, UINT64_C(0x7ffffffffffff001));
	expect_end(1);

	/* Its translations go before it may use them again, and after it has been set to something else; the context entry says that it may. */
	assert_int_equal(domain_add(vtd, ID, "vtdss", 4, 0x20000), 0);
	assert_int_equal(device_set(vtd, IOG_DOMAIN_PAGING, ID), 0);
	expect(0, DEVICE_COMMAND, UINT64_C(0x7ffffffffffff001));
	expect_end(1);
	uint64_t *root = fake_at(&fake, fake.root), *entry = (uint64_t *)fake_at(&fake, root[2 * 2] & ~UINT64_C(0xfff)) + 2 * 0x19;
	assert_int_equal(entry[0], 0x20000 | 1 << 2 | 1);
	assert_int_equal(device_set(vtd, IOG_DOMAIN_BLOCKED, 0), 0);
	expect(0, VTD_CONTEXT | 3 << 4 | ID << 16 | (uint64_t)FAKE_SID << 32, 0);
	expect(1, DOMAIN_OF(ID), 0);
	expect(2, DEVICE_COMMAND, UINT64_C(0x7ffffffffffff001));
	expect_end(3);
	domain_remove(vtd, ID);
	fake_driver_end(vtd);
	fake_fini(&fake);
}

/* A device falls silent while it is moved: what hardware may have fetched of the domain that it does not join is forgotten, under that domain's number. */
static void taken_back(void **state)
{
	(void)state;
	for (uint32_t scalable = 0; scalable < 2; scalable++) {
		struct iog_vtd *vtd;
		uint32_t n = 0;

		fake_init(&fake, FAKE_CAP, (scalable ? FAKE_ECAP_SCALABLE : FAKE_ECAP) | VTD_ECAP_DT);
		vtd = fake_driver(&fake, scalable ? IOG_VTD_SCALABLE : 0, NULL);
		assert_int_equal(domain_add(vtd, ID, "vtdss", 4, 0x20000), 0);
		assert_int_equal(domain_add(vtd, ID + 1, "vtdss", 4, 0x30000), 0);
		assert_int_equal(iog_vtd_device_ats(vtd, FAKE_DEVICE, 32), 0);
		assert_int_equal(device_set(vtd, IOG_DOMAIN_PAGING, ID), 0);
		fake.logged = 0;
		fake.mute_sid = FAKE_SID;
		assert_int_equal(device_set(vtd, IOG_DOMAIN_PAGING, ID + 1), -IOG_ETIMEDOUT);
		fake.mute_sid = 0;
		while (n < fake.logged && (fake.log[n].words[0] & 0xf) != VTD_DEVICE)
			n++;
		expect(++n, scalable ? VTD_CONTEXT | 3 << 4 | (ID + 1) << 16 | (uint64_t)FAKE_SID << 32 : VTD_CONTEXT | 1 << 4, 0);
		if (scalable)
			expect(++n, VTD_PASID | 1 << 4 | (ID + 1) << 16, 0);
		expect(++n, DOMAIN_OF(ID + 1), 0);
		expect_end(n + 1);
		assert_int_equal(iog_vtd_device_ats(vtd, FAKE_DEVICE, 0), 0);
		assert_int_equal(device_set(vtd, IOG_DOMAIN_BLOCKED, 0), 0);
		domain_remove(vtd, ID);
		domain_remove(vtd, ID + 1);
		fake_driver_end(vtd);
		fake_fini(&fake);
	}
}

/* What hardware would find at the moment when it is told: the new entry, by its root. */
static void see_entry(struct fake *unit)
{
	uint64_t *root = fake_at(unit, unit->root & ~UINT64_C(0xfff)), *table;

	unit->observed[0] = root[4];
	unit->observed[1] = 0;
	if (!(root[4] & 1))
		return;
	table = fake_at(unit, root[4] & ~UINT64_C(0xfff));
	unit->observed[1] = table[2 * 0x19];
	unit->observed[2] = table[2 * 0x19 + 1];
}

static void legacy_entries(void **state)
{
	const uint64_t context = VTD_CONTEXT | 3 << 4 | (uint64_t)FAKE_SID << 32, all_contexts = VTD_CONTEXT | 1 << 4;
	uint64_t table;
	struct iog_vtd *vtd;

	(void)state;
	fake_init(&fake, FAKE_CAP, FAKE_ECAP);
	vtd = fake_driver(&fake, 0, NULL);
	fake.seen = see_entry;
	assert_int_equal(domain_add(vtd, ID, "vtdss", 4, 0x20000), 0);
	assert_int_equal(domain_add(vtd, ID + 1, "vtdss", 3, 0x30000), 0);
	assert_int_equal(ops_of(vtd)->device_set(iog_vtd_unit(vtd), FAKE_DEVICE | 0x10000, IOG_DOMAIN_BLOCKED, 0), -IOG_ERANGE);
	assert_int_equal(device_set(vtd, IOG_DOMAIN_PAGING, 99), -IOG_ENOENT);
	/* From not present: hardware has nothing to forget. */
	assert_int_equal(device_set(vtd, IOG_DOMAIN_PAGING, ID), 0);
	expect_end(0);
	see_entry(&fake);
	assert_int_equal(fake.observed[1], 0x20000 | 1);
	assert_int_equal(fake.observed[2], ID << 8 | 2);
	table = fake.observed[0];
	/* From one domain to another: by another table of the bus, which is forgotten for all of them, and so is the former number. */
	assert_int_equal(device_set(vtd, IOG_DOMAIN_PAGING, ID + 1), 0);
	expect(0, all_contexts, 0);
	expect(1, DOMAIN_OF(ID), 0);
	expect_end(2);
	assert_int_not_equal(fake.observed[0], table);
	assert_int_equal(fake.observed[1], 0x30000 | 1);
	assert_int_equal(fake.observed[2], (ID + 1) << 8 | 1);
	/* Not translated: under a number that no domain has. */
	assert_int_equal(device_set(vtd, IOG_DOMAIN_IDENTITY, 0), 0);
	expect(0, all_contexts, 0);
	expect(1, DOMAIN_OF(ID + 1), 0);
	expect_end(2);
	assert_int_equal(fake.observed[1], 2 << 2 | 1);
	assert_int_equal(fake.observed[2], 0xffff << 8 | 2);
	assert_true(iog_vtd_unit(vtd)->domain_ids < 0xffff);
	table = fake.observed[0];
	assert_int_equal(device_set(vtd, IOG_DOMAIN_BLOCKED, 0), 0);
	expect(0, context | UINT64_C(0xffff) << 16, 0);
	expect(1, DOMAIN_OF(0xffff), 0);
	expect_end(2);
	assert_int_equal(fake.observed[0], table);
	assert_int_equal(fake.observed[1] & 1, 0);
	assert_int_equal(device_set(vtd, IOG_DOMAIN_BLOCKED, 0), 0);
	expect_end(0);
	/* By a lane that has found the device not to answer. */
	assert_int_equal(device_set(vtd, IOG_DOMAIN_PAGING, ID), 0);
	fake.logged = 0;
	assert_int_equal(ops_of(vtd)->device_block(iog_vtd_unit(vtd), FAKE_DEVICE), 0);
	expect(0, context | ID << 16, 0);
	expect(1, DOMAIN_OF(ID), 0);
	expect_end(2);
	assert_int_equal(fake.observed[1] & 1, 0);
	domain_remove(vtd, ID);
	domain_remove(vtd, ID + 1);
	fake_driver_end(vtd);
	fake_fini(&fake);

	/* Caching mode: what was not present is remembered, too, under 0. */
	fake_init(&fake, FAKE_CAP | VTD_CAP_CM, FAKE_ECAP & ~VTD_ECAP_PT);
	vtd = fake_driver(&fake, 0, NULL);
	assert_int_equal(iog_vtd_unit(vtd)->pgtable_flags, IOG_PGTABLE_FLUSH_ON_MAP);
	assert_int_equal(domain_add(vtd, ID, "vtdss", 4, 0x20000), 0);
	assert_int_equal(device_set(vtd, IOG_DOMAIN_PAGING, ID), 0);
	expect(0, context, 0);
	expect(1, DOMAIN_OF(ID), 0);
	expect_end(2);
	assert_int_equal(device_set(vtd, IOG_DOMAIN_IDENTITY, 0), -IOG_EOPNOTSUPP);
	assert_int_equal(device_set(vtd, IOG_DOMAIN_BLOCKED, 0), 0);
	domain_remove(vtd, ID);
	fake_driver_end(vtd);
	fake_fini(&fake);
}

static void scalable_entries(void **state)
{
	const uint64_t context = VTD_CONTEXT | 3 << 4 | (uint64_t)FAKE_SID << 32;
	uint64_t *root, *entry, *directory, *pasid, former;
	struct iog_vtd *vtd;

	(void)state;
	fake_init(&fake, FAKE_CAP | VTD_CAP_FS5LP, FAKE_ECAP_SCALABLE | VTD_ECAP_ERS);
	vtd = fake_driver(&fake, IOG_VTD_SCALABLE, NULL);
	root = fake_at(&fake, fake.root & ~UINT64_C(0xfff));
	assert_int_equal(domain_add(vtd, ID, "vtdss", 4, 0x20000), 0);
	assert_int_equal(domain_add(vtd, ID + 1, "x86_64", 5, 0x30000), 0);
	assert_int_equal(device_set(vtd, IOG_DOMAIN_PAGING, ID), 0);
	expect_end(0);
	assert_int_equal(root[5], 0);
	entry = (uint64_t *)fake_at(&fake, root[4] & ~UINT64_C(0xfff)) + 4 * 0x19;
	/* PASIDE, DTE and PRE are clear: no requests with PASID, no translations to keep. */
	assert_int_equal(entry[0] & 0xfff, 1);
	assert_int_equal(entry[1] | entry[2] | entry[3], 0);
	directory = fake_at(&fake, entry[0] & ~UINT64_C(0xfff));
	assert_int_equal(directory[0] & 0xfff, 1);
	pasid = fake_at(&fake, directory[0] & ~UINT64_C(0xfff));
	assert_int_equal(pasid[0], 0x20000 | 2 << 6 | 2 << 2 | 1);
	assert_int_equal(pasid[1], ID | 1 << 23);
	assert_int_equal(pasid[2], 0);
	assert_int_equal(pasid[8], 0);
	former = directory[0];

	assert_int_equal(device_set(vtd, IOG_DOMAIN_PAGING, ID + 1), 0);
	expect(0, context | ID << 16, 0);
	expect(1, VTD_PASID | 1 << 4 | ID << 16, 0);
	expect(2, DOMAIN_OF(ID), 0);
	expect_end(3);
	assert_int_not_equal(directory[0], former);
	pasid = fake_at(&fake, directory[0] & ~UINT64_C(0xfff));
	assert_int_equal(pasid[0] & 0x1c1, 1 << 6 | 1);
	assert_int_equal(pasid[1], (ID + 1) | 1 << 23);
	assert_int_equal(pasid[2], 0x30000 | 1 << 5 | 1 << 2);

	assert_int_equal(device_set(vtd, IOG_DOMAIN_IDENTITY, 0), 0);
	expect(1, VTD_PASID | 1 << 4 | (ID + 1) << 16, 0);
	expect(2, VTD_PIOTLB | 2 << 4 | (ID + 1) << 16, 0);
	expect_end(3);
	pasid = fake_at(&fake, directory[0] & ~UINT64_C(0xfff));
	assert_int_equal(pasid[0], 4 << 6 | 2 << 2 | 1);
	assert_int_equal(device_set(vtd, IOG_DOMAIN_BLOCKED, 0), 0);
	expect_end(3);
	assert_int_equal(entry[0], 0);
	domain_remove(vtd, ID);
	domain_remove(vtd, ID + 1);
	fake_driver_end(vtd);
	fake_fini(&fake);
}

/* Without a queue: each command is waited for. */
static void registers(void **state)
{
	struct iog_gather gather;
	struct iog_vtd *vtd;

	(void)state;
	fake_init(&fake, FAKE_CAP, FAKE_ECAP & ~VTD_ECAP_QI);
	vtd = fake_driver(&fake, 0, NULL);
	assert_null(ops_of(vtd)->device_invalidate);
	assert_int_equal(domain_add(vtd, ID, "vtdss", 4, 0x20000), 0);
	assert_int_equal(device_set(vtd, IOG_DOMAIN_PAGING, ID), 0);
	invalidate(vtd, ID, ranges(&gather, PAGES(64), PAGES(64)));
	expect(0, PAGES_OF(ID), PAGES(64) | VTD_IH | 6);
	expect_end(1);
	fake.refuse = true;
	assert_int_equal(ops_of(vtd)->invalidate(iog_vtd_unit(vtd), ID, NULL), -IOG_EIO);
	fake.refuse = false;
	fake.stalled = true;
	assert_int_equal(ops_of(vtd)->invalidate(iog_vtd_unit(vtd), ID, NULL), -IOG_ETIMEDOUT);
	/* It stays where it was. */
	assert_int_equal(device_set(vtd, IOG_DOMAIN_BLOCKED, 0), -IOG_ETIMEDOUT);
	see_entry(&fake);
	assert_int_equal(fake.observed[1], 0x20000 | 1);
	fake.stalled = false;
	fake.logged = 0;
	assert_int_equal(device_set(vtd, IOG_DOMAIN_BLOCKED, 0), 0);
	expect(0, VTD_CONTEXT | 3 << 4 | ID << 16 | (uint64_t)FAKE_SID << 32, 0);
	expect(1, DOMAIN_OF(ID), 0);
	expect_end(2);
	domain_remove(vtd, ID);
	fake_driver_end(vtd);
	fake_fini(&fake);
}

static void write_buffers(void **state)
{
	struct iog_vtd *vtd;

	(void)state;
	fake_init(&fake, FAKE_CAP | VTD_CAP_RWBF, FAKE_ECAP);
	vtd = fake_driver(&fake, 0, NULL);
	fake.flushes = 0;
	invalidate(vtd, ID, NULL);
	assert_int_equal(fake.flushes, 1);
	/* A new entry, of which hardware has nothing to forget. */
	assert_int_equal(domain_add(vtd, ID, "vtdss", 4, 0x20000), 0);
	assert_int_equal(device_set(vtd, IOG_DOMAIN_PAGING, ID), 0);
	assert_int_equal(fake.flushes, 2);
	assert_int_equal(fake.status & (VTD_TE | VTD_QIE), VTD_TE | VTD_QIE);
	assert_int_equal(device_set(vtd, IOG_DOMAIN_BLOCKED, 0), 0);
	domain_remove(vtd, ID);
	fake_driver_end(vtd);
	fake_fini(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_by_mask),
		cmocka_unit_test(walk_caches),
		cmocka_unit_test(first_stage),
		cmocka_unit_test(device_tlbs),
		cmocka_unit_test(taken_back),
		cmocka_unit_test(legacy_entries),
		cmocka_unit_test(scalable_entries),
		cmocka_unit_test(registers),
		cmocka_unit_test(write_buffers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

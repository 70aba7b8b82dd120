/* SPDX-License-Identifier: MIT */
/*
 * What the virtio-iommu driver tells the device for what happens to a page table: requests by the specification's offsets, what is merged and what is not, and that the device is told no more than is
 * needed. The device is virtio_fake.h's, which refuses whatever the specification lets it refuse.
 */
#include "hw/virtio_bed.h"

#include "seed.h"

static void expect_requests(const struct bed *bed, uint32_t maps, uint32_t unmaps, uint32_t doorbells)
{
	assert_int_equal(fake_logged(&bed->fake, REQ_MAP), maps);
	assert_int_equal(fake_logged(&bed->fake, REQ_UNMAP), unmaps);
	assert_int_equal(bed->fake.doorbells, doorbells);
}

/* A page, 64 of them, and a large leaf: a mapping for each leaf, one request to take neighbours back, one doorbell for each batch. */
static void batches(void **state)
{
	struct iog_virtio_stats before, after;
	struct bed bed;

	(void)state;
	bed_create(&bed, &iog_vtdss_counted, 48, 0);
	iog_virtio_stats(bed.virtio, &before);
	assert_int_equal(bed_map(&bed, 0x5000, 0x9000, PAGE, IOG_PROT_READ), 0);
	expect_requests(&bed, 1, 0, 1);
	assert_true(bed.fake.log[0].domain == NUMBER(BED_ID) && bed.fake.log[0].first == 0x5000 && bed.fake.log[0].last == 0x5fff && bed.fake.log[0].paddr == 0x9000);
	assert_int_equal(bed.fake.log[0].flags, MAP_F_READ);
	assert_true(reached(&bed, 0, 0x5123, false) == 0x9123 && reached(&bed, 0, 0x5123, true) == REFUSED && reached(&bed, 0, 0x6000, false) == REFUSED);

	fake_log_clear(&bed.fake);
	assert_int_equal(bed_map(&bed, 0x10000, 0x50000, 64 * PAGE, RW), 0);
	expect_requests(&bed, 64, 0, 1);
	fake_log_clear(&bed.fake);
	assert_int_equal(bed_unmap(&bed, 0x10000, 64 * PAGE), 0);
	expect_requests(&bed, 0, 1, 1);
	assert_true(bed.fake.log[0].first == 0x10000 && bed.fake.log[0].last == 0x4ffff);

	fake_log_clear(&bed.fake);
	assert_int_equal(bed_map(&bed, 0x40000000, 0x80000000, 0x40000000, RW), 0);
	expect_requests(&bed, 1, 0, 1);
	assert_true(bed_agrees(&bed));
	/* More than a batch. */
	fake_log_clear(&bed.fake);
	assert_int_equal(bed_map(&bed, 0x200000, 0x301000, 200 * PAGE, RW), 0);
	expect_requests(&bed, 200, 0, 4);
	assert_true(bed_agrees(&bed));
	iog_virtio_stats(bed.virtio, &after);
	assert_int_equal(after.maps - before.maps, 266);
	assert_int_equal(after.unmaps - before.unmaps, 1);
	assert_int_equal(after.requests - before.requests, 267);
	assert_int_equal(after.doorbells - before.doorbells, 8);
	assert_int_equal(after.submissions - before.submissions, 8);
	assert_true(!after.timeouts && !after.refused && !after.broken);
	/* What is between may have been: one request over the holes, and none over what stays. */
	fake_log_clear(&bed.fake);
	assert_int_equal(bed_unmap(&bed, 0, 0x10000000), 0);
	expect_requests(&bed, 0, 1, 1);
	assert_true(bed_agrees(&bed) && reached(&bed, 0, 0x40000000, true) == 0x80000000);
	bed_destroy(&bed);
}

/* Nothing is told twice, nor at all if nothing has changed. */
static void idempotent(void **state)
{
	struct bed bed;

	(void)state;
	bed_create(&bed, &iog_x86_64_counted, 48, 0);
	assert_int_equal(bed_map(&bed, 0x10000, 0x50000, 16 * PAGE, RW), 0);
	fake_log_clear(&bed.fake);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, BED_ID, NULL), 0);
	iog_gather_add_range(bed.gather, 0, UINT64_MAX, PAGE);
	assert_int_equal(iog_gather_flush(bed.gather), 0);
	assert_int_equal(bed.fake.logged, 0);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, 99, NULL), -IOG_EIO);
	bed_destroy(&bed);
}

/* Parts, changes and the whole domain. */
static void changes(void **state)
{
	uint64_t changed;
	struct bed bed;

	(void)state;
	bed_create(&bed, &iog_vtdss_counted, 48, 0);
	assert_int_equal(bed_map(&bed, 0x10000, 0x50000, 16 * PAGE, RW), 0);
	/* A part in the middle. */
	fake_log_clear(&bed.fake);
	assert_int_equal(bed_unmap(&bed, 0x14000, 2 * PAGE), 0);
	expect_requests(&bed, 0, 1, 1);
	assert_true(bed_agrees(&bed) && reached(&bed, 0, 0x13000, true) == 0x53000 && reached(&bed, 0, 0x14000, true) == REFUSED);
	/* Two runs with one that stays between them. */
	fake_log_clear(&bed.fake);
	assert_int_equal(iog_pgtable_unmap(bed.pt, 0x10000, PAGE, bed.gather, NULL), 0);
	assert_int_equal(iog_pgtable_unmap(bed.pt, 0x12000, PAGE, bed.gather, NULL), 0);
	assert_int_equal(bed.fake.logged, 0);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, BED_ID, NULL), 0);
	expect_requests(&bed, 0, 2, 1);
	assert_true(bed_agrees(&bed));
	assert_int_equal(iog_gather_flush(bed.gather), 0);
	expect_requests(&bed, 0, 2, 1);
	/* Another permission: it goes, and then comes again. */
	fake_log_clear(&bed.fake);
	assert_int_equal(iog_pgtable_protect(bed.pt, 0x18000, 2 * PAGE, IOG_PROT_READ, 0, bed.gather, &changed), 0);
	assert_int_equal(reached(&bed, 0, 0x18000, true), 0x58000);
	assert_int_equal(iog_gather_flush(bed.gather), 0);
	expect_requests(&bed, 2, 1, 2);
	assert_true(bed_agrees(&bed) && reached(&bed, 0, 0x18000, true) == REFUSED && reached(&bed, 0, 0x18000, false) == 0x58000 && reached(&bed, 0, 0x1a000, true) == 0x5a000);
	/* Another page at the same address, told as one change. */
	fake_log_clear(&bed.fake);
	assert_int_equal(iog_pgtable_unmap(bed.pt, 0x1a000, PAGE, bed.gather, NULL), 0);
	assert_int_equal(bed_map(&bed, 0x1a000, 0x99000, PAGE, RW), 0);
	expect_requests(&bed, 1, 1, 2);
	assert_true(bed_agrees(&bed) && reached(&bed, 0, 0x1a000, true) == 0x99000);
	/* More than a gather holds. */
	for (uint64_t n = 0; n < 40; n++)
		assert_int_equal(bed_map(&bed, 0x1000000 + n * 0x10000, 0x1000 * n, PAGE, RW), 0);
	for (uint64_t n = 0; n < 40; n++)
		assert_int_equal(iog_pgtable_unmap(bed.pt, 0x1000000 + n * 0x10000, PAGE, bed.gather, NULL), 0);
	assert_true(bed.gather->everything);
	fake_log_clear(&bed.fake);
	assert_int_equal(iog_gather_flush(bed.gather), 0);
	expect_requests(&bed, 0, 1, 1);
	assert_true(bed_agrees(&bed));
	bed_destroy(&bed);
}

static uint64_t watched_iova;
static uint32_t holes;

static void watch_iova(struct fake *fake)
{
	uint64_t paddr;

	holes += !fake_access(fake, 0, watched_iova, true, &paddr);
}

/* Leaves that are split: nothing is told of that. Of what is unmapped then, the rest goes on if the page table was made for it; if not, it comes back. */
static void splits(void **state)
{
	struct bed bed;

	(void)state;
	bed_create(&bed, &iog_vtdss_counted, 48, 0);
	assert_int_equal(bed_map(&bed, 0x200000, 0x600000, 0x200000, RW), 0);
	fake_log_clear(&bed.fake);
	assert_int_equal(iog_pgtable_split(bed.pt, 0x200000, 0x200000, PAGE, 0, bed.gather), 0);
	assert_int_equal(iog_gather_flush(bed.gather), 0);
	expect_requests(&bed, 0, 0, 0);
	watched_iova = 0x300000;
	holes = 0;
	bed.fake.executed = watch_iova;
	assert_int_equal(bed_unmap(&bed, 0x201000, PAGE), 0);
	expect_requests(&bed, 511, 1, 9);
	assert_true(holes && bed_agrees(&bed) && reached(&bed, 0, 0x201000, true) == REFUSED && reached(&bed, 0, 0x300000, true) == 0x700000);
	/* And back to a leaf, of which the missing part is told. */
	assert_int_equal(bed_map(&bed, 0x201000, 0x601000, PAGE, RW), 0);
	fake_log_clear(&bed.fake);
	holes = 0;
	assert_int_equal(iog_pgtable_merge(bed.pt, 0x200000, 0x200000, 0, bed.gather, NULL), 0);
	assert_int_equal(iog_gather_flush(bed.gather), 0);
	expect_requests(&bed, 0, 0, 0);
	assert_true(!holes && bed_agrees(&bed));
	bed_destroy(&bed);

	bed_create(&bed, &iog_vtdss_counted, 48, IOG_PGTABLE_SPLIT);
	assert_int_equal(bed_map(&bed, 0x200000, 0x600000, 0x200000, RW), 0);
	expect_requests(&bed, 512, 0, 8);
	fake_log_clear(&bed.fake);
	holes = 0;
	bed.fake.executed = watch_iova;
	assert_int_equal(bed_unmap(&bed, 0x201000, PAGE), 0);
	expect_requests(&bed, 0, 1, 1);
	assert_true(!holes && bed_agrees(&bed) && reached(&bed, 0, 0x300000, true) == 0x700000);
	bed_destroy(&bed);
}

/* A mapping is refused: the call says so, and device and page table are as before; also over several batches, and where it lies beside others. */
static void refused(void **state)
{
	static const uint32_t skips[] = { 0, 5, 63, 64, 100, 199 };
	struct iog_virtio_stats stats;
	struct iog_leaf leaf;
	struct bed bed;

	(void)state;
	bed_create(&bed, &iog_vtdss_counted, 48, 0);
	assert_int_equal(bed_map(&bed, 0x100000, 0x900000, 4 * PAGE, RW), 0);
	assert_int_equal(bed_map(&bed, 0x1d0000, 0x910000, 4 * PAGE, RW), 0);
	for (size_t n = 0; n < sizeof(skips) / sizeof(skips[0]); n++) {
		/* One, or all from there on. */
		bed.fake.refuse_type = REQ_MAP;
		bed.fake.refuse_once = n % 2;
		bed.fake.refuse_skip = skips[n];
		bed.fake.refuse_status = S_NOMEM;
		assert_int_equal(iog_pgtable_map(bed.pt, 0x104000, 0x1000000, 200 * PAGE, RW, bed.gather), -IOG_EIO);
		bed.fake.refuse_type = 0;
		/* Before the caller has flushed what was undone. */
		assert_true(fake_domain(&bed.fake, NUMBER(BED_ID))->n == 8 && reached(&bed, 0, 0x104000, true) == REFUSED && reached(&bed, 0, 0x103000, true) == 0x903000);
		assert_int_equal(iog_pgtable_lookup(bed.pt, 0, 0x104000, &leaf), -IOG_ENOENT);
		fake_log_clear(&bed.fake);
		assert_int_equal(iog_gather_flush(bed.gather), 0);
		assert_int_equal(bed.fake.logged, 0);
		assert_true(bed_agrees(&bed));
	}
	iog_virtio_stats(bed.virtio, &stats);
	assert_true(stats.refused >= 6);
	assert_int_equal(bed_map(&bed, 0x104000, 0x1000000, 200 * PAGE, RW), 0);
	assert_true(bed_agrees(&bed));
	/* Around one that stays. */
	assert_int_equal(bed_map(&bed, 0x411000, 0x51000, PAGE, RW), 0);
	bed.forgetful = true;
	assert_int_equal(bed_map(&bed, 0x410000, 0x50000, PAGE, RW), 0);
	assert_int_equal(bed_map(&bed, 0x412000, 0x52000, PAGE, RW), 0);
	bed.forgetful = false;
	bed.fake.refuse_type = REQ_MAP;
	bed.fake.refuse_once = true;
	bed.fake.refuse_skip = 1;
	iog_gather_add_range(bed.gather, 0x410000, 0x412fff, PAGE);
	assert_int_equal(iog_gather_flush(bed.gather), -IOG_EIO);
	assert_true(reached(&bed, 0, 0x410000, true) == REFUSED && reached(&bed, 0, 0x411000, true) == 0x51000 && reached(&bed, 0, 0x412000, true) == REFUSED);
	/* Told with everything: what was not refused stays, and what was is told again. */
	bed.fake.refuse_type = REQ_MAP;
	bed.fake.refuse_skip = 1;
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, BED_ID, NULL), -IOG_EIO);
	assert_true(reached(&bed, 0, 0x410000, true) == 0x50000 && reached(&bed, 0, 0x412000, true) == REFUSED);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, BED_ID, NULL), 0);
	assert_int_equal(iog_gather_flush(bed.gather), 0);
	assert_true(bed_agrees(&bed));
	/* Taking back is refused: what hardware may remember is not given back, and the next flush tries again. */
	bed.fake.refuse_type = REQ_UNMAP;
	bed.fake.refuse_status = S_DEVERR;
	assert_int_equal(bed_unmap(&bed, 0x100000, PAGE), -IOG_EIO);
	assert_true(reached(&bed, 0, 0x100000, true) == 0x900000 && !iog_gather_is_empty(bed.gather));
	bed.fake.refuse_type = 0;
	assert_int_equal(iog_gather_flush(bed.gather), 0);
	assert_true(bed_agrees(&bed));
	bed_destroy(&bed);
}

/* The page table's memory of the mirror may fail at any moment: nothing is half done. */
static void no_memory(void **state)
{
	struct bed bed;
	int error = -IOG_ENOMEM;

	(void)state;
	bed_create(&bed, &iog_vtdss_counted, 48, 0);
	for (int n = 0; error; n++) {
		assert_true(n < 100);
		atomic_store(&bed.fake.refuse_after, n);
		error = bed_map(&bed, 0x3fffffff000, 0x50000, 2 * PAGE, RW);
		atomic_store(&bed.fake.refuse_after, -1);
		assert_true(!error || error == -IOG_ENOMEM || error == -IOG_EIO);
		assert_true(bed_agrees(&bed));
	}
	bed_destroy(&bed);
}

/* Every format, at both ends of its address space. */
static void formats(void **state)
{
	static const struct {
		const struct iog_pgtable_ops *ops;
		uint32_t ias, flags;
		uint64_t high;
	} kinds[] = {
		{ &iog_vtdss_counted, 57, 0, UINT64_C(0x1ffffffffffe000) },
		{ &iog_x86_64_counted, 48, IOG_PGTABLE_SIGN_EXTENDED, UINT64_C(0xffffffffffffe000) },
		{ &iog_x86_64_counted_single, 48, IOG_PGTABLE_SINGLE_WRITER, UINT64_C(0xffffffffe000) },
		{ &iog_amdv1_counted, 64, 0, UINT64_C(0xffffffffffffe000) },
		{ &iog_arm_s1_4k_counted, 48, 0, UINT64_C(0xffffffffe000) },
		{ &iog_arm_s2_4k_none, 40, 0, UINT64_C(0xffffffe000) },
		{ &iog_riscv_counted, 39, IOG_PGTABLE_SIGN_EXTENDED, UINT64_C(0xffffffffffffe000) },
		{ &iog_riscv_x4_rwlock, 50, 0, UINT64_C(0x3ffffffffe000) },
	};
	struct bed bed;

	(void)state;
	for (size_t n = 0; n < sizeof(kinds) / sizeof(kinds[0]); n++) {
		bed_create(&bed, kinds[n].ops, kinds[n].ias, kinds[n].flags);
		assert_int_equal(bed_map(&bed, 0, 0x50000, 2 * PAGE, RW), 0);
		/* One by one: in some formats two would be one leaf. */
		assert_int_equal(bed_map(&bed, kinds[n].high, 0x70000, PAGE, IOG_PROT_READ), 0);
		assert_int_equal(bed_map(&bed, kinds[n].high + PAGE, 0x71000, PAGE, IOG_PROT_READ), 0);
		assert_int_equal(bed_map(&bed, 0x40000000 - 0x210000, 0x80000000 - 0x210000, 0x640000, RW), 0);
		assert_true(bed_agrees(&bed) && reached(&bed, 0, kinds[n].high + PAGE, false) == 0x71000);
		assert_int_equal(bed_unmap(&bed, kinds[n].high, PAGE), 0);
		assert_true(bed_agrees(&bed) && reached(&bed, 0, kinds[n].high + PAGE, false) == 0x71000 && reached(&bed, 0, kinds[n].high, false) == REFUSED);
		bed_destroy(&bed);
	}
}

/* An AMD page table gets more levels while the device is in use. */
static void grows(void **state)
{
	struct bed bed;

	(void)state;
	bed_create(&bed, &iog_amdv1_counted, 39, 0);
	assert_int_equal(bed_map(&bed, 0x10000, 0x50000, PAGE, RW), 0);
	assert_int_equal(iog_pgtable_grow(bed.pt, 57), 0);
	assert_int_equal(bed_map(&bed, UINT64_C(1) << 50, 0x60000, PAGE, RW), 0);
	assert_true(bed_agrees(&bed) && reached(&bed, 0, UINT64_C(1) << 50, true) == 0x60000);
	bed_destroy(&bed);
}

/* Random changes, each flush in some way: the two agree whenever nothing waits. */
static void random_changes(void **state)
{
	uint64_t rng = kit_seed("hw virtio"), live = 0;
	uint32_t steps = (uint32_t)kit_scaled(6000);
	struct bed bed;

	(void)state;
	for (uint32_t way = 0; way < 3; way++) {
		bed_create(&bed, way == 1 ? &iog_amdv1_counted : &iog_vtdss_counted, 48, way == 2 ? IOG_PGTABLE_SPLIT : 0);
		for (uint32_t n = 0; n < steps / 3; n++) {
			uint64_t iova = (kit_random(&rng) % 1024) * PAGE, pages = 1 + kit_random(&rng) % 40, paddr = (kit_random(&rng) % 4096) * PAGE, unmapped = 0;
			uint32_t what = (uint32_t)(kit_random(&rng) % 8), prot = kit_random(&rng) % 2 ? RW : IOG_PROT_READ;

			if (!(kit_random(&rng) % 16)) {
				iova &= ~UINT64_C(0x1fffff);
				paddr &= ~UINT64_C(0x1fffff);
				pages = 512;
			}
			bed.fake.reverse = kit_random(&rng) % 2;
			if (what < 4) {
				int error = bed_map(&bed, iova, paddr, pages * PAGE, prot);

				assert_true(!error || error == -IOG_EEXIST);
				live += !error;
			} else if (what < 7) {
				int error = iog_pgtable_unmap(bed.pt, iova, pages * PAGE, bed.gather, &unmapped);

				assert_true(!error || (error == -IOG_EINVAL && way != 2));
			} else {
				(void)iog_pgtable_protect(bed.pt, iova, pages * PAGE, prot, 0, bed.gather, NULL);
			}
			/* Otherwise it waits for the next. */
			if (kit_random(&rng) % 4) {
				if (kit_random(&rng) % 4)
					assert_int_equal(iog_gather_flush(bed.gather), 0);
				else
					assert_int_equal(bed.unit->ops->invalidate(bed.unit, BED_ID, NULL), 0);
				assert_true(bed_agrees(&bed));
			}
		}
		assert_int_equal(iog_gather_flush(bed.gather), 0);
		assert_true(bed_agrees(&bed));
		bed_destroy(&bed);
	}
	assert_true(live > steps / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batches), cmocka_unit_test(idempotent), cmocka_unit_test(changes), cmocka_unit_test(splits), cmocka_unit_test(refused),
		cmocka_unit_test(no_memory), cmocka_unit_test(formats), cmocka_unit_test(grows), cmocka_unit_test(random_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

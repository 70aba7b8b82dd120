/* SPDX-License-Identifier: MIT */
/*
 * Devices of a virtio-iommu that come, move and go, over rings that are small, and requests that are answered late.
 */
#include "hw/virtio_bed.h"

/* Small rings go round and round, and are full. */
static void rings(void **state)
{
	struct iog_virtio_config config;
	struct bed bed;

	(void)state;
	fake_init(&bed.fake);
	config = fake_config(&bed.fake);
	config.request_entries = 4;
	assert_int_equal(iog_virtio_create(&config, &bed.virtio), 0);
	assert_int_equal(iog_virtio_enable(bed.virtio), 0);
	bed.unit = iog_virtio_unit(bed.virtio);
	bed_domain(&bed, BED_ID, &iog_vtdss_counted, 48, 0);
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_PAGING), 0);
	for (uint32_t n = 0; n < 2000; n++) {
		bed.fake.reverse = n & 1;
		assert_int_equal(bed_map(&bed, 0x5000, 0x9000, (1 + n % 70) * PAGE, RW), 0);
		if (n % 16 == 0)
			assert_true(bed_agrees(&bed));
		assert_int_equal(bed_unmap(&bed, 0x5000, (1 + n % 70) * PAGE), 0);
	}
	assert_true(bed.fake.queue[0].used < bed.fake.logged && bed_agrees(&bed));
	bed_destroy(&bed);
}

/* Devices come, move and go: what is told, what ceases to be, and what is there for the first. */
static void moves(void **state)
{
	struct bed bed, other;
	struct fake_request *log;

	(void)state;
	bed_create(&bed, &iog_vtdss_counted, 48, 0);
	log = bed.fake.log;
	assert_int_equal(bed_map(&bed, 0x5000, 0x9000, 4 * PAGE, RW), 0);
	/* A second device finds what the first has. Once more is nothing. */
	fake_log_clear(&bed.fake);
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_PAGING), 0);
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_PAGING), 0);
	assert_true(bed.fake.logged == 1 && log[0].type == REQ_ATTACH && log[0].domain == NUMBER(BED_ID) && log[0].endpoint == FAKE_DEVICE_0 + 1 && !log[0].flags);
	assert_int_equal(reached(&bed, 1, 0x6000, true), 0xa000);
	/* Both leave: the domain ceases to be, and is told nothing. */
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_BLOCKED), 0);
	assert_true(reached(&bed, 0, 0x6000, true) == REFUSED && reached(&bed, 1, 0x6000, true) == 0xa000);
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_IDENTITY), 0);
	assert_true(reached(&bed, 1, 0x6000, true) == 0x6000 && !fake_domain(&bed.fake, NUMBER(BED_ID)));
	fake_log_clear(&bed.fake);
	assert_int_equal(bed_map(&bed, 0x105000, 0x109000, 100 * PAGE, RW), 0);
	assert_int_equal(bed_unmap(&bed, 0x6000, PAGE), 0);
	assert_int_equal(bed.fake.logged, 0);
	/* The first device of a domain whose page table is full already. */
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_PAGING), 0);
	assert_int_equal(fake_logged(&bed.fake, REQ_MAP), 103);
	assert_true(bed_agrees(&bed));

	/* To another domain and back. */
	other = bed;
	bed_domain(&other, BED_ID + 1, &iog_x86_64_counted, 48, 0);
	other.gather->flush_ctx = &bed; /* of the one that has the device */
	assert_int_equal(iog_pgtable_map(other.pt, 0x5000, 0x77000, PAGE, RW, other.gather), 0);
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0, IOG_DOMAIN_PAGING, other.id), 0);
	assert_int_equal(reached(&bed, 0, 0x5000, true), 0x77000);
	assert_int_equal(bed.unit->ops->domain_remove(bed.unit, other.id), -IOG_EBUSY);
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_PAGING), 0);
	assert_true(bed_agrees(&bed) && reached(&bed, 0, 0x5000, true) == 0x9000 && !fake_domain(&bed.fake, NUMBER(other.id)));
	bed_domain_end(&other);

	/* Devices that the unit does not know, domains that there are not. */
	assert_int_equal(bed_set(&bed, 100, IOG_DOMAIN_PAGING), -IOG_ENOENT);
	assert_int_equal(bed_set(&bed, 100, IOG_DOMAIN_BLOCKED), -IOG_ENOENT);
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0, IOG_DOMAIN_PAGING, 99), -IOG_EINVAL);
	assert_int_equal(bed.unit->ops->domain_remove(bed.unit, 99), -IOG_ENOENT);
	assert_true(bed_agrees(&bed));

	/* Off and on again: everything is told anew. What changes meanwhile is not told. */
	fake_log_clear(&bed.fake);
	assert_int_equal(iog_virtio_disable(bed.virtio), 0);
	assert_int_equal(fake_logged(&bed.fake, REQ_DETACH), 2);
	assert_int_equal(bed_unmap(&bed, 0x7000, PAGE), 0);
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_PAGING), 0);
	fake_log_clear(&bed.fake);
	assert_int_equal(iog_virtio_enable(bed.virtio), 0);
	assert_int_equal(fake_logged(&bed.fake, REQ_MAP), 102);
	assert_true(bed_agrees(&bed) && reached(&bed, 1, 0x8000, true) == 0xc000);
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_BLOCKED), 0);
	bed_destroy(&bed);
}

/* An attachment fails: the device is where it was, with all that it had. */
static void moves_fail(void **state)
{
	struct bed bed, other;

	(void)state;
	bed_create(&bed, &iog_vtdss_counted, 48, 0);
	assert_int_equal(bed_map(&bed, 0x5000, 0x9000, 100 * PAGE, RW), 0);
	other = bed;
	bed_domain(&other, BED_ID + 1, &iog_vtdss_counted, 48, 0);
	assert_int_equal(iog_pgtable_map(other.pt, 0x5000, 0x77000, 100 * PAGE, RW, other.gather), 0);
	bed.fake.refuse_type = REQ_ATTACH;
	bed.fake.refuse_status = S_UNSUPP;
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0, IOG_DOMAIN_PAGING, other.id), -IOG_EOPNOTSUPP);
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_PAGING), -IOG_EOPNOTSUPP);
	bed.fake.refuse_type = 0;
	assert_true(bed_agrees(&bed));
	/* Its mappings do not come through: it goes back, and its former domain, which had ceased to be, is told again. */
	bed.fake.refuse_type = REQ_MAP;
	bed.fake.refuse_skip = 70;
	bed.fake.refuse_once = true;
	bed.fake.refuse_status = S_NOMEM;
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0, IOG_DOMAIN_PAGING, other.id), -IOG_ENOMEM);
	assert_true(bed_agrees(&bed) && !fake_domain(&bed.fake, NUMBER(other.id)));
	/* The same for one that was in no domain. */
	bed.fake.refuse_type = REQ_MAP;
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0 + 2, IOG_DOMAIN_PAGING, other.id), -IOG_ENOMEM);
	assert_true(reached(&bed, 2, 0x5000, true) == REFUSED && !fake_domain(&bed.fake, NUMBER(other.id)));
	/* And when the device is turned on. */
	assert_int_equal(iog_virtio_disable(bed.virtio), 0);
	bed.fake.refuse_type = REQ_MAP;
	assert_int_equal(iog_virtio_enable(bed.virtio), -IOG_ENOMEM);
	assert_int_equal(bed.fake.status, 0);
	assert_int_equal(iog_virtio_enable(bed.virtio), 0);
	assert_true(bed_agrees(&bed));
	bed_domain_end(&other);
	bed_destroy(&bed);
}

/* Requests that are not answered in time: nothing is believed, and what they have done is found out when they are. */
static void late(void **state)
{
	struct iog_virtio_stats stats;
	struct bed bed;

	(void)state;
	bed_create(&bed, &iog_vtdss_counted, 48, 0);
	assert_int_equal(bed_map(&bed, 0x5000, 0x9000, 4 * PAGE, RW), 0);
	/* Executed, not answered. */
	bed.fake.lose = 1;
	assert_int_equal(iog_pgtable_unmap(bed.pt, 0x5000, 2 * PAGE, bed.gather, NULL), 0);
	assert_int_equal(iog_gather_flush(bed.gather), -IOG_ETIMEDOUT);
	assert_int_equal(iog_gather_flush(bed.gather), -IOG_ETIMEDOUT);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, BED_ID, NULL), -IOG_ETIMEDOUT);
	/* Nothing of the domain is asked while it is not known what became of it. */
	fake_log_clear(&bed.fake);
	assert_int_equal(bed_map(&bed, 0x105000, 0x9000, PAGE, RW), -IOG_ETIMEDOUT);
	assert_int_equal(bed.fake.logged, 0);
	fake_answer_lost(&bed.fake);
	assert_int_equal(iog_gather_flush(bed.gather), 0);
	assert_true(bed_agrees(&bed));
	/* Not executed for long. */
	bed.fake.held = true;
	assert_int_equal(iog_pgtable_unmap(bed.pt, 0x7000, PAGE, bed.gather, NULL), 0);
	assert_int_equal(iog_gather_flush(bed.gather), -IOG_ETIMEDOUT);
	assert_int_equal(reached(&bed, 0, 0x7000, true), 0xb000);
	bed.fake.held = false;
	fake_run(&bed.fake);
	assert_int_equal(iog_gather_flush(bed.gather), 0);
	assert_true(bed_agrees(&bed));
	/* Mappings, some of which were refused, some answered and some not. */
	bed.fake.lose = 30;
	bed.fake.refuse_type = REQ_MAP;
	bed.fake.refuse_skip = 20;
	bed.fake.refuse_once = true;
	bed.fake.refuse_status = S_NOMEM;
	assert_int_equal(iog_pgtable_map(bed.pt, 0x205000, 0x309000, 100 * PAGE, RW, bed.gather), -IOG_ETIMEDOUT);
	fake_answer_lost(&bed.fake);
	assert_int_equal(iog_gather_flush(bed.gather), 0);
	assert_true(bed_agrees(&bed));
	/* More than the ring holds: what was not sent never is. */
	bed.fake.held = true;
	for (uint32_t n = 0; n < 5; n++) {
		bed.id = BED_ID;
		assert_int_equal(iog_pgtable_map(bed.pt, 0x405000, 0x309000, 100 * PAGE, RW, bed.gather), -IOG_ETIMEDOUT);
	}
	bed.fake.held = false;
	fake_log_clear(&bed.fake);
	fake_run(&bed.fake);
	assert_int_equal(bed.fake.logged, 64);
	assert_int_equal(iog_gather_flush(bed.gather), 0);
	assert_true(bed_agrees(&bed));
	/* An attachment. */
	bed.fake.lose = 1;
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_PAGING), -IOG_ETIMEDOUT);
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_PAGING), -IOG_ETIMEDOUT);
	fake_answer_lost(&bed.fake);
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_BLOCKED), 0);
	assert_int_equal(reached(&bed, 1, 0x8000, true), REFUSED);
	/* A domain with something on its way neither goes nor comes to be again. */
	bed.fake.lose = 1;
	assert_int_equal(iog_pgtable_map(bed.pt, 0x505000, 0x309000, PAGE, RW, bed.gather), -IOG_ETIMEDOUT);
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_BLOCKED), 0);
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_PAGING), -IOG_ETIMEDOUT);
	assert_int_equal(bed.unit->ops->domain_remove(bed.unit, BED_ID), -IOG_ETIMEDOUT);
	fake_answer_lost(&bed.fake);
	assert_int_equal(iog_gather_flush(bed.gather), 0);
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_PAGING), 0);
	assert_true(bed_agrees(&bed));
	iog_virtio_stats(bed.virtio, &stats);
	assert_true(stats.timeouts >= 12 && !stats.broken);
	/* If nothing helps, a reset does. */
	bed.fake.held = true;
	assert_int_equal(iog_pgtable_map(bed.pt, 0x605000, 0x309000, PAGE, RW, bed.gather), -IOG_ETIMEDOUT);
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_BLOCKED), -IOG_ETIMEDOUT);
	assert_int_equal(bed.unit->ops->domain_remove(bed.unit, BED_ID), -IOG_EBUSY);
	assert_int_equal(iog_virtio_disable(bed.virtio), 0);
	bed.fake.held = false;
	assert_int_equal(iog_virtio_enable(bed.virtio), 0);
	assert_int_equal(iog_gather_flush(bed.gather), 0);
	assert_true(bed_agrees(&bed));
	bed_destroy(&bed);
}

/* Answers that come after a request was given up, while somebody else looks at the ring. */
static struct {
	struct bed *bed, *other;
	uint64_t timeouts;
} crossing;

static uintptr_t cross(void *ctx)
{
	struct bed *bed = crossing.bed;
	struct iog_virtio_stats stats;

	(void)ctx;
	if (!bed)
		return 0;
	iog_virtio_stats(bed->virtio, &stats);
	if (stats.timeouts == crossing.timeouts)
		return 0;
	crossing.bed = NULL;
	fake_answer_lost(&bed->fake);
	assert_int_equal(crossing.other->unit->ops->invalidate(crossing.other->unit, crossing.other->id, NULL), 0);
	return 0;
}

static void cross_end(void *ctx, uintptr_t flags)
{
	(void)ctx;
	(void)flags;
}

/* What has become of requests that were given up is learnt when they are settled, whoever took their answers, and when. */
static void crossed(void **state)
{
	struct iog_virtio_config config;
	struct iog_virtio_stats stats;
	struct bed bed, other;

	(void)state;
	fake_init(&bed.fake);
	bed.fake.platform.irq_save = cross;
	bed.fake.platform.irq_restore = cross_end;
	config = fake_config(&bed.fake);
	config.request_entries = 8;
	assert_int_equal(iog_virtio_create(&config, &bed.virtio), 0);
	assert_int_equal(iog_virtio_enable(bed.virtio), 0);
	bed.unit = iog_virtio_unit(bed.virtio);
	bed_domain(&bed, BED_ID, &iog_vtdss_counted, 48, 0);
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_PAGING), 0);
	other = bed;
	bed_domain(&other, BED_ID + 1, &iog_vtdss_counted, 48, 0);
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0 + 1, IOG_DOMAIN_PAGING, other.id), 0);
	other.forgetful = bed.forgetful = true;
	assert_int_equal(iog_pgtable_map(other.pt, 0x5000, 0x77000, PAGE, RW, other.gather), 0);
	/* With a table each, which goes with what is not asked for any more. */
	for (uint32_t n = 0; n < 40; n++)
		assert_int_equal(bed_map(&bed, n * UINT64_C(0x200000), 0x9000, PAGE, RW), 0);
	other.forgetful = bed.forgetful = false;
	/* Four find room on the ring, of which the first is refused; none is answered in time. */
	bed.fake.lose = 4;
	bed.fake.refuse_type = REQ_MAP;
	bed.fake.refuse_once = true;
	bed.fake.refuse_status = S_NOMEM;
	iog_virtio_stats(bed.virtio, &stats);
	crossing.timeouts = stats.timeouts;
	crossing.other = &other;
	crossing.bed = &bed;
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, BED_ID, NULL), -IOG_ETIMEDOUT);
	assert_null(crossing.bed);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, BED_ID, NULL), 0);
	assert_true(bed_agrees(&bed));
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0 + 1, IOG_DOMAIN_BLOCKED, 0), 0);
	bed_domain_end(&other);
	bed_destroy(&bed);
}

/* An attachment that was given up, and is made after all: the device goes back to where it was before anything else is asked, and nobody finds it in a domain that it is not in. */
static void attached_late(void **state)
{
	struct bed bed, other;

	(void)state;
	bed_create(&bed, &iog_vtdss_counted, 48, 0);
	assert_int_equal(bed_map(&bed, 0x5000, 0x9000, 4 * PAGE, RW), 0);
	other = bed;
	bed_domain(&other, BED_ID + 1, &iog_vtdss_counted, 48, 0);
	assert_int_equal(iog_pgtable_map(other.pt, 0x5000, 0x77000, 4 * PAGE, RW, other.gather), 0);
	/* Its domain's only device: the domain ceases to be with it, and is told again. */
	bed.fake.lose = 1;
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0, IOG_DOMAIN_PAGING, other.id), -IOG_ETIMEDOUT);
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_PAGING), -IOG_ETIMEDOUT);
	fake_answer_lost(&bed.fake);
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_PAGING), 0);
	assert_int_equal(reached(&bed, 0, 0x5000, true), 0x9000);
	assert_true(bed_agrees(&bed));
	assert_null(fake_domain(&bed.fake, NUMBER(other.id)));
	/* One of two, and it does not go back at once. */
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_PAGING), 0);
	bed.fake.lose = 1;
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0, IOG_DOMAIN_PAGING, other.id), -IOG_ETIMEDOUT);
	fake_answer_lost(&bed.fake);
	bed.fake.refuse_type = REQ_ATTACH;
	bed.fake.refuse_once = true;
	bed.fake.refuse_status = S_NOMEM;
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0 + 2, IOG_DOMAIN_PAGING, other.id), -IOG_ENOMEM);
	assert_null(bed.fake.endpoints[2].domain);
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0 + 2, IOG_DOMAIN_PAGING, other.id), 0);
	assert_int_equal(reached(&bed, 0, 0x5000, true), 0x9000);
	assert_int_equal(reached(&bed, 2, 0x5000, true), 0x77000);
	assert_true(bed_agrees(&bed));
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0 + 2, IOG_DOMAIN_BLOCKED, 0), 0);
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_BLOCKED), 0);
	/* One that was attached to nothing, and is refused as it was: also by the domain that has the number next. */
	bed.fake.lose = 1;
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0 + 3, IOG_DOMAIN_PAGING, other.id), -IOG_ETIMEDOUT);
	fake_answer_lost(&bed.fake);
	bed_domain_end(&other);
	bed_domain(&other, BED_ID + 1, &iog_vtdss_counted, 48, 0);
	assert_int_equal(iog_pgtable_map(other.pt, 0x5000, 0x55000, PAGE, RW, other.gather), 0);
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0 + 2, IOG_DOMAIN_PAGING, other.id), 0);
	assert_int_equal(reached(&bed, 2, 0x5000, true), 0x55000);
	assert_int_equal(reached(&bed, 3, 0x5000, true), REFUSED);
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0 + 2, IOG_DOMAIN_BLOCKED, 0), 0);
	bed_domain_end(&other);
	bed_destroy(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rings), cmocka_unit_test(moves), cmocka_unit_test(moves_fail), cmocka_unit_test(late), cmocka_unit_test(crossed),
		cmocka_unit_test(attached_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

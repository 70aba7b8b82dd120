/* SPDX-License-Identifier: MIT */
/*
 * What a virtio-iommu says of itself and of others: faults, properties, its place in PCI configuration space; and one that lies.
 */
#include "hw/virtio_bed.h"

/* A device that does with its rings what it cannot: everything fails until it is reset, and nothing beyond the rings is touched. */
static void lies(void **state)
{
	struct iog_virtio_stats stats;
	struct bed bed;

	(void)state;
	bed_create(&bed, &iog_vtdss_counted, 48, 0);
	assert_int_equal(bed_map(&bed, 0x5000, 0x9000, 4 * PAGE, RW), 0);
	for (uint32_t n = 0; n < 8; n++) {
		switch (n) {
		case 0:
			bed.fake.bad_id = 0xfffffffe;
			break;
		case 1:
			bed.fake.bad_id = 7; /* not the first of a chain */
			break;
		case 2:
			bed.fake.bad_id = 200; /* not on its way */
			break;
		case 3:
			bed.fake.bad_len = 3;
			break;
		case 4:
			bed.fake.bad_len = UINT32_MAX;
			break;
		case 5:
			bed.fake.bad_jump = 1; /* what was answered before, again */
			break;
		case 6:
			bed.fake.bad_jump = 0x8000;
			break;
		default:
			bed.fake.held = true;
			bed.fake.status |= STATUS_NEEDS_RESET;
			break;
		}
		assert_int_equal(iog_pgtable_unmap(bed.pt, 0x5000, PAGE, bed.gather, NULL), 0);
		assert_int_equal(iog_gather_flush(bed.gather), -IOG_EIO);
		bed.fake.bad_jump = 0;
		bed.fake.held = false;
		fake_log_clear(&bed.fake);
		assert_int_equal(iog_gather_flush(bed.gather), -IOG_EIO);
		assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_PAGING), -IOG_EIO);
		assert_true(!bed.fake.logged && !bed.fake.doorbells);
		iog_virtio_stats(bed.virtio, &stats);
		assert_int_equal(stats.broken, n + 1);
		assert_int_equal(iog_virtio_disable(bed.virtio), 0);
		assert_int_equal(iog_virtio_enable(bed.virtio), 0);
		assert_int_equal(iog_gather_flush(bed.gather), 0);
		assert_true(bed_agrees(&bed));
		assert_int_equal(bed_map(&bed, 0x5000, 0x9000, PAGE, RW), 0);
		assert_true(bed_agrees(&bed));
	}
	bed_destroy(&bed);
}

struct heard {
	uint32_t n;
	struct iog_fault last;
};

static void hear(void *ctx, struct iog_unit *unit, const struct iog_fault *fault)
{
	struct heard *heard = ctx;

	(void)unit;
	heard->n++;
	heard->last = *fault;
}

static void faults(void **state)
{
	struct iog_fault_counts counts;
	struct iog_virtio_config config;
	struct iog_virtio_stats stats;
	struct heard heard = { 0 };
	struct iog_virtio *virtio;
	struct fake fake;

	(void)state;
	fake_init(&fake);
	config = fake_config(&fake);
	config.event_entries = 8;
	config.faults = (struct iog_fault_config){ .fn = hear, .ctx = &heard, .per_device = 3, .total = 4, .interval_ms = 600000 };
	assert_int_equal(iog_virtio_create(&config, &virtio), 0);
	assert_int_equal(iog_virtio_interrupt(virtio), 0);
	assert_int_equal(iog_virtio_enable(virtio), 0);
	assert_int_equal(iog_virtio_interrupt(virtio), 0);

	assert_true(fake_event(&fake, FAULT_R_MAPPING, FAULT_F_WRITE | FAULT_F_ADDRESS, 0x12345, 0x123456789abc));
	assert_int_equal(iog_virtio_interrupt(virtio), 1);
	assert_true(heard.n == 1 && heard.last.device == 0x12345 && heard.last.iova == 0x123456789abc && heard.last.access == IOG_PROT_WRITE && heard.last.pasid == IOG_PASID_NONE);
	assert_true(heard.last.reason == IOG_FAULT_REASON_OTHER && heard.last.code == FAULT_R_MAPPING && heard.last.text);
	assert_true(fake_event(&fake, FAULT_R_MAPPING, FAULT_F_READ | FAULT_F_EXEC | FAULT_F_ADDRESS, 1, 0x5000));
	assert_true(fake_event(&fake, FAULT_R_DOMAIN, 0, 2, 0xdead));
	assert_int_equal(iog_virtio_interrupt(virtio), 2);
	assert_true(heard.n == 3 && heard.last.reason == IOG_FAULT_REASON_NO_DEVICE && heard.last.access == IOG_FAULT_NO_ADDRESS && !heard.last.iova);
	assert_true(fake_event(&fake, 77, FAULT_F_ADDRESS, 3, 0x5000));
	assert_int_equal(iog_virtio_interrupt(virtio), 1);
	assert_true(heard.last.reason == IOG_FAULT_REASON_OTHER && heard.last.code == 77 && heard.last.text);

	/* A flood: as many at once as there are buffers, which come back; and one device does not drown the others. */
	for (uint32_t round = 0; round < 5; round++) {
		for (uint32_t n = 0; n < 8; n++)
			assert_true(fake_event(&fake, FAULT_R_MAPPING, FAULT_F_ADDRESS, 9, n));
		assert_false(fake_event(&fake, FAULT_R_MAPPING, FAULT_F_ADDRESS, 9, 0));
		assert_int_equal(iog_virtio_interrupt(virtio), 8);
	}
	iog_virtio_device_faults(virtio, 9, &counts);
	assert_true(counts.seen == 40 && counts.told == 3 && counts.untold == 37);
	assert_true(fake_event(&fake, FAULT_R_MAPPING, FAULT_F_ADDRESS, 10, 0x77000));
	assert_int_equal(iog_virtio_interrupt(virtio), 1);
	assert_true(heard.last.device == 10 && heard.last.iova == 0x77000);
	iog_virtio_stats(virtio, &stats);
	assert_true(stats.faults.seen == 45 && !stats.broken);

	/* Lies: the queue is given up until a reset. */
	for (uint32_t n = 0; n < 3; n++) {
		fake.bad_id = n == 0 ? 8 : 0;
		fake.bad_len = n == 1 ? 25 : 0;
		fake.bad_jump = n == 2 ? 100 : 0;
		assert_true(fake_event(&fake, FAULT_R_MAPPING, FAULT_F_ADDRESS, 11, 0));
		fake.bad_jump = 0;
		assert_int_equal(iog_virtio_interrupt(virtio), 0);
		assert_int_equal(iog_virtio_interrupt(virtio), 0);
		iog_virtio_stats(virtio, &stats);
		assert_int_equal(stats.broken, n + 1);
		assert_int_equal(iog_virtio_disable(virtio), 0);
		assert_int_equal(iog_virtio_enable(virtio), 0);
		assert_true(fake_event(&fake, FAULT_R_MAPPING, FAULT_F_ADDRESS, 12, 0));
		assert_int_equal(iog_virtio_interrupt(virtio), 1);
	}
	fake_done(virtio);
	fake_fini(&fake);
}

static uint32_t property(uint8_t *at, uint16_t type, uint16_t length, uint8_t subtype, uint64_t first, uint64_t last)
{
	memset(at, 0, 4 + (size_t)length);
	memcpy(at, &type, 2);
	memcpy(at + 2, &length, 2);
	if (length < 20)
		return 4 + (uint32_t)length;
	at[4] = subtype;
	memcpy(at + 8, &first, 8);
	memcpy(at + 16, &last, 8);
	return 4 + (uint32_t)length;
}

struct regions {
	uint32_t n, stop;
	struct iog_found_reserved at[8];
};

static int region(void *ctx, const struct iog_found *found)
{
	struct regions *regions = ctx;

	assert_int_equal(found->kind, IOG_FOUND_RESERVED);
	assert_true(found->reserved.who.kind == IOG_DEVICES_STREAMS && found->reserved.who.first == FAKE_DEVICE_0);
	regions->at[regions->n++] = found->reserved;
	return regions->n == regions->stop ? 5 : 0;
}

static void probes(void **state)
{
	struct regions regions = { 0 };
	struct iog_virtio *virtio;
	struct fake fake;
	uint32_t at = 0;

	(void)state;
	fake_init(&fake);
	virtio = fake_driver(&fake);
	assert_int_equal(iog_virtio_reserved(virtio, FAKE_DEVICE_0, region, &regions), -IOG_EOPNOTSUPP);
	assert_int_equal(iog_virtio_enable(virtio), 0);
	assert_int_equal(iog_virtio_reserved(virtio, FAKE_DEVICE_0, region, &regions), 0);
	at += property(fake.properties + at, PROBE_T_RESV_MEM, 20, RESV_MEM_T_MSI, 0xfee00000, 0xfeefffff);
	at += property(fake.properties + at, 0x0ab, 5, 0, 0, 0); /* not known */
	at += property(fake.properties + at, 0xf000 | PROBE_T_RESV_MEM, 24, RESV_MEM_T_RESERVED, 0x8000000, 0x80fffff);
	fake.properties_bytes = at;
	assert_int_equal(iog_virtio_reserved(virtio, FAKE_DEVICE_0, region, &regions), 0);
	assert_int_equal(regions.n, 2);
	assert_true(regions.at[0].first == 0xfee00000 && regions.at[0].last == 0xfeefffff && regions.at[0].flags == (IOG_RESERVED_UNUSABLE | IOG_RESERVED_INTERRUPTS));
	assert_true(regions.at[1].first == 0x8000000 && regions.at[1].last == 0x80fffff && regions.at[1].flags == IOG_RESERVED_UNUSABLE);
	regions = (struct regions){ .stop = 1 };
	assert_int_equal(iog_virtio_reserved(virtio, FAKE_DEVICE_0, region, &regions), 5);
	assert_int_equal(iog_virtio_reserved(virtio, 0x999, region, &regions), -IOG_ENOENT);
	/* Malformed: nothing of it is told. */
	regions = (struct regions){ 0 };
	(void)property(fake.properties + at, PROBE_T_RESV_MEM, 19, 0, 0, 0);
	assert_int_equal(iog_virtio_reserved(virtio, FAKE_DEVICE_0, region, &regions), -IOG_EIO);
	fake.properties[at + 2] = fake.properties[at + 3] = 0xff;
	assert_int_equal(iog_virtio_reserved(virtio, FAKE_DEVICE_0, region, &regions), -IOG_EIO);
	assert_int_equal(regions.n, 0);
	/* Not answered in time: the place of the answer is the device's until it was. */
	memset(fake.properties, 0, sizeof(fake.properties));
	fake.held = true;
	assert_int_equal(iog_virtio_reserved(virtio, FAKE_DEVICE_0, region, &regions), -IOG_ETIMEDOUT);
	assert_int_equal(iog_virtio_reserved(virtio, FAKE_DEVICE_0, region, &regions), -IOG_ETIMEDOUT);
	fake.held = false;
	fake_run(&fake);
	assert_int_equal(iog_virtio_reserved(virtio, FAKE_DEVICE_0, region, &regions), 0);
	fake.refuse_type = REQ_PROBE;
	fake.refuse_status = S_DEVERR;
	assert_int_equal(iog_virtio_reserved(virtio, FAKE_DEVICE_0, region, &regions), -IOG_EIO);
	atomic_store(&fake.refuse_after, 0);
	assert_int_equal(iog_virtio_reserved(virtio, FAKE_DEVICE_0, region, &regions), -IOG_ENOMEM);
	atomic_store(&fake.refuse_after, -1);
	fake_done(virtio);
	fake_fini(&fake);
}

/* Configuration space, as bytes. */
static uint32_t space_read(void *ctx, uint32_t offset)
{
	uint32_t value;

	assert_true(offset <= 252 && !(offset & 3));
	memcpy(&value, (const uint8_t *)ctx + offset, 4);
	return value;
}

static void capability(uint8_t *space, uint8_t at, uint8_t next, uint8_t type, uint8_t bar, uint32_t offset, uint32_t length)
{
	const uint8_t head[] = { 0x09, next, type == CAP_NOTIFY ? 20 : 16, type, bar };

	memcpy(space + at, head, sizeof(head));
	memcpy(space + at + 8, &offset, 4);
	memcpy(space + at + 12, &length, 4);
	space[at + 16] = type == CAP_NOTIFY ? 4 : space[at + 16];
}

static void space_fill(uint8_t space[256])
{
	const uint8_t id[] = { 0xf4, 0x1a, 0x57, 0x10, 0, 0, 0x10, 0 };

	memset(space, 0, 256);
	memcpy(space, id, sizeof(id));
	space[0x34] = 0x84;
	capability(space, 0x84, 0x70, 5, 0, 0, 4); /* access through configuration space */
	capability(space, 0x70, 0x60, CAP_NOTIFY, 4, 0x3000, 0x1000);
	capability(space, 0x60, 0x50, CAP_DEVICE, 4, 0x2000, 0x1000);
	capability(space, 0x50, 0x40, CAP_ISR, 4, 0x1000, 0x1000);
	capability(space, 0x40, 0xa0, CAP_COMMON, 4, 0, 0x1000);
	capability(space, 0xa0, 0, CAP_COMMON, 2, 0x9000, 0x1000);
}

static void pci(void **state)
{
	struct iog_virtio_pci found;
	uint8_t space[256];

	(void)state;
	space_fill(space);
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), 0);
	assert_true(found.common.bar == 4 && found.common.offset == 0 && found.notify.offset == 0x3000 && found.isr.offset == 0x1000 && found.device.offset == 0x2000);
	assert_true(found.device.length == 0x1000 && found.notify_multiplier == 4);
	/* Another device, none at all, no list. */
	space[2] = 0x41;
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), -IOG_ENOENT);
	memset(space, 0xff, sizeof(space));
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), -IOG_ENOENT);
	space_fill(space);
	space[6] = 0;
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), -IOG_ENOENT);
	/* One is missing, too short, in no BAR, beyond 4 GiB; the notify structure too short for its multiplier. */
	space_fill(space);
	space[0x53] = 9;
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), -IOG_EINVAL);
	space_fill(space);
	capability(space, 0x60, 0x50, CAP_DEVICE, 4, 0x2000, 36);
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), -IOG_EINVAL);
	space_fill(space);
	space[0x44] = 6;
	space[0xa4] = 7;
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), -IOG_EINVAL);
	space_fill(space);
	capability(space, 0x60, 0x50, CAP_DEVICE, 4, 0xfffff000, 0x1001);
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), -IOG_EINVAL);
	space_fill(space);
	space[0x72] = 16;
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), -IOG_EINVAL);
	/* Lists that lead in a circle, or out of it. */
	space_fill(space);
	space[0x41] = 0x84;
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), 0);
	space_fill(space);
	space[0x51] = 0x50;
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), -IOG_EINVAL);
	space_fill(space);
	space[0x34] = 0xfc;
	space[0xfc] = 0x09;
	space[0xfd] = 0x84;
	space[0xfe] = 16;
	space[0xff] = CAP_COMMON;
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), 0);
	assert_int_equal(found.common.bar, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lies), cmocka_unit_test(faults), cmocka_unit_test(probes), cmocka_unit_test(pci),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

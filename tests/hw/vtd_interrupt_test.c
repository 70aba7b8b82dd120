/* SPDX-License-Identifier: MIT */
/*
 * Interrupt remapping by the VT-d driver: entries, who owns them, what hardware is told.
 */
#include "vtd_fake.h"

#define ECAP (FAKE_ECAP | VTD_ECAP_IR | VTD_ECAP_EIM)
#define ENTRIES 256

static struct fake fake;

static uint64_t *entry(uint32_t index)
{
	return (uint64_t *)fake_at(&fake, fake.irta & ~UINT64_C(0xfff)) + 2 * index;
}

static void entries(void **state)
{
	struct iog_vtd_config config = { .interrupts = ENTRIES, .timeout_ms = 20 };
	struct iog_vtd_route route = { .vector = 0x41, .destination = 5 };
	uint32_t index, other, run, data;
	struct iog_vtd_stats stats;
	uint64_t address;
	struct iog_vtd *vtd;

	(void)state;
	fake_init(&fake, FAKE_CAP, ECAP);
	/* Somebody has let messages through that are not remapped. */
	fake.status = VTD_CFI;
	vtd = fake_driver(&fake, 0, &config);
	assert_int_equal(fake.status & (VTD_IRE | VTD_CFI), VTD_IRE);
	assert_int_equal(fake.irta & 0xfff, 7);
	assert_int_equal(iog_vtd_interrupt_alloc(vtd, FAKE_DEVICE, 3, &index), -IOG_EINVAL);
	assert_int_equal(iog_vtd_interrupt_alloc(vtd, FAKE_DEVICE, 64, &index), -IOG_EINVAL);
	assert_int_equal(iog_vtd_interrupt_alloc(vtd, FAKE_DEVICE | 0x10000, 1, &index), -IOG_ERANGE);
	assert_int_equal(iog_vtd_interrupt_route(vtd, 0, &route), -IOG_ENOENT);
	assert_int_equal(iog_vtd_interrupt_route(vtd, ENTRIES, &route), -IOG_ERANGE);

	assert_int_equal(iog_vtd_interrupt_alloc(vtd, FAKE_DEVICE, 1, &index), 0);
	assert_int_equal(iog_vtd_interrupt_alloc(vtd, FAKE_DEVICE + 1, 4, &run), 0);
	assert_int_equal(run % 4, 0);
	assert_int_equal(iog_vtd_interrupt_alloc(vtd, FAKE_DEVICE, 1, &other), 0);
	assert_true(other != index && (other < run || other >= run + 4));
	/* Blocked, and the device's: its whole id is compared. */
	assert_int_equal(entry(index)[0], 0);
	assert_int_equal(entry(index)[1], FAKE_SID | 1 << 18);
	assert_int_equal(entry(run + 3)[1], (FAKE_SID + 1) | 1 << 18);
	/* From not present: nothing to forget. From there on: that entry. */
	assert_int_equal(iog_vtd_interrupt_route(vtd, index, &route), 0);
	assert_int_equal(entry(index)[0], 1 | 0x41 << 16 | UINT64_C(0x500) << 32);
	assert_int_equal(fake.logged, 0);
	route = (struct iog_vtd_route){ .vector = 0, .destination = 7, .delivery = 4, .flags = IOG_VTD_ROUTE_LOGICAL | IOG_VTD_ROUTE_REDIRECT | IOG_VTD_ROUTE_LEVEL };
	assert_int_equal(iog_vtd_interrupt_route(vtd, index, &route), 0);
	assert_int_equal(entry(index)[0], 1 | 1 << 2 | 1 << 3 | 1 << 4 | 4 << 5 | UINT64_C(0x700) << 32);
	assert_int_equal(fake.logged, 1);
	assert_int_equal(fake.log[0].words[0], VTD_INTERRUPT | 1 << 4 | (uint64_t)index << 32);
	assert_int_equal(iog_vtd_interrupt_route(vtd, index, NULL), 0);
	assert_int_equal(entry(index)[0], 0);
	assert_int_equal(fake.logged, 2);

#define MALFORMED(...) assert_int_equal(iog_vtd_interrupt_route(vtd, index, &(struct iog_vtd_route){ __VA_ARGS__ }), -IOG_EINVAL)
	MALFORMED(.vector = 15);
	MALFORMED(.vector = 255);
	MALFORMED(.vector = 0x41, .delivery = 3);
	MALFORMED(.vector = 0x41, .delivery = 8);
	MALFORMED(.vector = 0x41, .destination = 256);
	MALFORMED(.vector = 0x41, .flags = 8);

	/* Runs go whole, and hardware forgets them by one command. */
	route = (struct iog_vtd_route){ .vector = 0x50 };
	for (uint32_t n = 0; n < 4; n++)
		assert_int_equal(iog_vtd_interrupt_route(vtd, run + n, &route), 0);
	assert_int_equal(iog_vtd_interrupt_free(vtd, run + 1, 4), -IOG_EINVAL);
	assert_int_equal(iog_vtd_interrupt_free(vtd, 128, 4), -IOG_ENOENT);
	fake.logged = 0;
	assert_int_equal(iog_vtd_interrupt_free(vtd, run, 4), 0);
	assert_int_equal(fake.logged, 1);
	assert_int_equal(fake.log[0].words[0], VTD_INTERRUPT | 1 << 4 | 2 << 27 | (uint64_t)run << 32);
	for (uint32_t n = 0; n < 4; n++)
		assert_int_equal(entry(run + n)[0], 0);
	/* Not told that it was forgotten: it stays taken. */
	fake.stalled = true;
	assert_int_equal(iog_vtd_interrupt_free(vtd, other, 1), -IOG_ETIMEDOUT);
	fake.stalled = false;
	assert_int_equal(iog_vtd_interrupt_free(vtd, other, 1), 0);
	assert_int_equal(iog_vtd_interrupt_free(vtd, other, 1), -IOG_ENOENT);

	/* Neither is a route believed: whoever asks again is answered by hardware. */
	for (uint32_t n = 0; n < 2; n++) {
		const struct iog_vtd_route *next = n ? &route : NULL;

		assert_int_equal(iog_vtd_interrupt_route(vtd, index, &route), 0);
		fake.stalled = true;
		assert_int_equal(iog_vtd_interrupt_route(vtd, index, NULL), -IOG_ETIMEDOUT);
		fake.stalled = false;
		fake.logged = 0;
		assert_int_equal(iog_vtd_interrupt_route(vtd, index, next), 0);
		/* The former command was still in the queue; this one has been added. */
		assert_int_equal(fake.logged, 2);
		assert_int_equal(fake.log[1].words[0], VTD_INTERRUPT | 1 << 4 | (uint64_t)index << 32);
		/* Told: not again. */
		assert_int_equal(iog_vtd_interrupt_route(vtd, index, NULL), 0);
		fake.logged = 0;
		assert_int_equal(iog_vtd_interrupt_route(vtd, index, NULL), 0);
		assert_int_equal(fake.logged, 0);
	}

	/* Until there are no more; none is given twice. */
	assert_int_equal(iog_vtd_interrupt_free(vtd, index, 1), 0);
	for (uint32_t n = 0; n < ENTRIES / 32; n++) {
		assert_int_equal(iog_vtd_interrupt_alloc(vtd, FAKE_DEVICE, 32, &run), 0);
		assert_int_equal(entry(run)[0], 0);
	}
	assert_int_equal(iog_vtd_interrupt_alloc(vtd, FAKE_DEVICE, 1, &index), -IOG_ENOSPC);
	iog_vtd_stats(vtd, &stats);
	assert_true(stats.interrupt_commands > 4);

	iog_vtd_interrupt_message(0x8123, &address, &data);
	assert_int_equal(address, 0xfee00000 | 0x123 << 5 | 0x10 | 0x8 | 0x4);
	assert_int_equal(data, 0);
	fake_driver_end(vtd);
	assert_int_equal(fake.status & VTD_IRE, 0);
	fake_fini(&fake);
}

/* What is written is read back, whatever the table's kind. */
static void read_back(void **state)
{
	static const struct iog_vtd_route routes[] = {
		{ .vector = 0x41, .destination = 5 },
		{ .vector = 254, .destination = 255, .delivery = 1, .flags = IOG_VTD_ROUTE_LOGICAL | IOG_VTD_ROUTE_REDIRECT },
		{ .vector = 0, .destination = 7, .delivery = 4, .flags = IOG_VTD_ROUTE_LEVEL },
	};
	struct iog_vtd_config config = { .interrupts = ENTRIES };
	struct iog_vtd_interrupt interrupt;
	struct iog_vtd *vtd;
	uint32_t index;

	(void)state;
	for (uint32_t flags = 0; flags <= IOG_VTD_X2APIC; flags += IOG_VTD_X2APIC) {
		fake_init(&fake, FAKE_CAP, ECAP);
		vtd = fake_driver(&fake, flags, &config);
		assert_int_equal(iog_vtd_interrupt_alloc(vtd, FAKE_DEVICE, 1, &index), 0);
		memset(&interrupt, 0xff, sizeof(interrupt));
		assert_int_equal(iog_vtd_interrupt_read(vtd, index, &interrupt), 0);
		assert_false(interrupt.present || interrupt.posted || interrupt.descriptor);
		assert_int_equal(iog_vtd_interrupt_read(vtd, ENTRIES, &interrupt), -IOG_ERANGE);
		for (uint32_t n = 0; n < sizeof(routes) / sizeof(routes[0]); n++) {
			assert_int_equal(iog_vtd_interrupt_route(vtd, index, &routes[n]), 0);
			assert_int_equal(iog_vtd_interrupt_read(vtd, index, &interrupt), 0);
			assert_true(interrupt.present && !interrupt.posted && !interrupt.silent);
			assert_int_equal(interrupt.verify, IOG_VTD_VERIFY_ID);
			assert_int_equal(interrupt.source, FAKE_SID);
			assert_int_equal(interrupt.ignored, 0);
			assert_memory_equal(&interrupt.route, &routes[n], sizeof(routes[n]));
		}
		fake_driver_end(vtd);
		fake_fini(&fake);
	}
}

/* Entries that others have made, posted ones among them. */
static void decode(void **state)
{
	static const uint64_t remapped[] = { 1 | UINT64_C(0x500) << 32 | 0x41 << 16, 0x1234 | UINT64_C(2) << 16 | UINT64_C(1) << 18 };
	static const uint64_t posted[] = { UINT64_C(0xabcdef40) << 32 | 0x10 << 16 | 1 << 15 | 1 << 14 | 0xf << 8 | 1 << 1 | 1, UINT64_C(0x12345678) << 32 | 0x2030 | UINT64_C(2) << 18 };
	struct iog_vtd_interrupt interrupt, before;

	(void)state;
	assert_int_equal(iog_vtd_interrupt_decode(posted, true, &interrupt), 0);
	assert_true(interrupt.present && interrupt.posted && interrupt.urgent && interrupt.silent);
	assert_int_equal(interrupt.descriptor, UINT64_C(0x12345678abcdef40));
	assert_int_equal(interrupt.route.vector, 0x10);
	assert_int_equal(interrupt.route.destination, 0);
	assert_int_equal(interrupt.verify, IOG_VTD_VERIFY_BUS);
	assert_int_equal(interrupt.source, 0x2030);
	assert_int_equal(iog_vtd_interrupt_decode(remapped, false, &interrupt), 0);
	assert_false(interrupt.posted || interrupt.urgent || interrupt.descriptor);
	assert_int_equal(interrupt.verify, IOG_VTD_VERIFY_ID);
	assert_int_equal(interrupt.ignored, 6);
	assert_int_equal(interrupt.route.destination, 5);
	assert_int_equal(iog_vtd_interrupt_decode(remapped, true, &interrupt), 0);
	assert_int_equal(interrupt.route.destination, 0x500);

	/* Each bit that is reserved: bits 2 to 7, 12, 13, 24 to 37, and 84 to 95 posted; 12 to 14, 24 to 31, 84 to 127 remapped, and by 8-bit destinations 32 to 39, 48 to 63. */
	before = interrupt;
	for (uint32_t bit = 0; bit < 128; bit++) {
		for (uint32_t kind = 0; kind < 3; kind++) {
			const uint64_t *entry = kind ? remapped : posted;
			uint64_t words[2] = { entry[0], entry[1] };
			bool reserved;

			if (kind)
				reserved = (bit >= 12 && bit < 15) || (bit >= 24 && bit < 32) || bit >= 84 || (kind == 2 && ((bit >= 32 && bit < 40) || (bit >= 48 && bit < 64)));
			else
				reserved = (bit >= 2 && bit < 8) || bit == 12 || bit == 13 || (bit >= 24 && bit < 38) || (bit >= 84 && bit < 96);
			/* Set as it is; of another format, or another kind of verification. */
			if (words[bit / 64] >> bit % 64 & 1 || bit == 15 || bit == 82 || bit == 83)
				continue;
			words[bit / 64] |= UINT64_C(1) << bit % 64;
			interrupt = before;
			if (iog_vtd_interrupt_decode(words, kind == 1, &interrupt) != (reserved ? -IOG_EINVAL : 0))
				fail_msg("kind %u, bit %u", kind, bit);
			if (reserved)
				assert_memory_equal(&interrupt, &before, sizeof(before));
		}
	}
	assert_int_equal(iog_vtd_interrupt_decode((const uint64_t[]){ remapped[0] | 3 << 5, remapped[1] }, false, &interrupt), -IOG_EINVAL);
	assert_int_equal(iog_vtd_interrupt_decode((const uint64_t[]){ remapped[0], remapped[1] | UINT64_C(3) << 18 }, false, &interrupt), -IOG_EINVAL);
	/* Whatever else is in it. */
	assert_int_equal(iog_vtd_interrupt_decode((const uint64_t[]){ ~UINT64_C(1), UINT64_MAX }, false, &interrupt), 0);
	assert_false(interrupt.present);
}

static void wide(void **state)
{
	struct iog_vtd_config config = { .interrupts = 65536 };
	struct iog_vtd *vtd;
	uint32_t index;

	(void)state;
	/* What is not present is remembered, too. */
	fake_init(&fake, FAKE_CAP | VTD_CAP_CM, ECAP);
	vtd = fake_driver(&fake, IOG_VTD_X2APIC, &config);
	assert_int_equal(fake.irta & 0xfff, VTD_IRTA_EIME | 15);
	assert_int_equal(iog_vtd_interrupt_alloc(vtd, FAKE_DEVICE, 1, &index), 0);
	assert_int_equal(iog_vtd_interrupt_route(vtd, index, &(struct iog_vtd_route){ .vector = 0x41, .destination = 0x12345678 }), 0);
	assert_int_equal(entry(index)[0] >> 32, 0x12345678);
	assert_int_equal(fake.logged, 1);
	fake_driver_end(vtd);
	fake_fini(&fake);
}

static void refused(void **state)
{
	struct iog_vtd_config config = { .platform = &fake.platform, .registers = FAKE_BASE, .interrupts = 256 };
	struct iog_vtd *vtd = NULL;
	uint32_t index;

	(void)state;
	fake_init(&fake, FAKE_CAP, ECAP);
	config.interrupts = 128;
	assert_int_equal(iog_vtd_create(&config, &vtd), -IOG_EINVAL);
	config.interrupts = 768;
	assert_int_equal(iog_vtd_create(&config, &vtd), -IOG_EINVAL);
	config.interrupts = 256;
	config.flags = IOG_VTD_NO_QUEUE;
	assert_int_equal(iog_vtd_create(&config, &vtd), -IOG_EOPNOTSUPP);
	config.flags = IOG_VTD_X2APIC;
	fake_set64(&fake, VTD_ECAP, ECAP & ~VTD_ECAP_EIM);
	assert_int_equal(iog_vtd_create(&config, &vtd), -IOG_EOPNOTSUPP);
	config.flags = 0;
	fake_set64(&fake, VTD_ECAP, FAKE_ECAP);
	assert_int_equal(iog_vtd_create(&config, &vtd), -IOG_EOPNOTSUPP);
	for (uint32_t n = 1; n < 8; n++) {
		fake_set64(&fake, VTD_ECAP, ECAP);
		fake.fail_in = n;
		assert_int_equal(iog_vtd_create(&config, &vtd), -IOG_ENOMEM);
	}
	fake.fail_in = 0;
	config.interrupts = 0;
	vtd = fake_driver(&fake, 0, &config);
	assert_int_equal(iog_vtd_interrupt_alloc(vtd, FAKE_DEVICE, 1, &index), -IOG_EOPNOTSUPP);
	assert_int_equal(iog_vtd_interrupt_route(vtd, 0, NULL), -IOG_EOPNOTSUPP);
	assert_int_equal(iog_vtd_interrupt_free(vtd, 0, 1), -IOG_EOPNOTSUPP);
	assert_int_equal(iog_vtd_interrupt_read(vtd, 0, NULL), -IOG_EOPNOTSUPP);
	fake_driver_end(vtd);
	fake_fini(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries),
		cmocka_unit_test(read_back),
		cmocka_unit_test(decode),
		cmocka_unit_test(wide),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

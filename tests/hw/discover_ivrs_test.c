/* SPDX-License-Identifier: MIT */
/*
 * IVRS tables built after AMD IOMMU 3.08, 5.2: which of several blocks counts, ranges, aliases, special devices, and reserved memory.
 */
#include "hw/tables.h"

struct places {
	uint32_t old, new, entries, other, all, one, range;
};

static uint32_t ivhd_begin(struct image *image, uint8_t type, uint16_t device, uint64_t base, uint16_t segment)
{
	uint32_t at = image->size;

	PUT(image, 1, type, 0xa0);
	PUT(image, 2, 0, device, 0x40);
	put(image, base, 8);
	PUT(image, 2, segment, 0);
	put(image, 0x80048f6e, 4);
	if (type != 0x10)
		PUT(image, 8, 0x246577efa2254afaULL, 0x10);
	return at;
}

static void block_end(struct image *image, uint32_t at)
{
	set(image, at + 2, image->size - at, 2);
}

static void entry4(struct image *image, uint8_t type, uint16_t device, uint8_t settings)
{
	put(image, type, 1);
	put(image, device, 2);
	put(image, settings, 1);
}

static uint32_t ivmd(struct image *image, uint8_t type, uint8_t flags, uint16_t device, uint16_t last, uint64_t start, uint64_t length)
{
	uint32_t at = image->size;

	PUT(image, 1, type, flags);
	PUT(image, 2, 32, device, last);
	PUT(image, 8, 0, start, length);
	return at;
}

static struct places ivrs_build(struct image *image)
{
	struct places at;

	table_begin(image, "IVRS");
	put(image, 0x00203041 | 2, 4);
	put(image, 0, 8);

	/* For old software; a newer block describes the same unit. */
	at.old = ivhd_begin(image, 0x10, IOG_BDF(0, 0, 2), 0xfeb80000, 0);
	entry4(image, 1, 0, 0);
	block_end(image, at.old);

	at.new = ivhd_begin(image, 0x11, IOG_BDF(0, 0, 2), 0xfeb80000, 0);
	at.entries = image->size;
	entry4(image, 3, IOG_BDF(0, 1, 0), 0);
	entry4(image, 4, IOG_BDF(0, 0x1f, 6), 0);
	entry4(image, 2, IOG_BDF(0, 0x14, 0), 0xd7);
	entry4(image, 0, 0, 0);
	/* What is on bus 4 comes with the id of 04:00.0. */
	PUT(image, 1, 67);
	put(image, IOG_BDF(4, 0, 0), 2);
	PUT(image, 1, 0, 0);
	put(image, IOG_BDF(4, 0, 0), 2);
	put(image, 0, 1);
	entry4(image, 4, IOG_BDF(4, 0x1f, 7), 0);
	/* No ATS. */
	PUT(image, 1, 70);
	put(image, IOG_BDF(1, 0, 0), 2);
	put(image, 0, 1);
	put(image, 0x80000000, 4);
	/* I/O APIC 0x21 is 00:14.0, the HPET too. */
	PUT(image, 1, 72, 0, 0, 0xd7, 0x21);
	put(image, IOG_BDF(0, 0x14, 0), 2);
	put(image, 1, 1);
	PUT(image, 1, 72, 0, 0, 0, 0);
	put(image, IOG_BDF(0, 0x14, 0), 2);
	put(image, 2, 1);
	/* A device by its hardware id. */
	put(image, 240, 1);
	put(image, IOG_BDF(0, 0x13, 1), 2);
	put(image, 0, 1);
	put_bytes(image, "AMDI0040", 8);
	put(image, 0, 8);
	PUT(image, 1, 2, 9);
	put_bytes(image, "\\_SB.EMMC", 9);
	block_end(image, at.new);

	at.other = ivhd_begin(image, 0x11, IOG_BDF(0, 0, 2), 0xfeb00000, 1);
	entry4(image, 1, 0, 0);
	block_end(image, at.other);

	at.all = ivmd(image, 0x20, 0x07, 0, 0, 0x1000, 0x1000);
	at.one = ivmd(image, 0x21, 0x08, IOG_BDF(1, 0, 0), 0, 0xa0000, 0x20000);
	at.range = ivmd(image, 0x22, 0x03, IOG_BDF(0, 0x10, 0), IOG_BDF(0, 0x10, 7), 0x7f000000, 0x10000);
	put(image, 0xe0, 1); /* a block that is not known */
	PUT(image, 1, 0, 4, 0);
	table_end(image);
	return at;
}

static void ivrs_reported(void **state)
{
	const struct iog_found *found;
	struct report report;
	struct image image;
	struct places at = ivrs_build(&image);

	(void)state;
	read_image(&report, iog_discover_ivrs, &image);
	assert_int_equal(report.result, 0);
	found = report_find(&report, IOG_FOUND_PLATFORM, 0);
	assert_int_equal(found->platform.physical_bits, 48);
	assert_int_equal(found->platform.virtual_bits, 64);
	assert_true(found->platform.flags & IOG_PLATFORM_PROTECT_EARLY);

	/* Type 10h gives way to 11h of the same unit, and not to that of another segment. */
	assert_int_equal(report_count(&report, IOG_FOUND_UNIT), 2);
	found = report_find(&report, IOG_FOUND_UNIT, 0);
	assert_int_equal(found->unit.ref, at.new);
	assert_int_equal(found->unit.model, IOG_UNIT_AMDVI);
	assert_int_equal(found->unit.base, 0xfeb80000);
	assert_int_equal(found->unit.bdf, IOG_BDF(0, 0, 2));
	assert_int_equal(found->unit.capability, 0x40);
	assert_int_equal(found->unit.features[0], 0x80048f6e);
	assert_true(found->unit.features[1] == 0x246577efa2254afaULL);
	assert_int_equal(found->unit.flags, IOG_UNIT_COHERENT);
	assert_int_equal(report_find(&report, IOG_FOUND_UNIT, 1)->unit.segment, 1);

	assert_int_equal(report_count(&report, IOG_FOUND_DEVICES), 8);
	found = report_find(&report, IOG_FOUND_DEVICES, 0);
	assert_int_equal(found->devices.who.first, IOG_BDF(0, 1, 0));
	assert_int_equal(found->devices.who.last, IOG_BDF(0, 0x1f, 6));
	assert_int_equal(report_find(&report, IOG_FOUND_DEVICES, 1)->devices.settings, 0xd7);
	found = report_find(&report, IOG_FOUND_DEVICES, 4);
	assert_int_equal(found->devices.who.kind, IOG_DEVICES_IOAPIC);
	assert_int_equal(found->devices.who.number, 0x21);
	assert_int_equal(found->devices.id, IOG_BDF(0, 0x14, 0));
	assert_int_equal(report_find(&report, IOG_FOUND_DEVICES, 5)->devices.who.kind, IOG_DEVICES_HPET);
	found = report_find(&report, IOG_FOUND_DEVICES, 6);
	assert_int_equal(found->devices.who.kind, IOG_DEVICES_NAMED);
	assert_int_equal(found->devices.who.name_size, 8);
	assert_memory_equal(found->devices.who.name, "AMDI0040", 8);

	assert_int_equal(report_count(&report, IOG_FOUND_RESERVED), 3);
	assert_int_equal(report_find(&report, IOG_FOUND_RESERVED, 0)->reserved.who.kind, IOG_DEVICES_ALL);
	assert_int_equal(report_find(&report, IOG_FOUND_RESERVED, 0)->reserved.flags, IOG_RESERVED_IDENTITY | IOG_RESERVED_READ | IOG_RESERVED_WRITE);
	assert_int_equal(report_find(&report, IOG_FOUND_RESERVED, 1)->reserved.flags, IOG_RESERVED_UNUSABLE | IOG_RESERVED_READ | IOG_RESERVED_WRITE);
	found = report_find(&report, IOG_FOUND_RESERVED, 2);
	assert_int_equal(found->reserved.flags, IOG_RESERVED_IDENTITY | IOG_RESERVED_READ);
	assert_int_equal(found->reserved.last, 0x7f00ffff);
	report_free(&report);
}

static void place(const struct image *image, uint16_t segment, uint16_t bdf, uint64_t base, uint32_t id, uint32_t flags, uint8_t settings)
{
	struct iog_location location;

	assert_int_equal(iog_discover_device(iog_discover_ivrs, image->bytes, image->size, NULL, segment, bdf, &location, NULL), 0);
	assert_int_equal(location.unit.base, base);
	assert_int_equal(location.id, id);
	assert_int_equal(location.flags, flags);
	assert_int_equal(location.settings, settings);
}

static void ivrs_places(void **state)
{
	struct iog_location location;
	struct report report;
	struct image image;

	(void)state;
	ivrs_build(&image);
	place(&image, 0, IOG_BDF(0, 2, 0), 0xfeb80000, IOG_BDF(0, 2, 0), 0, 0);
	place(&image, 0, IOG_BDF(0, 0x14, 0), 0xfeb80000, IOG_BDF(0, 0x14, 0), 0, 0xd7); /* a later entry */
	place(&image, 0, IOG_BDF(4, 3, 0), 0xfeb80000, IOG_BDF(4, 0, 0), 0, 0);	  /* alias */
	place(&image, 0, IOG_BDF(1, 0, 0), 0xfeb80000, IOG_BDF(1, 0, 0), IOG_FOUND_NO_ATS, 0);
	place(&image, 1, IOG_BDF(9, 0, 0), 0xfeb00000, IOG_BDF(9, 0, 0), 0, 0);
	assert_int_equal(iog_discover_device(iog_discover_ivrs, image.bytes, image.size, NULL, 0, IOG_BDF(5, 0, 0), &location, NULL), -IOG_ENOENT);

	memset(&report, 0, sizeof(report));
	assert_int_equal(iog_discover_reserved(iog_discover_ivrs, image.bytes, image.size, NULL, 0, IOG_BDF(0, 0x10, 3), report_note, &report, NULL), 0);
	assert_int_equal(report.count, 2);
	memset(&report, 0, sizeof(report));
	assert_int_equal(iog_discover_reserved(iog_discover_ivrs, image.bytes, image.size, NULL, 0, IOG_BDF(7, 0, 0), report_note, &report, NULL), 0);
	assert_int_equal(report.count, 1);
}

static void ivrs_refused(void **state)
{
	struct image image;
	struct places at = ivrs_build(&image);

	(void)state;
	refused_at(&image, iog_discover_ivrs, at.old + 2, 0, 2, at.old + 2);
	refused_at(&image, iog_discover_ivrs, at.old + 2, 20, 2, at.old + 2);
	refused_at(&image, iog_discover_ivrs, at.new + 8, 0, 8, at.new + 8);
	refused_at(&image, iog_discover_ivrs, at.new + 8, 0xfeb81000, 8, at.new + 8);
	refused_at(&image, iog_discover_ivrs, at.entries, 2, 1, at.entries + 4);		     /* an end without a start */
	refused_at(&image, iog_discover_ivrs, at.entries + 4, 2, 1, at.entries + 4);		     /* a start without an end */
	refused_at(&image, iog_discover_ivrs, at.entries + 5, 0, 2, at.entries + 4);		     /* ends before it starts */
	refused_at(&image, iog_discover_ivrs, at.entries + 8, 0x90, 1, at.entries + 8);	     /* of unknown length */
	refused_at(&image, iog_discover_ivrs, at.other + 40, 66, 1, at.other + 40);		     /* past its block */
	refused_at(&image, iog_discover_ivrs, at.other + 40, 240, 1, at.other + 40);
	refused_at(&image, iog_discover_ivrs, at.other + 40, 3, 1, at.other + 40);		     /* a range without an end, at the block's */
	refused_at(&image, iog_discover_ivrs, at.all + 2, 28, 2, at.all + 28 + 2);
	refused_at(&image, iog_discover_ivrs, at.all + 24, 0, 8, at.all + 16);
	refused_at(&image, iog_discover_ivrs, at.one + 16, UINT64_C(0xfffffffffffff000), 8, at.one + 16);
	refused_at(&image, iog_discover_ivrs, at.range + 6, 0, 2, at.range + 6);
}

static void ivrs_damaged(void **state)
{
	struct image image;

	(void)state;
	ivrs_build(&image);
	survives(&image, iog_discover_ivrs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ivrs_reported),
		cmocka_unit_test(ivrs_places),
		cmocka_unit_test(ivrs_refused),
		cmocka_unit_test(ivrs_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

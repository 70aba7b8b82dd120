/* SPDX-License-Identifier: MIT */
/*
 * DMAR tables built after VT-d 4.1, chapter 8: what is reported of each structure, which unit a function is behind, and what is refused.
 */
#include "hw/tables.h"

/* Offsets of the structures of dmar_build(). */
struct places {
	uint32_t gfx, rest, rmrr, atsr, rhsa, andd, satc, other, end;
};

static void scope(struct image *image, uint8_t type, uint8_t number, uint8_t bus, uint32_t steps, const uint8_t *path)
{
	PUT(image, 1, type, 6 + 2 * steps, 0, 0, number, bus);
	put_bytes(image, path, 2 * steps);
}

static uint32_t structure_begin(struct image *image, uint16_t type)
{
	uint32_t at = image->size;

	PUT(image, 2, type, 0);
	return at;
}

static void structure_end(struct image *image, uint32_t at)
{
	set(image, at + 2, image->size - at, 2);
}

/*
 * Segment 0: a unit for the graphics device 00:02.0, for all behind the bridge 00:01.0, and for 00:1c.4 -> 00.0 behind it; one for the rest, with an I/O APIC, an HPET and a
 * device without PCI. Reserved memory of 00:02.0 and 00:14.0. ATS below 00:01.0, and in 00:02.0.
 */
static struct places dmar_build(struct image *image)
{
	struct places at;

	table_begin(image, "DMAR");
	PUT(image, 1, 38, 0x7);
	PUT(image, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

	at.gfx = structure_begin(image, 0);
	PUT(image, 1, 0, 1);
	put(image, 0, 2);
	put(image, 0xfed90000, 8);
	scope(image, 1, 0, 0, 1, (const uint8_t[]){ 2, 0 });
	scope(image, 2, 0, 0, 1, (const uint8_t[]){ 1, 0 });
	scope(image, 1, 0, 0, 2, (const uint8_t[]){ 0x1c, 4, 0, 0 });
	structure_end(image, at.gfx);

	at.rest = structure_begin(image, 0);
	PUT(image, 1, 1, 0);
	put(image, 0, 2);
	put(image, 0xfed91000, 8);
	scope(image, 3, 2, 0xf0, 1, (const uint8_t[]){ 0x1f, 0 });
	scope(image, 4, 0, 0, 1, (const uint8_t[]){ 0x1f, 1 });
	scope(image, 5, 7, 0, 1, (const uint8_t[]){ 0x15, 0 });
	scope(image, 9, 0, 0, 1, (const uint8_t[]){ 0x15, 0 }); /* not known */
	structure_end(image, at.rest);

	at.rmrr = structure_begin(image, 1);
	PUT(image, 2, 0, 0);
	PUT(image, 8, 0x7b800000, 0x7fffffff);
	scope(image, 1, 0, 0, 1, (const uint8_t[]){ 2, 0 });
	scope(image, 1, 0, 0, 1, (const uint8_t[]){ 0x14, 0 });
	structure_end(image, at.rmrr);

	at.atsr = structure_begin(image, 2);
	PUT(image, 1, 0, 0);
	put(image, 0, 2);
	scope(image, 2, 0, 0, 1, (const uint8_t[]){ 1, 0 });
	structure_end(image, at.atsr);

	at.rhsa = structure_begin(image, 3);
	put(image, 0, 4);
	put(image, 0xfed91000, 8);
	put(image, 1, 4);
	structure_end(image, at.rhsa);

	at.andd = structure_begin(image, 4);
	PUT(image, 1, 0, 0, 0, 7);
	put_bytes(image, "\\_SB.PCI0.I2C0", 15);
	structure_end(image, at.andd);

	at.satc = structure_begin(image, 5);
	PUT(image, 1, 1, 0);
	put(image, 0, 2);
	scope(image, 1, 0, 0, 1, (const uint8_t[]){ 2, 0 });
	structure_end(image, at.satc);

	at.other = structure_begin(image, 99);
	put(image, UINT64_MAX, 8);
	structure_end(image, at.other);
	at.end = image->size;
	table_end(image);
	return at;
}

static void dmar_reported(void **state)
{
	struct report report;
	struct image image;
	struct places at = dmar_build(&image);
	const struct iog_found *found;

	(void)state;
	read_image(&report, iog_discover_dmar, &image);
	assert_int_equal(report.result, 0);

	found = report_find(&report, IOG_FOUND_PLATFORM, 0);
	assert_int_equal(found->platform.physical_bits, 39);
	assert_int_equal(found->platform.flags, IOG_PLATFORM_INTERRUPT_REMAPPING | IOG_PLATFORM_NO_X2APIC | IOG_PLATFORM_PROTECT_EARLY);

	assert_int_equal(report_count(&report, IOG_FOUND_UNIT), 2);
	found = report_find(&report, IOG_FOUND_UNIT, 0);
	assert_int_equal(found->unit.model, IOG_UNIT_VTD);
	assert_int_equal(found->unit.ref, at.gfx);
	assert_int_equal(found->unit.base, 0xfed90000);
	assert_int_equal(found->unit.size, 8192);
	assert_int_equal(found->unit.flags, 0);
	assert_int_equal(found->unit.bdf, IOG_BDF_NONE);
	found = report_find(&report, IOG_FOUND_UNIT, 1);
	assert_int_equal(found->unit.base, 0xfed91000);
	assert_int_equal(found->unit.flags, IOG_UNIT_SERVES_REST);

	assert_int_equal(report_count(&report, IOG_FOUND_DEVICES), 6);
	found = report_find(&report, IOG_FOUND_DEVICES, 1);
	assert_int_equal(found->devices.unit, at.gfx);
	assert_int_equal(found->devices.who.kind, IOG_DEVICES_BELOW);
	found = report_find(&report, IOG_FOUND_DEVICES, 2);
	assert_int_equal(found->devices.who.kind, IOG_DEVICES_PATH);
	assert_int_equal(found->devices.who.depth, 2);
	assert_int_equal(found->devices.who.path[0], 0x1c);
	assert_int_equal(found->devices.who.path[1], 4);
	found = report_find(&report, IOG_FOUND_DEVICES, 3);
	assert_int_equal(found->devices.unit, at.rest);
	assert_int_equal(found->devices.who.kind, IOG_DEVICES_IOAPIC);
	assert_int_equal(found->devices.who.number, 2);
	assert_int_equal(found->devices.who.bus, 0xf0);
	assert_int_equal(report_find(&report, IOG_FOUND_DEVICES, 4)->devices.who.kind, IOG_DEVICES_HPET);
	found = report_find(&report, IOG_FOUND_DEVICES, 5);
	assert_int_equal(found->devices.who.kind, IOG_DEVICES_NAMED);
	assert_int_equal(found->devices.who.name_size, 14);
	assert_memory_equal(found->devices.who.name, "\\_SB.PCI0.I2C0", 14);

	assert_int_equal(report_count(&report, IOG_FOUND_RESERVED), 2);
	found = report_find(&report, IOG_FOUND_RESERVED, 1);
	assert_int_equal(found->reserved.first, 0x7b800000);
	assert_int_equal(found->reserved.last, 0x7fffffff);
	assert_int_equal(found->reserved.flags, IOG_RESERVED_IDENTITY | IOG_RESERVED_READ | IOG_RESERVED_WRITE);
	assert_int_equal(found->reserved.who.path[0], 0x14);

	assert_int_equal(report_count(&report, IOG_FOUND_ATS_BELOW), 1);
	assert_int_equal(report_count(&report, IOG_FOUND_ATS_INTEGRATED), 1);
	found = report_find(&report, IOG_FOUND_AFFINITY, 0);
	assert_int_equal(found->unit.base, 0xfed91000);
	assert_int_equal(found->unit.proximity, 1);
	report_free(&report);
}

/* Root ports 00:01.0 (buses 1 and 2) and 00:1c.4 (bus 3), a switch on bus 1, devices behind. */
static struct iog_pci_function machine[] = {
	{ .bdf = IOG_BDF(0, 2, 0), .flags = IOG_PCI_EXPRESS, .port = IOG_PCI_INTEGRATED },
	{ .bdf = IOG_BDF(0, 1, 0), .flags = IOG_PCI_EXPRESS, .port = IOG_PCI_ROOT_PORT, .header = 1, .secondary = 1, .subordinate = 2 },
	{ .bdf = IOG_BDF(1, 0, 0), .flags = IOG_PCI_EXPRESS, .port = IOG_PCI_UPSTREAM, .header = 1, .secondary = 2, .subordinate = 2 },
	{ .bdf = IOG_BDF(2, 5, 0), .flags = IOG_PCI_EXPRESS },
	{ .bdf = IOG_BDF(0, 0x1c, 4), .flags = IOG_PCI_EXPRESS, .port = IOG_PCI_ROOT_PORT, .header = 1, .secondary = 3, .subordinate = 3 },
	{ .bdf = IOG_BDF(3, 0, 0), .flags = IOG_PCI_EXPRESS },
	{ .bdf = IOG_BDF(3, 0, 1), .flags = IOG_PCI_EXPRESS },
	{ .bdf = IOG_BDF(0, 0x14, 0) },
	{ .bdf = IOG_BDF(3, 2, 0), .flags = IOG_PCI_EXPRESS | IOG_PCI_VIRTUAL, .physical = IOG_BDF(3, 0, 0) },
	{ .bdf = IOG_BDF(3, 2, 1), .flags = IOG_PCI_EXPRESS | IOG_PCI_VIRTUAL, .physical = IOG_BDF(3, 0, 1) },
};
static const struct iog_pci_topology topology = { machine, sizeof(machine) / sizeof(machine[0]) };

static void behind(const struct image *image, const struct iog_pci_topology *known, uint16_t bdf, uint64_t base)
{
	struct iog_location location;

	assert_int_equal(iog_discover_device(iog_discover_dmar, image->bytes, image->size, known, 0, bdf, &location, NULL), 0);
	if (location.unit.base != base)
		print_error("%04x is behind 0x%llx\n", bdf, (unsigned long long)location.unit.base);
	assert_int_equal(location.unit.base, base);
	assert_int_equal(location.id, bdf);
}

static void dmar_places(void **state)
{
	struct iog_location location = { .id = 77 };
	struct image image;

	(void)state;
	dmar_build(&image);
	behind(&image, &topology, IOG_BDF(0, 2, 0), 0xfed90000);
	behind(&image, &topology, IOG_BDF(0, 1, 0), 0xfed90000);     /* the bridge itself */
	behind(&image, &topology, IOG_BDF(2, 5, 0), 0xfed90000);     /* two buses below it */
	behind(&image, &topology, IOG_BDF(3, 0, 0), 0xfed90000);     /* at the end of a path */
	behind(&image, &topology, IOG_BDF(3, 0, 1), 0xfed91000);     /* beside that */
	behind(&image, &topology, IOG_BDF(3, 2, 0), 0xfed90000);     /* where its physical function is */
	behind(&image, &topology, IOG_BDF(3, 2, 1), 0xfed91000);
	behind(&image, &topology, IOG_BDF(0, 0x14, 0), 0xfed91000);  /* the rest */
	behind(&image, NULL, IOG_BDF(0, 2, 0), 0xfed90000);	     /* named on a root bus: no topology is needed */
	behind(&image, NULL, IOG_BDF(0, 0x14, 0), 0xfed91000);
	/* Another segment, and a function that is not there. */
	assert_int_equal(iog_discover_device(iog_discover_dmar, image.bytes, image.size, NULL, 1, IOG_BDF(0, 2, 0), &location, NULL), -IOG_ENOENT);
	assert_int_equal(iog_discover_device(iog_discover_dmar, image.bytes, image.size, &topology, 0, IOG_BDF(9, 0, 0), &location, NULL), -IOG_EINVAL);
	assert_int_equal(location.id, 77);
}

static void dmar_reserved_of(void **state)
{
	static const struct {
		uint16_t bdf;
		uint32_t count;
	} expected[] = { { IOG_BDF(0, 2, 0), 1 }, { IOG_BDF(0, 0x14, 0), 1 }, { IOG_BDF(2, 5, 0), 0 } };
	struct report report;
	struct image image;

	(void)state;
	dmar_build(&image);
	for (uint32_t n = 0; n < 3; n++) {
		memset(&report, 0, sizeof(report));
		assert_int_equal(iog_discover_reserved(iog_discover_dmar, image.bytes, image.size, &topology, 0, expected[n].bdf, report_note, &report, NULL), 0);
		assert_int_equal(report.count, expected[n].count);
	}
}

static void dmar_refused(void **state)
{
	struct image image;
	struct places at = dmar_build(&image);

	(void)state;
	refused_at(&image, iog_discover_dmar, 0, 'X', 1, 0);
	refused_at(&image, iog_discover_dmar, 4, 47, 4, 4);
	refused_at(&image, iog_discover_dmar, 4, image.size + 1, 4, 4);
	refused_at(&image, iog_discover_dmar, at.gfx + 2, 0, 2, at.gfx + 2);		   /* would never end */
	refused_at(&image, iog_discover_dmar, at.gfx + 2, 3, 2, at.gfx + 2);
	refused_at(&image, iog_discover_dmar, at.other + 2, 13, 2, at.other + 2);	   /* past the end */
	refused_at(&image, iog_discover_dmar, at.gfx + 8, 0, 8, at.gfx + 8);		   /* no registers */
	refused_at(&image, iog_discover_dmar, at.gfx + 8, 0xfed90010, 8, at.gfx + 8);
	refused_at(&image, iog_discover_dmar, at.gfx + 17, 0, 1, at.gfx + 17);		   /* scope that never ends */
	refused_at(&image, iog_discover_dmar, at.gfx + 17, 200, 1, at.gfx + 17);	   /* scope past its structure */
	refused_at(&image, iog_discover_dmar, at.gfx + 17, 7, 1, at.gfx + 17);		   /* half a step */
	refused_at(&image, iog_discover_dmar, at.gfx + 22, 32, 1, at.gfx + 22);		   /* device 32 */
	refused_at(&image, iog_discover_dmar, at.gfx + 23, 8, 1, at.gfx + 22);		   /* function 8 */
	refused_at(&image, iog_discover_dmar, at.rmrr + 16, 0x7b7fffff, 8, at.rmrr + 8);  /* ends before it begins */
	refused_at(&image, iog_discover_dmar, at.rmrr + 8, 0x7b800001, 8, at.rmrr + 8);
	refused_at(&image, iog_discover_dmar, at.rhsa + 2, 12, 2, at.rhsa + 2);
}

/* A path over bridges that are in a circle, or not there, is nobody's. */
static void dmar_paths(void **state)
{
	struct iog_pci_function circle[] = {
		{ .bdf = IOG_BDF(0, 0x1c, 4), .header = 1, .secondary = 1, .subordinate = 1 },
		{ .bdf = IOG_BDF(1, 0, 0), .header = 1, .secondary = 0, .subordinate = 0 },
		{ .bdf = IOG_BDF(0, 0, 0) },
	};
	struct iog_pci_topology looped = { circle, 3 };
	struct iog_location location;
	struct image image;

	(void)state;
	dmar_build(&image);
	assert_int_equal(iog_discover_device(iog_discover_dmar, image.bytes, image.size, &looped, 0, IOG_BDF(0, 0, 0), &location, NULL), -IOG_EINVAL);
	circle[1].secondary = circle[1].subordinate = 4;
	assert_int_equal(iog_discover_device(iog_discover_dmar, image.bytes, image.size, &looped, 0, IOG_BDF(0, 0, 0), &location, NULL), 0);
	assert_int_equal(location.unit.base, 0xfed91000);
}

static void dmar_damaged(void **state)
{
	struct image image;

	(void)state;
	dmar_build(&image);
	survives(&image, iog_discover_dmar);
	survives(&image, iog_discover_any);
}

/* What the visitor returns ends the reading. */
static int stop(void *ctx, const struct iog_found *found)
{
	(void)found;
	return ++*(int *)ctx == 3 ? 99 : 0;
}

static void dmar_stopped(void **state)
{
	struct image image;
	int count = 0;

	(void)state;
	dmar_build(&image);
	assert_int_equal(iog_discover_dmar(image.bytes, image.size, stop, &count, NULL), 99);
	assert_int_equal(count, 3);
	assert_int_equal(iog_discover_dmar(image.bytes, image.size, NULL, NULL, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dmar_reported), cmocka_unit_test(dmar_places),	 cmocka_unit_test(dmar_reserved_of), cmocka_unit_test(dmar_refused),
		cmocka_unit_test(dmar_paths),	 cmocka_unit_test(dmar_damaged), cmocka_unit_test(dmar_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

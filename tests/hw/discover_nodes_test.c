/* SPDX-License-Identifier: MIT */
/*
 * Tables whose nodes refer to one another: IORT (Arm DEN0049), RIMT (RISC-V I/O mapping table 1.0), VIOT (ACPI 6.5, 5.2.37), built by hand.
 */
#include "hw/tables.h"

struct iort_places {
	uint32_t its, smmu, root, named, rmr;
};

static uint32_t iort_node(struct image *image, uint8_t type, uint8_t revision, uint32_t mappings, uint32_t mapping_offset)
{
	uint32_t at = image->size;

	put(image, type, 1);
	put(image, 0, 2);
	put(image, revision, 1);
	PUT(image, 4, 0, mappings, mapping_offset);
	return at;
}

static void iort_end(struct image *image, uint32_t at)
{
	set(image, at + 1, image->size - at, 2);
}

static struct iort_places iort_build(struct image *image)
{
	struct iort_places at;

	table_begin(image, "IORT");
	PUT(image, 4, 5, 48, 0);

	at.its = iort_node(image, 0, 0, 0, 0);
	PUT(image, 4, 1, 0);
	iort_end(image, at.its);

	/* The root complex stands before its SMMU. */
	at.root = iort_node(image, 2, 3, 3, 36);
	put(image, 1, 8);
	PUT(image, 4, 3, 2, 64);
	put(image, 0, 0);
	/* Buses 0 to 0x7f with an offset; bus 0x80 straight to the interrupt controller; bus 0x90 as one id. */
	at.smmu = at.root + 36 + 60;
	PUT(image, 4, 0x0000, 0x7fff, 0x10000, at.smmu, 0);
	PUT(image, 4, 0x8000, 0x00ff, 0x8000, at.its, 0);
	PUT(image, 4, 0x9000, 0x00ff, 0x20000, at.its, 0);
	iort_end(image, at.root);

	assert_int_equal(image->size, at.smmu);
	at.smmu = iort_node(image, 4, 4, 0, 68);
	put(image, 0x09050000, 8);
	PUT(image, 4, 0x1 | 0x8, 0);
	put(image, 0, 8);
	PUT(image, 4, 1, 106, 107, 109, 108, 3, 0);
	iort_end(image, at.smmu);

	at.named = iort_node(image, 1, 4, 1, 48);
	put(image, 0, 4);
	put(image, 1, 8);
	put(image, 48, 1);
	put_bytes(image, "\\_SB.DMA0", 10);
	while ((image->size - at.named) < 48)
		put(image, 0, 1);
	PUT(image, 4, 0, 0, 0x300, at.smmu, 1);
	iort_end(image, at.named);

	at.rmr = iort_node(image, 6, 3, 2, 68);
	PUT(image, 4, 0x1 | 0x2 | 5 << 2, 2, 28);
	PUT(image, 8, 0x8e00000, 0x10000);
	put(image, 0, 4);
	PUT(image, 8, 0x9000000, 0x20000);
	put(image, 0, 4);
	PUT(image, 4, 0, 0, 0x10008, at.smmu, 1);
	PUT(image, 4, 0, 1, 0x300, at.smmu, 0);
	iort_end(image, at.rmr);
	table_end(image);
	return at;
}

static void iort_reported(void **state)
{
	const struct iog_found *found;
	struct iog_location location;
	struct report report;
	struct image image;
	struct iort_places at = iort_build(&image);

	(void)state;
	read_image(&report, iog_discover_iort, &image);
	assert_int_equal(report.result, 0);
	found = report_find(&report, IOG_FOUND_UNIT, 0);
	assert_int_equal(found->unit.model, IOG_UNIT_SMMUV3);
	assert_int_equal(found->unit.ref, at.smmu);
	assert_int_equal(found->unit.base, 0x09050000);
	assert_int_equal(found->unit.flags, IOG_UNIT_COHERENT | IOG_UNIT_HAS_PROXIMITY);
	assert_int_equal(found->unit.proximity, 3);
	assert_int_equal(found->unit.features[0], 1);
	assert_int_equal(found->unit.interrupts[0], 106);
	assert_int_equal(found->unit.interrupts[3], 108);

	/* Mappings to the interrupt controller are not devices behind a unit. */
	assert_int_equal(report_count(&report, IOG_FOUND_DEVICES), 2);
	found = report_find(&report, IOG_FOUND_DEVICES, 0);
	assert_int_equal(found->devices.who.segment, 2);
	assert_int_equal(found->devices.who.last, 0x7fff);
	assert_int_equal(found->devices.flags, IOG_FOUND_ATS | IOG_FOUND_PRI);
	found = report_find(&report, IOG_FOUND_DEVICES, 1);
	assert_int_equal(found->devices.who.kind, IOG_DEVICES_NAMED);
	assert_int_equal(found->devices.who.name_size, 9);
	assert_int_equal(found->devices.id, 0x300);
	assert_int_equal(found->devices.flags, IOG_FOUND_ONE_ID);

	/* Two ranges for each of two mappings. */
	assert_int_equal(report_count(&report, IOG_FOUND_RESERVED), 4);
	found = report_find(&report, IOG_FOUND_RESERVED, 1);
	assert_int_equal(found->reserved.first, 0x9000000);
	assert_int_equal(found->reserved.last, 0x901ffff);
	assert_int_equal(found->reserved.who.first, 0x10008);
	assert_int_equal(found->reserved.who.last, 0x10008);
	assert_int_equal(found->reserved.flags,
			 IOG_RESERVED_IDENTITY | IOG_RESERVED_READ | IOG_RESERVED_WRITE | IOG_RESERVED_RELAXABLE | IOG_RESERVED_PRIVILEGED);
	assert_int_equal(report_find(&report, IOG_FOUND_RESERVED, 2)->reserved.who.last, 0x301);
	report_free(&report);

	assert_int_equal(iog_discover_device(iog_discover_iort, image.bytes, image.size, NULL, 2, 8, &location, NULL), 0);
	assert_int_equal(location.id, 0x10008);
	assert_int_equal(location.unit.base, 0x09050000);
	assert_int_equal(location.flags, IOG_FOUND_ATS | IOG_FOUND_PRI);
	assert_int_equal(iog_discover_device(iog_discover_iort, image.bytes, image.size, NULL, 2, 0x8000, &location, NULL), -IOG_ENOENT);
	assert_int_equal(iog_discover_device(iog_discover_iort, image.bytes, image.size, NULL, 0, 8, &location, NULL), -IOG_ENOENT);
	memset(&report, 0, sizeof(report));
	assert_int_equal(iog_discover_reserved(iog_discover_iort, image.bytes, image.size, NULL, 2, 8, report_note, &report, NULL), 0);
	assert_int_equal(report.count, 2);
	memset(&report, 0, sizeof(report));
	assert_int_equal(iog_discover_reserved(iog_discover_iort, image.bytes, image.size, NULL, 2, 9, report_note, &report, NULL), 0);
	assert_int_equal(report.count, 0);
}

static void iort_refused(void **state)
{
	struct image image;
	struct iort_places at = iort_build(&image);
	uint32_t mapping = at.root + 36;

	(void)state;
	refused_at(&image, iog_discover_iort, 40, 47, 4, 40);
	refused_at(&image, iog_discover_iort, 40, 0xfffffff0, 4, 0xfffffff0);
	refused_at(&image, iog_discover_iort, 36, 6, 4, image.size);
	refused_at(&image, iog_discover_iort, at.its + 1, 0, 2, at.its + 1);
	refused_at(&image, iog_discover_iort, at.rmr + 1, 0xffff, 2, at.rmr + 1);
	refused_at(&image, iog_discover_iort, at.root + 8, 4, 4, at.root + 8);		  /* a mapping past the node */
	refused_at(&image, iog_discover_iort, at.root + 8, 0xffffffff, 4, at.root + 8);
	refused_at(&image, iog_discover_iort, at.root + 12, 0xfffffff0, 4, at.root + 8);
	refused_at(&image, iog_discover_iort, mapping + 12, at.root, 4, mapping + 12);	  /* to itself */
	refused_at(&image, iog_discover_iort, mapping + 12, image.size - 8, 4, mapping + 12);
	refused_at(&image, iog_discover_iort, mapping + 12, 0, 4, mapping + 12);
	refused_at(&image, iog_discover_iort, mapping, 0xffffffff, 4, mapping);
	refused_at(&image, iog_discover_iort, at.smmu + 16, 0x10, 8, at.smmu + 16);
	refused_at(&image, iog_discover_iort, at.root + 28, 0x10000, 4, at.root + 28);
	refused_at(&image, iog_discover_iort, at.rmr + 20, 3, 4, at.rmr + 28 + 40);	  /* a range that is a mapping: not aligned */
	refused_at(&image, iog_discover_iort, at.rmr + 20, 0x10000000, 4, at.rmr + 20);
	refused_at(&image, iog_discover_iort, at.rmr + 36, 0, 8, at.rmr + 28);
}

static void iort_damaged(void **state)
{
	struct image image;

	(void)state;
	iort_build(&image);
	survives(&image, iog_discover_iort);
}

static uint32_t rimt_node(struct image *image, uint8_t type, uint16_t id)
{
	uint32_t at = image->size;

	PUT(image, 1, type, 1);
	PUT(image, 2, 0, 0, id);
	return at;
}

static void rimt_end(struct image *image, uint32_t at)
{
	set(image, at + 2, image->size - at, 2);
}

struct rimt_places {
	uint32_t mmio, pci, root, platform;
};

static struct rimt_places rimt_build(struct image *image)
{
	struct rimt_places at;

	table_begin(image, "RIMT");
	PUT(image, 4, 4, 48, 0);

	at.mmio = rimt_node(image, 0, 0);
	put_bytes(image, "RSCV0004", 8);
	put(image, 0x3010000, 8);
	PUT(image, 4, 2, 5);
	PUT(image, 2, 0, 0, 2, 40);
	PUT(image, 4, 36, 0, 37, 0);
	rimt_end(image, at.mmio);

	at.pci = rimt_node(image, 0, 1);
	put_bytes(image, "RSCV0004", 8);
	put(image, 0, 8);
	PUT(image, 4, 1, 0);
	PUT(image, 2, 1, 0x8, 0, 40);
	rimt_end(image, at.pci);

	at.root = rimt_node(image, 1, 2);
	put(image, 1, 4);
	PUT(image, 2, 0, 1, 20, 2);
	PUT(image, 4, 0, 7, 0, at.pci, 0);
	PUT(image, 4, 9, 0xfff6, 9, at.pci, 2);
	rimt_end(image, at.root);

	at.platform = rimt_node(image, 2, 3);
	PUT(image, 2, 24, 1);
	put_bytes(image, "\\_SB.DMA0", 10);
	PUT(image, 1, 0, 0);
	PUT(image, 4, 0, 0, 0x40, at.mmio, 0);
	rimt_end(image, at.platform);
	table_end(image);
	return at;
}

static void rimt_reported(void **state)
{
	const struct iog_found *found;
	struct iog_location location;
	struct report report;
	struct image image;
	struct rimt_places at = rimt_build(&image);

	(void)state;
	read_image(&report, iog_discover_rimt, &image);
	assert_int_equal(report.result, 0);
	found = report_find(&report, IOG_FOUND_UNIT, 0);
	assert_int_equal(found->unit.model, IOG_UNIT_RISCV);
	assert_int_equal(found->unit.base, 0x3010000);
	assert_int_equal(found->unit.proximity, 5);
	assert_int_equal(found->unit.interrupts[1], 37);
	found = report_find(&report, IOG_FOUND_UNIT, 1);
	assert_int_equal(found->unit.flags, IOG_UNIT_IS_PCI);
	assert_int_equal(found->unit.segment, 1);
	assert_int_equal(found->unit.bdf, 8);
	found = report_find(&report, IOG_FOUND_DEVICES, 2);
	assert_int_equal(found->devices.who.kind, IOG_DEVICES_NAMED);
	assert_int_equal(found->devices.unit, at.mmio);
	assert_int_equal(found->devices.id, 0x40);
	report_free(&report);

	assert_int_equal(iog_discover_device(iog_discover_rimt, image.bytes, image.size, NULL, 1, 0x10, &location, NULL), 0);
	assert_int_equal(location.unit.ref, at.pci);
	assert_int_equal(location.id, 0x10);
	assert_int_equal(location.flags, IOG_FOUND_ATS | IOG_FOUND_PRI);
	/* The unit's own function is left out. */
	assert_int_equal(iog_discover_device(iog_discover_rimt, image.bytes, image.size, NULL, 1, 8, &location, NULL), -IOG_ENOENT);

	refused_at(&image, iog_discover_rimt, at.mmio + 2, 4, 2, at.mmio + 2);
	refused_at(&image, iog_discover_rimt, at.mmio + 36, 9, 2, at.mmio + 36);
	refused_at(&image, iog_discover_rimt, at.mmio + 16, 0, 8, at.mmio + 16);
	refused_at(&image, iog_discover_rimt, at.root + 18, 3, 2, at.root);
	refused_at(&image, iog_discover_rimt, at.root + 20 + 12, at.root, 4, at.root + 20 + 12);
	refused_at(&image, iog_discover_rimt, at.root + 40 + 4, 0xffffffff, 4, at.root + 40);
	refused_at(&image, iog_discover_rimt, at.platform + 2, 16, 2, at.platform + 12);
	survives(&image, iog_discover_rimt);
}

static void viot_reported(void **state)
{
	const struct iog_found *found;
	struct iog_location location;
	struct report report;
	struct image image;
	uint32_t range, endpoint, pci, mmio;

	(void)state;
	table_begin(&image, "VIOT");
	PUT(&image, 2, 4, 48);
	put(&image, 0, 8);
	range = image.size;
	PUT(&image, 1, 1, 0);
	put(&image, 24, 2);
	put(&image, 0x100, 4);
	PUT(&image, 2, 0, 1, 0x10, 0xffff, 96, 0, 0, 0);
	endpoint = image.size;
	PUT(&image, 1, 2, 0);
	put(&image, 24, 2);
	put(&image, 0x77, 4);
	put(&image, 0x10010000, 8);
	PUT(&image, 2, 112, 0, 0, 0);
	pci = image.size;
	assert_int_equal(pci, 96);
	PUT(&image, 1, 3, 0);
	PUT(&image, 2, 16, 0, 8, 0, 0, 0, 0);
	mmio = image.size;
	PUT(&image, 1, 4, 0);
	PUT(&image, 2, 16, 0, 0);
	put(&image, 0x10001000, 8);
	table_end(&image);

	read_image(&report, iog_discover_viot, &image);
	assert_int_equal(report.result, 0);
	found = report_find(&report, IOG_FOUND_UNIT, 0);
	assert_int_equal(found->unit.model, IOG_UNIT_VIRTIO);
	assert_int_equal(found->unit.bdf, 8);
	assert_int_equal(report_find(&report, IOG_FOUND_UNIT, 1)->unit.base, 0x10001000);
	found = report_find(&report, IOG_FOUND_DEVICES, 1);
	assert_int_equal(found->devices.who.kind, IOG_DEVICES_MMIO);
	assert_int_equal(found->devices.who.base, 0x10010000);
	assert_int_equal(found->devices.unit, mmio);
	report_free(&report);
	assert_int_equal(iog_discover_device(iog_discover_viot, image.bytes, image.size, NULL, 0, 0x18, &location, NULL), 0);
	assert_int_equal(location.id, 0x108);
	/* Segments follow each other: endpoints are no two devices'. */
	assert_int_equal(iog_discover_device(iog_discover_viot, image.bytes, image.size, NULL, 1, 0x18, &location, NULL), 0);
	assert_int_equal(location.id, 0x10108);
	assert_int_equal(location.unit.bdf, 8);
	assert_int_equal(iog_discover_device(iog_discover_viot, image.bytes, image.size, NULL, 2, 0x18, &location, NULL), -IOG_ENOENT);

	refused_at(&image, iog_discover_viot, range + 16, range, 2, range + 16);
	refused_at(&image, iog_discover_viot, endpoint + 16, 0xffff, 2, endpoint + 16);
	refused_at(&image, iog_discover_viot, 36, 5, 2, image.size);
	refused_at(&image, iog_discover_viot, range + 14, 0, 2, range + 8);
	refused_at(&image, iog_discover_viot, pci + 2, 12, 2, pci + 2);
	survives(&image, iog_discover_viot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(iort_reported), cmocka_unit_test(iort_refused),  cmocka_unit_test(iort_damaged),
		cmocka_unit_test(rimt_reported), cmocka_unit_test(viot_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

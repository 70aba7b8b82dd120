/* SPDX-License-Identifier: MIT */
/*
 * Tables that firmware has made (../data/tables, see ../data/README.txt), and finding a table from the root pointer.
 */
#include "hw/tables.h"

static void load(struct image *image, const char *name)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/tables/%s", TEST_DATA, name);
	file = fopen(path, "rb");
	assert_non_null(file);
	memset(image, 0, sizeof(*image));
	image->size = (uint32_t)fread(image->bytes, 1, sizeof(image->bytes), file);
	assert_true(feof(file) || image->size < sizeof(image->bytes));
	fclose(file);
}

static void read_file(struct report *report, struct image *image, const char *name)
{
	load(image, name);
	read_image(report, iog_discover_any, image);
	if (report->result)
		print_error("%s: 0x%x: %s\n", name, report->error.offset, report->error.text);
	assert_int_equal(report->result, 0);
}

static int locate(const struct image *image, uint16_t bdf, struct iog_location *location)
{
	return iog_discover_device(iog_discover_any, image->bytes, image->size, NULL, 0, bdf, location, NULL);
}

static void q35_dmar(void **state)
{
	struct iog_location location;
	struct report report;
	struct image image;

	(void)state;
	read_file(&report, &image, "dmar-q35-intel-iommu.acpi");
	assert_int_equal(report_find(&report, IOG_FOUND_PLATFORM, 0)->platform.physical_bits, 48);
	assert_int_equal(report_count(&report, IOG_FOUND_UNIT), 1);
	assert_int_equal(report_find(&report, IOG_FOUND_UNIT, 0)->unit.base, 0xfed90000);
	/* This firmware names devices instead of INCLUDE_PCI_ALL, and says that all ports may use ATS. */
	assert_int_equal(report_count(&report, IOG_FOUND_ATS_BELOW), 1);
	assert_int_equal(report_find(&report, IOG_FOUND_ATS_BELOW, 0)->devices.who.kind, IOG_DEVICES_ALL);
	assert_int_equal(report_find(&report, IOG_FOUND_DEVICES, 0)->devices.who.kind, IOG_DEVICES_IOAPIC);
	assert_int_equal(locate(&image, IOG_BDF(0, 0x1f, 2), &location), 0);
	assert_int_equal(locate(&image, IOG_BDF(0, 0x1e, 0), &location), -IOG_ENOENT);
	report_free(&report);
}

static void q35_ivrs(void **state)
{
	struct iog_location location;
	struct report report;
	struct image image;

	(void)state;
	read_file(&report, &image, "ivrs-q35-amd-iommu.acpi");
	assert_int_equal(report_count(&report, IOG_FOUND_UNIT), 1);
	assert_int_equal(report_find(&report, IOG_FOUND_UNIT, 0)->unit.base, 0xfed80000);
	assert_int_equal(report_find(&report, IOG_FOUND_UNIT, 0)->unit.bdf, IOG_BDF(0, 1, 0));
	assert_int_equal(locate(&image, IOG_BDF(0, 2, 0), &location), 0);
	assert_int_equal(location.id, IOG_BDF(0, 2, 0));
	/* Behind the PCI Express to PCI bridge. */
	assert_int_equal(locate(&image, IOG_BDF(2, 5, 0), &location), 0);
	assert_int_equal(location.id, IOG_BDF(2, 0, 0));
	assert_int_equal(locate(&image, IOG_BDF(3, 0, 0), &location), -IOG_ENOENT);
	assert_int_equal(report_find(&report, IOG_FOUND_DEVICES, 10)->devices.who.kind, IOG_DEVICES_IOAPIC);
	report_free(&report);
}

static void virt_iort(void **state)
{
	struct iog_location location;
	struct report report;
	struct image image;

	(void)state;
	read_file(&report, &image, "iort-virt-smmuv3.acpi");
	assert_int_equal(report_count(&report, IOG_FOUND_UNIT), 1);
	assert_int_equal(report_find(&report, IOG_FOUND_UNIT, 0)->unit.base, 0x09050000);
	assert_int_equal(report_find(&report, IOG_FOUND_UNIT, 0)->unit.interrupts[0], 106);
	assert_int_equal(locate(&image, IOG_BDF(0, 3, 0), &location), 0);
	assert_int_equal(location.id, IOG_BDF(0, 3, 0));
	/* Other buses go straight to the interrupt controller, untranslated; this firmware counts one too many for bus 0. */
	assert_int_equal(locate(&image, IOG_BDF(1, 0, 0), &location), -IOG_ENOENT);
	report_free(&report);

	read_file(&report, &image, "iort-virt-virtio-iommu.acpi");
	assert_int_equal(report_count(&report, IOG_FOUND_UNIT), 0);
	assert_int_equal(locate(&image, IOG_BDF(0, 3, 0), &location), -IOG_ENOENT);
	report_free(&report);
}

static void q35_viot(void **state)
{
	struct iog_location location;
	struct report report;
	struct image image;

	(void)state;
	read_file(&report, &image, "viot-q35-virtio-iommu.acpi");
	assert_int_equal(locate(&image, IOG_BDF(0, 2, 0), &location), 0);
	assert_int_equal(location.unit.model, IOG_UNIT_VIRTIO);
	assert_int_equal(location.unit.bdf, IOG_BDF(0, 1, 0));
	assert_int_equal(location.id, IOG_BDF(0, 2, 0));
	report_free(&report);
}

static void device_trees(void **state)
{
	static const struct {
		const char *name;
		enum iog_unit_model model;
		uint64_t base;
		uint32_t bdf;
		uint32_t flags;
	} trees[] = {
		{ "virt-smmuv3.dtb", IOG_UNIT_SMMUV3, 0x09050000, IOG_BDF_NONE, IOG_UNIT_COHERENT },
		{ "virt-virtio-iommu.dtb", IOG_UNIT_VIRTIO, 0, IOG_BDF(0, 1, 0), IOG_UNIT_IS_PCI | IOG_UNIT_COHERENT },
		{ "virt-riscv-iommu-sys.dtb", IOG_UNIT_RISCV, 0x03010000, IOG_BDF_NONE, 0 },
		{ "virt-riscv-iommu-pci.dtb", IOG_UNIT_RISCV, 0, IOG_BDF(0, 1, 0), IOG_UNIT_IS_PCI | IOG_UNIT_COHERENT },
	};
	struct iog_location location;
	const struct iog_found *found;
	struct report report;
	struct image image;

	(void)state;
	for (uint32_t n = 0; n < sizeof(trees) / sizeof(trees[0]); n++) {
		read_file(&report, &image, trees[n].name);
		assert_int_equal(report_count(&report, IOG_FOUND_UNIT), 1);
		found = report_find(&report, IOG_FOUND_UNIT, 0);
		assert_int_equal(found->unit.model, trees[n].model);
		assert_true(found->unit.base == trees[n].base);
		assert_int_equal(found->unit.bdf, trees[n].bdf);
		assert_int_equal(found->unit.flags & (IOG_UNIT_COHERENT | IOG_UNIT_IS_PCI), trees[n].flags);
		assert_int_equal(locate(&image, IOG_BDF(0, 3, 0), &location), 0);
		assert_int_equal(location.unit.ref, found->unit.ref);
		assert_int_equal(location.id, IOG_BDF(0, 3, 0));
		/* Who is the IOMMU himself is not behind it. */
		if (trees[n].flags & IOG_UNIT_IS_PCI)
			assert_int_equal(locate(&image, (uint16_t)trees[n].bdf, &location), -IOG_ENOENT);
		report_free(&report);
	}
}

/* A physical memory of one page at 0x1000: the root pointer, an XSDT and an RSDT, and a table. */
struct memory {
	struct image image;
};

static const void *memory_map(void *ctx, uint64_t paddr, size_t size)
{
	const struct memory *memory = ctx;

	if (paddr < 0x1000 || paddr - 0x1000 > memory->image.size || size > memory->image.size - (paddr - 0x1000))
		return NULL;
	return memory->image.bytes + (paddr - 0x1000);
}

static void sum(struct image *image, uint32_t at, uint32_t size, uint32_t place)
{
	uint8_t total = 0;

	image->bytes[at + place] = 0;
	for (uint32_t n = 0; n < size; n++)
		total = (uint8_t)(total + image->bytes[at + n]);
	image->bytes[at + place] = (uint8_t)-total;
}

static void memory_build(struct memory *memory, uint8_t revision)
{
	struct image *image = &memory->image, table;

	memset(image, 0, sizeof(*image));
	put_bytes(image, "RSD PTR ", 8);
	put(image, 0, 1);
	put_bytes(image, "IOGATE", 6);
	put(image, revision, 1);
	put(image, 0x1100, 4);
	put(image, 36, 4);
	put(image, 0x1200, 8);
	sum(image, 0, 20, 8);
	image->size = 0x100;
	table_begin(&table, "RSDT");
	PUT(&table, 4, 0x1400);
	table_end(&table);
	put_bytes(image, table.bytes, table.size);
	image->size = 0x200;
	table_begin(&table, "XSDT");
	PUT(&table, 8, 0xdeadbeef000, 0x1300, 0x1400);
	table_end(&table);
	put_bytes(image, table.bytes, table.size);
	image->size = 0x300;
	table_begin(&table, "APIC");
	table_end(&table);
	put_bytes(image, table.bytes, table.size);
	image->size = 0x400;
	load(&table, "dmar-q35-intel-iommu.acpi");
	put_bytes(image, table.bytes, table.size);
}

static void from_the_root(void **state)
{
	struct iog_discover_error error = { 0 };
	struct memory memory;
	uint64_t paddr = 0;
	size_t size = 0;

	(void)state;
	for (uint8_t revision = 0; revision <= 2; revision = (uint8_t)(revision + 2)) {
		memory_build(&memory, revision);
		paddr = 0;
		assert_int_equal(iog_acpi_find(0x1000, "DMAR", memory_map, &memory, &paddr, &size, &error), 0);
		assert_int_equal(paddr, 0x1400);
		assert_int_equal(size, 128);
		assert_int_equal(iog_acpi_find(0x1000, "IVRS", memory_map, &memory, &paddr, &size, &error), -IOG_ENOENT);
	}
	memory.image.bytes[0x410]++;
	assert_int_equal(iog_acpi_find(0x1000, "DMAR", memory_map, &memory, &paddr, &size, &error), -IOG_EINVAL);
	assert_string_equal(error.table, "DMAR");
	memory.image.bytes[0x210]++;
	assert_int_equal(iog_acpi_find(0x1000, "DMAR", memory_map, &memory, &paddr, &size, &error), -IOG_EINVAL);
	assert_string_equal(error.table, "XSDT");
	memory.image.bytes[0x207] = 0x80;
	assert_int_equal(iog_acpi_find(0x1000, "DMAR", memory_map, &memory, &paddr, &size, &error), -IOG_EINVAL);
	memory.image.bytes[3]++;
	assert_int_equal(iog_acpi_find(0x1000, "DMAR", memory_map, &memory, &paddr, &size, &error), -IOG_EINVAL);
	assert_string_equal(error.table, "RSDP");
	assert_int_equal(iog_acpi_find(0x9000, "DMAR", memory_map, &memory, &paddr, &size, &error), -IOG_ERANGE);
}

static void no_table(void **state)
{
	struct report report;
	struct image image;

	(void)state;
	table_begin(&image, "FACP");
	table_end(&image);
	read_image(&report, iog_discover_any, &image);
	assert_int_equal(report.result, -IOG_EINVAL);
	report_free(&report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(q35_dmar),	cmocka_unit_test(q35_ivrs),	 cmocka_unit_test(virt_iort), cmocka_unit_test(q35_viot),
		cmocka_unit_test(device_trees), cmocka_unit_test(from_the_root), cmocka_unit_test(no_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

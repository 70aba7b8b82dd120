/* SPDX-License-Identifier: MIT */
/*
 * Flattened device trees built by hand: registers behind ranges, maps, references, reserved memory, and trees that are damaged.
 */
#include "hw/tables.h"

/* Big-endian, as device trees are. */
struct tree {
	struct image structure, strings, whole;
};

static void be32(struct image *image, uint32_t value)
{
	PUT(image, 1, value >> 24 & 0xff, value >> 16 & 0xff, value >> 8 & 0xff, value & 0xff);
}

static void align(struct image *image)
{
	while (image->size % 4)
		put(image, 0, 1);
}

static void node(struct tree *tree, const char *name)
{
	be32(&tree->structure, 1);
	put_bytes(&tree->structure, name, (uint32_t)strlen(name) + 1);
	align(&tree->structure);
}

static void end(struct tree *tree)
{
	be32(&tree->structure, 2);
}

static uint32_t string(struct tree *tree, const char *name)
{
	uint32_t at = tree->strings.size;

	for (uint32_t n = 0; n < at; n++)
		if ((!n || !tree->strings.bytes[n - 1]) && !strcmp((const char *)tree->strings.bytes + n, name))
			return n;
	put_bytes(&tree->strings, name, (uint32_t)strlen(name) + 1);
	return at;
}

static void property(struct tree *tree, const char *name, const void *value, uint32_t size)
{
	be32(&tree->structure, 3);
	be32(&tree->structure, size);
	be32(&tree->structure, string(tree, name));
	put_bytes(&tree->structure, value, size);
	align(&tree->structure);
}

static void cells(struct tree *tree, const char *name, uint32_t count, const uint32_t *values)
{
	be32(&tree->structure, 3);
	be32(&tree->structure, 4 * count);
	be32(&tree->structure, string(tree, name));
	for (uint32_t n = 0; n < count; n++)
		be32(&tree->structure, values[n]);
}

#define CELLS(tree, name, ...) cells(tree, name, sizeof((uint32_t[]){ __VA_ARGS__ }) / 4, (const uint32_t[]){ __VA_ARGS__ })
#define TEXT(tree, name, text) property(tree, name, text, sizeof(text))

static void finish(struct tree *tree)
{
	uint32_t strings = 40 + 16 + tree->structure.size + 4;

	be32(&tree->structure, 9);
	memset(&tree->whole, 0, sizeof(tree->whole));
	be32(&tree->whole, 0xd00dfeed);
	be32(&tree->whole, strings + tree->strings.size);
	be32(&tree->whole, 56);
	be32(&tree->whole, strings);
	be32(&tree->whole, 40);
	be32(&tree->whole, 17);
	be32(&tree->whole, 16);
	be32(&tree->whole, 0);
	be32(&tree->whole, tree->strings.size);
	be32(&tree->whole, tree->structure.size);
	PUT(&tree->whole, 8, 0, 0);
	put_bytes(&tree->whole, tree->structure.bytes, tree->structure.size);
	put_bytes(&tree->whole, tree->strings.bytes, tree->strings.size);
}

static void root_begin(struct tree *tree)
{
	memset(tree, 0, sizeof(*tree));
	node(tree, "");
	CELLS(tree, "#address-cells", 2);
	CELLS(tree, "#size-cells", 2);
}

/* An SMMU behind a bus whose ranges move it, one that is off, a bridge with a map, a device with a reference, reserved memory. */
static void tree_build(struct tree *tree)
{
	root_begin(tree);
	TEXT(tree, "compatible", "linux,dummy-virt");

	node(tree, "bus@10000000");
	CELLS(tree, "#address-cells", 1);
	CELLS(tree, "#size-cells", 1);
	property(tree, "dma-coherent", "", 0);
	CELLS(tree, "ranges", 0x0, 0x1, 0x10000000, 0x100000, 0x200000, 0x2, 0x0, 0x100000);
	node(tree, "smmu@50000");
	TEXT(tree, "compatible", "vendor,chip-smmu\0arm,smmu-v3");
	CELLS(tree, "reg", 0x50000, 0x20000);
	CELLS(tree, "#iommu-cells", 1);
	CELLS(tree, "phandle", 0x8001);
	be32(&tree->structure, 4);
	end(tree);
	node(tree, "iommu@200000");
	TEXT(tree, "compatible", "riscv,iommu");
	CELLS(tree, "reg", 0x200000, 0x1000);
	CELLS(tree, "#iommu-cells", 1);
	CELLS(tree, "phandle", 0x8002);
	TEXT(tree, "status", "disabled");
	end(tree);
	node(tree, "iommu@210000");
	TEXT(tree, "compatible", "riscv,iommu");
	CELLS(tree, "reg", 0x210000, 0x1000);
	TEXT(tree, "status", "okay");
	end(tree);
	node(tree, "dma@60000");
	CELLS(tree, "iommus", 0x8001, 0x42, 0x8001, 0x43);
	CELLS(tree, "phandle", 0x9001);
	end(tree);
	end(tree);

	node(tree, "pcie@40000000");
	TEXT(tree, "device_type", "pci");
	CELLS(tree, "#address-cells", 3);
	CELLS(tree, "#size-cells", 2);
	CELLS(tree, "linux,pci-domain", 5);
	property(tree, "ats-supported", "", 0);
	CELLS(tree, "iommu-map-mask", 0xfff8);
	CELLS(tree, "iommu-map", 0x0, 0x8001, 0x1000, 0x8, 0x8, 0x8003, 0x8, 0xfff8);
	node(tree, "iommu@1,0");
	TEXT(tree, "compatible", "virtio,pci-iommu");
	CELLS(tree, "reg", 0x800, 0, 0, 0, 0);
	CELLS(tree, "#iommu-cells", 1);
	CELLS(tree, "phandle", 0x8003);
	end(tree);
	end(tree);

	node(tree, "reserved-memory");
	CELLS(tree, "#address-cells", 2);
	CELLS(tree, "#size-cells", 2);
	property(tree, "ranges", "", 0);
	node(tree, "framebuffer@9d000000");
	CELLS(tree, "reg", 0, 0x9d000000, 0, 0x800000);
	CELLS(tree, "iommu-addresses", 0x9001, 0x9d000000, 0x800000);
	end(tree);
	node(tree, "hole");
	CELLS(tree, "iommu-addresses", 0x9001, 0x0, 0x100000, 0x9001, 0x80000000, 0x1000);
	end(tree);
	end(tree);
	end(tree);
	finish(tree);
}

static void fdt_reported(void **state)
{
	const struct iog_found *found;
	struct iog_location location;
	struct report report;
	struct tree tree;

	(void)state;
	tree_build(&tree);
	read_image(&report, iog_discover_fdt, &tree.whole);
	if (report.result)
		print_error("0x%x: %s\n", report.error.offset, report.error.text);
	assert_int_equal(report.result, 0);
	assert_int_equal(report_count(&report, IOG_FOUND_UNIT), 3);
	found = report_find(&report, IOG_FOUND_UNIT, 0);
	assert_int_equal(found->unit.model, IOG_UNIT_SMMUV3);
	assert_true(found->unit.base == 0x110050000);
	assert_int_equal(found->unit.size, 0x20000);
	assert_int_equal(found->unit.ref, 0x8001);
	assert_int_equal(found->unit.flags, IOG_UNIT_COHERENT);
	/* By the second of the bus's ranges; without a phandle. */
	found = report_find(&report, IOG_FOUND_UNIT, 1);
	assert_int_equal(found->unit.model, IOG_UNIT_RISCV);
	assert_true(found->unit.base == 0x200010000);
	assert_true(found->unit.ref & 0x80000000);
	found = report_find(&report, IOG_FOUND_UNIT, 2);
	assert_int_equal(found->unit.model, IOG_UNIT_VIRTIO);
	assert_int_equal(found->unit.segment, 5);
	assert_int_equal(found->unit.bdf, IOG_BDF(0, 1, 0));

	assert_int_equal(report_count(&report, IOG_FOUND_DEVICES), 4);
	found = report_find(&report, IOG_FOUND_DEVICES, 1);
	assert_int_equal(found->devices.who.kind, IOG_DEVICES_NAMED);
	assert_int_equal(found->devices.who.first, 0x9001);
	assert_int_equal(found->devices.who.name_size, 9);
	assert_memory_equal(found->devices.who.name, "dma@60000", 9);
	assert_int_equal(found->devices.id, 0x43);

	assert_int_equal(report_count(&report, IOG_FOUND_RESERVED), 3);
	found = report_find(&report, IOG_FOUND_RESERVED, 0);
	assert_int_equal(found->reserved.first, 0x9d000000);
	assert_int_equal(found->reserved.last, 0x9d7fffff);
	assert_true(found->reserved.flags & IOG_RESERVED_IDENTITY);
	found = report_find(&report, IOG_FOUND_RESERVED, 2);
	assert_int_equal(found->reserved.flags, IOG_RESERVED_UNUSABLE);
	assert_int_equal(found->reserved.first, 0x80000000);
	report_free(&report);

	/* Function numbers are masked off: 00:00.7 has the id of 00:00.0. */
	assert_int_equal(iog_discover_device(iog_discover_fdt, tree.whole.bytes, tree.whole.size, NULL, 5, 7, &location, NULL), 0);
	assert_true(location.unit.base == 0x110050000);
	assert_int_equal(location.id, 0x1000);
	assert_int_equal(location.flags, IOG_FOUND_ATS);
	assert_int_equal(iog_discover_device(iog_discover_fdt, tree.whole.bytes, tree.whole.size, NULL, 5, IOG_BDF(1, 2, 3), &location, NULL), 0);
	assert_int_equal(location.unit.bdf, IOG_BDF(0, 1, 0));
	assert_int_equal(location.id, IOG_BDF(1, 2, 0));
	assert_int_equal(iog_discover_device(iog_discover_fdt, tree.whole.bytes, tree.whole.size, NULL, 0, 7, &location, NULL), -IOG_ENOENT);
}

static void refused(struct tree *tree, const char *text)
{
	struct report report;

	finish(tree);
	read_image(&report, iog_discover_fdt, &tree->whole);
	assert_int_equal(report.result, -IOG_EINVAL);
	if (!strstr(report.error.text, text))
		print_error("expected \"%s\", got \"%s\"\n", text, report.error.text);
	assert_non_null(strstr(report.error.text, text));
	report_free(&report);
}

static void fdt_refused(void **state)
{
	struct tree tree;
	char deep[2] = "a";

	(void)state;
	root_begin(&tree);
	for (int n = 0; n < 40; n++)
		node(&tree, deep);
	for (int n = 0; n < 41; n++)
		end(&tree);
	refused(&tree, "deeper");

	root_begin(&tree);
	node(&tree, "a");
	end(&tree);
	CELLS(&tree, "phandle", 1);
	end(&tree);
	refused(&tree, "after a subnode");

	root_begin(&tree);
	refused(&tree, "inside a node");

	root_begin(&tree);
	end(&tree);
	end(&tree);
	refused(&tree, "did not begin");

	root_begin(&tree);
	be32(&tree.structure, 77);
	refused(&tree, "unknown token");

	root_begin(&tree);
	be32(&tree.structure, 3);
	be32(&tree.structure, 0xfffffffe);
	be32(&tree.structure, 0);
	refused(&tree, "beyond the structure block");

	root_begin(&tree);
	be32(&tree.structure, 3);
	be32(&tree.structure, 0);
	be32(&tree.structure, 0x1000);
	refused(&tree, "not in the strings");

	root_begin(&tree);
	CELLS(&tree, "#address-cells", 9);
	refused(&tree, "four cells");

	root_begin(&tree);
	node(&tree, "d");
	CELLS(&tree, "iommus", 5, 5);
	end(&tree);
	end(&tree);
	refused(&tree, "leads to no IOMMU");

	root_begin(&tree);
	node(&tree, "i");
	CELLS(&tree, "#iommu-cells", 2);
	CELLS(&tree, "phandle", 5);
	end(&tree);
	node(&tree, "d");
	CELLS(&tree, "iommus", 5, 5);
	end(&tree);
	end(&tree);
	refused(&tree, "fewer cells");

	root_begin(&tree);
	node(&tree, "i");
	CELLS(&tree, "#iommu-cells", 1);
	CELLS(&tree, "phandle", 5);
	end(&tree);
	node(&tree, "p");
	CELLS(&tree, "iommu-map", 0, 9, 0, 0, 0x8000, 5, 0xfffff000, 0x8000);
	end(&tree);
	end(&tree);
	refused(&tree, "past the last id");

	root_begin(&tree);
	node(&tree, "b");
	node(&tree, "i");
	TEXT(&tree, "compatible", "arm,smmu-v3");
	CELLS(&tree, "reg", 0, 0x1000, 0x1000);
	end(&tree);
	end(&tree);
	end(&tree);
	refused(&tree, "nowhere");

	root_begin(&tree);
	for (uint32_t n = 1; n < 70; n++) {
		node(&tree, "i");
		CELLS(&tree, "#iommu-cells", 1);
		CELLS(&tree, "phandle", n);
		end(&tree);
	}
	end(&tree);
	refused(&tree, "more IOMMUs");
}

static void fdt_damaged(void **state)
{
	static const uint8_t values[] = { 0, 1, 2, 3, 4, 9, 0x7f, 0x80, 0xff };
	struct report report;
	struct tree tree;

	(void)state;
	tree_build(&tree);
	for (uint32_t size = 0; size < tree.whole.size; size++) {
		struct image cut = tree.whole;

		read_bytes(&report, iog_discover_fdt, cut.bytes, size);
		assert_int_equal(report.result, -IOG_EINVAL);
		report_free(&report);
		if (size < 40)
			continue;
		cut.bytes[4] = cut.bytes[5] = 0;
		cut.bytes[6] = (uint8_t)(size >> 8);
		cut.bytes[7] = (uint8_t)size;
		read_bytes(&report, iog_discover_fdt, cut.bytes, size);
		assert_int_equal(report.result, -IOG_EINVAL);
		report_free(&report);
	}
	for (uint32_t at = 0; at < tree.whole.size; at++) {
		for (uint32_t n = 0; n < sizeof(values); n++) {
			struct image changed = tree.whole;

			changed.bytes[at] = values[n];
			read_image(&report, iog_discover_fdt, &changed);
			assert_true(!report.result || (report.result == -IOG_EINVAL && report.error.text));
			report_free(&report);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fdt_reported),
		cmocka_unit_test(fdt_refused),
		cmocka_unit_test(fdt_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

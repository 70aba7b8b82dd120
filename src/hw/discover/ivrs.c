/* SPDX-License-Identifier: MIT */
/*
 * IVRS: the I/O virtualization reporting structure (AMD IOMMU 3.08, 5.2).
 *
 * A unit is described by several IVHD blocks, for software of different age; the one of the highest type counts, and the others are passed over. Inside a block a later entry
 * outweighs an earlier one.
 */
#include "table.h"

/* 5.2.1. */
#define IVRS_INFO 36
#define IVRS_BLOCKS 48
#define INFO_PA_SIZE(info) ((info) >> 8 & 0x7f)
#define INFO_VA_SIZE(info) ((info) >> 15 & 0x7f)
#define INFO_DMA_REMAP (1u << 1)

/* Every block: type, flags, length, device id. */
#define BLOCK_FLAGS 1
#define BLOCK_LENGTH 2
#define BLOCK_DEVICE 4
#define BLOCK_MIN 4

/* 5.2.2. */
#define IVHD_10 0x10
#define IVHD_11 0x11
#define IVHD_40 0x40
#define IVHD_CAPABILITY 6
#define IVHD_BASE 8
#define IVHD_SEGMENT 16
#define IVHD_FEATURES 20 /* 10h: IOMMU Feature Reporting; others: IOMMU Attributes */
#define IVHD_EFR 24
#define IVHD_EFR2 32
#define IVHD_10_ENTRIES 24
#define IVHD_11_ENTRIES 40
#define IVHD_COHERENT (1u << 5)
/* Machines have a few dozen units; this keeps a forged table from being read for long. */
#define IVHD_MAX 1024

/* 5.2.2.1 to 5.2.2.8: device entries. */
#define ENTRY_PAD 0
#define ENTRY_ALL 1
#define ENTRY_SELECT 2
#define ENTRY_START 3
#define ENTRY_END 4
#define ENTRY_ALIAS_SELECT 66
#define ENTRY_ALIAS_START 67
#define ENTRY_EXT_SELECT 70
#define ENTRY_EXT_START 71
#define ENTRY_SPECIAL 72
#define ENTRY_HID 240
#define ENTRY_DEVICE 1
#define ENTRY_SETTINGS 3
#define ENTRY_ALIAS 5
#define ENTRY_EXTENDED 4
#define EXTENDED_NO_ATS (UINT32_C(1) << 31)
#define SPECIAL_HANDLE 4
#define SPECIAL_DEVICE 5
#define SPECIAL_VARIETY 7
#define SPECIAL_IOAPIC 1
#define SPECIAL_HPET 2
#define HID_NAME 4
#define HID_NAME_SIZE 8
#define HID_UID_LENGTH 21
#define HID_SIZE 22

/* 5.2.3. */
#define IVMD_ALL 0x20
#define IVMD_ONE 0x21
#define IVMD_RANGE 0x22
#define IVMD_LAST 6
#define IVMD_START 16
#define IVMD_LENGTH 24
#define IVMD_SIZE 32
#define IVMD_READ (1u << 1)
#define IVMD_WRITE (1u << 2)
#define IVMD_EXCLUSION (1u << 3)

/* The start of a range whose end has not come yet. */
struct open_range {
	bool open;
	uint32_t offset;
	uint32_t first;
	uint32_t alias; /* IOG_BDF_NONE */
	uint32_t flags;
	uint8_t settings;
};

struct ivhd {
	uint32_t at;
	uint16_t segment;
	struct open_range range;
};

static int entry_report(const struct table *table, const struct ivhd *ivhd, uint32_t at, uint32_t first, uint32_t last, const struct open_range *range)
{
	struct iog_found found = { .kind = IOG_FOUND_DEVICES, .offset = at };

	found.devices = (struct iog_found_devices){
		.unit = ivhd->at,
		.who = { .kind = IOG_DEVICES_IDS, .segment = ivhd->segment, .segment_last = ivhd->segment, .first = first, .last = last, .mask = 0xffff },
		.id = range->alias == IOG_BDF_NONE ? first : range->alias,
		.flags = range->flags | IOG_FOUND_OVERRIDES | (range->alias == IOG_BDF_NONE ? 0 : IOG_FOUND_ONE_ID),
		.settings = range->settings,
	};
	return table_report(table, &found);
}

static int special_report(const struct table *table, const struct ivhd *ivhd, uint32_t at)
{
	const uint8_t *entry = table->bytes + at;
	struct iog_found found = { .kind = IOG_FOUND_DEVICES, .offset = at };
	uint16_t device = table_u16(entry + SPECIAL_DEVICE);
	uint8_t variety = entry[SPECIAL_VARIETY];

	if (variety != SPECIAL_IOAPIC && variety != SPECIAL_HPET)
		return 0;
	found.devices = (struct iog_found_devices){
		.unit = ivhd->at,
		.who = {
			.kind = variety == SPECIAL_IOAPIC ? IOG_DEVICES_IOAPIC : IOG_DEVICES_HPET,
			.segment = ivhd->segment,
			.segment_last = ivhd->segment,
			.first = device,
			.last = device,
			.mask = 0xffff,
			.number = entry[SPECIAL_HANDLE],
		},
		.id = device,
		.flags = IOG_FOUND_ONE_ID,
		.settings = entry[ENTRY_SETTINGS],
	};
	return table_report(table, &found);
}

static int hid_report(const struct table *table, const struct ivhd *ivhd, uint32_t at)
{
	const uint8_t *entry = table->bytes + at;
	struct iog_found found = { .kind = IOG_FOUND_DEVICES, .offset = at };

	found.devices = (struct iog_found_devices){
		.unit = ivhd->at,
		.who = { .kind = IOG_DEVICES_NAMED, .first = table_u16(entry + ENTRY_DEVICE), .name = (const char *)entry + HID_NAME },
		.id = table_u16(entry + ENTRY_DEVICE),
		.flags = IOG_FOUND_ONE_ID,
		.settings = entry[ENTRY_SETTINGS],
	};
	while (found.devices.who.name_size < HID_NAME_SIZE && found.devices.who.name[found.devices.who.name_size])
		found.devices.who.name_size++;
	return table_report(table, &found);
}

/* 5.2.2: the two highest bits of the type say how long it is. 0: it does not fit. */
static uint32_t entry_length(const struct table *table, uint32_t at, uint32_t end)
{
	uint8_t type = table->bytes[at];
	uint32_t length;

	if (type < 0x40) {
		length = 4;
	} else if (type < 0x80) {
		length = 8;
	} else if (type == ENTRY_HID) {
		if (end - at < HID_SIZE)
			return 0;
		length = HID_SIZE + (uint32_t)table->bytes[at + HID_UID_LENGTH];
	} else {
		return 0;
	}
	return length <= end - at ? length : 0;
}

static int entry_read(const struct table *table, struct ivhd *ivhd, uint32_t at)
{
	const uint8_t *entry = table->bytes + at;
	uint16_t device = table_u16(entry + ENTRY_DEVICE);
	struct open_range one = { .alias = IOG_BDF_NONE, .settings = entry[ENTRY_SETTINGS] };
	uint8_t type = entry[0];

	if (type == ENTRY_ALIAS_SELECT || type == ENTRY_ALIAS_START)
		one.alias = table_u16(entry + ENTRY_ALIAS);
	if ((type == ENTRY_EXT_SELECT || type == ENTRY_EXT_START) && table_u32(entry + ENTRY_EXTENDED) & EXTENDED_NO_ATS)
		one.flags = IOG_FOUND_NO_ATS;
	if (ivhd->range.open && type != ENTRY_END && type != ENTRY_PAD)
		return iog_table_refuse(table, at, "IVHD: another entry where the end of a range was due");
	switch (type) {
	case ENTRY_ALL:
		return entry_report(table, ivhd, at, 0, 0xffff, &one);
	case ENTRY_SELECT:
	case ENTRY_ALIAS_SELECT:
	case ENTRY_EXT_SELECT:
		return entry_report(table, ivhd, at, device, device, &one);
	case ENTRY_START:
	case ENTRY_ALIAS_START:
	case ENTRY_EXT_START:
		one.open = true;
		one.offset = at;
		one.first = device;
		ivhd->range = one;
		return 0;
	case ENTRY_END:
		if (!ivhd->range.open)
			return iog_table_refuse(table, at, "IVHD: the end of a range that did not start");
		if (device < ivhd->range.first)
			return iog_table_refuse(table, at, "IVHD: a range ends before it starts");
		ivhd->range.open = false;
		return entry_report(table, ivhd, ivhd->range.offset, ivhd->range.first, device, &ivhd->range);
	case ENTRY_SPECIAL:
		return special_report(table, ivhd, at);
	case ENTRY_HID:
		return hid_report(table, ivhd, at);
	default:
		return 0;
	}
}

static bool is_ivhd(uint8_t type)
{
	return type == IVHD_10 || type == IVHD_11 || type == IVHD_40;
}

/* Whether another block of a higher type describes the same unit. Blocks up to the end of the table have been checked. */
static bool ivhd_superseded(const struct table *table, uint32_t which)
{
	const uint8_t *ivhd = table->bytes + which, *other;

	for (uint32_t at = IVRS_BLOCKS; at < table->size; at += table_u16(other + BLOCK_LENGTH)) {
		other = table->bytes + at;
		if (is_ivhd(other[0]) && other[0] > ivhd[0] && table_u16(other + BLOCK_DEVICE) == table_u16(ivhd + BLOCK_DEVICE) &&
		    table_u16(other + IVHD_SEGMENT) == table_u16(ivhd + IVHD_SEGMENT))
			return true;
	}
	return false;
}

static int ivhd_read(const struct table *table, uint32_t at, uint32_t length)
{
	const uint8_t *block = table->bytes + at;
	struct ivhd ivhd = { .at = at, .segment = table_u16(block + IVHD_SEGMENT) };
	struct iog_found found = { .kind = IOG_FOUND_UNIT, .offset = at };
	uint32_t entries = block[0] == IVHD_10 ? IVHD_10_ENTRIES : IVHD_11_ENTRIES, size;
	int result;

	found.unit = (struct iog_found_unit){
		.model = IOG_UNIT_AMDVI,
		.ref = at,
		.base = table_u64(block + IVHD_BASE),
		.segment = ivhd.segment,
		.bdf = table_u16(block + BLOCK_DEVICE),
		.flags = block[BLOCK_FLAGS] & IVHD_COHERENT ? IOG_UNIT_COHERENT : 0,
		.attributes = block[BLOCK_FLAGS],
		.features = { table_u32(block + IVHD_FEATURES) },
		.capability = table_u16(block + IVHD_CAPABILITY),
	};
	if (block[0] != IVHD_10) {
		found.unit.features[1] = table_u64(block + IVHD_EFR);
		found.unit.features[2] = table_u64(block + IVHD_EFR2);
	}
	if (!found.unit.base || found.unit.base & 0x3fff)
		return iog_table_refuse(table, at + IVHD_BASE, "IVHD: the register base is 0, or not aligned to 16 KiB");
	result = table_report(table, &found);
	for (uint32_t entry = at + entries; !result && entry < at + length; entry += size) {
		size = entry_length(table, entry, at + length);
		if (!size)
			return iog_table_refuse(table, entry, "IVHD: a device entry goes beyond its block, or its type has no length");
		result = entry_read(table, &ivhd, entry);
	}
	if (!result && ivhd.range.open)
		return iog_table_refuse(table, ivhd.range.offset, "IVHD: a range has no end");
	return result;
}

static int ivmd_read(const struct table *table, uint32_t at, uint32_t length)
{
	const uint8_t *block = table->bytes + at;
	struct iog_found found = { .kind = IOG_FOUND_RESERVED, .offset = at };
	uint8_t flags = block[BLOCK_FLAGS];

	if (length < IVMD_SIZE)
		return iog_table_refuse(table, at + BLOCK_LENGTH, "IVMD: the length is too small");
	found.reserved.unit = IOG_REF_NONE;
	if (!iog_table_range(table_u64(block + IVMD_START), table_u64(block + IVMD_LENGTH), &found.reserved) ||
	    found.reserved.first & 0xfff || (found.reserved.last & 0xfff) != 0xfff)
		return iog_table_refuse(table, at + IVMD_START, "IVMD: the range is empty, past the last address, or ends inside a page");
	/* A range that is neither excluded nor given a permission is there to be used: as one with both. */
	if (!(flags & (IVMD_READ | IVMD_WRITE)))
		flags |= IVMD_READ | IVMD_WRITE;
	found.reserved.flags = (flags & IVMD_EXCLUSION ? IOG_RESERVED_UNUSABLE : IOG_RESERVED_IDENTITY) | (flags & IVMD_READ ? IOG_RESERVED_READ : 0) |
			       (flags & IVMD_WRITE ? IOG_RESERVED_WRITE : 0);
	found.reserved.who = (struct iog_devices){
		.kind = IOG_DEVICES_IDS,
		.segment_last = UINT16_MAX,
		.first = table_u16(block + BLOCK_DEVICE),
		.last = table_u16(block + (block[0] == IVMD_RANGE ? IVMD_LAST : BLOCK_DEVICE)),
		.mask = 0xffff,
	};
	if (block[0] == IVMD_ALL)
		found.reserved.who.kind = IOG_DEVICES_ALL;
	else if (found.reserved.who.last < found.reserved.who.first)
		return iog_table_refuse(table, at + IVMD_LAST, "IVMD: the range of devices ends before it starts");
	return table_report(table, &found);
}

/* Lengths of all blocks, so that they can be gone through again without a check. */
static int blocks_check(const struct table *table)
{
	uint32_t length, units = 0;

	for (uint32_t at = IVRS_BLOCKS; at < table->size; at += length) {
		if (!table_has(table, at, BLOCK_MIN))
			return iog_table_refuse(table, at, "the last block is cut off");
		length = table_u16(table->bytes + at + BLOCK_LENGTH);
		if (length < BLOCK_MIN || !table_has(table, at, length))
			return iog_table_refuse(table, at + BLOCK_LENGTH, "a block's length is 0, or goes beyond the table");
		if (!is_ivhd(table->bytes[at]))
			continue;
		if (length < (table->bytes[at] == IVHD_10 ? IVHD_10_ENTRIES : IVHD_11_ENTRIES))
			return iog_table_refuse(table, at + BLOCK_LENGTH, "IVHD: the length is too small");
		if (++units > IVHD_MAX)
			return iog_table_refuse(table, at, "more IVHD blocks than a machine can have");
	}
	return 0;
}

int iog_discover_ivrs(const void *bytes, size_t size, iog_found_fn *visit, void *ctx, struct iog_discover_error *error)
{
	struct table table = { .name = "IVRS", .visit = visit, .ctx = ctx, .error = error };
	struct iog_found found = { .kind = IOG_FOUND_PLATFORM, .offset = IVRS_INFO };
	uint32_t length, info;
	uint8_t type;
	int result = iog_table_open_acpi(&table, bytes, size, IVRS_BLOCKS);

	if (!result)
		result = blocks_check(&table);
	if (result)
		return result;
	info = table_u32(table.bytes + IVRS_INFO);
	found.platform.physical_bits = INFO_PA_SIZE(info);
	found.platform.virtual_bits = INFO_VA_SIZE(info);
	found.platform.flags = IOG_PLATFORM_INTERRUPT_REMAPPING | (info & INFO_DMA_REMAP ? IOG_PLATFORM_PROTECT_EARLY : 0);
	result = table_report(&table, &found);
	for (uint32_t at = IVRS_BLOCKS; !result && at < table.size; at += length) {
		length = table_u16(table.bytes + at + BLOCK_LENGTH);
		type = table.bytes[at];
		if (is_ivhd(type) && !ivhd_superseded(&table, at))
			result = ivhd_read(&table, at, length);
		else if (type == IVMD_ALL || type == IVMD_ONE || type == IVMD_RANGE)
			result = ivmd_read(&table, at, length);
	}
	return result;
}

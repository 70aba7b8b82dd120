/* SPDX-License-Identifier: MIT */
/*
 * DMAR: the DMA remapping reporting structure (VT-d 4.1, chapter 8).
 */
#include "table.h"

/* 8.1. */
#define DMAR_WIDTH 36
#define DMAR_FLAGS 37
#define DMAR_INTR_REMAP (1u << 0)
#define DMAR_X2APIC_OPT_OUT (1u << 1)
#define DMAR_DMA_CTRL_OPT_IN (1u << 2)
#define DMAR_ENTRIES 48
/* A namespace scope makes the table be searched for a name: this bounds what a forged one can ask for. */
#define DMAR_SIZE_MAX UINT32_C(0x10000)

/* 8.2: every remapping structure begins with a type and a length. */
#define DMAR_DRHD 0
#define DMAR_RMRR 1
#define DMAR_ATSR 2
#define DMAR_RHSA 3
#define DMAR_ANDD 4
#define DMAR_SATC 5
#define DMAR_STRUCTURE_MIN 4

/* 8.3. */
#define DRHD_FLAGS 4
#define DRHD_INCLUDE_PCI_ALL (1u << 0)
#define DRHD_SIZE 5
#define DRHD_SEGMENT 6
#define DRHD_BASE 8
#define DRHD_SCOPES 16

/* 8.4. */
#define RMRR_SEGMENT 6
#define RMRR_BASE 8
#define RMRR_LIMIT 16
#define RMRR_SCOPES 24

/* 8.5, 8.8: flags and segment stand in the same places. */
#define ATSR_FLAGS 4
#define ATSR_ALL_PORTS (1u << 0)
#define ATSR_SEGMENT 6
#define ATSR_SCOPES 8

/* 8.6. */
#define RHSA_BASE 8
#define RHSA_PROXIMITY 16
#define RHSA_SIZE 20

/* 8.7. */
#define ANDD_NUMBER 7
#define ANDD_NAME 8

/* 8.3.1: device scope. */
#define SCOPE_ENDPOINT 1
#define SCOPE_BRIDGE 2
#define SCOPE_IOAPIC 3
#define SCOPE_HPET 4
#define SCOPE_NAMESPACE 5
#define SCOPE_LENGTH 1
#define SCOPE_NUMBER 4
#define SCOPE_BUS 5
#define SCOPE_PATH 6
#define SCOPE_STEP 2

/* The device of a namespace scope has its name in an ANDD structure, somewhere in the table. */
static void name_find(const struct table *table, uint8_t number, struct iog_devices *who)
{
	uint32_t length;

	for (uint32_t at = DMAR_ENTRIES; table_has(table, at, DMAR_STRUCTURE_MIN); at += length) {
		length = table_u16(table->bytes + at + 2);
		if (length < DMAR_STRUCTURE_MIN || !table_has(table, at, length))
			return;
		if (table_u16(table->bytes + at) != DMAR_ANDD || length <= ANDD_NAME || table->bytes[at + ANDD_NUMBER] != number)
			continue;
		who->name = (const char *)table->bytes + at + ANDD_NAME;
		while (who->name_size < length - ANDD_NAME && who->name[who->name_size])
			who->name_size++;
		return;
	}
}

/* 0: @who is filled in; 1: a type that is not known; or an error. */
static int scope_read(const struct table *table, uint32_t at, uint32_t end, uint16_t segment, struct iog_devices *who, uint32_t *length)
{
	const uint8_t *scope = table->bytes + at;

	if (end - at < SCOPE_PATH)
		return iog_table_refuse(table, at, "device scope: it goes beyond its structure");
	*length = scope[SCOPE_LENGTH];
	if (*length < SCOPE_PATH || *length > end - at)
		return iog_table_refuse(table, at + SCOPE_LENGTH, "device scope: the length is too small, or goes beyond its structure");
	*who = (struct iog_devices){
		.segment = segment,
		.segment_last = segment,
		.bus = scope[SCOPE_BUS],
		.number = scope[SCOPE_NUMBER],
		.path = scope + SCOPE_PATH,
		.depth = (uint8_t)((*length - SCOPE_PATH) / SCOPE_STEP),
	};
	switch (scope[0]) {
	case SCOPE_ENDPOINT:
		who->kind = IOG_DEVICES_PATH;
		break;
	case SCOPE_BRIDGE:
		who->kind = IOG_DEVICES_BELOW;
		break;
	case SCOPE_IOAPIC:
		who->kind = IOG_DEVICES_IOAPIC;
		break;
	case SCOPE_HPET:
		who->kind = IOG_DEVICES_HPET;
		break;
	case SCOPE_NAMESPACE:
		who->kind = IOG_DEVICES_NAMED;
		name_find(table, who->number, who);
		break;
	default:
		return 1;
	}
	if (!who->depth || (*length - SCOPE_PATH) % SCOPE_STEP)
		return iog_table_refuse(table, at + SCOPE_LENGTH, "device scope: no path, or half a step of one");
	for (uint32_t n = 0; n < who->depth; n++)
		if (who->path[(size_t)2 * n] > 31 || who->path[(size_t)2 * n + 1] > 7)
			return iog_table_refuse(table, at + SCOPE_PATH + 2 * n, "device scope: a device above 31, or a function above 7");
	return 0;
}

/* Report @found for each of the scopes in [at, end), which go into @who. Their number goes into @count. */
static int scopes_report(const struct table *table, uint32_t at, uint32_t end, uint16_t segment, struct iog_found *found, struct iog_devices *who,
			 uint32_t *count)
{
	uint32_t length = 0;
	int result;

	for (*count = 0; at < end; at += length) {
		result = scope_read(table, at, end, segment, who, &length);
		if (result < 0)
			return result;
		if (result)
			continue;
		(*count)++;
		found->offset = at;
		result = table_report(table, found);
		if (result)
			return result;
	}
	return 0;
}

static int drhd_read(const struct table *table, uint32_t at, uint32_t length)
{
	const uint8_t *drhd = table->bytes + at;
	uint16_t segment = table_u16(drhd + DRHD_SEGMENT);
	struct iog_found found = { .kind = IOG_FOUND_UNIT, .offset = at };
	uint32_t count;
	int error;

	found.unit = (struct iog_found_unit){
		.model = IOG_UNIT_VTD,
		.ref = at,
		.base = table_u64(drhd + DRHD_BASE),
		/* 8.3: two to this power of pages of 4 KiB. Earlier versions have 0 there, which is the same. */
		.size = UINT64_C(4096) << (drhd[DRHD_SIZE] & 0xf),
		.segment = segment,
		.bdf = IOG_BDF_NONE,
		.flags = drhd[DRHD_FLAGS] & DRHD_INCLUDE_PCI_ALL ? IOG_UNIT_SERVES_REST : 0,
	};
	if (!found.unit.base || found.unit.base & 0xfff)
		return iog_table_refuse(table, at + DRHD_BASE, "DRHD: the register base is 0, or not that of a page");
	error = table_report(table, &found);
	if (error)
		return error;
	found.kind = IOG_FOUND_DEVICES;
	found.devices.unit = at;
	return scopes_report(table, at + DRHD_SCOPES, at + length, segment, &found, &found.devices.who, &count);
}

static int rmrr_read(const struct table *table, uint32_t at, uint32_t length)
{
	const uint8_t *rmrr = table->bytes + at;
	struct iog_found found = { .kind = IOG_FOUND_RESERVED };
	uint32_t count;
	int error;

	found.reserved = (struct iog_found_reserved){
		.unit = IOG_REF_NONE,
		.first = table_u64(rmrr + RMRR_BASE),
		.last = table_u64(rmrr + RMRR_LIMIT),
		.flags = IOG_RESERVED_IDENTITY | IOG_RESERVED_READ | IOG_RESERVED_WRITE,
	};
	if (found.reserved.last <= found.reserved.first || found.reserved.first & 0xfff || (found.reserved.last & 0xfff) != 0xfff)
		return iog_table_refuse(table, at + RMRR_BASE, "RMRR: the limit is below the base, or one of them is inside a page");
	error = scopes_report(table, at + RMRR_SCOPES, at + length, table_u16(rmrr + RMRR_SEGMENT), &found, &found.reserved.who, &count);
	if (!error && !count)
		return iog_table_refuse(table, at, "RMRR: it is for no device");
	return error;
}

static int ats_read(const struct table *table, uint32_t at, uint32_t length, enum iog_found_kind kind)
{
	const uint8_t *structure = table->bytes + at;
	uint16_t segment = table_u16(structure + ATSR_SEGMENT);
	struct iog_found found = { .kind = kind, .offset = at };
	uint32_t count;

	found.devices.unit = IOG_REF_NONE;
	found.devices.flags = IOG_FOUND_ATS;
	if (kind == IOG_FOUND_ATS_BELOW && structure[ATSR_FLAGS] & ATSR_ALL_PORTS) {
		found.devices.who = (struct iog_devices){ .kind = IOG_DEVICES_ALL, .segment = segment, .segment_last = segment };
		return table_report(table, &found);
	}
	return scopes_report(table, at + ATSR_SCOPES, at + length, segment, &found, &found.devices.who, &count);
}

static int rhsa_read(const struct table *table, uint32_t at)
{
	const uint8_t *rhsa = table->bytes + at;
	struct iog_found found = { .kind = IOG_FOUND_AFFINITY, .offset = at };

	found.unit = (struct iog_found_unit){
		.model = IOG_UNIT_VTD,
		.ref = IOG_REF_NONE,
		.base = table_u64(rhsa + RHSA_BASE),
		.bdf = IOG_BDF_NONE,
		.flags = IOG_UNIT_HAS_PROXIMITY,
		.proximity = table_u32(rhsa + RHSA_PROXIMITY),
	};
	return table_report(table, &found);
}

static int structure_read(const struct table *table, uint32_t at, uint32_t length)
{
	static const uint32_t least[] = { DRHD_SCOPES, RMRR_SCOPES, ATSR_SCOPES, RHSA_SIZE, ANDD_NAME + 1, ATSR_SCOPES };
	uint16_t type = table_u16(table->bytes + at);

	if (type < sizeof(least) / sizeof(least[0]) && length < least[type])
		return iog_table_refuse(table, at + 2, "the length is too small for a structure of this type");
	switch (type) {
	case DMAR_DRHD:
		return drhd_read(table, at, length);
	case DMAR_RMRR:
		return rmrr_read(table, at, length);
	case DMAR_ATSR:
		return ats_read(table, at, length, IOG_FOUND_ATS_BELOW);
	case DMAR_RHSA:
		return rhsa_read(table, at);
	case DMAR_SATC:
		return ats_read(table, at, length, IOG_FOUND_ATS_INTEGRATED);
	default:
		/* ANDD: looked for when a scope names it. Others are not known here. */
		return 0;
	}
}

int iog_discover_dmar(const void *bytes, size_t size, iog_found_fn *visit, void *ctx, struct iog_discover_error *error)
{
	struct table table = { .name = "DMAR", .visit = visit, .ctx = ctx, .error = error };
	struct iog_found found = { .kind = IOG_FOUND_PLATFORM, .offset = DMAR_WIDTH };
	uint32_t length;
	int result = iog_table_open_acpi(&table, bytes, size, DMAR_ENTRIES);

	if (result)
		return result;
	if (table.size > DMAR_SIZE_MAX)
		return iog_table_refuse(&table, ACPI_LENGTH, "larger than the reporting structure of any machine (64 KiB)");
	found.platform.physical_bits = table.bytes[DMAR_WIDTH] + 1u;
	found.platform.flags = (table.bytes[DMAR_FLAGS] & DMAR_INTR_REMAP ? IOG_PLATFORM_INTERRUPT_REMAPPING : 0) |
			       (table.bytes[DMAR_FLAGS] & DMAR_X2APIC_OPT_OUT ? IOG_PLATFORM_NO_X2APIC : 0) |
			       (table.bytes[DMAR_FLAGS] & DMAR_DMA_CTRL_OPT_IN ? IOG_PLATFORM_PROTECT_EARLY : 0);
	result = table_report(&table, &found);
	for (uint32_t at = DMAR_ENTRIES; !result && at < table.size; at += length) {
		if (!table_has(&table, at, DMAR_STRUCTURE_MIN))
			return iog_table_refuse(&table, at, "the last structure is cut off");
		length = table_u16(table.bytes + at + 2);
		if (length < DMAR_STRUCTURE_MIN || !table_has(&table, at, length))
			return iog_table_refuse(&table, at + 2, "a structure's length is 0, or goes beyond the table");
		result = structure_read(&table, at, length);
	}
	return result;
}

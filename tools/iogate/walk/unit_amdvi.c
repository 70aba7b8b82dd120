/* SPDX-License-Identifier: MIT */
/*
 * AMD-Vi: the device table (AMD IOMMU 2.2.2), and for guest translation the GCR3 table (2.2.6). Events: 2.5.
 */
#include "unit.h"

#include <stdio.h>

#include "bits.h"
#include "formats.h"

#define ILLEGAL_DEV_TABLE_ENTRY 0x1
#define IO_PAGE_FAULT 0x2
#define DEV_TAB_HARDWARE_ERROR 0x3
#define PAGE_TAB_HARDWARE_ERROR 0x4

static const struct field devtab_fields[] = { { "Size", 0, 9, FIELD_NUMBER }, { "DevTabBase", 12, 40, FIELD_ADDRESS }, { 0 } };

static const struct field dte_fields[] = {
	{ "V", 0, 1, FIELD_FLAG },	  { "TV", 1, 1, FIELD_FLAG },	  { "HAD", 7, 2, FIELD_NUMBER },	{ "Mode", 9, 3, FIELD_NUMBER },
	{ "HostPageTableRoot", 12, 40, FIELD_ADDRESS }, { "PPR", 52, 1, FIELD_FLAG }, { "GPRP", 53, 1, FIELD_FLAG }, { "GIoV", 54, 1, FIELD_FLAG },
	{ "GV", 55, 1, FIELD_FLAG },	  { "GLX", 56, 2, FIELD_NUMBER }, { "IR", 61, 1, FIELD_FLAG },		{ "IW", 62, 1, FIELD_FLAG },
	{ "DomainID", 64, 16, FIELD_NUMBER }, { "I", 96, 1, FIELD_FLAG }, { "SE", 97, 1, FIELD_FLAG },		{ "SA", 98, 1, FIELD_FLAG },
	{ "IV", 128, 1, FIELD_FLAG },	  { "GuestPagingMode", 182, 2, FIELD_NUMBER }, { 0 },
};

static const struct field gcr3_fields[] = { { "V", 0, 1, FIELD_FLAG }, { "GCR3", 12, 40, FIELD_ADDRESS }, { 0 } };

static const char *event_name(uint32_t code)
{
	static const char *const names[] = { "", "ILLEGAL_DEV_TABLE_ENTRY (event 1h)", "IO_PAGE_FAULT (event 2h)", "DEV_TAB_HARDWARE_ERROR (event 3h)",
					     "PAGE_TAB_HARDWARE_ERROR (event 4h)" };

	return names[code];
}

#define END(kind, code, ...) context_end(context, kind, code, event_name(code), __VA_ARGS__)

static uint64_t table_entries(const struct unit_config *config)
{
	/* (Size + 1) pages of entries of 32 bytes; a device number has 16 bits. */
	uint64_t entries = (bits(config->root, 8, 0) + 1) * (4096 / 32);

	return entries > 0x10000 ? 0x10000 : entries;
}

/* The guest's tables: reached by the GCR3 table, which has an entry per PASID, in up to three levels. */
static bool guest_root(struct image *image, const uint64_t *dte, uint32_t pasid, struct steps *steps, struct context *context, uint64_t *root)
{
	uint32_t levels = (uint32_t)bits(dte[0], 57, 56) + 1;
	uint64_t entry[STEP_QWORDS_MAX];
	struct structure gcr3 = { "GCR3 table entry", 0, 0, 1, gcr3_fields };
	struct outcome outcome;

	gcr3.table = bits(dte[0], 60, 58) << 12 | bits(dte[1], 31, 16) << 15 | bits(dte[1], 63, 43) << 31;
	context->nr_pasids = levels > 2 ? 0x100000 : 1U << (9 * levels);
	if (pasid >= context->nr_pasids) {
		END(CONTEXT_FAULT, IO_PAGE_FAULT, "PASID 0x%x is beyond the GCR3 table, which with GLX = %u ends at 0x%x", pasid, levels - 1, context->nr_pasids - 1);
		return false;
	}
	while (levels--) {
		gcr3.index = pasid >> (9 * levels) & 0x1ff;
		context->pasids = (UINT64_C(1) << (9 * levels)) - (pasid & low_bits(9 * levels));
		if (structure_read(&gcr3, NULL, image, steps, entry, &outcome)) {
			END(CONTEXT_UNKNOWN, PAGE_TAB_HARDWARE_ERROR, "GCR3 table entry 0x%x at 0x%llx is not in the dump", (unsigned int)gcr3.index,
			    (unsigned long long)(gcr3.table + gcr3.index * 8));
			return false;
		}
		if (!bit(entry[0], 0)) {
			END(CONTEXT_FAULT, IO_PAGE_FAULT, "GCR3 table entry 0x%x has V = 0: PASID 0x%x has no tables", (unsigned int)gcr3.index, pasid);
			return false;
		}
		gcr3.table = bits_in_place(entry[0], 51, 12);
	}
	*root = gcr3.table;
	return true;
}

static void translation(const struct unit_config *config, struct image *image, const uint64_t *dte, uint32_t pasid, struct steps *steps,
			struct context *context)
{
	uint32_t oas = config->oas ? config->oas : 52, mode = (uint32_t)bits(dte[0], 11, 9);
	bool guest = bit(dte[0], 55) && (pasid != NO_PASID || bit(dte[0], 54));
	struct space *space = &context->spaces[0];
	uint64_t root;

	if (!bit(dte[0], 61))
		context->read = (struct denial){ CAUSE_PERMISSION, "IR is 0 in the device table entry: no reads" };
	if (!bit(dte[0], 62))
		context->write = (struct denial){ CAUSE_PERMISSION, "IW is 0 in the device table entry: no writes" };
	if (mode) {
		space->second = (struct pt){ .format = &pt_amdv1, .root = bits_in_place(dte[0], 51, 12), .oas = oas };
		pt_levels(&space->second, 12, mode == 6 ? 64 : 12 + 9 * mode, 0);
		space->second.read = context->read;
		space->second.write = context->write;
	}
	if (bit(dte[0], 55))
		context->nr_pasids = bits(dte[0], 57, 56) > 1 ? 0x100000 : 1U << (9 * (bits(dte[0], 57, 56) + 1));
	if (guest) {
		if (!guest_root(image, dte, pasid == NO_PASID ? 0 : pasid, steps, context, &root))
			return;
		space->first = (struct pt){ .format = &pt_x86_64, .root = root, .oas = oas, .flags = PT_SIGN_EXTENDED };
		pt_levels(&space->first, 12, bits(dte[2], 55, 54) == 1 ? 57 : 48, 0);
		space->first.read = context->read;
		space->first.write = context->write;
	} else if (!mode) {
		context_end(context, CONTEXT_BYPASS, 0, "", "Mode is 0 in the device table entry: not translated");
	}
}

static void resolve(const struct unit_config *config, struct image *image, uint32_t id, uint32_t pasid, struct steps *steps, struct context *context)
{
	struct structure device = { "Device table entry", bits_in_place(config->root, 51, 12), id, 4, dte_fields };
	uint64_t dte[STEP_QWORDS_MAX];
	struct outcome outcome;

	*context = (struct context){ .ids = 1, .pasids = 1, .nr_spaces = 1 };
	register_step(steps, "Device Table Base Address Register", config->root, devtab_fields);
	if (id >= table_entries(config)) {
		context->ids = UINT32_MAX;
		END(CONTEXT_FAULT, ILLEGAL_DEV_TABLE_ENTRY, "device 0x%x is beyond the device table, which with Size = 0x%x (the register's low bits) ends at 0x%x", id,
		    (unsigned int)bits(config->root, 8, 0), (unsigned int)table_entries(config) - 1);
		return;
	}
	if (structure_read(&device, NULL, image, steps, dte, &outcome)) {
		context->ids = structure_gap(image, device.table + device.index * 32, 32);
		END(CONTEXT_UNKNOWN, DEV_TAB_HARDWARE_ERROR, "device table entry 0x%x is not in the dump", id);
		return;
	}
	snprintf(context->domain, sizeof(context->domain), "domain %u", (unsigned int)bits(dte[1], 15, 0));
	if (!bit(dte[0], 0))
		context_end(context, CONTEXT_BYPASS, 0, "", "V is 0 in device table entry 0x%x: not translated", id);
	else if (bits(dte[0], 6, 2) || bit(dte[0], 63))
		END(CONTEXT_FAULT, ILLEGAL_DEV_TABLE_ENTRY, "device table entry 0x%x has a reserved bit set", id);
	else if (!bit(dte[0], 1))
		END(CONTEXT_FAULT, IO_PAGE_FAULT, "device table entry 0x%x has V = 1 and TV = 0: the device may do no DMA", id);
	else if (bits(dte[0], 11, 9) == 7)
		END(CONTEXT_FAULT, ILLEGAL_DEV_TABLE_ENTRY, "device table entry 0x%x has Mode = 7, which is reserved", id);
	else if (bit(dte[0], 55) && bits(dte[0], 57, 56) == 3)
		END(CONTEXT_FAULT, ILLEGAL_DEV_TABLE_ENTRY, "device table entry 0x%x has GLX = 3, which is reserved", id);
	else if (pasid != NO_PASID && !bit(dte[0], 55))
		END(CONTEXT_FAULT, IO_PAGE_FAULT, "device table entry 0x%x has GV = 0: requests with PASID are not translated", id);
	else
		translation(config, image, dte, pasid, steps, context);
}

static void fault(const struct context *context, const struct outcome *outcome, bool write, struct fault *fault)
{
	bool present = outcome->cause != CAUSE_ABSENT && outcome->cause != CAUSE_RANGE && outcome->cause != CAUSE_CANONICAL;

	(void)context;
	if (outcome->cause == CAUSE_FETCH)
		fault_set(fault, PAGE_TAB_HARDWARE_ERROR, "%s", event_name(PAGE_TAB_HARDWARE_ERROR));
	else
		fault_set(fault, IO_PAGE_FAULT, "IO_PAGE_FAULT (event 2h, PR=%d RW=%d PE=%d RZ=%d)", present, write,
			  outcome->cause == CAUSE_PERMISSION || outcome->cause == CAUSE_USER, outcome->cause == CAUSE_RESERVED);
}

const struct unit unit_amdvi = {
	.name = "amdvi",
	.root_register = "Device Table Base Address Register",
	.pasid_name = "PASID",
	.interrupts_first = 0xfee00000,
	.interrupts_last = 0xfeefffff,
	.nr_ids = table_entries,
	.resolve = resolve,
	.fault = fault,
};

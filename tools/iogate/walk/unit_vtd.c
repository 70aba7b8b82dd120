/* SPDX-License-Identifier: MIT */
/*
 * Intel VT-d: root and context tables (VT-d 9.1 to 9.4), and in scalable mode PASID directory and table (9.5, 9.6). Fault reasons: VT-d 7.1.3.
 */
#include "unit.h"

#include <stddef.h>
#include <stdio.h>

#include "bits.h"
#include "formats.h"

static const struct field rtaddr_fields[] = { { "TTM", 10, 2, FIELD_NUMBER }, { "RTA", 12, 52, FIELD_ADDRESS }, { 0 } };

static const struct field root_fields[] = { { "P", 0, 1, FIELD_FLAG }, { "CTP", 12, 52, FIELD_ADDRESS }, { 0 } };

static const struct field context_fields[] = {
	{ "P", 0, 1, FIELD_FLAG },     { "FPD", 1, 1, FIELD_FLAG },    { "TT", 2, 2, FIELD_NUMBER }, { "SSPTPTR", 12, 52, FIELD_ADDRESS },
	{ "AW", 64, 3, FIELD_NUMBER }, { "DID", 72, 16, FIELD_NUMBER }, { 0 },
};

static const struct field sm_root_fields[] = {
	{ "LP", 0, 1, FIELD_FLAG }, { "LCTP", 12, 52, FIELD_ADDRESS }, { "UP", 64, 1, FIELD_FLAG }, { "UCTP", 76, 52, FIELD_ADDRESS }, { 0 },
};

static const struct field sm_context_fields[] = {
	{ "P", 0, 1, FIELD_FLAG },     { "FPD", 1, 1, FIELD_FLAG },	  { "DTE", 2, 1, FIELD_FLAG },		   { "PASIDE", 3, 1, FIELD_FLAG },
	{ "PRE", 4, 1, FIELD_FLAG },   { "PDTS", 9, 3, FIELD_NUMBER },	  { "PASIDDIRPTR", 12, 52, FIELD_ADDRESS }, { "RID_PASID", 64, 20, FIELD_NUMBER },
	{ "RID_PRIV", 84, 1, FIELD_FLAG }, { 0 },
};

static const struct field directory_fields[] = {
	{ "P", 0, 1, FIELD_FLAG }, { "FPD", 1, 1, FIELD_FLAG }, { "SMPTBLPTR", 12, 52, FIELD_ADDRESS }, { 0 },
};

static const struct field pasid_fields[] = {
	{ "P", 0, 1, FIELD_FLAG },	{ "FPD", 1, 1, FIELD_FLAG },	       { "AW", 2, 3, FIELD_NUMBER },   { "PGTT", 6, 3, FIELD_NUMBER },
	{ "SSADE", 9, 1, FIELD_FLAG },	{ "SSPTPTR", 12, 52, FIELD_ADDRESS },  { "DID", 64, 16, FIELD_NUMBER }, { "PWSNP", 87, 1, FIELD_FLAG },
	{ "PGSNP", 88, 1, FIELD_FLAG }, { "CD", 89, 1, FIELD_FLAG },	       { "SRE", 128, 1, FIELD_FLAG },	{ "ERE", 129, 1, FIELD_FLAG },
	{ "FSPM", 130, 2, FIELD_NUMBER }, { "WPE", 132, 1, FIELD_FLAG },       { "NXE", 133, 1, FIELD_FLAG },	{ "EAFE", 135, 1, FIELD_FLAG },
	{ "FSPTPTR", 140, 52, FIELD_ADDRESS }, { 0 },
};

static const struct reason {
	uint32_t code;
	const char *text;
} reasons[] = {
	{ 0x01, "reason 1h (the root entry is not present)" },
	{ 0x02, "reason 2h (the context entry is not present)" },
	{ 0x03, "reason 3h (the context entry is programmed wrongly)" },
	{ 0x04, "reason 4h (the address is beyond what the second stage translates)" },
	{ 0x05, "reason 5h (no write permission in the second stage)" },
	{ 0x06, "reason 6h (no read permission in the second stage)" },
	{ 0x07, "reason 7h (a second-stage entry could not be read)" },
	{ 0x08, "reason 8h (the root entry could not be read)" },
	{ 0x09, "reason 9h (the context entry could not be read)" },
	{ 0x0a, "reason Ah (a reserved field of the root entry is not 0)" },
	{ 0x0b, "reason Bh (a reserved field of the context entry is not 0)" },
	{ 0x0c, "reason Ch (a reserved field of a second-stage entry is not 0)" },
	{ 0x31, "reason 31h (a request with PASID, and the unit is in legacy mode)" },
	{ 0x30, "reason 30h (the root table address register is programmed wrongly)" },
	{ 0x38, "reason 38h (the root entry could not be read)" },
	{ 0x39, "reason 39h (the root entry is not present)" },
	{ 0x3a, "reason 3Ah (a reserved field of the root entry is not 0)" },
	{ 0x40, "reason 40h (the context entry could not be read)" },
	{ 0x41, "reason 41h (the context entry is not present)" },
	{ 0x42, "reason 42h (a reserved field of the context entry is not 0)" },
	{ 0x45, "reason 45h (a request with PASID, and PASIDE is 0 in the context entry)" },
	{ 0x46, "reason 46h (the PASID is beyond the directory)" },
	{ 0x48, "reason 48h (RID_PASID is beyond the directory)" },
	{ 0x50, "reason 50h (the PASID directory entry could not be read)" },
	{ 0x51, "reason 51h (the PASID directory entry is not present)" },
	{ 0x52, "reason 52h (a reserved field of the PASID directory entry is not 0)" },
	{ 0x58, "reason 58h (the PASID table entry could not be read)" },
	{ 0x59, "reason 59h (the PASID table entry is not present)" },
	{ 0x5a, "reason 5Ah (a reserved field of the PASID table entry is not 0)" },
	{ 0x5b, "reason 5Bh (the PASID table entry is programmed wrongly)" },
	{ 0x70, "reason 70h (a first-stage entry could not be read)" },
	{ 0x71, "reason 71h (a first-stage entry is not present)" },
	{ 0x72, "reason 72h (a reserved field of a first-stage entry is not 0)" },
	{ 0x73, "reason 73h (an entry of the first stage's root table could not be read)" },
	{ 0x74, "reason 74h (the address of a first-stage table is beyond what the second stage translates)" },
	{ 0x75, "reason 75h (the second stage does not let the first stage's root table be read)" },
	{ 0x76, "reason 76h (the second stage does not let a first-stage table be read)" },
	{ 0x78, "reason 78h (a second-stage entry could not be read)" },
	{ 0x79, "reason 79h (a second-stage entry is not present)" },
	{ 0x7a, "reason 7Ah (a reserved field of a second-stage entry is not 0)" },
	{ 0x7b, "reason 7Bh (an entry of the second stage's root table could not be read)" },
	{ 0x80, "reason 80h (the address is not canonical)" },
	{ 0x81, "reason 81h (a user's request to a page of the supervisor's)" },
	{ 0x84, "reason 84h (the address is beyond what the second stage translates)" },
	{ 0x85, "reason 85h (a write that is not permitted)" },
	{ 0x86, "reason 86h (a read that is not permitted)" },
};

static const char *reason_text(uint32_t code)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (reasons[i].code == code)
			return reasons[i].text;
	}
	return "an unknown reason";
}

static uint32_t machine_bits(const struct unit_config *config)
{
	return config->oas ? config->oas : 52;
}

/* An address field, 63:12, beyond the machine's. */
static bool too_wide(const struct unit_config *config, uint64_t value)
{
	return bits(value, 63, machine_bits(config));
}

/* The tables end here. */
#define END(kind, code, ...) context_end(context, kind, code, reason_text(code), __VA_ARGS__)

/* AW: 1, 2, 3 for three, four, five levels. Returns false if there is no such width. */
static bool second_stage(const struct unit_config *config, uint64_t aw, uint64_t root, struct pt *pt)
{
	uint32_t ias = 30 + 9 * (uint32_t)aw, mgaw;

	if (aw < 1 || aw > 3)
		return false;
	*pt = (struct pt){ .format = &pt_vtdss, .root = bits_in_place(root, 63, 12), .oas = machine_bits(config) };
	pt_levels(pt, 12, ias, 0);
	if (!config->has_capability)
		return true;
	/* CAP_REG.SAGAW, MGAW and SSLPS. */
	if (!bit(config->capability, 8 + (uint32_t)aw))
		return false;
	if (!bit(config->capability, 34))
		pt->flags |= PT_NO_2M;
	if (!bit(config->capability, 35))
		pt->flags |= PT_NO_1G;
	mgaw = (uint32_t)bits(config->capability, 21, 16) + 1;
	if (mgaw < pt->ias && mgaw > pt_span_bits(pt, pt->root_level)) {
		pt->ias = mgaw;
		pt->root_bits = mgaw - pt_span_bits(pt, pt->root_level);
	}
	return true;
}

static void legacy_context(const struct unit_config *config, const uint64_t *entry, uint32_t devfn, struct context *context)
{
	uint64_t tt = bits(entry[0], 3, 2);

	if (!bit(entry[0], 0)) {
		END(CONTEXT_FAULT, 0x02, "context entry 0x%x has P = 0: the device has no context entry", devfn);
	} else if (bits(entry[0], 11, 4) || bit(entry[1], 7) || bits(entry[1], 63, 24) || too_wide(config, entry[0])) {
		END(CONTEXT_FAULT, 0x0b, "context entry 0x%x has a reserved bit set", devfn);
	} else if (tt == 3) {
		END(CONTEXT_FAULT, 0x03, "context entry 0x%x has TT = 3, which is reserved", devfn);
	} else if (tt == 2) {
		END(CONTEXT_BYPASS, 0, "TT = 2 in context entry 0x%x: pass-through", devfn);
	} else if (!second_stage(config, bits(entry[1], 2, 0), entry[0], &context->spaces[0].second)) {
		END(CONTEXT_FAULT, 0x03, "context entry 0x%x has AW = %u, an address width that the unit does not have", devfn, (unsigned int)bits(entry[1], 2, 0));
	}
}

static void resolve_legacy(const struct unit_config *config, struct image *image, uint32_t id, uint32_t pasid, struct steps *steps, struct context *context)
{
	uint32_t bus = id >> 8, devfn = id & 0xff;
	struct structure root = { "Root entry", bits_in_place(config->root, 63, 12), bus, 2, root_fields };
	struct structure context_entry = { "Context entry", 0, devfn, 2, context_fields };
	struct outcome outcome;
	uint64_t entry[STEP_QWORDS_MAX];

	context->ids = 256 - devfn;
	if (structure_read(&root, NULL, image, steps, entry, &outcome)) {
		END(CONTEXT_UNKNOWN, 0x08, "root entry 0x%x, of bus 0x%02x, is not in the dump", bus, bus);
		return;
	}
	if (!bit(entry[0], 0)) {
		END(CONTEXT_FAULT, 0x01, "root entry 0x%x has P = 0: no device of bus 0x%02x has a context entry", bus, bus);
		return;
	}
	if (bits(entry[0], 11, 1) || entry[1] || too_wide(config, entry[0])) {
		END(CONTEXT_FAULT, 0x0a, "root entry 0x%x has a reserved bit set", bus);
		return;
	}
	context->ids = 1;
	context_entry.table = bits_in_place(entry[0], 63, 12);
	if (structure_read(&context_entry, NULL, image, steps, entry, &outcome)) {
		END(CONTEXT_UNKNOWN, 0x09, "context entry 0x%x is not in the dump", devfn);
		return;
	}
	if (pasid != NO_PASID) {
		END(CONTEXT_FAULT, 0x31, "the unit is in legacy mode, which has no PASIDs");
		return;
	}
	snprintf(context->domain, sizeof(context->domain), "domain %u", (unsigned int)bits(entry[1], 23, 8));
	legacy_context(config, entry, devfn, context);
}

/* The PASID table entry says what translates. */
static void scalable_pasid(const struct unit_config *config, const uint64_t *entry, uint32_t index, bool privileged, struct context *context)
{
	struct space *space = &context->spaces[0];
	uint64_t pgtt = bits(entry[0], 8, 6), fspm = bits(entry[2], 3, 2);

	if (!bit(entry[0], 0)) {
		END(CONTEXT_FAULT, 0x59, "PASID table entry 0x%x has P = 0", index);
		return;
	}
	if (pgtt < 1 || pgtt > 4) {
		END(CONTEXT_FAULT, 0x5b, "PASID table entry 0x%x has PGTT = %u, which is reserved", index, (unsigned int)pgtt);
		return;
	}
	if (pgtt == 4) {
		END(CONTEXT_BYPASS, 0, "PGTT = 4 in PASID table entry 0x%x: pass-through", index);
		return;
	}
	if (pgtt & 2 && !second_stage(config, bits(entry[0], 4, 2), entry[0], &space->second)) {
		END(CONTEXT_FAULT, 0x5b, "PASID table entry 0x%x has AW = %u, an address width that the unit does not have", index, (unsigned int)bits(entry[0], 4, 2));
		return;
	}
	if (pgtt & 1) {
		if (fspm > 1) {
			END(CONTEXT_FAULT, 0x5b, "PASID table entry 0x%x has FSPM = %u, which is reserved", index, (unsigned int)fspm);
			return;
		}
		space->first = (struct pt){ .format = &pt_vtdfs, .root = bits_in_place(entry[2], 63, 12), .oas = machine_bits(config), .flags = PT_SIGN_EXTENDED };
		if (privileged && bit(entry[2], 0))
			space->first.flags |= PT_SUPERVISOR;
		pt_levels(&space->first, 12, fspm ? 57 : 48, 0);
	}
	if ((pgtt & 2 && too_wide(config, entry[0])) || (pgtt == 1 && too_wide(config, entry[2])))
		END(CONTEXT_FAULT, 0x5a, "PASID table entry 0x%x has an address beyond the machine's", index);
}

static void resolve_pasid(const struct unit_config *config, struct image *image, const uint64_t *context_entry, uint32_t pasid, struct steps *steps,
			  struct context *context)
{
	uint32_t pdts = (uint32_t)bits(context_entry[0], 11, 9);
	uint64_t limit = UINT64_C(1) << (pdts + 13);
	bool from_rid = pasid == NO_PASID;
	struct structure directory = { "PASID directory entry", bits_in_place(context_entry[0], 63, 12), 0, 1, directory_fields };
	struct structure table = { "PASID table entry", 0, 0, 8, pasid_fields };
	uint64_t entry[STEP_QWORDS_MAX];
	struct outcome outcome;

	context->nr_pasids = limit > 0x100000 ? 0x100000 : (uint32_t)limit;
	if (from_rid)
		pasid = (uint32_t)bits(context_entry[1], 19, 0);
	if (pasid >= limit) {
		END(CONTEXT_FAULT, from_rid ? 0x48 : 0x46, "%s 0x%x is beyond the directory, which with PDTS = %u ends at 0x%x", from_rid ? "RID_PASID" : "PASID",
		    pasid, pdts, (unsigned int)(limit - 1));
		return;
	}
	directory.index = pasid >> 6;
	table.index = pasid & 63;
	context->pasids = 64 - table.index;
	if (structure_read(&directory, NULL, image, steps, entry, &outcome)) {
		END(CONTEXT_UNKNOWN, 0x50, "PASID directory entry 0x%x is not in the dump", (unsigned int)directory.index);
		return;
	}
	if (!bit(entry[0], 0)) {
		END(CONTEXT_FAULT, 0x51, "PASID directory entry 0x%x has P = 0", (unsigned int)directory.index);
		return;
	}
	if (bits(entry[0], 11, 2) || too_wide(config, entry[0])) {
		END(CONTEXT_FAULT, 0x52, "PASID directory entry 0x%x has a reserved bit set", (unsigned int)directory.index);
		return;
	}
	context->pasids = 1;
	table.table = bits_in_place(entry[0], 63, 12);
	if (structure_read(&table, NULL, image, steps, entry, &outcome)) {
		END(CONTEXT_UNKNOWN, 0x58, "PASID table entry 0x%x is not in the dump", (unsigned int)table.index);
		return;
	}
	snprintf(context->domain, sizeof(context->domain), "domain %u", (unsigned int)bits(entry[1], 15, 0));
	scalable_pasid(config, entry, (uint32_t)table.index, from_rid && bit(context_entry[1], 20), context);
}

static void resolve_scalable(const struct unit_config *config, struct image *image, uint32_t id, uint32_t pasid, struct steps *steps, struct context *context)
{
	uint32_t bus = id >> 8, devfn = id & 0xff;
	struct structure root = { "Root entry", bits_in_place(config->root, 63, 12), bus, 2, sm_root_fields };
	struct structure context_entry = { "Context entry", 0, devfn & 0x7f, 4, sm_context_fields };
	const char *half = devfn >> 7 ? "U" : "L";
	struct outcome outcome;
	uint64_t entry[STEP_QWORDS_MAX], pointer;

	context->scalable = true;
	context->ids = 128 - context_entry.index;
	if (structure_read(&root, NULL, image, steps, entry, &outcome)) {
		END(CONTEXT_UNKNOWN, 0x38, "root entry 0x%x, of bus 0x%02x, is not in the dump", bus, bus);
		return;
	}
	pointer = entry[devfn >> 7];
	if (!bit(pointer, 0)) {
		END(CONTEXT_FAULT, 0x39, "root entry 0x%x has %sP = 0: no device of that half of bus 0x%02x has a context entry", bus, half, bus);
		return;
	}
	if (bits(pointer, 11, 1) || too_wide(config, pointer)) {
		END(CONTEXT_FAULT, 0x3a, "root entry 0x%x has a reserved bit set beside %sP", bus, half);
		return;
	}
	context->ids = 1;
	context_entry.table = bits_in_place(pointer, 63, 12);
	if (structure_read(&context_entry, NULL, image, steps, entry, &outcome)) {
		END(CONTEXT_UNKNOWN, 0x40, "context entry 0x%x is not in the dump", (unsigned int)context_entry.index);
		return;
	}
	if (!bit(entry[0], 0)) {
		END(CONTEXT_FAULT, 0x41, "context entry 0x%x has P = 0: the device has no context entry", (unsigned int)context_entry.index);
	} else if (too_wide(config, entry[0])) {
		END(CONTEXT_FAULT, 0x42, "context entry 0x%x has a reserved bit set", (unsigned int)context_entry.index);
	} else if (pasid != NO_PASID && !bit(entry[0], 3)) {
		END(CONTEXT_FAULT, 0x45, "context entry 0x%x has PASIDE = 0: requests with PASID are not accepted", (unsigned int)context_entry.index);
	} else {
		resolve_pasid(config, image, entry, pasid, steps, context);
		if (!bit(entry[0], 3))
			context->nr_pasids = 0;
	}
}

static void resolve(const struct unit_config *config, struct image *image, uint32_t id, uint32_t pasid, struct steps *steps, struct context *context)
{
	*context = (struct context){ .ids = 1, .pasids = 1, .nr_spaces = 1 };
	register_step(steps, "RTADDR_REG", config->root, rtaddr_fields);
	switch (bits(config->root, 11, 10)) {
	case 0:
		resolve_legacy(config, image, id, pasid, steps, context);
		break;
	case 1:
		resolve_scalable(config, image, id, pasid, steps, context);
		break;
	case 3:
		context->ids = UINT32_MAX;
		context_end(context, CONTEXT_FAULT, 0, "no reason: the requests are aborted without a fault", "RTADDR_REG.TTM is 3: all DMA is aborted");
		break;
	default:
		context->ids = UINT32_MAX;
		END(CONTEXT_FAULT, 0x30, "RTADDR_REG.TTM is 2, which is reserved");
		break;
	}
}

static uint32_t legacy_code(const struct outcome *outcome, bool write)
{
	switch (outcome->cause) {
	case CAUSE_RANGE:
		return 0x04;
	case CAUSE_RESERVED:
		return 0x0c;
	case CAUSE_FETCH:
		return 0x07;
	default:
		return write ? 0x05 : 0x06;
	}
}

static uint32_t second_code(const struct outcome *outcome, bool write)
{
	bool denied = outcome->cause == CAUSE_ABSENT || outcome->cause == CAUSE_PERMISSION;

	if (outcome->for_table && denied)
		return outcome->at_root ? 0x75 : 0x76;
	if (outcome->for_table && outcome->cause == CAUSE_RANGE)
		return 0x74;
	switch (outcome->cause) {
	case CAUSE_RANGE:
		return 0x84;
	case CAUSE_RESERVED:
		return 0x7a;
	case CAUSE_FETCH:
		return outcome->at_root ? 0x7b : 0x78;
	case CAUSE_ABSENT:
		return 0x79;
	default:
		return write ? 0x85 : 0x86;
	}
}

static uint32_t first_code(const struct outcome *outcome, bool write)
{
	switch (outcome->cause) {
	case CAUSE_CANONICAL:
		return 0x80;
	case CAUSE_RESERVED:
		return 0x72;
	case CAUSE_FETCH:
		return outcome->at_root ? 0x73 : 0x70;
	case CAUSE_ABSENT:
		return 0x71;
	case CAUSE_USER:
		return 0x81;
	default:
		return write ? 0x85 : 0x86;
	}
}

static void fault(const struct context *context, const struct outcome *outcome, bool write, struct fault *fault)
{
	uint32_t code;

	if (!context->scalable)
		code = legacy_code(outcome, write);
	else
		code = outcome->stage == 2 ? second_code(outcome, write) : first_code(outcome, write);
	fault_set(fault, code, "%s", reason_text(code));
}

static uint64_t nr_ids(const struct unit_config *config)
{
	(void)config;
	return 0x10000;
}

const struct unit unit_vtd = {
	.name = "vtd",
	.root_register = "RTADDR_REG",
	.capability_register = "CAP_REG",
	.pasid_name = "PASID",
	.interrupts_first = 0xfee00000,
	.interrupts_last = 0xfeefffff,
	.nr_ids = nr_ids,
	.resolve = resolve,
	.fault = fault,
};

/* SPDX-License-Identifier: MIT */
/*
 * Arm SMMUv3: stream table, linear or of two levels (SMMUv3 5.2), and context descriptors, likewise (5.3, 5.4). Events: 7.3.
 */
#include "unit.h"

#include <stdio.h>

#include "bits.h"
#include "formats.h"

#define ASSUMED_LOG2SIZE 16

static const struct field base_fields[] = { { "ADDR", 6, 46, FIELD_ADDRESS }, { "RA", 62, 1, FIELD_FLAG }, { 0 } };

static const struct field cfg_fields[] = { { "LOG2SIZE", 0, 6, FIELD_NUMBER }, { "SPLIT", 6, 5, FIELD_NUMBER }, { "FMT", 16, 2, FIELD_NUMBER }, { 0 } };

static const struct field l1std_fields[] = { { "Span", 0, 5, FIELD_NUMBER }, { "L2Ptr", 6, 46, FIELD_ADDRESS }, { 0 } };

static const struct field ste_fields[] = {
	{ "V", 0, 1, FIELD_FLAG },	  { "Config", 1, 3, FIELD_NUMBER },  { "S1Fmt", 4, 2, FIELD_NUMBER },	 { "S1ContextPtr", 6, 46, FIELD_ADDRESS },
	{ "S1CDMax", 59, 5, FIELD_NUMBER }, { "S1DSS", 64, 2, FIELD_NUMBER }, { "S1STALLD", 91, 1, FIELD_FLAG }, { "EATS", 92, 2, FIELD_NUMBER },
	{ "STRW", 94, 2, FIELD_NUMBER },  { "PRIVCFG", 112, 2, FIELD_NUMBER }, { "S2VMID", 128, 16, FIELD_NUMBER }, { "S2T0SZ", 160, 6, FIELD_NUMBER },
	{ "S2SL0", 166, 2, FIELD_NUMBER }, { "S2TG", 174, 2, FIELD_NUMBER }, { "S2PS", 176, 3, FIELD_NUMBER },	 { "S2AA64", 179, 1, FIELD_FLAG },
	{ "S2AFFD", 181, 1, FIELD_FLAG }, { "S2PTW", 182, 1, FIELD_FLAG },   { "S2HD", 183, 1, FIELD_FLAG },	 { "S2HA", 184, 1, FIELD_FLAG },
	{ "S2SL0_2", 194, 1, FIELD_FLAG }, { "S2DS", 195, 1, FIELD_FLAG },   { "S2TTB", 196, 48, FIELD_ADDRESS }, { 0 },
};

static const struct field l1cd_fields[] = { { "V", 0, 1, FIELD_FLAG }, { "L2Ptr", 12, 40, FIELD_ADDRESS }, { 0 } };

static const struct field cd_fields[] = {
	{ "T0SZ", 0, 6, FIELD_NUMBER },	  { "TG0", 6, 2, FIELD_NUMBER }, { "EPD0", 14, 1, FIELD_FLAG },	    { "ENDI", 15, 1, FIELD_FLAG },
	{ "T1SZ", 16, 6, FIELD_NUMBER },  { "TG1", 22, 2, FIELD_NUMBER }, { "EPD1", 30, 1, FIELD_FLAG },    { "V", 31, 1, FIELD_FLAG },
	{ "IPS", 32, 3, FIELD_NUMBER },	  { "AFFD", 35, 1, FIELD_FLAG }, { "TBI0", 38, 1, FIELD_FLAG },	    { "TBI1", 39, 1, FIELD_FLAG },
	{ "AA64", 41, 1, FIELD_FLAG },	  { "HD", 42, 1, FIELD_FLAG },	 { "HA", 43, 1, FIELD_FLAG },	    { "R", 45, 1, FIELD_FLAG },
	{ "A", 46, 1, FIELD_FLAG },	  { "ASID", 48, 16, FIELD_NUMBER }, { "HAD0", 65, 1, FIELD_FLAG },  { "TTB0", 68, 48, FIELD_ADDRESS },
	{ "HAD1", 129, 1, FIELD_FLAG },	  { "TTB1", 132, 48, FIELD_ADDRESS }, { "DS", 186, 1, FIELD_FLAG }, { 0 },
};

enum event {
	C_BAD_STREAMID = 0x02,
	F_STE_FETCH = 0x03,
	C_BAD_STE = 0x04,
	F_STREAM_DISABLED = 0x06,
	C_BAD_SUBSTREAMID = 0x08,
	F_CD_FETCH = 0x09,
	C_BAD_CD = 0x0a,
	F_WALK_EABT = 0x0b,
	F_TRANSLATION = 0x10,
	F_ADDR_SIZE = 0x11,
	F_ACCESS = 0x12,
	F_PERMISSION = 0x13,
};

#define NAMED(event, number) \
	case event:          \
		return #event " (event " number ")"

static const char *event_name(uint32_t event)
{
	switch ((enum event)event) {
		NAMED(C_BAD_STREAMID, "0x02");
		NAMED(F_STE_FETCH, "0x03");
		NAMED(C_BAD_STE, "0x04");
		NAMED(F_STREAM_DISABLED, "0x06");
		NAMED(C_BAD_SUBSTREAMID, "0x08");
		NAMED(F_CD_FETCH, "0x09");
		NAMED(C_BAD_CD, "0x0A");
		NAMED(F_WALK_EABT, "0x0B");
		NAMED(F_TRANSLATION, "0x10");
		NAMED(F_ADDR_SIZE, "0x11");
		NAMED(F_ACCESS, "0x12");
		NAMED(F_PERMISSION, "0x13");
	}
	return "an unknown event";
}

#define END(kind, code, ...) context_end(context, kind, code, event_name(code), __VA_ARGS__)

/* TG0 and S2TG; TG1 counts otherwise. 0: reserved. */
static uint32_t granule_bits(uint64_t tg, bool upper)
{
	static const uint32_t lower_granules[] = { 12, 16, 14, 0 }, upper_granules[] = { 0, 14, 12, 16 };

	return upper ? upper_granules[tg] : lower_granules[tg];
}

/* IPS and S2PS, within what the unit has. */
static uint32_t output_bits(const struct unit_config *config, uint64_t size)
{
	static const uint32_t sizes[] = { 32, 36, 40, 42, 44, 48, 52, 52 };
	uint32_t most = config->oas ? config->oas : 52;

	return sizes[size] < most ? sizes[size] : most;
}

/* Input addresses of 64 - @size bits: what the granule can have. */
static bool input_size(uint64_t size, uint32_t granule, bool wide)
{
	return size >= (wide ? 12U : 16U) && size <= (granule == 16 ? 47U : 48U);
}

/* Stage 2: tables of the root may lie one after another, so that the walk begins a level further down. */
static bool second_stage(const struct unit_config *config, const uint64_t *ste, struct pt *pt)
{
	uint32_t granule = granule_bits(bits(ste[2], 47, 46), false), root_bits, level;
	uint64_t size = bits(ste[2], 37, 32), sl0 = bits(ste[2], 39, 38);
	bool ds = bit(ste[3], 3) && granule < 16;
	int32_t start;

	if (!granule || !bit(ste[2], 51))
		return false;
	*pt = (struct pt){ .format = &pt_arm_s2, .oas = output_bits(config, bits(ste[2], 50, 48)) };
	if (!ds && granule < 16 && pt->oas > 48)
		pt->oas = 48;
	if (!input_size(size, granule, ds || granule == 16))
		return false;
	pt_levels(pt, granule, 64 - (uint32_t)size, 0);
	if (granule == 12)
		start = ds && bit(ste[3], 2) && !sl0 ? -1 : sl0 == 3 ? 3 : 2 - (int32_t)sl0;
	else
		start = 3 - (int32_t)sl0;
	level = (uint32_t)(3 - start);
	if (level > pt->root_level || pt->ias <= pt_span_bits(pt, level))
		return false;
	root_bits = pt->ias - pt_span_bits(pt, level);
	/* At most 16 tables together. */
	if (root_bits > granule - 3 + 4)
		return false;
	pt->root_level = level;
	pt->root_bits = root_bits;
	pt->root = bits_in_place(ste[3], 51, 4) & ~low_bits(root_bits + 3);
	pt->flags = (ds ? (uint32_t)PT_DS : 0) | (bit(ste[2], 53) ? (uint32_t)PT_AF_IGNORED : 0) | (bit(ste[2], 56) ? (uint32_t)PT_HW_ACCESSED : 0) |
		    (bits(ste[2], 56, 55) == 3 ? (uint32_t)PT_HW_DIRTY : 0);
	return true;
}

/* One half of a context descriptor. Returns false if it is illegal. */
static bool first_stage(const struct unit_config *config, const uint64_t *ste, const uint64_t *cd, bool upper, struct pt *pt)
{
	uint64_t half = upper ? bits(cd[0], 31, 16) : bits(cd[0], 15, 0), ttb = upper ? cd[2] : cd[1];
	uint32_t granule = granule_bits(bits(half, 7, 6), upper);
	bool ds = bit(cd[2], 58) && granule < 16;

	*pt = (struct pt){ .format = &pt_arm_s1, .oas = output_bits(config, bits(cd[0], 34, 32)), .flags = upper ? PT_UPPER : 0 };
	if (bit(half, 14)) {
		pt_levels(pt, 12, 48, 0);
		pt->flags |= PT_DISABLED;
		pt->disabled = upper ? "EPD1 is 1 in the context descriptor: no walks for upper addresses" : "EPD0 is 1 in the context descriptor: no walks for lower addresses";
		return true;
	}
	if (!granule || !input_size(bits(half, 5, 0), granule, ds || granule == 16))
		return false;
	if (!ds && granule < 16 && pt->oas > 48)
		pt->oas = 48;
	pt_levels(pt, granule, 64 - (uint32_t)bits(half, 5, 0), 0);
	/* The base is aligned to the table, and to 64 bytes for addresses of 52 bits. */
	pt->root = bits_in_place(ttb, 51, 4) & ~low_bits(pt->root_bits + 3);
	if (pt->oas == 52)
		pt->root &= ~low_bits(6);
	if (ds)
		pt->flags |= PT_DS;
	if (bit(cd[0], 35))
		pt->flags |= PT_AF_IGNORED;
	if (bit(cd[0], 43))
		pt->flags |= PT_HW_ACCESSED;
	if (bits(cd[0], 43, 42) == 3)
		pt->flags |= PT_HW_DIRTY;
	if (bit(ttb, 1))
		pt->flags |= PT_HAD;
	if (bit(cd[0], upper ? 39 : 38))
		pt->flags |= PT_IGNORE_TOP;
	if (bits(ste[1], 49, 48) == 3)
		pt->flags |= PT_SUPERVISOR;
	if (bits(ste[1], 31, 30) == 2)
		pt->flags |= PT_EL2;
	return true;
}

/* The context descriptor's address is of stage 1's output where stage 2 translates. */
static int descriptor_read(const struct structure *structure, struct image *image, struct steps *steps, uint64_t *entry, struct context *context)
{
	struct outcome outcome = { 0 };

	if (!structure_read(structure, &context->spaces[0], image, steps, entry, &outcome))
		return 0;
	if (outcome.for_table && outcome.cause != CAUSE_FETCH) {
		unit_smmuv3.fault(context, &outcome, false, &context->fault);
		context->kind = CONTEXT_FAULT;
		snprintf(context->why, sizeof(context->why), "%s 0x%x cannot be read through stage 2: %.120s", structure->name, (unsigned int)structure->index,
			 outcome.why);
	} else {
		END(CONTEXT_UNKNOWN, F_CD_FETCH, "%s 0x%x at 0x%llx is not in the dump", structure->name, (unsigned int)structure->index,
		    (unsigned long long)(structure->table + structure->index * structure->nr_qwords * 8));
	}
	return -1;
}

static void context_descriptor(const struct unit_config *config, struct image *image, const uint64_t *ste, uint32_t ssid, struct steps *steps,
			       struct context *context)
{
	struct structure l1 = { "L1 context descriptor", bits_in_place(ste[0], 51, 6), 0, 1, l1cd_fields };
	struct structure descriptor = { "Context descriptor", bits_in_place(ste[0], 51, 6), ssid, 8, cd_fields };
	uint32_t format = (uint32_t)bits(ste[0], 5, 4), leaf_bits = format == 1 ? 6 : 10;
	uint64_t entry[STEP_QWORDS_MAX];
	struct space second;

	if (bits(ste[0], 63, 59) && format == 3) {
		END(CONTEXT_FAULT, C_BAD_STE, "S1Fmt is 3 in the stream table entry, which is reserved");
		return;
	}
	if (bits(ste[0], 63, 59) && format) {
		l1.index = ssid >> leaf_bits;
		descriptor.index = ssid & low_bits(leaf_bits);
		context->pasids = (UINT64_C(1) << leaf_bits) - descriptor.index;
		if (descriptor_read(&l1, image, steps, entry, context))
			return;
		if (!bit(entry[0], 0)) {
			END(CONTEXT_FAULT, C_BAD_SUBSTREAMID, "L1 context descriptor 0x%x has V = 0", (unsigned int)l1.index);
			return;
		}
		context->pasids = 1;
		descriptor.table = bits_in_place(entry[0], 51, 12);
	}
	if (descriptor_read(&descriptor, image, steps, entry, context)) {
		if (!context->spaces[0].second.format)
			context->pasids = structure_gap(image, descriptor.table + descriptor.index * 64, 64);
		return;
	}
	if (!bit(entry[0], 31)) {
		END(CONTEXT_FAULT, C_BAD_CD, "context descriptor 0x%x has V = 0", (unsigned int)descriptor.index);
		return;
	}
	if (!bit(entry[0], 41)) {
		END(CONTEXT_UNKNOWN, C_BAD_CD, "context descriptor 0x%x has AA64 = 0: tables of VMSAv8-32 or VMSAv9-128, which are not read here",
		    (unsigned int)descriptor.index);
		return;
	}
	snprintf(context->domain, sizeof(context->domain), "ASID %u", (unsigned int)bits(entry[0], 63, 48));
	second = context->spaces[0];
	context->spaces[1] = second;
	if (!first_stage(config, ste, entry, false, &context->spaces[0].first)) {
		context->spaces[0] = second;
		END(CONTEXT_FAULT, C_BAD_CD, "context descriptor 0x%x has a T0SZ or TG0 that does not exist", (unsigned int)descriptor.index);
		return;
	}
	/* EL2 has no upper addresses. */
	if (bits(ste[1], 31, 30) == 2)
		return;
	context->nr_spaces = 2;
	if (!first_stage(config, ste, entry, true, &context->spaces[1].first))
		END(CONTEXT_FAULT, C_BAD_CD, "context descriptor 0x%x has a T1SZ or TG1 that does not exist", (unsigned int)descriptor.index);
}

/* Which substream a transaction belongs to: its own, or what S1DSS says for those without. Returns false if that ends it. */
static bool substream(const uint64_t *ste, uint32_t pasid, struct context *context, uint32_t *ssid)
{
	uint32_t s1cdmax = (uint32_t)bits(ste[0], 63, 59), s1dss = (uint32_t)bits(ste[1], 1, 0);

	*ssid = pasid == NO_PASID ? 0 : pasid;
	context->nr_pasids = s1cdmax > 20 ? 0x100000 : s1cdmax ? 1U << s1cdmax : 0;
	if (pasid != NO_PASID) {
		if (pasid >= context->nr_pasids || (!pasid && s1dss == 2)) {
			END(CONTEXT_FAULT, C_BAD_SUBSTREAMID, "SubstreamID 0x%x is not one of those that S1CDMax = %u and S1DSS = %u admit", pasid, s1cdmax, s1dss);
			return false;
		}
		return true;
	}
	if (!s1cdmax || s1dss == 2)
		return true;
	if (s1dss == 1) {
		if (!context->spaces[0].second.format)
			context_end(context, CONTEXT_BYPASS, 0, "", "S1DSS is 1 in the stream table entry: without SubstreamID, stage 1 is bypassed");
		return false;
	}
	END(CONTEXT_FAULT, F_STREAM_DISABLED, "S1DSS is %u in the stream table entry: transactions without SubstreamID are terminated", s1dss);
	return false;
}

static void stream_entry(const struct unit_config *config, struct image *image, const uint64_t *ste, uint32_t id, uint32_t pasid, struct steps *steps,
			 struct context *context)
{
	uint32_t stages = (uint32_t)bits(ste[0], 3, 1), ssid;

	if (!bit(ste[0], 0)) {
		END(CONTEXT_FAULT, C_BAD_STE, "the stream table entry of StreamID 0x%x has V = 0", id);
		return;
	}
	if (!(stages & 4)) {
		context_end(context, CONTEXT_FAULT, 0, "no event: the transactions are aborted without one", "Config is %u in the stream table entry: abort", stages);
		return;
	}
	if (pasid != NO_PASID && !(stages & 1)) {
		END(CONTEXT_FAULT, C_BAD_SUBSTREAMID, "Config is %u in the stream table entry: without stage 1 there are no substreams", stages);
		return;
	}
	if (stages == 4) {
		context_end(context, CONTEXT_BYPASS, 0, "", "Config is 4 in the stream table entry: bypass");
		return;
	}
	if (stages & 2) {
		if (!bit(ste[2], 51)) {
			END(CONTEXT_UNKNOWN, C_BAD_STE, "S2AA64 is 0 in the stream table entry: tables of VMSAv8-32 or VMSAv9-128, which are not read here");
			return;
		}
		if (!second_stage(config, ste, &context->spaces[0].second)) {
			END(CONTEXT_FAULT, C_BAD_STE, "S2T0SZ, S2SL0 and S2TG of the stream table entry do not go together");
			return;
		}
		snprintf(context->domain, sizeof(context->domain), "VMID %u", (unsigned int)bits(ste[2], 15, 0));
	}
	if (stages & 1 && substream(ste, pasid, context, &ssid))
		context_descriptor(config, image, ste, ssid, steps, context);
}

static uint64_t effective_cfg(const struct unit_config *config)
{
	return config->has_strtab_cfg ? config->strtab_cfg : ASSUMED_LOG2SIZE;
}

static uint32_t log2size(const struct unit_config *config)
{
	uint32_t size = (uint32_t)bits(effective_cfg(config), 5, 0);

	return size > 32 ? 32 : size;
}

static uint64_t nr_ids(const struct unit_config *config)
{
	return UINT64_C(1) << log2size(config);
}

/* Where the stream table entry is. Returns false if there is none. */
static bool stream_table(const struct unit_config *config, struct image *image, uint32_t id, struct steps *steps, struct context *context,
			 struct structure *ste)
{
	uint64_t cfg = effective_cfg(config), split = bits(cfg, 10, 6), entry[STEP_QWORDS_MAX], span;
	struct structure l1 = { "L1 stream table descriptor", bits_in_place(config->root, 51, 6), 0, 1, l1std_fields };
	struct outcome outcome;

	if (bits(cfg, 17, 16) == 0) {
		ste->index = id;
		/* Hardware aligns the base to the table's size. */
		ste->table = bits_in_place(config->root, 51, 6);
		if (config->has_strtab_cfg)
			ste->table &= ~low_bits(log2size(config) + 6);
		return true;
	}
	/* Values that are reserved behave as 6. */
	if (split != 8 && split != 10)
		split = 6;
	l1.index = id >> split;
	if (log2size(config) > split)
		l1.table &= ~low_bits(log2size(config) - (uint32_t)split + 3);
	ste->index = id & low_bits((uint32_t)split);
	context->ids = (UINT64_C(1) << split) - ste->index;
	if (structure_read(&l1, NULL, image, steps, entry, &outcome)) {
		END(CONTEXT_UNKNOWN, F_STE_FETCH, "L1 stream table descriptor 0x%x is not in the dump", (unsigned int)l1.index);
		context->ids = structure_gap(image, l1.table + l1.index * 8, 8) - 1;
		context->ids = (context->ids > UINT32_MAX ? UINT32_MAX : context->ids << split) + (UINT64_C(1) << split) - ste->index;
		return false;
	}
	span = bits(entry[0], 4, 0);
	if (!span || span > split + 1 || ste->index >> (span - 1)) {
		END(CONTEXT_FAULT, C_BAD_STREAMID, "L1 stream table descriptor 0x%x has Span = %u, which does not reach StreamID 0x%x", (unsigned int)l1.index,
		    (unsigned int)span, id);
		return false;
	}
	context->ids = 1;
	ste->table = bits_in_place(entry[0], 51, 6) & ~low_bits((uint32_t)span + 5);
	return true;
}

static void resolve(const struct unit_config *config, struct image *image, uint32_t id, uint32_t pasid, struct steps *steps, struct context *context)
{
	struct structure ste = { "Stream table entry", 0, 0, 8, ste_fields };
	uint64_t entry[STEP_QWORDS_MAX];
	struct outcome outcome;

	*context = (struct context){ .ids = 1, .pasids = 1, .nr_spaces = 1 };
	register_step(steps, "SMMU_STRTAB_BASE", config->root, base_fields);
	register_step(steps, "SMMU_STRTAB_BASE_CFG", effective_cfg(config), cfg_fields);
	if (steps && !config->has_strtab_cfg && steps->count)
		step_note(&steps->list[steps->count - 1], "assumed; --strtab-cfg tells");
	if (id >= nr_ids(config)) {
		context->ids = UINT32_MAX;
		END(CONTEXT_FAULT, C_BAD_STREAMID, "StreamID 0x%x is beyond the stream table, which with LOG2SIZE = %u ends at 0x%llx", id, log2size(config),
		    (unsigned long long)nr_ids(config) - 1);
		return;
	}
	if (bits(effective_cfg(config), 17, 16) > 1) {
		context->ids = UINT32_MAX;
		END(CONTEXT_FAULT, C_BAD_STREAMID, "SMMU_STRTAB_BASE_CFG.FMT is %u, which is reserved", (unsigned int)bits(effective_cfg(config), 17, 16));
		return;
	}
	if (!stream_table(config, image, id, steps, context, &ste))
		return;
	if (structure_read(&ste, NULL, image, steps, entry, &outcome)) {
		context->ids = bits(effective_cfg(config), 17, 16) ? 1 : structure_gap(image, ste.table + ste.index * 64, 64);
		END(CONTEXT_UNKNOWN, F_STE_FETCH, "the stream table entry of StreamID 0x%x is not in the dump", id);
		return;
	}
	stream_entry(config, image, entry, id, pasid, steps, context);
}

static void fault(const struct context *context, const struct outcome *outcome, bool write, struct fault *fault)
{
	uint32_t event = F_TRANSLATION;

	(void)context;
	(void)write;
	if (outcome->cause == CAUSE_FETCH)
		event = F_WALK_EABT;
	else if (outcome->cause == CAUSE_ADDRESS_SIZE)
		event = F_ADDR_SIZE;
	else if (outcome->cause == CAUSE_ACCESSED)
		event = F_ACCESS;
	else if (outcome->cause == CAUSE_PERMISSION || outcome->cause == CAUSE_USER)
		event = F_PERMISSION;
	fault_set(fault, event, "%s%s", event_name(event), outcome->stage == 2 ? " of stage 2" : "");
}

const struct unit unit_smmuv3 = {
	.name = "smmuv3",
	.root_register = "SMMU_STRTAB_BASE",
	.pasid_name = "SubstreamID",
	.nr_ids = nr_ids,
	.resolve = resolve,
	.fault = fault,
};

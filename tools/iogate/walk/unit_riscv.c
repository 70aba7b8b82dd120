/* SPDX-License-Identifier: MIT */
/*
 * RISC-V IOMMU: device directory of one to three levels, device contexts in base and extended format (RISC-V IOMMU 3.1), process directory (3.2), and
 * the flat table of MSIs (3.4). Causes: 4.2.
 */
#include "unit.h"

#include <stdio.h>

#include "bits.h"
#include "formats.h"

static const struct field ddtp_fields[] = { { "iommu_mode", 0, 4, FIELD_NUMBER }, { "busy", 4, 1, FIELD_FLAG }, { "PPN", 10, 44, FIELD_PAGE }, { 0 } };

static const struct field directory_fields[] = { { "V", 0, 1, FIELD_FLAG }, { "PPN", 10, 44, FIELD_PAGE }, { 0 } };

#define CONTEXT_FIELDS                                                                                                                      \
	{ "V", 0, 1, FIELD_FLAG }, { "EN_ATS", 1, 1, FIELD_FLAG }, { "EN_PRI", 2, 1, FIELD_FLAG }, { "T2GPA", 3, 1, FIELD_FLAG },           \
	{ "DTF", 4, 1, FIELD_FLAG }, { "PDTV", 5, 1, FIELD_FLAG }, { "PRPR", 6, 1, FIELD_FLAG }, { "GADE", 7, 1, FIELD_FLAG },              \
	{ "SADE", 8, 1, FIELD_FLAG }, { "DPE", 9, 1, FIELD_FLAG }, { "SBE", 10, 1, FIELD_FLAG }, { "SXL", 11, 1, FIELD_FLAG },              \
	{ "iohgatp.MODE", 124, 4, FIELD_NUMBER }, { "iohgatp.GSCID", 108, 16, FIELD_NUMBER }, { "iohgatp.PPN", 64, 44, FIELD_PAGE },        \
	{ "ta.PSCID", 140, 20, FIELD_NUMBER }, { "fsc.MODE", 252, 4, FIELD_NUMBER }, { "fsc.PPN", 192, 44, FIELD_PAGE }

static const struct field base_context_fields[] = { CONTEXT_FIELDS, { 0 } };

static const struct field extended_context_fields[] = {
	CONTEXT_FIELDS,
	{ "msiptp.MODE", 316, 4, FIELD_NUMBER },
	{ "msiptp.PPN", 256, 44, FIELD_PAGE },
	{ "msi_addr_mask", 320, 52, FIELD_NUMBER },
	{ "msi_addr_pattern", 384, 52, FIELD_NUMBER },
	{ 0 },
};

static const struct field process_fields[] = {
	{ "V", 0, 1, FIELD_FLAG }, { "ENS", 1, 1, FIELD_FLAG }, { "SUM", 2, 1, FIELD_FLAG }, { "PSCID", 12, 20, FIELD_NUMBER },
	{ "fsc.MODE", 124, 4, FIELD_NUMBER }, { "fsc.PPN", 64, 44, FIELD_PAGE }, { 0 },
};

static const struct field msi_fields[] = {
	{ "V", 0, 1, FIELD_FLAG }, { "M", 1, 2, FIELD_NUMBER }, { "PPN", 10, 44, FIELD_PAGE }, { "C", 63, 1, FIELD_FLAG }, { 0 },
};

static const char *cause_name(uint32_t cause)
{
	switch (cause) {
	case 5:
		return "cause 5 (read access fault)";
	case 7:
		return "cause 7 (write/AMO access fault)";
	case 13:
		return "cause 13 (read page fault)";
	case 15:
		return "cause 15 (write/AMO page fault)";
	case 21:
		return "cause 21 (read guest-page fault)";
	case 23:
		return "cause 23 (write/AMO guest-page fault)";
	case 256:
		return "cause 256 (all inbound transactions disallowed)";
	case 257:
		return "cause 257 (DDT entry load access fault)";
	case 258:
		return "cause 258 (DDT entry not valid)";
	case 259:
		return "cause 259 (DDT entry misconfigured)";
	case 260:
		return "cause 260 (transaction type disallowed)";
	case 261:
		return "cause 261 (MSI PTE load access fault)";
	case 262:
		return "cause 262 (MSI PTE not valid)";
	case 263:
		return "cause 263 (MSI PTE misconfigured)";
	case 265:
		return "cause 265 (PDT entry load access fault)";
	case 266:
		return "cause 266 (PDT entry not valid)";
	case 267:
		return "cause 267 (PDT entry misconfigured)";
	default:
		return "an unknown cause";
	}
}

#define END(kind, code, ...) context_end(context, kind, code, cause_name(code), __VA_ARGS__)

/* Without the capabilities register: device contexts have the extended format, as capabilities.MSI_FLAT = 1 makes them. */
static bool extended(const struct unit_config *config)
{
	return !config->has_capability || bit(config->capability, 22);
}

static uint32_t machine_bits(const struct unit_config *config)
{
	return config->oas ? config->oas : 56;
}

/* Modes 8, 9, 10: Sv39, Sv48, Sv57. */
static bool first_stage(const struct unit_config *config, uint64_t fsc, bool ade, struct pt *pt)
{
	uint64_t mode = bits(fsc, 63, 60);

	if (!mode)
		return true;
	if (mode < 8 || mode > 10 || bits(fsc, 59, 44))
		return false;
	*pt = (struct pt){ .format = &pt_riscv, .root = bits(fsc, 43, 0) << 12, .oas = machine_bits(config), .flags = PT_SIGN_EXTENDED };
	if (ade)
		pt->flags |= PT_HW_ACCESSED | PT_HW_DIRTY;
	pt_levels(pt, 12, 39 + 9 * ((uint32_t)mode - 8), 0);
	return true;
}

static bool second_stage(const struct unit_config *config, uint64_t iohgatp, bool ade, struct pt *pt)
{
	uint64_t mode = bits(iohgatp, 63, 60);

	if (!mode)
		return true;
	/* The root has four pages and is aligned to them. */
	if (mode < 8 || mode > 10 || bits(iohgatp, 1, 0))
		return false;
	*pt = (struct pt){ .format = &pt_riscvx4, .root = bits(iohgatp, 43, 0) << 12, .oas = machine_bits(config) };
	if (ade)
		pt->flags |= PT_HW_ACCESSED | PT_HW_DIRTY;
	pt_levels(pt, 12, 41 + 9 * ((uint32_t)mode - 8), 2);
	return true;
}

/* Bits of @value where @mask has ones, packed. */
static uint64_t extract(uint64_t value, uint64_t mask)
{
	uint64_t packed = 0;
	uint32_t at = 0;

	for (uint32_t i = 0; i < 64; i++) {
		if (bit(mask, i))
			packed |= (uint64_t)bit(value, i) << at++;
	}
	return packed;
}

/* Guest addresses of interrupt files go by the MSI page table, not by the second stage. */
static bool msi_divert(const struct space *space, struct image *image, uint64_t gpa, struct steps *steps, struct walk *walk)
{
	uint64_t mask = space->msi[1], entry[STEP_QWORDS_MAX];
	struct structure pte = { "MSI PTE", bits(space->msi[0], 43, 0) << 12, 0, 2, msi_fields };
	struct outcome outcome = { .cause = CAUSE_MSI, .stage = 2 };
	bool missing, custom;

	if ((gpa >> 12 & ~mask) != (space->msi[2] & ~mask))
		return false;
	pte.index = extract(gpa >> 12, mask);
	missing = structure_read(&pte, NULL, image, steps, entry, &outcome);
	/* C: as the implementation likes. M = 1: an MRIF, by whose rules the write becomes a record in memory. */
	custom = bit(entry[0], 63) || bits(entry[0], 2, 1) == 1;
	if (missing) {
		outcome = (struct outcome){ .cause = CAUSE_FETCH, .stage = 2, .code = 261 };
		snprintf(outcome.why, sizeof(outcome.why), "MSI PTE 0x%llx is not in the dump", (unsigned long long)pte.index);
	} else if (!bit(entry[0], 0)) {
		outcome.code = 262;
		snprintf(outcome.why, sizeof(outcome.why), "MSI PTE 0x%llx: V is 0", (unsigned long long)pte.index);
	} else if (!custom && (bits(entry[0], 2, 1) != 3 || bits(entry[0], 9, 3) || bits(entry[0], 62, 54) || entry[1])) {
		outcome.code = 263;
		snprintf(outcome.why, sizeof(outcome.why), "MSI PTE 0x%llx: M is %u, or a reserved bit is 1", (unsigned long long)pte.index,
			 (unsigned int)bits(entry[0], 2, 1));
	} else {
		outcome.cause = CAUSE_NONE;
	}
	if (!walk->read.cause)
		walk->read = outcome;
	if (!walk->write.cause)
		walk->write = outcome;
	walk->found = !outcome.cause;
	walk->msi = walk->found;
	walk->paddr = bits(entry[0], 2, 1) == 1 ? bits(entry[0], 53, 7) << 9 : bits(entry[0], 53, 10) << 12 | (gpa & 0xfff);
	walk->page_bits = 12;
	return true;
}

/* The process context of @process_id. */
static void process_context(const struct unit_config *config, struct image *image, uint64_t fsc, bool ade, uint32_t process_id, struct steps *steps,
			    struct context *context)
{
	uint32_t levels = (uint32_t)bits(fsc, 63, 60), shift;
	struct structure directory = { "Process directory entry", bits(fsc, 43, 0) << 12, 0, 1, directory_fields };
	struct structure process = { "Process context", 0, process_id & 0xff, 2, process_fields };
	uint64_t entry[STEP_QWORDS_MAX];
	struct outcome outcome = { 0 };
	const struct structure *at = &directory;

	context->nr_pasids = levels >= 3 ? 0x100000 : 1U << (9 * levels - 1);
	if (process_id >= context->nr_pasids) {
		END(CONTEXT_FAULT, 260, "process_id 0x%x is beyond the process directory, which with pdtp.MODE = %u ends at 0x%x", process_id, levels,
		    context->nr_pasids - 1);
		return;
	}
	while (--levels) {
		shift = 9 * levels - 1;
		directory.index = process_id >> shift & 0x1ff;
		context->pasids = (UINT64_C(1) << shift) - (process_id & low_bits(shift));
		if (structure_read(&directory, &context->spaces[0], image, steps, entry, &outcome))
			goto unreadable;
		if (!bit(entry[0], 0)) {
			END(CONTEXT_FAULT, 266, "process directory entry 0x%x has V = 0", (unsigned int)directory.index);
			return;
		}
		if (bits(entry[0], 9, 1) || bits(entry[0], 63, 54)) {
			END(CONTEXT_FAULT, 267, "process directory entry 0x%x has a reserved bit set", (unsigned int)directory.index);
			return;
		}
		directory.table = bits(entry[0], 53, 10) << 12;
	}
	context->pasids = 1;
	process.table = directory.table;
	at = &process;
	if (structure_read(&process, &context->spaces[0], image, steps, entry, &outcome))
		goto unreadable;
	if (!bit(entry[0], 0))
		END(CONTEXT_FAULT, 266, "process context 0x%x has V = 0", (unsigned int)process.index);
	else if (bits(entry[0], 11, 3) || bits(entry[0], 63, 32) || !first_stage(config, entry[1], ade, &context->spaces[0].first))
		END(CONTEXT_FAULT, 267, "process context 0x%x has a reserved bit or mode", (unsigned int)process.index);
	return;
unreadable:
	if (outcome.for_table && outcome.cause != CAUSE_FETCH) {
		unit_riscv.fault(context, &outcome, false, &context->fault);
		context->kind = CONTEXT_FAULT;
		snprintf(context->why, sizeof(context->why), "%s 0x%x cannot be read through the second stage: %.120s", at->name, (unsigned int)at->index, outcome.why);
	} else {
		END(CONTEXT_UNKNOWN, 265, "%s 0x%x is not in the dump", at->name, (unsigned int)at->index);
	}
}

static void device_context(const struct unit_config *config, struct image *image, const uint64_t *dc, uint32_t id, uint32_t pasid, struct steps *steps,
			   struct context *context)
{
	bool ade = bit(dc[0], 8), process_directory = bit(dc[0], 5);
	struct space *space = &context->spaces[0];
	uint64_t msi_mode = extended(config) ? bits(dc[4], 63, 60) : 0;

	if (bits(dc[0], 23, 12) || bits(dc[0], 63, 32) || bits(dc[2], 11, 0) || (extended(config) && dc[7]) || (bit(dc[0], 9) && !process_directory) || msi_mode > 1 ||
	    !second_stage(config, dc[1], bit(dc[0], 7), &space->second)) {
		END(CONTEXT_FAULT, 259, "the device context of device 0x%x has a reserved bit, mode or combination", id);
		return;
	}
	snprintf(context->domain, sizeof(context->domain), "GSCID %u, PSCID %u", (unsigned int)bits(dc[1], 59, 44), (unsigned int)bits(dc[2], 31, 12));
	if (bit(dc[0], 10) || bit(dc[0], 11)) {
		END(CONTEXT_UNKNOWN, 259, "the device context of device 0x%x has %s = 1: %s tables, which are not read here", id, bit(dc[0], 10) ? "SBE" : "SXL",
		    bit(dc[0], 10) ? "big-endian" : "Sv32");
		return;
	}
	if (pasid != NO_PASID && !process_directory) {
		END(CONTEXT_FAULT, 260, "the device context of device 0x%x has PDTV = 0: requests with process_id are not accepted", id);
		return;
	}
	if (process_directory && bits(dc[3], 63, 60) > 3) {
		END(CONTEXT_FAULT, 259, "the device context of device 0x%x has pdtp.MODE = %u, which is reserved", id, (unsigned int)bits(dc[3], 63, 60));
		return;
	}
	if (process_directory && bits(dc[3], 63, 60) && (pasid != NO_PASID || bit(dc[0], 9))) {
		process_context(config, image, dc[3], ade, pasid == NO_PASID ? 0 : pasid, steps, context);
		if (context->kind)
			return;
	} else if (process_directory) {
		context->nr_pasids = bits(dc[3], 63, 60) == 0 ? 0 : bits(dc[3], 63, 60) > 2 ? 0x100000 : 1U << (9 * bits(dc[3], 63, 60) - 1);
	} else if (!first_stage(config, dc[3], ade, &space->first)) {
		END(CONTEXT_FAULT, 259, "the device context of device 0x%x has iosatp.MODE = %u, which is reserved, or a reserved bit", id,
		    (unsigned int)bits(dc[3], 63, 60));
		return;
	}
	if (msi_mode) {
		space->divert = msi_divert;
		space->msi[0] = dc[4];
		space->msi[1] = bits(dc[5], 51, 0);
		space->msi[2] = bits(dc[6], 51, 0);
	}
	if (!space->first.format && !space->second.format && !space->divert)
		context_end(context, CONTEXT_BYPASS, 0, "", "both stages are Bare in the device context of device 0x%x: not translated", id);
}

/* log2 of the device numbers below an entry of the directory at @level, 0 being that of device contexts. */
static uint32_t id_bits(const struct unit_config *config, uint32_t level)
{
	uint32_t first = extended(config) ? 6 : 7;

	if (!level)
		return 0;
	return level == 3 ? 24 : first + 9 * (level - 1);
}

static uint32_t directory_levels(const struct unit_config *config)
{
	uint64_t mode = bits(config->root, 3, 0);

	return mode >= 2 && mode <= 4 ? (uint32_t)mode - 1 : 0;
}

static uint64_t nr_ids(const struct unit_config *config)
{
	uint32_t levels = directory_levels(config);

	return levels ? UINT64_C(1) << id_bits(config, levels) : 1 << 24;
}

static void resolve(const struct unit_config *config, struct image *image, uint32_t id, uint32_t pasid, struct steps *steps, struct context *context)
{
	uint32_t levels = directory_levels(config), qwords = extended(config) ? 8 : 4, shift;
	struct structure directory = { "Device directory entry", bits(config->root, 53, 10) << 12, 0, 1, directory_fields };
	struct structure device = { "Device context", 0, id & low_bits(extended(config) ? 6 : 7), qwords, extended(config) ? extended_context_fields : base_context_fields };
	uint64_t entry[STEP_QWORDS_MAX] = { 0 };
	struct outcome outcome;

	*context = (struct context){ .ids = 1, .pasids = 1, .nr_spaces = 1 };
	register_step(steps, "ddtp", config->root, ddtp_fields);
	if (!levels) {
		context->ids = UINT32_MAX;
		if (bits(config->root, 3, 0) == 1)
			context_end(context, CONTEXT_BYPASS, 0, "", "ddtp.iommu_mode is Bare: not translated");
		else
			END(CONTEXT_FAULT, 256, "ddtp.iommu_mode is %u, %s: no DMA at all (--root takes the register: PPN from bit 10 on, mode 2 to 4 in bits 3:0)",
			    (unsigned int)bits(config->root, 3, 0), bits(config->root, 3, 0) ? "which is reserved" : "Off");
		return;
	}
	if (id >> id_bits(config, levels)) {
		context->ids = UINT32_MAX;
		END(CONTEXT_FAULT, 260, "device 0x%x is wider than the %u bits that a directory of %u level%s has", id, id_bits(config, levels), levels, levels > 1 ? "s" : "");
		return;
	}
	while (--levels) {
		shift = id_bits(config, levels);
		directory.index = id >> shift;
		if (levels == 1)
			directory.index &= 0x1ff;
		context->ids = (UINT64_C(1) << shift) - (id & low_bits(shift));
		if (structure_read(&directory, NULL, image, steps, entry, &outcome)) {
			END(CONTEXT_UNKNOWN, 257, "device directory entry 0x%x is not in the dump", (unsigned int)directory.index);
			return;
		}
		if (!bit(entry[0], 0)) {
			END(CONTEXT_FAULT, 258, "device directory entry 0x%x has V = 0: device 0x%x has no device context", (unsigned int)directory.index, id);
			return;
		}
		if (bits(entry[0], 9, 1) || bits(entry[0], 63, 54)) {
			END(CONTEXT_FAULT, 259, "device directory entry 0x%x has a reserved bit set", (unsigned int)directory.index);
			return;
		}
		directory.table = bits(entry[0], 53, 10) << 12;
	}
	context->ids = 1;
	device.table = directory.table;
	if (structure_read(&device, NULL, image, steps, entry, &outcome)) {
		END(CONTEXT_UNKNOWN, 257, "the device context of device 0x%x is not in the dump", id);
		return;
	}
	if (!bit(entry[0], 0))
		END(CONTEXT_FAULT, 258, "the device context of device 0x%x has V = 0", id);
	else
		device_context(config, image, entry, id, pasid, steps, context);
}

static void fault(const struct context *context, const struct outcome *outcome, bool write, struct fault *fault)
{
	uint32_t cause;

	(void)context;
	if (outcome->code)
		cause = outcome->code;
	else if (outcome->cause == CAUSE_FETCH)
		cause = write ? 7 : 5;
	else if (outcome->stage == 2)
		cause = write ? 23 : 21;
	else
		cause = write ? 15 : 13;
	fault_set(fault, cause, "%s", cause_name(cause));
}

const struct unit unit_riscv = {
	.name = "riscv",
	.root_register = "ddtp",
	.capability_register = "capabilities",
	.pasid_name = "process_id",
	.nr_ids = nr_ids,
	.resolve = resolve,
	.fault = fault,
};

/* SPDX-License-Identifier: MIT */
/*
 * An SMMUv3, by model.h.
 */
#include "smmuv3_bed.h"

const uint64_t model_command_mask = 0xff;

static uint32_t *reg_of(struct model *model, uintptr_t reg)
{
	uintptr_t offset = reg - MODEL_BASE;

	if (offset >= PAGE1) {
		assert_true(offset - PAGE1 < sizeof(model->page1));
		return &model->page1[(offset - PAGE1) / 4];
	}
	assert_true(offset < sizeof(model->registers));
	return model_register(model, (uint32_t)offset);
}

/* What a unit without the stage, the privilege level or ATS refuses (4.3 to 4.5). */
static bool illegal(struct model *model, uint32_t opcode)
{
	uint32_t idr0 = *model_register(model, IDR0);

	switch (opcode) {
	case CMD_CFGI_CD_ALL:
	case CMD_TLBI_NH_ASID:
	case CMD_TLBI_NH_VA:
		return !(idr0 & IDR0_S1P);
	case CMD_TLBI_S12_VMALL:
	case CMD_TLBI_S2_IPA:
		return !(idr0 & IDR0_S2P);
	case CMD_TLBI_EL2_ALL:
		return !(idr0 & IDR0_HYP);
	case CMD_ATC_INV:
		return !(idr0 & IDR0_ATS);
	default:
		return false;
	}
}

/* Take commands, at most @n. */
static void take(struct model *model, uint32_t n)
{
	uint64_t base = model->base64[1];
	uint32_t log2 = base & 0x1f, mask = (2u << log2) - 1;
	uint32_t *cons = model_register(model, CMDQ_CONS);

	while (n-- && !model->deaf && *model_register(model, CR0ACK) & CR0_CMDQEN && !((*model_register(model, GERROR) ^ *model_register(model, GERRORN)) & GERROR_CMDQ) &&
	       ((*cons ^ *model_register(model, CMDQ_PROD)) & mask)) {
		const uint64_t *command = (const uint64_t *)model_memory(model, base & BITS(51, 5)) + 2 * (size_t)(*cons & ((1u << log2) - 1));
		uint32_t opcode = command[0] & 0xff;

		*cons &= mask;
		if (illegal(model, opcode)) {
			*cons |= CERROR_ILL << 24;
			*model_register(model, GERROR) ^= (uint32_t)GERROR_CMDQ;
			return;
		}
		if (model->refuse_times && opcode == model->refuse) {
			model->refuse_times--;
			*cons |= model->refuse_error << 24;
			*model_register(model, GERROR) ^= (uint32_t)GERROR_CMDQ;
			return;
		}
		model_record(model, command, opcode == CMD_SYNC);
		*cons = (*cons + 1) & mask;
	}
}

static uint32_t read32(void *ctx, uintptr_t reg)
{
	struct model *model = ctx;
	uint32_t value;

	pthread_mutex_lock(&model->lock);
	/* What it did not take at the doorbell. */
	if (reg == MODEL_BASE + CMDQ_CONS)
		take(model, model->lazy ? model->lazy : UINT32_MAX);
	value = model->dead ? UINT32_MAX : *reg_of(model, reg);
	pthread_mutex_unlock(&model->lock);
	return value;
}

static void write32(void *ctx, uintptr_t reg, uint32_t value)
{
	struct model *model = ctx;

	pthread_mutex_lock(&model->lock);
	*reg_of(model, reg) = value;
	switch (reg - MODEL_BASE) {
	case CR0:
		if (!model->mute)
			*model_register(model, CR0ACK) = value;
		break;
	case IRQ_CTRL:
		if (!model->mute)
			*model_register(model, IRQ_CTRLACK) = value;
		break;
	case GBPA:
		*model_register(model, GBPA) = value & ~(uint32_t)GBPA_UPDATE;
		break;
	case CMDQ_PROD:
		model->doorbells++;
		if (!model->lazy)
			take(model, UINT32_MAX);
		break;
	case GERRORN:
		if (!model->lazy)
			take(model, UINT32_MAX);
		break;
	default:
		break;
	}
	pthread_mutex_unlock(&model->lock);
}

static uint64_t read64(void *ctx, uintptr_t reg)
{
	(void)ctx;
	(void)reg;
	fail_msg("no register of 64 bits is read");
	return 0;
}

static void write64(void *ctx, uintptr_t reg, uint64_t value)
{
	struct model *model = ctx;

	switch (reg - MODEL_BASE) {
	case STRTAB_BASE:
		model->base64[0] = value;
		break;
	case CMDQ_BASE:
		model->base64[1] = value;
		break;
	case EVENTQ_BASE:
		model->base64[2] = value;
		break;
	case GERROR_IRQ_CFG0:
	case EVENTQ_IRQ_CFG0:
		break;
	default:
		fail_msg("a register of 64 bits that there is not: 0x%lx", (unsigned long)(reg - MODEL_BASE));
	}
}

void model_init(struct model *model)
{
	model_host_init(model);
	model->platform.mmio_read32 = read32;
	model->platform.mmio_read64 = read64;
	model->platform.mmio_write32 = write32;
	model->platform.mmio_write64 = write64;
	*model_register(model, IDR0) = (uint32_t)(IDR0_S1P | IDR0_S2P | IDR0_TTF_AARCH64 | IDR0_COHACC | IDR0_ASID16 | IDR0_VMID16 | IDR0_ATS | (1 << 24) | (1 << 27));
	*model_register(model, IDR1) = 16 | (10 << 16) | (10 << 21);
	*model_register(model, IDR3) = (uint32_t)IDR3_RIL;
	*model_register(model, IDR5) = (uint32_t)(5 | IDR5_GRAN4K | IDR5_GRAN16K | IDR5_GRAN64K);
}

bool model_event(struct model *model, const uint64_t event[4])
{
	uint32_t log2 = model->base64[2] & 0x1f, mask = (2u << log2) - 1;
	uint32_t *prod = &model->page1[EVENTQ_PROD / 4], cons = model->page1[EVENTQ_CONS / 4];

	if (((*prod - cons) & mask) == 1u << log2) {
		/* Once, until it has been acknowledged. */
		if (!((*prod ^ cons) & EVENTQ_OVERFLOW))
			*prod ^= (uint32_t)EVENTQ_OVERFLOW;
		return false;
	}
	memcpy((uint64_t *)model_memory(model, model->base64[2] & BITS(51, 5)) + 4 * (size_t)(*prod & ((1u << log2) - 1)), event, 32);
	*prod = (*prod & (uint32_t)EVENTQ_OVERFLOW) | ((*prod + 1) & mask);
	return true;
}

const uint64_t *model_entry(struct model *model, uint32_t stream)
{
	uint64_t table = model->base64[0] & BITS(51, 6);
	uint32_t cfg = *model_register(model, STRTAB_BASE_CFG), split = cfg >> 6 & 0x1f;
	uint64_t descriptor;

	if (stream >> (cfg & 0x3f))
		return NULL;
	if (!(cfg >> 16))
		return (const uint64_t *)model_memory(model, table) + (size_t)stream * 8;
	descriptor = ((const uint64_t *)model_memory(model, table))[stream >> split];
	if (!(descriptor & 0x1f) || (stream & ((1u << split) - 1)) >> ((descriptor & 0x1f) - 1))
		return NULL;
	return (const uint64_t *)model_memory(model, descriptor & BITS(51, 6)) + (size_t)(stream & ((1u << split) - 1)) * 8;
}

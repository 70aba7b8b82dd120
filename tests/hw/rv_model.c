/* SPDX-License-Identifier: MIT */
/*
 * A RISC-V IOMMU, by model.h: it answers fences, too.
 */
#include "riscv_bed.h"

const uint64_t model_command_mask = CMD_MASK;

static void take(struct model *model)
{
	uint64_t base = *model_register64(model, CQB);
	uint32_t mask = (2u << (base & 0x1f)) - 1, *head = model_register(model, CQH), *csr = model_register(model, CQCSR);

	while (!model->deaf && *csr & CSR_ON && !(*csr & CQCSR_ERRORS) && *head != *model_register(model, CQT)) {
		const uint64_t *command = (const uint64_t *)model_memory(model, (base & PPN_MASK) << 2) + 2 * (size_t)*head;

		if (model->refuse_times && (command[0] & CMD_MASK) == model->refuse) {
			model->refuse_times--;
			*csr |= model->refuse_error;
			return;
		}
		model_record(model, command, (command[0] & CMD_MASK) == CMD_IOFENCE_C);
		if ((command[0] & CMD_MASK) == CMD_IOFENCE_C && command[0] & CMD0_AV)
			__atomic_store_n((uint32_t *)model_memory(model, command[1] << 2), (uint32_t)(command[0] >> 32), __ATOMIC_RELEASE);
		*head = (*head + 1) & mask;
	}
}

static uint32_t read32(void *ctx, uintptr_t reg)
{
	struct model *model = ctx;
	uint32_t value;

	pthread_mutex_lock(&model->lock);
	model->reads++;
	assert_true(reg - MODEL_BASE < sizeof(model->registers));
	value = model->dead ? UINT32_MAX : *model_register(model, (uint32_t)(reg - MODEL_BASE));
	pthread_mutex_unlock(&model->lock);
	return value;
}

static uint64_t read64(void *ctx, uintptr_t reg)
{
	struct model *model = ctx;

	model->reads++;
	return model->dead ? UINT64_MAX : *model_register64(model, (uint32_t)(reg - MODEL_BASE));
}

/* Enabling sets the head, errors are cleared by ones. */
static void csr_write(struct model *model, uint32_t offset, uint32_t errors, uint32_t head, uint32_t tail, uint32_t value)
{
	uint32_t *csr = model_register(model, offset), was = *csr;

	if (model->mute)
		return;
	*csr = (value & 3) | (was & errors & ~value) | (value & 1 ? CSR_ON : 0);
	if (value & 1 && !(was & CSR_ON)) {
		*model_register(model, head) = 0;
		*model_register(model, tail) = 0;
	}
}

static void write32(void *ctx, uintptr_t reg, uint32_t value)
{
	struct model *model = ctx;
	uint32_t offset = (uint32_t)(reg - MODEL_BASE);

	pthread_mutex_lock(&model->lock);
	assert_true(offset < sizeof(model->registers));
	switch (offset) {
	case CQCSR:
		csr_write(model, offset, CQCSR_ERRORS, CQH, CQT, value);
		take(model);
		break;
	case FQCSR:
		csr_write(model, offset, FQCSR_FQOF | FQCSR_FQMF, FQH, FQT, value);
		break;
	case PQCSR:
		csr_write(model, offset, 0, 64, 68, value);
		break;
	case FCTL:
		/* 6.4: anything else is not specified. */
		if (value != *model_register(model, FCTL))
			assert_true(DDTP_MODE(*model_register64(model, DDTP)) == DDTP_OFF &&
				    !((*model_register(model, CQCSR) | *model_register(model, FQCSR) | *model_register(model, PQCSR)) & (CSR_ON | 1)));
		*model_register(model, offset) = value;
		break;
	case IPSR:
		*model_register(model, offset) &= ~value;
		break;
	case CQT:
		*model_register(model, offset) = value;
		model->doorbells++;
		take(model);
		break;
	default:
		*model_register(model, offset) = value;
	}
	pthread_mutex_unlock(&model->lock);
}

static void write64(void *ctx, uintptr_t reg, uint64_t value)
{
	struct model *model = ctx;
	uint32_t offset = (uint32_t)(reg - MODEL_BASE);

	if (offset == DDTP) {
		uint64_t now = *model_register64(model, DDTP);

		/* 6.5: anything else is not specified. */
		if (DDTP_MODE(value) == DDTP_OFF)
			assert_int_equal(value & PPN_MASK, now & PPN_MASK);
		else
			assert_true(DDTP_MODE(now) == DDTP_OFF || (DDTP_MODE(now) == DDTP_BARE && DDTP_MODE(value) != DDTP_BARE));
		if (model->mute || DDTP_MODE(value) > DDTP_BARE + model->most_levels)
			return;
	}
	*model_register64(model, offset) = value;
}

void model_init(struct model *model)
{
	model_host_init(model);
	model->most_levels = 3;
	model->platform.mmio_read32 = read32;
	model->platform.mmio_read64 = read64;
	model->platform.mmio_write32 = write32;
	model->platform.mmio_write64 = write64;
	*model_register64(model, CAPABILITIES) =
		0x10 | CAP_SV39 | CAP_SV48 | CAP_SV57 | CAP_SV39X4 | CAP_SV48X4 | CAP_SV57X4 | CAP_MSI_FLAT | CAP_ATS | UINT64_C(2) << 28 | UINT64_C(56) << 32 | CAP_NL | CAP_S;
	*model_register64(model, DDTP) = DDTP_BARE;
}

bool model_event(struct model *model, const uint64_t record[4])
{
	uint64_t base = *model_register64(model, FQB);
	uint32_t mask = (2u << (base & 0x1f)) - 1, *tail = model_register(model, FQT), *csr = model_register(model, FQCSR);

	if (*csr & (FQCSR_FQOF | FQCSR_FQMF) || !(*csr & CSR_ON))
		return false;
	if (((*tail + 1) & mask) == *model_register(model, FQH)) {
		*csr |= FQCSR_FQOF;
		return false;
	}
	memcpy((uint64_t *)model_memory(model, (base & PPN_MASK) << 2) + 4 * (size_t)*tail, record, 32);
	*tail = (*tail + 1) & mask;
	*model_register(model, IPSR) |= IPSR_FIP;
	return true;
}

const uint64_t *model_entry(struct model *model, uint32_t device)
{
	uint64_t ddtp = *model_register64(model, DDTP);
	bool extended = *model_register64(model, CAPABILITIES) & CAP_MSI_FLAT;
	uint32_t bits = extended ? 6 : 7, level = DDTP_MODE(ddtp) - DDTP_1LVL;
	const uint64_t *page = model_memory(model, (ddtp & PPN_MASK) << 2);

	if (device >> (bits + 9 * level))
		return NULL;
	for (; level; level--) {
		uint64_t entry = page[device >> (bits + 9 * (level - 1)) & 0x1ff];

		if (!(entry & DDTE_V))
			return NULL;
		page = model_memory(model, (entry & PPN_MASK) << 2);
	}
	return page + (device & ((1u << bits) - 1)) * (extended ? 8 : 4);
}

/* SPDX-License-Identifier: MIT */
/*
 * See smmu_model.h.
 */
#include "smmu_model.h"

static uint32_t *reg_of(struct model *model, uintptr_t reg)
{
	uintptr_t offset = reg - MODEL_BASE;

	if (offset >= PAGE1) {
		assert_true(offset - PAGE1 < sizeof(model->page1));
		return &model->page1[(offset - PAGE1) / 4];
	}
	assert_true(offset < sizeof(model->registers));
	return &model->registers[offset / 4];
}

static void *memory(const struct model *model, uint64_t paddr)
{
	return (void *)(uintptr_t)(paddr + model->platform.direct_map_offset);
}

static uint32_t *named(struct model *model, uint32_t offset)
{
	return &model->registers[offset / 4];
}

/* What a unit without the stage, the privilege level or ATS refuses (4.3 to 4.5). */
static bool illegal(struct model *model, uint32_t opcode)
{
	uint32_t idr0 = *named(model, IDR0);

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
	uint32_t *cons = named(model, CMDQ_CONS);

	while (n-- && !model->deaf && *named(model, CR0ACK) & CR0_CMDQEN && !((*named(model, GERROR) ^ *named(model, GERRORN)) & GERROR_CMDQ) &&
	       ((*cons ^ *named(model, CMDQ_PROD)) & mask)) {
		const uint64_t *command = (const uint64_t *)memory(model, base & BITS(51, 5)) + 2 * (size_t)(*cons & ((1u << log2) - 1));
		uint32_t opcode = command[0] & 0xff;

		*cons &= mask;
		if (illegal(model, opcode)) {
			*cons |= CERROR_ILL << 24;
			*named(model, GERROR) ^= (uint32_t)GERROR_CMDQ;
			return;
		}
		if (model->refuse_times && opcode == model->refuse) {
			model->refuse_times--;
			*cons |= model->refuse_error << 24;
			*named(model, GERROR) ^= (uint32_t)GERROR_CMDQ;
			return;
		}
		assert_true(model->nr_log < MODEL_LOG);
		memcpy(model->log[model->nr_log++], command, 16);
		if (opcode == CMD_SYNC) {
			model->syncs++;
			if (model->at_sync)
				model->at_sync(model);
		}
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
			*named(model, CR0ACK) = value;
		break;
	case IRQ_CTRL:
		if (!model->mute)
			*named(model, IRQ_CTRLACK) = value;
		break;
	case GBPA:
		*named(model, GBPA) = value & ~(uint32_t)GBPA_UPDATE;
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

static uint64_t now_ns(void *ctx)
{
	struct model *model = ctx;
	uint64_t now;

	pthread_mutex_lock(&model->lock);
	now = model->now += model->step;
	pthread_mutex_unlock(&model->lock);
	return now;
}

/* The platform's functions get the model; those of memory are the process's. */
static void *pages_alloc(void *ctx, size_t size)
{
	const struct iog_platform *inner = iog_posix_platform(((struct model *)ctx)->posix);

	return inner->pages_alloc(inner->ctx, size);
}

static void pages_free(void *ctx, void *pages, size_t size)
{
	const struct iog_platform *inner = iog_posix_platform(((struct model *)ctx)->posix);

	inner->pages_free(inner->ctx, pages, size);
}

static void *object_alloc(void *ctx, size_t size)
{
	const struct iog_platform *inner = iog_posix_platform(((struct model *)ctx)->posix);

	return inner->object_alloc(inner->ctx, size);
}

static void object_free(void *ctx, void *object, size_t size)
{
	const struct iog_platform *inner = iog_posix_platform(((struct model *)ctx)->posix);

	inner->object_free(inner->ctx, object, size);
}

static void cache_clean(void *ctx, const void *va, size_t size)
{
	struct model *model = ctx;

	(void)va;
	(void)size;
	__atomic_fetch_add(&model->cleans, 1, __ATOMIC_RELAXED);
}

static void relax(void *ctx)
{
	(void)ctx;
	sched_yield();
}

void model_init(struct model *model)
{
	memset(model, 0, sizeof(*model));
	pthread_mutex_init(&model->lock, NULL);
	assert_int_equal(iog_posix_create(NULL, &model->posix), 0);
	model->step = 1000;
	model->platform = (struct iog_platform){
		.ctx = model,
		.direct_map_offset = iog_posix_platform(model->posix)->direct_map_offset,
		.pages_alloc = pages_alloc,
		.pages_free = pages_free,
		.object_alloc = object_alloc,
		.object_free = object_free,
		.cache_clean = cache_clean,
		.cache_flush = cache_clean,
		.now_ns = now_ns,
		.relax = relax,
		.mmio_read32 = read32,
		.mmio_read64 = read64,
		.mmio_write32 = write32,
		.mmio_write64 = write64,
	};
	*named(model, IDR0) = (uint32_t)(IDR0_S1P | IDR0_S2P | IDR0_TTF_AARCH64 | IDR0_COHACC | IDR0_ASID16 | IDR0_VMID16 | IDR0_ATS | (1 << 24) | (1 << 27));
	*named(model, IDR1) = 16 | (10 << 16) | (10 << 21);
	*named(model, IDR3) = (uint32_t)IDR3_RIL;
	*named(model, IDR5) = (uint32_t)(5 | IDR5_GRAN4K | IDR5_GRAN16K | IDR5_GRAN64K);
}

void model_fini(struct model *model)
{
	struct iog_posix_stats stats;

	iog_posix_stats(model->posix, &stats);
	assert_int_equal(stats.page_bytes, 0);
	assert_int_equal(stats.object_bytes, 0);
	iog_posix_destroy(model->posix);
	pthread_mutex_destroy(&model->lock);
}

uint32_t model_count(const struct model *model, uint32_t opcode)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < model->nr_log; i++)
		n += (model->log[i][0] & 0xff) == opcode;
	return n;
}

void model_forget(struct model *model)
{
	model->nr_log = 0;
	model->syncs = 0;
	model->doorbells = 0;
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
	memcpy((uint64_t *)memory(model, model->base64[2] & BITS(51, 5)) + 4 * (size_t)(*prod & ((1u << log2) - 1)), event, 32);
	*prod = (*prod & (uint32_t)EVENTQ_OVERFLOW) | ((*prod + 1) & mask);
	return true;
}

const uint64_t *model_entry(struct model *model, uint32_t stream)
{
	uint64_t table = model->base64[0] & BITS(51, 6);
	uint32_t cfg = *named(model, STRTAB_BASE_CFG), split = cfg >> 6 & 0x1f;
	uint64_t descriptor;

	if (stream >> (cfg & 0x3f))
		return NULL;
	if (!(cfg >> 16))
		return (const uint64_t *)memory(model, table) + (size_t)stream * 8;
	descriptor = ((const uint64_t *)memory(model, table))[stream >> split];
	if (!(descriptor & 0x1f) || (stream & ((1u << split) - 1)) >> ((descriptor & 0x1f) - 1))
		return NULL;
	return (const uint64_t *)memory(model, descriptor & BITS(51, 6)) + (size_t)(stream & ((1u << split) - 1)) * 8;
}

/* SPDX-License-Identifier: MIT */
/*
 * The unit: what it has, and turning it on and off (SMMUv3 6.3).
 */
#include "../../pgtable/memory.h"
#include "smmuv3.h"

#define TIMEOUT_MS_DEFAULT 1000u
#define DEVICE_TIMEOUT_MS_DEFAULT 10000u
#define STREAM_BITS_MAX 24u
#define STREAM_BITS_DEFAULT 16u
#define COMMAND_LOG2_DEFAULT 8u
#define EVENT_LOG2_DEFAULT 7u
#define COMMANDS_MOST 64u
#define QUEUE_LOG2_MAX 19u

void *iog_smmuv3_pages(const struct iog_smmuv3 *smmu, size_t size)
{
	void *pages = smmu->platform->pages_alloc(smmu->platform->ctx, size);

	if (pages) {
		memset(pages, 0, size);
		smmu_clean(smmu, pages, size);
	}
	return pages;
}

static int info_read(struct iog_smmuv3 *smmu)
{
	static const uint8_t sizes[] = { 32, 36, 40, 42, 44, 48, 52, 52 };
	uint32_t idr0 = iog_mmio_read32(&smmu->page0, IDR0), idr1 = iog_mmio_read32(&smmu->page0, IDR1), idr3 = iog_mmio_read32(&smmu->page0, IDR3),
		 idr5 = iog_mmio_read32(&smmu->page0, IDR5);
	struct iog_smmuv3_info *info = &smmu->info;
	uint32_t queue_max;

	if (idr0 == UINT32_MAX || !(idr0 & IDR0_TTF_AARCH64) || !(idr0 & (IDR0_S1P | IDR0_S2P)) || idr1 & (IDR1_QUEUES_PRESET | IDR1_TABLES_PRESET))
		return -IOG_EOPNOTSUPP;
	*info = (struct iog_smmuv3_info){
		.stage1 = idr0 & IDR0_S1P,
		.stage2 = idr0 & IDR0_S2P,
		.two_level = IDR0_ST_LEVEL(idr0) == 1,
		.coherent = idr0 & IDR0_COHACC,
		.ats = idr0 & IDR0_ATS,
		.range = idr3 & IDR3_RIL,
		.msi = idr0 & IDR0_MSI,
		.wide = idr5 & IDR5_DS,
		.stall_model = (uint8_t)IDR0_STALL_MODEL(idr0),
		.bbm = (uint8_t)IDR3_BBML(idr3),
		.asid_bits = idr0 & IDR0_ASID16 ? 16 : 8,
		.vmid_bits = idr0 & IDR0_VMID16 ? 16 : 8,
		.stream_bits = (uint8_t)IDR1_SIDSIZE(idr1),
		.oas = sizes[IDR5_OAS(idr5)],
		.ias = idr5 & IDR5_VAX_52 ? 52 : 48,
		.granules = (idr5 & IDR5_GRAN4K ? UINT64_C(1) << 12 : 0) | (idr5 & IDR5_GRAN16K ? UINT64_C(1) << 14 : 0) | (idr5 & IDR5_GRAN64K ? UINT64_C(1) << 16 : 0),
	};
	smmu->stalls_forced = info->stall_model == STALL_FORCED;
	/* How large queues may be; a command is 16 bytes, an event 32. */
	queue_max = (uint32_t)IDR1_CMDQS(idr1) < QUEUE_LOG2_MAX ? (uint32_t)IDR1_CMDQS(idr1) : QUEUE_LOG2_MAX;
	if (smmu->config.command_log2 > queue_max)
		smmu->config.command_log2 = queue_max;
	queue_max = (uint32_t)IDR1_EVENTQS(idr1) < QUEUE_LOG2_MAX ? (uint32_t)IDR1_EVENTQS(idr1) : QUEUE_LOG2_MAX;
	if (smmu->config.event_log2 > queue_max)
		smmu->config.event_log2 = queue_max;
	if (!smmu->config.stream_bits)
		smmu->config.stream_bits = info->stream_bits < STREAM_BITS_DEFAULT ? info->stream_bits : STREAM_BITS_DEFAULT;
	/* Two commands have to fit: one, and a CMD_SYNC. */
	return smmu->config.stream_bits > info->stream_bits || !smmu->config.command_log2 ? -IOG_EINVAL : 0;
}

static int config_take(struct iog_smmuv3 *smmu, const struct iog_smmuv3_config *config)
{
	uint32_t known = IOG_SMMUV3_LINEAR | IOG_SMMUV3_ABORT_WHEN_OFF;

	if (config->flags & ~known || config->stream_bits > STREAM_BITS_MAX || config->commands_max > COMMANDS_MOST || config->command_log2 > QUEUE_LOG2_MAX ||
	    config->event_log2 > QUEUE_LOG2_MAX)
		return -IOG_EINVAL;
	smmu->config = *config;
	if (!config->page1)
		smmu->config.page1 = config->registers + PAGE1;
	if (!config->command_log2)
		smmu->config.command_log2 = COMMAND_LOG2_DEFAULT;
	if (!config->event_log2)
		smmu->config.event_log2 = EVENT_LOG2_DEFAULT;
	if (!config->timeout_ms)
		smmu->config.timeout_ms = TIMEOUT_MS_DEFAULT;
	if (!config->device_timeout_ms)
		smmu->config.device_timeout_ms = DEVICE_TIMEOUT_MS_DEFAULT;
	if (!config->commands_max)
		smmu->config.commands_max = COMMANDS_MOST;
	return 0;
}

static size_t event_bytes(const struct iog_smmuv3 *smmu)
{
	size_t bytes = (EVENT_WORDS * sizeof(uint64_t)) << smmu->event_log2;

	return bytes < 4096 ? 4096 : bytes;
}

static const struct iog_unit_ops unit_ops = {
	.domain_add = iog_smmuv3_domain_add,
	.domain_remove = iog_smmuv3_domain_remove,
	.device_set = iog_smmuv3_device_set,
	.invalidate = iog_smmuv3_invalidate,
	.device_invalidate = iog_smmuv3_device_invalidate,
	.device_block = iog_smmuv3_device_block,
};

static const struct iog_unit_ops unit_ops_without_ats = {
	.domain_add = iog_smmuv3_domain_add,
	.domain_remove = iog_smmuv3_domain_remove,
	.device_set = iog_smmuv3_device_set,
	.invalidate = iog_smmuv3_invalidate,
};

static int unit_create(struct iog_smmuv3 *smmu)
{
	const struct iog_smmuv3_info *info = &smmu->info;
	uint32_t bits = info->stage1 && info->stage2 ? (info->asid_bits < info->vmid_bits ? info->asid_bits : info->vmid_bits)
						     : (info->stage1 ? info->asid_bits : info->vmid_bits);

	smmu->unit.ops = info->ats ? &unit_ops : &unit_ops_without_ats;
	smmu->unit.platform = smmu->platform;
	/* Stage 2 takes addresses as wide as what it gives out; domain_add() tells the stages apart. */
	smmu->unit.ias = info->stage1 ? info->ias : 0;
	if (info->stage2 && info->oas > smmu->unit.ias)
		smmu->unit.ias = info->oas;
	smmu->unit.oas = info->oas;
	smmu->unit.pgtable_flags = info->coherent ? 0 : IOG_PGTABLE_NONCOHERENT;
	smmu->unit.domain_ids = (1u << bits) - 1;
	return iog_unit_init(&smmu->unit);
}

/* Whatever there is of it. The unit is off. */
static void smmu_free(struct iog_smmuv3 *smmu)
{
	const struct iog_platform *platform = smmu->platform;

	iog_fault_log_destroy(smmu->faults);
	if (smmu->events)
		platform->pages_free(platform->ctx, smmu->events, event_bytes(smmu));
	iog_ring_destroy(&smmu->ring);
	iog_smmuv3_streams_destroy(smmu);
	iog_smmuv3_domains_destroy(smmu);
	platform->object_free(platform->ctx, smmu, sizeof(*smmu));
}

static int smmu_fill(struct iog_smmuv3 *smmu)
{
	int error = unit_create(smmu);

	if (error)
		return error;
	error = iog_smmuv3_domains_create(smmu);
	if (!error)
		error = iog_smmuv3_streams_create(smmu);
	if (!error)
		error = iog_fault_log_create(smmu->platform, &smmu->config.faults, &smmu->faults);
	if (!error) {
		smmu->ring.ops = &iog_smmuv3_ring_ops;
		smmu->ring.coherent = smmu->info.coherent;
		error = iog_ring_create(&smmu->ring, smmu->platform, smmu->config.command_log2, 4, true);
	}
	if (!error) {
		smmu->event_log2 = smmu->config.event_log2;
		smmu->events = iog_smmuv3_pages(smmu, event_bytes(smmu));
		error = smmu->events ? 0 : -IOG_ENOMEM;
	}
	if (error)
		(void)iog_unit_fini(&smmu->unit);
	return error;
}

int iog_smmuv3_create(const struct iog_smmuv3_config *config, struct iog_smmuv3 **result)
{
	const struct iog_platform *platform = config->platform;
	struct iog_smmuv3 *smmu;
	int error;

	if (!iog_platform_serves(platform) || !config->registers)
		return -IOG_EINVAL;
	smmu = platform->object_alloc(platform->ctx, sizeof(*smmu));
	if (!smmu)
		return -IOG_ENOMEM;
	smmu->platform = platform;
	error = config_take(smmu, config);
	if (!error)
		error = iog_mmio_init(&smmu->page0, platform, smmu->config.registers);
	if (!error)
		error = iog_mmio_init(&smmu->page1, platform, smmu->config.page1);
	if (!error)
		error = info_read(smmu);
	if (!error && !smmu->info.coherent && (!platform->cache_clean || !platform->cache_flush))
		error = -IOG_EINVAL;
	if (!error) {
		smmu->gbpa_found = iog_mmio_read32(&smmu->page0, GBPA);
		error = smmu_fill(smmu);
	}
	if (error) {
		smmu_free(smmu);
		return error;
	}
	*result = smmu;
	return 0;
}

int iog_smmuv3_destroy(struct iog_smmuv3 *smmu)
{
	if (!smmu)
		return 0;
	if (smmu->on || smmu->half_on || iog_unit_fini(&smmu->unit))
		return -IOG_EBUSY;
	smmu_free(smmu);
	return 0;
}

struct iog_unit *iog_smmuv3_unit(struct iog_smmuv3 *smmu)
{
	return &smmu->unit;
}

void iog_smmuv3_info(const struct iog_smmuv3 *smmu, struct iog_smmuv3_info *info)
{
	*info = smmu->info;
}

/* What becomes of accesses while it is off (6.3.15): the change is complete when Update reads as 0. */
static int gbpa_set(struct iog_smmuv3 *smmu, uint32_t gbpa)
{
	int error = iog_mmio_poll32(&smmu->page0, GBPA, (uint32_t)GBPA_UPDATE, 0, smmu_timeout(smmu), NULL);

	if (error)
		return error;
	iog_mmio_write32(&smmu->page0, GBPA, (gbpa & ~(uint32_t)GBPA_UPDATE) | (uint32_t)GBPA_UPDATE);
	return iog_mmio_poll32(&smmu->page0, GBPA, (uint32_t)GBPA_UPDATE, 0, smmu_timeout(smmu), NULL);
}

/* A control register takes effect when its ACK has followed. */
static int control_set(struct iog_smmuv3 *smmu, uint32_t reg, uint32_t ack, uint32_t value)
{
	iog_mmio_write32(&smmu->page0, reg, value);
	return iog_mmio_poll32(&smmu->page0, ack, UINT32_MAX, value, smmu_timeout(smmu), NULL);
}

static void msi_set(struct iog_smmuv3 *smmu, uint32_t cfg0, uint32_t cfg1, uint32_t cfg2, const struct iog_smmuv3_msi *msi)
{
	if (!smmu->info.msi)
		return;
	/* Device-nGnRE: memory attribute 1. */
	iog_mmio_write64(&smmu->page0, cfg0, msi->address);
	if (!msi->address)
		return;
	iog_mmio_write32(&smmu->page0, cfg1, msi->data);
	iog_mmio_write32(&smmu->page0, cfg2, 1);
}

static void tables_tell(struct iog_smmuv3 *smmu)
{
	struct iog_mmio *page0 = &smmu->page0;

	/* Without coherence, everything is not cacheable and outer shareable, which is what zero says where it is not cacheable. */
	iog_mmio_write32(page0, CR1, smmu->info.coherent ? CR1_COHERENT : 0);
	iog_mmio_write32(page0, CR2, (uint32_t)(CR2_PTM | CR2_RECINVSID));
	iog_mmio_publish(page0);
	iog_mmio_write64(page0, STRTAB_BASE, smmu_paddr(smmu, smmu->table) | STRTAB_BASE_RA);
	iog_mmio_write32(page0, STRTAB_BASE_CFG, smmu->config.stream_bits | (smmu->linear ? 0 : STRTAB_BASE_CFG_2LVL | SPLIT << 6));
	iog_mmio_write64(page0, CMDQ_BASE, smmu->ring.paddr | QUEUE_BASE_ALLOCATE | smmu->ring.log2size);
	iog_mmio_write32(page0, CMDQ_PROD, 0);
	iog_mmio_write32(page0, CMDQ_CONS, 0);
	iog_mmio_write64(page0, EVENTQ_BASE, smmu_paddr(smmu, smmu->events) | QUEUE_BASE_ALLOCATE | smmu->event_log2);
	iog_mmio_write32(&smmu->page1, EVENTQ_PROD, 0);
	iog_mmio_write32(&smmu->page1, EVENTQ_CONS, 0);
	iog_ring_reset(&smmu->ring);
	smmu->event_cons = 0;
	smmu->event_prod = 0;
	smmu->event_answered = 0;
	atomic_store_explicit(&smmu->stalls_left, false, memory_order_relaxed);
}

/* Nothing that anybody had told it before. */
static int forget_all(struct iog_smmuv3 *smmu)
{
	uint32_t idr0 = iog_mmio_read32(&smmu->page0, IDR0), n = 2;
	struct iog_command commands[3] = { { { CMD_CFGI_STE_RANGE, CMD1_CFGI_ALL } }, { { CMD_TLBI_NSNH_ALL, 0 } } };

	if (idr0 & IDR0_HYP)
		commands[n++].words[0] = CMD_TLBI_EL2_ALL;
	return iog_smmuv3_submit_again(smmu, commands, n);
}

static int start(struct iog_smmuv3 *smmu)
{
	struct iog_mmio *page0 = &smmu->page0;
	uint32_t control = (uint32_t)CR0_CMDQEN;
	int error;

	tables_tell(smmu);
	/* Errors of before are nobody's. */
	smmu->gerrorn = iog_mmio_read32(page0, GERROR);
	iog_mmio_write32(page0, GERRORN, smmu->gerrorn);
	error = control_set(smmu, CR0, CR0ACK, control);
	if (!error)
		error = forget_all(smmu);
	if (error)
		return error;
	control |= (uint32_t)CR0_EVENTQEN;
	error = control_set(smmu, CR0, CR0ACK, control);
	if (error)
		return error;
	msi_set(smmu, GERROR_IRQ_CFG0, GERROR_IRQ_CFG1, GERROR_IRQ_CFG2, &smmu->config.error_msi);
	msi_set(smmu, EVENTQ_IRQ_CFG0, EVENTQ_IRQ_CFG1, EVENTQ_IRQ_CFG2, &smmu->config.event_msi);
	error = control_set(smmu, IRQ_CTRL, IRQ_CTRLACK, (uint32_t)(IRQ_CTRL_GERROR | IRQ_CTRL_EVENTQ));
	if (error)
		return error;
	/* Accesses that claim to be translated are checked: only streams that may ask can have been told. */
	if (smmu->info.ats) {
		control |= (uint32_t)CR0_ATSCHK;
		error = control_set(smmu, CR0, CR0ACK, control);
	}
	return error ? error : control_set(smmu, CR0, CR0ACK, control | (uint32_t)CR0_SMMUEN);
}

static int stop(struct iog_smmuv3 *smmu)
{
	int error = control_set(smmu, IRQ_CTRL, IRQ_CTRLACK, 0), off;

	/* No translation first, and with it no more events or reads of tables; then the queues. */
	off = control_set(smmu, CR0, CR0ACK, iog_mmio_read32(&smmu->page0, CR0ACK) & ~(uint32_t)CR0_SMMUEN);
	if (!off)
		off = control_set(smmu, CR0, CR0ACK, 0);
	return off ? off : error;
}

int iog_smmuv3_enable(struct iog_smmuv3 *smmu)
{
	bool was_on;
	int error = 0;

	if (smmu->on)
		return 0;
	was_on = iog_mmio_read32(&smmu->page0, CR0ACK) & CR0_SMMUEN;
	/* Between what was and what will be, nothing passes that was translated before. */
	if (was_on)
		error = gbpa_set(smmu, smmu->gbpa_found | (uint32_t)GBPA_ABORT);
	if (!error)
		error = stop(smmu);
	if (error)
		return error;
	iog_smmuv3_streams_settle(smmu);
	smmu->on = true;
	error = start(smmu);
	smmu->half_on = error && stop(smmu);
	if (error)
		smmu->on = false;
	else
		iog_unit_measure(&smmu->unit, iog_smmuv3_domain_any(smmu));
	return error;
}

static int turn_off(struct iog_smmuv3 *smmu, bool abort)
{
	int error;

	if (!smmu->on && !smmu->half_on)
		return 0;
	error = gbpa_set(smmu, abort ? smmu->gbpa_found | (uint32_t)GBPA_ABORT : smmu->gbpa_found);
	if (!error)
		error = stop(smmu);
	if (error)
		return error;
	smmu->on = false;
	smmu->half_on = false;
	iog_smmuv3_streams_settle(smmu);
	return 0;
}

int iog_smmuv3_disable(struct iog_smmuv3 *smmu)
{
	return turn_off(smmu, smmu->config.flags & IOG_SMMUV3_ABORT_WHEN_OFF);
}

int iog_smmuv3_suspend(struct iog_smmuv3 *smmu)
{
	return turn_off(smmu, true);
}

int iog_smmuv3_resume(struct iog_smmuv3 *smmu)
{
	return iog_smmuv3_enable(smmu);
}

void iog_smmuv3_stats(const struct iog_smmuv3 *smmu, struct iog_smmuv3_stats *stats)
{
	*stats = (struct iog_smmuv3_stats){
		.mmio_reads = iog_count_of(&smmu->page0.reads) + iog_count_of(&smmu->page1.reads),
		.mmio_writes = iog_count_of(&smmu->page0.writes) + iog_count_of(&smmu->page1.writes),
		.waits = iog_count_of(&smmu->ring.fences),
		.submissions = iog_count_of(&smmu->ring.submissions),
		.timeouts = iog_count_of(&smmu->ring.timeouts),
		.tlb_ranges = iog_count_of(&smmu->tlb_ranges),
		.tlb_domains = iog_count_of(&smmu->tlb_domains),
		.command_errors = iog_count_of(&smmu->command_errors),
		.stalls_ended = iog_count_of(&smmu->stalls_ended),
		.errors = atomic_load_explicit(&smmu->errors, memory_order_relaxed),
	};
	stats->commands = iog_count_of(&smmu->commands) + stats->waits;
	iog_fault_log_counts(smmu->faults, &stats->faults);
}

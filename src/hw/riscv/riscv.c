/* SPDX-License-Identifier: MIT */
/*
 * The unit: what it has, and turning it on and off (6, 7.2 of the specification).
 */
#include "../../pgtable/memory.h"
#include "riscv.h"

#define TIMEOUT_MS_DEFAULT 1000u
#define DEVICE_TIMEOUT_MS_DEFAULT 10000u
#define DEVICE_BITS_MAX 24u
#define DEVICE_BITS_DEFAULT 16u
#define COMMAND_LOG2_DEFAULT 8u
#define FAULT_LOG2_DEFAULT 7u
#define QUEUE_LOG2_MIN 2u
#define QUEUE_LOG2_MAX 15u
#define COMMANDS_MOST 64u
/* GSCID; PSCID has more. */
#define ID_BITS 16u

void *iog_riscv_pages(const struct iog_riscv *riscv, size_t size)
{
	void *pages = riscv->platform->pages_alloc(riscv->platform->ctx, size);

	if (pages) {
		memset(pages, 0, size);
		rv_clean(riscv, pages, size);
	}
	return pages;
}

static int config_take(struct iog_riscv *riscv, const struct iog_riscv_config *config)
{
	uint32_t known = IOG_RISCV_NONCOHERENT | IOG_RISCV_REFUSE_WHEN_OFF;

	riscv->config = *config;
	if (!config->device_bits)
		riscv->config.device_bits = DEVICE_BITS_DEFAULT;
	if (!config->command_log2)
		riscv->config.command_log2 = COMMAND_LOG2_DEFAULT;
	if (!config->fault_log2)
		riscv->config.fault_log2 = FAULT_LOG2_DEFAULT;
	if (!config->timeout_ms)
		riscv->config.timeout_ms = TIMEOUT_MS_DEFAULT;
	if (!config->device_timeout_ms)
		riscv->config.device_timeout_ms = DEVICE_TIMEOUT_MS_DEFAULT;
	if (!config->commands_max)
		riscv->config.commands_max = COMMANDS_MOST;
	config = &riscv->config;
	riscv->coherent = !(config->flags & IOG_RISCV_NONCOHERENT);
	if (config->flags & ~known || config->device_bits > DEVICE_BITS_MAX || config->commands_max > COMMANDS_MOST || config->command_log2 < QUEUE_LOG2_MIN ||
	    config->command_log2 > QUEUE_LOG2_MAX || config->fault_log2 < QUEUE_LOG2_MIN || config->fault_log2 > QUEUE_LOG2_MAX)
		return -IOG_EINVAL;
	return riscv->coherent || (riscv->platform->cache_clean && riscv->platform->cache_flush) ? 0 : -IOG_EINVAL;
}

static int info_read(struct iog_riscv *riscv)
{
	uint64_t cap = iog_mmio_read64(&riscv->mmio, CAPABILITIES);
	uint32_t mode;

	if (cap == UINT64_MAX || CAP_VERSION(cap) >> 4 != 1)
		return -IOG_EOPNOTSUPP;
	riscv->info = (struct iog_riscv_info){
		.capabilities = cap,
		.version = CAP_VERSION(cap),
		.oas = CAP_PAS(cap),
		.ias_allowed_first = (cap & CAP_SV39 ? UINT64_C(1) << 39 : 0) | (cap & CAP_SV48 ? UINT64_C(1) << 48 : 0) | (cap & CAP_SV57 ? UINT64_C(1) << 57 : 0),
		.ias_allowed_second = (cap & CAP_SV39X4 ? UINT64_C(1) << 41 : 0) | (cap & CAP_SV48X4 ? UINT64_C(1) << 50 : 0) | (cap & CAP_SV57X4 ? UINT64_C(1) << 59 : 0),
		.extended = cap & CAP_MSI_FLAT,
		.mrif = cap & CAP_MSI_MRIF,
		.ats = cap & CAP_ATS,
		.non_leaf = cap & CAP_NL,
		.range = cap & CAP_S,
	};
	if (!(riscv->info.ias_allowed_first | riscv->info.ias_allowed_second))
		return -IOG_EOPNOTSUPP;
	mode = DDTP_MODE(iog_mmio_read64(&riscv->mmio, DDTP));
	riscv->info.was_enabled = mode > DDTP_BARE;
	riscv->mode_found = mode == DDTP_BARE ? DDTP_BARE : DDTP_OFF;
	return 0;
}

static const struct iog_unit_ops unit_ops = {
	.domain_add = iog_riscv_domain_add,
	.domain_remove = iog_riscv_domain_remove,
	.device_set = iog_riscv_device_set,
	.invalidate = iog_riscv_invalidate,
	.device_invalidate = iog_riscv_device_invalidate,
	.device_block = iog_riscv_device_block,
};

static const struct iog_unit_ops unit_ops_without_ats = {
	.domain_add = iog_riscv_domain_add,
	.domain_remove = iog_riscv_domain_remove,
	.device_set = iog_riscv_device_set,
	.invalidate = iog_riscv_invalidate,
};

static uint32_t most_bits(uint64_t allowed)
{
	uint32_t bits = 0;

	for (uint32_t n = 0; n < 64; n++)
		if (allowed >> n & 1)
			bits = n;
	return bits;
}

static int unit_create(struct iog_riscv *riscv)
{
	riscv->unit.ops = riscv->info.ats ? &unit_ops : &unit_ops_without_ats;
	riscv->unit.platform = riscv->platform;
	riscv->unit.ias = most_bits(riscv->info.ias_allowed_first | riscv->info.ias_allowed_second);
	riscv->unit.oas = riscv->info.oas;
	riscv->unit.pgtable_flags = riscv->coherent ? 0 : IOG_PGTABLE_NONCOHERENT;
	riscv->unit.domain_ids = (1u << ID_BITS) - 1;
	return iog_unit_init(&riscv->unit);
}

static size_t fault_bytes(const struct iog_riscv *riscv)
{
	size_t bytes = (FAULT_WORDS * sizeof(uint64_t)) << riscv->config.fault_log2;

	return bytes < 4096 ? 4096 : bytes;
}

/* Whatever there is of it. The unit is off. */
static void riscv_free(struct iog_riscv *riscv)
{
	const struct iog_platform *platform = riscv->platform;

	iog_fault_log_destroy(riscv->fault_log);
	if (riscv->faults)
		platform->pages_free(platform->ctx, riscv->faults, fault_bytes(riscv));
	iog_ring_destroy(&riscv->ring);
	iog_riscv_interrupts_destroy(riscv);
	iog_riscv_directory_destroy(riscv);
	iog_riscv_domains_destroy(riscv);
	platform->object_free(platform->ctx, riscv, sizeof(*riscv));
}

static int riscv_fill(struct iog_riscv *riscv)
{
	int error = unit_create(riscv);

	if (error)
		return error;
	error = iog_riscv_domains_create(riscv);
	if (!error)
		error = iog_riscv_directory_create(riscv);
	if (!error)
		error = iog_riscv_interrupts_create(riscv);
	if (!error)
		error = iog_fault_log_create(riscv->platform, &riscv->config.faults, &riscv->fault_log);
	if (!error) {
		riscv->ring.ops = &iog_riscv_ring_ops;
		riscv->ring.coherent = riscv->coherent;
		riscv->ring.answers_snooped = riscv->coherent;
		error = iog_ring_create(&riscv->ring, riscv->platform, riscv->config.command_log2, 4, false);
	}
	if (!error) {
		riscv->faults = iog_riscv_pages(riscv, fault_bytes(riscv));
		error = riscv->faults ? 0 : -IOG_ENOMEM;
	}
	if (error)
		(void)iog_unit_fini(&riscv->unit);
	return error;
}

int iog_riscv_create(const struct iog_riscv_config *config, struct iog_riscv **result)
{
	const struct iog_platform *platform = config->platform;
	struct iog_riscv *riscv;
	int error;

	if (!iog_platform_serves(platform) || !config->registers)
		return -IOG_EINVAL;
	riscv = platform->object_alloc(platform->ctx, sizeof(*riscv));
	if (!riscv)
		return -IOG_ENOMEM;
	riscv->platform = platform;
	error = config_take(riscv, config);
	if (!error)
		error = iog_mmio_init(&riscv->mmio, platform, config->registers);
	if (!error)
		error = info_read(riscv);
	if (!error)
		error = riscv_fill(riscv);
	if (error) {
		riscv_free(riscv);
		return error;
	}
	*result = riscv;
	return 0;
}

int iog_riscv_destroy(struct iog_riscv *riscv)
{
	if (!riscv)
		return 0;
	if (riscv->on || riscv->half_on || iog_unit_fini(&riscv->unit))
		return -IOG_EBUSY;
	riscv_free(riscv);
	return 0;
}

struct iog_unit *iog_riscv_unit(struct iog_riscv *riscv)
{
	return &riscv->unit;
}

void iog_riscv_info(const struct iog_riscv *riscv, struct iog_riscv_info *info)
{
	*info = riscv->info;
}

/* 6.5: a write takes effect when busy reads as 0, and a mode that the unit has not leaves it as it was. */
static int ddtp_write(struct iog_riscv *riscv, uint32_t mode, uint64_t ppn)
{
	uint64_t now;
	int error;

	iog_mmio_publish(&riscv->mmio);
	iog_mmio_write64(&riscv->mmio, DDTP, ppn | mode);
	error = iog_mmio_poll64(&riscv->mmio, DDTP, DDTP_BUSY, 0, rv_timeout(riscv), &now);
	if (error)
		return error;
	return DDTP_MODE(now) == mode ? 0 : -IOG_EOPNOTSUPP;
}

/*
 * From any mode to another (6.5): Bare and a directory each want the unit to be Off before, but that a directory may follow on Bare, too; and what is turned off keeps its PPN. @ppn is that
 * of a directory.
 */
static int ddtp_set(struct iog_riscv *riscv, uint32_t mode, uint64_t ppn)
{
	uint64_t now;
	uint32_t former;
	int error = iog_mmio_poll64(&riscv->mmio, DDTP, DDTP_BUSY, 0, rv_timeout(riscv), &now);

	if (error)
		return error;
	former = DDTP_MODE(now);
	if (mode <= DDTP_BARE && former == mode)
		return 0;
	if (former != DDTP_OFF && (mode <= DDTP_BARE || former > DDTP_BARE))
		error = ddtp_write(riscv, DDTP_OFF, now & PPN_MASK);
	return error || mode == DDTP_OFF ? error : ddtp_write(riscv, mode, ppn);
}

/*
 * By message if the host has said where to, else by wire; all causes share vector 0. Features change while the unit is Off and its queues are, too (6.4): where it was found with others, a unit that was
 * Bare refuses accesses for a moment.
 */
static int interrupts_set(struct iog_riscv *riscv)
{
	uint32_t igs = CAP_IGS(riscv->info.capabilities), features = iog_mmio_read32(&riscv->mmio, FCTL);
	bool message = riscv->config.msi_address && igs != IGS_WSI;
	uint32_t wanted = igs == IGS_WSI || (igs == IGS_BOTH && !message) ? FCTL_WSI : 0;

	if ((features ^ wanted) & (FCTL_BE | FCTL_WSI | FCTL_GXL)) {
		int error = ddtp_set(riscv, DDTP_OFF, 0);

		if (error)
			return error;
		iog_mmio_write32(&riscv->mmio, FCTL, wanted);
	}
	iog_mmio_write64(&riscv->mmio, ICVEC, 0);
	if (igs == IGS_WSI)
		return 0;
	iog_mmio_write64(&riscv->mmio, MSI_ADDRESS, riscv->config.msi_address);
	iog_mmio_write32(&riscv->mmio, MSI_DATA, riscv->config.msi_data);
	/* Masked without an address. */
	iog_mmio_write32(&riscv->mmio, MSI_CONTROL, !message);
	return 0;
}

/* Nothing that anybody had told it before: the directory, both stages. */
static int forget_all(struct iog_riscv *riscv)
{
	static const struct iog_command commands[] = { { { CMD_IODIR_INVAL_DDT, 0 } }, { { CMD_IOTINVAL_VMA, 0 } }, { { CMD_IOTINVAL_GVMA, 0 } } };

	return iog_riscv_submit_again(riscv, commands, 3);
}

static int queues_start(struct iog_riscv *riscv)
{
	struct iog_mmio *mmio = &riscv->mmio;
	int error;

	iog_ring_reset(&riscv->ring);
	iog_mmio_publish(mmio);
	iog_mmio_write64(mmio, CQB, rv_ppn(riscv, riscv->ring.slots) | (riscv->ring.log2size - 1));
	iog_mmio_write32(mmio, CQT, 0);
	error = iog_riscv_queue_set(riscv, CQCSR, CQCSR_CQEN | CQCSR_CIE | CQCSR_ERRORS);
	if (error)
		return error;
	riscv->fault_head = 0;
	iog_mmio_write64(mmio, FQB, rv_ppn(riscv, riscv->faults) | (riscv->config.fault_log2 - 1));
	iog_mmio_write32(mmio, FQH, 0);
	return iog_riscv_queue_set(riscv, FQCSR, FQCSR_FQEN | FQCSR_FIE | FQCSR_FQOF | FQCSR_FQMF);
}

/* Accesses first, then the queues. */
static int stop(struct iog_riscv *riscv, uint32_t mode)
{
	int error = ddtp_set(riscv, mode, 0), off = iog_riscv_queue_set(riscv, CQCSR, 0);

	if (!error)
		error = off;
	off = iog_riscv_queue_set(riscv, FQCSR, 0);
	if (!error)
		error = off;
	off = iog_riscv_queue_set(riscv, PQCSR, 0);
	return error ? error : off;
}

/* The directory, or where the unit walks one level only (6.5) and that is enough, its page of contexts. */
static int directory_tell(struct iog_riscv *riscv)
{
	uint64_t ppn;
	int error = ddtp_set(riscv, DDTP_1LVL + riscv->levels - 1, rv_ppn(riscv, riscv->root));

	riscv->info.levels = riscv->levels;
	if (error != -IOG_EOPNOTSUPP)
		return error;
	error = iog_riscv_directory_single(riscv, &ppn);
	if (!error)
		error = ddtp_set(riscv, DDTP_1LVL, ppn);
	riscv->info.levels = error ? riscv->levels : 1;
	return error;
}

static int start(struct iog_riscv *riscv)
{
	int error = interrupts_set(riscv);

	if (!error)
		error = queues_start(riscv);
	if (!error)
		error = forget_all(riscv);
	if (!error)
		error = directory_tell(riscv);
	/* What may have been remembered of how it was off. */
	return error ? error : forget_all(riscv);
}

int iog_riscv_enable(struct iog_riscv *riscv)
{
	uint32_t mode, off;
	int error;

	if (riscv->on)
		return 0;
	mode = DDTP_MODE(iog_mmio_read64(&riscv->mmio, DDTP));
	/* Between what was and what will be, nothing passes that was translated before; and nothing new is refused. */
	off = mode == DDTP_BARE ? DDTP_BARE : DDTP_OFF;
	error = stop(riscv, off);
	if (error)
		return error;
	iog_riscv_directory_settle(riscv);
	riscv->on = true;
	error = start(riscv);
	riscv->half_on = error && stop(riscv, off);
	if (error)
		riscv->on = false;
	else
		iog_unit_measure(&riscv->unit, iog_riscv_domain_any(riscv));
	return error;
}

static int turn_off(struct iog_riscv *riscv, uint32_t mode)
{
	bool half_on = riscv->half_on;
	int error;

	if (!riscv->on && !half_on)
		return 0;
	/* It takes commands until it is off. */
	riscv->on = true;
	riscv->half_on = false;
	/* A context that it remembers may stay in force until it is forgotten, whatever ddtp says. One whose queue is off has been reset, or is somebody else's, and remembers nothing of ours. */
	error = ddtp_set(riscv, mode, 0);
	if (!error && iog_mmio_read32(&riscv->mmio, CQCSR) & CSR_ON)
		error = forget_all(riscv);
	if (!error)
		error = stop(riscv, mode);
	riscv->on = error && !half_on;
	riscv->half_on = error && half_on;
	if (error)
		return error;
	iog_riscv_directory_settle(riscv);
	return 0;
}

int iog_riscv_disable(struct iog_riscv *riscv)
{
	return turn_off(riscv, riscv->config.flags & IOG_RISCV_REFUSE_WHEN_OFF ? DDTP_OFF : riscv->mode_found);
}

int iog_riscv_suspend(struct iog_riscv *riscv)
{
	return turn_off(riscv, DDTP_OFF);
}

int iog_riscv_resume(struct iog_riscv *riscv)
{
	return iog_riscv_enable(riscv);
}

void iog_riscv_stats(const struct iog_riscv *riscv, struct iog_riscv_stats *stats)
{
	*stats = (struct iog_riscv_stats){
		.mmio_reads = iog_count_of(&riscv->mmio.reads),
		.mmio_writes = iog_count_of(&riscv->mmio.writes),
		.waits = iog_count_of(&riscv->ring.fences),
		.submissions = iog_count_of(&riscv->ring.submissions),
		.timeouts = iog_count_of(&riscv->ring.timeouts),
		.tlb_ranges = iog_count_of(&riscv->tlb_ranges),
		.tlb_domains = iog_count_of(&riscv->tlb_domains),
		.interrupt_commands = iog_count_of(&riscv->interrupt_commands),
		.command_errors = iog_count_of(&riscv->command_errors),
	};
	stats->commands = iog_count_of(&riscv->commands) + stats->waits;
	iog_fault_log_counts(riscv->fault_log, &stats->faults);
}

/* SPDX-License-Identifier: MIT */
/*
 * The unit as a whole: what it can do, its life, and domains.
 */
#include "vtd.h"

#define QUEUE_BYTES_DEFAULT 8192
#define QUEUE_BYTES_MAX 524288
#define TIMEOUT_MS_DEFAULT 1000
#define TIMEOUT_MS_MAX 3600000
#define COMMANDS_DEFAULT 32
#define COMMANDS_MAX 64

_Static_assert(COMMANDS_MAX <= VTD_BATCH, "a batch holds what a configuration may ask for");

/* SAGAW without its reserved lowest bit: bit 0 is 39 address bits. */
static uint32_t second_stage_ias(const struct iog_vtd *vtd)
{
	if (vtd->scalable && !(vtd->ecap & VTD_ECAP_SSTS))
		return 0;
	return VTD_CAP_SAGAW(vtd->cap) >> 1 & 7;
}

static uint32_t first_stage_ias(const struct iog_vtd *vtd)
{
	if (!vtd->scalable || !(vtd->ecap & VTD_ECAP_FSTS))
		return 0;
	return 2 | (vtd->cap & VTD_CAP_FS5LP ? 4 : 0);
}

static uint32_t ias_of(uint32_t allowed)
{
	return allowed & 4 ? 57 : allowed & 2 ? 48 : 39;
}

static int domain_add(struct iog_unit *unit, uint32_t id, const struct iog_pgtable_root *root)
{
	struct iog_vtd *vtd = vtd_of(unit);
	bool first_stage = iog_names_equal(root->format, "x86_64");
	uint32_t allowed = first_stage ? first_stage_ias(vtd) : second_stage_ias(vtd);
	struct vtd_domain *domain;

	if ((!first_stage && !iog_names_equal(root->format, "vtdss")) || root->levels < 3 || root->levels > 5 || !(allowed >> (root->levels - 3) & 1))
		return -IOG_EOPNOTSUPP;
	domain = vtd->platform->object_alloc(vtd->platform->ctx, sizeof(*domain));
	if (!domain)
		return -IOG_ENOMEM;
	domain->id = id;
	domain->first_stage = first_stage;
	domain->levels = root->levels;
	domain->root = root->paddr;
	domain->next = vtd->domains;
	vtd->domains = domain;
	if (vtd->first_stage && first_stage)
		atomic_fetch_or_explicit(&vtd->first_stage[id / 64], UINT64_C(1) << id % 64, memory_order_relaxed);
	return 0;
}

static int domain_remove(struct iog_unit *unit, uint32_t id)
{
	struct iog_vtd *vtd = vtd_of(unit);
	struct vtd_domain **link = &vtd->domains, *domain;
	int error = 0;

	while (*link && (*link)->id != id)
		link = &(*link)->next;
	domain = *link;
	if (!domain)
		return -IOG_ENOENT;
	if (atomic_load_explicit(&vtd->running, memory_order_acquire))
		error = iog_vtd_invalidate_domain(vtd, id, domain->first_stage);
	*link = domain->next;
	if (vtd->first_stage)
		atomic_fetch_and_explicit(&vtd->first_stage[id / 64], ~(UINT64_C(1) << id % 64), memory_order_relaxed);
	vtd->platform->object_free(vtd->platform->ctx, domain, sizeof(*domain));
	return error;
}

/* Without a queue there are no device TLBs. */
static const struct iog_unit_ops register_ops = {
	.domain_add = domain_add,
	.domain_remove = domain_remove,
	.device_set = iog_vtd_device_set,
	.invalidate = iog_vtd_invalidate,
};

static const struct iog_unit_ops queue_ops = {
	.domain_add = domain_add,
	.domain_remove = domain_remove,
	.device_set = iog_vtd_device_set,
	.invalidate = iog_vtd_invalidate,
	.device_invalidate = iog_vtd_device_invalidate,
	.device_block = iog_vtd_device_block,
};

static int config_check(const struct iog_vtd_config *config)
{
	const struct iog_platform *platform = config->platform;
	uint32_t bytes = config->queue_bytes;

	if (!iog_platform_serves(platform))
		return -IOG_EINVAL;
	if (config->flags & ~(uint32_t)(IOG_VTD_SCALABLE | IOG_VTD_NO_QUEUE | IOG_VTD_X2APIC) ||
	    (config->flags & (IOG_VTD_SCALABLE | IOG_VTD_NO_QUEUE)) == (IOG_VTD_SCALABLE | IOG_VTD_NO_QUEUE) || (config->flags & IOG_VTD_X2APIC && !config->interrupts))
		return -IOG_EINVAL;
	if (config->segment > 0xffff || (config->oas && (config->oas < 32 || config->oas > 64)) || config->commands_max > COMMANDS_MAX)
		return -IOG_EINVAL;
	if (bytes && (bytes < VTD_PAGE || bytes > QUEUE_BYTES_MAX || bytes & (bytes - 1)))
		return -IOG_EINVAL;
	return config->timeout_ms > TIMEOUT_MS_MAX ? -IOG_EINVAL : 0;
}

/* What the unit says of itself, and whether that will do. */
static int identify(struct iog_vtd *vtd)
{
	uint32_t version = iog_mmio_read32(&vtd->mmio, VTD_VER), ids, ias;

	vtd->cap = iog_mmio_read64(&vtd->mmio, VTD_CAP);
	vtd->ecap = iog_mmio_read64(&vtd->mmio, VTD_ECAP);
	/* Nothing there reads as ones. Seven is reserved. */
	if (version == UINT32_MAX || !(version & 0xff) || vtd->cap == UINT64_MAX || VTD_CAP_ND(vtd->cap) > 6)
		return -IOG_EIO;
	vtd->scalable = vtd->config.flags & IOG_VTD_SCALABLE;
	vtd->queued = vtd->ecap & VTD_ECAP_QI && !(vtd->config.flags & IOG_VTD_NO_QUEUE);
	if (vtd->scalable && (!(vtd->ecap & VTD_ECAP_SMTS) || !vtd->queued))
		return -IOG_EOPNOTSUPP;
	if (!second_stage_ias(vtd) && !first_stage_ias(vtd))
		return -IOG_EOPNOTSUPP;
	vtd->drain = (vtd->cap & VTD_CAP_DRD ? VTD_IOTLB_DESC_DR : 0) | (vtd->cap & VTD_CAP_DWD ? VTD_IOTLB_DESC_DW : 0);
	vtd->clean_structures = !(vtd->ecap & VTD_ECAP_C);
	if (vtd->clean_structures && !vtd->platform->cache_clean)
		return -IOG_EOPNOTSUPP;
	/* 0 is what not-present entries are remembered under in caching mode; the last is for devices that are not translated. */
	ids = UINT32_C(1) << (4 + 2 * VTD_CAP_ND(vtd->cap));
	vtd->identity_did = ids - 1;
	ias = second_stage_ias(vtd) ? ias_of(second_stage_ias(vtd)) : 0;
	vtd->unit.ias = first_stage_ias(vtd) && ias_of(first_stage_ias(vtd)) > ias ? ias_of(first_stage_ias(vtd)) : ias;
	vtd->unit.oas = vtd->config.oas;
	vtd->unit.domain_ids = ids - 2;
	vtd->unit.pgtable_flags = (vtd->cap & VTD_CAP_CM ? IOG_PGTABLE_FLUSH_ON_MAP : 0) | (vtd->ecap & VTD_ECAP_SC ? 0 : IOG_PGTABLE_NO_SNOOP_CONTROL) |
				  (vtd->ecap & (vtd->scalable ? VTD_ECAP_SMPWCS : VTD_ECAP_C) ? 0 : IOG_PGTABLE_NONCOHERENT);
	return 0;
}

static size_t first_stage_bytes(const struct iog_vtd *vtd)
{
	return ((size_t)vtd->identity_did / 64 + 1) * sizeof(uint64_t);
}

static int allocate(struct iog_vtd *vtd)
{
	const struct iog_platform *platform = vtd->platform;
	int error;

	vtd->root = vtd_page_new(vtd);
	if (!vtd->root)
		return -IOG_ENOMEM;
	if (vtd->scalable) {
		vtd->first_stage = platform->object_alloc(platform->ctx, first_stage_bytes(vtd));
		if (!vtd->first_stage)
			return -IOG_ENOMEM;
	}
	error = vtd->queued ? iog_vtd_queue_create(vtd) : 0;
	if (!error)
		error = iog_vtd_interrupts_create(vtd);
	return error ? error : iog_fault_log_create(platform, &vtd->config.faults, &vtd->faults);
}

static void release(struct iog_vtd *vtd)
{
	const struct iog_platform *platform = vtd->platform;

	iog_fault_log_destroy(vtd->faults);
	iog_vtd_interrupts_destroy(vtd);
	iog_vtd_queue_destroy(vtd);
	if (vtd->first_stage)
		platform->object_free(platform->ctx, (void *)(uintptr_t)vtd->first_stage, first_stage_bytes(vtd));
	for (uint32_t bus = 0; bus < VTD_BUSES; bus++) {
		void *depths = (void *)(uintptr_t)atomic_load_explicit(&vtd->ats[bus], memory_order_relaxed);

		if (depths)
			platform->object_free(platform->ctx, depths, VTD_DEVFNS);
	}
	vtd_page_free(vtd, vtd->root);
	platform->object_free(platform->ctx, vtd, sizeof(*vtd));
}

int iog_vtd_create(const struct iog_vtd_config *config, struct iog_vtd **result)
{
	struct iog_vtd *vtd;
	int error = config_check(config);

	if (error)
		return error;
	vtd = config->platform->object_alloc(config->platform->ctx, sizeof(*vtd));
	if (!vtd)
		return -IOG_ENOMEM;
	vtd->platform = config->platform;
	vtd->config = *config;
	vtd->config.queue_bytes = config->queue_bytes ? config->queue_bytes : QUEUE_BYTES_DEFAULT;
	vtd->config.commands_max = config->commands_max ? config->commands_max : COMMANDS_DEFAULT;
	vtd->timeout_ns = UINT64_C(1000000) * (config->timeout_ms ? config->timeout_ms : TIMEOUT_MS_DEFAULT);
	error = iog_mmio_init(&vtd->mmio, config->platform, config->registers);
	if (!error)
		error = identify(vtd);
	if (!error)
		error = allocate(vtd);
	if (!error) {
		vtd->unit.platform = config->platform;
		vtd->unit.ops = vtd->queued ? &queue_ops : &register_ops;
		error = iog_unit_init(&vtd->unit);
	}
	if (error) {
		release(vtd);
		return error;
	}
	*result = vtd;
	return 0;
}

int iog_vtd_destroy(struct iog_vtd *vtd)
{
	int error;

	if (!vtd)
		return 0;
	if (atomic_load_explicit(&vtd->running, memory_order_relaxed))
		return -IOG_EBUSY;
	error = iog_unit_fini(&vtd->unit);
	if (error)
		return error;
	iog_vtd_tables_free(vtd);
	release(vtd);
	return 0;
}

struct iog_unit *iog_vtd_unit(struct iog_vtd *vtd)
{
	return &vtd->unit;
}

/* What a previous owner has left that could disturb: the mode, its interrupt table, its queue, faults. */
static int take_over(struct iog_vtd *vtd)
{
	uint32_t status = iog_mmio_read32(&vtd->mmio, VTD_GSTS);
	bool scalable = iog_mmio_read64(&vtd->mmio, VTD_RTADDR) & VTD_RTADDR_TTM;
	int error = 0;

	if (status == UINT32_MAX)
		return -IOG_EIO;
	vtd->was_enabled = vtd->was_enabled || status & VTD_TE;
	iog_mmio_write32(&vtd->mmio, VTD_FECTL, VTD_FECTL_IM);
	/* The mode may not change while it translates (VT-d 11.4.5). */
	if (status & VTD_TE && scalable != vtd->scalable)
		error = iog_vtd_command(vtd, VTD_TE, false);
	/* With a table of its own, the driver puts it in the other's place while interrupts are remapped. */
	if (!error && status & VTD_IRE && !vtd->entries)
		error = iog_vtd_command(vtd, VTD_IRE, false);
	if (!error)
		error = vtd->queued ? iog_vtd_queue_start(vtd) : iog_vtd_queue_stop(vtd);
	for (uint32_t n = 0; n < VTD_CAP_NFR(vtd->cap); n++)
		iog_mmio_write32(&vtd->mmio, VTD_CAP_FRO(vtd->cap) + n * VTD_FRCD_SIZE + VTD_FRCD_LAST, VTD_FRCD_F);
	iog_mmio_write32(&vtd->mmio, VTD_FSTS, VTD_FSTS_CLEAR);
	vtd->fault_next = 0;
	return error;
}

static void message_set(struct iog_vtd *vtd)
{
	if (!vtd->config.msi_address && !vtd->config.msi_data)
		return;
	iog_mmio_write32(&vtd->mmio, VTD_FEDATA, vtd->config.msi_data);
	iog_mmio_write32(&vtd->mmio, VTD_FEADDR, (uint32_t)vtd->config.msi_address);
	iog_mmio_write32(&vtd->mmio, VTD_FEUADDR, (uint32_t)(vtd->config.msi_address >> 32));
	iog_mmio_write32(&vtd->mmio, VTD_FECTL, 0);
}

/* Protected memory regions keep all devices out of where firmware has put what it wants kept; translation does that now. */
static int regions_off(struct iog_vtd *vtd)
{
	if (!(vtd->cap & (VTD_CAP_PLMR | VTD_CAP_PHMR)) || !(iog_mmio_read32(&vtd->mmio, VTD_PMEN) & VTD_PMEN_EPM))
		return 0;
	iog_mmio_write32(&vtd->mmio, VTD_PMEN, 0);
	return iog_mmio_poll32(&vtd->mmio, VTD_PMEN, VTD_PMEN_PRS, 0, vtd->timeout_ns, NULL);
}

int iog_vtd_enable(struct iog_vtd *vtd)
{
	int error;

	if (vtd->enabled)
		return 0;
	error = iog_vtd_write_buffer_flush(vtd);
	if (!error)
		error = take_over(vtd);
	if (error)
		return error;
	iog_mmio_write64(&vtd->mmio, VTD_RTADDR, vtd_paddr(vtd, vtd->root) | (vtd->scalable ? VTD_RTADDR_SCALABLE : 0));
	/* Release: from here on hardware may remember; pairs with the acquires of those who ask whether it may. */
	atomic_store_explicit(&vtd->running, true, memory_order_release);
	error = iog_vtd_command_once(vtd, VTD_SRTP);
	if (!error)
		error = iog_vtd_invalidate_all(vtd);
	if (!error)
		error = iog_vtd_command(vtd, VTD_TE, true);
	if (!error)
		error = iog_vtd_interrupts_start(vtd);
	if (!error)
		error = regions_off(vtd);
	if (error)
		return error;
	message_set(vtd);
	vtd->enabled = true;
	iog_unit_measure(&vtd->unit, vtd->domains ? vtd->domains->id : 0);
	return 0;
}

int iog_vtd_disable(struct iog_vtd *vtd)
{
	int error;

	if (!atomic_load_explicit(&vtd->running, memory_order_relaxed))
		return 0;
	vtd->enabled = false;
	iog_mmio_write32(&vtd->mmio, VTD_FECTL, VTD_FECTL_IM);
	error = iog_vtd_command(vtd, VTD_TE, false);
	if (!error)
		error = iog_vtd_interrupts_stop(vtd);
	/* What was submitted is carried out, and a wait is the last in the queue. One that somebody has turned off (a unit that lost its state) holds nothing. */
	if (!error && vtd->queued && iog_mmio_read32(&vtd->mmio, VTD_GSTS) & VTD_QIE)
		error = iog_vtd_invalidate_all(vtd);
	if (!error)
		error = iog_vtd_queue_stop(vtd);
	if (error)
		return error;
	atomic_store_explicit(&vtd->running, false, memory_order_release);
	return 0;
}

int iog_vtd_device_ats(struct iog_vtd *vtd, uint32_t device, uint32_t depth)
{
	const struct iog_platform *platform = vtd->platform;
	_Atomic uint8_t *depths;

	if (depth > 32)
		return -IOG_EINVAL;
	if (device >> 16 != vtd->config.segment)
		return -IOG_ERANGE;
	if (!(vtd->ecap & VTD_ECAP_DT) || !vtd->queued)
		return -IOG_EOPNOTSUPP;
	depths = atomic_load_explicit(&vtd->ats[vtd_bus(device)], memory_order_acquire);
	if (!depths) {
		depths = platform->object_alloc(platform->ctx, VTD_DEVFNS);
		if (!depths)
			return -IOG_ENOMEM;
		/* Release: zeroes; pairs with the acquire in vtd_ats_depth(). */
		atomic_store_explicit(&vtd->ats[vtd_bus(device)], depths, memory_order_release);
	}
	atomic_store_explicit(&depths[vtd_devfn(device)], (uint8_t)depth, memory_order_relaxed);
	return 0;
}

void iog_vtd_info(const struct iog_vtd *vtd, struct iog_vtd_info *info)
{
	memset(info, 0, sizeof(*info));
	info->version = iog_mmio_read32((struct iog_mmio *)(uintptr_t)&vtd->mmio, VTD_VER) & 0xff;
	info->capability = vtd->cap;
	info->extended = vtd->ecap;
	info->mgaw = VTD_CAP_MGAW(vtd->cap) + 1;
	info->ias_allowed_second = second_stage_ias(vtd);
	info->ias_allowed_first = first_stage_ias(vtd);
	if (info->ias_allowed_second)
		info->page_sizes_second = 0x1000 | (vtd->cap & VTD_CAP_SSLPS_2M ? 0x200000 : 0) | (vtd->cap & VTD_CAP_SSLPS_1G ? 0x40000000 : 0);
	if (info->ias_allowed_first)
		info->page_sizes_first = 0x1000 | 0x200000 | (vtd->cap & VTD_CAP_FS1GP ? 0x40000000 : 0);
	info->snoop_control = vtd->ecap & VTD_ECAP_SC;
	info->caching_mode = vtd->cap & VTD_CAP_CM;
	info->coherent = !(vtd->unit.pgtable_flags & IOG_PGTABLE_NONCOHERENT);
	info->queue = vtd->queued;
	info->device_tlbs = vtd->queued && vtd->ecap & VTD_ECAP_DT;
	info->interrupts = vtd->ecap & VTD_ECAP_IR && vtd->queued;
	info->x2apic = info->interrupts && vtd->ecap & VTD_ECAP_EIM;
	info->was_enabled = vtd->was_enabled;
}

void iog_vtd_stats(const struct iog_vtd *vtd, struct iog_vtd_stats *stats)
{
	const struct vtd_counters *counters = &vtd->counters;

	stats->mmio_reads = iog_count_of(&vtd->mmio.reads);
	stats->mmio_writes = iog_count_of(&vtd->mmio.writes);
	stats->context_commands = iog_count_of(&counters->context);
	stats->pasid_commands = iog_count_of(&counters->pasid);
	stats->page_commands = iog_count_of(&counters->page);
	stats->domain_commands = iog_count_of(&counters->domain);
	stats->device_commands = iog_count_of(&counters->device);
	stats->interrupt_commands = iog_count_of(&counters->interrupt);
	stats->waits = iog_count_of(&vtd->ring.fences);
	stats->shared = iog_count_of(&vtd->ring.shared);
	stats->errors = iog_count_of(&counters->errors);
	stats->timeouts = iog_count_of(&counters->timeouts) + iog_count_of(&vtd->ring.timeouts);
	iog_fault_log_counts(vtd->faults, &stats->faults);
}

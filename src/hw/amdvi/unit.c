/* SPDX-License-Identifier: MIT */
/*
 * The unit as a whole: what it can do, its life, and domains.
 */
#include "amdvi.h"

#define RING_DEFAULT 512
#define RING_MIN 256
#define RING_MAX 32768
#define TIMEOUT_MS_DEFAULT 1000
#define TIMEOUT_MS_MAX 3600000
#define COMMANDS_DEFAULT 32
#define COMMANDS_MAX 64
/* One for devices that are blocked, one for those that are not translated. */
#define DOMAIN_IDS_MAX 65534
#define LAST_DEVICE_DEFAULT 0xffff
#define DTE_BYTES (DTE_WORDS * sizeof(uint64_t))
#define GUEST_WORDS (65536 / 64)

_Static_assert(COMMANDS_MAX <= AMDVI_BATCH && 2 * IOG_GATHER_RANGES <= AMDVI_BATCH, "a batch holds what a configuration may ask for");

static uint32_t levels_host(const struct iog_amdvi *amdvi)
{
	/* Reserved: the most that every unit has. */
	return AMDVI_EFR_HATS(amdvi->features) == 3 ? 4 : 4 + AMDVI_EFR_HATS(amdvi->features);
}

/* 0: guest tables are for requests with PASID only, or not there. */
static uint32_t levels_guest(const struct iog_amdvi *amdvi)
{
	if (!(amdvi->features & AMDVI_EFR_GT_SUP) || !(amdvi->features & AMDVI_EFR_GIO_SUP))
		return 0;
	return AMDVI_EFR_GATS(amdvi->features) == 1 ? 5 : 4;
}

/* The page that leads from PASID 0 to the root. */
static uint64_t *gcr3_new(const struct iog_amdvi *amdvi, iog_paddr_t root)
{
	uint64_t *page = amdvi->platform->pages_alloc(amdvi->platform->ctx, AMDVI_PAGE);

	if (page) {
		memset(page, 0, AMDVI_PAGE);
		page[0] = root | GCR3_V;
	}
	return page;
}

static int domain_add(struct iog_unit *unit, uint32_t id, const struct iog_pgtable_root *root)
{
	struct iog_amdvi *amdvi = amdvi_of(unit);
	bool guest = iog_names_equal(root->format, "x86_64");
	struct amdvi_domain *domain;

	if ((!guest && !iog_names_equal(root->format, "amdv1")) || !root->levels || root->levels > (guest ? levels_guest(amdvi) : levels_host(amdvi)) ||
	    (guest && root->levels < 4))
		return -IOG_EOPNOTSUPP;
	domain = amdvi->platform->object_alloc(amdvi->platform->ctx, sizeof(*domain));
	if (!domain)
		return -IOG_ENOMEM;
	domain->id = id;
	domain->levels = root->levels;
	domain->root = root->paddr;
	domain->gcr3 = guest ? gcr3_new(amdvi, root->paddr) : NULL;
	if (guest && !domain->gcr3) {
		amdvi->platform->object_free(amdvi->platform->ctx, domain, sizeof(*domain));
		return -IOG_ENOMEM;
	}
	domain->next = amdvi->domains;
	amdvi->domains = domain;
	if (guest)
		atomic_fetch_or_explicit(&amdvi->guest[id / 64], UINT64_C(1) << id % 64, memory_order_relaxed);
	return 0;
}

static int domain_remove(struct iog_unit *unit, uint32_t id)
{
	struct iog_amdvi *amdvi = amdvi_of(unit);
	struct amdvi_domain **link = &amdvi->domains, *domain;
	struct amdvi_command command;
	int error = 0;

	while (*link && (*link)->id != id)
		link = &(*link)->next;
	domain = *link;
	if (!domain)
		return -IOG_ENOENT;
	command = iog_amdvi_domain_command(amdvi, id);
	if (atomic_load_explicit(&amdvi->running, memory_order_acquire))
		error = iog_amdvi_submit_again(amdvi, &command, 1);
	*link = domain->next;
	atomic_fetch_and_explicit(&amdvi->guest[id / 64], ~(UINT64_C(1) << id % 64), memory_order_relaxed);
	/* What hardware has not said that it forgot, it may still read. */
	if (domain->gcr3 && !error)
		amdvi->platform->pages_free(amdvi->platform->ctx, domain->gcr3, AMDVI_PAGE);
	amdvi->platform->object_free(amdvi->platform->ctx, domain, sizeof(*domain));
	return error;
}

static const struct iog_unit_ops ops = {
	.domain_add = domain_add,
	.domain_remove = domain_remove,
	.device_set = iog_amdvi_device_set,
	.invalidate = iog_amdvi_invalidate,
};

static const struct iog_unit_ops ats_ops = {
	.domain_add = domain_add,
	.domain_remove = domain_remove,
	.device_set = iog_amdvi_device_set,
	.invalidate = iog_amdvi_invalidate,
	.device_invalidate = iog_amdvi_device_invalidate,
	.device_block = iog_amdvi_device_block,
};

static bool ring_valid(uint32_t entries)
{
	return !entries || (entries >= RING_MIN && entries <= RING_MAX && !(entries & (entries - 1)));
}

static int config_check(const struct iog_amdvi_config *config)
{
	const struct iog_platform *platform = config->platform;

	if (!iog_platform_serves(platform))
		return -IOG_EINVAL;
	if (!config->capability || config->flags & ~(uint32_t)(IOG_AMDVI_INTERRUPT | IOG_AMDVI_X2APIC) || config->segment > 0xffff || config->ivhd_flags > 0xff)
		return -IOG_EINVAL;
	if (config->last_device > LAST_DEVICE_DEFAULT || config->domain_ids > DOMAIN_IDS_MAX || (config->oas && (config->oas < 32 || config->oas > 64)))
		return -IOG_EINVAL;
	if (!ring_valid(config->commands) || !ring_valid(config->events) || config->commands_max > COMMANDS_MAX)
		return -IOG_EINVAL;
	return config->timeout_ms > TIMEOUT_MS_MAX ? -IOG_EINVAL : 0;
}

static void config_complete(struct iog_amdvi_config *config)
{
	config->last_device = config->last_device ? config->last_device : LAST_DEVICE_DEFAULT;
	config->domain_ids = config->domain_ids ? config->domain_ids : DOMAIN_IDS_MAX;
	config->commands = config->commands ? config->commands : RING_DEFAULT;
	config->events = config->events ? config->events : RING_DEFAULT;
	config->timeout_ms = config->timeout_ms ? config->timeout_ms : TIMEOUT_MS_DEFAULT;
	config->commands_max = config->commands_max ? config->commands_max : COMMANDS_DEFAULT;
}

/* What the unit says of itself. */
static int identify(struct iog_amdvi *amdvi)
{
	/* Nothing there reads as ones. */
	if (iog_mmio_read64(&amdvi->mmio, AMDVI_CONTROL) == UINT64_MAX)
		return -IOG_EIO;
	if (amdvi->config.capability & AMDVI_CAP_EFR_SUP)
		amdvi->features = iog_mmio_read64(&amdvi->mmio, AMDVI_EFR);
	amdvi->identity_id = amdvi->config.domain_ids + 1;
	amdvi->unit.ias = levels_host(amdvi) == 6 ? 64 : 12 + 9 * levels_host(amdvi);
	amdvi->unit.oas = amdvi->config.oas;
	amdvi->unit.domain_ids = amdvi->config.domain_ids;
	amdvi->unit.pgtable_flags = amdvi->config.capability & AMDVI_CAP_NP_CACHE ? IOG_PGTABLE_FLUSH_ON_MAP : 0;
	return 0;
}

/* Memory comes in powers of two; the table ends with the last device that it may hold. */
static size_t table_bytes(const struct iog_amdvi *amdvi)
{
	size_t bytes = AMDVI_PAGE;

	while (bytes < ((size_t)amdvi->config.last_device + 1) * DTE_BYTES)
		bytes *= 2;
	return bytes;
}

static int allocate(struct iog_amdvi *amdvi)
{
	const struct iog_platform *platform = amdvi->platform;
	int error;

	amdvi->table_bytes = table_bytes(amdvi);
	amdvi->table = platform->pages_alloc(platform->ctx, amdvi->table_bytes);
	amdvi->events = platform->pages_alloc(platform->ctx, (size_t)amdvi->config.events * 16);
	amdvi->guest = platform->object_alloc(platform->ctx, GUEST_WORDS * sizeof(uint64_t));
	if (!amdvi->table || !amdvi->events || !amdvi->guest)
		return -IOG_ENOMEM;
	iog_amdvi_table_reset(amdvi);
	error = iog_amdvi_interrupts_create(amdvi);
	if (!error)
		error = iog_amdvi_queue_create(amdvi);
	return error ? error : iog_fault_log_create(platform, &amdvi->config.faults, &amdvi->faults);
}

static void release(struct iog_amdvi *amdvi)
{
	const struct iog_platform *platform = amdvi->platform;
	void *depths = (void *)(uintptr_t)atomic_load_explicit(&amdvi->ats, memory_order_relaxed);

	iog_fault_log_destroy(amdvi->faults);
	iog_amdvi_queue_destroy(amdvi);
	iog_amdvi_interrupts_destroy(amdvi);
	if (depths)
		platform->object_free(platform->ctx, depths, (size_t)amdvi->config.last_device + 1);
	if (amdvi->guest)
		platform->object_free(platform->ctx, (void *)(uintptr_t)amdvi->guest, GUEST_WORDS * sizeof(uint64_t));
	if (amdvi->events)
		platform->pages_free(platform->ctx, amdvi->events, (size_t)amdvi->config.events * 16);
	if (amdvi->table)
		platform->pages_free(platform->ctx, amdvi->table, amdvi->table_bytes);
	platform->object_free(platform->ctx, amdvi, sizeof(*amdvi));
}

int iog_amdvi_create(const struct iog_amdvi_config *config, struct iog_amdvi **result)
{
	struct iog_amdvi *amdvi;
	int error = config && result ? config_check(config) : -IOG_EINVAL;

	if (error)
		return error;
	amdvi = config->platform->object_alloc(config->platform->ctx, sizeof(*amdvi));
	if (!amdvi)
		return -IOG_ENOMEM;
	amdvi->platform = config->platform;
	amdvi->config = *config;
	config_complete(&amdvi->config);
	amdvi->timeout_ns = UINT64_C(1000000) * amdvi->config.timeout_ms;
	error = iog_mmio_init(&amdvi->mmio, config->platform, config->registers);
	if (!error)
		error = identify(amdvi);
	if (!error)
		error = allocate(amdvi);
	if (!error) {
		amdvi->unit.platform = config->platform;
		amdvi->unit.ops = config->capability & AMDVI_CAP_IOTLB_SUP ? &ats_ops : &ops;
		error = iog_unit_init(&amdvi->unit);
	}
	if (error) {
		release(amdvi);
		return error;
	}
	*result = amdvi;
	return 0;
}

int iog_amdvi_destroy(struct iog_amdvi *amdvi)
{
	int error;

	if (!amdvi)
		return 0;
	if (atomic_load_explicit(&amdvi->running, memory_order_relaxed))
		return -IOG_EBUSY;
	error = iog_unit_fini(&amdvi->unit);
	if (error)
		return error;
	release(amdvi);
	return 0;
}

struct iog_unit *iog_amdvi_unit(struct iog_amdvi *amdvi)
{
	return &amdvi->unit;
}

void iog_amdvi_control(struct iog_amdvi *amdvi, uint64_t clear, uint64_t set)
{
	uintptr_t flags = spin_lock(&amdvi->control_lock, amdvi->platform);

	amdvi->control = (amdvi->control & ~clear) | set;
	iog_mmio_write64(&amdvi->mmio, AMDVI_CONTROL, amdvi->control);
	spin_unlock(&amdvi->control_lock, amdvi->platform, flags);
}

/* How long a device's TLB may take (3.4.4, InvTimeOut): the next time below what this driver waits itself. 0 would be for ever. */
static uint64_t inv_timeout(const struct iog_amdvi *amdvi)
{
	uint64_t code = 1;

	/* 1 ms, 10 ms, 100 ms, 1 s, 10 s, 100 s. */
	for (uint64_t ms = 10; code < 6 && ms < amdvi->config.timeout_ms; ms *= 10)
		code++;
	return code << AMDVI_INV_TIMEOUT_SHIFT;
}

/* What the firmware wants of the links. */
static uint64_t link_bits(const struct iog_amdvi *amdvi)
{
	uint32_t flags = amdvi->config.ivhd_flags;

	return (flags & AMDVI_IVHD_HT_TUN_EN ? AMDVI_HT_TUN_EN : 0) | (flags & AMDVI_IVHD_PASS_PW ? AMDVI_PASS_PW : 0) |
	       (flags & AMDVI_IVHD_RES_PASS_PW ? AMDVI_RES_PASS_PW : 0) | (flags & AMDVI_IVHD_ISOC ? AMDVI_ISOC : 0);
}

/* Command buffer and logs are stopped, whoever has set them up; translation stays as it is, but for a segmented device table, which cannot be replaced while it is in use (3.4.4). */
static int stop(struct iog_amdvi *amdvi)
{
	uint64_t control = iog_mmio_read64(&amdvi->mmio, AMDVI_CONTROL), keep = AMDVI_IOMMU_EN | AMDVI_GT_EN | AMDVI_GA_EN | AMDVI_XT_EN | AMDVI_COHERENT | link_bits(amdvi);

	if (control == UINT64_MAX)
		return -IOG_EIO;
	amdvi->was_enabled = amdvi->was_enabled || control & AMDVI_IOMMU_EN;
	if (control & AMDVI_DEV_TAB_SEG_EN)
		keep &= ~AMDVI_IOMMU_EN;
	else
		keep |= AMDVI_DEV_TAB_SEG_EN;
	iog_mmio_write64(&amdvi->mmio, AMDVI_CONTROL, control & keep);
	return iog_mmio_poll32(&amdvi->mmio, AMDVI_STATUS, AMDVI_CMD_BUF_RUN | AMDVI_EVENT_LOG_RUN, 0, amdvi->timeout_ns, NULL);
}

/* Under the lock that errors are looked for under: who does sees the one or the other. */
static void running_set(struct iog_amdvi *amdvi, bool running)
{
	uintptr_t flags = spin_lock(&amdvi->ring.watch_lock, amdvi->platform);

	atomic_store_explicit(&amdvi->running, running, memory_order_release);
	spin_unlock(&amdvi->ring.watch_lock, amdvi->platform, flags);
}

int iog_amdvi_enable(struct iog_amdvi *amdvi)
{
	uint64_t pages = amdvi->table_bytes / AMDVI_PAGE - 1;
	bool running = atomic_load_explicit(&amdvi->running, memory_order_relaxed);
	int error;

	if (amdvi->enabled)
		return 0;
	/* As in iog_amdvi_disable(), where an attempt that failed has left the buffer on. */
	running_set(amdvi, false);
	error = stop(amdvi);
	if (error) {
		running_set(amdvi, running);
		return error;
	}
	iog_amdvi_queue_reset(amdvi);
	iog_amdvi_events_reset(amdvi);
	iog_mmio_write64(&amdvi->mmio, AMDVI_DEVTAB, amdvi_paddr(amdvi, amdvi->table) | pages);
	iog_mmio_write64(&amdvi->mmio, AMDVI_EXCLUSION, 0);
	amdvi->control = 0;
	iog_amdvi_control(amdvi, 0, AMDVI_IOMMU_EN | AMDVI_CMD_BUF_EN | AMDVI_EVENT_LOG_EN | AMDVI_COHERENT | inv_timeout(amdvi) | link_bits(amdvi) | iog_amdvi_interrupts_control(amdvi) |
				     (amdvi->config.flags & IOG_AMDVI_INTERRUPT ? AMDVI_EVENT_INT_EN : 0) | (levels_guest(amdvi) ? AMDVI_GT_EN : 0));
	error = iog_mmio_poll32(&amdvi->mmio, AMDVI_STATUS, AMDVI_CMD_BUF_RUN, AMDVI_CMD_BUF_RUN, amdvi->timeout_ns, NULL);
	/* Release: hardware may remember, whatever it says; pairs with the acquires of those who ask whether it may. */
	running_set(amdvi, true);
	if (!error)
		error = iog_amdvi_invalidate_all(amdvi);
	amdvi->enabled = !error;
	if (!error)
		iog_unit_measure(&amdvi->unit, amdvi->domains ? amdvi->domains->id : 0);
	return error;
}

int iog_amdvi_disable(struct iog_amdvi *amdvi)
{
	int error;

	if (!atomic_load_explicit(&amdvi->running, memory_order_relaxed))
		return 0;
	amdvi->enabled = false;
	/* The last in the buffer, so that what was submitted before is carried out. A unit that has lost its state remembers nothing. */
	if (iog_mmio_read64(&amdvi->mmio, AMDVI_CONTROL) & AMDVI_CMD_BUF_EN) {
		error = iog_amdvi_invalidate_all(amdvi);
		if (error)
			return error;
	}
	/* An interrupt that comes now finds a buffer that stands still, and leaves it so. */
	running_set(amdvi, false);
	iog_amdvi_control(amdvi, AMDVI_CMD_BUF_EN | AMDVI_EVENT_LOG_EN | AMDVI_EVENT_INT_EN, 0);
	error = iog_mmio_poll32(&amdvi->mmio, AMDVI_STATUS, AMDVI_CMD_BUF_RUN | AMDVI_EVENT_LOG_RUN, 0, amdvi->timeout_ns, NULL);
	if (error) {
		running_set(amdvi, true);
		return error;
	}
	iog_amdvi_control(amdvi, AMDVI_IOMMU_EN, 0);
	return 0;
}

int iog_amdvi_device_ats(struct iog_amdvi *amdvi, uint32_t device, uint32_t depth)
{
	const struct iog_platform *platform = amdvi->platform;
	_Atomic uint8_t *depths;

	if (depth > 32)
		return -IOG_EINVAL;
	if (!amdvi_serves(amdvi, device))
		return -IOG_ERANGE;
	if (!(amdvi->config.capability & AMDVI_CAP_IOTLB_SUP))
		return -IOG_EOPNOTSUPP;
	depths = atomic_load_explicit(&amdvi->ats, memory_order_acquire);
	if (!depths) {
		depths = platform->object_alloc(platform->ctx, (size_t)amdvi->config.last_device + 1);
		if (!depths)
			return -IOG_ENOMEM;
		/* Release: zeroes; pairs with the acquire in amdvi_ats_depth(). */
		atomic_store_explicit(&amdvi->ats, depths, memory_order_release);
	}
	atomic_store_explicit(&depths[device & 0xffff], (uint8_t)depth, memory_order_relaxed);
	return 0;
}

void iog_amdvi_info(const struct iog_amdvi *amdvi, struct iog_amdvi_info *info)
{
	memset(info, 0, sizeof(*info));
	info->features = amdvi->features;
	info->levels_host = levels_host(amdvi);
	info->ias_allowed_guest = !levels_guest(amdvi) ? 0 : levels_guest(amdvi) == 5 ? 6 : 2;
	info->np_cache = amdvi->config.capability & AMDVI_CAP_NP_CACHE;
	info->device_tlbs = amdvi->config.capability & AMDVI_CAP_IOTLB_SUP;
	info->x2apic = amdvi->features & AMDVI_EFR_XT_SUP && amdvi->features & AMDVI_EFR_GA_SUP;
	info->was_enabled = amdvi->was_enabled;
}

void iog_amdvi_stats(const struct iog_amdvi *amdvi, struct iog_amdvi_stats *stats)
{
	const struct amdvi_counters *counters = &amdvi->counters;

	stats->mmio_reads = iog_count_of(&amdvi->mmio.reads);
	stats->mmio_writes = iog_count_of(&amdvi->mmio.writes);
	stats->devtab_commands = iog_count_of(&counters->devtab);
	stats->page_commands = iog_count_of(&counters->page);
	stats->domain_commands = iog_count_of(&counters->domain);
	stats->device_commands = iog_count_of(&counters->device);
	stats->interrupt_commands = iog_count_of(&counters->interrupt);
	stats->waits = iog_count_of(&amdvi->ring.fences);
	stats->shared = iog_count_of(&amdvi->ring.shared);
	stats->errors = iog_count_of(&counters->errors);
	stats->timeouts = iog_count_of(&amdvi->ring.timeouts);
	iog_fault_log_counts(amdvi->faults, &stats->faults);
}

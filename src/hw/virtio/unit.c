/* SPDX-License-Identifier: MIT */
/*
 * The unit: what it has, and turning it on and off (3.1, 5.13.5).
 *
 * Between the moment at which a previous owner's state is lost and that at which ours is in force, accesses are as the device has them with nobody attached: as its configuration says (bypass), which
 * a reset does not change.
 */
#include "../../pgtable/memory.h"
#include "../driver.h"
#include "virtio.h"

#define TIMEOUT_MS_DEFAULT 1000u
#define TIMEOUT_MS_MAX 3600000u
#define REQUEST_ENTRIES_DEFAULT 256u
#define EVENT_ENTRIES_DEFAULT 64u
#define ENTRIES_MIN 4u
#define ENTRIES_MAX 1024u
#define DOMAIN_IDS_MAX ((1u << 20) - 1)
#define PROBE_BYTES_MAX 65536u
#define CONFIG_READS_MAX 16u
/* Numbers that are not for domains of the library's: refusal, identity. */
#define NUMBERS_OURS 2u

static const struct iog_unit_ops unit_ops = {
	.domain_add = iog_virtio_domain_add,
	.domain_remove = iog_virtio_domain_remove,
	.device_set = iog_virtio_device_set,
	.invalidate = iog_virtio_invalidate,
};

static bool entries_valid(uint32_t entries)
{
	return entries >= ENTRIES_MIN && entries <= ENTRIES_MAX && !(entries & (entries - 1));
}

static int config_take(struct iog_virtio *virtio, const struct iog_virtio_config *config)
{
	uint32_t known = IOG_VIRTIO_MMIO | IOG_VIRTIO_MSIX | IOG_VIRTIO_REFUSE_WHEN_OFF;

	virtio->config = *config;
	if (!config->request_entries)
		virtio->config.request_entries = REQUEST_ENTRIES_DEFAULT;
	if (!config->event_entries)
		virtio->config.event_entries = EVENT_ENTRIES_DEFAULT;
	if (!config->timeout_ms)
		virtio->config.timeout_ms = TIMEOUT_MS_DEFAULT;
	config = &virtio->config;
	if (config->flags & ~known || (config->flags & IOG_VIRTIO_MMIO && config->flags & IOG_VIRTIO_MSIX) || config->timeout_ms > TIMEOUT_MS_MAX)
		return -IOG_EINVAL;
	return entries_valid(config->request_entries) && entries_valid(config->event_entries) ? 0 : -IOG_EINVAL;
}

/* Fields of the configuration that belong together. */
struct ranges {
	uint64_t page_sizes, input_first, input_last;
	uint32_t domain_first, domain_last, probe_bytes;
	uint8_t bypass;
};

/* The same generation before and after: nothing has changed in between. 0, or -IOG_EIO. */
static int ranges_read(struct iog_virtio *virtio, uint64_t features, struct ranges *ranges)
{
	for (uint32_t n = 0; n < CONFIG_READS_MAX; n++) {
		uint32_t generation = iog_virtio_config_generation(virtio);

		*ranges = (struct ranges){ .page_sizes = iog_virtio_config64(virtio, CONFIG_PAGE_SIZE_MASK), .input_last = UINT64_MAX, .domain_last = UINT32_MAX };
		if (features & F_INPUT_RANGE) {
			ranges->input_first = iog_virtio_config64(virtio, CONFIG_INPUT_START);
			ranges->input_last = iog_virtio_config64(virtio, CONFIG_INPUT_END);
		}
		if (features & F_DOMAIN_RANGE) {
			ranges->domain_first = iog_virtio_config32(virtio, CONFIG_DOMAIN_START);
			ranges->domain_last = iog_virtio_config32(virtio, CONFIG_DOMAIN_END);
		}
		if (features & F_PROBE)
			ranges->probe_bytes = iog_virtio_config32(virtio, CONFIG_PROBE_SIZE);
		if (features & F_BYPASS_CONFIG)
			ranges->bypass = iog_virtio_config8(virtio, CONFIG_BYPASS);
		if (iog_virtio_config_generation(virtio) == generation)
			return 0;
	}
	return -IOG_EIO;
}

/* Bits of addresses that can all be mapped, but for those below the first. */
static uint32_t bits_of(uint64_t last)
{
	uint32_t bits = 64;

	while (bits && last < UINT64_MAX >> (64 - bits))
		bits--;
	return bits;
}

static int info_read(struct iog_virtio *virtio)
{
	uint64_t features = iog_virtio_features_offered(virtio);
	struct ranges ranges;
	uint32_t numbers;
	int error;

	if (features == UINT64_MAX || !(features & F_VERSION_1) || !(features & F_MAP_UNMAP))
		return -IOG_EOPNOTSUPP;
	error = ranges_read(virtio, features, &ranges);
	if (error)
		return error;
	if (!ranges.page_sizes || ranges.input_first > ranges.input_last || !bits_of(ranges.input_last) || ranges.domain_first > ranges.domain_last || ranges.probe_bytes > PROBE_BYTES_MAX)
		return -IOG_EIO;
	numbers = ranges.domain_last - ranges.domain_first;
	if (numbers < NUMBERS_OURS)
		return -IOG_EIO;
	numbers -= NUMBERS_OURS - 1;
	virtio->first_number = ranges.domain_first;
	virtio->last_number = ranges.domain_last;
	virtio->info = (struct iog_virtio_info){
		.features = features,
		.page_sizes = ranges.page_sizes,
		.input_first = ranges.input_first,
		.input_last = ranges.input_last,
		.domains = numbers < DOMAIN_IDS_MAX ? numbers : DOMAIN_IDS_MAX,
		.probe_bytes = ranges.probe_bytes,
		.identity = features & F_BYPASS_CONFIG,
		.bypass_found = ranges.bypass,
		.was_enabled = iog_virtio_status_get(virtio) & STATUS_DRIVER_OK,
	};
	return 0;
}

static int unit_create(struct iog_virtio *virtio)
{
	virtio->unit.ops = &unit_ops;
	virtio->unit.platform = virtio->platform;
	virtio->unit.ias = bits_of(virtio->info.input_last);
	virtio->unit.pgtable_flags = IOG_PGTABLE_FLUSH_ON_MAP;
	virtio->unit.domain_ids = virtio->info.domains;
	/* What is told of the whole domain is found by going through it: never instead of ranges. */
	virtio->unit.wait_ns = 1;
	virtio->unit.range_ns = 1;
	virtio->unit.domain_ns = UINT32_MAX;
	return iog_unit_init(&virtio->unit);
}

static size_t properties_bytes(const struct iog_virtio *virtio)
{
	size_t bytes = 4096;

	while (bytes < virtio->info.probe_bytes + REQ_TAIL_BYTES)
		bytes *= 2;
	return bytes;
}

/* Whatever there is of it. The device is off. */
static void virtio_free(struct iog_virtio *virtio)
{
	const struct iog_platform *platform = virtio->platform;

	iog_virtio_endpoints_destroy(virtio);
	iog_virtio_domains_destroy(virtio);
	iog_virtio_events_destroy(virtio);
	iog_virtio_requests_destroy(virtio);
	if (virtio->properties)
		platform->pages_free(platform->ctx, virtio->properties, properties_bytes(virtio));
	platform->object_free(platform->ctx, virtio, sizeof(*virtio));
}

static int virtio_fill(struct iog_virtio *virtio)
{
	int error = unit_create(virtio);

	if (error)
		return error;
	error = iog_virtio_domains_create(virtio);
	if (!error)
		error = iog_virtio_requests_create(virtio);
	if (!error)
		error = iog_virtio_events_create(virtio);
	if (!error && virtio->info.probe_bytes) {
		virtio->properties = virtio->platform->pages_alloc(virtio->platform->ctx, properties_bytes(virtio));
		error = virtio->properties ? 0 : -IOG_ENOMEM;
	}
	if (error)
		(void)iog_unit_fini(&virtio->unit);
	return error;
}

int iog_virtio_create(const struct iog_virtio_config *config, struct iog_virtio **result)
{
	const struct iog_platform *platform = config->platform;
	struct iog_virtio *virtio;
	int error;

	if (!iog_platform_serves(platform))
		return -IOG_EINVAL;
	virtio = platform->object_alloc(platform->ctx, sizeof(*virtio));
	if (!virtio)
		return -IOG_ENOMEM;
	virtio->platform = platform;
	error = config_take(virtio, config);
	if (!error)
		error = iog_virtio_transport_init(virtio);
	if (!error)
		error = iog_virtio_transport_identify(virtio);
	if (!error)
		error = info_read(virtio);
	if (!error)
		error = virtio_fill(virtio);
	if (error) {
		virtio_free(virtio);
		return error;
	}
	*result = virtio;
	return 0;
}

int iog_virtio_destroy(struct iog_virtio *virtio)
{
	if (!virtio)
		return 0;
	if (virtio->on || virtio->half_on || iog_unit_fini(&virtio->unit))
		return -IOG_EBUSY;
	virtio_free(virtio);
	return 0;
}

struct iog_unit *iog_virtio_unit(struct iog_virtio *virtio)
{
	return &virtio->unit;
}

void iog_virtio_info(const struct iog_virtio *virtio, struct iog_virtio_info *info)
{
	*info = virtio->info;
}

/* Entries of a queue: a power of two that the device has, and we have memory for. 0: none. */
static uint32_t queue_size(struct iog_virtio *virtio, uint32_t queue, uint32_t size)
{
	uint32_t most = iog_virtio_queue_most(virtio, queue);

	while (size > most)
		size /= 2;
	return size >= ENTRIES_MIN ? size : 0;
}

static int queues_start(struct iog_virtio *virtio)
{
	bool msix = virtio->config.flags & IOG_VIRTIO_MSIX;
	uint32_t size = queue_size(virtio, QUEUE_REQUEST, virtio->config.request_entries);
	int error;

	if (!size)
		return -IOG_EIO;
	iog_virtio_requests_reset(virtio, size);
	error = iog_virtio_queue_start(virtio, &virtio->requests, NO_VECTOR);
	if (error)
		return error;
	size = queue_size(virtio, QUEUE_EVENT, virtio->config.event_entries);
	if (!size)
		return -IOG_EIO;
	iog_virtio_events_reset(virtio, size);
	return iog_virtio_queue_start(virtio, &virtio->events, msix ? virtio->config.event_vector : NO_VECTOR);
}

/* What nobody is attached for is refused (or not); -IOG_EOPNOTSUPP if the device says otherwise afterwards. */
static int bypass_set(struct iog_virtio *virtio, uint8_t bypass)
{
	if (!(virtio->features & F_BYPASS_CONFIG))
		return 0;
	iog_virtio_config8_set(virtio, CONFIG_BYPASS, bypass);
	return iog_virtio_config8(virtio, CONFIG_BYPASS) == bypass ? 0 : -IOG_EOPNOTSUPP;
}

/*
 * A previous owner's state goes with the reset. If he was allowed to say so, what passes only because of that is refused from before. What was found is remembered once.
 */
static int take_over(struct iog_virtio *virtio)
{
	bool owned = iog_virtio_status_get(virtio) & STATUS_DRIVER_OK;

	if (!virtio->found && virtio->info.features & F_BYPASS_CONFIG) {
		virtio->bypass_found = iog_virtio_config8(virtio, CONFIG_BYPASS);
		virtio->info.bypass_found = virtio->bypass_found;
	}
	virtio->found = true;
	virtio->inherits |= owned;
	if (owned && iog_virtio_features_taken(virtio) & virtio->info.features & F_BYPASS_CONFIG)
		iog_virtio_config8_set(virtio, CONFIG_BYPASS, 0);
	return iog_virtio_reset(virtio);
}

/* The device is ours, and knows nothing. */
static int negotiate(struct iog_virtio *virtio)
{
	uint32_t status = STATUS_ACKNOWLEDGE | STATUS_DRIVER;

	/* Without F_BYPASS, and with BYPASS_CONFIG telling so, devices that are attached to nothing are refused. */
	virtio->features = virtio->info.features & (F_INPUT_RANGE | F_DOMAIN_RANGE | F_MAP_UNMAP | F_PROBE | F_MMIO | F_BYPASS_CONFIG | F_VERSION_1 | F_ACCESS_PLATFORM | F_ORDER_PLATFORM);
	iog_virtio_status_set(virtio, STATUS_ACKNOWLEDGE);
	iog_virtio_status_set(virtio, status);
	iog_virtio_features_take(virtio, virtio->features);
	status |= STATUS_FEATURES_OK;
	iog_virtio_status_set(virtio, status);
	if (iog_virtio_status_get(virtio) & STATUS_FEATURES_OK)
		return 0;
	virtio->features = 0;
	return -IOG_EOPNOTSUPP;
}

static int start(struct iog_virtio *virtio)
{
	int error = negotiate(virtio);

	if (!error)
		error = bypass_set(virtio, 0);
	if (!error)
		error = queues_start(virtio);
	if (!error && virtio->config.flags & IOG_VIRTIO_MSIX)
		iog_mmio_write16(&virtio->transport.common, COMMON_CONFIG_MSIX_VECTOR, virtio->config.config_vector);
	if (error)
		return error;
	iog_virtio_status_set(virtio, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
	iog_virtio_events_post(virtio);
	return 0;
}

/*
 * Everything that the device was told goes with a reset; but QEMU's, from version 10 on, keeps attachments, which are therefore undone one by one as far as it answers. @bypass: what becomes of accesses.
 */
static int turn_off(struct iog_virtio *virtio, uint8_t bypass)
{
	int error;

	if (!virtio->on && !virtio->half_on)
		return 0;
	/* A device that does not take these is reset all the same; one that somebody else has reset knows nothing of ours. */
	if (iog_virtio_status_get(virtio) & STATUS_FEATURES_OK) {
		if (iog_virtio_endpoints_detach(virtio))
			virtio->inherits = true;
		(void)bypass_set(virtio, bypass);
	}
	error = iog_virtio_reset(virtio);
	virtio->on = false;
	virtio->half_on = error;
	if (!error)
		iog_virtio_endpoints_forget(virtio);
	return error;
}

int iog_virtio_enable(struct iog_virtio *virtio)
{
	int error;

	if (virtio->on)
		return 0;
	error = take_over(virtio);
	if (error)
		return error;
	virtio->half_on = false;
	iog_virtio_endpoints_forget(virtio);
	error = start(virtio);
	if (!error) {
		virtio->on = true;
		error = iog_virtio_endpoints_attach(virtio);
	}
	if (error) {
		virtio->on = true;
		(void)turn_off(virtio, virtio->bypass_found);
	}
	return error;
}

int iog_virtio_disable(struct iog_virtio *virtio)
{
	return turn_off(virtio, virtio->config.flags & IOG_VIRTIO_REFUSE_WHEN_OFF ? 0 : virtio->bypass_found);
}

int iog_virtio_suspend(struct iog_virtio *virtio)
{
	return turn_off(virtio, 0);
}

int iog_virtio_resume(struct iog_virtio *virtio)
{
	return iog_virtio_enable(virtio);
}

void iog_virtio_stats(const struct iog_virtio *virtio, struct iog_virtio_stats *stats)
{
	const struct vio_transport *transport = &virtio->transport;

	*stats = (struct iog_virtio_stats){
		.mmio_reads = iog_count_of(&transport->common.reads) + iog_count_of(&transport->notify.reads) + iog_count_of(&transport->isr.reads) + iog_count_of(&transport->device.reads),
		.mmio_writes = iog_count_of(&transport->common.writes) + iog_count_of(&transport->notify.writes) + iog_count_of(&transport->isr.writes) + iog_count_of(&transport->device.writes),
		.requests = iog_count_of(&virtio->count_requests),
		.maps = iog_count_of(&virtio->count_maps),
		.unmaps = iog_count_of(&virtio->count_unmaps),
		.doorbells = iog_count_of(&virtio->count_doorbells),
		.submissions = iog_count_of(&virtio->count_submissions),
		.timeouts = iog_count_of(&virtio->count_timeouts),
		.refused = iog_count_of(&virtio->count_refused),
		.broken = iog_count_of(&virtio->count_broken),
	};
	iog_fault_log_counts(virtio->fault_log, &stats->faults);
}

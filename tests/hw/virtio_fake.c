/* SPDX-License-Identifier: MIT */
/*
 * See virtio_fake.h.
 */
#include "hw/virtio_fake.h"

/* ---- platform ---- */

static uint64_t now_ns(void *ctx)
{
	return atomic_fetch_add(&((struct fake *)ctx)->now, 1000);
}

static bool allocation_refused(struct fake *fake)
{
	int left = atomic_load(&fake->refuse_after);

	if (left > 0)
		atomic_fetch_sub(&fake->refuse_after, 1);
	return !left;
}

static void *pages_alloc(void *ctx, size_t size)
{
	struct fake *fake = ctx;
	void *pages;

	if (allocation_refused(fake))
		return NULL;
	pages = aligned_alloc(size, size);
	assert_non_null(pages);
	memset(pages, 0xa5, size);
	atomic_fetch_add(&fake->bytes, (long)size);
	return pages;
}

static void pages_free(void *ctx, void *pages, size_t size)
{
	atomic_fetch_sub(&((struct fake *)ctx)->bytes, (long)size);
	free(pages);
}

static void *object_alloc(void *ctx, size_t size)
{
	size_t rounded = (size + 63) & ~(size_t)63;
	struct fake *fake = ctx;
	void *object;

	if (allocation_refused(fake))
		return NULL;
	object = aligned_alloc(64, rounded);
	assert_non_null(object);
	memset(object, 0, rounded);
	atomic_fetch_add(&fake->bytes, (long)size);
	return object;
}

static void object_free(void *ctx, void *object, size_t size)
{
	atomic_fetch_sub(&((struct fake *)ctx)->bytes, (long)size);
	free(object);
}

/* ---- domains ---- */

struct fake_domain *fake_domain(struct fake *fake, uint32_t number)
{
	for (uint32_t n = 0; n < FAKE_DOMAINS; n++)
		if (fake->domains[n].exists && fake->domains[n].number == number)
			return &fake->domains[n];
	return NULL;
}

/* The first that ends at or after @at. */
static uint32_t mapping_find(const struct fake_domain *domain, uint64_t at)
{
	uint32_t low = 0, high = domain->n;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (domain->mappings[middle].last < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void domain_end(struct fake_domain *domain)
{
	free(domain->mappings);
	*domain = (struct fake_domain){ .exists = false };
}

static void endpoint_leave(struct fake *fake, struct fake_endpoint *endpoint)
{
	struct fake_domain *domain = endpoint->domain;

	endpoint->domain = NULL;
	if (!domain)
		return;
	for (uint32_t n = 0; n < FAKE_ENDPOINTS; n++)
		if (fake->endpoints[n].domain == domain)
			return;
	domain_end(domain);
}

static struct fake_endpoint *endpoint_of(struct fake *fake, uint32_t id)
{
	return id >= FAKE_DEVICE_0 && id < FAKE_DEVICE_0 + FAKE_ENDPOINTS ? &fake->endpoints[id - FAKE_DEVICE_0] : NULL;
}

static bool domain_in_range(const struct fake *fake, uint32_t number)
{
	uint32_t range[2];

	memcpy(range, fake->config + CONFIG_DOMAIN_START, sizeof(range));
	return number >= range[0] && number <= range[1];
}

static uint8_t do_attach(struct fake *fake, const struct fake_request *request)
{
	struct fake_endpoint *endpoint = endpoint_of(fake, request->endpoint);
	struct fake_domain *domain = fake_domain(fake, request->domain);

	if (request->flags & ~ATTACH_F_BYPASS || (request->flags && !(fake->taken & F_BYPASS_CONFIG)))
		return S_INVAL;
	if (!domain_in_range(fake, request->domain))
		return S_RANGE;
	if (!endpoint)
		return S_NOENT;
	if (domain && domain->bypass != !!(request->flags & ATTACH_F_BYPASS))
		return S_INVAL;
	/* As QEMU: it leaves first, also where it comes back to. */
	endpoint_leave(fake, endpoint);
	domain = fake_domain(fake, request->domain);
	for (uint32_t n = 0; !domain && n < FAKE_DOMAINS; n++)
		if (!fake->domains[n].exists) {
			domain = &fake->domains[n];
			*domain = (struct fake_domain){ .exists = true, .number = request->domain, .bypass = request->flags };
		}
	assert_non_null(domain);
	endpoint->domain = domain;
	return S_OK;
}

static uint8_t do_detach(struct fake *fake, const struct fake_request *request)
{
	struct fake_endpoint *endpoint = endpoint_of(fake, request->endpoint);

	if (!endpoint)
		return S_NOENT;
	if (!endpoint->domain || endpoint->domain->number != request->domain)
		return S_INVAL;
	endpoint_leave(fake, endpoint);
	return S_OK;
}

static uint8_t do_map(struct fake *fake, const struct fake_request *request)
{
	struct fake_domain *domain = fake_domain(fake, request->domain);
	uint64_t input[2], mask;
	uint32_t at;

	memcpy(&mask, fake->config + CONFIG_PAGE_SIZE_MASK, sizeof(mask));
	memcpy(input, fake->config + CONFIG_INPUT_START, sizeof(input));
	mask = (mask & -mask) - 1;
	if (!domain)
		return S_NOENT;
	if (domain->bypass || request->flags & ~(MAP_F_READ | MAP_F_WRITE | MAP_F_MMIO) || (request->flags & MAP_F_MMIO && !(fake->taken & F_MMIO)))
		return S_INVAL;
	if ((request->first | request->paddr | (request->last + 1)) & mask || request->last < request->first || request->first < input[0] || request->last > input[1])
		return S_RANGE;
	at = mapping_find(domain, request->first);
	if (at < domain->n && domain->mappings[at].first <= request->last)
		return S_INVAL;
	if (domain->n == domain->room) {
		domain->room = domain->room ? 2 * domain->room : 64;
		domain->mappings = realloc(domain->mappings, domain->room * sizeof(*domain->mappings));
		assert_non_null(domain->mappings);
	}
	memmove(&domain->mappings[at + 1], &domain->mappings[at], (domain->n - at) * sizeof(*domain->mappings));
	domain->mappings[at] = (struct fake_mapping){ request->first, request->last, request->paddr, request->flags };
	domain->n++;
	return S_OK;
}

static uint8_t do_unmap(struct fake *fake, const struct fake_request *request)
{
	struct fake_domain *domain = fake_domain(fake, request->domain);
	uint32_t at, end;

	if (!domain)
		return S_NOENT;
	if (domain->bypass)
		return S_INVAL;
	for (at = end = mapping_find(domain, request->first); end < domain->n && domain->mappings[end].first <= request->last; end++)
		/* It would be cut. */
		if (domain->mappings[end].first < request->first || domain->mappings[end].last > request->last)
			return S_RANGE;
	if (at < end)
		memmove(&domain->mappings[at], &domain->mappings[end], (domain->n - end) * sizeof(*domain->mappings));
	domain->n -= end - at;
	return S_OK;
}

bool fake_access(const struct fake *fake, uint32_t n, uint64_t iova, bool writes, uint64_t *paddr)
{
	const struct fake_domain *domain = fake->endpoints[n].domain;
	const struct fake_mapping *mapping;
	uint32_t at;

	*paddr = iova;
	if (!domain || domain->bypass)
		return domain || fake->config[CONFIG_BYPASS];
	at = mapping_find(domain, iova);
	if (at == domain->n || domain->mappings[at].first > iova)
		return false;
	mapping = &domain->mappings[at];
	*paddr = mapping->paddr + (iova - mapping->first);
	return mapping->flags & (writes ? MAP_F_WRITE : MAP_F_READ);
}

/* ---- rings ---- */

static uint16_t ring_load16(uint64_t at)
{
	return __atomic_load_n((const uint16_t *)(uintptr_t)at, __ATOMIC_ACQUIRE);
}

static void used_put(struct fake_queue *queue, uint32_t id, uint32_t len)
{
	uint32_t *element = (uint32_t *)(uintptr_t)(queue->device + 4 + 8 * (uint64_t)(queue->used++ & (queue->size - 1)));

	__atomic_store_n(&element[0], id, __ATOMIC_RELAXED);
	__atomic_store_n(&element[1], len, __ATOMIC_RELAXED);
}

static void used_publish(struct fake_queue *queue, uint32_t jump)
{
	__atomic_store_n((uint16_t *)(uintptr_t)(queue->device + 2), (uint16_t)(queue->used + jump), __ATOMIC_RELEASE);
}

static const struct ring_desc *desc_of(const struct fake_queue *queue, uint32_t id)
{
	assert_true(id < queue->size);
	return (const struct ring_desc *)(uintptr_t)queue->desc + id;
}

/* A request as it lies in memory, by the offsets of the specification. */
static struct fake_request request_read(const uint8_t *bytes, uint32_t len)
{
	static const uint32_t lengths[] = { 0, 20, 20, 36, 28, 72 };
	struct fake_request request = { .type = bytes[0] };

	assert_in_range(request.type, 1, 5);
	assert_int_equal(len, lengths[request.type]);
	assert_true(!bytes[1] && !bytes[2] && !bytes[3]);
	switch (request.type) {
	case REQ_ATTACH:
	case REQ_DETACH:
		memcpy(&request.domain, bytes + 4, 4);
		memcpy(&request.endpoint, bytes + 8, 4);
		memcpy(&request.flags, bytes + 12, 4);
		break;
	case REQ_MAP:
		memcpy(&request.domain, bytes + 4, 4);
		memcpy(&request.first, bytes + 8, 8);
		memcpy(&request.last, bytes + 16, 8);
		memcpy(&request.paddr, bytes + 24, 8);
		memcpy(&request.flags, bytes + 32, 4);
		break;
	case REQ_UNMAP:
		memcpy(&request.domain, bytes + 4, 4);
		memcpy(&request.first, bytes + 8, 8);
		memcpy(&request.last, bytes + 16, 8);
		break;
	default:
		memcpy(&request.endpoint, bytes + 4, 4);
		break;
	}
	return request;
}

static uint8_t execute(struct fake *fake, struct fake_request *request)
{
	if (fake->refuse_type == request->type && !fake->refuse_skip--) {
		fake->refuse_skip = 0;
		if (fake->refuse_once)
			fake->refuse_type = 0;
		return (uint8_t)fake->refuse_status;
	}
	switch (request->type) {
	case REQ_ATTACH:
		return do_attach(fake, request);
	case REQ_DETACH:
		return do_detach(fake, request);
	case REQ_MAP:
		return do_map(fake, request);
	case REQ_UNMAP:
		return do_unmap(fake, request);
	default:
		return endpoint_of(fake, request->endpoint) ? S_OK : S_NOENT;
	}
}

/* One chain: what is read, and what is written. */
static void chain_do(struct fake *fake, uint32_t id)
{
	struct fake_queue *queue = &fake->queue[QUEUE_REQUEST];
	const struct ring_desc *out = desc_of(queue, id), *in = desc_of(queue, out->next);
	struct fake_request request = request_read((const uint8_t *)(uintptr_t)out->addr, out->len);
	uint8_t *answer = (uint8_t *)(uintptr_t)in->addr;
	uint32_t len = in->len;

	assert_int_equal(out->flags, DESC_F_NEXT);
	assert_int_equal(in->flags, DESC_F_WRITE);
	request.status = execute(fake, &request);
	if (request.type == REQ_PROBE) {
		assert_int_equal(len, sizeof(fake->properties) + REQ_TAIL_BYTES);
		memcpy(answer, fake->properties, sizeof(fake->properties));
		answer += sizeof(fake->properties);
	} else {
		assert_int_equal(len, REQ_TAIL_BYTES);
	}
	answer[0] = request.status;
	answer[1] = answer[2] = answer[3] = 0;
	if (fake->logged < FAKE_LOG)
		fake->log[fake->logged] = request;
	fake->logged++;
	if (fake->executed)
		fake->executed(fake);
	if (fake->lose) {
		fake->lose--;
		assert_true(fake->nr_lost < 64);
		fake->lost[fake->nr_lost] = (uint16_t)id;
		fake->lost_len[fake->nr_lost++] = len;
		return;
	}
	used_put(queue, fake->bad_id ? fake->bad_id : id, fake->bad_len ? fake->bad_len : len);
	fake->bad_id = fake->bad_len = 0;
}

/* With the lock held. */
static void requests_do(struct fake *fake)
{
	struct fake_queue *queue = &fake->queue[QUEUE_REQUEST];
	uint16_t idx, n;

	if (!(fake->status & STATUS_DRIVER_OK) || !queue->enabled || fake->held)
		return;
	idx = ring_load16(queue->driver + 2);
	n = (uint16_t)(idx - queue->seen);
	assert_in_range(n, 0, queue->size / 2);
	for (uint16_t i = 0; i < n; i++) {
		uint16_t at = (uint16_t)(fake->reverse ? idx - 1 - i : queue->seen + i);

		chain_do(fake, ring_load16(queue->driver + 4 + 2 * (uint64_t)(at & (queue->size - 1))));
	}
	queue->seen = idx;
	used_publish(queue, fake->bad_jump);
}

void fake_run(struct fake *fake)
{
	pthread_mutex_lock(&fake->lock);
	requests_do(fake);
	pthread_mutex_unlock(&fake->lock);
}

void fake_answer_lost(struct fake *fake)
{
	pthread_mutex_lock(&fake->lock);
	for (uint32_t n = 0; n < fake->nr_lost; n++)
		used_put(&fake->queue[QUEUE_REQUEST], fake->lost[n], fake->lost_len[n]);
	fake->nr_lost = 0;
	used_publish(&fake->queue[QUEUE_REQUEST], 0);
	pthread_mutex_unlock(&fake->lock);
}

bool fake_event(struct fake *fake, uint8_t reason, uint32_t flags, uint32_t endpoint, uint64_t address)
{
	const struct fault_event event = { .reason = reason, .flags = flags, .endpoint = endpoint, .address = address };
	struct fake_queue *queue = &fake->queue[QUEUE_EVENT];
	const struct ring_desc *desc;
	uint16_t id;
	bool room;

	pthread_mutex_lock(&fake->lock);
	room = queue->enabled && ring_load16(queue->driver + 2) != queue->seen;
	if (room) {
		id = ring_load16(queue->driver + 4 + 2 * (uint64_t)(queue->seen++ & (queue->size - 1)));
		desc = desc_of(queue, id);
		assert_int_equal(desc->flags, DESC_F_WRITE);
		assert_int_equal(desc->len, EVENT_BYTES);
		memcpy((void *)(uintptr_t)desc->addr, &event, sizeof(event));
		used_put(queue, fake->bad_id ? fake->bad_id : id, fake->bad_len ? fake->bad_len : EVENT_BYTES);
		used_publish(queue, fake->bad_jump);
		fake->bad_id = fake->bad_len = 0;
		fake->isr |= 1;
	}
	pthread_mutex_unlock(&fake->lock);
	return room;
}

/* ---- registers ---- */

static void device_reset(struct fake *fake)
{
	for (uint32_t n = 0; n < FAKE_ENDPOINTS && !fake->keeps; n++)
		endpoint_leave(fake, &fake->endpoints[n]);
	for (uint32_t n = 0; n < 2; n++)
		fake->queue[n] = (struct fake_queue){ .most = fake->queue[n].most, .size = fake->queue[n].most };
	fake->bypass_at_reset = fake->config[CONFIG_BYPASS];
	fake->taken = 0;
	fake->isr = 0;
	fake->status = 0;
	fake->nr_lost = 0;
}

static void status_write(struct fake *fake, uint8_t value)
{
	if (fake->nr_statuses < 16)
		fake->statuses[fake->nr_statuses++] = value;
	if (!value) {
		if (!fake->stuck)
			device_reset(fake);
		return;
	}
	if (value & STATUS_FEATURES_OK && (fake->refuse_features || fake->taken & ~fake->offered))
		value &= (uint8_t)~STATUS_FEATURES_OK;
	fake->status = value;
}

static void config_write(struct fake *fake, uint32_t offset, uint64_t value)
{
	assert_int_equal(offset, CONFIG_BYPASS);
	assert_true(fake->status & STATUS_FEATURES_OK && fake->taken & F_BYPASS_CONFIG);
	assert_true(value <= 1);
	fake->bypass_writes++;
	if (!fake->bypass_stuck)
		fake->config[CONFIG_BYPASS] = (uint8_t)value;
}

static void half_set(uint64_t *whole, bool high, uint32_t value)
{
	*whole = high ? (*whole & UINT32_MAX) | (uint64_t)value << 32 : (*whole & ~(uint64_t)UINT32_MAX) | value;
}

static void notify(struct fake *fake, uint32_t queue)
{
	assert_true(queue < 2);
	if (queue == QUEUE_REQUEST) {
		fake->doorbells++;
		requests_do(fake);
	}
}

static struct fake_queue *selected(struct fake *fake)
{
	static struct fake_queue none;

	return fake->queue_select < 2 ? &fake->queue[fake->queue_select] : &none;
}

static uint64_t common_read(struct fake *fake, uint32_t offset)
{
	switch (offset) {
	case COMMON_DEVICE_FEATURE:
		return fake->offered_select < 2 ? (uint32_t)(fake->offered >> 32 * fake->offered_select) : 0;
	case COMMON_DRIVER_FEATURE:
		return fake->taken_select < 2 ? (uint32_t)(fake->taken >> 32 * fake->taken_select) : 0;
	case COMMON_NUM_QUEUES:
		return 2;
	case COMMON_DEVICE_STATUS:
		return fake->status;
	case COMMON_CONFIG_GENERATION:
		return fake->generation;
	case COMMON_QUEUE_SIZE:
		return selected(fake)->size;
	case COMMON_QUEUE_NOTIFY_OFF:
		return fake->notify_off ? fake->notify_off : fake->queue_select;
	case COMMON_QUEUE_MSIX_VECTOR:
		return 3;
	}
	fail_msg("read at 0x%x", offset);
	return 0;
}

static void common_write(struct fake *fake, uint32_t offset, uint64_t value)
{
	struct fake_queue *queue = selected(fake);

	switch (offset) {
	case COMMON_DEVICE_FEATURE_SELECT:
		fake->offered_select = (uint32_t)value;
		return;
	case COMMON_DRIVER_FEATURE_SELECT:
		fake->taken_select = (uint32_t)value;
		return;
	case COMMON_DRIVER_FEATURE:
		assert_true(fake->status & STATUS_DRIVER && !(fake->status & STATUS_FEATURES_OK));
		half_set(&fake->taken, fake->taken_select, (uint32_t)value);
		return;
	case COMMON_DEVICE_STATUS:
		status_write(fake, (uint8_t)value);
		return;
	case COMMON_QUEUE_SELECT:
		fake->queue_select = (uint32_t)value;
		return;
	case COMMON_QUEUE_SIZE:
		assert_true(value <= queue->most && !(value & (value - 1)) && value);
		queue->size = (uint32_t)value;
		return;
	case COMMON_QUEUE_MSIX_VECTOR:
	case COMMON_CONFIG_MSIX_VECTOR:
		return;
	case COMMON_QUEUE_ENABLE:
		assert_true(value == 1 && fake->status & STATUS_FEATURES_OK && !(fake->status & STATUS_DRIVER_OK));
		assert_true(queue->desc && !(queue->desc & 15) && queue->driver && !(queue->driver & 1) && queue->device && !(queue->device & 3));
		queue->enabled = 1;
		return;
	case COMMON_QUEUE_DESC:
	case COMMON_QUEUE_DESC + 4:
		half_set(&queue->desc, offset & 4, (uint32_t)value);
		return;
	case COMMON_QUEUE_DRIVER:
	case COMMON_QUEUE_DRIVER + 4:
		half_set(&queue->driver, offset & 4, (uint32_t)value);
		return;
	case COMMON_QUEUE_DEVICE:
	case COMMON_QUEUE_DEVICE + 4:
		half_set(&queue->device, offset & 4, (uint32_t)value);
		return;
	}
	fail_msg("write at 0x%x", offset);
}

static uint64_t mmio_read(struct fake *fake, uint32_t offset)
{
	switch (offset) {
	case MMIO_MAGIC:
		return MMIO_MAGIC_VALUE;
	case MMIO_VERSION:
		return 2;
	case MMIO_DEVICE_ID:
		return VIRTIO_ID_IOMMU;
	case MMIO_DEVICE_FEATURES:
		return common_read(fake, COMMON_DEVICE_FEATURE);
	case MMIO_QUEUE_NUM_MAX:
		return selected(fake)->most;
	case MMIO_STATUS:
		return fake->status;
	case MMIO_INTERRUPT_STATUS:
		return fake->isr;
	case MMIO_CONFIG_GENERATION:
		return fake->generation;
	}
	fail_msg("read at 0x%x", offset);
	return 0;
}

static void mmio_write(struct fake *fake, uint32_t offset, uint64_t value)
{
	static const struct {
		uint32_t from, to;
	} alike[] = {
		{ MMIO_DEVICE_FEATURES_SEL, COMMON_DEVICE_FEATURE_SELECT }, { MMIO_DRIVER_FEATURES_SEL, COMMON_DRIVER_FEATURE_SELECT }, { MMIO_DRIVER_FEATURES, COMMON_DRIVER_FEATURE },
		{ MMIO_QUEUE_SEL, COMMON_QUEUE_SELECT }, { MMIO_QUEUE_NUM, COMMON_QUEUE_SIZE }, { MMIO_QUEUE_READY, COMMON_QUEUE_ENABLE }, { MMIO_STATUS, COMMON_DEVICE_STATUS },
		{ MMIO_QUEUE_DESC, COMMON_QUEUE_DESC }, { MMIO_QUEUE_DESC + 4, COMMON_QUEUE_DESC + 4 }, { MMIO_QUEUE_DRIVER, COMMON_QUEUE_DRIVER },
		{ MMIO_QUEUE_DRIVER + 4, COMMON_QUEUE_DRIVER + 4 }, { MMIO_QUEUE_DEVICE, COMMON_QUEUE_DEVICE }, { MMIO_QUEUE_DEVICE + 4, COMMON_QUEUE_DEVICE + 4 },
	};

	if (offset == MMIO_QUEUE_NOTIFY) {
		notify(fake, (uint32_t)value);
		return;
	}
	if (offset == MMIO_INTERRUPT_ACK) {
		fake->isr &= (uint8_t)~value;
		return;
	}
	for (size_t n = 0; n < sizeof(alike) / sizeof(alike[0]); n++)
		if (alike[n].from == offset) {
			common_write(fake, alike[n].to, value);
			return;
		}
	fail_msg("write at 0x%x", offset);
}

/* The width that the specification wants of each field. */
static uint32_t common_bits(uint32_t offset)
{
	if (offset == COMMON_DEVICE_STATUS || offset == COMMON_CONFIG_GENERATION)
		return 8;
	return offset >= COMMON_CONFIG_MSIX_VECTOR && offset < COMMON_QUEUE_DESC ? 16 : 32;
}

static uint64_t config_read(const struct fake *fake, uint32_t offset, uint32_t bits)
{
	uint64_t value = 0;

	assert_true(offset + bits / 8 <= sizeof(fake->config) && bits == (offset == CONFIG_BYPASS ? 8 : 32));
	memcpy(&value, fake->config + offset, bits / 8);
	return value;
}

static uint64_t access_read(struct fake *fake, uintptr_t at, uint32_t bits)
{
	uint32_t base = (uint32_t)at & ~0xffffu, offset = (uint32_t)at & 0xffffu;
	uint64_t value;

	pthread_mutex_lock(&fake->lock);
	if (base == FAKE_COMMON) {
		assert_int_equal(bits, common_bits(offset));
		value = common_read(fake, offset);
	} else if (base == FAKE_ISR) {
		assert_true(!offset && bits == 8);
		value = fake->isr;
		fake->isr = 0;
	} else if (base == FAKE_DEVICE) {
		value = config_read(fake, offset, bits);
	} else {
		assert_int_equal(base, FAKE_MMIO);
		value = offset < MMIO_CONFIG ? mmio_read(fake, offset) : config_read(fake, offset - MMIO_CONFIG, bits);
	}
	pthread_mutex_unlock(&fake->lock);
	return value;
}

static void access_write(struct fake *fake, uintptr_t at, uint32_t bits, uint64_t value)
{
	uint32_t base = (uint32_t)at & ~0xffffu, offset = (uint32_t)at & 0xffffu;

	pthread_mutex_lock(&fake->lock);
	if (base == FAKE_COMMON) {
		assert_int_equal(bits, common_bits(offset));
		common_write(fake, offset, value);
	} else if (base == FAKE_NOTIFY) {
		assert_true(bits == 16 && offset == value * FAKE_MULTIPLIER);
		notify(fake, (uint32_t)value);
	} else if (base == FAKE_DEVICE) {
		config_write(fake, offset, value);
	} else {
		assert_int_equal(base, FAKE_MMIO);
		if (offset < MMIO_CONFIG)
			mmio_write(fake, offset, value);
		else
			config_write(fake, offset - MMIO_CONFIG, value);
	}
	pthread_mutex_unlock(&fake->lock);
}

#define ACCESSORS(_bits)                                                                    \
	static uint##_bits##_t read##_bits(void *ctx, uintptr_t at)                         \
	{                                                                                   \
		return (uint##_bits##_t)access_read(ctx, at, _bits);                        \
	}                                                                                   \
                                                                                            \
	static void write##_bits(void *ctx, uintptr_t at, uint##_bits##_t value)            \
	{                                                                                   \
		access_write(ctx, at, _bits, value);                                        \
	}

ACCESSORS(8)
ACCESSORS(16)
ACCESSORS(32)
ACCESSORS(64)

/* ---- ---- */

void fake_init(struct fake *fake)
{
	const uint64_t config[] = { ~UINT64_C(0xfff), 0, UINT64_MAX };
	const uint32_t domains[] = { 5, 1000, sizeof(fake->properties) };

	memset(fake, 0, sizeof(*fake));
	pthread_mutex_init(&fake->lock, NULL);
	atomic_init(&fake->refuse_after, -1);
	fake->offered = FAKE_FEATURES;
	memcpy(fake->config, config, sizeof(config));
	memcpy(fake->config + CONFIG_DOMAIN_START, domains, sizeof(domains));
	fake->config[CONFIG_BYPASS] = 1;
	fake->queue[0].most = fake->queue[0].size = 256;
	fake->queue[1].most = fake->queue[1].size = 256;
	fake->platform = (struct iog_platform){
		.ctx = fake, .pages_alloc = pages_alloc, .pages_free = pages_free, .object_alloc = object_alloc, .object_free = object_free, .now_ns = now_ns,
		.mmio_read8 = read8, .mmio_read16 = read16, .mmio_read32 = read32, .mmio_read64 = read64,
		.mmio_write8 = write8, .mmio_write16 = write16, .mmio_write32 = write32, .mmio_write64 = write64,
	};
}

void fake_fini(struct fake *fake)
{
	for (uint32_t n = 0; n < FAKE_DOMAINS; n++)
		domain_end(&fake->domains[n]);
	assert_int_equal(atomic_load(&fake->bytes), 0);
	pthread_mutex_destroy(&fake->lock);
}

struct iog_virtio_config fake_config(struct fake *fake)
{
	return (struct iog_virtio_config){
		.platform = &fake->platform, .common = FAKE_COMMON, .notify = FAKE_NOTIFY, .isr = FAKE_ISR, .device = FAKE_DEVICE,
		.notify_length = 4096, .notify_multiplier = FAKE_MULTIPLIER, .timeout_ms = 20,
	};
}

struct iog_virtio *fake_driver(struct fake *fake)
{
	struct iog_virtio_config config = fake_config(fake);
	struct iog_virtio *virtio = NULL;

	assert_int_equal(iog_virtio_create(&config, &virtio), 0);
	return virtio;
}

struct iog_virtio *fake_ready(struct fake *fake)
{
	struct iog_virtio *virtio = fake_driver(fake);

	assert_int_equal(iog_virtio_enable(virtio), 0);
	fake_log_clear(fake);
	return virtio;
}

void fake_done(struct iog_virtio *virtio)
{
	assert_int_equal(iog_virtio_disable(virtio), 0);
	assert_int_equal(iog_virtio_destroy(virtio), 0);
}

void fake_log_clear(struct fake *fake)
{
	fake->logged = 0;
	fake->doorbells = 0;
}

uint32_t fake_logged(const struct fake *fake, uint8_t type)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < fake->logged && i < FAKE_LOG; i++)
		n += fake->log[i].type == type;
	return n;
}

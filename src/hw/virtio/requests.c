/* SPDX-License-Identifier: MIT */
/*
 * The request queue: batches of requests on their way, and their answers.
 *
 * A request is two descriptors, one that the device reads and one that it writes, at a place that stays the same: slot n has descriptors 2n and 2n + 1. Several lanes send at once; whoever looks at
 * the used ring takes what is there for all. Requests that were sent together are published with one doorbell. The device executes them in whatever order it likes, so that what depends on another
 * is sent after that was answered.
 *
 *   slots on the way = requests that are REQUEST_SENT = sum of left over all batches, but for those given up by a reset
 */
#include "../../pgtable/memory.h"
#include "virtio.h"

/* The device's status says whether it wants to be reset, and costs an access: looked at ever more seldom while nothing comes. */
static bool is_turn(uint32_t looks)
{
	return looks > 64 && !(looks & (looks - 1));
}

static size_t slots_bytes(const struct iog_virtio *virtio)
{
	return virtio->nr_slots * sizeof(*virtio->slots);
}

static size_t memory_bytes(const struct iog_virtio *virtio)
{
	size_t bytes = virtio->nr_slots * sizeof(*virtio->slot_memory);

	return bytes < 4096 ? 4096 : bytes;
}

int iog_virtio_requests_create(struct iog_virtio *virtio)
{
	const struct iog_platform *platform = virtio->platform;
	int error = iog_virtio_ring_create(&virtio->requests, platform, virtio->config.request_entries);

	if (error)
		return error;
	virtio->nr_slots = virtio->config.request_entries / 2;
	virtio->slots = platform->object_alloc(platform->ctx, slots_bytes(virtio));
	virtio->slot_memory = platform->pages_alloc(platform->ctx, memory_bytes(virtio));
	return virtio->slots && virtio->slot_memory ? 0 : -IOG_ENOMEM;
}

void iog_virtio_requests_destroy(struct iog_virtio *virtio)
{
	const struct iog_platform *platform = virtio->platform;

	if (virtio->slot_memory)
		platform->pages_free(platform->ctx, virtio->slot_memory, memory_bytes(virtio));
	if (virtio->slots)
		platform->object_free(platform->ctx, virtio->slots, slots_bytes(virtio));
	iog_virtio_ring_destroy(&virtio->requests);
}

void iog_virtio_requests_reset(struct iog_virtio *virtio, uint32_t size)
{
	iog_virtio_ring_reset(&virtio->requests, size, AVAIL_F_NO_INTERRUPT);
	atomic_store_explicit(&virtio->broken, false, memory_order_relaxed);
	virtio->free_slot = SLOT_NONE;
	for (uint32_t n = size / 2; n--;) {
		virtio->slots[n] = (struct vio_slot){ .next = virtio->free_slot };
		virtio->free_slot = n;
	}
}

void iog_virtio_complain(struct iog_virtio *virtio, _Atomic bool *broken)
{
	if (!atomic_load_explicit(broken, memory_order_relaxed))
		vio_count(&virtio->count_broken, 1);
	atomic_store_explicit(broken, true, memory_order_relaxed);
}

int iog_virtio_error(uint32_t status)
{
	switch (status) {
	case S_OK:
		return 0;
	case S_UNSUPP:
		return -IOG_EOPNOTSUPP;
	case S_INVAL:
		return -IOG_EINVAL;
	case S_RANGE:
		return -IOG_ERANGE;
	case S_NOENT:
		return -IOG_ENOENT;
	case S_FAULT:
		return -IOG_EFAULT;
	case S_NOMEM:
		return -IOG_ENOMEM;
	default:
		return -IOG_EIO;
	}
}

/* Bytes that the device reads. */
static uint32_t request_write(struct vio_slot_memory *memory, const struct vio_request *request)
{
	memset(memory, 0, sizeof(*memory));
	memory->tail[0] = S_UNWRITTEN;
	switch (request->type) {
	case REQ_MAP:
		memory->map = (struct req_map){ .type = REQ_MAP, .domain = request->domain, .virt_start = request->first, .virt_end = request->last, .phys_start = request->paddr, .flags = request->flags };
		return REQ_MAP_BYTES;
	case REQ_UNMAP:
		memory->unmap = (struct req_unmap){ .type = REQ_UNMAP, .domain = request->domain, .virt_start = request->first, .virt_end = request->last };
		return REQ_UNMAP_BYTES;
	case REQ_PROBE:
		memory->probe = (struct req_probe){ .type = REQ_PROBE, .endpoint = request->endpoint };
		return REQ_PROBE_BYTES;
	default:
		memory->attach = (struct req_attach){ .type = request->type, .domain = request->domain, .endpoint = request->endpoint, .flags = request->flags };
		return REQ_ATTACH_BYTES;
	}
}

/* Of a probe the device writes elsewhere, and the tail behind that. */
static uint32_t bytes_written(const struct iog_virtio *virtio, const struct vio_request *request)
{
	return request->type == REQ_PROBE ? virtio->info.probe_bytes + REQ_TAIL_BYTES : REQ_TAIL_BYTES;
}

static const uint8_t *tail_of(const struct iog_virtio *virtio, uint32_t slot, const struct vio_request *request)
{
	return request->type == REQ_PROBE ? (const uint8_t *)virtio->properties + virtio->info.probe_bytes : virtio->slot_memory[slot].tail;
}

/* With queue_lock, and a free slot. */
static void request_send(struct iog_virtio *virtio, struct vio_batch *batch, struct vio_request *request)
{
	uint32_t slot = virtio->free_slot;
	struct vio_slot_memory *memory = &virtio->slot_memory[slot];
	uint32_t bytes = request_write(memory, request);

	virtio->free_slot = virtio->slots[slot].next;
	virtio->slots[slot] = (struct vio_slot){ .request = request, .batch = batch };
	iog_virtio_ring_describe(&virtio->requests, (uint16_t)(2 * slot), vio_paddr(virtio, memory), bytes, DESC_F_NEXT);
	iog_virtio_ring_describe(&virtio->requests, (uint16_t)(2 * slot + 1), vio_paddr(virtio, request->type == REQ_PROBE ? virtio->properties : (void *)memory->tail),
				 bytes_written(virtio, request), DESC_F_WRITE);
	iog_virtio_ring_offer(&virtio->requests, (uint16_t)(2 * slot));
	request->state = REQUEST_SENT;
	batch->left++;
}

/* With queue_lock: as many as there is room for, and one doorbell. */
static void batch_send(struct iog_virtio *virtio, struct vio_batch *batch)
{
	uint32_t sent = batch->sent;

	while (batch->sent < batch->n && virtio->free_slot != SLOT_NONE)
		request_send(virtio, batch, &batch->requests[batch->sent++]);
	if (batch->sent == sent)
		return;
	vio_count(&virtio->count_requests, batch->sent - sent);
	if (iog_virtio_ring_publish(&virtio->requests)) {
		vio_count(&virtio->count_doorbells, 1);
		iog_virtio_queue_notify(virtio, QUEUE_REQUEST, &virtio->requests);
	}
}

/* With queue_lock: answers, whosever they are. False when one is none. */
static bool answers_take(struct iog_virtio *virtio)
{
	int n = iog_virtio_ring_used(&virtio->requests, virtio->requests.size / 2u);

	if (n < 0)
		return false;
	while (n--) {
		const struct ring_used_elem element = iog_virtio_ring_take(&virtio->requests);
		uint32_t slot = element.id / 2;
		struct vio_request *request;

		if (element.id & 1 || slot >= virtio->requests.size / 2u || !virtio->slots[slot].request)
			return false;
		request = virtio->slots[slot].request;
		if (element.len < REQ_TAIL_BYTES || element.len > bytes_written(virtio, request))
			return false;
		request->status = *(const volatile uint8_t *)tail_of(virtio, slot, request);
		request->state = REQUEST_ANSWERED;
		if (request->status != S_OK)
			vio_count(&virtio->count_refused, 1);
		virtio->slots[slot].batch->left--;
		virtio->slots[slot] = (struct vio_slot){ .next = virtio->free_slot };
		virtio->free_slot = slot;
	}
	return true;
}

static bool wants_reset(struct iog_virtio *virtio)
{
	uint32_t status = iog_virtio_status_get(virtio);

	/* All ones: nobody is there. One that was reset behind our back has lost what it was told. */
	return status & STATUS_NEEDS_RESET || !(status & STATUS_DRIVER_OK);
}

/* One look. 1: there is nothing left; 0: there is; -IOG_EIO. */
static int batch_look(struct iog_virtio *virtio, struct vio_batch *batch, bool check)
{
	uintptr_t flags = spin_lock(&virtio->queue_lock, virtio->platform);
	int outcome = -IOG_EIO;

	if (!vio_is_broken(virtio) && (!answers_take(virtio) || (check && wants_reset(virtio))))
		iog_virtio_complain(virtio, &virtio->broken);
	if (!vio_is_broken(virtio)) {
		outcome = batch->sent == batch->n && !batch->left;
		batch_send(virtio, batch);
	}
	spin_unlock(&virtio->queue_lock, virtio->platform, flags);
	return outcome;
}

int iog_virtio_settle(struct iog_virtio *virtio, struct vio_batch *batch)
{
	uint64_t deadline = iog_deadline(virtio->platform, vio_timeout(virtio));
	uint32_t looks = 0;
	bool late = false;

	for (;;) {
		int outcome = batch_look(virtio, batch, late || is_turn(looks++));

		if (outcome)
			return outcome == 1 ? 0 : outcome;
		/* Once more after the deadline: a lane that was away has waited for nothing. */
		if (late) {
			/* What was not sent never will be. */
			batch->n = batch->sent;
			vio_count(&virtio->count_timeouts, 1);
			return -IOG_ETIMEDOUT;
		}
		late = iog_deadline_passed(virtio->platform, deadline);
		if (!late)
			iog_relax(virtio->platform);
	}
}

int iog_virtio_submit(struct iog_virtio *virtio, struct vio_batch *batch)
{
	vio_count(&virtio->count_submissions, 1);
	return iog_virtio_settle(virtio, batch);
}

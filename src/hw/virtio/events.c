/* SPDX-License-Identifier: MIT */
/*
 * The event queue (5.13.6.9): refused accesses, decoded.
 *
 * The device is lent buffers, one for each fault that it may report before they are taken. When it has none left it drops reports, and does not say so. Whoever takes faults holds event_lock, and
 * tells them one at a time.
 */
#include "../../pgtable/memory.h"
#include "virtio.h"

static size_t memory_bytes(const struct iog_virtio *virtio)
{
	size_t bytes = virtio->config.event_entries * sizeof(*virtio->event_memory), pages = 4096;

	while (pages < bytes)
		pages *= 2;
	return pages;
}

int iog_virtio_events_create(struct iog_virtio *virtio)
{
	int error = iog_virtio_ring_create(&virtio->events, virtio->platform, virtio->config.event_entries);

	if (!error)
		error = iog_fault_log_create(virtio->platform, &virtio->config.faults, &virtio->fault_log);
	if (!error) {
		virtio->event_memory = virtio->platform->pages_alloc(virtio->platform->ctx, memory_bytes(virtio));
		error = virtio->event_memory ? 0 : -IOG_ENOMEM;
	}
	return error;
}

void iog_virtio_events_destroy(struct iog_virtio *virtio)
{
	if (virtio->event_memory)
		virtio->platform->pages_free(virtio->platform->ctx, virtio->event_memory, memory_bytes(virtio));
	iog_fault_log_destroy(virtio->fault_log);
	iog_virtio_ring_destroy(&virtio->events);
}

void iog_virtio_events_reset(struct iog_virtio *virtio, uint32_t size)
{
	iog_virtio_ring_reset(&virtio->events, size, 0);
	virtio->nr_events = size;
	atomic_store_explicit(&virtio->events_broken, false, memory_order_relaxed);
	memset(virtio->event_memory, 0, memory_bytes(virtio));
}

static void lend(struct iog_virtio *virtio, uint32_t n)
{
	iog_virtio_ring_describe(&virtio->events, (uint16_t)n, vio_paddr(virtio, &virtio->event_memory[n]), EVENT_BYTES, DESC_F_WRITE);
	iog_virtio_ring_offer(&virtio->events, (uint16_t)n);
}

static void publish(struct iog_virtio *virtio)
{
	if (iog_virtio_ring_publish(&virtio->events))
		iog_virtio_queue_notify(virtio, QUEUE_EVENT, &virtio->events);
}

void iog_virtio_events_post(struct iog_virtio *virtio)
{
	for (uint32_t n = 0; n < virtio->nr_events; n++)
		lend(virtio, n);
	publish(virtio);
}

/* As the device has it now: it is the device's memory, and may change. */
static struct fault_event event_read(const struct fault_event *at)
{
	const volatile struct fault_event *event = at;

	return (struct fault_event){ .reason = event->reason, .flags = event->flags, .endpoint = event->endpoint, .address = event->address };
}

static void tell(struct iog_virtio *virtio, const struct fault_event *event)
{
	struct iog_fault fault = {
		.device = event->endpoint,
		.pasid = IOG_PASID_NONE,
		.iova = event->flags & FAULT_F_ADDRESS ? event->address : 0,
		.access = (event->flags & FAULT_F_READ ? IOG_PROT_READ : 0) | (event->flags & FAULT_F_WRITE ? IOG_PROT_WRITE : 0) | (event->flags & FAULT_F_EXEC ? IOG_PROT_EXEC : 0) |
			  (event->flags & FAULT_F_ADDRESS ? 0 : IOG_FAULT_NO_ADDRESS),
		.code = event->reason,
	};

	switch (event->reason) {
	case FAULT_R_DOMAIN:
		fault.reason = IOG_FAULT_REASON_NO_DEVICE;
		fault.text = "the device is attached to no domain";
		break;
	case FAULT_R_MAPPING:
		/* Reading is allowed by most mappings, and writing by fewer. */
		fault.reason = event->flags & FAULT_F_WRITE ? IOG_FAULT_REASON_OTHER : IOG_FAULT_REASON_NOT_PRESENT;
		fault.text = "the address is not mapped, or not for this kind of access";
		break;
	default:
		fault.reason = IOG_FAULT_REASON_OTHER;
		fault.text = "the device does not say why";
		break;
	}
	iog_fault_log_add(virtio->fault_log, &virtio->unit, &fault);
}

/* With event_lock. False when the device has used a buffer as it cannot be used. */
static bool event_take(struct iog_virtio *virtio)
{
	const struct ring_used_elem element = iog_virtio_ring_take(&virtio->events);
	struct fault_event event;

	if (element.id >= virtio->nr_events || element.len != EVENT_BYTES)
		return false;
	event = event_read(&virtio->event_memory[element.id]);
	tell(virtio, &event);
	lend(virtio, element.id);
	return true;
}

uint32_t iog_virtio_interrupt(struct iog_virtio *virtio)
{
	uint32_t taken = 0;
	uintptr_t flags;
	int there;

	if (!virtio->on)
		return 0;
	flags = spin_lock(&virtio->event_lock, virtio->platform);
	/* Before the ring is looked at: what comes later interrupts again. */
	if (!(virtio->config.flags & IOG_VIRTIO_MSIX))
		(void)iog_virtio_interrupt_reasons(virtio);
	there = atomic_load_explicit(&virtio->events_broken, memory_order_relaxed) ? 0 : iog_virtio_ring_used(&virtio->events, virtio->nr_events);
	while (there > 0 && event_take(virtio)) {
		there--;
		taken++;
	}
	if (there)
		iog_virtio_complain(virtio, &virtio->events_broken);
	if (taken)
		publish(virtio);
	spin_unlock(&virtio->event_lock, virtio->platform, flags);
	return taken;
}

void iog_virtio_device_faults(const struct iog_virtio *virtio, uint32_t device, struct iog_fault_counts *counts)
{
	iog_fault_log_device(virtio->fault_log, device, counts);
}

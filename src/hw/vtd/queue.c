/* SPDX-License-Identifier: MIT */
/*
 * The invalidation queue (VT-d 6.5.2), by ../ring.h: its registers, and what becomes of it when hardware stops.
 *
 * Hardware reports a wait when all before it is done (6.5.2.11), by writing what the wait says to memory. Its head register, which says what was fetched, is read only when the queue looks full.
 *
 * Errors (6.5.2.10)
 *   ITE   a device has not answered: the waits in flight are lost, and commands go on
 *   ICE   the same, where a device has answered nonsense
 *   IQE   hardware does not understand a descriptor: it becomes a wait that answers to nobody
 * Whoever waits is told to submit again, but for who waits for that device.
 *
 * Locking: see ../ring.h; ring_check() holds its write_lock from the look at what is lost until the error is acknowledged.
 */
#include "vtd.h"

static struct iog_vtd *ring_vtd(struct iog_ring *ring)
{
	return (struct iog_vtd *)(void *)((char *)ring - offsetof(struct iog_vtd, ring));
}

static uint32_t ring_fetched(struct iog_ring *ring)
{
	uint64_t head = iog_mmio_read64(&ring_vtd(ring)->mmio, VTD_IQH);

	return head == UINT64_MAX ? UINT32_MAX : (uint32_t)((head & VTD_IQ_OFFSET) >> ring->slot_shift);
}

static void ring_tail(struct iog_ring *ring, uint32_t tail)
{
	struct iog_mmio *mmio = &ring_vtd(ring)->mmio;

	iog_mmio_publish(mmio);
	iog_mmio_write64(mmio, VTD_IQT, (uint64_t)tail << ring->slot_shift);
}

static void ring_fence(struct iog_ring *ring, uint64_t place, struct iog_command *command)
{
	struct vtd_command wait = vtd_wait(ring->answer_paddr, (uint32_t)place);

	*command = (struct iog_command){ { wait.low, wait.high } };
}

/* Under write_lock. */
static void go_on(struct iog_vtd *vtd, uint32_t status)
{
	struct iog_ring *ring = &vtd->ring;
	uint32_t device = IOG_RING_NO_DEVICE;

	if (status & VTD_FSTS_ITE) {
		device = VTD_IQERCD_ITESID(iog_mmio_read64(&vtd->mmio, VTD_IQERCD));
		device = device ? device : IOG_RING_SOME_DEVICE;
	}
	if (status & VTD_FSTS_IQE) {
		/* Beside the word that others wait for. */
		struct vtd_command nothing = vtd_wait(ring->answer_paddr + sizeof(uint64_t), 0);
		struct iog_command command = { { nothing.low, nothing.high } };

		/* Of the slot alone, so that it may be any place of it. */
		iog_ring_replace(ring, ring->base + ring_fetched(ring), &command);
		iog_mmio_publish(&vtd->mmio);
	}
	iog_ring_abort(ring, device);
	vtd_count(&vtd->counters.errors, 1);
	iog_mmio_write32(&vtd->mmio, VTD_FSTS, status & VTD_FSTS_QUEUE);
	/* Hardware goes on from its head; some have to be told. */
	ring_tail(ring, iog_ring_index(ring, atomic_load_explicit(&ring->tail, memory_order_relaxed)));
}

static void ring_check(struct iog_ring *ring)
{
	struct iog_vtd *vtd = ring_vtd(ring);
	uint32_t status = iog_mmio_read32(&vtd->mmio, VTD_FSTS);
	uintptr_t flags;

	/* All ones: the unit is gone, and time runs out. */
	if (!(status & VTD_FSTS_QUEUE) || status == UINT32_MAX)
		return;
	flags = spin_lock(&ring->write_lock, vtd->platform);
	go_on(vtd, status);
	spin_unlock(&ring->write_lock, vtd->platform, flags);
}

static const struct iog_ring_ops ring_ops = {
	.fetched = ring_fetched,
	.tail = ring_tail,
	.check = ring_check,
	.fence = ring_fence,
};

void iog_vtd_queue_errors(struct iog_vtd *vtd)
{
	/* Relaxed: a hint; nothing is read by it. */
	if (vtd->queued && atomic_load_explicit(&vtd->running, memory_order_relaxed))
		iog_ring_watch(&vtd->ring, true);
}

int iog_vtd_queue_submit(struct iog_vtd *vtd, const struct vtd_command *commands, uint32_t count, uint32_t sid)
{
	return iog_ring_submit(&vtd->ring, commands, count, sid == VTD_NO_SID ? IOG_RING_NO_DEVICE : sid, vtd->timeout_ns);
}

int iog_vtd_queue_create(struct iog_vtd *vtd)
{
	uint32_t slot_shift = vtd->scalable ? 5 : 4, log2size = 0;

	while (UINT32_C(1) << (log2size + slot_shift) < vtd->config.queue_bytes)
		log2size++;
	vtd->ring.ops = &ring_ops;
	vtd->ring.coherent = !vtd->clean_structures;
	/* Waits are answered by writes that caches see, whatever hardware reads by (6.5.2.8). */
	vtd->ring.answers_snooped = true;
	return iog_ring_create(&vtd->ring, vtd->platform, log2size, slot_shift, false);
}

void iog_vtd_queue_destroy(struct iog_vtd *vtd)
{
	iog_ring_destroy(&vtd->ring);
}

int iog_vtd_queue_stop(struct iog_vtd *vtd)
{
	uint64_t tail;
	int error;

	if (!(iog_mmio_read32(&vtd->mmio, VTD_GSTS) & VTD_QIE))
		return 0;
	/* What is in it is carried out first (VT-d 6.5.2.11). An error that nobody has looked at would keep it from that. */
	iog_mmio_write32(&vtd->mmio, VTD_FSTS, VTD_FSTS_QUEUE);
	tail = iog_mmio_read64(&vtd->mmio, VTD_IQT) & VTD_IQ_OFFSET;
	error = iog_mmio_poll64(&vtd->mmio, VTD_IQH, VTD_IQ_OFFSET, tail, vtd->timeout_ns, NULL);
	return error ? error : iog_vtd_command(vtd, VTD_QIE, false);
}

int iog_vtd_queue_start(struct iog_vtd *vtd)
{
	uint32_t order = 0;
	int error = iog_vtd_queue_stop(vtd);

	if (error)
		return error;
	while (VTD_PAGE << order < vtd->config.queue_bytes)
		order++;
	iog_ring_reset(&vtd->ring);
	iog_mmio_publish(&vtd->mmio);
	iog_mmio_write64(&vtd->mmio, VTD_IQT, 0);
	iog_mmio_write64(&vtd->mmio, VTD_IQA, vtd->ring.paddr | (vtd->ring.slot_shift == 5 ? VTD_IQA_DW : 0) | order);
	return iog_vtd_command(vtd, VTD_QIE, true);
}

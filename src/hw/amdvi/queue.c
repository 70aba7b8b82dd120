/* SPDX-License-Identifier: MIT */
/*
 * The command buffer (AMD IOMMU 2.4), by ../ring.h: its registers, and what becomes of it when hardware stops.
 *
 * COMPLETION_WAIT stores the place behind it when all before it is done. Hardware's head register, which says what was fetched, is read only when the buffer looks full. A command that hardware does not
 * understand, or cannot read, stops it (2.4.10); the buffer is then emptied and set going again, and everybody who waits submits again.
 *
 * Locking: see ../ring.h. Whether the unit is running changes under its watch_lock, so that one which is being turned off is not taken for stopped.
 */
#include "amdvi.h"

static struct iog_amdvi *ring_amdvi(struct iog_ring *ring)
{
	return (struct iog_amdvi *)(void *)((char *)ring - offsetof(struct iog_amdvi, ring));
}

static uint32_t ring_fetched(struct iog_ring *ring)
{
	uint32_t head = iog_mmio_read32(&ring_amdvi(ring)->mmio, AMDVI_CMD_HEAD);

	return head == UINT32_MAX ? UINT32_MAX : (head & AMDVI_POINTER) >> 4;
}

static void ring_tail(struct iog_ring *ring, uint32_t tail)
{
	struct iog_mmio *mmio = &ring_amdvi(ring)->mmio;

	iog_mmio_publish(mmio);
	iog_mmio_write32(mmio, AMDVI_CMD_TAIL, tail << 4);
}

static void ring_fence(struct iog_ring *ring, uint64_t place, struct iog_command *command)
{
	struct amdvi_command wait = amdvi_wait(ring->answer_paddr, place);

	*command = (struct iog_command){ { wait.low, wait.high } };
}

static void ring_check(struct iog_ring *ring)
{
	struct iog_amdvi *amdvi = ring_amdvi(ring);
	uint32_t status;
	uintptr_t flags;

	if (!atomic_load_explicit(&amdvi->running, memory_order_relaxed))
		return;
	status = iog_mmio_read32(&amdvi->mmio, AMDVI_STATUS);
	/* All ones: the unit is gone, and time runs out. */
	if (status & AMDVI_CMD_BUF_RUN || status == UINT32_MAX)
		return;
	amdvi_count(&amdvi->counters.errors, 1);
	flags = spin_lock(&ring->write_lock, amdvi->platform);
	iog_ring_drop(ring, atomic_load_explicit(&ring->head, memory_order_relaxed));
	iog_amdvi_control(amdvi, AMDVI_CMD_BUF_EN, 0);
	iog_mmio_write32(&amdvi->mmio, AMDVI_CMD_HEAD, 0);
	iog_mmio_write32(&amdvi->mmio, AMDVI_CMD_TAIL, 0);
	iog_amdvi_control(amdvi, 0, AMDVI_CMD_BUF_EN);
	spin_unlock(&ring->write_lock, amdvi->platform, flags);
}

static const struct iog_ring_ops ring_ops = {
	.fetched = ring_fetched,
	.tail = ring_tail,
	.check = ring_check,
	.fence = ring_fence,
};

void iog_amdvi_queue_errors(struct iog_amdvi *amdvi)
{
	/* Acquire: pairs with the release in iog_amdvi_enable(), before which the buffer is not on. */
	if (atomic_load_explicit(&amdvi->running, memory_order_acquire))
		iog_ring_watch(&amdvi->ring, true);
}

int iog_amdvi_queue_submit(struct iog_amdvi *amdvi, const struct amdvi_command *commands, uint32_t count)
{
	return iog_ring_submit(&amdvi->ring, commands, count, IOG_RING_NO_DEVICE, amdvi->timeout_ns);
}

int iog_amdvi_queue_create(struct iog_amdvi *amdvi)
{
	uint32_t log2size = 0;

	while (UINT32_C(1) << log2size < amdvi->config.commands)
		log2size++;
	amdvi->ring.ops = &ring_ops;
	amdvi->ring.coherent = true;
	amdvi->ring.answers_snooped = true;
	return iog_ring_create(&amdvi->ring, amdvi->platform, log2size, 4, false);
}

void iog_amdvi_queue_destroy(struct iog_amdvi *amdvi)
{
	iog_ring_destroy(&amdvi->ring);
}

void iog_amdvi_queue_reset(struct iog_amdvi *amdvi)
{
	iog_ring_reset(&amdvi->ring);
	iog_mmio_publish(&amdvi->mmio);
	iog_mmio_write64(&amdvi->mmio, AMDVI_CMDBUF, amdvi->ring.paddr | (uint64_t)amdvi->ring.log2size << AMDVI_LENGTH_SHIFT);
	iog_mmio_write32(&amdvi->mmio, AMDVI_CMD_HEAD, 0);
	iog_mmio_write32(&amdvi->mmio, AMDVI_CMD_TAIL, 0);
}

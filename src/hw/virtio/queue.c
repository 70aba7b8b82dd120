/* SPDX-License-Identifier: MIT */
/*
 * A split ring (2.7): descriptors, what the driver offers, what the device has used. One block of memory for the three.
 *
 * What the device writes is read once, by the functions here, and compared with what it can be by their callers.
 */
#include "../../pgtable/memory.h"
#include "virtio.h"

/* In front of the elements: flags, idx. Behind those of the available ring stands a word that is not used here. */
#define RING_HEAD 2u

static size_t avail_offset(uint32_t entries)
{
	return (size_t)entries * sizeof(struct ring_desc);
}

static size_t used_offset(uint32_t entries)
{
	return (avail_offset(entries) + (RING_HEAD + (size_t)entries + 1) * sizeof(uint16_t) + 3) & ~(size_t)3;
}

static size_t ring_bytes(uint32_t entries)
{
	size_t needed = used_offset(entries) + RING_HEAD * sizeof(uint16_t) + (size_t)entries * sizeof(struct ring_used_elem) + sizeof(uint16_t), bytes = 4096;

	while (bytes < needed)
		bytes *= 2;
	return bytes;
}

int iog_virtio_ring_create(struct vio_ring *ring, const struct iog_platform *platform, uint32_t entries)
{
	ring->platform = platform;
	ring->entries = (uint16_t)entries;
	ring->bytes = ring_bytes(entries);
	ring->pages = platform->pages_alloc(platform->ctx, ring->bytes);
	return ring->pages ? 0 : -IOG_ENOMEM;
}

void iog_virtio_ring_destroy(struct vio_ring *ring)
{
	if (ring->pages)
		ring->platform->pages_free(ring->platform->ctx, ring->pages, ring->bytes);
	ring->pages = NULL;
}

void iog_virtio_ring_reset(struct vio_ring *ring, uint32_t size, uint16_t flags)
{
	uint8_t *pages = ring->pages;

	memset(pages, 0, ring->bytes);
	ring->size = (uint16_t)size;
	ring->desc = (struct ring_desc *)(void *)pages;
	ring->avail = (_Atomic uint16_t *)(void *)(pages + avail_offset(ring->entries));
	ring->used = (_Atomic uint16_t *)(void *)(pages + used_offset(ring->entries));
	ring->avail_idx = ring->used_idx = 0;
	atomic_store_explicit(&ring->avail[0], flags, memory_order_relaxed);
}

void iog_virtio_ring_describe(struct vio_ring *ring, uint16_t index, iog_paddr_t paddr, uint32_t bytes, uint16_t flags)
{
	ring->desc[index] = (struct ring_desc){ .addr = paddr, .len = bytes, .flags = flags, .next = (uint16_t)(flags & DESC_F_NEXT ? index + 1 : 0) };
}

void iog_virtio_ring_offer(struct vio_ring *ring, uint16_t index)
{
	atomic_store_explicit(&ring->avail[RING_HEAD + (ring->avail_idx++ & (ring->size - 1u))], index, memory_order_relaxed);
}

bool iog_virtio_ring_publish(struct vio_ring *ring)
{
	if (ring->platform->dma_wmb)
		ring->platform->dma_wmb(ring->platform->ctx);
	/* Release: descriptors and what they lead to; pairs with the device's read. */
	atomic_store_explicit(&ring->avail[1], ring->avail_idx, memory_order_release);
	/* The index before its wish is read: it looks at the index once more after it has withdrawn that (2.7.10). */
	atomic_thread_fence(memory_order_seq_cst);
	return !(atomic_load_explicit(&ring->used[0], memory_order_relaxed) & USED_F_NO_NOTIFY);
}

int iog_virtio_ring_used(const struct vio_ring *ring, uint32_t most)
{
	/* Acquire: the elements, and what they are about. */
	uint16_t n = (uint16_t)(atomic_load_explicit(&ring->used[1], memory_order_acquire) - ring->used_idx);

	return n <= most ? n : -IOG_EIO;
}

struct ring_used_elem iog_virtio_ring_take(struct vio_ring *ring)
{
	const _Atomic uint32_t *elements = (const _Atomic uint32_t *)(const void *)(ring->used + RING_HEAD);
	size_t at = ring->used_idx++ & (ring->size - 1u);

	return (struct ring_used_elem){ .id = atomic_load_explicit(&elements[2 * at], memory_order_relaxed), .len = atomic_load_explicit(&elements[2 * at + 1], memory_order_relaxed) };
}

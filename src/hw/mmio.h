/* SPDX-License-Identifier: MIT */
/*
 * Registers of one unit, and waiting with a deadline.
 *
 * A register is named by its offset. Accesses are counted, because they are what an operation of hardware costs. Nothing here is locked: a driver orders what has to be ordered.
 */
#ifndef IOG_HW_MMIO_H
#define IOG_HW_MMIO_H

#include <stdatomic.h>
#include <stdbool.h>

#include <iogate/error.h>
#include <iogate/platform.h>

#include "../core/lock.h"

struct iog_mmio {
	const struct iog_platform *platform;
	uintptr_t base;
	_Atomic uint64_t reads;
	_Atomic uint64_t writes;
};

/* -IOG_EINVAL for a platform without a clock, or with some of the accessors only. */
static inline int iog_mmio_init(struct iog_mmio *mmio, const struct iog_platform *platform, uintptr_t base)
{
	bool all = platform->mmio_read32 && platform->mmio_read64 && platform->mmio_write32 && platform->mmio_write64;
	bool any = platform->mmio_read32 || platform->mmio_read64 || platform->mmio_write32 || platform->mmio_write64;

	if (!platform->now_ns || all != any)
		return -IOG_EINVAL;
	mmio->platform = platform;
	mmio->base = base;
	atomic_store_explicit(&mmio->reads, 0, memory_order_relaxed);
	atomic_store_explicit(&mmio->writes, 0, memory_order_relaxed);
	return 0;
}

/* -IOG_EINVAL for a platform that has not the narrow accessors where it has the others, or only some of them. */
static inline int iog_mmio_check_narrow(const struct iog_platform *platform)
{
	bool all = platform->mmio_read8 && platform->mmio_read16 && platform->mmio_write8 && platform->mmio_write16;
	bool any = platform->mmio_read8 || platform->mmio_read16 || platform->mmio_write8 || platform->mmio_write16;

	return all == any && all == !!platform->mmio_read32 ? 0 : -IOG_EINVAL;
}

static inline uint8_t iog_mmio_read8(struct iog_mmio *mmio, uint32_t offset)
{
	const struct iog_platform *platform = mmio->platform;

	atomic_fetch_add_explicit(&mmio->reads, 1, memory_order_relaxed);
	if (platform->mmio_read8)
		return platform->mmio_read8(platform->ctx, mmio->base + offset);
	return *(const volatile uint8_t *)(mmio->base + offset);
}

static inline uint16_t iog_mmio_read16(struct iog_mmio *mmio, uint32_t offset)
{
	const struct iog_platform *platform = mmio->platform;

	atomic_fetch_add_explicit(&mmio->reads, 1, memory_order_relaxed);
	if (platform->mmio_read16)
		return platform->mmio_read16(platform->ctx, mmio->base + offset);
	return *(const volatile uint16_t *)(mmio->base + offset);
}

static inline void iog_mmio_write8(struct iog_mmio *mmio, uint32_t offset, uint8_t value)
{
	const struct iog_platform *platform = mmio->platform;

	atomic_fetch_add_explicit(&mmio->writes, 1, memory_order_relaxed);
	if (platform->mmio_write8)
		platform->mmio_write8(platform->ctx, mmio->base + offset, value);
	else
		*(volatile uint8_t *)(mmio->base + offset) = value;
}

static inline void iog_mmio_write16(struct iog_mmio *mmio, uint32_t offset, uint16_t value)
{
	const struct iog_platform *platform = mmio->platform;

	atomic_fetch_add_explicit(&mmio->writes, 1, memory_order_relaxed);
	if (platform->mmio_write16)
		platform->mmio_write16(platform->ctx, mmio->base + offset, value);
	else
		*(volatile uint16_t *)(mmio->base + offset) = value;
}

static inline uint32_t iog_mmio_read32(struct iog_mmio *mmio, uint32_t offset)
{
	const struct iog_platform *platform = mmio->platform;

	atomic_fetch_add_explicit(&mmio->reads, 1, memory_order_relaxed);
	if (platform->mmio_read32)
		return platform->mmio_read32(platform->ctx, mmio->base + offset);
	return *(const volatile uint32_t *)(mmio->base + offset);
}

static inline uint64_t iog_mmio_read64(struct iog_mmio *mmio, uint32_t offset)
{
	const struct iog_platform *platform = mmio->platform;

	atomic_fetch_add_explicit(&mmio->reads, 1, memory_order_relaxed);
	if (platform->mmio_read64)
		return platform->mmio_read64(platform->ctx, mmio->base + offset);
	return *(const volatile uint64_t *)(mmio->base + offset);
}

static inline void iog_mmio_write32(struct iog_mmio *mmio, uint32_t offset, uint32_t value)
{
	const struct iog_platform *platform = mmio->platform;

	atomic_fetch_add_explicit(&mmio->writes, 1, memory_order_relaxed);
	if (platform->mmio_write32)
		platform->mmio_write32(platform->ctx, mmio->base + offset, value);
	else
		*(volatile uint32_t *)(mmio->base + offset) = value;
}

static inline void iog_mmio_write64(struct iog_mmio *mmio, uint32_t offset, uint64_t value)
{
	const struct iog_platform *platform = mmio->platform;

	atomic_fetch_add_explicit(&mmio->writes, 1, memory_order_relaxed);
	if (platform->mmio_write64)
		platform->mmio_write64(platform->ctx, mmio->base + offset, value);
	else
		*(volatile uint64_t *)(mmio->base + offset) = value;
}

/* Stores to memory made before are seen by the unit before it sees a register written after. */
static inline void iog_mmio_publish(const struct iog_mmio *mmio)
{
	const struct iog_platform *platform = mmio->platform;

	/* On x86 the stores are in order as they are; the fence keeps the compiler from moving them. */
	atomic_signal_fence(memory_order_seq_cst);
	if (platform->dma_wmb)
		platform->dma_wmb(platform->ctx);
}

/* A moment that waiting ends at. */
static inline uint64_t iog_deadline(const struct iog_platform *platform, uint64_t ns)
{
	uint64_t now = platform->now_ns(platform->ctx);

	return ns < UINT64_MAX - now ? now + ns : UINT64_MAX;
}

static inline bool iog_deadline_passed(const struct iog_platform *platform, uint64_t deadline)
{
	return platform->now_ns(platform->ctx) >= deadline;
}

/*
 * Read a register of 32 or 64 bits until the bits of @mask are @wanted. A caller that was away for long (preempted, its clock jumped) looks once more after the deadline before it gives up.
 * 0, or -IOG_ETIMEDOUT.
 */
static inline int iog_mmio_poll(struct iog_mmio *mmio, uint32_t offset, bool wide, uint64_t mask, uint64_t wanted, uint64_t timeout_ns, uint64_t *last)
{
	uint64_t deadline = iog_deadline(mmio->platform, timeout_ns);
	bool late = false;

	for (;;) {
		*last = wide ? iog_mmio_read64(mmio, offset) : iog_mmio_read32(mmio, offset);
		if ((*last & mask) == wanted)
			return 0;
		if (late)
			return -IOG_ETIMEDOUT;
		late = iog_deadline_passed(mmio->platform, deadline);
		if (!late)
			iog_relax(mmio->platform);
	}
}

/* @last may be NULL: what was read last. */
static inline int iog_mmio_poll32(struct iog_mmio *mmio, uint32_t offset, uint32_t mask, uint32_t wanted, uint64_t timeout_ns, uint32_t *last)
{
	uint64_t value;
	int error = iog_mmio_poll(mmio, offset, false, mask, wanted, timeout_ns, &value);

	if (last)
		*last = (uint32_t)value;
	return error;
}

static inline int iog_mmio_poll64(struct iog_mmio *mmio, uint32_t offset, uint64_t mask, uint64_t wanted, uint64_t timeout_ns, uint64_t *last)
{
	uint64_t value;

	return iog_mmio_poll(mmio, offset, true, mask, wanted, timeout_ns, last ? last : &value);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The whole world as the core sees it. A host fills in this table once and keeps it alive, unchanged, as long as any object
 * made with it; <iogate/host/posix.h> is the implementation for a Linux process.
 *
 * Rules for every function below:
 *  - it is called with the table's @ctx as first argument, from any lane, several at once;
 *  - it never calls back into iogate;
 *  - a member marked "optional" may be NULL, with the meaning given there.
 *
 * Interrupts. A table that is being linked or unlinked is BUSY for a few instructions, and other lanes spin until it is not. A host that
 * calls iogate from a context which can interrupt another call on the same CPU (an interrupt handler, a signal handler) must therefore
 *  - give that context a lane of its own, and
 *  - supply @irq_save and @irq_restore, which iogate puts around those instructions. The DMA API keeps interrupts off for as long as it uses what belongs to a lane, waits for
 *    hardware included, so that the functions below may be called with interrupts off, but for @lanes_barrier.
 * A host that never calls iogate from such a context leaves both NULL. The common map and unmap of pages whose tables exist takes neither; addresses from magazines and windows, and with
 * them the DMA API, take both in each call.
 */
#ifndef IOGATE_PLATFORM_H
#define IOGATE_PLATFORM_H

#include <iogate/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct iog_platform - what a host supplies.
 */
struct iog_platform {
	/* Handed to every function. */
	void *ctx;

	/*
	 * Bytes to add to a physical address of table memory to reach it (VA = PA + offset, modulo 2^64). All memory from @pages_alloc obeys it.
	 */
	uint64_t direct_map_offset;

	/*
	 * Memory that hardware walks. @size is a power of two, at least 4096; the result is aligned to @size. Contents are
	 * undefined. NULL when there is none: the call that wanted it fails with -IOG_ENOMEM and changes nothing. May not wait for an invalidation.
	 */
	void *(*pages_alloc)(void *ctx, size_t size);

	/* Give back exactly what one pages_alloc() returned. Never called while hardware or another lane may still reach it. */
	void (*pages_free)(void *ctx, void *pages, size_t size);

	/*
	 * Memory for iogate's own bookkeeping: zeroed, aligned to 64 bytes. NULL when there is none. Called by create functions, by address allocation when its
	 * bookkeeping has to grow, and for each mapping of an untrusted device: the call then fails with -IOG_ENOMEM and changes nothing. No lock is held.
	 */
	void *(*object_alloc)(void *ctx, size_t size);

	/* Give back what object_alloc() returned; @size is the size that was asked for. Called by destroy functions, by what fails, and where bookkeeping shrinks. */
	void (*object_free)(void *ctx, void *object, size_t size);

	/*
	 * Write the cache lines of [va, va + size) back to where a walker that does not snoop will read them, and return when they are there.
	 * Optional: NULL on hosts where every walker snoops.
	 */
	void (*cache_clean)(void *ctx, const void *va, size_t size);

	/*
	 * Write the cache lines of [va, va + size) back, too, and drop them, so that the CPU next reads what is in memory: before it reads what a device that does not snoop
	 * (IOG_DEVICE_NONCOHERENT) wrote. Optional: NULL where every device snoops; cache_clean is called where it would be.
	 */
	void (*cache_flush)(void *ctx, const void *va, size_t size);

	/*
	 * Order all earlier stores to memory before any later store to a device register (dma_wmb, "dmb oshst", "fence w,o"). C11 fences do not order
	 * MMIO. Optional: NULL where the CPU does this by itself (x86).
	 */
	void (*dma_wmb)(void *ctx);

	/* A clock that does not go back, ns. Optional: without it nothing is measured (struct iog_unit, range_ns), and drivers of IOMMUs, whose waits all have a deadline, cannot be created. */
	uint64_t (*now_ns)(void *ctx);

	/* Called between two looks at a word that another lane is about to change ("pause", "yield"). Optional. */
	void (*relax)(void *ctx);

	/* See "Interrupts" above. irq_save() returns what irq_restore() gets. Optional, both or neither. */
	uintptr_t (*irq_save)(void *ctx);
	void (*irq_restore)(void *ctx, uintptr_t flags);

	/*
	 * When this returns, every CPU that runs a lane has executed a full memory barrier since the call began (membarrier(2), an interrupt
	 * to all CPUs). Called rarely: before memory goes back to the host, when a lane's stock is taken over, when a unit joins or leaves a domain. With @irq_save only the
	 * last, and with interrupts on. Optional: without it, and where @irq_save is there, every call pays for a full barrier of its own on entry.
	 */
	void (*lanes_barrier)(void *ctx);

	/*
	 * Registers of IOMMUs. @reg is a register's address as the host knows it: a driver's configured base and an offset. Each call is one access of exactly that width. A load from memory
	 * that follows a read is made after it, and what dma_wmb() orders is seen before the write takes effect ("readl", "writel"). Optional, all four or none. NULL: a volatile access
	 * at address @reg, which is enough where the CPU orders accesses to registers by itself (x86).
	 */
	uint32_t (*mmio_read32)(void *ctx, uintptr_t reg);
	uint64_t (*mmio_read64)(void *ctx, uintptr_t reg);
	void (*mmio_write32)(void *ctx, uintptr_t reg, uint32_t value);
	void (*mmio_write64)(void *ctx, uintptr_t reg, uint64_t value);

	/* The same for narrow registers, which only virtio devices have: optional, all four or none, and only with those above. */
	uint8_t (*mmio_read8)(void *ctx, uintptr_t reg);
	uint16_t (*mmio_read16)(void *ctx, uintptr_t reg);
	void (*mmio_write8)(void *ctx, uintptr_t reg, uint8_t value);
	void (*mmio_write16)(void *ctx, uintptr_t reg, uint16_t value);

	/*
	 * Observers for a checker (the simulated IOMMU poisons and tracks tables through them). Both optional, NULL in production.
	 * table_freed(): a table has gone to the stock; no hardware may reach it any more. @table may be filled with a pattern, by relaxed atomic
	 * stores of 64 bits, provided that the pattern's low 12 bits are IOG_TABLE_POISON_LOW: walkers with a stale pointer may still read it.
	 * table_taken(): a table leaves the stock. If @zeroed, its contents must be all zero when this returns.
	 */
	void (*table_freed)(void *ctx, void *table, size_t size);
	void (*table_taken)(void *ctx, void *table, size_t size, int zeroed);
};

/* Low bits of a poisoned entry: not present in any format, and not a tombstone. */
#define IOG_TABLE_POISON_LOW 0xa50u

#ifdef __cplusplus
}
#endif

#endif

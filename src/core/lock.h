/* SPDX-License-Identifier: MIT */
/*
 * A spinlock for what is rare: a few instructions, never across a flush or a call into the platform's allocators. The exception is the lock of a domain's gates, which is held
 * over the flush that they are closed for (../dma/deferred.c).
 */
#ifndef IOG_CORE_LOCK_H
#define IOG_CORE_LOCK_H

#include <stdatomic.h>

#include <iogate/platform.h>

struct spinlock {
	_Atomic uint32_t taken;
};

static inline void iog_relax(const struct iog_platform *platform)
{
	if (platform->relax)
		platform->relax(platform->ctx);
}

/**
 * iog_lock_wait() - take a lock that somebody else holds.
 * @lock: the lock.
 * @platform: for its relax().
 */
void iog_lock_wait(struct spinlock *lock, const struct iog_platform *platform);

/* Acquire: pairs with the release in lock_give(). */
static inline void lock_take(struct spinlock *lock, const struct iog_platform *platform)
{
	if (__builtin_expect(atomic_exchange_explicit(&lock->taken, 1, memory_order_acquire), 0))
		iog_lock_wait(lock, platform);
}

static inline void lock_give(struct spinlock *lock)
{
	atomic_store_explicit(&lock->taken, 0, memory_order_release);
}

/* Interrupts stay off while the lock is held, so that nobody who interrupts its holder waits for it. */
static inline uintptr_t spin_lock(struct spinlock *lock, const struct iog_platform *platform)
{
	uintptr_t flags = platform->irq_save ? platform->irq_save(platform->ctx) : 0;

	lock_take(lock, platform);
	return flags;
}

static inline void spin_unlock(struct spinlock *lock, const struct iog_platform *platform, uintptr_t flags)
{
	lock_give(lock);
	if (platform->irq_restore)
		platform->irq_restore(platform->ctx, flags);
}

/*
 * The same lock where its holder may wait for hardware: interrupts stay as they are. Never taken by a context that may have interrupted its holder: attach, detach and
 * the like are not called from such, and inside a lane's gate interrupts are off on hosts that have them.
 */
static inline void wait_lock(struct spinlock *lock, const struct iog_platform *platform)
{
	lock_take(lock, platform);
}

static inline void wait_unlock(struct spinlock *lock)
{
	lock_give(lock);
}

#endif

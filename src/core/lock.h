/* SPDX-License-Identifier: MIT */
/*
 * A spinlock for what is rare: a few instructions, never across a flush or a call into the platform's allocators.
 */
#ifndef IOG_CORE_LOCK_H
#define IOG_CORE_LOCK_H

#include <stdatomic.h>

#include <iogate/platform.h>

struct spinlock {
	atomic_flag taken;
};

static inline void iog_relax(const struct iog_platform *platform)
{
	if (platform->relax)
		platform->relax(platform->ctx);
}

/* Interrupts stay off while the lock is held, so that nobody who interrupts its holder waits for it. Acquire: pairs with the release in spin_unlock(). */
static inline uintptr_t spin_lock(struct spinlock *lock, const struct iog_platform *platform)
{
	uintptr_t flags = platform->irq_save ? platform->irq_save(platform->ctx) : 0;

	while (atomic_flag_test_and_set_explicit(&lock->taken, memory_order_acquire))
		iog_relax(platform);
	return flags;
}

static inline void spin_unlock(struct spinlock *lock, const struct iog_platform *platform, uintptr_t flags)
{
	atomic_flag_clear_explicit(&lock->taken, memory_order_release);
	if (platform->irq_restore)
		platform->irq_restore(platform->ctx, flags);
}

/*
 * The same lock where its holder may wait for hardware: interrupts stay as they are. Never taken by a context that may have interrupted its holder: attach, detach and
 * the like are not called from such, and inside a lane's gate interrupts are off on hosts that have them. Acquire: pairs with wait_unlock().
 */
static inline void wait_lock(struct spinlock *lock, const struct iog_platform *platform)
{
	while (atomic_flag_test_and_set_explicit(&lock->taken, memory_order_acquire))
		iog_relax(platform);
}

static inline void wait_unlock(struct spinlock *lock)
{
	atomic_flag_clear_explicit(&lock->taken, memory_order_release);
}

#endif

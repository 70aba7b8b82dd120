/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a lock: a waiter looks now and then, and ever more rarely up to a bound. What the holder works on stays in its cache, and it may well come back for more.
 */
#include "lock.h"

#define PAUSES_MAX 64

void iog_lock_wait(struct spinlock *lock, const struct iog_platform *platform)
{
	uint32_t pauses = 1;

	do {
		do {
			for (uint32_t i = 0; i < pauses; i++)
				iog_relax(platform);
			if (pauses < PAUSES_MAX)
				pauses *= 2;
		} while (atomic_load_explicit(&lock->taken, memory_order_relaxed));
		/* Acquire: pairs with the release in lock_give(). */
	} while (atomic_exchange_explicit(&lock->taken, 1, memory_order_acquire));
}

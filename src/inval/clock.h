/* SPDX-License-Identifier: MIT */
/*
 * Flushes of a whole domain, by number. @started is raised before the first command of a flush, @completed to its number once hardware has answered.
 *
 * What was cleared, and made visible by a full barrier, before somebody read @started as s is covered by every flush from number s + 1 on: it may be used again when
 * @completed has reached s + 1.
 */
#ifndef IOG_INVAL_CLOCK_H
#define IOG_INVAL_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct flush_clock {
	_Atomic uint64_t started;
	_Atomic uint64_t completed;
};

/* The flush that will have covered all that this lane has cleared so far. The barrier pairs with flush_begin(): a flush which is not seen here sees what was cleared. */
static inline uint64_t flush_needed(const struct flush_clock *clock)
{
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load_explicit(&clock->started, memory_order_relaxed) + 1;
}

/* Acquire: pairs with the release in flush_end(). */
static inline bool flush_covers(const struct flush_clock *clock, uint64_t needed)
{
	return atomic_load_explicit(&clock->completed, memory_order_acquire) >= needed;
}

/* A flush begins: its number. Sequentially consistent, see flush_needed(). */
static inline uint64_t flush_begin(struct flush_clock *clock)
{
	return atomic_fetch_add_explicit(&clock->started, 1, memory_order_seq_cst) + 1;
}

/* It has completed. Flushes that overlap may end in any order; each covers what those before it do. */
static inline void flush_end(struct flush_clock *clock, uint64_t number)
{
	uint64_t completed = atomic_load_explicit(&clock->completed, memory_order_relaxed);

	while (completed < number &&
	       !atomic_compare_exchange_weak_explicit(&clock->completed, &completed, number, memory_order_release, memory_order_relaxed))
		;
}

#endif

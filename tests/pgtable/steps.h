/* SPDX-License-Identifier: MIT */
/*
 * Included ahead of each core source in the hammer's build: between any two steps of the reclaim protocol, and before any atomic load or store, a thread may be held up
 * (hammer.c says for how long). Every window that the protocol has opens wide enough for the other threads to do something in it.
 */
#ifndef IOG_TESTS_PGTABLE_STEPS_H
#define IOG_TESTS_PGTABLE_STEPS_H

#include <stdatomic.h>
#include <stdint.h>

#define IOG_PROTOCOL_STEP 1

extern _Thread_local int32_t hammer_countdown;
void hammer_stall(void);

static inline void hammer_step(void)
{
	if (__builtin_expect(--hammer_countdown < 0, 0))
		hammer_stall();
}

#undef atomic_load_explicit
#undef atomic_store_explicit
#if defined(__clang__)
#define atomic_store_explicit(at, value, order) (hammer_step(), __c11_atomic_store(at, value, order))
#define atomic_load_explicit(at, order) (hammer_step(), __c11_atomic_load(at, order))
#else
#define atomic_load_explicit(at, order) \
	__extension__({ \
		__auto_type hammer_at = (at); \
		__typeof__((void)0, *hammer_at) hammer_value; \
		hammer_step(); \
		__atomic_load(hammer_at, &hammer_value, (order)); \
		hammer_value; \
	})
#define atomic_store_explicit(at, value, order) \
	__extension__({ \
		__auto_type hammer_to = (at); \
		__typeof__((void)0, *hammer_to) hammer_stored = (value); \
		hammer_step(); \
		__atomic_store(hammer_to, &hammer_stored, (order)); \
	})
#endif

#endif

/* SPDX-License-Identifier: MIT */
/*
 * See pace.h. Relaxed atomics: a clock orders nothing.
 */
#include "pace.h"

#include <stdatomic.h>

static _Atomic uint64_t now, look;

void pace_begin(uint64_t look_ns)
{
	atomic_store_explicit(&now, 0, memory_order_relaxed);
	atomic_store_explicit(&look, look_ns, memory_order_relaxed);
}

void pace_reach(uint64_t ns)
{
	uint64_t seen = atomic_load_explicit(&now, memory_order_relaxed);

	while (seen < ns && !atomic_compare_exchange_weak_explicit(&now, &seen, ns, memory_order_relaxed, memory_order_relaxed))
		;
}

void pace_pass(uint64_t ns)
{
	atomic_fetch_add_explicit(&now, ns, memory_order_relaxed);
}

uint64_t pace_now(void *ctx)
{
	uint64_t step = atomic_load_explicit(&look, memory_order_relaxed);

	(void)ctx;
	return step ? atomic_fetch_add_explicit(&now, step, memory_order_relaxed) + step : atomic_load_explicit(&now, memory_order_relaxed);
}

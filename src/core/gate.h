/* SPDX-License-Identifier: MIT */
/*
 * A gate around what one lane owns and another may have to take over: a lock that costs its owner two plain stores.
 *
 * The lane is inside between gate_enter() and gate_exit(). Whoever wants its things closes the gate, waits until the lane is out, does what it came for, and opens it again.
 * Closers of one set of gates exclude each other by a lock of their own (struct gates).
 *
 * Dekker's question, who sees the other first, is answered by platform->lanes_barrier: the closer runs it between closing and looking, so that a
 * lane either saw the gate closed or is seen inside. Hosts without it, or with interrupts, have the lane pay for a full barrier on entry.
 *
 * A context that interrupts a closer must not find its own gate closed: such a host supplies irq_save, and gates are entered, and kept closed, with interrupts off.
 */
#ifndef IOG_CORE_GATE_H
#define IOG_CORE_GATE_H

#include <stdbool.h>

#include "lock.h"

struct gate {
	_Atomic uint32_t inside; /* written by the lane */
	_Atomic uint32_t closed; /* written by the closer */
};

struct gates {
	const struct iog_platform *platform;
	struct spinlock lock; /* held while any gate is closed */
	bool plain;           /* entering takes two stores and a load: lanes_barrier is there, and no interrupt hooks */
};

static inline void gates_init(struct gates *gates, const struct iog_platform *platform)
{
	gates->platform = platform;
	gates->plain = platform->lanes_barrier && !platform->irq_save;
	atomic_store_explicit(&gates->lock.taken, 0, memory_order_relaxed);
}

static inline uintptr_t gate_enter(struct gates *gates, struct gate *gate)
{
	const struct iog_platform *platform = gates->platform;
	uintptr_t flags = 0;
	uint32_t closed;

	for (;;) {
		if (__builtin_expect(gates->plain, 1)) {
			atomic_store_explicit(&gate->inside, 1, memory_order_relaxed);
			atomic_signal_fence(memory_order_seq_cst);
			/* Acquire: what the last closer changed is seen; pairs with gate_open(). */
			closed = atomic_load_explicit(&gate->closed, memory_order_acquire);
		} else {
			if (platform->irq_save)
				flags = platform->irq_save(platform->ctx);
			/* Sequentially consistent, both: an acquire could still be early. Pair with the exchange in gate_shut() and the look in gate_wait(). */
			atomic_exchange_explicit(&gate->inside, 1, memory_order_seq_cst);
			closed = atomic_load_explicit(&gate->closed, memory_order_seq_cst);
		}
		if (__builtin_expect(!closed, 1))
			return flags;
		atomic_store_explicit(&gate->inside, 0, memory_order_release);
		if (platform->irq_restore)
			platform->irq_restore(platform->ctx, flags);
		while (atomic_load_explicit(&gate->closed, memory_order_relaxed))
			iog_relax(platform);
	}
}

/* The straight way in, where @plain is set: false if the gate is closed, and then gate_enter() waits. See there for the orderings. */
static inline bool gate_try_plain(struct gate *gate)
{
	atomic_store_explicit(&gate->inside, 1, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	if (__builtin_expect(!atomic_load_explicit(&gate->closed, memory_order_acquire), 1))
		return true;
	atomic_store_explicit(&gate->inside, 0, memory_order_release);
	return false;
}

static inline void gate_exit_plain(struct gate *gate)
{
	atomic_store_explicit(&gate->inside, 0, memory_order_release);
}

/* Release: what the lane wrote inside; pairs with the acquire in gate_wait(). */
static inline void gate_exit(struct gates *gates, struct gate *gate, uintptr_t flags)
{
	atomic_store_explicit(&gate->inside, 0, memory_order_release);
	if (__builtin_expect(gates->platform->irq_restore != NULL, 0))
		gates->platform->irq_restore(gates->platform->ctx, flags);
}

/* Before gates are closed; the caller is inside none. Returns the flags for gates_unlock(). */
static inline uintptr_t gates_lock(struct gates *gates)
{
	return spin_lock(&gates->lock, gates->platform);
}

/* After they were opened again. */
static inline void gates_unlock(struct gates *gates, uintptr_t flags)
{
	spin_unlock(&gates->lock, gates->platform, flags);
}

/*
 * To close several at once, which takes one barrier: shut each, settle once, wait for each. From gate_wait() on the lane is out, and stays out.
 */
static inline void gate_shut(struct gate *gate)
{
	atomic_exchange_explicit(&gate->closed, 1, memory_order_seq_cst);
}

/* For whoever holds the lock. */
static inline bool gate_is_shut(const struct gate *gate)
{
	return atomic_load_explicit(&gate->closed, memory_order_relaxed);
}

static inline void gates_settle(struct gates *gates)
{
	if (gates->plain)
		gates->platform->lanes_barrier(gates->platform->ctx);
}

static inline void gate_wait(struct gates *gates, struct gate *gate)
{
	/* Sequentially consistent, for hosts without the barrier: after the exchange. As an acquire it pairs with the release in gate_exit(). */
	while (atomic_load_explicit(&gate->inside, memory_order_seq_cst))
		iog_relax(gates->platform);
}

/* Release: what was changed while it was closed; pairs with the acquire in gate_enter(). */
static inline void gate_open(struct gate *gate)
{
	atomic_store_explicit(&gate->closed, 0, memory_order_release);
}

#endif

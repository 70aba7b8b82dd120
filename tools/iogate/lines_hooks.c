/* SPDX-License-Identifier: MIT */
/*
 * The calls that -fsanitize=thread puts into the code it instruments, answered here by a log instead of that sanitizer's run-time: only its compiler pass is used.
 * Names and arguments are the compilers'. Loads are of no interest. Atomic operations do what they say, with sequential consistency whatever order is asked for.
 *
 * This file itself is compiled without.
 */
#include <stdint.h>
#include <string.h>

#include "lines_log.h"

struct lines_log lines_log;

/* Callers of a hook are functions of the core, so that everything between this frame and the caller's is stack. */
static void note(const volatile void *at, size_t size, bool rmw)
{
	uintptr_t first = (uintptr_t)at, here = (uintptr_t)__builtin_frame_address(0);

	if (!lines_log.open || !size || (first >= here && first < lines_log.stack_end))
		return;
	for (uintptr_t line = first / 64; line <= (first + size - 1) / 64; line++) {
		if (lines_log.count == lines_log.room) {
			lines_log.full = true;
			return;
		}
		lines_log.entries[lines_log.count++] = (struct lines_entry){ line, lines_log.operation, lines_log.lane, rmw };
	}
}

#define HOOK __attribute__((used, noinline))

/* Plain accesses. */

#define READ(name) \
	HOOK void name(void *at); \
	void name(void *at) { (void)at; }
#define WRITE(name, size) \
	HOOK void name(void *at); \
	void name(void *at) { note(at, size, false); }

READ(__tsan_read1) READ(__tsan_read2) READ(__tsan_read4) READ(__tsan_read8) READ(__tsan_read16)
READ(__tsan_unaligned_read2) READ(__tsan_unaligned_read4) READ(__tsan_unaligned_read8) READ(__tsan_unaligned_read16)
READ(__tsan_volatile_read1) READ(__tsan_volatile_read2) READ(__tsan_volatile_read4) READ(__tsan_volatile_read8) READ(__tsan_volatile_read16)
READ(__tsan_unaligned_volatile_read2) READ(__tsan_unaligned_volatile_read4) READ(__tsan_unaligned_volatile_read8) READ(__tsan_unaligned_volatile_read16)
READ(__tsan_func_entry)
WRITE(__tsan_write1, 1) WRITE(__tsan_write2, 2) WRITE(__tsan_write4, 4) WRITE(__tsan_write8, 8) WRITE(__tsan_write16, 16)
WRITE(__tsan_unaligned_write2, 2) WRITE(__tsan_unaligned_write4, 4) WRITE(__tsan_unaligned_write8, 8) WRITE(__tsan_unaligned_write16, 16)
WRITE(__tsan_volatile_write1, 1) WRITE(__tsan_volatile_write2, 2) WRITE(__tsan_volatile_write4, 4) WRITE(__tsan_volatile_write8, 8)
WRITE(__tsan_volatile_write16, 16)
WRITE(__tsan_unaligned_volatile_write2, 2) WRITE(__tsan_unaligned_volatile_write4, 4) WRITE(__tsan_unaligned_volatile_write8, 8)
WRITE(__tsan_unaligned_volatile_write16, 16)
/* A load and a store of one place, taken together. */
WRITE(__tsan_read_write1, 1) WRITE(__tsan_read_write2, 2) WRITE(__tsan_read_write4, 4) WRITE(__tsan_read_write8, 8) WRITE(__tsan_read_write16, 16)
WRITE(__tsan_unaligned_read_write2, 2) WRITE(__tsan_unaligned_read_write4, 4) WRITE(__tsan_unaligned_read_write8, 8)
WRITE(__tsan_unaligned_read_write16, 16)

HOOK void __tsan_init(void);
void __tsan_init(void) {}
HOOK void __tsan_func_exit(void);
void __tsan_func_exit(void) {}

HOOK void __tsan_read_range(void *at, size_t size);
void __tsan_read_range(void *at, size_t size)
{
	(void)at;
	(void)size;
}

HOOK void __tsan_write_range(void *at, size_t size);
void __tsan_write_range(void *at, size_t size)
{
	note(at, size, false);
}

/* The core's calls of these, renamed in its object file. */

HOOK void *lines_memset(void *to, int byte, size_t size);
void *lines_memset(void *to, int byte, size_t size)
{
	note(to, size, false);
	return memset(to, byte, size);
}

HOOK void *lines_memcpy(void *to, const void *from, size_t size);
void *lines_memcpy(void *to, const void *from, size_t size)
{
	note(to, size, false);
	return memcpy(to, from, size);
}

HOOK void *lines_memmove(void *to, const void *from, size_t size);
void *lines_memmove(void *to, const void *from, size_t size)
{
	note(to, size, false);
	return memmove(to, from, size);
}

/* Atomic operations. */

#define MODIFY(bits, name, builtin) \
	HOOK uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *at, uint##bits##_t value, int order); \
	uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *at, uint##bits##_t value, int order) \
	{ \
		(void)order; \
		note(at, sizeof(*at), true); \
		return builtin(at, value, __ATOMIC_SEQ_CST); \
	}

#define COMPARE(bits, name) \
	HOOK int __tsan_atomic##bits##_compare_exchange_##name(volatile uint##bits##_t *at, uint##bits##_t *expected, uint##bits##_t value, int order, \
								int otherwise); \
	int __tsan_atomic##bits##_compare_exchange_##name(volatile uint##bits##_t *at, uint##bits##_t *expected, uint##bits##_t value, int order, int otherwise) \
	{ \
		(void)order; \
		(void)otherwise; \
		note(at, sizeof(*at), true); \
		return __atomic_compare_exchange_n(at, expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
	}

#define ATOMIC(bits) \
	HOOK uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *at, int order); \
	uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *at, int order) \
	{ \
		(void)order; \
		return __atomic_load_n(at, __ATOMIC_SEQ_CST); \
	} \
	HOOK void __tsan_atomic##bits##_store(volatile uint##bits##_t *at, uint##bits##_t value, int order); \
	void __tsan_atomic##bits##_store(volatile uint##bits##_t *at, uint##bits##_t value, int order) \
	{ \
		(void)order; \
		note(at, sizeof(*at), false); \
		__atomic_store_n(at, value, __ATOMIC_SEQ_CST); \
	} \
	MODIFY(bits, exchange, __atomic_exchange_n) \
	MODIFY(bits, fetch_add, __atomic_fetch_add) \
	MODIFY(bits, fetch_sub, __atomic_fetch_sub) \
	MODIFY(bits, fetch_and, __atomic_fetch_and) \
	MODIFY(bits, fetch_or, __atomic_fetch_or) \
	MODIFY(bits, fetch_xor, __atomic_fetch_xor) \
	MODIFY(bits, fetch_nand, __atomic_fetch_nand) \
	COMPARE(bits, strong) \
	COMPARE(bits, weak) \
	HOOK uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(volatile uint##bits##_t *at, uint##bits##_t expected, uint##bits##_t value, int order, \
									int otherwise); \
	uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(volatile uint##bits##_t *at, uint##bits##_t expected, uint##bits##_t value, int order, \
								   int otherwise) \
	{ \
		(void)__tsan_atomic##bits##_compare_exchange_strong(at, &expected, value, order, otherwise); \
		return expected; \
	}

ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

HOOK void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order)
{
	(void)order;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

HOOK void __tsan_atomic_signal_fence(int order);
void __tsan_atomic_signal_fence(int order)
{
	(void)order;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* SPDX-License-Identifier: MIT */
/*
 * Per-architecture instructions behind cpu.h. Functions are chosen once, when a platform is made; nothing here is kept.
 */
#include "cpu.h"

#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/membarrier.h>

/* A wait is over after a few of these, or its end takes another thread to run. */
#define SPINS_BEFORE_YIELD 64

#if defined(__x86_64__)

#include <cpuid.h>

/* CPUID leaf 1: EDX bit 19 CLFSH, EBX bits 15:8 line size / 8. Leaf 7: EBX bit 23 CLFLUSHOPT, bit 24 CLWB. */
#define CPUID1_EDX_CLFSH (1u << 19)
#define CPUID7_EBX_CLFLUSHOPT (1u << 23)
#define CPUID7_EBX_CLWB (1u << 24)

/* Every x86-64 CPU to date; a larger one only costs a second write-back of a line. */
#define CACHE_LINE 64

static uintptr_t line_first(const void *va)
{
	return (uintptr_t)va & ~(uintptr_t)(CACHE_LINE - 1);
}

/* The write-backs are ordered with later stores by the fence; CLFLUSH alone is ordered by itself and does not mind. */
static void store_fence(void)
{
	__asm__ volatile("sfence" ::: "memory");
}

static void clean_clwb(void *ctx, const void *va, size_t size)
{
	uintptr_t line, end = (uintptr_t)va + size;

	(void)ctx;
	for (line = line_first(va); line < end; line += CACHE_LINE)
		__asm__ volatile("clwb %0" : "+m"(*(volatile char *)line));
	store_fence();
}

static void clean_clflushopt(void *ctx, const void *va, size_t size)
{
	uintptr_t line, end = (uintptr_t)va + size;

	(void)ctx;
	for (line = line_first(va); line < end; line += CACHE_LINE)
		__asm__ volatile("clflushopt %0" : "+m"(*(volatile char *)line));
	store_fence();
}

static void clean_clflush(void *ctx, const void *va, size_t size)
{
	uintptr_t line, end = (uintptr_t)va + size;

	(void)ctx;
	for (line = line_first(va); line < end; line += CACHE_LINE)
		__asm__ volatile("clflush %0" : "+m"(*(volatile char *)line));
	store_fence();
}

cpu_cache_clean_fn *iog_cpu_cache_clean(void)
{
	unsigned int eax, ebx, ecx, edx;

	if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
		if (ebx & CPUID7_EBX_CLWB)
			return clean_clwb;
		if (ebx & CPUID7_EBX_CLFLUSHOPT)
			return clean_clflushopt;
	}
	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && (edx & CPUID1_EDX_CLFSH))
		return clean_clflush;
	return NULL;
}

/* CLFLUSH and CLFLUSHOPT drop what they write back; CLWB may not. */
cpu_cache_clean_fn *iog_cpu_cache_flush(void)
{
	unsigned int eax, ebx, ecx, edx;

	if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx & CPUID7_EBX_CLFLUSHOPT))
		return clean_clflushopt;
	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && (edx & CPUID1_EDX_CLFSH))
		return clean_clflush;
	return NULL;
}

cpu_void_fn *iog_cpu_dma_wmb(void)
{
	return NULL;
}

static void pause_hint(void)
{
	__asm__ volatile("pause" ::: "memory");
}

#elif defined(__aarch64__)

/* CTR_EL0.DminLine, bits 19:16: log2 of the words in the smallest data cache line. Linux lets processes read it, and clean and drop by address. */
static uintptr_t line_bytes(void)
{
	uint64_t ctr;

	__asm__("mrs %0, ctr_el0" : "=r"(ctr));
	return (uintptr_t)4 << ((ctr >> 16) & 0xf);
}

static void clean_cvac(void *ctx, const void *va, size_t size)
{
	uintptr_t line, step = line_bytes(), end = (uintptr_t)va + size;

	(void)ctx;
	for (line = (uintptr_t)va & ~(step - 1); line < end; line += step)
		__asm__ volatile("dc cvac, %0" ::"r"(line) : "memory");
	__asm__ volatile("dsb sy" ::: "memory");
}

cpu_cache_clean_fn *iog_cpu_cache_clean(void)
{
	return clean_cvac;
}

static void flush_civac(void *ctx, const void *va, size_t size)
{
	uintptr_t line, step = line_bytes(), end = (uintptr_t)va + size;

	(void)ctx;
	for (line = (uintptr_t)va & ~(step - 1); line < end; line += step)
		__asm__ volatile("dc civac, %0" ::"r"(line) : "memory");
	__asm__ volatile("dsb sy" ::: "memory");
}

cpu_cache_clean_fn *iog_cpu_cache_flush(void)
{
	return flush_civac;
}

static void wmb(void *ctx)
{
	(void)ctx;
	__asm__ volatile("dmb oshst" ::: "memory");
}

cpu_void_fn *iog_cpu_dma_wmb(void)
{
	return wmb;
}

static void pause_hint(void)
{
	__asm__ volatile("yield" ::: "memory");
}

#elif defined(__riscv)

/* Cleaning by address (Zicbom) is not open to processes. */
cpu_cache_clean_fn *iog_cpu_cache_clean(void)
{
	return NULL;
}

cpu_cache_clean_fn *iog_cpu_cache_flush(void)
{
	return NULL;
}

static void wmb(void *ctx)
{
	(void)ctx;
	__asm__ volatile("fence w, ow" ::: "memory");
}

cpu_void_fn *iog_cpu_dma_wmb(void)
{
	return wmb;
}

/* PAUSE (Zihintpause) is a FENCE hint: CPUs that do not know it do nothing. */
static void pause_hint(void)
{
	__asm__ volatile(".word 0x0100000f" ::: "memory");
}

#else

cpu_cache_clean_fn *iog_cpu_cache_clean(void)
{
	return NULL;
}

cpu_cache_clean_fn *iog_cpu_cache_flush(void)
{
	return NULL;
}

static void wmb(void *ctx)
{
	(void)ctx;
	__sync_synchronize();
}

cpu_void_fn *iog_cpu_dma_wmb(void)
{
	return wmb;
}

static void pause_hint(void)
{
	__asm__ volatile("" ::: "memory");
}

#endif

/* The one that is waited for may need this CPU. */
static void relax(void *ctx)
{
	static _Thread_local uint32_t spins;

	(void)ctx;
	pause_hint();
	if (++spins % SPINS_BEFORE_YIELD == 0)
		sched_yield();
}

cpu_void_fn *iog_cpu_relax(void)
{
	return relax;
}

static void lanes_barrier(void *ctx)
{
	(void)ctx;
	/* Cannot fail once registered. */
	(void)syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

cpu_void_fn *iog_cpu_lanes_barrier(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0))
		return NULL;
	return lanes_barrier;
}

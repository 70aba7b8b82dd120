/* SPDX-License-Identifier: MIT */
/*
 * What iogate needs of a kernel. docs/porting.md goes through it.
 *
 * This kernel has one CPU, takes no interrupts, and virtual addresses are physical ones. Where another kernel needs more, the comment says so.
 */
#include "example.h"

/*
 * Memory: pieces of powers of two, aligned to their size, from an array; what comes back waits in a list for its size. A kernel has an allocator of pages and one of objects, and both
 * take locks.
 */
#define HEAP_BYTES (UINT64_C(32) << 20)
#define ORDER_MIN 6 /* objects are aligned to 64 bytes */
#define ORDER_MAX 22

struct piece {
	struct piece *next;
};

static uint8_t heap[HEAP_BYTES] __attribute__((aligned(1 << ORDER_MAX)));
static size_t heap_end, heap_used;
static struct piece *free_pieces[ORDER_MAX + 1];

static uint32_t order_of(size_t size)
{
	uint32_t order = ORDER_MIN;

	while (order <= ORDER_MAX && (size_t)1 << order < size)
		order++;
	return order;
}

static void *pages_alloc(void *ctx, size_t size)
{
	uint32_t order = order_of(size);
	size_t bytes = (size_t)1 << order, start = (heap_end + bytes - 1) & ~(bytes - 1);
	struct piece *piece;

	(void)ctx;
	if (order > ORDER_MAX)
		return NULL;
	piece = free_pieces[order];
	if (piece) {
		free_pieces[order] = piece->next;
	} else if (start + bytes <= HEAP_BYTES) {
		piece = (void *)(heap + start);
		heap_end = start + bytes;
	} else {
		return NULL;
	}
	heap_used += bytes;
	return piece;
}

static void pages_free(void *ctx, void *pages, size_t size)
{
	uint32_t order = order_of(size);
	struct piece *piece = pages;

	(void)ctx;
	piece->next = free_pieces[order];
	free_pieces[order] = piece;
	heap_used -= (size_t)1 << order;
}

static void *object_alloc(void *ctx, size_t size)
{
	void *object = pages_alloc(ctx, size);

	return object ? __builtin_memset(object, 0, size) : NULL;
}

size_t platform_used(void)
{
	return heap_used;
}

/*
 * The CPU: ticks of a clock, barriers around registers, caches, interrupts, a pause in a loop.
 */
#if defined(__x86_64__)

static uint64_t ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static inline void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

/* By counter 2 of the PIT, which counts 1193182 times a second. A kernel knows it already. */
static uint64_t ticks_per_second(void)
{
	uint64_t start;

	out8(0x61, (uint8_t)((in8(0x61) & ~2u) | 1u)); /* counts, silently */
	out8(0x43, 0xb0);                              /* once, and then its output is high */
	out8(0x42, 11932 & 0xff);
	out8(0x42, 11932 >> 8);
	start = ticks();
	while (!(in8(0x61) & 0x20))
		;
	return (ticks() - start) * 100;
}

/* Registers are not cached, and x86 keeps what is done to them in order with memory: the compiler has to, too. */
#define BARRIER_AFTER_READ() __asm__ volatile("" : : : "memory")
#define BARRIER_BEFORE_WRITE() __asm__ volatile("" : : : "memory")
#define PAUSE() __asm__ volatile("pause")

#define HAS_CACHE_CLEAN 1
static void cache_clean(void *ctx, const void *va, size_t size)
{
	(void)ctx;
	for (uintptr_t line = (uintptr_t)va & ~(uintptr_t)63; line < (uintptr_t)va + size; line += 64)
		__asm__ volatile("clflush %0" : : "m"(*(const volatile uint8_t *)line) : "memory");
	__asm__ volatile("mfence" : : : "memory");
}

static void cache_flush(void *ctx, const void *va, size_t size)
{
	cache_clean(ctx, va, size);
}

static uintptr_t irq_save(void *ctx)
{
	uintptr_t flags;

	(void)ctx;
	__asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
	return flags;
}

static void irq_restore(void *ctx, uintptr_t flags)
{
	(void)ctx;
	__asm__ volatile("pushq %0; popfq" : : "r"(flags) : "memory", "cc");
}

#elif defined(__aarch64__)

static uint64_t ticks(void)
{
	uint64_t value;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(value) : : "memory");
	return value;
}

static uint64_t ticks_per_second(void)
{
	uint64_t value;

	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(value));
	return value;
}

#define BARRIER_AFTER_READ() __asm__ volatile("dmb oshld" : : : "memory")
#define BARRIER_BEFORE_WRITE() __asm__ volatile("dmb oshst" : : : "memory")
#define PAUSE() __asm__ volatile("yield")

/* CTR_EL0, DminLine: the log2 of the words of a line. */
#define FOR_EACH_LINE(va, size, operation)                                                                                               \
	do {                                                                                                                             \
		uintptr_t type_, line_;                                                                                                  \
		__asm__ volatile("mrs %0, ctr_el0" : "=r"(type_));                                                                       \
		uintptr_t step_ = (uintptr_t)4 << (type_ >> 16 & 15);                                                                    \
		for (line_ = (uintptr_t)(va) & ~(step_ - 1); line_ < (uintptr_t)(va) + (size); line_ += step_)                           \
			__asm__ volatile(operation ", %0" : : "r"(line_) : "memory");                                                    \
		__asm__ volatile("dsb sy" : : : "memory");                                                                               \
	} while (0)

#define HAS_CACHE_CLEAN 1
static void cache_clean(void *ctx, const void *va, size_t size)
{
	(void)ctx;
	FOR_EACH_LINE(va, size, "dc cvac");
}

static void cache_flush(void *ctx, const void *va, size_t size)
{
	(void)ctx;
	FOR_EACH_LINE(va, size, "dc civac");
}

static uintptr_t irq_save(void *ctx)
{
	uintptr_t flags;

	(void)ctx;
	__asm__ volatile("mrs %0, daif; msr daifset, #2" : "=r"(flags) : : "memory");
	return flags;
}

static void irq_restore(void *ctx, uintptr_t flags)
{
	(void)ctx;
	__asm__ volatile("msr daif, %0" : : "r"(flags) : "memory");
}

#elif defined(__riscv)

static uint64_t ticks(void)
{
	uint64_t value;

	__asm__ volatile("rdtime %0" : "=r"(value) : : "memory");
	return value;
}

/* QEMU's virt. A kernel reads timebase-frequency in the device tree. */
static uint64_t ticks_per_second(void)
{
	return 10000000;
}

#define BARRIER_AFTER_READ() __asm__ volatile("fence i, r" : : : "memory")
#define BARRIER_BEFORE_WRITE() __asm__ volatile("fence w, o" : : : "memory")
/* "pause", by its encoding: assemblers without Zihintpause do not know the name. */
#define PAUSE() __asm__ volatile(".4byte 0x0100000f")

/* This machine's IOMMU snoops. Where one does not: cbo.clean and cbo.flush (Zicbom) for each line, and "fence rw, rw". */
#define HAS_CACHE_CLEAN 0

/* In machine mode; in supervisor mode it is bit 1 of sstatus. */
static uintptr_t irq_save(void *ctx)
{
	uintptr_t flags;

	(void)ctx;
	__asm__ volatile("csrrci %0, mstatus, 8" : "=r"(flags) : : "memory");
	return flags & 8;
}

static void irq_restore(void *ctx, uintptr_t flags)
{
	(void)ctx;
	__asm__ volatile("csrs mstatus, %0" : : "r"(flags) : "memory");
}

#endif

static uint64_t clock_hz;

static uint64_t now_ns(void *ctx)
{
	uint64_t now = ticks();

	(void)ctx;
	return now / clock_hz * 1000000000 + now % clock_hz * 1000000000 / clock_hz;
}

static void dma_wmb(void *ctx)
{
	(void)ctx;
	BARRIER_BEFORE_WRITE();
}

static void relax(void *ctx)
{
	(void)ctx;
	PAUSE();
}

static uint32_t mmio_read32(void *ctx, uintptr_t reg)
{
	uint32_t value = *(volatile uint32_t *)reg;

	(void)ctx;
	BARRIER_AFTER_READ();
	return value;
}

static uint64_t mmio_read64(void *ctx, uintptr_t reg)
{
	uint64_t value = *(volatile uint64_t *)reg;

	(void)ctx;
	BARRIER_AFTER_READ();
	return value;
}

static void mmio_write32(void *ctx, uintptr_t reg, uint32_t value)
{
	(void)ctx;
	BARRIER_BEFORE_WRITE();
	*(volatile uint32_t *)reg = value;
}

static void mmio_write64(void *ctx, uintptr_t reg, uint64_t value)
{
	(void)ctx;
	BARRIER_BEFORE_WRITE();
	*(volatile uint64_t *)reg = value;
}

/* With several CPUs: lanes_barrier(), an interrupt to each of them that executes a full barrier. Without it every call of iogate has one of its own. */
const struct iog_platform platform = {
	.direct_map_offset = 0,
	.pages_alloc = pages_alloc,
	.pages_free = pages_free,
	.object_alloc = object_alloc,
	.object_free = pages_free,
#if HAS_CACHE_CLEAN
	.cache_clean = cache_clean,
	.cache_flush = cache_flush,
#endif
	.dma_wmb = dma_wmb,
	.now_ns = now_ns,
	.relax = relax,
	.irq_save = irq_save,
	.irq_restore = irq_restore,
	.mmio_read32 = mmio_read32,
	.mmio_read64 = mmio_read64,
	.mmio_write32 = mmio_write32,
	.mmio_write64 = mmio_write64,
};

void platform_init(void)
{
	clock_hz = ticks_per_second();
}

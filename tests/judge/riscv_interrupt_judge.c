/* SPDX-License-Identifier: MIT */
/*
 * MSI page tables by the RISC-V IOMMU driver, against QEMU's model, from 10.0 on: messages of edu arrive where their pages lead, others do not.
 *
 * Interrupt files are pages of guest memory here, so that what arrives can be seen. The model remembers contexts, but no entries of MSI page tables: a change of those is claimed by its commands, which are asserted
 * with their place in riscv_interrupt_test.c. It tells MSIs by their requester from accesses to memory, so that only messages go through the tables, and no DMA; it reports no address.
 */
#include <iogate/hw/riscv.h>

#include "bench.h"
#include "message.h"

#define REGISTERS 0x3010000u
#define DDTP 16u
#define WINDOW UINT64_C(0x60000000)
#define FILES 8
#define SAYS 0x2au

struct bed {
	struct bench bench;
	struct iog_riscv *riscv;
	iog_paddr_t edu;
	volatile uint32_t *a, *b; /* files */
	uint32_t index;
};

#define CLAIM(claim, ...)                                             \
	do {                                                          \
		char says_[160];                                      \
		snprintf(says_, sizeof(says_), __VA_ARGS__);          \
		JUDGE(claim, "%s: %s", bed->bench.name, says_);       \
	} while (0)

static void interrupt(struct bench *bench)
{
	while (iog_riscv_interrupt(bench->driver))
		;
}

/* edu sends @data to a page of the window. */
static void send(struct bed *bed, uint32_t index, uint32_t data)
{
	const struct iog_platform *platform = bed->bench.platform;
	uint64_t address;

	iog_riscv_interrupt_message(bed->riscv, index, &address);
	CLAIM(message_set(bed->bench.qtest, address, data), "edu has messages");
	platform->mmio_write32(platform->ctx, bed->edu + MESSAGE_EDU_RAISE, 1);
	platform->mmio_write32(platform->ctx, bed->edu + MESSAGE_EDU_ACKNOWLEDGE, 1);
}

/* Where it has arrived, of the two files: 1, 2, 0 for neither. */
static uint32_t sent(struct bed *bed, uint32_t index)
{
	*bed->a = 0;
	*bed->b = 0;
	bench_hush(&bed->bench);
	send(bed, index, SAYS);
	return (*bed->a == SAYS ? 1u : 0u) | (*bed->b == SAYS ? 2u : 0u);
}

static bool refused(struct bed *bed, uint32_t index, uint32_t cause)
{
	const struct iog_fault *fault;
	bool nowhere = !sent(bed, index);

	fault = bench_first_fault(&bed->bench);
	return nowhere && fault->text && fault->code == cause && fault->device == IOG_QTEST_EDU(0) && fault->reason == IOG_FAULT_REASON_INTERRUPT;
}

static uint64_t commands(const struct bed *bed)
{
	struct iog_riscv_stats stats;

	iog_riscv_stats(bed->riscv, &stats);
	return stats.interrupt_commands;
}

static int route(struct bed *bed, volatile uint32_t *file)
{
	const struct iog_riscv_route to = { .file = file ? bench_paddr(&bed->bench, (const void *)(uintptr_t)file) : 0 };

	return iog_riscv_interrupt_route(bed->riscv, IOG_QTEST_EDU(0), bed->index, file ? &to : NULL);
}

/* The device has its domain, and none of the window's pages. */
static void judge_routes(struct bed *bed)
{
	uint64_t told;
	uint32_t others;

	CLAIM(refused(bed, 0, 262), "a device without a table is refused");
	CLAIM(!iog_riscv_interrupt_alloc(bed->riscv, IOG_QTEST_EDU(0), 1, &bed->index), "a page");
	CLAIM(refused(bed, bed->index, 262), "blocked by default");
	CLAIM(!route(bed, bed->a) && sent(bed, bed->index) == 1 && !bench_first_fault(&bed->bench)->text, "a message arrives in its file");
	CLAIM(refused(bed, bed->index + 1, 262), "a page that is not taken is refused");
	told = commands(bed);
	CLAIM(!route(bed, bed->b) && commands(bed) > told, "another route, and hardware is told");
	CLAIM(sent(bed, bed->index) == 2, "it arrives in the other file");
	CLAIM(!route(bed, NULL) && refused(bed, bed->index, 262), "without a route it is refused");
	CLAIM(!route(bed, bed->a) && sent(bed, bed->index) == 1, "and arrives again");
	/* Others' tables are others'. */
	CLAIM(!iog_riscv_interrupt_alloc(bed->riscv, IOG_QTEST_EDU(1), FILES, &others) &&
		      !iog_riscv_interrupt_route(bed->riscv, IOG_QTEST_EDU(1), bed->index + 1,
						 &(struct iog_riscv_route){ .file = bench_paddr(&bed->bench, (const void *)(uintptr_t)bed->b) }),
	      "another device's page");
	CLAIM(refused(bed, bed->index + 1, 262), "by another device's page: refused");
	CLAIM(!iog_riscv_interrupt_free(bed->riscv, IOG_QTEST_EDU(1), others, FILES), "it goes");
}

/* The device's context in guest memory. */
static uint64_t *context_of(struct bed *bed)
{
	const struct iog_platform *platform = bed->bench.platform;
	uint64_t entry = platform->mmio_read64(platform->ctx, REGISTERS + DDTP), level = (entry & 0xf) - 2;
	uint64_t *page = NULL;

	for (uint32_t device = IOG_QTEST_EDU(0);; level--) {
		page = iog_qtest_memory(bed->bench.qtest, (entry >> 10 & UINT64_C(0xfffffffffff)) << 12, 4096);
		if (!level)
			return page + 8 * (size_t)(device & 63);
		entry = page[device >> (6 + 9 * (level - 1)) & 511];
	}
}

/* The control of what is told about contexts: without it, the former table stays in force. */
static void judge_control(struct bed *bed)
{
	uint64_t *context = context_of(bed), table = context[4], other;
	uint64_t *page = bed->bench.platform->pages_alloc(bed->bench.platform->ctx, 4096);

	memset(page, 0, 4096);
	other = UINT64_C(1) << 60 | bench_paddr(&bed->bench, page) >> 12;
	context[4] = other;
	CLAIM(sent(bed, bed->index) == 1, "a context that has changed, and hardware was not told: the former table is in force (control)");
	CLAIM(!bed->bench.unit->ops->device_block(bed->bench.unit, IOG_QTEST_EDU(0)), "told");
	context[0] = 1;
	CLAIM(refused(bed, bed->index, 262), "told: the new one is");
	context[4] = table;
	CLAIM(!bed->bench.unit->ops->device_block(bed->bench.unit, IOG_QTEST_EDU(0)), "told again");
	context[0] = 1;
	CLAIM(sent(bed, bed->index) == 1, "and the former again");
	bed->bench.platform->pages_free(bed->bench.platform->ctx, page, 4096);
}

/* A file in memory: a pair of words, pending and enabled, per 64 identities, of which the model has only the first where it belongs. Who is told gets a message; by the model only for identities that are enabled. */
static void judge_mrif(struct bed *bed)
{
	volatile uint64_t *file = (volatile uint64_t *)(volatile void *)((volatile uint8_t *)bed->b + 512);
	const struct iog_riscv_route to = { .file = bench_paddr(&bed->bench, (const void *)(uintptr_t)file), .flags = IOG_RISCV_ROUTE_MRIF,
					    .notice = bench_paddr(&bed->bench, (const void *)(uintptr_t)bed->a), .notice_id = 0x405 };

	memset((void *)(uintptr_t)file, 0, 512);
	CLAIM(!iog_riscv_interrupt_route(bed->riscv, IOG_QTEST_EDU(0), bed->index, &to), "a file in memory");
	CLAIM(!sent(bed, bed->index) && file[0] == UINT64_C(1) << SAYS, "a message is pending in it");
	file[1] = UINT64_C(1) << 3;
	*bed->a = 0;
	send(bed, bed->index, 3);
	CLAIM(file[0] == (UINT64_C(1) << SAYS | UINT64_C(1) << 3) && *bed->a == 0x405, "one that is enabled is told of (0x%llx, 0x%x)", (unsigned long long)file[0], *bed->a);
	CLAIM(!route(bed, bed->a) && sent(bed, bed->index) == 1, "and then to a file that is not in memory");
}

struct shape {
	const char *name;
	const struct iog_pgtable_ops *ops;
	uint32_t ias;
	bool first;
};

static const struct shape shapes[] = {
	{ "not translated", NULL, 0, false },
	{ "second stage", &iog_riscv_x4_counted, 50, false },
	{ "first stage", &iog_riscv_counted, 48, true },
};

static void judge_shape(struct bed *bed, const struct shape *shape)
{
	uint64_t told;

	bed->bench.name = shape->name;
	if (shape->ops) {
		if (!bench_domain(&bed->bench, 7, shape->ops, shape->ias, 56))
			return;
		/* The first stage comes before the window. */
		if (shape->first)
			CLAIM(!bench_map(&bed->bench, WINDOW, WINDOW, FILES * 4096, RW), "the window is mapped");
	}
	CLAIM(!bench_set(&bed->bench, shape->ops ? IOG_DOMAIN_PAGING : IOG_DOMAIN_IDENTITY), "attach");
	judge_routes(bed);
	if (!shape->ops)
		judge_control(bed);
	judge_mrif(bed);
	told = commands(bed);
	CLAIM(!iog_riscv_interrupt_free(bed->riscv, IOG_QTEST_EDU(0), bed->index, 1) && commands(bed) > told, "free, and hardware is told");
	CLAIM(refused(bed, bed->index, 262), "freed: refused");
	CLAIM(!bench_set(&bed->bench, IOG_DOMAIN_BLOCKED), "detach");
	CLAIM(!sent(bed, bed->index) && bench_first_fault(&bed->bench)->reason == IOG_FAULT_REASON_NO_DEVICE, "detached: refused");
	if (shape->first)
		CLAIM(!bench_unmap(&bed->bench, WINDOW, FILES * 4096) && !bench_invalidate(&bed->bench), "the window is unmapped");
	if (shape->ops)
		bench_domain_end(&bed->bench);
}

/* One machine per shape: the device has no table at first. */
static void judge_machine(const struct shape *shape)
{
	struct iog_qtest_config machine = { .machine = IOG_QTEST_RISCV, .machine_options = "iommu-sys=on", .version_min = 10, .edus = 2 };
	struct bed bed_storage = { .bench = { .name = shape->name, .interrupt = interrupt, .device = IOG_QTEST_EDU(0) } }, *bed = &bed_storage;
	struct iog_riscv_config config = { .registers = REGISTERS, .interrupts = FILES, .interrupt_window = WINDOW,
					   .faults = { .fn = bench_fault, .ctx = &bed_storage.bench, .per_device = 100000, .total = 100000 } };
	struct iog_qtest_stats stats;

	bed->bench.qtest = judge_start(&machine);
	if (!bed->bench.qtest)
		return;
	bed->bench.platform = config.platform = iog_qtest_platform(bed->bench.qtest);
	bed->edu = iog_qtest_config_read(bed->bench.qtest, IOG_QTEST_EDU(0), 0x10) & ~0xfu;
	CLAIM(!iog_riscv_create(&config, &bed->riscv), "driver");
	if (bed->riscv) {
		bed->bench.driver = bed->riscv;
		bed->bench.unit = iog_riscv_unit(bed->riscv);
		bed->a = bed->bench.platform->pages_alloc(bed->bench.platform->ctx, 4096);
		bed->b = bed->bench.platform->pages_alloc(bed->bench.platform->ctx, 4096);
		CLAIM(!iog_riscv_enable(bed->riscv), "enable");
		judge_shape(bed, shape);
		CLAIM(!iog_riscv_disable(bed->riscv) && !iog_riscv_destroy(bed->riscv), "driver goes");
		bed->bench.platform->pages_free(bed->bench.platform->ctx, (void *)(uintptr_t)bed->a, 4096);
		bed->bench.platform->pages_free(bed->bench.platform->ctx, (void *)(uintptr_t)bed->b, 4096);
		iog_qtest_stats(bed->bench.qtest, &stats);
		CLAIM(!stats.memory_bytes, "all guest memory comes back");
	}
	CLAIM(!iog_qtest_error(bed->bench.qtest), "QEMU is well");
	iog_qtest_destroy(bed->bench.qtest);
}

int main(void)
{
	for (size_t n = 0; n < sizeof(shapes) / sizeof(shapes[0]); n++)
		judge_machine(&shapes[n]);
	return judge_end();
}

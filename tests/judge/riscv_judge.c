/* SPDX-License-Identifier: MIT */
/*
 * The RISC-V IOMMU driver against QEMU's model, from 10.0 on: as a device of the machine (-machine virt,iommu-sys=on) and as a PCI function (riscv-iommu-pci).
 */
#include <iogate/hw/riscv.h>

#include "moves.h"
#include "points.h"

#define REGISTERS_SYS 0x3010000u
#define PCI_FUNCTION IOG_QTEST_BDF(0, 1, 0)

struct shape {
	const char *name;
	const struct iog_pgtable_ops *ops;
	uint32_t stage;
	uint32_t ias;
	iog_iova_t high;
};

/* First-stage addresses are sign-extended: high ones are in the lower half. */
static const struct shape shapes[] = {
	{ "Sv39", &iog_riscv_counted, 1, 39, UINT64_C(0x2fc0000000) },   { "Sv48", &iog_riscv_counted, 1, 48, UINT64_C(0x6fffc0000000) },
	{ "Sv57", &iog_riscv_counted, 1, 57, UINT64_C(0xafffffc0000000) }, { "Sv39x4", &iog_riscv_x4_counted, 2, 41, UINT64_C(0x1a3c0000000) },
	{ "Sv48x4", &iog_riscv_x4_counted, 2, 50, UINT64_C(0x3afffc0000000) }, { "Sv57x4", &iog_riscv_x4_counted, 2, 59, UINT64_C(0x6ffffffc0000000) },
};

static void interrupt(struct bench *bench)
{
	struct iog_riscv_stats stats;

	while (iog_riscv_interrupt(bench->driver))
		;
	iog_riscv_stats(bench->driver, &stats);
	JUDGE(!stats.command_errors, "%s: the command queue has not stopped", bench->name);
}

/* A machine; the unit's registers are found. False when skipped. */
static bool machine_start(struct bench *bench, const char *name, bool pci, uint32_t edus, uintptr_t *registers)
{
	static const char *const function[] = { "-device", "riscv-iommu-pci,addr=1", NULL };
	struct iog_qtest_config machine = { .machine = IOG_QTEST_RISCV, .machine_options = pci ? NULL : "iommu-sys=on", .arguments = pci ? function : NULL, .version_min = 10, .edus = edus };
	iog_paddr_t bar = REGISTERS_SYS;

	*bench = (struct bench){ .name = name, .interrupt = interrupt, .device = IOG_QTEST_EDU(0) };
	bench->qtest = judge_start(&machine);
	if (!bench->qtest)
		return false;
	bench->platform = iog_qtest_platform(bench->qtest);
	if (pci)
		JUDGE(!iog_qtest_bar(bench->qtest, PCI_FUNCTION, 0, &bar), "%s: BAR 0", name);
	*registers = (uintptr_t)bar;
	return true;
}

/* After a reset the unit is off, and refuses everything. Firmware that knows of none makes it Bare. */
static void point_bare(struct bench *bench, uintptr_t registers)
{
	uint8_t *page = bench->platform->pages_alloc(bench->platform->ctx, 4096);

	*page = 0xee;
	bench_write(bench, bench_paddr(bench, page), 8);
	JUDGE(*page == 0xee, "%s: 1: off, nothing passes", bench->name);
	bench->platform->mmio_write64(bench->platform->ctx, registers + 16, 1);
	bench->platform->pages_free(bench->platform->ctx, page, 4096);
}

/* A unit that walks directories of one level only: ddtp does not take the modes of others. */
static struct {
	const struct iog_platform *inner;
	struct iog_platform platform;
	uintptr_t ddtp;
} narrow;

static void narrow_write64(void *ctx, uintptr_t reg, uint64_t value)
{
	if (reg != narrow.ddtp || (value & 0xf) <= 2)
		narrow.inner->mmio_write64(ctx, reg, value);
}

static const struct iog_platform *narrowed(const struct iog_platform *platform, uintptr_t registers, bool one_level)
{
	if (!one_level)
		return platform;
	narrow.inner = platform;
	narrow.platform = *platform;
	narrow.platform.mmio_write64 = narrow_write64;
	narrow.ddtp = registers + 16;
	return &narrow.platform;
}

static struct iog_riscv *driver(struct bench *bench, const struct iog_platform *platform, uintptr_t registers, uint32_t device_bits)
{
	struct iog_riscv_config config = { .platform = platform, .registers = registers, .device_bits = device_bits,
					   .faults = { .fn = bench_fault, .ctx = bench, .per_device = 100000, .total = 100000 } };
	struct iog_riscv *riscv = NULL;
	int error = iog_riscv_create(&config, &riscv);

	JUDGE(!error, "%s: create (%d)", bench->name, error);
	bench->driver = riscv;
	bench->unit = riscv ? iog_riscv_unit(riscv) : NULL;
	return riscv;
}

static struct iog_riscv *start(struct bench *bench, const char *name, bool pci, uint32_t device_bits, bool one_level)
{
	struct iog_riscv *riscv;
	uintptr_t registers;

	if (!machine_start(bench, name, pci, 1, &registers))
		return NULL;
	point_bare(bench, registers);
	riscv = driver(bench, narrowed(bench->platform, registers, one_level), registers, device_bits);
	if (!riscv)
		iog_qtest_destroy(bench->qtest);
	return riscv;
}

static void end(struct bench *bench)
{
	struct iog_qtest_stats stats;

	JUDGE(!iog_riscv_disable(bench->driver), "%s: disables", bench->name);
	JUDGE(!iog_riscv_destroy(bench->driver), "%s: destroys", bench->name);
	iog_qtest_stats(bench->qtest, &stats);
	JUDGE(!stats.memory_bytes, "%s: all memory is back (%llu)", bench->name, (unsigned long long)stats.memory_bytes);
	JUDGE(!iog_qtest_error(bench->qtest), "%s: QEMU is well: %s", bench->name, iog_qtest_error(bench->qtest));
	iog_qtest_destroy(bench->qtest);
}

/* The six points for each format. */
static void points(const char *what, bool pci, uint32_t device_bits, uint32_t levels, bool all)
{
	struct bench bench;
	struct iog_riscv *riscv = start(&bench, what, pci, device_bits, levels == 1);
	struct iog_riscv_info info;
	uint32_t tried = 0;

	if (!riscv)
		return;
	point_off(&bench);
	JUDGE(!iog_riscv_enable(riscv), "%s: enables", what);
	iog_riscv_info(riscv, &info);
	printf("%s: QEMU %u, capabilities 0x%llx, levels %u, extended %d, oas %u, range %d, non-leaf %d, ats %d\n", what, iog_qtest_version(bench.qtest),
	       (unsigned long long)info.capabilities, info.levels, info.extended, info.oas, info.range, info.non_leaf, info.ats);
	JUDGE(info.levels == levels, "%s: a directory of %u levels (%u)", what, levels, info.levels);
	for (size_t n = 0; n < sizeof(shapes) / sizeof(shapes[0]); n++) {
		bool second = shapes[n].stage == 2;
		struct points points = { .code_absent = second ? 23 : 15, .code_absent_read = second ? 21 : 13, .code_readonly = second ? 23 : 15, .code_no_device = 258,
					 .writes_untold = true, .pasid_zero = true, .high = shapes[n].high };
		const struct iog_fault *fault;
		char name[128];

		if (!((second ? info.ias_allowed_second : info.ias_allowed_first) >> shapes[n].ias & 1) || (!all && shapes[n].ias != 48 && shapes[n].ias != 50))
			continue;
		snprintf(name, sizeof(name), "%s, %s", what, shapes[n].name);
		bench.name = name;
		bench_hush(&bench);
		if (!tried++) {
			bench_write(&bench, 0x1000, 8);
			fault = bench_first_fault(&bench);
			JUDGE(fault->text && fault->reason == IOG_FAULT_REASON_NO_DEVICE && fault->device == bench.device && fault->code == 258,
			      "%s: 5: a device without a context is refused (reason %d, code %u)", name, fault->reason, fault->code);
		}
		if (!bench_domain(&bench, 7 + (uint32_t)n, shapes[n].ops, shapes[n].ias, info.oas < 56 ? info.oas : 56))
			continue;
		JUDGE(!bench_set(&bench, IOG_DOMAIN_PAGING), "%s: attaches", name);
		points_all(&bench, &points, true);
		JUDGE(!bench_set(&bench, IOG_DOMAIN_BLOCKED), "%s: detaches", name);
		bench_domain_end(&bench);
		bench.name = what;
	}
	JUDGE(tried, "%s: a format was tried", what);
	end(&bench);
}

static bool hole_one_level(uint32_t from, uint32_t to)
{
	/* The first stage's root and PSCID, or one stage's root and the other's. */
	return (from < 2 && to < 4) || (from < 4 && to < 2);
}

static void replace(const char *name, uint32_t device_bits, bool one_level)
{
	static const struct move kinds[] = { { "first stage", &iog_riscv_counted, 48, 56 }, { "another first stage", &iog_riscv_counted, 48, 56 },
					     { "second stage", &iog_riscv_x4_counted, 50, 56 }, { "another second stage", &iog_riscv_x4_counted, 50, 56 }, { "bare", NULL, 0, 0 } };
	struct bench bench;
	uintptr_t registers;

	if (!machine_start(&bench, name, false, 1, &registers))
		return;
	if (!driver(&bench, watch(narrowed(bench.platform, registers, one_level), registers + 36), registers, device_bits)) {
		iog_qtest_destroy(bench.qtest);
		return;
	}
	JUDGE(!iog_riscv_enable(bench.driver), "%s: enables", name);
	moves(&bench, kinds, 5, one_level ? hole_one_level : NULL);
	end(&bench);
}

/* A former kernel's driver has left the unit on; another one takes it over, and nothing of the first is in force. */
static void hand_over(const char *name)
{
	struct bench bench, former;
	struct iog_riscv_info info;
	uintptr_t registers;
	uint8_t *page;

	if (!machine_start(&former, name, false, 1, &registers))
		return;
	page = former.platform->pages_alloc(former.platform->ctx, 4096);
	JUDGE(driver(&former, former.platform, registers, 16) && !iog_riscv_enable(former.driver), "%s: enables", name);
	if (!bench_domain(&former, 9, &iog_riscv_counted, 48, 56))
		return;
	JUDGE(!bench_set(&former, IOG_DOMAIN_PAGING) && !bench_map(&former, 0x5000, bench_paddr(&former, page), 4096, RW), "%s: maps", name);
	memset(page, 0xee, 4096);
	bench_write(&former, 0x5000, 8);
	JUDGE(page[0] != 0xee, "%s: the former owner's mapping is in force", name);

	bench = former;
	JUDGE(driver(&bench, bench.platform, registers, 16) && !iog_riscv_enable(bench.driver), "%s: takes over", name);
	iog_riscv_info(bench.driver, &info);
	JUDGE(info.was_enabled, "%s: it was on", name);
	memset(page, 0xee, 4096);
	bench_hush(&bench);
	bench_write(&bench, 0x5000, 8);
	JUDGE(page[0] == 0xee && bench_first_fault(&bench)->reason == IOG_FAULT_REASON_NO_DEVICE, "%s: the former owner's mapping is gone, and the device has no context", name);
	if (bench_domain(&bench, 9, &iog_riscv_counted, 48, 56)) {
		JUDGE(!bench_set(&bench, IOG_DOMAIN_PAGING) && !bench_map(&bench, 0x5000, bench_paddr(&bench, page), 4096, RW), "%s: maps", name);
		bench_write(&bench, 0x5000, 8);
		JUDGE(page[0] != 0xee, "%s: the new owner's mapping is in force", name);
		JUDGE(!iog_riscv_suspend(bench.driver), "%s: suspends", name);
		memset(page, 0xee, 4096);
		bench_write(&bench, 0x5000, 8);
		bench_write(&bench, bench_paddr(&bench, page), 8);
		JUDGE(page[0] == 0xee, "%s: suspended, nothing passes", name);
		JUDGE(!iog_riscv_resume(bench.driver), "%s: resumes", name);
		bench_write(&bench, 0x5000, 8);
		JUDGE(page[0] != 0xee, "%s: resumed, everything is as it was", name);
		JUDGE(!bench_set(&bench, IOG_DOMAIN_BLOCKED), "%s: blocks", name);
		bench_domain_end(&bench);
	}
	JUDGE(!iog_riscv_disable(bench.driver) && !iog_riscv_destroy(bench.driver), "%s: ends", name);
	JUDGE(!iog_riscv_disable(former.driver), "%s: ends the former", name);
	(void)former.unit->ops->device_set(former.unit, former.device, IOG_DOMAIN_BLOCKED, 0);
	bench_domain_end(&former);
	former.platform->pages_free(former.platform->ctx, page, 4096);
	end(&former);
}

static const struct move first_stage = { "first stage", &iog_riscv_counted, 48, 56 };

static uint32_t take(struct bench *bench)
{
	return iog_riscv_interrupt(bench->driver);
}

static void counts(struct bench *bench, const uint32_t *device, struct iog_fault_counts *result)
{
	struct iog_riscv_stats stats;

	iog_riscv_stats(bench->driver, &stats);
	*result = stats.faults;
	if (device)
		iog_riscv_device_faults(bench->driver, *device, result);
}

static void cost(struct bench *bench, struct cost *result)
{
	struct iog_riscv_stats stats;

	iog_riscv_stats(bench->driver, &stats);
	*result = (struct cost){ stats.commands, stats.mmio_reads, stats.mmio_writes };
}

static void floods(const char *name)
{
	struct bench bench;
	struct iog_riscv_config config = { .fault_log2 = 5, .faults = { .fn = bench_fault, .ctx = &bench, .per_device = 4, .total = 6, .interval_ms = 600000 } };
	struct iog_riscv *riscv = NULL;

	if (!machine_start(&bench, name, false, 2, &config.registers))
		return;
	config.platform = bench.platform;
	JUDGE(!iog_riscv_create(&config, &riscv) && !iog_riscv_enable(riscv), "%s: enables", name);
	bench.driver = riscv;
	bench.unit = iog_riscv_unit(riscv);
	flood(&bench, &first_stage, 32, take, counts);
	end(&bench);
}

static void dmas(const char *name)
{
	/* No ranges: a command per page. */
	static const uint32_t commands[] = { 2, 0 };
	struct bench bench;
	struct iog_riscv *riscv = start(&bench, name, false, 16, false);

	if (!riscv)
		return;
	JUDGE(!iog_riscv_enable(riscv), "%s: enables", name);
	dma(&bench, &first_stage, commands, cost);
	end(&bench);
}

int main(void)
{
	points("machine, 3 levels", false, 16, 3, true);
	points("machine, 2 levels", false, 15, 2, false);
	points("machine, few devices", false, 6, 2, false);
	points("machine, 1 level", false, 6, 1, false);
	points("PCI", true, 16, 3, true);
	replace("replacing, 3 levels", 16, false);
	replace("replacing, 2 levels", 15, false);
	replace("replacing, few devices", 6, false);
	replace("replacing, 1 level", 6, true);
	hand_over("hand-over");
	floods("flood");
	dmas("DMA");
	if (judge_held)
		judge_skip("reclaim", "the model has no walk caches, so it cannot tell whether they were dropped: the commands are asserted in the unit test \"hw riscv\"");
	return judge_end();
}

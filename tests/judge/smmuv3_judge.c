/* SPDX-License-Identifier: MIT */
/*
 * The SMMUv3 driver against QEMU's model (-machine virt,iommu=smmuv3): stage 1 from 7.2 on, stage 2 and events of GBPA from 10.0 on.
 */
#include <iogate/hw/smmuv3.h>

#include "moves.h"
#include "points.h"

#define REGISTERS 0x09050000u

struct shape {
	const char *name;
	const struct iog_pgtable_ops *ops;
	uint32_t stage;
	uint64_t granule;
	uint32_t ias;
	bool concatenated; /* root tables are several */
};

static const struct shape shapes[] = {
	{ "4K", &iog_arm_s1_4k_counted, 1, 4096, 48, false },
	{ "16K", &iog_arm_s1_16k_counted, 1, 16384, 48, false },
	{ "64K", &iog_arm_s1_64k_counted, 1, 65536, 48, false },
	{ "4K, 39 bits", &iog_arm_s1_4k_counted, 1, 4096, 39, false },
	{ "4K", &iog_arm_s2_4k_counted, 2, 4096, 0, false },
	{ "16K", &iog_arm_s2_16k_counted, 2, 16384, 0, false },
	{ "64K", &iog_arm_s2_64k_counted, 2, 65536, 42, false },
	{ "4K, 40 bits", &iog_arm_s2_4k_counted, 2, 4096, 40, true },
};

static void interrupt(struct bench *bench)
{
	struct iog_smmuv3_stats stats;

	while (iog_smmuv3_interrupt(bench->driver))
		;
	iog_smmuv3_stats(bench->driver, &stats);
	/* The model says that it could not write an event, EVENTQ_ABT_ERR, where it should say that the queue is full. */
	JUDGE(!(stats.errors & ~4u) && !stats.command_errors, "%s: no global error (0x%x, commands %llu)", bench->name, stats.errors, (unsigned long long)stats.command_errors);
}

/* A machine and a driver; NULL when skipped. @options: of the machine. */
static struct iog_smmuv3 *start(struct bench *bench, const char *name, uint32_t version_min, uint32_t version_max, bool stage2, uint32_t flags)
{
	static const char *const nested[] = { "-global", "arm-smmuv3.stage=nested", NULL };
	struct iog_qtest_config machine = { .machine = IOG_QTEST_ARM, .machine_options = "iommu=smmuv3", .version_min = version_min, .version_max = version_max,
					    .arguments = stage2 ? nested : NULL, .memory = UINT64_C(1) << 30 };
	struct iog_smmuv3_config config = { .registers = REGISTERS, .flags = flags, .faults = { .fn = bench_fault, .ctx = bench, .per_device = 100000, .total = 100000 } };
	struct iog_smmuv3 *smmu = NULL;
	int error;

	*bench = (struct bench){ .name = name, .interrupt = interrupt, .device = IOG_QTEST_EDU(0) };
	bench->qtest = judge_start(&machine);
	if (!bench->qtest)
		return NULL;
	bench->platform = iog_qtest_platform(bench->qtest);
	config.platform = bench->platform;
	error = iog_smmuv3_create(&config, &smmu);
	JUDGE(!error, "%s: create (%d)", name, error);
	if (error) {
		iog_qtest_destroy(bench->qtest);
		return NULL;
	}
	bench->driver = smmu;
	bench->unit = iog_smmuv3_unit(smmu);
	return smmu;
}

static void end(struct bench *bench)
{
	struct iog_qtest_stats stats;

	JUDGE(!iog_smmuv3_disable(bench->driver), "%s: disables", bench->name);
	JUDGE(!iog_smmuv3_destroy(bench->driver), "%s: destroys", bench->name);
	iog_qtest_stats(bench->qtest, &stats);
	JUDGE(!stats.memory_bytes, "%s: all memory is back (%llu)", bench->name, (unsigned long long)stats.memory_bytes);
	JUDGE(!iog_qtest_error(bench->qtest), "%s: QEMU is well: %s", bench->name, iog_qtest_error(bench->qtest));
	iog_qtest_destroy(bench->qtest);
}

/* The six points for each granule. */
static void points(uint32_t version_min, uint32_t version_max, uint32_t stage, uint32_t flags, const char *what)
{
	struct bench bench;
	struct iog_smmuv3 *smmu = start(&bench, what, version_min, version_max, stage == 2, flags);
	struct iog_smmuv3_info info;
	uint32_t tried = 0;

	if (!smmu)
		return;
	iog_smmuv3_info(smmu, &info);
	printf("%s: QEMU %u, stages %d%d, streams %u bits, two levels %d, granules 0x%llx, ias %u, oas %u, range %d, coherent %d, ats %d\n", what, iog_qtest_version(bench.qtest),
	       info.stage1, info.stage2, info.stream_bits, info.two_level, (unsigned long long)info.granules, info.ias, info.oas, info.range, info.coherent, info.ats);
	JUDGE(stage == 2 ? info.stage2 : info.stage1, "%s: the unit has the stage", what);
	point_off(&bench);
	JUDGE(!iog_smmuv3_enable(smmu), "%s: enables", what);
	for (size_t n = 0; n < sizeof(shapes) / sizeof(shapes[0]); n++) {
		struct points points = { .code_absent = 0x10, .code_readonly = 0x13, .silent_no_device = true };
		uint32_t ias = shapes[n].ias ? shapes[n].ias : info.oas;
		const struct iog_fault *fault;
		char name[128];

		if (shapes[n].stage != stage || !(info.granules & shapes[n].granule))
			continue;
		tried++;
		snprintf(name, sizeof(name), "%s, %s", what, shapes[n].name);
		bench.name = name;
		points.high = (UINT64_C(1) << (ias - 1)) + (UINT64_C(1) << (ias - 2)) + (UINT64_C(3) << 30);
		/* The stream has no entry: C_BAD_STE, or C_BAD_STREAMID where there is no second level. The first time only: then it has one. */
		bench_hush(&bench);
		if (tried == 1) {
			bench_write(&bench, 0x1000, 8);
			fault = bench_first_fault(&bench);
			JUDGE(fault->text && fault->reason == IOG_FAULT_REASON_NO_DEVICE && fault->device == bench.device && fault->code == (flags & IOG_SMMUV3_LINEAR ? 0x04 : 0x02),
			      "%s: 5: a stream without an entry is refused (reason %d, code 0x%x)", name, fault->reason, fault->code);
		}
		if (!bench_domain(&bench, 7 + (uint32_t)n, shapes[n].ops, ias, info.oas))
			continue;
		JUDGE(!bench_set(&bench, IOG_DOMAIN_PAGING), "%s: attaches", name);
		/* The model masks the base of the root with the size of all of its tables, having added the chosen one's offset. */
		if (shapes[n].concatenated) {
			points.high = 0;
			judge_skip(name, "high addresses: QEMU's walk begins in the first of concatenated root tables, whatever the address");
		}
		/* A 64K leaf of the next size is 512 MiB: too much memory to allocate four times. */
		points_all(&bench, &points, bench.large < (UINT64_C(64) << 20));
		JUDGE(!bench_set(&bench, IOG_DOMAIN_BLOCKED), "%s: detaches", name);
		bench_domain_end(&bench);
		bench.name = what;
	}
	JUDGE(tried, "%s: a granule was tried", what);
	end(&bench);
}


/* In a linear table: more than one word that both look at, the first and the VMID. */
static bool hole_linear(uint32_t from, uint32_t to)
{
	return from == 2 || from == 3 ? to != 4 : (to == 2 || to == 3) && from != 4;
}

static void replace(uint32_t version_min, uint32_t version_max, bool stage2, uint32_t flags, const char *name)
{
	static const struct move kinds[] = { { "stage 1", &iog_arm_s1_4k_counted, 48, 44 }, { "another stage 1", &iog_arm_s1_4k_counted, 48, 44 },
					     { "stage 2", &iog_arm_s2_4k_counted, 44, 44 }, { "another stage 2", &iog_arm_s2_4k_counted, 44, 44 }, { "bypass", NULL, 0, 0 } };
	static const struct move kinds_stage1[] = { { "stage 1", &iog_arm_s1_4k_counted, 48, 44 }, { "another stage 1", &iog_arm_s1_4k_counted, 48, 44 }, { "bypass", NULL, 0, 0 } };
	struct bench bench;
	struct iog_smmuv3 *smmu = start(&bench, name, version_min, version_max, stage2, flags);

	if (!smmu)
		return;
	/* The same unit again, by the watched platform. */
	(void)iog_smmuv3_destroy(smmu);
	JUDGE(!iog_smmuv3_create(&(struct iog_smmuv3_config){ .platform = watch(bench.platform, REGISTERS + 0x98), .registers = REGISTERS, .flags = flags,
							      .faults = { .fn = bench_fault, .ctx = &bench } },
				 &smmu),
	      "%s: create", name);
	bench.driver = smmu;
	bench.unit = iog_smmuv3_unit(smmu);
	JUDGE(!iog_smmuv3_enable(smmu), "%s: enables", name);
	if (stage2)
		moves(&bench, kinds, 5, flags & IOG_SMMUV3_LINEAR ? hole_linear : NULL);
	else
		moves(&bench, kinds_stage1, 3, NULL);
	end(&bench);
}

/* A former kernel's driver has left the unit on; another one takes it over, and nothing of the first is in force. */
static void hand_over(uint32_t version_min, uint32_t version_max, const char *name)
{
	struct bench bench, former;
	struct iog_smmuv3 *smmu = start(&bench, name, version_min, version_max, false, 0), *next = NULL;
	uint8_t *page;

	if (!smmu)
		return;
	former = bench;
	page = bench.platform->pages_alloc(bench.platform->ctx, 4096);
	memset(page, 0xee, 4096);
	JUDGE(!iog_smmuv3_enable(smmu), "%s: enables", name);
	if (bench_domain(&former, 9, &iog_arm_s1_4k_counted, 48, 44)) {
		JUDGE(!bench_set(&former, IOG_DOMAIN_PAGING) && !bench_map(&former, 0x5000, bench_paddr(&bench, page), 4096, RW), "%s: maps", name);
		bench_write(&former, 0x5000, 8);
		JUDGE(page[0] != 0xee, "%s: the former owner's mapping is in force", name);
	}
	JUDGE(!iog_smmuv3_create(&(struct iog_smmuv3_config){ .platform = bench.platform, .registers = REGISTERS, .faults = { .fn = bench_fault, .ctx = &bench } }, &next),
	      "%s: create", name);
	JUDGE(!iog_smmuv3_enable(next), "%s: takes over", name);
	bench.driver = next;
	bench.unit = iog_smmuv3_unit(next);
	memset(page, 0xee, 4096);
	bench_hush(&bench);
	bench_write(&bench, 0x5000, 8);
	JUDGE(page[0] == 0xee && bench_first_fault(&bench)->reason == IOG_FAULT_REASON_NO_DEVICE, "%s: the former owner's mapping is gone, and the device has no entry", name);
	if (bench_domain(&bench, 9, &iog_arm_s1_4k_counted, 48, 44)) {
		JUDGE(!bench_set(&bench, IOG_DOMAIN_PAGING) && !bench_map(&bench, 0x5000, bench_paddr(&bench, page), 4096, RW), "%s: maps", name);
		bench_write(&bench, 0x5000, 8);
		JUDGE(page[0] != 0xee, "%s: the new owner's mapping is in force", name);
		/* Off and on again: domains and devices are as they were. */
		JUDGE(!iog_smmuv3_suspend(next) && !iog_smmuv3_resume(next), "%s: suspends and resumes", name);
		memset(page, 0xee, 4096);
		bench_write(&bench, 0x5000, 8);
		JUDGE(page[0] != 0xee, "%s: after suspend and resume, too", name);
		JUDGE(!bench_set(&bench, IOG_DOMAIN_BLOCKED), "%s: blocks", name);
		bench_domain_end(&bench);
	}
	JUDGE(!iog_smmuv3_disable(next) && !iog_smmuv3_destroy(next), "%s: ends", name);
	/* The former driver's memory. The unit is off: nothing is reached by what it still does. */
	JUDGE(!iog_smmuv3_disable(smmu), "%s: ends the former", name);
	(void)former.unit->ops->device_set(former.unit, former.device, IOG_DOMAIN_BLOCKED, 0);
	bench_domain_end(&former);
	bench.driver = smmu;
	bench.platform->pages_free(bench.platform->ctx, page, 4096);
	end(&bench);
}

static const struct move stage1 = { "stage 1", &iog_arm_s1_4k_counted, 48, 44 };

static uint32_t take(struct bench *bench)
{
	return iog_smmuv3_interrupt(bench->driver);
}

static void counts(struct bench *bench, const uint32_t *device, struct iog_fault_counts *result)
{
	struct iog_smmuv3_stats stats;

	iog_smmuv3_stats(bench->driver, &stats);
	*result = stats.faults;
	if (device)
		iog_smmuv3_device_faults(bench->driver, *device, result);
}

static void cost(struct bench *bench, struct cost *result)
{
	struct iog_smmuv3_stats stats;

	iog_smmuv3_stats(bench->driver, &stats);
	*result = (struct cost){ stats.commands, stats.mmio_reads, stats.mmio_writes };
}

static void floods(uint32_t version_min, uint32_t version_max, const char *name)
{
	struct bench bench;
	struct iog_qtest_config machine = { .machine = IOG_QTEST_ARM, .machine_options = "iommu=smmuv3", .version_min = version_min, .version_max = version_max, .edus = 2 };
	struct iog_smmuv3_config config = { .registers = REGISTERS, .event_log2 = 5, .faults = { .fn = bench_fault, .ctx = &bench, .per_device = 4, .total = 6, .interval_ms = 600000 } };
	struct iog_smmuv3 *smmu = NULL;

	bench = (struct bench){ .name = name, .interrupt = interrupt, .device = IOG_QTEST_EDU(0) };
	bench.qtest = judge_start(&machine);
	if (!bench.qtest)
		return;
	config.platform = bench.platform = iog_qtest_platform(bench.qtest);
	JUDGE(!iog_smmuv3_create(&config, &smmu) && !iog_smmuv3_enable(smmu), "%s: enables", name);
	bench.driver = smmu;
	bench.unit = iog_smmuv3_unit(smmu);
	flood(&bench, &stage1, 32, take, counts);
	end(&bench);
}

static void dmas(uint32_t version_min, uint32_t version_max, const char *name)
{
	static const uint32_t commands[] = { 2, 2 };
	struct bench bench;
	struct iog_smmuv3 *smmu = start(&bench, name, version_min, version_max, false, 0);

	if (!smmu)
		return;
	JUDGE(!iog_smmuv3_enable(smmu), "%s: enables", name);
	dma(&bench, &stage1, commands, cost);
	end(&bench);
}

int main(void)
{
	points(7, 7, 1, 0, "QEMU 7.2");
	points(7, 7, 1, IOG_SMMUV3_LINEAR, "QEMU 7.2, linear");
	points(10, 0, 1, 0, "QEMU 10");
	points(10, 0, 2, 0, "QEMU 10, stage 2");
	replace(7, 7, false, 0, "replacing, QEMU 7.2");
	replace(7, 7, false, IOG_SMMUV3_LINEAR, "replacing, QEMU 7.2, linear");
	replace(10, 0, true, 0, "replacing, QEMU 10");
	replace(10, 0, true, IOG_SMMUV3_LINEAR, "replacing, QEMU 10, linear");
	hand_over(7, 7, "hand-over, QEMU 7.2");
	hand_over(10, 0, "hand-over, QEMU 10");
	floods(7, 7, "flood, QEMU 7.2");
	floods(10, 0, "flood, QEMU 10");
	dmas(7, 7, "DMA, QEMU 7.2");
	dmas(10, 0, "DMA, QEMU 10");
	if (judge_held)
		judge_skip("reclaim", "the model has no walk caches, so it cannot tell whether they were dropped: the commands are asserted in the unit test \"hw smmuv3\"");
	return judge_end();
}

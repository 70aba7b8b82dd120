/* SPDX-License-Identifier: MIT */
/*
 * The SMMUv3 driver against QEMU's model (-machine virt,iommu=smmuv3): stage 1 from 7.2 on, stage 2 and events of GBPA from 10.0 on.
 */
#include <iogate/hw/smmuv3.h>

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
	static const char *const nested[] = { "-global", "arm-smmuv3.stage=2", NULL };
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

int main(void)
{
	points(7, 7, 1, 0, "QEMU 7.2");
	points(7, 7, 1, IOG_SMMUV3_LINEAR, "QEMU 7.2, linear");
	points(10, 0, 1, 0, "QEMU 10");
	points(10, 0, 2, 0, "QEMU 10, stage 2");
	return judge_end();
}

/* SPDX-License-Identifier: MIT */
/*
 * The SMMUv3 driver against QEMU's model (-machine virt,iommu=smmuv3): stage 1 from 7.2 on, stage 2 and events of GBPA from 10.0 on.
 */
#include <iogate/dma.h>
#include <iogate/domain.h>
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


/* Registers go through here, so that a DMA can be made at any moment of a driver's call. */
static struct watched {
	const struct iog_platform *inner;
	void (*at_doorbell)(void);
} watched;

static void watched_write32(void *ctx, uintptr_t reg, uint32_t value)
{
	if (reg == REGISTERS + 0x98 && watched.at_doorbell)
		watched.at_doorbell();
	watched.inner->mmio_write32(ctx, reg, value);
	if (reg == REGISTERS + 0x98 && watched.at_doorbell)
		watched.at_doorbell();
}

/* Where a write lands while a stream goes from one thing to another: in one of two places, at each moment. */
static struct landing {
	struct bench *bench;
	iog_iova_t iova;
	volatile uint8_t *former, *next;
	uint32_t in_former, in_next, nowhere;
	uint32_t after_next; /* in the former place after it had been in the next */
} landing;

static void land(void)
{
	*landing.former = *landing.next = 0;
	(void)iog_qtest_edu_dma(landing.bench->qtest, 0, IOG_QTEST_TO_MEMORY, landing.iova, 0, 1);
	if (*landing.former)
		landing.in_former++, landing.after_next += landing.in_next != 0;
	else if (*landing.next)
		landing.in_next++;
	else
		landing.nowhere++;
}

enum place { STAGE1, STAGE1_OTHER, STAGE2, STAGE2_OTHER, BYPASS, PLACES };

/* From each kind of domain to each other, a DMA before and after each doorbell on the way. */
static void replace(uint32_t version_min, uint32_t version_max, bool stage2, uint32_t flags, const char *name)
{
	static const char *const names[PLACES] = { "stage 1", "another stage 1", "stage 2", "another stage 2", "bypass" };
	struct bench bench, domains[PLACES];
	struct iog_smmuv3 *smmu = start(&bench, name, version_min, version_max, stage2, flags);
	struct iog_platform platform;
	uint8_t *pages, *marker;
	uint32_t copies = 0;

	if (!smmu)
		return;
	/* The same unit again, by the watched platform. */
	(void)iog_smmuv3_destroy(smmu);
	platform = *bench.platform;
	watched = (struct watched){ .inner = bench.platform };
	platform.mmio_write32 = watched_write32;
	JUDGE(!iog_smmuv3_create(&(struct iog_smmuv3_config){ .platform = &platform, .registers = REGISTERS, .flags = flags, .faults = { .fn = bench_fault, .ctx = &bench } }, &smmu),
	      "%s: create", name);
	bench.driver = smmu;
	bench.unit = iog_smmuv3_unit(smmu);
	JUDGE(!iog_smmuv3_enable(smmu), "%s: enables", name);
	pages = bench.platform->pages_alloc(bench.platform->ctx, 8 * 4096);
	marker = pages + 7 * 4096;
	memset(pages, 0, 8 * 4096);
	*marker = 0xa5;
	for (enum place place = STAGE1; place < PLACES; place++) {
		domains[place] = bench;
		domains[place].name = names[place];
		if (place == BYPASS || (place >= STAGE2 && !stage2))
			continue;
		/* The address is that of the page that bypass reaches. */
		if (bench_domain(&domains[place], 20 + place, place < STAGE2 ? &iog_arm_s1_4k_counted : &iog_arm_s2_4k_counted, place < STAGE2 ? 48 : 44, 44))
			JUDGE(!bench_map(&domains[place], bench_paddr(&bench, pages + BYPASS * 4096), bench_paddr(&bench, pages + place * 4096), 4096, RW) &&
				      !bench_map(&domains[place], bench_paddr(&bench, marker), bench_paddr(&bench, marker), 4096, RW),
			      "%s: maps", names[place]);
	}
	for (enum place from = STAGE1; from < PLACES; from++)
		for (enum place to = STAGE1; to < PLACES; to++) {
			bool possible = stage2 || ((from < STAGE2 || from == BYPASS) && (to < STAGE2 || to == BYPASS));
			/* More than one word that both look at: the first and the VMID. */
			bool linear_hole = flags & IOG_SMMUV3_LINEAR && ((from == STAGE2 || from == STAGE2_OTHER) ? to != BYPASS : (to == STAGE2 || to == STAGE2_OTHER) && from != BYPASS);

			if (from == to || !possible)
				continue;
			JUDGE(!bench_set(&domains[from], from == BYPASS ? IOG_DOMAIN_IDENTITY : IOG_DOMAIN_PAGING), "%s: sets", names[from]);
			bench_read(&bench, bench_paddr(&bench, marker), 1);
			landing = (struct landing){ .bench = &bench, .iova = bench_paddr(&bench, pages + BYPASS * 4096), .former = pages + from * 4096, .next = pages + to * 4096 };
			land();
			watched.at_doorbell = land;
			JUDGE(!bench_set(&domains[to], to == BYPASS ? IOG_DOMAIN_IDENTITY : IOG_DOMAIN_PAGING), "%s: sets", names[to]);
			watched.at_doorbell = NULL;
			JUDGE(landing.in_former && !landing.after_next, "%s: from %s to %s: first the one, then the other", name, names[from], names[to]);
			JUDGE(linear_hole || !landing.nowhere, "%s: from %s to %s without a hole (%u before, %u after, %u nowhere)", name, names[from], names[to], landing.in_former,
			      landing.in_next, landing.nowhere);
			JUDGE(!linear_hole || landing.nowhere, "%s: from %s to %s aborts on the way, as it must in a linear table", name, names[from], names[to]);
			land();
			JUDGE(landing.in_next && *landing.next, "%s: from %s to %s: there", name, names[from], names[to]);
			copies++;
		}
	printf("%s: %u replacements\n", name, copies);
	JUDGE(!bench.unit->ops->device_set(bench.unit, bench.device, IOG_DOMAIN_BLOCKED, 0), "%s: blocks", name);
	for (enum place place = STAGE1; place < BYPASS; place++)
		if (place < STAGE2 || stage2)
			bench_domain_end(&domains[place]);
	bench.platform->pages_free(bench.platform->ctx, pages, 8 * 4096);
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

/* More faults than the queue holds: lost ones are noticed, the queue goes on, and the flood of one device does not hide the others. */
static void flood(uint32_t version_min, uint32_t version_max, const char *name)
{
	struct bench bench;
	struct iog_qtest_config machine = { .machine = IOG_QTEST_ARM, .machine_options = "iommu=smmuv3", .version_min = version_min, .version_max = version_max, .edus = 2 };
	struct iog_smmuv3_config config = { .registers = REGISTERS, .event_log2 = 5, .faults = { .fn = bench_fault, .ctx = &bench, .per_device = 4, .total = 6, .interval_ms = 600000 } };
	struct iog_smmuv3_stats stats;
	struct iog_fault_counts counts;
	struct iog_smmuv3 *smmu = NULL;
	uint32_t bound = 0;
	bool other = false;

	bench = (struct bench){ .name = name, .interrupt = interrupt, .device = IOG_QTEST_EDU(0) };
	bench.qtest = judge_start(&machine);
	if (!bench.qtest)
		return;
	config.platform = bench.platform = iog_qtest_platform(bench.qtest);
	JUDGE(!iog_smmuv3_create(&config, &smmu) && !iog_smmuv3_enable(smmu), "%s: enables", name);
	bench.driver = smmu;
	bench.unit = iog_smmuv3_unit(smmu);
	if (bench_domain(&bench, 3, &iog_arm_s1_4k_counted, 48, 44)) {
		JUDGE(!bench_set(&bench, IOG_DOMAIN_PAGING), "%s: attaches", name);
		JUDGE(!bench.unit->ops->device_set(bench.unit, IOG_QTEST_EDU(1), IOG_DOMAIN_PAGING, bench.id), "%s: attaches", name);
		for (uint32_t n = 0; n < 4; n++)
			bench_read(&bench, 0x10000, 1024);
		bound = iog_smmuv3_interrupt(smmu);
		JUDGE(bound && bound <= 32, "%s: one call takes no more than the queue holds (%u)", name, bound);
		while (iog_smmuv3_interrupt(smmu))
			;
		iog_smmuv3_stats(smmu, &stats);
		JUDGE(stats.faults.overflows, "%s: lost events are noticed", name);
		JUDGE(stats.faults.seen >= 32 && stats.faults.told == 4 && bench.nr_faults == 4, "%s: one device is told of as often as it may be (%llu of %llu)", name,
		      (unsigned long long)stats.faults.told, (unsigned long long)stats.faults.seen);
		(void)iog_qtest_edu_dma(bench.qtest, 1, IOG_QTEST_TO_MEMORY, 0x20000, 0, 8);
		while (iog_smmuv3_interrupt(smmu))
			;
		for (uint32_t n = 0; n < bench.nr_faults && n < BENCH_FAULTS; n++)
			other |= bench.faults[n].device == IOG_QTEST_EDU(1) && bench.faults[n].iova == 0x20000;
		JUDGE(other, "%s: the queue goes on after the overflow, and the other device is heard", name);
		iog_smmuv3_device_faults(smmu, IOG_QTEST_EDU(0), &counts);
		JUDGE(counts.seen >= 32 && counts.untold == counts.seen - 4, "%s: what was not told is counted", name);
		(void)bench.unit->ops->device_set(bench.unit, IOG_QTEST_EDU(1), IOG_DOMAIN_BLOCKED, 0);
		(void)bench_set(&bench, IOG_DOMAIN_BLOCKED);
		bench_domain_end(&bench);
	}
	end(&bench);
}

/* The DMA API over the unit: strict unmapping, what it costs in commands and accesses, tables that go away and come back as other data. */
static void dma(uint32_t version_min, uint32_t version_max, const char *name)
{
	struct bench bench;
	struct iog_smmuv3 *smmu = start(&bench, name, version_min, version_max, false, 0);
	struct iog_smmuv3_stats before, after;
	uint64_t map_accesses;
	struct iog_tablemem *tables = NULL;
	struct iog_domain *domain = NULL;
	struct iog_device *device = NULL;
	uint64_t size = 64 * 4096;
	uint8_t *buffer;
	iog_iova_t iova;

	if (!smmu)
		return;
	JUDGE(!iog_smmuv3_enable(smmu), "%s: enables", name);
	JUDGE(!iog_tablemem_create(bench.platform, NULL, &tables) &&
		      !iog_domain_create(&(struct iog_domain_config){ .platform = bench.platform, .pgtable = { .ops = &iog_arm_s1_4k_counted, .tablemem = tables, .oas = 44 } }, &domain) &&
		      !iog_device_create(&(struct iog_device_config){ .platform = bench.platform, .unit = bench.unit, .id = bench.device }, &device) && !iog_domain_attach(domain, device),
	      "%s: a domain", name);
	buffer = bench.platform->pages_alloc(bench.platform->ctx, size);
	for (uint32_t pages = 1; device && pages <= 64; pages *= 64) {
		memset(buffer, 0xee, size);
		iog_smmuv3_stats(smmu, &before);
		JUDGE(!iog_dma_map(device, 0, bench_paddr(&bench, buffer), pages * 4096, IOG_DMA_FROM_DEVICE, 0, &iova), "%s: maps", name);
		iog_smmuv3_stats(smmu, &after);
		map_accesses = after.mmio_reads + after.mmio_writes - before.mmio_reads - before.mmio_writes;
		JUDGE(!map_accesses, "%s: mapping touches no register", name);
		bench_write(&bench, iova, 64);
		JUDGE(buffer[0] != 0xee, "%s: mapped memory is reached", name);
		iog_smmuv3_stats(smmu, &before);
		JUDGE(!iog_dma_unmap(device, 0, iova, pages * 4096, IOG_DMA_FROM_DEVICE, 0), "%s: unmaps", name);
		iog_smmuv3_stats(smmu, &after);
		printf("%s: %u pages: map %llu accesses; strict unmap %llu commands, %llu reads and %llu writes of registers\n", name, pages,
		       (unsigned long long)map_accesses,
		       (unsigned long long)(after.commands - before.commands), (unsigned long long)(after.mmio_reads - before.mmio_reads),
		       (unsigned long long)(after.mmio_writes - before.mmio_writes));
		JUDGE(after.commands - before.commands == 2 && after.mmio_writes - before.mmio_writes == 1, "%s: one range, one wait, one doorbell", name);
		memset(buffer, 0xee, size);
		bench_write(&bench, iova, 64);
		JUDGE(buffer[0] == 0xee, "%s: unmapped memory is not", name);
	}
	/* Tables: a page each 2 MiB, so that each has a table of its own, which goes when the page does. What was a table is filled with what would map everything. */
	for (uint32_t n = 0; device && n < 200; n++) {
		memset(buffer, 0xee, 4096);
		JUDGE(!iog_dma_map(device, 0, bench_paddr(&bench, buffer), 4096, IOG_DMA_FROM_DEVICE, 0, &iova), "%s: maps", name);
		bench_write(&bench, iova, 8);
		JUDGE(buffer[0] != 0xee, "%s: reached", name);
		JUDGE(!iog_dma_unmap(device, 0, iova, 4096, IOG_DMA_FROM_DEVICE, 0) && !iog_domain_trim(domain, 0), "%s: unmaps", name);
		memset(buffer, 0xee, 4096);
		bench_write(&bench, iova, 8);
		JUDGE(buffer[0] == 0xee, "%s: not reached", name);
	}
	JUDGE(!iog_device_destroy(device) && !iog_domain_destroy(domain) && !iog_tablemem_destroy(tables), "%s: ends", name);
	bench.platform->pages_free(bench.platform->ctx, buffer, size);
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
	flood(7, 7, "flood, QEMU 7.2");
	flood(10, 0, "flood, QEMU 10");
	dma(7, 7, "DMA, QEMU 7.2");
	dma(10, 0, "DMA, QEMU 10");
	judge_skip("reclaim", "the model has no walk caches, so it cannot tell whether they were dropped: the commands are asserted in the unit test \"hw smmuv3\"");
	return judge_end();
}

/* SPDX-License-Identifier: MIT */
/*
 * The virtio-iommu driver against QEMU's virtio-iommu-pci, on each QEMU that is there.
 *
 * The points of points.h for page tables of several formats, which the device never sees: nothing reaches it but requests. Its unit has no memory of its own beyond what it was told, so that "not told"
 * is the negative control of mapping, too. Then what is particular to it: the hand-over by its bypass setting, reserved regions, refusals of the device, and the DMA API with what it costs.
 */
#include <stdlib.h>

#include <iogate/dma.h>
#include <iogate/domain.h>
#include <iogate/hw/virtio.h>

#include "points.h"

#define FUNCTION IOG_QTEST_BDF(0, 2, 0)
#define PAGE 4096u

static void interrupt(struct bench *bench)
{
	struct iog_virtio_stats stats;

	while (iog_virtio_interrupt(bench->driver))
		;
	iog_virtio_stats(bench->driver, &stats);
	JUDGE(!stats.broken && !stats.timeouts, "%s: the queues are well", bench->name);
}

static uint32_t config_read(void *ctx, uint32_t offset)
{
	const struct bench *bench = ctx;

	return iog_qtest_config_read(bench->qtest, FUNCTION, offset);
}

/* A machine, and where the device's registers are. */
static bool machine_start(struct bench *bench, const char *name, const char *device, uint32_t edus, uint32_t version_min, uint32_t version_max, struct iog_virtio_config *config)
{
	const char *const arguments[] = { "-device", device, NULL };
	const struct iog_qtest_config machine = { .arguments = arguments, .edus = edus, .version_min = version_min, .version_max = version_max };
	const struct iog_virtio_region *regions[4];
	uintptr_t *const registers[] = { &config->common, &config->notify, &config->isr, &config->device };
	struct iog_virtio_pci pci;
	iog_paddr_t bars[6] = { 0 };
	int error;

	*bench = (struct bench){ .name = name, .interrupt = interrupt, .device = IOG_QTEST_EDU(0) };
	bench->qtest = judge_start(&machine);
	if (!bench->qtest)
		return false;
	bench->platform = iog_qtest_platform(bench->qtest);
	error = iog_virtio_pci_find(config_read, bench, &pci);
	JUDGE(!error, "%s: its capabilities are found (%d)", name, error);
	if (error) {
		iog_qtest_destroy(bench->qtest);
		return false;
	}
	regions[0] = &pci.common;
	regions[1] = &pci.notify;
	regions[2] = &pci.isr;
	regions[3] = &pci.device;
	*config = (struct iog_virtio_config){ .platform = bench->platform, .notify_length = pci.notify.length, .notify_multiplier = pci.notify_multiplier,
					      .faults = { .fn = bench_fault, .ctx = bench, .per_device = 100000, .total = 100000 } };
	for (uint32_t n = 0; n < 4; n++) {
		if (!bars[regions[n]->bar])
			JUDGE(!iog_qtest_bar(bench->qtest, FUNCTION, regions[n]->bar, &bars[regions[n]->bar]), "%s: BAR %u", name, regions[n]->bar);
		*registers[n] = (uintptr_t)(bars[regions[n]->bar] + regions[n]->offset);
	}
	return true;
}

static struct iog_virtio *driver(struct bench *bench, const struct iog_virtio_config *config)
{
	struct iog_virtio *virtio = NULL;
	int error = iog_virtio_create(config, &virtio);

	JUDGE(!error, "%s: create (%d)", bench->name, error);
	bench->driver = virtio;
	bench->unit = virtio ? iog_virtio_unit(virtio) : NULL;
	return virtio;
}

static void end(struct bench *bench)
{
	struct iog_qtest_stats stats;

	JUDGE(!iog_virtio_disable(bench->driver), "%s: disables", bench->name);
	JUDGE(!iog_virtio_destroy(bench->driver), "%s: destroys", bench->name);
	iog_qtest_stats(bench->qtest, &stats);
	JUDGE(!stats.memory_bytes, "%s: all memory is back (%llu)", bench->name, (unsigned long long)stats.memory_bytes);
	JUDGE(!iog_qtest_error(bench->qtest), "%s: QEMU is well: %s", bench->name, iog_qtest_error(bench->qtest));
	iog_qtest_destroy(bench->qtest);
}

struct shape {
	const char *name;
	const struct iog_pgtable_ops *ops;
	uint32_t ias, oas;
	iog_iova_t high;
};

/* Any format will do, as long as its permissions are those of the device. */
static const struct shape shapes[] = {
	{ "vtdss", &iog_vtdss_counted, 48, 48, UINT64_C(0x7fffc0000000) },
	{ "x86_64", &iog_x86_64_counted, 48, 52, UINT64_C(0x7fffc0000000) },
	{ "amdv1", &iog_amdv1_counted, 64, 52, UINT64_C(0xffffffff40000000) },
	{ "arm_s2_4k", &iog_arm_s2_4k_counted, 48, 48, UINT64_C(0x7fffc0000000) },
	{ "vtdss, rwlock", &iog_vtdss_rwlock, 48, 48, UINT64_C(0x7fffc0000000) },
};

static void points(const char *device, uint32_t version_min, uint32_t version_max)
{
	struct iog_virtio_config config;
	struct bench bench;
	struct iog_virtio *virtio;
	struct iog_virtio_info info;
	const struct iog_fault *fault;
	char name[128];

	snprintf(name, sizeof(name), "QEMU %u", version_min);
	if (!machine_start(&bench, name, device, 1, version_min, version_max, &config))
		return;
	point_off(&bench);
	virtio = driver(&bench, &config);
	if (!virtio)
		return;
	iog_virtio_info(virtio, &info);
	printf("%s: QEMU %u, features 0x%llx, page sizes 0x%llx, input 0x%llx to 0x%llx, %u domains, probe %u, bypass %d\n", name, iog_qtest_version(bench.qtest),
	       (unsigned long long)info.features, (unsigned long long)info.page_sizes, (unsigned long long)info.input_first, (unsigned long long)info.input_last, info.domains,
	       info.probe_bytes, info.bypass_found);
	point_off(&bench);
	JUDGE(!iog_virtio_enable(virtio), "%s: enables", name);
	bench_hush(&bench);
	bench_write(&bench, 0x200000, 8);
	fault = bench_first_fault(&bench);
	/* The model tells of one that was never attached that it does not know why. */
	JUDGE(fault->text && fault->device == bench.device && fault->code <= 1 && fault->iova == 0x200000,
	      "%s: 5: a device that is in no domain is refused (reason %d, code %u)", name, fault->reason, fault->code);
	for (size_t n = 0; n < sizeof(shapes) / sizeof(shapes[0]); n++) {
		/* A blocked device is in a domain of its own, with nothing in it. */
		struct points points = { .code_absent = 2, .code_readonly = 2, .code_no_device = 2, .writes_untold = true, .absent_untold = true, .empty_no_device = true, .high = shapes[n].high };
		char what[160];

		snprintf(what, sizeof(what), "%s, %s", name, shapes[n].name);
		bench.name = what;
		bench_hush(&bench);
		if (bench_domain(&bench, 7 + (uint32_t)n, shapes[n].ops, shapes[n].ias, shapes[n].oas)) {
			JUDGE(!bench_set(&bench, IOG_DOMAIN_PAGING), "%s: attaches", what);
			points_all(&bench, &points, true);
			JUDGE(!bench_set(&bench, IOG_DOMAIN_BLOCKED), "%s: detaches", what);
			bench_domain_end(&bench);
		}
		bench.name = name;
	}
	bench_hush(&bench);
	JUDGE(!iog_virtio_disable(virtio), "%s: disables", name);
	point_off(&bench);
	end(&bench);
}

/* A former kernel's driver has left the unit on; another one takes it over, and nothing of the first is in force. */
static void hand_over(const char *device, uint32_t version_min, uint32_t version_max)
{
	struct iog_virtio_config config;
	struct bench bench, former;
	struct iog_virtio_info info;
	char name[128];
	uint8_t *page;

	snprintf(name, sizeof(name), "QEMU %u, hand-over", version_min);
	if (!machine_start(&former, name, device, 1, version_min, version_max, &config))
		return;
	page = former.platform->pages_alloc(former.platform->ctx, 4096);
	JUDGE(driver(&former, &config) && !iog_virtio_enable(former.driver), "%s: enables", name);
	if (!bench_domain(&former, 9, &iog_vtdss_counted, 39, 48))
		return;
	JUDGE(!bench_set(&former, IOG_DOMAIN_PAGING) && !bench_map(&former, 0x5000, bench_paddr(&former, page), 4096, RW), "%s: maps", name);
	memset(page, 0xee, 4096);
	bench_write(&former, 0x5000, 8);
	JUDGE(page[0] != 0xee, "%s: the former owner's mapping is in force", name);

	bench = former;
	config.faults.ctx = &bench;
	JUDGE(driver(&bench, &config) && !iog_virtio_enable(bench.driver), "%s: takes over", name);
	iog_virtio_info(bench.driver, &info);
	JUDGE(info.was_enabled && !info.bypass_found, "%s: it was on", name);
	memset(page, 0xee, 4096);
	bench_hush(&bench);
	/* Newer models keep attachments over a reset: they end when the device is known. */
	if (version_min >= 10)
		JUDGE(!bench_set(&bench, IOG_DOMAIN_BLOCKED), "%s: blocks", name);
	bench_write(&bench, 0x5000, 8);
	JUDGE(page[0] == 0xee && bench_first_fault(&bench)->text, "%s: the former owner's mapping is gone", name);
	bench_write(&bench, bench_paddr(&bench, page), 8);
	JUDGE(page[0] == 0xee, "%s: and nothing else passes", name);
	if (bench_domain(&bench, 9, &iog_vtdss_counted, 39, 48)) {
		JUDGE(!bench_set(&bench, IOG_DOMAIN_PAGING), "%s: attaches", name);
		bench_write(&bench, 0x5000, 8);
		JUDGE(page[0] == 0xee, "%s: the same number has nothing of his", name);
		JUDGE(!bench_map(&bench, 0x5000, bench_paddr(&bench, page), 4096, RW), "%s: maps", name);
		bench_write(&bench, 0x5000, 8);
		JUDGE(page[0] != 0xee, "%s: the new owner's mapping is in force", name);
		JUDGE(!iog_virtio_suspend(bench.driver), "%s: suspends", name);
		memset(page, 0xee, 4096);
		bench_write(&bench, 0x5000, 8);
		bench_write(&bench, bench_paddr(&bench, page), 8);
		JUDGE(page[0] == 0xee, "%s: suspended, nothing passes", name);
		JUDGE(!iog_virtio_resume(bench.driver), "%s: resumes", name);
		bench_write(&bench, 0x5000, 8);
		JUDGE(page[0] != 0xee, "%s: resumed, everything is as it was", name);
		JUDGE(!bench_set(&bench, IOG_DOMAIN_BLOCKED), "%s: blocks", name);
		bench_domain_end(&bench);
	}
	JUDGE(!iog_virtio_disable(bench.driver) && !iog_virtio_destroy(bench.driver), "%s: ends", name);
	JUDGE(!iog_virtio_disable(former.driver), "%s: ends the former", name);
	(void)former.unit->ops->device_set(former.unit, former.device, IOG_DOMAIN_BLOCKED, 0);
	bench_domain_end(&former);
	former.platform->pages_free(former.platform->ctx, page, 4096);
	end(&former);
}

struct regions {
	uint32_t n;
	struct iog_found_reserved last;
};

static int region(void *ctx, const struct iog_found *found)
{
	struct regions *regions = ctx;

	regions->n++;
	regions->last = found->reserved;
	return 0;
}

/* What the device says of endpoints, what it refuses, and a device that goes from one domain to others and back. */
static void particular(const char *device, uint32_t version_min, uint32_t version_max)
{
	const struct iog_pgtable_ops *const ops[] = { &iog_vtdss_counted, &iog_x86_64_counted };
	struct regions regions = { 0 };
	struct iog_virtio_config config;
	struct iog_virtio_stats stats;
	struct bench bench, domains[2];
	struct iog_virtio *virtio;
	uint8_t *pages[2];
	char name[128];

	snprintf(name, sizeof(name), "QEMU %u, particular", version_min);
	if (!machine_start(&bench, name, device, 2, version_min, version_max, &config))
		return;
	virtio = driver(&bench, &config);
	if (!virtio)
		return;
	JUDGE(!iog_virtio_enable(virtio), "%s: enables", name);
	/* The machine's own: messages of interrupts. */
	JUDGE(!iog_virtio_reserved(virtio, bench.device, region, &regions) && regions.n == 1 && regions.last.first == 0xfee00000 && regions.last.last == 0xfeefffff &&
		      regions.last.flags == (IOG_RESERVED_UNUSABLE | IOG_RESERVED_INTERRUPTS),
	      "%s: the reserved region is told (%u, 0x%llx)", name, regions.n, (unsigned long long)regions.last.first);
	JUDGE(iog_virtio_reserved(virtio, 0x1234, region, &regions) == -IOG_ENOENT, "%s: nothing is told of a device that is not there", name);
	JUDGE(bench.unit->ops->device_set(bench.unit, 0x1234, IOG_DOMAIN_BLOCKED, 0) == -IOG_ENOENT, "%s: nor is it blocked", name);

	for (uint32_t n = 0; n < 2; n++) {
		domains[n] = bench;
		pages[n] = bench.platform->pages_alloc(bench.platform->ctx, 4096);
		if (!bench_domain(&domains[n], 3 + n, ops[n], n ? 48 : 39, 48))
			return;
		JUDGE(!bench_map(&domains[n], 0x5000, bench_paddr(&bench, pages[n]), 4096, RW), "%s: maps before there is a device", name);
	}
	for (uint32_t n = 0; n < 6; n++) {
		memset(pages[0], 0xee, 4096);
		memset(pages[1], 0xee, 4096);
		JUDGE(!bench_set(&domains[n & 1], IOG_DOMAIN_PAGING), "%s: replaces", name);
		bench_write(&bench, 0x5000, 8);
		JUDGE(pages[n & 1][0] != 0xee && pages[~n & 1][0] == 0xee, "%s: the new domain's mapping is in force, and the old one's is not", name);
		if (n == 3) {
			JUDGE(!bench_set(&bench, IOG_DOMAIN_IDENTITY), "%s: identity", name);
			memset(pages[0], 0xee, 4096);
			bench_write(&bench, bench_paddr(&bench, pages[0]), 8);
			JUDGE(pages[0][0] != 0xee, "%s: untranslated", name);
		}
	}
	/* Two devices in one domain; the first leaves. */
	JUDGE(!bench.unit->ops->device_set(bench.unit, IOG_QTEST_EDU(1), IOG_DOMAIN_PAGING, domains[1].id) && !bench_set(&bench, IOG_DOMAIN_BLOCKED), "%s: two", name);
	memset(pages[1], 0xee, 4096);
	bench_write(&bench, 0x5000, 8);
	JUDGE(pages[1][0] == 0xee, "%s: the one that left reaches nothing", name);
	(void)iog_qtest_edu_dma(bench.qtest, 1, IOG_QTEST_TO_MEMORY, 0x5000, 0, 8);
	JUDGE(pages[1][0] != 0xee, "%s: the other does", name);
	JUDGE(!bench.unit->ops->device_set(bench.unit, IOG_QTEST_EDU(1), IOG_DOMAIN_BLOCKED, 0), "%s: blocks", name);
	iog_virtio_stats(virtio, &stats);
	JUDGE(!stats.timeouts && !stats.broken, "%s: the queues are well", name);
	for (uint32_t n = 0; n < 2; n++) {
		bench_domain_end(&domains[n]);
		bench.platform->pages_free(bench.platform->ctx, pages[n], 4096);
	}
	end(&bench);
}

/* One that translates 39 bits: page tables of more are refused. */
static void narrow(void)
{
	struct iog_virtio_config config;
	struct iog_pgtable_root root;
	struct bench bench;
	struct iog_virtio *virtio;
	struct iog_virtio_info info;

	if (!machine_start(&bench, "QEMU 10, 39 bits", "virtio-iommu-pci,addr=2", 1, 10, 0, &config))
		return;
	virtio = driver(&bench, &config);
	if (!virtio)
		return;
	iog_virtio_info(virtio, &info);
	JUDGE(info.input_last == (UINT64_C(1) << 39) - 1 && bench.unit->ias == 39, "%s: says so", bench.name);
	JUDGE(!iog_virtio_enable(virtio), "%s: enables", bench.name);
	if (bench_domain(&bench, 3, &iog_vtdss_counted, 39, 48)) {
		iog_pgtable_root(bench.pgtable, &root);
		root.ias = 48;
		JUDGE(bench.unit->ops->domain_add(bench.unit, 4, &root) == -IOG_EOPNOTSUPP, "%s: 48 bits are refused", bench.name);
		bench_domain_end(&bench);
	}
	end(&bench);
}

static uint32_t take(struct bench *bench)
{
	return iog_virtio_interrupt(bench->driver);
}

/* A device that floods the unit: bounded, and the other one is heard. The model drops what it has no buffer for, and does not say so. */
static void floods(const char *device, uint32_t version_min, uint32_t version_max)
{
	struct iog_virtio_config config;
	struct iog_fault_counts counts;
	struct bench bench;
	bool other = false;
	char name[128];
	uint32_t bound;

	snprintf(name, sizeof(name), "QEMU %u, flood", version_min);
	if (!machine_start(&bench, name, device, 2, version_min, version_max, &config))
		return;
	config.event_entries = 32;
	config.faults = (struct iog_fault_config){ .fn = bench_fault, .ctx = &bench, .per_device = 4, .total = 6, .interval_ms = 600000 };
	if (!driver(&bench, &config))
		return;
	JUDGE(!iog_virtio_enable(bench.driver) && !bench_set(&bench, IOG_DOMAIN_BLOCKED), "%s: enables", name);
	for (uint32_t n = 0; n < 4; n++)
		bench_read(&bench, 0x10000, 1024);
	bound = take(&bench);
	JUDGE(bound && bound <= 32, "%s: one call takes no more than the queue holds (%u)", name, bound);
	while (take(&bench))
		;
	JUDGE(bench.nr_faults == 4, "%s: one device is told of as often as it may be (%u)", name, bench.nr_faults);
	(void)iog_qtest_edu_dma(bench.qtest, 1, IOG_QTEST_TO_MEMORY, 0x20000, 0, 8);
	while (take(&bench))
		;
	for (uint32_t n = 0; n < bench.nr_faults && n < BENCH_FAULTS; n++)
		other |= bench.faults[n].device == IOG_QTEST_EDU(1) && bench.faults[n].iova == 0x20000;
	JUDGE(other, "%s: the other device is heard", name);
	iog_virtio_device_faults(bench.driver, IOG_QTEST_EDU(0), &counts);
	JUDGE(counts.seen >= 32 && counts.untold == counts.seen - 4, "%s: what was not told is counted", name);
	end(&bench);
}

static void released(void *ctx, iog_paddr_t paddr, uint64_t size)
{
	(void)ctx;
	(void)paddr;
	(void)size;
}

/* The DMA API over the unit, in each mode: what was unmapped is reached until it is flushed, and not after; and what it costs. */
static void dma_api(const char *device, uint32_t version_min, uint32_t version_max, enum iog_inval_mode mode, const struct iog_policy *policy)
{
	static const struct iog_hold_ops hold = { .release = released };
	static const char *const modes[] = { [IOG_INVAL_STRICT] = "strict", [IOG_INVAL_DEFERRED] = "deferred", [IOG_INVAL_HELD] = "held" };
	struct iog_virtio_stats before, after;
	struct iog_virtio_config config;
	struct iog_tablemem *tables = NULL;
	struct iog_domain *domain = NULL;
	struct iog_device *edu = NULL;
	struct iog_sg sg[64];
	struct bench bench;
	uint64_t size = 128 * 4096;
	uint8_t *buffer;
	iog_iova_t iova;
	char name[128];

	snprintf(name, sizeof(name), "QEMU %u, DMA API, %s", version_min, modes[mode]);
	if (!machine_start(&bench, name, device, 1, version_min, version_max, &config))
		return;
	if (!driver(&bench, &config))
		return;
	JUDGE(!iog_virtio_enable(bench.driver), "%s: enables", name);
	buffer = bench.platform->pages_alloc(bench.platform->ctx, size);
	JUDGE(!iog_tablemem_create(bench.platform, NULL, &tables) &&
		      !iog_domain_create(&(struct iog_domain_config){ .platform = bench.platform, .policy = policy, .mode = mode, .hold = mode == IOG_INVAL_HELD ? &hold : NULL,
								      .pgtable = { .ops = &iog_x86_64_counted, .tablemem = tables, .flags = bench.unit->pgtable_flags } },
					 &domain) &&
		      !iog_device_create(&(struct iog_device_config){ .platform = bench.platform, .unit = bench.unit, .id = bench.device }, &edu) &&
		      !iog_domain_attach(domain, edu),
	      "%s: a domain", name);
	if (!edu)
		return;
	for (uint32_t pages = 1; pages <= 64; pages *= 64) {
		memset(buffer, 0xee, size);
		iog_virtio_stats(bench.driver, &before);
		JUDGE(!iog_dma_map(edu, 0, bench_paddr(&bench, buffer), pages * 4096, IOG_DMA_FROM_DEVICE, 0, &iova), "%s: maps", name);
		iog_virtio_stats(bench.driver, &after);
		printf("%s: map of %u pages: %llu requests, %llu doorbells, %llu register reads", name, pages, (unsigned long long)(after.requests - before.requests),
		       (unsigned long long)(after.doorbells - before.doorbells), (unsigned long long)(after.mmio_reads - before.mmio_reads));
		JUDGE(after.requests - before.requests == pages && after.doorbells - before.doorbells == 1, "%s: a request per page, one doorbell", name);
		bench_write(&bench, iova + (pages - 1) * 4096, 64);
		JUDGE(buffer[(pages - 1) * 4096] != 0xee, "%s: mapped memory is reached", name);
		memset(buffer, 0xee, size);
		iog_virtio_stats(bench.driver, &before);
		JUDGE(!iog_dma_unmap(edu, 0, iova, pages * 4096, IOG_DMA_FROM_DEVICE, 0), "%s: unmaps", name);
		iog_virtio_stats(bench.driver, &after);
		printf("; unmap %llu, %llu, %llu\n", (unsigned long long)(after.requests - before.requests), (unsigned long long)(after.doorbells - before.doorbells),
		       (unsigned long long)(after.mmio_reads - before.mmio_reads));
		bench_write(&bench, iova, 64);
		if (mode == IOG_INVAL_STRICT) {
			JUDGE(after.requests - before.requests == 1 && after.doorbells - before.doorbells == 1, "%s: one request", name);
			JUDGE(buffer[0] == 0xee, "%s: unmapped memory is not reached", name);
		} else {
			JUDGE(after.requests == before.requests && buffer[0] != 0xee, "%s: unmapped memory is still reached", name);
			memset(buffer, 0xee, size);
			JUDGE(!iog_domain_flush(domain, 0), "%s: flushes", name);
			bench_write(&bench, iova, 64);
			JUDGE(buffer[0] == 0xee, "%s: and not after the flush", name);
		}
	}
	for (uint32_t n = 0; n < 64; n++)
		sg[n] = (struct iog_sg){ .paddr = bench_paddr(&bench, buffer) + 2 * n * 4096, .size = 4096 };
	iog_virtio_stats(bench.driver, &before);
	JUDGE(!iog_dma_map_sg(edu, 0, sg, 64, IOG_DMA_FROM_DEVICE, 0, &iova, &(uint32_t){ 0 }), "%s: maps a list", name);
	iog_virtio_stats(bench.driver, &after);
	JUDGE(after.requests - before.requests == 64 && (policy != &iog_policy_window || after.doorbells - before.doorbells == 1), "%s: a list in one go", name);
	printf("%s: list of 64 pages: %llu requests, %llu doorbells", name, (unsigned long long)(after.requests - before.requests), (unsigned long long)(after.doorbells - before.doorbells));
	memset(buffer, 0xee, size);
	bench_write(&bench, iova + 63 * 4096, 64);
	JUDGE(buffer[126 * 4096] != 0xee, "%s: the end of the list is reached", name);
	iog_virtio_stats(bench.driver, &before);
	JUDGE(!iog_dma_unmap_sg(edu, 0, sg, 64, IOG_DMA_FROM_DEVICE, 0), "%s: unmaps it", name);
	JUDGE(!iog_domain_flush(domain, 0), "%s: flushes", name);
	iog_virtio_stats(bench.driver, &after);
	printf("; back %llu, %llu\n", (unsigned long long)(after.requests - before.requests), (unsigned long long)(after.doorbells - before.doorbells));
	memset(buffer, 0xee, size);
	bench_write(&bench, iova + 63 * 4096, 64);
	JUDGE(buffer[126 * 4096] == 0xee, "%s: it is not reached any more", name);
	for (uint32_t n = 0; n < 200; n++) {
		memset(buffer, 0xee, 4096);
		JUDGE(!iog_dma_map(edu, 0, bench_paddr(&bench, buffer), 4096, IOG_DMA_FROM_DEVICE, 0, &iova), "%s: maps", name);
		bench_write(&bench, iova, 8);
		JUDGE(buffer[0] != 0xee, "%s: reached", name);
		JUDGE(!iog_dma_unmap(edu, 0, iova, 4096, IOG_DMA_FROM_DEVICE, 0) && !iog_domain_trim(domain, 0) && !iog_domain_flush(domain, 0), "%s: unmaps, and its table goes", name);
		memset(buffer, 0xee, 4096);
		bench_write(&bench, iova, 8);
		JUDGE(buffer[0] == 0xee, "%s: not reached", name);
	}
	JUDGE(!iog_device_destroy(edu) && !iog_domain_destroy(domain) && !iog_tablemem_destroy(tables), "%s: ends", name);
	bench.platform->pages_free(bench.platform->ctx, buffer, size);
	end(&bench);
}

int main(void)
{
	static const struct {
		const char *device;
		uint32_t version_min, version_max;
	} models[] = {
		{ "virtio-iommu-pci,addr=2", 7, 7 },
		/* Its default is 39 bits of address. */
		{ "virtio-iommu-pci,addr=2,aw-bits=64", 10, 0 },
	};

	for (uint32_t n = 0; n < 2; n++) {
		points(models[n].device, models[n].version_min, models[n].version_max);
		hand_over(models[n].device, models[n].version_min, models[n].version_max);
		particular(models[n].device, models[n].version_min, models[n].version_max);
		floods(models[n].device, models[n].version_min, models[n].version_max);
		dma_api(models[n].device, models[n].version_min, models[n].version_max, IOG_INVAL_STRICT, &iog_policy_window);
		dma_api(models[n].device, models[n].version_min, models[n].version_max, IOG_INVAL_DEFERRED, &iog_policy_window);
		dma_api(models[n].device, models[n].version_min, models[n].version_max, IOG_INVAL_HELD, &iog_policy_tree);
	}
	narrow();
	return judge_end();
}

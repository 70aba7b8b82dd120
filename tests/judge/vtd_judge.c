/* SPDX-License-Identifier: MIT */
/*
 * The VT-d driver against QEMU's intel-iommu: each way of using the unit, on each QEMU that is there.
 *
 * Points are numbered as they are reported: 1 off, 2 translated, 3 remapped, 4 unmapped, 5 refused, 6 first stage, 7 tables reclaimed. Every one that invalidation decides has its negative
 * control: the same steps without the invalidation must show what the device remembers.
 */
#include <stdint.h>

#include <iogate/fault.h>
#include <iogate/hw/vtd.h>

#define REGISTERS 0xfed90000
#define DEVICE IOG_VTD_DEVICE(0, 0, 3, 0)
#define OTHER IOG_VTD_DEVICE(0, 0, 4, 0)

/* A way of using the unit. */
struct way {
	const char *name;
	const char *device; /* argument of QEMU */
	uint32_t version_min, version_max;
	uint32_t flags;
	bool first_stage;
	/* For what is absent the model gives the codes of legacy mode in scalable mode, too. */
	uint32_t read_code, write_code, no_root_code, no_device_code, not_permitted_code;
};

static const struct way ways[] = {
	{ "legacy, QEMU 7", "intel-iommu,aw-bits=48", 7, 7, 0, false, 6, 5, 1, 2, 5 },
	{ "legacy by registers, QEMU 7", "intel-iommu,aw-bits=48", 7, 7, IOG_VTD_NO_QUEUE, false, 6, 5, 1, 2, 5 },
	{ "legacy with caching mode, QEMU 7", "intel-iommu,aw-bits=48,caching-mode=on", 7, 7, 0, false, 6, 5, 1, 2, 5 },
	{ "scalable, second stage, QEMU 7", "intel-iommu,aw-bits=48,x-scalable-mode=on", 7, 7, IOG_VTD_SCALABLE, false, 6, 5, 1, 2, 5 },
	{ "legacy, QEMU 10", "intel-iommu,aw-bits=48", 10, 0, 0, false, 6, 5, 1, 2, 5 },
	{ "legacy by registers, QEMU 10", "intel-iommu,aw-bits=48", 10, 0, IOG_VTD_NO_QUEUE, false, 6, 5, 1, 2, 5 },
	{ "legacy with caching mode, QEMU 10", "intel-iommu,aw-bits=48,caching-mode=on", 10, 0, 0, false, 6, 5, 1, 2, 5 },
	{ "scalable, second stage, QEMU 10", "intel-iommu,aw-bits=48,x-scalable-mode=on", 10, 0, IOG_VTD_SCALABLE, false, 6, 5, 1, 2, 5 },
	{ "scalable, first stage, QEMU 10", "intel-iommu,aw-bits=48,x-scalable-mode=on,x-flts=on", 10, 0, IOG_VTD_SCALABLE, true, 0x71, 0x71, 1, 2, 0x85 },
};

#define BED_OWN                              \
	struct iog_vtd *vtd;                   \
	bool caching_mode;                     \
	struct iog_fault fault; /* the last */ \
	uint64_t faults;
#include "x86_bed.h"

static void faulted(void *ctx, struct iog_unit *unit, const struct iog_fault *fault)
{
	struct bed *bed = ctx;

	(void)unit;
	bed->fault = *fault;
	bed->faults++;
}

static uint64_t faults_now(struct bed *bed)
{
	struct iog_vtd_stats stats;

	while (iog_vtd_interrupt(bed->vtd) == 64)
		;
	iog_vtd_stats(bed->vtd, &stats);
	return stats.faults.seen;
}

static bool bed_create(struct bed *bed, const struct way *way)
{
	struct iog_vtd_config config = { .registers = REGISTERS, .flags = way->flags, .faults = { .fn = faulted, .ctx = bed, .per_device = 1000, .total = 1000 } };
	struct iog_vtd_info info;
	int error;

	if (!bed_start(bed, way))
		return false;
	config.platform = bed->platform;
	error = iog_vtd_create(&config, &bed->vtd);
	CLAIM(0, !error, "driver: %s", iog_strerror(error));
	if (error)
		return false;
	iog_vtd_info(bed->vtd, &info);
	bed->caching_mode = info.caching_mode;
	bed->unit = iog_vtd_unit(bed->vtd);
	return bed_tables(bed, (struct iog_pgtable_config){ .ops = way->first_stage ? &iog_x86_64_counted : &iog_vtdss_counted, .ias = 48, .trim_batch = 1,
							   .page_sizes = way->first_stage ? info.page_sizes_first : info.page_sizes_second });
}

static void bed_destroy(struct bed *bed)
{
	bed_tables_end(bed);
	if (bed->vtd)
		CLAIM(0, !iog_vtd_destroy(bed->vtd), "driver goes");
	bed_stop(bed);
}

static void expect_fault(struct bed *bed, int point, uint64_t before, uint64_t iova, uint32_t access, uint32_t code, const char *what)
{
	uint64_t now = faults_now(bed);
	enum iog_fault_reason reason = code == bed->way->no_device_code || code == bed->way->no_root_code ? IOG_FAULT_REASON_NO_DEVICE :
				       code == 0x71			? IOG_FAULT_REASON_NOT_PRESENT :
									  IOG_FAULT_REASON_PERMISSION;

	CLAIM(point, now > before, "%s: a fault is recorded", what);
	CLAIM(point, bed->fault.device == DEVICE, "%s: of device 0x%x", what, bed->fault.device);
	/* QEMU 7 tells the PASID by which requests without one are translated. */
	CLAIM(point, bed->fault.pasid == IOG_PASID_NONE || (bed->way->flags & IOG_VTD_SCALABLE && !bed->fault.pasid), "%s: PASID 0x%x", what, bed->fault.pasid);
	CLAIM(point, bed->fault.iova == (iova & ~UINT64_C(0xfff)), "%s: at 0x%" PRIx64, what, bed->fault.iova);
	CLAIM(point, (bed->fault.access & RW) == access, "%s: access 0x%x", what, bed->fault.access);
	CLAIM(point, bed->fault.code == code && bed->fault.reason == reason, "%s: reason 0x%x, %s", what, bed->fault.code, bed->fault.text);
}

/* 4 */
static void point_unmapped(struct bed *bed, uint64_t base, uint64_t size)
{
	uint64_t x = base, y = base + 2 * SIZE_2M, before;

	paint(bed->a, 30);
	paint(bed->b, 100);
	map(bed, x, bed->a, size, RW);
	map(bed, y, bed->b, size, RW);
	CLAIM(4, device_copies(bed, x, y) && painted(bed->b, 30), "mapped");
	before = faults_now(bed);
	unmap(bed, y, size);
	paint(bed->b, 100);
	CLAIM(4, device_writes(bed, y) && painted(bed->b, 30) && faults_now(bed) == before, "control: without invalidation the device still writes");
	forget(bed);
	paint(bed->b, 100);
	CLAIM(4, device_writes(bed, y) && painted(bed->b, 100), "memory is untouched");
	expect_fault(bed, 4, before, y, IOG_PROT_WRITE, bed->way->write_code, "write");

	unmap(bed, x, size);
	forget(bed);
	before = faults_now(bed);
	CLAIM(4, device_reads(bed, x), "read");
	expect_fault(bed, 4, before, x, IOG_PROT_READ, bed->way->read_code, "read");
}

/* 5 */
static void point_refused(struct bed *bed)
{
	uint64_t before;

	paint(bed->a, 40);
	map(bed, LOW, bed->a, PAGE, IOG_PROT_READ);
	map(bed, LOW + PAGE, bed->b, PAGE, RW);
	map(bed, LOW + 2 * PAGE, bed->a, PAGE, IOG_PROT_READ);
	CLAIM(5, device_copies(bed, LOW, LOW + PAGE) && painted(bed->b, 40), "read-only can be read");
	paint(bed->a, 50);
	CLAIM(5, device_writes(bed, LOW) && painted(bed->a, 50), "read-only is not written");
	/* The model records what it finds when it walks, and nothing where it remembers the page. */
	before = faults_now(bed);
	CLAIM(5, device_writes(bed, LOW + 2 * PAGE) && painted(bed->a, 50), "read-only is not written, at first");
	expect_fault(bed, 5, before, LOW + 2 * PAGE, IOG_PROT_WRITE, bed->way->not_permitted_code, "read-only");

	/* Blocked: whatever is mapped. */
	CLAIM(5, !bed->unit->ops->device_set(bed->unit, DEVICE, IOG_DOMAIN_BLOCKED, 0), "block");
	before = faults_now(bed);
	paint(bed->b, 60);
	CLAIM(5, device_writes(bed, LOW + PAGE) && painted(bed->b, 60), "blocked: memory is untouched");
	expect_fault(bed, 5, before, LOW + PAGE, IOG_PROT_WRITE, bed->way->no_device_code, "blocked");
	CLAIM(5, !bed->unit->ops->device_set(bed->unit, DEVICE, IOG_DOMAIN_PAGING, ID), "back");
	CLAIM(5, device_copies(bed, LOW, LOW + PAGE) && painted(bed->b, 50), "back in its domain");
	unmap(bed, LOW, 3 * PAGE);
	forget(bed);
}

/* 6: a table entry without U/S refuses what is below it. */
static void point_first_stage(struct bed *bed)
{
	struct iog_pgtable_root root;
	uint64_t *table, before;

	iog_pgtable_root(bed->pgtable, &root);
	map(bed, HIGH, bed->a, PAGE, RW);
	paint(bed->a, 70);
	for (uint32_t level = 4; level--;) {
		table = iog_qtest_memory(bed->qtest, root.paddr, PAGE);
		for (uint32_t above = 3; above > level; above--)
			table = iog_qtest_memory(bed->qtest, table[HIGH >> (12 + 9 * above) & 511] & UINT64_C(0xffffffffff000), PAGE);
		table[HIGH >> (12 + 9 * level) & 511] &= ~UINT64_C(4);
		CLAIM(6, !bed->unit->ops->invalidate(bed->unit, ID, NULL), "invalidate");
		before = faults_now(bed);
		CLAIM(6, device_writes(bed, HIGH) && painted(bed->a, 70), "supervisor's at level %u: memory is untouched", level);
		expect_fault(bed, 6, before, HIGH, IOG_PROT_WRITE, 0x81, "supervisor's");
		table[HIGH >> (12 + 9 * level) & 511] |= 4;
		CLAIM(6, !bed->unit->ops->invalidate(bed->unit, ID, NULL), "invalidate");
	}
	unmap(bed, HIGH, PAGE);
	forget(bed);
}

/* All of the memory that is free says that every address leads to C: what a device finds there through a pointer that it has kept. */
static void *bait(struct bed *bed)
{
	uint64_t entry = bed->way->first_stage ? 0x67 : 0x3;
	uint64_t *page = bed->platform->pages_alloc(bed->platform->ctx, SIZE_2M);

	for (uint32_t n = 0; page && n < SIZE_2M / 8; n++)
		page[n] = paddr_of(bed, bed->c) | entry;
	return page;
}

/*
 * 7: a table that was emptied is unlinked, its memory reused for other data. The device never goes there.
 *
 * The control: QEMU's model has no walk caches, so it does not go there either when the invalidation that drops them is left out. The commands are asserted in tests/hw/vtd_test.c, and the simulated
 * unit has such caches, and finds that the device does.
 */
static void point_reclaimed(struct bed *bed, bool control)
{
	struct iog_pgtable_stats before, after;
	uint64_t faults;
	void *page;

	iog_pgtable_stats(bed->pgtable, &before);
	map(bed, HIGH, bed->a, PAGE, RW);
	paint(bed->c, 90);
	CLAIM(7, device_reads(bed, HIGH), "the table is used");
	unmap(bed, HIGH, PAGE);
	/* The page itself is forgotten in either case: what is left out is the tables'. */
	CLAIM(7, !bed->unit->ops->invalidate(bed->unit, ID, &(struct iog_gather){ .nr_ranges = 1, .ranges = { { HIGH, HIGH + PAGE - 1 } } }), "forget the page");
	bed->forgetful = control;
	CLAIM(7, !iog_pgtable_trim(bed->pgtable, &bed->gather, NULL), "trim");
	forget(bed);
	bed->forgetful = false;
	CLAIM(7, !iog_tablemem_trim(bed->tablemem, 0), "trim memory");
	iog_pgtable_stats(bed->pgtable, &after);
	CLAIM(7, after.released > before.released && after.table_bytes == PAGE, "tables have gone, %" PRIu64 " bytes are left", after.table_bytes);
	page = bait(bed);
	faults = faults_now(bed);
	CLAIM(7, device_writes(bed, HIGH) && painted(bed->c, 90) && faults_now(bed) > faults, control ? "control: the model has no walk caches" :
													"the device does not walk what was a table");
	bed->platform->pages_free(bed->platform->ctx, page, SIZE_2M);
}

/* From one domain to another and back while the tables are in use; another device on the same bus keeps its own. */
static void replaced(struct bed *bed)
{
	struct iog_pgtable_config config = { .ops = bed->way->first_stage ? &iog_x86_64_counted : &iog_vtdss_counted, .tablemem = bed->tablemem, .ias = 48,
					     .flags = bed->unit->pgtable_flags };
	const struct iog_unit_ops *ops = bed->unit->ops;
	struct iog_pgtable_root root;
	struct iog_pgtable *second;
	struct iog_gather gather;
	int error;

	CLAIM(0, !iog_pgtable_create(&config, &second) && !iog_gather_init(&gather, second, 0, flush, bed), "second page table");
	iog_pgtable_root(second, &root);
	CLAIM(0, !ops->domain_add(bed->unit, ID + 1, &root), "second domain");
	CLAIM(0, !iog_pgtable_map(second, LOW, paddr_of(bed, bed->c), PAGE, RW, &gather), "map");
	map(bed, LOW, bed->a, PAGE, RW);
	CLAIM(0, !ops->device_set(bed->unit, OTHER, IOG_DOMAIN_PAGING, ID), "another device");
	for (uint32_t n = 0; n < 4; n++) {
		paint(bed->a, (uint8_t)(110 + n));
		paint(bed->c, (uint8_t)(120 + n));
		CLAIM(0, !ops->device_set(bed->unit, DEVICE, IOG_DOMAIN_PAGING, n % 2 ? ID : ID + 1), "replace");
		CLAIM(0, device_reads(bed, LOW) && device_writes(bed, LOW) && painted(n % 2 ? bed->a : bed->c, (uint8_t)((n % 2 ? 110 : 120) + n)), "replaced");
		paint(bed->a, 130);
		CLAIM(0, !iog_qtest_edu_dma(bed->qtest, 1, IOG_QTEST_FROM_MEMORY, LOW, 0, BYTES), "the other reads");
		paint(bed->a, 131);
		CLAIM(0, !iog_qtest_edu_dma(bed->qtest, 1, IOG_QTEST_TO_MEMORY, LOW, 0, BYTES) && painted(bed->a, 130), "the other is where it was");
	}
	error = ops->device_set(bed->unit, OTHER, IOG_DOMAIN_IDENTITY, 0);
	if (error != -IOG_EOPNOTSUPP) {
		paint(bed->b, 140);
		CLAIM(0, !error && !iog_qtest_edu_dma(bed->qtest, 1, IOG_QTEST_TO_MEMORY, paddr_of(bed, bed->b), 0, BYTES) && painted(bed->b, 130), "not translated");
	}
	CLAIM(0, !ops->device_set(bed->unit, OTHER, IOG_DOMAIN_BLOCKED, 0), "block the other");
	CLAIM(0, !ops->device_set(bed->unit, DEVICE, IOG_DOMAIN_PAGING, ID), "back");
	CLAIM(0, !ops->domain_remove(bed->unit, ID + 1), "second domain goes");
	iog_pgtable_destroy(second, 0);
	unmap(bed, LOW, PAGE);
	forget(bed);
}

/* A driver that comes to a unit which another has left on takes it over. */
static void handed_over(struct bed *bed)
{
	struct iog_vtd_config config = { .platform = bed->platform, .registers = REGISTERS, .flags = bed->way->flags, .faults = { .fn = faulted, .ctx = bed } };
	struct iog_vtd *next = NULL, *former = bed->vtd;
	struct iog_vtd_info info;
	struct iog_pgtable_root root;
	struct iog_unit *unit;
	uint64_t before;

	map(bed, LOW, bed->a, PAGE, RW);
	CLAIM(0, device_reads(bed, LOW), "the former owner's");
	CLAIM(0, !iog_vtd_create(&config, &next), "next owner");
	if (!next)
		return;
	unit = iog_vtd_unit(next);
	CLAIM(0, !iog_vtd_enable(next), "next owner takes over");
	iog_vtd_info(next, &info);
	CLAIM(0, info.was_enabled, "and says so");
	bed->vtd = next;
	before = faults_now(bed);
	paint(bed->a, 150);
	CLAIM(0, device_writes(bed, LOW) && painted(bed->a, 150), "what the former owner allowed is refused");
	expect_fault(bed, 0, before, LOW, IOG_PROT_WRITE, bed->way->no_root_code, "handed over");
	iog_pgtable_root(bed->pgtable, &root);
	CLAIM(0, !unit->ops->domain_add(unit, ID, &root) && !unit->ops->device_set(unit, DEVICE, IOG_DOMAIN_PAGING, ID), "attach");
	CLAIM(0, device_writes(bed, LOW) && !painted(bed->a, 150), "and allowed again");
	CLAIM(0, !unit->ops->device_set(unit, DEVICE, IOG_DOMAIN_BLOCKED, 0) && !unit->ops->domain_remove(unit, ID), "detach");
	CLAIM(0, !iog_vtd_disable(next) && !iog_vtd_destroy(next), "next owner goes");
	/* The first one, which knows nothing of all that, takes it back. */
	bed->vtd = former;
	CLAIM(0, !iog_vtd_disable(former) && !iog_vtd_enable(former), "the former owner again");
	CLAIM(0, device_writes(bed, LOW), "write");
	unmap(bed, LOW, PAGE);
	forget(bed);
}

/* As a driver of a device sees it: a domain of the library, the DMA API. */
static void by_the_api(struct bed *bed)
{
	struct iog_vtd_info info;
	struct iog_domain *domain = NULL;
	struct iog_device *device = NULL;
	iog_iova_t x = 0, y = 0;
	uint64_t before;
	int error;

	iog_vtd_info(bed->vtd, &info);
	/* Its own number behind the unit, and its own page table. */
	CLAIM(0, !bed->unit->ops->device_set(bed->unit, DEVICE, IOG_DOMAIN_BLOCKED, 0), "out of the other domain");
	error = iog_domain_create(&(struct iog_domain_config){ .platform = bed->platform,
							       .pgtable = { .ops = bed->way->first_stage ? &iog_x86_64_counted : &iog_vtdss_counted, .tablemem = bed->tablemem, .ias = 48,
									    .flags = bed->unit->pgtable_flags },
							       .last = (UINT64_C(1) << 47) - 1 }, &domain);
	if (!error)
		error = iog_device_create(&(struct iog_device_config){ .platform = bed->platform, .unit = bed->unit, .id = DEVICE }, &device);
	if (!error)
		error = iog_domain_attach(domain, device);
	CLAIM(0, !error, "domain and device: %s", iog_strerror(error));
	if (error)
		return;
	paint(bed->a + 100, 160);
	paint(bed->b + 200, 100);
	CLAIM(0, !iog_dma_map(device, 0, paddr_of(bed, bed->a) + 100, BYTES, IOG_DMA_TO_DEVICE, 0, &x), "map");
	CLAIM(0, !iog_dma_map(device, 0, paddr_of(bed, bed->b) + 200, BYTES, IOG_DMA_FROM_DEVICE, 0, &y), "map");
	CLAIM(0, device_copies(bed, x, y) && painted(bed->b + 200, 160), "the device copies");
	before = faults_now(bed);
	CLAIM(0, !iog_dma_unmap(device, 0, x, BYTES, IOG_DMA_TO_DEVICE, 0) && !iog_dma_unmap(device, 0, y, BYTES, IOG_DMA_FROM_DEVICE, 0), "unmap");
	paint(bed->b + 200, 100);
	CLAIM(0, device_writes(bed, y) && painted(bed->b + 200, 100), "memory is untouched after unmap");
	expect_fault(bed, 0, before, y, IOG_PROT_WRITE, bed->way->write_code, "after unmap");
	CLAIM(0, !iog_device_destroy(device) && !iog_domain_destroy(domain), "device and domain go");
	CLAIM(0, !bed->unit->ops->device_set(bed->unit, DEVICE, IOG_DOMAIN_PAGING, ID), "back in the other domain");
}

/* A device that floods the unit, which has one record: another is heard as soon as it is looked at again, the unit goes on, and the overflow is seen. */
static void flooded(struct bed *bed)
{
	struct iog_fault_counts counts;
	struct iog_vtd_stats stats;
	uint64_t before = faults_now(bed);

	iog_vtd_stats(bed->vtd, &stats);
	for (uint32_t n = 0; n < 8; n++)
		CLAIM(0, !iog_qtest_edu_dma(bed->qtest, 0, IOG_QTEST_TO_MEMORY, 0x5000000 + n * PAGE, 0, 1024), "flood");
	CLAIM(0, !iog_qtest_edu_dma(bed->qtest, 1, IOG_QTEST_TO_MEMORY, 0x6000000, 0, 4), "the other");
	CLAIM(0, faults_now(bed) > before, "a flood is seen");
	bed->faults = 0;
	CLAIM(0, !iog_qtest_edu_dma(bed->qtest, 1, IOG_QTEST_TO_MEMORY, 0x6000000, 0, 4) && faults_now(bed) && bed->fault.device == OTHER, "the other is heard");
	iog_vtd_device_faults(bed->vtd, OTHER, &counts);
	CLAIM(0, counts.seen > 0 && counts.seen == counts.told + counts.untold, "and counted");
	map(bed, LOW, bed->a, PAGE, RW);
	CLAIM(0, device_reads(bed, LOW) && device_writes(bed, LOW), "and the first works where it may");
	unmap(bed, LOW, PAGE);
	forget(bed);
}

/* Somebody else's descriptor, which the unit does not understand, stops the queue: the next caller sets it going and submits again. */
static void queue_upset(struct bed *bed)
{
	const struct iog_platform *platform = bed->platform;
	struct iog_vtd_stats before, after;
	uint32_t shift = bed->way->flags & IOG_VTD_SCALABLE ? 5 : 4;
	uint64_t tail, *slot;
	int error;

	if (bed->way->flags & IOG_VTD_NO_QUEUE)
		return;
	iog_vtd_stats(bed->vtd, &before);
	tail = platform->mmio_read64(platform->ctx, REGISTERS + 0x88);
	slot = iog_qtest_memory(bed->qtest, (platform->mmio_read64(platform->ctx, REGISTERS + 0x90) & ~UINT64_C(0xfff)) + tail, 32);
	slot[0] = 0xf;
	slot[1] = 0;
	platform->mmio_write64(platform->ctx, REGISTERS + 0x88, (tail + (UINT64_C(1) << shift)) & 0x1fff);
	CLAIM(0, platform->mmio_read32(platform->ctx, REGISTERS + 0x34) & 0x10, "the queue has stopped");
	error = bed->unit->ops->invalidate(bed->unit, ID, NULL);
	CLAIM(0, error == -IOG_EAGAIN, "the caller is told: %s", iog_strerror(error));
	CLAIM(0, !bed->unit->ops->invalidate(bed->unit, ID, NULL), "and it goes on");
	CLAIM(0, !(platform->mmio_read32(platform->ctx, REGISTERS + 0x34) & 0x70), "without an error");
	iog_vtd_stats(bed->vtd, &after);
	CLAIM(0, after.errors == before.errors + 1, "which was counted");
}

static void judge_way(const struct way *way)
{
	struct bed *bed = malloc(sizeof(*bed));
	struct iog_pgtable_root root;
	struct iog_vtd_stats stats;

	if (!bed_create(bed, way)) {
		bed_destroy(bed);
		free(bed);
		return;
	}
	point_off(bed, "at first");
	iog_pgtable_root(bed->pgtable, &root);
	CLAIM(0, !bed->unit->ops->domain_add(bed->unit, ID, &root), "domain");
	/* Before it is enabled, so that the device is never without. */
	CLAIM(0, !bed->unit->ops->device_set(bed->unit, DEVICE, IOG_DOMAIN_PAGING, ID), "device");
	CLAIM(0, !iog_vtd_enable(bed->vtd), "enable");
	for (uint32_t n = 0; n < 2; n++) {
		point_translated(bed, n ? HIGH : 0, PAGE);
		CLAIM(2, !faults_now(bed), "no fault");
		point_translated(bed, n ? HIGH : 0, SIZE_2M);
		CLAIM(2, !faults_now(bed), "no fault");
		point_remapped(bed, n ? HIGH : LOW, PAGE);
		point_remapped(bed, n ? HIGH : 4 * SIZE_2M, SIZE_2M);
	}
	point_unmapped(bed, LOW, PAGE);
	point_unmapped(bed, HIGH, PAGE);
	point_unmapped(bed, HIGH, SIZE_2M);
	point_refused(bed);
	if (way->first_stage)
		point_first_stage(bed);
	point_reclaimed(bed, false);
	point_reclaimed(bed, true);
	by_the_api(bed);
	flooded(bed);
	queue_upset(bed);
	replaced(bed);
	handed_over(bed);

	CLAIM(0, !bed->unit->ops->device_set(bed->unit, DEVICE, IOG_DOMAIN_BLOCKED, 0) && !bed->unit->ops->domain_remove(bed->unit, ID), "detach");
	iog_vtd_stats(bed->vtd, &stats);
	CLAIM(0, stats.errors == !(way->flags & IOG_VTD_NO_QUEUE) && !stats.timeouts, "the queue had no trouble but the one that it was given");
	CLAIM(0, iog_vtd_destroy(bed->vtd) == -IOG_EBUSY, "not destroyed while it is on");
	CLAIM(0, !iog_vtd_disable(bed->vtd), "disable");
	point_off(bed, "at the end");
	bed_destroy(bed);
	free(bed);
}

int main(void)
{
	for (uint32_t n = 0; n < sizeof(ways) / sizeof(ways[0]); n++)
		judge_way(&ways[n]);
	return judge_end();
}

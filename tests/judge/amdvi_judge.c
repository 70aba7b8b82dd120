/* SPDX-License-Identifier: MIT */
/*
 * The AMD-Vi driver against QEMU's amd-iommu, on each QEMU that is there.
 *
 * Points are numbered as they are reported: 1 off, 2 translated, 3 remapped, 4 unmapped, 5 refused, 7 tables reclaimed. Every one that invalidation decides has its negative control: the same steps without
 * the invalidation must show what the device remembers.
 *
 * The model logs no event for what it refuses, so that a refusal is judged by memory that is untouched; how events are decoded is asserted in amdvi_test.c. It has no walk caches, and
 * takes any invalidation of pages for one of the domain: commands are asserted there, too. It takes bit 8 of a domain id for a reserved one, so that ids end below 256 here.
 */
#include <stdint.h>

#include <iogate/hw/amdvi.h>

#define REGISTERS 0xfed80000
/* Where QEMU puts the unit's own function, and in it the capability block, as its IVRS table says. */
#define FUNCTION IOG_QTEST_BDF(0, 1, 0)
#define CAPABILITY 0x40
#define DEVICE IOG_AMDVI_DEVICE(0, 0, 3, 0)
#define OTHER IOG_AMDVI_DEVICE(0, 0, 4, 0)
#define SIZE_64K 0x10000
/* A leaf, at whatever level. */
#define LEAF (UINT64_C(1) | UINT64_C(3) << 61)

struct way {
	const char *name;
	const char *device; /* argument of QEMU */
	uint32_t version_min, version_max;
	uint32_t ias;
};

static const struct way ways[] = {
	{ "QEMU 7", "amd-iommu", 7, 7, 48 },
	{ "QEMU 7, six levels", "amd-iommu", 7, 7, 64 },
	{ "QEMU 10", "amd-iommu,pt=off", 10, 0, 48 },
};

#define BED_OWN            \
	struct iog_amdvi *amdvi; \
	uint32_t capability;
#include "x86_bed.h"

static struct iog_amdvi_config config_of(const struct bed *bed)
{
	return (struct iog_amdvi_config){ .platform = bed->platform, .registers = REGISTERS, .capability = bed->capability, .domain_ids = 200 };
}

static bool bed_create(struct bed *bed, const struct way *way)
{
	struct iog_amdvi_config config;
	struct iog_amdvi_info info;
	int error;

	if (!bed_start(bed, way))
		return false;
	bed->capability = iog_qtest_config_read(bed->qtest, FUNCTION, CAPABILITY);
	CLAIM(0, (bed->capability & 0xff) == 0x0f, "the unit's capability block, 0x%x", bed->capability);
	config = config_of(bed);
	error = iog_amdvi_create(&config, &bed->amdvi);
	CLAIM(0, !error, "driver: %s", iog_strerror(error));
	if (error)
		return false;
	iog_amdvi_info(bed->amdvi, &info);
	CLAIM(0, info.np_cache && info.levels_host == 6, "features 0x%" PRIx64, info.features);
	bed->unit = iog_amdvi_unit(bed->amdvi);
	return bed_tables(bed, (struct iog_pgtable_config){ .ops = &iog_amdv1_counted, .ias = way->ias });
}

static void bed_destroy(struct bed *bed)
{
	bed_tables_end(bed);
	if (bed->amdvi)
		CLAIM(0, !iog_amdvi_destroy(bed->amdvi), "driver goes");
	bed_stop(bed);
}

/* 4 */
static void point_unmapped(struct bed *bed, uint64_t base, uint64_t size)
{
	uint64_t x = base, y = base + 2 * SIZE_2M;

	paint(bed->a, 30);
	paint(bed->b, 100);
	map(bed, x, bed->a, size, RW);
	map(bed, y, bed->b, size, RW);
	CLAIM(4, device_copies(bed, x, y) && painted(bed->b, 30), "mapped");
	unmap(bed, y, size);
	paint(bed->b, 100);
	CLAIM(4, device_writes(bed, y) && painted(bed->b, 30), "control: without invalidation the device still writes");
	forget(bed);
	paint(bed->b, 100);
	CLAIM(4, device_writes(bed, y) && painted(bed->b, 100), "memory is untouched");

	/* A read that is refused brings something else than what is there. */
	map(bed, y, bed->b, size, RW);
	unmap(bed, x, size);
	forget(bed);
	CLAIM(4, device_copies(bed, x, y) && !painted(bed->b, 30), "what is not mapped is not read");
	unmap(bed, y, size);
	forget(bed);
}

/* 5 */
static void point_refused(struct bed *bed)
{
	paint(bed->a, 40);
	map(bed, LOW, bed->a, PAGE, IOG_PROT_READ);
	map(bed, LOW + PAGE, bed->b, PAGE, RW);
	CLAIM(5, device_copies(bed, LOW, LOW + PAGE) && painted(bed->b, 40), "read-only can be read");
	paint(bed->a, 50);
	CLAIM(5, device_writes(bed, LOW) && painted(bed->a, 50), "read-only is not written");
	map(bed, LOW + 2 * PAGE, bed->c, PAGE, IOG_PROT_WRITE);
	paint(bed->c, 70);
	CLAIM(5, device_copies(bed, LOW + 2 * PAGE, LOW + PAGE) && !painted(bed->b, 70), "write-only is not read");

	/* Blocked: whatever is mapped, and whatever the device has used before. */
	CLAIM(5, device_reads(bed, LOW), "read");
	CLAIM(5, !bed->unit->ops->device_set(bed->unit, DEVICE, IOG_DOMAIN_BLOCKED, 0), "block");
	paint(bed->b, 60);
	CLAIM(5, device_writes(bed, LOW + PAGE) && painted(bed->b, 60), "blocked: memory is untouched");
	CLAIM(5, !bed->unit->ops->device_set(bed->unit, DEVICE, IOG_DOMAIN_PAGING, ID), "back");
	CLAIM(5, device_copies(bed, LOW, LOW + PAGE) && painted(bed->b, 50), "back in its domain");
	CLAIM(5, !bed->unit->ops->device_block(bed->unit, DEVICE), "block in a hurry");
	paint(bed->b, 60);
	CLAIM(5, device_writes(bed, LOW + PAGE) && painted(bed->b, 60), "blocked again: memory is untouched");
	CLAIM(5, !bed->unit->ops->device_set(bed->unit, DEVICE, IOG_DOMAIN_PAGING, ID), "back again");
	unmap(bed, LOW, 3 * PAGE);
	forget(bed);
}

/*
 * 7: a table that was emptied is unlinked, its memory reused for other data, which looks like entries that lead to C. The device never goes there.
 *
 * The control: QEMU's model has no walk caches, so it does not go there either when the invalidation that drops them is left out. The commands are asserted in tests/hw/amdvi_test.c, and the simulated
 * unit has such caches, and finds that the device does.
 */
static void point_reclaimed(struct bed *bed, bool control)
{
	struct iog_pgtable_stats before, after;
	uint64_t *page;

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
	/* All of the memory that is free now says that every address leads to C. */
	page = bed->platform->pages_alloc(bed->platform->ctx, SIZE_2M);
	for (uint32_t n = 0; page && n < SIZE_2M / 8; n++)
		page[n] = paddr_of(bed, bed->c) | LEAF;
	CLAIM(7, page && device_writes(bed, HIGH) && painted(bed->c, 90), control ? "control: the model has no walk caches" : "the device does not walk what was a table");
	bed->platform->pages_free(bed->platform->ctx, page, SIZE_2M);
}

/* From one domain to another and back while the tables are in use; another device keeps its own. */
static void replaced(struct bed *bed)
{
	struct iog_pgtable_config config = { .ops = &iog_amdv1_counted, .tablemem = bed->tablemem, .ias = 39, .flags = bed->unit->pgtable_flags };
	const struct iog_unit_ops *ops = bed->unit->ops;
	struct iog_pgtable_root root;
	struct iog_pgtable *second;
	struct iog_gather gather;

	CLAIM(0, !iog_pgtable_create(&config, &second) && !iog_gather_init(&gather, second, 0, flush, bed), "second page table");
	iog_pgtable_root(second, &root);
	CLAIM(0, root.levels == 3 && !ops->domain_add(bed->unit, ID + 1, &root), "second domain, of three levels");
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
	CLAIM(0, !ops->device_set(bed->unit, OTHER, IOG_DOMAIN_IDENTITY, 0), "not translated");
	paint(bed->b, 140);
	CLAIM(0, !iog_qtest_edu_dma(bed->qtest, 1, IOG_QTEST_TO_MEMORY, paddr_of(bed, bed->b), 0, BYTES) && painted(bed->b, 130), "not translated: it reaches memory");
	CLAIM(0, !ops->device_set(bed->unit, OTHER, IOG_DOMAIN_BLOCKED, 0), "block the other");
	paint(bed->b, 140);
	CLAIM(0, !iog_qtest_edu_dma(bed->qtest, 1, IOG_QTEST_TO_MEMORY, paddr_of(bed, bed->b), 0, BYTES) && painted(bed->b, 140), "and no longer");
	CLAIM(0, !ops->device_set(bed->unit, DEVICE, IOG_DOMAIN_PAGING, ID), "back");
	CLAIM(0, !ops->domain_remove(bed->unit, ID + 1), "second domain goes");
	iog_pgtable_destroy(second, 0);
	unmap(bed, LOW, PAGE);
	forget(bed);
}

/* A driver that comes to a unit which another has left on takes it over. */
static void handed_over(struct bed *bed)
{
	struct iog_amdvi_config config = config_of(bed);
	struct iog_amdvi *next = NULL, *former = bed->amdvi;
	struct iog_amdvi_info info;
	struct iog_pgtable_root root;
	struct iog_unit *unit;

	map(bed, LOW, bed->a, PAGE, RW);
	CLAIM(0, device_reads(bed, LOW), "the former owner's");
	CLAIM(0, !iog_amdvi_create(&config, &next), "next owner");
	if (!next)
		return;
	unit = iog_amdvi_unit(next);
	CLAIM(0, !iog_amdvi_enable(next), "next owner takes over");
	iog_amdvi_info(next, &info);
	CLAIM(0, info.was_enabled, "and says so");
	paint(bed->a, 150);
	CLAIM(0, device_writes(bed, LOW) && painted(bed->a, 150), "what the former owner allowed is refused");
	iog_pgtable_root(bed->pgtable, &root);
	CLAIM(0, !unit->ops->domain_add(unit, ID, &root) && !unit->ops->device_set(unit, DEVICE, IOG_DOMAIN_PAGING, ID), "attach");
	CLAIM(0, device_writes(bed, LOW) && !painted(bed->a, 150), "and allowed again");
	CLAIM(0, !unit->ops->device_set(unit, DEVICE, IOG_DOMAIN_BLOCKED, 0) && !unit->ops->domain_remove(unit, ID), "detach");
	CLAIM(0, !iog_amdvi_disable(next) && !iog_amdvi_destroy(next), "next owner goes");
	/* The first one, which knows nothing of all that, takes it back. */
	CLAIM(0, !iog_amdvi_disable(former) && !iog_amdvi_enable(former), "the former owner again");
	paint(bed->a, 160);
	CLAIM(0, device_writes(bed, LOW) && !painted(bed->a, 160), "write");
	unmap(bed, LOW, PAGE);
	forget(bed);
}

/* As a driver of a device sees it: a domain of the library, the DMA API. */
static void by_the_api(struct bed *bed)
{
	struct iog_domain *domain = NULL;
	struct iog_device *device = NULL;
	iog_iova_t x = 0, y = 0;
	int error;

	/* Its own number behind the unit, and its own page table. */
	CLAIM(0, !bed->unit->ops->device_set(bed->unit, DEVICE, IOG_DOMAIN_BLOCKED, 0), "out of the other domain");
	error = iog_domain_create(&(struct iog_domain_config){ .platform = bed->platform,
							       .pgtable = { .ops = &iog_amdv1_counted, .tablemem = bed->tablemem, .ias = 48, .flags = bed->unit->pgtable_flags } },
				  &domain);
	if (!error)
		error = iog_device_create(&(struct iog_device_config){ .platform = bed->platform, .unit = bed->unit, .id = DEVICE }, &device);
	if (!error)
		error = iog_domain_attach(domain, device);
	CLAIM(0, !error, "domain and device: %s", iog_strerror(error));
	if (error)
		return;
	for (uint32_t n = 0; n < 8; n++) {
		paint(bed->a + 100, (uint8_t)(160 + n));
		paint(bed->b + 200, 100);
		CLAIM(0, !iog_dma_map(device, 0, paddr_of(bed, bed->a) + 100, BYTES, IOG_DMA_TO_DEVICE, 0, &x), "map");
		CLAIM(0, !iog_dma_map(device, 0, paddr_of(bed, bed->b) + 200, BYTES, IOG_DMA_FROM_DEVICE, 0, &y), "map");
		CLAIM(0, device_copies(bed, x, y) && painted(bed->b + 200, (uint8_t)(160 + n)), "the device copies");
		CLAIM(0, !iog_dma_unmap(device, 0, x, BYTES, IOG_DMA_TO_DEVICE, 0) && !iog_dma_unmap(device, 0, y, BYTES, IOG_DMA_FROM_DEVICE, 0), "unmap");
		paint(bed->b + 200, 100);
		CLAIM(0, device_writes(bed, y) && painted(bed->b + 200, 100), "memory is untouched after unmap");
	}
	CLAIM(0, !iog_device_destroy(device) && !iog_domain_destroy(domain), "device and domain go");
	CLAIM(0, !bed->unit->ops->device_set(bed->unit, DEVICE, IOG_DOMAIN_PAGING, ID), "back in the other domain");
}

static void judge_way(const struct way *way)
{
	struct bed *bed = malloc(sizeof(*bed));
	struct iog_pgtable_root root;
	struct iog_amdvi_stats stats;

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
	CLAIM(0, !iog_amdvi_enable(bed->amdvi), "enable");
	for (uint32_t n = 0; n < 2; n++) {
		point_translated(bed, n ? HIGH : 0, PAGE);
		point_translated(bed, n ? HIGH : 0, SIZE_64K);
		point_translated(bed, n ? HIGH : 0, SIZE_2M);
		point_remapped(bed, n ? HIGH : LOW, PAGE);
		point_remapped(bed, n ? HIGH : LOW, SIZE_64K);
		point_remapped(bed, n ? HIGH : 4 * SIZE_2M, SIZE_2M);
	}
	point_unmapped(bed, LOW, PAGE);
	point_unmapped(bed, HIGH, PAGE);
	point_unmapped(bed, HIGH, SIZE_64K);
	point_unmapped(bed, HIGH, SIZE_2M);
	point_refused(bed);
	point_reclaimed(bed, false);
	point_reclaimed(bed, true);
	by_the_api(bed);
	replaced(bed);
	handed_over(bed);

	CLAIM(0, !bed->unit->ops->device_set(bed->unit, DEVICE, IOG_DOMAIN_BLOCKED, 0) && !bed->unit->ops->domain_remove(bed->unit, ID), "detach");
	(void)iog_amdvi_interrupt(bed->amdvi);
	iog_amdvi_stats(bed->amdvi, &stats);
	CLAIM(0, !stats.errors && !stats.timeouts, "the command buffer had no trouble");
	CLAIM(0, iog_amdvi_destroy(bed->amdvi) == -IOG_EBUSY, "not destroyed while it is on");
	CLAIM(0, !iog_amdvi_disable(bed->amdvi), "disable");
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

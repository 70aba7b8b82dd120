/* SPDX-License-Identifier: MIT */
/*
 * What each unit is told, command by command. Units that write down the commands which their specifications have for what a gather holds stand in for drivers, so that it can be seen that a
 * gather says all that each of them needs, and that the least it allows is enough: VT-d 6.5.2 and 6.5.3 (address mask, invalidation hint, drains), AMD-Vi 2.4.3 (size-encoded address, PDE),
 * SMMUv3 4.4 (leaf, range with TG, SCALE and NUM), RISC-V IOMMU 3.1.2 (AV, and S and NL where offered).
 *
 * A run of commands that differ in the address only, by one step, is written once: "64x".
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <iogate/gather.h>
#include <iogate/unit.h>

#include "../dma/idle_unit.h"
#include "rig.h"

#define TEXT 1024
/* Where a unit takes pages only, one by one, more of them than this cost more than all. */
#define PAGES_MAX 512
/* And of ranges on all of them: when many tables go at once. */
#define RANGES_MAX 16

enum kind {
	VTD,
	VTD_DOMAIN, /* without page-selective invalidation */
	AMD,
	SMMU,
	SMMU_RANGE,
	RISCV,
	RISCV_RANGE, /* with S and NL */
	KINDS,
};

static const char *const kind_names[KINDS] = { "vtd", "vtd without pages", "amdvi", "smmuv3", "smmuv3 with ranges", "riscv", "riscv with ranges" };

struct scribe {
	struct iog_unit unit; /* first */
	enum kind kind;
	char text[TEXT];
	char *end;
	/* The last command, if more like it may follow. */
	char last[64];
	uint64_t next, stride;
	uint32_t repeated;
	uint32_t commands;
};

static struct scribe *scribe_of(struct iog_unit *unit)
{
	return (struct scribe *)(void *)unit;
}

static void put(struct scribe *scribe, const char *words)
{
	size_t left = TEXT - (size_t)(scribe->end - scribe->text);
	int n = snprintf(scribe->end, left, "%s%s", scribe->end == scribe->text ? "" : "; ", words);

	assert_true(n > 0 && (size_t)n < left);
	scribe->end += n;
}

static void settle(struct scribe *scribe)
{
	char words[128];

	if (!scribe->repeated)
		return;
	if (scribe->repeated > 1)
		snprintf(words, sizeof(words), "%" PRIu32 "x %s", scribe->repeated, scribe->last);
	else
		snprintf(words, sizeof(words), "%s", scribe->last);
	scribe->repeated = 0;
	put(scribe, words);
}

static void command(struct scribe *scribe, const char *words)
{
	settle(scribe);
	put(scribe, words);
	scribe->commands++;
}

/* One of several at @address and after it. */
static void command_at(struct scribe *scribe, const char *words, uint64_t address, uint64_t stride)
{
	if (!scribe->repeated || strcmp(scribe->last, words) || scribe->next != address || scribe->stride != stride) {
		settle(scribe);
		snprintf(scribe->last, sizeof(scribe->last), "%s", words);
		scribe->stride = stride;
	}
	scribe->repeated++;
	scribe->next = address + stride;
	scribe->commands++;
}

/* The smallest aligned power of two that holds a range, as its exponent. */
static uint32_t cover(const struct iog_range *range)
{
	uint32_t shift = 12;

	while (range->first >> shift != range->last >> shift)
		shift++;
	return shift;
}

static void all(struct scribe *scribe)
{
	static const char *const words[KINDS] = { "domain", "domain", "all pde=1", "asid", "asid", "av=0", "av=0" };

	command(scribe, words[scribe->kind]);
}

/* @walks: not leaves only. */
static void range(struct scribe *scribe, const struct iog_range *range, uint64_t stride, bool walks)
{
	uint64_t pages = (range->last - range->first + 1) / stride;
	uint32_t shift = cover(range);
	char words[64];

	switch (scribe->kind) {
	case VTD:
		/* MAMV of 18: a gigabyte. */
		if (shift > 30) {
			all(scribe);
			return;
		}
		snprintf(words, sizeof(words), "page am=%" PRIu32 " ih=%d", shift - 12, !walks);
		command(scribe, words);
		return;
	case VTD_DOMAIN:
		all(scribe);
		return;
	case AMD:
		snprintf(words, sizeof(words), "pages %" PRIu64 "K pde=%d", (UINT64_C(1) << shift) / 1024, walks);
		command(scribe, words);
		return;
	case SMMU_RANGE:
		while (pages) {
			uint32_t scale = 0;
			uint64_t num;

			/* At most 32 times a power of two; the rest in further commands. */
			while ((pages >> scale) > 32 || !(pages >> scale & 1))
				scale++;
			num = pages >> scale > 31 ? 32 : pages >> scale;
			snprintf(words, sizeof(words), "va num=%" PRIu64 " scale=%" PRIu32 " leaf=%d", num - 1, scale, !walks);
			command(scribe, words);
			pages -= num << scale;
		}
		return;
	case RISCV_RANGE:
		snprintf(words, sizeof(words), "av=1 s %" PRIu64 "K nl=%d", (UINT64_C(1) << shift) / 1024, walks);
		command(scribe, words);
		return;
	case RISCV:
		if (walks) {
			all(scribe);
			return;
		}
		break;
	default:
		break;
	}
	if (pages > PAGES_MAX) {
		all(scribe);
		return;
	}
	snprintf(words, sizeof(words), scribe->kind == SMMU ? "va leaf=%d" : "av=1", !walks);
	for (uint64_t at = range->first; at <= range->last; at += stride)
		command_at(scribe, words, at, stride);
}

static void complete(struct scribe *scribe)
{
	static const char *const words[KINDS] = { "wait", "wait", "completion_wait", "sync", "sync", "iofence", "iofence" };

	command(scribe, words[scribe->kind]);
}

/* What is told of a table tells of the leaves under it. */
static bool is_told(const struct iog_gather *gather, const struct iog_range *range)
{
	for (uint32_t n = 0; n < gather->nr_tables; n++)
		if (gather->tables[n].span.first <= range->first && range->last <= gather->tables[n].span.last)
			return true;
	return false;
}

static int invalidate(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather)
{
	struct scribe *scribe = scribe_of(unit);
	bool walks = gather && (gather->nr_tables || gather->walk_caches);
	bool whole = !gather || gather->everything || gather->nr_ranges + gather->nr_tables > RANGES_MAX;

	(void)id;
	if (whole)
		all(scribe);
	for (uint32_t n = 0; !whole && n < gather->nr_ranges; n++)
		if (!is_told(gather, &gather->ranges[n]))
			range(scribe, &gather->ranges[n], gather->min_page_size, walks);
	for (uint32_t n = 0; !whole && n < gather->nr_tables; n++)
		range(scribe, &gather->tables[n].span, RIG_PAGE, true);
	complete(scribe);
	return 0;
}

static int device_invalidate(struct iog_unit *unit, uint32_t device, const struct iog_gather *gather)
{
	struct scribe *scribe = scribe_of(unit);
	char words[64];

	if (!gather || gather->everything) {
		snprintf(words, sizeof(words), "device %" PRIu32 " all", device);
		command(scribe, words);
	}
	for (uint32_t n = 0; gather && !gather->everything && n < gather->nr_ranges; n++) {
		snprintf(words, sizeof(words), "device %" PRIu32 " %" PRIu64 "K", device, (UINT64_C(1) << cover(&gather->ranges[n])) / 1024);
		command(scribe, words);
	}
	complete(scribe);
	return 0;
}

static int block(struct iog_unit *unit, uint32_t device)
{
	(void)unit;
	(void)device;
	return 0;
}

static const struct iog_unit_ops ops = { idle_unit_add, idle_unit_remove, idle_unit_set, invalidate, device_invalidate, block };

struct place {
	struct iog_posix *posix;
	struct iog_platform platform;
	struct iog_tablemem *mem;
	struct scribe scribe;
	struct iog_domain *domain;
	struct iog_device *devices[2];
};

static void place_create(struct place *place, enum kind kind, const struct iog_policy *policy, enum iog_inval_mode mode, uint32_t devices, uint32_t device_flags,
			 uint32_t pgtable_flags)
{
	struct iog_domain_config config = { .policy = policy, .mode = mode };

	memset(place, 0, sizeof(*place));
	assert_int_equal(iog_posix_create(NULL, &place->posix), 0);
	place->platform = *iog_posix_platform(place->posix);
	/* Nothing is measured. */
	place->platform.now_ns = NULL;
	assert_int_equal(iog_tablemem_create(&place->platform, NULL, &place->mem), 0);
	place->scribe.kind = kind;
	place->scribe.end = place->scribe.text;
	place->scribe.unit.ops = &ops;
	place->scribe.unit.platform = &place->platform;
	place->scribe.unit.domain_ids = 4;
	place->scribe.unit.pgtable_flags = pgtable_flags;
	assert_int_equal(iog_unit_init(&place->scribe.unit), 0);
	config.platform = &place->platform;
	config.pgtable.ops = &iog_vtdss_counted;
	config.pgtable.tablemem = place->mem;
	config.pgtable.flags = pgtable_flags;
	assert_int_equal(iog_domain_create(&config, &place->domain), 0);
	for (uint32_t n = 0; n < devices; n++) {
		const struct iog_device_config device = { .platform = &place->platform, .unit = &place->scribe.unit, .id = n, .flags = device_flags };

		assert_int_equal(iog_device_create(&device, &place->devices[n]), 0);
		assert_int_equal(iog_domain_attach(place->domain, place->devices[n]), 0);
	}
}

static void place_destroy(struct place *place)
{
	for (uint32_t n = 0; n < 2; n++)
		assert_int_equal(iog_device_destroy(place->devices[n]), 0);
	assert_int_equal(iog_domain_destroy(place->domain), 0);
	assert_int_equal(iog_unit_fini(&place->scribe.unit), 0);
	assert_int_equal(iog_tablemem_destroy(place->mem), 0);
	iog_posix_destroy(place->posix);
}

/* What was told since the last look. */
static void told(struct place *place, const char *expected)
{
	struct scribe *scribe = &place->scribe;

	settle(scribe);
	if (strcmp(scribe->text, expected))
		print_error("%s was told \"%s\"\n", kind_names[scribe->kind], scribe->text);
	assert_string_equal(scribe->text, expected);
	scribe->end = scribe->text;
	scribe->text[0] = 0;
}

static iog_iova_t map(struct place *place, uint64_t paddr, uint64_t size)
{
	iog_iova_t iova;

	assert_int_equal(iog_dma_map(place->devices[0], 0, paddr, size, IOG_DMA_BIDIRECTIONAL, 0, &iova), 0);
	return iova;
}

static void unmap(struct place *place, iog_iova_t iova, uint64_t size)
{
	assert_int_equal(iog_dma_unmap(place->devices[0], 0, iova, size, IOG_DMA_BIDIRECTIONAL, 0), 0);
}

/* Something that keeps the tables; elsewhere in them. */
static void settle_tables(struct place *place)
{
	(void)map(place, 0x100000, RIG_PAGE);
}

static const struct iog_policy *const policies[] = { &iog_policy_window, &iog_policy_tree, &iog_policy_magazine, &iog_policy_pooled };
#define POLICIES (sizeof(policies) / sizeof(policies[0]))

/* One page, leaves only. */
static const char *const single[KINDS] = {
	"page am=0 ih=1; wait", "domain; wait", "pages 4K pde=0; completion_wait", "va leaf=1; sync", "va num=0 scale=0 leaf=1; sync", "av=1; iofence", "av=1 s 4K nl=0; iofence",
};

/* Leaves only, one command and one wait where ranges are taken; a buffer, and a list of pages from everywhere. */
static void contiguous(void **state)
{
	static const char *const expected[KINDS] = {
		"page am=6 ih=1; wait", "domain; wait", "pages 256K pde=0; completion_wait", "64x va leaf=1; sync", "va num=0 scale=6 leaf=1; sync", "64x av=1; iofence", "av=1 s 256K nl=0; iofence",
	};

	(void)state;
	for (uint32_t kind = 0; kind < KINDS; kind++) {
		for (uint32_t p = 0; p < POLICIES; p++) {
			struct iog_sg sg[64];
			struct place place;
			uint32_t mapped_n;
			iog_iova_t iova;

			place_create(&place, (enum kind)kind, policies[p], IOG_INVAL_STRICT, 1, 0, 0);
			settle_tables(&place);
			iova = map(&place, 0x40000000 + RIG_PAGE, 64 * RIG_PAGE);
			told(&place, "");
			unmap(&place, iova, 64 * RIG_PAGE);
			told(&place, expected[kind]);
			for (uint32_t n = 0; n < 64; n++)
				sg[n] = (struct iog_sg){ .paddr = 0x40000000 + n * 7 % 64 * 3 * RIG_PAGE, .size = RIG_PAGE };
			assert_int_equal(iog_dma_map_sg(place.devices[0], 0, sg, 64, IOG_DMA_BIDIRECTIONAL, 0, NULL, &mapped_n), 0);
			told(&place, "");
			assert_int_equal(iog_dma_unmap_sg(place.devices[0], 0, sg, 64, IOG_DMA_BIDIRECTIONAL, 0), 0);
			told(&place, expected[kind]);
			iova = map(&place, 0x40000000, RIG_PAGE);
			unmap(&place, iova, RIG_PAGE);
			told(&place, single[kind]);
			place_destroy(&place);
		}
	}
}

/* Every size: never more than one command where ranges are taken, as runs are aligned to the power of two above them. */
static void every_size(void **state)
{
	static const enum kind kinds[] = { VTD, AMD, RISCV_RANGE };

	(void)state;
	for (uint32_t k = 0; k < 3; k++) {
		for (uint32_t p = 0; p < POLICIES; p++) {
			struct place place;

			place_create(&place, kinds[k], policies[p], IOG_INVAL_STRICT, 1, 0, 0);
			settle_tables(&place);
			for (uint64_t n = 1; n <= 512; n++) {
				iog_iova_t iova = map(&place, 0x40000000 + RIG_PAGE, n * RIG_PAGE);
				struct iog_range run = { iova, iova + n * RIG_PAGE - 1 };

				place.scribe.commands = 0;
				unmap(&place, iova, n * RIG_PAGE);
				assert_int_equal(place.scribe.commands, 2);
				/* And no more is forgotten than the power of two above. */
				assert_true(UINT64_C(1) << cover(&run) < 2 * n * RIG_PAGE);
				settle(&place.scribe);
				place.scribe.end = place.scribe.text;
			}
			place_destroy(&place);
		}
	}
}

/* A leaf of 2 MiB is one address for those who go page by page: the gather says how large the smallest is. */
static void large(void **state)
{
	static const char *const expected[KINDS] = {
		"page am=10 ih=1; wait", "domain; wait", "pages 4096K pde=0; completion_wait", "2x va leaf=1; sync", "va num=0 scale=1 leaf=1; sync", "2x av=1; iofence", "av=1 s 4096K nl=0; iofence",
	};

	(void)state;
	for (uint32_t kind = 0; kind < KINDS; kind++) {
		struct place place;
		iog_iova_t iova;

		place_create(&place, (enum kind)kind, &iog_policy_tree, IOG_INVAL_STRICT, 1, 0, 0);
		settle_tables(&place);
		iova = map(&place, 0x40000000, 4 * RIG_MIB);
		unmap(&place, iova, 4 * RIG_MIB);
		told(&place, expected[kind]);
		place_destroy(&place);
	}
}

/* Of the deferred, and where no device comes back to an address: all at once. */
static void whole(void **state)
{
	static const char *const expected[KINDS] = {
		"domain; wait", "domain; wait", "all pde=1; completion_wait", "asid; sync", "asid; sync", "av=0; iofence", "av=0; iofence",
	};

	(void)state;
	for (uint32_t kind = 0; kind < KINDS; kind++) {
		struct place place;

		place_create(&place, (enum kind)kind, &iog_policy_window, IOG_INVAL_DEFERRED, 1, 0, 0);
		unmap(&place, map(&place, 0x40000000, 64 * RIG_PAGE), 64 * RIG_PAGE);
		unmap(&place, map(&place, 0x50000000, 64 * RIG_PAGE), 64 * RIG_PAGE);
		told(&place, "");
		assert_int_equal(iog_domain_flush(place.domain, 0), 0);
		told(&place, expected[kind]);
		place_destroy(&place);

		place_create(&place, (enum kind)kind, &iog_policy_window, IOG_INVAL_STRICT, 1, IOG_DEVICE_NO_REUSE, 0);
		unmap(&place, map(&place, 0x40000000, RIG_PAGE), RIG_PAGE);
		told(&place, expected[kind]);
		place_destroy(&place);
	}
}

static int flush(const struct iog_gather *gather, void *ctx)
{
	return invalidate(ctx, 1, gather);
}

/*
 * A table that has been emptied goes with the next invalidation but its own: the leaves alone are told first, and the walk caches are told of the table's span, whole, when it is unlinked.
 * An invalidation of leaves only is what all but 1 of 64 unmappings cost.
 */
static void tables(void **state)
{
	static const char *const expected[KINDS] = {
		"page am=9 ih=0; wait", "domain; wait", "pages 2048K pde=1; completion_wait", "512x va leaf=0; sync", "va num=0 scale=9 leaf=0; sync", "av=0; iofence", "av=1 s 2048K nl=1; iofence",
	};

	(void)state;
	for (uint32_t kind = 0; kind < KINDS; kind++) {
		struct iog_gather *gather = test_malloc(sizeof(*gather));
		struct iog_pgtable_config config = { .ops = &iog_vtdss_counted };
		struct iog_pgtable_stats stats;
		struct iog_pgtable *pgtable;
		struct place place;

		place_create(&place, (enum kind)kind, &iog_policy_tree, IOG_INVAL_STRICT, 1, 0, 0);
		config.tablemem = place.mem;
		assert_int_equal(iog_pgtable_create(&config, &pgtable), 0);
		assert_int_equal(iog_gather_init(gather, pgtable, 0, flush, &place.scribe.unit), 0);
		assert_int_equal(iog_pgtable_map(pgtable, 6 * RIG_MIB, 0x40000000, RIG_PAGE, IOG_PROT_READ, gather), 0);
		assert_int_equal(iog_pgtable_map(pgtable, 0, 0x40000000, RIG_PAGE, IOG_PROT_READ, gather), 0);
		assert_int_equal(iog_pgtable_unmap(pgtable, 6 * RIG_MIB, RIG_PAGE, gather, NULL), 0);
		assert_int_equal(iog_gather_flush(gather), 0);
		/* Empty, and still linked. */
		told(&place, single[kind]);
		assert_int_equal(iog_pgtable_trim(pgtable, gather, NULL), 0);
		assert_int_equal(iog_gather_flush(gather), 0);
		told(&place, expected[kind]);
		iog_pgtable_stats(pgtable, &stats);
		assert_int_equal(stats.released, 1);
		iog_pgtable_destroy(pgtable, 0);
		test_free(gather);
		place_destroy(&place);
	}
}

/* Told of what is mapped, walk caches too, by those who cache what is not present; nobody else is told anything. */
static void mapped(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < POLICIES; p++) {
		for (uint32_t kind = VTD; kind <= AMD; kind += AMD - VTD) {
			struct place place;

			place_create(&place, (enum kind)kind, policies[p], IOG_INVAL_STRICT, 1, 0, IOG_PGTABLE_FLUSH_ON_MAP);
			settle_tables(&place);
			told(&place, kind == VTD ? "page am=0 ih=0; wait" : "pages 4K pde=1; completion_wait");
			(void)map(&place, 0x40000000 + RIG_PAGE, 64 * RIG_PAGE);
			told(&place, kind == VTD ? "page am=6 ih=0; wait" : "pages 256K pde=1; completion_wait");
			place_destroy(&place);
		}
	}
}

/* Devices after their unit, which has completed; each by itself; the same ranges. */
static void devices(void **state)
{
	struct place place;

	(void)state;
	place_create(&place, VTD, &iog_policy_window, IOG_INVAL_STRICT, 2, IOG_DEVICE_ATS, 0);
	settle_tables(&place);
	unmap(&place, map(&place, 0x40000000 + RIG_PAGE, 64 * RIG_PAGE), 64 * RIG_PAGE);
	told(&place, "page am=6 ih=1; wait; device 1 256K; wait; device 0 256K; wait");
	place_destroy(&place);

	place_create(&place, VTD, &iog_policy_window, IOG_INVAL_DEFERRED, 2, IOG_DEVICE_ATS, 0);
	unmap(&place, map(&place, 0x40000000 + RIG_PAGE, 64 * RIG_PAGE), 64 * RIG_PAGE);
	assert_int_equal(iog_domain_flush(place.domain, 0), 0);
	told(&place, "domain; wait; device 1 all; wait; device 0 all; wait");
	place_destroy(&place);

	/* A device that does not come back to an address is flushed whole, its own TLB included. */
	place_create(&place, VTD, &iog_policy_window, IOG_INVAL_STRICT, 1, IOG_DEVICE_ATS | IOG_DEVICE_NO_REUSE, 0);
	unmap(&place, map(&place, 0x40000000, RIG_PAGE), RIG_PAGE);
	told(&place, "domain; wait; device 0 all; wait");
	place_destroy(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contiguous), cmocka_unit_test(every_size), cmocka_unit_test(large),   cmocka_unit_test(whole),
		cmocka_unit_test(tables),     cmocka_unit_test(mapped),     cmocka_unit_test(devices),
	};

	return cmocka_run_group_tests_name("inval commands", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * What drivers must show beyond the points: replacements without a hole, floods of faults, and the DMA API over the unit. The machine is enabled, its devices are in no domain.
 */
#ifndef TESTS_JUDGE_MOVES_H
#define TESTS_JUDGE_MOVES_H

#include <iogate/dma.h>
#include <iogate/domain.h>

#include "bench.h"

/* Registers go through here, so that a DMA can be made at any moment of a driver's call: before and after it tells the unit of commands. */
struct watched {
	const struct iog_platform *inner;
	struct iog_platform platform;
	uintptr_t doorbell;
	void (*at_doorbell)(void);
};

static struct watched watched;

static inline void watched_write32(void *ctx, uintptr_t reg, uint32_t value)
{
	if (reg == watched.doorbell && watched.at_doorbell)
		watched.at_doorbell();
	watched.inner->mmio_write32(ctx, reg, value);
	if (reg == watched.doorbell && watched.at_doorbell)
		watched.at_doorbell();
}

static inline const struct iog_platform *watch(const struct iog_platform *platform, uintptr_t doorbell)
{
	watched = (struct watched){ .inner = platform, .platform = *platform, .doorbell = doorbell };
	watched.platform.mmio_write32 = watched_write32;
	return &watched.platform;
}

/* Where a write lands while a device goes from one thing to another: in one of two places, at each moment. */
static struct landing {
	struct bench *bench;
	iog_iova_t iova;
	volatile uint8_t *former, *next;
	uint32_t in_former, in_next, nowhere;
	uint32_t after_next; /* in the former place after it had been in the next */
} landing;

static inline void land(void)
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

#define MOVES_MAX 5

/* What a device can be subject to; ops NULL: identity. */
struct move {
	const char *name;
	const struct iog_pgtable_ops *ops;
	uint32_t ias, oas;
};

/* From each to each other, a DMA before and after each doorbell on the way. @hole: whether there must be one, from and to; NULL: never. */
static inline void moves(struct bench *bench, const struct move *kinds, uint32_t n, bool (*hole)(uint32_t from, uint32_t to))
{
	const char *name = bench->name;
	struct bench domains[MOVES_MAX];
	uint8_t *pages = bench->platform->pages_alloc(bench->platform->ctx, 8 * 4096), *marker = pages + 7 * 4096, *target = pages;
	uint32_t made = 0;

	memset(pages, 0, 8 * 4096);
	*marker = 0xa5;
	/* The address is that of the page that identity reaches. */
	for (uint32_t i = 0; i < n; i++)
		if (!kinds[i].ops)
			target = pages + i * 4096;
	for (uint32_t i = 0; i < n; i++) {
		domains[i] = *bench;
		domains[i].name = kinds[i].name;
		if (kinds[i].ops && bench_domain(&domains[i], 20 + i, kinds[i].ops, kinds[i].ias, kinds[i].oas))
			JUDGE(!bench_map(&domains[i], bench_paddr(bench, target), bench_paddr(bench, pages + i * 4096), 4096, RW) &&
				      !bench_map(&domains[i], bench_paddr(bench, marker), bench_paddr(bench, marker), 4096, RW),
			      "%s: maps", kinds[i].name);
	}
	for (uint32_t from = 0; from < n; from++)
		for (uint32_t to = 0; to < n; to++) {
			bool must_hole = hole && hole(from, to);

			if (from == to)
				continue;
			JUDGE(!bench_set(&domains[from], kinds[from].ops ? IOG_DOMAIN_PAGING : IOG_DOMAIN_IDENTITY), "%s: sets", kinds[from].name);
			bench_read(bench, bench_paddr(bench, marker), 1);
			landing = (struct landing){ .bench = bench, .iova = bench_paddr(bench, target), .former = pages + from * 4096, .next = pages + to * 4096 };
			land();
			watched.at_doorbell = land;
			JUDGE(!bench_set(&domains[to], kinds[to].ops ? IOG_DOMAIN_PAGING : IOG_DOMAIN_IDENTITY), "%s: sets", kinds[to].name);
			watched.at_doorbell = NULL;
			JUDGE(landing.in_former && !landing.after_next, "%s: from %s to %s: first the one, then the other", name, kinds[from].name, kinds[to].name);
			JUDGE(must_hole || !landing.nowhere, "%s: from %s to %s without a hole (%u before, %u after, %u nowhere)", name, kinds[from].name, kinds[to].name,
			      landing.in_former, landing.in_next, landing.nowhere);
			JUDGE(!must_hole || landing.nowhere, "%s: from %s to %s refuses on the way, as it must", name, kinds[from].name, kinds[to].name);
			land();
			JUDGE(landing.in_next && *landing.next, "%s: from %s to %s: there", name, kinds[from].name, kinds[to].name);
			made++;
		}
	printf("%s: %u replacements\n", name, made);
	JUDGE(!bench->unit->ops->device_set(bench->unit, bench->device, IOG_DOMAIN_BLOCKED, 0), "%s: blocks", name);
	for (uint32_t i = 0; i < n; i++)
		if (kinds[i].ops)
			bench_domain_end(&domains[i]);
	bench->platform->pages_free(bench->platform->ctx, pages, 8 * 4096);
}

/* A driver of per_device = 4 faults told, whose queue holds @queue, and of two edu devices the first floods it: all is bounded, lost ones are noticed, the other device is heard. */
static inline void flood(struct bench *bench, const struct move *kind, uint32_t queue, uint32_t (*take)(struct bench *bench),
			 void (*counts)(struct bench *bench, const uint32_t *device, struct iog_fault_counts *counts))
{
	const uint32_t devices[] = { IOG_QTEST_EDU(0), IOG_QTEST_EDU(1) };
	const char *name = bench->name;
	struct iog_fault_counts all, of;
	uint32_t bound;
	bool other = false;

	if (!bench_domain(bench, 3, kind->ops, kind->ias, kind->oas))
		return;
	for (uint32_t n = 0; n < 2; n++)
		JUDGE(!bench->unit->ops->device_set(bench->unit, devices[n], IOG_DOMAIN_PAGING, bench->id), "%s: attaches", name);
	for (uint32_t n = 0; n < 4; n++)
		bench_read(bench, 0x10000, 1024);
	bound = take(bench);
	JUDGE(bound && bound <= queue, "%s: one call takes no more than the queue holds (%u)", name, bound);
	while (take(bench))
		;
	counts(bench, NULL, &all);
	JUDGE(all.overflows, "%s: lost faults are noticed", name);
	JUDGE(all.seen >= queue - 1 && all.told == 4 && bench->nr_faults == 4, "%s: one device is told of as often as it may be (%llu of %llu)", name, (unsigned long long)all.told,
	      (unsigned long long)all.seen);
	(void)iog_qtest_edu_dma(bench->qtest, 1, IOG_QTEST_TO_MEMORY, 0x20000, 0, 8);
	while (take(bench))
		;
	for (uint32_t n = 0; n < bench->nr_faults && n < BENCH_FAULTS; n++)
		other |= bench->faults[n].device == devices[1] && bench->faults[n].iova == 0x20000;
	JUDGE(other, "%s: the queue goes on after the overflow, and the other device is heard", name);
	counts(bench, &devices[0], &of);
	JUDGE(of.seen >= queue - 1 && of.untold == of.seen - 4, "%s: what was not told is counted", name);
	for (uint32_t n = 0; n < 2; n++)
		JUDGE(!bench->unit->ops->device_set(bench->unit, devices[n], IOG_DOMAIN_BLOCKED, 0), "%s: blocks", name);
	bench_domain_end(bench);
}

/* What an operation cost the unit. */
struct cost {
	uint64_t commands, reads, writes;
};

static inline void cost_since(struct bench *bench, void (*cost)(struct bench *bench, struct cost *cost), const struct cost *before, struct cost *since)
{
	cost(bench, since);
	since->commands -= before->commands;
	since->reads -= before->reads;
	since->writes -= before->writes;
}

/*
 * The DMA API over the unit: strict unmapping, what it costs, tables that go away and come back as other data. @commands: of an unmapping of a page and of 64 contiguous ones, waits
 * included; 0: as many as it takes.
 */
static inline void dma(struct bench *bench, const struct move *kind, const uint32_t commands[2], void (*cost)(struct bench *bench, struct cost *cost))
{
	const char *name = bench->name;
	struct iog_format format;
	struct iog_tablemem *tables = NULL;
	struct iog_domain *domain = NULL;
	struct iog_device *device = NULL;
	uint64_t size = 64 * 4096;
	uint8_t *buffer = bench->platform->pages_alloc(bench->platform->ctx, size);
	struct cost before, since;
	iog_iova_t iova;

	iog_format_describe(kind->ops, &format);
	JUDGE(!iog_tablemem_create(bench->platform, NULL, &tables) &&
		      !iog_domain_create(&(struct iog_domain_config){ .platform = bench->platform, .last = (UINT64_C(1) << (kind->ias - 1)) - 1,
								      .pgtable = { .ops = kind->ops, .tablemem = tables, .ias = kind->ias, .oas = kind->oas,
										   .page_sizes = format.page_sizes & (UINT64_C(0x1000) | 0x200000) } },
					 &domain) &&
		      !iog_device_create(&(struct iog_device_config){ .platform = bench->platform, .unit = bench->unit, .id = bench->device }, &device) &&
		      !iog_domain_attach(domain, device),
	      "%s: a domain", name);
	if (!device)
		return;
	for (uint32_t pages = 1, n = 0; pages <= 64; pages *= 64, n++) {
		memset(buffer, 0xee, size);
		cost(bench, &before);
		JUDGE(!iog_dma_map(device, 0, bench_paddr(bench, buffer), pages * 4096, IOG_DMA_FROM_DEVICE, 0, &iova), "%s: maps", name);
		cost_since(bench, cost, &before, &since);
		JUDGE(!since.commands && !since.reads && !since.writes, "%s: mapping touches no register", name);
		bench_write(bench, iova, 64);
		JUDGE(buffer[0] != 0xee, "%s: mapped memory is reached", name);
		cost(bench, &before);
		JUDGE(!iog_dma_unmap(device, 0, iova, pages * 4096, IOG_DMA_FROM_DEVICE, 0), "%s: unmaps", name);
		cost_since(bench, cost, &before, &since);
		printf("%s: map of %u pages 0 accesses; strict unmap %llu commands, %llu reads and %llu writes of registers\n", name, pages, (unsigned long long)since.commands,
		       (unsigned long long)since.reads, (unsigned long long)since.writes);
		JUDGE((!commands[n] || since.commands == commands[n]) && since.writes == 1, "%s: %u commands, one doorbell", name, commands[n]);
		memset(buffer, 0xee, size);
		bench_write(bench, iova, 64);
		JUDGE(buffer[0] == 0xee, "%s: unmapped memory is not", name);
	}
	for (uint32_t n = 0; n < 200; n++) {
		memset(buffer, 0xee, 4096);
		JUDGE(!iog_dma_map(device, 0, bench_paddr(bench, buffer), 4096, IOG_DMA_FROM_DEVICE, 0, &iova), "%s: maps", name);
		bench_write(bench, iova, 8);
		JUDGE(buffer[0] != 0xee, "%s: reached", name);
		JUDGE(!iog_dma_unmap(device, 0, iova, 4096, IOG_DMA_FROM_DEVICE, 0) && !iog_domain_trim(domain, 0), "%s: unmaps, and its table goes", name);
		memset(buffer, 0xee, 4096);
		bench_write(bench, iova, 8);
		JUDGE(buffer[0] == 0xee, "%s: not reached", name);
	}
	JUDGE(!iog_device_destroy(device) && !iog_domain_destroy(domain) && !iog_tablemem_destroy(tables), "%s: ends", name);
	bench->platform->pages_free(bench->platform->ctx, buffer, size);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Observers between table memory and the host's platform. See tables.h.
 */
#include <inttypes.h>
#include <stdatomic.h>

#include "internal.h"

/* Not present in any format; the rest is easy to recognise in a memory dump. */
#define TABLE_POISON ((UINT64_C(0xdeadf4eedead) << 12) | IOG_TABLE_POISON_LOW)

/*
 * One cache line in eight is poisoned, another eighth each time (the phase): all of a table would cost as much as everything else that is
 * done for a page. What is poisoned is zeroed again when the table is taken, and nothing else: entries that the library has forgotten in
 * a table must not be tidied up by its judge.
 */
#define POISON_PHASES 8
#define LINE_ENTRIES ((size_t)8)

/* Entry by entry, each by one store: walkers of the library may still read the table through stale pointers. */
static void fill_lines(void *table, size_t size, uint32_t phase, uint64_t value)
{
	_Atomic uint64_t *entries = table;

	for (size_t line = phase * LINE_ENTRIES; line < size / sizeof(value); line += POISON_PHASES * LINE_ENTRIES) {
#pragma GCC unroll 8
		for (size_t i = 0; i < LINE_ENTRIES; i++)
			atomic_store_explicit(&entries[line + i], value, memory_order_relaxed);
	}
}

static void fill_zero(void *table, size_t size)
{
	for (uint32_t phase = 0; phase < POISON_PHASES; phase++)
		fill_lines(table, size, phase, 0);
}

static enum table_state table_state(uint64_t value)
{
	return (enum table_state)(value & TABLE_STATE_MASK);
}

static iog_paddr_t table_paddr(const struct iog_sim *sim, const void *table)
{
	return (uintptr_t)table - sim->direct_map_offset;
}

static void table_event(struct iog_sim *sim, enum event_kind kind, iog_paddr_t table)
{
	*history_next(&sim->history) = (struct event){ .table = table, .kind = (uint8_t)kind };
}

bool iog_sim_table_known(const struct iog_sim *sim, iog_paddr_t table)
{
	return pagemap_find(&sim->tables.known, table >> SIM_PAGE_SHIFT);
}

bool iog_sim_table_readable(const struct iog_sim_domain *domain, iog_paddr_t table)
{
	const struct tables *tables = &domain->sim->tables;
	const uint64_t *value;

	if (table == domain->root)
		return !domain->root_gone;
	if (!tables->observing || tables->incomplete)
		return true;
	value = pagemap_find(&tables->known, table >> SIM_PAGE_SHIFT);
	return value && table_state(*value) == TABLE_LIVE;
}

static void observe_taken(void *ctx, void *table, size_t size, int zeroed)
{
	struct iog_sim *sim = ctx;
	iog_paddr_t paddr = table_paddr(sim, table);
	uint64_t *value;

	sim_lock(sim);
	table_event(sim, EVENT_TABLE_TAKEN, paddr);
	value = pagemap_get(&sim->tables.known, paddr >> SIM_PAGE_SHIFT);
	if (!value) {
		sim->tables.incomplete = true;
		if (zeroed)
			fill_zero(table, size);
	} else {
		if (table_state(*value) == TABLE_LIVE)
			iog_sim_violation(sim, IOG_SIM_FREED_TABLE, 0, 0, paddr, "a table was handed out while in use");
		else if (zeroed && table_state(*value) == TABLE_FREED)
			fill_lines(table, size, (uint32_t)(*value >> TABLE_PHASE_SHIFT), 0);
		else if (zeroed)
			fill_zero(table, size);
		*value = TABLE_LIVE;
	}
	sim_unlock(sim);

	if (sim->tables.host.table_taken)
		sim->tables.host.table_taken(sim->tables.host.ctx, table, size, zeroed);
}

static void observe_freed(void *ctx, void *table, size_t size)
{
	struct iog_sim *sim = ctx;
	iog_paddr_t paddr = table_paddr(sim, table);
	const struct cache_entry *cached;
	uint64_t *value;
	uint32_t level;

	if (sim->tables.host.table_freed)
		sim->tables.host.table_freed(sim->tables.host.ctx, table, size);

	sim_lock(sim);
	table_event(sim, EVENT_TABLE_FREED, paddr);
	value = pagemap_find(&sim->tables.known, paddr >> SIM_PAGE_SHIFT);
	if (value && table_state(*value) == TABLE_LIVE) {
		uint32_t phase = (uint32_t)(sim->tables.freed++ % POISON_PHASES);

		*value = TABLE_FREED | (uint64_t)phase << TABLE_PHASE_SHIFT;
		fill_lines(table, size, phase, TABLE_POISON);
	} else if (!sim->tables.incomplete) {
		iog_sim_violation(sim, IOG_SIM_FREED_TABLE, 0, 0, paddr, "a table was given back that was not in use");
	}
	/* The entry stays, as it would in hardware: whoever walks through it is caught again. */
	cached = iog_sim_walk_find_table(&sim->caches, paddr, &level);
	if (cached)
		iog_sim_violation(sim, IOG_SIM_FREED_TABLE, cached->domain, walk_entry_iova(cached), paddr,
				  "a table of level %" PRIu32 " was given back while a walk cache pointed to it", level);
	sim_unlock(sim);
}

static void *observe_pages_alloc(void *ctx, size_t size)
{
	const struct iog_platform *host = &((struct iog_sim *)ctx)->tables.host;

	return host->pages_alloc(host->ctx, size);
}

/* What lay there is unknown from now on: the memory may come back as anything. */
static void observe_pages_free(void *ctx, void *pages, size_t size)
{
	struct iog_sim *sim = ctx;
	const struct iog_platform *host = &sim->tables.host;
	iog_paddr_t first = table_paddr(sim, pages);

	sim_lock(sim);
	for (iog_paddr_t paddr = first; paddr - first < size; paddr += SIM_PAGE_SIZE) {
		uint64_t *value = pagemap_find(&sim->tables.known, paddr >> SIM_PAGE_SHIFT);

		if (!value)
			continue;
		table_event(sim, EVENT_TABLE_GONE, paddr);
		if (table_state(*value) == TABLE_LIVE)
			iog_sim_violation(sim, IOG_SIM_FREED_TABLE, 0, 0, paddr, "memory went back to the host with a table in use");
		iog_sim_pagemap_remove(&sim->tables.known, value);
	}
	iog_sim_shadow_drop(sim, first, size);
	for (struct iog_sim_domain *domain = sim->domains; domain; domain = domain->next) {
		if (domain->root - first < size)
			domain->root_gone = true;
	}
	sim_unlock(sim);

	host->pages_free(host->ctx, pages, size);
}

static void *observe_object_alloc(void *ctx, size_t size)
{
	const struct iog_platform *host = &((struct iog_sim *)ctx)->tables.host;

	return host->object_alloc(host->ctx, size);
}

static void observe_object_free(void *ctx, void *object, size_t size)
{
	const struct iog_platform *host = &((struct iog_sim *)ctx)->tables.host;

	host->object_free(host->ctx, object, size);
}

static void observe_cache_clean(void *ctx, const void *va, size_t size)
{
	struct iog_sim *sim = ctx;
	const struct iog_platform *host = &sim->tables.host;

	if (host->cache_clean)
		host->cache_clean(host->ctx, va, size);
	if (sim->as_unit.pgtable_flags & IOG_PGTABLE_NONCOHERENT) {
		sim_lock(sim);
		iog_sim_shadow_clean(sim, va, size);
		sim_unlock(sim);
	}
}

static void observe_cache_flush(void *ctx, const void *va, size_t size)
{
	const struct iog_platform *host = &((struct iog_sim *)ctx)->tables.host;

	host->cache_flush(host->ctx, va, size);
}

static void observe_dma_wmb(void *ctx)
{
	const struct iog_platform *host = &((struct iog_sim *)ctx)->tables.host;

	host->dma_wmb(host->ctx);
}

static uint64_t observe_now_ns(void *ctx)
{
	const struct iog_platform *host = &((struct iog_sim *)ctx)->tables.host;

	return host->now_ns(host->ctx);
}

static void observe_relax(void *ctx)
{
	const struct iog_platform *host = &((struct iog_sim *)ctx)->tables.host;

	host->relax(host->ctx);
}

static uintptr_t observe_irq_save(void *ctx)
{
	const struct iog_platform *host = &((struct iog_sim *)ctx)->tables.host;

	return host->irq_save(host->ctx);
}

static void observe_irq_restore(void *ctx, uintptr_t flags)
{
	const struct iog_platform *host = &((struct iog_sim *)ctx)->tables.host;

	host->irq_restore(host->ctx, flags);
}

static void observe_lanes_barrier(void *ctx)
{
	const struct iog_platform *host = &((struct iog_sim *)ctx)->tables.host;

	host->lanes_barrier(host->ctx);
}

static uint32_t observe_mmio_read32(void *ctx, uintptr_t reg)
{
	const struct iog_platform *host = &((struct iog_sim *)ctx)->tables.host;

	return host->mmio_read32(host->ctx, reg);
}

static uint64_t observe_mmio_read64(void *ctx, uintptr_t reg)
{
	const struct iog_platform *host = &((struct iog_sim *)ctx)->tables.host;

	return host->mmio_read64(host->ctx, reg);
}

static void observe_mmio_write32(void *ctx, uintptr_t reg, uint32_t value)
{
	const struct iog_platform *host = &((struct iog_sim *)ctx)->tables.host;

	host->mmio_write32(host->ctx, reg, value);
}

static void observe_mmio_write64(void *ctx, uintptr_t reg, uint64_t value)
{
	const struct iog_platform *host = &((struct iog_sim *)ctx)->tables.host;

	host->mmio_write64(host->ctx, reg, value);
}

static uint8_t observe_mmio_read8(void *ctx, uintptr_t reg)
{
	const struct iog_platform *host = &((struct iog_sim *)ctx)->tables.host;

	return host->mmio_read8(host->ctx, reg);
}

static uint16_t observe_mmio_read16(void *ctx, uintptr_t reg)
{
	const struct iog_platform *host = &((struct iog_sim *)ctx)->tables.host;

	return host->mmio_read16(host->ctx, reg);
}

static void observe_mmio_write8(void *ctx, uintptr_t reg, uint8_t value)
{
	const struct iog_platform *host = &((struct iog_sim *)ctx)->tables.host;

	host->mmio_write8(host->ctx, reg, value);
}

static void observe_mmio_write16(void *ctx, uintptr_t reg, uint16_t value)
{
	const struct iog_platform *host = &((struct iog_sim *)ctx)->tables.host;

	host->mmio_write16(host->ctx, reg, value);
}

/* All functions of a platform share one ctx: observing two of them takes over all. What the host leaves out stays out. */
void iog_sim_tables_observe(struct iog_sim *sim, struct iog_platform *platform)
{
	const struct iog_platform *host = &sim->tables.host;

	sim->tables.host = *platform;
	sim->tables.observing = true;
	sim->shadow.on = sim->as_unit.pgtable_flags & IOG_PGTABLE_NONCOHERENT;

	*platform = (struct iog_platform){
		.ctx = sim,
		.direct_map_offset = host->direct_map_offset,
		.pages_alloc = observe_pages_alloc,
		.pages_free = observe_pages_free,
		.object_alloc = observe_object_alloc,
		.object_free = observe_object_free,
		.cache_clean = host->cache_clean || sim->shadow.on ? observe_cache_clean : NULL,
		.cache_flush = host->cache_flush ? observe_cache_flush : NULL,
		.dma_wmb = host->dma_wmb ? observe_dma_wmb : NULL,
		.now_ns = host->now_ns ? observe_now_ns : NULL,
		.relax = host->relax ? observe_relax : NULL,
		.irq_save = host->irq_save ? observe_irq_save : NULL,
		.irq_restore = host->irq_restore ? observe_irq_restore : NULL,
		.lanes_barrier = host->lanes_barrier ? observe_lanes_barrier : NULL,
		.mmio_read32 = host->mmio_read32 ? observe_mmio_read32 : NULL,
		.mmio_read64 = host->mmio_read64 ? observe_mmio_read64 : NULL,
		.mmio_write32 = host->mmio_write32 ? observe_mmio_write32 : NULL,
		.mmio_write64 = host->mmio_write64 ? observe_mmio_write64 : NULL,
		.mmio_read8 = host->mmio_read8 ? observe_mmio_read8 : NULL,
		.mmio_read16 = host->mmio_read16 ? observe_mmio_read16 : NULL,
		.mmio_write8 = host->mmio_write8 ? observe_mmio_write8 : NULL,
		.mmio_write16 = host->mmio_write16 ? observe_mmio_write16 : NULL,
		.table_freed = observe_freed,
		.table_taken = observe_taken,
	};
}

/* SPDX-License-Identifier: MIT */
/*
 * The walker of the simulated unit. See walk.h.
 */
#include <stdatomic.h>

#include "internal.h"

/* Whether the address can be expressed. A canonical one has all bits from ias - 1 upwards alike. */
static bool address_valid(const struct iog_sim_domain *domain, iog_iova_t iova)
{
	if (domain->sign_extended) {
		uint64_t top = iova >> (domain->ias - 1);

		return !top || top == UINT64_MAX >> (domain->ias - 1);
	}
	return domain->ias == 64 || !(iova >> domain->ias);
}

/* Returns false where memory holds nobody knows what. */
static inline bool read_entry(const struct iog_sim_domain *domain, iog_paddr_t table, iog_iova_t iova, uint32_t level, uint64_t *entry)
{
	const _Atomic uint64_t *entries = (const _Atomic uint64_t *)(uintptr_t)(table + domain->sim->direct_map_offset);
	uint32_t bits = domain->geometry.level_bits, index;

	if (level == domain->levels - 1)
		bits = domain->ias - walk_shift(domain->geometry, level);
	index = (uint32_t)(iova >> walk_shift(domain->geometry, level) & ((UINT64_C(1) << bits) - 1));
	if (domain->sim->shadow.on)
		return iog_sim_shadow_read(domain->sim, table, index, entry);
	/* Pairs with the release by which the library links a table. */
	*entry = atomic_load_explicit(&entries[index], memory_order_acquire);
	return true;
}

/* An entry that leads past levels leaves no room for the address bits that would have chosen there. */
static bool skips_address(const struct iog_sim_domain *domain, iog_iova_t iova, uint32_t level, uint32_t next)
{
	if (next + 1 >= level)
		return next >= level;
	return (iova >> walk_shift(domain->geometry, next + 1)) & ((UINT64_C(1) << domain->geometry.level_bits * (level - next - 1)) - 1);
}

/* An entry of a table of @level is not there, and the unit remembers that. A pointer to nothing permits nothing. */
static void remember_absent(struct iog_sim_domain *domain, iog_iova_t iova, uint32_t level)
{
	struct caches *caches = &domain->sim->caches;

	if (level)
		iog_sim_walk_fill(caches, domain->id, domain->geometry, iova, level - 1, 0, 0);
	iog_sim_iotlb_fill(caches, domain->id, iova, 0, 0, 0);
}

/* From a table of @level down. @caching: fill the walk caches and count. */
static inline void descend(struct iog_sim_domain *domain, iog_iova_t iova, iog_paddr_t table, uint32_t level, uint32_t prot, bool caching,
			   struct walk *walk)
{
	struct iog_sim *sim = domain->sim;

	for (;;) {
		struct walk_entry entry;
		uint64_t bits;

		walk->table = table;
		walk->level = level;
		if (!iog_sim_table_readable(domain, table)) {
			walk->fault = WALK_FAULT_FREED_TABLE;
			return;
		}
		if (caching)
			sim->stats.walk_reads++;
		if (!read_entry(domain, table, iova, level, &bits)) {
			walk->fault = WALK_FAULT_UNCLEAN;
			return;
		}
		entry = domain->format->decode(domain->format, bits, level);
		if (entry.fault == WALK_OK && entry.paddr > domain->paddr_last)
			entry.fault = WALK_FAULT_RESERVED;
		if (entry.fault == WALK_OK && entry.kind == ENTRY_TABLE && skips_address(domain, iova, level, entry.level))
			entry.fault = WALK_FAULT_NOT_PRESENT;
		if (entry.fault != WALK_OK) {
			walk->fault = entry.fault;
			if (caching && sim->caches_absent && entry.fault == WALK_FAULT_NOT_PRESENT)
				remember_absent(domain, iova, level);
			return;
		}
		prot &= entry.prot;
		if (entry.kind == ENTRY_LEAF) {
			walk->shift = entry.shift;
			walk->paddr = entry.paddr + (iova & ((UINT64_C(1) << entry.shift) - 1));
			walk->prot = prot;
			return;
		}
		table = entry.paddr;
		level = entry.level;
		if (caching)
			iog_sim_walk_fill(&sim->caches, domain->id, domain->geometry, iova, level, table, prot);
	}
}

void iog_sim_walk_device(struct iog_sim_domain *domain, iog_iova_t iova, uint32_t prot, struct walk *walk)
{
	struct iog_sim *sim = domain->sim;
	const struct cache_entry *cached;
	uint32_t level, class;

	*walk = (struct walk){ .fault = WALK_OK };
	if (!address_valid(domain, iova)) {
		sim->stats.iotlb_misses++;
		walk->fault = WALK_FAULT_ADDRESS;
		return;
	}

	cached = iog_sim_iotlb_lookup(&sim->caches, domain->id, iova);
	if (cached) {
		sim->stats.iotlb_hits++;
		walk->source = SOURCE_IOTLB;
		walk->level = iotlb_entry_class(cached);
		walk->shift = iotlb_class_shift(walk->level);
		walk->paddr = cached->paddr + (iova & ((UINT64_C(1) << walk->shift) - 1));
		walk->prot = cached->prot;
		if (prot & ~walk->prot)
			walk->fault = walk->prot ? WALK_FAULT_PERMISSION : WALK_FAULT_NOT_PRESENT;
		return;
	}

	sim->stats.iotlb_misses++;
	cached = iog_sim_walk_lookup(&sim->caches, domain->id, domain->geometry, iova, domain->levels, &level);
	if (cached) {
		sim->stats.walk_hits[level]++;
		walk->source = SOURCE_WALK_CACHE + level;
		if (!cached->prot) {
			walk->level = level + 1;
			walk->fault = WALK_FAULT_NOT_PRESENT;
			return;
		}
		descend(domain, iova, cached->paddr, level, cached->prot, true, walk);
	} else {
		sim->root_walks[domain->levels]++;
		descend(domain, iova, domain->root, domain->levels - 1, IOG_PROT_READ | IOG_PROT_WRITE, true, walk);
	}
	if (walk->fault != WALK_OK)
		return;
	if (prot & ~walk->prot) {
		walk->fault = WALK_FAULT_PERMISSION;
		return;
	}
	/* Only what allowed an access is remembered. */
	class = iotlb_class_within(walk->shift);
	iog_sim_iotlb_fill(&sim->caches, domain->id, iova, class, walk->paddr & ~((UINT64_C(1) << iotlb_class_shift(class)) - 1), walk->prot);
}

void iog_sim_walk_memory(struct iog_sim_domain *domain, iog_iova_t iova, struct walk *walk)
{
	*walk = (struct walk){ .fault = WALK_OK };
	if (!address_valid(domain, iova))
		walk->fault = WALK_FAULT_ADDRESS;
	else
		descend(domain, iova, domain->root, domain->levels - 1, IOG_PROT_READ | IOG_PROT_WRITE, false, walk);
}

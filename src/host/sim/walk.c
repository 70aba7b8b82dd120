/* SPDX-License-Identifier: MIT */
/*
 * Decoders and walker of the simulated unit. See walk.h.
 */
#include <stdatomic.h>

#include "internal.h"

/* Bits 51:12 of an entry of either format. */
#define ENTRY_ADDRESS UINT64_C(0x000ffffffffff000)

/*
 * VT-d 9.8, second-stage entries. X (bit 2) only matters to units with execute requests, and so do bits 6:3 of leaves to memory types, 8
 * and 9 to accessed and dirty, 11 to snooping: none refuses an access here.
 */
#define SS_R (UINT64_C(1) << 0)
#define SS_W (UINT64_C(1) << 1)
#define SS_PS (UINT64_C(1) << 7)

/* VT-d 9.7, first-stage entries, which are those of x86-64. */
#define FS_P (UINT64_C(1) << 0)
#define FS_RW (UINT64_C(1) << 1)
#define FS_US (UINT64_C(1) << 2)
#define FS_PS (UINT64_C(1) << 7)

/* Level of the largest leaf, 1 GiB, in both formats. */
#define LEAF_LEVEL_MAX 2

enum entry_kind {
	ENTRY_TABLE,
	ENTRY_LEAF,
};

struct decoded {
	enum walk_fault fault;
	enum entry_kind kind;
	iog_paddr_t paddr;
	uint32_t prot;
};

/*
 * Address and kind, common to both: a leaf at level 0, or where bit 7 says so; bit 7 is reserved above the largest leaf, address bits
 * below the page size in a leaf.
 */
static struct decoded decode_address(uint64_t entry, bool page_size, uint32_t level, uint64_t reserved, uint32_t prot)
{
	struct decoded decoded = { WALK_OK, ENTRY_TABLE, entry & ENTRY_ADDRESS, prot };

	if (entry & reserved)
		decoded.fault = WALK_FAULT_RESERVED;
	if (!level) {
		decoded.kind = ENTRY_LEAF;
	} else if (page_size) {
		decoded.kind = ENTRY_LEAF;
		/* Bit 12 of a large leaf of x86-64 is the PAT bit; no memory type is used here, so it has to be clear like the rest. */
		if (level > LEAF_LEVEL_MAX || decoded.paddr & ((UINT64_C(1) << (12 + 9 * level)) - 1))
			decoded.fault = WALK_FAULT_RESERVED;
	}
	return decoded;
}

static struct decoded decode_vtdss(uint64_t entry, uint32_t level, uint64_t reserved)
{
	uint32_t prot = (entry & SS_R ? IOG_PROT_READ : 0) | (entry & SS_W ? IOG_PROT_WRITE : 0);

	if (!prot)
		return (struct decoded){ .fault = WALK_FAULT_NOT_PRESENT };
	return decode_address(entry, entry & SS_PS, level, reserved, prot);
}

static struct decoded decode_x86_64(uint64_t entry, uint32_t level, uint64_t reserved)
{
	struct decoded decoded;

	if (!(entry & FS_P))
		return (struct decoded){ .fault = WALK_FAULT_NOT_PRESENT };
	decoded = decode_address(entry, entry & FS_PS, level, reserved, IOG_PROT_READ | (entry & FS_RW ? IOG_PROT_WRITE : 0));
	/* Devices' requests are user requests: every level has to allow them. */
	if (decoded.fault == WALK_OK && !(entry & FS_US))
		decoded.fault = WALK_FAULT_SUPERVISOR;
	return decoded;
}

static struct decoded decode(const struct iog_sim_domain *domain, uint64_t entry, uint32_t level)
{
	return domain->format == WALK_VTDSS ? decode_vtdss(entry, level, domain->reserved) : decode_x86_64(entry, level, domain->reserved);
}

/* Whether the address can be expressed. A canonical one has all bits from ias - 1 upwards alike. */
static bool address_valid(const struct iog_sim_domain *domain, iog_iova_t iova)
{
	if (domain->sign_extended) {
		uint64_t top = iova >> (domain->ias - 1);

		return !top || top == UINT64_MAX >> (domain->ias - 1);
	}
	return domain->ias == 64 || !(iova >> domain->ias);
}

static uint64_t read_entry(const struct iog_sim *sim, iog_paddr_t table, iog_iova_t iova, uint32_t level)
{
	const _Atomic uint64_t *entries = (const _Atomic uint64_t *)(uintptr_t)(table + sim->direct_map_offset);

	/* Pairs with the release by which the library links a table. */
	return atomic_load_explicit(&entries[iova >> (12 + 9 * level) & 511], memory_order_acquire);
}

/* From a table of @level down. @caching: fill the walk caches and count. */
static inline void descend(struct iog_sim_domain *domain, iog_iova_t iova, iog_paddr_t table, uint32_t level, uint32_t prot, bool caching,
			   struct walk *walk)
{
	struct iog_sim *sim = domain->sim;

	for (;;) {
		struct decoded entry;

		walk->table = table;
		walk->level = level;
		if (!iog_sim_table_readable(domain, table)) {
			walk->fault = WALK_FAULT_FREED_TABLE;
			return;
		}
		entry = decode(domain, read_entry(sim, table, iova, level), level);
		if (caching)
			sim->stats.walk_reads++;
		if (entry.fault != WALK_OK) {
			walk->fault = entry.fault;
			return;
		}
		prot &= entry.prot;
		if (entry.kind == ENTRY_LEAF) {
			walk->paddr = entry.paddr + (iova & ((UINT64_C(1) << (12 + 9 * level)) - 1));
			walk->prot = prot;
			return;
		}
		table = entry.paddr;
		level--;
		if (caching)
			iog_sim_walk_fill(&sim->caches, domain->id, iova, level, table, prot);
	}
}

void iog_sim_walk_device(struct iog_sim_domain *domain, iog_iova_t iova, uint32_t prot, struct walk *walk)
{
	struct iog_sim *sim = domain->sim;
	const struct cache_entry *cached;
	uint32_t level;

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
		walk->paddr = cached->paddr + (iova & ((UINT64_C(1) << iotlb_class_shift(walk->level)) - 1));
		walk->prot = cached->prot;
		if (prot & ~walk->prot)
			walk->fault = WALK_FAULT_PERMISSION;
		return;
	}

	sim->stats.iotlb_misses++;
	cached = iog_sim_walk_lookup(&sim->caches, domain->id, iova, domain->levels, &level);
	if (cached) {
		sim->stats.walk_hits[level]++;
		walk->source = SOURCE_WALK_CACHE + level;
		descend(domain, iova, cached->paddr, level, cached->prot, true, walk);
	} else {
		sim->stats.walk_misses++;
		descend(domain, iova, domain->root, domain->levels - 1, IOG_PROT_READ | IOG_PROT_WRITE, true, walk);
	}
	if (walk->fault != WALK_OK)
		return;
	if (prot & ~walk->prot) {
		walk->fault = WALK_FAULT_PERMISSION;
		return;
	}
	/* Only what allowed an access is remembered. */
	iog_sim_iotlb_fill(&sim->caches, domain->id, iova, walk->level,
			   walk->paddr & ~((UINT64_C(1) << iotlb_class_shift(walk->level)) - 1), walk->prot);
}

void iog_sim_walk_memory(struct iog_sim_domain *domain, iog_iova_t iova, struct walk *walk)
{
	*walk = (struct walk){ .fault = WALK_OK };
	if (!address_valid(domain, iova))
		walk->fault = WALK_FAULT_ADDRESS;
	else
		descend(domain, iova, domain->root, domain->levels - 1, IOG_PROT_READ | IOG_PROT_WRITE, false, walk);
}

/* SPDX-License-Identifier: MIT */
/*
 * How the unit reads page tables: its own decoders (formats.c), written from the specifications and sharing nothing with the library's.
 *
 * Tables change while they are walked: each entry is read once, as a whole. Acquire, which pairs with the release by which a table is
 * linked: whoever sees the link sees the table's contents.
 */
#ifndef IOG_SIM_WALK_H
#define IOG_SIM_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include <iogate/types.h>

struct iog_sim;
struct iog_sim_domain;

enum walk_fault {
	WALK_OK,
	WALK_FAULT_ADDRESS, /* beyond the input address width, or not canonical */
	WALK_FAULT_NOT_PRESENT,
	WALK_FAULT_RESERVED, /* a bit is set that has to be clear */
	WALK_FAULT_PERMISSION,
	WALK_FAULT_SUPERVISOR,  /* the user bit is clear somewhere */
	WALK_FAULT_UNCLEAN,     /* a line of the next table has never been written back */
	WALK_FAULT_FREED_TABLE, /* the next table has been given back, or was never handed out; it was not read */
};

/* Where the translation came from. */
enum walk_source {
	SOURCE_ROOT, /* tables only, from the root */
	SOURCE_IOTLB,
	SOURCE_DEVICE_TLB,
	SOURCE_WALK_CACHE, /* plus the level of the table that the cached pointer led to */
};

enum walk_entry_kind {
	ENTRY_TABLE,
	ENTRY_LEAF,
};

/* An entry, taken apart. */
struct walk_entry {
	enum walk_fault fault;
	enum walk_entry_kind kind;
	uint32_t level;    /* ENTRY_TABLE: of the table that it leads to */
	uint32_t shift;    /* ENTRY_LEAF: log2 of the bytes */
	iog_paddr_t paddr;
	uint32_t prot;     /* READ and WRITE */
};

/* A format, as the unit knows it. */
struct walk_format {
	const char *name;
	uint32_t granule_shift;
	uint32_t level_bits;
	uint32_t root_bits; /* index bits that a root may have more than other tables */
	uint32_t levels_min;
	uint32_t levels_max;
	uint32_t oas_max;
	uint32_t implied;   /* permissions that entries cannot refuse */
	struct walk_entry (*decode)(const struct walk_format *format, uint64_t entry, uint32_t level);
	bool stage2;        /* Armv8 */
	bool lpa2;
};

/* By name, or NULL. */
const struct walk_format *iog_sim_walk_format(const char *name);

struct walk {
	iog_paddr_t paddr; /* of the address asked for; valid if WALK_OK or WALK_FAULT_PERMISSION */
	iog_paddr_t table; /* the last table read, or the one that could not be; 0 with SOURCE_IOTLB */
	uint32_t prot;     /* READ and WRITE: what the walk allows; same validity as @paddr */
	uint32_t source;   /* SOURCE_WALK_CACHE + n: a cached pointer to a table of level n */
	uint32_t level;    /* of the entry that ended the walk; with SOURCE_IOTLB, its class */
	uint32_t shift;    /* log2 of the bytes of the leaf */
	enum walk_fault fault;
};

/**
 * iog_sim_walk_device() - translate as the unit does, through its caches, filling them and counting.
 * @domain: the domain.
 * @iova: any address.
 * @prot: what the access wants, READ and WRITE.
 * @walk: result.
 */
void iog_sim_walk_device(struct iog_sim_domain *domain, iog_iova_t iova, uint32_t prot, struct walk *walk);

/**
 * iog_sim_walk_memory() - what the tables in memory say now: no cache is asked, filled, or counted.
 * @domain: the domain.
 * @iova: any address.
 * @walk: result; WALK_OK if a leaf is there, whatever it permits.
 */
void iog_sim_walk_memory(struct iog_sim_domain *domain, iog_iova_t iova, struct walk *walk);

#endif

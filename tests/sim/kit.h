/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the simulated IOMMU share: an arena of table memory, tables built by hand (not by the library under test elsewhere),
 * a unit on top of them, and a record of the violations it reports.
 */
#ifndef IOG_TESTS_SIM_KIT_H
#define IOG_TESTS_SIM_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <iogate/error.h>
#include <iogate/host/sim.h>

#include "../seed.h"

#define KIT_PAGES 512
#define KIT_PADDR_BASE UINT64_C(0x7100000000)
#define KIT_VIOLATIONS 64

#define KIT_RW (IOG_PROT_READ | IOG_PROT_WRITE)

struct kit_shape {
	const char *format;
	uint32_t levels;
	uint32_t ias;
	uint32_t flags; /* enum iog_pgtable_flags */
};

struct kit {
	unsigned char *arena;
	uint32_t used; /* pages of the arena handed out */
	struct iog_platform plain;
	struct iog_platform observed;

	struct kit_shape shape;
	uint64_t *root;
	struct iog_pgtable_root description;
	struct iog_sim *sim;
	struct iog_sim_domain *domain;

	uint32_t nr_violations;
	struct iog_sim_violation violations[KIT_VIOLATIONS];
	char details[KIT_VIOLATIONS][512];
	/* Called on each violation, if set. */
	void (*on_violation)(struct kit *kit);
};

extern const struct kit_shape kit_vtdss_48;
extern const struct kit_shape kit_x86_64_48;

/* The clock of the units that kit_create() makes from now on; NULL: the process's. */
extern uint64_t (*kit_now_ns)(void *ctx);

/* A unit with one domain, id 1, and an empty root. @config may be NULL; its violation callback is the kit's. */
void kit_create(struct kit *kit, const struct kit_shape *shape, const struct iog_sim_config *config);
void kit_destroy(struct kit *kit);

/* Further domains on tables of the same arena. */
struct iog_sim_domain *kit_domain(struct kit *kit, uint32_t id, uint64_t *root);

/* A page of the arena, zeroed; as the root of another table, or as memory for a device. */
uint64_t *kit_page(struct kit *kit);
uint64_t kit_paddr(const struct kit *kit, const void *page);

/* A table out of stock, and back. */
uint64_t *kit_table_take(struct kit *kit);
void kit_table_free(struct kit *kit, uint64_t *table);

/* Entries as the shape's format wants them, with every permission for tables. */
uint64_t kit_entry_table(const struct kit *kit, const uint64_t *table);
uint64_t kit_entry_leaf(const struct kit *kit, uint64_t paddr, uint32_t level, uint32_t prot);

/* The entry for @iova in the table of @level, built down to there from @root as needed. */
uint64_t *kit_slot_from(struct kit *kit, uint64_t *root, uint64_t iova, uint32_t level);
uint64_t *kit_slot(struct kit *kit, uint64_t iova, uint32_t level);

/* One atomic store, as the library does it. */
void kit_store(uint64_t *slot, uint64_t entry);

/* A 4 KiB leaf, and none. The judge is not told. */
void kit_map(struct kit *kit, uint64_t iova, uint64_t paddr, uint32_t prot);
void kit_unmap(struct kit *kit, uint64_t iova);

/* An access that has to land at @paddr, or to fault. */
void kit_lands(struct kit *kit, uint64_t iova, uint32_t prot, uint64_t paddr);
void kit_faults(struct kit *kit, uint64_t iova, uint32_t prot);

/* One range and a wait. */
void kit_invalidate(struct kit *kit, uint64_t iova, uint64_t size, bool leaf_only);

struct iog_sim_stats kit_stats(struct kit *kit);

/* The judge has reported nothing since the last look; or one violation, of this kind, with these words in its detail. */
void kit_no_violation(struct kit *kit);
void kit_violation(struct kit *kit, enum iog_sim_violation_kind kind, const char *words);

#endif

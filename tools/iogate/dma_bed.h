/* SPDX-License-Identifier: MIT */
/*
 * A device in a domain with all it needs to run: a platform, table memory, a unit. The unit is a simulated IOMMU that walks and judges, or one that only counts.
 *
 * Physical addresses of buffers are up to the caller: nothing here reads or writes them.
 */
#ifndef IOGATE_TOOL_DMA_BED_H
#define IOGATE_TOOL_DMA_BED_H

#include <stdbool.h>
#include <stdint.h>

#include <iogate/dma.h>
#include <iogate/domain.h>
#include <iogate/host/posix.h>
#include <iogate/host/sim.h>
#include <iogate/pgtable.h>
#include <iogate/tablemem.h>

#include "message.h"

struct counting_unit;

/* The device's number behind its unit. */
#define DMA_BED_DEVICE 1

struct dma_bed_config {
	const char *format;
	enum iog_reclaim reclaim;
	const char *policy; /* by name */
	enum iog_inval_mode mode;
	const struct iog_hold_ops *hold;
	void *hold_ctx;
	bool simulate;         /* by a unit that walks through its caches */
	bool judge;            /* and keeps account of what should land; wants @simulate */
	bool split;            /* large leaves may be unmapped in part */
	bool paced;            /* by the clock of pace.h */
	const struct iog_sim_config *hardware; /* of the simulated unit, as it is; NULL: by default, as @judge and @policy have it */
	uint32_t device_flags; /* enum iog_device_flags */
	uint32_t ats_entries;  /* of the device's own TLB, with IOG_DEVICE_ATS */
	uint64_t page_sizes;   /* leaf sizes; 0: all of the format's */
	const struct iog_memory *memory; /* static 1:1; NULL: none */
	uint32_t lanes;
	uint64_t memory_limit; /* as in struct engine_config */
};

struct dma_bed {
	struct iog_posix *posix;
	struct iog_platform platform; /* what table memory uses */
	struct iog_sim *sim;          /* NULL without */
	struct iog_sim_domain *seen;  /* the domain as the judge sees it */
	struct counting_unit *counting;
	struct iog_unit *unit; /* of one of the two */
	struct iog_tablemem *tablemem;
	struct iog_domain *domain;
	struct iog_device *device;
	uint32_t nr_lanes;
};

/* Returns 0; or a negative iogate error with @problem set and nothing left to destroy. */
int dma_bed_create(const struct dma_bed_config *config, struct dma_bed *bed, struct problem *problem);

/* Whatever is mapped. Returns the bytes of the platform's memory that did not come back, which is 0 unless the library is wrong. */
uint64_t dma_bed_destroy(struct dma_bed *bed);

/* Give back what lanes keep: addresses, windows, tables. Lanes must be at rest. Returns 0 or a negative iogate error. */
int dma_bed_trim(struct dma_bed *bed);

#endif

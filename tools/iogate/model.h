/* SPDX-License-Identifier: MIT */
/*
 * IOMMUs that QEMU models, under their drivers: what --device qemu:NAME asks for. Page tables lie in a guest's memory, invalidations go to the model through the driver, and edu devices move data.
 */
#ifndef IOGATE_TOOL_MODEL_H
#define IOGATE_TOOL_MODEL_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include <iogate/fault.h>
#include <iogate/gather.h>
#include <iogate/host/qtest.h>
#include <iogate/pgtable.h>
#include <iogate/unit.h>

#include "message.h"

struct model;

/* What a driver has counted. */
struct model_counts {
	uint64_t mmio_reads, mmio_writes;
	uint64_t commands; /* of ranges and domains */
	uint64_t waits;
	uint64_t faults;
};

/* A unit, used in one way. */
struct model_kind {
	const char *name;   /* behind "qemu:" */
	const char *format; /* of its page tables. The first kind of a name has the format that is meant when none is given */
	uint32_t ias; /* address bits of its page tables; 0: as others have */
	uint64_t iova_limit; /* where addresses end that devices can use */
	bool silent;        /* it records no fault when a page table refuses an access */
	struct iog_qtest_config machine;
	const char *package; /* of Debian's, that has its QEMU */
	uint32_t device; /* number of the edu device */
	/* The driver, enabled, into model->driver and model->unit. 0 or an error. */
	int (*start)(struct model *model);
	void (*stop)(struct model *model);
	void (*counts)(const struct model *model, struct model_counts *counts);
	/* Take fault records. */
	void (*interrupt)(struct model *model);
	/* Leaf sizes that the unit walks; 0: all that the format has. */
	uint64_t (*page_sizes)(const struct model *model);
};

struct model {
	const struct model_kind *kind;
	struct iog_qtest *qtest;
	void *driver;
	struct iog_unit *unit;
	bool attached;
	bool cpus_known;
	cpu_set_t cpus; /* where the thread may run that started it */
	struct iog_fault fault; /* the last */
	struct model_counts before; /* when the run began */
	uint64_t landed, faulted;
	pthread_mutex_t mutex; /* one access at a time */
};

/* The kind that is called so, or NULL; by @format, or NULL for the first. */
const struct model_kind *model_find(const char *name, const char *format);
/* All names, for messages: "qemu:vtd, qemu:smmuv3". */
const char *model_names(void);

/* Start QEMU and the driver, for @lanes threads: with one, it and its children share a CPU until model_stop(). 0; or a negative iogate error with @problem set: -IOG_ENOENT when the machine has no such QEMU. */
int model_start(const struct model_kind *kind, uint32_t lanes, struct model *model, struct problem *problem);
void model_stop(struct model *model);

/* Guest memory, of which tables may take most. */
#define MODEL_MEMORY (UINT64_C(64) << 20)

/* The device is translated by these tables from now on. */
int model_attach(struct model *model, const struct iog_pgtable_root *root, struct problem *problem);

/* Not any more: no hardware uses the tables. */
void model_detach(struct model *model);

/* iog_flush_fn's work. */
int model_flush(struct model *model, const struct iog_gather *gather);

/*
 * One access of the device each way: what the CPU wrote to @page is read by it at @iova, and written back. True if it came back.
 */
bool model_access_lands(struct model *model, uint64_t iova, volatile uint64_t *page, uint64_t value);

/* A write at @iova, where nothing is mapped any more: @page stays as it is, and the unit records the fault, if its kind does. */
bool model_access_faults(struct model *model, uint64_t iova, volatile uint64_t *page);

/* Since model_attach(). */
void model_counts(const struct model *model, struct model_counts *counts);

extern const struct model_kind model_vtd, model_vtd_first, model_amdvi, model_smmuv3, model_smmuv3_stage2, model_riscv, model_riscv_second, model_virtio,
	model_virtio_amdv1;

#endif

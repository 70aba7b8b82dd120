/* SPDX-License-Identifier: MIT */
/*
 * A register file that behaves like a RISC-V IOMMU's as far as its driver can tell: it takes commands and keeps a record of them, answers fences, and misbehaves on request. It translates nothing.
 */
#ifndef IOG_TESTS_HW_RV_MODEL_H
#define IOG_TESTS_HW_RV_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>

#include <cmocka.h>

#include <iogate/error.h>
#include <iogate/gather.h>
#include <iogate/host/posix.h>
#include <iogate/hw/riscv.h>
#include <iogate/pgtable.h>
#include <iogate/platform.h>
#include <iogate/unit.h>

#include "hw/riscv/registers.h"

#define MODEL_BASE ((uintptr_t)0x60000000)
#define MODEL_LOG 65536

struct model {
	struct iog_posix *posix;
	struct iog_platform platform;
	pthread_mutex_t lock;
	uint8_t registers[1024];
	uint64_t now, step;
	uint32_t most_levels; /* of the directory that it can walk */

	uint64_t log[MODEL_LOG][2];
	uint32_t nr_log;
	uint32_t fences;
	uint32_t doorbells;
	uint32_t reads; /* of registers */
	uint32_t cleans;

	/* Misbehaviour. */
	bool deaf;             /* takes no command */
	bool mute;             /* control registers do not change */
	bool dead;             /* reads as all ones */
	uint32_t refuse;       /* opcode and func3 that stop the queue... */
	uint32_t refuse_times; /* ... so often */
	uint32_t refuse_error; /* CQCSR_* */
	/* Called when a fence is taken, with what it makes sure of in force. */
	void (*at_fence)(struct model *model);
	void *ctx;
};

void model_init(struct model *model);
void model_fini(struct model *model);
uint32_t model_count(const struct model *model, uint32_t command);
void model_forget(struct model *model);
/* The unit reports something: false if the queue is full, and then it has overflowed. */
bool model_fault(struct model *model, const uint64_t record[4]);
/* What the unit's tables say of a device: its context; NULL if there is none. */
const uint64_t *model_context(struct model *model, uint32_t device);
uint32_t *model_register(struct model *model, uint32_t offset);
uint64_t *model_register64(struct model *model, uint32_t offset);

#endif

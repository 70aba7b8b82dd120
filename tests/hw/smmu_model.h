/* SPDX-License-Identifier: MIT */
/*
 * A register file that behaves like an SMMUv3's as far as its driver can tell: it takes commands and keeps a record of them, and misbehaves on request. It translates nothing.
 */
#ifndef IOG_TESTS_HW_SMMU_MODEL_H
#define IOG_TESTS_HW_SMMU_MODEL_H

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
#include <iogate/hw/smmuv3.h>
#include <iogate/pgtable.h>
#include <iogate/platform.h>
#include <iogate/tablemem.h>
#include <iogate/unit.h>

#include "hw/smmuv3/registers.h"

#define MODEL_BASE ((uintptr_t)0x50000000)
#define MODEL_LOG 65536

struct model {
	struct iog_posix *posix;
	struct iog_platform platform;
	pthread_mutex_t lock;
	uint32_t registers[0x200 / 4];
	uint32_t page1[0x200 / 4];
	uint64_t base64[3]; /* STRTAB, CMDQ, EVENTQ */
	uint64_t now;       /* ns; moves by itself */
	uint64_t step;
	bool own_clock;

	uint64_t log[MODEL_LOG][2];
	uint32_t nr_log;
	uint32_t syncs;
	uint32_t doorbells;
	uint32_t cleans;

	/* Misbehaviour. */
	bool deaf;             /* takes no command */
	bool mute;             /* control registers are not acknowledged */
	bool dead;             /* reads as all ones */
	uint32_t lazy;         /* takes so many commands each time that CONS is read, and none at the doorbell; 0: all at once */
	uint32_t refuse;       /* opcode that is illegal... */
	uint32_t refuse_times; /* ... so often */
	uint32_t refuse_error; /* CERROR_* */
	/* Called when a CMD_SYNC is taken, with what it makes sure of in force. */
	void (*at_sync)(struct model *model);
	void *ctx;
};

/* A unit with everything in; change model->registers before creating a driver. */
void model_init(struct model *model);
void model_fini(struct model *model);

/* Commands since the last call of model_forget(), CMD_SYNC among them, of an opcode. */
uint32_t model_count(const struct model *model, uint32_t opcode);
void model_forget(struct model *model);

/* The unit reports something: false if the queue is full, and then it has overflowed. */
bool model_event(struct model *model, const uint64_t event[4]);

/* What the unit's tables say of a stream: its entry; NULL if there is none. */
const uint64_t *model_entry(struct model *model, uint32_t stream);

#endif

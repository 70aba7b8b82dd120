/* SPDX-License-Identifier: MIT */
/*
 * What the models of units with a command queue have in common: a host, a clock that moves by being looked at, a record of the commands that were taken, and misbehaviour on request. A model behaves like its unit as far
 * as a driver can tell; it translates nothing. Which one it is, is told by what it is linked with: smmu_model.c or rv_model.c.
 */
#ifndef IOG_TESTS_HW_MODEL_H
#define IOG_TESTS_HW_MODEL_H

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
#include <iogate/pgtable.h>
#include <iogate/platform.h>
#include <iogate/unit.h>

#define MODEL_BASE ((uintptr_t)0x50000000)
#define MODEL_LOG 65536

struct model {
	struct iog_posix *posix;
	struct iog_platform platform;
	pthread_mutex_t lock;
	uint64_t registers[1024 / 8];
	uint64_t now, step; /* ns */

	uint64_t log[MODEL_LOG][2];
	uint32_t nr_log;
	uint32_t fences;
	uint32_t doorbells;
	uint32_t reads; /* of registers */
	uint32_t cleans;

	/* Misbehaviour. */
	bool deaf;             /* takes no command */
	bool mute;             /* control registers do not change, or are not acknowledged */
	bool dead;             /* reads as all ones */
	uint32_t refuse;       /* the command that stops the queue... */
	uint32_t refuse_times; /* ... so often */
	uint32_t refuse_error; /* ... and how */
	/* Called when a fence is taken, with what it makes sure of in force. */
	void (*at_fence)(struct model *model);
	void *ctx;

	/* SMMUv3's. */
	uint32_t page1[0x200 / 4];
	uint64_t base64[3]; /* STRTAB, CMDQ, EVENTQ */
	uint32_t lazy;      /* takes so many commands each time that CONS is read, and none at the doorbell; 0: all at once */

	/* RISC-V's. */
	uint32_t most_levels; /* of the directory that it can walk */
};

/* A unit with everything in; change its registers before creating a driver. */
void model_init(struct model *model);
void model_fini(struct model *model);

/* Commands since the last call of model_forget(), fences among them, that are @command in the bits of model_command_mask. */
uint32_t model_count(const struct model *model, uint64_t command);
void model_forget(struct model *model);

/* The unit reports something: false if the queue is full, and then it has overflowed. */
bool model_event(struct model *model, const uint64_t event[4]);

/* What the unit's tables say of a device: its entry; NULL if there is none. */
const uint64_t *model_entry(struct model *model, uint32_t device);

static inline uint32_t *model_register(struct model *model, uint32_t offset)
{
	return (uint32_t *)(void *)((uint8_t *)model->registers + offset);
}

static inline uint64_t *model_register64(struct model *model, uint32_t offset)
{
	return &model->registers[offset / 8];
}

static inline void *model_memory(const struct model *model, uint64_t paddr)
{
	return (void *)(uintptr_t)(paddr + model->platform.direct_map_offset);
}

/* For the models themselves. */
extern const uint64_t model_command_mask;
/* All but registers, and the platform's accessors of those. */
void model_host_init(struct model *model);
/* A command is taken, but for fences' effects. */
void model_record(struct model *model, const uint64_t command[2], bool fence);

#endif

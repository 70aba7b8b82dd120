/* SPDX-License-Identifier: MIT */
/*
 * An AMD-Vi unit that is only registers and a command buffer: it carries out nothing, records every command, answers waits, and misbehaves on request.
 *
 * Addresses are this process's own. Its clock moves by a microsecond each time that somebody looks at it, so that deadlines come without waiting.
 */
#ifndef TESTS_HW_AMDVI_FAKE_H
#define TESTS_HW_AMDVI_FAKE_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <iogate/error.h>
#include <iogate/gather.h>
#include <iogate/hw/amdvi.h>
#include <iogate/pgtable.h>
#include <iogate/platform.h>
#include <iogate/unit.h>

#include "hw/amdvi/amdvi.h"

#define FAKE_LOG 4096
#define FAKE_WRITES 256
#define FAKE_BASE 0x1000000
#define FAKE_CAPABILITY (AMDVI_CAP_EFR_SUP | AMDVI_CAP_IOTLB_SUP | 0x0f)
/* Six levels for hosts, guests with four, requests without PASID by them, INVALIDATE_IOMMU_ALL. */
#define FAKE_FEATURES (AMDVI_EFR_GT_SUP | AMDVI_EFR_IA_SUP | AMDVI_EFR_GIO_SUP | UINT64_C(2) << 10)

struct fake_write {
	uint32_t offset;
	uint64_t value;
};

struct fake {
	struct iog_platform platform;
	pthread_mutex_t lock;
	uint64_t registers[0x2100 / 8];
	_Atomic uint64_t now;
	_Atomic size_t bytes; /* handed out */
	int refuse_after;  /* allocations that succeed before one fails; -1: all */

	/* Commands in the order of the buffer, and register writes. */
	struct amdvi_command log[FAKE_LOG];
	_Atomic uint32_t logged;
	struct fake_write writes[FAKE_WRITES];
	uint32_t written;

	/* Misbehaviour. */
	bool gone;	       /* reads as ones */
	bool held;	       /* takes no command */
	bool stuck_running;    /* the status keeps saying so */
	uint32_t lose_waits;   /* so many are not answered */
	uint32_t stop_at;      /* this opcode stops it, once; 0: none */
	uint32_t tlb_silent;   /* this device's TLB does not answer; 0: none */
	bool tell_late;	       /* announces events before they are there */
	void (*tail_seen)(struct fake *fake); /* the tail of the event log has been read */
	void (*status_seen)(struct fake *fake); /* and the status */
	void (*command_seen)(struct fake *fake, const struct amdvi_command *command); /* before it is carried out */
	void *ctx;
	uint64_t late_answer;  /* number of a wait that was lost */
	uint64_t *late_at;
};

void fake_init(struct fake *fake);
/* Nothing is handed out any more. */
void fake_fini(struct fake *fake);
/* Carry out what is in the buffer, with the lock held or alone. */
void fake_run(struct fake *fake);
/* Put an event into the log, as hardware does: false when that is full or off. */
bool fake_event(struct fake *fake, uint64_t low, uint64_t high);

struct iog_amdvi_config fake_config(struct fake *fake);
struct iog_amdvi *fake_driver(struct fake *fake);
/* Enabled, with domains 1 (host, 4 levels, root 0x123000) and 2 (guest, root 0x456000), and the log empty. */
struct iog_amdvi *fake_ready(struct fake *fake);
void fake_done(struct iog_amdvi *amdvi);

static inline uint64_t *fake_entry(struct iog_amdvi *amdvi, uint32_t device)
{
	return amdvi->table + (size_t)4 * device;
}

#endif

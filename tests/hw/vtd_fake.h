/* SPDX-License-Identifier: MIT */
/*
 * A VT-d unit of registers alone: it records what it is told, answers as hardware does, and misbehaves on demand. It remembers no translations. Time passes by being looked at.
 */
#ifndef TESTS_HW_VTD_FAKE_H
#define TESTS_HW_VTD_FAKE_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <iogate/error.h>
#include <iogate/gather.h>
#include <iogate/host/posix.h>
#include <iogate/hw/vtd.h>
#include <iogate/pgtable.h>
#include <iogate/platform.h>
#include <iogate/tablemem.h>
#include <iogate/unit.h>

#include "hw/vtd/descriptor.h"
#include "hw/vtd/registers.h"

#define FAKE_BASE UINT64_C(0xfed90000)
#define FAKE_SIZE 0x1000
#define FAKE_IRO 0x100
#define FAKE_FRO 0x200
#define FAKE_RECORDS 4
#define FAKE_DEVICE IOG_VTD_DEVICE(0, 2, 3, 1)
#define FAKE_SID 0x0219
#define FAKE_LOG 4096

/* Second stage with 39 and 48 bits, 65536 domains, ranges up to 2^9 pages, draining, four fault records; a queue, pass-through, snooped. */
#define FAKE_CAP (UINT64_C(6) | UINT64_C(6) << 8 | UINT64_C(47) << 16 | (uint64_t)(FAKE_FRO / 16) << 24 | VTD_CAP_SSLPS_2M | VTD_CAP_PSI | (uint64_t)(FAKE_RECORDS - 1) << 40 | \
		  UINT64_C(9) << 48 | VTD_CAP_DWD | VTD_CAP_DRD)
#define FAKE_ECAP (VTD_ECAP_C | VTD_ECAP_SC | VTD_ECAP_QI | VTD_ECAP_PT | (uint64_t)(FAKE_IRO / 16) << 8)
#define FAKE_ECAP_SCALABLE (FAKE_ECAP | VTD_ECAP_SMTS | VTD_ECAP_SSTS | VTD_ECAP_FSTS | VTD_ECAP_SMPWCS)

struct fake_descriptor {
	uint64_t words[4];
};

struct fake {
	struct iog_platform platform;
	struct iog_posix *posix; /* where pages come from */
	pthread_mutex_t lock;
	_Atomic uint64_t now;
	uint64_t tick; /* ns per look at the clock */
	_Atomic size_t bytes, pages; /* that are out */
	uint32_t fail_in; /* the nth allocation from now on fails; 0: none */

	uint8_t registers[FAKE_SIZE];
	uint32_t status;
	uint64_t root; /* as taken by SRTP */
	uint64_t irta; /* by SIRTP */
	uint32_t head; /* of the queue, slots */
	bool waiting_lost; /* waits are not answered until errors are cleared */

	/* Misbehaviour. */
	bool deaf;       /* does not do what GCMD says */
	bool stalled;    /* does not read its queue, or do what registers say */
	bool gone;       /* reads as ones */
	uint32_t lose;   /* so many waits are carried out and not answered */
	uint32_t choke;  /* the nth descriptor from now on is not understood, as long as it stands where it does; 0: none */
	struct fake_descriptor choked;
	uint32_t choked_at; /* the slot, plus one; 0: none */
	uint32_t mute_sid; /* this device does not answer; 0: none */
	bool refuse;     /* registers say that nothing was done */

	/* What it was told: waits apart. */
	struct fake_descriptor log[FAKE_LOG];
	uint32_t logged;
	uint32_t waits, flushes, root_sets;
	bool was_off; /* translation was turned off at some time */
	_Atomic uint32_t by_id[65536]; /* IOTLB commands */
	void (*seen)(struct fake *fake); /* before a command is carried out */
	uint64_t observed[8]; /* by @seen */
};

void fake_init(struct fake *fake, uint64_t cap, uint64_t ecap);
/* Everything has come back. */
void fake_fini(struct fake *fake);

uint64_t fake_get64(const struct fake *fake, uint32_t offset);
void fake_set64(struct fake *fake, uint32_t offset, uint64_t value);
uint32_t fake_get32(const struct fake *fake, uint32_t offset);
void fake_set32(struct fake *fake, uint32_t offset, uint32_t value);

/* Read the queue, unless it is stalled. */
void fake_run(struct fake *fake);

/* What is where a physical address says. */
void *fake_at(const struct fake *fake, uint64_t paddr);

/* A driver that is enabled; the log is empty. */
struct iog_vtd *fake_driver(struct fake *fake, uint32_t flags, struct iog_vtd_config *config);
/* Off, and away. */
void fake_driver_end(struct iog_vtd *vtd);

/* A record in fault register @index, by VT-d 11.4.14; the status register says so. */
void fake_fault(struct fake *fake, uint32_t index, uint64_t low, uint64_t high);

#endif

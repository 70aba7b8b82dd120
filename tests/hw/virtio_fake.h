/* SPDX-License-Identifier: MIT */
/*
 * A virtio-iommu of its own: registers over PCI or memory-mapped, a split ring, domains with mappings, endpoints. It carries out what it is told, as strictly as the specification allows it to be, records
 * every request, and misbehaves on request.
 *
 * Requests are executed by whoever rings the doorbell, or by fake_run(). Addresses are this process's own. Its clock moves by a microsecond each time that somebody looks at it.
 */
#ifndef TESTS_HW_VIRTIO_FAKE_H
#define TESTS_HW_VIRTIO_FAKE_H

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
#include <iogate/hw/virtio.h>
#include <iogate/pgtable.h>
#include <iogate/platform.h>
#include <iogate/tablemem.h>
#include <iogate/unit.h>

#include "hw/virtio/registers.h"

#define FAKE_COMMON 0x10000u
#define FAKE_NOTIFY 0x20000u
#define FAKE_ISR 0x30000u
#define FAKE_DEVICE 0x40000u
#define FAKE_MMIO 0x50000u
#define FAKE_MULTIPLIER 8u
#define FAKE_LOG 8192u
#define FAKE_DOMAINS 16u
#define FAKE_ENDPOINTS 8u
#define FAKE_FEATURES (F_INPUT_RANGE | F_DOMAIN_RANGE | F_MAP_UNMAP | F_PROBE | F_MMIO | F_BYPASS_CONFIG | F_VERSION_1 | F_ACCESS_PLATFORM)
/* Endpoints that there are: from here on. */
#define FAKE_DEVICE_0 0x18u
#define RW (IOG_PROT_READ | IOG_PROT_WRITE)
#define PAGE UINT64_C(4096)

struct fake_mapping {
	uint64_t first, last, paddr;
	uint32_t flags;
};

struct fake_domain {
	bool exists;
	bool bypass;
	uint32_t number;
	struct fake_mapping *mappings; /* in order */
	uint32_t n, room;
};

struct fake_endpoint {
	struct fake_domain *domain;
};

struct fake_request {
	uint8_t type;
	uint32_t domain, endpoint, flags;
	uint64_t first, last, paddr;
	uint8_t status;
};

struct fake_queue {
	uint32_t most, size, enabled;
	uint64_t desc, driver, device;
	uint16_t seen, used;
};

struct fake {
	struct iog_platform platform;
	pthread_mutex_t lock;
	_Atomic uint64_t now;
	_Atomic long bytes;
	_Atomic int refuse_after; /* allocations that succeed before one fails; -1: all */

	/* Registers. */
	uint64_t offered, taken;
	uint32_t offered_select, taken_select, queue_select;
	uint8_t status;
	uint8_t isr;
	uint8_t generation;
	uint8_t config[64];
	struct fake_queue queue[2];
	uint32_t statuses[16], nr_statuses; /* as they were written */
	uint32_t bypass_writes;
	uint8_t bypass_at_reset; /* as it was at the last one */

	struct fake_domain domains[FAKE_DOMAINS];
	struct fake_endpoint endpoints[FAKE_ENDPOINTS];
	uint8_t properties[512];
	uint32_t properties_bytes;

	struct fake_request log[FAKE_LOG];
	uint32_t logged;
	uint32_t doorbells;
	/* After each request, with the lock held: what may not be interrupted is looked at. */
	void (*executed)(struct fake *fake);
	void *ctx;

	/* Misbehaviour. */
	bool held;              /* nothing is taken from the ring */
	uint32_t refuse_type;   /* this type of request is refused */
	uint32_t refuse_skip;   /* after so many of it */
	uint32_t refuse_status; /* like so */
	bool refuse_once;       /* one of them; otherwise all that follow */
	uint32_t lose;          /* so many requests are executed and not answered, until fake_answer_lost() */
	uint16_t lost[64];
	uint32_t lost_len[64];
	uint32_t nr_lost;
	uint32_t bad_id;        /* the next element has this id; 0: as it should be */
	uint32_t bad_len;       /* the next element has this length; 0: as it should be */
	uint32_t bad_jump;      /* the index is so much too far */
	bool reverse;           /* what was offered together is answered from the end */
	bool stuck;             /* it is never reset */
	bool refuse_features;
	bool bypass_stuck;
	bool keeps;             /* attachments, over a reset */
	uint32_t notify_off;
};

void fake_init(struct fake *fake);
/* Nothing is handed out any more. */
void fake_fini(struct fake *fake);
struct iog_virtio_config fake_config(struct fake *fake);
struct iog_virtio *fake_driver(struct fake *fake);
/* Enabled, and the log empty. */
struct iog_virtio *fake_ready(struct fake *fake);
void fake_done(struct iog_virtio *virtio);

/* Execute what was offered. */
void fake_run(struct fake *fake);
void fake_answer_lost(struct fake *fake);
/* A fault report; false when there is no buffer for it. */
bool fake_event(struct fake *fake, uint8_t reason, uint32_t flags, uint32_t endpoint, uint64_t address);
/* NULL: there is none. By the device's number. */
struct fake_domain *fake_domain(struct fake *fake, uint32_t number);
/* What an access of the nth endpoint comes to: true and an address, or false. */
bool fake_access(const struct fake *fake, uint32_t endpoint, uint64_t iova, bool writes, uint64_t *paddr);
void fake_log_clear(struct fake *fake);
uint32_t fake_logged(const struct fake *fake, uint8_t type);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Accounts of faults, one per device, in a hash table that is never resized; the last account is shared by all devices that came too late for one.
 *
 *   seen = told + untold, in each account and in all      told_now <= per_device      extra_now <= total
 *
 * One writer at a time, which the driver sees to; counts are relaxed atomics for those who only look.
 */
#include "fault.h"

#include <stdatomic.h>
#include <stdbool.h>

#include <iogate/error.h>
#include <iogate/platform.h>

#define DEVICES_DEFAULT 256
#define DEVICES_MAX 65536
#define PER_DEVICE_DEFAULT 8
#define TOTAL_DEFAULT 64
#define INTERVAL_MS_DEFAULT 1000

struct account {
	/* The device's number plus one; 0: free. Stored once, with release, and read with acquire by iog_fault_log_device(). */
	_Atomic uint64_t device;
	_Atomic uint64_t seen;
	_Atomic uint64_t told;
	uint64_t untold_since; /* the last that was told */
	uint64_t interval;     /* that told_now is of */
	uint32_t told_now;
};

struct iog_fault_log {
	const struct iog_platform *platform;
	struct iog_fault_config config;
	uint64_t interval; /* its number */
	uint32_t extra_now;
	_Atomic uint64_t seen;
	_Atomic uint64_t told;
	_Atomic uint64_t overflows;
	struct account accounts[]; /* config.devices, and one for the rest */
};

static size_t log_bytes(uint32_t devices)
{
	return sizeof(struct iog_fault_log) + ((size_t)devices + 1) * sizeof(struct account);
}

/* Release: what was counted before is not seen later; pairs with the acquire in counts_get(). */
static void count(_Atomic uint64_t *counter)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_release);
}

int iog_fault_log_create(const struct iog_platform *platform, const struct iog_fault_config *config, struct iog_fault_log **result)
{
	struct iog_fault_log *log;
	uint32_t devices = config->devices ? config->devices : DEVICES_DEFAULT;

	if (devices > DEVICES_MAX || !platform->now_ns)
		return -IOG_EINVAL;
	log = platform->object_alloc(platform->ctx, log_bytes(devices));
	if (!log)
		return -IOG_ENOMEM;
	log->platform = platform;
	log->config = *config;
	log->config.devices = devices;
	log->config.per_device = config->per_device ? config->per_device : PER_DEVICE_DEFAULT;
	log->config.total = config->total ? config->total : TOTAL_DEFAULT;
	log->config.interval_ms = config->interval_ms ? config->interval_ms : INTERVAL_MS_DEFAULT;
	*result = log;
	return 0;
}

void iog_fault_log_destroy(struct iog_fault_log *log)
{
	if (log)
		log->platform->object_free(log->platform->ctx, log, log_bytes(log->config.devices));
}

/* The device's account, or where it would be; the shared one when there is no room. */
static uint32_t account_find(const struct iog_fault_log *log, uint32_t device)
{
	uint32_t devices = log->config.devices;
	uint32_t at = (uint32_t)(device * UINT64_C(0x9e3779b97f4a7c15) >> 32) % devices;

	for (uint32_t n = 0; n < devices; n++, at = at + 1 < devices ? at + 1 : 0) {
		uint64_t owner = atomic_load_explicit(&log->accounts[at].device, memory_order_acquire);

		if (!owner || owner == (uint64_t)device + 1)
			return at;
	}
	return devices;
}

/* Whether the device's share allows another one; if so, it is taken. */
static bool share_take(struct iog_fault_log *log, struct account *account)
{
	uint64_t interval = log->platform->now_ns(log->platform->ctx) / 1000000 / log->config.interval_ms + 1;

	if (log->interval != interval) {
		log->interval = interval;
		log->extra_now = 0;
	}
	if (account->interval != interval) {
		account->interval = interval;
		account->told_now = 1;
		return true;
	}
	if (account->told_now >= log->config.per_device || log->extra_now >= log->config.total)
		return false;
	account->told_now++;
	log->extra_now++;
	return true;
}

void iog_fault_log_add(struct iog_fault_log *log, struct iog_unit *unit, struct iog_fault *fault)
{
	uint32_t at = account_find(log, fault->device);
	struct account *account = &log->accounts[at];

	count(&log->seen);
	count(&account->seen);
	/* Release: nothing of it but the owner is read by others before; pairs with the acquire in account_find(). */
	if (at < log->config.devices)
		atomic_store_explicit(&account->device, (uint64_t)fault->device + 1, memory_order_release);
	if (!log->config.fn || !share_take(log, account)) {
		account->untold_since++;
		return;
	}
	fault->untold = account->untold_since;
	account->untold_since = 0;
	count(&log->told);
	count(&account->told);
	log->config.fn(log->config.ctx, unit, fault);
}

void iog_fault_log_overflow(struct iog_fault_log *log)
{
	count(&log->overflows);
}

/* Told first: a fault that is counted meanwhile does not make it more than was seen. */
static void counts_get(const _Atomic uint64_t *seen, const _Atomic uint64_t *told, struct iog_fault_counts *counts)
{
	counts->told = atomic_load_explicit(told, memory_order_acquire);
	counts->seen = atomic_load_explicit(seen, memory_order_relaxed);
	counts->untold = counts->seen - counts->told;
	counts->overflows = 0;
}

void iog_fault_log_counts(const struct iog_fault_log *log, struct iog_fault_counts *counts)
{
	counts_get(&log->seen, &log->told, counts);
	counts->overflows = atomic_load_explicit(&log->overflows, memory_order_relaxed);
}

void iog_fault_log_device(const struct iog_fault_log *log, uint32_t device, struct iog_fault_counts *counts)
{
	const struct account *account = &log->accounts[account_find(log, device)];

	counts_get(&account->seen, &account->told, counts);
}

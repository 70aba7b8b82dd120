/* SPDX-License-Identifier: MIT */
/*
 * Accounts of faults: what is told, what is only counted, and that a flood of one device does not hide another.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <iogate/error.h>
#include <iogate/platform.h>

#include "hw/fault.h"

#define MS UINT64_C(1000000)

struct bed {
	struct iog_platform platform;
	uint64_t now;
	size_t bytes;
	uint32_t told[16];
	uint64_t untold; /* as the last fault that was told says */
};

static uint64_t bed_now(void *ctx)
{
	return ((struct bed *)ctx)->now;
}

static void *bed_alloc(void *ctx, size_t size)
{
	((struct bed *)ctx)->bytes += size;
	return calloc(1, size);
}

static void bed_free(void *ctx, void *object, size_t size)
{
	((struct bed *)ctx)->bytes -= size;
	free(object);
}

static void *bed_refuse(void *ctx, size_t size)
{
	(void)ctx;
	(void)size;
	return NULL;
}

static void bed_told(void *ctx, struct iog_unit *unit, const struct iog_fault *fault)
{
	struct bed *bed = ctx;

	assert_null(unit);
	assert_int_equal(fault->iova, 0x1000);
	bed->told[fault->device % 16]++;
	bed->untold = fault->untold;
}

static void bed_init(struct bed *bed)
{
	memset(bed, 0, sizeof(*bed));
	bed->now = 5 * MS;
	bed->platform = (struct iog_platform){ .ctx = bed, .object_alloc = bed_alloc, .object_free = bed_free, .now_ns = bed_now };
}

static void flood(struct iog_fault_log *log, uint32_t device, uint32_t times)
{
	while (times--) {
		struct iog_fault fault = { .device = device, .pasid = IOG_PASID_NONE, .iova = 0x1000 };

		iog_fault_log_add(log, NULL, &fault);
	}
}

static void floods(void **state)
{
	struct iog_fault_counts counts;
	struct iog_fault_log *log;
	struct bed bed;

	(void)state;
	bed_init(&bed);
	struct iog_fault_config config = { .fn = bed_told, .ctx = &bed, .devices = 8, .per_device = 4, .total = 5, .interval_ms = 100 };

	assert_int_equal(iog_fault_log_create(&bed.platform, &config, &log), 0);
	/* One device takes its share and no more. */
	flood(log, 1, 1000);
	assert_int_equal(bed.told[1], 4);
	/* Two of the five further ones are left; a device's first is told all the same. */
	flood(log, 2, 10);
	assert_int_equal(bed.told[2], 3);
	for (uint32_t device = 3; device < 8; device++) {
		flood(log, device, 3);
		assert_int_equal(bed.told[device], 1);
	}
	/* The next interval: what was not told shows in the first that is. */
	bed.now += 100 * MS;
	flood(log, 1, 1);
	assert_int_equal(bed.told[1], 5);
	assert_int_equal(bed.untold, 996);
	flood(log, 1, 1);
	assert_int_equal(bed.untold, 0);

	iog_fault_log_device(log, 1, &counts);
	assert_int_equal(counts.seen, 1002);
	assert_int_equal(counts.told, 6);
	assert_int_equal(counts.untold, 996);
	iog_fault_log_overflow(log);
	iog_fault_log_counts(log, &counts);
	assert_int_equal(counts.seen, 1002 + 10 + 15);
	assert_int_equal(counts.told, 6 + 3 + 5);
	assert_int_equal(counts.seen, counts.told + counts.untold);
	assert_int_equal(counts.overflows, 1);
	iog_fault_log_device(log, 12345, &counts);
	assert_int_equal(counts.seen, 0);
	iog_fault_log_destroy(log);
	assert_int_equal(bed.bytes, 0);
}

/* More devices than accounts: the rest share one, and those that have one keep it. */
static void crowd(void **state)
{
	struct iog_fault_counts counts;
	struct iog_fault_log *log;
	struct bed bed;

	(void)state;
	bed_init(&bed);
	struct iog_fault_config config = { .fn = bed_told, .ctx = &bed, .devices = 4, .per_device = 2 };

	assert_int_equal(iog_fault_log_create(&bed.platform, &config, &log), 0);
	for (uint32_t device = 0; device < 10; device++)
		flood(log, device, device + 1);
	for (uint32_t device = 0; device < 4; device++) {
		iog_fault_log_device(log, device, &counts);
		assert_int_equal(counts.seen, device + 1);
		assert_int_equal(bed.told[device], device ? 2 : 1);
	}
	iog_fault_log_device(log, 9, &counts);
	assert_int_equal(counts.seen, 5 + 6 + 7 + 8 + 9 + 10);
	assert_int_equal(counts.told, 2);
	iog_fault_log_counts(log, &counts);
	assert_int_equal(counts.seen, 55);
	iog_fault_log_destroy(log);

	/* Nobody to tell. */
	config.fn = NULL;
	assert_int_equal(iog_fault_log_create(&bed.platform, &config, &log), 0);
	flood(log, 3, 7);
	iog_fault_log_counts(log, &counts);
	assert_int_equal(counts.untold, 7);
	iog_fault_log_destroy(log);
}

static void malformed(void **state)
{
	struct iog_fault_log *log = NULL;
	struct iog_fault_config config = { .devices = 65537 };
	struct bed bed;

	(void)state;
	bed_init(&bed);
	assert_int_equal(iog_fault_log_create(&bed.platform, &config, &log), -IOG_EINVAL);
	config.devices = 0;
	bed.platform.object_alloc = bed_refuse;
	assert_int_equal(iog_fault_log_create(&bed.platform, &config, &log), -IOG_ENOMEM);
	bed.platform.object_alloc = bed_alloc;
	bed.platform.now_ns = NULL;
	assert_int_equal(iog_fault_log_create(&bed.platform, &config, &log), -IOG_EINVAL);
	assert_null(log);
	iog_fault_log_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(floods),
		cmocka_unit_test(crowd),
		cmocka_unit_test(malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * AMD-Vi events (AMD IOMMU 2.5): decoded by the numbers, in rounds, too many, and too early.
 */
#include "hw/amdvi_fake.h"

struct heard {
	struct iog_fault last;
	uint32_t count;
};

static void hear(void *ctx, struct iog_unit *unit, const struct iog_fault *fault)
{
	struct heard *heard = ctx;

	assert_non_null(unit);
	assert_non_null(fault->text);
	heard->last = *fault;
	heard->count++;
}

static struct iog_amdvi *listening(struct fake *fake, struct heard *heard, uint32_t segment)
{
	struct iog_amdvi_config config;
	struct iog_amdvi *amdvi = NULL;

	fake_init(fake);
	memset(heard, 0, sizeof(*heard));
	config = fake_config(fake);
	config.segment = segment;
	config.flags = IOG_AMDVI_INTERRUPT;
	config.faults = (struct iog_fault_config){ .fn = hear, .ctx = heard, .per_device = 100000, .total = 100000 };
	assert_int_equal(iog_amdvi_create(&config, &amdvi), 0);
	assert_int_equal(iog_amdvi_enable(amdvi), 0);
	assert_true(fake->registers[AMDVI_CONTROL / 8] & AMDVI_EVENT_INT_EN);
	return amdvi;
}

static void finish(struct iog_amdvi *amdvi, struct fake *fake)
{
	assert_int_equal(iog_amdvi_disable(amdvi), 0);
	assert_int_equal(iog_amdvi_destroy(amdvi), 0);
	fake_fini(fake);
}

#define FLAG(n) (UINT64_C(1) << (n))
#define CODE(n) ((uint64_t)(n) << 60)

static void decoded(void **state)
{
	static const struct {
		uint64_t low, high;
		uint32_t pasid, access;
		uint64_t iova;
		enum iog_fault_reason reason;
	} events[] = {
		/* IO_PAGE_FAULT: domain 5 in 47:32. */
		{ CODE(2) | UINT64_C(5) << 32 | 0x18, 0x7f1234567890, IOG_PASID_NONE, IOG_PROT_READ, 0x7f1234567890, IOG_FAULT_REASON_NOT_PRESENT },
		{ CODE(2) | FLAG(53) | 0x18, 0x1234, IOG_PASID_NONE, IOG_PROT_WRITE, 0x1234, IOG_FAULT_REASON_NOT_PRESENT },
		{ CODE(2) | FLAG(52) | FLAG(53) | FLAG(54) | 0x18, 0x1234, IOG_PASID_NONE, IOG_PROT_WRITE, 0x1234, IOG_FAULT_REASON_PERMISSION },
		{ CODE(2) | FLAG(52) | FLAG(55) | 0x18, 0x1234, IOG_PASID_NONE, IOG_PROT_READ, 0x1234, IOG_FAULT_REASON_MALFORMED },
		{ CODE(2) | FLAG(52) | FLAG(54) | FLAG(56) | 0x18, 0x1234, IOG_PASID_NONE, IOG_PROT_READ | IOG_FAULT_TRANSLATION, 0x1234, IOG_FAULT_REASON_PERMISSION },
		{ CODE(2) | FLAG(48) | FLAG(50) | UINT64_C(0x2345) << 32 | 0x10000 | 0x18, 0x1234, 0x12345, IOG_PROT_READ, 0x1234, IOG_FAULT_REASON_NOT_PRESENT },
		{ CODE(2) | FLAG(48) | FLAG(49) | 0x18, 0x1234, 0, IOG_PROT_READ | IOG_PROT_EXEC | IOG_FAULT_PRIVILEGED, 0x1234, IOG_FAULT_REASON_NOT_PRESENT },
		{ CODE(2) | FLAG(51) | 0x18, 0xfee00000, IOG_PASID_NONE, 0, 0xfee00000, IOG_FAULT_REASON_INTERRUPT },
		{ CODE(2) | FLAG(51) | FLAG(52) | FLAG(55) | 0x18, 0xfee00000, IOG_PASID_NONE, 0, 0xfee00000, IOG_FAULT_REASON_INTERRUPT },
		{ CODE(1) | FLAG(51) | FLAG(55) | 0x18, 0x1234, IOG_PASID_NONE, IOG_FAULT_NO_ADDRESS, 0, IOG_FAULT_REASON_INTERRUPT },
		{ CODE(3) | FLAG(51) | 0x18, 0x1234, IOG_PASID_NONE, IOG_FAULT_NO_ADDRESS, 0, IOG_FAULT_REASON_INTERRUPT },
		{ CODE(4) | FLAG(51) | 0x18, 0x1234, IOG_PASID_NONE, IOG_FAULT_NO_ADDRESS, 0, IOG_FAULT_REASON_INTERRUPT },
		/* INVALID_DEVICE_REQUEST, by type: IntCtl = 0; port I/O; a request for a translation. */
		{ CODE(8) | UINT64_C(5) << 57 | 0x18, 0x1234, IOG_PASID_NONE, IOG_FAULT_NO_ADDRESS, 0, IOG_FAULT_REASON_INTERRUPT },
		{ CODE(8) | UINT64_C(6) << 57 | 0x18, 0x1234, IOG_PASID_NONE, IOG_FAULT_NO_ADDRESS, 0, IOG_FAULT_REASON_INTERRUPT },
		{ CODE(8) | 0x18, 0x1234, IOG_PASID_NONE, IOG_FAULT_NO_ADDRESS, 0, IOG_FAULT_REASON_INTERRUPT },
		{ CODE(8) | UINT64_C(2) << 57 | 0x18, 0x1234, IOG_PASID_NONE, IOG_FAULT_NO_ADDRESS, 0, IOG_FAULT_REASON_PERMISSION },
		{ CODE(8) | UINT64_C(5) << 57 | FLAG(56) | 0x18, 0x1234, IOG_PASID_NONE, IOG_FAULT_NO_ADDRESS, 0, IOG_FAULT_REASON_PERMISSION },
		{ CODE(1) | FLAG(55) | 0x18, 0x1234, IOG_PASID_NONE, IOG_FAULT_NO_ADDRESS, 0, IOG_FAULT_REASON_MALFORMED },
		{ CODE(1) | 0x18, 0x1234, IOG_PASID_NONE, IOG_FAULT_NO_ADDRESS, 0, IOG_FAULT_REASON_NO_DEVICE },
		{ CODE(3) | 0x18, 0x1234, IOG_PASID_NONE, IOG_FAULT_NO_ADDRESS, 0, IOG_FAULT_REASON_WALK },
		{ CODE(4) | 0x18, 0x1234, IOG_PASID_NONE, IOG_FAULT_NO_ADDRESS, 0, IOG_FAULT_REASON_WALK },
		{ CODE(5) | 0x18, 0x1234, IOG_PASID_NONE, IOG_FAULT_NO_ADDRESS, 0, IOG_FAULT_REASON_MALFORMED },
		{ CODE(6) | 0x18, 0x1234, IOG_PASID_NONE, IOG_FAULT_NO_ADDRESS, 0, IOG_FAULT_REASON_WALK },
		{ CODE(7) | 0x18, 0x1234, IOG_PASID_NONE, IOG_FAULT_NO_ADDRESS, 0, IOG_FAULT_REASON_OTHER },
		{ CODE(15) | 0x18, 0x1234, IOG_PASID_NONE, IOG_FAULT_NO_ADDRESS, 0, IOG_FAULT_REASON_OTHER },
	};
	struct iog_fault_counts counts;
	struct iog_amdvi *amdvi;
	struct heard heard;
	struct fake fake;

	(void)state;
	amdvi = listening(&fake, &heard, 3);
	for (uint32_t n = 0; n < sizeof(events) / sizeof(events[0]); n++) {
		assert_true(fake_event(&fake, events[n].low, events[n].high));
		assert_int_equal(iog_amdvi_interrupt(amdvi), 1);
		assert_int_equal(heard.count, n + 1);
		assert_int_equal(heard.last.device, 0x30018);
		assert_int_equal(heard.last.code, events[n].low >> 60);
		assert_int_equal(heard.last.pasid, events[n].pasid);
		assert_int_equal(heard.last.access, events[n].access);
		assert_true(heard.last.iova == events[n].iova);
		assert_int_equal(heard.last.reason, events[n].reason);
	}
	iog_amdvi_device_faults(amdvi, 0x30018, &counts);
	assert_int_equal(counts.seen, sizeof(events) / sizeof(events[0]));
	finish(amdvi, &fake);
}

/* Round and round; not more at a time than a call may take. */
static void rounds(void **state)
{
	struct iog_amdvi *amdvi;
	struct heard heard;
	struct fake fake;

	(void)state;
	amdvi = listening(&fake, &heard, 0);
	for (uint32_t round = 0; round < 20; round++) {
		for (uint32_t n = 0; n < 100; n++)
			assert_true(fake_event(&fake, CODE(2) | (n + 1), n));
		assert_int_equal(iog_amdvi_interrupt(amdvi), 64);
		assert_int_equal(heard.last.device, 64);
		assert_int_equal(iog_amdvi_interrupt(amdvi), 36);
		assert_int_equal(heard.last.device, 100);
		assert_int_equal(iog_amdvi_interrupt(amdvi), 0);
		assert_false(fake.registers[AMDVI_STATUS / 8] & AMDVI_EVENT_LOG_INT);
	}
	assert_int_equal(heard.count, 2000);
	finish(amdvi, &fake);
}

/* Too many: the log stops, that is counted, and it goes on. */
static void overflows(void **state)
{
	struct iog_amdvi_stats stats;
	struct iog_amdvi *amdvi;
	struct heard heard;
	struct fake fake;
	uint32_t room = 0;

	(void)state;
	amdvi = listening(&fake, &heard, 0);
	while (fake_event(&fake, CODE(2) | 0x18, 0))
		room++;
	assert_int_equal(room, 255);
	assert_false(fake.registers[AMDVI_STATUS / 8] & AMDVI_EVENT_LOG_RUN);
	while (iog_amdvi_interrupt(amdvi))
		;
	iog_amdvi_stats(amdvi, &stats);
	assert_int_equal(stats.faults.seen, 255);
	assert_int_equal(stats.faults.overflows, 1);
	assert_true(fake.registers[AMDVI_STATUS / 8] & AMDVI_EVENT_LOG_RUN);
	assert_true(fake_event(&fake, CODE(2) | 0x20, 0));
	assert_int_equal(iog_amdvi_interrupt(amdvi), 1);
	assert_int_equal(heard.last.device, 0x20);
	finish(amdvi, &fake);
}

/*
 * Announced before it is there: it is waited for a little, by some calls, and then passed over and counted as lost. What stands in its place from the round before is not taken for it. A device whose answer may be in it
 * is asked again.
 */
static void early(void **state)
{
	struct iog_amdvi_stats stats;
	struct iog_amdvi *amdvi;
	struct iog_unit *unit;
	uint64_t *at;
	struct heard heard;
	struct fake fake;

	(void)state;
	amdvi = listening(&fake, &heard, 0);
	for (uint32_t n = 0; n < 256; n++) {
		assert_true(fake_event(&fake, CODE(2) | 0x18, 0));
		assert_int_equal(iog_amdvi_interrupt(amdvi), 1);
	}
	unit = iog_amdvi_unit(amdvi);
	assert_int_equal(iog_amdvi_device_ats(amdvi, 0x30, 16), 0);
	fake.tell_late = true;
	at = (uint64_t *)(uintptr_t)((fake.registers[AMDVI_EVTLOG / 8] & UINT64_C(0xffffffffff000)) + fake.registers[AMDVI_EVT_TAIL / 8]);
	assert_true(fake_event(&fake, CODE(2) | 0x20, 0));
	assert_int_equal(iog_amdvi_interrupt(amdvi), 0);
	assert_int_equal(heard.count, 256);
	assert_int_equal(unit->ops->device_invalidate(unit, 0x30, NULL), -IOG_EAGAIN);
	/* Late, but there: it is told, and so is the one behind it. */
	fake.tell_late = false;
	assert_true(fake_event(&fake, CODE(2) | 0x28, 0));
	assert_int_equal(iog_amdvi_interrupt(amdvi), 0);
	at[0] = CODE(2) | 0x20;
	assert_int_equal(iog_amdvi_interrupt(amdvi), 2);
	assert_int_equal(heard.count, 258);
	assert_int_equal(heard.last.device, 0x28);
	assert_int_equal(unit->ops->device_invalidate(unit, 0x30, NULL), 0);
	/* It never comes. */
	fake.tell_late = true;
	assert_true(fake_event(&fake, CODE(2) | 0x20, 0));
	fake.tell_late = false;
	assert_true(fake_event(&fake, CODE(2) | 0x38, 0));
	for (uint32_t n = 1; n < 8; n++)
		assert_int_equal(iog_amdvi_interrupt(amdvi), 0);
	iog_amdvi_stats(amdvi, &stats);
	assert_int_equal(stats.faults.overflows, 0);
	assert_int_equal(iog_amdvi_interrupt(amdvi), 1);
	assert_int_equal(heard.last.device, 0x38);
	iog_amdvi_stats(amdvi, &stats);
	assert_int_equal(stats.faults.overflows, 1);
	finish(amdvi, &fake);
}

/* A device is blocked while it is being set: it stays so until it is set again. */
static void block_now(struct fake *fake)
{
	struct iog_unit *unit = fake->ctx;

	fake->tail_seen = NULL;
	assert_int_equal(unit->ops->device_block(unit, 0x18), 0);
}

static void blocked_meanwhile(void **state)
{
	struct iog_amdvi *amdvi;
	struct iog_unit *unit;
	struct fake fake;

	(void)state;
	fake_init(&fake);
	amdvi = fake_ready(&fake);
	unit = iog_amdvi_unit(amdvi);
	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_IDENTITY, 0), 0);
	assert_int_equal(iog_amdvi_device_ats(amdvi, 0x18, 16), 0);
	fake.ctx = unit;
	/* Whether its TLB has answered is looked for first; that is when it comes. */
	fake.tail_seen = block_now;
	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_PAGING, 1), 0);
	assert_null(fake.tail_seen);
	assert_int_equal(fake_entry(amdvi, 0x18)[0] & (DTE_IR | DTE_IW), 0);
	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_PAGING, 1), 0);
	assert_int_not_equal(fake_entry(amdvi, 0x18)[0] & (DTE_IR | DTE_IW), 0);
	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_BLOCKED, 0), 0);
	fake_done(amdvi);
	fake_fini(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decoded),
		cmocka_unit_test(rounds),
		cmocka_unit_test(overflows),
		cmocka_unit_test(early),
		cmocka_unit_test(blocked_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * See amdvi_fake.h.
 */
#include "hw/amdvi_fake.h"

static uint64_t reg(const struct fake *fake, uint32_t offset)
{
	return fake->registers[offset / 8];
}

static void set_status(struct fake *fake)
{
	uint64_t control = reg(fake, AMDVI_CONTROL), status = reg(fake, AMDVI_STATUS) & ~(uint64_t)AMDVI_EVENT_LOG_RUN;

	if (fake->stuck_running)
		status |= AMDVI_EVENT_LOG_RUN;
	else if (control & AMDVI_EVENT_LOG_EN && !(status & AMDVI_EVENT_OVERFLOW))
		status |= AMDVI_EVENT_LOG_RUN;
	fake->registers[AMDVI_STATUS / 8] = status;
}

bool fake_event(struct fake *fake, uint64_t low, uint64_t high)
{
	uint32_t size = (UINT32_C(1) << (reg(fake, AMDVI_EVTLOG) >> 56)) * 16, tail = (uint32_t)reg(fake, AMDVI_EVT_TAIL), next = (tail + 16) % size;
	uint64_t *at = (uint64_t *)(uintptr_t)((reg(fake, AMDVI_EVTLOG) & UINT64_C(0xffffffffff000)) + tail);

	if (!(reg(fake, AMDVI_STATUS) & AMDVI_EVENT_LOG_RUN))
		return false;
	if (next == reg(fake, AMDVI_EVT_HEAD)) {
		fake->registers[AMDVI_STATUS / 8] |= AMDVI_EVENT_OVERFLOW;
		set_status(fake);
		return false;
	}
	if (!fake->tell_late) {
		at[1] = high;
		at[0] = low;
	}
	fake->registers[AMDVI_EVT_TAIL / 8] = next;
	fake->registers[AMDVI_STATUS / 8] |= AMDVI_EVENT_LOG_INT;
	return true;
}

static void carry_out(struct fake *fake, const struct amdvi_command *command)
{
	uint32_t logged = atomic_load(&fake->logged);

	if (logged < FAKE_LOG)
		fake->log[logged] = *command;
	atomic_store(&fake->logged, logged + 1);
	if (fake->command_seen)
		fake->command_seen(fake, command);
	if (AMDVI_OPCODE(command) == AMDVI_INVALIDATE_IOTLB_PAGES && fake->tlb_silent && (command->low & 0xffff) == fake->tlb_silent)
		assert_true(fake_event(fake, UINT64_C(7) << 60 | fake->tlb_silent, 0));
	if (AMDVI_OPCODE(command) != AMDVI_COMPLETION_WAIT || !(command->low & 1))
		return;
	if (fake->lose_waits) {
		fake->lose_waits--;
		fake->late_answer = command->high;
		fake->late_at = (uint64_t *)(uintptr_t)(command->low & UINT64_C(0xffffffffffff8));
		return;
	}
	__atomic_store_n((uint64_t *)(uintptr_t)(command->low & UINT64_C(0xffffffffffff8)), command->high, __ATOMIC_RELEASE);
}

void fake_run(struct fake *fake)
{
	uint32_t size = (UINT32_C(1) << (reg(fake, AMDVI_CMDBUF) >> 56)) * 16;
	const uint8_t *base = (const uint8_t *)(uintptr_t)(reg(fake, AMDVI_CMDBUF) & UINT64_C(0xffffffffff000));

	while (!fake->held && reg(fake, AMDVI_STATUS) & AMDVI_CMD_BUF_RUN && reg(fake, AMDVI_CMD_HEAD) != reg(fake, AMDVI_CMD_TAIL)) {
		struct amdvi_command command;

		memcpy(&command, base + reg(fake, AMDVI_CMD_HEAD), sizeof(command));
		if (fake->stop_at && AMDVI_OPCODE(&command) == fake->stop_at) {
			fake->stop_at = 0;
			fake->registers[AMDVI_STATUS / 8] &= ~(uint64_t)AMDVI_CMD_BUF_RUN;
			(void)fake_event(fake, UINT64_C(5) << 60, 0);
			return;
		}
		carry_out(fake, &command);
		fake->registers[AMDVI_CMD_HEAD / 8] = (reg(fake, AMDVI_CMD_HEAD) + 16) % size;
	}
}

static uint64_t now_ns(void *ctx)
{
	return atomic_fetch_add(&((struct fake *)ctx)->now, 1000);
}

static void *pages_alloc(void *ctx, size_t size)
{
	struct fake *fake = ctx;
	void *pages;

	if (!fake->refuse_after)
		return NULL;
	if (fake->refuse_after > 0)
		fake->refuse_after--;
	pages = aligned_alloc(size, size);
	assert_non_null(pages);
	memset(pages, 0xa5, size);
	fake->bytes += size;
	return pages;
}

static void pages_free(void *ctx, void *pages, size_t size)
{
	((struct fake *)ctx)->bytes -= size;
	free(pages);
}

static void *object_alloc(void *ctx, size_t size)
{
	size_t rounded = (size + 63) & ~(size_t)63;
	struct fake *fake = ctx;
	void *object;

	if (!fake->refuse_after)
		return NULL;
	if (fake->refuse_after > 0)
		fake->refuse_after--;
	object = aligned_alloc(64, rounded);
	assert_non_null(object);
	memset(object, 0, rounded);
	fake->bytes += size;
	return object;
}

static void object_free(void *ctx, void *object, size_t size)
{
	((struct fake *)ctx)->bytes -= size;
	free(object);
}

static uint64_t mmio_read64(void *ctx, uintptr_t at)
{
	struct fake *fake = ctx;
	uint64_t value;

	assert_true(at >= FAKE_BASE && at - FAKE_BASE < sizeof(fake->registers) && !(at & 7));
	pthread_mutex_lock(&fake->lock);
	value = fake->gone ? UINT64_MAX : reg(fake, (uint32_t)(at - FAKE_BASE));
	pthread_mutex_unlock(&fake->lock);
	if (fake->tail_seen && at - FAKE_BASE == AMDVI_EVT_TAIL)
		fake->tail_seen(fake);
	if (fake->status_seen && at - FAKE_BASE == AMDVI_STATUS)
		fake->status_seen(fake);
	return value;
}

static uint32_t mmio_read32(void *ctx, uintptr_t at)
{
	return (uint32_t)mmio_read64(ctx, at);
}

static void control_write(struct fake *fake, uint64_t value)
{
	fake->registers[AMDVI_CONTROL / 8] = value;
	if (value & AMDVI_CMD_BUF_EN)
		fake->registers[AMDVI_STATUS / 8] |= AMDVI_CMD_BUF_RUN;
	else
		fake->registers[AMDVI_STATUS / 8] &= ~(uint64_t)AMDVI_CMD_BUF_RUN;
	set_status(fake);
}

static void mmio_write64(void *ctx, uintptr_t at, uint64_t value)
{
	struct fake *fake = ctx;
	uint32_t offset = (uint32_t)(at - FAKE_BASE);

	assert_true(at >= FAKE_BASE && offset < sizeof(fake->registers) && !(at & 7));
	pthread_mutex_lock(&fake->lock);
	if (fake->written < FAKE_WRITES)
		fake->writes[fake->written++] = (struct fake_write){ offset, value };
	if (fake->gone) {
		/* Nobody hears it. */
	} else if (offset == AMDVI_STATUS) {
		fake->registers[AMDVI_STATUS / 8] &= ~(value & 7);
		set_status(fake);
	} else if (offset == AMDVI_CONTROL) {
		control_write(fake, value);
	} else {
		fake->registers[offset / 8] = value;
	}
	fake_run(fake);
	pthread_mutex_unlock(&fake->lock);
}

static void mmio_write32(void *ctx, uintptr_t at, uint32_t value)
{
	mmio_write64(ctx, at, value);
}

void fake_init(struct fake *fake)
{
	memset(fake, 0, sizeof(*fake));
	pthread_mutex_init(&fake->lock, NULL);
	fake->refuse_after = -1;
	fake->registers[AMDVI_EFR / 8] = FAKE_FEATURES;
	fake->platform = (struct iog_platform){
		.ctx = fake,
		.pages_alloc = pages_alloc,
		.pages_free = pages_free,
		.object_alloc = object_alloc,
		.object_free = object_free,
		.now_ns = now_ns,
		.mmio_read32 = mmio_read32,
		.mmio_read64 = mmio_read64,
		.mmio_write32 = mmio_write32,
		.mmio_write64 = mmio_write64,
	};
}

void fake_fini(struct fake *fake)
{
	assert_int_equal(fake->bytes, 0);
	pthread_mutex_destroy(&fake->lock);
}

struct iog_amdvi_config fake_config(struct fake *fake)
{
	return (struct iog_amdvi_config){
		.platform = &fake->platform,
		.registers = FAKE_BASE,
		.capability = FAKE_CAPABILITY,
		.last_device = 0x3ff,
		.commands = 256,
		.events = 256,
		.timeout_ms = 20,
	};
}

struct iog_amdvi *fake_driver(struct fake *fake)
{
	struct iog_amdvi_config config = fake_config(fake);
	struct iog_amdvi *amdvi = NULL;

	assert_int_equal(iog_amdvi_create(&config, &amdvi), 0);
	return amdvi;
}

struct iog_amdvi *fake_ready(struct fake *fake)
{
	const struct iog_pgtable_root host = { .paddr = 0x123000, .format = "amdv1", .levels = 4, .ias = 48 };
	const struct iog_pgtable_root guest = { .paddr = 0x456000, .format = "x86_64", .levels = 4, .ias = 48 };
	struct iog_amdvi *amdvi = fake_driver(fake);
	struct iog_unit *unit = iog_amdvi_unit(amdvi);

	assert_int_equal(unit->ops->domain_add(unit, 1, &host), 0);
	assert_int_equal(unit->ops->domain_add(unit, 2, &guest), 0);
	assert_int_equal(iog_amdvi_enable(amdvi), 0);
	atomic_store(&fake->logged, 0);
	fake->written = 0;
	return amdvi;
}

void fake_done(struct iog_amdvi *amdvi)
{
	struct iog_unit *unit = iog_amdvi_unit(amdvi);

	assert_int_equal(unit->ops->domain_remove(unit, 1), 0);
	assert_int_equal(unit->ops->domain_remove(unit, 2), 0);
	assert_int_equal(iog_amdvi_disable(amdvi), 0);
	assert_int_equal(iog_amdvi_destroy(amdvi), 0);
}

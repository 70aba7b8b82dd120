/* SPDX-License-Identifier: MIT */
/*
 * What the AMD-Vi driver tells hardware: commands for what a gather holds, device table entries, and the order in which a unit is turned on, taken over and turned off.
 */
#include "hw/amdvi_fake.h"

#include "seed.h"

#define EVERYTHING AMDVI_INV_EVERYTHING

static struct iog_gather gather; /* large */

static void gather_clear(void)
{
	memset(&gather, 0, sizeof(gather));
}

static void gather_range(uint64_t first, uint64_t last)
{
	gather.ranges[gather.nr_ranges++] = (struct iog_range){ first, last };
}

static void gather_table(uint64_t first, uint64_t last)
{
	gather.tables[gather.nr_tables++] = (struct iog_gather_table){ .span = { first, last } };
}

/* The nth command since the log was emptied. */
static void expect(const struct fake *fake, uint32_t n, uint64_t low, uint64_t high)
{
	assert_true(n < fake->logged);
	if (fake->log[n].low != low || fake->log[n].high != high)
		print_error("command %u is %016llx %016llx\n", n, (unsigned long long)fake->log[n].low, (unsigned long long)fake->log[n].high);
	assert_true(fake->log[n].low == low && fake->log[n].high == high);
}

/* Exactly these, and the wait. */
static void expect_count(struct fake *fake, uint32_t count)
{
	assert_int_equal(fake->logged, count + 1);
	assert_int_equal(AMDVI_OPCODE(&fake->log[count]), AMDVI_COMPLETION_WAIT);
	assert_int_equal(fake->log[count].low & 7, 1);
	fake->logged = 0;
}

static void invalidate(struct iog_amdvi *amdvi, uint32_t id)
{
	struct iog_unit *unit = iog_amdvi_unit(amdvi);

	assert_int_equal(unit->ops->invalidate(unit, id, &gather), 0);
	gather_clear();
}

/* 2.4.3, by the numbers. */
static void commands(void **state)
{
	struct iog_amdvi *amdvi;
	struct iog_unit *unit;
	struct fake fake;

	(void)state;
	fake_init(&fake);
	amdvi = fake_ready(&fake);
	unit = iog_amdvi_unit(amdvi);
	gather_clear();

	/* One page: leaves only. */
	gather_range(0x12345000, 0x12345fff);
	invalidate(amdvi, 1);
	expect(&fake, 0, UINT64_C(3) << 60 | UINT64_C(1) << 32, 0x12345000);
	expect_count(&fake, 1);
	/* 64 aligned pages: one command, 17:12 as ones below a zero at 17. */
	gather_range(0x40000, 0x7ffff);
	invalidate(amdvi, 1);
	expect(&fake, 0, UINT64_C(3) << 60 | UINT64_C(1) << 32, 0x40000 | 0x1f000 | 1);
	expect_count(&fake, 1);
	/* Two pages that lie across a boundary: two. */
	gather_range(0x1ff000, 0x200fff);
	invalidate(amdvi, 1);
	expect(&fake, 0, UINT64_C(3) << 60 | UINT64_C(1) << 32, 0x1fe000 | 1);
	expect(&fake, 1, UINT64_C(3) << 60 | UINT64_C(1) << 32, 0x200000 | 1);
	expect_count(&fake, 2);
	/* The last pages of the space. */
	gather_range(UINT64_C(0xffffffffffffe000), UINT64_MAX);
	invalidate(amdvi, 1);
	expect(&fake, 0, UINT64_C(3) << 60 | UINT64_C(1) << 32, UINT64_C(0xffffffffffffe000) | 1);
	expect_count(&fake, 1);
	/* A table was unlinked: entries above the leaves, for the range and for what the table served. */
	gather_range(0x12345000, 0x12345fff);
	gather_table(0x12200000, 0x123fffff);
	invalidate(amdvi, 1);
	expect(&fake, 0, UINT64_C(3) << 60 | UINT64_C(1) << 32, 0x12345000 | AMDVI_INV_PDE);
	expect(&fake, 1, UINT64_C(3) << 60 | UINT64_C(1) << 32, 0x12200000 | 0xff000 | AMDVI_INV_PDE | AMDVI_INV_S);
	expect_count(&fake, 2);
	/* Not-present entries were cached. */
	gather_range(0x1000, 0x1fff);
	gather.walk_caches = true;
	invalidate(amdvi, 1);
	expect(&fake, 0, UINT64_C(3) << 60 | UINT64_C(1) << 32, 0x1000 | AMDVI_INV_PDE);
	expect_count(&fake, 1);
	/* Guest tables. */
	gather_range(0x1000, 0x1fff);
	invalidate(amdvi, 2);
	expect(&fake, 0, UINT64_C(3) << 60 | UINT64_C(2) << 32, 0x1000 | AMDVI_INV_GN);
	expect_count(&fake, 1);
	assert_int_equal(unit->ops->invalidate(unit, 2, NULL), 0);
	expect(&fake, 0, UINT64_C(3) << 60 | UINT64_C(2) << 32, EVERYTHING | AMDVI_INV_GN | AMDVI_INV_PDE | AMDVI_INV_S);
	expect_count(&fake, 1);
	/* The domain: asked for, or what would be more commands than that is worth, or a range that is nearly everything. */
	gather.everything = true;
	invalidate(amdvi, 1);
	expect(&fake, 0, UINT64_C(3) << 60 | UINT64_C(1) << 32, EVERYTHING | AMDVI_INV_PDE | AMDVI_INV_S);
	expect_count(&fake, 1);
	for (uint32_t n = 0; n < 40; n++)
		gather_table((uint64_t)n << 30, ((uint64_t)n << 30) + 0x1fffff);
	invalidate(amdvi, 1);
	expect(&fake, 0, UINT64_C(3) << 60 | UINT64_C(1) << 32, EVERYTHING | AMDVI_INV_PDE | AMDVI_INV_S);
	expect_count(&fake, 1);
	gather_range(0, UINT64_MAX);
	invalidate(amdvi, 1);
	expect(&fake, 0, UINT64_C(3) << 60 | UINT64_C(1) << 32, EVERYTHING | AMDVI_INV_PDE | AMDVI_INV_S);
	expect_count(&fake, 1);
	/* Nothing to forget. */
	invalidate(amdvi, 1);
	assert_int_equal(fake.logged, 0);
	fake_done(amdvi);
	fake_fini(&fake);
}

/* What an address with S says, after 2.4.3: the lowest zero from bit 12 on gives the size. */
static void block_decode(uint64_t word, uint64_t *first, uint64_t *last)
{
	uint32_t bit = 12;
	uint64_t size;

	word &= ~UINT64_C(7) | 1;
	if (!(word & 1)) {
		*first = word & ~UINT64_C(0xfff);
		*last = *first | 0xfff;
		return;
	}
	while (bit < 63 && word >> bit & 1)
		bit++;
	size = bit == 63 ? 0 : UINT64_C(2) << bit;
	*first = size ? word & ~(size - 1) & ~UINT64_C(0xfff) : 0;
	*last = *first + (size - 1);
}

/* Any range is covered, by not more than two blocks, together less than eight times as large. */
static void covered(void **state)
{
	uint64_t seed = kit_seed("amdvi"), covered_bytes, first, last, from, to, next;
	struct iog_amdvi *amdvi;
	struct fake fake;

	(void)state;
	fake_init(&fake);
	amdvi = fake_ready(&fake);
	gather_clear();
	for (uint64_t n = 0; n < kit_scaled(20000); n++) {
		uint64_t size = (kit_random(&seed) >> (kit_random(&seed) % 52) >> 12) << 12;

		first = (kit_random(&seed) >> (kit_random(&seed) % 52)) & ~UINT64_C(0xfff);
		last = first + (size ? size : 0x1000) - 1;
		if (last < first)
			continue;
		gather_range(first, last);
		invalidate(amdvi, 1);
		assert_true(fake.logged == 2 || fake.logged == 3);
		next = first;
		covered_bytes = 0;
		for (uint32_t command = 0; command + 1 < fake.logged; command++) {
			block_decode(fake.log[command].high, &from, &to);
			assert_true(from <= next && to >= next);
			covered_bytes += to - from;
			next = to + 1;
		}
		assert_true(next - 1 >= last);
		if (last - first < UINT64_C(1) << 56)
			assert_true(covered_bytes / 8 <= last - first);
		fake.logged = 0;
	}
	fake_done(amdvi);
	fake_fini(&fake);
}

/* 2.2.2.1, by the numbers. */
static void entries(void **state)
{
	struct iog_amdvi *amdvi;
	struct iog_unit *unit;
	struct fake fake;
	uint64_t *entry, gcr3;

	(void)state;
	fake_init(&fake);
	amdvi = fake_ready(&fake);
	unit = iog_amdvi_unit(amdvi);
	entry = fake_entry(amdvi, 0x18);

	/* At first: valid, nothing allowed. */
	assert_true(entry[0] == 3 && !entry[1] && !entry[2] && !entry[3]);
	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_PAGING, 1), 0);
	assert_true(entry[0] == (3 | UINT64_C(4) << 9 | 0x123000 | UINT64_C(3) << 61));
	assert_true(entry[1] == 1 && !entry[2] && !entry[3]);
	/* It was blocked: there is only its entry to be forgotten. */
	expect(&fake, 0, UINT64_C(2) << 60 | 0x18, 0);
	expect_count(&fake, 1);

	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_PAGING, 2), 0);
	gcr3 = (entry[0] >> 58 & 7) << 12 | (entry[1] >> 16 & 0xffff) << 15 | (entry[1] >> 43) << 31;
	assert_true((entry[0] & ~(UINT64_C(7) << 58)) == (3 | UINT64_C(3) << 54 | UINT64_C(3) << 61));
	assert_int_equal(entry[1] & 0xffff, 2);
	assert_true(*(uint64_t *)(uintptr_t)gcr3 == (0x456000 | 1) && !((uint64_t *)(uintptr_t)gcr3)[1]);
	expect(&fake, 0, UINT64_C(2) << 60 | 0x18, 0);
	expect(&fake, 1, UINT64_C(3) << 60 | UINT64_C(1) << 32, EVERYTHING | AMDVI_INV_PDE | AMDVI_INV_S);
	expect_count(&fake, 2);

	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_IDENTITY, 0), 0);
	assert_true(entry[0] == (3 | UINT64_C(3) << 61) && entry[1] == 65535);
	expect(&fake, 1, UINT64_C(3) << 60 | UINT64_C(2) << 32, EVERYTHING | AMDVI_INV_GN | AMDVI_INV_PDE | AMDVI_INV_S);
	expect_count(&fake, 2);
	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_BLOCKED, 0), 0);
	assert_true(entry[0] == 3 && !entry[1]);
	expect_count(&fake, 2);

	/* What the firmware says stays through changes. */
	assert_int_equal(iog_amdvi_device_settings(amdvi, 0x20, 0xd7 & ~8), 0);
	entry = fake_entry(amdvi, 0x20);
	assert_true(entry[1] == UINT64_C(1) << 40 && entry[2] == (UINT64_C(7) << 56 | UINT64_C(3) << 62));
	assert_int_equal(iog_amdvi_device_ats(amdvi, 0x20, 32), 0);
	assert_int_equal(unit->ops->device_set(unit, 0x20, IOG_DOMAIN_PAGING, 1), 0);
	assert_true(entry[1] == (1 | UINT64_C(1) << 32 | UINT64_C(1) << 40) && entry[2] == (UINT64_C(7) << 56 | UINT64_C(3) << 62));
	assert_int_equal(unit->ops->device_set(unit, 0x20, IOG_DOMAIN_BLOCKED, 0), 0);
	assert_true(entry[0] == 3 && entry[1] == UINT64_C(1) << 40 && entry[2] == (UINT64_C(7) << 56 | UINT64_C(3) << 62));

	assert_int_equal(unit->ops->device_set(unit, 0x400, IOG_DOMAIN_PAGING, 1), -IOG_ERANGE);
	assert_int_equal(unit->ops->device_set(unit, 0x10018, IOG_DOMAIN_PAGING, 1), -IOG_ERANGE);
	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_PAGING, 9), -IOG_ENOENT);
	assert_int_equal(iog_amdvi_device_settings(amdvi, 0x18, 8), -IOG_EINVAL);
	assert_int_equal(iog_amdvi_device_ats(amdvi, 0x18, 33), -IOG_EINVAL);
	fake_done(amdvi);
	fake_fini(&fake);
}

/* Five levels of guest tables are said in another word: the device is blocked while it changes. */
static void five_levels(void **state)
{
	const struct iog_pgtable_root five = { .paddr = 0x789000, .format = "x86_64", .levels = 5, .ias = 57 };
	struct iog_amdvi *amdvi;
	struct iog_unit *unit;
	struct fake fake;
	uint64_t *entry;

	(void)state;
	fake_init(&fake);
	fake.registers[AMDVI_EFR / 8] |= UINT64_C(1) << 12;
	amdvi = fake_ready(&fake);
	unit = iog_amdvi_unit(amdvi);
	entry = fake_entry(amdvi, 0x18);
	assert_int_equal(unit->ops->domain_add(unit, 3, &five), 0);
	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_PAGING, 2), 0);
	fake.logged = 0;
	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_PAGING, 3), 0);
	assert_true(entry[2] == UINT64_C(1) << 54);
	assert_int_equal(entry[1] & 0xffff, 3);
	/* Forgotten twice: before the word changed, and after the entry was whole. */
	expect(&fake, 0, UINT64_C(2) << 60 | 0x18, 0);
	expect(&fake, 3, UINT64_C(2) << 60 | 0x18, 0);
	/* Taken back, wherever the unit stops to answer. */
	for (uint32_t n = 1; n < 4; n++) {
		uint64_t before[4];

		memcpy(before, entry, sizeof(before));
		fake.lose_waits = n;
		assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_PAGING, 2), -IOG_ETIMEDOUT);
		assert_memory_equal(before, entry, sizeof(before));
		fake.lose_waits = 0;
	}
	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_PAGING, 1), 0);
	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_BLOCKED, 0), 0);
	assert_int_equal(unit->ops->domain_remove(unit, 3), 0);
	fake_done(amdvi);
	fake_fini(&fake);
}

/* A unit that does not answer: the change is taken back. */
static void taken_back(void **state)
{
	struct iog_amdvi *amdvi;
	struct iog_unit *unit;
	struct fake fake;
	uint64_t before[4];

	(void)state;
	fake_init(&fake);
	amdvi = fake_ready(&fake);
	unit = iog_amdvi_unit(amdvi);
	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_PAGING, 1), 0);
	memcpy(before, fake_entry(amdvi, 0x18), sizeof(before));
	fake.lose_waits = 2;
	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_PAGING, 2), -IOG_ETIMEDOUT);
	assert_memory_equal(before, fake_entry(amdvi, 0x18), sizeof(before));
	fake.lose_waits = 0;
	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_BLOCKED, 0), 0);
	fake_done(amdvi);
	fake_fini(&fake);
}

/* The unit's own TLB first, is the caller's part; here the device's, and whether it answers. */
static void device_tlbs(void **state)
{
	struct iog_amdvi *amdvi;
	struct iog_unit *unit;
	struct fake fake;

	(void)state;
	fake_init(&fake);
	amdvi = fake_ready(&fake);
	unit = iog_amdvi_unit(amdvi);
	gather_clear();
	gather_range(0x40000, 0x7ffff);
	/* Who may not keep translations has none. */
	assert_int_equal(unit->ops->device_invalidate(unit, 0x18, &gather), 0);
	assert_int_equal(fake.logged, 0);
	assert_int_equal(iog_amdvi_device_ats(amdvi, 0x18, 16), 0);
	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_PAGING, 1), 0);
	/* What it kept from before goes first. */
	expect(&fake, 0, UINT64_C(4) << 60 | UINT64_C(0x18) << 32 | 16 << 24 | 0x18, EVERYTHING | 1);
	fake.logged = 0;
	assert_int_equal(unit->ops->device_invalidate(unit, 0x18, &gather), 0);
	expect(&fake, 0, UINT64_C(4) << 60 | UINT64_C(0x18) << 32 | 16 << 24 | 0x18, 0x40000 | 0x1f000 | 1);
	expect_count(&fake, 1);
	assert_int_equal(unit->ops->device_invalidate(unit, 0x18, NULL), 0);
	expect(&fake, 0, UINT64_C(4) << 60 | UINT64_C(0x18) << 32 | 16 << 24 | 0x18, EVERYTHING | 1);
	expect_count(&fake, 1);

	/* Another device's silence is not this one's. */
	(void)fake_event(&fake, UINT64_C(7) << 60 | 0x20, 0);
	assert_int_equal(unit->ops->device_invalidate(unit, 0x18, &gather), 0);
	fake.tlb_silent = 0x18;
	assert_int_equal(unit->ops->device_invalidate(unit, 0x18, &gather), -IOG_ETIMEDOUT);
	fake.tlb_silent = 0;
	assert_true(iog_amdvi_interrupt(amdvi) == 2);
	assert_int_equal(unit->ops->device_invalidate(unit, 0x18, &gather), 0);
	/* One that is lost is blocked. */
	assert_int_equal(unit->ops->device_block(unit, 0x18), 0);
	assert_true(fake_entry(amdvi, 0x18)[0] == 3 && !fake_entry(amdvi, 0x18)[1]);
	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_BLOCKED, 0), 0);
	fake_done(amdvi);
	fake_fini(&fake);
}

/* The log becomes full, and is drained by somebody, while commands are waited for. */
static struct iog_amdvi *drained;

static void flood_and_drain(void *ctx)
{
	struct fake *fake = ctx;

	if (!fake->held)
		return;
	pthread_mutex_lock(&fake->lock);
	while (fake_event(fake, UINT64_C(2) << 60 | 0x20, 0))
		;
	pthread_mutex_unlock(&fake->lock);
	while (iog_amdvi_interrupt(drained))
		;
	pthread_mutex_lock(&fake->lock);
	fake->held = false;
	fake_run(fake);
	pthread_mutex_unlock(&fake->lock);
}

/* A log that was full does not say which devices fell silent: nothing is believed, and it is asked again. */
static void device_tlb_unheard(void **state)
{
	struct iog_amdvi *amdvi;
	struct iog_unit *unit;
	struct fake fake;

	(void)state;
	fake_init(&fake);
	fake.platform.relax = flood_and_drain;
	amdvi = fake_ready(&fake);
	unit = iog_amdvi_unit(amdvi);
	assert_int_equal(iog_amdvi_device_ats(amdvi, 0x18, 16), 0);
	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_PAGING, 1), 0);
	for (uint32_t round = 0; round < 3; round++) {
		while (fake_event(&fake, UINT64_C(2) << 60 | 0x20, 0))
			;
		assert_int_equal(unit->ops->device_invalidate(unit, 0x18, NULL), -IOG_EAGAIN);
		while (iog_amdvi_interrupt(amdvi))
			;
		assert_int_equal(unit->ops->device_invalidate(unit, 0x18, NULL), 0);
	}
	drained = amdvi;
	fake.held = true;
	assert_int_equal(unit->ops->device_invalidate(unit, 0x18, NULL), -IOG_EAGAIN);
	assert_int_equal(unit->ops->device_invalidate(unit, 0x18, NULL), 0);
	assert_int_equal(unit->ops->device_set(unit, 0x18, IOG_DOMAIN_BLOCKED, 0), 0);
	fake_done(amdvi);
	fake_fini(&fake);
}

static uint32_t written_at(const struct fake *fake, uint32_t offset, uint32_t nth)
{
	for (uint32_t n = 0; n < fake->written; n++)
		if (fake->writes[n].offset == offset && !nth--)
			return n;
	return UINT32_MAX;
}

/* Turned on with all in place; taken over without being off; turned off when what was asked is done. */
static void life(void **state)
{
	struct iog_amdvi_info info;
	struct iog_amdvi *amdvi;
	struct fake fake;
	uint32_t at;

	(void)state;
	fake_init(&fake);
	amdvi = fake_driver(&fake);
	assert_int_equal(fake.written, 0);
	assert_int_equal(iog_amdvi_enable(amdvi), 0);
	at = written_at(&fake, AMDVI_CONTROL, 1);
	assert_true(at != UINT32_MAX && written_at(&fake, AMDVI_DEVTAB, 0) < at && written_at(&fake, AMDVI_CMDBUF, 0) < at && written_at(&fake, AMDVI_EVTLOG, 0) < at);
	/* 1024 entries are 8 pages; 256 commands and events. */
	assert_true(fake.registers[AMDVI_DEVTAB / 8] == ((uint64_t)(uintptr_t)amdvi->table | 7));
	assert_true(fake.registers[AMDVI_CMDBUF / 8] >> 56 == 8 && fake.registers[AMDVI_EVTLOG / 8] >> 56 == 8);
	assert_true(fake.registers[AMDVI_CONTROL / 8] == (1 | 1 << 2 | 2 << 5 | 1 << 10 | 1 << 12 | 1 << 16));
	expect(&fake, 0, UINT64_C(8) << 60, 0);
	expect_count(&fake, 1);
	iog_amdvi_info(amdvi, &info);
	assert_true(!info.was_enabled && info.levels_host == 6 && info.ias_allowed_guest == 2 && !info.np_cache && info.device_tlbs);
	assert_int_equal(iog_amdvi_enable(amdvi), 0);
	assert_int_equal(iog_amdvi_destroy(amdvi), -IOG_EBUSY);

	/* Half on is not on: the next call goes through all of it. */
	assert_int_equal(iog_amdvi_disable(amdvi), 0);
	fake.lose_waits = 1;
	assert_int_equal(iog_amdvi_enable(amdvi), -IOG_ETIMEDOUT);
	assert_int_equal(iog_amdvi_destroy(amdvi), -IOG_EBUSY);
	fake.logged = 0;
	assert_int_equal(iog_amdvi_enable(amdvi), 0);
	expect(&fake, 0, UINT64_C(8) << 60, 0);
	fake.logged = 0;

	/* Disabled: everything forgotten, buffers off, and then translation. */
	fake.written = 0;
	assert_int_equal(iog_amdvi_disable(amdvi), 0);
	expect(&fake, 0, UINT64_C(8) << 60, 0);
	assert_true(fake.writes[written_at(&fake, AMDVI_CONTROL, 0)].value & 1);
	assert_false(fake.registers[AMDVI_CONTROL / 8] & (1 | 1 << 2 | 1 << 12));
	assert_int_equal(iog_amdvi_disable(amdvi), 0);

	/* Suspended: the unit has lost its registers. */
	assert_int_equal(iog_amdvi_enable(amdvi), 0);
	memset(fake.registers, 0, sizeof(fake.registers));
	fake.registers[AMDVI_EFR / 8] = FAKE_FEATURES;
	assert_int_equal(iog_amdvi_disable(amdvi), 0);
	assert_int_equal(iog_amdvi_enable(amdvi), 0);
	assert_int_equal(iog_amdvi_disable(amdvi), 0);

	/* Taken over: every control word in between keeps it on. */
	fake.registers[AMDVI_CONTROL / 8] = 0x1 | 1 << 2 | 1 << 3 | 1 << 12 | 1 << 13;
	fake.registers[AMDVI_STATUS / 8] = AMDVI_CMD_BUF_RUN | AMDVI_EVENT_LOG_RUN;
	fake.written = 0;
	assert_int_equal(iog_amdvi_enable(amdvi), 0);
	for (uint32_t n = 0; written_at(&fake, AMDVI_CONTROL, n) != UINT32_MAX; n++)
		assert_true(fake.writes[written_at(&fake, AMDVI_CONTROL, n)].value & 1);
	iog_amdvi_info(amdvi, &info);
	assert_true(info.was_enabled);
	assert_int_equal(iog_amdvi_disable(amdvi), 0);

	/* A segmented table cannot be replaced while it is in use. */
	fake.registers[AMDVI_CONTROL / 8] = 1 | UINT64_C(1) << 34;
	fake.written = 0;
	assert_int_equal(iog_amdvi_enable(amdvi), 0);
	assert_false(fake.writes[written_at(&fake, AMDVI_CONTROL, 0)].value & 1);
	assert_false(fake.registers[AMDVI_CONTROL / 8] >> 34 & 7);
	assert_int_equal(iog_amdvi_disable(amdvi), 0);
	assert_int_equal(iog_amdvi_destroy(amdvi), 0);
	fake_fini(&fake);
}

/* Without INVALIDATE_IOMMU_ALL: each device and each domain, in this order. */
static void one_by_one(void **state)
{
	struct iog_amdvi *amdvi;
	struct fake fake;

	(void)state;
	fake_init(&fake);
	fake.registers[AMDVI_EFR / 8] &= ~AMDVI_EFR_IA_SUP;
	amdvi = fake_driver(&fake);
	assert_int_equal(iog_amdvi_enable(amdvi), 0);
	expect(&fake, 0, UINT64_C(2) << 60, 0);
	expect(&fake, 1, UINT64_C(2) << 60 | 1, 0);
	assert_true(fake.logged > 2 * 65536);
	assert_int_equal(iog_amdvi_disable(amdvi), 0);
	assert_int_equal(iog_amdvi_destroy(amdvi), 0);
	fake_fini(&fake);
}

/* Units and hosts that will not do, and memory that runs out at any point. */
static void refused(void **state)
{
	const struct iog_pgtable_root roots[] = {
		{ .format = "vtdss", .levels = 4 }, { .format = "amdv1", .levels = 7 }, { .format = "x86_64", .levels = 5 }, { .format = "amdv1" },
	};
	struct iog_amdvi_config config, bad;
	struct iog_amdvi *amdvi = NULL;
	struct iog_unit *unit;
	struct fake fake;
	int error;

	(void)state;
	fake_init(&fake);
	config = fake_config(&fake);
	for (uint32_t n = 0; n < 8; n++) {
		bad = config;
		*(n == 0 ? &bad.capability : n == 1 ? &bad.segment : n == 2 ? &bad.last_device : n == 3 ? &bad.domain_ids : n == 4 ? &bad.commands : n == 5 ? &bad.events : n == 6 ? &bad.flags : &bad.commands_max) =
			n == 0 ? 0 : n == 3 ? 65535 : n == 4 ? 128 : n == 5 ? 300 : n == 6 ? 4 : n == 7 ? 65 : 0x10000;
		assert_int_equal(iog_amdvi_create(&bad, &amdvi), -IOG_EINVAL);
	}
	fake.platform.now_ns = NULL;
	assert_int_equal(iog_amdvi_create(&config, &amdvi), -IOG_EINVAL);
	fake_init(&fake);
	fake.gone = true;
	assert_int_equal(iog_amdvi_create(&config, &amdvi), -IOG_EIO);
	fake.gone = false;
	for (int n = 0;; n++) {
		fake.refuse_after = n;
		error = iog_amdvi_create(&config, &amdvi);
		fake.refuse_after = -1;
		if (!error)
			break;
		assert_int_equal(error, -IOG_ENOMEM);
		assert_int_equal(fake.bytes, 0);
	}
	unit = iog_amdvi_unit(amdvi);
	for (uint32_t n = 0; n < 4; n++)
		assert_int_equal(unit->ops->domain_add(unit, 1, &roots[n]), -IOG_EOPNOTSUPP);
	assert_int_equal(unit->ops->domain_remove(unit, 1), -IOG_ENOENT);
	/* Buffers that do not stop: nothing was changed but that they were told to. */
	fake.stuck_running = true;
	fake.registers[AMDVI_STATUS / 8] = AMDVI_EVENT_LOG_RUN;
	assert_int_equal(iog_amdvi_enable(amdvi), -IOG_ETIMEDOUT);
	assert_int_equal(written_at(&fake, AMDVI_DEVTAB, 0), UINT32_MAX);
	fake.gone = true;
	assert_int_equal(iog_amdvi_enable(amdvi), -IOG_EIO);
	assert_int_equal(iog_amdvi_destroy(amdvi), 0);
	assert_int_equal(iog_amdvi_destroy(NULL), 0);
	fake_fini(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands),    cmocka_unit_test(covered),     cmocka_unit_test(entries),    cmocka_unit_test(five_levels), cmocka_unit_test(taken_back),
		cmocka_unit_test(device_tlbs), cmocka_unit_test(device_tlb_unheard), cmocka_unit_test(life),	      cmocka_unit_test(one_by_one), cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

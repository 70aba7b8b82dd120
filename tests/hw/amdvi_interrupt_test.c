/* SPDX-License-Identifier: MIT */
/*
 * Interrupt remapping by the AMD-Vi driver: tables and entries, who owns them, what hardware is told.
 */
#include "hw/amdvi_fake.h"
#include "relax.h"

#define DEVICE 0x18
#define OTHER 0x20
#define ENTRIES 64
#define LANES 4
#define DEVTAB (UINT64_C(2) << 60)
#define TABLE (UINT64_C(5) << 60)
#define ROOT UINT64_C(0x000fffffffffffc0)
/* A table of 64 entries, remapped; and what stands where there is none. */
#define REMAPPED (UINT64_C(2) << 60 | 6 << 1 | 1)
#define REFUSED 1

static struct iog_amdvi *driver(struct fake *fake, struct iog_amdvi_config change)
{
	struct iog_amdvi_config config = fake_config(fake);
	struct iog_amdvi *amdvi = NULL;

	config.interrupts = change.interrupts;
	config.flags = change.flags;
	config.timeout_ms = change.timeout_ms ? change.timeout_ms : config.timeout_ms;
	assert_int_equal(iog_amdvi_create(&config, &amdvi), 0);
	return amdvi;
}

static struct iog_amdvi *ready(struct fake *fake, struct iog_amdvi_config change)
{
	struct iog_amdvi *amdvi = driver(fake, change);

	assert_int_equal(iog_amdvi_enable(amdvi), 0);
	fake->logged = 0;
	return amdvi;
}

static void done(struct iog_amdvi *amdvi)
{
	assert_int_equal(iog_amdvi_disable(amdvi), 0);
	assert_int_equal(iog_amdvi_destroy(amdvi), 0);
}

static void *table_at(struct iog_amdvi *amdvi, uint32_t device)
{
	return (void *)(uintptr_t)(__atomic_load_n(&fake_entry(amdvi, device)[2], __ATOMIC_ACQUIRE) & ROOT);
}

static uint32_t entry(struct iog_amdvi *amdvi, uint32_t device, uint32_t index)
{
	return ((const uint32_t *)table_at(amdvi, device))[index];
}

/* Exactly these and a wait, since the last time. */
static void expect(struct fake *fake, uint32_t count, const uint64_t *lows)
{
	assert_int_equal(fake->logged, count + 1);
	for (uint32_t n = 0; n < count; n++)
		assert_true(fake->log[n].low == lows[n] && !fake->log[n].high);
	assert_int_equal(AMDVI_OPCODE(&fake->log[count]), AMDVI_COMPLETION_WAIT);
	fake->logged = 0;
}

#define EXPECT(...) expect(&fake, sizeof((uint64_t[]){ __VA_ARGS__ }) / 8, (uint64_t[]){ __VA_ARGS__ })
#define EXPECT_NOTHING() assert_int_equal(fake.logged, 0)

static void entries(void **state)
{
	struct iog_amdvi_route route = { .vector = 0x41, .destination = 5 };
	uint32_t index, other, run, data;
	struct iog_amdvi_stats stats;
	struct iog_amdvi *amdvi;
	uint64_t address;
	struct fake fake;

	(void)state;
	fake_init(&fake);
	amdvi = ready(&fake, (struct iog_amdvi_config){ .interrupts = ENTRIES });
	assert_false(fake.registers[AMDVI_CONTROL / 8] & (AMDVI_GA_EN | AMDVI_XT_EN));
	/* No table: refused, whoever it is. */
	for (uint32_t device = 0; device < 0x400; device++)
		assert_true(fake_entry(amdvi, device)[2] == REFUSED);
	assert_int_equal(iog_amdvi_interrupt_alloc(amdvi, DEVICE, 0, &index), -IOG_EINVAL);
	assert_int_equal(iog_amdvi_interrupt_alloc(amdvi, DEVICE, 3, &index), -IOG_EINVAL);
	assert_int_equal(iog_amdvi_interrupt_alloc(amdvi, DEVICE, 64, &index), -IOG_EINVAL);
	assert_int_equal(iog_amdvi_interrupt_alloc(amdvi, DEVICE | 0x10000, 1, &index), -IOG_ERANGE);
	assert_int_equal(iog_amdvi_interrupt_alloc(amdvi, 0x400, 1, &index), -IOG_ERANGE);
	assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, 0, &route), -IOG_ENOENT);
	assert_int_equal(iog_amdvi_interrupt_free(amdvi, DEVICE, 0, 1), -IOG_ENOENT);
	assert_true(fake_entry(amdvi, DEVICE)[2] == REFUSED);
	assert_int_equal(fake.logged, 0);

	/* The first brings a table, in which everything is blocked; hardware forgets that there was none. Further ones say nothing. */
	assert_int_equal(iog_amdvi_interrupt_alloc(amdvi, DEVICE, 1, &index), 0);
	EXPECT(DEVTAB | DEVICE, TABLE | DEVICE);
	assert_true((fake_entry(amdvi, DEVICE)[2] & ~ROOT) == REMAPPED && table_at(amdvi, DEVICE));
	for (uint32_t n = 0; n < ENTRIES; n++)
		assert_int_equal(entry(amdvi, DEVICE, n), 0);
	assert_int_equal(iog_amdvi_interrupt_alloc(amdvi, DEVICE, 4, &run), 0);
	assert_int_equal(iog_amdvi_interrupt_alloc(amdvi, DEVICE, 1, &other), 0);
	EXPECT_NOTHING();
	assert_true(run % 4 == 0 && other != index && (other < run || other >= run + 4) && (index < run || index >= run + 4));
	/* Devices share nothing. */
	assert_int_equal(iog_amdvi_interrupt_alloc(amdvi, OTHER, 1, &data), 0);
	EXPECT(DEVTAB | OTHER, TABLE | OTHER);
	assert_ptr_not_equal(table_at(amdvi, DEVICE), table_at(amdvi, OTHER));
	assert_int_equal(iog_amdvi_interrupt_route(amdvi, OTHER, other, &route), other == data ? 0 : -IOG_ENOENT);
	fake.logged = 0;

	/* Hardware may remember an entry that blocked, too. */
	assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, index, &route), 0);
	EXPECT(TABLE | DEVICE);
	assert_int_equal(entry(amdvi, DEVICE, index), 1 | 5 << 8 | 0x41 << 16);
	route = (struct iog_amdvi_route){ .vector = 0xfe, .destination = 0xff, .delivery = 1, .flags = IOG_AMDVI_ROUTE_LOGICAL | IOG_AMDVI_ROUTE_EOI };
	assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, index, &route), 0);
	EXPECT(TABLE | DEVICE);
	assert_int_equal(entry(amdvi, DEVICE, index), 1 | 1 << 2 | 1 << 5 | 1 << 6 | 0xff << 8 | 0xfe << 16);
	assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, index, NULL), 0);
	EXPECT(TABLE | DEVICE);
	assert_int_equal(entry(amdvi, DEVICE, index), 0);

#define MALFORMED(...) assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, index, &(struct iog_amdvi_route){ __VA_ARGS__ }), -IOG_EINVAL)
	MALFORMED(.vector = 15);
	MALFORMED(.vector = 255);
	MALFORMED(.vector = 0x41, .delivery = 2);
	MALFORMED(.vector = 0x41, .destination = 256);
	MALFORMED(.vector = 0x41, .flags = 4);
	assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, ENTRIES, &route), -IOG_ERANGE);
	assert_int_equal(iog_amdvi_interrupt_route(amdvi, 0x400, index, &route), -IOG_ERANGE);
	assert_int_equal(entry(amdvi, DEVICE, index), 0);

	/* Runs go whole, blocked before hardware is told. */
	for (uint32_t n = 0; n < 4; n++)
		assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, run + n, &route), 0);
	assert_int_equal(iog_amdvi_interrupt_free(amdvi, DEVICE, run + 1, 4), -IOG_EINVAL);
	assert_int_equal(iog_amdvi_interrupt_free(amdvi, DEVICE, 32, 4), -IOG_ENOENT);
	assert_int_equal(iog_amdvi_interrupt_free(amdvi, DEVICE, ENTRIES, 4), -IOG_ERANGE);
	fake.logged = 0;
	assert_int_equal(iog_amdvi_interrupt_free(amdvi, DEVICE, run, 4), 0);
	EXPECT(TABLE | DEVICE);
	for (uint32_t n = 0; n < 4; n++)
		assert_int_equal(entry(amdvi, DEVICE, run + n), 0);
	assert_int_equal(iog_amdvi_interrupt_free(amdvi, DEVICE, run, 4), -IOG_ENOENT);

	/* Until there are no more; none is given twice. */
	assert_int_equal(iog_amdvi_interrupt_free(amdvi, DEVICE, index, 1), 0);
	assert_int_equal(iog_amdvi_interrupt_free(amdvi, DEVICE, other, 1), 0);
	assert_int_equal(iog_amdvi_interrupt_alloc(amdvi, DEVICE, 32, &run), 0);
	assert_int_equal(iog_amdvi_interrupt_alloc(amdvi, DEVICE, 32, &other), 0);
	assert_int_equal(run ^ other, 32);
	assert_int_equal(iog_amdvi_interrupt_alloc(amdvi, DEVICE, 1, &index), -IOG_ENOSPC);
	iog_amdvi_stats(amdvi, &stats);
	assert_true(stats.interrupt_commands > 8);

	iog_amdvi_interrupt_message(0x123, &address, &data);
	assert_true(address == 0xfee00000 && data == 0x123);
	done(amdvi);
	fake_fini(&fake);
}

/* The third word of a device's entry has others' bits, too. */
static void shared_word(void **state)
{
	const struct iog_pgtable_root five = { .paddr = 0x789000, .format = "x86_64", .levels = 5, .ias = 57 }, host = { .paddr = 0x123000, .format = "amdv1", .levels = 4, .ias = 48 };
	const uint64_t passes = UINT64_C(7) << 56 | UINT64_C(3) << 62;
	struct iog_amdvi *amdvi;
	struct iog_unit *unit;
	struct fake fake;
	uint64_t *words;
	uint32_t index;

	(void)state;
	fake_init(&fake);
	fake.registers[AMDVI_EFR / 8] |= UINT64_C(1) << 12;
	amdvi = ready(&fake, (struct iog_amdvi_config){ .interrupts = ENTRIES });
	unit = iog_amdvi_unit(amdvi);
	words = fake_entry(amdvi, DEVICE);
	assert_int_equal(iog_amdvi_device_settings(amdvi, DEVICE, 0xc7), 0);
	assert_true(words[2] == (REFUSED | passes));
	assert_int_equal(unit->ops->domain_add(unit, 1, &host), 0);
	assert_int_equal(unit->ops->domain_add(unit, 3, &five), 0);
	assert_int_equal(unit->ops->device_set(unit, DEVICE, IOG_DOMAIN_PAGING, 3), 0);
	assert_true(words[2] == (REFUSED | passes | UINT64_C(1) << 54));
	assert_int_equal(iog_amdvi_interrupt_alloc(amdvi, DEVICE, 1, &index), 0);
	assert_true((words[2] & ~ROOT) == (REMAPPED | passes | UINT64_C(1) << 54));
	assert_int_equal(unit->ops->device_set(unit, DEVICE, IOG_DOMAIN_IDENTITY, 0), 0);
	assert_int_equal(unit->ops->device_set(unit, DEVICE, IOG_DOMAIN_PAGING, 1), 0);
	assert_int_equal(unit->ops->device_set(unit, DEVICE, IOG_DOMAIN_PAGING, 3), 0);
	assert_true((words[2] & ~ROOT) == (REMAPPED | passes | UINT64_C(1) << 54));
	/* One that is taken back leaves the table, too. */
	fake.lose_waits = 2;
	assert_int_equal(unit->ops->device_set(unit, DEVICE, IOG_DOMAIN_PAGING, 1), -IOG_ETIMEDOUT);
	fake.lose_waits = 0;
	assert_true((words[2] & ~(ROOT | UINT64_C(3) << 54)) == (REMAPPED | passes));
	assert_int_equal(unit->ops->device_set(unit, DEVICE, IOG_DOMAIN_BLOCKED, 0), 0);
	assert_true((words[2] & ~(ROOT | UINT64_C(3) << 54)) == (REMAPPED | passes));
	assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, index, &(struct iog_amdvi_route){ .vector = 0x41 }), 0);
	assert_int_equal(entry(amdvi, DEVICE, index), 1 | 0x41 << 16);
	assert_int_equal(unit->ops->domain_remove(unit, 1), 0);
	assert_int_equal(unit->ops->domain_remove(unit, 3), 0);
	done(amdvi);
	fake_fini(&fake);
}

/* What was routed is what is read. */
static void read_back(void **state)
{
	const struct iog_amdvi_route routes[] = { { .vector = 0x41, .destination = 5 }, { .vector = 0xfe, .destination = 0xff, .delivery = 1, .flags = IOG_AMDVI_ROUTE_LOGICAL | IOG_AMDVI_ROUTE_EOI } };
	struct iog_amdvi_interrupt interrupt;
	struct iog_amdvi *amdvi;
	struct fake fake;
	uint32_t index;

	(void)state;
	for (uint32_t flags = 0; flags <= IOG_AMDVI_X2APIC; flags += IOG_AMDVI_X2APIC) {
		fake_init(&fake);
		fake.registers[AMDVI_EFR / 8] |= AMDVI_EFR_XT_SUP | AMDVI_EFR_GA_SUP;
		amdvi = ready(&fake, (struct iog_amdvi_config){ .interrupts = ENTRIES, .flags = flags });
		memset(&interrupt, 0xff, sizeof(interrupt));
		assert_int_equal(iog_amdvi_interrupt_read(amdvi, DEVICE, 3, &interrupt), 0);
		assert_false(interrupt.enabled || interrupt.guest || interrupt.apic);
		assert_int_equal(iog_amdvi_interrupt_read(amdvi, DEVICE, ENTRIES, &interrupt), -IOG_ERANGE);
		assert_int_equal(iog_amdvi_interrupt_read(amdvi, 0x400, 0, &interrupt), -IOG_ERANGE);
		assert_int_equal(iog_amdvi_interrupt_alloc(amdvi, DEVICE, 2, &index), 0);
		for (uint32_t n = 0; n < 2; n++) {
			assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, index + 1, &routes[n]), 0);
			assert_int_equal(iog_amdvi_interrupt_read(amdvi, DEVICE, index + 1, &interrupt), 0);
			assert_true(interrupt.enabled && !interrupt.guest && !interrupt.silent);
			assert_memory_equal(&interrupt.route, &routes[n], sizeof(routes[n]));
		}
		if (flags) {
			assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, index, &(struct iog_amdvi_route){ .vector = 0x41, .destination = 0x87654321 }), 0);
			assert_int_equal(iog_amdvi_interrupt_read(amdvi, DEVICE, index, &interrupt), 0);
			assert_int_equal(interrupt.route.destination, 0x87654321);
		}
		done(amdvi);
		fake_fini(&fake);
	}
}

/* Entries that others have made, for guests among them. */
static void decode(void **state)
{
	static const uint64_t guest[] = { UINT64_C(0xcafe1234) << 32 | 0x345678 << 8 | 1 << 7 | 1 << 6 | 1 << 2 | 1 << 1 | 1, UINT64_C(0x12) << 56 | UINT64_C(0xabcdef1234000) | 0x10 };
	static const uint64_t narrow[] = { 0x41 << 16 | 5 << 8 | 1 << 2 | 1, 0 }, wide_one[] = { 5 << 8 | 1 << 2 | 1, 0x41 };
	struct iog_amdvi_interrupt interrupt, before;

	(void)state;
	assert_int_equal(iog_amdvi_interrupt_decode(guest, true, &interrupt), 0);
	assert_true(interrupt.enabled && interrupt.guest && interrupt.running && interrupt.logged && interrupt.silent);
	assert_true(interrupt.apic == UINT64_C(0xabcdef1234000) && interrupt.tag == 0xcafe1234 && interrupt.route.vector == 0x10 && interrupt.route.destination == 0x12345678);
	assert_int_equal(iog_amdvi_interrupt_decode(narrow, false, &interrupt), 0);
	assert_true(!interrupt.guest && interrupt.route.vector == 0x41 && interrupt.route.destination == 5 && interrupt.route.delivery == 1);
	/* Each bit: kinds beyond the two; 7, 24 to 31 of 32 bits; 72 to 119 of 128 bits; and for guests 3 to 5, 72 to 75, 116 to 119. */
	before = interrupt;
	for (uint32_t bit = 0; bit < 128; bit++) {
		for (uint32_t kind = 0; kind < 3; kind++) {
			const uint64_t *entry = kind == 0 ? narrow : kind == 1 ? wide_one : guest;
			uint64_t words[2] = { entry[0], entry[1] };
			bool reserved = bit == 3 || bit == 4;

			if (kind == 0)
				reserved = reserved || bit == 7 || (bit >= 24 && bit < 32);
			else if (kind == 1)
				reserved = reserved || (bit >= 72 && bit < 120);
			else
				reserved = reserved || bit == 5 || (bit >= 72 && bit < 76) || (bit >= 116 && bit < 120);
			/* Set as it is; or another format. */
			if (words[bit / 64] >> bit % 64 & 1 || (bit == 7 && kind == 1) || (bit >= 32 && !kind))
				continue;
			words[bit / 64] |= UINT64_C(1) << bit % 64;
			interrupt = before;
			if (iog_amdvi_interrupt_decode(words, kind, &interrupt) != (reserved ? -IOG_EINVAL : 0))
				fail_msg("kind %u, bit %u", kind, bit);
			if (reserved)
				assert_memory_equal(&interrupt, &before, sizeof(before));
		}
	}
	/* Whatever else is in it. */
	assert_int_equal(iog_amdvi_interrupt_decode((const uint64_t[]){ ~UINT64_C(1), UINT64_MAX }, true, &interrupt), 0);
	assert_false(interrupt.enabled);
}

/* What an entry says each time that hardware is told to forget it. */
static struct {
	const uint64_t *words;
	uint64_t seen[8];
	uint32_t count;
} watched;

static void watch(struct fake *fake, const struct amdvi_command *command)
{
	(void)fake;
	if (AMDVI_OPCODE(command) == AMDVI_INVALIDATE_INTERRUPT_TABLE && watched.count < 4) {
		watched.seen[2 * watched.count] = watched.words[0];
		watched.seen[2 * watched.count++ + 1] = watched.words[1];
	}
}

static void wide(void **state)
{
	struct iog_amdvi_route route = { .vector = 0x41, .destination = 0x12345678, .delivery = 1 };
	struct iog_amdvi *amdvi;
	const uint64_t *words;
	struct fake fake;
	uint32_t index;

	(void)state;
	fake_init(&fake);
	fake.registers[AMDVI_EFR / 8] |= AMDVI_EFR_XT_SUP | AMDVI_EFR_GA_SUP;
	amdvi = ready(&fake, (struct iog_amdvi_config){ .interrupts = 512, .flags = IOG_AMDVI_X2APIC });
	assert_true((fake.registers[AMDVI_CONTROL / 8] & (AMDVI_GA_EN | AMDVI_XT_EN)) == (AMDVI_GA_EN | AMDVI_XT_EN));
	assert_int_equal(iog_amdvi_interrupt_alloc(amdvi, DEVICE, 1, &index), 0);
	assert_int_equal(iog_amdvi_interrupt_alloc(amdvi, DEVICE, 32, &index), 0);
	assert_true((fake_entry(amdvi, DEVICE)[2] & ~ROOT) == (UINT64_C(2) << 60 | 9 << 1 | 1));
	fake.logged = 0;
	index += 31;
	words = (const uint64_t *)table_at(amdvi, DEVICE) + 2 * (size_t)index;
	assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, index, &route), 0);
	EXPECT(TABLE | DEVICE);
	assert_true(words[0] == (1 | 1 << 2 | UINT64_C(0x345678) << 8) && words[1] == (0x41 | UINT64_C(0x12) << 56));
	route = (struct iog_amdvi_route){ .vector = 0x50, .destination = 3, .flags = IOG_AMDVI_ROUTE_LOGICAL | IOG_AMDVI_ROUTE_EOI };
	watched.words = words;
	watched.count = 0;
	fake.command_seen = watch;
	assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, index, &route), 0);
	assert_true(words[0] == (1 | 1 << 5 | 1 << 6 | 3 << 8) && words[1] == 0x50);
#ifdef IOG_AMDVI_STORES_64
	/* Blocked and forgotten with the former upper word, before the new one. */
	assert_true(watched.count == 2 && !watched.seen[0] && watched.seen[1] == (0x41 | UINT64_C(0x12) << 56));
	assert_true(watched.seen[2] == words[0] && watched.seen[3] == words[1]);
#else
	assert_true(watched.count == 1 && watched.seen[0] == words[0] && watched.seen[1] == words[1]);
#endif
	/* Hardware that does not say that it has forgotten leaves it blocked, and is asked again. */
	watched.count = 0;
	fake.lose_waits = 1;
	route.vector = 0x51;
	assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, index, &route), -IOG_ETIMEDOUT);
	assert_true(!(words[0] & 1) || words[1] == 0x51);
	assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, index, &route), 0);
	assert_true(words[0] & 1 && words[1] == 0x51);
	assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, index, NULL), 0);
	assert_int_equal(words[0], 0);
	fake.command_seen = NULL;
	assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, index, &route), 0);
	assert_int_equal(iog_amdvi_interrupt_free(amdvi, DEVICE, index - 31, 32), 0);
	assert_int_equal(words[0], 0);
	done(amdvi);
	fake_fini(&fake);
}

static void refused(void **state)
{
	struct iog_amdvi_config config;
	struct iog_amdvi *amdvi = NULL;
	struct fake fake;
	uint32_t index;
	int error = -IOG_ENOMEM;

	(void)state;
	fake_init(&fake);
	config = fake_config(&fake);
	for (uint32_t n = 0; n < 4; n++) {
		config.interrupts = (uint32_t[]){ 16, 48, 1024, 1 }[n];
		assert_int_equal(iog_amdvi_create(&config, &amdvi), -IOG_EINVAL);
	}
	config.interrupts = 32;
	config.flags = IOG_AMDVI_X2APIC << 1;
	assert_int_equal(iog_amdvi_create(&config, &amdvi), -IOG_EINVAL);
	config.flags = IOG_AMDVI_X2APIC;
	assert_int_equal(iog_amdvi_create(&config, &amdvi), -IOG_EOPNOTSUPP);
	fake.registers[AMDVI_EFR / 8] |= AMDVI_EFR_XT_SUP;
	assert_int_equal(iog_amdvi_create(&config, &amdvi), -IOG_EOPNOTSUPP);
	fake.registers[AMDVI_EFR / 8] |= AMDVI_EFR_GA_SUP;
	for (int n = 0; error == -IOG_ENOMEM; n++) {
		assert_true(n < 20);
		fake.refuse_after = n;
		error = iog_amdvi_create(&config, &amdvi);
		if (error)
			assert_int_equal(fake.bytes, 0);
	}
	assert_int_equal(error, 0);
	/* No memory for a table: nothing changes, and the next time it may be there. */
	error = -IOG_ENOMEM;
	for (int n = 0; error == -IOG_ENOMEM; n++) {
		size_t before = fake.bytes;

		assert_true(n < 20);
		fake.refuse_after = n;
		error = iog_amdvi_interrupt_alloc(amdvi, DEVICE, 1, &index);
		if (error) {
			assert_int_equal(fake.bytes, before);
			assert_true(fake_entry(amdvi, DEVICE)[2] == REFUSED);
		}
	}
	assert_int_equal(error, 0);
	fake.refuse_after = -1;
	assert_int_equal(iog_amdvi_destroy(amdvi), 0);
	amdvi = ready(&fake, (struct iog_amdvi_config){ 0 });
	assert_int_equal(fake_entry(amdvi, DEVICE)[2], 0);
	assert_int_equal(iog_amdvi_interrupt_alloc(amdvi, DEVICE, 1, &index), -IOG_EOPNOTSUPP);
	assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, 0, NULL), -IOG_EOPNOTSUPP);
	assert_int_equal(iog_amdvi_interrupt_free(amdvi, DEVICE, 0, 1), -IOG_EOPNOTSUPP);
	assert_int_equal(iog_amdvi_interrupt_read(amdvi, DEVICE, 0, NULL), -IOG_EOPNOTSUPP);
	done(amdvi);
	fake_fini(&fake);
}

/* What hardware has not said that it forgot is not used again, and it is asked again. */
static void silent(void **state)
{
	const struct iog_amdvi_route route = { .vector = 0x41 };
	struct iog_amdvi *amdvi;
	struct fake fake;
	uint32_t index, again;
	size_t bytes;

	(void)state;
	fake_init(&fake);
	amdvi = ready(&fake, (struct iog_amdvi_config){ .interrupts = 32 });
	fake.lose_waits = 1;
	assert_int_equal(iog_amdvi_interrupt_alloc(amdvi, DEVICE, 32, &index), -IOG_ETIMEDOUT);
	bytes = fake.bytes;
	fake.logged = 0;
	/* Nothing was taken: all of it is there. It is the same table, of which hardware is told now. */
	assert_int_equal(iog_amdvi_interrupt_alloc(amdvi, DEVICE, 32, &index), 0);
	EXPECT(DEVTAB | DEVICE, TABLE | DEVICE);
	assert_int_equal(fake.bytes, bytes);

	assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, 3, &route), 0);
	fake.lose_waits = 1;
	assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, 3, NULL), -IOG_ETIMEDOUT);
	assert_int_equal(entry(amdvi, DEVICE, 3), 0);
	fake.logged = 0;
	assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, 3, NULL), 0);
	EXPECT(TABLE | DEVICE);

	assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, 31, &route), 0);
	fake.lose_waits = 1;
	assert_int_equal(iog_amdvi_interrupt_free(amdvi, DEVICE, 0, 32), -IOG_ETIMEDOUT);
	assert_int_equal(entry(amdvi, DEVICE, 31), 0);
	assert_int_equal(iog_amdvi_interrupt_alloc(amdvi, DEVICE, 1, &again), -IOG_ENOSPC);
	assert_int_equal(iog_amdvi_interrupt_free(amdvi, DEVICE, 0, 32), 0);
	assert_int_equal(iog_amdvi_interrupt_alloc(amdvi, DEVICE, 1, &again), 0);
	/* A command that stops the unit is submitted again. */
	fake.stop_at = AMDVI_INVALIDATE_INTERRUPT_TABLE;
	assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, again, &route), 0);
	done(amdvi);
	fake_fini(&fake);
}

/* Off, nothing is told; when it is turned on, everything is. */
static void off(void **state)
{
	const struct iog_amdvi_route route = { .vector = 0x41 };
	struct iog_amdvi *amdvi;
	uint32_t index;
	struct fake fake;

	(void)state;
	fake_init(&fake);
	/* Without INVALIDATE_IOMMU_ALL. */
	fake.registers[AMDVI_EFR / 8] &= ~AMDVI_EFR_IA_SUP;
	/* A previous owner's entries have 128 bits until its device table is replaced. */
	fake.registers[AMDVI_CONTROL / 8] = AMDVI_IOMMU_EN | AMDVI_GA_EN | AMDVI_XT_EN | AMDVI_CMD_BUF_EN;
	amdvi = driver(&fake, (struct iog_amdvi_config){ .interrupts = 32 });
	assert_int_equal(iog_amdvi_interrupt_alloc(amdvi, DEVICE, 1, &index), 0);
	assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, index, &route), 0);
	assert_int_equal(fake.logged, 0);
	fake.written = 0;
	assert_int_equal(iog_amdvi_enable(amdvi), 0);
	for (uint32_t n = 0; n < fake.written && fake.writes[n].offset != AMDVI_DEVTAB; n++)
		if (fake.writes[n].offset == AMDVI_CONTROL)
			assert_true((fake.writes[n].value & (AMDVI_GA_EN | AMDVI_XT_EN)) == (AMDVI_GA_EN | AMDVI_XT_EN));
	assert_false(fake.registers[AMDVI_CONTROL / 8] & (AMDVI_GA_EN | AMDVI_XT_EN));
	/* Entries, interrupts, pages. */
	assert_true(fake.logged > 3 * 0x10000);
	assert_int_equal(entry(amdvi, DEVICE, index), 1 | 0x41 << 16);
	assert_int_equal(iog_amdvi_disable(amdvi), 0);
	fake.logged = 0;
	assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, index, NULL), 0);
	assert_int_equal(iog_amdvi_interrupt_free(amdvi, DEVICE, index, 1), 0);
	assert_int_equal(fake.logged, 0);
	assert_int_equal(iog_amdvi_destroy(amdvi), 0);
	fake_fini(&fake);
}

/* Another lane that is faster: it gets its entry while the first one's table is being made. */
static struct {
	struct iog_amdvi *amdvi;
	void *(*pages)(void *ctx, size_t size);
	uint32_t index;
	bool armed;
} faster;

static void *pages_after_another(void *ctx, size_t size)
{
	if (faster.armed) {
		faster.armed = false;
		assert_int_equal(iog_amdvi_interrupt_alloc(faster.amdvi, DEVICE, 1, &faster.index), 0);
	}
	return faster.pages(ctx, size);
}

static void overtaken(void **state)
{
	struct iog_amdvi *amdvi;
	struct fake fake;
	uint32_t index;
	void *table;

	(void)state;
	fake_init(&fake);
	faster.pages = fake.platform.pages_alloc;
	fake.platform.pages_alloc = pages_after_another;
	amdvi = ready(&fake, (struct iog_amdvi_config){ .interrupts = ENTRIES });
	faster.amdvi = amdvi;
	faster.armed = true;
	assert_int_equal(iog_amdvi_interrupt_alloc(amdvi, DEVICE, 1, &index), 0);
	/* One table, two entries, told once. */
	assert_int_not_equal(index, faster.index);
	EXPECT(DEVTAB | DEVICE, TABLE | DEVICE);
	table = table_at(amdvi, DEVICE);
	assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, faster.index, &(struct iog_amdvi_route){ .vector = 0x41 }), 0);
	assert_int_equal(iog_amdvi_interrupt_route(amdvi, DEVICE, index, &(struct iog_amdvi_route){ .vector = 0x42 }), 0);
	assert_ptr_equal(table_at(amdvi, DEVICE), table);
	assert_true(entry(amdvi, DEVICE, faster.index) == (1 | 0x41 << 16) && entry(amdvi, DEVICE, index) == (1 | 0x42 << 16));
	done(amdvi);
	fake_fini(&fake);
}

struct lane {
	struct iog_amdvi *amdvi;
	_Atomic uint32_t *owners; /* of DEVICE's entries */
	uint32_t number;
};

static void *lane_run(void *argument)
{
	struct lane *lane = argument;
	const struct iog_amdvi_route route = { .vector = 0x40 + lane->number, .destination = lane->number };
	uint32_t index, own, run = 1u << lane->number % 3;

	for (uint32_t n = 0; n < 200; n++) {
		assert_int_equal(iog_amdvi_interrupt_alloc(lane->amdvi, DEVICE, run, &index), 0);
		assert_int_equal(iog_amdvi_interrupt_alloc(lane->amdvi, 0x100 + n % 8, 1, &own), 0);
		for (uint32_t i = 0; i < run; i++) {
			/* Nobody else's, and blocked. */
			assert_int_equal(atomic_exchange(&lane->owners[index + i], lane->number + 1), 0);
			assert_int_equal(__atomic_load_n((uint32_t *)table_at(lane->amdvi, DEVICE) + index + i, __ATOMIC_RELAXED), 0);
			assert_int_equal(iog_amdvi_interrupt_route(lane->amdvi, DEVICE, index + i, &route), 0);
			assert_int_equal(__atomic_load_n((uint32_t *)table_at(lane->amdvi, DEVICE) + index + i, __ATOMIC_RELAXED), 1 | lane->number << 8 | route.vector << 16);
		}
		for (uint32_t i = 0; i < run; i++)
			atomic_store(&lane->owners[index + i], 0);
		assert_int_equal(iog_amdvi_interrupt_free(lane->amdvi, DEVICE, index, run), 0);
		assert_int_equal(iog_amdvi_interrupt_free(lane->amdvi, 0x100 + n % 8, own, 1), 0);
	}
	return NULL;
}

static void lanes(void **state)
{
	static _Atomic uint32_t owners[ENTRIES];
	struct iog_unit *unit;
	struct lane lane[LANES];
	pthread_t threads[LANES];
	struct iog_amdvi *amdvi;
	struct fake fake;

	(void)state;
	fake_init(&fake);
	fake.platform.relax = kit_relax;
	/* Of the fake's clock, which runs by looks: those of a lane that others keep from its CPU are not few. */
	amdvi = ready(&fake, (struct iog_amdvi_config){ .interrupts = ENTRIES, .timeout_ms = 1000000 });
	unit = iog_amdvi_unit(amdvi);
	for (uint32_t n = 0; n < LANES; n++) {
		lane[n] = (struct lane){ .amdvi = amdvi, .owners = owners, .number = n };
		assert_int_equal(pthread_create(&threads[n], NULL, lane_run, &lane[n]), 0);
	}
	/* Meanwhile the device is moved about. */
	for (uint32_t n = 0; n < 100; n++) {
		assert_int_equal(unit->ops->device_set(unit, DEVICE, n % 2 ? IOG_DOMAIN_BLOCKED : IOG_DOMAIN_IDENTITY, 0), 0);
		assert_int_equal(iog_amdvi_device_settings(amdvi, DEVICE, (uint8_t)(n % 8)), 0);
	}
	for (uint32_t n = 0; n < LANES; n++)
		pthread_join(threads[n], NULL);
	assert_true((fake_entry(amdvi, DEVICE)[2] & (REMAPPED | REFUSED)) == REMAPPED);
	done(amdvi);
	fake_fini(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries), cmocka_unit_test(shared_word), cmocka_unit_test(wide), cmocka_unit_test(refused), cmocka_unit_test(read_back), cmocka_unit_test(decode),
		cmocka_unit_test(silent),  cmocka_unit_test(off),	  cmocka_unit_test(overtaken), cmocka_unit_test(lanes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

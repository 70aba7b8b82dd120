/* SPDX-License-Identifier: MIT */
/*
 * MSI page tables by the RISC-V IOMMU driver, against a register file that records commands: what contexts and entries say, what hardware is told and in which order.
 */
#include <iogate/hw/riscv.h>

#include "hw/riscv/registers.h"
#include "model.h"

#define DEVICE 0x118u
#define OTHER 0x119u
#define FIRST 5u  /* a domain of the first stage */
#define SECOND 6u /* and of the second */
#define WINDOW UINT64_C(0x28000000)
#define FILES 16
#define FILE(n) (UINT64_C(0x24000000) + UINT64_C(0x1000) * (n))
#define BASIC(n) (7 | FILE(n) >> 12 << 10)
#define FLAT (UINT64_C(1) << 60)
#define LANES 4

#define IODIR(device) (3 | UINT64_C(1) << 33 | (uint64_t)(device) << 40)
#define GVMA(id) (1 | 1 << 7 | UINT64_C(1) << 33 | (uint64_t)(id) << 44)
#define VMA_ALL UINT64_C(1)
#define VMA(id) (1 | UINT64_C(1) << 32 | (uint64_t)(id) << 12)
#define VMA_GUEST(id) (1 | UINT64_C(1) << 33 | (uint64_t)(id) << 44)
#define ATS_INVAL 4
#define AV (1 << 10)

struct bed {
	struct model *model;
	struct iog_riscv *riscv;
	struct iog_unit *unit;
};

static void model_make(struct bed *bed)
{
	memset(bed, 0, sizeof(*bed));
	bed->model = calloc(1, sizeof(*bed->model));
	assert_non_null(bed->model);
	model_init(bed->model);
	*model_register64(bed->model, CAPABILITIES) |= CAP_MSI_MRIF;
}

static void model_end(struct bed *bed)
{
	model_fini(bed->model);
	free(bed->model);
}

static int create(struct bed *bed, struct iog_riscv_config config)
{
	int error;

	config.platform = &bed->model->platform;
	config.registers = MODEL_BASE;
	config.interrupts = config.interrupts ? config.interrupts : FILES;
	config.interrupt_window = config.interrupt_window ? config.interrupt_window : WINDOW;
	error = iog_riscv_create(&config, &bed->riscv);
	if (!error)
		bed->unit = iog_riscv_unit(bed->riscv);
	return error;
}

static void domain(struct bed *bed, uint32_t id, const char *format, uint32_t levels, uint32_t ias)
{
	const struct iog_pgtable_root root = { .paddr = 0x123454000, .format = format, .levels = levels, .ias = ias, .oas = 56 };

	assert_int_equal(bed->unit->ops->domain_add(bed->unit, id, &root), 0);
}

static void bed_init(struct bed *bed, struct iog_riscv_config config)
{
	model_make(bed);
	assert_int_equal(create(bed, config), 0);
	assert_int_equal(iog_riscv_enable(bed->riscv), 0);
	domain(bed, FIRST, "riscv", 4, 48);
	domain(bed, SECOND, "riscv_x4", 4, 50);
	model_forget(bed->model);
}

static void bed_fini(struct bed *bed)
{
	assert_int_equal(bed->unit->ops->domain_remove(bed->unit, FIRST), 0);
	assert_int_equal(bed->unit->ops->domain_remove(bed->unit, SECOND), 0);
	assert_int_equal(iog_riscv_disable(bed->riscv), 0);
	assert_int_equal(iog_riscv_destroy(bed->riscv), 0);
	model_end(bed);
}

static int set(struct bed *bed, uint32_t device, enum iog_domain_type type, uint32_t id)
{
	return bed->unit->ops->device_set(bed->unit, device, type, id);
}

static int route_to(struct bed *bed, uint32_t index, uint32_t file)
{
	const struct iog_riscv_route route = { .file = FILE(file) };

	return iog_riscv_interrupt_route(bed->riscv, DEVICE, index, &route);
}

/* The table that a device's context leads to. */
static const uint64_t *table_of(struct bed *bed, uint32_t device)
{
	const uint64_t *context = model_entry(bed->model, device);

	assert_non_null(context);
	assert_true(context[4] >> 60 == 1);
	return (const uint64_t *)(uintptr_t)(((context[4] & UINT64_C(0xfffffffffff)) << 12) + bed->model->platform.direct_map_offset);
}

/* Exactly these, and a fence, since the last time. Two words each. */
static void expect(struct bed *bed, size_t n, const uint64_t *words)
{
	assert_int_equal(bed->model->nr_log, n / 2 + 1);
	for (size_t i = 0; i < n; i++)
		if (bed->model->log[i / 2][i % 2] != words[i])
			fail_msg("command %zu, word %zu: 0x%llx, not 0x%llx", i / 2, i % 2, (unsigned long long)bed->model->log[i / 2][i % 2], (unsigned long long)words[i]);
	assert_int_equal(bed->model->log[n / 2][0] & UINT32_MAX, 2 | 1 << 10 | 1 << 12 | 1 << 13);
	model_forget(bed->model);
}

#define EXPECT(...) expect(&bed, sizeof((uint64_t[]){ __VA_ARGS__ }) / 8, (uint64_t[]){ __VA_ARGS__ })
#define EXPECT_NOTHING() assert_int_equal(bed.model->nr_log, 0)
#define PAGE_OF(index) ((WINDOW + UINT64_C(0x1000) * (index)) >> 12 << 10)

static void test_contexts(void **state)
{
	const uint64_t *context, *none;
	struct bed bed;
	uint32_t index;

	(void)state;
	bed_init(&bed, (struct iog_riscv_config){ 0 });
	/* Nobody has a table of his own: the window is refused to all. */
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_IDENTITY, 0), 0);
	assert_int_equal(set(&bed, OTHER, IOG_DOMAIN_PAGING, SECOND), 0);
	context = model_entry(bed.model, DEVICE);
	assert_true(context[0] == 1 && context[5] == FILES - 1 && context[6] == WINDOW >> 12 && !context[7]);
	none = table_of(&bed, DEVICE);
	assert_ptr_equal(table_of(&bed, OTHER), none);
	for (uint32_t n = 0; n < 512; n++)
		assert_int_equal(none[n], 0);
	/* The first entry brings a table. One word changes, and the context is forgotten; what was not valid is not remembered. */
	model_forget(bed.model);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, 1, &index), 0);
	EXPECT(IODIR(DEVICE), 0);
	assert_ptr_not_equal(table_of(&bed, DEVICE), none);
	assert_ptr_equal(table_of(&bed, OTHER), none);
	for (uint32_t n = 0; n < 512; n++)
		assert_int_equal(table_of(&bed, DEVICE)[n], 0);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, 4, &index), 0);
	EXPECT_NOTHING();
	/* It stays the device's, wherever that goes; what was remembered under the former context is forgotten (7.3.1). */
	none = table_of(&bed, DEVICE);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, SECOND), 0);
	assert_int_equal(bed.model->nr_log, 5);
	assert_true(bed.model->log[0][0] == IODIR(DEVICE) && bed.model->log[2][0] == GVMA(0) && bed.model->log[3][0] == VMA_ALL);
	assert_ptr_equal(table_of(&bed, DEVICE), none);
	model_forget(bed.model);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, FIRST), 0);
	assert_true(model_count(bed.model, CMD_IOTINVAL_GVMA) == 1 && model_count(bed.model, CMD_IOTINVAL_VMA) == 1);
	assert_true(bed.model->log[bed.model->nr_log - 3][0] == GVMA(SECOND) && bed.model->log[bed.model->nr_log - 2][0] == VMA_GUEST(SECOND));
	assert_ptr_equal(table_of(&bed, DEVICE), none);
	model_forget(bed.model);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_BLOCKED, 0), 0);
	assert_true(bed.model->log[bed.model->nr_log - 3][0] == GVMA(0) && bed.model->log[bed.model->nr_log - 2][0] == VMA(FIRST));
	context = model_entry(bed.model, DEVICE);
	for (uint32_t n = 0; n < 8; n++)
		assert_int_equal(context[n], 0);
	/* Before a device has a context, its table waits. */
	model_forget(bed.model);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, 0x4001, 1, &index), 0);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, 1, &index), 0);
	EXPECT_NOTHING();
	assert_int_equal(set(&bed, 0x4001, IOG_DOMAIN_IDENTITY, 0), 0);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_IDENTITY, 0), 0);
	assert_ptr_not_equal(table_of(&bed, 0x4001), table_of(&bed, OTHER));
	assert_ptr_equal(table_of(&bed, DEVICE), none);
	bed_fini(&bed);
}

static void test_entries(void **state)
{
	uint32_t index, run, other;
	struct iog_riscv_stats stats;
	const uint64_t *table;
	struct bed bed;
	uint64_t address;

	(void)state;
	bed_init(&bed, (struct iog_riscv_config){ 0 });
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, SECOND), 0);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, 1, &index), 0);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, 4, &run), 0);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, 1, &other), 0);
	assert_true(run % 4 == 0 && other != index && (other < run || other >= run + 4) && (index < run || index >= run + 4));
	table = table_of(&bed, DEVICE);
	model_forget(bed.model);
	/* What was not valid is not remembered. From there on: that address, under the domain's tag. */
	assert_int_equal(route_to(&bed, index, 1), 0);
	EXPECT_NOTHING();
	assert_true(table[2 * index] == BASIC(1) && !table[2 * index + 1]);
	assert_int_equal(route_to(&bed, index, 2), 0);
	EXPECT(GVMA(SECOND) | AV, PAGE_OF(index));
	assert_true(table[2 * index] == BASIC(2));
	/* Without a second stage its tag is 0, and what the first stage led to it goes, too. */
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, FIRST), 0);
	model_forget(bed.model);
	assert_int_equal(route_to(&bed, index, 3), 0);
	EXPECT(GVMA(0) | AV, PAGE_OF(index), VMA(FIRST), 0);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_IDENTITY, 0), 0);
	model_forget(bed.model);
	assert_int_equal(route_to(&bed, index, 4), 0);
	EXPECT(GVMA(0) | AV, PAGE_OF(index), VMA_ALL, 0);
	/* One that was blocked by its first word is still known by the others. */
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, SECOND), 0);
	assert_int_equal(bed.unit->ops->device_block(bed.unit, DEVICE), 0);
	model_forget(bed.model);
	assert_int_equal(iog_riscv_interrupt_route(bed.riscv, DEVICE, index, NULL), 0);
	EXPECT(GVMA(SECOND) | AV, PAGE_OF(index));
	assert_int_equal(table[2 * index], 0);
	assert_int_equal(iog_riscv_interrupt_route(bed.riscv, DEVICE, index, NULL), 0);
	EXPECT_NOTHING();
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, SECOND), 0);
	model_forget(bed.model);

	/* Runs: nothing for what never was valid, one address for one, all for more. */
	assert_int_equal(iog_riscv_interrupt_free(bed.riscv, DEVICE, index, 1), 0);
	EXPECT_NOTHING();
	assert_int_equal(route_to(&bed, run + 2, 2), 0);
	assert_int_equal(iog_riscv_interrupt_free(bed.riscv, DEVICE, run, 4), 0);
	EXPECT(GVMA(SECOND) | AV, PAGE_OF(run + 2));
	assert_int_equal(table[2 * (run + 2)], 0);
	assert_int_equal(iog_riscv_interrupt_free(bed.riscv, DEVICE, run, 4), -IOG_ENOENT);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, 4, &run), 0);
	for (uint32_t n = 0; n < 4; n++)
		assert_int_equal(route_to(&bed, run + n, n), 0);
	assert_int_equal(iog_riscv_interrupt_free(bed.riscv, DEVICE, run, 4), 0);
	EXPECT(GVMA(SECOND), 0);
	for (uint32_t n = 0; n < 4; n++)
		assert_int_equal(table[2 * (run + n)], 0);
	/* Until there are no more; none is given twice. */
	assert_int_equal(iog_riscv_interrupt_free(bed.riscv, DEVICE, other, 1), 0);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, FILES / 2, &run), 0);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, FILES / 2, &other), 0);
	assert_int_equal(run ^ other, FILES / 2);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, 1, &index), -IOG_ENOSPC);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, OTHER, FILES, &index), 0);
	assert_int_equal(index, 0);
	iog_riscv_stats(bed.riscv, &stats);
	assert_true(stats.interrupt_commands > 10);
	iog_riscv_interrupt_message(bed.riscv, 3, &address);
	assert_true(address == WINDOW + 0x3000);
	bed_fini(&bed);
}

static void test_malformed(void **state)
{
	struct bed bed;
	uint32_t index;

	(void)state;
	bed_init(&bed, (struct iog_riscv_config){ .device_bits = 15 });
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, 0, &index), -IOG_EINVAL);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, 3, &index), -IOG_EINVAL);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, 2 * FILES, &index), -IOG_EINVAL);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, 0x8000, 1, &index), -IOG_ERANGE);
	assert_int_equal(route_to(&bed, 0, 1), -IOG_ENOENT);
	assert_int_equal(iog_riscv_interrupt_free(bed.riscv, DEVICE, 0, 1), -IOG_ENOENT);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, 2, &index), 0);
	assert_int_equal(route_to(&bed, FILES, 1), -IOG_ERANGE);
	assert_int_equal(route_to(&bed, index + 2, 1), -IOG_ENOENT);
	assert_int_equal(iog_riscv_interrupt_free(bed.riscv, DEVICE, index + 1, 2), -IOG_EINVAL);
	assert_int_equal(iog_riscv_interrupt_free(bed.riscv, DEVICE, index, 4), -IOG_ENOENT);
	assert_int_equal(iog_riscv_interrupt_free(bed.riscv, DEVICE, FILES, 2), -IOG_ERANGE);
#define MALFORMED(...) assert_int_equal(iog_riscv_interrupt_route(bed.riscv, DEVICE, index, &(struct iog_riscv_route){ __VA_ARGS__ }), -IOG_EINVAL)
	MALFORMED(.file = FILE(0) + 8);
	MALFORMED(.file = UINT64_C(1) << 56);
	MALFORMED(.file = FILE(0), .flags = 2);
	MALFORMED(.file = FILE(0), .notice = FILE(1));
	MALFORMED(.file = FILE(0), .notice_id = 1);
	MALFORMED(.file = FILE(0) + 256, .flags = IOG_RISCV_ROUTE_MRIF, .notice = FILE(1));
	MALFORMED(.file = FILE(0), .flags = IOG_RISCV_ROUTE_MRIF, .notice = FILE(1) + 4);
	MALFORMED(.file = FILE(0), .flags = IOG_RISCV_ROUTE_MRIF, .notice = FILE(1), .notice_id = 2048);
	EXPECT_NOTHING();
	bed_fini(&bed);
}

/* What the entry says while hardware forgets. */
static struct {
	const uint64_t *entry;
	uint64_t seen[2];
	uint32_t fences;
} watched;

static void at_fence(struct model *model)
{
	(void)model;
	watched.seen[0] = watched.entry[0];
	watched.seen[1] = watched.entry[1];
	watched.fences++;
}

/* Files in memory take two words: never is one of an old and one of a new entry valid together. */
static void test_mrif(void **state)
{
	struct iog_riscv_route route = { .file = 0x87654200, .flags = IOG_RISCV_ROUTE_MRIF, .notice = FILE(7), .notice_id = 0x5a7 };
	const uint64_t first[2] = { 3 | UINT64_C(0x87654200) >> 9 << 7, FILE(7) >> 12 << 10 | 0x1a7 | UINT64_C(1) << 60 };
	const uint64_t *entry;
	struct bed bed;
	uint32_t index;

	(void)state;
	bed_init(&bed, (struct iog_riscv_config){ 0 });
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, SECOND), 0);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, 1, &index), 0);
	entry = table_of(&bed, DEVICE) + 2 * index;
	model_forget(bed.model);
	watched.entry = entry;
	watched.fences = 0;
	bed.model->at_fence = at_fence;
	assert_int_equal(iog_riscv_interrupt_route(bed.riscv, DEVICE, index, &route), 0);
	EXPECT_NOTHING();
	assert_true(entry[0] == first[0] && entry[1] == first[1]);
	/* Another one in memory, who is told the same: one word. */
	route.file = 0x87654400;
	assert_int_equal(iog_riscv_interrupt_route(bed.riscv, DEVICE, index, &route), 0);
	EXPECT(GVMA(SECOND) | AV, PAGE_OF(index));
	assert_true(watched.seen[0] == (3 | UINT64_C(0x87654400) >> 9 << 7) && watched.seen[1] == first[1]);
	/* Another who is told: blocked, forgotten, and then. */
	route.notice_id = 3;
	assert_int_equal(iog_riscv_interrupt_route(bed.riscv, DEVICE, index, &route), 0);
	EXPECT(GVMA(SECOND) | AV, PAGE_OF(index));
	assert_true(watched.seen[0] == 0 && watched.seen[1] == first[1] && watched.fences == 2);
	assert_true(entry[0] & 1 && entry[1] == (FILE(7) >> 12 << 10 | 3));
	/* A file of another kind. */
	assert_int_equal(route_to(&bed, index, 1), 0);
	EXPECT(GVMA(SECOND) | AV, PAGE_OF(index));
	assert_true(watched.seen[0] == 0 && entry[0] == BASIC(1) && !entry[1]);
	assert_int_equal(iog_riscv_interrupt_route(bed.riscv, DEVICE, index, &route), 0);
	assert_true(watched.seen[0] == 0 && watched.seen[1] == 0 && entry[0] & 1);
	/* Freed, the next owner's entry does not have the former's upper word. */
	assert_int_equal(iog_riscv_interrupt_free(bed.riscv, DEVICE, index, 1), 0);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, FILES, &index), 0);
	assert_int_equal(route_to(&bed, 0, 1), 0);
	assert_true(table_of(&bed, DEVICE)[0] == BASIC(1) && !table_of(&bed, DEVICE)[1]);
	bed.model->at_fence = NULL;
	bed_fini(&bed);
}

/* What was routed is what is read; and entries that others have made. */
static void test_decode(void **state)
{
	const struct iog_riscv_route routes[] = { { .file = FILE(3) }, { .file = 0x87654200, .flags = IOG_RISCV_ROUTE_MRIF, .notice = FILE(7), .notice_id = 0x5a7 } };
	const uint64_t basic[2] = { 7 | UINT64_C(0x123456789) << 10, 0 }, mrif[2] = { 3 | UINT64_C(1) << 53, 0 };
	struct iog_riscv_interrupt interrupt, before;
	struct bed bed;
	uint32_t index;

	(void)state;
	bed_init(&bed, (struct iog_riscv_config){ 0 });
	memset(&interrupt, 0xff, sizeof(interrupt));
	assert_int_equal(iog_riscv_interrupt_read(bed.riscv, DEVICE, 3, &interrupt), 0);
	assert_false(interrupt.valid || interrupt.route.file);
	assert_int_equal(iog_riscv_interrupt_read(bed.riscv, DEVICE, FILES, &interrupt), -IOG_ERANGE);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, 2, &index), 0);
	for (uint32_t n = 0; n < 2; n++) {
		assert_int_equal(iog_riscv_interrupt_route(bed.riscv, DEVICE, index + n, &routes[n]), 0);
		assert_int_equal(iog_riscv_interrupt_read(bed.riscv, DEVICE, index + n, &interrupt), 0);
		assert_true(interrupt.valid && interrupt.route.file == routes[n].file && interrupt.route.flags == routes[n].flags);
		assert_true(interrupt.route.notice == routes[n].notice && interrupt.route.notice_id == routes[n].notice_id);
	}
	assert_int_equal(iog_riscv_interrupt_decode(mrif, &interrupt), 0);
	assert_true(interrupt.route.file == UINT64_C(1) << 55);
	assert_int_equal(iog_riscv_interrupt_decode(basic, &interrupt), 0);
	assert_true(interrupt.route.file == UINT64_C(0x123456789000));
	/* Each bit: 3 to 9, 54 to 62; of files in memory 3 to 6, 54 to 62, and in the other word 54 to 59, 61 to 63. 63 is the maker's; 1 and 2 are the mode. */
	before = interrupt;
	for (uint32_t bit = 3; bit < 128; bit++) {
		for (uint32_t kind = 0; kind < 2; kind++) {
			uint64_t words[2] = { (kind ? mrif : basic)[0], 0 };
			bool reserved = (bit < (kind ? 7 : 10)) || (bit >= 54 && bit < 63) || (kind && bit >= 118 && bit != 124);
			int wanted = bit == 63 ? -IOG_EOPNOTSUPP : reserved ? -IOG_EINVAL : 0;

			words[bit / 64] |= UINT64_C(1) << bit % 64;
			interrupt = before;
			if (iog_riscv_interrupt_decode(words, &interrupt) != wanted)
				fail_msg("kind %u, bit %u", kind, bit);
			if (wanted)
				assert_memory_equal(&interrupt, &before, sizeof(before));
		}
	}
	assert_int_equal(iog_riscv_interrupt_decode((const uint64_t[]){ 1, 0 }, &interrupt), -IOG_EINVAL);
	assert_int_equal(iog_riscv_interrupt_decode((const uint64_t[]){ 5, 0 }, &interrupt), -IOG_EINVAL);
	assert_int_equal(iog_riscv_interrupt_decode((const uint64_t[]){ ~UINT64_C(1), UINT64_MAX }, &interrupt), 0);
	assert_false(interrupt.valid);
	bed_fini(&bed);
}

/* What hardware has not said that it forgot is not used again, and it is asked again: for everything, as it is not known what it remembers. */
static void test_silent(void **state)
{
	struct bed bed;
	uint32_t index, again;

	(void)state;
	bed_init(&bed, (struct iog_riscv_config){ .timeout_ms = 2 });
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, SECOND), 0);
	bed.model->deaf = true;
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, FILES, &index), -IOG_ETIMEDOUT);
	bed.model->deaf = false;
	model_forget(bed.model);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, FILES, &index), 0);
	/* The former command was still in the queue. */
	assert_int_equal(model_count(bed.model, CMD_IODIR_INVAL_DDT), 2);
	assert_int_equal(route_to(&bed, 3, 1), 0);
	assert_int_equal(route_to(&bed, 4, 1), 0);
	bed.model->deaf = true;
	assert_int_equal(iog_riscv_interrupt_route(bed.riscv, DEVICE, 3, NULL), -IOG_ETIMEDOUT);
	assert_int_equal(table_of(&bed, DEVICE)[6], 0);
	bed.model->deaf = false;
	model_forget(bed.model);
	/* Another entry's change asks for both. */
	assert_int_equal(route_to(&bed, 4, 2), 0);
	assert_true(bed.model->log[bed.model->nr_log - 2][0] == GVMA(SECOND));
	bed.model->deaf = true;
	assert_int_equal(iog_riscv_interrupt_free(bed.riscv, DEVICE, 0, FILES), -IOG_ETIMEDOUT);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, 1, &again), -IOG_ENOSPC);
	bed.model->deaf = false;
	model_forget(bed.model);
	/* Nothing is valid any more, and yet. */
	assert_int_equal(iog_riscv_interrupt_free(bed.riscv, DEVICE, 0, FILES), 0);
	assert_true(bed.model->log[bed.model->nr_log - 2][0] == GVMA(SECOND));
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, 1, &again), 0);
	/* A queue that is emptied: submitted again. */
	assert_int_equal(route_to(&bed, again, 1), 0);
	bed.model->refuse = CMD_IOTINVAL_GVMA;
	bed.model->refuse_error = CQCSR_CQMF;
	bed.model->refuse_times = 4;
	assert_int_equal(route_to(&bed, again, 2), 0);
	/* A device that does not leave its domain goes on being told of under it. */
	bed.model->deaf = true;
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_IDENTITY, 0), -IOG_ETIMEDOUT);
	bed.model->deaf = false;
	model_forget(bed.model);
	assert_int_equal(route_to(&bed, again, 3), 0);
	assert_true(bed.model->log[bed.model->nr_log - 2][0] == (GVMA(SECOND) | AV));
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_BLOCKED, 0), 0);
	bed_fini(&bed);
}

/* Devices that keep what they were told forget, too; a unit that is off is told nothing. */
static void test_ats_off(void **state)
{
	struct bed bed;
	uint32_t index;

	(void)state;
	bed_init(&bed, (struct iog_riscv_config){ 0 });
	assert_int_equal(iog_riscv_device_ats(bed.riscv, DEVICE, true), 0);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, SECOND), 0);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, 1, &index), 0);
	assert_int_equal(route_to(&bed, index, 1), 0);
	model_forget(bed.model);
	assert_int_equal(route_to(&bed, index, 2), 0);
	assert_int_equal(bed.model->nr_log, 4);
	assert_true(bed.model->log[0][0] == (GVMA(SECOND) | AV) && (bed.model->log[2][0] & CMD_MASK) == ATS_INVAL);
	assert_int_equal(iog_riscv_disable(bed.riscv), 0);
	model_forget(bed.model);
	assert_int_equal(route_to(&bed, index, 3), 0);
	EXPECT_NOTHING();
	assert_int_equal(iog_riscv_enable(bed.riscv), 0);
	assert_true(table_of(&bed, DEVICE)[2 * index] == BASIC(3));
	bed_fini(&bed);
}

static void test_configuration(void **state)
{
	static const struct {
		uint32_t interrupts;
		uint64_t window, mask;
	} bad[] = {
		{ 3, WINDOW, 0 }, { 8192, WINDOW, 0 }, { 16, WINDOW + 8, 0 }, { 16, WINDOW + 0x1000, 0 }, { 16, UINT64_C(1) << 56, 0 },
		{ 16, WINDOW, 0x7000 }, { 16, WINDOW, 0x7800 }, { 16, WINDOW, UINT64_C(0x7000) | UINT64_C(1) << 56 }, { 2, UINT64_C(1) << 50, UINT64_C(0x1ffffffff000) },
	};
	struct bed bed;
	uint64_t address;
	uint32_t index;

	(void)state;
	model_make(&bed);
	for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++)
		assert_int_equal(create(&bed, (struct iog_riscv_config){ .interrupts = bad[n].interrupts, .interrupt_window = bad[n].window, .interrupt_mask = bad[n].mask }), -IOG_EINVAL);
	/* Two groups of four, far from each other, every second page. */
	assert_int_equal(create(&bed, (struct iog_riscv_config){ .interrupts = 8, .interrupt_mask = UINT64_C(0x1000006000), .flags = IOG_RISCV_NONCOHERENT }), 0);
	iog_riscv_interrupt_message(bed.riscv, 5, &address);
	assert_true(address == WINDOW + UINT64_C(0x1000002000));
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, 1, &index), 0);
	bed.model->cleans = 0;
	assert_int_equal(route_to(&bed, index, 1), 0);
	assert_int_equal(bed.model->cleans, 1);
	assert_int_equal(iog_riscv_destroy(bed.riscv), 0);
	/* Not there: no tables; no files in memory; not asked for. */
	*model_register64(bed.model, CAPABILITIES) &= ~CAP_MSI_MRIF;
	assert_int_equal(create(&bed, (struct iog_riscv_config){ 0 }), 0);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, 1, &index), 0);
	assert_int_equal(iog_riscv_interrupt_route(bed.riscv, DEVICE, index, &(struct iog_riscv_route){ .flags = IOG_RISCV_ROUTE_MRIF }), -IOG_EOPNOTSUPP);
	assert_int_equal(iog_riscv_destroy(bed.riscv), 0);
	*model_register64(bed.model, CAPABILITIES) &= ~CAP_MSI_FLAT;
	assert_int_equal(create(&bed, (struct iog_riscv_config){ 0 }), -IOG_EOPNOTSUPP);
	bed.riscv = NULL;
	assert_int_equal(iog_riscv_create(&(struct iog_riscv_config){ .platform = &bed.model->platform, .registers = MODEL_BASE }, &bed.riscv), 0);
	assert_int_equal(iog_riscv_interrupt_alloc(bed.riscv, DEVICE, 1, &index), -IOG_EOPNOTSUPP);
	assert_int_equal(iog_riscv_interrupt_route(bed.riscv, DEVICE, 0, NULL), -IOG_EOPNOTSUPP);
	assert_int_equal(iog_riscv_interrupt_free(bed.riscv, DEVICE, 0, 1), -IOG_EOPNOTSUPP);
	assert_int_equal(iog_riscv_interrupt_read(bed.riscv, DEVICE, 0, NULL), -IOG_EOPNOTSUPP);
	assert_int_equal(iog_riscv_destroy(bed.riscv), 0);
	model_end(&bed);
}

static struct {
	void *(*pages)(void *ctx, size_t size);
	void *(*objects)(void *ctx, size_t size);
	uint32_t left;
} failing;

static void *failing_pages(void *ctx, size_t size)
{
	return failing.left-- == 0 ? NULL : failing.pages(ctx, size);
}

static void *failing_objects(void *ctx, size_t size)
{
	return failing.left-- == 0 ? NULL : failing.objects(ctx, size);
}

static void test_no_memory(void **state)
{
	int error = -IOG_ENOMEM;
	struct bed bed;
	uint32_t n, index;

	(void)state;
	model_make(&bed);
	failing.pages = bed.model->platform.pages_alloc;
	failing.objects = bed.model->platform.object_alloc;
	bed.model->platform.pages_alloc = failing_pages;
	bed.model->platform.object_alloc = failing_objects;
	for (n = 0; error; n++) {
		failing.left = n;
		error = create(&bed, (struct iog_riscv_config){ 0 });
		assert_true(n < 30 && (!error || error == -IOG_ENOMEM));
	}
	error = -IOG_ENOMEM;
	for (n = 0; error; n++) {
		failing.left = n;
		error = iog_riscv_interrupt_alloc(bed.riscv, DEVICE, FILES, &index);
		assert_true(n < 10 && (!error || error == -IOG_ENOMEM));
	}
	assert_true(n > 3);
	/* What there is of it is all there is to give back. */
	assert_int_equal(iog_riscv_destroy(bed.riscv), 0);
	model_end(&bed);
}

struct lane {
	struct bed *bed;
	_Atomic uint32_t *owners;
	uint32_t number;
	pthread_t thread;
};

static void *lane_run(void *argument)
{
	struct lane *lane = argument;
	struct bed *bed = lane->bed;
	uint32_t index, run = 1u << lane->number % 3;

	for (uint32_t n = 0; n < 100; n++) {
		assert_int_equal(iog_riscv_interrupt_alloc(bed->riscv, DEVICE, run, &index), 0);
		for (uint32_t i = 0; i < run; i++) {
			assert_int_equal(atomic_exchange(&lane->owners[index + i], lane->number + 1), 0);
			assert_int_equal(route_to(bed, index + i, lane->number), 0);
			assert_int_equal(route_to(bed, index + i, lane->number + 8), 0);
		}
		for (uint32_t i = 0; i < run; i++)
			atomic_store(&lane->owners[index + i], 0);
		assert_int_equal(iog_riscv_interrupt_free(bed->riscv, DEVICE, index, run), 0);
	}
	return NULL;
}

static void test_lanes(void **state)
{
	static _Atomic uint32_t owners[FILES];
	struct lane lanes[LANES];
	struct bed bed;

	(void)state;
	bed_init(&bed, (struct iog_riscv_config){ .command_log2 = 3 });
	/* A clock that does not run: waiting for long is no error here. */
	bed.model->step = 0;
	for (uint32_t n = 0; n < LANES; n++) {
		lanes[n] = (struct lane){ .bed = &bed, .owners = owners, .number = n };
		assert_int_equal(pthread_create(&lanes[n].thread, NULL, lane_run, &lanes[n]), 0);
	}
	/* Meanwhile the device and its neighbour are moved about. */
	for (uint32_t n = 0; n < 60; n++) {
		assert_int_equal(set(&bed, DEVICE, n % 3 ? IOG_DOMAIN_PAGING : IOG_DOMAIN_BLOCKED, n % 3 == 1 ? FIRST : SECOND), 0);
		assert_int_equal(set(&bed, OTHER, n % 2 ? IOG_DOMAIN_PAGING : IOG_DOMAIN_IDENTITY, SECOND), 0);
	}
	for (uint32_t n = 0; n < LANES; n++)
		pthread_join(lanes[n].thread, NULL);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_IDENTITY, 0), 0);
	for (uint32_t n = 0; n < 2 * FILES; n++)
		assert_int_equal(table_of(&bed, DEVICE)[n], 0);
	bed.model->step = 1000;
	bed_fini(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contexts), cmocka_unit_test(test_entries),       cmocka_unit_test(test_malformed), cmocka_unit_test(test_mrif), cmocka_unit_test(test_decode),  cmocka_unit_test(test_silent),
		cmocka_unit_test(test_ats_off),  cmocka_unit_test(test_configuration), cmocka_unit_test(test_no_memory), cmocka_unit_test(test_lanes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The RISC-V IOMMU driver against a register file that records commands and misbehaves: what a model of the hardware that works cannot show.
 */
#include "rv_model.h"

#define DEVICE 0x118u
#define ID 5u
#define PAGE UINT64_C(4096)
#define MiB UINT64_C(0x100000)

struct bed {
	struct model *model;
	struct iog_riscv *riscv;
	struct iog_unit *unit;
	uint32_t nr_faults;
	struct iog_fault faults[256];
	struct iog_gather gather;
};

static void faulted(void *ctx, struct iog_unit *unit, const struct iog_fault *fault)
{
	struct bed *bed = ctx;

	assert_ptr_equal(unit, bed->unit);
	bed->faults[bed->nr_faults++ % 256] = *fault;
}

static void bed_init(struct bed *bed, void (*change)(struct model *model), struct iog_riscv_config config)
{
	memset(bed, 0, sizeof(*bed));
	bed->model = calloc(1, sizeof(*bed->model));
	assert_non_null(bed->model);
	model_init(bed->model);
	if (change)
		change(bed->model);
	config.platform = &bed->model->platform;
	config.registers = MODEL_BASE;
	config.faults = (struct iog_fault_config){ .fn = faulted, .ctx = bed, .per_device = 10000, .total = 10000 };
	assert_int_equal(iog_riscv_create(&config, &bed->riscv), 0);
	bed->unit = iog_riscv_unit(bed->riscv);
}

static void bed_on(struct bed *bed)
{
	assert_int_equal(iog_riscv_enable(bed->riscv), 0);
	model_forget(bed->model);
}

static void bed_fini(struct bed *bed)
{
	assert_int_equal(iog_riscv_disable(bed->riscv), 0);
	assert_int_equal(iog_riscv_destroy(bed->riscv), 0);
	model_fini(bed->model);
	free(bed->model);
}

static struct iog_pgtable_root root_of(const char *format, uint32_t levels, uint32_t ias)
{
	return (struct iog_pgtable_root){ .paddr = 0x123454000, .format = format, .levels = levels, .ias = ias, .oas = 56 };
}

static void domain(struct bed *bed, uint32_t id, const char *format, uint32_t levels, uint32_t ias)
{
	struct iog_pgtable_root root = root_of(format, levels, ias);

	assert_int_equal(bed->unit->ops->domain_add(bed->unit, id, &root), 0);
}

static void no_domain(struct bed *bed, uint32_t id)
{
	assert_int_equal(bed->unit->ops->domain_remove(bed->unit, id), 0);
}

static int set(struct bed *bed, uint32_t device, enum iog_domain_type type, uint32_t id)
{
	return bed->unit->ops->device_set(bed->unit, device, type, id);
}

static void gather(struct bed *bed, uint64_t page_size)
{
	memset(&bed->gather, 0, sizeof(bed->gather));
	bed->gather.min_page_size = page_size;
}

static void range(struct bed *bed, uint64_t first, uint64_t size)
{
	bed->gather.ranges[bed->gather.nr_ranges++] = (struct iog_range){ first, first + (size - 1) };
}

static void table(struct bed *bed, uint64_t first, uint64_t size)
{
	bed->gather.tables[bed->gather.nr_tables++] = (struct iog_gather_table){ .span = { first, first + (size - 1) } };
}

static int invalidate(struct bed *bed, uint32_t id)
{
	model_forget(bed->model);
	return bed->unit->ops->invalidate(bed->unit, id, &bed->gather);
}

#define EXPECT(at, word0, word1)                                            \
	do {                                                                \
		assert_true((at) < bed.model->nr_log);                      \
		assert_int_equal(bed.model->log[at][0], (uint64_t)(word0)); \
		assert_int_equal(bed.model->log[at][1], (uint64_t)(word1)); \
	} while (0)
/* A fence that waits for reads and writes and writes its place; one doorbell, and no register read. */
#define EXPECT_END(at)                                                                             \
	do {                                                                                       \
		assert_int_equal(bed.model->nr_log, (at) + 1);                                     \
		assert_int_equal(bed.model->log[at][0] & UINT32_MAX, 2 | 1 << 10 | 1 << 12 | 1 << 13); \
		assert_int_equal(bed.model->doorbells, 1);                                         \
		assert_int_equal(bed.model->reads, 0);                                             \
	} while (0)

#define VMA (1 | UINT64_C(1) << 32 | ID << 12)
#define GVMA(id) (1 | 1 << 7 | UINT64_C(1) << 33 | (uint64_t)(id) << 44)
#define AV (1 << 10)
#define NL (UINT64_C(1) << 34)
#define S (1 << 9)
/* An address that stands for 2^n pages. */
#define NAPOT(address, n) (((address) >> 12 | ((UINT64_C(1) << ((n) - 1)) - 1)) << 10 | S)

static void test_create(void **state)
{
	struct model *model = calloc(1, sizeof(*model));
	struct iog_riscv_config config = { .registers = MODEL_BASE };
	struct iog_riscv *riscv = NULL;
	struct iog_platform clockless;

	(void)state;
	model_init(model);
	config.platform = &model->platform;
	model->dead = true;
	assert_int_equal(iog_riscv_create(&config, &riscv), -IOG_EOPNOTSUPP);
	model->dead = false;
	*model_register64(model, CAPABILITIES) ^= 0x30;
	assert_int_equal(iog_riscv_create(&config, &riscv), -IOG_EOPNOTSUPP);
	*model_register64(model, CAPABILITIES) = 0x10 | UINT64_C(56) << 32;
	assert_int_equal(iog_riscv_create(&config, &riscv), -IOG_EOPNOTSUPP);
	*model_register64(model, CAPABILITIES) |= CAP_SV39;
	config.device_bits = 25;
	assert_int_equal(iog_riscv_create(&config, &riscv), -IOG_EINVAL);
	config.device_bits = 0;
	config.command_log2 = 1;
	assert_int_equal(iog_riscv_create(&config, &riscv), -IOG_EINVAL);
	config.command_log2 = 0;
	config.flags = 1 << 9;
	assert_int_equal(iog_riscv_create(&config, &riscv), -IOG_EINVAL);
	config.flags = IOG_RISCV_NONCOHERENT;
	model->platform.cache_clean = NULL;
	assert_int_equal(iog_riscv_create(&config, &riscv), -IOG_EINVAL);
	config.flags = 0;
	clockless = model->platform;
	clockless.now_ns = NULL;
	config.platform = &clockless;
	assert_int_equal(iog_riscv_create(&config, &riscv), -IOG_EINVAL);
	assert_null(riscv);
	model_fini(model);
	free(model);
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
	struct model *model = calloc(1, sizeof(*model));
	struct iog_riscv_config config = { .registers = MODEL_BASE };
	struct iog_pgtable_root root = root_of("riscv", 4, 48);
	struct iog_riscv *riscv = NULL;
	struct iog_unit *unit;
	int error = -1;
	uint32_t n;

	(void)state;
	model_init(model);
	failing.pages = model->platform.pages_alloc;
	failing.objects = model->platform.object_alloc;
	model->platform.pages_alloc = failing_pages;
	model->platform.object_alloc = failing_objects;
	config.platform = &model->platform;
	for (n = 0; error; n++) {
		struct iog_posix_stats stats;

		failing.left = n;
		error = iog_riscv_create(&config, &riscv);
		iog_posix_stats(model->posix, &stats);
		if (error) {
			assert_int_equal(error, -IOG_ENOMEM);
			assert_int_equal(stats.page_bytes + stats.object_bytes, 0);
		}
	}
	assert_true(n > 7);
	unit = iog_riscv_unit(riscv);
	failing.left = 0;
	assert_int_equal(unit->ops->domain_add(unit, 1, &root), -IOG_ENOMEM);
	/* Pages on the way down: the first is there when the second is not. */
	for (n = 0; n < 2; n++) {
		failing.left = n;
		assert_int_equal(unit->ops->device_set(unit, DEVICE, IOG_DOMAIN_IDENTITY, 0), -IOG_ENOMEM);
	}
	failing.left = UINT32_MAX;
	assert_int_equal(unit->ops->device_set(unit, DEVICE, IOG_DOMAIN_IDENTITY, 0), 0);
	assert_int_equal(iog_riscv_destroy(riscv), 0);
	model_fini(model);
	free(model);
}

static void test_enable(void **state)
{
	struct iog_riscv_info info;
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_riscv_config){ 0 });
	iog_riscv_info(bed.riscv, &info);
	assert_int_equal(info.levels, 3);
	assert_true(info.extended && info.ats && info.non_leaf && info.range && !info.was_enabled);
	assert_int_equal(bed.unit->domain_ids, 65535);
	assert_int_equal(iog_riscv_enable(bed.riscv), 0);
	/* Everything is forgotten, before it is on and after. */
	for (uint32_t at = 0; at <= 4; at += 4) {
		EXPECT(at, 3, 0);
		EXPECT(at + 1, 1, 0);
		EXPECT(at + 2, 1 | 1 << 7, 0);
	}
	assert_int_equal(bed.model->nr_log, 8);
	assert_int_equal(DDTP_MODE(*model_register64(bed.model, DDTP)), 4);
	/* By wire, where there is no address to write to. */
	assert_int_equal(*model_register(bed.model, FCTL), FCTL_WSI);
	assert_int_equal(iog_riscv_destroy(bed.riscv), -IOG_EBUSY);
	assert_int_equal(iog_riscv_disable(bed.riscv), 0);
	assert_int_equal(DDTP_MODE(*model_register64(bed.model, DDTP)), DDTP_BARE);
	assert_int_equal(*model_register(bed.model, CQCSR) & CSR_ON, 0);
	bed_on(&bed);
	assert_int_equal(iog_riscv_suspend(bed.riscv), 0);
	assert_int_equal(DDTP_MODE(*model_register64(bed.model, DDTP)), DDTP_OFF);
	assert_int_equal(iog_riscv_resume(bed.riscv), 0);
	bed_fini(&bed);

	/* A message. */
	bed_init(&bed, NULL, (struct iog_riscv_config){ .msi_address = 0x28000000, .msi_data = 77, .flags = IOG_RISCV_REFUSE_WHEN_OFF });
	bed_on(&bed);
	assert_int_equal(*model_register(bed.model, FCTL), 0);
	assert_int_equal(*model_register64(bed.model, MSI_ADDRESS), 0x28000000);
	assert_int_equal(*model_register(bed.model, MSI_DATA), 77);
	assert_int_equal(*model_register(bed.model, MSI_CONTROL), 0);
	assert_int_equal(iog_riscv_disable(bed.riscv), 0);
	assert_int_equal(DDTP_MODE(*model_register64(bed.model, DDTP)), DDTP_OFF);
	bed_fini(&bed);
}

static void left_on(struct model *model)
{
	*model_register64(model, DDTP) = 0x400 | 3;
	*model_register(model, CQCSR) = CSR_ON | CQCSR_CQEN | CQCSR_CMD_ILL;
	*model_register(model, FQCSR) = CSR_ON | FQCSR_FQEN | FQCSR_FQOF;
}

static void test_hand_over(void **state)
{
	struct iog_riscv_info info;
	struct bed bed;

	(void)state;
	bed_init(&bed, left_on, (struct iog_riscv_config){ 0 });
	iog_riscv_info(bed.riscv, &info);
	assert_true(info.was_enabled);
	bed_on(&bed);
	assert_int_equal(*model_register(bed.model, CQCSR) & CQCSR_ERRORS, 0);
	assert_int_equal(*model_register(bed.model, FQCSR) & FQCSR_FQOF, 0);
	/* Not as it was found: those tables are no longer anybody's. */
	assert_int_equal(iog_riscv_disable(bed.riscv), 0);
	assert_int_equal(DDTP_MODE(*model_register64(bed.model, DDTP)), DDTP_OFF);
	bed_fini(&bed);
}

/* From here on its registers do not change. */
static void fall_mute(struct model *model)
{
	model->mute = true;
}

/* What the unit may have taken for its queues and its directory stays until it has said that it is off. */
static void test_enable_lost(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_riscv_config){ .timeout_ms = 2 });
	domain(&bed, ID, "riscv", 4, 48);
	bed.model->at_fence = fall_mute;
	assert_true(iog_riscv_enable(bed.riscv) < 0);
	assert_int_equal(iog_riscv_destroy(bed.riscv), -IOG_EBUSY);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), -IOG_ETIMEDOUT);
	assert_true(iog_riscv_disable(bed.riscv) < 0);
	assert_int_equal(iog_riscv_destroy(bed.riscv), -IOG_EBUSY);
	bed.model->at_fence = NULL;
	bed.model->mute = false;
	assert_int_equal(iog_riscv_disable(bed.riscv), 0);
	no_domain(&bed, ID);
	assert_int_equal(iog_riscv_destroy(bed.riscv), 0);
	model_fini(bed.model);
	free(bed.model);
}

static void test_control(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_riscv_config){ .timeout_ms = 2 });
	/* A directory of three levels is more than it can walk. */
	bed.model->most_levels = 2;
	assert_int_equal(iog_riscv_enable(bed.riscv), -IOG_EOPNOTSUPP);
	assert_int_equal(*model_register(bed.model, CQCSR) & CSR_ON, 0);
	bed.model->most_levels = 3;
	bed.model->deaf = true;
	assert_int_equal(iog_riscv_enable(bed.riscv), -IOG_ETIMEDOUT);
	bed.model->deaf = false;
	bed_on(&bed);
	bed.model->mute = true;
	assert_true(iog_riscv_disable(bed.riscv) < 0);
	bed.model->mute = false;
	bed_fini(&bed);
}

static void base_format(struct model *model)
{
	*model_register64(model, CAPABILITIES) &= ~CAP_MSI_FLAT;
}

static void test_contexts(void **state)
{
	static const struct {
		uint32_t bits, levels;
	} directories[][4] = { { { 6, 2 }, { 6, 1 }, { 15, 2 }, { 24, 3 } }, { { 7, 2 }, { 7, 1 }, { 16, 2 }, { 24, 3 } } };

	(void)state;
	for (uint32_t base = 0; base < 2; base++)
		for (uint32_t n = 0; n < 4; n++) {
			uint32_t last = (1u << directories[base][n].bits) - 1;
			struct iog_riscv_info info;
			const uint64_t *context;
			struct bed bed;

			bed_init(&bed, base ? base_format : NULL, (struct iog_riscv_config){ .device_bits = directories[base][n].bits });
			bed.model->most_levels = directories[base][n].levels;
			bed_on(&bed);
			iog_riscv_info(bed.riscv, &info);
			assert_int_equal(info.levels, directories[base][n].levels);
			assert_int_equal(info.extended, !base);
			domain(&bed, ID, "riscv", 4, 48);
			domain(&bed, 6, "riscv_x4", 5, 59);
			assert_int_equal(set(&bed, last + 1, IOG_DOMAIN_BLOCKED, 0), -IOG_ERANGE);
			assert_int_equal(set(&bed, last, IOG_DOMAIN_PAGING, 99), -IOG_ENOENT);
			assert_int_equal(set(&bed, last, IOG_DOMAIN_PAGING, ID), 0);
			context = model_context(bed.model, last);
			assert_non_null(context);
			assert_int_equal(context[0], 1);
			assert_int_equal(context[1], 0);
			assert_int_equal(context[2], ID << 12);
			assert_int_equal(context[3], UINT64_C(9) << 60 | 0x123454);
			assert_int_equal(set(&bed, last, IOG_DOMAIN_PAGING, 6), 0);
			context = model_context(bed.model, last);
			assert_int_equal(context[1], UINT64_C(10) << 60 | UINT64_C(6) << 44 | 0x123454);
			assert_int_equal(context[2] | context[3], 0);
			assert_int_equal(set(&bed, last, IOG_DOMAIN_IDENTITY, 0), 0);
			assert_int_equal(context[0], 1);
			assert_int_equal(context[1] | context[2] | context[3], 0);
			assert_int_equal(set(&bed, 0, IOG_DOMAIN_IDENTITY, 0), 0);
			assert_int_equal(model_context(bed.model, 0)[0], 1);
			assert_int_equal(set(&bed, last, IOG_DOMAIN_BLOCKED, 0), 0);
			assert_int_equal(context[0], 0);
			no_domain(&bed, ID);
			no_domain(&bed, 6);
			bed_fini(&bed);
		}
}

static void only_sv39(struct model *model)
{
	*model_register64(model, CAPABILITIES) &= ~(CAP_SV48 | CAP_SV57 | CAP_SV48X4 | CAP_SV57X4);
}

static void test_formats(void **state)
{
	struct iog_pgtable_root root;
	struct bed bed;

	(void)state;
	bed_init(&bed, only_sv39, (struct iog_riscv_config){ 0 });
	root = root_of("vtdss", 4, 48);
	assert_int_equal(bed.unit->ops->domain_add(bed.unit, 1, &root), -IOG_EOPNOTSUPP);
	root = root_of("riscv", 4, 48);
	assert_int_equal(bed.unit->ops->domain_add(bed.unit, 1, &root), -IOG_EOPNOTSUPP);
	root = root_of("riscv_x4", 4, 50);
	assert_int_equal(bed.unit->ops->domain_add(bed.unit, 1, &root), -IOG_EOPNOTSUPP);
	root = root_of("riscv_x4", 3, 41);
	assert_int_equal(bed.unit->ops->domain_add(bed.unit, 1, &root), 0);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, 1), 0);
	bed_on(&bed);
	assert_int_equal(model_context(bed.model, DEVICE)[1] >> 60, 8);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_BLOCKED, 0), 0);
	no_domain(&bed, 1);
	bed_fini(&bed);
}

static void test_invalidate_range(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_riscv_config){ .commands_max = 8 });
	bed_on(&bed);
	domain(&bed, ID, "riscv", 4, 48);
	domain(&bed, 6, "riscv_x4", 4, 50);

	gather(&bed, PAGE);
	range(&bed, 0x7fff12345000, PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA | AV, UINT64_C(0x7fff12345000) >> 2);
	EXPECT_END(1);
	/* Aligned powers of two. */
	gather(&bed, PAGE);
	range(&bed, 0x40000, 64 * PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA | AV, NAPOT(UINT64_C(0x40000), 6));
	EXPECT_END(1);
	gather(&bed, PAGE);
	range(&bed, 0x41000, 6 * PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA | AV, UINT64_C(0x41000) >> 2);
	EXPECT(1, VMA | AV, NAPOT(UINT64_C(0x42000), 1));
	EXPECT(2, VMA | AV, NAPOT(UINT64_C(0x44000), 1));
	EXPECT(3, VMA | AV, UINT64_C(0x46000) >> 2);
	EXPECT_END(4);
	/* From 0, and to the end of what is sign-extended. */
	gather(&bed, PAGE);
	range(&bed, 0, 2 * PAGE);
	range(&bed, -(2 * PAGE), 2 * PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA | AV, NAPOT(UINT64_C(0), 1));
	EXPECT(1, VMA | AV, NAPOT(-(2 * PAGE), 1));
	EXPECT_END(2);

	/* A table went: what is not a leaf, too. */
	gather(&bed, PAGE);
	range(&bed, 0x40000, PAGE);
	table(&bed, 2 * MiB, 2 * MiB);
	table(&bed, 1024 * MiB, 1024 * MiB);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA | AV | NL, UINT64_C(0x40000) >> 2);
	EXPECT(1, VMA | AV | NL, NAPOT(2 * MiB, 9));
	EXPECT(2, VMA | AV | NL, NAPOT(1024 * MiB, 18));
	EXPECT_END(3);
	gather(&bed, PAGE);
	range(&bed, 0x40000, PAGE);
	bed.gather.walk_caches = true;
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA | AV | NL, UINT64_C(0x40000) >> 2);

	/* Second stage. */
	gather(&bed, PAGE);
	range(&bed, 0x40000, PAGE);
	assert_int_equal(invalidate(&bed, 6), 0);
	EXPECT(0, GVMA(6) | AV, UINT64_C(0x40000) >> 2);
	EXPECT_END(1);

	/* The whole domain: asked for, or cheaper. */
	model_forget(bed.model);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), 0);
	EXPECT(0, VMA, 0);
	EXPECT_END(1);
	model_forget(bed.model);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, 6, NULL), 0);
	EXPECT(0, GVMA(6), 0);
	EXPECT_END(1);
	gather(&bed, PAGE);
	bed.gather.everything = true;
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA, 0);
	gather(&bed, PAGE);
	for (uint32_t n = 0; n < 9; n++)
		range(&bed, n * MiB, PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA, 0);
	EXPECT_END(1);
	no_domain(&bed, ID);
	no_domain(&bed, 6);
	assert_int_equal(invalidate(&bed, ID), -IOG_EIO);
	bed_fini(&bed);
}

static void plain(struct model *model)
{
	*model_register64(model, CAPABILITIES) &= ~(CAP_NL | CAP_S);
}

static void test_invalidate_by_address(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, plain, (struct iog_riscv_config){ .commands_max = 8 });
	bed_on(&bed);
	domain(&bed, ID, "riscv", 4, 48);
	gather(&bed, PAGE);
	range(&bed, 0x40000, 3 * PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA | AV, UINT64_C(0x40000) >> 2);
	EXPECT(1, VMA | AV, UINT64_C(0x41000) >> 2);
	EXPECT(2, VMA | AV, UINT64_C(0x42000) >> 2);
	EXPECT_END(3);
	gather(&bed, 2 * MiB);
	range(&bed, 4 * MiB, 4 * MiB);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA | AV, 4 * MiB >> 2);
	EXPECT(1, VMA | AV, 6 * MiB >> 2);
	EXPECT_END(2);
	gather(&bed, PAGE);
	range(&bed, 0, 9 * PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA, 0);
	/* Without NL, by address is leaves only. */
	gather(&bed, PAGE);
	range(&bed, 0x40000, PAGE);
	table(&bed, 0, 2 * MiB);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA, 0);
	EXPECT_END(1);
	gather(&bed, PAGE);
	range(&bed, 0x40000, PAGE);
	bed.gather.walk_caches = true;
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, VMA, 0);
	EXPECT_END(1);
	no_domain(&bed, ID);
	bed_fini(&bed);
}

static void test_wrap(void **state)
{
	(void)state;
	for (uint32_t log2 = 2; log2 <= 4; log2++) {
		struct bed bed;

		bed_init(&bed, plain, (struct iog_riscv_config){ .command_log2 = log2 });
		bed_on(&bed);
		domain(&bed, ID, "riscv", 4, 48);
		for (uint32_t n = 0; n < 200; n++) {
			gather(&bed, PAGE);
			for (uint32_t i = 0; i <= n % 9; i++)
				range(&bed, (UINT64_C(1) << 30) * i + n * PAGE, PAGE);
			assert_int_equal(invalidate(&bed, ID), 0);
			assert_int_equal(model_count(bed.model, CMD_IOTINVAL_VMA), n % 9 + 1);
			assert_int_equal(bed.model->log[bed.model->nr_log - 2][1], ((UINT64_C(1) << 30) * (n % 9) + n * PAGE) >> 2);
			assert_int_equal(bed.model->log[bed.model->nr_log - 1][0] & CMD_MASK, CMD_IOFENCE_C);
		}
		no_domain(&bed, ID);
		bed_fini(&bed);
	}
}

static void test_deaf(void **state)
{
	struct iog_riscv_stats stats;
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_riscv_config){ .timeout_ms = 5, .command_log2 = 3 });
	bed_on(&bed);
	domain(&bed, ID, "riscv", 4, 48);
	bed.model->deaf = true;
	for (uint32_t n = 0; n < 10; n++) {
		uint64_t began = bed.model->now;

		assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), -IOG_ETIMEDOUT);
		assert_in_range(bed.model->now - began, n ? 5000000 / 16 : 5000000, n ? 1000000 : 6000000);
	}
	iog_riscv_stats(bed.riscv, &stats);
	assert_int_equal(stats.timeouts, 10);
	assert_int_equal(bed.unit->ops->domain_remove(bed.unit, ID), -IOG_ETIMEDOUT);
	bed.model->dead = true;
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), -IOG_ETIMEDOUT);
	assert_int_equal(iog_riscv_interrupt(bed.riscv), 0);
	bed.model->dead = false;
	/* It comes back. */
	bed.model->deaf = false;
	bed.model->platform.mmio_write32(bed.model, MODEL_BASE + CQCSR, CQCSR_CQEN | CQCSR_CIE);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), 0);
	no_domain(&bed, ID);
	bed_fini(&bed);
}

static void test_refused(void **state)
{
	struct iog_riscv_stats stats;
	struct bed bed;

	(void)state;
	bed_init(&bed, plain, (struct iog_riscv_config){ .timeout_ms = 50 });
	bed_on(&bed);
	domain(&bed, ID, "riscv", 4, 48);
	gather(&bed, PAGE);
	for (uint32_t n = 0; n < 3; n++)
		range(&bed, n * MiB, PAGE);
	/* The first of three is illegal: it becomes a fence that says nothing, the others are carried out, and the caller is told. */
	bed.model->refuse = CMD_IOTINVAL_VMA;
	bed.model->refuse_error = CQCSR_CMD_ILL;
	bed.model->refuse_times = 1;
	assert_int_equal(invalidate(&bed, ID), -IOG_EIO);
	assert_int_equal(model_count(bed.model, CMD_IOTINVAL_VMA), 2);
	EXPECT(0, CMD_IOFENCE_C, 0);
	assert_int_equal(invalidate(&bed, ID), 0);
	/* It could not be read: it is read again. */
	bed.model->refuse_error = CQCSR_CQMF;
	bed.model->refuse_times = 2;
	assert_int_equal(invalidate(&bed, ID), 0);
	assert_int_equal(model_count(bed.model, CMD_IOTINVAL_VMA), 3);
	/* Again and again: the queue is emptied, and the caller submits anew. */
	bed.model->refuse_times = 4;
	assert_int_equal(invalidate(&bed, ID), -IOG_EAGAIN);
	for (uint32_t n = 0; n < 5; n++)
		assert_int_equal(invalidate(&bed, ID), 0);
	iog_riscv_stats(bed.riscv, &stats);
	assert_int_equal(stats.command_errors, 1 + 2 + 4);
	no_domain(&bed, ID);
	bed_fini(&bed);
}

static void test_ats(void **state)
{
	const uint32_t device = 0x021234;
	const uint64_t ats = 4 | UINT64_C(0x1234) << 40 | UINT64_C(1) << 33 | UINT64_C(2) << 56;
	const uint64_t *context;
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_riscv_config){ .device_bits = 24, .device_timeout_ms = 5 });
	bed_on(&bed);
	domain(&bed, ID, "riscv", 4, 48);
	assert_int_equal(iog_riscv_device_ats(bed.riscv, 1 << 24, true), -IOG_ERANGE);
	assert_int_equal(iog_riscv_device_ats(bed.riscv, device, true), 0);
	assert_int_equal(set(&bed, device, IOG_DOMAIN_PAGING, ID), 0);
	context = model_context(bed.model, device);
	assert_int_equal(context[0], 3);
	assert_int_equal(set(&bed, device + 1, IOG_DOMAIN_PAGING, ID), 0);
	assert_int_equal(model_context(bed.model, device + 1)[0], 1);
	gather(&bed, PAGE);
	range(&bed, 0x5000, PAGE);
	range(&bed, 0x7000, 3 * PAGE);
	model_forget(bed.model);
	assert_int_equal(bed.unit->ops->device_invalidate(bed.unit, device, &bed.gather), 0);
	EXPECT(0, ats, 0x5000);
	/* 64 KiB from 0. */
	EXPECT(1, ats, 0x7000 | 1 << 11);
	EXPECT_END(2);
	model_forget(bed.model);
	assert_int_equal(bed.unit->ops->device_invalidate(bed.unit, device, NULL), 0);
	EXPECT(0, ats, UINT64_C(0x7ffffffffffff000) | 1 << 11);
	/* It does not answer: its caller is told, and nobody else. */
	bed.model->refuse = CMD_IOFENCE_C;
	bed.model->refuse_error = CQCSR_CMD_TO;
	bed.model->refuse_times = 1;
	assert_int_equal(bed.unit->ops->device_invalidate(bed.unit, device, NULL), -IOG_ETIMEDOUT);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), 0);
	assert_int_equal(bed.unit->ops->device_block(bed.unit, device), 0);
	assert_int_equal(context[0], 0);
	assert_int_equal(bed.unit->ops->device_block(bed.unit, 0x40000), 0);
	model_forget(bed.model);
	assert_int_equal(set(&bed, device, IOG_DOMAIN_PAGING, ID), 0);
	assert_int_equal(model_count(bed.model, CMD_ATS_INVAL), 1);
	/* Silent while it is being moved: an error, and it is as before. */
	domain(&bed, 9, "riscv_x4", 4, 50);
	{
		uint64_t before[8];

		memcpy(before, model_context(bed.model, device), sizeof(before));
		bed.model->refuse = CMD_ATS_INVAL;
		bed.model->refuse_error = CQCSR_CMD_ILL;
		bed.model->refuse_times = 1;
		assert_int_equal(set(&bed, device, IOG_DOMAIN_PAGING, 9), -IOG_EIO);
		assert_memory_equal(model_context(bed.model, device), before, sizeof(before));
	}
	assert_int_equal(iog_riscv_device_ats(bed.riscv, device, false), 0);
	assert_int_equal(set(&bed, device, IOG_DOMAIN_BLOCKED, 0), 0);
	assert_int_equal(set(&bed, device + 1, IOG_DOMAIN_BLOCKED, 0), 0);
	no_domain(&bed, ID);
	no_domain(&bed, 9);
	bed_fini(&bed);
}

/* The device is silent while it is moved, and there is no memory to take that back in one step: it is refused, and not left where it does not belong. */
static void test_ats_no_memory(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_riscv_config){ .device_timeout_ms = 5 });
	failing.pages = bed.model->platform.pages_alloc;
	failing.left = UINT32_MAX;
	bed.model->platform.pages_alloc = failing_pages;
	bed_on(&bed);
	domain(&bed, 13, "riscv", 4, 48);
	domain(&bed, 14, "riscv_x4", 4, 50);
	assert_int_equal(iog_riscv_device_ats(bed.riscv, DEVICE, true), 0);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, 13), 0);
	bed.model->refuse = CMD_ATS_INVAL;
	bed.model->refuse_error = CQCSR_CMD_ILL;
	bed.model->refuse_times = 1;
	failing.left = 1;
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, 14), -IOG_EIO);
	assert_int_equal(model_context(bed.model, DEVICE)[0], 0);
	failing.left = UINT32_MAX;
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_BLOCKED, 0), 0);
	no_domain(&bed, 13);
	no_domain(&bed, 14);
	bed_fini(&bed);
}

/* At each fence hardware has one view of the context: the former or the new one, in all that hardware looks at. */
struct watch {
	uint64_t former[8], next[8];
	uint32_t device, views, wrong, invalid;
};

static bool same_view(const uint64_t *a, const uint64_t *b)
{
	return a[0] == b[0] && (!(a[0] & 1) || (a[1] == b[1] && a[3] == b[3] && (!(a[3] >> 60) || a[2] == b[2])));
}

static void look(struct model *model)
{
	struct watch *watch = model->ctx;
	const uint64_t *context = model_context(model, watch->device);

	watch->views++;
	if (!(context[0] & 1))
		watch->invalid++;
	else if (!same_view(context, watch->former) && !same_view(context, watch->next))
		watch->wrong++;
}

static void replacements(uint32_t device_bits, uint32_t most_levels, bool *holes)
{
	enum { FIRST, FIRST_OTHER, SECOND, SECOND_OTHER, IDENTITY, BLOCKED, KINDS };
	static const uint32_t ids[] = { 11, 12, 13, 14, 0, 0 };
	static const enum iog_domain_type types[] = { IOG_DOMAIN_PAGING, IOG_DOMAIN_PAGING, IOG_DOMAIN_PAGING, IOG_DOMAIN_PAGING, IOG_DOMAIN_IDENTITY, IOG_DOMAIN_BLOCKED };
	const uint32_t device = 0x18;
	struct bed bed;

	*holes = false;
	bed_init(&bed, NULL, (struct iog_riscv_config){ .device_bits = device_bits });
	bed.model->most_levels = most_levels;
	bed_on(&bed);
	domain(&bed, 11, "riscv", 4, 48);
	domain(&bed, 12, "riscv", 3, 39);
	domain(&bed, 13, "riscv_x4", 4, 50);
	domain(&bed, 14, "riscv_x4", 3, 41);
	/* A neighbour, which nothing happens to. */
	assert_int_equal(set(&bed, device + 1, IOG_DOMAIN_PAGING, 11), 0);
	for (uint32_t from = 0; from < KINDS; from++)
		for (uint32_t to = 0; to < KINDS; to++) {
			struct watch watch = { .device = device };

			assert_int_equal(set(&bed, device, types[to], ids[to]), 0);
			memcpy(watch.next, model_context(bed.model, device), sizeof(watch.next));
			assert_int_equal(set(&bed, device, types[from], ids[from]), 0);
			memcpy(watch.former, model_context(bed.model, device), sizeof(watch.former));
			bed.model->ctx = &watch;
			bed.model->at_fence = look;
			model_forget(bed.model);
			assert_int_equal(set(&bed, device, types[to], ids[to]), 0);
			bed.model->at_fence = NULL;
			assert_memory_equal(model_context(bed.model, device), watch.next, sizeof(watch.next));
			assert_int_equal(watch.wrong, 0);
			if (watch.invalid && from != BLOCKED && to != BLOCKED)
				*holes = true;
			if (from != to)
				assert_true(watch.views && model_count(bed.model, CMD_IODIR_INVAL_DDT));
			assert_int_equal(model_context(bed.model, device + 1)[0], 1);
			assert_int_equal(model_context(bed.model, device + 1)[2], 11 << 12);
		}
	assert_int_equal(set(&bed, device, IOG_DOMAIN_BLOCKED, 0), 0);
	assert_int_equal(set(&bed, device + 1, IOG_DOMAIN_BLOCKED, 0), 0);
	for (uint32_t id = 11; id <= 14; id++)
		no_domain(&bed, id);
	bed_fini(&bed);
}

static void test_replace(void **state)
{
	bool holes;

	(void)state;
	replacements(16, 3, &holes);
	assert_false(holes);
	replacements(15, 3, &holes);
	assert_false(holes);
	replacements(6, 3, &holes);
	assert_false(holes);
	/* A unit that walks one level only. */
	replacements(6, 1, &holes);
	assert_true(holes);
}

static void test_replace_deaf(void **state)
{
	uint64_t before[8];
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_riscv_config){ .timeout_ms = 2 });
	bed_on(&bed);
	domain(&bed, 11, "riscv", 4, 48);
	domain(&bed, 12, "riscv", 3, 39);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, 11), 0);
	memcpy(before, model_context(bed.model, DEVICE), sizeof(before));
	bed.model->deaf = true;
	for (uint32_t n = 0; n < 20; n++) {
		assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, 12), -IOG_ETIMEDOUT);
		assert_memory_equal(model_context(bed.model, DEVICE), before, sizeof(before));
	}
	bed.model->deaf = false;
	/* As after a reset: the queue is off. */
	*model_register(bed.model, CQCSR) = 0;
	assert_int_equal(iog_riscv_suspend(bed.riscv), 0);
	assert_int_equal(iog_riscv_resume(bed.riscv), 0);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, 12), 0);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_BLOCKED, 0), 0);
	no_domain(&bed, 11);
	no_domain(&bed, 12);
	bed_fini(&bed);
}

static void test_faults(void **state)
{
	static const struct {
		uint32_t cause, ttyp;
		enum iog_fault_reason reason;
		uint32_t access;
	} records[] = {
		{ 1, 1, IOG_FAULT_REASON_WALK, IOG_PROT_READ | IOG_PROT_EXEC },
		{ 5, 2, IOG_FAULT_REASON_WALK, IOG_PROT_READ },
		{ 7, 3, IOG_FAULT_REASON_WALK, IOG_PROT_WRITE },
		{ 12, 1, IOG_FAULT_REASON_OTHER, IOG_PROT_READ | IOG_PROT_EXEC },
		/* The cause is believed before the type. */
		{ 13, 3, IOG_FAULT_REASON_NOT_PRESENT, IOG_PROT_READ },
		{ 15, 3, IOG_FAULT_REASON_OTHER, IOG_PROT_WRITE },
		{ 21, 2, IOG_FAULT_REASON_NOT_PRESENT, IOG_PROT_READ | IOG_FAULT_SECOND_STAGE },
		{ 23, 3, IOG_FAULT_REASON_OTHER, IOG_PROT_WRITE | IOG_FAULT_SECOND_STAGE },
		{ 256, 2, IOG_FAULT_REASON_NO_DEVICE, IOG_PROT_READ },
		{ 258, 3, IOG_FAULT_REASON_NO_DEVICE, IOG_PROT_WRITE },
		{ 259, 8, IOG_FAULT_REASON_MALFORMED, IOG_FAULT_TRANSLATION },
		{ 260, 7, IOG_FAULT_REASON_PERMISSION, IOG_PROT_WRITE | IOG_FAULT_TRANSLATED },
		{ 262, 3, IOG_FAULT_REASON_INTERRUPT, IOG_PROT_WRITE },
		{ 266, 0, IOG_FAULT_REASON_NO_DEVICE, IOG_FAULT_NO_ADDRESS },
		{ 274, 2, IOG_FAULT_REASON_WALK, IOG_PROT_READ },
		{ 2048, 9, IOG_FAULT_REASON_OTHER, IOG_FAULT_NO_ADDRESS },
	};
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_riscv_config){ 0 });
	bed_on(&bed);
	for (size_t n = 0; n < sizeof(records) / sizeof(records[0]); n++) {
		const uint64_t record[4] = { records[n].cause | (uint64_t)records[n].ttyp << 34 | UINT64_C(0xabcdef) << 40, 0, 0xffff800012345678, 0x99 };
		const struct iog_fault *fault = &bed.faults[0];

		bed.nr_faults = 0;
		assert_true(model_fault(bed.model, record));
		assert_int_equal(iog_riscv_interrupt(bed.riscv), 1);
		assert_int_equal(*model_register(bed.model, IPSR), 0);
		assert_int_equal(bed.nr_faults, 1);
		assert_int_equal(fault->device, 0xabcdef);
		assert_int_equal(fault->pasid, IOG_PASID_NONE);
		assert_int_equal(fault->code, records[n].cause);
		assert_int_equal(fault->reason, records[n].reason);
		assert_int_equal(fault->access, records[n].access);
		assert_int_equal(fault->iova, records[n].access & IOG_FAULT_NO_ADDRESS ? 0 : 0xffff800012345678);
		assert_non_null(fault->text);
	}
	bed.nr_faults = 0;
	{
		const uint64_t record[4] = { 13 | UINT64_C(2) << 34 | UINT64_C(0x12345) << 12 | UINT64_C(3) << 32, 0, 0x1000, 0 };

		assert_true(model_fault(bed.model, record));
	}
	assert_int_equal(iog_riscv_interrupt(bed.riscv), 1);
	assert_int_equal(bed.faults[0].pasid, 0x12345);
	assert_int_equal(bed.faults[0].access, IOG_PROT_READ | IOG_FAULT_PRIVILEGED);
	bed_fini(&bed);
}

static void test_overflow(void **state)
{
	const uint64_t record[4] = { 13 | UINT64_C(2) << 34, 0, 0x1000, 0 };
	struct iog_riscv_stats stats;
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_riscv_config){ .fault_log2 = 3 });
	bed_on(&bed);
	for (uint32_t round = 1; round <= 5; round++) {
		for (uint32_t n = 0; n < 7; n++)
			assert_true(model_fault(bed.model, record));
		for (uint32_t n = 0; n < 5; n++)
			assert_false(model_fault(bed.model, record));
		assert_int_equal(iog_riscv_interrupt(bed.riscv), 7);
		assert_int_equal(*model_register(bed.model, FQCSR) & FQCSR_FQOF, 0);
		iog_riscv_stats(bed.riscv, &stats);
		assert_int_equal(stats.faults.overflows, round);
		assert_int_equal(stats.faults.seen, 7 * round);
	}
	bed_fini(&bed);
}

static void test_noncoherent(void **state)
{
	struct iog_pgtable_root root = root_of("riscv", 4, 48);
	struct bed bed;
	uint32_t cleans;

	(void)state;
	bed_init(&bed, NULL, (struct iog_riscv_config){ .flags = IOG_RISCV_NONCOHERENT });
	assert_int_equal(bed.unit->pgtable_flags, IOG_PGTABLE_NONCOHERENT);
	bed_on(&bed);
	assert_int_equal(bed.unit->ops->domain_add(bed.unit, ID, &root), -IOG_EOPNOTSUPP);
	root.flags = IOG_PGTABLE_NONCOHERENT;
	assert_int_equal(bed.unit->ops->domain_add(bed.unit, ID, &root), 0);
	cleans = bed.model->cleans;
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), 0);
	/* The command, the fence, and the answer once. */
	assert_int_equal(bed.model->cleans - cleans, 3);
	no_domain(&bed, ID);
	bed_fini(&bed);
}

/* Several lanes at once, over a small queue: each one's commands are taken before it returns. */
#define LANES 4
#define ROUNDS 400

struct lane {
	pthread_t thread;
	struct bed *bed;
	uint32_t number;
	uint32_t errors;
};

static void *submit(void *arg)
{
	struct lane *lane = arg;
	struct iog_gather *gather = calloc(1, sizeof(*gather));

	gather->min_page_size = PAGE;
	gather->nr_ranges = 1;
	for (uint64_t n = 0; n < ROUNDS; n++) {
		uint64_t address = (uint64_t)(lane->number + 1) << 40 | n << 12;
		bool found = false;
		int error;

		gather->ranges[0] = (struct iog_range){ address, address + PAGE - 1 };
		error = lane->bed->unit->ops->invalidate(lane->bed->unit, ID, gather);
		pthread_mutex_lock(&lane->bed->model->lock);
		for (uint32_t i = lane->bed->model->nr_log; i-- > 0 && !found;)
			found = lane->bed->model->log[i][1] == address >> 2;
		pthread_mutex_unlock(&lane->bed->model->lock);
		lane->errors += error || !found;
	}
	free(gather);
	return NULL;
}

static void test_lanes(void **state)
{
	struct lane lanes[LANES];
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_riscv_config){ .command_log2 = 2 });
	bed_on(&bed);
	domain(&bed, ID, "riscv", 4, 48);
	/* A clock that does not run: waiting for long is no error here. */
	bed.model->step = 0;
	for (uint32_t n = 0; n < LANES; n++) {
		lanes[n] = (struct lane){ .bed = &bed, .number = n };
		assert_int_equal(pthread_create(&lanes[n].thread, NULL, submit, &lanes[n]), 0);
	}
	for (uint32_t n = 0; n < LANES; n++) {
		pthread_join(lanes[n].thread, NULL);
		assert_int_equal(lanes[n].errors, 0);
	}
	assert_int_equal(model_count(bed.model, CMD_IOTINVAL_VMA), LANES * ROUNDS);
	bed.model->step = 1000;
	no_domain(&bed, ID);
	bed_fini(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_enable),
		cmocka_unit_test(test_hand_over),
		cmocka_unit_test(test_enable_lost),
		cmocka_unit_test(test_control),
		cmocka_unit_test(test_contexts),
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_invalidate_range),
		cmocka_unit_test(test_invalidate_by_address),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_deaf),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_ats),
		cmocka_unit_test(test_ats_no_memory),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_replace_deaf),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_noncoherent),
		cmocka_unit_test(test_lanes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The SMMUv3 driver against a register file that records commands and misbehaves: what a model of the hardware that works cannot show.
 */
#include <unistd.h>

#include "smmu_model.h"

#define STREAM 0x18u
#define ID 5u
#define RW (IOG_PROT_READ | IOG_PROT_WRITE)
#define PAGE UINT64_C(4096)
#define MiB UINT64_C(0x100000)

struct bed {
	struct model *model;
	struct iog_smmuv3 *smmu;
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

/* A unit with everything; @change is called on its registers before the driver sees it. */
static void bed_init(struct bed *bed, void (*change)(struct model *model), struct iog_smmuv3_config config)
{
	memset(bed, 0, sizeof(*bed));
	bed->model = calloc(1, sizeof(*bed->model));
	assert_non_null(bed->model);
	model_init(bed->model);
	if (change)
		change(bed->model);
	config.platform = &bed->model->platform;
	config.registers = MODEL_BASE;
	config.faults.fn = faulted;
	config.faults.ctx = bed;
	config.faults.per_device = config.faults.per_device ? config.faults.per_device : 10000;
	config.faults.total = config.faults.total ? config.faults.total : 10000;
	assert_int_equal(iog_smmuv3_create(&config, &bed->smmu), 0);
	bed->unit = iog_smmuv3_unit(bed->smmu);
}

static void bed_on(struct bed *bed)
{
	assert_int_equal(iog_smmuv3_enable(bed->smmu), 0);
	model_forget(bed->model);
}

static void bed_fini(struct bed *bed)
{
	assert_int_equal(iog_smmuv3_disable(bed->smmu), 0);
	assert_int_equal(iog_smmuv3_destroy(bed->smmu), 0);
	model_fini(bed->model);
	free(bed->model);
}

static struct iog_pgtable_root root_of(const char *format, uint32_t levels, uint32_t ias)
{
	return (struct iog_pgtable_root){ .paddr = 0x123450000, .format = format, .levels = levels, .ias = ias, .oas = 44 };
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

static int set(struct bed *bed, uint32_t stream, enum iog_domain_type type, uint32_t id)
{
	return bed->unit->ops->device_set(bed->unit, stream, type, id);
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

#define EXPECT(at, word0, word1)                                                   \
	do {                                                                       \
		assert_true((at) < bed.model->nr_log);                             \
		assert_int_equal(bed.model->log[at][0], (uint64_t)(word0));        \
		assert_int_equal(bed.model->log[at][1], (uint64_t)(word1));        \
	} while (0)
#define EXPECT_END(at) do { EXPECT(at, 0x46, 0); assert_int_equal(bed.model->nr_log, (at) + 1); assert_int_equal(bed.model->doorbells, 1); } while (0)

static uint32_t *named(struct model *model, uint32_t offset)
{
	return &model->registers[offset / 4];
}

static void test_create(void **state)
{
	struct model *model = calloc(1, sizeof(*model));
	struct iog_smmuv3_config config = { .registers = MODEL_BASE };
	struct iog_smmuv3 *smmu = NULL;
	struct iog_platform clockless;
	uint32_t idr;

	(void)state;
	model_init(model);
	config.platform = &model->platform;
	model->dead = true;
	assert_int_equal(iog_smmuv3_create(&config, &smmu), -IOG_EOPNOTSUPP);
	model->dead = false;
	clockless = model->platform;
	clockless.now_ns = NULL;
	config.platform = &clockless;
	assert_int_equal(iog_smmuv3_create(&config, &smmu), -IOG_EINVAL);
	config.platform = &model->platform;
	config.flags = 1 << 20;
	assert_int_equal(iog_smmuv3_create(&config, &smmu), -IOG_EINVAL);
	config.flags = 0;
	config.stream_bits = 17;
	assert_int_equal(iog_smmuv3_create(&config, &smmu), -IOG_EINVAL);
	config.stream_bits = 25;
	assert_int_equal(iog_smmuv3_create(&config, &smmu), -IOG_EINVAL);
	config.stream_bits = 0;
	config.commands_max = 65;
	assert_int_equal(iog_smmuv3_create(&config, &smmu), -IOG_EINVAL);
	config.commands_max = 0;
	/* No 64-bit tables; queues at fixed addresses. */
	idr = *named(model, IDR0);
	*named(model, IDR0) = idr & ~(uint32_t)(3 << 2);
	assert_int_equal(iog_smmuv3_create(&config, &smmu), -IOG_EOPNOTSUPP);
	*named(model, IDR0) = idr;
	*named(model, IDR1) |= (uint32_t)IDR1_QUEUES_PRESET;
	assert_int_equal(iog_smmuv3_create(&config, &smmu), -IOG_EOPNOTSUPP);
	*named(model, IDR1) &= ~(uint32_t)IDR1_QUEUES_PRESET;
	/* A unit that does not snoop wants caches cleaned, and page tables that do. */
	*named(model, IDR0) = idr & ~(uint32_t)IDR0_COHACC;
	model->platform.cache_flush = NULL;
	assert_int_equal(iog_smmuv3_create(&config, &smmu), -IOG_EINVAL);
	assert_null(smmu);
	model_fini(model);
	free(model);
}

/* The nth allocation fails: an error, and nothing is left. */
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
	struct iog_smmuv3_config config = { .registers = MODEL_BASE };
	struct iog_smmuv3 *smmu = NULL;
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
		error = iog_smmuv3_create(&config, &smmu);
		iog_posix_stats(model->posix, &stats);
		if (error) {
			assert_int_equal(error, -IOG_ENOMEM);
			assert_int_equal(stats.page_bytes + stats.object_bytes, 0);
		}
	}
	assert_true(n > 6);
	/* A domain, and a stream's first entry. */
	{
		struct iog_unit *unit = iog_smmuv3_unit(smmu);
		struct iog_pgtable_root root = root_of("arm_s1_4k", 4, 48);

		failing.left = 0;
		assert_int_equal(unit->ops->domain_add(unit, 1, &root), -IOG_ENOMEM);
		failing.left = 0;
		assert_int_equal(unit->ops->device_set(unit, 1, IOG_DOMAIN_IDENTITY, 0), -IOG_ENOMEM);
		failing.left = UINT32_MAX;
	}
	assert_int_equal(iog_smmuv3_destroy(smmu), 0);
	model_fini(model);
	free(model);
}

static void with_hypervisor(struct model *model)
{
	*named(model, IDR0) |= (uint32_t)IDR0_HYP;
}

static void test_enable(void **state)
{
	struct iog_smmuv3_info info;
	struct bed bed;

	(void)state;
	bed_init(&bed, with_hypervisor, (struct iog_smmuv3_config){ .stream_bits = 16 });
	iog_smmuv3_info(bed.smmu, &info);
	assert_true(info.stage1 && info.stage2 && info.two_level && info.coherent && info.ats && info.range && !info.msi);
	assert_int_equal(info.oas, 48);
	assert_int_equal(info.granules, 0x15000);
	assert_int_equal(bed.unit->domain_ids, 65535);
	assert_int_equal(iog_smmuv3_enable(bed.smmu), 0);
	/* Everything is forgotten before anything is translated. */
	EXPECT(0, 0x04, 31);
	EXPECT(1, 0x30, 0);
	EXPECT(2, 0x20, 0);
	EXPECT(3, 0x46, 0);
	assert_int_equal(bed.model->nr_log, 4);
	assert_int_equal(*named(bed.model, CR0), CR0_SMMUEN | CR0_EVENTQEN | CR0_CMDQEN | CR0_ATSCHK);
	assert_int_equal(*named(bed.model, CR2), CR2_PTM | CR2_RECINVSID);
	assert_int_equal(*named(bed.model, STRTAB_BASE_CFG), 16 | 6 << 6 | 1 << 16);
	assert_int_equal(*named(bed.model, IRQ_CTRL), IRQ_CTRL_GERROR | IRQ_CTRL_EVENTQ);
	assert_int_equal(iog_smmuv3_enable(bed.smmu), 0);
	assert_int_equal(iog_smmuv3_destroy(bed.smmu), -IOG_EBUSY);
	assert_int_equal(iog_smmuv3_disable(bed.smmu), 0);
	assert_int_equal(*named(bed.model, CR0), 0);
	assert_int_equal(*named(bed.model, GBPA) & GBPA_ABORT, 0);
	assert_int_equal(iog_smmuv3_enable(bed.smmu), 0);
	assert_int_equal(iog_smmuv3_suspend(bed.smmu), 0);
	assert_int_equal(*named(bed.model, GBPA) & GBPA_ABORT, GBPA_ABORT);
	assert_int_equal(iog_smmuv3_resume(bed.smmu), 0);
	bed_fini(&bed);
}

static void left_on(struct model *model)
{
	*named(model, CR0) = *named(model, CR0ACK) = (uint32_t)(CR0_SMMUEN | CR0_CMDQEN);
	/* Errors of then. */
	*named(model, GERROR) = 0x5;
}

static void test_hand_over(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, left_on, (struct iog_smmuv3_config){ .flags = IOG_SMMUV3_ABORT_WHEN_OFF });
	assert_int_equal(iog_smmuv3_enable(bed.smmu), 0);
	assert_int_equal(*named(bed.model, GBPA) & GBPA_ABORT, GBPA_ABORT);
	assert_int_equal(*named(bed.model, GERRORN), 0x5);
	assert_int_equal(model_count(bed.model, CMD_CFGI_STE_RANGE), 1);
	assert_int_equal(iog_smmuv3_disable(bed.smmu), 0);
	assert_int_equal(*named(bed.model, GBPA) & GBPA_ABORT, GBPA_ABORT);
	bed_fini(&bed);
}

/* From here on nothing is acknowledged. */
static void fall_mute(struct model *model)
{
	model->mute = true;
}

/* What the unit may have taken for its tables stays until it has said that it is off. */
static void test_enable_lost(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ .timeout_ms = 2 });
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	bed.model->at_sync = fall_mute;
	assert_int_equal(iog_smmuv3_enable(bed.smmu), -IOG_ETIMEDOUT);
	assert_int_equal(iog_smmuv3_destroy(bed.smmu), -IOG_EBUSY);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), -IOG_ETIMEDOUT);
	assert_int_equal(iog_smmuv3_disable(bed.smmu), -IOG_ETIMEDOUT);
	assert_int_equal(iog_smmuv3_destroy(bed.smmu), -IOG_EBUSY);
	bed.model->at_sync = NULL;
	bed.model->mute = false;
	assert_int_equal(iog_smmuv3_disable(bed.smmu), 0);
	no_domain(&bed, ID);
	assert_int_equal(iog_smmuv3_destroy(bed.smmu), 0);
	model_fini(bed.model);
	free(bed.model);
}

static void test_control_mute(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ .timeout_ms = 2 });
	bed.model->mute = true;
	assert_int_equal(iog_smmuv3_enable(bed.smmu), -IOG_ETIMEDOUT);
	bed.model->mute = false;
	assert_int_equal(iog_smmuv3_enable(bed.smmu), 0);
	bed.model->mute = true;
	assert_int_equal(iog_smmuv3_disable(bed.smmu), -IOG_ETIMEDOUT);
	bed.model->mute = false;
	/* It takes no command when it is turned on. */
	assert_int_equal(iog_smmuv3_disable(bed.smmu), 0);
	bed.model->deaf = true;
	assert_int_equal(iog_smmuv3_enable(bed.smmu), -IOG_ETIMEDOUT);
	assert_int_equal(*named(bed.model, CR0), 0);
	bed.model->deaf = false;
	bed_on(&bed);
	bed_fini(&bed);
}

static void test_entries(void **state)
{
	const uint64_t *entry, *cd;
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ 0 });
	bed_on(&bed);
	assert_null(model_entry(bed.model, STREAM));
	assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_BLOCKED, 0), 0);
	entry = model_entry(bed.model, STREAM);
	assert_non_null(entry);
	assert_int_equal(entry[0], 1);
	assert_int_equal(model_entry(bed.model, STREAM + 1)[0], 0);
	assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_IDENTITY, 0), 0);
	assert_int_equal(entry[0], 1 | 4 << 1);
	assert_int_equal(entry[1], UINT64_C(1) << 44 | 3 << 6 | 1 << 4 | 1 << 2);

	domain(&bed, ID, "arm_s1_4k", 4, 48);
	assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_PAGING, ID), 0);
	assert_int_equal(entry[0] & 0x3f, 1 | 5 << 1);
	assert_int_equal(entry[2] & 0xffff, 0);
	cd = (const uint64_t *)(uintptr_t)((entry[0] & BITS(51, 6)) + bed.model->platform.direct_map_offset);
	/* T0SZ 16, TG0 4K, IR0 OR0 write-back, inner shareable, EPD1, V, IPS 48 bits, AA64, R, A, ASET, ASID. */
	assert_int_equal(cd[0], 16 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 30 | UINT64_C(1) << 31 | UINT64_C(5) << 32 | UINT64_C(1) << 41 | UINT64_C(7) << 45 | (uint64_t)ID << 48);
	assert_int_equal(cd[1], 0x123450000);
	assert_int_equal(cd[3], 0x0444ff);

	/* Stage 2: start levels by granule, VMID, sizes. */
	domain(&bed, 6, "arm_s2_4k", 4, 44);
	assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_PAGING, 6), 0);
	entry = model_entry(bed.model, STREAM);
	assert_int_equal(entry[0], 1 | 6 << 1);
	assert_int_equal(entry[2], 6 | UINT64_C(20) << 32 | UINT64_C(2) << 38 | UINT64_C(1) << 40 | UINT64_C(1) << 42 | UINT64_C(3) << 44 | UINT64_C(5) << 48 | UINT64_C(1) << 51 |
					   UINT64_C(1) << 58);
	assert_int_equal(entry[3], 0x123450000);
	domain(&bed, 7, "arm_s2_64k", 2, 44);
	assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_PAGING, 7), 0);
	entry = model_entry(bed.model, STREAM);
	assert_int_equal(entry[2] >> 38 & 3, 1);
	assert_int_equal(entry[2] >> 46 & 3, 1);
	domain(&bed, 8, "arm_s2_16k", 3, 40);
	assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_PAGING, 8), 0);
	entry = model_entry(bed.model, STREAM);
	assert_int_equal(entry[2] >> 38 & 3, 2);
	assert_int_equal(entry[2] >> 46 & 3, 2);
	assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_PAGING, 99), -IOG_ENOENT);
	assert_int_equal(set(&bed, 1 << 16, IOG_DOMAIN_BLOCKED, 0), -IOG_ERANGE);

	/* What the unit cannot walk. */
	{
		struct iog_pgtable_root root = root_of("vtdss", 4, 48);

		assert_int_equal(bed.unit->ops->domain_add(bed.unit, 20, &root), -IOG_EOPNOTSUPP);
		root = root_of("arm_s1_4k_lpa2", 5, 52);
		assert_int_equal(bed.unit->ops->domain_add(bed.unit, 20, &root), -IOG_EOPNOTSUPP);
		root = root_of("arm_s1_64k", 3, 52);
		assert_int_equal(bed.unit->ops->domain_add(bed.unit, 20, &root), -IOG_EOPNOTSUPP);
		root = root_of("arm_s1_4k", 4, 48);
		root.oas = 52;
		assert_int_equal(bed.unit->ops->domain_add(bed.unit, 20, &root), -IOG_EOPNOTSUPP);
	}
	assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_BLOCKED, 0), 0);
	for (uint32_t id = ID; id <= 8; id++)
		no_domain(&bed, id);
	assert_int_equal(bed.unit->ops->domain_remove(bed.unit, ID), -IOG_ENOENT);
	bed_fini(&bed);
}

static void without_stage1(struct model *model)
{
	*named(model, IDR0) &= ~(uint32_t)IDR0_S1P;
}

/* A unit with stage 2 only has no context descriptors, and refuses commands about them. */
static void test_stage2_only(void **state)
{
	struct bed bed;

	(void)state;
	for (uint32_t linear = 0; linear < 2; linear++) {
		bed_init(&bed, without_stage1, (struct iog_smmuv3_config){ .flags = linear ? IOG_SMMUV3_LINEAR : 0 });
		bed_on(&bed);
		domain(&bed, ID, "arm_s2_4k", 4, 44);
		domain(&bed, ID + 1, "arm_s2_16k", 3, 40);
		assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_PAGING, ID), 0);
		assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_PAGING, ID + 1), 0);
		assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_IDENTITY, 0), 0);
		assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_BLOCKED, 0), 0);
		assert_int_equal(model_count(bed.model, CMD_CFGI_CD_ALL), 0);
		no_domain(&bed, ID);
		no_domain(&bed, ID + 1);
		bed_fini(&bed);
	}
}

static void without_range(struct model *model)
{
	*named(model, IDR3) = 0;
}

static void test_invalidate_range(void **state)
{
	const uint64_t asid = (uint64_t)ID << 48, vmid = (uint64_t)6 << 32;
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ .commands_max = 8 });
	bed_on(&bed);
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	domain(&bed, 6, "arm_s2_4k", 4, 44);
	domain(&bed, 7, "arm_s1_64k", 3, 48);

	/* A page: leaf only, without a range. */
	gather(&bed, PAGE);
	range(&bed, 0x7fff12345000, PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x12 | asid, UINT64_C(0x7fff12345000) | 1);
	EXPECT_END(1);

	/* Sixty-four: one command; their level is known. */
	gather(&bed, PAGE);
	range(&bed, 0x40000, 64 * PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x12 | asid | UINT64_C(6) << 20 | UINT64_C(0) << 12, 0x40000 | 1 << 10 | 3 << 8 | 1);
	EXPECT_END(1);

	/* 0x2 + 0x1f * 8 pages. */
	gather(&bed, PAGE);
	range(&bed, 0x40000, (0x1f * 8 + 2) * PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x12 | asid | UINT64_C(1) << 20 | UINT64_C(28) << 12, 0x40000 | 1 << 10 | 3 << 8 | 1);
	EXPECT(1, 0x12 | asid | UINT64_C(6) << 20 | UINT64_C(2) << 12, (0x40000 + 58 * PAGE) | 1 << 10 | 3 << 8 | 1);
	EXPECT_END(2);

	/* A range that a larger leaf fits in: any level. */
	gather(&bed, PAGE);
	range(&bed, 4 * MiB, 4 * MiB);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x12 | asid | UINT64_C(10) << 20, 4 * MiB | 1 << 10 | 1);
	EXPECT_END(1);
	gather(&bed, 2 * MiB);
	range(&bed, 4 * MiB, 4 * MiB);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x12 | asid | UINT64_C(10) << 20, 4 * MiB | 1 << 10 | 2 << 8 | 1);

	/* A table went: not leaf only, and of any level, for the span and for the range. */
	gather(&bed, PAGE);
	range(&bed, 0x40000, PAGE);
	table(&bed, 0, 2 * MiB);
	table(&bed, 2 * MiB, 2 * MiB);
	table(&bed, 16 * MiB, 2 * MiB);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x12 | asid, 0x40000);
	EXPECT(1, 0x12 | asid | UINT64_C(10) << 20, 0 | 1 << 10);
	EXPECT(2, 0x12 | asid | UINT64_C(9) << 20, 16 * MiB | 1 << 10);
	EXPECT_END(3);
	gather(&bed, PAGE);
	range(&bed, 0x40000, PAGE);
	bed.gather.walk_caches = true;
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x12 | asid, 0x40000);

	/* Stage 2, and another granule. */
	gather(&bed, PAGE);
	range(&bed, 0x40000, 2 * PAGE);
	assert_int_equal(invalidate(&bed, 6), 0);
	EXPECT(0, 0x2a | vmid | UINT64_C(1) << 20, 0x40000 | 1 << 10 | 3 << 8 | 1);
	EXPECT_END(1);
	gather(&bed, 65536);
	range(&bed, 0x40000, 2 * 65536);
	assert_int_equal(invalidate(&bed, 7), 0);
	EXPECT(0, 0x12 | UINT64_C(7) << 48 | UINT64_C(1) << 20, 0x40000 | 3 << 10 | 3 << 8 | 1);

	/* The whole domain: asked for, or cheaper. */
	model_forget(bed.model);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), 0);
	EXPECT(0, 0x11 | asid, 0);
	EXPECT_END(1);
	model_forget(bed.model);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, 6, NULL), 0);
	EXPECT(0, 0x28 | vmid, 0);
	EXPECT_END(1);
	gather(&bed, PAGE);
	bed.gather.everything = true;
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x11 | asid, 0);
	gather(&bed, PAGE);
	for (uint32_t n = 0; n < 9; n++)
		range(&bed, n * MiB, PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x11 | asid, 0);
	EXPECT_END(1);
	/* Everything that can be: 2^36 pages. */
	gather(&bed, PAGE);
	range(&bed, 0, UINT64_C(1) << 48);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x12 | asid | UINT64_C(31) << 20 | UINT64_C(31) << 12, 0 | 1 << 10 | 1);
	EXPECT_END(1);

	for (uint32_t id = ID; id <= 7; id++)
		no_domain(&bed, id);
	assert_int_equal(invalidate(&bed, ID), -IOG_EIO);
	bed_fini(&bed);
}

static void test_invalidate_by_address(void **state)
{
	const uint64_t asid = (uint64_t)ID << 48;
	struct bed bed;

	(void)state;
	bed_init(&bed, without_range, (struct iog_smmuv3_config){ .commands_max = 8 });
	bed_on(&bed);
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	gather(&bed, PAGE);
	range(&bed, 0x40000, 3 * PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x12 | asid, 0x40000 | 1);
	EXPECT(1, 0x12 | asid, 0x41000 | 1);
	EXPECT(2, 0x12 | asid, 0x42000 | 1);
	EXPECT_END(3);
	/* Large leaves: one command each. */
	gather(&bed, 2 * MiB);
	range(&bed, 4 * MiB, 4 * MiB);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x12 | asid, 4 * MiB | 1);
	EXPECT(1, 0x12 | asid, 6 * MiB | 1);
	EXPECT_END(2);
	/* A table of leaves: one address of its span. A higher one: the domain. */
	gather(&bed, PAGE);
	table(&bed, 2 * MiB, 2 * MiB);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x12 | asid, 2 * MiB);
	EXPECT_END(1);
	gather(&bed, PAGE);
	table(&bed, 0, 1024 * MiB);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x11 | asid, 0);
	EXPECT_END(1);
	gather(&bed, PAGE);
	range(&bed, 0, 9 * PAGE);
	assert_int_equal(invalidate(&bed, ID), 0);
	EXPECT(0, 0x11 | asid, 0);
	no_domain(&bed, ID);
	bed_fini(&bed);
}

static void test_removal(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ .timeout_ms = 2 });
	bed_on(&bed);
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	model_forget(bed.model);
	bed.model->deaf = true;
	assert_int_equal(bed.unit->ops->domain_remove(bed.unit, ID), -IOG_ETIMEDOUT);
	bed.model->deaf = false;
	model_forget(bed.model);
	no_domain(&bed, ID);
	assert_int_equal(model_count(bed.model, CMD_TLBI_NH_ASID), 2);
	bed_fini(&bed);
}

/* Indexes go round many times, whatever the size. */
static void test_wrap(void **state)
{
	(void)state;
	for (uint32_t log2 = 1; log2 <= 4; log2++) {
		struct bed bed;

		bed_init(&bed, NULL, (struct iog_smmuv3_config){ .command_log2 = log2 });
		bed_on(&bed);
		domain(&bed, ID, "arm_s1_4k", 4, 48);
		for (uint32_t n = 0; n < 200; n++) {
			gather(&bed, PAGE);
			for (uint32_t i = 0; i <= n % 5; i++)
				range(&bed, (UINT64_C(1) << 30) * i + n * PAGE, PAGE);
			bed.model->lazy = n % 3;
			assert_int_equal(invalidate(&bed, ID), 0);
			assert_int_equal(model_count(bed.model, CMD_TLBI_NH_VA), n % 5 + 1);
			assert_int_equal(bed.model->log[bed.model->nr_log - 2][1], (UINT64_C(1) << 30) * (n % 5) + n * PAGE + 1);
			assert_int_equal(bed.model->log[bed.model->nr_log - 1][0], CMD_SYNC);
		}
		bed.model->lazy = 0;
		no_domain(&bed, ID);
		bed_fini(&bed);
	}
}

static void test_deaf(void **state)
{
	struct iog_smmuv3_stats stats;
	struct bed bed;
	uint64_t began;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ .timeout_ms = 5, .command_log2 = 3 });
	bed_on(&bed);
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	bed.model->deaf = true;
	for (uint32_t n = 0; n < 10; n++) {
		gather(&bed, PAGE);
		range(&bed, 0x1000, PAGE);
		began = bed.model->now;
		/* The first ones wait for an answer, the later ones for room; all but the first for less long, as that one has found out. */
		assert_int_equal(invalidate(&bed, ID), -IOG_ETIMEDOUT);
		assert_in_range(bed.model->now - began, n ? 5000000 / 16 : 5000000, n ? 1000000 : 6000000);
	}
	iog_smmuv3_stats(bed.smmu, &stats);
	assert_int_equal(stats.timeouts, 10);
	/* It comes back: what was in the queue is taken, and new commands are served. */
	bed.model->deaf = false;
	assert_int_equal(invalidate(&bed, ID), 0);
	no_domain(&bed, ID);
	/* A unit that is gone, wherever its queue was: ones are as good a place as any. */
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	for (uint32_t n = 0; n < 16; n++) {
		bed.model->dead = true;
		bed.model->deaf = true;
		gather(&bed, PAGE);
		for (uint32_t i = 0; i < 1 + n % 2; i++)
			range(&bed, 0x10000 * i, PAGE);
		assert_int_equal(invalidate(&bed, ID), -IOG_ETIMEDOUT);
		assert_int_equal(iog_smmuv3_interrupt(bed.smmu), 0);
		bed.model->dead = false;
		bed.model->deaf = false;
		assert_int_equal(invalidate(&bed, ID), 0);
	}
	no_domain(&bed, ID);
	bed_fini(&bed);
}

static void test_refused(void **state)
{
	struct iog_smmuv3_stats stats;
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ .timeout_ms = 50 });
	bed_on(&bed);
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	gather(&bed, PAGE);
	for (uint32_t n = 0; n < 3; n++)
		range(&bed, n * MiB, PAGE);
	/* The second of three is illegal: it becomes a CMD_SYNC, the third is carried out, and the caller is told. */
	bed.model->refuse = CMD_TLBI_NH_VA;
	bed.model->refuse_error = CERROR_ILL;
	bed.model->refuse_times = 1;
	assert_int_equal(invalidate(&bed, ID), -IOG_EIO);
	assert_int_equal(model_count(bed.model, CMD_TLBI_NH_VA), 2);
	assert_int_equal(model_count(bed.model, CMD_SYNC), 2);
	assert_int_equal(bed.model->log[0][0], CMD_SYNC);
	/* Not the next one. */
	assert_int_equal(invalidate(&bed, ID), 0);
	/* An abort of the fetch: it is fetched again. */
	bed.model->refuse_error = CERROR_ABT;
	bed.model->refuse_times = 2;
	assert_int_equal(invalidate(&bed, ID), 0);
	assert_int_equal(model_count(bed.model, CMD_TLBI_NH_VA), 3);
	/* Again and again: the queue is emptied, and the caller submits anew. */
	bed.model->refuse_times = 4;
	assert_int_equal(invalidate(&bed, ID), -IOG_EAGAIN);
	assert_int_equal(invalidate(&bed, ID), 0);
	assert_int_equal(*named(bed.model, CR0), CR0_SMMUEN | CR0_EVENTQEN | CR0_CMDQEN | CR0_ATSCHK);
	iog_smmuv3_stats(bed.smmu, &stats);
	assert_int_equal(stats.command_errors, 1 + 2 + 4);
	no_domain(&bed, ID);
	bed_fini(&bed);
}

static void test_ats(void **state)
{
	const uint64_t *entry;
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ .device_timeout_ms = 5 });
	bed_on(&bed);
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	assert_int_equal(iog_smmuv3_device_ats(bed.smmu, 1 << 16, true), -IOG_ERANGE);
	assert_int_equal(iog_smmuv3_device_ats(bed.smmu, STREAM, true), 0);
	assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_PAGING, ID), 0);
	entry = model_entry(bed.model, STREAM);
	assert_int_equal(entry[1] >> 28 & 3, 1);
	/* Others may not. */
	assert_int_equal(set(&bed, STREAM + 1, IOG_DOMAIN_PAGING, ID), 0);
	assert_int_equal(model_entry(bed.model, STREAM + 1)[1] >> 28 & 3, 0);

	/* Ranges in the form that devices know: an aligned power of two. */
	gather(&bed, PAGE);
	range(&bed, 0x5000, PAGE);
	range(&bed, 0x7000, 3 * PAGE);
	model_forget(bed.model);
	assert_int_equal(bed.unit->ops->device_invalidate(bed.unit, STREAM, &bed.gather), 0);
	EXPECT(0, 0x40 | (uint64_t)STREAM << 32, 0x5000);
	EXPECT(1, 0x40 | (uint64_t)STREAM << 32, 0x0000 | 4);
	EXPECT_END(2);
	model_forget(bed.model);
	assert_int_equal(bed.unit->ops->device_invalidate(bed.unit, STREAM, NULL), 0);
	EXPECT(0, 0x40 | (uint64_t)STREAM << 32, 52);

	/* The device does not answer: its caller is told, and nobody else. */
	bed.model->refuse = CMD_SYNC;
	bed.model->refuse_error = CERROR_ATC_INV_SYNC;
	bed.model->refuse_times = 1;
	assert_int_equal(bed.unit->ops->device_invalidate(bed.unit, STREAM, NULL), -IOG_ETIMEDOUT);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), 0);
	/* Blocked, without another word of the entry touched. */
	assert_int_equal(bed.unit->ops->device_block(bed.unit, STREAM), 0);
	assert_int_equal(entry[0], 1);
	assert_int_equal(bed.unit->ops->device_block(bed.unit, 0x4000), 0);
	/* Set again: what it was told before is forgotten. */
	model_forget(bed.model);
	assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_PAGING, ID), 0);
	assert_int_equal(model_count(bed.model, CMD_ATC_INV), 1);
	/* It is silent while it is being moved: an error, and it is as before. */
	bed.model->refuse_times = 0;
	model_forget(bed.model);
	domain(&bed, 9, "arm_s1_4k", 4, 48);
	{
		uint64_t before[8];

		memcpy(before, model_entry(bed.model, STREAM), sizeof(before));
		bed.model->refuse = CMD_ATC_INV;
		bed.model->refuse_error = CERROR_ILL;
		bed.model->refuse_times = 1;
		assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_PAGING, 9), -IOG_EIO);
		assert_memory_equal(model_entry(bed.model, STREAM), before, sizeof(before));
	}
	assert_int_equal(iog_smmuv3_device_ats(bed.smmu, STREAM, false), 0);
	assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_BLOCKED, 0), 0);
	assert_int_equal(set(&bed, STREAM + 1, IOG_DOMAIN_BLOCKED, 0), 0);
	no_domain(&bed, ID);
	no_domain(&bed, 9);
	bed_fini(&bed);
}

/* The device is silent while it is moved, and there is no memory to take that back in one step: it is refused, and not left where it does not belong. */
static void test_ats_no_memory(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ .device_timeout_ms = 5 });
	failing.pages = bed.model->platform.pages_alloc;
	failing.left = UINT32_MAX;
	bed.model->platform.pages_alloc = failing_pages;
	bed_on(&bed);
	domain(&bed, 13, "arm_s1_4k", 4, 48);
	domain(&bed, 14, "arm_s2_16k", 3, 40);
	assert_int_equal(iog_smmuv3_device_ats(bed.smmu, STREAM, true), 0);
	assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_PAGING, 13), 0);
	bed.model->refuse = CMD_ATC_INV;
	bed.model->refuse_error = CERROR_ILL;
	bed.model->refuse_times = 1;
	failing.left = 1;
	assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_PAGING, 14), -IOG_EIO);
	assert_int_equal(model_entry(bed.model, STREAM)[0], STE0_V | STE0_CONFIG_ABORT);
	failing.left = UINT32_MAX;
	assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_BLOCKED, 0), 0);
	no_domain(&bed, 13);
	no_domain(&bed, 14);
	bed_fini(&bed);
}

/* At each CMD_SYNC hardware has one view of the entry: it is the former or the new one in all that hardware looks at. */
struct watch {
	uint64_t former[8], next[8];
	uint32_t views, wrong, aborts;
};

static bool same_view(const uint64_t *a, const uint64_t *b)
{
	uint32_t config = a[0] >> 1 & 7;

	if (a[0] != b[0])
		return false;
	switch (config) {
	case 4:
		return a[1] == b[1];
	case 5:
		return a[1] == b[1] && (a[2] & 0xffff) == (b[2] & 0xffff);
	case 6:
		return a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
	default:
		return true;
	}
}

static void look(struct model *model)
{
	struct watch *watch = model->ctx;
	const uint64_t *entry = model_entry(model, STREAM);

	watch->views++;
	if (entry[0] == 1)
		watch->aborts++;
	else if (!same_view(entry, watch->former) && !same_view(entry, watch->next))
		watch->wrong++;
}

static void replacements(uint32_t flags, bool *holes)
{
	/* Of each kind two, so that everything differs. */
	enum { S1, S1_OTHER, S2, S2_OTHER, IDENTITY, BLOCKED, KINDS };
	static const uint32_t ids[] = { 11, 12, 13, 14, 0, 0 };
	struct bed bed;

	*holes = false;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ .flags = flags });
	bed_on(&bed);
	domain(&bed, 11, "arm_s1_4k", 4, 48);
	domain(&bed, 12, "arm_s1_64k", 3, 48);
	domain(&bed, 13, "arm_s2_4k", 4, 44);
	domain(&bed, 14, "arm_s2_16k", 3, 40);
	for (uint32_t from = 0; from < KINDS; from++)
		for (uint32_t to = 0; to < KINDS; to++) {
			enum iog_domain_type types[] = { IOG_DOMAIN_PAGING, IOG_DOMAIN_PAGING, IOG_DOMAIN_PAGING, IOG_DOMAIN_PAGING, IOG_DOMAIN_IDENTITY, IOG_DOMAIN_BLOCKED };
			struct watch watch = { .views = 0 };

			assert_int_equal(set(&bed, STREAM, types[to], ids[to]), 0);
			memcpy(watch.next, model_entry(bed.model, STREAM), sizeof(watch.next));
			assert_int_equal(set(&bed, STREAM, types[from], ids[from]), 0);
			memcpy(watch.former, model_entry(bed.model, STREAM), sizeof(watch.former));
			bed.model->ctx = &watch;
			bed.model->at_sync = look;
			model_forget(bed.model);
			assert_int_equal(set(&bed, STREAM, types[to], ids[to]), 0);
			bed.model->at_sync = NULL;
			assert_memory_equal(model_entry(bed.model, STREAM), watch.next, sizeof(watch.next));
			assert_int_equal(watch.wrong, 0);
			if (watch.aborts && from != BLOCKED && to != BLOCKED)
				*holes = true;
			if (from != to)
				assert_true(watch.views);
			/* Of what is remembered of the entry, and of its context descriptor. */
			if (from != to)
				assert_true(model_count(bed.model, CMD_CFGI_STE) + model_count(bed.model, CMD_CFGI_STE_RANGE) && model_count(bed.model, CMD_CFGI_CD_ALL));
		}
	assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_BLOCKED, 0), 0);
	for (uint32_t id = 11; id <= 14; id++)
		no_domain(&bed, id);
	bed_fini(&bed);
}

static void test_replace(void **state)
{
	bool holes;

	(void)state;
	replacements(0, &holes);
	assert_false(holes);
	replacements(IOG_SMMUV3_LINEAR, &holes);
	assert_true(holes);
}

/* The unit does not answer on the way: an error, the entry is as before, and the copy that it may still read is kept until it is off. */
static void test_replace_deaf(void **state)
{
	struct bed bed;
	uint64_t before[8];

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ .timeout_ms = 2 });
	bed_on(&bed);
	domain(&bed, 13, "arm_s2_4k", 4, 44);
	domain(&bed, 14, "arm_s2_16k", 3, 40);
	assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_PAGING, 13), 0);
	memcpy(before, model_entry(bed.model, STREAM), sizeof(before));
	bed.model->deaf = true;
	for (uint32_t n = 0; n < 20; n++) {
		assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_PAGING, 14), -IOG_ETIMEDOUT);
		assert_memory_equal(model_entry(bed.model, STREAM), before, sizeof(before));
	}
	bed.model->deaf = false;
	assert_int_equal(iog_smmuv3_suspend(bed.smmu), 0);
	assert_int_equal(iog_smmuv3_resume(bed.smmu), 0);
	assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_PAGING, 14), 0);
	assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_BLOCKED, 0), 0);
	no_domain(&bed, 13);
	no_domain(&bed, 14);
	bed_fini(&bed);
}

static void event(struct bed *bed, uint32_t code, uint64_t word1, uint64_t address)
{
	const uint64_t record[4] = { code | (uint64_t)STREAM << 32, word1, address, 0 };

	assert_true(model_event(bed->model, record));
}

static void test_events(void **state)
{
	static const struct {
		uint32_t code;
		enum iog_fault_reason reason;
		bool address;
	} events[] = {
		{ 0x01, IOG_FAULT_REASON_OTHER, true }, { 0x02, IOG_FAULT_REASON_NO_DEVICE, false }, { 0x03, IOG_FAULT_REASON_WALK, false },
		{ 0x04, IOG_FAULT_REASON_MALFORMED, false }, { 0x05, IOG_FAULT_REASON_PERMISSION, true }, { 0x06, IOG_FAULT_REASON_PERMISSION, false },
		{ 0x07, IOG_FAULT_REASON_PERMISSION, true }, { 0x08, IOG_FAULT_REASON_NO_DEVICE, false }, { 0x09, IOG_FAULT_REASON_WALK, false },
		{ 0x0a, IOG_FAULT_REASON_MALFORMED, false }, { 0x0b, IOG_FAULT_REASON_WALK, true }, { 0x10, IOG_FAULT_REASON_NOT_PRESENT, true },
		{ 0x11, IOG_FAULT_REASON_ADDRESS_SIZE, true }, { 0x12, IOG_FAULT_REASON_MALFORMED, true }, { 0x13, IOG_FAULT_REASON_PERMISSION, true },
		{ 0x20, IOG_FAULT_REASON_OTHER, true }, { 0x21, IOG_FAULT_REASON_OTHER, false }, { 0xe5, IOG_FAULT_REASON_OTHER, false },
	};
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ 0 });
	bed_on(&bed);
	/* An entry that is not valid, of a stream that has one, is malformed. */
	assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_BLOCKED, 0), 0);
	for (size_t n = 0; n < sizeof(events) / sizeof(events[0]); n++) {
		const struct iog_fault *fault = &bed.faults[0];

		bed.nr_faults = 0;
		event(&bed, events[n].code, UINT64_C(1) << 35, 0xffff800012345678);
		assert_int_equal(iog_smmuv3_interrupt(bed.smmu), 1);
		assert_int_equal(bed.nr_faults, 1);
		assert_int_equal(fault->device, STREAM);
		assert_int_equal(fault->pasid, IOG_PASID_NONE);
		assert_int_equal(fault->code, events[n].code);
		assert_int_equal(fault->reason, events[n].reason);
		assert_int_equal(fault->iova, events[n].address ? 0xffff800012345678 : 0);
		assert_int_equal(!!(fault->access & IOG_FAULT_NO_ADDRESS), !events[n].address);
		assert_int_equal(fault->access & RW, events[n].address ? IOG_PROT_READ : 0);
		assert_non_null(fault->text);
	}
	/* Bits of the access. */
	bed.nr_faults = 0;
	{
		const uint64_t record[4] = { 0x13 | 1 << 11 | UINT64_C(0xabcde) << 12 | (uint64_t)STREAM << 32, UINT64_C(1) << 33 | UINT64_C(1) << 34 | UINT64_C(1) << 39, 0x1000, 0 };

		assert_true(model_event(bed.model, record));
	}
	assert_int_equal(iog_smmuv3_interrupt(bed.smmu), 1);
	assert_int_equal(bed.faults[0].pasid, 0xabcde);
	assert_int_equal(bed.faults[0].access, IOG_PROT_WRITE | IOG_PROT_EXEC | IOG_FAULT_PRIVILEGED | IOG_FAULT_SECOND_STAGE);
	assert_int_equal(iog_smmuv3_interrupt(bed.smmu), 0);
	bed_fini(&bed);
}

static void test_overflow(void **state)
{
	const uint64_t record[4] = { 0x10 | (uint64_t)STREAM << 32, 0, 0x1000, 0 };
	struct iog_smmuv3_stats stats;
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ .event_log2 = 3 });
	bed_on(&bed);
	for (uint32_t round = 1; round <= 5; round++) {
		for (uint32_t n = 0; n < 8; n++)
			assert_true(model_event(bed.model, record));
		for (uint32_t n = 0; n < 5; n++)
			assert_false(model_event(bed.model, record));
		assert_int_equal(iog_smmuv3_interrupt(bed.smmu), 8);
		/* Acknowledged: the flags are equal again. */
		assert_int_equal((bed.model->page1[EVENTQ_PROD / 4] ^ bed.model->page1[EVENTQ_CONS / 4]) & EVENTQ_OVERFLOW, 0);
		iog_smmuv3_stats(bed.smmu, &stats);
		assert_int_equal(stats.faults.overflows, round);
		assert_int_equal(stats.faults.seen, 8 * round);
	}
	/* Other global errors are acknowledged and kept. */
	*named(bed.model, GERROR) ^= 0x104;
	assert_int_equal(iog_smmuv3_interrupt(bed.smmu), 0);
	iog_smmuv3_stats(bed.smmu, &stats);
	assert_int_equal(stats.errors, 0x104);
	assert_int_equal(stats.faults.overflows, 6);
	assert_int_equal(*named(bed.model, GERRORN), *named(bed.model, GERROR));
	/* A unit that is gone: ones are a place in the queue, but not an event. */
	bed.model->dead = true;
	assert_int_equal(iog_smmuv3_interrupt(bed.smmu), 0);
	bed.model->dead = false;
	/* Registers that cannot be. */
	bed.model->page1[EVENTQ_PROD / 4] ^= 0xc;
	bed.model->page1[EVENTQ_PROD / 4] = (bed.model->page1[EVENTQ_CONS / 4] + 9) & 0xf;
	assert_int_equal(iog_smmuv3_interrupt(bed.smmu), 0);
	bed.model->page1[EVENTQ_PROD / 4] = bed.model->page1[EVENTQ_CONS / 4];
	bed_fini(&bed);
}

static void forced_stalls(struct model *model)
{
	*named(model, IDR0) = (*named(model, IDR0) & ~(3u << 24)) | 2u << 24;
}

static void test_stalls(void **state)
{
	struct iog_smmuv3_stats stats;
	const uint64_t *cd;
	struct bed bed;

	(void)state;
	bed_init(&bed, forced_stalls, (struct iog_smmuv3_config){ 0 });
	bed_on(&bed);
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_PAGING, ID), 0);
	cd = (const uint64_t *)(uintptr_t)((model_entry(bed.model, STREAM)[0] & BITS(51, 6)) + bed.model->platform.direct_map_offset);
	assert_true(cd[0] & CD0_S);
	model_forget(bed.model);
	event(&bed, 0x10, 0x1234 | UINT64_C(1) << 31, 0x5000);
	assert_int_equal(iog_smmuv3_interrupt(bed.smmu), 1);
	/* Aborted, without waiting for it. */
	assert_int_equal(bed.model->nr_log, 1);
	EXPECT(0, 0x44 | 2 << 12 | (uint64_t)STREAM << 32, 0x1234);
	iog_smmuv3_stats(bed.smmu, &stats);
	assert_int_equal(stats.stalls_ended, 1);
	assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_BLOCKED, 0), 0);
	no_domain(&bed, ID);
	bed_fini(&bed);
}

static void not_snooping(struct model *model)
{
	*named(model, IDR0) &= ~(uint32_t)IDR0_COHACC;
}

static void test_noncoherent(void **state)
{
	struct iog_pgtable_root root = root_of("arm_s1_4k", 4, 48);
	struct bed bed;
	uint32_t cleans;

	(void)state;
	bed_init(&bed, not_snooping, (struct iog_smmuv3_config){ 0 });
	assert_int_equal(bed.unit->pgtable_flags, IOG_PGTABLE_NONCOHERENT);
	bed_on(&bed);
	assert_int_equal(*named(bed.model, CR1), 0);
	assert_int_equal(bed.unit->ops->domain_add(bed.unit, ID, &root), -IOG_EOPNOTSUPP);
	root.flags = IOG_PGTABLE_NONCOHERENT;
	assert_int_equal(bed.unit->ops->domain_add(bed.unit, ID, &root), 0);
	cleans = bed.model->cleans;
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), 0);
	/* The command, and the CMD_SYNC. */
	assert_int_equal(bed.model->cleans - cleans, 2);
	no_domain(&bed, ID);
	bed_fini(&bed);
}

/* Several lanes at once, over a small queue: each one's commands are taken before it returns, and waits are shared. */
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
			found = lane->bed->model->log[i][1] == (address | 1);
		pthread_mutex_unlock(&lane->bed->model->lock);
		lane->errors += error || !found;
	}
	free(gather);
	return NULL;
}

static void test_lanes(void **state)
{
	struct lane lanes[LANES];
	struct iog_smmuv3_stats stats;
	struct bed bed;

	(void)state;
	/* A clock that does not run: waiting for long is no error here. */
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ .command_log2 = 3 });
	bed_on(&bed);
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	bed.model->step = 0;
	bed.model->lazy = 1;
	for (uint32_t n = 0; n < LANES; n++) {
		lanes[n] = (struct lane){ .bed = &bed, .number = n };
		assert_int_equal(pthread_create(&lanes[n].thread, NULL, submit, &lanes[n]), 0);
	}
	for (uint32_t n = 0; n < LANES; n++) {
		pthread_join(lanes[n].thread, NULL);
		assert_int_equal(lanes[n].errors, 0);
	}
	assert_int_equal(model_count(bed.model, CMD_TLBI_NH_VA), LANES * ROUNDS);
	iog_smmuv3_stats(bed.smmu, &stats);
	assert_int_equal(stats.waits, bed.model->syncs + 1);
	assert_true(stats.waits <= stats.submissions + LANES);
	print_message("%u invalidations of %u lanes shared %u waits\n", LANES * ROUNDS, LANES, bed.model->syncs);
	bed.model->lazy = 0;
	bed.model->step = 1000;
	no_domain(&bed, ID);
	bed_fini(&bed);
}

/* Two lanes come while the wait of a third is in flight: one wait behind both serves them. */
static void *submit_once(void *arg)
{
	struct lane *lane = arg;

	lane->errors += lane->bed->unit->ops->invalidate(lane->bed->unit, ID, NULL) != 0;
	return NULL;
}

static void test_shared_wait(void **state)
{
	struct lane lanes[3];
	uint32_t written = 0;
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ 0 });
	bed_on(&bed);
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	/* A clock that does not run, and a unit that takes nothing until all have written. */
	bed.model->step = 0;
	bed.model->deaf = true;
	for (uint32_t n = 0; n < 3; n++) {
		lanes[n] = (struct lane){ .bed = &bed };
		assert_int_equal(pthread_create(&lanes[n].thread, NULL, submit_once, &lanes[n]), 0);
	}
	while (written < 3) {
		pthread_mutex_lock(&bed.model->lock);
		written = bed.model->doorbells;
		bed.model->deaf = written < 3;
		pthread_mutex_unlock(&bed.model->lock);
		sched_yield();
	}
	for (uint32_t n = 0; n < 3; n++) {
		pthread_join(lanes[n].thread, NULL);
		assert_int_equal(lanes[n].errors, 0);
	}
	assert_int_equal(model_count(bed.model, CMD_TLBI_NH_ASID), 3);
	assert_int_equal(bed.model->log[bed.model->nr_log - 1][0], CMD_SYNC);
	assert_int_equal(bed.model->syncs, 2);
	assert_int_equal(bed.model->doorbells, 4);
	bed.model->step = 1000;
	no_domain(&bed, ID);
	bed_fini(&bed);
}

/* Before it is enabled, tables are made and nothing is waited for. */
static void test_off(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (struct iog_smmuv3_config){ 0 });
	domain(&bed, ID, "arm_s1_4k", 4, 48);
	assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_PAGING, ID), 0);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, ID, NULL), 0);
	assert_int_equal(iog_smmuv3_interrupt(bed.smmu), 0);
	assert_int_equal(bed.model->nr_log, 0);
	bed_on(&bed);
	assert_int_equal(model_entry(bed.model, STREAM)[0] & 0xf, 1 | 5 << 1);
	assert_int_equal(set(&bed, STREAM, IOG_DOMAIN_BLOCKED, 0), 0);
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
		cmocka_unit_test(test_control_mute),
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_stage2_only),
		cmocka_unit_test(test_invalidate_range),
		cmocka_unit_test(test_invalidate_by_address),
		cmocka_unit_test(test_removal),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_deaf),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_ats),
		cmocka_unit_test(test_ats_no_memory),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_replace_deaf),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_stalls),
		cmocka_unit_test(test_noncoherent),
		cmocka_unit_test(test_lanes),
		cmocka_unit_test(test_shared_wait),
		cmocka_unit_test(test_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * A driver on a model, and short names for what tests do with it. Which driver, is told by smmuv3_bed.h and riscv_bed.h, one of which a test includes:
 *
 *   BED(verb), struct BED_DRIVER, BED_CONFIG    the driver's calls and types
 *   DEVICE, ID                                  a device and a domain
 *   FIRST, FIRST_OTHER, SECOND, SECOND_OTHER    format, levels and address bits of two domains of each stage
 *   BLOCKED_WORD                                the first word of an entry that refuses everything
 *   FORGET_ALL, _ENTRY, _DEVICE, _DOMAIN, _PAGE    commands by which something is forgotten
 *   STOP_REFUSED, STOP_RETRY                    how the queue stops: for good, and so that it tries again
 *   COMMAND_ADDRESS(address)                    the second word of the command for a page of the domain
 */
#ifndef IOG_TESTS_HW_UNIT_BED_H
#define IOG_TESTS_HW_UNIT_BED_H

#define RW (IOG_PROT_READ | IOG_PROT_WRITE)
#define PAGE UINT64_C(4096)
#define MiB UINT64_C(0x100000)

struct bed {
	struct model *model;
	struct BED_DRIVER *driver;
	struct iog_unit *unit;
	uint32_t nr_faults;
	struct iog_fault faults[256];
	struct iog_gather gather;
};

static inline void faulted(void *ctx, struct iog_unit *unit, const struct iog_fault *fault)
{
	struct bed *bed = ctx;

	assert_ptr_equal(unit, bed->unit);
	bed->faults[bed->nr_faults++ % 256] = *fault;
}

/* A unit with everything; @change is called on its registers before the driver sees it. */
static inline void bed_init(struct bed *bed, void (*change)(struct model *model), BED_CONFIG config)
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
	assert_int_equal(BED(create)(&config, &bed->driver), 0);
	bed->unit = BED(unit)(bed->driver);
}

static inline void bed_on(struct bed *bed)
{
	assert_int_equal(BED(enable)(bed->driver), 0);
	model_forget(bed->model);
}

static inline void bed_fini(struct bed *bed)
{
	assert_int_equal(BED(disable)(bed->driver), 0);
	assert_int_equal(BED(destroy)(bed->driver), 0);
	model_fini(bed->model);
	free(bed->model);
}

static inline struct iog_pgtable_root root_of(const char *format, uint32_t levels, uint32_t ias)
{
	return (struct iog_pgtable_root){ .paddr = ROOT_PADDR, .format = format, .levels = levels, .ias = ias, .oas = ROOT_OAS };
}

static inline void domain(struct bed *bed, uint32_t id, const char *format, uint32_t levels, uint32_t ias)
{
	struct iog_pgtable_root root = root_of(format, levels, ias);

	assert_int_equal(bed->unit->ops->domain_add(bed->unit, id, &root), 0);
}

static inline void no_domain(struct bed *bed, uint32_t id)
{
	assert_int_equal(bed->unit->ops->domain_remove(bed->unit, id), 0);
}

static inline int set(struct bed *bed, uint32_t device, enum iog_domain_type type, uint32_t id)
{
	return bed->unit->ops->device_set(bed->unit, device, type, id);
}

static inline void gather(struct bed *bed, uint64_t page_size)
{
	memset(&bed->gather, 0, sizeof(bed->gather));
	bed->gather.min_page_size = page_size;
}

static inline void range(struct bed *bed, uint64_t first, uint64_t size)
{
	bed->gather.ranges[bed->gather.nr_ranges++] = (struct iog_range){ first, first + (size - 1) };
}

static inline void table(struct bed *bed, uint64_t first, uint64_t size)
{
	bed->gather.tables[bed->gather.nr_tables++] = (struct iog_gather_table){ .span = { first, first + (size - 1) } };
}

static inline int invalidate(struct bed *bed, uint32_t id)
{
	model_forget(bed->model);
	return bed->unit->ops->invalidate(bed->unit, id, &bed->gather);
}

/* The queue stops at the next so many of a command. */
static inline void refuse(struct bed *bed, uint32_t command, uint32_t error, uint32_t times)
{
	bed->model->refuse = command;
	bed->model->refuse_error = error;
	bed->model->refuse_times = times;
}

#define EXPECT(at, word0, word1)                                            \
	do {                                                                \
		assert_true((at) < bed.model->nr_log);                      \
		assert_int_equal(bed.model->log[at][0], (uint64_t)(word0)); \
		assert_int_equal(bed.model->log[at][1], (uint64_t)(word1)); \
	} while (0)

/* The nth allocation fails. */
static struct {
	void *(*pages)(void *ctx, size_t size);
	void *(*objects)(void *ctx, size_t size);
	uint32_t left;
} failing;

static inline void *failing_pages(void *ctx, size_t size)
{
	return failing.left-- == 0 ? NULL : failing.pages(ctx, size);
}

static inline void *failing_objects(void *ctx, size_t size)
{
	return failing.left-- == 0 ? NULL : failing.objects(ctx, size);
}

static inline void failing_begin(struct model *model)
{
	failing.pages = model->platform.pages_alloc;
	failing.objects = model->platform.object_alloc;
	failing.left = UINT32_MAX;
	model->platform.pages_alloc = failing_pages;
	model->platform.object_alloc = failing_objects;
}

/* Creation fails with nothing left, whichever allocation does; then it succeeds. How many there were. */
static inline uint32_t failing_create(struct model *model, struct BED_DRIVER **driver)
{
	BED_CONFIG config = { .platform = &model->platform, .registers = MODEL_BASE };
	int error = -1;
	uint32_t n;

	for (n = 0; error; n++) {
		struct iog_posix_stats stats;

		failing.left = n;
		error = BED(create)(&config, driver);
		iog_posix_stats(model->posix, &stats);
		if (error) {
			assert_int_equal(error, -IOG_ENOMEM);
			assert_int_equal(stats.page_bytes + stats.object_bytes, 0);
		}
	}
	return n;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Find the IOMMU, protect a device, let it move data through the DMA API, take the memory back, and see it refused.
 */
#include "example.h"

#define PAGE 4096
#define BYTES 256
#define LANE 0

#define CHECK(call) check(#call, (call))

static void check(const char *what, int error)
{
	if (!error)
		return;
	print("failed: %s: %s\n", what, iog_strerror(error));
	machine_exit(1);
}

static void require(bool holds, const char *what)
{
	if (holds)
		return;
	print("failed: %s\n", what);
	machine_exit(1);
}

static struct iog_fault first_fault;
static uint32_t nr_faults;

/* From unit_interrupt(), with what the driver has decoded. */
static void on_fault(void *ctx, struct iog_unit *unit, const struct iog_fault *fault)
{
	(void)ctx;
	(void)unit;
	if (!nr_faults++)
		first_fault = *fault;
}

/* Memory that firmware has reserved for a device has to be mapped 1:1 before the device is attached. This one has none. */
static int on_reserved(void *ctx, const struct iog_found *found)
{
	(void)ctx;
	return found->reserved.flags & IOG_RESERVED_IDENTITY ? -IOG_EOPNOTSUPP : 0;
}

/* The control of this example: hardware is not told to forget, and the blocked DMA is not blocked. */
#ifdef FORGET_NOTHING
static int forget_nothing(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather)
{
	(void)unit;
	(void)id;
	(void)gather;
	return 0;
}

static void leave_out_invalidation(struct iog_unit *unit)
{
	static struct iog_unit_ops ops;

	ops = *unit->ops;
	ops.invalidate = forget_nothing;
	unit->ops = &ops;
}
#endif

_Noreturn void kernel_main(uintptr_t boot)
{
	struct iog_fault_config faults = { .fn = on_fault };
	struct iog_domain_config domain_config = { .platform = &platform };
	struct iog_device_config device_config = { .platform = &platform };
	struct iog_discover_error malformed;
	struct iog_location location;
	struct firmware firmware;
	struct unit unit;
	struct edu edu;
	struct iog_tablemem *tables;
	struct iog_domain *domain;
	struct iog_device *device;
	iog_iova_t source_iova, target_iova;
	uint8_t *source, *target;

	platform_init();
	print("iogate on %s\n", machine_name);

	/* The unit that the device is behind, and what the unit calls it. */
	require(edu_find(&edu), "a device");
	CHECK(machine_firmware(boot, &firmware));
	if (firmware.read(firmware.table, firmware.size, NULL, NULL, &malformed)) {
		print("failed: %s, offset %u: %s\n", malformed.table, (uint64_t)malformed.offset, malformed.text);
		machine_exit(1);
	}
	CHECK(iog_discover_device(firmware.read, firmware.table, firmware.size, NULL, 0, edu.bdf, &location, NULL));
	CHECK(iog_discover_reserved(firmware.read, firmware.table, firmware.size, NULL, 0, edu.bdf, on_reserved, NULL, NULL));
	print("found: a unit at 0x%x, and behind it device 0x%x\n", location.unit.base, (uint64_t)location.id);

	/* From enable on the unit refuses what nobody has allowed. */
	CHECK(unit_create(&location.unit, &faults, &unit));
#ifdef FORGET_NOTHING
	leave_out_invalidation(unit.unit);
#endif
	CHECK(unit_enable(&unit));

	/* An address space, and the device in it. Only now may it be a bus master. */
	CHECK(iog_tablemem_create(&platform, NULL, &tables));
	unit_domain(&unit, &domain_config);
	domain_config.pgtable.tablemem = tables;
	CHECK(iog_domain_create(&domain_config, &domain));
	device_config.unit = unit.unit;
	device_config.id = location.id;
	CHECK(iog_device_create(&device_config, &device));
	CHECK(iog_domain_attach(domain, device));
	edu_bus_master(&edu);

	/* Two pages, each for one direction. The addresses that the device gets have nothing to do with those of memory. */
	source = platform.pages_alloc(platform.ctx, PAGE);
	target = platform.pages_alloc(platform.ctx, PAGE);
	require(source && target, "two pages");
	for (uint32_t n = 0; n < BYTES; n++) {
		source[n] = (uint8_t)(n * 7 + 1);
		target[n] = 0;
	}
	CHECK(iog_dma_map(device, LANE, (uintptr_t)source, BYTES, IOG_DMA_TO_DEVICE, 0, &source_iova));
	CHECK(iog_dma_map(device, LANE, (uintptr_t)target, BYTES, IOG_DMA_FROM_DEVICE, 0, &target_iova));
	require(edu_read(&edu, source_iova, BYTES) && edu_write(&edu, target_iova, BYTES), "the device comes to an end");
	require(!__builtin_memcmp(source, target, BYTES), "the data has arrived");
	(void)unit_interrupt(&unit);
	require(!nr_faults, "no fault");
	print("moved: %u bytes, read at 0x%x and written at 0x%x\n", (uint64_t)BYTES, source_iova, target_iova);

	/* Taken back: from the return of unmap on the device reaches nothing, and the page is free for others. */
	CHECK(iog_dma_unmap(device, LANE, source_iova, BYTES, IOG_DMA_TO_DEVICE, 0));
	CHECK(iog_dma_unmap(device, LANE, target_iova, BYTES, IOG_DMA_FROM_DEVICE, 0));
	__builtin_memset(target, 0xee, PAGE);
	require(edu_write(&edu, target_iova, 8), "the device comes to an end");
	for (uint32_t n = 0; n < PAGE; n++)
		require(target[n] == 0xee, "memory that was taken back is untouched");
	while (unit_interrupt(&unit))
		;
	require(nr_faults && first_fault.device == location.id && (first_fault.iova & ~(uint64_t)(PAGE - 1)) == (target_iova & ~(uint64_t)(PAGE - 1)), "the fault is told");
	require(first_fault.access & IOG_PROT_WRITE && !(first_fault.access & IOG_PROT_READ), "the fault is of a write");
	print("blocked: device 0x%x, write at 0x%x: code 0x%x, %s\n", (uint64_t)first_fault.device, first_fault.iova, (uint64_t)first_fault.code, first_fault.text);

	/* Orderly shutdown, and nothing is left. */
	platform.pages_free(platform.ctx, source, PAGE);
	platform.pages_free(platform.ctx, target, PAGE);
	CHECK(iog_device_destroy(device));
	CHECK(iog_domain_destroy(domain));
	CHECK(iog_tablemem_destroy(tables));
	CHECK(unit_destroy(&unit));
	require(!platform_used(), "all memory has come back");
	print("passed\n");
	machine_exit(0);
}

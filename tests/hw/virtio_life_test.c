/* SPDX-License-Identifier: MIT */
/*
 * The life of a virtio-iommu's driver: what it refuses, and the order in which a device is taken over and let go.
 */
#include "hw/virtio_bed.h"

#define EXPECT(_error, ...)                                                                    \
	do {                                                                                   \
		struct iog_virtio_config config_ = fake_config(&fake);                         \
		struct iog_virtio *virtio_ = NULL;                                             \
		struct iog_virtio_config change_ = { __VA_ARGS__ };                            \
		config_.flags = change_.flags;                                                 \
		config_.request_entries = change_.request_entries;                             \
		config_.event_entries = change_.event_entries;                                 \
		config_.timeout_ms = change_.timeout_ms;                                       \
		assert_int_equal(iog_virtio_create(&config_, &virtio_), _error);               \
		assert_true(!virtio_ == !!(_error));                                           \
		assert_int_equal(iog_virtio_destroy(virtio_), 0);                              \
	} while (0)

static void set64(struct fake *fake, uint32_t offset, uint64_t value)
{
	memcpy(fake->config + offset, &value, sizeof(value));
}

static void set32(struct fake *fake, uint32_t offset, uint32_t value)
{
	memcpy(fake->config + offset, &value, sizeof(value));
}

/* What is refused before anything is touched. */
static void creation(void **state)
{
	struct iog_virtio_config config;
	struct iog_virtio *virtio = NULL;
	struct iog_virtio_info info;
	struct fake fake;

	(void)state;
	fake_init(&fake);
	EXPECT(0, .flags = 0);
	EXPECT(0, .flags = IOG_VIRTIO_REFUSE_WHEN_OFF, .request_entries = 1024, .event_entries = 4);
	EXPECT(-IOG_EINVAL, .flags = 1 << 7);
	EXPECT(-IOG_EINVAL, .flags = IOG_VIRTIO_MMIO | IOG_VIRTIO_MSIX);
	EXPECT(-IOG_EINVAL, .request_entries = 2);
	EXPECT(-IOG_EINVAL, .request_entries = 96);
	EXPECT(-IOG_EINVAL, .event_entries = 2048);
	EXPECT(-IOG_EINVAL, .timeout_ms = UINT32_MAX);
	fake.platform.mmio_read8 = NULL;
	EXPECT(-IOG_EINVAL, .flags = 0);
	fake_fini(&fake);
	fake_init(&fake);
	fake.platform.now_ns = NULL;
	EXPECT(-IOG_EINVAL, .flags = 0);
	fake_fini(&fake);

	fake_init(&fake);
	config = fake_config(&fake);
	config.notify_length = 1;
	assert_int_equal(iog_virtio_create(&config, &virtio), -IOG_EINVAL);
	config = fake_config(&fake);
	config.isr = 0;
	assert_int_equal(iog_virtio_create(&config, &virtio), -IOG_EINVAL);
	fake.offered &= ~F_VERSION_1;
	EXPECT(-IOG_EOPNOTSUPP, .flags = 0);
	fake.offered = FAKE_FEATURES & ~F_MAP_UNMAP;
	EXPECT(-IOG_EOPNOTSUPP, .flags = 0);
	fake.offered = FAKE_FEATURES;
	set64(&fake, CONFIG_PAGE_SIZE_MASK, 0);
	EXPECT(-IOG_EIO, .flags = 0);
	set64(&fake, CONFIG_PAGE_SIZE_MASK, 0x40201000);
	set32(&fake, CONFIG_DOMAIN_END, 6);
	EXPECT(-IOG_EIO, .flags = 0);
	set32(&fake, CONFIG_DOMAIN_END, 7);
	EXPECT(0, .flags = 0);
	set64(&fake, CONFIG_INPUT_START, 0x1000);
	set64(&fake, CONFIG_INPUT_END, (UINT64_C(1) << 39) - 1);
	set32(&fake, CONFIG_PROBE_SIZE, 1 << 20);
	EXPECT(-IOG_EIO, .flags = 0);
	set32(&fake, CONFIG_PROBE_SIZE, 512);
	virtio = fake_driver(&fake);
	iog_virtio_info(virtio, &info);
	assert_true(info.features == FAKE_FEATURES && info.page_sizes == 0x40201000 && info.input_first == 0x1000 && info.input_last == (UINT64_C(1) << 39) - 1);
	assert_true(info.domains == 1 && info.probe_bytes == 512 && info.identity && info.bypass_found && !info.was_enabled);
	assert_true(iog_virtio_unit(virtio)->ias == 39 && iog_virtio_unit(virtio)->pgtable_flags == IOG_PGTABLE_FLUSH_ON_MAP && iog_virtio_unit(virtio)->domain_ids == 1);
	/* Nothing was written but selectors. */
	assert_int_equal(fake.nr_statuses, 0);
	assert_int_equal(iog_virtio_destroy(virtio), 0);
	fake_fini(&fake);
}

/* Memory that is not there, at every allocation of what makes a unit and a domain. */
static void no_memory(void **state)
{
	struct iog_virtio_config config;
	struct iog_virtio *virtio = NULL;
	struct fake fake;
	struct bed bed;
	int error = -IOG_ENOMEM;

	(void)state;
	fake_init(&fake);
	config = fake_config(&fake);
	for (int n = 0; error; n++) {
		assert_true(n < 50);
		atomic_store(&fake.refuse_after, n);
		error = iog_virtio_create(&config, &virtio);
		atomic_store(&fake.refuse_after, -1);
		assert_true(!error || error == -IOG_ENOMEM);
	}
	assert_int_equal(iog_virtio_destroy(virtio), 0);
	fake_fini(&fake);

	bed_create(&bed, &iog_vtdss_counted, 48, 0);
	error = -IOG_ENOMEM;
	for (int n = 0; error; n++) {
		struct iog_pgtable_root root;

		assert_true(n < 50);
		iog_pgtable_root(bed.pt, &root);
		atomic_store(&bed.fake.refuse_after, n);
		error = bed.unit->ops->domain_add(bed.unit, 20, &root);
		if (!error) {
			atomic_store(&bed.fake.refuse_after, 0);
			assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0 + 1, IOG_DOMAIN_PAGING, 20), -IOG_ENOMEM);
		}
		atomic_store(&bed.fake.refuse_after, -1);
		assert_true(!error || error == -IOG_ENOMEM);
	}
	assert_int_equal(bed.unit->ops->domain_remove(bed.unit, 20), 0);
	bed_destroy(&bed);
}

/* The order of 3.1.1; and that nothing passes from the moment on at which the device is ours. */
static void order(void **state)
{
	static const uint32_t on[] = { 0, STATUS_ACKNOWLEDGE, STATUS_ACKNOWLEDGE | STATUS_DRIVER, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK,
				       STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK };
	struct iog_virtio *virtio;
	struct fake fake;
	uint64_t paddr;

	(void)state;
	fake_init(&fake);
	fake.queue[1].most = fake.queue[1].size = 16;
	virtio = fake_driver(&fake);
	assert_true(fake_access(&fake, 0, 0x1000, true, &paddr) && paddr == 0x1000);
	assert_int_equal(iog_virtio_enable(virtio), 0);
	assert_int_equal(fake.nr_statuses, 5);
	assert_memory_equal(fake.statuses, on, sizeof(on));
	assert_true(fake.taken == FAKE_FEATURES && fake.queue[0].enabled && fake.queue[0].size == 256 && fake.queue[1].enabled && fake.queue[1].size == 16);
	assert_int_equal(fake.config[CONFIG_BYPASS], 0);
	assert_false(fake_access(&fake, 0, 0x1000, true, &paddr));
	assert_int_equal(iog_virtio_enable(virtio), 0);
	assert_int_equal(fake.nr_statuses, 5);
	assert_int_equal(iog_virtio_destroy(virtio), -IOG_EBUSY);
	assert_int_equal(iog_virtio_disable(virtio), 0);
	assert_true(!fake.status && fake.config[CONFIG_BYPASS] == 1 && fake_access(&fake, 0, 0x1000, true, &paddr));
	assert_int_equal(iog_virtio_disable(virtio), 0);
	/* Suspended, nothing passes; what was found is remembered all the same. */
	assert_int_equal(iog_virtio_resume(virtio), 0);
	assert_int_equal(iog_virtio_suspend(virtio), 0);
	assert_false(fake_access(&fake, 0, 0x1000, true, &paddr));
	assert_int_equal(iog_virtio_resume(virtio), 0);
	fake_done(virtio);
	assert_true(fake_access(&fake, 0, 0x1000, true, &paddr));
	fake_fini(&fake);
}

/* A device that does not do what it is told when it is taken over. */
static void refusals(void **state)
{
	struct iog_virtio *virtio;
	struct fake fake;

	(void)state;
	fake_init(&fake);
	virtio = fake_driver(&fake);
	fake.refuse_features = true;
	assert_int_equal(iog_virtio_enable(virtio), -IOG_EOPNOTSUPP);
	assert_int_equal(fake.status, 0);
	fake.refuse_features = false;
	fake.bypass_stuck = true;
	assert_int_equal(iog_virtio_enable(virtio), -IOG_EOPNOTSUPP);
	fake.bypass_stuck = false;
	fake.queue[0].most = fake.queue[0].size = 2;
	assert_int_equal(iog_virtio_enable(virtio), -IOG_EIO);
	fake.queue[0].most = fake.queue[0].size = 256;
	/* A doorbell outside of what there is. */
	fake.notify_off = 512;
	assert_int_equal(iog_virtio_enable(virtio), -IOG_EIO);
	fake.notify_off = 0;
	assert_int_equal(iog_virtio_enable(virtio), 0);
	fake.stuck = true;
	assert_int_equal(iog_virtio_disable(virtio), -IOG_ETIMEDOUT);
	assert_int_equal(iog_virtio_destroy(virtio), -IOG_EBUSY);
	fake.stuck = false;
	fake_done(virtio);
	fake_fini(&fake);

	/* Without the setting, nobody can be let through. */
	fake_init(&fake);
	fake.offered &= ~F_BYPASS_CONFIG;
	fake.offered |= F_BYPASS;
	fake.config[CONFIG_BYPASS] = 0;
	virtio = fake_ready(&fake);
	assert_true(!(fake.taken & F_BYPASS) && !fake.bypass_writes);
	assert_int_equal(iog_virtio_unit(virtio)->ops->device_set(iog_virtio_unit(virtio), FAKE_DEVICE_0, IOG_DOMAIN_IDENTITY, 0), -IOG_EOPNOTSUPP);
	fake_done(virtio);
	fake_fini(&fake);
}

/* A device that another driver has left on: what it lets pass because of its setting is refused before it is reset. One that keeps attachments, as QEMU's does, is emptied. */
static void taken_over(void **state)
{
	struct iog_virtio_info info;
	struct iog_virtio *virtio;
	struct bed bed;

	(void)state;
	for (uint32_t keeps = 0; keeps < 3; keeps++) {
		struct bed next;

		bed_create(&bed, &iog_vtdss_counted, 48, 0);
		/* With numbers to choose from. */
		if (keeps == 2)
			set32(&bed.fake, CONFIG_DOMAIN_END, 0x400000);
		assert_int_equal(bed_map(&bed, 0x5000, 0x9000, PAGE, RW), 0);
		assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_PAGING), 0);
		bed.fake.keeps = keeps;
		bed.fake.config[CONFIG_BYPASS] = 1;
		virtio = fake_driver(&bed.fake);
		assert_int_equal(iog_virtio_enable(virtio), 0);
		assert_int_equal(bed.fake.bypass_at_reset, 0);
		iog_virtio_info(virtio, &info);
		assert_true(info.was_enabled && info.bypass_found);
		if (!keeps)
			assert_int_equal(reached(&bed, 0, 0x5000, true), REFUSED);
		/* What the library does with every device. */
		assert_int_equal(iog_virtio_unit(virtio)->ops->device_set(iog_virtio_unit(virtio), FAKE_DEVICE_0, IOG_DOMAIN_BLOCKED, 0), 0);
		assert_int_equal(reached(&bed, 0, 0x5000, true), REFUSED);
		/* Its domain has the number of one that the other driver had, and a device in it that is not ours. */
		next = bed;
		next.virtio = virtio;
		next.unit = iog_virtio_unit(virtio);
		bed_domain(&next, BED_ID, &iog_vtdss_counted, 48, 0);
		assert_int_equal(next.unit->ops->device_set(next.unit, FAKE_DEVICE_0, IOG_DOMAIN_PAGING, BED_ID), 0);
		assert_true(reached(&bed, 0, 0x5000, true) == REFUSED && reached(&bed, 1, 0x5000, true) == REFUSED);
		assert_int_equal(bed_map(&next, 0x7000, 0x8000, PAGE, RW), 0);
		assert_int_equal(reached(&bed, 0, 0x7000, true), 0x8000);
		if (keeps == 2)
			assert_int_equal(reached(&bed, 1, 0x7000, true), REFUSED);
		assert_int_equal(next.unit->ops->device_set(next.unit, FAKE_DEVICE_0, IOG_DOMAIN_BLOCKED, 0), 0);
		bed_domain_end(&next);
		fake_done(virtio);
		bed.fake.keeps = false;
		assert_int_equal(iog_virtio_disable(bed.virtio), 0);
		assert_int_equal(iog_virtio_enable(bed.virtio), 0);
		assert_true(reached(&bed, 0, 0x5000, true) == 0x9000 && reached(&bed, 1, 0x5000, true) == 0x9000);
		assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_BLOCKED), 0);
		bed_destroy(&bed);
	}
}

/* One that keeps attachments, and has a domain of the other driver's, in which accesses pass, under the number of one of ours: nobody joins it, and another number is taken. */
static void take_over_bypass(bool lowest)
{
	struct iog_virtio *virtio;
	struct bed bed, next;

	bed_create(&bed, &iog_vtdss_counted, 48, 0);
	set32(&bed.fake, CONFIG_DOMAIN_END, 0x400000);
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_PAGING), 0);
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_BLOCKED), 0);
	bed.fake.endpoints[1].domain->bypass = true;
	if (lowest)
		bed.fake.endpoints[1].domain->number = NUMBER(1);
	bed.fake.keeps = true;
	virtio = fake_driver(&bed.fake);
	assert_int_equal(iog_virtio_enable(virtio), 0);
	next = bed;
	next.virtio = virtio;
	next.unit = iog_virtio_unit(virtio);
	bed_domain(&next, BED_ID, &iog_vtdss_counted, 48, 0);
	assert_int_equal(next.unit->ops->device_set(next.unit, FAKE_DEVICE_0, IOG_DOMAIN_PAGING, BED_ID), 0);
	assert_int_equal(bed_map(&next, 0x7000, 0x8000, PAGE, RW), 0);
	assert_int_equal(reached(&bed, 0, 0x7000, true), 0x8000);
	assert_int_equal(reached(&bed, 0, 0x9000, true), REFUSED);
	assert_int_equal(next.unit->ops->device_set(next.unit, FAKE_DEVICE_0, IOG_DOMAIN_BLOCKED, 0), 0);
	bed_domain_end(&next);
	fake_done(virtio);
	bed.fake.keeps = false;
	assert_int_equal(iog_virtio_disable(bed.virtio), 0);
	assert_int_equal(iog_virtio_enable(bed.virtio), 0);
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_BLOCKED), 0);
	bed_destroy(&bed);
}

/* Or under the lowest number, where most begin to count: refusal and identity are elsewhere. */
static void taken_over_bypass(void **state)
{
	(void)state;
	take_over_bypass(false);
	take_over_bypass(true);
}

/* Over memory-mapped registers. */
static void memory_mapped(void **state)
{
	struct iog_virtio_config config;
	struct bed bed;

	(void)state;
	fake_init(&bed.fake);
	config = (struct iog_virtio_config){ .platform = &bed.fake.platform, .common = FAKE_MMIO, .flags = IOG_VIRTIO_MMIO, .timeout_ms = 20, .request_entries = 16 };
	assert_int_equal(iog_virtio_create(&config, &bed.virtio), 0);
	assert_int_equal(iog_virtio_enable(bed.virtio), 0);
	bed.unit = iog_virtio_unit(bed.virtio);
	bed_domain(&bed, BED_ID, &iog_vtdss_counted, 48, 0);
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_PAGING), 0);
	assert_int_equal(bed_map(&bed, 0x5000, 0x9000, 40 * PAGE, RW), 0);
	assert_true(bed_agrees(&bed));
	assert_true(fake_event(&bed.fake, FAULT_R_MAPPING, FAULT_F_READ | FAULT_F_ADDRESS, 0x18, 0x1234));
	assert_int_equal(iog_virtio_interrupt(bed.virtio), 1);
	assert_int_equal(bed.fake.isr, 0);
	bed_destroy(&bed);
}

/* What a page table must be to be told. */
static void domains(void **state)
{
	struct iog_pgtable_root root;
	struct bed bed;

	(void)state;
	bed_create(&bed, &iog_vtdss_counted, 48, 0);
	iog_pgtable_root(bed.pt, &root);
	root.pgtable = NULL;
	assert_int_equal(bed.unit->ops->domain_add(bed.unit, 8, &root), -IOG_EOPNOTSUPP);
	bed_destroy(&bed);

	fake_init(&bed.fake);
	set64(&bed.fake, CONFIG_PAGE_SIZE_MASK, ~UINT64_C(0xffff));
	set64(&bed.fake, CONFIG_INPUT_END, (UINT64_C(1) << 40) - 1);
	bed.virtio = fake_ready(&bed.fake);
	bed.unit = iog_virtio_unit(bed.virtio);
	for (uint32_t n = 0; n < 3; n++) {
		const struct iog_tablemem_config memory = { .table_size = n == 0 ? 4096 : 65536 };
		struct iog_pgtable_config config = { .ops = n == 0 ? &iog_vtdss_counted : &iog_arm_s2_64k_counted, .ias = n == 0 ? 39 : n == 1 ? 42 : 40 };
		int error;

		assert_int_equal(iog_tablemem_create(&bed.fake.platform, &memory, &config.tablemem), 0);
		assert_int_equal(iog_pgtable_create(&config, &bed.pt), 0);
		iog_pgtable_root(bed.pt, &root);
		error = bed.unit->ops->domain_add(bed.unit, 8, &root);
		/* Smaller pages than it has; more addresses than it has. */
		assert_int_equal(error, n < 2 ? -IOG_EOPNOTSUPP : 0);
		if (!error)
			assert_int_equal(bed.unit->ops->domain_remove(bed.unit, 8), 0);
		iog_pgtable_destroy(bed.pt, 0);
		assert_int_equal(iog_tablemem_destroy(config.tablemem), 0);
	}
	fake_done(bed.virtio);
	fake_fini(&bed.fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(creation), cmocka_unit_test(no_memory), cmocka_unit_test(order), cmocka_unit_test(refusals),
		cmocka_unit_test(taken_over), cmocka_unit_test(taken_over_bypass), cmocka_unit_test(memory_mapped), cmocka_unit_test(domains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

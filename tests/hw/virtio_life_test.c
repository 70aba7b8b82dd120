/* SPDX-License-Identifier: MIT */
/*
 * The life of a virtio-iommu's driver: the order in which a device is taken over and let go, devices that move, what the device reports, and a device that does not answer, lies, or breaks its rings.
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

/* Small rings go round and round, and are full. */
static void rings(void **state)
{
	struct iog_virtio_config config;
	struct bed bed;

	(void)state;
	fake_init(&bed.fake);
	config = fake_config(&bed.fake);
	config.request_entries = 4;
	assert_int_equal(iog_virtio_create(&config, &bed.virtio), 0);
	assert_int_equal(iog_virtio_enable(bed.virtio), 0);
	bed.unit = iog_virtio_unit(bed.virtio);
	bed_domain(&bed, BED_ID, &iog_vtdss_counted, 48, 0);
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_PAGING), 0);
	for (uint32_t n = 0; n < 2000; n++) {
		bed.fake.reverse = n & 1;
		assert_int_equal(bed_map(&bed, 0x5000, 0x9000, (1 + n % 70) * PAGE, RW), 0);
		if (n % 16 == 0)
			assert_true(bed_agrees(&bed));
		assert_int_equal(bed_unmap(&bed, 0x5000, (1 + n % 70) * PAGE), 0);
	}
	assert_true(bed.fake.queue[0].used < bed.fake.logged && bed_agrees(&bed));
	bed_destroy(&bed);
}

/* Devices come, move and go: what is told, what ceases to be, and what is there for the first. */
static void moves(void **state)
{
	struct bed bed, other;
	struct fake_request *log;

	(void)state;
	bed_create(&bed, &iog_vtdss_counted, 48, 0);
	log = bed.fake.log;
	assert_int_equal(bed_map(&bed, 0x5000, 0x9000, 4 * PAGE, RW), 0);
	/* A second device finds what the first has. Once more is nothing. */
	fake_log_clear(&bed.fake);
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_PAGING), 0);
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_PAGING), 0);
	assert_true(bed.fake.logged == 1 && log[0].type == REQ_ATTACH && log[0].domain == NUMBER(BED_ID) && log[0].endpoint == FAKE_DEVICE_0 + 1 && !log[0].flags);
	assert_int_equal(reached(&bed, 1, 0x6000, true), 0xa000);
	/* Both leave: the domain ceases to be, and is told nothing. */
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_BLOCKED), 0);
	assert_true(reached(&bed, 0, 0x6000, true) == REFUSED && reached(&bed, 1, 0x6000, true) == 0xa000);
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_IDENTITY), 0);
	assert_true(reached(&bed, 1, 0x6000, true) == 0x6000 && !fake_domain(&bed.fake, NUMBER(BED_ID)));
	fake_log_clear(&bed.fake);
	assert_int_equal(bed_map(&bed, 0x105000, 0x109000, 100 * PAGE, RW), 0);
	assert_int_equal(bed_unmap(&bed, 0x6000, PAGE), 0);
	assert_int_equal(bed.fake.logged, 0);
	/* The first device of a domain whose page table is full already. */
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_PAGING), 0);
	assert_int_equal(fake_logged(&bed.fake, REQ_MAP), 103);
	assert_true(bed_agrees(&bed));

	/* To another domain and back. */
	other = bed;
	bed_domain(&other, BED_ID + 1, &iog_x86_64_counted, 48, 0);
	other.gather->flush_ctx = &bed; /* of the one that has the device */
	assert_int_equal(iog_pgtable_map(other.pt, 0x5000, 0x77000, PAGE, RW, other.gather), 0);
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0, IOG_DOMAIN_PAGING, other.id), 0);
	assert_int_equal(reached(&bed, 0, 0x5000, true), 0x77000);
	assert_int_equal(bed.unit->ops->domain_remove(bed.unit, other.id), -IOG_EBUSY);
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_PAGING), 0);
	assert_true(bed_agrees(&bed) && reached(&bed, 0, 0x5000, true) == 0x9000 && !fake_domain(&bed.fake, NUMBER(other.id)));
	bed_domain_end(&other);

	/* Devices that the unit does not know, domains that there are not. */
	assert_int_equal(bed_set(&bed, 100, IOG_DOMAIN_PAGING), -IOG_ENOENT);
	assert_int_equal(bed_set(&bed, 100, IOG_DOMAIN_BLOCKED), -IOG_ENOENT);
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0, IOG_DOMAIN_PAGING, 99), -IOG_EINVAL);
	assert_int_equal(bed.unit->ops->domain_remove(bed.unit, 99), -IOG_ENOENT);
	assert_true(bed_agrees(&bed));

	/* Off and on again: everything is told anew. What changes meanwhile is not told. */
	fake_log_clear(&bed.fake);
	assert_int_equal(iog_virtio_disable(bed.virtio), 0);
	assert_int_equal(fake_logged(&bed.fake, REQ_DETACH), 2);
	assert_int_equal(bed_unmap(&bed, 0x7000, PAGE), 0);
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_PAGING), 0);
	fake_log_clear(&bed.fake);
	assert_int_equal(iog_virtio_enable(bed.virtio), 0);
	assert_int_equal(fake_logged(&bed.fake, REQ_MAP), 102);
	assert_true(bed_agrees(&bed) && reached(&bed, 1, 0x8000, true) == 0xc000);
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_BLOCKED), 0);
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

/* An attachment fails: the device is where it was, with all that it had. */
static void moves_fail(void **state)
{
	struct bed bed, other;

	(void)state;
	bed_create(&bed, &iog_vtdss_counted, 48, 0);
	assert_int_equal(bed_map(&bed, 0x5000, 0x9000, 100 * PAGE, RW), 0);
	other = bed;
	bed_domain(&other, BED_ID + 1, &iog_vtdss_counted, 48, 0);
	assert_int_equal(iog_pgtable_map(other.pt, 0x5000, 0x77000, 100 * PAGE, RW, other.gather), 0);
	bed.fake.refuse_type = REQ_ATTACH;
	bed.fake.refuse_status = S_UNSUPP;
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0, IOG_DOMAIN_PAGING, other.id), -IOG_EOPNOTSUPP);
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_PAGING), -IOG_EOPNOTSUPP);
	bed.fake.refuse_type = 0;
	assert_true(bed_agrees(&bed));
	/* Its mappings do not come through: it goes back, and its former domain, which had ceased to be, is told again. */
	bed.fake.refuse_type = REQ_MAP;
	bed.fake.refuse_skip = 70;
	bed.fake.refuse_once = true;
	bed.fake.refuse_status = S_NOMEM;
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0, IOG_DOMAIN_PAGING, other.id), -IOG_ENOMEM);
	assert_true(bed_agrees(&bed) && !fake_domain(&bed.fake, NUMBER(other.id)));
	/* The same for one that was in no domain. */
	bed.fake.refuse_type = REQ_MAP;
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0 + 2, IOG_DOMAIN_PAGING, other.id), -IOG_ENOMEM);
	assert_true(reached(&bed, 2, 0x5000, true) == REFUSED && !fake_domain(&bed.fake, NUMBER(other.id)));
	/* And when the device is turned on. */
	assert_int_equal(iog_virtio_disable(bed.virtio), 0);
	bed.fake.refuse_type = REQ_MAP;
	assert_int_equal(iog_virtio_enable(bed.virtio), -IOG_ENOMEM);
	assert_int_equal(bed.fake.status, 0);
	assert_int_equal(iog_virtio_enable(bed.virtio), 0);
	assert_true(bed_agrees(&bed));
	bed_domain_end(&other);
	bed_destroy(&bed);
}

/* Requests that are not answered in time: nothing is believed, and what they have done is found out when they are. */
static void late(void **state)
{
	struct iog_virtio_stats stats;
	struct bed bed;

	(void)state;
	bed_create(&bed, &iog_vtdss_counted, 48, 0);
	assert_int_equal(bed_map(&bed, 0x5000, 0x9000, 4 * PAGE, RW), 0);
	/* Executed, not answered. */
	bed.fake.lose = 1;
	assert_int_equal(iog_pgtable_unmap(bed.pt, 0x5000, 2 * PAGE, bed.gather, NULL), 0);
	assert_int_equal(iog_gather_flush(bed.gather), -IOG_ETIMEDOUT);
	assert_int_equal(iog_gather_flush(bed.gather), -IOG_ETIMEDOUT);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, BED_ID, NULL), -IOG_ETIMEDOUT);
	/* Nothing of the domain is asked while it is not known what became of it. */
	fake_log_clear(&bed.fake);
	assert_int_equal(bed_map(&bed, 0x105000, 0x9000, PAGE, RW), -IOG_ETIMEDOUT);
	assert_int_equal(bed.fake.logged, 0);
	fake_answer_lost(&bed.fake);
	assert_int_equal(iog_gather_flush(bed.gather), 0);
	assert_true(bed_agrees(&bed));
	/* Not executed for long. */
	bed.fake.held = true;
	assert_int_equal(iog_pgtable_unmap(bed.pt, 0x7000, PAGE, bed.gather, NULL), 0);
	assert_int_equal(iog_gather_flush(bed.gather), -IOG_ETIMEDOUT);
	assert_int_equal(reached(&bed, 0, 0x7000, true), 0xb000);
	bed.fake.held = false;
	fake_run(&bed.fake);
	assert_int_equal(iog_gather_flush(bed.gather), 0);
	assert_true(bed_agrees(&bed));
	/* Mappings, some of which were refused, some answered and some not. */
	bed.fake.lose = 30;
	bed.fake.refuse_type = REQ_MAP;
	bed.fake.refuse_skip = 20;
	bed.fake.refuse_once = true;
	bed.fake.refuse_status = S_NOMEM;
	assert_int_equal(iog_pgtable_map(bed.pt, 0x205000, 0x309000, 100 * PAGE, RW, bed.gather), -IOG_ETIMEDOUT);
	fake_answer_lost(&bed.fake);
	assert_int_equal(iog_gather_flush(bed.gather), 0);
	assert_true(bed_agrees(&bed));
	/* More than the ring holds: what was not sent never is. */
	bed.fake.held = true;
	for (uint32_t n = 0; n < 5; n++) {
		bed.id = BED_ID;
		assert_int_equal(iog_pgtable_map(bed.pt, 0x405000, 0x309000, 100 * PAGE, RW, bed.gather), -IOG_ETIMEDOUT);
	}
	bed.fake.held = false;
	fake_log_clear(&bed.fake);
	fake_run(&bed.fake);
	assert_int_equal(bed.fake.logged, 64);
	assert_int_equal(iog_gather_flush(bed.gather), 0);
	assert_true(bed_agrees(&bed));
	/* An attachment. */
	bed.fake.lose = 1;
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_PAGING), -IOG_ETIMEDOUT);
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_PAGING), -IOG_ETIMEDOUT);
	fake_answer_lost(&bed.fake);
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_BLOCKED), 0);
	assert_int_equal(reached(&bed, 1, 0x8000, true), REFUSED);
	/* A domain with something on its way neither goes nor comes to be again. */
	bed.fake.lose = 1;
	assert_int_equal(iog_pgtable_map(bed.pt, 0x505000, 0x309000, PAGE, RW, bed.gather), -IOG_ETIMEDOUT);
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_BLOCKED), 0);
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_PAGING), -IOG_ETIMEDOUT);
	assert_int_equal(bed.unit->ops->domain_remove(bed.unit, BED_ID), -IOG_ETIMEDOUT);
	fake_answer_lost(&bed.fake);
	assert_int_equal(iog_gather_flush(bed.gather), 0);
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_PAGING), 0);
	assert_true(bed_agrees(&bed));
	iog_virtio_stats(bed.virtio, &stats);
	assert_true(stats.timeouts >= 12 && !stats.broken);
	/* If nothing helps, a reset does. */
	bed.fake.held = true;
	assert_int_equal(iog_pgtable_map(bed.pt, 0x605000, 0x309000, PAGE, RW, bed.gather), -IOG_ETIMEDOUT);
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_BLOCKED), -IOG_ETIMEDOUT);
	assert_int_equal(bed.unit->ops->domain_remove(bed.unit, BED_ID), -IOG_EBUSY);
	assert_int_equal(iog_virtio_disable(bed.virtio), 0);
	bed.fake.held = false;
	assert_int_equal(iog_virtio_enable(bed.virtio), 0);
	assert_int_equal(iog_gather_flush(bed.gather), 0);
	assert_true(bed_agrees(&bed));
	bed_destroy(&bed);
}

/* Answers that come after a request was given up, while somebody else looks at the ring. */
static struct {
	struct bed *bed, *other;
	uint64_t timeouts;
} crossing;

static uintptr_t cross(void *ctx)
{
	struct bed *bed = crossing.bed;
	struct iog_virtio_stats stats;

	(void)ctx;
	if (!bed)
		return 0;
	iog_virtio_stats(bed->virtio, &stats);
	if (stats.timeouts == crossing.timeouts)
		return 0;
	crossing.bed = NULL;
	fake_answer_lost(&bed->fake);
	assert_int_equal(crossing.other->unit->ops->invalidate(crossing.other->unit, crossing.other->id, NULL), 0);
	return 0;
}

static void cross_end(void *ctx, uintptr_t flags)
{
	(void)ctx;
	(void)flags;
}

/* What has become of requests that were given up is learnt when they are settled, whoever took their answers, and when. */
static void crossed(void **state)
{
	struct iog_virtio_config config;
	struct iog_virtio_stats stats;
	struct bed bed, other;

	(void)state;
	fake_init(&bed.fake);
	bed.fake.platform.irq_save = cross;
	bed.fake.platform.irq_restore = cross_end;
	config = fake_config(&bed.fake);
	config.request_entries = 8;
	assert_int_equal(iog_virtio_create(&config, &bed.virtio), 0);
	assert_int_equal(iog_virtio_enable(bed.virtio), 0);
	bed.unit = iog_virtio_unit(bed.virtio);
	bed_domain(&bed, BED_ID, &iog_vtdss_counted, 48, 0);
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_PAGING), 0);
	other = bed;
	bed_domain(&other, BED_ID + 1, &iog_vtdss_counted, 48, 0);
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0 + 1, IOG_DOMAIN_PAGING, other.id), 0);
	other.forgetful = bed.forgetful = true;
	assert_int_equal(iog_pgtable_map(other.pt, 0x5000, 0x77000, PAGE, RW, other.gather), 0);
	/* With a table each, which goes with what is not asked for any more. */
	for (uint32_t n = 0; n < 40; n++)
		assert_int_equal(bed_map(&bed, n * UINT64_C(0x200000), 0x9000, PAGE, RW), 0);
	other.forgetful = bed.forgetful = false;
	/* Four find room on the ring, of which the first is refused; none is answered in time. */
	bed.fake.lose = 4;
	bed.fake.refuse_type = REQ_MAP;
	bed.fake.refuse_once = true;
	bed.fake.refuse_status = S_NOMEM;
	iog_virtio_stats(bed.virtio, &stats);
	crossing.timeouts = stats.timeouts;
	crossing.other = &other;
	crossing.bed = &bed;
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, BED_ID, NULL), -IOG_ETIMEDOUT);
	assert_null(crossing.bed);
	assert_int_equal(bed.unit->ops->invalidate(bed.unit, BED_ID, NULL), 0);
	assert_true(bed_agrees(&bed));
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0 + 1, IOG_DOMAIN_BLOCKED, 0), 0);
	bed_domain_end(&other);
	bed_destroy(&bed);
}

/* An attachment that was given up, and is made after all: the device goes back to where it was before anything else is asked, and nobody finds it in a domain that it is not in. */
static void attached_late(void **state)
{
	struct bed bed, other;

	(void)state;
	bed_create(&bed, &iog_vtdss_counted, 48, 0);
	assert_int_equal(bed_map(&bed, 0x5000, 0x9000, 4 * PAGE, RW), 0);
	other = bed;
	bed_domain(&other, BED_ID + 1, &iog_vtdss_counted, 48, 0);
	assert_int_equal(iog_pgtable_map(other.pt, 0x5000, 0x77000, 4 * PAGE, RW, other.gather), 0);
	/* Its domain's only device: the domain ceases to be with it, and is told again. */
	bed.fake.lose = 1;
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0, IOG_DOMAIN_PAGING, other.id), -IOG_ETIMEDOUT);
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_PAGING), -IOG_ETIMEDOUT);
	fake_answer_lost(&bed.fake);
	assert_int_equal(bed_set(&bed, 0, IOG_DOMAIN_PAGING), 0);
	assert_int_equal(reached(&bed, 0, 0x5000, true), 0x9000);
	assert_true(bed_agrees(&bed));
	assert_null(fake_domain(&bed.fake, NUMBER(other.id)));
	/* One of two, and it does not go back at once. */
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_PAGING), 0);
	bed.fake.lose = 1;
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0, IOG_DOMAIN_PAGING, other.id), -IOG_ETIMEDOUT);
	fake_answer_lost(&bed.fake);
	bed.fake.refuse_type = REQ_ATTACH;
	bed.fake.refuse_once = true;
	bed.fake.refuse_status = S_NOMEM;
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0 + 2, IOG_DOMAIN_PAGING, other.id), -IOG_ENOMEM);
	assert_null(bed.fake.endpoints[2].domain);
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0 + 2, IOG_DOMAIN_PAGING, other.id), 0);
	assert_int_equal(reached(&bed, 0, 0x5000, true), 0x9000);
	assert_int_equal(reached(&bed, 2, 0x5000, true), 0x77000);
	assert_true(bed_agrees(&bed));
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0 + 2, IOG_DOMAIN_BLOCKED, 0), 0);
	assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_BLOCKED), 0);
	/* One that was attached to nothing, and is refused as it was: also by the domain that has the number next. */
	bed.fake.lose = 1;
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0 + 3, IOG_DOMAIN_PAGING, other.id), -IOG_ETIMEDOUT);
	fake_answer_lost(&bed.fake);
	bed_domain_end(&other);
	bed_domain(&other, BED_ID + 1, &iog_vtdss_counted, 48, 0);
	assert_int_equal(iog_pgtable_map(other.pt, 0x5000, 0x55000, PAGE, RW, other.gather), 0);
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0 + 2, IOG_DOMAIN_PAGING, other.id), 0);
	assert_int_equal(reached(&bed, 2, 0x5000, true), 0x55000);
	assert_int_equal(reached(&bed, 3, 0x5000, true), REFUSED);
	assert_int_equal(bed.unit->ops->device_set(bed.unit, FAKE_DEVICE_0 + 2, IOG_DOMAIN_BLOCKED, 0), 0);
	bed_domain_end(&other);
	bed_destroy(&bed);
}

/* A device that does with its rings what it cannot: everything fails until it is reset, and nothing beyond the rings is touched. */
static void lies(void **state)
{
	struct iog_virtio_stats stats;
	struct bed bed;

	(void)state;
	bed_create(&bed, &iog_vtdss_counted, 48, 0);
	assert_int_equal(bed_map(&bed, 0x5000, 0x9000, 4 * PAGE, RW), 0);
	for (uint32_t n = 0; n < 8; n++) {
		switch (n) {
		case 0:
			bed.fake.bad_id = 0xfffffffe;
			break;
		case 1:
			bed.fake.bad_id = 7; /* not the first of a chain */
			break;
		case 2:
			bed.fake.bad_id = 200; /* not on its way */
			break;
		case 3:
			bed.fake.bad_len = 3;
			break;
		case 4:
			bed.fake.bad_len = UINT32_MAX;
			break;
		case 5:
			bed.fake.bad_jump = 1; /* what was answered before, again */
			break;
		case 6:
			bed.fake.bad_jump = 0x8000;
			break;
		default:
			bed.fake.held = true;
			bed.fake.status |= STATUS_NEEDS_RESET;
			break;
		}
		assert_int_equal(iog_pgtable_unmap(bed.pt, 0x5000, PAGE, bed.gather, NULL), 0);
		assert_int_equal(iog_gather_flush(bed.gather), -IOG_EIO);
		bed.fake.bad_jump = 0;
		bed.fake.held = false;
		fake_log_clear(&bed.fake);
		assert_int_equal(iog_gather_flush(bed.gather), -IOG_EIO);
		assert_int_equal(bed_set(&bed, 1, IOG_DOMAIN_PAGING), -IOG_EIO);
		assert_true(!bed.fake.logged && !bed.fake.doorbells);
		iog_virtio_stats(bed.virtio, &stats);
		assert_int_equal(stats.broken, n + 1);
		assert_int_equal(iog_virtio_disable(bed.virtio), 0);
		assert_int_equal(iog_virtio_enable(bed.virtio), 0);
		assert_int_equal(iog_gather_flush(bed.gather), 0);
		assert_true(bed_agrees(&bed));
		assert_int_equal(bed_map(&bed, 0x5000, 0x9000, PAGE, RW), 0);
		assert_true(bed_agrees(&bed));
	}
	bed_destroy(&bed);
}

struct heard {
	uint32_t n;
	struct iog_fault last;
};

static void hear(void *ctx, struct iog_unit *unit, const struct iog_fault *fault)
{
	struct heard *heard = ctx;

	(void)unit;
	heard->n++;
	heard->last = *fault;
}

static void faults(void **state)
{
	struct iog_fault_counts counts;
	struct iog_virtio_config config;
	struct iog_virtio_stats stats;
	struct heard heard = { 0 };
	struct iog_virtio *virtio;
	struct fake fake;

	(void)state;
	fake_init(&fake);
	config = fake_config(&fake);
	config.event_entries = 8;
	config.faults = (struct iog_fault_config){ .fn = hear, .ctx = &heard, .per_device = 3, .total = 4, .interval_ms = 600000 };
	assert_int_equal(iog_virtio_create(&config, &virtio), 0);
	assert_int_equal(iog_virtio_interrupt(virtio), 0);
	assert_int_equal(iog_virtio_enable(virtio), 0);
	assert_int_equal(iog_virtio_interrupt(virtio), 0);

	assert_true(fake_event(&fake, FAULT_R_MAPPING, FAULT_F_WRITE | FAULT_F_ADDRESS, 0x12345, 0x123456789abc));
	assert_int_equal(iog_virtio_interrupt(virtio), 1);
	assert_true(heard.n == 1 && heard.last.device == 0x12345 && heard.last.iova == 0x123456789abc && heard.last.access == IOG_PROT_WRITE && heard.last.pasid == IOG_PASID_NONE);
	assert_true(heard.last.reason == IOG_FAULT_REASON_OTHER && heard.last.code == FAULT_R_MAPPING && heard.last.text);
	assert_true(fake_event(&fake, FAULT_R_MAPPING, FAULT_F_READ | FAULT_F_EXEC | FAULT_F_ADDRESS, 1, 0x5000));
	assert_true(fake_event(&fake, FAULT_R_DOMAIN, 0, 2, 0xdead));
	assert_int_equal(iog_virtio_interrupt(virtio), 2);
	assert_true(heard.n == 3 && heard.last.reason == IOG_FAULT_REASON_NO_DEVICE && heard.last.access == IOG_FAULT_NO_ADDRESS && !heard.last.iova);
	assert_true(fake_event(&fake, 77, FAULT_F_ADDRESS, 3, 0x5000));
	assert_int_equal(iog_virtio_interrupt(virtio), 1);
	assert_true(heard.last.reason == IOG_FAULT_REASON_OTHER && heard.last.code == 77 && heard.last.text);

	/* A flood: as many at once as there are buffers, which come back; and one device does not drown the others. */
	for (uint32_t round = 0; round < 5; round++) {
		for (uint32_t n = 0; n < 8; n++)
			assert_true(fake_event(&fake, FAULT_R_MAPPING, FAULT_F_ADDRESS, 9, n));
		assert_false(fake_event(&fake, FAULT_R_MAPPING, FAULT_F_ADDRESS, 9, 0));
		assert_int_equal(iog_virtio_interrupt(virtio), 8);
	}
	iog_virtio_device_faults(virtio, 9, &counts);
	assert_true(counts.seen == 40 && counts.told == 3 && counts.untold == 37);
	assert_true(fake_event(&fake, FAULT_R_MAPPING, FAULT_F_ADDRESS, 10, 0x77000));
	assert_int_equal(iog_virtio_interrupt(virtio), 1);
	assert_true(heard.last.device == 10 && heard.last.iova == 0x77000);
	iog_virtio_stats(virtio, &stats);
	assert_true(stats.faults.seen == 45 && !stats.broken);

	/* Lies: the queue is given up until a reset. */
	for (uint32_t n = 0; n < 3; n++) {
		fake.bad_id = n == 0 ? 8 : 0;
		fake.bad_len = n == 1 ? 25 : 0;
		fake.bad_jump = n == 2 ? 100 : 0;
		assert_true(fake_event(&fake, FAULT_R_MAPPING, FAULT_F_ADDRESS, 11, 0));
		fake.bad_jump = 0;
		assert_int_equal(iog_virtio_interrupt(virtio), 0);
		assert_int_equal(iog_virtio_interrupt(virtio), 0);
		iog_virtio_stats(virtio, &stats);
		assert_int_equal(stats.broken, n + 1);
		assert_int_equal(iog_virtio_disable(virtio), 0);
		assert_int_equal(iog_virtio_enable(virtio), 0);
		assert_true(fake_event(&fake, FAULT_R_MAPPING, FAULT_F_ADDRESS, 12, 0));
		assert_int_equal(iog_virtio_interrupt(virtio), 1);
	}
	fake_done(virtio);
	fake_fini(&fake);
}

static uint32_t property(uint8_t *at, uint16_t type, uint16_t length, uint8_t subtype, uint64_t first, uint64_t last)
{
	memset(at, 0, 4 + (size_t)length);
	memcpy(at, &type, 2);
	memcpy(at + 2, &length, 2);
	if (length < 20)
		return 4 + (uint32_t)length;
	at[4] = subtype;
	memcpy(at + 8, &first, 8);
	memcpy(at + 16, &last, 8);
	return 4 + (uint32_t)length;
}

struct regions {
	uint32_t n, stop;
	struct iog_found_reserved at[8];
};

static int region(void *ctx, const struct iog_found *found)
{
	struct regions *regions = ctx;

	assert_int_equal(found->kind, IOG_FOUND_RESERVED);
	assert_true(found->reserved.who.kind == IOG_DEVICES_STREAMS && found->reserved.who.first == FAKE_DEVICE_0);
	regions->at[regions->n++] = found->reserved;
	return regions->n == regions->stop ? 5 : 0;
}

static void probes(void **state)
{
	struct regions regions = { 0 };
	struct iog_virtio *virtio;
	struct fake fake;
	uint32_t at = 0;

	(void)state;
	fake_init(&fake);
	virtio = fake_driver(&fake);
	assert_int_equal(iog_virtio_reserved(virtio, FAKE_DEVICE_0, region, &regions), -IOG_EOPNOTSUPP);
	assert_int_equal(iog_virtio_enable(virtio), 0);
	assert_int_equal(iog_virtio_reserved(virtio, FAKE_DEVICE_0, region, &regions), 0);
	at += property(fake.properties + at, PROBE_T_RESV_MEM, 20, RESV_MEM_T_MSI, 0xfee00000, 0xfeefffff);
	at += property(fake.properties + at, 0x0ab, 5, 0, 0, 0); /* not known */
	at += property(fake.properties + at, 0xf000 | PROBE_T_RESV_MEM, 24, RESV_MEM_T_RESERVED, 0x8000000, 0x80fffff);
	fake.properties_bytes = at;
	assert_int_equal(iog_virtio_reserved(virtio, FAKE_DEVICE_0, region, &regions), 0);
	assert_int_equal(regions.n, 2);
	assert_true(regions.at[0].first == 0xfee00000 && regions.at[0].last == 0xfeefffff && regions.at[0].flags == (IOG_RESERVED_UNUSABLE | IOG_RESERVED_INTERRUPTS));
	assert_true(regions.at[1].first == 0x8000000 && regions.at[1].last == 0x80fffff && regions.at[1].flags == IOG_RESERVED_UNUSABLE);
	regions = (struct regions){ .stop = 1 };
	assert_int_equal(iog_virtio_reserved(virtio, FAKE_DEVICE_0, region, &regions), 5);
	assert_int_equal(iog_virtio_reserved(virtio, 0x999, region, &regions), -IOG_ENOENT);
	/* Malformed: nothing of it is told. */
	regions = (struct regions){ 0 };
	(void)property(fake.properties + at, PROBE_T_RESV_MEM, 19, 0, 0, 0);
	assert_int_equal(iog_virtio_reserved(virtio, FAKE_DEVICE_0, region, &regions), -IOG_EIO);
	fake.properties[at + 2] = fake.properties[at + 3] = 0xff;
	assert_int_equal(iog_virtio_reserved(virtio, FAKE_DEVICE_0, region, &regions), -IOG_EIO);
	assert_int_equal(regions.n, 0);
	/* Not answered in time: the place of the answer is the device's until it was. */
	memset(fake.properties, 0, sizeof(fake.properties));
	fake.held = true;
	assert_int_equal(iog_virtio_reserved(virtio, FAKE_DEVICE_0, region, &regions), -IOG_ETIMEDOUT);
	assert_int_equal(iog_virtio_reserved(virtio, FAKE_DEVICE_0, region, &regions), -IOG_ETIMEDOUT);
	fake.held = false;
	fake_run(&fake);
	assert_int_equal(iog_virtio_reserved(virtio, FAKE_DEVICE_0, region, &regions), 0);
	fake.refuse_type = REQ_PROBE;
	fake.refuse_status = S_DEVERR;
	assert_int_equal(iog_virtio_reserved(virtio, FAKE_DEVICE_0, region, &regions), -IOG_EIO);
	atomic_store(&fake.refuse_after, 0);
	assert_int_equal(iog_virtio_reserved(virtio, FAKE_DEVICE_0, region, &regions), -IOG_ENOMEM);
	atomic_store(&fake.refuse_after, -1);
	fake_done(virtio);
	fake_fini(&fake);
}

/* Configuration space, as bytes. */
static uint32_t space_read(void *ctx, uint32_t offset)
{
	uint32_t value;

	assert_true(offset <= 252 && !(offset & 3));
	memcpy(&value, (const uint8_t *)ctx + offset, 4);
	return value;
}

static void capability(uint8_t *space, uint8_t at, uint8_t next, uint8_t type, uint8_t bar, uint32_t offset, uint32_t length)
{
	const uint8_t head[] = { 0x09, next, type == CAP_NOTIFY ? 20 : 16, type, bar };

	memcpy(space + at, head, sizeof(head));
	memcpy(space + at + 8, &offset, 4);
	memcpy(space + at + 12, &length, 4);
	space[at + 16] = type == CAP_NOTIFY ? 4 : space[at + 16];
}

static void space_fill(uint8_t space[256])
{
	const uint8_t id[] = { 0xf4, 0x1a, 0x57, 0x10, 0, 0, 0x10, 0 };

	memset(space, 0, 256);
	memcpy(space, id, sizeof(id));
	space[0x34] = 0x84;
	capability(space, 0x84, 0x70, 5, 0, 0, 4); /* access through configuration space */
	capability(space, 0x70, 0x60, CAP_NOTIFY, 4, 0x3000, 0x1000);
	capability(space, 0x60, 0x50, CAP_DEVICE, 4, 0x2000, 0x1000);
	capability(space, 0x50, 0x40, CAP_ISR, 4, 0x1000, 0x1000);
	capability(space, 0x40, 0xa0, CAP_COMMON, 4, 0, 0x1000);
	capability(space, 0xa0, 0, CAP_COMMON, 2, 0x9000, 0x1000);
}

static void pci(void **state)
{
	struct iog_virtio_pci found;
	uint8_t space[256];

	(void)state;
	space_fill(space);
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), 0);
	assert_true(found.common.bar == 4 && found.common.offset == 0 && found.notify.offset == 0x3000 && found.isr.offset == 0x1000 && found.device.offset == 0x2000);
	assert_true(found.device.length == 0x1000 && found.notify_multiplier == 4);
	/* Another device, none at all, no list. */
	space[2] = 0x41;
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), -IOG_ENOENT);
	memset(space, 0xff, sizeof(space));
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), -IOG_ENOENT);
	space_fill(space);
	space[6] = 0;
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), -IOG_ENOENT);
	/* One is missing, too short, in no BAR, beyond 4 GiB; the notify structure too short for its multiplier. */
	space_fill(space);
	space[0x53] = 9;
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), -IOG_EINVAL);
	space_fill(space);
	capability(space, 0x60, 0x50, CAP_DEVICE, 4, 0x2000, 36);
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), -IOG_EINVAL);
	space_fill(space);
	space[0x44] = 6;
	space[0xa4] = 7;
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), -IOG_EINVAL);
	space_fill(space);
	capability(space, 0x60, 0x50, CAP_DEVICE, 4, 0xfffff000, 0x1001);
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), -IOG_EINVAL);
	space_fill(space);
	space[0x72] = 16;
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), -IOG_EINVAL);
	/* Lists that lead in a circle, or out of it. */
	space_fill(space);
	space[0x41] = 0x84;
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), 0);
	space_fill(space);
	space[0x51] = 0x50;
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), -IOG_EINVAL);
	space_fill(space);
	space[0x34] = 0xfc;
	space[0xfc] = 0x09;
	space[0xfd] = 0x84;
	space[0xfe] = 16;
	space[0xff] = CAP_COMMON;
	assert_int_equal(iog_virtio_pci_find(space_read, space, &found), 0);
	assert_int_equal(found.common.bar, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(creation), cmocka_unit_test(no_memory), cmocka_unit_test(order), cmocka_unit_test(refusals), cmocka_unit_test(taken_over), cmocka_unit_test(taken_over_bypass), cmocka_unit_test(memory_mapped),
		cmocka_unit_test(rings), cmocka_unit_test(moves), cmocka_unit_test(domains), cmocka_unit_test(moves_fail), cmocka_unit_test(late), cmocka_unit_test(crossed), cmocka_unit_test(attached_late), cmocka_unit_test(lies),
		cmocka_unit_test(faults), cmocka_unit_test(probes), cmocka_unit_test(pci),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

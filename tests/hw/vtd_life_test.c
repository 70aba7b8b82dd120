/* SPDX-License-Identifier: MIT */
/*
 * The life of a VT-d driver: what it refuses, units that were left on, units that do not do what they are told, memory that runs out.
 */
#include "vtd_fake.h"

static struct fake fake;

static int create(const struct iog_vtd_config *given, struct iog_vtd **vtd)
{
	struct iog_vtd_config config = *given;

	config.platform = &fake.platform;
	config.registers = FAKE_BASE;
	return iog_vtd_create(&config, vtd);
}

static void refused(void **state)
{
	struct iog_vtd *vtd = NULL;
	struct iog_vtd_config config;

	(void)state;
	fake_init(&fake, FAKE_CAP, FAKE_ECAP);
#define EXPECT(error, ...) assert_int_equal(create(&(struct iog_vtd_config){ __VA_ARGS__ }, &vtd), (error))
	EXPECT(-IOG_EINVAL, .flags = 4);
	EXPECT(-IOG_EINVAL, .flags = IOG_VTD_SCALABLE | IOG_VTD_NO_QUEUE);
	EXPECT(-IOG_EINVAL, .segment = 0x10000);
	EXPECT(-IOG_EINVAL, .oas = 31);
	EXPECT(-IOG_EINVAL, .queue_bytes = 2048);
	EXPECT(-IOG_EINVAL, .queue_bytes = 12288);
	EXPECT(-IOG_EINVAL, .commands_max = 65);
	EXPECT(-IOG_EINVAL, .timeout_ms = 3600001);
	EXPECT(-IOG_EOPNOTSUPP, .flags = IOG_VTD_SCALABLE);
	fake_set64(&fake, VTD_ECAP, (FAKE_ECAP_SCALABLE) & ~(VTD_ECAP_SSTS | VTD_ECAP_FSTS));
	EXPECT(-IOG_EOPNOTSUPP, .flags = IOG_VTD_SCALABLE);
	fake_set64(&fake, VTD_ECAP, FAKE_ECAP & ~VTD_ECAP_C);
	EXPECT(-IOG_EOPNOTSUPP, .flags = 0);
	fake_set64(&fake, VTD_ECAP, FAKE_ECAP);
	fake_set64(&fake, VTD_CAP, FAKE_CAP | 7);
	EXPECT(-IOG_EIO, .flags = 0);
	fake_set64(&fake, VTD_CAP, FAKE_CAP & ~UINT64_C(0x1f00));
	EXPECT(-IOG_EOPNOTSUPP, .flags = 0);
	fake_set64(&fake, VTD_CAP, FAKE_CAP);
	fake.gone = true;
	EXPECT(-IOG_EIO, .flags = 0);
	fake.gone = false;
	config = (struct iog_vtd_config){ 0 };
	assert_int_equal(iog_vtd_create(&config, &vtd), -IOG_EINVAL);
	fake.platform.now_ns = NULL;
	EXPECT(-IOG_EINVAL, .flags = 0);
	assert_null(vtd);
	assert_int_equal(iog_vtd_destroy(NULL), 0);
	fake_fini(&fake);
}

/* With some accessors and not the others. */
static void accessors(void **state)
{
	struct iog_vtd *vtd = NULL;

	(void)state;
	fake_init(&fake, FAKE_CAP, FAKE_ECAP);
	fake.platform.mmio_write64 = NULL;
	EXPECT(-IOG_EINVAL, .flags = 0);
	assert_null(vtd);
	fake_fini(&fake);
}

static void info(void **state)
{
	struct iog_vtd *vtd;
	struct iog_vtd_info is;

	(void)state;
	fake_init(&fake, FAKE_CAP | VTD_CAP_CM | VTD_CAP_FS1GP, FAKE_ECAP_SCALABLE);
	vtd = fake_driver(&fake, IOG_VTD_SCALABLE, NULL);
	iog_vtd_info(vtd, &is);
	assert_int_equal(is.version, 0x40);
	assert_int_equal(is.mgaw, 48);
	assert_int_equal(is.ias_allowed_second, 3);
	assert_int_equal(is.ias_allowed_first, 2);
	assert_int_equal(is.page_sizes_second, 0x201000);
	assert_int_equal(is.page_sizes_first, 0x40201000);
	assert_true(is.snoop_control && is.caching_mode && is.coherent && is.queue && !is.device_tlbs && !is.was_enabled);
	assert_int_equal(iog_vtd_unit(vtd)->ias, 48);
	fake_driver_end(vtd);
	vtd = fake_driver(&fake, IOG_VTD_NO_QUEUE, NULL);
	iog_vtd_info(vtd, &is);
	assert_true(!is.queue && !is.ias_allowed_first && !is.page_sizes_first);
	fake_driver_end(vtd);
	fake_fini(&fake);
}

static int no_flush(const struct iog_gather *gather, void *ctx)
{
	(void)gather;
	(void)ctx;
	return 0;
}

/* Where the unit cannot be told to snoop, no entry says so, whatever is asked for, and the domain must have been made for that. */
static void snoop_control(void **state)
{
	struct iog_tablemem *tablemem;
	struct iog_pgtable *pgtable;
	struct iog_gather gather;
	struct iog_leaf leaf;
	struct iog_vtd *vtd;

	(void)state;
	for (uint32_t has = 0; has < 2; has++) {
		fake_init(&fake, FAKE_CAP, has ? FAKE_ECAP : FAKE_ECAP & ~VTD_ECAP_SC);
		vtd = fake_driver(&fake, 0, NULL);
		assert_int_equal(iog_vtd_unit(vtd)->pgtable_flags, has ? 0 : IOG_PGTABLE_NO_SNOOP_CONTROL);
		assert_int_equal(iog_tablemem_create(&fake.platform, NULL, &tablemem), 0);
		assert_int_equal(iog_pgtable_create(&(struct iog_pgtable_config){ .ops = &iog_vtdss_counted, .tablemem = tablemem, .flags = iog_vtd_unit(vtd)->pgtable_flags }, &pgtable), 0);
		assert_int_equal(iog_gather_init(&gather, pgtable, 0, no_flush, NULL), 0);
		assert_int_equal(iog_pgtable_map(pgtable, 0x200000, 0x400000, 0x201000, IOG_PROT_READ | IOG_PROT_COHERENT, &gather), 0);
		for (uint32_t n = 0; n < 2; n++) {
			assert_int_equal(iog_pgtable_lookup(pgtable, 0, 0x200000 + n * 0x200000, &leaf), 0);
			assert_int_equal(leaf.page_size, n ? 0x1000 : 0x200000);
			assert_int_equal(leaf.prot, has ? IOG_PROT_READ | IOG_PROT_COHERENT : IOG_PROT_READ);
		}
		iog_pgtable_destroy(pgtable, 0);
		assert_int_equal(iog_tablemem_destroy(tablemem), 0);
		fake_driver_end(vtd);
		fake_fini(&fake);
	}
}

/* A previous owner: translation on, a queue, interrupts remapped, errors and faults that nobody has looked at, protected regions. */
static void left_on(void **state)
{
	uint8_t *queue;
	struct iog_vtd *vtd;
	struct iog_vtd_info is;

	(void)state;
	for (uint32_t mode = 0; mode < 4; mode++) {
		bool was_scalable = mode & 1, scalable = mode & 2;

		fake_init(&fake, FAKE_CAP | VTD_CAP_PLMR, FAKE_ECAP_SCALABLE);
		queue = fake.platform.pages_alloc(&fake, 4096);
		fake.status = VTD_TE | VTD_QIE | VTD_IRE | VTD_SRTP;
		fake_set64(&fake, VTD_RTADDR, 0x5000 | (was_scalable ? VTD_RTADDR_SCALABLE : 0));
		fake_set64(&fake, VTD_IQA, (uint64_t)(uintptr_t)queue - fake.platform.direct_map_offset);
		fake.head = 5;
		fake_set64(&fake, VTD_IQH, 5 << 4);
		fake_set64(&fake, VTD_IQT, 5 << 4);
		fake_set32(&fake, VTD_FSTS, VTD_FSTS_PFO | VTD_FSTS_ITE);
		fake_fault(&fake, 1, 0x1000, UINT64_C(2) << 32);
		fake_set32(&fake, VTD_PMEN, VTD_PMEN_EPM | VTD_PMEN_PRS);
		vtd = fake_driver(&fake, scalable ? IOG_VTD_SCALABLE : 0, &(struct iog_vtd_config){ .msi_address = 0x1fee00000, .msi_data = 0x30 });
		/* Never without translation, but where the mode changes. */
		assert_int_equal(fake.was_off, was_scalable != scalable);
		assert_int_equal(fake.root_sets, 1);
		assert_int_not_equal(fake.root & ~UINT64_C(0xfff), 0x5000);
		assert_int_equal(fake.status & (VTD_TE | VTD_QIE | VTD_IRE), VTD_TE | VTD_QIE);
		assert_int_equal(fake_get32(&fake, VTD_PMEN), 0);
		assert_int_equal(fake_get32(&fake, VTD_FSTS) & 0xff, 0);
		assert_int_equal(iog_vtd_interrupt(vtd), 0);
		assert_int_equal(fake_get32(&fake, VTD_FEDATA), 0x30);
		assert_int_equal(fake_get32(&fake, VTD_FEADDR), 0xfee00000);
		assert_int_equal(fake_get32(&fake, VTD_FEUADDR), 1);
		assert_int_equal(fake_get32(&fake, VTD_FECTL), 0);
		iog_vtd_info(vtd, &is);
		assert_true(is.was_enabled);
		assert_int_equal(iog_vtd_enable(vtd), 0);
		assert_int_equal(fake.root_sets, 1);
		/* As over a suspend, after which the unit knows nothing. */
		assert_int_equal(iog_vtd_disable(vtd), 0);
		assert_int_equal(fake.status & (VTD_TE | VTD_QIE), 0);
		fake.status = 0;
		assert_int_equal(iog_vtd_enable(vtd), 0);
		assert_int_equal(fake.status & (VTD_TE | VTD_QIE), VTD_TE | VTD_QIE);
		assert_int_equal(fake.root_sets, 2);
		fake_driver_end(vtd);
		assert_int_equal(fake_get32(&fake, VTD_FECTL), VTD_FECTL_IM);
		fake.platform.pages_free(&fake, queue, 4096);
		fake_fini(&fake);
	}
}

/* What hardware remembers of before goes first, all of it. */
static void first_commands(void **state)
{
	struct iog_vtd *vtd = NULL;

	(void)state;
	fake_init(&fake, FAKE_CAP, FAKE_ECAP_SCALABLE);
	EXPECT(0, .flags = IOG_VTD_SCALABLE);
	assert_int_equal(iog_vtd_enable(vtd), 0);
	assert_int_equal(fake.logged, 3);
	assert_int_equal(fake.log[0].words[0], VTD_CONTEXT | 1 << 4);
	assert_int_equal(fake.log[1].words[0], VTD_PASID | 3 << 4);
	assert_int_equal(fake.log[2].words[0], VTD_IOTLB_TYPE | 1 << 4 | VTD_IOTLB_DESC_DR | VTD_IOTLB_DESC_DW);
	fake_driver_end(vtd);
	fake_fini(&fake);
}

static void deaf(void **state)
{
	struct iog_vtd *vtd = NULL;

	(void)state;
	fake_init(&fake, FAKE_CAP, FAKE_ECAP);
	EXPECT(0, .timeout_ms = 10);
	fake.deaf = true;
	assert_int_equal(iog_vtd_enable(vtd), -IOG_ETIMEDOUT);
	fake.deaf = false;
	fake.stalled = true;
	assert_int_equal(iog_vtd_enable(vtd), -IOG_ETIMEDOUT);
	assert_int_equal(fake.status & VTD_TE, 0);
	assert_int_equal(iog_vtd_destroy(vtd), -IOG_EBUSY);
	fake.stalled = false;
	fake_run(&fake);
	/* What is half on is not taken for on. */
	assert_int_equal(iog_vtd_enable(vtd), 0);
	assert_int_equal(fake.status & VTD_TE, VTD_TE);
	assert_int_equal(iog_vtd_disable(vtd), 0);
	fake.gone = true;
	assert_int_equal(iog_vtd_enable(vtd), -IOG_EIO);
	fake.gone = false;
	assert_int_equal(iog_vtd_enable(vtd), 0);
	assert_int_equal(fake.status & VTD_TE, VTD_TE);
	fake.deaf = true;
	assert_int_equal(iog_vtd_disable(vtd), -IOG_ETIMEDOUT);
	fake.deaf = false;
	fake_driver_end(vtd);
	fake_fini(&fake);
}

/* The nth allocation fails, in whatever call: an error, and everything comes back. */
static void memory(void **state)
{
	struct iog_pgtable_root root = { .paddr = 0x20000, .format = "vtdss", .levels = 4, .ias = 48, .oas = 48 };
	uint32_t failures = 0;

	(void)state;
	for (uint32_t n = 1;; n++) {
		struct iog_vtd *vtd = NULL;
		struct iog_unit *unit;
		int error, set = 0;

		fake_init(&fake, FAKE_CAP, FAKE_ECAP_SCALABLE | VTD_ECAP_DT);
		fake.fail_in = n;
		error = create(&(struct iog_vtd_config){ .flags = n % 2 ? IOG_VTD_SCALABLE : 0 }, &vtd);
		if (!error) {
			unit = iog_vtd_unit(vtd);
			error = iog_vtd_device_ats(vtd, FAKE_DEVICE, 4);
			if (!error)
				error = unit->ops->domain_add(unit, 1, &root);
			if (!error) {
				set = unit->ops->device_set(unit, FAKE_DEVICE, IOG_DOMAIN_PAGING, 1);
				if (!set)
					set = unit->ops->device_set(unit, FAKE_DEVICE, IOG_DOMAIN_IDENTITY, 0);
				assert_int_equal(unit->ops->device_set(unit, FAKE_DEVICE, IOG_DOMAIN_BLOCKED, 0), 0);
				assert_int_equal(unit->ops->domain_remove(unit, 1), 0);
			}
			assert_int_equal(iog_vtd_destroy(vtd), 0);
		}
		error = error ? error : set;
		failures += error != 0;
		if (error)
			assert_int_equal(error, -IOG_ENOMEM);
		n = fake.fail_in && n > 20 ? UINT32_MAX : n;
		fake_fini(&fake);
		if (n == UINT32_MAX)
			break;
	}
	assert_true(failures >= 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused),
		cmocka_unit_test(accessors),
		cmocka_unit_test(info),
		cmocka_unit_test(snoop_control),
		cmocka_unit_test(left_on),
		cmocka_unit_test(first_commands),
		cmocka_unit_test(deaf),
		cmocka_unit_test(memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

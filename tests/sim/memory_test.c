/* SPDX-License-Identifier: MIT */
/*
 * The nth allocation fails, for every n: calls that can say so do, with nothing leaked; the judge, whose calls cannot, stops judging and says that it did,
 * and accuses nobody.
 *
 * The simulator is compiled into this file, so that its allocations can be made to fail.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long failing = -1; /* allocations until one fails; below 0, none does */

static void *test_calloc(size_t number, size_t size)
{
	return failing-- == 0 ? NULL : calloc(number, size);
}

static void *test_realloc(void *old, size_t size)
{
	return failing-- == 0 ? NULL : realloc(old, size);
}

static void *test_aligned_alloc(size_t alignment, size_t size)
{
	return failing-- == 0 ? NULL : aligned_alloc(alignment, size);
}

#define calloc test_calloc
#define realloc test_realloc
#define aligned_alloc test_aligned_alloc
#include "host/sim/ats.c"
#include "host/sim/cache.c"
#include "host/sim/device.c"
#include "host/sim/exposure.c"
#include "host/sim/faults.c"
#include "host/sim/history.c"
#include "host/sim/judge.c"
#include "host/sim/oracle.c"
#include "host/sim/pagemap.c"
#include "host/sim/queue.c"
#include "host/sim/shadow.c"
#include "host/sim/sim.c"
#include "host/sim/stats.c"
#include "host/sim/tables.c"
#include "host/sim/wait.c"
#include "host/sim/walk.c"
#undef calloc
#undef realloc
#undef aligned_alloc

#include "kit.h"

static void creation(void **state)
{
	struct iog_pgtable_root root = { KIT_PADDR_BASE, "vtdss", 4, 48, 52, 0, NULL };
	struct iog_platform platform = { 0 };
	struct iog_sim *sim = NULL;
	long n = 0;
	int error;

	(void)state;
	for (;; n++) {
		failing = n;
		error = iog_sim_create(&platform, NULL, &sim);
		if (!error)
			break;
		assert_int_equal(error, -IOG_ENOMEM);
		assert_null(sim);
	}
	/* The unit, six caches, the queue, the tables. */
	assert_int_equal(n, 9);

	for (n = 0;; n++) {
		struct iog_sim_domain *domain = NULL;

		failing = n;
		error = iog_sim_domain_create(sim, 1, &root, &domain);
		if (!error) {
			failing = -1;
			iog_sim_domain_destroy(domain);
			break;
		}
		assert_int_equal(error, -IOG_ENOMEM);
		assert_null(domain);
	}
	assert_int_equal(n, 2);
	iog_sim_destroy(sim);
}

/* Maps, unmaps and invalidates enough to make everything grow; the accesses are right. */
static void judged_work(struct kit *kit)
{
	for (uint64_t page = 0; page < 1024; page++) {
		kit_map(kit, page * 8192, page << 20, KIT_RW);
		iog_sim_note_map(kit->domain, page * 8192, page << 20, 4096, KIT_RW);
	}
	kit_lands(kit, 5 * 8192, KIT_RW, 5 << 20);
	for (uint64_t page = 0; page < 1024; page++) {
		iog_sim_note_unmap(kit->domain, page * 8192, 4096);
		kit_unmap(kit, page * 8192);
	}
	/* In the middle of each range that is left. */
	for (uint64_t page = 0; page < 1024; page += 3)
		kit_invalidate(kit, page * 8192, 4096, true);
	iog_sim_inval_domain(kit->domain);
	assert_int_equal(iog_sim_inval_wait(kit->sim), 0);
	kit_faults(kit, 5 * 8192, KIT_RW);
	kit_map(kit, 5 * 8192, 0, KIT_RW);
	iog_sim_note_map(kit->domain, 5 * 8192, 0, 4096, KIT_RW);
	kit_lands(kit, 5 * 8192, KIT_RW, 0);
}

static void judge(void **state)
{
	long n = 0;
	bool failed;

	(void)state;
	do {
		struct kit kit;

		failing = -1;
		kit_create(&kit, &kit_vtdss_48, NULL);
		failing = n++;
		judged_work(&kit);
		failed = failing < 0;
		failing = -1;
		assert_int_equal(kit_stats(&kit).violations_total, 0);
		/* Either a domain is judged, or its accesses are counted; tables that are not known are just not judged. */
		if (!failed)
			assert_int_equal(kit_stats(&kit).unjudged, 0);
		kit_destroy(&kit);
	} while (failed);
	/* The page map grows from 256 to 2048 slots, the pending ranges from 0 to 1024. */
	assert_in_range(n, 3 + 7, 3 + 7 + 3);
}

/* Blind in one domain is not blind in another. */
static void blind(void **state)
{
	struct iog_sim_domain *other;
	struct kit kit;

	(void)state;
	kit_create(&kit, &kit_vtdss_48, NULL);
	other = kit_domain(&kit, 2, kit_page(&kit));
	failing = 0;
	iog_sim_note_map(kit.domain, 0, 0x1000000, 4096 * 512, KIT_RW);
	assert_true(failing < 0);
	kit_faults(&kit, 0, KIT_RW);
	iog_sim_note_unmap(kit.domain, 0, 4096);
	iog_sim_note_map(kit.domain, 0, 0x1000000, 4096, KIT_RW);
	kit_faults(&kit, 0, KIT_RW);
	assert_int_equal(kit_stats(&kit).unjudged, 2);
	kit_no_violation(&kit);

	iog_sim_note_map(other, 0, 0x2000000, 4096, KIT_RW);
	assert_int_equal(iog_sim_translate(other, 0, KIT_RW, NULL), -IOG_EFAULT);
	kit_violation(&kit, IOG_SIM_LOST_ACCESS, "faulted");
	assert_int_equal(kit_stats(&kit).unjudged, 2);
	iog_sim_domain_destroy(other);
	kit_destroy(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(creation),
		cmocka_unit_test(judge),
		cmocka_unit_test(blind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Several lanes at once, each of which finds its commands taken when it returns; and what was lost with a queue. For tests that include a bed (unit_bed.h).
 */
#ifndef IOG_TESTS_HW_UNIT_LANES_H
#define IOG_TESTS_HW_UNIT_LANES_H

#define LANES 4
#define ROUNDS 400

struct lane {
	pthread_t thread;
	struct bed *bed;
	uint32_t number;
	uint32_t errors;
};

static inline void *submit(void *arg)
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
			found = lane->bed->model->log[i][1] == COMMAND_ADDRESS(address);
		pthread_mutex_unlock(&lane->bed->model->lock);
		lane->errors += error || !found;
	}
	free(gather);
	return NULL;
}

/* Over a small queue, and with a clock that does not run: waiting for long is no error here. */
static inline void lanes_run(struct bed *bed)
{
	struct lane lanes[LANES];

	bed->model->step = 0;
	for (uint32_t n = 0; n < LANES; n++) {
		lanes[n] = (struct lane){ .bed = bed, .number = n };
		assert_int_equal(pthread_create(&lanes[n].thread, NULL, submit, &lanes[n]), 0);
	}
	for (uint32_t n = 0; n < LANES; n++) {
		pthread_join(lanes[n].thread, NULL);
		assert_int_equal(lanes[n].errors, 0);
	}
	assert_int_equal(model_count(bed->model, FORGET_PAGE), LANES * ROUNDS);
	bed->model->step = 1000;
}

/* What was lost with the queue is submitted again where the caller is the driver: nobody is told that something has failed. */
static inline void test_lost(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (BED_CONFIG){ .timeout_ms = 50 });
	refuse(&bed, FORGET_ALL, STOP_RETRY, 4);
	bed_on(&bed);
	domain(&bed, ID, FIRST);
	domain(&bed, 6, SECOND);
	assert_int_equal(BED(device_ats)(bed.driver, DEVICE, true), 0);
	for (uint32_t id = ID; id <= 6; id++) {
		refuse(&bed, FORGET_ENTRY, STOP_RETRY, 4);
		assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, id), 0);
		assert_int_equal(bed.model->refuse_times, 0);
		refuse(&bed, FORGET_DEVICE, STOP_RETRY, 4);
		assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_BLOCKED, 0), 0);
		assert_int_equal(bed.model->refuse_times, 0);
	}
	refuse(&bed, FORGET_DOMAIN, STOP_RETRY, 4);
	no_domain(&bed, ID);
	assert_int_equal(bed.model->refuse_times, 0);
	no_domain(&bed, 6);
	bed_fini(&bed);
}

#endif

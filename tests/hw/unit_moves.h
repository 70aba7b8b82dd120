/* SPDX-License-Identifier: MIT */
/*
 * A device goes from each thing to each other, with hardware looking on; the unit or the device falls silent on the way; somebody blocks it. For tests that include a bed (unit_bed.h), and say of their entries:
 *
 *   same_view()      whether two are the same in all that hardware looks at
 *   hole_allowed()   where there may be a moment without access, if there may be one at all
 *   forgotten()      whether the unit was told to forget an entry
 */
#ifndef IOG_TESTS_HW_UNIT_MOVES_H
#define IOG_TESTS_HW_UNIT_MOVES_H

#include <sched.h>

/* Of each kind two, so that everything differs. */
enum { KIND_FIRST, KIND_FIRST_OTHER, KIND_SECOND, KIND_SECOND_OTHER, KIND_IDENTITY, KIND_BLOCKED, KINDS };

static bool same_view(const uint64_t *a, const uint64_t *b);
static bool hole_allowed(uint32_t from, uint32_t to);
static bool forgotten(const struct model *model);

/* Also in a small table. */
#define MOVED 0x18u

/* At each fence hardware has one view of the entry: it is the former or the new one. */
struct watch {
	uint64_t former[8], next[8];
	uint32_t views, wrong, refusals;
};

static inline void look(struct model *model)
{
	struct watch *watch = model->ctx;
	const uint64_t *entry = model_entry(model, MOVED);

	watch->views++;
	if (entry[0] == BLOCKED_WORD)
		watch->refusals++;
	else if (!same_view(entry, watch->former) && !same_view(entry, watch->next))
		watch->wrong++;
}

/* Whether there were holes. */
static inline bool replacements(BED_CONFIG config, uint32_t most_levels)
{
	static const uint32_t ids[] = { 11, 12, 13, 14, 0, 0 };
	static const enum iog_domain_type types[] = { IOG_DOMAIN_PAGING, IOG_DOMAIN_PAGING, IOG_DOMAIN_PAGING, IOG_DOMAIN_PAGING, IOG_DOMAIN_IDENTITY, IOG_DOMAIN_BLOCKED };
	const uint32_t device = MOVED, neighbour = MOVED + 1;
	uint64_t unchanged[8];
	bool holes = false;
	struct bed bed;

	bed_init(&bed, NULL, config);
	bed.model->most_levels = most_levels;
	bed_on(&bed);
	domain(&bed, 11, FIRST);
	domain(&bed, 12, FIRST_OTHER);
	domain(&bed, 13, SECOND);
	domain(&bed, 14, SECOND_OTHER);
	/* Nothing happens to it. */
	assert_int_equal(set(&bed, neighbour, IOG_DOMAIN_PAGING, 11), 0);
	memcpy(unchanged, model_entry(bed.model, neighbour), sizeof(unchanged));
	for (uint32_t from = 0; from < KINDS; from++)
		for (uint32_t to = 0; to < KINDS; to++) {
			struct watch watch = { .views = 0 };

			assert_int_equal(set(&bed, device, types[to], ids[to]), 0);
			memcpy(watch.next, model_entry(bed.model, device), sizeof(watch.next));
			assert_int_equal(set(&bed, device, types[from], ids[from]), 0);
			memcpy(watch.former, model_entry(bed.model, device), sizeof(watch.former));
			bed.model->ctx = &watch;
			bed.model->at_fence = look;
			model_forget(bed.model);
			assert_int_equal(set(&bed, device, types[to], ids[to]), 0);
			bed.model->at_fence = NULL;
			assert_memory_equal(model_entry(bed.model, device), watch.next, sizeof(watch.next));
			assert_int_equal(watch.wrong, 0);
			if (watch.refusals && from != KIND_BLOCKED && to != KIND_BLOCKED) {
				holes = true;
				assert_true(hole_allowed(from, to));
			}
			if (from != to)
				assert_true(watch.views && forgotten(bed.model));
			assert_memory_equal(model_entry(bed.model, neighbour), unchanged, sizeof(unchanged));
		}
	assert_int_equal(set(&bed, device, IOG_DOMAIN_BLOCKED, 0), 0);
	assert_int_equal(set(&bed, neighbour, IOG_DOMAIN_BLOCKED, 0), 0);
	for (uint32_t id = 11; id <= 14; id++)
		no_domain(&bed, id);
	bed_fini(&bed);
	return holes;
}

/* The unit does not answer on the way: an error, the entry is as before, and the copy that it may still read is kept until it is off. @reset: what its registers are like after that. */
static inline void replace_deaf(void (*reset)(struct model *model))
{
	struct bed bed;
	uint64_t before[8];

	bed_init(&bed, NULL, (BED_CONFIG){ .timeout_ms = 2 });
	bed_on(&bed);
	domain(&bed, 13, FIRST);
	domain(&bed, 14, SECOND_OTHER);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, 13), 0);
	memcpy(before, model_entry(bed.model, DEVICE), sizeof(before));
	bed.model->deaf = true;
	for (uint32_t n = 0; n < 20; n++) {
		assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, 14), -IOG_ETIMEDOUT);
		assert_memory_equal(model_entry(bed.model, DEVICE), before, sizeof(before));
	}
	bed.model->deaf = false;
	if (reset)
		reset(bed.model);
	assert_int_equal(BED(suspend)(bed.driver), 0);
	assert_int_equal(BED(resume)(bed.driver), 0);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, 14), 0);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_BLOCKED, 0), 0);
	no_domain(&bed, 13);
	no_domain(&bed, 14);
	bed_fini(&bed);
}

/* The device is silent while it is moved, and there is no memory to take that back in one step: it is refused, and not left where it does not belong. */
static inline void test_ats_no_memory(void **state)
{
	struct bed bed;

	(void)state;
	bed_init(&bed, NULL, (BED_CONFIG){ .device_timeout_ms = 5 });
	failing_begin(bed.model);
	bed_on(&bed);
	domain(&bed, 13, FIRST);
	domain(&bed, 14, SECOND_OTHER);
	assert_int_equal(BED(device_ats)(bed.driver, DEVICE, true), 0);
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, 13), 0);
	refuse(&bed, FORGET_DEVICE, STOP_REFUSED, 1);
	failing.left = 1;
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, 14), -IOG_EIO);
	assert_int_equal(model_entry(bed.model, DEVICE)[0], BLOCKED_WORD);
	failing.left = UINT32_MAX;
	assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_BLOCKED, 0), 0);
	no_domain(&bed, 13);
	no_domain(&bed, 14);
	bed_fini(&bed);
}

/* Blocked at any moment on the way to another domain: it stays so until it is set again. */
struct blocking {
	struct bed *bed;
	pthread_t thread;
	uint32_t at; /* the nth fence from now on */
	bool done;
};

static inline void *block(void *argument)
{
	struct bed *bed = argument;

	assert_int_equal(bed->unit->ops->device_block(bed->unit, DEVICE), 0);
	return NULL;
}

static inline void block_now(struct model *model)
{
	struct blocking *blocking = model->ctx;

	if (blocking->done || --blocking->at)
		return;
	blocking->done = true;
	assert_int_equal(pthread_create(&blocking->thread, NULL, block, blocking->bed), 0);
	/* Until it says so; that the unit forgets waits for this command. */
	while (__atomic_load_n(&model_entry(model, DEVICE)[0], __ATOMIC_RELAXED) != BLOCKED_WORD)
		sched_yield();
}

/* Whether it was blocked before the setting was over. */
static inline bool set_blocked(struct bed *bed, uint32_t id, uint32_t at, int expected)
{
	struct blocking blocking = { .bed = bed, .at = at };

	bed->model->ctx = &blocking;
	bed->model->at_fence = block_now;
	assert_int_equal(set(bed, DEVICE, IOG_DOMAIN_PAGING, id), expected);
	if (blocking.done) {
		pthread_join(blocking.thread, NULL);
		assert_int_equal(model_entry(bed->model, DEVICE)[0], BLOCKED_WORD);
	}
	bed->model->at_fence = NULL;
	return blocking.done;
}

static inline void test_block_meanwhile(void **state)
{
	bool more = true;

	(void)state;
	for (uint32_t at = 1; more; at++) {
		struct bed bed;

		bed_init(&bed, NULL, (BED_CONFIG){ 0 });
		bed_on(&bed);
		domain(&bed, 11, FIRST);
		domain(&bed, 12, SECOND_OTHER);
		more = false;
		/* A step that changes one word, one that changes a copy, and back. */
		for (uint32_t n = 0; n < 3; n++) {
			assert_int_equal(set(&bed, DEVICE, n == 2 ? IOG_DOMAIN_PAGING : IOG_DOMAIN_IDENTITY, n == 2 ? 12 : 0), 0);
			more |= set_blocked(&bed, n == 1 ? 12 : 11, at, 0);
			assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_PAGING, 12), 0);
			assert_int_not_equal(model_entry(bed.model, DEVICE)[0], BLOCKED_WORD);
		}
		/* And when the setting fails, and is taken back. */
		assert_int_equal(BED(device_ats)(bed.driver, DEVICE, true), 0);
		refuse(&bed, FORGET_DEVICE, STOP_REFUSED, 1);
		more |= set_blocked(&bed, 11, at, -IOG_EIO);
		assert_int_equal(set(&bed, DEVICE, IOG_DOMAIN_BLOCKED, 0), 0);
		no_domain(&bed, 11);
		no_domain(&bed, 12);
		bed_fini(&bed);
		assert_true(more || at > 1);
	}
}

#endif

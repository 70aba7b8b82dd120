/* SPDX-License-Identifier: MIT */
/*
 * Which entries of a table are taken: against a plain array of whose they are, in random order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hw/slots.h"
#include "seed.h"

#define COUNT_MAX 512

struct plain {
	uint64_t taken[COUNT_MAX / 64];
	struct slots slots;
	uint32_t runs[COUNT_MAX]; /* by the first; 0: none */
	bool whose[COUNT_MAX];
};

static bool plain_has_room(const struct plain *plain, uint32_t run)
{
	for (uint32_t at = 0; at < plain->slots.count; at += run) {
		uint32_t n = 0;

		while (n < run && !plain->whose[at + n])
			n++;
		if (n == run)
			return true;
	}
	return false;
}

static void take(struct plain *plain, uint32_t run)
{
	bool room = plain_has_room(plain, run);
	uint32_t index = UINT32_MAX;

	assert_int_equal(iog_slots_take(&plain->slots, run, &index), room);
	if (!room)
		return;
	assert_true(index + run <= plain->slots.count && index % run == 0);
	for (uint32_t n = 0; n < run; n++) {
		assert_false(plain->whose[index + n]);
		plain->whose[index + n] = true;
	}
	assert_true(iog_slots_taken(&plain->slots, index, run));
	plain->runs[index] = run;
}

static void give(struct plain *plain, uint32_t index)
{
	uint32_t run = plain->runs[index];

	if (!run)
		return;
	iog_slots_give(&plain->slots, index, run);
	plain->runs[index] = 0;
	for (uint32_t n = 0; n < run; n++)
		plain->whose[index + n] = false;
	assert_false(iog_slots_taken(&plain->slots, index, run));
}

static void random_order(void **state)
{
	uint64_t seed = kit_seed("slots");

	(void)state;
	for (uint32_t count = 1; count <= COUNT_MAX; count *= 2) {
		struct plain plain = { .slots = { .count = count } };

		plain.slots.taken = plain.taken;
		for (uint64_t n = 0; n < kit_scaled(20000); n++) {
			uint32_t run = 1u << kit_random(&seed) % 10, index = (uint32_t)kit_random(&seed) & (count - 1);

			if (run <= count && kit_random(&seed) % 2)
				take(&plain, run);
			else
				give(&plain, index);
			assert_int_equal(iog_slots_taken(&plain.slots, index, 1), plain.whose[index]);
		}
		for (uint32_t n = count; n < COUNT_MAX; n++)
			assert_false(plain.whose[n]);
		assert_true(count >= 64 || !(plain.taken[0] >> (count % 64)));
	}
}

/* What is given back is the last to be taken again. */
static void rests(void **state)
{
	struct plain plain = { .slots = { .count = 64 } };
	uint32_t first, index;

	(void)state;
	plain.slots.taken = plain.taken;
	assert_true(iog_slots_take(&plain.slots, 1, &first));
	iog_slots_give(&plain.slots, first, 1);
	for (uint32_t n = 0; n < 63; n++) {
		assert_true(iog_slots_take(&plain.slots, 1, &index));
		assert_int_not_equal(index, first);
	}
	assert_true(iog_slots_take(&plain.slots, 1, &index));
	assert_int_equal(index, first);
	assert_false(iog_slots_take(&plain.slots, 1, &index));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_order),
		cmocka_unit_test(rests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

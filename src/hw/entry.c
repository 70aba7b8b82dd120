/* SPDX-License-Identifier: MIT */
/*
 * See entry.h.
 */
#include "entry.h"

uint32_t iog_entry_at_once(const struct entry_kind *kind, const void *driver, const struct entry *from, const struct entry *to)
{
	uint32_t words = 0;

	for (uint32_t n = 0; n < kind->words; n++)
		if ((from->words[n] ^ to->words[n]) & kind->looked_at(driver, from, n) & kind->looked_at(driver, to, n))
			words |= 1u << n;
	return words;
}

int iog_entry_change(const struct entry_kind *kind, void *driver, uint32_t device, const struct entry *from, const struct entry *to)
{
	uint32_t at_once = iog_entry_at_once(kind, driver, from, to), before = 0, after = 0;
	struct entry between = *from;
	int error = 0;

	for (uint32_t n = 0; n < kind->words; n++) {
		uint64_t now = kind->looked_at(driver, from, n);

		if (at_once >> n & 1)
			continue;
		between.words[n] = (from->words[n] & now) | (to->words[n] & ~now);
		if (between.words[n] != from->words[n])
			before |= 1u << n;
		if (between.words[n] != to->words[n])
			after |= 1u << n;
	}
	if (before)
		error = kind->step(driver, device, &between, before);
	if (!error && at_once)
		error = kind->step(driver, device, to, at_once);
	if (!error && after)
		error = kind->step(driver, device, to, after);
	return error;
}

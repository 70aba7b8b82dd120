/* SPDX-License-Identifier: MIT */
/*
 * Formats and variants by name. Linking this file links them all.
 */
#include <stdbool.h>

#include "pgtable.h"

static const struct iog_pgtable_ops *const all[] = {
	&iog_vtdss_counted,  &iog_vtdss_counted_single,	 &iog_vtdss_rwlock,  &iog_vtdss_none,  &iog_vtdss_none_single,
	&iog_x86_64_counted, &iog_x86_64_counted_single, &iog_x86_64_rwlock, &iog_x86_64_none, &iog_x86_64_none_single,
};

static const char *const names[] = { "vtdss", "x86_64" };

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

const struct iog_pgtable_ops *iog_format_find(const char *name, enum iog_reclaim reclaim, uint32_t flags)
{
	bool single = flags & IOG_PGTABLE_SINGLE_WRITER;

	for (uint32_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i]->reclaim == reclaim && all[i]->single_writer == single && same(all[i]->format, name))
			return all[i];
	return NULL;
}

const char *iog_format_name(uint32_t index)
{
	return index < sizeof(names) / sizeof(names[0]) ? names[index] : NULL;
}

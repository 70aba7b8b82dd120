/* SPDX-License-Identifier: MIT */
/*
 * Formats and variants by name. Linking this file links them all; but for a build for a single purpose that has only the first ones (IOG_FORMATS_FEW).
 */
#include <stdbool.h>

#include "pgtable.h"

#define FORMAT(format) &iog_##format##_counted, &iog_##format##_counted_single, &iog_##format##_rwlock, &iog_##format##_none

static const struct iog_pgtable_ops *const all[] = {
	FORMAT(vtdss),
	FORMAT(x86_64),
#ifndef IOG_FORMATS_FEW
	FORMAT(amdv1),
	FORMAT(arm_s1_4k),
	FORMAT(arm_s1_16k),
	FORMAT(arm_s1_64k),
	FORMAT(arm_s1_4k_lpa2),
	FORMAT(arm_s1_16k_lpa2),
	FORMAT(arm_s2_4k),
	FORMAT(arm_s2_16k),
	FORMAT(arm_s2_64k),
	FORMAT(arm_s2_4k_lpa2),
	FORMAT(arm_s2_16k_lpa2),
	FORMAT(riscv),
	FORMAT(riscv_x4),
#endif
};

#define VARIANTS 4

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
	/* Nothing is counted with none, so that its writers need no read-modify-write in any case. */
	bool single = flags & IOG_PGTABLE_SINGLE_WRITER && reclaim != IOG_RECLAIM_NONE;

	for (uint32_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i]->reclaim == reclaim && all[i]->single_writer == single && same(all[i]->format, name))
			return all[i];
	return NULL;
}

const char *iog_format_name(uint32_t index)
{
	return index < sizeof(all) / sizeof(all[0]) / VARIANTS ? all[(size_t)index * VARIANTS]->format : NULL;
}

/* SPDX-License-Identifier: MIT */
/*
 * What a unit does in tests that only look at its invalidations: domains come and go, devices are set, and nothing has to be remembered of it.
 */
#ifndef IOG_TESTS_DMA_IDLE_UNIT_H
#define IOG_TESTS_DMA_IDLE_UNIT_H

#include <iogate/unit.h>

static inline int idle_unit_add(struct iog_unit *unit, uint32_t id, const struct iog_pgtable_root *root)
{
	(void)unit;
	(void)id;
	(void)root;
	return 0;
}

static inline int idle_unit_remove(struct iog_unit *unit, uint32_t id)
{
	(void)unit;
	(void)id;
	return 0;
}

static inline int idle_unit_set(struct iog_unit *unit, uint32_t device, enum iog_domain_type type, uint32_t id)
{
	(void)unit;
	(void)device;
	(void)type;
	(void)id;
	return 0;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * See counting_unit.h.
 */
#include "counting_unit.h"

#include <stdlib.h>

#include "memory.h"

#define DOMAIN_IDS 16

static int domain_add(struct iog_unit *unit, uint32_t id, const struct iog_pgtable_root *root)
{
	(void)unit;
	(void)id;
	(void)root;
	return 0;
}

static int domain_remove(struct iog_unit *unit, uint32_t id)
{
	(void)unit;
	(void)id;
	return 0;
}

static int device_set(struct iog_unit *unit, uint32_t device, enum iog_domain_type type, uint32_t id)
{
	(void)unit;
	(void)device;
	(void)type;
	(void)id;
	return 0;
}

static int invalidate(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather)
{
	struct counting_unit *counting = (struct counting_unit *)unit;
	struct counting_lane *lane;

	(void)id;
	if (!gather) {
		atomic_fetch_add_explicit(&counting->domain_flushes, 1, memory_order_relaxed);
		return 0;
	}
	lane = &counting->lanes[gather->lane];
	lane->commands += gather->everything || !gather->nr_ranges ? 1 : gather->nr_ranges;
	lane->walk_cache_flushes += gather->everything || gather->nr_tables || gather->walk_caches;
	return 0;
}

static const struct iog_unit_ops ops = {
	.domain_add = domain_add,
	.domain_remove = domain_remove,
	.device_set = device_set,
	.invalidate = invalidate,
};

int counting_unit_create(const struct iog_platform *platform, uint32_t lanes, struct counting_unit **unit)
{
	struct counting_unit *counting = memory_new_aligned(1, (sizeof(*counting) + 63) / 64 * 64);
	int ret;

	counting->platform = *platform;
	counting->platform.now_ns = NULL;
	counting->unit = (struct iog_unit){ .ops = &ops, .platform = &counting->platform, .ias = 64, .oas = 64, .domain_ids = DOMAIN_IDS };
	counting->lanes = memory_new_aligned(lanes, sizeof(*counting->lanes));
	counting->nr_lanes = lanes;
	ret = iog_unit_init(&counting->unit);
	if (ret) {
		free(counting->lanes);
		free(counting);
		return ret;
	}
	*unit = counting;
	return 0;
}

void counting_unit_destroy(struct counting_unit *unit)
{
	if (!unit)
		return;
	iog_unit_fini(&unit->unit);
	free(unit->lanes);
	free(unit);
}

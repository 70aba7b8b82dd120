/* SPDX-License-Identifier: MIT */
/*
 * Devices come and go. Between the two each is on its unit's list and on its group's, and where its group is.
 */
#include "attach.h"
#include "unit.h"

#define DMA_BITS_MIN 12
#define DEVICE_FLAGS ((uint32_t)(IOG_DEVICE_BYPASS | IOG_DEVICE_UNTRUSTED | IOG_DEVICE_NONCOHERENT | IOG_DEVICE_ATS | IOG_DEVICE_NO_REUSE))

static bool config_valid(const struct iog_device_config *config)
{
	return config && config->platform && config->platform->object_alloc && config->platform->object_free && config->unit &&
	       !(config->flags & ~DEVICE_FLAGS) && (!config->dma_bits || (config->dma_bits >= DMA_BITS_MIN && config->dma_bits <= 64)) &&
	       !(config->segment_boundary & (config->segment_boundary - 1));
}

/* Into the group, and where the group is; an empty one is nowhere. */
static int group_join(struct iog_group *group, struct iog_device *device)
{
	int error;

	wait_lock(&group->lock, group->platform);
	/* Blocked it is set in any case: nobody knows what hardware has of it from before. */
	error = iog_device_place(device, group->domain);
	if (!error) {
		device_point(device, group->domain);
		device->group = group;
		device->next = group->devices;
		group->devices = device;
	}
	wait_unlock(&group->lock);
	return error;
}

int iog_device_create(const struct iog_device_config *config, struct iog_device **result)
{
	const struct iog_platform *platform;
	struct iog_group *group, *own = NULL;
	struct iog_device *device;
	int error;

	if (!result || !config_valid(config))
		return -IOG_EINVAL;
	if (config->flags & IOG_DEVICE_ATS && !config->unit->ops->device_invalidate)
		return -IOG_EOPNOTSUPP;
	platform = config->platform;
	device = platform->object_alloc(platform->ctx, sizeof(*device));
	if (!device)
		return -IOG_ENOMEM;
	device->platform = platform;
	device->unit = config->unit;
	device->id = config->id;
	device->flags = config->flags;
	device->limit = config->dma_bits && config->dma_bits < 64 ? (UINT64_C(1) << config->dma_bits) - 1 : UINT64_MAX;
	device->segment_max = config->segment_max;
	device->segment_boundary = config->segment_boundary;

	group = config->group;
	if (!group) {
		error = iog_group_create(platform, &own);
		if (error)
			goto free_device;
		own->implicit = true;
		group = own;
	}
	error = iog_unit_device_add(device);
	if (error)
		goto free_group;
	error = group_join(group, device);
	if (error)
		goto remove;
	*result = device;
	return 0;

remove:
	iog_unit_device_remove(device);
free_group:
	(void)iog_group_destroy(own);
free_device:
	platform->object_free(platform->ctx, device, sizeof(*device));
	return error;
}

int iog_device_destroy(struct iog_device *device)
{
	struct iog_group *group;
	struct iog_device **link;
	int error;

	if (!device)
		return 0;
	group = device->group;
	wait_lock(&group->lock, group->platform);
	error = iog_device_place(device, NULL);
	if (!error) {
		for (link = &group->devices; *link != device; link = &(*link)->next)
			;
		*link = device->next;
		if (!group->devices)
			group->domain = NULL;
	}
	wait_unlock(&group->lock);
	if (error)
		return error;

	iog_unit_device_remove(device);
	if (group->implicit)
		(void)iog_group_destroy(group);
	device->platform->object_free(device->platform->ctx, device, sizeof(*device));
	return 0;
}

struct iog_domain *iog_device_domain(const struct iog_device *device)
{
	return atomic_load_explicit(&device->domain, memory_order_acquire);
}

bool iog_device_is_lost(const struct iog_device *device)
{
	/* Acquire: the lane that found out is seen asking; pairs with the release in device_lose() in flush.c. */
	return atomic_load_explicit(&device->lost, memory_order_acquire);
}

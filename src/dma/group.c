/* SPDX-License-Identifier: MIT */
/*
 * Isolation groups: devices that hardware cannot keep apart, and the domain that they share.
 */
#include "domain.h"

int iog_group_create(const struct iog_platform *platform, struct iog_group **result)
{
	struct iog_group *group;

	if (!platform || !platform->object_alloc || !platform->object_free || !result)
		return -IOG_EINVAL;
	group = platform->object_alloc(platform->ctx, sizeof(*group));
	if (!group)
		return -IOG_ENOMEM;
	group->platform = platform;
	wait_unlock(&group->lock);
	*result = group;
	return 0;
}

int iog_group_destroy(struct iog_group *group)
{
	bool busy;

	if (!group)
		return 0;
	wait_lock(&group->lock, group->platform);
	busy = group->devices;
	wait_unlock(&group->lock);
	if (busy)
		return -IOG_EBUSY;
	group->platform->object_free(group->platform->ctx, group, sizeof(*group));
	return 0;
}

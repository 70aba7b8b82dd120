/* SPDX-License-Identifier: MIT */
/*
 * A device that is being set while somebody else blocks it.
 *
 * Devices are set one at a time, in steps between which hardware is waited for; one that is found silent is blocked at any moment, and stays so until it is set anew. So whoever blocks leaves
 * a note for a setting that is under way, whose later steps leave the device blocked: as if it had been blocked after. Its caller finds that out as it would have then.
 *
 * Locking: all of it under the lock that the driver holds over stores to its tables.
 */
#ifndef IOG_HW_SETTING_H
#define IOG_HW_SETTING_H

#include <stdbool.h>
#include <stdint.h>

#include "../core/lock.h"

struct iog_setting {
	uint32_t device;
	bool under_way;
	bool blocked; /* meanwhile */
};

static inline void iog_setting_begin(struct iog_setting *setting, struct spinlock *lock, const struct iog_platform *platform, uint32_t device)
{
	uintptr_t flags = spin_lock(lock, platform);

	*setting = (struct iog_setting){ .device = device, .under_way = true };
	spin_unlock(lock, platform, flags);
}

static inline void iog_setting_end(struct iog_setting *setting, struct spinlock *lock, const struct iog_platform *platform)
{
	uintptr_t flags = spin_lock(lock, platform);

	*setting = (struct iog_setting){ .under_way = false };
	spin_unlock(lock, platform, flags);
}

/* Under the lock: it is being blocked. */
static inline void iog_setting_block(struct iog_setting *setting, uint32_t device)
{
	if (setting->under_way && setting->device == device)
		setting->blocked = true;
}

#endif

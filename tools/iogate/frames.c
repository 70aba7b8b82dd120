/* SPDX-License-Identifier: MIT */
/*
 * See frames.h.
 */
#include "frames.h"

#include "size.h"

static void hold(void *ctx, iog_paddr_t paddr, uint64_t size)
{
	frames_hold(ctx, paddr, size);
}

static void release(void *ctx, iog_paddr_t paddr, uint64_t size)
{
	frames_release(ctx, paddr, size);
}

const struct iog_hold_ops frames_hold_ops = { .hold = hold, .release = release };

void frames_init(struct frames *frames)
{
	frames->sim = NULL;
	pthread_mutex_init(&frames->mutex, NULL);
	users_init(&frames->users);
}

void frames_fini(struct frames *frames)
{
	pthread_mutex_destroy(&frames->mutex);
	users_fini(&frames->users);
}

void frames_hold(struct frames *frames, uint64_t paddr, uint64_t size)
{
	pthread_mutex_lock(&frames->mutex);
	for (uint64_t at = 0; at < size; at += SIZE_4K)
		users_change(&frames->users, (paddr + at) / SIZE_4K, true);
	pthread_mutex_unlock(&frames->mutex);
}

static void reuse(struct frames *frames, uint64_t paddr, uint64_t size)
{
	if (size && frames->sim)
		iog_sim_note_reuse(frames->sim, paddr, size);
}

void frames_release(struct frames *frames, uint64_t paddr, uint64_t size)
{
	uint64_t begin = 0;

	/* Under the lock: who takes a page as the next must not be told of before. */
	pthread_mutex_lock(&frames->mutex);
	for (uint64_t at = 0; at < size; at += SIZE_4K) {
		if (users_change(&frames->users, (paddr + at) / SIZE_4K, false))
			continue;
		reuse(frames, paddr + begin, at - begin);
		begin = at + SIZE_4K;
	}
	reuse(frames, paddr + begin, size - begin);
	pthread_mutex_unlock(&frames->mutex);
}

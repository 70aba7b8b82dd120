/* SPDX-License-Identifier: MIT */
/*
 * Memory that is mapped, as its owner sees it: a reference per mapping and page, and at once another owner for a page that has none left. The judge is told of that.
 *
 * Any number of threads.
 */
#ifndef IOGATE_TOOL_FRAMES_H
#define IOGATE_TOOL_FRAMES_H

#include <pthread.h>
#include <stdint.h>

#include <iogate/domain.h>
#include <iogate/host/sim.h>

#include "users.h"

struct frames {
	struct iog_sim *sim; /* set when it is there, before the first reference is given back */
	pthread_mutex_t mutex;
	struct users users;
};

/* For a domain: its @hold, with the struct frames as @hold_ctx. */
extern const struct iog_hold_ops frames_hold_ops;

void frames_init(struct frames *frames);
void frames_fini(struct frames *frames);

void frames_hold(struct frames *frames, uint64_t paddr, uint64_t size);
void frames_release(struct frames *frames, uint64_t paddr, uint64_t size);

#endif

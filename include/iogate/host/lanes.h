/* SPDX-License-Identifier: MIT */
/*
 * Lanes for the threads of a process: each thread gets a number of its own at its first call, and loses it when it ends.
 */
#ifndef IOGATE_HOST_LANES_H
#define IOGATE_HOST_LANES_H

#include <iogate/types.h>
#include <iogate/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iog_lanes;

/**
 * typedef iog_lane_leave_fn - a thread has ended: take back what its lane keeps (iog_domain_trim(), iog_tablemem_trim()).
 * @lane: its number, which nobody else has yet.
 * @ctx: from iog_lanes_create().
 *
 * Context: the thread that ends, or that called iog_lanes_put() or iog_lanes_destroy(); iog_lanes_get() still says @lane there.
 */
typedef void iog_lane_leave_fn(iog_lane_t lane, void *ctx);

/**
 * iog_lanes_create() - a set of lanes.
 * @count: how many, 1 to 4096: as in the objects that they are used with.
 * @leave: called in the thread that gives its lane back. May be NULL.
 * @ctx: handed to @leave.
 * @lanes: result; unchanged on error.
 *
 * Context: any thread.
 * Return: 0; -IOG_EINVAL for a bad @count; -IOG_ENOMEM; -IOG_EAGAIN when the process has no thread-specific key left.
 */
IOG_API int iog_lanes_create(uint32_t count, iog_lane_leave_fn *leave, void *ctx, struct iog_lanes **lanes);

/**
 * iog_lanes_destroy() - free it.
 * @lanes: no other thread may hold a lane of it; the caller's own is given back first. NULL is allowed.
 *
 * Context: any thread.
 */
IOG_API void iog_lanes_destroy(struct iog_lanes *lanes);

/**
 * iog_lanes_get() - the calling thread's lane.
 * @lanes: the set.
 * @lane: result: the lowest number that is free, and the same at every call of this thread, until it ends or calls iog_lanes_put().
 *
 * Context: any thread, not a signal handler: that needs a lane of its own.
 * Return: 0; -IOG_EAGAIN when every lane is taken; -IOG_ENOMEM.
 */
IOG_API int iog_lanes_get(struct iog_lanes *lanes, iog_lane_t *lane);

/**
 * iog_lanes_put() - give the calling thread's lane back before it ends.
 * @lanes: the set. Nothing happens when the thread has none.
 *
 * Context: as iog_lanes_get().
 */
IOG_API void iog_lanes_put(struct iog_lanes *lanes);

#ifdef __cplusplus
}
#endif

#endif

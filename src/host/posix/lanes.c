/* SPDX-License-Identifier: MIT */
/*
 * Lanes for threads: a bit per number, and a thread-specific key whose destructor gives the number back.
 *
 * Locking: a mutex over the bits. A number is free again only after the leave callback has returned, and the mutex orders what its next owner does after that.
 */
#include <pthread.h>
#include <stdlib.h>

#include <iogate/error.h>
#include <iogate/host/lanes.h>

#define LANES_MAX 4096

struct iog_lanes {
	pthread_key_t key; /* its value: the thread's struct holder */
	pthread_mutex_t lock;
	uint32_t count;
	iog_lane_leave_fn *leave;
	void *ctx;
	uint64_t taken[LANES_MAX / 64]; /* under lock */
};

struct holder {
	struct iog_lanes *lanes;
	iog_lane_t lane;
};

/* The lowest free number, so that few threads use few lanes. */
static int lane_take(struct iog_lanes *lanes, iog_lane_t *lane)
{
	int error = -IOG_EAGAIN;

	pthread_mutex_lock(&lanes->lock);
	for (uint32_t n = 0; n < lanes->count; n++) {
		if (lanes->taken[n / 64] >> n % 64 & 1)
			continue;
		lanes->taken[n / 64] |= UINT64_C(1) << n % 64;
		*lane = n;
		error = 0;
		break;
	}
	pthread_mutex_unlock(&lanes->lock);
	return error;
}

static void lane_free(struct iog_lanes *lanes, iog_lane_t lane)
{
	pthread_mutex_lock(&lanes->lock);
	lanes->taken[lane / 64] &= ~(UINT64_C(1) << lane % 64);
	pthread_mutex_unlock(&lanes->lock);
}

/* In the thread that ends, or gives its lane back. */
static void holder_leave(struct holder *holder)
{
	struct iog_lanes *lanes = holder->lanes;

	/* A thread that ends has lost the value already; the callback may ask for its lane, and must not get another. */
	(void)pthread_setspecific(lanes->key, holder);
	if (lanes->leave)
		lanes->leave(holder->lane, lanes->ctx);
	(void)pthread_setspecific(lanes->key, NULL);
	lane_free(lanes, holder->lane);
	free(holder);
}

static void thread_ends(void *value)
{
	holder_leave(value);
}

int iog_lanes_create(uint32_t count, iog_lane_leave_fn *leave, void *ctx, struct iog_lanes **result)
{
	struct iog_lanes *lanes;
	int error;

	if (!count || count > LANES_MAX || !result)
		return -IOG_EINVAL;
	lanes = calloc(1, sizeof(*lanes));
	if (!lanes)
		return -IOG_ENOMEM;
	lanes->count = count;
	lanes->leave = leave;
	lanes->ctx = ctx;
	error = pthread_mutex_init(&lanes->lock, NULL) ? -IOG_ENOMEM : 0;
	if (error)
		goto free_lanes;
	error = pthread_key_create(&lanes->key, thread_ends) ? -IOG_EAGAIN : 0;
	if (error)
		goto destroy_lock;
	*result = lanes;
	return 0;

destroy_lock:
	pthread_mutex_destroy(&lanes->lock);
free_lanes:
	free(lanes);
	return error;
}

void iog_lanes_destroy(struct iog_lanes *lanes)
{
	if (!lanes)
		return;
	iog_lanes_put(lanes);
	pthread_key_delete(lanes->key);
	pthread_mutex_destroy(&lanes->lock);
	free(lanes);
}

int iog_lanes_get(struct iog_lanes *lanes, iog_lane_t *lane)
{
	struct holder *holder = pthread_getspecific(lanes->key);
	int error;

	if (holder) {
		*lane = holder->lane;
		return 0;
	}
	holder = malloc(sizeof(*holder));
	if (!holder)
		return -IOG_ENOMEM;
	holder->lanes = lanes;
	error = lane_take(lanes, &holder->lane);
	if (error) {
		free(holder);
		return error;
	}
	if (pthread_setspecific(lanes->key, holder)) {
		lane_free(lanes, holder->lane);
		free(holder);
		return -IOG_ENOMEM;
	}
	*lane = holder->lane;
	return 0;
}

void iog_lanes_put(struct iog_lanes *lanes)
{
	struct holder *holder = pthread_getspecific(lanes->key);

	if (holder)
		holder_leave(holder);
}

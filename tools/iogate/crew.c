/* SPDX-License-Identifier: MIT */
/*
 * See crew.h. Threads wait at a condition until all are there, so that starting them is no part of what is measured.
 */
#include "crew.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <iogate/error.h>

#include "clock.h"
#include "memory.h"

struct crew {
	crew_fn *work;
	void *ctx;
	uint32_t cpus;
	pthread_mutex_t mutex; /* of what follows */
	pthread_cond_t changed;
	uint32_t waiting;
	enum { WAIT, GO, GO_HOME } order;
	uint64_t end_ns;
	int error;
};

struct hand {
	struct crew *crew;
	uint32_t index;
	pthread_t thread;
};

uint32_t crew_cpus(void)
{
	cpu_set_t allowed;
	int count;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return 1;
	count = CPU_COUNT(&allowed);
	return count > 0 ? (uint32_t)count : 1;
}

/* To the @index'th CPU of the first @cpus, in turn. A machine that does not let us is measured as it is. */
static void settle(uint32_t index, uint32_t cpus)
{
	cpu_set_t allowed, own;
	uint32_t skip = index % cpus;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed) || skip--)
			continue;
		CPU_ZERO(&own);
		CPU_SET(cpu, &own);
		sched_setaffinity(0, sizeof(own), &own);
		return;
	}
}

static void *run(void *ctx)
{
	struct hand *hand = ctx;
	struct crew *crew = hand->crew;
	uint64_t now;
	bool go;
	int ret;

	settle(hand->index, crew->cpus);
	pthread_mutex_lock(&crew->mutex);
	crew->waiting++;
	pthread_cond_broadcast(&crew->changed);
	while (crew->order == WAIT)
		pthread_cond_wait(&crew->changed, &crew->mutex);
	go = crew->order == GO;
	pthread_mutex_unlock(&crew->mutex);
	if (!go)
		return NULL;

	ret = crew->work(crew->ctx, hand->index);
	now = clock_ns();
	pthread_mutex_lock(&crew->mutex);
	if (ret && !crew->error)
		crew->error = ret;
	if (now > crew->end_ns)
		crew->end_ns = now;
	pthread_mutex_unlock(&crew->mutex);
	return NULL;
}

int crew_run(uint32_t count, uint32_t cpus, crew_fn *work, void *ctx, uint64_t *ns, struct problem *problem)
{
	struct crew crew = { .work = work, .ctx = ctx, .cpus = cpus && cpus < crew_cpus() ? cpus : crew_cpus() };
	struct hand *hands = memory_new(count, sizeof(*hands));
	uint64_t begin_ns;
	uint32_t started;
	int ret = 0;

	pthread_mutex_init(&crew.mutex, NULL);
	pthread_cond_init(&crew.changed, NULL);
	for (started = 0; started < count && !ret; started += !ret) {
		hands[started].crew = &crew;
		hands[started].index = started;
		ret = pthread_create(&hands[started].thread, NULL, run, &hands[started]);
	}
	pthread_mutex_lock(&crew.mutex);
	while (crew.waiting < started)
		pthread_cond_wait(&crew.changed, &crew.mutex);
	crew.order = ret ? GO_HOME : GO;
	begin_ns = clock_ns();
	pthread_cond_broadcast(&crew.changed);
	pthread_mutex_unlock(&crew.mutex);
	for (uint32_t i = 0; i < started; i++)
		pthread_join(hands[i].thread, NULL);
	if (ret) {
		problem_set(problem, "thread %" PRIu32 " of %" PRIu32 " could not be started: %s", started + 1, count, strerror(ret));
		crew.error = -IOG_EAGAIN;
	}
	if (ns)
		*ns = crew.end_ns - begin_ns;
	pthread_cond_destroy(&crew.changed);
	pthread_mutex_destroy(&crew.mutex);
	free(hands);
	return crew.error;
}

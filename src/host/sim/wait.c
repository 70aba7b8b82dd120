/* SPDX-License-Identifier: MIT */
/*
 * Waits: who waits for hardware how long, who shares a wait with whom, and what happens when hardware does not answer. See queue.h.
 *
 * No caller depends on another being scheduled: whoever looks at a wait after it is due ends it, and whoever then still needs one begins it.
 */
#include <time.h>

#include "internal.h"

/* Longer than this is left to other threads; shorter is looked at all the time. */
#define SPIN_NS 5000
/* How often a wait that will not complete lets the others run that wait here, too, before its deadline is taken to have come. */
#define STALL_YIELDS 8

/* What running a wait has to give when hardware aborted it: submit again. */
#define ABORTED (-IOG_EAGAIN)

uint64_t iog_sim_now(struct iog_sim *sim)
{
	/* Relaxed: a clock; who has waited for something has taken the lock since. */
	uint64_t skew = atomic_load_explicit(&sim->queue.skew, memory_order_relaxed);
	struct timespec now;

	if (sim->now_ns)
		return sim->now_ns(sim->clock_ctx) + skew;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec + skew;
}

void iog_sim_skip_ns(struct iog_sim *sim, uint64_t ns)
{
	atomic_fetch_add_explicit(&sim->queue.skew, ns, memory_order_relaxed);
}

/* splitmix64 */
uint64_t iog_sim_random(struct iog_sim *sim)
{
	uint64_t z = sim->queue.random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void iog_sim_waiter_enter(struct iog_sim *sim, struct waiter *waiter)
{
	struct queue *queue = &sim->queue;

	*waiter = (struct waiter){ .next = queue->waiters };
	queue->waiters = waiter;
	if (!queue->thread)
		queue->thread = iog_sim_thread();
	queue->threads |= queue->thread != iog_sim_thread();
}

void iog_sim_waiter_leave(struct iog_sim *sim, struct waiter *waiter)
{
	struct waiter **link = &sim->queue.waiters;

	while (*link != waiter)
		link = &(*link)->next;
	*link = waiter->next;
}

/* The running wait has ended, one way or the other. */
static void wait_end(struct queue *queue)
{
	queue->running = false;
	/* Relaxed: a hint to those who spin; what they go by they read under the lock. */
	atomic_store_explicit(&queue->done, queue->waits_begun, memory_order_relaxed);
}

static uint64_t waits_done(const struct queue *queue)
{
	return queue->waits_begun - queue->running;
}

void iog_sim_queue_recover(struct iog_sim *sim, int error)
{
	struct queue *queue = &sim->queue;

	for (struct waiter *waiter = queue->waiters; waiter; waiter = waiter->next) {
		bool lost = waiter->needs ? waiter->needs > waits_done(queue) : waiter->last > queue->executed;

		if (lost && !waiter->outcome)
			waiter->outcome = error;
	}
	if (queue->raw_last > queue->executed)
		queue->raw_outcome = error == ABORTED ? -IOG_EIO : error;
	iog_sim_queue_discard(sim);
	queue->busy_until = 0;
	if (error == ABORTED)
		sim->stats.queue_aborts++;
	else
		sim->stats.timeouts++;
	if (queue->running)
		wait_end(queue);
}

static void wait_begin(struct iog_sim *sim)
{
	struct queue *queue = &sim->queue;
	uint64_t now = iog_sim_now(sim);
	uint64_t start = queue->busy_until > now ? queue->busy_until : now;
	uint64_t cost = sim->costs.wait_ns;

	if (sim->costs.wait_jitter_ns)
		cost += iog_sim_random(sim) % ((uint64_t)sim->costs.wait_jitter_ns + 1);
	queue->fate = WAIT_COMPLETES;
	if (iog_sim_fault_strikes(sim, IOG_SIM_FAULT_STALL))
		queue->fate = WAIT_STALLS;
	else if (iog_sim_fault_strikes(sim, IOG_SIM_FAULT_LOST_COMPLETION))
		queue->fate = WAIT_IS_LOST;
	else if (iog_sim_fault_strikes(sim, IOG_SIM_FAULT_QUEUE_ERROR))
		queue->fate = WAIT_ABORTS;
	queue->spurious = iog_sim_fault_strikes(sim, IOG_SIM_FAULT_SPURIOUS_COMPLETION);

	queue->due = start + cost;
	if (queue->fate == WAIT_STALLS || queue->fate == WAIT_IS_LOST || queue->due - now > sim->costs.deadline_ns) {
		if (queue->fate == WAIT_COMPLETES)
			queue->fate = WAIT_STALLS;
		queue->due = now + sim->costs.deadline_ns;
	} else if (queue->fate == WAIT_ABORTS) {
		queue->due = now;
	}
	queue->busy_until = queue->due;
	queue->covers = queue->submitted;
	queue->running = true;
	queue->waits_begun++;
	sim->stats.wait_commands++;
}

/* The wait is due: what hardware does. Returns the number of the wait whose completion it posts, or 0 for none. */
static uint64_t hardware_answers(struct iog_sim *sim)
{
	struct queue *queue = &sim->queue;

	if (queue->spurious) {
		queue->spurious = false;
		return queue->waits_begun ^ UINT64_C(1) << 63;
	}
	if (queue->fate == WAIT_COMPLETES || queue->fate == WAIT_IS_LOST)
		iog_sim_queue_execute(sim, queue->covers, queue->fate == WAIT_COMPLETES);
	return queue->fate == WAIT_COMPLETES ? queue->waits_begun : 0;
}

/* What the driver does when something was posted, or when it has waited long enough. */
static void wait_look(struct iog_sim *sim)
{
	struct queue *queue = &sim->queue;
	uint64_t posted = hardware_answers(sim);

	if (posted && posted != queue->waits_begun) {
		/* Nobody's: goes on waiting for its own. */
		sim->stats.spurious_completions++;
		return;
	}
	if (posted)
		wait_end(queue);
	else
		iog_sim_queue_recover(sim, queue->fate == WAIT_ABORTS ? ABORTED : -IOG_ETIMEDOUT);
}

/* @others: there are, whom this lets run. On a busy machine each time is long. */
static void pass_time(struct iog_sim *sim, uint64_t due, uint64_t number, bool others)
{
	while (atomic_load_explicit(&sim->queue.done, memory_order_relaxed) < number) {
		uint64_t now = iog_sim_now(sim);

		if (now >= due)
			return;
		if (others && due - now > SPIN_NS)
			sched_yield();
#if defined(__x86_64__) || defined(__i386__)
		else
			__builtin_ia32_pause();
#endif
	}
}

/* Until the running wait has ended, or something was posted. */
static void wait_settle(struct iog_sim *sim)
{
	struct queue *queue = &sim->queue;
	uint64_t number = queue->waits_begun;
	bool hopeless = queue->fate == WAIT_STALLS || queue->fate == WAIT_IS_LOST;
	bool others = queue->threads;
	uint64_t due = queue->due, now;

	if (!queue->spurious) {
		sim_unlock(sim);
		for (uint32_t n = 0; hopeless && others && n < STALL_YIELDS; n++)
			sched_yield();
		if (!hopeless)
			pass_time(sim, due, number, others);
		sim_lock(sim);
	}
	if (!queue->running || queue->waits_begun != number)
		return;
	now = iog_sim_now(sim);
	if (hopeless && !queue->spurious && now < due)
		iog_sim_skip_ns(sim, due - now);
	wait_look(sim);
}

static int wait_long(struct iog_sim *sim, struct waiter *waiter)
{
	struct queue *queue = &sim->queue;
	bool begun = false;

	/* The first one that begins from now on; or if none is shared, the one that this caller will begin. */
	waiter->needs = queue->shared ? queue->waits_begun + 1 : UINT64_MAX;
	while (!waiter->outcome && waits_done(queue) < waiter->needs) {
		if (!queue->running && !begun) {
			wait_begin(sim);
			waiter->needs = queue->waits_begun;
			begun = true;
		} else {
			wait_settle(sim);
		}
	}
	if (!waiter->outcome && !begun)
		sim->stats.shared_waits++;
	return waiter->outcome;
}

int iog_sim_wait(struct iog_sim *sim, struct waiter *waiter)
{
	int error = 0;

	if (sim->queue.modelled) {
		error = wait_long(sim, waiter);
	} else {
		sim->stats.wait_commands++;
		iog_sim_queue_drain(sim);
	}
	if (!error && waiter->silent) {
		/* The queue has done its part; the device has said nothing. */
		iog_sim_skip_ns(sim, sim->costs.device_deadline_ns);
		sim->stats.device_timeouts++;
		error = -IOG_ETIMEDOUT;
	}
	return error;
}

void iog_sim_wait_room(struct iog_sim *sim)
{
	struct queue *queue = &sim->queue;
	uint64_t number = queue->submitted, due = queue->busy_until;
	bool others = queue->threads;

	if (queue->running) {
		wait_settle(sim);
		return;
	}
	sim_unlock(sim);
	pass_time(sim, due, UINT64_MAX, others);
	sim_lock(sim);
	if (!queue->running && number > queue->executed)
		iog_sim_queue_execute(sim, number, true);
}

void iog_sim_wait_idle(struct iog_sim *sim)
{
	while (sim->queue.running)
		wait_settle(sim);
	iog_sim_queue_drain(sim);
}

/* SPDX-License-Identifier: MIT */
/*
 * The command buffer (AMD IOMMU 2.4), used by any number of lanes at once.
 *
 * A lane writes its commands under the lock, and knows by the position after them what it waits for. At most one COMPLETION_WAIT is in flight. A lane that finds none adds its own; one that finds another's
 * before its commands lets the first who sees that completed add the next, which serves all that came meanwhile. Nobody depends on another lane being scheduled: whoever looks first
 * does what is due for all.
 *
 * Hardware's head register is read only when the buffer looks full. A wait that is not answered in time is given up, and the next lane adds another, with a higher number: an answer that
 * comes late is to nobody. A command that hardware does not understand, or cannot read, stops it (2.4.10); the buffer is then emptied and set going again, and everybody who waits submits again.
 */
#include "amdvi.h"

/* Looks at the answer between looks at the status register. */
#define LOOKS 512
/* What waits for a unit that has stopped answering is shortened by. */
#define STALLED_SHARE 16

/* Under the lock, there is room. */
static void put(struct amdvi_queue *queue, const struct amdvi_command *command)
{
	uint64_t *slot = queue->slots + 2 * (queue->tail++ & (queue->count - 1));

	slot[0] = command->low;
	slot[1] = command->high;
}

static void doorbell(struct iog_amdvi *amdvi)
{
	iog_mmio_publish(&amdvi->mmio);
	iog_mmio_write32(&amdvi->mmio, AMDVI_CMD_TAIL, (uint32_t)(amdvi->queue.tail & (amdvi->queue.count - 1)) << 4);
}

/* Under the lock: one slot stays free, or a full buffer would look empty to hardware. */
static bool has_room(struct iog_amdvi *amdvi, uint32_t wanted)
{
	struct amdvi_queue *queue = &amdvi->queue;
	uint64_t read;

	if (queue->tail + wanted < queue->head + queue->count)
		return true;
	read = (iog_mmio_read32(&amdvi->mmio, AMDVI_CMD_HEAD) & AMDVI_POINTER) >> 4;
	queue->head = queue->tail - ((queue->tail - read) & (queue->count - 1));
	return queue->tail + wanted < queue->head + queue->count;
}

/* Under the lock, there is room. */
static void put_wait(struct iog_amdvi *amdvi)
{
	struct amdvi_queue *queue = &amdvi->queue;
	uint64_t number = atomic_load_explicit(&queue->number, memory_order_relaxed) + 1;
	struct amdvi_command wait = amdvi_wait(amdvi_paddr(amdvi, (const void *)(uintptr_t)queue->answer), number);

	put(queue, &wait);
	queue->wait_end = queue->tail;
	queue->waiting = true;
	atomic_store_explicit(&queue->number, number, memory_order_relaxed);
	amdvi_count(&amdvi->counters.waits, 1);
}

static bool answered(const struct amdvi_queue *queue)
{
	/* Acquire: what hardware did before it stored is over. */
	return atomic_load_explicit(queue->answer, memory_order_acquire) == atomic_load_explicit(&queue->number, memory_order_relaxed);
}

/* Under the lock: what the wait in flight has completed, is. */
static void collect(struct amdvi_queue *queue)
{
	if (!queue->waiting || !answered(queue))
		return;
	queue->waiting = false;
	atomic_store_explicit(&queue->stalled, false, memory_order_relaxed);
	/* Release: pairs with the acquire in wait_done(). */
	atomic_store_explicit(&queue->done, queue->wait_end, memory_order_release);
}

/* Under the lock: hardware has stopped. What was in the buffer is lost; the next position begins at slot 0 again. */
static void recover(struct iog_amdvi *amdvi)
{
	struct amdvi_queue *queue = &amdvi->queue;

	collect(queue);
	queue->tail = (queue->tail + queue->count) & ~(uint64_t)(queue->count - 1);
	queue->head = queue->tail;
	queue->waiting = false;
	/* Release: pairs with the acquire in wait_done(). */
	atomic_fetch_add_explicit(&queue->aborts, 1, memory_order_release);
	amdvi_count(&amdvi->counters.errors, 1);
	iog_amdvi_control(amdvi, AMDVI_CMD_BUF_EN, 0);
	iog_mmio_write32(&amdvi->mmio, AMDVI_CMD_HEAD, 0);
	iog_mmio_write32(&amdvi->mmio, AMDVI_CMD_TAIL, 0);
	iog_amdvi_control(amdvi, 0, AMDVI_CMD_BUF_EN);
}

/* Under the lock. */
static void look_for_errors(struct iog_amdvi *amdvi)
{
	uint32_t status = iog_mmio_read32(&amdvi->mmio, AMDVI_STATUS);

	/* All ones: the unit is gone, and time runs out. */
	if (!(status & AMDVI_CMD_BUF_RUN) && status != UINT32_MAX)
		recover(amdvi);
}

void iog_amdvi_queue_errors(struct iog_amdvi *amdvi)
{
	uintptr_t flags;

	/* Acquire: pairs with the release in iog_amdvi_enable(), before which the buffer is not on. */
	if (!atomic_load_explicit(&amdvi->running, memory_order_acquire))
		return;
	flags = spin_lock(&amdvi->queue.lock, amdvi->platform);
	look_for_errors(amdvi);
	spin_unlock(&amdvi->queue.lock, amdvi->platform, flags);
}

/* Whether positions up to @end are done: 1 yes, 0 not yet, or the error by which they never will be. */
static int wait_done(const struct amdvi_queue *queue, uint64_t end, uint32_t aborts)
{
	/* Acquire: pairs with the release in collect(). A wait that was added after what was lost is seen only together with the loss. */
	uint64_t done = atomic_load_explicit(&queue->done, memory_order_acquire);

	/* Acquire: pairs with the release in recover(). */
	if (atomic_load_explicit(&queue->aborts, memory_order_acquire) != aborts)
		return -IOG_EAGAIN;
	return done >= end;
}

/* Under the lock: take what is complete, and if that is not enough and no wait is in flight, add one. */
static void go_on(struct iog_amdvi *amdvi, uint64_t end)
{
	struct amdvi_queue *queue = &amdvi->queue;

	collect(queue);
	if (!queue->waiting && atomic_load_explicit(&queue->done, memory_order_relaxed) < end && has_room(amdvi, 1)) {
		put_wait(amdvi);
		doorbell(amdvi);
	}
}

/* Until positions up to @end are done. */
static int wait_for(struct iog_amdvi *amdvi, uint64_t end, uint32_t aborts, uint64_t deadline)
{
	struct amdvi_queue *queue = &amdvi->queue;
	bool late = false;
	int state;

	for (uint32_t looks = 1;; looks++) {
		uintptr_t flags;

		state = wait_done(queue, end, aborts);
		if (state)
			break;
		/* Once more after the deadline, and errors with it: this lane may have been away. */
		if (late || answered(queue) || !(looks % LOOKS)) {
			flags = spin_lock(&queue->lock, amdvi->platform);
			state = wait_done(queue, end, aborts);
			if (!state) {
				go_on(amdvi, end);
				if ((late || !(looks % LOOKS)) && !wait_done(queue, end, aborts))
					look_for_errors(amdvi);
				state = wait_done(queue, end, aborts);
			}
			if (late && !state) {
				/* Nobody's any more: whoever comes next adds another. */
				queue->waiting = false;
				atomic_store_explicit(&queue->stalled, true, memory_order_relaxed);
				state = -IOG_ETIMEDOUT;
			}
			spin_unlock(&queue->lock, amdvi->platform, flags);
			if (state)
				break;
		}
		late = iog_deadline_passed(amdvi->platform, deadline);
		if (!late)
			iog_relax(amdvi->platform);
	}
	return state == 1 ? 0 : state;
}

/* The lock, and room for so many. */
static int lock_with_room(struct iog_amdvi *amdvi, uint32_t wanted, uint64_t deadline, uintptr_t *flags)
{
	struct amdvi_queue *queue = &amdvi->queue;
	bool late = false;

	for (;;) {
		*flags = spin_lock(&queue->lock, amdvi->platform);
		if (has_room(amdvi, wanted))
			return 0;
		look_for_errors(amdvi);
		if (has_room(amdvi, wanted))
			return 0;
		if (late)
			atomic_store_explicit(&queue->stalled, true, memory_order_relaxed);
		spin_unlock(&queue->lock, amdvi->platform, *flags);
		if (late)
			return -IOG_ETIMEDOUT;
		late = iog_deadline_passed(amdvi->platform, deadline);
		if (!late)
			iog_relax(amdvi->platform);
	}
}

int iog_amdvi_queue_submit(struct iog_amdvi *amdvi, const struct amdvi_command *commands, uint32_t count)
{
	struct amdvi_queue *queue = &amdvi->queue;
	/* A guess: whether somebody has just waited in vain. */
	uint64_t timeout = atomic_load_explicit(&queue->stalled, memory_order_relaxed) ? amdvi->timeout_ns / STALLED_SHARE : amdvi->timeout_ns;
	uint64_t deadline = iog_deadline(amdvi->platform, timeout), end;
	uint32_t aborts;
	uintptr_t flags;
	int error = lock_with_room(amdvi, count + 1, deadline, &flags);

	if (error) {
		amdvi_count(&amdvi->counters.timeouts, 1);
		return error;
	}
	for (uint32_t n = 0; n < count; n++)
		put(queue, &commands[n]);
	end = queue->tail;
	/* From here on: what was lost before does not concern this lane. */
	aborts = atomic_load_explicit(&queue->aborts, memory_order_relaxed);
	collect(queue);
	if (queue->waiting)
		amdvi_count(&amdvi->counters.shared, 1);
	else
		put_wait(amdvi);
	doorbell(amdvi);
	spin_unlock(&queue->lock, amdvi->platform, flags);

	error = wait_for(amdvi, end, aborts, deadline);
	if (error == -IOG_ETIMEDOUT)
		amdvi_count(&amdvi->counters.timeouts, 1);
	return error;
}

int iog_amdvi_queue_create(struct iog_amdvi *amdvi)
{
	const struct iog_platform *platform = amdvi->platform;
	struct amdvi_queue *queue = &amdvi->queue;

	queue->count = amdvi->config.commands;
	queue->answer = platform->pages_alloc(platform->ctx, AMDVI_PAGE);
	queue->slots = platform->pages_alloc(platform->ctx, (size_t)queue->count * 16);
	if (!queue->answer || !queue->slots)
		return -IOG_ENOMEM;
	atomic_store_explicit(queue->answer, 0, memory_order_relaxed);
	return 0;
}

void iog_amdvi_queue_destroy(struct iog_amdvi *amdvi)
{
	const struct iog_platform *platform = amdvi->platform;
	struct amdvi_queue *queue = &amdvi->queue;

	if (queue->slots)
		platform->pages_free(platform->ctx, queue->slots, (size_t)queue->count * 16);
	if (queue->answer)
		platform->pages_free(platform->ctx, (void *)(uintptr_t)queue->answer, AMDVI_PAGE);
}

void iog_amdvi_queue_reset(struct iog_amdvi *amdvi)
{
	struct amdvi_queue *queue = &amdvi->queue;
	uint64_t order = 0;

	while (UINT32_C(1) << order < queue->count)
		order++;
	memset(queue->slots, 0, (size_t)queue->count * 16);
	queue->tail = 0;
	queue->head = 0;
	queue->wait_end = 0;
	queue->waiting = false;
	atomic_store_explicit(&queue->stalled, false, memory_order_relaxed);
	atomic_store_explicit(&queue->done, 0, memory_order_relaxed);
	iog_mmio_publish(&amdvi->mmio);
	iog_mmio_write64(&amdvi->mmio, AMDVI_CMDBUF, amdvi_paddr(amdvi, queue->slots) | order << AMDVI_LENGTH_SHIFT);
	iog_mmio_write32(&amdvi->mmio, AMDVI_CMD_HEAD, 0);
	iog_mmio_write32(&amdvi->mmio, AMDVI_CMD_TAIL, 0);
}

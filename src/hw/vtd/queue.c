/* SPDX-License-Identifier: MIT */
/*
 * The invalidation queue (VT-d 6.5.2), used by any number of lanes at once.
 *
 * A lane writes its commands under the lock, and knows by the position after them what it waits for. At most one wait is in flight. A lane that finds none adds its own; one that finds another's
 * before its commands lets the first who sees that completed add the next, which serves all that came meanwhile. Nobody depends on another lane being scheduled: whoever looks first
 * does what is due for all.
 *
 * Hardware's head register is read only when the queue looks full. A wait that is not answered in time is given up, and the next lane adds another, to another status word: an answer that comes
 * late is to nobody.
 */
#include "vtd.h"

/* Looks at the status word between looks at the fault status register. */
#define LOOKS 512
#define LINE ((size_t)64)
/* What waits for a unit that has stopped answering is shortened by. */
#define STALLED_SHARE 16

static uint64_t *slot(const struct vtd_queue *queue, uint64_t position)
{
	return (uint64_t *)(void *)(queue->slots + ((position & (queue->count - 1)) << queue->slot_shift));
}

static _Atomic uint32_t *status_word(const struct vtd_queue *queue, uint32_t number)
{
	return (_Atomic uint32_t *)(void *)(queue->statuses + number % VTD_STATUSES * LINE);
}

/* Under the lock, there is room. */
static void put(struct iog_vtd *vtd, const struct vtd_command *command)
{
	struct vtd_queue *queue = &vtd->queue;
	uint64_t *at = slot(queue, queue->tail++);

	at[0] = command->low;
	at[1] = command->high;
	if (queue->slot_shift == 5) {
		at[2] = 0;
		at[3] = 0;
	}
	vtd_clean(vtd, at, (size_t)1 << queue->slot_shift);
}

static void doorbell(struct iog_vtd *vtd)
{
	iog_mmio_publish(&vtd->mmio);
	iog_mmio_write64(&vtd->mmio, VTD_IQT, (vtd->queue.tail & (vtd->queue.count - 1)) << vtd->queue.slot_shift);
}

/* Under the lock: one slot stays free, or a full queue would look empty to hardware. */
static bool has_room(struct iog_vtd *vtd, uint32_t wanted)
{
	struct vtd_queue *queue = &vtd->queue;
	uint64_t read;

	if (queue->tail + wanted < queue->head + queue->count)
		return true;
	read = (iog_mmio_read64(&vtd->mmio, VTD_IQH) & VTD_IQ_OFFSET) >> queue->slot_shift;
	queue->head = queue->tail - ((queue->tail - read) & (queue->count - 1));
	return queue->tail + wanted < queue->head + queue->count;
}

/* Under the lock, there is room. */
static void put_wait(struct iog_vtd *vtd)
{
	struct vtd_queue *queue = &vtd->queue;
	uint32_t number = atomic_load_explicit(&queue->number, memory_order_relaxed) + 1;
	struct vtd_command wait;

	/* Zero is what the words begin with. */
	number = number ? number : 1;
	wait = vtd_wait(vtd_paddr(vtd, status_word(queue, number)), number);
	put(vtd, &wait);
	queue->wait_end = queue->tail;
	queue->waiting = true;
	atomic_store_explicit(&queue->number, number, memory_order_relaxed);
	vtd_count(&vtd->counters.waits, 1);
}

static bool answered(const struct vtd_queue *queue)
{
	uint32_t number = atomic_load_explicit(&queue->number, memory_order_relaxed);

	/* Acquire: what hardware did before it wrote is over. */
	return atomic_load_explicit(status_word(queue, number), memory_order_acquire) == number;
}

/* Under the lock: what the wait in flight has completed, is. */
static void collect(struct vtd_queue *queue)
{
	if (!queue->waiting || !answered(queue))
		return;
	queue->waiting = false;
	atomic_store_explicit(&queue->stalled, false, memory_order_relaxed);
	/* Release: pairs with the acquire in wait_done(). */
	atomic_store_explicit(&queue->done, queue->wait_end, memory_order_release);
}

/*
 * Under the lock. An error stops the queue (VT-d 6.5.2.10): the waits that hardware had not answered are lost, and everybody who waits is told to submit again. A descriptor that hardware does
 * not understand is made a wait that answers to nobody, so that it goes on behind it.
 */
static void recover(struct iog_vtd *vtd, uint32_t status)
{
	struct vtd_queue *queue = &vtd->queue;
	uint32_t sid = VTD_NO_SID;

	collect(queue);
	if (status & VTD_FSTS_ITE)
		sid = VTD_IQERCD_ITESID(iog_mmio_read64(&vtd->mmio, VTD_IQERCD));
	if (status & VTD_FSTS_IQE) {
		uint64_t read = (iog_mmio_read64(&vtd->mmio, VTD_IQH) & VTD_IQ_OFFSET) >> queue->slot_shift;
		struct vtd_command nothing = vtd_wait(vtd_paddr(vtd, queue->statuses + VTD_STATUSES * LINE), 0);
		uint64_t *at = slot(queue, read);

		at[0] = nothing.low;
		at[1] = nothing.high;
		if (queue->slot_shift == 5) {
			at[2] = 0;
			at[3] = 0;
		}
		vtd_clean(vtd, at, (size_t)1 << queue->slot_shift);
		iog_mmio_publish(&vtd->mmio);
	}
	queue->waiting = false;
	atomic_store_explicit(&queue->abort_sid, sid, memory_order_relaxed);
	/* Release: the device; pairs with the acquire in wait_done(). */
	atomic_fetch_add_explicit(&queue->aborts, 1, memory_order_release);
	vtd_count(&vtd->counters.errors, 1);
	iog_mmio_write32(&vtd->mmio, VTD_FSTS, status & VTD_FSTS_QUEUE);
	/* Hardware goes on from its head; some have to be told. */
	doorbell(vtd);
}

/* Under the lock. */
static void look_for_errors(struct iog_vtd *vtd)
{
	uint32_t status = iog_mmio_read32(&vtd->mmio, VTD_FSTS);

	/* All ones: the unit is gone, and time runs out. */
	if (status & VTD_FSTS_QUEUE && status != UINT32_MAX)
		recover(vtd, status);
}

void iog_vtd_queue_errors(struct iog_vtd *vtd)
{
	uintptr_t flags;

	if (!vtd->queued || !atomic_load_explicit(&vtd->running, memory_order_relaxed))
		return;
	flags = spin_lock(&vtd->queue.lock, vtd->platform);
	look_for_errors(vtd);
	spin_unlock(&vtd->queue.lock, vtd->platform, flags);
}

/*
 * Whether positions up to @end are done: 1 yes, 0 not yet, or the error by which they never will be. After an error a later wait passes over what was lost, so @done is to be believed only where there
 * was none since the commands were submitted; a lane that has not looked before submits again what may have been carried out.
 */
static int wait_done(const struct vtd_queue *queue, uint64_t end, uint32_t aborts, uint32_t sid)
{
	/* Acquire: pairs with the release in collect(). The errors before that are seen below. */
	uint64_t done = atomic_load_explicit(&queue->done, memory_order_acquire);
	uint32_t culprit;

	/* Acquire: pairs with the release in recover(). */
	if (atomic_load_explicit(&queue->aborts, memory_order_acquire) == aborts)
		return done >= end;
	culprit = atomic_load_explicit(&queue->abort_sid, memory_order_relaxed);
	return sid != VTD_NO_SID && (!culprit || culprit == sid) ? -IOG_ETIMEDOUT : -IOG_EAGAIN;
}

/* Under the lock: take what is complete, and if that is not enough and no wait is in flight, add one. */
static void go_on(struct iog_vtd *vtd, uint64_t end)
{
	struct vtd_queue *queue = &vtd->queue;

	collect(queue);
	if (!queue->waiting && atomic_load_explicit(&queue->done, memory_order_relaxed) < end && has_room(vtd, 1)) {
		put_wait(vtd);
		doorbell(vtd);
	}
}

/* Until positions up to @end are done. */
static int wait_for(struct iog_vtd *vtd, uint64_t end, uint32_t aborts, uint32_t sid, uint64_t deadline)
{
	struct vtd_queue *queue = &vtd->queue;
	bool late = false;
	int state;

	for (uint32_t looks = 1;; looks++) {
		uintptr_t flags;

		state = wait_done(queue, end, aborts, sid);
		if (state)
			break;
		/* Once more after the deadline, and errors with it: this lane may have been away. */
		if (late || answered(queue) || !(looks % LOOKS)) {
			flags = spin_lock(&queue->lock, vtd->platform);
			go_on(vtd, end);
			if ((late || !(looks % LOOKS)) && !wait_done(queue, end, aborts, sid))
				look_for_errors(vtd);
			state = wait_done(queue, end, aborts, sid);
			if (late && !state) {
				/* Nobody's any more: whoever comes next adds another. */
				queue->waiting = false;
				atomic_store_explicit(&queue->stalled, true, memory_order_relaxed);
				state = -IOG_ETIMEDOUT;
			}
			spin_unlock(&queue->lock, vtd->platform, flags);
			if (state)
				break;
		}
		late = iog_deadline_passed(vtd->platform, deadline);
		if (!late)
			iog_relax(vtd->platform);
	}
	return state == 1 ? 0 : state;
}

/* The lock, and room for so many. */
static int lock_with_room(struct iog_vtd *vtd, uint32_t wanted, uint64_t deadline, uintptr_t *flags)
{
	struct vtd_queue *queue = &vtd->queue;
	bool late = false;

	for (;;) {
		*flags = spin_lock(&queue->lock, vtd->platform);
		if (has_room(vtd, wanted))
			return 0;
		look_for_errors(vtd);
		if (has_room(vtd, wanted))
			return 0;
		if (late)
			atomic_store_explicit(&queue->stalled, true, memory_order_relaxed);
		spin_unlock(&queue->lock, vtd->platform, *flags);
		if (late)
			return -IOG_ETIMEDOUT;
		late = iog_deadline_passed(vtd->platform, deadline);
		if (!late)
			iog_relax(vtd->platform);
	}
}

int iog_vtd_queue_submit(struct iog_vtd *vtd, const struct vtd_command *commands, uint32_t count, uint32_t sid)
{
	struct vtd_queue *queue = &vtd->queue;
	/* A guess: whether somebody has just waited in vain. */
	uint64_t timeout = atomic_load_explicit(&queue->stalled, memory_order_relaxed) ? vtd->timeout_ns / STALLED_SHARE : vtd->timeout_ns;
	uint64_t deadline = iog_deadline(vtd->platform, timeout), end;
	uint32_t aborts;
	uintptr_t flags;
	int error = lock_with_room(vtd, count + 1, deadline, &flags);

	if (error) {
		vtd_count(&vtd->counters.timeouts, 1);
		return error;
	}
	for (uint32_t n = 0; n < count; n++)
		put(vtd, &commands[n]);
	end = queue->tail;
	/* From here on: what is lost before does not concern this lane. */
	aborts = atomic_load_explicit(&queue->aborts, memory_order_relaxed);
	collect(queue);
	if (queue->waiting)
		vtd_count(&vtd->counters.shared, 1);
	else
		put_wait(vtd);
	doorbell(vtd);
	spin_unlock(&queue->lock, vtd->platform, flags);

	error = wait_for(vtd, end, aborts, sid, deadline);
	if (error == -IOG_ETIMEDOUT)
		vtd_count(&vtd->counters.timeouts, 1);
	return error;
}

int iog_vtd_queue_create(struct iog_vtd *vtd)
{
	const struct iog_platform *platform = vtd->platform;
	struct vtd_queue *queue = &vtd->queue;

	_Static_assert((VTD_STATUSES + 1) * LINE <= VTD_PAGE, "status words, and one for nobody, fit a page");
	queue->slot_shift = vtd->scalable ? 5 : 4;
	queue->count = vtd->config.queue_bytes >> queue->slot_shift;
	queue->statuses = vtd_page_new(vtd);
	queue->slots = platform->pages_alloc(platform->ctx, vtd->config.queue_bytes);
	return queue->statuses && queue->slots ? 0 : -IOG_ENOMEM;
}

void iog_vtd_queue_destroy(struct iog_vtd *vtd)
{
	const struct iog_platform *platform = vtd->platform;
	struct vtd_queue *queue = &vtd->queue;

	if (queue->slots)
		platform->pages_free(platform->ctx, queue->slots, vtd->config.queue_bytes);
	vtd_page_free(vtd, queue->statuses);
}

int iog_vtd_queue_stop(struct iog_vtd *vtd)
{
	uint64_t tail;
	int error;

	if (!(iog_mmio_read32(&vtd->mmio, VTD_GSTS) & VTD_QIE))
		return 0;
	/* What is in it is carried out first (VT-d 6.5.2.11). An error that nobody has looked at would keep it from that. */
	iog_mmio_write32(&vtd->mmio, VTD_FSTS, VTD_FSTS_QUEUE);
	tail = iog_mmio_read64(&vtd->mmio, VTD_IQT) & VTD_IQ_OFFSET;
	error = iog_mmio_poll64(&vtd->mmio, VTD_IQH, VTD_IQ_OFFSET, tail, vtd->timeout_ns, NULL);
	return error ? error : iog_vtd_command(vtd, VTD_QIE, false);
}

int iog_vtd_queue_start(struct iog_vtd *vtd)
{
	struct vtd_queue *queue = &vtd->queue;
	uint32_t order = 0;
	int error = iog_vtd_queue_stop(vtd);

	if (error)
		return error;
	while (VTD_PAGE << order < vtd->config.queue_bytes)
		order++;
	memset(queue->slots, 0, vtd->config.queue_bytes);
	vtd_clean(vtd, queue->slots, vtd->config.queue_bytes);
	queue->tail = 0;
	queue->head = 0;
	queue->wait_end = 0;
	queue->waiting = false;
	atomic_store_explicit(&queue->stalled, false, memory_order_relaxed);
	atomic_store_explicit(&queue->done, 0, memory_order_relaxed);
	iog_mmio_publish(&vtd->mmio);
	iog_mmio_write64(&vtd->mmio, VTD_IQT, 0);
	iog_mmio_write64(&vtd->mmio, VTD_IQA, vtd_paddr(vtd, queue->slots) | (queue->slot_shift == 5 ? VTD_IQA_DW : 0) | order);
	return iog_vtd_command(vtd, VTD_QIE, true);
}

/* SPDX-License-Identifier: MIT */
/*
 * See ring.h.
 */
#include "../pgtable/memory.h"
#include "ring.h"

/* Looks at a head that stands still between looks for errors, where the former read memory, or a register. */
#define PATIENCE_MEMORY 512
#define PATIENCE_REGISTER 16
#define ANSWER_BYTES 4096
/* What waits for a unit that has stopped answering is shortened by. */
#define STALLED_SHARE 16

static size_t ring_bytes(const struct iog_ring *ring)
{
	size_t bytes = (size_t)1 << (ring->log2size + ring->slot_shift);

	return bytes < 4096 ? 4096 : bytes;
}

static uint64_t *slot_at(const struct iog_ring *ring, uint64_t place)
{
	return (uint64_t *)(void *)(ring->slots + (((place - ring->base) & ((UINT64_C(1) << ring->log2size) - 1)) << ring->slot_shift));
}

int iog_ring_create(struct iog_ring *ring, const struct iog_platform *platform, uint32_t log2size, uint32_t slot_shift, bool wrap)
{
	ring->platform = platform;
	ring->log2size = log2size;
	ring->slot_shift = slot_shift;
	ring->capacity = (UINT32_C(1) << log2size) - !wrap;
	ring->index_mask = (UINT32_C(1) << (log2size + wrap)) - 1;
	ring->head_mask = ring->ops->head ? ring->index_mask : UINT32_MAX;
	ring->patience = ring->ops->head ? PATIENCE_REGISTER : PATIENCE_MEMORY;
	ring->slots = platform->pages_alloc(platform->ctx, ring_bytes(ring));
	ring->answer = ring->ops->head ? NULL : platform->pages_alloc(platform->ctx, ANSWER_BYTES);
	if (!ring->slots || (!ring->ops->head && !ring->answer))
		return -IOG_ENOMEM;
	ring->paddr = (uint64_t)(uintptr_t)ring->slots - platform->direct_map_offset;
	ring->answer_paddr = (uint64_t)(uintptr_t)ring->answer - platform->direct_map_offset;
	return 0;
}

void iog_ring_destroy(struct iog_ring *ring)
{
	if (ring->slots)
		ring->platform->pages_free(ring->platform->ctx, ring->slots, ring_bytes(ring));
	if (ring->answer)
		ring->platform->pages_free(ring->platform->ctx, (void *)(uintptr_t)ring->answer, ANSWER_BYTES);
	ring->slots = NULL;
	ring->answer = NULL;
}

/* All that was in it is over. */
static void ring_empty(struct iog_ring *ring, uint64_t place)
{
	ring->fetched = place;
	atomic_store_explicit(&ring->confirmed, place, memory_order_relaxed);
	/* Release: the failure, where there is one; pairs with the acquire in head_reached(). */
	atomic_store_explicit(&ring->head, place, memory_order_release);
}

void iog_ring_reset(struct iog_ring *ring)
{
	memset(ring->slots, 0, ring_bytes(ring));
	if (!ring->coherent)
		ring->platform->cache_clean(ring->platform->ctx, ring->slots, ring_bytes(ring));
	ring->base = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	ring_empty(ring, ring->base);
	ring->still = 0;
	atomic_store_explicit(&ring->stalled, false, memory_order_relaxed);
	if (!ring->answer)
		return;
	/* Not a place that is waited for. */
	atomic_store_explicit(ring->answer, (uint32_t)ring->base, memory_order_relaxed);
	if (!ring->answers_snooped)
		ring->platform->cache_clean(ring->platform->ctx, (const void *)ring->answer, sizeof(*ring->answer));
}

static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* Under write_lock. */
static void command_store(struct iog_ring *ring, uint64_t place, const void *command)
{
	uint64_t *at = slot_at(ring, place);

	memcpy(at, command, sizeof(struct iog_command));
	if (ring->slot_shift > 4)
		memset(at + 2, 0, sizeof(struct iog_command));
	if (!ring->coherent)
		ring->platform->cache_clean(ring->platform->ctx, at, (size_t)1 << ring->slot_shift);
}

void iog_ring_replace(struct iog_ring *ring, uint64_t place, const struct iog_command *command)
{
	command_store(ring, place, command);
}

void iog_ring_fail(struct iog_ring *ring, enum iog_ring_failure_kind kind, uint64_t first, uint64_t last, uint32_t device)
{
	uint64_t n = atomic_load_explicit(&ring->nr_failures, memory_order_relaxed);

	ring->failures[n % IOG_RING_FAILURES] = (struct iog_ring_failure){ .kind = kind, .device = device, .first = first, .last = last };
	/* Relaxed: the head is moved beyond it later, with release. */
	atomic_store_explicit(&ring->nr_failures, n + 1, memory_order_relaxed);
}

void iog_ring_abort(struct iog_ring *ring, uint32_t device)
{
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed), tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	iog_ring_fail(ring, IOG_RING_LOST, head, tail, device);
	/* Release: the failure; pairs with the acquire in head_reached(). What was fetched is not known by this. */
	atomic_store_explicit(&ring->head, tail, memory_order_release);
}

void iog_ring_drop(struct iog_ring *ring, uint64_t first)
{
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed), head = tail;

	iog_ring_fail(ring, IOG_RING_LOST, first, tail, IOG_RING_NO_DEVICE);
	/* From behind, so that nothing is stored where something is still to be looked at. */
	for (uint64_t place = tail; ring->ops->keep && place-- > first;) {
		struct iog_command command;

		memcpy(&command, slot_at(ring, place), sizeof(command));
		if (ring->ops->keep(&command))
			command_store(ring, --head, &command);
	}
	if (!ring->ops->keep)
		ring->base = tail;
	ring_empty(ring, head);
}

/* Low bits. At the least each time that a fence was passed. */
static uint32_t head_read(struct iog_ring *ring)
{
	if (ring->ops->head)
		return (uint32_t)ring->base + ring->ops->head(ring);
	if (!ring->answers_snooped)
		ring->platform->cache_flush(ring->platform->ctx, (const void *)ring->answer, sizeof(*ring->answer));
	/* Acquire: what the unit has read and written before; it orders its answer after that. */
	return atomic_load_explicit(ring->answer, memory_order_acquire);
}

/* Under watch_lock. Whether it has moved. */
static bool head_move(struct iog_ring *ring)
{
	/* Read first. Acquire: a tail that is no older; pairs with the release in piece_store(). */
	uint32_t place = head_read(ring);
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire), head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	uint64_t moved = (place - (uint32_t)head) & ring->head_mask;

	/* A register that reads as what it cannot be is of a unit that is gone; an answer that is behind is late. */
	if (!moved || moved > tail - head)
		return false;
	atomic_store_explicit(&ring->stalled, false, memory_order_relaxed);
	atomic_store_explicit(&ring->confirmed, head + moved, memory_order_relaxed);
	/* Release: failures found before; pairs with the acquire in head_reached(). */
	atomic_store_explicit(&ring->head, head + moved, memory_order_release);
	return true;
}

void iog_ring_watch(struct iog_ring *ring, bool errors)
{
	const struct iog_platform *platform = ring->platform;
	uintptr_t flags = platform->irq_save ? platform->irq_save(platform->ctx) : 0;

	/* Whoever is looking looks for all. Acquire: pairs with the release in lock_give(). */
	if (!atomic_exchange_explicit(&ring->watch_lock.taken, 1, memory_order_acquire)) {
		if (head_move(ring))
			ring->still = 0;
		else
			ring->still++;
		/* Errors are rare, and looking for them reads a register. */
		if (errors || (ring->still && !(ring->still % ring->patience))) {
			ring->ops->check(ring);
			(void)head_move(ring);
		}
		lock_give(&ring->watch_lock);
	}
	if (platform->irq_restore)
		platform->irq_restore(platform->ctx, flags);
}

static bool head_reached(const struct iog_ring *ring, uint64_t place)
{
	/* Acquire: the failures before it; pairs with the releases where it is stored. */
	return atomic_load_explicit(&ring->head, memory_order_acquire) >= place;
}

/* Under write_lock: whether @n commands fit. */
static bool has_room(struct iog_ring *ring, uint32_t n)
{
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed), free = atomic_load_explicit(&ring->confirmed, memory_order_relaxed);
	uint32_t index;

	if (free < ring->fetched)
		free = ring->fetched;
	if (tail + n - free <= ring->capacity)
		return true;
	index = ring->ops->fetched ? ring->ops->fetched(ring) : UINT32_MAX;
	if (index == UINT32_MAX)
		return false;
	ring->fetched = tail - ((iog_ring_index(ring, tail) - index) & ring->index_mask);
	return tail + n - ring->fetched <= ring->capacity;
}

enum fencing {
	FENCE_NONE,   /* there is more to come, or nobody waits */
	FENCE_SHARED, /* unless one is in flight */
	FENCE_OWN,
};

/* Commands, and what the head has to pass: the fence behind them, or 0 as long as there is none. */
struct piece {
	const uint8_t *commands;
	uint32_t n;
	enum fencing fencing;
	uint64_t end;
	uint64_t fence;
};

/* Whether somebody waits for a fence that is not known to have been passed. */
static bool in_flight(const struct iog_ring *ring)
{
	uint64_t fenced = atomic_load_explicit(&ring->fenced, memory_order_relaxed);

	return fenced > atomic_load_explicit(&ring->head, memory_order_relaxed) && fenced > atomic_load_explicit(&ring->waived, memory_order_relaxed);
}

/* Under write_lock: the tail behind a fence. */
static uint64_t fence_store(struct iog_ring *ring, uint64_t tail)
{
	struct iog_command command;

	ring->ops->fence(ring, tail + 1, &command);
	command_store(ring, tail, &command);
	atomic_store_explicit(&ring->fenced, tail + 1, memory_order_relaxed);
	count(&ring->fences);
	return tail + 1;
}

/* Under write_lock. */
static void tail_move(struct iog_ring *ring, uint64_t tail)
{
	/* Release: before the register, so that head_move() never finds the head beyond it. */
	atomic_store_explicit(&ring->tail, tail, memory_order_release);
	ring->ops->tail(ring, iog_ring_index(ring, tail));
}

/* Store commands if there is room for them and a fence; false if not. */
static bool piece_store(struct iog_ring *ring, struct piece *piece)
{
	uintptr_t flags = spin_lock(&ring->write_lock, ring->platform);
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	bool room = has_room(ring, piece->n + 1);

	if (room) {
		for (uint32_t i = 0; i < piece->n; i++)
			command_store(ring, tail++, piece->commands + i * sizeof(struct iog_command));
		piece->end = tail;
		piece->fence = 0;
		if (piece->fencing == FENCE_OWN || (piece->fencing == FENCE_SHARED && !in_flight(ring))) {
			tail = fence_store(ring, tail);
			piece->fence = tail;
		}
		tail_move(ring, tail);
	}
	spin_unlock(&ring->write_lock, ring->platform, flags);
	return room;
}

/* Until there is room; false at the deadline. */
static bool piece_write(struct iog_ring *ring, struct piece *piece, uint64_t deadline)
{
	bool late = false;

	while (!piece_store(ring, piece)) {
		if (late)
			return false;
		late = iog_deadline_passed(ring->platform, deadline);
		iog_ring_watch(ring, late);
		if (!late)
			iog_relax(ring->platform);
	}
	return true;
}

/* The fence behind @piece, by whomever: one for all who came until now. False if there is none, and no room for it. */
static bool fence_find(struct iog_ring *ring, struct piece *piece)
{
	uintptr_t flags = spin_lock(&ring->write_lock, ring->platform);
	uint64_t fenced = atomic_load_explicit(&ring->fenced, memory_order_relaxed);

	if (fenced > piece->end) {
		piece->fence = fenced;
		count(&ring->shared);
	} else if (has_room(ring, 1)) {
		piece->fence = fence_store(ring, atomic_load_explicit(&ring->tail, memory_order_relaxed));
		tail_move(ring, piece->fence);
	}
	spin_unlock(&ring->write_lock, ring->platform, flags);
	return piece->fence;
}

/*
 * Until a fence stands behind @piece. The one in flight when it was written does not; whoever sees first that it was passed places the next. False at the deadline.
 */
static bool fence_wait(struct iog_ring *ring, struct piece *piece, uint64_t deadline)
{
	bool late = false;

	for (;;) {
		if ((!in_flight(ring) || atomic_load_explicit(&ring->fenced, memory_order_relaxed) > piece->end) && fence_find(ring, piece))
			return true;
		if (late)
			return false;
		late = iog_deadline_passed(ring->platform, deadline);
		iog_ring_watch(ring, late);
		if (!late)
			iog_relax(ring->platform);
	}
}

static bool is_culprit(const struct iog_ring_failure *failure, uint32_t device)
{
	return device != IOG_RING_NO_DEVICE && (failure->device == device || failure->device == IOG_RING_SOME_DEVICE);
}

/* What became of the commands from @begin to @end, whose fence is before @fence. */
static int result_of(struct iog_ring *ring, uint64_t failures, uint64_t begin, uint64_t end, uint64_t fence, uint32_t device)
{
	uint64_t now = atomic_load_explicit(&ring->nr_failures, memory_order_relaxed);
	int error = 0;
	uintptr_t flags;

	if (now == failures)
		return 0;
	flags = spin_lock(&ring->watch_lock, ring->platform);
	now = atomic_load_explicit(&ring->nr_failures, memory_order_relaxed);
	if (now - failures > IOG_RING_FAILURES)
		error = -IOG_EAGAIN;
	for (uint64_t n = failures; !error && n < now; n++) {
		const struct iog_ring_failure *failure = &ring->failures[n % IOG_RING_FAILURES];

		if (failure->kind == IOG_RING_LOST && failure->first < fence && failure->last > begin)
			error = is_culprit(failure, device) ? -IOG_ETIMEDOUT : -IOG_EAGAIN;
		else if (failure->kind == IOG_RING_REFUSED && failure->first >= begin && failure->first < end)
			error = -IOG_EIO;
		else if (failure->kind == IOG_RING_DEVICE && device != IOG_RING_NO_DEVICE && failure->first >= begin && failure->first < fence)
			error = -IOG_ETIMEDOUT;
	}
	spin_unlock(&ring->watch_lock, ring->platform, flags);
	return error;
}

/* All of it, in as many pieces as it takes. @begin: where it starts. */
static int write_all(struct iog_ring *ring, struct piece *all, uint64_t deadline, uint64_t *begin)
{
	uint32_t most = ring->capacity - 1;
	struct piece piece = *all;

	for (uint32_t done = 0; done < all->n; done += piece.n) {
		piece.commands = all->commands + done * sizeof(struct iog_command);
		piece.n = all->n - done < most ? all->n - done : most;
		/* There may be no room for the next one before this one is complete, which a fence tells. */
		piece.fencing = done + piece.n == all->n || all->fencing == FENCE_NONE ? all->fencing : FENCE_OWN;
		if (!piece_write(ring, &piece, deadline))
			return -IOG_ETIMEDOUT;
		if (!done)
			*begin = piece.end - piece.n;
	}
	all->end = piece.end;
	all->fence = piece.fence;
	return 0;
}

/* Until the head is beyond the fence. */
static int head_wait(struct iog_ring *ring, uint64_t fence, uint64_t deadline)
{
	bool late = false;

	while (!head_reached(ring, fence)) {
		/* Once more after the deadline: a lane that was away has waited for nothing. */
		if (late)
			return -IOG_ETIMEDOUT;
		late = iog_deadline_passed(ring->platform, deadline);
		iog_ring_watch(ring, late);
		if (!late && !head_reached(ring, fence))
			iog_relax(ring->platform);
	}
	return 0;
}

/* Whoever comes next places a fence of his own, and does not wait for as long. */
static void give_up(struct iog_ring *ring)
{
	atomic_store_explicit(&ring->waived, atomic_load_explicit(&ring->fenced, memory_order_relaxed), memory_order_relaxed);
	atomic_store_explicit(&ring->stalled, true, memory_order_relaxed);
}

int iog_ring_submit(struct iog_ring *ring, const void *commands, uint32_t n, uint32_t device, uint64_t timeout_ns)
{
	/* Where the fence is what fails, it is one's own. */
	bool own = device != IOG_RING_NO_DEVICE;
	struct piece all = { .commands = commands, .n = n, .fencing = own ? FENCE_OWN : FENCE_SHARED };
	/* A guess: whether somebody has just waited in vain. */
	bool stalled = atomic_load_explicit(&ring->stalled, memory_order_relaxed);
	uint64_t deadline = iog_deadline(ring->platform, stalled ? timeout_ns / STALLED_SHARE : timeout_ns), begin = 0;
	/* Acquire: read before the commands are written, or a failure of theirs might pass for an older one. */
	uint64_t failures = atomic_load_explicit(&ring->nr_failures, memory_order_acquire);
	int error;

	count(&ring->submissions);
	/* What was answered meanwhile need not be waited for by others: looking costs a look at memory. */
	if (ring->answer && in_flight(ring))
		iog_ring_watch(ring, false);
	error = write_all(ring, &all, deadline, &begin);
	if (!error && !all.fence && !fence_wait(ring, &all, deadline))
		error = -IOG_ETIMEDOUT;
	if (!error)
		error = head_wait(ring, all.fence, deadline);
	if (error)
		give_up(ring);
	else
		error = result_of(ring, failures, begin, all.end, all.fence, device);
	if (error == -IOG_ETIMEDOUT)
		count(&ring->timeouts);
	return error;
}

int iog_ring_post(struct iog_ring *ring, const void *commands, uint32_t n, uint64_t timeout_ns)
{
	struct piece all = { .commands = commands, .n = n, .fencing = FENCE_NONE };
	uint64_t begin;

	return write_all(ring, &all, iog_deadline(ring->platform, timeout_ns), &begin);
}

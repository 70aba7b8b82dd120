/* SPDX-License-Identifier: MIT */
/*
 * See ring.h.
 */
#include "ring.h"

/* Pauses that a lane waits for another to place the fence. */
#define FENCE_PAUSES 64

static size_t ring_bytes(const struct iog_ring *ring)
{
	size_t bytes = (size_t)16 << ring->log2size;

	return bytes < 4096 ? 4096 : bytes;
}

static struct iog_command *command_at(const struct iog_ring *ring, uint64_t place)
{
	return ring->commands + ((place - ring->base) & ((UINT64_C(1) << ring->log2size) - 1));
}

int iog_ring_create(struct iog_ring *ring, const struct iog_platform *platform, uint32_t log2size, bool wrap)
{
	ring->platform = platform;
	ring->log2size = log2size;
	ring->capacity = (UINT32_C(1) << log2size) - !wrap;
	ring->index_mask = (UINT32_C(1) << (log2size + wrap)) - 1;
	ring->head_mask = ring->index_mask;
	ring->commands = platform->pages_alloc(platform->ctx, ring_bytes(ring));
	if (!ring->commands)
		return -IOG_ENOMEM;
	ring->paddr = (uint64_t)(uintptr_t)ring->commands - platform->direct_map_offset;
	return 0;
}

void iog_ring_destroy(struct iog_ring *ring)
{
	if (ring->commands)
		ring->platform->pages_free(ring->platform->ctx, ring->commands, ring_bytes(ring));
	ring->commands = NULL;
}

void iog_ring_reset(struct iog_ring *ring)
{
	ring->base = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	atomic_store_explicit(&ring->head, ring->base, memory_order_relaxed);
	ring->still = 0;
}

static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* Under write_lock. */
static void command_store(struct iog_ring *ring, uint64_t place, const struct iog_command *command)
{
	struct iog_command *at = command_at(ring, place);

	*at = *command;
	if (!ring->coherent)
		ring->platform->cache_clean(ring->platform->ctx, at, sizeof(*at));
}

void iog_ring_replace(struct iog_ring *ring, uint64_t place, const struct iog_command *command)
{
	command_store(ring, place, command);
}

void iog_ring_fail(struct iog_ring *ring, enum iog_ring_failure_kind kind, uint64_t first, uint64_t last)
{
	uint64_t n = atomic_load_explicit(&ring->nr_failures, memory_order_relaxed);

	ring->failures[n % IOG_RING_FAILURES] = (struct iog_ring_failure){ .kind = kind, .first = first, .last = last };
	/* Relaxed: the head is moved beyond it later, with release. */
	atomic_store_explicit(&ring->nr_failures, n + 1, memory_order_relaxed);
}

void iog_ring_drop(struct iog_ring *ring)
{
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed), tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	iog_ring_fail(ring, IOG_RING_DROPPED, head, tail);
	ring->base = tail;
	/* Release: the failure; pairs with the acquire in head_reached(). */
	atomic_store_explicit(&ring->head, tail, memory_order_release);
}

/* Under watch_lock. Whether it has moved. */
static bool head_move(struct iog_ring *ring)
{
	/* Read first. Acquire: a tail that is no older; pairs with the release in ring_write(). */
	uint32_t place = ring->ops->head(ring);
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire), head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	uint64_t moved = (place - (uint32_t)head) & ring->head_mask;

	/* A register that reads as what it cannot be is of a unit that is gone. */
	if (!moved || moved > tail - head)
		return false;
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
		/* Errors are rare, and looking for them costs as much as looking at the head: ever more seldom while it stands still. */
		if (errors || (ring->still && !(ring->still & (ring->still - 1)))) {
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
	/* Acquire: the failures before it; pairs with the releases in head_move() and iog_ring_drop(). */
	return atomic_load_explicit(&ring->head, memory_order_acquire) >= place;
}

enum fencing {
	FENCE_NONE,   /* there is more to come, or nobody waits */
	FENCE_SHARED, /* unless somebody is about to write behind it */
	FENCE_OWN,
};

/* Commands, and what the head has to pass: the fence behind them, or 0 as long as there is none. */
struct piece {
	const struct iog_command *commands;
	uint32_t n;
	enum fencing fencing;
	bool coming; /* this is the last that the lane has announced */
	uint64_t end;
	uint64_t fence;
};

/* Store commands if there is room for them and a fence; false if not. */
static bool piece_store(struct iog_ring *ring, struct piece *piece)
{
	uintptr_t flags = spin_lock(&ring->write_lock, ring->platform);
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	bool room = tail + piece->n + 1 - atomic_load_explicit(&ring->head, memory_order_relaxed) <= ring->capacity;

	if (room) {
		for (uint32_t i = 0; i < piece->n; i++)
			command_store(ring, tail++, &piece->commands[i]);
		piece->end = tail;
		piece->fence = 0;
		if (piece->fencing == FENCE_OWN || (piece->fencing == FENCE_SHARED && atomic_load_explicit(&ring->coming, memory_order_relaxed) == 1)) {
			struct iog_command command;

			ring->ops->fence(ring, tail, &command);
			command_store(ring, tail++, &command);
			piece->fence = tail;
			atomic_store_explicit(&ring->fenced, tail, memory_order_relaxed);
			count(&ring->fences);
		}
		/* Release: the fence; pairs with the acquire in fence_wait(). */
		if (piece->coming)
			atomic_fetch_sub_explicit(&ring->coming, 1, memory_order_release);
		/* Release: before the register, so that head_move() never finds the head beyond it. */
		atomic_store_explicit(&ring->tail, tail, memory_order_release);
		ring->ops->tail(ring, (uint32_t)(tail - ring->base) & ring->index_mask);
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

/*
 * Until a fence stands behind @piece. Others who were on their way may have met with a full ring or may be held up, so nobody depends on them for
 * longer than some pauses. False at the deadline.
 */
static bool fence_wait(struct iog_ring *ring, struct piece *piece, uint64_t deadline)
{
	struct piece alone = { .fencing = FENCE_OWN };

	for (uint32_t pauses = 0; pauses < FENCE_PAUSES; pauses++) {
		/* Acquire: the fence of the last who came; pairs with the release in piece_store(). */
		bool nobody = !atomic_load_explicit(&ring->coming, memory_order_acquire);
		uint64_t fenced = atomic_load_explicit(&ring->fenced, memory_order_relaxed);

		if (fenced > piece->end) {
			piece->fence = fenced;
			return true;
		}
		if (nobody)
			break;
		iog_relax(ring->platform);
	}
	if (!piece_write(ring, &alone, deadline))
		return false;
	piece->fence = alone.fence;
	return true;
}

/* What became of the commands from @begin to @end, whose fence is before @fence. */
static int result_of(struct iog_ring *ring, uint64_t failures, uint64_t begin, uint64_t end, uint64_t fence, bool device)
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

		if (failure->kind == IOG_RING_DROPPED && failure->first < fence && failure->last > begin)
			error = -IOG_EAGAIN;
		else if (failure->kind == IOG_RING_REFUSED && failure->first >= begin && failure->first < end)
			error = -IOG_EIO;
		else if (failure->kind == IOG_RING_DEVICE && device && failure->first >= begin && failure->first < fence)
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
		piece.commands = all->commands + done;
		piece.n = all->n - done < most ? all->n - done : most;
		/* There may be no room for the next one before this one is complete, which a fence tells. */
		piece.fencing = done + piece.n == all->n || all->fencing == FENCE_NONE ? all->fencing : FENCE_OWN;
		piece.coming = done + piece.n == all->n && all->coming;
		if (!piece_write(ring, &piece, deadline)) {
			if (all->coming)
				atomic_fetch_sub_explicit(&ring->coming, 1, memory_order_relaxed);
			return -IOG_ETIMEDOUT;
		}
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

int iog_ring_submit(struct iog_ring *ring, const struct iog_command *commands, uint32_t n, bool device, uint64_t timeout_ns)
{
	struct piece all = { .commands = commands, .n = n, .fencing = device ? FENCE_OWN : FENCE_SHARED, .coming = true };
	uint64_t deadline = iog_deadline(ring->platform, timeout_ns), begin = 0;
	/* Acquire: read before the commands are written, or a failure of theirs might pass for an older one. */
	uint64_t failures = atomic_load_explicit(&ring->nr_failures, memory_order_acquire);
	int error;

	count(&ring->submissions);
	atomic_fetch_add_explicit(&ring->coming, 1, memory_order_relaxed);
	error = write_all(ring, &all, deadline, &begin);
	if (!error && !all.fence && !fence_wait(ring, &all, deadline))
		error = -IOG_ETIMEDOUT;
	if (!error)
		error = head_wait(ring, all.fence, deadline);
	if (!error)
		error = result_of(ring, failures, begin, all.end, all.fence, device);
	if (error == -IOG_ETIMEDOUT)
		count(&ring->timeouts);
	return error;
}

int iog_ring_post(struct iog_ring *ring, const struct iog_command *commands, uint32_t n, uint64_t timeout_ns)
{
	struct piece all = { .commands = commands, .n = n, .fencing = FENCE_NONE };
	uint64_t begin;

	return write_all(ring, &all, iog_deadline(ring->platform, timeout_ns), &begin);
}

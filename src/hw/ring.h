/* SPDX-License-Identifier: MIT */
/*
 * A command queue in memory, of 16-byte commands, between a tail that software moves and a head that the unit moves: SMMUv3's and the RISC-V IOMMU's.
 *
 *   base <= head <= tail <= head + capacity      fenced <= tail
 *
 * These count commands since the ring was made; a register holds one, less base, modulo a power of two, and the command's slot follows from the same.
 *
 * Several lanes submit at once. Each writes its commands in one piece and waits for a fence behind them: the unit takes commands in order, and passes
 * a fence when all before it are complete, so whoever finds the head beyond one that stands behind his commands is served, whoever placed it. A lane
 * that knows of another about to write leaves the fence to that one, for a while. Who has told a device to forget does not: if the device is silent,
 * his own fence says so.
 *
 * A command that the unit refuses is reported to who submitted it and to nobody else: see iog_ring_fail(). After a time-out nothing is believed; the
 * commands stay in the ring, and its memory with it.
 *
 * Locking: watch_lock, over looking at the head and at errors, one lane at a time; inside it write_lock, over the commands, the tail and its
 * register. Both with interrupts off. The driver's
 * @check is called with watch_lock held, and may take write_lock.
 */
#ifndef IOG_HW_RING_H
#define IOG_HW_RING_H

#include "mmio.h"

/* Failures remembered; whoever has missed some submits again. */
#define IOG_RING_FAILURES 16

struct iog_ring;

struct iog_command {
	uint64_t words[2];
};

struct iog_ring_ops {
	/* The place up to which commands are complete, its low bits (head_mask). At the least each time that a fence was passed. */
	uint32_t (*head)(struct iog_ring *ring);
	/* The tail's register: what was stored before is seen by the unit before. */
	void (*tail)(struct iog_ring *ring, uint32_t tail);
	/* The head does not move: find out whether the unit stopped at an error and if so, iog_ring_fail() and get it going. */
	void (*check)(struct iog_ring *ring);
	/* The fence to be placed at @place. */
	void (*fence)(struct iog_ring *ring, uint64_t place, struct iog_command *command);
};

enum iog_ring_failure_kind {
	IOG_RING_REFUSED, /* the command at @first was refused and left out; other commands are not concerned */
	IOG_RING_DEVICE,  /* the fence at @first was passed without an answer from a device that was told to forget */
	IOG_RING_DROPPED, /* the commands from @first to @last, exclusive, were thrown away */
};

struct iog_ring_failure {
	enum iog_ring_failure_kind kind;
	uint64_t first, last;
};

struct iog_ring {
	const struct iog_ring_ops *ops;
	const struct iog_platform *platform;
	struct iog_command *commands;
	iog_paddr_t paddr;
	uint32_t log2size;
	uint32_t capacity;   /* commands that fit: all, or all but one where full and empty would look alike */
	uint32_t index_mask; /* of the registers: twice the size less one with a wrap bit */
	uint32_t head_mask;
	bool coherent;       /* the unit snoops */

	struct spinlock write_lock;
	_Atomic uint64_t tail;
	_Atomic uint64_t fenced;  /* past the last fence */
	_Atomic uint32_t coming;  /* lanes on their way to write */

	struct spinlock watch_lock;
	uint64_t base;          /* changed with write_lock held, too */
	_Atomic uint64_t head;
	uint32_t still; /* looks at the head since it last moved */

	_Atomic uint64_t nr_failures;
	struct iog_ring_failure failures[IOG_RING_FAILURES];

	_Atomic uint64_t submissions;
	_Atomic uint64_t fences;
	_Atomic uint64_t timeouts;
};

/**
 * iog_ring_create() - memory for a ring.
 * @ring: zeroed but for ops and coherent.
 * @platform: the host.
 * @log2size: its size.
 * @wrap: the registers count to twice the size, so that all of it may be used. head_mask is index_mask; the driver may change that.
 *
 * Return: 0; -IOG_ENOMEM.
 */
int iog_ring_create(struct iog_ring *ring, const struct iog_platform *platform, uint32_t log2size, bool wrap);

/* The unit does not read it any more. */
void iog_ring_destroy(struct iog_ring *ring);

/* Empty, and the registers will be set to 0; nobody is in it. */
void iog_ring_reset(struct iog_ring *ring);

/**
 * iog_ring_submit() - commands, and wait until they are complete.
 * @ring: the ring.
 * @commands: these.
 * @n: how many; more than fit at once go in several pieces.
 * @device: a device has to answer: they fail if it does not.
 * @timeout_ns: for all of it.
 *
 * Context: several lanes at once.
 * Return: 0; -IOG_ETIMEDOUT when the unit, or with @device the device, has not answered; -IOG_EIO when it refused one of them, the others being complete; -IOG_EAGAIN when they were lost:
 *         submit them again.
 */
int iog_ring_submit(struct iog_ring *ring, const struct iog_command *commands, uint32_t n, bool device, uint64_t timeout_ns);

/* The same, with nobody waiting: 0, or -IOG_ETIMEDOUT when there was no room. */
int iog_ring_post(struct iog_ring *ring, const struct iog_command *commands, uint32_t n, uint64_t timeout_ns);

/* Look at the head, and at errors if it has not moved for a while or if @errors. */
void iog_ring_watch(struct iog_ring *ring, bool errors);

/* The following are for check(), which holds watch_lock. */

/* Remember a failure. Before the unit goes on beyond it. */
void iog_ring_fail(struct iog_ring *ring, enum iog_ring_failure_kind kind, uint64_t first, uint64_t last);

/* The place of the command that a register names. */
static inline uint64_t iog_ring_place(const struct iog_ring *ring, uint32_t index)
{
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

	return head + ((index - (uint32_t)(head - ring->base)) & ring->index_mask);
}

/* What is to be executed instead of a command that was refused. */
void iog_ring_replace(struct iog_ring *ring, uint64_t place, const struct iog_command *command);

/* Throw away all that is in the ring. The caller holds write_lock, has stopped the unit, and starts it again with its registers at 0. */
void iog_ring_drop(struct iog_ring *ring);

#endif

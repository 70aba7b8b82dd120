/* SPDX-License-Identifier: MIT */
/*
 * A command queue in memory, between a tail that software moves and a head that the unit moves: VT-d's invalidation queue, AMD-Vi's command buffer, SMMUv3's and the RISC-V IOMMU's command queue.
 *
 *   base <= confirmed <= head <= tail      tail <= max(confirmed, fetched) + capacity      fenced <= tail
 *
 * These count commands since the ring was made; a register holds one, less base, modulo a power of two, and the command's slot follows from the same.
 *
 * Several lanes submit at once. Each writes its commands in one piece and waits for a fence behind them: the unit takes commands in order, and passes a fence when all before it are complete, so
 * whoever finds the head beyond one that stands behind his commands is served, whoever placed it. A lane that finds a fence in flight adds none: the first who sees that one passed adds the next,
 * for all who came meanwhile. Nobody depends on another lane being scheduled: whoever looks first does what is due for all. Who has told a device to forget adds his own, as it is his that says whether
 * the device has answered.
 *
 *   fence                                                  the head is known by
 *   VT-d wait descriptor, AMD-Vi COMPLETION_WAIT,          the place behind it, which the fence writes to memory: waiting
 *   RISC-V IOFENCE.C                                       reads no register. Places rise, so a late answer is nobody's
 *   SMMUv3 CMD_SYNC                                        the unit's register
 *
 * What goes wrong is found by @check, and told to those whom it concerns: see iog_ring_fail(), iog_ring_abort(), iog_ring_drop(). After a time-out nothing is believed; the commands stay in the ring, and its memory with
 * it. Until the unit answers again, others wait for less long.
 *
 * Locking: watch_lock, over looking at the head and at errors, one lane at a time; inside it write_lock, over the commands, the tail and its register. Both with interrupts off. @check is called with
 * watch_lock held.
 */
#ifndef IOG_HW_RING_H
#define IOG_HW_RING_H

#include "mmio.h"

/* Failures remembered; whoever has missed some submits again. */
#define IOG_RING_FAILURES 16
/* Times that what was lost is submitted again, where the caller is the driver. */
#define IOG_RING_AGAIN 4

/* Instead of a device: no device, and one that the unit does not name. */
#define IOG_RING_NO_DEVICE UINT32_MAX
#define IOG_RING_SOME_DEVICE (UINT32_MAX - 1)

struct iog_ring;

/* In slots of 32 bytes the rest is zero. */
struct iog_command {
	uint64_t words[2];
};

struct iog_ring_ops {
	/* The place up to which commands are complete, its low bits (index_mask). NULL: fences write their places to @answer. */
	uint32_t (*head)(struct iog_ring *ring);
	/* Optional, where @head says less: the register of what was fetched, UINT32_MAX if there is nobody. Read when the ring looks full. */
	uint32_t (*fetched)(struct iog_ring *ring);
	/* The tail's register: what was stored before is seen by the unit before. */
	void (*tail)(struct iog_ring *ring, uint32_t tail);
	/* The head does not move: find out whether the unit stopped at an error and if so, tell, and get it going. */
	void (*check)(struct iog_ring *ring);
	/* The fence to be placed before @place, which it writes where it writes. */
	void (*fence)(struct iog_ring *ring, uint64_t place, struct iog_command *command);
	/* Optional: whether a command that nobody waits for outlives iog_ring_drop(). */
	bool (*keep)(const struct iog_command *command);
};

enum iog_ring_failure_kind {
	IOG_RING_REFUSED, /* the command at @first was refused and left out; other commands are not concerned */
	IOG_RING_DEVICE,  /* the fence at @first was passed without an answer from a device that was told to forget */
	IOG_RING_LOST,    /* the commands from @first to @last, exclusive, or the fences behind them; on account of @device */
};

struct iog_ring_failure {
	enum iog_ring_failure_kind kind;
	uint32_t device;
	uint64_t first, last;
};

struct iog_ring {
	const struct iog_ring_ops *ops;
	const struct iog_platform *platform;
	uint8_t *slots;
	iog_paddr_t paddr;
	_Atomic uint32_t *answer; /* a page */
	iog_paddr_t answer_paddr;
	uint32_t log2size;
	uint32_t slot_shift; /* 4, 5 */
	uint32_t capacity;   /* commands that fit: all, or all but one where full and empty would look alike */
	uint32_t index_mask; /* of the registers: twice the size less one with a wrap bit */
	uint32_t head_mask;
	uint32_t patience;   /* looks at a head that stands still, between looks for errors */
	bool coherent;        /* the unit snoops what it reads */
	bool answers_snooped; /* and what it writes */

	struct spinlock write_lock;
	uint64_t fetched;
	_Atomic uint64_t tail;
	_Atomic uint64_t fenced;  /* past the last fence */
	_Atomic uint64_t waived;  /* fences before are not waited for any more: somebody has waited in vain */

	struct spinlock watch_lock;
	uint64_t base;              /* changed with write_lock held, too */
	_Atomic uint64_t confirmed; /* as the unit said last */
	_Atomic uint64_t head;      /* nobody waits for what is before it */
	uint32_t still; /* looks at the head since it last moved */

	_Atomic bool stalled; /* somebody was not answered in time, and nothing was since */
	_Atomic uint64_t nr_failures;
	struct iog_ring_failure failures[IOG_RING_FAILURES];

	_Atomic uint64_t submissions;
	_Atomic uint64_t fences;
	_Atomic uint64_t shared; /* submissions that another's fence served */
	_Atomic uint64_t timeouts;
};

/**
 * iog_ring_create() - memory for a ring.
 * @ring: zeroed but for ops, coherent and answers_snooped.
 * @platform: the host.
 * @log2size: its size, slots.
 * @slot_shift: of 2^@slot_shift bytes.
 * @wrap: the registers count to twice the size, so that all of it may be used.
 *
 * Return: 0; -IOG_ENOMEM.
 */
int iog_ring_create(struct iog_ring *ring, const struct iog_platform *platform, uint32_t log2size, uint32_t slot_shift, bool wrap);

/* The unit does not read it any more. */
void iog_ring_destroy(struct iog_ring *ring);

/* Empty, and the registers will be set to 0; nobody is in it. */
void iog_ring_reset(struct iog_ring *ring);

/**
 * iog_ring_submit() - commands, and wait until they are complete.
 * @ring: the ring.
 * @commands: these, of 16 bytes each.
 * @n: how many; more than fit at once go in several pieces.
 * @device: which one has to answer: they fail if it does not. Or IOG_RING_NO_DEVICE.
 * @timeout_ns: for all of it.
 *
 * Context: several lanes at once.
 * Return: 0; -IOG_ETIMEDOUT when the unit, or with @device the device, has not answered; -IOG_EIO when it refused one of them, the others being complete; -IOG_EAGAIN when they were lost:
 *         submit them again.
 */
int iog_ring_submit(struct iog_ring *ring, const void *commands, uint32_t n, uint32_t device, uint64_t timeout_ns);

/* The same, with nobody waiting: 0, or -IOG_ETIMEDOUT when there was no room. With @timeout_ns 0 it is tried and not waited for. */
int iog_ring_post(struct iog_ring *ring, const void *commands, uint32_t n, uint64_t timeout_ns);

/* Look at the head, and at errors if it has not moved for a while or if @errors. */
void iog_ring_watch(struct iog_ring *ring, bool errors);

/* The following are for check(), which holds watch_lock. */

/* Remember a failure. Before the unit goes on beyond it. */
void iog_ring_fail(struct iog_ring *ring, enum iog_ring_failure_kind kind, uint64_t first, uint64_t last, uint32_t device);

/* The place of the command that a register names. */
static inline uint64_t iog_ring_place(const struct iog_ring *ring, uint32_t index)
{
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

	return head + ((index - (uint32_t)(head - ring->base)) & ring->index_mask);
}

/* What is to be executed instead of a command that was refused. The caller holds write_lock. */
void iog_ring_replace(struct iog_ring *ring, uint64_t place, const struct iog_command *command);

/*
 * The unit has thrown away fences, and goes on with commands: all who wait submit again, but for who waits for @device. The caller holds write_lock until the error is acknowledged, and then tells
 * the tail's register again.
 */
void iog_ring_abort(struct iog_ring *ring, uint32_t device);

/*
 * Throw away all from @first on, and move up what is kept. The caller holds write_lock, has stopped the unit, and starts it again: with its registers at 0, or where commands are kept at
 * iog_ring_index() of head and tail.
 */
void iog_ring_drop(struct iog_ring *ring, uint64_t first);

/* A place as registers have it. */
static inline uint32_t iog_ring_index(const struct iog_ring *ring, uint64_t place)
{
	return (uint32_t)(place - ring->base) & ring->index_mask;
}

#endif

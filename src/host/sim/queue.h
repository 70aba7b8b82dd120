/* SPDX-License-Identifier: MIT */
/*
 * The invalidation queue: commands wait in a ring and are executed in order, by a wait, or when the ring is full.
 *
 * Time. Where costs are configured, hardware is a clock that runs on while commands wait: each pushes @busy_until by what it costs. A wait is due when all before it and
 * the wait itself are done; whoever of those that it serves sees that first executes what it covers. One wait runs at a time. Who comes meanwhile puts its commands
 * behind it, and the next wait serves all of them. Nobody holds the unit's lock while time passes.
 *
 * Failure. A wait that does not complete by its deadline, or that hardware aborts, empties the queue: commands that have not been executed are lost, and each caller
 * that had one there, or was waiting, is told.
 *
 * Invariants: submitted - executed = commands in the ring <= size. Command n is the n-th ever submitted, from 1. waits_done = waits_begun - running.
 * Locking: the unit's lock, but for @skew and @done, which are read while time passes.
 */
#ifndef IOG_SIM_QUEUE_H
#define IOG_SIM_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <iogate/types.h>

struct iog_gather;
struct iog_sim;
struct iog_sim_domain;
struct sim_device;

enum command_flags {
	COMMAND_LEAF_ONLY = 1 << 0, /* keep the walk caches */
	COMMAND_DOMAIN = 1 << 1,    /* the whole domain */
	COMMAND_NAMED = 1 << 2,     /* the submitter's own unmapped pages and no others, see oracle.h */
	COMMAND_DEVICE = 1 << 3,    /* a device's TLB instead of the unit's caches; with COMMAND_DOMAIN all of it */
	COMMAND_SILENT = 1 << 4,    /* the device will not answer */
};

struct command {
	struct iog_sim_domain *domain;
	struct sim_device *device; /* with COMMAND_DEVICE */
	iog_iova_t first;
	iog_iova_t last;
	uint32_t flags; /* enum command_flags */
};

/* What the running wait will come to. */
enum wait_fate {
	WAIT_COMPLETES,
	WAIT_STALLS,  /* nothing more is executed */
	WAIT_IS_LOST, /* what it covers is executed, and nobody hears of it */
	WAIT_ABORTS,  /* with everything in the queue */
};

/* A caller that has commands in the queue, or waits. On its stack, in the queue's list from before its first command to its answer. */
struct waiter {
	struct waiter *next;
	uint64_t last;  /* its last command; 0: none yet */
	uint64_t needs; /* the wait that serves it; 0: it does not wait yet */
	int outcome;    /* 0, or how it was lost: -IOG_ETIMEDOUT; -IOG_EAGAIN, submit again */
	bool silent;    /* one of its commands went to a device that will not answer */
};

struct queue {
	struct command *ring;
	uint32_t size;
	bool timed;  /* constant: something has a cost */
	bool shared; /* constant: a wait serves all who came before it */
	bool modelled; /* timed, or faults are armed: waits take the long way */
	uint64_t submitted;
	uint64_t executed;

	/* The running wait. */
	bool running;
	bool spurious; /* somebody else's completion comes before its own */
	enum wait_fate fate;
	uint64_t covers; /* commands up to this */
	uint64_t due;
	uint64_t waits_begun;

	struct waiter *waiters;
	uintptr_t thread; /* that waited first */
	bool threads;     /* others have waited, too */
	uint64_t raw_last;   /* the last command that came without a waiter */
	int raw_outcome;     /* what has become of those that were lost; 0: none were */
	uint64_t busy_until; /* when hardware will have executed all that is in the ring */
	uint64_t random;     /* state, see iog_sim_random() */

	_Atomic uint64_t done; /* waits that have ended */
	_Atomic uint64_t skew; /* how far the simulated clock is ahead of the host's: deadlines that nobody waited for, ns */
};

/* Returns 0 or -IOG_ENOMEM; fini is called in either case. */
int iog_sim_queue_init(struct queue *queue, uint32_t size);
void iog_sim_queue_fini(struct queue *queue);

/*
 * One command. With costs or faults it may let go of the lock while the ring is full. @waiter: the caller; NULL for commands that somebody will wait for later. Returns 0, or
 * what has become of the caller's commands.
 */
int iog_sim_queue_submit(struct iog_sim *sim, const struct command *command, struct waiter *waiter);

/* Execute all that was submitted, now. */
void iog_sim_queue_drain(struct iog_sim *sim);

/* Execute up to command @number. @told: whether the judge may take it for completed. */
void iog_sim_queue_execute(struct iog_sim *sim, uint64_t number, bool told);

/* Commands of the ring that were not executed are gone. */
void iog_sim_queue_discard(struct iog_sim *sim);

/*
 * Commands, a wait, and again if hardware aborts them: what @gather asks for, or with NULL the whole domain. The lock is let go while time passes. Returns 0; -IOG_ETIMEDOUT;
 * -IOG_EIO.
 */
int iog_sim_queue_invalidate(struct iog_sim_domain *domain, const struct iog_gather *gather);

/* The same in the TLB of a device. */
int iog_sim_queue_invalidate_device(struct iog_sim *sim, struct sim_device *device, const struct iog_gather *gather);

/* wait.c */

/* In and out of the queue's list. */
void iog_sim_waiter_enter(struct iog_sim *sim, struct waiter *waiter);
void iog_sim_waiter_leave(struct iog_sim *sim, struct waiter *waiter);

/* A wait after all that was submitted. Lets go of the lock while time passes. Returns 0 or the waiter's outcome. */
int iog_sim_wait(struct iog_sim *sim, struct waiter *waiter);

/* The ring is full: until it is not. Lets go of the lock. */
void iog_sim_wait_room(struct iog_sim *sim);

/* Until no wait is running; and then all that is in the ring is executed. Lets go of the lock. */
void iog_sim_wait_idle(struct iog_sim *sim);

/* Everybody who has something in the queue is told @error, and it is empty. */
void iog_sim_queue_recover(struct iog_sim *sim, int error);

/* A deadline passes without being waited for. */
void iog_sim_skip_ns(struct iog_sim *sim, uint64_t ns);

/* The simulated clock, ns. */
uint64_t iog_sim_now(struct iog_sim *sim);

/* The next of the seed's numbers. */
uint64_t iog_sim_random(struct iog_sim *sim);

#endif

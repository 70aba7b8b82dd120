/* SPDX-License-Identifier: MIT */
/*
 * The command queue's registers, and getting it going again when the unit has stopped at a command (4.1, 6.15).
 *
 *   cmd_ill   the command becomes a fence that says nothing, and its submitter is told
 *   cmd_to    a device has not answered before this IOFENCE.C: who placed it is told, and the unit goes on with it
 *   cqmf      the unit could not read the command, or write its answer: it tries again
 * What stops at one place for the fourth time is given up: the queue is emptied, and all who were in it submit again.
 *
 * cqh says what was fetched, and not what is complete, so each fence that is waited for writes its place to memory: waiting reads memory, and no register. It is read only when the queue looks full: what was
 * given up behind the last fence is known by nothing else to be out of it.
 *
 * Locking: ring_check() runs under the ring's watch_lock, and is the only one to change cqcsr while the unit is on.
 */
#include "riscv.h"

#define REFUSED_MAX 4
#define CQCSR_RUNNING (CQCSR_CQEN | CQCSR_CIE)

static struct iog_riscv *ring_riscv(struct iog_ring *ring)
{
	return (struct iog_riscv *)(void *)((char *)ring - offsetof(struct iog_riscv, ring));
}

static uint32_t ring_fetched(struct iog_ring *ring)
{
	uint32_t head = iog_mmio_read32(&ring_riscv(ring)->mmio, CQH);

	return head == UINT32_MAX ? UINT32_MAX : head & ring->index_mask;
}

static void ring_tail(struct iog_ring *ring, uint32_t tail)
{
	struct iog_mmio *mmio = &ring_riscv(ring)->mmio;

	iog_mmio_publish(mmio);
	iog_mmio_write32(mmio, CQT, tail);
}

/* All that devices have read and written by what was forgotten is done, too (PR, PW). */
static void ring_fence(struct iog_ring *ring, uint64_t place, struct iog_command *command)
{
	command->words[0] = CMD_IOFENCE_C | CMD0_AV | CMD0_PR | CMD0_PW | CMD0_DATA((uint32_t)place);
	command->words[1] = CMD1_FENCE_ADDRESS(ring->answer_paddr);
}

int iog_riscv_queue_set(struct iog_riscv *riscv, uint32_t csr, uint32_t value)
{
	uint32_t wanted = value & 1 ? CSR_ON : 0;

	iog_mmio_write32(&riscv->mmio, csr, value);
	return iog_mmio_poll32(&riscv->mmio, csr, CSR_ON | CSR_BUSY, wanted, rv_timeout(riscv), NULL);
}

/* Under write_lock: nobody gets an answer to what is in the queue. */
static void queue_restart(struct iog_riscv *riscv)
{
	if (!iog_riscv_queue_set(riscv, CQCSR, 0)) {
		iog_ring_drop(&riscv->ring, atomic_load_explicit(&riscv->ring.head, memory_order_relaxed));
		/* An answer of before is below the ring's head, and ignored. The unit sets its head to 0 when the queue is turned on. */
		iog_mmio_write32(&riscv->mmio, CQT, 0);
	}
	(void)iog_riscv_queue_set(riscv, CQCSR, CQCSR_RUNNING);
}

/* Under write_lock. */
static void queue_go_on(struct iog_riscv *riscv, uint32_t errors)
{
	struct iog_ring *ring = &riscv->ring;
	uint64_t place = iog_ring_place(ring, iog_mmio_read32(&riscv->mmio, CQH) & ring->index_mask);

	riscv->refused = place == riscv->refused_at ? riscv->refused + 1 : 1;
	riscv->refused_at = place;
	if (riscv->refused >= REFUSED_MAX) {
		riscv->refused = 0;
		/* Errors go with the write that turns it off. */
		iog_mmio_write32(&riscv->mmio, CQCSR, CQCSR_RUNNING | errors);
		queue_restart(riscv);
		return;
	}
	if (errors & CQCSR_CMD_ILL) {
		const struct iog_command nothing = { { CMD_IOFENCE_C, 0 } };

		iog_ring_fail(ring, IOG_RING_REFUSED, place, place + 1, IOG_RING_NO_DEVICE);
		iog_ring_replace(ring, place, &nothing);
	} else if (errors & CQCSR_CMD_TO) {
		iog_ring_fail(ring, IOG_RING_DEVICE, place, place + 1, IOG_RING_NO_DEVICE);
	}
	/* Writing ones lets it go on, so the failure is noted before, and what it reads is there. */
	iog_mmio_publish(&riscv->mmio);
	iog_mmio_write32(&riscv->mmio, CQCSR, CQCSR_RUNNING | errors);
}

static void ring_check(struct iog_ring *ring)
{
	struct iog_riscv *riscv = ring_riscv(ring);
	uint32_t csr = iog_mmio_read32(&riscv->mmio, CQCSR), errors = csr & CQCSR_ERRORS;
	uintptr_t flags;

	/* All ones: nobody is there. */
	if (!errors || csr == UINT32_MAX)
		return;
	rv_count(&riscv->command_errors, 1);
	flags = spin_lock(&ring->write_lock, riscv->platform);
	queue_go_on(riscv, errors);
	spin_unlock(&ring->write_lock, riscv->platform, flags);
}

const struct iog_ring_ops iog_riscv_ring_ops = {
	.fetched = ring_fetched,
	.tail = ring_tail,
	.check = ring_check,
	.fence = ring_fence,
};

static int submit(struct iog_riscv *riscv, const struct iog_command *commands, uint32_t n, uint32_t device, uint64_t timeout_ns)
{
	/* It may be reading, and cannot be told. */
	if (riscv->half_on)
		return -IOG_ETIMEDOUT;
	if (!riscv->on || !n)
		return 0;
	rv_count(&riscv->commands, n);
	return iog_ring_submit(&riscv->ring, commands, n, device, timeout_ns);
}

int iog_riscv_submit(struct iog_riscv *riscv, const struct iog_command *commands, uint32_t n)
{
	return submit(riscv, commands, n, IOG_RING_NO_DEVICE, rv_timeout(riscv));
}

int iog_riscv_submit_again(struct iog_riscv *riscv, const struct iog_command *commands, uint32_t n)
{
	int error = -IOG_EAGAIN;

	for (uint32_t times = 0; times < IOG_RING_AGAIN && error == -IOG_EAGAIN; times++)
		error = iog_riscv_submit(riscv, commands, n);
	return error == -IOG_EAGAIN ? -IOG_EIO : error;
}

int iog_riscv_submit_device(struct iog_riscv *riscv, const struct iog_command *commands, uint32_t n)
{
	return submit(riscv, commands, n, IOG_RING_SOME_DEVICE, riscv->config.device_timeout_ms * UINT64_C(1000000));
}

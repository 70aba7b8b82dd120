/* SPDX-License-Identifier: MIT */
/*
 * The command queue's registers, and getting it going again when the unit has stopped at a command (SMMUv3 7.1).
 *
 *   CERROR_ILL            the command becomes a CMD_SYNC, which harms nobody, and its submitter is told
 *   CERROR_ATC_INV_SYNC   a device has not answered before this CMD_SYNC: who placed it is told, and the unit goes on with it
 *   CERROR_ABT            the unit could not read the command: it tries again
 * What stops at one place for the fourth time is given up: the queue is emptied, and all who were in it submit again. Answers to stalled transactions
 * (CMD_RESUME), which nobody waits for, stay in it.
 *
 * Locking: smmu_check() runs under the ring's watch_lock, and has GERRORN to itself.
 */
#include "smmuv3.h"

#define REFUSED_MAX 4

static struct iog_smmuv3 *ring_smmu(struct iog_ring *ring)
{
	return (struct iog_smmuv3 *)(void *)((char *)ring - offsetof(struct iog_smmuv3, ring));
}

static uint32_t ring_head(struct iog_ring *ring)
{
	uint32_t cons = iog_mmio_read32(&ring_smmu(ring)->page0, CMDQ_CONS);

	/* All ones: nobody is there, although their low bits may be a place that is waited for. */
	if (cons == UINT32_MAX)
		return iog_ring_index(ring, atomic_load_explicit(&ring->head, memory_order_relaxed));
	return cons & ring->index_mask;
}

static void ring_tail(struct iog_ring *ring, uint32_t tail)
{
	struct iog_mmio *page0 = &ring_smmu(ring)->page0;

	iog_mmio_publish(page0);
	iog_mmio_write32(page0, CMDQ_PROD, tail);
}

static void ring_fence(struct iog_ring *ring, uint64_t place, struct iog_command *command)
{
	(void)ring;
	(void)place;
	/* CS = 0: complete when CMDQ_CONS is beyond it. */
	*command = (struct iog_command){ { CMD_SYNC, 0 } };
}

/* A transaction waits for it, and no lane. */
static bool ring_keep(const struct iog_command *command)
{
	return (command->words[0] & 0xff) == CMD_RESUME;
}

/* Under write_lock: nobody gets an answer to what is in the queue from @place on. Its pointers may be set when it is off (6.3.28). */
static void queue_restart(struct iog_smmuv3 *smmu, uint64_t place)
{
	struct iog_mmio *page0 = &smmu->page0;
	struct iog_ring *ring = &smmu->ring;
	uint32_t cr0 = iog_mmio_read32(page0, CR0ACK);

	iog_mmio_write32(page0, CR0, cr0 & ~(uint32_t)CR0_CMDQEN);
	if (!iog_mmio_poll32(page0, CR0ACK, (uint32_t)CR0_CMDQEN, 0, smmu_timeout(smmu), NULL)) {
		iog_ring_drop(ring, place);
		iog_mmio_publish(page0);
		iog_mmio_write32(page0, CMDQ_PROD, iog_ring_index(ring, atomic_load_explicit(&ring->tail, memory_order_relaxed)));
		iog_mmio_write32(page0, CMDQ_CONS, iog_ring_index(ring, atomic_load_explicit(&ring->head, memory_order_relaxed)));
	}
	iog_mmio_write32(page0, CR0, cr0 | (uint32_t)CR0_CMDQEN);
	(void)iog_mmio_poll32(page0, CR0ACK, (uint32_t)CR0_CMDQEN, (uint32_t)CR0_CMDQEN, smmu_timeout(smmu), NULL);
}

static void ring_check(struct iog_ring *ring)
{
	struct iog_smmuv3 *smmu = ring_smmu(ring);
	uint32_t active = iog_mmio_read32(&smmu->page0, GERROR) ^ smmu->gerrorn, cons;
	struct iog_command sync;
	uintptr_t flags;
	uint64_t place;

	/* All ones: nobody is there. */
	if (!(active & GERROR_CMDQ) || active & ~(uint32_t)GERROR_KNOWN)
		return;
	smmu_count(&smmu->command_errors, 1);
	flags = spin_lock(&ring->write_lock, smmu->platform);
	cons = iog_mmio_read32(&smmu->page0, CMDQ_CONS);
	place = iog_ring_place(ring, cons & ring->index_mask);
	smmu->refused = place == smmu->refused_at ? smmu->refused + 1 : 1;
	smmu->refused_at = place;
	if (smmu->refused >= REFUSED_MAX) {
		smmu->refused = 0;
		queue_restart(smmu, place);
	} else if (CMDQ_CONS_ERR(cons) == CERROR_ILL) {
		iog_ring_fail(ring, IOG_RING_REFUSED, place, place + 1, IOG_RING_NO_DEVICE);
		ring_fence(ring, place, &sync);
		iog_ring_replace(ring, place, &sync);
	} else if (CMDQ_CONS_ERR(cons) == CERROR_ATC_INV_SYNC) {
		iog_ring_fail(ring, IOG_RING_DEVICE, place, place + 1, IOG_RING_NO_DEVICE);
	}
	/* The acknowledgement lets it go on, so the failure is noted before, and what it reads is there. */
	iog_mmio_publish(&smmu->page0);
	smmu->gerrorn ^= (uint32_t)GERROR_CMDQ;
	iog_mmio_write32(&smmu->page0, GERRORN, smmu->gerrorn);
	spin_unlock(&ring->write_lock, smmu->platform, flags);
}

const struct iog_ring_ops iog_smmuv3_ring_ops = {
	.head = ring_head,
	.tail = ring_tail,
	.check = ring_check,
	.fence = ring_fence,
	.keep = ring_keep,
};

static int submit(struct iog_smmuv3 *smmu, const struct iog_command *commands, uint32_t n, uint32_t device, uint64_t timeout_ns)
{
	int error;

	/* It may be reading, and cannot be told. */
	if (smmu->half_on)
		return -IOG_ETIMEDOUT;
	if (!smmu->on || !n)
		return 0;
	smmu_count(&smmu->commands, n);
	error = iog_ring_submit(&smmu->ring, commands, n, device, timeout_ns);
	/* There is room now. */
	if (atomic_load_explicit(&smmu->stalls_left, memory_order_relaxed))
		iog_smmuv3_stalls_end(smmu);
	return error;
}

int iog_smmuv3_submit(struct iog_smmuv3 *smmu, const struct iog_command *commands, uint32_t n)
{
	return submit(smmu, commands, n, IOG_RING_NO_DEVICE, smmu_timeout(smmu));
}

int iog_smmuv3_submit_again(struct iog_smmuv3 *smmu, const struct iog_command *commands, uint32_t n)
{
	int error = -IOG_EAGAIN;

	for (uint32_t times = 0; times < IOG_RING_AGAIN && error == -IOG_EAGAIN; times++)
		error = iog_smmuv3_submit(smmu, commands, n);
	return error == -IOG_EAGAIN ? -IOG_EIO : error;
}

int iog_smmuv3_submit_device(struct iog_smmuv3 *smmu, const struct iog_command *commands, uint32_t n)
{
	return submit(smmu, commands, n, IOG_RING_SOME_DEVICE, smmu->config.device_timeout_ms * UINT64_C(1000000));
}

/* SPDX-License-Identifier: MIT */
/*
 * What a gather holds, as commands.
 *
 *   leaves only            INVALIDATE_IOMMU_PAGES, PDE = 0: cached table entries stay (AMD IOMMU 2.4.3)
 *   a table was unlinked   the same with PDE = 1, and so for the span of each table
 *   not-present cached     (NpCache) maps come here with walk_caches set: PDE = 1
 *   guest tables           GN = 1, by domain id and the one PASID
 *
 * COMPLETION_WAIT is stored when all that hardware had begun by an old translation has been seen by everybody (2.4.1).
 */
#include "amdvi.h"

struct batch {
	struct amdvi_command commands[AMDVI_BATCH];
	uint32_t count;
	uint32_t most; /* commands, beyond which it is the domain */
};

int iog_amdvi_submit(struct iog_amdvi *amdvi, const struct amdvi_command *commands, uint32_t count)
{
	for (uint32_t n = 0; n < count; n++) {
		switch (AMDVI_OPCODE(&commands[n])) {
		case AMDVI_INVALIDATE_DEVTAB_ENTRY:
			amdvi_count(&amdvi->counters.devtab, 1);
			break;
		case AMDVI_INVALIDATE_IOTLB_PAGES:
			amdvi_count(&amdvi->counters.device, 1);
			break;
		case AMDVI_INVALIDATE_INTERRUPT_TABLE:
			amdvi_count(&amdvi->counters.interrupt, 1);
			break;
		case AMDVI_INVALIDATE_IOMMU_PAGES:
			if ((commands[n].high & ~UINT64_C(0xfff)) != AMDVI_INV_EVERYTHING) {
				amdvi_count(&amdvi->counters.page, 1);
				break;
			}
			/* fall through */
		default:
			amdvi_count(&amdvi->counters.domain, 1);
		}
	}
	return iog_amdvi_queue_submit(amdvi, commands, count);
}

int iog_amdvi_submit_again(struct iog_amdvi *amdvi, const struct amdvi_command *commands, uint32_t count)
{
	int error = -IOG_EAGAIN;

	for (uint32_t n = 0; n < AMDVI_AGAIN && error == -IOG_EAGAIN; n++)
		error = iog_amdvi_submit(amdvi, commands, count);
	return error == -IOG_EAGAIN ? -IOG_EIO : error;
}

static int flush_batch(struct iog_amdvi *amdvi, struct batch *batch)
{
	int error = batch->count ? iog_amdvi_submit_again(amdvi, batch->commands, batch->count) : 0;

	batch->count = 0;
	return error;
}

int iog_amdvi_invalidate_all(struct iog_amdvi *amdvi)
{
	struct amdvi_command all = amdvi_all();
	struct batch batch = { .count = 0 };
	int error = 0;

	if (amdvi->features & AMDVI_EFR_IA_SUP)
		return iog_amdvi_submit_again(amdvi, &all, 1);
	/* One by one; entries first, so that nothing is fetched by old ones any more. Happens when the unit is turned on. */
	for (uint32_t device = 0; !error && device <= 0xffff; device++) {
		batch.commands[batch.count++] = amdvi_devtab_entry(device);
		if (batch.count == AMDVI_BATCH)
			error = flush_batch(amdvi, &batch);
	}
	for (uint32_t device = 0; amdvi->interrupts && !error && device <= 0xffff; device++) {
		batch.commands[batch.count++] = amdvi_interrupt_table(device);
		if (batch.count == AMDVI_BATCH)
			error = flush_batch(amdvi, &batch);
	}
	for (uint32_t id = 0; !error && id <= 0xffff; id++) {
		batch.commands[batch.count++] = amdvi_pages(id, AMDVI_INV_EVERYTHING, AMDVI_INV_S | AMDVI_INV_PDE);
		if (batch.count == AMDVI_BATCH)
			error = flush_batch(amdvi, &batch);
	}
	return error ? error : flush_batch(amdvi, &batch);
}

struct amdvi_command iog_amdvi_domain_command(const struct iog_amdvi *amdvi, uint32_t id)
{
	return amdvi_pages(id, AMDVI_INV_EVERYTHING, AMDVI_INV_S | AMDVI_INV_PDE | (amdvi_is_guest(amdvi, id) ? AMDVI_INV_GN : 0));
}

/* The power of two of the smallest block that is no smaller than [first, last]; at least a page, 64 for everything. */
static uint32_t shift_of(uint64_t first, uint64_t last)
{
	uint64_t pages = (last >> AMDVI_PAGE_SHIFT) - (first >> AMDVI_PAGE_SHIFT) + 1;
	uint32_t shift = AMDVI_PAGE_SHIFT;

	while (shift < 64 && UINT64_C(1) << (shift - AMDVI_PAGE_SHIFT) < pages)
		shift++;
	return shift;
}

/*
 * A range is covered by one aligned block of its size rounded up, or by two where it lies across a boundary: what is forgotten beyond it costs misses, where exact commands would cost time.
 * Whether one or two were put into @blocks; 0 for so large a range that it is everything.
 */
static uint32_t blocks_of(uint64_t first, uint64_t last, uint64_t *blocks)
{
	uint32_t shift = shift_of(first, last), count = 0;

	if (shift >= 63)
		return 0;
	for (uint64_t block = first >> shift; block <= last >> shift; block++)
		blocks[count++] = amdvi_block(block << shift, shift);
	return count;
}

/* False: it would be too many. */
static bool add_range(struct batch *batch, uint32_t id, uint64_t first, uint64_t last, uint64_t flags)
{
	uint64_t blocks[2];
	uint32_t count = blocks_of(first, last, blocks);

	if (!count || batch->count + count > batch->most)
		return false;
	for (uint32_t n = 0; n < count; n++)
		batch->commands[batch->count++] = amdvi_pages(id, blocks[n], flags);
	return true;
}

/* False: the domain is to be forgotten. */
static bool add_gather(struct batch *batch, uint32_t id, const struct iog_gather *gather, uint64_t guest)
{
	uint64_t pde = gather->nr_tables || gather->walk_caches ? AMDVI_INV_PDE : 0;

	if (gather->everything)
		return false;
	for (uint32_t n = 0; n < gather->nr_ranges; n++)
		if (!add_range(batch, id, gather->ranges[n].first, gather->ranges[n].last, pde | guest))
			return false;
	for (uint32_t n = 0; n < gather->nr_tables; n++)
		if (!add_range(batch, id, gather->tables[n].span.first, gather->tables[n].span.last, AMDVI_INV_PDE | guest))
			return false;
	return true;
}

int iog_amdvi_invalidate(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather)
{
	struct iog_amdvi *amdvi = amdvi_of(unit);
	struct batch batch = { .count = 0, .most = amdvi->config.commands_max };

	/* Acquire: pairs with the release in iog_amdvi_enable(), which drops everything before hardware may remember. */
	if (!atomic_load_explicit(&amdvi->running, memory_order_acquire))
		return 0;
	if (!gather || !add_gather(&batch, id, gather, amdvi_is_guest(amdvi, id) ? AMDVI_INV_GN : 0)) {
		batch.commands[0] = iog_amdvi_domain_command(amdvi, id);
		batch.count = 1;
	}
	return batch.count ? iog_amdvi_submit(amdvi, batch.commands, batch.count) : 0;
}

/*
 * Commands for the TLB of @device, and whether it has answered: hardware goes on without, and says so in the event log (2.5.8). One that is full says nothing, and another device may keep it so:
 * then this is not known, and is to be asked again.
 */
static int device_submit(struct iog_amdvi *amdvi, uint32_t device, const struct amdvi_command *commands, uint32_t count)
{
	uint32_t before = atomic_load_explicit(&amdvi->tlb_timeouts, memory_order_acquire), losses = atomic_load_explicit(&amdvi->log_losses, memory_order_acquire);
	int error = iog_amdvi_submit(amdvi, commands, count);

	if (!error)
		error = iog_amdvi_tlb_answer(amdvi, device, before);
	if (error)
		return error;
	return iog_amdvi_log_lost(amdvi, losses) ? -IOG_EAGAIN : 0;
}

int iog_amdvi_device_forget(struct iog_amdvi *amdvi, uint32_t device)
{
	struct amdvi_command command = amdvi_iotlb_pages(device, amdvi_ats_depth(amdvi, device), AMDVI_INV_EVERYTHING | AMDVI_INV_S);

	return device_submit(amdvi, device, &command, 1);
}

int iog_amdvi_device_invalidate(struct iog_unit *unit, uint32_t device, const struct iog_gather *gather)
{
	struct iog_amdvi *amdvi = amdvi_of(unit);
	struct amdvi_command commands[2 * IOG_GATHER_RANGES];
	uint32_t depth = amdvi_ats_depth(amdvi, device), count = 0, blocks_count;
	uint64_t blocks[2];

	if (!atomic_load_explicit(&amdvi->running, memory_order_acquire) || !depth)
		return 0;
	/* Devices keep no pointers to tables: what was mapped is in the ranges. */
	for (uint32_t n = 0; gather && !gather->everything && n < gather->nr_ranges; n++) {
		blocks_count = blocks_of(gather->ranges[n].first, gather->ranges[n].last, blocks);
		if (!blocks_count)
			return iog_amdvi_device_forget(amdvi, device);
		for (uint32_t block = 0; block < blocks_count; block++)
			commands[count++] = amdvi_iotlb_pages(device, depth, blocks[block]);
	}
	return count ? device_submit(amdvi, device, commands, count) : iog_amdvi_device_forget(amdvi, device);
}

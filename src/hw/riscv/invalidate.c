/* SPDX-License-Identifier: MIT */
/*
 * Making the unit forget translations (4.1.1), and devices what they were translated (4.1.5).
 *
 *   leaf entries only       IOTINVAL with AV = 1
 *   walk caches, too        with NL = 1, where it is offered; else AV = 0: of the whole domain
 * An address stands for one leaf, whatever its size; with S for an aligned power of two of pages. What is not present is never cached.
 */
#include "../../core/bits.h"
#include "riscv.h"

#define COMMANDS_MAX 64u
#define PAGE_SHIFT 12u
#define TABLE_SHIFT 21u /* what a table of leaves serves */

struct batch {
	struct iog_riscv *riscv;
	const struct rv_domain *domain;
	uint64_t walk_caches; /* CMD0_NL, or 0 */
	uint32_t n;
	uint32_t most;
	struct iog_command commands[COMMANDS_MAX];
};

static uint64_t tag(const struct rv_domain *domain)
{
	return domain->stage == 1 ? CMD_IOTINVAL_VMA | CMD0_PSCV | CMD0_PSCID(domain->id) : CMD_IOTINVAL_GVMA | CMD0_GV | CMD0_GSCID(domain->id);
}

/* 2^shift bytes, aligned. Returns false when there is no room: the domain is cheaper. */
static bool batch_add(struct batch *batch, uint64_t address, uint32_t shift)
{
	struct iog_command *command;

	if (batch->n == batch->most)
		return false;
	command = &batch->commands[batch->n++];
	command->words[0] = tag(batch->domain) | CMD0_AV | batch->walk_caches;
	/* The lowest address bit that is 0 says how large (9.3). */
	if (shift > PAGE_SHIFT)
		command->words[1] = CMD1_S | CMD1_ADDRESS(address | ((UINT64_C(1) << (shift - 1)) - 1));
	else
		command->words[1] = CMD1_ADDRESS(address);
	return true;
}

/* In aligned powers of two. */
static bool add_by_range(struct batch *batch, const struct iog_range *range)
{
	uint64_t page = range->first >> PAGE_SHIFT, end = (range->last >> PAGE_SHIFT) + 1;

	while (page < end) {
		uint32_t shift = page ? bits_lowest(page) : 63, fits = bits_highest(end - page);

		if (shift > fits)
			shift = fits;
		/* All of the address space is the whole domain's. */
		if (shift + PAGE_SHIFT > 62 || !batch_add(batch, page << PAGE_SHIFT, shift + PAGE_SHIFT))
			return false;
		page += UINT64_C(1) << shift;
	}
	return true;
}

static bool add_by_stride(struct batch *batch, const struct iog_range *range, uint64_t stride)
{
	uint64_t n = (range->last - range->first) / stride + 1;

	if (n > batch->most - batch->n)
		return false;
	for (uint64_t i = 0; i < n; i++)
		(void)batch_add(batch, range->first + i * stride, PAGE_SHIFT);
	return true;
}

static bool add_all(struct batch *batch, const struct iog_gather *gather)
{
	bool ranges = batch->riscv->info.range;
	uint64_t page = gather->min_page_size > (UINT64_C(1) << PAGE_SHIFT) ? gather->min_page_size : UINT64_C(1) << PAGE_SHIFT;

	for (uint32_t n = 0; n < gather->nr_ranges; n++)
		if (!(ranges ? add_by_range(batch, &gather->ranges[n]) : add_by_stride(batch, &gather->ranges[n], page)))
			return false;
	for (uint32_t n = 0; n < gather->nr_tables; n++) {
		const struct iog_range *span = &gather->tables[n].span;

		/* One address is enough for what was cached on the way to a table of leaves. */
		if (ranges ? !add_by_range(batch, span) : span->last - span->first != (UINT64_C(1) << TABLE_SHIFT) - 1 || !batch_add(batch, span->first, PAGE_SHIFT))
			return false;
	}
	return true;
}

int iog_riscv_forget_domain(struct iog_riscv *riscv, const struct rv_domain *domain)
{
	const struct iog_command command = { { tag(domain), 0 } };

	rv_count(&riscv->tlb_domains, 1);
	return iog_riscv_submit_again(riscv, &command, 1);
}

int iog_riscv_invalidate(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather)
{
	struct iog_riscv *riscv = rv_of(unit);
	const struct rv_domain *domain = iog_riscv_domain(riscv, id);
	bool walk_caches = gather && (gather->walk_caches || gather->nr_tables);
	struct batch batch;

	if (!domain)
		return -IOG_EIO;
	if (!gather || gather->everything || (walk_caches && !riscv->info.non_leaf))
		return iog_riscv_forget_domain(riscv, domain);
	batch.riscv = riscv;
	batch.domain = domain;
	batch.walk_caches = walk_caches ? CMD0_NL : 0;
	batch.n = 0;
	batch.most = riscv->config.commands_max;
	if (!add_all(&batch, gather))
		return iog_riscv_forget_domain(riscv, domain);
	rv_count(&riscv->tlb_ranges, batch.n);
	return iog_riscv_submit(riscv, batch.commands, batch.n);
}

/* The smallest aligned power of two that holds a range: what a device is told has that form. */
static void ats_command(uint32_t device, const struct iog_range *range, struct iog_command *command)
{
	uint64_t differ = (range->first ^ range->last) >> PAGE_SHIFT;
	uint32_t shift = differ ? bits_highest(differ) + 1 + PAGE_SHIFT : PAGE_SHIFT;

	command->words[0] = CMD_ATS_INVAL | CMD0_RID(device) | (device >> 16 ? CMD0_DSV | CMD0_DSEG(device) : 0);
	if (shift == PAGE_SHIFT)
		command->words[1] = range->first & (~UINT64_C(0) << PAGE_SHIFT);
	else if (shift >= 64)
		command->words[1] = (UINT64_MAX >> 1 & (~UINT64_C(0) << PAGE_SHIFT)) | ATS_PAYLOAD_S;
	else
		command->words[1] = (range->first & (~UINT64_C(0) << shift)) | (((UINT64_C(1) << (shift - 1)) - 1) & (~UINT64_C(0) << PAGE_SHIFT)) | ATS_PAYLOAD_S;
}

int iog_riscv_forget_device(struct iog_riscv *riscv, uint32_t device)
{
	const struct iog_range all = { 0, UINT64_MAX };
	struct iog_command command;
	int error = -IOG_EAGAIN;

	ats_command(device, &all, &command);
	for (uint32_t times = 0; times < IOG_RING_AGAIN && error == -IOG_EAGAIN; times++)
		error = iog_riscv_submit_device(riscv, &command, 1);
	return error == -IOG_EAGAIN ? -IOG_EIO : error;
}

int iog_riscv_device_invalidate(struct iog_unit *unit, uint32_t device, const struct iog_gather *gather)
{
	struct iog_riscv *riscv = rv_of(unit);
	struct iog_command commands[IOG_GATHER_RANGES];

	/* Devices hold leaves only; tables that went had none. */
	if (!gather || gather->everything || gather->walk_caches)
		return iog_riscv_forget_device(riscv, device);
	for (uint32_t n = 0; n < gather->nr_ranges; n++)
		ats_command(device, &gather->ranges[n], &commands[n]);
	return iog_riscv_submit_device(riscv, commands, gather->nr_ranges);
}

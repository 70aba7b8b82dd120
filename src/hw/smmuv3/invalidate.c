/* SPDX-License-Identifier: MIT */
/*
 * Making the unit forget translations, and devices what they were translated (SMMUv3 4.4, 4.5).
 *
 *   leaf entries only       TLBI by address, Leaf = 1
 *   walk caches, too        TLBI by address, Leaf = 0, with TTL = 0: of any level
 * With range invalidation (RIL) a run of 2^scale * (num + 1) granules is one command, so that a range of any length takes a few; without, a leaf is,
 * or for a table that was unlinked its span: one address in it is enough for what was cached on the way to that table. A table that is not of the
 * lowest level went after those below it, each of which is recorded by itself; but rather than rely on it the domain is forgotten as a whole.
 *
 * What is not present is never cached.
 */
#include "../../core/bits.h"
#include "smmuv3.h"

#define COMMANDS_MAX 64u

struct batch {
	struct iog_smmuv3 *smmu;
	const struct smmu_domain *domain;
	uint32_t n;
	uint32_t most;
	struct iog_command commands[COMMANDS_MAX];
};

/* Returns false when there is no room: the domain is cheaper. */
static bool batch_add(struct batch *batch, uint64_t address, uint64_t first_word, uint64_t second_word)
{
	const struct smmu_domain *domain = batch->domain;
	uint64_t *words;

	if (batch->n == batch->most)
		return false;
	words = batch->commands[batch->n++].words;
	words[0] = first_word | (domain->stage == 1 ? CMD_TLBI_NH_VA | CMD0_ASID((uint64_t)domain->id) : CMD_TLBI_S2_IPA | CMD0_VMID((uint64_t)domain->id));
	words[1] = second_word | (address & CMD1_ADDRESS);
	return true;
}

static uint32_t level_bits(const struct smmu_domain *domain)
{
	return domain->granule_shift - 3u;
}

/* The span of an entry of a level, bits. */
static uint32_t level_shift(const struct smmu_domain *domain, uint32_t level)
{
	return domain->granule_shift + level_bits(domain) * level;
}

/*
 * The level that all leaves in a range are of, as commands have it (3 is the lowest), if the smallest leaf says so: no larger one fits in the range.
 * 0: not known.
 */
static uint64_t ttl_of(const struct smmu_domain *domain, const struct iog_range *range, uint64_t page_size)
{
	uint32_t level = (bits_highest(page_size) - domain->granule_shift) / level_bits(domain);
	uint64_t larger;

	if (level > 2)
		return 0;
	larger = UINT64_C(1) << level_shift(domain, level + 1);
	if (range->last - range->first >= larger - 1)
		return 0;
	return 3 - level;
}

/* In as many commands as the number of granules has groups of five bits. */
static bool add_by_range(struct batch *batch, const struct iog_range *range, uint64_t second_word)
{
	const struct smmu_domain *domain = batch->domain;
	uint64_t address = range->first, granules = ((range->last - range->first) >> domain->granule_shift) + 1;

	while (granules) {
		uint64_t scale = bits_lowest(granules), num;
		bool added;

		if (scale > CMD_TLBI_SCALE_MAX)
			scale = CMD_TLBI_SCALE_MAX;
		num = granules >> scale & (CMD_TLBI_NUM_MAX - 1);
		/* More than fits the field. */
		if (!num)
			num = CMD_TLBI_NUM_MAX;
		/* A single granule is no range: NUM, SCALE and TTL of 0 with a TG are reserved. */
		if (num << scale == 1)
			added = batch_add(batch, address, 0, second_word & CMD1_LEAF);
		else
			added = batch_add(batch, address, CMD0_NUM(num - 1) | CMD0_SCALE(scale), second_word | CMD1_TG((uint64_t)domain->tg));
		if (!added)
			return false;
		address += num << scale << domain->granule_shift;
		granules -= num << scale;
	}
	return true;
}

static bool add_by_stride(struct batch *batch, const struct iog_range *range, uint64_t stride, uint64_t second_word)
{
	uint64_t n = (range->last - range->first) / stride + 1;

	if (n > batch->most - batch->n)
		return false;
	for (uint64_t i = 0; i < n; i++)
		(void)batch_add(batch, range->first + i * stride, 0, second_word);
	return true;
}

static bool add_leaves(struct batch *batch, const struct iog_gather *gather, bool walk_caches)
{
	uint64_t granule = UINT64_C(1) << batch->domain->granule_shift, page = gather->min_page_size > granule ? gather->min_page_size : granule;

	for (uint32_t n = 0; n < gather->nr_ranges; n++) {
		const struct iog_range *range = &gather->ranges[n];
		uint64_t second_word = walk_caches ? 0 : CMD1_LEAF;

		if (batch->smmu->info.range) {
			if (!walk_caches)
				second_word |= CMD1_TTL(ttl_of(batch->domain, range, page));
			if (!add_by_range(batch, range, second_word))
				return false;
		} else if (!add_by_stride(batch, range, page, second_word)) {
			return false;
		}
	}
	return true;
}

static bool add_span(struct batch *batch, const struct iog_range *span)
{
	uint64_t lowest = UINT64_C(1) << level_shift(batch->domain, 1);

	if (batch->smmu->info.range)
		return add_by_range(batch, span, 0);
	return span->last - span->first == lowest - 1 && batch_add(batch, span->first, 0, 0);
}

/* Tables that were unlinked on a sweep are neighbours: with ranges their spans are one. */
static bool add_tables(struct batch *batch, const struct iog_gather *gather)
{
	struct iog_range span;

	if (!gather->nr_tables)
		return true;
	span = gather->tables[0].span;
	for (uint32_t n = 1; n < gather->nr_tables; n++) {
		const struct iog_range *next = &gather->tables[n].span;

		if (batch->smmu->info.range && span.last != UINT64_MAX && next->first == span.last + 1) {
			span.last = next->last;
			continue;
		}
		if (!add_span(batch, &span))
			return false;
		span = *next;
	}
	return add_span(batch, &span);
}

int iog_smmuv3_forget_domain(struct iog_smmuv3 *smmu, const struct smmu_domain *domain)
{
	const struct iog_command command = {
		{ domain->stage == 1 ? CMD_TLBI_NH_ASID | CMD0_ASID((uint64_t)domain->id) : CMD_TLBI_S12_VMALL | CMD0_VMID((uint64_t)domain->id), 0 }
	};

	smmu_count(&smmu->tlb_domains, 1);
	return iog_smmuv3_submit_again(smmu, &command, 1);
}

int iog_smmuv3_invalidate(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather)
{
	struct iog_smmuv3 *smmu = smmu_of(unit);
	const struct smmu_domain *domain = iog_smmuv3_domain(smmu, id);
	struct batch batch;
	bool walk_caches;

	if (!domain)
		return -IOG_EIO;
	if (!gather || gather->everything)
		return iog_smmuv3_forget_domain(smmu, domain);
	batch.smmu = smmu;
	batch.domain = domain;
	batch.n = 0;
	batch.most = smmu->config.commands_max;
	walk_caches = gather->walk_caches || gather->nr_tables;
	if (!add_leaves(&batch, gather, walk_caches) || !add_tables(&batch, gather))
		return iog_smmuv3_forget_domain(smmu, domain);
	smmu_count(&smmu->tlb_ranges, batch.n);
	return iog_smmuv3_submit(smmu, batch.commands, batch.n);
}

/* The smallest aligned power of two that holds a range: what a device is told has that form. */
static void atc_command(uint32_t stream, const struct iog_range *range, struct iog_command *command)
{
	uint64_t differ = (range->first ^ range->last) >> 12;
	uint32_t size = differ ? bits_highest(differ) + 1 : 0;

	command->words[0] = CMD_ATC_INV | CMD0_STREAM((uint64_t)stream);
	if (size >= CMD1_ATC_SIZE_ALL)
		command->words[1] = CMD1_ATC_SIZE_ALL;
	else
		command->words[1] = (range->first & (~UINT64_C(0) << (size + 12))) | size;
}

int iog_smmuv3_forget_device(struct iog_smmuv3 *smmu, uint32_t stream)
{
	const struct iog_range all = { 0, UINT64_MAX };
	struct iog_command command;
	int error = -IOG_EAGAIN;

	atc_command(stream, &all, &command);
	for (uint32_t times = 0; times < IOG_RING_AGAIN && error == -IOG_EAGAIN; times++)
		error = iog_smmuv3_submit_device(smmu, &command, 1);
	return error == -IOG_EAGAIN ? -IOG_EIO : error;
}

int iog_smmuv3_device_invalidate(struct iog_unit *unit, uint32_t stream, const struct iog_gather *gather)
{
	struct iog_smmuv3 *smmu = smmu_of(unit);
	struct iog_command commands[IOG_GATHER_RANGES];

	/* Devices hold leaves only; tables that went had none. */
	if (!gather || gather->everything || gather->walk_caches)
		return iog_smmuv3_forget_device(smmu, stream);
	for (uint32_t n = 0; n < gather->nr_ranges; n++)
		atc_command(stream, &gather->ranges[n], &commands[n]);
	return iog_smmuv3_submit_device(smmu, commands, gather->nr_ranges);
}

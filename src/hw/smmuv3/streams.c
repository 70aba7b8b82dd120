/* SPDX-License-Identifier: MIT */
/*
 * The stream table (SMMUv3 3.3, 5.1, 5.2): what each stream is subject to.
 *
 * An entry changes in place where that is possible (../entry.h). Where it is not, the page of the second-level table is copied, changed, and the
 * level 1 descriptor, one word, stored; the old page goes when hardware has forgotten the descriptor. Neighbours in that page are the same in both.
 * In a linear table the entry goes by "abort": one word, then the steps from there.
 *
 * Locking: ste_lock over stores; see smmuv3.h. Entries are changed by one lane at a time, but for device_block(), which turns any into an abort, by
 * its first word.
 */
#include "../entry.h"
#include "smmuv3.h"

#define SECOND_LEVEL_BYTES ((size_t)64 << SPLIT)
/* The same in every entry but for EATS, so that it is never among the words that differ; looked at where stage 1 is. */
#define STE1_ALL (STE1_S1CIR_WB | STE1_S1COR_WB | STE1_S1CSH_INNER | STE1_SHCFG_INCOMING)

static uint32_t nr_streams(const struct iog_smmuv3 *smmu)
{
	return UINT32_C(1) << smmu->config.stream_bits;
}

static _Atomic uint64_t *second_level(const struct iog_smmuv3 *smmu, uint32_t stream)
{
	uint64_t descriptor;

	if (smmu->linear)
		return (_Atomic uint64_t *)smmu->table;
	descriptor = atomic_load_explicit((_Atomic uint64_t *)&smmu->table[stream >> SPLIT], memory_order_relaxed);
	return descriptor ? smmu_va(smmu, descriptor & L1STD_ADDRESS) : NULL;
}

/* The entry's words; NULL if there is none. */
static _Atomic uint64_t *entry_of(const struct iog_smmuv3 *smmu, uint32_t stream)
{
	_Atomic uint64_t *entries = second_level(smmu, stream);

	return entries ? entries + (size_t)(smmu->linear ? stream : stream & ((1u << SPLIT) - 1)) * STE_WORDS : NULL;
}

static uint64_t descriptor_of(const struct iog_smmuv3 *smmu, const void *entries)
{
	return (smmu_paddr(smmu, entries) & L1STD_ADDRESS) | (SPLIT + 1);
}

bool iog_smmuv3_stream_known(struct iog_smmuv3 *smmu, uint32_t stream)
{
	uintptr_t flags;
	_Atomic uint64_t *entry;
	bool known;

	if (stream >= nr_streams(smmu))
		return false;
	flags = spin_lock(&smmu->ste_lock, smmu->platform);
	entry = entry_of(smmu, stream);
	known = entry && atomic_load_explicit(&entry[0], memory_order_relaxed) & STE0_V;
	spin_unlock(&smmu->ste_lock, smmu->platform, flags);
	return known;
}

/* Commands about context descriptors are illegal for a unit without stage 1 (4.3.4): it has none. They come last. */
static int forget(struct iog_smmuv3 *smmu, const struct iog_command commands[2])
{
	return iog_smmuv3_submit_again(smmu, commands, smmu->info.stage1 ? 2 : 1);
}

/* Forget the stream's entry, and by themselves its context descriptors. */
static int forget_entry(struct iog_smmuv3 *smmu, uint32_t stream)
{
	const struct iog_command commands[2] = {
		{ { CMD_CFGI_STE | CMD0_STREAM((uint64_t)stream), CMD1_LEAF } },
		{ { CMD_CFGI_CD_ALL | CMD0_STREAM((uint64_t)stream), 0 } },
	};

	return forget(smmu, commands);
}

/* The same, with the level 1 descriptor, which leads to its neighbours, too: for each of them the unit may remember the old one. */
static int forget_second_level(struct iog_smmuv3 *smmu, uint32_t stream)
{
	uint32_t first = stream & ~((1u << SPLIT) - 1);
	/* 2^(Range + 1) streams (4.3.2). */
	const struct iog_command commands[2] = {
		{ { CMD_CFGI_STE_RANGE | CMD0_STREAM((uint64_t)first), SPLIT - 1 } },
		{ { CMD_CFGI_CD_ALL | CMD0_STREAM((uint64_t)stream), 0 } },
	};

	return forget(smmu, commands);
}

static int entry_create(struct iog_smmuv3 *smmu, uint32_t stream)
{
	uint64_t *entries = iog_smmuv3_pages(smmu, SECOND_LEVEL_BYTES);

	if (!entries)
		return -IOG_ENOMEM;
	atomic_store_explicit((_Atomic uint64_t *)&smmu->table[stream >> SPLIT], descriptor_of(smmu, entries), memory_order_release);
	smmu_clean(smmu, &smmu->table[stream >> SPLIT], sizeof(uint64_t));
	/* Where it was not valid, that may be remembered, too. */
	return forget_second_level(smmu, stream);
}

static uint64_t looked_at(const void *driver, const struct entry *entry, uint32_t word)
{
	const struct iog_smmuv3 *smmu = driver;
	uint64_t first = entry->words[0];

	/* All of it, as the kind is in it. */
	if (!word)
		return ~UINT64_C(0);
	if (!(first & STE0_V) || STE0_CONFIG(first) == STE0_CONFIG_ABORT)
		return 0;
	if (STE0_CONFIG(first) == STE0_CONFIG_S1)
		return word == 1 ? ~UINT64_C(0) : word == 2 && smmu->info.stage2 ? STE2_S2VMID : 0;
	if (STE0_CONFIG(first) == STE0_CONFIG_BYPASS)
		return word == 1 ? ~UINT64_C(0) : 0;
	return word <= 3 ? ~UINT64_C(0) : 0;
}

static void entry_load(const struct iog_smmuv3 *smmu, uint32_t stream, struct entry *ste)
{
	const _Atomic uint64_t *entry = entry_of(smmu, stream);

	for (uint32_t n = 0; n < STE_WORDS; n++)
		ste->words[n] = atomic_load_explicit(&entry[n], memory_order_relaxed);
}

/* By the setting that is under way. A stream that was blocked meanwhile stays so, by its first word. */
static int step(void *driver, uint32_t stream, const struct entry *ste, uint32_t words)
{
	struct iog_smmuv3 *smmu = driver;
	uintptr_t flags;
	_Atomic uint64_t *entry;

	flags = spin_lock(&smmu->ste_lock, smmu->platform);
	entry = entry_of(smmu, stream);
	if (smmu->setting.blocked)
		words &= ~1u;
	for (uint32_t n = 0; n < STE_WORDS; n++)
		if (words >> n & 1)
			atomic_store_explicit(&entry[n], ste->words[n], memory_order_relaxed);
	smmu_clean(smmu, (const void *)entry, sizeof(*ste));
	spin_unlock(&smmu->ste_lock, smmu->platform, flags);
	return forget_entry(smmu, stream);
}

static const struct entry_kind ste_kind = { .words = STE_WORDS, .looked_at = looked_at, .step = step };

/* In a copy of the page. */
static int change_by_copy(struct iog_smmuv3 *smmu, uint32_t stream, const struct entry *to)
{
	const struct iog_platform *platform = smmu->platform;
	_Atomic uint64_t *copy = iog_smmuv3_pages(smmu, SECOND_LEVEL_BYTES), *former;
	uintptr_t flags;
	int error;

	if (!copy)
		return -IOG_ENOMEM;
	if (smmu->nr_limbo == SMMU_LIMBO) {
		platform->pages_free(platform->ctx, (void *)(uintptr_t)copy, SECOND_LEVEL_BYTES);
		return -IOG_ETIMEDOUT;
	}
	flags = spin_lock(&smmu->ste_lock, platform);
	former = second_level(smmu, stream);
	for (uint32_t n = 0; n < SECOND_LEVEL_BYTES / sizeof(*copy); n++)
		atomic_store_explicit(&copy[n], atomic_load_explicit(&former[n], memory_order_relaxed), memory_order_relaxed);
	for (uint32_t n = smmu->setting.blocked ? 1 : 0; n < STE_WORDS; n++)
		atomic_store_explicit(&copy[(stream & ((1u << SPLIT) - 1)) * STE_WORDS + n], to->words[n], memory_order_relaxed);
	smmu_clean(smmu, (const void *)copy, SECOND_LEVEL_BYTES);
	/* The copy is there before the word that leads to it: a store that hardware sees, so the barrier is the platform's. */
	iog_mmio_publish(&smmu->page0);
	atomic_store_explicit((_Atomic uint64_t *)&smmu->table[stream >> SPLIT], descriptor_of(smmu, (const void *)copy), memory_order_release);
	smmu_clean(smmu, &smmu->table[stream >> SPLIT], sizeof(uint64_t));
	spin_unlock(&smmu->ste_lock, platform, flags);
	error = forget_second_level(smmu, stream);
	/* A unit that does not answer may go on reading the old page: it waits until the unit has been turned off. */
	if (error)
		smmu->limbo[smmu->nr_limbo++] = (void *)(uintptr_t)former;
	else
		platform->pages_free(platform->ctx, (void *)(uintptr_t)former, SECOND_LEVEL_BYTES);
	return error;
}

static int change(struct iog_smmuv3 *smmu, uint32_t stream, const struct entry *to)
{
	struct entry from, aborting;
	uint32_t at_once;
	int error;

	entry_load(smmu, stream, &from);
	at_once = iog_entry_at_once(&ste_kind, smmu, &from, to);
	if (!(at_once & (at_once - 1)))
		return iog_entry_change(&ste_kind, smmu, stream, &from, to);
	if (!smmu->linear)
		return change_by_copy(smmu, stream, to);
	aborting = from;
	aborting.words[0] = STE0_V | STE0_CONFIG_ABORT;
	error = iog_entry_change(&ste_kind, smmu, stream, &from, &aborting);
	return error ? error : iog_entry_change(&ste_kind, smmu, stream, &aborting, to);
}

static bool ats_allowed(const struct iog_smmuv3 *smmu, uint32_t stream)
{
	return atomic_load_explicit(&smmu->ats[stream / 64], memory_order_relaxed) >> stream % 64 & 1;
}

static int target_of(struct iog_smmuv3 *smmu, uint32_t stream, enum iog_domain_type type, uint32_t id, struct entry *to)
{
	const struct smmu_domain *domain;

	*to = (struct entry){ .words = { STE0_V, STE1_ALL | (ats_allowed(smmu, stream) ? STE1_EATS : 0) | (smmu->info.stall_model == STALL_OPTIONAL ? STE1_S1STALLD : 0) } };
	switch (type) {
	case IOG_DOMAIN_BLOCKED:
		return 0;
	case IOG_DOMAIN_IDENTITY:
		to->words[0] |= STE0_CONFIG_BYPASS;
		return 0;
	case IOG_DOMAIN_PAGING:
		break;
	}
	domain = iog_smmuv3_domain(smmu, id);
	if (!domain)
		return -IOG_ENOENT;
	to->words[0] = domain->ste[0];
	to->words[2] = domain->ste[2];
	to->words[3] = domain->ste[3];
	return 0;
}

/* The former entry again. Where there is no memory for that, it is an abort, in place: nothing of the other domain, which may go now, stays in force. */
static void take_back(struct iog_smmuv3 *smmu, uint32_t stream, const struct entry *from)
{
	struct entry now;

	(void)change(smmu, stream, from);
	entry_load(smmu, stream, &now);
	if (iog_entry_at_once(&ste_kind, smmu, &now, from))
		(void)iog_smmuv3_device_block(&smmu->unit, stream);
}

static int set(struct iog_smmuv3 *smmu, uint32_t stream, enum iog_domain_type type, uint32_t id)
{
	struct entry from, to;
	int error;

	error = target_of(smmu, stream, type, id, &to);
	if (!error && !entry_of(smmu, stream))
		error = entry_create(smmu, stream);
	if (error)
		return error;
	entry_load(smmu, stream, &from);
	error = change(smmu, stream, &to);
	/* A device that has been told something by the former domain's tables forgets it: it could not ask again in between. */
	if (!error && ((from.words[1] | to.words[1]) & STE1_EATS))
		error = iog_smmuv3_forget_device(smmu, stream);
	if (error)
		take_back(smmu, stream, &from);
	return error;
}

int iog_smmuv3_device_set(struct iog_unit *unit, uint32_t stream, enum iog_domain_type type, uint32_t id)
{
	struct iog_smmuv3 *smmu = smmu_of(unit);
	int error;

	if (stream >= nr_streams(smmu))
		return -IOG_ERANGE;
	iog_setting_begin(&smmu->setting, &smmu->ste_lock, smmu->platform, stream);
	error = set(smmu, stream, type, id);
	iog_setting_end(&smmu->setting, &smmu->ste_lock, smmu->platform);
	return error;
}

int iog_smmuv3_device_block(struct iog_unit *unit, uint32_t stream)
{
	struct iog_smmuv3 *smmu = smmu_of(unit);
	_Atomic uint64_t *entry;
	uintptr_t flags;

	if (stream >= nr_streams(smmu))
		return -IOG_ERANGE;
	flags = spin_lock(&smmu->ste_lock, smmu->platform);
	iog_setting_block(&smmu->setting, stream);
	entry = entry_of(smmu, stream);
	if (entry) {
		atomic_store_explicit(&entry[0], STE0_V | STE0_CONFIG_ABORT, memory_order_relaxed);
		smmu_clean(smmu, (const void *)entry, sizeof(*entry));
	}
	spin_unlock(&smmu->ste_lock, smmu->platform, flags);
	/* One that was never set is refused as it is. */
	return entry ? forget_entry(smmu, stream) : 0;
}

int iog_smmuv3_device_ats(struct iog_smmuv3 *smmu, uint32_t stream, bool allow)
{
	uint64_t bit = UINT64_C(1) << stream % 64;

	if (stream >= nr_streams(smmu))
		return -IOG_ERANGE;
	if (!smmu->info.ats)
		return -IOG_EOPNOTSUPP;
	if (allow)
		atomic_fetch_or_explicit(&smmu->ats[stream / 64], bit, memory_order_relaxed);
	else
		atomic_fetch_and_explicit(&smmu->ats[stream / 64], ~bit, memory_order_relaxed);
	return 0;
}

int iog_smmuv3_streams_create(struct iog_smmuv3 *smmu)
{
	const struct iog_platform *platform = smmu->platform;
	size_t entries = (size_t)1 << smmu->config.stream_bits;

	smmu->linear = !smmu->info.two_level || smmu->config.flags & IOG_SMMUV3_LINEAR;
	if (smmu->linear)
		smmu->table_bytes = entries * STE_WORDS * sizeof(uint64_t);
	else
		smmu->table_bytes = (entries >> SPLIT ? entries >> SPLIT : 1) * sizeof(uint64_t);
	if (smmu->table_bytes < 4096)
		smmu->table_bytes = 4096;
	smmu->ats_bytes = (entries + 63) / 64 * sizeof(uint64_t);
	smmu->table = iog_smmuv3_pages(smmu, smmu->table_bytes);
	smmu->ats = platform->object_alloc(platform->ctx, smmu->ats_bytes);
	return smmu->table && smmu->ats ? 0 : -IOG_ENOMEM;
}

void iog_smmuv3_streams_settle(struct iog_smmuv3 *smmu)
{
	while (smmu->nr_limbo)
		smmu->platform->pages_free(smmu->platform->ctx, smmu->limbo[--smmu->nr_limbo], SECOND_LEVEL_BYTES);
}

void iog_smmuv3_streams_destroy(struct iog_smmuv3 *smmu)
{
	const struct iog_platform *platform = smmu->platform;

	iog_smmuv3_streams_settle(smmu);
	for (uint32_t n = 0; smmu->table && !smmu->linear && n < smmu->table_bytes / sizeof(*smmu->table); n++)
		if (smmu->table[n])
			platform->pages_free(platform->ctx, smmu_va(smmu, smmu->table[n] & L1STD_ADDRESS), SECOND_LEVEL_BYTES);
	if (smmu->table)
		platform->pages_free(platform->ctx, smmu->table, smmu->table_bytes);
	if (smmu->ats)
		platform->object_free(platform->ctx, smmu->ats, smmu->ats_bytes);
}

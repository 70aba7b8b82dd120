/* SPDX-License-Identifier: MIT */
/*
 * Paging domains: a context descriptor each (stage 1, SMMUv3 5.4), or the fields of a stream table entry (stage 2, 5.2).
 *
 * A domain's number is its ASID, with VMID 0, or its VMID: numbers begin at 1, so stage 2 never meets the VMID that stage 1 is tagged with. A
 * descriptor is written while no stream table entry leads to it and is not changed before the last has been led elsewhere, so it needs no
 * invalidation of its own.
 */
#include "smmuv3.h"

#define BLOCK_BYTES 8192u

_Static_assert(sizeof(struct smmu_block) <= BLOCK_BYTES, "a block fits");

struct walked {
	const char *name;
	uint8_t stage;
	uint8_t granule_shift;
	bool wide; /* LPA2 */
};

static const struct walked walked_formats[] = {
	{ "arm_s1_4k", 1, 12, false },  { "arm_s1_16k", 1, 14, false },     { "arm_s1_64k", 1, 16, false },    { "arm_s1_4k_lpa2", 1, 12, true },
	{ "arm_s1_16k_lpa2", 1, 14, true }, { "arm_s2_4k", 2, 12, false }, { "arm_s2_16k", 2, 14, false }, { "arm_s2_64k", 2, 16, false },
	{ "arm_s2_4k_lpa2", 2, 12, true }, { "arm_s2_16k_lpa2", 2, 14, true },
};

static const struct walked *format_find(const char *name)
{
	for (size_t n = 0; n < sizeof(walked_formats) / sizeof(walked_formats[0]); n++)
		if (iog_names_equal(walked_formats[n].name, name))
			return &walked_formats[n];
	return NULL;
}

static uint64_t tg_of(uint32_t granule_shift)
{
	return granule_shift == 12 ? TG_4K : granule_shift == 14 ? TG_16K : TG_64K;
}

/* IPS and S2PS: the unit's own, but 52 bits where only some tables can have them. */
static uint64_t output_size(const struct iog_smmuv3 *smmu, const struct walked *format)
{
	static const uint8_t sizes[] = { 32, 36, 40, 42, 44, 48, 52 };
	uint64_t size = 0;

	while (size < 6 && sizes[size] < smmu->info.oas)
		size++;
	return size == 6 && format->granule_shift < 16 && !format->wide ? 5 : size;
}

static bool walks(const struct iog_smmuv3 *smmu, const struct walked *format, const struct iog_pgtable_root *root)
{
	uint32_t most = format->stage == 1 ? smmu->info.ias : smmu->info.oas;

	/* Input addresses of 52 bits want descriptors that have as many, too. */
	if (format->granule_shift < 16 && !format->wide && most > 48)
		most = 48;
	return (format->stage == 1 ? smmu->info.stage1 : smmu->info.stage2) && smmu->info.granules >> format->granule_shift & 1 && (!format->wide || smmu->info.wide) &&
	       root->ias <= most && root->oas <= smmu->info.oas && !(root->flags & IOG_PGTABLE_SIGN_EXTENDED) &&
	       (smmu->info.coherent || root->flags & IOG_PGTABLE_NONCOHERENT);
}

static void stage1_describe(struct iog_smmuv3 *smmu, uint64_t *cd, struct smmu_domain *domain, const struct walked *format, const struct iog_pgtable_root *root)
{
	/* AF and DBM are set beforehand: HA and HD stay 0. Upper addresses are not translated. */
	cd[0] = CD0_T0SZ(64 - root->ias) | CD0_TG0(tg_of(format->granule_shift)) | CD0_EPD1 | CD0_V | CD0_IPS(output_size(smmu, format)) | CD0_AA64 | CD0_R | CD0_A | CD0_ASET |
		CD0_ASID((uint64_t)domain->id);
	if (smmu->info.coherent)
		cd[0] |= CD0_IR0_WB | CD0_OR0_WB | CD0_SH0_INNER;
	/* With DS, SH0 is that of the leaves, too. */
	else if (format->wide)
		cd[0] |= CD0_SH0_INNER;
	if (smmu->stalls_forced)
		cd[0] |= CD0_S;
	cd[1] = root->paddr;
	cd[2] = format->wide ? CD2_DS : 0;
	cd[3] = CD3_MAIR;
	smmu_clean(smmu, cd, CD_WORDS * sizeof(*cd));
	domain->ste[0] = STE0_V | STE0_CONFIG_S1 | (smmu_paddr(smmu, cd) & STE0_S1CONTEXTPTR);
}

static void stage2_describe(struct iog_smmuv3 *smmu, struct smmu_domain *domain, const struct walked *format, const struct iog_pgtable_root *root)
{
	/* Start levels count down from the leaves' at 16 and 64 KiB, from the one above at 4 KiB; that of five levels at 4 KiB has a bit of its own. */
	uint64_t start = format->granule_shift == 12 ? root->levels - 2 : root->levels - 1;
	bool five = format->granule_shift == 12 && root->levels == 5;

	domain->ste[0] = STE0_V | STE0_CONFIG_S2;
	domain->ste[2] = (uint64_t)domain->id | STE2_S2T0SZ(64 - (uint64_t)root->ias) | STE2_S2SL0(five ? 0 : start) | STE2_S2TG(tg_of(format->granule_shift)) |
			 STE2_S2PS(output_size(smmu, format)) | STE2_S2AA64 | STE2_S2R;
	if (smmu->info.coherent)
		domain->ste[2] |= STE2_S2IR0_WB | STE2_S2OR0_WB | STE2_S2SH0_INNER;
	else if (format->wide)
		domain->ste[2] |= STE2_S2SH0_INNER;
	if (smmu->stalls_forced)
		domain->ste[2] |= STE2_S2S;
	domain->ste[3] = root->paddr | (format->wide ? STE3_S2DS : 0) | (five ? STE3_S2SL0_2 : 0);
}

/* The block of an id, or NULL. Acquire: what is in it; pairs with the release in block_get(). */
static struct smmu_block *block_find(struct iog_smmuv3 *smmu, uint32_t id)
{
	if (id > smmu->unit.domain_ids)
		return NULL;
	return atomic_load_explicit(&smmu->blocks[id / DOMAINS_PER_BLOCK], memory_order_acquire);
}

static struct smmu_block *block_get(struct iog_smmuv3 *smmu, uint32_t id)
{
	struct smmu_block *block = block_find(smmu, id);

	if (block)
		return block;
	block = iog_smmuv3_pages(smmu, BLOCK_BYTES);
	if (block)
		atomic_store_explicit(&smmu->blocks[id / DOMAINS_PER_BLOCK], block, memory_order_release);
	return block;
}

const struct smmu_domain *iog_smmuv3_domain(struct iog_smmuv3 *smmu, uint32_t id)
{
	struct smmu_block *block = block_find(smmu, id);

	return block && block->domains[id % DOMAINS_PER_BLOCK].id == id ? &block->domains[id % DOMAINS_PER_BLOCK] : NULL;
}

uint32_t iog_smmuv3_domain_any(struct iog_smmuv3 *smmu)
{
	for (uint32_t first = 0; first <= smmu->unit.domain_ids; first += DOMAINS_PER_BLOCK) {
		const struct smmu_block *block = block_find(smmu, first);

		for (uint32_t n = 0; block && n < DOMAINS_PER_BLOCK; n++)
			if (block->domains[n].id)
				return block->domains[n].id;
	}
	return 0;
}

int iog_smmuv3_domain_add(struct iog_unit *unit, uint32_t id, const struct iog_pgtable_root *root)
{
	struct iog_smmuv3 *smmu = smmu_of(unit);
	const struct walked *format = format_find(root->format);
	struct smmu_domain *domain;
	struct smmu_block *block;

	if (!format || !walks(smmu, format, root))
		return -IOG_EOPNOTSUPP;
	block = block_get(smmu, id);
	if (!block)
		return -IOG_ENOMEM;
	domain = &block->domains[id % DOMAINS_PER_BLOCK];
	*domain = (struct smmu_domain){
		.id = id,
		.stage = format->stage,
		.tg = (uint8_t)(format->granule_shift / 2 - 5),
		.granule_shift = format->granule_shift,
		.levels = (uint8_t)root->levels,
	};
	if (format->stage == 1)
		stage1_describe(smmu, block->cds[id % DOMAINS_PER_BLOCK], domain, format, root);
	else
		stage2_describe(smmu, domain, format, root);
	return 0;
}

int iog_smmuv3_domain_remove(struct iog_unit *unit, uint32_t id)
{
	struct iog_smmuv3 *smmu = smmu_of(unit);
	const struct smmu_domain *domain = iog_smmuv3_domain(smmu, id);
	struct smmu_block *block = block_find(smmu, id);
	int error;

	if (!domain)
		return -IOG_ENOENT;
	error = iog_smmuv3_forget_domain(smmu, domain);
	if (error)
		return error;
	block->cds[id % DOMAINS_PER_BLOCK][0] = 0;
	smmu_clean(smmu, block->cds[id % DOMAINS_PER_BLOCK], CD_WORDS * sizeof(uint64_t));
	block->domains[id % DOMAINS_PER_BLOCK].id = 0;
	return 0;
}

int iog_smmuv3_domains_create(struct iog_smmuv3 *smmu)
{
	smmu->blocks_bytes = (smmu->unit.domain_ids / DOMAINS_PER_BLOCK + 1) * sizeof(*smmu->blocks);
	smmu->blocks = smmu->platform->object_alloc(smmu->platform->ctx, smmu->blocks_bytes);
	return smmu->blocks ? 0 : -IOG_ENOMEM;
}

void iog_smmuv3_domains_destroy(struct iog_smmuv3 *smmu)
{
	const struct iog_platform *platform = smmu->platform;

	if (!smmu->blocks)
		return;
	for (size_t n = 0; n < smmu->blocks_bytes / sizeof(*smmu->blocks); n++) {
		struct smmu_block *block = atomic_load_explicit(&smmu->blocks[n], memory_order_relaxed);

		if (block)
			platform->pages_free(platform->ctx, block, BLOCK_BYTES);
	}
	platform->object_free(platform->ctx, smmu->blocks, smmu->blocks_bytes);
}

/* SPDX-License-Identifier: MIT */
/*
 * Paging domains: what they contribute to device contexts (3.1.3).
 *
 * A domain's number is its PSCID, in contexts whose second stage is Bare, or its GSCID.
 */
#include "riscv.h"

#define BLOCK_BYTES 4096u

_Static_assert(DOMAINS_PER_BLOCK * sizeof(struct rv_domain) <= BLOCK_BYTES, "a block fits");

static uint32_t stage_of(const char *format)
{
	return iog_names_equal(format, "riscv") ? 1 : iog_names_equal(format, "riscv_x4") ? 2 : 0;
}

static struct rv_domain *block_find(struct iog_riscv *riscv, uint32_t id)
{
	if (id > riscv->unit.domain_ids)
		return NULL;
	/* Acquire: what is in it; pairs with the release in block_get(). */
	return atomic_load_explicit(&riscv->blocks[id / DOMAINS_PER_BLOCK], memory_order_acquire);
}

static struct rv_domain *block_get(struct iog_riscv *riscv, uint32_t id)
{
	struct rv_domain *block = block_find(riscv, id);

	if (block)
		return block;
	block = iog_riscv_pages(riscv, BLOCK_BYTES);
	if (block)
		atomic_store_explicit(&riscv->blocks[id / DOMAINS_PER_BLOCK], block, memory_order_release);
	return block;
}

const struct rv_domain *iog_riscv_domain(struct iog_riscv *riscv, uint32_t id)
{
	const struct rv_domain *block = block_find(riscv, id);

	return block && block[id % DOMAINS_PER_BLOCK].id == id ? &block[id % DOMAINS_PER_BLOCK] : NULL;
}

uint32_t iog_riscv_domain_any(struct iog_riscv *riscv)
{
	for (uint32_t first = 0; first <= riscv->unit.domain_ids; first += DOMAINS_PER_BLOCK) {
		const struct rv_domain *block = block_find(riscv, first);

		for (uint32_t n = 0; block && n < DOMAINS_PER_BLOCK; n++)
			if (block[n].id)
				return block[n].id;
	}
	return 0;
}

int iog_riscv_domain_add(struct iog_unit *unit, uint32_t id, const struct iog_pgtable_root *root)
{
	struct iog_riscv *riscv = rv_of(unit);
	uint32_t stage = stage_of(root->format);
	uint64_t allowed = stage == 1 ? riscv->info.ias_allowed_first : riscv->info.ias_allowed_second;
	struct rv_domain *block;

	if (!stage || root->ias > 63 || !(allowed >> root->ias & 1) || root->oas > riscv->info.oas ||
	    (!riscv->coherent && !(root->flags & IOG_PGTABLE_NONCOHERENT)))
		return -IOG_EOPNOTSUPP;
	block = block_get(riscv, id);
	if (!block)
		return -IOG_ENOMEM;
	block[id % DOMAINS_PER_BLOCK] = (struct rv_domain){
		.id = id,
		.stage = stage,
		/* Three levels have mode 8, four 9, five 10. */
		.atp = ATP_SET_MODE(ATP_SV39 + root->levels - 3) | (root->paddr >> 12 & ATP_PPN) | (stage == 2 ? IOHGATP_GSCID(id) : 0),
	};
	return 0;
}

int iog_riscv_domain_remove(struct iog_unit *unit, uint32_t id)
{
	struct iog_riscv *riscv = rv_of(unit);
	const struct rv_domain *domain = iog_riscv_domain(riscv, id);
	int error;

	if (!domain)
		return -IOG_ENOENT;
	error = iog_riscv_forget_domain(riscv, domain);
	if (!error)
		block_find(riscv, id)[id % DOMAINS_PER_BLOCK].id = 0;
	return error;
}

int iog_riscv_domains_create(struct iog_riscv *riscv)
{
	riscv->blocks_bytes = (riscv->unit.domain_ids / DOMAINS_PER_BLOCK + 1) * sizeof(*riscv->blocks);
	riscv->blocks = riscv->platform->object_alloc(riscv->platform->ctx, riscv->blocks_bytes);
	return riscv->blocks ? 0 : -IOG_ENOMEM;
}

void iog_riscv_domains_destroy(struct iog_riscv *riscv)
{
	const struct iog_platform *platform = riscv->platform;

	if (!riscv->blocks)
		return;
	for (size_t n = 0; n < riscv->blocks_bytes / sizeof(*riscv->blocks); n++) {
		struct rv_domain *block = atomic_load_explicit(&riscv->blocks[n], memory_order_relaxed);

		if (block)
			platform->pages_free(platform->ctx, block, BLOCK_BYTES);
	}
	platform->object_free(platform->ctx, riscv->blocks, riscv->blocks_bytes);
}

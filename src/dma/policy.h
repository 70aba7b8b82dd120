/* SPDX-License-Identifier: MIT */
/*
 * How a domain finds addresses and changes entries: what a policy fills in, and what the DMA API calls. Addresses and sizes are multiples of the granule here.
 *
 * Every call is made with the domain's lane (struct domain_lane) of the calling lane, whose gate is NOT entered: a policy enters it for as long as it uses the lane's gather or
 * its queue of deferred entries (domain.h).
 */
#ifndef IOG_DMA_POLICY_H
#define IOG_DMA_POLICY_H

#include <iogate/domain.h>

struct domain_lane;

struct iog_policy {
	const char *name;
	/* The allocator behind it; NULL: that of the domain's fallback (identity). */
	const struct iog_iova_ops *iova;
	/* IOG_IOVA_LAZY if addresses are freed before their invalidation, else 0. */
	uint32_t iova_flags;

	/* Called by iog_domain_create() after the page table and the allocator were made. Optional. */
	int (*create)(struct iog_domain *domain, const struct iog_domain_config *config);
	void (*destroy)(struct iog_domain *domain);

	/* Addresses for [paddr, paddr + size), and the entries. All or nothing. -IOG_EAGAIN as for unmap. */
	int (*map)(struct domain_lane *lane, iog_paddr_t paddr, uint64_t size, uint32_t prot, iog_iova_t limit, iog_iova_t *iova);

	/*
	 * The opposite, by the domain's mode: clear, invalidate now or later, free. With nothing changed, -IOG_ENOENT if not all of it is mapped, -IOG_EAGAIN if there is no
	 * place for a run whose invalidation may fail (iog_domain_make_room()); an error of the unit leaves the addresses in quarantine (iog_domain_quarantine()).
	 */
	int (*unmap)(struct domain_lane *lane, iog_iova_t iova, uint64_t size);

	/* One page in held mode, whatever the mode becomes; false, and nothing changed, if that takes more than a few instructions: see iog_held_unmap(). Optional. */
	bool (*unmap_held)(struct domain_lane *lane, iog_iova_t iova);

	/* The parts of the two, for scatter lists and reserved runs. A run of addresses without entries: */
	int (*alloc)(struct domain_lane *lane, uint64_t size, iog_iova_t limit, iog_iova_t *iova);
	/* entries in a part of it, all or nothing; */
	int (*fill)(struct domain_lane *lane, iog_iova_t iova, iog_paddr_t paddr, uint64_t size, uint32_t prot);
	/*
	 * no entries in a part of it, and hardware has forgotten them when it returns, in every mode; holes are passed over. After an error of the unit the entries are gone and the
	 * addresses still the caller's, who hands the whole run to iog_domain_quarantine() instead of free();
	 */
	int (*clear)(struct domain_lane *lane, iog_iova_t iova, uint64_t size);
	/* and the run back, whatever entries are left in it, by the domain's mode: as unmap, but holes are passed over. */
	int (*free)(struct domain_lane *lane, iog_iova_t iova, uint64_t size);

	/* After a flush of the whole domain that began after all that @lane had cleared before: give back what waited. Gate entered. Optional. */
	void (*flushed)(struct domain_lane *lane);

	/*
	 * A run that @from has deferred when its sequence (domain.h) was @sequence, or that was quarantined for it, is forgotten by hardware: true if it was not of the allocator,
	 * and has been dealt with; else it is freed there. @lane is the caller's, its gate entered. Optional.
	 */
	bool (*retire)(struct domain_lane *lane, iog_lane_t from, uint32_t sequence, iog_iova_t iova, uint64_t size);
};

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The policy "identity": the address of a page for a device is its physical address, where its entry is free or maps it with the same permission already; the entry decides
 * (../pgtable/identity.h). What cannot be had so goes to the fallback policy, whose addresses are others: above @identity_last, or in @identity_low. An address tells by itself whose
 * it is. Scatter lists and runs that are reserved want addresses in one piece, and always go to the fallback.
 *
 * What a lane has unmapped as the last user is stale until hardware has forgotten it: at once in strict mode, else after a flush of the domain that covers the lane's queue. The stamp
 * of a stale entry is the lane and the sequence of its queue: what waits for a flush, or is given back a few at a time after it, has another one than what the lane unmaps meanwhile. In
 * strict mode the gate is held from the beginning of the invalidation to what it retires, so that the lane unmaps nothing in between.
 *
 * Before anything is unmapped there is room in the queue, so that a run whose invalidation fails finds a place there, quarantined, and stays stale until one succeeds.
 */
#include "../pgtable/identity.h"
#include "../pgtable/memory.h"
#include "flush.h"

/* Addresses that are not to be used, whatever memory is there. */
struct identity {
	uint32_t nr_reserved;
	struct iog_range reserved[];
};

/* Of what the lane unmaps now. Inside the gate. */
static inline uint64_t stamp_of(const struct domain_lane *lane)
{
	return identity_stamp(lane->lane, lane->sequence);
}

static bool overlaps(const struct iog_range *range, uint64_t first, uint64_t last)
{
	return first <= range->last && range->first <= last;
}

/* Of an address that was handed out. */
static bool is_identity(const struct iog_domain *domain, iog_iova_t iova)
{
	return iova <= domain->identity_last && !(domain->identity_low.last && overlaps(&domain->identity_low, iova, iova));
}

/* Whether [first, last] of memory may be mapped to itself at all. */
static bool may_be_identity(const struct iog_domain *domain, uint64_t first, uint64_t last, iog_iova_t limit)
{
	const struct identity *identity = domain->policy_state;

	if (last < first || last > domain->identity_last || last > limit || first < domain->first)
		return false;
	if (domain->identity_low.last && overlaps(&domain->identity_low, first, last))
		return false;
	for (uint32_t i = 0; i < identity->nr_reserved; i++)
		if (overlaps(&identity->reserved[i], first, last))
			return false;
	return true;
}

static size_t state_bytes(uint32_t nr_reserved)
{
	return sizeof(struct identity) + nr_reserved * sizeof(struct iog_range);
}

static int create(struct iog_domain *domain, const struct iog_domain_config *config)
{
	const struct iog_platform *platform = domain->platform;
	struct identity *identity;
	int error;

	if (!iog_pgtable_identity_users(domain->pgtable))
		return -IOG_EOPNOTSUPP;
	identity = platform->object_alloc(platform->ctx, state_bytes(config->nr_reserved));
	if (!identity)
		return -IOG_ENOMEM;
	identity->nr_reserved = config->nr_reserved;
	if (config->nr_reserved)
		memcpy(identity->reserved, config->reserved, config->nr_reserved * sizeof(identity->reserved[0]));
	error = domain->fallback->create ? domain->fallback->create(domain, config) : 0;
	if (error)
		platform->object_free(platform->ctx, identity, state_bytes(config->nr_reserved));
	else
		domain->policy_state = identity;
	return error;
}

static void destroy(struct iog_domain *domain)
{
	const struct iog_platform *platform = domain->platform;
	struct identity *identity = domain->policy_state;

	if (domain->fallback->destroy)
		domain->fallback->destroy(domain);
	platform->object_free(platform->ctx, identity, state_bytes(identity->nr_reserved));
	domain->policy_state = NULL;
}

/* Pages of the run have become stale, in the lane's gather: invalidate and retire them, now or later. Inside the gate. */
static int run_stale(struct domain_lane *lane, iog_iova_t iova, uint64_t size)
{
	struct iog_domain *domain = lane->domain;
	int error;

	if (atomic_load_explicit(&domain->mode, memory_order_relaxed) != IOG_INVAL_STRICT)
		return iog_domain_defer(lane, iova, size);
	error = iog_gather_flush(&lane->gather);
	if (error)
		iog_domain_quarantine(lane, iova, size);
	else
		iog_pgtable_identity_retire(domain->pgtable, iova, size, stamp_of(lane), &lane->gather);
	return error;
}

static int map_identity(struct domain_lane *lane, iog_paddr_t paddr, uint64_t size, uint32_t prot)
{
	uintptr_t flags = domain_lane_enter(lane);
	int error = iog_domain_make_room(lane);
	bool stale;

	if (!error) {
		error = iog_pgtable_identity_map(lane->domain->pgtable, paddr, size, prot, stamp_of(lane), &lane->gather, &stale);
		/* The error that counts is the first; a second one leaves the run in quarantine. */
		if (stale)
			(void)run_stale(lane, paddr, size);
	}
	domain_lane_exit(lane, flags);
	return error;
}

static int map(struct domain_lane *lane, iog_paddr_t paddr, uint64_t size, uint32_t prot, iog_iova_t limit, iog_iova_t *iova)
{
	struct iog_domain *domain = lane->domain;
	int error = -IOG_EEXIST;

	if (may_be_identity(domain, paddr, paddr + (size - 1), limit)) {
		error = map_identity(lane, paddr, size, prot);
		if (!error) {
			domain_lane_count(&lane->identity_maps);
			*iova = paddr;
			return 0;
		}
	}
	if (error != -IOG_EEXIST && error != -IOG_ENOMEM && error != -IOG_ERANGE)
		return error;
	error = domain->fallback->map(lane, paddr, size, prot, limit, iova);
	if (!error)
		domain_lane_count(&lane->fallback_maps);
	return error;
}

static int unmap(struct domain_lane *lane, iog_iova_t iova, uint64_t size)
{
	struct iog_domain *domain = lane->domain;
	uintptr_t flags;
	bool stale;
	int error;

	if (!is_identity(domain, iova))
		return domain->fallback->unmap(lane, iova, size);
	flags = domain_lane_enter(lane);
	error = iog_domain_make_room(lane);
	if (!error) {
		error = iog_pgtable_identity_unmap(domain->pgtable, iova, size, stamp_of(lane), &lane->gather, &stale);
		if (error && stale)
			iog_domain_quarantine(lane, iova, size);
		else if (stale)
			error = run_stale(lane, iova, size);
	}
	domain_lane_exit(lane, flags);
	return error;
}

static int alloc(struct domain_lane *lane, uint64_t size, iog_iova_t limit, iog_iova_t *iova)
{
	int error = lane->domain->fallback->alloc(lane, size, limit, iova);

	if (!error)
		domain_lane_count(&lane->fallback_maps);
	return error;
}

static int fill(struct domain_lane *lane, iog_iova_t iova, iog_paddr_t paddr, uint64_t size, uint32_t prot)
{
	return lane->domain->fallback->fill(lane, iova, paddr, size, prot);
}

static int clear(struct domain_lane *lane, iog_iova_t iova, uint64_t size)
{
	return lane->domain->fallback->clear(lane, iova, size);
}

static int free_run(struct domain_lane *lane, iog_iova_t iova, uint64_t size)
{
	return lane->domain->fallback->free(lane, iova, size);
}

static void flushed(struct domain_lane *lane)
{
	if (lane->domain->fallback->flushed)
		lane->domain->fallback->flushed(lane);
}

static bool retire(struct domain_lane *lane, iog_lane_t from, uint32_t sequence, iog_iova_t iova, uint64_t size)
{
	if (!is_identity(lane->domain, iova))
		return false;
	iog_pgtable_identity_retire(lane->domain->pgtable, iova, size, identity_stamp(from, sequence), &lane->gather);
	return true;
}

const struct iog_policy iog_policy_identity = {
	.name = "identity",
	.create = create,
	.destroy = destroy,
	.map = map,
	.unmap = unmap,
	.alloc = alloc,
	.fill = fill,
	.clear = clear,
	.free = free_run,
	.flushed = flushed,
	.retire = retire,
};

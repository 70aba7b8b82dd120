/* SPDX-License-Identifier: MIT */
/*
 * Domains: made of a page table, an allocator and lanes, as the configuration says; and their accounts. What happens to addresses and entries is the policy's.
 */
#include "../inval/gather.h"
#include "../iova/allocator.h"
#include "../pgtable/memory.h"
#include "../pgtable/pgtable.h"
#include "bounce.h"
#include "flush.h"
#include "held.h"
#include "static.h"

#define LANES_MAX 4096
#define UNITS_MAX 64
#define UNITS_DEFAULT 8
#define DEFERRED_ENTRIES_MAX 65536
#define DEFERRED_ENTRIES_DEFAULT 256
#define DEFERRED_MS_DEFAULT 10

static size_t domain_bytes(const struct iog_domain *domain)
{
	return sizeof(*domain) + domain->units_max * sizeof(domain->units[0]);
}

static size_t lanes_bytes(const struct iog_domain *domain)
{
	return domain->lanes_count * sizeof(*domain->lanes);
}

/* All lanes' queues, one after the other. */
static size_t deferred_bytes(const struct iog_domain *domain)
{
	return (size_t)domain->lanes_count * domain->ring_size * sizeof(struct deferred_entry);
}

/* All lanes' places for the pieces of a mapping. */
static size_t pieces_bytes(const struct iog_domain *domain)
{
	return (size_t)domain->lanes_count * (HELD_PIECES + REST_PIECES) * sizeof(struct held_piece);
}

/* The allocator: of the policy, or of the fallback of one that has none. */
static const struct iog_policy *address_policy(const struct iog_domain *domain)
{
	return domain->fallback ? domain->fallback : domain->policy;
}

/* Things that hold for every type. */
static int configure(struct iog_domain *domain, const struct iog_domain_config *config)
{
	const struct iog_tablemem *mem = config->type == IOG_DOMAIN_PAGING ? config->pgtable.tablemem : NULL;

	domain->platform = config->platform;
	domain->type = config->type;
	domain->lanes_count = config->lanes ? config->lanes : mem ? mem->lanes : 1;
	if (domain->lanes_count > LANES_MAX)
		return -IOG_EINVAL;
	gates_init(&domain->gates, config->platform);
	wait_unlock(&domain->flush_lock);
	wait_unlock(&domain->attach_lock);
	return 0;
}

static int configure_paging(struct iog_domain *domain, const struct iog_domain_config *config)
{
	const struct iog_tablemem *mem = config->pgtable.tablemem;

	if (!mem || domain->lanes_count > mem->lanes)
		return -IOG_EINVAL;
	if (config->pgtable.flags & IOG_PGTABLE_SINGLE_WRITER && domain->lanes_count > 1)
		return -IOG_EINVAL;
	if (config->mode != IOG_INVAL_STRICT && config->mode != IOG_INVAL_DEFERRED && config->mode != IOG_INVAL_HELD)
		return -IOG_EINVAL;
	if (config->hold && !config->hold->release)
		return -IOG_EINVAL;
	domain->hold = config->hold;
	domain->hold_ctx = config->hold_ctx;
	domain->held_max = config->held_max ? config->held_max : HELD_MAX_DEFAULT;
	domain->mode = config->mode;
	domain->flush_on_map = config->pgtable.flags & IOG_PGTABLE_FLUSH_ON_MAP;
	domain->deferred_entries = config->deferred_entries ? config->deferred_entries : DEFERRED_ENTRIES_DEFAULT;
	domain->deferred_ms = config->deferred_ms ? config->deferred_ms : DEFERRED_MS_DEFAULT;
	if (domain->deferred_entries > DEFERRED_ENTRIES_MAX)
		return -IOG_EINVAL;
	/* Without memory that is held, an address and a call are all that an unmapping adds. */
	domain->ring_size = domain->deferred_entries + (domain->hold ? HELD_PLACES : 2);
	if (SIZE_MAX / domain->lanes_count / sizeof(struct deferred_entry) < domain->ring_size)
		return -IOG_EINVAL;

	domain->is_static = config->memory;
	if (domain->is_static)
		return config->nr_memory ? 0 : -IOG_EINVAL;
	domain->policy = config->policy ? config->policy : &iog_policy_window;
	domain->holds_pages = domain->hold && domain->policy->unmap_held;
	domain->maps_alone = !domain->flush_on_map && !(domain->hold && domain->hold->hold);
	if (domain->policy->iova)
		return 0;
	domain->fallback = config->fallback ? config->fallback : &iog_policy_window;
	return domain->fallback->iova ? 0 : -IOG_EINVAL;
}

static int lanes_create(struct iog_domain *domain)
{
	const struct iog_platform *platform = domain->platform;
	struct deferred_entry *deferred;
	struct held_piece *pieces;

	domain->lanes = platform->object_alloc(platform->ctx, lanes_bytes(domain));
	if (!domain->lanes)
		return -IOG_ENOMEM;
	for (uint32_t n = 0; n < domain->lanes_count; n++) {
		domain->lanes[n].domain = domain;
		domain->lanes[n].lane = n;
		lazy_flushed(&domain->lanes[n], 0, domain->deferred_entries);
	}
	if (domain->type != IOG_DOMAIN_PAGING)
		return 0;

	deferred = platform->object_alloc(platform->ctx, deferred_bytes(domain));
	if (!deferred)
		return -IOG_ENOMEM;
	for (uint32_t n = 0; n < domain->lanes_count; n++)
		domain->lanes[n].deferred = deferred + (size_t)n * domain->ring_size;
	if (!domain->hold)
		return 0;
	pieces = platform->object_alloc(platform->ctx, pieces_bytes(domain));
	if (!pieces)
		return -IOG_ENOMEM;
	for (uint32_t n = 0; n < domain->lanes_count; n++) {
		domain->lanes[n].pieces = pieces + (size_t)n * (HELD_PIECES + REST_PIECES);
		domain->lanes[n].lot = domain->lanes[n].pieces + HELD_PIECES;
	}
	return 0;
}

static int pgtable_create(struct iog_domain *domain, const struct iog_domain_config *config)
{
	int error = iog_pgtable_create(&config->pgtable, &domain->pgtable);

	if (error)
		return error;
	domain->granule = domain->pgtable->granule;
	for (uint32_t n = 0; !error && n < domain->lanes_count; n++)
		error = iog_gather_init(&domain->lanes[n].gather, domain->pgtable, n, iog_domain_invalidate, &domain->lanes[n]);
	return error;
}

/* What may be handed out, and where the fallback of 1:1 addresses begins. */
static int aperture_set(struct iog_domain *domain, const struct iog_domain_config *config)
{
	uint64_t last = domain->pgtable->last, mask = domain->granule - 1;

	/* Of an address space in two halves the lower is the default. */
	if (domain->pgtable->flags & IOG_PGTABLE_SIGN_EXTENDED)
		last >>= 1;
	domain->first = config->last ? config->first : config->first ? config->first : domain->granule;
	domain->last = config->last ? config->last : last;
	if (domain->first > domain->last || domain->first & mask || (domain->last + 1) & mask)
		return -IOG_EINVAL;
	if (domain->last > last && !(domain->pgtable->flags & IOG_PGTABLE_SIGN_EXTENDED && domain->first >= ~last))
		return -IOG_ERANGE;
	if (!domain->fallback)
		return 0;

	domain->identity_last = (config->identity_last ? config->identity_last : last >> 1) | mask;
	domain->identity_low = config->identity_low;
	if (domain->identity_low.last && (domain->identity_low.first > domain->identity_low.last || domain->identity_low.last > domain->identity_last ||
					  domain->identity_low.first & mask || (domain->identity_low.last + 1) & mask))
		return -IOG_EINVAL;
	return domain->identity_last < domain->last ? 0 : -IOG_ERANGE;
}

static int iova_create(struct iog_domain *domain, const struct iog_domain_config *config)
{
	const struct iog_platform *platform = domain->platform;
	const struct iog_policy *policy = address_policy(domain);
	struct iog_iova_config iova = {
		.ops = policy->iova,
		.platform = platform,
		.lanes = domain->lanes_count,
		.flags = config->iova_flags,
		.granule = domain->granule,
		.first = domain->first,
		.last = domain->last,
		.reserved = config->reserved,
		.nr_reserved = config->nr_reserved,
		.pools = config->pools,
	};
	struct iog_range *reserved = NULL;
	size_t reserved_bytes = ((size_t)config->nr_reserved + 1) * sizeof(*reserved);
	int error;

	if (config->iova_flags & ~(uint32_t)(IOG_IOVA_BOTTOM_UP | IOG_IOVA_STALE) || (config->nr_reserved && !config->reserved))
		return -IOG_EINVAL;
	/* Whatever the mode, which may change: in strict mode what is freed is said to have been forgotten already. */
	iova.flags |= policy->iova_flags;
	if (!(policy->iova_flags & IOG_IOVA_LAZY))
		iova.flags &= ~(uint32_t)IOG_IOVA_STALE;

	if (domain->fallback && domain->identity_low.last) {
		/* Below and above what is mapped 1:1. */
		reserved = platform->object_alloc(platform->ctx, reserved_bytes);
		if (!reserved)
			return -IOG_ENOMEM;
		if (config->nr_reserved)
			memcpy(reserved, config->reserved, config->nr_reserved * sizeof(*reserved));
		iova.reserved = reserved;
		if (domain->identity_low.last < domain->identity_last)
			reserved[iova.nr_reserved++] = (struct iog_range){ domain->identity_low.last + 1, domain->identity_last };
		if (iova.first < domain->identity_low.first)
			iova.first = domain->identity_low.first;
	} else if (domain->fallback && iova.first <= domain->identity_last) {
		iova.first = domain->identity_last + 1;
	}
	error = iog_iova_create(&iova, &domain->iova);
	if (reserved)
		platform->object_free(platform->ctx, reserved, reserved_bytes);
	return error;
}

/* Of a paging domain: what is made of memory, in the order in which it is needed. */
static int paging_create(struct iog_domain *domain, const struct iog_domain_config *config)
{
	int error = pgtable_create(domain, config);

	if (error)
		return error;
	error = aperture_set(domain, config);
	if (error)
		return error;
	if (domain->is_static)
		return iog_domain_map_memory(domain, config->memory, config->nr_memory);
	return iova_create(domain, config);
}

/* Whatever was made of it. No device, no other call; no unit remembers anything. */
static void domain_free(struct iog_domain *domain)
{
	const struct iog_platform *platform = domain->platform;

	if (domain->pgtable) {
		/* Tables that only a gather knows any more go back through the one of lane 0. */
		for (uint32_t n = 0; n < domain->lanes_count && domain->lanes[n].gather.pgtable; n++)
			iog_gather_take_over(&domain->lanes[0].gather, &domain->lanes[n].gather);
	}
	iog_iova_destroy(domain->iova);
	iog_pgtable_destroy(domain->pgtable, 0);
	if (domain->lanes) {
		if (domain->lanes[0].pieces)
			platform->object_free(platform->ctx, domain->lanes[0].pieces, pieces_bytes(domain));
		if (domain->lanes[0].deferred)
			platform->object_free(platform->ctx, domain->lanes[0].deferred, deferred_bytes(domain));
		platform->object_free(platform->ctx, domain->lanes, lanes_bytes(domain));
	}
	platform->object_free(platform->ctx, domain, domain_bytes(domain));
}

static bool policy_usable(const struct iog_policy *policy)
{
	return !policy || (policy->map && policy->unmap);
}

int iog_domain_create(const struct iog_domain_config *config, struct iog_domain **result)
{
	const struct iog_platform *platform;
	struct iog_domain *domain;
	uint32_t units;
	int error;

	if (!config || !result || !config->platform || !config->platform->object_alloc || !config->platform->object_free)
		return -IOG_EINVAL;
	if (config->type != IOG_DOMAIN_PAGING && config->type != IOG_DOMAIN_IDENTITY && config->type != IOG_DOMAIN_BLOCKED)
		return -IOG_EINVAL;
	units = config->type != IOG_DOMAIN_PAGING ? 0 : config->units_max ? config->units_max : UNITS_DEFAULT;
	if (units > UNITS_MAX || !policy_usable(config->policy) || !policy_usable(config->fallback))
		return -IOG_EINVAL;

	platform = config->platform;
	domain = platform->object_alloc(platform->ctx, sizeof(*domain) + units * sizeof(domain->units[0]));
	if (!domain)
		return -IOG_ENOMEM;
	domain->units_max = units;
	error = configure(domain, config);
	if (!error && domain->type == IOG_DOMAIN_PAGING)
		error = configure_paging(domain, config);
	if (!error)
		error = lanes_create(domain);
	if (!error && domain->type == IOG_DOMAIN_PAGING)
		error = paging_create(domain, config);
	if (!error && domain->policy && domain->policy->create)
		error = domain->policy->create(domain, config);
	if (error) {
		domain_free(domain);
		return error;
	}
	*result = domain;
	return 0;
}

int iog_domain_destroy(struct iog_domain *domain)
{
	bool busy;

	if (!domain)
		return 0;
	wait_lock(&domain->attach_lock, domain->platform);
	busy = domain->devices;
	wait_unlock(&domain->attach_lock);
	if (busy)
		return -IOG_EBUSY;
	iog_bounce_fini(domain);
	iog_held_fini(domain);
	if (domain->policy && domain->policy->destroy)
		domain->policy->destroy(domain);
	domain_free(domain);
	return 0;
}

struct iog_pgtable *iog_domain_pgtable(struct iog_domain *domain)
{
	return domain->pgtable;
}

void iog_domain_stats(struct iog_domain *domain, struct iog_domain_stats *stats)
{
	int64_t bytes_mapped = 0;

	memset(stats, 0, sizeof(*stats));
	for (uint32_t n = 0; n < domain->lanes_count; n++) {
		struct domain_lane *lane = &domain->lanes[n];

		stats->maps += atomic_load_explicit(&lane->maps, memory_order_relaxed);
		stats->unmaps += atomic_load_explicit(&lane->unmaps, memory_order_relaxed);
		stats->invalidations += atomic_load_explicit(&lane->invalidations, memory_order_relaxed);
		stats->widened += atomic_load_explicit(&lane->widened, memory_order_relaxed);
		stats->identity_maps += atomic_load_explicit(&lane->identity_maps, memory_order_relaxed);
		stats->fallback_maps += atomic_load_explicit(&lane->fallback_maps, memory_order_relaxed);
		stats->deferred += atomic_load_explicit(&lane->nr_deferred, memory_order_relaxed) + lazy_waiting(lane, domain->deferred_entries);
		iog_held_stats(lane, stats);
		bytes_mapped += atomic_load_explicit(&lane->bytes_mapped, memory_order_relaxed);
	}
	stats->bytes_mapped = (uint64_t)bytes_mapped;
	stats->flushes = atomic_load_explicit(&domain->clock.started, memory_order_relaxed);
	stats->devices_lost = atomic_load_explicit(&domain->devices_lost, memory_order_relaxed);
	stats->quarantined = atomic_load_explicit(&domain->quarantined, memory_order_relaxed);
	if (domain->iova)
		iog_iova_stats(domain->iova, &stats->iova);
	if (domain->pgtable)
		iog_pgtable_stats(domain->pgtable, &stats->pgtable);
}

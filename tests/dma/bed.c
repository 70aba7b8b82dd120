/* SPDX-License-Identifier: MIT */
/*
 * See bed.h.
 */
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>

#include "bed.h"
#include "relax.h"

/* ---- platform ---- */

static const struct iog_platform *host_of(const struct bed *bed)
{
	return iog_posix_platform(bed->posix);
}

static bool fails(struct bed *bed)
{
	uint64_t left = atomic_load(&bed->fail_in);

	atomic_fetch_add(&bed->allocations, 1);
	while (left && !atomic_compare_exchange_weak(&bed->fail_in, &left, left - 1))
		;
	return left == 1;
}

static void *pages_alloc(void *ctx, size_t size)
{
	struct bed *bed = ctx;

	return fails(bed) ? NULL : host_of(bed)->pages_alloc(host_of(bed)->ctx, size);
}

static void pages_free(void *ctx, void *pages, size_t size)
{
	struct bed *bed = ctx;

	host_of(bed)->pages_free(host_of(bed)->ctx, pages, size);
}

static void *object_alloc(void *ctx, size_t size)
{
	struct bed *bed = ctx;

	return fails(bed) ? NULL : host_of(bed)->object_alloc(host_of(bed)->ctx, size);
}

static void object_free(void *ctx, void *object, size_t size)
{
	struct bed *bed = ctx;

	host_of(bed)->object_free(host_of(bed)->ctx, object, size);
}

static void bed_relax(void *ctx)
{
	struct bed *bed = ctx;
	void (*hook)(struct bed *bed) = atomic_load(&bed->on_relax);

	if (hook)
		hook(bed);
	kit_relax(ctx);
}

static void lanes_barrier(void *ctx)
{
	struct bed *bed = ctx;

	atomic_fetch_add(&bed->barriers, 1);
	host_of(bed)->lanes_barrier(host_of(bed)->ctx);
}

/* ---- probes ---- */

static struct probe *probe_of(struct iog_unit *unit)
{
	return (struct probe *)unit;
}

static void promise(struct probe *probe, bool kept, const char *what)
{
	if (kept)
		return;
	atomic_store(&probe->broken_how, what);
	atomic_fetch_add(&probe->broken, 1);
}

static void locked_enter(struct probe *probe)
{
	promise(probe, atomic_fetch_add(&probe->locked, 1) == 0, "two calls at once that come one at a time");
	for (uint32_t n = 0; n < 3 && atomic_load(&probe->slow); n++)
		sched_yield();
}

static void locked_exit(struct probe *probe)
{
	atomic_fetch_sub(&probe->locked, 1);
}

static int probe_add(struct iog_unit *unit, uint32_t id, const struct iog_pgtable_root *root)
{
	struct probe *probe = probe_of(unit);
	void (*hook)(struct probe *probe) = atomic_load(&probe->on_add);
	int error = atomic_load(&probe->fail_add);

	locked_enter(probe);
	atomic_fetch_add(&probe->adds, 1);
	if (hook)
		hook(probe);
	promise(probe, id >= 1 && id <= BED_IDS && !atomic_load(&probe->holder[id]), "an id that a domain has, or that does not exist, given to another");
	if (!error)
		error = probe->inner->ops->domain_add(probe->inner, id, root);
	if (!error)
		atomic_store(&probe->holder[id], root->paddr);
	atomic_store(&probe->barriers_at_add, atomic_load(&probe->bed->barriers));
	locked_exit(probe);
	return error;
}

static int probe_remove(struct iog_unit *unit, uint32_t id)
{
	struct probe *probe = probe_of(unit);
	int error = atomic_load(&probe->fail_remove);

	locked_enter(probe);
	atomic_fetch_add(&probe->removes, 1);
	promise(probe, atomic_load(&probe->holder[id]), "an id removed that no domain has");
	promise(probe, !atomic_load(&probe->inside[id]), "an id removed while an invalidation uses it");
	/* It is done in either case, but only one that was told so may use the id again. */
	atomic_store(&probe->holder[id], error ? UINT64_MAX : 0);
	promise(probe, !probe->inner->ops->domain_remove(probe->inner, id), "an id removed that the hardware does not know");
	locked_exit(probe);
	return error;
}

static int probe_set(struct iog_unit *unit, uint32_t device, enum iog_domain_type type, uint32_t id)
{
	struct probe *probe = probe_of(unit);
	int error = atomic_load(&probe->fail_set);

	locked_enter(probe);
	atomic_fetch_add(&probe->sets, 1);
	if (error && atomic_load(&probe->fail_set_in)) {
		if (atomic_fetch_sub(&probe->fail_set_in, 1) == 1)
			atomic_store(&probe->fail_set, 0);
		else
			error = 0;
	}
	if (type == IOG_DOMAIN_PAGING) {
		promise(probe, id >= 1 && id <= BED_IDS && atomic_load(&probe->holder[id]), "a device set to an id that no domain has");
		promise(probe, !probe->bed->base.lanes_barrier || atomic_load(&probe->bed->barriers) > atomic_load(&probe->barriers_at_add),
			"a device set to a domain before lanes know the unit");
	}
	if (!error)
		error = probe->inner->ops->device_set(probe->inner, device, type, id);
	locked_exit(probe);
	return error;
}

static int probe_invalidate(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather)
{
	struct probe *probe = probe_of(unit);
	void (*hook)(struct probe *probe, const struct iog_gather *gather) = atomic_load(&probe->on_invalidate);
	int error = atomic_load(&probe->fail_invalidate);
	struct iog_pgtable_root root = { .paddr = 0 };
	uint64_t holder;

	atomic_fetch_add(&probe->inside[id], 1);
	atomic_fetch_add(gather ? &probe->ranges : &probe->domains, 1);
	if (hook)
		hook(probe, gather);
	holder = atomic_load(&probe->holder[id]);
	if (gather)
		iog_pgtable_root(gather->pgtable, &root);
	promise(probe, holder && (!gather || holder == root.paddr), "an invalidation under an id that the domain does not have");
	if (!error)
		error = probe->inner->ops->invalidate(probe->inner, id, gather);
	promise(probe, atomic_load(&probe->holder[id]) == holder, "an id that changed hands during an invalidation");
	atomic_fetch_sub(&probe->inside[id], 1);
	return error;
}

static const struct iog_unit_ops probe_ops = {
	.domain_add = probe_add,
	.domain_remove = probe_remove,
	.device_set = probe_set,
	.invalidate = probe_invalidate,
};

/* ---- bed ---- */

static void violation(void *ctx, const struct iog_sim_violation *what)
{
	struct bed *bed = ctx;

	atomic_fetch_add(&bed->violations, 1);
	print_error("violation: kind %d, domain %" PRIu32 ", iova %#" PRIx64 ": %s\n", (int)what->kind, what->domain, what->iova, what->detail);
}

void bed_create(struct bed *bed, uint32_t lanes)
{
	const struct iog_tablemem_config mem_config = { .lanes = lanes };
	const struct iog_posix_config posix_config = { .limit = GiB };
	const struct iog_platform *host;

	*bed = (struct bed){ .violations = 0 };
	assert_int_equal(iog_posix_create(&posix_config, &bed->posix), 0);
	host = host_of(bed);
	bed->base = *host;
	bed->base.ctx = bed;
	bed->base.pages_alloc = pages_alloc;
	bed->base.pages_free = pages_free;
	bed->base.object_alloc = object_alloc;
	bed->base.object_free = object_free;
	bed->base.relax = bed_relax;
	/* Nothing is measured: what is asked of units does not depend on how long they take. */
	bed->base.now_ns = NULL;
	if (host->lanes_barrier)
		bed->base.lanes_barrier = lanes_barrier;
	bed->platform = bed->base;
	for (uint32_t n = 0; n < BED_UNITS; n++) {
		const struct iog_sim_config config = { .violation = violation, .violation_ctx = bed };
		struct probe *probe = &bed->probes[n];

		assert_int_equal(iog_sim_create(&bed->base, &config, &probe->sim), 0);
		iog_sim_observe(probe->sim, &bed->platform);
		probe->inner = iog_sim_unit(probe->sim);
		assert_non_null(probe->inner);
		probe->bed = bed;
		probe->unit.ops = &probe_ops;
		probe->unit.platform = &bed->base;
		probe->unit.domain_ids = BED_IDS;
		assert_int_equal(iog_unit_init(&probe->unit), 0);
	}
	assert_int_equal(iog_tablemem_create(&bed->platform, &mem_config, &bed->mem), 0);
	bed->memory = host->pages_alloc(host->ctx, BED_MEMORY);
	assert_non_null(bed->memory);
	bed->paddr = (uint64_t)(uintptr_t)bed->memory - host->direct_map_offset;
}

void bed_destroy(struct bed *bed)
{
	const struct iog_platform *host = host_of(bed);
	struct iog_posix_stats stats;

	for (uint32_t n = 0; n < BED_UNITS; n++) {
		if (atomic_load(&bed->probes[n].broken))
			print_error("unit %" PRIu32 ": %s\n", n, atomic_load(&bed->probes[n].broken_how));
		assert_int_equal(atomic_load(&bed->probes[n].broken), 0);
		assert_int_equal(iog_unit_fini(&bed->probes[n].unit), 0);
	}
	assert_int_equal(atomic_load(&bed->violations), 0);
	assert_int_equal(iog_tablemem_destroy(bed->mem), 0);
	for (uint32_t n = 0; n < BED_UNITS; n++)
		iog_sim_destroy(bed->probes[n].sim);
	host->pages_free(host->ctx, bed->memory, BED_MEMORY);
	iog_posix_stats(bed->posix, &stats);
	assert_int_equal(stats.object_bytes, 0);
	assert_int_equal(stats.page_bytes, 0);
	iog_posix_destroy(bed->posix);
}

struct iog_domain_config bed_config(const struct bed *bed)
{
	return (struct iog_domain_config){
		.platform = &bed->platform,
		.pgtable = { .ops = &iog_vtdss_counted, .tablemem = bed->mem },
		.policy = &iog_policy_tree,
	};
}

struct iog_domain *bed_domain(const struct iog_domain_config *config)
{
	struct iog_domain *domain = NULL;

	assert_int_equal(iog_domain_create(config, &domain), 0);
	return domain;
}

struct iog_device *bed_device(struct bed *bed, uint32_t unit, uint32_t id, struct iog_group *group)
{
	const struct iog_device_config config = { .platform = &bed->base, .unit = &bed->probes[unit].unit, .id = id, .group = group };
	struct iog_device *device = NULL;

	assert_int_equal(iog_device_create(&config, &device), 0);
	return device;
}

int bed_map(struct bed *bed, struct iog_domain *domain, iog_lane_t lane, uint64_t size, iog_iova_t limit, iog_iova_t *iova)
{
	return domain->policy->map(&domain->lanes[lane], bed->paddr, size, BED_RW, limit, iova);
}

int bed_unmap(struct iog_domain *domain, iog_lane_t lane, iog_iova_t iova, uint64_t size)
{
	return domain->policy->unmap(&domain->lanes[lane], iova, size);
}

void bed_note_map(struct bed *bed, uint32_t unit, uint32_t device, iog_iova_t iova, uint64_t size)
{
	iog_sim_note_map(iog_sim_device_domain(bed->probes[unit].sim, device), iova, bed->paddr, size, BED_RW);
}

void bed_note_unmap(struct bed *bed, uint32_t unit, uint32_t device, iog_iova_t iova, uint64_t size)
{
	iog_sim_note_unmap(iog_sim_device_domain(bed->probes[unit].sim, device), iova, size);
}

bool bed_lands(struct bed *bed, uint32_t unit, uint32_t device, iog_iova_t iova)
{
	return !iog_sim_device_translate(bed->probes[unit].sim, device, iova, IOG_PROT_READ, NULL);
}

struct iog_domain_stats bed_stats(struct iog_domain *domain)
{
	struct iog_domain_stats stats;

	iog_domain_stats(domain, &stats);
	return stats;
}

/* SPDX-License-Identifier: MIT */
/*
 * See rig.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dma/domain.h"
#include "host/sim/internal.h"
#include "iova/allocator.h"
#include "rig_inside.h"

_Atomic uint64_t rig_clock = 1000;

static uint64_t now_ns(void *ctx)
{
	(void)ctx;
	return atomic_fetch_add_explicit(&rig_clock, RIG_LOOK, memory_order_relaxed);
}

void rig_fail(struct rig *rig, const char *how, const char *file, int line)
{
	if (!rig->failures++)
		print_error("%s, %s, mode %d, seed %" PRIu64 ": %s (%s:%d)\n", rig->what, rig->config.policy->name, (int)rig->mode, rig->seed, how, file, line);
}

static uint32_t below(struct rig *rig, uint32_t n)
{
	return (uint32_t)(kit_random(&rig->random) % n);
}

/* ---- hardware ---- */

static void violation(void *ctx, const struct iog_sim_violation *seen)
{
	struct rig *rig = ctx;

	rig->violations++;
	rig->early_reuses += seen->kind == IOG_SIM_EARLY_REUSE;
	if (rig->expects_violations || rig->failures++)
		return;
	print_error("%s, %s, mode %d, seed %" PRIu64 ": violation %d at 0x%" PRIx64 ": %s\n", rig->what, rig->config.policy->name, (int)rig->mode, rig->seed, (int)seen->kind, seen->iova, seen->detail);
	for (uint32_t u = 0; u < rig->config.units && getenv("IOG_TEST_VERBOSE"); u++)
		if (rig->fronts[u].judged)
			iog_sim_history(rig->fronts[u].judged, seen->iova, stderr);
}

static struct front *front_of(struct iog_unit *unit)
{
	return (struct front *)(void *)unit;
}

static int domain_add(struct iog_unit *unit, uint32_t id, const struct iog_pgtable_root *root)
{
	struct iog_unit *behind = front_of(unit)->behind;

	return behind->ops->domain_add(behind, id, root);
}

static int domain_remove(struct iog_unit *unit, uint32_t id)
{
	struct iog_unit *behind = front_of(unit)->behind;

	return behind->ops->domain_remove(behind, id);
}

static int device_set(struct iog_unit *unit, uint32_t device, enum iog_domain_type type, uint32_t id)
{
	struct iog_unit *behind = front_of(unit)->behind;

	return behind->ops->device_set(behind, device, type, id);
}

/* It took no longer than it may, and an error is one of those that tell something. */
static int answered(struct front *front, uint64_t began, int error)
{
	struct rig *rig = front->rig;
	uint64_t deadline = rig->config.sim.deadline_ns + (rig->config.sim.device_deadline_ns ? rig->config.sim.device_deadline_ns : rig->config.sim.deadline_ns);

	rig_must(rig, iog_sim_now(front->sim) - began <= deadline + deadline / 2);
	rig_must(rig, !error || error == -IOG_ETIMEDOUT || error == -IOG_EIO);
	rig->errors += error != 0;
	return error;
}

static int invalidate(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather)
{
	struct front *front = front_of(unit);
	uint64_t began = iog_sim_now(front->sim);
	int error;

	front->calls++;
	if (front->lies) {
		front->lies--;
		return 0;
	}
	if (front->rig->on_invalidate)
		front->rig->on_invalidate(front->rig);
	rig_attack(front->rig, 1);
	error = front->behind->ops->invalidate(front->behind, id, gather);
	error = answered(front, began, error);
	rig_attack(front->rig, 1);
	return error;
}

static int device_invalidate(struct iog_unit *unit, uint32_t device, const struct iog_gather *gather)
{
	struct front *front = front_of(unit);
	uint64_t began = iog_sim_now(front->sim);
	int error;

	front->device_calls++;
	rig_attack(front->rig, 1);
	error = front->behind->ops->device_invalidate(front->behind, device, gather);
	error = answered(front, began, error);
	rig_attack(front->rig, 1);
	return error;
}

static int device_block(struct iog_unit *unit, uint32_t device)
{
	struct iog_unit *behind = front_of(unit)->behind;

	return behind->ops->device_block(behind, device);
}

static const struct iog_unit_ops front_ops = {
	.domain_add = domain_add,
	.domain_remove = domain_remove,
	.device_set = device_set,
	.invalidate = invalidate,
	.device_invalidate = device_invalidate,
	.device_block = device_block,
};

static void front_create(struct rig *rig, struct front *front)
{
	struct iog_sim_config config = rig->config.sim;

	config.violation = violation;
	config.violation_ctx = rig;
	config.pgtable_flags = rig->config.pgtable_flags;
	config.seed = kit_random(&rig->random);
	front->rig = rig;
	assert_int_equal(iog_sim_create(&rig->platform, &config, &front->sim), 0);
	iog_sim_observe(front->sim, &rig->observed);
	front->behind = iog_sim_unit(front->sim);
	assert_non_null(front->behind);
	front->unit.ops = &front_ops;
	front->unit.platform = &rig->platform;
	front->unit.ias = front->behind->ias;
	front->unit.oas = front->behind->oas;
	front->unit.pgtable_flags = front->behind->pgtable_flags;
	front->unit.domain_ids = front->behind->domain_ids;
	front->unit.wait_ns = config.wait_ns;
	front->unit.range_ns = config.range_ns;
	front->unit.domain_ns = config.domain_ns;
	assert_int_equal(iog_unit_init(&front->unit), 0);
}

/* ---- the owner of memory ---- */

/* It is somebody else's from now on. */
static void page_back(struct rig *rig, uint32_t page)
{
	rig->count[page]--;
	rig_must(rig, rig->count[page] == 0);
	if (rig->unmapping)
		rig->early[page] = true;
	/* As deferred mode has it. It may have been mapped elsewhere since. */
	if (rig->early[page])
		return;
	for (uint32_t u = 0; u < rig->config.units; u++)
		iog_sim_note_reuse(rig->fronts[u].sim, rig->paddr + page * RIG_PAGE, RIG_PAGE);
}

static void hold(void *ctx, iog_paddr_t paddr, uint64_t size)
{
	struct rig *rig = ctx;

	rig_must(rig, !((paddr | size) % RIG_PAGE) && paddr >= rig->paddr && paddr + size <= rig->paddr + RIG_PAGES * RIG_PAGE);
	for (uint64_t page = (paddr - rig->paddr) / RIG_PAGE; size; size -= RIG_PAGE, page++)
		rig_must(rig, ++rig->count[page] == 1);
}

static void release(void *ctx, iog_paddr_t paddr, uint64_t size)
{
	struct rig *rig = ctx;

	rig_must(rig, !((paddr | size) % RIG_PAGE) && paddr >= rig->paddr && paddr + size <= rig->paddr + RIG_PAGES * RIG_PAGE);
	for (uint64_t page = (paddr - rig->paddr) / RIG_PAGE; size; size -= RIG_PAGE, page++)
		page_back(rig, (uint32_t)page);
}

static const struct iog_hold_ops hold_ops = { hold, release };

/* Without hold ops the caller keeps count. */
void rig_pages_back(struct rig *rig, const struct mapping *mapping)
{
	for (uint32_t n = 0; n < mapping->n; n++)
		for (uint32_t page = 0; page < mapping->pages[n]; page++)
			page_back(rig, mapping->page[n] + page);
}

void rig_pages_take(struct rig *rig, const struct mapping *mapping)
{
	for (uint32_t n = 0; n < mapping->n; n++)
		hold(rig, rig->paddr + mapping->page[n] * RIG_PAGE, mapping->pages[n] * RIG_PAGE);
}

void rig_pages_stick(struct rig *rig, const struct mapping *mapping)
{
	for (uint32_t n = 0; n < mapping->n; n++)
		for (uint32_t page = 0; page < mapping->pages[n]; page++)
			rig->stuck[mapping->page[n] + page] = true;
}

static void parcel_back(void *ctx)
{
	struct parcel *parcel = ctx;
	struct rig *rig = parcel->rig;

	rig_must(rig, !parcel->called++);
	if (rig->config.holds)
		return;
	rig_pages_back(rig, &parcel->mapping);
}

/* Pages that are nobody's, one after the other. */
bool rig_pages_find(struct rig *rig, uint32_t pages, uint32_t *first)
{
	uint32_t begin = below(rig, RIG_PAGES), run = 0;

	for (uint32_t n = 0; n < 2 * RIG_PAGES; n++) {
		uint32_t page = (begin + n) % RIG_PAGES;

		if (!page)
			run = 0;
		run = rig->count[page] || rig->stuck[page] ? 0 : run + 1;
		if (run == pages) {
			*first = page + 1 - pages;
			return true;
		}
	}
	return false;
}

static bool mapping_has(const struct mapping *mapping, uint32_t count, const struct rig *rig)
{
	for (uint32_t n = 0; n < mapping->n; n++)
		for (uint32_t page = 0; page < mapping->pages[n]; page++)
			if (rig->count[mapping->page[n] + page] != (int)count)
				return false;
	return true;
}

/* ---- judges ---- */

static void note_map(const struct rig *rig, const struct mapping *mapping, uint32_t unit)
{
	iog_iova_t iova = mapping->iova;

	for (uint32_t n = 0; n < mapping->n; n++) {
		iog_sim_note_map(rig->fronts[unit].judged, iova, rig->paddr + mapping->page[n] * RIG_PAGE, mapping->pages[n] * RIG_PAGE, (uint32_t)mapping->dir);
		iova += mapping->pages[n] * RIG_PAGE;
	}
}

void rig_note_unmap(const struct rig *rig, const struct mapping *mapping)
{
	for (uint32_t unit = 0; unit < rig->config.units; unit++)
		if (rig->fronts[unit].judged)
			iog_sim_note_unmap(rig->fronts[unit].judged, mapping->iova, mapping->size);
}

void rig_attack(struct rig *rig, uint32_t times)
{
	for (; times; times--) {
		uint32_t device = below(rig, rig->config.devices), n = below(rig, RIG_TRIED + RIG_MAPPINGS);
		const struct mapping *target = n < RIG_TRIED ? &rig->tried[n] : &rig->mappings[n - RIG_TRIED];
		uint64_t at = kit_random(&rig->random);

		if (!target->size || (rig->mapping_now && (n < RIG_TRIED || target->state == MAPPING_NONE)))
			continue;
		iog_sim_device_translate(rig->fronts[device % rig->config.units].sim, device, target->iova + at % target->size / RIG_PAGE * RIG_PAGE,
					 at >> 60 & 1 ? IOG_PROT_READ : IOG_PROT_WRITE, NULL);
	}
}

/* Every device at every page: lands as it should, or, if @gone, nowhere. */
void rig_reach(struct rig *rig, const struct mapping *mapping, bool gone)
{
	for (uint32_t device = 0; device < rig->config.devices; device++) {
		for (uint64_t at = 0; at < mapping->size; at += RIG_PAGE) {
			int error = iog_sim_device_translate(rig->fronts[device % rig->config.units].sim, device, mapping->iova + at, (uint32_t)mapping->dir, NULL);

			rig_must(rig, gone || iog_device_is_lost(rig->devices[device]) ? error == -IOG_EFAULT : !error);
		}
	}
}

/* ---- calls ---- */

static struct iog_device *any_device(struct rig *rig)
{
	return rig->devices[below(rig, rig->config.devices)];
}

struct iog_domain_stats rig_stats(const struct rig *rig)
{
	struct iog_domain_stats stats;

	iog_domain_stats(rig->domain, &stats);
	return stats;
}

bool rig_has_lost(const struct rig *rig)
{
	for (uint32_t n = 0; n < rig->config.devices; n++)
		if (iog_device_is_lost(rig->devices[n]))
			return true;
	return false;
}

void rig_misbehave(struct rig *rig, enum iog_sim_fault_kind kind, uint64_t after, uint64_t count)
{
	for (uint32_t u = 0; u < rig->config.units; u++)
		assert_int_equal(iog_sim_misbehave(rig->fronts[u].sim, kind, after, count), 0);
}

uint64_t rig_struck(const struct rig *rig, enum iog_sim_fault_kind kind)
{
	struct iog_sim_stats stats;
	uint64_t struck = 0;

	for (uint32_t u = 0; u < rig->config.units; u++) {
		iog_sim_stats(rig->fronts[u].sim, &stats);
		struck += stats.faults_injected[kind];
	}
	return struck;
}

uint64_t rig_timeouts(const struct rig *rig)
{
	struct iog_sim_stats stats;
	uint64_t timeouts = 0;

	for (uint32_t u = 0; u < rig->config.units; u++) {
		iog_sim_stats(rig->fronts[u].sim, &stats);
		timeouts += stats.timeouts;
	}
	return timeouts;
}

struct mapping *rig_any(struct rig *rig)
{
	uint32_t begin = below(rig, RIG_MAPPINGS);

	for (uint32_t n = 0; n < RIG_MAPPINGS; n++) {
		struct mapping *mapping = &rig->mappings[(begin + n) % RIG_MAPPINGS];

		if (mapping->state != MAPPING_NONE)
			return mapping;
	}
	return NULL;
}

/* An error must have a reason: a unit has said so, or a device is lost. */
void rig_has_reason(struct rig *rig, int error, uint64_t errors, bool lost)
{
	rig_must(rig, !error || rig->errors > errors || lost);
	rig_must(rig, !error || error == -IOG_ETIMEDOUT || error == -IOG_EIO || error == -IOG_EAGAIN || error == -IOG_ENOSPC);
}

int rig_map(struct rig *rig, iog_lane_t lane, uint32_t segments, uint32_t pages_most, struct mapping **result)
{
	struct mapping *mapping = NULL, made = { .n = segments, .dir = (enum iog_dma_dir)(1 + below(rig, 3)) };
	bool lost = rig_has_lost(rig);
	uint64_t errors = rig->errors;
	uint32_t mapped_n = 0;
	int error;

	if (result)
		*result = NULL;
	if (rig->config.format == &iog_x86_64_counted && made.dir == IOG_DMA_FROM_DEVICE)
		made.dir = IOG_DMA_BIDIRECTIONAL;
	for (uint32_t n = 0; n < RIG_MAPPINGS && !mapping; n++)
		if (rig->mappings[n].state == MAPPING_NONE)
			mapping = &rig->mappings[n];
	if (!mapping)
		return 0;
	for (uint32_t n = 0; n < segments; n++) {
		made.pages[n] = 1 + below(rig, pages_most);
		if (!rig_pages_find(rig, made.pages[n], &made.page[n])) {
			made.n = n;
			break;
		}
		/* Not twice in a list. */
		for (uint32_t page = 0; page < made.pages[n]; page++)
			rig->stuck[made.page[n] + page] = true;
		made.sg[n] = (struct iog_sg){ .paddr = rig->paddr + made.page[n] * RIG_PAGE, .size = made.pages[n] * RIG_PAGE };
		made.size += made.sg[n].size;
	}
	for (uint32_t n = 0; n < made.n; n++)
		for (uint32_t page = 0; page < made.pages[n]; page++)
			rig->stuck[made.page[n] + page] = false;
	if (!made.n)
		return 0;

	rig->mapping_now = true;
	if (segments > 1)
		error = iog_dma_map_sg(any_device(rig), lane, made.sg, made.n, made.dir, 0, &made.iova, &mapped_n);
	else
		error = iog_dma_map(any_device(rig), lane, made.sg[0].paddr, made.size, made.dir, 0, &made.iova);
	rig->mapping_now = false;
	rig_has_reason(rig, error, errors, lost);
	if (error) {
		/* What was taken for it may wait, and be given back later; nobody has it now. */
		return error;
	}
	if (!rig->config.holds)
		rig_pages_take(rig, &made);
	rig_must(rig, mapping_has(&made, 1, rig));
	made.state = MAPPING_LIVE;
	*mapping = made;
	for (uint32_t u = 0; u < rig->config.units; u++)
		if (rig->fronts[u].judged)
			note_map(rig, mapping, u);
	if (below(rig, 2))
		rig_reach(rig, mapping, false);
	rig->tried[rig->nr_tried++ % RIG_TRIED] = made;
	if (result)
		*result = mapping;
	return 0;
}

int rig_unmap(struct rig *rig, iog_lane_t lane, struct mapping *mapping, bool by_call)
{
	struct mapping gone = *mapping;
	bool lost = rig_has_lost(rig), is_list = gone.sg[0].iova_size;
	struct iog_device *device = any_device(rig);
	uint64_t errors = rig->errors;
	struct parcel *parcel = NULL;
	int error;

	/* There is no call for lists; and where nothing is held otherwise memory comes back by one. */
	by_call = !is_list && (by_call || (!rig->config.holds && rig->mode == IOG_INVAL_HELD));
	if (by_call) {
		parcel = test_calloc(1, sizeof(*parcel));
		*parcel = (struct parcel){ .rig = rig, .mapping = gone, .next = rig->parcels };
		rig->parcels = parcel;
	}
	rig_note_unmap(rig, &gone);
	rig->unmapping = rig->mode == IOG_INVAL_DEFERRED;
	if (is_list)
		error = iog_dma_unmap_sg(device, lane, mapping->sg, gone.n, gone.dir, 0);
	else if (by_call)
		error = iog_dma_unmap_release(device, lane, gone.iova, gone.size, gone.dir, 0, parcel_back, parcel);
	else
		error = iog_dma_unmap(device, lane, gone.iova, gone.size, gone.dir, 0);
	rig->unmapping = false;
	rig_has_reason(rig, error, errors, lost);
	rig_must(rig, error != -IOG_ENOSPC);
	if (error == -IOG_EAGAIN) {
		rig_must(rig, mapping_has(&gone, 1, rig) && !(parcel && parcel->called));
		mapping->state = MAPPING_REFUSED;
		/* As it was: for all devices but those that have been lost. */
		rig_reach(rig, &gone, false);
		if (parcel)
			parcel->called = 1;
		return error;
	}
	mapping->state = MAPPING_NONE;
	if (!rig->config.holds && !by_call) {
		/* In held mode a list's memory is nobody's until the next flush: there is no hold op to say so. */
		if (error || rig->mode == IOG_INVAL_HELD) {
			rig_pages_stick(rig, &gone);
		} else {
			rig->unmapping = rig->mode == IOG_INVAL_DEFERRED;
			rig_pages_back(rig, &gone);
			rig->unmapping = false;
		}
	} else if (!error && rig->mode == IOG_INVAL_STRICT) {
		rig_must(rig, mapping_has(&gone, 0, rig));
		rig_must(rig, !parcel || parcel->called);
	} else if (!error && rig->mode == IOG_INVAL_DEFERRED && rig->config.holds) {
		rig_must(rig, mapping_has(&gone, 0, rig));
	} else if (error && rig->mode != IOG_INVAL_DEFERRED) {
		rig_must(rig, mapping_has(&gone, 1, rig));
		rig_must(rig, !parcel || !parcel->called);
	}
	/* What strict mode promises. */
	if (!error && rig->mode == IOG_INVAL_STRICT)
		rig_reach(rig, &gone, true);
	return error;
}

int rig_flush(struct rig *rig, iog_lane_t lane)
{
	bool lost = rig_has_lost(rig);
	uint64_t errors = rig->errors;
	int error = iog_domain_flush(rig->domain, lane);

	if (!error)
		memset(rig->early, 0, sizeof(rig->early));
	rig_has_reason(rig, error, errors, lost);
	rig_must(rig, error != -IOG_EAGAIN && error != -IOG_ENOSPC);
	rig_must(rig, error || (rig->errors == errors && !lost));
	return error;
}

int rig_set_mode(struct rig *rig, iog_lane_t lane, enum iog_inval_mode mode)
{
	bool lost = rig_has_lost(rig);
	uint64_t errors = rig->errors;
	int error = iog_domain_set_mode(rig->domain, lane, mode);

	rig->mode = mode;
	if (!error)
		memset(rig->early, 0, sizeof(rig->early));
	rig_has_reason(rig, error, errors, lost);
	rig_must(rig, error != -IOG_EAGAIN && error != -IOG_ENOSPC);
	rig_must(rig, error || (rig->errors == errors && !lost));
	return error;
}

/* ---- the end ---- */

static void device_make(struct rig *rig, uint32_t n)
{
	const struct iog_device_config config = {
		.platform = &rig->observed,
		.unit = &rig->fronts[n % rig->config.units].unit,
		.id = n,
		.flags = (uint32_t)((rig->config.ats >> n & 1 ? IOG_DEVICE_ATS : 0) | (rig->config.no_reuse >> n & 1 ? IOG_DEVICE_NO_REUSE : 0)),
	};

	assert_int_equal(iog_device_create(&config, &rig->devices[n]), 0);
	if (rig->config.ats >> n & 1)
		assert_int_equal(iog_sim_device_ats(rig->fronts[n % rig->config.units].sim, n, 32, 0), 0);
}

/* A unit that comes into the domain, or back: its judge has heard of nothing. */
static void device_attach(struct rig *rig, uint32_t n)
{
	struct front *front = &rig->fronts[n % rig->config.units];

	rig_must(rig, !iog_domain_attach(rig->domain, rig->devices[n]));
	if (front->judged)
		return;
	front->judged = iog_sim_device_domain(front->sim, n);
	for (uint32_t m = 0; m < RIG_MAPPINGS; m++)
		if (rig->mappings[m].state != MAPPING_NONE)
			note_map(rig, &rig->mappings[m], n % rig->config.units);
	rig_others_note(rig, n % rig->config.units);
}

/* The last device behind a unit takes it out of the domain. */
static void device_detach(struct rig *rig, uint32_t n)
{
	struct front *front = &rig->fronts[n % rig->config.units];

	rig_must(rig, !iog_domain_attach(NULL, rig->devices[n]));
	for (uint32_t other = n % rig->config.units; other < rig->config.devices; other += rig->config.units)
		if (iog_device_domain(rig->devices[other]))
			return;
	if (rig->untrusted && front == &rig->fronts[0])
		return;
	front->judged = NULL;
}

/* Then it has to stay. */
static bool has_run(const struct rig *rig, const struct iog_device *device)
{
	for (uint32_t n = 0; n < RIG_RUNS; n++)
		if (rig->runs[n].run.device == device)
			return true;
	return false;
}

void rig_reset_lost(struct rig *rig)
{
	for (uint32_t n = 0; n < rig->config.devices; n++) {
		if (!iog_device_is_lost(rig->devices[n]))
			continue;
		switch (below(rig, has_run(rig, rig->devices[n]) ? 2 : 3)) {
		case 0:
			break;
		case 1:
			device_detach(rig, n);
			break;
		default:
			device_detach(rig, n);
			rig_must(rig, !iog_device_destroy(rig->devices[n]));
			device_make(rig, n);
			break;
		}
		device_attach(rig, n);
		rig_must(rig, !iog_device_is_lost(rig->devices[n]));
	}
}

/* Hardware that is merely late answers in the end. */
static int insist(struct rig *rig, int (*call)(struct iog_domain *domain, iog_lane_t lane), iog_lane_t lane)
{
	int error = -IOG_ETIMEDOUT;

	for (uint32_t n = 0; n < 2000 && error; n++) {
		error = call(rig->domain, lane);
		rig_reset_lost(rig);
	}
	return error;
}

static uint64_t tables(const struct rig *rig)
{
	struct iog_domain_stats stats = rig_stats(rig);
	uint64_t nr = 0;

	for (uint32_t level = 0; level < IOG_LEVELS_MAX; level++)
		nr += stats.pgtable.tables[level];
	return nr;
}

void rig_recover(struct rig *rig)
{
	struct iog_domain_stats stats;

	for (uint32_t kind = 0; kind < IOG_SIM_FAULT_KINDS; kind++)
		rig_misbehave(rig, (enum iog_sim_fault_kind)kind, 0, 0);
	/* What a lost device holds is said to be held. */
	if (rig_has_lost(rig)) {
		rig_must(rig, iog_domain_flush(rig->domain, 0) == -IOG_ETIMEDOUT);
		rig_must(rig, rig_stats(rig).devices_lost);
		for (uint32_t page = 0, held = 0; rig->config.holds && page < RIG_PAGES; page++) {
			held += rig->count[page] != 0;
			if (page == RIG_PAGES - 1 && held)
				rig_must(rig, rig_stats(rig).held_bytes || rig_stats(rig).quarantined || rig_stats(rig).bytes_mapped);
		}
	}
	rig_reset_lost(rig);
	for (uint32_t m = 0; m < RIG_MAPPINGS; m++) {
		struct mapping *mapping = &rig->mappings[m];

		for (uint32_t n = 0; n < 2000 && mapping->state != MAPPING_NONE; n++) {
			(void)rig_unmap(rig, n % RIG_LANES, mapping, m & 1);
			rig_reset_lost(rig);
		}
		rig_must(rig, mapping->state == MAPPING_NONE);
	}
	if (rig->config.others)
		rig_others_give_back(rig);
	for (iog_lane_t lane = 0; lane < RIG_LANES; lane++)
		rig_must(rig, !insist(rig, iog_domain_flush, lane));
	memset(rig->early, 0, sizeof(rig->early));
	/* Every reference is back. */
	for (uint32_t page = 0; page < RIG_PAGES; page++) {
		if (rig->stuck[page]) {
			rig->stuck[page] = false;
			page_back(rig, page);
		}
		rig_must(rig, !rig->count[page]);
	}
	rig_others_flushed(rig);
	for (const struct parcel *parcel = rig->parcels; parcel; parcel = parcel->next)
		rig_must(rig, parcel->called == 1);
	stats = rig_stats(rig);
	rig_must(rig, !stats.held_bytes && !stats.held_entries && !rig->domain->held_credit);

	/* One flush a level. */
	for (uint32_t n = 0; n < 2 * IOG_LEVELS_MAX; n++)
		for (iog_lane_t lane = 0; lane < RIG_LANES; lane++)
			rig_must(rig, !insist(rig, iog_domain_trim, lane));
	stats = rig_stats(rig);
	rig_must(rig, stats.maps == stats.unmaps && !stats.bytes_mapped);
	rig_must(rig, !stats.deferred && !stats.quarantined);
	rig_must(rig, !stats.iova.live_bytes);
	rig_must(rig, tables(rig) == 1);
	rig_must(rig, iog_pgtable_is_valid(iog_domain_pgtable(rig->domain)));
	rig_attack(rig, 64);
	for (uint32_t n = 0; n < RIG_TRIED; n++)
		if (rig->tried[n].size)
			rig_reach(rig, &rig->tried[n], true);
}

/* One for all rigs, because making it takes longer than a case. */
static struct iog_posix *posix;

/* Whose memory goes through this platform, if it has others; and the platform's own calls. */
static struct rig *watched;
static struct iog_platform lower;

static void *watched_alloc(void *ctx, size_t size)
{
	void *pages = lower.pages_alloc(ctx, size);

	if (watched && watched->allocating && !watched->allocated) {
		watched->allocated = pages;
		watched->allocated_size = size;
	}
	return pages;
}

/* Anybody may get it now: no device may reach it. */
static void watched_free(void *ctx, void *pages, size_t size)
{
	if (watched && watched->allocated == pages)
		watched->allocated = NULL;
	for (uint32_t u = 0; watched && watched->domain && u < watched->config.units; u++)
		iog_sim_note_reuse(watched->fronts[u].sim, (uint64_t)(uintptr_t)pages - lower.direct_map_offset, size);
	lower.pages_free(ctx, pages, size);
}

static void platform_create(struct rig *rig)
{
	struct iog_posix_stats before;

	if (!posix)
		assert_int_equal(iog_posix_create(NULL, &posix), 0);
	iog_posix_stats(posix, &before);
	rig->page_bytes = before.page_bytes;
	rig->object_bytes = before.object_bytes;
	rig->platform = *iog_posix_platform(posix);
	rig->platform.now_ns = now_ns;
	lower = rig->platform;
	watched = rig->config.others ? rig : NULL;
	if (watched) {
		rig->platform.pages_alloc = watched_alloc;
		rig->platform.pages_free = watched_free;
	}
	rig->observed = rig->platform;
}

void rig_create(struct rig *rig, const struct rig_config *config, uint64_t seed, const char *what)
{
	const struct iog_tablemem_config mem = { .lanes = RIG_LANES };
	struct iog_domain_config domain = { 0 };

	memset(rig, 0, sizeof(*rig));
	rig->config = *config;
	rig->config.units = config->units ? config->units : 1;
	rig->config.devices = config->devices ? config->devices : 1;
	if (!rig->config.sim.deadline_ns)
		rig->config.sim.deadline_ns = 1000000;
	rig->what = what;
	rig->seed = rig->random = seed;
	rig->mode = config->mode;
	platform_create(rig);
	for (uint32_t u = 0; u < rig->config.units; u++)
		front_create(rig, &rig->fronts[u]);
	assert_int_equal(iog_tablemem_create(&rig->observed, &mem, &rig->mem), 0);
	rig->memory = rig->platform.pages_alloc(rig->platform.ctx, RIG_PAGES * RIG_PAGE);
	assert_non_null(rig->memory);
	rig->paddr = (uint64_t)(uintptr_t)rig->memory - rig->platform.direct_map_offset;

	domain.platform = &rig->observed;
	domain.lanes = RIG_LANES;
	domain.pgtable.ops = config->format ? config->format : &iog_vtdss_counted;
	domain.pgtable.tablemem = rig->mem;
	domain.pgtable.flags = config->pgtable_flags;
	domain.policy = config->policy;
	domain.mode = config->mode;
	domain.deferred_entries = config->deferred_entries;
	domain.held_max = config->held_max;
	if (config->holds) {
		domain.hold = &hold_ops;
		domain.hold_ctx = rig;
	}
	if (config->policy != &iog_policy_identity) {
		domain.first = RIG_FIRST;
		domain.last = RIG_FIRST + RIG_SPAN - 1;
	}
	assert_int_equal(iog_domain_create(&domain, &rig->domain), 0);
	for (uint32_t n = 0; n < rig->config.devices; n++) {
		device_make(rig, n);
		device_attach(rig, n);
	}
	if (rig->config.others)
		rig_others_create(rig);
}

void rig_destroy(struct rig *rig)
{
	struct iog_posix_stats left;
	struct iog_sim_stats stats;

	for (uint32_t n = 0; n < rig->config.devices; n++)
		rig_must(rig, !iog_device_destroy(rig->devices[n]));
	if (rig->untrusted)
		rig_must(rig, !iog_device_destroy(rig->untrusted));
	rig_must(rig, !iog_domain_destroy(rig->domain));
	rig->domain = NULL;
	for (uint32_t u = 0; u < rig->config.units; u++) {
		rig_must(rig, !iog_unit_fini(&rig->fronts[u].unit));
		iog_sim_stats(rig->fronts[u].sim, &stats);
		rig_must(rig, !stats.unjudged);
	}
	rig_must(rig, !iog_tablemem_destroy(rig->mem));
	rig->platform.pages_free(rig->platform.ctx, rig->memory, RIG_PAGES * RIG_PAGE);
	if (rig->config.others)
		rig_others_destroy(rig);
	watched = NULL;
	for (uint32_t u = 0; u < rig->config.units; u++)
		iog_sim_destroy(rig->fronts[u].sim);
	while (rig->parcels) {
		struct parcel *parcel = rig->parcels;

		rig->parcels = parcel->next;
		test_free(parcel);
	}
	iog_posix_stats(posix, &left);
	rig_must(rig, left.page_bytes == rig->page_bytes && left.object_bytes == rig->object_bytes);
}

/* ---- random tests ---- */

uint64_t rig_seed(void)
{
	const char *given = getenv("IOG_SEED");

	return given ? strtoull(given, NULL, 0) : UINT64_MAX;
}

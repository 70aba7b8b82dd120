/* SPDX-License-Identifier: MIT */
/*
 * What a rig's devices have beside mapped buffers: reserved runs with pages linked into them, memory of the library's that they share with the CPU, and buffers of a device that is not
 * trusted, whose partial pages are copied.
 *
 * None of these is held by hold ops: linked pages are counted here; of memory that goes back to the platform the judges are told there (rig.c), so that it is an early reuse if a device may
 * reach it still. What the library keeps after an error, as iog_dma_free() and iog_dma_alloc() say, is freed here in the end.
 */
#include <string.h>

#include "rig_inside.h"

static uint32_t below(struct rig *rig, uint32_t n)
{
	return (uint32_t)(kit_random(&rig->random) % n);
}

static struct iog_device *any_device(struct rig *rig)
{
	return rig->devices[below(rig, rig->config.devices)];
}

static enum iog_dma_dir any_dir(struct rig *rig)
{
	enum iog_dma_dir dir = (enum iog_dma_dir)(1 + below(rig, 3));

	return rig->config.format == &iog_x86_64_counted && dir == IOG_DMA_FROM_DEVICE ? IOG_DMA_BIDIRECTIONAL : dir;
}

/* Page by page, to where it leads by now, which the caller has checked. */
static void note(const struct rig *rig, const struct mapping *mapping, uint32_t unit)
{
	struct iog_leaf leaf;

	for (uint64_t at = 0; at < mapping->size && rig->fronts[unit].judged; at += RIG_PAGE)
		if (!iog_pgtable_lookup(iog_domain_pgtable(rig->domain), 0, mapping->iova + at, &leaf))
			iog_sim_note_map(rig->fronts[unit].judged, mapping->iova + at, leaf.paddr, RIG_PAGE, (uint32_t)mapping->dir);
}

static void came(struct rig *rig, struct mapping *mapping)
{
	mapping->state = MAPPING_LIVE;
	for (uint32_t u = 0; u < rig->config.units; u++)
		note(rig, mapping, u);
	if (below(rig, 2))
		rig_reach(rig, mapping, false);
	rig->tried[rig->nr_tried++ % RIG_TRIED] = *mapping;
}

/* ---- reserved runs ---- */

int rig_link(struct rig *rig, iog_lane_t lane)
{
	uint32_t r = below(rig, RIG_RUNS), place = below(rig, RIG_PLACES);
	struct rig_run *run = &rig->runs[r];
	struct mapping *link = &run->places[place];
	bool lost = rig_has_lost(rig);
	uint64_t errors = rig->errors;
	int error;

	if (!run->run.device) {
		memset(run, 0, sizeof(*run));
		/* One that no window holds, now and then. */
		run->stride = !r && !below(rig, 4) ? 100 : 4;
		error = iog_dma_reserve(any_device(rig), lane, RIG_PLACES * run->stride * RIG_PAGE, &run->run);
		rig_has_reason(rig, error, errors, lost);
		if (error)
			return error;
	}
	if (link->state != MAPPING_NONE)
		return 0;
	*link = (struct mapping){ .n = 1, .dir = any_dir(rig), .pages = { 1 + below(rig, 4) } };
	if (!rig_pages_find(rig, link->pages[0], &link->page[0]))
		return 0;
	link->iova = run->run.iova + place * run->stride * RIG_PAGE;
	link->size = link->pages[0] * RIG_PAGE;
	rig->mapping_now = true;
	error = iog_dma_link(&run->run, lane, link->iova - run->run.iova, rig->paddr + link->page[0] * RIG_PAGE, link->size, link->dir, 0);
	rig->mapping_now = false;
	rig_has_reason(rig, error, errors, lost);
	rig_must(rig, error != -IOG_EAGAIN && error != -IOG_ENOSPC);
	if (error) {
		struct iog_leaf leaf;

		rig_must(rig, iog_pgtable_lookup(iog_domain_pgtable(rig->domain), lane, link->iova, &leaf) == -IOG_ENOENT);
		rig_pages_take(rig, link);
		rig_pages_stick(rig, link);
		link->state = MAPPING_VOID;
		return error;
	}
	rig_pages_take(rig, link);
	came(rig, link);
	return 0;
}

int rig_unlink(struct rig *rig, iog_lane_t lane)
{
	struct rig_run *run = NULL;
	struct mapping *link = NULL;
	bool lost = rig_has_lost(rig);
	uint64_t errors = rig->errors;
	int error;

	for (uint32_t n = 0; n < RIG_RUNS * RIG_PLACES; n++) {
		struct rig_run *other = &rig->runs[n / RIG_PLACES];

		if (!other->run.device || other->places[n % RIG_PLACES].state != MAPPING_LIVE || (link && below(rig, 2)))
			continue;
		run = other;
		link = &run->places[n % RIG_PLACES];
	}
	if (!link)
		return 0;
	rig_note_unmap(rig, link);
	error = iog_dma_unlink(&run->run, lane, link->iova - run->run.iova, link->size);
	rig_has_reason(rig, error, errors, lost);
	rig_must(rig, error != -IOG_EAGAIN && error != -IOG_ENOSPC);
	if (error) {
		/* The place must not be linked again. */
		link->state = MAPPING_VOID;
		rig_pages_stick(rig, link);
		return error;
	}
	/* In every mode. */
	link->state = MAPPING_NONE;
	rig_reach(rig, link, true);
	rig_pages_back(rig, link);
	return 0;
}

static int release(struct rig *rig, iog_lane_t lane, struct rig_run *run)
{
	bool lost = rig_has_lost(rig), waits = rig->mode != IOG_INVAL_DEFERRED;
	uint64_t errors = rig->errors;
	int error;

	for (uint32_t n = 0; n < RIG_PLACES; n++)
		if (run->places[n].state == MAPPING_LIVE)
			rig_note_unmap(rig, &run->places[n]);
	error = iog_dma_release(&run->run, lane);
	rig_has_reason(rig, error, errors, lost);
	rig_must(rig, error != -IOG_ENOSPC && !run->run.device == (error != -IOG_EAGAIN));
	for (uint32_t n = 0; n < RIG_PLACES; n++) {
		struct mapping *link = &run->places[n];

		if (link->state != MAPPING_LIVE)
			continue;
		if (error == -IOG_EAGAIN) {
			rig_reach(rig, link, false);
			continue;
		}
		link->state = MAPPING_NONE;
		if (error) {
			rig_pages_stick(rig, link);
			continue;
		}
		if (waits)
			rig_reach(rig, link, true);
		rig->unmapping = !waits;
		rig_pages_back(rig, link);
		rig->unmapping = false;
	}
	return error;
}

int rig_release(struct rig *rig, iog_lane_t lane)
{
	uint32_t begin = below(rig, RIG_RUNS);

	for (uint32_t n = 0; n < RIG_RUNS; n++)
		if (rig->runs[(begin + n) % RIG_RUNS].run.device)
			return release(rig, lane, &rig->runs[(begin + n) % RIG_RUNS]);
	return 0;
}

/* ---- memory that is shared ---- */

static void keep(struct rig *rig, void *va, uint64_t size)
{
	struct kept *kept = test_malloc(sizeof(*kept));

	*kept = (struct kept){ va, size, rig->kept };
	rig->kept = kept;
}

int rig_alloc(struct rig *rig, iog_lane_t lane)
{
	struct rig_shared *shared = NULL;
	struct rig_shared made = { .asked = 1 + below(rig, 5 * RIG_PAGE) };
	bool lost = rig_has_lost(rig);
	uint64_t errors = rig->errors;
	int error;

	for (uint32_t n = 0; n < RIG_SHARED && !shared; n++)
		shared = rig->shared[n].at.state == MAPPING_NONE ? &rig->shared[n] : NULL;
	if (!shared)
		return 0;
	rig->mapping_now = rig->allocating = true;
	rig->allocated = NULL;
	error = iog_dma_alloc(any_device(rig), lane, made.asked, &made.va, &made.at.iova);
	rig->mapping_now = rig->allocating = false;
	rig_has_reason(rig, error, errors, lost);
	if (error) {
		/* Kept only if a device may reach it. */
		rig_must(rig, !rig->allocated || error == -IOG_ETIMEDOUT || error == -IOG_EIO);
		if (rig->allocated)
			keep(rig, rig->allocated, rig->allocated_size);
		return error;
	}
	rig_must(rig, rig->allocated == made.va && rig->allocated_size >= made.asked);
	made.at.size = rig->allocated_size;
	made.at.dir = IOG_DMA_BIDIRECTIONAL;
	for (uint64_t at = 0; at < made.at.size; at += RIG_PAGE) {
		struct iog_leaf leaf;

		rig_must(rig, !iog_pgtable_lookup(iog_domain_pgtable(rig->domain), lane, made.at.iova + at, &leaf) &&
				      leaf.paddr + rig->platform.direct_map_offset == (uint64_t)(uintptr_t)made.va + at);
	}
	for (uint64_t at = 0; at < made.at.size; at += 256)
		rig_must(rig, !((unsigned char *)made.va)[at]);
	memset(made.va, 0x5a, made.at.size);
	*shared = made;
	came(rig, &shared->at);
	return 0;
}

static int free_shared(struct rig *rig, iog_lane_t lane, struct rig_shared *shared)
{
	bool lost = rig_has_lost(rig);
	uint64_t errors = rig->errors;
	int error;

	rig_note_unmap(rig, &shared->at);
	error = iog_dma_free(any_device(rig), lane, shared->asked, shared->va, shared->at.iova);
	rig_has_reason(rig, error, errors, lost);
	rig_must(rig, error != -IOG_ENOSPC);
	if (error == -IOG_EAGAIN) {
		rig_reach(rig, &shared->at, false);
		return error;
	}
	shared->at.state = MAPPING_NONE;
	if (error)
		keep(rig, shared->va, shared->at.size);
	else
		rig_reach(rig, &shared->at, true);
	return error;
}

int rig_free(struct rig *rig, iog_lane_t lane)
{
	uint32_t begin = below(rig, RIG_SHARED);

	for (uint32_t n = 0; n < RIG_SHARED; n++)
		if (rig->shared[(begin + n) % RIG_SHARED].at.state == MAPPING_LIVE)
			return free_shared(rig, lane, &rig->shared[(begin + n) % RIG_SHARED]);
	return 0;
}

/* ---- buffers of the device that is not trusted ---- */

static unsigned char *buffer_of(const struct rig *rig, const struct rig_bounced *bounced)
{
	return rig->bounce_memory + (bounced - rig->bounced) * RIG_BOUNCED_PAGES * RIG_PAGE;
}

/* What the device finds, or writes, byte by byte. */
static unsigned char *device_sees(const struct rig *rig, const struct rig_bounced *bounced, uint64_t at)
{
	struct iog_leaf leaf;

	if (iog_pgtable_lookup(iog_domain_pgtable(rig->domain), 0, bounced->iova + at, &leaf))
		return NULL;
	return (unsigned char *)(uintptr_t)(leaf.paddr + rig->platform.direct_map_offset);
}

/* All of the buffer is @value to the device, and nothing beside it on its pages is to be seen. */
static void check_bounced(struct rig *rig, const struct rig_bounced *bounced, unsigned char value)
{
	uint64_t before = bounced->offset % RIG_PAGE, end = before + bounced->size, pages = bounced->at.size;

	for (uint64_t at = 0; at < pages; at += 1 + below(rig, 200)) {
		const unsigned char *byte = device_sees(rig, bounced, at - before);

		rig_must(rig, byte && *byte == (at < before || at >= end ? 0 : value));
		if (!byte)
			return;
	}
}

int rig_bounce_map(struct rig *rig, iog_lane_t lane)
{
	struct rig_bounced *bounced = &rig->bounced[below(rig, RIG_BOUNCED)];
	bool lost = rig_has_lost(rig);
	uint64_t errors = rig->errors;
	int error;

	if (bounced->at.state != MAPPING_NONE)
		return 0;
	*bounced = (struct rig_bounced){ .offset = below(rig, RIG_PAGE), .value = (unsigned char)(1 + below(rig, 250)) };
	bounced->size = 1 + below(rig, (uint32_t)(RIG_BOUNCED_PAGES * RIG_PAGE - bounced->offset));
	bounced->at.dir = any_dir(rig);
	/* What lies beside it is nobody's business. */
	memset(buffer_of(rig, bounced), 0xee, RIG_BOUNCED_PAGES * RIG_PAGE);
	memset(buffer_of(rig, bounced) + bounced->offset, bounced->value, bounced->size);
	rig->mapping_now = true;
	error = iog_dma_map(rig->untrusted, lane, (uint64_t)(uintptr_t)buffer_of(rig, bounced) - rig->platform.direct_map_offset + bounced->offset, bounced->size, bounced->at.dir, 0,
			    &bounced->iova);
	rig->mapping_now = false;
	rig_has_reason(rig, error, errors, lost);
	if (error) {
		/* A device may have found whole pages of it. */
		bounced->at.state = error == -IOG_ETIMEDOUT || error == -IOG_EIO ? MAPPING_VOID : MAPPING_NONE;
		return error;
	}
	bounced->at.iova = bounced->iova / RIG_PAGE * RIG_PAGE;
	bounced->at.size = (bounced->iova % RIG_PAGE + bounced->size + RIG_PAGE - 1) / RIG_PAGE * RIG_PAGE;
	rig_must(rig, bounced->iova % RIG_PAGE == bounced->offset % RIG_PAGE);
	check_bounced(rig, bounced, bounced->value);
	came(rig, &bounced->at);
	return 0;
}

static void bounced_back(void *ctx)
{
	((struct rig_bounced *)ctx)->called++;
}

static int unmap_bounced(struct rig *rig, iog_lane_t lane, struct rig_bounced *bounced)
{
	bool lost = rig_has_lost(rig), by_call = below(rig, 2), writes = bounced->at.dir & IOG_DMA_FROM_DEVICE;
	unsigned char value = writes ? (unsigned char)(bounced->value + 1) : bounced->value, *buffer = buffer_of(rig, bounced);
	uint64_t errors = rig->errors;
	int error;

	for (uint64_t at = 0; writes && at < bounced->size; at++)
		*device_sees(rig, bounced, at) = value;
	rig_note_unmap(rig, &bounced->at);
	if (by_call)
		error = iog_dma_unmap_release(rig->untrusted, lane, bounced->iova, bounced->size, bounced->at.dir, 0, bounced_back, bounced);
	else
		error = iog_dma_unmap(rig->untrusted, lane, bounced->iova, bounced->size, bounced->at.dir, 0);
	rig_has_reason(rig, error, errors, lost);
	rig_must(rig, error != -IOG_ENOSPC && bounced->called == (by_call && !error));
	if (error == -IOG_EAGAIN) {
		check_bounced(rig, bounced, value);
		rig_reach(rig, &bounced->at, false);
		bounced->value = value;
		return error;
	}
	bounced->by_call = by_call;
	bounced->at.state = error ? MAPPING_VOID : MAPPING_NONE;
	if (error)
		return error;
	/* In every mode: it is the CPU's alone, as the device has written it. */
	rig_reach(rig, &bounced->at, true);
	for (uint64_t at = 0; at < RIG_BOUNCED_PAGES * RIG_PAGE; at++)
		rig_must(rig, buffer[at] == (at - bounced->offset < bounced->size ? value : 0xee));
	return 0;
}

int rig_bounce_unmap(struct rig *rig, iog_lane_t lane)
{
	uint32_t begin = below(rig, RIG_BOUNCED);

	for (uint32_t n = 0; n < RIG_BOUNCED; n++)
		if (rig->bounced[(begin + n) % RIG_BOUNCED].at.state == MAPPING_LIVE)
			return unmap_bounced(rig, lane, &rig->bounced[(begin + n) % RIG_BOUNCED]);
	return 0;
}

/* ---- the whole of them ---- */

void rig_others_note(struct rig *rig, uint32_t unit)
{
	for (uint32_t r = 0; r < RIG_RUNS; r++)
		for (uint32_t n = 0; rig->runs[r].run.device && n < RIG_PLACES; n++)
			if (rig->runs[r].places[n].state == MAPPING_LIVE)
				note(rig, &rig->runs[r].places[n], unit);
	for (uint32_t n = 0; n < RIG_SHARED; n++)
		if (rig->shared[n].at.state == MAPPING_LIVE)
			note(rig, &rig->shared[n].at, unit);
	for (uint32_t n = 0; n < RIG_BOUNCED; n++)
		if (rig->bounced[n].at.state == MAPPING_LIVE)
			note(rig, &rig->bounced[n].at, unit);
}

void rig_others_create(struct rig *rig)
{
	const struct iog_device_config config = { .platform = &rig->observed, .unit = &rig->fronts[0].unit, .id = RIG_DEVICES, .flags = IOG_DEVICE_UNTRUSTED };

	rig->bounce_memory = rig->platform.pages_alloc(rig->platform.ctx, RIG_BOUNCED * RIG_BOUNCED_PAGES * RIG_PAGE);
	assert_non_null(rig->bounce_memory);
	assert_int_equal(iog_device_create(&config, &rig->untrusted), 0);
	assert_int_equal(iog_domain_attach(rig->domain, rig->untrusted), 0);
}

void rig_others_give_back(struct rig *rig)
{
	for (uint32_t n = 0; n < 2000; n++) {
		bool left = false;

		for (uint32_t r = 0; r < RIG_RUNS; r++)
			left |= rig->runs[r].run.device && release(rig, n % RIG_LANES, &rig->runs[r]) == -IOG_EAGAIN;
		for (uint32_t s = 0; s < RIG_SHARED; s++)
			left |= rig->shared[s].at.state == MAPPING_LIVE && free_shared(rig, n % RIG_LANES, &rig->shared[s]) == -IOG_EAGAIN;
		for (uint32_t b = 0; b < RIG_BOUNCED; b++)
			left |= rig->bounced[b].at.state == MAPPING_LIVE && unmap_bounced(rig, n % RIG_LANES, &rig->bounced[b]) == -IOG_EAGAIN;
		rig_reset_lost(rig);
		if (!left)
			return;
	}
	rig_fail(rig, "what is still mapped cannot be given back", __FILE__, __LINE__);
}

void rig_others_flushed(struct rig *rig)
{
	for (uint32_t n = 0; n < RIG_BOUNCED; n++)
		rig_must(rig, rig->bounced[n].called == rig->bounced[n].by_call);
}

void rig_others_destroy(struct rig *rig)
{
	while (rig->kept) {
		struct kept *kept = rig->kept;

		rig->kept = kept->next;
		rig->platform.pages_free(rig->platform.ctx, kept->va, kept->size);
		test_free(kept);
	}
	rig->platform.pages_free(rig->platform.ctx, rig->bounce_memory, RIG_BOUNCED * RIG_BOUNCED_PAGES * RIG_PAGE);
}

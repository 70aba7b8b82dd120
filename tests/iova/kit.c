/* SPDX-License-Identifier: MIT */
/*
 * See kit.h.
 */
#include <inttypes.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kit.h"
#include "relax.h"

const struct scheme schemes[] = {
	{ "tree", &iog_iova_tree, 0, 0, SCHEME_EXACT | SCHEME_ORDERED | SCHEME_KNOWS_RUNS },
	{ "tree bottom-up", &iog_iova_tree, IOG_IOVA_BOTTOM_UP, 0, SCHEME_EXACT | SCHEME_ORDERED | SCHEME_KNOWS_RUNS },
	{ "magazine", &iog_iova_magazine, 0, 0, SCHEME_EXACT | SCHEME_ROUNDS | SCHEME_KNOWS_RUNS },
	{ "magazine bottom-up", &iog_iova_magazine, IOG_IOVA_BOTTOM_UP, 0, SCHEME_EXACT | SCHEME_ROUNDS | SCHEME_KNOWS_RUNS },
	{ "pooled", &iog_iova_pooled, 0, 0, SCHEME_EXACT_ONE | SCHEME_CUT },
	{ "pooled, one", &iog_iova_pooled, 0, 1, SCHEME_EXACT },
	{ "pooled lazy", &iog_iova_pooled, IOG_IOVA_LAZY, 8, SCHEME_EXACT_ONE | SCHEME_CUT },
	{ "pooled lazy, one", &iog_iova_pooled, IOG_IOVA_LAZY, 1, SCHEME_EXACT },
	{ "pooled stale", &iog_iova_pooled, IOG_IOVA_LAZY | IOG_IOVA_STALE, 0, SCHEME_EXACT_ONE | SCHEME_CUT },
	{ "pooled stale, one", &iog_iova_pooled, IOG_IOVA_LAZY | IOG_IOVA_STALE, 1, SCHEME_EXACT },
	{ "window", &iog_iova_window, 0, 0, SCHEME_CUT | SCHEME_DIRECTORY },
	{ "window bottom-up", &iog_iova_window, IOG_IOVA_BOTTOM_UP, 0, SCHEME_CUT | SCHEME_DIRECTORY },
	{ "window lazy", &iog_iova_window, IOG_IOVA_LAZY, 0, SCHEME_CUT | SCHEME_DIRECTORY },
};
const uint32_t nr_schemes = sizeof(schemes) / sizeof(schemes[0]);

static uint64_t round_up(uint64_t n)
{
	return n > 1 ? UINT64_C(1) << (64 - __builtin_clzll(n - 1)) : 1;
}

bool scheme_is_wanted(const struct scheme *scheme)
{
	const char *only = getenv("IOG_SCHEME");

	return !only || strstr(scheme->name, only);
}

uint64_t scheme_occupies(const struct scheme *scheme, uint64_t n)
{
	return scheme->is & SCHEME_ROUNDS && n <= IOG_IOVA_CACHED_MAX ? round_up(n) : n;
}

/* ---- platform ---- */

#define PREFIX ((size_t)64)

static _Thread_local uint32_t interrupts_off;

static _Noreturn void broken(const char *what)
{
	fprintf(stderr, "test platform: %s\n", what);
	abort();
}

void kit_must_be_open(const char *where)
{
	if (interrupts_off)
		broken(where);
}

static void *object_alloc(void *ctx, size_t size)
{
	struct kit *kit = ctx;
	size_t rounded = (size + 63) & ~(size_t)63;
	unsigned char *object;

	kit_must_be_open("object_alloc with a lock held");
	atomic_fetch_add(&kit->allocations, 1);
	if (atomic_load(&kit->fail_in) && atomic_fetch_sub(&kit->fail_in, 1) == 1) {
		atomic_fetch_add(&kit->failed, 1);
		return NULL;
	}
	object = aligned_alloc(64, PREFIX + rounded);
	if (!object)
		broken("out of memory");
	memset(object, 0, PREFIX + rounded);
	memcpy(object, &size, sizeof(size));
	atomic_fetch_add(&kit->objects, 1);
	atomic_fetch_add(&kit->bytes, (int64_t)size);
	return object + PREFIX;
}

static void object_free(void *ctx, void *object, size_t size)
{
	struct kit *kit = ctx;

	kit_must_be_open("object_free with a lock held");
	if (!object || memcmp((unsigned char *)object - PREFIX, &size, sizeof(size)) != 0)
		broken("object_free: not what object_alloc returned");
	atomic_fetch_sub(&kit->objects, 1);
	atomic_fetch_sub(&kit->bytes, (int64_t)size);
	free((unsigned char *)object - PREFIX);
}

static void lanes_barrier(void *ctx)
{
	(void)ctx;
	kit_must_be_open("lanes_barrier with a lock held");
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0))
		broken("membarrier failed");
}

static uintptr_t irq_save(void *ctx)
{
	(void)ctx;
	return interrupts_off++;
}

static void irq_restore(void *ctx, uintptr_t flags)
{
	(void)ctx;
	if (flags != --interrupts_off)
		broken("interrupts restored out of order");
}

void kit_create(struct kit *kit, uint32_t flags)
{
	memset(kit, 0, sizeof(*kit));
	kit->platform.ctx = kit;
	kit->platform.object_alloc = object_alloc;
	kit->platform.object_free = object_free;
	kit->platform.relax = kit_relax;
	if (flags & KIT_INTERRUPTS) {
		kit->platform.irq_save = irq_save;
		kit->platform.irq_restore = irq_restore;
	}
	if (!(flags & KIT_NO_BARRIER) && !syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0))
		kit->platform.lanes_barrier = lanes_barrier;
}

void kit_destroy(struct kit *kit)
{
	if (kit->objects || kit->bytes)
		broken("objects were not given back");
}

struct iog_iova *kit_iova(struct kit *kit, const struct scheme *scheme, struct iog_iova_config config)
{
	struct iog_iova *iova;

	config.ops = scheme->ops;
	config.platform = &kit->platform;
	config.flags = scheme->flags;
	if (!config.pools)
		config.pools = scheme->pools;
	if (iog_iova_create(&config, &iova))
		broken("iog_iova_create failed");
	return iova;
}

/* ---- model ---- */

void model_create(struct model *model, const struct iog_iova_config *config)
{
	uint32_t shift = (uint32_t)__builtin_ctzll(config->granule ? config->granule : 4096);

	memset(model, 0, sizeof(*model));
	model->first = config->first >> shift;
	model->last = (config->last ? config->last : (UINT64_C(1) << 48) - 1) >> shift;
	model->align_max = IOG_IOVA_ALIGN_MAX >> shift;
	model->reserved = calloc(config->nr_reserved + 1, sizeof(*model->reserved));
	if (!model->reserved)
		broken("out of memory");
	for (uint32_t i = 0; i < config->nr_reserved; i++) {
		struct iog_range range = { config->reserved[i].first >> shift, config->reserved[i].last >> shift };
		uint32_t at = 0, to = 0;

		/* Joined with what it touches or overlaps. */
		for (; at < model->nr_reserved; at++) {
			const struct iog_range *other = &model->reserved[at];

			if (other->last + 1 < range.first || other->first > range.last + 1) {
				model->reserved[to++] = *other;
				continue;
			}
			range.first = other->first < range.first ? other->first : range.first;
			range.last = other->last > range.last ? other->last : range.last;
		}
		for (at = to; at > 0 && model->reserved[at - 1].first > range.first; at--)
			model->reserved[at] = model->reserved[at - 1];
		model->reserved[at] = range;
		model->nr_reserved = to + 1;
	}
}

void model_destroy(struct model *model)
{
	free(model->runs);
	free(model->reserved);
}

uint32_t model_find(const struct model *model, uint64_t at)
{
	uint32_t low = 0, high = model->nr;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (model->runs[middle].at + model->runs[middle].occupies <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_reserved(const struct model *model, uint64_t at, uint64_t n)
{
	for (uint32_t i = 0; i < model->nr_reserved; i++)
		if (model->reserved[i].first < at + n && model->reserved[i].last >= at)
			return true;
	return false;
}

bool model_is_free(const struct model *model, uint64_t at, uint64_t n)
{
	uint32_t i = model_find(model, at);

	if (at < model->first || at > model->last || n > model->last - at + 1)
		return false;
	return (i == model->nr || model->runs[i].at >= at + n) && !is_reserved(model, at, n);
}

bool model_is_live(const struct model *model, uint64_t at, uint64_t n)
{
	uint64_t next = at;

	for (uint32_t i = model_find(model, at); next < at + n; i++) {
		if (i == model->nr || model->runs[i].at > next || model->runs[i].state == RUN_STALE)
			return false;
		next = model->runs[i].at + model->runs[i].n;
	}
	return true;
}

void model_add(struct model *model, uint64_t at, uint64_t n, uint64_t occupies)
{
	uint32_t i = model_find(model, at);

	if (model->nr == model->room) {
		model->room = model->room ? 2 * model->room : 64;
		model->runs = realloc(model->runs, model->room * sizeof(*model->runs));
		if (!model->runs)
			broken("out of memory");
	}
	memmove(&model->runs[i + 1], &model->runs[i], (model->nr - i) * sizeof(*model->runs));
	model->runs[i] = (struct run){ at, n, occupies, RUN_LIVE };
	model->nr++;
}

void model_remove(struct model *model, uint32_t index)
{
	model->nr--;
	memmove(&model->runs[index], &model->runs[index + 1], (model->nr - index) * sizeof(*model->runs));
}

uint64_t model_align(const struct model *model, uint64_t n)
{
	uint64_t align = round_up(n);

	return align < model->align_max ? align : model->align_max;
}

/* A place in what is free between two things, not above the limit. */
static bool gap_place(const struct model *model, uint64_t from, uint64_t to, uint64_t n, uint64_t limit, bool lowest, uint64_t *at)
{
	uint64_t align = model_align(model, n), place;

	if (to > limit + 1)
		to = limit + 1;
	if (from >= to || to - from < n)
		return false;
	place = lowest ? (from + align - 1) / align * align : (to - n) / align * align;
	if (place < from || place + n > to)
		return false;
	*at = place;
	return true;
}

bool model_place(const struct model *model, uint64_t n, uint64_t limit, bool lowest, uint64_t *at)
{
	uint64_t from = model->first, end = model->last + 1;
	uint32_t run = 0, reserved = 0;
	bool found = false, more = true;

	while (more) {
		uint64_t to = end, next = end;

		/* The next obstacle of either kind. */
		more = run < model->nr || reserved < model->nr_reserved;
		if (run < model->nr && (reserved == model->nr_reserved || model->runs[run].at < model->reserved[reserved].first)) {
			to = model->runs[run].at;
			next = to + model->runs[run].occupies;
			run++;
		} else if (more) {
			to = model->reserved[reserved].first;
			next = model->reserved[reserved].last + 1;
			reserved++;
		}
		if (gap_place(model, from, to < end ? to : end, n, limit, lowest, at)) {
			found = true;
			if (lowest)
				return true;
		}
		from = next > from ? next : from;
	}
	return found;
}

void model_flushed(struct model *model)
{
	uint32_t to = 0;

	for (uint32_t i = 0; i < model->nr; i++)
		if (model->runs[i].state != RUN_STALE)
			model->runs[to++] = model->runs[i];
	model->nr = to;
}

/* SPDX-License-Identifier: MIT */
/*
 * See model.h.
 */

#include "model.h"
#include "relax.h"

static const struct iog_platform *host(void *ctx)
{
	return iog_posix_platform(((struct model *)ctx)->posix);
}

/* The platform's functions get the model; those of memory are the process's. */
static void *pages_alloc(void *ctx, size_t size)
{
	return host(ctx)->pages_alloc(host(ctx)->ctx, size);
}

static void pages_free(void *ctx, void *pages, size_t size)
{
	host(ctx)->pages_free(host(ctx)->ctx, pages, size);
}

static void *object_alloc(void *ctx, size_t size)
{
	return host(ctx)->object_alloc(host(ctx)->ctx, size);
}

static void object_free(void *ctx, void *object, size_t size)
{
	host(ctx)->object_free(host(ctx)->ctx, object, size);
}

static void cache_clean(void *ctx, const void *va, size_t size)
{
	struct model *model = ctx;

	(void)va;
	(void)size;
	__atomic_fetch_add(&model->cleans, 1, __ATOMIC_RELAXED);
}

static uint64_t now_ns(void *ctx)
{
	struct model *model = ctx;
	uint64_t now;

	pthread_mutex_lock(&model->lock);
	now = model->now += model->step;
	pthread_mutex_unlock(&model->lock);
	return now;
}

void model_host_init(struct model *model)
{
	memset(model, 0, sizeof(*model));
	pthread_mutex_init(&model->lock, NULL);
	assert_int_equal(iog_posix_create(NULL, &model->posix), 0);
	model->step = 1000;
	model->platform = (struct iog_platform){
		.ctx = model,
		.direct_map_offset = iog_posix_platform(model->posix)->direct_map_offset,
		.pages_alloc = pages_alloc,
		.pages_free = pages_free,
		.object_alloc = object_alloc,
		.object_free = object_free,
		.cache_clean = cache_clean,
		.cache_flush = cache_clean,
		.now_ns = now_ns,
		.relax = kit_relax,
	};
}

void model_fini(struct model *model)
{
	struct iog_posix_stats stats;

	iog_posix_stats(model->posix, &stats);
	assert_int_equal(stats.page_bytes, 0);
	assert_int_equal(stats.object_bytes, 0);
	iog_posix_destroy(model->posix);
	pthread_mutex_destroy(&model->lock);
}

void model_record(struct model *model, const uint64_t command[2], bool fence)
{
	assert_true(model->nr_log < MODEL_LOG);
	memcpy(model->log[model->nr_log++], command, 16);
	model->fences += fence;
	if (fence && model->at_fence)
		model->at_fence(model);
}

uint32_t model_count(const struct model *model, uint64_t command)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < model->nr_log; i++)
		n += (model->log[i][0] & model_command_mask) == command;
	return n;
}

void model_forget(struct model *model)
{
	model->nr_log = 0;
	model->fences = 0;
	model->doorbells = 0;
	model->reads = 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * See dma_bed.h.
 */
#include "dma_bed.h"

#include <string.h>

#include <iogate/error.h>

#include "counting_unit.h"
#include "engine.h"
#include "pace.h"
#include "policy.h"
#include "size.h"

static int create_unit(const struct dma_bed_config *config, struct dma_bed *bed)
{
	/* 1:1 addresses may be revived; an allocator's may not be used again before their time, whatever they lead to. */
	uint32_t revival = !strcmp(config->policy, "identity") ? IOG_SIM_REVIVAL : 0;
	struct iog_sim_config sim = { .flags = config->judge ? revival : IOG_SIM_NO_ORACLE };
	int ret;

	if (!config->simulate) {
		ret = counting_unit_create(&bed->platform, bed->nr_lanes, &bed->counting);
		if (!ret)
			bed->unit = &bed->counting->unit;
		return ret;
	}
	ret = iog_sim_create(&bed->platform, config->hardware ? config->hardware : &sim, &bed->sim);
	if (ret)
		return ret;
	iog_sim_observe(bed->sim, &bed->platform);
	bed->unit = iog_sim_unit(bed->sim);
	return bed->unit ? 0 : -IOG_ENOMEM;
}

static int create_domain(const struct dma_bed_config *config, struct dma_bed *bed)
{
	struct iog_tablemem_config tablemem = { .lanes = bed->nr_lanes };
	struct iog_domain_config domain = {
		.platform = &bed->platform,
		.lanes = bed->nr_lanes,
		.pgtable = { .flags = config->split ? IOG_PGTABLE_SPLIT : 0, .page_sizes = config->page_sizes },
		.policy = policy_find(config->policy),
		.mode = config->mode,
		.hold = config->hold,
		.hold_ctx = config->hold_ctx,
		.deferred_entries = DEFERRED_BATCH,
		.deferred_ms = DEFERRED_MS,
		.memory = config->memory,
		.nr_memory = config->memory ? 1 : 0,
	};
	struct iog_format format;
	int ret;

	domain.pgtable.ops = iog_format_find(config->format, config->reclaim, 0);
	/* In the instrumented core there are not all of them; and whoever makes a bed maps pages of 4 KiB. */
	if (!domain.pgtable.ops)
		return -IOG_EOPNOTSUPP;
	iog_format_describe(domain.pgtable.ops, &format);
	if (format.table_size > SIZE_4K)
		return -IOG_EOPNOTSUPP;
	tablemem.table_size = format.table_size;
	domain.pgtable.oas = bed->unit->oas && bed->unit->oas < format.oas_max ? bed->unit->oas : format.oas_max;
	ret = iog_tablemem_create(&bed->platform, &tablemem, &bed->tablemem);
	if (ret)
		return ret;
	domain.pgtable.tablemem = bed->tablemem;
	return iog_domain_create(&domain, &bed->domain);
}

static int create_device(const struct dma_bed_config *config, struct dma_bed *bed)
{
	struct iog_device_config device = { .platform = &bed->platform, .unit = bed->unit, .id = DMA_BED_DEVICE, .flags = config->device_flags };
	int ret = config->ats_entries ? iog_sim_device_ats(bed->sim, DMA_BED_DEVICE, config->ats_entries, 0) : 0;

	if (!ret)
		ret = iog_device_create(&device, &bed->device);
	if (!ret)
		ret = iog_domain_attach(bed->domain, bed->device);
	if (!ret && bed->sim)
		bed->seen = iog_sim_device_domain(bed->sim, DMA_BED_DEVICE);
	return ret;
}

int dma_bed_create(const struct dma_bed_config *config, struct dma_bed *bed, struct problem *problem)
{
	struct iog_posix_config posix = { .limit = config->memory_limit };
	const char *what = "platform";
	char text[SIZE_TEXT];
	int ret;

	*bed = (struct dma_bed){ .nr_lanes = config->lanes };
	ret = iog_posix_create(&posix, &bed->posix);
	if (!ret) {
		bed->platform = *iog_posix_platform(bed->posix);
		if (config->paced)
			bed->platform.now_ns = pace_now;
		what = config->simulate ? "simulated IOMMU" : "unit";
		ret = create_unit(config, bed);
	}
	if (!ret) {
		what = "domain";
		ret = create_domain(config, bed);
	}
	if (!ret) {
		what = "device";
		ret = create_device(config, bed);
	}
	if (!ret)
		return 0;
	if (ret == -IOG_ENOMEM && config->memory_limit)
		problem_set(problem, "--memory-limit %s is too little for an empty domain", size_exact(text, config->memory_limit));
	else if (ret == -IOG_EOPNOTSUPP)
		problem_set(problem, "not with the format %s here", config->format);
	else
		problem_set(problem, "no %s with %s: %s", what, config->policy, iog_strerror(ret));
	dma_bed_destroy(bed);
	return ret;
}

uint64_t dma_bed_destroy(struct dma_bed *bed)
{
	struct iog_posix_stats left = { 0 };

	if (bed->device)
		iog_device_destroy(bed->device);
	iog_domain_destroy(bed->domain);
	iog_tablemem_destroy(bed->tablemem);
	counting_unit_destroy(bed->counting);
	iog_sim_destroy(bed->sim);
	if (bed->posix)
		iog_posix_stats(bed->posix, &left);
	iog_posix_destroy(bed->posix);
	*bed = (struct dma_bed){ 0 };
	return left.page_bytes + left.object_bytes;
}

int dma_bed_trim(struct dma_bed *bed)
{
	int ret = 0;

	/* Twice: what one lane gives back may be the last that another's table waited for. */
	for (uint32_t i = 0; i < 2 * bed->nr_lanes && !ret; i++)
		do
			ret = iog_domain_trim(bed->domain, i % bed->nr_lanes);
		while (ret == -IOG_EAGAIN);
	for (uint32_t i = 0; i < bed->nr_lanes && !ret; i++)
		ret = iog_tablemem_trim(bed->tablemem, i);
	return ret;
}

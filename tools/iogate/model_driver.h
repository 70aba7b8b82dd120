/* SPDX-License-Identifier: MIT */
/*
 * What the kinds of one driver have in common. Included by that driver's file alone, after
 *
 *   MODEL_DRIVER            its name: vtd for iog_vtd_create() and the like
 *   MODEL_COMMANDS(stats)   how many commands of ranges and domains it has counted
 */
#ifndef IOGATE_TOOL_MODEL_DRIVER_H
#define IOGATE_TOOL_MODEL_DRIVER_H

#include "model.h"

#define MODEL_PASTED(name, verb) iog_##name##_##verb
#define MODEL_PASTE(name, verb) MODEL_PASTED(name, verb)
#define MODEL_NAMED(name) iog_##name
#define MODEL_NAME(name) MODEL_NAMED(name)
/* iog_vtd_VERB */
#define DRIVER(verb) MODEL_PASTE(MODEL_DRIVER, verb)

/* @config but for the platform, which is QEMU's. */
static int model_driver_start(struct model *model, struct DRIVER(config) config)
{
	struct MODEL_NAME(MODEL_DRIVER) *driver;
	int ret;

	config.platform = iog_qtest_platform(model->qtest);
	ret = DRIVER(create)(&config, &driver);
	if (ret)
		return ret;
	model->driver = driver;
	model->unit = DRIVER(unit)(driver);
	return DRIVER(enable)(driver);
}

static void stop(struct model *model)
{
	DRIVER(disable)(model->driver);
	DRIVER(destroy)(model->driver);
}

static void counts(const struct model *model, struct model_counts *counts)
{
	struct DRIVER(stats) stats;

	DRIVER(stats)(model->driver, &stats);
	counts->mmio_reads = stats.mmio_reads;
	counts->mmio_writes = stats.mmio_writes;
	counts->commands = MODEL_COMMANDS(stats);
	counts->waits = stats.waits;
	counts->faults = stats.faults.seen;
}

static void interrupt(struct model *model)
{
	DRIVER(interrupt)(model->driver);
}

/* Of a kind, whose file has start() and page_sizes(). */
#define MODEL_CALLS .start = start, .stop = stop, .counts = counts, .interrupt = interrupt, .page_sizes = page_sizes

#endif

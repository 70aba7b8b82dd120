/* SPDX-License-Identifier: MIT */
/*
 * See model.h.
 */
#include "model.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#include <iogate/error.h>

/* The domain's number behind the unit. */
#define DOMAIN_ID 1
/* Times that what hardware has aborted is submitted again. */
#define AGAIN_MAX 8

static const struct model_kind *const kinds[] = {
	&model_vtd, &model_vtd_first, &model_amdvi, &model_smmuv3, &model_smmuv3_stage2, &model_riscv, &model_riscv_second, &model_virtio, &model_virtio_amdv1,
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

const struct model_kind *model_find(const char *name, const char *format)
{
	for (size_t i = 0; i < KINDS; i++)
		if (!strcmp(kinds[i]->name, name) && (!format || !strcmp(kinds[i]->format, format)))
			return kinds[i];
	return NULL;
}

const char *model_names(void)
{
	static char names[256];
	size_t used = 0;

	for (size_t i = 0; i < KINDS; i++) {
		if (i && !strcmp(kinds[i]->name, kinds[i - 1]->name))
			continue;
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%sqemu:%s", used ? ", " : "", kinds[i]->name);
	}
	return names;
}

/*
 * QEMU and the only thread that talks to it take turns. On one CPU, neither has to wake up another CPU for that: it takes less than half of the time. The process that is
 * started stays where this thread is; one that may not be bound is as fast as it is.
 */
static void bind_here(void)
{
	cpu_set_t here;
	int cpu = sched_getcpu();

	if (cpu < 0 || cpu >= CPU_SETSIZE)
		return;
	CPU_ZERO(&here);
	CPU_SET(cpu, &here);
	sched_setaffinity(0, sizeof(here), &here);
}

int model_start(const struct model_kind *kind, uint32_t lanes, struct model *model, struct problem *problem)
{
	char why[256] = "";
	int ret;

	*model = (struct model){ .kind = kind };
	pthread_mutex_init(&model->mutex, NULL);
	model->cpus_known = lanes == 1 && !sched_getaffinity(0, sizeof(model->cpus), &model->cpus);
	if (model->cpus_known)
		bind_here();
	ret = iog_qtest_create(&kind->machine, &model->qtest, why, sizeof(why));
	if (ret) {
		problem_set(problem, "%s", why);
		return ret;
	}
	ret = kind->start(model);
	if (ret)
		problem_set(problem, "no driver for QEMU's %s: %s", kind->name, iog_qtest_error(model->qtest) ? iog_qtest_error(model->qtest) : iog_strerror(ret));
	return ret;
}

void model_stop(struct model *model)
{
	if (!model->kind)
		return;
	if (model->driver)
		model->kind->stop(model);
	iog_qtest_destroy(model->qtest);
	if (model->cpus_known)
		sched_setaffinity(0, sizeof(model->cpus), &model->cpus);
	pthread_mutex_destroy(&model->mutex);
	*model = (struct model){ 0 };
}

void model_detach(struct model *model)
{
	model->unit->ops->device_set(model->unit, model->kind->device, IOG_DOMAIN_BLOCKED, 0);
	model->unit->ops->domain_remove(model->unit, DOMAIN_ID);
	model->attached = false;
}

int model_attach(struct model *model, const struct iog_pgtable_root *root, struct problem *problem)
{
	struct iog_unit *unit = model->unit;
	int ret = unit->ops->domain_add(unit, DOMAIN_ID, root);

	if (!ret) {
		ret = unit->ops->device_set(unit, model->kind->device, IOG_DOMAIN_PAGING, DOMAIN_ID);
		if (ret)
			unit->ops->domain_remove(unit, DOMAIN_ID);
	}
	if (ret) {
		problem_set(problem, "the device could not be attached: %s", iog_strerror(ret));
		return ret;
	}
	model->attached = true;
	model->kind->counts(model, &model->before);
	return 0;
}

int model_flush(struct model *model, const struct iog_gather *gather)
{
	int ret = model->unit->ops->invalidate(model->unit, DOMAIN_ID, gather);

	for (uint32_t again = 0; ret == -IOG_EAGAIN && again < AGAIN_MAX; again++)
		ret = model->unit->ops->invalidate(model->unit, DOMAIN_ID, gather);
	return ret == -IOG_EAGAIN ? -IOG_EIO : ret;
}

bool model_access_lands(struct model *model, uint64_t iova, volatile uint64_t *page, uint64_t value)
{
	bool landed;

	pthread_mutex_lock(&model->mutex);
	*page = value;
	landed = !iog_qtest_edu_dma(model->qtest, 0, IOG_QTEST_FROM_MEMORY, iova, 0, sizeof(value));
	*page = ~value;
	landed = landed && !iog_qtest_edu_dma(model->qtest, 0, IOG_QTEST_TO_MEMORY, iova, 0, sizeof(value)) && *page == value;
	model->landed += landed ? 2 : 0;
	pthread_mutex_unlock(&model->mutex);
	return landed;
}

bool model_access_faults(struct model *model, uint64_t iova, volatile uint64_t *page)
{
	struct model_counts before, after;
	uint64_t value;
	bool faulted;

	pthread_mutex_lock(&model->mutex);
	value = ~*page;
	*page = value;
	model->kind->interrupt(model);
	model->kind->counts(model, &before);
	faulted = !iog_qtest_edu_dma(model->qtest, 0, IOG_QTEST_TO_MEMORY, iova, 0, sizeof(value)) && *page == value;
	model->kind->interrupt(model);
	model->kind->counts(model, &after);
	/* Which it was is told of some of them only. */
	faulted = faulted && (model->kind->silent || after.faults > before.faults);
	model->faulted += faulted;
	pthread_mutex_unlock(&model->mutex);
	return faulted;
}

void model_counts(const struct model *model, struct model_counts *counts)
{
	model->kind->counts(model, counts);
	counts->mmio_reads -= model->before.mmio_reads;
	counts->mmio_writes -= model->before.mmio_writes;
	counts->commands -= model->before.commands;
	counts->waits -= model->before.waits;
	counts->faults -= model->before.faults;
}

/* SPDX-License-Identifier: MIT */
/*
 * QEMU's virtio-iommu. It walks no page tables: the driver tells it of each mapping that it finds in one, of whatever format. From version 10 on it has 39 bits of address, unless told otherwise in a
 * way that older ones do not understand.
 */
#include <stddef.h>

#include <iogate/error.h>
#include <iogate/hw/virtio.h>

#include "model.h"

#define FUNCTION IOG_QTEST_BDF(0, 2, 0)
#define ADDRESS_BITS 39

static uint32_t config_read(void *ctx, uint32_t offset)
{
	return iog_qtest_config_read(ctx, FUNCTION, offset);
}

/* Where a structure is; its BAR gets an address with the first that lies in it. */
static int place(struct model *model, iog_paddr_t bars[6], const struct iog_virtio_region *region, uintptr_t *registers)
{
	int ret = bars[region->bar] ? 0 : iog_qtest_bar(model->qtest, FUNCTION, region->bar, &bars[region->bar]);

	*registers = (uintptr_t)(bars[region->bar] + region->offset);
	return ret;
}

static int start(struct model *model)
{
	struct iog_virtio_config config = { .platform = iog_qtest_platform(model->qtest) };
	iog_paddr_t bars[6] = { 0 };
	struct iog_virtio_pci pci;
	struct iog_virtio *virtio;
	int ret = iog_virtio_pci_find(config_read, model->qtest, &pci);

	if (!ret)
		ret = place(model, bars, &pci.common, &config.common);
	if (!ret)
		ret = place(model, bars, &pci.notify, &config.notify);
	if (!ret)
		ret = place(model, bars, &pci.isr, &config.isr);
	if (!ret)
		ret = place(model, bars, &pci.device, &config.device);
	config.notify_length = pci.notify.length;
	config.notify_multiplier = pci.notify_multiplier;
	if (!ret)
		ret = iog_virtio_create(&config, &virtio);
	if (ret)
		return ret;
	model->driver = virtio;
	model->unit = iog_virtio_unit(virtio);
	return iog_virtio_enable(virtio);
}

static void stop(struct model *model)
{
	iog_virtio_disable(model->driver);
	iog_virtio_destroy(model->driver);
}

static void counts(const struct model *model, struct model_counts *counts)
{
	struct iog_virtio_stats stats;

	iog_virtio_stats(model->driver, &stats);
	counts->mmio_reads = stats.mmio_reads;
	counts->mmio_writes = stats.mmio_writes;
	counts->commands = stats.requests;
	counts->waits = stats.submissions;
	counts->faults = stats.faults.seen;
}

static void interrupt(struct model *model)
{
	iog_virtio_interrupt(model->driver);
}

/* It goes by addresses, not by entries. */
static uint64_t page_sizes(const struct model *model)
{
	(void)model;
	return 0;
}

static const char *const arguments[] = { "-device", "virtio-iommu-pci,addr=2", NULL };

#define KIND(_name, _format)                                                                                              \
	const struct model_kind _name = {                                                                                 \
		.name = "virtio", .format = (_format), .ias = ADDRESS_BITS, .iova_limit = UINT64_C(1) << ADDRESS_BITS,    \
		.machine = { .arguments = arguments }, .package = "qemu-system-x86", .device = IOG_QTEST_EDU(0),          \
		.start = start, .stop = stop, .counts = counts, .interrupt = interrupt, .page_sizes = page_sizes,         \
	}

KIND(model_virtio, "vtdss");
KIND(model_virtio_amdv1, "amdv1");

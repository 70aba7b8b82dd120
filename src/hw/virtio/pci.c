/* SPDX-License-Identifier: MIT */
/*
 * Where a PCI function has its virtio structures: its vendor-specific capabilities (4.1.4). A list that leads in a circle, or anywhere, is read a bounded number of times.
 */
#include "virtio.h"

#define CAPABILITIES_MAX 48u
#define CAP_BYTES 16u
#define NOTIFY_BYTES 20u

static bool region_known(const struct iog_virtio_region *region)
{
	return region->length != 0;
}

/* One that is no structure we want, or is not the first of its kind, is passed over. */
static void capability_take(iog_virtio_config_fn *read, void *ctx, uint32_t at, uint32_t head, struct iog_virtio_pci *found)
{
	uint32_t place = read(ctx, at + 4), bytes = head >> 16 & 0xff, type = head >> 24;
	struct iog_virtio_region *regions[] = { NULL, &found->common, &found->notify, &found->isr, &found->device };
	struct iog_virtio_region region = { .bar = (uint8_t)place, .offset = read(ctx, at + 8), .length = read(ctx, at + 12) };

	if (bytes < CAP_BYTES || !type || type > CAP_DEVICE || region.bar >= PCI_BARS || region_known(regions[type]))
		return;
	if (!region.length || region.length - 1 > UINT32_MAX - region.offset)
		return;
	if (type == CAP_NOTIFY) {
		if (bytes < NOTIFY_BYTES || at > 256 - NOTIFY_BYTES)
			return;
		found->notify_multiplier = read(ctx, at + 16);
	}
	*regions[type] = region;
}

int iog_virtio_pci_find(iog_virtio_config_fn *read, void *ctx, struct iog_virtio_pci *pci)
{
	struct iog_virtio_pci found = { 0 };
	uint32_t at;

	if (read(ctx, 0) != ((PCI_DEVICE_BASE + VIRTIO_ID_IOMMU) << 16 | PCI_VENDOR_VIRTIO) || !(read(ctx, PCI_STATUS_WORD) & PCI_STATUS_CAPABILITIES))
		return -IOG_ENOENT;
	at = read(ctx, PCI_CAPABILITIES) & 0xfc;
	for (uint32_t n = 0; n < CAPABILITIES_MAX && at >= 0x40; n++) {
		uint32_t head = read(ctx, at);

		if ((head & 0xff) == PCI_CAPABILITY_VENDOR && at <= 256 - CAP_BYTES)
			capability_take(read, ctx, at, head, &found);
		at = head >> 8 & 0xfc;
	}
	if (found.common.length < COMMON_BYTES || found.notify.length < 2 || !region_known(&found.isr) || found.device.length < CONFIG_BYTES)
		return -IOG_EINVAL;
	*pci = found;
	return 0;
}

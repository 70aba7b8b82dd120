/* SPDX-License-Identifier: MIT */
/*
 * Where registers are: over PCI four structures in BARs (4.1.4), or one block (4.2). Fields of 64 bits are accessed in halves, as both want it.
 *
 * Nothing is locked: queues are set up while nothing else runs, and all else is one access.
 */
#include "virtio.h"

#define VECTOR_REFUSED 0xffffu

static struct iog_mmio *device_of(struct iog_virtio *virtio, uint32_t *offset)
{
	if (!virtio->transport.mmio)
		return &virtio->transport.device;
	*offset += MMIO_CONFIG;
	return &virtio->transport.common;
}

int iog_virtio_transport_init(struct iog_virtio *virtio)
{
	struct vio_transport *transport = &virtio->transport;
	const struct iog_virtio_config *config = &virtio->config;
	int error = iog_mmio_check_narrow(virtio->platform);

	transport->mmio = config->flags & IOG_VIRTIO_MMIO;
	transport->notify_length = transport->mmio ? MMIO_QUEUE_NOTIFY + 4 : config->notify_length;
	transport->notify_multiplier = config->notify_multiplier;
	if (!config->common || (!transport->mmio && (!config->notify || !config->isr || !config->device || config->notify_length < 2)))
		return -IOG_EINVAL;
	if (!error)
		error = iog_mmio_init(&transport->common, virtio->platform, config->common);
	if (!error)
		error = iog_mmio_init(&transport->notify, virtio->platform, transport->mmio ? config->common : config->notify);
	if (!error)
		error = iog_mmio_init(&transport->isr, virtio->platform, config->isr);
	if (!error)
		error = iog_mmio_init(&transport->device, virtio->platform, config->device);
	return error;
}

int iog_virtio_transport_identify(struct iog_virtio *virtio)
{
	struct iog_mmio *common = &virtio->transport.common;

	if (!virtio->transport.mmio)
		return iog_mmio_read16(common, COMMON_NUM_QUEUES) == UINT16_MAX && iog_mmio_read8(common, COMMON_DEVICE_STATUS) == UINT8_MAX ? -IOG_EOPNOTSUPP : 0;
	if (iog_mmio_read32(common, MMIO_MAGIC) != MMIO_MAGIC_VALUE || iog_mmio_read32(common, MMIO_VERSION) != 2 || iog_mmio_read32(common, MMIO_DEVICE_ID) != VIRTIO_ID_IOMMU)
		return -IOG_EOPNOTSUPP;
	return 0;
}

uint32_t iog_virtio_status_get(struct iog_virtio *virtio)
{
	struct iog_mmio *common = &virtio->transport.common;

	return virtio->transport.mmio ? iog_mmio_read32(common, MMIO_STATUS) & 0xff : iog_mmio_read8(common, COMMON_DEVICE_STATUS);
}

void iog_virtio_status_set(struct iog_virtio *virtio, uint32_t status)
{
	struct iog_mmio *common = &virtio->transport.common;

	if (virtio->transport.mmio)
		iog_mmio_write32(common, MMIO_STATUS, status);
	else
		iog_mmio_write8(common, COMMON_DEVICE_STATUS, (uint8_t)status);
}

int iog_virtio_reset(struct iog_virtio *virtio)
{
	uint64_t deadline = iog_deadline(virtio->platform, vio_timeout(virtio));
	bool late = false;

	iog_virtio_status_set(virtio, 0);
	while (iog_virtio_status_get(virtio)) {
		if (late)
			return -IOG_ETIMEDOUT;
		late = iog_deadline_passed(virtio->platform, deadline);
		iog_relax(virtio->platform);
	}
	return 0;
}

/* Both halves of a register that shows one of them at a time. */
static uint64_t features_read(struct iog_virtio *virtio, uint32_t select, uint32_t value)
{
	struct iog_mmio *common = &virtio->transport.common;
	uint64_t features;

	iog_mmio_write32(common, select, 0);
	features = iog_mmio_read32(common, value);
	iog_mmio_write32(common, select, 1);
	return features | (uint64_t)iog_mmio_read32(common, value) << 32;
}

uint64_t iog_virtio_features_offered(struct iog_virtio *virtio)
{
	return virtio->transport.mmio ? features_read(virtio, MMIO_DEVICE_FEATURES_SEL, MMIO_DEVICE_FEATURES) :
					features_read(virtio, COMMON_DEVICE_FEATURE_SELECT, COMMON_DEVICE_FEATURE);
}

uint64_t iog_virtio_features_taken(struct iog_virtio *virtio)
{
	return virtio->transport.mmio ? 0 : features_read(virtio, COMMON_DRIVER_FEATURE_SELECT, COMMON_DRIVER_FEATURE);
}

void iog_virtio_features_take(struct iog_virtio *virtio, uint64_t features)
{
	struct iog_mmio *common = &virtio->transport.common;
	uint32_t select = virtio->transport.mmio ? MMIO_DRIVER_FEATURES_SEL : COMMON_DRIVER_FEATURE_SELECT;
	uint32_t value = virtio->transport.mmio ? MMIO_DRIVER_FEATURES : COMMON_DRIVER_FEATURE;

	iog_mmio_write32(common, select, 0);
	iog_mmio_write32(common, value, (uint32_t)features);
	iog_mmio_write32(common, select, 1);
	iog_mmio_write32(common, value, (uint32_t)(features >> 32));
}

uint32_t iog_virtio_queue_most(struct iog_virtio *virtio, uint32_t queue)
{
	struct iog_mmio *common = &virtio->transport.common;

	if (virtio->transport.mmio) {
		iog_mmio_write32(common, MMIO_QUEUE_SEL, queue);
		return iog_mmio_read32(common, MMIO_QUEUE_NUM_MAX);
	}
	iog_mmio_write16(common, COMMON_QUEUE_SELECT, (uint16_t)queue);
	return iog_mmio_read16(common, COMMON_QUEUE_SIZE);
}

static void address_write(struct iog_virtio *virtio, uint32_t offset, const struct vio_ring *ring, const volatile void *at)
{
	uint64_t paddr = (uint64_t)(uintptr_t)at - ring->platform->direct_map_offset;

	iog_mmio_write32(&virtio->transport.common, offset, (uint32_t)paddr);
	iog_mmio_write32(&virtio->transport.common, offset + 4, (uint32_t)(paddr >> 32));
}

int iog_virtio_queue_start(struct iog_virtio *virtio, struct vio_ring *ring, uint32_t vector)
{
	struct vio_transport *transport = &virtio->transport;
	struct iog_mmio *common = &transport->common;
	uint64_t doorbell = MMIO_QUEUE_NOTIFY;

	if (transport->mmio) {
		iog_mmio_write32(common, MMIO_QUEUE_NUM, ring->size);
		address_write(virtio, MMIO_QUEUE_DESC, ring, ring->desc);
		address_write(virtio, MMIO_QUEUE_DRIVER, ring, ring->avail);
		address_write(virtio, MMIO_QUEUE_DEVICE, ring, ring->used);
	} else {
		iog_mmio_write16(common, COMMON_QUEUE_SIZE, ring->size);
		iog_mmio_write16(common, COMMON_QUEUE_MSIX_VECTOR, (uint16_t)vector);
		if (vector != NO_VECTOR && iog_mmio_read16(common, COMMON_QUEUE_MSIX_VECTOR) == VECTOR_REFUSED)
			return -IOG_EIO;
		address_write(virtio, COMMON_QUEUE_DESC, ring, ring->desc);
		address_write(virtio, COMMON_QUEUE_DRIVER, ring, ring->avail);
		address_write(virtio, COMMON_QUEUE_DEVICE, ring, ring->used);
		doorbell = (uint64_t)iog_mmio_read16(common, COMMON_QUEUE_NOTIFY_OFF) * transport->notify_multiplier;
	}
	/* Where the device says that it is, it has to be in what the device has. */
	if (doorbell > transport->notify_length - 2)
		return -IOG_EIO;
	ring->doorbell = (uint32_t)doorbell;
	iog_mmio_publish(common);
	if (transport->mmio)
		iog_mmio_write32(common, MMIO_QUEUE_READY, 1);
	else
		iog_mmio_write16(common, COMMON_QUEUE_ENABLE, 1);
	return 0;
}

void iog_virtio_queue_notify(struct iog_virtio *virtio, uint32_t queue, const struct vio_ring *ring)
{
	struct vio_transport *transport = &virtio->transport;

	iog_mmio_publish(&transport->notify);
	if (transport->mmio)
		iog_mmio_write32(&transport->notify, ring->doorbell, queue);
	else
		iog_mmio_write16(&transport->notify, ring->doorbell, (uint16_t)queue);
}

uint8_t iog_virtio_config8(struct iog_virtio *virtio, uint32_t offset)
{
	struct iog_mmio *device = device_of(virtio, &offset);

	return iog_mmio_read8(device, offset);
}

void iog_virtio_config8_set(struct iog_virtio *virtio, uint32_t offset, uint8_t value)
{
	struct iog_mmio *device = device_of(virtio, &offset);

	iog_mmio_write8(device, offset, value);
}

uint32_t iog_virtio_config32(struct iog_virtio *virtio, uint32_t offset)
{
	struct iog_mmio *device = device_of(virtio, &offset);

	return iog_mmio_read32(device, offset);
}

uint64_t iog_virtio_config64(struct iog_virtio *virtio, uint32_t offset)
{
	uint64_t low = iog_virtio_config32(virtio, offset);

	return low | (uint64_t)iog_virtio_config32(virtio, offset + 4) << 32;
}

uint32_t iog_virtio_config_generation(struct iog_virtio *virtio)
{
	struct iog_mmio *common = &virtio->transport.common;

	return virtio->transport.mmio ? iog_mmio_read32(common, MMIO_CONFIG_GENERATION) : iog_mmio_read8(common, COMMON_CONFIG_GENERATION);
}

uint32_t iog_virtio_interrupt_reasons(struct iog_virtio *virtio)
{
	uint32_t reasons;

	/* Of PCI's, reading is acknowledging. */
	if (!virtio->transport.mmio)
		return iog_mmio_read8(&virtio->transport.isr, 0);
	reasons = iog_mmio_read32(&virtio->transport.common, MMIO_INTERRUPT_STATUS);
	iog_mmio_write32(&virtio->transport.common, MMIO_INTERRUPT_ACK, reasons);
	return reasons;
}

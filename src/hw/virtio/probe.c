/* SPDX-License-Identifier: MIT */
/*
 * What an endpoint's properties say of addresses that are spoken for (5.13.6.7).
 *
 * The answer is copied before it is read: it lies in the device's memory. Properties that are not known are passed over, as the specification wants.
 */
#include "../../pgtable/memory.h"
#include "virtio.h"

static uint32_t le16(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8;
}

static uint64_t le64(const uint8_t *at)
{
	uint64_t value = 0;

	for (uint32_t n = 8; n--;)
		value = value << 8 | at[n];
	return value;
}

static int region_tell(const uint8_t *property, uint32_t offset, uint32_t device, iog_found_fn *visit, void *ctx)
{
	struct iog_found found = {
		.kind = IOG_FOUND_RESERVED,
		.offset = offset,
		.reserved = {
			.unit = IOG_REF_NONE,
			.first = le64(property + 8),
			.last = le64(property + 16),
			.flags = IOG_RESERVED_UNUSABLE,
			.who = { .kind = IOG_DEVICES_STREAMS, .first = device, .last = device },
		},
	};

	if (found.reserved.last < found.reserved.first)
		return -IOG_EIO;
	/* Kinds that are not known are to be taken for RESERVED. */
	if (property[PROBE_HEAD_BYTES] == RESV_MEM_T_MSI)
		found.reserved.flags |= IOG_RESERVED_INTERRUPTS;
	return visit(ctx, &found);
}

/* All of it, once: with NULL it is only looked whether it is well-formed. */
static int properties_read(const uint8_t *properties, uint32_t bytes, uint32_t device, iog_found_fn *visit, void *ctx)
{
	uint32_t at = 0;

	while (bytes - at >= PROBE_HEAD_BYTES) {
		uint32_t type = le16(properties + at) & PROBE_TYPE_MASK, length = le16(properties + at + 2);
		int result = 0;

		if (type == PROBE_T_NONE)
			return 0;
		if (length > bytes - at - PROBE_HEAD_BYTES || (type == PROBE_T_RESV_MEM && length < PROBE_RESV_MEM_BYTES))
			return -IOG_EIO;
		if (type == PROBE_T_RESV_MEM && visit)
			result = region_tell(properties + at, at, device, visit, ctx);
		if (result)
			return result;
		at += PROBE_HEAD_BYTES + length;
	}
	return 0;
}

/* With control_lock. */
static int probe(struct iog_virtio *virtio, uint32_t device, uint8_t *answer)
{
	struct vio_batch *batch = &virtio->control;
	int error = iog_virtio_catch_up(virtio);

	if (error)
		return error;
	vio_batch_clear(batch);
	memset(virtio->properties, 0, virtio->info.probe_bytes);
	((uint8_t *)virtio->properties)[virtio->info.probe_bytes] = S_UNWRITTEN;
	vio_batch_add(batch, REQ_PROBE)->endpoint = device;
	error = iog_virtio_submit(virtio, batch);
	if (error)
		return error;
	error = iog_virtio_error(batch->requests[0].status);
	vio_batch_clear(batch);
	memcpy(answer, virtio->properties, virtio->info.probe_bytes);
	return error;
}

int iog_virtio_reserved(struct iog_virtio *virtio, uint32_t device, iog_found_fn *visit, void *ctx)
{
	const struct iog_platform *platform = virtio->platform;
	uint8_t *answer;
	int error;

	if (!virtio->on || !virtio->info.probe_bytes)
		return -IOG_EOPNOTSUPP;
	answer = platform->object_alloc(platform->ctx, virtio->info.probe_bytes);
	if (!answer)
		return -IOG_ENOMEM;
	wait_lock(&virtio->control_lock, platform);
	error = probe(virtio, device, answer);
	wait_unlock(&virtio->control_lock);
	if (!error)
		error = properties_read(answer, virtio->info.probe_bytes, device, NULL, NULL);
	if (!error)
		error = properties_read(answer, virtio->info.probe_bytes, device, visit, ctx);
	platform->object_free(platform->ctx, answer, virtio->info.probe_bytes);
	return error;
}

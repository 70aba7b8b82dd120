/* SPDX-License-Identifier: MIT */
/*
 * See vtd_fake.h.
 */

#include "vtd_fake.h"
#include "relax.h"

uint64_t fake_get64(const struct fake *fake, uint32_t offset)
{
	uint64_t value;

	memcpy(&value, fake->registers + offset, sizeof(value));
	return value;
}

void fake_set64(struct fake *fake, uint32_t offset, uint64_t value)
{
	memcpy(fake->registers + offset, &value, sizeof(value));
}

uint32_t fake_get32(const struct fake *fake, uint32_t offset)
{
	uint32_t value;

	memcpy(&value, fake->registers + offset, sizeof(value));
	return value;
}

void fake_set32(struct fake *fake, uint32_t offset, uint32_t value)
{
	memcpy(fake->registers + offset, &value, sizeof(value));
}

void *fake_at(const struct fake *fake, uint64_t paddr)
{
	return (void *)(uintptr_t)(paddr + fake->platform.direct_map_offset);
}

static bool fails(struct fake *fake)
{
	return fake->fail_in && !--fake->fail_in;
}

static void *pages_alloc(void *ctx, size_t size)
{
	struct fake *fake = ctx;
	const struct iog_platform *host = iog_posix_platform(fake->posix);
	void *pages = fails(fake) ? NULL : host->pages_alloc(host->ctx, size);

	if (!pages)
		return NULL;
	fake->pages += size;
	return memset(pages, 0xa5, size);
}

static void pages_free(void *ctx, void *pages, size_t size)
{
	struct fake *fake = ctx;
	const struct iog_platform *host = iog_posix_platform(fake->posix);

	fake->pages -= size;
	memset(pages, 0x5a, size);
	host->pages_free(host->ctx, pages, size);
}

static void *object_alloc(void *ctx, size_t size)
{
	struct fake *fake = ctx;
	size_t rounded = (size + 63) / 64 * 64;
	void *object = fails(fake) ? NULL : aligned_alloc(64, rounded);

	if (!object)
		return NULL;
	fake->bytes += size;
	return memset(object, 0, rounded);
}

static void object_free(void *ctx, void *object, size_t size)
{
	struct fake *fake = ctx;

	fake->bytes -= size;
	free(object);
}

static uint64_t now_ns(void *ctx)
{
	struct fake *fake = ctx;

	return atomic_fetch_add(&fake->now, fake->tick);
}

static void error_set(struct fake *fake, uint32_t error)
{
	fake_set32(fake, VTD_FSTS, fake_get32(fake, VTD_FSTS) | error);
	fake->waiting_lost = true;
}

static void descriptor_log(struct fake *fake, const struct fake_descriptor *descriptor)
{
	if (fake->seen)
		fake->seen(fake);
	if (fake->logged < FAKE_LOG)
		fake->log[fake->logged++] = *descriptor;
	if ((descriptor->words[0] & 0xf) == VTD_IOTLB_TYPE)
		atomic_fetch_add(&fake->by_id[descriptor->words[0] >> 16 & 0xffff], 1);
}

/* False: the queue stops here. */
static bool carry_out(struct fake *fake, const struct fake_descriptor *descriptor)
{
	uint64_t low = descriptor->words[0];

	/* What was put in its place is understood. */
	if (fake->choked_at == fake->head + 1 && memcmp(&fake->choked, descriptor, sizeof(*descriptor))) {
		fake->choked_at = 0;
	} else if (fake->choke && !--fake->choke) {
		fake->choked = *descriptor;
		fake->choked_at = fake->head + 1;
	}
	if (fake->choked_at == fake->head + 1 || !(low & 0xf) || (low & 0xf) > 8 || low >> 9 & 7) {
		error_set(fake, VTD_FSTS_IQE);
		return false;
	}
	if ((low & 0xf) == VTD_WAIT) {
		fake->waits++;
		if (fake->waiting_lost)
			return true;
		if (fake->lose) {
			fake->lose--;
			return true;
		}
		if (low & VTD_WAIT_SW)
			atomic_store((_Atomic uint32_t *)fake_at(fake, descriptor->words[1]), (uint32_t)(low >> 32));
		return true;
	}
	descriptor_log(fake, descriptor);
	if ((low & 0xf) == VTD_DEVICE && fake->mute_sid && (low >> 32 & 0xffff) == fake->mute_sid) {
		fake_set64(fake, VTD_IQERCD, (uint64_t)fake->mute_sid << 32);
		error_set(fake, VTD_FSTS_ITE);
	}
	return true;
}

/* With the lock held. */
static void queue_run(struct fake *fake)
{
	uint64_t iqa = fake_get64(fake, VTD_IQA);
	uint32_t shift = iqa & VTD_IQA_DW ? 5 : 4, slots = (4096u << (iqa & 7)) >> shift;
	uint32_t tail = (uint32_t)(fake_get64(fake, VTD_IQT) >> shift);

	while (fake->status & VTD_QIE && !fake->stalled && fake->head != tail && !(fake_get32(fake, VTD_FSTS) & VTD_FSTS_IQE)) {
		struct fake_descriptor descriptor = { { 0 } };

		memcpy(&descriptor, (uint8_t *)fake_at(fake, iqa & ~UINT64_C(0xfff)) + ((size_t)fake->head << shift), (size_t)1 << shift);
		if (!carry_out(fake, &descriptor))
			break;
		fake->head = (fake->head + 1) % slots;
	}
	fake_set64(fake, VTD_IQH, (uint64_t)fake->head << shift);
}

void fake_run(struct fake *fake)
{
	pthread_mutex_lock(&fake->lock);
	queue_run(fake);
	pthread_mutex_unlock(&fake->lock);
}

static void command(struct fake *fake, uint32_t value)
{
	if (fake->deaf)
		return;
	if (value & VTD_SRTP) {
		fake->root = fake_get64(fake, VTD_RTADDR);
		fake->root_sets++;
		fake->status |= VTD_SRTP;
	}
	if (value & VTD_SIRTP) {
		fake->irta = fake_get64(fake, VTD_IRTA);
		fake->status |= VTD_SIRTP;
	}
	if (value & VTD_WBF)
		fake->flushes++;
	if (fake->status & VTD_TE && !(value & VTD_TE))
		fake->was_off = true;
	if (!(value & VTD_QIE) && fake->status & VTD_QIE)
		fake->head = 0;
	fake->status = (fake->status & (VTD_SRTP | VTD_SIRTP)) | (value & (VTD_TE | VTD_QIE | VTD_IRE | VTD_CFI));
	fake_set64(fake, VTD_IQH, (uint64_t)fake->head << 4);
}

/* A command by register is recorded as the descriptor that would do the same. */
static void by_register(struct fake *fake, uint32_t offset, uint64_t value)
{
	struct fake_descriptor descriptor = { { 0 } };

	if (!(value >> 63) || fake->stalled)
		return;
	if (offset == VTD_CCMD) {
		descriptor.words[0] = VTD_CONTEXT | (value >> 61 & 3) << 4 | (value & 0xffff) << 16 | (value >> 16 & 0xffff) << 32;
		value = (value & ~VTD_CCMD_ICC) | (fake->refuse ? 0 : (value >> 61 & 3) << 59);
	} else {
		descriptor.words[0] = VTD_IOTLB_TYPE | (value >> 60 & 3) << 4 | (value & VTD_IOTLB_DR ? VTD_IOTLB_DESC_DR : 0) | (value & VTD_IOTLB_DW ? VTD_IOTLB_DESC_DW : 0) |
				      (value >> 32 & 0xffff) << 16;
		descriptor.words[1] = (value >> 60 & 3) == VTD_SELECTIVE ? fake_get64(fake, FAKE_IRO) : 0;
		value = (value & ~VTD_IOTLB_IVT) | (fake->refuse ? 0 : (value >> 60 & 3) << 57);
	}
	descriptor_log(fake, &descriptor);
	fake_set64(fake, offset, value);
}

static void write32(struct fake *fake, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case VTD_GCMD:
		command(fake, value);
		break;
	case VTD_FSTS:
		fake_set32(fake, VTD_FSTS, fake_get32(fake, VTD_FSTS) & ~(value & VTD_FSTS_CLEAR));
		if (!(fake_get32(fake, VTD_FSTS) & VTD_FSTS_QUEUE))
			fake->waiting_lost = false;
		break;
	case VTD_PMEN:
		fake_set32(fake, VTD_PMEN, value | (value & VTD_PMEN_EPM ? VTD_PMEN_PRS : 0));
		break;
	default:
		fake_set32(fake, offset, value);
	}
	/* A fault record is freed, and with the last of them the summary bit goes. */
	if (offset >= FAKE_FRO && offset % 16 == VTD_FRCD_LAST && value & VTD_FRCD_F) {
		bool left = false;

		fake_set32(fake, offset, 0);
		for (uint32_t n = 0; n < FAKE_RECORDS; n++)
			left |= fake_get32(fake, FAKE_FRO + 16 * n + VTD_FRCD_LAST) & VTD_FRCD_F;
		if (!left)
			fake_set32(fake, VTD_FSTS, fake_get32(fake, VTD_FSTS) & ~VTD_FSTS_PPF);
	}
}

static uint32_t offset_of(uintptr_t reg)
{
	assert_true(reg >= FAKE_BASE && reg < FAKE_BASE + FAKE_SIZE);
	return (uint32_t)(reg - FAKE_BASE);
}

static uint32_t mmio_read32(void *ctx, uintptr_t reg)
{
	struct fake *fake = ctx;
	uint32_t value;

	assert_int_equal(reg % 4, 0);
	pthread_mutex_lock(&fake->lock);
	value = fake->gone ? UINT32_MAX : offset_of(reg) == VTD_GSTS ? fake->status : fake_get32(fake, offset_of(reg));
	pthread_mutex_unlock(&fake->lock);
	return value;
}

static uint64_t mmio_read64(void *ctx, uintptr_t reg)
{
	struct fake *fake = ctx;
	uint64_t value;

	assert_int_equal(reg % 8, 0);
	pthread_mutex_lock(&fake->lock);
	value = fake->gone ? UINT64_MAX : fake_get64(fake, offset_of(reg));
	pthread_mutex_unlock(&fake->lock);
	return value;
}

static void mmio_write32(void *ctx, uintptr_t reg, uint32_t value)
{
	struct fake *fake = ctx;

	assert_int_equal(reg % 4, 0);
	pthread_mutex_lock(&fake->lock);
	if (!fake->gone)
		write32(fake, offset_of(reg), value);
	pthread_mutex_unlock(&fake->lock);
}

static void mmio_write64(void *ctx, uintptr_t reg, uint64_t value)
{
	struct fake *fake = ctx;
	uint32_t offset = offset_of(reg);

	assert_int_equal(reg % 8, 0);
	pthread_mutex_lock(&fake->lock);
	if (!fake->gone) {
		fake_set64(fake, offset, value);
		if (offset == VTD_IQT)
			queue_run(fake);
		if (offset == VTD_CCMD || offset == FAKE_IRO + VTD_IOTLB)
			by_register(fake, offset, value);
	}
	pthread_mutex_unlock(&fake->lock);
}

void fake_init(struct fake *fake, uint64_t cap, uint64_t ecap)
{
	memset(fake, 0, sizeof(*fake));
	pthread_mutex_init(&fake->lock, NULL);
	fake->tick = 10000;
	fake_set32(fake, VTD_VER, 0x40);
	fake_set64(fake, VTD_CAP, cap);
	fake_set64(fake, VTD_ECAP, ecap);
	assert_int_equal(iog_posix_create(&(struct iog_posix_config){ .limit = 64 << 20, .flags = IOG_POSIX_SMALL_PAGES }, &fake->posix), 0);
	fake->platform = (struct iog_platform){
		.ctx = fake,
		.direct_map_offset = iog_posix_platform(fake->posix)->direct_map_offset,
		.pages_alloc = pages_alloc, .pages_free = pages_free, .object_alloc = object_alloc, .object_free = object_free, .now_ns = now_ns, .relax = kit_relax,
		.mmio_read32 = mmio_read32, .mmio_read64 = mmio_read64, .mmio_write32 = mmio_write32, .mmio_write64 = mmio_write64,
	};
}

void fake_fini(struct fake *fake)
{
	assert_int_equal(fake->bytes, 0);
	assert_int_equal(fake->pages, 0);
	iog_posix_destroy(fake->posix);
	pthread_mutex_destroy(&fake->lock);
}

struct iog_vtd *fake_driver(struct fake *fake, uint32_t flags, struct iog_vtd_config *given)
{
	struct iog_vtd_config config = given ? *given : (struct iog_vtd_config){ 0 };
	struct iog_vtd *vtd = NULL;

	config.platform = &fake->platform;
	config.registers = FAKE_BASE;
	config.flags = flags;
	assert_int_equal(iog_vtd_create(&config, &vtd), 0);
	assert_int_equal(iog_vtd_enable(vtd), 0);
	fake->logged = 0;
	fake->waits = 0;
	return vtd;
}

void fake_driver_end(struct iog_vtd *vtd)
{
	assert_int_equal(iog_vtd_disable(vtd), 0);
	assert_int_equal(iog_vtd_destroy(vtd), 0);
}

void fake_fault(struct fake *fake, uint32_t index, uint64_t low, uint64_t high)
{
	uint32_t status = fake_get32(fake, VTD_FSTS);

	fake_set64(fake, FAKE_FRO + 16 * index, low);
	fake_set64(fake, FAKE_FRO + 16 * index + 8, high | UINT64_C(1) << 63);
	if (!(status & VTD_FSTS_PPF))
		status = (status & ~0xff00u) | index << 8 | VTD_FSTS_PPF;
	fake_set32(fake, VTD_FSTS, status);
}

/* SPDX-License-Identifier: MIT */
/*
 * What a gather holds, as commands.
 *
 *   leaves only            IOTLB, pages, IH = 1: paging-structure caches stay (VT-d 6.5.2.3)
 *   a table was unlinked   the same with IH = 0, and so for the span of each table
 *   not-present cached     (caching mode) maps come here with walk_caches set: IH = 0
 *   first stage            PASID-based IOTLB, by domain id and the one PASID
 *
 * Accesses that hardware has begun by an old translation are waited for (DR, DW) where the unit can; those of PASID-based invalidations always are.
 */
#include "vtd.h"

#define PAGE_SHIFT 12

/* Blocks of one range at most: of the size of the range rounded up, or of the largest that hardware takes. */
#define BLOCKS_MAX 8

struct batch {
	struct vtd_command commands[VTD_BATCH];
	uint32_t count;
	uint32_t most; /* commands, beyond which it is the domain */
};

int iog_vtd_submit(struct iog_vtd *vtd, const struct vtd_command *commands, uint32_t count, uint32_t sid)
{
	int error;

	for (uint32_t n = 0; n < count; n++) {
		uint32_t granularity = VTD_GRANULARITY(&commands[n]);

		switch (VTD_TYPE(&commands[n])) {
		case VTD_CONTEXT:
			vtd_count(&vtd->counters.context, 1);
			break;
		case VTD_PASID:
			vtd_count(&vtd->counters.pasid, 1);
			break;
		case VTD_INTERRUPT:
			vtd_count(&vtd->counters.interrupt, 1);
			break;
		case VTD_DEVICE:
			vtd_count(&vtd->counters.device, 1);
			break;
		default:
			vtd_count(granularity == VTD_SELECTIVE ? &vtd->counters.page : &vtd->counters.domain, 1);
		}
	}
	error = iog_vtd_write_buffer_flush(vtd);
	if (error)
		return error;
	return vtd->queued ? iog_vtd_queue_submit(vtd, commands, count, sid) : iog_vtd_register_submit(vtd, commands, count);
}

int iog_vtd_submit_again(struct iog_vtd *vtd, const struct vtd_command *commands, uint32_t count)
{
	int error = -IOG_EAGAIN;

	for (uint32_t n = 0; n < VTD_AGAIN && error == -IOG_EAGAIN; n++)
		error = iog_vtd_submit(vtd, commands, count, VTD_NO_SID);
	return error == -IOG_EAGAIN ? -IOG_EIO : error;
}

int iog_vtd_invalidate_all(struct iog_vtd *vtd)
{
	struct vtd_command commands[3];
	uint32_t count = 0;

	/* In this order: what is fetched again in between must not bring back what was dropped (VT-d 6.5.3.3). */
	commands[count++] = vtd_context(VTD_GLOBAL, 0, 0);
	if (vtd->scalable)
		commands[count++] = vtd_pasid(VTD_PASID_GLOBAL, 0, 0);
	commands[count++] = vtd_iotlb(VTD_GLOBAL, 0, vtd->drain);
	return iog_vtd_submit_again(vtd, commands, count);
}

static struct vtd_command domain_command(const struct iog_vtd *vtd, uint32_t id, bool first_stage)
{
	return first_stage ? vtd_piotlb(id, VTD_RID_PASID) : vtd_iotlb(VTD_DOMAIN, id, vtd->drain);
}

int iog_vtd_invalidate_domain(struct iog_vtd *vtd, uint32_t id, bool first_stage)
{
	struct vtd_command command = domain_command(vtd, id, first_stage);

	return iog_vtd_submit_again(vtd, &command, 1);
}

/* The order of the smallest block of 2^am pages that is no smaller than [first, last]. */
static uint32_t order_of(uint64_t first, uint64_t last)
{
	uint64_t pages = (last >> PAGE_SHIFT) - (first >> PAGE_SHIFT) + 1;
	uint32_t am = 0;

	while (am < 52 && UINT64_C(1) << am < pages)
		am++;
	return am;
}

/*
 * A range is covered by one aligned block of its size rounded up, or by two where it lies across a boundary: what is forgotten beyond it costs misses, where exact commands would cost time. Where that is
 * more than the hardware takes in one command, by several. False: it would be too many.
 */
static bool add_range(struct iog_vtd *vtd, struct batch *batch, uint32_t id, bool first_stage, uint64_t first, uint64_t last, uint64_t ih)
{
	uint32_t am = order_of(first, last), most = VTD_CAP_MAMV(vtd->cap);
	uint64_t block, end;

	am = am < most ? am : most;
	/* Everything, in one block. */
	if (am + PAGE_SHIFT >= 64)
		return false;
	block = first >> (PAGE_SHIFT + am);
	end = last >> (PAGE_SHIFT + am);
	if (end - block >= BLOCKS_MAX || batch->count + (end - block + 1) > batch->most)
		return false;
	for (; block <= end; block++) {
		uint64_t address = block << (PAGE_SHIFT + am);

		batch->commands[batch->count++] = first_stage ? vtd_piotlb_pages(id, VTD_RID_PASID, address, am, ih) : vtd_iotlb_pages(id, vtd->drain, address, am, ih);
	}
	return true;
}

/* False: the domain is to be forgotten. */
static bool add_gather(struct iog_vtd *vtd, struct batch *batch, uint32_t id, bool first_stage, const struct iog_gather *gather)
{
	uint64_t ih = gather->nr_tables || gather->walk_caches ? 0 : VTD_IH;

	if (gather->everything || !(vtd->cap & VTD_CAP_PSI))
		return false;
	for (uint32_t n = 0; n < gather->nr_ranges; n++)
		if (!add_range(vtd, batch, id, first_stage, gather->ranges[n].first, gather->ranges[n].last, ih))
			return false;
	for (uint32_t n = 0; n < gather->nr_tables; n++)
		if (!add_range(vtd, batch, id, first_stage, gather->tables[n].span.first, gather->tables[n].span.last, 0))
			return false;
	return true;
}

int iog_vtd_invalidate(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather)
{
	struct iog_vtd *vtd = vtd_of(unit);
	bool first_stage = vtd_is_first_stage(vtd, id);
	struct batch batch = { .count = 0, .most = vtd->config.commands_max };

	/* Acquire: pairs with the release in iog_vtd_enable(), which drops everything before hardware may remember. */
	if (!atomic_load_explicit(&vtd->running, memory_order_acquire))
		return 0;
	if (!gather || !add_gather(vtd, &batch, id, first_stage, gather)) {
		batch.commands[0] = domain_command(vtd, id, first_stage);
		batch.count = 1;
	}
	return batch.count ? iog_vtd_submit(vtd, batch.commands, batch.count, VTD_NO_SID) : 0;
}

int iog_vtd_device_invalidate(struct iog_unit *unit, uint32_t device, const struct iog_gather *gather)
{
	struct iog_vtd *vtd = vtd_of(unit);
	uint32_t depth = vtd_ats_depth(vtd, device), sid = device & 0xffff, count = 0;
	struct vtd_command commands[2 * IOG_GATHER_RANGES];

	if (!atomic_load_explicit(&vtd->running, memory_order_acquire) || !depth)
		return 0;
	/* Devices keep no pointers to tables: what was mapped is in the ranges. */
	for (uint32_t n = 0; gather && !gather->everything && n < gather->nr_ranges; n++) {
		uint64_t first = gather->ranges[n].first, last = gather->ranges[n].last;
		uint32_t am = order_of(first, last);

		if (am >= 52) {
			count = 0;
			break;
		}
		for (uint64_t block = first >> (PAGE_SHIFT + am); block <= last >> (PAGE_SHIFT + am); block++)
			commands[count++] = vtd_device_pages(sid, depth, block << (PAGE_SHIFT + am), am);
	}
	if (!count)
		commands[count++] = vtd_device_pages(sid, depth, 0, 52);
	return iog_vtd_submit(vtd, commands, count, sid);
}

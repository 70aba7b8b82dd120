/* SPDX-License-Identifier: MIT */
/*
 * What every driver must show on QEMU's model of its hardware, with the negative control of each claim about invalidation: the same steps with it left out see the stale result.
 *
 *   1 unit off: the copy works untranslated      4 unmapped, forgotten: refused, and the decoded fault names device, address, access and reason;
 *   2 translation on: X -> A, Y -> B               unmapped, not forgotten: not yet
 *   3 remapped, not forgotten: still A; then C   5 read-only: a write is refused; no entry for the device: refused
 *
 * Points 2 to 4 at the granule and at the next leaf size, at a low and a high address.
 */
#ifndef TESTS_JUDGE_POINTS_H
#define TESTS_JUDGE_POINTS_H

#include "bench.h"

/* How the driver tells these, and what the model cannot. */
struct points {
	iog_iova_t high;         /* an address in the upper half of what is translated, a multiple of 1 GiB; 0: leave them out */
	uint32_t code_absent;      /* the unit's own numbers: of a write, and of a read where it differs */
	uint32_t code_absent_read;
	uint32_t code_readonly;
	uint32_t code_no_device;
	bool silent_no_device;     /* blocked devices are refused without a record */
	bool empty_no_device;      /* and with one as of a device in a domain with nothing in it */
	bool absent_untold;        /* where nothing is mapped, the kind of access is not told */
	bool pasid_zero;           /* the model reports a PASID of 0 for requests without one */
	bool writes_untold;        /* a write that is refused may be one to what is not mapped or to what is read-only: the unit does not say */
};

static inline void point_off(struct bench *bench)
{
	uint8_t *pages = bench->platform->pages_alloc(bench->platform->ctx, 8192);

	JUDGE(pages, "%s: memory", bench->name);
	bench_fill(pages, 11, BENCH_BYTES);
	memset(pages + 4096, 0, BENCH_BYTES);
	bench_read(bench, bench_paddr(bench, pages), BENCH_BYTES);
	bench_write(bench, bench_paddr(bench, pages + 4096), BENCH_BYTES);
	JUDGE(bench_filled(pages + 4096, 11, BENCH_BYTES), "%s: 1: with the unit off, a copy works untranslated", bench->name);
	bench->platform->pages_free(bench->platform->ctx, pages, 8192);
}

/* 2, 3 and 4 for one leaf size at one address. */
static inline void point_translate(struct bench *bench, const struct points *points, iog_iova_t x, uint64_t leaf)
{
	iog_iova_t y = x + leaf, probe = x + 2 * leaf;
	uint8_t *memory = bench->platform->pages_alloc(bench->platform->ctx, 4 * leaf);
	uint8_t *a, *b, *c, *p;
	const struct iog_fault *fault;

	JUDGE(memory, "%s: memory for leaves of %llu", bench->name, (unsigned long long)leaf);
	if (!memory)
		return;
	a = memory;
	b = a + leaf;
	c = b + leaf;
	p = c + leaf;
	bench_fill(a, 1, BENCH_BYTES);
	bench_fill(c, 77, BENCH_BYTES);
	memset(b, 0, BENCH_BYTES);
	JUDGE(!bench_map(bench, x, bench_paddr(bench, a), leaf, RW) && !bench_map(bench, y, bench_paddr(bench, b), leaf, RW) &&
		      !bench_map(bench, probe, bench_paddr(bench, p), leaf, RW),
	      "%s: 2: maps", bench->name);

	bench_read(bench, x, BENCH_BYTES);
	bench_write(bench, y, BENCH_BYTES);
	fault = bench_first_fault(bench);
	JUDGE(bench_filled(b, 1, BENCH_BYTES), "%s: 2: X -> A, Y -> B at 0x%llx, leaves of 0x%llx (code 0x%x, address 0x%llx: %s)", bench->name, (unsigned long long)x,
	      (unsigned long long)leaf, fault->code, (unsigned long long)fault->iova, fault->text ? fault->text : "no fault");

	/* 3. The page table is changed, the unit not told. */
	bench->untold = true;
	JUDGE(!bench_unmap(bench, x, leaf) && !bench_map(bench, x, bench_paddr(bench, c), leaf, RW), "%s: 3: remaps", bench->name);
	bench_read(bench, x, BENCH_BYTES);
	JUDGE(bench_has(bench, probe, p, 1), "%s: 3, negative control: not told to forget, the unit still has A at 0x%llx", bench->name, (unsigned long long)x);
	bench->untold = false;
	JUDGE(!bench_invalidate(bench), "%s: 3: invalidates", bench->name);
	bench_read(bench, x, BENCH_BYTES);
	JUDGE(bench_has(bench, probe, p, 77), "%s: 3: C after the invalidation at 0x%llx, leaves of 0x%llx", bench->name, (unsigned long long)x, (unsigned long long)leaf);

	/* 4. */
	bench_hush(bench);
	JUDGE(!bench_unmap(bench, x, leaf), "%s: 4: unmaps", bench->name);
	bench_fill(c, 99, BENCH_BYTES);
	bench_read(bench, x, BENCH_BYTES);
	JUDGE(bench_has(bench, probe, p, 99) && !bench_first_fault(bench)->text, "%s: 4, negative control: not told to forget, the unit still lets it through", bench->name);
	JUDGE(!bench_invalidate(bench), "%s: 4: invalidates", bench->name);
	bench_hush(bench);
	memset(c, 0xee, BENCH_BYTES);
	bench_write(bench, x, 64);
	JUDGE(c[0] == 0xee && !memcmp(c, c + 1, BENCH_BYTES - 1), "%s: 4: memory is untouched", bench->name);
	fault = bench_first_fault(bench);
	JUDGE(fault->text && fault->device == bench->device && fault->iova >= x && fault->iova < x + 64 &&
		      fault->reason == (points->writes_untold && !points->absent_untold ? IOG_FAULT_REASON_OTHER : IOG_FAULT_REASON_NOT_PRESENT) &&
		      fault->code == points->code_absent && (fault->access & RW) == (points->absent_untold ? 0 : IOG_PROT_WRITE) && fault->pasid == (points->pasid_zero ? 0 : IOG_PASID_NONE),
	      "%s: 4: the fault of a write (device 0x%x, pasid 0x%x, address 0x%llx, access 0x%x, reason %d, code 0x%x: %s)", bench->name, fault->device, fault->pasid,
	      (unsigned long long)fault->iova,
	      fault->access, fault->reason, fault->code, fault->text ? fault->text : "none");
	bench_hush(bench);
	bench_read(bench, x + 128, 8);
	fault = bench_first_fault(bench);
	JUDGE(fault->text && fault->code == (points->code_absent_read ? points->code_absent_read : points->code_absent) && fault->iova == x + 128 && (fault->access & RW) == (points->absent_untold ? 0 : IOG_PROT_READ) && fault->reason == IOG_FAULT_REASON_NOT_PRESENT,
	      "%s: 4: the fault of a read (address 0x%llx, access 0x%x)", bench->name, (unsigned long long)fault->iova, fault->access);

	JUDGE(!bench_unmap(bench, y, leaf) && !bench_unmap(bench, probe, leaf) && !bench_invalidate(bench), "%s: 4: cleans up", bench->name);
	bench_hush(bench);
	bench->platform->pages_free(bench->platform->ctx, memory, 4 * leaf);
}

static inline void point_refuse(struct bench *bench, const struct points *points)
{
	uint8_t *page = bench->platform->pages_alloc(bench->platform->ctx, bench->granule);
	const struct iog_fault *fault;
	iog_iova_t x = 16 * bench->granule;

	JUDGE(page, "%s: memory", bench->name);
	bench_fill(page, 5, BENCH_BYTES);
	JUDGE(!bench_map(bench, x, bench_paddr(bench, page), bench->granule, IOG_PROT_READ), "%s: 5: maps", bench->name);
	bench_hush(bench);
	bench_read(bench, x, BENCH_BYTES);
	JUDGE(!bench_first_fault(bench)->text, "%s: 5: a read-only page can be read", bench->name);
	bench_fill(page, 6, BENCH_BYTES);
	/* Models may refuse by what they remember without recording it. */
	(void)bench->unit->ops->invalidate(bench->unit, bench->id, NULL);
	bench_write(bench, x, 8);
	fault = bench_first_fault(bench);
	JUDGE(bench_filled(page, 6, BENCH_BYTES), "%s: 5: a read-only page is not written", bench->name);
	JUDGE(fault->text && fault->reason == (points->writes_untold ? IOG_FAULT_REASON_OTHER : IOG_FAULT_REASON_PERMISSION) && fault->code == points->code_readonly && fault->access & IOG_PROT_WRITE && fault->iova == x &&
		      fault->device == bench->device,
	      "%s: 5: the fault of a write to a read-only page (address 0x%llx, access 0x%x, reason %d, code 0x%x)", bench->name, (unsigned long long)fault->iova, fault->access,
	      fault->reason, fault->code);

	JUDGE(!bench_set(bench, IOG_DOMAIN_BLOCKED), "%s: 5: blocks", bench->name);
	bench_hush(bench);
	bench_write(bench, x, 8);
	fault = bench_first_fault(bench);
	JUDGE(bench_filled(page, 6, BENCH_BYTES), "%s: 5: a blocked device reaches nothing", bench->name);
	if (points->silent_no_device)
		JUDGE(!fault->text, "%s: 5: a blocked device is refused silently", bench->name);
	else
		JUDGE(fault->text && fault->reason == (points->empty_no_device ? IOG_FAULT_REASON_NOT_PRESENT : IOG_FAULT_REASON_NO_DEVICE) && fault->code == points->code_no_device && fault->device == bench->device,
		      "%s: 5: the fault of a blocked device (reason %d, code 0x%x)", bench->name, fault->reason, fault->code);

	JUDGE(!bench_set(bench, IOG_DOMAIN_IDENTITY), "%s: identity", bench->name);
	bench_fill(page, 8, BENCH_BYTES);
	bench_read(bench, bench_paddr(bench, page), BENCH_BYTES);
	memset(page, 0, BENCH_BYTES);
	bench_write(bench, bench_paddr(bench, page), BENCH_BYTES);
	JUDGE(bench_filled(page, 8, BENCH_BYTES), "%s: identity: memory is reached untranslated", bench->name);
	JUDGE(!bench_set(bench, IOG_DOMAIN_PAGING), "%s: 5: sets", bench->name);
	JUDGE(!bench_unmap(bench, x, bench->granule) && !bench_invalidate(bench), "%s: 5: cleans up", bench->name);
	bench_hush(bench);
	bench->platform->pages_free(bench->platform->ctx, page, bench->granule);
}

/* Points 2 to 5 with the unit on and the device in the domain. @large: leaves of the next size, too. */
static inline void points_all(struct bench *bench, const struct points *points, bool large)
{
	point_translate(bench, points, 0x40 * bench->granule, bench->granule);
	if (points->high)
		point_translate(bench, points, points->high + 0x40 * bench->granule, bench->granule);
	if (large)
		point_translate(bench, points, 4 * bench->large, bench->large);
	if (large && points->high)
		point_translate(bench, points, points->high + 4 * bench->large, bench->large);
	point_refuse(bench, points);
}

#endif

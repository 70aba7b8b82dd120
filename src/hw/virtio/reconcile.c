/* SPDX-License-Identifier: MIT */
/*
 * Making the device agree with a domain's page table.
 *
 * Addresses are gone through twice. First the mirror: a mapping whose addresses the page table does not translate as it says, all of them, goes; neighbours that go are one request, which may span
 * what is not mapped, but no mapping that stays. When the device has said that they are gone, the page table: of each leaf, what the mirror has not is mapped, in one piece if that is all of it. So
 *  - nothing is changed that is as it should be, whichever lane has seen to it, and at however many leaves its translation stands now;
 *  - a mapping is never cut, which the device would refuse;
 *  - a request waits for those that it depends on.
 * Other lanes change the page table meanwhile. Each of them comes here with what it has changed, and the lock makes that after.
 *
 * With ranges, the lock is held until all is done, and where the device refuses a mapping, those that were added on this account go again. Everything is done a batch at a time: other lanes
 * go in between, and nothing is undone that may be theirs.
 */
#include "virtio.h"

/* Leaves that are looked at before others may go in between. */
#define LOOKS_MAX 4096u
/* Of one request, so that sizes can be expressed. */
#define RUN_MAX (UINT64_C(1) << 62)

struct work {
	struct vio_domain *domain;
	iog_iova_t next; /* where to begin, or to go on */
	bool more;       /* there is something to go on with: from @next, whatever leaf that lies in */
	bool resumed;    /* and it is gone on with */
	bool open;       /* the last request, or added run, may be extended: nothing that stays has been passed since */
	uint32_t looks;
	int error;
	struct iog_range reach; /* of what has gone: it may have begun before the range, and ended after it */
	/* Added with ranges: to be taken back. What finds no place stays until the page table is reconciled again. */
	bool journals;
	uint32_t nr_added;
	struct iog_range added[IOG_GATHER_RANGES];
};

static uint32_t flags_of(const struct vio_domain *domain, uint32_t prot)
{
	return (prot & IOG_PROT_READ ? MAP_F_READ : 0) | (prot & IOG_PROT_WRITE ? MAP_F_WRITE : 0) |
	       (prot & IOG_PROT_DEVICE && domain->virtio->features & F_MMIO ? MAP_F_MMIO : 0);
}

/* Whether the page table translates all of a mapping as that does. */
struct cover {
	const struct vio_domain *domain;
	iog_iova_t next, last;
	iog_paddr_t paddr; /* of @next */
	uint32_t flags;
	bool whole;
};

static int cover_leaf(iog_iova_t iova, const struct iog_leaf *leaf, void *ctx)
{
	struct cover *cover = ctx;
	uint64_t inside = cover->next - iova, left;

	/* It begins before, or there; and if another one has come since, before its end. */
	if (iova > cover->next || inside >= leaf->page_size || leaf->paddr + inside != cover->paddr || flags_of(cover->domain, leaf->prot) != cover->flags)
		return 1;
	left = leaf->page_size - inside;
	cover->whole = cover->last - cover->next < left;
	cover->next += left;
	cover->paddr += left;
	return cover->whole;
}

static bool is_covered(struct vio_domain *domain, iog_iova_t iova, const struct iog_leaf *leaf)
{
	struct cover cover = { .domain = domain, .next = iova, .last = iova + (leaf->page_size - 1), .paddr = leaf->paddr, .flags = flags_of(domain, leaf->prot) };

	(void)iog_pgtable_reader_visit(domain->reader, cover.next, cover.last, cover_leaf, &cover);
	return cover.whole;
}

/* Stop here; go on at @iova. */
static int pause_at(struct work *work, iog_iova_t iova)
{
	work->next = iova;
	work->more = true;
	return 1;
}

/* A mapping of the mirror. */
static int look_gone(iog_iova_t iova, const struct iog_leaf *leaf, void *ctx)
{
	struct work *work = ctx;
	struct vio_batch *batch = &work->domain->batch;
	struct vio_request *request = batch->n ? &batch->requests[batch->n - 1] : NULL;
	iog_iova_t last = iova + (leaf->page_size - 1);

	if (work->looks++ == LOOKS_MAX)
		return pause_at(work, iova);
	if (is_covered(work->domain, iova, leaf)) {
		work->open = false;
		return 0;
	}
	if (iova < work->reach.first)
		work->reach.first = iova;
	if (last > work->reach.last)
		work->reach.last = last;
	if (!request || !work->open || last - request->first >= RUN_MAX) {
		if (batch->n == BATCH_MAX)
			return pause_at(work, iova);
		request = vio_batch_add(batch, REQ_UNMAP);
		request->domain = work->domain->number;
		request->first = iova;
		work->open = true;
	}
	request->last = last;
	return 0;
}

static void journal(struct work *work, iog_iova_t first, iog_iova_t last)
{
	if (work->open && work->nr_added) {
		work->added[work->nr_added - 1].last = last;
	} else if (work->nr_added < IOG_GATHER_RANGES) {
		work->added[work->nr_added++] = (struct iog_range){ first, last };
		work->open = true;
	}
}

/* A mapping that the device shall have. In the mirror first: that may need memory. */
static int add(struct work *work, iog_iova_t first, iog_iova_t last, iog_paddr_t paddr, uint32_t prot)
{
	struct vio_domain *domain = work->domain;
	struct vio_request *request;

	if (domain->batch.n == BATCH_MAX)
		return pause_at(work, first);
	work->error = iog_virtio_mirror_map(domain, first, last, paddr, prot);
	if (work->error)
		return 1;
	if (work->journals)
		journal(work, first, last);
	request = vio_batch_add(&domain->batch, REQ_MAP);
	request->domain = domain->number;
	request->first = first;
	request->last = last;
	request->paddr = paddr;
	request->flags = flags_of(domain, prot);
	return 0;
}

struct gap {
	bool found; /* a mapping, from @first to @last */
	iog_iova_t first, last;
};

static int gap_end(iog_iova_t iova, const struct iog_leaf *leaf, void *ctx)
{
	struct gap *gap = ctx;

	gap->found = true;
	gap->first = iova;
	gap->last = iova + (leaf->page_size - 1);
	return 1;
}

/* A leaf of the page table: what the mirror has not of it. */
static int look_new(iog_iova_t iova, const struct iog_leaf *leaf, void *ctx)
{
	struct work *work = ctx;
	struct vio_domain *domain = work->domain;
	iog_iova_t last = iova + (leaf->page_size - 1), next = work->resumed && iova < work->next ? work->next : iova;

	if (work->looks++ == LOOKS_MAX)
		return pause_at(work, next);
	for (;;) {
		struct gap gap = { .found = false };
		iog_iova_t end = last;

		(void)iog_pgtable_visit(domain->mirror, 0, next, last, gap_end, &gap);
		if (gap.found && gap.first <= next) {
			work->open = false;
		} else {
			if (gap.found)
				end = gap.first - 1;
			if (next == iova && end == last && !domain->granules)
				return add(work, iova, last, leaf->paddr, leaf->prot);
			for (iog_iova_t at = next;; at += domain->granule) {
				if (add(work, at, at + (domain->granule - 1), leaf->paddr + (at - iova), leaf->prot))
					return 1;
				if (end - at < domain->granule)
					break;
			}
		}
		if (gap.found && gap.first <= next)
			end = gap.last;
		if (end >= last)
			return 0;
		next = end + 1;
	}
}

/*
 * What became of the first @n requests of a batch, by what waiting for them came to. After a time-out whoever looks at the ring takes answers to those that were sent: they are looked at when the batch was
 * settled, and stay in it. An error tells of the first that was refused.
 */
static int batch_apply(struct vio_domain *domain, uint32_t n, int waited)
{
	struct vio_batch *batch = &domain->batch;
	bool open = waited == -IOG_ETIMEDOUT;
	int error = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct vio_request *request = &batch->requests[i];
		bool sent = i < batch->sent, answered = sent && !open && request->state == REQUEST_ANSWERED;

		if (sent && !answered)
			continue;
		/* Mapped is what was mapped and not refused. */
		if ((request->type == REQ_MAP) != (answered && request->status == S_OK))
			iog_virtio_mirror_unmap(domain, request->first, request->last);
		if (answered && !error)
			error = iog_virtio_error(request->status);
	}
	if (!open && !batch->left)
		vio_batch_clear(batch);
	return error;
}

static int batch_do(struct vio_domain *domain)
{
	struct vio_batch *batch = &domain->batch;
	uint32_t n = batch->n, unmaps = 0;
	int error, refused;

	if (!n)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		unmaps += batch->requests[i].type == REQ_UNMAP;
	vio_count(&domain->virtio->count_unmaps, unmaps);
	vio_count(&domain->virtio->count_maps, n - unmaps);
	error = iog_virtio_submit(domain->virtio, batch);
	refused = batch_apply(domain, n, error);
	return error ? error : refused;
}

/* Before anything else: what an earlier call has not waited for to its end. */
static int begin(struct vio_domain *domain)
{
	/* One that lies is not believed even where there is nothing to tell it. */
	int error = domain->told && vio_is_broken(domain->virtio) ? -IOG_EIO : 0;

	if (!error && domain->batch.n) {
		error = iog_virtio_settle(domain->virtio, &domain->batch);
		(void)batch_apply(domain, domain->batch.n, error);
	}
	return error;
}

/* Up to a batch of what is to go, or to come, in [next, last]. */
static int step(struct work *work, iog_iova_t last, bool comes)
{
	struct vio_domain *domain = work->domain;
	int error;

	work->resumed = work->more;
	work->more = false;
	work->looks = 0;
	/* A run goes on where the next batch begins, if that is to be taken back. */
	work->open = work->open && comes;
	iog_pgtable_reader_enter(domain->reader);
	if (comes)
		(void)iog_pgtable_reader_visit(domain->reader, work->next, last, look_new, work);
	else
		(void)iog_pgtable_visit(domain->mirror, 0, work->next, last, look_gone, work);
	iog_pgtable_reader_exit(domain->reader);
	error = batch_do(domain);
	return error ? error : work->error;
}

/* @range grows to what has gone with it. */
static int range_do(struct work *work, struct iog_range *range, bool comes)
{
	int error;

	work->next = range->first;
	work->reach = *range;
	work->open = false;
	do
		error = step(work, range->last, comes);
	while (!error && work->more);
	*range = work->reach;
	return error;
}

/* A mapping was refused: those that came with it go again. Errors are for the next to find. */
static void take_back(struct work *work)
{
	struct vio_domain *domain = work->domain;

	if (domain->batch.n)
		return;
	for (uint32_t i = 0; i < work->nr_added; i++) {
		struct vio_request *request = vio_batch_add(&domain->batch, REQ_UNMAP);

		request->domain = domain->number;
		request->first = work->added[i].first;
		request->last = work->added[i].last;
	}
	(void)batch_do(domain);
}

/* With the lock. */
static int ranges_do(struct vio_domain *domain, const struct iog_gather *gather)
{
	struct work work = { .domain = domain, .journals = true };
	struct iog_range ranges[IOG_GATHER_RANGES];
	int error = begin(domain);

	if (error || !domain->told)
		return error;
	for (uint32_t n = 0; !error && n < gather->nr_ranges; n++) {
		ranges[n] = gather->ranges[n];
		error = range_do(&work, &ranges[n], false);
	}
	for (uint32_t n = 0; !error && n < gather->nr_ranges; n++)
		error = range_do(&work, &ranges[n], true);
	if (error && work.nr_added)
		take_back(&work);
	return error;
}

static int all_pass(struct vio_domain *domain, bool comes)
{
	const struct iog_platform *platform = domain->virtio->platform;
	struct work work = { .domain = domain };
	int error;

	do {
		uintptr_t flags = spin_lock(&domain->lock, platform);

		error = begin(domain);
		if (!error && domain->told)
			error = step(&work, UINT64_MAX, comes);
		else
			work.more = false;
		spin_unlock(&domain->lock, platform, flags);
	} while (!error && work.more);
	return error;
}

int iog_virtio_reconcile_all(struct vio_domain *domain)
{
	int error = all_pass(domain, false);

	return error ? error : all_pass(domain, true);
}

int iog_virtio_invalidate(struct iog_unit *unit, uint32_t id, const struct iog_gather *gather)
{
	struct vio_domain *domain = iog_virtio_domain(vio_of(unit), id);
	int error;

	if (!domain)
		return -IOG_EIO;
	if (!gather || gather->everything) {
		error = iog_virtio_reconcile_all(domain);
	} else {
		uintptr_t flags = spin_lock(&domain->lock, unit->platform);

		error = ranges_do(domain, gather);
		spin_unlock(&domain->lock, unit->platform, flags);
	}
	return !error || error == -IOG_ETIMEDOUT ? error : -IOG_EIO;
}

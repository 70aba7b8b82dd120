/* SPDX-License-Identifier: MIT */
/*
 * See held.h.
 *
 * Modes may change meanwhile, and the policy reads the mode for itself. What is not certain to have been unmapped by a mode that needs no flush waits for one: so an unmapping under
 * which the mode changes holds its memory, whatever it was and is.
 */
#include "../inval/gather.h"
#include "../pgtable/pgtable.h"
#include "flush.h"
#include "held.h"
#include "map.h"
#include "ring.h"

/* Credit that a lane takes beyond its need, so that it seldom has to. */
#define CREDIT_STEP (UINT64_C(256) << 10)

/* ---- the ring ---- */

/* Inside the gate, as the rest here. */
static void put_call(struct domain_lane *lane, void (*release)(void *ctx), void *ctx)
{
	(void)ring_put(lane, &(struct deferred_entry){ .release = release, .ctx = ctx, .marks = DEFERRED_CALL });
}

/* Waits no longer; size 0: nothing. */
static void give_piece(struct domain_lane *lane, const struct held_piece *piece)
{
	uint64_t bytes;

	if (!piece->size)
		return;
	bytes = atomic_load_explicit(&lane->held_bytes, memory_order_relaxed) - piece->size;
	atomic_store_explicit(&lane->held_bytes, bytes, memory_order_relaxed);
	if (!bytes)
		held_credit_return(lane);
	held_give(lane->domain, piece->paddr, piece->size);
}

/* Neighbours are one piece. */
static uint32_t drain_memory(struct domain_lane *lane, uint32_t most)
{
	const struct iog_domain *domain = lane->domain;
	const struct deferred_entry *entry = &lane->deferred[lane->head], *end = &lane->deferred[domain->ring_size];
	struct held_piece piece = { .size = 0 };
	uint32_t n;

	for (n = 0; n < most && entry->marks == DEFERRED_MEMORY; n++) {
		if (entry->paddr != piece.paddr + piece.size) {
			give_piece(lane, &piece);
			piece = (struct held_piece){ .paddr = entry->paddr };
		}
		piece.size += entry->size;
		if (++entry == end)
			entry = lane->deferred;
	}
	lane->head = (uint32_t)(entry - lane->deferred);
	ring_set_nr(lane, ring_nr(lane) - n);
	give_piece(lane, &piece);
	return n;
}

uint32_t iog_held_drain(struct domain_lane *lane, uint32_t most)
{
	uint32_t n = 0, some;

	held_note_most(lane);
	do {
		some = drain_memory(lane, most - n);
		if (n + some < most && lane->deferred[lane->head].marks & DEFERRED_CALL) {
			const struct deferred_entry entry = ring_get(lane);

			entry.release(entry.ctx);
			some++;
		}
		n += some;
	} while (some && n < most);
	return n;
}

void iog_held_stats(const struct domain_lane *lane, struct iog_domain_stats *stats)
{
	uint64_t bytes = atomic_load_explicit(&lane->held_bytes, memory_order_relaxed), most = atomic_load_explicit(&lane->held_bytes_most, memory_order_relaxed);
	uint32_t nr = held_nr(lane), nr_most = atomic_load_explicit(&lane->held_entries_most, memory_order_relaxed);

	stats->held_bytes += bytes;
	stats->held_bytes_most += bytes > most ? bytes : most;
	stats->held_entries += nr;
	stats->held_entries_most += nr > nr_most ? nr : nr_most;
}

static bool credit_add(struct domain_lane *lane, uint64_t bytes)
{
	struct iog_domain *domain = lane->domain;
	uint64_t taken = atomic_load_explicit(&domain->held_credit, memory_order_relaxed);

	do {
		if (bytes > domain->held_max || taken > domain->held_max - bytes)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&domain->held_credit, &taken, taken + bytes, memory_order_relaxed, memory_order_relaxed));
	lane->held_credit += bytes;
	return true;
}

static bool credit_take(struct domain_lane *lane, uint64_t size)
{
	uint64_t need = atomic_load_explicit(&lane->held_bytes, memory_order_relaxed) + size - lane->held_credit;

	return held_has_credit(lane, size) || credit_add(lane, need > CREDIT_STEP ? need : CREDIT_STEP) || credit_add(lane, need);
}

/* May so many bytes wait here? If not at once then after a flush, and what it lets go. */
static bool credit_get(struct domain_lane *lane, uint64_t size)
{
	int error = 0;

	if (iog_likely(held_has_credit(lane, size)) || credit_take(lane, size))
		return true;
	if (!atomic_load_explicit(&lane->held_bytes, memory_order_relaxed) || iog_domain_flush_lane(lane))
		return false;
	/* No more than room is made for. */
	for (uint32_t left = HELD_PLACES - DRAIN_STEP; !credit_take(lane, size); left -= left < DRAIN_STEP ? left : DRAIN_STEP)
		if (!iog_domain_drain(lane, lane, left < DRAIN_STEP ? left : DRAIN_STEP, &error) || error)
			return false;
	return true;
}

/* What was meant to wait does not. */
static void credit_unused(struct domain_lane *lane)
{
	uintptr_t flags = domain_lane_enter(lane);

	if (!atomic_load_explicit(&lane->held_bytes, memory_order_relaxed))
		held_credit_return(lane);
	domain_lane_exit(lane, flags);
}

/* ---- pieces ---- */

struct collection {
	iog_iova_t run; /* that is being unmapped: all of it */
	struct held_piece *pieces;
	uint32_t max;
	uint32_t nr;
	iog_iova_t first;
	iog_iova_t last;
	iog_iova_t end; /* the last address that was looked at: @last unless there was a piece too many */
	uint64_t bytes;
};

static int collect_leaf(iog_iova_t iova, const struct iog_leaf *leaf, void *ctx)
{
	struct collection *found = ctx;
	struct held_piece *piece = &found->pieces[found->nr];
	iog_iova_t first = iova > found->first ? iova : found->first, last = iova + (leaf->page_size - 1);
	iog_paddr_t paddr = leaf->paddr + (first - iova);
	uint64_t size = (last < found->last ? last : found->last) - first + 1;

	if (found->nr && piece[-1].paddr + piece[-1].size == paddr) {
		piece[-1].size += size;
	} else {
		if (found->nr == found->max) {
			found->end = first - 1;
			return 1;
		}
		*piece = (struct held_piece){ paddr, size };
		found->nr++;
	}
	found->bytes += size;
	return 0;
}

/* The memory of [first, last], as it is mapped. False if there are too many pieces: those up to @end. Nothing without hold ops. */
static bool collect(struct domain_lane *lane, struct collection *found)
{
	found->end = found->last;
	found->nr = 0;
	found->bytes = 0;
	return !lane->domain->hold || !iog_pgtable_visit(lane->domain->pgtable, lane->lane, found->first, found->last, collect_leaf, found);
}

static void give_pieces(const struct iog_domain *domain, const struct collection *found)
{
	for (uint32_t n = 0; n < found->nr; n++)
		held_give(domain, found->pieces[n].paddr, found->pieces[n].size);
}

static int count_leaf(iog_iova_t iova, const struct iog_leaf *leaf, void *ctx)
{
	struct collection *left = ctx;
	iog_iova_t first = iova > left->first ? iova : left->first, last = iova + (leaf->page_size - 1);

	left->bytes += (last < left->last ? last : left->last) - first + 1;
	return 0;
}

/* The bytes of the pieces that were cleared. Clearing goes upwards: what is still mapped is behind. Of what others may map there meanwhile, the entries do not tell. */
static uint64_t bytes_cleared(const struct domain_lane *lane, const struct collection *found)
{
	struct collection left = { .first = found->first, .last = found->end };

	(void)iog_pgtable_visit(lane->domain->pgtable, lane->lane, left.first, left.last, count_leaf, &left);
	return found->bytes - left.bytes;
}

/* Pieces without what lies behind the first @bytes. */
static void pieces_cut(struct collection *found, uint64_t bytes)
{
	uint32_t n;

	for (n = 0; n < found->nr && bytes; n++) {
		if (found->pieces[n].size > bytes)
			found->pieces[n].size = bytes;
		bytes -= found->pieces[n].size;
	}
	found->nr = n;
}

/* Whether the unmapping of the run broke off: what is left of it is finished when the ring comes to it, and is released then. */
static bool broke_off(struct domain_lane *lane, iog_iova_t run)
{
	for (uint32_t n = 0; n < ring_nr(lane); n++) {
		struct deferred_entry *entry = ring_at(lane, n);

		if (entry->marks & DEFERRED_MAPPED && entry->iova == run) {
			entry->marks |= DEFERRED_REST_HELD;
			return true;
		}
	}
	return false;
}

/* Over the bound, if it must be. */
static void put_memory_anyway(struct domain_lane *lane, iog_paddr_t paddr, uint64_t size)
{
	if (!held_has_credit(lane, size)) {
		lane->held_credit += size;
		atomic_fetch_add_explicit(&lane->domain->held_credit, size, memory_order_relaxed);
	}
	held_put(lane, paddr, size);
}

void iog_held_undo(struct domain_lane *lane, iog_paddr_t paddr, uint64_t size)
{
	uintptr_t flags;

	if (!size)
		return;
	if (!lane->unheard) {
		held_give(lane->domain, paddr, size);
		return;
	}
	flags = domain_lane_enter(lane);
	/* There is: whoever set @unheard had made room. */
	if (ring_nr(lane) < lane->domain->ring_size)
		put_memory_anyway(lane, paddr, size);
	domain_lane_exit(lane, flags);
}

/* An unmapping has failed: pieces of what it has cleared wait. What is still mapped is released when it has been finished (iog_held_unmap_lot()). */
static void pieces_later(struct domain_lane *lane, struct collection *found)
{
	if (lane->domain->hold && broke_off(lane, found->run))
		pieces_cut(found, bytes_cleared(lane, found));
	for (uint32_t n = 0; n < found->nr; n++)
		put_memory_anyway(lane, found->pieces[n].paddr, found->pieces[n].size);
}

/* ---- unmapping ---- */

struct how {
	uint32_t mode;
	uint32_t changes;
};

static struct how how_now(const struct iog_domain *domain)
{
	struct how how;

	/* Acquire: the mode is not an older one; pairs with the last store in iog_domain_set_mode(). */
	how.changes = atomic_load_explicit(&domain->mode_changes, memory_order_acquire);
	how.mode = atomic_load_explicit(&domain->mode, memory_order_relaxed);
	return how;
}

/* The mode that the policy has seen since: held, if that is not certain. */
static uint32_t how_since(const struct iog_domain *domain, struct how how)
{
	/* What the policy read comes before; pairs with the fence in iog_domain_set_mode(). */
	atomic_thread_fence(memory_order_acquire);
	return !(how.changes & 1) && atomic_load_explicit(&domain->mode_changes, memory_order_relaxed) == how.changes ? how.mode : IOG_INVAL_HELD;
}

static void set_settling(struct domain_lane *lane, bool settling)
{
	atomic_store_explicit(&lane->settling, settling, memory_order_relaxed);
}

/* The entries are gone, as @error says. The address was queued before, if it had to be; if it is only partly unmapped it stays there until this is over. */
static int settle(struct domain_lane *lane, struct collection *found, uint32_t mode, int error, void (*release)(void *ctx), void *ctx)
{
	bool pieces_wait = error || mode == IOG_INVAL_HELD, call_waits = error || mode != IOG_INVAL_STRICT;
	uintptr_t flags;

	if (!pieces_wait)
		give_pieces(lane->domain, found);
	if (release && !call_waits)
		release(ctx);
	if (!(pieces_wait && found->nr) && !(release && call_waits)) {
		set_settling(lane, false);
		return error;
	}

	flags = domain_lane_enter(lane);
	if (pieces_wait && error)
		pieces_later(lane, found);
	else if (pieces_wait)
		for (uint32_t n = 0; n < found->nr; n++)
			held_put(lane, found->pieces[n].paddr, found->pieces[n].size);
	if (release && call_waits)
		put_call(lane, release, ctx);
	set_settling(lane, false);
	if (!error && ring_is_full(lane))
		error = iog_domain_flush_lane(lane);
	domain_lane_exit(lane, flags);
	return error;
}

struct whole {
	iog_iova_t next;
	iog_iova_t last;
};

static int whole_leaf(iog_iova_t iova, const struct iog_leaf *leaf, void *ctx)
{
	struct whole *whole = ctx;

	if (iova > whole->next)
		return 1;
	whole->next = iova + leaf->page_size;
	return 0;
}

static bool is_whole(struct domain_lane *lane, iog_iova_t iova, uint64_t size)
{
	struct whole whole = { iova, iova + (size - 1) };

	return !iog_pgtable_visit(lane->domain->pgtable, lane->lane, iova, whole.last, whole_leaf, &whole) && whole.next - 1 >= whole.last;
}

/* Too many pieces to wait: hardware forgets each lot before its memory is released, whatever the mode. */
static int unmap_by_lots(struct domain_lane *lane, iog_iova_t iova, uint64_t size, bool holes, void (*release)(void *ctx), void *ctx)
{
	const struct iog_policy *policy = lane->domain->policy;
	struct collection found = { .run = iova, .pieces = lane->pieces, .max = HELD_PIECES, .first = iova, .last = iova + (size - 1) };
	int error;

	if (!holes && !is_whole(lane, iova, size)) {
		set_settling(lane, false);
		return -IOG_ENOENT;
	}
	for (;;) {
		(void)collect(lane, &found);
		error = policy->clear(lane, found.first, found.end - found.first + 1);
		if (error || found.end == found.last)
			break;
		give_pieces(lane->domain, &found);
		found.first = found.end + 1;
	}
	if (error) {
		(void)iog_dma_put_run(lane, iova, size, error);
		return settle(lane, &found, IOG_INVAL_STRICT, error, release, ctx);
	}
	error = policy->free(lane, iova, size);
	(void)settle(lane, &found, IOG_INVAL_STRICT, 0, release, ctx);
	return error;
}

void iog_held_take_back(struct domain_lane *lane, iog_iova_t iova, uint64_t size)
{
	set_settling(lane, true);
	(void)unmap_by_lots(lane, iova, size, true, NULL, NULL);
}

void iog_held_later(struct domain_lane *lane, void (*release)(void *ctx), void *ctx)
{
	uintptr_t flags = domain_lane_enter(lane);

	put_call(lane, release, ctx);
	domain_lane_exit(lane, flags);
}

static __attribute__((noinline)) int unmap_run(struct domain_lane *lane, iog_iova_t iova, uint64_t size, bool holes, void (*release)(void *ctx), void *ctx)
{
	struct iog_domain *domain = lane->domain;
	const struct iog_policy *policy = domain->policy;
	struct how how = how_now(domain);
	struct collection found = { .run = iova, .pieces = lane->pieces, .max = HELD_PIECES, .first = iova, .last = iova + (size - 1) };
	bool credit = true;
	uint32_t mode;
	uintptr_t flags;
	int error;

	flags = domain_lane_enter(lane);
	error = iog_domain_make_room(lane);
	if (!error && domain->hold && how.mode == IOG_INVAL_HELD)
		credit = credit_get(lane, size);
	if (!error)
		set_settling(lane, true);
	/* A flush for credit that fails gives nothing back, but takes no place either. */
	domain_lane_exit(lane, flags);
	if (error)
		return error;
	if (!collect(lane, &found)) {
		error = unmap_by_lots(lane, iova, size, holes, release, ctx);
		credit_unused(lane);
		return error;
	}
	error = holes ? policy->free(lane, iova, size) : policy->unmap(lane, iova, size);
	if (dma_refused(error)) {
		set_settling(lane, false);
		credit_unused(lane);
		return error;
	}
	mode = how_since(domain, how);
	if (!error && mode == IOG_INVAL_HELD && (!credit || how.mode != IOG_INVAL_HELD)) {
		/* More than may be held: it waits for hardware here. */
		error = iog_domain_flush_step(lane);
		mode = IOG_INVAL_STRICT;
	}
	error = settle(lane, &found, mode, error, release, ctx);
	if (how.mode == IOG_INVAL_HELD && (error || mode != how.mode))
		credit_unused(lane);
	return error;
}

/* Entries that come between two looks at those that wait: what each of their calls would have given back goes in one. */
#define LOOK_EVERY (DRAIN_STEP / DRAIN_FEW)

/* If a flush is due, it gives back as much as a look does otherwise. */
static __attribute__((noinline)) int look(struct domain_lane *lane)
{
	uint32_t most = lane->domain->deferred_entries, nr;
	int error = 0;

	if (lazy_left(lane))
		(void)iog_domain_drain(lane, lane, DRAIN_STEP, &error);
	else if (iog_domain_flush_lane(lane))
		return -IOG_EAGAIN;
	error = iog_domain_make_room(lane);
	nr = ring_nr(lane);
	if (lane->nr_waiting)
		lane->held_look = nr + LOOK_EVERY;
	else
		lane->held_look = nr < most / 2 ? most / 2 : most;
	if (lane->held_look > most)
		lane->held_look = most;
	return error;
}

static uint32_t less(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* No page may be held at once, then: may one after a look, with more credit, after a flush that is due? */
static bool get_ready(struct domain_lane *lane, uint64_t size)
{
	uintptr_t flags = domain_lane_enter(lane);
	uint64_t credit;
	uint32_t pages = 0;

	if (((lazy_left(lane) && ring_nr(lane) < lane->held_look) || !look(lane)) && credit_take(lane, size)) {
		credit = (lane->held_credit - atomic_load_explicit(&lane->held_bytes, memory_order_relaxed)) / size;
		pages = less(less(lane->held_look - ring_nr(lane), lazy_left(lane)), credit < UINT32_MAX ? (uint32_t)credit : UINT32_MAX);
		atomic_store_explicit(&lane->held_pages, pages, memory_order_relaxed);
	}
	domain_lane_exit(lane, flags);
	return pages;
}

int iog_held_unmap(struct domain_lane *lane, iog_iova_t iova, uint64_t size, bool holes, void (*release)(void *ctx), void *ctx)
{
	const struct iog_domain *domain = lane->domain;
	bool ready = size == domain->granule && !release && domain_holds_pages(domain) && get_ready(lane, size);
	int error;

	if (ready && domain->policy->unmap_held(lane, iova))
		return 0;
	error = unmap_run(lane, iova, size, holes, release, ctx);
	/* The mode may be another by now, and then nothing waits. */
	if (ready)
		credit_unused(lane);
	return error;
}

static void lot_give(struct domain_lane *lane)
{
	for (uint32_t n = 0; n < lane->lot_nr; n++)
		held_give(lane->domain, lane->lot[n].paddr, lane->lot[n].size);
	lane->lot_nr = 0;
}

int iog_held_unmap_lot(struct domain_lane *lane, struct domain_lane *from, bool *more)
{
	const struct deferred_entry *entry = ring_at(from, 0);
	struct collection found = { .pieces = from->lot, .max = REST_PIECES, .first = entry->iova, .last = entry->iova + (entry->size - 1) };
	bool is_held = entry->marks & DEFERRED_REST_HELD;
	uint64_t unmapped = 0;
	int error = 0;

	/* What was cleared may be in another lane's gather. */
	if (from->lot_failed)
		error = iog_domain_flush_units(lane);
	if (error)
		return error;
	from->lot_failed = false;
	lot_give(from);
	found.end = found.last;
	*more = is_held && !collect(lane, &found);
	error = iog_pgtable_unmap(lane->domain->pgtable, found.first, found.end - found.first + 1, &lane->gather, &unmapped);
	if (!error)
		error = iog_gather_flush(&lane->gather);
	if (is_held && error)
		pieces_cut(&found, bytes_cleared(lane, &found));
	from->lot_nr = found.nr;
	from->lot_failed = error;
	if (error)
		return error;
	lot_give(from);
	return unmapped ? DRAIN_STEP : 1;
}

static int give_leaf(iog_iova_t iova, const struct iog_leaf *leaf, void *ctx)
{
	(void)iova;
	held_give(ctx, leaf->paddr, leaf->page_size);
	return 0;
}

void iog_held_fini(struct iog_domain *domain)
{
	for (uint32_t n = 0; n < domain->lanes_count; n++) {
		struct domain_lane *lane = &domain->lanes[n];

		lot_give(lane);
		while (ring_nr(lane)) {
			struct deferred_entry entry;

			if (iog_held_drain(lane, ring_nr(lane)))
				continue;
			entry = ring_get(lane);
			/* A run is made of whole leaves. */
			if (entry.marks & DEFERRED_REST_HELD)
				(void)iog_pgtable_visit(domain->pgtable, lane->lane, entry.iova, entry.iova + (entry.size - 1), give_leaf, domain);
		}
	}
}

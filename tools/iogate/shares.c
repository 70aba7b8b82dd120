/* SPDX-License-Identifier: MIT */
/*
 * See shares.h.
 */
#include "shares.h"

#include <stdlib.h>

#include "memory.h"
#include "size.h"

void shares_init(struct shares *shares, struct iog_sim_domain *seen, bool counted)
{
	*shares = (struct shares){ .seen = seen, .counted = counted };
	pthread_mutex_init(&shares->mutex, NULL);
	users_init(&shares->users);
	users_init(&shares->leavers);
}

void shares_fini(struct shares *shares)
{
	pthread_mutex_destroy(&shares->mutex);
	users_fini(&shares->users);
	users_fini(&shares->leavers);
	free(shares->others.list);
}

static void add(struct tickets *tickets, struct leaving leaving)
{
	if (tickets->count == tickets->room) {
		tickets->room = tickets->room ? tickets->room * 2 : 64;
		tickets->list = memory_resize(tickets->list, tickets->room, sizeof(*tickets->list));
	}
	tickets->list[tickets->count++] = leaving;
}

/* @tickets: of an unmap; NULL: a map. */
static void tell(struct shares *shares, uint64_t iova, uint64_t paddr, uint64_t size, uint32_t prot, struct tickets *tickets)
{
	if (!size)
		return;
	if (!tickets) {
		iog_sim_note_map(shares->seen, iova, paddr, size, prot);
		return;
	}
	add(tickets, (struct leaving){ iova, size, iog_sim_note_unmap(shares->seen, iova, size) });
}

/* The stretches whose count has changed between nobody and one, as long as they go. Returns whether the first page is among them. */
static bool change(struct shares *shares, uint64_t iova, uint64_t paddr, uint64_t size, uint32_t prot, struct tickets *tickets)
{
	uint64_t begin = 0, at;
	bool first = false, changed;

	if (!shares->counted) {
		tell(shares, iova, paddr, size, prot, tickets);
		return true;
	}
	pthread_mutex_lock(&shares->mutex);
	for (at = 0; at < size; at += SIZE_4K) {
		changed = users_change(&shares->users, (iova + at) / SIZE_4K, !tickets);
		if (tickets)
			users_change(&shares->leavers, (iova + at) / SIZE_4K, true);
		first |= changed && !at;
		if (changed)
			continue;
		tell(shares, iova + begin, paddr + begin, at - begin, prot, tickets);
		if (tickets)
			add(tickets, (struct leaving){ iova + at, SIZE_4K, 0 });
		begin = at + SIZE_4K;
	}
	tell(shares, iova + begin, paddr + begin, at - begin, prot, tickets);
	pthread_mutex_unlock(&shares->mutex);
	return first;
}

void shares_map(struct shares *shares, uint64_t iova, uint64_t paddr, uint64_t size, uint32_t prot)
{
	change(shares, iova, paddr, size, prot, NULL);
}

bool shares_unmap(struct shares *shares, uint64_t iova, uint64_t size, struct tickets *tickets)
{
	return change(shares, iova, 0, size, 0, tickets);
}

static bool has_left(const struct shares *shares, const struct leaving *leaving)
{
	for (uint64_t at = 0; at < leaving->size; at += SIZE_4K) {
		if (users_of(&shares->leavers, (leaving->iova + at) / SIZE_4K))
			return false;
	}
	return true;
}

void shares_returned(struct shares *shares, struct tickets *tickets, struct iog_sim *sim)
{
	struct tickets *others = &shares->others;
	uint32_t kept = 0;

	if (!shares->counted) {
		for (uint32_t i = 0; i < tickets->count; i++)
			iog_sim_note_unmapped(sim, tickets->list[i].ticket);
		tickets->count = 0;
		return;
	}
	pthread_mutex_lock(&shares->mutex);
	for (uint32_t i = 0; i < tickets->count; i++) {
		const struct leaving *leaving = &tickets->list[i];

		for (uint64_t at = 0; at < leaving->size; at += SIZE_4K)
			users_change(&shares->leavers, (leaving->iova + at) / SIZE_4K, false);
		if (leaving->ticket)
			add(others, *leaving);
	}
	tickets->count = 0;
	for (uint32_t i = 0; i < others->count; i++) {
		if (has_left(shares, &others->list[i]))
			iog_sim_note_unmapped(sim, others->list[i].ticket);
		else
			others->list[kept++] = others->list[i];
	}
	others->count = kept;
	pthread_mutex_unlock(&shares->mutex);
}

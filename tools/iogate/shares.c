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
}

void shares_fini(struct shares *shares)
{
	pthread_mutex_destroy(&shares->mutex);
	users_fini(&shares->users);
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
	if (tickets->count == tickets->room) {
		tickets->room = tickets->room ? tickets->room * 2 : 64;
		tickets->list = memory_resize(tickets->list, tickets->room, sizeof(*tickets->list));
	}
	tickets->list[tickets->count++] = iog_sim_note_unmap(shares->seen, iova, size);
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
		first |= changed && !at;
		if (changed)
			continue;
		tell(shares, iova + begin, paddr + begin, at - begin, prot, tickets);
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

void tickets_returned(struct tickets *tickets, struct iog_sim *sim)
{
	for (uint32_t i = 0; i < tickets->count; i++)
		iog_sim_note_unmapped(sim, tickets->list[i]);
	tickets->count = 0;
}

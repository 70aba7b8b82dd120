/* SPDX-License-Identifier: MIT */
/*
 * See shares.h. A hash table with linear probing; pages whose last user has gone stay in it, and are dropped when it grows.
 */
#include "shares.h"

#include <stdlib.h>

#include "memory.h"
#include "size.h"

void shares_init(struct shares *shares, struct iog_sim_domain *seen, bool counted)
{
	*shares = (struct shares){ .seen = seen, .counted = counted };
	pthread_mutex_init(&shares->mutex, NULL);
	if (counted) {
		shares->room = 4096;
		shares->table = memory_new(shares->room, sizeof(*shares->table));
	}
}

void shares_fini(struct shares *shares)
{
	pthread_mutex_destroy(&shares->mutex);
	free(shares->table);
}

static struct share *find(const struct shares *shares, uint64_t page)
{
	uint64_t at = (page * UINT64_C(0x9e3779b97f4a7c15)) >> 20;

	while (shares->table[at & (shares->room - 1)].page && shares->table[at & (shares->room - 1)].page != page + 1)
		at++;
	return &shares->table[at & (shares->room - 1)];
}

static void grow(struct shares *shares)
{
	struct share *former = shares->table;
	uint64_t room = shares->room, used = 0;

	for (uint64_t i = 0; i < room; i++)
		used += former[i].users != 0;
	while (used * 4 > shares->room)
		shares->room *= 2;
	shares->table = memory_new(shares->room, sizeof(*shares->table));
	shares->used = used;
	for (uint64_t i = 0; i < room; i++) {
		if (former[i].users)
			*find(shares, former[i].page - 1) = former[i];
	}
	free(former);
}

/* A user more or less. Returns whether it is the only one now, or nobody. */
static bool count(struct shares *shares, uint64_t page, bool more)
{
	struct share *share = find(shares, page);

	if (!share->page) {
		if (shares->used * 2 >= shares->room) {
			grow(shares);
			share = find(shares, page);
		}
		share->page = page + 1;
		shares->used++;
	}
	share->users += more ? 1 : UINT32_MAX;
	return share->users == (more ? 1 : 0);
}

static void tell(struct shares *shares, uint64_t iova, uint64_t paddr, uint64_t size, uint32_t prot, bool more)
{
	if (!size)
		return;
	if (more)
		iog_sim_note_map(shares->seen, iova, paddr, size, prot);
	else
		iog_sim_note_unmap(shares->seen, iova, size);
}

/* The stretches whose count has changed between nobody and one, as long as they go. Returns whether the first page is among them. */
static bool change(struct shares *shares, uint64_t iova, uint64_t paddr, uint64_t size, uint32_t prot, bool more)
{
	uint64_t begin = 0, at;
	bool first = false, changed;

	if (!shares->counted) {
		tell(shares, iova, paddr, size, prot, more);
		return true;
	}
	pthread_mutex_lock(&shares->mutex);
	for (at = 0; at < size; at += SIZE_4K) {
		changed = count(shares, (iova + at) / SIZE_4K, more);
		first |= changed && !at;
		if (changed)
			continue;
		tell(shares, iova + begin, paddr + begin, at - begin, prot, more);
		begin = at + SIZE_4K;
	}
	tell(shares, iova + begin, paddr + begin, at - begin, prot, more);
	pthread_mutex_unlock(&shares->mutex);
	return first;
}

void shares_map(struct shares *shares, uint64_t iova, uint64_t paddr, uint64_t size, uint32_t prot)
{
	change(shares, iova, paddr, size, prot, true);
}

bool shares_unmap(struct shares *shares, uint64_t iova, uint64_t size)
{
	return change(shares, iova, 0, size, 0, false);
}

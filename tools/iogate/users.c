/* SPDX-License-Identifier: MIT */
/*
 * See users.h.
 */
#include "users.h"

#include <stdlib.h>

#include "memory.h"

#define ROOM 4096

void users_init(struct users *users)
{
	*users = (struct users){ .room = ROOM };
	users->table = memory_new(users->room, sizeof(*users->table));
}

void users_fini(struct users *users)
{
	free(users->table);
}

static struct page_users *find(const struct users *users, uint64_t page)
{
	uint64_t at = (page * UINT64_C(0x9e3779b97f4a7c15)) >> 20;

	while (users->table[at & (users->room - 1)].page && users->table[at & (users->room - 1)].page != page + 1)
		at++;
	return &users->table[at & (users->room - 1)];
}

static void grow(struct users *users)
{
	struct page_users *former = users->table;
	uint64_t room = users->room, used = 0;

	for (uint64_t i = 0; i < room; i++)
		used += former[i].users != 0;
	while (used * 4 > users->room)
		users->room *= 2;
	users->table = memory_new(users->room, sizeof(*users->table));
	users->used = used;
	for (uint64_t i = 0; i < room; i++) {
		if (former[i].users)
			*find(users, former[i].page - 1) = former[i];
	}
	free(former);
}

bool users_change(struct users *users, uint64_t page, bool more)
{
	struct page_users *found = find(users, page);

	if (!found->page) {
		if (users->used * 2 >= users->room) {
			grow(users);
			found = find(users, page);
		}
		found->page = page + 1;
		users->used++;
	}
	found->users += more ? 1 : UINT32_MAX;
	return found->users == (more ? 1 : 0);
}

uint32_t users_of(const struct users *users, uint64_t page)
{
	return find(users, page)->users;
}

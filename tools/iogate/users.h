/* SPDX-License-Identifier: MIT */
/*
 * How many users each of many pages has: a hash table with linear probing. Pages whose last user has gone stay in it, and are dropped when it grows.
 *
 * Not locked.
 */
#ifndef IOGATE_TOOL_USERS_H
#define IOGATE_TOOL_USERS_H

#include <stdbool.h>
#include <stdint.h>

struct page_users {
	uint64_t page; /* number + 1; 0: no page */
	uint32_t users;
};

struct users {
	struct page_users *table;
	uint64_t room; /* a power of two */
	uint64_t used;
};

void users_init(struct users *users);
void users_fini(struct users *users);

/* A user more or less of a page, by its number. Returns whether it is the only one now, or nobody. */
bool users_change(struct users *users, uint64_t page, bool more);

/* How many users a page has. */
uint32_t users_of(const struct users *users, uint64_t page);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Entries of several words that say what a device is subject to (SMMUv3's stream table entry, RISC-V's device context), and how one becomes another
 * while hardware uses it.
 *
 * Hardware reads an entry in words of 64 bits, in any order and at any time, and may remember it until it is told to forget. So an entry changes by
 * steps, between which hardware has forgotten the entry before: what it reads in the middle of a step is the entry before or the entry after, as long
 * as a step changes one word of those that it looks at. What it does not look at, given the entry's kind, may change at any time:
 *
 *   1. bits that the present kind does not look at become the new entry's
 *   2. the one word that differs in bits that both look at is stored: from now on the device is subject to the new entry
 *   3. bits that the new kind does not look at become the new entry's
 * When 2 would be more than one word, the entry cannot change in place.
 */
#ifndef IOG_HW_ENTRY_H
#define IOG_HW_ENTRY_H

#include <stdint.h>

#define ENTRY_WORDS_MAX 8u

struct entry {
	uint64_t words[ENTRY_WORDS_MAX];
};

struct entry_kind {
	uint32_t words;
	/* Bits of a word that hardware looks at in an entry of this kind. */
	uint64_t (*looked_at)(const void *driver, const struct entry *entry, uint32_t word);
	/* Store the words of a set, bit n for word n, one by one, and have the former ones forgotten. */
	int (*step)(void *driver, uint32_t device, const struct entry *entry, uint32_t words);
};

/* Words that have to change at one moment. In place is possible with one bit set at most. */
uint32_t iog_entry_at_once(const struct entry_kind *kind, const void *driver, const struct entry *from, const struct entry *to);

/* Steps 1 to 3. Return: 0, or what a step returned. */
int iog_entry_change(const struct entry_kind *kind, void *driver, uint32_t device, const struct entry *from, const struct entry *to);

#endif

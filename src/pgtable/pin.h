/* SPDX-License-Identifier: MIT */
/*
 * Pins: a run of level-0 entries whose table stays linked, so that they are written without a walk and without counting.
 *
 * A pinned entry counts as live whether it is present or not:
 *
 *   count of a table = entries that are not empty, outside pins + entries inside pins
 *
 * so that the table is not empty before the last pin is gone, and is not merged. Entries in a pin are changed through the pin only; lookup and visit see them as any other.
 */
#ifndef IOG_PGTABLE_PIN_H
#define IOG_PGTABLE_PIN_H

#include "pgtable.h"

struct iog_pin {
	iog_entry_t *entries; /* the first of the run */
	struct iog_table *table;
};

/**
 * iog_pgtable_pin() - pin a run of entries, all empty, all of one table.
 * @pt: the page table.
 * @gather: of the caller's lane; nothing is added to it.
 * @iova: address of the first; not of the upper half of a sign-extended space.
 * @n: entries.
 * @pin: result.
 *
 * Context: the gather's lane; may take tables from the platform; does not wait for hardware.
 * Return: 0; -IOG_ERANGE for addresses beyond the page table; -IOG_EINVAL for a run that is misaligned or crosses tables; -IOG_EEXIST if a larger leaf is mapped there;
 *         -IOG_EBUSY while dirty bits are tracked; -IOG_ENOMEM.
 */
int iog_pgtable_pin(struct iog_pgtable *pt, struct iog_gather *gather, iog_iova_t iova, uint32_t n, struct iog_pin *pin);

/**
 * iog_pgtable_unpin() - let a run go, of which no entry is present.
 * @pt: the page table.
 * @gather: of the caller's lane; receives the tables that this lane's empty list is relieved of when it is full. Flushed when it has no room.
 * @pin: the pin.
 * @n: its entries.
 *
 * Context: the gather's lane, which need not be the one that pinned; may wait for hardware.
 * Return: 0; what the flush returned: the pin is gone all the same.
 */
int iog_pgtable_unpin(struct iog_pgtable *pt, struct iog_gather *gather, const struct iog_pin *pin, uint32_t n);

/* Map @n pages into pinned entries from @slot on. All or nothing. Return: as iog_pgtable_map(). */
static inline int pin_map(struct iog_pgtable *pt, iog_entry_t *slot, uint64_t paddr, uint32_t n, uint32_t prot)
{
	return pt->ops->pin_map(pt, slot, paddr, n, prot);
}

/* Clear @n pinned entries from @slot on. Without @holes, 0 and nothing changed unless all are present. Return: how many were. */
static inline uint32_t pin_unmap(struct iog_pgtable *pt, iog_entry_t *slot, uint32_t n, bool holes)
{
	return pt->ops->pin_unmap(pt, slot, n, holes);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What the parts of a rig (rig.c, others.c) want of each other.
 */
#ifndef IOG_TESTS_INVAL_RIG_INSIDE_H
#define IOG_TESTS_INVAL_RIG_INSIDE_H

#include "rig.h"

/* Pages that are nobody's, one after the other; a mapping takes its pages, gives them back, or leaves them to nobody until the end. */
bool rig_pages_find(struct rig *rig, uint32_t pages, uint32_t *first);
void rig_pages_take(struct rig *rig, const struct mapping *mapping);
void rig_pages_back(struct rig *rig, const struct mapping *mapping);
void rig_pages_stick(struct rig *rig, const struct mapping *mapping);

/* The judges are told that it is about to go. */
void rig_note_unmap(const struct rig *rig, const struct mapping *mapping);
/* Every device at every page: lands as it should, or, if @gone, nowhere. */
void rig_reach(struct rig *rig, const struct mapping *mapping, bool gone);
/* An error must have a reason: a unit has said so since there were @errors, or a device was lost. */
void rig_has_reason(struct rig *rig, int error, uint64_t errors, bool lost);

/* others.c: before and after all else; of a unit that joins; when hardware works again; when all is flushed. */
void rig_others_create(struct rig *rig);
void rig_others_destroy(struct rig *rig);
void rig_others_note(struct rig *rig, uint32_t unit);
void rig_others_give_back(struct rig *rig);
void rig_others_flushed(struct rig *rig);

#endif

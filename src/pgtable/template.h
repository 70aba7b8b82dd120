/* SPDX-License-Identifier: MIT */
/*
 * The template, compiled for one format and one variant (variants.h). Its parts stand in the order in which they need each other:
 * entries.h knows entries and counts, reclaim.h unlinks and releases tables, read.h looks, map.h and unmap.h change,
 * change.h changes leaves where they are, pin.h lets others change, calls.h checks arguments and calls them, identity.h has entries that are their own address.
 */
#include "identity.h"
#include "pin.h"

#include "template/entries.h"
#include "template/reclaim.h"
#include "template/read.h"
#include "template/map.h"
#include "template/unmap.h"
#include "template/change.h"
#include "template/pin.h"
#include "template/calls.h"
#include "template/identity.h"

#ifdef FMT_USERS_BITS
#define PT_OPS_IDENTITY \
	.identity_users = (UINT32_C(1) << FMT_USERS_BITS) - 1, \
	.identity_map = PT(identity_map), \
	.identity_unmap = PT(identity_unmap), \
	.identity_retire = PT(identity_retire),
#else
#define PT_OPS_IDENTITY
#endif

#define PT_OPS_COMMON \
	.format = PT_STRING(PT_FORMAT), \
	.reclaim = V_RECLAIM, \
	.single_writer = V_SINGLE, \
	.granule_shift = FMT_GRANULE_SHIFT, \
	.level_bits = FMT_LEVEL_BITS, \
	.page_sizes = FMT_PAGE_SIZES, \
	.oas_max = FMT_OAS_MAX, \
	.sign_extends = FMT_SIGN_EXTENDS, \
	.ias_allowed = FMT_IAS_ALLOWED, \
	.root_bits = FMT_ROOT_BITS, \
	.levels_min = FMT_LEVELS_MIN, \
	.map_pages = PT(map_pages), \
	.map = PT(map), \
	.lookup = PT(lookup), \
	.visit = PT(visit), \
	.pin = PT(pin), \
	.unpin = PT(unpin), \
	.pin_map = PT(pin_map), \
	.pin_unmap = PT(pin_unmap), \
	.trim = PT(trim), \
	.release = PT(release), \
	.destroy = PT(destroy), \
	.is_valid = PT(is_valid), \
	.raise = FMT_GROWS ? PT(raise) : NULL, \
	.protect = PT(call_protect), \
	.read_dirty = PT(call_read_dirty), \
	.track_dirty = PT(track_dirty), \
	.split = PT(call_split), \
	.merge = PT(call_merge), \
	PT_OPS_IDENTITY

const struct iog_pgtable_ops PT_OPS = {
	PT_OPS_COMMON
	.unmap_pages = PT(unmap_pages),
	.unmap = PT(unmap),
};

/* While dirty bits are tracked. */
static const struct iog_pgtable_ops PT(tracked_ops) = {
	PT_OPS_COMMON
	.unmap_pages = PT(unmap_pages_tracked),
	.unmap = PT(unmap_whole_tracked),
};

#undef PT_OPS_COMMON
#undef PT_OPS_IDENTITY
#undef PT_VARIANT
#undef V_RECLAIM
#undef V_COUNTED
#undef V_VALIDATED
#undef V_PATH
#undef V_LOCKED
#undef V_SINGLE

/* SPDX-License-Identifier: MIT */
/*
 * The template, compiled for one format and one variant (variants.h). Its parts stand in the order in which they need each other:
 * entries.h knows entries and counts, reclaim.h unlinks and releases tables, read.h looks, map.h and unmap.h change,
 * pin.h lets others change, calls.h checks arguments and calls them, identity.h has entries that are their own address.
 */
#include "identity.h"
#include "pin.h"

#include "template/entries.h"
#include "template/reclaim.h"
#include "template/read.h"
#include "template/map.h"
#include "template/unmap.h"
#include "template/pin.h"
#include "template/calls.h"
#include "template/identity.h"

const struct iog_pgtable_ops PT_OPS = {
	.format = PT_STRING(PT_FORMAT),
	.reclaim = V_RECLAIM,
	.single_writer = V_SINGLE,
	.granule_shift = FMT_GRANULE_SHIFT,
	.level_bits = FMT_LEVEL_BITS,
	.page_sizes = FMT_PAGE_SIZES,
	.oas_max = FMT_OAS_MAX,
	.sign_extends = FMT_SIGN_EXTENDS,
	.ias_allowed = FMT_IAS_ALLOWED,
	.map_pages = PT(map_pages),
	.map = PT(map),
	.unmap_pages = PT(unmap_pages),
	.unmap = PT(unmap),
	.lookup = PT(lookup),
	.visit = PT(visit),
	.pin = PT(pin),
	.unpin = PT(unpin),
	.pin_map = PT(pin_map),
	.pin_unmap = PT(pin_unmap),
	.trim = PT(trim),
	.release = PT(release),
	.destroy = PT(destroy),
	.is_valid = PT(is_valid),
#ifdef FMT_USERS_BITS
	.identity_users = (UINT32_C(1) << FMT_USERS_BITS) - 1,
	.identity_map = PT(identity_map),
	.identity_unmap = PT(identity_unmap),
	.identity_retire = PT(identity_retire),
#endif
};

#undef PT_VARIANT
#undef V_RECLAIM
#undef V_COUNTED
#undef V_VALIDATED
#undef V_PATH
#undef V_LOCKED
#undef V_SINGLE

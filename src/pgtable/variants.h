/* SPDX-License-Identifier: MIT */
/*
 * Included once by each format, which has defined PT_FORMAT, the FMT_* constants and the fmt_*() functions: compiles the template once per
 * reclaim variant and defines the format's operations.
 *
 *   V_COUNTED    live entries are counted, empty tables given back
 *   V_VALIDATED  nothing holds a table while it is looked at: what ends a walk is validated before it is believed
 *   V_LOCKED     a reader-writer lock does that instead
 *   V_PATH       a lane begins where its last walk ended; wants V_VALIDATED
 *   V_SINGLE     one writer at a time, by the caller's word
 *
 * Everything in the template is named PT(x), which is <format>_<variant>_x in a backtrace.
 */
#include "format.h"

#define PT_PASTE3(format, variant, name) format##_##variant##_##name
#define PT_PASTE2(format, variant, name) PT_PASTE3(format, variant, name)
#define PT(name) PT_PASTE2(PT_FORMAT, PT_VARIANT, name)
#define PT_OPS3(format, variant) iog_##format##_##variant
#define PT_OPS2(format, variant) PT_OPS3(format, variant)
#define PT_OPS PT_OPS2(PT_FORMAT, PT_VARIANT)
#define PT_STRING2(format) #format
#define PT_STRING(format) PT_STRING2(format)

#define PT_VARIANT counted
#define V_RECLAIM IOG_RECLAIM_COUNTED
#define V_COUNTED 1
#define V_VALIDATED 1
#define V_PATH 1
#define V_LOCKED 0
#define V_SINGLE 0
#include "template.h"

#define PT_VARIANT counted_single
#define V_RECLAIM IOG_RECLAIM_COUNTED
#define V_COUNTED 1
#define V_VALIDATED 1
#define V_PATH 1
#define V_LOCKED 0
#define V_SINGLE 1
#include "template.h"

#define PT_VARIANT rwlock
#define V_RECLAIM IOG_RECLAIM_RWLOCK
#define V_COUNTED 1
#define V_VALIDATED 0
#define V_PATH 0
#define V_LOCKED 1
#define V_SINGLE 0
#include "template.h"

#define PT_VARIANT none
#define V_RECLAIM IOG_RECLAIM_NONE
#define V_COUNTED 0
#define V_VALIDATED 0
#define V_PATH 0
#define V_LOCKED 0
#define V_SINGLE 0
#include "template.h"

/* SPDX-License-Identifier: MIT */
/* Armv8 stage 1, 4 KiB granule. */
#define ARM_STAGE 1
#define ARM_GRANULE_SHIFT 12
#define ARM_LPA2 0
#include "fmt_arm.h"

#define PT_FORMAT arm_s1_4k
#include "variants.h"

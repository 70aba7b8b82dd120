/* SPDX-License-Identifier: MIT */
/* Armv8 stage 2, 16 KiB granule. */
#define ARM_STAGE 2
#define ARM_GRANULE_SHIFT 14
#define ARM_LPA2 0
#include "fmt_arm.h"

#define PT_FORMAT arm_s2_16k
#include "variants.h"

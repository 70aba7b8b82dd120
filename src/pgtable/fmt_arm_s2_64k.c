/* SPDX-License-Identifier: MIT */
/* Armv8 stage 2, 64 KiB granule. */
#define ARM_STAGE 2
#define ARM_GRANULE_SHIFT 16
#define ARM_LPA2 0
#include "fmt_arm.h"

#define PT_FORMAT arm_s2_64k
#include "variants.h"

/* SPDX-License-Identifier: MIT */
/* Armv8 stage 1, 16 KiB granule, 52-bit descriptors (FEAT_LPA2). */
#define ARM_STAGE 1
#define ARM_GRANULE_SHIFT 14
#define ARM_LPA2 1
#include "fmt_arm.h"

#define PT_FORMAT arm_s1_16k_lpa2
#include "variants.h"

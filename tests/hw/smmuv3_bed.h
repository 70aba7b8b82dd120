/* SPDX-License-Identifier: MIT */
/*
 * SMMUv3, on a model that records commands and misbehaves: what one of hardware that works cannot show. See unit_bed.h.
 */
#ifndef IOG_TESTS_HW_SMMUV3_BED_H
#define IOG_TESTS_HW_SMMUV3_BED_H

#include <iogate/hw/smmuv3.h>

#include "hw/smmuv3/registers.h"
#include "model.h"

#define BED(verb) iog_smmuv3_##verb
#define BED_DRIVER iog_smmuv3
#define BED_CONFIG struct iog_smmuv3_config
#define DEVICE 0x18u
#define ID 5u
#define ROOT_PADDR 0x123450000
#define ROOT_OAS 44
#define FIRST "arm_s1_4k", 4, 48
#define FIRST_OTHER "arm_s1_64k", 3, 48
#define SECOND "arm_s2_4k", 4, 44
#define SECOND_OTHER "arm_s2_16k", 3, 40
#define BLOCKED_WORD (STE0_V | STE0_CONFIG_ABORT)
#define FORGET_ALL CMD_TLBI_NSNH_ALL
#define FORGET_ENTRY CMD_CFGI_STE
#define FORGET_DEVICE CMD_ATC_INV
#define FORGET_DOMAIN CMD_TLBI_NH_ASID
#define FORGET_PAGE CMD_TLBI_NH_VA
#define STOP_REFUSED CERROR_ILL
#define STOP_RETRY CERROR_ABT
#define COMMAND_ADDRESS(address) ((address) | 1)

#include "unit_bed.h"

#define EXPECT_END(at) do { EXPECT(at, 0x46, 0); assert_int_equal(bed.model->nr_log, (at) + 1); assert_int_equal(bed.model->doorbells, 1); } while (0)

#endif

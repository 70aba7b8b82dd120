/* SPDX-License-Identifier: MIT */
/*
 * The RISC-V IOMMU, on a model that records commands and misbehaves: what one of hardware that works cannot show. See unit_bed.h.
 */
#ifndef IOG_TESTS_HW_RISCV_BED_H
#define IOG_TESTS_HW_RISCV_BED_H

#include <iogate/hw/riscv.h>

#include "hw/riscv/registers.h"
#include "model.h"

#define BED(verb) iog_riscv_##verb
#define BED_DRIVER iog_riscv
#define BED_CONFIG struct iog_riscv_config
#define DEVICE 0x118u
#define ID 5u
#define ROOT_PADDR 0x123454000
#define ROOT_OAS 56
#define FIRST "riscv", 4, 48
#define FIRST_OTHER "riscv", 3, 39
#define SECOND "riscv_x4", 4, 50
#define SECOND_OTHER "riscv_x4", 3, 41
#define BLOCKED_WORD 0
#define FORGET_ALL CMD_IOTINVAL_VMA
#define FORGET_ENTRY CMD_IODIR_INVAL_DDT
#define FORGET_DEVICE CMD_ATS_INVAL
#define FORGET_DOMAIN CMD_IOTINVAL_VMA
#define FORGET_PAGE CMD_IOTINVAL_VMA
#define STOP_REFUSED CQCSR_CMD_ILL
#define STOP_RETRY CQCSR_CQMF
#define COMMAND_ADDRESS(address) ((address) >> 2)

#include "unit_bed.h"

/* A fence that waits for reads and writes and writes its place; one doorbell, and no register read. */
#define EXPECT_END(at)                                                                             \
	do {                                                                                       \
		assert_int_equal(bed.model->nr_log, (at) + 1);                                     \
		assert_int_equal(bed.model->log[at][0] & UINT32_MAX, 2 | 1 << 10 | 1 << 12 | 1 << 13); \
		assert_int_equal(bed.model->doorbells, 1);                                         \
		assert_int_equal(bed.model->reads, 0);                                             \
	} while (0)

#endif

/* SPDX-License-Identifier: MIT */
/*
 * AMD-Vi registers (AMD IOMMU 3.08, 3.4), by the specification's names.
 */
#ifndef IOG_HW_AMDVI_REGISTERS_H
#define IOG_HW_AMDVI_REGISTERS_H

#include <stdint.h>

#define AMDVI_BIT(n) (UINT64_C(1) << (n))

/* Device Table Base Address Register (3.4.1): address, and pages less one. */
#define AMDVI_DEVTAB 0x0000

/* Command Buffer and Event Log Base Address Registers (3.4.2, 3.4.3): address, and in 59:56 the power of two of entries, from 8 to 15. */
#define AMDVI_CMDBUF 0x0008
#define AMDVI_EVTLOG 0x0010
#define AMDVI_LENGTH_SHIFT 56

/* IOMMU Control Register (3.4.4) */
#define AMDVI_CONTROL 0x0018
#define AMDVI_IOMMU_EN AMDVI_BIT(0)
#define AMDVI_HT_TUN_EN AMDVI_BIT(1)
#define AMDVI_EVENT_LOG_EN AMDVI_BIT(2)
#define AMDVI_EVENT_INT_EN AMDVI_BIT(3)
#define AMDVI_INV_TIMEOUT_SHIFT 5
#define AMDVI_PASS_PW AMDVI_BIT(8)
#define AMDVI_RES_PASS_PW AMDVI_BIT(9)
#define AMDVI_COHERENT AMDVI_BIT(10)
#define AMDVI_ISOC AMDVI_BIT(11)
#define AMDVI_CMD_BUF_EN AMDVI_BIT(12)
#define AMDVI_GT_EN AMDVI_BIT(16)
#define AMDVI_GA_EN AMDVI_BIT(17) /* interrupt entries have 128 bits */
#define AMDVI_DEV_TAB_SEG_EN (UINT64_C(7) << 34)
#define AMDVI_XT_EN AMDVI_BIT(50) /* and destinations 32 */

/* Exclusion Base Register (3.4.5): bit 0 turns it on. */
#define AMDVI_EXCLUSION 0x0020

/* Extended Feature Register (3.4.7), which is there where the capability's EFRSup says so. */
#define AMDVI_EFR 0x0030
#define AMDVI_EFR_XT_SUP AMDVI_BIT(2)
#define AMDVI_EFR_GT_SUP AMDVI_BIT(4)
#define AMDVI_EFR_IA_SUP AMDVI_BIT(6)
#define AMDVI_EFR_GA_SUP AMDVI_BIT(7)
#define AMDVI_EFR_HATS(efr) ((uint32_t)((efr) >> 10 & 3)) /* levels of host tables, less four */
#define AMDVI_EFR_GATS(efr) ((uint32_t)((efr) >> 12 & 3)) /* of guest tables, less four */
#define AMDVI_EFR_GIO_SUP AMDVI_BIT(48)

/* Pointers of the command buffer and the event log, in bytes (3.4.13 to 3.4.16). */
#define AMDVI_CMD_HEAD 0x2000
#define AMDVI_CMD_TAIL 0x2008
#define AMDVI_EVT_HEAD 0x2010
#define AMDVI_EVT_TAIL 0x2018
#define AMDVI_POINTER UINT32_C(0x7fff0)

/* IOMMU Status Register (3.4.17); the first three are cleared by writing ones. */
#define AMDVI_STATUS 0x2020
#define AMDVI_EVENT_OVERFLOW (UINT32_C(1) << 0)
#define AMDVI_EVENT_LOG_INT (UINT32_C(1) << 1)
#define AMDVI_COM_WAIT_INT (UINT32_C(1) << 2)
#define AMDVI_EVENT_LOG_RUN (UINT32_C(1) << 3)
#define AMDVI_CMD_BUF_RUN (UINT32_C(1) << 4)

/* Capability header in configuration space (3.2.1). */
#define AMDVI_CAP_IOTLB_SUP (UINT32_C(1) << 24)
#define AMDVI_CAP_NP_CACHE (UINT32_C(1) << 26)
#define AMDVI_CAP_EFR_SUP (UINT32_C(1) << 27)

/* IVHD flags (5.2.2.1). */
#define AMDVI_IVHD_HT_TUN_EN (1u << 0)
#define AMDVI_IVHD_PASS_PW (1u << 1)
#define AMDVI_IVHD_RES_PASS_PW (1u << 2)
#define AMDVI_IVHD_ISOC (1u << 3)

#endif

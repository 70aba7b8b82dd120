/* SPDX-License-Identifier: MIT */
/*
 * VT-d registers, by the specification's names (VT-d 11.4).
 */
#ifndef IOG_HW_VTD_REGISTERS_H
#define IOG_HW_VTD_REGISTERS_H

#include <stdint.h>

#define VTD_BIT(n) (UINT64_C(1) << (n))

/* VER_REG (11.4.1) */
#define VTD_VER 0x00

/* CAP_REG (11.4.2) */
#define VTD_CAP 0x08
#define VTD_CAP_ND(cap) ((uint32_t)((cap) & 7))
#define VTD_CAP_RWBF VTD_BIT(4)
#define VTD_CAP_PLMR VTD_BIT(5)
#define VTD_CAP_PHMR VTD_BIT(6)
#define VTD_CAP_CM VTD_BIT(7)
#define VTD_CAP_SAGAW(cap) ((uint32_t)((cap) >> 8 & 0x1f)) /* bit 1: three levels, 2: four, 3: five */
#define VTD_CAP_MGAW(cap) ((uint32_t)((cap) >> 16 & 0x3f))
#define VTD_CAP_FRO(cap) ((uint32_t)((cap) >> 24 & 0x3ff) * 16)
#define VTD_CAP_SSLPS_2M VTD_BIT(34)
#define VTD_CAP_SSLPS_1G VTD_BIT(35)
#define VTD_CAP_PSI VTD_BIT(39)
#define VTD_CAP_NFR(cap) ((uint32_t)((cap) >> 40 & 0xff) + 1)
#define VTD_CAP_MAMV(cap) ((uint32_t)((cap) >> 48 & 0x3f))
#define VTD_CAP_DWD VTD_BIT(54)
#define VTD_CAP_DRD VTD_BIT(55)
#define VTD_CAP_FS1GP VTD_BIT(56)
#define VTD_CAP_FS5LP VTD_BIT(60)

/* ECAP_REG (11.4.3) */
#define VTD_ECAP 0x10
#define VTD_ECAP_C VTD_BIT(0)
#define VTD_ECAP_QI VTD_BIT(1)
#define VTD_ECAP_DT VTD_BIT(2)
#define VTD_ECAP_IR VTD_BIT(3)
#define VTD_ECAP_EIM VTD_BIT(4)
#define VTD_ECAP_PT VTD_BIT(6)
#define VTD_ECAP_SC VTD_BIT(7)
#define VTD_ECAP_IRO(ecap) ((uint32_t)((ecap) >> 8 & 0x3ff) * 16)
#define VTD_ECAP_ERS VTD_BIT(30)
#define VTD_ECAP_SMTS VTD_BIT(43)
#define VTD_ECAP_SSTS VTD_BIT(46)
#define VTD_ECAP_FSTS VTD_BIT(47)
#define VTD_ECAP_SMPWCS VTD_BIT(48)

/* GCMD_REG, GSTS_REG (11.4.4) */
#define VTD_GCMD 0x18
#define VTD_GSTS 0x1c
#define VTD_TE (UINT32_C(1) << 31)
#define VTD_SRTP (UINT32_C(1) << 30)
#define VTD_WBF (UINT32_C(1) << 27)
#define VTD_QIE (UINT32_C(1) << 26)
#define VTD_IRE (UINT32_C(1) << 25)
#define VTD_SIRTP (UINT32_C(1) << 24)
#define VTD_CFI (UINT32_C(1) << 23)
/* Bits of GSTS that stay when they are written to GCMD; the others are commands for once. */
#define VTD_GCMD_KEEP UINT32_C(0x96ffffff)

/* RTADDR_REG (11.4.5) */
#define VTD_RTADDR 0x20
#define VTD_RTADDR_TTM UINT64_C(0xc00)
#define VTD_RTADDR_SCALABLE UINT64_C(0x400)

/* CCMD_REG (11.4.6.1) */
#define VTD_CCMD 0x28
#define VTD_CCMD_ICC VTD_BIT(63)
#define VTD_CCMD_CIRG(granularity) ((uint64_t)(granularity) << 61)
#define VTD_CCMD_CAIG(value) ((uint32_t)((value) >> 59 & 3))

/* IOTLB registers, from ECAP.IRO on (11.4.6.2) */
#define VTD_IVA 0x0
#define VTD_IOTLB 0x8
#define VTD_IOTLB_IVT VTD_BIT(63)
#define VTD_IOTLB_IIRG(granularity) ((uint64_t)(granularity) << 60)
#define VTD_IOTLB_IAIG(value) ((uint32_t)((value) >> 57 & 3))
#define VTD_IOTLB_DR VTD_BIT(49)
#define VTD_IOTLB_DW VTD_BIT(48)

/* FSTS_REG (11.4.7.1) */
#define VTD_FSTS 0x34
#define VTD_FSTS_PFO (UINT32_C(1) << 0)
#define VTD_FSTS_PPF (UINT32_C(1) << 1)
#define VTD_FSTS_IQE (UINT32_C(1) << 4)
#define VTD_FSTS_ICE (UINT32_C(1) << 5)
#define VTD_FSTS_ITE (UINT32_C(1) << 6)
#define VTD_FSTS_QUEUE (VTD_FSTS_IQE | VTD_FSTS_ICE | VTD_FSTS_ITE)
#define VTD_FSTS_FRI(value) ((value) >> 8 & 0xff)
/* All that software clears by writing one. */
#define VTD_FSTS_CLEAR (VTD_FSTS_PFO | UINT32_C(0x0c) | VTD_FSTS_QUEUE)

/* FECTL_REG and its message (11.4.7.2) */
#define VTD_FECTL 0x38
#define VTD_FECTL_IM (UINT32_C(1) << 31)
#define VTD_FEDATA 0x3c
#define VTD_FEADDR 0x40
#define VTD_FEUADDR 0x44

/* Fault recording registers, from CAP.FRO on, 16 bytes each (11.4.14) */
#define VTD_FRCD_SIZE 16
#define VTD_FRCD_LAST 12 /* the 32 bits with F */
#define VTD_FRCD_F (UINT32_C(1) << 31)

/* PMEN_REG (11.4.8) */
#define VTD_PMEN 0x64
#define VTD_PMEN_EPM (UINT32_C(1) << 31)
#define VTD_PMEN_PRS (UINT32_C(1) << 0)

/* IQH_REG, IQT_REG, IQA_REG, IQERCD_REG (11.4.9) */
#define VTD_IQH 0x80
#define VTD_IQT 0x88
#define VTD_IQ_OFFSET UINT64_C(0x7fff0)
#define VTD_IQA 0x90
#define VTD_IQA_DW VTD_BIT(11)
#define VTD_IQERCD 0xb0
#define VTD_IQERCD_ITESID(value) ((uint32_t)((value) >> 32 & 0xffff))

/* IRTA_REG (11.4.10) */
#define VTD_IRTA 0xb8
#define VTD_IRTA_EIME VTD_BIT(11)

#endif

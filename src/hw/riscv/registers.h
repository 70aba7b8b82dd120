/* SPDX-License-Identifier: MIT */
/*
 * RISC-V IOMMU: registers (6), structures in memory (3), commands (4.1) and fault records (4.2), by the names and sections of the specification. Only
 * what the driver uses.
 */
#ifndef IOG_HW_RISCV_REGISTERS_H
#define IOG_HW_RISCV_REGISTERS_H

#include <stdint.h>

#define RV_BIT(n) (UINT64_C(1) << (n))
#define RV_FIELD(value, low) ((uint64_t)(value) << (low))

#define CAPABILITIES 0u
#define CAP_VERSION(cap) ((uint32_t)((cap) & 0xff))
#define CAP_SV39 RV_BIT(9)
#define CAP_SV48 RV_BIT(10)
#define CAP_SV57 RV_BIT(11)
#define CAP_SV39X4 RV_BIT(17)
#define CAP_SV48X4 RV_BIT(18)
#define CAP_SV57X4 RV_BIT(19)
#define CAP_MSI_FLAT RV_BIT(22)
#define CAP_MSI_MRIF RV_BIT(23)
#define CAP_ATS RV_BIT(25)
#define CAP_IGS(cap) ((uint32_t)((cap) >> 28 & 3))
#define IGS_MSI 0u
#define IGS_WSI 1u
#define IGS_BOTH 2u
#define CAP_PAS(cap) ((uint32_t)((cap) >> 32 & 0x3f))
#define CAP_NL RV_BIT(42)
#define CAP_S RV_BIT(43)

#define FCTL 8u
#define FCTL_BE 1u
#define FCTL_WSI 2u
#define FCTL_GXL 4u

#define DDTP 16u
#define DDTP_MODE(ddtp) ((uint32_t)((ddtp) & 0xf))
#define DDTP_OFF 0u
#define DDTP_BARE 1u
#define DDTP_1LVL 2u /* and one more for each further level */
#define DDTP_BUSY RV_BIT(4)
/* In ddtp, directory entries and queue bases alike. */
#define PPN_MASK UINT64_C(0x003ffffffffffc00)

#define CQB 24u
#define CQH 32u
#define CQT 36u
#define FQB 40u
#define FQH 48u
#define FQT 52u
#define PQCSR 80u
#define CQCSR 72u
#define CQCSR_CQEN (1u << 0)
#define CQCSR_CIE (1u << 1)
#define CQCSR_CQMF (1u << 8)
#define CQCSR_CMD_TO (1u << 9)
#define CQCSR_CMD_ILL (1u << 10)
#define CQCSR_ERRORS (CQCSR_CQMF | CQCSR_CMD_TO | CQCSR_CMD_ILL)
#define FQCSR 76u
#define FQCSR_FQEN (1u << 0)
#define FQCSR_FIE (1u << 1)
#define FQCSR_FQMF (1u << 8)
#define FQCSR_FQOF (1u << 9)
#define CSR_ON (1u << 16)
#define CSR_BUSY (1u << 17)
#define IPSR 84u
#define IPSR_CIP 1u
#define IPSR_FIP 2u
#define ICVEC 760u
#define MSI_ADDRESS 768u
#define MSI_DATA 776u
#define MSI_CONTROL 780u

/* Device context (3.1.3), by word: the extended format has eight, the base format the first four. */
#define DDTE_V RV_BIT(0)
#define TC_V RV_BIT(0)
#define TC_EN_ATS RV_BIT(1)
#define IOHGATP_GSCID(id) RV_FIELD(id, 44)
#define IOHGATP_GSCID_OF(iohgatp) ((uint32_t)((iohgatp) >> 44 & 0xffff))
#define TA_PSCID(id) RV_FIELD(id, 12)
#define TA_PSCID_OF(ta) ((uint32_t)((ta) >> 12 & 0xfffff))
#define ATP_PPN UINT64_C(0x00000fffffffffff)
#define ATP_MODE(atp) ((uint32_t)((atp) >> 60))
#define ATP_SET_MODE(mode) RV_FIELD(mode, 60)
#define ATP_SV39 8u /* Sv39x4, too; then Sv48, Sv57 */

/* Commands: opcode and func3, operands of the first word and of the second. */
#define CMD_IOTINVAL_VMA (1u | 0u << 7)
#define CMD_IOTINVAL_GVMA (1u | 1u << 7)
#define CMD_IOFENCE_C (2u | 0u << 7)
#define CMD_IODIR_INVAL_DDT (3u | 0u << 7)
#define CMD_ATS_INVAL (4u | 0u << 7)
#define CMD_MASK 0x3ffu
#define CMD0_AV RV_BIT(10)
#define CMD0_PSCID(id) RV_FIELD(id, 12)
#define CMD0_PSCV RV_BIT(32)
#define CMD0_GV RV_BIT(33)
#define CMD0_NL RV_BIT(34)
#define CMD0_GSCID(id) RV_FIELD(id, 44)
#define CMD1_S RV_BIT(9)
#define CMD1_ADDRESS(address) ((address) >> 12 << 10)
#define CMD0_PR RV_BIT(12)
#define CMD0_PW RV_BIT(13)
#define CMD0_DATA(data) RV_FIELD(data, 32)
#define CMD1_FENCE_ADDRESS(address) ((address) >> 2)
#define CMD0_DV RV_BIT(33)
#define CMD0_DID(id) RV_FIELD(id, 40)
#define CMD0_DSV RV_BIT(33)
#define CMD0_RID(id) RV_FIELD((id) & 0xffff, 40)
#define CMD0_DSEG(id) RV_FIELD((id) >> 16, 56)
/* Of PCIe's message: the range is an aligned power of two, told by the address bits below its size. */
#define ATS_PAYLOAD_S RV_BIT(11)

/* Fault records, 32 bytes. */
#define FAULT_WORDS 4u
#define FAULT_CAUSE(word) ((uint32_t)((word) & 0xfff))
#define FAULT_PID(word) ((uint32_t)((word) >> 12 & 0xfffff))
#define FAULT_PV RV_BIT(32)
#define FAULT_PRIV RV_BIT(33)
#define FAULT_TTYP(word) ((uint32_t)((word) >> 34 & 0x3f))
#define FAULT_DID(word) ((uint32_t)((word) >> 40 & 0xffffff))

#endif

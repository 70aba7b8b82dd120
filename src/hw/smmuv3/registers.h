/* SPDX-License-Identifier: MIT */
/*
 * Arm SMMUv3: registers, structures in memory, commands and events, by the names and sections of the architecture (Arm IHI 0070). Only what the driver uses.
 */
#ifndef IOG_HW_SMMUV3_REGISTERS_H
#define IOG_HW_SMMUV3_REGISTERS_H

#include <stdint.h>

#define BIT(n) (UINT64_C(1) << (n))
/* The bits from @low to @high of a register of 64. */
#define BITS(high, low) ((~UINT64_C(0) >> (63 - (high))) & (~UINT64_C(0) << (low)))

/* A field's value, and a value in its place. */
static inline uint64_t field_get(uint64_t value, uint32_t high, uint32_t low)
{
	return (value & BITS(high, low)) >> low;
}

static inline uint64_t field(uint64_t value, uint32_t low)
{
	return value << low;
}

/* Identification (6.3.1 to 6.3.6). */
#define IDR0 0x00u
#define IDR0_S2P BIT(0)
#define IDR0_S1P BIT(1)
#define IDR0_TTF_AARCH64 BIT(3) /* of 3:2: 2 and 3 */
#define IDR0_COHACC BIT(4)
#define IDR0_HYP BIT(9)
#define IDR0_ATS BIT(10)
#define IDR0_ASID16 BIT(12)
#define IDR0_MSI BIT(13)
#define IDR0_VMID16 BIT(18)
#define IDR0_STALL_MODEL(idr) field_get(idr, 25, 24)
#define STALL_OPTIONAL 0u
#define STALL_FORCED 2u
#define IDR0_ST_LEVEL(idr) field_get(idr, 28, 27)
#define IDR1 0x04u
#define IDR1_SIDSIZE(idr) field_get(idr, 5, 0)
#define IDR1_EVENTQS(idr) field_get(idr, 20, 16)
#define IDR1_CMDQS(idr) field_get(idr, 25, 21)
#define IDR1_QUEUES_PRESET BIT(29)
#define IDR1_TABLES_PRESET BIT(30)
#define IDR3 0x0cu
#define IDR3_RIL BIT(10)
#define IDR3_BBML(idr) field_get(idr, 12, 11)
#define IDR5 0x14u
#define IDR5_OAS(idr) field_get(idr, 2, 0)
#define IDR5_GRAN4K BIT(4)
#define IDR5_GRAN16K BIT(5)
#define IDR5_GRAN64K BIT(6)
#define IDR5_DS BIT(8)
#define IDR5_VAX_52 BIT(10) /* of 11:10 */
#define AIDR 0x1cu

/* Control (6.3.9 to 6.3.16). */
#define CR0 0x20u
#define CR0ACK 0x24u
#define CR0_SMMUEN BIT(0)
#define CR0_EVENTQEN BIT(2)
#define CR0_CMDQEN BIT(3)
#define CR0_ATSCHK BIT(4)
#define CR1 0x28u
#define CR1_COHERENT ((3u << 10) | (1u << 8) | (1u << 6) | (3u << 4) | (1u << 2) | 1u) /* tables and queues: inner shareable, write-back */
#define CR2 0x2cu
#define CR2_RECINVSID BIT(1)
#define CR2_PTM BIT(2)
#define GBPA 0x44u
#define GBPA_ABORT BIT(20)
#define GBPA_UPDATE BIT(31)
#define IRQ_CTRL 0x50u
#define IRQ_CTRLACK 0x54u
#define IRQ_CTRL_GERROR BIT(0)
#define IRQ_CTRL_EVENTQ BIT(2)

/* Global errors (6.3.17, 6.3.18). */
#define GERROR 0x60u
#define GERRORN 0x64u
#define GERROR_CMDQ BIT(0)
#define GERROR_EVENTQ_ABT BIT(2)
#define GERROR_SFM BIT(8)
#define GERROR_KNOWN (BITS(9, 2) | GERROR_CMDQ)

#define GERROR_IRQ_CFG0 0x68u
#define GERROR_IRQ_CFG1 0x70u
#define GERROR_IRQ_CFG2 0x74u
#define EVENTQ_IRQ_CFG0 0xb0u
#define EVENTQ_IRQ_CFG1 0xb8u
#define EVENTQ_IRQ_CFG2 0xbcu

/* Stream table and queues (6.3.24 to 6.3.32). */
#define STRTAB_BASE 0x80u
#define STRTAB_BASE_RA BIT(62)
#define STRTAB_BASE_CFG 0x88u
#define STRTAB_BASE_CFG_2LVL (1u << 16)
#define CMDQ_BASE 0x90u
#define CMDQ_PROD 0x98u
#define CMDQ_CONS 0x9cu
#define CMDQ_CONS_ERR(cons) field_get(cons, 30, 24)
#define CERROR_ILL 1u
#define CERROR_ABT 2u
#define CERROR_ATC_INV_SYNC 3u
#define EVENTQ_BASE 0xa0u
#define QUEUE_BASE_ALLOCATE BIT(62)
/* In the second page. */
#define EVENTQ_PROD 0xa8u
#define EVENTQ_CONS 0xacu
#define EVENTQ_OVERFLOW BIT(31)
#define PAGE1 0x10000u

/* Level 1 stream table descriptor (5.1): Span, and where the second level is. */
#define L1STD_ADDRESS BITS(51, 6)

/* Stream table entry (5.2), by word. */
#define STE_WORDS 8u
#define STE0_V BIT(0)
#define STE0_CONFIG_ABORT UINT64_C(0)
#define STE0_CONFIG_BYPASS field(4, 1)
#define STE0_CONFIG_S1 field(5, 1)
#define STE0_CONFIG_S2 field(6, 1)
#define STE0_CONFIG(ste0) ((ste0) & BITS(3, 1))
#define STE0_S1CONTEXTPTR BITS(51, 6)
#define STE1_S1CIR_WB field(1, 2)
#define STE1_S1COR_WB field(1, 4)
#define STE1_S1CSH_INNER field(3, 6)
#define STE1_S1STALLD BIT(27)
#define STE1_EATS field(1, 28)
#define STE1_SHCFG_INCOMING field(1, 44)
#define STE2_S2VMID BITS(15, 0)
#define STE2_S2T0SZ(size) field(size, 32)
#define STE2_S2SL0(start) field(start, 38)
#define STE2_S2IR0_WB field(1, 40)
#define STE2_S2OR0_WB field(1, 42)
#define STE2_S2SH0_INNER field(3, 44)
#define STE2_S2TG(tg) field(tg, 46)
#define STE2_S2PS(size) field(size, 48)
#define STE2_S2AA64 BIT(51)
#define STE2_S2S BIT(57)
#define STE2_S2R BIT(58)
#define STE3_S2SL0_2 BIT(2)
#define STE3_S2DS BIT(3)

/* Context descriptor (5.4), by word. */
#define CD_WORDS 8u
#define CD0_T0SZ(size) field(size, 0)
#define CD0_TG0(tg) field(tg, 6)
#define CD0_IR0_WB field(1, 8)
#define CD0_OR0_WB field(1, 10)
#define CD0_SH0_INNER field(3, 12)
#define CD0_EPD1 BIT(30)
#define CD0_V BIT(31)
#define CD0_IPS(size) field(size, 32)
#define CD0_AA64 BIT(41)
#define CD0_S BIT(44)
#define CD0_R BIT(45)
#define CD0_A BIT(46)
#define CD0_ASET BIT(47)
#define CD0_ASID(asid) field(asid, 48)
#define CD2_DS BIT(58)
/* Attr0 write-back, Attr1 not cacheable, Attr2 Device-nGnRE: what the formats of src/pgtable/fmt_arm.h choose among. */
#define CD3_MAIR UINT64_C(0x0444ff)

/* TG0 and S2TG. */
#define TG_4K 0u
#define TG_64K 1u
#define TG_16K 2u

/* Commands (4.1 to 4.7): opcodes, and fields of the first word and of the second. */
#define CMD_CFGI_STE 0x03u
#define CMD_CFGI_STE_RANGE 0x04u
#define CMD_CFGI_CD_ALL 0x06u
#define CMD_TLBI_NH_ASID 0x11u
#define CMD_TLBI_NH_VA 0x12u
#define CMD_TLBI_EL2_ALL 0x20u
#define CMD_TLBI_S12_VMALL 0x28u
#define CMD_TLBI_S2_IPA 0x2au
#define CMD_TLBI_NSNH_ALL 0x30u
#define CMD_ATC_INV 0x40u
#define CMD_RESUME 0x44u
#define CMD_SYNC 0x46u
#define CMD0_STREAM(sid) field(sid, 32)
#define CMD0_VMID(vmid) field(vmid, 32)
#define CMD0_ASID(asid) field(asid, 48)
#define CMD0_NUM(num) field(num, 12)
#define CMD0_SCALE(scale) field(scale, 20)
#define CMD0_RESUME_ABORT field(2, 12)
#define CMD1_LEAF BIT(0)
#define CMD1_TTL(ttl) field(ttl, 8)
#define CMD1_TG(tg) field(tg, 10) /* 1 to 3: 4, 16, 64 KiB; 0: no range */
#define CMD1_ADDRESS BITS(63, 12)
#define CMD1_CFGI_ALL 31u
#define CMD1_ATC_SIZE_ALL 52u
#define CMD_TLBI_NUM_MAX 32u
#define CMD_TLBI_SCALE_MAX 31u

/* Event records (7.3), 32 bytes. */
#define EVENT_WORDS 4u
#define EVENT0_ID(word) ((uint32_t)field_get(word, 7, 0))
#define EVENT0_SSV BIT(11)
#define EVENT0_SUBSTREAM(word) ((uint32_t)field_get(word, 31, 12))
#define EVENT0_STREAM(word) ((uint32_t)field_get(word, 63, 32))
#define EVENT1_STAG(word) field_get(word, 15, 0)
#define EVENT1_STALL BIT(31)
#define EVENT1_PNU BIT(33)
#define EVENT1_IND BIT(34)
#define EVENT1_RNW BIT(35)
#define EVENT1_S2 BIT(39)

#define F_UUT 0x01u
#define C_BAD_STREAMID 0x02u
#define F_STE_FETCH 0x03u
#define C_BAD_STE 0x04u
#define F_BAD_ATS_TREQ 0x05u
#define F_STREAM_DISABLED 0x06u
#define F_TRANSL_FORBIDDEN 0x07u
#define C_BAD_SUBSTREAMID 0x08u
#define F_CD_FETCH 0x09u
#define C_BAD_CD 0x0au
#define F_WALK_EABT 0x0bu
#define F_TRANSLATION 0x10u
#define F_ADDR_SIZE 0x11u
#define F_ACCESS 0x12u
#define F_PERMISSION 0x13u
#define F_TLB_CONFLICT 0x20u
#define F_CFG_CONFLICT 0x21u
#define E_PAGE_REQUEST 0x24u

#endif

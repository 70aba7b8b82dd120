/* SPDX-License-Identifier: MIT */
/*
 * virtio 1.2: registers, the split ring, and the requests of virtio-iommu, by the specification's names and sections. All is little-endian, as are the machines that this library knows.
 */
#ifndef IOG_HW_VIRTIO_REGISTERS_H
#define IOG_HW_VIRTIO_REGISTERS_H

#include <stdint.h>

#define VIRTIO_ID_IOMMU 23u /* 5 */

/* Device status (2.1) */
#define STATUS_ACKNOWLEDGE 0x01u
#define STATUS_DRIVER 0x02u
#define STATUS_DRIVER_OK 0x04u
#define STATUS_FEATURES_OK 0x08u
#define STATUS_NEEDS_RESET 0x40u

/* Feature bits (5.13.3, 6) */
#define F_INPUT_RANGE (UINT64_C(1) << 0)
#define F_DOMAIN_RANGE (UINT64_C(1) << 1)
#define F_MAP_UNMAP (UINT64_C(1) << 2)
#define F_BYPASS (UINT64_C(1) << 3)
#define F_PROBE (UINT64_C(1) << 4)
#define F_MMIO (UINT64_C(1) << 5)
#define F_BYPASS_CONFIG (UINT64_C(1) << 6)
#define F_VERSION_1 (UINT64_C(1) << 32)
#define F_ACCESS_PLATFORM (UINT64_C(1) << 33)
#define F_ORDER_PLATFORM (UINT64_C(1) << 36)

/* Common configuration structure of PCI (4.1.4.3) */
#define COMMON_DEVICE_FEATURE_SELECT 0
#define COMMON_DEVICE_FEATURE 4
#define COMMON_DRIVER_FEATURE_SELECT 8
#define COMMON_DRIVER_FEATURE 12
#define COMMON_CONFIG_MSIX_VECTOR 16 /* 16 bits */
#define COMMON_NUM_QUEUES 18         /* 16 */
#define COMMON_DEVICE_STATUS 20      /* 8 */
#define COMMON_CONFIG_GENERATION 21  /* 8 */
#define COMMON_QUEUE_SELECT 22       /* 16 */
#define COMMON_QUEUE_SIZE 24         /* 16 */
#define COMMON_QUEUE_MSIX_VECTOR 26  /* 16 */
#define COMMON_QUEUE_ENABLE 28       /* 16 */
#define COMMON_QUEUE_NOTIFY_OFF 30   /* 16 */
#define COMMON_QUEUE_DESC 32         /* 64, in halves */
#define COMMON_QUEUE_DRIVER 40
#define COMMON_QUEUE_DEVICE 48
#define COMMON_BYTES 56u
#define NO_VECTOR 0xffffu

/* PCI identification and capabilities (4.1.2, 4.1.4) */
#define PCI_VENDOR_VIRTIO 0x1af4u
#define PCI_DEVICE_BASE 0x1040u
#define PCI_STATUS_WORD 0x04 /* command, and in 31:16 status */
#define PCI_STATUS_CAPABILITIES (UINT32_C(1) << 20)
#define PCI_CAPABILITIES 0x34
#define PCI_CAPABILITY_VENDOR 0x09u
#define PCI_BARS 6u
#define CAP_COMMON 1u
#define CAP_NOTIFY 2u
#define CAP_ISR 3u
#define CAP_DEVICE 4u

/* Registers of the memory-mapped transport (4.2.2) */
#define MMIO_MAGIC 0x000
#define MMIO_MAGIC_VALUE 0x74726976u
#define MMIO_VERSION 0x004
#define MMIO_DEVICE_ID 0x008
#define MMIO_DEVICE_FEATURES 0x010
#define MMIO_DEVICE_FEATURES_SEL 0x014
#define MMIO_DRIVER_FEATURES 0x020
#define MMIO_DRIVER_FEATURES_SEL 0x024
#define MMIO_QUEUE_SEL 0x030
#define MMIO_QUEUE_NUM_MAX 0x034
#define MMIO_QUEUE_NUM 0x038
#define MMIO_QUEUE_READY 0x044
#define MMIO_QUEUE_NOTIFY 0x050
#define MMIO_INTERRUPT_STATUS 0x060
#define MMIO_INTERRUPT_ACK 0x064
#define MMIO_STATUS 0x070
#define MMIO_QUEUE_DESC 0x080
#define MMIO_QUEUE_DRIVER 0x090
#define MMIO_QUEUE_DEVICE 0x0a0
#define MMIO_CONFIG_GENERATION 0x0fc
#define MMIO_CONFIG 0x100

/* Device configuration (5.13.4) */
#define CONFIG_PAGE_SIZE_MASK 0
#define CONFIG_INPUT_START 8
#define CONFIG_INPUT_END 16
#define CONFIG_DOMAIN_START 24
#define CONFIG_DOMAIN_END 28
#define CONFIG_PROBE_SIZE 32
#define CONFIG_BYPASS 36 /* 8 bits */
#define CONFIG_BYTES 37u

/* Queues (5.13.2) */
#define QUEUE_REQUEST 0u
#define QUEUE_EVENT 1u

/* Split virtqueues (2.7) */
#define DESC_F_NEXT 1u
#define DESC_F_WRITE 2u
#define AVAIL_F_NO_INTERRUPT 1u
#define USED_F_NO_NOTIFY 1u

struct ring_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct ring_used_elem {
	uint32_t id;
	uint32_t len;
};

/* Requests (5.13.6): what the device reads, by offset; what it writes ends with the tail. */
#define REQ_ATTACH 1u
#define REQ_DETACH 2u
#define REQ_MAP 3u
#define REQ_UNMAP 4u
#define REQ_PROBE 5u
#define ATTACH_F_BYPASS 1u
#define MAP_F_READ 1u
#define MAP_F_WRITE 2u
#define MAP_F_MMIO 4u

struct req_attach {
	uint8_t type;
	uint8_t reserved[3];
	uint32_t domain;
	uint32_t endpoint;
	uint32_t flags;
	uint32_t reserved_end;
};

struct req_map {
	uint8_t type;
	uint8_t reserved[3];
	uint32_t domain;
	uint64_t virt_start;
	uint64_t virt_end; /* inclusive */
	uint64_t phys_start;
	uint32_t flags;
};

struct req_unmap {
	uint8_t type;
	uint8_t reserved[3];
	uint32_t domain;
	uint64_t virt_start;
	uint64_t virt_end;
	uint32_t reserved_end;
};

struct req_probe {
	uint8_t type;
	uint8_t reserved[3];
	uint32_t endpoint;
	uint8_t reserved_end[64];
};

/* Bytes of each on the ring: the last two end in the middle of a word. */
#define REQ_ATTACH_BYTES 20u
#define REQ_MAP_BYTES 36u
#define REQ_UNMAP_BYTES 28u
#define REQ_PROBE_BYTES 72u
#define REQ_TAIL_BYTES 4u

_Static_assert(sizeof(struct req_attach) == REQ_ATTACH_BYTES && sizeof(struct req_probe) == REQ_PROBE_BYTES, "as on the ring");
_Static_assert(sizeof(struct req_map) >= REQ_MAP_BYTES && sizeof(struct req_unmap) >= REQ_UNMAP_BYTES, "as on the ring, and padded");

/* Status of a request, the first byte of the tail */
#define S_OK 0u
#define S_IOERR 1u
#define S_UNSUPP 2u
#define S_DEVERR 3u
#define S_INVAL 4u
#define S_RANGE 5u
#define S_NOENT 6u
#define S_FAULT 7u
#define S_NOMEM 8u
/* Ours: before the device has written it. */
#define S_UNWRITTEN 0xffu

/* Properties of an endpoint (5.13.6.7) */
#define PROBE_TYPE_MASK 0xfffu
#define PROBE_T_NONE 0u
#define PROBE_T_RESV_MEM 1u
#define PROBE_HEAD_BYTES 4u
#define PROBE_RESV_MEM_BYTES 20u
#define RESV_MEM_T_RESERVED 0u
#define RESV_MEM_T_MSI 1u

/* Fault reports (5.13.6.9) */
struct fault_event {
	uint8_t reason;
	uint8_t reserved[3];
	uint32_t flags;
	uint32_t endpoint;
	uint32_t reserved_middle;
	uint64_t address;
};

#define EVENT_BYTES 24u
#define FAULT_R_UNKNOWN 0u
#define FAULT_R_DOMAIN 1u
#define FAULT_R_MAPPING 2u
#define FAULT_F_READ 0x1u
#define FAULT_F_WRITE 0x2u
#define FAULT_F_EXEC 0x4u
#define FAULT_F_ADDRESS 0x100u

_Static_assert(sizeof(struct fault_event) == EVENT_BYTES, "as on the ring");

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What the PCI topology says about isolation: under which requester ids a function's DMA arrives, and which functions can reach one another without passing an IOMMU.
 *
 * The caller fills in an array of functions from configuration space, in any order; nothing here touches hardware or allocates. An IOMMU can
 * keep devices apart only by requester id, and only for requests that reach it. So functions belong to one group (PCIe 6.0, 6.12, and VT-d 3.4.1) if
 *  - they share a requester id: what is behind a bridge to conventional PCI takes the bridge's;
 *  - a switch or a root port may send requests of one directly to the other: its ports do not redirect them upstream (Access Control Services);
 *  - they are functions of one device, which has no such control for what passes between them.
 * What a root complex does between root ports with different device numbers no register tells; they are taken to be apart. Likewise the virtual functions of a device
 * without ACS, which it needs if requests could pass between them.
 */
#ifndef IOGATE_PCI_H
#define IOGATE_PCI_H

#include <stddef.h>
#include <stdint.h>

#include <iogate/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bus, device and function as one number: bus in 15:8, device in 7:3, function in 2:0. */
#define IOG_BDF(bus, device, function) ((uint16_t)((uint32_t)(bus) << 8 | ((uint32_t)(device) & 0x1f) << 3 | ((uint32_t)(function) & 7)))
/* No function. */
#define IOG_BDF_NONE UINT32_MAX

/* Device/Port Type of the PCI Express Capabilities register (PCIe 6.0, 7.5.3.2), as it stands there. */
enum iog_pci_port {
	IOG_PCI_ENDPOINT = 0,
	IOG_PCI_LEGACY_ENDPOINT = 1,
	IOG_PCI_ROOT_PORT = 4,
	IOG_PCI_UPSTREAM = 5,
	IOG_PCI_DOWNSTREAM = 6,
	IOG_PCI_TO_CONVENTIONAL = 7,   /* PCI Express to PCI bridge */
	IOG_PCI_FROM_CONVENTIONAL = 8, /* PCI to PCI Express bridge */
	IOG_PCI_INTEGRATED = 9,        /* root complex integrated endpoint */
	IOG_PCI_EVENT_COLLECTOR = 10,
};

/* Bits of the ACS Capability and ACS Control registers (PCIe 6.0, 7.7.11), as they stand there. */
enum iog_pci_acs {
	IOG_PCI_ACS_SOURCE_VALIDATION = 1 << 0,
	IOG_PCI_ACS_REQUEST_REDIRECT = 1 << 2,
	IOG_PCI_ACS_COMPLETION_REDIRECT = 1 << 3,
	IOG_PCI_ACS_UPSTREAM_FORWARDING = 1 << 4,
};

enum iog_pci_flags {
	/* Has a PCI Express capability; @port counts. */
	IOG_PCI_EXPRESS = 1 << 0,
	/* Has an ACS capability; @acs_capability and @acs_control count. */
	IOG_PCI_ACS = 1 << 1,
	/* A virtual function of @physical (SR-IOV). */
	IOG_PCI_VIRTUAL = 1 << 2,
	/* Its DMA may carry @alias as requester id besides its own: known from the device's errata, never from its registers. */
	IOG_PCI_ALIAS = 1 << 3,
	/* A bridge without the capability that is a PCI Express to PCI bridge all the same. */
	IOG_PCI_HIDDEN_EXPRESS = 1 << 4,
	/* Known to isolate as with ACS, without the capability. */
	IOG_PCI_ISOLATES = 1 << 5,
};

/**
 * struct iog_pci_function - one function. All but the results is the caller's.
 */
struct iog_pci_function {
	uint16_t segment;
	uint16_t bdf;
	uint8_t header; /* the Header Type register: 0 a device, 1 a bridge, 2 a CardBus bridge; bit 7 says that there are more functions */
	uint8_t port;	/* enum iog_pci_port */
	uint8_t secondary, subordinate; /* bridges: the buses behind it */
	uint16_t acs_capability, acs_control;
	uint16_t physical; /* BDF */
	uint16_t alias;	   /* BDF */
	uint32_t flags;	   /* enum iog_pci_flags */

	/* Results of iog_pci_group(). */
	uint32_t group;	    /* numbered from 0, in the order of the array */
	uint16_t requester; /* the id that its DMA has where it reaches the root complex */
};

/**
 * struct iog_pci_topology - the machine's functions.
 */
struct iog_pci_topology {
	struct iog_pci_function *functions;
	uint32_t count;
};

/* Requester ids that one function's DMA may carry, at most: its own, an alias, and two for each bridge on its way, of which few lead to conventional PCI. */
#define IOG_PCI_IDS_MAX 16

/**
 * iog_pci_group() - isolation groups and requester ids.
 * @topology: results are put into it; those of all segments are numbered together.
 * @groups: result: how many there are. May be NULL.
 *
 * Context: any; does not allocate. Time grows with the square of @topology.count.
 * Return: 0; -IOG_ENOSPC for a function with more than IOG_PCI_IDS_MAX requester ids; -IOG_EINVAL for two functions in one place, two bridges to one bus, a bridge that leads to its own bus or one before it, a virtual function that is a
 *         bridge, or whose physical one is missing; results are then undefined.
 */
IOG_API int iog_pci_group(const struct iog_pci_topology *topology, uint32_t *groups);

/**
 * iog_pci_find() - a function by its place.
 * @topology: the functions.
 * @segment: PCI segment.
 * @bdf: bus, device and function.
 *
 * Context: any; does not allocate.
 * Return: its index; IOG_BDF_NONE if it is not there.
 */
IOG_API uint32_t iog_pci_find(const struct iog_pci_topology *topology, uint16_t segment, uint16_t bdf);

/**
 * iog_pci_parent() - the bridge in front of a function.
 * @topology: the functions.
 * @index: of one.
 *
 * Context: any; does not allocate.
 * Return: the bridge's index; IOG_BDF_NONE on a root bus.
 */
IOG_API uint32_t iog_pci_parent(const struct iog_pci_topology *topology, uint32_t index);

/**
 * iog_pci_ids() - every requester id that a function's DMA may carry where it reaches the root complex.
 * @topology: the functions.
 * @index: of one.
 * @ids: room for IOG_PCI_IDS_MAX. The last is what most of its requests carry; behind a PCI Express to PCI bridge some may still carry those before.
 * @count: result, at least 1.
 *
 * Every one of them has to be given the same domain.
 *
 * Context: any; does not allocate.
 * Return: 0; -IOG_ENOSPC if there are more, -IOG_EINVAL if bridges lead in a circle.
 */
IOG_API int iog_pci_ids(const struct iog_pci_topology *topology, uint32_t index, uint16_t *ids, uint32_t *count);

#ifdef __cplusplus
}
#endif

#endif

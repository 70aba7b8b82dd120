/* SPDX-License-Identifier: MIT */
/*
 * Accesses that an IOMMU has refused: what its driver tells of them.
 *
 * A driver decodes the unit's records in its interrupt call and hands them to the function of its configuration, one at a time. A device that floods the unit is told of only now and then,
 * so that the others are still heard; what was not told is counted, per device and in all. No memory is allocated when faults arrive.
 */
#ifndef IOGATE_FAULT_H
#define IOGATE_FAULT_H

#include <iogate/types.h>
#include <iogate/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iog_unit;

/* A request without a PASID. */
#define IOG_PASID_NONE UINT32_MAX

/* Why, in terms that all units share. */
enum iog_fault_reason {
	IOG_FAULT_REASON_OTHER = 0,    /* see the code and its text */
	IOG_FAULT_REASON_NOT_PRESENT,  /* nothing is mapped there */
	IOG_FAULT_REASON_PERMISSION,   /* mapped, but not for this kind of access */
	IOG_FAULT_REASON_NO_DEVICE,    /* the unit has no entry for the device, or one that refuses everything */
	IOG_FAULT_REASON_MALFORMED,    /* a reserved bit or value in an entry, a table or a register: a driver's mistake, or memory overwritten */
	IOG_FAULT_REASON_ADDRESS_SIZE, /* the address is beyond what the unit or the tables translate */
	IOG_FAULT_REASON_WALK,         /* the unit could not read its own tables */
	IOG_FAULT_REASON_INTERRUPT,    /* an interrupt that was not remapped, or not allowed */
};

/* Beside enum iog_prot in struct iog_fault, access. */
enum iog_fault_flags {
	IOG_FAULT_PRIVILEGED = 1 << 16,  /* the request said so */
	IOG_FAULT_TRANSLATED = 1 << 17,  /* the device had asked for the translation before (ATS) */
	IOG_FAULT_TRANSLATION = 1 << 18, /* it was asking for one */
	IOG_FAULT_SECOND_STAGE = 1 << 19, /* found by the second of two stages */
	IOG_FAULT_NO_ADDRESS = 1 << 20,  /* the unit has not told the address: iova is 0 */
	IOG_FAULT_PAGE = 1 << 21,        /* the unit has told the page only: the low 12 bits of iova are 0 */
};

/**
 * struct iog_fault - one refused access.
 */
struct iog_fault {
	uint32_t device;   /* requester or stream id, as the unit counts */
	uint32_t pasid;    /* or IOG_PASID_NONE */
	uint64_t iova;     /* interrupts: the index of the remapping entry, or the message's address, as the unit has it */
	uint32_t access;   /* enum iog_prot, enum iog_fault_flags; neither READ nor WRITE where the unit does not tell */
	enum iog_fault_reason reason;
	uint32_t code;     /* the unit's own number */
	const char *text;  /* what its specification says about that; constant */
	uint64_t untold;   /* faults of this device since the last that was told */
};

/**
 * typedef iog_fault_fn - a fault.
 * @ctx: of the driver's configuration.
 * @unit: the unit that refused the access.
 * @fault: what it was; the callee's during the call.
 *
 * Context: of the driver's interrupt call; may not call that driver.
 */
typedef void iog_fault_fn(void *ctx, struct iog_unit *unit, const struct iog_fault *fault);

/**
 * struct iog_fault_config - how much is told; zero means default.
 *
 * In each interval a device's first fault is told whatever the others do, and further ones up to @per_device, as long as all devices' further ones together are below @total.
 */
struct iog_fault_config {
	/* Called for each fault that is told. NULL: they are only counted. */
	iog_fault_fn *fn;
	void *ctx;
	/* Devices that are told apart, up to 65536, default 256. Any beyond share one account, and one share of what is told. */
	uint32_t devices;
	/* Faults told per device and interval. Default 8. */
	uint32_t per_device;
	/* Beside each device's first: told per interval in all. Default 64. */
	uint32_t total;
	/* Default 1000. */
	uint32_t interval_ms;
};

/**
 * struct iog_fault_counts - since the driver was created.
 */
struct iog_fault_counts {
	uint64_t seen;     /* records taken from the unit */
	uint64_t told;     /* of these, by iog_fault_fn */
	uint64_t untold;   /* of these, not: seen = told + untold */
	uint64_t overflows; /* times that the unit had no room for a record; how many were lost then it does not tell. All devices' only */
};

#ifdef __cplusplus
}
#endif

#endif

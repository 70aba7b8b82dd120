/* SPDX-License-Identifier: MIT */
/*
 * Placing devices: what attach, create and destroy of devices have in common.
 */
#ifndef IOG_DMA_ATTACH_H
#define IOG_DMA_ATTACH_H

#include "domain.h"

/**
 * iog_device_place() - move one device, in hardware and in the counts of both domains. Its @domain is the caller's business.
 * @device: the device.
 * @domain: where to; NULL: blocked and in none.
 *
 * Context: the group's lock is held, or nobody else knows the device. Waits for hardware.
 * Return: 0; as iog_domain_attach(), and the device is where it was.
 */
int iog_device_place(struct iog_device *device, struct iog_domain *domain);

#endif

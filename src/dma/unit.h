/* SPDX-License-Identifier: MIT */
/*
 * A unit as this room sees it: its domain ids, its devices, and the ops that are called with its lock held.
 */
#ifndef IOG_DMA_UNIT_H
#define IOG_DMA_UNIT_H

#include "domain.h"

/**
 * iog_unit_domain_add() - give a domain a number on a unit, and make it known there.
 * @unit: the unit.
 * @root: of the domain's page table.
 * @id: result.
 *
 * Context: waits for hardware.
 * Return: 0; -IOG_ENOSPC if every id is taken; what the unit returned.
 */
int iog_unit_domain_add(struct iog_unit *unit, const struct iog_pgtable_root *root, uint32_t *id);

/**
 * iog_unit_domain_remove() - the opposite. If the unit fails to forget the domain, the id is never used again.
 * @unit: the unit.
 * @id: of the domain. No device uses it, and no invalidation with it is running or to come.
 *
 * Context: waits for hardware.
 */
void iog_unit_domain_remove(struct iog_unit *unit, uint32_t id);

/**
 * iog_unit_device_set() - what a device's accesses are subject to from now on.
 * @device: the device.
 * @type: the type.
 * @id: for paging: the domain's on the device's unit.
 *
 * Context: waits for hardware.
 * Return: 0; what the unit returned: the device is as before.
 */
int iog_unit_device_set(const struct iog_device *device, enum iog_domain_type type, uint32_t id);

/**
 * iog_unit_device_add() - a device is behind its unit.
 * @device: the device.
 *
 * Context: may wait for others who wait for hardware.
 * Return: 0; -IOG_EEXIST if another one has its id.
 */
int iog_unit_device_add(struct iog_device *device);

/**
 * iog_unit_device_remove() - the opposite.
 * @device: the device.
 *
 * Context: as iog_unit_device_add().
 */
void iog_unit_device_remove(struct iog_device *device);

#endif

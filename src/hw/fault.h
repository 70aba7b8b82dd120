/* SPDX-License-Identifier: MIT */
/*
 * Faults on their way from a driver to whoever wants to know; see <iogate/fault.h>.
 */
#ifndef IOG_HW_FAULT_H
#define IOG_HW_FAULT_H

#include <iogate/fault.h>

struct iog_platform;
struct iog_unit;
struct iog_fault_log;

/**
 * iog_fault_log_create() - accounts for faults.
 * @platform: the host, with a clock.
 * @config: kept by value.
 * @log: result.
 *
 * Context: any; allocates.
 * Return: 0; -IOG_EINVAL for a number out of range, or no clock; -IOG_ENOMEM.
 */
int iog_fault_log_create(const struct iog_platform *platform, const struct iog_fault_config *config, struct iog_fault_log **log);

/* NULL is allowed. */
void iog_fault_log_destroy(struct iog_fault_log *log);

/**
 * iog_fault_log_add() - count a fault, and tell it if its device's share allows.
 * @log: the log; one call at a time.
 * @unit: handed on.
 * @fault: all but @fault->untold, which is filled in.
 */
void iog_fault_log_add(struct iog_fault_log *log, struct iog_unit *unit, struct iog_fault *fault);

/* The unit lost some. One call at a time, with iog_fault_log_add(). */
void iog_fault_log_overflow(struct iog_fault_log *log);

/* Counts of all devices. Context: any. */
void iog_fault_log_counts(const struct iog_fault_log *log, struct iog_fault_counts *counts);

/* Of one; those of devices without an account of their own are those of all such. Context: any. */
void iog_fault_log_device(const struct iog_fault_log *log, uint32_t device, struct iog_fault_counts *counts);

#endif

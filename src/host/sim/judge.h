/* SPDX-License-Identifier: MIT */
/*
 * Verdicts: holds what happened against what oracle.h says should, and reports.
 *
 * Locking: the unit's lock.
 */
#ifndef IOG_SIM_JUDGE_H
#define IOG_SIM_JUDGE_H

#include <iogate/host/sim.h>

#include "walk.h"

/* An access of @size bytes has happened as @walk says. */
void iog_sim_judge_access(struct iog_sim_domain *domain, iog_iova_t iova, uint32_t size, uint32_t prot, const struct walk *walk);

/* Memory [first, last] belongs to somebody else now. */
void iog_sim_judge_reuse(struct iog_sim *sim, iog_paddr_t first, iog_paddr_t last);

/* Report: count, remember, call back. @format is printed to make the detail. */
void iog_sim_violation(struct iog_sim *sim, enum iog_sim_violation_kind kind, uint32_t domain, iog_iova_t iova, iog_paddr_t paddr,
		       const char *format, ...) __attribute__((format(printf, 6, 7)));

const char *iog_sim_violation_name(enum iog_sim_violation_kind kind);
const char *iog_sim_fault_name(enum walk_fault fault);

/* Where a translation came from: "through ...". @words has SOURCE_WORDS bytes. */
#define SOURCE_WORDS 64
const char *iog_sim_source_words(uint32_t source, char *words);

/* Whether the calling thread is inside the violation callback of @sim, and so holds its lock. */
bool iog_sim_reporting(struct iog_sim *sim);

/* Tells the calling thread from all others that live; never 0. */
uintptr_t iog_sim_thread(void);

#endif

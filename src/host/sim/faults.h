/* SPDX-License-Identifier: MIT */
/*
 * Misbehaviour on demand: for each kind, how many occasions pass first, and how many then go wrong.
 *
 * Locking: the unit's lock.
 */
#ifndef IOG_SIM_FAULTS_H
#define IOG_SIM_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include <iogate/host/sim.h>

struct faults {
	struct fault {
		uint64_t after;
		uint64_t count;
	} kinds[IOG_SIM_FAULT_KINDS];
};

/* An occasion has come: whether it goes wrong. Counted. */
bool iog_sim_fault_strikes(struct iog_sim *sim, enum iog_sim_fault_kind kind);

#endif
